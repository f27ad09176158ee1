//! What is repeated and what is not when an HTTP/2 peer goes away, counted at the peer.
//!
//! In the races every request has a body that names it, so the peer knows which arrived how often: PUT is idempotent, POST is not.

mod leaving;
mod written;

use crate::{
    h2client::{idle_with, ms},
    h2peer::*,
};
use bowline::{
    Batch, Body, Cancel, Client, ClientBuilder, Connection, ErrorKind, Phase, Processed, Protocol, Response, Result,
    Retry, Timeouts,
    http::{Method, Version},
};
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Barrier, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Instant,
};

fn builder() -> ClientBuilder {
    Client::builder().protocol(Protocol::Http2).proxy(None).timeout(PATIENCE)
}

fn client() -> Client {
    builder().build().unwrap()
}

fn send(client: &Client, peer: &Peer, method: Method) -> Task<Result<Response>> {
    let request = client.request(method, peer.url("/")).body("body");
    task(|| request.send())
}

/// The ways to wait for a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Send,
    Wait,
    Look,
    Batch,
}

/// Makes a request and waits for its answer in this way.
fn send_by(way: Way, client: &Client, peer: &Peer, method: Method) -> Task<Result<Response>> {
    let request = client.request(method, peer.url("/")).body("body");
    task(move || match way {
        Way::Send => request.send(),
        Way::Wait => request.start().wait(),
        Way::Look => {
            let mut pending = request.start();
            loop {
                if let Some(answer) = pending.wait_timeout(ms(1))? {
                    return Ok(answer);
                }
            }
        }
        Way::Batch => {
            let mut batch = Batch::new();
            batch.push(request.start(), ());
            batch.next().expect("one answer").1
        }
    })
}

fn idle(client: &Client, peer: &Peer) -> Link {
    let asked = send(client, peer, Method::GET);
    let mut link = peer.h2();
    let (stream, _) = link.request_with_body();
    link.answer(stream, 200, b"hi");
    assert_eq!(asked.join().unwrap().text().unwrap(), "hi");
    link
}

/// Serves one request on a new connection.
fn serve_one(peer: &Peer) -> Link {
    let mut link = peer.h2();
    let (stream, body) = link.request_with_body();
    assert_eq!(body, b"body");
    link.answer(stream, 200, b"");
    link
}

/// What a peer does about a request: the fault, whether it is repeated for a POST and for a GET, and the error if not.
struct Row {
    name: &'static str,
    act: fn(&mut Link, u32),
    post: bool,
    get: bool,
    kind: ErrorKind,
    processed: Processed,
}

