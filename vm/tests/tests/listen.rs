//! The `icmptap` command, as people and scripts use it.

use std::time::Duration;

use icmptap_vm_tests::cli::{last, listen};
use icmptap_vm_tests::module;
use icmptap_vm_tests::net::{Namespace, Wire};
use icmptap_vm_tests::packet::flood;
use icmptap_vm_tests::process::{Process, output, stay_on_one_cpu, wait_until};
use rustix::io::Errno;
use rustix::process::Signal;
use serde_json::Value;

#[test]
fn text_reads_like_a_tool_one_keeps() {
    let wire = Wire::new();
    let process = listen(&wire.right, "");
    wire.left.run("ping -c 2 -i 0.1 10.0.0.2");
    let lines = process.take(2);
    for (seq, line) in (1..).zip(&lines) {
        let (time, rest) = line.split_once(' ').expect("a time");
        let shape: String = time
            .chars()
            .map(|c| if c.is_ascii_digit() { '0' } else { c })
            .collect();
        assert_eq!(shape, "00:00:00.000000", "{line}");
        let (before, after) = rest.split_once(" id ").expect("an id");
        assert_eq!(
            before, "eth0 prerouting 10.0.0.1 > 10.0.0.2 echo-request",
            "{line}"
        );
        assert!(after.ends_with(&format!(" seq {seq} len 84")), "{line}");
    }
    let (status, more, stderr) = process.end_by(Signal::INT);
    assert!(status.success(), "{status}");
    assert!(more.is_empty(), "{more:?}");
    assert_eq!(last(&stderr), "2 shown, 2 received, 2 matched, 0 lost");
}

#[test]
fn json_is_one_object_per_line() {
    let wire = Wire::new();
    let process = listen(&wire.right, "-o json");
    wire.left.run("ping -c 1 -s 100 10.0.0.2");
    let line = process.take(1).remove(0);
    let event: Value = serde_json::from_str(&line).expect("JSON");
    assert_eq!(event["kind"], "event");
    assert_eq!(event["src"], "10.0.0.1");
    assert_eq!(event["dst"], "10.0.0.2");
    assert_eq!(event["hook"], "prerouting");
    assert_eq!(event["family"], "ipv4");
    assert_eq!(event["iif"]["name"], "eth0");
    assert_eq!(event["len"], 128);
    assert_eq!(event["netns"], wire.right.inode());
    assert_eq!(event["checksum"], "good");
    assert_eq!(event["icmp"]["type"], 8);
    assert_eq!(event["icmp"]["type_name"], "echo-request");
    assert_eq!(event["icmp"]["seq"], 1);
    let (status, ..) = process.end_by(Signal::TERM);
    assert!(status.success(), "{status}");
}

#[test]
fn errors_are_shown_with_what_they_are_about() {
    let wire = Wire::new();
    // A router in between, whose next hop takes 1,300 bytes only.
    let far = Namespace::new();
    icmptap_vm_tests::net::connect(
        (&wire.right, "eth1", [10, 0, 1, 1].into()),
        (&far, "eth0", [10, 0, 1, 2].into()),
    );
    wire.right.run("sysctl -w net.ipv4.ip_forward=1");
    wire.right.run("ip link set eth1 mtu 1300");
    wire.left.run("ip route add default via 10.0.0.2");
    far.run("ip route add default via 10.0.1.1");

    let process = listen(&wire.left, "");
    let provoke = |words: &str, expected: &str| {
        let _ = output(&mut wire.left.command(words));
        let line = process.take(1).remove(0);
        assert!(line.contains(expected), "{words}: {line}");
    };
    provoke(
        "ping -c 1 -W 1 -t 1 10.0.1.2",
        "10.0.0.2 > 10.0.0.1 time-exceeded ttl for 10.0.0.1 > 10.0.1.2 icmp echo-request",
    );
    provoke(
        "ping -c 1 -W 1 -M do -s 1400 10.0.1.2",
        "10.0.0.2 > 10.0.0.1 destination-unreachable fragmentation-needed mtu 1300 for 10.0.0.1 > 10.0.1.2",
    );
    provoke(
        "ping -c 1 -W 1 10.9.9.9",
        "10.0.0.2 > 10.0.0.1 destination-unreachable net-unreachable for 10.0.0.1 > 10.9.9.9",
    );
    drop(process);

    let process = listen(&wire.left, "");
    let socket = wire
        .left
        .enter(|| std::net::UdpSocket::bind("10.0.0.1:5000").expect("bind"));
    socket.send_to(b"anybody?", "10.0.1.2:33434").expect("send");
    let line = process.take(1).remove(0);
    assert!(
        line.contains(
            "10.0.1.2 > 10.0.0.1 destination-unreachable port-unreachable for \
             10.0.0.1:5000 > 10.0.1.2:33434 udp"
        ),
        "{line}"
    );
}

