//! A queue that is full: whoever fills it is refused, and others are not.

use crate::{
    h2::{body_of, connect, get, h2peer::*, serve},
    raw::{LONG, Raw},
};
use std::{thread, time::Instant};

const GET: &str = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";

/// As many requests as the queue has room for.
const QUEUE: usize = 8;

#[test]
fn who_fills_the_queue_makes_room_for_others() {
    let here = serve(|server| server.workers(1).queue(QUEUE));
    let mut link = connect(&here);
    link.send(&[get(1, "/wait")]);
    here.gate.await_arrivals(1);
    let all: Vec<_> = (1..=QUEUE as u32 + 1).map(|n| get(2 * n + 1, "/")).collect();
    link.send(&all);
    let newest = 2 * QUEUE as u32 + 1;
    let refused = link.skip_to(RST_STREAM);
    assert_eq!((refused.stream, refused.code()), (newest + 2, REFUSED_STREAM), "its own is one too many");
    let mut other = Raw::connect(here.server.local_addr());
    other.send(GET);
    let refused = link.skip_to(RST_STREAM);
    assert_eq!((refused.stream, refused.code()), (newest, REFUSED_STREAM), "the newest of the one that has the most");
    assert_eq!(here.server.stats().queued, QUEUE);
    here.gate.open();
    assert_eq!(other.answer().text(), "ok");
    for stream in (3..newest).step_by(2) {
        assert_eq!(body_of(&mut link, stream), b"ok", "{stream}");
    }
}

/// What one refusal makes room for can be the next refusal, and each is of another connection.
#[test]
fn many_that_fill_the_queue_are_refused_in_turn() {
    const CROWD: usize = 40;
    let here = serve(|server| server.workers(1).queue(QUEUE));
    let mut first = connect(&here);
    first.send(&[get(1, "/wait")]);
    here.gate.await_arrivals(1);
    let mut crowd: Vec<_> = (0..CROWD).map(|_| connect(&here)).collect();
    for link in &mut crowd {
        let all: Vec<_> = (0..100).map(|n| get(2 * n + 1, "/")).collect();
        link.send(&all);
    }
    // Each of them comes to its last request, and what waits is as much as may.
    while here.server.stats().refused < (CROWD * 100 - QUEUE) as u64 {
        std::thread::yield_now();
    }
    assert_eq!((here.server.stats().queued, here.server.stats().active), (QUEUE, QUEUE + 1));
    here.gate.open();
    assert_eq!(body_of(&mut first, 1), b"passed");
}

#[cfg(target_os = "linux")]
#[test]
fn a_peer_that_fills_the_queue_makes_room_for_another() {
    use crate::peers::raw_from;
    let here = serve(|server| server.workers(1).queue(QUEUE));
    let mut blocks = raw_from(2, &here.server);
    blocks.send("GET /wait HTTP/1.1\r\nHost: x\r\n\r\n");
    here.gate.await_arrivals(1);
    let mut crowd: Vec<Raw> = (0..QUEUE).map(|_| raw_from(2, &here.server)).collect();
    for (n, raw) in crowd.iter_mut().enumerate() {
        raw.send(GET);
        while here.server.stats().queued <= n {
            std::thread::yield_now();
        }
    }
    // Each of them has one, so nobody makes room for another of the same peer.
    let refused = raw_from(2, &here.server).send(GET).answer();
    assert_eq!((refused.status(), refused.get("retry-after")), (503, Some("1")));
    let mut other = raw_from(1, &here.server);
    other.send(GET);
    let refused = crowd.pop().unwrap().answer();
    assert_eq!((refused.status(), refused.get("connection")), (503, Some("close")), "the newest of the other peer");
    here.gate.open();
    for mut raw in crowd.into_iter().chain([other]) {
        assert_eq!(raw.answer().text(), "ok");
    }
    assert_eq!(blocks.answer().text(), "passed");
}

/// As a program does that measures servers: what all its connections have at once is less than they may have.
#[test]
fn many_requests_on_many_connections_are_not_too_many() {
    const BEGUN: usize = 1024 + 100;
    let here = serve(|server| server.workers(1));
    let mut links: Vec<_> = (0..100).map(|_| connect(&here)).collect();
    links[0].send(&[get(1, "/wait")]);
    here.gate.await_arrivals(1);
    for link in &mut links {
        link.send(&(1..=100).map(|n| get(2 * n + 1, "/")).collect::<Vec<_>>());
        link.send(&[Frame::new(PING, 0, 0, *b"all came")]);
    }
    for link in &mut links {
        // Whatever is refused at once is refused before that.
        while link.next().kind != PING {
            assert_eq!(here.server.stats().refused, 0);
        }
    }
    // Of the 2048 that may have begun besides one of each connection, one peer has half; the others wait.
    let began = Instant::now();
    while here.server.stats().active < BEGUN {
        assert!(began.elapsed() < LONG, "{:?}", here.server.stats());
        thread::yield_now();
    }
    for link in &mut links {
        link.send(&[Frame::new(PING, 0, 0, *b"again...")]);
        while link.next().kind != PING {}
    }
    assert_eq!(here.server.stats().active, BEGUN);
    here.gate.open();
    for (link, mut open) in links.iter_mut().zip(std::iter::once(101).chain(std::iter::repeat(100))) {
        while open > 0 {
            let frame = link.next();
            assert!(!matches!(frame.kind, RST_STREAM | GOAWAY), "{frame:?}");
            open -= usize::from(frame.stream > 0 && frame.ends());
        }
    }
    assert_eq!(here.server.stats().refused, 0);
}
