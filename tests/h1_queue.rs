//! Started requests that wait for a connection of HTTP/1: whoever waits for one reads the answers of those that hold them.

mod support;
#[cfg(feature = "tls")]
#[path = "support/tls.rs"]
mod tls;

use bowline::{
    Batch, Body, Cancel, Client, ClientBuilder, ErrorKind, Hook, Pending, Phase, Processed, Protocol, Redirects,
    Response, Timeouts, Trace,
};
use std::{
    io::Read,
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};
use support::{Conn, GUARD, Pattern, Peer, builder, ms, peer, prompt, timed};

/// What has reached the server, in order.
#[derive(Clone, Default)]
struct Log(Arc<(Mutex<Vec<String>>, Condvar)>);

impl Log {
    fn add(&self, target: &str) {
        self.0.0.lock().unwrap().push(target.to_owned());
        self.0.1.notify_all();
    }

    fn all(&self) -> Vec<String> {
        self.0.0.lock().unwrap().clone()
    }

    /// Waits until so many have come.
    #[track_caller]
    fn wait(&self, n: usize) -> Vec<String> {
        let guard = self.0.0.lock().unwrap();
        let (list, timeout) = self.0.1.wait_timeout_while(guard, GUARD, |list| list.len() < n).unwrap();
        assert!(!timeout.timed_out(), "{n} were to come: {list:?}");
        list.clone()
    }
}

/// Answers each request with its target, after what the target says: `/big/N` has N bytes, `/shut` ends the connection instead.
fn answer(conn: &mut Conn, log: &Log) {
    while let Some(request) = conn.request() {
        log.add(&request.target);
        let target = request.target.as_str();
        match target.strip_prefix("/big/").and_then(|n| n.split('/').next()) {
            Some(n) => {
                let n: usize = n.parse().unwrap();
                conn.say(format!("HTTP/1.1 200 OK\r\nContent-Length: {n}\r\n\r\n"));
                conn.say(vec![b'x'; n]);
            }
            None if target.starts_with("/shut") => return,
            None if target.starts_with("/wait") => drop(conn.rest()),
            None if target.starts_with("/moved") => {
                conn.say("HTTP/1.1 302 Found\r\nLocation: /there\r\nContent-Length: 0\r\n\r\n");
            }
            None => conn.answer(&format!("{target} {}", request.body.len())),
        }
    }
}

fn world() -> (Peer, Log) {
    let log = Log::default();
    let shared = log.clone();
    (peer(move |_, mut conn| answer(&mut conn, &shared)), log)
}

fn capped(cap: usize) -> Client {
    builder().max_connections_per_origin(cap).build().unwrap()
}

fn start(client: &Client, peer: &Peer, n: usize) -> Vec<Pending> {
    (1..=n).map(|n| client.get(peer.url(&format!("/{n}"))).start()).collect()
}

fn targets(n: usize) -> Vec<String> {
    (1..=n).map(|n| format!("/{n}")).collect()
}

#[track_caller]
fn read(response: Response, n: usize) {
    assert_eq!(response.text().unwrap(), format!("/{n} 0"));
}

/// Ways to collect what was started, with their numbers.
type Way = fn(Vec<(usize, Pending)>);

