/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What today's kernel API has and an older kernel lacks. The sources use
 * today's names only; HAVE_* comes from Kbuild, which looks for the name in
 * the kernel's headers.
 */
#ifndef ICMPTAP_COMPAT_H
#define ICMPTAP_COMPAT_H

#include <linux/fs.h>
#include <linux/hrtimer.h>

#ifndef HAVE_HRTIMER_SETUP
static inline void hrtimer_setup(struct hrtimer *timer,
				 enum hrtimer_restart (*function)(struct hrtimer *),
				 clockid_t clock_id, enum hrtimer_mode mode)
{
	hrtimer_init(timer, clock_id, mode);
	timer->function = function;
}
#endif

/* Both have the attributes of the request, by the same name. */
#ifndef HAVE_GENL_INFO_DUMP
#define genl_info_dump genl_dumpit_info
#endif

#ifndef HAVE_GET_FILE_ACTIVE
static inline struct file *get_file_active(struct file **file)
{
	return get_file_rcu(*file) ? *file : NULL;
}
#endif

/* What we export is for our own modules. Its name became a string. */
#ifdef HAVE_NAMESPACE_STRINGS
#define ICMPTAP_NS "ICMPTAP"
#else
#define ICMPTAP_NS ICMPTAP
#endif

#endif /* ICMPTAP_COMPAT_H */
