/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Taps: our netfilter hooks, each there only while a subscription wants it.
 */
#ifndef ICMPTAP_HOOK_H
#define ICMPTAP_HOOK_H

#include <linux/bits.h>
#include <linux/list.h>
#include <linux/netfilter.h>
#include <linux/types.h>
#include <linux/icmptap.h>

struct icmptap_sub;

/* What can be tapped: one tap for each family and hook. */
#define ICMPTAP_HOOKS		((u32)GENMASK(NF_INET_NUMHOOKS - 1, 0))
#define ICMPTAP_FAMILIES	((u32)(ICMPTAP_FAMILY_IPV4 | ICMPTAP_FAMILY_IPV6))
#define ICMPTAP_TAPS		(2 * NF_INET_NUMHOOKS)

/* A subscription's place at one tap, or at that tap of every namespace. */
struct icmptap_link {
	struct list_head node;	/* RCU; written under the list's lock */
	struct icmptap_sub *sub;	/* constant while linked */
	bool reserved;		/* counts as a user; sub->stop_lock */
	bool linked;		/* in the list; sub->stop_lock */
	bool picky;		/* does not want all; constant while linked */
};

int icmptap_hook_reserve(struct icmptap_sub *sub);
void icmptap_hook_attach(struct icmptap_sub *sub);
bool icmptap_hook_detach(struct icmptap_sub *sub);
u32 icmptap_hook_missing(const struct icmptap_sub *sub);

int icmptap_hook_init(void);
void icmptap_hook_uninit(void);

#endif /* ICMPTAP_HOOK_H */
