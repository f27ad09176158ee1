//! Opening it again when it breaks.

use crate::{
    raw::{self, close, text},
    support::{client, ms, peer, prompt},
};
use bowline::{
    Backoff, ErrorKind, Recv,
    ws::{CloseCode, Message, Sent},
};
use std::{
    sync::{Arc, Mutex, mpsc},
    thread,
    time::Duration,
};

fn quick() -> Backoff {
    Backoff::new(ms(10), ms(50))
}

#[test]
fn it_comes_back_and_subscribes_again() {
    let peer = peer(|n, mut conn| {
        if n == 2 {
            // One attempt in between is refused for the moment.
            conn.head();
            return conn.say("HTTP/1.1 503 Later\r\nContent-Length: 0\r\n\r\n");
        }
        let head = raw::switching(&mut conn, "");
        conn.say(head);
        let (_, subscription) = raw::next(&mut conn).unwrap();
        assert_eq!(subscription, format!("subscribe {}", if n > 2 { n } else { n + 1 }).into_bytes());
        conn.say(text(&format!("tick {n}")));
        match n {
            0 => {}
            1 => conn.say(close(1012)),
            _ => {
                let (_, message) = raw::next(&mut conn).unwrap();
                conn.say(text(std::str::from_utf8(&message).unwrap()));
                conn.say(close(1000));
                conn.rest();
            }
        }
    });
    let seen = Arc::new(Mutex::new(Vec::new()));
    let noted = seen.clone();
    let socket = client()
        .websocket(peer.url("/"))
        .reconnect(quick())
        .on_open(move |sender, opened| {
            noted.lock().unwrap().push((opened.count, opened.last_error.as_ref().map(|e| e.kind())));
            sender.send(&format!("subscribe {}", opened.count))
        })
        .connect()
        .unwrap();
    let (sender, mut receiver) = socket.split();
    for n in [0, 1, 3] {
        assert_eq!(receiver.recv().unwrap(), Some(Message::Text(format!("tick {n}"))));
    }
    sender.send("from outside").unwrap();
    assert_eq!(receiver.recv().unwrap(), Some(Message::Text("from outside".into())));
    assert_eq!(receiver.recv().unwrap(), None);
    assert_eq!(receiver.closed().unwrap().code, Some(1000));
    let seen = seen.lock().unwrap();
    assert_eq!(*seen, [(1, None), (2, Some(ErrorKind::Closed)), (3, Some(ErrorKind::Handshake))]);
    assert_eq!(sender.stats().reconnects, 2);
}

#[test]
fn a_send_waits_meanwhile_and_a_time_limit_holds() {
    let (over, gate) = raw::until_dropped();
    let gate = Mutex::new(Some(gate));
    let peer = peer(move |n, mut conn| {
        if n == 1 {
            // The second handshake is held back.
            let gate = gate.lock().unwrap().take().unwrap();
            let _ = gate.lock().unwrap().recv();
        }
        let head = raw::switching(&mut conn, "");
        conn.say(head);
        if n > 0 {
            raw::echo(&mut conn);
        }
    });
    let socket = client().websocket(peer.url("/")).reconnect(quick()).connect().unwrap();
    let (sender, mut receiver) = socket.split();
    assert_eq!(crate::support::timed(ms(200), || receiver.recv_timeout(ms(200))).unwrap(), Recv::TimedOut);
    let (sent, done) = mpsc::channel();
    let other = sender.clone();
    let sending = thread::spawn(move || {
        sent.send(()).unwrap();
        other.send("waited").unwrap();
    });
    done.recv().unwrap();
    assert_eq!(receiver.recv_timeout(ms(50)).unwrap(), Recv::TimedOut);
    drop(over);
    assert_eq!(receiver.recv_timeout(Duration::from_secs(10)).unwrap(), Recv::Item(Message::Text("waited".into())));
    sending.join().unwrap();
    sender.close(CloseCode::NORMAL, "").unwrap();
}

