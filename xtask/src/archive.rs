//! Debian's archive: where it is, what is in it, and taking packages from it.
//!
//! Nothing is believed because of where it came from: a package is what its
//! pinned hash says, and a new pin comes only from an index signed by Debian.

pub(crate) mod deb;
mod deb822;
pub(crate) mod download;
pub(crate) mod index;
pub(crate) mod lock;
pub(crate) mod mirror;
#[cfg(test)]
pub(crate) mod test_server;
pub(crate) mod version;
