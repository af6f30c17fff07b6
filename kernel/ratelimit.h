/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A limit on the events of a subscription, over all its CPUs.
 */
#ifndef ICMPTAP_RATELIMIT_H
#define ICMPTAP_RATELIMIT_H

#include <linux/atomic.h>
#include <linux/cache.h>
#include <linux/types.h>

#define ICMPTAP_RATE_MAX	1000000000U	/* events per second */

struct icmptap_ratelimit {
	u32 chunk;	/* events that a stream takes at once; 0: no limit */
	u64 cost_ns;	/* time that the rate needs for a chunk */

	/* When all that was granted will have been earned, CLOCK_MONOTONIC. */
	atomic64_t earned_ns ____cacheline_aligned_in_smp;
};

void icmptap_ratelimit_init(struct icmptap_ratelimit *limit, u32 rate);
bool icmptap_ratelimit_take(struct icmptap_ratelimit *limit, u32 *credit);

/*
 * May this event pass? @credit: tokens that the stream has left.
 *
 * Any context that holds the stream's lock, which guards @credit.
 */
static inline bool icmptap_ratelimit_allow(struct icmptap_ratelimit *limit,
					   u32 *credit)
{
	if (likely(!limit->chunk))
		return true;
	if (*credit) {
		--*credit;
		return true;
	}
	return icmptap_ratelimit_take(limit, credit);
}

#endif /* ICMPTAP_RATELIMIT_H */
