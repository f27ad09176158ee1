//! What every error says: how far its request got, on which connection, and in how many attempts.

#![allow(clippy::duplicate_mod, reason = "the helpers for both kinds of peers bring the same few lines about time")]

#[path = "support/h2client.rs"]
mod h2client;
#[path = "support/h2peer.rs"]
mod h2peer;
mod support;

use bowline::{Error, ErrorKind, Phase, Processed, http::Method};
use h2peer::{Frame, Peer, task};
use std::{
    io::{Read, Write},
    sync::{Mutex, mpsc},
    time::Duration,
};
use support::{ms, pass, peer};

/// Reads a body until it fails, and then once more.
fn fails_twice(mut body: bowline::Body) -> [Error; 2] {
    let mut read = || {
        let mut buf = [0; 64];
        loop {
            match body.read(&mut buf) {
                Ok(n) => assert!(n > 0, "it ended as if it were whole"),
                Err(e) => return Error::from(e),
            }
        }
    };
    [read(), read()]
}

#[track_caller]
fn assert_told(errors: [Error; 2], kind: ErrorKind, attempts: u32, reused: bool) {
    for e in errors {
        assert_eq!((e.kind(), e.phase(), e.processed()), (kind, Phase::Body, Processed::Yes), "{e:?}");
        assert_eq!((e.attempts(), e.reused(), e.is_retryable()), (attempts, Some(reused), false), "{e:?}");
        assert!(e.elapsed() > Duration::ZERO, "{e:?}");
    }
}

#[test]
fn an_error_of_a_body_tells_of_the_whole_request() {
    let peer = peer(|n, mut conn| {
        match n {
            0 => {
                conn.request().unwrap();
                conn.answer("whole");
                // The next request is not answered, and comes again on another connection.
                conn.request().unwrap();
            }
            _ => {
                conn.request().unwrap();
                conn.answer("whole");
                let Some(request) = conn.request() else { return };
                let silent = request.target == "/silent";
                conn.say("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\ncut");
                if silent {
                    conn.rest();
                }
            }
        };
    });
    let client = support::client();
    let ask = |path| client.get(peer.url(path)).read_timeout(ms(50)).send().unwrap();
    assert_eq!(ask("/").text().unwrap(), "whole");
    assert_eq!(ask("/").attempts(), 2);
    for (path, kind) in [("/cut", ErrorKind::Closed), ("/silent", ErrorKind::TimedOut)] {
        let response = ask(path);
        let id = response.connection().id;
        let errors = fails_twice(response.into_body());
        for e in &errors {
            assert_eq!(e.connection().map(|row| row.id), Some(id), "{path}");
            assert!(e.bytes_written() > 30, "{path}: {}", e.bytes_written());
        }
        assert_told(errors, kind, 1, true);
        assert_eq!(ask("/").text().unwrap(), "whole");
    }
}

#[test]
fn so_does_that_of_a_stream_that_is_reset_after_a_repetition() {
    let peer = Peer::new();
    let client = h2client::builder().build().unwrap();
    let mut link = h2client::idle(&client, &peer);
    let asked = task({
        let request = client.post(peer.url("/")).body("text");
        || request.send()
    });
    let (refused, _) = link.request_with_body();
    link.send(&[Frame::reset(refused, 7)]);
    let (stream, _) = link.request_with_body();
    link.send(&[
        Frame::headers(stream, 0, &[(":status", "200")]),
        Frame::data(stream, b"abc"),
        Frame::reset(stream, 2),
    ]);
    let errors = fails_twice(asked.join().unwrap().into_body());
    assert!(errors.iter().all(|e| e.connection().is_some() && e.bytes_written() > 4), "{errors:?}");
    assert_told(errors, ErrorKind::Reset, 2, true);
}

#[test]
fn an_answer_that_cannot_be_is_an_answer() {
    for (frame, processed) in [
        (Frame::headers(1, 4 | 1, &[(":status", "200"), ("Upper", "case")]), Processed::Yes),
        (Frame::window_update(1, 0), Processed::Maybe),
    ] {
        let peer = Peer::new();
        let asked = h2client::get(&h2client::builder().build().unwrap(), &peer);
        let mut link = peer.h2();
        link.request();
        link.send(&[frame]);
        let e = asked.join().unwrap_err();
        assert_eq!((e.kind(), e.processed(), e.attempts()), (ErrorKind::PeerViolation, processed, 1), "{e}");
    }
}

#[test]
fn a_request_that_never_began_was_waiting_for_its_place() {
    let client = support::client();
    let cancel = bowline::Cancel::new();
    cancel.cancel();
    let e = client.get("http://127.0.0.1:9/").cancel_on(&cancel).send().unwrap_err();
    assert_eq!((e.kind(), e.phase(), e.processed()), (ErrorKind::Cancelled, Phase::Slot, Processed::No));
    client.shutdown();
    for started in [false, true] {
        let request = client.get("http://127.0.0.1:9/");
        let e = if started { request.start().wait() } else { request.send() }.unwrap_err();
        assert_eq!((e.kind(), e.phase(), e.processed()), (ErrorKind::Cancelled, Phase::Slot, Processed::No));
        assert_eq!((e.attempts(), e.bytes_written(), e.reused()), (0, 0, None));
    }
}

