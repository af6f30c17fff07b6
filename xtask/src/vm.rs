//! The virtual machine, from what goes in to what to think of what came out.
//!
//! `artifacts` builds our binaries, `image` packs them (`cpio`) with the kernel's own
//! `modules`, `accel` decides how to run the CPU, `qemu` says it to QEMU, `boot` runs
//! it, `console` and `verdict` judge. `machine` puts these together for the commands.

pub(crate) mod accel;
pub(crate) mod artifacts;
pub(crate) mod boot;
pub(crate) mod console;
pub(crate) mod cpio;
pub(crate) mod image;
pub(crate) mod machine;
mod modules;
pub(crate) mod place;
pub(crate) mod qemu;
#[cfg(test)]
mod script;
pub(crate) mod verdict;
