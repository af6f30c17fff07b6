/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One packet -> one record: metadata and the first snaplen bytes.
 *
 * Inline, as packet.h: stream.c writes one for each packet that is taken.
 */
#ifndef ICMPTAP_RECORD_H
#define ICMPTAP_RECORD_H

#include <linux/if_vlan.h>
#include <linux/kernel.h>
#include <linux/netdevice.h>
#include <linux/netfilter.h>
#include <linux/skbuff.h>
#include <linux/stddef.h>
#include <linux/string.h>
#include <linux/types.h>
#include <net/net_namespace.h>
#include <linux/icmptap.h>

#include "packet.h"

/* Records stay aligned in the message, so that readers may cast. */
#define ICMPTAP_RECORD_ALIGN	8

/* Bytes of a packet that icmptap_copy_short() is for. */
#define ICMPTAP_SHORT		256

void icmptap_record_put_vlan(struct icmptap_record *rec,
			     const struct sk_buff *skb);

/* Any context. Packet bytes that a record of @pkt holds. */
static inline u32 icmptap_record_caplen(const struct icmptap_packet *pkt,
					u32 snaplen)
{
	return min(pkt->skb->len, snaplen);
}

/* Any context. Bytes that icmptap_record_put() will write. */
static inline unsigned int icmptap_record_len(const struct icmptap_packet *pkt,
					      u32 snaplen)
{
	return ALIGN(sizeof(struct icmptap_record) +
		     icmptap_record_caplen(pkt, snaplen), ICMPTAP_RECORD_ALIGN);
}

/*
 * As memcpy(), which for a length that the compiler does not know is a call
 * and, on many CPUs, a string instruction that starts slowly: longer than a
 * short packet takes.
 *
 * Any context.
 */
static inline void icmptap_copy_short(u8 *to, const u8 *from, unsigned int len)
{
	const u8 *from_last = from + len - 32;
	u8 *last = to + len - 32;

	if (unlikely(len < 32)) {
		memcpy(to, from, len);
		return;
	}
	for (; to < last; to += 32, from += 32)
		memcpy(to, from, 32);

	/* Of which some may be there already. */
	memcpy(last, from_last, 32);
}

/*
 * Copies the first @len bytes of a packet.
 *
 * Any context; the caller holds the packet. Fails only for pages that the
 * kernel itself may not read.
 */
static inline int icmptap_copy_packet(void *to, const struct sk_buff *skb,
				      unsigned int len)
{
	if (likely(len <= ICMPTAP_SHORT && len <= skb_headlen(skb))) {
		icmptap_copy_short(to, skb->data, len);
		return 0;
	}
	return skb_copy_bits(skb, 0, to, len);
}

/*
 * Writes the record of @pkt to @to, which is aligned and has room for it:
 * @len bytes, as icmptap_record_len() says. Every byte is written.
 *
 * Any context; the caller owns @to and holds the packet, whose time was
 * asked for.
 */
static inline void icmptap_record_put(void *to, const struct icmptap_packet *pkt,
				      u32 snaplen, unsigned int len)
{
	const struct nf_hook_state *state = pkt->state;
	u32 captured = icmptap_record_caplen(pkt, snaplen);
	const struct sk_buff *skb = pkt->skb;
	struct icmptap_record *rec = to;
	u32 origlen = skb->len;
	u16 flags = pkt->flags | skb->ip_summed << ICMPTAP_CSUM_SHIFT;

	/* Padding, if there is any, is in the last word; the rest is written. */
	*(u64 *)(to + len - ICMPTAP_RECORD_ALIGN) = 0;

	if (unlikely(icmptap_copy_packet(rec + 1, skb, captured))) {
		memset(rec + 1, 0, len - sizeof(*rec));
		captured = 0;
	}
	if (captured < origlen)
		flags |= ICMPTAP_F_TRUNCATED;

	rec->len = len;
	rec->hdrlen = sizeof(*rec);
	rec->flags = flags;
	rec->time_ns = pkt->time_ns;
	rec->caplen = captured;
	rec->origlen = origlen;
	rec->netns = state->net->ns.inum;
	rec->iif = state->in ? state->in->ifindex : 0;
	rec->oif = state->out ? state->out->ifindex : 0;
	rec->mark = skb->mark;
	memcpy(to + offsetof(struct icmptap_record, vlan_tci), &pkt->kind,
	       sizeof(pkt->kind));
	if (unlikely(skb_vlan_tag_present(skb)))
		icmptap_record_put_vlan(rec, skb);
}

#endif /* ICMPTAP_RECORD_H */
