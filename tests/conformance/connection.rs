//! RFC 9113, sections 3 to 5: the beginning, frames as such, the states of streams. 33 cases.

use super::{Case, case, opening};
use crate::client::*;

const UNKNOWN_KIND: u8 = 0x16;

pub const CASES: &[Case] = &[
    opening("http2/3.4", "the client's preface", |c| c.settle()),
    opening("http2/3.4", "a wrong preface", |c| {
        c.raw(b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n");
        // Without the preface nobody knows that it is HTTP/2, and an answer of HTTP/1 is in order.
        c.end()
    }),
    case("http2/4.1", "a frame of unknown type", |c| c.frame(UNKNOWN_KIND, 0, 0, &[0; 8]).lives()),
    case("http2/4.1", "unknown flags", |c| c.frame(PING, 0x16, 0, b"a number").pong(b"a number")),
    case("http2/4.1", "the reserved bit of the stream", |c| c.frame(PING, 0, 1 << 31, b"a number").pong(b"a number")),
    case("http2/4.2", "DATA of 2^14 bytes", |c| c.begin(1).frame(DATA, END_STREAM, 1, &[b'x'; 1 << 14]).answered(1)),
    case("http2/4.2", "DATA above SETTINGS_MAX_FRAME_SIZE", |c| {
        let max = max_frame_size(c);
        c.begin(1).frame(DATA, END_STREAM, 1, &vec![b'x'; max + 1]).stream_error(1, &[FRAME_SIZE_ERROR])
    }),
    case("http2/4.2", "HEADERS above SETTINGS_MAX_FRAME_SIZE", |c| {
        let mut block = c.get();
        block.resize(max_frame_size(c) + 1, 0x82);
        c.frame(HEADERS, END_HEADERS | END_STREAM, 1, &block).connection_error(&[FRAME_SIZE_ERROR])
    }),
    case("http2/4.3", "a header block that cannot be decoded", |c| {
        // A literal whose value is missing.
        c.frame(HEADERS, END_HEADERS | END_STREAM, 1, b"\x40\x01a").connection_error(&[COMPRESSION_ERROR])
    }),
    case("http2/4.3", "PRIORITY inside a header block", |c| {
        let (head, rest) = (c.get(), block(&[("x-test", "ok")]));
        c.frame(HEADERS, END_STREAM, 1, &head).frame(PRIORITY, 0, 1, &[0; 5]);
        c.frame(CONTINUATION, END_HEADERS, 1, &rest).connection_error(&[PROTOCOL_ERROR])
    }),
    case("http2/4.3", "HEADERS of another stream inside a header block", |c| {
        let (head, rest) = (c.get(), block(&[("x-test", "ok")]));
        c.frame(HEADERS, END_STREAM, 1, &head).ask(3);
        c.frame(CONTINUATION, END_HEADERS, 1, &rest).connection_error(&[PROTOCOL_ERROR])
    }),
    case("http2/5.1", "idle: DATA", |c| c.frame(DATA, END_STREAM, 1, b"body").connection_error(&[PROTOCOL_ERROR])),
    case("http2/5.1", "idle: RST_STREAM", |c| c.reset(1, CANCEL).connection_error(&[PROTOCOL_ERROR])),
    case("http2/5.1", "idle: WINDOW_UPDATE", |c| c.window_update(1, 100).connection_error(&[PROTOCOL_ERROR])),
    case("http2/5.1", "idle: CONTINUATION", |c| {
        let block = c.get();
        c.frame(CONTINUATION, END_HEADERS, 1, &block).connection_error(&[PROTOCOL_ERROR])
    }),
    case("http2/5.1", "half-closed (remote): DATA", |c| {
        c.ask(1).frame(DATA, END_STREAM, 1, b"body").stream_error(1, &[STREAM_CLOSED])
    }),
    case("http2/5.1", "half-closed (remote): HEADERS", |c| c.ask(1).ask(1).stream_error(1, &[STREAM_CLOSED])),
    case("http2/5.1", "half-closed (remote): CONTINUATION", |c| {
        let rest = block(&[("x-test", "ok")]);
        c.ask(1).frame(CONTINUATION, END_HEADERS, 1, &rest).stream_error(1, &[STREAM_CLOSED, PROTOCOL_ERROR])
    }),
    case("http2/5.1", "closed by RST_STREAM: DATA", |c| {
        c.begin(1).reset(1, CANCEL).frame(DATA, END_STREAM, 1, b"body").stream_error(1, &[STREAM_CLOSED])
    }),
    case("http2/5.1", "closed by RST_STREAM: HEADERS", |c| {
        c.begin(1).reset(1, CANCEL).ask(1).stream_error(1, &[STREAM_CLOSED])
    }),
    case("http2/5.1", "closed by RST_STREAM: CONTINUATION", |c| {
        let rest = block(&[("x-test", "ok")]);
        c.begin(1).reset(1, CANCEL).frame(CONTINUATION, END_HEADERS, 1, &rest);
        c.stream_error(1, &[STREAM_CLOSED, PROTOCOL_ERROR])
    }),
    case("http2/5.1", "closed: DATA", |c| {
        c.ask(1).complete(1)?;
        c.frame(DATA, END_STREAM, 1, b"body").connection_error(&[STREAM_CLOSED])
    }),
    case("http2/5.1", "closed: HEADERS", |c| {
        c.ask(1).complete(1)?;
        c.ask(1).connection_error(&[STREAM_CLOSED])
    }),
    case("http2/5.1", "closed: CONTINUATION", |c| {
        c.ask(1).complete(1)?;
        let rest = block(&[("x-test", "ok")]);
        c.frame(CONTINUATION, END_HEADERS, 1, &rest).connection_error(&[STREAM_CLOSED, PROTOCOL_ERROR])
    }),
    case("http2/5.1.1", "an even stream", |c| c.ask(2).connection_error(&[PROTOCOL_ERROR])),
    case("http2/5.1.1", "a stream below one that was opened", |c| {
        c.ask(5).answered(5)?;
        c.ask(3).connection_error(&[PROTOCOL_ERROR])
    }),
    case("http2/5.1.2", "more streams than SETTINGS_MAX_CONCURRENT_STREAMS", |c| {
        let max = c.theirs.iter().rev().find(|(id, _)| *id == MAX_CONCURRENT_STREAMS).map(|(_, max)| *max);
        // Who names no limit has none to be broken.
        let Some(max) = max else { return Ok(()) };
        // Without a window no answer, and so no stream, comes to its end.
        c.settings(&[(INITIAL_WINDOW_SIZE, 0)]).acked()?;
        for n in 0..=max {
            c.ask(2 * n + 1);
        }
        c.stream_error(2 * max + 1, &[PROTOCOL_ERROR, REFUSED_STREAM])
    }),
    // RFC 9113 has no priorities any more, but allows a server to see to those of RFC 7540 still: there it is an error.
    case("http2/5.3.1", "HEADERS that depends on itself", |c| {
        let payload = [&[0, 0, 0, 1, 255][..], &c.get()].concat();
        c.frame(HEADERS, END_HEADERS | END_STREAM | PRIORITIZED, 1, &payload).stream_error(1, &[PROTOCOL_ERROR])
    }),
    case("http2/5.3.1", "PRIORITY that depends on itself", |c| {
        c.frame(PRIORITY, 0, 1, &[0, 0, 0, 1, 255]).stream_error(1, &[PROTOCOL_ERROR])
    }),
    case("http2/5.4.1", "the end of the connection behind an error", |c| c.frame(PING, 0, 0, b"six is").end()),
    case("http2/5.4.1", "GOAWAY before the end", |c| c.frame(PING, 0, 3, b"a number").goaway(PROTOCOL_ERROR)),
    case("http2/5.5", "an unknown extension", |c| c.frame(UNKNOWN_KIND, 0, 0, &[0; 8]).ask(1).answered(1)),
    case("http2/5.5", "an unknown extension inside a header block", |c| {
        let (head, rest) = (c.get(), block(&[("x-test", "ok")]));
        c.frame(HEADERS, END_STREAM, 1, &head).frame(UNKNOWN_KIND, 0, 1, &[0; 8]);
        c.frame(CONTINUATION, END_HEADERS, 1, &rest).connection_error(&[PROTOCOL_ERROR])
    }),
];

fn max_frame_size(c: &Client) -> usize {
    c.theirs.iter().rev().find(|(id, _)| *id == MAX_FRAME_SIZE).map_or(1 << 14, |(_, max)| *max as usize)
}
