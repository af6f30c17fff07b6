//! What is kept for a subscription is charged to who subscribes, bounded for all
//! together, and for one user in whichever user namespaces.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;

use icmptap::reply::Stats;
use icmptap::{BatchSize, Client, Subscription};
use icmptap_proto::request::SubscribeOptions;
use icmptap_vm_tests::fire::asker::family;
use icmptap_vm_tests::module::{self, Changed};
use icmptap_vm_tests::net::Namespace;
use icmptap_vm_tests::process::{Process, command, output, run, wait_until};
use icmptap_vm_tests::subscriber::Subscriber;
use rustix::io::Errno;

const MIB: u64 = 1 << 20;

/// Of the largest batches, rounded down.
const BATCH: u32 = 65_000;

/// With batches so large that little else counts.
fn large() -> SubscribeOptions {
    let mut options = SubscribeOptions::default();
    options.batch = Some(BatchSize(BATCH));
    options
}

fn stats(namespace: &Namespace) -> Stats {
    namespace.enter(|| Client::open()?.stats()).expect("stats")
}

/// What the module says that it keeps for the subscriptions of `namespace`.
fn kept(namespace: &Namespace) -> u64 {
    let list = namespace.enter(|| Client::open()?.subscriptions(false));
    let bytes = list
        .expect("a list")
        .into_iter()
        .map(|subscription| subscription.bytes.expect("the module tells what it keeps"))
        .sum();
    assert_eq!(stats(namespace).bytes, Some(bytes));
    bytes
}

/// A memory cgroup with this process in it, until it is dropped.
struct Cgroup;

impl Cgroup {
    const ROOT: &str = "/sys/fs/cgroup";
    const OWN: &str = "/sys/fs/cgroup/safe";

    /// `None`, with a word on it, where the kernel accounts no memory.
    fn enter() -> Option<Self> {
        let offered = fs::read_to_string(format!("{}/cgroup.controllers", Self::ROOT));
        let offered = offered.expect("cgroup2");
        if !offered.split_whitespace().any(|name| name == "memory") {
            println!("this kernel accounts no memory, but only: {offered}");
            return None;
        }
        let options = fs::read_to_string("/proc/cmdline").expect("cmdline");
        if options.contains("nokmem") {
            println!("this kernel was told to account none of its own memory: {options}");
            return None;
        }
        fs::write(format!("{}/cgroup.subtree_control", Self::ROOT), "+memory")
            .expect("the memory controller");
        // Left over by one that was killed.
        let _ = fs::remove_dir(Self::OWN);
        fs::create_dir(Self::OWN).expect("a cgroup");
        let cgroup = Self;
        let id = std::process::id().to_string();
        let entered = cgroup.open("cgroup.procs").write_at(id.as_bytes(), 0);
        entered.expect("a process in the cgroup");
        Some(cgroup)
    }

