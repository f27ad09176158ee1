//! What is read or sent for somebody else, and what is left to the request's owner.

use super::*;
use crate::support::{Pattern, ms, prompt};
use bowline::{Body, ErrorKind, Hook, Processed, Redirects, Timeouts, Trace};
use std::{io::Read, thread};

/// What the program has in its hands is its own: nobody reads it, and it is whole.
#[test]
fn an_answer_that_was_given_is_not_touched() {
    let (peer, _log) = world();
    let client = capped(1);
    const LEN: usize = 3_000_000;
    let response = client.get(peer.url(&format!("/big/{LEN}"))).start().wait().unwrap();
    let mut waiting = client.get(peer.url("/2")).start();
    assert!(waiting.wait_timeout(ms(50)).unwrap().is_none());
    let error = client.get(peer.url("/3")).timeouts(Timeouts::none().slot(ms(100))).send().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PoolTimeout);
    assert_eq!(response.bytes().unwrap().len(), LEN);
}

/// What ends while it is read for somebody else is repeated by the rules, by its owner.
#[test]
fn a_kept_connection_that_ended_is_replaced_by_the_owner() {
    // Each connection answers one request, reads the next one, and ends.
    let log = Log::default();
    let shared = log.clone();
    let peer = peer(move |_, mut conn| {
        for answers in [true, false] {
            let Some(request) = conn.request() else { return };
            shared.add(&format!("{} {}", request.method, request.target));
            if answers {
                conn.answer(&format!("{} 0", request.target));
            }
        }
    });
    for (method, repeated) in [("GET", true), ("POST", false)] {
        let client = capped(1);
        let seen = log.all().len();
        let first = client.get(peer.url("/1")).start();
        let second = client.request(method.parse().unwrap(), peer.url("/2")).start();
        // It reads the answer of the first, sends the second, sees it fail, and goes on a new connection.
        prompt(|| read(client.get(peer.url("/3")).send().unwrap(), 3));
        let sent =
            |n: usize| log.all().split_off(seen).into_iter().filter(|target| target.ends_with("/2")).count() == n;
        assert!(sent(1), "{:?}", log.all());
        // Who owns it decides. The connection of the third ends with the next request on it, too: no rule allows a third attempt.
        client.close_idle();
        match second.wait() {
            Ok(response) => {
                assert!(repeated);
                assert_eq!(response.attempts(), 2);
                read(response, 2);
                assert!(sent(2), "{:?}", log.all());
            }
            Err(error) => {
                assert!(!repeated, "{error}");
                assert_eq!((error.kind(), error.processed()), (ErrorKind::Closed, Processed::Maybe));
                assert_eq!((error.reused(), error.attempts()), (Some(true), 1));
                assert!(error.bytes_written() > 0);
                assert!(sent(1), "{:?}", log.all());
            }
        }
        read(first.wait().unwrap(), 1);
        assert_eq!(client.stats().in_flight, 0);
    }
}

/// A body that is cut while nobody asks for it is an error of that body, and frees the connection.
#[test]
fn a_body_that_is_cut_frees_the_connection() {
    let peer = peer(|n, mut conn| {
        if n > 0 {
            return conn.serve();
        }
        conn.request().unwrap();
        conn.say("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
    });
    let client = capped(1);
    let first = client.get(peer.url("/1")).start();
    assert_eq!(prompt(|| client.get(peer.url("/2")).send()).unwrap().text().unwrap(), "0 /2");
    let mut body = first.wait().unwrap().into_body();
    let mut half = [0; 4];
    body.read_exact(&mut half).unwrap();
    assert_eq!(&half, b"half");
    assert!(body.read(&mut half).is_err(), "it is not complete");
}

/// Bodies go out, too, while others are waited for.
#[test]
fn a_body_is_sent_by_those_who_wait_behind_it() {
    const LEN: usize = 20_000_000;
    let (peer, log) = world();
    for in_memory in [true, false] {
        let client = capped(1);
        let seen = log.all().len();
        let with_body = |request: bowline::RequestBuilder| match in_memory {
            true => request.body(vec![b'x'; LEN]),
            false => request.body(Body::from_reader(Pattern::new(LEN as u64)).with_len(LEN as u64)),
        };
        let first = with_body(client.post(peer.url("/1"))).start();
        let second = client.get(peer.url("/2")).start();
        let third = with_body(client.put(peer.url("/3"))).start();
        read(client.get(peer.url("/4")).send().unwrap(), 4);
        assert_eq!(log.all().split_off(seen), targets(4));
        assert_eq!(third.wait().unwrap().text().unwrap(), format!("/3 {LEN}"));
        read(second.wait().unwrap(), 2);
        assert_eq!(first.wait().unwrap().text().unwrap(), format!("/1 {LEN}"));
    }
}

/// A reader of the program's is not called in a thread that did not bring it.
#[test]
fn a_reader_is_not_called_for_others() {
    struct Home(thread::ThreadId, Pattern);
    impl Read for Home {
        fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
            assert_eq!(thread::current().id(), self.0);
            self.1.read(buf)
        }
    }
    let (peer, _log) = world();
    let client = capped(1);
    let reader = Home(thread::current().id(), Pattern::new(20_000_000));
    let first = client.post(peer.url("/1")).body(Body::from_reader(reader)).start();
    let waiting = {
        let (client, url) = (client.clone(), peer.url("/2"));
        thread::spawn(move || client.get(url).timeouts(Timeouts::none().slot(ms(100))).send().map(|_| ()))
    };
    assert_eq!(waiting.join().unwrap().unwrap_err().kind(), ErrorKind::PoolTimeout);
    assert_eq!(first.wait().unwrap().text().unwrap(), "/1 20000000");
}

