//! Which connection is used again.

use super::*;
use bowline::{CloseReason, ConnectionState, UpkeepAction};
use std::time::Instant;
use support::GUARD;

#[test]
fn the_last_connection_returned_is_the_first_used() {
    let (arrived, both) = mpsc::channel::<(usize, Sender<()>)>();
    let arrived = Mutex::new(arrived);
    let peer = peer(move |n, mut conn| {
        while conn.request().is_some() {
            let (go, wait) = mpsc::channel();
            arrived.lock().unwrap().send((n, go)).unwrap();
            wait.recv().unwrap();
            conn.answer(&n.to_string());
        }
    });
    let client = client();
    let ask = || {
        let (client, url) = (client.clone(), peer.url("/"));
        thread::spawn(move || client.get(url).send().unwrap().text().unwrap())
    };
    let (a, b) = (ask(), ask());
    let (first, second) = (both.recv().unwrap(), both.recv().unwrap());
    // Answered in this order, so returned in this order.
    let last = second.0.to_string();
    first.1.send(()).unwrap();
    let mut threads = vec![a, b];
    let done = loop {
        if let Some(at) = threads.iter().position(|t| t.is_finished()) {
            break threads.remove(at);
        }
        thread::yield_now();
    };
    assert_eq!(done.join().unwrap(), first.0.to_string());
    second.1.send(()).unwrap();
    assert_eq!(threads.remove(0).join().unwrap(), last);
    for _ in 0..3 {
        let asking = ask();
        both.recv().unwrap().1.send(()).unwrap();
        assert_eq!(asking.join().unwrap(), last);
    }
    assert_eq!(peer.connections(), 2);
}

/// Two requests, one after the other; returns whether the second reused the connection.
fn reuses(answer: &'static str) -> bool {
    let peer = peer(move |_, mut conn| {
        while conn.request().is_some() {
            conn.say(answer);
        }
    });
    let client = client();
    assert_eq!(client.get(peer.url("/")).send().unwrap().text().unwrap(), "ok");
    let second = client.get(peer.url("/")).send().unwrap();
    assert_eq!(peer.connections(), if second.reused() { 1 } else { 2 });
    second.reused()
}

#[test]
fn what_the_peer_says_about_reuse() {
    for (fields, reused) in [
        ("HTTP/1.1 200 OK\r\n", true),
        ("HTTP/1.1 200 OK\r\nConnection: close\r\n", false),
        ("HTTP/1.1 200 OK\r\nConnection: x, Close\r\n", false),
        ("HTTP/1.1 200 OK\r\nKeep-Alive: timeout=0\r\n", false),
        ("HTTP/1.1 200 OK\r\nKeep-Alive: timeout=1\r\n", false),
        ("HTTP/1.1 200 OK\r\nKeep-Alive: timeout=2\r\n", true),
        ("HTTP/1.1 200 OK\r\nKeep-Alive: max=5, Timeout=\"1\"\r\n", false),
        ("HTTP/1.1 200 OK\r\nKeep-Alive: timeout=99999999999999999999\r\n", true),
        ("HTTP/1.0 200 OK\r\n", false),
        ("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n", true),
    ] {
        let answer: &'static str = format!("{fields}Content-Length: 2\r\n\r\nok").leak();
        assert_eq!(reuses(answer), reused, "{fields}");
    }
}

/// The smaller of the idle limit and a second less than the peer says; what it says otherwise means nothing.
#[test]
fn how_long_a_connection_is_kept() {
    for (fields, seconds) in [
        ("", 60),
        ("Keep-Alive: timeout=2\r\n", 1),
        ("Keep-Alive: timeout=60\r\n", 59),
        ("Keep-Alive: timeout=61\r\n", 60),
        ("Keep-Alive: timeout=62\r\n", 60),
        ("Keep-Alive: timeout=5, max=100\r\n", 4),
        ("Keep-Alive: max=100, timeout=5\r\n", 4),
        ("Keep-Alive: max=1\r\nKEEP-ALIVE: TimeOut = 5\r\n", 4),
        ("Keep-Alive: max=0\r\n", 60),
        ("Keep-Alive: timeout\r\n", 60),
        ("Keep-Alive: timeout=\r\n", 60),
        ("Keep-Alive: timeout=soon\r\n", 60),
        ("Keep-Alive: timeout=-1\r\n", 60),
        ("Keep-Alive: timeout=1.5\r\n", 60),
        ("Keep-Alive: xtimeout=5\r\n", 60),
        ("Keep-Alive: \u{fc}, timeout=5\r\n", 4),
        ("Keep-Alive: timeout=18446744073709551615\r\n", 60),
        ("Keep-Alive: timeout=18446744073709551616\r\n", 60),
    ] {
        let peer = peer(move |_, mut conn| {
            conn.request();
            conn.say(format!("HTTP/1.1 200 OK\r\n{fields}Content-Length: 0\r\n\r\n"));
            conn.rest();
        });
        let client = client();
        drop(client.get(peer.url("/")).send().unwrap());
        let now = Instant::now();
        let kept = client.next_upkeep().expect("a connection is kept").saturating_duration_since(now);
        let limit = Duration::from_secs(seconds);
        assert!(kept <= limit && kept + GUARD.min(limit / 2) > limit, "{fields:?}: {kept:?}");
    }
}

