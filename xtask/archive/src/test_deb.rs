//! Packages that tests make.

use std::io;

use liblzma::write::XzEncoder;

/// A package made for a test.
pub struct Deb(tar::Builder<Vec<u8>>);

impl Deb {
    /// With nothing in it.
    #[expect(clippy::new_without_default, reason = "tests say what they make")]
    pub fn new() -> Deb {
        Deb(tar::Builder::new(Vec::new()))
    }

    /// With this file, too.
    pub fn file(mut self, path: &str, mode: u32, text: &[u8]) -> Deb {
        let mut header = tar::Header::new_gnu();
        // Written raw, since the builder refuses the paths that we must refuse too.
        header.as_gnu_mut().unwrap().name[..path.len()].copy_from_slice(path.as_bytes());
        header.set_mode(mode);
        header.set_size(text.len() as u64);
        header.set_cksum();
        self.0.append(&header, text).unwrap();
        self
    }

    /// With this symbolic link, too.
    pub fn link(mut self, path: &str, target: &str) -> Deb {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_size(0);
        self.0.append_link(&mut header, path, target).unwrap();
        self
    }

    /// The package as it lies in an archive.
    pub fn bytes(self) -> Vec<u8> {
        let mut xz = XzEncoder::new(Vec::new(), 1);
        io::copy(&mut &self.0.into_inner().unwrap()[..], &mut xz).unwrap();
        archive(&[
            ("debian-binary", b"2.0\n"),
            ("control.tar.xz", b""),
            ("data.tar.xz", &xz.finish().unwrap()),
        ])
    }
}

/// An `ar` archive of these files, which a package is.
pub(crate) fn archive(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = ar::Builder::new(Vec::new());
    for (name, bytes) in members {
        archive
            .append(
                &ar::Header::new(name.as_bytes().to_vec(), bytes.len() as u64),
                *bytes,
            )
            .unwrap();
    }
    archive.into_inner().unwrap()
}
