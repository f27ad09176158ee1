//! Every limit: one below, at, one above; and work that stays linear however bytes arrive.

use super::{
    super::{Config, Violation as V},
    support::{Side, run, run_all_cuts},
};
use crate::proto::Role;

/// The violation of a transcript, if any.
fn violation(mut side: impl FnMut() -> Side, bytes: &[u8]) -> Option<V> {
    let outcome = run_all_cuts(&mut side, "GET", bytes, false);
    if let Some(violation) = outcome.violation {
        let answer = format!("HTTP/1.1 {}\r\nConnection: close\r\n", violation.status());
        assert!(outcome.out.is_empty() || String::from_utf8_lossy(&outcome.out).contains(&answer));
    }
    outcome.violation
}

#[test]
fn bytes_of_a_head() {
    let request = b"GET /abcdef HTTP/1.1\r\nHost: h\r\nX: 12345678\r\n\r\n";
    let response = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    for (less, expected) in [(-1, false), (0, false), (1, true)] {
        let limit = request.len().checked_add_signed(-less).unwrap();
        let server = || Side::with(Role::Server, Config::default().head_bytes(limit));
        let run = run_all_cuts(server, "", request, false);
        assert_eq!(run.violation, expected.then_some(V::HeadTooLarge { limit }), "request, limit {limit}");
        let limit = response.len().checked_add_signed(-less).unwrap();
        let client = || Side::asking(Config::default().head_bytes(limit), "GET");
        assert_eq!(
            violation(client, response),
            expected.then_some(V::HeadTooLarge { limit }),
            "response, limit {limit}"
        );
    }
}

#[test]
fn bytes_of_a_start_line() {
    let line = b"GET /abcdef HTTP/1.1\r\n";
    for (less, expected) in [(-1, false), (0, false), (1, true)] {
        let limit = line.len().checked_add_signed(-less).unwrap();
        let server = || Side::with(Role::Server, Config::default().head_bytes(limit));
        let outcome = run_all_cuts(server, "", line, false);
        let found = outcome.violation == Some(V::TargetTooLong { limit });
        assert_eq!(found, expected, "limit {limit}: {:?}", outcome.violation);
        assert_eq!(String::from_utf8_lossy(&outcome.out).contains("414 URI Too Long"), expected, "limit {limit}");
    }
}

#[test]
fn bytes_of_a_method() {
    let line = b"ABCDEFGHIJKLMNOPQRSTUVW";
    for (limit, expected) in [(line.len(), true), (line.len() - 1, true), (line.len() + 1, false)] {
        let server = || Side::with(Role::Server, Config::default().head_bytes(limit));
        let outcome = run_all_cuts(server, "", line, false);
        assert_eq!(outcome.violation, expected.then_some(V::MethodTooLong { limit }), "limit {limit}");
        assert_eq!(String::from_utf8_lossy(&outcome.out).contains("501 Not Implemented"), expected, "limit {limit}");
    }
}

#[test]
fn defaults_of_the_roles() {
    let head = |start: &str, len: usize| {
        let mut head = start.as_bytes().to_vec();
        head.resize(len - 4, b'x');
        head.extend_from_slice(b"\r\n\r\n");
        head
    };
    let violation = |mut side: Side, bytes: &[u8]| run(&mut side, "once", bytes, &[], false).violation;
    let limit = 16 * 1024;
    for (len, expected) in [(limit - 1, false), (limit, false), (limit + 1, true)] {
        let head = head("GET / HTTP/1.1\r\nHost: h\r\nX: ", len);
        assert_eq!(violation(Side::new(Role::Server), &head), expected.then_some(V::HeadTooLarge { limit }));
    }
    let limit = 64 * 1024;
    for (len, expected) in [(limit - 1, false), (limit, false), (limit + 1, true)] {
        let head = head("HTTP/1.1 204 OK\r\nX: ", len);
        assert_eq!(violation(Side::client("GET"), &head), expected.then_some(V::HeadTooLarge { limit }));
    }
}

#[test]
fn a_target_that_no_uri_can_hold() {
    for (len, expected) in [(65_533, false), (65_534, false), (65_535, true)] {
        let bytes = format!("GET /{} HTTP/1.1\r\nHost: h\r\n\r\n", "a".repeat(len - 1));
        let mut side = Side::with(Role::Server, Config::default().head_bytes(200_000));
        let outcome = run(&mut side, "", bytes.as_bytes(), &[], false);
        assert_eq!(outcome.violation, expected.then_some(V::TargetTooLong { limit: 65_534 }), "{len} bytes");
        let answer = String::from_utf8_lossy(&outcome.out).into_owned();
        assert_eq!(answer.starts_with("HTTP/1.1 414 URI Too Long\r\n"), expected, "{len} bytes");
    }
}

