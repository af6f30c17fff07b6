//! The modules: in and out, and who holds them. The functions are about both, icmptap
//! and icmptap_imp2, which needs it: in in that order and out in the other. About one
//! of them by itself are the methods of [`ICMPTAP`] and [`IMP2`].

use std::ffi::CString;
use std::fs::{self, File};

use rustix::io::{Errno, Result};
use rustix::system::{delete_module, finit_module};

use crate::process::wait_until;

/// The module that taps.
pub const ICMPTAP: Module = Module { name: "icmptap" };
/// The module that speaks IMP2.
pub const IMP2: Module = Module {
    name: "icmptap_imp2",
};
/// In the order in which they can be loaded.
pub const BOTH: [Module; 2] = [ICMPTAP, IMP2];

/// Or `rmmod` would wait for the last reference to go.
const O_NONBLOCK: i32 = rustix::fs::OFlags::NONBLOCK.bits() as i32;

/// One of the modules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Module {
    /// As the kernel calls it.
    pub name: &'static str,
}

impl Module {
    /// The module itself.
    pub fn file(self) -> String {
        format!("/lib/{}.ko", self.name)
    }

    fn sysfs(self, below: &str) -> String {
        format!("/sys/module/{}/{below}", self.name)
    }

    /// Loads it with `parameters`, as in `verdict=drop`.
    pub fn load(self, parameters: &str) {
        self.try_load(parameters)
            .unwrap_or_else(|error| panic!("load {}: {error}", self.name));
    }

    /// The same, or says why not.
    pub fn try_load(self, parameters: &str) -> Result<()> {
        let file = self.file();
        let file = File::open(&file).unwrap_or_else(|error| panic!("{file}: {error}"));
        let parameters = CString::new(parameters).expect("no NUL");
        finit_module(file, &parameters, 0)
    }

    /// Unloads it, or says why not: [`Errno::AGAIN`] while it is held.
    pub fn try_unload(self) -> Result<()> {
        let name = CString::new(self.name).expect("no NUL");
        delete_module(&name, O_NONBLOCK)
    }

    /// Unloads it, once what held it is gone.
    pub fn unload(self) {
        wait_until("the module could be unloaded", || match self.try_unload() {
            Ok(()) => true,
            Err(Errno::AGAIN) => false,
            Err(error) => panic!("unload {}: {error}", self.name),
        });
    }

    /// Unloads it and loads it with other parameters.
    pub fn reload(self, parameters: &str) {
        self.unload();
        self.load(parameters);
    }

    /// Is it loaded?
    pub fn is_loaded(self) -> bool {
        fs::exists(self.sysfs("")).expect("sysfs")
    }

    /// How many references hold it, beside that of another module that needs it.
    /// icmptap: one for each subscription of its family. icmptap_imp2: one for each IMP2
    /// socket, and one more when that is registered.
    pub fn references(self) -> u32 {
        let text = fs::read_to_string(self.sysfs("refcnt"));
        let text = text.unwrap_or_else(|error| panic!("{} is not loaded: {error}", self.name));
        let all: u32 = text.trim().parse().expect("a number");
        let modules = fs::read_dir(self.sysfs("holders")).map_or(0, Iterator::count);
        all - modules as u32
    }

    /// Where a section of it is in the kernel's memory, when it is loaded.
    pub fn address(self, section: &str) -> u64 {
        let text = fs::read_to_string(self.sysfs(&format!("sections/{section}")));
        let text = text.expect("a section");
        let digits = text.trim().trim_start_matches("0x");
        u64::from_str_radix(digits, 16).expect("an address")
    }

    /// Sets a parameter of it, when it is loaded.
    pub fn set_parameter(self, name: &str, value: &str) -> std::io::Result<()> {
        fs::write(self.sysfs(&format!("parameters/{name}")), value)
    }

    /// Reads a parameter of it, when it is loaded.
    pub fn parameter(self, name: &str) -> String {
        let text = fs::read_to_string(self.sysfs(&format!("parameters/{name}")));
        text.expect("a parameter").trim().to_owned()
    }
}

/// Loads both; the parameters are icmptap's.
pub fn load(parameters: &str) {
    ICMPTAP.load(parameters);
    IMP2.load("");
}

/// Unloads both, or neither and says why not: [`Errno::AGAIN`] while one is held.
pub fn try_unload() -> Result<()> {
    IMP2.try_unload()?;
    ICMPTAP.try_unload().inspect_err(|_| IMP2.load(""))
}

/// Unloads both, once what held them is gone.
pub fn unload() {
    IMP2.unload();
    ICMPTAP.unload();
}

/// Unloads both and loads them; the parameters are icmptap's.
pub fn reload(parameters: &str) {
    unload();
    load(parameters);
}

/// Does no subscription and no IMP2 socket hold either of them?
pub fn are_free() -> bool {
    BOTH.iter().all(|module| module.references() == 0)
}

/// How many references hold icmptap: one for each subscription of its family.
pub fn references() -> u32 {
    ICMPTAP.references()
}

/// Sets a parameter of icmptap.
pub fn set_parameter(name: &str, value: &str) -> std::io::Result<()> {
    ICMPTAP.set_parameter(name, value)
}

/// Reads a parameter of icmptap.
pub fn parameter(name: &str) -> String {
    ICMPTAP.parameter(name)
}

/// A parameter that is another for a while.
pub struct Changed {
    module: Module,
    name: &'static str,
    before: String,
}

impl Changed {
    /// Sets one of icmptap until this is dropped.
    pub fn parameter(name: &'static str, value: &str) -> Self {
        Self::parameter_of(ICMPTAP, name, value)
    }

    /// Sets one of that module until this is dropped.
    pub fn parameter_of(module: Module, name: &'static str, value: &str) -> Self {
        let before = module.parameter(name);
        let set = module.set_parameter(name, value);
        set.unwrap_or_else(|error| panic!("{name}: {error}"));
        Self {
            module,
            name,
            before,
        }
    }
}

impl Drop for Changed {
    fn drop(&mut self) {
        // No panic within a panic.
        let _ = self.module.set_parameter(self.name, &self.before);
    }
}
