//! Many threads in one line, in many rounds.

use super::*;
use crate::support::ms;
use std::{
    sync::{
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread,
};

fn rounds() -> usize {
    std::env::var("BOWLINE_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(20)
}

/// Threads start, wait, look, give up and send at one origin with few connections: each gets its own answer, once.
#[test]
fn many_threads() {
    let (peer, log) = world();
    for round in 0..rounds() {
        for cap in [1, 2] {
            let client = capped(cap);
            let seen = log.all().len();
            let expected = AtomicUsize::new(0);
            thread::scope(|scope| {
                for n in 0..6 {
                    let (client, peer, expected) = (&client, &peer, &expected);
                    scope.spawn(move || {
                        let url = |k: usize| peer.url(&format!("/{}", n * 10 + k));
                        let mut list: Vec<_> = (0..4).map(|k| client.get(url(k)).start()).collect();
                        if n % 3 == 0 {
                            // Perhaps it was sent.
                            drop(list.pop());
                        } else {
                            expected.fetch_add(1, Ordering::SeqCst);
                        }
                        expected.fetch_add(4, Ordering::SeqCst);
                        if n % 2 == 0 {
                            read(client.get(url(4)).send().unwrap(), n * 10 + 4);
                        }
                        for (k, mut pending) in list.into_iter().enumerate().rev() {
                            let response = match (n + k) % 3 {
                                0 => pending.wait().unwrap(),
                                1 => loop {
                                    if let Some(response) = pending.wait_timeout(ms(1)).unwrap() {
                                        break response;
                                    }
                                },
                                _ => loop {
                                    if let Some(response) = pending.try_wait().unwrap() {
                                        break response;
                                    }
                                    thread::yield_now();
                                },
                            };
                            read(response, n * 10 + k);
                        }
                        if n % 2 == 1 {
                            read(client.get(url(4)).send().unwrap(), n * 10 + 4);
                        }
                    });
                }
            });
            let mut came = log.all().split_off(seen);
            let all = came.len();
            came.sort();
            came.dedup();
            assert_eq!(came.len(), all, "round {round}: one was sent twice");
            assert!(all >= expected.load(Ordering::SeqCst), "round {round}: {all}");
            assert_eq!(client.stats().in_flight, 0, "round {round}");
            assert!(client.stats().opened > 0);
        }
    }
}

/// An owner that comes while another thread reads for it takes over, and one that leaves is followed by that thread.
#[test]
fn owners_come_and_go_while_others_read() {
    for round in 0..rounds() {
        let (go, gate) = mpsc::channel::<()>();
        let gate = Mutex::new(gate);
        let peer = peer(move |_, mut conn| {
            let gate = gate.lock().unwrap();
            while let Some(request) = conn.request() {
                conn.say("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n");
                for piece in request.target.as_bytes().chunks(2) {
                    if gate.recv().is_err() {
                        return;
                    }
                    conn.say(piece);
                }
            }
        });
        let client = capped(1);
        let mut first = client.get(peer.url("/one")).start();
        thread::scope(|scope| {
            let readers: Vec<_> = ["/two", "/six"]
                .map(|target| {
                    let request = client.get(peer.url(target));
                    scope.spawn(move || request.send().unwrap().text().unwrap())
                })
                .into();
            let owner = scope.spawn(move || {
                // It comes and goes, and looks at the head or not.
                for n in 0..round % 4 {
                    let looked =
                        if n % 2 == 0 { first.try_wait().unwrap() } else { first.wait_timeout(ms(1)).unwrap() };
                    if let Some(response) = looked {
                        return response.text().unwrap();
                    }
                }
                first.wait().unwrap().text().unwrap()
            });
            for _ in 0..6 {
                go.send(()).unwrap();
                thread::yield_now();
            }
            assert_eq!(owner.join().unwrap(), "/one", "round {round}");
            let mut texts: Vec<_> = readers.into_iter().map(|reader| reader.join().unwrap()).collect();
            texts.sort();
            assert_eq!(texts, ["/six", "/two"], "round {round}");
        });
        assert_eq!(peer.connections(), 1, "round {round}");
    }
}
