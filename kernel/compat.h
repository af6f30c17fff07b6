/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What today's kernel API has and an older kernel lacks. The sources use
 * today's names only; HAVE_* comes from Kbuild, which looks for the name in
 * the kernel's headers.
 */
#ifndef ICMPTAP_COMPAT_H
#define ICMPTAP_COMPAT_H

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

#endif /* ICMPTAP_COMPAT_H */
