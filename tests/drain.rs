//! What a client that takes no new requests does with those that were begun.

mod support;

use bowline::{Attempt, Body, ErrorKind, Hook, Phase, Processed, Result, Timeouts, http::Request};
use std::{sync::mpsc, thread};
use support::{GUARD, builder, ms, peer};

/// Tells of every request that has begun.
struct Begun(mpsc::Sender<()>);

impl Hook for Begun {
    fn before(&self, _: &mut Request<Body>, _: &Attempt) -> Result<()> {
        let _ = self.0.send(());
        Ok(())
    }
}

#[test]
fn what_waits_for_a_place_when_a_drain_begins_is_served() {
    let (arrived, arrivals) = mpsc::channel();
    let (go, answers) = mpsc::channel::<()>();
    let answers = std::sync::Mutex::new(answers);
    let peer = peer(move |n, mut conn| {
        while let Some(request) = conn.request() {
            arrived.send((n, request.target)).unwrap();
            answers.lock().unwrap().recv().unwrap();
            conn.answer("served");
        }
    });
    let (begins, begun) = mpsc::channel();
    let client = builder().max_connections_per_origin(1).hook(Begun(begins)).build().unwrap();
    let send = |path| {
        let request = client.get(peer.url(path));
        thread::spawn(move || request.send()?.text())
    };
    let first = send("/first");
    assert_eq!(arrivals.recv_timeout(GUARD).unwrap(), (0, "/first".to_owned()));
    let second = send("/second");
    for _ in 0..2 {
        begun.recv_timeout(GUARD).unwrap();
    }
    assert_eq!(client.drain(ms(50)), 2);
    for started in [false, true] {
        let late = client.get(peer.url("/late"));
        let e = if started { late.start().wait() } else { late.send() }.unwrap_err();
        assert_eq!((e.kind(), e.phase(), e.processed()), (ErrorKind::Cancelled, Phase::Slot, Processed::No), "{e}");
    }
    go.send(()).unwrap();
    assert_eq!(first.join().unwrap().unwrap(), "served");
    // The connection of the first was told that it was its last.
    assert_eq!(arrivals.recv_timeout(GUARD).unwrap(), (1, "/second".to_owned()));
    go.send(()).unwrap();
    assert_eq!(second.join().unwrap().unwrap(), "served");
    assert_eq!(client.drain(GUARD), 0);
    assert!(client.connections().is_empty());
}

#[test]
fn a_shutdown_ends_what_waits_for_a_place() {
    let (arrived, arrivals) = mpsc::channel();
    let peer = peer(move |_, mut conn| {
        conn.request().unwrap();
        arrived.send(()).unwrap();
        conn.rest();
    });
    let (begins, begun) = mpsc::channel();
    let client =
        builder().max_connections_per_origin(1).timeouts(Timeouts::none()).hook(Begun(begins)).build().unwrap();
    let send = || {
        let request = client.get(peer.url("/"));
        thread::spawn(move || request.send().unwrap_err())
    };
    let first = send();
    arrivals.recv_timeout(GUARD).unwrap();
    let second = send();
    for _ in 0..2 {
        begun.recv_timeout(GUARD).unwrap();
    }
    assert_eq!(client.drain(ms(50)), 2);
    client.shutdown();
    for (thread, processed) in [(first, Processed::Maybe), (second, Processed::No)] {
        let e = thread.join().unwrap();
        assert_eq!((e.kind(), e.processed()), (ErrorKind::Cancelled, processed), "{e}");
    }
    assert_eq!(client.drain(GUARD), 0);
}
