//! Threads that meet at the worst moment, and peers that leave no moment.

use crate::{
    raw::{self, close, frame, text},
    support::{GUARD, client, ms, peer, prompt, timed},
    wires::{Fate, Wires},
};
use bowline::{
    Backoff, Cancel, ErrorKind, Recv,
    net::{PairEnd, Wire, pair},
    ws::{CloseCode, Config, Message, Role, Sent, WebSocket, WsReceiver, WsSender},
};
use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

/// Reads until a whole short frame of a client is there.
fn short_frame(wire: &PairEnd) -> Vec<u8> {
    let (mut bytes, mut byte, began) = (Vec::new(), [0], Instant::now());
    while bytes.len() < 6 || bytes.len() < 6 + usize::from(bytes[1] & 0x7f) {
        match wire.try_read(&mut byte) {
            Ok(n) => bytes.extend(&byte[..n]),
            Err(e) => assert_eq!(e.kind(), io::ErrorKind::WouldBlock),
        }
        assert!(began.elapsed() < Duration::from_secs(10), "{bytes:?}");
        thread::yield_now();
    }
    bytes
}

#[test]
fn a_close_while_a_large_message_is_read() {
    let (near, far) = pair(1 << 20);
    let far = Arc::new(far);
    let message = frame(0x82, &[7; 200_000]);
    let (now, told) = mpsc::channel();
    let (peer, mut reads) = (far.clone(), 0);
    let wire = Wires::default().over(near).on_read(move |_| {
        reads += 1;
        if reads == 2 {
            // The Close of another thread goes out before anybody knows of these bytes.
            now.send(()).unwrap();
            assert_eq!(short_frame(&peer)[0], 0x88);
        }
    });
    far.try_write(&message[..100_000]).unwrap();
    let (sender, mut receiver) = WebSocket::over(wire, Role::Client, Config::default()).unwrap().split();
    let closing = thread::spawn(move || {
        told.recv().unwrap();
        sender.close(CloseCode::NORMAL, "")
    });
    assert_eq!(receiver.recv().unwrap(), None);
    far.try_write(&message[100_000..]).unwrap();
    far.try_write(&close(1000)).unwrap();
    prompt(|| closing.join()).unwrap().unwrap();
    assert!(receiver.closed().unwrap().clean);
}

#[test]
fn a_close_whenever_a_message_is_lent() {
    for round in 0..300u32 {
        let (near, far) = pair(1 << 16);
        let mut server = WebSocket::over(far, Role::Server, Config::default().fragment_at(2000)).unwrap();
        let (sender, mut receiver) = WebSocket::over(near, Role::Client, Config::default()).unwrap().split();
        let (read, told) = mpsc::channel();
        let sending = thread::spawn(move || {
            for n in 0.. {
                let len = [10, 200, 3000, 20_000][n % 4];
                if server.send(&vec![n as u8; len]).is_err() {
                    break;
                }
                let _ = server.try_recv();
            }
        });
        let reading = thread::spawn(move || {
            for n in (0..=u8::MAX).cycle() {
                match receiver.recv_ref(Duration::from_secs(10)).unwrap() {
                    Recv::Item(message) => assert!(message.as_bytes().iter().all(|byte| *byte == n)),
                    Recv::Ended => break,
                    Recv::TimedOut => panic!("nothing came"),
                }
                let _ = read.send(());
            }
        });
        for _ in 0..round % 37 {
            told.recv().unwrap();
        }
        let closed = sender.close(CloseCode::NORMAL, "");
        reading.join().unwrap();
        closed.unwrap();
        drop(sender);
        sending.join().unwrap();
    }
}

