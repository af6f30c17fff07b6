/*
 * NFLOG, by libnetfilter_log: bench-nflog GROUP QTHRESHOLD BUFFER COUNT SPINNER
 */
#include "reader.h"

#include <libnetfilter_log/libnetfilter_log.h>
#include <libnfnetlink/libnfnetlink.h>

static char buffer[1 << 18];

static int on_packet(struct nflog_g_handle *group, struct nfgenmsg *message,
		     struct nflog_data *data, void *fold)
{
	struct timeval time;
	char *packet;
	int caplen = nflog_get_payload(data, &packet);

	(void)group;
	(void)message;
	/* Kernels before 5.17 have no time unless somebody asks for it. */
	if (nflog_get_timestamp(data, &time))
		gettimeofday(&time, NULL);
	add(fold, time.tv_sec * NS_PER_S + time.tv_usec * 1000ull,
	    nflog_get_indev(data), nflog_get_nfmark(data),
	    (unsigned char *)packet, caplen);
	return 0;
}

int main(int argc, char **argv)
{
	struct fold fold = { 0 };
	struct nflog_g_handle *group;
	struct nflog_handle *handle;
	uint64_t count;

	must(argc == 6, "arguments");
	count = strtoull(argv[4], NULL, 10);
	handle = nflog_open();
	must(!!handle, "nflog_open");
	group = nflog_bind_group(handle, atoi(argv[1]));
	must(!!group, "nflog_bind_group");
	must(!nflog_set_mode(group, NFULNL_COPY_PACKET, SNAPLEN), "mode");
	must(!nflog_set_qthresh(group, atoi(argv[2])), "qthreshold");
	must(!nflog_set_nlbufsiz(group, atoi(argv[3])), "nlbufsiz");
	must(!nflog_set_timeout(group, 1), "timeout");
	must(nfnl_rcvbufsiz(nflog_nfnlh(handle), RECEIVE_BUFFER) ==
	     2 * RECEIVE_BUFFER, "SO_RCVBUFFORCE");
	be_patient(nflog_fd(handle));
	nflog_callback_register(group, on_packet, &fold);
	ready();

	while (fold.count < count) {
		int length = recv(nflog_fd(handle), buffer, sizeof(buffer), 0);

		if (length < 0 && fold.count)
			break;
		if (length >= 0)
			nflog_handle_packet(handle, buffer, length);
	}
	fold.lost = count - fold.count;
	report(&fold, argv[5]);
	return 0;
}
