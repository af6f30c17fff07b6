//! Reads the guest's console for what a kernel says when something is wrong.
//!
//! Only lines with the kernel's time stamp count: what a shell's user types is
//! not the kernel's word.

/// What was found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Findings {
    /// The panic's line, without its time.
    pub(crate) panic: Option<String>,
    /// The lines of splats, without their times, in order.
    pub(crate) splats: Vec<String>,
}

const PANIC: &str = "Kernel panic - not syncing";

/// How a splat's line begins.
const BEGINNINGS: &[&str] = &[
    "BUG: ",
    "BUG ",
    "WARNING: ",
    "Oops",
    "Internal error: ",
    "kernel BUG at ",
    "general protection fault",
    "stack segment: ",
    "double fault: ",
    "divide error: ",
    "invalid opcode: ",
    "int3: ",
    "traps: PANIC",
    "UBSAN: ",
    "KCSAN: ",
    "KFENCE: ",
    "KASAN: ",
    "refcount_t: ",
    "list_add corruption",
    "list_del corruption",
    "INFO: task ",
    "INFO: rcu",
    "INFO: trying to register non-static key",
    "INFO: possible ",
    "INFO: suspicious RCU",
    "rcu: INFO: ",
    "watchdog: BUG: ",
    "watchdog: Watchdog detected ",
    "NMI watchdog: Watchdog detected ",
    "unregister_netdevice: waiting for ",
    "unreferenced object ",
    STACK,
    "bad: scheduling from the idle thread",
];

/// A stack that the kernel prints for a reason that is not in these lists is one too.
const STACK: &str = "Call Trace:";

/// What stands between the reason and the stack.
const OF_A_STACK: &[&str] = &["CPU: ", "Hardware name: ", "Workqueue: ", "Tainted: "];

/// What a splat's line holds, wherever.
const PARTS: &[&str] = &[
    "scheduling while atomic",
    "sleeping function called from invalid context",
    "DEBUG_LOCKS_WARN_ON",
    "new suspected memory leaks",
    "nobody cared (try booting with the \"irqpoll\" option)",
    "page allocation failure",
    "Initramfs unpacking failed",
    "leaked reference",
    "possible circular locking dependency",
    "possible recursive locking",
    "inconsistent lock state",
    "suspicious RCU usage",
    "blocked for more than",
    "self-detected stall on CPU",
];

/// A splat that is none of our doing.
struct Allowed {
    /// What its first line holds.
    part: &'static str,
    /// Why it may be there. An entry without a reason is a bug.
    #[cfg_attr(not(test), expect(dead_code, reason = "it is for the reader"))]
    reason: &'static str,
}

/// Empty, and meant to stay so: none of the kernels we run on needs an entry.
const ALLOWED: &[Allowed] = &[];

/// What ends the text that follows an allowed splat's first line.
const END: &str = "---[ end trace";

/// Reads a whole console log.
pub(crate) fn scan(log: &[u8]) -> Findings {
    scan_with(log, ALLOWED)
}

fn scan_with(log: &[u8], allowed: &[Allowed]) -> Findings {
    let mut findings = Findings::default();
    let mut within_allowed = false;
    // The last message but for those that come with each stack.
    let mut before = "";
    for line in String::from_utf8_lossy(log).lines() {
        let Some(message) = kernel_message(line) else {
            continue;
        };
        if message.starts_with(PANIC) {
            findings.panic.get_or_insert_with(|| message.to_owned());
            continue;
        }
        if within_allowed {
            within_allowed = !message.starts_with(END);
            continue;
        }
        if !is_splat(message) {
            if !OF_A_STACK.iter().any(|part| message.starts_with(part)) {
                before = message;
            }
            continue;
        }
        if allowed.iter().any(|entry| message.contains(entry.part)) {
            within_allowed = true;
        } else if message == STACK && !before.is_empty() && !is_splat(before) {
            findings.splats.push(format!("{message} after: {before}"));
        } else {
            findings.splats.push(message.to_owned());
        }
        before = message;
    }
    findings
}

