//! What tests of a client at a scripted HTTP/2 peer do at the client's end.

#![allow(dead_code)] // Each test file uses its part.

#[path = "time.rs"]
mod time;

use super::h2peer::{Link, Peer, Task, task};
use bowline::{Client, ClientBuilder, ConnectionInfo, Protocol, Response, Result, Upkeep};
#[allow(unused_imports)] // As above.
pub use time::{ms, pass};

pub fn builder() -> ClientBuilder {
    Client::builder().protocol(Protocol::Http2).proxy(None)
}

/// Asks in a thread of its own.
pub fn get(client: &Client, peer: &Peer) -> Task<Result<Response>> {
    let request = client.get(peer.url("/"));
    task(|| request.send())
}

/// A connection that has answered one request.
pub fn idle(client: &Client, peer: &Peer) -> Link {
    idle_with(client, peer, &[])
}

/// The same, at a peer that begins with these settings.
pub fn idle_with(client: &Client, peer: &Peer, settings: &[(u16, u32)]) -> Link {
    let asked = get(client, peer);
    let mut link = peer.h2_with(settings);
    let head = link.request();
    link.answer(head.stream, 200, b"hi");
    assert_eq!(asked.join().unwrap().text().unwrap(), "hi");
    link
}

/// The only row of the connection table.
pub fn only(client: &Client) -> ConnectionInfo {
    single(client.connections())
}

/// What upkeep says of the only connection.
pub fn upkeep_one(client: &Client) -> Upkeep {
    single(client.upkeep())
}

pub fn single<T: std::fmt::Debug>(mut rows: Vec<T>) -> T {
    assert_eq!(rows.len(), 1, "{rows:?}");
    rows.remove(0)
}
