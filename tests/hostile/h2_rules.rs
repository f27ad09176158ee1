//! One broken rule of HTTP/2 after the other, each on a connection of its own (RFC 9113, sections 3.4 to 8).

use crate::peer::*;
use Becomes::*;

/// What becomes of the connection.
enum Becomes {
    /// GOAWAY with this code, and the end.
    Over(u32),
    /// RST_STREAM of this stream with this code; the connection lives.
    Lost(u32, u32),
    /// Nothing: the connection lives, and no stream is reset.
    Fine,
}

type Row<'a> = (&'a str, Vec<u8>, Becomes);

fn run(rows: Vec<Row<'_>>) {
    let mut target = Target::new();
    for (name, bytes, becomes) in rows {
        let mut peer = target.h2();
        // It may be over before everything is sent.
        let _ = peer.try_send(bytes);
        match becomes {
            Over(code) => assert_eq!(peer.farewell(), Some(code), "{name}"),
            Lost(stream, code) => {
                let reset = peer.until(|f| f.kind == RST_STREAM || f.kind == GOAWAY);
                assert_eq!((reset.kind, reset.stream, reset.code()), (RST_STREAM, stream, code), "{name}");
                peer.lives();
            }
            Fine => {
                let resets: Vec<_> = peer.lives().into_iter().filter(|f| f.kind == RST_STREAM).collect();
                assert!(resets.iter().all(|f| f.code() == 0), "{name}: {resets:?}");
            }
        }
        target.good();
    }
    target.survives("rules");
}

/// HEADERS of a request with further fields.
fn with(stream: u32, flags: u8, more: &[(&str, &str)]) -> Vec<u8> {
    headers(stream, flags, &[&POST[..], more].concat())
}

#[test]
fn beginnings() {
    let mut target = Target::new();
    let first = |bytes: Vec<u8>| [PREFACE, &bytes].concat();
    let table: [(&str, Vec<u8>, u32); 5] = [
        ("HEADERS before SETTINGS", first(get(1, END_STREAM, "/")), PROTOCOL_ERROR),
        ("PING before SETTINGS", first(frame(PING, 0, 0, &[0; 8])), PROTOCOL_ERROR),
        ("an ACK before SETTINGS", first(frame(SETTINGS, ACK, 0, b"")), PROTOCOL_ERROR),
        ("SETTINGS on a stream", first(frame(SETTINGS, 0, 1, b"")), PROTOCOL_ERROR),
        ("SETTINGS of 5 bytes", first(frame(SETTINGS, 0, 0, b"12345")), FRAME_SIZE_ERROR),
    ];
    for (name, bytes, code) in table {
        let mut peer = Peer::connect(&target);
        peer.send(bytes);
        assert_eq!(peer.farewell(), Some(code), "{name}");
    }
    // What is no preface is HTTP/1, and bad at that.
    for bytes in
        ["PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\rX", "PRIX * HTTP/2.0\r\n\r\nSM\r\n\r\n"]
    {
        let mut raw = target.raw();
        raw.send(bytes);
        assert!(raw.answer().status() >= 400, "{bytes:?}");
        assert!(raw.is_closed());
    }
    assert_eq!(target.seen(), [""; 0]);
    target.survives("beginnings");
}

