//! Two wires joined in memory: for tests, for fuzzing, and for a client and a server in one program.

use super::{Interest, Waker, Wire};
use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Returns two wires joined in memory; each direction holds at most `capacity` bytes, at least one.
///
/// They behave like the two ends of a socket: when one is dropped or shut down, the other reads what had been written,
/// then the end, and its writes fail with [`BrokenPipe`](io::ErrorKind::BrokenPipe).
///
/// # Examples
///
/// ```
/// use bowline::net::{Wire, pair};
///
/// let (near, far) = pair(64);
/// assert_eq!(near.try_write(b"hello")?, 5);
/// drop(near);
/// let mut buf = [0; 16];
/// assert_eq!(far.try_read(&mut buf)?, 5);
/// assert_eq!(far.try_read(&mut buf)?, 0);
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn pair(capacity: usize) -> (PairEnd, PairEnd) {
    let lanes = Arc::new(Mutex::new([Lane::default(), Lane::default()]));
    let end = |side| PairEnd { lanes: Arc::clone(&lanes), side, capacity: capacity.max(1), piece: usize::MAX };
    (end(0), end(1))
}

/// One end of two wires joined in memory; made by [`pair`].
#[derive(Debug)]
pub struct PairEnd {
    /// Each end writes the lane of its own side and reads the other.
    lanes: Arc<Mutex<[Lane; 2]>>,
    side: usize,
    capacity: usize,
    piece: usize,
}

/// One direction.
#[derive(Debug, Default)]
struct Lane {
    bytes: VecDeque<u8>,
    /// Nothing more is written.
    finished: bool,
    /// Nothing more is read.
    refused: bool,
    /// Who waits for bytes, and who for room.
    readers: Vec<Waker>,
    writers: Vec<Waker>,
}

impl Lane {
    fn may_read(&self) -> bool {
        !self.bytes.is_empty() || self.finished
    }

    fn may_write(&self, capacity: usize) -> bool {
        self.bytes.len() < capacity || self.finished || self.refused
    }

    /// Ends the lane in both respects; returns whom to wake.
    fn end(&mut self) -> Vec<Waker> {
        (self.finished, self.refused) = (true, true);
        let mut wakers = std::mem::take(&mut self.readers);
        wakers.append(&mut self.writers);
        wakers
    }
}

impl PairEnd {
    /// Makes each read and each write move at most so many bytes, at least one: every cut of a stream can be made.
    ///
    /// # Examples
    ///
    /// ```
    /// use bowline::net::{Wire, pair};
    ///
    /// let (near, _far) = pair(64);
    /// assert_eq!(near.max_piece(2).try_write(b"hello")?, 2);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn max_piece(mut self, bytes: usize) -> Self {
        self.piece = bytes.max(1);
        self
    }

    fn lanes(&self) -> MutexGuard<'_, [Lane; 2]> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn inbound(&self) -> usize {
        1 - self.side
    }

    /// Ends both directions; what had been written can still be read.
    fn end(&self) {
        let mut lanes = self.lanes();
        let wakers = lanes.each_mut().map(Lane::end);
        drop(lanes);
        wakers.iter().flatten().for_each(Waker::wake);
    }
}

impl Wire for PairEnd {
    fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
        let mut lanes = self.lanes();
        let lane = &mut lanes[self.inbound()];
        if !lane.may_read() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let most = buf.len().min(self.piece);
        let n = io::Read::read(&mut lane.bytes, &mut buf[..most])?;
        let wakers = if n == 0 { Vec::new() } else { std::mem::take(&mut lane.writers) };
        drop(lanes);
        wakers.iter().for_each(Waker::wake);
        Ok(n)
    }

    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        let mut lanes = self.lanes();
        let lane = &mut lanes[self.side];
        if lane.finished || lane.refused {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let n = bytes.len().min(self.piece).min(self.capacity - lane.bytes.len());
        if n == 0 && !bytes.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        lane.bytes.extend(&bytes[..n]);
        let wakers = if n == 0 { Vec::new() } else { std::mem::take(&mut lane.readers) };
        drop(lanes);
        wakers.iter().for_each(Waker::wake);
        Ok(n)
    }

    fn watch(&self, interest: Interest, waker: &Waker) {
        let mut lanes = self.lanes();
        let (read, write) = match interest {
            Interest::Read => (true, false),
            Interest::Write => (false, true),
            Interest::Both => (true, true),
        };
        let inbound = &mut lanes[self.inbound()];
        let mut now = read && inbound.may_read();
        if read && !now {
            keep(&mut inbound.readers, waker);
        }
        let outbound = &mut lanes[self.side];
        if write && outbound.may_write(self.capacity) {
            now = true;
        } else if write {
            keep(&mut outbound.writers, waker);
        }
        drop(lanes);
        if now {
            waker.wake();
        }
    }

    fn finish(&self) -> io::Result<()> {
        let mut lanes = self.lanes();
        let lane = &mut lanes[self.side];
        lane.finished = true;
        let (readers, writers) = (std::mem::take(&mut lane.readers), std::mem::take(&mut lane.writers));
        drop(lanes);
        readers.iter().chain(&writers).for_each(Waker::wake);
        Ok(())
    }

    fn shutdown(&self) {
        self.end();
    }
}

impl Drop for PairEnd {
    fn drop(&mut self) {
        self.end();
        self.lanes()[self.inbound()].bytes = VecDeque::new();
    }
}

/// Keeps a waker, once.
fn keep(wakers: &mut Vec<Waker>, waker: &Waker) {
    if !wakers.iter().any(|known| known.same(waker)) {
        wakers.push(waker.clone());
    }
}

#[cfg(test)]
mod tests;
