//! Code of the program's that panics on a thread that reads or writes for others: wires and hooks. What the other threads asked for
//! goes on, or fails at once; nothing waits for a role that nobody has any more.

#[path = "support/h2peer.rs"]
mod h2peer;
#[path = "support/wires.rs"]
mod wires;

use bowline::{Attempt, Client, Error, ErrorKind, Hook, Processed, Protocol, Response, Result, Verdict, http::Method};
use h2peer::*;
use std::time::Duration;
use wires::{Fate, Wires};

fn ask(client: &Client, peer: &Peer, method: Method) -> Task<Result<Response>> {
    let request = client.request(method, peer.url("/"));
    task(|| request.send())
}

/// How a thread that asked ended: by the panic, or with its answer.
type Ended = std::thread::Result<Result<Response>>;

fn ended(asked: [Task<Result<Response>>; 2]) -> (usize, Vec<Result<Response>>) {
    let results: Vec<Ended> =
        asked.into_iter().map(|task| std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| task.join()))).collect();
    let panicked = results.iter().filter(|r| r.is_err()).count();
    (panicked, results.into_iter().flatten().collect())
}

#[test]
fn a_wire_that_panics_on_the_reading_thread() {
    for (method, repeated) in [(Method::GET, true), (Method::POST, false)] {
        let wires = Wires::default();
        let client = Client::builder().protocol(Protocol::Http2).proxy(None).connector(wires.clone()).build().unwrap();
        let peer = Peer::new();
        let first = ask(&client, &peer, method.clone());
        let mut link = peer.h2();
        link.request();
        let second = ask(&client, &peer, method.clone());
        let stream = link.request().stream;
        wires.meet(Fate::PanicsReading);
        link.answer(stream, 200, b"never read");
        if repeated {
            // The one that only waited asks again.
            let mut next = peer.h2();
            let head = next.request();
            next.answer(head.stream, 200, b"again");
            let (panicked, answers) = ended([first, second]);
            assert_eq!((panicked, answers.len()), (1, 1));
            let answer = answers.into_iter().next().unwrap().unwrap();
            assert_eq!(answer.text().unwrap(), "again");
        } else {
            let (panicked, answers) = ended([first, second]);
            assert_eq!((panicked, answers.len()), (1, 1));
            let e = answers.into_iter().next().unwrap().unwrap_err();
            assert_eq!((e.kind(), e.processed()), (ErrorKind::Closed, Processed::Maybe), "{e}");
            // The client serves on.
            let asked = ask(&client, &peer, method);
            let mut next = peer.h2();
            let head = next.request();
            next.answer(head.stream, 200, b"");
            asked.join().unwrap();
        }
        assert_eq!(client.connections().len(), 1);
    }
}

#[test]
fn a_wire_that_panics_on_the_writing_thread() {
    let wires = Wires::default();
    let client = Client::builder().protocol(Protocol::Http2).proxy(None).connector(wires.clone()).build().unwrap();
    let peer = Peer::new();
    let waits = ask(&client, &peer, Method::POST);
    let mut link = peer.h2();
    link.request();
    // Once our SETTINGS are acknowledged the thread that waits has nothing to write.
    while !link.next().is_ack() {}
    wires.meet(Fate::PanicsWriting);
    let writes = ask(&client, &peer, Method::POST);
    let (panicked, answers) = ended([waits, writes]);
    assert_eq!((panicked, answers.len()), (1, 1));
    let e = answers.into_iter().next().unwrap().unwrap_err();
    assert_eq!((e.kind(), e.processed()), (ErrorKind::Closed, Processed::Maybe), "{e}");
    let asked = ask(&client, &peer, Method::POST);
    let mut next = peer.h2();
    let head = next.request();
    next.answer(head.stream, 200, b"");
    asked.join().unwrap();
}

/// Panics at the answer to a request with this path.
struct Clumsy;

impl Hook for Clumsy {
    fn after(&self, attempt: &Attempt, _: Result<&Response, &Error>) -> Verdict {
        assert!(attempt.url.path() != "/panic", "as the test wants it: a hook");
        Verdict::Pass
    }
}

#[test]
fn a_hook_that_panics_on_the_reading_thread() {
    let client = Client::builder().protocol(Protocol::Http2).proxy(None).hook(Clumsy).build().unwrap();
    let peer = Peer::new();
    let request = client.get(peer.url("/panic"));
    let leads = task(|| request.send());
    let mut link = peer.h2();
    let doomed = link.request().stream;
    let follows = ask(&client, &peer, Method::POST);
    let stream = link.request().stream;
    link.answer(doomed, 200, b"");
    assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| leads.join())).is_err());
    follows.assert_waiting();
    link.answer(stream, 200, b"unhurt");
    assert_eq!(follows.join().unwrap().text().unwrap(), "unhurt");
    peer.assert_no_more();
    assert_eq!(client.stats().in_flight, 0);
}

/// What upkeep has taken off the shelf comes back, and its place with it.
#[test]
fn a_wire_that_panics_in_upkeep_takes_no_place() {
    for asked_before in [false, true] {
        let wires = Wires::default();
        let client = Client::builder()
            .proxy(None)
            .connector(wires.clone())
            .max_connections_per_origin(1)
            .upkeep_interval(Duration::ZERO)
            .upkeep_request(Method::HEAD, "/")
            .build()
            .unwrap();
        let peer = Peer::new();
        let answer = |link: &mut Link| {
            link.bytes_until(b"\r\n\r\n");
            link.send_bytes(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        };
        let asked = ask(&client, &peer, Method::GET);
        let mut first = peer.accept();
        answer(&mut first);
        asked.join().unwrap().bytes().unwrap();
        if asked_before {
            client.upkeep();
            answer(&mut first);
        }
        wires.meet(Fate::PanicsReading);
        let kept = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| client.upkeep_wait(PATIENCE)));
        assert!(kept.is_err(), "it read nothing");
        let asked = ask(&client, &peer, Method::GET);
        answer(&mut peer.accept());
        asked.join().unwrap();
    }
}
