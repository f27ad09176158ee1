//! What an answer may look like, and what is no answer.

use super::*;

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

/// A server of HTTP/2 alone begins with SETTINGS: it cannot have understood the request.
#[test]
fn an_answer_in_http2_shows_that_nothing_was_processed() {
    let cases: [(&str, &[u8], Processed); 9] = [
        ("SETTINGS", b"\0\0\x06\x04\0\0\0\0\0\0\x03\0\0\0\x64", Processed::No),
        ("empty SETTINGS", b"\0\0\0\x04\0\0\0\0\0", Processed::No),
        ("and a GOAWAY", b"\0\0\0\x04\0\0\0\0\0\0\0\x08\x07\0\0\0\0\0\0\0\0\0\0\0\0\x01", Processed::No),
        ("a part of SETTINGS", b"\0\0\x06\x04\0\0\0\0", Processed::Yes),
        ("a GOAWAY", b"\0\0\x08\x07\0\0\0\0\0\0\0\0\0\0\0\0\x01", Processed::Yes),
        ("an ACK", b"\0\0\0\x04\x01\0\0\0\0", Processed::Yes),
        ("of a stream", b"\0\0\0\x04\0\0\0\0\x01", Processed::Yes),
        ("half a setting", b"\0\0\x03\x04\0\0\0\0\0\0\x03\0", Processed::Yes),
        ("behind a 1xx", b"HTTP/1.1 102 Processing\r\n\r\n\0\0\0\x04\0\0\0\0\0", Processed::Yes),
    ];
    for (what, answer, processed) in cases {
        let error = client().get(says(answer).url("/")).send().unwrap_err();
        assert_eq!(
            (error.kind(), error.processed(), error.attempts()),
            (ErrorKind::PeerViolation, processed, 1),
            "{what}"
        );
        assert!(!error.is_retryable() && error.bytes_written() > 0, "{what}");
        assert_eq!(error.to_string().contains("speaks HTTP/2"), processed == Processed::No, "{what}: {error}");
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
