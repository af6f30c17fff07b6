/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Subscriptions: who listens, to what, through which door.
 */
#ifndef ICMPTAP_SUBSCRIPTION_H
#define ICMPTAP_SUBSCRIPTION_H

#include <linux/gfp.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/refcount.h>
#include <linux/sched.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/uidgid.h>
#include <linux/wait.h>

#include "filter.h"
#include "hook.h"
#include "ratelimit.h"

struct icmptap_counters;
struct icmptap_packet;
struct icmptap_stream;
struct icmptap_sub;
struct module;
struct net;
struct netlink_ext_ack;
struct pid;
struct sk_buff;
struct sock;

/*
 * What is kept as long as a subscription is. Charged to who subscribes; and
 * refused to them, rather than that the kernel kills somebody for it.
 */
#define GFP_KEPT	(GFP_KERNEL_ACCOUNT | __GFP_NOWARN | __GFP_RETRY_MAYFAIL)

struct icmptap_params {
	u32 hooks;		/* mask of BIT(NF_INET_*) */
	u32 families;		/* mask of ICMPTAP_FAMILY_* */
	u32 snaplen;		/* bytes */
	u32 batch;		/* bytes of a full message */
	u64 flush_ns;		/* longest wait in a batch */
	u32 sample;		/* take one in so many; 1: all */
	u32 rate;		/* events per second; 0: no limit */
	bool drop;		/* verdict on what matches */
	bool all_netns;		/* of every network namespace */
	struct icmptap_filter filter;
};

/*
 * A door is a netlink protocol through which subscriptions come and messages
 * leave. open(), put() and close() only write to where there is room; they are
 * called with the stream's lock held, in softirq or process context.
 */
struct icmptap_door {
	struct module *owner;	/* stays while there are subscriptions */
	unsigned int hdrlen;	/* bytes of a message before its records */

	void (*open)(struct sk_buff *msg, const struct icmptap_stream *stream);
	/*
	 * Writes what says less than a record; or NULL. Always so many bytes:
	 * the memory may have been another subscription's.
	 */
	unsigned int put_len;
	void (*put)(void *to, const struct icmptap_packet *pkt);
	/* @count: records in @msg, which gets no more. */
	void (*close)(struct sk_buff *msg, u32 count);
	/*
	 * Consumes @msg; softirq, no lock held. @delivered: records of the
	 * stream before it. Negative: the subscriber did not get it.
	 */
	int (*send)(const struct icmptap_sub *sub, struct sk_buff *msg,
		    u64 delivered);
};

/* Constant while published, but for what says otherwise. */
struct icmptap_sub {
	const struct icmptap_door *door;
	struct icmptap_params params;
	struct icmptap_stream __percpu *streams;	/* see stream.h */
	struct net *net;	/* the owner's, which keeps it */
	struct sock *owner;	/* the subscriber's socket; we hold a reference */
	u32 portid;		/* of the owner, and another's after its end */
	int protocol;		/* of the owner */
	u64 id;			/* no other has it, or had it */
	u64 bytes;		/* that are kept for it */
	kuid_t uid;		/* who answers for it: limits */
	bool is_guest;		/* has no CAP_NET_ADMIN in the initial user ns */
	struct pid *pid;	/* who subscribed */
	char comm[TASK_COMM_LEN];	/* its name then */

	refcount_t refs;	/* one is the list's */
	struct rcu_head rcu;
	struct mutex stop_lock;	/* two threads may share the owner */
	bool stopped;		/* stop_lock */
	struct list_head node;	/* RCU; written under icmptap_subs_lock */
	bool listed;		/* icmptap_subs_lock */
	struct icmptap_link links[ICMPTAP_TAPS];	/* see hook.h */
	struct wait_queue_head settled;	/* for batches that are being sent */
	bool in_haste;		/* sending took too long: drop; see stream.c */
	spinlock_t files_lock;
	int files;		/* references of ours to the owner's file */
	struct icmptap_ratelimit limit;	/* written by any CPU */
};

extern struct mutex icmptap_subs_lock;

int icmptap_subs_for_each(const struct net *net,
			  int (*fn)(struct icmptap_sub *sub, void *arg),
			  void *arg);
u32 icmptap_subs_generation(void);
u64 icmptap_subs_bytes(void);
unsigned long icmptap_subs_max_bytes(void);

struct icmptap_sub *icmptap_sub_begin(const struct sk_buff *request,
				      const struct icmptap_door *door,
				      struct icmptap_params *params,
				      struct netlink_ext_ack *extack);
void icmptap_sub_start(struct icmptap_sub *sub);
struct icmptap_sub *icmptap_sub_get(const struct sk_buff *request);
void icmptap_sub_stop(struct icmptap_sub *sub);
void icmptap_sub_end(struct icmptap_sub *sub);
void icmptap_sub_put(struct icmptap_sub *sub);

void icmptap_sub_open(void);
int icmptap_sub_init(void);
void icmptap_sub_uninit(void);

#endif /* ICMPTAP_SUBSCRIPTION_H */
