//! The HTTP/1 engine over any bytes in any cuts, driven as a driver would, and compared with the run in one piece.

use bowline::{
    Role,
    http::{Method, Request, Response},
    proto::{
        End, RecvBuf,
        h1::{Config, Connection, Event, Length, TargetForm},
    },
};
use std::time::Instant;

/// Runs the bytes cut into pieces, and again whole: both must tell the same.
pub fn run(role: Role, data: &[u8]) {
    let Some((&cut, data)) = data.split_first() else { return };
    let in_pieces = transcript(role, data, 1 + usize::from(cut) % 61);
    let whole = transcript(role, data, usize::MAX);
    assert_eq!(in_pieces, whole);
}

/// What the engine said about the bytes. Payloads are joined, since they come as they are cut.
fn transcript(role: Role, data: &[u8], piece: usize) -> (Vec<String>, Vec<u8>) {
    let now = Instant::now();
    let (mut out, mut input, mut said, mut body) = (Vec::new(), RecvBuf::new(), Vec::new(), Vec::new());
    let mut connection = Connection::new(role, Config::default(), now, &mut out);
    if role == Role::Client {
        ask(&mut connection, &mut out);
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
                    return (said, body);
                }
            };
            let ended = matches!(event, Event::Ended);
            // A tunnel has no body, so it is refused.
            let status = match &event {
                Event::Head(head) if head.method == Method::CONNECT => Some(405),
                Event::Head(_) => Some(200),
                _ => None,
            };
            match event {
                Event::Data(data) => body.extend_from_slice(data),
                other => said.push(format!("{other:?}")),
            }
            if let Some(status) = status {
                let head = Response::builder().status(status).body(()).expect("a response");
                connection.send_response(&head, Length::Known(4), &mut out).expect("a response to a request");
                let _ = connection.send_data(b"pong", End::Last, &mut out);
            }
            if ended && connection.is_sent() && connection.persists() {
                connection.next_cycle().expect("both messages are complete");
                if role == Role::Client {
                    ask(&mut connection, &mut out);
                }
            }
        }
    }
    (said, body)
}

fn ask(connection: &mut Connection, out: &mut Vec<u8>) {
    let head = Request::get("http://fuzz.test/").body(()).expect("a request");
    connection.send_request(&head, TargetForm::Origin, Length::Empty, out).expect("a request on an idle connection");
}
