//! The settings of a server, each one below, at and one above its bound; times are never early.

use crate::{
    h2::{body_of, connect, get, h2peer::*, serve},
    raw::{LONG, Raw},
};
use bowline::{Cancel, Exchange, Result, Server, ServerTimeouts};
use std::{
    sync::{Mutex, mpsc},
    thread,
    time::{Duration, Instant},
};

fn bind() -> Server {
    Server::bind("127.0.0.1:0").unwrap()
}

fn read_all(mut exchange: Exchange) -> Result<()> {
    let text = std::io::read_to_string(exchange.body())?;
    exchange.reply(200, text)
}

#[test]
fn bytes_of_a_head() {
    let server = bind().max_header_bytes(1000).spawn(read_all).unwrap();
    let (begin, end) = ("GET / HTTP/1.1\r\nHost: x\r\nA: ", "\r\n\r\n");
    for (bytes, status) in [(999, 200), (1000, 200), (1001, 431)] {
        let mut raw = Raw::connect(server.local_addr());
        let filler = "a".repeat(bytes - begin.len() - end.len());
        assert_eq!(raw.send(format!("{begin}{filler}{end}")).answer().status(), status, "{bytes}");
    }
    // The target alone is too much.
    let mut raw = Raw::connect(server.local_addr());
    raw.send(format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "a".repeat(1000)));
    assert_eq!(raw.answer().status(), 414);
}

#[test]
fn bytes_of_a_header_list() {
    let here = serve(|server| server.max_header_bytes(1000));
    let mut link = connect(&here);
    let fields = [(":method", "GET"), (":scheme", "http"), (":authority", "x"), (":path", "/")];
    // Each field counts 32 bytes besides its name and value (RFC 9113, section 6.5.2).
    let counted: usize = fields.iter().map(|(name, value)| name.len() + value.len() + 32).sum();
    for (n, (bytes, taken)) in (0..).zip([(999, true), (1000, true), (1001, false)]) {
        let filler = "a".repeat(bytes - counted - 33);
        let all = [&fields[..], &[("a", &filler)]].concat();
        let stream = 2 * n + 1;
        link.send(&[Frame::headers(stream, END_STREAM, &all)]);
        if taken {
            assert_eq!(body_of(&mut link, stream), b"ok", "{bytes}");
        } else {
            // A head alone, which no handler gave: 431 (RFC 6585, section 5).
            let refused = link.skip_to(HEADERS);
            assert!(refused.stream == stream && refused.ends(), "{refused:?}");
        }
    }
}

#[test]
fn streams_at_once() {
    let here = serve(|server| server.max_streams(2));
    let mut link = connect(&here);
    link.send(&[get(1, "/wait"), get(3, "/wait")]);
    here.gate.await_arrivals(2);
    link.send(&[get(5, "/")]);
    let refused = link.skip_to(RST_STREAM);
    assert_eq!((refused.stream, refused.code()), (5, REFUSED_STREAM));
    here.gate.open();
    let mut ended = 0;
    while ended < 2 {
        let frame = link.next();
        ended += u32::from(frame.stream > 0 && frame.ends());
    }
    // There is room again.
    link.send(&[get(7, "/")]);
    assert_eq!(body_of(&mut link, 7), b"ok");
}

