//! HTTP/2 frame by frame: what a server owes its clients, and what it does about those that attack it.

#[path = "../support/h2peer.rs"]
pub mod h2peer;

use bowline::{Client, Exchange, Protocol, Result, Server, ServerHandle, ServerTimeouts, http::Response};
use h2peer::*;
use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

/// Keeps handlers until it is opened.
#[derive(Clone, Default)]
pub struct Gate(Arc<(Mutex<(bool, usize)>, Condvar)>);

impl Gate {
    fn pass(&self) {
        let (state, changed) = &*self.0;
        let mut state = state.lock().unwrap();
        state.1 += 1;
        changed.notify_all();
        let _passed = changed.wait_while(state, |(open, _)| !*open).unwrap();
    }

    pub fn open(&self) {
        let (state, changed) = &*self.0;
        state.lock().unwrap().0 = true;
        changed.notify_all();
    }

    /// Waits until so many have come.
    pub fn await_arrivals(&self, n: usize) {
        let (state, changed) = &*self.0;
        let (_state, timeout) =
            changed.wait_timeout_while(state.lock().unwrap(), PATIENCE, |(_, came)| *came < n).unwrap();
        assert!(!timeout.timed_out());
    }
}

pub struct Here {
    pub server: ServerHandle,
    pub gate: Gate,
    handled: Arc<AtomicUsize>,
}

pub fn serve(set: impl FnOnce(Server) -> Server) -> Here {
    let (gate, handled) = (Gate::default(), Arc::<AtomicUsize>::default());
    let (g, h) = (gate.clone(), handled.clone());
    let handler = move |mut exchange: Exchange| -> Result<()> {
        h.fetch_add(1, Ordering::SeqCst);
        match exchange.path() {
            "/wait" => {
                g.pass();
                exchange.reply(200, "passed")
            }
            "" => {
                // CONNECT has no path.
                let mut tunnel = exchange.upgrade(Default::default())?;
                tunnel.read_exact(&mut [0; 5])?;
                tunnel.write_all(b"heard")?;
                tunnel.finish()
            }
            "/large" => exchange.reply(200, vec![7; 1 << 20]),
            "/read" => {
                let n = std::io::copy(exchange.body(), &mut std::io::sink())?;
                exchange.reply(200, n.to_string())
            }
            "/short" => {
                let (_, mut writer) =
                    exchange.respond_streaming(Response::builder().header("content-length", "9").body(())?)?;
                writer.write_all(b"some")?;
                writer.finish()
            }
            "/short-body" => exchange.reply(200, bowline::Body::from_reader(&b"some"[..]).with_len(9)),
            "/given-up" => {
                let (_, mut writer) = exchange.respond_streaming(Response::new(()))?;
                writer.write_all(b"some")?;
                Ok(())
            }
            "/late-panic" => {
                let (_, mut writer) = exchange.respond_streaming(Response::new(()))?;
                writer.write_all(b"some")?;
                panic!("on purpose")
            }
            _ => exchange.reply(200, "ok"),
        }
    };
    let server = set(Server::bind("127.0.0.1:0").unwrap()).spawn(handler).unwrap();
    Here { server, gate, handled }
}

pub fn connect_with(here: &Here, settings: &[(u16, u32)]) -> Link {
    connect_to(here.server.local_addr(), settings)
}

pub fn connect_to(address: SocketAddr, settings: &[(u16, u32)]) -> Link {
    let mut link = Link::new(TcpStream::connect(address).unwrap());
    link.send_bytes(PREFACE);
    link.send(&[Frame::settings(settings)]);
    let first = link.next();
    assert_eq!((first.kind, first.flags), (SETTINGS, 0));
    link.send(&[Frame::settings_ack()]);
    link
}

pub fn connect(here: &Here) -> Link {
    connect_with(here, &[])
}

pub fn request(stream: u32, flags: u8, method: &str, path: &str) -> Frame {
    let fields = [(":method", method), (":scheme", "http"), (":authority", "x"), (":path", path)];
    Frame::headers(stream, flags, &fields)
}

pub fn get(stream: u32, path: &str) -> Frame {
    request(stream, END_STREAM, "GET", path)
}

/// Reads until a stream ends; returns its data.
pub fn body_of(link: &mut Link, stream: u32) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let frame = link.next();
        assert_ne!(frame.kind, GOAWAY, "{frame:?}");
        if frame.stream == stream {
            assert_ne!(frame.kind, RST_STREAM, "{frame:?}");
            if frame.kind == DATA {
                body.extend_from_slice(&frame.payload);
            }
            if frame.ends() {
                return body;
            }
        }
    }
}

