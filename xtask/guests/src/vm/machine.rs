//! A guest, from the options of a command to its verdict: what the commands that
//! boot one have in common.

use std::fs;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use icmptap_guest::{JOB, Job, MODULES, Report, TESTS, Task};
use xtask_archive::cache::Cache;
use xtask_host::setup::{self, Tool};
use xtask_host::ui;

use super::accel::Probed;
use super::artifacts::{Binaries, Wanted};
use super::boot::{End, IsEnough, Patience, boot};
use super::cpio::Tree;
use super::qemu::{Accel, Console, Machine};
use super::run_directory::RunDirectory;
use super::verdict::{Expected, Verdict};
use super::{accel, artifacts, image, modules};
use crate::build_module;
use crate::guest_packages::{ImageFile, ImageKind, ensure_image_files, kernel_modules};
use crate::kernel::{self, Kernel};

const QEMU: &str = "qemu-system-x86_64";

/// The machine
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// Number of CPUs, instead of 2, or of 1 with --icount
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=64))]
    smp: Option<u32>,

    /// Memory in MiB, instead of 512 or the value in vm/kernels.toml
    #[arg(long, value_name = "MIB", value_parser = clap::value_parser!(u32).range(128..))]
    memory: Option<u32>,

    /// Count instructions as guest time: repeatable figures, no KVM, and with several
    /// CPUs only the first runs until others are started through /sys
    #[arg(long)]
    icount: bool,

    /// How to run the CPU
    #[arg(long, value_name = "HOW", value_enum, default_value_t)]
    accel: accel::Wanted,

    /// Set a parameter of icmptap, or with the prefix imp2. one of icmptap_imp2
    #[arg(long = "module-param", value_name = "[imp2.]NAME=VALUE")]
    parameters: Vec<String>,

    /// Show the kernel's console on standard error
    #[arg(long)]
    console: bool,
}

impl Options {
    /// The same machine with one CPU: packets pass everywhere in one order.
    pub fn with_one_cpu(&self) -> Options {
        Options {
            smp: Some(1),
            ..self.clone()
        }
    }

    /// The same machine with so many CPUs, counting their instructions.
    pub fn with_icount(&self, cpus: u32) -> Options {
        Options {
            icount: true,
            smp: Some(cpus),
            ..self.clone()
        }
    }

    /// The same machine, whatever else could run its CPUs.
    pub fn emulated(&self) -> Options {
        Options {
            accel: accel::Wanted::Tcg,
            ..self.clone()
        }
    }

    /// Whether somebody said how many CPUs there are to be.
    pub fn says_cpus(&self) -> bool {
        self.smp.is_some()
    }

    fn cpus(&self) -> u32 {
        // Several take turns where instructions are counted: only who asks for it
        // knows what guest time is then.
        self.smp.unwrap_or(if self.icount { 1 } else { 2 })
    }
}

/// A kernel, the binaries and the tools: ready to boot, and again.
pub struct Guest<'a> {
    options: &'a Options,
    kernel: Kernel,
    /// In the order of [`MODULES`]; none, if it is to do without.
    modules: Vec<PathBuf>,
    binaries: Binaries,
    base: PathBuf,
    run_directory: RunDirectory,
    qemu: PathBuf,
    accel: Accel,
}

/// Where the counts of a guest are read.
pub struct Counted {
    /// The module was compiled there: the notes that the counts are about.
    pub objects: PathBuf,
    /// Ours to work in.
    pub work: PathBuf,
}

/// What a guest is booted for.
pub struct GuestTask<'a> {
    /// What its first process is told to do.
    pub task: Task,
    /// Files that are in its image besides.
    pub copies: &'a [ImageFile],
    /// Of an unhurried KVM guest, after its boot; slower ones get more.
    pub total: Option<Duration>,
    /// The same, for each report.
    pub silence: Option<Duration>,
}

