//! The end of a server: idle connections go at once, busy ones get their answer.

use crate::{
    h2::{
        Here, connect,
        h2peer::{GOAWAY, NO_ERROR, PATIENCE},
        serve,
    },
    raw::{LONG, Raw},
};
use bowline::{Exchange, Server};
use std::{
    thread,
    time::{Duration, Instant},
};

/// Much less than the time a shutdown may take, and more than a machine with much to do needs.
const SOON: Duration = Duration::from_secs(3);

const GET: &str = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";

#[test]
fn idle_connections_do_not_keep_a_shutdown_waiting() {
    let server = Server::bind("127.0.0.1:0").unwrap().spawn(|exchange: Exchange| exchange.reply(200, "ok")).unwrap();
    let mut silent = Raw::connect(server.local_addr());
    let mut used: Vec<_> = (0..3).map(|_| Raw::connect(server.local_addr())).collect();
    for raw in &mut used {
        assert_eq!(raw.send(GET).answer().text(), "ok");
    }
    let began = Instant::now();
    assert_eq!(server.shutdown(LONG), 0);
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
    assert!(silent.is_closed());
    assert!(used.iter_mut().all(Raw::is_closed));
}

#[test]
fn idle_http2_has_a_moment_for_what_is_on_its_way() {
    let here = serve(|server| server);
    let mut links = [connect(&here), connect(&here)];
    for link in &mut links {
        link.send(&[crate::h2::get(1, "/")]);
        assert_eq!(crate::h2::body_of(link, 1), b"ok");
    }
    let Here { server, .. } = here;
    let began = Instant::now();
    let stopped = thread::spawn(move || server.shutdown(PATIENCE));
    let [mut asks, mut idle] = links;
    let first = asks.skip_to(GOAWAY);
    assert_eq!((first.number(0), first.code()), (0x7fff_ffff, NO_ERROR));
    // Sent before it could know.
    asks.send(&[crate::h2::get(3, "/")]);
    assert_eq!(crate::h2::body_of_during_goaway(&mut asks, 3), b"ok");
    let last = asks.skip_to(GOAWAY);
    assert_eq!((last.number(0), last.code()), (3, NO_ERROR));
    assert_eq!(asks.next_or_end(), None);
    assert_eq!(idle.skip_to(GOAWAY).number(0), 0x7fff_ffff);
    assert_eq!(idle.skip_to(GOAWAY).number(0), 1);
    assert_eq!(idle.next_or_end(), None);
    // Both sides of the connections are still open here: nobody waits for that.
    assert_eq!(stopped.join().unwrap(), 0);
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
}

#[test]
fn a_busy_connection_is_closed_behind_its_answer() {
    let here = serve(|server| server);
    let mut raw = Raw::connect(here.server.local_addr());
    raw.send("GET /wait HTTP/1.1\r\nHost: x\r\n\r\n");
    here.gate.await_arrivals(1);
    let Here { server, gate, .. } = here;
    let address = server.local_addr();
    let stopped = thread::spawn(move || server.shutdown(LONG));
    while std::net::TcpStream::connect(address).is_ok() {
        thread::yield_now();
    }
    assert!(!stopped.is_finished());
    gate.open();
    let began = Instant::now();
    let answer = raw.answer();
    assert_eq!((answer.text(), answer.get("connection")), ("passed", Some("close")));
    assert!(raw.is_closed());
    assert_eq!(stopped.join().unwrap(), 0);
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
}

/// Connections of clients that go on reading, or do not, over TLS.
#[cfg(feature = "tls")]
#[test]
fn idle_connections_over_tls_do_not_keep_a_shutdown_waiting() {
    use bowline::{Client, Protocol, Tls};
    let authority = crate::certs::Authority::new("shutdown");
    let identity = authority.issue(&["127.0.0.1"]);
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let server = Server::bind("127.0.0.1:0").unwrap().tls_pem(identity.chain.as_bytes(), identity.key.as_bytes());
        let server = server.spawn(|exchange: Exchange| exchange.reply(200, "ok")).unwrap();
        let _silent = Raw::connect(server.local_addr());
        let tls = Tls::new().add_root_pem(authority.pem().as_bytes()).only_added_roots();
        let client = Client::builder().protocol(protocol).tls(tls).build().unwrap();
        let url = server.url("/");
        assert_eq!(client.get(&url).send().unwrap().text().unwrap(), "ok");
        let began = Instant::now();
        assert_eq!(server.shutdown(LONG), 0, "{protocol:?}");
        assert!(began.elapsed() < SOON, "{protocol:?}: {:?}", began.elapsed());
    }
}
