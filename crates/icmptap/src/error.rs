//! What went wrong, on what, and what to do about it.

use std::{fmt, io};

use icmptap_proto::{DecodeError, reply::Refusal, request};
use rustix::io::Errno;

/// What was asked of the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Operation {
    /// Finding the family `icmptap`.
    FindFamily,
    /// Asking the module about itself.
    GetInfo,
    /// Subscribing.
    Subscribe,
    /// Ending a subscription.
    Unsubscribe,
    /// Sending what is batched.
    Flush,
    /// Registering as an IMP2 client.
    Imp2Register,
    /// Ending an IMP2 registration.
    Imp2Close,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::FindFamily => "finding the kernel module",
            Self::GetInfo => "asking the module about itself",
            Self::Subscribe => "subscribing",
            Self::Unsubscribe => "ending the subscription",
            Self::Flush => "flushing",
            Self::Imp2Register => "registering as an IMP2 client",
            Self::Imp2Close => "ending the IMP2 registration",
        })
    }
}

/// Why something did not work.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The kernel has no such family or protocol.
    #[error("module not loaded: sudo modprobe icmptap")]
    ModuleNotLoaded,
    /// EPERM.
    #[error(
        "{operation} is not permitted: it needs CAP_NET_ADMIN, try sudo{}",
        words(message)
    )]
    NotPermitted {
        /// What was asked.
        operation: Operation,
        /// The kernel's own words.
        message: Option<String>,
    },
    /// The kernel said no.
    #[error(
        "{operation} was refused: {}{}",
        reason(source, message),
        about(option)
    )]
    Refused {
        /// What was asked.
        operation: Operation,
        /// The errno.
        source: io::Error,
        /// The kernel's own words.
        message: Option<String>,
        /// The option it objects to, as `icmptap listen` calls it.
        option: Option<&'static str>,
    },
    /// The kernel answered nothing: its answer found no room in the receive
    /// buffer.
    #[error("{operation}: the kernel's answer was lost, try a larger receive buffer")]
    NoReply {
        /// What was asked.
        operation: Operation,
    },
    /// A system call failed.
    #[error("cannot {tried}: {source}")]
    Io {
        /// What it was to do.
        tried: &'static str,
        /// How it failed.
        source: io::Error,
    },
    /// The kernel sent what this version does not understand. What comes after
    /// the damaged message can still be received.
    #[error("a message from the kernel is damaged: {0}")]
    Decode(#[from] DecodeError),
    /// A message was longer than the buffer, and its end is lost. The buffer
    /// has grown, the next one of this size fits.
    #[error(
        "a message of {need} bytes was cut to the {had} bytes of the buffer, which has grown now"
    )]
    Truncated {
        /// Bytes of the message.
        need: usize,
        /// Bytes of the buffer.
        had: usize,
    },
}

impl Error {
    pub(crate) fn io(tried: &'static str) -> impl Fn(Errno) -> Self {
        move |errno| Self::Io {
            tried,
            source: errno.into(),
        }
    }

    /// `asked`: the request that was refused.
    pub(crate) fn refused(operation: Operation, refusal: Refusal, asked: &[u8]) -> Self {
        let Refusal {
            errno,
            message,
            offset,
            ..
        } = refusal;
        let option = offset.and_then(|offset| request::option_at(asked, offset));
        match (operation, Errno::from_raw_os_error(errno)) {
            (Operation::FindFamily, Errno::NOENT) => Self::ModuleNotLoaded,
            (operation, Errno::PERM) => Self::NotPermitted { operation, message },
            (operation, errno) => Self::Refused {
                operation,
                source: errno.into(),
                message,
                option,
            },
        }
    }
}

fn words(message: &Option<String>) -> String {
    message
        .as_ref()
        .map(|message| format!(" ({message})"))
        .unwrap_or_default()
}

fn reason(errno: &io::Error, message: &Option<String>) -> String {
    match message {
        Some(message) => format!("{message} ({errno})"),
        None => errno.to_string(),
    }
}

fn about(option: &Option<&'static str>) -> String {
    option
        .map(|option| format!(", about {option}"))
        .unwrap_or_default()
}
