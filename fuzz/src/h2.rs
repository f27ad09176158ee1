//! The HTTP/2 engine over any bytes in any cuts, driven as a driver would, and compared with the run in one piece.

use bowline::{
    Role,
    http::{Request, Response},
    proto::{
        End, RecvBuf,
        h2::{Config, Connection, Event, Opened},
    },
};
use std::time::Instant;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Runs the bytes cut into pieces, and again whole: both must tell the same.
pub fn run(role: Role, data: &[u8]) {
    let Some((&cut, data)) = data.split_first() else { return };
    let now = Instant::now();
    let in_pieces = transcript(role, data, 1 + usize::from(cut) % 61, now);
    let whole = transcript(role, data, usize::MAX, now);
    assert_eq!(in_pieces, whole);
}

/// What the engine said about the bytes. Payloads are joined by their total, since they come as they are cut.
fn transcript(role: Role, data: &[u8], piece: usize, now: Instant) -> (Vec<String>, u64) {
    let (mut out, mut input, mut said, mut octets) = (Vec::new(), RecvBuf::new(), Vec::new(), 0);
    let mut config = Config::new(role);
    config.seed = 7;
    let mut connection = Connection::new(role, config, now, &mut out);
    if role == Role::Client {
        for _ in 0..3 {
            let head = Request::get("http://fuzz.test/").body(()).expect("a request");
            assert!(matches!(connection.open(&head, End::Last, now, &mut out), Ok(Opened::Stream(_))));
        }
    } else {
        // Reaching past the preface by chance takes long.
        input.extend(PREFACE);
    }
    for piece in data.chunks(piece.min(data.len().max(1))) {
        input.extend(piece);
        loop {
            let event = match connection.poll_event(now, &mut input, &mut out) {
                Ok(Some(event)) => event,
                Ok(None) => break,
                Err(violation) => {
                    said.push(format!("{violation:?}"));
                    let again = connection.poll_event(now, &mut input, &mut out);
                    assert_eq!(again.err().as_ref(), Some(&violation), "a violation is final");
                    assert!(out.len() <= 4096 + 64 * data.len());
                    return (said, octets);
                }
            };
            let mut answer = None;
            match &event {
                Event::Data { stream, data } => {
                    octets += data.len() as u64;
                    answer = Some((*stream, data.len()));
                }
                Event::Head { stream, .. } if stream % 4 == 1 => answer = Some((*stream, 0)),
                other => said.push(format!("{other:?}")),
            }
            match answer {
                Some((stream, 0)) => {
                    let head = Response::builder().status(200).body(()).expect("a response");
                    let _ = connection.respond(stream, &head, End::More, &mut out);
                    let _ = connection.send_data(stream, b"pong", End::Last, &mut out);
                }
                Some((stream, n)) => {
                    let _ = connection.release(stream, n, &mut out);
                }
                None => {}
            }
        }
    }
    assert!(out.len() <= 4096 + 64 * data.len(), "{} bytes in, {} out", data.len(), out.len());
    (said, octets)
}
