// SPDX-License-Identifier: GPL-2.0
/*
 * icmptap: every ICMP packet that passes netfilter, over netlink.
 *
 * A packet's way: hook.c, packet.c, filter.c, record.c, stream.c, and out by
 * genl.c, or by the module icmptap_imp2.
 */

#include <linux/init.h>
#include <linux/module.h>

#include "commands.h"
#include "hook.h"
#include "stats.h"
#include "subscription.h"
#include "version.h"

/*
 * A request can come as soon as its door is there. No subscription begins
 * before nothing can fail any more: it would outlive the module.
 */
static int __init icmptap_init(void)
{
	int err;

	err = icmptap_hook_init();
	if (err)
		return err;

	err = icmptap_stats_init();
	if (err)
		goto err_hook;

	err = icmptap_sub_init();
	if (err)
		goto err_stats;

	err = icmptap_commands_init();
	if (err)
		goto err_sub;

	icmptap_sub_open();
	return 0;

err_sub:
	icmptap_sub_uninit();
err_stats:
	icmptap_stats_uninit();
err_hook:
	icmptap_hook_uninit();
	return err;
}

/* Not while a subscription lives: each holds a reference to the module. */
static void __exit icmptap_exit(void)
{
	icmptap_commands_uninit();
	icmptap_sub_uninit();
	icmptap_stats_uninit();
	icmptap_hook_uninit();
}

module_init(icmptap_init);
module_exit(icmptap_exit);

MODULE_LICENSE("GPL");
MODULE_AUTHOR("The icmptap developers");
MODULE_DESCRIPTION("ICMP packets as structured events over netlink");
MODULE_VERSION(ICMPTAP_VERSION);