#[test]
fn a_close_goes_out_while_a_message_is_lent() {
    let (near, far) = pair(1 << 16);
    let (sender, mut receiver) = WebSocket::over(near, Role::Client, Config::default()).unwrap().split();
    far.try_write(&text("lent")).unwrap();
    let lent = receiver.recv_ref(ms(1000)).unwrap().item().unwrap();
    let closing = thread::spawn(move || sender.close(CloseCode::NORMAL, ""));
    assert_eq!(prompt(|| short_frame(&far))[0], 0x88);
    assert_eq!(lent.as_bytes(), b"lent");
    far.try_write(&close(1000)).unwrap();
    assert_eq!(receiver.recv().unwrap(), None);
    prompt(|| closing.join()).unwrap().unwrap();
}

#[test]
fn a_close_ends_while_a_message_is_lent() {
    let (near, far) = pair(1 << 16);
    let (sender, mut receiver) = WebSocket::over(near, Role::Client, Config::default()).unwrap().split();
    far.try_write(&text("lent")).unwrap();
    let lent = receiver.recv_ref(ms(1000)).unwrap().item().unwrap();
    let closing = thread::spawn(move || sender.close(CloseCode::NORMAL, ""));
    assert_eq!(prompt(|| short_frame(&far))[0], 0x88);
    far.try_write(&text("discarded")).unwrap();
    far.try_write(&close(1000)).unwrap();
    // Whoever looks at the message does not come back before that.
    prompt(|| closing.join()).unwrap().unwrap();
    assert_eq!(lent.as_bytes(), b"lent");
    assert_eq!(receiver.recv().unwrap(), None);
    assert!(receiver.closed().unwrap().clean);
}

#[test]
fn a_close_waits_no_longer_than_it_may_for_what_is_lent() {
    let (near, far) = pair(1 << 16);
    let (sender, mut receiver) = WebSocket::over(near, Role::Client, Config::default()).unwrap().split();
    far.try_write(&[text("lent"), text("behind it"), close(1000)].concat()).unwrap();
    let lent = receiver.recv_ref(ms(1000)).unwrap().item().unwrap();
    let e = timed(ms(3000), || sender.close(CloseCode::NORMAL, "")).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::TimedOut);
    assert_eq!(lent.as_bytes(), b"lent");
    assert!(receiver.recv().is_err());
    assert!(!receiver.closed().unwrap().clean);
}

/// A peer that sends these bytes as fast as it can, until the test is over.
fn flood(bytes: &'static [u8]) -> (crate::support::Peer, Arc<AtomicBool>) {
    let over = Arc::new(AtomicBool::new(false));
    let stop = over.clone();
    let peer = raw::open(move |conn| {
        let many = bytes.repeat((1 << 20) / bytes.len());
        use io::Write;
        while !stop.load(Ordering::SeqCst) && conn.socket().write_all(&many).is_ok() {}
    });
    (peer, over)
}

#[test]
fn a_time_limit_holds_however_much_comes() {
    // PONGs, and fragments of nothing.
    for bytes in [&b"\x8a\x00"[..], b"\x01\x00\x80\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x80\x00"] {
        let (peer, over) = flood(bytes);
        let mut socket = client().websocket(peer.url("/")).connect().unwrap();
        if bytes[0] == 0x8a {
            assert_eq!(timed(ms(300), || socket.recv_timeout(ms(300))).unwrap(), Recv::TimedOut);
        } else {
            let until = Instant::now() + ms(300);
            while prompt(|| socket.recv_timeout(ms(1))).is_ok() && Instant::now() < until {}
        }
        let e = timed(Duration::from_secs(3), || socket.close(CloseCode::NORMAL, "")).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::TimedOut);
        over.store(true, Ordering::SeqCst);
    }
}

#[test]
fn a_peer_that_asks_and_does_not_listen_costs_little() {
    let (peer, over) = flood(b"\x89\x00");
    let mut socket = client().websocket(peer.url("/")).connect().unwrap();
    let began = Instant::now();
    while socket.stats().pongs_dropped == 0 {
        assert_eq!(socket.recv_timeout(ms(20)).unwrap(), Recv::TimedOut);
        // What one read of PINGs is answered with, at most.
        let queued = socket.stats().queued;
        assert!(queued < 1 << 20, "{queued}");
        assert!(began.elapsed() < Duration::from_secs(60), "{:?}", socket.stats());
    }
    over.store(true, Ordering::SeqCst);
}

