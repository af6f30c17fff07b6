//! What other programs read in our captures: `pcap-parser` always, tshark and tcpdump
//! where they are installed.

use std::{
    fs,
    process::{Command, Stdio},
};

use pcap_parser::{
    Block, LegacyPcapReader, OptionCode, PcapBlockOwned, PcapError, PcapNGReader,
    traits::{PcapNGPacketBlock, PcapReaderIterator},
};

use crate::common::{capture, pcap, ping};

/// Each block in a word, by `pcap-parser`.
fn blocks(bytes: &[u8]) -> Vec<String> {
    let mut reader = PcapNGReader::new(65_536, bytes).unwrap();
    let mut found = Vec::new();
    loop {
        match reader.next() {
            Ok((consumed, PcapBlockOwned::NG(block))) => {
                found.push(word(&block));
                reader.consume(consumed);
            }
            Err(PcapError::Eof) => return found,
            Err(PcapError::Incomplete(_)) => reader.refill().unwrap(),
            Ok(_) => panic!("a block of pcap in pcapng"),
            Err(error) => panic!("{error:?}"),
        }
    }
}

fn word(block: &Block<'_>) -> String {
    match block {
        Block::SectionHeader(header) => {
            assert_eq!(header.major_version, 1);
            "section".to_owned()
        }
        Block::InterfaceDescription(interface) => {
            assert_eq!((interface.linktype.0, interface.snaplen), (101, 576));
            assert_eq!(interface.if_tsresol, 9);
            let name = interface
                .options
                .iter()
                .find(|option| option.code == OptionCode(2));
            let name = String::from_utf8_lossy(name.unwrap().value());
            // It has the padding too.
            name.trim_end_matches('\0').to_owned()
        }
        Block::EnhancedPacket(packet) => {
            let option = |code| {
                packet
                    .options
                    .iter()
                    .find(|option| option.code == OptionCode(code))
            };
            let number = |code: u16| option(code).map_or(0, |option| u32::from(option.value()[0]));
            let time = u64::from(packet.ts_high) << 32 | u64::from(packet.ts_low);
            let seq = time - 1_700_000_000_000_000_000;
            assert_eq!(packet.packet_data(), ping(seq as u16, 8 + seq as usize % 5));
            assert_eq!(packet.caplen, packet.origlen);
            assert_eq!(number(2), 1, "inbound");
            format!("packet {seq} cpu {} after {}", number(6), number(4))
        }
        Block::SystemdJournalExport(entry) => {
            let text = String::from_utf8_lossy(entry.data);
            let message = text.lines().find_map(|line| line.strip_prefix("MESSAGE="));
            message.unwrap().to_owned()
        }
        Block::InterfaceStatistics(statistics) => {
            let option = |code| {
                let option = statistics
                    .options
                    .iter()
                    .find(|option| option.code == OptionCode(code));
                u64::from_le_bytes(option.unwrap().value().try_into().unwrap())
            };
            let counts = [5, 6, 7, 8].map(option);
            format!("dropped, accepted, dropped, delivered {counts:?}")
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn pcap_parser_reads_our_pcapng() {
    assert_eq!(
        blocks(&capture()),
        [
            "section",
            "eth0@4026531840:prerouting",
            "packet 0 cpu 0 after 0",
            "packet 1 cpu 0 after 0",
            "4 ICMP events lost on CPU 1",
            "packet 4 cpu 1 after 4",
            "3 ICMP events lost on CPU 0",
            "packet 5 cpu 0 after 3",
            "packet 5 cpu 1 after 0",
            "dropped, accepted, dropped, delivered [7, 12, 7, 5]",
        ]
    );
}

#[test]
fn pcap_parser_reads_our_pcap() {
    let bytes = pcap();
    let mut reader = LegacyPcapReader::new(65_536, &bytes[..]).unwrap();
    let mut packets = 0;
    loop {
        match reader.next() {
            Ok((consumed, block)) => {
                match block {
                    PcapBlockOwned::LegacyHeader(header) => {
                        assert!(header.is_nanosecond_precision());
                        assert_eq!((header.network.0, header.snaplen), (101, 576));
                    }
                    PcapBlockOwned::Legacy(packet) => {
                        assert_eq!((packet.ts_sec, packet.ts_usec), (1_700_000_000, packets));
                        let seq = packets as usize;
                        assert_eq!(packet.data, ping(seq as u16, 8 + seq % 5));
                        packets += 1;
                    }
                    PcapBlockOwned::NG(_) => panic!("a block of pcapng in pcap"),
                }
                reader.consume(consumed);
            }
            Err(PcapError::Eof) => break,
            Err(PcapError::Incomplete(_)) => reader.refill().unwrap(),
            Err(error) => panic!("{error:?}"),
        }
    }
    assert_eq!(packets, 3);
}

/// What a program prints of a capture. `None`: it is not installed, which is an error where
/// `ICMPTAP_ALL_TOOLS` is set, as `cargo xtask test` does.
fn run(program: &str, arguments: &[&str], capture: &[u8]) -> Option<String> {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), capture).unwrap();
    let command = Command::new(program)
        .args(arguments)
        .arg("-r")
        .arg(file.path())
        .stdin(Stdio::null())
        .output();
    let output = match command {
        Ok(output) => output,
        Err(error) => {
            let must_be = std::env::var_os("ICMPTAP_ALL_TOOLS").is_some();
            assert!(!must_be, "{program} cannot be run: {error}");
            eprintln!("not asked: {program} cannot be run ({error})");
            return None;
        }
    };
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program}: {stderr}");
    Some(String::from_utf8(output.stdout).unwrap())
}

#[test]
fn tshark_reads_our_pcapng() {
    let fields = "frame.time_epoch,frame.interface_name,frame.packet_flags_direction,\
                  frame.drop_count,frame.interface_queue,icmp.seq,systemd_journal.message";
    let mut arguments = vec!["-n", "-T", "fields", "-E", "separator=|"];
    fields
        .split(',')
        .for_each(|field| arguments.extend(["-e", field]));
    let Some(text) = run("tshark", &arguments, &capture()) else {
        return;
    };
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(
        lines,
        [
            "1700000000.000000000|eth0@4026531840:prerouting|0x00000001||0|0|",
            "1700000000.000000001|eth0@4026531840:prerouting|0x00000001||0|1|",
            "1700000000.000000000||||||4 ICMP events lost on CPU 1",
            "1700000000.000000004|eth0@4026531840:prerouting|0x00000001|4|1|4|",
            "1700000000.000000000||||||3 ICMP events lost on CPU 0",
            "1700000000.000000005|eth0@4026531840:prerouting|0x00000001|3|0|5|",
            "1700000000.000000005|eth0@4026531840:prerouting|0x00000001||1|5|",
        ]
    );
}

#[test]
fn tshark_and_tcpdump_read_our_pcap() {
    let bytes = pcap();
    if let Some(text) = run(
        "tshark",
        &[
            "-n",
            "-T",
            "fields",
            "-e",
            "frame.time_epoch",
            "-e",
            "icmp.seq",
        ],
        &bytes,
    ) {
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines,
            [
                "1700000000.000000000\t0",
                "1700000000.000000001\t1",
                "1700000000.000000002\t2"
            ]
        );
    }
    // As root it would want another user to run as.
    let arguments = ["-n", "-t", "--nano", "-Z", "root"];
    if let Some(text) = run("tcpdump", &arguments, &bytes) {
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 3, "{lines:?}");
        assert_eq!(
            lines[2],
            "IP 10.0.0.1 > 10.0.0.2: ICMP echo request, id 7, seq 2, length 18"
        );
    }
}
