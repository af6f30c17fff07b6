// SPDX-License-Identifier: GPL-2.0
/*
 * The generic-netlink family "icmptap": the batches that leave through it, who
 * may ask, and how an answer is made. What can be asked is in commands.c.
 *
 * docs/protocol.md says what goes over the wire; uapi/linux/icmptap.h is the
 * contract.
 */

#include <linux/capability.h>
#include <linux/genetlink.h>
#include <linux/module.h>
#include <linux/sched/signal.h>
#include <linux/skbuff.h>
#include <linux/user_namespace.h>
#include <net/genetlink.h>
#include <net/net_namespace.h>
#include <net/sock.h>

#include "genl.h"
#include "stream.h"
#include "subscription.h"

#define EVENTS_HDRLEN	(NLMSG_HDRLEN + GENL_HDRLEN + \
			 sizeof(struct icmptap_batch))

/* Else the records would not be aligned; see uapi/linux/icmptap.h. */
static_assert(EVENTS_HDRLEN % 8 == 0);

/* Softirq or process context, stream->lock held. */
static void open_events(struct sk_buff *msg,
			const struct icmptap_stream *stream)
{
	struct icmptap_batch *batch;

	genlmsg_put(msg, 0, 0, &icmptap_genl_family, 0, ICMPTAP_CMD_EVENTS);
	batch = skb_put(msg, sizeof(*batch));
	*batch = (struct icmptap_batch) {
		.hdrlen = sizeof(*batch),
		.cpu = stream->cpu,
		.seq = stream->counters.matched - 1,
	};
}

/* Any context that may write to @msg. */
static struct icmptap_batch *batch_of(struct sk_buff *msg)
{
	return genlmsg_data(nlmsg_data(nlmsg_hdr(msg)));
}

/* As open_events(). */
static void close_events(struct sk_buff *msg, u32 count)
{
	batch_of(msg)->count = count;
	nlmsg_end(msg, nlmsg_hdr(msg));
}

/*
 * Softirq, no lock held. All that came before this batch is settled by now:
 * what is not delivered is lost.
 */
static int send_events(const struct icmptap_sub *sub, struct sk_buff *msg,
		       u64 delivered)
{
	struct icmptap_batch *batch = batch_of(msg);

	batch->lost = batch->seq - delivered;
	return genlmsg_unicast(sub->net, msg, sub->portid);
}

const struct icmptap_door icmptap_genl_door = {
	.owner = THIS_MODULE,
	.hdrlen = EVENTS_HDRLEN,
	.open = open_events,
	.close = close_events,
	.send = send_events,
};

/**
 * icmptap_genl_check_first() - is this the first message of its datagram?
 * @request: what is being served
 * @extack: gets a sentence if not
 *
 * For what waits, or takes long. Thousands of requests in one datagram would be
 * served in one go, which no signal ends, and with genl's cb_lock held: a
 * family that is to be registered, and behind it all of generic netlink, would
 * wait for them.
 *
 * Context: process. netlink takes each message off the front before the next.
 * Return: 0 or -EINVAL; -EINTR, which nobody hears, if the sender was killed.
 */
int icmptap_genl_check_first(const struct sk_buff *request,
			     struct netlink_ext_ack *extack)
{
	/* sendmmsg() goes on with the next datagram all the same. */
	if (fatal_signal_pending(current))
		return -EINTR;
	if (!skb_headroom(request))
		return 0;
	NL_SET_ERR_MSG(extack,
		       "this request has to be the first message of its datagram");
	return -EINVAL;
}

/**
 * icmptap_genl_check_capable() - may the sender see its network namespace?
 * @request: what it sent
 * @extack: gets a sentence if not
 *
 * Context: process; @request is being served.
 * Return: 0 or -EPERM.
 */
int icmptap_genl_check_capable(struct sk_buff *request,
			       struct netlink_ext_ack *extack)
{
	const struct net *net = sock_net(NETLINK_CB(request).sk);

	/* Not GENL_UNS_ADMIN_PERM, which leaves the reason unsaid. */
	if (netlink_ns_capable(request, net->user_ns, CAP_NET_ADMIN))
		return 0;

	NL_SET_ERR_MSG(extack,
		       "CAP_NET_ADMIN is required over this network namespace");
	return -EPERM;
}

/*
 * As icmptap_genl_check_capable(), for all network namespaces. What a socket
 * is sent, whoever rules its network namespace can read: on an nlmon device.
 */
int icmptap_genl_check_global(struct sk_buff *request,
			      struct netlink_ext_ack *extack)
{
	const struct net *net = sock_net(NETLINK_CB(request).sk);

	if (!netlink_capable(request, CAP_NET_ADMIN)) {
		NL_SET_ERR_MSG(extack,
			       "CAP_NET_ADMIN is required in the initial user namespace, to see all network namespaces");
		return -EPERM;
	}
	if (net->user_ns != &init_user_ns) {
		NL_SET_ERR_MSG(extack,
			       "all network namespaces are seen only from one that belongs to the initial user namespace: others could read along here");
		return -EPERM;
	}
	return 0;
}

/*
 * Starts the reply to a request; *@header is what genlmsg_end() wants.
 *
 * Process context, sleeps. NULL without memory.
 */
struct sk_buff *icmptap_genl_new_reply(struct genl_info *info, void **header)
{
	struct sk_buff *msg = genlmsg_new(GENLMSG_DEFAULT_SIZE, GFP_KERNEL);

	if (!msg) {
		NL_SET_ERR_MSG(info->extack, "no memory for the reply");
		return NULL;
	}

	*header = genlmsg_put_reply(msg, info, &icmptap_genl_family, 0,
				    info->genlhdr->cmd);
	if (!*header) {
		nlmsg_free(msg);
		return NULL;
	}
	return msg;
}

/*
 * Sends a reply, or frees it if @err says that it could not be written.
 *
 * Process context. Returns 0, or a negative errno: the subscriber did not
 * get it.
 */
int icmptap_genl_send_reply(struct sk_buff *msg, void *header, int err,
			    struct genl_info *info)
{
	if (err) {
		nlmsg_free(msg);
		return err;
	}
	genlmsg_end(msg, header);
	return genlmsg_reply(msg, info);
}

struct genl_family icmptap_genl_family __ro_after_init = {
	.name = ICMPTAP_GENL_NAME,
	.version = ICMPTAP_GENL_VERSION,
	.netnsok = true,
	.parallel_ops = true,	/* icmptap_subs_lock is enough */
	.module = THIS_MODULE,
};

/*
 * Module load. @ops are the commands: handed in, because they answer with the
 * functions above.
 */
int __init icmptap_genl_init(const struct genl_ops *ops, unsigned int n_ops)
{
	icmptap_genl_family.ops = ops;
	icmptap_genl_family.n_ops = n_ops;
	return genl_register_family(&icmptap_genl_family);
}

/* Module unload. Waits for requests in progress. */
void icmptap_genl_uninit(void)
{
	genl_unregister_family(&icmptap_genl_family);
}

MODULE_ALIAS_GENL_FAMILY(ICMPTAP_GENL_NAME);
