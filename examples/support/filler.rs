//! Bytes of no meaning whose order can be checked: the byte at offset n is n modulo 251.

use std::io::{self, Read};

/// The largest prime below 256: no piece whose size is a power of two looks like its neighbour.
const PERIOD: u64 = 251;

/// So many bytes of filler.
#[derive(Debug)]
pub struct Filler {
    at: u64,
    len: u64,
}

impl Filler {
    /// Returns a reader of `len` bytes.
    pub fn new(len: u64) -> Self {
        Filler { at: 0, len }
    }
}

impl Read for Filler {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.len - self.at).unwrap_or(usize::MAX);
        let n = buf.len().min(left);
        let mut next = (self.at % PERIOD) as u8;
        for byte in &mut buf[..n] {
            *byte = next;
            next = if next == (PERIOD - 1) as u8 { 0 } else { next + 1 };
        }
        self.at += n as u64;
        Ok(n)
    }
}