#[test]
fn what_the_client_says_about_reuse() {
    for (builder, reused) in [
        (builder(), true),
        (builder().max_idle(0), false),
        (builder().max_idle_per_origin(0), false),
        (builder().idle_timeout(Duration::ZERO), false),
        (builder().idle_timeout(Duration::MAX).max_lifetime(Duration::MAX), true),
        (builder().default_header("Connection", "close"), false),
    ] {
        let case = format!("{builder:?}");
        let peer = peer(|_, mut conn| conn.serve());
        let client = builder.build().unwrap();
        client.get(peer.url("/")).send().unwrap().text().unwrap();
        assert_eq!(client.get(peer.url("/")).send().unwrap().reused(), reused, "{case}");
    }
}

#[test]
fn a_body_read_to_its_end_or_dropped_frees_the_connection() {
    let peer = peer(|_, mut conn| {
        while let Some(request) = conn.request() {
            let n: usize = request.target[1..].parse().unwrap();
            conn.answer(&"x".repeat(n));
        }
    });
    let client = client();
    // Dropped unread: what has arrived is taken away, as long as it is little.
    for n in [0, 1, 1000] {
        drop(client.get(peer.url(&format!("/{n}"))).send().unwrap());
    }
    let mut response = client.get(peer.url("/5")).send().unwrap();
    assert_eq!(response.connection().requests, 4);
    let mut five = [0; 5];
    response.body().read_exact(&mut five).unwrap();
    drop(response);
    let large = client.get(peer.url("/30000000")).send().unwrap();
    assert!(large.reused());
    prompt(|| drop(large));
    assert!(!client.get(peer.url("/1")).send().unwrap().reused(), "so much is not read in vain");
    assert_eq!(peer.connections(), 2);
}

/// Upkeep looks at the age of connections that cannot be pinged.
#[test]
fn upkeep_closes_what_is_past_its_time() {
    let limit = ms(100);
    for (builder, reason) in
        [(builder().idle_timeout(limit), CloseReason::Idle), (builder().max_lifetime(limit), CloseReason::TooOld)]
    {
        let peer = peer(|_, mut conn| conn.serve());
        let client = builder.build().unwrap();
        client.get(peer.url("/")).send().unwrap().text().unwrap();
        let due = client.next_upkeep().expect("a connection is kept");
        let early = client.upkeep();
        if Instant::now() < due {
            assert_eq!(early[0].action, UpkeepAction::Http1Checked, "{reason:?}");
        }
        pass(due.saturating_duration_since(Instant::now()) + ms(5));
        let row = client.upkeep().pop().expect("it is the last time");
        assert_eq!((row.action, row.state), (UpkeepAction::ClosedIdle, ConnectionState::Closed(reason)));
        assert!(client.connections().is_empty(), "{reason:?}");
        assert_eq!(client.next_upkeep(), None);
    }
}

/// A peer whose first connection ends as told after its first answer; tells when it has done so.
fn ends_idle(how: fn(&mut Conn)) -> (Peer, Receiver<()>) {
    let (ended, wait) = mpsc::channel();
    let ended = Mutex::new(ended);
    let peer = peer(move |n, mut conn| {
        conn.request();
        conn.answer("first");
        if n == 0 {
            how(&mut conn);
            ended.lock().unwrap().send(()).unwrap();
        }
        while let Some(request) = conn.request() {
            assert_ne!(n, 0, "{} on a connection that was over", request.method);
            conn.answer("more");
        }
    });
    (peer, wait)
}

#[test]
fn an_idle_connection_that_ended_is_not_used() {
    let ends: [(&str, fn(&mut Conn)); 5] = [
        ("end", |conn| conn.finish()),
        ("stray byte", |conn| conn.say("x")),
        ("408", |conn| conn.say("HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")),
        ("a second answer", |conn| conn.answer("again")),
        ("shutdown", |conn| conn.socket().shutdown(std::net::Shutdown::Both).unwrap()),
    ];
    for (name, how) in ends {
        for method in ["GET", "POST"] {
            let (peer, ended) = ends_idle(how);
            let client = client();
            client.get(peer.url("/")).send().unwrap().text().unwrap();
            ended.recv().unwrap();
            // The look is left out for a connection used within the last millisecond.
            pass(ms(2));
            let response = client.request(method.parse().unwrap(), peer.url("/")).body("x").send().unwrap();
            assert!(!response.reused(), "{name}, {method}");
            assert_eq!(response.text().unwrap(), "first", "{name}, {method}");
            assert_eq!(client.stats().retries, 0, "{name}, {method}: it was seen beforehand");
        }
    }
}

#[test]
fn a_post_is_never_sent_twice() {
    let sent = Arc::new(Mutex::new(0));
    let seen = sent.clone();
    let peer = peer(move |_, mut conn| {
        conn.request();
        conn.answer("first");
        // The next request is read and not answered.
        if let Some(request) = conn.request() {
            assert_eq!(request.body, b"order");
            *seen.lock().unwrap() += 1;
        }
    });
    let client = client();
    client.get(peer.url("/")).send().unwrap().text().unwrap();
    let error = client.post(peer.url("/")).body("order").send().unwrap_err();
    assert_eq!((error.kind(), error.processed()), (ErrorKind::Closed, Processed::Maybe));
    assert_eq!((error.attempts(), error.reused(), error.is_retryable()), (1, Some(true), false));
    assert!(error.bytes_written() > 5);
    assert_eq!((*sent.lock().unwrap(), peer.connections()), (1, 1));
}
