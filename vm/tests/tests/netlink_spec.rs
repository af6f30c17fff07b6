//! The limits in kernel/netlink/icmptap.yaml are the ones that the module checks:
//! the kernel is asked for its policies (`CTRL_CMD_GETPOLICY`), and has to accept
//! the same attributes in the same requests, each within the same bounds.

use std::collections::BTreeMap;

use icmptap_proto::nlmsg::{attributes, messages};
use icmptap_sys as sys;
use icmptap_vm_tests::netlink::{Socket, header};
use serde::Deserialize;

const SPEC: &str = include_str!("../../../kernel/netlink/icmptap.yaml");

#[test]
fn the_module_checks_what_the_specification_says() {
    let spec: Spec = serde_saphyr::from_str(SPEC).expect("a specification");
    let (said, checked) = (spec.policies(), kernels_policies());
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

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Mode {
    Do,
    Dump,
}

/// By number, the attributes that a request may hold.
type Policy = BTreeMap<u32, Check>;

#[derive(Debug, Clone, PartialEq)]
enum Check {
    Flag,
    Number { min: u64, max: u64 },
    Mask(u64),
    Bytes { min: u64, max: u64 },
    Other(Vec<u16>),
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Spec {
    definitions: Vec<Definition>,
    attribute_sets: Vec<AttributeSet>,
    operations: Operations,
}

#[derive(Deserialize)]
struct Definition {
    name: String,
    r#type: String,
    value: Option<u64>,
    #[serde(default)]
    entries: Vec<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
struct AttributeSet {
    name: String,
    attributes: Vec<Attribute>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Attribute {
    name: String,
    r#type: String,
    r#enum: Option<String>,
    #[serde(default)]
    enum_as_flags: bool,
    #[serde(default)]
    checks: Checks,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Checks {
    min: Option<u64>,
    max: Option<u64>,
    max_len: Option<u64>,
    exact_len: Option<Length>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Length {
    Bytes(u64),
    Constant(String),
}

#[derive(Deserialize)]
struct Operations {
    list: Vec<Operation>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Operation {
    attribute_set: Option<String>,
    r#do: Option<Exchange>,
    dump: Option<Exchange>,
}

#[derive(Deserialize)]
struct Exchange {
    #[serde(default)]
    request: Names,
}

#[derive(Default, Deserialize)]
struct Names {
    attributes: Vec<String>,
}

impl Spec {
    fn policies(&self) -> BTreeMap<Request, Policy> {
        let mut policies = BTreeMap::new();
        // The first is number 0; none of ours leaves one out.
        for (operation, number) in self.operations.list.iter().zip(0..) {
            let modes = [(Mode::Do, &operation.r#do), (Mode::Dump, &operation.dump)];
            for (mode, exchange) in modes {
                let Some(exchange) = exchange else { continue };
                let set = operation.attribute_set.as_deref().expect("a set");
                policies.insert(
                    (number, mode),
                    self.policy(set, &exchange.request.attributes),
                );
            }
        }
        policies
    }

    fn policy(&self, set: &str, names: &[String]) -> Policy {
        let set = self.attribute_sets.iter().find(|it| it.name == set);
        let attributes = &set.expect("the set").attributes;
        let number = |name: &String| attributes.iter().position(|it| it.name == *name);
        let numbers = names.iter().map(|name| number(name).expect("the name"));
        numbers
            .map(|number| (number as u32, self.check(&attributes[number])))
            .collect()
    }

    fn check(&self, attribute: &Attribute) -> Check {
        let checks = &attribute.checks;
        if attribute.name == "batch" {
            let info = icmptap::Client::open().expect("open").info().expect("info");
            return Check::Number {
                min: info.batch_min.0.into(),
                max: info.batch_max.0.into(),
            };
        }
        match (attribute.r#type.as_str(), &attribute.r#enum) {
            ("flag", None) => Check::Flag,
            ("u32", Some(name)) => {
                let definition = self.definition(name);
                let count = definition.entries.len() as u64;
                if definition.r#type == "flags" || attribute.enum_as_flags {
                    Check::Mask((1 << count) - 1)
                } else {
                    let max = count - 1;
                    Check::Number { min: 0, max }
                }
            }
            ("u32", None) => Check::Number {
                min: checks.min.unwrap_or(0),
                max: checks.max.unwrap_or(u32::MAX.into()),
            },
            ("binary", None) => match &checks.exact_len {
                Some(length) => {
                    let length = match length {
                        Length::Bytes(bytes) => *bytes,
                        Length::Constant(name) => self.definition(name).value.expect("a value"),
                    };
                    Check::Bytes {
                        min: length,
                        max: length,
                    }
                }
                None => Check::Bytes {
                    min: 0,
                    max: checks.max_len.expect("a length"),
                },
            },
            (other, _) => panic!("{}: what is checked of a {other}?", attribute.name),
        }
    }

    fn definition(&self, name: &str) -> &Definition {
        let found = self.definitions.iter().find(|it| it.name == name);
        found.unwrap_or_else(|| panic!("{name} is not defined"))
    }
}

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
