//! Bytes on their way out: framed, sealed, not yet sent; and how far the wire has taken them.

use super::pace::Pace;
use crate::{
    buf::RecvBuf,
    net::{Fed, Session, TlsError},
};
use std::time::Instant;

/// The most plaintext sealed at a time: two TLS records, so that a small answer is never stuck behind much else.
const SEAL: usize = 32 * 1024;

/// Where a stretch of bytes stands in everything ever framed on a connection (inside TLS).
pub(crate) type Position = u64;

/// The outgoing side of a connection, and the TLS session of both sides. Lives under the connection's lock.
///
/// Frames are appended to `pending` in the order in which they must go out. Whoever has the write role seals a piece of them
/// into `out` (without TLS: moves them there), and hands `out` to the wire with the lock released.
///
/// # Invariants
///
/// `sent <= touched <= sealed`, and `sealed + pending.len()` is everything ever framed.
#[derive(Debug)]
pub(super) struct Duplex {
    pub(super) tls: Option<Box<Session>>,
    /// Framed, not sealed.
    pub(super) pending: Vec<u8>,
    /// Sealed; from `at` on not yet taken by the wire.
    out: Vec<u8>,
    at: usize,
    sealed: Position,
    /// Plaintext certainly taken by the wire.
    sent: Position,
    /// Plaintext of which the wire may have taken something: a record is taken as a whole.
    touched: Position,
    /// The write role: somebody has `out` and is writing so many bytes of it.
    writing: Option<usize>,
    /// Since when the wire takes nothing.
    pub(super) stalled: Option<Instant>,
    /// Bytes the wire took, and how fast it has to while something is unsent.
    taken: u64,
    pace: Option<Pace>,
    /// When that is to be looked at.
    pub(super) pace_due: Option<Instant>,
    finish: Finish,
}

/// What is to happen once everything was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Finish {
    /// Nothing: the connection goes on.
    Open,
    /// Our direction ends (TLS: close_notify first).
    Wanted,
    /// It has ended.
    Done,
}

impl Duplex {
    /// `out` holds what the handshake left to be sent.
    pub(super) fn new(tls: Option<Box<Session>>, out: Vec<u8>) -> Self {
        Duplex {
            tls,
            pending: Vec::new(),
            out,
            at: 0,
            sealed: 0,
            sent: 0,
            touched: 0,
            writing: None,
            stalled: None,
            taken: 0,
            pace: None,
            pace_due: None,
            finish: Finish::Open,
        }
    }

    /// From now on the wire has to keep this pace.
    pub(super) fn keep_pace(&mut self, pace: Pace) {
        self.pace = Some(pace);
    }

    /// Returns whether the wire takes less than it has to.
    pub(super) fn is_too_slow(&mut self, now: Instant) -> bool {
        let (Some(pace), Some(due)) = (&mut self.pace, self.pace_due) else { return false };
        if now < due {
            return false;
        }
        self.pace_due = pace.wait(self.taken, now);
        self.pace_due.is_none()
    }

    /// Returns the position behind everything framed so far.
    pub(super) fn framed(&self) -> Position {
        self.sealed + self.pending.len() as u64
    }

    /// Returns the position up to which the wire has certainly taken everything.
    pub(super) fn sent(&self) -> Position {
        self.sent
    }

    /// Returns the position up to which the wire may have taken something.
    pub(super) fn touched(&self) -> Position {
        self.touched
    }

    /// Returns the same while a write may be under way, whose outcome nobody knows yet.
    pub(super) fn touchable(&self) -> Position {
        if self.writing.is_some() { self.sealed } else { self.touched }
    }

    /// Returns how many bytes wait to be sent, those that are just being written included.
    pub(super) fn unsent(&self) -> usize {
        self.pending.len() + self.writing.unwrap_or_else(|| self.out.len() - self.at)
    }

    /// Returns whether there is something to write that nobody is writing.
    pub(super) fn has_work(&self) -> bool {
        self.writing.is_none() && (self.unsent() > 0 || self.finish == Finish::Wanted || self.tls_wants_write())
    }

