// SPDX-License-Identifier: GPL-2.0
/*
 * The parameters of a subscription as attributes (enum icmptap_sub_attr).
 *
 * Called by commands.c for SUBSCRIBE and by report.c for GET_SUBSCRIPTION.
 */

#include <linux/filter.h>
#include <linux/log2.h>
#include <linux/math64.h>
#include <linux/netlink.h>
#include <linux/skbuff.h>
#include <linux/time64.h>
#include <net/genetlink.h>

#include "filter.h"
#include "hook.h"
#include "params.h"
#include "ratelimit.h"

/* The longest ICMP error that a router has to send whole (RFC 1812). */
#define SNAPLEN_DEFAULT		576
#define BATCH_DEFAULT		((u32)SKB_WITH_OVERHEAD(4096))
#define FLUSH_DEFAULT_US	1000

static struct netlink_range_validation snaplen_range = {
	.max = ICMPTAP_SNAPLEN_MAX,
};

static struct netlink_range_validation batch_range = {
	.min = ICMPTAP_BATCH_MIN,
	.max = ICMPTAP_BATCH_MAX,
};

static struct netlink_range_validation flush_us_range = {
	.max = ICMPTAP_FLUSH_MAX_US,
};

static struct netlink_range_validation ifindex_range = {
	.max = S32_MAX,
};

static struct netlink_range_validation rate_range = {
	.max = ICMPTAP_RATE_MAX,
};

#define FROM_KERNEL_ONLY_MSG	"this attribute comes from the kernel only"
#define FROM_KERNEL_ONLY { \
	.type = NLA_REJECT, \
	.reject_message = FROM_KERNEL_ONLY_MSG, \
}

const struct nla_policy icmptap_params_policy[ICMPTAP_SUB_MAX + 1] = {
	[ICMPTAP_SUB_HOOKS] = NLA_POLICY_MASK(NLA_U32, ICMPTAP_HOOKS),
	[ICMPTAP_SUB_FAMILIES] = NLA_POLICY_MASK(NLA_U32, ICMPTAP_FAMILIES),
	[ICMPTAP_SUB_SNAPLEN] = NLA_POLICY_FULL_RANGE(NLA_U32, &snaplen_range),
	[ICMPTAP_SUB_BATCH] = NLA_POLICY_FULL_RANGE(NLA_U32, &batch_range),
	[ICMPTAP_SUB_FLUSH_US] = NLA_POLICY_FULL_RANGE(NLA_U32, &flush_us_range),
	/*
	 * Refused by icmptap_params_read(): of a nest that is rejected here
	 * netlink says no more than that it expected none.
	 */
	[ICMPTAP_SUB_COUNTERS] = { .type = NLA_NESTED },
	[ICMPTAP_SUB_ICMP_TYPES] = NLA_POLICY_EXACT_LEN(ICMPTAP_TYPES_LEN),
	[ICMPTAP_SUB_ICMPV6_TYPES] = NLA_POLICY_EXACT_LEN(ICMPTAP_TYPES_LEN),
	[ICMPTAP_SUB_IFINDEX] = NLA_POLICY_FULL_RANGE(NLA_U32, &ifindex_range),
	[ICMPTAP_SUB_FILTER] = {
		.type = NLA_BINARY,
		.len = BPF_MAXINSNS * sizeof(struct sock_filter),
	},
	[ICMPTAP_SUB_FILTER_LEN] = FROM_KERNEL_ONLY,
	[ICMPTAP_SUB_SAMPLE] = NLA_POLICY_MIN(NLA_U32, 1),
	[ICMPTAP_SUB_RATE] = NLA_POLICY_FULL_RANGE(NLA_U32, &rate_range),
	[ICMPTAP_SUB_VERDICT] = NLA_POLICY_MAX(NLA_U32, ICMPTAP_VERDICT_MAX),
	[ICMPTAP_SUB_ALL_NETNS] = { .type = NLA_FLAG },
	[ICMPTAP_SUB_PORTID] = FROM_KERNEL_ONLY,
	[ICMPTAP_SUB_PROTOCOL] = FROM_KERNEL_ONLY,
	[ICMPTAP_SUB_NETNS] = FROM_KERNEL_ONLY,
	[ICMPTAP_SUB_PID] = FROM_KERNEL_ONLY,
	[ICMPTAP_SUB_COMM] = FROM_KERNEL_ONLY,
	[ICMPTAP_SUB_ID] = FROM_KERNEL_ONLY,
	[ICMPTAP_SUB_BYTES] = FROM_KERNEL_ONLY,
	[ICMPTAP_SUB_TAPS_MISSING] = FROM_KERNEL_ONLY,
	[ICMPTAP_SUB_PAD] = FROM_KERNEL_ONLY,
};

