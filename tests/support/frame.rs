//! Frames of HTTP/2, written and read by hand; what every raw client and peer of the tests is made of.
//!
//! Nothing of the crate under test is used, so a mistake in its framing does not cancel out here. Heads are written as literals
//! (RFC 7541, section 6.2.2); heads that arrive are kept as they are.

#![allow(dead_code, reason = "each test uses a part of it")]

pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

// Types (RFC 9113, section 6).
pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const PRIORITY: u8 = 2;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PUSH_PROMISE: u8 = 5;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;

pub const END_STREAM: u8 = 1;
pub const ACK: u8 = 1;
pub const END_HEADERS: u8 = 4;
pub const PADDED: u8 = 8;
pub const PRIORITIZED: u8 = 0x20;

// Settings (section 6.5.2).
pub const HEADER_TABLE_SIZE: u16 = 1;
pub const ENABLE_PUSH: u16 = 2;
pub const MAX_CONCURRENT_STREAMS: u16 = 3;
pub const INITIAL_WINDOW_SIZE: u16 = 4;
pub const MAX_FRAME_SIZE: u16 = 5;

// Error codes (section 7).
pub const NO_ERROR: u32 = 0;
pub const PROTOCOL_ERROR: u32 = 1;
pub const INTERNAL_ERROR: u32 = 2;
pub const FLOW_CONTROL_ERROR: u32 = 3;
pub const STREAM_CLOSED: u32 = 5;
pub const FRAME_SIZE_ERROR: u32 = 6;
pub const REFUSED_STREAM: u32 = 7;
pub const CANCEL: u32 = 8;
pub const COMPRESSION_ERROR: u32 = 9;
pub const ENHANCE_YOUR_CALM: u32 = 11;
pub const HTTP_1_1_REQUIRED: u32 = 13;

/// One frame, as it is on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

impl Frame {
    pub fn new(kind: u8, flags: u8, stream: u32, payload: impl Into<Vec<u8>>) -> Self {
        Frame { kind, flags, stream, payload: payload.into() }
    }

    pub fn settings(values: &[(u16, u32)]) -> Self {
        let payload: Vec<u8> =
            values.iter().flat_map(|(id, value)| [&id.to_be_bytes()[..], &value.to_be_bytes()].concat()).collect();
        Self::new(SETTINGS, 0, 0, payload)
    }

    pub fn settings_ack() -> Self {
        Self::new(SETTINGS, ACK, 0, [])
    }

    pub fn ping(payload: [u8; 8]) -> Self {
        Self::new(PING, 0, 0, payload)
    }

    pub fn ping_ack(payload: &[u8]) -> Self {
        Self::new(PING, ACK, 0, payload)
    }

    pub fn goaway(last: u32, code: u32, debug: &[u8]) -> Self {
        Self::new(GOAWAY, 0, 0, [&last.to_be_bytes()[..], &code.to_be_bytes(), debug].concat())
    }

    pub fn reset(stream: u32, code: u32) -> Self {
        Self::new(RST_STREAM, 0, stream, code.to_be_bytes())
    }

    pub fn window_update(stream: u32, increment: u32) -> Self {
        Self::new(WINDOW_UPDATE, 0, stream, increment.to_be_bytes())
    }

    pub fn data(stream: u32, bytes: &[u8]) -> Self {
        Self::new(DATA, 0, stream, bytes)
    }

    pub fn last_data(stream: u32, bytes: &[u8]) -> Self {
        Self::new(DATA, END_STREAM, stream, bytes)
    }

    /// A head or trailers, each field a literal that is not indexed.
    pub fn headers(stream: u32, flags: u8, fields: &[(&str, &str)]) -> Self {
        Self::new(HEADERS, flags | END_HEADERS, stream, block(fields))
    }

    pub fn ends(&self) -> bool {
        matches!(self.kind, DATA | HEADERS) && self.flags & END_STREAM != 0
    }

    pub fn is_ack(&self) -> bool {
        matches!(self.kind, SETTINGS | PING) && self.flags & ACK != 0
    }

    /// A number of 32 bits in the payload.
    pub fn number(&self, at: usize) -> u32 {
        self.try_number(at).unwrap_or_else(|| panic!("no number at {at} of {self:?}"))
    }

    /// The same, for those that read what anybody may have written.
    pub fn try_number(&self, at: usize) -> Option<u32> {
        Some(u32::from_be_bytes(self.payload.get(at..at + 4)?.try_into().expect("four bytes")))
    }

    /// The code of RST_STREAM or GOAWAY.
    pub fn code(&self) -> u32 {
        self.try_code().unwrap_or_else(|| panic!("no code in {self:?}"))
    }

    /// The same, for those that read what anybody may have written.
    pub fn try_code(&self) -> Option<u32> {
        self.try_number(if self.kind == GOAWAY { 4 } else { 0 })
    }

    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&(self.payload.len() as u32).to_be_bytes()[1..]);
        out.extend_from_slice(&[self.kind, self.flags]);
        out.extend_from_slice(&self.stream.to_be_bytes());
        out.extend_from_slice(&self.payload);
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.write(&mut out);
        out
    }

    /// Takes a frame off the front of `bytes`, if it is whole.
    ///
    /// The reserved bit is a part of the stream here: nobody under test may set it (RFC 9113, section 4.1).
    pub fn parse(bytes: &mut Vec<u8>) -> Option<Self> {
        let [a, b, c, kind, flags, stream @ ..] = *bytes.first_chunk::<9>()?;
        let len = u32::from_be_bytes([0, a, b, c]) as usize;
        let payload = bytes.get(9..9 + len)?.to_vec();
        bytes.drain(..9 + len);
        Some(Frame { kind, flags, stream: u32::from_be_bytes(stream), payload })
    }
}

pub fn concat(frames: &[Frame]) -> Vec<u8> {
    frames.iter().flat_map(Frame::bytes).collect()
}

/// A header block of literals without indexing (RFC 7541, section 6.2.2).
pub fn block(fields: &[(impl AsRef<str>, impl AsRef<str>)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name.as_ref(), value.as_ref()] {
            integer(text.len(), 0x7f, 0, &mut block);
            block.extend_from_slice(text.as_bytes());
        }
    }
    block
}

/// An integer behind the flags of its first octet (RFC 7541, section 5.1).
pub fn integer(n: usize, max: u8, flags: u8, block: &mut Vec<u8>) {
    let Some(mut rest) = n.checked_sub(usize::from(max)) else { return block.push(flags | n as u8) };
    block.push(flags | max);
    while rest > 127 {
        block.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    block.push(rest as u8);
}
