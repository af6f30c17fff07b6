//! The session that a capture's events belong to.

use icmptap::{AuditError, Summary};
use icmptap_proto::{BootId, IfIndex, Netns, SubscriptionId, sequence::Lost};

/// One subscription of one load of the module: sequence numbers count within it, on
/// each CPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Session {
    /// Identifies the load of the module.
    pub boot_id: BootId,
    /// The subscription's id. `None`: the module is too old to report it.
    pub subscription: Option<SubscriptionId>,
}

/// The end of a capture: what was written, and the counters of both sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Totals {
    /// Events in the capture, in all of its files.
    pub events: u64,
    /// Losses in the capture, in all of its files: the sum of their counts.
    pub lost: u64,
    /// The subscription's counters.
    pub summary: Summary,
}

impl Totals {
    /// Checks that the kernel's counters and those of the program that wrote the capture
    /// agree.
    ///
    /// # Errors
    /// The first inconsistency.
    pub fn audit(&self) -> Result<(), AuditError> {
        self.summary.audit()
    }
}

/// A loss and its session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionLost {
    /// The session whose events were lost.
    pub session: Session,
    /// How many, and on which CPU.
    pub lost: Lost,
}

/// Returns the names of interfaces and network namespaces while their packets are
/// captured. A function that returns interface names implements it, without names of
/// network namespaces.
pub trait Names {
    /// The name of an interface.
    fn interface(&mut self, netns: Option<Netns>, index: IfIndex) -> Option<String>;

    /// The name of a network namespace.
    fn netns(&mut self, netns: Netns) -> Option<String> {
        let _ = netns;
        None
    }
}

impl<F: FnMut(Option<Netns>, IfIndex) -> Option<String>> Names for F {
    fn interface(&mut self, netns: Option<Netns>, index: IfIndex) -> Option<String> {
        self(netns, index)
    }
}

/// The name of a network namespace when its packets were captured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetnsName {
    /// The network namespace.
    pub netns: Netns,
    /// Its name in `ip netns`.
    pub name: String,
}

/// The name of an interface when its packets were captured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InterfaceName {
    /// The interface's network namespace.
    pub netns: Netns,
    /// Its index there.
    pub index: IfIndex,
    /// Its name.
    pub name: String,
}
