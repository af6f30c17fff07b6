// SPDX-License-Identifier: GPL-2.0
/*
 * Per-CPU batches, sequence numbers, loss and flushing.
 *
 * A record that finds its stream idle for a flush interval leaves at once,
 * in a message made to measure: a lone ping is not delayed. Any other waits
 * in the open batch until the batch is full or the interval has passed.
 *
 * Called by hook.c for each packet, by subscription.c for the life of the
 * streams and by genl.c for FLUSH.
 */

#include <linux/ktime.h>
#include <linux/percpu.h>
#include <linux/skbuff.h>

#include "compat.h"
#include "record.h"
#include "stream.h"
#include "subscription.h"

/* Any context that may take the stream's lock; holds it. */
static bool is_due(const struct icmptap_stream *stream, u64 now_ns)
{
	/* Signed: another CPU may have flushed since now_ns was read. */
	return (s64)(now_ns - stream->flushed_ns) >=
	       (s64)stream->sub->params.flush_ns;
}

/*
 * Opens a batch with room for @len bytes of records. Its first record has
 * the sequence number that was given out last.
 *
 * Softirq or process context, stream->lock held.
 */
static bool open_batch(struct icmptap_stream *stream, unsigned int len)
{
	const struct icmptap_sub *sub = stream->sub;
	struct sk_buff *msg;

	msg = alloc_skb(sub->door->hdrlen + len, GFP_ATOMIC | __GFP_NOWARN);
	if (!msg)
		return false;

	sub->door->open(msg, stream);
	stream->batch = msg;
	return true;
}

/*
 * Hands the open batch, if there is one, to the subscriber's socket and
 * settles its records.
 *
 * Softirq or process context, stream->lock held: so the batches of a stream
 * arrive in order. netlink_unicast() does not sleep here.
 */
static void flush(struct icmptap_stream *stream, u64 now_ns)
{
	struct icmptap_counters *counters = &stream->counters;
	u64 count = counters->queued;
	struct sk_buff *msg = stream->batch;

	if (!msg)
		return;

	stream->batch = NULL;
	stream->flushed_ns = now_ns;
	counters->queued = 0;

	/* -EAGAIN: the receive buffer is full; -ECONNREFUSED: it is gone. */
	if (stream->sub->door->send(stream->sub, msg, count) < 0)
		counters->lost_overrun += count;
	else
		counters->delivered += count;
}

/* Softirq or process context, stream->lock held. */
static void arm_timer(struct icmptap_stream *stream, u64 now_ns)
{
	u64 due_ns = stream->flushed_ns + stream->sub->params.flush_ns;

	if (stream->timer_armed)
		return;

	stream->timer_armed = true;
	hrtimer_start(&stream->timer, ns_to_ktime(due_ns - now_ns),
		      HRTIMER_MODE_REL_PINNED_SOFT);
}

/*
 * A batch has waited for the flush interval, or another one was sent in the
 * meantime and the present one has still some time left.
 *
 * Softirq (hrtimer), takes stream->lock. icmptap_streams_stop() waits for it.
 */
static enum hrtimer_restart on_timer(struct hrtimer *timer)
{
	struct icmptap_stream *stream =
		container_of(timer, struct icmptap_stream, timer);
	enum hrtimer_restart restart = HRTIMER_NORESTART;
	u64 now_ns = ktime_get_ns();

	spin_lock_bh(&stream->lock);
	if (is_due(stream, now_ns))
		flush(stream, now_ns);

	if (stream->batch) {
		hrtimer_set_expires(timer, ns_to_ktime(stream->flushed_ns +
						       stream->sub->params.flush_ns));
		restart = HRTIMER_RESTART;
	} else {
		stream->timer_armed = false;
	}
	spin_unlock_bh(&stream->lock);

	return restart;
}

/**
 * icmptap_stream_put() - give a matched packet to a subscription
 * @sub: the subscription
 * @pkt: the packet
 *
 * From here on the packet has a sequence number, and ends in exactly one of
 * the counters.
 *
 * Context: a netfilter hook (softirq, or process context on the way out),
 * under the rcu_read_lock() that keeps @sub. Takes this CPU's stream lock;
 * should the task migrate before it has it, the lock is what counts.
 */
