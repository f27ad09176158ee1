//! Which failed attempts are repeated, and what the error says about those that are not (HTTP/1).

mod support;
#[path = "support/wires.rs"]
mod wires;

use bowline::{
    Attempt, Body, Client, Deadline, Error, ErrorKind, Hook, Phase, Processed, RequestBuilder, Response, Retry,
    Verdict,
    http::{Method, Request},
    net::Resolve,
};
use std::{
    io,
    net::{SocketAddr, TcpListener},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};
use support::{Conn, Pattern, Peer, builder, client, ms, pass, peer, timed};
use wires::{Fate, Wires};

/// A peer whose first connection answers once and fails the request after that in this way; those that come later serve.
/// Counts what it was asked besides the first.
fn fails(how: impl Fn(&mut Conn) + Send + Sync + 'static) -> (Peer, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let peer = peer(move |n, mut conn| {
        if n == 0 {
            conn.request();
            conn.answer("first");
            if conn.request().is_some() {
                count.fetch_add(1, Ordering::SeqCst);
                how(&mut conn);
            }
            return;
        }
        while conn.request().is_some() {
            count.fetch_add(1, Ordering::SeqCst);
            conn.answer("again");
        }
    });
    (peer, asked)
}

fn methods() -> [(Method, bool); 9] {
    [
        (Method::GET, true),
        (Method::HEAD, true),
        (Method::OPTIONS, true),
        (Method::TRACE, true),
        (Method::PUT, true),
        (Method::DELETE, true),
        (Method::POST, false),
        (Method::PATCH, false),
        (Method::from_bytes(b"PURGE").unwrap(), false),
    ]
}

/// Uses the first connection once.
fn warm(client: &Client, peer: &Peer) {
    assert_eq!(client.get(peer.url("/")).send().unwrap().text().unwrap(), "first");
}

#[test]
fn a_reused_connection_that_ends_without_an_answer() {
    for (method, idempotent) in methods() {
        for key in [false, true] {
            let (peer, asked) = fails(|_| {});
            let client = client();
            warm(&client, &peer);
            let mut request = client.request(method.clone(), peer.url("/"));
            if key {
                request = request.header("Idempotency-Key", "7");
            }
            let case = format!("{method}, key {key}");
            match request.send() {
                Ok(response) => {
                    assert!(idempotent || key, "{case}: sent twice");
                    assert!(!response.reused(), "{case}");
                    assert_eq!((asked.load(Ordering::SeqCst), client.stats().retries), (2, 1), "{case}");
                }
                Err(error) => {
                    assert!(!idempotent && !key, "{case}: {error}");
                    assert_eq!((error.kind(), error.phase()), (ErrorKind::Closed, Phase::FirstByte), "{case}");
                    assert_eq!((error.processed(), error.attempts()), (Processed::Maybe, 1), "{case}");
                    assert_eq!((error.reused(), error.is_retryable()), (Some(true), false), "{case}");
                    assert!(error.bytes_written() > 0 && error.connection().is_some(), "{case}");
                    assert_eq!((asked.load(Ordering::SeqCst), client.stats().retries), (1, 0), "{case}");
                }
            }
            assert_eq!(client.stats().in_flight, 0, "{case}");
        }
    }
}

/// Asks again on a connection that fails, with a GET that is told to be this.
fn again(
    how: impl Fn(&mut Conn) + Send + Sync + 'static,
    told: impl Fn(RequestBuilder) -> RequestBuilder,
) -> (Result<Response, Error>, usize) {
    let (peer, asked) = fails(how);
    let client = client();
    warm(&client, &peer);
    let result = told(client.get(peer.url("/"))).send();
    (result, asked.load(Ordering::SeqCst))
}

