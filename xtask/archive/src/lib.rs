//! Debian's archive: where it is, what is in it, and taking packages from it.
//!
//! Nothing is believed because of where it came from: a package is what its
//! pinned hash says, and a new pin comes only from an index signed by Debian.

pub mod cache;
pub mod deb;
mod deb822;
pub mod download;
pub mod index;
pub mod linux_source;
pub mod lock;
mod mirror;
#[cfg(any(test, feature = "test-util"))]
pub mod test_deb;
#[cfg(any(test, feature = "test-util"))]
pub mod test_server;
mod version;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use xtask_host::setup::{self, Tool};
use xtask_host::ui;

use self::download::{Downloader, FetchError};
use self::index::Index;
use self::lock::{Lock, Package, Pins};
use crate::cache::Cache;

/// The archive as this machine has it: what was fetched, and where the rest is.
pub struct Archive {
    /// Where what was fetched is kept.
    pub cache: Cache,
    downloader: Downloader,
    keyring: PathBuf,
}

impl Archive {
    /// What has to be installed before it is known where the archive is.
    pub fn needs() -> Result<&'static [Tool]> {
        mirror::Mirrors::needs()
    }

    /// With the mirrors, the keys and the cache of this machine.
    pub fn of_this_machine() -> Result<Archive> {
        Ok(Archive {
            cache: Cache::open()?,
            downloader: Downloader::new(),
            keyring: setup::KEYRING.into(),
        })
    }

    /// With other mirrors, keys and another cache.
    #[cfg(any(test, feature = "test-util"))]
    pub fn for_test(cache: &Path, keyring: &Path, bases: &[&str]) -> Archive {
        let cache = Cache::at(cache).unwrap();
        Archive {
            cache,
            downloader: Downloader::from(bases),
            keyring: keyring.into(),
        }
    }

    /// What a suite holds now.
    pub fn index(&self, suite: &str) -> Result<Index> {
        setup::need(&[Tool::Gpgv, Tool::DebianKeyring])?;
        let phase = ui::phase("read", format!("the index of {suite}"));
        let index = Index::fetch(
            &self.downloader,
            &self.cache,
            &self.keyring,
            suite,
            &lock::now(),
        )?;
        phase.done();
        Ok(index)
    }

    /// The packages' files, in the order of the packages.
    pub fn debs(&self, packages: &[Package], date: &str) -> Result<Vec<PathBuf>> {
        packages
            .iter()
            .map(|package| self.downloader.package(&self.cache, package, date))
            .collect()
    }

    /// The packages that are pinned as `set`, and their files.
    ///
    /// If no mirror has one of them any more, all are pinned anew as `resolve` says,
    /// in the lock file too; unless `locked`.
    pub fn pinned(
        &self,
        lock_file: &Path,
        set: &str,
        locked: bool,
        resolve: impl FnOnce() -> Result<Vec<Package>>,
    ) -> Result<(Pins, Vec<PathBuf>)> {
        let pins = read_pins(lock_file, set)?;
        let gone = match self.debs(&pins.packages, &pins.date) {
            Ok(debs) => return Ok((pins, debs)),
            Err(error)
                if error
                    .downcast_ref::<FetchError>()
                    .is_some_and(FetchError::is_gone) =>
            {
                error
            }
            Err(error) => return Err(error),
        };
        if locked {
            return Err(gone).with_context(|| {
                format!("{set}: a pinned package is gone, and --locked forbids another (`cargo xtask kernels update` pins what there is)")
            });
        }
        ui::warn(format_args!("{set}: a pinned package is gone: {gone}"));
        let mut lock = Lock::read(lock_file)?;
        let packages =
            resolve().with_context(|| format!("{set}: cannot find out what replaces it"))?;
        ensure!(
            lock.pin(set, packages),
            "{gone}, although Debian's index still names it: the mirror is not in order"
        );
        let pins = lock.get(set).context("it was just pinned")?.clone();
        let debs = self.debs(&pins.packages, &pins.date)?;
        lock.write(lock_file)?;
        for package in &pins.packages {
            ui::warn(format_args!(
                "{set}: now {} {}",
                package.name, package.version
            ));
        }
        ui::warn(format_args!(
            "{} has changed: commit it, or restore it",
            lock_file.display()
        ));
        Ok((pins, debs))
    }
}

/// The addresses of Debian's archive as this machine has it, for tools that fetch by
/// themselves: the directories that hold `dists/` and `pool/`, in the order to try them.
pub fn mirrors() -> Result<Vec<String>> {
    Ok(mirror::Mirrors::of_this_machine()?
        .bases(&lock::now())
        .collect())
}

/// What is pinned as `set`.
pub fn read_pins(lock_file: &Path, set: &str) -> Result<Pins> {
    let lock = Lock::read(lock_file)?;
    let pins = lock.get(set);
    pins.cloned().with_context(|| {
        format!(
            "{} does not pin {set}: run `cargo xtask kernels update`",
            lock_file.display()
        )
    })
}
