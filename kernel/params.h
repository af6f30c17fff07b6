/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a subscription asks for, as attributes: checked, read, and written
 * again with the values in force.
 */
#ifndef ICMPTAP_PARAMS_H
#define ICMPTAP_PARAMS_H

#include <net/netlink.h>
#include <linux/icmptap.h>

#include "subscription.h"

/* The longest IPv4 packet, and the longest IPv6 payload. */
#define ICMPTAP_SNAPLEN_MAX	65535

/*
 * Slab buckets: one byte more would take the next one, of twice the size, and
 * halve what a receive buffer holds.
 */
#define ICMPTAP_BATCH_MIN	((u32)SKB_WITH_OVERHEAD(1024))
#define ICMPTAP_BATCH_MAX	((u32)SKB_WITH_OVERHEAD(65536))

#define ICMPTAP_FLUSH_MAX_US	((u32)USEC_PER_SEC)

extern const struct nla_policy icmptap_params_policy[ICMPTAP_SUB_MAX + 1];

int icmptap_params_refuse_twice(const struct nlmsghdr *request,
				struct netlink_ext_ack *extack);
int icmptap_params_read(struct icmptap_params *params,
			struct nlattr *const *attrs,
			struct netlink_ext_ack *extack);
int icmptap_params_put(struct sk_buff *msg,
		       const struct icmptap_params *params);

#endif /* ICMPTAP_PARAMS_H */
