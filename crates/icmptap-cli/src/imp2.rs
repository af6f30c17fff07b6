//! `icmptap imp2`: what the original tutorial program printed.

use std::{
    io::{self, BufWriter, Write},
    time::Instant,
};

use icmptap::{Imp2, Imp2Packet};

use crate::{args::Imp2 as Args, ends};

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let mut client = Imp2::register()?;
    ends::stop_on_signals(client.stopper())?;
    ends::stop_when_unread(client.stopper())?;
    let mut out = BufWriter::new(io::stdout().lock());
    let left = args.count.unwrap_or(u64::MAX);
    let printed = print(&mut client, left, &mut out);
    // What had arrived before the end is printed too.
    let rest = client.close()?;
    let result = printed.and_then(|left| {
        let wanted = usize::try_from(left).unwrap_or(usize::MAX);
        rest.into_iter()
            .take(wanted)
            .try_for_each(|packet| line(&mut out, packet))?;
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
fn print(client: &mut Imp2, mut left: u64, out: &mut impl Write) -> anyhow::Result<u64> {
    while left > 0 {
        // Lines wait for company only while more packets are there already.
        let packet = match client.recv_before(Instant::now())? {
            Some(packet) => Some(packet),
            None => {
                out.flush()?;
                client.recv()?
            }
        };
        let Some(packet) = packet else { break };
        line(out, packet)?;
        left -= 1;
    }
    Ok(left)
}

fn line(out: &mut impl Write, packet: Imp2Packet) -> anyhow::Result<()> {
    Ok(writeln!(out, "src: {}, dest: {}", packet.src, packet.dest)?)
}
