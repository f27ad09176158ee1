//! Closes, clean and unclean; limits; broken rules; silence.

use crate::{
    raw::{self, close, frame, text},
    support::{client, ms, prompt, timed},
};
use bowline::{
    ErrorKind, Recv,
    ws::{CloseCode, Config, Message},
};
use std::{
    sync::{Mutex, mpsc},
    time::Duration,
};

#[test]
fn their_close_is_echoed_and_reported() {
    let (told, heard) = mpsc::channel();
    let told = Mutex::new(told);
    let peer = raw::open(move |conn| {
        let mut bytes = text("last");
        bytes.extend(frame(0x88, b"\x0f\xa1why not"));
        bytes.extend(text("nobody sees this"));
        conn.say(bytes);
        told.lock().unwrap().send(raw::next(conn)).unwrap();
    });
    let mut socket = client().websocket(peer.url("/")).connect().unwrap();
    assert_eq!(socket.closed(), None);
    assert_eq!(socket.recv().unwrap(), Some(Message::Text("last".into())));
    assert_eq!(prompt(|| socket.recv()).unwrap(), None);
    assert_eq!(socket.recv_timeout(ms(10)).unwrap(), Recv::Ended);
    assert_eq!(socket.recv_ref(ms(10)).unwrap(), Recv::Ended);
    let closed = socket.closed().unwrap();
    assert_eq!((closed.code, closed.reason.as_str(), closed.clean), (Some(4001), "why not", true));
    assert_eq!(heard.recv().unwrap(), Some((0x88, b"\x0f\xa1".to_vec())));
    assert_eq!(socket.send("x").unwrap_err().kind(), ErrorKind::Closed);
    assert!(socket.next().is_none());
    // Closing what is closed is no error.
    socket.close(CloseCode::NORMAL, "").unwrap();
}

#[test]
fn an_end_without_a_close_is_an_error() {
    let peer = raw::open(|conn| {
        conn.say(text("one"));
        conn.say(&frame(0x81, b"half of a message")[..9]);
    });
    let mut socket = client().websocket(peer.url("/")).connect().unwrap();
    assert_eq!(socket.recv().unwrap(), Some(Message::Text("one".into())));
    for _ in 0..2 {
        assert_eq!(socket.recv().unwrap_err().kind(), ErrorKind::Closed);
    }
    let closed = socket.closed().unwrap();
    assert_eq!((closed.code, closed.clean), (None, false));
    assert!(matches!(socket.next(), Some(Err(_))));
    assert!(socket.next().is_none());
}

#[test]
fn broken_rules() {
    use ErrorKind::{PeerViolation, TooLarge};
    let cases: &[(&str, Vec<u8>, u16, ErrorKind)] = &[
        ("a masked frame", b"\x81\x81abcdx".to_vec(), 1002, PeerViolation),
        ("a reserved bit", b"\xc1\x01x".to_vec(), 1002, PeerViolation),
        ("a reserved opcode", b"\x83\x01x".to_vec(), 1002, PeerViolation),
        ("a close code", close(1005), 1002, PeerViolation),
        ("a bad text, at its first bad byte", b"\x81\x7e\x02\x00ab\xff".to_vec(), 1007, PeerViolation),
        ("a bad fragment", b"\x01\x02\xc3\x28".to_vec(), 1007, PeerViolation),
        ("a bad reason", frame(0x88, b"\x03\xe8\xff"), 1007, PeerViolation),
        ("a long message, at its header", b"\x82\x7e\x04\x01".to_vec(), 1009, TooLarge),
        ("a long message, in its second fragment", b"\x02\x02ab\x80\x7e\x03\xff".to_vec(), 1009, TooLarge),
    ];
    for (name, bytes, code, kind) in cases.iter().cloned() {
        let (told, heard) = mpsc::channel();
        let told = Mutex::new(told);
        let peer = raw::open(move |conn| {
            conn.say(text("good"));
            conn.say(&bytes);
            // Not a byte more: it fails at once.
            told.lock().unwrap().send(raw::next(conn)).unwrap();
            assert!(raw::next(conn).is_none(), "something behind the close");
        });
        let config = Config::default().max_message(1024);
        let mut socket = client().websocket(peer.url("/")).config(config).connect().unwrap();
        assert_eq!(socket.recv().unwrap(), Some(Message::Text("good".into())), "{name}");
        assert_eq!(prompt(|| socket.recv()).unwrap_err().kind(), kind, "{name}");
        assert_eq!(heard.recv().unwrap(), Some((0x88, code.to_be_bytes().to_vec())), "{name}");
        assert_eq!(socket.try_recv().unwrap_err().kind(), kind, "{name}");
        assert!(!socket.closed().unwrap().clean, "{name}");
    }
}

