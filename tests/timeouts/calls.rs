//! Limits in the call, and how they go with those of the client.

use super::*;

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
