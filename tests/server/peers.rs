//! One peer that takes all the connections it may, and others, which get in all the same. On Linux, where every address of 127.0.0.0/8
//! is the machine's own.

use crate::{
    h2::{body_of, get, h2peer::*, request},
    raw::{LONG, Raw},
};
use bowline::{Exchange, Result, Server, ServerHandle, ServerTimeouts, http::Response};
use rustix::net::{AddressFamily, SocketAddrV4, SocketType, bind, connect, socket};
use std::{
    io::Write,
    net::{Ipv4Addr, SocketAddr, TcpStream},
    time::{Duration, Instant},
};

const GET: &str = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";

/// Places at the server.
const PLACES: usize = 24;

/// Connects from 127.0.0.`last`.
fn connect_from(last: u8, server: &ServerHandle) -> TcpStream {
    let SocketAddr::V4(to) = server.local_addr() else { panic!("it listens on IPv4") };
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    bind(&socket, &SocketAddrV4::new(Ipv4Addr::new(127, 0, 0, last), 0)).unwrap();
    connect(&socket, &to).unwrap();
    TcpStream::from(socket)
}

/// The same, for HTTP/2.
fn link_from(last: u8, server: &ServerHandle) -> Link {
    let mut link = Link::new(connect_from(last, server));
    link.send_bytes(PREFACE);
    link.send(&[Frame::settings(&[])]);
    link
}

pub fn raw_from(last: u8, server: &ServerHandle) -> Raw {
    Raw::on(connect_from(last, server))
}

/// `/endless` has no end, `/read` reads its body, and all else is short.
fn handle(mut exchange: Exchange) -> Result<()> {
    match exchange.path() {
        "/endless" => {
            let (_, mut writer) = exchange.respond_streaming(Response::new(()))?;
            loop {
                writer.write_all(&[7; 10_000])?;
            }
        }
        "/read" => {
            std::io::copy(exchange.body(), &mut std::io::sink())?;
            exchange.reply(200, "read")
        }
        _ => exchange.reply(200, "ok"),
    }
}

fn server() -> Server {
    // Nothing else is to end a connection meanwhile.
    let long = Duration::from_secs(300);
    let timeouts = ServerTimeouts::default().idle(long).header(long).read(long).write(long);
    Server::bind("127.0.0.1:0").unwrap().timeouts(timeouts).min_rate(0).max_connections(PLACES)
}

/// What a peer does that wants all connections for itself.
const HOLDS: [(&str, &str); 5] = [
    ("nothing", ""),
    ("idle", GET),
    ("a head that drips", "GET / HTTP/1.1\r\nHost: x\r\nA: "),
    ("an answer without an end", "GET /endless HTTP/1.1\r\nHost: x\r\n\r\n"),
    ("an upload without an end", "POST /read HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\na"),
];

#[test]
fn one_peer_keeps_nobody_out() {
    for (name, begin) in HOLDS {
        let server = server().spawn(handle).unwrap();
        let mut held: Vec<TcpStream> = Vec::new();
        let mut hold = || {
            let mut socket = connect_from(2, &server);
            socket.write_all(begin.as_bytes()).unwrap();
            held.push(socket);
        };
        // More than there is room for.
        (0..2 * PLACES).for_each(|_| hold());
        let began = Instant::now();
        let mut kept = raw_from(1, &server);
        assert_eq!(kept.send(GET).answer().text(), "ok", "{name}");
        for _ in 0..8 {
            hold();
            assert_eq!(raw_from(1, &server).send(GET).answer().text(), "ok", "{name}");
            hold();
        }
        assert!(began.elapsed() < crate::raw::LONG / 2, "{name}: {:?}", began.elapsed());
        // The first one has been idle for as long as any, and is still there.
        assert_eq!(kept.send(GET).answer().text(), "ok", "{name}");
    }
}

#[test]
fn who_has_the_most_takes_no_place_of_others() {
    let server = server().spawn(handle).unwrap();
    let mut kept: Vec<Raw> = (0..4).map(|_| raw_from(1, &server)).collect();
    for raw in &mut kept {
        assert_eq!(raw.send(GET).answer().text(), "ok");
    }
    let held: Vec<TcpStream> = (0..3 * PLACES)
        .map(|_| {
            let mut socket = connect_from(2, &server);
            socket.write_all(b"GET /endless HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
            socket
        })
        .collect();
    while server.stats().active < PLACES - 4 {
        std::thread::yield_now();
    }
    // Long enough for those of the first peer to be idle.
    assert!(kept[0].is_silent(Duration::from_millis(1500)));
    for raw in &mut kept {
        assert_eq!(raw.send(GET).answer().text(), "ok");
    }
    assert_eq!(server.stats().evicted, 0);
    drop(held);
}

#[test]
fn connections_of_peers_alike_are_not_cut_while_they_are_busy() {
    let server = server().spawn(handle).unwrap();
    let mut held: Vec<TcpStream> = (0..PLACES)
        .map(|n| {
            let mut socket = connect_from(2 + (n % 2) as u8, &server);
            socket.write_all(b"GET /endless HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
            socket
        })
        .collect();
    while server.stats().active < PLACES {
        std::thread::yield_now();
    }
    let mut waits = raw_from(1, &server);
    waits.send(GET);
    assert!(waits.is_silent(Duration::from_millis(500)), "neither has more than half");
    held.pop();
    assert_eq!(waits.answer().text(), "ok");
    assert_eq!(server.stats().evicted, 0);
}

#[test]
fn so_many_of_one_peer_and_all_of_another() {
    let server = server().max_per_peer(3).spawn(handle).unwrap();
    // Below and at the limit, then one above.
    let mut first: Vec<Raw> = (0..3).map(|_| raw_from(2, &server)).collect();
    for raw in &mut first {
        assert_eq!(raw.send(GET).answer().text(), "ok");
    }
    assert!(raw_from(2, &server).is_closed());
    let mut other: Vec<Raw> = (0..3).map(|_| raw_from(3, &server)).collect();
    for raw in other.iter_mut().chain(&mut first) {
        assert_eq!(raw.send(GET).answer().text(), "ok");
    }
    assert_eq!(server.stats().turned_away, 1);
}

/// Each connection has one handler; what all have besides is not for one peer alone.
#[test]
fn who_has_many_handlers_leaves_some_to_others() {
    let server = server().workers(1).spawn(handle).unwrap();
    let mut uploads: Vec<_> = (0..4).map(|_| link_from(2, &server)).collect();
    for link in &mut uploads {
        link.send(&(0..16).map(|n| request(2 * n + 1, 0, "POST", "/read")).collect::<Vec<_>>());
    }
    let began = Instant::now();
    while server.stats().active < 64 || server.stats().queued > 0 || server.stats().waiting < 12 {
        assert!(began.elapsed() < LONG, "{:?}", server.stats());
        std::thread::yield_now();
    }
    let mut link = link_from(1, &server);
    link.send(&[request(1, 0, "POST", "/read")]);
    for stream in [3, 5, 7] {
        link.send(&[get(stream, "/")]);
        assert_eq!(body_of(&mut link, stream), b"ok", "it waits for no end of the upload");
    }
    link.send(&[Frame::last_data(1, b"abc")]);
    assert_eq!(body_of(&mut link, 1), b"read");
}
