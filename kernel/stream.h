/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Streams: one per subscription and CPU. Here a matched packet gets its
 * sequence number, waits in a batch, and is counted as delivered or lost.
 */
#ifndef ICMPTAP_STREAM_H
#define ICMPTAP_STREAM_H

#include <linux/hrtimer.h>
#include <linux/spinlock.h>
#include <linux/types.h>

struct icmptap_packet;
struct icmptap_sub;
struct page;
struct sk_buff;

/*
 * matched == delivered + lost_overrun + lost_nomem + lost_ratelimit + queued
 */
struct icmptap_counters {
	u64 matched;		/* sequence numbers given out */
	u64 delivered;
	u64 lost_overrun;
	u64 lost_nomem;
	u64 lost_ratelimit;
	u64 queued;		/* records in the open batch */
	u64 sampled_out;	/* not matched */
};

/* While a stream is busy it keeps the memory of so many full batches. */
#define ICMPTAP_PAGES	4

struct icmptap_stream {
	spinlock_t lock;	/* guards what follows, to pages */
	bool timer_armed;
	bool busy;		/* a batch took pages since the timer ran */
	u32 skip;		/* packets to pass over before the next sample */
	u32 rate_credit;	/* events that need no look at the rate limit */
	struct icmptap_counters counters;
	u64 flushed_ns;		/* CLOCK_REALTIME of the last flush */
	struct sk_buff *batch;	/* the open batch, or NULL */
	u8 *next;		/* in it: where the next record goes */
	u8 *end;		/* in it: where its room ends */
	unsigned int next_page;	/* of the next ones */
	struct page *pages[ICMPTAP_PAGES];	/* batches' memory, in turn */

	unsigned int cpu;	/* constant, like sub */
	struct icmptap_sub *sub;
	struct hrtimer timer;
};

static inline u64 icmptap_counters_lost(const struct icmptap_counters *counters)
{
	return counters->lost_overrun + counters->lost_nomem +
	       counters->lost_ratelimit;
}

int icmptap_streams_init(struct icmptap_sub *sub);
void icmptap_streams_stop(struct icmptap_sub *sub);
void icmptap_streams_uninit(struct icmptap_sub *sub);

bool icmptap_stream_put(struct icmptap_sub *sub, struct icmptap_packet *pkt);
void icmptap_streams_flush(struct icmptap_sub *sub);

void icmptap_counters_add(struct icmptap_counters *sum,
			  const struct icmptap_counters *counters);
void icmptap_stream_count(struct icmptap_sub *sub, unsigned int cpu,
			  struct icmptap_counters *sum);
void icmptap_streams_count(struct icmptap_sub *sub,
			   struct icmptap_counters *sum);

#endif /* ICMPTAP_STREAM_H */
