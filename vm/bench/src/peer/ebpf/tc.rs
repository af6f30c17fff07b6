//! Puts a program where packets come in by `lo`: rtnetlink's words for
//! `tc qdisc add dev lo clsact` and
//! `tc filter add dev lo ingress protocol ip bpf direct-action`.

use std::ffi::c_int;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use anyhow::{Context, Result, ensure};
use icmptap_vm_tests::netlink::{self, Socket};

use crate::traffic::INTERFACE;

const NEW_QDISC: u16 = 36;
const DELETE_QDISC: u16 = 37;
const NEW_FILTER: u16 = 44;
const CREATE: c_int = libc::NLM_F_CREATE | libc::NLM_F_EXCL;

/// `TC_H_CLSACT` as parent; the handle of its major part.
const CLSACT: u32 = 0xffff_fff1;
const CLSACT_HANDLE: u32 = 0xffff_0000;
/// `TC_H_MIN_INGRESS` below that.
const INGRESS: u32 = 0xffff_fff2;

/// The program is called until the network namespace ends, or the next one is
/// attached.
pub(super) fn attach(program: BorrowedFd<'_>) -> Result<()> {
    let socket = Socket::open(libc::NETLINK_ROUTE as u32);
    socket.hear_reasons();
    let clsact = [CLSACT_HANDLE, CLSACT, 0];
    // What a reader before left: readers are killed. If none did, that is refused.
    let _ = ask(&socket, DELETE_QDISC, 0, clsact, &[]);
    let kind = attribute(1, b"clsact\0");
    ask(&socket, NEW_QDISC, CREATE, clsact, &kind).context("clsact")?;
    let options = [
        // TCA_BPF_FD, TCA_BPF_NAME, TCA_BPF_FLAGS: TCA_BPF_FLAG_ACT_DIRECT
        attribute(6, &program.as_raw_fd().to_ne_bytes()),
        attribute(7, b"icmptap_bench\0"),
        attribute(8, &1_u32.to_ne_bytes()),
    ];
    // TCA_KIND, TCA_OPTIONS
    let filter = [attribute(1, b"bpf\0"), attribute(2, &options.concat())];
    // Its preference, and the protocol.
    let info = 1 << 16 | u32::from((libc::ETH_P_IP as u16).to_be());
    let ingress = [0, INGRESS, info];
    ask(&socket, NEW_FILTER, CREATE, ingress, &filter.concat()).context("the filter")
}

/// `tcm`: handle, parent and info of `struct tcmsg`.
fn ask(socket: &Socket, kind: u16, flags: c_int, tcm: [u32; 3], attributes: &[u8]) -> Result<()> {
    let flags = libc::NLM_F_REQUEST | libc::NLM_F_ACK | flags;
    let mut body = vec![0; 4];
    body.extend(INTERFACE.to_ne_bytes());
    body.extend(tcm.iter().flat_map(|word| word.to_ne_bytes()));
    body.extend(attributes);
    let mut message = netlink::header(16 + body.len() as u32, kind, flags as u16, 0);
    message.extend(body);
    socket.send(&message)?;
    let answer = socket.receive().context("no answer")?;
    let errno = netlink::errno(&answer);
    ensure!(errno == 0, "{}", io::Error::from_raw_os_error(errno));
    Ok(())
}

fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let mut bytes = (4 + value.len() as u16).to_ne_bytes().to_vec();
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}
