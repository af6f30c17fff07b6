//! The virtual machine, from what goes in to what to think of what came out.
//!
//! `artifacts` builds our binaries, `image` packs them (`cpio`) with the kernel's own
//! `modules`, `accel` decides how to run the CPU, `qemu` says it to QEMU, `boot` runs
//! it, `console` and `verdict` judge. `machine` puts these together for the commands.

pub mod accel;
pub mod artifacts;
pub mod boot;
pub mod console;
pub mod cpio;
pub mod image;
pub mod installed;
pub mod machine;
mod modules;
pub mod qemu;
pub mod run_directory;
#[cfg(test)]
mod script;
pub mod verdict;
