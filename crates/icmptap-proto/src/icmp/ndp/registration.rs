//! The registration of an address with a router, in low-power networks (RFC 6775,
//! RFC 8505).

use std::fmt;

use crate::bytes::be16;

/// A host registers an address, or the answer (RFC 8505 section 4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct AddressRegistration<'a> {
    /// In an answer: what came of it.
    pub status: RegistrationStatus,
    /// How long it shall hold, in minutes; 0: no longer.
    pub lifetime_minutes: u16,
    /// Who registers it: an EUI-64 (RFC 6775) or another number of the owner, of
    /// 8, 16, 24 or 32 bytes.
    pub owner: &'a [u8],
    /// What RFC 8505 adds. `None` in an option as RFC 6775 has it.
    pub extended: Option<ExtendedRegistration>,
}

/// What RFC 8505 adds to the registration of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExtendedRegistration {
    /// Counts the registrations of its owner.
    pub transaction_id: u8,
    /// R: routers shall make the address reachable.
    pub reachable: bool,
    /// I: what `opaque` is, in two bits; 0: an index in RPL.
    pub opaque_kind: u8,
    /// For the router's routing protocol.
    pub opaque: u8,
}

impl<'a> AddressRegistration<'a> {
    /// `None` if the owner's number has no length that it may have.
    pub(super) fn decode(data: &'a [u8]) -> Option<Self> {
        let [status, opaque, flags, transaction_id] = *data.first_chunk()?;
        let owner = data.get(6..)?;
        // T: the transaction number is there, and with it all of RFC 8505.
        let is_extended = flags & 1 != 0;
        let is_owner = match owner.len() {
            8 => true,
            16 | 24 | 32 => is_extended,
            _ => false,
        };
        is_owner.then_some(Self {
            status: RegistrationStatus(status),
            lifetime_minutes: be16(data, 4)?,
            owner,
            extended: is_extended.then_some(ExtendedRegistration {
                transaction_id,
                reachable: flags & 2 != 0,
                opaque_kind: flags >> 2 & 3,
                opaque,
            }),
        })
    }
}

/// What came of a registration (IANA's "Address Registration Option Status
/// Values").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RegistrationStatus(pub u8);

impl RegistrationStatus {
    /// The name as one word.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        Some(match self.0 {
            0 => "success",
            1 => "duplicate-address",
            2 => "neighbor-cache-full",
            3 => "moved",
            4 => "removed",
            5 => "validation-requested",
            6 => "duplicate-source-address",
            7 => "invalid-source-address",
            8 => "topologically-incorrect",
            9 => "registry-saturated",
            10 => "validation-failed",
            _ => return None,
        })
    }
}

/// The word, or `status-77` where there is none.
impl fmt::Display for RegistrationStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(word) => f.pad(word),
            None => write!(f, "status-{}", self.0),
        }
    }
}
