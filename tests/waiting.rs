//! Many requests and one waiting thread, one connection and many threads, calls inside calls.

mod support;

use bowline::{
    Batch, Body, BodyWriter, Cancel, Client, ClientBuilder, Connection, ConnectionInfo, Error, ErrorKind, Pending,
    Recv, RequestBuilder, Response, Tunnel,
    net::{PairEnd, Wire, pair},
};
use std::{
    io::{self, Read, Write},
    sync::{Arc, Mutex, mpsc},
    thread,
    time::{Duration, Instant},
};
use support::{GUARD, Pattern, builder, client, ms, pass, peer, prompt, timed};

/// What may cross threads.
const _: fn() = || {
    fn shared<T: Send + Sync>() {}
    fn moved<T: Send>() {}
    shared::<Client>();
    shared::<ClientBuilder>();
    shared::<Cancel>();
    shared::<Connection>();
    shared::<ConnectionInfo>();
    shared::<Error>();
    shared::<Response>();
    shared::<PairEnd>();
    shared::<Body>();
    moved::<RequestBuilder>();
    moved::<Pending>();
    moved::<Response>();
    moved::<Body>();
    moved::<BodyWriter>();
    moved::<Batch<String>>();
    moved::<Tunnel>();
};

/// Takes what has arrived at this end; it must be a whole request.
fn request(far: &PairEnd) -> String {
    let mut buf = [0; 4096];
    let n = far.try_read(&mut buf).unwrap();
    let text = String::from_utf8(buf[..n].to_vec()).unwrap();
    assert!(text.ends_with("\r\n\r\n"), "{text}");
    text.lines().next().unwrap().to_owned()
}

fn answer(far: &PairEnd, text: &str) {
    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{text}", text.len());
    assert_eq!(far.try_write(answer.as_bytes()).unwrap(), answer.len());
}

#[test]
fn one_thread_waits_for_sockets_and_memory_at_once() {
    let (go, gate) = mpsc::channel::<mpsc::Sender<()>>();
    let go = Mutex::new(go);
    let peer = peer(move |_, mut conn| {
        while conn.request().is_some() {
            let (open, wait) = mpsc::channel();
            go.lock().unwrap().send(open).unwrap();
            wait.recv().unwrap();
            conn.answer("tcp");
        }
    });
    let client = client();
    for pairs in [0, 1, 3, 6] {
        let ends: Vec<_> = (0..pairs).map(|_| pair(10_000)).collect();
        let (near, far): (Vec<_>, Vec<_>) = ends.into_iter().unzip();
        let connections: Vec<_> =
            near.into_iter().map(|near| Connection::over(near, "http://pair.test", &client).unwrap()).collect();
        let mut batch = Batch::new();
        for (n, connection) in connections.iter().enumerate() {
            batch.push(connection.get(&format!("/{n}")).start(), format!("pair {n}"));
        }
        for n in 0..3 {
            batch.push(client.get(peer.url("/")).start(), format!("tcp {n}"));
        }
        assert!(matches!(timed(ms(20), || batch.recv_timeout(ms(20))), Recv::TimedOut));
        let gates: Vec<_> = (0..3).map(|_| gate.recv().unwrap()).collect();
        // One at a time, in turns, each from another thread.
        let mut actions: Vec<Box<dyn FnOnce() + Send>> = Vec::new();
        for (n, far) in far.into_iter().enumerate() {
            actions.push(Box::new(move || {
                assert_eq!(request(&far), format!("GET /{n} HTTP/1.1"));
                answer(&far, "pair");
                // The end behind the answer comes later.
                std::mem::forget(far);
            }));
        }
        for (n, gate) in gates.into_iter().enumerate() {
            actions.insert((2 * n).min(actions.len()), Box::new(move || gate.send(()).unwrap()));
        }
        for action in actions {
            let acting = thread::spawn(action);
            let Recv::Item((tag, result)) = batch.recv_timeout(GUARD) else { panic!("nothing came") };
            acting.join().unwrap();
            assert!(tag.starts_with(&result.unwrap().text().unwrap()), "{tag}");
        }
        assert!(batch.next().is_none() && batch.is_empty());
    }
}

