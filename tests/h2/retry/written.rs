//! How many bytes of a request were written, and what follows from that.

use super::*;
use crate::wires::{Fate, Wires};

#[test]
fn what_the_kernel_took_nothing_of_is_sent_again() {
    for protocol in [Protocol::Http1, Protocol::Http2] {
        for method in [Method::POST, Method::GET] {
            let wires = Wires::default();
            let client = builder().protocol(protocol).connector(wires.clone()).build().unwrap();
            let peer = Peer::new();
            let serve = |asked: Task<Result<Response>>| {
                let mut link = peer.accept();
                if protocol == Protocol::Http2 {
                    link.handshake(&[]);
                    let (stream, _) = link.request_with_body();
                    link.answer(stream, 200, b"");
                } else {
                    link.bytes_until(b"body");
                    link.send_bytes(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
                }
                (link, asked.join().unwrap_or_else(|e| panic!("{protocol:?}, {method}: {e:?}")))
            };
            let (_first, answer) = serve(send(&client, &peer, method.clone()));
            assert!(!answer.reused());
            drop(answer);
            wires.meet(Fate::Breaks);
            let (_second, answer) = serve(send(&client, &peer, method.clone()));
            assert!(!answer.reused(), "{protocol:?}, {method}");
            assert_eq!(client.stats().retries, 1, "{protocol:?}, {method}");
        }
    }
}

/// With TLS, too, what the kernel took nothing of is told from what it took a part of.
#[cfg(feature = "tls")]
#[test]
fn what_the_kernel_took_nothing_of_is_sent_again_over_tls() {
    use std::io::{Read, Write};
    let authority = crate::tls::certs::Authority::new("retry test");
    let identity = authority.issue(&["127.0.0.1"]);
    for (protocol, alpn) in [(Protocol::Http1, &b"http/1.1"[..]), (Protocol::Http2, b"h2")] {
        let peer = Peer::new();
        let url = format!("https://{}/", peer.address());
        let config = crate::tls::config(&identity, &[alpn]);
        peer.serve(move |link| {
            let mut session = crate::tls::accept(link.socket, &config);
            let (mut bytes, mut piece) = (Vec::new(), [0; 4096]);
            while !bytes.windows(6).any(|w| w == b"secret") {
                match session.read(&mut piece) {
                    Ok(n @ 1..) => bytes.extend_from_slice(&piece[..n]),
                    _ => return,
                }
            }
            let answered = if bytes.starts_with(PREFACE) {
                let greeting = vec![Frame::settings(&[]), Frame::settings_ack()];
                session.write_all(&concat(&[greeting, answer(1, 200, b"")].concat()))
            } else {
                session.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            };
            answered.and_then(|()| session.flush()).unwrap();
            while session.read(&mut piece).is_ok_and(|n| n > 0) {}
        });
        for (method, retry) in [(Method::POST, Retry::Safe), (Method::GET, Retry::Safe), (Method::POST, Retry::Never)] {
            let wires = Wires::default();
            let trust = bowline::Tls::new().add_root_pem(authority.pem().as_bytes()).only_added_roots();
            let client = builder().protocol(protocol).retry(retry).tls(trust).connector(wires.clone()).build().unwrap();
            let ask = || client.request(method.clone(), &url).body("secret").send();
            assert_eq!(ask().unwrap().bytes().unwrap().len(), 0);
            wires.meet(Fate::Breaks);
            match (ask(), retry) {
                (Ok(answer), Retry::Safe) => assert_eq!((answer.attempts(), answer.reused()), (2, false)),
                (Err(e), Retry::Never) => {
                    assert_eq!((e.kind(), e.processed(), e.bytes_written()), (ErrorKind::Closed, Processed::No, 0));
                    assert_eq!((e.attempts(), e.reused(), e.is_retryable()), (1, Some(true), true));
                }
                (other, _) => panic!("{protocol:?}, {method}, {retry:?}: {other:?}"),
            }
        }
    }
}

/// What stands behind other bytes and was not written yet still goes out, whatever became of who asked for it.
#[test]
fn what_is_framed_may_be_acted_on() {
    let (peer, client) = (Peer::new(), client());
    let url = peer.url("/");
    let connecting = task(move || client.connect(url).unwrap());
    let mut link = peer.accept();
    let connection = connecting.join();
    let upload = connection.request(Method::PUT, "/upload").body(vec![7; 16 << 20]);
    let upload = task(|| upload.send());
    link.handshake(&[(INITIAL_WINDOW_SIZE, i32::MAX as u32)]);
    link.send(&[Frame::window_update(0, 1 << 30)]);
    let first = link.request().stream;
    // Nothing is read from here on; sooner or later the socket is full.
    let (mut sent, mut unsent) = (0, None);
    while unsent.is_none() {
        let e = connection.post("/").timeout(ms(20)).send().unwrap_err();
        assert_eq!((e.kind(), e.processed()), (ErrorKind::TimedOut, Processed::Maybe), "{e}");
        assert!(!e.is_retryable());
        sent += 1;
        unsent = Some(e).filter(|e| e.bytes_written() == 0);
    }
    for _ in 0..sent {
        while link.skip_to(HEADERS).stream <= first {}
    }
    drop(link);
    drop(upload.join());
}

/// On one connection the frames of several requests stand between each other.
#[test]
fn the_bytes_that_were_written_are_those_of_the_request() {
    const PIECE: u32 = 100;
    let (peer, client) = (Peer::new(), client());
    let mut link = idle_with(&client, &peer, &[(INITIAL_WINDOW_SIZE, 0)]);
    let upload = || {
        let request = client.put(peer.url("/")).body(vec![b'x'; 10 * PIECE as usize]);
        task(|| request.send())
    };
    let asked = [upload(), upload()];
    let size = |frame: Frame| (frame.stream, 9 + frame.payload.len() as u64);
    let mut bytes: BTreeMap<u32, u64> = (0..2).map(|_| size(link.request())).collect();
    for _ in 0..10 {
        for (stream, sum) in &mut bytes {
            link.send(&[Frame::window_update(*stream, PIECE)]);
            *sum += size(link.skip_to(DATA)).1;
        }
    }
    for stream in bytes.keys() {
        link.send(&[Frame::reset(*stream, INTERNAL_ERROR)]);
    }
    let mut written: Vec<_> = asked.into_iter().map(|a| a.join().unwrap_err().bytes_written()).collect();
    let mut bytes: Vec<_> = bytes.into_values().collect();
    written.sort_unstable();
    bytes.sort_unstable();
    assert_eq!(written, bytes);
}
