//! What a thousand connections cost on which nothing happens.

use crate::{
    h2peer::{END_STREAM, Frame, PREFACE, concat},
    process::{Target, Watched},
    tls::certs::Authority,
};
use bowline::{Client, Protocol, Tls};
use std::{
    io::{Read, Write},
    net::TcpStream,
    thread,
    time::Duration,
};

const CONNECTIONS: usize = 1000;

/// Longer than a connection keeps its buffers.
const SETTLED: Duration = Duration::from_secs(3);

pub fn measure() {
    println!("idle connections | KiB each");
    report("new", Target::Clear, |server| TcpStream::connect(server.attacked).expect("a connection"));
    report("HTTP/1 after a request", Target::Clear, |server| {
        let mut socket = TcpStream::connect(server.attacked).expect("a connection");
        socket.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").expect("room");
        until(&mut socket, b"\r\n\r\nok");
        socket
    });
    report("HTTP/2 after a request", Target::Clear, |server| {
        let mut socket = TcpStream::connect(server.attacked).expect("a connection");
        let fields = [(":method", "GET"), (":scheme", "http"), (":authority", "x"), (":path", "/")];
        let frames = [Frame::settings(&[]), Frame::settings_ack(), Frame::headers(1, END_STREAM, &fields)];
        socket.write_all(&[PREFACE, &concat(&frames)].concat()).expect("room");
        until(&mut socket, b"ok");
        socket
    });
    for (name, protocol) in
        [("HTTP/1 over TLS after a request", Protocol::Http1), ("HTTP/2 over TLS after a request", Protocol::Http2)]
    {
        // The roots do not matter here.
        let _ = Authority::new("idle");
        let tls = Tls::new().dangerously_trust_anyone();
        let client = Client::builder().protocol(protocol).tls(tls).build().expect("a client");
        report(name, Target::Tls, |server| {
            let url = format!("https://{}/", server.attacked);
            let connection = client.connect(&url).expect("a connection");
            assert_eq!(connection.get("/").send().expect("an answer").text().expect("text"), "ok");
            connection
        });
    }
}

fn report<T>(name: &str, target: Target, connect: impl Fn(&Watched) -> T) {
    let server = Watched::start(target);
    let first = connect(&server);
    let before = server.memory().0;
    let connections: Vec<_> = (0..CONNECTIONS).map(|_| connect(&server)).collect();
    thread::sleep(SETTLED);
    let each = server.memory().0.saturating_sub(before) as f64 / 1024.0 / CONNECTIONS as f64;
    println!("{name} | {each:.1}");
    drop((first, connections));
}

fn until(socket: &mut TcpStream, end: &[u8]) {
    let mut got = Vec::new();
    while !got.windows(end.len()).any(|window| window == end) {
        let mut buf = [0; 1024];
        let n = socket.read(&mut buf).expect("an answer");
        assert!(n > 0);
        got.extend_from_slice(&buf[..n]);
    }
}
