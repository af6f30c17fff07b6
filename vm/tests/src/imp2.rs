//! The historical IMP2 client: `c/imp2_client.c`, compiled by `build.rs`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::net::Namespace;
use crate::process::{Process, run};

const BINARY: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/imp2_client"));
const PATH: &str = "/tmp/imp2_client";

/// Puts the client where a [`Namespace::command`] finds it; returns its path.
///
/// What this process has open for writing, whatever another thread forks meanwhile has
/// open too, and nobody can run it (`ETXTBSY`): so it is `cp` that writes it.
pub fn install() -> &'static str {
    const COPY: &str = "/tmp/imp2_client.copy";
    if !Path::new(PATH).exists() {
        fs::write(COPY, BINARY).expect("write the client");
        run(&format!("cp {COPY} {PATH}"));
        fs::set_permissions(PATH, fs::Permissions::from_mode(0o755)).expect("chmod");
    }
    PATH
}

/// Starts a client in `namespace` and waits until it is registered.
pub fn start(namespace: &Namespace) -> Process {
    let client = Process::start(namespace.command(install()));
    client.wait_for("registered");
    client
}
