//! What has to work at all: 44 cases, of which none is an error.

use super::{Case, case, opening};
use crate::client::*;

/// The weight of 256 is sent as 255.
fn priority(on: u32, weight: u8) -> [u8; 5] {
    let [a, b, c, d] = on.to_be_bytes();
    [a, b, c, d, weight]
}

const EXCLUSIVE: u32 = 1 << 31;

/// A GET whose header block ends with this representation.
fn with(c: &mut Client, representation: &[u8]) -> Verdict {
    let block = [c.get(), representation.to_vec()].concat();
    c.frame(HEADERS, END_HEADERS | END_STREAM, 1, &block).answered(1)
}

// Texts as they stand in RFC 7541, appendices C.2 and C.4, plain and with Huffman code.
const NAME: &[u8] = b"\x0acustom-key";
const VALUE: &[u8] = b"\x0ccustom-value";
const HUFFMAN_NAME: &[u8] = b"\x88\x25\xa8\x49\xe9\x5b\xa9\x7d\x7f";
const HUFFMAN_VALUE: &[u8] = b"\x89\x25\xa8\x49\xe9\x5b\xb8\xe8\xb4\xbf";

/// Behind the first byte of a literal whose prefix has four bits: `user-agent` is 58 in the static table.
const USER_AGENT: u8 = 58 - 15;

