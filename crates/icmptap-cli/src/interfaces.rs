//! Names of interfaces, from the kernel and kept for a moment: a flood asks
//! once, and a renamed interface shows soon.

use std::{
    collections::HashMap,
    os::fd::OwnedFd,
    time::{Duration, Instant},
};

use icmptap::IfIndex;
use rustix::net::{AddressFamily, SocketType, netdevice::index_to_name, socket};

const KEPT: Duration = Duration::from_secs(1);

/// Gives an interface's name.
pub(crate) trait Names {
    /// `None`: it has none, or names are not wanted.
    fn name(&mut self, index: IfIndex) -> Option<String>;
}

/// Asks the kernel.
#[derive(Debug)]
pub(crate) struct Interfaces {
    /// Any socket will do; without one there are no names.
    socket: Option<OwnedFd>,
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
            cache: HashMap::new(),
        }
    }
}

impl Names for Interfaces {
    fn name(&mut self, index: IfIndex) -> Option<String> {
        let socket = self.socket.as_ref()?;
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
        assert_eq!(
            Interfaces::new(false).name(IfIndex(1)).as_deref(),
            Some("lo")
        );
        assert_eq!(Interfaces::new(true).name(IfIndex(1)), None);
        assert_eq!(Interfaces::new(false).name(IfIndex(1_000_000)), None);
    }
}
