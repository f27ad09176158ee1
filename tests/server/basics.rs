//! What HTTP/1 asks of a server.

use crate::raw::Raw;
use bowline::{Body, Exchange, Result, Server, ServerHandle, http};
use http::{HeaderMap, Response, StatusCode};
use std::io::{Read, Write};

fn handle(mut exchange: Exchange) -> Result<()> {
    match exchange.path() {
        "/hello" => exchange.reply(200, "hello"),
        "/upper" => {
            let text = std::io::read_to_string(exchange.body())?;
            exchange.reply(200, text.to_uppercase())
        }
        "/echo" => {
            let body = exchange.take_body();
            exchange.reply(200, body)
        }
        "/unread" => exchange.reply(200, "no thanks"),
        "/chunked" => exchange.reply(200, Body::from_reader(&b"in pieces"[..])),
        "/trailers" => {
            let mut text = String::new();
            exchange.body().read_to_string(&mut text)?;
            let sum = exchange.body().trailers().and_then(|t| t.get("x-sum")).cloned();
            let (_, mut writer) = exchange.respond_streaming(Response::new(()))?;
            writer.write_all(text.as_bytes())?;
            let mut trailers = HeaderMap::new();
            trailers.insert("x-sum", sum.expect("the client sent it"));
            writer.finish_with_trailers(trailers)
        }
        "/empty" => exchange.reply(204, ()),
        "/reset" => exchange.reply(205, "nobody sees it"),
        "/host" => {
            let host = exchange.header("host").unwrap_or_default().to_owned();
            exchange.reply(200, host)
        }
        "/same" => exchange.reply(304, ()),
        "/error" => Err(bowline::Error::other("on purpose")),
        "/panic" => panic!("on purpose"),
        "/drop" => Ok(()),
        "/late" => {
            let (_, mut writer) = exchange.respond_streaming(Response::new(()))?;
            writer.write_all(b"some")?;
            Err(bowline::Error::other("on purpose"))
        }
        "/late-panic" => {
            let (_, mut writer) = exchange.respond_streaming(Response::new(()))?;
            writer.write_all(b"some")?;
            panic!("on purpose")
        }
        "/hints" => {
            let mut hints = HeaderMap::new();
            hints.insert("link", "</style.css>".parse().unwrap());
            exchange.inform(StatusCode::EARLY_HINTS, hints)?;
            exchange.reply(200, "hinted")
        }
        "/elsewhere" => {
            std::thread::spawn(move || exchange.reply(200, "from another thread"));
            Ok(())
        }
        "/upgrade" | "" => {
            let mut headers = HeaderMap::new();
            if exchange.method() != http::Method::CONNECT {
                headers.insert("upgrade", "echo".parse().unwrap());
            }
            let mut tunnel = exchange.upgrade(headers)?;
            let mut buf = [0; 100];
            loop {
                match tunnel.read(&mut buf)? {
                    0 => return tunnel.finish(),
                    n => tunnel.write_all(&buf[..n])?,
                }
            }
        }
        "/any-upgrade" => exchange.upgrade(HeaderMap::new()).map(drop),
        "/bad-head" => {
            let head = Response::builder().header("transfer-encoding", "chunked").body("x")?;
            exchange.respond(head)
        }
        _ => exchange.reply(404, "no such page"),
    }
}

fn server() -> ServerHandle {
    Server::bind("127.0.0.1:0").unwrap().spawn(handle).unwrap()
}

fn raw(server: &ServerHandle) -> Raw {
    Raw::connect(server.local_addr())
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n")
}

#[test]
fn requests_one_after_the_other_on_one_connection() {
    let server = server();
    let mut raw = raw(&server);
    for _ in 0..3 {
        let answer = raw.send(get("/hello")).answer();
        assert_eq!((answer.status(), answer.text()), (200, "hello"));
        assert!(answer.get("date").unwrap().ends_with("GMT"));
        assert_eq!(answer.get("connection"), None);
        assert_eq!(answer.get("content-type"), Some("text/plain; charset=utf-8"));
    }
    assert_eq!(server.connections().len(), 1);
    assert_eq!(server.connections()[0].requests, 3);
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let server = server();
    let mut raw = raw(&server);
    let post = "POST /upper HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc";
    raw.send(get("/hello") + post + &get("/none") + &get("/chunked") + &get("/hello"));
    let texts: Vec<_> = (0..5).map(|_| raw.answer().text().to_owned()).collect();
    assert_eq!(texts, ["hello", "ABC", "no such page", "in pieces", "hello"]);
    // More than is read at a time.
    let many = 2000;
    raw.send(get("/hello").repeat(many));
    for _ in 0..many {
        assert_eq!(raw.answer().text(), "hello");
    }
}

