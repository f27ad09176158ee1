//! Every time limit: what it covers, which phase it names, never early and hardly late; and waits with a limit in the call.

mod support;

use bowline::{
    Attempt, Batch, Body, Connection, Error, ErrorKind, Hook, Phase, Processed, Recv, Response, Timeouts, Verdict,
    net::pair,
};
use std::{
    io::{self, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Mutex, mpsc},
    thread,
    time::{Duration, Instant},
};
use support::{Conn, Pattern, Peer, builder, client, late, ms, pass, peer, prompt, timed};

/// The limit of most tests.
const LIMIT: Duration = ms(200);

fn with(timeouts: Timeouts) -> bowline::Client {
    builder().timeouts(timeouts).build().unwrap()
}

/// Checks that it is the error of a limit: its phase, and the time it says it took.
#[track_caller]
fn expect(error: &Error, phase: Phase, limit: Duration) {
    assert_eq!((error.kind(), error.phase()), (ErrorKind::TimedOut, phase), "{error:?}");
    assert!(error.is_timeout());
    // That it is not late is for the clock of the test.
    assert!(error.elapsed() >= limit, "{error:?}");
}

/// A peer that takes connections and says nothing; it reads what comes.
fn silent() -> Peer {
    peer(|_, mut conn| drop(conn.rest()))
}

// ------------------------------------------------------------------------------------------------ resolve

#[test]
fn the_system_is_given_its_time() {
    for timeouts in [Timeouts::none().resolve(Duration::ZERO), Timeouts::none().connect(Duration::ZERO)] {
        let error = prompt(|| with(timeouts).get("http://name.invalid/").send().unwrap_err());
        expect(&error, Phase::Resolve, Duration::ZERO);
        assert_eq!((error.processed(), error.is_retryable(), error.attempts()), (Processed::No, true, 1));
    }
}

// ------------------------------------------------------------------------------------------------ connect

/// A listener whose queue is full, and what fills it.
fn full() -> (TcpListener, Vec<TcpStream>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let mut queue = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&addr, ms(100)) {
        queue.push(stream);
        assert!(queue.len() < 10_000, "the queue has no end");
    }
    (listener, queue)
}

#[test]
fn connecting_to_a_full_queue() {
    let (listener, _queue) = full();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let error = timed(LIMIT, || with(Timeouts::none().connect(LIMIT)).get(&url).send().unwrap_err());
    expect(&error, Phase::Connect, LIMIT);
    assert_eq!((error.processed(), error.is_retryable(), error.bytes_written()), (Processed::No, true, 0));
    let error = timed(LIMIT, || with(Timeouts::none().total(LIMIT)).get(&url).send().unwrap_err());
    expect(&error, Phase::Connect, LIMIT);
    assert_eq!((error.processed(), error.is_retryable()), (Processed::No, true));
    let error = timed(LIMIT, || with(Timeouts::none().connect(LIMIT)).connect(&url).unwrap_err());
    expect(&error, Phase::Connect, LIMIT);
}

#[cfg(feature = "tls")]
#[test]
fn a_wire_that_never_answers_tls() {
    let peer = silent();
    let url = format!("https://{}/", peer.addr());
    let error = timed(LIMIT, || with(Timeouts::none().connect(LIMIT)).get(&url).send().unwrap_err());
    expect(&error, Phase::Tls, LIMIT);
    assert_eq!((error.processed(), error.is_retryable(), error.bytes_written()), (Processed::No, true, 0));
    let error = timed(LIMIT, || with(Timeouts::none().total(LIMIT)).get(&url).send().unwrap_err());
    expect(&error, Phase::Tls, LIMIT);
}

#[test]
fn a_proxy_that_never_answers() {
    let peer = silent();
    let proxy = bowline::Proxy::new(format!("http://{}", peer.addr())).unwrap();
    let client = builder().proxy(proxy).timeouts(Timeouts::none().connect(LIMIT)).build().unwrap();
    let error = timed(LIMIT, || client.get("https://name.test/").send().unwrap_err());
    expect(&error, Phase::Proxy, LIMIT);
}

// ------------------------------------------------------------------------------------------------ slot