/// Of four, one peer has two, and one more for each of its connections.
#[test]
fn streams_of_all_connections_at_once() {
    let here = serve(|server| server.max_total_streams(4));
    let mut links = [(); 2].map(|()| connect(&here));
    links[0].send(&[get(1, "/wait"), get(3, "/wait"), get(5, "/wait"), get(7, "/")]);
    let refused = links[0].skip_to(RST_STREAM);
    assert_eq!((refused.stream, refused.code()), (7, REFUSED_STREAM));
    links[1].send(&[get(1, "/wait"), get(3, "/")]);
    let refused = links[1].skip_to(RST_STREAM);
    assert_eq!((refused.stream, refused.code()), (3, REFUSED_STREAM));
    here.gate.await_arrivals(4);
    // HTTP/1 has no streams.
    let mut raw = Raw::connect(here.server.local_addr());
    assert_eq!(raw.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n").answer().text(), "ok");
    here.gate.open();
    for (link, streams) in links.iter_mut().zip([3, 1]) {
        let mut ended = 0;
        while ended < streams {
            let frame = link.next();
            assert_ne!(frame.kind, RST_STREAM, "{frame:?}");
            ended += u32::from(frame.stream > 0 && frame.ends());
        }
    }
    // There is room again, also for what a connection that was closed had.
    drop(links);
    let mut link = connect(&here);
    link.send(&[get(1, "/large"), get(3, "/large"), get(5, "/large")]);
    drop(link);
    let began = Instant::now();
    loop {
        let mut link = connect(&here);
        link.send(&[get(1, "/"), get(3, "/"), get(5, "/")]);
        let mut ended = 0;
        while ended < 3 {
            let frame = link.next();
            if frame.kind == RST_STREAM {
                break;
            }
            ended += u32::from(frame.stream > 0 && frame.ends());
        }
        if ended == 3 {
            break;
        }
        assert!(began.elapsed() < LONG, "what the others had is not given back");
    }
}

#[test]
fn handlers_at_once() {
    let (began, begins) = mpsc::channel();
    let (end, ends) = mpsc::channel::<()>();
    let ends = Mutex::new(ends);
    let server = bind().workers(2).spawn(move |exchange: Exchange| -> Result<()> {
        began.send(()).unwrap();
        let _ = ends.lock().unwrap().recv();
        exchange.reply(200, "done")
    });
    let server = server.unwrap();
    let mut raws: Vec<_> = (0..3).map(|_| Raw::connect(server.local_addr())).collect();
    for raw in &mut raws {
        raw.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    }
    for _ in 0..2 {
        begins.recv_timeout(LONG).unwrap();
    }
    while server.stats().queued < 1 {
        thread::yield_now();
    }
    assert_eq!(begins.try_recv(), Err(mpsc::TryRecvError::Empty), "the third is in line");
    end.send(()).unwrap();
    begins.recv_timeout(LONG).unwrap();
    drop(end);
    for raw in &mut raws {
        assert_eq!(raw.answer().text(), "done");
    }
}

/// What a client says, which limit ends that, and with which status, or without a word.
#[test]
fn times_are_never_early() {
    const LIMIT: Duration = Duration::from_millis(300);
    type Set = fn(ServerTimeouts, Duration) -> ServerTimeouts;
    #[rustfmt::skip]
    let table: [(&str, Set, &str, &[u16]); 5] = [
        ("idle, from the beginning", ServerTimeouts::idle, "", &[]),
        ("idle, after a request", ServerTimeouts::idle, "GET / HTTP/1.1\r\nHost: x\r\n\r\n", &[200]),
        ("header, of the first request", ServerTimeouts::header, "GET / HTTP/1.1\r\n", &[408]),
        ("header, of the second request", ServerTimeouts::header, "GET / HTTP/1.1\r\nHost: x\r\n\r\nGET", &[200, 408]),
        ("read", ServerTimeouts::read, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\na", &[408]),
    ];
    for (name, set, bytes, expected) in table {
        let server = bind().timeouts(set(ServerTimeouts::default(), LIMIT)).spawn(read_all).unwrap();
        let began = Instant::now();
        let mut raw = Raw::connect(server.local_addr());
        let answers = String::from_utf8(raw.send(bytes).rest()).unwrap();
        let took = began.elapsed();
        assert!(took >= LIMIT && took < LONG / 2, "{name}: {took:?}");
        let statuses: Vec<u16> =
            answers.split("HTTP/1.1 ").skip(1).map(|answer| answer[..3].parse().unwrap()).collect();
        assert_eq!(statuses, expected, "{name}");
    }
}

#[test]
fn the_grace_of_a_server_that_is_cancelled() {
    for (grace, answered) in [(Duration::from_millis(200), false), (LONG, true)] {
        let cancel = Cancel::new();
        let server = bind().cancel_on(&cancel).grace(grace);
        let address = server.local_addr().unwrap();
        let (began, begins) = mpsc::channel();
        let (end, ends) = mpsc::channel::<()>();
        let ends = Mutex::new(ends);
        let serving = thread::spawn(move || {
            server.serve(move |exchange: Exchange| -> Result<()> {
                began.send(()).unwrap();
                let _ = ends.lock().unwrap().recv();
                exchange.reply(200, "done")
            })
        });
        let mut raw = Raw::connect(address);
        raw.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        begins.recv_timeout(LONG).unwrap();
        let at = Instant::now();
        cancel.cancel();
        if answered {
            drop(end);
            assert_eq!(raw.answer().text(), "done");
            serving.join().unwrap().unwrap();
            assert!(at.elapsed() < grace, "it waits no longer than it has to");
        } else {
            assert!(raw.is_closed(), "it is cut");
            assert!(at.elapsed() >= grace, "never early: {:?}", at.elapsed());
            drop(end);
            serving.join().unwrap().unwrap();
        }
    }
}
