//! The errors: what was tried, what happened, and what to do about it.

use std::{fmt, io};

use icmptap_proto::{
    DecodeError,
    reply::{Info, Refusal},
    request::{self, SubscribeOption},
};
use rustix::io::Errno;

/// A request to the kernel.
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
    /// Sending the events that wait in batches.
    Flush,
    /// Asking for the statistics.
    GetStats,
    /// Listing the subscriptions.
    GetSubscriptions,
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
            Self::GetStats => "asking for statistics",
            Self::GetSubscriptions => "listing the subscriptions",
            Self::Imp2Register => "registering as an IMP2 client",
            Self::Imp2Close => "ending the IMP2 registration",
        })
    }
}

/// Why an operation failed. Its text names the request, what happened, the option that it is
/// about, and what to do; the fields are for programs.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The kernel has no netlink family `icmptap`.
    #[error("module not loaded: sudo modprobe icmptap")]
    ModuleNotLoaded,
    /// The kernel has no netlink protocol IMP2, which is the module `icmptap_imp2`.
    #[error("module not loaded: sudo modprobe icmptap_imp2")]
    Imp2NotLoaded,
    /// The caller lacks a capability (EPERM).
    #[error(
        "{operation} is not permitted: it needs CAP_NET_ADMIN, try sudo{}",
        words(message)
    )]
    NotPermitted {
        /// The request.
        operation: Operation,
        /// The kernel's explanation, if it gave one.
        message: Option<String>,
    },
    /// The kernel refused the request.
    #[error(
        "{operation} was refused: {}{}",
        reason(source, message),
        about(option)
    )]
    Refused {
        /// The request.
        operation: Operation,
        /// The errno.
        source: io::Error,
        /// The kernel's explanation, if it gave one.
        message: Option<String>,
        /// The option it objects to.
        option: Option<SubscribeOption>,
    },
    /// The request needs a module of a later schema version.
    #[error(
        "the module (version {module_version}, schema {schema}) is too old for {}, which schema \
         {needed} brought: load the module of icmptap {}",
        unknown(*operation, *option),
        env!("CARGO_PKG_VERSION")
    )]
    ModuleTooOld {
        /// The request.
        operation: Operation,
        /// The option that the module does not know; `None` if it does not know the
        /// request itself.
        option: Option<SubscribeOption>,
        /// The first schema version that knows it.
        needed: u32,
        /// The module's schema version.
        schema: u32,
        /// The module's version.
        module_version: String,
    },
    /// The filter has `inbound` or `outbound`, which cannot be decided at its hooks.
    #[cfg(feature = "pcap")]
    #[error(transparent)]
    Direction(#[from] crate::AmbiguousDirection),
    /// The list changed during every attempt to read it.
    #[error("{operation}: they changed while they were listed, try again")]
    Changing {
        /// The request.
        operation: Operation,
    },
    /// No answer came: the receive buffer had no room for it.
    #[error(
        "{operation}: asked {tries} times, and no answer found room in the receive buffer, try a \
         larger one"
    )]
    NoReply {
        /// The request.
        operation: Operation,
        /// How many times the request was sent.
        tries: u32,
    },
    /// A system call failed.
    #[error("cannot {tried}: {source}")]
    Io {
        /// What was tried.
        tried: &'static str,
        /// The error of the system call.
        source: io::Error,
    },
    /// A message from the kernel is malformed. Later messages can still be received.
    #[error("a message from the kernel is damaged: {0}")]
    Decode(#[from] DecodeError),
    /// A message was longer than the buffer, and was truncated. The buffer has been
    /// enlarged, so that the next message of this size fits.
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
    /// Whether the subscription can still be received from after this error: one message
    /// was damaged or truncated ([`Decode`](Self::Decode),
    /// [`Truncated`](Self::Truncated)).
    #[must_use]
    pub fn is_recoverable(&self) -> bool {
        matches!(self, Self::Decode(_) | Self::Truncated { .. })
    }

    /// The option of the subscription that the kernel refused or does not know, if the
    /// error is about one.
    #[must_use]
    pub fn option(&self) -> Option<SubscribeOption> {
        match self {
            Self::Refused { option, .. } | Self::ModuleTooOld { option, .. } => *option,
            _ => None,
        }
    }

    pub(crate) fn io(tried: &'static str) -> impl Fn(Errno) -> Self {
        move |errno| Self::Io {
            tried,
            source: errno.into(),
        }
    }

    /// The same, of an IMP2 socket: it is another module that is not loaded.
    pub(crate) fn of_imp2(self) -> Self {
        match self {
            Self::ModuleNotLoaded => Self::Imp2NotLoaded,
            error => error,
        }
    }

    pub(crate) fn no_reply(operation: Operation, tries: u32) -> Self {
        Self::NoReply { operation, tries }
    }

    /// `option`: `None` if it is the operation that the module does not know.
    pub(crate) fn too_old(
        operation: Operation,
        option: Option<SubscribeOption>,
        needed: u32,
        module: Info,
    ) -> Self {
        Self::ModuleTooOld {
            operation,
            option,
            needed,
            schema: module.schema_version,
            module_version: module.module_version,
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

fn unknown(operation: Operation, option: Option<SubscribeOption>) -> String {
    match (option, operation) {
        (Some(option), _) => option.to_string(),
        (None, Operation::GetStats) => "statistics".to_owned(),
        (None, Operation::GetSubscriptions) => "a list of subscriptions".to_owned(),
        (None, operation) => operation.to_string(),
    }
}

fn about(option: &Option<SubscribeOption>) -> String {
    option
        .map(|option| format!(", about {option}"))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use icmptap_proto::{
        BootId, FamilyId, Snaplen, nlmsg, reply::Status, request::SubscribeOptions, testing,
    };

    use super::*;

    fn error(operation: Operation, errno: i32, words: Option<(&str, u32)>) -> String {
        let bytes = testing::refusal(1, errno, words);
        let message = nlmsg::messages(&bytes).next().unwrap().unwrap();
        let Status::Refused(refusal) = Status::decode(&message).unwrap() else {
            panic!()
        };
        let mut options = SubscribeOptions::default();
        options.snaplen = Some(Snaplen(70_000));
        let asked = request::subscribe(FamilyId(1), 1, &options);
        Error::refused(operation, refusal, &asked).to_string()
    }

    #[test]
    fn errors_say_what_was_tried_what_happened_and_what_to_do() {
        use Operation::{FindFamily, Subscribe};
        assert_eq!(
            error(FindFamily, 2, None),
            "module not loaded: sudo modprobe icmptap"
        );
        assert_eq!(
            error(Subscribe, 1, Some(("CAP_NET_ADMIN is required", 0))),
            "subscribing is not permitted: it needs CAP_NET_ADMIN, try sudo \
             (CAP_NET_ADMIN is required)"
        );
        assert_eq!(
            error(Subscribe, 34, Some(("integer out of range", 20))),
            "subscribing was refused: integer out of range \
             (Numerical result out of range (os error 34)), about snaplen"
        );
        assert_eq!(
            error(Subscribe, 16, None),
            "subscribing was refused: Device or resource busy (os error 16)"
        );
        assert_eq!(
            error(
                Subscribe,
                16,
                Some(("this socket is subscribed already", 0))
            ),
            "subscribing was refused: this socket is subscribed already \
             (Device or resource busy (os error 16))"
        );
        assert_eq!(
            error(Operation::GetStats, 1, None),
            "asking for statistics is not permitted: it needs CAP_NET_ADMIN, try sudo"
        );
    }

    #[test]
    fn an_old_module_is_told_which_it_is_and_what_it_lacks() {
        let bytes = testing::info_of_schema(1, BootId([0; 16]), 1);
        let message = nlmsg::messages(&bytes).next().unwrap().unwrap();
        let module = Info::decode(&message.generic().unwrap()).unwrap();
        for (operation, option, words) in [
            (
                Operation::Subscribe,
                Some(SubscribeOption::Sampling),
                "sampling",
            ),
            (Operation::GetStats, None, "statistics"),
        ] {
            let error = Error::too_old(operation, option, 2, module.clone());
            assert_eq!(
                error.to_string(),
                format!(
                    "the module (version 0.1.0, schema 1) is too old for {words}, which schema 2 \
                     brought: load the module of icmptap {}",
                    env!("CARGO_PKG_VERSION")
                )
            );
            assert_eq!(error.option(), option);
        }
    }
}
