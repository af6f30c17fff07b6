// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * An IMP2 client, written from docs/protocol.md and in the manner of the
 * programs of that time: one blocking socket, one message per packet, no
 * look at what kind of message it is, no acknowledgements, its own copy of
 * the constants. The tests run it to show that such a program still works.
 *
 * Prints "src: A, dest: B" per message. Says CLOSE on SIGINT.
 */
#include <arpa/inet.h>
#include <linux/netlink.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define IMP2_U_PID 0
#define IMP2_K_MSG 1
#define IMP2_CLOSE 2
#define NL_IMP2 31

struct packet_info {
	__u32 src;
	__u32 dest;
};

struct kernel_message {
	struct nlmsghdr header;
	struct packet_info packet;
};

static int sock;
static struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };

static void tell(int type)
{
	struct nlmsghdr message = {
		.nlmsg_len = NLMSG_LENGTH(0),
		.nlmsg_type = type,
		.nlmsg_pid = getpid(),
	};

	if (sendto(sock, &message, message.nlmsg_len, 0,
		   (struct sockaddr *)&kernel, sizeof(kernel)) < 0) {
		perror("sendto");
		exit(1);
	}
}

static void leave(int signal)
{
	(void)signal;
	tell(IMP2_CLOSE);
	close(sock);
	_exit(0);
}

int main(void)
{
	struct sockaddr_nl local = {
		.nl_family = AF_NETLINK,
		.nl_pid = getpid(),
	};

	sock = socket(PF_NETLINK, SOCK_RAW, NL_IMP2);
	if (sock < 0) {
		perror("socket");
		return 1;
	}
	if (bind(sock, (struct sockaddr *)&local, sizeof(local)) < 0) {
		perror("bind");
		return 1;
	}
	signal(SIGINT, leave);
	setvbuf(stdout, NULL, _IOLBF, 0);

	tell(IMP2_U_PID);
	fprintf(stderr, "registered\n");

	for (;;) {
		struct kernel_message message;
		struct in_addr address;

		if (recv(sock, &message, sizeof(message), 0) < 0) {
			perror("recv");
			continue;
		}
		address.s_addr = message.packet.src;
		printf("src: %s, ", inet_ntoa(address));
		address.s_addr = message.packet.dest;
		printf("dest: %s\n", inet_ntoa(address));
	}
}
