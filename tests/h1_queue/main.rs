//! Started requests that wait for a connection of HTTP/1: whoever waits for one reads the answers of those that hold them.

mod limits;
mod meetings;
mod order;
mod owners;
#[path = "../support/mod.rs"]
mod support;
mod threads;
#[cfg(feature = "tls")]
#[path = "../support/tls.rs"]
mod tls;

use bowline::{Client, Pending, Response};
use std::sync::{Arc, Condvar, Mutex};
use support::{Conn, GUARD, Peer, builder, peer};

/// What has reached the server, in order.
#[derive(Clone, Default)]
struct Log(Arc<(Mutex<Vec<String>>, Condvar)>);

impl Log {
    fn add(&self, target: &str) {
        self.0.0.lock().unwrap().push(target.to_owned());
        self.0.1.notify_all();
    }

    fn all(&self) -> Vec<String> {
        self.0.0.lock().unwrap().clone()
    }

    /// Waits until so many have come.
    #[track_caller]
    fn wait(&self, n: usize) -> Vec<String> {
        let guard = self.0.0.lock().unwrap();
        let (list, timeout) = self.0.1.wait_timeout_while(guard, GUARD, |list| list.len() < n).unwrap();
        assert!(!timeout.timed_out(), "{n} were to come: {list:?}");
        list.clone()
    }
}

/// Answers each request with its target, after what the target says: `/big/N` has N bytes, `/shut` ends the connection instead.
fn answer(conn: &mut Conn, log: &Log) {
    while let Some(request) = conn.request() {
        log.add(&request.target);
        let target = request.target.as_str();
        match target.strip_prefix("/big/").and_then(|n| n.split('/').next()) {
            Some(n) => {
                let n: usize = n.parse().unwrap();
                conn.say(format!("HTTP/1.1 200 OK\r\nContent-Length: {n}\r\n\r\n"));
                conn.say(vec![b'x'; n]);
            }
            None if target.starts_with("/shut") => return,
            None if target.starts_with("/wait") => drop(conn.rest()),
            None if target.starts_with("/moved") => {
                conn.say("HTTP/1.1 302 Found\r\nLocation: /there\r\nContent-Length: 0\r\n\r\n");
            }
            None => conn.answer(&format!("{target} {}", request.body.len())),
        }
    }
}

fn world() -> (Peer, Log) {
    let log = Log::default();
    let shared = log.clone();
    (peer(move |_, mut conn| answer(&mut conn, &shared)), log)
}

fn capped(cap: usize) -> Client {
    builder().max_connections_per_origin(cap).build().unwrap()
}

fn start(client: &Client, peer: &Peer, n: usize) -> Vec<Pending> {
    (1..=n).map(|n| client.get(peer.url(&format!("/{n}"))).start()).collect()
}

fn targets(n: usize) -> Vec<String> {
    (1..=n).map(|n| format!("/{n}")).collect()
}

#[track_caller]
fn read(response: Response, n: usize) {
    assert_eq!(response.text().unwrap(), format!("/{n} 0"));
}
