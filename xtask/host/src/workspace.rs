//! Where things are in this repository.

use std::path::PathBuf;

/// The repository's root.
///
/// Cargo says where the package is when it runs us, which stays right when the
/// repository was moved since it was built; without cargo, the place of the build.
pub fn root() -> PathBuf {
    let package = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    package
        .ancestors()
        .find(|directory| directory.join("Cargo.lock").exists())
        .expect("the package lies in the workspace")
        .to_path_buf()
}

/// Where cargo puts what it builds, and we beside it.
pub fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| root().join("target"), |dir| root().join(dir))
}