#[test]
fn a_request_in_single_bytes() {
    let server = server();
    let mut raw = raw(&server);
    for byte in
        "POST /upper HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n".bytes()
    {
        raw.send([byte]);
    }
    assert_eq!(raw.answer().text(), "ABC");
}

#[test]
fn head_has_the_headers_of_get_and_no_body() {
    let server = server();
    let mut raw = raw(&server);
    let head = raw.send("HEAD /hello HTTP/1.1\r\nHost: x\r\n\r\n").head();
    assert_eq!((head.status(), head.get("content-length")), (200, Some("5")));
    let head = raw.send("HEAD /chunked HTTP/1.1\r\nHost: x\r\n\r\n").head();
    assert_eq!((head.status(), head.get("content-length")), (200, None));
    assert_eq!(raw.send(get("/hello")).answer().text(), "hello", "the connection goes on");
}

#[test]
fn answers_without_a_body() {
    let server = server();
    let mut raw = raw(&server);
    for (path, status) in [("/empty", 204), ("/same", 304)] {
        let answer = raw.send(get(path)).answer();
        assert_eq!(answer.status(), status);
        assert_eq!((answer.get("content-length"), answer.get("transfer-encoding")), (None, None), "{path}");
    }
    // That of 205 is empty, and says so (RFC 9110, section 15.3.6).
    let reset = raw.send(get("/reset")).answer();
    assert_eq!((reset.status(), reset.get("content-length"), reset.text()), (205, Some("0"), ""));
    assert_eq!(raw.send(get("/hello")).answer().text(), "hello");
}

