// SPDX-License-Identifier: GPL-2.0
/*
 * A packet arrives at a netfilter hook.
 *
 * Each network namespace has a tap per family and hook. A tap's netfilter
 * hook is registered with its first subscription and removed with its last:
 * a packet pays nothing while nobody listens.
 */

#include <linux/ip.h>
#include <linux/netfilter_ipv4.h>
#include <linux/rculist.h>
#include <net/net_namespace.h>
#include <net/netns/generic.h>

#include "hook.h"
#include "record.h"
#include "stream.h"
#include "subscription.h"

struct icmptap_tap {
	struct list_head links;	/* RCU; written under icmptap_subs_lock */
	struct nf_hook_ops ops;
};

struct icmptap_taps {
	struct icmptap_tap tap[ICMPTAP_TAPS];
};

static unsigned int taps_id __read_mostly;

/*
 * Context: softirq, or process context with bottom halves disabled; under
 * the rcu_read_lock() of nf_hook(), which keeps subscriptions and links.
 */
static unsigned int on_ipv4(void *priv, struct sk_buff *skb,
			    const struct nf_hook_state *state)
{
	const struct icmptap_tap *tap = priv;
	unsigned int verdict = NF_ACCEPT;
	const struct icmptap_link *link;
	struct icmptap_packet pkt;

	if (ip_hdr(skb)->protocol != IPPROTO_ICMP)
		return NF_ACCEPT;

	icmptap_packet_init_ipv4(&pkt, skb, state);

	list_for_each_entry_rcu(link, &tap->links, node) {
		icmptap_stream_put(link->sub, &pkt);
		if (link->sub->params.drop)
			verdict = NF_DROP;
	}
	return verdict;
}

/* First of all at each hook: what is seen is what arrived. */
static const struct nf_hook_ops tap_ops[ICMPTAP_TAPS] = {
	{
		.hook = on_ipv4,
		.pf = NFPROTO_IPV4,
		.hooknum = NF_INET_PRE_ROUTING,
		.priority = NF_IP_PRI_FIRST,
	},
};

/* Does @sub want what @tap sees? Any context. */
static bool wants(const struct icmptap_sub *sub, const struct icmptap_tap *tap)
{
	u32 family = tap->ops.pf == NFPROTO_IPV4 ? ICMPTAP_FAMILY_IPV4 :
						   ICMPTAP_FAMILY_IPV6;

	return sub->params.families & family &&
	       sub->params.hooks & BIT(tap->ops.hooknum);
}

/* Process context, sleeps; icmptap_subs_lock held. */
static int link_tap(struct icmptap_link *link, struct icmptap_tap *tap,
		    struct icmptap_sub *sub)
{
	int err;

	if (list_empty(&tap->links)) {
		err = nf_register_net_hook(sub->net, &tap->ops);
		if (err)
			return err;
	}
	link->sub = sub;
	link->tap = tap;
	list_add_tail_rcu(&link->node, &tap->links);
	return 0;
}

/* Process context, sleeps; icmptap_subs_lock held. */
static void unlink_tap(struct icmptap_link *link)
{
	struct icmptap_tap *tap = link->tap;

	list_del_rcu(&link->node);
	link->tap = NULL;
	if (list_empty(&tap->links))
		nf_unregister_net_hook(link->sub->net, &tap->ops);
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
		if (!wants(sub, &taps->tap[i]))
			continue;
		err = link_tap(&sub->links[i], &taps->tap[i], sub);
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
		if (!sub->links[i].tap)
			continue;
		unlink_tap(&sub->links[i]);
		attached = true;
	}
	return attached;
}

/* Process context: a network namespace is made, or the module is loaded. */
static int __net_init init_taps(struct net *net)
{
	struct icmptap_taps *taps = net_generic(net, taps_id);
	unsigned int i;

	for (i = 0; i < ICMPTAP_TAPS; i++) {
		struct icmptap_tap *tap = &taps->tap[i];

		INIT_LIST_HEAD(&tap->links);
		tap->ops = tap_ops[i];
		tap->ops.priv = tap;
	}
	return 0;
}

/*
 * Process context. A subscription's socket keeps its network namespace, and
 * its module reference the module: by now there is none.
 */
static void __net_exit exit_taps(struct net *net)
{
	struct icmptap_taps *taps = net_generic(net, taps_id);
	unsigned int i;

	for (i = 0; i < ICMPTAP_TAPS; i++)
		WARN_ON_ONCE(!list_empty(&taps->tap[i].links));
}

static struct pernet_operations taps_net_ops = {
	.init = init_taps,
	.exit = exit_taps,
	.id = &taps_id,
	.size = sizeof(struct icmptap_taps),
};

/* Module load. */
int __init icmptap_hook_init(void)
{
	return register_pernet_subsys(&taps_net_ops);
}

/* Module unload, or load that failed later. */
void icmptap_hook_uninit(void)
{
	unregister_pernet_subsys(&taps_net_ops);
}
