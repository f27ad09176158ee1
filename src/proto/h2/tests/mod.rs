//! The engine as a whole: what both roles answer to bytes, commands and time.

mod cancel;
mod commands;
mod conversation;
mod flow;
mod heads;
mod ids;
mod ignored;
mod limits;
mod liveness;
mod opening;
mod rules;
mod states;
mod tables;

use super::{
    Config, Connection, End, ErrorCode, Event, Failure, Opened, RecvBuf, Role, Violation,
    frame::{self, ACK, END_HEADERS, END_STREAM, Header, Kind, PADDED, PRIORITY},
};
use http::{Request, Response};
use std::time::{Duration, Instant};

/// What came out of an engine, with the pieces of a body put together.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Seen {
    Data(u32, Vec<u8>),
    Ended(u32),
    Failed(u32, Failure),
    /// Anything else, as it prints.
    Other(String),
}

fn seen(event: Event<'_>) -> Seen {
    match event {
        Event::Data { stream, data } => Seen::Data(stream, data.to_vec()),
        Event::Ended { stream } => Seen::Ended(stream),
        Event::Failed { stream, failure } => Seen::Failed(stream, failure),
        other => Seen::Other(format!("{other:?}")),
    }
}

/// An engine with what it is shown and what it says.
struct Bench {
    engine: Connection,
    input: RecvBuf,
    out: Vec<u8>,
    now: Instant,
}

impl Bench {
    /// An engine at its start; what it said is in `out`.
    fn new(role: Role, config: Config) -> Self {
        let (now, mut out) = (Instant::now(), Vec::new());
        Bench { engine: Connection::new(role, config, now, &mut out), input: RecvBuf::new(), out, now }
    }

    /// An engine that has been greeted by its peer and acknowledged; `out` is empty.
    fn greeted(role: Role, config: Config, settings: &[(u16, u32)]) -> Self {
        let mut bench = Self::new(role, config);
        let mut bytes = if role == Role::Server { frame::PREFACE.to_vec() } else { Vec::new() };
        bytes.extend(self::settings(settings));
        bytes.extend(frame(Kind::Settings, ACK, 0, b""));
        assert_eq!(bench.feed(&bytes), Ok(vec![Seen::Other("Settings".into())]));
        bench.out.clear();
        bench
    }

    /// Shows bytes and returns the events.
    fn feed(&mut self, bytes: &[u8]) -> Result<Vec<Seen>, Violation> {
        let mut events = Vec::new();
        self.collect(bytes, &mut events)?;
        Ok(events)
    }

    /// Shows bytes and adds the events, with the pieces of a body put together.
    fn collect(&mut self, bytes: &[u8], events: &mut Vec<Seen>) -> Result<(), Violation> {
        self.input.extend(bytes);
        while let Some(event) = self.engine.poll_event(self.now, &mut self.input, &mut self.out)? {
            match (events.last_mut(), seen(event)) {
                (Some(Seen::Data(before, data)), Seen::Data(stream, more)) if *before == stream => data.extend(more),
                (_, event) => events.push(event),
            }
        }
        Ok(())
    }

    /// Returns what was said since the last time.
    fn said(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.out)
    }

    fn open(&mut self, method: &str, end: End) -> u32 {
        let head = request(method, "http://a/", &[]);
        match self.engine.open(&head, end, self.now, &mut self.out) {
            Ok(Opened::Stream(stream)) => stream,
            other => panic!("{other:?}"),
        }
    }

    fn later(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
    }
}

fn request(method: &str, uri: &str, headers: &[(&str, &str)]) -> Request<()> {
    let mut builder = Request::builder().method(method).uri(uri);
    for (name, value) in headers {
        builder = builder.header(*name, *value);
    }
    builder.body(()).unwrap()
}

fn response(status: u16, headers: &[(&str, &str)]) -> Response<()> {
    let mut builder = Response::builder().status(status);
    for (name, value) in headers {
        builder = builder.header(*name, *value);
    }
    builder.body(()).unwrap()
}

fn frame(kind: Kind, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Header { length: payload.len(), kind, flags, stream }.bytes().to_vec();
    bytes.extend_from_slice(payload);
    bytes
}

