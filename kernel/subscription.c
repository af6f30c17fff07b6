// SPDX-License-Identifier: GPL-2.0
/*
 * The life of a subscription: begun by its door, ended by its door or by the
 * death of its socket. Each holds a reference to the door's module, which
 * cannot be unloaded under it.
 *
 * A subscription belongs to the socket that sent the request. Its port id is
 * not enough to know it by: the id is free for another socket before we hear
 * that the first one is gone.
 */

#include <linux/capability.h>
#include <linux/cpumask.h>
#include <linux/cred.h>
#include <linux/filter.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/netlink.h>
#include <linux/pid.h>
#include <linux/rculist.h>
#include <linux/slab.h>
#include <linux/user_namespace.h>
#include <net/net_namespace.h>
#include <net/sock.h>

#include "compat.h"
#include "filter.h"
#include "hook.h"
#include "stats.h"
#include "stream.h"
#include "subscription.h"

/*
 * Guards the list of subscriptions and what is counted of it. Held for as
 * long as it takes to go through that, and never while anything is waited for.
 */
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

static unsigned long max_bytes;
module_param(max_bytes, ulong, 0644);
MODULE_PARM_DESC(max_bytes,
		 "bytes that the module may keep for all subscriptions (default 1/32 of the memory); those without CAP_NET_ADMIN in the initial user namespace get at most half");

#define MAX_BYTES_SHARE		32

/* That are kept for subscriptions, and those of guests; icmptap_subs_lock. */
static u64 kept_bytes, kept_for_guests;

/* Given to the next subscription; icmptap_subs_lock. */
static u64 next_id;

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
EXPORT_SYMBOL_NS_GPL(icmptap_sub_get, ICMPTAP_NS);

/* Of all subscriptions. Process context; icmptap_subs_lock held. */
u64 icmptap_subs_bytes(void)
{
	lockdep_assert_held(&icmptap_subs_lock);
	return kept_bytes;
}

/* Any context. */
unsigned long icmptap_subs_max_bytes(void)
{
	return READ_ONCE(max_bytes);
}

/* Process context, sleeps. Nobody has a pointer to @sub, but by RCU. */
static void destroy(struct icmptap_sub *sub)
{
	struct module *owner = sub->door->owner;

	icmptap_streams_uninit(sub);

	mutex_lock(&icmptap_subs_lock);
	kept_bytes -= sub->bytes;
	if (sub->is_guest)
		kept_for_guests -= sub->bytes;
	mutex_unlock(&icmptap_subs_lock);

	icmptap_filter_uninit(&sub->params.filter);
	put_pid(sub->pid);
	sock_put(sub->owner);
	kfree_rcu(sub, rcu);
	module_put(owner);
}

/*
 * Process context, sleeps; no lock held. The module's text stays after the
 * last reference to it is gone: requests and notifiers in progress keep it.
 */
void icmptap_sub_put(struct icmptap_sub *sub)
{
	if (refcount_dec_and_test(&sub->refs))
		destroy(sub);
}
EXPORT_SYMBOL_NS_GPL(icmptap_sub_put, ICMPTAP_NS);

/*
 * Who answers for what this process asks for, in the terms of the initial
 * user namespace: its user, or the owner of the outermost of the namespaces
 * that it is in. In there it can have as many user ids as it likes.
 *
 * A guest is who could not ask for it in the initial user namespace. (The
 * owner of a user namespace has all rights in it from outside, too.)
 *
 * Process context; @request is being served.
 */
static void find_accountable(struct icmptap_sub *sub,
			     const struct sk_buff *request)
{
	const struct user_namespace *ns = current_user_ns();

	sub->is_guest = !netlink_capable(request, CAP_NET_ADMIN);
	if (ns == &init_user_ns) {
		sub->uid = current_euid();
		return;
	}
	while (ns->parent != &init_user_ns)
		ns = ns->parent;
	sub->uid = ns->owner;
}

