//! A WebSocket on a stream (RFC 8441), at a peer that writes its frames by hand.

use crate::{
    h2client::{builder, get, idle_with, ms, only},
    h2peer::*,
};
use bowline::{
    Client, ErrorKind, Recv,
    ws::{CloseCode, WebSocket},
};

/// RFC 8441, section 3.
const ENABLE_CONNECT_PROTOCOL: u16 = 8;

/// A socket on a connection that has served before, and its stream.
fn open(settings: &[(u16, u32)]) -> (Client, Peer, Link, WebSocket, u32) {
    let (peer, client) = (Peer::new(), builder().build().unwrap());
    let settings = [settings, &[(ENABLE_CONNECT_PROTOCOL, 1)]].concat();
    let mut link = idle_with(&client, &peer, &settings);
    let asked = client.websocket(peer.url("/").replace("http:", "ws:"));
    let connecting = task(move || asked.connect());
    let stream = link.request().stream;
    link.send(&[Frame::headers(stream, 0, &[(":status", "200")])]);
    (client, peer, link, connecting.join().unwrap(), stream)
}

/// What a client sends on this stream until so many bytes of it are there, or its end.
fn data(link: &mut Link, stream: u32, len: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while bytes.len() < len {
        let frame = link.expect(DATA);
        assert_eq!(frame.stream, stream);
        bytes.extend_from_slice(&frame.payload);
        if frame.ends() {
            break;
        }
    }
    bytes
}

/// Takes a short frame of a client off the front.
fn frame(bytes: &mut Vec<u8>) -> (u8, Vec<u8>) {
    let len = usize::from(bytes[1] & 0x7f);
    assert!(bytes[1] & 0x80 != 0 && len < 126, "{bytes:?}");
    let frame: Vec<u8> = bytes.drain(..6 + len).collect();
    (frame[0], frame[6..].iter().enumerate().map(|(at, byte)| byte ^ frame[2 + at % 4]).collect())
}

#[test]
fn a_stream_that_ends_without_a_close_is_unclean_and_its_connection_lives() {
    let message = b"\x81\x02hi";
    let ends: [(fn(u32) -> Frame, ErrorKind); 3] = [
        (|stream| Frame::last_data(stream, b""), ErrorKind::Closed),
        (|stream| Frame::reset(stream, CANCEL), ErrorKind::Reset),
        (|stream| Frame::reset(stream, NO_ERROR), ErrorKind::Reset),
    ];
    for (end, kind) in ends {
        let (client, peer, mut link, mut socket, stream) = open(&[]);
        link.send(&[Frame::data(stream, message), end(stream)]);
        let messages = task(move || {
            let first = socket.recv();
            (first, socket.recv().unwrap_err().kind(), socket.send("more").unwrap_err().kind(), socket)
        });
        let (first, found, sent, socket) = messages.join();
        assert_eq!(first.unwrap().unwrap().as_text(), Some("hi"), "{kind:?}");
        assert_eq!((found, sent), (kind, ErrorKind::Closed));
        let closed = socket.closed().expect("an end");
        assert!(!closed.clean && closed.code.is_none(), "{closed:?}");
        drop(socket);
        let next = get(&client, &peer);
        let stream = link.skip_to(HEADERS).stream;
        link.answer(stream, 200, b"bye");
        assert_eq!(next.join().unwrap().text().unwrap(), "bye");
        assert_eq!(only(&client).open_streams, 0);
    }
}

#[test]
fn a_close_of_ours_ends_both_directions() {
    for (ends, rest) in [(true, &b""[..]), (false, b""), (false, b"\x81\x01x and what not")] {
        let (client, _peer, mut link, socket, stream) = open(&[]);
        let closing = task(move || socket.close(CloseCode::NORMAL, "done"));
        let mut close = data(&mut link, stream, 12);
        assert_eq!(frame(&mut close), (0x88, b"\x03\xe8done".to_vec()));
        // Messages that come before theirs are discarded, and so is what comes behind it.
        let theirs = [&b"\x81\x02hi\x88\x02\x03\xe8"[..], rest].concat();
        link.send(&[if ends { Frame::last_data(stream, &theirs) } else { Frame::data(stream, &theirs) }]);
        closing.join().unwrap();
        // It says that nothing follows, or resets what the peer leaves open.
        loop {
            let frame = link.next();
            let over = frame.kind == DATA && frame.ends() || frame.kind == RST_STREAM;
            if frame.stream == stream && over {
                break;
            }
        }
        assert_eq!(only(&client).open_streams, 0, "{ends} {rest:?}");
    }
}

/// The first bytes of a frame are sent, and the rest has no window: what is answered meanwhile comes behind it.
#[test]
fn a_message_waits_for_its_window_and_nothing_gets_in_between() {
    let (_client, _peer, mut link, mut socket, stream) = open(&[(INITIAL_WINDOW_SIZE, 10)]);
    let sent = socket.send_timeout(&[7; 100], ms(100)).unwrap();
    assert_eq!(sent, bowline::ws::Sent::Accepted);
    let mut bytes = data(&mut link, stream, 10);
    assert_eq!(bytes.len(), 10);
    link.send(&[Frame::data(stream, b"\x89\x01a\x89\x01b\x81\x02hi")]);
    let received = task(move || (socket.recv().unwrap(), socket));
    let (message, mut socket) = received.join();
    assert_eq!(message.unwrap().as_text(), Some("hi"));
    // Below zero, above it by nothing, and then by one.
    link.send(&[Frame::settings(&[(INITIAL_WINDOW_SIZE, 0)]), Frame::window_update(stream, 10)]);
    assert_eq!(socket.recv_timeout(ms(50)).unwrap(), Recv::TimedOut);
    while !link.next().is_ack() {}
    link.assert_quiet(ms(30));
    link.send(&[Frame::window_update(stream, 1)]);
    let waiting = task(move || socket.recv_timeout(ms(20_000)));
    bytes.extend(data(&mut link, stream, 1));
    assert_eq!(bytes.len(), 11);
    link.send(&[Frame::window_update(stream, 1000)]);
    bytes.extend(data(&mut link, stream, 106 + 7 + 7 - 11));
    assert_eq!(frame(&mut bytes), (0x82, vec![7; 100]));
    assert_eq!(frame(&mut bytes), (0x8a, b"a".to_vec()));
    assert_eq!(frame(&mut bytes), (0x8a, b"b".to_vec()));
    link.send(&[Frame::last_data(stream, b"\x88\x00")]);
    assert_eq!(waiting.join().unwrap(), Recv::Ended);
}
