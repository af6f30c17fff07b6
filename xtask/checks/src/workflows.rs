//! `workflows`: whether GitHub would take the workflows, and whether they are safe.
//!
//! They are compared with the schema of workflows, since GitHub takes none with a key that
//! it does not know. Then zizmor reads them, which cannot read every expression either,
//! and knows what is dangerous. Both come from packages of Python's, pinned by their
//! hashes in .github/requirements.txt, and work offline.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};
use sha2::{Digest, Sha256};
use xshell::{Shell, cmd};

use xtask_archive::cache::Cache;
use xtask_archive::download::hex;
use xtask_host::setup::{self, Tool};
use xtask_host::{ui, workspace};

/// Check GitHub's workflows in .github/workflows
#[derive(clap::Args)]
pub(crate) struct Args {}

const WORKFLOWS: &str = ".github/workflows";
const REQUIREMENTS: &str = ".github/requirements.txt";

/// Workflows with a fault each, which the first line names.
const FAULTY: &str = "xtask/checks/fixtures/workflows";

const TOOLS: [Tool; 3] = [Tool::Pip, Tool::PyYaml, Tool::JsonSchema];

/// Compares workflows with the schema.
const COMPARE: &str = include_str!("workflows/schema.py");

pub(crate) fn run(_: &Args) -> Result<ExitCode> {
    check()?;
    ui::say("accepted", WORKFLOWS);
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn check() -> Result<()> {
    setup::need(&TOOLS)?;
    let root = workspace::root();
    let linter = Linter::installed(&Cache::open()?, &root.join(REQUIREMENTS))?;
    // A linter that overlooks these would overlook ours.
    for file in fs::read_dir(root.join(FAULTY)).context(FAULTY)? {
        let file = file?.path();
        let fault = fault(&fs::read_to_string(&file)?)
            .with_context(|| format!("{} does not name its fault", file.display()))?;
        let said = linter.complaint(&file)?.unwrap_or_default();
        ensure!(
            said.contains(&fault),
            "the linters do not say {fault:?} of {}: {said}",
            file.display()
        );
    }
    if let Some(said) = linter.complaint(&root.join(WORKFLOWS))? {
        eprintln!("{said}");
        bail!("{WORKFLOWS} has to be changed: see above");
    }
    Ok(())
}

/// What has to be said of a workflow whose first line is `# finding: WORDS`.
fn fault(workflow: &str) -> Option<String> {
    let first = workflow.lines().next()?;
    first.strip_prefix("# finding: ").map(str::to_owned)
}

struct Linter {
    /// Where the packages are.
    place: PathBuf,
}

impl Linter {
    /// From the cache, where what the requirements name is installed first if need be.
    fn installed(cache: &Cache, requirements: &Path) -> Result<Linter> {
        let text = fs::read(requirements)
            .with_context(|| format!("cannot read {}", requirements.display()))?;
        let entry = format!("tools/workflows-{}", &hex(&Sha256::digest(text))[..16]);
        let place = cache.entry(&entry, |to| {
            let phase = ui::phase("install", "linters for workflows");
            let python = setup::python_with_pip().context("python3 with pip not found")?;
            let sh = Shell::new()?;
            let pip = cmd!(sh, "{python} -m pip install --quiet --target {to}");
            pip.args(["--no-deps", "--only-binary", ":all:", "--require-hashes"])
                .arg("--requirement")
                .arg(requirements)
                .env("PIP_DISABLE_PIP_VERSION_CHECK", "1")
                // It need not warn of root: nothing of the system's is changed.
                .env("PIP_ROOT_USER_ACTION", "ignore")
                .quiet()
                .run()
                .with_context(|| format!("cannot install what {REQUIREMENTS} names"))?;
            phase.done();
            Ok(())
        })?;
        Ok(Linter { place })
    }

    /// What is wrong with a workflow, or with a directory of them.
    fn complaint(&self, workflows: &Path) -> Result<Option<String>> {
        match self.against_schema(workflows)? {
            Some(said) => Ok(Some(said)),
            None => self.of_zizmor(workflows),
        }
    }

    fn against_schema(&self, workflows: &Path) -> Result<Option<String>> {
        let python = setup::python().context("python3 with yaml and jsonschema not found")?;
        let vendor = "check_jsonschema/builtin_schemas/vendor";
        let schema = self.place.join(vendor).join("github-workflows.json");
        let files = match workflows.is_dir() {
            true => Shell::new()?.read_dir(workflows)?,
            false => vec![workflows.to_owned()],
        };
        let sh = Shell::new()?;
        let output = cmd!(sh, "{python} -c {COMPARE} {schema} {files...}")
            .quiet()
            .ignore_status()
            .output()?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        match (output.status.code(), said.trim()) {
            (Some(0), _) => Ok(None),
            (Some(1), said) if !said.is_empty() => Ok(Some(said.to_owned())),
            _ => bail!(
                "cannot compare {} with the schema: {}",
                workflows.display(),
                String::from_utf8_lossy(&output.stderr).trim_end()
            ),
        }
    }

    fn of_zizmor(&self, workflows: &Path) -> Result<Option<String>> {
        let zizmor = self.place.join("bin/zizmor");
        let sh = Shell::new()?;
        // From here it finds .github/zizmor.yml.
        sh.change_dir(workspace::root());
        let how = ["--offline", "--strict-collection", "--no-progress"];
        let output = cmd!(sh, "{zizmor} {how...} --color never --quiet {workflows}")
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
    #[test]
    fn a_workflow_names_its_fault_in_its_first_line() {
        use super::fault;
        assert_eq!(fault("# finding: no\non: push\n").as_deref(), Some("no"));
        assert_eq!(fault("on: push\n# finding: no\n"), None);
        assert_eq!(fault(""), None);
    }
}