pub const CASES: &[Case] = &[
    opening("generic/1", "the client's preface", |c| c.settle()),
    case("generic/2", "PRIORITY on an idle stream", |c| c.frame(PRIORITY, 0, 1, &priority(0, 255)).ask(1).answered(1)),
    case("generic/2", "WINDOW_UPDATE on a half-closed (remote) stream", |c| c.ask(1).window_update(1, 1).answered(1)),
    case("generic/2", "PRIORITY on a half-closed (remote) stream", |c| {
        c.ask(1).frame(PRIORITY, 0, 1, &priority(0, 255)).answered(1)
    }),
    case("generic/2", "RST_STREAM on a half-closed (remote) stream", |c| c.ask(1).reset(1, CANCEL).lives()),
    case("generic/2", "PRIORITY on a closed stream", |c| {
        c.ask(1).complete(1)?;
        c.frame(PRIORITY, 0, 1, &priority(0, 255)).lives()
    }),
    case("generic/3.1", "a DATA frame", |c| c.begin(1).frame(DATA, END_STREAM, 1, b"body").answered(1)),
    case("generic/3.1", "DATA frames", |c| {
        c.begin(1).frame(DATA, 0, 1, b"bo").frame(DATA, END_STREAM, 1, b"dy").answered(1)
    }),
    case("generic/3.1", "a DATA frame with padding", |c| {
        c.begin(1).frame(DATA, END_STREAM | PADDED, 1, b"\x06body\0\0\0\0\0\0").answered(1)
    }),
    case("generic/3.2", "a HEADERS frame", |c| c.ask(1).answered(1)),
    case("generic/3.2", "a HEADERS frame with padding", |c| {
        let payload = [&[6][..], &c.get(), &[0; 6]].concat();
        c.frame(HEADERS, END_HEADERS | END_STREAM | PADDED, 1, &payload).answered(1)
    }),
    case("generic/3.2", "a HEADERS frame with a priority", |c| {
        let payload = [&priority(EXCLUSIVE, 255)[..], &c.get()].concat();
        c.frame(HEADERS, END_HEADERS | END_STREAM | PRIORITIZED, 1, &payload).answered(1)
    }),
    case("generic/3.3", "PRIORITY, weight 1", |c| c.frame(PRIORITY, 0, 1, &priority(0, 0)).ask(1).answered(1)),
    case("generic/3.3", "PRIORITY, weight 256", |c| c.frame(PRIORITY, 0, 1, &priority(0, 255)).ask(1).answered(1)),
    case("generic/3.3", "PRIORITY, depending on a stream", |c| {
        c.frame(PRIORITY, 0, 3, &priority(1, 255)).ask(3).answered(3)
    }),
    case("generic/3.3", "PRIORITY, exclusive", |c| {
        c.frame(PRIORITY, 0, 3, &priority(EXCLUSIVE | 1, 255)).ask(3).answered(3)
    }),
    case("generic/3.3", "PRIORITY for an idle stream, then HEADERS on a lower one", |c| {
        c.frame(PRIORITY, 0, 3, &priority(0, 255)).ask(1).answered(1)
    }),
    case("generic/3.4", "RST_STREAM", |c| c.begin(1).reset(1, CANCEL).lives()),
    case("generic/3.5", "SETTINGS", |c| c.settings(&[(MAX_CONCURRENT_STREAMS, 100)]).acked()),
    case("generic/3.7", "PING", |c| c.frame(PING, 0, 0, b"a number").pong(b"a number")),
    case("generic/3.8", "GOAWAY", |c| {
        c.frame(GOAWAY, 0, 0, &[0; 8]);
        // It may close, since nothing is asked any more, or go on until the client does.
        c.lives().or_else(|_| c.end())
    }),
    case("generic/3.9", "WINDOW_UPDATE of the connection", |c| c.window_update(0, 1).ask(1).answered(1)),
    case("generic/3.9", "WINDOW_UPDATE of a stream", |c| {
        c.begin(1).window_update(1, 1).frame(DATA, END_STREAM, 1, b"").answered(1)
    }),
    case("generic/3.10", "CONTINUATION", |c| {
        let block = c.get();
        let (first, rest) = block.split_at(5);
        c.frame(HEADERS, END_STREAM, 1, first).frame(CONTINUATION, END_HEADERS, 1, rest).answered(1)
    }),
    case("generic/3.10", "CONTINUATION, several", |c| {
        let block = c.get();
        let (first, rest) = block.split_at(5);
        let (second, third) = rest.split_at(5);
        c.frame(HEADERS, END_STREAM, 1, first).frame(CONTINUATION, 0, 1, second);
        c.frame(CONTINUATION, END_HEADERS, 1, third).answered(1)
    }),
    case("generic/4", "GET", |c| c.ask(1).complete(1)),
    case("generic/4", "HEAD", |c| {
        let block = block(&c.request("HEAD"));
        c.frame(HEADERS, END_HEADERS | END_STREAM, 1, &block).complete(1)
    }),
    case("generic/4", "POST", |c| c.begin(1).frame(DATA, END_STREAM, 1, b"body").answered(1)),
    case("generic/4", "POST with trailers", |c| {
        let fields = [c.request("POST"), vec![("trailer".into(), "x-test".into())]].concat();
        c.frame(HEADERS, END_HEADERS, 1, &block(&fields)).frame(DATA, 0, 1, b"body");
        c.frame(HEADERS, END_HEADERS | END_STREAM, 1, &block(&[("x-test", "ok")])).answered(1)
    }),
    case("generic/5", "indexed", |c| with(c, &[0x80 | 58])),
    case("generic/5", "incremental indexing, indexed name", |c| with(c, &[&[0x40 | 58], VALUE].concat())),
    case("generic/5", "incremental indexing, indexed name, Huffman", |c| {
        with(c, &[&[0x40 | 58], HUFFMAN_VALUE].concat())
    }),
    case("generic/5", "incremental indexing, new name", |c| with(c, &[&[0x40], NAME, VALUE].concat())),
    case("generic/5", "incremental indexing, new name, Huffman", |c| {
        with(c, &[&[0x40], HUFFMAN_NAME, HUFFMAN_VALUE].concat())
    }),
    case("generic/5", "without indexing, indexed name", |c| with(c, &[&[0x0f, USER_AGENT], VALUE].concat())),
    case("generic/5", "without indexing, indexed name, Huffman", |c| {
        with(c, &[&[0x0f, USER_AGENT], HUFFMAN_VALUE].concat())
    }),
    case("generic/5", "without indexing, new name", |c| with(c, &[&[0], NAME, VALUE].concat())),
    case("generic/5", "without indexing, new name, Huffman", |c| {
        with(c, &[&[0], HUFFMAN_NAME, HUFFMAN_VALUE].concat())
    }),
    case("generic/5", "never indexed, indexed name", |c| with(c, &[&[0x1f, USER_AGENT], VALUE].concat())),
    case("generic/5", "never indexed, indexed name, Huffman", |c| {
        with(c, &[&[0x1f, USER_AGENT], HUFFMAN_VALUE].concat())
    }),
    case("generic/5", "never indexed, new name", |c| with(c, &[&[0x10], NAME, VALUE].concat())),
    case("generic/5", "never indexed, new name, Huffman", |c| {
        with(c, &[&[0x10], HUFFMAN_NAME, HUFFMAN_VALUE].concat())
    }),
    case("generic/5", "a size update of the dynamic table", |c| {
        let block = [vec![0x20], c.get()].concat();
        c.frame(HEADERS, END_HEADERS | END_STREAM, 1, &block).answered(1)
    }),
    case("generic/5", "two size updates of the dynamic table", |c| {
        // To nothing, and to 128.
        let block = [vec![0x20, 0x3f, 0x61], c.get()].concat();
        c.frame(HEADERS, END_HEADERS | END_STREAM, 1, &block).answered(1)
    }),
];
