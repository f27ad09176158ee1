//! Bodies of requests.

use super::*;

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
