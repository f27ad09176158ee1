//! Content codings gzip and deflate, decoded as bytes arrive.
//!
//! | coding | accepted |
//! |---|---|
//! | `gzip`, `x-gzip` | RFC 1952: any number of members, every optional header field, all checksums verified |
//! | `deflate` | zlib (RFC 1950), and raw deflate (RFC 1951), which some servers send; the first two bytes tell |
//! | `identity` | nothing to do |
//! | two of them | one after the other, the last named first |
//!
//! An empty body is empty whatever its coding, as for browsers and curl. What follows a complete stream is ignored, as
//! browsers do (some servers pad with zeros or line breaks), unless it begins another gzip member; then that must be
//! whole as well. A stream that is cut short is an error.
//!
//! Memory is one window of 32 KiB and tables per coding, and 4 KiB between two. How much may come out is for the caller to limit.

mod gzip;

use flate2::{Decompress, DecompressError, FlushDecompress, Status};
use gzip::Gzip;
use std::fmt;

/// The most codings that are undone for one body. More than one is rare, and each may multiply the size by a thousand; curl
/// allows five.
const MAX_CODINGS: usize = 2;

/// What fits between two codings.
const BETWEEN: usize = 4 * 1024;

/// Bytes that the second coding may take before it gives any.
const BARREN: u64 = 64 * 1024;

/// Why a body cannot be decoded.
#[derive(Debug)]
pub(crate) enum InflateError {
    /// Two codings, the inner of which holds many bytes and says almost nothing.
    Barren,
    /// The deflate stream breaks RFC 1950 or 1951.
    Deflate(DecompressError),
    /// The checksum of a gzip member is not that of its content.
    GzipChecksum,
    /// Reserved gzip flags are set (RFC 1952, section 2.3.1.2).
    GzipFlags(u8),
    /// The checksum of a gzip header is not that of its bytes.
    GzipHeaderChecksum,
    /// The length of a gzip member is not that of its content.
    GzipLength,
    /// The body does not begin as gzip does.
    GzipMagic,
    /// The compression method of a gzip member is not deflate.
    GzipMethod(u8),
    /// The body ended inside the stream.
    Truncated,
}

impl fmt::Display for InflateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Barren => f.write_str("compressed twice, and almost nothing inside"),
            Self::Deflate(e) => e.fmt(f),
            Self::GzipChecksum => f.write_str("gzip: wrong checksum"),
            Self::GzipFlags(flags) => write!(f, "gzip: reserved flags are set: {flags:#04x}"),
            Self::GzipHeaderChecksum => f.write_str("gzip: wrong header checksum"),
            Self::GzipLength => f.write_str("gzip: wrong length"),
            Self::GzipMagic => f.write_str("the body is not gzip, though its content coding says so"),
            Self::GzipMethod(method) => write!(f, "gzip: compression method {method}, only 8 exists"),
            Self::Truncated => f.write_str("the compressed body is cut short"),
        }
    }
}

impl std::error::Error for InflateError {}

/// What one step did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Step {
    /// Bytes of the input that were understood.
    pub(crate) consumed: usize,
    /// Bytes of the output that were filled.
    pub(crate) produced: usize,
    /// The input ended, all of it was understood, and nothing more will come out.
    pub(crate) done: bool,
}

/// Undoes the content codings of one body.
#[derive(Debug)]
pub(crate) struct Inflate {
    first: Layer,
    second: Option<Second>,
}

/// A coding that is undone after another.
#[derive(Debug)]
struct Second {
    layer: Layer,
    /// What the first has given; the second has not taken `start..end` yet.
    between: Box<[u8]>,
    start: usize,
    end: usize,
    /// Whether the first is done.
    last: bool,
    /// What the second has taken and given in all.
    taken: u64,
    given: u64,
}

impl Inflate {
    /// Returns the decoder for the values of Content-Encoding, in their order.
    ///
    /// Returns `None` if there is nothing to undo, or if a coding is unknown or there are more than two: the body is then
    /// delivered as it came, and its Content-Encoding says so.
    pub(crate) fn new<'a>(values: impl IntoIterator<Item = &'a [u8]>) -> Option<Self> {
        let mut layers = Vec::new();
        for coding in values.into_iter().flat_map(|v| v.split(|b| *b == b',')).map(<[u8]>::trim_ascii) {
            let is = |name: &str| coding.eq_ignore_ascii_case(name.as_bytes());
            if is("gzip") || is("x-gzip") {
                layers.push(Layer::Gzip(Gzip::new()));
            } else if is("deflate") {
                layers.push(Layer::Deflate(Deflate::new()));
            } else if !(is("identity") || is("")) {
                return None;
            }
            if layers.len() > MAX_CODINGS {
                return None;
            }
        }
        let first = layers.pop()?;
        let second = layers.pop().map(|layer| Second {
            layer,
            between: vec![0; BETWEEN].into(),
            start: 0,
            end: 0,
            last: false,
            taken: 0,
            given: 0,
        });
        Some(Inflate { first, second })
    }

    /// Takes bytes of the body and fills `out`, which must not be empty, as far as both last.
    ///
    /// `last` says that the body ends with `input`. Once `out` was filled there may be more to come out of bytes that were
    /// taken already: call again with what is left of the input, even if that is nothing. With `last` call until `done`.
    ///
    /// # Errors
    ///
    /// An [`InflateError`] is final. What was produced before it, in this step too, is not to be trusted.
    pub(crate) fn step(&mut self, input: &[u8], out: &mut [u8], last: bool) -> Result<Step, InflateError> {
        let Some(second) = &mut self.second else { return self.first.step(input, out, last) };
        let mut done = Step::default();
        loop {
            let inner = second.drain(&mut out[done.produced..])?;
            done.produced += inner.produced;
            done.done = inner.done;
            if done.done || second.last || done.produced == out.len() {
                return Ok(done);
            }
            let outer = self.first.step(&input[done.consumed..], &mut second.between, last)?;
            done.consumed += outer.consumed;
            (second.start, second.end, second.last) = (0, outer.produced, outer.done);
            if outer.produced == 0 && !outer.done {
                return Ok(done);
            }
        }
    }
}

