//! What ends a place in line, and what is kept of answers that nobody has asked for.

use super::*;
use crate::support::{ms, prompt, timed};
use bowline::{Batch, Cancel, ErrorKind, Phase, Processed, Timeouts};
use std::{sync::mpsc, thread, time::Duration};

/// What is dropped or cancelled in line is never sent, and is in nobody's way.
#[test]
fn who_leaves_the_line_is_not_sent() {
    let (go, gate) = mpsc::channel::<()>();
    let (log, gate) = (Log::default(), Mutex::new(gate));
    let shared = log.clone();
    let peer = peer(move |_, mut conn| {
        while let Some(request) = conn.request() {
            shared.add(&request.target);
            if request.target == "/1" {
                gate.lock().unwrap().recv().unwrap();
            }
            conn.answer(&format!("{} 0", request.target));
        }
    });
    let client = capped(1);
    let cancel = Cancel::new();
    let first = client.get(peer.url("/1")).start();
    let dropped = client.get(peer.url("/dropped")).start();
    let mut cancelled = client.get(peer.url("/cancelled")).cancel_on(&cancel).start();
    let mut late = client.get(peer.url("/late")).timeout(ms(20)).start();
    assert!(prompt(|| cancelled.try_wait()).unwrap().is_none());
    let last = client.get(peer.url("/2")).start();
    prompt(|| drop(dropped));
    cancel.cancel();
    timed(ms(20), || thread::sleep(ms(20)));
    go.send(()).unwrap();
    prompt(|| read(last.wait().unwrap(), 2));
    assert_eq!(prompt(|| cancelled.try_wait()).unwrap_err().kind(), ErrorKind::Cancelled);
    let error = prompt(|| late.try_wait()).unwrap_err();
    assert_eq!((error.kind(), error.phase(), error.processed()), (ErrorKind::PoolTimeout, Phase::Slot, Processed::No));
    read(first.wait().unwrap(), 1);
    assert_eq!(log.all(), ["/1", "/2"]);
}

/// One in line has limits of its own, which strike while it is waited for, whatever is read meanwhile.
#[test]
fn limits_in_line() {
    const LIMIT: Duration = ms(200);
    let log = Log::default();
    let shared = log.clone();
    // The answer never ends.
    let peer = peer(move |_, mut conn| {
        while let Some(request) = conn.request() {
            shared.add(&request.target);
            conn.say("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n");
            conn.drip([b'x'; 999], ms(5));
        }
    });
    let slot = Timeouts::none().slot(LIMIT);
    let total = Timeouts::none().total(LIMIT);
    for timeouts in [slot, total] {
        let client = builder().max_connections_per_origin(1).timeouts(Timeouts::none()).build().unwrap();
        let first = client.get(peer.url("/first")).start();
        let request = || client.get(peer.url("/second")).timeouts(timeouts.clone());
        let by_send = timed(LIMIT, || request().send().unwrap_err());
        let by_wait = timed(LIMIT, || request().start().wait().unwrap_err());
        let by_looks = timed(LIMIT, || {
            let mut pending = request().start();
            loop {
                match pending.wait_timeout(ms(5)) {
                    Ok(None) => {}
                    Ok(Some(_)) => panic!("it was answered"),
                    Err(e) => break e,
                }
            }
        });
        let by_batch = timed(LIMIT, || {
            let mut batch = Batch::new();
            batch.push(request().start(), ());
            batch.next().unwrap().1.unwrap_err()
        });
        // Nobody waits while its time passes.
        let late = request().start();
        timed(LIMIT, || thread::sleep(LIMIT));
        let by_nobody = prompt(|| late.wait().unwrap_err());
        for error in [by_send, by_wait, by_looks, by_batch, by_nobody] {
            let (kind, phase) = (ErrorKind::PoolTimeout, Phase::Slot);
            assert_eq!((error.kind(), error.phase(), error.processed()), (kind, phase, Processed::No));
            assert!(error.is_timeout() && error.is_retryable() && error.elapsed() >= LIMIT);
            assert!(error.to_string().contains("max_connections_per_origin"), "{error}");
        }
        drop(first);
    }
    assert_eq!(log.all(), ["/first", "/first"]);
}

/// The time of one that holds a connection ends it, although only those wait who want the connection.
#[test]
fn who_holds_a_connection_is_held_to_its_time() {
    let (peer, log) = world();
    let client = capped(1);
    let first = timed(ms(100), || {
        let first = client.get(peer.url("/wait")).timeout(ms(100)).start();
        read(client.get(peer.url("/2")).send().unwrap(), 2);
        first
    });
    let cancel = Cancel::new();
    let error = first.wait().unwrap_err();
    assert_eq!(
        (error.kind(), error.phase(), error.processed()),
        (ErrorKind::TimedOut, Phase::FirstByte, Processed::Maybe)
    );
    // So does a token, at once.
    let third = client.get(peer.url("/wait")).cancel_on(&cancel).start();
    assert_eq!(log.wait(3)[2], "/wait");
    let waiting = {
        let (client, url) = (client.clone(), peer.url("/4"));
        thread::spawn(move || read(client.get(url).send().unwrap(), 4))
    };
    while client.stats().in_flight < 2 {
        thread::yield_now();
    }
    cancel.cancel();
    waiting.join().unwrap();
    assert_eq!(third.wait().unwrap_err().kind(), ErrorKind::Cancelled);
}

/// What is kept of an answer that was not asked for is bounded, each and all together.
#[test]
fn no_more_is_kept_than_is_allowed() {
    const EACH: usize = 1024 * 1024;
    let (peer, log) = world();
    let timeouts = Timeouts::none().slot(GUARD);
    let get = |client: &Client, n: usize| client.get(peer.url(&format!("/big/{n}"))).start();
    let refused = |client: &Client| {
        let error = client.get(peer.url("/no")).timeouts(Timeouts::none().slot(ms(150))).send().unwrap_err();
        assert_eq!((error.kind(), error.phase()), (ErrorKind::PoolTimeout, Phase::Slot));
    };
    for len in [EACH - 1, EACH, EACH + 1] {
        let client = builder().max_connections_per_origin(1).timeouts(timeouts.clone()).build().unwrap();
        let first = get(&client, len);
        match len {
            0..=EACH => read(client.get(peer.url("/2")).send().unwrap(), 2),
            _ => refused(&client),
        }
        assert_eq!(first.wait().unwrap().bytes().unwrap().len(), len);
    }
    // All together: three fit, the fourth does not, until one is taken.
    let client = builder().max_connections_per_origin(1).timeouts(timeouts).max_unread(4 * EACH - 10).build().unwrap();
    let mut kept: Vec<_> = (0..3).map(|_| get(&client, EACH)).collect();
    read(client.get(peer.url("/2")).send().unwrap(), 2);
    kept.push(get(&client, 1000));
    refused(&client);
    let seen = log.all().len();
    let waiting = {
        let (client, url) = (client.clone(), peer.url("/3"));
        thread::spawn(move || client.get(url).timeouts(Timeouts::none()).send().unwrap().text().unwrap())
    };
    while client.stats().in_flight < 5 {
        thread::yield_now();
    }
    assert_eq!(kept.remove(0).wait().unwrap().bytes().unwrap().len(), EACH);
    assert_eq!(log.wait(seen + 1)[seen], "/3");
    assert_eq!(waiting.join().unwrap(), "/3 0");
    for (pending, len) in kept.into_iter().zip([EACH, EACH, 1000]) {
        assert_eq!(pending.wait().unwrap().bytes().unwrap().len(), len);
    }
}
