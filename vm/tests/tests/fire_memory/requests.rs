//! Requests without memory.

use icmptap::{Family, Hook, Instruction};
use icmptap_proto::request::{self, SubscribeOptions};
use icmptap_proto::{
    BatchSize, FlushInterval, IfIndex, Program, RateLimit, Sampling, Snaplen, Verdict,
};
use icmptap_sys as abi;
use icmptap_vm_tests::fault::Watch;
use icmptap_vm_tests::net::Wire;
use icmptap_vm_tests::netlink::header;
use rustix::io::Errno;

use crate::asker::{Asker, Ending};
use crate::tally::Tally;
use crate::{assert_living, assert_sound};

/// All of the family's, one after another.
pub(crate) fn of_the_family(watch: &Watch, tally: &mut Tally) {
    let wire = Wire::new();
    wire.right.enter(|| {
        let mut asker = Asker::new(abi::NETLINK_GENERIC);
        let family = asker.family();
        let subscribe = request::subscribe(family, 2, &everything());
        let unsubscribe = request::unsubscribe(family, 3);
        let begin = |asker: &mut Asker| assert_eq!(asker.ask(&subscribe), Ending::Done);
        let end = |asker: &mut Asker| assert_eq!(asker.ask(&unsubscribe), Ending::Done);

        let mut refused = 0;
        asker.each(
            (watch, tally),
            "SUBSCRIBE",
            &subscribe,
            |_| (),
            |asker, ending| {
                if ending.is_refused() {
                    refused += 1;
                } else {
                    assert_eq!(ending, Ending::Done);
                    assert_living(1, 0);
                    end(asker);
                }
                assert_living(0, 0);
            },
        );
        // Of the ten hooks each, and more.
        assert!(refused > 10, "{refused}");
        assert_sound(&wire);

        asker.each(
            (watch, tally),
            "UNSUBSCRIBE",
            &unsubscribe,
            begin,
            |asker, ending| {
                // It waits for the question to be asked again, as for room.
                if ending.is_refused() {
                    assert_living(1, 0);
                    end(asker);
                }
                assert_ne!(ending, Ending::Silence);
                assert_living(0, 0);
            },
        );
        assert_sound(&wire);

        begin(&mut asker);
        for (what, request) in [
            ("FLUSH", request::flush(family, 4)),
            ("GET_INFO", request::get_info(family, 4)),
            ("GET_STATS", request::get_stats(family, 4)),
            (
                "GET_STATS of each CPU",
                request::get_stats_per_cpu(family, 4),
            ),
            (
                "GET_SUBSCRIPTION",
                request::get_subscriptions(family, 4, false),
            ),
            (
                "GET_SUBSCRIPTION of all",
                request::get_subscriptions(family, 4, true),
            ),
        ] {
            asker.each(
                (watch, tally),
                what,
                &request,
                |_| (),
                |_, ending| {
                    // Whoever wanted a dump can see that it was not all.
                    ending.is_refused();
                    assert_living(1, 0);
                },
            );
        }
        end(&mut asker);
        assert_sound(&wire);
    });
}

/// Of the other door.
pub(crate) fn of_imp2(watch: &Watch, tally: &mut Tally) {
    let wire = Wire::new();
    wire.right.enter(|| {
        let mut asker = Asker::new(abi::NL_IMP2);
        let message = |kind: u32| {
            let flags = abi::NLM_F_REQUEST | abi::NLM_F_ACK;
            header(16, kind as u16, flags as u16, 0)
        };
        let (register, close) = (message(abi::IMP2_U_PID), message(abi::IMP2_CLOSE));

        let mut silent = 0;
        asker.each(
            (watch, tally),
            "IMP2_U_PID",
            &register,
            |_| (),
            |asker, ending| {
                if ending.is_refused() {
                    assert_living(0, 1);
                    return;
                }
                // Only the acknowledgement may be missing.
                silent += u32::from(ending == Ending::Silence);
                assert_living(1, 1);
                assert_eq!(asker.ask(&register), Ending::Done, "once more is no error");
                assert_eq!(asker.ask(&close), Ending::Done);
                assert_living(0, 1);
            },
        );
        assert!(silent > 0);

        asker.each(
            (watch, tally),
            "IMP2_CLOSE",
            &close,
            |asker| assert_eq!(asker.ask(&register), Ending::Done),
            |asker, ending| {
                if ending.is_refused() {
                    assert_living(1, 1);
                    assert_eq!(asker.ask(&close), Ending::Done);
                } else {
                    let again = Ending::Refused(Errno::NOENT);
                    assert_eq!(asker.ask(&close), again, "it is done");
                }
                assert_living(0, 1);
            },
        );
    });
    assert_sound(&wire);
}

/// Everything that can be wished for.
fn everything() -> SubscribeOptions {
    let mut options = SubscribeOptions::default();
    options.hooks = Some(Hook::ALL.into());
    options.families = Some(Family::ALL.into());
    options.snaplen = Some(Snaplen(100));
    options.batch = Some(BatchSize(65_000));
    options.flush_interval = Some(FlushInterval { us: 1_000_000 });
    options.icmp_types = Some([0, 8].into());
    options.icmpv6_types = Some([128].into());
    options.interface = Some(IfIndex(1));
    options.filter = Some(program());
    options.sampling = Some(Sampling { one_in: 2 });
    options.rate_limit = Some(RateLimit { per_second: 1_000 });
    options.verdict = Some(Verdict::Accept);
    options
}

/// Takes everything, in so many instructions that it is moved when it is made.
fn program() -> Program {
    let insn = |code, k| Instruction {
        code,
        jt: 0,
        jf: 0,
        k,
    };
    // ld [0], again and again; ret #1
    let mut instructions = vec![insn(0x20, 0); 1_000];
    instructions.push(insn(0x06, 1));
    instructions.try_into().expect("short")
}