/*
 * Refuses an attribute that is there twice, of which netlink itself would
 * take the last. The policy has passed them all.
 *
 * Process context: a request.
 */
int icmptap_params_refuse_twice(const struct nlmsghdr *request,
				struct netlink_ext_ack *extack)
{
	const struct nlattr *attr;
	u32 seen = 0;
	int rem;

	BUILD_BUG_ON(ICMPTAP_SUB_MAX >= 32);

	nlmsg_for_each_attr(attr, request, GENL_HDRLEN, rem) {
		if (seen & BIT(nla_type(attr))) {
			NL_SET_ERR_MSG_ATTR(extack, attr,
					    "this attribute is here twice");
			return -EINVAL;
		}
		seen |= BIT(nla_type(attr));
	}
	return 0;
}

/* The largest message that fills its slab bucket and is not above @batch. */
static u32 fill_bucket(u32 batch)
{
	u32 overhead = PAGE_SIZE - SKB_WITH_OVERHEAD(PAGE_SIZE);

	return rounddown_pow_of_two(batch + overhead) - overhead;
}

static u32 read_u32(const struct nlattr *attr, u32 otherwise)
{
	return attr ? nla_get_u32(attr) : otherwise;
}

/**
 * icmptap_params_read() - what a subscriber asks for
 * @params: filled; has a filter afterwards that somebody has to end, unless
 *	an error is returned
 * @attrs: passed by icmptap_params_policy
 * @extack: gets a sentence on errors
 *
 * Context: process, sleeps.
 * Return: 0 or a negative errno.
 */
int icmptap_params_read(struct icmptap_params *params,
			struct nlattr *const *attrs,
			struct netlink_ext_ack *extack)
{
	u32 batch = read_u32(attrs[ICMPTAP_SUB_BATCH], BATCH_DEFAULT);
	u32 flush_us = read_u32(attrs[ICMPTAP_SUB_FLUSH_US], FLUSH_DEFAULT_US);

	*params = (struct icmptap_params) {
		.hooks = read_u32(attrs[ICMPTAP_SUB_HOOKS],
				  BIT(NF_INET_PRE_ROUTING)),
		.families = read_u32(attrs[ICMPTAP_SUB_FAMILIES],
				     ICMPTAP_FAMILIES),
		.snaplen = read_u32(attrs[ICMPTAP_SUB_SNAPLEN],
				    SNAPLEN_DEFAULT),
		.batch = fill_bucket(batch),
		.flush_ns = flush_us * (u64)NSEC_PER_USEC,
		.sample = read_u32(attrs[ICMPTAP_SUB_SAMPLE], 1),
		.rate = read_u32(attrs[ICMPTAP_SUB_RATE], 0),
		.drop = read_u32(attrs[ICMPTAP_SUB_VERDICT],
				 ICMPTAP_VERDICT_ACCEPT) == ICMPTAP_VERDICT_DROP,
		.all_netns = nla_get_flag(attrs[ICMPTAP_SUB_ALL_NETNS]),
	};