#[test]
fn a_token_ends_a_wait_however_much_comes() {
    let (peer, over) = flood(b"\x8a\x00");
    let cancel = Cancel::new();
    let mut socket = client().websocket(peer.url("/")).cancel_on(&cancel).connect().unwrap();
    let receiving = thread::spawn(move || socket.recv().unwrap_err().kind());
    let (_never, wait) = mpsc::channel::<()>();
    let _ = wait.recv_timeout(ms(100));
    cancel.cancel();
    assert_eq!(prompt(|| receiving.join().unwrap()), ErrorKind::Cancelled);
    over.store(true, Ordering::SeqCst);
}

#[test]
fn an_outbox_that_is_full_of_buffered_messages_asks_the_peer() {
    let peer = raw::open(raw::echo);
    let socket = client().websocket(peer.url("/")).outbox(1000).connect().unwrap();
    let (sender, mut receiver) = socket.split();
    let receiving = thread::spawn(move || (0..500).all(|_| receiver.recv().unwrap().is_some()));
    for _ in 0..500 {
        prompt(|| sender.send_buffered(&[1; 100])).unwrap();
    }
    sender.flush().unwrap();
    assert!(receiving.join().unwrap());
}

/// A peer whose first connection says this and breaks when told, and whose second one goes on with the script.
fn breaking(
    first: Vec<u8>,
    second: impl Fn(&mut crate::support::Conn) + Send + Sync + 'static,
) -> (crate::support::Peer, mpsc::Sender<()>) {
    let (breaks, told) = raw::until_dropped();
    let peer = peer(move |n, mut conn| {
        let head = raw::switching(&mut conn, "");
        conn.say(head);
        if n == 0 {
            conn.say(&first);
            let _ = told.lock().unwrap().recv();
        } else {
            second(&mut conn);
        }
    });
    (peer, breaks)
}

#[test]
fn a_message_does_not_go_on_on_another_connection() {
    let (peer, breaks) = breaking(frame(0x02, b"the beginning"), |conn| {
        conn.say(frame(0x82, b"of another one"));
        raw::echo(conn);
    });
    let mut socket = client().websocket(peer.url("/")).reconnect(Backoff::new(ms(1), ms(10))).connect().unwrap();
    let mut reader = socket.recv_parts(ms(5000)).unwrap().item().unwrap();
    let mut buf = [0; 100];
    assert_eq!(io::Read::read(&mut reader, &mut buf).unwrap(), 13);
    drop(breaks);
    let e = reader.read_timeout(&mut buf, ms(5000)).unwrap_err();
    assert!(matches!(e.kind(), ErrorKind::Closed | ErrorKind::Reset), "{e}");
    drop(reader);
    assert_eq!(socket.recv().unwrap(), Some(Message::Binary(b"of another one".to_vec())));
    socket.close(CloseCode::NORMAL, "").unwrap();
}

#[test]
fn a_writer_of_an_old_connection_is_no_writer_of_the_new_one() {
    let (peer, breaks) = breaking(Vec::new(), raw::echo);
    let (opened, reopened) = mpsc::channel();
    let socket = client()
        .websocket(peer.url("/"))
        .reconnect(Backoff::new(ms(1), ms(10)))
        .on_open(move |_, opening| {
            let _ = opened.send(opening.count);
            Ok(())
        })
        .connect()
        .unwrap();
    let (sender, mut receiver) = socket.split();
    let (mut old, mut older) = (sender.send_parts(), sender.send_parts());
    old.send("lost").unwrap();
    let receiving = thread::spawn(move || [receiver.recv().unwrap(), receiver.recv().unwrap()]);
    drop(breaks);
    while reopened.recv().unwrap() < 2 {}
    sender.send("whole").unwrap();
    older.send("a part").unwrap();
    assert_eq!(old.send(" of another").unwrap_err().kind(), ErrorKind::Closed);
    drop(old);
    older.send(" and its end").unwrap();
    older.finish().unwrap();
    let got = receiving.join().unwrap();
    let whole = |text: &str| Some(Message::Text(text.into()));
    assert_eq!(got[0], whole("whole"));
}

