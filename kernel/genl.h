/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The generic-netlink family "icmptap": its door, its checks, its answers.
 */
#ifndef ICMPTAP_GENL_H
#define ICMPTAP_GENL_H

struct genl_family;
struct genl_info;
struct genl_ops;
struct icmptap_door;
struct netlink_ext_ack;
struct sk_buff;

extern struct genl_family icmptap_genl_family;
extern const struct icmptap_door icmptap_genl_door;

int icmptap_genl_check_first(const struct sk_buff *request,
			     struct netlink_ext_ack *extack);
int icmptap_genl_check_capable(struct sk_buff *request,
			       struct netlink_ext_ack *extack);
int icmptap_genl_check_global(struct sk_buff *request,
			      struct netlink_ext_ack *extack);
struct sk_buff *icmptap_genl_new_reply(struct genl_info *info, void **header);
int icmptap_genl_send_reply(struct sk_buff *msg, void *header, int err,
			    struct genl_info *info);

int icmptap_genl_init(const struct genl_ops *ops, unsigned int n_ops);
void icmptap_genl_uninit(void);

#endif /* ICMPTAP_GENL_H */
