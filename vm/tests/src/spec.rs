//! `kernel/netlink/icmptap.yaml`, read: which requests there are, and what each
//! attribute of theirs may hold.

use std::collections::BTreeMap;

use serde::Deserialize;

const SPEC: &str = include_str!("../../../kernel/netlink/icmptap.yaml");

/// A command, with the requests that there are of it.
pub struct Command {
    /// Its number.
    pub number: u32,
    /// Its name.
    pub name: String,
    /// The names of all attributes of its set, each at its number.
    pub attributes: Vec<String>,
    /// What may be asked, and with which attributes.
    pub requests: BTreeMap<Mode, Policy>,
}

/// How a command is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mode {
    /// For one answer.
    Do,
    /// For a row of them.
    Dump,
}

/// By number, the attributes that a request may hold.
pub type Policy = BTreeMap<u32, Check>;

/// What an attribute may hold.
#[derive(Debug, Clone, PartialEq)]
pub enum Check {
    /// Nothing: it is there, or not.
    Flag,
    /// A u32 within these bounds.
    Number {
        /// The least.
        min: u64,
        /// The most.
        max: u64,
    },
    /// A u32 with no other bits than these.
    Mask(u64),
    /// So many bytes.
    Bytes {
        /// At least.
        min: u64,
        /// At most.
        max: u64,
    },
    /// What only the kernel has words for.
    Other(Vec<u16>),
}

/// The file.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Spec {
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
    name: String,
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
    /// Reads it.
    pub fn read() -> Self {
        serde_saphyr::from_str(SPEC).expect("a specification")
    }

    /// All commands that can be asked for. Bounds that depend on the kernel are
    /// asked of the module, which has to be loaded.
    pub fn commands(&self) -> Vec<Command> {
        // The first is number 0; none of ours leaves one out.
        let numbered = self.operations.list.iter().zip(0..);
        numbered
            .map(|(operation, number)| self.command(operation, number))
            .filter(|command| !command.requests.is_empty())
            .collect()
    }

    fn command(&self, operation: &Operation, number: u32) -> Command {
        let modes = [(Mode::Do, &operation.r#do), (Mode::Dump, &operation.dump)];
        let set = operation.attribute_set.as_deref();
        let requests = modes.into_iter().filter_map(|(mode, exchange)| {
            let names = &exchange.as_ref()?.request.attributes;
            Some((mode, self.policy(set.expect("a set"), names)))
        });
        let attributes = set.map(|set| self.set(set)).unwrap_or_default();
        Command {
            number,
            name: operation.name.clone(),
            attributes: attributes.iter().map(|it| it.name.clone()).collect(),
            requests: requests.collect(),
        }
    }

    fn set(&self, name: &str) -> &[Attribute] {
        let set = self.attribute_sets.iter().find(|it| it.name == name);
        &set.expect("the set").attributes
    }

    fn policy(&self, set: &str, names: &[String]) -> Policy {
        let attributes = self.set(set);
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
