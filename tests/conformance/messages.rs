//! RFC 9113, section 8: requests, and what a server pushes. 18 cases.

use super::{Case, case};
use crate::client::*;

/// A request with these changes is malformed, and its stream is reset.
fn malformed(c: &mut Client, change: impl FnOnce(&mut Vec<(String, String)>)) -> Verdict {
    let mut fields = c.request("GET");
    change(&mut fields);
    let block = block(&fields);
    c.frame(HEADERS, END_HEADERS | END_STREAM, 1, &block).stream_error(1, &[PROTOCOL_ERROR])
}

fn with(c: &mut Client, name: &str, value: &str) -> Verdict {
    malformed(c, |fields| fields.push((name.into(), value.into())))
}

fn without(c: &mut Client, name: &str) -> Verdict {
    malformed(c, |fields| fields.retain(|(n, _)| n != name))
}

fn twice(c: &mut Client, name: &str) -> Verdict {
    malformed(c, |fields| {
        let again = fields.iter().find(|(n, _)| n == name).expect("a field of the request").clone();
        fields.insert(0, again);
    })
}

/// A POST that promises one byte.
fn promise(c: &mut Client) -> &mut Client {
    let fields = [c.request("POST"), vec![("content-length".into(), "1".into())]].concat();
    c.frame(HEADERS, END_HEADERS, 1, &block(&fields))
}

pub const CASES: &[Case] = &[
    case("http2/8.1", "a second HEADERS without END_STREAM", |c| {
        c.begin(1).frame(DATA, 0, 1, b"body");
        c.frame(HEADERS, END_HEADERS, 1, &block(&[("x-test", "ok")])).stream_error(1, &[PROTOCOL_ERROR])
    }),
    case("http2/8.2", "a name in upper case", |c| with(c, "X-TEST", "ok")),
    case("http2/8.3", "an unknown pseudo-header field", |c| with(c, ":test", "ok")),
    case("http2/8.3", "a pseudo-header field of responses", |c| with(c, ":status", "200")),
    case("http2/8.3", "a pseudo-header field in trailers", |c| {
        c.begin(1).frame(DATA, 0, 1, b"body");
        c.frame(HEADERS, END_HEADERS | END_STREAM, 1, &block(&[(":method", "POST")])).stream_error(1, &[PROTOCOL_ERROR])
    }),
    case("http2/8.3", "a pseudo-header field behind another field", |c| {
        malformed(c, |fields| fields.insert(0, ("x-test".into(), "ok".into())))
    }),
    case("http2/8.2.2", "a field of the connection", |c| with(c, "connection", "keep-alive")),
    case("http2/8.2.2", "TE other than trailers", |c| with(c, "te", "trailers, deflate;q=0.5")),
    case("http2/8.3.1", "an empty :path", |c| {
        malformed(c, |fields| fields.iter_mut().filter(|(n, _)| n == ":path").for_each(|(_, path)| path.clear()))
    }),
    case("http2/8.3.1", "no :method", |c| without(c, ":method")),
    case("http2/8.3.1", "no :scheme", |c| without(c, ":scheme")),
    case("http2/8.3.1", "no :path", |c| without(c, ":path")),
    case("http2/8.3.1", ":method twice", |c| twice(c, ":method")),
    case("http2/8.3.1", ":scheme twice", |c| twice(c, ":scheme")),
    case("http2/8.3.1", ":path twice", |c| twice(c, ":path")),
    case("http2/8.1.1", "content-length is not the length of DATA", |c| {
        promise(c).frame(DATA, END_STREAM, 1, b"body").stream_error(1, &[PROTOCOL_ERROR])
    }),
    case("http2/8.1.1", "content-length is not the length of all DATA", |c| {
        promise(c).frame(DATA, 0, 1, b"bo").frame(DATA, END_STREAM, 1, b"dy").stream_error(1, &[PROTOCOL_ERROR])
    }),
    case("http2/8.4", "PUSH_PROMISE", |c| {
        let payload = [&[0, 0, 0, 3][..], &c.get()].concat();
        c.frame(PUSH_PROMISE, END_HEADERS, 1, &payload).connection_error(&[PROTOCOL_ERROR])
    }),
];