#[test]
fn a_slot_that_does_not_become_free() {
    let peer = silent();
    let client = builder().max_connections_per_origin(1).timeouts(Timeouts::none().slot(LIMIT)).build().unwrap();
    let first = client.get(peer.url("/")).start();
    for _ in 0..2 {
        let error = timed(LIMIT, || client.get(peer.url("/")).send().unwrap_err());
        assert_eq!((error.kind(), error.phase()), (ErrorKind::PoolTimeout, Phase::Slot));
        assert!(error.is_timeout() && error.elapsed() >= LIMIT);
        assert_eq!((error.processed(), error.is_retryable()), (Processed::No, true));
    }
    let error = timed(LIMIT, || {
        let timeouts = Timeouts::none().total(LIMIT);
        client.get(peer.url("/")).timeouts(timeouts).send().unwrap_err()
    });
    expect(&error, Phase::Slot, LIMIT);
    assert_eq!((error.processed(), error.is_retryable()), (Processed::No, true));
    drop(first);
    // The place is free at once.
    let second = prompt(|| client.get(peer.url("/")).start());
    assert_eq!(client.stats().in_flight, 1);
    drop(second);
}

#[test]
fn a_slot_that_becomes_free_in_time() {
    let (answer, go) = mpsc::channel::<()>();
    let go = Mutex::new(go);
    let peer = peer(move |_, mut conn| {
        while conn.request().is_some() {
            go.lock().unwrap().recv().unwrap();
            conn.answer("ok");
        }
    });
    let client = builder().max_connections_per_origin(1).build().unwrap();
    let threads: Vec<_> = (0..3)
        .map(|_| {
            let (client, url) = (client.clone(), peer.url("/"));
            thread::spawn(move || client.get(url).send().unwrap().text().unwrap())
        })
        .collect();
    (0..3).for_each(|_| answer.send(()).unwrap());
    threads.into_iter().for_each(|t| assert_eq!(t.join().unwrap(), "ok"));
    assert_eq!(peer.connections(), 1);
}

// ------------------------------------------------------------------------------------------------ first byte

#[test]
fn silence_instead_of_an_answer() {
    let peer = silent();
    for body in [Body::empty(), Body::from_reader(Pattern::new(1000))] {
        let client = with(Timeouts::none().first_byte(LIMIT));
        let error = timed(LIMIT, || client.post(peer.url("/")).body(body).send().unwrap_err());
        expect(&error, Phase::FirstByte, LIMIT);
        assert_eq!((error.processed(), error.is_retryable()), (Processed::Maybe, false));
        assert!(error.bytes_written() > 0 && error.connection().is_some());
        assert_eq!(error.reused(), Some(false));
    }
    let client = with(Timeouts::none().first_byte(LIMIT));
    let error = timed(LIMIT, || client.get(peer.url("/")).send().unwrap_err());
    assert!(error.is_retryable(), "a GET may be sent again");
}

#[test]
fn the_first_byte_is_awaited_from_the_last_of_the_request_on() {
    /// A body that takes its time.
    struct Slow(u32);
    impl Read for Slow {
        fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            pass(ms(100));
            self.0 -= 1;
            buf[0] = b'x';
            Ok((self.0 > 0).into())
        }
    }
    let peer = silent();
    let client = with(Timeouts::none().first_byte(LIMIT));
    let error =
        timed(ms(400) + LIMIT, || client.post(peer.url("/")).body(Body::from_reader(Slow(4))).send().unwrap_err());
    expect(&error, Phase::FirstByte, ms(400) + LIMIT);

    let (mut writer, pending) = client.post(peer.url("/")).duplex().unwrap();
    writer.write_all(b"x").unwrap();
    let waiting = thread::spawn(move || (pending.wait().unwrap_err(), Instant::now()));
    pass(ms(300));
    let last = Instant::now();
    writer.finish().unwrap();
    let (error, at) = waiting.join().unwrap();
    assert_eq!((error.kind(), error.phase()), (ErrorKind::TimedOut, Phase::FirstByte));
    let took = at - last;
    assert!(took >= LIMIT && took <= LIMIT + late(last), "{took:?}");
}

/// The first byte ends the wait for it; from then on the limit of each read holds, in the head as in the body.
#[test]
fn a_head_that_drips() {
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    let peer = peer(move |_, mut conn| {
        conn.request();
        conn.drip(head, ms(20));
    });
    let client = with(Timeouts::none().first_byte(ms(400)).read(ms(400)));
    let began = Instant::now();
    assert_eq!(client.get(peer.url("/")).send().unwrap().status(), 200);
    assert!(began.elapsed() > ms(400));
}

