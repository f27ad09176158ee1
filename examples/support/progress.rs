//! A reader that shows how far it is, on one line.

use std::{
    io::{self, IsTerminal, Read, Write},
    time::{Duration, Instant},
};

/// How often the line is written anew; on what is no terminal only the last time.
const EVERY: Duration = Duration::from_millis(50);

const MIB: f64 = 1024.0 * 1024.0;

/// A reader with a line about it.
#[derive(Debug)]
pub struct Progress<R> {
    reader: R,
    verb: &'static str,
    whole: u64,
    done: u64,
    began: Instant,
    shown: Option<Instant>,
}

impl<R> Progress<R> {
    /// `verb` says what happened to the bytes, `whole` how many there are in all.
    pub fn new(verb: &'static str, whole: u64, reader: R) -> Self {
        Progress { reader, verb, whole, done: 0, began: Instant::now(), shown: None }
    }

    fn show(&mut self) {
        let (now, last) = (Instant::now(), self.done == self.whole);
        let due = self.shown.is_none_or(|shown| now.saturating_duration_since(shown) >= EVERY);
        let mut out = io::stdout();
        let terminal = out.is_terminal();
        if last || due && terminal {
            self.shown = Some(now);
            let (done, whole) = (self.done as f64 / MIB, self.whole as f64 / MIB);
            let rate = done / self.began.elapsed().as_secs_f64().max(1e-6);
            let (begin, end) = (if terminal { "\r" } else { "" }, if last { "\n" } else { "" });
            // Who does not want to see it misses nothing.
            let _ = write!(out, "{begin}  {} {done:.1} of {whole:.1} MiB, {rate:.0} MiB/s   {end}", self.verb);
            let _ = out.flush();
        }
    }
}

impl<R: Read> Read for Progress<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.reader.read(buf)?;
        self.done += n as u64;
        if n > 0 {
            self.show();
        }
        Ok(n)
    }
}
