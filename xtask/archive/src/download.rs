//! Getting a file from whichever mirror has it, and only if it is the right one.
//!
//! The bytes are hashed on their way to a temporary file, which enters the cache
//! only when size and hash are what was pinned.

use std::cell::OnceCell;
use std::fmt;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use sha2::{Digest, Sha256};
use ureq::Agent;
use ureq::tls::{RootCerts, TlsConfig};
use xtask_host::ui;

use super::lock::Package;
use super::mirror::Mirrors;
use crate::cache::Cache;

/// How long a mirror may say nothing.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often each base is tried, if what failed may pass.
const ROUNDS: usize = 2;

/// An index is not longer than this.
const TEXT_LIMIT: u64 = 4 << 20;

pub(crate) struct Downloader {
    agent: Agent,
    /// Looked up when first needed: with a full cache it never is.
    mirrors: OnceCell<Mirrors>,
}

impl Downloader {
    /// From this machine's mirrors.
    pub(crate) fn new() -> Downloader {
        Downloader {
            agent: agent(PATIENCE),
            mirrors: OnceCell::new(),
        }
    }

    #[cfg(any(test, feature = "test-util"))]
    pub(crate) fn from(bases: &[&str]) -> Downloader {
        let mirrors = OnceCell::from(Mirrors::from_list(&bases.join(" ")).unwrap());
        Downloader {
            agent: agent(Duration::from_millis(400)),
            mirrors,
        }
    }

    /// The package's file, from the cache or from the first base that has it.
    pub(crate) fn package(&self, cache: &Cache, package: &Package, date: &str) -> Result<PathBuf> {
        let wanted = Wanted {
            path: &package.path,
            size: package.size,
            sha256: &package.sha256,
        };
        self.file(cache, &wanted, date)
    }

    /// A file of known size and hash, from the cache or from the first base that has it.
    pub(crate) fn file(&self, cache: &Cache, wanted: &Wanted<'_>, date: &str) -> Result<PathBuf> {
        cache.entry(&format!("files/{}", wanted.sha256), |path| {
            self.try_bases(wanted.path, date, |url| {
                let mut transfer = ui::transfer(name_of(url), wanted.size);
                to_file(&self.agent, url, wanted, path, |bytes| {
                    transfer.advance(bytes)
                })?;
                transfer.done();
                Ok(())
            })
        })
    }

    /// A small file of which nothing is known yet: whoever asks must check it.
    /// `accept` decides whether this base's will do.
    pub(crate) fn text<T>(
        &self,
        path: &str,
        date: &str,
        accept: impl Fn(&[u8]) -> Result<T>,
    ) -> Result<T> {
        self.try_bases(path, date, |url| {
            let mut text = Vec::new();
            stream(&self.agent, url, TEXT_LIMIT, |bytes| text.write_all(bytes))?;
            accept(&text).map_err(|error| Failure::Unacceptable(format!("{error:#}")))
        })
    }

    /// Tries each base until one gives what we want.
    fn try_bases<T>(
        &self,
        path: &str,
        date: &str,
        get: impl Fn(&str) -> Result<T, Failure>,
    ) -> Result<T> {
        let mirrors = match self.mirrors.get() {
            Some(mirrors) => mirrors,
            None => {
                let found = Mirrors::of_this_machine()?;
                self.mirrors.get_or_init(|| found)
            }
        };
        let mut failures = Vec::new();
        for _ in 0..ROUNDS {
            failures.clear();
            for base in mirrors.bases(date) {
                match get(&format!("{base}/{path}")) {
                    Ok(value) => return Ok(value),
                    Err(failure @ Failure::NoSpace) => return Err(failure.into()),
                    Err(failure) => failures.push((base, failure)),
                }
            }
            if !failures.iter().any(|(_, failure)| failure.may_pass()) {
                break;
            }
        }
        Err(FetchError {
            path: path.to_owned(),
            failures,
        }
        .into())
    }
}

/// A file, as it must be.
pub(crate) struct Wanted<'a> {
    /// Below the archive's base.
    pub(crate) path: &'a str,
    pub(crate) size: u64,
    pub(crate) sha256: &'a str,
}

/// No base gave us the file.
#[derive(Debug)]
pub(crate) struct FetchError {
    path: String,
    failures: Vec<(String, Failure)>,
}

impl FetchError {
    /// Every base answered, and none has it: trying again is no use.
    pub(crate) fn is_gone(&self) -> bool {
        self.failures
            .iter()
            .all(|(_, failure)| matches!(failure, Failure::Status(404 | 410)))
    }
}

impl std::error::Error for FetchError {}

impl fmt::Display for FetchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot fetch {}", self.path)?;
        for (i, (base, failure)) in self.failures.iter().enumerate() {
            let separator = if i == 0 { ": " } else { "; " };
            write!(f, "{separator}{base}: {failure}")?;
        }
        if self
            .failures
            .iter()
            .all(|(_, failure)| matches!(failure, Failure::Unreachable(_)))
        {
            write!(
                f,
                " (is the network up? ICMPTAP_MIRROR can name other mirrors)"
            )?;
        }
        Ok(())
    }
}