#[test]
fn a_head_that_stops() {
    let (stopped, at) = mpsc::channel();
    let stopped = Mutex::new(stopped);
    let peer = peer(move |_, mut conn| {
        conn.request();
        conn.drip("HTTP/1.1 200 O", ms(20));
        stopped.lock().unwrap().send(Instant::now()).unwrap();
        conn.say("K");
        conn.rest();
    });
    let client = with(Timeouts::none().first_byte(ms(10_000)).read(LIMIT));
    let error = client.get(peer.url("/")).send().unwrap_err();
    let last = at.recv().unwrap();
    let took = last.elapsed();
    assert!(took >= LIMIT && took <= LIMIT + late(last), "{took:?}");
    assert_eq!((error.kind(), error.phase()), (ErrorKind::TimedOut, Phase::FirstByte), "{error}");
    assert_eq!((error.processed(), error.is_retryable()), (Processed::Yes, false));
}

#[test]
fn an_interim_answer_does_not_shorten_the_wait() {
    let peer = peer(move |_, mut conn| {
        conn.request();
        conn.say("HTTP/1.1 102 Processing\r\n\r\n");
        conn.rest();
    });
    let client = with(Timeouts::none().first_byte(ms(300)).read(ms(50)));
    let error = timed(ms(300), || client.get(peer.url("/")).send().unwrap_err());
    assert_eq!((error.kind(), error.phase()), (ErrorKind::TimedOut, Phase::FirstByte), "{error}");
    assert_eq!(error.processed(), Processed::Yes);
}

// ------------------------------------------------------------------------------------------------ read

#[test]
fn a_body_that_stops() {
    for framing in ["Content-Length: 11", "Transfer-Encoding: chunked", "X: close"] {
        let peer = peer(move |_, mut conn| {
            conn.request();
            conn.say(format!("HTTP/1.1 200 OK\r\n{framing}\r\n\r\n5\r\nhello\r\n"));
            conn.rest();
        });
        let client = with(Timeouts::none().read(LIMIT));
        let mut response = client.get(peer.url("/")).send().unwrap();
        let mut got = Vec::new();
        let error = timed(LIMIT, || Error::from(response.body().read_to_end(&mut got).unwrap_err()));
        assert_eq!((error.kind(), error.phase()), (ErrorKind::TimedOut, Phase::Body), "{framing}");
        assert_eq!((error.processed(), error.is_retryable()), (Processed::Yes, false), "{framing}");
        assert!(got.windows(5).any(|w| w == b"hello"), "{framing}: what came is there");
        let again = prompt(|| Error::from(response.body().read(&mut [0; 4]).unwrap_err()));
        assert_eq!(again.kind(), ErrorKind::TimedOut, "{framing}: it stays over");
    }
}

#[test]
fn a_body_that_drips_is_no_silence() {
    let peer = peer(move |_, mut conn| {
        conn.request();
        conn.say("HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n");
        conn.drip("twelve bytes", ms(50));
    });
    let client = with(Timeouts::none().read(ms(400)));
    let response = client.get(peer.url("/")).send().unwrap();
    let began = Instant::now();
    assert_eq!(response.text().unwrap(), "twelve bytes");
    assert!(began.elapsed() > ms(400));
}

#[test]
fn the_time_between_two_reads_is_the_callers() {
    let peer = peer(move |_, mut conn| {
        conn.request();
        conn.say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\na");
        conn.drip("b", ms(0));
        conn.rest();
    });
    let client = with(Timeouts::none().read(ms(100)));
    let mut response = client.get(peer.url("/")).send().unwrap();
    for byte in [b'a', b'b'] {
        pass(ms(200));
        let mut one = [0];
        response.body().read_exact(&mut one).unwrap();
        assert_eq!(one[0], byte);
    }
}

// ------------------------------------------------------------------------------------------------ write

/// A peer that reads the head, and then the body in this way.
fn reads(how: impl Fn(&mut Conn) + Send + Sync + 'static) -> Peer {
    peer(move |_, mut conn| {
        conn.head().unwrap();
        how(&mut conn);
    })
}

