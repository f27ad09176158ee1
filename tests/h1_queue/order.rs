//! Who is sent when, in whatever order the answers are waited for.

use super::*;
use crate::support::{ms, prompt};
use bowline::{Batch, Cancel, ClientBuilder, ErrorKind, Protocol};
use std::{io::Read, time::Instant};

/// Ways to collect what was started, with their numbers.
type Way = fn(Vec<(usize, Pending)>);

const WAYS: [(&str, Way); 7] = [
    ("in order", |list| list.into_iter().for_each(|(n, p)| read(p.wait().unwrap(), n))),
    ("in reverse", |list| list.into_iter().rev().for_each(|(n, p)| read(p.wait().unwrap(), n))),
    ("the second half first", |mut list| {
        let half = list.len() / 2;
        list.rotate_left(half);
        list.into_iter().for_each(|(n, p)| read(p.wait().unwrap(), n));
    }),
    ("all heads first, the bodies in reverse", |list| {
        let answers: Vec<_> = list.into_iter().rev().map(|(n, p)| (n, p.wait().unwrap())).collect();
        answers.into_iter().for_each(|(n, response)| read(response, n));
    }),
    ("by looking, in reverse", |mut list| {
        let until = Instant::now() + GUARD;
        while !list.is_empty() {
            assert!(Instant::now() < until, "{} are left", list.len());
            for at in (0..list.len()).rev() {
                if let Some(response) = list[at].1.try_wait().unwrap() {
                    read(response, list.remove(at).0);
                }
            }
        }
    }),
    ("by short waits, in reverse", |mut list| {
        while !list.is_empty() {
            for at in (0..list.len()).rev() {
                if let Some(response) = list[at].1.wait_timeout(ms(2)).unwrap() {
                    read(response, list.remove(at).0);
                }
            }
        }
    }),
    ("together, in reverse", |list| {
        let mut batch = Batch::new();
        list.into_iter().rev().for_each(|(n, p)| batch.push(p, n));
        batch.for_each(|(n, response)| read(response.unwrap(), n));
    }),
];

/// One thread, every order of waiting: all are answered promptly, each was sent once, and they went out in the order of their start.
fn in_every_order(
    protocol: Protocol,
    url: &str,
    log: &Log,
    connections: &dyn Fn() -> usize,
    builder: &dyn Fn() -> ClientBuilder,
) {
    const N: usize = 9;
    for cap in [Some(1), Some(2), Some(6), None] {
        for (way, collect) in WAYS {
            let mut client = builder().protocol(protocol);
            if let Some(cap) = cap {
                client = client.max_connections_per_origin(cap);
            }
            let client = client.build().unwrap();
            let (seen, made) = (log.all().len(), connections());
            let began = Instant::now();
            let list = (1..=N).map(|n| (n, client.get(format!("{url}/{n}")).start())).collect();
            collect(list);
            let took = began.elapsed();
            let mut came = log.all().split_off(seen);
            if cap != Some(1) {
                // Of two connections the later request may be read first.
                came.sort();
            }
            assert_eq!(came, targets(N), "{protocol:?}, {cap:?}, {way}");
            let made = connections() - made;
            assert!(made <= cap.unwrap_or(6), "{protocol:?}, {cap:?}, {way}: {made} connections");
            assert!(took < ms(2000), "{protocol:?}, {cap:?}, {way}: {took:?}");
            assert_eq!(client.stats().in_flight, 0);
        }
    }
}

#[test]
fn whatever_is_waited_for_first() {
    let (peer, log) = world();
    for protocol in [Protocol::Auto, Protocol::Http1] {
        in_every_order(protocol, &peer.url(""), &log, &|| peer.connections(), &builder);
    }
}

#[cfg(feature = "tls")]
#[test]
fn whatever_is_waited_for_first_over_tls() {
    let authority = tls::certs::Authority::new("test");
    let config = tls::config(&authority.issue(&["127.0.0.1"]), &[b"http/1.1"]);
    let trust = bowline::Tls::new().add_root_pem(authority.pem().as_bytes()).only_added_roots();
    let log = Log::default();
    let shared = log.clone();
    let peer = peer(move |_, conn| answer(&mut Conn::over(tls::accept(conn.into_stream(), &config)), &shared));
    let url = format!("https://{}", peer.addr());
    let trusting = || builder().tls(trust.clone());
    for protocol in [Protocol::Auto, Protocol::Http1] {
        in_every_order(protocol, &url, &log, &|| peer.connections(), &trusting);
    }
}

