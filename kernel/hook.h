/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Taps: our netfilter hooks, each there only while a subscription wants it.
 */
#ifndef ICMPTAP_HOOK_H
#define ICMPTAP_HOOK_H

#include <linux/bits.h>
#include <linux/netfilter.h>
#include <linux/types.h>
#include <linux/icmptap.h>

struct icmptap_sub;
struct icmptap_tap;

/* What can be tapped: one tap for each family and hook. */
#define ICMPTAP_HOOKS		((u32)BIT(NF_INET_PRE_ROUTING))
#define ICMPTAP_FAMILIES	((u32)ICMPTAP_FAMILY_IPV4)
#define ICMPTAP_TAPS		1

/* A subscription's place at one tap. */
struct icmptap_link {
	struct list_head node;	/* RCU; tap->links */
	struct icmptap_tap *tap;	/* NULL while not linked */
	struct icmptap_sub *sub;
};

int icmptap_hook_attach(struct icmptap_sub *sub);
bool icmptap_hook_detach(struct icmptap_sub *sub);

int icmptap_hook_init(void);
void icmptap_hook_uninit(void);

#endif /* ICMPTAP_HOOK_H */
