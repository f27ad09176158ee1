//! What a server says about itself: a record for every exchange that is over, and counters.

use crate::{
    h2::{Here, connect, get, h2peer::*, serve},
    raw::{LONG, Raw},
};
use bowline::{
    Client, ErrorKind, Exchange, ExchangeEnd, ExchangeInfo, Protocol, Result, Server, ServerTimeouts, http, net::pair,
};
use http::{Response, Version};
use std::{
    io::Write,
    sync::mpsc::{self, Receiver},
    time::{Duration, Instant},
};

fn recorded() -> (impl FnOnce(Server) -> Server, Receiver<ExchangeInfo>) {
    let (sender, records) = mpsc::channel();
    (move |server: Server| server.on_exchange(move |info| sender.send(info.clone()).unwrap()), records)
}

fn next(records: &Receiver<ExchangeInfo>) -> ExchangeInfo {
    records.recv_timeout(LONG).expect("a record")
}

#[test]
fn every_exchange_is_recorded_once() {
    let (record, records) = recorded();
    let server = record(Server::bind("127.0.0.1:0").unwrap()).spawn(|mut exchange: Exchange| match exchange.path() {
        "/echo" => {
            let body = exchange.take_body();
            exchange.reply(201, body)
        }
        "/stream" => {
            let (_, mut writer) = exchange.respond_streaming(Response::new(()))?;
            writer.write_all(b"some")?;
            Err(bowline::Error::other("on purpose"))
        }
        "/panic" => panic!("on purpose"),
        _ => exchange.reply(200, "hello"),
    });
    let server = server.unwrap();
    let mut raw = Raw::connect(server.local_addr());
    raw.send("POST /echo?a=b HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc").answer();
    let echo = next(&records);
    assert_eq!((echo.method.as_str(), echo.target.to_string()), ("POST", "/echo?a=b".to_owned()));
    assert_eq!((echo.version, echo.status.unwrap().as_u16()), (Version::HTTP_11, 201));
    assert_eq!((echo.bytes_in, echo.bytes_out, echo.end), (3, 3, ExchangeEnd::Complete));
    assert_eq!(echo.peer.unwrap().ip(), server.local_addr().ip());
    assert_eq!(echo.connection, server.connections()[0].id);
    assert!(echo.took < LONG && echo.missed == 0);
    let table = [
        ("GET / HTTP/1.1\r\nHost: x\r\n\r\n", 200, 5, ExchangeEnd::Complete),
        ("HEAD / HTTP/1.1\r\nHost: x\r\n\r\n", 200, 0, ExchangeEnd::Complete),
        ("GET /panic HTTP/1.1\r\nHost: x\r\n\r\n", 500, 0, ExchangeEnd::Complete),
        ("GET /stream HTTP/1.1\r\nHost: x\r\n\r\n", 200, 4, ExchangeEnd::GivenUp),
    ];
    for (request, status, bytes, end) in table {
        raw.send(request).head();
        let info = next(&records);
        assert_eq!((info.status.unwrap().as_u16(), info.bytes_out, info.end), (status, bytes, end), "{request}");
        if status == 200 && end == ExchangeEnd::Complete {
            raw.take(bytes as usize);
        }
    }
    // The answer to a panic goes out before the panic has come to its end.
    let began = Instant::now();
    while server.stats().panics == 0 {
        assert!(began.elapsed() < LONG);
        std::thread::yield_now();
    }
    let stats = server.stats();
    assert_eq!((stats.accepted, stats.complete, stats.given_up, stats.panics), (1, 4, 1, 1));
    assert_eq!((stats.bytes_in, stats.bytes_out, stats.missed), (3, 12, 0));
    drop(server);
    assert!(records.recv().is_err(), "nothing more is recorded");
}

#[test]
fn clients_that_leave_and_requests_that_are_refused() {
    let (record, records) = recorded();
    let here = serve(|server| record(server.workers(1).queue(1)));
    let mut link = connect(&here);
    link.send(&[get(1, "/wait")]);
    here.gate.await_arrivals(1);
    link.send(&[get(3, "/"), get(5, "/")]);
    assert_eq!(link.skip_to(RST_STREAM).stream, 5);
    let refused = next(&records);
    assert_eq!((refused.status, refused.end, refused.version), (None, ExchangeEnd::Refused, Version::HTTP_2));
    link.send(&[Frame::reset(1, CANCEL), Frame::ping([1; 8])]);
    link.skip_to(PING);
    here.gate.open();
    let mut ends = [next(&records), next(&records)].map(|info| (info.target.path().to_owned(), info.end));
    ends.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(ends, [("/".to_owned(), ExchangeEnd::Complete), ("/wait".to_owned(), ExchangeEnd::Left)]);
    assert_eq!((here.server.stats().refused, here.server.stats().left), (1, 1));
}

/// Of a client that leaves in the middle of an answer only writing to it tells.
#[test]
fn clients_that_leave_an_answer() {
    let (record, records) = recorded();
    let server = record(Server::bind("127.0.0.1:0").unwrap());
    let server = server.spawn(|exchange: Exchange| -> Result<()> { exchange.reply(200, vec![7; 64 << 20]) }).unwrap();
    for _ in 0..3 {
        let mut raw = Raw::connect(server.local_addr());
        // What was not read when it is closed makes that a reset.
        raw.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n").head();
        drop(raw);
        let info = next(&records);
        assert_eq!((info.status.unwrap().as_u16(), info.end), (200, ExchangeEnd::Left));
    }
}

