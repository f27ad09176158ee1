//! The frames of answers.

pub use crate::frame::*;

/// The head of an answer: `:status: 200` from the static table, the rest as literals.
pub fn head(stream: u32, request: u64, length: usize, end: bool) -> Frame {
    let fields = block(&[("x-id", request.to_string()), ("content-length", length.to_string())]);
    let block = [&[0x88], &fields[..]].concat();
    Frame::new(HEADERS, END_HEADERS | if end { END_STREAM } else { 0 }, stream, block)
}

pub fn data(stream: u32, bytes: &[u8], padding: Option<u8>, end: bool) -> Frame {
    let end = if end { END_STREAM } else { 0 };
    match padding {
        None => Frame::new(DATA, end, stream, bytes),
        Some(n) => Frame::new(DATA, end | PADDED, stream, [&[n], bytes, &vec![0; n.into()]].concat()),
    }
}
