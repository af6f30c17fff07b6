//! ulogd2: NFLOG, with a line of text for each event, into a file in memory.

use std::fs;

use icmptap_vm_tests::net::Namespace;

use super::{Ends, Foreign, Peer, Reader};
use crate::traffic::SNAPLEN;

const GROUP: u32 = 5;
const CONFIG: &str = "/tmp/ulogd.conf";
const LOG: &str = "/tmp/ulogd.log";
const PLUGINS: [&str; 6] = [
    "inppkt_NFLOG",
    "raw2packet_BASE",
    "filter_IFINDEX",
    "filter_IP2STR",
    "filter_PRINTPKT",
    "output_LOGEMU",
];

pub(super) fn peers() -> Vec<Peer> {
    vec![Peer {
        name: "ulogd2",
        settings: "NFLOG, qthreshold 1000; LOGEMU, sync 0".to_owned(),
        lacks: &[],
        prepare,
        reader: Reader::Foreign(Foreign {
            command: format!("ulogd -v -c {CONFIG}"),
            ready: "entering main loop",
            prints: true,
            ends: Ends::Never { lines_in: LOG },
        }),
    }]
}

fn prepare(namespace: &Namespace) {
    let directory = "/usr/lib/x86_64-linux-gnu/ulogd";
    let plugins = PLUGINS.map(|plugin| format!("plugin=\"{directory}/ulogd_{plugin}.so\"\n"));
    let config = format!(
        "[global]\n\
         logfile=\"/dev/null\"\n\
         loglevel=3\n\
         {}\
         stack=log:NFLOG,base:BASE,index:IFINDEX,string:IP2STR,print:PRINTPKT,file:LOGEMU\n\
         [log]\n\
         group={GROUP}\n\
         netlink_socket_buffer_size=4194304\n\
         netlink_socket_buffer_maxsize=4194304\n\
         netlink_qthreshold=1000\n\
         netlink_qtimeout=1\n\
         [file]\n\
         file=\"{LOG}\"\n\
         sync=0\n",
        plugins.concat()
    );
    fs::write(CONFIG, config).unwrap_or_else(|error| panic!("{CONFIG}: {error}"));
    super::rule(namespace, &format!("log group {GROUP} snaplen {SNAPLEN}"));
}
