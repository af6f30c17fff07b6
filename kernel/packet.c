// SPDX-License-Identifier: GPL-2.0
/*
 * Is a packet ICMP, and where in it? What packet.h leaves to a call: IPv6, and
 * packets whose ICMP header is not at hand.
 *
 * The ICMP header is found and not dissected: that is userspace's work,
 * where a mistake is not an oops. Called by hook.c.
 */

#include <linux/icmpv6.h>
#include <linux/ipv6.h>
#include <linux/skbuff.h>
#include <net/ipv6.h>

#include "packet.h"

/*
 * Extension headers before ICMPv6. Kernels that have a limit take 12
 * (IP6_MAX_EXT_HDRS_CNT).
 */
#define EXTENSIONS_MAX	32

/*
 * Looks for an ICMP header that is not whole in the linear part, or too far
 * away.
 *
 * Context: as icmptap_packet_find_icmp().
 */
void icmptap_packet_find_far_icmp(struct icmptap_packet *pkt,
				  unsigned int offset, unsigned int hdrlen)
{
	const struct sk_buff *skb = pkt->skb;
	u8 buf[2];	/* type, code */
	const u8 *head;

	if (offset + hdrlen > skb->len)
		pkt->flags |= ICMPTAP_F_MALFORMED;
	head = skb_header_pointer(skb, offset, sizeof(buf), buf);
	/* Extension headers may go on for longer than icmp_offset can say. */
	if (!head || offset > U16_MAX) {
		pkt->flags |= ICMPTAP_F_NO_ICMP;
		return;
	}
	pkt->kind.icmp_offset = offset;
	pkt->kind.icmp_type = head[0];
	pkt->kind.icmp_code = head[1];
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

	icmptap_packet_begin(pkt, skb, state);

	if (frag_off & htons(IP6_OFFSET | IP6_MF))
		pkt->flags |= ICMPTAP_F_FRAGMENT;
	if (frag_off & htons(IP6_OFFSET))
		pkt->flags |= ICMPTAP_F_NO_ICMP;
	else
		icmptap_packet_find_icmp(pkt, offset, sizeof(struct icmp6hdr));
	return true;
}
