/* SPDX-License-Identifier: ((GPL-2.0 WITH Linux-syscall-note) OR MIT) */
/*
 * icmptap: ICMP packets, as they pass a netfilter hook, over generic netlink.
 *
 * All numbers are in host byte order; packet bytes are as on the wire.
 * docs/protocol.md describes every message byte by byte.
 */
#ifndef _UAPI_LINUX_ICMPTAP_H
#define _UAPI_LINUX_ICMPTAP_H

#include <linux/types.h>

#define ICMPTAP_GENL_NAME	"icmptap"
#define ICMPTAP_GENL_VERSION	1

/*
 * Counts additions to this file. A program built against a lower number
 * works; one built against a higher number finds less than it knows.
 */
#define ICMPTAP_SCHEMA_VERSION	3

enum icmptap_cmd {
	ICMPTAP_CMD_UNSPEC,
	ICMPTAP_CMD_GET_INFO,		/* reply: enum icmptap_info_attr */
	ICMPTAP_CMD_SUBSCRIBE,		/* both ways: enum icmptap_sub_attr */
	ICMPTAP_CMD_UNSUBSCRIBE,	/* reply: enum icmptap_sub_attr */
	ICMPTAP_CMD_FLUSH,		/* no reply, unless NLM_F_ACK asks */
	ICMPTAP_CMD_EVENTS,		/* kernel to subscriber: a batch */
	ICMPTAP_CMD_GET_SUBSCRIPTION,	/* dump: enum icmptap_sub_attr */
	ICMPTAP_CMD_GET_STATS,		/* do, dump: enum icmptap_stats_attr */

	__ICMPTAP_CMD_MAX,
	ICMPTAP_CMD_MAX = __ICMPTAP_CMD_MAX - 1
};

/* Attributes of the reply to ICMPTAP_CMD_GET_INFO. */
enum icmptap_info_attr {
	ICMPTAP_INFO_UNSPEC,
	ICMPTAP_INFO_MODULE_VERSION,	/* string */
	ICMPTAP_INFO_SCHEMA_VERSION,	/* u32: ICMPTAP_SCHEMA_VERSION */
	ICMPTAP_INFO_BOOT_ID,		/* 16 bytes, random, fresh per load */
	ICMPTAP_INFO_HOOKS,		/* u32: the hooks that can be tapped */
	ICMPTAP_INFO_FAMILIES,		/* u32: the families that can be */
	ICMPTAP_INFO_SNAPLEN_MAX,	/* u32: bytes */
	ICMPTAP_INFO_BATCH_MIN,		/* u32: bytes */
	ICMPTAP_INFO_BATCH_MAX,		/* u32: bytes */
	ICMPTAP_INFO_FLUSH_MAX_US,	/* u32: microseconds */
	ICMPTAP_INFO_FILTER_MAX,	/* u32: instructions */
	ICMPTAP_INFO_MAX_BYTES,		/* u64: cap on the memory kept for all */
	ICMPTAP_INFO_PAD,

	__ICMPTAP_INFO_MAX,
	ICMPTAP_INFO_MAX = __ICMPTAP_INFO_MAX - 1
};

/*
 * Attributes of ICMPTAP_CMD_SUBSCRIBE, all optional, and of its reply, which
 * holds the values in force. ICMPTAP_CMD_UNSUBSCRIBE takes none and replies
 * with ICMPTAP_SUB_COUNTERS. ICMPTAP_CMD_GET_SUBSCRIPTION takes
 * ICMPTAP_SUB_ALL_NETNS, and answers with all but ICMPTAP_SUB_FILTER.
 */
