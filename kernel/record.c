// SPDX-License-Identifier: GPL-2.0
/*
 * What few records need, and what all have to be: see record.h.
 */

#include <linux/build_bug.h>
#include <linux/if_vlan.h>
#include <linux/skbuff.h>
#include <linux/stddef.h>

#include "record.h"

static_assert(sizeof(struct icmptap_record) % ICMPTAP_RECORD_ALIGN == 0);
/* icmptap_record_put() writes a struct icmptap_kind over a record's end. */
#define KIND_AT		offsetof(struct icmptap_record, vlan_tci)
static_assert(offsetof(struct icmptap_record, icmp_offset) ==
	      KIND_AT + offsetof(struct icmptap_kind, icmp_offset));
static_assert(offsetof(struct icmptap_record, family) ==
	      KIND_AT + offsetof(struct icmptap_kind, family));
static_assert(offsetof(struct icmptap_record, hook) ==
	      KIND_AT + offsetof(struct icmptap_kind, hook));
static_assert(offsetof(struct icmptap_record, icmp_type) ==
	      KIND_AT + offsetof(struct icmptap_kind, icmp_type));
static_assert(offsetof(struct icmptap_record, icmp_code) ==
	      KIND_AT + offsetof(struct icmptap_kind, icmp_code));
static_assert(sizeof(struct icmptap_record) ==
	      KIND_AT + sizeof(struct icmptap_kind));
static_assert(ICMPTAP_CSUM_NONE == CHECKSUM_NONE);
static_assert(ICMPTAP_CSUM_UNNECESSARY == CHECKSUM_UNNECESSARY);
static_assert(ICMPTAP_CSUM_COMPLETE == CHECKSUM_COMPLETE);
static_assert(ICMPTAP_CSUM_PARTIAL == CHECKSUM_PARTIAL);

/* Any context: reads the packet, which the caller holds. */
void icmptap_record_put_vlan(struct icmptap_record *rec,
			     const struct sk_buff *skb)
{
	rec->vlan_tci = skb_vlan_tag_get(skb);
	rec->flags |= ICMPTAP_F_VLAN;
	if (skb->vlan_proto == htons(ETH_P_8021AD))
		rec->flags |= ICMPTAP_F_VLAN_AD;
}
