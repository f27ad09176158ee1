//! More clients than there are places.

use crate::{
    h2::h2peer::*,
    raw::{LONG, Raw},
};
use bowline::{Exchange, Result, Server, ServerHandle, ServerTimeouts};
use std::{
    net::TcpStream,
    sync::{Arc, Condvar, Mutex},
    time::{Duration, Instant},
};

/// How long a connection has to be idle before it makes room.
const RESTS: Duration = Duration::from_secs(1);

/// The same before its first request.
const RESTS_BRIEFLY: Duration = Duration::from_millis(100);

const GET: &str = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";

fn ok(exchange: Exchange) -> Result<()> {
    exchange.reply(200, "ok")
}

/// Reads to the end of an answer.
fn answered(link: &mut Link) {
    loop {
        let frame = link.next();
        if frame.stream == 1 && frame.ends() {
            return;
        }
    }
}

fn crowded(places: usize) -> Server {
    // Nothing else is to end a connection meanwhile.
    let timeouts = ServerTimeouts::default().idle(6 * LONG).header(6 * LONG).handshake(6 * LONG);
    Server::bind("127.0.0.1:0").unwrap().max_connections(places).timeouts(timeouts)
}

fn raw(server: &ServerHandle) -> Raw {
    Raw::connect(server.local_addr())
}

#[test]
fn who_is_idle_for_longest_makes_room() {
    let server = crowded(2).spawn(ok).unwrap();
    let began = Instant::now();
    let mut silent = raw(&server);
    let mut once = raw(&server);
    assert_eq!(once.send(GET).answer().text(), "ok");
    let mut third = raw(&server);
    assert_eq!(third.send(GET).answer().text(), "ok");
    assert!(began.elapsed() >= RESTS_BRIEFLY, "never early: {:?}", began.elapsed());
    // Idle is it from when the server says so.
    while server.stats().active > 0 {
        std::thread::yield_now();
    }
    assert!(silent.is_closed());
    assert_eq!(server.stats().evicted, 1);
    // The other one still has its place. Both that are left have asked for something, and rest for longer.
    assert_eq!(once.send(GET).answer().text(), "ok");
    let asked = Instant::now();
    assert_eq!(raw(&server).send(GET).answer().text(), "ok");
    assert!(began.elapsed() >= RESTS && asked.elapsed() < RESTS + LONG, "never early: {:?}", began.elapsed());
    assert!(third.is_closed());
    assert_eq!(server.stats().evicted, 2);
}

#[test]
fn whatever_is_not_asked_for_to_its_end_is_idle() {
    for begin in ["", "GET", "GET / HTTP/1.1\r\nHost: x\r\nA: ", "PRI * HTTP/2.0\r\n"] {
        let server = crowded(1).spawn(ok).unwrap();
        let mut slow = raw(&server);
        slow.send(begin);
        assert_eq!(raw(&server).send(GET).answer().text(), "ok", "{begin:?}");
        assert!(slow.is_closed(), "{begin:?}");
    }
}

#[test]
fn an_idle_connection_of_http2_is_told() {
    let server = crowded(1).spawn(ok).unwrap();
    let mut link = Link::new(TcpStream::connect(server.local_addr()).unwrap());
    link.send_bytes(PREFACE);
    let fields = [(":method", "GET"), (":scheme", "http"), (":authority", "x"), (":path", "/")];
    link.send(&[Frame::settings(&[]), Frame::headers(1, END_STREAM, &fields)]);
    answered(&mut link);
    assert_eq!(raw(&server).send(GET).answer().text(), "ok");
    let goaway = std::iter::from_fn(|| link.next_or_end()).find(|frame| frame.kind == GOAWAY).expect("a GOAWAY");
    // The last stream that was served, and NO_ERROR.
    assert_eq!(goaway.payload[..8], [0, 0, 0, 1, 0, 0, 0, 0]);
}

#[test]
fn who_is_busy_keeps_its_place() {
    let gate = Arc::new((Mutex::new(false), Condvar::new()));
    let (opens, waits) = (gate.clone(), gate);
    let server = crowded(3).spawn(move |mut exchange: Exchange| -> Result<()> {
        if exchange.path() == "/read" {
            std::io::copy(exchange.body(), &mut std::io::sink())?;
        }
        let (open, changed) = &*waits;
        drop(changed.wait_while(open.lock().unwrap(), |open| !*open).unwrap());
        exchange.reply(200, "ok")
    });
    let server = server.unwrap();
    let mut waiting = raw(&server);
    waiting.send(GET);
    let mut sending = raw(&server);
    sending.send("POST /read HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\na");
    let mut link = Link::new(TcpStream::connect(server.local_addr()).unwrap());
    link.send_bytes(PREFACE);
    let fields = [(":method", "GET"), (":scheme", "http"), (":authority", "x"), (":path", "/")];
    link.send(&[Frame::settings(&[]), Frame::headers(1, END_STREAM, &fields)]);
    while server.stats().active < 3 {
        std::thread::yield_now();
    }
    let mut fourth = raw(&server);
    fourth.send(GET);
    assert!(fourth.is_silent(RESTS + RESTS / 2));
    assert_eq!(server.stats().evicted, 0);
    *opens.0.lock().unwrap() = true;
    opens.1.notify_all();
    assert_eq!(waiting.answer().text(), "ok");
    assert_eq!(sending.send("b").answer().text(), "ok");
    answered(&mut link);
    // Now they are idle, for long enough at some time.
    assert_eq!(fourth.answer().text(), "ok");
    assert_eq!(server.stats().evicted, 1);
}

#[test]
fn nobody_makes_room_for_one_that_has_too_many() {
    let server = crowded(1).max_per_peer(1).spawn(ok).unwrap();
    let mut first = raw(&server);
    assert_eq!(first.send(GET).answer().text(), "ok");
    assert!(raw(&server).is_closed());
    assert_eq!(first.send(GET).answer().text(), "ok");
    let stats = server.stats();
    assert_eq!((stats.turned_away, stats.evicted), (1, 0));
}

#[test]
fn a_crowd_that_says_nothing_keeps_nobody_out() {
    let server = crowded(50).spawn(ok).unwrap();
    let mut crowd: Vec<Raw> = (0..50).map(|_| raw(&server)).collect();
    for _ in 0..20 {
        let mut one = raw(&server);
        assert_eq!(one.send(GET).answer().text(), "ok");
        // It comes again for every place that was taken.
        crowd.push(raw(&server));
    }
}

/// Those that have asked for nothing are more than half of all, and more come than could have 100 ms each.
#[test]
fn a_crowd_that_keeps_coming_keeps_nobody_waiting() {
    const PLACES: usize = 32;
    const ROUNDS: u32 = 100;
    let server = crowded(PLACES).spawn(ok).unwrap();
    let mut crowd = Vec::new();
    let began = Instant::now();
    for _ in 0..ROUNDS {
        // Those that are there go when all these have come.
        crowd = (0..PLACES).map(|_| raw(&server)).collect::<Vec<_>>();
        assert_eq!(raw(&server).send(GET).answer().text(), "ok");
    }
    drop(crowd);
    assert!(began.elapsed() < ROUNDS * RESTS_BRIEFLY / 2, "{:?}", began.elapsed());
}
