//! Watch the ICMP messages that a Linux kernel sees.
//!
//! This file is only the list: a module per command, one per output format.

mod args;
mod counters;
mod ends;
#[cfg(test)]
mod generated;
mod imp2;
mod info;
mod interfaces;
mod json;
mod lines;
mod listen;
mod loading;
mod namespaces;
mod output;
mod parameters;
mod printer;
mod read;
mod registry;
mod rotate;
mod selection;
mod stats;
mod subscriptions;
mod text;
mod types;
mod values;
mod write;

use std::{
    io::{self, Write},
    process::ExitCode,
};

use clap::Parser;
use icmptap::Error;

/// Talk goes to stderr; that nobody listens there is no reason to stop.
macro_rules! say {
    ($($words:tt)*) => {{
        let _ = std::io::Write::write_fmt(&mut std::io::stderr(), format_args!("{}\n", format_args!($($words)*)));
    }};
}
pub(crate) use say;

fn main() -> ExitCode {
    let result = match args::Cli::parse().command {
        args::Command::Listen(args) => listen::run(&args),
        args::Command::Read(args) => read::run(&args),
        args::Command::Info(args) => info::run(&args),
        args::Command::Stats(args) => stats::run(&args),
        args::Command::Subscriptions(args) => subscriptions::run(&args),
        args::Command::Types(args) => registry::run(&args),
        args::Command::Imp2(args) => imp2::run(&args),
    };
    // What was written to stdout before an error stays in order with it.
    let _ = io::stdout().flush();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say!("icmptap: {}", sentence(&error));
            ExitCode::from(args::exit_code(&error))
        }
    }
}

/// What went wrong, and what to do about it here.
fn sentence(error: &anyhow::Error) -> String {
    let module = match error.downcast_ref() {
        Some(Error::ModuleNotLoaded) => "icmptap",
        Some(Error::Imp2NotLoaded) => "icmptap_imp2",
        _ => return one_line(error),
    };
    format!("module not loaded: {}", loading::advice(module))
}

/// An error and its causes. Those that an error names itself are not repeated.
fn one_line(error: &anyhow::Error) -> String {
    let line = error.chain().fold(String::new(), |line, cause| {
        let cause = cause.to_string();
        match &line[..] {
            "" => cause,
            line if line.contains(&cause) => line.to_owned(),
            line => format!("{line}: {cause}"),
        }
    });
    let option = error.chain().find_map(|cause| cause.downcast_ref());
    match option.and_then(Error::option).and_then(args::flag) {
        Some(flag) => format!("{line} ({flag})"),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use anyhow::Context;

    use super::*;

    #[test]
    fn no_cause_is_said_twice() {
        let closed = || Err::<(), _>(io::Error::other("closed"));
        let plain = closed().context("cannot write").unwrap_err();
        assert_eq!(one_line(&plain), "cannot write: closed");
        let named = closed().context("cannot write (closed) here").unwrap_err();
        assert_eq!(one_line(&named), "cannot write (closed) here");
    }

    #[test]
    fn an_option_is_called_as_the_user_has_called_it() {
        let error = Error::Refused {
            operation: icmptap::Operation::Subscribe,
            source: io::Error::other("too small"),
            message: None,
            option: Some(icmptap::SubscribeOption::FlushInterval),
        };
        assert_eq!(
            one_line(&error.into()),
            "subscribing was refused: too small, about flush interval (--flush-interval)"
        );
    }
}
