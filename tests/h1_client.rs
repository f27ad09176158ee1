//! The client over HTTP/1 against scripted peers: framings, reuse, interim answers, uploads.

mod support;

use bowline::{Attempt, Body, Error, ErrorKind, Hook, Phase, Processed, Recv, Response, Timeouts, Trace, Verdict};
use std::{
    io::{Read, Write},
    sync::{
        Arc, Mutex,
        mpsc::{self, Receiver, Sender},
    },
    thread,
    time::Duration,
};
use support::{Conn, Pattern, Peer, builder, client, ms, pass, peer, prompt, timed};

/// A peer that gives this answer to the first request, then closes.
fn says(answer: &'static [u8]) -> Peer {
    peer(move |_, mut conn| {
        conn.request();
        conn.say(answer);
    })
}

/// Reads a body to its end, or its error.
fn whole(response: Response) -> Result<Vec<u8>, Error> {
    response.bytes()
}

#[test]
fn every_framing_gives_the_same_body() {
    let framings: [(&str, &[u8]); 6] = [
        ("length", b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nhello world"),
        ("chunked", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nhello \r\n5;x=y\r\nworld\r\n0\r\n\r\n"),
        ("close", b"HTTP/1.1 200 OK\r\n\r\nhello world"),
        ("close, 1.0", b"HTTP/1.0 200 OK\r\n\r\nhello world"),
        ("length, 1.0", b"HTTP/1.0 200 OK\r\nContent-Length: 11\r\n\r\nhello world"),
        ("no reason", b"HTTP/1.1 200 \r\nContent-Length: 11\r\n\r\nhello world"),
    ];
    for (name, answer) in framings {
        let peer = says(answer);
        let response = client().get(peer.url("/")).send().unwrap();
        assert_eq!(response.status(), 200, "{name}");
        assert_eq!(
            response.content_length(),
            name.starts_with("length").then_some(11).or((name == "no reason").then_some(11))
        );
        assert_eq!(whole(response).unwrap(), b"hello world", "{name}");
    }
}

#[test]
fn every_cut_of_a_body_is_an_error() {
    let whole_answers: [&[u8]; 2] = [
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nx: y\r\n\r\n",
    ];
    for answer in whole_answers {
        let head = answer.windows(4).position(|w| w == b"\r\n\r\n").unwrap() + 4;
        for cut in head..answer.len() {
            let peer = says(&answer[..cut]);
            let error = client().get(peer.url("/")).send().unwrap().bytes().unwrap_err();
            assert_eq!((error.kind(), error.phase()), (ErrorKind::Closed, Phase::Body), "cut at {cut}");
            assert_eq!((error.processed(), error.is_retryable()), (Processed::Yes, false), "cut at {cut}");
        }
        let peer = says(answer);
        assert_eq!(client().get(peer.url("/")).send().unwrap().bytes().unwrap(), b"hello");
    }
}

#[test]
fn every_cut_of_a_head_is_an_error() {
    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    for cut in 0..answer.len() {
        let peer = says(&answer[..cut]);
        let error = client().get(peer.url("/")).send().unwrap_err();
        let processed = if cut == 0 { Processed::Maybe } else { Processed::Yes };
        assert_eq!((error.kind(), error.processed()), (ErrorKind::Closed, processed), "cut at {cut}");
        assert_eq!((error.attempts(), error.reused()), (1, Some(false)), "cut at {cut}");
    }
}

#[test]
fn a_body_that_was_cut_says_so_again() {
    let peer = says(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel");
    let mut response = client().get(peer.url("/")).send().unwrap();
    let mut got = Vec::new();
    assert_eq!(response.body().read_to_end(&mut got).unwrap_err().kind(), std::io::ErrorKind::UnexpectedEof);
    assert_eq!(got, b"hel");
    for _ in 0..2 {
        let error = Error::from(response.body().read(&mut [0; 8]).unwrap_err());
        assert_eq!((error.kind(), error.phase()), (ErrorKind::Closed, Phase::Body));
        assert!(response.body().trailers().is_none());
    }
}

#[test]
fn violations_are_errors_of_the_peer() {
    let answers: [&[u8]; 6] = [
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nBad Name: x\r\n\r\n",
        b"220 mail.test ESMTP\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        b"HTTP/1.1 99 No\r\n\r\n",
    ];
    for answer in answers {
        let peer = says(answer);
        let error = client().get(peer.url("/")).send().unwrap_err();
        let case = answer.escape_ascii();
        assert_eq!((error.kind(), error.processed()), (ErrorKind::PeerViolation, Processed::Yes), "{case}: {error}");
        assert_eq!(peer.connections(), 1, "{case}: not repeated");
    }
    let long = [
        format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(70_000)),
        format!("HTTP/1.1 200 OK\r\n{}\r\n", "X: y\r\n".repeat(1000)),
    ];
    for answer in long {
        let peer = peer(move |_, mut conn| {
            conn.request();
            conn.say(&answer);
        });
        let error = client().get(peer.url("/")).send().unwrap_err();
        assert_eq!((error.kind(), error.processed()), (ErrorKind::TooLarge, Processed::Yes), "{error}");
    }
    let chunks = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nx\r\n";
    let peer = says(chunks);
    let error = client().get(peer.url("/")).send().unwrap().bytes().unwrap_err();
    assert_eq!((error.kind(), error.phase()), (ErrorKind::PeerViolation, Phase::Body));
}

#[test]
fn trailers_are_there_after_the_end() {
    let (next, go) = mpsc::channel::<()>();
    let go = Mutex::new(go);
    let peer = peer(move |_, mut conn| {
        conn.request();
        conn.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x-sum\r\n\r\n2\r\nhi\r\n");
        go.lock().unwrap().recv().unwrap();
        conn.say("0\r\nX-Sum: 7\r\nX-Sum: 8\r\nContent-Type: text/lies\r\n\r\n");
        conn.serve();
    });
    let client = client();
    let mut response = client.get(peer.url("/")).send().unwrap();
    let mut two = [0; 2];
    response.body().read_exact(&mut two).unwrap();
    assert!(response.body().trailers().is_none());
    next.send(()).unwrap();
    assert_eq!(response.body().read(&mut two).unwrap(), 0);
    let trailers = response.body().trailers().unwrap();
    let sums: Vec<_> = trailers.get_all("x-sum").iter().collect();
    assert_eq!(sums, ["7", "8"]);
    assert!(!trailers.contains_key("content-type"), "it may not come behind the body");
    drop(response);
    assert!(client.get(peer.url("/")).send().unwrap().reused());
}

#[test]
fn answers_without_a_body_keep_the_connection() {
    let peer = peer(|_, mut conn| {
        while let Some(request) = conn.request() {
            match (request.method.as_str(), request.target.as_str()) {
                ("HEAD", _) => conn.say("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"),
                (_, "/204") => conn.say("HTTP/1.1 204 No Content\r\n\r\n"),
                (_, "/304") => conn.say("HTTP/1.1 304 Not Modified\r\nContent-Length: 1000\r\nETag: \"x\"\r\n\r\n"),
                (_, "/0") => conn.say("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
                _ => conn.answer("end"),
            }
        }
    });
    let client = client();
    for (n, (method, path)) in
        [("HEAD", "/x"), ("GET", "/204"), ("GET", "/304"), ("GET", "/0"), ("HEAD", "/x"), ("GET", "/")]
            .into_iter()
            .enumerate()
    {
        let response = client.request(method.parse().unwrap(), peer.url(path)).send().unwrap();
        assert_eq!(response.reused(), n > 0, "{method} {path}");
        if method == "HEAD" {
            assert_eq!(response.header("content-length"), Some("1000"));
        }
        let expected: &[u8] = if path == "/" { b"end" } else { b"" };
        assert_eq!(response.bytes().unwrap(), expected, "{method} {path}");
    }
    assert_eq!(peer.connections(), 1);
}

/// Writes down what it sees.
#[derive(Clone, Default)]
struct Notes(Arc<Mutex<Vec<String>>>);

impl Hook for Notes {
    fn after(&self, attempt: &Attempt, outcome: Result<&Response, &Error>) -> Verdict {
        let outcome = outcome.map(|r| r.status().as_u16()).map_err(|e| e.kind());
        self.0.lock().unwrap().push(format!("after {}: {outcome:?}", attempt.number));
        Verdict::Pass
    }

    fn trace(&self, step: &Trace) {
        let text = match step {
            Trace::Informational { status, headers, .. } => format!("{} {headers:?}", status.as_u16()),
            Trace::Answered { status, .. } => format!("answered {}", status.as_u16()),
            Trace::Ended { bytes, .. } => format!("ended {bytes}"),
            _ => return,
        };
        self.0.lock().unwrap().push(text);
    }
}

#[test]
fn interim_answers_go_to_the_hook() {
    let peer = says(
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    );
    let notes = Notes::default();
    let client = builder().hook(notes.clone()).build().unwrap();
    assert_eq!(client.get(peer.url("/")).send().unwrap().text().unwrap(), "ok");
    let notes = notes.0.lock().unwrap();
    assert_eq!(*notes, ["100 {}", r#"103 {"link": "</a>"}"#, "answered 200", "after 1: Ok(200)", "ended 2"]);
}

#[test]
fn interim_answers_are_bounded() {
    let peer = peer(|_, mut conn| {
        conn.request();
        for _ in 0..10_000 {
            conn.say("HTTP/1.1 103 Early Hints\r\n\r\n");
        }
        conn.answer("never");
    });
    let error = client().get(peer.url("/")).send().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PeerViolation, "{error}");
}

// ------------------------------------------------------------------------------------------------ 100-continue

#[test]
fn the_body_goes_out_after_100() {
    let peer = peer(|_, mut conn| {
        let head = conn.head().unwrap();
        assert_eq!(head.header("expect"), Some("100-continue"));
        conn.socket().set_nonblocking(true).unwrap();
        assert!(conn.exactly(1).is_empty(), "the body came unasked");
        conn.socket().set_nonblocking(false).unwrap();
        conn.say("HTTP/1.1 100 Continue\r\n\r\n");
        assert_eq!(conn.body(&head).unwrap(), b"body");
        conn.answer("ok");
        conn.serve();
    });
    let client = client();
    let response = client.post(peer.url("/")).expect_continue(Duration::MAX).body("body").send().unwrap();
    assert_eq!(response.text().unwrap(), "ok");
    assert!(client.get(peer.url("/")).send().unwrap().reused());
}

#[test]
fn no_body_follows_a_refusal() {
    for answer in [
        "HTTP/1.1 417 Expectation Failed\r\nContent-Length: 6\r\n\r\n",
        "HTTP/1.1 401 Unauthorized\r\nContent-Length: 6\r\n\r\n",
    ] {
        let (next, go) = mpsc::channel::<()>();
        let (done, came) = mpsc::channel();
        let script = Mutex::new((go, done));
        let peer = peer(move |n, mut conn| {
            if n > 0 {
                return conn.serve();
            }
            let (go, done) = &*script.lock().unwrap();
            conn.head().unwrap();
            conn.say(answer);
            conn.say("ref");
            go.recv().unwrap();
            conn.say("use");
            done.send(conn.rest()).unwrap();
        });
        let client = client();
        let mut response =
            client.post(peer.url("/")).expect_continue(ms(20_000)).body(vec![b'x'; 1000]).send().unwrap();
        assert!(response.status().is_client_error());
        let mut three = [0; 3];
        response.body().read_exact(&mut three).unwrap();
        assert!(matches!(response.body().read_timeout(&mut three, ms(1)), Ok(Recv::TimedOut)));
        next.send(()).unwrap();
        assert_eq!(response.bytes().unwrap(), b"use");
        assert_eq!(came.recv().unwrap(), b"", "the body was not asked for");
        assert!(!client.get(peer.url("/")).send().unwrap().reused(), "the peer still expects a body there");
    }
}

#[test]
fn a_peer_that_ignores_expect_gets_the_body_later() {
    let peer = peer(|_, mut conn| {
        let head = conn.head().unwrap();
        assert_eq!(conn.body(&head).unwrap(), b"body");
        conn.answer("ok");
    });
    timed(ms(200), || client().post(peer.url("/")).expect_continue(ms(200)).body("body").send().unwrap());
}

#[test]
fn nothing_is_expected_without_a_body() {
    let peer = peer(|_, mut conn| {
        assert_eq!(conn.request().unwrap().header("expect"), None);
        conn.answer("ok");
    });
    prompt(|| client().post(peer.url("/")).expect_continue(ms(5000)).send().unwrap());
}

// ------------------------------------------------------------------------------------------------ reuse

#[test]
fn the_last_connection_returned_is_the_first_used() {
    let (arrived, both) = mpsc::channel::<(usize, Sender<()>)>();
    let arrived = Mutex::new(arrived);
    let peer = peer(move |n, mut conn| {
        while conn.request().is_some() {
            let (go, wait) = mpsc::channel();
            arrived.lock().unwrap().send((n, go)).unwrap();
            wait.recv().unwrap();
            conn.answer(&n.to_string());
        }
    });
    let client = client();
    let ask = || {
        let (client, url) = (client.clone(), peer.url("/"));
        thread::spawn(move || client.get(url).send().unwrap().text().unwrap())
    };
    let (a, b) = (ask(), ask());
    let (first, second) = (both.recv().unwrap(), both.recv().unwrap());
    // Answered in this order, so returned in this order.
    let last = second.0.to_string();
    first.1.send(()).unwrap();
    let mut threads = vec![a, b];
    let done = loop {
        if let Some(at) = threads.iter().position(|t| t.is_finished()) {
            break threads.remove(at);
        }
        thread::yield_now();
    };
    assert_eq!(done.join().unwrap(), first.0.to_string());
    second.1.send(()).unwrap();
    assert_eq!(threads.remove(0).join().unwrap(), last);
    for _ in 0..3 {
        let asking = ask();
        both.recv().unwrap().1.send(()).unwrap();
        assert_eq!(asking.join().unwrap(), last);
    }
    assert_eq!(peer.connections(), 2);
}

/// Two requests, one after the other; returns whether the second reused the connection.
fn reuses(answer: &'static str) -> bool {
    let peer = peer(move |_, mut conn| {
        while conn.request().is_some() {
            conn.say(answer);
        }
    });
    let client = client();
    assert_eq!(client.get(peer.url("/")).send().unwrap().text().unwrap(), "ok");
    let second = client.get(peer.url("/")).send().unwrap();
    assert_eq!(peer.connections(), if second.reused() { 1 } else { 2 });
    second.reused()
}

#[test]
fn what_the_peer_says_about_reuse() {
    for (fields, reused) in [
        ("HTTP/1.1 200 OK\r\n", true),
        ("HTTP/1.1 200 OK\r\nConnection: close\r\n", false),
        ("HTTP/1.1 200 OK\r\nConnection: x, Close\r\n", false),
        ("HTTP/1.1 200 OK\r\nKeep-Alive: timeout=0\r\n", false),
        ("HTTP/1.1 200 OK\r\nKeep-Alive: timeout=1\r\n", false),
        ("HTTP/1.1 200 OK\r\nKeep-Alive: timeout=2\r\n", true),
        ("HTTP/1.1 200 OK\r\nKeep-Alive: max=5, Timeout=\"1\"\r\n", false),
        ("HTTP/1.1 200 OK\r\nKeep-Alive: timeout=99999999999999999999\r\n", true),
        ("HTTP/1.0 200 OK\r\n", false),
        ("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n", true),
    ] {
        let answer: &'static str = format!("{fields}Content-Length: 2\r\n\r\nok").leak();
        assert_eq!(reuses(answer), reused, "{fields}");
    }
}

#[test]
fn what_the_client_says_about_reuse() {
    for (builder, reused) in [
        (builder(), true),
        (builder().max_idle(0), false),
        (builder().max_idle_per_origin(0), false),
        (builder().idle_timeout(Duration::ZERO), false),
        (builder().idle_timeout(Duration::MAX).max_lifetime(Duration::MAX), true),
        (builder().default_header("Connection", "close"), false),
    ] {
        let case = format!("{builder:?}");
        let peer = peer(|_, mut conn| conn.serve());
        let client = builder.build().unwrap();
        client.get(peer.url("/")).send().unwrap().text().unwrap();
        assert_eq!(client.get(peer.url("/")).send().unwrap().reused(), reused, "{case}");
    }
}

#[test]
fn a_body_read_to_its_end_or_dropped_frees_the_connection() {
    let peer = peer(|_, mut conn| {
        while let Some(request) = conn.request() {
            let n: usize = request.target[1..].parse().unwrap();
            conn.answer(&"x".repeat(n));
        }
    });
    let client = client();
    // Dropped unread: what has arrived is taken away, as long as it is little.
    for n in [0, 1, 1000] {
        drop(client.get(peer.url(&format!("/{n}"))).send().unwrap());
    }
    let mut response = client.get(peer.url("/5")).send().unwrap();
    assert_eq!(response.connection().requests, 4);
    let mut five = [0; 5];
    response.body().read_exact(&mut five).unwrap();
    drop(response);
    let large = client.get(peer.url("/30000000")).send().unwrap();
    assert!(large.reused());
    prompt(|| drop(large));
    assert!(!client.get(peer.url("/1")).send().unwrap().reused(), "so much is not read in vain");
    assert_eq!(peer.connections(), 2);
}

/// A peer whose first connection ends as told after its first answer; tells when it has done so.
fn ends_idle(how: fn(&mut Conn)) -> (Peer, Receiver<()>) {
    let (ended, wait) = mpsc::channel();
    let ended = Mutex::new(ended);
    let peer = peer(move |n, mut conn| {
        conn.request();
        conn.answer("first");
        if n == 0 {
            how(&mut conn);
            ended.lock().unwrap().send(()).unwrap();
        }
        while let Some(request) = conn.request() {
            assert_ne!(n, 0, "{} on a connection that was over", request.method);
            conn.answer("more");
        }
    });
    (peer, wait)
}

#[test]
fn an_idle_connection_that_ended_is_not_used() {
    let ends: [(&str, fn(&mut Conn)); 5] = [
        ("end", |conn| conn.finish()),
        ("stray byte", |conn| conn.say("x")),
        ("408", |conn| conn.say("HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")),
        ("a second answer", |conn| conn.answer("again")),
        ("shutdown", |conn| conn.socket().shutdown(std::net::Shutdown::Both).unwrap()),
    ];
    for (name, how) in ends {
        for method in ["GET", "POST"] {
            let (peer, ended) = ends_idle(how);
            let client = client();
            client.get(peer.url("/")).send().unwrap().text().unwrap();
            ended.recv().unwrap();
            // The look is left out for a connection used within the last millisecond.
            pass(ms(2));
            let response = client.request(method.parse().unwrap(), peer.url("/")).body("x").send().unwrap();
            assert!(!response.reused(), "{name}, {method}");
            assert_eq!(response.text().unwrap(), "first", "{name}, {method}");
            assert_eq!(client.stats().retries, 0, "{name}, {method}: it was seen beforehand");
        }
    }
}

#[test]
fn a_post_is_never_sent_twice() {
    let sent = Arc::new(Mutex::new(0));
    let seen = sent.clone();
    let peer = peer(move |_, mut conn| {
        conn.request();
        conn.answer("first");
        // The next request is read and not answered.
        if let Some(request) = conn.request() {
            assert_eq!(request.body, b"order");
            *seen.lock().unwrap() += 1;
        }
    });
    let client = client();
    client.get(peer.url("/")).send().unwrap().text().unwrap();
    let error = client.post(peer.url("/")).body("order").send().unwrap_err();
    assert_eq!((error.kind(), error.processed()), (ErrorKind::Closed, Processed::Maybe));
    assert_eq!((error.attempts(), error.reused(), error.is_retryable()), (1, Some(true), false));
    assert!(error.bytes_written() > 5);
    assert_eq!((*sent.lock().unwrap(), peer.connections()), (1, 1));
}

// ------------------------------------------------------------------------------------------------ uploads

#[test]
fn bodies_of_every_kind_arrive_whole() {
    let peer = peer(|_, mut conn| {
        while let Some(request) = conn.request() {
            let framing = request.header("content-length").map_or("chunked".to_owned(), str::to_owned);
            let mut pattern = Pattern::new(request.body.len() as u64);
            pattern.expect(&request.body);
            conn.answer(&format!("{framing} {}", request.body.len()));
        }
    });
    let client = client();
    let bytes = |n: usize| {
        let mut bytes = Vec::new();
        Pattern::new(n as u64).read_to_end(&mut bytes).unwrap();
        bytes
    };
    for n in [0, 1, 4096, 65_535, 65_536, 65_537, 1_000_000] {
        let kinds = [
            (client.put(peer.url("/")).body(bytes(n)), n.to_string()),
            (
                client.put(peer.url("/")).body(Body::from_reader(Pattern::new(n as u64)).with_len(n as u64)),
                n.to_string(),
            ),
            (client.put(peer.url("/")).body(Body::from_reader(Pattern::new(n as u64))), "chunked".to_owned()),
            (client.put(peer.url("/")).body(Body::from_fn(move || Ok(Pattern::new(n as u64)))), "chunked".to_owned()),
        ];
        for (at, (request, framing)) in kinds.into_iter().enumerate() {
            assert_eq!(request.send().unwrap().text().unwrap(), format!("{framing} {n}"), "kind {at}");
        }
    }
    assert_eq!(peer.connections(), 1);
}

#[test]
fn a_body_of_the_wrong_length_is_the_callers_mistake() {
    for (declared, given) in [(5, 4), (5, 6), (100_000, 99_999)] {
        let peer = peer(|_, mut conn| assert!(conn.request().is_none(), "a part was taken for the whole"));
        let body = Body::from_reader(Pattern::new(given)).with_len(declared);
        let error = client().put(peer.url("/")).body(body).send().unwrap_err();
        assert_eq!(
            (error.kind(), error.phase()),
            (ErrorKind::InvalidInput, Phase::Send),
            "{declared}, {given}: {error}"
        );
    }
}

#[test]
fn a_length_among_the_headers_is_that_of_the_body() {
    let peer = peer(|_, mut conn| {
        while let Some(request) = conn.request() {
            conn.answer(&format!("{:?} {}", request.header("content-length"), request.body.len()));
        }
    });
    let client = client();
    let put = |length: &str| client.put(peer.url("/")).header("content-length", length);
    let reader = || Body::from_reader(Pattern::new(5));
    for request in
        [put("5").body("hello"), put("5").body(reader()), put("5").body(Body::from_fn(|| Ok(Pattern::new(5))))]
    {
        assert_eq!(request.send().unwrap().text().unwrap(), "Some(\"5\") 5");
    }
    assert_eq!(put("0").send().unwrap().text().unwrap(), "Some(\"0\") 0");
    for request in [
        put("6").body("hello"),
        put("5"),
        put("x").body("hello"),
        put("+5").body("hello"),
        put("").body(reader()),
        put("5").header("content-length", "5").body("hello").header("content-length", "6"),
    ] {
        let error = request.send().unwrap_err();
        assert_eq!((error.kind(), error.processed()), (ErrorKind::InvalidInput, Processed::No), "{error}");
    }
    assert_eq!(peer.connections(), 1);
    // One that gives less is found out.
    let error = put("6").body(reader()).send().unwrap_err();
    assert_eq!((error.kind(), error.phase()), (ErrorKind::InvalidInput, Phase::Send), "{error}");
}

#[test]
fn an_error_of_the_body_is_the_error_of_the_request() {
    struct Fails(bool);
    impl Read for Fails {
        fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
            if std::mem::replace(&mut self.0, true) {
                Err(std::io::Error::other("disk"))
            } else {
                Ok(buf.len().min(10))
            }
        }
    }
    let peer = peer(|_, mut conn| assert!(conn.request().is_none()));
    let error = client().put(peer.url("/")).body(Body::from_reader(Fails(false))).send().unwrap_err();
    assert_eq!((error.kind(), error.phase()), (ErrorKind::Other, Phase::Send));
    assert!(error.to_string().contains("disk"), "{error}");
}

#[test]
fn an_early_answer_is_kept_and_stops_the_upload() {
    const LEN: u64 = 1 << 30;
    let peer = peer(|n, mut conn| {
        if n > 0 {
            return conn.serve();
        }
        conn.head().unwrap();
        conn.exactly(1000);
        conn.say("HTTP/1.1 413 Content Too Large\r\nContent-Length: 5\r\n\r\nlarge");
        let read = conn.rest().len() as u64;
        assert!(read < LEN / 4, "{read} bytes came after the answer");
    });
    let client = client();
    let body = Body::from_reader(Pattern::new(LEN)).with_len(LEN);
    let response = client.put(peer.url("/")).body(body).send().unwrap();
    assert_eq!(response.status(), 413);
    assert_eq!(response.text().unwrap(), "large");
    assert!(!client.get(peer.url("/")).send().unwrap().reused());
}

#[test]
fn an_early_answer_survives_the_reset_behind_it() {
    for _ in 0..20 {
        let peer = peer(|_, mut conn| {
            conn.head().unwrap();
            conn.say("HTTP/1.1 413 Content Too Large\r\nContent-Length: 5\r\n\r\nlarge");
            // Closing with unread bytes makes the kernel reset the connection.
        });
        let body = Body::from_reader(Pattern::new(1 << 26));
        let response = client().put(peer.url("/")).body(body).send();
        // The reset may overtake the answer in the kernel of the peer; then nobody has it.
        match response.and_then(|r| Ok((r.status().as_u16(), r.text()?))) {
            Ok((status, text)) => assert_eq!((status, text.as_str()), (413, "large")),
            Err(e) => assert_eq!(e.kind(), ErrorKind::Closed, "{e}"),
        }
    }
}

#[test]
fn a_peer_that_does_not_read_is_given_up() {
    let limit = ms(300);
    let (done, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let peer = peer(move |_, mut conn| {
        conn.head().unwrap();
        let _ = wait.lock().unwrap().recv();
    });
    let client = builder().timeouts(Timeouts::none().write(limit)).build().unwrap();
    let body = Body::from_reader(Pattern::new(1 << 30));
    let began = std::time::Instant::now();
    let error = client.put(peer.url("/")).body(body).send().unwrap_err();
    // Filling the buffers takes time of its own.
    assert!(began.elapsed() >= limit && began.elapsed() < limit + ms(1000), "{:?}", began.elapsed());
    assert_eq!((error.kind(), error.phase()), (ErrorKind::TimedOut, Phase::Send), "{error}");
    assert_eq!((error.processed(), error.is_retryable()), (Processed::Maybe, true), "{error}");
    drop(done);
}

#[test]
fn sixty_four_mebibytes_both_ways_at_once() {
    const LEN: u64 = 64 << 20;
    let peer = peer(|_, mut conn| {
        let head = conn.head().unwrap();
        assert_eq!(head.header("content-length"), Some(LEN.to_string().as_str()));
        conn.say(format!("HTTP/1.1 200 OK\r\nContent-Length: {LEN}\r\n\r\n"));
        let mut left = LEN as usize;
        while left > 0 {
            let piece = conn.exactly(left.min(100_000));
            assert!(!piece.is_empty(), "{left} bytes missing");
            left -= piece.len();
            conn.say(piece);
        }
        conn.serve();
    });
    let client = client();
    let body = Body::from_reader(Pattern::new(LEN)).with_len(LEN);
    let mut response = client.put(peer.url("/")).body(body).send().unwrap();
    let (mut pattern, mut piece) = (Pattern::new(LEN), vec![0; 64 * 1024]);
    loop {
        match response.body().read(&mut piece).unwrap() {
            0 => break,
            n => pattern.expect(&piece[..n]),
        }
    }
    assert!(pattern.is_done());
    drop(response);
    assert!(client.get(peer.url("/")).send().unwrap().reused());
}

#[test]
fn sixty_four_mebibytes_by_two_threads() {
    const LEN: u64 = 64 << 20;
    let peer = peer(|_, mut conn| {
        let head = conn.head().unwrap();
        assert_eq!(head.header("transfer-encoding"), Some("chunked"));
        conn.say(format!("HTTP/1.1 200 OK\r\nContent-Length: {LEN}\r\n\r\n"));
        loop {
            match conn.chunk().unwrap() {
                chunk if chunk.is_empty() => break,
                chunk => conn.say(chunk),
            }
        }
        conn.serve();
    });
    let client = client();
    let (mut writer, pending) = client.put(peer.url("/")).duplex().unwrap();
    let writing = thread::spawn(move || {
        let (mut pattern, mut piece) = (Pattern::new(LEN), vec![0; 100_000]);
        loop {
            match pattern.read(&mut piece).unwrap() {
                0 => break writer.finish().unwrap(),
                n => writer.write_all(&piece[..n]).unwrap(),
            }
        }
    });
    let body = pending.wait().unwrap().bytes().unwrap();
    writing.join().unwrap();
    let mut pattern = Pattern::new(LEN);
    pattern.expect(&body);
    assert!(pattern.is_done());
    assert!(client.get(peer.url("/")).send().unwrap().reused());
}

#[test]
fn a_duplex_body_dropped_without_its_end_is_no_whole_body() {
    let peer = peer(|_, mut conn| {
        let head = conn.head().unwrap();
        assert!(conn.body(&head).is_none(), "a part was taken for the whole");
    });
    let (mut writer, pending) = client().put(peer.url("/")).duplex().unwrap();
    writer.write_all(b"part").unwrap();
    prompt(|| drop(writer));
    assert_eq!(pending.wait().unwrap_err().kind(), ErrorKind::Cancelled);
}

#[test]
fn request_trailers_follow_the_body() {
    let peer = peer(|_, mut conn| {
        let head = conn.head().unwrap();
        assert_eq!(head.header("transfer-encoding"), Some("chunked"));
        let end = b"4\r\nbody\r\n0\r\nx-sum: 7\r\n\r\n";
        assert_eq!(conn.exactly(end.len()).escape_ascii().to_string().to_lowercase(), end.escape_ascii().to_string());
        conn.answer("ok");
    });
    let (mut writer, pending) = client().put(peer.url("/")).duplex().unwrap();
    writer.write_all(b"body").unwrap();
    let trailers = [("x-sum", "7")].map(|(n, v)| (n.parse().unwrap(), v.parse().unwrap())).into_iter().collect();
    writer.finish_with_trailers(trailers).unwrap();
    assert_eq!(pending.wait().unwrap().text().unwrap(), "ok");
}
