/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the subscriptions of a network namespace have counted, those that have
 * ended included.
 */
#ifndef ICMPTAP_STATS_H
#define ICMPTAP_STATS_H

struct icmptap_counters;
struct icmptap_sub;
struct net;

void icmptap_stats_retire(struct icmptap_sub *sub);
void icmptap_stats_count(const struct net *net, unsigned int cpu,
			 struct icmptap_counters *sum);

int icmptap_stats_init(void);
void icmptap_stats_uninit(void);

#endif /* ICMPTAP_STATS_H */
