// SPDX-License-Identifier: GPL-2.0
/*
 * A packet arrives at a netfilter hook.
 *
 * Each network namespace has a tap per family and hook. A tap's netfilter
 * hook is registered while a subscription wants it, of this namespace's own
 * or of those that listen everywhere: a packet pays nothing while nobody
 * listens.
 */

#include <linux/atomic.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/mutex.h>
#include <linux/netfilter_ipv4.h>
#include <linux/netfilter_ipv6.h>
#include <linux/rculist.h>
#include <linux/sched.h>
#include <net/ipv6.h>
#include <net/net_namespace.h>
#include <net/netns/generic.h>

#include "filter.h"
#include "hook.h"
#include "packet.h"
#include "stream.h"
#include "subscription.h"

struct icmptap_tap {
	struct list_head links;	/* RCU; written under taps->lock */
	const struct list_head *everywhere;	/* links of the same everywhere[] */
	struct nf_hook_ops ops;
	unsigned int users;	/* subscriptions of this namespace; taps->lock */
	bool registered;	/* taps->lock */
	bool missing;		/* wanted, and refused; taps->lock */
};

struct icmptap_taps {
	struct mutex lock;	/* guards the taps against writers */
	struct icmptap_tap tap[ICMPTAP_TAPS];
	struct list_head node;	/* all_taps; everywhere_lock */
	struct net *net;
};

/* What listens at one tap in every network namespace. */
struct everywhere {
	struct list_head links;	/* RCU; written under everywhere_lock */
	unsigned int users;	/* written under everywhere_lock */
	atomic_t missing;	/* taps of this kind that are missing */
};

static unsigned int taps_id __read_mostly;

/*
 * Guards everywhere[] and all_taps, and is held while all namespaces are
 * walked: only what concerns all of them takes it. taps->lock is inside.
 */
static DEFINE_MUTEX(everywhere_lock);
static struct everywhere everywhere[ICMPTAP_TAPS];

/* The taps of every network namespace; everywhere_lock. */
static LIST_HEAD(all_taps);

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
 * Has a tap's netfilter hook there if, and only if, somebody wants it. Who
 * changes the users of everywhere[] comes to each namespace afterwards: so
 * the last to come sees what is true.
 *
 * Process context, sleeps; taps->lock held.
 */
static int update_tap(struct icmptap_taps *taps, unsigned int nth)
{
	struct icmptap_tap *tap = &taps->tap[nth];
	bool wanted, missing;
	int err = 0;

	lockdep_assert_held(&taps->lock);

	wanted = tap->users || READ_ONCE(everywhere[nth].users);
	if (wanted && !tap->registered) {
		err = nf_register_net_hook(taps->net, &tap->ops);
		tap->registered = !err;
	} else if (!wanted && tap->registered) {
		nf_unregister_net_hook(taps->net, &tap->ops);
		tap->registered = false;
	}

	missing = wanted && !tap->registered;
	if (missing != tap->missing) {
		atomic_add(missing ? 1 : -1, &everywhere[nth].missing);
		tap->missing = missing;
	}
	return err;
}

/* As update_tap(); takes taps->lock. */
static int change_users(struct icmptap_taps *taps, unsigned int nth, int change)
{
	int err;

	mutex_lock(&taps->lock);
	taps->tap[nth].users += change;
	err = update_tap(taps, nth);
	mutex_unlock(&taps->lock);
	return err;
}

/*
 * One more, or one less, listens at the @nth tap everywhere. A namespace that
 * refuses the hook, as one with 1,024 of others does, keeps nobody from the
 * rest; its tap is counted as missing. Only @own has a word.
 *
 * Process context, sleeps; everywhere_lock held.
 */
static int change_everywhere(const struct net *own, unsigned int nth,
			     int change)
{
	struct icmptap_taps *taps;
	int result = 0;

	lockdep_assert_held(&everywhere_lock);

	WRITE_ONCE(everywhere[nth].users, everywhere[nth].users + change);
	list_for_each_entry(taps, &all_taps, node) {
		int err = change_users(taps, nth, 0);

		if (net_eq(taps->net, own))
			result = err;
		cond_resched();
	}
	return result;
}

/**
 * icmptap_hook_reserve() - have the hooks there that a subscription wants
 * @sub: the subscription, which sees no packet yet
 *
 * On error it may have some of them: the caller detaches it.
 *
 * Context: process, sleeps; @sub->stop_lock held.
 * Return: 0 or a negative errno.
 */
int icmptap_hook_reserve(struct icmptap_sub *sub)
{
	struct icmptap_taps *taps = net_generic(sub->net, taps_id);
	unsigned int i;
	int err = 0;

	lockdep_assert_held(&sub->stop_lock);

	if (sub->params.all_netns)
		mutex_lock(&everywhere_lock);
	for (i = 0; i < ICMPTAP_TAPS && !err; i++) {
		if (!wants(sub, i))
			continue;
		sub->links[i].reserved = true;
		if (sub->params.all_netns)
			err = change_everywhere(sub->net, i, 1);
		else
			err = change_users(taps, i, 1);
	}
	if (sub->params.all_netns)
		mutex_unlock(&everywhere_lock);
	return err;
}

/* The lock that guards the lists that @sub's links are in. Any context. */
static struct mutex *links_lock(const struct icmptap_sub *sub)
{
	struct icmptap_taps *taps = net_generic(sub->net, taps_id);

	return sub->params.all_netns ? &everywhere_lock : &taps->lock;
}

