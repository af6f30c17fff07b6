/* SPDX-License-Identifier: GPL-2.0 */
#ifndef ICMPTAP_GENL_H
#define ICMPTAP_GENL_H

/* The door of the generic-netlink family "icmptap". */
int icmptap_genl_init(void);
void icmptap_genl_uninit(void);

#endif /* ICMPTAP_GENL_H */
