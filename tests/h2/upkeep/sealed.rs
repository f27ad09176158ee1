//! Liveness over TLS: what the records carry is not all that comes in.

use super::*;
use crate::tls::{self, certs::Authority};
use bowline::{Response, Result, Tls};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::{
    io::Write,
    net::{Shutdown, TcpStream},
    sync::Arc,
};

/// A connection over TLS, from the peer's side.
struct Sealed {
    stream: StreamOwned<ServerConnection, TcpStream>,
    buf: Vec<u8>,
}

impl Sealed {
    fn bytes(&mut self, n: usize) -> Vec<u8> {
        let mut piece = [0; 4096];
        while self.buf.len() < n {
            let n = self.stream.read(&mut piece).expect("the connection ended");
            self.buf.extend_from_slice(&piece[..n]);
        }
        self.buf.drain(..n).collect()
    }

    /// The next frame of this kind.
    fn skip_to(&mut self, kind: u8) -> Frame {
        loop {
            match Frame::parse(&mut self.buf) {
                Some(frame) if frame.kind == kind => return frame,
                Some(_) => {}
                None => {
                    let had = self.buf.len() + 1;
                    let more = self.bytes(had);
                    self.buf.splice(..0, more);
                }
            }
        }
    }

    fn send(&mut self, frames: &[Frame]) {
        self.stream.write_all(&concat(frames)).unwrap();
        self.stream.flush().unwrap();
    }
}

/// Where connections over TLS arrive, and a client that trusts it.
struct Place {
    peer: Peer,
    config: Arc<ServerConfig>,
    client: Client,
}

impl Place {
    fn new(builder: ClientBuilder) -> Self {
        let authority = Authority::new("upkeep test");
        let config = tls::config(&authority.issue(&["127.0.0.1"]), &[b"h2"]);
        let trust = Tls::new().add_root_pem(authority.pem().as_bytes()).only_added_roots();
        Place { peer: Peer::new(), config, client: builder.tls(trust).build().unwrap() }
    }

    /// Begins a POST: it is not repeated.
    fn post(&self) -> Task<Result<Response>> {
        let request = self.client.post(format!("https://{}/", self.peer.address()));
        task(|| request.send())
    }

    /// The next connection, which has answered one request, that one.
    fn answered(&self, asked: Task<Result<Response>>) -> Sealed {
        let mut sealed = Sealed { stream: tls::accept(self.peer.accept().socket, &self.config), buf: Vec::new() };
        assert_eq!(sealed.bytes(PREFACE.len()), PREFACE);
        let head = sealed.skip_to(HEADERS);
        sealed.send(&[vec![Frame::settings(&[]), Frame::settings_ack()], answer(head.stream, 200, b"hi")].concat());
        assert_eq!(asked.join().unwrap().text().unwrap(), "hi");
        sealed
    }
}

/// A client, and a connection over TLS that has answered one request.
fn idle_sealed(builder: ClientBuilder) -> (Client, Sealed) {
    let place = Place::new(builder);
    let sealed = place.answered(place.post());
    (place.client, sealed)
}

/// What arrives on an idle connection, through the records or between them, is looked at before it is used again.
#[test]
fn a_checkout_heeds_what_arrived_over_tls() {
    type Happens = fn(&mut Sealed);
    let cases: [(&str, bool, Happens); 7] = [
        ("nothing", true, |_| ()),
        ("a key update", true, |sealed| {
            sealed.stream.conn.refresh_traffic_keys().unwrap();
            sealed.stream.flush().unwrap();
        }),
        ("a PING", true, |sealed| sealed.send(&[Frame::ping(*b"12345678")])),
        ("GOAWAY", false, |sealed| sealed.send(&[Frame::goaway(1, NO_ERROR, b"")])),
        ("close_notify", false, |sealed| {
            sealed.stream.conn.send_close_notify();
            sealed.stream.flush().unwrap();
        }),
        ("an end without it", false, |sealed| sealed.stream.sock.shutdown(Shutdown::Write).unwrap()),
        ("what is no record", false, |sealed| {
            sealed.stream.sock.write_all(b"\x17\x03\x03\x00\x20not what was sealed with this key").unwrap();
        }),
    ];
    for (case, kept, happens) in cases {
        let place = Place::new(builder());
        let mut sealed = place.answered(place.post());
        happens(&mut sealed);
        let asked = place.post();
        if kept {
            let head = sealed.skip_to(HEADERS);
            sealed.send(&answer(head.stream, 204, b""));
            assert!(asked.join().unwrap().reused(), "{case}");
        } else {
            place.answered(asked);
        }
        assert_eq!((place.client.stats().retries, place.client.connections().len()), (0, 1), "{case}");
    }
}

/// A record that comes so slowly that it takes longer than the limit for an answer: every byte of it is a sign of life, although nothing
/// can be opened before the last one.
#[test]
fn a_byte_of_a_record_keeps_the_connection() {
    let (limit, step) = (ms(400), ms(100));
    let (client, mut sealed) = idle_sealed(builder().upkeep_interval(Duration::ZERO).ping_ack_timeout(limit));
    assert_eq!(upkeep_one(&client).action, UpkeepAction::Pinged);
    let pinged = Instant::now();
    let ping = sealed.skip_to(PING);
    let mut record = Vec::new();
    sealed.stream.conn.writer().write_all(&Frame::new(0xf0, 0, 0, [0; 64]).bytes()).unwrap();
    sealed.stream.conn.write_tls(&mut record).unwrap();
    let (first, rest) = record.split_at(12);
    for byte in first {
        pass(step);
        sealed.stream.sock.write_all(&[*byte]).unwrap();
        let row = upkeep_one(&client);
        assert_eq!(
            (row.action, row.state),
            (UpkeepAction::AwaitingAck, ConnectionState::Idle),
            "{:?}",
            pinged.elapsed()
        );
    }
    assert!(pinged.elapsed() > 2 * limit);
    sealed.stream.sock.write_all(rest).unwrap();
    sealed.send(&[Frame::ping_ack(&ping.payload)]);
    let began = Instant::now();
    while only(&client).pings_acked == 0 {
        assert!(began.elapsed() < limit, "the answer was not read");
        client.upkeep();
    }
}

/// What is counted is what the application protocol says, inside of TLS.
#[test]
fn bytes_are_counted_inside_of_the_records() {
    let (client, mut sealed) = idle_sealed(builder());
    let before = only(&client);
    // A PING of the peer's costs as much one way as the other.
    let pings = 50;
    for _ in 0..pings {
        sealed.send(&[Frame::ping(*b"are you?")]);
        client.upkeep();
        assert!(sealed.skip_to(PING).is_ack());
    }
    let (after, bytes) = (only(&client), pings * Frame::ping(*b"are you?").bytes().len() as u64);
    assert_eq!((after.bytes_in - before.bytes_in, after.bytes_out - before.bytes_out), (bytes, bytes));
    let stats = client.stats();
    assert_eq!((stats.bytes_in, stats.bytes_out), (after.bytes_in, after.bytes_out));
}
