// SPDX-License-Identifier: GPL-2.0
/*
 * A token bucket of one second's worth, shared by the streams of a
 * subscription. A stream takes several tokens at once and keeps what it does
 * not need yet: so the shared cache line is written now and then and not for
 * each packet, and what is granted at the limit comes in batches.
 *
 * Called by stream.c.
 */

#include <linux/ktime.h>
#include <linux/math64.h>
#include <linux/minmax.h>
#include <linux/time64.h>
#include <linux/timekeeping.h>

#include "ratelimit.h"

/* A hundredth of a second's worth: no CPU keeps much from the others. */
#define CHUNKS_PER_SEC	100U
#define CHUNK_MAX	64U

/* @rate: events per second, up to ICMPTAP_RATE_MAX; 0: no limit. */
void icmptap_ratelimit_init(struct icmptap_ratelimit *limit, u32 rate)
{
	limit->chunk = 0;
	atomic64_set(&limit->earned_ns, 0);
	if (!rate)
		return;

	limit->chunk = clamp(rate / CHUNKS_PER_SEC, 1U, CHUNK_MAX);
	limit->cost_ns = div_u64((u64)limit->chunk * NSEC_PER_SEC, rate);
}

/**
 * icmptap_ratelimit_take() - more credit for a stream that has none
 * @limit: the subscription's
 * @credit: gets what is left of it after this event
 *
 * Context: any that holds the lock of the stream, which guards @credit.
 * @limit is shared with other CPUs without a lock.
 */
bool icmptap_ratelimit_take(struct icmptap_ratelimit *limit, u32 *credit)
{
	s64 earned, after, now_ns;

	now_ns = ktime_get_ns();
	earned = atomic64_read(&limit->earned_ns);
	do {
		after = max(earned, now_ns) + (s64)limit->cost_ns;
		if (after > now_ns + (s64)NSEC_PER_SEC)
			return false;
	} while (!atomic64_try_cmpxchg(&limit->earned_ns, &earned, after));

	*credit = limit->chunk - 1;
	return true;
}
