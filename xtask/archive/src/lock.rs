//! `vm/*.lock`: exactly which packages we use, so that two machines use the same.
//!
//! One table for each set of packages that belong together (a kernel; the guest's
//! tools): the packages, and the date at which a snapshot archive has all of them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

const HEADER: &str = "# Written by `cargo xtask kernels update`; do not edit.\n\n";

/// The pins of each set, by the set's name.
#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Lock(BTreeMap<String, Pins>);

/// Packages that belong together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pins {
    /// When they were pinned, as a snapshot archive writes it: `20260711T101637Z`.
    pub date: String,
    /// All that are needed together.
    #[serde(rename = "package")]
    pub packages: Vec<Package>,
}

/// One package, wherever it is had from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its version, as Debian writes it.
    pub version: String,
    /// `amd64`, or `all`.
    pub architecture: String,
    /// Below the archive's base: `pool/main/…`.
    pub path: String,
    /// Of the file, in bytes.
    pub size: u64,
    /// Of the file, in lower-case hexadecimal digits.
    pub sha256: String,
}

impl Lock {
    /// The lock in this file; an empty one if there is none yet.
    pub fn read(path: &Path) -> Result<Lock> {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Lock::default());
            }
            Err(error) => {
                return Err(error).with_context(|| format!("cannot read {}", path.display()));
            }
        };
        toml::from_str(&text).with_context(|| {
            format!(
                "{} is damaged (restore it, or run `cargo xtask kernels update`)",
                path.display()
            )
        })
    }

    pub(crate) fn get(&self, set: &str) -> Option<&Pins> {
        self.0.get(set)
    }

    /// Pins `packages`. The date stays when nothing else changes; says whether any did.
    pub fn pin(&mut self, set: &str, packages: Vec<Package>) -> bool {
        if self.get(set).is_some_and(|pins| pins.packages == packages) {
            return false;
        }
        self.0.insert(
            set.to_owned(),
            Pins {
                date: now(),
                packages,
            },
        );
        true
    }

    /// Replaces the file at once, so that a reader sees the old one or the new one.
    pub fn write(&self, path: &Path) -> Result<()> {
        let text =
            HEADER.to_owned() + &toml::to_string(self).context("cannot write the lock as TOML")?;
        let replace = || {
            let directory = path.parent().unwrap_or(Path::new("."));
            let file = tempfile::Builder::new()
                .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))
                .tempfile_in(directory)?;
            fs::write(file.path(), text)?;
            file.persist(path)?;
            anyhow::Ok(())
        };
        replace().with_context(|| format!("cannot write {}", path.display()))
    }
}

/// Now, as a snapshot archive names its directories.
pub fn now() -> String {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |time| time.as_secs());
    timestamp(since)
}

fn timestamp(seconds: u64) -> String {
    let (days, of_day) = (seconds / 86_400, seconds % 86_400);
    // Days to a civil date, in years that begin in March so that leap days come last.
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 {
        march_month + 3
    } else {
        march_month - 9
    };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    format!(
        "{year:04}{month:02}{day:02}T{:02}{:02}{:02}Z",
        of_day / 3_600,
        of_day / 60 % 60,
        of_day % 60
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(version: &str) -> Package {
        Package {
            name: "linux-image-x".to_owned(),
            version: version.to_owned(),
            architecture: "amd64".to_owned(),
            path: "pool/main/l/x.deb".to_owned(),
            size: 3,
            sha256: "00".repeat(32),
        }
    }

    #[test]
    fn a_lock_is_read_as_it_was_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.lock");
        let mut lock = Lock::read(&path).unwrap();
        assert_eq!(lock, Lock::default());
        assert!(lock.pin("debian-6.1", vec![package("1"), package("2")]));
        lock.write(&path).unwrap();
        assert_eq!(Lock::read(&path).unwrap(), lock);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        assert!(
            fs::read_to_string(&path)
                .unwrap()
                .starts_with("# Written by")
        );
    }

    #[test]
    fn pinning_the_same_again_changes_nothing() {
        let mut lock = Lock::default();
        lock.pin("a", vec![package("1")]);
        lock.0.get_mut("a").unwrap().date = "then".to_owned();
        assert!(!lock.pin("a", vec![package("1")]));
        assert_eq!(lock.get("a").unwrap().date, "then");
        assert!(lock.pin("a", vec![package("2")]));
        assert_ne!(lock.get("a").unwrap().date, "then");
    }

    #[test]
    fn a_damaged_lock_says_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.lock");
        fs::write(&path, "[a]\ndate = 3\n").unwrap();
        let error = format!("{:#}", Lock::read(&path).unwrap_err());
        assert!(
            error.contains("x.lock is damaged") && error.contains("kernels update"),
            "{error}"
        );
    }

    #[test]
    fn dates_are_the_calendars() {
        for (seconds, text) in [
            (0, "19700101T000000Z"),
            (951_782_400, "20000229T000000Z"),
            (1_783_764_997, "20260711T101637Z"),
            (4_107_542_399, "21000228T235959Z"),
            (4_107_542_400, "21000301T000000Z"),
        ] {
            assert_eq!(timestamp(seconds), text);
        }
    }
}
