//! What arrives, when, and that nothing is lost.

use crate::{
    raw::{self, frame, text},
    support::{LATE, Pattern, client, ms, prompt, timed},
};
use bowline::{
    Recv,
    net::pair,
    ws::{Config, Message, MessageRef, Role, WebSocket},
};
#[cfg(feature = "deflate")]
use std::sync::mpsc;
use std::{
    thread,
    time::{Duration, Instant},
};

fn items(socket: &mut WebSocket, n: usize) -> Vec<String> {
    (0..n).map(|_| socket.recv().unwrap().unwrap().as_text().unwrap().to_owned()).collect()
}

#[test]
fn frames_behind_the_101_in_one_segment() {
    let peer = crate::support::peer(|_, mut conn| {
        let mut bytes = raw::switching(&mut conn, "").into_bytes();
        (0..300).for_each(|n| bytes.extend(text(&format!("message {n}"))));
        conn.say(bytes);
        conn.rest();
    });
    let mut socket = client().websocket(peer.url("/")).connect().unwrap();
    let expected: Vec<_> = (0..300).map(|n| format!("message {n}")).collect();
    assert_eq!(items(&mut socket, 300), expected);
    assert_eq!(prompt(|| socket.try_recv()).unwrap(), Recv::TimedOut);
    assert_eq!(socket.stats().messages_in, 300);
}

#[test]
fn a_time_limit_holds_while_the_peer_drips() {
    for (name, whole) in
        [("header", frame(0x82, &[7; 70_000])), ("payload", frame(0x81, b"a text of some bytes in all"))]
    {
        let (over, gate) = raw::until_dropped();
        let dripped = whole.clone();
        let peer = raw::open(move |conn| {
            let bytes: Vec<&[u8]> = dripped[..14.min(dripped.len())].chunks(1).collect();
            let gate = gate.lock().unwrap();
            raw::paced(conn, &bytes, ms(50), &gate);
            // It stalls in the middle of the frame, until the test has seen enough.
            let _ = gate.recv();
            conn.say(&dripped[14..]);
            conn.rest();
        });
        let mut socket = client().websocket(peer.url("/")).connect().unwrap();
        for _ in 0..4 {
            let answer = timed(ms(300), || socket.recv_timeout(ms(300)));
            assert_eq!(answer.unwrap(), Recv::TimedOut, "{name}");
        }
        drop(over);
        let message = socket.recv_timeout(Duration::from_secs(10)).unwrap().item().expect(name);
        assert!(whole.ends_with(message.as_bytes()), "{name}");
        drop(socket);
    }
}

/// A peer that agrees to compress and says all of these bytes but the last one by one; that, if it is `whole`, when the test goes on. Then it
/// tells what it is sent.
#[cfg(feature = "deflate")]
fn compressing(
    bytes: &'static [u8],
    every: Duration,
    whole: bool,
) -> (crate::support::Peer, mpsc::Sender<()>, mpsc::Receiver<Vec<u8>>) {
    let (over, gate) = raw::until_dropped();
    let (told, heard) = mpsc::channel();
    let told = std::sync::Mutex::new(told);
    let peer = crate::support::peer(move |_, mut conn| {
        let head = raw::switching(&mut conn, "Sec-WebSocket-Extensions: permessage-deflate\r\n");
        conn.say(head);
        let gate = gate.lock().unwrap();
        let (last, first) = bytes.split_last().unwrap();
        raw::paced(&mut conn, &first.chunks(1).collect::<Vec<_>>(), every, &gate);
        let _ = gate.recv();
        if whole {
            conn.say([*last]);
        }
        let _ = told.lock().unwrap().send(conn.rest());
    });
    (peer, over, heard)
}

#[cfg(feature = "deflate")]
#[test]
fn a_time_limit_holds_while_a_compressed_message_drips() {
    // The first example of RFC 7692, section 7.2.3.1.
    let (peer, over, _heard) = compressing(b"\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00", ms(50), true);
    let mut socket = client().websocket(peer.url("/")).config(Config::default().deflate(64)).connect().unwrap();
    for _ in 0..3 {
        assert_eq!(timed(ms(200), || socket.recv_timeout(ms(200))).unwrap(), Recv::TimedOut);
    }
    assert_eq!(prompt(|| socket.try_recv()).unwrap(), Recv::TimedOut);
    drop(over);
    assert_eq!(socket.recv().unwrap(), Some(Message::Text("Hello".into())));
    drop(socket);
}

