/*
 * NFQUEUE, by libnetfilter_queue, letting every packet go on:
 * bench-nfqueue QUEUE VERDICTS COUNT SPINNER
 *
 * The verdict is said once for so many packets, and when no more are there.
 */
#include "reader.h"

#include <libnetfilter_queue/libnetfilter_queue.h>
#include <linux/netfilter.h>

static char buffer[1 << 16];

struct reader {
	struct fold fold;
	uint32_t last_id;
	unsigned int unsaid;
	unsigned int verdicts;
};

static int say(struct nfq_q_handle *queue, struct reader *reader)
{
	reader->unsaid = 0;
	if (reader->verdicts == 1)
		return nfq_set_verdict(queue, reader->last_id, NF_ACCEPT, 0,
				       NULL);
	return nfq_set_verdict_batch(queue, reader->last_id, NF_ACCEPT);
}

static int on_packet(struct nfq_q_handle *queue, struct nfgenmsg *message,
		     struct nfq_data *data, void *context)
{
	struct reader *reader = context;
	unsigned char *packet;
	int caplen = nfq_get_payload(data, &packet);
	struct timeval time;
	uint64_t time_ns;

	(void)message;
	/* The kernel has no time for us unless somebody asks it to have one. */
	if (nfq_get_timestamp(data, &time))
		time_ns = ns_of(CLOCK_REALTIME);
	else
		time_ns = time.tv_sec * NS_PER_S + time.tv_usec * 1000ull;
	add(&reader->fold, time_ns, nfq_get_indev(data), nfq_get_nfmark(data),
	    packet, caplen);

	reader->last_id = ntohl(nfq_get_msg_packet_hdr(data)->packet_id);
	if (++reader->unsaid < reader->verdicts)
		return 0;
	return say(queue, reader);
}

int main(int argc, char **argv)
{
	struct reader reader = { 0 };
	struct nfq_q_handle *queue;
	struct nfq_handle *handle;
	uint64_t count;

	must(argc == 5, "arguments");
	reader.verdicts = atoi(argv[2]);
	count = strtoull(argv[3], NULL, 10);
	handle = nfq_open();
	must(!!handle, "nfq_open");
	queue = nfq_create_queue(handle, atoi(argv[1]), on_packet, &reader);
	must(!!queue, "nfq_create_queue");
	must(nfq_set_mode(queue, NFQNL_COPY_PACKET, SNAPLEN) >= 0, "mode");
	must(nfq_set_queue_maxlen(queue, 8192) >= 0, "maxlen");
	must(nfnl_rcvbufsiz(nfq_nfnlh(handle), RECEIVE_BUFFER) ==
	     2 * RECEIVE_BUFFER, "SO_RCVBUFFORCE");
	be_patient(nfq_fd(handle));
	ready();

	while (reader.fold.count < count) {
		int length = recv(nfq_fd(handle), buffer, sizeof(buffer), 0);

		if (length >= 0)
			nfq_handle_packet(handle, buffer, length);
		else if (reader.unsaid)
			say(queue, &reader);
		else if (reader.fold.count)
			break;
	}
	reader.fold.lost = count - reader.fold.count;
	report(&reader.fold, argv[4]);
	return 0;
}
