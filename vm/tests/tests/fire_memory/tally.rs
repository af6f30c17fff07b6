//! Which calls can fail for want of memory, and which of them did.

use std::collections::BTreeMap;

use icmptap_vm_tests::fault::Stack;
use icmptap_vm_tests::sites::{self, Site};

/// The kernel's functions that allocate, of those that the module calls.
const ALLOCATE: &[&str] = &[
    "__alloc_pages",
    "__alloc_percpu_gfp",
    "__alloc_skb",
    "__netlink_kernel_create",
    "bpf_prog_create",
    "build_skb",
    "genl_register_family",
    // It tells those who watch, for which it needs a message.
    "genl_unregister_family",
    "kmalloc_trace",
    "netlink_ack",
    // It trims what is sent, which means a copy.
    "netlink_unicast",
    "nf_register_net_hook",
    // The hooks that stay get a new array.
    "nf_unregister_net_hook",
    "register_pernet_subsys",
];

/// Those that do not, what is no function, and the first module's, which the second calls.
const DO_NOT_ALLOCATE: &[&str] = &[
    "___ratelimit",
    "__bitmap_weight",
    "__cant_migrate",
    "__cpu_online_mask",
    "__cpu_possible_mask",
    "__folio_put",
    "__get_task_comm",
    "__init_waitqueue_head",
    "__list_add_valid",
    "__list_del_entry_valid",
    "__local_bh_disable_ip",
    "__local_bh_enable_ip",
    "__might_resched",
    "__might_sleep",
    "__mutex_init",
    "__nlmsg_put",
    "__per_cpu_offset",
    "__preempt_count",
    "__raw_spin_lock_init",
    "__rcu_read_lock",
    "__rcu_read_unlock",
    "__stack_chk_fail",
    "__tasklet_schedule",
    "__wake_up",
    "_find_next_bit",
    "_printk",
    "_raw_read_lock",
    "_raw_read_unlock",
    "_raw_spin_lock",
    "_raw_spin_lock_bh",
    "_raw_spin_unlock",
    "_raw_spin_unlock_bh",
    "_totalram_pages",
    "bpf_prog_destroy",
    "bpf_stats_enabled_key",
    "current_task",
    "debug_lockdep_rcu_enabled",
    "debug_locks",
    "debug_smp_processor_id",
    "do_trace_netlink_extack",
    "dump_stack",
    "finish_wait",
    "fortify_panic",
    "fput",
    "free_percpu",
    "generate_random_uuid",
    "genlmsg_put",
    "hrtimer_cancel",
    "hrtimer_init",
    "hrtimer_start_range_ns",
    "icmptap_sub_begin",
    "icmptap_sub_end",
    "icmptap_sub_get",
    "icmptap_sub_put",
    "icmptap_sub_start",
    "init_net",
    "init_user_ns",
    "init_wait_entry",
    "ipv6_ext_hdr",
    "jiffies",
    "kfree_skb_reason",
    "kmalloc_caches",
    "ktime_get",
    "ktime_get_with_offset",
    "kvfree_call_rcu",
    "lock_acquire",
    "lock_is_held_type",
    "lock_release",
    "lockdep_rcu_suspicious",
    "mem_section",
    "memchr_inv",
    "memcpy",
    "memset",
    "migrate_disable",
    "migrate_enable",
    "module_put",
    "mutex_lock_nested",
    "mutex_unlock",
    "netlink_capable",
    "netlink_kernel_release",
    "netlink_net_capable",
    "netlink_ns_capable",
    "netlink_register_notifier",
    "netlink_unregister_notifier",
    "nla_memcpy",
    "nla_put",
    "nla_put_64bit",
    "nr_cpu_ids",
    "param_ops_uint",
    "param_ops_ulong",
    "pid_nr_ns",
    "pid_task",
    "prepare_to_wait_event",
    "put_pid",
    "rcu_is_watching",
    "rcu_lock_map",
    "rcu_read_lock_held",
    "refcount_warn_saturate",
    "sched_clock",
    "schedule",
    "schedule_timeout",
    "sk_free",
    "skb_copy_bits",
    "skb_put",
    "skb_trim",
    "strnlen",
    "synchronize_net",
    "sysfs_emit",
    "sysfs_streq",
    "task_active_pid_ns",
    "tasklet_kill",
    "tasklet_setup",
    "try_module_get",
    "unregister_pernet_subsys",
];

