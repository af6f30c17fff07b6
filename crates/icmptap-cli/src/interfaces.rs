//! Names of interfaces, from the kernel and kept for a moment: a flood asks
//! once, and a renamed interface shows soon.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use anyhow::Context;
use icmptap::{IfIndex, Name, Netns};
use rustix::net::{AddressFamily, SocketType, netdevice::index_to_name, socket};

use crate::namespaces::{Namespaces, here};

/// How long what was asked for is believed.
pub(crate) const KEPT: Duration = Duration::from_secs(1);

/// Gives names of interfaces and network namespaces.
pub(crate) trait Names {
    /// An interface's. `None`: it has none, names are not wanted, or it is of another
    /// network namespace that cannot be asked.
    fn name(&mut self, netns: Netns, index: IfIndex) -> Option<String>;

    /// A network namespace's. `None`: it has none, or names are not wanted.
    fn netns(&mut self, netns: Netns) -> Option<String>;

    /// The interface's of the packet that is printed, where that has no number.
    fn of_packet(&mut self) -> Option<String> {
        None
    }
}

/// A network namespace in a word: its name, or its number.
pub(crate) fn netns_word(names: &mut dyn Names, netns: Netns) -> String {
    match names.netns(netns) {
        Some(name) => escaped(&name),
        None => netns.to_string(),
    }
}

/// A name that no terminal takes for more than text: one may have any bytes in it but
/// white space and slashes.
pub(crate) fn escaped(name: &str) -> String {
    Name::from(name).to_string()
}

/// The interface of this network namespace that has this name.
pub(crate) fn index(name: &str) -> anyhow::Result<IfIndex> {
    IfIndex::from_name(name)
        .with_context(|| format!("there is no interface `{name}` here, see `ip link`"))
}

/// The name of an interface in the network namespace of this thread.
pub(crate) fn name_here(index: IfIndex) -> Option<String> {
    let socket = socket(AddressFamily::UNIX, SocketType::DGRAM, None).ok()?;
    index_to_name(&socket, index.0).ok()
}

/// Asks the kernel.
#[derive(Debug)]
pub(crate) struct Interfaces {
    numeric: bool,
    here: Option<Netns>,
    namespaces: Namespaces,
    cache: HashMap<(Netns, IfIndex), (Option<String>, Instant)>,
}

impl Interfaces {
    pub(crate) fn new(numeric: bool) -> Self {
        Self {
            numeric,
            here: here(),
            namespaces: Namespaces::new(),
            cache: HashMap::new(),
        }
    }
}

impl Names for Interfaces {
    fn name(&mut self, netns: Netns, index: IfIndex) -> Option<String> {
        if self.numeric {
            return None;
        }
        let now = Instant::now();
        if let Some((name, until)) = self.cache.get(&(netns, index))
            && now < *until
        {
            return name.clone();
        }
        let name = if self.here == Some(netns) {
            name_here(index)
        } else {
            self.namespaces.interface(netns, index)
        };
        // Those of namespaces and interfaces that come and go are not kept forever.
        self.cache.retain(|_, (_, until)| now < *until);
        self.cache
            .insert((netns, index), (name.clone(), now + KEPT));
        name
    }

    fn netns(&mut self, netns: Netns) -> Option<String> {
        if self.numeric {
            return None;
        }
        self.namespaces.name(netns)
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