#[test]
fn shapes_of_frames() {
    let zero = [0u8; 16];
    run(vec![
        ("DATA on stream 0", frame(DATA, 0, 0, b"x"), Over(PROTOCOL_ERROR)),
        ("HEADERS on stream 0", get(0, END_STREAM, "/"), Over(PROTOCOL_ERROR)),
        ("PRIORITY on stream 0", frame(PRIORITY, 0, 0, &zero[..5]), Over(PROTOCOL_ERROR)),
        (
            "PRIORITY of 4 bytes",
            [with(1, 0, &[]), frame(PRIORITY, 0, 1, &zero[..4])].concat(),
            Lost(1, FRAME_SIZE_ERROR),
        ),
        ("PRIORITY of 4 bytes, idle", frame(PRIORITY, 0, 1, &zero[..4]), Over(FRAME_SIZE_ERROR)),
        ("PRIORITY on itself", frame(PRIORITY, 0, 1, &[0, 0, 0, 1, 9]), Over(PROTOCOL_ERROR)),
        ("RST_STREAM on stream 0", frame(RST_STREAM, 0, 0, &zero[..4]), Over(PROTOCOL_ERROR)),
        (
            "RST_STREAM of 3 bytes",
            [with(1, 0, &[]), frame(RST_STREAM, 0, 1, &zero[..3])].concat(),
            Over(FRAME_SIZE_ERROR),
        ),
        ("RST_STREAM, idle", reset(1), Over(PROTOCOL_ERROR)),
        ("SETTINGS on a stream", frame(SETTINGS, 0, 1, b""), Over(PROTOCOL_ERROR)),
        ("SETTINGS of 7 bytes", frame(SETTINGS, 0, 0, &zero[..7]), Over(FRAME_SIZE_ERROR)),
        ("an ACK of 6 bytes", frame(SETTINGS, ACK, 0, &zero[..6]), Over(FRAME_SIZE_ERROR)),
        ("two ACKs", [frame(SETTINGS, ACK, 0, b""), frame(SETTINGS, ACK, 0, b"")].concat(), Over(PROTOCOL_ERROR)),
        ("ENABLE_PUSH 2", settings(&[(2, 2)]), Over(PROTOCOL_ERROR)),
        ("INITIAL_WINDOW_SIZE 2^31", settings(&[(4, 1 << 31)]), Over(FLOW_CONTROL_ERROR)),
        ("MAX_FRAME_SIZE 2^14 - 1", settings(&[(5, 16_383)]), Over(PROTOCOL_ERROR)),
        ("MAX_FRAME_SIZE 2^24", settings(&[(5, 1 << 24)]), Over(PROTOCOL_ERROR)),
        ("ENABLE_CONNECT_PROTOCOL 2", settings(&[(8, 2)]), Over(PROTOCOL_ERROR)),
        ("unknown settings", settings(&[(0xffff, u32::MAX), (0, 1)]), Fine),
        (
            "the least and the largest",
            settings(&[(1, 0), (1, u32::MAX), (3, 0), (4, 0), (5, 16_777_215), (6, 0)]),
            Fine,
        ),
        (
            "PUSH_PROMISE",
            [with(1, 0, &[]), frame(PUSH_PROMISE, END_HEADERS, 1, &zero[..4])].concat(),
            Over(PROTOCOL_ERROR),
        ),
        ("PING of 7 bytes", frame(PING, 0, 0, &zero[..7]), Over(FRAME_SIZE_ERROR)),
        ("PING of 9 bytes", frame(PING, 0, 0, &zero[..9]), Over(FRAME_SIZE_ERROR)),
        ("PING on a stream", frame(PING, 0, 1, &zero[..8]), Over(PROTOCOL_ERROR)),
        ("an ACK of no PING", frame(PING, ACK, 0, &zero[..8]), Fine),
        ("GOAWAY on a stream", frame(GOAWAY, 0, 1, &zero[..8]), Over(PROTOCOL_ERROR)),
        ("GOAWAY of 7 bytes", frame(GOAWAY, 0, 0, &zero[..7]), Over(FRAME_SIZE_ERROR)),
        ("WINDOW_UPDATE of 3 bytes", frame(WINDOW_UPDATE, 0, 0, &zero[..3]), Over(FRAME_SIZE_ERROR)),
        ("WINDOW_UPDATE by 0", update(0, 0), Over(PROTOCOL_ERROR)),
        ("WINDOW_UPDATE by 0 of a stream", [with(1, 0, &[]), update(1, 0)].concat(), Lost(1, PROTOCOL_ERROR)),
        ("WINDOW_UPDATE above the maximum", update(0, u32::MAX >> 1), Over(FLOW_CONTROL_ERROR)),
        (
            "WINDOW_UPDATE of a stream above it",
            [with(1, 0, &[]), update(1, u32::MAX >> 1)].concat(),
            Lost(1, FLOW_CONTROL_ERROR),
        ),
        ("WINDOW_UPDATE, idle", update(1, 1), Over(PROTOCOL_ERROR)),
        (
            "SETTINGS that take a window above it",
            [with(1, 0, &[]), update(1, 1), settings(&[(4, u32::MAX >> 1)])].concat(),
            Over(FLOW_CONTROL_ERROR),
        ),
        ("a frame that is too large", frame(DATA, 0, 1, &[0; 16_385]), Over(FRAME_SIZE_ERROR)),
        ("HEADERS that are too large", frame(HEADERS, END_HEADERS, 1, &[0; 16_385]), Over(FRAME_SIZE_ERROR)),
        ("an unknown type that is too large", frame(0x77, 0, 0, &[0; 16_385]), Over(FRAME_SIZE_ERROR)),
        ("an unknown type", frame(0x77, 0xff, 5, b"anything"), Fine),
        (
            "padding as long as the frame",
            [with(1, 0, &[]), frame(DATA, PADDED, 1, &[1])].concat(),
            Over(PROTOCOL_ERROR),
        ),
        (
            "DATA without its pad length",
            [with(1, 0, &[]), frame(DATA, PADDED, 1, b"")].concat(),
            Over(FRAME_SIZE_ERROR),
        ),
        ("padding longer than the block", frame(HEADERS, PADDED | END_HEADERS, 1, &[9, 0x82]), Over(PROTOCOL_ERROR)),
        ("a cut priority", frame(HEADERS, PRIORITIZED | END_HEADERS, 1, &zero[..4]), Over(FRAME_SIZE_ERROR)),
        ("the reserved bit", get(1 | 1 << 31, END_STREAM, "/"), Fine),
    ]);
}