    fn read(&self, file: &str) -> String {
        let path = format!("{}/{file}", Self::OWN);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    fn open(&self, file: &str) -> File {
        let path = format!("{}/{file}", Self::OWN);
        let file = File::options().write(true).open(&path);
        file.unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    fn field(&self, file: &str, name: &str) -> u64 {
        let text = self.read(file);
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|value| value.trim().parse().ok())
            .unwrap_or_else(|| panic!("{file} has no {name}: {text}"))
    }

    fn current(&self) -> u64 {
        self.read("memory.current").trim().parse().expect("bytes")
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // No panic within a panic.
        let out = format!("{}/cgroup.procs", Self::ROOT);
        let _ = fs::write(out, std::process::id().to_string());
        let _ = fs::remove_dir(Self::OWN);
    }
}

#[test]
fn who_subscribes_is_charged_for_what_is_kept() {
    const COUNT: usize = 16;
    // A CPU has some pages in hand that it charged before they were wanted.
    const SLACK: u64 = MIB;
    let family = family();
    let namespace = Namespace::new();
    let Some(cgroup) = Cgroup::enter() else {
        return;
    };
    // What the first one needs and the others need no more.
    let mut first = namespace.enter(|| Subscriber::open(family));
    assert!(first.subscribe(&large()).is_done());
    first.end();
    let mut readers: Vec<_> = (0..COUNT)
        .map(|_| namespace.enter(|| Subscriber::open(family)))
        .collect();

    let before = cgroup.current();
    for reader in &mut readers {
        let asked = reader.subscribe(&large());
        assert!(asked.is_done(), "{asked:?}");
    }
    let kept = kept(&namespace);
    let charged = cgroup.current().saturating_sub(before);
    println!("kept: {kept}, charged: {charged} bytes");
    assert!(
        kept > COUNT as u64 * u64::from(BATCH / 2),
        "{kept} bytes kept"
    );
    assert!(
        charged + SLACK > kept && charged < kept + kept / 2 + SLACK,
        "{kept} bytes are kept, {charged} charged"
    );
    drop(readers);
    wait_until("nobody is charged any more", || {
        cgroup.current() < before + SLACK
    });
    assert_eq!(stats(&namespace).bytes, Some(0));
}

#[test]
fn a_memory_cgroup_bounds_its_subscriptions() {
    const MOST: usize = 64;
    let family = family();
    let namespace = Namespace::new();
    let outside = Process::start(command("sleep 1000"));
    let Some(cgroup) = Cgroup::enter() else {
        return;
    };
    let mut readers: Vec<_> = (0..MOST)
        .map(|_| namespace.enter(|| Subscriber::open(family)))
        .collect();
    // Who asks is not to need memory where there is none: neither of the heap, nor to
    // open a file.
    let limit = cgroup.open("memory.max");
    drop(vec![1_u8; 64 << 10]);
    // Where it ends differs, by what is left beside batches of many pages and of one:
    // at a batch, or at something small.
    for spare in (0..20).map(|page| 2 * MIB + page * 4096) {
        let bytes = (cgroup.current() + spare).to_string();
        limit.write_at(bytes.as_bytes(), 0).expect("a limit");
        let mut rest = readers.iter_mut();
        let refused = [BATCH, 3776].map(|batch| {
            let mut options = SubscribeOptions::default();
            options.batch = Some(BatchSize(batch));
            let mut asked = rest.by_ref().map(|reader| reader.subscribe(&options));
            asked.find(|asked| !asked.is_done())
        });
        limit.write_at(b"max", 0).expect("no limit");
        let subscribed = MOST - rest.len() - 2;
        println!("{subscribed} subscriptions fit into {spare} bytes, then: {refused:?}");
        for asked in refused {
            let Some(asked) = asked else {
                panic!("{MOST} subscriptions with batches of {BATCH} bytes fit into {spare} bytes");
            };
            let refusal = asked.refusal();
            assert_eq!(refusal.errno, Errno::NOMEM.raw_os_error(), "{refusal:?}");
            assert!(refusal.message.is_some(), "{refusal:?}");
        }
        assert!(subscribed > 0, "there was never room");
        // Where there is memory again, there is room again.
        let ended = readers
            .iter_mut()
            .take(subscribed + 2)
            .filter_map(|reader| {
                let again = reader.subscribe(&large());
                assert!(
                    again.is_done() || again.errno() == Some(Errno::BUSY),
                    "{again:?}"
                );
                reader.end();
                again.is_done().then_some(())
            });
        assert_eq!(ended.count(), 2);
    }
    assert_eq!(cgroup.field("memory.events", "oom_kill"), 0);
    assert!(cgroup.field("memory.events", "max") > 0);
    assert!(Path::new(&format!("/proc/{}", outside.id())).exists());
}

fn builder() -> icmptap::Builder {
    Subscription::builder().batch(BatchSize(BATCH))
}

/// Sets the cap to what so many subscriptions of [`builder`] take, and a half.
fn cap(namespace: &Namespace, count: u64) -> (Changed, u64) {
    let subscription = namespace.enter(|| builder().subscribe()).expect("room");
    let each = kept(namespace);
    let total = stats(namespace).bytes_total.expect("what all take");
    assert_eq!(total, each, "somebody else is subscribed");
    subscription.finish().expect("finish");
    let cap = each * count + each / 2;
    let changed = Changed::parameter("max_bytes", &cap.to_string());
    let info = namespace.enter(|| Client::open()?.info()).expect("info");
    assert_eq!(info.max_bytes, Some(cap));
    (changed, each)
}

#[test]
fn all_together_have_so_much_memory() {
    let (one, other) = (Namespace::new(), Namespace::new());
    let (_cap, each) = cap(&one, 3);
    let subscribe = |namespace: &Namespace| namespace.enter(|| builder().subscribe());
    let mut held: Vec<_> = (0..3).map(|_| subscribe(&one).expect("room")).collect();
    assert_eq!(stats(&one).bytes, Some(3 * each));
    // Counted for all, wherever.
    for namespace in [&one, &other] {
        let error = subscribe(namespace).expect_err("a refusal").to_string();
        assert!(error.contains("max_bytes"), "{error}");
        assert!(
            error.contains(&format!("os error {}", Errno::USERS.raw_os_error())),
            "{error}"
        );
    }
    assert_eq!(stats(&other).bytes, Some(0));
    assert_eq!(stats(&other).bytes_total, Some(3 * each));
    held.pop().expect("three").finish().expect("finish");
    held.push(subscribe(&other).expect("room again"));
    subscribe(&one).expect_err("a refusal");

    // Who has something keeps it, whatever the cap becomes.
    let lower = Changed::parameter("max_bytes", "1");
    subscribe(&one).expect_err("a refusal");
    assert_eq!(stats(&one).bytes_total, Some(3 * each));
    drop(lower);
    held.clear();
    wait_until("nothing is kept", || stats(&one).bytes_total == Some(0));
    subscribe(&one).expect("room").finish().expect("finish");
}

/// As uid 1000, in a user namespace and a network namespace of its own.
fn by_a_stranger(arguments: &str) -> Command {
    command(&format!(
        "setpriv --reuid 1000 --regid 1000 --clear-groups \
         unshare --user --map-root-user --net icmptap listen {arguments}"
    ))
}

#[test]
fn strangers_have_at_most_half_of_it() {
    let namespace = Namespace::new();
    let (_cap, _) = cap(&namespace, 4);
    let arguments = format!("--batch {BATCH}");
    let start = || {
        let process = Process::start(by_a_stranger(&arguments));
        process.wait_for("listening on");
        process
    };
    let strangers = [start(), start()];
    let result = output(&mut by_a_stranger(&arguments));
    let stderr = String::from_utf8_lossy(&result.stderr);
    assert!(!result.status.success(), "{stderr}");
    assert!(stderr.contains("max_bytes"), "{stderr}");
    // What they cannot have is there for others.
    let subscribe = || namespace.enter(|| builder().subscribe());
    let _held = [subscribe().expect("room"), subscribe().expect("room")];
    let error = subscribe().expect_err("a refusal").to_string();
    assert!(error.contains("max_bytes"), "{error}");
    drop(strangers);
    wait_until("what they had is there again", || subscribe().is_ok());
}

#[test]
fn the_cap_is_a_part_of_the_machine_s_memory() {
    let text = fs::read_to_string("/proc/meminfo").expect("meminfo");
    let total = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kib = total.and_then(|text| text.trim().strip_suffix(" kB"));
    let memory: u64 = kib.and_then(|kib| kib.parse().ok()).expect("a size");
    let cap: u64 = module::parameter("max_bytes").parse().expect("bytes");
    // What the kernel counts as all of it differs a little.
    let expected = memory * 1024 / 32;
    assert!(
        cap > expected / 2 && cap < expected * 2,
        "{cap} of {memory} kB"
    );
}

/// A user namespace that uid 1000 made, in which the ids 0, 1 and 2 are 1000, 100000
/// and 100001 outside: as newuidmap gives somebody out of /etc/subuid.
struct Subuids(Process);

impl Subuids {
    fn new() -> Self {
        let holder = Process::start(command(
            "setpriv --reuid 1000 --regid 1000 --clear-groups unshare --user sleep 1000",
        ));
        let own = |id: &str| fs::read_link(format!("/proc/{id}/ns/user")).ok();
        let id = holder.id().to_string();
        wait_until("it is in its user namespace", || own(&id) != own("self"));
        for map in ["uid_map", "gid_map"] {
            let path = format!("/proc/{id}/{map}");
            fs::write(&path, "0 1000 1\n1 100000 2\n")
                .unwrap_or_else(|error| panic!("{path}: {error}"));
        }
        Self(holder)
    }

