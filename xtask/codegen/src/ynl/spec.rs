//! Our YNL specification, and what it says in C's names.
//!
//! Only what the contract is made of is read here; whether the file is a good
//! specification is for the kernel's own tools to say.

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use super::contract::Contract;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Spec {
    name: String,
    version: u32,
    c_family_name: String,
    c_version_name: String,
    definitions: Vec<Definition>,
    attribute_sets: Vec<AttributeSet>,
    operations: Operations,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
enum Definition {
    Const { name: String, value: u64 },
    Enum(Values),
    Flags(Values),
    Struct { name: String, members: Vec<Member> },
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Values {
    name: String,
    name_prefix: Option<String>,
    #[serde(default)]
    render_max: bool,
    entries: Vec<Entry>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Entry {
    Name(String),
    Documented { name: String },
}

#[derive(Debug, Deserialize)]
struct Member {
    name: String,
    r#type: Scalar,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Scalar {
    U8 = 1,
    U16 = 2,
    U32 = 4,
    U64 = 8,
}

/// Attributes and commands count up, from where `value` says.
#[derive(Debug, Deserialize)]
struct Numbered {
    name: String,
    value: Option<u32>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct AttributeSet {
    name_prefix: String,
    attributes: Vec<Numbered>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Operations {
    name_prefix: String,
    list: Vec<Numbered>,
}

impl Spec {
    pub(crate) fn parse(yaml: &str) -> Result<Spec> {
        serde_saphyr::from_str(yaml).context("not a specification of a family")
    }

    /// All names and values, under the names that YNL gives them in C.
    pub(crate) fn contract(&self) -> Result<Contract> {
        let mut contract = Contract::default();
        contract.add(upper("", &self.c_family_name), &self.name)?;
        contract.add(upper("", &self.c_version_name), self.version)?;
        for definition in &self.definitions {
            self.add_definition(&mut contract, definition)?;
        }
        for set in &self.attribute_sets {
            add_numbered(&mut contract, &set.name_prefix, &set.attributes)?;
        }
        let operations = &self.operations;
        add_numbered(&mut contract, &operations.name_prefix, &operations.list)?;
        Ok(contract)
    }

    fn add_definition(&self, contract: &mut Contract, definition: &Definition) -> Result<()> {
        let own = format!("{}-", self.name);
        match definition {
            Definition::Const { name, value } => contract.add(upper(&own, name), value),
            Definition::Enum(values) => self.add_values(contract, values, |place| place),
            Definition::Flags(values) => self.add_values(contract, values, |place| 1 << place),
            Definition::Struct { name, members } => add_struct(contract, name, members),
        }
    }

    fn add_values(
        &self,
        contract: &mut Contract,
        values: &Values,
        value: impl Fn(usize) -> usize,
    ) -> Result<()> {
        let prefix = match &values.name_prefix {
            Some(prefix) => prefix.clone(),
            None => format!("{}-{}-", self.name, values.name),
        };
        for (place, entry) in values.entries.iter().enumerate() {
            let (Entry::Name(name) | Entry::Documented { name }) = entry;
            contract.add(upper(&prefix, name), value(place))?;
        }
        if values.render_max {
            add_max(contract, &prefix, values.entries.len())?;
        }
        Ok(())
    }
}

fn add_numbered(contract: &mut Contract, prefix: &str, all: &[Numbered]) -> Result<()> {
    let mut next = 1;
    for one in all {
        let value = one.value.unwrap_or(next);
        contract.add(upper(prefix, &one.name), value)?;
        next = value + 1;
    }
    add_max(contract, prefix, next as usize)
}

fn add_max(contract: &mut Contract, prefix: &str, count: usize) -> Result<()> {
    ensure!(count > 0, "{prefix} has no names");
    contract.add(format!("__{}", upper(prefix, "max")), count)?;
    contract.add(upper(prefix, "max"), count - 1)
}

/// YNL's structs have no holes.
fn add_struct(contract: &mut Contract, name: &str, members: &[Member]) -> Result<()> {
    let name = name.replace('-', "_");
    let mut offset = 0;
    for member in members {
        let field = member.name.replace('-', "_");
        contract.add(format!("{name}.{field}"), format!("at {offset}"))?;
        offset += member.r#type as usize;
    }
    contract.add(name, format!("{offset} bytes"))
}

fn upper(prefix: &str, name: &str) -> String {
    format!("{prefix}{name}").replace('-', "_").to_uppercase()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::{gen_bindings, ynl};
    use xtask_host::workspace;

    /// The step "bindings" of `cargo xtask test` holds bindings.rs against the header.
    #[test]
    fn specification_and_header_say_the_same() {
        let root = workspace::root();
        let read = |path| fs::read_to_string(root.join(path)).unwrap();
        let spec = Spec::parse(&read(ynl::SPEC)).unwrap().contract().unwrap();
        let header = Contract::of_bindings(&read(gen_bindings::OUTPUT)).unwrap();
        let differences = spec.differences(&header);
        assert!(
            differences.is_empty(),
            "specification / header:\n{}",
            differences.join("\n")
        );
    }

    #[test]
    fn names_and_values_are_those_that_ynl_gives() {
        let spec = Spec::parse(
            "
name: toy
version: 3
c-family-name: toy-genl-name
c-version-name: toy-genl-version
definitions:
  - {name: some-len, type: const, value: 0x20}
  - {name: way, type: enum, render-max: true, entries: [up, {name: all-down, doc: x}]}
  - {name: bits, type: flags, name-prefix: toy-f-, entries: [a, b, c]}
  - name: toy-head
    type: struct
    members: [{name: x-len, type: u16}, {name: pos, type: u64}, {name: z, type: u8}]
attribute-sets:
  - {name: one, name-prefix: toy-a-, attributes: [{name: none, type: unused, value: 0}, {name: b, type: u8}]}
  - {name: two, name-prefix: toy-b-, attributes: [{name: a, type: u8}, {name: c, type: u8, value: 7}]}
operations:
  name-prefix: toy-cmd-
  list: [{name: get-it, doc: x}]
",
        )
        .unwrap();
        let mut expected = Contract::default();
        for (name, value) in [
            ("TOY_GENL_NAME", "toy"),
            ("TOY_GENL_VERSION", "3"),
            ("TOY_SOME_LEN", "32"),
            ("TOY_WAY_UP", "0"),
            ("TOY_WAY_ALL_DOWN", "1"),
            ("__TOY_WAY_MAX", "2"),
            ("TOY_WAY_MAX", "1"),
            ("TOY_F_A", "1"),
            ("TOY_F_B", "2"),
            ("TOY_F_C", "4"),
            ("toy_head.x_len", "at 0"),
            ("toy_head.pos", "at 2"),
            ("toy_head.z", "at 10"),
            ("toy_head", "11 bytes"),
            ("TOY_A_NONE", "0"),
            ("TOY_A_B", "1"),
            ("__TOY_A_MAX", "2"),
            ("TOY_A_MAX", "1"),
            ("TOY_B_A", "1"),
            ("TOY_B_C", "7"),
            ("__TOY_B_MAX", "8"),
            ("TOY_B_MAX", "7"),
            ("TOY_CMD_GET_IT", "1"),
            ("__TOY_CMD_MAX", "2"),
            ("TOY_CMD_MAX", "1"),
        ] {
            expected.add(name.to_owned(), value).unwrap();
        }
        let found = spec.contract().unwrap();
        assert_eq!(found.differences(&expected), [""; 0]);
    }
}
