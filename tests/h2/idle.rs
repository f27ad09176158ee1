//! How many connections are kept, what the table and the hooks say of them, and that letting go of them harms nobody.

use crate::{
    h2client::{builder, get, idle, ms},
    h2peer::*,
};
use bowline::{Cancel, Client, ConnectionState, ErrorKind, Hook, Pending, Trace, http::Method};
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

fn states(client: &Client) -> Vec<ConnectionState> {
    client.connections().into_iter().map(|row| row.state).collect()
}

/// Requests one after the other from four threads, while the main thread lets go of what is idle again and again.
#[test]
fn letting_go_of_what_is_idle_cuts_no_request() {
    let served = Arc::new(AtomicUsize::new(0));
    let peer = Peer::new();
    let url = peer.url("/");
    let count = served.clone();
    peer.serve(move |mut link| {
        link.handshake(&[]);
        while let Some(frame) = link.next_or_end() {
            if frame.kind == HEADERS {
                count.fetch_add(1, Ordering::SeqCst);
                // The client may have left; a request that was sent before that has to fail the test, not this thread.
                link.try_send(&answer(frame.stream, 204, b""));
            }
        }
    });
    for _ in 0..rounds().div_ceil(10) {
        served.store(0, Ordering::SeqCst);
        // No repetition hides anything.
        let client = builder().retry(bowline::Retry::Never).build().unwrap();
        let done = Arc::new(AtomicBool::new(false));
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let (client, url) = (client.clone(), url.clone());
                task(move || {
                    for n in 0..50 {
                        let answer = client.request(Method::POST, &url).send();
                        assert!(answer.is_ok(), "request {n}: {answer:?}");
                    }
                })
            })
            .collect();
        let closing = task({
            let (client, done) = (client.clone(), done.clone());
            move || {
                while !done.load(Ordering::SeqCst) {
                    client.close_idle();
                    thread::yield_now();
                }
            }
        });
        threads.into_iter().for_each(Task::join);
        done.store(true, Ordering::SeqCst);
        closing.join();
        assert_eq!(served.load(Ordering::SeqCst), 200);
    }
}

#[test]
fn what_is_idle_is_bounded() {
    let client = builder().max_idle(3).build().unwrap();
    let peers: Vec<_> = (0..5).map(|_| Peer::new()).collect();
    let mut links: Vec<_> = peers.iter().map(|peer| idle(&client, peer)).collect();
    // One more is in use while the others are counted; those used longest ago go.
    let origins: Vec<_> = client.connections().into_iter().map(|row| row.origin).collect();
    assert_eq!(origins, peers[1..].iter().map(|peer| peer.url("")).collect::<Vec<_>>());
    assert_eq!(links[0].rest().iter().map(|f| f.kind).collect::<Vec<_>>(), [GOAWAY]);

    // Of one origin: each was full when the next one was made.
    let client = builder().max_idle_per_origin(1).more_connections_when_full().build().unwrap();
    let peer = Peer::new();
    let mut open = Vec::new();
    for _ in 0..3 {
        let asked = get(&client, &peer);
        let mut link = peer.h2_with(&[(MAX_CONCURRENT_STREAMS, 1)]);
        let head = link.request();
        open.push((asked, link, head));
        client.upkeep();
    }
    assert_eq!(states(&client), [ConnectionState::Active; 3]);
    let (slow, mut third, last) = open.pop().unwrap();
    for (asked, mut link, head) in open {
        link.answer(head.stream, 200, b"");
        asked.join().unwrap();
        links.push(link);
    }
    client.upkeep();
    assert_eq!(states(&client), [ConnectionState::Idle, ConnectionState::Active]);
    assert_eq!(links[5].rest().iter().map(|f| f.kind).collect::<Vec<_>>(), [GOAWAY]);
    third.answer(last.stream, 200, b"");
    slow.join().unwrap();
}

