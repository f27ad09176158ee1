//! Attacks in HTTP/1: requests that mean different things to different readers, and clients that never come to an end.

use crate::{
    peer::{GOAWAY, PREFACE, Peer, RST_STREAM, STREAM_CLOSED, Target},
    raw::{LONG, Raw},
};
use bowline::ServerTimeouts;
use std::{
    io::{Read, Write},
    time::{Duration, Instant},
};

const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n";

/// Returns how many answers there are in what was read; bodies of ours have no such line.
fn answers(bytes: &[u8]) -> usize {
    String::from_utf8_lossy(bytes).matches("HTTP/1.1 ").count()
}

/// What leaves a doubt about where a request ends is refused, and nothing behind it is ever a request.
#[test]
fn smuggling() {
    let head = |fields: &str| format!("POST / HTTP/1.1\r\nHost: x\r\n{fields}\r\n");
    let chunks = |body: &str| format!("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n{body}");
    let line = |line: &str| format!("{line}\r\nHost: x\r\n\r\n");
    let te = |value: &str| head(&format!("Transfer-Encoding: {value}\r\n")) + "0\r\n\r\n";
    let table = [
        ("length and chunks", head("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n") + "0\r\n\r\n"),
        ("chunks and length", head("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n") + "0\r\n\r\n"),
        ("chunks and a length of 0", head("Transfer-Encoding: chunked\r\nContent-Length: 0\r\n") + "0\r\n\r\n"),
        ("two lengths", head("Content-Length: 0\r\nContent-Length: 5\r\n")),
        ("the same length twice", head("Content-Length: 0\r\nContent-Length: 0\r\n")),
        ("a list of lengths", head("Content-Length: 0, 0\r\n")),
        ("a length of nothing", head("Content-Length:\r\n")),
        ("a signed length", head("Content-Length: +0\r\n")),
        ("a negative length", head("Content-Length: -1\r\n")),
        ("a hexadecimal length", head("Content-Length: 0x0\r\n")),
        ("a length with a blank", head("Content-Length: 0 0\r\n")),
        ("a length with an underscore", head("Content-Length: 1_0\r\n")),
        ("a length above 64 bits", head("Content-Length: 18446744073709551616\r\n")),
        ("chunked twice", te("chunked, chunked")),
        (
            "chunked twice, in two fields",
            head("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n") + "0\r\n\r\n",
        ),
        ("chunked and something", te("chunked, identity")),
        ("something and chunked", te("gzip, chunked")),
        ("xchunked", te("xchunked")),
        ("identity", te("identity")),
        ("chunked with a parameter", te("chunked;x=y")),
        ("chunked in quotes", te("\"chunked\"")),
        ("chunked behind a vertical tab", te("\x0bchunked")),
        ("an empty element", te("chunked,")),
        ("no coding", te("")),
        ("chunks in HTTP/1.0", "POST / HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".into()),
        ("a blank before the colon", head("Transfer-Encoding : chunked\r\n") + "0\r\n\r\n"),
        ("a tab before the colon", head("Content-Length\t: 0\r\n")),
        ("a folded field", head("X: y\r\n Transfer-Encoding: chunked\r\n")),
        ("a folded coding", head("Transfer-Encoding:\r\n chunked\r\n") + "0\r\n\r\n"),
        ("a blank before the first field", "GET / HTTP/1.1\r\n Host: x\r\nX: y\r\n\r\n".into()),
        ("a lone LF", head("X: y\nTransfer-Encoding: chunked\r\n") + "0\r\n\r\n"),
        ("a lone LF behind the request line", "GET / HTTP/1.1\nHost: x\r\n\r\n".into()),
        ("a lone LF at the end", "GET / HTTP/1.1\r\nHost: x\r\n\n".into()),
        ("a lone CR", head("X: y\rTransfer-Encoding: chunked\r\n")),
        ("CR CR LF", head("X: y\r\r\n")),
        ("NUL in a value", head("X: \0\r\n")),
        ("NUL in a name", head("X\0: y\r\n")),
        ("DEL in a value", head("X: \x7f\r\n")),
        ("no name", head(": y\r\n")),
        ("no colon", head("Transfer-Encoding\r\n")),
        ("two Hosts", head("Host: y\r\n")),
        ("two Hosts, the same", head("Host: x\r\n")),
        ("a Host with a path", "GET / HTTP/1.1\r\nHost: x/y\r\n\r\n".into()),
        ("a Host with user information", "GET / HTTP/1.1\r\nHost: u@x\r\n\r\n".into()),
        ("a list of Hosts", "GET / HTTP/1.1\r\nHost: x, y z\r\n\r\n".into()),
        ("no Host", "GET / HTTP/1.1\r\n\r\n".into()),
        ("no Host for an absolute target", "GET http://x/ HTTP/1.1\r\n\r\n".into()),
        ("two blanks", line("GET  / HTTP/1.1")),
        ("a tab", line("GET\t/ HTTP/1.1")),
        ("a blank at the end", line("GET / HTTP/1.1 ")),
        ("a blank in the target", line("GET /a b HTTP/1.1")),
        ("a fragment", line("GET /a#b HTTP/1.1")),
        ("no version", line("GET /")),
        ("a version in lower case", line("GET / http/1.1")),
        ("a version of three parts", line("GET / HTTP/1.1.1")),
        ("a version without a dot", line("GET / HTTP/11")),
        ("HTTP/2.0", line("GET / HTTP/2.0")),
        ("a relative target", line("GET a HTTP/1.1")),
        ("an asterisk", line("GET * HTTP/1.1")),
        ("an authority", line("GET x:80 HTTP/1.1")),
        ("user information", line("GET http://u@x/ HTTP/1.1")),
        ("CONNECT with a path", line("CONNECT / HTTP/1.1")),
        ("CONNECT without a port", line("CONNECT x HTTP/1.1")),
        ("CONNECT with a body", "CONNECT x:1 HTTP/1.1\r\nHost: x:1\r\nContent-Length: 1\r\n\r\n".into()),
        ("a method that is no token", line("G(T / HTTP/1.1")),
        ("a size of nothing", chunks("\r\n")),
        ("a size with 0x", chunks("0x0\r\n\r\n")),
        ("a signed size", chunks("+0\r\n\r\n")),
        ("a negative size", chunks("-1\r\n\r\n")),
        ("a size with an underscore", chunks("1_0\r\n\r\n")),
        ("a blank before a size", chunks(" 0\r\n\r\n")),
        ("a blank behind a size", chunks("0 \r\n\r\n")),
        ("a size above 64 bits", chunks("10000000000000000\r\n")),
        ("a size with zeros in front", chunks("00000000000000000\r\n\r\n")),
        ("a size that ends with LF", chunks("0\n\r\n")),
        ("a size that ends with CR", chunks("0\rX\r\n\r\n")),
        ("a chunk without its end", chunks("1\r\naX\r\n0\r\n\r\n")),
        ("a chunk that ends with LF", chunks("1\r\na\n0\r\n\r\n")),
        ("an extension with LF", chunks("0;a\nb\r\n\r\n")),
        ("an extension with CR", chunks("0;a\rb\r\n\r\n")),
        ("an extension without a name", chunks("0;=b\r\n\r\n")),
        ("an extension in half a quote", chunks("0;a=\"b\r\n\r\n")),
        ("a length in the trailers", chunks("0\r\nContent-Length: 5\r\n\r\n")),
        ("a coding in the trailers", chunks("0\r\nTransfer-Encoding: chunked\r\n\r\n")),
        ("a Host in the trailers", chunks("0\r\nHost: y\r\n\r\n")),
        ("a folded trailer", chunks("0\r\nX: y\r\n z\r\n\r\n")),
        ("a trailer that ends with LF", chunks("0\r\nX: y\n\r\n")),
        ("many empty lines", "\r\n".repeat(9) + "GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
    ];
    let mut target = Target::new();
    for (name, request) in table {
        let mut raw = target.raw();
        raw.send(request + SMUGGLED);
        let answer = raw.answer();
        assert!((400..600).contains(&answer.status()), "{name}: {}", answer.head);
        assert_eq!(answer.get("connection"), Some("close"), "{name}");
        assert!(raw.is_closed(), "{name}");
    }
    assert!(!target.seen().iter().any(|path| path.contains("smuggled")), "{:?}", target.seen());
    target.survives("smuggling");
}

/// What is odd and clear: the request is one, and what follows it is the next one.
#[test]
fn oddities() {
    let mut target = Target::new();
    for request in [
        "\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET / HTTP/1.9\r\nHost: x\r\n\r\n",
        "GET http://y/ HTTP/1.1\r\nHost: x\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET //evil/ HTTP/1.1\r\nHost:\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: ChUnKeD\r\n\r\n000a ; a = \"\\\"b\" ;c\r\n0123456789\r\n0\r\nX: y\r\n\r\n",
        "POST /unread HTTP/1.1\r\nHost: x\r\nContent-Length: 37\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n..",
        "GET / HTTP/1.1\r\nHost: x\r\nTransfer_Encoding: chunked\r\n\r\n",
    ] {
        let mut raw = target.raw();
        raw.send(request.to_owned() + "GET /next HTTP/1.1\r\nHost: x\r\n\r\n");
        assert_eq!(raw.answer().status(), 200, "{request:?}");
        assert_eq!(raw.answer().status(), 200, "{request:?}");
    }
    let seen = target.seen();
    assert_eq!(seen.iter().filter(|path| *path == "/next").count(), 8, "{seen:?}");
    assert!(!seen.iter().any(|path| path.contains("smuggled")), "{seen:?}");
    assert!(seen.contains(&"http://y/".into()), "the target overrules Host: {seen:?}");
    target.survives("oddities");
}

#[test]
fn nothing_follows_close() {
    let mut target = Target::new();
    for request in [
        "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, Close\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nConnection: x\r\nConnection: close\r\n\r\n",
        "GET / HTTP/1.0\r\n\r\n",
        "GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n",
        // The answer came before the body that was promised: what comes is that body, or nothing.
        "POST /unread HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 1000\r\n\r\n",
    ] {
        let mut raw = target.raw();
        raw.send(request.to_owned() + SMUGGLED);
        // Whoever promised a body waits no longer.
        raw.finish();
        assert_eq!(answers(&raw.rest()), 1, "{request:?}");
    }
    assert!(!target.seen().iter().any(|path| path.contains("smuggled")), "{:?}", target.seen());
    target.survives("close");
}

#[test]
fn expectations() {
    let mut target = Target::new();
    let mut raw = target.raw();
    raw.send("POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    assert_eq!(raw.answer().status(), 100);
    assert_eq!(raw.send("ab").answer().text(), "2 bytes");
    // Without a body, and in HTTP/1.0, nothing is expected.
    assert_eq!(raw.send("GET / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n\r\n").answer().status(), 200);
    raw.send("POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nab");
    assert_eq!(raw.answer().text(), "2 bytes");
    target.survives("expectations");
}

/// Behind a 101 there is HTTP/2 and nothing else; a request that cannot be upgraded stays what it is.
#[test]
fn upgrades() {
    let mut target = Target::new();
    let fields = "Host: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: \r\n";
    let mut raw = target.raw();
    raw.send(format!("GET /first HTTP/1.1\r\n{fields}\r\n{SMUGGLED}"));
    let rest = raw.rest();
    assert_eq!(answers(&rest), 1, "{:?}", String::from_utf8_lossy(&rest));
    assert!(rest.starts_with(b"HTTP/1.1 101"));
    for (name, request) in [
        ("a body", format!("POST / HTTP/1.1\r\n{fields}Content-Length: 2\r\n\r\nab")),
        ("no option", format!("GET / HTTP/1.1\r\n{}\r\n", fields.replace("Upgrade, ", ""))),
        ("two settings", format!("GET / HTTP/1.1\r\n{fields}HTTP2-Settings: \r\n\r\n")),
        ("bad settings", format!("GET / HTTP/1.1\r\n{}\r\n", fields.replace("Settings: \r\n", "Settings: !!\r\n"))),
        ("half a setting", format!("GET / HTTP/1.1\r\n{}\r\n", fields.replace("Settings: \r\n", "Settings: AAQ\r\n"))),
        (
            "a window above 2^31-1",
            format!("GET / HTTP/1.1\r\n{}\r\n", fields.replace("Settings: \r\n", "Settings: AAT_____\r\n")),
        ),
    ] {
        let mut raw = target.raw();
        raw.send(request);
        assert_eq!(raw.answer().status(), 200, "{name}");
        assert_eq!(raw.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n").answer().status(), 200, "{name}");
    }
    // Stream 1 is taken: half closed by the request, or closed once the answer is out.
    let mut peer = Peer::connect(&target);
    peer.send(format!("GET /first HTTP/1.1\r\n{fields}\r\n"));
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        peer.socket.read_exact(&mut byte).unwrap();
        head.extend(byte);
    }
    peer.send([PREFACE, &crate::peer::settings(&[]), &crate::peer::get(1, 1, "/smuggled")].concat());
    let end = peer.until(|f| f.kind == RST_STREAM || f.kind == GOAWAY);
    assert!(end.code() == STREAM_CLOSED && (end.kind == GOAWAY || end.stream == 1), "{end:?}");
    assert!(!target.seen().iter().any(|path| path.contains("smuggled")), "{:?}", target.seen());
    target.survives("upgrades");
}

/// Heads and bodies that drip in, from many clients at once.
#[test]
fn slow_clients() {
    let timeouts = ServerTimeouts::default().header(Duration::from_millis(400)).read(Duration::from_millis(400));
    let mut target = Target::with(timeouts);
    let mut heads: Vec<Raw> = (0..40).map(|_| target.raw()).collect();
    let mut bodies: Vec<Raw> = (0..40).map(|_| target.raw()).collect();
    for raw in &mut heads {
        raw.send("GET / HTTP/1.1\r\nHost: x\r\nA: ");
    }
    for raw in &mut bodies {
        raw.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\na");
    }
    let began = Instant::now();
    // The heads drip on; each turn takes as long as the well-behaved client needs.
    while heads[0].is_silent(Duration::from_millis(10)) {
        assert!(began.elapsed() < LONG);
        for raw in &mut heads {
            raw.try_send("a");
        }
        target.good();
    }
    for raw in heads.iter_mut().chain(&mut bodies) {
        assert_eq!(raw.answer().status(), 408);
        assert!(raw.is_closed());
    }
    target.survives("slow clients");
}

/// What grows without end is refused while it grows.
#[test]
fn endless_parts() {
    let mut target = Target::new();
    let chunked = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
    let long = "a".repeat(4000);
    let table = [
        ("a request line", "GET /".to_owned(), long.clone(), 414),
        ("a field", "GET / HTTP/1.1\r\nHost: x\r\nA: ".into(), long.clone(), 431),
        ("fields", "GET / HTTP/1.1\r\nHost: x\r\n".into(), "a: b\r\n".repeat(100), 431),
        ("a chunk extension", format!("{chunked}1;"), long.clone(), 400),
        ("chunk extensions", chunked.into(), format!("1;{long}\r\na\r\n"), 400),
        ("a chunk size", chunked.into(), "0".repeat(100), 400),
        ("trailers", format!("{chunked}0\r\n"), format!("a: {long}\r\n"), 431),
        ("trailer fields", format!("{chunked}0\r\n"), "a: b\r\n".repeat(100), 431),
        ("a body in chunks", chunked.into(), format!("10000\r\n{}\r\n", "a".repeat(1 << 16)), 413),
        ("empty lines", String::new(), "\r\n".repeat(100), 400),
    ];
    for (name, begin, part, status) in table {
        let mut raw = target.raw();
        raw.send(begin);
        // Above every limit. The server takes what comes behind its answer for a while, so that the answer arrives.
        for _ in 0..(12 << 20) / part.len() {
            if !raw.try_send(&part) {
                break;
            }
        }
        let rest = raw.rest();
        let text = String::from_utf8_lossy(&rest);
        assert!(rest.starts_with(format!("HTTP/1.1 {status}").as_bytes()), "{name}: {text:?}");
        assert_eq!(answers(&rest), 1, "{name}: {text:?}");
        target.good();
    }
    target.survives("endless parts");
}

/// Requests by the thousand whose answers are read late, or never.
#[test]
fn pipelines() {
    const COUNT: usize = 10_000;
    let mut target = Target::new();
    let address = target.server.local_addr();
    let mut reader = std::net::TcpStream::connect(address).unwrap();
    reader.set_read_timeout(Some(LONG)).unwrap();
    let mut writer = reader.try_clone().unwrap();
    let sender = std::thread::spawn(move || {
        let mut all = "GET / HTTP/1.1\r\nHost: x\r\n\r\n".repeat(COUNT - 1);
        all += "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        writer.write_all(all.as_bytes()).unwrap();
    });
    for _ in 0..20 {
        target.good();
    }
    let mut all = Vec::new();
    reader.read_to_end(&mut all).unwrap();
    sender.join().unwrap();
    assert_eq!(answers(&all), COUNT);
    // Large answers that nobody reads: the server stops, and reads no further requests.
    let mut never = target.raw();
    let requests = "GET /big HTTP/1.1\r\nHost: x\r\n\r\n".repeat(COUNT);
    never.send(requests);
    for _ in 0..20 {
        target.good();
    }
    assert!(target.seen().iter().filter(|path| *path == "/big").count() < 100);
    drop(never);
    target.survives("pipelines");
}
