//! What a netlink contract says, however it is written: names with their
//! values, and where the fields of structs lie. So that any two can be compared.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, bail, ensure};
use syn::{Expr, Item, Lit};

/// Each thing by its name in C, with its value: `ICMPTAP_CMD_FLUSH` with `4`,
/// `icmptap_batch.seq` with `at 12`.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Contract(BTreeMap<String, String>);

impl Contract {
    /// From what bindgen makes of a header, or from bindings.rs.
    pub(crate) fn of_bindings(text: &str) -> Result<Contract> {
        let mut contract = Contract::default();
        let file = syn::parse_file(text).context("not Rust")?;
        for item in &file.items {
            let Item::Const(constant) = item else {
                continue;
            };
            let name = constant.ident.to_string();
            match &*constant.expr {
                Expr::Block(block) => contract.add_layout(block)?,
                Expr::Lit(lit) if is_ours(&name) => match &lit.lit {
                    Lit::Int(number) => contract.add(name, number.base10_digits())?,
                    Lit::CStr(text) => contract.add(name, text.value().to_string_lossy())?,
                    _ => bail!("{name}: neither a number nor a string"),
                },
                _ => ensure!(!is_ours(&name), "{name}: neither a number nor a string"),
            }
        }
        Ok(contract)
    }

    /// Adds what was not there before.
    pub(crate) fn add(&mut self, name: String, value: impl ToString) -> Result<()> {
        let value = value.to_string();
        if let Some(before) = self.0.insert(name.clone(), value) {
            bail!("{name} is there twice, with {before} before");
        }
        Ok(())
    }

    /// The family's constants alone.
    pub(crate) fn constants(mut self) -> Contract {
        self.0.retain(|name, _| is_the_familys(name));
        self
    }

    /// How `self` is not like `other`, a line for each name; both ways.
    pub(crate) fn differences(&self, other: &Contract) -> Vec<String> {
        let names: BTreeSet<_> = self.0.keys().chain(other.0.keys()).collect();
        let shown = |contract: &Contract, name| {
            let value = contract.0.get(name).map(String::as_str);
            value.unwrap_or("not there").to_owned()
        };
        names
            .into_iter()
            .filter(|name| self.0.get(*name) != other.0.get(*name))
            .map(|name| format!("{name}: {} / {}", shown(self, name), shown(other, name)))
            .collect()
    }

    /// bindgen's layout assertions: `["Size of NAME"][size_of::<NAME>() - 28usize]`.
    fn add_layout(&mut self, block: &syn::ExprBlock) -> Result<()> {
        for statement in &block.block.stmts {
            let (what, number) = assertion(statement).context("not a layout assertion")?;
            if let Some(name) = what.strip_prefix("Size of ")
                && is_our_struct(name)
            {
                self.add(name.to_owned(), format!("{number} bytes"))?;
            } else if let Some(field) = what.strip_prefix("Offset of field: ")
                && is_our_struct(field)
            {
                self.add(field.replace("::", "."), format!("at {number}"))?;
            }
        }
        Ok(())
    }
}

fn assertion(statement: &syn::Stmt) -> Option<(String, String)> {
    let syn::Stmt::Expr(Expr::Index(index), _) = statement else {
        return None;
    };
    let Expr::Array(texts) = &*index.expr else {
        return None;
    };
    let Expr::Binary(difference) = &*index.index else {
        return None;
    };
    match (texts.elems.first()?, &*difference.right) {
        (Expr::Lit(text), Expr::Lit(number)) => match (&text.lit, &number.lit) {
            (Lit::Str(text), Lit::Int(number)) => {
                Some((text.value(), number.base10_digits().to_owned()))
            }
            _ => None,
        },
        _ => None,
    }
}

/// The family's constants, and the kernel's that it uses.
fn is_ours(name: &str) -> bool {
    is_the_familys(name) || name.starts_with("NF_INET_")
}

fn is_the_familys(name: &str) -> bool {
    name.trim_start_matches('_').starts_with("ICMPTAP_")
}

fn is_our_struct(name: &str) -> bool {
    name.starts_with("icmptap_")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contract(entries: &[(&str, &str)]) -> Contract {
        let mut contract = Contract::default();
        for (name, value) in entries {
            contract.add((*name).to_owned(), value).unwrap();
        }
        contract
    }

    #[test]
    fn constants_and_layouts_are_read_from_bindings() {
        let text = r#"
            pub const NLM_F_ACK: u32 = 4;
            pub const ICMPTAP_NAME: &::core::ffi::CStr = c"icmptap";
            pub const __ICMPTAP_CMD_MAX: u32 = 8;
            pub const NF_INET_FORWARD: u32 = 2;
            pub struct nlattr { pub nla_len: __u16 }
            const _: () = { ["Size of nlattr"][::core::mem::size_of::<nlattr>() - 4usize]; };
            const _: () = {
                ["Size of icmptap_batch"][::core::mem::size_of::<icmptap_batch>() - 28usize];
                ["Alignment of icmptap_batch"][::core::mem::align_of::<icmptap_batch>() - 4usize];
                ["Offset of field: icmptap_batch::seq"]
                    [::core::mem::offset_of!(icmptap_batch, seq) - 12usize];
            };
        "#;
        let expected = contract(&[
            ("ICMPTAP_NAME", "icmptap"),
            ("__ICMPTAP_CMD_MAX", "8"),
            ("NF_INET_FORWARD", "2"),
            ("icmptap_batch", "28 bytes"),
            ("icmptap_batch.seq", "at 12"),
        ]);
        assert_eq!(Contract::of_bindings(text).unwrap(), expected);
        assert_eq!(
            expected.constants(),
            contract(&[("ICMPTAP_NAME", "icmptap"), ("__ICMPTAP_CMD_MAX", "8")])
        );
    }

    #[test]
    fn a_constant_that_is_not_understood_is_an_error() {
        let error = Contract::of_bindings("pub const ICMPTAP_X: u32 = 1 << 3;").unwrap_err();
        assert_eq!(
            error.to_string(),
            "ICMPTAP_X: neither a number nor a string"
        );
    }

    #[test]
    fn what_is_in_one_only_or_has_another_value_is_a_difference() {
        let one = contract(&[("A", "1"), ("B", "2"), ("C", "3")]);
        let other = contract(&[("A", "1"), ("B", "4"), ("D", "5")]);
        assert_eq!(
            one.differences(&other),
            ["B: 2 / 4", "C: 3 / not there", "D: not there / 5"]
        );
        assert!(one.differences(&one).is_empty());
    }
}