impl<'a> Guest<'a> {
    /// Fetches and builds what is not there, and finds out whether KVM works.
    pub fn prepare(
        options: &'a Options,
        kernel: Option<&str>,
        with_module: bool,
        wanted: Wanted,
        locked: bool,
    ) -> Result<Guest<'a>> {
        if options.icount && options.accel == accel::Wanted::Kvm {
            bail!("--icount counts emulated instructions: it cannot be had with --accel kvm");
        }
        // All at once: who installs them by hand is to be told once.
        let module: &[Tool] = if with_module {
            &build_module::TOOLS
        } else {
            &[]
        };
        setup::need(
            &[
                &[Tool::Qemu],
                module,
                &artifacts::TOOLS,
                kernel::tools(kernel)?,
            ]
            .concat(),
        )?;
        let cache = Cache::open()?;
        let kernel = kernel::ensure(kernel, locked)?;
        let modules = match with_module {
            true => stripped(&build_module::for_kernel(&kernel, false)?)?,
            false => Vec::new(),
        };
        let binaries = artifacts::build(wanted)?;
        let kind = match wanted {
            Wanted::Tools | Wanted::Demo | Wanted::Tests => ImageKind::Common,
            Wanted::Bench => ImageKind::Bench,
        };
        let mut tree = Tree::default();
        modules::add(&mut tree, &kernel, &kernel_modules(kind)?)?;
        let base = image::base(&cache, tree, &ensure_image_files(kind, locked)?)?;
        let run_directory = RunDirectory::take(&kernel.name)?;
        let mut guest = Guest {
            options,
            kernel,
            modules,
            binaries,
            base,
            run_directory,
            qemu: setup::find_program(QEMU).with_context(|| format!("{QEMU} is not in PATH"))?,
            accel: Accel::Tcg,
        };
        if !options.icount {
            guest.accel = guest.choose_accel(&cache)?;
        }
        Ok(guest)
    }

    fn choose_accel(&self, cache: &Cache) -> Result<Accel> {
        let choice = accel::choose(
            self.options.accel,
            &accel::Probe {
                cache,
                device: Path::new("/dev/kvm"),
                key: &accel::key(&self.qemu, &self.kernel.release)?,
                boot: &|| self.probe_kvm(),
            },
        )?;
        if let Some(note) = choice.note {
            ui::warn(note);
        }
        Ok(choice.accel)
    }

    /// A boot under KVM that does nothing.
    fn probe_kvm(&self) -> Result<Probed> {
        let phase = ui::phase("probe", "whether KVM works");
        let job = Job {
            module: None,
            task: Task::Boot,
        };
        let machine = Machine {
            accel: Accel::Kvm,
            ..self.machine(&job, &[], false)?
        };
        let patience = Patience {
            boot: Duration::from_secs(15),
            total: Some(Duration::from_secs(5)),
            silence: None,
        };
        let end = boot(
            &self.qemu,
            &machine,
            Expected::Boot,
            patience,
            None,
            &mut |_| Ok(()),
        )?;
        phase.done();
        Ok(Probed::from(&end))
    }

    /// The same guest with other modules.
    pub fn with_modules(self, modules: &[PathBuf]) -> Result<Guest<'a>> {
        let modules = stripped(modules)?;
        Ok(Guest { modules, ..self })
    }

    /// The same guest on another machine, kind CPU is run in the same way.
    pub fn with_machine(self, options: &'a Options) -> Guest<'a> {
        Guest { options, ..self }
    }

    /// Boots, and gives every report to `each`. Prints what was wrong, if anything was.
    pub fn run(
        &self,
        guest_task: GuestTask<'_>,
        each: &mut dyn FnMut(&Report) -> Result<()>,
    ) -> Result<End> {
        let end = self.watch(guest_task, None, each)?;
        self.complain(&end);
        Ok(end)
    }

    /// As [`Guest::run`], for those who expect something to be wrong, and have seen
    /// enough of it when `is_enough` says so.
    pub fn watch(
        &self,
        guest_task: GuestTask<'_>,
        is_enough: Option<IsEnough<'_>>,
        each: &mut dyn FnMut(&Report) -> Result<()>,
    ) -> Result<End> {
        let expected = match guest_task.task {
            Task::Boot => Expected::Boot,
            Task::Run { .. } | Task::Shell { .. } => Expected::Command,
            Task::Test { .. } => Expected::Tests,
        };
        let interactive = matches!(guest_task.task, Task::Shell { .. });
        let job = Job {
            module: (!self.modules.is_empty()).then(|| self.options.parameters.clone()),
            task: guest_task.task,
        };
        let machine = self.machine(&job, guest_task.copies, interactive)?;
        let patience = Patience {
            boot: self.scaled(Duration::from_secs(20)),
            total: guest_task.total,
            silence: guest_task.silence,
        };
        // A line of ours among a command's own would not be quiet.
        let mut phase = (std::io::stderr().is_terminal() && !interactive)
            .then(|| ui::phase("boot", self.title()));
        let each = &mut |report: &Report| {
            if let Some(phase) = phase.take() {
                phase.done();
            }
            each(report)
        };
        let end = boot(&self.qemu, &machine, expected, patience, is_enough, each)?;
        drop(phase);
        Ok(end)
    }

    /// For what an unhurried KVM guest needs, what this one may.
    pub fn scaled(&self, time: Duration) -> Duration {
        let time = time * self.kernel.slowness;
        match (self.options.icount, self.accel) {
            (true, _) => time * 12,
            (_, Accel::Tcg) => time * 3,
            (_, Accel::Kvm) => time,
        }
    }

    /// The kernel that will boot.
    pub fn kernel(&self) -> &Kernel {
        &self.kernel
    }

    /// What will boot, for people.
    pub(crate) fn title(&self) -> String {
        let how = match (self.options.icount, self.accel) {
            (true, _) => "counting instructions",
            (_, Accel::Tcg) => "emulated",
            (_, Accel::Kvm) => "KVM",
        };
        format!("{} {} ({how})", self.kernel.name, self.kernel.release)
    }

    /// QEMU itself.
    pub fn qemu(&self) -> &Path {
        &self.qemu
    }

    /// The names of the test binaries that this kernel can run: of all of them, this
    /// share.
    pub fn tests(&self, share: Share) -> impl Iterator<Item = &str> {
        let names = self.binaries.tests.iter().map(|(name, _)| name.as_str());
        let names = names.filter(|name| self.kernel.fire || !is_fire(name));
        names.skip(share.nth).step_by(share.of)
    }

    /// What is needed to read how often the module's code was reached, in a kernel
    /// that counts.
    pub fn counted(&self) -> Option<Counted> {
        let config = self.kernel.kdir.join(".config");
        let config = fs::read_to_string(config).unwrap_or_default();
        let counts = config.lines().any(|line| line == "CONFIG_GCOV_KERNEL=y");
        let objects = self.modules.first()?.parent()?;
        counts.then(|| Counted {
            objects: objects.to_owned(),
            work: self.run_directory.file("coverage"),
        })
    }

    fn machine(&self, job: &Job, copies: &[ImageFile], interactive: bool) -> Result<Machine> {
        let image = image::build(&self.run_directory, &self.base, &self.ours(job, copies)?)?;
        let log = self.console_log();
        let console = match (interactive, self.options.console) {
            (true, _) => Console::Terminal {
                log,
                reports: self.run_directory.file("reports.jsonl"),
            },
            (false, true) => Console::Shown(log),
            (false, false) => Console::Log(log),
        };
        Ok(Machine {
            accel: self.accel,
            one_thread: self.kernel.one_thread,
            icount: self.options.icount,
            smp: self.options.cpus(),
            memory_mib: self.options.memory.unwrap_or(self.kernel.memory_mib),
            kernel: self.kernel.vmlinuz.clone(),
            image,
            console,
            disk: None,
            firmware: None,
        })
    }

    /// Our part of the image.
    fn ours(&self, job: &Job, copies: &[ImageFile]) -> Result<Tree> {
        let mut tree = Tree::default();
        tree.file(JOB, 0o644, serde_json::to_vec(job)?);
        let mut items = vec![item("/init", 0o755, &self.binaries.init)];
        if job.module.is_some() {
            let modules = MODULES.iter().zip(&self.modules);
            items.extend(modules.map(|(path, module)| item(path, 0o644, module)));
        }
        for (name, path) in &self.binaries.programs {
            items.push(item(&format!("/bin/{name}"), 0o755, path));
        }
        // Those that are not run would only take memory, and a slow kernel's time.
        if let Task::Test { binaries, .. } = &job.task {
            let is_run = |name: &str| binaries.iter().any(|binary| binary.name == name);
            for (name, path) in self.binaries.tests.iter().filter(|(name, _)| is_run(name)) {
                items.push(item(&format!("{TESTS}/{name}"), 0o755, path));
            }
        }
        image::add(&mut tree, &items)?;
        image::add(&mut tree, copies)?;
        Ok(tree)
    }

    /// Prints what was wrong, if anything was.
    pub fn complain(&self, end: &End) {
        if end.verdict == Verdict::Pass {
            return;
        }
        ui::warn(format!("{}: {}", self.title(), end.verdict));
        for reason in &end.reasons {
            ui::say("because", reason);
        }
        if end.verdict != Verdict::TestFailure {
            for line in &end.last_lines {
                ui::say("console", line);
            }
        }
        ui::say("see", self.console_log().display());
    }

    fn console_log(&self) -> PathBuf {
        self.run_directory.file("console.log")
    }
}

/// A part of the tests: each of them is in one of `of` shares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// Which share, from 0.
    pub nth: usize,
    /// How many shares there are.
    pub of: usize,
}

impl Share {
    /// Of them all.
    pub const ALL: Share = Share { nth: 0, of: 1 };
}

/// Is it a binary of tests that put the module under fire?
pub fn is_fire(test: &str) -> bool {
    test.starts_with("fire_")
}

fn stripped(modules: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let modules = modules.iter().map(|module| build_module::stripped(module));
    modules.collect()
}

fn item(path: &str, mode: u32, source: &Path) -> ImageFile {
    ImageFile {
        dst: path.to_owned(),
        mode,
        src: source.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        options: Options,
    }

    fn options(words: &[&str]) -> Options {
        Command::parse_from([&["command"], words].concat()).options
    }

    #[test]
    fn counting_instructions_there_is_one_cpu_unless_somebody_wants_more() {
        assert_eq!(options(&[]).cpus(), 2);
        assert_eq!(options(&["--icount"]).cpus(), 1);
        assert_eq!(options(&["--icount", "--smp", "4"]).cpus(), 4);
        assert_eq!(options(&["--smp", "4"]).with_icount(2).cpus(), 2);
    }
}
