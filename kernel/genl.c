// SPDX-License-Identifier: GPL-2.0
/*
 * The generic-netlink family "icmptap": requests, replies and batches.
 *
 * docs/protocol.md says what goes over the wire; uapi/linux/icmptap.h is the
 * contract.
 */

#include <linux/capability.h>
#include <linux/genetlink.h>
#include <linux/module.h>
#include <linux/skbuff.h>
#include <linux/time64.h>
#include <linux/uuid.h>
#include <net/genetlink.h>
#include <net/net_namespace.h>

#include "genl.h"
#include "hook.h"
#include "record.h"
#include "stream.h"
#include "subscription.h"
#include "version.h"

/* The longest IPv4 packet: more would find nothing. */
#define SNAPLEN_MAX	65535
/* The longest ICMP error that a router has to send whole (RFC 1812). */
#define SNAPLEN_DEFAULT	576

/* Slab buckets: one byte more would take the next one, of twice the size. */
#define BATCH_MIN	((u32)SKB_WITH_OVERHEAD(1024))
#define BATCH_DEFAULT	((u32)SKB_WITH_OVERHEAD(4096))
#define BATCH_MAX	((u32)SKB_WITH_OVERHEAD(65536))

#define FLUSH_DEFAULT_US	1000
#define FLUSH_MAX_US		((u32)USEC_PER_SEC)

#define EVENTS_HDRLEN	(NLMSG_HDRLEN + GENL_HDRLEN + \
			 sizeof(struct icmptap_batch))

/* Else the records would not be aligned; see uapi/linux/icmptap.h. */
static_assert(EVENTS_HDRLEN % 8 == 0);

static struct genl_family family;

/* Fresh per load: a reader sees that counters began again. */
static u8 boot_id[16] __ro_after_init;

static unsigned int record_len(const struct icmptap_sub *sub,
			       const struct icmptap_packet *pkt)
{
	return icmptap_record_len(pkt, sub->params.snaplen);
}

/* Softirq or process context, stream->lock held; so in put(), send(). */
static void open_events(struct sk_buff *msg,
			const struct icmptap_stream *stream)
{
	struct icmptap_batch *batch;

	genlmsg_put(msg, 0, 0, &family, 0, ICMPTAP_CMD_EVENTS);
	batch = skb_put(msg, sizeof(*batch));
	*batch = (struct icmptap_batch) {
		.hdrlen = sizeof(*batch),
		.cpu = stream->cpu,
		.seq = stream->counters.matched - 1,
		.lost = icmptap_counters_lost(&stream->counters),
	};
}

static void put_record(struct sk_buff *msg, const struct icmptap_sub *sub,
		       const struct icmptap_packet *pkt)
{
	icmptap_record_put(msg, pkt, sub->params.snaplen);
}

static int send_events(const struct icmptap_sub *sub, struct sk_buff *msg,
		       u32 count)
{
	struct nlmsghdr *nlh = nlmsg_hdr(msg);
	struct icmptap_batch *batch = genlmsg_data(nlmsg_data(nlh));

	batch->count = count;
	nlmsg_end(msg, nlh);
	return genlmsg_unicast(sub->net, msg, sub->portid);
}

static const struct icmptap_door genl_door = {
	.protocol = NETLINK_GENERIC,
	.hdrlen = EVENTS_HDRLEN,
	.record_len = record_len,
	.open = open_events,
	.put = put_record,
	.send = send_events,
};

/*
 * Starts the reply to a request; *@header is what genlmsg_end() wants.
 *
 * Process context, sleeps. NULL without memory.
 */
static struct sk_buff *new_reply(struct genl_info *info, void **header)
{
	struct sk_buff *msg = genlmsg_new(GENLMSG_DEFAULT_SIZE, GFP_KERNEL);

	if (!msg)
		return NULL;

	*header = genlmsg_put_reply(msg, info, &family, 0, info->genlhdr->cmd);
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
static int send_reply(struct sk_buff *msg, void *header, int err,
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
	    nla_put_u32(msg, ICMPTAP_INFO_SNAPLEN_MAX, SNAPLEN_MAX) ||
	    nla_put_u32(msg, ICMPTAP_INFO_BATCH_MIN, BATCH_MIN) ||
	    nla_put_u32(msg, ICMPTAP_INFO_BATCH_MAX, BATCH_MAX) ||
	    nla_put_u32(msg, ICMPTAP_INFO_FLUSH_MAX_US, FLUSH_MAX_US))
		return -EMSGSIZE;
	return 0;
}

