//! ICMPv6 types and codes (RFC 4443 and IANA).

use super::{echo::extended_echo_code_word, open_enum::open_enum};
use crate::TypeSet;

open_enum! {
    /// An ICMPv6 type: any number, some of which have a name. Below 128 are
    /// errors.
    ///
    /// Names and numbers are those of IANA's registry "ICMPv6 'type' Numbers";
    /// the words are the same names in lower case with hyphens, without
    /// "ICMP" and "Message".
    Type("type");

    /// A packet could not be delivered
    DESTINATION_UNREACHABLE = 1, "Destination Unreachable", "destination-unreachable";
    /// A packet does not fit through the next hop
    PACKET_TOO_BIG = 2, "Packet Too Big", "packet-too-big";
    /// A packet went round too long
    TIME_EXCEEDED = 3, "Time Exceeded", "time-exceeded";
    /// A header could not be understood
    PARAMETER_PROBLEM = 4, "Parameter Problem", "parameter-problem";
    /// For experiments (RFC 4443)
    PRIVATE_ERROR_1 = 100, "Private experimentation", "private-error-1";
    /// For experiments (RFC 4443)
    PRIVATE_ERROR_2 = 101, "Private experimentation", "private-error-2";
    /// In case there are ever more errors than numbers (RFC 4443)
    RESERVED_ERROR = 127, "Reserved for expansion of ICMPv6 error messages", "reserved-error";
    /// A ping
    ECHO_REQUEST = 128, "Echo Request", "echo-request";
    /// The answer to an echo request
    ECHO_REPLY = 129, "Echo Reply", "echo-reply";
    /// A router asks who listens to multicast (RFC 2710, RFC 3810)
    MULTICAST_LISTENER_QUERY = 130, "Multicast Listener Query", "multicast-listener-query";
    /// A host listens (RFC 2710)
    MULTICAST_LISTENER_REPORT = 131, "Multicast Listener Report", "multicast-listener-report";
    /// A host listens no more (RFC 2710)
    MULTICAST_LISTENER_DONE = 132, "Multicast Listener Done", "multicast-listener-done";
    /// A host asks for routers (RFC 4861)
    ROUTER_SOLICITATION = 133, "Router Solicitation", "router-solicitation";
    /// A router says that it is there (RFC 4861)
    ROUTER_ADVERTISEMENT = 134, "Router Advertisement", "router-advertisement";
    /// Who has this address? (RFC 4861)
    NEIGHBOR_SOLICITATION = 135, "Neighbor Solicitation", "neighbor-solicitation";
    /// I have this address (RFC 4861)
    NEIGHBOR_ADVERTISEMENT = 136, "Neighbor Advertisement", "neighbor-advertisement";
    /// There is a better first hop (RFC 4861)
    REDIRECT = 137, "Redirect Message", "redirect";
    /// Prefixes of routers change (RFC 2894)
    ROUTER_RENUMBERING = 138, "Router Renumbering", "router-renumbering";
    /// A question to a node about itself (RFC 4620)
    NODE_INFORMATION_QUERY = 139, "ICMP Node Information Query", "node-information-query";
    /// The answer to a node information query (RFC 4620)
    NODE_INFORMATION_RESPONSE = 140, "ICMP Node Information Response", "node-information-response";
    /// Which address has this link-layer address? (RFC 3122)
    INVERSE_NEIGHBOR_SOLICITATION = 141, "Inverse Neighbor Discovery Solicitation Message", "inverse-neighbor-discovery-solicitation";
    /// The answer to that (RFC 3122)
    INVERSE_NEIGHBOR_ADVERTISEMENT = 142, "Inverse Neighbor Discovery Advertisement Message", "inverse-neighbor-discovery-advertisement";
    /// A host tells what it listens to (RFC 3810)
    MULTICAST_LISTENER_REPORT_V2 = 143, "Version 2 Multicast Listener Report", "version-2-multicast-listener-report";
    /// Mobile IPv6 (RFC 6275)
    HOME_AGENT_DISCOVERY_REQUEST = 144, "Home Agent Address Discovery Request Message", "home-agent-address-discovery-request";
    /// Mobile IPv6 (RFC 6275)
    HOME_AGENT_DISCOVERY_REPLY = 145, "Home Agent Address Discovery Reply Message", "home-agent-address-discovery-reply";
    /// Mobile IPv6 (RFC 6275)
    MOBILE_PREFIX_SOLICITATION = 146, "Mobile Prefix Solicitation", "mobile-prefix-solicitation";
    /// Mobile IPv6 (RFC 6275)
    MOBILE_PREFIX_ADVERTISEMENT = 147, "Mobile Prefix Advertisement", "mobile-prefix-advertisement";
    /// Secure neighbour discovery (RFC 3971)
    CERTIFICATION_PATH_SOLICITATION = 148, "Certification Path Solicitation Message", "certification-path-solicitation";
    /// Secure neighbour discovery (RFC 3971)
    CERTIFICATION_PATH_ADVERTISEMENT = 149, "Certification Path Advertisement Message", "certification-path-advertisement";
    /// Experimental mobility protocols (RFC 4065)
    EXPERIMENTAL_MOBILITY = 150, "ICMP messages utilized by experimental mobility protocols such as Seamoby", "experimental-mobility";
    /// Multicast router discovery (RFC 4286)
    MULTICAST_ROUTER_ADVERTISEMENT = 151, "Multicast Router Advertisement", "multicast-router-advertisement";
    /// Multicast router discovery (RFC 4286)
    MULTICAST_ROUTER_SOLICITATION = 152, "Multicast Router Solicitation", "multicast-router-solicitation";
    /// Multicast router discovery (RFC 4286)
    MULTICAST_ROUTER_TERMINATION = 153, "Multicast Router Termination", "multicast-router-termination";
    /// Fast handovers of Mobile IPv6 (RFC 5568)
    FMIPV6 = 154, "FMIPv6 Messages", "fmipv6";
    /// Routing in low-power networks (RFC 6550)
    RPL_CONTROL = 155, "RPL Control Message", "rpl-control";
    /// Identifier-locator network protocol (RFC 6743)
    ILNPV6_LOCATOR_UPDATE = 156, "ILNPv6 Locator Update Message", "ilnpv6-locator-update";
    /// Low-power networks (RFC 6775)
    DUPLICATE_ADDRESS_REQUEST = 157, "Duplicate Address Request", "duplicate-address-request";
    /// Low-power networks (RFC 6775)
    DUPLICATE_ADDRESS_CONFIRMATION = 158, "Duplicate Address Confirmation", "duplicate-address-confirmation";
    /// Multicast in low-power networks (RFC 7731)
    MPL_CONTROL = 159, "MPL Control Message", "mpl-control";
    /// A ping that asks about an interface (RFC 8335)
    EXTENDED_ECHO_REQUEST = 160, "Extended Echo Request", "extended-echo-request";
    /// The answer to an extended echo request (RFC 8335)
    EXTENDED_ECHO_REPLY = 161, "Extended Echo Reply", "extended-echo-reply";
    /// For experiments (RFC 4443)
    PRIVATE_INFORMATION_1 = 200, "Private experimentation", "private-information-1";
    /// For experiments (RFC 4443)
    PRIVATE_INFORMATION_2 = 201, "Private experimentation", "private-information-2";
    /// In case there are ever more messages than numbers (RFC 4443)
    RESERVED_INFORMATION = 255, "Reserved for expansion of ICMPv6 informational messages", "reserved-information";
}

