// SPDX-License-Identifier: GPL-2.0
/*
 * Per-CPU batches, sequence numbers, sampling, loss and flushing.
 *
 * A record whose stream has closed no batch for a flush interval leaves at
 * once, in a message made to measure: a lone ping is not delayed. Any other
 * waits in the open batch until the batch is full, or an interval has passed
 * since the last one was closed.
 *
 * A hook only writes. What it closes is sent by the stream's tasklet, which
 * holds no lock meanwhile: netlink hands each message to the nlmon devices of
 * the namespace, from where it may go through any device and come back to a
 * hook as a packet (docs/adr/0010-nothing-is-sent-from-a-hook.md).
 *
 * Called by hook.c for each packet, by subscription.c for the life of the
 * streams and by commands.c for FLUSH.
 */

#include <linux/bottom_half.h>
#include <linux/cpumask.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/jiffies.h>
#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/net.h>
#include <linux/percpu.h>
#include <linux/preempt.h>
#include <linux/skbuff.h>
#include <linux/topology.h>
#include <linux/user_namespace.h>
#include <linux/wait.h>
#include <net/net_namespace.h>
#include <net/sock.h>

#include "compat.h"
#include "ratelimit.h"
#include "record.h"
#include "stream.h"
#include "subscription.h"

/*
 * Memory that is there or is not, now: never from the reserve. Drivers need
 * that, and netlink drops a message from it and says it was delivered.
 */
#define GFP_HOOK	(GFP_NOWAIT | __GFP_NOWARN | __GFP_NOMEMALLOC)

/* For so long batches are sent before other softirqs have their turn. */
#define SEND_JIFFIES	1

/* For so long a request waits for what a guest may have made dear to send. */
#define FLUSH_JIFFIES	HZ

/* What we remember of a closed batch; netlink wants its place back, zeroed. */
struct batch_cb {
	unsigned int truesize;
	u32 count;		/* records */
};

static struct batch_cb *batch_cb(struct sk_buff *msg)
{
	BUILD_BUG_ON(sizeof(struct batch_cb) > sizeof(msg->cb));
	return (struct batch_cb *)msg->cb;
}

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

/* Bytes of a message's memory with @size bytes of data. Any context. */
static unsigned int whole_size(unsigned int size)
{
	return SKB_DATA_ALIGN(size) +
	       SKB_DATA_ALIGN(sizeof(struct skb_shared_info));
}

/* Does a stream keep the memory of its full batches? Any context. */
static bool keeps_pages(const struct icmptap_params *params)
{
	return whole_size(params->batch) >= PAGE_SIZE;
}

/* Of each of ICMPTAP_PAGES. Any context. */
static unsigned int pages_order(const struct icmptap_params *params)
{
	return get_order(whole_size(params->batch));
}

/*
 * Is there no room in the receive buffer for one full batch more? Older
 * kernels let a buffer grow beyond its size, newer ones do not.
 *
 * Softirq or process context.
 */
static bool is_full(const struct icmptap_sub *sub)
{
	unsigned int pages = PAGE_SIZE << pages_order(&sub->params);
	unsigned int truesize = SKB_TRUESIZE(SKB_WITH_OVERHEAD(pages));

	return atomic_read(&sub->owner->sk_rmem_alloc) + truesize >
	       (unsigned int)READ_ONCE(sub->owner->sk_rcvbuf);
}

/*
 * Pages of the stream's that the reader has given back, with a reference for a
 * batch; or NULL.
 *
 * A kernel that clears what it allocates (init_on_alloc, a default of many)
 * would else clear every byte of a batch before we write it. What an older
 * batch left there is never sent.
 *
 * Where the receive buffer is full, netlink gives back what it refuses: there
 * are pages for this alone, or those in turn would all be in that buffer.
 *
 * Softirq or process context, stream->lock held.
 */
static struct page *get_pages_back(struct icmptap_stream *stream)
{
	struct page *page = stream->pages[ICMPTAP_TURNS];

	if (!is_full(stream->sub) || page_ref_count(page) > 1) {
		page = stream->pages[stream->next_page];
		stream->next_page = (stream->next_page + 1) % ICMPTAP_TURNS;
	}
	if (page_ref_count(page) > 1)
		return NULL;

