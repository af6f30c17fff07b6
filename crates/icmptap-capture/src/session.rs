//! Whose events a capture has.

use icmptap::{AuditError, Summary};
use icmptap_proto::{BootId, IfIndex, Netns, SubscriptionId, sequence::Lost};

/// One subscription of one load of the module: sequence numbers count within it, on
/// each CPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Session {
    /// The load of the module.
    pub boot_id: BootId,
    /// The subscription. `None`: the module was too old to tell its number.
    pub subscription: Option<SubscriptionId>,
}

/// The last words of a capture: what was written, and the counters of both sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Totals {
    /// Events in the capture, in all of its files.
    pub events: u64,
    /// Losses in the capture, in all of its files: the sum of their counts.
    pub lost: u64,
    /// What the subscription counted.
    pub summary: Summary,
}

impl Totals {
    /// Whether the kernel's counters and those of the program that wrote the capture
    /// agree.
    ///
    /// # Errors
    /// The first thing that does not agree.
    pub fn audit(&self) -> Result<(), AuditError> {
        self.summary.audit()
    }
}

/// A loss, and whose it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionLost {
    /// Whose events were lost.
    pub session: Session,
    /// How many, and on which CPU.
    pub lost: Lost,
}

/// Gives the names that interfaces and network namespaces have while their packets are
/// captured. A function that gives interfaces' is one, without names of network
/// namespaces.
pub trait Names {
    /// An interface's.
    fn interface(&mut self, netns: Option<Netns>, index: IfIndex) -> Option<String>;

    /// A network namespace's.
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
    /// Its name among those of `ip netns`.
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