/// What the hooks of a request are told is told when it is waited for, in the thread that waits.
#[test]
fn hooks_are_called_for_who_waits() {
    #[derive(Clone)]
    struct Told(Arc<Mutex<Vec<(String, thread::ThreadId)>>>);
    impl Hook for Told {
        fn trace(&self, step: &Trace) {
            let told = match step {
                Trace::Sent { .. } => "sent",
                Trace::Reused { .. } => "reused",
                Trace::Informational { .. } => "informational",
                Trace::Answered { .. } => "answered",
                _ => return,
            };
            self.0.lock().unwrap().push((told.to_owned(), thread::current().id()));
        }
    }
    let peer = peer(|_, mut conn| {
        while let Some(request) = conn.request() {
            conn.say("HTTP/1.1 103 Early Hints\r\nLink: </style>\r\n\r\n");
            conn.answer(&format!("{} 0", request.target));
        }
    });
    let told = Told(Arc::default());
    let client = builder().max_connections_per_origin(1).hook(told.clone()).build().unwrap();
    let take = || std::mem::take(&mut *told.0.lock().unwrap());
    let first = client.get(peer.url("/1")).start();
    let second = client.get(peer.url("/2")).start();
    take();
    let other = {
        let (client, url) = (client.clone(), peer.url("/3"));
        thread::spawn(move || {
            read(client.get(url).send().unwrap(), 3);
            thread::current().id()
        })
    };
    let other = other.join().unwrap();
    let steps = |told: Vec<(String, thread::ThreadId)>, thread| -> Vec<String> {
        told.into_iter().map(|(step, by)| (by == thread).then_some(step).expect("in the thread that waits")).collect()
    };
    assert_eq!(steps(take(), other), ["reused", "sent", "informational", "answered"]);
    read(second.wait().unwrap(), 2);
    assert_eq!(steps(take(), thread::current().id()), ["reused", "sent", "informational", "answered"]);
    read(first.wait().unwrap(), 1);
    assert_eq!(steps(take(), thread::current().id()), ["informational", "answered"]);
}

/// A redirect that was read for somebody else is followed by its owner.
#[test]
fn a_redirect_waits_for_its_owner() {
    let (peer, log) = world();
    let client = builder().max_connections_per_origin(1).redirects(Redirects::Follow(3)).build().unwrap();
    let first = client.get(peer.url("/moved")).start();
    read(client.get(peer.url("/2")).send().unwrap(), 2);
    assert_eq!(log.all(), ["/moved", "/2"]);
    let second = client.get(peer.url("/wait")).timeout(ms(50)).start();
    // It waits in line like others.
    let response = first.wait().unwrap();
    assert_eq!((response.history().len(), response.text().unwrap().as_str()), (1, "/there 0"));
    assert_eq!(second.wait().unwrap_err().kind(), ErrorKind::TimedOut);
}

/// How long the peer keeps a connection counts also when its answer was read for somebody else.
#[test]
fn a_connection_is_kept_as_long_as_the_peer_says() {
    let peer = peer(|n, mut conn| {
        while let Some(request) = conn.request() {
            let keep = if n == 0 { "Keep-Alive: timeout=1\r\n" } else { "" };
            conn.say(format!("HTTP/1.1 200 OK\r\n{keep}Content-Length: 0\r\n\r\n"));
            drop(request);
        }
    });
    let client = capped(1);
    let first = client.get(peer.url("/1")).start();
    client.get(peer.url("/2")).send().unwrap();
    first.wait().unwrap();
    assert_eq!(peer.connections(), 2, "a second less than it says is none");
}
