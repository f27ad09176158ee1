//! The header of a frame, in and out (RFC 6455, section 5.2).

use super::{event::Kind, mask::Mask, violation::Violation};
use crate::proto::{End, Role};

/// The largest payload of a control frame (RFC 6455, section 5.5).
pub(super) const CONTROL_MAX: usize = 125;

/// The longest header: two bytes, a length of eight and a masking key of four.
const HEADER_MAX: usize = 14;

/// The bit of the first byte that ends a message.
pub(super) const FIN: u8 = 0x80;
/// The bit of the first byte that permessage-deflate has taken (RFC 7692, section 6).
pub(super) const RSV1: u8 = 0x40;
/// The bits of the first byte that no extension of ours has taken.
const RSV23: u8 = 0x30;
/// The bit of the second byte that says that a masking key follows.
const MASKED: u8 = 0x80;

/// What a frame is (RFC 6455, section 11.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opcode {
    Continuation = 0x0,
    Text = 0x1,
    Binary = 0x2,
    Close = 0x8,
    Ping = 0x9,
    Pong = 0xa,
}

impl Opcode {
    fn parse(bits: u8) -> Option<Self> {
        Some(match bits {
            0x0 => Opcode::Continuation,
            0x1 => Opcode::Text,
            0x2 => Opcode::Binary,
            0x8 => Opcode::Close,
            0x9 => Opcode::Ping,
            0xa => Opcode::Pong,
            _ => return None,
        })
    }

    pub(super) fn is_control(self) -> bool {
        matches!(self, Opcode::Close | Opcode::Ping | Opcode::Pong)
    }
}

/// A header that is complete and breaks no rule that can be checked without knowing what came before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) opcode: Opcode,
    /// Whether this frame ends its message.
    pub(super) end: End,
    pub(super) rsv1: bool,
    pub(super) mask: Option<Mask>,
    /// The bytes of payload.
    pub(super) len: u64,
}

/// Looks for a header at the beginning of `bytes`; returns it with its length, or `None` if it is not complete.
///
/// Every bit is checked as soon as it is there, in the order in which they arrive.
///
/// # Errors
///
/// The rule of section 5 that the header breaks.
pub(super) fn parse(role: Role, bytes: &[u8]) -> Result<Option<(usize, Header)>, Violation> {
    let Some(&first) = bytes.first() else { return Ok(None) };
    let (opcode, end) = check_first(first)?;
    let Some(&second) = bytes.get(1) else { return Ok(None) };
    check_second(role, opcode, second)?;

    let (mut used, len) = match second & !MASKED {
        126 => {
            let Some(&[a, b]) = bytes.get(2..4).and_then(|b| b.first_chunk()) else { return Ok(None) };
            let len = u64::from(u16::from_be_bytes([a, b]));
            if len < 126 {
                return Err(Violation::LengthNotMinimal);
            }
            (4, len)
        }
        127 => {
            let Some(&long) = bytes.get(2..10).and_then(|b| b.first_chunk()) else { return Ok(None) };
            (10, check_long(u64::from_be_bytes(long))?)
        }
        short => (2, u64::from(short)),
    };
    let mut mask = None;
    if role == Role::Server {
        let Some(&key) = bytes[used..].first_chunk() else { return Ok(None) };
        used += key.len();
        mask = Some(Mask::new(key));
    }
    Ok(Some((used, Header { opcode, end, rsv1: first & RSV1 != 0, mask, len })))
}

/// Checks FIN, RSV and opcode.
fn check_first(first: u8) -> Result<(Opcode, End), Violation> {
    if first & RSV23 != 0 {
        return Err(Violation::ReservedBits);
    }
    let Some(opcode) = Opcode::parse(first & 0x0f) else {
        return Err(Violation::ReservedOpcode { opcode: first & 0x0f });
    };
    let end = if first & FIN == 0 { End::More } else { End::Last };
    if opcode.is_control() {
        // Control messages are never compressed (RFC 7692, section 6.1) nor fragmented (RFC 6455, section 5.5).
        if first & RSV1 != 0 {
            return Err(Violation::ReservedBits);
        }
        if end == End::More {
            return Err(Violation::ControlFragmented);
        }
    }
    Ok((opcode, end))
}

