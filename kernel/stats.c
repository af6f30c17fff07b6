// SPDX-License-Identifier: GPL-2.0
/*
 * What the subscriptions of a network namespace had counted at their end.
 * Those that live are asked, by report.c: so a packet pays nothing for it.
 *
 * Called by subscription.c at the end of each, and by report.c.
 */

#include <linux/percpu.h>
#include <net/net_namespace.h>
#include <net/netns/generic.h>

#include "stats.h"
#include "stream.h"

struct stats_net {
	struct icmptap_counters __percpu *ended;	/* icmptap_subs_lock */
};

static unsigned int stats_net_id __read_mostly;

/*
 * What one CPU counted for the subscriptions of @net that have ended, to read
 * and to add to. It stays as long as @net does.
 *
 * Process context; the caller holds icmptap_subs_lock, as long as it uses it.
 */
struct icmptap_counters *icmptap_stats_ended(const struct net *net,
					     unsigned int cpu)
{
	struct stats_net *stats = net_generic(net, stats_net_id);

	return per_cpu_ptr(stats->ended, cpu);
}

/* Process context: a network namespace is made, or the module is loaded. */
static int __net_init init_stats(struct net *net)
{
	struct stats_net *stats = net_generic(net, stats_net_id);

	stats->ended = alloc_percpu_gfp(struct icmptap_counters,
					GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	return stats->ended ? 0 : -ENOMEM;
}

/* Process context. No subscription's socket is here any more. */
static void __net_exit exit_stats(struct net *net)
{
	struct stats_net *stats = net_generic(net, stats_net_id);

	free_percpu(stats->ended);
}

static struct pernet_operations stats_net_ops = {
	.init = init_stats,
	.exit = exit_stats,
	.id = &stats_net_id,
	.size = sizeof(struct stats_net),
};

/* Module load. */
int __init icmptap_stats_init(void)
{
	return register_pernet_subsys(&stats_net_ops);
}

/* Module unload, or load that failed later. */
void icmptap_stats_uninit(void)
{
	unregister_pernet_subsys(&stats_net_ops);
}
