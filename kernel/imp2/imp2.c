// SPDX-License-Identifier: GPL-2.0
/*
 * The IMP2 protocol: a second door to the same subscriptions. Its messages
 * carry two addresses each and are never batched.
 *
 * A module of its own: the protocol's number may be another module's already,
 * which keeps only this one out; and nobody's socket() loads it, since it has
 * no alias.
 *
 * Raw netlink has no policies, no permission check, and netlink_rcv_skb()
 * passes over message types below NLMSG_MIN_TYPE, as these are: all three
 * are done here.
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/capability.h>
#include <linux/ip.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/netlink.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/skbuff.h>
#include <linux/string.h>
#include <net/net_namespace.h>
#include <net/netlink.h>
#include <net/netns/generic.h>
#include <net/sock.h>
#include <linux/imp2.h>

#include "../compat.h"
#include "../filter.h"
#include "../hook.h"
#include "../packet.h"
#include "../stream.h"
#include "../subscription.h"
#include "../version.h"

struct imp2_net {
	struct sock *sock;	/* the kernel's, port 0 */
};

static unsigned int imp2_net_id __read_mostly;

/* A subscription would outlive a module that does not load in the end. */
static bool is_loaded;

/* Process context: a write to sysfs, or an argument at module load. */
static int set_verdict(const char *value, const struct kernel_param *param)
{
	bool *drop = param->arg;

	if (sysfs_streq(value, "accept"))
		WRITE_ONCE(*drop, false);
	else if (sysfs_streq(value, "drop"))
		WRITE_ONCE(*drop, true);
	else
		return -EINVAL;
	return 0;
}

/* Process context: a read from sysfs. */
static int get_verdict(char *buffer, const struct kernel_param *param)
{
	const bool *drop = param->arg;

	return sysfs_emit(buffer, "%s\n", READ_ONCE(*drop) ? "drop" : "accept");
}

static const struct kernel_param_ops verdict_ops = {
	.set = set_verdict,
	.get = get_verdict,
};

static bool drop_packets;
module_param_cb(verdict, &verdict_ops, &drop_packets, 0644);
MODULE_PARM_DESC(verdict,
		 "what happens to the packets that IMP2 clients are told of: accept (default) or drop; read when a client registers");

/* Softirq or process context, stream->lock held; so in put(), close(). */
static void open_message(struct sk_buff *msg,
			 const struct icmptap_stream *stream)
{
	nlmsg_put(msg, 0, 0, IMP2_K_MSG, 0, 0);
}

static void put_addresses(void *to, const struct icmptap_packet *pkt)
{
	struct packet_info *payload = to;
	const struct iphdr *iph = ip_hdr(pkt->skb);

	payload->src = iph->saddr;
	payload->dest = iph->daddr;
}

static void close_message(struct sk_buff *msg, u32 count)
{
	nlmsg_end(msg, nlmsg_hdr(msg));
}

/* Softirq, no lock held. */
static int send_message(const struct icmptap_sub *sub, struct sk_buff *msg,
			u64 delivered)
{
	struct imp2_net *imp2 = net_generic(sub->net, imp2_net_id);

	return nlmsg_unicast(imp2->sock, msg, sub->portid);
}

static const struct icmptap_door imp2_door = {
	.owner = THIS_MODULE,
	.hdrlen = NLMSG_HDRLEN,
	.open = open_message,
	.put_len = sizeof(struct packet_info),
	.put = put_addresses,
	.close = close_message,
	.send = send_message,
};

/*
 * Registers the sender: the port of its own socket, whatever the message
 * claims. Once more is no error. *@sub, if there is a new one, is to be
 * started and put when the sender has its answer.
 *
 * Process context, sleeps: the sender's sendmsg().
 */
static int register_client(struct sk_buff *skb, struct icmptap_sub **sub,
			   struct netlink_ext_ack *extack)
{
	struct icmptap_params params = {
		.hooks = BIT(NF_INET_PRE_ROUTING),
		.families = ICMPTAP_FAMILY_IPV4,
		.sample = 1,
		.drop = READ_ONCE(drop_packets),
	};
	struct icmptap_sub *new;

	icmptap_filter_init(&params.filter);

	if (!READ_ONCE(is_loaded)) {
		NL_SET_ERR_MSG(extack, "the module is being loaded");
		return -EAGAIN;
	}
	if (!netlink_net_capable(skb, CAP_NET_ADMIN)) {
		NL_SET_ERR_MSG(extack,
			       "CAP_NET_ADMIN is required over this network namespace");
		return -EPERM;
	}

	new = icmptap_sub_begin(skb, &imp2_door, &params, extack);
	if (new == ERR_PTR(-EBUSY)) {
		/* Nor has a success anything to say. */
		*extack = (struct netlink_ext_ack) {};
		return 0;
	}
	if (IS_ERR(new))
		return PTR_ERR(new);

	*sub = new;
	return 0;
}

/* Process context, sleeps: the sender's sendmsg(). */
static int close_client(struct sk_buff *skb, struct netlink_ext_ack *extack)
{
	struct icmptap_sub *sub = icmptap_sub_get(skb);

	if (!sub) {
		NL_SET_ERR_MSG(extack, "this socket is not registered");
		return -ENOENT;
	}

	icmptap_sub_end(sub);
	icmptap_sub_put(sub);
	return 0;
}

