//! `ynl`: whether the kernel's own tools take kernel/netlink/icmptap.yaml.
//!
//! The tools are part of the kernel's source (`linux_source`). They check the
//! specification against their schema, make a header of it, which has to have the
//! names and values of ours, and a client, which has to compile with ours.

mod contract;
#[cfg(test)]
mod spec;

use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};
use xshell::{Shell, cmd};
use xtask_archive::linux_source::{self, NETLINK_SCHEMAS, YNL};
use xtask_host::setup::{self, Tool, need};
use xtask_host::{ui, workspace};

use self::contract::Contract;
use crate::gen_bindings;

/// Check kernel/netlink/icmptap.yaml with the kernel's netlink tools
#[derive(clap::Args)]
pub(crate) struct Args {}

pub(crate) const SPEC: &str = "kernel/netlink/icmptap.yaml";

pub(crate) fn run(_: &Args, locked: bool) -> Result<ExitCode> {
    check(locked)?;
    ui::say("accepted", SPEC);
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn check(locked: bool) -> Result<()> {
    need(&[Tool::Gcc, Tool::Libclang, Tool::PyYaml, Tool::JsonSchema])?;
    let source = linux_source::tree(locked)?;
    let generated = Generated::by(&source)?;
    generated.header_is_ours()?;
    generated.client_compiles(&source)
}

/// What the tools made of the specification.
struct Generated {
    dir: tempfile::TempDir,
}

impl Generated {
    fn by(source: &Path) -> Result<Generated> {
        let dir = tempfile::tempdir()?;
        // The tools look for the schema above the specification, and for the root
        // of the kernel's source, which they know by this file.
        let schemas = dir.path().join(NETLINK_SCHEMAS);
        fs::create_dir_all(schemas.join("specs"))?;
        fs::write(dir.path().join("MAINTAINERS"), "")?;
        for file in fs::read_dir(source.join(NETLINK_SCHEMAS))? {
            let file = file?;
            if file.path().extension() == Some(OsStr::new("yaml")) {
                fs::copy(file.path(), schemas.join(file.file_name()))?;
            }
        }
        let spec = schemas.join("specs/icmptap.yaml");
        fs::copy(workspace::root().join(SPEC), &spec)?;

        let python = setup::python().context("python3 with yaml and jsonschema not found")?;
        let tool = source.join(YNL).join("ynl-gen-c.py");
        let sh = Shell::new()?;
        sh.set_var("PYTHONDONTWRITEBYTECODE", "1");
        for (mode, part, name) in [
            ("uapi", "--header", "icmptap.h"),
            ("user", "--header", "icmptap-user.h"),
            ("user", "--source", "icmptap-user.c"),
        ] {
            let output = dir.path().join(name);
            let run = cmd!(
                sh,
                "{python} {tool} --mode {mode} {part} --spec {spec} -o {output}"
            );
            let run = run.quiet().ignore_status().output()?;
            if !run.status.success() {
                // The last line of a traceback is not the whole of what the schema says.
                bail!(
                    "{} --mode {mode} {part} does not take {SPEC}:\n{}{}",
                    tool.display(),
                    String::from_utf8_lossy(&run.stdout),
                    String::from_utf8_lossy(&run.stderr).trim_end()
                );
            }
        }
        Ok(Generated { dir })
    }

    /// YNL makes no structs: what is in a header besides is compared.
    fn header_is_ours(&self) -> Result<()> {
        let made = fs::read_to_string(self.dir.path().join("icmptap.h"))?;
        let made = Contract::of_bindings(&gen_bindings::of_header(&made)?)?;
        let ours = workspace::root().join(gen_bindings::OUTPUT);
        let ours = Contract::of_bindings(&fs::read_to_string(ours)?)?;
        let differences = made.differences(&ours.constants());
        ensure!(
            differences.is_empty(),
            "the header that YNL makes of {SPEC} is not ours (YNL's / ours):\n{}",
            differences.join("\n")
        );
        Ok(())
    }

    fn client_compiles(&self, source: &Path) -> Result<()> {
        let sh = Shell::new()?;
        sh.change_dir(self.dir.path());
        // Made headers lie here too, and must not stand for ours.
        fs::remove_file(self.dir.path().join("icmptap.h"))?;
        let ours = workspace::root().join("kernel/uapi");
        let library = source.join(YNL).join("lib");
        cmd!(
            sh,
            "gcc -Wall -Werror -I{ours} -I{library} -c icmptap-user.c -o icmptap-user.o"
        )
        .quiet()
        .run()
        .with_context(|| format!("the client that YNL makes of {SPEC} does not compile"))
    }
}
