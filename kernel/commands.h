/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The commands of the generic-netlink family "icmptap".
 */
#ifndef ICMPTAP_COMMANDS_H
#define ICMPTAP_COMMANDS_H

int icmptap_commands_init(void);
void icmptap_commands_uninit(void);

#endif /* ICMPTAP_COMMANDS_H */
