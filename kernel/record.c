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

/* Bytes of a packet that copy_short() is for. */
#define SHORT	256

/* Records stay aligned in the message, so that readers may cast. */
#define RECORD_ALIGN	8

static_assert(sizeof(struct icmptap_record) % RECORD_ALIGN == 0);
static_assert(ICMPTAP_CSUM_NONE == CHECKSUM_NONE);
static_assert(ICMPTAP_CSUM_UNNECESSARY == CHECKSUM_UNNECESSARY);
static_assert(ICMPTAP_CSUM_COMPLETE == CHECKSUM_COMPLETE);
static_assert(ICMPTAP_CSUM_PARTIAL == CHECKSUM_PARTIAL);

/*
 * In a netfilter hook the data of a packet starts at its network header, and
 * ends with it.
 *
 * Any context: reads the packet, which the caller holds.
 */
static void begin(struct icmptap_packet *pkt, const struct sk_buff *skb,
		  const struct nf_hook_state *state, u16 flags)
{
	pkt->skb = skb;
	pkt->state = state;
	pkt->time_ns = 0;
	pkt->flags = flags;
	pkt->icmp_offset = 0;
	pkt->family = state->pf;
	pkt->hook = state->hook;
	pkt->icmp_type = 0;
	pkt->icmp_code = 0;
}

/*
 * Looks for the ICMP header at @offset in a packet that is whole or a first
 * fragment. It is @hdrlen bytes long.
 *
 * Any context: reads the packet, which the caller holds.
 */