enum icmptap_sub_attr {
	ICMPTAP_SUB_UNSPEC,
	ICMPTAP_SUB_HOOKS,		/* u32: mask of 1 << NF_INET_* */
	ICMPTAP_SUB_FAMILIES,		/* u32: ICMPTAP_FAMILY_* */
	ICMPTAP_SUB_SNAPLEN,		/* u32: packet bytes to keep */
	ICMPTAP_SUB_BATCH,		/* u32: bytes of a full EVENTS message */
	ICMPTAP_SUB_FLUSH_US,		/* u32: longest time in a batch; 0: none */
	ICMPTAP_SUB_COUNTERS,		/* nested: enum icmptap_counter_attr */
	ICMPTAP_SUB_ICMP_TYPES,		/* 32 bytes: see ICMPTAP_TYPES_LEN */
	ICMPTAP_SUB_ICMPV6_TYPES,	/* 32 bytes: see ICMPTAP_TYPES_LEN */
	ICMPTAP_SUB_IFINDEX,		/* u32: input or output interface; 0: any */
	ICMPTAP_SUB_FILTER,		/* array of struct sock_filter */
	ICMPTAP_SUB_FILTER_LEN,		/* u32: instructions; from the kernel only */
	ICMPTAP_SUB_SAMPLE,		/* u32: take one in so many; 1: all */
	ICMPTAP_SUB_RATE,		/* u32: events per second; 0: no limit */
	ICMPTAP_SUB_VERDICT,		/* u32: enum icmptap_verdict */
	ICMPTAP_SUB_ALL_NETNS,		/* flag: of every network namespace */

	/* Of ICMPTAP_CMD_GET_SUBSCRIPTION only. */
	ICMPTAP_SUB_PORTID,		/* u32: of the subscriber's socket */
	ICMPTAP_SUB_PROTOCOL,		/* u32: NETLINK_GENERIC or NL_IMP2 */
	ICMPTAP_SUB_NETNS,		/* u32: inode number of the socket's netns */
	ICMPTAP_SUB_PID,		/* u32: who subscribed; 0: not seen, or gone */
	ICMPTAP_SUB_COMM,		/* string: its command; empty without PID */
	ICMPTAP_SUB_ID,			/* u64: no other has it until the module goes */
	ICMPTAP_SUB_BYTES,		/* u64: memory that is kept for it */
	ICMPTAP_SUB_TAPS_MISSING,	/* u32: hooks refused in other netns */
	ICMPTAP_SUB_PAD,

	__ICMPTAP_SUB_MAX,
	ICMPTAP_SUB_MAX = __ICMPTAP_SUB_MAX - 1
};

/*
 * A set of ICMP types: type t is bit t % 8 of byte t / 8. A packet that has
 * no ICMP type (see ICMPTAP_F_NO_ICMP) is wanted if all 256 are.
 */
#define ICMPTAP_TYPES_LEN	32

/* What becomes of the packets that a subscription matches. */
enum icmptap_verdict {
	ICMPTAP_VERDICT_ACCEPT,		/* they go on */
	ICMPTAP_VERDICT_DROP,		/* they end here */

	__ICMPTAP_VERDICT_MAX,
	ICMPTAP_VERDICT_MAX = __ICMPTAP_VERDICT_MAX - 1
};

/* Bits of ICMPTAP_SUB_FAMILIES and ICMPTAP_INFO_FAMILIES. */
#define ICMPTAP_FAMILY_IPV4	(1 << 0)	/* ICMP */
#define ICMPTAP_FAMILY_IPV6	(1 << 1)	/* ICMPv6 */

/*
 * Events of one subscription, or of all of a network namespace's. At any
 * quiet moment MATCHED == DELIVERED + LOST_OVERRUN + LOST_NOMEM +
 * LOST_RATELIMIT + QUEUED.
 */
enum icmptap_counter_attr {
	ICMPTAP_COUNTER_UNSPEC,
	ICMPTAP_COUNTER_PAD,
	ICMPTAP_COUNTER_MATCHED,	/* u64: packets given a sequence number */
	ICMPTAP_COUNTER_DELIVERED,	/* u64: put into the receive buffer */
	ICMPTAP_COUNTER_LOST_OVERRUN,	/* u64: the receive buffer was full, or gone */
	ICMPTAP_COUNTER_LOST_NOMEM,	/* u64: no memory for the message */
	ICMPTAP_COUNTER_QUEUED,		/* u64: in a batch not yet sent */
	ICMPTAP_COUNTER_LOST_RATELIMIT,	/* u64: beyond ICMPTAP_SUB_RATE */
	ICMPTAP_COUNTER_SAMPLED_OUT,	/* u64: passed over by sampling; not matched */

	__ICMPTAP_COUNTER_MAX,
	ICMPTAP_COUNTER_MAX = __ICMPTAP_COUNTER_MAX - 1
};

/*
 * Attributes of ICMPTAP_CMD_GET_STATS: of the subscriptions, living and ended,
 * whose sockets are in the requester's network namespace. One message; in a
 * dump, one for each CPU.
 */
