//! Names of interfaces, from the kernel and kept for a moment: a flood asks
//! once, and a renamed interface shows soon.

use std::{
    collections::HashMap,
    fs,
    os::{fd::OwnedFd, unix::fs::MetadataExt},
    time::{Duration, Instant},
};

use anyhow::Context;
use icmptap::{IfIndex, Netns};
use rustix::net::{
    AddressFamily, SocketType,
    netdevice::{index_to_name, name_to_index},
    socket,
};

const KEPT: Duration = Duration::from_secs(1);

/// Gives an interface's name.
pub(crate) trait Names {
    /// `None`: it has none, names are not wanted, or it is of another network
    /// namespace, where the number is another interface's.
    fn name(&mut self, netns: Netns, index: IfIndex) -> Option<String>;
}

/// The interface of this network namespace that has this name.
pub(crate) fn index(name: &str) -> anyhow::Result<IfIndex> {
    let index = socket(AddressFamily::UNIX, SocketType::DGRAM, None)
        .and_then(|socket| name_to_index(&socket, name))
        .with_context(|| format!("there is no interface `{name}` here, see `ip link`"))?;
    Ok(IfIndex(index))
}

/// The network namespace that this process is in.
fn here() -> Option<Netns> {
    let inode = fs::metadata("/proc/self/ns/net").ok()?.ino();
    u32::try_from(inode).ok().map(Netns)
}

/// Asks the kernel.
#[derive(Debug)]
pub(crate) struct Interfaces {
    /// Any socket will do; without one there are no names.
    socket: Option<OwnedFd>,
    here: Option<Netns>,
    cache: HashMap<IfIndex, (Option<String>, Instant)>,
}

impl Interfaces {
    pub(crate) fn new(numeric: bool) -> Self {
        let socket = if numeric {
            None
        } else {
            socket(AddressFamily::UNIX, SocketType::DGRAM, None).ok()
        };
        Self {
            socket,
            here: here(),
            cache: HashMap::new(),
        }
    }
}

impl Names for Interfaces {
    fn name(&mut self, netns: Netns, index: IfIndex) -> Option<String> {
        let socket = self.socket.as_ref()?;
        if self.here != Some(netns) {
            return None;
        }
        let now = Instant::now();
        if let Some((name, until)) = self.cache.get(&index)
            && now < *until
        {
            return name.clone();
        }
        let name = index_to_name(socket, index.0).ok();
        self.cache.insert(index, (name.clone(), now + KEPT));
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loopback_interface_has_a_name_and_a_number() {
        let (here, lo) = (here().unwrap(), IfIndex(1));
        let mut names = Interfaces::new(false);
        assert_eq!(names.name(here, lo).as_deref(), Some("lo"));
        assert_eq!(names.name(here, IfIndex(1_000_000)), None);
        assert_eq!(names.name(Netns(here.0 + 1), lo), None);
        assert_eq!(Interfaces::new(true).name(here, lo), None);
        assert_eq!(index("lo").unwrap(), lo);
        assert_eq!(
            index("no-such").unwrap_err().to_string(),
            "there is no interface `no-such` here, see `ip link`"
        );
    }
}
