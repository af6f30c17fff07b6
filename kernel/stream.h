/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Streams: one per subscription and CPU. Here a matched packet gets its
 * sequence number, waits in a batch, and is counted as delivered or lost.
 */
#ifndef ICMPTAP_STREAM_H
#define ICMPTAP_STREAM_H

#include <linux/hrtimer.h>
#include <linux/interrupt.h>
#include <linux/skbuff.h>
#include <linux/spinlock.h>
#include <linux/types.h>

struct icmptap_packet;
struct icmptap_params;
struct icmptap_sub;
struct page;

/*
 * matched == delivered + lost_overrun + lost_nomem + lost_ratelimit + queued
 */
struct icmptap_counters {
	u64 matched;		/* sequence numbers given out */
	u64 delivered;
	u64 lost_overrun;
	u64 lost_nomem;
	u64 lost_ratelimit;
	u64 queued;		/* in batches that are not sent yet */
	u64 sampled_out;	/* not matched */
};

/* A stream has the memory of so many full batches, in turn, and of one more. */
#define ICMPTAP_TURNS	3
#define ICMPTAP_PAGES	(ICMPTAP_TURNS + 1)

struct icmptap_stream {
	spinlock_t lock;	/* guards what follows, to next_page */
	bool timer_armed;
	u32 skip;		/* packets to pass over before the next sample */
	u32 rate_credit;	/* events that need no look at the rate limit */
	u32 count;		/* records in the open batch */
	struct icmptap_counters counters;	/* queued: in closed batches */
	u64 flushed_ns;		/* CLOCK_REALTIME when a batch was last closed */
	struct sk_buff *batch;	/* the open batch, or NULL */
	u8 *next;		/* in it: where the next record goes */
	u8 *end;		/* in it: where its room ends */
	struct sk_buff_head closed;	/* batches for sender; not its own lock */
	unsigned int closed_size;	/* their truesize, and what is being sent */
	u32 batches_closed;	/* so many joined the queue */
	u32 batches_settled;	/* so many left it; both are read unlocked */
	unsigned int next_page;	/* of pages: for the next batch */

	/* Constant while the subscription lives. */
	struct page *pages[ICMPTAP_PAGES];	/* all or none */
	unsigned int cpu;
	struct icmptap_sub *sub;

	struct hrtimer timer;	/* closes the open batch */
	struct tasklet_struct sender;	/* the only one that sends */
};

u64 icmptap_streams_bytes(const struct icmptap_params *params);
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
