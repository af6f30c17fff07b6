//! What went wrong, on what, and what to do about it.

use std::{fmt, io};

use icmptap_proto::{
    DecodeError,
    reply::{Info, Refusal},
    request::{self, SubscribeOption},
};
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
    /// Asking for the statistics.
    GetStats,
    /// Asking who subscribed.
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

/// Why something did not work.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The kernel has no such family or protocol.
    #[error("module not loaded: sudo modprobe icmptap")]
    ModuleNotLoaded,
    /// The kernel has no IMP2, which is a module of its own.
    #[error("module not loaded: sudo modprobe icmptap_imp2")]
    Imp2NotLoaded,
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
        /// The option it objects to.
        option: Option<SubscribeOption>,
    },
    /// The module's schema version is lower than what was asked of it needs.
    #[error(
        "the module (version {module_version}, schema {schema}) is too old for {}, which schema \
         {needed} brought: load the module of icmptap {}",
        unknown(*operation, *option),
        env!("CARGO_PKG_VERSION")
    )]
    ModuleTooOld {
        /// What was asked.
        operation: Operation,
        /// The option that it does not know; `None`: it does not know the operation.
        option: Option<SubscribeOption>,
        /// The schema version that has it.
        needed: u32,
        /// The module's schema version.
        schema: u32,
        /// The module's version.
        module_version: String,
    },
    /// The filter says `inbound` or `outbound` where that has no one meaning.
    #[cfg(feature = "pcap")]
    #[error(transparent)]
    Direction(#[from] crate::AmbiguousDirection),
    /// What was to be listed changed each time while it was.
    #[error("{operation}: they changed while they were listed, try again")]
    Changing {
        /// What was asked.
        operation: Operation,
    },
    /// The kernel answered nothing: its answer found no room in the receive
    /// buffer.
    #[error(
        "{operation}: asked {tries} times, and no answer found room in the receive buffer, try a \
         larger one"
    )]
    NoReply {
        /// What was asked.
        operation: Operation,
        /// How often.
        tries: u32,
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
    /// Whether receiving may go on after it: a message was damaged or cut, and
    /// those that follow are not.
    #[must_use]
    pub fn is_recoverable(&self) -> bool {
        matches!(self, Self::Decode(_) | Self::Truncated { .. })
    }

    /// The option of a subscription that the kernel refused or does not know, if
    /// it is about one.
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
