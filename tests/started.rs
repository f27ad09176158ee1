//! Requests that were started: what becomes of others while nobody waits for them, and whose turn it is.

#[path = "support/h2peer.rs"]
mod h2peer;

use bowline::{
    Attempt, Client, ClientBuilder, Error, ErrorKind, Hook, Pending, Phase, Processed, Protocol, Proxy, Redirects,
    Response, Result, Timeouts, Verdict,
};
use h2peer::*;
use std::time::{Duration, Instant};

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn builder() -> ClientBuilder {
    Client::builder().protocol(Protocol::Http2).proxy(None)
}

/// A connection that has answered one request, and lets one stream be open.
fn narrow(client: &Client, peer: &Peer) -> Link {
    let request = client.get(peer.url("/"));
    let asked = task(|| request.send());
    let mut link = peer.h2_with(&[(MAX_CONCURRENT_STREAMS, 1)]);
    let head = link.request();
    link.answer(head.stream, 200, b"hi");
    assert_eq!(asked.join().unwrap().text().unwrap(), "hi");
    link
}

/// Answers the greeting and the request of a client of SOCKS.
fn let_through(mut link: Link) -> Link {
    assert_eq!(link.bytes(3), [5, 1, 0]);
    link.send_bytes(&[5, 0]);
    let head = link.bytes(5);
    assert_eq!(head[..4], [5, 1, 0, 3], "CONNECT to a name");
    link.bytes(usize::from(head[4]) + 2);
    link.send_bytes(&[5, 0, 0, 1, 127, 0, 0, 1, 0, 80]);
    link.handshake(&[]);
    link
}

/// Two requests through a SOCKS proxy, at the peer that is both; their connection has ended, and each is repeated once it is waited for.
fn two_to_be_repeated() -> (Peer, [Pending; 2]) {
    let peer = Peer::new();
    let proxy = Proxy::new(format!("socks5://{}", peer.address())).unwrap();
    let client = builder().proxy(proxy).build().unwrap();
    let made = task({
        let client = client.clone();
        move || [client.get("http://a.test/").start(), client.get("http://a.test/").start()]
    });
    let mut link = let_through(peer.accept());
    let pending = made.join();
    link.request();
    link.request();
    link.finish();
    (peer, pending)
}

/// A connection that is being made for a request that nobody waits for any more gets on for nobody.
#[test]
fn a_connection_that_nobody_goes_on_making_is_not_waited_for() {
    let (peer, [mut left, waited_for]) = two_to_be_repeated();
    // Both are repeated on a new connection; who asks first makes it, and goes away.
    let silent = loop {
        assert!(left.wait_timeout(ms(20)).unwrap().is_none());
        if let Some(link) = peer.accept_within(ms(20)) {
            break link;
        }
    };
    let waiting = task(move || waited_for.wait());
    let mut link = let_through(peer.accept());
    let head = link.request();
    link.answer(head.stream, 200, b"two");
    assert_eq!(waiting.join().unwrap().text().unwrap(), "two");
    // It is made all the same once somebody waits again.
    let waiting = task(move || left.wait());
    let mut link = let_through(silent);
    let head = link.request();
    link.answer(head.stream, 200, b"one");
    assert_eq!(waiting.join().unwrap().text().unwrap(), "one");
}

/// As long as it is asked for again and again others hope for it.
#[test]
fn a_connection_that_is_made_in_short_steps_is_waited_for() {
    let (peer, mut pending) = two_to_be_repeated();
    let polling = task(move || {
        let mut answers = [None, None];
        while answers.iter().any(Option::is_none) {
            for (pending, answer) in pending.iter_mut().zip(&mut answers) {
                if answer.is_none() {
                    *answer = pending.wait_timeout(ms(1)).unwrap();
                }
            }
        }
        answers.map(|answer| answer.unwrap().text().unwrap())
    });
    let silent = peer.accept();
    assert!(peer.accept_within(ms(200)).is_none(), "one connection is made");
    let mut link = let_through(silent);
    for _ in 0..2 {
        let head = link.request();
        link.answer(head.stream, 200, b"hi");
    }
    assert_eq!(polling.join(), ["hi", "hi"]);
}

