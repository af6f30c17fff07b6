/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the module tells of its subscriptions: GET_SUBSCRIPTION, GET_STATS.
 */
#ifndef ICMPTAP_REPORT_H
#define ICMPTAP_REPORT_H

#include <net/netlink.h>
#include <linux/icmptap.h>

struct genl_info;
struct icmptap_counters;
struct netlink_callback;
struct sk_buff;

extern const struct nla_policy
icmptap_report_policy[ICMPTAP_SUB_ALL_NETNS + 1];

int icmptap_report_counters(struct sk_buff *msg, int attr,
			    const struct icmptap_counters *counters);

int icmptap_report_subs_start(struct netlink_callback *cb);
int icmptap_report_subs(struct sk_buff *msg, struct netlink_callback *cb);
int icmptap_report_stats(struct sk_buff *request, struct genl_info *info);
int icmptap_report_cpus_start(struct netlink_callback *cb);
int icmptap_report_cpus(struct sk_buff *msg, struct netlink_callback *cb);

#endif /* ICMPTAP_REPORT_H */
