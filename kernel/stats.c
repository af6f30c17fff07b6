// SPDX-License-Identifier: GPL-2.0
/*
 * What the subscriptions of a network namespace have counted. Those that live
 * are asked; what the others had counted at their end is kept here. So a
 * packet pays nothing for it.
 *
 * Called by subscription.c at the end of each, and by report.c.
 */

#include <linux/percpu.h>
#include <net/net_namespace.h>
#include <net/netns/generic.h>

#include "stats.h"
#include "stream.h"
#include "subscription.h"

struct stats_net {
	struct icmptap_counters __percpu *ended;	/* icmptap_subs_lock */
};

static unsigned int stats_net_id __read_mostly;

/*
 * Keeps the counters of a stopped subscription that leaves the list.
 *
 * Process context; icmptap_subs_lock held.
 */
void icmptap_stats_retire(struct icmptap_sub *sub)
{
	struct stats_net *stats = net_generic(sub->net, stats_net_id);
	unsigned int cpu;

	lockdep_assert_held(&icmptap_subs_lock);

	for_each_possible_cpu(cpu)
		icmptap_stream_count(sub, cpu, per_cpu_ptr(stats->ended, cpu));
}

struct count {
	unsigned int cpu;
	struct icmptap_counters *sum;
};

/* Process context; icmptap_subs_lock held. */
static int count_one(struct icmptap_sub *sub, void *arg)
{
	const struct count *count = arg;

	icmptap_stream_count(sub, count->cpu, count->sum);
	return 0;
}

/*
 * Adds what one CPU counted for the subscriptions whose socket is in @net.
 *
 * Process context; icmptap_subs_lock held.
 */
void icmptap_stats_count(const struct net *net, unsigned int cpu,
			 struct icmptap_counters *sum)
{
	struct stats_net *stats = net_generic(net, stats_net_id);
	struct count count = { .cpu = cpu, .sum = sum };

	lockdep_assert_held(&icmptap_subs_lock);

	icmptap_counters_add(sum, per_cpu_ptr(stats->ended, cpu));
	icmptap_subs_for_each(net, count_one, &count);
}

/* Process context: a network namespace is made, or the module is loaded. */
static int __net_init init_stats(struct net *net)
{
	struct stats_net *stats = net_generic(net, stats_net_id);

	stats->ended = alloc_percpu_gfp(struct icmptap_counters,
					GFP_KERNEL_ACCOUNT);
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
