//! What RFC 9110 and RFC 9112 ask of a server besides, seen from outside.

use crate::{
    h2::{h2peer::*, request},
    raw::{LONG, Raw},
};
use bowline::{Error, Exchange, ExchangeEnd, Result, Server, ServerHandle, ServerTimeouts, http};
use http::{HeaderMap, Response, StatusCode};
use std::{
    io::{Read, Write},
    net::TcpStream,
    sync::mpsc,
    time::{Duration, Instant},
};

fn handle(mut exchange: Exchange) -> Result<()> {
    match exchange.path() {
        // That of CONNECT.
        "" | "/tunnel" => echo(exchange),
        "/read" => {
            let n = std::io::copy(exchange.body(), &mut std::io::sink())?;
            exchange.reply(200, n.to_string())
        }
        "/trailers" => {
            let (_, mut writer) = exchange.respond_streaming(Response::new(()))?;
            writer.write_all(b"hello")?;
            writer.finish_with_trailers(HeaderMap::from_iter([(http::header::ETAG, "\"a\"".parse().unwrap())]))
        }
        "/names" => {
            std::io::copy(exchange.body(), &mut std::io::sink())?;
            let names: Vec<_> = exchange.body().trailers().into_iter().flat_map(HeaderMap::keys).cloned().collect();
            exchange.reply(200, format!("{names:?}"))
        }
        "/host" => {
            let [named, listed] = [exchange.header("Host"), exchange.headers()["host"].to_str().ok()];
            let text = format!("{} {}", named.unwrap_or_default(), listed.unwrap_or_default());
            exchange.reply(200, text)
        }
        "/keeps" => exchange.respond(Response::builder().header("connection", "Keep-Alive, x-hop").body("kept")?),
        "/keeps/alone" => exchange.respond(Response::builder().header("connection", "keep-alive").body("kept")?),
        "/none" => exchange.respond(Response::builder().status(204).header("content-length", 0).body(())?),
        "/reset" => exchange.respond(Response::builder().status(205).header("content-length", 9).body("nine long")?),
        "/echo" => {
            let body = exchange.take_body();
            exchange.reply(200, body)
        }
        "/late" => {
            let (mut body, mut writer) = exchange.respond_streaming(Response::new(()))?;
            let n = std::io::copy(&mut body, &mut std::io::sink())?;
            write!(writer, "{n}")?;
            writer.finish()
        }
        "/lies" => exchange.respond(Response::builder().header("content-length", 99).body("short")?),
        "/error" => Err(Error::other("on purpose")),
        _ => exchange.reply(200, "unread"),
    }
}

/// A handler that knows nothing of CONNECT.
fn hello(exchange: Exchange) -> Result<()> {
    exchange.reply(200, "hello")
}

/// Sends back what comes through a tunnel.
fn echo(exchange: Exchange) -> Result<()> {
    let mut tunnel = exchange.upgrade(HeaderMap::new())?;
    let mut piece = [0; 1024];
    loop {
        match tunnel.read(&mut piece)? {
            0 => return tunnel.finish(),
            n => tunnel.write_all(&piece[..n])?,
        }
        tunnel.flush()?;
    }
}