/// Whoever waits for a stream gets it in turn, however many requests are started behind.
#[test]
fn a_request_that_waits_for_a_stream_is_not_overtaken_by_those_started_later() {
    for round in 0..rounds() {
        let (peer, client) = (Peer::new(), builder().build().unwrap());
        let mut link = narrow(&client, &peer);
        let start = || client.get(peer.url("/")).start();
        let (first, second) = (start(), start());
        let open = link.request();
        let request = client.post(peer.url("/")).body("mine");
        let sender = task(|| request.send());
        // In line, as far as one can see from here: two are in flight and one more.
        while client.stats().in_flight < 3 {
            std::thread::yield_now();
        }
        link.assert_quiet(ms(20));
        let later: Vec<Pending> = (0..3).map(|_| start()).collect();
        link.answer(open.stream, 200, b"");
        let waiting = task(|| first.wait().and_then(Response::bytes));
        let open = link.request();
        assert!(open.ends(), "round {round}");
        link.answer(open.stream, 200, b"");
        let open = link.request();
        assert!(!open.ends(), "round {round}: it was overtaken");
        link.expect(DATA);
        link.answer(open.stream, 200, b"");
        waiting.join().unwrap();
        sender.join().unwrap();
        let collected = task(move || {
            second.wait().unwrap();
            later.into_iter().for_each(|pending| drop(pending.wait().unwrap()));
        });
        for _ in 0..3 {
            let open = link.request();
            link.answer(open.stream, 200, b"");
        }
        collected.join();
    }
}

/// Many threads and one stream: each gets its turn, and those that give up in between keep nobody from it.
#[test]
fn many_threads_take_turns_on_one_stream() {
    for round in 0..rounds() {
        let (peer, client) = (Peer::new(), builder().build().unwrap());
        let mut link = narrow(&client, &peer);
        let tasks: Vec<_> = (0..12)
            .map(|n: u32| {
                let mut request = client.get(peer.url("/"));
                if n % 4 == 3 {
                    request = request.timeout(ms(u64::from(n)));
                }
                match n % 3 {
                    0 => task(|| request.send().map(|answer| answer.status().as_u16())),
                    1 => task(|| request.start().wait().map(|answer| answer.status().as_u16())),
                    _ => task(move || {
                        let mut pending = request.start();
                        loop {
                            if let Some(answer) = pending.wait_timeout(ms(1))? {
                                return Ok(answer.status().as_u16());
                            }
                        }
                    }),
                }
            })
            .collect();
        let server = task(move || {
            while let Some(frame) = link.next_or_end() {
                match frame.kind {
                    HEADERS if !link.try_send(&answer(frame.stream, 204, b"")) => break,
                    // The client may be gone before its last one is answered.
                    PING if !frame.is_ack() && !link.try_send(&[Frame::ping_ack(&frame.payload)]) => break,
                    _ => {}
                }
            }
        });
        for (n, task) in tasks.into_iter().enumerate() {
            let answer = task.join();
            if n % 4 == 3 {
                assert!(matches!(answer, Ok(204)) || answer.is_err(), "round {round}, {n}: {answer:?}");
            } else {
                assert_eq!(answer.unwrap(), 204, "round {round}, {n}");
            }
        }
        assert_eq!(client.stats().in_flight, 0, "round {round}");
        drop(client);
        server.join();
    }
}

/// With a cap on connections as many are made as it allows, and what is above waits for a stream.
#[test]
fn more_connections_when_full_but_no_more_than_allowed() {
    let peer = Peer::new();
    let client = builder().more_connections_when_full().max_connections_per_origin(2).build().unwrap();
    let mut first = narrow(&client, &peer);
    let get = || {
        let request = client.get(peer.url("/"));
        task(|| request.send())
    };
    let one = get();
    let head = first.request();
    let two = get();
    let mut second = peer.h2_with(&[(MAX_CONCURRENT_STREAMS, 1)]);
    let other = second.request();
    let three = get();
    assert!(peer.accept_within(ms(100)).is_none(), "a third connection");
    // It is in line for the newest.
    second.answer(other.stream, 200, b"two");
    let other = second.request();
    second.answer(other.stream, 200, b"three");
    first.answer(head.stream, 200, b"one");
    for (asked, text) in [(one, "one"), (two, "two"), (three, "three")] {
        assert_eq!(asked.join().unwrap().text().unwrap(), text);
    }
}

/// Repeats what failed, once.
struct Once;

impl Hook for Once {
    fn after(&self, attempt: &Attempt, outcome: Result<&Response, &Error>) -> Verdict {
        if outcome.is_err() && attempt.number == 1 { Verdict::RetryAfter(Duration::ZERO) } else { Verdict::Pass }
    }
}

#[test]
fn what_is_repeated_after_a_redirect_that_cannot_be_followed_is_in_flight() {
    let peer = Peer::new();
    let client = builder().redirects(Redirects::Follow(3)).hook(Once).build().unwrap();
    let request = client.get(peer.url("/"));
    let asked = task(|| request.send());
    let mut link = peer.h2();
    let head = link.request();
    link.send(&[Frame::headers(head.stream, 5, &[(":status", "302"), ("location", "http://[")])]);
    let head = link.request();
    assert_eq!(client.stats().in_flight, 1);
    link.answer(head.stream, 200, b"hi");
    assert_eq!(asked.join().unwrap().text().unwrap(), "hi");
    assert_eq!(client.stats().in_flight, 0);
}