#[test]
fn what_is_never_repeated() {
    let nothing = |_: &mut Conn| {};
    let (result, asked) = again(nothing, |r| r.retry(Retry::Never));
    let error = result.unwrap_err();
    assert_eq!((error.kind(), error.processed(), asked), (ErrorKind::Closed, Processed::Maybe, 1), "retry never");
    assert!(error.is_retryable(), "the program may");

    for part in ["H", "HTTP/1.1 2", "HTTP/1.1 200 OK\r\nContent-Le", "HTTP/1.1 103 Early Hints\r\n\r\n"] {
        let (result, asked) = again(move |conn| conn.say(part), |r| r);
        let error = result.unwrap_err();
        assert_eq!((error.kind(), error.processed(), asked), (ErrorKind::Closed, Processed::Yes, 1), "{part}");
        assert_eq!((error.is_retryable(), error.reused()), (false, Some(true)), "{part}");
    }
    let (result, asked) = again(|conn| conn.say("nonsense\r\n\r\n"), |r| r);
    assert_eq!((result.unwrap_err().kind(), asked), (ErrorKind::PeerViolation, 1));

    let limited = |r: RequestBuilder| r.timeouts(bowline::Timeouts::none().first_byte(ms(100)));
    let (result, asked) = again(|conn| drop(conn.rest()), limited);
    let error = result.unwrap_err();
    assert_eq!((error.kind(), error.attempts(), asked), (ErrorKind::TimedOut, 1, 1));
    assert!(error.is_retryable(), "the program may");

    let once = |r: RequestBuilder| r.body(Body::from_reader(Pattern::new(10)).with_len(10));
    let (result, asked) = again(nothing, once);
    let error = result.unwrap_err();
    assert_eq!((error.kind(), error.attempts(), asked), (ErrorKind::Closed, 1, 1), "a body that is sent once");

    let (result, asked) = again(|conn| conn.say("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"), |r| r);
    assert_eq!((result.unwrap().bytes().unwrap_err().kind(), asked), (ErrorKind::Closed, 1), "a cut body");
}

#[test]
fn bodies_that_can_be_sent_again_are() {
    let bodies: [fn() -> Body; 2] = [
        || Body::from_fn(|| Ok(Pattern::new(100_000))),
        || Body::from_fn(|| Ok(Pattern::new(100_000))).with_len(100_000),
    ];
    for body in bodies {
        let got = Arc::new(Mutex::new(Vec::new()));
        let seen = got.clone();
        let peer = peer(move |n, mut conn| {
            while let Some(request) = conn.request() {
                if request.method == "PUT" {
                    let mut pattern = Pattern::new(100_000);
                    pattern.expect(&request.body);
                    seen.lock().unwrap().push(pattern.is_done());
                    if n == 0 {
                        return;
                    }
                }
                conn.answer("first");
            }
        });
        let client = client();
        warm(&client, &peer);
        client.put(peer.url("/")).body(body()).send().unwrap();
        assert_eq!(*got.lock().unwrap(), [true, true]);
    }
}

#[test]
fn a_fresh_connection_that_ends_is_not_repeated() {
    let peer = peer(|_, mut conn| drop(conn.request()));
    for method in [Method::GET, Method::POST] {
        let error = client().request(method.clone(), peer.url("/")).send().unwrap_err();
        assert_eq!((error.kind(), error.processed()), (ErrorKind::Closed, Processed::Maybe), "{method}");
        assert_eq!((error.attempts(), error.reused()), (1, Some(false)), "{method}");
        assert_eq!(error.is_retryable(), method == Method::GET, "{method}");
    }
    assert_eq!(peer.connections(), 2);
}

#[test]
fn one_repetition_is_all() {
    let peer = peer(|n, mut conn| {
        if n == 0 {
            conn.request();
            conn.answer("first");
        }
        conn.request();
    });
    let client = client();
    warm(&client, &peer);
    let error = client.get(peer.url("/")).send().unwrap_err();
    assert_eq!((error.kind(), error.attempts(), error.reused()), (ErrorKind::Closed, 2, Some(false)));
    assert_eq!((peer.connections(), client.stats().retries), (2, 1));
}

/// Others of the same age are suspect: the peer may have been started anew.
#[test]
fn a_repetition_takes_a_fresh_connection() {
    let (arrived, both) = mpsc::channel::<mpsc::Sender<()>>();
    let arrived = Mutex::new(arrived);
    let peer = peer(move |n, mut conn| {
        if n < 3 {
            conn.request();
            let (go, wait) = mpsc::channel();
            arrived.lock().unwrap().send(go).unwrap();
            wait.recv().unwrap();
            conn.answer("first");
            conn.request();
            return;
        }
        conn.serve();
    });
    let client = client();
    let threads: Vec<_> = (0..3)
        .map(|_| {
            let (client, url) = (client.clone(), peer.url("/"));
            thread::spawn(move || client.get(url).send().unwrap().text().unwrap())
        })
        .collect();
    let gates: Vec<_> = (0..3).map(|_| both.recv().unwrap()).collect();
    gates.iter().for_each(|go| go.send(()).unwrap());
    threads.into_iter().for_each(|t| drop(t.join().unwrap()));
    let response = client.get(peer.url("/x")).send().unwrap();
    assert!(!response.reused());
    assert_eq!((response.text().unwrap().as_str(), peer.connections()), ("0 /x", 4));
}

