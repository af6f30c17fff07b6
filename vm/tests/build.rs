//! Compiles the C programs that the tests run in the guest: statically, since
//! the guest has no C library of their version.

use std::env;
use std::path::PathBuf;

fn main() {
    let source = "c/imp2_client.c";
    println!("cargo::rerun-if-changed={source}");

    let program = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it")).join("imp2_client");
    let compiler = cc::Build::new().get_compiler();
    let mut command = compiler.to_command();
    command
        .args(["-static", "-Wall", "-Wextra", "-Werror", "-o"])
        .arg(&program)
        .arg(source);
    let status = command.status();
    assert!(
        matches!(&status, Ok(status) if status.success()),
        "{command:?} failed: {status:?}"
    );
}
