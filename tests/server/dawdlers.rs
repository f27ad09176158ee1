//! Clients that send or read slowly: they keep threads from each other, and from nobody else.

use crate::{
    h2::{body_of, connect, connect_with, get, h2peer::*, request, serve},
    raw::{LONG, Raw},
};
use bowline::{
    Client, ErrorKind, Exchange, ExchangeEnd, ExchangeInfo, Protocol, Result, Server, ServerHandle, ServerTimeouts,
    http::Response, net,
};
use net::Wire;
use std::{
    io::{self, ErrorKind::WouldBlock, Write},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

#[test]
fn uploads_that_stall_on_many_streams_keep_threads_from_nobody() {
    // 25 threads at most, and 60 uploads that would each keep one.
    let here = serve(|server| server.workers(1).max_connections(8));
    let mut links: Vec<_> = (0..6).map(|_| connect(&here)).collect();
    for link in &mut links {
        link.send(&(0..10).map(|n| request(2 * n + 1, 0, "POST", "/read")).collect::<Vec<_>>());
    }
    let client = Client::builder().protocol(Protocol::Http2).build().unwrap();
    for _ in 0..20 {
        let mut raw = Raw::connect(here.server.local_addr());
        let answer = raw.send("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").answer();
        assert_eq!(answer.text(), "ok");
        assert!(raw.is_closed());
        assert_eq!(client.get(here.server.url("/")).send().unwrap().text().unwrap(), "ok");
    }
    let stats = here.server.stats();
    assert!(stats.threads <= 25, "{stats:?}");
    // What was held is handled once what came before it has ended.
    for link in &mut links {
        link.send(&(0..10).map(|n| Frame::last_data(2 * n + 1, b"abc")).collect::<Vec<_>>());
        let mut ended = 0;
        while ended < 10 {
            let frame = link.next();
            assert!(!matches!(frame.kind, RST_STREAM | GOAWAY), "{frame:?}");
            ended += u32::from(frame.stream > 0 && frame.ends());
        }
    }
    assert_eq!(here.server.stats().given_up, 0);
}

#[test]
fn tunnels_on_many_streams_keep_threads_from_nobody() {
    // 25 threads at most, and 60 tunnels that would each keep one.
    let here = serve(|server| server.workers(1).max_connections(8));
    let mut links: Vec<_> = (0..6).map(|_| connect(&here)).collect();
    let connect_to = |stream| Frame::headers(stream, 0, &[(":method", "CONNECT"), (":authority", "there:80")]);
    for link in &mut links {
        link.send(&(0..10).map(|n| connect_to(2 * n + 1)).collect::<Vec<_>>());
        // All that begin have begun.
        link.skip_to(HEADERS);
    }
    let client = Client::builder().protocol(Protocol::Http2).build().unwrap();
    for _ in 0..20 {
        assert_eq!(client.get(here.server.url("/")).send().unwrap().text().unwrap(), "ok");
    }
    for link in &mut links {
        link.send(&(0..10).map(|n| Frame::last_data(2 * n + 1, b"hello")).collect::<Vec<_>>());
        let mut ended = 0;
        while ended < 10 {
            let frame = link.next();
            assert!(!matches!(frame.kind, RST_STREAM | GOAWAY), "{frame:?}");
            ended += u32::from(frame.stream > 0 && frame.ends());
        }
    }
}

#[test]
fn more_uploads_at_once_than_there_is_memory_for_come_to_their_end() {
    let here = serve(|server| server.max_body(1 << 30));
    let client = Client::builder().protocol(Protocol::Http2).build().unwrap();
    const LEN: usize = 512 * 1024;
    let pending: Vec<_> = (0..100).map(|_| client.post(here.server.url("/read")).body(vec![7; LEN]).start()).collect();
    for one in pending {
        assert_eq!(one.wait().unwrap().text().unwrap(), LEN.to_string());
    }
    assert_eq!(client.connections().len(), 1);
}

#[test]
fn a_window_that_opens_byte_by_byte() {
    let (told, errors) = mpsc::channel();
    let timeouts = ServerTimeouts::default().write(Duration::from_millis(400));
    let server = Server::bind("127.0.0.1:0").unwrap().timeouts(timeouts).min_rate(1000);
    let server = server.spawn(move |exchange: Exchange| -> Result<()> {
        if exchange.path() == "/reply" {
            return exchange.reply(200, vec![7; 1 << 20]);
        }
        let (_, mut writer) = exchange.respond_streaming(Response::new(()))?;
        let done = writer.write_all(&[7; 1 << 20]).map_err(bowline::Error::from);
        told.send(done.as_ref().err().map(bowline::Error::kind)).unwrap();
        done
    });
    let server = server.unwrap();
    for path in ["/stream", "/reply"] {
        let mut link = Link::new(std::net::TcpStream::connect(server.local_addr()).unwrap());
        link.send_bytes(PREFACE);
        link.send(&[Frame::settings(&[(INITIAL_WINDOW_SIZE, 0)]), get(1, path)]);
        let began = Instant::now();
        let reset = loop {
            link.send(&[Frame::window_update(1, 1)]);
            assert!(began.elapsed() < LONG, "{path}");
            match link.within(Duration::from_millis(10)) {
                Some(frame) if frame.kind == RST_STREAM => break frame,
                _ => {}
            }
        };
        assert_eq!(reset.stream, 1);
        assert!(began.elapsed() >= Duration::from_millis(400), "{path}: never early");
    }
    assert_eq!(errors.recv_timeout(LONG).unwrap(), Some(ErrorKind::TimedOut));
}

/// Counts what is read of it, and has no end.
struct Counted(Arc<AtomicU64>);

impl io::Read for Counted {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        buf.fill(7);
        self.0.fetch_add(buf.len() as u64, Ordering::SeqCst);
        Ok(buf.len())
    }
}

