//! `icmptap imp2`: what the original tutorial program printed.

use std::{
    io::{self, BufWriter, Write},
    net::Ipv4Addr,
    time::Instant,
};

use icmptap::{Imp2, Imp2Packet, Received};

use serde::Serialize;

use crate::{
    args::{Format, Imp2 as Args},
    ends,
    output::json_lines,
};

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let mut client = Imp2::register()?;
    ends::stop_on_signals(client.stopper())?;
    ends::stop_when_unread(client.stopper())?;
    let mut out = BufWriter::new(io::stdout().lock());
    let left = args.count.unwrap_or(u64::MAX);
    let printed = print(&mut client, left, args.output, &mut out);
    // What had arrived before the end is printed too.
    let rest = client.close()?;
    let result = printed.and_then(|left| {
        let wanted = usize::try_from(left).unwrap_or(usize::MAX);
        rest.into_iter()
            .take(wanted)
            .try_for_each(|packet| line(&mut out, args.output, packet))?;
        out.flush().map_err(Into::into)
    });
    match result {
        Err(error)
            if error.downcast_ref().map(io::Error::kind) == Some(io::ErrorKind::BrokenPipe) =>
        {
            Ok(())
        }
        result => result,
    }
}

/// Prints until it is stopped, at most so many; gives how many are left.
fn print(
    client: &mut Imp2,
    mut left: u64,
    format: Format,
    out: &mut impl Write,
) -> anyhow::Result<u64> {
    while left > 0 {
        // Lines wait for company only while more packets are there already.
        let packet = match client.recv_before(Instant::now())? {
            Received::Item(packet) => Some(packet),
            Received::Ended => None,
            Received::TimedOut => {
                out.flush()?;
                client.recv()?
            }
        };
        let Some(packet) = packet else { break };
        line(out, format, packet)?;
        left -= 1;
    }
    Ok(left)
}

/// A line of `icmptap imp2 -o json`.
#[derive(Debug, Serialize)]
struct Line {
    src: Ipv4Addr,
    dst: Ipv4Addr,
}

fn line(out: &mut dyn Write, format: Format, packet: Imp2Packet) -> io::Result<()> {
    let Imp2Packet { src, dst } = packet;
    match format {
        Format::Text => writeln!(out, "src: {src}, dest: {dst}"),
        Format::Json => json_lines(out, [Line { src, dst }]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_is_a_line() {
        let lines = |format| {
            let mut out = Vec::new();
            let mut packet = vec![24, 0, 0, 0, 1, 0];
            packet.extend([0; 10]);
            packet.extend([10, 0, 0, 1, 10, 0, 0, 2]);
            let message = icmptap_proto::nlmsg::messages(&packet)
                .next()
                .unwrap()
                .unwrap();
            line(&mut out, format, Imp2Packet::decode(&message).unwrap()).unwrap();
            String::from_utf8(out).unwrap()
        };
        assert_eq!(lines(Format::Text), "src: 10.0.0.1, dest: 10.0.0.2\n");
        assert_eq!(
            lines(Format::Json),
            "{\"src\":\"10.0.0.1\",\"dst\":\"10.0.0.2\"}\n"
        );
    }
}
