//! Messages in parts: neither end holds them whole.

use crate::{
    raw::{self, frame},
    support::{client, ms, prompt, timed},
};
use bowline::{
    ErrorKind, Recv,
    net::pair,
    ws::{CloseCode, Config, Message, Role, WebSocket},
};
use std::{
    io::{Read, Write},
    thread,
    time::Duration,
};

const SECOND: Duration = Duration::from_secs(5);

fn sockets(capacity: usize, config: Config) -> (WebSocket, WebSocket) {
    let (near, far) = pair(capacity);
    let client = WebSocket::over(near, Role::Client, config.clone()).unwrap();
    (client, WebSocket::over(far, Role::Server, config).unwrap())
}

#[test]
fn a_message_far_above_the_limit_goes_through_in_parts() {
    let (mut client, mut server) = sockets(64 * 1024, Config::default().max_message(1000));
    let sending = thread::spawn(move || {
        let mut message = client.send_parts();
        for n in 0..300u32 {
            message.write_all(&[n as u8; 40_000]).unwrap();
        }
        message.finish().unwrap();
        client.send("and a short one").unwrap();
        client
    });
    let mut reader = server.recv_parts(SECOND).unwrap().item().unwrap();
    assert!(!reader.is_text());
    let (mut buf, mut total) = (vec![0; 30_000], 0);
    loop {
        let n = reader.read(&mut buf).unwrap();
        if n == 0 {
            break;
        }
        assert!(buf[..n].iter().enumerate().all(|(i, byte)| *byte == ((total + i) / 40_000) as u8), "at {total}");
        total += n;
    }
    assert_eq!(total, 300 * 40_000);
    // The end stays the end.
    assert_eq!(reader.read(&mut buf).unwrap(), 0);
    assert_eq!(reader.read_timeout(&mut buf, ms(1)).unwrap(), Recv::Ended);
    drop(reader);
    assert_eq!(server.recv().unwrap(), Some(Message::Text("and a short one".into())));
    assert_eq!((server.stats().messages_in, server.stats().bytes_in), (2, 12_000_015));
    drop(sending.join().unwrap());
}

#[test]
fn one_frame_of_many_bytes_and_pings_between_fragments() {
    let peer = raw::open(|conn| {
        conn.say(frame(0x02, &vec![1; 100_000]));
        conn.say(frame(0x89, b"are you there?"));
        assert_eq!(raw::next(conn), Some((0x8a, b"are you there?".to_vec())));
        conn.say(frame(0x80, &vec![2; 3_000_000]));
        conn.say(frame(0x81, "ü".as_bytes()));
        raw::echo(conn);
    });
    let socket = client().websocket(peer.url("/")).config(Config::default().max_message(10)).connect().unwrap();
    let (sender, mut receiver) = socket.split();
    let mut reader = receiver.recv_parts(SECOND).unwrap().item().unwrap();
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes).unwrap();
    drop(reader);
    assert!(
        bytes.len() == 3_100_000
            && bytes[..100_000].iter().all(|b| *b == 1)
            && bytes[100_000..].iter().all(|b| *b == 2)
    );
    let mut reader = receiver.recv_parts(SECOND).unwrap().item().unwrap();
    assert!(reader.is_text());
    // A byte at a time, within a character.
    let mut byte = [0];
    for expected in "ü".bytes() {
        assert_eq!((reader.read(&mut byte).unwrap(), byte[0]), (1, expected));
    }
    assert_eq!(reader.read(&mut byte).unwrap(), 0);
    drop(reader);
    sender.close(CloseCode::NORMAL, "").unwrap();
}

#[test]
fn whoever_has_enough_drops_the_reader() {
    let (mut client, mut server) = sockets(1 << 20, Config::default().max_message(5000).fragment_at(700));
    let large = vec![9u8; 4000];
    for round in 0..20 {
        client.send(&large).unwrap();
        client.send("next").unwrap();
        let mut reader = server.recv_parts(SECOND).unwrap().item().unwrap();
        assert_eq!(reader.read(&mut vec![0; round * 10]).unwrap(), round * 10);
        drop(reader);
        assert_eq!(server.recv().unwrap(), Some(Message::Text("next".into())), "{round}");
    }
    // Messages of one frame, read by every kind of call.
    client.send("one").unwrap();
    client.send("two").unwrap();
    let mut text = String::new();
    server.recv_parts(SECOND).unwrap().item().unwrap().read_to_string(&mut text).unwrap();
    assert_eq!(text, "one");
    assert_eq!(server.recv_ref(SECOND).unwrap().item().unwrap().as_bytes(), b"two");
    assert!(matches!(prompt(|| server.recv_parts(Duration::ZERO)).unwrap(), Recv::TimedOut));
    // The limit holds for those who want it whole.
    client.send(&vec![0; 5001]).unwrap();
    assert_eq!(server.recv().unwrap_err().kind(), ErrorKind::TooLarge);
}