// ------------------------------------------------------------------------------------------------ nothing written

#[test]
fn where_nothing_was_written_every_method_is_repeated() {
    for (method, _) in methods() {
        for (retry, replayable) in [(Retry::Safe, true), (Retry::Safe, false), (Retry::Never, true)] {
            let peer = peer(|_, mut conn| {
                while let Some(request) = conn.request() {
                    conn.answer(&format!("{} {}", request.method, request.body.len()));
                }
            });
            let wires = Wires::to(peer.addr());
            let client = builder().connector(wires.clone()).build().unwrap();
            client.get("http://peer.test/").send().unwrap().text().unwrap();
            wires.meet(Fate::Breaks);
            let body =
                if replayable { Body::from_fn(|| Ok(Pattern::new(10))) } else { Body::from_reader(Pattern::new(10)) };
            let request = client.request(method.clone(), "http://peer.test/").retry(retry).body(body.with_len(10));
            let case = format!("{method} {retry:?} {replayable}");
            match request.send() {
                Ok(response) => {
                    assert!(retry == Retry::Safe && replayable, "{case}");
                    assert!(!response.reused(), "{case}");
                    if method != Method::HEAD {
                        assert_eq!(response.text().unwrap(), format!("{method} 10"), "{case}");
                    }
                }
                Err(error) => {
                    assert!(retry == Retry::Never || !replayable, "{case}: {error:?}");
                    assert_eq!((error.kind(), error.processed()), (ErrorKind::Closed, Processed::No), "{case}");
                    assert_eq!((error.bytes_written(), error.attempts()), (0, 1), "{case}");
                    assert_eq!((error.reused(), error.is_retryable()), (Some(true), true), "{case}");
                }
            }
        }
    }
}

#[test]
fn another_address_is_no_other_attempt() {
    struct Two(SocketAddr, SocketAddr);
    impl Resolve for Two {
        fn resolve(&self, _: &str, _: u16, _: Deadline) -> io::Result<Vec<SocketAddr>> {
            Ok(vec![self.0, self.1])
        }
    }
    let peer = peer(|_, mut conn| conn.serve());
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let client = builder().resolver(Two(closed, peer.addr())).build().unwrap();
    let response = client.post("http://name.test/").send().unwrap();
    assert_eq!((response.connection().peer, client.stats().retries), (Some(peer.addr()), 0));

    let client = builder().resolver(Two(closed, closed)).build().unwrap();
    let error = client.post("http://name.test/").send().unwrap_err();
    assert_eq!((error.kind(), error.phase(), error.attempts()), (ErrorKind::Connect, Phase::Connect, 1));
    assert_eq!((error.processed(), error.is_retryable(), error.bytes_written()), (Processed::No, true, 0));
    assert_eq!((error.reused(), client.stats().retries), (None, 0));
}

// ------------------------------------------------------------------------------------------------ 408

#[test]
fn a_408_that_closes_a_reused_connection() {
    const CLOSING: &str = "HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
    const LISTED: &str = "HTTP/1.1 408 Request Timeout\r\nConnection: Keep-Alive, Close\r\nContent-Length: 0\r\n\r\n";
    const TWO: &str = "HTTP/1.1 408 Request Timeout\r\nConnection: x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
    const OPEN: &str = "HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n";
    for (answer, method, retry, repeated) in [
        (CLOSING, Method::GET, Retry::Safe, true),
        (LISTED, Method::GET, Retry::Safe, true),
        (TWO, Method::GET, Retry::Safe, true),
        (CLOSING, Method::PUT, Retry::Safe, true),
        (CLOSING, Method::POST, Retry::Safe, false),
        (CLOSING, Method::GET, Retry::Never, false),
        (OPEN, Method::GET, Retry::Safe, false),
    ] {
        let (peer, asked) = fails(move |conn| conn.say(answer));
        let client = client();
        warm(&client, &peer);
        let response = client.request(method.clone(), peer.url("/")).retry(retry).send().unwrap();
        assert_eq!(response.status() == 200, repeated, "{answer} {method} {retry:?}");
        assert_eq!(asked.load(Ordering::SeqCst), 1 + usize::from(repeated), "{answer} {method} {retry:?}");
    }
    let peer = peer(|_, mut conn| {
        conn.request();
        conn.say(CLOSING);
    });
    assert_eq!(client().get(peer.url("/")).send().unwrap().status(), 408, "on a fresh connection it is meant");
    assert_eq!(peer.connections(), 1);

    // A connection of the program's own has none beside it: there it is the answer.
    let (peer, asked) = fails(|conn| conn.say(CLOSING));
    let connection = client().connect(peer.url("/")).unwrap();
    assert_eq!(connection.get("/").send().unwrap().text().unwrap(), "first");
    let response = connection.get("/").send().unwrap();
    assert_eq!((response.status().as_u16(), response.attempts(), response.reused()), (408, 1, true));
    assert_eq!((peer.connections(), asked.load(Ordering::SeqCst)), (1, 1));
}

