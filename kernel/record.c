// SPDX-License-Identifier: GPL-2.0
/*
 * One packet -> one record: metadata and the first snaplen bytes.
 *
 * The ICMP header is found and not dissected: that is userspace's work,
 * where a mistake is not an oops. Called by hook.c, and by stream.c and
 * genl.c for what a filter has passed.
 */

#include <linux/if_vlan.h>
#include <linux/icmp.h>
#include <linux/icmpv6.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/ktime.h>
#include <linux/netfilter.h>
#include <linux/skbuff.h>
#include <linux/string.h>
#include <linux/timekeeping.h>
#include <net/ip.h>
#include <net/ipv6.h>
#include <net/net_namespace.h>

#include "record.h"

/*
 * Extension headers before ICMPv6. Kernels that have a limit take 12
 * (IP6_MAX_EXT_HDRS_CNT).
 */
#define EXTENSIONS_MAX	32

/* Records stay aligned in the message, so that readers may cast. */
#define RECORD_ALIGN	8

static_assert(sizeof(struct icmptap_record) % RECORD_ALIGN == 0);
static_assert(ICMPTAP_CSUM_NONE == CHECKSUM_NONE);
static_assert(ICMPTAP_CSUM_UNNECESSARY == CHECKSUM_UNNECESSARY);
static_assert(ICMPTAP_CSUM_COMPLETE == CHECKSUM_COMPLETE);
static_assert(ICMPTAP_CSUM_PARTIAL == CHECKSUM_PARTIAL);

/* Any context: reads the packet, which the caller holds. */
static u16 vlan_tci(const struct sk_buff *skb)
{
	return skb_vlan_tag_present(skb) ? skb_vlan_tag_get(skb) : 0;
}

/* Any context: reads the packet, which the caller holds. */
static u16 vlan_flags(const struct sk_buff *skb)
{
	if (!skb_vlan_tag_present(skb))
		return 0;
	if (skb->vlan_proto == htons(ETH_P_8021AD))
		return ICMPTAP_F_VLAN | ICMPTAP_F_VLAN_AD;
	return ICMPTAP_F_VLAN;
}

/* Any context. What a filter asks for first; the rest is for those it passes. */
static void begin(struct icmptap_packet *pkt, const struct sk_buff *skb,
		  const struct nf_hook_state *state)
{
	pkt->skb = skb;
	pkt->state = state;
	pkt->filled = false;
	pkt->record = (struct icmptap_record) {
		.hdrlen = sizeof(pkt->record),
		.origlen = skb->len - skb_network_offset(skb),
		.family = state->pf,
		.hook = state->hook,
	};
}

/*
 * Looks for the ICMP header at @offset, counted from the network header, in
 * a packet that is whole or a first fragment. It is @hdrlen bytes long.
 *
 * Any context: reads the packet, which the caller holds.
 */
static void find_icmp(struct icmptap_record *rec, const struct sk_buff *skb,
		      unsigned int offset, unsigned int hdrlen)
{
	const u8 *head;
	u8 buf[2];	/* type, code */

	if (offset + hdrlen > rec->origlen)
		rec->flags |= ICMPTAP_F_MALFORMED;

	head = skb_header_pointer(skb, skb_network_offset(skb) + offset,
				  sizeof(buf), buf);
	/* Extension headers may go on for longer than icmp_offset can say. */
	if (!head || offset > U16_MAX) {
		rec->flags |= ICMPTAP_F_NO_ICMP;
		return;
	}
	rec->icmp_offset = offset;
	rec->icmp_type = head[0];
	rec->icmp_code = head[1];
}

/**
 * icmptap_packet_init_ipv4() - is this ICMP, and of which type?
 * @pkt: filled as far as a filter asks
 * @skb: an IPv4 packet with its IP header in the linear part
 * @state: of the netfilter hook that the packet is at
 *
 * Context: a netfilter hook, under rcu_read_lock(), which keeps the devices
 * of @state. @pkt is valid as long as @skb is.
 * Return: false if it is something else.
 */
bool icmptap_packet_init_ipv4(struct icmptap_packet *pkt,
			      const struct sk_buff *skb,
			      const struct nf_hook_state *state)
{
	const struct iphdr *iph = ip_hdr(skb);
	struct icmptap_record *rec = &pkt->record;

	if (iph->protocol != IPPROTO_ICMP)
		return false;

	begin(pkt, skb, state);

	if (ip_is_fragment(iph))
		rec->flags |= ICMPTAP_F_FRAGMENT;

	if (ip_hdrlen(skb) < sizeof(*iph))
		rec->flags |= ICMPTAP_F_NO_ICMP | ICMPTAP_F_MALFORMED;
	else if (iph->frag_off & htons(IP_OFFSET))
		rec->flags |= ICMPTAP_F_NO_ICMP;
	else
		find_icmp(rec, skb, ip_hdrlen(skb), sizeof(struct icmphdr));
	return true;
}

/*
 * Steps over extension headers, from *@offset on, counted from the network
 * header and of kind @nexthdr, to the first that is none. *@frag_off gets
 * what a fragment header says. In a later fragment what follows that is no
 * header: its kind is known all the same.
 *
 * Any context: reads the packet, which the caller holds. Returns the kind, or
 * NEXTHDR_NONE if there is no end to be found. The kernel's own functions for
 * this lose the kind or the "more fragments" bit.
 */
