//! Loading and unloading icmptap.ko.

use std::ffi::CString;
use std::fs::File;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result};
use icmptap_guest::MODULE;
use rustix::io::Errno;
use rustix::system::{delete_module, finit_module};

/// Loads the module with these parameters.
pub(crate) fn load(parameters: &[String]) -> Result<()> {
    let file = File::open(MODULE).with_context(|| format!("open {MODULE}"))?;
    let words = parameters.join(" ");
    finit_module(&file, &CString::new(words.clone())?, 0).with_context(|| {
        format!("load {MODULE} with parameters \"{words}\" (the console log has the reason)")
    })
}

/// Unloads the module, if the job has not done so itself.
///
/// The sockets of those just killed are closed a moment later, so a refusal is
/// taken as one only when it lasts.
pub(crate) fn unload() -> Result<()> {
    const O_NONBLOCK: i32 = 0o4000;
    let mut tries = 0;
    loop {
        if !Path::new("/sys/module/icmptap").exists() {
            return Ok(());
        }
        match delete_module(c"icmptap", O_NONBLOCK) {
            Err(Errno::WOULDBLOCK | Errno::BUSY) if tries < 100 => {
                tries += 1;
                sleep(Duration::from_millis(20));
            }
            result => return result.context("unload icmptap after the job"),
        }
    }
}
