/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Subscriptions: who listens, to what, through which door.
 */
#ifndef ICMPTAP_SUBSCRIPTION_H
#define ICMPTAP_SUBSCRIPTION_H

#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/refcount.h>
#include <linux/sched.h>
#include <linux/types.h>
#include <linux/uidgid.h>

#include "filter.h"
#include "hook.h"
#include "ratelimit.h"

struct icmptap_counters;
struct icmptap_packet;
struct icmptap_stream;
struct icmptap_sub;
struct net;
struct netlink_ext_ack;
struct pid;
struct sk_buff;
struct sock;

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
 * leave. open() and put() only write to where there is room.
 */
struct icmptap_door {
	unsigned int hdrlen;	/* bytes of a message before its records */

	void (*open)(struct sk_buff *msg, const struct icmptap_stream *stream);
	/*
	 * Writes what says less than a record; or NULL. Always so many bytes:
	 * the memory may have been another subscription's.
	 */
	unsigned int put_len;
	void (*put)(void *to, const struct icmptap_packet *pkt);
	/* Consumes @msg. Negative: the subscriber did not get it. */
	int (*send)(const struct icmptap_sub *sub, struct sk_buff *msg,
		    u32 count);
};

/* Constant while published, but for what says otherwise. */
struct icmptap_sub {
	const struct icmptap_door *door;
	struct icmptap_params params;
	struct icmptap_stream __percpu *streams;	/* see stream.h */
	struct net *net;	/* the owner's, which keeps it */
	struct sock *owner;	/* the subscriber's socket; we hold a reference */
	u32 portid;		/* of the owner */
	kuid_t uid;		/* who subscribed */
	struct pid *pid;	/* the same */
	char comm[TASK_COMM_LEN];	/* its name then */

	refcount_t refs;	/* one is the list's */
	struct mutex stop_lock;	/* two threads may share the owner */
	struct list_head node;	/* icmptap_subs_lock */
	struct icmptap_link links[ICMPTAP_TAPS];	/* see hook.h */
	struct icmptap_ratelimit limit;	/* written by any CPU */
};

extern struct mutex icmptap_subs_lock;

int icmptap_subs_for_each(const struct net *net,
			  int (*fn)(struct icmptap_sub *sub, void *arg),
			  void *arg);
u32 icmptap_subs_generation(void);

struct icmptap_sub *icmptap_sub_begin(const struct sk_buff *request,
				      const struct icmptap_door *door,
				      struct icmptap_params *params,
				      struct netlink_ext_ack *extack);
struct icmptap_sub *icmptap_sub_get(const struct sk_buff *request);
void icmptap_sub_stop(struct icmptap_sub *sub);
void icmptap_sub_end(struct icmptap_sub *sub);
void icmptap_sub_put(struct icmptap_sub *sub);

void icmptap_sub_open(void);
int icmptap_sub_init(void);
void icmptap_sub_uninit(void);

#endif /* ICMPTAP_SUBSCRIPTION_H */
