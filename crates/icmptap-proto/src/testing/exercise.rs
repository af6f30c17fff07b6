//! Every question that an event answers, asked of whatever bytes there are.

use std::fmt::{self, Display, Write};

use super::{Record, events, family, info, messages, refusal, subscribed, unsubscribed};
use crate::{
    BootId, Hex,
    event::{Batch, EventRef, is_batch},
    icmp::{
        Body, Extensions, Icmp, Transport,
        extension::{InterfaceId, ObjectBody},
        ndp::{OptionBody, Options},
    },
    imp2, nlmsg,
    reply::{Counters, CpuStats, Done, Family, Info, Parameters, Stats, Status, SubscriptionInfo},
};

/// What [`exercise`] is to start from: every answer and every message, as a
/// datagram and as a packet.
pub fn corpus() -> Vec<Vec<u8>> {
    let mut corpus = vec![
        family(1),
        info(1, BootId([7; 16])),
        subscribed(1),
        unsubscribed(1, [5, 4, 1, 0, 0]),
        refusal(1, 22, Some(("no", 20))),
    ];
    for (_, record) in messages() {
        let offset = record.icmp_offset as u8;
        let head = [0, offset, record.icmp_type, record.icmp_code];
        corpus.push([&head[..], &record.packet].concat());
        corpus.push(events(0, 0, 0, &[record]));
    }
    corpus
}

/// Reads the bytes as a datagram and as the packet of one record of each
/// family, as far as each goes.
pub fn exercise(bytes: &[u8]) {
    datagram(bytes);
    let [flags, icmp_offset, icmp_type, icmp_code, packet @ ..] = bytes else {
        return;
    };
    for family in [2, 10] {
        let record = Record {
            flags: (*flags).into(),
            // Behind the headers, mostly.
            icmp_offset: u16::from(icmp_offset % 64),
            family,
            icmp_type: *icmp_type,
            icmp_code: *icmp_code,
            packet: packet.to_vec(),
            ..Record::of_ipv4(vec![0; 64])
        };
        datagram(&events(0, 0, 0, &[record]));
    }
}

fn datagram(bytes: &[u8]) {
    for message in nlmsg::messages(bytes) {
        let Ok(message) = message else { return };
        let _ = Status::decode(&message);
        let _ = Done::decode(&message);
        let _ = imp2::Packet::decode(&message);
        let Ok(generic) = message.generic() else {
            continue;
        };
        if !is_batch(&generic) {
            let _ = Family::decode(&generic);
            let _ = Info::decode(&generic);
            let _ = Parameters::decode(&generic);
            let _ = Counters::decode(&generic);
            let _ = SubscriptionInfo::decode(&generic);
            let _ = Stats::decode(&generic);
            let _ = CpuStats::decode(&generic);
        }
        let Ok(batch) = Batch::decode(&generic) else {
            continue;
        };
        for event in batch.events().flatten() {
            walk(&event);
        }
    }
}

/// Asks an event everything, down to the last label; gives the number of parts
/// met. Allocates nothing.
///
/// # Panics
/// If there are more parts than bytes, and so perhaps no end of them.
pub fn walk(event: &EventRef<'_>) -> usize {
    let mut steps = Steps {
        met: 0,
        // A few are in the event's header; those of the packet have bytes.
        limit: 8 + event.packet().len(),
    };
    event.hook().into_iter().for_each(|hook| steps.show(hook));
    steps.show(event.family());
    let known = (
        (event.time(), event.netns(), event.iif(), event.oif()),
        (event.vlan(), event.mark(), event.original_len()),
        (event.src(), event.dst(), event.ttl()),
        (event.fragment_offset(), event.is_fragment()),
        (event.checksum(), event.checksum_state()),
    );
    std::hint::black_box(known);
    let Some(message) = event.icmp() else {
        return steps.met;
    };
    steps.message(&message);
    steps.met
}

