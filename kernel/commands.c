// SPDX-License-Identifier: GPL-2.0
/*
 * What can be asked over generic netlink: the table of commands, and what each
 * does, but for those that tell of all subscriptions, which are in report.c.
 *
 * Called by netlink for each request, through the table, and by main.c.
 */

#include <linux/err.h>
#include <linux/filter.h>
#include <linux/netlink.h>
#include <linux/skbuff.h>
#include <linux/uuid.h>
#include <net/genetlink.h>

#include "commands.h"
#include "filter.h"
#include "genl.h"
#include "hook.h"
#include "params.h"
#include "report.h"
#include "stream.h"
#include "subscription.h"
#include "version.h"

/* Fresh per load: a reader sees that counters began again. */
static u8 boot_id[16] __ro_after_init;

/* Process context: a request. */
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

	sub = icmptap_sub_begin(skb, &icmptap_genl_door, params, info->extack);
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

/* Process context, sleeps: a request. */
static int subscribe(struct sk_buff *skb, struct genl_info *info)
{
	struct icmptap_params params;
	int err;

	err = icmptap_genl_check_first(skb, info->extack);
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
	int err = icmptap_genl_check_first(skb, info->extack);
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

/* Module load. Requests may come before it returns. */
int __init icmptap_commands_init(void)
{
	generate_random_uuid(boot_id);
	return icmptap_genl_init(ops, ARRAY_SIZE(ops));
}

/* Module unload. Waits for requests in progress. */
void icmptap_commands_uninit(void)
{
	icmptap_genl_uninit();
}