#[test]
fn what_is_repeated_on_a_new_connection() {
    use Processed::{Maybe, No};
    #[rustfmt::skip]
    let rows = [
        Row { name: "GOAWAY below", act: |link, id| link.send(&[Frame::goaway(id.saturating_sub(2), NO_ERROR, b"")]),
            post: true, get: true, kind: ErrorKind::Refused, processed: No },
        Row { name: "GOAWAY below, then the end", act: |link, id| { link.send(&[Frame::goaway(id.saturating_sub(2), NO_ERROR, b"")]); link.finish(); },
            post: true, get: true, kind: ErrorKind::Refused, processed: No },
        Row { name: "GOAWAY at 2^31-1, then below", act: |link, id| link.send(&[Frame::goaway(0x7fff_ffff, NO_ERROR, b""), Frame::goaway(id.saturating_sub(2), NO_ERROR, b"")]),
            post: true, get: true, kind: ErrorKind::Refused, processed: No },
        Row { name: "GOAWAY with an error", act: |link, id| link.send(&[Frame::goaway(id.saturating_sub(2), INTERNAL_ERROR, b"")]),
            post: true, get: true, kind: ErrorKind::Refused, processed: No },
        Row { name: "GOAWAY at the stream, then the end", act: |link, id| { link.send(&[Frame::goaway(id, NO_ERROR, b"")]); link.finish(); },
            post: false, get: true, kind: ErrorKind::Closed, processed: Maybe },
        Row { name: "GOAWAY with an error at the stream, then the end", act: |link, id| { link.send(&[Frame::goaway(id, INTERNAL_ERROR, b"")]); link.finish(); },
            post: false, get: true, kind: ErrorKind::Closed, processed: Maybe },
        Row { name: "the end", act: |link, _| link.finish(),
            post: false, get: true, kind: ErrorKind::Closed, processed: Maybe },
        Row { name: "a cut frame", act: |link, _| { link.send_bytes(&[0, 0, 9, 0]); link.finish(); },
            post: false, get: true, kind: ErrorKind::Closed, processed: Maybe },
        Row { name: "a frame of a head that goes on in another, and the end", act: |link, id| { link.send(&[Frame::new(HEADERS, END_STREAM, id, [0x88])]); link.finish(); },
            post: false, get: false, kind: ErrorKind::Closed, processed: Processed::Yes },
        Row { name: "the header of the frame of a head, and the end", act: |link, id| { link.send_bytes(&Frame::headers(id, 0, &[(":status", "200")]).bytes()[..9]); link.finish(); },
            post: false, get: false, kind: ErrorKind::Closed, processed: Processed::Yes },
        Row { name: "a cut frame of a head, and the end", act: |link, id| { link.send_bytes(&Frame::headers(id, 0, &[(":status", "200")]).bytes()[..11]); link.finish(); },
            post: false, get: false, kind: ErrorKind::Closed, processed: Processed::Yes },
        Row { name: "the head of another stream, and the end", act: |link, id| { link.send_bytes(&Frame::headers(id + 2, 0, &[(":status", "200")]).bytes()[..9]); link.finish(); },
            post: false, get: true, kind: ErrorKind::Closed, processed: Maybe },
        Row { name: "a 1xx and the end", act: |link, id| { link.send(&[Frame::headers(id, 0, &[(":status", "103")])]); link.finish(); },
            post: false, get: false, kind: ErrorKind::Closed, processed: Processed::Yes },
        Row { name: "a 1xx and GOAWAY below", act: |link, id| link.send(&[Frame::headers(id, 0, &[(":status", "103")]), Frame::goaway(id.saturating_sub(2), NO_ERROR, b"")]),
            post: false, get: false, kind: ErrorKind::Closed, processed: Processed::Yes },
        Row { name: "a 1xx and RST_STREAM(REFUSED_STREAM)", act: |link, id| link.send(&[Frame::headers(id, 0, &[(":status", "103")]), Frame::reset(id, REFUSED_STREAM)]),
            post: false, get: false, kind: ErrorKind::Reset, processed: Processed::Yes },
        Row { name: "a 1xx and RST_STREAM(HTTP_1_1_REQUIRED)", act: |link, id| link.send(&[Frame::headers(id, 0, &[(":status", "103")]), Frame::reset(id, HTTP_1_1_REQUIRED)]),
            post: false, get: false, kind: ErrorKind::Reset, processed: Processed::Yes },
        Row { name: "RST_STREAM with another code", act: |link, id| link.send(&[Frame::reset(id, INTERNAL_ERROR)]),
            post: false, get: false, kind: ErrorKind::Reset, processed: Maybe },
        Row { name: "RST_STREAM(CANCEL)", act: |link, id| link.send(&[Frame::reset(id, CANCEL)]),
            post: false, get: false, kind: ErrorKind::Reset, processed: Maybe },
        Row { name: "a violation of the connection", act: |link, _| link.send(&[Frame::new(DATA, 0, 0, [])]),
            post: false, get: false, kind: ErrorKind::PeerViolation, processed: Maybe },
        Row { name: "a violation of the stream", act: |link, id| link.send(&[Frame::headers(id, END_STREAM, &[("no", "status")])]),
            post: false, get: false, kind: ErrorKind::PeerViolation, processed: Processed::Yes },
    ];
    for (way, fresh) in
        [(Way::Send, true), (Way::Send, false), (Way::Wait, false), (Way::Look, false), (Way::Batch, false)]
    {
        for row in &rows {
            for (method, again) in [(Method::POST, row.post), (Method::GET, row.get)] {
                let case = format!("{} for {method}, fresh connection: {fresh}, {way:?}", row.name);
                let (peer, client) = (Peer::new(), client());
                let mut reused = if fresh { None } else { Some(idle(&client, &peer)) };
                let asked = send_by(way, &client, &peer, method);
                let mut link = reused.take().unwrap_or_else(|| peer.h2());
                let (stream, _) = link.request_with_body();
                (row.act)(&mut link, stream);
                if again {
                    let _second = serve_one(&peer);
                    let answer = asked.join().unwrap_or_else(|e| panic!("{case}: {e:?}"));
                    assert!(!answer.reused(), "{case}");
                    assert_eq!(client.stats().retries, 1, "{case}");
                } else {
                    let e = asked.join().expect_err(&case);
                    assert_eq!((e.kind(), e.processed(), e.attempts()), (row.kind, row.processed, 1), "{case}: {e}");
                    assert_eq!((e.reused(), e.phase()), (Some(!fresh), Phase::FirstByte), "{case}");
                    assert!(e.bytes_written() > 0 && e.connection().is_some(), "{case}");
                    peer.assert_no_more();
                    assert_eq!(client.stats().retries, 0, "{case}");
                }
            }
        }
    }
}

