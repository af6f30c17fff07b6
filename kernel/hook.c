// SPDX-License-Identifier: GPL-2.0
/*
 * A packet arrives at a netfilter hook.
 *
 * Each network namespace has a tap per family and hook. A tap's netfilter
 * hook is registered while a subscription wants it, of this namespace's own
 * or of those that listen everywhere: a packet pays nothing while nobody
 * listens.
 */

#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/netfilter_ipv4.h>
#include <linux/netfilter_ipv6.h>
#include <linux/rculist.h>
#include <net/ipv6.h>
#include <net/net_namespace.h>
#include <net/netns/generic.h>

#include "filter.h"
#include "hook.h"
#include "packet.h"
#include "stream.h"
#include "subscription.h"

struct icmptap_tap {
	struct list_head links;	/* RCU; written under icmptap_subs_lock */
	const struct list_head *everywhere;	/* of all_netns[], the same tap's */
	struct nf_hook_ops ops;
	bool registered;	/* icmptap_subs_lock */
};

struct icmptap_taps {
	struct icmptap_tap tap[ICMPTAP_TAPS];
	struct list_head node;	/* all_taps; icmptap_subs_lock */
	struct net *net;
};

static unsigned int taps_id __read_mostly;

/* The taps of every network namespace; icmptap_subs_lock. */
static LIST_HEAD(all_taps);

/* Links of those who listen everywhere. RCU; written under icmptap_subs_lock. */
static struct list_head all_netns[ICMPTAP_TAPS];

/*
 * Gives a packet to those on @links who want it. Returns whether one of them
 * wants it dropped.
 *
 * Context: as on_packet().
 */
static __always_inline bool offer(const struct list_head *links,
				  struct icmptap_packet *pkt)
{
	const struct icmptap_link *link;
	bool drop = false;

	list_for_each_entry_rcu(link, links, node) {
		struct icmptap_sub *sub = link->sub;

		if (link->picky &&
		    !icmptap_filter_match(&sub->params.filter, pkt))
			continue;
		if (icmptap_stream_put(sub, pkt))
			drop |= sub->params.drop;
	}
	return drop;
}

/*
 * Context: softirq or process context (what this host sends, and what comes
 * back from a queue to userspace); under the rcu_read_lock() of nf_hook(),
 * which keeps subscriptions and links.
 */
static __always_inline unsigned int on_packet(const struct icmptap_tap *tap,
					      struct icmptap_packet *pkt)
{
	bool drop = offer(&tap->links, pkt);

	drop |= offer(tap->everywhere, pkt);
	return drop ? NF_DROP : NF_ACCEPT;
}

/* Context: as on_packet(). Apart, so that other packets do not pay for it. */
static noinline unsigned int on_icmp(const struct icmptap_tap *tap,
				     struct sk_buff *skb,
				     const struct nf_hook_state *state)
{
	struct icmptap_packet pkt;

	icmptap_packet_init_ipv4(&pkt, skb, state);
	return on_packet(tap, &pkt);
}

/* Context: as on_packet(). */
static unsigned int on_ipv4(void *priv, struct sk_buff *skb,
			    const struct nf_hook_state *state)
{
	if (ip_hdr(skb)->protocol != IPPROTO_ICMP)
		return NF_ACCEPT;
	return on_icmp(priv, skb, state);
}

/* Context: as on_packet(). Apart, as on_icmp(). */
static noinline unsigned int on_icmpv6(const struct icmptap_tap *tap,
				       struct sk_buff *skb,
				       const struct nf_hook_state *state)
{
	struct icmptap_packet pkt;

	if (!icmptap_packet_init_ipv6(&pkt, skb, state))
		return NF_ACCEPT;
	return on_packet(tap, &pkt);
}

/* Context: as on_packet(). */
static unsigned int on_ipv6(void *priv, struct sk_buff *skb,
			    const struct nf_hook_state *state)
{
	u8 nexthdr = ipv6_hdr(skb)->nexthdr;

	if (nexthdr != NEXTHDR_ICMP && !ipv6_ext_hdr(nexthdr))
		return NF_ACCEPT;
	return on_icmpv6(priv, skb, state);
}