#[test]
fn what_comes_behind_our_close_may_be_anything() {
    let (over, gate) = raw::until_dropped();
    let peer = raw::open(move |conn| {
        raw::next(conn);
        conn.say(frame(0x82, &[0; 70_000]));
        conn.say(frame(0x81, b"\xff\xfe"));
        conn.say(frame(0x01, &[b'x'; 900]));
        conn.say(frame(0x80, &[b'x'; 900]));
        conn.say(close(1000));
        let _ = gate.lock().unwrap().recv();
    });
    let config = Config::default().max_message(1000);
    let socket = client().websocket(peer.url("/")).config(config).connect().unwrap();
    prompt(|| socket.close(CloseCode::NORMAL, "")).unwrap();
    drop(over);
}

#[test]
fn a_wire_that_panics_ends_the_socket_for_everybody() {
    for reads in [true, false] {
        let (near, far) = pair(1 << 16);
        let wires = Wires::default();
        let socket = WebSocket::over(wires.over(near), Role::Client, Config::default()).unwrap();
        let (sender, mut receiver) = socket.split();
        wires.meet(Fate::Panics);
        far.try_write(&frame(0x82, &[0; 300])).unwrap();
        let panicked = match reads {
            true => catch_unwind(AssertUnwindSafe(|| receiver.recv().map(|_| ()))),
            false => catch_unwind(AssertUnwindSafe(|| sender.send("x"))),
        };
        assert!(panicked.is_err());
        let send = |sender: &WsSender| sender.send_timeout("y", ms(5000));
        if reads {
            assert_eq!(prompt(|| receiver.recv()).unwrap_err().kind(), ErrorKind::Closed);
        }
        assert_eq!(prompt(|| send(&sender)).unwrap_err().kind(), ErrorKind::Closed, "reads: {reads}");
        assert_eq!(prompt(|| receiver.recv()).unwrap_err().kind(), ErrorKind::Closed);
        prompt(|| sender.close(CloseCode::NORMAL, "")).unwrap();
    }
}

#[test]
fn messages_of_many_threads_over_a_wire_that_takes_little() {
    for round in 0..20 {
        let (near, far) = pair(300 + round * 100);
        let near = if round % 2 == 0 { near.max_piece(7 + round) } else { near };
        let (client, mut server) = (
            WebSocket::over(near, Role::Client, Config::default()).unwrap(),
            WebSocket::over(far, Role::Server, Config::default()).unwrap(),
        );
        let (sender, mut receiver) = client.split();
        let threads: Vec<_> = (0..4u8)
            .map(|thread| {
                let sender = sender.clone();
                thread::spawn(move || {
                    for n in 0..150u8 {
                        let message = [&[thread, n][..], &vec![thread; usize::from(n) * 5]].concat();
                        match (thread, n % 3) {
                            (3, _) => {
                                while sender.try_send(&message).unwrap() == Sent::TimedOut {
                                    thread::yield_now();
                                }
                            }
                            (_, 0) => sender.send_buffered(&message).unwrap(),
                            (2, 1) => {
                                let mut parts = sender.send_parts();
                                parts.send(&message[..1]).unwrap();
                                parts.send(&message[1..]).unwrap();
                                parts.finish().unwrap();
                            }
                            _ => sender.send(&message).unwrap(),
                        }
                    }
                    sender.flush().unwrap();
                })
            })
            .collect();
        // Pongs go out among all that.
        let receiving = thread::spawn(move || {
            let mut n = 0u32;
            while let Some(message) = receiver.recv().unwrap() {
                assert_eq!(message.as_bytes(), n.to_be_bytes());
                n += 1;
            }
            n
        });
        let mut next = [0u8; 4];
        for n in 0..600u32 {
            if n % 5 == 0 {
                server.ping().unwrap();
            }
            server.send(&n.to_be_bytes()).unwrap();
            let message = server.recv().unwrap().unwrap();
            let [thread, at, rest @ ..] = message.as_bytes() else { panic!("{message:?}") };
            assert_eq!(*at, next[usize::from(*thread)], "thread {thread} in round {round}");
            assert!(rest.len() == usize::from(*at) * 5 && rest.iter().all(|byte| byte == thread));
            next[usize::from(*thread)] += 1;
        }
        // What answers the last PINGs may be more than the wire holds, and all of them wait behind it.
        while threads.iter().any(|thread| !thread.is_finished()) {
            assert_eq!(server.recv_timeout(ms(5)).unwrap(), Recv::TimedOut);
        }
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        server.close(CloseCode::NORMAL, "").unwrap();
        assert_eq!(receiving.join().unwrap(), 600);
    }
}