#[test]
fn nothing_is_repeated_if_told_so() {
    for fresh in [true, false] {
        let (peer, client) = (Peer::new(), builder().retry(Retry::Never).build().unwrap());
        let mut reused = if fresh { None } else { Some(idle(&client, &peer)) };
        let asked = send(&client, &peer, Method::GET);
        let mut link = reused.take().unwrap_or_else(|| peer.h2());
        let (stream, _) = link.request_with_body();
        link.send(&[Frame::goaway(stream - 1, NO_ERROR, b"")]);
        let e = asked.join().unwrap_err();
        assert_eq!((e.kind(), e.processed(), e.attempts()), (ErrorKind::Refused, Processed::No, 1));
        assert!(e.is_retryable());
        peer.assert_no_more();
    }
}

#[test]
fn at_most_one_automatic_repetition() {
    let (peer, client) = (Peer::new(), client());
    let asked = send(&client, &peer, Method::GET);
    for _ in 0..2 {
        let mut link = peer.h2();
        link.request_with_body();
        link.finish();
    }
    let e = asked.join().unwrap_err();
    assert_eq!((e.kind(), e.processed(), e.attempts()), (ErrorKind::Closed, Processed::Maybe, 2));
    // It is idempotent, so the caller may go on.
    assert!(e.is_retryable());
    peer.assert_no_more();
}

#[test]
fn a_body_that_can_be_read_once_is_sent_once() {
    let (peer, client) = (Peer::new(), client());
    let request = client.put(peer.url("/")).body(Body::from_reader(&b"body"[..]));
    let asked = task(|| request.send());
    let mut link = peer.h2();
    link.request_with_body();
    link.send(&[Frame::goaway(0, NO_ERROR, b"")]);
    let e = asked.join().unwrap_err();
    assert_eq!((e.kind(), e.processed(), e.attempts()), (ErrorKind::Refused, Processed::No, 1));
    peer.assert_no_more();
}

#[test]
fn an_idempotency_key_makes_a_post_repeatable() {
    let (peer, client) = (Peer::new(), client());
    let request = client.post(peer.url("/")).header("idempotency-key", "1").body("body");
    let asked = task(|| request.send());
    let mut link = peer.h2();
    link.request_with_body();
    link.finish();
    serve_one(&peer);
    asked.join().unwrap();
}

#[test]
fn a_repetition_does_not_extend_the_deadline() {
    let (peer, client) = (Peer::new(), client());
    let request = client.get(peer.url("/")).timeout(ms(200));
    let began = Instant::now();
    let asked = task(|| request.send());
    let mut link = peer.h2();
    link.request();
    link.assert_quiet(ms(100));
    link.finish();
    let mut second = peer.h2();
    second.request();
    let (failed, at) = asked.join_at();
    assert_on_time(began, ms(200), at);
    let e = failed.unwrap_err();
    assert_eq!((e.kind(), e.attempts()), (ErrorKind::TimedOut, 2));
}