#[test]
fn a_ping_is_answered_while_every_handler_is_busy() {
    let here = serve(|server| server.workers(2));
    let mut link = connect(&here);
    link.send(&[get(1, "/wait"), get(3, "/wait"), get(5, "/wait")]);
    here.gate.await_arrivals(2);
    link.send(&[Frame::ping([7; 8])]);
    let ack = link.skip_to(PING);
    assert_eq!((ack.is_ack(), ack.payload), (true, vec![7; 8]));
    here.gate.open();
    assert_eq!(body_of(&mut link, 1), b"passed");
}

#[test]
fn requests_beyond_the_queue_are_refused() {
    let here = serve(|server| server.workers(1).queue(1));
    let mut link = connect(&here);
    link.send(&[get(1, "/wait")]);
    here.gate.await_arrivals(1);
    link.send(&[get(3, "/"), get(5, "/")]);
    let refused = link.skip_to(RST_STREAM);
    assert_eq!((refused.stream, refused.code()), (5, REFUSED_STREAM));
    here.gate.open();
    assert_eq!(body_of(&mut link, 3), b"ok");
}

#[test]
fn a_part_of_an_answer_is_an_internal_error() {
    let here = serve(|server| server);
    let mut link = connect(&here);
    for (stream, path) in (1..).step_by(2).zip(["/late-panic", "/short", "/short-body", "/given-up"]) {
        link.send(&[get(stream, path)]);
        let reset = link.skip_to(RST_STREAM);
        assert_eq!((reset.stream, reset.code()), (stream, INTERNAL_ERROR), "{path}");
    }
    link.send(&[get(9, "/")]);
    assert_eq!(body_of(&mut link, 9), b"ok");
}

#[test]
fn an_answer_before_the_end_of_the_request() {
    let here = serve(|server| server);
    let mut link = connect(&here);
    link.send(&[request(1, 0, "POST", "/"), Frame::data(1, b"some")]);
    let head = link.skip_to(HEADERS);
    assert_eq!(head.payload[0], 0x88);
    let reset = link.skip_to(RST_STREAM);
    assert_eq!((reset.stream, reset.code()), (1, NO_ERROR));
    // What was under way is no violation.
    link.send(&[Frame::last_data(1, b"more"), get(3, "/")]);
    assert_eq!(body_of(&mut link, 3), b"ok");
}

#[test]
fn a_tunnel_on_a_stream() {
    let here = serve(|server| server);
    let mut link = connect(&here);
    link.send(&[Frame::headers(1, 0, &[(":method", "CONNECT"), (":authority", "there:80")]), Frame::data(1, b"hello")]);
    let head = link.skip_to(HEADERS);
    assert_eq!((head.payload[0], head.ends()), (0x88, false));
    assert_eq!(body_of(&mut link, 1), b"heard");
}

#[test]
fn a_body_in_pieces_is_credited_as_it_is_read() {
    let here = serve(|server| server.max_body(1 << 30));
    let mut link = connect(&here);
    link.send(&[request(1, 0, "POST", "/read")]);
    let (mut stream, mut connection) = (256 * 1024i64, 1024 * 1024i64);
    // The windows of a server. The one of the connection is opened so far by the first update, which is counted here already;
    // what is sent is more than both.
    let mut sent = 0usize;
    while sent < 4 << 20 {
        while stream < 16_384 || connection < 16_384 {
            let frame = link.next();
            match (frame.kind, frame.stream) {
                (WINDOW_UPDATE, 0) if frame.number(0) < 900_000 || sent > 0 => connection += i64::from(frame.number(0)),
                (WINDOW_UPDATE, 1) => stream += i64::from(frame.number(0)),
                _ => {}
            }
        }
        link.send(&[Frame::data(1, &[7; 16_384])]);
        (sent, stream, connection) = (sent + 16_384, stream - 16_384, connection - 16_384);
    }
    link.send(&[Frame::last_data(1, b"")]);
    assert_eq!(body_of(&mut link, 1), sent.to_string().as_bytes());
}

#[test]
fn shutting_down_says_goaway_twice() {
    let here = serve(|server| server);
    let mut link = connect(&here);
    link.send(&[get(1, "/wait")]);
    here.gate.await_arrivals(1);
    let Here { server, gate, .. } = here;
    let stopped = thread::spawn(move || server.shutdown(PATIENCE));
    let first = link.skip_to(GOAWAY);
    assert_eq!((first.number(0), first.code()), (0x7fff_ffff, NO_ERROR));
    // What the client sent before it heard of it is still served.
    link.send(&[get(3, "/")]);
    assert_eq!(body_of_during_goaway(&mut link, 3), b"ok");
    let second = link.skip_to(GOAWAY);
    assert_eq!((second.number(0), second.code()), (3, NO_ERROR));
    gate.open();
    assert_eq!(body_of_during_goaway(&mut link, 1), b"passed");
    assert_eq!(link.next_or_end(), None);
    assert_eq!(stopped.join().unwrap(), 0);
}

pub fn body_of_during_goaway(link: &mut Link, stream: u32) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let frame = link.next();
        if frame.stream == stream {
            body.extend(if frame.kind == DATA { &frame.payload[..] } else { &[] });
            if frame.ends() {
                return body;
            }
        }
    }
}

