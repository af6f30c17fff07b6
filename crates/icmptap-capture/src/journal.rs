//! A loss as an entry of systemd's journal: "systemd Journal Export Block" of pcapng,
//! whose text is in systemd's "Journal Export Format". Wireshark lists it among the
//! packets; libpcap skips it.

use std::fmt::Write;

use icmptap_proto::{Cpu, sequence::Lost};

use crate::{
    Session, SessionLost,
    note::{self, Fields},
};

const BOOT_ID: &str = "ICMPTAP_BOOT_ID";
const SUBSCRIPTION: &str = "ICMPTAP_SUBSCRIPTION";
const CPU: &str = "ICMPTAP_CPU";
const LOST: &str = "ICMPTAP_LOST";

/// Creates the entry of a loss that was detected at this time.
pub(crate) fn entry(session: &Session, lost: Lost, time_ns: u64) -> String {
    let Lost { cpu, count } = lost;
    let mut text = format!(
        "__REALTIME_TIMESTAMP={}\n\
         PRIORITY=4\n\
         SYSLOG_IDENTIFIER=icmptap\n\
         MESSAGE={count} ICMP events lost on CPU {cpu}\n\
         {BOOT_ID}={}\n\
         {CPU}={cpu}\n\
         {LOST}={count}\n",
        time_ns / 1_000,
        session.boot_id,
    );
    if let Some(id) = session.subscription {
        writeln!(text, "{SUBSCRIPTION}={id}").expect("a string takes all");
    }
    text
}

/// Parses the loss in an entry. `None`: the entry is something else.
pub(crate) fn loss(entry: &[u8]) -> Option<Result<SessionLost, note::Malformed>> {
    let text = String::from_utf8_lossy(entry);
    let fields = Fields::of(
        text.trim_end_matches('\0')
            .lines()
            .filter_map(|line| line.split_once('=')),
    );
    fields.get(LOST)?;
    let read = || {
        Ok(SessionLost {
            session: Session {
                boot_id: fields.boot_id(BOOT_ID)?,
                subscription: fields.optional(SUBSCRIPTION)?.map(note::subscription),
            },
            lost: Lost {
                cpu: Cpu(fields.number(CPU)?),
                count: fields.number(LOST)?,
            },
        })
    };
    Some(read())
}

#[cfg(test)]
mod tests {
    use icmptap_proto::{BootId, SubscriptionId};

    use super::*;

    #[test]
    fn a_loss_comes_back() {
        for subscription in [None, Some(SubscriptionId(u64::MAX))] {
            let session = Session {
                boot_id: BootId([0xab; 16]),
                subscription,
            };
            let lost = Lost {
                cpu: Cpu(3),
                count: 12,
            };
            let text = entry(&session, lost, 1_700_000_000_123_456_789);
            assert!(text.starts_with("__REALTIME_TIMESTAMP=1700000000123456\n"));
            assert!(text.contains("\nMESSAGE=12 ICMP events lost on CPU 3\n"));
            assert_eq!(
                loss(text.as_bytes()).unwrap().unwrap(),
                SessionLost { session, lost }
            );
        }
    }

    #[test]
    fn other_entries_are_nothing_to_us() {
        assert!(loss(b"MESSAGE=hello\n").is_none());
        assert!(loss(b"\xff\0").is_none());
        assert!(
            loss(b"ICMPTAP_LOST=many\nICMPTAP_CPU=1\n")
                .unwrap()
                .is_err()
        );
        assert!(loss(b"ICMPTAP_LOST=1\n").unwrap().is_err());
    }
}