/* What is kept for a subscription with @params. Any context. */
static u64 bytes_of(const struct icmptap_params *params)
{
	const struct bpf_prog *prog = params->filter.prog;

	return sizeof(struct icmptap_sub) + icmptap_streams_bytes(params) +
	       (prog ? (u64)prog->pages * PAGE_SIZE : 0);
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
		of_user += uid_eq(sub->uid, new->uid) &&
			   sub->is_guest == new->is_guest;
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

/* May there be this one? Process context; icmptap_subs_lock held. */
static int check(const struct icmptap_sub *new, struct netlink_ext_ack *extack)
{
	if (!is_open) {
		NL_SET_ERR_MSG(extack, "the module is being loaded");
		return -EAGAIN;
	}
	if (find(new->owner)) {
		NL_SET_ERR_MSG(extack, "this socket is subscribed already");
		return -EBUSY;
	}
	return check_limits(new, extack);
}

/* Process context; icmptap_subs_lock held. */
static int check_bytes(const struct icmptap_sub *new, u64 bytes,
		       struct netlink_ext_ack *extack)
{
	u64 max = icmptap_subs_max_bytes();

	if (kept_bytes + bytes > max) {
		NL_SET_ERR_MSG(extack,
			       "all subscriptions together would keep more memory than the module parameter max_bytes allows");
		return -EUSERS;
	}
	if (new->is_guest && kept_for_guests + bytes > max / 2) {
		NL_SET_ERR_MSG(extack,
			       "the subscriptions of user namespaces would keep more memory than half of the module parameter max_bytes");
		return -EUSERS;
	}
	return 0;
}

/*
 * Accounts for what @sub is going to keep, unless that is too much. Who is
 * refused takes nothing from others meanwhile.
 *
 * Process context, takes icmptap_subs_lock.
 */
static int reserve_bytes(struct icmptap_sub *sub,
			 struct netlink_ext_ack *extack)
{
	u64 bytes = bytes_of(&sub->params);
	int err;

	mutex_lock(&icmptap_subs_lock);
	err = check(sub, extack);
	if (!err)
		err = check_bytes(sub, bytes, extack);
	if (!err) {
		sub->bytes = bytes;
		kept_bytes += bytes;
		if (sub->is_guest)
			kept_for_guests += bytes;
	}
	mutex_unlock(&icmptap_subs_lock);
	return err;
}

/*
 * Process context, sleeps. The filter of @params is the result's, or gone
 * after an error.
 */
static struct icmptap_sub *create(const struct sk_buff *request,
				  const struct icmptap_door *door,
				  struct icmptap_params *params,
				  struct netlink_ext_ack *extack)
{
	struct icmptap_sub *sub;
	int err;

	/* Fails while the module is being unloaded. */
	if (!try_module_get(door->owner)) {
		icmptap_filter_uninit(&params->filter);
		NL_SET_ERR_MSG(extack, "the module is being unloaded");
		return ERR_PTR(-ENODEV);
	}

	sub = kzalloc(sizeof(*sub), GFP_KEPT);
	if (!sub) {
		icmptap_filter_uninit(&params->filter);
		module_put(door->owner);
		NL_SET_ERR_MSG(extack, "no memory for a subscription");
		return ERR_PTR(-ENOMEM);
	}

	sub->door = door;
	sub->params = *params;
	sub->owner = NETLINK_CB(request).sk;
	sock_hold(sub->owner);
	sub->net = sock_net(sub->owner);
	sub->portid = NETLINK_CB(request).portid;
	sub->protocol = sub->owner->sk_protocol;
	find_accountable(sub, request);
	sub->pid = get_pid(task_tgid(current));
	get_task_comm(sub->comm, current);
	refcount_set(&sub->refs, 1);
	mutex_init(&sub->stop_lock);
	icmptap_ratelimit_init(&sub->limit, params->rate);

	err = reserve_bytes(sub, extack);
	if (!err) {
		err = icmptap_streams_init(sub);
		if (err)
			NL_SET_ERR_MSG(extack,
				       "no memory for the batches: a smaller BATCH needs less");
	}
	if (err) {
		icmptap_sub_put(sub);
		return ERR_PTR(err);
	}
	return sub;
}

/*
 * Ends the flow of events: what was batched has been sent, or counted as
 * lost, on return. Once more is no harm. It is still its socket's, and can be
 * asked for its counters, until icmptap_sub_end().
 *
 * Process context, sleeps; the caller has a reference and no lock. Waits for
 * a grace period, and for what is closed to be sent.
 */
void icmptap_sub_stop(struct icmptap_sub *sub)
{
	mutex_lock(&sub->stop_lock);
	if (!sub->stopped) {
		sub->stopped = true;
		/* No packet is in its hooks after this; nothing runs after that. */
		if (icmptap_hook_detach(sub))
			synchronize_net();
		icmptap_streams_stop(sub);
	}
	mutex_unlock(&sub->stop_lock);
}

/*
 * Asks once more: others may have come since reserve_bytes().
 *
 * Process context; takes icmptap_subs_lock. The list gets a reference.
 */
static int publish(struct icmptap_sub *sub, struct netlink_ext_ack *extack)
{
	int err;

	mutex_lock(&icmptap_subs_lock);
	err = check(sub, extack);
	if (!err) {
		refcount_inc(&sub->refs);
		sub->id = next_id++;
		sub->listed = true;
		list_add_tail_rcu(&sub->node, &subs);
		note_change();
	}
	mutex_unlock(&icmptap_subs_lock);
	return err;
}

/*
 * Keeps the counters of a stopped subscription that leaves the list.
 *
 * Process context; icmptap_subs_lock held.
 */
static void keep_counters(struct icmptap_sub *sub)
{
	unsigned int cpu;

	lockdep_assert_held(&icmptap_subs_lock);

	for_each_possible_cpu(cpu)
		icmptap_stream_count(sub, cpu,
				     icmptap_stats_ended(sub->net, cpu));
}

/*
 * Stops a subscription and forgets it. Only the first to come does so; on
 * return it is done for all.
 *
 * Process context, sleeps; the caller has a reference and no lock.
 */
void icmptap_sub_end(struct icmptap_sub *sub)
{
	bool listed;

	icmptap_sub_stop(sub);

	mutex_lock(&icmptap_subs_lock);
	listed = sub->listed;
	if (listed) {
		sub->listed = false;
		list_del_rcu(&sub->node);
		note_change();
		keep_counters(sub);
	}
	mutex_unlock(&icmptap_subs_lock);

	/* The list's reference. */
	if (listed)
		icmptap_sub_put(sub);
}
EXPORT_SYMBOL_NS_GPL(icmptap_sub_end, ICMPTAP_NS);

/**
 * icmptap_sub_begin() - make a subscription for a socket
 * @request: what the socket sent
 * @door: the protocol that the socket speaks
 * @params: validated by the door; its filter is gone after an error, and the
 *	subscription's otherwise
 * @extack: gets a sentence on errors
 *
 * Nothing that could fail is left then, and no event comes yet: the door tells
 * the socket that all is well before it calls icmptap_sub_start(). Until then
 * another thread may find the subscription by its socket, and end it.
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

	sub = create(request, door, params, extack);
	if (IS_ERR(sub))
		return sub;

	err = publish(sub, extack);
	if (err) {
		icmptap_sub_put(sub);
		return ERR_PTR(err);
	}

	mutex_lock(&sub->stop_lock);
	if (!sub->stopped)
		err = icmptap_hook_reserve(sub);
	mutex_unlock(&sub->stop_lock);
	if (err) {
		NL_SET_ERR_MSG(extack, "netfilter refused the hook");
		icmptap_sub_end(sub);
		icmptap_sub_put(sub);
		return ERR_PTR(err);
	}
	return sub;
}
EXPORT_SYMBOL_NS_GPL(icmptap_sub_begin, ICMPTAP_NS);

/* Has events come from now on. Process context, sleeps; no lock held. */
void icmptap_sub_start(struct icmptap_sub *sub)
{
	mutex_lock(&sub->stop_lock);
	if (!sub->stopped)
		icmptap_hook_attach(sub);
	mutex_unlock(&sub->stop_lock);
}
EXPORT_SYMBOL_NS_GPL(icmptap_sub_start, ICMPTAP_NS);

/*
 * Could a subscription be of the socket that is being released? The numbers
 * alone tell, and may be another's. Most sockets have none: so they wait for
 * nobody.
 *
 * Process context.
 */
static bool may_be_subscribed(const struct netlink_notify *notify)
{
	const struct icmptap_sub *sub;
	bool found = false;

	rcu_read_lock();
	list_for_each_entry_rcu(sub, &subs, node) {
		if (sub->portid == notify->portid &&
		    sub->protocol == notify->protocol &&
		    net_eq(sub->net, notify->net)) {
			found = true;
			break;
		}
	}
	rcu_read_unlock();
	return found;
}

/*
 * A subscription with the numbers of a socket that is being released, and
 * whose own socket is dead: that one, or an earlier one that had them and
 * whose release is not through. A living socket that has them is not meant.
 *
 * Process context; takes icmptap_subs_lock. The caller puts it.
 */
static struct icmptap_sub *get_orphan(const struct netlink_notify *notify)
{
	struct icmptap_sub *sub, *orphan = NULL;

	mutex_lock(&icmptap_subs_lock);
	list_for_each_entry(sub, &subs, node)
		if (sub->portid == notify->portid &&
		    sub->protocol == notify->protocol &&
		    net_eq(sub->net, notify->net) &&
		    sock_flag(sub->owner, SOCK_DEAD)) {
			orphan = sub;
			refcount_inc(&sub->refs);
			break;
		}
	mutex_unlock(&icmptap_subs_lock);

	return orphan;
}

/*
 * A netlink socket is being released. It is dead by now: so all of the dead
 * that have its numbers are ended, itself among them.
 *
 * Process context, sleeps: close(), exit, or a kernel thread's.
 */
static int on_release(struct notifier_block *nb, unsigned long event, void *ptr)
{
	const struct netlink_notify *notify = ptr;
	struct icmptap_sub *sub;

	if (event != NETLINK_URELEASE || !may_be_subscribed(notify))
		return NOTIFY_DONE;

	while ((sub = get_orphan(notify))) {
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
	if (!max_bytes)
		max_bytes = totalram_pages() / MAX_BYTES_SHARE * PAGE_SIZE;
	return netlink_register_notifier(&release_notifier);
}

/* Module unload, or load that failed later. Waits for on_release(). */
void icmptap_sub_uninit(void)
{
	netlink_unregister_notifier(&release_notifier);
}
