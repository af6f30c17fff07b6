/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Subscriptions: who listens, to what, through which door.
 */
#ifndef ICMPTAP_SUBSCRIPTION_H
#define ICMPTAP_SUBSCRIPTION_H

#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/types.h>

#include "hook.h"

struct icmptap_counters;
struct icmptap_packet;
struct icmptap_stream;
struct icmptap_sub;
struct net;
struct netlink_ext_ack;
struct sk_buff;

struct icmptap_params {
	u32 hooks;		/* mask of BIT(NF_INET_*) */
	u32 families;		/* mask of ICMPTAP_FAMILY_* */
	u32 snaplen;		/* bytes */
	u32 batch;		/* bytes of a full message */
	u64 flush_ns;		/* longest wait in a batch */
	bool drop;		/* verdict on what matches */
};

/*
 * A door is a netlink protocol through which subscriptions come and messages
 * leave. All but send() only write into @msg, which has room.
 */
struct icmptap_door {
	int protocol;		/* NETLINK_* number, for the owner's death */
	unsigned int hdrlen;	/* bytes of a message before its records */

	unsigned int (*record_len)(const struct icmptap_sub *sub,
				   const struct icmptap_packet *pkt);
	void (*open)(struct sk_buff *msg, const struct icmptap_stream *stream);
	void (*put)(struct sk_buff *msg, const struct icmptap_sub *sub,
		    const struct icmptap_packet *pkt);
	/* Consumes @msg. Negative: the subscriber did not get it. */
	int (*send)(const struct icmptap_sub *sub, struct sk_buff *msg,
		    u32 count);
};

/* All constant while published, but for the lists and what streams guard. */
struct icmptap_sub {
	const struct icmptap_door *door;
	struct icmptap_params params;
	struct icmptap_stream __percpu *streams;
	struct net *net;	/* kept by the owner's socket */
	u32 portid;		/* of the owner's socket */

	struct list_head node;	/* icmptap_subs_lock */
	struct icmptap_link links[ICMPTAP_TAPS];
};

extern struct mutex icmptap_subs_lock;

int icmptap_sub_begin(struct net *net, u32 portid,
		      const struct icmptap_door *door,
		      const struct icmptap_params *params,
		      struct netlink_ext_ack *extack);
int icmptap_sub_flush(const struct net *net, u32 portid,
		      const struct icmptap_door *door);
int icmptap_sub_stop(const struct net *net, u32 portid,
		     const struct icmptap_door *door,
		     struct icmptap_counters *final);
int icmptap_sub_end(const struct net *net, u32 portid, int protocol);

int icmptap_sub_init(void);
void icmptap_sub_uninit(void);

#endif /* ICMPTAP_SUBSCRIPTION_H */
