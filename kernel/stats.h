/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the subscriptions of a network namespace that have ended had counted.
 */
#ifndef ICMPTAP_STATS_H
#define ICMPTAP_STATS_H

struct icmptap_counters;
struct net;

struct icmptap_counters *icmptap_stats_ended(const struct net *net,
					     unsigned int cpu);

int icmptap_stats_init(void);
void icmptap_stats_uninit(void);

#endif /* ICMPTAP_STATS_H */