#[test]
fn states_of_streams() {
    let open = || with(1, 0, &[]);
    let ended = || with(1, END_STREAM, &[]);
    let data = |stream| frame(DATA, 0, stream, b"x");
    let more = |flags| frame(CONTINUATION, flags, 1, b"");
    let begun = || frame(HEADERS, 0, 1, &block(&POST));
    run(vec![
        ("an even stream", get(2, END_STREAM, "/"), Over(PROTOCOL_ERROR)),
        ("a lower stream", [get(5, END_STREAM, "/"), get(3, END_STREAM, "/")].concat(), Over(PROTOCOL_ERROR)),
        ("DATA, idle", data(1), Over(PROTOCOL_ERROR)),
        ("DATA on an even stream", data(2), Over(PROTOCOL_ERROR)),
        ("CONTINUATION, idle", frame(CONTINUATION, END_HEADERS, 1, b""), Over(PROTOCOL_ERROR)),
        ("CONTINUATION on stream 0", frame(CONTINUATION, END_HEADERS, 0, b""), Over(PROTOCOL_ERROR)),
        ("CONTINUATION behind END_HEADERS", [open(), more(END_HEADERS)].concat(), Over(PROTOCOL_ERROR)),
        (
            "CONTINUATION of another stream",
            [begun(), frame(CONTINUATION, END_HEADERS, 3, b"")].concat(),
            Over(PROTOCOL_ERROR),
        ),
        ("DATA within a block", [begun(), data(1)].concat(), Over(PROTOCOL_ERROR)),
        ("PING within a block", [begun(), frame(PING, 0, 0, &[0; 8])].concat(), Over(PROTOCOL_ERROR)),
        ("PRIORITY within a block", [begun(), more(0), frame(PRIORITY, 0, 1, &[0; 5])].concat(), Over(PROTOCOL_ERROR)),
        ("an unknown type within a block", [begun(), frame(0x77, 0, 1, b"")].concat(), Over(PROTOCOL_ERROR)),
        ("HEADERS within a block", [begun(), get(3, END_STREAM, "/")].concat(), Over(PROTOCOL_ERROR)),
        ("a block in pieces", [begun(), more(0), more(END_HEADERS)].concat(), Fine),
        ("DATA behind END_STREAM", [ended(), data(1)].concat(), Lost(1, STREAM_CLOSED)),
        ("HEADERS behind END_STREAM", [ended(), ended()].concat(), Lost(1, STREAM_CLOSED)),
        ("DATA behind RST_STREAM", [open(), reset(1), data(1)].concat(), Lost(1, STREAM_CLOSED)),
        ("HEADERS behind RST_STREAM", [open(), reset(1), ended()].concat(), Lost(1, STREAM_CLOSED)),
        ("WINDOW_UPDATE behind RST_STREAM", [open(), reset(1), update(1, 1)].concat(), Fine),
        ("PRIORITY behind RST_STREAM", [open(), reset(1), frame(PRIORITY, 0, 1, &[0; 5])].concat(), Fine),
        ("RST_STREAM twice", [open(), reset(1), reset(1)].concat(), Fine),
        ("a second head", [open(), open()].concat(), Lost(1, PROTOCOL_ERROR)),
        (
            "a GOAWAY that is raised",
            [frame(GOAWAY, 0, 0, &[0; 8]), frame(GOAWAY, 0, 0, &[0, 0, 0, 2, 0, 0, 0, 0])].concat(),
            Over(PROTOCOL_ERROR),
        ),
    ]);
}