impl Second {
    fn drain(&mut self, out: &mut [u8]) -> Result<Step, InflateError> {
        let step = self.layer.step(&self.between[self.start..self.end], out, self.last)?;
        self.start += step.consumed;
        self.taken += step.consumed as u64;
        self.given += step.produced as u64;
        // Compressed data is never much longer than what it says; a few bytes on the wire could else keep us busy for long.
        if self.taken > BARREN + 8 * self.given { Err(InflateError::Barren) } else { Ok(step) }
    }
}

#[derive(Debug)]
enum Layer {
    Deflate(Deflate),
    Gzip(Gzip),
}

impl Layer {
    fn step(&mut self, input: &[u8], out: &mut [u8], last: bool) -> Result<Step, InflateError> {
        match self {
            Layer::Deflate(deflate) => deflate.step(input, out, last),
            Layer::Gzip(gzip) => gzip.step(input, out, last),
        }
    }
}

/// The coding `deflate`.
#[derive(Debug)]
enum Deflate {
    /// Nothing has arrived, or one byte: two tell zlib from raw deflate.
    Sniff(Option<u8>),
    Stream(Decompress),
    /// The stream is complete; anything more is ignored.
    Ended,
}

impl Deflate {
    fn new() -> Self {
        Deflate::Sniff(None)
    }

    fn step(&mut self, input: &[u8], out: &mut [u8], last: bool) -> Result<Step, InflateError> {
        let mut step = Step::default();
        loop {
            let rest = &input[step.consumed..];
            match self {
                Deflate::Sniff(seen) => match (*seen, rest) {
                    (None, []) => return Ok(Step { done: last, ..step }),
                    (Some(_), []) if last => return Err(InflateError::Truncated),
                    (Some(_), []) => return Ok(step),
                    (None, [first, ..]) => {
                        *seen = Some(*first);
                        step.consumed += 1;
                    }
                    (Some(first), [second, ..]) => {
                        let mut stream = Decompress::new(is_zlib(first, *second));
                        // A single byte is never enough for anything to come out.
                        raw_step(&mut stream, &[first], &mut [0], false)?;
                        *self = Deflate::Stream(stream);
                    }
                },
                Deflate::Stream(stream) => {
                    let (part, status) = raw_step(stream, rest, &mut out[step.produced..], last)?;
                    step.consumed += part.consumed;
                    step.produced += part.produced;
                    if status != Status::StreamEnd {
                        return Ok(step);
                    }
                    *self = Deflate::Ended;
                }
                Deflate::Ended => return Ok(Step { consumed: input.len(), done: last, ..step }),
            }
        }
    }
}

/// Returns whether two bytes are a zlib header (RFC 1950, section 2.2).
///
/// Raw deflate begins so only with a stored block whose padding bits are set, which no encoder makes.
fn is_zlib(first: u8, second: u8) -> bool {
    first & 0x0f == 8 && first >> 4 <= 7 && u16::from_be_bytes([first, second]) % 31 == 0
}

/// Moves a deflate stream as far as input and output last.
///
/// # Errors
///
/// [`InflateError::Truncated`] if `last` and the stream needs more than `input`.
fn raw_step(stream: &mut Decompress, input: &[u8], out: &mut [u8], last: bool) -> Result<(Step, Status), InflateError> {
    let (before_in, before_out) = (stream.total_in(), stream.total_out());
    let status = stream.decompress(input, out, FlushDecompress::None).map_err(InflateError::Deflate)?;
    let within = |n: u64, len: usize| usize::try_from(n).map_or(len, |n| n.min(len));
    let consumed = within(stream.total_in() - before_in, input.len());
    let produced = within(stream.total_out() - before_out, out.len());
    if last && status != Status::StreamEnd && consumed == input.len() && produced < out.len() {
        return Err(InflateError::Truncated);
    }
    Ok((Step { consumed, produced, done: false }, status))
}

#[cfg(test)]
mod tests;