#[test]
fn an_exchange_that_a_shutdown_cuts_is_recorded_before_that_is_over() {
    let (record, records) = recorded();
    let here = serve(record);
    let mut raw = Raw::connect(here.server.local_addr());
    raw.send("GET /wait HTTP/1.1\r\nHost: x\r\n\r\n");
    here.gate.await_arrivals(1);
    let mut link = connect(&here);
    link.send(&[get(1, "/wait")]);
    here.gate.await_arrivals(2);
    let Here { server, gate, .. } = here;
    assert_eq!(server.shutdown(Duration::from_millis(50)), 2);
    let mut cut = [(); 2].map(|()| records.try_recv().expect("a record"));
    cut.sort_by_key(|info| info.version == Version::HTTP_2);
    for (info, version) in cut.iter().zip([Version::HTTP_11, Version::HTTP_2]) {
        assert_eq!((info.target.path(), info.version), ("/wait", version));
        assert_eq!((info.status, info.end), (None, ExchangeEnd::GivenUp));
    }
    // Their handlers come to an end when they like.
    gate.open();
    assert!(records.recv().is_err(), "each is recorded once");
}

#[test]
fn requests_that_are_refused_for_their_heads() {
    let (record, records) = recorded();
    let timeouts = ServerTimeouts::default().header(Duration::from_millis(200));
    let server = record(Server::bind("127.0.0.1:0").unwrap()).timeouts(timeouts).max_header_bytes(1000);
    let server = server.spawn(|exchange: Exchange| exchange.reply(200, "ok")).unwrap();
    let long = format!("GET /long HTTP/1.1\r\nHost: x\r\nA: {}\r\n\r\n", "a".repeat(1000));
    let target = format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "a".repeat(1000));
    let table = [
        ("nonsense\r\n\r\n", "- -", 400),
        (&target, "- -", 414),
        (&long, "GET /long", 431),
        ("GET /a HTTP/1.1\r\n\r\n", "GET /a", 400),
        ("POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n", "POST /b", 400),
        ("GET /c HTTP/1.1\r\nA : b\r\n\r\n", "GET /c", 400),
        ("GET /slow HTTP/1.1\r\nHost:", "GET /slow", 408),
        ("GET", "- -", 408),
    ];
    let mut expected = Vec::new();
    for (request, line, status) in table {
        let mut raw = Raw::connect(server.local_addr());
        assert_eq!(raw.send(request).answer().status(), status, "{line}");
        expected.push(format!("{line} {status}"));
        let info = next(&records);
        assert_eq!((info.version, info.end), (Version::HTTP_11, ExchangeEnd::Refused), "{line}");
        assert_eq!(
            format!("{} {} {}", info.method, info.target, info.status.unwrap().as_u16()),
            expected[expected.len() - 1]
        );
        assert_eq!(info.peer.unwrap().ip(), server.local_addr().ip());
    }
    // Sent before it knows of the limit.
    let client = Client::builder().protocol(Protocol::Http2).build().unwrap();
    let answer = client.get(server.url("/large")).header("a", "a".repeat(1000)).send().unwrap();
    assert_eq!((answer.status().as_u16(), answer.headers().contains_key("date")), (431, true));
    let info = next(&records);
    assert_eq!((info.target.path(), info.version, info.end), ("/large", Version::HTTP_2, ExchangeEnd::Refused));
    assert_eq!((info.method.as_str(), info.status.unwrap().as_u16()), ("GET", 431));
    assert_eq!(client.get(server.url("/")).send().unwrap().text().unwrap(), "ok", "the connection goes on");
    assert_eq!(next(&records).end, ExchangeEnd::Complete);
    assert_eq!((server.stats().refused, server.stats().complete), (expected.len() as u64 + 1, 1));
    // On a wire of the caller's, too.
    let (record, records) = recorded();
    let (near, far) = pair(1 << 16);
    bowline::net::Wire::try_write(&far, b"GET /x HTTP/1.1\r\n\r\n").unwrap();
    bowline::net::Wire::finish(&far).unwrap();
    let served = record(Server::unbound()).serve_wire(near, &|_: Exchange| -> Result<()> { panic!("it is refused") });
    assert_eq!(served.unwrap_err().kind(), ErrorKind::PeerViolation);
    let info = records.try_recv().unwrap();
    assert_eq!((info.target.path(), info.status.unwrap().as_u16()), ("/x", 400));
}

#[test]
fn a_full_queue_says_when_to_come_again() {
    let here = serve(|server| server.workers(1).queue(1));
    let mut first = Raw::connect(here.server.local_addr());
    first.send("GET /wait HTTP/1.1\r\nHost: x\r\n\r\n");
    here.gate.await_arrivals(1);
    let mut waits = Raw::connect(here.server.local_addr());
    waits.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    let began = Instant::now();
    while here.server.stats().queued == 0 {
        assert!(began.elapsed() < LONG);
        std::thread::yield_now();
    }
    let mut refused = Raw::connect(here.server.local_addr());
    let answer = refused.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n").answer();
    assert_eq!((answer.status(), answer.get("retry-after"), answer.get("content-length")), (503, Some("1"), Some("0")));
    assert!(answer.get("date").is_some() && refused.is_closed());
    here.gate.open();
    assert_eq!((first.answer().text(), waits.answer().text()), ("passed", "ok"));
}

#[test]
fn a_wire_of_the_callers_is_recorded_on_its_thread() {
    let (record, records) = recorded();
    let server = record(Server::unbound());
    let (near, far) = pair(1 << 16);
    bowline::net::Wire::try_write(&far, b"GET /x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    bowline::net::Wire::finish(&far).unwrap();
    server.serve_wire(near, &|exchange: Exchange| -> Result<()> { exchange.reply(200, "hi") }).unwrap();
    let info = records.try_recv().unwrap();
    assert_eq!((info.target.path(), info.bytes_out, info.peer), ("/x", 2, None));
}
