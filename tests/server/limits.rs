//! Clients that break rules, dawdle, or want too much.

use crate::{
    h2::h2peer::{Frame, GOAWAY, SETTINGS},
    raw::Raw,
};
use bowline::{Exchange, Result, Server, ServerHandle, ServerTimeouts, http::Version};
use std::{
    io::Write,
    net::TcpStream,
    sync::{
        Arc, Barrier,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    time::{Duration, Instant},
};

fn upper(mut exchange: Exchange) -> Result<()> {
    let text = std::io::read_to_string(exchange.body())?;
    exchange.reply(200, text.to_uppercase())
}

fn bind() -> Server {
    Server::bind("127.0.0.1:0").unwrap()
}

fn raw(server: &ServerHandle) -> Raw {
    Raw::connect(server.local_addr())
}

fn post(len: usize) -> String {
    format!("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {len}\r\n\r\n")
}

#[test]
fn bad_requests_are_answered_and_end_the_connection() {
    let server = bind().spawn(|_: Exchange| -> Result<()> { panic!("no handler sees it") }).unwrap();
    let long = format!("GET / HTTP/1.1\r\nHost: x\r\nA: {}\r\n\r\n", "a".repeat(20_000));
    let target = format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "a".repeat(20_000));
    let many = format!("GET / HTTP/1.1\r\nHost: x\r\n{}\r\n", "a: b\r\n".repeat(300));
    #[rustfmt::skip]
    let table = [
        ("no HTTP", "nonsense\r\n\r\n", 400),
        ("no host", "GET / HTTP/1.1\r\n\r\n", 400),
        ("two hosts", "GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", 400),
        ("blank before colon", "GET / HTTP/1.1\r\nHost : x\r\n\r\n", 400),
        ("folded", "GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n", 400),
        ("lone LF", "GET / HTTP/1.1\nHost: x\n\n", 400),
        ("length and chunks", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        ("two lengths", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
        ("a signed length", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: +1\r\n\r\n", 400),
        ("an unknown coding", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501),
        ("a long head", &long, 431),
        ("a long target", &target, 414),
        ("many fields", &many, 431),
        ("a version", "GET / HTTP/3.0\r\nHost: x\r\n\r\n", 505),
    ];
    for (name, request, status) in table {
        let mut raw = raw(&server);
        // Nothing behind it is ever a request.
        raw.send(request.to_owned() + "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n");
        let answer = raw.answer();
        assert_eq!((answer.status(), answer.get("connection")), (status, Some("close")), "{name}");
        assert!(raw.is_closed(), "{name}");
    }
}

#[test]
fn a_body_that_breaks_the_rules() {
    let server = bind().spawn(upper).unwrap();
    for body in ["x\r\n", "1\r\nabc", "1 \r\na\r\n0\r\n\r\n", "ffffffffffffffffff\r\n"] {
        let mut raw = raw(&server);
        raw.send("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned() + body);
        assert_eq!(raw.answer().status(), 400, "{body:?}");
        assert!(raw.is_closed());
    }
}

#[test]
fn dripping_a_head_ends_with_408() {
    let timeouts = ServerTimeouts::default().header(Duration::from_millis(200));
    let server = bind().timeouts(timeouts).spawn(upper).unwrap();
    let mut slow = raw(&server);
    let began = Instant::now();
    for byte in
        b"GET / HTTP/1.1\r\nHost: x\r\nA: bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb".iter().cycle()
    {
        if !slow.is_silent(Duration::from_millis(20)) || !slow.try_send([*byte]) {
            break;
        }
    }
    assert!(began.elapsed() < Duration::from_secs(5));
    assert_eq!(slow.answer().status(), 408);
    // Also of the second request, and another client was served meanwhile.
    let mut kept = raw(&server);
    assert_eq!(kept.send(post(0)).answer().status(), 200);
    kept.send("GET");
    assert_eq!(kept.answer().status(), 408);
    assert!(kept.is_closed());
}

#[test]
fn what_may_be_the_beginning_of_either_version() {
    let limit = Duration::from_millis(200);
    let server = bind().timeouts(ServerTimeouts::default().header(limit)).spawn(upper).unwrap();
    let preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    for n in [1, 3, 4, "PRI * HTTP/".len()] {
        let mut slow = raw(&server);
        let began = Instant::now();
        let answer = slow.send(&preface[..n]).answer();
        assert!(began.elapsed() >= limit);
        assert_eq!((answer.status(), answer.get("connection")), (408, Some("close")), "{n} bytes");
        assert!(answer.get("date").is_some() && slow.is_closed());
        let answer = raw(&server).send(&preface[..n]).finish().answer();
        assert_eq!(answer.status(), 400, "{n} bytes, and nothing more");
    }
    // From here on it is HTTP/2, whose answer is SETTINGS and GOAWAY.
    let said = |raw: &mut Raw| -> Vec<u8> {
        let mut bytes = raw.rest();
        std::iter::from_fn(|| Frame::parse(&mut bytes)).map(|frame| frame.kind).collect()
    };
    for n in ["PRI * HTTP/2".len(), preface.len() - 1] {
        let began = Instant::now();
        let kinds = said(raw(&server).send(&preface[..n]));
        assert!(began.elapsed() >= limit);
        assert_eq!((kinds.first(), kinds.last()), (Some(&SETTINGS), Some(&GOAWAY)), "{n} bytes");
    }
    // A server of one version says it in that.
    let timeouts = ServerTimeouts::default().header(limit);
    let new = bind().only(Version::HTTP_2).timeouts(timeouts.clone()).spawn(upper).unwrap();
    assert_eq!(said(raw(&new).send("P")).last(), Some(&GOAWAY));
    let old = bind().only(Version::HTTP_11).timeouts(timeouts).spawn(upper).unwrap();
    assert_eq!(raw(&old).send(&preface[..preface.len() - 1]).rest_of_head()[..9], *b"HTTP/1.1 ");
}

#[test]
fn idle_connections_are_closed_without_a_word() {
    let timeouts = ServerTimeouts::default().idle(Duration::from_millis(100));
    let server = bind().timeouts(timeouts).spawn(upper).unwrap();
    assert!(raw(&server).is_closed(), "nothing was ever said");
    let mut once = raw(&server);
    assert_eq!(once.send(post(0)).answer().status(), 200);
    assert!(once.is_closed(), "after a request");
}

#[test]
fn a_handler_is_not_idle() {
    let timeouts = ServerTimeouts::default().idle(Duration::from_millis(50)).header(Duration::from_millis(50));
    let timeouts = timeouts.read(Duration::from_millis(50)).write(Duration::from_millis(50));
    let (go, may) = mpsc::channel::<()>();
    let may = std::sync::Mutex::new(may);
    let server = bind().timeouts(timeouts).spawn(move |exchange: Exchange| {
        let _ = may.lock().unwrap().recv();
        exchange.reply(200, "slowly")
    });
    let server = server.unwrap();
    let mut raw = raw(&server);
    raw.send(post(0));
    assert!(raw.is_silent(Duration::from_millis(300)));
    go.send(()).unwrap();
    assert_eq!(raw.answer().text(), "slowly");
}

#[test]
fn a_body_that_does_not_come() {
    let server = bind().timeouts(ServerTimeouts::default().read(Duration::from_millis(100))).spawn(upper).unwrap();
    let mut raw = raw(&server);
    raw.send(post(3) + "a");
    assert_eq!(raw.answer().status(), 408);
    assert!(raw.is_closed());
}

#[test]
fn bodies_at_the_limit_and_above() {
    let server = bind().max_body(10).spawn(upper).unwrap();
    for (len, status) in [(9, 200), (10, 200), (11, 413)] {
        let mut sized = raw(&server);
        let body = "a".repeat(len);
        assert_eq!(sized.send(post(len) + &body).answer().status(), status, "{len} bytes");
        let mut chunked = raw(&server);
        chunked.send("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
        chunked.send(format!("{len:x}\r\n{body}\r\n0\r\n\r\n"));
        assert_eq!(chunked.answer().status(), status, "{len} bytes in chunks");
    }
    // Refused before it is sent.
    let mut raw = raw(&server);
    raw.send("POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 11\r\n\r\n");
    assert_eq!(raw.answer().status(), 413);
}

#[test]
fn the_answer_arrives_although_the_client_still_talks() {
    let server = bind().max_body(10).spawn(upper).unwrap();
    for _ in 0..20 {
        let mut raw = raw(&server);
        raw.send(post(100_000_000));
        // More than any socket buffer: it blocks until the server reads it or the connection is over.
        let body = vec![b'a'; 1 << 20];
        for _ in 0..10 {
            if !raw.try_send(&body) {
                break;
            }
        }
        assert_eq!(raw.answer().status(), 413);
    }
}

#[test]
fn more_connections_than_allowed_wait() {
    let server = bind().max_connections(2).spawn(upper).unwrap();
    let mut first = raw(&server);
    let mut second = raw(&server);
    assert_eq!(first.send(post(0)).answer().status(), 200);
    assert_eq!(second.send(post(0)).answer().status(), 200);
    let mut third = raw(&server);
    third.send(post(0));
    assert!(third.is_silent(Duration::from_millis(100)));
    drop(first);
    assert_eq!(third.answer().status(), 200);
}

#[test]
fn more_connections_of_one_client_than_allowed_are_closed() {
    let server = bind().max_per_peer(1).spawn(upper).unwrap();
    let mut first = raw(&server);
    assert_eq!(first.send(post(0)).answer().status(), 200);
    assert!(raw(&server).is_closed());
    drop(first);
    // Its place is free once the server has seen the end.
    let began = Instant::now();
    loop {
        let mut again = raw(&server);
        if again.try_send(post(0)) && String::from_utf8(again.rest_of_head()).unwrap().starts_with("HTTP/1.1 200") {
            break;
        }
        assert!(began.elapsed() < crate::raw::LONG);
    }
}

#[test]
fn a_full_queue_is_a_503() {
    let (meet, there) = (Arc::new(Barrier::new(2)), Arc::new(Barrier::new(2)));
    let (m, t) = (meet.clone(), there.clone());
    let server = bind().workers(1).queue(1).spawn(move |exchange: Exchange| {
        if exchange.path() == "/block" {
            m.wait();
            t.wait();
        }
        exchange.reply(200, "done")
    });
    let server = server.unwrap();
    let mut blocks = raw(&server);
    blocks.send("GET /block HTTP/1.1\r\nHost: x\r\n\r\n");
    meet.wait();
    // One waits, one is too many; which is which is for the server to say.
    let mut others = [raw(&server), raw(&server)];
    others[0].send(post(0));
    let began = Instant::now();
    while others[0].is_silent(Duration::from_millis(50)) && began.elapsed() < Duration::from_millis(100) {}
    let refused = others[1].send(post(0)).answer();
    assert_eq!((refused.status(), refused.get("connection")), (503, Some("close")));
    there.wait();
    assert_eq!(blocks.answer().text(), "done");
    assert_eq!(others[0].answer().text(), "done");
}

#[test]
fn stalled_clients_keep_workers_from_nobody() {
    let server = bind().workers(2).spawn(|mut exchange: Exchange| {
        if exchange.path() == "/large" {
            return exchange.reply(200, vec![7; 64 << 20]);
        }
        let text = std::io::read_to_string(exchange.body())?;
        exchange.reply(200, text.to_uppercase())
    });
    let server = server.unwrap();
    let mut stalled: Vec<Raw> = (0..8).map(|_| raw(&server)).collect();
    for (n, raw) in stalled.iter_mut().enumerate() {
        // Half do not read what they get, half do not send what they promised.
        raw.send(if n % 2 == 0 { "GET /large HTTP/1.1\r\nHost: x\r\n\r\n".to_owned() } else { post(10) + "a" });
    }
    for _ in 0..10 {
        let answer = raw(&server).send(post(1) + "a").answer();
        assert_eq!((answer.status(), answer.text()), (200, "A"));
    }
}

#[test]
fn the_write_stall_ends_a_client_that_takes_nothing() {
    let timeouts = ServerTimeouts::default().write(Duration::from_millis(300));
    let (told, errors) = mpsc::channel();
    let server = bind().timeouts(timeouts).spawn(move |exchange: Exchange| {
        if exchange.path() == "/reply" {
            return exchange.reply(200, vec![7; 64 << 20]);
        }
        let (_, mut writer) = exchange.respond_streaming(bowline::http::Response::new(()))?;
        let done = (0..64).try_for_each(|_| writer.write_all(&[7; 1 << 20])).map_err(bowline::Error::from);
        told.send(done.as_ref().err().map(bowline::Error::kind)).unwrap();
        done
    });
    let server = server.unwrap();
    for path in ["/reply", "/stream"] {
        let mut raw = raw(&server);
        raw.send(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n"));
        if path == "/stream" {
            assert_eq!(errors.recv_timeout(crate::raw::LONG).unwrap(), Some(bowline::ErrorKind::TimedOut));
        } else {
            // The first bytes are there, so the connection is in the table; when it no longer is, it is over.
            raw.take(1);
            let began = Instant::now();
            while !server.connections().is_empty() {
                assert!(began.elapsed() < crate::raw::LONG);
                std::thread::yield_now();
            }
        }
        assert!(raw.rest().len() < 64 << 20, "{path}");
    }
}

#[test]
fn slow_clients_get_everything_without_a_thread() {
    // They are read one after the other, which may take long.
    let patient = Duration::from_secs(600);
    let timeouts = ServerTimeouts::default().read(patient).write(patient);
    let server = bind().timeouts(timeouts).min_rate(0).workers(1).max_body(1 << 30).spawn(|mut exchange: Exchange| {
        if exchange.path() == "/large" {
            return exchange.reply(200, vec![7; 8 << 20]);
        }
        let body = exchange.take_body();
        exchange.reply(200, body)
    });
    let server = server.unwrap();
    let mut slow: Vec<Raw> = (0..40).map(|_| raw(&server)).collect();
    for (n, raw) in slow.iter_mut().enumerate() {
        raw.send(if n % 2 == 0 { "GET /large HTTP/1.1\r\nHost: x\r\n\r\n".to_owned() } else { post(10) + "01234" });
    }
    for _ in 0..10 {
        assert_eq!(raw(&server).send(post(1) + "a").answer().text(), "a");
    }
    for (n, raw) in slow.iter_mut().enumerate() {
        if n % 2 == 0 {
            assert_eq!(raw.answer().body.len(), 8 << 20);
        } else {
            assert_eq!(raw.send("56789").answer().text(), "0123456789");
        }
        assert_eq!(raw.send(post(1) + "b").answer().text(), "b");
    }
}

/// A drop of a head now and then, until the server has had enough.
fn drips(server: &ServerHandle, begin: &[u8], more: &[u8], limit: Duration) -> Vec<u8> {
    let mut raw = raw(server);
    raw.send(begin);
    let began = Instant::now();
    // What the server says at the beginning is no end.
    let said = if begin.starts_with(b"PRI") { raw.take(9) } else { Vec::new() };
    while began.elapsed() < crate::raw::LONG {
        if !raw.try_send(more) {
            break;
        }
        if let Some(rest) = raw.rest_within(Duration::from_millis(20)) {
            assert!(began.elapsed() >= limit, "never early: {:?}", began.elapsed());
            return [said, rest].concat();
        }
    }
    assert!(began.elapsed() >= limit && began.elapsed() < crate::raw::LONG, "{:?}", began.elapsed());
    Vec::new()
}

#[test]
fn the_head_of_an_http2_request_has_its_time_too() {
    const HEAD: Duration = Duration::from_millis(300);
    let timeouts = ServerTimeouts::default().header(HEAD);
    let server = bind().timeouts(timeouts).spawn(upper).unwrap();
    let mut begin = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    // SETTINGS, its acknowledgement, a request whose body does not come, and another whose head does not end.
    begin.extend(b"\0\0\0\x04\0\0\0\0\0\0\0\0\x04\x01\0\0\0\0");
    begin.extend(b"\0\0\x06\x01\x04\0\0\0\x01\x83\x86\x84\x41\x01x");
    begin.extend(b"\0\0\0\x01\0\0\0\0\x03");
    // Nothing more, a CONTINUATION in part, and in single bytes.
    for (rest, more) in [(&b""[..], &b""[..]), (b"\0\0\x80\x09\0\0\0\0\x03", b""), (b"\0\0\x80\x09\0\0\0\0\x03", b"a")]
    {
        let said = drips(&server, &[&begin, rest].concat(), more, HEAD);
        let goaway = said.windows(9).any(|header| header[..4] == [0, 0, header[2], 7] && header[5..] == [0; 4]);
        assert!(goaway || !more.is_empty(), "{}", said.escape_ascii());
    }
}

/// A client that sends requests and reads no answers is not read any further; once it reads, it gets all of them.
#[test]
fn who_reads_no_answers_is_asked_for_no_more_requests() {
    const LEN: usize = 32 * 1024;
    const REQUESTS: usize = 4000;
    let served = Arc::new(AtomicUsize::new(0));
    let count = served.clone();
    let server = Server::bind("127.0.0.1:0").unwrap();
    let server = server.spawn(move |exchange: Exchange| {
        count.fetch_add(1, Ordering::SeqCst);
        exchange.reply(200, vec![b'x'; LEN])
    });
    let server = server.unwrap();
    let mut socket = TcpStream::connect(server.local_addr()).unwrap();
    socket.write_all(&b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".repeat(REQUESTS - 1)).unwrap();
    socket.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    // As many as the sockets hold the answers of, which is 10 MiB at the most: then nothing moves.
    let mut before = usize::MAX;
    while before != served.load(Ordering::SeqCst) {
        before = served.load(Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(200));
    }
    assert!(before < REQUESTS / 2, "{before} answers of {LEN} bytes");
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let read = std::io::copy(&mut socket, &mut std::io::sink()).unwrap();
    assert!(read as usize > REQUESTS * LEN, "{read} bytes");
    assert_eq!(served.load(Ordering::SeqCst), REQUESTS);
}
