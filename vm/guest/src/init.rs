//! Process 1: makes a usable machine, has the worker do the job, and ends the machine.

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::{Context, Result};
use rustix::mount::{MountFlags, mount};
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};
use rustix::process::{Pid, WaitOptions, wait};
use rustix::system::{RebootCommand, reboot, sethostname};

use crate::worker;

const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What is mounted where: type, place, flags, data.
const MOUNTS: &[(&str, &str, MountFlags, &str)] = &[
    ("proc", "/proc", CAREFUL, ""),
    ("sysfs", "/sys", CAREFUL, ""),
    ("devtmpfs", "/dev", MountFlags::NOSUID, "mode=0755"),
    ("tmpfs", "/tmp", MountFlags::NODEV, "mode=1777"),
    ("tmpfs", "/run", MountFlags::NODEV, "mode=0755"),
    ("devpts", "/dev/pts", MountFlags::NOSUID, "ptmxmode=0666"),
    ("cgroup2", "/sys/fs/cgroup", CAREFUL, ""),
    ("debugfs", "/sys/kernel/debug", CAREFUL, ""),
    ("tracefs", "/sys/kernel/tracing", CAREFUL, ""),
];

const CAREFUL: MountFlags = MountFlags::NOSUID
    .union(MountFlags::NODEV)
    .union(MountFlags::NOEXEC);

/// Never returns while all is well: the guest is off by then.
pub(crate) fn run() -> Result<()> {
    // A missing comfort must not cost the job; what it breaks will say so.
    for (what, result) in [
        ("mount", mounts()),
        ("links", links()),
        ("hostname", sethostname(b"guest").map_err(Into::into)),
        ("lo", loopback_up()),
    ] {
        if let Err(error) = result {
            eprintln!("icmptap-guest: {what}: {error:#}");
        }
    }
    if let Err(error) = work() {
        eprintln!("icmptap-guest: {error:#}");
    }
    rustix::fs::sync();
    // Which ends QEMU too (-no-reboot), and which a kernel can do that cannot power off.
    reboot(RebootCommand::Restart).context("restart")
}

/// Has the worker do the job, and buries whoever dies meanwhile.
fn work() -> Result<()> {
    let worker = Command::new("/init")
        .arg(worker::ROLE)
        .env_clear()
        .env("PATH", PATH)
        .env("HOME", "/root")
        // Its own group, so that nothing it kills by group is us.
        .process_group(0)
        .spawn()
        .context("start the worker")?;
    let worker = Pid::from_child(&worker);
    loop {
        match wait(WaitOptions::empty()) {
            Ok(Some((pid, status))) if pid == worker => {
                if status.exit_status() != Some(0) {
                    eprintln!("icmptap-guest: the worker ended with {status:?}");
                }
                return Ok(());
            }
            Ok(_) | Err(rustix::io::Errno::INTR) => (),
            Err(error) => return Err(error).context("wait for the worker"),
        }
    }
}

fn mounts() -> Result<()> {
    let mut failed = Ok(());
    for (kind, place, flags, data) in MOUNTS {
        let data = std::ffi::CString::new(*data)?;
        // sysfs has its mount points itself; the rest are ours to make.
        let _ = fs::create_dir_all(place);
        if let Err(error) = mount(*kind, *place, *kind, *flags, &*data) {
            failed = Err(error).with_context(|| format!("{kind} on {place}"));
        }
    }
    fs::create_dir_all("/run/netns")?;
    fs::create_dir_all("/root")?;
    failed
}

/// Names that programs expect and devtmpfs does not make.
fn links() -> Result<()> {
    for (target, name) in [
        ("/proc/self/fd", "/dev/fd"),
        ("/proc/self/fd/0", "/dev/stdin"),
        ("/proc/self/fd/1", "/dev/stdout"),
        ("/proc/self/fd/2", "/dev/stderr"),
    ] {
        symlink(target, name).with_context(|| format!("{name} -> {target}"))?;
    }
    Ok(())
}

/// Sets `lo` up by one rtnetlink message; running `ip` costs an emulated CPU more.
fn loopback_up() -> Result<()> {
    let socket = rustix::net::socket_with(
        AddressFamily::NETLINK,
        SocketType::RAW,
        SocketFlags::CLOEXEC,
        None, // NETLINK_ROUTE is 0
    )?;
    let kernel = SocketAddrNetlink::new(0, 0);
    rustix::net::sendto(&socket, &set_up(1), SendFlags::empty(), &kernel)?;
    let mut reply = [0; 1024];
    let (length, _) = rustix::net::recv(&socket, &mut reply, RecvFlags::empty())?;
    match acknowledged(&reply[..length]) {
        Some(0) => Ok(()),
        Some(errno) => Err(std::io::Error::from_raw_os_error(-errno)).context("RTM_NEWLINK"),
        None => anyhow::bail!("RTM_NEWLINK: no acknowledgement"),
    }
}

/// `RTM_NEWLINK` that sets `IFF_UP` (netlink(7), rtnetlink(7)).
fn set_up(ifindex: i32) -> Vec<u8> {
    const RTM_NEWLINK: u16 = 16;
    const NLM_F_REQUEST_ACK: u16 = 1 | 4;
    const IFF_UP: u32 = 1;
    let mut message = Vec::with_capacity(32);
    message.extend(32_u32.to_ne_bytes());
    message.extend(RTM_NEWLINK.to_ne_bytes());
    message.extend(NLM_F_REQUEST_ACK.to_ne_bytes());
    message.extend([0; 8]); // sequence number, port id
    message.extend([0; 4]); // family, padding, device type
    message.extend(ifindex.to_ne_bytes());
    message.extend(IFF_UP.to_ne_bytes());
    message.extend(IFF_UP.to_ne_bytes()); // of the flags, change only this
    message
}

/// The error number in an `NLMSG_ERROR`, which is 0 for success.
fn acknowledged(reply: &[u8]) -> Option<i32> {
    const NLMSG_ERROR: [u8; 2] = 2_u16.to_ne_bytes();
    (reply.get(4..6)? == NLMSG_ERROR)
        .then(|| reply.get(16..20)?.try_into().ok().map(i32::from_ne_bytes))
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_is_as_long_as_it_says() {
        let message = set_up(1);
        assert_eq!(message.len(), 32);
        assert_eq!(message[..4], 32_u32.to_ne_bytes());
        assert_eq!(message[20..24], 1_u32.to_ne_bytes());
    }

    #[test]
    fn an_acknowledgement_is_an_error_message_without_an_error() {
        let mut reply = vec![0; 36];
        assert_eq!(acknowledged(&reply), None);
        reply[4] = 2;
        assert_eq!(acknowledged(&reply), Some(0));
        reply[16..20].copy_from_slice(&(-1_i32).to_ne_bytes());
        assert_eq!(acknowledged(&reply), Some(-1));
        assert_eq!(acknowledged(&reply[..10]), None);
    }
}
