//! A client has no thread of its own: who waits does the work (Linux). One test, since it counts the threads of its process.

#![cfg(target_os = "linux")]

mod support;

use bowline::{Batch, Client};
use std::{fs, sync::mpsc, thread};
use support::peer;

/// How many threads this process has.
fn threads() -> usize {
    fs::read_dir("/proc/self/task").unwrap().count()
}

/// The number once those that are ending have ended.
fn settled(expected: usize) -> usize {
    (0..10_000).map(|_| threads()).inspect(|_| thread::yield_now()).find(|n| *n == expected).unwrap_or_else(threads)
}

#[test]
fn no_thread_is_started() {
    let (tell, told) = mpsc::channel();
    let tell = std::sync::Mutex::new(tell);
    // One connection at a time, and so one thread of the peer's besides the one that listens.
    let peer = peer(move |_, mut conn| {
        while let Some(request) = conn.request() {
            tell.lock().unwrap().send(threads()).unwrap();
            conn.answer(&request.target);
        }
    });
    let before = threads();
    let builder = || Client::builder().proxy(None).timeout(support::GUARD);
    let client = builder().max_connections_per_origin(1).build().unwrap();
    let during = before + 1;

    assert_eq!(client.get(peer.url("/sent")).send().unwrap().text().unwrap(), "/sent");
    assert_eq!(told.recv().unwrap(), during, "while a request is waited for");

    let pending = client.get(peer.url("/started")).start();
    assert_eq!(told.recv().unwrap(), during, "while nobody waits for it");
    assert_eq!(pending.wait().unwrap().text().unwrap(), "/started");

    let mut batch = Batch::new();
    for n in 0..5 {
        batch.push(client.get(peer.url("/batch")).start(), n);
    }
    for (n, answer) in batch {
        assert_eq!(answer.unwrap().text().unwrap(), "/batch");
        assert_eq!(told.recv().unwrap(), during, "request {n} of a batch");
    }
    client.upkeep();
    assert_eq!(threads(), during, "after upkeep");

    // A name is looked up in a thread that ends with that.
    let named = peer.url("/named").replace("127.0.0.1", "localhost");
    let client = builder().build().unwrap();
    assert_eq!(client.get(named).send().unwrap().text().unwrap(), "/named");
    told.recv().unwrap();
    assert_eq!(settled(during + 1), during + 1, "two connections, two threads of the peer's");
    drop(client);
}
