// SPDX-License-Identifier: GPL-2.0
/*
 * The generic-netlink family "icmptap": requests, replies and batches.
 *
 * docs/protocol.md says what goes over the wire; uapi/linux/icmptap.h is the
 * contract.
 */

#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/genetlink.h>
#include <linux/module.h>
#include <linux/skbuff.h>
#include <linux/user_namespace.h>
#include <linux/uuid.h>
#include <net/genetlink.h>
#include <net/net_namespace.h>
#include <net/sock.h>

#include "filter.h"
#include "genl.h"
#include "hook.h"
#include "params.h"
#include "report.h"
#include "stream.h"
#include "subscription.h"
#include "version.h"

#define EVENTS_HDRLEN	(NLMSG_HDRLEN + GENL_HDRLEN + \
			 sizeof(struct icmptap_batch))

/* Else the records would not be aligned; see uapi/linux/icmptap.h. */
static_assert(EVENTS_HDRLEN % 8 == 0);

/* Fresh per load: a reader sees that counters began again. */
static u8 boot_id[16] __ro_after_init;

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

static const struct icmptap_door genl_door = {
	.owner = THIS_MODULE,
	.hdrlen = EVENTS_HDRLEN,
	.open = open_events,
	.close = close_events,
	.send = send_events,
};

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

static int put_info(struct sk_buff *msg)
{
	if (nla_put_string(msg, ICMPTAP_INFO_MODULE_VERSION, ICMPTAP_VERSION) ||
	    nla_put_u32(msg, ICMPTAP_INFO_SCHEMA_VERSION,
			ICMPTAP_SCHEMA_VERSION) ||
	    nla_put(msg, ICMPTAP_INFO_BOOT_ID, sizeof(boot_id), boot_id) ||
	    nla_put_u32(msg, ICMPTAP_INFO_HOOKS, ICMPTAP_HOOKS) ||
	    nla_put_u32(msg, ICMPTAP_INFO_FAMILIES, ICMPTAP_FAMILIES) ||
	    nla_put_u32(msg, ICMPTAP_INFO_SNAPLEN_MAX, ICMPTAP_SNAPLEN_MAX) ||
	    nla_put_u32(msg, ICMPTAP_INFO_BATCH_MIN, ICMPTAP_BATCH_MIN) ||
	    nla_put_u32(msg, ICMPTAP_INFO_BATCH_MAX, ICMPTAP_BATCH_MAX) ||
	    nla_put_u32(msg, ICMPTAP_INFO_FLUSH_MAX_US,
			ICMPTAP_FLUSH_MAX_US) ||
	    nla_put_u32(msg, ICMPTAP_INFO_FILTER_MAX, BPF_MAXINSNS) ||
	    nla_put_u64_64bit(msg, ICMPTAP_INFO_MAX_BYTES,
			      icmptap_subs_max_bytes(), ICMPTAP_INFO_PAD))
		return -EMSGSIZE;
	return 0;
}

/* Process context: a request. Anyone may ask. */
static int get_info(struct sk_buff *skb, struct genl_info *info)
{
	struct sk_buff *msg;
	void *header;

	msg = icmptap_genl_new_reply(info, &header);
	if (!msg)
		return -ENOMEM;

	return icmptap_genl_send_reply(msg, header, put_info(msg), info);
}

/*
 * Asks for @params, which are read, and answers with the values in force.
 *
 * Process context, sleeps: a request.
 */
static int begin(struct sk_buff *skb, struct genl_info *info,
		 struct icmptap_params *params)
{
	struct icmptap_sub *sub;
	struct sk_buff *msg;
	void *header;
	int err;

	msg = icmptap_genl_new_reply(info, &header);
	if (!msg) {
		icmptap_filter_uninit(&params->filter);
		return -ENOMEM;
	}

	/* Before it begins: what is in @params may be gone afterwards. */
	err = icmptap_params_put(msg, params);
	if (err) {
		icmptap_filter_uninit(&params->filter);
		nlmsg_free(msg);
		return err;
	}

	sub = icmptap_sub_begin(skb, &genl_door, params, info->extack);
	if (IS_ERR(sub)) {
		nlmsg_free(msg);
		return PTR_ERR(sub);
	}

	/* The reply before the first event; without it there is none. */
	err = icmptap_genl_send_reply(msg, header, 0, info);
	if (err) {
		icmptap_sub_end(sub);
		NL_SET_ERR_MSG(info->extack,
			       "no room for the reply in the receive buffer");
	} else {
		icmptap_sub_start(sub);
	}
	icmptap_sub_put(sub);
	return err;
}

/*
 * What may wait for a grace period, or for batches to be sent, has to be the
 * first message of its datagram. Many in one would be served in one go, which
 * no signal ends, and genl's cb_lock is held all the while: a family that is
 * to be registered, and behind it all of generic netlink, would wait for that.
 *
 * Any context. netlink takes each message off the front before the next.
 */
static int check_first(const struct sk_buff *skb, struct netlink_ext_ack *extack)
{
	if (!skb_headroom(skb))
		return 0;
	NL_SET_ERR_MSG(extack,
		       "a request that may wait has to be the first message of its datagram");
	return -EINVAL;
}