#[test]
fn a_message_at_the_limit() {
    let peer = raw::open(|conn| {
        conn.say(frame(0x82, &[1; 1024]));
        conn.say([frame(0x02, &[1; 1000]), frame(0x80, &[2; 24])].concat());
        conn.rest();
    });
    let mut socket = client().websocket(peer.url("/")).config(Config::default().max_message(1024)).connect().unwrap();
    for _ in 0..2 {
        assert_eq!(socket.recv().unwrap().unwrap().as_bytes().len(), 1024);
    }
}

#[test]
fn our_close_discards_until_theirs() {
    let (told, heard) = mpsc::channel();
    let told = Mutex::new(told);
    let peer = raw::open(move |conn| {
        conn.say(text("discarded"));
        told.lock().unwrap().send(raw::next(conn)).unwrap();
        (0..1000).for_each(|_| conn.say(text("discarded as well")));
        conn.say(close(1000));
        conn.rest();
    });
    let socket = client().websocket(peer.url("/")).connect().unwrap();
    prompt(|| socket.close(CloseCode::GOING_AWAY, "enough")).unwrap();
    assert_eq!(heard.recv().unwrap(), Some((0x88, b"\x03\xe9enough".to_vec())));

    let peer = raw::open(|conn| drop(raw::next(conn)));
    let socket = client().websocket(peer.url("/")).connect().unwrap();
    assert_eq!(prompt(|| socket.close(CloseCode::NORMAL, "")).unwrap_err().kind(), ErrorKind::Closed);

    let peer = raw::open(raw::echo);
    let socket = client().websocket(peer.url("/")).connect().unwrap();
    let (sender, mut receiver) = socket.split();
    assert_eq!(sender.close(CloseCode::NORMAL, &"x".repeat(124)).unwrap_err().kind(), ErrorKind::InvalidInput);
    sender.close(CloseCode::NORMAL, &"x".repeat(123)).unwrap();
    assert_eq!(receiver.recv().unwrap(), None);
    let closed = receiver.closed().unwrap();
    assert_eq!((closed.code, closed.clean), (Some(1000), true));
}

#[test]
fn a_heartbeat_without_an_answer() {
    let (told, heard) = mpsc::channel();
    let (told, (over, gate)) = (Mutex::new(told), raw::until_dropped());
    let peer = raw::open(move |conn| {
        told.lock().unwrap().send(raw::next(conn)).unwrap();
        let _ = gate.lock().unwrap().recv();
    });
    let config = Config::default().heartbeat(ms(200)).pong_timeout(ms(300));
    let mut socket = client().websocket(peer.url("/")).config(config).connect().unwrap();
    let e = timed(ms(500), || socket.recv()).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::TimedOut);
    assert_eq!(heard.recv().unwrap().unwrap().0, 0x89);
    drop(over);
}

#[test]
fn a_heartbeat_that_is_answered() {
    let peer = raw::open(raw::echo);
    let config = Config::default().heartbeat(ms(30)).pong_timeout(ms(250));
    let mut socket = client().websocket(peer.url("/")).config(config).connect().unwrap();
    assert_eq!(timed(ms(600), || socket.recv_timeout(ms(600))).unwrap(), Recv::TimedOut);
    assert!(socket.stats().rtt.is_some());
    // Nobody looked for longer than it may be silent: what lies there unread counts.
    let (_never, wait) = mpsc::channel::<()>();
    socket.send("hello").unwrap();
    let _ = wait.recv_timeout(ms(400));
    assert_eq!(socket.recv().unwrap(), Some(Message::Text("hello".into())));
}

#[test]
fn a_frame_that_stalls() {
    let (over, gate) = raw::until_dropped();
    let peer = raw::open(move |conn| {
        conn.say(&text("a frame that goes no further")[..10]);
        let _ = gate.lock().unwrap().recv();
    });
    let config = Config::default().frame_stall(ms(200));
    let mut socket = client().websocket(peer.url("/")).config(config).connect().unwrap();
    assert_eq!(socket.recv_timeout(ms(50)).unwrap(), Recv::TimedOut);
    let e = socket.recv_timeout(Duration::from_secs(5)).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::TimedOut);
    drop(over);
}
