// SPDX-License-Identifier: GPL-2.0
/*
 * Does any subscription want a packet? The cheap questions first, then the
 * subscriber's own program.
 *
 * Called by hook.c for each packet of a tap whose subscription does not want
 * all, and by params.c to make what it asks.
 */

#include <linux/filter.h>
#include <linux/netfilter.h>
#include <linux/netlink.h>
#include <linux/string.h>
#include <net/netlink.h>

#include "filter.h"
#include "packet.h"

/* Any context. */
static bool wants_interface(const struct icmptap_filter *filter,
			    const struct nf_hook_state *state)
{
	return (state->in && state->in->ifindex == filter->ifindex) ||
	       (state->out && state->out->ifindex == filter->ifindex);
}

/**
 * icmptap_filter_ask() - the dear questions, when the type is wanted
 * @filter: of a subscription that is attached to the packet's tap
 * @pkt: the packet
 *
 * The program sees the packet from its network header on: that is where the
 * data of a packet in a netfilter hook starts.
 *
 * Context: as icmptap_filter_match().
 */
bool icmptap_filter_ask(const struct icmptap_filter *filter,
			const struct icmptap_packet *pkt)
{
	if (filter->ifindex && !wants_interface(filter, pkt->state))
		return false;
	return !filter->prog || bpf_prog_run_pin_on_cpu(filter->prog, pkt->skb);
}

/*
 * Says what the kernel objects to in a program, which it does not say itself.
 * Its verdict counts: this only looks for words.
 *
 * Any context.
 */
static void explain(const struct sock_filter *insns, unsigned int len,
		    struct netlink_ext_ack *extack)
{
	unsigned int pc;

	for (pc = 0; pc < len; pc++) {
		const struct sock_filter *insn = &insns[pc];
		unsigned int left = len - pc - 1;

		switch (insn->code) {
		case BPF_ALU | BPF_DIV | BPF_K:
		case BPF_ALU | BPF_MOD | BPF_K:
			if (insn->k)
				break;
			NL_SET_ERR_MSG(extack, "the filter divides by zero");
			return;
		case BPF_ALU | BPF_LSH | BPF_K:
		case BPF_ALU | BPF_RSH | BPF_K:
			if (insn->k < 32)
				break;
			NL_SET_ERR_MSG(extack,
				       "the filter shifts by more than 31 bits");
			return;
		case BPF_LD | BPF_MEM:
		case BPF_LDX | BPF_MEM:
		case BPF_ST:
		case BPF_STX:
			if (insn->k < BPF_MEMWORDS)
				break;
			NL_SET_ERR_MSG(extack,
				       "the filter uses a memory word that there is not");
			return;
		case BPF_JMP | BPF_JA:
			if (insn->k < left)
				break;
			NL_SET_ERR_MSG(extack, "a jump leads out of the filter");
			return;
		default:
			if (BPF_CLASS(insn->code) != BPF_JMP ||
			    (insn->jt < left && insn->jf < left))
				break;
			NL_SET_ERR_MSG(extack, "a jump leads out of the filter");
			return;
		}
	}
	if (BPF_CLASS(insns[len - 1].code) != BPF_RET)
		NL_SET_ERR_MSG(extack,
			       "the filter does not end with a return");
	else
		NL_SET_ERR_MSG(extack,
			       "the filter has an unknown instruction, or reads memory before it is written");
}

/**
 * icmptap_filter_set_prog() - compile a subscriber's program
 * @filter: gets the program
 * @attr: an array of struct sock_filter, of any length
 * @extack: gets a sentence on errors
 *
 * Context: process, sleeps.
 * Return: 0 or a negative errno.
 */
int icmptap_filter_set_prog(struct icmptap_filter *filter,
			    const struct nlattr *attr,
			    struct netlink_ext_ack *extack)
{
	struct sock_fprog_kern fprog = {
		.len = nla_len(attr) / sizeof(struct sock_filter),
		.filter = nla_data(attr),
	};
	int err;

	if (!fprog.len || nla_len(attr) % sizeof(struct sock_filter)) {
		NL_SET_ERR_MSG_ATTR(extack, attr,
				    "the filter is no array of instructions of 8 bytes");
		return -EINVAL;
	}

	err = bpf_prog_create(&filter->prog, &fprog);
	if (err) {
		filter->prog = NULL;
		NL_SET_BAD_ATTR(extack, attr);
		if (err == -EINVAL) {
			explain(fprog.filter, fprog.len, extack);
			return err;
		}
		/* Which the kernel has other, internal numbers for, too. */
		NL_SET_ERR_MSG(extack, "no memory for the filter");
		return -ENOMEM;
	}
	filter->prog_len = fprog.len;
	return 0;
}

/* @attr: ICMPTAP_TYPES_LEN bytes. Any context. */
void icmptap_filter_set_types(struct icmptap_types *types,
			      const struct nlattr *attr)
{
	nla_memcpy(types->map, attr, sizeof(types->map));
	types->all = !memchr_inv(types->map, 0xff, sizeof(types->map));
}

/* Process context. No packet in a hook sees @filter any more. */
void icmptap_filter_uninit(struct icmptap_filter *filter)
{
	if (filter->prog)
		bpf_prog_destroy(filter->prog);
}
