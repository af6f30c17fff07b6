// SPDX-License-Identifier: GPL-2.0
/*
 * Who listens, and what was counted: GET_SUBSCRIPTION and GET_STATS.
 *
 * Called by commands.c: for its table, and for the reply to UNSUBSCRIBE.
 */

#include <linux/capability.h>
#include <linux/cpumask.h>
#include <linux/netlink.h>
#include <linux/pid.h>
#include <linux/pid_namespace.h>
#include <linux/skbuff.h>
#include <net/genetlink.h>
#include <net/net_namespace.h>
#include <net/sock.h>

#include "compat.h"
#include "genl.h"
#include "hook.h"
#include "params.h"
#include "report.h"
#include "stats.h"
#include "stream.h"
#include "subscription.h"

/* Of a request for subscriptions: no other attribute is known. */
const struct nla_policy icmptap_report_policy[ICMPTAP_SUB_ALL_NETNS + 1] = {
	[ICMPTAP_SUB_ALL_NETNS] = { .type = NLA_FLAG },
};

static int put_counter(struct sk_buff *msg, int attr, u64 value)
{
	return nla_put_u64_64bit(msg, attr, value, ICMPTAP_COUNTER_PAD);
}

/*
 * Writes counters as the nest @attr.
 *
 * Process context. Returns 0, or -EMSGSIZE if @msg is full.
 */
int icmptap_report_counters(struct sk_buff *msg, int attr,
			    const struct icmptap_counters *counters)
{
	struct nlattr *nest = nla_nest_start(msg, attr);

	if (!nest ||
	    put_counter(msg, ICMPTAP_COUNTER_MATCHED, counters->matched) ||
	    put_counter(msg, ICMPTAP_COUNTER_DELIVERED, counters->delivered) ||
	    put_counter(msg, ICMPTAP_COUNTER_LOST_OVERRUN,
			counters->lost_overrun) ||
	    put_counter(msg, ICMPTAP_COUNTER_LOST_NOMEM,
			counters->lost_nomem) ||
	    put_counter(msg, ICMPTAP_COUNTER_QUEUED, counters->queued) ||
	    put_counter(msg, ICMPTAP_COUNTER_LOST_RATELIMIT,
			counters->lost_ratelimit) ||
	    put_counter(msg, ICMPTAP_COUNTER_SAMPLED_OUT,
			counters->sampled_out))
		return -EMSGSIZE;

	nla_nest_end(msg, nest);
	return 0;
}

/*
 * Of who subscribed, as seen by who asks; 0: not from here, or no more.
 *
 * Process context.
 */
static pid_t visible_pid(const struct icmptap_sub *sub)
{
	pid_t pid = 0;

	rcu_read_lock();
	if (pid_task(sub->pid, PIDTYPE_TGID))
		pid = pid_nr_ns(sub->pid, task_active_pid_ns(current));
	rcu_read_unlock();
	return pid;
}

/* Process context; icmptap_subs_lock held. */
static int put_sub(struct sk_buff *msg, struct icmptap_sub *sub)
{
	pid_t pid = visible_pid(sub);
	struct icmptap_counters counters = {};

	icmptap_streams_count(sub, &counters);

	if (icmptap_params_put(msg, &sub->params) ||
	    nla_put_u32(msg, ICMPTAP_SUB_PORTID, sub->portid) ||
	    nla_put_u32(msg, ICMPTAP_SUB_PROTOCOL, sub->protocol) ||
	    nla_put_u32(msg, ICMPTAP_SUB_NETNS, sub->net->ns.inum) ||
	    nla_put_u32(msg, ICMPTAP_SUB_PID, pid) ||
	    nla_put_string(msg, ICMPTAP_SUB_COMM, pid ? sub->comm : "") ||
	    nla_put_u64_64bit(msg, ICMPTAP_SUB_ID, sub->id, ICMPTAP_SUB_PAD) ||
	    nla_put_u64_64bit(msg, ICMPTAP_SUB_BYTES, sub->bytes,
			      ICMPTAP_SUB_PAD) ||
	    nla_put_u32(msg, ICMPTAP_SUB_TAPS_MISSING,
			icmptap_hook_missing(sub)))
		return -EMSGSIZE;
	return icmptap_report_counters(msg, ICMPTAP_SUB_COUNTERS, &counters);
}