fn is_splat(message: &str) -> bool {
    BEGINNINGS
        .iter()
        .any(|beginning| message.starts_with(beginning))
        || PARTS.iter().any(|part| message.contains(part))
}

/// What follows the time stamp (`[    1.234567] `), and the caller where the
/// kernel gives it (`[    T1] `). Text that was on the line already does not hide it.
fn kernel_message(line: &str) -> Option<&str> {
    let mut rest = line;
    loop {
        let (_, after) = rest.split_once('[')?;
        if let Some((stamp, message)) = after.split_once(']')
            && is_time(stamp)
        {
            return Some(without_caller(message.trim_start()).trim_end());
        }
        rest = after;
    }
}

fn is_time(stamp: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    stamp
        .trim_start()
        .split_once('.')
        .is_some_and(|(seconds, micros)| digits(seconds) && digits(micros) && micros.len() == 6)
}

fn without_caller(message: &str) -> &str {
    message
        .strip_prefix('[')
        .and_then(|rest| rest.split_once("] "))
        .filter(|(caller, _)| {
            let caller = caller.trim_start();
            caller.starts_with(['T', 'C']) && caller[1..].bytes().all(|b| b.is_ascii_digit())
        })
        .map_or(message, |(_, message)| message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stack_without_a_known_reason_comes_with_what_was_said_before() {
        let stack = "[    1.000001] CPU: 0 PID: 1 Comm: init\n\
                     [    1.000002] Hardware name: QEMU\n\
                     [    1.000003] Call Trace:\n\
                     [    1.000004]  <TASK>\n";
        let unknown = format!("[    1.000000] sysctl could not get directory: /net -12\n{stack}");
        assert_eq!(
            splats(&unknown),
            ["Call Trace: after: sysctl could not get directory: /net -12"]
        );
        let known = format!("[    1.000000] BUG: sleeping\n{stack}");
        assert_eq!(splats(&known), ["BUG: sleeping", "Call Trace:"]);
        assert_eq!(splats(stack), ["Call Trace:"]);
    }

    fn splats(log: &str) -> Vec<String> {
        scan(log.as_bytes()).splats
    }

    #[test]
    fn what_kernels_say_when_something_is_wrong() {
        for message in [
            "BUG: kernel NULL pointer dereference, address: 0000000000000000",
            "BUG: KASAN: slab-use-after-free in tap_hook+0x12/0x40 [icmptap]",
            "BUG: scheduling while atomic: ping/71/0x00000100",
            "BUG: sleeping function called from invalid context at mm/slab.h:494",
            "BUG: unable to handle page fault for address: ffffffffc0000000",
            "BUG: soft lockup - CPU#0 stuck for 22s! [ping:71]",
            "BUG: memory leak",
            "BUG kmalloc-64 (Tainted: G           O     ): Objects remaining in cache",
            "WARNING: CPU: 0 PID: 71 at net/core/skbuff.c:700 skb_release+0x1/0x2",
            "WARNING: possible circular locking dependency detected",
            "WARNING: suspicious RCU usage",
            "WARNING: inconsistent lock state",
            "INFO: possible recursive locking detected",
            "Oops: 0002 [#1] PREEMPT SMP NOPTI",
            "general protection fault, probably for non-canonical address 0x6b6b",
            "kernel BUG at net/core/skbuff.c:112!",
            "invalid opcode: 0000 [#1] SMP",
            "UBSAN: array-index-out-of-bounds in kernel/icmptap/filter.c:12:3",
            "refcount_t: underflow; use-after-free.",
            "list_add corruption. next->prev should be prev",
            "INFO: task rmmod:99 blocked for more than 120 seconds.",
            "rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:",
            "rcu: INFO: rcu_sched self-detected stall on CPU",
            "INFO: rcu_preempt detected expedited stalls on CPUs/tasks: { 0-... }",
            "watchdog: BUG: soft lockup - CPU#1 stuck for 26s! [insmod:80]",
            "watchdog: Watchdog detected hard LOCKUP on cpu 1",
            "NMI watchdog: Watchdog detected hard LOCKUP on cpu 0",
            "kmemleak: 2 new suspected memory leaks (see /sys/kernel/debug/kmemleak)",
            "unreferenced object 0xffff888003d4a000 (size 64):",
            "unregister_netdevice: waiting for veth0 to become free. Usage count = 2",
            "ping: page allocation failure: order:2, mode:0x40820(GFP_ATOMIC)",
            "Initramfs unpacking failed: write error",
            "Call Trace:",
        ] {
            for line in [
                format!("[    3.141592] {message}\r\n"),
                format!("[   13.141592][   T71] {message}\r\n"),
                format!("[  113.141592] [   C0] {message}"),
                format!("half a line of a shell[12345.141592] {message}"),
            ] {
                assert_eq!(splats(&line), [message], "{line}");
            }
        }
    }

    #[test]
    fn what_a_healthy_kernel_says() {
        let log = "\
SeaBIOS (version 1.16.2)\r
[    0.000000] Linux version 6.1.0-50-cloud-amd64 (a@b) (gcc-12) #1 SMP\r
[    0.000000] Command line: console=ttyS0 panic=-1\r
[    0.012345] random: crng init done\r
[    0.100000] Spectre V2 : WARNING: Unprivileged eBPF is enabled\r
[    0.200000] clocksource: timekeeping watchdog on CPU0: Marking clocksource 'tsc' as unstable\r
[    0.300000] rcu: Hierarchical SRCU implementation.\r
[    0.400000] NMI watchdog: Perf NMI watchdog permanently disabled\r
[    1.500000] icmptap: loading out-of-tree module taints kernel.\r
[    2.500000] reboot: Power down\r
";
        assert_eq!(scan(log.as_bytes()), Findings::default());
    }

    #[test]
    fn only_the_kernel_is_believed() {
        assert_eq!(splats("BUG: typed by a user\n"), [""; 0]);
        assert_eq!(splats("# echo [1] BUG: typed\n[x.y] BUG: typed\n"), [""; 0]);
        assert_eq!(splats("[    1.5] BUG: no kernel writes this\n"), [""; 0]);
    }

    #[test]
    fn a_panic_is_not_a_splat() {
        let log = "[    1.000000] Kernel panic - not syncing: sysrq triggered crash\n\
                   [    1.000001] Kernel panic - not syncing: again\n";
        let findings = scan(log.as_bytes());
        assert_eq!(
            findings.panic.unwrap(),
            "Kernel panic - not syncing: sysrq triggered crash"
        );
        assert!(findings.splats.is_empty());
    }

    #[test]
    fn an_allowed_splat_takes_its_trace_along() {
        let allowed = [Allowed {
            part: "at arch/x86/known.c",
            reason: "the emulator's, not ours",
        }];
        let log = "[    1.000000] WARNING: CPU: 0 PID: 1 at arch/x86/known.c:1 f+0x1/0x2\n\
                   [    1.000001] Call Trace:\n\
                   [    1.000002] ---[ end trace 0000000000000000 ]---\n\
                   [    1.000003] WARNING: CPU: 0 PID: 1 at net/ours.c:1 f+0x1/0x2\n";
        assert_eq!(
            scan_with(log.as_bytes(), &allowed).splats,
            ["WARNING: CPU: 0 PID: 1 at net/ours.c:1 f+0x1/0x2"]
        );
    }

    #[test]
    fn every_allowed_splat_has_a_reason() {
        assert!(ALLOWED.iter().all(|entry| !entry.reason.is_empty()));
    }

    #[test]
    fn bytes_that_are_no_text_do_no_harm() {
        let log = b"\xff\xfe[    1.000000] BUG: \xff\n";
        assert_eq!(scan(log).splats, ["BUG: \u{fffd}"]);
    }
}