#[test]
fn a_peer_that_takes_nothing() {
    let (stop, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let peer = reads(move |_| wait.lock().unwrap().recv().unwrap_or_default());
    // A wire without buffers of the system makes the time exact.
    let client = with(Timeouts::none().write(LIMIT).first_byte(ms(20_000)));
    for len in [100, 5_000, 200_000] {
        let (near, _far) = pair(1000);
        let connection = Connection::over(near, "http://pair.test", &client).unwrap();
        let error = timed(LIMIT, || connection.post("/").body(vec![b'x'; len + 1000]).send().unwrap_err());
        expect(&error, Phase::Send, LIMIT);
        assert_eq!((error.processed(), error.is_retryable()), (Processed::Maybe, false), "{len}");
        assert_eq!(error.bytes_written(), 1000, "{len}");
    }
    let (mut writer, pending) = client.post(peer.url("/")).duplex().unwrap();
    let piece = vec![b'x'; 100_000];
    let began = Instant::now();
    let error = Error::from(loop {
        if let Err(e) = writer.write_all(&piece) {
            break e;
        }
    });
    assert!(began.elapsed() >= LIMIT);
    assert_eq!((error.kind(), error.phase()), (ErrorKind::TimedOut, Phase::Send));
    drop((writer, pending, stop));
}

/// The limit is on the standstill: a slow peer is not a dead one, however little it takes.
#[test]
fn a_peer_that_takes_a_little_at_a_time() {
    const LEN: usize = 200_000;
    let (near, far) = pair(4000);
    let taking = thread::spawn(move || {
        use bowline::net::Wire;
        let (mut took, mut piece) = (0, [0; 4000]);
        while took < LEN {
            pass(ms(20));
            took += far.try_read(&mut piece).unwrap_or(0);
        }
        far.try_write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").unwrap();
        far
    });
    let client = with(Timeouts::none().write(ms(150)));
    let connection = Connection::over(near, "http://pair.test", &client).unwrap();
    let response = connection.post("/").body(vec![b'x'; LEN]).send();
    assert_eq!(response.unwrap().status(), 200);
    taking.join().unwrap();
}

#[test]
fn a_body_written_by_the_caller_to_a_slow_peer() {
    let (near, far) = pair(1000);
    thread::spawn(move || {
        use bowline::net::Wire;
        let mut piece = [0; 1000];
        loop {
            pass(ms(5));
            if let Ok(0) = far.try_read(&mut piece) {
                return;
            }
        }
    });
    let client = with(Timeouts::none().write(ms(150)));
    let connection = Connection::over(near, "http://pair.test", &client).unwrap();
    let (mut writer, pending) = connection.post("/").duplex().unwrap();
    writer.write_all(&vec![b'x'; 200_000]).unwrap();
    writer.flush().unwrap();
    drop((writer, pending));
}

// ------------------------------------------------------------------------------------------------ total

#[test]
fn the_total_covers_every_phase() {
    let total = || Timeouts::none().total(LIMIT);
    let quiet = silent();
    let error = timed(LIMIT, || with(total()).post(quiet.url("/")).send().unwrap_err());
    expect(&error, Phase::FirstByte, LIMIT);
    assert_eq!((error.processed(), error.is_retryable()), (Processed::Maybe, false), "it was sent");
    assert!(error.bytes_written() > 0 && error.connection().is_some());
    let error = timed(LIMIT, || with(total()).get(quiet.url("/")).send().unwrap_err());
    assert_eq!((error.processed(), error.is_retryable()), (Processed::Maybe, true));

    let (stop, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let stuck = reads(move |_| wait.lock().unwrap().recv().unwrap_or_default());
    let body = Body::from_reader(Pattern::new(1 << 30));
    let error = timed(LIMIT, || with(total()).post(stuck.url("/")).body(body).send().unwrap_err());
    expect(&error, Phase::Send, LIMIT);
    drop(stop);

    let drips = peer(|_, mut conn| {
        conn.request();
        conn.say("HTTP/1.1 200 OK\r\n\r\n");
        conn.drip([b'x'; 1000], ms(20));
    });
    let error = timed(LIMIT, || with(total()).get(drips.url("/")).send().unwrap().bytes().unwrap_err());
    expect(&error, Phase::Body, LIMIT);

    assert_eq!(
        prompt(|| with(Timeouts::none().total(Duration::ZERO)).get(quiet.url("/")).send().unwrap_err()).kind(),
        ErrorKind::TimedOut
    );
}

#[test]
fn a_body_that_never_pauses_does_not_outrun_the_total() {
    let peer = peer(|_, mut conn| {
        conn.request();
        conn.say("HTTP/1.1 200 OK\r\n\r\n");
        let piece = vec![b'x'; 1 << 20];
        while io::Write::write_all(&mut conn.socket(), &piece).is_ok() {}
    });
    let client = with(Timeouts::none().total(LIMIT));
    let response = client.get(peer.url("/")).send().unwrap();
    let began = Instant::now();
    let error = response.copy_to(&mut io::sink()).unwrap_err();
    assert!(began.elapsed() <= LIMIT + late(began), "{:?}", began.elapsed());
    expect(&error, Phase::Body, LIMIT);
}

#[test]
fn an_answer_that_has_arrived_whole_can_be_read_later() {
    let peer = peer(|_, mut conn| conn.serve());
    let response = with(Timeouts::none().total(ms(100))).get(peer.url("/")).send().unwrap();
    pass(ms(150));
    assert_eq!(response.text().unwrap(), "0 /");
}

#[test]
fn the_total_covers_redirects_and_retries() {
    let round = peer(|_, mut conn| {
        while conn.request().is_some() {
            pass(ms(30));
            conn.say("HTTP/1.1 302 Found\r\nLocation: /again\r\nContent-Length: 0\r\n\r\n");
        }
    });
    let client = with(Timeouts::none().total(LIMIT));
    let request = client.get(round.url("/")).redirects(bowline::Redirects::Follow(1000));
    expect(&timed(LIMIT, || request.send().unwrap_err()), Phase::FirstByte, LIMIT);

    struct Again(Duration);
    impl Hook for Again {
        fn after(&self, _: &Attempt, _: Result<&Response, &Error>) -> Verdict {
            Verdict::RetryAfter(self.0)
        }
    }
    let busy = peer(|_, mut conn| {
        while conn.request().is_some() {
            conn.say("HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy");
        }
    });
    // Without time for another pause the last answer is delivered.
    let total = ms(1000);
    let client = builder().hook(Again(ms(300))).timeouts(Timeouts::none().total(total)).build().unwrap();
    let began = Instant::now();
    let response = client.get(busy.url("/")).send().unwrap();
    assert!(began.elapsed() >= ms(900) && began.elapsed() < total, "{:?}", began.elapsed());
    assert_eq!((response.status().as_u16(), response.text().unwrap().as_str()), (503, "busy"));
    assert_eq!(client.stats().retries, 3);

    // A pause longer than the clock reaches is never over.
    let client = builder().hook(Again(Duration::MAX)).timeouts(Timeouts::none()).build().unwrap();
    let mut pending = client.get(busy.url("/")).start();
    assert!(timed(LIMIT, || pending.wait_timeout(LIMIT)).unwrap().is_none());
    assert_eq!(client.stats().retries, 1);
}

#[test]
fn limits_longer_than_the_clock_are_none() {
    let max = Duration::MAX;
    let timeouts = Timeouts::none().total(max).resolve(max).connect(max).slot(max).first_byte(max).read(max).write(max);
    let peer = peer(|_, mut conn| conn.serve());
    let client = builder().timeouts(timeouts).interrupt(max, || bowline::Flow::Stop).build().unwrap();
    let mut pending = client.post(peer.url("/")).body("x").start();
    let mut response = pending.wait_timeout(max).unwrap().unwrap();
    let mut buf = [0; 16];
    assert!(matches!(response.body().read_timeout(&mut buf, max), Ok(Recv::Item(3))));
    assert!(matches!(response.body().read_timeout(&mut buf, max), Ok(Recv::Ended)));
}

// ------------------------------------------------------------------------------------------------ limits in the call

#[test]
fn waiting_in_vain_is_an_answer() {
    let peer = silent();
    let client = client();
    let mut pending = client.get(peer.url("/")).start();
    for limit in [Duration::ZERO, ms(1), ms(50)] {
        assert!(timed(limit, || pending.wait_timeout(limit)).unwrap().is_none());
    }
    assert!(prompt(|| pending.try_wait()).unwrap().is_none());
    let mut batch = Batch::new();
    assert!(matches!(batch.recv_timeout(ms(50)), Recv::Ended));
    batch.push(pending, 7);
    assert!(matches!(timed(ms(50), || batch.recv_timeout(ms(50))), Recv::TimedOut));
    assert_eq!(batch.len(), 1);
}

#[test]
fn a_thousand_timeouts_lose_nothing() {
    const LEN: usize = 1000;
    let peer = peer(|_, mut conn| {
        conn.request();
        let mut answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
        let mut body = Vec::new();
        Pattern::new(LEN as u64).read_to_end(&mut body).unwrap();
        for piece in body.chunks(7) {
            answer.extend(format!("{:x}\r\n", piece.len()).bytes());
            answer.extend(piece);
            answer.extend(b"\r\n");
        }
        answer.extend(b"0\r\nx-end: yes\r\n\r\n");
        conn.drip(answer, Duration::from_micros(1200));
        conn.serve();
    });
    let client = client();
    let mut pending = client.get(peer.url("/")).start();
    let mut waits = 0;
    let mut response = loop {
        waits += 1;
        let answer = if waits % 2 == 0 { pending.wait_timeout(ms(1)) } else { pending.try_wait() };
        if let Some(response) = answer.unwrap() {
            break response;
        }
    };
    let (mut pattern, mut buf, mut timeouts) = (Pattern::new(LEN as u64), [0; 16], 0);
    loop {
        match response.body().read_timeout(&mut buf, ms(1)).unwrap() {
            Recv::Item(n) => pattern.expect(&buf[..n]),
            Recv::TimedOut => timeouts += 1,
            Recv::Ended => break,
        }
    }
    assert!(pattern.is_done());
    // The head takes some fifty milliseconds, the rest two seconds.
    assert!(waits > 3 && timeouts >= 1000, "{waits} waits, {timeouts} timeouts");
    assert_eq!(response.body().trailers().unwrap()["x-end"], "yes");
    drop(response);
    assert!(client.get(peer.url("/")).send().unwrap().reused());
}

#[test]
fn a_timeout_in_a_call_does_not_extend_the_configured_limit() {
    let peer = peer(|_, mut conn| {
        conn.request();
        conn.say("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
        conn.rest();
    });
    let mut response = with(Timeouts::none().read(LIMIT)).get(peer.url("/")).send().unwrap();
    let mut buf = [0; 16];
    let error = timed(LIMIT, || {
        loop {
            match response.body().read_timeout(&mut buf, ms(10)) {
                Ok(Recv::TimedOut) => {}
                Ok(other) => panic!("{other:?}"),
                Err(e) => break e,
            }
        }
    });
    assert_eq!((error.kind(), error.phase()), (ErrorKind::TimedOut, Phase::Body));

    let quiet = silent();
    let client = with(Timeouts::none().first_byte(LIMIT));
    let (error, mut pending) = timed(LIMIT, || {
        let mut pending = client.get(quiet.url("/")).start();
        loop {
            match pending.wait_timeout(ms(10)) {
                Ok(None) => {}
                Ok(Some(_)) => panic!("nothing was sent"),
                Err(e) => break (e, pending),
            }
        }
    });
    assert_eq!((error.kind(), error.phase()), (ErrorKind::TimedOut, Phase::FirstByte));
    assert_eq!(pending.wait_timeout(ms(10)).unwrap_err().kind(), ErrorKind::Misuse, "it is over");
}

#[test]
fn writing_within_a_time() {
    let (near, far) = pair(1000);
    let connection = Connection::over(near, "http://pair.test", &client()).unwrap();
    let (mut writer, pending) = connection.post("/").duplex().unwrap();
    let piece = [b'x'; 100_000];
    let mut taken = 0;
    loop {
        let began = Instant::now();
        match writer.write_timeout(&piece, ms(50)).unwrap() {
            0 => {
                assert!(began.elapsed() >= ms(50) && began.elapsed() < ms(50) + late(began));
                break;
            }
            n => taken += n,
        }
    }
    assert!(taken <= 300_000, "{taken} bytes are held for a peer that takes nothing");
    assert_eq!(writer.write_timeout(b"", ms(50)).unwrap(), 0);
    drop(far);
    let error = writer.write_timeout(&piece, ms(5000)).unwrap_err();
    assert_eq!((error.kind(), error.phase()), (ErrorKind::Closed, Phase::Send), "{error}");
    drop(pending);
}