/// A server whose answers are counted as they are read, and that counts them as they are framed.
fn counting(min_rate: u64) -> (ServerHandle, Arc<AtomicU64>, mpsc::Receiver<ExchangeInfo>) {
    let (told, records) = mpsc::channel();
    let read = Arc::new(AtomicU64::new(0));
    let timeouts = ServerTimeouts::default().write(Duration::from_millis(400));
    let server = Server::bind("127.0.0.1:0").unwrap().timeouts(timeouts).min_rate(min_rate);
    let server = server.on_exchange(move |info| told.send(info.clone()).unwrap()).spawn({
        let read = read.clone();
        move |exchange: Exchange| exchange.reply(200, bowline::Body::from_reader(Counted(read.clone())))
    });
    (server.unwrap(), read, records)
}

#[test]
fn nothing_is_read_for_a_client_that_takes_nothing() {
    for min_rate in [0, 1000] {
        let (server, read, records) = counting(min_rate);
        let mut raw = Raw::connect(server.local_addr());
        let began = Instant::now();
        raw.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        let record = records.recv_timeout(LONG).expect("its time has come");
        assert!(began.elapsed() >= Duration::from_millis(400), "never early");
        assert_eq!(record.end, ExchangeEnd::GivenUp);
        assert_eq!(record.bytes_out, read.load(Ordering::SeqCst), "what was read was framed");
    }
}

#[test]
fn little_is_read_for_a_window_that_stays_shut() {
    for min_rate in [0, 1000] {
        let (server, read, records) = counting(min_rate);
        let mut link = Link::new(std::net::TcpStream::connect(server.local_addr()).unwrap());
        link.send_bytes(PREFACE);
        let began = Instant::now();
        link.send(&[Frame::settings(&[(INITIAL_WINDOW_SIZE, 0)]), get(1, "/")]);
        assert_eq!(records.recv_timeout(LONG).expect("its time has come").end, ExchangeEnd::GivenUp);
        assert!(began.elapsed() >= Duration::from_millis(400), "never early");
        // So much that a body would be seen to end.
        assert_eq!(read.load(Ordering::SeqCst), 1024);
    }
}

#[test]
fn a_body_whose_end_is_all_that_is_left_needs_no_window() {
    let server = Server::bind("127.0.0.1:0").unwrap().spawn(|exchange: Exchange| {
        // Its length is not known before it has been read.
        exchange.reply(200, bowline::Body::from_reader(&[7; 10][..]))
    });
    let server = server.unwrap();
    let mut link = Link::new(std::net::TcpStream::connect(server.local_addr()).unwrap());
    link.send_bytes(PREFACE);
    link.send(&[Frame::settings(&[(INITIAL_WINDOW_SIZE, 10)]), get(1, "/")]);
    while !link.next().ends() {}
}

#[test]
fn a_wire_that_takes_byte_by_byte() {
    for (min_rate, cut) in [(1000, true), (0, false)] {
        let timeouts = ServerTimeouts::default().write(Duration::from_millis(300));
        let server = Server::unbound().timeouts(timeouts).min_rate(min_rate);
        let (near, far) = net::pair(100);
        far.try_write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        let served = thread::spawn(move || {
            server.serve_wire(near, &|exchange: Exchange| -> Result<()> {
                let (_, mut writer) = exchange.respond_streaming(Response::new(()))?;
                writer.write_all(&[7; 1 << 20])?;
                writer.finish()
            })
        });
        let began = Instant::now();
        while !served.is_finished() && (cut || began.elapsed() < Duration::from_secs(1)) {
            assert!(began.elapsed() < LONG);
            if let Err(e) = far.try_read(&mut [0]) {
                assert_eq!(e.kind(), WouldBlock);
            }
            thread::park_timeout(Duration::from_millis(10));
        }
        assert_eq!(served.is_finished(), cut, "at least {min_rate} a second");
        far.shutdown();
        let result = served.join().unwrap();
        if cut {
            assert_eq!(result.unwrap_err().kind(), ErrorKind::TimedOut);
        }
    }
}

