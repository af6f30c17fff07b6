/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The door of the generic-netlink family "icmptap".
 */
#ifndef ICMPTAP_GENL_H
#define ICMPTAP_GENL_H

struct genl_family;
struct genl_info;
struct netlink_ext_ack;
struct sk_buff;

extern struct genl_family icmptap_genl_family;

int icmptap_genl_check_capable(struct sk_buff *request,
			       struct netlink_ext_ack *extack);
int icmptap_genl_check_global(struct sk_buff *request,
			      struct netlink_ext_ack *extack);
struct sk_buff *icmptap_genl_new_reply(struct genl_info *info, void **header);
int icmptap_genl_send_reply(struct sk_buff *msg, void *header, int err,
			    struct genl_info *info);

int icmptap_genl_init(void);
void icmptap_genl_uninit(void);

#endif /* ICMPTAP_GENL_H */
