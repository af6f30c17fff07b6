/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One packet, seen once: what every subscription's record of it has in
 * common, and how it is written into a message.
 */
#ifndef ICMPTAP_RECORD_H
#define ICMPTAP_RECORD_H

#include <linux/types.h>
#include <linux/icmptap.h>

struct nf_hook_state;
struct sk_buff;

struct icmptap_packet {
	const struct sk_buff *skb;
	const struct nf_hook_state *state;
	u64 time_ns;		/* CLOCK_REALTIME; 0: nobody has asked for it */
	/* As in struct icmptap_record. */
	u16 flags;		/* but F_TRUNCATED */
	u16 icmp_offset;
	u8 family;
	u8 hook;
	u8 icmp_type;
	u8 icmp_code;
};

void icmptap_packet_init_ipv4(struct icmptap_packet *pkt,
			      const struct sk_buff *skb,
			      const struct nf_hook_state *state);
bool icmptap_packet_init_ipv6(struct icmptap_packet *pkt,
			      const struct sk_buff *skb,
			      const struct nf_hook_state *state);
u64 icmptap_packet_time(struct icmptap_packet *pkt);

unsigned int icmptap_record_len(const struct icmptap_packet *pkt, u32 snaplen);
void icmptap_record_put(struct sk_buff *msg, const struct icmptap_packet *pkt,
			u32 snaplen, unsigned int len);

#endif /* ICMPTAP_RECORD_H */