static int put_params(struct sk_buff *msg, const struct icmptap_params *params)
{
	u32 flush_us = div_u64(params->flush_ns, NSEC_PER_USEC);

	if (nla_put_u32(msg, ICMPTAP_SUB_HOOKS, params->hooks) ||
	    nla_put_u32(msg, ICMPTAP_SUB_FAMILIES, params->families) ||
	    nla_put_u32(msg, ICMPTAP_SUB_SNAPLEN, params->snaplen) ||
	    nla_put_u32(msg, ICMPTAP_SUB_BATCH, params->batch) ||
	    nla_put_u32(msg, ICMPTAP_SUB_FLUSH_US, flush_us))
		return -EMSGSIZE;
	return 0;
}

static int put_counter(struct sk_buff *msg, int attr, u64 value)
{
	return nla_put_u64_64bit(msg, attr, value, ICMPTAP_COUNTER_PAD);
}

static int put_counters(struct sk_buff *msg,
			const struct icmptap_counters *counters)
{
	struct nlattr *nest = nla_nest_start(msg, ICMPTAP_SUB_COUNTERS);

	if (!nest ||
	    put_counter(msg, ICMPTAP_COUNTER_MATCHED, counters->matched) ||
	    put_counter(msg, ICMPTAP_COUNTER_DELIVERED, counters->delivered) ||
	    put_counter(msg, ICMPTAP_COUNTER_LOST_OVERRUN,
			counters->lost_overrun) ||
	    put_counter(msg, ICMPTAP_COUNTER_LOST_NOMEM,
			counters->lost_nomem) ||
	    put_counter(msg, ICMPTAP_COUNTER_QUEUED, counters->queued))
		return -EMSGSIZE;

	nla_nest_end(msg, nest);
	return 0;
}

/* Process context: a request. Anyone may ask. */
static int get_info(struct sk_buff *skb, struct genl_info *info)
{
	struct sk_buff *msg;
	void *header;

	msg = new_reply(info, &header);
	if (!msg)
		return -ENOMEM;

	return send_reply(msg, header, put_info(msg), info);
}

/* Reads attributes that sub_policy has passed. Any context. */
static void read_params(struct nlattr *const *attrs,
			struct icmptap_params *params)
{
	*params = (struct icmptap_params) {
		.hooks = BIT(NF_INET_PRE_ROUTING),
		.families = ICMPTAP_FAMILIES,
		.snaplen = SNAPLEN_DEFAULT,
		.batch = BATCH_DEFAULT,
		.flush_ns = FLUSH_DEFAULT_US * NSEC_PER_USEC,
	};

	if (attrs[ICMPTAP_SUB_HOOKS])
		params->hooks = nla_get_u32(attrs[ICMPTAP_SUB_HOOKS]);
	if (attrs[ICMPTAP_SUB_FAMILIES])
		params->families = nla_get_u32(attrs[ICMPTAP_SUB_FAMILIES]);
	if (attrs[ICMPTAP_SUB_SNAPLEN])
		params->snaplen = nla_get_u32(attrs[ICMPTAP_SUB_SNAPLEN]);
	if (attrs[ICMPTAP_SUB_BATCH])
		params->batch = nla_get_u32(attrs[ICMPTAP_SUB_BATCH]);
	if (attrs[ICMPTAP_SUB_FLUSH_US])
		params->flush_ns = nla_get_u32(attrs[ICMPTAP_SUB_FLUSH_US]) *
				   (u64)NSEC_PER_USEC;
}

