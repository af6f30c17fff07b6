//! What a message says, by its type, and how that is read.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::{
    echo::{Echo, ExtendedEchoReply, ExtendedEchoRequest},
    icmp_type::Type,
    message::Message,
    mld, mobile, ndp, rpl, v4, v6,
};
use crate::{
    Mtu,
    bytes::{be16, be32, ipv4, ipv6},
};

/// What an ICMP message says beyond type, code and quoted packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Body<'a> {
    /// Echo request or reply; ICMPv4: information request or reply.
    Echo(Echo),
    /// Destination unreachable.
    Unreachable {
        /// ICMPv4 with code 4: what fits (RFC 1191). `None` from a router that
        /// does not say (it sends 0).
        next_hop_mtu: Option<Mtu>,
    },
    /// ICMPv6: packet too big.
    PacketTooBig {
        /// What fits.
        mtu: Mtu,
    },
    /// Parameter problem.
    ParameterProblem {
        /// The byte of the quoted packet that is wrong. ICMPv4: with code 0, in
        /// 8 bits; with code 1, the option that is missing (RFC 1108).
        pointer: u32,
    },
    /// ICMPv4: redirect.
    Redirect {
        /// The better first hop.
        gateway: Ipv4Addr,
    },
    /// ICMPv4: timestamp request or reply.
    Timestamp {
        /// To match replies with requests.
        echo: Echo,
        /// `None` if cut off.
        times: Option<v4::Times>,
    },
    /// ICMPv4: address mask request or reply (RFC 950).
    AddressMask {
        /// To match replies with requests.
        echo: Echo,
        /// `None` if cut off; 0.0.0.0 in a request.
        mask: Option<Ipv4Addr>,
    },
    /// ICMPv4: router advertisement (RFC 1256).
    Routers(v4::Routers<'a>),
    /// Extended echo request.
    ExtendedEchoRequest(ExtendedEchoRequest),
    /// Extended echo reply.
    ExtendedEchoReply(ExtendedEchoReply),
    /// ICMPv6: router solicitation, which says no more than its options.
    RouterSolicitation(ndp::Options<'a>),
    /// ICMPv6: router advertisement.
    RouterAdvertisement(ndp::RouterAdvertisement<'a>),
    /// ICMPv6: neighbour solicitation.
    NeighborSolicitation(ndp::NeighborSolicitation<'a>),
    /// ICMPv6: neighbour advertisement.
    NeighborAdvertisement(ndp::NeighborAdvertisement<'a>),
    /// ICMPv6: redirect.
    NeighborRedirect(ndp::Redirect<'a>),
    /// ICMPv6: multicast listener query, of either version.
    MulticastQuery(mld::Query<'a>),
    /// ICMPv6: multicast listener report or done, version 1 (RFC 2710).
    Multicast {
        /// The group that is listened to, or no more.
        group: Ipv6Addr,
    },
    /// ICMPv6: multicast listener report, version 2.
    MulticastReport(mld::Report<'a>),
    /// ICMPv6: an inverse neighbour discovery solicitation or advertisement, which
    /// say no more than their options (RFC 3122).
    InverseNeighbor(ndp::Options<'a>),
    /// ICMPv6: home agent address discovery request.
    HomeAgentDiscoveryRequest {
        /// Matches the answer.
        id: u16,
    },
    /// ICMPv6: home agent address discovery reply.
    HomeAgentDiscoveryReply(mobile::HomeAgents<'a>),
    /// ICMPv6: mobile prefix solicitation.
    MobilePrefixSolicitation {
        /// Matches the answer.
        id: u16,
    },
    /// ICMPv6: mobile prefix advertisement.
    MobilePrefixAdvertisement(mobile::PrefixAdvertisement<'a>),
    /// ICMPv6: certification path solicitation.
    CertificationPathSolicitation(ndp::CertificationPathSolicitation<'a>),
    /// ICMPv6: certification path advertisement.
    CertificationPathAdvertisement(ndp::CertificationPathAdvertisement<'a>),
    /// ICMPv6: RPL control message.
    Rpl(rpl::Control<'a>),
    /// A message that is all there and has no length that its type may have;
    /// receivers have to ignore it. The bytes behind its checksum.
    Malformed(&'a [u8]),
    /// Nothing more is known: another type, or what the type says was cut off.
    None,
}

impl<'a> Body<'a> {
    /// [`Body::None`] if what the type says was cut off.
    #[inline(always)]
    pub(super) fn decode(icmp_type: Type, code: u8, message: Message<'a>) -> Self {
        let body = match icmp_type {
            Type::V4(icmp_type) => v4_body(icmp_type, code, message),
            Type::V6(icmp_type) => v6_body(icmp_type, code, message),
        };
        body.unwrap_or_else(|| Self::unread(message))
    }

    /// What does not say what its type has.
    // Inlined, as a call would be made even where nobody looks at the body.
    #[inline(always)]
    fn unread(message: Message<'a>) -> Self {
        // A packet that ends before its ICMP header is said to be malformed itself.
        match message.bytes.get(4..) {
            Some(rest) if rest.len() >= 4 && message.is_whole() => Self::Malformed(rest),
            _ => Self::None,
        }
    }
}

/// `None` if what the type says is not there.
#[inline(always)]
fn v4_body<'a>(icmp_type: v4::Type, code: u8, message: Message<'a>) -> Option<Body<'a>> {
    let bytes = message.bytes;
    Some(match icmp_type {
        v4::Type::ECHO_REQUEST
        | v4::Type::ECHO_REPLY
        | v4::Type::INFORMATION_REQUEST
        | v4::Type::INFORMATION_REPLY => Body::Echo(Echo::decode(bytes)?),
        v4::Type::DESTINATION_UNREACHABLE => Body::Unreachable {
            next_hop_mtu: Some(be16(bytes, 6)?)
                .filter(|mtu| code == v4::FRAGMENTATION_NEEDED && *mtu != 0)
                .map(|mtu| Mtu(mtu.into())),
        },
        v4::Type::REDIRECT => Body::Redirect {
            gateway: ipv4(bytes, 4)?,
        },
        v4::Type::PARAMETER_PROBLEM => Body::ParameterProblem {
            pointer: (*bytes.get(4)?).into(),
        },
        v4::Type::TIMESTAMP | v4::Type::TIMESTAMP_REPLY => Body::Timestamp {
            echo: Echo::decode(bytes)?,
            times: v4::Times::decode(bytes),
        },
        v4::Type::ADDRESS_MASK_REQUEST | v4::Type::ADDRESS_MASK_REPLY => Body::AddressMask {
            echo: Echo::decode(bytes)?,
            mask: ipv4(bytes, 8),
        },
        v4::Type::ROUTER_ADVERTISEMENT => Body::Routers(v4::Routers::decode(bytes)?),
        v4::Type::EXTENDED_ECHO_REQUEST => {
            Body::ExtendedEchoRequest(ExtendedEchoRequest::decode(bytes)?)
        }
        v4::Type::EXTENDED_ECHO_REPLY => Body::ExtendedEchoReply(ExtendedEchoReply::decode(bytes)?),
        _ => Body::None,
    })
}

/// `None` if what the type says is not there.
#[inline(always)]
fn v6_body<'a>(icmp_type: v6::Type, code: u8, message: Message<'a>) -> Option<Body<'a>> {
    let bytes = message.bytes;
    Some(match icmp_type {
        v6::Type::DESTINATION_UNREACHABLE => {
            // Its second word says nothing, if it is there.
            be32(bytes, 4)?;
            Body::Unreachable { next_hop_mtu: None }
        }
        v6::Type::PACKET_TOO_BIG => Body::PacketTooBig {
            mtu: Mtu(be32(bytes, 4)?),
        },
        v6::Type::PARAMETER_PROBLEM => Body::ParameterProblem {
            pointer: be32(bytes, 4)?,
        },
        v6::Type::ECHO_REQUEST | v6::Type::ECHO_REPLY => Body::Echo(Echo::decode(bytes)?),
        v6::Type::MULTICAST_LISTENER_QUERY => Body::MulticastQuery(mld::Query::decode(message)?),
        v6::Type::MULTICAST_LISTENER_REPORT | v6::Type::MULTICAST_LISTENER_DONE => {
            Body::Multicast {
                group: ipv6(bytes, 8)?,
            }
        }
        v6::Type::MULTICAST_LISTENER_REPORT_V2 => {
            Body::MulticastReport(mld::Report::decode(bytes)?)
        }
        v6::Type::ROUTER_SOLICITATION => {
            Body::RouterSolicitation(ndp::Options::decode(message, 8)?)
        }
        v6::Type::ROUTER_ADVERTISEMENT => {
            Body::RouterAdvertisement(ndp::RouterAdvertisement::decode(message)?)
        }
        v6::Type::NEIGHBOR_SOLICITATION => {
            Body::NeighborSolicitation(ndp::NeighborSolicitation::decode(message)?)
        }
        v6::Type::NEIGHBOR_ADVERTISEMENT => {
            Body::NeighborAdvertisement(ndp::NeighborAdvertisement::decode(message)?)
        }
        v6::Type::REDIRECT => Body::NeighborRedirect(ndp::Redirect::decode(message)?),
        v6::Type::INVERSE_NEIGHBOR_SOLICITATION | v6::Type::INVERSE_NEIGHBOR_ADVERTISEMENT => {
            Body::InverseNeighbor(ndp::Options::decode(message, 8)?)
        }
        v6::Type::HOME_AGENT_DISCOVERY_REQUEST => Body::HomeAgentDiscoveryRequest {
            id: be16(bytes, 4)?,
        },
        v6::Type::HOME_AGENT_DISCOVERY_REPLY => {
            Body::HomeAgentDiscoveryReply(mobile::HomeAgents::decode(message)?)
        }
        v6::Type::MOBILE_PREFIX_SOLICITATION => Body::MobilePrefixSolicitation {
            id: be16(bytes, 4)?,
        },
        v6::Type::MOBILE_PREFIX_ADVERTISEMENT => {
            Body::MobilePrefixAdvertisement(mobile::PrefixAdvertisement::decode(message)?)
        }
        v6::Type::CERTIFICATION_PATH_SOLICITATION => Body::CertificationPathSolicitation(
            ndp::CertificationPathSolicitation::decode(message)?,
        ),
        v6::Type::CERTIFICATION_PATH_ADVERTISEMENT => Body::CertificationPathAdvertisement(
            ndp::CertificationPathAdvertisement::decode(message)?,
        ),
        v6::Type::RPL_CONTROL => Body::Rpl(rpl::Control::decode(code, message)?),
        v6::Type::EXTENDED_ECHO_REQUEST => {
            Body::ExtendedEchoRequest(ExtendedEchoRequest::decode(bytes)?)
        }
        v6::Type::EXTENDED_ECHO_REPLY => Body::ExtendedEchoReply(ExtendedEchoReply::decode(bytes)?),
        _ => Body::None,
    })
}