/// What the compiler has put in, to watch the rest, by their beginnings.
const INSTRUMENTS: &[&str] = &["__asan_", "__gcov_", "__kasan_", "__sanitizer_", "__ubsan_"];

/// Calls that cannot be made to fail for want of memory: function, callee, why not.
const CANNOT_FAIL: &[(&str, &str, &str)] = &[
    (
        "init_stats",
        "__alloc_percpu_gfp",
        "the allocator of per-CPU memory has no fault injection, and takes new pages once in some 70 namespaces; streams_init has the same function fail",
    ),
    (
        "imp2_init",
        "register_pernet_subsys",
        "it allocates nothing itself: imp2_init_memory did, and init_net_imp2 does; both fail",
    ),
    (
        "send_events",
        "netlink_unicast",
        "it trims what is half empty, in a softirq, in which the kernel injects no fault; if it cannot, it sends what there is",
    ),
    (
        "send_message",
        "netlink_unicast",
        "as send_events; and IMP2's messages are made to measure, so that there is nothing to trim",
    ),
];

/// The kernel watches itself here, and needs memory for that. It does without where
/// there is none: that is no failure of what the module asked for.
const WATCHES_ITSELF: &[&str] = &[
    "create_object",
    "__create_object",
    "kmemleak_",
    "__debug_object",
    "debug_object",
    "__debug_check",
    "fill_pool",
    "kasan_",
    "__kasan",
    "stack_depot",
    "__stack_depot",
    "ref_tracker_",
    "gcov_",
    "__gcov",
];

/// This failed, and nothing else did for it.
pub(crate) fn watches_itself(stack: &Stack) -> bool {
    stack.is_below_any(WATCHES_ITSELF)
}

/// Symbols of which nobody has said yet whether they allocate.
pub(crate) fn unknown() -> Vec<String> {
    sites::undefined()
        .into_iter()
        .filter(|name| !ALLOCATE.contains(&name.as_str()))
        .filter(|name| !DO_NOT_ALLOCATE.contains(&name.as_str()))
        .filter(|name| !INSTRUMENTS.iter().any(|begins| name.starts_with(begins)))
        .collect()
}

/// What failed where.
pub(crate) struct Tally {
    sites: BTreeMap<Site, u64>,
    watching_itself: u64,
}

impl Tally {
    /// Nothing so far.
    pub(crate) fn new() -> Self {
        let sites = sites::calls(ALLOCATE);
        assert!(sites.len() >= ALLOCATE.len(), "{sites:?}");
        Self {
            sites: sites.into_iter().map(|site| (site, 0)).collect(),
            watching_itself: 0,
        }
    }

    /// Counts failures.
    pub(crate) fn add(&mut self, stacks: &[Stack]) {
        for stack in stacks {
            // The rest of the system call.
            let Some((module, function, offset)) = stack.in_module() else {
                continue;
            };
            if watches_itself(stack) {
                self.watching_itself += 1;
                continue;
            }
            let count = self
                .sites
                .iter_mut()
                .find(|(site, _)| {
                    (site.module, site.function.as_str(), site.offset)
                        == (module.name, function, offset)
                })
                .unwrap_or_else(|| panic!("an allocation below none of ALLOCATE: {stack:#?}"))
                .1;
            *count += 1;
        }
    }

    /// Prints all, and panics unless every call has failed that can.
    pub(crate) fn judge(&self) {
        let mut missed = Vec::new();
        for (site, count) in &self.sites {
            let excuse = CANNOT_FAIL.iter().find(|(function, callee, _)| {
                (*function, *callee) == (&site.function, &site.callee)
            });
            match (count, excuse) {
                (0, Some((_, _, reason))) => println!("measured: cannot fail: {site}: {reason}"),
                (0, None) => missed.push(site.to_string()),
                (_, Some(_)) => missed.push(format!("{site}: failed, though it has an excuse")),
                (_, None) => println!("measured: failed {count} times: {site}"),
            }
        }
        println!(
            "measured: failed {} times: what the kernel watches itself with",
            self.watching_itself
        );
        for (function, callee, _) in CANNOT_FAIL {
            assert!(
                self.sites.keys().any(
                    |site| (site.function.as_str(), site.callee.as_str()) == (function, callee)
                ),
                "an excuse for a call that is not there: {function}, {callee}"
            );
        }
        assert_eq!(missed, [""; 0], "of {} calls", self.sites.len());
    }
}
