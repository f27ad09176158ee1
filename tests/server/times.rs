//! The time limits of a server, below and above, and what a client sees of them; never early.

use crate::{
    h2::{body_of, connect, connect_with, get, h2peer::*, request, serve},
    raw::{LONG, Raw},
};
use bowline::{Exchange, Result, Server, ServerTimeouts};
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_millis(400);

fn bind(set: impl FnOnce(ServerTimeouts, Duration) -> ServerTimeouts) -> Server {
    Server::bind("127.0.0.1:0").unwrap().timeouts(set(ServerTimeouts::default(), LIMIT))
}

fn read_all(mut exchange: Exchange) -> Result<()> {
    let n = std::io::copy(exchange.body(), &mut std::io::sink())?;
    exchange.reply(200, n.to_string())
}

/// The first bytes of a ClientHello of 512.
#[cfg(feature = "tls")]
const HELLO: &[u8] = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";

#[cfg(feature = "tls")]
#[test]
fn the_handshake_has_its_time() {
    let identity = crate::certs::Authority::new("server test").issue(&["127.0.0.1"]);
    let server = bind(ServerTimeouts::handshake);
    let server = server.tls_pem(identity.chain.as_bytes(), identity.key.as_bytes()).spawn(read_all).unwrap();
    for begin in [&b""[..], HELLO] {
        // Below: somebody is still there, who says what is wrong with the rest.
        let mut raw = Raw::connect(server.local_addr());
        raw.send(begin);
        assert!(raw.is_silent(LIMIT / 2), "it is early");
        assert!(raw.try_send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".repeat(20)));
        assert_eq!(raw.rest().first(), Some(&21), "an alert");
        // Above: without a word, also for one who says something all the time.
        let mut raw = Raw::connect(server.local_addr());
        let began = Instant::now();
        raw.send(begin);
        if begin.is_empty() {
            assert!(raw.is_closed());
        } else {
            while raw.rest_within(LIMIT / 20).is_none() && raw.try_send(b"a") {
                assert!(began.elapsed() < LONG);
            }
        }
        assert!(began.elapsed() >= LIMIT, "never early: {:?}", began.elapsed());
    }
}

/// Answers that nobody takes.
#[test]
fn a_client_takes_something_in_time() {
    // Four times as long as its pauses: a machine that is busy makes no client slow.
    let limit = 4 * LIMIT;
    let server = bind(|timeouts, _| timeouts.write(limit))
        .min_rate(0)
        .spawn(|exchange: Exchange| -> Result<()> { exchange.reply(200, vec![7; 64 << 20]) });
    let server = server.unwrap();
    // Below the limit each time, and for longer than that in all: it gets everything.
    let mut raw = Raw::connect(server.local_addr());
    raw.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    raw.head();
    for _ in 0..5 {
        raw.take(8 << 20);
        std::thread::park_timeout(LIMIT);
    }
    assert_eq!(raw.take(24 << 20).len(), 24 << 20);
    // Above.
    let mut raw = Raw::connect(server.local_addr());
    let began = Instant::now();
    raw.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    raw.head();
    while server.stats().given_up == 0 {
        assert!(began.elapsed() < LONG);
        std::thread::yield_now();
    }
    assert!(began.elapsed() >= limit, "never early: {:?}", began.elapsed());
    assert!(raw.rest().len() < 64 << 20);
}

#[test]
fn a_window_opens_in_time() {
    let here = serve(|server| server.timeouts(ServerTimeouts::default().write(LIMIT)).min_rate(0));
    let mut link = connect_with(&here, &[(INITIAL_WINDOW_SIZE, 0)]);
    // Below the limit each time.
    link.send(&[get(1, "/")]);
    assert!(link.expect(HEADERS).stream == 1);
    for half in 0..2 {
        link.assert_quiet(LIMIT / 2);
        link.send(&[Frame::window_update(1, 1)]);
        assert_eq!(link.expect(DATA).payload, b"ok"[half..half + 1]);
    }
    // Above: the stream alone ends.
    let began = Instant::now();
    link.send(&[get(3, "/")]);
    let reset = link.skip_to(RST_STREAM);
    assert_eq!((reset.stream, reset.code()), (3, INTERNAL_ERROR));
    assert!(began.elapsed() >= LIMIT, "never early: {:?}", began.elapsed());
    link.send(&[get(5, "/"), Frame::window_update(5, 2)]);
    assert_eq!(body_of(&mut link, 5), b"ok");
}

/// A connection of HTTP/2 that is not used, and a head that does not end.
#[test]
fn what_http2_says_of_time() {
    for (name, set, frames, code) in [
        ("idle, from the beginning", ServerTimeouts::idle as fn(_, _) -> _, vec![], NO_ERROR),
        ("idle, after a request", ServerTimeouts::idle, vec![get(1, "/")], NO_ERROR),
        ("a head", ServerTimeouts::header, vec![Frame::new(HEADERS, 0, 1, [0x82])], NO_ERROR),
    ] {
        let here = serve(|server| server.timeouts(set(ServerTimeouts::default(), LIMIT)));
        let connected = Instant::now();
        let mut link = connect(&here);
        let began = if frames.is_empty() { connected } else { Instant::now() };
        link.send(&frames);
        let goaway = link.skip_to(GOAWAY);
        assert_eq!(goaway.number(4), code, "{name}");
        assert!(began.elapsed() >= LIMIT, "{name}: never early: {:?}", began.elapsed());
        while link.next_or_end().is_some() {}
    }
}

/// How long a body may be slower than it has to.
const GRACE: Duration = Duration::from_secs(5);

/// What a client sends every 100 ms of a body that has to come with 2000 bytes a second.
fn upload(server: &bowline::ServerHandle, piece: &[u8], for_long: Duration) -> (Raw, Duration) {
    let mut raw = Raw::connect(server.local_addr());
    raw.send("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
    let began = Instant::now();
    let chunk = [format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat();
    let mut sent = 0;
    while began.elapsed() < for_long && raw.is_silent(Duration::from_millis(100)) {
        // As many as are due by now: a machine that is busy makes no client slow.
        while sent < began.elapsed().as_millis() / 100 && raw.try_send(&chunk) {
            sent += 1;
        }
    }
    (raw, began.elapsed())
}

#[test]
fn a_body_keeps_its_pace() {
    let server = Server::bind("127.0.0.1:0").unwrap().min_rate(2000).spawn(read_all).unwrap();
    std::thread::scope(|scope| {
        // Above, for longer than a slow one may.
        scope.spawn(|| {
            let (mut raw, took) = upload(&server, &[7; 400], GRACE + Duration::from_secs(2));
            assert!(took >= GRACE);
            assert_eq!(raw.send("0\r\n\r\n").answer().status(), 200);
        });
        // Below.
        scope.spawn(|| {
            let (mut raw, took) = upload(&server, &[7; 100], LONG);
            assert!(took >= GRACE && took < LONG, "never early: {took:?}");
            assert_eq!(raw.answer().status(), 408);
        });
        // Below, but short enough to be over before that counts.
        scope.spawn(|| {
            let (mut raw, _) = upload(&server, b"a", GRACE / 2);
            assert_eq!(raw.send("0\r\n\r\n").answer().status(), 200);
        });
        // Over HTTP/2 likewise, on one stream and no other.
        scope.spawn(|| {
            let here = serve(|server| server.min_rate(2000));
            let mut link = connect(&here);
            link.send(&[request(1, 0, "POST", "/read")]);
            let began = Instant::now();
            let answer = loop {
                match link.within(Duration::from_millis(100)) {
                    Some(frame) if frame.kind == HEADERS => break frame,
                    _ => link.send(&[Frame::data(1, b"a")]),
                }
                assert!(began.elapsed() < LONG);
            };
            assert!(answer.stream == 1 && began.elapsed() >= GRACE, "never early: {:?}", began.elapsed());
            link.send(&[get(3, "/")]);
            assert_eq!(body_of(&mut link, 3), b"ok");
        });
    });
}
