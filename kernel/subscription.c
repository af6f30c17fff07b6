// SPDX-License-Identifier: GPL-2.0
/*
 * The life of a subscription: begun by its door, ended by its door or by the
 * death of its socket. Each holds a reference to the module, so that the
 * module cannot be unloaded under it.
 *
 * A subscription belongs to the socket that sent the request. Its port id is
 * not enough to know it by: the id is free for another socket before we hear
 * that the first one is gone.
 */

#include <linux/cred.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/netlink.h>
#include <linux/pid.h>
#include <linux/slab.h>
#include <net/net_namespace.h>
#include <net/sock.h>
#include <linux/imp2.h>

#include "filter.h"
#include "hook.h"
#include "stats.h"
#include "stream.h"
#include "subscription.h"

/* Guards the list of subscriptions and the taps' lists against writers. */
DEFINE_MUTEX(icmptap_subs_lock);
static LIST_HEAD(subs);

static unsigned int max_per_netns = 128;
module_param(max_per_netns, uint, 0644);
MODULE_PARM_DESC(max_per_netns,
		 "subscriptions that the sockets of one network namespace may have (default 128)");

static unsigned int max_per_user = 256;
module_param(max_per_user, uint, 0644);
MODULE_PARM_DESC(max_per_user,
		 "subscriptions that one user may have, in all network namespaces (default 256)");

/* Counts changes of the list, and is never 0; icmptap_subs_lock. */
static u32 generation = 1;

/* False until nothing can fail any more at module load; icmptap_subs_lock. */
static bool is_open;

/* Process context; icmptap_subs_lock held. */
static struct icmptap_sub *find(const struct sock *owner)
{
	struct icmptap_sub *sub;

	lockdep_assert_held(&icmptap_subs_lock);

	list_for_each_entry(sub, &subs, node)
		if (sub->owner == owner)
			return sub;
	return NULL;
}

/* Process context; icmptap_subs_lock held. */
static void note_change(void)
{
	if (!++generation)
		generation = 1;
}

/* What a dump compares to see that it is of one piece. As above. */
u32 icmptap_subs_generation(void)
{
	lockdep_assert_held(&icmptap_subs_lock);
	return generation;
}

/**
 * icmptap_subs_for_each() - look at the living subscriptions
 * @net: those whose socket is in this network namespace; NULL: all
 * @fn: is called for each, until it returns something else than 0
 * @arg: for @fn
 *
 * Context: process; icmptap_subs_lock held.
 * Return: what @fn returned last, or 0.
 */
int icmptap_subs_for_each(const struct net *net,
			  int (*fn)(struct icmptap_sub *sub, void *arg),
			  void *arg)
{
	struct icmptap_sub *sub;
	int ret;

	lockdep_assert_held(&icmptap_subs_lock);

	list_for_each_entry(sub, &subs, node) {
		if (net && !net_eq(sub->net, net))
			continue;
		ret = fn(sub, arg);
		if (ret)
			return ret;
	}
	return 0;
}

/*
 * The subscription of the socket that sent @request, or NULL.
 *
 * Process context; takes icmptap_subs_lock. The caller puts it.
 */
struct icmptap_sub *icmptap_sub_get(const struct sk_buff *request)
{
	struct icmptap_sub *sub;

	mutex_lock(&icmptap_subs_lock);
	sub = find(NETLINK_CB(request).sk);
	if (sub)
		refcount_inc(&sub->refs);
	mutex_unlock(&icmptap_subs_lock);

	return sub;
}

/*
 * Process context, sleeps; no lock held. The module's text stays after the
 * last reference to it is gone: requests and notifiers in progress keep it.
 */
void icmptap_sub_put(struct icmptap_sub *sub)
{
	if (!refcount_dec_and_test(&sub->refs))
		return;

	icmptap_streams_uninit(sub);
	icmptap_filter_uninit(&sub->params.filter);
	put_pid(sub->pid);
	sock_put(sub->owner);
	kfree(sub);
	module_put(THIS_MODULE);
}

