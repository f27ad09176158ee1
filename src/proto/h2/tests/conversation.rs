//! Two engines that talk to each other, in every order a random generator thinks of.

use super::*;
use crate::proto::h2::Misuse;
use http::{HeaderMap, HeaderValue};
use std::collections::{BTreeMap, VecDeque};

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `n`.
    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    /// A length: mostly short, sometimes long.
    fn length(&mut self) -> usize {
        match self.below(4) {
            0 => 0,
            1 => self.below(100),
            2 => self.below(5000),
            _ => self.below(20_000),
        }
    }
}

/// The byte of a body at a place; the two directions differ.
fn byte(role: Role, stream: u32, at: usize) -> u8 {
    let salt = if role == Role::Client { 1 } else { 101 };
    (at as u32).wrapping_mul(31).wrapping_add(stream * 7 + salt) as u8
}

/// A message that is being sent.
struct Sending {
    /// The length of the body.
    length: usize,
    at: usize,
    trailers: bool,
    /// Whether `send_data` took less than it was given, and `Writable` did not come yet.
    waiting: bool,
}

/// A message that is being received.
#[derive(Default)]
struct Receiving {
    length: usize,
    unreleased: usize,
    trailers: bool,
    ended: bool,
}

struct Side {
    role: Role,
    bench: Bench,
    /// Bytes on their way to this side.
    coming: VecDeque<u8>,
    sending: BTreeMap<u32, Sending>,
    receiving: BTreeMap<u32, Receiving>,
    /// How long the messages were that were sent to the end.
    sent: BTreeMap<u32, (usize, bool)>,
    failed: Vec<u32>,
    blocked: bool,
    opened: usize,
}

impl Side {
    fn new(role: Role, random: &mut Random) -> Self {
        let config = Config {
            stream_window: [100, 1000, 16_384, 65_535, 1 << 20][random.below(5)],
            connection_window: [65_535, 65_536, 1 << 20][random.below(3)],
            unread_limit: [1000, 65_535, 1 << 20][random.below(3)],
            max_streams: [1, 3, 100][random.below(3)],
            header_table: [0, 100, 4096, 10_000][random.below(4)],
            max_frame: [16_384, 20_000][random.below(2)],
            seed: random.next(),
            ..Config::new(role)
        };
        Side {
            role,
            bench: Bench::new(role, config),
            coming: VecDeque::new(),
            sending: BTreeMap::new(),
            receiving: BTreeMap::new(),
            sent: BTreeMap::new(),
            failed: Vec::new(),
            blocked: false,
            opened: 0,
        }
    }

    fn start(&mut self, stream: u32, random: &mut Random, end: End) {
        let length = if end == End::Last { 0 } else { random.length() };
        let trailers = end == End::More && random.one_in(3);
        if end == End::Last {
            self.sent.insert(stream, (0, false));
        } else {
            self.sending.insert(stream, Sending { length, at: 0, trailers, waiting: false });
        }
    }

    fn open(&mut self, random: &mut Random) {
        let value = format!("value-{}", random.below(20));
        let head =
            request("POST", "http://example.com/some/path", &[("x-first", "always the same"), ("x-other", &value)]);
        let end = if random.one_in(3) { End::Last } else { End::More };
        match self.bench.engine.open(&head, end, self.bench.now, &mut self.bench.out).unwrap() {
            Opened::Stream(stream) => {
                self.opened += 1;
                self.receiving.insert(stream, Receiving::default());
                self.start(stream, random, end);
            }
            Opened::Blocked => self.blocked = true,
            Opened::Closed => panic!("nobody said goodbye"),
        }
    }

    fn answer(&mut self, stream: u32, random: &mut Random) {
        let out = &mut self.bench.out;
        if random.one_in(5) {
            self.bench.engine.inform(stream, &response(103, &[("link", "x")]), out).unwrap();
        }
        let end = if random.one_in(3) { End::Last } else { End::More };
        let status = [200, 404, 500][random.below(3)];
        self.bench.engine.respond(stream, &response(status, &[("server", "it is us")]), end, out).unwrap();
        self.start(stream, random, end);
    }

