//! Which protocol is spoken, and what happens where the peer speaks another.

#[cfg(feature = "tls")]
mod over_tls;

use crate::{h2peer::*, wires::Wires};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use bowline::{
    Client, ClientBuilder, ErrorKind, Processed, Protocol, Response, Result,
    http::{Method, Version},
};
use std::{io, net::TcpStream, sync::Arc, time::Duration};

fn builder(protocol: Protocol) -> ClientBuilder {
    Client::builder().protocol(protocol).proxy(None).timeout(PATIENCE)
}

fn client(protocol: Protocol) -> Client {
    builder(protocol).build().unwrap()
}

fn get(client: &Client, peer: &Peer) -> Task<Result<Response>> {
    let request = client.get(peer.url("/"));
    task(|| request.send())
}

/// The head of an HTTP/1 request, in lower case.
fn head(link: &mut Link) -> String {
    String::from_utf8(link.bytes_until(b"\r\n\r\n")).expect("text").to_lowercase()
}

#[test]
fn in_the_clear_http1_is_spoken_unless_told_otherwise() {
    for protocol in [Protocol::Auto, Protocol::Http1] {
        let (peer, client) = (Peer::new(), client(protocol));
        let asked = get(&client, &peer);
        let mut link = peer.accept();
        let head = head(&mut link);
        assert!(head.starts_with("get / http/1.1\r\n"), "{head}");
        assert!(!head.contains("upgrade") && !head.contains("http2-settings"), "{head}");
        link.send_bytes(b"HTTP/1.1 204 No Content\r\n\r\n");
        let answer = asked.join().unwrap();
        assert_eq!((answer.version(), answer.connection().version), (Version::HTTP_11, Version::HTTP_11));
    }
}

#[test]
fn prior_knowledge_goes_out_in_one_write() {
    for (protocol, body) in [(Protocol::Http2, ""), (Protocol::Http2, "body"), (Protocol::Http2WithoutAlpn, "")] {
        let wires = Wires::default();
        let (peer, client) = (Peer::new(), builder(protocol).connector(wires.clone()).build().unwrap());
        let request = client.post(peer.url("/")).body(body);
        let asked = task(|| request.send());
        let mut link = peer.h2();
        let (stream, came) = link.request_with_body();
        assert_eq!((stream, &*came), (1, body.as_bytes()));
        link.answer(stream, 200, b"");
        let answer = asked.join().unwrap();
        assert_eq!((answer.version(), answer.reused()), (Version::HTTP_2, false));
        let mut first = wires.writes().swap_remove(0);
        assert_eq!(first.drain(..PREFACE.len()).collect::<Vec<_>>(), PREFACE);
        let frames: Vec<Frame> = std::iter::from_fn(|| Frame::parse(&mut first)).collect();
        let kinds: Vec<u8> = frames.iter().map(|f| f.kind).filter(|k| *k != WINDOW_UPDATE).collect();
        let expected: &[u8] = if body.is_empty() { &[SETTINGS, HEADERS] } else { &[SETTINGS, HEADERS, DATA] };
        assert_eq!((&*kinds, first.len()), (expected, 0));
        assert!(frames.last().expect("a frame").ends());
    }
}

#[test]
fn the_settings_of_a_client() {
    let (peer, client) = (Peer::new(), client(Protocol::Http2));
    let asked = get(&client, &peer);
    let mut link = peer.accept();
    let settings = link.preface();
    let values: Vec<(u16, u32)> = settings
        .payload
        .chunks(6)
        .map(|s| (u16::from_be_bytes([s[0], s[1]]), u32::from_be_bytes([s[2], s[3], s[4], s[5]])))
        .collect();
    // ENABLE_PUSH, INITIAL_WINDOW_SIZE, MAX_HEADER_LIST_SIZE.
    for expected in [(2, 0), (4, 1024 * 1024), (6, 64 * 1024)] {
        assert!(values.contains(&expected), "{expected:?} in {values:?}");
    }
    let update = link.skip_to(WINDOW_UPDATE);
    assert_eq!((update.stream, update.number(0)), (0, 16 * 1024 * 1024 - 65_535));
    drop((link, peer));
    asked.join().unwrap_err();
}