/// A 204 has no Content-Length, and that of a 205 is nothing (RFC 9110, sections 8.6 and 15.3.6).
#[test]
fn answers_that_are_empty_whatever_their_handler_says() {
    let server = bind().spawn(handle).unwrap();
    let client = bowline::Client::builder().protocol(bowline::Protocol::Http2).build().unwrap();
    for (path, status, len) in [("/none", 204, None), ("/reset", 205, Some("0"))] {
        let mut raw = Raw::connect(server.local_addr());
        let answer = raw.send(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n")).answer();
        assert_eq!((answer.status(), answer.get("content-length")), (status, len), "{path}");
        let answer = client.get(server.url(path)).send().unwrap();
        assert_eq!((answer.status().as_u16(), answer.header("content-length")), (status, None), "{path}");
        assert_eq!(answer.bytes().unwrap(), b"");
    }
}

/// Who answers before it reads a body that the client keeps back has to ask for it first: 1xx do not come behind the answer.
#[test]
fn over_http2_a_body_is_asked_for_before_the_answer() {
    let server = bind().spawn(handle).unwrap();
    let mut link = Link::new(TcpStream::connect(server.local_addr()).unwrap());
    link.send_bytes(PREFACE);
    link.send(&[Frame::settings(&[])]);
    let ask = |stream, path| {
        let pseudo = [(":method", "POST"), (":scheme", "http"), (":authority", "x"), (":path", path)];
        Frame::headers(stream, 0, &[&pseudo[..], &[("expect", "100-continue")]].concat())
    };
    for (stream, path, body) in [(1, "/echo", &b"abc"[..]), (3, "/late", b"3"), (5, "/read", b"3")] {
        link.send(&[ask(stream, path)]);
        let go_on = link.skip_to(HEADERS);
        assert!(!go_on.ends(), "{path}");
        if path != "/read" {
            assert!(!link.skip_to(HEADERS).ends(), "{path}: 100 and 200");
        }
        link.send(&[Frame::last_data(stream, b"abc")]);
        assert_eq!(crate::h2::body_of(&mut link, stream), body, "{path}");
    }
    // Nobody wants it: no 100.
    link.send(&[ask(7, "/")]);
    let head = link.skip_to(HEADERS);
    assert_eq!(link.skip_to(DATA).payload, b"unread");
    assert!(!head.ends());
}

/// Which fields may stand behind a body does not depend on the version (RFC 9110, section 6.5.1).
#[test]
fn trailers_that_are_none() {
    let server = bind().spawn(handle).unwrap();
    let table = [
        ("x-sum", Some(r#"["x-sum"]"#)),
        ("date", Some("[]")),
        ("authorization", Some("[]")),
        ("content-type", Some("[]")),
        ("te", Some("[]")),
        ("host", None),
        ("content-length", None),
    ];
    for (name, expected) in table {
        let value = if name == "te" { "trailers" } else { "1" };
        let mut raw = Raw::connect(server.local_addr());
        raw.send("POST /names HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n");
        let answer = raw.send(format!("0\r\n{name}: {value}\r\n\r\n")).answer();
        match expected {
            Some(names) => assert_eq!((answer.status(), answer.text()), (200, names), "HTTP/1: {name}"),
            None => assert_eq!((answer.status(), answer.get("connection")), (400, Some("close")), "HTTP/1: {name}"),
        }
        let mut link = Link::new(TcpStream::connect(server.local_addr()).unwrap());
        link.send_bytes(PREFACE);
        let trailers = Frame::headers(1, END_STREAM, &[(name, value)]);
        link.send(&[Frame::settings(&[]), request(1, 0, "POST", "/names"), Frame::data(1, b"a"), trailers]);
        match expected {
            Some(names) => assert_eq!(crate::h2::body_of(&mut link, 1), names.as_bytes(), "HTTP/2: {name}"),
            None => assert_eq!(link.skip_to(RST_STREAM).code(), PROTOCOL_ERROR, "HTTP/2: {name}"),
        }
    }
}

#[test]
fn a_connection_that_ends_is_not_said_to_be_kept() {
    let server = bind().spawn(handle).unwrap();
    #[rustfmt::skip]
    let table: [(&str, &str, &[&str]); 5] = [
        ("/keeps", "HTTP/1.0\r\n", &["x-hop", "close"]),
        ("/keeps/alone", "HTTP/1.0\r\n", &["close"]),
        ("/keeps/alone", "HTTP/1.0\r\nConnection: keep-alive\r\n", &["keep-alive"]),
        ("/keeps", "HTTP/1.1\r\nHost: x\r\nConnection: close\r\n", &["x-hop", "close"]),
        ("/keeps", "HTTP/1.1\r\nHost: x\r\n", &["Keep-Alive, x-hop"]),
    ];
    for (path, rest, expected) in table {
        let mut raw = Raw::connect(server.local_addr());
        let head = raw.send(format!("GET {path} {rest}\r\n")).rest_of_head();
        let head = String::from_utf8(head).unwrap();
        let lines = head.lines().filter_map(|line| line.split_once(": "));
        let said: Vec<_> =
            lines.filter(|(name, _)| name.eq_ignore_ascii_case("connection")).map(|(_, said)| said).collect();
        assert_eq!(said, expected, "{path} {rest}");
    }
}

fn bind() -> Server {
    Server::bind("127.0.0.1:0").unwrap().max_body(1000)
}

fn server() -> ServerHandle {
    bind().spawn(handle).unwrap()
}

fn raw(server: &ServerHandle) -> Raw {
    Raw::connect(server.local_addr())
}

#[test]
fn every_final_answer_has_a_date() {
    let header = Duration::from_millis(200);
    let server = bind().timeouts(ServerTimeouts::default().header(header)).spawn(handle).unwrap();
    let long = "a".repeat(20_000);
    for (status, request) in [
        (200, "GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_owned()),
        (200, "CONNECT x:1 HTTP/1.1\r\nHost: x:1\r\n\r\n".into()),
        (400, "GET / HTTP/1.1\r\n\r\n".into()),
        (400, "POST /read HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nx".into()),
        (408, "GET / HTTP/1.1\r\nHost:".into()),
        (413, "POST /read HTTP/1.1\r\nHost: x\r\nContent-Length: 1001\r\n\r\n".into()),
        (414, format!("GET /{long}")),
        (431, format!("GET / HTTP/1.1\r\nHost: x\r\nA: {long}")),
        (500, "GET /error HTTP/1.1\r\nHost: x\r\n\r\n".into()),
        (501, long.clone()),
        (505, "GET / HTTP/2.0\r\nHost: x\r\n\r\n".into()),
    ] {
        let head = raw(&server).send(request).head();
        assert_eq!(head.status(), status, "{}", head.head);
        assert_eq!(head.get("date").map(str::len), Some(29), "{}", head.head);
        let closes = [400, 408, 413, 414, 431, 501, 505].contains(&status);
        assert_eq!(head.get("connection"), closes.then_some("close"), "{}", head.head);
    }
}

/// Whether the client sends the body all the same that it had promised is not known, and so nothing follows.
#[test]
fn an_answer_instead_of_100_is_the_last() {
    let server = server();
    let mut raw = raw(&server);
    raw.send("POST /unread HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    let answer = raw.answer();
    assert_eq!((answer.status(), answer.get("connection"), answer.text()), (200, Some("close"), "unread"));
    raw.try_send("abGET /read HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(raw.is_closed());
}

#[test]
fn trailers_for_a_client_of_http_1_0_are_left_out() {
    let (sender, ends) = mpsc::channel();
    let server = bind().on_exchange(move |info| sender.send(info.end).unwrap()).spawn(handle).unwrap();
    let rest = raw(&server).send("GET /trailers HTTP/1.0\r\n\r\n").rest();
    assert!(rest.ends_with(b"\r\n\r\nhello"), "{}", rest.escape_ascii());
    assert_eq!(ends.recv_timeout(LONG), Ok(ExchangeEnd::Complete));
}

/// What the client was told is in the record, also where no handler said it.
#[test]
fn refused_bodies_are_recorded_with_their_status() {
    let (sender, records) = mpsc::channel();
    let server = bind().on_exchange(move |info| sender.send((info.status, info.bytes_in)).unwrap());
    let server = server.spawn(handle).unwrap();
    for (request, status, bytes) in [
        ("Transfer-Encoding: chunked\r\n\r\n3\r\nabcx", 400, 3),
        ("Content-Length: 5\r\n\r\nabc", 400, 3),
        ("Content-Length: 1001\r\n\r\nabc", 413, 3),
    ] {
        let mut raw = raw(&server);
        raw.send(format!("POST /read HTTP/1.1\r\nHost: x\r\n{request}")).finish();
        assert_eq!(raw.answer().status(), status, "{request:?}");
        let status = StatusCode::from_u16(status).unwrap();
        assert_eq!(records.recv_timeout(LONG), Ok((Some(status), bytes)), "{request:?}");
    }
}

/// Whatever is of the request is none of what follows it.
#[test]
fn an_upgrade_begins_behind_the_body() {
    let server = server();
    let head = "POST /tunnel HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: echo\r\n";
    for (fields, pieces) in [
        ("Content-Length: 4\r\n\r\n", &["bodythrough"][..]),
        ("Content-Length: 4\r\n\r\n", &["bo", "dythr", "ough"]),
        ("Transfer-Encoding: chunked\r\n\r\n", &["4\r\nbody\r\n", "0\r\n\r\nthrough"]),
        ("Content-Length: 4\r\nExpect: 100-continue\r\n\r\n", &["body", "through"]),
    ] {
        let mut raw = raw(&server);
        raw.send(head).send(fields);
        if fields.contains("Expect") {
            assert_eq!(raw.head().status(), 100);
        }
        for piece in pieces {
            raw.send(piece);
        }
        assert_eq!(raw.head().status(), 101, "{fields:?}");
        assert_eq!(raw.take(7), b"through", "{fields:?}");
        assert!(raw.finish().is_closed(), "{fields:?}");
    }
    // One that is too long, or breaks a rule, is no upgrade.
    for (fields, status) in [
        ("Content-Length: 1001\r\n\r\n", 413),
        ("Transfer-Encoding: chunked\r\n\r\nx", 400),
        ("Transfer-Encoding: chunked\r\n\r\n3e9\r\n", 413),
    ] {
        let mut raw = raw(&server);
        raw.send(head).send(fields).send([b'a'; 1001]);
        assert_eq!(raw.answer().status(), status, "{fields:?}");
        assert!(raw.is_closed(), "{fields:?}");
    }
}

/// An Upgrade that somebody in between has passed on without knowing it is not meant for us (RFC 9110, section 7.8).
#[test]
fn an_upgrade_is_a_connection_option() {
    let server = server();
    for fields in ["Upgrade: echo\r\n", "Upgrade: echo\r\nConnection: keep-alive\r\n", "Connection: upgrade\r\n"] {
        let mut raw = raw(&server);
        raw.send(format!("GET /tunnel HTTP/1.1\r\nHost: x\r\n{fields}\r\n"));
        assert_eq!(raw.answer().status(), 400, "{fields:?}");
        assert_eq!(raw.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n").answer().status(), 200, "{fields:?}");
    }
}

#[test]
fn ports_that_are_none() {
    let server = server();
    for line in ["GET http://x:99999/", "GET http://x:+80/", "GET http://x:8a/", "CONNECT x:+1", "CONNECT x:-1"] {
        let mut raw = raw(&server);
        raw.send(format!("{line} HTTP/1.1\r\nHost: x\r\n\r\n"));
        assert_eq!(raw.answer().status(), 400, "{line}");
    }
}

/// The first letters of a request may be those of HTTP/2, and count like others.
#[test]
fn the_time_of_a_head_begins_with_its_first_byte() {
    let limit = Duration::from_millis(1200);
    let server = bind().timeouts(ServerTimeouts::default().header(limit)).spawn(handle).unwrap();
    let mut raw = raw(&server);
    let began = Instant::now();
    raw.send("P");
    assert!(raw.is_silent(limit * 3 / 4), "it is early");
    raw.send("OST /read");
    assert_eq!(raw.answer().status(), 408);
    let elapsed = began.elapsed();
    assert!(elapsed >= limit && elapsed < limit * 7 / 4, "{elapsed:?}");
}

/// A connection of HTTP/2 that is ready.
fn link(server: &ServerHandle) -> Link {
    let mut link = Link::new(TcpStream::connect(server.local_addr()).unwrap());
    link.send_bytes(PREFACE);
    link.send(&[Frame::settings(&[])]);
    link.skip_to(SETTINGS);
    link.send(&[Frame::settings_ack()]);
    link
}

/// In the static table of HPACK (RFC 7541, appendix A).
const STATUS_500: u8 = 0x8e;

#[test]
fn a_length_that_is_not_that_of_the_body_is_a_500() {
    let server = server();
    assert_eq!(raw(&server).send("GET /lies HTTP/1.1\r\nHost: x\r\n\r\n").answer().status(), 500);
    let mut link = link(&server);
    link.send(&[request(1, END_STREAM, "GET", "/lies")]);
    let head = link.skip_to(HEADERS);
    assert_eq!((head.payload[0], head.ends()), (STATUS_500, true));
}

/// An answer that accepts CONNECT has neither a body nor a length (RFC 9110, section 9.3.6).
#[test]
fn connect_is_not_answered_with_a_body() {
    let server = bind().spawn(hello).unwrap();
    assert_eq!(raw(&server).send("CONNECT x:1 HTTP/1.1\r\nHost: x:1\r\n\r\n").answer().status(), 500);
    let mut link = link(&server);
    link.send(&[Frame::headers(1, 0, &[(":method", "CONNECT"), (":authority", "x:1")])]);
    assert_eq!(link.skip_to(HEADERS).payload[0], STATUS_500);
}

/// Whoever asks for the host need not know of which version the request is.
#[test]
fn the_host_is_a_header_in_every_version() {
    let server = server();
    for (request, host) in [
        ("GET /host HTTP/1.1\r\nHost: x:1\r\n\r\n", "x:1 x:1"),
        ("GET http://y:2/host HTTP/1.1\r\nHost: x:1\r\n\r\n", "y:2 y:2"),
    ] {
        assert_eq!(raw(&server).send(request).answer().text(), host);
    }
    let mut link = link(&server);
    link.send(&[request(1, END_STREAM, "GET", "/host")]);
    assert_eq!(crate::h2::body_of(&mut link, 1), b"x x");
}