impl<const N: usize> From<[Type; N]> for TypeSet {
    fn from(types: [Type; N]) -> Self {
        types.into_iter().map(|icmp_type| icmp_type.0).collect()
    }
}

impl Type {
    /// The name of a code of this type, as one word. `None` for codes without a name, and for
    /// code 0 of types that have no other code, such as echo request.
    #[must_use]
    pub fn code_name(self, code: u8) -> Option<&'static str> {
        Some(match (self, code) {
            (Self::DESTINATION_UNREACHABLE, 0) => "no-route",
            (Self::DESTINATION_UNREACHABLE, 1) => "admin-prohibited",
            (Self::DESTINATION_UNREACHABLE, 2) => "beyond-scope",
            (Self::DESTINATION_UNREACHABLE, 3) => "address-unreachable",
            (Self::DESTINATION_UNREACHABLE, 4) => "port-unreachable",
            (Self::DESTINATION_UNREACHABLE, 5) => "policy-failed",
            (Self::DESTINATION_UNREACHABLE, 6) => "reject-route",
            (Self::DESTINATION_UNREACHABLE, 7) => "source-route-error",
            (Self::DESTINATION_UNREACHABLE, 8) => "headers-too-long",
            (Self::TIME_EXCEEDED, 0) => "hop-limit",
            (Self::TIME_EXCEEDED, 1) => "reassembly",
            (Self::PARAMETER_PROBLEM, 0) => "header-field",
            (Self::PARAMETER_PROBLEM, 1) => "unrecognized-next-header",
            (Self::PARAMETER_PROBLEM, 2) => "unrecognized-option",
            (Self::PARAMETER_PROBLEM, 3) => "incomplete-header-chain",
            (Self::PARAMETER_PROBLEM, 4) => "sr-upper-layer-header",
            (Self::PARAMETER_PROBLEM, 5) => "unrecognized-next-header-at-intermediate-node",
            (Self::PARAMETER_PROBLEM, 6) => "extension-header-too-big",
            (Self::PARAMETER_PROBLEM, 7) => "extension-header-chain-too-long",
            (Self::PARAMETER_PROBLEM, 8) => "too-many-extension-headers",
            (Self::PARAMETER_PROBLEM, 9) => "too-many-options",
            (Self::PARAMETER_PROBLEM, 10) => "option-too-big",
            (Self::ROUTER_RENUMBERING, 0) => "command",
            (Self::ROUTER_RENUMBERING, 1) => "result",
            (Self::ROUTER_RENUMBERING, 255) => "sequence-number-reset",
            (Self::NODE_INFORMATION_QUERY, 0) => "about-ipv6-address",
            (Self::NODE_INFORMATION_QUERY, 1) => "about-name",
            (Self::NODE_INFORMATION_QUERY, 2) => "about-ipv4-address",
            (Self::NODE_INFORMATION_RESPONSE, 0) => "success",
            (Self::NODE_INFORMATION_RESPONSE, 1) => "refused",
            (Self::NODE_INFORMATION_RESPONSE, 2) => "unknown-question",
            (Self::RPL_CONTROL, code) => return rpl_code_word(code),
            (Self::EXTENDED_ECHO_REPLY, code) => return extended_echo_code_word(code),
            _ => return None,
        })
    }

    /// Where an error of this type says how long its quote is: in 64-bit words
    /// (RFC 4884).
    pub(super) fn quote_length_at(self) -> Option<usize> {
        matches!(self, Self::DESTINATION_UNREACHABLE | Self::TIME_EXCEEDED).then_some(4)
    }

    /// It quotes a packet behind its header.
    pub(super) fn quotes(self) -> bool {
        matches!(
            self,
            Self::DESTINATION_UNREACHABLE
                | Self::PACKET_TOO_BIG
                | Self::TIME_EXCEEDED
                | Self::PARAMETER_PROBLEM
        )
    }
}

/// Codes of an RPL control message (IANA's "RPL Control Codes"): the abbreviations
/// that everybody uses.
fn rpl_code_word(code: u8) -> Option<&'static str> {
    Some(match code {
        0 => "dis",
        1 => "dio",
        2 => "dao",
        3 => "dao-ack",
        4 => "dro",
        5 => "dro-ack",
        7 => "dco",
        8 => "dco-ack",
        0x80 => "secure-dis",
        0x81 => "secure-dio",
        0x82 => "secure-dao",
        0x83 => "secure-dao-ack",
        0x84 => "secure-dro",
        0x85 => "secure-dro-ack",
        0x87 => "secure-dco",
        0x88 => "secure-dco-ack",
        0x8a => "consistency-check",
        _ => return None,
    })
}