#[test]
fn fifty_started_requests_share_six_connections() {
    let peer = peer(|_, mut conn| conn.serve());
    let client = client();
    let mut batch = Batch::new();
    for n in 0..50 {
        batch.push(client.get(peer.url(&format!("/{n}"))).start(), n);
    }
    assert_eq!((batch.len(), client.stats().in_flight), (50, 50));
    let mut seen = [false; 50];
    for (n, result) in batch {
        let text = result.unwrap().text().unwrap();
        assert!(text.ends_with(&format!(" /{n}")), "{text} is not of {n}");
        assert!(!std::mem::replace(&mut seen[n], true), "{n} came twice");
    }
    assert_eq!(seen, [true; 50]);
    assert_eq!(peer.connections(), 6);
    let stats = client.stats();
    assert_eq!((stats.requests, stats.in_flight, stats.opened, stats.errors), (50, 0, 6, 0));
}

#[test]
fn a_batch_with_a_cap_of_one() {
    let peer = peer(|_, mut conn| conn.serve());
    let client = builder().max_connections_per_origin(1).build().unwrap();
    let mut batch = Batch::new();
    for n in 0..20 {
        batch.push(client.get(peer.url(&format!("/{n}"))).start(), n);
    }
    // In their order: each waits for the one before it.
    let texts: Vec<_> = batch.map(|(_, result)| result.unwrap().text().unwrap()).collect();
    assert_eq!(texts, (0..20).map(|n| format!("{n} /{n}")).collect::<Vec<_>>());
    assert_eq!(peer.connections(), 1);
}

#[test]
fn a_batch_that_mixes_answers_and_failures() {
    let peer = peer(|_, mut conn| {
        while let Some(request) = conn.request() {
            match request.target.as_str() {
                "/end" => return,
                "/wrong" => return conn.say("nonsense\r\n"),
                "/wait" => return drop(conn.rest()),
                _ => conn.answer("ok"),
            }
        }
    });
    let client = client();
    let mut batch = Batch::new();
    for path in ["/ok", "/end", "/wrong", "/ok"] {
        batch.push(client.post(peer.url(path)).start(), path);
    }
    batch.push(client.get(peer.url("/wait")).timeout(ms(100)).start(), "/wait");
    batch.push(client.get("nonsense").start(), "invalid");
    batch.push(client.get("http://127.0.0.1:1/").start(), "refused");
    for (tag, result) in batch {
        let kind = result.map(|r| r.text().unwrap()).map_err(|e| e.kind());
        let expected = match tag {
            "/ok" => Ok("ok".to_owned()),
            "/end" => Err(ErrorKind::Closed),
            "/wrong" => Err(ErrorKind::PeerViolation),
            "/wait" => Err(ErrorKind::TimedOut),
            "invalid" => Err(ErrorKind::InvalidInput),
            _ => Err(ErrorKind::Connect),
        };
        assert_eq!(kind, expected, "{tag}");
    }
    assert_eq!(client.stats().in_flight, 0);
}

#[test]
fn more_can_be_pushed_while_a_batch_is_emptied() {
    let peer = peer(|_, mut conn| conn.serve());
    let client = client();
    let mut batch = Batch::new();
    batch.push(client.get(peer.url("/0")).start(), 0);
    let mut order = Vec::new();
    while let Some((n, result)) = batch.next() {
        assert!(result.unwrap().text().unwrap().ends_with(&format!("/{n}")));
        order.push(n);
        if n < 30 {
            batch.push(client.get(peer.url(&format!("/{}", n + 1))).start(), n + 1);
        }
    }
    assert_eq!(order, (0..=30).collect::<Vec<_>>());
}

#[test]
fn a_request_moves_from_thread_to_thread() {
    let (go, gate) = mpsc::channel::<()>();
    let gate = Mutex::new(gate);
    let peer = peer(move |_, mut conn| {
        conn.request();
        gate.lock().unwrap().recv().unwrap();
        conn.answer("moved");
        conn.serve();
    });
    let client = client();
    let mut pending = client.get(peer.url("/")).start();
    for _ in 0..5 {
        pending = thread::spawn(move || {
            assert!(pending.wait_timeout(ms(5)).unwrap().is_none());
            pending
        })
        .join()
        .unwrap();
    }
    let waiting = thread::spawn(move || pending.wait().unwrap());
    go.send(()).unwrap();
    let mut response = waiting.join().unwrap();
    let mut one = [0];
    response.body().read_exact(&mut one).unwrap();
    assert_eq!(thread::spawn(move || response.text().unwrap()).join().unwrap(), "oved");
    assert!(client.get(peer.url("/")).send().unwrap().reused());
}