#[test]
fn a_connection_of_the_programs_own_that_is_over_had_served() {
    let peer = peer(|_, mut conn| {
        conn.request().unwrap();
        conn.answer("last");
    });
    let connection = support::client().connect(peer.url("/")).unwrap();
    assert_eq!(connection.get("/").send().unwrap().text().unwrap(), "last");
    for _ in 0..2 {
        let e = connection.get("/").send().unwrap_err();
        assert_eq!((e.kind(), e.reused(), e.attempts()), (ErrorKind::Closed, Some(true), 1), "{e}");
    }
}

#[cfg(feature = "gzip")]
#[test]
fn so_does_that_of_a_body_that_cannot_be_decoded() {
    let peer = peer(|_, mut conn| {
        conn.request().unwrap();
        conn.say("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nnone");
        conn.rest();
    });
    let response = support::client().get(peer.url("/")).send().unwrap();
    assert_told(fails_twice(response.into_body()), ErrorKind::Content, 1, false);
}

/// The errors of who writes a body are errors of the request, as are those of who waits for its answer.
#[test]
fn an_error_of_a_body_that_is_written_tells_of_the_whole_request() {
    let (tell, told) = mpsc::channel();
    let tell = Mutex::new(tell);
    let peer = peer(move |_, mut conn| {
        while let Some(head) = conn.head() {
            if head.method == "GET" {
                conn.answer("first");
                continue;
            }
            conn.chunk().unwrap();
            if head.target == "/silent" {
                conn.rest();
            }
            drop(conn);
            return tell.lock().unwrap().send(()).unwrap();
        }
    });
    for (method, retryable) in [(Method::POST, false), (Method::PUT, true)] {
        let client = support::client();
        client.get(peer.url("/")).send().unwrap().text().unwrap();
        let (mut writer, pending) = client.request(method.clone(), peer.url("/")).duplex().unwrap();
        writer.write_all(b"written").unwrap();
        told.recv().unwrap();
        // The end of the connection shows sooner or later.
        let e = loop {
            if let Err(e) = writer.write_all(b"x").and_then(|()| writer.flush()) {
                break Error::from(e);
            }
        };
        assert_eq!((e.kind(), e.phase(), e.processed()), (ErrorKind::Closed, Phase::Send, Processed::Maybe), "{e:?}");
        assert_eq!((e.attempts(), e.reused(), e.is_retryable()), (1, Some(true), retryable), "{e:?}");
        assert!(e.elapsed() > Duration::ZERO && e.bytes_written() > 7 && e.connection().is_some(), "{e:?}");
        let e = pending.wait().unwrap_err();
        assert_eq!((e.kind(), e.processed(), e.attempts()), (ErrorKind::Closed, Processed::Maybe, 1), "{e:?}");
        assert_eq!((e.reused(), e.is_retryable()), (Some(true), retryable), "{e:?}");

        let limit = ms(200);
        let client = support::client();
        let request = client.request(method, peer.url("/silent")).timeout(limit);
        let (mut writer, _pending) = request.duplex().unwrap();
        writer.write_all(b"written").unwrap();
        pass(limit);
        let e = Error::from(writer.write_all(b"x").unwrap_err());
        assert_eq!((e.kind(), e.phase(), e.processed()), (ErrorKind::TimedOut, Phase::Send, Processed::Maybe), "{e:?}");
        assert_eq!((e.attempts(), e.reused(), e.is_retryable()), (1, Some(false), retryable), "{e:?}");
        assert!(e.elapsed() >= limit && e.to_string().contains("200ms"), "{e:?}");
        drop(writer);
        told.recv().unwrap();
    }
}

/// What the peer says that it did not process was not, whoever hears of it.
#[test]
fn a_body_that_is_written_to_a_peer_that_refuses_it_was_not_processed() {
    for frame in [|id| Frame::goaway(id - 1, 0, b""), |id| Frame::reset(id, h2peer::REFUSED_STREAM)] {
        let peer = Peer::new();
        let client = h2client::builder().build().unwrap();
        let request = client.put(peer.url("/"));
        let writing = task(|| {
            let (mut writer, pending) = request.duplex().unwrap();
            writer.write_all(b"written").unwrap();
            // A body that is written is sent once.
            let refused = pending.wait().unwrap_err();
            [Error::from(writer.write_all(b"x").unwrap_err()), refused]
        });
        let mut link = peer.h2();
        let stream = link.request().stream;
        link.skip_to(h2peer::DATA);
        link.send(&[frame(stream)]);
        for e in writing.join() {
            assert_eq!((e.kind(), e.processed(), e.attempts()), (ErrorKind::Refused, Processed::No, 1), "{e:?}");
            assert_eq!((e.reused(), e.is_retryable()), (Some(false), true), "{e:?}");
            assert!(e.bytes_written() > 7 && e.elapsed() > Duration::ZERO, "{e:?}");
        }
        peer.assert_no_more();
    }
}