#[test]
fn nothing_is_kept_if_told_so() {
    for client in [builder().max_idle(0), builder().max_idle_per_origin(0)] {
        let (client, peer) = (client.build().unwrap(), Peer::new());
        for _ in 0..3 {
            // A connection that was only just made is not gone before its first request.
            let mut link = idle(&client, &peer);
            client.upkeep();
            assert!(client.connections().is_empty());
            assert_eq!(link.rest().iter().map(|f| f.kind).collect::<Vec<_>>(), [GOAWAY]);
        }
    }
}

#[test]
fn without_a_limit_of_the_peer_one_connection_is_never_full() {
    let client = builder().more_connections_when_full().build().unwrap();
    let peer = Peer::new();
    let mut link = idle(&client, &peer);
    let mut pending: Vec<Pending> = (0..150).map(|_| client.get(peer.url("/")).start()).collect();
    let heads: Vec<_> = (0..150).map(|_| link.request()).collect();
    peer.assert_no_more();
    for head in heads {
        link.answer(head.stream, 204, b"");
    }
    assert!(pending.drain(..).all(|pending| pending.wait().unwrap().reused()));
}

/// A connection that is being made has a row, and keeps its number.
#[cfg(feature = "tls")]
#[test]
fn what_is_being_made_is_in_the_table() {
    let (peer, client) = (Peer::new(), builder().build().unwrap());
    let url = peer.url("/").replace("http", "https");
    let cancel = Cancel::new();
    let request = client.get(&url).cancel_on(&cancel);
    let asked = task(|| request.send());
    // It has said hello, and waits for ours.
    let mut silent = peer.accept();
    silent.bytes(5);
    let table = client.connections();
    assert_eq!(table.len(), 1);
    assert_eq!((table[0].state, &*table[0].origin), (ConnectionState::Connecting, &url[..url.len() - 1]));
    assert_eq!((table[0].requests, table[0].bytes_in, client.stats().opened), (0, 0, 0));
    assert!(client.upkeep().is_empty(), "nothing is to be done about it");
    cancel.cancel();
    assert_eq!(asked.join().unwrap_err().kind(), ErrorKind::Cancelled);
    assert!(client.connections().is_empty());

    // One that the caller asked for.
    let client = builder().cancel_on(&cancel).build().unwrap();
    assert_eq!(client.connect(&url).unwrap_err().kind(), ErrorKind::Cancelled);
    assert!(client.connections().is_empty());
    let client = builder().build().unwrap();
    let connecting = task({
        let (client, url) = (client.clone(), url.clone());
        move || client.connect(url)
    });
    let mut silent = peer.accept();
    silent.bytes(5);
    assert_eq!(states(&client), [ConnectionState::Connecting]);
    client.shutdown();
    assert_eq!(connecting.join().unwrap_err().kind(), ErrorKind::Cancelled);
    assert!(client.connections().is_empty());
}

/// Writes down what happens to connections.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl Hook for Log {
    fn trace(&self, step: &Trace) {
        let line = match step {
            Trace::Connected { .. } => "connected".to_owned(),
            Trace::Reused { .. } => "reused".to_owned(),
            Trace::Retrying { attempt, pause, .. } => format!("retrying after {attempt}, {pause:?}"),
            Trace::Changed { from, to, .. } => format!("{from:?} to {to:?}"),
            Trace::Pinged { rtt, .. } => format!("pinged, answered {}", rtt.is_some()),
            Trace::Closed { reason, .. } => format!("closed {reason:?}"),
            Trace::Sent { .. } => "sent".to_owned(),
            _ => return,
        };
        self.0.lock().unwrap().push(line);
    }
}