    /// Starts something in there as its root.
    fn command(&self, words: &str) -> Command {
        let id = self.0.id();
        command(&format!(
            "nsenter --user=/proc/{id}/ns/user --setuid 0 --setgid 0 {words}"
        ))
    }
}

#[test]
fn a_user_with_many_ids_is_one_user() {
    let subuids = Subuids::new();
    let _limit = Changed::parameter("max_per_user", "3");
    let as_one = "unshare --net /usr/bin/setpriv --reuid 1 --regid 1 --clear-groups \
                  --inh-caps +net_admin --ambient-caps +net_admin icmptap listen";
    let nested = "/usr/bin/setpriv --reuid 2 --regid 2 --clear-groups \
                  unshare --user --map-root-user --net icmptap listen";
    // Each of the three ids, one of them in a user namespace within.
    let held = ["unshare --net icmptap listen", as_one, nested].map(|words| {
        let process = Process::start(subuids.command(words));
        process.wait_for("listening on");
        process
    });
    let within = "unshare --user --map-root-user unshare --user --map-root-user \
                  --net icmptap listen";
    let also = [
        subuids.command("unshare --net icmptap listen --duration 1ms"),
        subuids.command(&format!("{as_one} --duration 1ms")),
        subuids.command(&format!("{nested} --duration 1ms")),
        subuids.command(&format!("{within} --duration 1ms")),
        by_a_stranger("--duration 1ms"),
    ];
    for mut also in also {
        let result = output(&mut also);
        let stderr = String::from_utf8_lossy(&result.stderr);
        assert!(!result.status.success(), "{also:?} got more: {stderr}");
        assert!(stderr.contains("max_per_user"), "{also:?}: {stderr}");
    }
    // Others have theirs.
    run("setpriv --reuid 1001 --regid 1001 --clear-groups \
         unshare --user --map-root-user --net icmptap listen --duration 1ms");
    run("icmptap listen --duration 1ms");
    drop(held);
    wait_until("there is room again", || {
        output(&mut by_a_stranger("--duration 1ms"))
            .status
            .success()
    });
}