#[test]
fn a_count_ends_it() {
    let wire = Wire::new();
    let process = listen(&wire.right, "-c 3");
    flood(&wire.left, Wire::RIGHT, 100);
    let (status, lines, stderr) = process.end();
    assert!(status.success(), "{status}");
    assert_eq!(lines.len(), 3);
    assert!(last(&stderr).starts_with("3 shown, "), "{stderr:?}");
}

#[test]
fn a_duration_ends_it() {
    let wire = Wire::new();
    let process = listen(&wire.right, "--duration 1s");
    flood(&wire.left, Wire::RIGHT, 10);
    let (status, lines, stderr) = process.end();
    assert!(status.success(), "{status}");
    assert_eq!(lines.len(), 10);
    assert_eq!(last(&stderr), "10 shown, 10 received, 10 matched, 0 lost");
}

#[test]
fn a_closed_stdout_ends_it_quietly() {
    let wire = Wire::new();
    let mut command = wire.right.command("sh -c");
    command.arg("icmptap listen | head -n 1");
    let process = Process::start(command);
    process.wait_for("listening on");
    // No event comes that would find the pipe closed.
    wire.left.run("ping -c 1 10.0.0.2");
    let (status, lines, stderr) = process.end();
    assert!(status.success(), "{status}");
    assert_eq!(lines.len(), 1);
    assert!(last(&stderr).contains(" received, "), "{stderr:?}");
}

#[test]
fn two_listen_at_once_and_one_is_killed() {
    let wire = Wire::new();
    let (one, two) = (listen(&wire.right, ""), listen(&wire.right, ""));
    wire.left.run("ping -c 2 -i 0.1 10.0.0.2");
    assert_eq!(one.take(2), two.take(2), "both see the same");

    one.end_by(Signal::KILL);
    wait_until("only one is left", || module::references() == 1);
    assert_eq!(module::try_unload(), Err(Errno::AGAIN));
    wire.left.run("ping -c 1 10.0.0.2");
    assert_eq!(two.take(1).len(), 1);

    two.end_by(Signal::KILL);
    wait_until("nobody is left", || module::references() == 0);
    module::reload("");
}

#[test]
fn loss_is_told_and_ends_nothing() {
    let wire = Wire::new();
    // One CPU, one stream: the gap shows with what comes after it.
    stay_on_one_cpu();
    let process = listen(&wire.right, "--rcvbuf 8K");
    process.signal(Signal::STOP);
    flood(&wire.left, Wire::RIGHT, 5_000);
    process.signal(Signal::CONT);
    // Room first, then something behind the gap.
    let mut shown = process.take(1).len();
    while process.line(Duration::from_millis(500)).is_some() {
        shown += 1;
    }
    wire.left.run("ping -c 1 10.0.0.2");
    process.wait_for("-- lost ");
    shown += process.take(1).len();
    let (status, lines, stderr) = process.end_by(Signal::INT);
    assert!(status.success(), "{status}");
    assert!(lines.is_empty(), "{lines:?}");
    assert_eq!(
        last(&stderr),
        format!(
            "{shown} shown, {shown} received, 5001 matched, {lost} lost ({lost} receive buffer full)",
            lost = 5001 - shown
        )
    );
}

