//! The IMP2 protocol (`kernel/uapi/linux/imp2.h`): the addresses of IPv4 ICMP packets.

use std::{mem::size_of, net::Ipv4Addr};

use icmptap_sys as sys;

use crate::nlmsg::{DecodeError, Message, Writer, need};

/// The netlink protocol number.
pub const PROTOCOL: u32 = sys::NL_IMP2;

/// One IPv4 ICMP packet that the kernel saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet {
    /// The source address.
    pub src: Ipv4Addr,
    /// The destination address.
    pub dst: Ipv4Addr,
}

impl Packet {
    /// Decodes a message of type [`is_packet`].
    ///
    /// # Errors
    /// If it is too short.
    pub fn decode(message: &Message<'_>) -> Result<Self, DecodeError> {
        let bytes = message.payload;
        need(
            "an IMP2 packet",
            bytes,
            message.at,
            size_of::<sys::packet_info>(),
        )?;
        let address =
            |at: usize| Ipv4Addr::from(std::array::from_fn::<u8, 4, _>(|i| bytes[at + i]));
        Ok(Self {
            src: address(std::mem::offset_of!(sys::packet_info, src)),
            dst: address(std::mem::offset_of!(sys::packet_info, dest)),
        })
    }
}

/// Whether a message from the kernel is `IMP2_K_MSG`. It has the number of netlink's NOOP,
/// which is not used on an IMP2 socket. (`IMP2_CLOSE` has the number of netlink's error
/// message, but is only sent to the kernel.)
#[must_use]
pub fn is_packet(message: &Message<'_>) -> bool {
    u32::from(message.kind) == sys::IMP2_K_MSG
}

/// `IMP2_U_PID`: registers the socket that sends it. Requests an acknowledgement, so that
/// a refusal is reported.
#[must_use]
pub fn register(seq: u32) -> Vec<u8> {
    request(sys::IMP2_U_PID, seq)
}

/// `IMP2_CLOSE`: ends the registration. Requests an acknowledgement.
#[must_use]
pub fn close(seq: u32) -> Vec<u8> {
    request(sys::IMP2_CLOSE, seq)
}

fn request(kind: u32, seq: u32) -> Vec<u8> {
    let mut writer = Writer::new(kind as u16, sys::NLM_F_REQUEST | sys::NLM_F_ACK, seq);
    // The room that the original program sends along.
    writer.raw(&[0; size_of::<sys::packet_info>()]);
    writer.finish()
}