static __always_inline void find_icmp(struct icmptap_packet *pkt,
				      unsigned int offset, unsigned int hdrlen)
{
	const struct sk_buff *skb = pkt->skb;
	const u8 *head = skb->data + offset;
	u8 buf[2];	/* type, code */

	if (unlikely(offset + hdrlen > skb_headlen(skb))) {
		if (offset + hdrlen > skb->len)
			pkt->flags |= ICMPTAP_F_MALFORMED;
		head = skb_header_pointer(skb, offset, sizeof(buf), buf);
	}
	/* Extension headers may go on for longer than icmp_offset can say. */
	if (unlikely(!head || offset > U16_MAX)) {
		pkt->flags |= ICMPTAP_F_NO_ICMP;
		return;
	}
	pkt->icmp_offset = offset;
	pkt->icmp_type = head[0];
	pkt->icmp_code = head[1];
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
void icmptap_packet_init_ipv4(struct icmptap_packet *pkt,
			      const struct sk_buff *skb,
			      const struct nf_hook_state *state)
{
	const struct iphdr *iph = ip_hdr(skb);
	unsigned int hdrlen = iph->ihl * 4;

	begin(pkt, skb, state, ip_is_fragment(iph) ? ICMPTAP_F_FRAGMENT : 0);

	if (unlikely(hdrlen < sizeof(*iph)))
		pkt->flags |= ICMPTAP_F_NO_ICMP | ICMPTAP_F_MALFORMED;
	else if (iph->frag_off & htons(IP_OFFSET))
		pkt->flags |= ICMPTAP_F_NO_ICMP;
	else
		find_icmp(pkt, hdrlen, sizeof(struct icmphdr));
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
		hdr = skb_header_pointer(skb, *offset, sizeof(buf), &buf);
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
 * @pkt: filled, if so
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
	u8 nexthdr = ipv6_hdr(skb)->nexthdr;
	__be16 frag_off = 0;

	if (nexthdr != NEXTHDR_ICMP &&
	    skip_extensions(skb, nexthdr, &offset, &frag_off) != NEXTHDR_ICMP)
		return false;

	begin(pkt, skb, state, frag_off & htons(IP6_OFFSET | IP6_MF) ?
			       ICMPTAP_F_FRAGMENT : 0);

	if (frag_off & htons(IP6_OFFSET))
		pkt->flags |= ICMPTAP_F_NO_ICMP;
	else
		find_icmp(pkt, offset, sizeof(struct icmp6hdr));
	return true;
}

/*
 * When the hook saw it: asked for once, by the first who wants the packet.
 *
 * Context: as icmptap_packet_init_ipv4().
 */
u64 icmptap_packet_time(struct icmptap_packet *pkt)
{
	if (!pkt->time_ns)
		pkt->time_ns = ktime_get_real_ns();
	return pkt->time_ns;
}

/* Any context. Packet bytes that a record of @pkt holds. */
static u32 caplen(const struct icmptap_packet *pkt, u32 snaplen)
{
	return min(pkt->skb->len, snaplen);
}

/* Any context. Bytes that icmptap_record_put() will append. */
unsigned int icmptap_record_len(const struct icmptap_packet *pkt, u32 snaplen)
{
	return ALIGN(sizeof(struct icmptap_record) + caplen(pkt, snaplen),
		     RECORD_ALIGN);
}

/*
 * As memcpy(), which for a length that the compiler does not know is a call
 * and, on many CPUs, a string instruction that starts slowly: longer than a
 * short packet takes.
 *
 * Any context.
 */
static void copy_short(u8 *to, const u8 *from, unsigned int len)
{
	u8 *last = to + len - 32;

	if (unlikely(len < 32)) {
		memcpy(to, from, len);
		return;
	}
	for (; to < last; to += 32, from += 32)
		memcpy(to, from, 32);

	/* The last ones, of which some may be there already. */
	memcpy(last, from - (to - last), 32);
}

/*
 * Copies the first @len bytes of a packet.
 *
 * Any context; the caller holds the packet. Fails only for pages that the
 * kernel itself may not read.
 */
static int copy_packet(void *to, const struct sk_buff *skb, unsigned int len)
{
	if (likely(len <= SHORT && len <= skb_headlen(skb))) {
		copy_short(to, skb->data, len);
		return 0;
	}
	return skb_copy_bits(skb, 0, to, len);
}

/* Any context: reads the packet, which the caller holds. */
static void put_vlan(struct icmptap_record *rec, const struct sk_buff *skb)
{
	rec->vlan_tci = skb_vlan_tag_get(skb);
	rec->flags |= ICMPTAP_F_VLAN;
	if (skb->vlan_proto == htons(ETH_P_8021AD))
		rec->flags |= ICMPTAP_F_VLAN_AD;
}

/*
 * Appends the record of @pkt to @msg, which has room for it: @len bytes, as
 * icmptap_record_len() says.
 *
 * Any context; the caller owns @msg and holds the packet, whose time was
 * asked for.
 */
void icmptap_record_put(struct sk_buff *msg, const struct icmptap_packet *pkt,
			u32 snaplen, unsigned int len)
{
	const struct nf_hook_state *state = pkt->state;
	const struct sk_buff *skb = pkt->skb;
	u32 captured = caplen(pkt, snaplen);
	struct icmptap_record *rec = __skb_put(msg, len);
	u16 flags = pkt->flags | skb->ip_summed << ICMPTAP_CSUM_SHIFT;

	/* Padding, if there is any, is in the last word; the rest is written. */
	*(u64 *)((u8 *)rec + len - RECORD_ALIGN) = 0;

	if (unlikely(copy_packet(rec + 1, skb, captured))) {
		memset(rec + 1, 0, len - sizeof(*rec));
		captured = 0;
	}
	if (captured < skb->len)
		flags |= ICMPTAP_F_TRUNCATED;

	rec->len = len;
	rec->hdrlen = sizeof(*rec);
	rec->flags = flags;
	rec->time_ns = pkt->time_ns;
	rec->caplen = captured;
	rec->origlen = skb->len;
	rec->netns = state->net->ns.inum;
	rec->iif = state->in ? state->in->ifindex : 0;
	rec->oif = state->out ? state->out->ifindex : 0;
	rec->mark = skb->mark;
	rec->vlan_tci = 0;
	rec->icmp_offset = pkt->icmp_offset;
	rec->family = pkt->family;
	rec->hook = pkt->hook;
	rec->icmp_type = pkt->icmp_type;
	rec->icmp_code = pkt->icmp_code;
	if (unlikely(skb_vlan_tag_present(skb)))
		put_vlan(rec, skb);
}
