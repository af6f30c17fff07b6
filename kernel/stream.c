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

#include <linux/bottom_half.h>
#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/percpu.h>
#include <linux/preempt.h>
#include <linux/skbuff.h>
#include <net/sock.h>

#include "compat.h"
#include "ratelimit.h"
#include "record.h"
#include "stream.h"
#include "subscription.h"

/*
 * For how long the open batch may still wait; not positive: for no longer.
 *
 * By the clock of the records, so that a packet costs one look at a clock. It
 * may be set, and the batch must go all the same: a flush that seems to be
 * more than an interval ahead tells of that. One that is a little ahead came
 * between, since @now_ns was read: from another CPU, or a softirq on this one.
 *
 * Any context that may take the stream's lock; holds it.
 */
static s64 left_ns(const struct icmptap_stream *stream, u64 now_ns)
{
	s64 interval = stream->sub->params.flush_ns;
	s64 since = now_ns - stream->flushed_ns;

	return since < -interval ? 0 : interval - since;
}

/* As left_ns(), which is positive where this is false: mostly one comparison. */
static bool is_due(const struct icmptap_stream *stream, u64 now_ns)
{
	u64 interval = stream->sub->params.flush_ns;
	u64 since = now_ns - stream->flushed_ns;

	return since >= interval && since + interval >= 2 * interval;
}

/*
 * Memory for a batch of whole pages that the reader has given back, or new.
 *
 * A kernel that clears what it allocates (init_on_alloc, a default of many)
 * would else clear every byte of a batch before we write it. What an older
 * batch left there is never sent.
 *
 * Softirq or process context, stream->lock held.
 */
static struct sk_buff *alloc_pages_skb(struct icmptap_stream *stream,
				       unsigned int order)
{
	/* Not of the reserve: netlink drops what is, and says it was delivered. */
	const gfp_t gfp = GFP_ATOMIC | __GFP_NOWARN | __GFP_NOMEMALLOC |
			  __GFP_COMP;
	struct page **slot = &stream->pages[stream->next_page];
	struct sk_buff *msg;

	stream->busy = true;
	stream->next_page = (stream->next_page + 1) % ICMPTAP_PAGES;

	if (!*slot || page_ref_count(*slot) > 1) {
		struct page *page = alloc_pages(gfp, order);

		if (!page)
			return NULL;
		if (*slot)
			put_page(*slot);
		*slot = page;
	}

	msg = build_skb(page_address(*slot), PAGE_SIZE << order);
	if (msg)
		get_page(*slot);
	return msg;
}

/* Softirq or process context, stream->lock held; or the stream is stopped. */
static void free_pages_kept(struct icmptap_stream *stream)
{
	unsigned int i;

	for (i = 0; i < ICMPTAP_PAGES; i++) {
		if (stream->pages[i])
			put_page(stream->pages[i]);
		stream->pages[i] = NULL;
	}
}

/* An empty message of @size bytes. As alloc_pages_skb(). */
static struct sk_buff *alloc_message(struct icmptap_stream *stream,
				     unsigned int size)
{
	unsigned int whole = SKB_DATA_ALIGN(size) +
			     SKB_DATA_ALIGN(sizeof(struct skb_shared_info));

	/* Of one size only, or a small one would take a large one's place. */
	if (size == stream->sub->params.batch && whole >= PAGE_SIZE)
		return alloc_pages_skb(stream, get_order(whole));
	return alloc_skb(size, GFP_ATOMIC | __GFP_NOWARN);
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
	struct sk_buff *msg;

	msg = alloc_message(stream, door->hdrlen + room);
	if (!msg && room > least) {
		/* Many pages in a row are harder to have than a few. */
		room = least;
		msg = alloc_message(stream, door->hdrlen + room);
	}
	if (!msg)
		return false;

	door->open(msg, stream);
	stream->batch = msg;
	stream->next = skb_tail_pointer(msg);
	stream->end = stream->next + room;
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

	skb_put(msg, stream->next - skb_tail_pointer(msg));
	stream->batch = NULL;
	stream->next = NULL;
	stream->end = NULL;
	stream->flushed_ns = now_ns;
	counters->queued = 0;

	/* -EAGAIN: the receive buffer is full; -ECONNREFUSED: it is gone. */
	if (send(stream->sub, msg, count) < 0)
		counters->lost_overrun += count;
	else
		counters->delivered += count;
}

