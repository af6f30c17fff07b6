// SPDX-License-Identifier: GPL-2.0
/*
 * One packet -> one record: metadata and the first snaplen bytes.
 *
 * The ICMP header is found and not dissected: that is userspace's work,
 * where a mistake is not an oops. Called by hook.c and, for each message,
 * by genl.c.
 */

#include <linux/if_vlan.h>
#include <linux/icmp.h>
#include <linux/ip.h>
#include <linux/ktime.h>
#include <linux/netfilter.h>
#include <linux/skbuff.h>
#include <linux/string.h>
#include <linux/timekeeping.h>
#include <net/ip.h>
#include <net/net_namespace.h>

#include "record.h"

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

/*
 * Looks for the ICMP header at @offset, counted from the network header, in
 * a packet that is whole or a first fragment.
 *
 * Any context: reads the packet, which the caller holds.
 */
static void find_icmp(struct icmptap_record *rec, const struct sk_buff *skb,
		      unsigned int offset)
{
	const u8 *head;
	u8 buf[2];	/* type, code */

	if (offset + sizeof(struct icmphdr) > rec->origlen)
		rec->flags |= ICMPTAP_F_MALFORMED;

	head = skb_header_pointer(skb, skb_network_offset(skb) + offset,
				  sizeof(buf), buf);
	if (!head) {
		rec->flags |= ICMPTAP_F_NO_ICMP;
		return;
	}
	rec->icmp_offset = offset;
	rec->icmp_type = head[0];
	rec->icmp_code = head[1];
}

/**
 * icmptap_packet_init_ipv4() - what all records of one packet share
 * @pkt: filled
 * @skb: an IPv4 packet with protocol ICMP and its IP header in the linear part
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
	struct icmptap_record *rec = &pkt->record;

	pkt->skb = skb;
	pkt->mono_ns = ktime_get_ns();

	*rec = (struct icmptap_record) {
		.hdrlen = sizeof(*rec),
		.flags = vlan_flags(skb) |
			 skb->ip_summed << ICMPTAP_CSUM_SHIFT,
		.time_ns = ktime_to_ns(ktime_mono_to_real(pkt->mono_ns)),
		.origlen = skb->len - skb_network_offset(skb),
		.netns = state->net->ns.inum,
		.iif = state->in ? state->in->ifindex : 0,
		.oif = state->out ? state->out->ifindex : 0,
		.mark = skb->mark,
		.vlan_tci = vlan_tci(skb),
		.family = state->pf,
		.hook = state->hook,
	};

	if (ip_is_fragment(iph))
		rec->flags |= ICMPTAP_F_FRAGMENT;

	if (ip_hdrlen(skb) < sizeof(*iph))
		rec->flags |= ICMPTAP_F_NO_ICMP | ICMPTAP_F_MALFORMED;
	else if (iph->frag_off & htons(IP_OFFSET))
		rec->flags |= ICMPTAP_F_NO_ICMP;
	else
		find_icmp(rec, skb, ip_hdrlen(skb));
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