const WAYS: [(&str, Way); 7] = [
    ("in order", |list| list.into_iter().for_each(|(n, p)| read(p.wait().unwrap(), n))),
    ("in reverse", |list| list.into_iter().rev().for_each(|(n, p)| read(p.wait().unwrap(), n))),
    ("the second half first", |mut list| {
        let half = list.len() / 2;
        list.rotate_left(half);
        list.into_iter().for_each(|(n, p)| read(p.wait().unwrap(), n));
    }),
    ("all heads first, the bodies in reverse", |list| {
        let answers: Vec<_> = list.into_iter().rev().map(|(n, p)| (n, p.wait().unwrap())).collect();
        answers.into_iter().for_each(|(n, response)| read(response, n));
    }),
    ("by looking, in reverse", |mut list| {
        let until = Instant::now() + GUARD;
        while !list.is_empty() {
            assert!(Instant::now() < until, "{} are left", list.len());
            for at in (0..list.len()).rev() {
                if let Some(response) = list[at].1.try_wait().unwrap() {
                    read(response, list.remove(at).0);
                }
            }
        }
    }),
    ("by short waits, in reverse", |mut list| {
        while !list.is_empty() {
            for at in (0..list.len()).rev() {
                if let Some(response) = list[at].1.wait_timeout(ms(2)).unwrap() {
                    read(response, list.remove(at).0);
                }
            }
        }
    }),
    ("together, in reverse", |list| {
        let mut batch = Batch::new();
        list.into_iter().rev().for_each(|(n, p)| batch.push(p, n));
        batch.for_each(|(n, response)| read(response.unwrap(), n));
    }),
];

/// One thread, every order of waiting: all are answered promptly, each was sent once, and they went out in the order of their start.
fn in_every_order(
    protocol: Protocol,
    url: &str,
    log: &Log,
    connections: &dyn Fn() -> usize,
    builder: &dyn Fn() -> ClientBuilder,
) {
    const N: usize = 9;
    for cap in [Some(1), Some(2), Some(6), None] {
        for (way, collect) in WAYS {
            let mut client = builder().protocol(protocol);
            if let Some(cap) = cap {
                client = client.max_connections_per_origin(cap);
            }
            let client = client.build().unwrap();
            let (seen, made) = (log.all().len(), connections());
            let began = Instant::now();
            let list = (1..=N).map(|n| (n, client.get(format!("{url}/{n}")).start())).collect();
            collect(list);
            let took = began.elapsed();
            let mut came = log.all().split_off(seen);
            if cap != Some(1) {
                // Of two connections the later request may be read first.
                came.sort();
            }
            assert_eq!(came, targets(N), "{protocol:?}, {cap:?}, {way}");
            let made = connections() - made;
            assert!(made <= cap.unwrap_or(6), "{protocol:?}, {cap:?}, {way}: {made} connections");
            assert!(took < ms(2000), "{protocol:?}, {cap:?}, {way}: {took:?}");
            assert_eq!(client.stats().in_flight, 0);
        }
    }
}

#[test]
fn whatever_is_waited_for_first() {
    let (peer, log) = world();
    for protocol in [Protocol::Auto, Protocol::Http1] {
        in_every_order(protocol, &peer.url(""), &log, &|| peer.connections(), &builder);
    }
}

#[cfg(feature = "tls")]
#[test]
fn whatever_is_waited_for_first_over_tls() {
    let authority = tls::certs::Authority::new("test");
    let config = tls::config(&authority.issue(&["127.0.0.1"]), &[b"http/1.1"]);
    let trust = bowline::Tls::new().add_root_pem(authority.pem().as_bytes()).only_added_roots();
    let log = Log::default();
    let shared = log.clone();
    let peer = peer(move |_, conn| answer(&mut Conn::over(tls::accept(conn.into_stream(), &config)), &shared));
    let url = format!("https://{}", peer.addr());
    let trusting = || builder().tls(trust.clone());
    for protocol in [Protocol::Auto, Protocol::Http1] {
        in_every_order(protocol, &url, &log, &|| peer.connections(), &trusting);
    }
}

/// Many more than there are connections.
#[test]
fn hundreds_in_line() {
    let (peer, log) = world();
    for (cap, way) in [(1, WAYS[1].1), (3, WAYS[1].1), (2, WAYS[6].1)] {
        let client = capped(cap);
        let seen = log.all().len();
        let list = (1..).zip(start(&client, &peer, 300)).collect();
        way(list);
        assert_eq!(log.all().len() - seen, 300);
    }
}

