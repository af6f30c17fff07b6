//! The limits in kernel/netlink/icmptap.yaml are the ones that the module checks:
//! the kernel is asked for its policies (`CTRL_CMD_GETPOLICY`), and has to accept
//! the same attributes in the same requests, each within the same bounds.

use std::collections::BTreeMap;

use icmptap_proto::nlmsg::{attributes, messages};
use icmptap_sys as sys;
use icmptap_vm_tests::netlink::{Socket, header};
use icmptap_vm_tests::spec::{Check, Mode, Policy, Spec};

#[test]
fn the_module_checks_what_the_specification_says() {
    let commands = Spec::read().commands();
    let said: BTreeMap<Request, Policy> = commands
        .into_iter()
        .flat_map(|command| {
            let number = command.number;
            let requests = command.requests.into_iter();
            requests.map(move |(mode, policy)| ((number, mode), policy))
        })
        .collect();
    let mut checked = kernels_policies();
    // The kernel takes a nest, so that the module can refuse it with its own sentence.
    let subscribe = checked.get_mut(&(sys::ICMPTAP_CMD_SUBSCRIBE, Mode::Do));
    let counters = subscribe.and_then(|policy| policy.remove(&sys::ICMPTAP_SUB_COUNTERS));
    assert!(matches!(counters, Some(Check::Other(_))), "{counters:?}");
    for (request, attributes) in &said {
        assert_eq!(Some(attributes), checked.get(request), "{request:?}");
    }
    assert_eq!(
        said.keys().collect::<Vec<_>>(),
        checked.keys().collect::<Vec<_>>()
    );
}

/// A command's number and what is asked for.
type Request = (u32, Mode);

// linux/genetlink.h and linux/netlink.h.
const NLM_F_DUMP: u16 = 0x300;
const CTRL_CMD_GETPOLICY: u8 = 10;
const CTRL_ATTR_POLICY: u16 = 8;
const CTRL_ATTR_OP_POLICY: u16 = 9;
const CTRL_ATTR_POLICY_DO: u16 = 1;
const CTRL_ATTR_POLICY_DUMP: u16 = 2;
const NL_POLICY_TYPE_ATTR_TYPE: u16 = 1;
const NL_POLICY_TYPE_ATTR_MIN_VALUE_U: u16 = 4;
const NL_POLICY_TYPE_ATTR_MAX_VALUE_U: u16 = 5;
const NL_POLICY_TYPE_ATTR_MIN_LENGTH: u16 = 6;
const NL_POLICY_TYPE_ATTR_MAX_LENGTH: u16 = 7;
const NL_POLICY_TYPE_ATTR_MASK: u16 = 12;
const NL_ATTR_TYPE_FLAG: u64 = 1;
const NL_ATTR_TYPE_U32: u64 = 4;
const NL_ATTR_TYPE_BINARY: u64 = 10;

/// What the kernel says of the family, loaded as it is.
fn kernels_policies() -> BTreeMap<Request, Policy> {
    let mut requests: BTreeMap<Request, u64> = BTreeMap::new();
    let mut policies: BTreeMap<u64, Policy> = BTreeMap::new();
    for (kind, value) in policy_dump() {
        match kind {
            CTRL_ATTR_OP_POLICY => {
                for (command, modes) in nested(&value) {
                    for (mode, index) in nested(&modes) {
                        let mode = match mode {
                            CTRL_ATTR_POLICY_DO => Mode::Do,
                            CTRL_ATTR_POLICY_DUMP => Mode::Dump,
                            other => panic!("mode {other}"),
                        };
                        requests.insert((command.into(), mode), number(&index));
                    }
                }
            }
            CTRL_ATTR_POLICY => {
                for (index, attributes) in nested(&value) {
                    let policy = policies.entry(index.into()).or_default();
                    for (attribute, facts) in nested(&attributes) {
                        policy.insert(attribute.into(), check(&facts));
                    }
                }
            }
            // The family's id.
            _ => {}
        }
    }
    requests
        .into_iter()
        .map(|(request, index)| {
            // One in which every attribute is refused is not told of.
            let policy = policies.get(&index).cloned().unwrap_or_default();
            (request, policy)
        })
        .collect()
}

fn check(facts: &[u8]) -> Check {
    let facts: BTreeMap<u16, u64> = nested(facts)
        .into_iter()
        .map(|(kind, value)| (kind, number(&value)))
        .collect();
    let fact = |kind| facts.get(&kind).copied();
    match (
        fact(NL_POLICY_TYPE_ATTR_TYPE),
        fact(NL_POLICY_TYPE_ATTR_MASK),
    ) {
        (Some(NL_ATTR_TYPE_FLAG), None) => Check::Flag,
        (Some(NL_ATTR_TYPE_U32), Some(mask)) => Check::Mask(mask),
        (Some(NL_ATTR_TYPE_U32), None) => Check::Number {
            min: fact(NL_POLICY_TYPE_ATTR_MIN_VALUE_U).expect("a minimum"),
            max: fact(NL_POLICY_TYPE_ATTR_MAX_VALUE_U).expect("a maximum"),
        },
        (Some(NL_ATTR_TYPE_BINARY), None) => Check::Bytes {
            min: fact(NL_POLICY_TYPE_ATTR_MIN_LENGTH).unwrap_or(0),
            max: fact(NL_POLICY_TYPE_ATTR_MAX_LENGTH).expect("a maximum"),
        },
        _ => Check::Other(facts.into_keys().collect()),
    }
}

/// All attributes of the answer, with their types.
fn policy_dump() -> Vec<(u16, Vec<u8>)> {
    let socket = Socket::open(sys::NETLINK_GENERIC);
    let name = sys::ICMPTAP_GENL_NAME.to_bytes_with_nul();
    let flags = sys::NLM_F_REQUEST as u16 | NLM_F_DUMP;
    let attribute = 4 + name.len() as u16;
    let mut request = header(
        20 + u32::from(attribute),
        sys::GENL_ID_CTRL as u16,
        flags,
        0,
    );
    request.extend([CTRL_CMD_GETPOLICY, 1, 0, 0]);
    request.extend(attribute.to_ne_bytes());
    request.extend((sys::CTRL_ATTR_FAMILY_NAME as u16).to_ne_bytes());
    request.extend(name);
    socket.send(&request).expect("send");

    let mut all = Vec::new();
    loop {
        let datagram = socket.receive().expect("an answer");
        for message in messages(&datagram) {
            let message = message.expect("whole");
            if u32::from(message.kind) == sys::NLMSG_DONE {
                return all;
            }
            assert_eq!(u32::from(message.kind), sys::GENL_ID_CTRL, "{message:?}");
            all.extend(nested(message.generic().expect("generic").body));
        }
    }
}

fn nested(bytes: &[u8]) -> Vec<(u16, Vec<u8>)> {
    attributes(bytes, 0)
        .map(|attr| {
            let attr = attr.expect("an attribute");
            (attr.kind, attr.payload.to_vec())
        })
        .collect()
}

fn number(bytes: &[u8]) -> u64 {
    match bytes.len() {
        4 => u32::from_ne_bytes(bytes.try_into().expect("four")).into(),
        8 => u64::from_ne_bytes(bytes.try_into().expect("eight")),
        // What stands before a u64 to align it.
        0 => 0,
        other => panic!("a number of {other} bytes"),
    }
}
