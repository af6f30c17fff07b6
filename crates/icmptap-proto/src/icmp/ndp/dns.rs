//! Options that say where and how names are resolved (RFC 8106).

use std::{
    fmt::{self, Write},
    net::Ipv6Addr,
};

use crate::{
    Name,
    bytes::{addresses, be32},
};

/// Where names are resolved (RFC 8106).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rdnss<'a> {
    /// How long, in seconds; all ones: for ever.
    pub lifetime: u32,
    servers: &'a [u8],
}

impl<'a> Rdnss<'a> {
    /// `None` unless there are one or more whole addresses (RFC 8106 section
    /// 5.1).
    pub(super) fn decode(data: &'a [u8]) -> Option<Self> {
        let lifetime = be32(data, 2)?;
        let servers = data.get(6..)?;
        let is_list = !servers.is_empty() && servers.len().is_multiple_of(16);
        is_list.then_some(Self { lifetime, servers })
    }

    /// The servers.
    pub fn servers(&self) -> impl Iterator<Item = Ipv6Addr> + use<'a> {
        addresses(self.servers)
    }
}

/// Where short names are looked for (RFC 8106).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Dnssl<'a> {
    /// How long, in seconds; all ones: for ever.
    pub lifetime: u32,
    domains: &'a [u8],
}

impl<'a> Dnssl<'a> {
    /// `None` unless there are one or more names and then only zeros (RFC 8106
    /// section 5.2). Names are whole: there is no compression.
    pub(super) fn decode(data: &'a [u8]) -> Option<Self> {
        let lifetime = be32(data, 2)?;
        let domains = data.get(6..)?;
        let (_, mut rest) = Domain::split(domains)?;
        while let Some((_, after)) = Domain::split(rest) {
            rest = after;
        }
        let is_padding = rest.iter().all(|byte| *byte == 0);
        is_padding.then_some(Self { lifetime, domains })
    }

    /// The domains.
    #[must_use]
    pub fn domains(&self) -> Domains<'a> {
        Domains { rest: self.domains }
    }
}

/// See [`Dnssl::domains`].
#[derive(Debug, Clone)]
pub struct Domains<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Domains<'a> {
    type Item = Domain<'a>;

    fn next(&mut self) -> Option<Domain<'a>> {
        let (domain, rest) = Domain::split(self.rest)?;
        self.rest = rest;
        Some(domain)
    }
}

/// A domain name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Domain<'a> {
    /// Each with its length in front; all are whole.
    labels: &'a [u8],
}

impl<'a> Domain<'a> {
    /// The name with which the bytes start, and what follows it. `None` if they
    /// start with no name, or with that of the root.
    pub(super) fn split(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let mut end = 0;
        loop {
            match usize::from(*bytes.get(end)?) {
                0 => break,
                len @ 1..=63 => end += 1 + len,
                // A pointer to another name, or nothing that RFC 1035 has.
                _ => return None,
            }
        }
        // With the zero at the end, 255 bytes are the most.
        let is_name = (1..NAME_MAX).contains(&end);
        let labels = bytes.get(..end).filter(|_| is_name)?;
        Some((Self { labels }, &bytes[end + 1..]))
    }
}

/// Bytes of a name at most (RFC 1035 section 2.3.4).
const NAME_MAX: usize = 255;

/// With dots between its labels, and none at the end. A label is written as
/// [`Name`] does it, with a backslash in front of a dot of its own (RFC 1035
/// section 5.1), and of a comma, which divides the names of a list.
impl fmt::Display for Domain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.labels;
        while let Some((len, after)) = rest.split_first() {
            let (label, after) = after.split_at(usize::from(*len).min(after.len()));
            Name(label).write(f, &['.', ','])?;
            if !after.is_empty() {
                f.write_char('.')?;
            }
            rest = after;
        }
        Ok(())
    }
}