/// A request that is not started itself reads the answer that is in its way, and takes its connection.
#[test]
fn a_plain_request_reads_what_holds_its_connection() {
    let (peer, log) = world();
    for started in [1, 3] {
        let client = capped(1);
        let seen = log.all().len();
        let pending = start(&client, &peer, started);
        prompt(|| read(client.get(peer.url("/4")).send().unwrap(), 4));
        let mut expected = targets(started);
        expected.push("/4".to_owned());
        assert_eq!(log.all().split_off(seen), expected, "in the order in which they began");
        (1..).zip(pending).for_each(|(n, pending)| {
            let response = prompt(|| pending.wait()).unwrap();
            assert!(response.timings().first_byte <= response.timings().total);
            read(response, n);
        });
        assert_eq!((client.stats().opened, client.stats().in_flight), (1, 0));
    }
}

/// However a connection becomes free, the first in line goes out then: nobody waits for it.
#[test]
fn what_is_in_line_goes_out_when_a_connection_becomes_free() {
    type Frees = fn(Pending, Cancel);
    let cases: [(&str, &str, Frees); 8] = [
        ("read to its end", "/big/100000", |first, _| {
            assert_eq!(first.wait().unwrap().bytes().unwrap().len(), 100_000)
        }),
        ("answered whole", "/1", |first, _| drop(first.wait().unwrap())),
        ("dropped unread", "/big/50000000", |first, _| drop(first.wait().unwrap())),
        ("dropped half read", "/big/50000000", |first, _| {
            first.wait().unwrap().into_body().read_exact(&mut [0; 1000]).unwrap();
        }),
        ("never waited for", "/wait", |first, _| drop(first)),
        ("cancelled", "/wait", |first, cancel| {
            cancel.cancel();
            assert_eq!(first.wait().unwrap_err().kind(), ErrorKind::Cancelled);
        }),
        ("failed", "/shut", |first, _| assert_eq!(first.wait().unwrap_err().kind(), ErrorKind::Closed)),
        ("late", "/wait", |mut first, _| {
            assert!(first.wait_timeout(ms(1)).unwrap().is_none());
            assert_eq!(first.wait().unwrap_err().kind(), ErrorKind::TimedOut);
        }),
    ];
    for (case, target, free) in cases {
        let (peer, log) = world();
        let client = capped(1);
        let cancel = Cancel::new();
        let mut first = client.post(peer.url(target)).cancel_on(&cancel);
        if case == "late" {
            first = first.timeout(ms(50));
        }
        let first = first.start();
        let (second, third) = (client.get(peer.url("/2")).start(), client.get(peer.url("/3")).start());
        assert_eq!(log.wait(1), [target], "{case}");
        free(first, cancel);
        assert_eq!(log.wait(2), [target, "/2"], "{case}");
        read(second.wait().unwrap(), 2);
        assert_eq!(log.wait(3)[2], "/3", "{case}");
        read(third.wait().unwrap(), 3);
        assert_eq!(client.stats().in_flight, 0, "{case}");
    }
}

/// What is dropped or cancelled in line is never sent, and is in nobody's way.
#[test]
fn who_leaves_the_line_is_not_sent() {
    let (go, gate) = mpsc::channel::<()>();
    let (log, gate) = (Log::default(), Mutex::new(gate));
    let shared = log.clone();
    let peer = peer(move |_, mut conn| {
        while let Some(request) = conn.request() {
            shared.add(&request.target);
            if request.target == "/1" {
                gate.lock().unwrap().recv().unwrap();
            }
            conn.answer(&format!("{} 0", request.target));
        }
    });
    let client = capped(1);
    let cancel = Cancel::new();
    let first = client.get(peer.url("/1")).start();
    let dropped = client.get(peer.url("/dropped")).start();
    let mut cancelled = client.get(peer.url("/cancelled")).cancel_on(&cancel).start();
    let mut late = client.get(peer.url("/late")).timeout(ms(20)).start();
    assert!(prompt(|| cancelled.try_wait()).unwrap().is_none());
    let last = client.get(peer.url("/2")).start();
    prompt(|| drop(dropped));
    cancel.cancel();
    timed(ms(20), || thread::sleep(ms(20)));
    go.send(()).unwrap();
    prompt(|| read(last.wait().unwrap(), 2));
    assert_eq!(prompt(|| cancelled.try_wait()).unwrap_err().kind(), ErrorKind::Cancelled);
    let error = prompt(|| late.try_wait()).unwrap_err();
    assert_eq!((error.kind(), error.phase(), error.processed()), (ErrorKind::TimedOut, Phase::Slot, Processed::No));
    read(first.wait().unwrap(), 1);
    assert_eq!(log.all(), ["/1", "/2"]);
}

