//! Whether this machine can do what a command does.

use anyhow::{Result, ensure};

/// Fails on a machine of another architecture than the guests', before anything is
/// downloaded or compiled for them. `arch` is the machine's, in Rust's words.
pub fn runs_guests(arch: &str) -> Result<()> {
    ensure!(
        arch == "x86_64",
        "the guests are x86-64, and this machine is {arch}: run this on an x86-64 Linux machine \
         (what works here too: `cargo build`, `cargo xtask build-module --kdir DIR`)"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_of_another_architecture_is_told_so() {
        runs_guests("x86_64").unwrap();
        for arch in ["aarch64", "riscv64", "x86"] {
            let error = runs_guests(arch).unwrap_err().to_string();
            assert!(
                error.contains(&format!(
                    "this machine is {arch}: run this on an x86-64 Linux"
                )),
                "{error}"
            );
        }
    }
}