    fn tls_wants_write(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.wants_write())
    }

    /// Ends our direction once everything framed so far was sent.
    pub(super) fn finish(&mut self) {
        if self.finish == Finish::Open {
            self.finish = Finish::Wanted;
        }
    }

    /// Takes the write role with the next bytes to write, from the returned index on; `None` if somebody has it or nothing waits.
    pub(super) fn begin_write(&mut self) -> Option<(Vec<u8>, usize)> {
        if self.writing.is_some() {
            return None;
        }
        if self.at == self.out.len() {
            self.load();
        }
        if self.at == self.out.len() {
            return None;
        }
        self.writing = Some(self.out.len() - self.at);
        Some((std::mem::take(&mut self.out), self.at))
    }

    /// Returns whether bytes can go out at once, because nothing is before them.
    #[inline]
    pub(super) fn is_clear(&self) -> bool {
        let nothing = self.pending.is_empty() && self.at == self.out.len() && self.writing.is_none();
        nothing && self.finish == Finish::Open && !self.tls_wants_write()
    }

    /// Takes the write role for `len` bytes that are somebody else's.
    pub(super) fn begin_past(&mut self, len: usize) {
        self.writing = Some(len);
        self.sealed += len as u64;
    }

    /// Gives the write role back: the wire took so many of those bytes, and the others are still somebody else's.
    pub(super) fn end_past(&mut self, len: usize, taken: usize) {
        self.writing = None;
        self.taken += taken as u64;
        self.sealed -= (len - taken) as u64;
        (self.sent, self.touched) = (self.sealed, self.sealed);
    }

    /// With TLS, while it is clear: seals the first bytes of `data`, which are somebody else's, to be written next; returns how many.
    pub(super) fn seal_past(&mut self, data: &[u8]) -> usize {
        let Some(tls) = &mut self.tls else { return 0 };
        let n = data.len().min(SEAL);
        self.at = 0;
        self.out.clear();
        tls.seal(&data[..n], &mut self.out);
        self.sealed += n as u64;
        n
    }

    /// Fills `out`, which is empty, from `pending`.
    fn load(&mut self) {
        self.at = 0;
        self.out.clear();
        let Some(tls) = &mut self.tls else {
            std::mem::swap(&mut self.out, &mut self.pending);
            self.sealed += self.out.len() as u64;
            return;
        };
        let n = self.pending.len().min(SEAL);
        if n > 0 {
            tls.seal(&self.pending[..n], &mut self.out);
            self.pending.drain(..n);
            self.sealed += n as u64;
        }
        if self.pending.is_empty() && self.finish == Finish::Wanted {
            tls.close_notify(&mut self.out);
        }
        tls.pending(&mut self.out);
    }

    /// Gives the write role back: the wire took `n` bytes.
    pub(super) fn end_write(&mut self, out: Vec<u8>, n: usize, now: Instant) {
        self.writing = None;
        self.out = out;
        self.at += n;
        self.taken += n as u64;
        if self.at == self.out.len() {
            (self.sent, self.touched) = (self.sealed, self.sealed);
            (self.stalled, self.pace_due) = (None, None);
            self.pace.iter_mut().for_each(Pace::rest);
            self.give_memory_back();
        } else {
            if self.tls.is_none() {
                self.sent += n as u64;
                self.touched = self.sent;
            } else if n > 0 {
                self.touched = self.sealed;
            }
            self.stalled = if n > 0 { Some(now) } else { self.stalled.or(Some(now)) };
            if let (Some(pace), None) = (&mut self.pace, self.pace_due) {
                self.pace_due = pace.wait(self.taken, now);
            }
        }
    }

    /// Gives the memory of buffers back in which nothing is.
    pub(super) fn shrink(&mut self) {
        if self.writing.is_none() && self.out.is_empty() {
            self.out = Vec::new();
        }
        if self.pending.is_empty() {
            self.pending = Vec::new();
        }
    }

    /// Gives the memory back that is not needed while nothing more is framed: what was sent, and room for more.
    pub(super) fn slim(&mut self) {
        if self.writing.is_some() {
            return;
        }
        if self.at > 0 || self.out.capacity() > self.out.len() {
            self.out = self.out[self.at..].to_vec();
            self.at = 0;
        }
        self.pending.shrink_to_fit();
    }

    fn give_memory_back(&mut self) {
        const KEPT: usize = 128 * 1024;
        if self.out.capacity() > KEPT {
            self.out = Vec::new();
        }
        if self.pending.is_empty() && self.pending.capacity() > KEPT {
            self.pending = Vec::new();
        }
        self.out.clear();
        self.at = 0;
    }

    /// Returns whether the wire's direction is to be ended now: once, when everything was sent.
    pub(super) fn take_finish(&mut self) -> bool {
        let now =
            self.finish == Finish::Wanted && self.unsent() == 0 && self.writing.is_none() && !self.tls_wants_write();
        if now {
            self.finish = Finish::Done;
        }
        now
    }

    /// Takes what was not sent, unless somebody is writing; only without TLS.
    pub(super) fn take_unsent(&mut self) -> Option<Vec<u8>> {
        if self.writing.is_some() || self.tls.is_some() {
            return None;
        }
        let mut unsent = self.out.split_off(self.at.min(self.out.len()));
        unsent.append(&mut self.pending);
        self.discard();
        Some(unsent)
    }

    /// Drops what was not sent: the wire is broken.
    pub(super) fn discard(&mut self) {
        self.pending.clear();
        self.out.clear();
        self.at = 0;
        // It never will take anything, which nobody is to wait for.
        (self.stalled, self.pace_due) = (None, None);
        self.finish = Finish::Done;
    }

    /// Moves what arrived from `raw`, as the wire gave it, to `input`, as the peer meant it. Without TLS there is no `raw`.
    ///
    /// # Errors
    ///
    /// What TLS says against it; the alert is ready to be sent.
    pub(super) fn open(&mut self, raw: &mut RecvBuf, input: &mut RecvBuf) -> Result<Fed, TlsError> {
        match &mut self.tls {
            None => Ok(Fed::Drained),
            Some(tls) => tls.feed(raw, input),
        }
    }

    /// The same into `room`, and what does not fit there into `rest`; returns also how much is in `room`.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub(super) fn open_into(
        &mut self,
        raw: &mut RecvBuf,
        room: &mut [u8],
        rest: &mut RecvBuf,
    ) -> Result<(usize, Fed), TlsError> {
        match &mut self.tls {
            None => Ok((0, Fed::Drained)),
            Some(tls) => tls.feed_into(raw, room, rest),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_being_written_is_unsent() {
        let now = Instant::now();
        let mut duplex = Duplex::new(None, Vec::new());
        duplex.pending.extend_from_slice(&[7; 100]);
        assert_eq!(duplex.unsent(), 100);
        let (out, at) = duplex.begin_write().expect("something is framed");
        assert_eq!((out.len(), at, duplex.unsent()), (100, 0, 100));
        // Nobody knows how much the wire will have taken, so nobody may say nothing.
        assert_eq!((duplex.touchable(), duplex.touched(), duplex.sent()), (100, 0, 0));
        duplex.end_write(out, 60, now);
        assert_eq!((duplex.unsent(), duplex.touchable(), duplex.sent()), (40, 60, 60));
        // The rest, while another thread frames something.
        let (out, at) = duplex.begin_write().expect("a rest");
        assert_eq!((out.len(), at, duplex.unsent()), (100, 60, 40));
        duplex.pending.extend_from_slice(&[8; 10]);
        assert_eq!((duplex.unsent(), duplex.begin_write()), (50, None));
        assert!(!duplex.has_work());
        duplex.end_write(out, 40, now);
        assert_eq!((duplex.unsent(), duplex.sent(), duplex.framed()), (10, 100, 110));
        assert!(duplex.has_work());
    }

    #[test]
    fn only_what_is_unsent_is_kept() {
        let now = Instant::now();
        let mut duplex = Duplex::new(None, Vec::new());
        duplex.pending.extend_from_slice(&[7; 100]);
        let (out, _) = duplex.begin_write().expect("something is framed");
        duplex.pending.extend_from_slice(&[8; 10]);
        // Whoever writes has it.
        duplex.slim();
        duplex.end_write(out, 60, now);
        assert_eq!(duplex.out.len(), 100);
        duplex.slim();
        assert_eq!((duplex.out.capacity(), duplex.at, duplex.pending.capacity()), (40, 0, 10));
        assert_eq!((duplex.unsent(), duplex.sent(), duplex.framed()), (50, 60, 110));
        let (out, at) = duplex.begin_write().expect("a rest");
        assert_eq!(out[at..], [7; 40]);
        duplex.end_write(out, 40, now);
        let (out, at) = duplex.begin_write().expect("what was framed meanwhile");
        assert_eq!(out[at..], [8; 10]);
        duplex.end_write(out, 10, now);
        assert_eq!((duplex.unsent(), duplex.sent(), duplex.stalled), (0, 110, None));
        duplex.slim();
        assert_eq!((duplex.out.capacity(), duplex.pending.capacity()), (0, 0));
    }
}