/// Many more than there are connections.
#[test]
fn hundreds_in_line() {
    let (peer, log) = world();
    for (cap, way) in [(1, WAYS[1].1), (3, WAYS[1].1), (2, WAYS[6].1)] {
        let client = capped(cap);
        let seen = log.all().len();
        let list = (1..).zip(start(&client, &peer, 300)).collect();
        way(list);
        assert_eq!(log.all().len() - seen, 300);
    }
}

/// A request that is not started itself reads the answer that is in its way, and takes its connection.
#[test]
fn a_plain_request_reads_what_holds_its_connection() {
    let (peer, log) = world();
    for started in [1, 3] {
        let client = capped(1);
        let seen = log.all().len();
        let pending = start(&client, &peer, started);
        prompt(|| read(client.get(peer.url("/4")).send().unwrap(), 4));
        let mut expected = targets(started);
        expected.push("/4".to_owned());
        assert_eq!(log.all().split_off(seen), expected, "in the order in which they began");
        (1..).zip(pending).for_each(|(n, pending)| {
            let response = prompt(|| pending.wait()).unwrap();
            assert!(response.timings().first_byte <= response.timings().total);
            read(response, n);
        });
        assert_eq!((client.stats().opened, client.stats().in_flight), (1, 0));
    }
}

/// However a connection becomes free, the first in line goes out then: nobody waits for it.
#[test]
fn what_is_in_line_goes_out_when_a_connection_becomes_free() {
    type Frees = fn(Pending, Cancel);
    let cases: [(&str, &str, Frees); 8] = [
        ("read to its end", "/big/100000", |first, _| {
            assert_eq!(first.wait().unwrap().bytes().unwrap().len(), 100_000)
        }),
        ("answered whole", "/1", |first, _| drop(first.wait().unwrap())),
        ("dropped unread", "/big/50000000", |first, _| drop(first.wait().unwrap())),
        ("dropped half read", "/big/50000000", |first, _| {
            first.wait().unwrap().into_body().read_exact(&mut [0; 1000]).unwrap();
        }),
        ("never waited for", "/wait", |first, _| drop(first)),
        ("cancelled", "/wait", |first, cancel| {
            cancel.cancel();
            assert_eq!(first.wait().unwrap_err().kind(), ErrorKind::Cancelled);
        }),
        ("failed", "/shut", |first, _| assert_eq!(first.wait().unwrap_err().kind(), ErrorKind::Closed)),
        ("late", "/wait", |mut first, _| {
            // Its time may be up already: what came before took longer than that.
            let error = match first.wait_timeout(ms(1)) {
                Ok(answer) => {
                    assert!(answer.is_none());
                    first.wait().unwrap_err()
                }
                Err(error) => error,
            };
            assert_eq!(error.kind(), ErrorKind::TimedOut);
        }),
    ];
    for (case, target, free) in cases {
        let (peer, log) = world();
        let client = capped(1);
        let cancel = Cancel::new();
        let mut first = client.post(peer.url(target)).cancel_on(&cancel);
        if case == "late" {
            first = first.timeout(ms(300));
        }
        let first = first.start();
        let (second, third) = (client.get(peer.url("/2")).start(), client.get(peer.url("/3")).start());
        assert_eq!(log.wait(1), [target], "{case}");
        free(first, cancel);
        assert_eq!(log.wait(2), [target, "/2"], "{case}");
        read(second.wait().unwrap(), 2);
        assert_eq!(log.wait(3)[2], "/3", "{case}");
        read(third.wait().unwrap(), 3);
        assert_eq!(client.stats().in_flight, 0, "{case}");
    }
}

/// Requests that were started share six connections, which one that is waited for need not keep to for long.
#[test]
fn started_requests_share_connections_as_long_as_that_works() {
    let (peer, log) = world();
    let client = builder().build().unwrap();
    let waits: Vec<_> = (0..6).map(|_| client.get(peer.url("/wait")).start()).collect();
    log.wait(6);
    let mut seventh = client.get(peer.url("/7")).start();
    assert!(seventh.wait_timeout(ms(30)).unwrap().is_none());
    assert_eq!(peer.connections(), 6);
    // The others do not end: it goes its own way.
    let began = Instant::now();
    read(seventh.wait().unwrap(), 7);
    assert!(began.elapsed() >= ms(100), "as long as others may be answered it keeps to its turn");
    assert_eq!(peer.connections(), 7);
    drop(waits);
    // Those whose answers were given are not waited for at all.
    let client = builder().build().unwrap();
    let given: Vec<_> = (0..6).map(|_| client.get(peer.url("/big/5000000")).start().wait().unwrap()).collect();
    prompt(|| read(client.get(peer.url("/7")).start().wait().unwrap(), 7));
    given.into_iter().for_each(|response| assert_eq!(response.bytes().unwrap().len(), 5_000_000));
}