#[test]
fn a_peer_that_answers_in_http1() {
    let answers: [&[u8]; 3] = [
        b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        b"HTTP/1.0 505 HTTP Version Not Supported\r\n\r\n",
        b"HTTP/1.1 400",
    ];
    for answer in answers {
        for method in [Method::GET, Method::POST] {
            for cut in [answer.len(), 3, 9] {
                let (peer, client) = (Peer::new(), client(Protocol::Http2));
                let request = client.request(method.clone(), peer.url("/")).body("body");
                let asked = task(|| request.send());
                let mut link = peer.accept();
                link.preface();
                link.send_bytes(&answer[..cut]);
                if cut < answer.len() {
                    link.send_bytes(&answer[cut..]);
                }
                link.finish();
                let e = asked.join().unwrap_err();
                let case = format!("{} cut at {cut}: {e:?}", answer.escape_ascii());
                assert_eq!(
                    (e.kind(), e.processed(), e.attempts()),
                    (ErrorKind::PeerSpokeHttp1, Processed::No, 1),
                    "{case}"
                );
                if cut == answer.len() {
                    let status = if answer[7] == b'0' { 505 } else { 400 };
                    assert!(e.to_string().contains(&status.to_string()), "{case}");
                    assert_eq!(e.status().map(|s| s.as_u16()), Some(status), "{case}");
                }
                // Nothing is said to a peer that would not understand it.
                assert!(!link.rest().iter().any(|f| f.kind == GOAWAY), "{case}");
                peer.assert_no_more();
            }
        }
    }
}

#[test]
fn the_first_frame_has_to_be_settings() {
    let firsts = [
        Frame::ping(*b"12345678"),
        Frame::headers(1, END_STREAM, &[(":status", "200")]),
        Frame::settings_ack(),
        Frame::goaway(0, NO_ERROR, b""),
    ];
    for first in firsts {
        let (peer, client) = (Peer::new(), client(Protocol::Http2));
        let asked = get(&client, &peer);
        let mut link = peer.accept();
        link.preface();
        link.send(std::slice::from_ref(&first));
        let e = asked.join().unwrap_err();
        assert_eq!((e.kind(), e.processed()), (ErrorKind::PeerViolation, Processed::Maybe), "{first:?}: {e}");
        let goaway = link.rest().pop().expect("a GOAWAY");
        assert_eq!((goaway.kind, goaway.code()), (GOAWAY, 1), "{first:?}");
        peer.assert_no_more();
    }
}

#[test]
fn a_head_above_the_limit_is_too_large() {
    let client = builder(Protocol::Http2).max_header_bytes(1000).build().unwrap();
    let peer = Peer::new();
    let asked = get(&client, &peer);
    let mut link = peer.h2();
    let stream = link.request().stream;
    link.send(&[Frame::headers(stream, END_STREAM, &[(":status", "200"), ("x", &"x".repeat(1500))])]);
    let e = asked.join().unwrap_err();
    assert_eq!((e.kind(), e.processed(), e.attempts()), (ErrorKind::TooLarge, Processed::Yes, 1), "{e}");
    // One stream is given up, not the connection.
    let asked = get(&client, &peer);
    let stream = link.skip_to(HEADERS).stream;
    link.answer(stream, 200, b"");
    assert!(asked.join().unwrap().reused());
}