/*
 * Starts one message of a dump.
 *
 * Process context. NULL if @msg is full.
 */
static void *begin_part(struct sk_buff *msg, struct netlink_callback *cb,
			u8 cmd)
{
	return genlmsg_put(msg, NETLINK_CB(cb->skb).portid, cb->nlh->nlmsg_seq,
			   &icmptap_genl_family, NLM_F_MULTI, cmd);
}

/* The state of a dump of subscriptions, which lies in cb->args. */
struct subs_dump {
	const struct net *net;	/* NULL: all */
	unsigned long passed;	/* subscriptions that are in earlier messages */
};

static struct subs_dump *subs_dump(struct netlink_callback *cb)
{
	BUILD_BUG_ON(sizeof(struct subs_dump) > sizeof(cb->args));
	return (struct subs_dump *)cb->args;
}

/* Process context, sleeps: the start of a dump. */
int icmptap_report_subs_start(struct netlink_callback *cb)
{
	struct nlattr **attrs = genl_info_dump(cb)->attrs;
	int err;

	err = icmptap_params_refuse_twice(cb->nlh, cb->extack);
	if (err)
		return err;

	if (nla_get_flag(attrs[ICMPTAP_SUB_ALL_NETNS]))
		return icmptap_genl_check_global(cb->skb, cb->extack);

	/* The dump's socket keeps it. */
	subs_dump(cb)->net = sock_net(NETLINK_CB(cb->skb).sk);
	return icmptap_genl_check_capable(cb->skb, cb->extack);
}

/* One call of the dump. */
struct subs_part {
	struct sk_buff *msg;
	struct netlink_callback *cb;
	unsigned long nth;
};

/* Process context; icmptap_subs_lock held. */
static int dump_sub(struct icmptap_sub *sub, void *arg)
{
	struct subs_part *part = arg;
	void *header;

	if (part->nth++ < subs_dump(part->cb)->passed)
		return 0;

	header = begin_part(part->msg, part->cb, ICMPTAP_CMD_GET_SUBSCRIPTION);
	if (!header)
		return -EMSGSIZE;
	if (put_sub(part->msg, sub)) {
		genlmsg_cancel(part->msg, header);
		return -EMSGSIZE;
	}
	genl_dump_check_consistent(part->cb, header);
	genlmsg_end(part->msg, header);
	subs_dump(part->cb)->passed++;
	return 0;
}

/*
 * Process context, takes icmptap_subs_lock. What does not fit comes in the
 * next call; a list that has changed by then is marked as such.
 */
int icmptap_report_subs(struct sk_buff *msg, struct netlink_callback *cb)
{
	struct subs_part part = { .msg = msg, .cb = cb };
	int err;

	mutex_lock(&icmptap_subs_lock);
	cb->seq = icmptap_subs_generation();
	err = icmptap_subs_for_each(subs_dump(cb)->net, dump_sub, &part);
	mutex_unlock(&icmptap_subs_lock);

	return err && !msg->len ? err : msg->len;
}

/* What the living subscriptions of a network namespace amount to. */
struct living {
	u32 count;
	u64 bytes;
};

/* Process context; icmptap_subs_lock held. */
static int count_sub(struct icmptap_sub *sub, void *arg)
{
	struct living *living = arg;

	living->count++;
	living->bytes += sub->bytes;
	return 0;
}

/* What one CPU counted for the living. */
struct count {
	unsigned int cpu;
	struct icmptap_counters *sum;
};

/* Process context; icmptap_subs_lock held. */
static int count_one(struct icmptap_sub *sub, void *arg)
{
	const struct count *count = arg;

	icmptap_stream_count(sub, count->cpu, count->sum);
	return 0;
}