#[test]
fn it_gives_up_in_the_end() {
    let peer = peer(|n, mut conn| {
        if n == 0 {
            let head = raw::switching(&mut conn, "");
            conn.say(head);
        }
    });
    let mut socket = client().websocket(peer.url("/")).reconnect(quick().max_attempts(3)).connect().unwrap();
    assert!(socket.recv().is_err());
    assert_eq!(peer.connections(), 4);
    assert!(prompt(|| socket.recv()).is_err());
    assert!(prompt(|| socket.send("x")).is_err());
    assert!(!socket.closed().unwrap().clean);
}

#[test]
fn what_does_not_break_it() {
    let peer = raw::open(|conn| {
        conn.say(close(1000));
        conn.rest();
    });
    let mut socket = client().websocket(peer.url("/")).reconnect(quick()).connect().unwrap();
    assert_eq!(socket.recv().unwrap(), None);
    assert_eq!(peer.connections(), 1);
}

#[test]
fn what_was_not_confirmed_is_sent_again() {
    let (seen, told) = mpsc::channel();
    let seen = Mutex::new(seen);
    let peer = peer(move |n, mut conn| {
        let head = raw::switching(&mut conn, "");
        conn.say(head);
        let seen = seen.lock().unwrap();
        let mut texts = 0;
        while let Some((first, payload)) = raw::next(&mut conn) {
            match first & 0x0f {
                // The first connection confirms "one" only, and breaks behind "three".
                9 if n > 0 || texts == 2 => conn.say(raw::frame(0x8a, &payload)),
                1 => {
                    texts += 1;
                    seen.send((n, String::from_utf8(payload).unwrap())).unwrap();
                    if n == 0 && texts == 4 {
                        return;
                    }
                }
                8 => {
                    conn.say(raw::frame(0x88, &payload));
                    conn.rest();
                    return;
                }
                _ => {}
            }
        }
    });
    let socket = client()
        .websocket(peer.url("/"))
        .reconnect(quick())
        .outbox(1000)
        .on_open(|sender, _| sender.send("subscribe"))
        .connect()
        .unwrap();
    let (sender, mut receiver) = socket.split();
    let receiving = thread::spawn(move || receiver.recv());
    let next = || told.recv_timeout(Duration::from_secs(10)).unwrap();
    let pair = |n, text: &str| (n, text.to_owned());
    assert_eq!(next(), pair(0, "subscribe"));
    sender.send("one").unwrap();
    assert_eq!(next(), pair(0, "one"));
    while sender.stats().unconfirmed > 0 {
        thread::yield_now();
    }
    for text in ["two", "three"] {
        sender.send(text).unwrap();
        assert_eq!(next(), pair(0, text));
    }
    assert_eq!(next(), pair(1, "subscribe"));
    assert_eq!(next(), pair(1, "two"));
    assert_eq!(next(), pair(1, "three"));
    sender.send("four").unwrap();
    assert_eq!(next(), pair(1, "four"));
    while sender.stats().unconfirmed > 0 {
        thread::yield_now();
    }
    assert!(sender.unconfirmed().is_empty());
    sender.close(CloseCode::NORMAL, "").unwrap();
    assert_eq!(receiving.join().unwrap().unwrap(), None);
}

#[test]
fn an_outbox_that_is_full_holds_sends_up() {
    let (over, gate) = raw::until_dropped();
    let peer = raw::open(move |conn| {
        let _ = gate.lock().unwrap().recv();
        raw::echo(conn);
    });
    let socket = client().websocket(peer.url("/")).reconnect(quick()).outbox(10).connect().unwrap();
    let (sender, mut receiver) = socket.split();
    sender.send("twelve bytes").unwrap();
    assert_eq!(sender.send_timeout("no room", ms(50)).unwrap(), Sent::TimedOut);
    assert_eq!(sender.stats().unconfirmed, 1);
    let waiting = sender.clone();
    let waiting = thread::spawn(move || waiting.send("room"));
    drop(over);
    for text in ["twelve bytes", "room"] {
        assert_eq!(receiver.recv().unwrap(), Some(Message::Text(text.into())));
    }
    waiting.join().unwrap().unwrap();
}

