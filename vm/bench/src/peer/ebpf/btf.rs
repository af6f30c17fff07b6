//! Where the kernel has its fields, and its functions' numbers: from its own
//! description of its types (`linux/btf.h`, Documentation/bpf/btf.rst).
//!
//! The crate for it, `btf-rs`, is under the LGPL, and this is linked statically.

use std::collections::HashMap;
use std::fs;

use anyhow::{Context, Result, ensure};

/// The kernel's types. Their numbers start at 1.
pub(super) struct Btf {
    bytes: Vec<u8>,
    strings: usize,
    /// Where they are, by kind and name.
    named: HashMap<(u8, String), u32>,
    at: Vec<usize>,
}

const STRUCT: u8 = 4;
const UNION: u8 = 5;
const FUNCTION: u8 = 12;

impl Btf {
    pub(super) fn of_kernel() -> Result<Btf> {
        let path = "/sys/kernel/btf/vmlinux";
        Btf::read(fs::read(path).context(path)?)
    }

    fn read(bytes: Vec<u8>) -> Result<Btf> {
        ensure!(bytes.starts_with(&0xeb9f_u16.to_ne_bytes()), "no BTF");
        let [header, types, len, strings] = [4, 8, 12, 16].map(|at| u32_at(&bytes, at) as usize);
        let mut btf = Btf {
            strings: header + strings,
            named: HashMap::new(),
            at: vec![0],
            bytes,
        };
        let (mut at, end) = (header + types, header + types + len);
        while at < end {
            let (kind, count) = btf.kind(at);
            let name = btf.text(u32_at(&btf.bytes, at));
            let id = btf.at.len() as u32;
            btf.named.insert((kind, name), id);
            btf.at.push(at);
            // As kinds 1 to 19 are: what is behind the common part, and for each of
            // `count`.
            let (fixed, each) = match kind {
                STRUCT | UNION | 19 => (0, 12),
                6 | 13 => (0, 8),
                15 => (0, 12),
                3 => (12, 0),
                1 | 14 | 17 => (4, 0),
                _ => (0, 0),
            };
            at += 12 + fixed + each * count;
        }
        Ok(btf)
    }

    /// A function's number.
    pub(super) fn function(&self, name: &str) -> Result<u32> {
        let id = self.named.get(&(FUNCTION, name.to_owned()));
        id.copied().with_context(|| format!("no function {name}"))
    }

    /// Where in a struct a field is, in bytes.
    pub(super) fn field(&self, of: &str, name: &str) -> Result<i16> {
        let id = self.named.get(&(STRUCT, of.to_owned()));
        let id = id.with_context(|| format!("no struct {of}"))?;
        let bits = self.bits(*id, name);
        let bits = bits.with_context(|| format!("no field {name} in {of}"))?;
        ensure!(bits % 8 == 0, "{name} in {of} is a bit field");
        Ok(i16::try_from(bits / 8)?)
    }

    /// Those of structs without a name are the outer one's.
    fn bits(&self, id: u32, name: &str) -> Option<u32> {
        let at = self.at[id as usize];
        let (kind, count) = self.kind(at);
        if kind != STRUCT && kind != UNION {
            return None;
        }
        (0..count).find_map(|nth| {
            let [called, id, offset] =
                [0, 4, 8].map(|field| u32_at(&self.bytes, at + 12 + nth * 12 + field));
            // The rest of it is a bit field's size.
            let offset = offset & 0x00ff_ffff;
            match self.text(called) {
                this if this == name => Some(offset),
                this if this.is_empty() => Some(offset + self.bits(id, name)?),
                _ => None,
            }
        })
    }

    fn kind(&self, at: usize) -> (u8, usize) {
        let info = u32_at(&self.bytes, at + 4);
        ((info >> 24 & 0x1f) as u8, (info & 0xffff) as usize)
    }

    fn text(&self, at: u32) -> String {
        let text = &self.bytes[self.strings + at as usize..];
        let end = text.iter().position(|byte| *byte == 0);
        String::from_utf8_lossy(&text[..end.unwrap_or(text.len())]).into_owned()
    }
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_ne_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_a_struct_without_a_name_are_the_outer_ones() {
        let strings = b"\0outer\0a\0b\0f\0";
        let [outer, a, b, f] = [1, 7, 9, 11];
        let head = |name, kind: u32, count| [name, kind << 24 | count, 0];
        let types: Vec<u32> = [
            // 1: a number, with what it has behind the common part
            &head(0, 1, 0)[..],
            &[32],
            // 2: struct { u32 b; u32 f:4; }
            &head(0, 4, 2),
            &[b, 1, 0],
            &[f, 1, 4 << 24 | 36],
            // 3: struct outer { u32 a; (2); }
            &head(outer, 4, 2),
            &[a, 1, 0],
            &[0, 2, 32],
            // 4: a function
            &head(f, 12, 0),
        ]
        .concat();
        let length = types.len() as u32 * 4;
        let header = [0x0001_eb9f, 24, 0, length, length, strings.len() as u32];
        let mut bytes: Vec<u8> = header.iter().flat_map(|word| word.to_ne_bytes()).collect();
        bytes.extend(types.iter().flat_map(|word| word.to_ne_bytes()));
        bytes.extend(strings);
        let btf = Btf::read(bytes).unwrap();
        assert_eq!(btf.field("outer", "a").unwrap(), 0);
        assert_eq!(btf.field("outer", "b").unwrap(), 4);
        assert_eq!(btf.function("f").unwrap(), 4);
        for (of, name) in [("outer", "f"), ("outer", "x"), ("inner", "a")] {
            assert!(btf.field(of, name).is_err(), "{name} in {of}");
        }
    }
}
