//! gzip (RFC 1952): members one after the other, each a header, a deflate stream and a trailer.
//!
//! The framing is ours and not the decompressor's, because that can be reset to raw deflate only: a body of many small
//! members would else allocate a window for each.

use super::{InflateError, Step, raw_step};
use flate2::{Crc, Decompress, Status};

const MAGIC: [u8; 2] = [0x1f, 0x8b];

/// The flags of a header (RFC 1952, section 2.3.1). FTEXT, the lowest, says nothing to a decoder.
const FHCRC: u8 = 1 << 1;
const FEXTRA: u8 = 1 << 2;
const FNAME: u8 = 1 << 3;
const FCOMMENT: u8 = 1 << 4;
const RESERVED: u8 = 0b1110_0000;

/// The coding `gzip`.
#[derive(Debug)]
pub(super) struct Gzip {
    state: State,
    stream: Decompress,
    /// Of the content of this member.
    crc: Crc,
}

#[derive(Debug)]
enum State {
    /// Nothing has arrived yet.
    Start,
    Header(Header),
    Stream,
    /// So many bytes of the trailer have arrived, the first the lowest: checksum and length.
    Trailer(u32, u64),
    /// A member is complete.
    Between,
    /// A member is complete, and a byte arrived that may begin the next.
    BetweenMagic,
    /// The last member is complete; anything more is ignored.
    Ended,
}

impl Gzip {
    pub(super) fn new() -> Self {
        Gzip { state: State::Start, stream: Decompress::new(false), crc: Crc::new() }
    }

    pub(super) fn step(&mut self, input: &[u8], out: &mut [u8], last: bool) -> Result<Step, InflateError> {
        let mut step = Step::default();
        loop {
            let rest = &input[step.consumed..];
            if let State::Stream = self.state {
                let (part, status) = raw_step(&mut self.stream, rest, &mut out[step.produced..], last)?;
                self.crc.update(&out[step.produced..step.produced + part.produced]);
                step.consumed += part.consumed;
                step.produced += part.produced;
                if status != Status::StreamEnd {
                    return Ok(step);
                }
                self.state = State::Trailer(0, 0);
                continue;
            }
            let (Some(byte), false) = (rest.first(), matches!(self.state, State::Ended)) else {
                return self.out_of_input(Step { consumed: input.len(), ..step }, last);
            };
            step.consumed += 1;
            self.framing(*byte)?;
        }
    }

    /// Takes a byte outside of the deflate stream and of what is ignored.
    fn framing(&mut self, byte: u8) -> Result<(), InflateError> {
        match &mut self.state {
            State::Start => {
                let mut header = Header::new();
                header.push(byte)?;
                self.state = State::Header(header);
            }
            State::Header(header) => {
                if header.push(byte)? {
                    self.stream.reset(false);
                    self.crc.reset();
                    self.state = State::Stream;
                }
            }
            State::Trailer(have, bytes) => {
                *bytes |= u64::from(byte) << (8 * *have);
                *have += 1;
                if *have == 8 {
                    let trailer = *bytes;
                    self.check(trailer)?;
                    self.state = State::Between;
                }
            }
            State::Between if byte == MAGIC[0] => self.state = State::BetweenMagic,
            State::BetweenMagic if byte == MAGIC[1] => {
                let mut header = Header::new();
                header.push(MAGIC[0])?;
                header.push(MAGIC[1])?;
                self.state = State::Header(header);
            }
            State::Between | State::BetweenMagic | State::Stream | State::Ended => self.state = State::Ended,
        }
        Ok(())
    }

    /// Checks the trailer: the checksum, then the length modulo 2^32 (RFC 1952, section 2.3.1).
    fn check(&self, trailer: u64) -> Result<(), InflateError> {
        if trailer & 0xffff_ffff != u64::from(self.crc.sum()) {
            return Err(InflateError::GzipChecksum);
        }
        if trailer >> 32 != u64::from(self.crc.amount()) { Err(InflateError::GzipLength) } else { Ok(()) }
    }

    fn out_of_input(&self, step: Step, last: bool) -> Result<Step, InflateError> {
        match &self.state {
            _ if !last => Ok(step),
            State::Start | State::Between | State::BetweenMagic | State::Ended => Ok(Step { done: true, ..step }),
            State::Header(_) | State::Stream | State::Trailer(..) => Err(InflateError::Truncated),
        }
    }
}

/// The header of a member, taken byte by byte: nothing of it is kept.
#[derive(Debug)]
struct Header {
    part: Part,
    /// The flags of the parts that are still to come.
    flags: u8,
    /// Of the header so far (FHCRC).
    crc: Crc,
}

/// What the next byte belongs to.
#[derive(Clone, Copy, Debug)]
enum Part {
    /// The ten bytes that every header has; so many have arrived.
    Fixed(u8),
    /// The length of the extra field; its first byte.
    ExtraLength(Option<u8>),
    /// So many bytes of the extra field are to come.
    Extra(u16),
    /// File name or comment, up to a zero byte.
    Text,
    /// The header checksum; its first byte.
    Checksum(Option<u8>),
}

impl Header {
    fn new() -> Self {
        Header { part: Part::Fixed(0), flags: 0, crc: Crc::new() }
    }

    /// Takes the next byte; returns whether it was the last.
    fn push(&mut self, byte: u8) -> Result<bool, InflateError> {
        let next = match self.part {
            Part::Fixed(at) => {
                match at {
                    0 | 1 if byte != MAGIC[usize::from(at)] => return Err(InflateError::GzipMagic),
                    2 if byte != 8 => return Err(InflateError::GzipMethod(byte)),
                    3 if byte & RESERVED != 0 => return Err(InflateError::GzipFlags(byte)),
                    3 => self.flags = byte,
                    _ => {}
                }
                if at < 9 { Some(Part::Fixed(at + 1)) } else { self.optional() }
            }
            Part::ExtraLength(None) => Some(Part::ExtraLength(Some(byte))),
            Part::ExtraLength(Some(low)) => match u16::from_le_bytes([low, byte]) {
                0 => self.optional(),
                n => Some(Part::Extra(n)),
            },
            Part::Extra(n) if n > 1 => Some(Part::Extra(n - 1)),
            Part::Text if byte != 0 => Some(Part::Text),
            Part::Extra(_) | Part::Text => self.optional(),
            Part::Checksum(None) => {
                self.part = Part::Checksum(Some(byte));
                return Ok(false);
            }
            Part::Checksum(Some(low)) => {
                // The lower half of the checksum of all bytes before it.
                let found = u16::from_le_bytes([low, byte]);
                let right = u32::from(found) == self.crc.sum() & 0xffff;
                return if right { Ok(true) } else { Err(InflateError::GzipHeaderChecksum) };
            }
        };
        self.crc.update(&[byte]);
        match next {
            None => Ok(true),
            Some(part) => {
                self.part = part;
                Ok(false)
            }
        }
    }

    /// Returns the next part that the flags announce.
    fn optional(&mut self) -> Option<Part> {
        let parts = [
            (FEXTRA, Part::ExtraLength(None)),
            (FNAME, Part::Text),
            (FCOMMENT, Part::Text),
            (FHCRC, Part::Checksum(None)),
        ];
        let (flag, part) = parts.into_iter().find(|(flag, _)| self.flags & flag != 0)?;
        self.flags &= !flag;
        Some(part)
    }
}