/* As register_client(). */
static int handle(struct sk_buff *skb, const struct nlmsghdr *nlh,
		  struct icmptap_sub **sub, struct netlink_ext_ack *extack)
{
	switch (nlh->nlmsg_type) {
	case IMP2_U_PID:
		return register_client(skb, sub, extack);
	case IMP2_CLOSE:
		return close_client(skb, extack);
	default:
		NL_SET_ERR_MSG(extack,
			       "only IMP2_U_PID and IMP2_CLOSE are for the kernel");
		return -EOPNOTSUPP;
	}
}

/*
 * Answers like any netlink protocol: errors always, success if asked for with
 * NLM_F_ACK. But only a request: the original clients set no flag, and take
 * whatever comes for a packet's addresses.
 *
 * Process context, sleeps: the sender's sendmsg().
 */
static void answer(struct sk_buff *skb, struct nlmsghdr header, int err,
		   const struct netlink_ext_ack *extack)
{
	if (!(header.nlmsg_flags & NLM_F_REQUEST)) {
		if (err)
			pr_notice_once("refused a message of process %d, which is not told, as it set no NLM_F_REQUEST: %s\n",
				       task_tgid_nr(current),
				       extack->_msg ?: "no memory");
		return;
	}
	if (!err && !(header.nlmsg_flags & NLM_F_ACK))
		return;

	/* The answer quotes this many bytes: no more than are here. */
	header.nlmsg_len = NLMSG_HDRLEN;
	netlink_ack(skb, &header, err, extack);
}

/*
 * Reads one message: IMP2 clients send one at a time. A payload is passed
 * over: the original does not look for one.
 *
 * Process context, sleeps: the sender's sendmsg().
 */
static void receive(struct sk_buff *skb)
{
	struct netlink_ext_ack extack = {};
	struct icmptap_sub *sub = NULL;
	struct nlmsghdr header = {};
	int err;

	/* sendmmsg() goes on with the next one all the same. */
	if (fatal_signal_pending(current))
		return;

	if (skb->len < NLMSG_HDRLEN) {
		NL_SET_ERR_MSG(&extack, "shorter than a netlink header");
		err = -EINVAL;
	} else {
		header = *nlmsg_hdr(skb);
		if (nlmsg_ok(nlmsg_hdr(skb), skb->len)) {
			err = handle(skb, &header, &sub, &extack);
		} else {
			NL_SET_ERR_MSG(&extack,
				       "nlmsg_len does not fit the message");
			err = -EINVAL;
		}
	}
	answer(skb, header, err, &extack);

	if (sub) {
		icmptap_sub_start(sub);
		icmptap_sub_put(sub);
	}
}

/*
 * A network namespace is made, or the module is loaded. Only in the first one,
 * where nobody has a socket yet, may it fail: elsewhere there is no IMP2 then,
 * and what was sent to it is refused.
 *
 * Process context, sleeps.
 */
static int __net_init init_net_imp2(struct net *net)
{
	struct imp2_net *imp2 = net_generic(net, imp2_net_id);
	struct netlink_kernel_cfg cfg = {
		.input = receive,
	};

	imp2->sock = netlink_kernel_create(net, NL_IMP2, &cfg);
	if (imp2->sock)
		return 0;

	if (!net_eq(net, &init_net)) {
		pr_warn_ratelimited("no IMP2 in network namespace %u: no memory\n",
				    net->ns.inum);
		return 0;
	}
	pr_err("cannot have netlink protocol %d: no memory, or another module has it\n",
	       NL_IMP2);
	return -ENOMEM;
}

/* Process context. No client has a socket any more. */
static void __net_exit exit_net_imp2(struct net *net)
{
	struct imp2_net *imp2 = net_generic(net, imp2_net_id);

	netlink_kernel_release(imp2->sock);
}

/* Memory for each network namespace, before anybody can have a socket. */
static struct pernet_operations imp2_memory_ops = {
	.id = &imp2_net_id,
	.size = sizeof(struct imp2_net),
};

static struct pernet_operations imp2_net_ops = {
	.init = init_net_imp2,
	.exit = exit_net_imp2,
};

/* Apart, so that a test can tell whose memory failed. */
static noinline int __init imp2_init_memory(void)
{
	return register_pernet_subsys(&imp2_memory_ops);
}

static int __init imp2_init(void)
{
	int err;

	err = imp2_init_memory();
	if (err)
		return err;

	err = register_pernet_subsys(&imp2_net_ops);
	if (err) {
		unregister_pernet_subsys(&imp2_memory_ops);
		return err;
	}

	WRITE_ONCE(is_loaded, true);
	return 0;
}

/* Not while a client has a socket: each holds a reference to the module. */
static void __exit imp2_exit(void)
{
	unregister_pernet_subsys(&imp2_net_ops);
	unregister_pernet_subsys(&imp2_memory_ops);
}

module_init(imp2_init);
module_exit(imp2_exit);

MODULE_LICENSE("GPL");
MODULE_AUTHOR("The icmptap developers");
MODULE_DESCRIPTION("ICMP packets over the netlink protocol IMP2");
MODULE_VERSION(ICMPTAP_VERSION);
MODULE_IMPORT_NS(ICMPTAP_NS);