#[cfg(feature = "deflate")]
#[test]
fn a_compressed_text_fails_at_its_first_bad_byte() {
    // A stored block of five bytes, of which the second is no UTF-8; the last one does not come before the end.
    let (peer, over, heard) = compressing(b"\x41\x0a\x00\x05\x00\xfa\xffa\xffbcd", ms(1), false);
    let mut socket = client().websocket(peer.url("/")).config(Config::default().deflate(64)).connect().unwrap();
    let e = prompt(|| socket.recv()).unwrap_err();
    assert_eq!(e.kind(), bowline::ErrorKind::PeerViolation);
    drop(socket);
    drop(over);
    let mut close = heard.recv().unwrap();
    assert_eq!(close.len(), 8, "{close:?}");
    let mask: Vec<u8> = close.drain(2..6).collect();
    assert_eq!((close[0], close[2] ^ mask[0], close[3] ^ mask[1]), (0x88, 0x03, 0xef), "1007");
}

#[test]
fn nothing_is_lost_over_a_thousand_short_timeouts() {
    let (near, far) = pair(64);
    let mut sender = WebSocket::over(far.max_piece(1), Role::Server, Config::default()).unwrap();
    let mut socket = WebSocket::over(near.max_piece(1), Role::Client, Config::default()).unwrap();
    let writer = thread::spawn(move || {
        for n in 0..400 {
            sender.send(&format!("{n} {}", "x".repeat(n))).unwrap();
        }
        sender
    });
    let (mut timeouts, mut n) = (0, 0);
    while n < 400 || timeouts < 1000 {
        match socket.recv_timeout(Duration::from_micros(20)).unwrap() {
            Recv::Item(message) => {
                assert_eq!(message.as_text().unwrap(), format!("{n} {}", "x".repeat(n)));
                n += 1;
            }
            Recv::TimedOut => timeouts += 1,
            Recv::Ended => panic!("ended"),
        }
    }
    drop(writer.join().unwrap());
}

#[test]
fn zero_looks_at_what_is_there() {
    let (near, far) = pair(1024);
    let mut socket = WebSocket::over(near, Role::Client, Config::default()).unwrap();
    let mut peer = WebSocket::over(far, Role::Server, Config::default()).unwrap();
    assert_eq!(prompt(|| socket.recv_timeout(Duration::ZERO)).unwrap(), Recv::TimedOut);
    peer.send("one").unwrap();
    peer.send(b"two").unwrap();
    assert_eq!(socket.recv_timeout(Duration::ZERO).unwrap(), Recv::Item(Message::Text("one".into())));
    assert!(socket.has_buffered());
    assert_eq!(socket.try_recv().unwrap(), Recv::Item(Message::Binary(b"two".to_vec())));
    assert_eq!(socket.try_recv().unwrap(), Recv::TimedOut);
    assert!(!socket.has_buffered());
}

#[test]
fn lent_messages_whole_fragmented_and_large() {
    let (near, far) = pair(1 << 20);
    let mut socket = WebSocket::over(near, Role::Client, Config::default()).unwrap();
    let mut peer = WebSocket::over(far, Role::Server, Config::default()).unwrap();
    let second = Duration::from_secs(5);
    for _ in 0..3 {
        peer.send("short").unwrap();
        peer.send("").unwrap();
        peer.send(&vec![9u8; 40_000]).unwrap();
        assert_eq!(socket.recv_ref(second).unwrap(), Recv::Item(MessageRef::Text("short")));
        assert_eq!(socket.recv_ref(second).unwrap(), Recv::Item(MessageRef::Text("")));
        assert_eq!(socket.recv_ref(second).unwrap(), Recv::Item(MessageRef::Binary(&[9; 40_000])));
        assert_eq!(socket.recv_ref(Duration::ZERO).unwrap(), Recv::TimedOut);
    }
    let mut peer = {
        let (near, far) = pair(1 << 20);
        socket = WebSocket::over(near, Role::Client, Config::default()).unwrap();
        WebSocket::over(far, Role::Server, Config::default().fragment_at(3)).unwrap()
    };
    for text in ["fragmented text", "äöü and so on", "abc"] {
        peer.send(text).unwrap();
        peer.send(&[1, 2, 3, 4]).unwrap();
        assert_eq!(socket.recv_ref(second).unwrap(), Recv::Item(MessageRef::Text(text)));
        // A call of another kind in between finds everything in its place.
        assert_eq!(socket.recv().unwrap(), Some(Message::Binary(vec![1, 2, 3, 4])));
    }
}