#[test]
fn hooks_see_what_happens_to_connections() {
    let log = Log::default();
    let client = builder().hook(log.clone()).upkeep_interval(Duration::ZERO).build().unwrap();
    let peer = Peer::new();
    let mut link = idle(&client, &peer);
    client.upkeep();
    assert_eq!(
        log.take(),
        ["connected", "sent", "Idle to Active", "Active to Idle", "pinged, answered false"],
        "a first request, and upkeep"
    );
    let ping = link.expect(PING);
    link.ack(&ping);
    let asked = get(&client, &peer);
    let head = link.request();
    link.send(&[Frame::reset(head.stream, REFUSED_STREAM)]);
    let head = link.request();
    link.answer(head.stream, 200, b"");
    asked.join().unwrap();
    let lines = log.take();
    let (mut wanted, mut changes) = (vec!["reused", "sent", "retrying after 1, 0ns", "reused", "sent"], 0);
    for line in &lines {
        match line.as_str() {
            "pinged, answered true" => {}
            "Idle to Active" | "Active to Idle" => changes += 1,
            line => assert_eq!(line, wanted.remove(0), "{lines:?}"),
        }
    }
    assert!(wanted.is_empty() && changes >= 3, "{lines:?}");
    assert!(lines.contains(&"pinged, answered true".to_owned()), "{lines:?}");

    // The peer leaves with something under way.
    let asked = get(&client, &peer);
    let head = link.request();
    link.send(&[Frame::goaway(head.stream, NO_ERROR, b"")]);
    link.answer(head.stream, 200, b"");
    link.finish();
    asked.join().unwrap();
    client.upkeep();
    let lines = log.take();
    assert!(lines.contains(&"Active to Draining".to_owned()), "{lines:?}");
    assert_eq!(lines.iter().filter(|line| line.starts_with("closed")).collect::<Vec<_>>(), ["closed ByPeer"]);
}

/// What is too old and in use ends later, and for that reason.
#[test]
fn the_reason_of_a_drained_connection_is_its_age() {
    let log = Log::default();
    let client = builder().hook(log.clone()).max_lifetime(ms(100)).build().unwrap();
    let peer = Peer::new();
    let slow = get(&client, &peer);
    let mut first = peer.h2();
    let head = first.request();
    first.assert_quiet(ms(110));
    client.upkeep();
    first.expect(GOAWAY);
    first.answer(head.stream, 200, b"");
    slow.join().unwrap();
    assert!(first.rest().iter().all(|f| f.kind == GOAWAY));
    client.upkeep();
    let lines = log.take();
    assert_eq!(lines.iter().filter(|line| line.starts_with("closed")).collect::<Vec<_>>(), ["closed TooOld"]);
    assert_eq!(lines.last().map(String::as_str), Some("closed TooOld"), "{lines:?}");
}

#[test]
fn a_connection_that_takes_nothing_new_is_closed_with_its_last_exchange() {
    let peer = Peer::new();
    let client = builder().build().unwrap();
    let (first, second) = (get(&client, &peer), get(&client, &peer));
    let mut link = peer.h2();
    let streams = [link.request().stream, link.request().stream];
    link.send(&[Frame::goaway(streams[1], 0, b"")]);
    link.answer(streams[0], 200, b"one");
    link.assert_quiet(ms(50));
    assert_eq!(states(&client), [ConnectionState::Draining]);
    link.answer(streams[1], 200, b"two");
    // Nobody asks the pool for anything.
    let last: Vec<_> = link.rest().iter().map(|frame| (frame.kind, frame.code())).collect();
    assert_eq!(last, [(GOAWAY, 0)]);
    assert_eq!(states(&client), [ConnectionState::Closed(bowline::CloseReason::ByPeer)]);
    for answer in [first, second] {
        assert_eq!(answer.join().unwrap().text().unwrap().len(), 3);
    }
}

#[test]
fn a_wish_for_calm_on_a_connection_of_the_programs_own_is_heeded() {
    let peer = Peer::new();
    let client = builder().upkeep_interval(ms(100)).build().unwrap();
    let connecting = task({
        let (client, url) = (client.clone(), peer.url("/"));
        move || client.connect(url).unwrap()
    });
    let mut link = peer.accept();
    let connection = connecting.join();
    let asked = connection.get("/");
    let asked = task(|| asked.send());
    link.handshake(&[]);
    let stream = link.request().stream;
    link.send(&[Frame::goaway(stream, 11, b"too_many_pings")]);
    link.answer(stream, 204, b"");
    asked.join().unwrap();
    assert_eq!(link.rest().len(), 1);
    for _ in 0..2 {
        client.upkeep();
        assert_eq!(client.stats().calmed, 1);
    }
}