/* Process context, sleeps: a request. */
static int subscribe(struct sk_buff *skb, struct genl_info *info)
{
	struct net *net = genl_info_net(info);
	struct icmptap_params params;
	struct sk_buff *msg;
	void *header;
	int err;

	/* Not GENL_UNS_ADMIN_PERM, which leaves the reason unsaid. */
	if (!netlink_ns_capable(skb, net->user_ns, CAP_NET_ADMIN)) {
		NL_SET_ERR_MSG(info->extack,
			       "CAP_NET_ADMIN is required over this network namespace");
		return -EPERM;
	}

	read_params(info->attrs, &params);
	if (!params.hooks) {
		NL_SET_ERR_MSG_ATTR(info->extack,
				    info->attrs[ICMPTAP_SUB_HOOKS],
				    "at least one hook is needed");
		return -EINVAL;
	}
	if (!params.families) {
		NL_SET_ERR_MSG_ATTR(info->extack,
				    info->attrs[ICMPTAP_SUB_FAMILIES],
				    "at least one family is needed");
		return -EINVAL;
	}

	msg = new_reply(info, &header);
	if (!msg)
		return -ENOMEM;

	err = icmptap_sub_begin(net, info->snd_portid, &genl_door, &params,
				info->extack);
	if (err) {
		nlmsg_free(msg);
		return err;
	}

	err = send_reply(msg, header, put_params(msg, &params), info);
	if (err) {
		icmptap_sub_end(net, info->snd_portid, NETLINK_GENERIC);
		NL_SET_ERR_MSG(info->extack,
			       "no room for the reply in the receive buffer");
	}
	return err;
}

/* Any context. */
static int check_subscribed(int err, struct genl_info *info)
{
	if (err == -ENOENT)
		NL_SET_ERR_MSG(info->extack, "this socket is not subscribed");
	return err;
}

/*
 * A reader that was too slow has no room for the reply either. It drains its
 * receive buffer and asks again: the stopped subscription waits for it.
 *
 * Process context, sleeps: a request.
 */
static int unsubscribe(struct sk_buff *skb, struct genl_info *info)
{
	struct net *net = genl_info_net(info);
	struct icmptap_counters final;
	struct sk_buff *msg;
	void *header;
	int err;

	msg = new_reply(info, &header);
	if (!msg)
		return -ENOMEM;

	err = icmptap_sub_stop(net, info->snd_portid, &genl_door, &final);
	if (err) {
		nlmsg_free(msg);
		return check_subscribed(err, info);
	}

	err = send_reply(msg, header, put_counters(msg, &final), info);
	if (err) {
		NL_SET_ERR_MSG(info->extack,
			       "no room for the reply: drain the receive buffer, then ask again");
		return err;
	}

	/* Gone already only if another thread of the owner was faster. */
	icmptap_sub_end(net, info->snd_portid, NETLINK_GENERIC);
	return 0;
}

/* Process context, sleeps: a request. */
static int flush(struct sk_buff *skb, struct genl_info *info)
{
	int err = icmptap_sub_flush(genl_info_net(info), info->snd_portid,
				    &genl_door);

	return check_subscribed(err, info);
}

static struct netlink_range_validation snaplen_range = {
	.max = SNAPLEN_MAX,
};

static struct netlink_range_validation batch_range = {
	.min = BATCH_MIN,
	.max = BATCH_MAX,
};

static struct netlink_range_validation flush_us_range = {
	.max = FLUSH_MAX_US,
};

static const struct nla_policy sub_policy[ICMPTAP_SUB_MAX + 1] = {
	[ICMPTAP_SUB_HOOKS] = NLA_POLICY_MASK(NLA_U32, ICMPTAP_HOOKS),
	[ICMPTAP_SUB_FAMILIES] = NLA_POLICY_MASK(NLA_U32, ICMPTAP_FAMILIES),
	[ICMPTAP_SUB_SNAPLEN] = NLA_POLICY_FULL_RANGE(NLA_U32, &snaplen_range),
	[ICMPTAP_SUB_BATCH] = NLA_POLICY_FULL_RANGE(NLA_U32, &batch_range),
	[ICMPTAP_SUB_FLUSH_US] = NLA_POLICY_FULL_RANGE(NLA_U32, &flush_us_range),
	[ICMPTAP_SUB_COUNTERS] = { .type = NLA_REJECT,
				   .reject_message = "counters are not for asking" },
};

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
		.policy = sub_policy,
		.maxattr = ARRAY_SIZE(sub_policy) - 1,
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
};

static struct genl_family family __ro_after_init = {
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
	return genl_register_family(&family);
}

/* Module unload. Waits for requests in progress. */
void icmptap_genl_uninit(void)
{
	genl_unregister_family(&family);
}

MODULE_ALIAS_GENL_FAMILY(ICMPTAP_GENL_NAME);
