//! A root in the middle of a trial: what is done to it, and what has to hold then.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use xtask_host::ui;

use crate::build::{Builder, Built, Parts};
use crate::root::{Layer, PACKAGES, Root};

/// Where the packages of a later version are, below the others.
const LATER: &str = "later";

/// A suite of Debian's, in which packages are tried.
pub(crate) struct Suite {
    /// `bookworm`
    pub(crate) name: String,
    root: Root,
    cast: Cast,
}

/// Kernels and packages to try.
pub(crate) struct Cast {
    /// The release of the oldest kernel that the suite has.
    pub(crate) older: String,
    /// And of the newest.
    pub(crate) newer: String,
    /// The version of our packages.
    pub(crate) version: String,
    /// A later one.
    pub(crate) later: String,
    /// Our packages, seen from inside a root.
    pub(crate) packages: Vec<String>,
    /// `icmptap-dkms` of the later version.
    pub(crate) later_modules: String,
}

impl Suite {
    /// Makes a root of it, and builds what is tried there besides these packages.
    pub(crate) fn prepare(name: &str, built: &Built) -> Result<Suite> {
        let place = built.changes.parent().context("it lies in a directory")?;
        let later = Builder::at(&place.join(LATER))?
            .later()?
            .build(Parts::Modules)?;
        let root = Root::make(name, place)?;
        let layer = updated(&root, "kernels")?;
        let names = layer.must(&["apt-cache", "pkgnames", "linux-"])?.out;
        let (older, newer) = kernels(&names).with_context(|| {
            format!("{name} has no two kernels linux-image-*{FLAVOUR} with headers")
        })?;
        drop(layer);
        ui::say("kernels", format!("{name}: {older} and {newer}"));
        let inside = |package: &Path| -> Result<String> {
            let below = package.strip_prefix(place)?;
            Ok(format!("{PACKAGES}/{}", below.display()))
        };
        let packages = built.packages.iter().map(|package| inside(package));
        let cast = Cast {
            older,
            newer,
            version: built.version.clone(),
            packages: packages.collect::<Result<_>>()?,
            later_modules: inside(&later.packages[0])?,
            later: later.version,
        };
        Ok(Suite {
            name: name.to_owned(),
            root,
            cast,
        })
    }

    /// A layer for a trial of this name, in which apt knows what there is.
    pub(crate) fn layer(&self, name: &str) -> Result<Layer<'_>> {
        updated(&self.root, name)
    }

    /// The trial's machine.
    pub(crate) fn machine<'a>(&'a self, layer: &'a Layer<'a>) -> Machine<'a> {
        Machine {
            layer,
            cast: &self.cast,
        }
    }
}

fn updated<'a>(root: &'a Root, name: &str) -> Result<Layer<'a>> {
    let layer = root.layer(name)?;
    layer.must(&["apt-get", "-q", "update"])?;
    Ok(layer)
}

/// A root in the middle of a trial.
pub(crate) struct Machine<'a> {
    pub(crate) layer: &'a Layer<'a>,
    pub(crate) cast: &'a Cast,
}

impl Machine<'_> {
    /// Runs apt-get, which must not fail, and leaves nothing half installed. What it said.
    pub(crate) fn apt(&self, words: &[&str]) -> Result<String> {
        let mut command = vec!["apt-get", "-q", "-y", "--no-install-recommends"];
        command.extend(words);
        let said = self.layer.must(&command)?.text;
        let audit = self.layer.must(&["dpkg", "--audit"])?.text;
        ensure!(audit.is_empty(), "dpkg --audit:\n{audit}\nafter:\n{said}");
        Ok(said)
    }

    pub(crate) fn install_ours(&self) -> Result<String> {
        let packages = self.cast.packages.iter().map(String::as_str);
        let words: Vec<_> = ["install"].into_iter().chain(packages).collect();
        self.apt(&words)
    }

    pub(crate) fn install_kernel(&self, release: &str) -> Result<String> {
        self.apt(&["install", &image(release), &headers(release)])
    }

    /// DKMS, the file system and the kernel's index of modules have both modules of this
    /// version.
    pub(crate) fn has_modules(&self, release: &str, version: &str) -> Result<()> {
        let status = self.status(release)?;
        let wanted = format!("icmptap/{version}, {release}, x86_64: installed");
        ensure!(status == wanted, "dkms status: {status:?}, not {wanted:?}");
        for module in ["icmptap", "icmptap_imp2"] {
            let words = ["modinfo", "-k", release, "-F", "version", module];
            let found = self.layer.must(&words)?.out;
            ensure!(
                found == version,
                "{module} of {release} is {found}, not {version}"
            );
        }
        Ok(())
    }

    /// None of the three has any of it.
    pub(crate) fn has_no_modules(&self, release: &str) -> Result<()> {
        let status = self.status(release)?;
        ensure!(!status.contains(release), "dkms status: {status}");
        // The index of a kernel that is gone is nobody's.
        let find = format!(
            "cd /lib/modules/{release} && find . -name 'icmptap*'; \
             test ! -d kernel || grep icmptap modules.dep"
        );
        let found = self
            .layer
            .run(&["sh", "-c", &format!("({find}) 2>/dev/null")])?
            .text;
        ensure!(found.is_empty(), "{release} still has:\n{found}");
        Ok(())
    }

    fn status(&self, release: &str) -> Result<String> {
        Ok(self
            .layer
            .run(&["dkms", "status", "-m", "icmptap", "-k", release])?
            .out)
    }

    pub(crate) fn has_file(&self, path: &str, wanted: bool) -> Result<()> {
        match (self.layer.run(&["ls", "-d", path])?.is_success(), wanted) {
            (true, false) => bail!("{path} is still there"),
            (false, true) => bail!("{path} is missing"),
            _ => Ok(()),
        }
    }

    /// Nothing of netlink's can be compiled against this kernel any more.
    pub(crate) fn break_headers(&self, release: &str) -> Result<()> {
        let header = format!(
            "/usr/src/{}/include/net/genetlink.h",
            common_headers(release)
        );
        let edit = format!("test -e {header} && echo '#error broken on purpose' >> {header}");
        self.layer.must(&["sh", "-c", &edit])?;
        Ok(())
    }

    pub(crate) fn repair_headers(&self, release: &str) -> Result<()> {
        self.apt(&["install", "--reinstall", &common_headers(release)])?;
        Ok(())
    }
}

