//! Two engines, and bytes that arrive in pieces of every size.

use super::{
    super::{Event, Length, TargetForm},
    support::Side,
};
use crate::proto::{End, Role};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};

/// A small generator of numbers (xorshift), so that every run is the same.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }

    fn bytes(&mut self, max: u64) -> Vec<u8> {
        let len = self.below(max);
        (0..len).map(|_| self.below(256) as u8).collect()
    }
}

/// A message: what was sent, or what was received.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Message {
    start: String,
    body: Vec<u8>,
    trailers: Vec<String>,
    ended: bool,
}

/// Writes the body of a message in pieces.
fn send_body(side: &mut Side, message: &Message, length: Length, dice: &mut Dice) {
    let mut rest = &message.body[..];
    while !rest.is_empty() {
        let (piece, more) = rest.split_at(1 + dice.below(rest.len() as u64) as usize);
        side.send(piece, End::More).unwrap();
        rest = more;
    }
    if message.trailers.is_empty() {
        side.send(b"", End::Last).unwrap();
    } else {
        assert_eq!(length, Length::Unknown);
        let trailers: HeaderMap = message
            .trailers
            .iter()
            .map(|line| line.split_once('=').unwrap())
            .map(|(n, v)| (HeaderName::from_bytes(n.as_bytes()).unwrap(), HeaderValue::from_str(v).unwrap()))
            .collect();
        side.connection.send_trailers(&trailers, &mut side.out).unwrap();
    }
    assert!(side.connection.is_sent());
}

/// Moves bytes from one side to the other in pieces, sometimes past the engine, and collects what arrives.
fn deliver(from: &mut Side, to: &mut Side, dice: &mut Dice, eof: bool) -> Message {
    let bytes = std::mem::take(&mut from.out);
    let (mut at, mut message) = (0, Message::default());
    while at < bytes.len() {
        let piece = 1 + dice.below((bytes.len() - at).min(300) as u64) as usize;
        let past = to.connection.expects().map_or(0, |n| n.min(piece as u64) as usize);
        if to.input.is_empty() && past > 0 && dice.below(2) == 0 {
            message.body.extend_from_slice(&bytes[at..at + past]);
            to.connection.took(past as u64);
            at += past;
        } else {
            to.input.extend(&bytes[at..at + piece]);
            at += piece;
        }
        collect(to, &mut message);
    }
    if eof {
        let ended = to.connection.end_of_input(to.now, &to.input, &mut to.out).unwrap();
        message.ended |= ended == Some(Event::Ended);
    }
    message
}

/// Takes all events that the input holds.
fn collect(side: &mut Side, message: &mut Message) {
    while let Some(event) = side.connection.poll_event(side.now, &mut side.input, &mut side.out).unwrap() {
        match event {
            Event::Head(head) => message.start = format!("{} {}", head.method, head.uri),
            Event::Answer(head) => message.start = head.status.as_str().into(),
            Event::Informational(head) => assert_eq!(head.status, 103),
            Event::Data(data) => message.body.extend_from_slice(data),
            Event::Trailers(trailers) => {
                let line = |(n, v): (&[u8], &[u8])| format!("{}={}", n.escape_ascii(), v.escape_ascii());
                message.trailers = trailers.iter().map(line).collect();
            }
            Event::Ended => message.ended = true,
            Event::Upgraded => panic!("nobody asked"),
        }
    }
}

/// A body and how it is sent.
fn body(dice: &mut Dice) -> (Length, Message) {
    let mut message = Message { ended: true, ..Message::default() };
    let length = match dice.below(4) {
        0 => Length::Empty,
        1 => {
            message.body = dice.bytes(3000);
            Length::Known(message.body.len() as u64)
        }
        _ => {
            message.body = dice.bytes(3000);
            if dice.below(2) == 0 {
                message.trailers = vec!["digest=a".into(), format!("x-{}=", dice.below(100))];
            }
            Length::Unknown
        }
    };
    (length, message)
}