#[test]
fn a_peer_in_trouble_is_given_a_pause() {
    for _ in 0..5 {
        let (peer, client) = (Peer::new(), client());
        let asked = send(&client, &peer, Method::POST);
        let mut link = peer.h2();
        let (stream, _) = link.request_with_body();
        let since = Instant::now();
        link.send(&[Frame::goaway(stream - 1, INTERNAL_ERROR, b"")]);
        serve_one(&peer);
        let pause = since.elapsed();
        assert!(pause >= ms(100) && pause <= ms(1000) + LATE, "{pause:?}");
        asked.join().unwrap();
    }
    // If there is no time for that, the request fails for the reason it had.
    let (peer, client) = (Peer::new(), builder().build().unwrap());
    let request = client.post(peer.url("/")).timeout(ms(90));
    let asked = task(|| request.send());
    let mut link = peer.h2();
    let (stream, _) = link.request_with_body();
    link.send(&[Frame::goaway(stream - 1, INTERNAL_ERROR, b"")]);
    let e = asked.join().unwrap_err();
    assert_eq!((e.kind(), e.processed(), e.attempts()), (ErrorKind::Refused, Processed::No, 1));
    assert!(e.elapsed() < ms(90) && e.is_retryable());

    // And none is, if it is only leaving.
    let (peer, client) = (Peer::new(), builder().build().unwrap());
    let asked = send(&client, &peer, Method::POST);
    let mut link = peer.h2();
    let (stream, _) = link.request_with_body();
    let since = Instant::now();
    link.send(&[Frame::goaway(stream - 1, NO_ERROR, b"")]);
    serve_one(&peer);
    assert!(since.elapsed() < ms(100), "{:?}", since.elapsed());
    asked.join().unwrap();
}

#[test]
fn a_goaway_fails_nothing_at_or_below_its_last_id() {
    let (peer, client) = (Peer::new(), client());
    let mut link = idle(&client, &peer);
    let asked: Vec<_> = (0..4).map(|_| send(&client, &peer, Method::POST)).collect();
    let streams: Vec<u32> = link.requests(4).into_keys().collect();
    // The first may not raise, the second lowers.
    link.send(&[Frame::goaway(streams[2], NO_ERROR, b"")]);
    let mut second = peer.h2();
    let (moved, _) = second.request_with_body();
    link.send(&[Frame::goaway(streams[1], NO_ERROR, b"")]);
    let (other, _) = second.request_with_body();
    for stream in [moved, other] {
        second.answer(stream, 200, b"second");
    }
    // Frames are still answered.
    link.send(&[Frame::ping(*b"12345678"), Frame::settings(&[])]);
    let mut acks = 0;
    while acks < 2 {
        let frame = link.next();
        acks += u32::from(frame == Frame::ping_ack(b"12345678") || frame == Frame::settings_ack());
    }
    for stream in &streams[..2] {
        link.answer(*stream, 200, b"first");
    }
    let mut texts: Vec<_> = asked.into_iter().map(|a| a.join().unwrap().text().unwrap()).collect();
    texts.sort();
    assert_eq!(texts, ["first", "first", "second", "second"]);
    peer.assert_no_more();
}

#[test]
fn refused_streams_are_tried_again_on_the_same_connection() {
    let (peer, client) = (Peer::new(), client());
    let asked = send(&client, &peer, Method::POST);
    let mut link = peer.h2();
    let (stream, _) = link.request_with_body();
    link.send(&[Frame::reset(stream, REFUSED_STREAM)]);
    let (again, body) = link.request_with_body();
    assert_eq!((again, &*body), (stream + 2, &b"body"[..]));
    link.answer(again, 200, b"");
    assert!(asked.join().unwrap().reused());
    peer.assert_no_more();

    // Once; and never after a head.
    let asked = send(&client, &peer, Method::POST);
    for _ in 0..2 {
        let (stream, _) = link.request_with_body();
        link.send(&[Frame::reset(stream, REFUSED_STREAM)]);
    }
    let e = asked.join().unwrap_err();
    assert_eq!((e.kind(), e.processed(), e.attempts()), (ErrorKind::Refused, Processed::No, 2));
    let asked = send(&client, &peer, Method::GET);
    let (stream, _) = link.request_with_body();
    link.send(&[Frame::headers(stream, 0, &[(":status", "200")]), Frame::reset(stream, REFUSED_STREAM)]);
    let e = asked.join().unwrap().bytes().unwrap_err();
    assert_eq!((e.kind(), e.processed(), e.phase()), (ErrorKind::Reset, Processed::Yes, Phase::Body));
    link.assert_quiet(ms(30));
}