/// The end of the peer's direction is not the end of ours (RFC 9113, section 8.5): what is still to be said goes out.
#[test]
fn each_direction_of_a_tunnel_ends_by_itself() {
    let (peer, client) = (Peer::new(), client(Protocol::Http2));
    let url = peer.url("/").replace("http:", "ws:");
    let asked = task(move || -> Result<_> {
        let mut socket = client.websocket(url).protocol(Protocol::Http2).connect()?;
        let first = socket.recv()?.expect("a message");
        socket.send(&first)?;
        Ok((first.as_text().map(str::to_owned), socket.recv()?, socket.closed().cloned()))
    });
    let mut link = peer.h2_with(&[(8, 1)]);
    let stream = link.request().stream;
    let said = b"\x81\x02hi\x88\x02\x03\xe8";
    link.send(&[Frame::headers(stream, 0, &[(":status", "200")]), Frame::last_data(stream, said)]);
    let (first, second, closed) = asked.join().unwrap();
    assert_eq!((first.as_deref(), second), (Some("hi"), None));
    assert!(closed.is_some_and(|closed| closed.clean && closed.code == Some(1000)));
    let (mut answered, mut ended) = (Vec::new(), false);
    while !ended {
        let frame = link.skip_to(DATA);
        answered.extend_from_slice(&frame.payload);
        ended = frame.ends();
    }
    let opcodes = (answered[0], answered[8]);
    assert_eq!((answered.len(), opcodes), (16, (0x81, 0x88)), "a masked text and a masked Close: {answered:?}");
}

#[test]
fn nothing_is_to_be_pushed() {
    let (peer, client) = (Peer::new(), client(Protocol::Http2));
    let asked = get(&client, &peer);
    let mut link = peer.h2();
    let head = link.request();
    link.send(&[Frame::new(PUSH_PROMISE, END_HEADERS, head.stream, [0, 0, 0, 2, 0x82])]);
    assert_eq!(asked.join().unwrap_err().kind(), ErrorKind::PeerViolation);
    let goaway = link.rest().pop().expect("a GOAWAY");
    assert_eq!((goaway.kind, goaway.code()), (GOAWAY, 1));
}

#[test]
fn an_upgrade_takes_what_is_behind_the_101() {
    let answered =
        concat(&[vec![Frame::settings(&[(MAX_CONCURRENT_STREAMS, 9)])], answer(1, 200, b"upgraded")].concat());
    let switch = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n";
    let whole = [&switch[..], &answered].concat();
    for cut in [whole.len(), switch.len(), switch.len() + 5, 20] {
        let (peer, client) = (Peer::new(), client(Protocol::H2cUpgrade));
        let asked = get(&client, &peer);
        let mut link = peer.accept();
        let head = head(&mut link);
        assert!(head.contains("\r\nupgrade: h2c\r\n"), "{head}");
        let connection = head.split("\r\nconnection: ").nth(1).expect("the field").split("\r\n").next();
        assert_eq!(connection, Some("upgrade, http2-settings"), "{head}");
        link.send_bytes(&whole[..cut]);
        if cut >= switch.len() {
            link.preface();
        }
        if cut < whole.len() {
            link.send_bytes(&whole[cut..]);
        }
        if cut < switch.len() {
            link.preface();
        }
        let answer = asked.join().unwrap();
        assert_eq!((answer.status().as_u16(), answer.version()), (200, Version::HTTP_2), "cut at {cut}");
        assert_eq!(answer.text().unwrap(), "upgraded");
        let ack = link.expect(SETTINGS);
        assert!(ack.is_ack());
        // The next request is stream 3 of the same connection.
        let next = get(&client, &peer);
        let head = link.request();
        assert_eq!(head.stream, 3);
        link.answer(3, 200, b"");
        assert!(next.join().unwrap().reused());
        assert_eq!(client.connections().len(), 1);
        assert_eq!(client.connections()[0].max_streams, Some(9));
        peer.assert_no_more();
    }
}

