//! What upkeep asks for on idle HTTP/1 connections, against a peer that is written by hand.

use crate::{
    h2client::{get, ms, only, pass, single},
    h2peer::*,
};
use bowline::{Client, ClientBuilder, CloseReason, ConnectionState, ErrorKind, Protocol, UpkeepAction, http::Method};
use std::time::{Duration, Instant};

/// A client that asks for this when it upkeeps.
fn builder() -> ClientBuilder {
    Client::builder().protocol(Protocol::Http1).proxy(None).upkeep_request(Method::HEAD, "/health?deep=0")
}

/// Answers the next request, and returns its head.
fn serve(link: &mut Link, answer: &str) -> String {
    let head = link.bytes_until(b"\r\n\r\n");
    link.send_bytes(answer.as_bytes());
    String::from_utf8(head).unwrap()
}

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";
const NO_CONTENT: &str = "HTTP/1.1 204 No Content\r\n\r\n";

/// A connection that has answered one request.
fn idle(client: &Client, peer: &Peer) -> Link {
    let asked = get(client, peer);
    let mut link = peer.accept();
    serve(&mut link, OK);
    assert_eq!(asked.join().unwrap().text().unwrap(), "hi");
    link
}

/// Whether anything arrived that was not read.
fn has_bytes(link: &mut Link) -> bool {
    link.socket.set_nonblocking(true).unwrap();
    let peeked = link.socket.peek(&mut [0]);
    link.socket.set_nonblocking(false).unwrap();
    matches!(peeked, Ok(1..))
}

#[test]
fn upkeep_asks_when_it_is_due_and_does_not_wait() {
    let (peer, interval) = (Peer::new(), ms(400));
    let client = builder().upkeep_interval(interval).default_header("x-key", "k").build().unwrap();
    let mut link = idle(&client, &peer);
    let used = Instant::now();
    let row = single(client.upkeep());
    if used.elapsed() < interval {
        assert_eq!(row.action, UpkeepAction::Http1Checked, "not yet");
    }
    let due = client.next_upkeep().unwrap();
    assert!(due >= used && due <= used + interval);
    pass(interval);
    let row = single(client.upkeep());
    assert_eq!((row.action, row.state), (UpkeepAction::Pinged, ConnectionState::Active));
    // It is on the wire, and once.
    let mut head = String::from_utf8(link.bytes_until(b"\r\n\r\n")).unwrap();
    head.make_ascii_lowercase();
    assert!(head.starts_with("head /health?deep=0 http/1.1\r\n"), "{head}");
    let host = format!("\r\nhost: {}\r\n", peer.address());
    assert!(head.contains(&host) && head.contains("\r\nx-key: k\r\n"), "{head}");
    assert_eq!(single(client.upkeep()).action, UpkeepAction::AwaitingAck);
    assert!(!has_bytes(&mut link));
    // Nobody has to wait for that answer.
    let mut other = idle(&client, &peer);
    link.send_bytes(NO_CONTENT.as_bytes());
    let report = client.upkeep_wait(PATIENCE);
    assert_eq!(report.len(), 2);
    // Then it serves again: it is the one used last.
    let asked = get(&client, &peer);
    serve(&mut link, OK);
    let answer = asked.join().unwrap();
    assert_eq!((answer.connection().id, answer.connection().requests), (row.id, 3));
    assert!(!has_bytes(&mut other));
    // It is no request of the program's.
    assert_eq!((client.stats().requests, client.stats().opened), (3, 2));
}

#[test]
fn upkeep_waits_for_the_answer_if_asked() {
    let (peer, client) = (Peer::new(), builder().upkeep_interval(Duration::ZERO).build().unwrap());
    let mut link = idle(&client, &peer);
    let waiting = task({
        let client = client.clone();
        move || client.upkeep_wait(PATIENCE)
    });
    link.bytes_until(b"\r\n\r\n");
    waiting.assert_waiting();
    // With a body in pieces, which is read and thrown away; this is a HEAD, so there is none.
    link.send_bytes(b"HTTP/1.1 503 Service Unavailable\r\nContent-Le");
    waiting.assert_waiting();
    link.send_bytes(b"ngth: 7\r\n\r\n");
    let row = single(waiting.join());
    assert_eq!((row.action, row.state), (UpkeepAction::Acked, ConnectionState::Idle));
    // Not in time.
    let row = single(client.upkeep_wait(ms(30)));
    assert_eq!((row.action, row.state), (UpkeepAction::Pinged, ConnectionState::Active));
    drop(link);
    let row = single(client.upkeep_wait(PATIENCE));
    assert_eq!(row.action, UpkeepAction::ClosedByPeer);
    assert!(client.connections().is_empty());
}

