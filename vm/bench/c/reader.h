/*
 * What a reader in C has to do: what src/fold.rs, src/clock.rs and src/measure.rs
 * have for those in Rust.
 *
 * A reader is called with its own settings, the number of events to see, and the
 * process that takes idle time. It says when it is ready, looks at every field of
 * every event, and prints what it saw as soon as it has seen so many, or nothing has
 * come for a while.
 */
#include <arpa/inet.h>
#include <inttypes.h>
#include <linux/netlink.h>
#include <netinet/ip.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>

#define SNAPLEN		128
/* Of a socket's receive buffer, which the kernel doubles. */
#define RECEIVE_BUFFER	(2 << 20)
#define NS_PER_S	1000000000ull

struct fold {
	uint64_t count;
	uint64_t lost;
	uint64_t addresses;
	uint64_t marks;
	uint64_t others;
	uint64_t first_ns;
	uint64_t last_ns;
	uint64_t backwards;
};

/* An event whose packet, from its IP header on, is at @packet. */
static inline void add(struct fold *fold, uint64_t time_ns, uint32_t interface,
		       uint32_t mark, const unsigned char *packet,
		       uint32_t caplen)
{
	struct iphdr ip;

	memcpy(&ip, packet, sizeof(ip));
	if (!fold->count)
		fold->first_ns = time_ns;
	fold->count++;
	fold->addresses += (uint64_t)ntohl(ip.saddr) + ntohl(ip.daddr);
	fold->marks += mark;
	fold->others += (uint64_t)interface + ntohs(ip.tot_len) + caplen +
			packet[ip.ihl * 4];
	fold->backwards += time_ns < fold->last_ns;
	fold->last_ns = time_ns;
}

static inline uint64_t ns_of(clockid_t clock)
{
	struct timespec time;

	if (clock_gettime(clock, &time)) {
		perror("clock_gettime");
		exit(1);
	}
	return time.tv_sec * NS_PER_S + time.tv_nsec;
}

static inline void must(int succeeded, const char *what)
{
	if (!succeeded) {
		perror(what);
		exit(1);
	}
}

static inline void ready(void)
{
	fputs("ready\n", stderr);
}

/*
 * Has receiving end when nothing has come for so long that nothing will, and not when
 * something was lost.
 */
static inline void be_patient(int fd)
{
	const struct timeval patience = { .tv_sec = 1 };
	int on = 1;

	must(!setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience,
			 sizeof(patience)),
	     "SO_RCVTIMEO");
	must(!setsockopt(fd, SOL_NETLINK, NETLINK_NO_ENOBUFS, &on, sizeof(on)),
	     "NETLINK_NO_ENOBUFS");
}

/* What was seen, at once after it was. */
static inline void report(const struct fold *fold, const char *spinner)
{
	clockid_t idle = (~(clockid_t)atoi(spinner) << 3) | 2;
	uint64_t end = ns_of(CLOCK_MONOTONIC) - ns_of(idle);

	printf("{\"end\":%" PRIu64 ",\"fold\":{\"count\":%" PRIu64
	       ",\"lost\":%" PRIu64 ",\"addresses\":%" PRIu64
	       ",\"marks\":%" PRIu64 ",\"others\":%" PRIu64
	       ",\"first_ns\":%" PRIu64 ",\"last_ns\":%" PRIu64
	       ",\"backwards\":%" PRIu64 "}}\n",
	       end, fold->count, fold->lost, fold->addresses, fold->marks,
	       fold->others, fold->first_ns, fold->last_ns, fold->backwards);
}
