//! Heads and trailers: RFC 9113, sections 8.1 to 8.6, and RFC 8441.

use super::{
    rules::{Outcome::*, check, row},
    *,
};
use crate::proto::h2::Malformed;
use Malformed as M;
use Role::*;

type Fields<'a> = &'a [(&'a str, &'a str)];

fn malformed(stream: u32, rule: Malformed) -> super::rules::Outcome {
    Lost(stream, Violation::Malformed { stream, rule })
}

/// A request with other pseudo-header fields.
#[test]
fn pseudo_header_fields_of_requests() {
    let (m, s, a, p) = ((":method", "GET"), (":scheme", "http"), (":authority", "a"), (":path", "/"));
    let path = |path| (":path", path);
    let connect = (":method", "CONNECT");
    let ws = (":protocol", "websocket");
    #[rustfmt::skip]
    let table: [(&str, &str, Fields<'_>, Option<Malformed>); 55] = [
        ("8.3.1", "the usual", &[m, s, a, p], None),
        ("8.3.1", "any order", &[p, a, s, m], None),
        ("8.3.1", "without authority", &[m, s, p], None),
        ("8.3.1", "Host in its place", &[m, s, p, ("host", "a")], None),
        ("8.3.1", "both, the same", &[m, s, a, p, ("host", "A")], None),
        ("8.3.1", "the same but for the usual port", &[m, s, a, p, ("host", "a:80")], None),
        ("8.3.1", "both, not the same", &[m, s, a, p, ("host", "b")], Some(M::AuthorityMismatch)),
        ("8.3.1", "another port", &[m, s, a, p, ("host", "a:81")], Some(M::AuthorityMismatch)),
        ("8.3.1", "two Hosts", &[m, s, a, p, ("host", "a"), ("host", "b")], Some(M::AuthorityMismatch)),
        ("8.3", "no method", &[s, a, p], Some(M::PseudoMissing)),
        ("8.3", "no scheme", &[m, a, p], Some(M::PseudoMissing)),
        ("8.3", "no path", &[m, s, a], Some(M::PseudoMissing)),
        ("8.3", "nothing", &[], Some(M::PseudoMissing)),
        ("8.3", "two methods", &[m, m, s, a, p], Some(M::PseudoRepeated)),
        ("8.3", "two schemes", &[m, s, s, a, p], Some(M::PseudoRepeated)),
        ("8.3", "two authorities", &[m, s, a, a, p], Some(M::PseudoRepeated)),
        ("8.3", "two paths", &[m, s, a, p, p], Some(M::PseudoRepeated)),
        ("8.3", "one behind a field", &[m, s, a, ("x", "y"), p], Some(M::PseudoAfterField)),
        ("8.3", "an unknown one", &[m, s, a, p, (":test", "")], Some(M::PseudoUnknown)),
        ("8.3", "one of responses", &[m, s, a, p, (":status", "200")], Some(M::PseudoUnknown)),
        ("8.3", "one in upper case", &[(":Method", "GET"), s, a, p], Some(M::PseudoUnknown)),
        ("8.3", "one without a name", &[m, s, a, p, (":", "")], Some(M::PseudoUnknown)),
        ("8.3.1", "a method that is none", &[(":method", "G T"), s, a, p], Some(M::Method)),
        ("8.3.1", "an empty one", &[(":method", ""), s, a, p], Some(M::Method)),
        ("8.3.1", "an empty path", &[m, s, a, path("")], Some(M::Path)),
        ("8.3.1", "a path without a slash", &[m, s, a, path("x")], Some(M::Path)),
        ("8.3.1", "a path with a query", &[m, s, a, path("/x?y=z")], None),
        ("8.3.1", "a path with a fragment", &[m, s, a, path("/x#y")], Some(M::Path)),
        ("8.3.1", "an absolute path", &[m, s, a, path("http://a/")], Some(M::Path)),
        ("8.3.1", "a path with a space", &[m, s, a, path("/x y")], Some(M::Target)),
        ("8.3.1", "an asterisk with GET", &[m, s, a, path("*")], Some(M::Path)),
        ("8.3.1", "an asterisk with OPTIONS", &[(":method", "OPTIONS"), s, a, path("*")], None),
        ("8.3.1", "user information", &[m, s, (":authority", "u@a"), p], Some(M::AuthorityUserinfo)),
        ("8.3.1", "an empty authority", &[m, s, (":authority", ""), p], Some(M::Target)),
        ("8.3.1", "a port above the last", &[m, s, (":authority", "a:65536"), p], Some(M::Target)),
        ("8.3.1", "a port with a sign", &[m, s, (":authority", "[::1]:+1"), p], Some(M::Target)),
        ("8.3.1", "an address", &[m, s, (":authority", "[::1]:1"), p], None),
        ("8.3.1", "an authority with a path", &[m, s, (":authority", "a/b"), p], Some(M::Target)),
        ("8.3.1", "an empty scheme", &[m, (":scheme", ""), a, p], Some(M::Target)),
        ("8.3.1", "a scheme with a path", &[m, (":scheme", "http://b/"), a, p], Some(M::Target)),
        ("8.5", "CONNECT", &[connect, (":authority", "a:1")], None),
        ("8.5", "CONNECT without authority", &[connect], Some(M::ConnectForm)),
        ("9110 9.3.6", "CONNECT without a port", &[connect, a], Some(M::Target)),
        ("9110 9.3.6", "CONNECT with an empty port", &[connect, (":authority", "a:")], Some(M::Target)),
        ("9110 9.3.6", "CONNECT with a port above the last", &[connect, (":authority", "a:65536")], Some(M::Target)),
        ("8.3.1", "CONNECT with the same Host", &[connect, (":authority", "a:1"), ("host", "a:1")], None),
        ("8.3.1", "CONNECT with another Host", &[connect, (":authority", "a:1"), ("host", "b:1")], Some(M::AuthorityMismatch)),
        ("8.5", "CONNECT with a scheme", &[connect, s, a], Some(M::ConnectForm)),
        ("8.5", "CONNECT with a path", &[connect, a, p], Some(M::ConnectForm)),
        ("8.5", "CONNECT with user information", &[connect, (":authority", "u@a:1")], Some(M::AuthorityUserinfo)),
        ("8441 4", "extended CONNECT that was not offered", &[connect, s, a, p, ws], Some(M::Protocol)),
        ("8441 4", ":protocol with GET", &[m, s, a, p, ws], Some(M::Protocol)),
        ("8.2.1", "a value with a line break", &[m, s, a, path("/\n")], Some(M::FieldValue)),
        ("8.2.1", "a value with whitespace before it", &[m, s, a, path(" /")], Some(M::FieldValue)),
        ("8.1.1", "Content-Length of nothing", &[m, s, a, p, ("content-length", "0")], None),
    ];
    for (section, case, fields, rule) in table {
        let outcome = rule.map_or(Answered(vec![]), |rule| malformed(13, rule));
        check(&row(section, case, Server, headers(13, END_STREAM, fields), outcome), stage);
    }
    let extended = |role| Bench::greeted(role, Config { extended_connect: true, ..Config::new(role) }, &[]);
    #[rustfmt::skip]
    let table: [(&str, Fields<'_>, Option<Malformed>); 4] = [
        ("extended CONNECT", &[connect, s, a, p, ws], None),
        ("without a path", &[connect, s, a, ws], Some(M::PseudoMissing)),
        ("without a scheme", &[connect, a, p, ws], Some(M::PseudoMissing)),
        ("with GET", &[m, s, a, p, ws], Some(M::Protocol)),
    ];
    for (case, fields, rule) in table {
        let outcome = rule.map_or(Answered(vec![]), |rule| malformed(1, rule));
        check(&row("8441 4", case, Server, headers(1, 0, fields), outcome), extended);
    }
}

#[test]
fn pseudo_header_fields_of_responses() {
    let s = (":status", "200");
    #[rustfmt::skip]
    let table: [(&str, &str, Fields<'_>, Option<Malformed>); 13] = [
        ("8.3.2", "the usual", &[s], None),
        ("8.3.2", "any number", &[(":status", "799")], None),
        ("8.3.2", "none", &[("x", "y")], Some(M::PseudoMissing)),
        ("8.3.2", "two", &[s, s], Some(M::PseudoRepeated)),
        ("8.3.2", "behind a field", &[("x", "y"), s], Some(M::PseudoAfterField)),
        ("8.3.2", "one of requests", &[s, (":path", "/")], Some(M::PseudoUnknown)),
        ("8.3.2", "an unknown one", &[s, (":x", "/")], Some(M::PseudoUnknown)),
        ("8.3.2", "two digits", &[(":status", "20")], Some(M::Status)),
        ("8.3.2", "four digits", &[(":status", "2000")], Some(M::Status)),
        ("8.3.2", "no digits", &[(":status", "2xx")], Some(M::Status)),
        ("8.3.2", "below 100", &[(":status", "099")], Some(M::Status)),
        ("8.6", "101", &[(":status", "101")], Some(M::SwitchingProtocols)),
        ("8.1", "103", &[(":status", "103"), ("link", "x")], None),
    ];
    for (section, case, fields, rule) in table {
        let outcome = rule.map_or(Answered(vec![]), |rule| malformed(1, rule));
        check(&row(section, case, Client, headers(1, 0, fields), outcome), stage);
    }
    let ends = Lost(1, Violation::InformationalEndsStream { stream: 1 });
    check(&row("8.1", "a 1xx with END_STREAM", Client, headers(1, END_STREAM, &[(":status", "100")]), ends), stage);
}

#[test]
fn fields() {
    type Row<'a> = (&'a str, &'a str, &'a [u8], &'a [u8], Option<Malformed>);
    #[rustfmt::skip]
    let table: [Row<'_>; 35] = [
        ("8.2.1", "a token", b"x-!#$%&'*+.^_`|~09az", b"v", None),
        ("8.2.1", "an empty name", b"", b"v", Some(M::FieldName)),
        ("8.2.1", "upper case", b"Accept", b"v", Some(M::FieldName)),
        ("8.2.1", "upper case at the end", b"accepT", b"v", Some(M::FieldName)),
        ("8.2.1", "a space", b"a b", b"v", Some(M::FieldName)),
        ("8.2.1", "a colon", b"a:", b"v", Some(M::FieldName)),
        ("8.2.1", "a control character", b"a\x01", b"v", Some(M::FieldName)),
        ("8.2.1", "DEL", b"a\x7f", b"v", Some(M::FieldName)),
        ("8.2.1", "above ASCII", b"a\xe4", b"v", Some(M::FieldName)),
        ("8.2.1", "a separator", b"a(", b"v", Some(M::FieldName)),
        ("8.2.1", "an empty value", b"a", b"", None),
        ("8.2.1", "blanks within", b"a", b"v \tw", None),
        ("8.2.1", "above ASCII", b"a", b"\x80\xff", None),
        ("8.2.1", "NUL", b"a", b"v\0w", Some(M::FieldValue)),
        ("8.2.1", "CR", b"a", b"v\rw", Some(M::FieldValue)),
        ("8.2.1", "LF", b"a", b"v\nw", Some(M::FieldValue)),
        ("8.2.1", "another control character", b"a", b"v\x1fw", Some(M::FieldValue)),
        ("8.2.1", "DEL", b"a", b"v\x7fw", Some(M::FieldValue)),
        ("8.2.1", "a space before", b"a", b" v", Some(M::FieldValue)),
        ("8.2.1", "a space behind", b"a", b"v ", Some(M::FieldValue)),
        ("8.2.1", "a tab before", b"a", b"\tv", Some(M::FieldValue)),
        ("8.2.1", "a tab behind", b"a", b"v\t", Some(M::FieldValue)),
        ("8.2.1", "nothing but a space", b"a", b" ", Some(M::FieldValue)),
        ("8.2.2", "connection", b"connection", b"close", Some(M::ConnectionSpecific)),
        ("8.2.2", "keep-alive", b"keep-alive", b"timeout=5", Some(M::ConnectionSpecific)),
        ("8.2.2", "proxy-connection", b"proxy-connection", b"x", Some(M::ConnectionSpecific)),
        ("8.2.2", "transfer-encoding", b"transfer-encoding", b"chunked", Some(M::ConnectionSpecific)),
        ("8.2.2", "upgrade", b"upgrade", b"h2c", Some(M::ConnectionSpecific)),
        ("8.2.2", "te: trailers", b"te", b"trailers", None),
        ("8.2.2", "te: gzip", b"te", b"trailers, gzip", Some(M::Te)),
        ("8.1.1", "a number", b"content-length", b"18446744073709551615", None),
        ("8.1.1", "a larger one", b"content-length", b"18446744073709551616", Some(M::ContentLength)),
        ("8.1.1", "a sign", b"content-length", b"+1", Some(M::ContentLength)),
        ("8.1.1", "a list", b"content-length", b"1, 1", Some(M::ContentLength)),
        ("8.1.1", "nothing", b"content-length", b"", Some(M::ContentLength)),
    ];
    for (section, case, name, value, rule) in table {
        for role in [Client, Server] {
            let (stream, head) = if role == Client { (1, &OK[..]) } else { (13, &GET[..]) };
            let mut block = literals(head);
            block.extend(literals(&[(name, value)]));
            let bytes = frame(Kind::Headers, END_HEADERS, stream, &block);
            let outcome = rule.map_or(Answered(vec![]), |rule| malformed(stream, rule));
            check(&row(section, case, role, bytes, outcome), stage);
        }
        // Behind the body Content-Length says nothing, right or wrong.
        let rule = if name == b"content-length" { Some(M::Trailer) } else { rule };
        let bytes = frame(Kind::Headers, END_HEADERS | END_STREAM, 11, &literals(&[(name, value)]));
        let outcome = rule.map_or(Answered(vec![]), |rule| malformed(11, rule));
        check(&row(section, case, Client, bytes, outcome), stage);
    }
}

#[test]
fn lengths_of_bodies_and_trailers() {
    let off = |stream, off_by| Lost(stream, Violation::ContentLength { stream, off_by });
    let five = |stream, flags| {
        if stream == 1 {
            headers(1, flags, &[(":status", "200"), ("content-length", "5")])
        } else {
            headers(13, flags, &[GET[0], GET[1], GET[2], GET[3], ("content-length", "5")])
        }
    };
    for (role, s) in [(Client, 1), (Server, 13)] {
        let trailers = |flags| headers(s, flags, &[("a", "b")]);
        let with_padding = frame(Kind::Data, PADDED | END_STREAM, s, b"\x03abcdepad");
        let rows = [
            row(
                "8.1.1",
                "as long as said",
                role,
                [five(s, 0), data(s, END_STREAM, b"abcde")].concat(),
                Answered(vec![]),
            ),
            row(
                "8.1.1",
                "in pieces",
                role,
                [five(s, 0), data(s, 0, b"abc"), data(s, 1, b"de")].concat(),
                Answered(vec![]),
            ),
            row("8.1.1", "padding does not count", role, [five(s, 0), with_padding].concat(), Answered(vec![])),
            row(
                "8.1.1",
                "the end by itself",
                role,
                [five(s, 0), data(s, 0, b"abcde"), data(s, 1, b"")].concat(),
                Answered(vec![]),
            ),
            row("8.1.1", "one more", role, [five(s, 0), data(s, 0, b"abcdef")].concat(), off(s, 1)),
            row(
                "8.1.1",
                "one more, later",
                role,
                [five(s, 0), data(s, 0, b"abcde"), data(s, 0, b"f")].concat(),
                off(s, 1),
            ),
            row("8.1.1", "one fewer", role, [five(s, 0), data(s, END_STREAM, b"abcd")].concat(), off(s, -1)),
            row("8.1.1", "no body", role, five(s, END_STREAM), off(s, -5)),
            row("8.1.1", "fewer, and trailers", role, [five(s, 0), trailers(END_STREAM)].concat(), off(s, -5)),
            row(
                "8.1",
                "trailers",
                role,
                [five(s, 0), data(s, 0, b"abcde"), trailers(END_STREAM)].concat(),
                Answered(vec![]),
            ),
            row(
                "8.1",
                "a second head",
                role,
                [five(s, 0), five(s, END_STREAM)].concat(),
                malformed(s, M::PseudoInTrailers),
            ),
            row(
                "8.1",
                "trailers without END_STREAM",
                role,
                [five(s, 0), trailers(0)].concat(),
                Lost(s, Violation::TrailersWithoutEnd { stream: s }),
            ),
            row(
                "8.1",
                "a pseudo-header field in trailers",
                role,
                [five(s, 0), data(s, 0, b"abcde"), headers(s, END_STREAM, &[("a", "b"), (":status", "200")])].concat(),
                malformed(s, M::PseudoInTrailers),
            ),
            row(
                "8.1.1",
                "two lengths that differ",
                role,
                headers(
                    s,
                    0,
                    &[
                        &(if s == 1 { OK.to_vec() } else { GET.to_vec() })[..],
                        &[("content-length", "5"), ("content-length", "6")],
                    ]
                    .concat(),
                ),
                malformed(s, M::ContentLength),
            ),
            row(
                "8.1.1",
                "two that do not",
                role,
                headers(
                    s,
                    0,
                    &[
                        &(if s == 1 { OK.to_vec() } else { GET.to_vec() })[..],
                        &[("content-length", "5"), ("content-length", "5")],
                    ]
                    .concat(),
                ),
                Answered(vec![]),
            ),
        ];
        rows.iter().for_each(|row| check(row, stage));
    }
    // What follows trailers follows the end.
    let closed = Violation::FrameAfterEnd { stream: 13 };
    let ended = [get(13, 0), headers(13, END_STREAM, &[("a", "b")])].concat();
    for (case, more) in
        [("DATA behind trailers", data(13, 0, b"x")), ("more trailers", headers(13, END_STREAM, &[("a", "b")]))]
    {
        check(&row("8.1", case, Server, [ended.clone(), more].concat(), Lost(13, closed.clone())), stage);
    }
    let ended = [ok(1, 0), headers(1, END_STREAM, &[("a", "b")])].concat();
    for more in [data(1, 0, b"x"), headers(1, END_STREAM, &[("a", "b")])] {
        let told = Answered(rst(1, ErrorCode::STREAM_CLOSED));
        check(&row("8.1", "anything behind trailers", Client, [ended.clone(), more].concat(), told), stage);
    }
    check(
        &row(
            "8.1",
            "a 1xx behind the head",
            Client,
            [ok(1, 0), headers(1, 0, &[(":status", "103")])].concat(),
            Lost(1, Violation::TrailersWithoutEnd { stream: 1 }),
        ),
        stage,
    );
    check(
        &row("8.1", "DATA before the head", Client, data(1, 0, b"x"), Lost(1, Violation::DataBeforeHead { stream: 1 })),
        stage,
    );
}

/// Answers that have no body whatever Content-Length says (RFC 9113, section 8.1.1).
#[test]
fn answers_without_a_body() {
    for (method, status) in [("HEAD", "200"), ("GET", "204"), ("GET", "304"), ("CONNECT", "204")] {
        let start = move |role| {
            let mut bench = Bench::greeted(role, Config::new(role), &[]);
            bench.open(method, End::Last);
            bench.out.clear();
            bench
        };
        let head = |flags| headers(1, flags, &[(":status", status), ("content-length", "5")]);
        let case = "the length of what is not there";
        check(&row("8.1.1", case, Client, head(END_STREAM), Answered(vec![])), start);
        check(&row("8.1.1", case, Client, [head(0), data(1, END_STREAM, b"")].concat(), Answered(vec![])), start);
        let body = Lost(1, Violation::ContentLength { stream: 1, off_by: 1 });
        check(&row("8.1.1", "a body", Client, [head(0), data(1, END_STREAM, b"x")].concat(), body), start);
    }
    let connect = |role| {
        let mut bench = Bench::greeted(role, Config::new(role), &[]);
        bench.open("CONNECT", End::More);
        bench.out.clear();
        bench
    };
    let tunnel = [headers(1, 0, &[(":status", "200"), ("content-length", "5")]), data(1, 0, b"any length")].concat();
    check(&row("9110 9.3.6", "a tunnel", Client, tunnel, Answered(vec![])), connect);
}

/// CONNECT has no content whose length could be wrong (RFC 9110, section 9.3.6).
#[test]
fn the_length_of_a_tunnel() {
    let fields = [(":method", "CONNECT"), (":authority", "a:1"), ("content-length", "5")];
    for bytes in [&b"abc"[..], b"abcdefg"] {
        let bytes = [headers(13, 0, &fields), data(13, END_STREAM, bytes)].concat();
        check(&row("9110 9.3.6", "a tunnel", Server, bytes, Answered(vec![])), stage);
    }
    check(&row("9110 9.3.6", "a tunnel that ends", Server, headers(13, END_STREAM, &fields), Answered(vec![])), stage);
}

/// A tunnel has DATA and nothing else (RFC 9113, section 8.5).
#[test]
fn trailers_in_a_tunnel() {
    let connect = |role| {
        let mut bench = Bench::greeted(role, Config::new(role), &[]);
        match role {
            Client => drop(bench.open("CONNECT", End::More)),
            Server => drop(bench.feed(&headers(1, 0, &[(":method", "CONNECT"), (":authority", "a:1")])).unwrap()),
        }
        bench.out.clear();
        bench
    };
    let trailers = headers(1, END_STREAM, &[("x", "y")]);
    let lost = Lost(1, Violation::TrailersInTunnel { stream: 1 });
    check(&row("8.5", "of a client", Server, trailers.clone(), lost.clone()), connect);
    check(
        &row("8.5", "of a client, behind data", Server, [data(1, 0, b"x"), trailers.clone()].concat(), lost.clone()),
        connect,
    );
    check(&row("8.5", "of a server", Client, [ok(1, 0), trailers.clone()].concat(), lost), connect);
    let refused = [headers(1, 0, &[(":status", "403")]), trailers].concat();
    check(&row("8.5", "an answer that opens no tunnel may have them", Client, refused, Answered(vec![])), connect);
}

#[test]
fn what_a_head_is_made_into() {
    let mut bench = Bench::greeted(Server, Config { extended_connect: true, ..Config::new(Server) }, &[]);
    let mut head = |stream: u32, fields: Fields<'_>| {
        bench.input.extend(&headers(stream, 0, fields));
        match bench.engine.poll_event(bench.now, &mut bench.input, &mut bench.out) {
            Ok(Some(Event::Head { head, .. })) => head,
            other => panic!("{other:?}"),
        }
    };
    let whole = head(1, &[&GET[..3], &[(":path", "/p?q"), ("cookie", "a=b"), ("x", "y"), ("cookie", "c=d")]].concat());
    assert_eq!((whole.method.as_str(), whole.uri.to_string().as_str()), ("GET", "http://a/p?q"));
    assert_eq!(whole.fields, [("x", "y"), ("cookie", "a=b; c=d")].into_iter().collect());
    assert_eq!(head(3, &[GET[0], GET[1], GET[3]]).uri, "/");
    assert_eq!(head(5, &[GET[0], GET[1], GET[3], ("host", "h:1")]).uri, "http://h:1/");
    let asterisk = head(7, &[(":method", "OPTIONS"), GET[1], GET[2], (":path", "*")]).uri;
    assert_eq!((asterisk.path(), asterisk.host()), ("*", Some("a")));
    let asterisk = head(9, &[(":method", "OPTIONS"), GET[1], (":path", "*")]).uri;
    assert_eq!((asterisk.path(), asterisk.host()), ("*", None));
    let connect = head(11, &[(":method", "CONNECT"), (":authority", "a:1")]);
    assert_eq!((connect.uri.to_string().as_str(), connect.protocol), ("a:1", None));
    let extended = head(13, &[&[(":method", "CONNECT"), (":protocol", "websocket")], &GET[1..]].concat());
    assert_eq!((extended.uri.to_string().as_str(), extended.protocol.as_deref()), ("http://a/", Some("websocket")));
}

#[test]
fn whose_head_has_begun_to_arrive() {
    let mut bench = Bench::greeted(Client, Config::new(Client), &[]);
    let stream = bench.open("GET", End::Last);
    let block = literals(&OK);
    let (first, rest) = block.split_at(1);
    let cut = [
        frame(Kind::Ping, 0, 0, b"12345678"),
        frame(Kind::Headers, END_STREAM, stream, first),
        frame(Kind::Continuation, END_HEADERS, stream, rest),
    ];
    let begins = cut[0].len() + 9;
    let bytes = cut.concat();
    for (n, byte) in bytes.iter().enumerate() {
        let events = bench.feed(&[*byte]).unwrap();
        let arriving = (n + 1 >= begins && n + 1 < bytes.len()).then_some(stream);
        assert_eq!(bench.engine.arriving(bench.input.peek()), arriving, "after {} bytes", n + 1);
        assert_eq!(events.is_empty(), n + 1 < bytes.len());
    }
}