#[test]
fn idle_connections_get_a_goaway() {
    let here = serve(|server| server.timeouts(ServerTimeouts::default().idle(Duration::from_millis(200))));
    let mut link = connect(&here);
    link.send(&[get(1, "/")]);
    assert_eq!(body_of(&mut link, 1), b"ok");
    let goaway = link.skip_to(GOAWAY);
    assert_eq!((goaway.number(0), goaway.code()), (1, NO_ERROR));
    assert_eq!(link.next_or_end(), None);
}

#[test]
fn a_preface_that_does_not_go_on() {
    let here = serve(|server| server.timeouts(ServerTimeouts::default().header(Duration::from_millis(200))));
    for cut in ["PRI * HTTP/2".len(), PREFACE.len()] {
        let mut link = Link::new(TcpStream::connect(here.server.local_addr()).unwrap());
        link.send_bytes(&PREFACE[..cut]);
        while link.next_or_end().is_some() {}
    }
}

/// What an attacker repeats, and with which error the connection ends.
type Attack = (&'static str, fn(u32) -> Vec<Frame>, u32);

#[test]
fn floods_end_the_connection_and_nobody_else_notices() {
    #[rustfmt::skip]
    let attacks: [Attack; 8] = [
        ("rapid reset", |n| vec![get(2 * n + 1, "/"), Frame::reset(2 * n + 1, CANCEL)], ENHANCE_YOUR_CALM),
        ("made to reset", |n| vec![request(2 * n + 1, 0, "POST", "/wait"), Frame::window_update(2 * n + 1, 0)], ENHANCE_YOUR_CALM),
        ("PING", |n| vec![Frame::ping(u64::from(n).to_be_bytes())], ENHANCE_YOUR_CALM),
        ("SETTINGS", |_| vec![Frame::settings(&[])], ENHANCE_YOUR_CALM),
        ("PRIORITY", |n| vec![Frame::new(PRIORITY, 0, 2 * n + 1, [0, 0, 0, 0, 1])], ENHANCE_YOUR_CALM),
        ("empty DATA", |n| {
            if n == 0 { vec![request(1, 0, "POST", "/read")] } else { vec![Frame::data(1, b"")] }
        }, ENHANCE_YOUR_CALM),
        ("CONTINUATION", |n| {
            if n == 0 { vec![Frame::new(HEADERS, 0, 1, [])] } else { vec![Frame::new(9, 0, 1, [0; 10])] }
        }, ENHANCE_YOUR_CALM),
        ("WINDOW_UPDATE", |_| vec![Frame::window_update(0, 1)], ENHANCE_YOUR_CALM),
    ];
    let here = serve(|server| server.workers(4));
    let client = Client::builder().protocol(Protocol::Http2).build().unwrap();
    for (name, attack, code) in attacks {
        let mut link = connect(&here);
        let mut writer = link.writer();
        let attacker = thread::spawn(move || {
            // Far more than is allowed; it ends earlier, when the connection is gone.
            for n in 0..2000 {
                let burst: Vec<_> = (n * 10..n * 10 + 10).flat_map(attack).collect();
                if !writer.try_send(&burst) {
                    return;
                }
            }
        });
        for _ in 0..5 {
            assert_eq!(client.get(here.server.url("/")).send().unwrap().text().unwrap(), "ok", "{name}");
        }
        let goaway = loop {
            match link.next_or_end() {
                Some(frame) if frame.kind == GOAWAY => break frame,
                Some(_) => {}
                None => panic!("{name}: no GOAWAY"),
            }
        };
        assert_eq!(goaway.code(), code, "{name}");
        while link.next_or_end().is_some() {}
        attacker.join().unwrap();
        here.gate.open();
    }
    // Most of the resets came before a handler saw the request.
    assert!(here.handled.load(Ordering::SeqCst) < 2000, "{} handlers", here.handled.load(Ordering::SeqCst));
}

#[test]
fn windows_that_never_open_keep_threads_from_nobody() {
    let here = serve(|server| server.workers(1));
    let mut links: Vec<Link> = (0..4).map(|_| connect_with(&here, &[(INITIAL_WINDOW_SIZE, 0)])).collect();
    for link in &mut links {
        link.send(&(0..100).map(|n| get(2 * n + 1, "/large")).collect::<Vec<_>>());
    }
    let client = Client::builder().protocol(Protocol::Http2).build().unwrap();
    for _ in 0..20 {
        assert_eq!(client.get(here.server.url("/")).send().unwrap().text().unwrap(), "ok");
    }
    // Nothing of it was lost: a window that opens after all lets the answer through.
    let mut link = links.remove(0);
    link.send(&[Frame::window_update(0, 1 << 20), Frame::window_update(1, 1 << 20)]);
    assert_eq!(body_of(&mut link, 1).len(), 1 << 20);
}
