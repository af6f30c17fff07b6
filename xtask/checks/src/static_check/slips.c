// SPDX-License-Identifier: GPL-2.0
/*
 * One slip for each checker, of a kind that only this one sees: so that we see
 * each of them at work. Compiled beside the module, and never loaded.
 */
#include <linux/module.h>
#include <linux/slab.h>

static __be32 wire;

static int __init slips_init(void)
{
	u32 host = 7;
	void *twice = kmalloc(host, GFP_KERNEL);

	/* For sparse: host byte order where network byte order belongs. */
	wire = host;
	/* For checkpatch: no space before the brace. */
	if (!twice){
		pr_info("%x\n", be32_to_cpu(wire));
		return -ENOMEM;
	}
	/* For coccinelle: freed twice. */
	kfree(twice);
	kfree(twice);
	return 0;
}
module_init(slips_init);

MODULE_DESCRIPTION("slips that checkers of kernel code have to find");
MODULE_LICENSE("GPL");