    /// Sends something on one of the streams that can.
    fn send(&mut self, random: &mut Random) {
        let ready: Vec<u32> = self.sending.iter().filter(|(_, s)| !s.waiting).map(|(id, _)| *id).collect();
        if ready.is_empty() {
            return;
        }
        let stream = ready[random.below(ready.len())];
        let Sending { length, at, trailers, .. } = self.sending[&stream];
        let n = if random.one_in(2) { length - at } else { random.below(length - at + 1) };
        let end = if at + n == length && !trailers { End::Last } else { End::More };
        let bytes: Vec<u8> = (at..at + n).map(|at| byte(self.role, stream, at)).collect();
        let (engine, out) = (&mut self.bench.engine, &mut self.bench.out);
        let taken = engine.send_data(stream, &bytes, end, out).unwrap();
        assert!(taken <= n);
        let sending = self.sending.get_mut(&stream).unwrap();
        sending.at += taken;
        sending.waiting = taken < n;
        if sending.at < length || taken < n {
            return;
        }
        if trailers {
            let list: HeaderMap = [("x-sum".parse().unwrap(), HeaderValue::from(length))].into_iter().collect();
            engine.send_trailers(stream, &list, out).unwrap();
        }
        self.sending.remove(&stream);
        self.sent.insert(stream, (length, trailers));
    }

    fn release(&mut self, random: &mut Random, all: bool) {
        let held: Vec<u32> = self.receiving.iter().filter(|(_, r)| r.unreleased > 0).map(|(id, _)| *id).collect();
        if held.is_empty() {
            return;
        }
        let stream = held[random.below(held.len())];
        let receiving = self.receiving.get_mut(&stream).unwrap();
        let n = if all { receiving.unreleased } else { 1 + random.below(receiving.unreleased) };
        receiving.unreleased -= n;
        self.bench.engine.release(stream, n, &mut self.bench.out).unwrap();
    }

    fn reset(&mut self, random: &mut Random) {
        let ids: Vec<u32> = self.receiving.keys().copied().collect();
        if ids.is_empty() {
            return;
        }
        let stream = ids[random.below(ids.len())];
        let (engine, out) = (&mut self.bench.engine, &mut self.bench.out);
        let result =
            if random.one_in(2) { engine.reset(stream, 8, out) } else { engine.cancel(stream, 8, self.bench.now, out) };
        match result {
            Ok(()) => {
                // Of a stream that had come to its end nothing but its data was given up.
                self.receiving.get_mut(&stream).unwrap().unreleased = 0;
                self.fail(stream);
            }
            Err(misuse) => assert_eq!(misuse, Misuse::NoStream { stream }),
        }
    }

    fn fail(&mut self, stream: u32) {
        self.sending.remove(&stream);
        self.failed.push(stream);
    }

    /// Some of what is on its way arrives.
    fn arrive(&mut self, random: &mut Random) {
        let n = (1 + random.length()).min(self.coming.len());
        let bytes: Vec<u8> = self.coming.drain(..n).collect();
        self.bench.input.extend(&bytes);
        loop {
            let Bench { engine, input, out, now } = &mut self.bench;
            let other = if self.role == Role::Client { Role::Server } else { Role::Client };
            let mut answer = None;
            match engine.poll_event(*now, input, out).unwrap_or_else(|v| panic!("{:?}: {v}", self.role)) {
                None => break,
                Some(Event::Head { stream, .. }) => {
                    self.receiving.insert(stream, Receiving::default());
                    answer = Some(stream);
                }
                Some(Event::Data { stream, data }) => {
                    let receiving = self.receiving.get_mut(&stream).unwrap();
                    for (i, found) in data.iter().enumerate() {
                        assert_eq!(*found, byte(other, stream, receiving.length + i), "stream {stream}");
                    }
                    receiving.length += data.len();
                    receiving.unreleased += data.len();
                }
                Some(Event::Trailers { stream, trailers }) => {
                    let receiving = self.receiving.get_mut(&stream).unwrap();
                    assert_eq!(trailers.get("x-sum"), Some(receiving.length.to_string().as_bytes()));
                    receiving.trailers = true;
                }
                Some(Event::Ended { stream }) => self.receiving.get_mut(&stream).unwrap().ended = true,
                Some(Event::Writable { stream }) => {
                    let sending = self.sending.get_mut(&stream).expect("somebody waits");
                    assert!(sending.waiting, "stream {stream} does not wait");
                    sending.waiting = false;
                }
                Some(Event::Failed { stream, failure }) => {
                    assert!(matches!(failure, Failure::Reset(_)), "stream {stream}: {failure:?}");
                    self.fail(stream);
                }
                Some(Event::SlotFree) => self.blocked = false,
                Some(Event::Answer { .. } | Event::Informational { .. }) => {}
                Some(Event::Settings | Event::PingAcked { .. }) => {}
                Some(event) => panic!("{event:?}"),
            }
            if let Some(stream) = answer {
                self.answer(stream, random);
            }
        }
    }
}

