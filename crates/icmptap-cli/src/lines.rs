//! Lines for stdout: many are written at once, and which of them were is known.

use std::io::{self, Write};

/// Bytes that are written at once, while lines keep coming.
const AT_ONCE: usize = 64 * 1024;

/// Collects lines, and writes many of them at once.
///
/// `BufWriter` would do, but does not say how much of its buffer was written before
/// an error.
#[derive(Debug)]
pub(crate) struct Lines<W> {
    out: W,
    buffer: Vec<u8>,
    /// Where in the buffer the lines of events end.
    events: Vec<usize>,
    written: u64,
}

impl<W: Write> Lines<W> {
    pub(crate) fn new(out: W) -> Self {
        Self {
            out,
            buffer: Vec::with_capacity(AT_ONCE),
            events: Vec::new(),
            written: 0,
        }
    }

    /// Events, whether their lines are written or wait.
    pub(crate) fn events(&self) -> u64 {
        self.written + self.events.len() as u64
    }

    /// Events whose whole lines are written.
    pub(crate) fn written(&self) -> u64 {
        self.written
    }

    pub(crate) fn has_pending(&self) -> bool {
        !self.buffer.is_empty()
    }

    /// Adds the line of an event.
    ///
    /// # Errors
    /// The line cannot be made, or what waits cannot be written.
    pub(crate) fn event(
        &mut self,
        line: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> io::Result<()> {
        line(&mut self.buffer)?;
        self.events.push(self.buffer.len());
        self.flush_if_full()
    }

    /// Adds a line of another kind.
    ///
    /// # Errors
    /// As [`event`](Self::event).
    pub(crate) fn other(
        &mut self,
        line: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> io::Result<()> {
        line(&mut self.buffer)?;
        self.flush_if_full()
    }

    fn flush_if_full(&mut self) -> io::Result<()> {
        if self.buffer.len() < AT_ONCE {
            return Ok(());
        }
        self.flush()
    }

    /// Writes what waits. After an error it does not wait any more.
    ///
    /// # Errors
    /// Not all of it could be written.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        let mut done = 0;
        let result = loop {
            if done == self.buffer.len() {
                break self.out.flush();
            }
            match self.out.write(&self.buffer[done..]) {
                Ok(0) => break Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => done += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => break Err(error),
            }
        };
        self.written += self.events.iter().filter(|end| **end <= done).count() as u64;
        self.events.clear();
        self.buffer.clear();
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes three bytes at a time, and no more than there is room for.
    struct Disk {
        bytes: Vec<u8>,
        room: usize,
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let count = bytes.len().min(3).min(self.room - self.bytes.len());
            if count == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.bytes.extend(&bytes[..count]);
            Ok(count)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn on_disk(room: usize) -> Lines<Disk> {
        let disk = Disk {
            bytes: Vec::new(),
            room,
        };
        Lines::new(disk)
    }

    #[test]
    fn a_full_disk_has_the_events_that_are_counted() {
        let mut lines = on_disk(16);
        for _ in 0..3 {
            lines.event(|out| writeln!(out, "event")).unwrap();
            lines.other(|out| writeln!(out)).unwrap();
        }
        assert_eq!((lines.events(), lines.written()), (3, 0));
        assert!(lines.has_pending());
        let error = lines.flush().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert_eq!(lines.out.bytes, b"event\n\nevent\n\nev");
        assert_eq!((lines.events(), lines.written()), (2, 2));
        assert!(!lines.has_pending());
    }

    #[test]
    fn many_lines_are_written_at_once() {
        let mut lines = on_disk(usize::MAX);
        let mut count = 0;
        while lines.out.bytes.is_empty() {
            lines.event(|out| writeln!(out, "event")).unwrap();
            count += 1;
        }
        assert_eq!(count, AT_ONCE.div_ceil(6));
        assert_eq!(
            (lines.events(), lines.written()),
            (count as u64, count as u64)
        );
        assert!(!lines.has_pending());
    }
}
