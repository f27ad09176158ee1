//! Frames: nine bytes of header, and the small frames written whole (RFC 9113, sections 4.1 and 6).

use super::ErrorCode;

/// How many bytes a frame header has.
pub(super) const HEADER: usize = 9;
/// The largest payload every endpoint takes, and the smallest SETTINGS_MAX_FRAME_SIZE (RFC 9113, section 4.2).
pub(super) const MIN_MAX_FRAME: u32 = 1 << 14;
/// The largest SETTINGS_MAX_FRAME_SIZE (RFC 9113, section 6.5.2).
pub(super) const MAX_MAX_FRAME: u32 = (1 << 24) - 1;
/// The largest stream id, and the largest window (RFC 9113, sections 5.1.1 and 6.9.1).
pub(super) const MAX_31: u32 = (1 << 31) - 1;
/// What a client sends first (RFC 9113, section 3.4).
pub(super) const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// DATA and HEADERS: the last of this half of the stream.
pub(super) const END_STREAM: u8 = 0x1;
/// SETTINGS and PING: an answer.
pub(super) const ACK: u8 = 0x1;
/// HEADERS and CONTINUATION: the header block is complete.
pub(super) const END_HEADERS: u8 = 0x4;
/// DATA and HEADERS: the payload begins with the length of padding.
pub(super) const PADDED: u8 = 0x8;
/// HEADERS: five bytes of priority precede the block.
pub(super) const PRIORITY: u8 = 0x20;

/// The types of frames (RFC 9113, section 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Data,
    Headers,
    Priority,
    RstStream,
    Settings,
    PushPromise,
    Ping,
    GoAway,
    WindowUpdate,
    Continuation,
    Unknown(u8),
}

impl Kind {
    /// Returns the kind of a type byte.
    pub(super) fn of(byte: u8) -> Self {
        match byte {
            0 => Self::Data,
            1 => Self::Headers,
            2 => Self::Priority,
            3 => Self::RstStream,
            4 => Self::Settings,
            5 => Self::PushPromise,
            6 => Self::Ping,
            7 => Self::GoAway,
            8 => Self::WindowUpdate,
            9 => Self::Continuation,
            other => Self::Unknown(other),
        }
    }

    /// Returns the type byte.
    pub(super) fn byte(self) -> u8 {
        match self {
            Self::Data => 0,
            Self::Headers => 1,
            Self::Priority => 2,
            Self::RstStream => 3,
            Self::Settings => 4,
            Self::PushPromise => 5,
            Self::Ping => 6,
            Self::GoAway => 7,
            Self::WindowUpdate => 8,
            Self::Continuation => 9,
            Self::Unknown(byte) => byte,
        }
    }
}

/// A frame header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// The length of the payload.
    pub(super) length: usize,
    pub(super) kind: Kind,
    pub(super) flags: u8,
    /// The stream, without the reserved bit, which is ignored (RFC 9113, section 4.1).
    pub(super) stream: u32,
}

impl Header {
    /// Reads the header at the start of `bytes`, or returns `None` if it is not complete.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let [a, b, c, kind, flags, s @ ..] = *bytes.first_chunk::<HEADER>()?;
        Some(Header {
            length: u32::from_be_bytes([0, a, b, c]) as usize,
            kind: Kind::of(kind),
            flags,
            stream: u32::from_be_bytes(s) & MAX_31,
        })
    }

    /// Returns whether a flag is set.
    pub(super) fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// Appends the header.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.bytes());
    }

    /// Returns the header as it stands on the wire.
    pub(super) fn bytes(&self) -> [u8; HEADER] {
        let length = u32::try_from(self.length).expect("a payload is at most 2^24 - 1 bytes").to_be_bytes();
        let stream = self.stream.to_be_bytes();
        [length[1], length[2], length[3], self.kind.byte(), self.flags, stream[0], stream[1], stream[2], stream[3]]
    }
}

/// Reads the four bytes at `at`, without the reserved bit.
///
/// # Panics
///
/// Panics if they are not there: the length of the frame was checked.
pub(super) fn u31(payload: &[u8], at: usize) -> u32 {
    u32_at(payload, at) & MAX_31
}

/// Reads the four bytes at `at`.
///
/// # Panics
///
/// As [`u31`].
pub(super) fn u32_at(payload: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(payload[at..at + 4].try_into().expect("four bytes are four bytes"))
}

/// Returns the stream on which a priority makes another depend (RFC 9113, section 6.3), if its five bytes are there.
pub(super) fn dependency(payload: &[u8]) -> Option<u32> {
    (payload.len() >= 5).then(|| u31(payload, 0))
}

