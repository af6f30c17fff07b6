//! The archive format of an initramfs ("newc"; the kernel's
//! Documentation/driver-api/early-userspace/buffer-format.rst).
//!
//! The same tree gives the same bytes: sorted, dated 1970, owned by root, numbered
//! in order.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What is to be in the archive, by path without a leading slash.
#[derive(Default)]
pub(crate) struct Tree(BTreeMap<String, Node>);

enum Node {
    Directory,
    File { mode: u32, content: Content },
    Symlink(Vec<u8>),
    CharacterDevice { mode: u32, major: u32, minor: u32 },
}

enum Content {
    Bytes(Vec<u8>),
    Of(PathBuf),
}

impl Tree {
    /// A file or symbolic link of the host, as this path and with these permissions.
    pub(crate) fn copy(&mut self, path: &str, mode: u32, source: &Path) -> io::Result<()> {
        let metadata = fs::symlink_metadata(source)?;
        if metadata.is_symlink() {
            let target = fs::read_link(source)?;
            self.add(path, Node::Symlink(target.as_os_str().as_bytes().to_vec()));
        } else {
            let content = Content::Of(source.to_owned());
            self.add(path, Node::File { mode, content });
        }
        Ok(())
    }

    /// A file with this content.
    pub(crate) fn file(&mut self, path: &str, mode: u32, content: impl Into<Vec<u8>>) {
        let content = Content::Bytes(content.into());
        self.add(path, Node::File { mode, content });
    }

    /// A symbolic link.
    pub(crate) fn symlink(&mut self, path: &str, target: &str) {
        self.add(path, Node::Symlink(target.into()));
    }

    /// An empty directory.
    pub(crate) fn directory(&mut self, path: &str) {
        self.add(path, Node::Directory);
    }

    /// A character device.
    pub(crate) fn device(&mut self, path: &str, mode: u32, major: u32, minor: u32) {
        self.add(path, Node::CharacterDevice { mode, major, minor });
    }

    /// Whether something has this path.
    pub(crate) fn contains(&self, path: &str) -> bool {
        self.0.contains_key(path)
    }

    fn add(&mut self, path: &str, node: Node) {
        let path = path.trim_start_matches('/');
        for (slash, _) in path.match_indices('/') {
            let parent = path[..slash].to_owned();
            self.0.entry(parent).or_insert(Node::Directory);
        }
        self.0.insert(path.to_owned(), node);
    }

    /// One line for each entry, which differs when the entry's bytes may: what
    /// lies in files is told by their size and time.
    pub(crate) fn inputs(&self) -> io::Result<String> {
        let mut text = String::new();
        for (path, node) in &self.0 {
            let what = match node {
                Node::Directory => "directory".to_owned(),
                Node::Symlink(target) => format!("-> {:?}", String::from_utf8_lossy(target)),
                Node::CharacterDevice { mode, major, minor } => {
                    format!("{mode:o} device {major}:{minor}")
                }
                Node::File { mode, content } => match content {
                    Content::Bytes(bytes) => {
                        format!("{mode:o} {:?}", String::from_utf8_lossy(bytes))
                    }
                    Content::Of(source) => {
                        let metadata = metadata(source)?;
                        format!(
                            "{mode:o} {} {} {}.{:09}",
                            source.display(),
                            metadata.len(),
                            metadata.mtime(),
                            metadata.mtime_nsec()
                        )
                    }
                },
            };
            text.push_str(&format!("{path} {what}\n"));
        }
        Ok(text)
    }

    /// Writes the archive, a multiple of 512 bytes: another may follow it.
    pub(crate) fn write(&self, out: &mut impl Write) -> io::Result<()> {
        let mut out = Counter { out, written: 0 };
        for (index, (path, node)) in self.0.iter().enumerate() {
            let bytes;
            let (mode, device, content): (u32, (u32, u32), &[u8]) = match node {
                Node::Directory => (0o040_755, (0, 0), &[]),
                Node::Symlink(target) => (0o120_777, (0, 0), target),
                Node::CharacterDevice { mode, major, minor } => {
                    (0o020_000 | mode, (*major, *minor), &[])
                }
                Node::File { mode, content } => {
                    let content = match content {
                        Content::Bytes(bytes) => bytes,
                        Content::Of(source) => {
                            bytes = read(source)?;
                            &bytes
                        }
                    };
                    (0o100_000 | mode, (0, 0), content)
                }
            };
            out.entry(index as u32 + 1, path, mode, device, content)?;
        }
        out.entry(0, "TRAILER!!!", 0, (0, 0), &[])?;
        out.pad(512)
    }
}

fn metadata(path: &Path) -> io::Result<fs::Metadata> {
    fs::metadata(path).map_err(|error| named(path, &error))
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    fs::read(path).map_err(|error| named(path, &error))
}

fn named(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

struct Counter<'a, W> {
    out: &'a mut W,
    written: usize,
}

