//! Every number of the client is a setting: those that no other test sets, against peers that are written by hand.

use crate::{
    h2client::{builder, get, idle, ms},
    h2peer::*,
};
use bowline::{
    Body, Client, CloseReason, Connection, ConnectionState, ErrorKind, Phase, Processed, Protocol, Timeouts, net::pair,
};
use std::{io::Read, time::Instant};

#[test]
fn probe_timeout() {
    // Longer than that for answers that nobody waits for.
    let (rest, limit) = (ms(50), ms(250));
    let client = builder().probe_after_idle(rest).probe_timeout(limit).build().unwrap();
    let peer = Peer::new();
    let mut link = idle(&client, &peer);
    link.assert_quiet(rest + ms(20));
    let request = client.post(peer.url("/"));
    let began = Instant::now();
    let asked = task(|| request.send());
    let (error, at) = asked.join_at();
    let error = error.unwrap_err();
    assert_on_time(began, limit, at);
    assert_eq!((error.kind(), error.processed(), error.attempts()), (ErrorKind::Closed, Processed::Maybe, 1));
    let state = error.connection().unwrap().state;
    assert_eq!(state, ConnectionState::Closed(CloseReason::PingUnanswered));
}

#[test]
fn max_unasked_pings() {
    for n in [0, 1, 3] {
        let client = builder().read_idle_ping(ms(40)).max_unasked_pings(n).build().unwrap();
        let peer = Peer::new();
        let asked = get(&client, &peer);
        let mut link = peer.h2();
        let head = link.request();
        for _ in 0..n {
            let ping = link.expect(PING);
            link.ack(&ping);
        }
        link.assert_quiet(ms(200));
        link.answer(head.stream, 200, b"");
        asked.join().unwrap();
    }
}

#[test]
fn refused_pause() {
    let (from, to) = (ms(300), ms(320));
    let client = builder().refused_pause(from, to).build().unwrap();
    let peer = Peer::new();
    let asked = get(&client, &peer);
    let mut link = peer.h2();
    let head = link.request();
    let began = Instant::now();
    link.send(&[Frame::goaway(head.stream - 1, INTERNAL_ERROR, b"")]);
    let mut next = peer.h2();
    let head = next.request();
    assert!(began.elapsed() >= from && began.elapsed() < to + ms(250), "{:?}", began.elapsed());
    next.answer(head.stream, 200, b"");
    asked.join().unwrap();
    let e = builder().refused_pause(to, from).build().unwrap_err();
    assert_eq!(e.kind(), ErrorKind::InvalidInput);
}

#[test]
fn streams_before_settings() {
    let (peer, client) = (Peer::new(), builder().streams_before_settings(3).build().unwrap());
    let mut pending = vec![client.get(peer.url("/")).start()];
    let mut link = peer.accept();
    link.preface();
    pending.extend((0..4).map(|_| client.get(peer.url("/")).start()));
    for n in 0..3 {
        assert_eq!(link.request().stream, 2 * n + 1);
    }
    link.assert_quiet(ms(30));
    // Then as many as the peer allows.
    link.send(&[Frame::settings(&[(MAX_CONCURRENT_STREAMS, 4)]), Frame::settings_ack()]);
    let asked: Vec<_> = pending.into_iter().map(|p| task(move || p.wait().unwrap().status().as_u16())).collect();
    assert_eq!(link.request().stream, 7);
    link.assert_quiet(ms(30));
    for n in 0..5 {
        link.answer(2 * n + 1, 204, b"");
        if n == 0 {
            assert_eq!(link.request().stream, 9);
        }
    }
    assert!(asked.into_iter().all(|asked| asked.join() == 204));
}

#[test]
fn max_unread() {
    const FRAME: [u8; 16 * 1024] = [7; 16 * 1024];
    let client = builder().connection_window(64 * 1024).max_unread(100 * 1024).build().unwrap();
    let peer = Peer::new();
    let asked = get(&client, &peer);
    let mut link = peer.h2();
    let head = link.request();
    link.send(&[Frame::headers(head.stream, 0, &[(":status", "200")])]);
    let mut answer = asked.join().unwrap();
    // What the RFC begins with; a window of one byte more is announced.
    let (mut window, mut sent) = (65_535, 0);
    loop {
        client.upkeep();
        while let Some(frame) = link.waiting() {
            if frame.kind == WINDOW_UPDATE {
                assert_eq!(frame.stream, 0);
                window += frame.number(0);
            }
        }
        if window < FRAME.len() as u32 {
            break;
        }
        link.send(&[Frame::data(head.stream, &FRAME)]);
        (window, sent) = (window - FRAME.len() as u32, sent + FRAME.len());
    }
    assert!((100 * 1024..=170 * 1024).contains(&sent), "{sent}");
    // What is read gives credit.
    let mut piece = vec![0; 32 * 1024];
    answer.body().read_exact(&mut piece).unwrap();
    assert_eq!(piece, [7; 32 * 1024]);
    let more = link.skip_to(WINDOW_UPDATE);
    assert_eq!(more.stream, 0);
}

#[test]
fn max_drain() {
    for (limit, kept) in [(10_000, true), (1000, false)] {
        let client = Client::builder().protocol(Protocol::Http1).proxy(None).max_drain(limit).build().unwrap();
        // A wire without buffers of the system, which gives a piece at a time.
        let (near, far) = pair(20_000);
        let connection = Connection::over(near.max_piece(500), "http://example.org", &client).unwrap();
        let pending = connection.get("/").start();
        let mut answer = b"HTTP/1.1 200 OK\r\nContent-Length: 4000\r\n\r\n".to_vec();
        answer.extend_from_slice(&[7; 4000]);
        use bowline::net::Wire;
        assert_eq!(far.try_write(&answer).unwrap(), answer.len());
        drop(pending.wait().unwrap());
        let state = connection.info().state;
        assert_eq!(state == ConnectionState::Idle, kept, "{state:?} at {limit}");
    }
}

#[test]
fn http1_write_stall() {
    let limit = ms(200);
    let client = Client::builder()
        .protocol(Protocol::Http1)
        .proxy(None)
        .timeouts(Timeouts::none())
        .http1_write_stall(limit)
        .build()
        .unwrap();
    let (near, _far) = pair(1000);
    let connection = Connection::over(near, "http://example.org", &client).unwrap();
    let request = connection.post("/").body(Body::from_reader(std::io::repeat(7)));
    let began = Instant::now();
    let error = request.send().unwrap_err();
    assert_on_time(began, limit, Instant::now());
    assert_eq!((error.kind(), error.processed()), (ErrorKind::TimedOut, Processed::Maybe));
    assert_eq!(error.phase(), Phase::Send);
    assert_eq!(connection.info().state, ConnectionState::Closed(CloseReason::WriteStalled));
}
