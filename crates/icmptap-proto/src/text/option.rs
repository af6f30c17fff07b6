//! Options of neighbour discovery and of RPL, in words.

use std::fmt;

use crate::{
    Hex,
    icmp::{
        ndp::{AddressRegistration, NdpOption, OptionBody, Pvd},
        rpl::RplOption,
    },
};

use super::words::{list, preference};

pub(super) fn ndp_option(f: &mut fmt::Formatter<'_>, option: NdpOption<'_>) -> fmt::Result {
    match option.body {
        OptionBody::LinkLayer(address) => write!(f, " lladdr {address}"),
        OptionBody::Prefix(prefix) => write!(f, " prefix {}/{}", prefix.prefix, prefix.len),
        OptionBody::Mtu(mtu) => write!(f, " mtu {mtu}"),
        OptionBody::Route(route) => {
            write!(f, " route {}/{}", route.prefix, route.len)?;
            preference(f, route.preference)
        }
        OptionBody::Rdnss(rdnss) => list(f, "dns", rdnss.servers()),
        OptionBody::Dnssl(dnssl) => list(f, "search", dnssl.domains()),
        OptionBody::CaptivePortal(uri) => write!(f, " captive-portal {uri}"),
        OptionBody::Pref64(pref64) => write!(f, " pref64 {}/{}", pref64.prefix, pref64.len),
        OptionBody::Addresses(addresses) => {
            write!(f, " {}", option.kind)?;
            list(f, "addresses", addresses.iter())
        }
        OptionBody::AddressRegistration(registration) => address_registration(f, registration),
        OptionBody::Timestamp(timestamp) => {
            write!(f, " timestamp {}", timestamp.seconds)
        }
        OptionBody::TrustAnchor(anchor) => {
            write!(f, " {}", option.kind)?;
            match anchor.domain() {
                Some(domain) => write!(f, " {domain}"),
                None => Ok(()),
            }
        }
        OptionBody::Pvd(domain) => pvd(f, domain),
        // It comes last, as with other messages.
        OptionBody::Redirected { .. } => Ok(()),
        OptionBody::Malformed(data) => {
            write!(f, " malformed {}", option.kind)?;
            bytes(f, data)
        }
        _ => write!(f, " {}", option.kind),
    }
}

fn address_registration(
    f: &mut fmt::Formatter<'_>,
    registration: AddressRegistration<'_>,
) -> fmt::Result {
    write!(
        f,
        " address-registration {} owner {} lifetime {} min",
        registration.status,
        Hex(registration.owner),
        registration.lifetime_minutes
    )?;
    match registration.extended {
        Some(extended) => write!(f, " transaction {}", extended.transaction_id),
        None => Ok(()),
    }
}

/// What counts within the domain stands in brackets.
fn pvd(f: &mut fmt::Formatter<'_>, pvd: Pvd<'_>) -> fmt::Result {
    write!(f, " pvd {} sequence {} [", pvd.id, pvd.sequence)?;
    if let Some(router) = pvd.router_advertisement() {
        write!(f, " lifetime {}", router.lifetime)?;
    }
    pvd.options()
        .iter()
        .try_for_each(|option| ndp_option(f, option))?;
    write!(f, " ]")
}

pub(super) fn rpl_option(f: &mut fmt::Formatter<'_>, option: RplOption<'_>) -> fmt::Result {
    if option.is_malformed {
        write!(f, " malformed {}", option.kind)?;
        bytes(f, option.data)
    } else {
        write!(f, " {}", option.kind)
    }
}

/// The bytes behind a space, if there are any.
pub(super) fn bytes(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    if bytes.is_empty() {
        return Ok(());
    }
    write!(f, " {}", Hex(bytes))
}
