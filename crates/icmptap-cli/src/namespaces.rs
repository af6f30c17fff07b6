//! Network namespaces that have names, as `ip netns` gives them: files of `/run/netns`.

use std::{
    collections::HashMap,
    fs::{self, File},
    os::{fd::AsFd, unix::fs::MetadataExt},
    path::{Path, PathBuf},
    thread,
    time::Instant,
};

use icmptap::{IfIndex, Netns};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::interfaces::{KEPT, name_here};

/// Where `ip netns` keeps them (ip-netns(8)).
const DIRECTORY: &str = "/run/netns";

/// Knows the names, and looks at them again after a moment.
#[derive(Debug)]
pub(crate) struct Namespaces {
    directory: PathBuf,
    names: HashMap<Netns, String>,
    until: Option<Instant>,
}

impl Namespaces {
    pub(crate) fn new() -> Self {
        Self {
            directory: DIRECTORY.into(),
            names: HashMap::new(),
            until: None,
        }
    }

    /// Its name, if it has one.
    pub(crate) fn name(&mut self, netns: Netns) -> Option<String> {
        let now = Instant::now();
        if self.until.is_none_or(|until| now >= until) {
            self.names = read(&self.directory);
            self.until = Some(now + KEPT);
        }
        self.names.get(&netns).cloned()
    }

    /// The name of an interface in it, if it has a name itself, and may be entered.
    pub(crate) fn interface(&mut self, netns: Netns, index: IfIndex) -> Option<String> {
        let name = self.name(netns)?;
        let file = File::open(self.directory.join(name)).ok()?;
        if inode(&file.metadata().ok()?) != Some(netns) {
            return None;
        }
        // A thread that has entered another one does not come back, and a socket that
        // was kept would keep the namespace alive.
        let thread = thread::Builder::new().spawn(move || {
            move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network)).ok()?;
            name_here(index)
        });
        thread.ok()?.join().ok()?
    }
}

fn read(directory: &Path) -> HashMap<Netns, String> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let named = entries.filter_map(|entry| {
        // Not of the entry, which is what the namespace is mounted on.
        let netns = inode(&fs::metadata(entry.path()).ok()?)?;
        Some((netns, entry.file_name().into_string().ok()?))
    });
    named.collect()
}

/// The number by which a namespace goes is the inode of its file.
fn inode(metadata: &fs::Metadata) -> Option<Netns> {
    u32::try_from(metadata.ino()).ok().map(Netns)
}

/// The network namespace that this process is in.
pub(crate) fn here() -> Option<Netns> {
    inode(&fs::metadata("/proc/self/ns/net").ok()?)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_namespace_that_has_a_file_has_its_name() {
        let directory = std::env::temp_dir().join(format!("icmptap-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        symlink("/proc/self/ns/net", directory.join("blue")).unwrap();
        let mut namespaces = Namespaces {
            directory: directory.clone(),
            ..Namespaces::new()
        };
        let here = here().unwrap();
        assert_eq!(namespaces.name(here).as_deref(), Some("blue"));
        assert_eq!(namespaces.name(Netns(here.0 ^ 1)), None);
        assert_eq!(namespaces.interface(Netns(here.0 ^ 1), IfIndex(1)), None);
        fs::remove_dir_all(&directory).unwrap();
        assert_eq!(namespaces.name(here).as_deref(), Some("blue"), "kept");
        namespaces.until = None;
        assert_eq!(namespaces.name(here), None);
    }
}