#[test]
fn a_refused_stream_goes_elsewhere_if_the_connection_is_leaving() {
    let (peer, client) = (Peer::new(), client());
    let asked = send(&client, &peer, Method::POST);
    let mut link = peer.h2();
    let (stream, _) = link.request_with_body();
    link.send(&[Frame::goaway(stream, NO_ERROR, b""), Frame::reset(stream, REFUSED_STREAM)]);
    serve_one(&peer);
    asked.join().unwrap();
}

#[test]
fn where_http1_is_required_it_is_spoken_and_remembered() {
    let (peer, client) = (Peer::new(), client());
    let first = send(&client, &peer, Method::POST);
    let mut link = peer.h2();
    let (stream, _) = link.request_with_body();
    link.send(&[Frame::reset(stream, HTTP_1_1_REQUIRED)]);
    let mut plain = peer.accept();
    let mut serve = |asked: Task<Result<Response>>| {
        let head = plain.bytes_until(b"\r\n\r\n");
        assert!(head.starts_with(b"POST / HTTP/1.1\r\n"), "{}", head.escape_ascii());
        assert_eq!(plain.bytes(4), b"body");
        plain.send_bytes(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        assert_eq!(asked.join().unwrap().version(), Version::HTTP_11);
    };
    serve(first);
    for _ in 0..2 {
        serve(send(&client, &peer, Method::POST));
    }
    peer.assert_no_more();
}

/// A request that is not repeated learns it for those that follow.
#[test]
fn that_http1_is_required_is_remembered_also_where_nothing_is_repeated() {
    let never: fn(&mut Link) = |_| ();
    let refused: fn(&mut Link) = |link| {
        let (stream, _) = link.request_with_body();
        link.send(&[Frame::reset(stream, REFUSED_STREAM)]);
    };
    for (retry, body, before, attempts) in [
        (Retry::Never, Body::from_fn(|| Ok(&b"body"[..])), never, 1),
        (Retry::Safe, Body::from_reader(&b"body"[..]), never, 1),
        (Retry::Safe, Body::from_fn(|| Ok(&b"body"[..])), refused, 2),
    ] {
        let (peer, client) = (Peer::new(), builder().retry(retry).build().unwrap());
        let request = client.put(peer.url("/")).body(body);
        let asked = task(|| request.send());
        let mut link = peer.h2();
        before(&mut link);
        let (stream, _) = link.request_with_body();
        link.send(&[Frame::reset(stream, HTTP_1_1_REQUIRED)]);
        let e = asked.join().unwrap_err();
        assert_eq!((e.kind(), e.processed(), e.attempts()), (ErrorKind::Reset, Processed::No, attempts));
        assert!(e.is_retryable());

        let asked = send(&client, &peer, Method::POST);
        let mut plain = peer.accept();
        let head = plain.bytes_until(b"\r\n\r\n");
        assert!(head.starts_with(b"POST / HTTP/1.1\r\n"), "{}", head.escape_ascii());
        plain.send_bytes(b"HTTP/1.1 204 No Content\r\n\r\n");
        assert_eq!(asked.join().unwrap().version(), Version::HTTP_11);
    }
}

#[test]
fn a_connection_of_the_callers_is_never_replaced() {
    let (peer, client) = (Peer::new(), client());
    let (connecting, url) = (client.clone(), peer.url("/"));
    let connected = task(move || connecting.connect(url));
    let mut link = peer.accept();
    let connection: Connection = connected.join().unwrap();
    let request = connection.get("/");
    let asked = task(|| request.send());
    link.handshake(&[]);
    link.request();
    link.finish();
    let e = asked.join().unwrap_err();
    assert_eq!((e.kind(), e.processed(), e.attempts()), (ErrorKind::Closed, Processed::Maybe, 1));
    let e = connection.get("/").send().unwrap_err();
    assert_eq!((e.kind(), e.processed()), (ErrorKind::Closed, Processed::No));
    peer.assert_no_more();
}

#[test]
fn a_timeout_is_never_repeated() {
    let limits: [fn() -> Timeouts; 2] = [|| Timeouts::none().total(ms(100)), || Timeouts::none().first_byte(ms(100))];
    for limit in limits {
        let (peer, client) = (Peer::new(), client());
        let mut link = idle(&client, &peer);
        let request = client.get(peer.url("/")).timeouts(limit());
        let began = Instant::now();
        let asked = task(|| request.send());
        link.request();
        let (failed, at) = asked.join_at();
        assert_on_time(began, ms(100), at);
        let e = failed.unwrap_err();
        assert_eq!((e.kind(), e.processed(), e.attempts()), (ErrorKind::TimedOut, Processed::Maybe, 1));
        assert_eq!((e.phase(), e.reused()), (Phase::FirstByte, Some(true)));
        // It is idempotent: the caller may.
        assert!(e.is_retryable() && e.is_timeout());
        peer.assert_no_more();
    }
}

/// What a peer says about a stream that is no answer does not tell whether it did what was asked.
#[test]
fn a_stream_that_fails_beside_its_answer_may_have_been_processed() {
    let head = |fields: &[(&str, &str)]| Frame::headers(1, END_STREAM, fields);
    let table = [
        ("WINDOW_UPDATE by 0", Frame::window_update(1, 0), Processed::Maybe),
        ("a window above the limit", Frame::window_update(1, u32::MAX >> 1), Processed::Maybe),
        ("PRIORITY on itself", Frame::new(PRIORITY, 0, 1, [0, 0, 0, 1, 16]), Processed::Maybe),
        ("PRIORITY of 4 bytes", Frame::new(PRIORITY, 0, 1, [0; 4]), Processed::Maybe),
        ("a head without a status", head(&[("a", "b")]), Processed::Yes),
        ("DATA before the head", Frame::data(1, b"x"), Processed::Yes),
    ];
    for (case, frame, processed) in table {
        let (peer, client) = (Peer::new(), client());
        let asked = send(&client, &peer, Method::GET);
        let mut link = peer.h2();
        let (stream, _) = link.request_with_body();
        link.send(&[frame]);
        let e = asked.join().unwrap_err();
        assert_eq!((e.kind(), e.processed(), e.attempts()), (ErrorKind::PeerViolation, processed, 1), "{case}: {e}");
        assert_eq!(link.skip_to(RST_STREAM).stream, stream, "{case}: the connection goes on");
    }
}

#[test]
fn a_cancel_ends_the_pause_before_a_repetition() {
    let hour = std::time::Duration::from_secs(3600);
    let (peer, client) = (Peer::new(), builder().refused_pause(hour, hour).timeouts(Timeouts::none()).build().unwrap());
    let token = Cancel::new();
    let (paused, pause) = std::sync::mpsc::channel();
    let watch = client.clone();
    let request = client.post(peer.url("/")).body("body").cancel_on(&token);
    let asked = task(|| request.send());
    let mut link = peer.h2();
    let (stream, _) = link.request_with_body();
    link.send(&[Frame::goaway(stream - 1, INTERNAL_ERROR, b"")]);
    // The pause shows in the counters when it begins.
    let watching = task(move || {
        while watch.stats().retries == 0 {
            std::thread::yield_now();
        }
        paused.send(Instant::now()).unwrap();
    });
    pause.recv_timeout(PATIENCE).unwrap();
    watching.join();
    let cancelled = Instant::now();
    token.cancel();
    let (failed, at) = asked.join_at();
    let e = failed.unwrap_err();
    assert!(at <= cancelled + LATE, "{:?}", at - cancelled);
    assert_eq!((e.kind(), e.phase(), e.processed()), (ErrorKind::Cancelled, Phase::Slot, Processed::No), "{e}");
    peer.assert_no_more();
}