fn short(kind: Kind, flags: u8, stream: u32, payload: &[u8], out: &mut Vec<u8>) {
    Header { length: payload.len(), kind, flags, stream }.write(out);
    out.extend_from_slice(payload);
}

/// Appends RST_STREAM.
pub(super) fn rst_stream(stream: u32, code: ErrorCode, out: &mut Vec<u8>) {
    short(Kind::RstStream, 0, stream, &code.0.to_be_bytes(), out);
}

/// Appends WINDOW_UPDATE; stream 0 is the connection.
pub(super) fn window_update(stream: u32, increment: u32, out: &mut Vec<u8>) {
    short(Kind::WindowUpdate, 0, stream, &increment.to_be_bytes(), out);
}

/// Appends PING, or the answer to one.
pub(super) fn ping(flags: u8, payload: [u8; 8], out: &mut Vec<u8>) {
    short(Kind::Ping, flags, 0, &payload, out);
}

/// Appends the acknowledgement of SETTINGS.
pub(super) fn settings_ack(out: &mut Vec<u8>) {
    short(Kind::Settings, ACK, 0, &[], out);
}

/// Appends GOAWAY.
pub(super) fn goaway(last: u32, code: ErrorCode, debug: &str, out: &mut Vec<u8>) {
    Header { length: 8 + debug.len(), kind: Kind::GoAway, flags: 0, stream: 0 }.write(out);
    out.extend_from_slice(&last.to_be_bytes());
    out.extend_from_slice(&code.0.to_be_bytes());
    out.extend_from_slice(debug.as_bytes());
}

/// Turns the header block that begins at `start + HEADER` of `out` into HEADERS at `start`, and CONTINUATION frames where it is
/// longer than `max` (RFC 9113, section 6.10).
pub(super) fn finish_block(start: usize, flags: u8, stream: u32, max: usize, out: &mut Vec<u8>) {
    let block = out.len() - start - HEADER;
    let frames = block.div_ceil(max).max(1);
    // From the last to the first: each piece moves behind the headers that come before it.
    out.resize(out.len() + (frames - 1) * HEADER, 0);
    for i in (0..frames).rev() {
        let length = if i + 1 == frames { block - i * max } else { max };
        let at = start + i * (max + HEADER);
        if i > 0 {
            let from = start + HEADER + i * max;
            out.copy_within(from..from + length, at + HEADER);
        }
        let kind = if i == 0 { Kind::Headers } else { Kind::Continuation };
        let end_headers = if i + 1 == frames { END_HEADERS } else { 0 };
        let flags = end_headers | if i == 0 { flags } else { 0 };
        out[at..at + HEADER].copy_from_slice(&Header { length, kind, flags, stream }.bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_read_as_it_was_written() {
        for kind in 0..=12 {
            let header = Header { length: 0x01_02_03, kind: Kind::of(kind), flags: 0x25, stream: MAX_31 };
            let mut bytes = header.bytes();
            assert_eq!(Header::parse(&bytes), Some(header));
            assert_eq!(Header::parse(&bytes[..8]), None);
            bytes[5] |= 0x80;
            assert_eq!(Header::parse(&bytes), Some(header), "the reserved bit is ignored");
        }
    }

    #[test]
    fn blocks_are_cut_into_frames() {
        for (length, expected) in
            [(0, vec![0]), (9, vec![9]), (10, vec![10]), (11, vec![10, 1]), (35, vec![10, 10, 10, 5])]
        {
            let block: Vec<u8> = (0..length).collect();
            let mut out = b"before".to_vec();
            out.resize(6 + HEADER, 0);
            out.extend_from_slice(&block);
            finish_block(6, END_STREAM, 7, 10, &mut out);
            let (mut at, mut lengths, mut joined) = (6, Vec::new(), Vec::new());
            while let Some(header) = Header::parse(&out[at..]) {
                let first = lengths.is_empty();
                assert_eq!(header.kind, if first { Kind::Headers } else { Kind::Continuation });
                assert_eq!(header.flags & !END_HEADERS, if first { END_STREAM } else { 0 });
                joined.extend_from_slice(&out[at + HEADER..at + HEADER + header.length]);
                at += HEADER + header.length;
                assert_eq!(header.has(END_HEADERS), at == out.len());
                lengths.push(header.length);
            }
            assert_eq!((lengths, joined), (expected, block), "a block of {length}");
        }
    }
}
