//! Tests of the engine: helpers here, a file for each subject.

mod close;
#[cfg(feature = "deflate")]
mod deflate;
mod handshake;
mod pair;
mod receive;
mod send;
mod time;
mod violation;

use super::{Config, Connection, Event, Kind, Params, Violation};
use crate::proto::{End, RecvBuf, Role};
use std::time::Instant;

/// The key that the frames of a test are masked with.
const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

const BOTH: [Role; 2] = [Role::Client, Role::Server];

/// What a connection was told, with messages put together.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Got {
    Closed(Option<u16>, String),
    Message(Kind, Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
}

/// All that came out of some bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Heard {
    got: Vec<Got>,
    failed: Option<Violation>,
    out: Vec<u8>,
}

/// Feeds a connection and puts messages together.
struct Listener {
    connection: Connection,
    input: RecvBuf,
    begun: Option<(Kind, Vec<u8>)>,
    heard: Heard,
    now: Instant,
}

impl Listener {
    fn new(role: Role, config: &Config, deflate: Option<Params>) -> Self {
        let now = Instant::now();
        Listener {
            connection: Connection::new(role, config, deflate, now),
            input: RecvBuf::new(),
            begun: None,
            heard: Heard::default(),
            now,
        }
    }

    fn feed(&mut self, bytes: &[u8]) {
        self.input.extend(bytes);
        self.connection.received(self.now);
        self.drain();
    }

    fn drain(&mut self) {
        loop {
            match self.connection.poll_event(self.now, &mut self.input, &mut self.heard.out) {
                Ok(None) => return,
                Err(violation) => {
                    self.heard.failed = Some(violation);
                    return;
                }
                Ok(Some(Event::Piece { kind, data, end })) => {
                    assert!(!data.is_empty() || end == End::Last, "an empty piece within a message");
                    let (begun, message) = self.begun.get_or_insert_with(|| (kind, Vec::new()));
                    assert_eq!(*begun, kind);
                    message.extend_from_slice(data);
                    if end == End::Last {
                        let (kind, message) = self.begun.take().expect("just inserted");
                        self.heard.got.push(Got::Message(kind, message));
                    }
                }
                Ok(Some(Event::Ping(data))) => self.heard.got.push(Got::Ping(data.to_vec())),
                Ok(Some(Event::Pong(data))) => self.heard.got.push(Got::Pong(data.to_vec())),
                Ok(Some(Event::Closed { code, reason })) => {
                    self.heard.got.push(Got::Closed(code, reason.to_owned()));
                }
            }
        }
    }
}

/// Returns what a fresh connection hears in `bytes`, read in pieces that end at `cuts`.
fn hear(role: Role, config: &Config, deflate: Option<Params>, bytes: &[u8], cuts: &[usize]) -> Heard {
    let mut listener = Listener::new(role, config, deflate);
    let mut from = 0;
    for to in cuts.iter().copied().chain([bytes.len()]) {
        listener.feed(&bytes[from..to]);
        from = to;
    }
    listener.heard
}

/// Returns what is heard, after checking that every cut, and every two if `bytes` are few, change nothing.
fn hear_any_way(role: Role, config: &Config, deflate: Option<Params>, bytes: &[u8]) -> Heard {
    let whole = hear(role, config, deflate, bytes, &[]);
    for first in 0..=bytes.len() {
        assert_eq!(hear(role, config, deflate, bytes, &[first]), whole, "{role:?}, cut at {first}");
        if bytes.len() <= 80 {
            for second in first..=bytes.len() {
                let cut = hear(role, config, deflate, bytes, &[first, second]);
                assert_eq!(cut, whole, "{role:?}, cut at {first} and {second}");
            }
        }
    }
    let each: Vec<usize> = (0..bytes.len()).collect();
    assert_eq!(hear(role, config, deflate, bytes, &each), whole, "{role:?}, cut everywhere");
    whole
}

/// Returns a frame for a receiver in this role, with the shortest length.
fn frame(to: Role, first: u8, payload: &[u8]) -> Vec<u8> {
    match payload.len() {
        0..126 => raw(to, first, payload.len() as u8, &[], payload),
        126..0x1_0000 => raw(to, first, 126, &(payload.len() as u16).to_be_bytes(), payload),
        _ => raw(to, first, 127, &(payload.len() as u64).to_be_bytes(), payload),
    }
}

/// Returns a frame for a receiver in this role, its length as given.
fn raw(to: Role, first: u8, second: u8, length: &[u8], payload: &[u8]) -> Vec<u8> {
    match to {
        Role::Client => [&[first, second], length, payload].concat(),
        Role::Server => {
            let masked: Vec<u8> = payload.iter().zip(KEY.iter().cycle()).map(|(byte, key)| byte ^ key).collect();
            [&[first, second | 0x80], length, &KEY, &masked].concat()
        }
    }
}

/// Returns first byte and payload of the frames that a connection in this role sent.
fn frames(from: Role, mut bytes: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut frames = Vec::new();
    while let [first, second, rest @ ..] = bytes {
        assert_eq!(second & 0x80 != 0, from == Role::Client, "only clients mask");
        let (len, rest) = match second & 0x7f {
            126 => (u64::from(u16::from_be_bytes([rest[0], rest[1]])), &rest[2..]),
            127 => (u64::from_be_bytes(*rest.first_chunk().expect("eight bytes")), &rest[8..]),
            len => (u64::from(len), rest),
        };
        let (key, rest) = match from {
            Role::Client => rest.split_at(4),
            Role::Server => (&[0; 4][..], rest),
        };
        let (payload, rest) = rest.split_at(len as usize);
        frames.push((*first, payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key).collect()));
        bytes = rest;
    }
    assert!(bytes.is_empty(), "a frame was cut");
    frames
}

fn config() -> Config {
    Config::new(0x5eed)
}

/// A small generator, for splits and sizes.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % below.max(1)
    }
}

#[test]
fn an_idle_connection_is_small() {
    assert!(size_of::<Connection>() < 1024, "{}", size_of::<Connection>());
    fn moved<T: Send + Sync>() {}
    moved::<Connection>();
}