/* Process context, sleeps. On success the filter of @params is the result's. */
static struct icmptap_sub *create(const struct sk_buff *request,
				  const struct icmptap_door *door,
				  const struct icmptap_params *params)
{
	struct icmptap_sub *sub;
	int err;

	/* Fails while the module is being unloaded. */
	if (!try_module_get(THIS_MODULE))
		return ERR_PTR(-ENODEV);

	err = -ENOMEM;
	sub = kzalloc(sizeof(*sub), GFP_KERNEL_ACCOUNT);
	if (!sub)
		goto err_module;

	sub->door = door;
	sub->params = *params;
	sub->owner = NETLINK_CB(request).sk;
	sub->net = sock_net(sub->owner);
	sub->portid = NETLINK_CB(request).portid;
	refcount_set(&sub->refs, 1);
	mutex_init(&sub->stop_lock);
	INIT_LIST_HEAD(&sub->node);
	icmptap_ratelimit_init(&sub->limit, params->rate);

	err = icmptap_streams_init(sub);
	if (err)
		goto err_sub;

	sock_hold(sub->owner);
	sub->uid = current_uid();
	sub->pid = get_pid(task_tgid(current));
	get_task_comm(sub->comm, current);
	return sub;

err_sub:
	kfree(sub);
err_module:
	module_put(THIS_MODULE);
	return ERR_PTR(err);
}

/*
 * Ends the flow of events: what was batched has been sent, or counted as
 * lost, on return. Once more is no harm. It is still its socket's, and can be
 * asked for its counters, until icmptap_sub_end().
 *
 * Process context, sleeps; the caller has a reference and no lock. Waits for
 * a grace period, which nobody but the owner's own threads waits for too.
 */
void icmptap_sub_stop(struct icmptap_sub *sub)
{
	bool attached;

	mutex_lock(&sub->stop_lock);

	mutex_lock(&icmptap_subs_lock);
	attached = icmptap_hook_detach(sub);
	mutex_unlock(&icmptap_subs_lock);

	/* No packet is in its hooks after this; no timer runs after that. */
	if (attached)
		synchronize_net();
	icmptap_streams_stop(sub);

	mutex_unlock(&sub->stop_lock);
}

/*
 * Whoever has a user namespace can have network namespaces, and all
 * capabilities there: that must not be enough to take the kernel's memory.
 *
 * Process context; icmptap_subs_lock held.
 */
static int check_limits(const struct icmptap_sub *new,
			struct netlink_ext_ack *extack)
{
	unsigned int of_netns = 0, of_user = 0;
	const struct icmptap_sub *sub;

	list_for_each_entry(sub, &subs, node) {
		of_netns += net_eq(sub->net, new->net);
		of_user += uid_eq(sub->uid, new->uid);
	}
	if (of_netns >= READ_ONCE(max_per_netns)) {
		NL_SET_ERR_MSG(extack,
			       "this network namespace has as many subscriptions as the module parameter max_per_netns allows");
		return -EUSERS;
	}
	if (of_user >= READ_ONCE(max_per_user)) {
		NL_SET_ERR_MSG(extack,
			       "this user has as many subscriptions as the module parameter max_per_user allows");
		return -EUSERS;
	}
	return 0;
}

/* Process context, sleeps; icmptap_subs_lock held. */
static int publish(struct icmptap_sub *sub, struct netlink_ext_ack *extack)
{
	int err;

	if (!is_open) {
		NL_SET_ERR_MSG(extack, "the module is being loaded");
		return -EAGAIN;
	}
	if (find(sub->owner)) {
		NL_SET_ERR_MSG(extack, "this socket is subscribed already");
		return -EBUSY;
	}

	err = check_limits(sub, extack);
	if (err)
		return err;

	err = icmptap_hook_attach(sub);
	if (err) {
		NL_SET_ERR_MSG(extack, "netfilter refused the hook");
		return err;
	}

	list_add_tail(&sub->node, &subs);
	note_change();
	return 0;
}

/*
 * Stops a subscription and forgets it. Only the first to come does so.
 *
 * Process context, sleeps; the caller has a reference and no lock.
 */