#[test]
fn one_thread_with_a_full_outbox_receives_meanwhile() {
    let peer = raw::open(raw::echo);
    let messages: Vec<Message> = (0..50).map(|n| Message::Text(format!("message {n}"))).collect();
    // Whole, and as a sender whose receiver does nothing.
    let mut socket = client().websocket(peer.url("/")).outbox(10).connect().unwrap();
    for message in &messages {
        match message.as_bytes().len() % 3 {
            0 => prompt(|| socket.send_buffered(message)).unwrap(),
            1 => prompt(|| socket.send(message)).unwrap(),
            _ => assert_eq!(prompt(|| socket.send_timeout(message, ms(5000))).unwrap(), Sent::Accepted),
        }
    }
    for message in &messages {
        assert_eq!(socket.recv().unwrap().as_ref(), Some(message));
    }
    socket.close(CloseCode::NORMAL, "").unwrap();

    let (sender, mut receiver) = client().websocket(peer.url("/")).outbox(10).connect().unwrap().split();
    for message in &messages {
        prompt(|| sender.send(message)).unwrap();
    }
    for message in &messages {
        assert_eq!(receiver.recv().unwrap().as_ref(), Some(message));
    }
    sender.close(CloseCode::NORMAL, "").unwrap();
}

#[test]
fn a_send_after_a_lent_message_does_not_wait_for_itself() {
    let peer = raw::open(raw::echo);
    let mut socket = client().websocket(peer.url("/")).outbox(1).connect().unwrap();
    for n in 0..20 {
        let message = format!("message {n}");
        prompt(|| socket.send(&message)).unwrap();
        let echo = socket.recv_ref(ms(5000)).unwrap().item().unwrap();
        assert_eq!(echo.as_bytes(), message.as_bytes());
    }
    socket.close(CloseCode::NORMAL, "").unwrap();
}

#[test]
fn one_thread_with_a_full_outbox_opens_it_again() {
    let peer = peer(|n, mut conn| {
        let head = raw::switching(&mut conn, "");
        conn.say(head);
        if n == 0 {
            raw::next(&mut conn);
        } else {
            raw::echo(&mut conn);
        }
    });
    let mut socket = client().websocket(peer.url("/")).reconnect(quick()).outbox(1).connect().unwrap();
    for text in ["one", "two", "three"] {
        assert_eq!(socket.send_timeout(text, ms(10_000)).unwrap(), Sent::Accepted);
    }
    for text in ["one", "two", "three"] {
        assert_eq!(socket.recv().unwrap(), Some(Message::Text(text.into())));
    }
    assert_eq!(socket.stats().reconnects, 1);
    socket.close(CloseCode::NORMAL, "").unwrap();
}

#[test]
fn a_thread_that_only_sends_opens_it_again() {
    let peer = peer(|n, mut conn| {
        let head = raw::switching(&mut conn, "");
        conn.say(head);
        if n > 0 {
            raw::echo(&mut conn);
        }
    });
    let mut socket = client().websocket(peer.url("/")).reconnect(quick()).connect().unwrap();
    while socket.stats().reconnects == 0 {
        // What is lost with the connection is told or not; nothing waits for a receiver that there is not.
        match socket.send_timeout("lost", ms(5000)) {
            Ok(sent) => assert_eq!(sent, Sent::Accepted),
            Err(e) => assert!(matches!(e.kind(), ErrorKind::Closed | ErrorKind::Reset | ErrorKind::Io), "{e}"),
        }
    }
    socket.send("arrives").unwrap();
    while socket.recv().unwrap() != Some(Message::Text("arrives".into())) {}
    socket.close(CloseCode::NORMAL, "").unwrap();
}
