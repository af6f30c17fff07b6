//! The module: in and out, and who holds it.

use std::ffi::{CStr, CString};
use std::fs::{self, File};

use rustix::io::{Errno, Result};
use rustix::system::{delete_module, finit_module};

use crate::process::wait_until;

/// The module itself.
pub const FILE: &str = "/lib/icmptap.ko";
const NAME: &CStr = c"icmptap";
const SYSFS: &str = "/sys/module/icmptap";
/// Or `rmmod` would wait for the last reference to go.
const O_NONBLOCK: i32 = rustix::fs::OFlags::NONBLOCK.bits() as i32;

/// Loads the module with `parameters`, as in `imp2_verdict=drop`.
pub fn load(parameters: &str) {
    try_load(parameters).unwrap_or_else(|error| panic!("load {FILE}: {error}"));
}

/// The same, or says why not.
pub fn try_load(parameters: &str) -> Result<()> {
    let file = File::open(FILE).unwrap_or_else(|error| panic!("{FILE}: {error}"));
    let parameters = CString::new(parameters).expect("no NUL");
    finit_module(file, &parameters, 0)
}

/// Unloads the module, or says why not: [`Errno::AGAIN`] while it is held.
pub fn try_unload() -> Result<()> {
    delete_module(NAME, O_NONBLOCK)
}

/// Unloads the module, once what held it is gone.
pub fn unload() {
    wait_until("the module could be unloaded", || match try_unload() {
        Ok(()) => true,
        Err(Errno::AGAIN) => false,
        Err(error) => panic!("unload: {error}"),
    });
}

/// Unloads the module and loads it with other parameters.
pub fn reload(parameters: &str) {
    unload();
    load(parameters);
}

/// Is it loaded?
pub fn is_loaded() -> bool {
    fs::exists(SYSFS).expect("sysfs")
}

/// How many references hold it: one for each subscription, and one for each
/// IMP2 socket.
pub fn references() -> u32 {
    let text = fs::read_to_string(format!("{SYSFS}/refcnt")).expect("the module is loaded");
    text.trim().parse().expect("a number")
}

/// Where a section of the loaded module is in the kernel's memory.
pub fn address(section: &str) -> u64 {
    let text = fs::read_to_string(format!("{SYSFS}/sections/{section}")).expect("a section");
    let digits = text.trim().trim_start_matches("0x");
    u64::from_str_radix(digits, 16).expect("an address")
}

/// Sets a parameter of the loaded module.
pub fn set_parameter(name: &str, value: &str) -> std::io::Result<()> {
    fs::write(format!("{SYSFS}/parameters/{name}"), value)
}

/// Reads a parameter of the loaded module.
pub fn parameter(name: &str) -> String {
    let text = fs::read_to_string(format!("{SYSFS}/parameters/{name}")).expect("a parameter");
    text.trim().to_owned()
}

/// A parameter that is another for a while.
pub struct Changed {
    name: &'static str,
    before: String,
}

impl Changed {
    /// Sets it until this is dropped.
    pub fn parameter(name: &'static str, value: &str) -> Self {
        let before = parameter(name);
        set_parameter(name, value).unwrap_or_else(|error| panic!("{name}: {error}"));
        Self { name, before }
    }
}

impl Drop for Changed {
    fn drop(&mut self) {
        // No panic within a panic.
        let _ = set_parameter(self.name, &self.before);
    }
}