#[test]
fn the_body_of_an_answer_is_read() {
    let interval = ms(400);
    let client = builder().upkeep_request(Method::GET, "/").upkeep_interval(interval).build().unwrap();
    let peer = Peer::new();
    let mut link = idle(&client, &peer);
    pass(interval);
    assert_eq!(single(client.upkeep()).action, UpkeepAction::Pinged);
    link.bytes_until(b"\r\n\r\n");
    link.send_bytes(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
    assert_eq!(single(client.upkeep_wait(ms(30))).action, UpkeepAction::AwaitingAck);
    link.send_bytes(b"0\r\n\r\n");
    // Any use of the pool finds it; it does not take upkeep.
    let asked = get(&client, &peer);
    serve(&mut link, OK);
    assert!(asked.join().unwrap().reused());
}

#[test]
fn who_does_not_answer_is_given_up() {
    let limit = ms(150);
    let client = builder().upkeep_interval(Duration::ZERO).ping_ack_timeout(limit).build().unwrap();
    let peer = Peer::new();
    let mut link = idle(&client, &peer);
    let began = Instant::now();
    assert_eq!(single(client.upkeep()).action, UpkeepAction::Pinged);
    link.bytes_until(b"\r\n\r\n");
    let action = single(client.upkeep()).action;
    if began.elapsed() < limit {
        assert_eq!(action, UpkeepAction::AwaitingAck);
    }
    let due = client.next_upkeep().unwrap();
    assert!(due >= began + limit && due <= Instant::now() + limit);
    pass(limit);
    let row = single(client.upkeep());
    assert_eq!(
        (row.action, row.state),
        (UpkeepAction::ClosedDead, ConnectionState::Closed(CloseReason::PingUnanswered))
    );
    assert!(client.connections().is_empty());
    assert!(link.rest().is_empty());
    // The next request goes elsewhere.
    idle(&client, &peer);
}

#[test]
fn an_idle_connection_is_kept_and_not_for_ever() {
    // The proportions of the defaults: as long idle as between two questions.
    let (limit, keep) = (ms(300), ms(1500));
    let client = builder().upkeep_interval(limit).idle_timeout(limit).keep_idle(keep).build().unwrap();
    let peer = Peer::new();
    let mut link = idle(&client, &peer);
    let (id, began) = (only(&client).id, Instant::now());
    while began.elapsed() < ms(1000) {
        pass(client.next_upkeep().unwrap().saturating_duration_since(Instant::now()));
        let asking = task({
            let client = client.clone();
            move || client.upkeep_wait(PATIENCE)
        });
        serve(&mut link, NO_CONTENT);
        assert_eq!(single(asking.join()).action, UpkeepAction::Acked);
    }
    assert_eq!(only(&client).id, id);
    // Without a question it ends at its limit.
    pass((keep + limit).saturating_sub(began.elapsed()));
    assert_eq!(single(client.upkeep()).action, UpkeepAction::ClosedIdle);
}

#[test]
fn closing_what_is_idle_closes_what_is_asked() {
    let (peer, client) = (Peer::new(), builder().upkeep_interval(Duration::ZERO).build().unwrap());
    let mut link = idle(&client, &peer);
    client.upkeep();
    link.bytes_until(b"\r\n\r\n");
    assert_eq!(client.close_idle(), 1);
    assert!(client.connections().is_empty());
    assert!(link.rest().is_empty());
}

#[test]
fn what_cannot_be_asked_for_is_a_mistake() {
    for (method, path) in [(Method::GET, "health"), (Method::GET, ""), (Method::GET, "/a b"), (Method::CONNECT, "/")] {
        let e = Client::builder().upkeep_request(method, path).build().unwrap_err();
        assert_eq!(e.kind(), ErrorKind::InvalidInput, "{path:?}");
    }
}