/// What went wrong with one base.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("{}", describe_status(*.0))]
    Status(u16),
    #[error("{0}")]
    Unreachable(String),
    #[error("cut short after {got} of {wanted} bytes")]
    CutShort { got: u64, wanted: u64 },
    #[error("longer than the {wanted} bytes it should have")]
    TooLong { wanted: u64 },
    #[error("not the file that was pinned: its SHA-256 is {got}, not {wanted}")]
    WrongHash { got: String, wanted: String },
    #[error("sent nothing for too long, after {got} bytes")]
    Stalled { got: u64 },
    #[error("{0}")]
    Unacceptable(String),
    #[error(
        "no space left for the cache: make room, or set XDG_CACHE_HOME to a directory on another disk"
    )]
    NoSpace,
    #[error("{0}")]
    Other(String),
}

impl Failure {
    /// Whether trying again might help.
    fn may_pass(&self) -> bool {
        match self {
            Failure::Status(status) => *status >= 500,
            Failure::Unreachable(_) | Failure::CutShort { .. } | Failure::Stalled { .. } => true,
            _ => false,
        }
    }
}

fn describe_status(status: u16) -> String {
    match status {
        404 => "not found (404)".to_owned(),
        status => format!("answered with status {status}"),
    }
}

impl From<ureq::Error> for Failure {
    fn from(error: ureq::Error) -> Failure {
        match error {
            ureq::Error::StatusCode(status) => Failure::Status(status),
            ureq::Error::HostNotFound => Failure::Unreachable("no such host".to_owned()),
            ureq::Error::ConnectionFailed => Failure::Unreachable("cannot connect".to_owned()),
            ureq::Error::Timeout(_) => Failure::Unreachable("no answer in time".to_owned()),
            ureq::Error::Io(error) => match error.kind() {
                io::ErrorKind::ConnectionRefused => {
                    Failure::Unreachable("connection refused".to_owned())
                }
                _ => Failure::Unreachable(error.to_string()),
            },
            other => Failure::Other(other.to_string()),
        }
    }
}

/// Downloads to `path`, which is right when this succeeds.
fn to_file(
    agent: &Agent,
    url: &str,
    wanted: &Wanted<'_>,
    path: &Path,
    mut progress: impl FnMut(usize),
) -> Result<(), Failure> {
    let mut file = File::create(path).map_err(writing)?;
    let mut hash = Sha256::new();
    let got = stream(agent, url, wanted.size, |bytes| {
        progress(bytes.len());
        hash.update(bytes);
        file.write_all(bytes)
    })?;
    if got < wanted.size {
        return Err(Failure::CutShort {
            got,
            wanted: wanted.size,
        });
    }
    let got = hex(&hash.finalize());
    if got != wanted.sha256 {
        return Err(Failure::WrongHash {
            got,
            wanted: wanted.sha256.to_owned(),
        });
    }
    Ok(())
}

/// Passes what the server sends to `sink`; says how much it was. More than `limit` is refused.
fn stream(
    agent: &Agent,
    url: &str,
    limit: u64,
    mut sink: impl FnMut(&[u8]) -> io::Result<()>,
) -> Result<u64, Failure> {
    let response = agent.get(url).call()?;
    let promised = response.body().content_length();
    let mut body = response.into_body().into_reader();
    let mut buffer = vec![0; 64 << 10];
    let mut got = 0;
    loop {
        let n = match body.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(reading(&error, got, promised)),
        };
        got += n as u64;
        if got > limit {
            return Err(Failure::TooLong { wanted: limit });
        }
        sink(&buffer[..n]).map_err(writing)?;
    }
    match promised {
        Some(wanted) if got < wanted => Err(Failure::CutShort { got, wanted }),
        _ => Ok(got),
    }
}

fn reading(error: &io::Error, got: u64, promised: Option<u64>) -> Failure {
    let timeout = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<ureq::Error>());
    match (error.kind(), timeout, promised) {
        (io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock, _, _)
        | (_, Some(ureq::Error::Timeout(_)), _) => Failure::Stalled { got },
        (io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset, _, Some(wanted)) => {
            Failure::CutShort { got, wanted }
        }
        _ => Failure::Unreachable(format!("{error} after {got} bytes")),
    }
}

fn writing(error: io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Failure::NoSpace,
        _ => Failure::Other(format!("cannot write to the cache: {error}")),
    }
}

fn agent(patience: Duration) -> Agent {
    // The machine's own certificates: a mirror may be a company's.
    let tls = TlsConfig::builder()
        .root_certs(RootCerts::PlatformVerifier)
        .build();
    Agent::config_builder()
        .tls_config(tls)
        .timeout_connect(Some(patience))
        .timeout_recv_response(Some(patience))
        .timeout_per_read(Some(patience))
        .build()
        .new_agent()
}

