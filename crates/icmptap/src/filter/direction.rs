//! `inbound` and `outbound`, which libpcap reads off the packet's type.
//!
//! `skb->pkt_type` is PACKET_OUTGOING only in the copies that go to packet sockets
//! (`dev_queue_xmit_nit()` in net/core/dev.c). A packet that leaves does not have it at
//! any netfilter hook: there `outbound` would be nothing, and `inbound` everything.

use icmptap_proto::{Hook, Hooks, Instruction, Program};

/// `ldh [SKF_AD_OFF + SKF_AD_PKTTYPE]`, as libpcap has it. The kernel takes any size.
const LOAD_TYPE: Instruction = Instruction {
    code: 0x28,
    jt: 0,
    jf: 0,
    k: 0xffff_f004,
};

/// `ld #PACKET_OUTGOING`.
const LOAD_OUTGOING: Instruction = Instruction {
    code: 0,
    jt: 0,
    jf: 0,
    k: 4,
};

/// A filter has `inbound` or `outbound`, which cannot be decided at its hooks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "`inbound` and `outbound` cannot be told at {hooks}: they can where packets come in \
     (prerouting, input), or where they leave (output, postrouting), but not at both with one \
     filter, and not at forward"
)]
pub struct AmbiguousDirection {
    /// The hooks of the subscription.
    pub hooks: Hooks,
}

/// The program that means the same by `inbound` and `outbound` at these hooks.
pub(crate) fn at(hooks: Hooks, program: Program) -> Result<Program, AmbiguousDirection> {
    let instructions = program.instructions();
    if !instructions.contains(&LOAD_TYPE) {
        return Ok(program);
    }
    let all = |of: [Hook; 2]| hooks.iter().all(|hook| of.contains(&hook));
    if all([Hook::Prerouting, Hook::Input]) {
        return Ok(program);
    }
    if !all([Hook::Output, Hook::Postrouting]) {
        return Err(AmbiguousDirection { hooks });
    }
    let outgoing = |instruction: &Instruction| match *instruction {
        LOAD_TYPE => LOAD_OUTGOING,
        other => other,
    };
    let outgoing: Vec<Instruction> = instructions.iter().map(outgoing).collect();
    Ok(outgoing.try_into().expect("as long as before"))
}

#[cfg(test)]
mod tests {
    use super::super::compile;
    use super::*;

    fn hooks<const N: usize>(hooks: [Hook; N]) -> Hooks {
        hooks.into_iter().collect()
    }

    #[test]
    fn what_leaves_is_outgoing_whatever_the_packet_says() {
        let outbound = compile("outbound and icmp").unwrap();
        assert!(outbound.instructions().contains(&LOAD_TYPE));
        let leaving = at(hooks([Hook::Output, Hook::Postrouting]), outbound.clone()).unwrap();
        assert!(!leaving.instructions().contains(&LOAD_TYPE));
        assert!(leaving.instructions().contains(&LOAD_OUTGOING));
        assert_eq!(leaving.instructions().len(), outbound.instructions().len());
        let coming = at(hooks([Hook::Prerouting, Hook::Input]), outbound.clone());
        assert_eq!(coming.unwrap(), outbound);
    }

    #[test]
    fn where_both_occur_it_is_refused_and_other_filters_are_not() {
        for both in [
            hooks([Hook::Prerouting, Hook::Output]),
            hooks([Hook::Forward]),
            hooks([Hook::Input, Hook::Forward]),
        ] {
            for expression in ["inbound", "icmp and not outbound"] {
                let program = compile(expression).unwrap();
                assert_eq!(at(both, program), Err(AmbiguousDirection { hooks: both }));
            }
            let other = compile("icmp and host 10.0.0.1").unwrap();
            assert_eq!(at(both, other.clone()).unwrap(), other);
        }
        let error = AmbiguousDirection {
            hooks: hooks([Hook::Forward]),
        };
        let error = error.to_string();
        assert!(error.starts_with("`inbound` and `outbound` cannot be told at forward: "));
    }
}