void icmptap_sub_end(struct icmptap_sub *sub)
{
	bool listed;

	icmptap_sub_stop(sub);

	mutex_lock(&icmptap_subs_lock);
	listed = !list_empty(&sub->node);
	if (listed) {
		list_del_init(&sub->node);
		note_change();
		icmptap_stats_retire(sub);
	}
	mutex_unlock(&icmptap_subs_lock);

	/* The list's reference. */
	if (listed)
		icmptap_sub_put(sub);
}

/**
 * icmptap_sub_begin() - start to send events to a socket
 * @request: what the socket sent
 * @door: the protocol that the socket speaks
 * @params: validated by the door; its filter is gone after an error, and the
 *	subscription's otherwise
 * @extack: gets a sentence on errors
 *
 * Events may arrive before the caller can say that all went well, and even
 * before an error: when the first of several hooks could be had, and the next
 * could not.
 *
 * Context: process, sleeps; @request is being served.
 * Return: the subscription, which the caller puts; -EBUSY if there is one
 * already; or another negative errno.
 */
struct icmptap_sub *icmptap_sub_begin(const struct sk_buff *request,
				      const struct icmptap_door *door,
				      struct icmptap_params *params,
				      struct netlink_ext_ack *extack)
{
	struct icmptap_sub *sub;
	int err;

	sub = create(request, door, params);
	if (IS_ERR(sub)) {
		icmptap_filter_uninit(&params->filter);
		NL_SET_ERR_MSG(extack,
			       "no memory, or the module is being unloaded");
		return sub;
	}

	mutex_lock(&icmptap_subs_lock);
	err = publish(sub, extack);
	if (!err)
		refcount_inc(&sub->refs);
	mutex_unlock(&icmptap_subs_lock);

	if (err) {
		icmptap_sub_stop(sub);
		/* What it may have counted all the same. */
		mutex_lock(&icmptap_subs_lock);
		icmptap_stats_retire(sub);
		mutex_unlock(&icmptap_subs_lock);
		icmptap_sub_put(sub);
		return ERR_PTR(err);
	}
	return sub;
}

/*
 * The subscription of a socket that is being released. A living socket that
 * has the port id by now is not meant.
 *
 * Process context; takes icmptap_subs_lock. The caller puts it.
 */
static struct icmptap_sub *get_orphan(const struct netlink_notify *notify)
{
	struct icmptap_sub *sub, *orphan = NULL;

	mutex_lock(&icmptap_subs_lock);
	list_for_each_entry(sub, &subs, node)
		if (sub->portid == notify->portid &&
		    net_eq(sub->net, notify->net) &&
		    sub->owner->sk_protocol == notify->protocol &&
		    sock_flag(sub->owner, SOCK_DEAD)) {
			orphan = sub;
			refcount_inc(&sub->refs);
			break;
		}
	mutex_unlock(&icmptap_subs_lock);

	return orphan;
}

/* Process context, sleeps: a netlink socket is being released. */
static int on_release(struct notifier_block *nb, unsigned long event, void *ptr)
{
	const struct netlink_notify *notify = ptr;
	struct icmptap_sub *sub;

	/* Most sockets on a machine speak something else: do not wait. */
	if (event != NETLINK_URELEASE ||
	    (notify->protocol != NETLINK_GENERIC &&
	     notify->protocol != NL_IMP2))
		return NOTIFY_DONE;

	sub = get_orphan(notify);
	if (sub) {
		icmptap_sub_end(sub);
		icmptap_sub_put(sub);
	}
	return NOTIFY_DONE;
}

static struct notifier_block release_notifier = {
	.notifier_call = on_release,
};

/* The end of module load: from here on there may be subscriptions. */
void __init icmptap_sub_open(void)
{
	mutex_lock(&icmptap_subs_lock);
	is_open = true;
	mutex_unlock(&icmptap_subs_lock);
}

/* Module load. */
int __init icmptap_sub_init(void)
{
	return netlink_register_notifier(&release_notifier);
}

/* Module unload, or load that failed later. Waits for on_release(). */
void icmptap_sub_uninit(void)
{
	netlink_unregister_notifier(&release_notifier);
}