#[test]
fn wrong_use_has_its_own_exit_code() {
    let namespace = Namespace::new();
    let code = |words: &str| output(&mut namespace.command(words)).status.code();
    assert_eq!(code("icmptap listen -c 0"), Some(2));
    assert_eq!(code("icmptap listen --snaplen 65536"), Some(2));
    assert_eq!(code("icmptap listen --type pong"), Some(2));
    assert_eq!(code("icmptap listen -i lo --all-netns"), Some(2));
    assert_eq!(code("icmptap listen --hook ingress"), Some(2));
    assert_eq!(code("icmptap info"), Some(0));
}

#[test]
fn a_value_that_the_module_does_not_take_is_said_with_those_that_it_does() {
    let namespace = Namespace::new();
    let info = namespace.run("icmptap info -o json");
    let info: Value = serde_json::from_str(&info).expect("JSON");
    let batch = format!("{} to {}", info["batch_min"], info["batch_max"]);
    for (arguments, range) in [
        ("--snaplen 70000", "0 to 65535"),
        ("--batch 7", &batch),
        ("--flush-interval 3600s", "0 to 1s"),
    ] {
        let result = output(&mut namespace.command(&format!("icmptap listen {arguments}")));
        let stderr = String::from_utf8_lossy(&result.stderr);
        let expected = format!("icmptap: {arguments}: this module takes {range}\n");
        assert_eq!(stderr, expected);
        assert_eq!(result.status.code(), Some(2), "{stderr}");
    }
}

#[test]
fn without_permission_and_without_the_module_it_says_so() {
    let namespace = Namespace::new();
    let result = output(&mut namespace.command("setpriv --bounding-set -net_admin icmptap listen"));
    let stderr = String::from_utf8_lossy(&result.stderr);
    assert_eq!(result.status.code(), Some(4), "{stderr}");
    assert!(stderr.contains("CAP_NET_ADMIN"), "{stderr}");

    module::unload();
    for words in [
        "icmptap listen",
        "icmptap info",
        "icmptap imp2",
        "icmptap stats",
        "icmptap subscriptions",
    ] {
        let result = output(&mut namespace.command(words));
        let stderr = String::from_utf8_lossy(&result.stderr);
        assert_eq!(result.status.code(), Some(3), "{words}: {stderr}");
        let module = match words {
            "icmptap imp2" => "icmptap_imp2",
            _ => "icmptap",
        };
        let advice = format!("sudo modprobe {module}\n");
        assert!(stderr.ends_with(&advice), "{words}: {stderr}");
    }
    module::load("");
}

#[test]
fn only_what_is_wanted_is_shown() {
    let wire = Wire::new();
    let wanted = |arguments: &str, expected: &[&str]| {
        let process = listen(&wire.right, arguments);
        wire.left.run("ping -c 3 -i 0.1 10.0.0.2");
        wire.right.run("ping -c 1 10.0.0.1");
        wire.right.run("ping -c 1 10.0.0.2");
        let (status, lines, stderr) = process.end_by(Signal::INT);
        assert!(status.success(), "{arguments}: {stderr:?}");
        let seen: Vec<String> = lines
            .iter()
            .map(|line| {
                let mut words = line.split_whitespace();
                let interface = words.nth(1).expect("an interface");
                let (kind, seq) = (words.nth(4), words.nth(3));
                format!("{interface} {} {}", kind.unwrap_or("?"), seq.unwrap_or("?"))
            })
            .collect();
        assert_eq!(seen, expected, "{arguments}: {lines:?}");
    };
    let requests = [
        "eth0 echo-request 1",
        "eth0 echo-request 2",
        "eth0 echo-request 3",
    ];
    let local = ["lo echo-request 1", "lo echo-reply 1"];
    let reply = "eth0 echo-reply 1";
    wanted("--type packet-too-big,echo-reply", &[reply, local[1]]);
    wanted("--type 8 -i eth0", &requests);
    wanted("-i lo", &local);
    wanted("--family ipv4 icmp[7] == 2", &requests[1..2]);
    wanted(
        "src host 10.0.0.1 and icmp[icmptype] == icmp-echoreply",
        &[reply],
    );
}

