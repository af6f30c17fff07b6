//! Kernels, the module built for each, and the guests that boot them: from what is pinned
//! in `vm/` to a verdict. And the commands that need no more than these.

pub mod build_module;
pub mod demo;
pub mod guest_packages;
mod install_module;
pub mod kernel;
pub mod kernels;
mod terminal;
pub mod vm;
pub mod vm_run;