/// What was said has these words.
pub(crate) fn says(said: &str, words: &str) -> Result<()> {
    ensure!(said.contains(words), "it does not say {words:?}:\n{said}");
    Ok(())
}

/// The package with this kernel.
pub(crate) fn image(release: &str) -> String {
    format!("linux-image-{release}")
}

/// The package with the headers of this kernel, which depends on the common ones.
pub(crate) fn headers(release: &str) -> String {
    format!("linux-headers-{release}")
}

/// The package with the headers that all flavours of a kernel have in common.
pub(crate) fn common_headers(release: &str) -> String {
    let abi = release.strip_suffix(FLAVOUR).unwrap_or(release);
    format!("linux-headers-{abi}-common")
}

/// The smallest kernels that Debian has.
const FLAVOUR: &str = "-cloud-amd64";

/// The oldest and the newest release that has both a kernel and headers among these packages.
fn kernels(names: &str) -> Option<(String, String)> {
    let names: BTreeSet<_> = names.lines().collect();
    let mut releases: Vec<_> = names
        .iter()
        .filter_map(|name| name.strip_prefix("linux-image-"))
        .filter(|release| release.ends_with(FLAVOUR))
        // Others are packages that depend on the newest one.
        .filter(|release| numbers(release).len() > 3)
        .filter(|release| names.contains(&*headers(release)))
        .filter(|release| names.contains(&*common_headers(release)))
        .collect();
    releases.sort_by_key(|release| numbers(release));
    let (oldest, newest) = (releases.first()?, releases.last()?);
    (oldest != newest).then(|| ((*oldest).to_owned(), (*newest).to_owned()))
}

/// The numbers in a release: `6.1.0-50-cloud-amd64` has 6, 1, 0, 50 and 64.
fn numbers(release: &str) -> Vec<u64> {
    release
        .split(|c: char| !c.is_ascii_digit())
        .filter_map(|digits| digits.parse().ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_and_the_newest_kernel_are_known_by_their_numbers() {
        let packages = |release: &str| {
            let release = format!("{release}{FLAVOUR}");
            [image(&release), headers(&release), common_headers(&release)].join("\n")
        };
        let complete = ["6.1.0-9", "6.1.0-10", "6.12.94+deb12", "6.12.100+deb12"];
        let names = complete.map(packages).join("\n");
        let others = "linux-image-cloud-amd64\nlinux-image-6.12-cloud-amd64\n\
                      linux-image-6.1.0-8-amd64\nlinux-image-6.1.0-8-cloud-amd64\n\
                      linux-image-6.13.1+deb12-cloud-amd64\n";
        let (oldest, newest) = kernels(&format!("{others}{names}")).unwrap();
        assert_eq!(oldest, "6.1.0-9-cloud-amd64");
        assert_eq!(newest, "6.12.100+deb12-cloud-amd64");
        assert_eq!(kernels(&packages("6.1.0-9")), None);
    }

    #[test]
    fn the_common_headers_have_no_flavour_in_their_name() {
        assert_eq!(
            common_headers("6.1.0-9-cloud-amd64"),
            "linux-headers-6.1.0-9-common"
        );
    }
}
