//! What the host and the guest's first process say to each other: the [`Job`],
//! which travels in the image, and the [`Report`]s, which come back as JSON
//! lines on the second serial port.
//!
//! The host believes nothing else: the last report is [`Report::Done`], and a
//! guest that ended without it was lost.

use serde::{Deserialize, Serialize};

/// Where the image has the job.
pub const JOB: &str = "/job.json";
/// Where the image has the modules, in the order in which they can be loaded. The second
/// may be missing.
pub const MODULES: [&str; 2] = ["/lib/icmptap.ko", "/lib/icmptap_imp2.ko"];
/// How those of the second one begin, among the parameters in a [`Job`].
pub const IMP2_PARAMETER: &str = "imp2.";
/// Where the image has the test binaries.
pub const TESTS: &str = "/tests";
/// Where the reports go.
pub const REPORTS: &str = "/dev/ttyS1";
/// Where the shell is.
pub const CONSOLE: &str = "/dev/ttyS0";

/// What the guest is to do before it ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// Load the modules with these parameters (`max_per_user=5`, and the second module's
    /// as `imp2.verdict=drop`); `None`: not at all.
    pub module: Option<Vec<String>>,
    /// What to do then.
    pub task: Task,
}

/// See [`Job`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    /// Nothing: it was enough to get here.
    Boot,
    /// Run a command.
    Run {
        /// The program and its arguments.
        argv: Vec<String>,
        /// Added to its environment.
        env: Vec<(String, String)>,
    },
    /// A shell on the console.
    Shell {
        /// Rows and columns of the terminal, where known.
        size: Option<(u16, u16)>,
        /// `TERM` of the terminal, where known.
        term: Option<String>,
    },
    /// Run tests.
    Test {
        /// To be run in this order.
        binaries: Vec<TestBinary>,
        /// Added to their environment.
        env: Vec<(String, String)>,
        /// Only those whose `binary::test` contains one of these; all, if there is none.
        filters: Vec<String>,
        /// Only those that are marked `#[ignore]`, instead of only those that are not.
        ignored: bool,
    },
}

/// A binary of tests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestBinary {
    /// Its name in [`TESTS`].
    pub name: String,
    /// How long one of its tests may take.
    pub timeout_s: u64,
}

/// What happened in the guest: one line of JSON each.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "report", rename_all = "snake_case")]
pub enum Report {
    /// The job was read, and the modules loaded if they were to be.
    Ready {
        /// Milliseconds since the kernel started.
        uptime_ms: u64,
    },
    /// The command wrote something.
    Output {
        /// Where to.
        stream: Stream,
        /// What.
        data: Bytes,
    },
    /// The command ended.
    Exited {
        /// How.
        ending: Ending,
    },
    /// So many tests will be reported.
    Plan {
        /// The number of [`Report::Test`] to come.
        tests: usize,
    },
    /// A test starts. The last of these tells what a lost guest was doing.
    Start {
        /// `binary::test`
        name: String,
    },
    /// A test ended, or was ignored.
    Test {
        /// `binary::test`
        name: String,
        /// How it ended.
        outcome: Outcome,
        /// How long it took.
        ms: u64,
        /// What it wrote, unless it passed.
        output: Bytes,
    },
    /// How often the module's code was reached, of one of its source files: what the
    /// compiler's gcov reads. Of the job's end, in kernels that count.
    Coverage {
        /// Where the host's compiler would have it: `/…/main.gcda`.
        file: String,
        /// The counts.
        data: Bytes,
    },
    /// Something that the guest's first process could not do. It makes the job a failure.
    Problem {
        /// In words.
        what: String,
    },
    /// Everything has been reported; the guest ends.
    Done,
}

/// Where a command's output went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// It exited with this status.
    Status(u8),
    /// This signal killed it.
    Signal(u8),
}

impl Ending {
    /// What a shell would make of it: the status, or 128 and the signal.
    pub fn code(self) -> u8 {
        match self {
            Ending::Status(status) => status,
            Ending::Signal(signal) => 128 | signal,
        }
    }
}

/// How a test ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It passed, and its harness said so.
    Ok,
    /// It was not run, because it is marked `#[ignore]`.
    Ignored,
    /// It failed, for this reason.
    Failed(String),
    /// This signal killed it.
    Signal(u8),
    /// It took too long and was killed.
    Timeout,
}

/// Bytes as a process wrote them.
///
/// Text goes as text, which is smaller and can be read in a log; the rest as base64.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bytes {
    /// They were UTF-8.
    Text(String),
    /// They were not: base64 of them.
    Base64(String),
}

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Bytes {
        use base64::prelude::*;
        match String::from_utf8(bytes) {
            Ok(text) => Bytes::Text(text),
            Err(error) => Bytes::Base64(BASE64_STANDARD.encode(error.as_bytes())),
        }
    }
}

impl TryFrom<Bytes> for Vec<u8> {
    type Error = base64::DecodeError;

    fn try_from(bytes: Bytes) -> Result<Vec<u8>, Self::Error> {
        use base64::prelude::*;
        match bytes {
            Bytes::Text(text) => Ok(text.into_bytes()),
            Bytes::Base64(code) => BASE64_STANDARD.decode(code),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_back_as_they_were() {
        let all: Vec<u8> = (0..=255).collect();
        for bytes in [b"".to_vec(), b"plain\n\x1b[1m\0".to_vec(), all] {
            let json = serde_json::to_string(&Bytes::from(bytes.clone())).unwrap();
            assert!(!json.contains('\n'), "{json} is not one line");
            let back: Bytes = serde_json::from_str(&json).unwrap();
            assert_eq!(Vec::try_from(back).unwrap(), bytes);
        }
    }

    #[test]
    fn text_stays_readable() {
        assert_eq!(Bytes::from(b"hi".to_vec()), Bytes::Text("hi".into()));
        assert_eq!(Bytes::from(b"\xff".to_vec()), Bytes::Base64("/w==".into()));
    }

    #[test]
    fn reports_are_what_the_protocol_says() {
        let exited = Report::Exited {
            ending: Ending::Status(42),
        };
        assert_eq!(
            serde_json::to_string(&exited).unwrap(),
            r#"{"report":"exited","ending":{"status":42}}"#
        );
        assert_eq!(
            serde_json::to_string(&Report::Done).unwrap(),
            r#"{"report":"done"}"#
        );
    }

    #[test]
    fn a_signal_is_a_status_as_in_a_shell() {
        assert_eq!(Ending::Status(42).code(), 42);
        assert_eq!(Ending::Signal(9).code(), 137);
    }
}