#[test]
fn a_client_of_http2_that_has_said_all_still_gets_its_answers() {
    let here = serve(|server| server);
    let mut link = connect_with(&here, &[(INITIAL_WINDOW_SIZE, 1 << 20)]);
    link.send(&[get(1, "/wait"), get(3, "/"), get(5, "/wait")]);
    here.gate.await_arrivals(2);
    link.finish();
    assert_eq!(body_of(&mut link, 3), b"ok");
    here.gate.open();
    let mut ended = 0;
    while let Some(frame) = link.next_or_end() {
        ended += usize::from(frame.kind == DATA && frame.ends());
    }
    assert_eq!(ended, 2);
    // One that has nothing to wait for is closed.
    let mut idle = connect(&here);
    idle.send(&[get(1, "/")]);
    assert_eq!(body_of(&mut idle, 1), b"ok");
    idle.finish();
    while idle.next_or_end().is_some() {}
}

#[test]
fn a_client_of_http2_that_has_said_all_gives_no_more_credit() {
    for blocked_first in [false, true] {
        let here = serve(|server| server);
        let mut link = connect(&here);
        link.send(&[get(1, "/large")]);
        let began = Instant::now();
        let mut got = 0;
        if !blocked_first {
            link.finish();
        }
        // The window that every connection begins with, and no more than that (RFC 9113, section 6.9.2).
        while got < 65_535 {
            let frame = link.next();
            got += if frame.kind == DATA { frame.payload.len() } else { 0 };
        }
        if blocked_first {
            link.finish();
        }
        while link.next_or_end().is_some() {}
        assert!(began.elapsed() < LONG, "{blocked_first}: it waited for credit: {:?}", began.elapsed());
    }
}

#[test]
fn a_connection_ends_with_a_request_that_was_reset_before_anybody_saw_it() {
    let (near, far) = net::pair(1 << 20);
    // The second is reset before it is its turn. The end is seen while the first waits for credit, which never comes.
    let frames = concat(&[Frame::settings(&[]), get(1, "/"), get(3, "/"), Frame::reset(3, 8)]);
    far.try_write(&[PREFACE, &frames[..]].concat()).unwrap();
    far.finish().unwrap();
    let (done, ended) = mpsc::channel();
    thread::spawn(move || {
        let result = Server::unbound().serve_wire(near, &|exchange: Exchange| exchange.reply(200, vec![7; 100_000]));
        let _ = done.send(result.map_err(|e| e.kind()));
    });
    assert_eq!(ended.recv_timeout(LONG), Ok(Ok(())), "it waits for something");
}

/// A client that sends a request and leaves, with or without the body it promised: nothing can be written, and nothing more comes.
#[derive(Debug)]
struct Left {
    request: Mutex<Vec<u8>>,
    written: AtomicBool,
}

impl Wire for Left {
    fn try_read(&self, buf: &mut [u8]) -> std::io::Result<usize> {
        let mut request = self.request.lock().unwrap();
        let n = buf.len().min(request.len());
        // The end is there when what was written has told that the client has left.
        if n == 0 && !self.written.load(Ordering::SeqCst) {
            return Err(WouldBlock.into());
        }
        buf[..n].copy_from_slice(&request[..n]);
        request.drain(..n);
        Ok(n)
    }

    fn try_write(&self, _: &[u8]) -> std::io::Result<usize> {
        self.written.store(true, Ordering::SeqCst);
        Err(std::io::ErrorKind::BrokenPipe.into())
    }

    fn watch(&self, _: net::Interest, waker: &net::Waker) {
        waker.wake();
    }

    fn finish(&self) -> std::io::Result<()> {
        Ok(())
    }

    fn shutdown(&self) {}
}

#[test]
fn an_answer_without_an_end_ends_with_a_client_that_has_left() {
    for (name, body) in [("whole", 10), ("cut", 9), ("large", 5_000_000)] {
        let declared = if name == "cut" { 10 } else { body };
        let mut request = format!("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {declared}\r\n\r\n").into_bytes();
        request.resize(request.len() + body, b'a');
        let wire = Left { request: Mutex::new(request), written: AtomicBool::new(false) };
        let (done, ended) = mpsc::channel();
        thread::spawn(move || {
            let _ = Server::unbound().max_body(1 << 30).serve_wire(wire, &|exchange: Exchange| -> Result<()> {
                // The body of the request stays where it is.
                let (_body, mut writer) = exchange.respond_streaming(Response::new(()))?;
                loop {
                    writer.write_all(&[7; 10_000])?;
                }
            });
            let _ = done.send(());
        });
        assert_eq!(ended.recv_timeout(LONG), Ok(()), "{name}: it is written to for ever");
    }
}