/// Every limit at its ends: nothing panics, and what is not limited works.
#[test]
fn settings_at_their_ends() {
    let (zero, max) = (Duration::ZERO, Duration::MAX);
    let builders: [(&str, ClientBuilder); 12] = [
        ("probe_timeout", builder().probe_timeout(max).ping_ack_timeout(max).probe_after_idle(zero)),
        ("max_unasked_pings 0", builder().max_unasked_pings(0).probe_after_idle(zero).read_idle_ping(zero)),
        ("max_unasked_pings 255", builder().max_unasked_pings(u8::MAX).probe_after_idle(zero)),
        ("refused_pause", builder().refused_pause(zero, max)),
        ("streams_before_settings 0", builder().streams_before_settings(0)),
        ("streams_before_settings", builder().streams_before_settings(u32::MAX)),
        ("max_unread 0", builder().max_unread(0)),
        ("max_unread", builder().max_unread(usize::MAX)),
        ("max_drain", builder().max_drain(usize::MAX)),
        ("write_stall", builder().write_stall(max).http1_write_stall(max).read_idle_ping(max)),
        ("upkeep", builder().upkeep_interval(max).keep_idle(max).idle_timeout(max).max_lifetime(max)),
        ("upkeep 0", builder().upkeep_interval(zero).keep_idle(zero).probe_after_idle(max)),
    ];
    for (case, builder) in builders {
        let timeouts = Timeouts::none().slot(max).first_byte(max).read(max).write(max).connect(max).resolve(max);
        let (peer, client) = (Peer::new(), builder.timeouts(timeouts).build().unwrap());
        let request = client.post(peer.url("/")).body(vec![b'x'; 300_000]);
        let asked = task(|| request.send().and_then(Response::bytes));
        let mut link = peer.h2_with(&[(INITIAL_WINDOW_SIZE, 1 << 20)]);
        link.send(&[Frame::window_update(0, 1 << 20)]);
        let (stream, body) = link.request_with_body();
        assert_eq!(body.len(), 300_000, "{case}");
        link.answer(stream, 200, &[b'y'; 30_000]);
        assert_eq!(asked.join().unwrap().len(), 30_000, "{case}");
        client.upkeep();
        let next = client.next_upkeep();
        // Never, or as good as: some systems count centuries.
        let soon = Instant::now() + Duration::from_secs(25 * 3600);
        let never = soon + Duration::from_secs(100 * 365 * 24 * 3600);
        assert!(next.is_none_or(|at| at <= soon || at > never), "{case}: {next:?}");
        assert_eq!(client.drain(max), 0, "{case}");
    }
}

/// A request that nobody waits for has no timers: no PING is sent for it, and the limits of its answer begin with the wait.
#[test]
fn who_is_not_waited_for_has_no_timers() {
    let (limit, rest) = (ms(250), ms(400));
    let client = builder()
        .read_idle_ping(ms(100))
        .ping_ack_timeout(ms(200))
        .timeouts(Timeouts::none().first_byte(limit))
        .build()
        .unwrap();
    let peer = Peer::new();
    let start = || client.get(peer.url("/")).start();
    let (first, second) = (start(), start());
    let mut link = peer.h2();
    let heads = [link.request(), link.request()];
    link.assert_quiet(rest);
    let waiting = task(move || first.wait());
    let ping = link.expect(PING);
    link.ack(&ping);
    link.assert_quiet(ms(50));
    link.answer(heads[0].stream, 200, b"one");
    assert_eq!(waiting.join().unwrap().text().unwrap(), "one");
    link.assert_quiet(rest);
    let since = Instant::now();
    let (failed, at) = task(move || second.wait()).join_at();
    let e = failed.unwrap_err();
    assert_eq!((e.kind(), e.phase(), e.processed()), (ErrorKind::TimedOut, Phase::FirstByte, Processed::Maybe));
    assert_on_time(since, limit, at);
}

/// The same for the limit of a write: a body that nobody sends does not stand still.
#[test]
fn an_upload_that_is_not_waited_for_does_not_stand_still() {
    let (limit, rest) = (ms(250), ms(400));
    let client = builder().timeouts(Timeouts::none().write(limit)).build().unwrap();
    let peer = Peer::new();
    let uploading = client.post(peer.url("/")).body(vec![7; 100_000]).start();
    let mut link = peer.h2();
    let head = link.request();
    let mut sent = 0;
    while sent < 65_535 {
        sent += link.expect(DATA).payload.len();
    }
    link.assert_quiet(rest);
    let waiting = task(move || uploading.wait());
    link.assert_quiet(ms(100));
    link.send(&[Frame::window_update(0, 1 << 20), Frame::window_update(head.stream, 1 << 20)]);
    while sent < 100_000 {
        sent += link.expect(DATA).payload.len();
    }
    link.answer(head.stream, 200, b"all");
    assert_eq!(waiting.join().unwrap().text().unwrap(), "all");
}
