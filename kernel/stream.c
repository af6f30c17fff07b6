// SPDX-License-Identifier: GPL-2.0
/*
 * Per-CPU batches, sequence numbers, sampling, loss and flushing.
 *
 * A record whose stream has sent nothing for a flush interval leaves at once,
 * in a message made to measure: a lone ping is not delayed. Any other waits in
 * the open batch until the batch is full, or an interval has passed since the
 * last one left.
 *
 * Called by hook.c for each packet, by subscription.c for the life of the
 * streams and by genl.c for FLUSH.
 */

#include <linux/ktime.h>
#include <linux/percpu.h>
#include <linux/skbuff.h>
#include <net/sock.h>

#include "compat.h"
#include "ratelimit.h"
#include "record.h"
#include "stream.h"
#include "subscription.h"

/*
 * When a batch will have waited for long enough.
 *
 * Any context that may take the stream's lock; holds it.
 */
static ktime_t due(const struct icmptap_stream *stream)
{
	return ns_to_ktime(stream->flushed_ns + stream->sub->params.flush_ns);
}

/* As due(). */
static bool is_due(const struct icmptap_stream *stream, u64 now_ns)
{
	/* Signed: another CPU may have flushed since now_ns was read. */
	return (s64)(now_ns - stream->flushed_ns) >=
	       (s64)stream->sub->params.flush_ns;
}

/*
 * Opens a batch with room for @room bytes of records, or else for @least. Its
 * first record has the sequence number that was given out last.
 *
 * Softirq or process context, stream->lock held.
 */
static bool open_batch(struct icmptap_stream *stream, unsigned int room,
		       unsigned int least)
{
	const struct icmptap_door *door = stream->sub->door;
	const gfp_t gfp = GFP_ATOMIC | __GFP_NOWARN;
	struct sk_buff *msg;

	msg = alloc_skb(door->hdrlen + room, gfp);
	if (!msg && room > least) {
		/* Many pages in a row are harder to have than a few. */
		room = least;
		msg = alloc_skb(door->hdrlen + room, gfp);
	}
	if (!msg)
		return false;

	door->open(msg, stream);
	stream->batch = msg;
	stream->limit = door->hdrlen + room;
	return true;
}

/*
 * Sends a batch, or drops it if the owner is being released: its port id may
 * be another's by now. (Between the release of the id and this flag, and
 * between this look and netlink's own, a moment is left in which a socket of
 * the same namespace that takes the id gets the batch: docs/protocol.md.)
 *
 * Softirq or process context, stream->lock held: so the batches of a stream
 * arrive in order. netlink_unicast() does not sleep here.
 */
static int send(const struct icmptap_sub *sub, struct sk_buff *msg, u32 count)
{
	if (sock_flag(sub->owner, SOCK_DEAD)) {
		kfree_skb(msg);
		return -ECONNREFUSED;
	}
	return sub->door->send(sub, msg, count);
}

/*
 * Hands the open batch, if there is one, to the subscriber's socket and
 * settles its records.
 *
 * Softirq or process context, stream->lock held.
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
	if (send(stream->sub, msg, count) < 0)
		counters->lost_overrun += count;
	else
		counters->delivered += count;
}

/* Softirq or process context, stream->lock held. */
static void arm_timer(struct icmptap_stream *stream)
{
	if (stream->timer_armed)
		return;

	stream->timer_armed = true;
	hrtimer_start(&stream->timer, due(stream), HRTIMER_MODE_ABS_PINNED_SOFT);
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
		hrtimer_set_expires(timer, due(stream));
		restart = HRTIMER_RESTART;
	} else {
		stream->timer_armed = false;
	}
	spin_unlock_bh(&stream->lock);

	return restart;
}

/* Passes over all but one in so many. Softirq or process, stream->lock held. */
static bool is_sampled_out(struct icmptap_stream *stream)
{
	if (stream->skip) {
		stream->skip--;
		stream->counters.sampled_out++;
		return true;
	}
	stream->skip = stream->sub->params.sample - 1;
	return false;
}