/*
 * Where a packet comes into a stage we look before all that changes or drops
 * packets, where it leaves netfilter after all of it: what is seen at INPUT
 * or POST_ROUTING passed the firewall (docs/adr/0005).
 *
 * Not the first of all: there br_netfilter takes out the second pass of
 * packets that were here already when they crossed a bridge. And not the
 * last: there connection tracking confirms what it is too late to drop.
 */
static const int priorities[NF_INET_NUMHOOKS] = {
	[NF_INET_PRE_ROUTING] = NF_IP_PRI_FIRST + 1,
	[NF_INET_LOCAL_IN] = NF_IP_PRI_LAST - 1,
	[NF_INET_FORWARD] = NF_IP_PRI_FIRST + 1,
	[NF_INET_LOCAL_OUT] = NF_IP_PRI_FIRST + 1,
	[NF_INET_POST_ROUTING] = NF_IP_PRI_LAST - 1,
};

/* Of the @nth tap. Any context. */
static u32 hook_of(unsigned int nth)
{
	return nth % NF_INET_NUMHOOKS;
}

/* Of the @nth tap. Any context. */
static u8 family_of(unsigned int nth)
{
	return nth < NF_INET_NUMHOOKS ? NFPROTO_IPV4 : NFPROTO_IPV6;
}

/* Does @sub want what the @nth tap sees? Any context. */
static bool wants(const struct icmptap_sub *sub, unsigned int nth)
{
	u32 family = family_of(nth) == NFPROTO_IPV4 ? ICMPTAP_FAMILY_IPV4 :
						      ICMPTAP_FAMILY_IPV6;

	return sub->params.families & family &&
	       sub->params.hooks & BIT(hook_of(nth));
}

/*
 * Has a tap's netfilter hook there if, and only if, somebody listens.
 *
 * Process context, sleeps; icmptap_subs_lock held.
 */
static int update_tap(struct net *net, struct icmptap_tap *tap)
{
	bool wanted = !list_empty(&tap->links) || !list_empty(tap->everywhere);
	int err;

	lockdep_assert_held(&icmptap_subs_lock);

	if (wanted && !tap->registered) {
		err = nf_register_net_hook(net, &tap->ops);
		if (err)
			return err;
		tap->registered = true;
	} else if (!wanted && tap->registered) {
		nf_unregister_net_hook(net, &tap->ops);
		tap->registered = false;
	}
	return 0;
}

/*
 * Updates the @nth tap wherever @sub listens.
 *
 * Process context, sleeps; icmptap_subs_lock held.
 */
static int update_taps(const struct icmptap_sub *sub, unsigned int nth)
{
	struct icmptap_taps *taps;
	int err;

	if (!sub->params.all_netns) {
		taps = net_generic(sub->net, taps_id);
		return update_tap(sub->net, &taps->tap[nth]);
	}
	list_for_each_entry(taps, &all_taps, node) {
		err = update_tap(taps->net, &taps->tap[nth]);
		if (err)
			return err;
	}
	return 0;
}

/**
 * icmptap_hook_attach() - let a subscription see packets
 * @sub: the subscription
 *
 * On error it may be attached to some of its taps already: the caller
 * detaches it.
 *
 * Context: process, sleeps; icmptap_subs_lock held.
 * Return: 0 or a negative errno.
 */
int icmptap_hook_attach(struct icmptap_sub *sub)
{
	struct icmptap_taps *taps = net_generic(sub->net, taps_id);
	unsigned int i;
	int err;

	lockdep_assert_held(&icmptap_subs_lock);

	for (i = 0; i < ICMPTAP_TAPS; i++) {
		struct icmptap_link *link = &sub->links[i];

		if (!wants(sub, i))
			continue;
		link->sub = sub;
		link->linked = true;
		link->picky = !icmptap_filter_wants_all(&sub->params.filter,
							family_of(i));
		list_add_tail_rcu(&link->node, sub->params.all_netns ?
				  &all_netns[i] : &taps->tap[i].links);
		err = update_taps(sub, i);
		if (err)
			return err;
	}
	return 0;
}

