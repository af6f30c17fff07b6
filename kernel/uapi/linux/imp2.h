/* SPDX-License-Identifier: ((GPL-2.0 WITH Linux-syscall-note) OR MIT) */
/*
 * The IMP2 netlink protocol: who sends which ICMP packet to whom.
 *
 * A client opens an AF_NETLINK socket for protocol NL_IMP2, sends
 * IMP2_U_PID to port 0, receives one IMP2_K_MSG for each IPv4 ICMP packet
 * seen at PRE_ROUTING in its network namespace, and leaves with IMP2_CLOSE.
 */
#ifndef _UAPI_LINUX_IMP2_H
#define _UAPI_LINUX_IMP2_H

#include <linux/types.h>

/* Protocol number for socket(AF_NETLINK, SOCK_RAW, NL_IMP2). */
#define NL_IMP2		31

/* Message types: nlmsghdr.nlmsg_type. */
#define IMP2_U_PID	0	/* to the kernel: register this socket */
#define IMP2_K_MSG	1	/* from the kernel: struct packet_info */
#define IMP2_CLOSE	2	/* to the kernel: forget this socket */

/* Payload of IMP2_K_MSG: IPv4 addresses as they stand in the packet. */
struct packet_info {
	__be32 src;
	__be32 dest;
};

#endif /* _UAPI_LINUX_IMP2_H */
