//! What is framed and not sent, and how much of all that was ever framed has gone.
//!
//! Plain data under a lock of its user: nothing here waits, locks or knows of frames, so that a model can run the same transitions in
//! every order.

/// The largest buffers that are kept between messages.
const KEPT: usize = 1024 * 1024;

/// From how many bytes on it is worth while to drop what has gone from the front of a buffer.
const DROPPED: usize = 64 * 1024;

/// What is framed and not sent; `F` is why a stream takes no more.
///
/// Positions count all bytes that were ever framed, also on streams before this one: first what was given to a stream, or lost with it,
/// then what is with whoever writes, then the rest.
#[derive(Debug)]
pub(super) struct Outbound<F> {
    /// Framed, and not with whoever writes: from `at` on. Frames are appended here.
    pub(super) bytes: Vec<u8>,
    at: usize,
    given: u64,
    away: usize,
    /// The position behind the last message.
    spoken: u64,
    lost: Option<Lost<F>>,
}

/// What was lost with the stream.
#[derive(Debug)]
struct Lost<F> {
    from: u64,
    /// Why, if that is known.
    fault: Option<F>,
}

impl<F> Default for Outbound<F> {
    fn default() -> Self {
        Outbound { bytes: Vec::new(), at: 0, given: 0, away: 0, spoken: 0, lost: None }
    }
}

impl<F> Outbound<F> {
    /// How much there is to be taken along.
    pub(super) fn unsent(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// The position behind everything framed so far.
    pub(super) fn framed(&self) -> u64 {
        self.given + self.away as u64 + self.unsent() as u64
    }

    /// Notes that what was framed last is a message, and no mere reply.
    #[inline]
    pub(super) fn spoke(&mut self) {
        self.spoken = self.framed();
    }

    /// Whether all that is before this position has left here.
    pub(super) fn has_given(&self, upto: u64) -> bool {
        self.given >= upto
    }

    /// Gives all there is to whoever writes: from the returned index on. That has to come back by [`end`](Self::end).
    #[inline]
    pub(super) fn begin(&mut self) -> (Vec<u8>, usize) {
        self.away = self.unsent();
        (std::mem::take(&mut self.bytes), std::mem::take(&mut self.at))
    }

    /// Takes back what the stream did not take, which has taken so many of those bytes: all before `at` is gone.
    #[inline]
    pub(super) fn end(&mut self, mut out: Vec<u8>, at: usize, taken: usize) {
        self.given += taken as u64;
        self.away = 0;
        if at == out.len() && self.bytes.is_empty() && out.capacity() <= KEPT {
            out.clear();
            (self.bytes, self.at) = (out, 0);
        } else {
            self.put_rest_back(out, at);
        }
    }

    fn put_rest_back(&mut self, mut out: Vec<u8>, at: usize) {
        if at == out.len() {
            self.at = 0;
            return;
        }
        out.append(&mut self.bytes);
        (self.bytes, self.at) = (out, at);
        if at >= DROPPED && at * 4 >= self.bytes.len() * 3 {
            self.bytes.drain(..at);
            self.at = 0;
        }
    }

    /// Drops everything, also what is with whoever writes: the stream takes no more.
    pub(super) fn lose(&mut self, fault: Option<F>) {
        self.lost.get_or_insert(Lost { from: self.given, fault });
        self.given = self.framed();
        self.away = 0;
        self.bytes.clear();
        self.at = 0;
    }

    /// Another stream begins, on which nothing was lost yet.
    pub(super) fn renew(&mut self) {
        self.lose(None);
        self.lost = None;
    }

    /// Whether some of what is before this position was lost, and is no mere reply; and why, if that is known.
    pub(super) fn loss(&self, upto: u64) -> Option<Option<&F>> {
        let lost = self.lost.as_ref().filter(|lost| lost.from < upto.min(self.spoken))?;
        Some(lost.fault.as_ref())
    }

    /// How much the stream was given behind this position.
    pub(super) fn given_behind(&self, upto: u64) -> u64 {
        let given = self.lost.as_ref().map_or(self.given, |lost| lost.from);
        given.saturating_sub(upto)
    }
}