#[test]
fn what_is_in_force_and_what_is_not_shown_is_said() {
    let wire = Wire::new();
    stay_on_one_cpu();
    let process = Process::start(
        wire.right
            .command("icmptap listen --type echo-request --sample 2 -i eth0 icmp"),
    );
    let line = process.wait_for("listening on prerouting, ipv4+ipv6, snaplen 576, ");
    let (_, special) = line.split_once(" MiB, ").expect("a receive buffer");
    let expected = "icmp types echo-request, icmpv6 types echo-request, interface eth0, filter of ";
    let filter = special.strip_prefix(expected).expect("what is special");
    assert!(filter.ends_with(" instructions, 1 in 2"), "{line}");
    flood(&wire.left, Wire::RIGHT, 10);
    let (status, lines, stderr) = process.end_by(Signal::INT);
    assert!(status.success(), "{status}");
    assert_eq!(lines.len(), 5);
    assert_eq!(
        last(&stderr),
        "5 shown, 5 received, 5 matched, 0 lost, 5 sampled out"
    );

    // A type that one family has only.
    let process = Process::start(wire.right.command("icmptap listen --type packet-too-big"));
    process.wait_for("listening on prerouting, ipv6, ");

    let process = listen(&wire.right, "--rate 10 --type 8");
    flood(&wire.left, Wire::RIGHT, 500);
    let (status, lines, stderr) = process.end_by(Signal::INT);
    assert!(status.success(), "{status}");
    let (shown, lost) = (lines.len(), 500 - lines.len());
    assert!((10..500).contains(&shown), "{shown}");
    assert_eq!(
        last(&stderr),
        format!("{shown} shown, {shown} received, 500 matched, {lost} lost ({lost} rate limit)")
    );
}

#[test]
fn what_is_dropped_is_shown_and_does_not_arrive() {
    let wire = Wire::new();
    let process = listen(&wire.right, "--drop --type echo-request");
    let ping = || output(&mut wire.left.command("ping -c 1 -W 1 10.0.0.2"));
    assert!(!ping().status.success());
    assert!(process.take(1)[0].contains(" echo-request "));
    process.end_by(Signal::INT);
    assert!(ping().status.success());
}

#[test]
fn a_wrong_filter_and_an_unknown_interface_are_one_line() {
    let namespace = Namespace::new();
    for (arguments, code, words) in [
        ("icmp and", 2, "the filter `icmp and` is not understood"),
        ("-i eth7", 1, "there is no interface `eth7` here"),
        (
            "--family ipv4 --type packet-too-big",
            2,
            "no --type is one of ipv4",
        ),
    ] {
        let result = output(&mut namespace.command(&format!("icmptap listen {arguments}")));
        let stderr = String::from_utf8_lossy(&result.stderr);
        assert_eq!(result.status.code(), Some(code), "{arguments}: {stderr}");
        assert_eq!(stderr.lines().count(), 1, "{arguments}: {stderr}");
        assert!(stderr.contains(words), "{arguments}: {stderr}");
    }
}

