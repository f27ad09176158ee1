//! A peer that speaks WebSocket by hand.

use crate::support::{Conn, Peer, peer};
use std::{
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    time::Duration,
};

/// The answer to a Sec-WebSocket-Key.
pub fn accept_value(key: &str) -> String {
    let mut hash = sha1_smol::Sha1::new();
    hash.update(key.as_bytes());
    hash.update(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    base64(&hash.digest().bytes())
}

pub fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let n = group.iter().enumerate().fold(0u32, |n, (i, b)| n | u32::from(*b) << (16 - 8 * i));
        for i in 0..4 {
            match i <= group.len() {
                true => text.push(ALPHABET[(n >> (18 - 6 * i) & 63) as usize] as char),
                false => text.push('='),
            }
        }
    }
    text
}

/// The head of a 101, with further fields.
pub fn switching(conn: &mut Conn, more: &str) -> String {
    let request = conn.head().expect("a request");
    assert_eq!(request.method, "GET");
    let key = request.header("sec-websocket-key").expect("a key");
    assert_eq!(key.len(), 24, "{key}");
    assert_eq!(request.header("sec-websocket-version"), Some("13"));
    let accept = accept_value(key);
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n{more}\r\n"
    )
}

/// A listener that shakes hands and then runs the script.
pub fn open(script: impl Fn(&mut Conn) + Send + Sync + 'static) -> Peer {
    peer(move |_, mut conn| {
        let head = switching(&mut conn, "");
        conn.say(head);
        script(&mut conn);
    })
}

/// One frame from a server: not masked.
pub fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    match payload.len() {
        n @ ..126 => bytes.push(n as u8),
        n @ 126..65536 => {
            bytes.push(126);
            bytes.extend((n as u16).to_be_bytes());
        }
        n => {
            bytes.push(127);
            bytes.extend((n as u64).to_be_bytes());
        }
    }
    bytes.extend(payload);
    bytes
}

pub fn text(payload: &str) -> Vec<u8> {
    frame(0x81, payload.as_bytes())
}

pub fn close(code: u16) -> Vec<u8> {
    frame(0x88, &code.to_be_bytes())
}

/// The next frame of a client, unmasked: its first byte and its payload. `None`: it ended.
pub fn next(conn: &mut Conn) -> Option<(u8, Vec<u8>)> {
    let head = conn.exactly(2);
    let [first, second] = head[..] else { return None };
    assert!(second & 0x80 != 0, "a client masks");
    let len = match second & 0x7f {
        126 => conn.exactly(2).iter().fold(0, |n, b| n << 8 | usize::from(*b)),
        127 => conn.exactly(8).iter().fold(0, |n, b| n << 8 | usize::from(*b)),
        n => usize::from(n),
    };
    let mask = conn.exactly(4);
    let mut payload = conn.exactly(len);
    if payload.len() < len {
        return None;
    }
    payload.iter_mut().enumerate().for_each(|(i, b)| *b ^= mask[i % 4]);
    Some((first, payload))
}

/// Returns every message, and answers the Close.
pub fn echo(conn: &mut Conn) {
    while let Some((first, payload)) = next(conn) {
        match first & 0x0f {
            8 => {
                conn.say(frame(0x88, &payload));
                conn.rest();
                return;
            }
            9 => conn.say(frame(0x8a, &payload)),
            10 => {}
            _ => conn.say(frame(first, &payload)),
        }
    }
}

/// Says each part after a pause, until everything is said or the test is over.
pub fn paced(conn: &mut Conn, parts: &[&[u8]], every: Duration, over: &Receiver<()>) {
    for part in parts {
        if over.recv_timeout(every) != Err(RecvTimeoutError::Timeout) {
            return;
        }
        conn.say(part);
    }
}

/// A channel whose sender keeps a script waiting until it is dropped.
pub fn until_dropped() -> (std::sync::mpsc::Sender<()>, std::sync::Mutex<Receiver<()>>) {
    let (sender, receiver) = channel();
    (sender, std::sync::Mutex::new(receiver))
}