	if (attrs[ICMPTAP_SUB_COUNTERS]) {
		NL_SET_ERR_MSG_ATTR(extack, attrs[ICMPTAP_SUB_COUNTERS],
				    FROM_KERNEL_ONLY_MSG);
		return -EINVAL;
	}
	if (!params->hooks) {
		NL_SET_ERR_MSG_ATTR(extack, attrs[ICMPTAP_SUB_HOOKS],
				    "at least one hook is needed");
		return -EINVAL;
	}
	if (!params->families) {
		NL_SET_ERR_MSG_ATTR(extack, attrs[ICMPTAP_SUB_FAMILIES],
				    "at least one family is needed");
		return -EINVAL;
	}

	if (params->all_netns && read_u32(attrs[ICMPTAP_SUB_IFINDEX], 0)) {
		NL_SET_ERR_MSG_ATTR(extack, attrs[ICMPTAP_SUB_IFINDEX],
				    "an interface is one of this network namespace: not with all of them");
		return -EINVAL;
	}

	icmptap_filter_init(&params->filter);
	params->filter.ifindex = read_u32(attrs[ICMPTAP_SUB_IFINDEX], 0);
	if (attrs[ICMPTAP_SUB_ICMP_TYPES])
		icmptap_filter_set_types(&params->filter.icmp,
					 attrs[ICMPTAP_SUB_ICMP_TYPES]);
	if (attrs[ICMPTAP_SUB_ICMPV6_TYPES])
		icmptap_filter_set_types(&params->filter.icmpv6,
					 attrs[ICMPTAP_SUB_ICMPV6_TYPES]);
	if (!attrs[ICMPTAP_SUB_FILTER])
		return 0;
	return icmptap_filter_set_prog(&params->filter,
				       attrs[ICMPTAP_SUB_FILTER], extack);
}

static int put_filter(struct sk_buff *msg, const struct icmptap_filter *filter)
{
	if (nla_put(msg, ICMPTAP_SUB_ICMP_TYPES, ICMPTAP_TYPES_LEN,
		    filter->icmp.map) ||
	    nla_put(msg, ICMPTAP_SUB_ICMPV6_TYPES, ICMPTAP_TYPES_LEN,
		    filter->icmpv6.map) ||
	    nla_put_u32(msg, ICMPTAP_SUB_IFINDEX, filter->ifindex) ||
	    nla_put_u32(msg, ICMPTAP_SUB_FILTER_LEN, filter->prog_len))
		return -EMSGSIZE;
	return 0;
}

/*
 * Writes the values in force.
 *
 * Process context. Returns 0, or -EMSGSIZE if @msg is full.
 */
int icmptap_params_put(struct sk_buff *msg,
		       const struct icmptap_params *params)
{
	u32 flush_us = div_u64(params->flush_ns, NSEC_PER_USEC);
	u32 verdict = params->drop ? ICMPTAP_VERDICT_DROP :
				     ICMPTAP_VERDICT_ACCEPT;

	if (nla_put_u32(msg, ICMPTAP_SUB_HOOKS, params->hooks) ||
	    nla_put_u32(msg, ICMPTAP_SUB_FAMILIES, params->families) ||
	    nla_put_u32(msg, ICMPTAP_SUB_SNAPLEN, params->snaplen) ||
	    nla_put_u32(msg, ICMPTAP_SUB_BATCH, params->batch) ||
	    nla_put_u32(msg, ICMPTAP_SUB_FLUSH_US, flush_us) ||
	    nla_put_u32(msg, ICMPTAP_SUB_SAMPLE, params->sample) ||
	    nla_put_u32(msg, ICMPTAP_SUB_RATE, params->rate) ||
	    nla_put_u32(msg, ICMPTAP_SUB_VERDICT, verdict) ||
	    (params->all_netns && nla_put_flag(msg, ICMPTAP_SUB_ALL_NETNS)))
		return -EMSGSIZE;
	return put_filter(msg, &params->filter);
}
