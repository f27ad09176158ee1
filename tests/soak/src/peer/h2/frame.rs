//! Frames, as they are on the wire.

pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;

pub const END_HEADERS: u8 = 4;
const END_STREAM: u8 = 1;
const PADDED: u8 = 8;

#[derive(Clone, Debug)]
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
        let value = |(id, value): &(u16, u32)| [&id.to_be_bytes()[..], &value.to_be_bytes()].concat();
        Self::new(SETTINGS, 0, 0, values.iter().flat_map(value).collect::<Vec<_>>())
    }

    pub fn ends(&self) -> bool {
        matches!(self.kind, DATA | HEADERS) && self.flags & END_STREAM != 0
    }

    pub fn is_ack(&self) -> bool {
        matches!(self.kind, SETTINGS | PING) && self.flags & 1 != 0
    }

    /// A number of 32 bits in the payload; zero where there is none.
    pub fn number(&self, at: usize) -> u32 {
        self.payload.get(at..at + 4).map_or(0, |bytes| u32::from_be_bytes(bytes.try_into().expect("four bytes")))
    }

    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&(self.payload.len() as u32).to_be_bytes()[1..]);
        out.extend_from_slice(&[self.kind, self.flags]);
        out.extend_from_slice(&self.stream.to_be_bytes());
        out.extend_from_slice(&self.payload);
    }

    /// Takes a frame off the front of `bytes`, if it is whole.
    pub fn parse(bytes: &mut Vec<u8>) -> Option<Self> {
        let header: [u8; 9] = bytes.get(..9)?.try_into().expect("nine bytes");
        let len = u32::from_be_bytes([0, header[0], header[1], header[2]]) as usize;
        let payload = bytes.get(9..9 + len)?.to_vec();
        bytes.drain(..9 + len);
        let stream = u32::from_be_bytes([header[5], header[6], header[7], header[8]]) & 0x7fff_ffff;
        Some(Frame { kind: header[3], flags: header[4], stream, payload })
    }
}

/// The head of an answer: `:status: 200` from the static table, the rest as literals.
pub fn head(stream: u32, request: u64, length: usize, end: bool) -> Frame {
    let mut block = vec![0x88];
    for (name, value) in [("x-id", request.to_string()), ("content-length", length.to_string())] {
        block.push(0);
        for text in [name, &value] {
            block.push(text.len() as u8);
            block.extend_from_slice(text.as_bytes());
        }
    }
    Frame::new(HEADERS, END_HEADERS | if end { END_STREAM } else { 0 }, stream, block)
}

pub fn data(stream: u32, bytes: &[u8], padding: Option<u8>, end: bool) -> Frame {
    let end = if end { END_STREAM } else { 0 };
    match padding {
        None => Frame::new(DATA, end, stream, bytes),
        Some(n) => Frame::new(DATA, end | PADDED, stream, [&[n], bytes, &vec![0; n.into()]].concat()),
    }
}

pub fn goaway(last: u32, code: u32) -> Frame {
    Frame::new(GOAWAY, 0, 0, [last.to_be_bytes(), code.to_be_bytes()].concat())
}

pub fn reset(stream: u32, code: u32) -> Frame {
    Frame::new(RST_STREAM, 0, stream, code.to_be_bytes())
}

pub fn window_update(stream: u32, increment: u32) -> Frame {
    Frame::new(WINDOW_UPDATE, 0, stream, increment.to_be_bytes())
}