fn name_of(url: &str) -> &str {
    url.rsplit('/').next().unwrap_or(url)
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::test_server::{Answer, Server};
    use super::*;

    const PATH: &str = "pool/main/l/linux/a_1_amd64.deb";

    struct Try {
        result: Result<PathBuf>,
        dir: tempfile::TempDir,
    }

    impl Try {
        /// The error's text, once it is sure that the cache holds nothing.
        fn error(self) -> String {
            let files: Vec<_> = ["files", "tmp"]
                .iter()
                .filter_map(|name| fs::read_dir(self.dir.path().join(name)).ok())
                .flatten()
                .collect();
            assert!(files.is_empty(), "left in the cache: {files:?}");
            format!("{:#}", self.result.unwrap_err())
        }
    }

    fn body() -> Vec<u8> {
        (0..200_000_u32).flat_map(u32::to_le_bytes).collect()
    }

    fn pin() -> Package {
        Package {
            name: "a".to_owned(),
            version: "1".to_owned(),
            architecture: "amd64".to_owned(),
            path: PATH.to_owned(),
            size: body().len() as u64,
            sha256: hex(&Sha256::digest(body())),
        }
    }

    fn fetch(bases: &[&str]) -> Try {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::at(dir.path()).unwrap();
        Try {
            result: Downloader::from(bases).package(&cache, &pin(), "now"),
            dir,
        }
    }

    fn server(answer: Answer) -> Server {
        let server = Server::start();
        server.put(PATH, answer);
        server
    }

    #[test]
    fn a_good_file_is_fetched_once() {
        let server = server(Answer::Body(body()));
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::at(dir.path()).unwrap();
        let downloader = Downloader::from(&[&server.base]);
        let path = downloader.package(&cache, &pin(), "now").unwrap();
        assert!(fs::read(path).unwrap() == body());
        downloader.package(&cache, &pin(), "now").unwrap();
        assert_eq!(server.requests(), 1);
    }

    #[test]
    fn a_slow_mirror_is_waited_for() {
        let server = server(Answer::Slow(body()));
        fetch(&[&server.base]).result.unwrap();
    }

    #[test]
    fn the_next_base_is_tried_whatever_was_wrong_with_one() {
        let good = server(Answer::Body(body()));
        for bad in [
            Answer::Status(404),
            Answer::Status(503),
            Answer::CutShort(body()),
            Answer::Body(vec![7; body().len()]),
            Answer::Stall(body()),
        ] {
            let bad = server(bad);
            fetch(&[&bad.base, &good.base]).result.unwrap();
            assert_eq!(bad.requests(), 1);
        }
        fetch(&[&Server::nobody(), &good.base]).result.unwrap();
    }

    #[test]
    fn each_failure_has_its_own_words() {
        for (answer, words, requests) in [
            (Answer::Status(404), "not found (404)".to_owned(), 1),
            (
                Answer::Status(503),
                "answered with status 503".to_owned(),
                2,
            ),
            (
                Answer::CutShort(body()),
                "cut short after 400000 of 800000 bytes".to_owned(),
                2,
            ),
            (
                Answer::Stall(body()),
                "sent nothing for too long, after 400000 bytes".to_owned(),
                2,
            ),
            (
                Answer::Body(body()[..9].to_vec()),
                "cut short after 9 of 800000 bytes".to_owned(),
                2,
            ),
            (
                Answer::Body([body(), body()].concat()),
                "longer than the 800000 bytes".to_owned(),
                1,
            ),
            (
                Answer::Body(vec![7; body().len()]),
                format!(
                    "not the file that was pinned: its SHA-256 is {}",
                    hex(&Sha256::digest(vec![7; body().len()]))
                ),
                1,
            ),
        ] {
            let server = server(answer);
            let error = fetch(&[&server.base]).error();
            assert!(
                error.starts_with(&format!("cannot fetch {PATH}: {}: ", server.base)),
                "{error}"
            );
            assert!(error.contains(&words), "{error}");
            assert_eq!(server.requests(), requests, "{error}");
        }
    }

    #[test]
    fn no_network_is_called_that() {
        let nobody = Server::nobody();
        let error = fetch(&[&nobody]).error();
        assert!(
            error.contains(&format!("{nobody}: connection refused (is the network up?")),
            "{error}"
        );
    }

    #[test]
    fn only_a_file_that_no_base_has_is_gone() {
        let gone = Server::start();
        let is_gone = |bases: &[&str]| {
            fetch(bases)
                .result
                .unwrap_err()
                .downcast::<FetchError>()
                .unwrap()
                .is_gone()
        };
        assert!(is_gone(&[&gone.base]));
        assert!(!is_gone(&[&gone.base, &Server::nobody()]));
    }

    #[test]
    fn a_full_disk_is_called_that_and_ends_it() {
        let server = server(Answer::Body(body()));
        let pin = pin();
        let wanted = Wanted {
            path: PATH,
            size: pin.size,
            sha256: &pin.sha256,
        };
        let url = format!("{}/{PATH}", server.base);
        let failure = to_file(
            &agent(PATIENCE),
            &url,
            &wanted,
            Path::new("/dev/full"),
            |_| (),
        )
        .unwrap_err();
        assert!(
            failure.to_string().contains("no space left for the cache"),
            "{failure}"
        );
        assert!(!failure.may_pass());
    }
}
