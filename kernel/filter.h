/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Does a subscription want a packet? What the taps do not decide already, by
 * being there for its hooks and families only.
 */
#ifndef ICMPTAP_FILTER_H
#define ICMPTAP_FILTER_H

#include <linux/bits.h>
#include <linux/netfilter.h>
#include <linux/string.h>
#include <linux/types.h>
#include <linux/icmptap.h>

#include "packet.h"

struct bpf_prog;
struct netlink_ext_ack;
struct nlattr;

/* Bit t % 8 of byte t / 8 is ICMP type t, as on the wire. */
struct icmptap_types {
	u8 map[ICMPTAP_TYPES_LEN];
	bool all;		/* of them: then no type is one, too */
};

struct icmptap_filter {
	u32 ifindex;			/* 0: any interface */
	u32 prog_len;			/* instructions that prog was made of */
	struct bpf_prog *prog;		/* NULL: every packet */
	struct icmptap_types icmp;
	struct icmptap_types icmpv6;
};

void icmptap_filter_set_types(struct icmptap_types *types,
			      const struct nlattr *attr);
int icmptap_filter_set_prog(struct icmptap_filter *filter,
			    const struct nlattr *attr,
			    struct netlink_ext_ack *extack);
void icmptap_filter_uninit(struct icmptap_filter *filter);

/* Makes a filter that wants every packet. Any context. */
static inline void icmptap_filter_init(struct icmptap_filter *filter)
{
	*filter = (struct icmptap_filter) {
		.icmp.all = true,
		.icmpv6.all = true,
	};
	memset(filter->icmp.map, 0xff, sizeof(filter->icmp.map));
	memset(filter->icmpv6.map, 0xff, sizeof(filter->icmpv6.map));
}

/* Any context. Of all packets of a family. */
static inline bool icmptap_filter_wants_all(const struct icmptap_filter *filter,
					    u8 family)
{
	const struct icmptap_types *types = family == NFPROTO_IPV4 ?
					    &filter->icmp : &filter->icmpv6;

	return types->all && !filter->ifindex && !filter->prog;
}

bool icmptap_filter_ask(const struct icmptap_filter *filter,
			const struct icmptap_packet *pkt);

/**
 * icmptap_filter_match() - is this packet wanted?
 * @filter: of a subscription that is attached to the packet's tap
 * @pkt: the packet
 *
 * Context: a netfilter hook, under the rcu_read_lock() that keeps the
 * subscription. Takes no lock.
 */
static inline bool icmptap_filter_match(const struct icmptap_filter *filter,
					const struct icmptap_packet *pkt)
{
	const struct icmptap_types *types = pkt->kind.family == NFPROTO_IPV4 ?
					    &filter->icmp : &filter->icmpv6;
	u8 type = pkt->kind.icmp_type;

	if (!types->all && (pkt->flags & ICMPTAP_F_NO_ICMP ||
			    !(types->map[type / 8] & BIT(type % 8))))
		return false;
	return likely(!filter->ifindex && !filter->prog) ||
	       icmptap_filter_ask(filter, pkt);
}

#endif /* ICMPTAP_FILTER_H */