fn converse(seed: u64) {
    let mut random = Random(seed);
    let mut client = Side::new(Role::Client, &mut random);
    let mut server = Side::new(Role::Server, &mut random);
    let streams = 16;
    let resets = random.one_in(2);
    let mut quiet = 0;
    for step in 0.. {
        assert!(step < 200_000, "seed {seed}: no end in sight");
        match random.below(8) {
            0 if client.opened < streams && !client.blocked => client.open(&mut random),
            1 => client.send(&mut random),
            2 => server.send(&mut random),
            3 => client.release(&mut random, false),
            4 => server.release(&mut random, false),
            5 if resets && random.one_in(20) => client.reset(&mut random),
            6 if resets && random.one_in(20) => server.reset(&mut random),
            _ => {
                server.coming.extend(client.bench.said());
                client.coming.extend(server.bench.said());
                client.arrive(&mut random);
                server.arrive(&mut random);
            }
        }
        let done = client.opened == streams && client.sending.is_empty() && server.sending.is_empty();
        quiet = if done { quiet + 1 } else { 0 };
        if quiet > 100 {
            break;
        }
    }
    for _ in 0..200 {
        client.release(&mut random, true);
        server.release(&mut random, true);
        server.coming.extend(client.bench.said());
        client.coming.extend(server.bench.said());
        client.arrive(&mut random);
        server.arrive(&mut random);
    }
    settle_accounts(seed, &client, &server);
    settle_accounts(seed, &server, &client);
}

/// Everything that one side sent has arrived at the other, and nothing is left.
fn settle_accounts(seed: u64, from: &Side, to: &Side) {
    let name = format!("seed {seed}, from {:?}", from.role);
    for (stream, (length, trailers)) in &from.sent {
        if from.failed.contains(stream) || to.failed.contains(stream) {
            continue;
        }
        let received = &to.receiving[stream];
        assert!(received.ended, "{name}: stream {stream} has not ended");
        assert_eq!((received.length, received.trailers), (*length, *trailers), "{name}: stream {stream}");
    }
    assert_eq!((from.bench.engine.open_streams(), from.bench.engine.unread), (0, 0), "{name}");
    assert_eq!(from.bench.engine.send_window(), to.bench.engine.recv_window(), "{name}: the windows agree");
    assert!(from.coming.is_empty() && from.bench.input.is_empty(), "{name}");
}

#[test]
fn any_order_is_fine() {
    (0..40).for_each(converse);
}

/// Bytes that are wrong in any place are a violation at worst, however they are cut.
#[test]
fn any_bytes_are_survived() {
    let mut random = Random(1);
    for role in [Role::Client, Role::Server] {
        let head = if role == Role::Client { ok(1, 0) } else { get(13, 0) };
        let stream = if role == Role::Client { 1 } else { 13 };
        let good = [
            head,
            frame(Kind::Data, PADDED, stream, b"\x02some data\0\0"),
            update(stream, 1000),
            frame(Kind::Headers, PRIORITY, 3, &[0; 9]),
            frame(Kind::Continuation, END_HEADERS, 3, b"\x82"),
            settings(&[(1, 0), (3, 1), (4, 1), (5, 20_000), (8, 1)]),
            frame(Kind::Ping, 0, 0, &[1; 8]),
            headers(stream, END_STREAM, &[("a", "b")]),
            rst(3, ErrorCode::CANCEL),
            goaway(11, ErrorCode::NO_ERROR, "bye"),
        ];
        for _ in 0..3000 {
            let mut bytes: Vec<u8> = (0..8).flat_map(|_| good[random.below(good.len())].clone()).collect();
            for _ in 0..random.below(4) {
                let place = random.below(bytes.len());
                bytes[place] = random.next() as u8;
            }
            let cut = random.below(bytes.len());
            let (mut whole, mut parts) = ((stage(role), Vec::new()), (stage(role), Vec::new()));
            let result = whole.0.collect(&bytes, &mut whole.1);
            let first = parts.0.collect(&bytes[..cut], &mut parts.1);
            let again = first.and_then(|()| parts.0.collect(&bytes[cut..], &mut parts.1));
            assert_eq!((&result, &whole.1), (&again, &parts.1), "{}, cut at {cut}", bytes.escape_ascii());
            assert_eq!(whole.0.out, parts.0.out, "{}, cut at {cut}", bytes.escape_ascii());
            let end = whole.0.engine.end_of_input(whole.0.now, &whole.0.input, &mut whole.0.out);
            assert!(result.is_ok() || end == result);
        }
    }
}