#[test]
fn what_others_send_behind_a_message_keeps_nobody_who_waits_for_it_to_go() {
    for flushes in [false, true] {
        let (near, far) = pair(100);
        let (sender, _receiver) = WebSocket::over(near, Role::Client, Config::default()).unwrap().split();
        let first = sender.clone();
        let (accepted, told) = mpsc::channel();
        let sending = thread::spawn(move || {
            if flushes {
                first.send_buffered(&[1; 300]).unwrap();
                accepted.send(()).unwrap();
                first.flush()
            } else {
                first.send(&[1; 300])
            }
        });
        let mut buf = [0; 308];
        let mut read = |n: usize| {
            let (mut at, began) = (0, Instant::now());
            while at < n {
                match far.try_read(&mut buf[at..n]) {
                    Ok(n) => at += n,
                    Err(e) => assert_eq!(e.kind(), io::ErrorKind::WouldBlock),
                }
                assert!(began.elapsed() < Duration::from_secs(10), "{at} of {n}");
                thread::yield_now();
            }
        };
        if flushes {
            told.recv().unwrap();
        }
        read(1);
        // It has begun to go, and this is behind it.
        assert_eq!(sender.try_send(&[2; 300]).unwrap(), Sent::Accepted);
        read(307);
        prompt(|| sending.join().unwrap()).unwrap();
        assert!(sender.wants_write());
    }
}

/// A socket whose wire takes everything; with each write of its own another thread has accepted a message more, until `end`.
fn outnumbered(end: Instant) -> (WsSender, WsReceiver) {
    let (near, far) = pair(1 << 16);
    let others = Arc::new(OnceLock::<WsSender>::new());
    let (sends, mut buf) = (others.clone(), vec![0; 1 << 16]);
    let wire = Wires::default().over(near).on_write(move |_| {
        let _ = far.try_read(&mut buf);
        if let (Some(other), true) = (sends.get(), Instant::now() < end) {
            let _ = other.send_buffered(&[2; 100]);
        }
    });
    let (sender, receiver) = WebSocket::over(wire, Role::Client, Config::default()).unwrap().split();
    others.set(sender.clone()).unwrap();
    (sender, receiver)
}

#[test]
fn whoever_waits_does_not_go_on_sending_for_others_without_end() {
    let end = Instant::now() + 2 * GUARD;
    let (sender, mut receiver) = outnumbered(end);
    sender.send_buffered("first").unwrap();
    assert_eq!(timed(ms(100), || receiver.recv_timeout(ms(100))).unwrap(), Recv::TimedOut);
    assert_eq!(prompt(|| receiver.try_recv()).unwrap(), Recv::TimedOut);
    prompt(|| sender.flush()).unwrap();
    prompt(|| sender.send("another")).unwrap();
    assert_eq!(prompt(|| sender.try_send("at once")).unwrap(), Sent::Accepted);
    prompt(|| sender.ping()).unwrap();
    let e = timed(Duration::from_secs(3), || sender.close(CloseCode::NORMAL, "")).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::TimedOut);
}