/*
 * Adds what one CPU counted for the subscriptions whose socket is in @net,
 * those that have ended included.
 *
 * Process context; icmptap_subs_lock held.
 */
static void count_cpu(const struct net *net, unsigned int cpu,
		      struct icmptap_counters *sum)
{
	struct count count = { .cpu = cpu, .sum = sum };

	lockdep_assert_held(&icmptap_subs_lock);

	icmptap_counters_add(sum, icmptap_stats_ended(net, cpu));
	icmptap_subs_for_each(net, count_one, &count);
}

/* Process context, takes icmptap_subs_lock. */
static int put_stats(struct sk_buff *msg, const struct net *net, bool all)
{
	struct icmptap_counters sum = {};
	struct living living = {};
	unsigned int cpu;
	u64 total;

	mutex_lock(&icmptap_subs_lock);
	icmptap_subs_for_each(net, count_sub, &living);
	for_each_possible_cpu(cpu)
		count_cpu(net, cpu, &sum);
	total = icmptap_subs_bytes();
	mutex_unlock(&icmptap_subs_lock);

	if (nla_put_u32(msg, ICMPTAP_STATS_NETNS, net->ns.inum) ||
	    nla_put_u32(msg, ICMPTAP_STATS_SUBSCRIPTIONS, living.count) ||
	    nla_put_u64_64bit(msg, ICMPTAP_STATS_BYTES, living.bytes,
			      ICMPTAP_STATS_PAD) ||
	    (all && nla_put_u64_64bit(msg, ICMPTAP_STATS_BYTES_TOTAL, total,
				      ICMPTAP_STATS_PAD)))
		return -EMSGSIZE;
	return icmptap_report_counters(msg, ICMPTAP_STATS_COUNTERS, &sum);
}

/* Process context, sleeps: a request. */
int icmptap_report_stats(struct sk_buff *request, struct genl_info *info)
{
	struct sk_buff *msg;
	void *header;
	int err;

	err = icmptap_genl_check_first(request, info->extack);
	if (!err)
		err = icmptap_genl_check_capable(request, info->extack);
	if (err)
		return err;

	msg = icmptap_genl_new_reply(info, &header);
	if (!msg)
		return -ENOMEM;

	/* What others have is told to who may see them. */
	err = put_stats(msg, genl_info_net(info),
			!icmptap_genl_check_global(request, NULL));
	return icmptap_genl_send_reply(msg, header, err, info);
}

/* Process context, takes icmptap_subs_lock. */
static int put_one_cpu(struct sk_buff *msg, const struct net *net,
		       unsigned int cpu)
{
	struct icmptap_counters sum = {};

	mutex_lock(&icmptap_subs_lock);
	count_cpu(net, cpu, &sum);
	mutex_unlock(&icmptap_subs_lock);

	if (nla_put_u32(msg, ICMPTAP_STATS_CPU, cpu) ||
	    nla_put_u32(msg, ICMPTAP_STATS_NETNS, net->ns.inum))
		return -EMSGSIZE;
	return icmptap_report_counters(msg, ICMPTAP_STATS_COUNTERS, &sum);
}

/* Process context: the start of a dump. */
int icmptap_report_cpus_start(struct netlink_callback *cb)
{
	return icmptap_genl_check_capable(cb->skb, cb->extack);
}

/* Process context, sleeps. cb->args[0] is the next CPU. */
int icmptap_report_cpus(struct sk_buff *msg, struct netlink_callback *cb)
{
	const struct net *net = sock_net(NETLINK_CB(cb->skb).sk);
	unsigned int cpu;
	void *header;

	for (cpu = cb->args[0]; cpu < nr_cpu_ids; cpu++) {
		if (!cpu_possible(cpu))
			continue;
		header = begin_part(msg, cb, ICMPTAP_CMD_GET_STATS);
		if (!header)
			break;
		if (put_one_cpu(msg, net, cpu)) {
			genlmsg_cancel(msg, header);
			break;
		}
		genlmsg_end(msg, header);
	}
	cb->args[0] = cpu;
	return msg->len;
}
