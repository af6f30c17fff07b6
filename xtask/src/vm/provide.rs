//! What the machine boots and runs that is not ours: the kernel, the tools.

use std::path::PathBuf;

use anyhow::{Context, Result};

use super::image::Item;
use crate::cache::Cache;

/// A kernel that can be booted.
pub(crate) struct Kernel {
    pub(crate) name: String,
    pub(crate) release: String,
    pub(crate) vmlinuz: PathBuf,
}

/// Until kernels and packages are fetched, they come from where these variables say.
fn given(name: &str) -> Result<PathBuf> {
    let path = std::env::var_os(name).with_context(|| format!("{name} is not set"))?;
    Ok(path.into())
}

pub(crate) fn kernel(_cache: &Cache, name: Option<&str>, _locked: bool) -> Result<Kernel> {
    let vmlinuz = given("ICMPTAP_TRIAL_VMLINUZ")?;
    let file = vmlinuz.file_name().unwrap_or_default().to_string_lossy();
    Ok(Kernel {
        name: name.unwrap_or("debian-6.1").to_owned(),
        release: file.trim_start_matches("vmlinuz-").to_owned(),
        vmlinuz,
    })
}

pub(crate) fn module(_cache: &Cache, _kernel: &Kernel, _locked: bool) -> Result<PathBuf> {
    given("ICMPTAP_TRIAL_MODULE")
}

pub(crate) fn tools(_cache: &Cache, _locked: bool) -> Result<Vec<Item>> {
    Ok(vec![Item {
        path: "bin/busybox".into(),
        mode: 0o755,
        source: given("ICMPTAP_TRIAL_BUSYBOX")?,
    }])
}
