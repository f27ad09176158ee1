//! The limits of the phases up to the answer: resolve, connect, first byte, read, write.

use super::*;

#[test]
fn the_system_is_given_its_time() {
    for timeouts in [Timeouts::none().resolve(Duration::ZERO), Timeouts::none().connect(Duration::ZERO)] {
        // A lookup that is over before anybody looks at the clock says what it found.
        let ask = || prompt(|| with(timeouts.clone()).get("http://name.invalid/").send().unwrap_err());
        let error = (0..100).map(|_| ask()).find(Error::is_timeout).expect("one that is not over at once");
        expect(&error, Phase::Resolve, Duration::ZERO);
        assert_eq!((error.processed(), error.is_retryable(), error.attempts()), (Processed::No, true, 1));
    }
}

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

/// The addresses of a name have one limit together, not one each.
#[test]
fn many_addresses_share_one_limit() {
    struct Name(Vec<SocketAddr>);
    impl Resolve for Name {
        fn resolve(&self, _: &str, _: u16, _: Deadline) -> io::Result<Vec<SocketAddr>> {
            Ok(self.0.clone())
        }
    }
    // Long enough for the race to begin with the third.
    let limit = ms(700);
    let full: Vec<_> = (0..3).map(|_| full()).collect();
    let addresses: Vec<_> = full.iter().map(|(listener, _)| listener.local_addr().unwrap()).collect();
    let client = |addresses| builder().timeouts(Timeouts::none()).resolver(Name(addresses)).build().unwrap();
    for timeouts in [Timeouts::none().connect(limit), Timeouts::none().total(limit)] {
        let request = client(addresses.clone()).get("http://name.test/").timeouts(timeouts);
        let error = timed(limit, || request.send().unwrap_err());
        expect(&error, Phase::Connect, limit);
        assert!(error.to_string().contains("700ms"), "{error}");
        assert_eq!((error.processed(), error.attempts(), error.reused()), (Processed::No, 1, None));
    }
    // Nor has the handshake a limit of its own.
    #[cfg(feature = "tls")]
    {
        let silent: Vec<_> = (0..3).map(|_| silent()).collect();
        let client = client(silent.iter().map(Peer::addr).collect());
        let request = client.get("https://name.test/").timeouts(Timeouts::none().connect(LIMIT));
        expect(&timed(LIMIT, || request.send().unwrap_err()), Phase::Tls, LIMIT);
    }
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
    assert_eq!((error.kind(), error.phase()), (ErrorKind::PoolTimeout, Phase::Slot));
    assert!(error.is_timeout() && error.elapsed() >= LIMIT);
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

/// The limit is on silence: what came while nobody read came in time, although nobody has taken it from the socket.
#[test]
fn a_body_that_nobody_reads_is_not_silent() {
    let peer = peer(move |_, mut conn| {
        conn.request();
        conn.say("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello");
        pass(ms(50));
        conn.say("world");
        conn.rest();
    });
    let mut response = with(Timeouts::none().read(ms(200))).get(peer.url("/")).send().unwrap();
    let mut got = [0; 5];
    response.body().read_exact(&mut got).unwrap();
    let early = response.body().read_timeout(&mut [0; 5], ms(10)).unwrap();
    assert!(matches!(early, bowline::Recv::TimedOut), "{early:?}");
    pass(ms(400));
    prompt(|| response.body().read_exact(&mut got)).unwrap();
    assert_eq!(&got, b"world");
}

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