/// One in line has limits of its own, which strike while it is waited for, whatever is read meanwhile.
#[test]
fn limits_in_line() {
    const LIMIT: Duration = ms(200);
    let log = Log::default();
    let shared = log.clone();
    // The answer never ends.
    let peer = peer(move |_, mut conn| {
        while let Some(request) = conn.request() {
            shared.add(&request.target);
            conn.say("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n");
            conn.drip([b'x'; 999], ms(5));
        }
    });
    let slot = Timeouts::none().slot(LIMIT);
    let total = Timeouts::none().total(LIMIT);
    for (timeouts, kind) in [(slot, ErrorKind::PoolTimeout), (total, ErrorKind::TimedOut)] {
        let client = builder().max_connections_per_origin(1).timeouts(Timeouts::none()).build().unwrap();
        let first = client.get(peer.url("/first")).start();
        let request = || client.get(peer.url("/second")).timeouts(timeouts.clone());
        let by_send = timed(LIMIT, || request().send().unwrap_err());
        let by_wait = timed(LIMIT, || request().start().wait().unwrap_err());
        let by_looks = timed(LIMIT, || {
            let mut pending = request().start();
            loop {
                match pending.wait_timeout(ms(5)) {
                    Ok(None) => {}
                    Ok(Some(_)) => panic!("it was answered"),
                    Err(e) => break e,
                }
            }
        });
        let by_batch = timed(LIMIT, || {
            let mut batch = Batch::new();
            batch.push(request().start(), ());
            batch.next().unwrap().1.unwrap_err()
        });
        // Nobody waits while its time passes.
        let late = request().start();
        timed(LIMIT, || thread::sleep(LIMIT));
        let by_nobody = prompt(|| late.wait().unwrap_err());
        for error in [by_send, by_wait, by_looks, by_batch, by_nobody] {
            assert_eq!((error.kind(), error.phase(), error.processed()), (kind, Phase::Slot, Processed::No));
            assert!(error.is_retryable() && error.elapsed() >= LIMIT);
            if kind == ErrorKind::PoolTimeout {
                assert!(error.to_string().contains("max_connections_per_origin"), "{error}");
            }
        }
        drop(first);
    }
    assert_eq!(log.all(), ["/first", "/first"]);
}

/// The time of one that holds a connection ends it, although only those wait who want the connection.
#[test]
fn who_holds_a_connection_is_held_to_its_time() {
    let (peer, log) = world();
    let client = capped(1);
    let first = timed(ms(100), || {
        let first = client.get(peer.url("/wait")).timeout(ms(100)).start();
        read(client.get(peer.url("/2")).send().unwrap(), 2);
        first
    });
    let cancel = Cancel::new();
    let error = first.wait().unwrap_err();
    assert_eq!(
        (error.kind(), error.phase(), error.processed()),
        (ErrorKind::TimedOut, Phase::FirstByte, Processed::Maybe)
    );
    // So does a token, at once.
    let third = client.get(peer.url("/wait")).cancel_on(&cancel).start();
    assert_eq!(log.wait(3)[2], "/wait");
    let waiting = {
        let (client, url) = (client.clone(), peer.url("/4"));
        thread::spawn(move || read(client.get(url).send().unwrap(), 4))
    };
    while client.stats().in_flight < 2 {
        thread::yield_now();
    }
    cancel.cancel();
    waiting.join().unwrap();
    assert_eq!(third.wait().unwrap_err().kind(), ErrorKind::Cancelled);
}