#[test]
fn after_a_408_nobody_knows_what_the_peer_did() {
    /// The peer, and at the second time where nobody listens.
    struct Once(Mutex<Vec<SocketAddr>>);
    impl Resolve for Once {
        fn resolve(&self, _: &str, _: u16, _: Deadline) -> io::Result<Vec<SocketAddr>> {
            Ok(vec![self.0.lock().unwrap().pop().unwrap()])
        }
    }
    let (peer, _) = fails(|conn| conn.say("HTTP/1.1 408 Late\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"));
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let client = builder().resolver(Once(Mutex::new(vec![closed, peer.addr()]))).build().unwrap();
    assert_eq!(client.get("http://name.test/").send().unwrap().text().unwrap(), "first");
    let error = client.put("http://name.test/").body("once or twice").send().unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::Connect, 2));
    assert_eq!((error.processed(), error.is_retryable()), (Processed::Maybe, true));
}

// ------------------------------------------------------------------------------------------------ the deadline, hooks

#[test]
fn a_repetition_does_not_extend_the_deadline() {
    let peer = peer(|n, mut conn| {
        if n == 0 {
            conn.request();
            conn.answer("first");
            conn.request();
            pass(ms(150));
            return;
        }
        conn.rest();
    });
    let client = client();
    warm(&client, &peer);
    let error = timed(ms(300), || client.get(peer.url("/")).timeout(ms(300)).send().unwrap_err());
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::TimedOut, 2));
    assert!(error.elapsed() >= ms(300));
}

/// What a hook saw, and what it says.
#[derive(Clone)]
struct Policy {
    seen: Arc<Mutex<Vec<String>>>,
    verdict: fn(&Attempt, Result<&Response, &Error>) -> Verdict,
}

impl Policy {
    fn new(verdict: fn(&Attempt, Result<&Response, &Error>) -> Verdict) -> Self {
        Policy { seen: Arc::default(), verdict }
    }

    fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

impl Hook for Policy {
    fn before(&self, request: &mut Request<Body>, attempt: &Attempt) -> bowline::Result<()> {
        request.headers_mut().insert("x-attempt", attempt.number.into());
        Ok(())
    }