/* Gives a packet its sequence number. Softirq or process, stream->lock held. */
static void take(struct icmptap_stream *stream,
		 const struct icmptap_packet *pkt)
{
	struct icmptap_sub *sub = stream->sub;
	unsigned int len = sub->door->record_len(sub, pkt);
	u64 now_ns = pkt->mono_ns;
	bool at_once;

	stream->counters.matched++;

	if (!icmptap_ratelimit_allow(&sub->limit, &stream->rate_credit,
				     now_ns)) {
		/* The numbers in a batch follow each other: this one is out. */
		flush(stream, now_ns);
		stream->counters.lost_ratelimit++;
		return;
	}

	/* What does not fit any more must not wait for this one. */
	if (stream->batch && stream->batch->len + len > stream->limit)
		flush(stream, now_ns);

	at_once = is_due(stream, now_ns);

	if (!stream->batch) {
		unsigned int room = len;

		if (!at_once && sub->door->hdrlen + len < sub->params.batch)
			room = sub->params.batch - sub->door->hdrlen;

		if (!open_batch(stream, room, len)) {
			stream->counters.lost_nomem++;
			return;
		}
	}

	sub->door->put(stream->batch, sub, pkt);
	stream->counters.queued++;

	/* Full is a batch that could not hold one more like this. */
	if (at_once || stream->batch->len + len > stream->limit)
		flush(stream, now_ns);
	else
		arm_timer(stream);
}

/**
 * icmptap_stream_put() - give a packet to a subscription that wants it
 * @sub: the subscription
 * @pkt: the packet
 *
 * From here on the packet ends in exactly one of the counters.
 *
 * Context: a netfilter hook, in softirq or process context, under the
 * rcu_read_lock() that keeps @sub. Takes this CPU's stream lock;
 * should the task migrate before it has it, the lock is what counts.
 * Return: false if it was passed over by sampling, and so is not matched.
 */
bool icmptap_stream_put(struct icmptap_sub *sub, struct icmptap_packet *pkt)
{
	struct icmptap_stream *stream = raw_cpu_ptr(sub->streams);
	bool matched;

	spin_lock_bh(&stream->lock);
	matched = !is_sampled_out(stream);
	if (matched) {
		icmptap_packet_fill(pkt);
		take(stream, pkt);
	}
	spin_unlock_bh(&stream->lock);

	return matched;
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

/* Any context. */
void icmptap_counters_add(struct icmptap_counters *sum,
			  const struct icmptap_counters *counters)
{
	sum->matched += counters->matched;
	sum->delivered += counters->delivered;
	sum->lost_overrun += counters->lost_overrun;
	sum->lost_nomem += counters->lost_nomem;
	sum->lost_ratelimit += counters->lost_ratelimit;
	sum->queued += counters->queued;
	sum->sampled_out += counters->sampled_out;
}

/*
 * Adds the counters of one CPU to @sum.
 *
 * Process context, takes the stream's lock. The caller keeps @sub.
 */
void icmptap_stream_count(struct icmptap_sub *sub, unsigned int cpu,
			  struct icmptap_counters *sum)
{
	struct icmptap_stream *stream = per_cpu_ptr(sub->streams, cpu);

	spin_lock_bh(&stream->lock);
	icmptap_counters_add(sum, &stream->counters);
	spin_unlock_bh(&stream->lock);
}

/*
 * Adds the counters of all CPUs to @sum.
 *
 * Process context, takes each stream's lock. The caller keeps @sub.
 */
void icmptap_streams_count(struct icmptap_sub *sub,
			   struct icmptap_counters *sum)
{
	unsigned int cpu;

	for_each_possible_cpu(cpu)
		icmptap_stream_count(sub, cpu, sum);
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
			      HRTIMER_MODE_ABS_PINNED_SOFT);
	}
	return 0;
}

/* Process context. After icmptap_streams_stop(), or never published. */
void icmptap_streams_uninit(struct icmptap_sub *sub)
{
	free_percpu(sub->streams);
}
