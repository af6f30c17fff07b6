// SPDX-License-Identifier: GPL-2.0
/*
 * The life of a subscription: begun by its door, ended by its door or by the
 * death of its socket. Each holds a reference to the module, so that the
 * module cannot be unloaded under it.
 */

#include <linux/module.h>
#include <linux/netlink.h>
#include <linux/slab.h>
#include <net/net_namespace.h>

#include "hook.h"
#include "stream.h"
#include "subscription.h"

/* Guards the list of subscriptions and the taps' lists against writers. */
DEFINE_MUTEX(icmptap_subs_lock);
static LIST_HEAD(subs);

/* Process context; icmptap_subs_lock held. */
static struct icmptap_sub *find(const struct net *net, u32 portid, int protocol)
{
	struct icmptap_sub *sub;

	lockdep_assert_held(&icmptap_subs_lock);

	list_for_each_entry(sub, &subs, node)
		if (net_eq(sub->net, net) && sub->portid == portid &&
		    sub->door->protocol == protocol)
			return sub;
	return NULL;
}

/* Process context, sleeps. @sub is not in the list. */
static void destroy(struct icmptap_sub *sub)
{
	icmptap_streams_uninit(sub);
	kfree(sub);
	module_put(THIS_MODULE);
}

/* Process context, sleeps. Owned by the caller until it is in the list. */
static struct icmptap_sub *create(struct net *net, u32 portid,
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
	sub->net = net;
	sub->portid = portid;

	err = icmptap_streams_init(sub);
	if (err)
		goto err_sub;
	return sub;

err_sub:
	kfree(sub);
err_module:
	module_put(THIS_MODULE);
	return ERR_PTR(err);
}

/* Process context, sleeps; icmptap_subs_lock held. Again is no harm. */
static void stop(struct icmptap_sub *sub)
{
	/* No packet is in its hooks after this; no timer runs after stop. */
	if (icmptap_hook_detach(sub))
		synchronize_net();
	icmptap_streams_stop(sub);
}

/**
 * icmptap_sub_begin() - start to send events to a socket
 * @net: network namespace of the socket, which keeps it
 * @portid: port id of the socket
 * @door: the protocol that the socket speaks
 * @params: validated by the door
 * @extack: gets a sentence on errors
 *
 * Events may arrive before the caller can say that all went well.
 *
 * Context: process, sleeps; a request of the socket is being served.
 * Return: 0, -EBUSY if it is subscribed already, or another negative errno.
 */
int icmptap_sub_begin(struct net *net, u32 portid,
		      const struct icmptap_door *door,
		      const struct icmptap_params *params,
		      struct netlink_ext_ack *extack)
{
	struct icmptap_sub *sub;
	int err;

	sub = create(net, portid, door, params);
	if (IS_ERR(sub)) {
		NL_SET_ERR_MSG(extack,
			       "no memory, or the module is being unloaded");
		return PTR_ERR(sub);
	}

	mutex_lock(&icmptap_subs_lock);
	if (find(net, portid, door->protocol)) {
		NL_SET_ERR_MSG(extack, "this socket is subscribed already");
		err = -EBUSY;
		goto err_unlock;
	}

	err = icmptap_hook_attach(sub);
	if (err) {
		NL_SET_ERR_MSG(extack, "netfilter refused the hook");
		/* It may have been attached to the first of several taps. */
		stop(sub);
		goto err_unlock;
	}
	list_add_tail(&sub->node, &subs);
	mutex_unlock(&icmptap_subs_lock);
	return 0;

err_unlock:
	mutex_unlock(&icmptap_subs_lock);
	destroy(sub);
	return err;
}

/*
 * Sends what a subscription has batched.
 *
 * Process context, sleeps. Returns 0, or -ENOENT without a subscription.
 */
int icmptap_sub_flush(const struct net *net, u32 portid,
		      const struct icmptap_door *door)
{
	struct icmptap_sub *sub;

	mutex_lock(&icmptap_subs_lock);
	sub = find(net, portid, door->protocol);
	if (sub)
		icmptap_streams_flush(sub);
	mutex_unlock(&icmptap_subs_lock);

	return sub ? 0 : -ENOENT;
}

/**
 * icmptap_sub_stop() - stop sending events to a socket
 * @net: network namespace of the socket
 * @portid: port id of the socket
 * @door: the protocol that the socket speaks
 * @final: gets the final counters
 *
 * What was batched has been sent, or counted as lost, on return. The
 * subscription is still there, to be asked again, until icmptap_sub_end().
 *
 * Context: process, sleeps; a request of the socket is being served.
 * Return: 0, or -ENOENT if it is not subscribed.
 */
int icmptap_sub_stop(const struct net *net, u32 portid,
		     const struct icmptap_door *door,
		     struct icmptap_counters *final)
{
	struct icmptap_sub *sub;

	mutex_lock(&icmptap_subs_lock);
	sub = find(net, portid, door->protocol);
	if (sub) {
		stop(sub);
		icmptap_streams_sum(sub, final);
	}
	mutex_unlock(&icmptap_subs_lock);

	return sub ? 0 : -ENOENT;
}

/**
 * icmptap_sub_end() - forget a subscription
 * @net: network namespace of the socket
 * @portid: port id of the socket
 * @protocol: netlink protocol of the socket
 *
 * Context: process, sleeps; the socket is served or released.
 * Return: 0, or -ENOENT if it is not subscribed.
 */
int icmptap_sub_end(const struct net *net, u32 portid, int protocol)
{
	struct icmptap_sub *sub;

	mutex_lock(&icmptap_subs_lock);
	sub = find(net, portid, protocol);
	if (sub) {
		list_del(&sub->node);
		stop(sub);
	}
	mutex_unlock(&icmptap_subs_lock);

	if (!sub)
		return -ENOENT;

	destroy(sub);
	return 0;
}

/* Process context, sleeps: a netlink socket is being released. */
static int on_release(struct notifier_block *nb, unsigned long event, void *ptr)
{
	const struct netlink_notify *notify = ptr;

	/* Most sockets that close were never ours: -ENOENT. */
	if (event == NETLINK_URELEASE)
		icmptap_sub_end(notify->net, notify->portid, notify->protocol);

	return NOTIFY_DONE;
}

static struct notifier_block release_notifier = {
	.notifier_call = on_release,
};

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
