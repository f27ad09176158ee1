//! Received bytes that nobody has understood yet.

/// The largest buffer kept once it is empty; what bulk reads grew beyond this is given back.
const KEPT: usize = 64 * 1024;

/// Received bytes that nobody has understood yet.
///
/// Bytes are added at the end and taken from the front. Engines look with [`peek`](Self::peek) and take what they have
/// understood; drivers read straight into [`space`](Self::space). Memory is zeroed when it is allocated, never per read.
///
/// # Invariants
///
/// `start <= end <= store.len()`; every byte of `store` is initialised.
#[derive(Debug, Default)]
pub struct RecvBuf {
    store: Vec<u8>,
    start: usize,
    end: usize,
}

impl RecvBuf {
    /// Returns an empty buffer, which allocates nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds received bytes.
    #[inline]
    pub fn extend(&mut self, bytes: &[u8]) {
        self.space(bytes.len())[..bytes.len()].copy_from_slice(bytes);
        self.filled(bytes.len());
    }

    /// Adds received bytes, with no more memory than they take: where there are many buffers and little in each.
    #[inline]
    pub(crate) fn extend_exactly(&mut self, bytes: &[u8]) {
        match self.store.get_mut(..bytes.len()) {
            Some(room) if self.start == self.end => {
                room.copy_from_slice(bytes);
                (self.start, self.end) = (0, bytes.len());
            }
            None if self.start == self.end => {
                *self = RecvBuf { store: bytes.to_vec(), start: 0, end: bytes.len() };
            }
            _ => self.extend(bytes),
        }
    }

    /// Returns how many bytes are not understood yet.
    #[inline]
    pub fn len(&self) -> usize {
        self.end - self.start
    }

    /// Returns whether there are none.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Returns the bytes that are not understood yet, without taking them.
    #[inline]
    pub fn peek(&self) -> &[u8] {
        &self.store[self.start..self.end]
    }

    /// Takes the first `n` bytes.
    ///
    /// # Panics
    ///
    /// Panics if there are fewer.
    #[inline]
    pub fn take(&mut self, n: usize) -> &mut [u8] {
        assert!(n <= self.len(), "took {n} of {} bytes", self.len());
        let from = self.start;
        self.start += n;
        &mut self.store[from..from + n]
    }

    /// Returns the `n` bytes that were taken last. They are there until the next call of [`space`](Self::space).
    ///
    /// # Panics
    ///
    /// Panics if fewer were taken since then.
    #[inline]
    pub fn taken(&self, n: usize) -> &[u8] {
        assert!(n <= self.start, "{n} of {} taken bytes", self.start);
        &self.store[self.start - n..self.start]
    }

    /// Drops everything.
    pub fn clear(&mut self) {
        (self.start, self.end) = (0, 0);
    }

    /// Returns room for at least `min` bytes behind those that are there; say with [`filled`](Self::filled) what was used.
    pub fn space(&mut self, min: usize) -> &mut [u8] {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
        if self.store.len() - self.end < min {
            if self.start > 0 {
                self.store.copy_within(self.start..self.end, 0);
                (self.start, self.end) = (0, self.len());
            }
            let needed = self.end + min;
            if self.store.len() < needed {
                self.grow(needed.max(self.store.len() * 2));
            }
        }
        &mut self.store[self.end..]
    }

    /// Returns room for `n` bytes behind those that are there, and makes no more than that.
    pub(crate) fn space_exactly(&mut self, n: usize) -> &mut [u8] {
        let needed = self.end + n;
        if self.store.len() < needed {
            self.grow(needed);
        }
        &mut self.store[self.end..needed]
    }

    fn grow(&mut self, len: usize) {
        if self.is_empty() {
            // Memory that is fresh is mostly zeroed for nothing.
            *self = RecvBuf { store: vec![0; len], start: 0, end: 0 };
        } else {
            self.store.resize(len, 0);
        }
    }

    /// Returns what is held as a vector of its own, without a copy if nothing was taken.
    pub(crate) fn into_vec(mut self) -> Vec<u8> {
        if self.start > 0 {
            return self.peek().to_vec();
        }
        self.store.truncate(self.end);
        self.store
    }

    /// Says that `n` bytes of [`space`](Self::space) hold received bytes now.
    ///
    /// # Panics
    ///
    /// Panics if there was less space.
    #[inline]
    pub fn filled(&mut self, n: usize) {
        assert!(n <= self.store.len() - self.end, "filled {n} of {} bytes", self.store.len() - self.end);
        self.end += n;
    }

    /// Gives memory back: all of it when nothing is held and `idle`, else what bulk reads grew.
    pub fn shrink(&mut self, idle: bool) {
        if self.is_empty() && (idle || self.store.len() > KEPT) {
            *self = Self::default();
        }
    }

    /// Returns how much memory is not free because of what is held: nothing where that is nothing.
    #[inline]
    pub(crate) fn bound(&self) -> usize {
        if self.is_empty() { 0 } else { self.store.len() }
    }

    /// Returns how many bytes the buffer can hold without growing.
    pub fn capacity(&self) -> usize {
        self.store.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_out_in_the_order_they_went_in() {
        let mut buf = RecvBuf::new();
        let (mut sent, mut seen) = (0u8, 0u8);
        for round in 0..200usize {
            for _ in 0..round % 37 {
                buf.extend(&[sent]);
                sent = sent.wrapping_add(1);
            }
            for _ in 0..(round * 7 % 31).min(buf.len()) {
                assert_eq!(buf.take(1), &[seen]);
                seen = seen.wrapping_add(1);
            }
        }
        assert_eq!(buf.peek().first().copied(), (!buf.is_empty()).then_some(seen));
    }

    #[test]
    fn room_is_reused_once_everything_was_taken() {
        let mut buf = RecvBuf::new();
        buf.extend(&[7; 100]);
        let capacity = buf.capacity();
        for _ in 0..1000 {
            let n = buf.len();
            buf.take(n);
            buf.extend(&[7; 100]);
        }
        assert_eq!(buf.capacity(), capacity);
        buf.clear();
        buf.shrink(true);
        assert_eq!(buf.capacity(), 0);
    }

    #[test]
    #[should_panic(expected = "took 2 of 1 bytes")]
    fn taking_more_than_there_is() {
        let mut buf = RecvBuf::new();
        buf.extend(&[1]);
        buf.take(2);
    }
}
