/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One packet at a hook, looked at once: what its taps' subscriptions ask of
 * it, and what every record of it has in common.
 *
 * What each packet goes through is inline: calls from file to file were much
 * of what it cost (docs/adr/0009-the-fast-path-is-inline.md).
 */
#ifndef ICMPTAP_PACKET_H
#define ICMPTAP_PACKET_H

#include <linux/icmp.h>
#include <linux/ip.h>
#include <linux/ktime.h>
#include <linux/netfilter.h>
#include <linux/skbuff.h>
#include <linux/timekeeping.h>
#include <linux/types.h>
#include <net/ip.h>
#include <linux/icmptap.h>

/* The end of struct icmptap_record, written as a whole. */
struct icmptap_kind {
	u16 vlan_tci;		/* 0: the record's writer knows */
	u16 icmp_offset;
	u8 family;
	u8 hook;
	u8 icmp_type;
	u8 icmp_code;
};

struct icmptap_packet {
	const struct sk_buff *skb;
	const struct nf_hook_state *state;
	u64 time_ns;		/* CLOCK_REALTIME; 0: nobody has asked for it */
	struct icmptap_kind kind;
	u16 flags;		/* as in struct icmptap_record, but F_TRUNCATED */
};

void icmptap_packet_find_far_icmp(struct icmptap_packet *pkt,
				  unsigned int offset, unsigned int hdrlen);
bool icmptap_packet_init_ipv6(struct icmptap_packet *pkt,
			      const struct sk_buff *skb,
			      const struct nf_hook_state *state);

/*
 * In a netfilter hook the data of a packet starts at its network header, and
 * ends with it.
 *
 * Any context: reads the packet, which the caller holds.
 */
static inline void icmptap_packet_begin(struct icmptap_packet *pkt,
					const struct sk_buff *skb,
					const struct nf_hook_state *state)
{
	*pkt = (struct icmptap_packet) {
		.skb = skb,
		.state = state,
		.kind.family = state->pf,
		.kind.hook = state->hook,
	};
}

/*
 * Looks for the ICMP header at @offset in a packet that is whole or a first
 * fragment. It is @hdrlen bytes long.
 *
 * Any context: reads the packet, which the caller holds.
 */
static inline void icmptap_packet_find_icmp(struct icmptap_packet *pkt,
					    unsigned int offset,
					    unsigned int hdrlen)
{
	const u8 *head = pkt->skb->data + offset;

	if (unlikely(offset + hdrlen > skb_headlen(pkt->skb) ||
		     offset > U16_MAX)) {
		icmptap_packet_find_far_icmp(pkt, offset, hdrlen);
		return;
	}
	pkt->kind.icmp_offset = offset;
	pkt->kind.icmp_type = head[0];
	pkt->kind.icmp_code = head[1];
}

/**
 * icmptap_packet_init_ipv4() - where is the ICMP header, and of which type?
 * @pkt: filled
 * @skb: an ICMP packet with its IP header in the linear part
 * @state: of the netfilter hook that the packet is at
 *
 * Context: a netfilter hook, under rcu_read_lock(), which keeps the devices
 * of @state. @pkt is valid as long as @skb is.
 */
static inline void icmptap_packet_init_ipv4(struct icmptap_packet *pkt,
					    const struct sk_buff *skb,
					    const struct nf_hook_state *state)
{
	const struct iphdr *iph = (const struct iphdr *)skb->data;
	unsigned int hdrlen = iph->ihl * 4;

	icmptap_packet_begin(pkt, skb, state);

	if (unlikely(ip_is_fragment(iph))) {
		pkt->flags |= ICMPTAP_F_FRAGMENT;
		if (iph->frag_off & htons(IP_OFFSET))
			pkt->flags |= ICMPTAP_F_NO_ICMP;
	}
	if (unlikely(hdrlen < sizeof(*iph)))
		pkt->flags |= ICMPTAP_F_NO_ICMP | ICMPTAP_F_MALFORMED;
	else if (!(pkt->flags & ICMPTAP_F_NO_ICMP))
		icmptap_packet_find_icmp(pkt, hdrlen, sizeof(struct icmphdr));
}

/*
 * When the hook saw it: asked for once, by the first who wants the packet.
 *
 * Context: as icmptap_packet_init_ipv4().
 */
static inline u64 icmptap_packet_time(struct icmptap_packet *pkt)
{
	if (!pkt->time_ns)
		pkt->time_ns = ktime_get_real_ns();
	return pkt->time_ns;
}

#endif /* ICMPTAP_PACKET_H */