	get_page(page);
	return page;
}

/*
 * An empty message of @size bytes. Of one that fills pages these are the
 * stream's, or new ones: the slab allocator would have them cleared twice.
 *
 * Softirq or process context, stream->lock held.
 */
static struct sk_buff *alloc_message(struct icmptap_stream *stream,
				     unsigned int size)
{
	const struct icmptap_params *params = &stream->sub->params;
	struct sk_buff *msg;
	struct page *page;

	if (size != params->batch || !stream->pages[0])
		return alloc_skb(size, GFP_HOOK);

	page = get_pages_back(stream) ?:
	       alloc_pages(GFP_HOOK | __GFP_COMP, pages_order(params));
	if (!page)
		return NULL;

	msg = build_skb(page_address(page), PAGE_SIZE << pages_order(params));
	if (!msg)
		put_page(page);
	return msg;
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
 * Closes the open batch, if there is one, and has the tasklet send it.
 *
 * What waits to be sent is at most what the receive buffer could take: what
 * is beyond that would most likely be lost there.
 *
 * Softirq or process context, stream->lock held.
 */
static void close_batch(struct icmptap_stream *stream, u64 now_ns)
{
	const struct icmptap_sub *sub = stream->sub;
	struct sk_buff *msg = stream->batch;
	u32 count = stream->count;

	if (!msg)
		return;

	skb_put(msg, stream->next - skb_tail_pointer(msg));
	stream->batch = NULL;
	stream->next = NULL;
	stream->end = NULL;
	stream->count = 0;
	stream->flushed_ns = now_ns;

	if (stream->closed_size > READ_ONCE(sub->owner->sk_rcvbuf) ||
	    READ_ONCE(sub->in_haste)) {
		stream->counters.lost_overrun += count;
		kfree_skb(msg);
		return;
	}

	sub->door->close(msg, count);
	*batch_cb(msg) = (struct batch_cb) {
		.truesize = msg->truesize,
		.count = count,
	};
	__skb_queue_tail(&stream->closed, msg);
	stream->closed_size += msg->truesize;
	WRITE_ONCE(stream->batches_closed, stream->batches_closed + 1);
	stream->counters.queued += count;
	tasklet_schedule(&stream->sender);
}

/*
 * A reference to the owner's file, or NULL if nobody but us has one. While
 * there is one the socket is not released, and its port id is nobody else's:
 * netlink finds who gets a message by that id alone.
 *
 * The tasklets of several CPUs must not keep it from each other, one while the
 * other sends: a subscription would outlive its process for as long as packets
 * come. So ours are counted, and who finds no other takes none.
 *
 * Softirq; takes sub->files_lock.
 */
static struct file *get_owner_file(struct icmptap_sub *sub)
{
	struct sock *owner = sub->owner;
	struct file *file = NULL;

	spin_lock(&sub->files_lock);
	read_lock(&owner->sk_callback_lock);
	/* There until sock_orphan(), and the file until after that. */
	if (owner->sk_socket && owner->sk_socket->file)
		file = get_file_active(&owner->sk_socket->file);
	read_unlock(&owner->sk_callback_lock);

	if (file && file_count(file) == sub->files + 1) {
		/* As in put_owner_file(), it may be the last one. */
		fput(file);
		file = NULL;
	}
	if (file)
		sub->files++;
	spin_unlock(&sub->files_lock);
	return file;
}

/* Softirq; takes sub->files_lock. @file may be NULL. */
static void put_owner_file(struct icmptap_sub *sub, struct file *file)
{
	if (!file)
		return;

	spin_lock(&sub->files_lock);
	sub->files--;
	/* If it is the last one, a kernel thread releases the socket. */
	fput(file);
	spin_unlock(&sub->files_lock);
}

/*
 * Sends a batch, or drops it if there is no @file: the owner is being
 * released, or sending has taken too long.
 *
 * Softirq: the stream's tasklet, no lock held. What is sent may come back to
 * a hook before this returns. @delivered: records of the stream before it.
 */
static int send_batch(const struct icmptap_sub *sub, const struct file *file,
		      struct sk_buff *msg, u64 delivered)
{
	memset(msg->cb, 0, sizeof(struct batch_cb));
	if (!file) {
		kfree_skb(msg);
		return -ECONNREFUSED;
	}
	return sub->door->send(sub, msg, delivered);
}

/*
 * Sends what is closed, in order, and settles its records. Nobody else sends,
 * and a tasklet runs on one CPU at a time: so the batches of a stream arrive
 * in order. What is closed meanwhile, or takes too long, has its turn when
 * other softirqs had theirs.
 *
 * Softirq, takes stream->lock, and releases it to send.
 * icmptap_streams_stop() waits for it.
 */
static void on_closed(struct tasklet_struct *sender)
{
	struct icmptap_stream *stream =
		container_of(sender, struct icmptap_stream, sender);
	struct icmptap_counters *counters = &stream->counters;
	unsigned long end = jiffies + SEND_JIFFIES;
	struct icmptap_sub *sub = stream->sub;
	struct file *file = get_owner_file(sub);
	bool in_haste = false;
	struct sk_buff *msg;
	u32 budget;

	spin_lock(&stream->lock);
	budget = skb_queue_len(&stream->closed);
	while (budget-- && (msg = __skb_dequeue(&stream->closed))) {
		const struct batch_cb batch = *batch_cb(msg);
		u64 delivered = counters->delivered;
		int err;

		spin_unlock(&stream->lock);
		err = send_batch(sub, in_haste ? NULL : file, msg, delivered);
		spin_lock(&stream->lock);

		/* -EAGAIN: the receive buffer is full; -ECONNREFUSED: not sent. */
		if (err < 0)
			counters->lost_overrun += batch.count;
		else
			counters->delivered += batch.count;
		counters->queued -= batch.count;
		stream->closed_size -= batch.truesize;
		WRITE_ONCE(stream->batches_settled, stream->batches_settled + 1);
		if (!in_haste && time_after(jiffies, end)) {
			in_haste = READ_ONCE(sub->in_haste);
			if (!in_haste)
				break;
		}
	}
	if (!skb_queue_empty(&stream->closed))
		tasklet_schedule(sender);
	spin_unlock(&stream->lock);

	put_owner_file(sub, file);

	if (wq_has_sleeper(&sub->settled))
		wake_up_all(&sub->settled);
}

/* Softirq or process context, stream->lock held. */
static noinline void arm_timer(struct icmptap_stream *stream, u64 now_ns)
{
	stream->timer_armed = true;
	hrtimer_start(&stream->timer, ns_to_ktime(left_ns(stream, now_ns)),
		      HRTIMER_MODE_REL_PINNED_SOFT);
}

/*
 * A batch has waited for the flush interval, or another one was closed in the
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
		close_batch(stream, now_ns);

	if (stream->batch) {
		hrtimer_set_expires(timer,
				    ktime_add_ns(ktime_get(),
						 left_ns(stream, now_ns)));
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

	close_batch(stream, now_ns);
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
		close_batch(stream, now_ns);
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
	stream->count++;

	/*
	 * Full is a batch that could not hold one more like this; one that is to
	 * leave at once has no room from the beginning. The timer does the rest.
	 */
	if (unlikely(!has_room(stream, len)))
		close_batch(stream, now_ns);
	else if (unlikely(!stream->timer_armed))
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

/* Is @last of the batches closed settled? Any context. */
static bool is_settled(const struct icmptap_stream *stream, u32 last)
{
	return (s32)(READ_ONCE(stream->batches_settled) - last) >= 0;
}

/*
 * Waits until what is closed is settled. Who waits may hold genl's cb_lock,
 * and in a network namespace of theirs a guest may make each send as dear as
 * they like: there what cannot be sent in two ticks is dropped and counted
 * after @end, in jiffies.
 *
 * Process context, sleeps.
 */
static void wait_settled(struct icmptap_stream *stream, unsigned long end)
{
	struct icmptap_sub *sub = stream->sub;
	u32 last = READ_ONCE(stream->batches_closed);

	if (!sub->is_guest && sub->net->user_ns == &init_user_ns) {
		wait_event(sub->settled, is_settled(stream, last));
		return;
	}
	while (!wait_event_timeout(sub->settled, is_settled(stream, last),
				   max_t(long, end - jiffies, 1)))
		WRITE_ONCE(sub->in_haste, true);
}

/*
 * Has what is batched now sent, and waits until it is.
 *
 * Process context, sleeps, takes each stream's lock. The caller keeps @sub.
 */
void icmptap_streams_flush(struct icmptap_sub *sub)
{
	unsigned long end = jiffies + FLUSH_JIFFIES;
	unsigned int cpu;

	for_each_possible_cpu(cpu) {
		struct icmptap_stream *stream = per_cpu_ptr(sub->streams, cpu);

		/* Else there would be no room, most likely, for what is open. */
		wait_settled(stream, end);

		/* The tasklet most likely runs when softirqs are on again. */
		spin_lock_bh(&stream->lock);
		close_batch(stream, ktime_get_real_ns());
		spin_unlock_bh(&stream->lock);
	}
	for_each_possible_cpu(cpu)
		wait_settled(per_cpu_ptr(sub->streams, cpu), end);

	/* Another thread that waits sets it again. */
	if (READ_ONCE(sub->in_haste))
		WRITE_ONCE(sub->in_haste, false);
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
	sum->queued += stream->count;
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
		tasklet_kill(&per_cpu_ptr(sub->streams, cpu)->sender);
}

/* Any context. What icmptap_streams_init() allocates. */
u64 icmptap_streams_bytes(const struct icmptap_params *params)
{
	u64 bytes = sizeof(struct icmptap_stream);

	if (keeps_pages(params))
		bytes += (u64)ICMPTAP_PAGES * PAGE_SIZE << pages_order(params);
	return bytes * num_possible_cpus();
}

/* Process context, sleeps. */
static int alloc_pages_kept(struct icmptap_stream *stream)
{
	const gfp_t gfp = GFP_KEPT | __GFP_COMP | __GFP_NOMEMALLOC;
	int node = cpu_online(stream->cpu) ? cpu_to_node(stream->cpu) :
					     NUMA_NO_NODE;
	unsigned int order = pages_order(&stream->sub->params);
	unsigned int i;

	for (i = 0; i < ICMPTAP_PAGES; i++) {
		stream->pages[i] = alloc_pages_node(node, gfp, order);
		if (!stream->pages[i])
			return -ENOMEM;
	}
	return 0;
}

/*
 * Process context, sleeps. @sub is not published yet. On error the caller
 * calls icmptap_streams_uninit() all the same.
 */
int icmptap_streams_init(struct icmptap_sub *sub)
{
	unsigned int cpu;
	int err = 0;

	init_waitqueue_head(&sub->settled);
	spin_lock_init(&sub->files_lock);
	/* Of the flags for how hard to try, percpu passes on this one. */
	sub->streams = alloc_percpu_gfp(struct icmptap_stream,
					GFP_KEPT | __GFP_NORETRY);
	if (!sub->streams)
		return -ENOMEM;

	for_each_possible_cpu(cpu) {
		struct icmptap_stream *stream = per_cpu_ptr(sub->streams, cpu);

		spin_lock_init(&stream->lock);
		__skb_queue_head_init(&stream->closed);
		stream->cpu = cpu;
		stream->sub = sub;
		/* As long ago as can be: the first record does not wait. */
		stream->flushed_ns = 0;
		hrtimer_setup(&stream->timer, on_timer, CLOCK_MONOTONIC,
			      HRTIMER_MODE_REL_PINNED_SOFT);
		tasklet_setup(&stream->sender, on_closed);
		if (!err && keeps_pages(&sub->params))
			err = alloc_pages_kept(stream);
	}
	return err;
}

/* Process context. After icmptap_streams_stop(), or never published. */
void icmptap_streams_uninit(struct icmptap_sub *sub)
{
	unsigned int cpu, i;

	if (!sub->streams)
		return;

	for_each_possible_cpu(cpu) {
		struct icmptap_stream *stream = per_cpu_ptr(sub->streams, cpu);

		/* A reader may have some of them still. */
		for (i = 0; i < ICMPTAP_PAGES; i++)
			if (stream->pages[i])
				put_page(stream->pages[i]);
	}
	free_percpu(sub->streams);
}
