//! permessage-deflate: inflating what comes in, compressing what goes out (RFC 7692, section 7.2).
//!
//! Beside the content codings the only file that names `flate2`. The window is allocated with the first message that
//! needs it.

use super::{
    extension::{Context, Direction, WindowBits},
    mask::Mask,
};
use crate::proto::End;
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

/// The end of a flush, which senders leave out (RFC 7692, section 7.2.1).
const TAIL: [u8; 4] = [0x00, 0x00, 0xff, 0xff];

/// How much is fed to the inflater at once, and held at most.
pub(super) const CHUNK: usize = 4096;

/// The largest buffer for a compressed message that is kept for the next one.
const KEPT: usize = 64 * 1024;

/// That data cannot be inflated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Invalid;

/// Inflates the messages of the peer.
#[derive(Debug)]
pub(super) struct Inflater {
    direction: Direction,
    stream: Option<Decompress>,
    /// Compressed bytes, without the mask.
    chunk: Vec<u8>,
    /// How many of them are used.
    used: usize,
    /// Whether the output was full, so that there may be more without further input.
    full: bool,
    /// Whether the chunk ends with the end of the message.
    last: End,
}

impl Inflater {
    /// Returns the inflater of what was agreed.
    pub(super) fn new(direction: Direction) -> Option<Self> {
        Some(Inflater { direction, stream: None, chunk: Vec::new(), used: 0, full: false, last: End::More })
    }

    /// Returns whether nothing comes out before more is fed.
    pub(super) fn is_hungry(&self) -> bool {
        self.used == self.chunk.len() && !self.full
    }

    /// Takes the next bytes of payload, at most [`CHUNK`]; `last` if these are the last of the message.
    ///
    /// # Panics
    ///
    /// Panics if it is not hungry.
    pub(super) fn feed(&mut self, payload: &[u8], mask: Option<&mut Mask>, last: End) {
        assert!(self.is_hungry(), "fed an inflater that is not hungry");
        self.chunk.clear();
        self.chunk.extend_from_slice(payload);
        if let Some(mask) = mask {
            mask.apply(&mut self.chunk);
        }
        if last == End::Last {
            self.chunk.extend_from_slice(&TAIL);
        }
        (self.used, self.last) = (0, last);
    }

    /// Fills `space`, which is not empty, with as much as is there; returns how much.
    ///
    /// # Errors
    ///
    /// [`Invalid`] if the data is not DEFLATE.
    pub(super) fn run(&mut self, space: &mut [u8]) -> Result<usize, Invalid> {
        let window = self.direction.window.get().max(9);
        let stream = self.stream.get_or_insert_with(|| Decompress::new_with_window_bits(false, window));
        let mut filled = 0;
        loop {
            let (read, written) = (stream.total_in(), stream.total_out());
            let status = stream
                .decompress(&self.chunk[self.used..], &mut space[filled..], FlushDecompress::Sync)
                .map_err(|_| Invalid)?;
            let (read, written) = ((stream.total_in() - read) as usize, (stream.total_out() - written) as usize);
            self.used += read;
            filled += written;
            self.full = filled == space.len();
            if status == Status::StreamEnd {
                // A block with BFINAL ends the stream, not the message (section 7.2.3.4): another one follows.
                stream.reset(false);
                // It should be followed by a zero that makes the tail a block, but not everybody sends that.
                if self.last == End::Last && self.chunk.len() - self.used == TAIL.len() {
                    self.used = self.chunk.len();
                }
                self.full = false;
            }
            if self.used == self.chunk.len() || filled == space.len() {
                return Ok(filled);
            }
            if read == 0 && written == 0 {
                return Err(Invalid);
            }
        }
    }

    /// The message is complete.
    pub(super) fn end_message(&mut self) {
        self.last = End::More;
        self.chunk.clear();
        self.used = 0;
        if let (Context::Reset, Some(stream)) = (self.direction.context, &mut self.stream) {
            stream.reset(false);
        }
    }
}

/// Compresses our messages.
#[derive(Debug)]
pub(super) struct Deflater {
    direction: Direction,
    min: usize,
    stream: Option<Compress>,
    packed: Vec<u8>,
}

impl Deflater {
    /// Returns the compressor of what was agreed, `None` if it cannot keep to the window.
    ///
    /// Uncompressed messages are always allowed (RFC 7692, section 6), so that is no reason not to agree.
    pub(super) fn new(direction: Direction, min: usize) -> Option<Self> {
        if direction.window == WindowBits::MIN {
            return None;
        }
        Some(Deflater { direction, min, stream: None, packed: Vec::new() })
    }

    /// Returns whether a message of `len` bytes is to be compressed.
    pub(super) fn wants(&self, len: usize) -> bool {
        len >= self.min
    }

    /// Returns the compressed message in a buffer to be given back with [`unpacked`](Self::unpacked).
    pub(super) fn pack(&mut self, data: &[u8]) -> Vec<u8> {
        let mut packed = std::mem::take(&mut self.packed);
        packed.clear();
        if data.is_empty() {
            // One empty block (section 7.2.3.6): a second flush in a row would give nothing.
            packed.push(0);
            return packed;
        }
        let window = self.direction.window.get();
        let stream =
            self.stream.get_or_insert_with(|| Compress::new_with_window_bits(Compression::default(), false, window));
        let mut used = 0;
        loop {
            packed.reserve((data.len() - used) / 2 + 64);
            let read = stream.total_in();
            let status = stream
                .compress_vec(&data[used..], &mut packed, FlushCompress::Sync)
                .expect("compressing fails only when used wrongly");
            used += (stream.total_in() - read) as usize;
            if used == data.len() && (packed.len() < packed.capacity() || status == Status::BufError) {
                break;
            }
        }
        packed.truncate(packed.len() - TAIL.len());
        if self.direction.context == Context::Reset {
            stream.reset();
        }
        packed
    }

    /// Takes the buffer back.
    pub(super) fn unpacked(&mut self, packed: Vec<u8>) {
        if packed.capacity() <= KEPT {
            self.packed = packed;
        }
    }
}
