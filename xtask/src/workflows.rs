//! `workflows`: whether GitHub would take the workflows, and whether they are safe.
//!
//! zizmor reads them: it knows the schema of a workflow and what is dangerous in one. It
//! comes as one file, pinned by its hash in .github/requirements.txt, and works offline.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use sha2::{Digest, Sha256};
use xshell::{Shell, cmd};

use crate::archive::download::hex;
use crate::cache::Cache;
use crate::setup::{self, Tool};
use crate::{ui, workspace};

/// Check the workflows of GitHub's in .github/workflows
#[derive(clap::Args)]
pub(crate) struct Args {}

const WORKFLOWS: &str = ".github/workflows";
const REQUIREMENTS: &str = ".github/requirements.txt";

/// Workflows with a fault each, which the first line names.
const FAULTY: &str = "xtask/fixtures/workflows";

pub(crate) const TOOLS: [Tool; 1] = [Tool::Pip];

pub(crate) fn run(_: &Args) -> Result<ExitCode> {
    check()?;
    ui::say("accepted", WORKFLOWS);
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn check() -> Result<()> {
    setup::need(&TOOLS)?;
    let root = workspace::root();
    let linter = Linter {
        program: installed(&Cache::open()?, &root.join(REQUIREMENTS))?,
    };
    // A linter that overlooks these would overlook ours.
    for file in fs::read_dir(root.join(FAULTY)).context(FAULTY)? {
        let file = file?.path();
        let fault = fault(&fs::read_to_string(&file)?)
            .with_context(|| format!("{} does not name its fault", file.display()))?;
        let said = linter.complaint(&file)?.unwrap_or_default();
        ensure!(
            said.contains(&fault),
            "zizmor does not say {fault:?} of {}: {said}",
            file.display()
        );
    }
    if let Some(said) = linter.complaint(&root.join(WORKFLOWS))? {
        eprintln!("{said}");
        anyhow::bail!("{WORKFLOWS} has to be changed: see above");
    }
    Ok(())
}

/// What zizmor says of a workflow whose first line is `# finding: WORDS`.
fn fault(workflow: &str) -> Option<String> {
    let first = workflow.lines().next()?;
    first.strip_prefix("# finding: ").map(str::to_owned)
}

/// The program that the requirements name, installed in the cache.
fn installed(cache: &Cache, requirements: &Path) -> Result<PathBuf> {
    let text = fs::read(requirements)
        .with_context(|| format!("cannot read {}", requirements.display()))?;
    let entry = format!("tools/zizmor-{}", &hex(&Sha256::digest(text))[..16]);
    let made = cache.entry(&entry, |to| {
        let phase = ui::phase("install", "zizmor");
        let python = setup::python_with_pip().context("python3 with pip not found")?;
        let sh = Shell::new()?;
        cmd!(sh, "{python} -m pip install --quiet --no-deps --require-hashes --only-binary :all: --target {to} --requirement {requirements}")
                .env("PIP_DISABLE_PIP_VERSION_CHECK", "1")
            // It need not warn of root: nothing of the system's is changed.
            .env("PIP_ROOT_USER_ACTION", "ignore")
            .quiet()
            .run()
            .with_context(|| format!("cannot install what {REQUIREMENTS} names"))?;
        phase.done();
        Ok(())
    })?;
    Ok(made.join("bin/zizmor"))
}

struct Linter {
    program: PathBuf,
}

impl Linter {
    /// What it has against a workflow or a directory of them.
    fn complaint(&self, workflows: &Path) -> Result<Option<String>> {
        let program = &self.program;
        let sh = Shell::new()?;
        // From here it finds .github/zizmor.yml.
        sh.change_dir(workspace::root());
        let output = cmd!(
            sh,
            "{program} --offline --strict-collection --no-progress --color never --quiet {workflows}"
        )
        .env("RUST_BACKTRACE", "0")
        .quiet()
        .ignore_status()
        .output()
        .context("cannot run zizmor")?;
        let said = [output.stderr, output.stdout].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        // It only warns of an expression that it cannot read, and looks no further.
        let is_clean = output.status.success() && !said.contains(" WARN ");
        Ok((!is_clean).then_some(said))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_workflow_names_its_fault_in_its_first_line() {
        let fault = |text: &str| super::fault(text);
        assert_eq!(fault("# finding: no\non: push\n").as_deref(), Some("no"));
        assert_eq!(fault("on: push\n# finding: no\n"), None);
        assert_eq!(fault(""), None);
    }
}