enum icmptap_stats_attr {
	ICMPTAP_STATS_UNSPEC,
	ICMPTAP_STATS_CPU,		/* u32: in a dump only */
	ICMPTAP_STATS_NETNS,		/* u32: inode number */
	ICMPTAP_STATS_SUBSCRIPTIONS,	/* u32: living ones */
	ICMPTAP_STATS_COUNTERS,		/* nested: enum icmptap_counter_attr */
	ICMPTAP_STATS_BYTES,		/* u64: memory kept for the living ones */
	ICMPTAP_STATS_BYTES_TOTAL,	/* u64: kept for those of all netns */
	ICMPTAP_STATS_PAD,

	__ICMPTAP_STATS_MAX,
	ICMPTAP_STATS_MAX = __ICMPTAP_STATS_MAX - 1
};

/*
 * ICMPTAP_CMD_EVENTS: nlmsghdr, genlmsghdr, struct icmptap_batch, and then
 * count records one after another. No netlink attributes.
 *
 * Packed, because it starts at byte 20 of the message: so the records, from
 * byte 48 on, are aligned to 8.
 */
struct icmptap_batch {
	__u16 hdrlen;		/* bytes of this header; the records follow it */
	__u16 reserved;		/* zero */
	__u32 cpu;		/* the stream: one per subscription and CPU */
	__u32 count;		/* records in this batch */
	__u64 seq;		/* of the first record, from 0; the others follow */
	__u64 lost;		/* on this stream, before this batch, in all */
} __attribute__((packed, aligned(4)));

/*
 * One packet. The next record starts len bytes after this one. A newer
 * module may append fields: the packet starts at hdrlen.
 */
struct icmptap_record {
	__u32 len;		/* header, packet and padding: a multiple of 8 */
	__u16 hdrlen;		/* bytes of this header */
	__u16 flags;		/* ICMPTAP_F_* and ICMPTAP_CSUM_MASK */
	__u64 time_ns;		/* CLOCK_REALTIME when the hook saw it */
	__u32 caplen;		/* packet bytes that follow the header */
	__u32 origlen;		/* packet bytes, from the network header on */
	__u32 netns;		/* inode number of the network namespace */
	__u32 iif;		/* index of the input interface, or 0 */
	__u32 oif;		/* index of the output interface, or 0 */
	__u32 mark;		/* the packet's mark */
	__u16 vlan_tci;		/* if ICMPTAP_F_VLAN: priority and VLAN id */
	__u16 icmp_offset;	/* of the ICMP header, unless F_NO_ICMP */
	__u8 family;		/* NFPROTO_IPV4 or NFPROTO_IPV6 */
	__u8 hook;		/* NF_INET_PRE_ROUTING ... NF_INET_POST_ROUTING */
	__u8 icmp_type;		/* ICMP type, unless F_NO_ICMP */
	__u8 icmp_code;		/* ICMP code, unless F_NO_ICMP */
};

/* icmptap_record.flags */
#define ICMPTAP_F_TRUNCATED	(1 << 0)  /* caplen < origlen */
#define ICMPTAP_F_FRAGMENT	(1 << 1)  /* a part of a fragmented packet */
#define ICMPTAP_F_NO_ICMP	(1 << 2)  /* ICMP type and code are not in it */
#define ICMPTAP_F_MALFORMED	(1 << 3)  /* ends before the ICMP header does */
#define ICMPTAP_F_VLAN		(1 << 4)  /* vlan_tci holds an 802.1Q tag */
#define ICMPTAP_F_VLAN_AD	(1 << 5)  /* ... which is an 802.1ad tag */

/* What the kernel knew of the ICMP checksum, in two bits of flags. */
#define ICMPTAP_CSUM_SHIFT	8
#define ICMPTAP_CSUM_MASK	(3 << ICMPTAP_CSUM_SHIFT)
#define ICMPTAP_CSUM_NONE	0	/* nothing: verify it */
#define ICMPTAP_CSUM_UNNECESSARY 1	/* the device or sender vouches for it */
#define ICMPTAP_CSUM_COMPLETE	2	/* the device summed, nobody compared */
#define ICMPTAP_CSUM_PARTIAL	3	/* not computed yet: the device will */

#endif /* _UAPI_LINUX_ICMPTAP_H */
