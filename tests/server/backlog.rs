//! What clients send and nobody reads: how much of it a server keeps, of all connections together.

use crate::{
    h2::{connect, h2peer::*, serve},
    raw::{LONG, Raw},
};
use bowline::{Client, Exchange, Protocol, Result, Server, ServerHandle, http::Response};
use std::{io::Write, thread, time::Instant};

/// The pieces of a body, and how many of them a stream gets: together less than its window.
const PIECE: usize = 16_000;
const PIECES: usize = 13;
const STREAMS: u32 = 5;

/// Sends as much as the windows of a new connection allow, to handlers that do not read; returns what was reset meanwhile.
fn fill(link: &mut Link) -> Vec<Frame> {
    for stream in (0..STREAMS).map(|n| 2 * n + 1) {
        let fields = [(":method", "POST"), (":scheme", "http"), (":authority", "x"), (":path", "/wait")];
        link.send(&[Frame::headers(stream, 0, &fields)]);
        let piece = Frame::data(stream, &[b'a'; PIECE]);
        (0..PIECES).for_each(|_| link.send(std::slice::from_ref(&piece)));
    }
    link.send(&[Frame::ping(*b"that was")]);
    let mut resets = Vec::new();
    loop {
        let frame = link.next();
        match frame.kind {
            PING => return resets,
            // A handler that answers without reading has the rest reset in peace.
            RST_STREAM if frame.code() != NO_ERROR => resets.push(frame),
            _ => {}
        }
    }
}

/// A client whose handler reads, however much of others is unread.
fn is_read(server: &ServerHandle, protocol: Protocol) {
    let client = Client::builder().protocol(protocol).build().unwrap();
    let url = format!("http://{}/read", server.local_addr());
    let answer = client.post(&url).body(vec![b'x'; 3 << 20]).send().unwrap();
    assert_eq!(answer.text().unwrap(), (3 << 20).to_string(), "{protocol:?}");
}

/// One peer has half of 8 MiB before its connections get no more room than is read, and half of 24 MiB before what comes is thrown away.
#[test]
fn what_is_unread_over_http2_is_bounded() {
    let here = serve(|server| server.workers(128));
    let bytes = STREAMS as usize * PIECES * PIECE;
    let mut links = Vec::new();
    let mut add = || {
        let mut link = connect(&here);
        let resets = fill(&mut link);
        links.push(link);
        (links.len() * bytes, resets)
    };
    loop {
        let (sent, resets) = add();
        assert_eq!(resets, [], "after {sent} bytes");
        if sent >= 5 << 20 {
            break;
        }
    }
    // Crowded: whoever reads gets on.
    [Protocol::Http2, Protocol::Http1].into_iter().for_each(|protocol| is_read(&here.server, protocol));
    let sent = loop {
        let (sent, resets) = add();
        let bound = 12 << 20;
        assert!(resets.is_empty() || sent > bound, "after {sent} bytes: {resets:?}");
        if let Some(reset) = resets.first() {
            assert!([ENHANCE_YOUR_CALM, REFUSED_STREAM].contains(&reset.code()), "{reset:?}");
            break sent;
        }
    };
    assert!(sent <= (12 << 20) + 2 * bytes, "{sent} bytes");
    // Full: HTTP/1 can be kept from sending, and is.
    is_read(&here.server, Protocol::Http1);
    // What was unread is gone with its handlers, and there is room again.
    here.gate.open();
    drop(links);
    let began = Instant::now();
    while !fill(&mut connect(&here)).is_empty() {
        assert!(began.elapsed() < LONG, "what was unread still counts");
    }
    is_read(&here.server, Protocol::Http2);
}

/// Writes until the client reads, and leaves the body where it is; or reads it.
fn handle(mut exchange: Exchange) -> Result<()> {
    if exchange.path() == "/read" {
        let n = std::io::copy(exchange.body(), &mut std::io::sink())?;
        return exchange.reply(200, n.to_string());
    }
    let (_body, mut writer) = exchange.respond_streaming(Response::new(()))?;
    (0..1024).try_for_each(|_| writer.write_all(&[7; 64 << 10]))?;
    writer.finish()
}

#[test]
fn what_is_unread_over_http1_is_bounded() {
    const BODY: usize = 300_000;
    let server = Server::bind("127.0.0.1:0").unwrap().spawn(handle).unwrap();
    let mut raws = Vec::new();
    for n in 1..=40 {
        let mut raw = Raw::connect(server.local_addr());
        raw.send(format!("POST /both HTTP/1.1\r\nHost: x\r\nContent-Length: {BODY}\r\n\r\n"));
        raw.send(vec![b'a'; BODY]);
        raws.push(raw);
        // All of them write until nothing more is taken.
        let began = Instant::now();
        while server.stats().waiting < n {
            assert!(began.elapsed() < LONG);
            thread::yield_now();
        }
    }
    // One peer has half of 8 MiB, and each connection a little besides.
    let received: u64 = server.connections().iter().map(|info| info.bytes_in).sum();
    assert!(received <= 7 << 20, "{received} bytes of {}", 40 * BODY);
    is_read(&server, Protocol::Http1);
    is_read(&server, Protocol::Http2);
    // Once those are gone there is room again: a reader of one of the first gets all that was sent.
    drop(raws);
    let mut raw = Raw::connect(server.local_addr());
    raw.send(format!("POST /read HTTP/1.1\r\nHost: x\r\nContent-Length: {BODY}\r\n\r\n"));
    assert_eq!(raw.send(vec![b'a'; BODY]).answer().text(), BODY.to_string());
}