#[test]
fn whole_conversations() {
    for seed in 1..=60 {
        let mut dice = Dice(0x9e37_79b9_7f4a_7c15 ^ seed);
        let (mut client, mut server) = (Side::new(Role::Client), Side::new(Role::Server));
        for n in 0..20 {
            let case = format!("seed {seed}, exchange {n}");
            let method = ["GET", "POST", "HEAD", "DELETE", "PUT"][dice.below(5) as usize];
            let old = dice.below(4) == 0;
            let (mut length, mut sent) = body(&mut dice);
            if old && length == Length::Unknown {
                (length, sent.trailers) = (Length::Known(sent.body.len() as u64), vec![]);
            }
            sent.start = format!("{method} /{n}");
            let mut head = Request::builder().method(method).uri(format!("http://h/{n}"));
            if old {
                head = head.version(http::Version::HTTP_10).header("connection", "keep-alive");
            }
            let head = head.header("x-pad", "y".repeat(dice.below(200) as usize)).body(()).unwrap();
            client.connection.send_request(&head, TargetForm::Origin, length, &mut client.out).unwrap();
            send_body(&mut client, &sent, length, &mut dice);
            assert_eq!(deliver(&mut client, &mut server, &mut dice, false), sent, "{case}");

            if !old && dice.below(3) == 0 {
                let hint = Response::builder().status(103).header("link", "a").body(()).unwrap();
                server.connection.send_informational(&hint, &mut server.out).unwrap();
            }
            let status = ["200", "204", "304", "404"][dice.below(4) as usize];
            let (mut length, mut sent) = body(&mut dice);
            sent.start = status.into();
            if old {
                sent.trailers.clear();
            }
            if status == "204" {
                length = Length::Empty;
            }
            let head = Response::builder().status(status).header("x-pad", "z".repeat(dice.below(200) as usize));
            server.connection.send_response(&head.body(()).unwrap(), length, &mut server.out).unwrap();
            if method == "HEAD" || status == "204" || status == "304" {
                assert!(server.connection.is_sent(), "{case}");
                (sent.body, sent.trailers) = (vec![], vec![]);
            } else {
                send_body(&mut server, &sent, length, &mut dice);
            }
            let persists = server.connection.persists();
            assert_eq!(deliver(&mut server, &mut client, &mut dice, !persists), sent, "{case}");
            assert!(!persists || client.connection.persists(), "{case}: {method} {status} {length:?}");
            if persists {
                client.connection.next_cycle().unwrap();
                server.connection.next_cycle().unwrap();
            } else {
                assert!(!client.connection.persists(), "{case}");
                (client, server) = (Side::new(Role::Client), Side::new(Role::Server));
            }
        }
    }
}

#[test]
fn pipelined_requests() {
    let mut requests = Vec::new();
    for n in 0..5 {
        let mut client = Side::new(Role::Client);
        let head = Request::post(format!("http://h/{n}")).body(()).unwrap();
        client.connection.send_request(&head, TargetForm::Origin, Length::Unknown, &mut client.out).unwrap();
        client.send(b"abc", End::Last).unwrap();
        requests.extend_from_slice(&client.out);
    }
    let mut server = Side::new(Role::Server);
    server.input.extend(&requests);
    for n in 0..5 {
        let mut message = Message::default();
        collect(&mut server, &mut message);
        assert_eq!((message.start, message.body), (format!("POST /{n}"), b"abc".to_vec()));
        server.respond(204, Length::Empty).unwrap();
        server.connection.next_cycle().unwrap();
    }
    assert!(server.input.is_empty());
}

/// Whatever bytes come, the engine neither panics nor goes on after a violation, and every cut gives the same.
#[test]
fn mutated_transcripts() {
    let request = b"POST /a?b HTTP/1.1\r\nHost: h:1\r\nTransfer-Encoding: chunked\r\nA:  b\r\n\r\n5;a=\"b\"\r\nhello\r\n0\r\nC: d\r\n\r\n";
    let response = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nA: b\r\n c\r\nConnection: x\r\n\r\nhello";
    let mut dice = Dice(7);
    for round in 0..3000 {
        let (role, mut bytes) =
            if round % 2 == 0 { (Role::Server, request.to_vec()) } else { (Role::Client, response.to_vec()) };
        for _ in 0..1 + dice.below(2) {
            let at = dice.below(bytes.len() as u64) as usize;
            let odd = b"\r\n\0 \t:;,\"0fg/HT1\xff"[dice.below(17) as usize];
            match dice.below(3) {
                0 => bytes[at] = odd,
                1 => bytes.insert(at, odd),
                _ => drop(bytes.remove(at)),
            }
        }
        let side = || if role == Role::Server { Side::new(role) } else { Side::client("GET") };
        let method = if role == Role::Server { "" } else { "GET" };
        let whole = super::support::run(&mut side(), method, &bytes, &[], true);
        for _ in 0..4 {
            let mut cuts = [0; 3].map(|_: usize| dice.below(bytes.len() as u64 + 1) as usize);
            cuts.sort_unstable();
            let mut cut = super::support::run(&mut side(), method, &bytes, &cuts, true);
            if whole.violation.is_some() {
                cut.rest.clone_from(&whole.rest);
            }
            assert_eq!(cut, whole, "{} cut at {cuts:?}", bytes.escape_ascii());
        }
    }
}
