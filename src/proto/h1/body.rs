//! Bodies that come in.
//!
//! Payload is handed out as it arrives; the lines around it, chunk sizes and trailers, are looked at and taken when they
//! are complete.

use super::{
    config::Limits,
    framing::Framing,
    parse::{self, Allowed, Scan},
    syntax::{find_newline, token_len, trim_start},
    violation::Violation,
};
use crate::{
    buf::RecvBuf,
    fields::{
        Fields,
        trailers::{Trailer, trailer},
    },
    proto::Role,
};

/// A body, or what has not arrived of it.
///
/// | state | next on the wire | then |
/// |---|---|---|
/// | `Sized(n)` | n bytes of payload | `Complete` |
/// | `UntilClose` | payload, until the connection ends | `Complete` |
/// | `ChunkSize` | a line with size and extensions | `ChunkData`, or `Trailers` if the size is zero |
/// | `ChunkData(n)` | n bytes of payload, at least one | `ChunkEnd` |
/// | `ChunkEnd` | CRLF | `ChunkSize` |
/// | `Trailers` | field lines and an empty line | `Complete` |
/// | `Complete` | another message | |
#[derive(Debug)]
pub(super) enum Body {
    Sized(u64),
    UntilClose,
    ChunkSize {
        /// How far the line was searched for its end.
        scanned: usize,
        /// Bytes that extensions may still use in this body.
        extensions: usize,
    },
    ChunkData {
        left: u64,
        extensions: usize,
    },
    ChunkEnd {
        extensions: usize,
    },
    Trailers(Scan),
    Complete,
}

/// A piece of a body.
#[derive(Debug)]
pub(super) enum Piece<'b> {
    Data(&'b [u8]),
    Trailers(Fields),
    Ended,
}

impl Body {
    pub(super) fn new(framing: Framing, limits: &Limits) -> Self {
        match framing {
            Framing::Empty => Body::Complete,
            Framing::Sized(length) => Body::Sized(length),
            Framing::Chunked => Body::ChunkSize { scanned: 0, extensions: limits.extension_bytes },
            Framing::UntilClose => Body::UntilClose,
        }
    }

    /// Returns how many bytes of payload come next, if payload comes next.
    pub(super) fn expects(&self) -> Option<u64> {
        match *self {
            Body::Sized(left) | Body::ChunkData { left, .. } => Some(left),
            Body::UntilClose => Some(u64::MAX),
            Body::ChunkSize { .. } | Body::ChunkEnd { .. } | Body::Trailers(_) | Body::Complete => None,
        }
    }

    /// Counts payload that was handed out.
    ///
    /// # Panics
    ///
    /// Panics if it is more than [`expects`](Self::expects).
    pub(super) fn took(&mut self, n: u64) {
        let left = self.expects().and_then(|left| left.checked_sub(n)).expect("no more payload taken than expected");
        *self = match *self {
            Body::UntilClose => Body::UntilClose,
            Body::ChunkData { extensions, .. } if left == 0 => Body::ChunkEnd { extensions },
            Body::ChunkData { extensions, .. } => Body::ChunkData { left, extensions },
            _ if left == 0 => Body::Complete,
            _ => Body::Sized(left),
        };
    }

    /// Takes the next piece from `input`, or returns `None` if more bytes are needed.
    ///
    /// # Errors
    ///
    /// Whatever RFC 9112, section 7.1, does not allow in chunks and trailers, and limits.
    pub(super) fn next<'b>(
        &mut self,
        role: Role,
        limits: &Limits,
        input: &'b mut RecvBuf,
    ) -> Result<Option<Piece<'b>>, Violation> {
        let left = loop {
            match self {
                Body::Sized(left) | Body::ChunkData { left, .. } => break *left,
                Body::UntilClose => break u64::MAX,
                Body::ChunkSize { scanned, extensions } => {
                    let Some(line) = size_line(input.peek(), scanned, *extensions, limits)? else { return Ok(None) };
                    input.take(line.bytes);
                    *self = match line.size {
                        0 => Body::Trailers(Scan::default()),
                        left => Body::ChunkData { left, extensions: *extensions - line.extension },
                    };
                }
                Body::ChunkEnd { extensions } => match input.peek() {
                    [] | [b'\r'] => return Ok(None),
                    [b'\r', b'\n', ..] => {
                        input.take(2);
                        *self = Body::ChunkSize { scanned: 0, extensions: *extensions };
                    }
                    _ => return Err(Violation::ChunkUnterminated),
                },
                Body::Trailers(scan) => {
                    let Some(trailers) = trailers(role, scan, limits, input)? else { return Ok(None) };
                    *self = Body::Complete;
                    if !trailers.is_empty() {
                        return Ok(Some(Piece::Trailers(trailers)));
                    }
                }
                Body::Complete => return Ok(Some(Piece::Ended)),
            }
        };
        if input.is_empty() {
            return Ok(None);
        }
        let n = usize::try_from(left).map_or(input.len(), |left| left.min(input.len()));
        self.took(n as u64);
        Ok(Some(Piece::Data(input.take(n))))
    }
}