#[test]
fn pongs_go_out_while_only_receiving_and_in_order() {
    let (asked, answers) = std::sync::mpsc::channel();
    let asked = std::sync::Mutex::new(asked);
    let peer = raw::open(move |conn| {
        for n in 0..20u8 {
            conn.say(frame(0x89, &[n; 3]));
            let pong = raw::next(conn).unwrap();
            asked.lock().unwrap().send(pong).unwrap();
        }
        conn.say(text("done"));
        conn.rest();
    });
    let mut socket = client().websocket(peer.url("/")).connect().unwrap();
    assert_eq!(socket.recv().unwrap(), Some(Message::Text("done".into())));
    for n in 0..20u8 {
        assert_eq!(answers.recv().unwrap(), (0x8a, vec![n; 3]));
    }
}

#[test]
fn sixteen_mebibytes_both_ways() {
    let (near, far) = pair(256 * 1024);
    let config = Config::default().max_message(16 << 20);
    let mut socket = WebSocket::over(near, Role::Client, config.clone()).unwrap();
    let mut peer = WebSocket::over(far, Role::Server, config).unwrap();
    let echo = thread::spawn(move || {
        let message = peer.recv().unwrap().unwrap();
        peer.send(&message).unwrap();
        peer.recv().unwrap()
    });
    let mut data = Vec::new();
    std::io::Read::read_to_end(&mut Pattern::new(16 << 20), &mut data).unwrap();
    socket.send(&data).unwrap();
    let back = socket.recv().unwrap().unwrap();
    assert!(back.as_bytes() == data, "the echo differs");
    socket.close(bowline::ws::CloseCode::NORMAL, "").unwrap();
    assert_eq!(echo.join().unwrap(), None);
}

#[test]
fn confirm_waits_for_the_pong_and_keeps_messages() {
    let peer = raw::open(|conn| {
        conn.say(text("before"));
        assert_eq!(raw::next(conn).unwrap(), (0x81, b"hello".to_vec()));
        let (first, payload) = raw::next(conn).unwrap();
        assert_eq!(first, 0x89);
        conn.say(text("between"));
        conn.say(frame(0x8a, &payload));
        let (first, _) = raw::next(conn).unwrap();
        assert_eq!(first, 0x89);
        conn.rest();
    });
    let mut socket = client().websocket(peer.url("/")).connect().unwrap();
    socket.send("hello").unwrap();
    let rtt = socket.confirm(Duration::from_secs(5)).unwrap().unwrap();
    assert!(rtt <= LATE && socket.stats().rtt.is_some());
    assert_eq!(items(&mut socket, 2), ["before", "between"]);
    assert_eq!(timed(ms(100), || socket.confirm(ms(100))).unwrap(), None);
}

#[test]
fn a_descriptor_and_try_calls() {
    let peer = raw::open(raw::echo);
    let mut socket = client().websocket(peer.url("/")).connect().unwrap();
    #[cfg(unix)]
    assert!(socket.fd().is_some());
    let began = Instant::now();
    assert_eq!(socket.try_send("x").unwrap(), bowline::ws::Sent::Accepted);
    while socket.try_recv().unwrap() == Recv::TimedOut {
        assert!(began.elapsed() < Duration::from_secs(10));
        thread::yield_now();
    }
}