/* Process context, sleeps: a request. */
static int subscribe(struct sk_buff *skb, struct genl_info *info)
{
	struct icmptap_params params;
	int err;

	err = check_first(skb, info->extack);
	if (!err)
		err = icmptap_genl_check_capable(skb, info->extack);
	if (!err && nla_get_flag(info->attrs[ICMPTAP_SUB_ALL_NETNS]))
		err = icmptap_genl_check_global(skb, info->extack);
	if (!err)
		err = icmptap_params_refuse_twice(info->nlhdr, info->extack);
	if (!err)
		err = icmptap_params_read(&params, info->attrs, info->extack);
	if (!err)
		err = begin(skb, info, &params);
	return err;
}

/*
 * The subscription of the socket that asks for something that may wait. The
 * caller puts it.
 *
 * Process context: a request.
 */
static struct icmptap_sub *get_sub(struct sk_buff *skb, struct genl_info *info)
{
	int err = check_first(skb, info->extack);
	struct icmptap_sub *sub;

	if (err)
		return ERR_PTR(err);

	sub = icmptap_sub_get(skb);
	if (sub)
		return sub;
	NL_SET_ERR_MSG(info->extack, "this socket is not subscribed");
	return ERR_PTR(-ENOENT);
}

/* Process context, sleeps: a request. @sub is stopped. */
static int send_final(struct icmptap_sub *sub, struct genl_info *info)
{
	struct icmptap_counters final = {};
	struct sk_buff *msg;
	void *header;
	int err;

	msg = icmptap_genl_new_reply(info, &header);
	if (!msg)
		return -ENOMEM;

	icmptap_streams_count(sub, &final);
	err = icmptap_report_counters(msg, ICMPTAP_SUB_COUNTERS, &final);
	return icmptap_genl_send_reply(msg, header, err, info);
}

/*
 * A reader that was too slow has no room for the reply either, nor, most
 * likely, for the error. It drains its receive buffer, finds no answer and
 * asks again: the stopped subscription waits for it. So it does where there
 * was no memory for the reply.
 *
 * Process context, sleeps: a request.
 */
static int unsubscribe(struct sk_buff *skb, struct genl_info *info)
{
	struct icmptap_sub *sub = get_sub(skb, info);
	int err;

	if (IS_ERR(sub))
		return PTR_ERR(sub);

	icmptap_sub_stop(sub);
	err = send_final(sub, info);
	if (!err)
		icmptap_sub_end(sub);
	else if (err == -EAGAIN)
		NL_SET_ERR_MSG(info->extack,
			       "no room for the reply: drain the receive buffer, then ask again");

	icmptap_sub_put(sub);
	return err;
}

/* Process context, sleeps: a request. */
static int flush(struct sk_buff *skb, struct genl_info *info)
{
	struct icmptap_sub *sub = get_sub(skb, info);

	if (IS_ERR(sub))
		return PTR_ERR(sub);

	icmptap_streams_flush(sub);
	icmptap_sub_put(sub);
	return 0;
}

/* Older kernels take no policy for "any attribute is refused". */
static const struct nla_policy no_policy[] = {
	[1] = { .type = NLA_REJECT,
		.reject_message = "this command takes no attributes" },
};

static const struct genl_ops ops[] = {
	{
		.cmd = ICMPTAP_CMD_GET_INFO,
		.doit = get_info,
		.policy = no_policy,
		.maxattr = ARRAY_SIZE(no_policy) - 1,
	},
	{
		.cmd = ICMPTAP_CMD_SUBSCRIBE,
		.doit = subscribe,
		.policy = icmptap_params_policy,
		.maxattr = ARRAY_SIZE(icmptap_params_policy) - 1,
	},
	{
		.cmd = ICMPTAP_CMD_UNSUBSCRIBE,
		.doit = unsubscribe,
		.policy = no_policy,
		.maxattr = ARRAY_SIZE(no_policy) - 1,
	},
	{
		.cmd = ICMPTAP_CMD_FLUSH,
		.doit = flush,
		.policy = no_policy,
		.maxattr = ARRAY_SIZE(no_policy) - 1,
	},
	{
		.cmd = ICMPTAP_CMD_GET_SUBSCRIPTION,
		.start = icmptap_report_subs_start,
		.dumpit = icmptap_report_subs,
		.policy = icmptap_report_policy,
		.maxattr = ARRAY_SIZE(icmptap_report_policy) - 1,
	},
	{
		.cmd = ICMPTAP_CMD_GET_STATS,
		.doit = icmptap_report_stats,
		.start = icmptap_report_cpus_start,
		.dumpit = icmptap_report_cpus,
		.policy = no_policy,
		.maxattr = ARRAY_SIZE(no_policy) - 1,
	},
};

struct genl_family icmptap_genl_family __ro_after_init = {
	.name = ICMPTAP_GENL_NAME,
	.version = ICMPTAP_GENL_VERSION,
	.netnsok = true,
	.parallel_ops = true,	/* icmptap_subs_lock is enough */
	.module = THIS_MODULE,
	.ops = ops,
	.n_ops = ARRAY_SIZE(ops),
};

/* Module load. */
int __init icmptap_genl_init(void)
{
	generate_random_uuid(boot_id);
	return genl_register_family(&icmptap_genl_family);
}

/* Module unload. Waits for requests in progress. */
void icmptap_genl_uninit(void)
{
	genl_unregister_family(&icmptap_genl_family);
}

MODULE_ALIAS_GENL_FAMILY(ICMPTAP_GENL_NAME);