impl<W: Write> Counter<'_, W> {
    fn entry(
        &mut self,
        inode: u32,
        path: &str,
        mode: u32,
        (major, minor): (u32, u32),
        content: &[u8],
    ) -> io::Result<()> {
        let size = u32::try_from(content.len()).map_err(|_| {
            let why = format!("{path} is too big for an initramfs: 4 GiB is the limit");
            io::Error::new(io::ErrorKind::FileTooLarge, why)
        })?;
        let links = if mode & 0o040_000 == 0 { 1 } else { 2 };
        let name_size = path.len() as u32 + 1;
        let mut header = String::from("070701");
        for field in [
            inode, mode, 0, 0, links, 0, size, 0, 0, major, minor, name_size, 0,
        ] {
            header.push_str(&format!("{field:08x}"));
        }
        self.put(header.as_bytes())?;
        self.put(path.as_bytes())?;
        self.put(&[0])?;
        self.pad(4)?;
        self.put(content)?;
        self.pad(4)
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.written += bytes.len();
        self.out.write_all(bytes)
    }

    fn pad(&mut self, to: usize) -> io::Result<()> {
        let missing = self.written.next_multiple_of(to) - self.written;
        self.put(&[0; 512][..missing])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Eq)]
    struct Entry {
        path: String,
        fields: [u32; 13],
        content: Vec<u8>,
    }

    /// An independent reader, as strict as the kernel's.
    fn parse(mut bytes: &[u8]) -> Vec<Entry> {
        let mut entries = Vec::new();
        loop {
            assert_eq!(&bytes[..6], b"070701");
            let mut fields = [0; 13];
            for (i, field) in fields.iter_mut().enumerate() {
                let text = std::str::from_utf8(&bytes[6 + 8 * i..14 + 8 * i]).unwrap();
                *field = u32::from_str_radix(text, 16).unwrap();
            }
            let name_end = 110 + fields[11] as usize;
            assert_eq!(bytes[name_end - 1], 0);
            let path = String::from_utf8(bytes[110..name_end - 1].to_vec()).unwrap();
            let start = name_end.next_multiple_of(4);
            let end = start + fields[6] as usize;
            if path == "TRAILER!!!" {
                assert!(bytes[start..].iter().all(|&byte| byte == 0));
                return entries;
            }
            let content = bytes[start..end].to_vec();
            entries.push(Entry {
                path,
                fields,
                content,
            });
            bytes = &bytes[end.next_multiple_of(4)..];
        }
    }

    fn bytes(tree: &Tree) -> Vec<u8> {
        let mut bytes = Vec::new();
        tree.write(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn what_goes_in_comes_out() {
        let dir = tempfile::tempdir().unwrap();
        let source = dir.path().join("source");
        fs::write(&source, "of the host").unwrap();
        let link = dir.path().join("link");
        std::os::unix::fs::symlink("busybox", &link).unwrap();

        let mut tree = Tree::default();
        tree.file("/etc/odd", 0o640, "odd");
        tree.copy("usr/bin/tool", 0o755, &source).unwrap();
        tree.copy("bin/sh", 0o755, &link).unwrap();
        tree.device("dev/console", 0o600, 5, 1);
        let archive = bytes(&tree);
        assert_eq!(archive.len() % 512, 0);

        let entries = parse(&archive);
        let seen: Vec<_> = entries
            .iter()
            .map(|entry| (entry.path.as_str(), entry.fields[1], &entry.content[..]))
            .collect();
        assert_eq!(
            seen,
            [
                ("bin", 0o040_755, &b""[..]),
                ("bin/sh", 0o120_777, b"busybox"),
                ("dev", 0o040_755, b""),
                ("dev/console", 0o020_600, b""),
                ("etc", 0o040_755, b""),
                ("etc/odd", 0o100_640, b"odd"),
                ("usr", 0o040_755, b""),
                ("usr/bin", 0o040_755, b""),
                ("usr/bin/tool", 0o100_755, b"of the host"),
            ]
        );
        assert_eq!(entries[3].fields[9..11], [5, 1], "the device's number");
        for (index, entry) in entries.iter().enumerate() {
            assert_eq!(entry.fields[0] as usize, index + 1, "the inode number");
            assert_eq!(entry.fields[2..4], [0, 0], "root's");
            assert_eq!(entry.fields[5], 0, "no time");
        }
    }

    #[test]
    fn the_order_of_adding_does_not_matter() {
        let mut one = Tree::default();
        one.file("a/b", 0o644, "1");
        one.symlink("a/c", "b");
        one.directory("tmp");
        let mut other = Tree::default();
        other.directory("tmp");
        other.symlink("a/c", "b");
        other.file("a/b", 0o644, "1");
        assert_eq!(bytes(&one), bytes(&other));
        assert_eq!(one.inputs().unwrap(), other.inputs().unwrap());
    }

    #[test]
    fn a_changed_file_is_a_changed_input() {
        let dir = tempfile::tempdir().unwrap();
        let source = dir.path().join("source");
        fs::write(&source, "1").unwrap();
        let mut tree = Tree::default();
        tree.copy("tool", 0o755, &source).unwrap();
        let before = tree.inputs().unwrap();
        assert_eq!(tree.inputs().unwrap(), before);
        fs::write(&source, "22").unwrap();
        assert_ne!(tree.inputs().unwrap(), before);
    }

    #[test]
    fn a_file_that_went_missing_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let source = dir.path().join("source");
        fs::write(&source, "1").unwrap();
        let mut tree = Tree::default();
        tree.copy("tool", 0o755, &source).unwrap();
        fs::remove_file(&source).unwrap();
        let error = tree.write(&mut Vec::new()).unwrap_err().to_string();
        assert!(error.contains("source"), "{error}");
    }
}
