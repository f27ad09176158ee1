//! The WebSocket engine over any bytes in any cuts, and what is said about them.

use bowline::proto::{
    End, RecvBuf, Role,
    ws::{Config, Connection, Deflate, Direction, Event, Kind, Params, WindowBits},
};
use std::time::Instant;

/// The largest message: small, so that limits are met.
pub const MAX_MESSAGE: u64 = 1 << 16;

/// What was said. The pieces of a message are joined, since they come as they are cut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    Closed(Option<u16>, String),
    Message(Kind, Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Violation(String),
    /// The end of the bytes, within a message of which so much came.
    Within(Vec<u8>),
}

/// Returns an engine whose settings are chosen by an octet.
pub fn engine(role: Role, how: u8) -> Connection {
    let deflate = (how & 1 != 0).then(|| {
        let bits =
            |b: u8| Direction { window: WindowBits::new(9 + b % 7).unwrap_or(WindowBits::MAX), ..Direction::default() };
        Params { client: bits(how >> 1), server: bits(how >> 4) }
    });
    let mut config = Config::new(u64::from(how)).max_message(MAX_MESSAGE);
    if deflate.is_some() {
        config = config.deflate(Deflate::from_bytes(0));
    }
    if how & 0x80 != 0 {
        config = config.fragment_at(3);
    }
    Connection::new(role, &config, deflate, Instant::now())
}

/// Runs the bytes through an engine in the given pieces; `echo` sends every message back, and the replies are returned too.
pub fn transcript<'a>(
    engine: &mut Connection,
    pieces: impl IntoIterator<Item = &'a [u8]>,
    echo: bool,
) -> (Vec<Said>, Vec<u8>) {
    let now = Instant::now();
    let (mut input, mut out, mut said, mut message) = (RecvBuf::new(), Vec::new(), Vec::new(), Vec::new());
    for piece in pieces {
        input.extend(piece);
        engine.received(now);
        loop {
            match engine.poll_event(now, &mut input, &mut out) {
                Ok(None) => break,
                Ok(Some(event)) => {
                    let whole = note(event, &mut message, &mut said);
                    assert!(message.len() as u64 <= MAX_MESSAGE, "a message above the limit");
                    if let (true, Some((kind, data))) = (echo, whole) {
                        // Behind a Close it is refused.
                        let _ = engine.send(kind, &data, &mut out);
                    }
                }
                Err(violation) => {
                    let again = engine.poll_event(now, &mut input, &mut out);
                    assert_eq!(again, Err(violation), "a violation is final");
                    said.push(Said::Violation(format!("{violation:?}")));
                    return (said, out);
                }
            }
        }
        if !input.is_empty() && engine.payload_left().is_some() {
            panic!("payload lies there untouched");
        }
    }
    if !message.is_empty() {
        said.push(Said::Within(message));
    }
    (said, out)
}

/// Notes an event; returns the message that it completes.
fn note(event: Event<'_>, message: &mut Vec<u8>, said: &mut Vec<Said>) -> Option<(Kind, Vec<u8>)> {
    match event {
        Event::Piece { kind, data, end } => {
            message.extend_from_slice(data);
            if end == End::Last {
                let whole = std::mem::take(message);
                if kind == Kind::Text {
                    assert!(std::str::from_utf8(&whole).is_ok(), "a text that is not UTF-8");
                }
                said.push(Said::Message(kind, whole.clone()));
                return Some((kind, whole));
            }
        }
        Event::Ping(data) => said.push(Said::Ping(data.to_vec())),
        Event::Pong(data) => said.push(Said::Pong(data.to_vec())),
        Event::Closed { code, reason } => said.push(Said::Closed(code, reason.to_owned())),
        _ => {}
    }
    None
}

/// An engine over any bytes: never a panic, a hang, or a message above the limit; and what it sends in answer, the peer's engine takes.
pub fn run(role: Role, data: &[u8]) {
    let Some((&how, data)) = data.split_first() else { return };
    let (_, out) = transcript(&mut engine(role, how), [data], true);
    let other = match role {
        Role::Client => Role::Server,
        Role::Server => Role::Client,
    };
    let (said, _) = transcript(&mut engine(other, how), [out.as_slice()], false);
    let refused = said.iter().find(|said| matches!(said, Said::Violation(_)));
    assert_eq!(refused, None, "the peer refuses what we sent");
}

/// The same bytes cut at random places, and read past the input now and then: both must tell the same.
pub fn split(data: &[u8]) {
    let [how, role, cuts, data @ ..] = data else { return };
    let role = if role & 1 == 0 { Role::Client } else { Role::Server };
    // The cuts come from a number, so that the bytes stay what they are.
    let mut state = u64::from(*cuts) << 8 | 1;
    let mut rest = data;
    let mut pieces = Vec::new();
    while !rest.is_empty() {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let most = [1, 2, 3, 7, 20, 130, 5000][(state >> 40) as usize % 7];
        let (piece, behind) = rest.split_at(rest.len().min(1 + (state >> 33) as usize % most));
        pieces.push(piece);
        rest = behind;
    }
    let mut whole = transcript(&mut engine(role, *how), [data], false);
    let mut cut = transcript(&mut engine(role, *how), pieces.iter().copied(), false);
    let mut past = past(&mut engine(role, *how), &pieces);
    if how & 1 != 0 && matches!(whole.0.last(), Some(Said::Violation(_))) {
        // What is wrong first, the compression or the text, depends on how much is inflated at once.
        for said in [&mut whole.0, &mut cut.0, &mut past] {
            if let Some(Said::Violation(rule)) = said.last_mut() {
                rule.clear();
            }
        }
        cut.1.clone_from(&whole.1);
    }
    assert_eq!(cut.0, whole.0, "the same bytes, cut");
    assert_eq!(cut.1, whole.1, "the same answers");
    assert_eq!(past, whole.0, "the same bytes, read past the input");
}

/// As `transcript`, but payload is handed over where the engine says that it may be.
fn past(engine: &mut Connection, pieces: &[&[u8]]) -> Vec<Said> {
    let now = Instant::now();
    let (mut input, mut out, mut said, mut message) = (RecvBuf::new(), Vec::new(), Vec::new(), Vec::new());
    for piece in pieces {
        let mut piece = piece.to_vec();
        if let (Some(left), true) = (engine.payload_left(), input.is_empty()) {
            let n = piece.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            match engine.read_payload(&mut piece[..n], &mut out) {
                Ok(event) => _ = note(event, &mut message, &mut said),
                Err(violation) => {
                    said.push(Said::Violation(format!("{violation:?}")));
                    return said;
                }
            }
            piece.drain(..n);
        }
        input.extend(&piece);
        loop {
            if let Some((kind, data)) = engine.poll_short(&mut input) {
                let event = Event::Piece { kind, data, end: End::Last };
                note(event, &mut message, &mut said);
                continue;
            }
            match engine.poll_event(now, &mut input, &mut out) {
                Ok(None) => break,
                Ok(Some(event)) => _ = note(event, &mut message, &mut said),
                Err(violation) => {
                    said.push(Said::Violation(format!("{violation:?}")));
                    return said;
                }
            }
        }
    }
    if !message.is_empty() {
        said.push(Said::Within(message));
    }
    said
}