/// A line with the size of a chunk.
struct SizeLine {
    size: u64,
    /// The bytes of the line, CRLF included.
    bytes: usize,
    /// The bytes of its extensions.
    extension: usize,
}

/// Understands the line with the size of a chunk, once it is complete (RFC 9112, section 7.1).
///
/// The size has at most 16 digits, so that it fits 64 bits. Extensions are checked and ignored; `left` bytes of them
/// are still allowed.
fn size_line(bytes: &[u8], scanned: &mut usize, left: usize, limits: &Limits) -> Result<Option<SizeLine>, Violation> {
    let mut size = 0;
    let mut digits = 0;
    while let Some(digit) = bytes.get(digits).and_then(|&b| char::from(b).to_digit(16)) {
        if digits == 16 {
            return Err(Violation::ChunkSizeTooLong);
        }
        size = size << 4 | u64::from(digit);
        digits += 1;
    }
    let extension = match &bytes[digits..] {
        [] => return Ok(None),
        _ if digits == 0 => return Err(Violation::ChunkSizeInvalid),
        [b'\r', b'\n', ..] => 0,
        [b'\r'] => return Ok(None),
        [b'\r', ..] => return Err(Violation::BareCr),
        [b'\n', ..] => return Err(Violation::BareLf),
        rest @ [b';' | b' ' | b'\t', ..] => {
            let from = scanned.saturating_sub(digits);
            let lf = find_newline(&rest[from..]).map(|n| from + n);
            // CR is no part of the extension.
            if lf.unwrap_or(rest.len()) > left.saturating_add(1) {
                return Err(Violation::ChunkExtensionsTooLong { limit: limits.extension_bytes });
            }
            let Some(lf) = lf else {
                *scanned = bytes.len();
                return Ok(None);
            };
            if rest[lf - 1] != b'\r' {
                return Err(Violation::BareLf);
            }
            check_extensions(&rest[..lf - 1])?;
            lf - 1
        }
        _ => return Err(Violation::ChunkSizeInvalid),
    };
    Ok(Some(SizeLine { size, bytes: digits + extension + 2, extension }))
}

/// Checks `*( BWS ";" BWS name [ BWS "=" BWS ( token / quoted-string ) ] )` (RFC 9112, section 7.1.1).
fn check_extensions(mut rest: &[u8]) -> Result<(), Violation> {
    let token = |bytes: &[u8]| match token_len(bytes) {
        0 => Err(Violation::ChunkExtensionInvalid),
        n => Ok(n),
    };
    while !rest.is_empty() {
        let [b';', name @ ..] = trim_start(rest) else { return Err(Violation::ChunkExtensionInvalid) };
        let name = trim_start(name);
        rest = &name[token(name)?..];
        if let [b'=', value @ ..] = trim_start(rest) {
            let value = trim_start(value);
            let len = match value {
                [b'"', quoted @ ..] => 1 + quoted_len(quoted).ok_or(Violation::ChunkExtensionInvalid)?,
                _ => token(value)?,
            };
            rest = &value[len..];
        }
    }
    Ok(())
}

/// Returns how many bytes a quoted string has behind its first quote (RFC 9110, section 5.6.4).
fn quoted_len(bytes: &[u8]) -> Option<usize> {
    let mut escaped = false;
    for (i, &b) in bytes.iter().enumerate() {
        match b {
            0..=8 | 10..=0x1f | 0x7f => return None,
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return Some(i + 1),
            _ => {}
        }
    }
    None
}

/// Takes the trailers from `input` once they are complete, without those that cannot be understood there.
fn trailers(role: Role, scan: &mut Scan, limits: &Limits, input: &mut RecvBuf) -> Result<Option<Fields>, Violation> {
    let allowed = Allowed {
        bytes: limits.trailer_bytes,
        lines: limits.fields,
        too_large: Violation::TrailersTooLarge { limit: limits.trailer_bytes },
    };
    let taken = parse::take_fields(role, scan, allowed, input, |(), name, _| match trailer(name) {
        Trailer::Kept => Ok(true),
        Trailer::Dropped => Ok(false),
        Trailer::Forbidden => Err(Violation::TrailerForbidden),
    })?;
    Ok(taken.map(|(trailers, ())| trailers))
}