#[test]
fn the_target_says_more_than_host() {
    let server = server();
    let mut raw = raw(&server);
    for (target, host, meant) in [
        ("/host", "x", "x"),
        ("http://x/host", "x", "x"),
        ("http://other:8080/host", "x", "other:8080"),
        ("HTTP://OTHER/host", "", "OTHER"),
    ] {
        let answer = raw.send(format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n")).answer();
        assert_eq!(answer.text(), meant, "{target}");
    }
    let answer = raw.send("GET http://other/host HTTP/1.0\r\n\r\n").answer();
    assert_eq!(answer.text(), "other", "HTTP/1.0 needs no Host");
}

#[test]
fn chunked_both_ways_with_trailers() {
    let server = server();
    let mut raw = raw(&server);
    raw.send(
        "POST /trailers HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nfour\r\n0\r\nX-Sum: 4\r\n\r\n",
    );
    let answer = raw.answer();
    assert_eq!((answer.text(), answer.trailers.as_str()), ("four", "x-sum: 4\r\n"));
    assert_eq!(raw.send(get("/hello")).answer().text(), "hello");
}

#[test]
fn a_client_is_told_to_go_on_when_its_body_is_read() {
    let server = server();
    let mut raw = raw(&server);
    let expect =
        |path: &str| format!("POST {path} HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n");
    assert_eq!(raw.send(expect("/upper")).answer().status(), 100);
    assert_eq!(raw.send("abc").answer().text(), "ABC");
    // An answer that needs the body before it can end.
    assert_eq!(raw.send(expect("/echo")).answer().status(), 100);
    assert_eq!(raw.send("abc").answer().text(), "abc");
    // Nobody reads it: the answer comes without a 100, and the body does not follow, so the connection ends.
    let answer = raw.send(expect("/unread")).answer();
    assert_eq!((answer.status(), answer.text()), (200, "no thanks"));
    assert!(raw.is_closed());
}

#[test]
fn http_1_0() {
    let server = server();
    let mut once = raw(&server);
    let answer = once.send("GET /hello HTTP/1.0\r\n\r\n").answer();
    assert_eq!((answer.status(), answer.get("connection")), (200, Some("close")));
    assert!(once.is_closed());
    let mut kept = raw(&server);
    for _ in 0..2 {
        let answer = kept.send("GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").answer();
        assert_eq!(answer.get("connection"), Some("keep-alive"));
    }
    let answer = kept.send("GET /chunked HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").answer();
    assert_eq!((answer.text(), answer.get("transfer-encoding")), ("in pieces", None));
    let mut hints = raw(&server);
    assert_eq!(hints.send("GET /hints HTTP/1.0\r\n\r\n").answer().text(), "hinted");
}

#[test]
fn close_is_kept_to() {
    let server = server();
    let mut raw = raw(&server);
    raw.send("GET /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".to_owned() + &get("/hello"));
    assert_eq!(raw.answer().get("connection"), Some("close"));
    assert!(raw.is_closed(), "nothing behind it is answered");
}

#[test]
fn a_client_that_has_said_all_still_gets_its_answers() {
    let server = server();
    let mut raw = raw(&server);
    raw.send(get("/hello") + &get("/chunked")).finish();
    assert_eq!(raw.answer().text(), "hello");
    assert_eq!(raw.answer().text(), "in pieces");
    assert!(raw.is_closed());
}

#[test]
fn handlers_that_do_not_answer() {
    let server = server();
    for path in ["/error", "/panic", "/drop", "/bad-head"] {
        let mut raw = raw(&server);
        assert_eq!(raw.send(get(path)).answer().status(), 500, "{path}");
        assert_eq!(raw.send(get("/hello")).answer().text(), "hello", "{path}: the connection goes on");
    }
    for path in ["/late", "/late-panic"] {
        let mut raw = raw(&server);
        let all = String::from_utf8(raw.send(get(path)).rest()).unwrap();
        assert!(!all.contains("0\r\n\r\n"), "{path}: the client sees that it is not all: {all}");
    }
}

#[test]
fn informational_and_late_answers() {
    let server = server();
    let mut raw = raw(&server);
    let hints = raw.send(get("/hints")).answer();
    assert_eq!((hints.status(), hints.get("link")), (103, Some("</style.css>")));
    assert_eq!(raw.answer().text(), "hinted");
    assert_eq!(raw.send(get("/elsewhere")).answer().text(), "from another thread");
}

#[test]
fn a_body_nobody_reads() {
    let server = server();
    let mut small = raw(&server);
    small.send("POST /unread HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc");
    assert_eq!(small.answer().text(), "no thanks");
    assert_eq!(small.send(get("/hello")).answer().text(), "hello");
    // One that is not there yet ends the connection, after the answer.
    let mut large = raw(&server);
    large.send("POST /unread HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n");
    assert_eq!(large.answer().text(), "no thanks");
    assert!(large.is_closed());
}

#[test]
fn upgrades_and_connect() {
    let server = server();
    let mut upgraded = raw(&server);
    let request = "GET /upgrade HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n";
    let answer = upgraded.send(request.to_owned() + "early").head();
    assert_eq!(
        (answer.status(), answer.get("upgrade"), answer.get("connection")),
        (101, Some("echo"), Some("upgrade"))
    );
    assert_eq!(upgraded.take(5), b"early");
    assert_eq!(upgraded.send("late").take(4), b"late");
    assert!(upgraded.finish().is_closed());
    let mut connects = raw(&server);
    let head = connects.send("CONNECT there:80 HTTP/1.1\r\nHost: there:80\r\n\r\n").head();
    assert_eq!((head.status(), head.get("content-length"), head.get("connection")), (200, None, None));
    assert_eq!(connects.send("through").take(7), b"through");
    drop(connects);
}

#[test]
fn upgrades_that_nobody_asked_for() {
    let server = server();
    let ask = |path: &str, fields: &str| format!("GET {path} HTTP/1.1\r\nHost: x\r\n{fields}\r\n");
    let table = [
        ("nothing is asked for", ""),
        ("something else", "Connection: upgrade\r\nUpgrade: other, echo/2\r\n"),
        ("not of this server", "Upgrade: echo\r\n"),
    ];
    let mut raw = raw(&server);
    for (name, fields) in table {
        let answer = raw.send(ask("/upgrade", fields)).answer();
        let said = (answer.get("upgrade"), answer.get("connection"));
        assert_eq!((answer.status(), said), (426, (Some("echo"), Some("upgrade"))), "{name}");
    }
    // To what, is for the client to say.
    for fields in ["", "Upgrade: echo\r\n", "Connection: upgrade\r\nUpgrade: ,\r\n"] {
        let answer = raw.send(ask("/any-upgrade", fields)).answer();
        assert_eq!((answer.status(), answer.get("upgrade")), (400, None), "{fields}");
    }
    let answer = raw.send("GET /upgrade HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n").answer();
    assert_eq!((answer.status(), answer.get("upgrade")), (426, Some("echo")), "HTTP/1.0 has no upgrades");
    // The connection was HTTP all along.
    let mut raw = Raw::connect(server.local_addr());
    raw.send(
        ask("/upgrade", "") + &ask("/upgrade", "Connection: x, Upgrade\r\nUpgrade: other\r\nUpgrade: x, Echo\r\n"),
    );
    assert_eq!((raw.answer().status(), raw.head().status()), (426, 101));
    let client = bowline::Client::builder().protocol(bowline::Protocol::Http2).build().unwrap();
    assert_eq!(client.get(server.url("/upgrade")).send().unwrap().status(), 400);
}