/*
 * Lets a subscription see packets, at the hooks that it has reserved.
 *
 * Process context, sleeps; @sub->stop_lock held.
 */
void icmptap_hook_attach(struct icmptap_sub *sub)
{
	struct icmptap_taps *taps = net_generic(sub->net, taps_id);
	struct mutex *lock = links_lock(sub);
	unsigned int i;

	lockdep_assert_held(&sub->stop_lock);

	mutex_lock(lock);
	for (i = 0; i < ICMPTAP_TAPS; i++) {
		struct icmptap_link *link = &sub->links[i];

		if (!link->reserved)
			continue;
		link->sub = sub;
		link->linked = true;
		link->picky = !icmptap_filter_wants_all(&sub->params.filter,
							family_of(i));
		list_add_tail_rcu(&link->node, sub->params.all_netns ?
				  &everywhere[i].links : &taps->tap[i].links);
	}
	mutex_unlock(lock);
}

/*
 * Ends what icmptap_hook_reserve() and icmptap_hook_attach() began. True if it
 * was attached: then packets in a hook may still use @sub until a grace period
 * has passed.
 *
 * Process context, sleeps; @sub->stop_lock held.
 */
bool icmptap_hook_detach(struct icmptap_sub *sub)
{
	struct icmptap_taps *taps = net_generic(sub->net, taps_id);
	struct mutex *lock = links_lock(sub);
	bool attached = false;
	unsigned int i;

	lockdep_assert_held(&sub->stop_lock);

	mutex_lock(lock);
	for (i = 0; i < ICMPTAP_TAPS; i++) {
		struct icmptap_link *link = &sub->links[i];

		if (!link->linked)
			continue;
		/* Packets in the hook may still read the rest of it. */
		link->linked = false;
		list_del_rcu(&link->node);
		attached = true;
	}
	mutex_unlock(lock);

	/* Updates fail only where a hook is yet to be registered. */
	if (sub->params.all_netns)
		mutex_lock(&everywhere_lock);
	for (i = 0; i < ICMPTAP_TAPS; i++) {
		if (!sub->links[i].reserved)
			continue;
		sub->links[i].reserved = false;
		if (sub->params.all_netns)
			change_everywhere(sub->net, i, -1);
		else
			change_users(taps, i, -1);
	}
	if (sub->params.all_netns)
		mutex_unlock(&everywhere_lock);
	return attached;
}

/*
 * How many taps that @sub wants are missing, in any network namespace: the
 * kernel refused their hooks.
 *
 * Any context.
 */
u32 icmptap_hook_missing(const struct icmptap_sub *sub)
{
	unsigned int i;
	u32 missing = 0;

	if (!sub->params.all_netns)
		return 0;
	for (i = 0; i < ICMPTAP_TAPS; i++)
		if (wants(sub, i))
			missing += atomic_read(&everywhere[i].missing);
	return missing;
}

/*
 * A network namespace is made, or the module is loaded: those who listen
 * everywhere listen here, too. If the kernel refuses, that is no reason for
 * the namespace not to be: somebody else makes it.
 *
 * Process context, sleeps; takes everywhere_lock.
 */
static int __net_init init_taps(struct net *net)
{
	struct icmptap_taps *taps = net_generic(net, taps_id);
	unsigned int i;

	taps->net = net;
	mutex_init(&taps->lock);
	for (i = 0; i < ICMPTAP_TAPS; i++) {
		struct icmptap_tap *tap = &taps->tap[i];

		INIT_LIST_HEAD(&tap->links);
		tap->everywhere = &everywhere[i].links;
		tap->ops = (struct nf_hook_ops) {
			.hook = family_of(i) == NFPROTO_IPV4 ? on_ipv4 : on_ipv6,
			.priv = tap,
			.pf = family_of(i),
			.hooknum = hook_of(i),
			.priority = priorities[hook_of(i)],
		};
	}

	mutex_lock(&everywhere_lock);
	list_add_tail(&taps->node, &all_taps);
	for (i = 0; i < ICMPTAP_TAPS; i++)
		change_users(taps, i, 0);
	mutex_unlock(&everywhere_lock);
	return 0;
}

/*
 * A network namespace ends, or the module is unloaded. A subscription's
 * socket keeps its own namespace, and its module reference the module: only
 * those who listen everywhere are left here.
 *
 * Process context, sleeps; takes everywhere_lock and taps->lock. A grace
 * period passes between this and the end of the taps.
 */
static void __net_exit exit_taps(struct net *net)
{
	struct icmptap_taps *taps = net_generic(net, taps_id);
	unsigned int i;

	mutex_lock(&everywhere_lock);
	list_del(&taps->node);
	mutex_unlock(&everywhere_lock);

	mutex_lock(&taps->lock);
	for (i = 0; i < ICMPTAP_TAPS; i++) {
		struct icmptap_tap *tap = &taps->tap[i];

		WARN_ON_ONCE(tap->users || !list_empty(&tap->links));
		if (tap->registered)
			nf_unregister_net_hook(net, &tap->ops);
		if (tap->missing)
			atomic_dec(&everywhere[i].missing);
	}
	mutex_unlock(&taps->lock);
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
		INIT_LIST_HEAD(&everywhere[i].links);
	return register_pernet_subsys(&taps_net_ops);
}

/* Module unload, or load that failed later. */
void icmptap_hook_uninit(void)
{
	unregister_pernet_subsys(&taps_net_ops);
}