/* Softirq or process context, stream->lock held. */
static void arm_timer(struct icmptap_stream *stream, u64 now_ns)
{
	if (stream->timer_armed)
		return;

	stream->timer_armed = true;
	hrtimer_start(&stream->timer, ns_to_ktime(left_ns(stream, now_ns)),
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
	u64 now_ns = ktime_get_real_ns();

	spin_lock_bh(&stream->lock);
	if (is_due(stream, now_ns))
		flush(stream, now_ns);

	if (stream->batch || stream->busy) {
		stream->busy = false;
		hrtimer_set_expires(timer,
				    ktime_add_ns(ktime_get(),
						 left_ns(stream, now_ns)));
		restart = HRTIMER_RESTART;
	} else {
		stream->timer_armed = false;
		free_pages_kept(stream);
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

/* Has the open batch room for so many bytes? Context: as make_room(). */
static bool has_room(const struct icmptap_stream *stream, unsigned int len)
{
	return stream->end - stream->next >= len;
}

/*
 * Opens a batch for a record of @len bytes, for more of them unless this one is
 * to leave at once. What has no room in the batch that is open must not wait for
 * it.
 *
 * Softirq or process context, stream->lock held.
 */
static noinline bool make_room(struct icmptap_stream *stream, unsigned int len,
			       u64 now_ns)
{
	const struct icmptap_sub *sub = stream->sub;
	unsigned int hdrlen = sub->door->hdrlen;
	unsigned int room = len;

	flush(stream, now_ns);
	if (!is_due(stream, now_ns) && hdrlen + len < sub->params.batch)
		room = sub->params.batch - hdrlen;
	return open_batch(stream, room, len);
}

/* Gives a packet its sequence number. Softirq or process, stream->lock held. */
static __always_inline void take(struct icmptap_stream *stream,
				 struct icmptap_packet *pkt)
{
	struct icmptap_sub *sub = stream->sub;
	const struct icmptap_door *door = sub->door;
	u32 snaplen = sub->params.snaplen;
	unsigned int len = door->put ? door->put_len :
				       icmptap_record_len(pkt, snaplen);
	u64 now_ns = icmptap_packet_time(pkt);

	stream->counters.matched++;

	if (!icmptap_ratelimit_allow(&sub->limit, &stream->rate_credit)) {
		/* The numbers in a batch follow each other: this one is out. */
		flush(stream, now_ns);
		stream->counters.lost_ratelimit++;
		return;
	}

	if (unlikely(!has_room(stream, len)) &&
	    !make_room(stream, len, now_ns)) {
		stream->counters.lost_nomem++;
		return;
	}

	if (door->put)
		door->put(stream->next, pkt);
	else
		icmptap_record_put(stream->next, pkt, snaplen, len);
	stream->next += len;
	stream->counters.queued++;

	/* Full is a batch that could not hold one more like this. */
	if (unlikely(!has_room(stream, len) || is_due(stream, now_ns))) {
		flush(stream, now_ns);
		/* It frees what is kept, where each batch has one record. */
		if (!stream->busy)
			return;
	}
	arm_timer(stream, now_ns);
}

/**
 * icmptap_stream_put() - give a packet to a subscription that wants it
 * @sub: the subscription
 * @pkt: the packet
 *
 * From here on the packet ends in exactly one of the counters.
 *
 * Context: a netfilter hook, in softirq or process context, under the
 * rcu_read_lock() that keeps @sub. Takes this CPU's stream lock.
 * Return: false if it was passed over by sampling, and so is not matched.
 */
bool icmptap_stream_put(struct icmptap_sub *sub, struct icmptap_packet *pkt)
{
	/*
	 * Most packets come in a softirq, or with softirqs off: nothing on this
	 * CPU comes between then, and the task stays on it (with PREEMPT_RT,
	 * too). Only who does not pays for spin_lock_bh().
	 */
	bool in_process = !in_softirq();
	struct icmptap_stream *stream;
	bool matched;

	if (in_process)
		local_bh_disable();
	stream = this_cpu_ptr(sub->streams);
	spin_lock(&stream->lock);
	matched = sub->params.sample == 1 || !is_sampled_out(stream);
	if (matched)
		take(stream, pkt);
	spin_unlock(&stream->lock);
	if (in_process)
		local_bh_enable();

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
		flush(stream, ktime_get_real_ns());
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
	for_each_possible_cpu(cpu)
		free_pages_kept(per_cpu_ptr(sub->streams, cpu));
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