#[test]
fn who_listens_and_what_became_of_it_is_told() {
    let wire = Wire::new();
    let process = listen(
        &wire.right,
        "--drop --type echo-request --snaplen 99 --batch 8000 --flush-interval 7us",
    );
    let imp2 = Process::start(wire.right.command("icmptap imp2"));
    let words = |command: &str| -> Vec<Vec<String>> {
        let lines = wire.right.run(command);
        let words = |line: &str| line.split_whitespace().map(str::to_owned).collect();
        lines.lines().map(words).collect()
    };
    wait_until("both are there", || {
        words("icmptap subscriptions").len() == 3
    });
    let _ = output(&mut wire.left.command("ping -c 1 -W 1 10.0.0.2"));
    process.take(1);

    let list = wire.right.run("icmptap subscriptions -o json");
    let list: Vec<Value> = list
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let of = |protocol: &str| {
        let found = list.iter().find(|line| line["protocol"] == protocol);
        found.unwrap_or_else(|| panic!("no {protocol}: {list:?}"))
    };
    let own = of("generic");
    assert_eq!(own["command"], "icmptap");
    assert_eq!(own["pid"], process.id());
    assert_eq!(own["netns"], wire.right.inode());
    assert_eq!(own["verdict"], "drop");
    assert_eq!(own["snaplen"], 99);
    assert_eq!(own["batch"], 7872);
    assert_eq!(own["flush_us"], 7);
    assert_eq!(own["icmp_types"], serde_json::json!([8]));
    assert_eq!(own["counters"]["matched"], 1);
    assert_eq!(of("imp2")["hooks"], serde_json::json!(["prerouting"]));
    let far = wire.left.run("icmptap subscriptions -o json");
    assert_eq!(far, "", "there is none in there");
    let all = wire.left.run("icmptap subscriptions -o json --all-netns");
    assert_eq!(all.lines().count(), 2, "{all}");
    // From where no other process is to be seen, theirs have no number and no name.
    let hidden = "unshare --pid --fork icmptap subscriptions -o json";
    for line in wire.right.run(hidden).lines() {
        let line: Value = serde_json::from_str(line).expect("JSON");
        assert_eq!((line.get("pid"), &line["command"]), (None, &"".into()));
    }

    let stats = words("icmptap stats");
    assert_eq!(stats[0][..3], ["netns", "subscriptions", "matched"]);
    assert_eq!(stats[1][..2], [wire.right.name(), "2"]);
    let cpus = words("icmptap stats --per-cpu");
    assert_eq!(cpus[0][..3], ["netns", "cpu", "matched"]);
    let matched = |row: &Vec<String>| row[2].parse::<u64>().expect("a number");
    assert_eq!(
        cpus[1..].iter().map(matched).sum::<u64>(),
        matched(&stats[1])
    );
    let json: Value = serde_json::from_str(&wire.right.run("icmptap stats -o json")).expect("JSON");
    assert_eq!(json["subscriptions"], 2);
    assert_eq!(json["netns"], wire.right.inode());

    let watch = "icmptap stats --watch=50ms -c 2 -o json";
    let watched = icmptap_vm_tests::cli::json(&lines(&wire.right.run(watch)));
    assert_eq!(watched[0].get("matched_per_s"), None);
    assert_eq!(
        (watched.len(), &watched[1]["matched_per_s"]),
        (2, &0.into())
    );
    assert_eq!(watched[1]["counters"], json["counters"]);
    drop(imp2);
}

fn lines(text: &str) -> Vec<String> {
    text.lines().map(str::to_owned).collect()
}

#[test]
fn imp2_prints_what_the_tutorial_printed() {
    let wire = Wire::new();
    let process = Process::start(wire.right.command("icmptap imp2"));
    wait_until("it is registered", || module::IMP2.references() == 2);
    wire.left.run("ping -c 3 -i 0.1 10.0.0.2");
    assert_eq!(process.take(3), vec!["src: 10.0.0.1, dest: 10.0.0.2"; 3]);
    let (status, more, _) = process.end_by(Signal::INT);
    assert!(status.success(), "{status}");
    assert!(more.is_empty(), "{more:?}");

    let process = Process::start(wire.right.command("icmptap imp2 -o json -c 1"));
    wait_until("it is registered", || module::IMP2.references() == 2);
    wire.left.run("ping -c 1 10.0.0.2");
    let (_, lines, _) = process.end();
    assert_eq!(lines, [r#"{"src":"10.0.0.1","dst":"10.0.0.2"}"#]);
}

#[test]
fn info_tells_what_the_module_is() {
    let namespace = Namespace::new();
    let text = namespace.run("icmptap info");
    assert!(text.contains(env!("CARGO_PKG_VERSION")), "{text}");
    let json: Value = serde_json::from_str(&namespace.run("icmptap info -o json")).expect("JSON");
    assert_eq!(json["module_version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(json["schema_version"], json["schema_known"]);
    assert!(
        text.ends_with("the module and this icmptap know the same\n"),
        "{text}"
    );
}
