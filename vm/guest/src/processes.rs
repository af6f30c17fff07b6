//! Other processes: how they ended, and an end to all of them.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use icmptap_guest::Ending;
use rustix::process::{Pid, Signal, kill_process_group};

/// `kill(-1)`: every process but the first one and this one (kill(2)).
pub(crate) fn kill_everyone() {
    // Fails only when there is nobody.
    let _ = kill_process_group(Pid::INIT, Signal::KILL);
}

/// A status in the protocol's terms. Both numbers fit: the kernel keeps eight bits.
pub(crate) fn ending(status: ExitStatus) -> Ending {
    match status.signal() {
        Some(signal) => Ending::Signal(signal as u8),
        None => Ending::Status(status.code().unwrap_or_default() as u8),
    }
}
