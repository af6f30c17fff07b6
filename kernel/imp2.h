/* SPDX-License-Identifier: GPL-2.0 */
#ifndef ICMPTAP_IMP2_H
#define ICMPTAP_IMP2_H

/* The door of the IMP2 protocol. */
int icmptap_imp2_init(void);
void icmptap_imp2_uninit(void);

#endif /* ICMPTAP_IMP2_H */