#[test]
fn the_settings_in_an_upgrade() {
    let client = builder(Protocol::H2cUpgrade).stream_window(123_456).build().unwrap();
    let peer = Peer::new();
    let asked = get(&client, &peer);
    let mut link = peer.accept();
    let head = String::from_utf8(link.bytes_until(b"\r\n\r\n")).unwrap();
    let fields: Vec<&str> = head
        .split("\r\n")
        .filter_map(|line| line.split_once(": ").filter(|(name, _)| name.eq_ignore_ascii_case("http2-settings")))
        .map(|(_, value)| value)
        .collect();
    assert_eq!(fields.len(), 1, "{head}");
    let payload = URL_SAFE_NO_PAD.decode(fields[0]).expect("base64url without padding");
    assert_eq!(payload.len() % 6, 0);
    assert!(payload.chunks(6).any(|s| s == [0, 4, 0, 1, 0xe2, 0x40]), "{payload:?}");
    link.send_bytes(b"HTTP/1.1 204 No Content\r\n\r\n");
    asked.join().unwrap();
}

#[test]
fn an_upgrade_that_is_refused_is_not_asked_for_again() {
    let (peer, client) = (Peer::new(), client(Protocol::H2cUpgrade));
    let asked = get(&client, &peer);
    let mut link = peer.accept();
    assert!(head(&mut link).contains("http2-settings"));
    link.send_bytes(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nplain");
    let answer = asked.join().unwrap();
    assert_eq!(answer.version(), Version::HTTP_11);
    assert_eq!(answer.text().unwrap(), "plain");
    for _ in 0..2 {
        let asked = get(&client, &peer);
        let head = head(&mut link);
        assert!(!head.contains("http2-settings") && !head.contains("upgrade"), "{head}");
        link.send_bytes(b"HTTP/1.1 204 No Content\r\n\r\n");
        assert!(asked.join().unwrap().reused());
    }
    peer.assert_no_more();
}

#[test]
fn an_upgrade_to_something_else_is_no_answer() {
    for to in
        ["Upgrade: websocket\r\n", "Upgrade: h2\r\n", "Upgrade: h2c, h2c\r\n", "Upgrade: h2c\r\nUpgrade: h2c\r\n", ""]
    {
        let (peer, client) = (Peer::new(), client(Protocol::H2cUpgrade));
        let asked = get(&client, &peer);
        let mut link = peer.accept();
        assert!(head(&mut link).contains("http2-settings"));
        link.send_bytes(format!("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n{to}\r\n").as_bytes());
        let e = asked.join().unwrap_err();
        assert_eq!((e.kind(), e.processed(), e.attempts()), (ErrorKind::PeerViolation, Processed::Yes, 1), "{to}: {e}");
        assert!(link.next_or_end().is_none(), "{to}: the connection is closed");
        peer.assert_no_more();
    }
}

#[test]
fn a_request_with_a_body_asks_for_no_upgrade() {
    let (peer, client) = (Peer::new(), client(Protocol::H2cUpgrade));
    let request = client.post(peer.url("/")).body("body");
    let asked = task(|| request.send());
    let mut link = peer.accept();
    let first = head(&mut link);
    assert!(!first.contains("http2-settings") && !first.contains("upgrade"), "{first}");
    assert_eq!(link.bytes(4), b"body");
    link.send_bytes(b"HTTP/1.1 204 No Content\r\n\r\n");
    asked.join().unwrap();
    // One without still does.
    let asked = get(&client, &peer);
    assert!(head(&mut link).contains("http2-settings"));
    link.send_bytes(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n");
    link.preface();
    link.send(&[Frame::settings(&[])]);
    link.answer(1, 200, b"");
    assert_eq!(asked.join().unwrap().version(), Version::HTTP_2);
    // And from then on bodies go over HTTP/2.
    let request = client.post(peer.url("/")).body("body");
    let asked = task(|| request.send());
    let (stream, body) = link.request_with_body();
    assert_eq!((stream, &*body), (3, &b"body"[..]));
    link.answer(stream, 200, b"");
    asked.join().unwrap();
    peer.assert_no_more();
}

#[test]
fn what_was_upgraded_is_not_sent_again() {
    let (peer, client) = (Peer::new(), client(Protocol::H2cUpgrade));
    let request = client.post(peer.url("/"));
    let asked = task(|| request.send());
    let mut link = peer.accept();
    let asked_in = link.bytes_until(b"\r\n\r\n").len();
    link.send_bytes(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n");
    link.preface();
    link.send(&[Frame::settings(&[])]);
    link.finish();
    let e = asked.join().unwrap_err();
    assert_eq!((e.kind(), e.attempts(), e.processed()), (ErrorKind::Closed, 1, Processed::Yes));
    assert_eq!(e.bytes_written(), asked_in as u64, "in HTTP/1");
    peer.assert_no_more();
}

/// A 101 is no answer to what was asked: what the peer says that it did not process is sent again.
#[test]
fn what_was_upgraded_and_refused_is_sent_again() {
    for frame in [Frame::reset(1, REFUSED_STREAM), Frame::goaway(0, NO_ERROR, b"")] {
        let (peer, client) = (Peer::new(), client(Protocol::H2cUpgrade));
        let request = client.post(peer.url("/"));
        let asked = task(|| request.send());
        let mut link = peer.accept();
        assert!(head(&mut link).contains("http2-settings"));
        link.send_bytes(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n");
        link.preface();
        link.send(&[Frame::settings(&[]), frame.clone()]);
        if frame.kind == RST_STREAM {
            let stream = link.skip_to(HEADERS).stream;
            assert_eq!(stream, 3, "on the same connection");
            link.answer(stream, 204, b"");
        } else {
            let mut link = peer.accept();
            head(&mut link);
            link.send_bytes(b"HTTP/1.1 204 No Content\r\n\r\n");
        }
        let answer = asked.join().unwrap();
        assert_eq!((answer.status().as_u16(), answer.attempts()), (204, 2));
        peer.assert_no_more();
    }
}

#[test]
fn where_http1_is_required_after_an_upgrade_it_is_spoken_and_remembered() {
    let (peer, client) = (Peer::new(), client(Protocol::H2cUpgrade));
    let asked = get(&client, &peer);
    let mut link = peer.accept();
    assert!(head(&mut link).contains("http2-settings"));
    link.send_bytes(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n");
    link.preface();
    link.send(&[Frame::settings(&[])]);
    link.answer(1, 200, b"");
    assert_eq!(asked.join().unwrap().version(), Version::HTTP_2);
    let mut asked = get(&client, &peer);
    let stream = link.request().stream;
    link.send(&[Frame::reset(stream, HTTP_1_1_REQUIRED)]);
    let mut plain = peer.accept();
    for attempts in [2, 1, 1] {
        let head = head(&mut plain);
        assert!(!head.contains("http2-settings") && !head.contains("upgrade"), "{head}");
        plain.send_bytes(b"HTTP/1.1 204 No Content\r\n\r\n");
        let answer = asked.join().unwrap();
        assert_eq!((answer.version(), answer.attempts()), (Version::HTTP_11, attempts));
        asked = get(&client, &peer);
    }
    head(&mut plain);
    plain.send_bytes(b"HTTP/1.1 204 No Content\r\n\r\n");
    asked.join().unwrap();
    peer.assert_no_more();
}

#[test]
fn several_threads_share_one_upgrade() {
    let (peer, client) = (Peer::new(), client(Protocol::H2cUpgrade));
    let asked: Vec<_> = (0..4).map(|_| get(&client, &peer)).collect();
    let mut link = peer.accept();
    assert!(head(&mut link).contains("http2-settings"));
    link.send_bytes(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n");
    link.preface();
    link.send(&[Frame::settings(&[])]);
    link.answer(1, 200, b"");
    let mut more = 0;
    // Those that came while it was not known yet may have made connections of their own; none may be lost.
    let mut others = Vec::new();
    while more < 3 {
        if let Some(mut other) = peer.accept_within(Duration::from_millis(100)) {
            head(&mut other);
            other.send_bytes(b"HTTP/1.1 204 No Content\r\n\r\n");
            others.push(other);
            more += 1;
        } else {
            let head = link.request();
            link.answer(head.stream, 200, b"");
            more += 1;
        }
    }
    for asked in asked {
        asked.join().unwrap();
    }
}