#[test]
fn fields_of_a_head_and_of_trailers() {
    let config = || Config::default().fields(3);
    for n in 1..=5 {
        let expected = (n > 3).then_some(V::TooManyFields { limit: 3 });
        let more = "a: b\r\n".repeat(n - 1);
        let request = format!("GET / HTTP/1.1\r\nHost: h\r\n{more}\r\n");
        assert_eq!(
            run_all_cuts(|| Side::with(Role::Server, config()), "", request.as_bytes(), false).violation,
            expected
        );
        let response = format!("HTTP/1.1 204 OK\r\na: b\r\n{more}\r\n");
        assert_eq!(violation(|| Side::asking(config(), "GET"), response.as_bytes()), expected);
        let folded = format!("HTTP/1.1 204 OK\r\na: b\r\n{}\r\n", " b\r\n".repeat(n - 1));
        assert_eq!(violation(|| Side::asking(config(), "GET"), folded.as_bytes()), expected);
        let trailers =
            format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n{}\r\n", "a: b\r\n".repeat(n));
        assert_eq!(violation(|| Side::asking(config(), "GET"), trailers.as_bytes()), expected);
    }
}

#[test]
fn bytes_of_trailers() {
    let trailers = b"a: b\r\ncd: ef\r\n\r\n";
    let bytes = [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", &trailers[..]].concat();
    for (less, expected) in [(-1, false), (0, false), (1, true)] {
        let limit = trailers.len().checked_add_signed(-less).unwrap();
        let client = || Side::asking(Config::default().trailer_bytes(limit), "GET");
        assert_eq!(violation(client, &bytes), expected.then_some(V::TrailersTooLarge { limit }), "limit {limit}");
    }
}

#[test]
fn bytes_of_chunk_extensions() {
    let head = &b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"[..];
    let expected = Some(V::ChunkExtensionsTooLong { limit: 6 });
    #[rustfmt::skip]
    let table: [(&[u8], Option<V>); 7] = [
        (b"1;abcd\r\nx\r\n0\r\n\r\n", None),
        (b"1;abcde\r\nx\r\n0\r\n\r\n", None),
        (b"1;abcdef\r\nx\r\n0\r\n\r\n", expected),
        // all chunks together
        (b"1;ab\r\nx\r\n1;ab\r\nx\r\n0\r\n\r\n", None),
        (b"1;ab\r\nx\r\n1;ab\r\nx\r\n0;a\r\n\r\n", expected),
        // without an end
        (b"1;abcde", None),
        (b"1;abcdefg", expected),
    ];
    for (chunks, expected) in table {
        let client = || Side::asking(Config::default().extension_bytes(6), "GET");
        let bytes = [head, chunks].concat();
        assert_eq!(violation(client, &bytes), expected, "{}", chunks.escape_ascii());
    }
}

#[test]
fn digits_of_a_chunk_size() {
    for (size, left) in [("000000000000001", 1), ("0000000000000001", 1), ("ffffffffffffffff", u64::MAX)] {
        let mut side = Side::client("GET");
        let bytes = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{size}\r\n");
        side.feed(bytes.as_bytes()).unwrap();
        assert_eq!(side.connection.expects(), Some(left));
    }
}

#[test]
fn the_largest_content_length() {
    let mut side = Side::client("GET");
    side.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551615\r\n\r\n").unwrap();
    assert_eq!(side.connection.expects(), Some(u64::MAX));
    side.connection.took(u64::MAX - 1);
    assert_eq!(side.feed(b"x"), Ok(vec!["+x".into(), "ended".into()]));
}

#[test]
fn informational_responses() {
    for n in 2..=4 {
        let bytes = "HTTP/1.1 103 Hint\r\n\r\n".repeat(n) + "HTTP/1.1 204 OK\r\n\r\n";
        let client = || Side::asking(Config::default().informational(3), "GET");
        assert_eq!(violation(client, bytes.as_bytes()), (n > 3).then_some(V::TooManyInformational { limit: 3 }));
    }
}

#[test]
fn empty_lines_before_a_request() {
    for n in 7..=9 {
        let bytes = "\r\n".repeat(n) + "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
        let outcome = run_all_cuts(|| Side::new(Role::Server), "", bytes.as_bytes(), false);
        assert_eq!(outcome.violation, (n > 8).then_some(V::TooManyEmptyLines), "{n} lines");
    }
}

/// Quadratic work on a head of 64 KiB would look at two thousand million bytes here.
#[test]
fn a_large_head_byte_by_byte() {
    for filler in ["x", "y: z\r\n", "1\t"] {
        let mut head = b"HTTP/1.1 204 OK\r\nX: ".to_vec();
        while head.len() + filler.len() < 64 * 1024 - 4 {
            head.extend_from_slice(filler.as_bytes());
        }
        head.truncate(head.len() / 2 * 2);
        head.extend_from_slice(if head.ends_with(b"\r\n") { b"\r\n" } else { b"\r\n\r\n" });
        let mut side = Side::asking(Config::default().fields(20_000), "GET");
        let mut events = Vec::new();
        for byte in &head {
            events.extend(side.feed(std::slice::from_ref(byte)).unwrap());
        }
        assert_eq!(events.len(), 2, "{filler:?}");
    }
}