#[test]
fn the_requests_of_one_connection_wait_in_line() {
    let peer = peer(|n, mut conn| {
        assert_eq!(n, 0);
        conn.serve();
    });
    let client = client();
    let connection = Arc::new(client.connect(peer.url("/")).unwrap());
    let threads: Vec<_> = (0..8)
        .map(|t| {
            let connection = connection.clone();
            thread::spawn(move || {
                for n in 0..50 {
                    let text = connection.get(&format!("/{t}/{n}")).send().unwrap().text().unwrap();
                    assert!(text.ends_with(&format!(" /{t}/{n}")), "{text}");
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|t| t.join().unwrap());
    assert_eq!((connection.info().requests, connection.info().open_streams), (400, 0));
    let mut batch = Batch::new();
    for n in 0..10 {
        batch.push(connection.get(&format!("/{n}")).start(), n);
    }
    for (at, (n, result)) in batch.enumerate() {
        assert_eq!(n, at, "in line");
        assert!(result.unwrap().text().unwrap().ends_with(&format!("/{n}")));
    }
}

#[test]
fn many_threads_and_one_pool() {
    let peer = peer(|_, mut conn| conn.serve());
    for cap in [None, Some(1), Some(3)] {
        let builder = builder();
        let client = match cap {
            Some(cap) => builder.max_connections_per_origin(cap),
            None => builder,
        };
        let client = client.build().unwrap();
        let before = peer.connections();
        let threads: Vec<_> = (0..8)
            .map(|t| {
                let (client, url) = (client.clone(), peer.url(""));
                thread::spawn(move || {
                    for n in 0..100 {
                        let response = client.get(format!("{url}/{t}/{n}")).send().unwrap();
                        let text = response.text().unwrap();
                        assert!(text.ends_with(&format!(" /{t}/{n}")), "{text}");
                    }
                })
            })
            .collect();
        threads.into_iter().for_each(|t| t.join().unwrap());
        let opened = peer.connections() - before;
        assert!(opened <= cap.unwrap_or(8), "{opened} connections, {cap:?} allowed");
        let stats = client.stats();
        assert_eq!((stats.requests, stats.in_flight, stats.errors), (800, 0, 0));
    }
}

/// One thread writes, the other reads: whichever waits on the socket does it for both.
#[test]
fn two_threads_on_one_connection_take_turns() {
    let peer = peer(|_, mut conn| {
        while let Some(head) = conn.head() {
            assert_eq!(head.header("transfer-encoding"), Some("chunked"));
            conn.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
            loop {
                let chunk = conn.chunk().unwrap();
                conn.say(format!("{:x}\r\n", chunk.len()));
                conn.say(&chunk);
                conn.say("\r\n");
                if chunk.is_empty() {
                    break;
                }
            }
        }
    });
    let client = client();
    for round in 0..20 {
        let (mut writer, pending) = client.post(peer.url("/")).duplex().unwrap();
        let (heard, next) = mpsc::channel::<u32>();
        let writing = thread::spawn(move || {
            for n in 0..200u32 {
                writer.write_all(&n.to_be_bytes()).unwrap();
                writer.flush().unwrap();
                // Ping-pong in the first half, then as fast as it goes.
                if n < 100 {
                    assert_eq!(next.recv_timeout(GUARD).unwrap(), n);
                }
            }
            writer.finish().unwrap();
        });
        let mut response = pending.wait().unwrap();
        assert_eq!(response.reused(), round > 0);
        for n in 0..200u32 {
            let mut four = [0; 4];
            response.body().read_exact(&mut four).unwrap();
            assert_eq!(u32::from_be_bytes(four), n);
            let _ = heard.send(n);
        }
        assert_eq!(response.body().read(&mut [0]).unwrap(), 0);
        writing.join().unwrap();
    }
    assert_eq!(peer.connections(), 1);
}

/// The thread that reads the socket leaves because its own time is up; the other one must not sleep on.
#[test]
fn a_reader_that_leaves_hands_over() {
    let (near, far) = pair(100_000);
    let client = client();
    let connection = Connection::over(near, "http://pair.test", &client).unwrap();
    let (mut writer, mut pending) = connection.post("/").duplex().unwrap();
    let (full, filled) = mpsc::channel();
    let writing = thread::spawn(move || {
        let piece = [b'x'; 10_000];
        let mut told = false;
        for _ in 0..50 {
            let mut rest = &piece[..];
            while !rest.is_empty() {
                match writer.write_timeout(rest, ms(1)).unwrap() {
                    0 if !told => {
                        told = true;
                        full.send(()).unwrap();
                    }
                    n => rest = &rest[n..],
                }
            }
        }
        writer.finish().unwrap();
    });
    filled.recv().unwrap();
    // This thread becomes the reader and leaves, again and again.
    for _ in 0..20 {
        assert!(pending.wait_timeout(ms(2)).unwrap().is_none());
    }
    let peer = thread::spawn(move || {
        let mut got = 0;
        let mut buf = [0; 5000];
        let mut last = Vec::new();
        let began = Instant::now();
        loop {
            match far.try_read(&mut buf) {
                Ok(n) => {
                    got += n;
                    last.extend_from_slice(&buf[..n]);
                    last.drain(..last.len().saturating_sub(5));
                    if last == b"0\r\n\r\n" {
                        break;
                    }
                }
                Err(_) => thread::yield_now(),
            }
            assert!(began.elapsed() < GUARD, "stuck after {got} bytes");
        }
        answer(&far, "done");
        far
    });
    assert_eq!(pending.wait().unwrap().text().unwrap(), "done");
    writing.join().unwrap();
    drop(peer.join().unwrap());
}

#[test]
fn a_body_that_makes_requests_while_it_is_read() {
    let peer = peer(|_, mut conn| {
        while let Some(request) = conn.request() {
            conn.answer(&format!("{}:{}", request.target, request.body.len()));
        }
    });

    /// Each read makes a request of its own.
    struct Nested(Client, String, u32);
    impl Read for Nested {
        fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            if self.2 == 0 {
                return Ok(0);
            }
            self.2 -= 1;
            let text = match self.2 {
                1 => {
                    let body = Body::from_reader(Nested(self.0.clone(), self.1.clone(), 1));
                    self.0.post(format!("{}/inner", self.1)).body(body).send()?.text()?
                }
                _ => self.0.get(format!("{}/leaf", self.1)).send()?.text()?,
            };
            buf[..text.len()].copy_from_slice(text.as_bytes());
            Ok(text.len())
        }
    }
    let client = client();
    let body = Body::from_reader(Nested(client.clone(), peer.url(""), 3));
    let text = client.post(peer.url("/outer")).body(body).send().unwrap().text().unwrap();
    // Twice "/leaf:0" and once "/inner:7".
    assert_eq!(text, format!("/outer:{}", 7 + 8 + 7));
    assert_eq!(peer.connections(), 3);
}

#[test]
fn a_body_that_is_the_body_of_another_answer() {
    const LEN: u64 = 10 << 20;
    let peer = peer(|_, mut conn| {
        while let Some(request) = conn.request() {
            if request.method == "GET" {
                conn.say(format!("HTTP/1.1 200 OK\r\nContent-Length: {LEN}\r\n\r\n"));
                let mut body = Vec::new();
                Pattern::new(LEN).read_to_end(&mut body).unwrap();
                conn.say(body);
            } else {
                let mut pattern = Pattern::new(LEN);
                pattern.expect(&request.body);
                let framing = if request.header("content-length").is_some() { "length" } else { "chunked" };
                conn.answer(&format!("{} {framing}", pattern.is_done()));
            }
        }
    });
    let client = client();
    let body = client.get(peer.url("/")).send().unwrap().into_body();
    let text = client.post(peer.url("/")).body(body).send().unwrap().text().unwrap();
    assert_eq!(text, "true length");
    assert_eq!(client.stats().in_flight, 0);
    let half = support::peer(|_, mut conn| {
        conn.request();
        conn.say("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
    });
    let cut = client.get(half.url("/")).send().unwrap().into_body();
    let error = client.post(peer.url("/")).body(cut).send().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed, "{error:?}");
}

#[test]
fn an_owned_connection_in_a_loop_of_the_program() {
    let (near, far) = pair(10_000);
    let client = client();
    let connection = Connection::over(near, "http://pair.test", &client).unwrap();
    assert!(connection.pump().is_ok());
    let mut pending = connection.get("/a").start();
    assert!(prompt(|| pending.try_wait()).unwrap().is_none());
    assert_eq!(request(&far), "GET /a HTTP/1.1");
    answer(&far, "a");
    let response = prompt(|| pending.try_wait()).unwrap().unwrap();
    assert_eq!(response.text().unwrap(), "a");
    drop(far);
    assert_eq!(prompt(|| connection.pump()).unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(connection.get("/b").send().unwrap_err().kind(), ErrorKind::Closed);
}

/// Every cut of an answer, and every size of the wire's buffer, gives the same.
#[test]
fn wires_of_every_size() {
    let text = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\nx: y\r\n\r\n";
    for piece in [1, 2, 3, 7, 1000] {
        let (near, far) = pair(64);
        let connection = Connection::over(near.max_piece(piece), "http://pair.test", &client()).unwrap();
        let far = far.max_piece(piece);
        let answering = thread::spawn(move || {
            let (mut got, mut buf) = (Vec::new(), [0; 16]);
            while !got.ends_with(b"x") {
                match far.try_read(&mut buf) {
                    Ok(n) => got.extend_from_slice(&buf[..n]),
                    Err(_) => thread::yield_now(),
                }
            }
            let mut rest = &text[..];
            while !rest.is_empty() {
                match far.try_write(rest) {
                    Ok(n) => rest = &rest[n..],
                    Err(_) => thread::yield_now(),
                }
            }
            far
        });
        let mut response = connection.post("/").body(vec![b'x'; 1]).send().unwrap();
        let mut body = String::new();
        response.body().read_to_string(&mut body).unwrap();
        assert_eq!(body, "hello world", "{piece}");
        assert_eq!(response.body().trailers().unwrap()["x"], "y", "{piece}");
        answering.join().unwrap();
    }
}

/// The answers of requests that nobody waits for are there when somebody does.
#[test]
fn waiting_in_any_order() {
    let peer = peer(|_, mut conn| conn.serve());
    let client = client();
    for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
        let mut pending: Vec<_> = (0..3).map(|n| Some(client.get(peer.url(&format!("/{n}"))).start())).collect();
        for n in order {
            let mut one = pending[n].take().unwrap();
            let response = one.wait_timeout(Duration::from_secs(10)).unwrap().expect("an answer");
            assert!(response.text().unwrap().ends_with(&format!("/{n}")));
        }
    }
    // More than get a connection at once: whoever is waited for alone gets one all the same.
    let pending: Vec<_> = (0..10).map(|n| (n, client.get(peer.url(&format!("/{n}"))).start())).collect();
    for (n, one) in pending.into_iter().rev() {
        assert!(one.wait().unwrap().text().unwrap().ends_with(&format!("/{n}")));
    }
}

/// A body of ten bytes every ten milliseconds, for three seconds.
struct Dawdling(u32);

impl Read for Dawdling {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.0 == 300 {
            return Ok(0);
        }
        self.0 += 1;
        pass(ms(10));
        buf[..10].fill(b'x');
        Ok(10)
    }
}

#[test]
fn a_body_whose_reader_takes_its_time_delays_no_answer_limit_or_cancel() {
    let peer = peer(|_, mut conn| {
        let head = conn.head().unwrap();
        conn.chunk().unwrap();
        if head.target == "/enough" {
            conn.say("HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nContent-Length: 6\r\n\r\nenough");
        }
        conn.rest();
    });
    let client = client();
    let post = |path| client.post(peer.url(path)).body(Body::from_reader(Dawdling(0)));
    let response = prompt(|| post("/enough").send()).unwrap();
    assert_eq!((response.status().as_u16(), &*response.text().unwrap()), (413, "enough"));
    let error = timed(ms(200), || post("/").timeout(ms(200)).send()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    let cancel = Cancel::new();
    let canceller = thread::spawn({
        let cancel = cancel.clone();
        move || {
            pass(ms(100));
            cancel.cancel();
        }
    });
    let error = timed(ms(100), || post("/").cancel_on(&cancel).send()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    canceller.join().unwrap();
}