/// Checks MASK, and the length of control frames.
fn check_second(role: Role, opcode: Opcode, second: u8) -> Result<(), Violation> {
    match (role, second & MASKED != 0) {
        (Role::Client, true) => return Err(Violation::Masked),
        (Role::Server, false) => return Err(Violation::Unmasked),
        (Role::Client, false) | (Role::Server, true) => {}
    }
    if opcode.is_control() && second & !MASKED > CONTROL_MAX as u8 {
        return Err(Violation::ControlTooLong);
    }
    Ok(())
}

/// Checks a length of eight bytes.
fn check_long(len: u64) -> Result<u64, Violation> {
    match len {
        0..=0xffff => Err(Violation::LengthNotMinimal),
        0x1_0000..=0x7fff_ffff_ffff_ffff => Ok(len),
        0x8000_0000_0000_0000.. => Err(Violation::LengthTooLong),
    }
}

/// A data frame that lies in the input as a whole, begins and ends its message, and has the shortest form of length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Short {
    /// The bytes of the header.
    pub(super) header: usize,
    /// The bytes of the payload.
    pub(super) len: usize,
    pub(super) mask: Option<Mask>,
    pub(super) kind: Kind,
}

/// Recognises the most frequent frame of all; `None` says nothing but that [`parse`] has to look.
#[inline]
pub(super) fn parse_short(role: Role, bytes: &[u8]) -> Option<Short> {
    let (kind, second) = match *bytes {
        [0x81, second, ..] => (Kind::Text, second),
        [0x82, second, ..] => (Kind::Binary, second),
        _ => return None,
    };
    let (header, len, mask) = match role {
        Role::Client => (2, usize::from(second), None),
        Role::Server => (6, usize::from(second.wrapping_sub(MASKED)), Some(Mask::new(*bytes[2..].first_chunk()?))),
    };
    (len <= CONTROL_MAX && bytes.len() >= header + len).then_some(Short { header, len, mask, kind })
}

/// Appends a header.
#[inline]
pub(super) fn put_header(first: u8, len: u64, mask: Option<Mask>, out: &mut Vec<u8>) {
    match (len, mask) {
        (0..=125, Some(mask)) => {
            let [a, b, c, d] = mask.bytes();
            out.extend_from_slice(&[first, MASKED | len as u8, a, b, c, d]);
        }
        (0..=125, None) => out.extend_from_slice(&[first, len as u8]),
        (126.., _) => put_long_header(first, len, mask, out),
    }
}

fn put_long_header(first: u8, len: u64, mask: Option<Mask>, out: &mut Vec<u8>) {
    let bit = if mask.is_some() { MASKED } else { 0 };
    match u16::try_from(len) {
        Ok(len) => {
            out.extend_from_slice(&[first, bit | 126]);
            out.extend_from_slice(&len.to_be_bytes());
        }
        Err(_) => {
            out.extend_from_slice(&[first, bit | 127]);
            out.extend_from_slice(&len.to_be_bytes());
        }
    }
    if let Some(mask) = mask {
        out.extend_from_slice(&mask.bytes());
    }
}

/// Appends a whole frame.
#[inline]
pub(super) fn put(first: u8, payload: &[u8], mask: Option<Mask>, out: &mut Vec<u8>) {
    if payload.len() > CONTROL_MAX {
        out.reserve(HEADER_MAX + payload.len());
    }
    put_header(first, payload.len() as u64, mask, out);
    match mask {
        Some(mask) => mask.append_whole(payload, out),
        None => out.extend_from_slice(payload),
    }
}