static u8 skip_extensions(const struct sk_buff *skb, u8 nexthdr,
			  unsigned int *offset, __be16 *frag_off)
{
	unsigned int left = EXTENSIONS_MAX;

	while (ipv6_ext_hdr(nexthdr) && nexthdr != NEXTHDR_NONE) {
		const struct frag_hdr *hdr;
		struct frag_hdr buf;

		/* Or anybody's packet could keep us here. */
		if (!left--)
			return NEXTHDR_NONE;

		/* Each kind has at least these 8 bytes. */
		hdr = skb_header_pointer(skb, skb_network_offset(skb) + *offset,
					 sizeof(buf), &buf);
		if (!hdr)
			return NEXTHDR_NONE;

		if (nexthdr == NEXTHDR_FRAGMENT) {
			/* There may be several: one that says so is enough. */
			*frag_off |= hdr->frag_off;
			*offset += sizeof(*hdr);
			if (*frag_off & htons(IP6_OFFSET))
				return hdr->nexthdr;
		} else if (nexthdr == NEXTHDR_AUTH) {
			*offset += ipv6_authlen((struct ipv6_opt_hdr *)hdr);
		} else {
			*offset += ipv6_optlen((struct ipv6_opt_hdr *)hdr);
		}
		nexthdr = hdr->nexthdr;
	}
	return nexthdr;
}

/**
 * icmptap_packet_init_ipv6() - is this ICMPv6, and of which type?
 * @pkt: filled as far as a filter asks
 * @skb: an IPv6 packet with its IPv6 header in the linear part
 * @state: of the netfilter hook that the packet is at
 *
 * Context: as icmptap_packet_init_ipv4().
 * Return: false if it is something else, or nobody can tell.
 */
bool icmptap_packet_init_ipv6(struct icmptap_packet *pkt,
			      const struct sk_buff *skb,
			      const struct nf_hook_state *state)
{
	unsigned int offset = sizeof(struct ipv6hdr);
	struct icmptap_record *rec = &pkt->record;
	u8 nexthdr = ipv6_hdr(skb)->nexthdr;
	__be16 frag_off = 0;

	if (nexthdr != NEXTHDR_ICMP &&
	    skip_extensions(skb, nexthdr, &offset, &frag_off) != NEXTHDR_ICMP)
		return false;

	begin(pkt, skb, state);

	if (frag_off & htons(IP6_OFFSET | IP6_MF))
		rec->flags |= ICMPTAP_F_FRAGMENT;

	if (frag_off & htons(IP6_OFFSET))
		rec->flags |= ICMPTAP_F_NO_ICMP;
	else
		find_icmp(rec, skb, offset, sizeof(struct icmp6hdr));
	return true;
}

/**
 * icmptap_packet_fill() - what all records of one packet share
 * @pkt: from init; the second time nothing happens
 *
 * Context: as icmptap_packet_init_ipv4().
 */
void icmptap_packet_fill(struct icmptap_packet *pkt)
{
	const struct nf_hook_state *state = pkt->state;
	struct icmptap_record *rec = &pkt->record;
	const struct sk_buff *skb = pkt->skb;

	if (pkt->filled)
		return;

	pkt->filled = true;
	pkt->mono_ns = ktime_get_ns();
	rec->flags |= vlan_flags(skb) | skb->ip_summed << ICMPTAP_CSUM_SHIFT;
	rec->time_ns = ktime_to_ns(ktime_mono_to_real(pkt->mono_ns));
	rec->netns = state->net->ns.inum;
	rec->iif = state->in ? state->in->ifindex : 0;
	rec->oif = state->out ? state->out->ifindex : 0;
	rec->mark = skb->mark;
	rec->vlan_tci = vlan_tci(skb);
}

/* Any context. Packet bytes that a record of @pkt holds. */
static u32 caplen(const struct icmptap_packet *pkt, u32 snaplen)
{
	return min(pkt->record.origlen, snaplen);
}

/* Any context. Bytes that icmptap_record_put() will append. */
unsigned int icmptap_record_len(const struct icmptap_packet *pkt, u32 snaplen)
{
	return ALIGN(sizeof(struct icmptap_record) + caplen(pkt, snaplen),
		     RECORD_ALIGN);
}

/*
 * Appends the record of @pkt to @msg, which has room for it.
 *
 * Any context; the caller owns @msg and holds the packet.
 */
void icmptap_record_put(struct sk_buff *msg, const struct icmptap_packet *pkt,
			u32 snaplen)
{
	const struct sk_buff *skb = pkt->skb;
	unsigned int len = icmptap_record_len(pkt, snaplen);
	u32 captured = caplen(pkt, snaplen);
	struct icmptap_record *rec = skb_put(msg, len);
	void *bytes = rec + 1;

	*rec = pkt->record;
	rec->len = len;

	/* Fails only for pages that the kernel itself may not read. */
	if (unlikely(skb_copy_bits(skb, skb_network_offset(skb), bytes,
				   captured)))
		captured = 0;

	rec->caplen = captured;
	if (captured < rec->origlen)
		rec->flags |= ICMPTAP_F_TRUNCATED;
	memset(bytes + captured, 0, len - sizeof(*rec) - captured);
}
