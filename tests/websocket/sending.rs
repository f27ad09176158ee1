//! What goes out, and who is held up.

use crate::{
    raw,
    support::{client, ms, prompt, timed},
};
use bowline::{
    Cancel, ErrorKind, Phase, Processed, Recv,
    net::{Wire, pair},
    ws::{CloseCode, Config, Message, Role, Sent, WebSocket},
};
use std::{
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

fn sockets(capacity: usize, config: Config) -> (WebSocket, WebSocket) {
    let (near, far) = pair(capacity);
    let client = WebSocket::over(near, Role::Client, config.clone()).unwrap();
    (client, WebSocket::over(far, Role::Server, config).unwrap())
}

#[test]
fn echo_of_everything() {
    let peer = raw::open(raw::echo);
    let mut socket = client().websocket(peer.url("/")).connect().unwrap();
    let long = "ä".repeat(100_000);
    for text in ["hello", "", "x", long.as_str()] {
        socket.send(text).unwrap();
        assert_eq!(socket.recv().unwrap(), Some(Message::Text(text.into())));
    }
    for n in [0, 1, 125, 126, 65_535, 65_536, 1 << 20] {
        let bytes = vec![n as u8; n];
        socket.send(&bytes).unwrap();
        assert_eq!(socket.recv().unwrap(), Some(Message::Binary(bytes)), "{n}");
    }
    let stats = socket.stats();
    assert_eq!((stats.messages_in, stats.messages_out, stats.queued), (11, 11, 0));
    assert_eq!(stats.bytes_in, stats.bytes_out);
    socket.close(CloseCode::NORMAL, "bye").unwrap();
}

#[test]
fn every_cut_of_the_bytes() {
    let (near, far) = pair(7);
    let mut client = WebSocket::over(near.max_piece(1), Role::Client, Config::default()).unwrap();
    let mut server = WebSocket::over(far.max_piece(1), Role::Server, Config::default().fragment_at(5)).unwrap();
    let echo = thread::spawn(move || {
        while let Some(message) = server.recv().unwrap() {
            server.send(&message).unwrap();
        }
        server.closed().cloned().unwrap()
    });
    for text in ["", "a", "some words", "and a longer text with ümlauts"] {
        client.send(text).unwrap();
        assert_eq!(client.recv().unwrap(), Some(Message::Text(text.into())));
    }
    client.close(CloseCode::new(4000).unwrap(), "over").unwrap();
    let closed = echo.join().unwrap();
    assert_eq!((closed.code, closed.reason.as_str(), closed.clean), (Some(4000), "over", true));
}

#[test]
fn a_blocked_receiver_holds_up_nobody_and_close_wakes_it() {
    let (told, heard) = mpsc::channel();
    let told = std::sync::Mutex::new(told);
    let peer = raw::open(move |conn| {
        // It never answers the Close.
        while let Some(frame) = raw::next(conn) {
            let _ = told.lock().unwrap().send((Instant::now(), frame));
        }
    });
    let (sender, mut receiver) = client().websocket(peer.url("/")).connect().unwrap().split();
    let (ready, started) = mpsc::channel();
    let receiving = thread::spawn(move || {
        ready.send(()).unwrap();
        let got = receiver.recv().unwrap();
        (got, Instant::now())
    });
    started.recv().unwrap();
    for n in 0..50 {
        let began = Instant::now();
        prompt(|| sender.send(&format!("{n}"))).unwrap();
        let (at, (_, payload)) = heard.recv().unwrap();
        assert_eq!(payload, format!("{n}").into_bytes());
        assert!(at - began < ms(250));
    }
    let closing = Instant::now();
    let closer = sender.clone();
    let closer = thread::spawn(move || timed(Duration::from_secs(3), || closer.close(CloseCode::NORMAL, "")));
    let (got, woken) = receiving.join().unwrap();
    assert_eq!(got, None);
    assert!(woken - closing < ms(250), "{:?}", woken - closing);
    assert_eq!(closer.join().unwrap().unwrap_err().kind(), ErrorKind::TimedOut);
    assert_eq!(sender.send("late").unwrap_err().kind(), ErrorKind::Closed);
}

#[test]
fn a_fast_sender_and_a_slow_receiver() {
    let (client, mut server) = sockets(16 * 1024, Config::default());
    let (sender, receiver) = client.split();
    let threads: Vec<_> = (0..2)
        .map(|half| {
            let sender = sender.clone();
            thread::spawn(move || {
                for n in 0..5_000u32 {
                    sender.send(&format!("{half} {n} {}", "-".repeat(50))).unwrap();
                    let queued = sender.stats().queued;
                    assert!(queued < 66 * 1024, "{queued}");
                }
            })
        })
        .collect();
    let mut next = [0u32; 2];
    for _ in 0..10_000 {
        let message = server.recv().unwrap().unwrap();
        let mut words = message.as_text().unwrap().split(' ').map(|w| w.parse::<u32>());
        let (half, n) = (words.next().unwrap().unwrap(), words.next().unwrap().unwrap());
        assert_eq!(n, next[half as usize]);
        next[half as usize] += 1;
    }
    threads.into_iter().for_each(|t| t.join().unwrap());
    drop((sender, receiver));
}

#[test]
fn without_room_a_message_is_the_callers() {
    let (mut client, mut server) = sockets(1024, Config::default().send_timeout(ms(100)));
    let message = vec![1u8; 10_000];
    let mut accepted = 0;
    while client.try_send(&message).unwrap() == Sent::Accepted {
        accepted += 1;
        assert!(accepted < 100, "no limit");
    }
    assert!(client.wants_write());
    assert_eq!(timed(ms(100), || client.send_timeout(&message, ms(100))).unwrap(), Sent::TimedOut);
    assert_eq!(timed(ms(100), || client.send(&message)).unwrap_err().kind(), ErrorKind::TimedOut);
    let reader = thread::spawn(move || {
        for _ in 0..accepted + 1 {
            assert_eq!(server.recv().unwrap(), Some(Message::Binary(vec![1; 10_000])));
        }
        assert_eq!(server.recv_timeout(ms(50)).unwrap(), Recv::TimedOut);
    });
    // Whoever calls next sends what was accepted; here a receiver.
    while client.wants_write() {
        assert_eq!(client.recv_timeout(ms(1)).unwrap(), Recv::TimedOut);
    }
    client.send(&message).unwrap();
    reader.join().unwrap();
}

#[test]
fn a_large_message_against_a_full_wire() {
    // Both send more than the wire holds before either receives: what was accepted goes out while receiving.
    let (mut client, mut server) = sockets(4096, Config::default());
    let large = vec![5u8; 300_000];
    assert_eq!(client.send_timeout(&large, ms(50)).unwrap(), Sent::Accepted);
    assert_eq!(server.send_timeout(&large, ms(50)).unwrap(), Sent::Accepted);
    let other = thread::spawn(move || (server.recv().unwrap().unwrap().as_bytes().len(), server.recv().unwrap()));
    assert_eq!(client.recv().unwrap().unwrap().as_bytes().len(), 300_000);
    client.close(CloseCode::GOING_AWAY, "").unwrap();
    assert_eq!(other.join().unwrap(), (300_000, None));
}

#[test]
fn a_message_that_breaks_off_may_have_arrived() {
    let (near, far) = pair(1000);
    let mut client = WebSocket::over(near, Role::Client, Config::default()).unwrap();
    let sending = thread::spawn(move || client.send(&[7; 10_000]).unwrap_err());
    // Some of it is here, the rest finds no room.
    let mut arrived = [0; 1000];
    while far.try_read(&mut arrived).is_err() {
        thread::yield_now();
    }
    drop(far);
    let e = prompt(|| sending.join()).unwrap();
    assert_eq!((e.phase(), e.processed()), (Phase::Send, Processed::Maybe), "{e:?}");
}

#[test]
fn a_token_ends_every_wait() {
    let (over, gate) = raw::until_dropped();
    let peer = raw::open(move |conn| {
        let _ = gate.lock().unwrap().recv();
        conn.rest();
    });
    let cancel = Cancel::new();
    let socket = client().websocket(peer.url("/")).cancel_on(&cancel).connect().unwrap();
    let (sender, mut receiver) = socket.split();
    let receiving = thread::spawn(move || receiver.recv().unwrap_err().kind());
    let sending = thread::spawn(move || {
        let message = vec![0u8; 1 << 20];
        loop {
            if let Err(e) = sender.send(&message) {
                return e.kind();
            }
        }
    });
    // The sender is stuck once the kernel's buffers are full; cancelled before or after, it ends.
    let (_never, wait) = mpsc::channel::<()>();
    let _ = wait.recv_timeout(ms(100));
    cancel.cancel();
    assert_eq!(receiving.join().unwrap(), ErrorKind::Cancelled);
    assert_eq!(sending.join().unwrap(), ErrorKind::Cancelled);
    drop(over);
}

#[test]
fn buffered_messages_go_out_together() {
    let (mut client, mut server) = sockets(1 << 20, Config::default());
    for n in 0..1000 {
        client.send_buffered(&format!("{n}")).unwrap();
    }
    assert!(client.wants_write());
    assert_eq!(prompt(|| server.try_recv()).unwrap(), Recv::TimedOut);
    client.flush().unwrap();
    assert!(!client.wants_write());
    for n in 0..1000 {
        assert_eq!(server.recv().unwrap(), Some(Message::Text(format!("{n}"))));
    }
    // A send that is not buffered takes them along, in order; so does a wait.
    client.send_buffered("a").unwrap();
    client.send("b").unwrap();
    client.send_buffered("c").unwrap();
    assert_eq!(client.recv_timeout(ms(1)).unwrap(), Recv::TimedOut);
    for text in ["a", "b", "c"] {
        assert_eq!(prompt(|| server.recv()).unwrap(), Some(Message::Text(text.into())));
    }
}

#[test]
fn what_is_buffered_is_bounded() {
    let (mut client, mut server) = sockets(1024, Config::default().send_timeout(ms(100)));
    let message = vec![1u8; 10_000];
    let mut accepted = 0;
    let e = loop {
        match client.send_buffered(&message) {
            Ok(()) => accepted += 1,
            Err(e) => break e,
        }
        assert!(accepted < 200, "no limit");
    };
    assert_eq!(e.kind(), ErrorKind::TimedOut);
    assert_eq!(timed(ms(100), || client.flush()).unwrap_err().kind(), ErrorKind::TimedOut);
    let reader = thread::spawn(move || {
        for _ in 0..accepted {
            assert_eq!(server.recv().unwrap(), Some(Message::Binary(vec![1; 10_000])));
        }
        server
    });
    while client.wants_write() {
        assert_eq!(client.recv_timeout(ms(1)).unwrap(), Recv::TimedOut);
    }
    drop(reader.join().unwrap());
}