#[test]
fn heads() {
    let lost = || Lost(1, PROTOCOL_ERROR);
    let [method, scheme, authority, path] = POST;
    let only = |fields: &[(&str, &str)]| headers(1, END_STREAM, fields);
    let extra = |name, value| with(1, END_STREAM, &[(name, value)]);
    let length = |n| with(1, 0, &[("content-length", n)]);
    let last = |bytes: &[u8]| frame(DATA, END_STREAM, 1, bytes);
    let trailers = |fields: &[(&str, &str)]| [with(1, 0, &[]), headers(1, END_STREAM, fields)].concat();
    let hpack = |bytes: &[u8]| frame(HEADERS, END_HEADERS | END_STREAM, 1, bytes);
    run(vec![
        ("no method", only(&[scheme, authority, path]), lost()),
        ("no scheme", only(&[method, authority, path]), lost()),
        ("no path", only(&[method, scheme, authority]), lost()),
        ("an empty path", only(&[method, scheme, authority, (":path", "")]), lost()),
        ("two methods", only(&[method, method, scheme, authority, path]), lost()),
        ("two paths", only(&[method, path, scheme, authority, path]), lost()),
        ("an unknown pseudo-header field", only(&[method, scheme, authority, path, (":x", "y")]), lost()),
        ("one of answers", only(&[method, scheme, authority, path, (":status", "200")]), lost()),
        ("one behind a field", only(&[method, scheme, authority, ("x", "y"), path]), lost()),
        ("one in trailers", trailers(&[(":path", "/")]), lost()),
        ("upper case", extra("X", "y"), lost()),
        ("upper case in trailers", trailers(&[("X", "y")]), lost()),
        ("connection", extra("connection", "close"), lost()),
        ("keep-alive", extra("keep-alive", "1"), lost()),
        ("proxy-connection", extra("proxy-connection", "x"), lost()),
        ("transfer-encoding", extra("transfer-encoding", "chunked"), lost()),
        ("upgrade", extra("upgrade", "x"), lost()),
        ("te: gzip", extra("te", "trailers, gzip"), lost()),
        ("te: trailers", extra("te", "trailers"), Fine),
        ("CR LF in a value", extra("x", "y\r\nz: w"), lost()),
        ("NUL in a value", extra("x", "\0"), lost()),
        ("a blank before a value", extra("x", " y"), lost()),
        ("a colon in a name", extra("x:y", "z"), lost()),
        ("a name of nothing", extra("", "z"), lost()),
        ("another Host", extra("host", "b"), lost()),
        ("two Hosts", with(1, END_STREAM, &[("host", "a"), ("host", "a")]), lost()),
        ("user information", only(&[method, scheme, (":authority", "u:p@a"), path]), lost()),
        ("a path that is a request line", only(&[method, scheme, authority, (":path", "/ HTTP/1.1\r\nx: y")]), lost()),
        ("a method that is a request line", only(&[(":method", "GET / HTTP/1.1"), scheme, authority, path]), lost()),
        ("a scheme that is a URI", only(&[method, (":scheme", "http://b/"), authority, path]), lost()),
        ("CONNECT without a port", only(&[(":method", "CONNECT"), authority]), lost()),
        ("CONNECT with a path", only(&[(":method", "CONNECT"), authority, path]), lost()),
        (":protocol with POST", only(&[method, scheme, authority, path, (":protocol", "x")]), lost()),
        (":protocol without a path", only(&[(":method", "CONNECT"), scheme, authority, (":protocol", "x")]), lost()),
        (
            ":protocol twice",
            only(&[(":method", "CONNECT"), scheme, authority, path, (":protocol", "x"), (":protocol", "y")]),
            lost(),
        ),
        (
            "trailers in a tunnel",
            [headers(1, 0, &[(":method", "CONNECT"), (":authority", "a:1")]), only(&[("x", "y")])].concat(),
            lost(),
        ),
        ("a length without a body", with(1, END_STREAM, &[("content-length", "1")]), lost()),
        ("a body that is too short", [length("2"), last(b"x")].concat(), lost()),
        ("a body that is too long", [length("2"), last(b"xyz")].concat(), lost()),
        ("a body for trailers to cut", [length("2"), headers(1, END_STREAM, &[("x", "y")])].concat(), lost()),
        ("two lengths", with(1, 0, &[("content-length", "1"), ("content-length", "2")]), lost()),
        ("a signed length", length("+1"), lost()),
        ("a length above 64 bits", length("18446744073709551616"), lost()),
        ("index 0", hpack(&[0x80]), Over(COMPRESSION_ERROR)),
        ("an index beyond the table", hpack(&[0xff, 0]), Over(COMPRESSION_ERROR)),
        ("an integer without end", hpack(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]), Over(COMPRESSION_ERROR)),
        ("a size update above the limit", hpack(&[0x3f, 0xe2, 0x1f]), Over(COMPRESSION_ERROR)),
        ("a size update behind a field", hpack(&[0x82, 0x20]), Over(COMPRESSION_ERROR)),
        ("EOS in a string", hpack(&[0, 0x84, 0xff, 0xff, 0xff, 0xff, 0]), Over(COMPRESSION_ERROR)),
        ("padding of a string with zeros", hpack(&[0, 0x81, 0x18, 0]), Over(COMPRESSION_ERROR)),
        ("padding of a string of 8 bits", hpack(&[0, 0x82, 0x1f, 0xff, 0]), Over(COMPRESSION_ERROR)),
        ("a string that is cut", hpack(&[0, 5, b'x']), Over(COMPRESSION_ERROR)),
    ]);
}