/// What the program has in its hands is its own: nobody reads it, and it is whole.
#[test]
fn an_answer_that_was_given_is_not_touched() {
    let (peer, _log) = world();
    let client = builder().max_connections_per_origin(1).timeouts(Timeouts::none().slot(ms(100))).build().unwrap();
    const LEN: usize = 3_000_000;
    let response = client.get(peer.url(&format!("/big/{LEN}"))).start().wait().unwrap();
    let mut waiting = client.get(peer.url("/2")).start();
    assert!(waiting.wait_timeout(ms(50)).unwrap().is_none());
    let error = client.get(peer.url("/3")).send().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PoolTimeout);
    assert_eq!(response.bytes().unwrap().len(), LEN);
}

/// What is kept of an answer that was not asked for is bounded, each and all together.
#[test]
fn no_more_is_kept_than_is_allowed() {
    const EACH: usize = 1024 * 1024;
    let (peer, log) = world();
    let timeouts = Timeouts::none().slot(ms(150));
    let get = |client: &Client, n: usize| client.get(peer.url(&format!("/big/{n}"))).start();
    let refused = |client: &Client| {
        let error = client.get(peer.url("/no")).send().unwrap_err();
        assert_eq!((error.kind(), error.phase()), (ErrorKind::PoolTimeout, Phase::Slot));
    };
    for len in [EACH - 1, EACH, EACH + 1] {
        let client = builder().max_connections_per_origin(1).timeouts(timeouts.clone()).build().unwrap();
        let first = get(&client, len);
        match len {
            0..=EACH => read(client.get(peer.url("/2")).send().unwrap(), 2),
            _ => refused(&client),
        }
        assert_eq!(first.wait().unwrap().bytes().unwrap().len(), len);
    }
    // All together: three fit, the fourth does not, until one is taken.
    let client = builder().max_connections_per_origin(1).timeouts(timeouts).max_unread(4 * EACH - 10).build().unwrap();
    let mut kept: Vec<_> = (0..3).map(|_| get(&client, EACH)).collect();
    read(client.get(peer.url("/2")).send().unwrap(), 2);
    kept.push(get(&client, 1000));
    refused(&client);
    let seen = log.all().len();
    let waiting = {
        let (client, url) = (client.clone(), peer.url("/3"));
        thread::spawn(move || client.get(url).timeouts(Timeouts::none()).send().unwrap().text().unwrap())
    };
    while client.stats().in_flight < 5 {
        thread::yield_now();
    }
    assert_eq!(kept.remove(0).wait().unwrap().bytes().unwrap().len(), EACH);
    assert_eq!(log.wait(seen + 1)[seen], "/3");
    assert_eq!(waiting.join().unwrap(), "/3 0");
    for (pending, len) in kept.into_iter().zip([EACH, EACH, 1000]) {
        assert_eq!(pending.wait().unwrap().bytes().unwrap().len(), len);
    }
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

/// Requests that were started share six connections, which one that is waited for need not keep to for long.
#[test]
fn started_requests_share_connections_as_long_as_that_works() {
    let (peer, log) = world();
    let client = builder().build().unwrap();
    let waits: Vec<_> = (0..6).map(|_| client.get(peer.url("/wait")).start()).collect();
    log.wait(6);
    let mut seventh = client.get(peer.url("/7")).start();
    assert!(seventh.wait_timeout(ms(30)).unwrap().is_none());
    assert_eq!(peer.connections(), 6);
    // The others do not end: it goes its own way.
    let began = Instant::now();
    read(seventh.wait().unwrap(), 7);
    assert!(began.elapsed() >= ms(100), "as long as others may be answered it keeps to its turn");
    assert_eq!(peer.connections(), 7);
    drop(waits);
    // Those whose answers were given are not waited for at all.
    let client = builder().build().unwrap();
    let given: Vec<_> = (0..6).map(|_| client.get(peer.url("/big/5000000")).start().wait().unwrap()).collect();
    prompt(|| read(client.get(peer.url("/7")).start().wait().unwrap(), 7));
    given.into_iter().for_each(|response| assert_eq!(response.bytes().unwrap().len(), 5_000_000));
}

fn rounds() -> usize {
    std::env::var("BOWLINE_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(20)
}

/// Threads start, wait, look, give up and send at one origin with few connections: each gets its own answer, once.
#[test]
fn many_threads() {
    let (peer, log) = world();
    for round in 0..rounds() {
        for cap in [1, 2] {
            let client = capped(cap);
            let seen = log.all().len();
            let expected = AtomicUsize::new(0);
            thread::scope(|scope| {
                for n in 0..6 {
                    let (client, peer, expected) = (&client, &peer, &expected);
                    scope.spawn(move || {
                        let url = |k: usize| peer.url(&format!("/{}", n * 10 + k));
                        let mut list: Vec<_> = (0..4).map(|k| client.get(url(k)).start()).collect();
                        if n % 3 == 0 {
                            // Perhaps it was sent.
                            drop(list.pop());
                        } else {
                            expected.fetch_add(1, Ordering::SeqCst);
                        }
                        expected.fetch_add(4, Ordering::SeqCst);
                        if n % 2 == 0 {
                            read(client.get(url(4)).send().unwrap(), n * 10 + 4);
                        }
                        for (k, mut pending) in list.into_iter().enumerate().rev() {
                            let response = match (n + k) % 3 {
                                0 => pending.wait().unwrap(),
                                1 => loop {
                                    if let Some(response) = pending.wait_timeout(ms(1)).unwrap() {
                                        break response;
                                    }
                                },
                                _ => loop {
                                    if let Some(response) = pending.try_wait().unwrap() {
                                        break response;
                                    }
                                    thread::yield_now();
                                },
                            };
                            read(response, n * 10 + k);
                        }
                        if n % 2 == 1 {
                            read(client.get(url(4)).send().unwrap(), n * 10 + 4);
                        }
                    });
                }
            });
            let mut came = log.all().split_off(seen);
            let all = came.len();
            came.sort();
            came.dedup();
            assert_eq!(came.len(), all, "round {round}: one was sent twice");
            assert!(all >= expected.load(Ordering::SeqCst), "round {round}: {all}");
            assert_eq!(client.stats().in_flight, 0, "round {round}");
            assert!(client.stats().opened > 0);
        }
    }
}

/// An owner that comes while another thread reads for it takes over, and one that leaves is followed by that thread.
#[test]
fn owners_come_and_go_while_others_read() {
    for round in 0..rounds() {
        let (go, gate) = mpsc::channel::<()>();
        let gate = Mutex::new(gate);
        let peer = peer(move |_, mut conn| {
            let gate = gate.lock().unwrap();
            while let Some(request) = conn.request() {
                conn.say("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n");
                for piece in request.target.as_bytes().chunks(2) {
                    if gate.recv().is_err() {
                        return;
                    }
                    conn.say(piece);
                }
            }
        });
        let client = capped(1);
        let mut first = client.get(peer.url("/one")).start();
        thread::scope(|scope| {
            let readers: Vec<_> = ["/two", "/six"]
                .map(|target| {
                    let request = client.get(peer.url(target));
                    scope.spawn(move || request.send().unwrap().text().unwrap())
                })
                .into();
            let owner = scope.spawn(move || {
                // It comes and goes, and looks at the head or not.
                for n in 0..round % 4 {
                    let looked =
                        if n % 2 == 0 { first.try_wait().unwrap() } else { first.wait_timeout(ms(1)).unwrap() };
                    if let Some(response) = looked {
                        return response.text().unwrap();
                    }
                }
                first.wait().unwrap().text().unwrap()
            });
            for _ in 0..6 {
                go.send(()).unwrap();
                thread::yield_now();
            }
            assert_eq!(owner.join().unwrap(), "/one", "round {round}");
            let mut texts: Vec<_> = readers.into_iter().map(|reader| reader.join().unwrap()).collect();
            texts.sort();
            assert_eq!(texts, ["/six", "/two"], "round {round}");
        });
        assert_eq!(peer.connections(), 1, "round {round}");
    }
}