/*
 * Ends what icmptap_hook_attach() began. True if it was attached: then
 * packets in a hook may still use @sub until a grace period has passed.
 *
 * Process context, sleeps; icmptap_subs_lock held.
 */
bool icmptap_hook_detach(struct icmptap_sub *sub)
{
	bool attached = false;
	unsigned int i;

	lockdep_assert_held(&icmptap_subs_lock);

	for (i = 0; i < ICMPTAP_TAPS; i++) {
		struct icmptap_link *link = &sub->links[i];

		if (!link->linked)
			continue;
		/* Packets in the hook may still read the rest of it. */
		link->linked = false;
		list_del_rcu(&link->node);
		attached = true;
		/* Fails only where a hook is yet to be registered. */
		update_taps(sub, i);
	}
	return attached;
}

/*
 * A network namespace is made, or the module is loaded: those who listen
 * everywhere listen here, too.
 *
 * Process context, sleeps; takes icmptap_subs_lock.
 */
static int __net_init init_taps(struct net *net)
{
	struct icmptap_taps *taps = net_generic(net, taps_id);
	unsigned int i;
	int err = 0;

	taps->net = net;
	for (i = 0; i < ICMPTAP_TAPS; i++) {
		struct icmptap_tap *tap = &taps->tap[i];

		INIT_LIST_HEAD(&tap->links);
		tap->everywhere = &all_netns[i];
		tap->ops = (struct nf_hook_ops) {
			.hook = family_of(i) == NFPROTO_IPV4 ? on_ipv4 : on_ipv6,
			.priv = tap,
			.pf = family_of(i),
			.hooknum = hook_of(i),
			.priority = priorities[hook_of(i)],
		};
	}

	mutex_lock(&icmptap_subs_lock);
	for (i = 0; i < ICMPTAP_TAPS && !err; i++)
		err = update_tap(net, &taps->tap[i]);
	if (!err) {
		list_add_tail(&taps->node, &all_taps);
	} else {
		for (i = 0; i < ICMPTAP_TAPS; i++)
			if (taps->tap[i].registered)
				nf_unregister_net_hook(net, &taps->tap[i].ops);
	}
	mutex_unlock(&icmptap_subs_lock);
	return err;
}

/*
 * A network namespace ends, or the module is unloaded. A subscription's
 * socket keeps its own namespace, and its module reference the module: only
 * those who listen everywhere are left here.
 *
 * Process context, sleeps; takes icmptap_subs_lock. A grace period passes
 * between this and the end of the taps.
 */
static void __net_exit exit_taps(struct net *net)
{
	struct icmptap_taps *taps = net_generic(net, taps_id);
	unsigned int i;

	mutex_lock(&icmptap_subs_lock);
	list_del(&taps->node);
	for (i = 0; i < ICMPTAP_TAPS; i++) {
		WARN_ON_ONCE(!list_empty(&taps->tap[i].links));
		if (taps->tap[i].registered)
			nf_unregister_net_hook(net, &taps->tap[i].ops);
	}
	mutex_unlock(&icmptap_subs_lock);
}

static struct pernet_operations taps_net_ops = {
	.init = init_taps,
	.pre_exit = exit_taps,
	.id = &taps_id,
	.size = sizeof(struct icmptap_taps),
};

/* Module load. */
int __init icmptap_hook_init(void)
{
	unsigned int i;

	for (i = 0; i < ICMPTAP_TAPS; i++)
		INIT_LIST_HEAD(&all_netns[i]);
	return register_pernet_subsys(&taps_net_ops);
}

/* Module unload, or load that failed later. */
void icmptap_hook_uninit(void)
{
	unregister_pernet_subsys(&taps_net_ops);
}