fn settings(values: &[(u16, u32)]) -> Vec<u8> {
    let mut payload = Vec::new();
    for (id, value) in values {
        payload.extend_from_slice(&id.to_be_bytes());
        payload.extend_from_slice(&value.to_be_bytes());
    }
    frame(Kind::Settings, 0, 0, &payload)
}

fn rst(stream: u32, code: ErrorCode) -> Vec<u8> {
    frame(Kind::RstStream, 0, stream, &code.0.to_be_bytes())
}

fn update(stream: u32, increment: u32) -> Vec<u8> {
    frame(Kind::WindowUpdate, 0, stream, &increment.to_be_bytes())
}

fn goaway(last: u32, code: ErrorCode, debug: &str) -> Vec<u8> {
    let mut out = Vec::new();
    frame::goaway(last, code, debug, &mut out);
    out
}

/// Fields as literals without indexing, which leave the tables alone (RFC 7541, section 6.2.2).
fn literals<N: AsRef<[u8]>, V: AsRef<[u8]>>(fields: &[(N, V)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        string(name.as_ref(), &mut block);
        string(value.as_ref(), &mut block);
    }
    block
}

/// A plain string behind its length (RFC 7541, sections 5.1 and 5.2).
fn string(bytes: &[u8], block: &mut Vec<u8>) {
    match bytes.len().checked_sub(127) {
        None => block.push(bytes.len() as u8),
        Some(mut rest) => {
            block.push(127);
            while rest >= 128 {
                block.push((rest % 128 + 128) as u8);
                rest /= 128;
            }
            block.push(rest as u8);
        }
    }
    block.extend_from_slice(bytes);
}

/// HEADERS with END_HEADERS and these flags.
fn headers(stream: u32, flags: u8, fields: &[(&str, &str)]) -> Vec<u8> {
    frame(Kind::Headers, END_HEADERS | flags, stream, &literals(fields))
}

/// The pseudo-header fields of the simplest request.
const GET: [(&str, &str); 4] = [(":method", "GET"), (":scheme", "http"), (":authority", "a"), (":path", "/")];
/// Those of the simplest response.
const OK: [(&str, &str); 1] = [(":status", "200")];

fn get(stream: u32, flags: u8) -> Vec<u8> {
    headers(stream, flags, &GET)
}

fn ok(stream: u32, flags: u8) -> Vec<u8> {
    headers(stream, flags, &OK)
}

fn data(stream: u32, flags: u8, bytes: &[u8]) -> Vec<u8> {
    frame(Kind::Data, flags, stream, bytes)
}

/// A connection with a stream in every state; `out` is empty.
///
/// | stream | client | server |
/// |---|---|---|
/// | 1 | request complete, nothing answered | head arrived, more follows |
/// | 3 | request open, nothing answered | request complete, nothing answered |
/// | 5 | reset by us | reset by us |
/// | 7 | over | over |
/// | 9 | answer complete, request open | reset by the peer |
/// | 11 | answered, more follows; request complete | answered, more follows; request complete |
/// | 13 | idle | idle |
fn stage(role: Role) -> Bench {
    let mut bench = Bench::greeted(role, Config::new(role), &[]);
    match role {
        Role::Client => {
            for end in [End::Last, End::More, End::More, End::Last, End::More, End::Last] {
                bench.open("GET", end);
            }
            bench.engine.reset(5, 8, &mut bench.out).unwrap();
            bench.feed(&[ok(7, END_STREAM), ok(9, END_STREAM), ok(11, 0)].concat()).unwrap();
        }
        Role::Server => {
            for (stream, flags) in [(1, 0), (3, END_STREAM), (5, 0), (7, END_STREAM), (9, 0), (11, END_STREAM)] {
                bench.feed(&get(stream, flags)).unwrap();
            }
            bench.engine.reset(5, 8, &mut bench.out).unwrap();
            bench.engine.respond(7, &response(200, &[]), End::Last, &mut bench.out).unwrap();
            bench.engine.respond(11, &response(200, &[]), End::More, &mut bench.out).unwrap();
            bench.feed(&rst(9, ErrorCode::CANCEL)).unwrap();
        }
    }
    bench.out.clear();
    bench
}