#[test]
fn a_timeout_within_a_message_loses_nothing() {
    let (over, gate) = raw::until_dropped();
    let peer = raw::open(move |conn| {
        conn.say(frame(0x01, b"the beginning"));
        let _ = gate.lock().unwrap().recv();
        conn.say(frame(0x80, b" and the end"));
        conn.rest();
    });
    let mut socket = client().websocket(peer.url("/")).connect().unwrap();
    // What a call that wanted it whole has seen already belongs to the reader.
    assert_eq!(timed(ms(100), || socket.recv_timeout(ms(100))).unwrap(), Recv::TimedOut);
    let mut reader = socket.recv_parts(SECOND).unwrap().item().unwrap();
    let mut buf = [0; 64];
    assert_eq!(reader.read_timeout(&mut buf, SECOND).unwrap(), Recv::Item(13));
    assert_eq!(timed(ms(100), || reader.read_timeout(&mut buf, ms(100))).unwrap(), Recv::TimedOut);
    drop(over);
    assert_eq!(reader.read_timeout(&mut buf, SECOND).unwrap(), Recv::Item(12));
    assert_eq!(&buf[..12], b" and the end");
    assert_eq!(reader.read_timeout(&mut buf, SECOND).unwrap(), Recv::Ended);
}

#[test]
fn bad_text_fails_at_the_first_bad_byte() {
    let peer = raw::open(|conn| {
        // The frame is not complete, and never will be.
        conn.say([&[0x81, 100][..], b"good so far \xff"].concat());
        assert_eq!(raw::next(conn), Some((0x88, 1007u16.to_be_bytes().to_vec())));
        conn.rest();
    });
    let mut socket = client().websocket(peer.url("/")).connect().unwrap();
    let e = match socket.recv_parts(SECOND) {
        Err(e) => e,
        Ok(reader) => {
            let e = reader.item().unwrap().read_to_end(&mut Vec::new()).unwrap_err();
            bowline::Error::from(e)
        }
    };
    assert_eq!(e.kind(), ErrorKind::PeerViolation, "{e:?}");
}

#[test]
fn nobody_else_sends_within_a_message() {
    let (client, mut server) = sockets(1 << 20, Config::default());
    let (sender, _receiver) = client.split();
    let mut message = sender.send_parts();
    message.send("a").unwrap();
    assert_eq!(message.send(b"b").unwrap_err().kind(), ErrorKind::Misuse);
    let other = sender.clone();
    assert_eq!(timed(ms(50), || other.send_timeout("c", ms(50))).unwrap(), bowline::ws::Sent::TimedOut);
    let waiting = thread::spawn(move || other.send("c"));
    message.send("d").unwrap();
    message.finish().unwrap();
    waiting.join().unwrap().unwrap();
    assert_eq!(server.recv().unwrap(), Some(Message::Text("ad".into())));
    assert_eq!(server.recv().unwrap(), Some(Message::Text("c".into())));
    // One without parts.
    sender.send_parts().finish().unwrap();
    assert_eq!(server.recv().unwrap(), Some(Message::Binary(Vec::new())));
    drop(sender.send_parts());
    sender.send("e").unwrap();
    assert_eq!(server.recv().unwrap(), Some(Message::Text("e".into())));
    // One that is given up in the middle is never taken for a whole one.
    let mut message = sender.send_parts();
    message.send("half").unwrap();
    drop(message);
    assert_eq!(server.recv().unwrap(), None);
    assert_eq!(server.closed().unwrap().code, Some(1011));
    assert_eq!(sender.send("f").unwrap_err().kind(), ErrorKind::Closed);
}