void icmptap_stream_put(struct icmptap_sub *sub,
			const struct icmptap_packet *pkt)
{
	struct icmptap_stream *stream = raw_cpu_ptr(sub->streams);
	const struct icmptap_door *door = sub->door;
	unsigned int len = door->record_len(sub, pkt);
	unsigned int limit = sub->params.batch;
	u64 now_ns = pkt->mono_ns;
	bool due;

	spin_lock_bh(&stream->lock);

	stream->counters.matched++;

	/* What does not fit any more must not wait for this one. */
	if (stream->batch && stream->batch->len + len > limit)
		flush(stream, now_ns);

	due = is_due(stream, now_ns);

	if (!stream->batch) {
		unsigned int room = len;

		if (!due && door->hdrlen + len < limit)
			room = limit - door->hdrlen;

		if (!open_batch(stream, room)) {
			stream->counters.lost_nomem++;
			goto out;
		}
	}

	door->put(stream->batch, sub, pkt);
	stream->counters.queued++;

	/* Full is a batch that could not hold one more like this. */
	if (due || stream->batch->len + len > limit)
		flush(stream, now_ns);
	else
		arm_timer(stream, now_ns);
out:
	spin_unlock_bh(&stream->lock);
}

/*
 * Sends what is batched now.
 *
 * Process context, takes each stream's lock. The caller keeps @sub.
 */
void icmptap_streams_flush(struct icmptap_sub *sub)
{
	unsigned int cpu;

	for_each_possible_cpu(cpu) {
		struct icmptap_stream *stream = per_cpu_ptr(sub->streams, cpu);

		spin_lock_bh(&stream->lock);
		flush(stream, ktime_get_ns());
		spin_unlock_bh(&stream->lock);
	}
}

/*
 * Adds up the counters of all CPUs.
 *
 * Process context, takes each stream's lock. The caller keeps @sub.
 */
void icmptap_streams_sum(struct icmptap_sub *sub, struct icmptap_counters *sum)
{
	unsigned int cpu;

	*sum = (struct icmptap_counters) {};

	for_each_possible_cpu(cpu) {
		struct icmptap_stream *stream = per_cpu_ptr(sub->streams, cpu);

		spin_lock_bh(&stream->lock);
		sum->matched += stream->counters.matched;
		sum->delivered += stream->counters.delivered;
		sum->lost_overrun += stream->counters.lost_overrun;
		sum->lost_nomem += stream->counters.lost_nomem;
		sum->queued += stream->counters.queued;
		spin_unlock_bh(&stream->lock);
	}
}

/*
 * Ends the streams: what is batched is sent, nothing runs any more.
 *
 * Process context, sleeps. No hook sees @sub any more.
 */
void icmptap_streams_stop(struct icmptap_sub *sub)
{
	unsigned int cpu;

	for_each_possible_cpu(cpu)
		hrtimer_cancel(&per_cpu_ptr(sub->streams, cpu)->timer);

	icmptap_streams_flush(sub);
}

/* Process context, sleeps. @sub is not published yet. */
int icmptap_streams_init(struct icmptap_sub *sub)
{
	unsigned int cpu;

	sub->streams = alloc_percpu_gfp(struct icmptap_stream,
					GFP_KERNEL_ACCOUNT);
	if (!sub->streams)
		return -ENOMEM;

	for_each_possible_cpu(cpu) {
		struct icmptap_stream *stream = per_cpu_ptr(sub->streams, cpu);

		spin_lock_init(&stream->lock);
		stream->cpu = cpu;
		stream->sub = sub;
		/* As long ago as can be: the first record does not wait. */
		stream->flushed_ns = 0;
		hrtimer_setup(&stream->timer, on_timer, CLOCK_MONOTONIC,
			      HRTIMER_MODE_REL_PINNED_SOFT);
	}
	return 0;
}

/* Process context. After icmptap_streams_stop(), or never published. */
void icmptap_streams_uninit(struct icmptap_sub *sub)
{
	free_percpu(sub->streams);
}