/// Counts the parts that were shown.
struct Steps {
    met: usize,
    limit: usize,
}

impl Steps {
    fn show(&mut self, part: impl Display) {
        self.met += 1;
        assert!(self.met <= self.limit, "more parts than bytes");
        write!(Nowhere, "{part}").expect("Display does not fail");
    }

    fn message(&mut self, message: &Icmp<'_>) {
        self.show(message.icmp_type);
        std::hint::black_box((
            message.icmp_type.iana_name(),
            message.icmp_type.code_name(message.code),
            (message.echo(), message.id(), message.mtu(), message.quote),
        ));
        match message.body {
            Body::Routers(routers) => routers.iter().for_each(|router| self.show(router.address)),
            Body::MulticastQuery(query) => {
                if let Some(v2) = query.v2 {
                    v2.sources().for_each(|source| self.show(source));
                }
            }
            Body::MulticastReport(report) => {
                for record in report.records() {
                    self.show(record.kind);
                    record.sources().for_each(|source| self.show(source));
                }
            }
            Body::HomeAgentDiscoveryReply(agents) => agents.iter().for_each(|ip| self.show(ip)),
            Body::Rpl(control) => {
                for option in control.options().into_iter().flat_map(|list| list.iter()) {
                    self.show(option.kind);
                    std::hint::black_box(option.data);
                }
            }
            Body::Malformed(data) => self.show(Hex(data)),
            _ => {}
        }
        if let Some(options) = message.options() {
            self.options(options);
        }
        if let Some(extensions) = message.extensions {
            self.objects(extensions);
        }
        if !message.trailing().is_empty() {
            self.show(Hex(message.trailing()));
        }
        if let Some(Transport::Icmp(quoted)) = message.quote.map(|quote| quote.transport) {
            self.message(&quoted.message());
        }
    }

    fn options(&mut self, options: Options<'_>) {
        for option in options.iter() {
            self.show(option.kind);
            match option.body {
                OptionBody::LinkLayer(address) => self.show(address),
                OptionBody::Rdnss(rdnss) => rdnss.servers().for_each(|server| self.show(server)),
                OptionBody::Dnssl(dnssl) => dnssl.domains().for_each(|domain| self.show(domain)),
                OptionBody::CaptivePortal(uri) => self.show(uri),
                OptionBody::Addresses(list) => list.iter().for_each(|ip| self.show(ip)),
                OptionBody::AddressRegistration(registration) => self.show(registration.status),
                OptionBody::Cga(cga) => self.show(cga.prefix),
                OptionBody::RsaSignature(signature) => self.show(Hex(signature.signature)),
                OptionBody::TrustAnchor(anchor) => {
                    if let Some(domain) = anchor.domain() {
                        self.show(domain);
                    }
                }
                OptionBody::Certificate(certificate) => self.show(Hex(certificate.certificate)),
                OptionBody::Pvd(pvd) => {
                    self.show(pvd.id);
                    std::hint::black_box(pvd.router_advertisement());
                    self.options(pvd.options());
                }
                OptionBody::Nonce(data) | OptionBody::Malformed(data) => self.show(Hex(data)),
                _ => {}
            }
        }
    }

    fn objects(&mut self, extensions: Extensions<'_>) {
        for object in extensions.objects() {
            self.show(object.class);
            match object.body {
                ObjectBody::Mpls(stack) => stack.iter().for_each(|label| self.show(label.label)),
                ObjectBody::InterfaceInfo(info) => {
                    if let Some(name) = info.name {
                        self.show(name);
                    }
                }
                ObjectBody::InterfaceId(InterfaceId::Name(name)) => self.show(name),
                ObjectBody::Malformed(data) => self.show(Hex(data)),
                _ => {}
            }
        }
        if !extensions.trailing().is_empty() {
            self.show(Hex(extensions.trailing()));
        }
    }
}

struct Nowhere;

impl Write for Nowhere {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        std::hint::black_box(text);
        Ok(())
    }
}