    fn after(&self, attempt: &Attempt, outcome: Result<&Response, &Error>) -> Verdict {
        let text = match outcome {
            Ok(response) => response.status().as_str().to_owned(),
            Err(e) => format!("{:?} after {}", e.kind(), e.attempts()),
        };
        self.seen.lock().unwrap().push(format!("{} {}: {text}", attempt.number, attempt.replayable));
        (self.verdict)(attempt, outcome)
    }
}

#[test]
fn a_hook_repeats_answers_and_failures() {
    let peer = peer(|n, mut conn| {
        while let Some(request) = conn.request() {
            let attempt: usize = request.header("x-attempt").unwrap().parse().unwrap();
            assert_eq!(request.body, b"body");
            match attempt {
                1 => conn.say("HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy"),
                2 => return,
                _ => conn.answer(&format!("attempt {attempt} on {n}")),
            }
        }
    });
    let policy = Policy::new(|attempt, outcome| match outcome {
        Ok(response) if response.status() == 200 => Verdict::Pass,
        _ if attempt.number < 5 => Verdict::RetryAfter(ms(20)),
        _ => Verdict::Pass,
    });
    let client = builder().hook(policy.clone()).build().unwrap();
    let began = Instant::now();
    let response = client.post(peer.url("/")).body("body").send().unwrap();
    assert!(began.elapsed() >= ms(40));
    // A POST that may have been processed: the hook knows better.
    assert_eq!(response.text().unwrap(), "attempt 3 on 1");
    assert_eq!(policy.seen(), ["1 true: 503", "2 true: Closed after 2", "3 true: 200"]);
    let stats = client.stats();
    assert_eq!((stats.requests, stats.retries, stats.in_flight, stats.errors), (1, 2, 0, 0));
}

/// What a hook repeats was answered, whatever becomes of the repetition.
#[test]
fn an_error_after_an_answer_says_that_there_was_one() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let server = thread::spawn(move || {
        let mut conn = Conn::tcp(listener.accept().unwrap().0);
        drop(listener);
        conn.request().unwrap();
        conn.say("HTTP/1.1 503 Busy\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    });
    let policy = Policy::new(|attempt, _| match attempt.number {
        1 => Verdict::RetryAfter(Duration::ZERO),
        _ => Verdict::Pass,
    });
    let client = builder().hook(policy).build().unwrap();
    let error = client.post(&url).send().unwrap_err();
    server.join().unwrap();
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::Connect, 2));
    assert_eq!((error.processed(), error.is_retryable()), (Processed::Yes, false));
}

#[test]
fn a_hook_cannot_repeat_what_is_sent_once() {
    let peer = peer(|_, mut conn| {
        while conn.request().is_some() {
            conn.say("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n");
        }
    });
    let policy = Policy::new(|_, _| Verdict::RetryAfter(Duration::ZERO));
    let client = builder().hook(policy.clone()).build().unwrap();
    let response = client.put(peer.url("/")).body(Body::from_reader(Pattern::new(5))).send().unwrap();
    assert_eq!(response.status(), 503);
    assert_eq!(policy.seen(), ["1 false: 503"]);
}

#[test]
fn a_hook_delivers_what_would_be_repeated() {
    let (peer, asked) = fails(|_| {});
    let policy = Policy::new(|_, _| Verdict::Deliver);
    let client = builder().hook(policy.clone()).build().unwrap();
    warm(&client, &peer);
    let error = client.get(peer.url("/")).send().unwrap_err();
    assert_eq!((error.kind(), error.attempts(), asked.load(Ordering::SeqCst)), (ErrorKind::Closed, 1, 1));
    assert_eq!(policy.seen(), ["1 true: 200", "1 true: Closed after 1"]);

    let round = support::peer(|_, mut conn| {
        while conn.request().is_some() {
            conn.say("HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n");
        }
    });
    assert_eq!(client.get(round.url("/")).send().unwrap().status(), 302, "a redirect as well");
}

#[test]
fn the_verdict_of_the_last_hook_comes_first() {
    let (peer, asked) = fails(|_| {});
    let deliver = Policy::new(|_, _| Verdict::Deliver);
    let repeat = Policy::new(|attempt, outcome| match outcome {
        Err(_) if attempt.number == 1 => Verdict::RetryAfter(Duration::ZERO),
        _ => Verdict::Pass,
    });
    let client = builder().hook(deliver.clone()).hook(repeat.clone()).build().unwrap();
    warm(&client, &peer);
    assert_eq!(client.post(peer.url("/")).send().unwrap().text().unwrap(), "again");
    assert_eq!(asked.load(Ordering::SeqCst), 2);
    assert_eq!((deliver.seen().len(), repeat.seen().len()), (3, 3), "everyone sees everything");
}

#[test]
fn an_error_of_a_hook_sends_nothing() {
    struct Refuses;
    impl Hook for Refuses {
        fn before(&self, _: &mut Request<Body>, _: &Attempt) -> bowline::Result<()> {
            Err(Error::other("no key"))
        }
    }
    let peer = peer(|_, mut conn| conn.serve());
    let client = builder().hook(Refuses).build().unwrap();
    let error = client.get(peer.url("/")).send().unwrap_err();
    assert_eq!((error.kind(), error.phase(), error.processed()), (ErrorKind::Other, Phase::Build, Processed::No));
    assert_eq!((error.to_string().as_str(), peer.connections(), client.stats().errors), ("no key", 0, 1));
}
