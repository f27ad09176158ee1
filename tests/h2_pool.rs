//! Sharing, limiting and letting go of HTTP/2 connections, against a peer that is written by hand.

#[path = "support/h2client.rs"]
mod h2client;
#[path = "support/h2peer.rs"]
mod h2peer;

use bowline::{
    Batch, Cancel, Client, CloseReason, ConnectionState, ErrorKind, Hook, Pending, Phase, Processed, Response, Result,
    Timeouts, Trace,
};
use h2client::{builder, get, idle, idle_with, ms, only};
use h2peer::*;
use std::{
    collections::BTreeMap,
    sync::{Arc, Barrier, Mutex},
    time::{Duration, Instant},
};

fn client() -> Client {
    builder().build().unwrap()
}

/// A request that is on its way when this returns.
fn start(client: &Client, peer: &Peer) -> Pending {
    client.get(peer.url("/")).start()
}

/// Looks at what arrived on every connection, as upkeep does; the intervals are far away.
fn look(client: &Client) {
    client.upkeep();
}

#[test]
fn several_threads_at_once_make_one_connection() {
    for round in 0..rounds() {
        let (peer, client, barrier) = (Peer::new(), client(), Arc::new(Barrier::new(8)));
        let asked: Vec<_> = (0..8)
            .map(|_| {
                let (request, barrier) = (client.get(peer.url("/")), barrier.clone());
                task(move || {
                    barrier.wait();
                    request.send()
                })
            })
            .collect();
        let mut link = peer.h2();
        let streams: Vec<u32> = (0..8).map(|_| link.request().stream).collect();
        assert_eq!(streams, [1, 3, 5, 7, 9, 11, 13, 15], "round {round}");
        assert_eq!(only(&client).open_streams, 8);
        // In another order.
        for stream in streams.into_iter().rev() {
            link.answer(stream, 200, format!("{stream}").as_bytes());
        }
        let mut ids: Vec<u64> = asked.into_iter().map(|asked| asked.join().unwrap().connection().id).collect();
        ids.dedup();
        assert_eq!(ids.len(), 1, "round {round}");
        peer.assert_no_more();
        let stats = client.stats();
        assert_eq!((stats.opened, stats.requests, stats.retries), (1, 8, 0));
    }
}

#[test]
fn if_the_one_connection_fails_the_others_do_not_wait_for_ever() {
    // Nobody listens: each of them is told, none hangs on the attempt of another.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    drop(listener);
    let client = client();
    let asked: Vec<_> = (0..8)
        .map(|_| {
            let request = client.get(&url);
            task(|| request.send())
        })
        .collect();
    for asked in asked {
        let e = asked.join().unwrap_err();
        assert_eq!((e.kind(), e.processed()), (ErrorKind::Connect, Processed::No));
    }
}

#[test]
fn one_stream_at_a_time() {
    let (peer, client) = (Peer::new(), client());
    let mut link = idle_with(&client, &peer, &[(MAX_CONCURRENT_STREAMS, 1)]);
    let asked = [get(&client, &peer), get(&client, &peer), get(&client, &peer)];
    for _ in 0..3 {
        let head = link.request();
        assert_eq!(only(&client).open_streams, 1);
        link.assert_quiet(ms(30));
        link.answer(head.stream, 200, b"");
    }
    for asked in asked {
        assert!(asked.join().unwrap().reused());
    }
    peer.assert_no_more();
}

#[test]
fn waiting_for_a_stream_has_a_limit() {
    let (peer, client) = (Peer::new(), client());
    let mut link = idle_with(&client, &peer, &[(MAX_CONCURRENT_STREAMS, 1)]);
    let first = get(&client, &peer);
    let head = link.request();
    let began = Instant::now();
    let timeouts = Timeouts::default().slot(ms(200));
    let e = client.get(peer.url("/")).timeouts(timeouts).send().unwrap_err();
    assert_on_time(began, ms(200), Instant::now());
    assert_eq!((e.kind(), e.phase(), e.processed()), (ErrorKind::PoolTimeout, Phase::Slot, Processed::No));
    assert!(e.is_timeout() && e.elapsed() >= ms(200));
    assert_eq!(e.bytes_written(), 0);
    // The total limit ends the wait too.
    let began = Instant::now();
    let e = client.get(peer.url("/")).timeout(ms(100)).send().unwrap_err();
    assert_on_time(began, ms(100), Instant::now());
    assert_eq!((e.kind(), e.phase(), e.processed()), (ErrorKind::TimedOut, Phase::Slot, Processed::No));
    // Nobody else was hurt.
    link.answer(head.stream, 200, b"");
    first.join().unwrap();
    link.assert_quiet(ms(30));
    let next = get(&client, &peer);
    let head = link.request();
    link.answer(head.stream, 200, b"");
    next.join().unwrap();
}

#[test]
fn no_streams_allowed_until_they_are() {
    let (peer, client) = (Peer::new(), client());
    let mut link = idle_with(&client, &peer, &[(MAX_CONCURRENT_STREAMS, 0)]);
    let timeouts = Timeouts::default().slot(ms(100));
    let began = Instant::now();
    let e = client.get(peer.url("/")).timeouts(timeouts).send().unwrap_err();
    assert_on_time(began, ms(100), Instant::now());
    assert_eq!((e.kind(), e.processed()), (ErrorKind::PoolTimeout, Processed::No));
    let asked = [get(&client, &peer), get(&client, &peer)];
    link.assert_quiet(ms(50));
    link.send(&[Frame::settings(&[(MAX_CONCURRENT_STREAMS, 2)])]);
    for _ in 0..2 {
        let head = link.request();
        link.answer(head.stream, 200, b"");
    }
    for asked in asked {
        asked.join().unwrap();
    }
    peer.assert_no_more();
}

#[test]
fn a_lowered_limit_kills_nothing_and_holds_for_new_streams() {
    let (peer, client) = (Peer::new(), client());
    let mut link = idle_with(&client, &peer, &[(MAX_CONCURRENT_STREAMS, 3)]);
    let asked = [get(&client, &peer), get(&client, &peer), get(&client, &peer)];
    let heads: Vec<Frame> = (0..3).map(|_| link.request()).collect();
    link.send(&[Frame::settings(&[(MAX_CONCURRENT_STREAMS, 1)])]);
    assert!(link.expect(SETTINGS).is_ack());
    let late = get(&client, &peer);
    link.assert_quiet(ms(30));
    for head in &heads[..2] {
        link.answer(head.stream, 200, b"");
        link.assert_quiet(ms(30));
    }
    late.assert_waiting();
    assert_eq!(only(&client).max_streams, Some(1));
    link.answer(heads[2].stream, 200, b"");
    let head = link.request();
    link.answer(head.stream, 200, b"");
    for asked in asked.into_iter().chain([late]) {
        asked.join().unwrap();
    }
    peer.assert_no_more();
}

#[test]
fn a_hundred_streams_before_the_first_settings() {
    let (peer, client) = (Peer::new(), client());
    let first = client.get(peer.url("/")).start();
    let mut link = peer.accept();
    link.preface();
    let mut pending: Vec<Pending> = (1..101).map(|_| start(&client, &peer)).collect();
    pending.push(first);
    for n in 0..100 {
        assert_eq!(link.request().stream, 2 * n + 1);
    }
    // One more is there, and waits.
    link.assert_quiet(ms(30));
    assert_eq!(only(&client).max_streams, None);
    let mut batch = Batch::new();
    for pending in pending {
        batch.push(pending, ());
    }
    let collected = task(move || batch.map(|(_, answer)| answer.map(|a| a.status().as_u16())).collect::<Vec<_>>());
    link.send(&[Frame::settings(&[]), Frame::settings_ack()]);
    for n in 0..100 {
        link.answer(2 * n + 1, 204, b"");
    }
    let head = link.request();
    assert_eq!(head.stream, 201);
    link.answer(head.stream, 204, b"");
    let answers = collected.join();
    assert_eq!(answers.len(), 101);
    assert!(answers.into_iter().all(|answer| answer.unwrap() == 204));
}

#[test]
fn what_was_started_goes_out_when_a_wait_frees_a_stream() {
    let (peer, client) = (Peer::new(), client());
    let mut link = idle_with(&client, &peer, &[(MAX_CONCURRENT_STREAMS, 1)]);
    let mut pending: Vec<Pending> = (0..4).map(|_| start(&client, &peer)).collect();
    let head = link.request();
    link.assert_quiet(ms(30));
    assert!(pending[3].try_wait().unwrap().is_none());
    link.answer(head.stream, 200, b"0");
    // Waited for in the order of starting.
    let collected =
        task(move || pending.into_iter().map(|p| p.wait().and_then(Response::text)).collect::<Result<Vec<_>>>());
    for n in 1..4 {
        let head = link.request();
        link.answer(head.stream, 200, format!("{n}").as_bytes());
    }
    assert_eq!(collected.join().unwrap(), ["0", "1", "2", "3"]);
    peer.assert_no_more();
}

/// Whoever waits on the connection moves what was started on it.
#[test]
fn what_was_started_goes_out_while_another_one_is_waited_for() {
    let (peer, client) = (Peer::new(), client());
    let mut link = idle_with(&client, &peer, &[(MAX_CONCURRENT_STREAMS, 2)]);
    let mut pending: Vec<Pending> = (0..5).map(|_| start(&client, &peer)).collect();
    let (first, second) = (link.request(), link.request());
    link.assert_quiet(ms(30));
    let last = pending.split_off(1);
    let waited_for = pending.remove(0);
    let waiting = task(|| waited_for.wait());
    link.answer(second.stream, 200, b"1");
    let third = link.request();
    waiting.assert_waiting();
    // One that is given up makes room, too, and one that has not gone out leaves the line.
    let mut last: Vec<Option<Pending>> = last.into_iter().map(Some).collect();
    last[2] = None;
    last[1] = None;
    let reset = link.expect(RST_STREAM);
    assert_eq!((reset.stream, reset.code()), (third.stream, CANCEL));
    let ping = link.expect(PING);
    link.ack(&ping);
    let (waited, stream) = (last.pop().flatten().unwrap(), link.request().stream);
    assert_eq!(stream, third.stream + 2, "the one that left the line had no stream");
    link.answer(first.stream, 200, b"0");
    assert_eq!(waiting.join().unwrap().text().unwrap(), "0");
    // The answers of those that nobody waited for are there.
    link.answer(stream, 200, b"4");
    assert_eq!(last.remove(0).unwrap().wait().unwrap().text().unwrap(), "1");
    let answer = waited.wait().unwrap();
    assert!(answer.reused());
    assert_eq!(answer.text().unwrap(), "4");
    link.assert_quiet(ms(30));
    peer.assert_no_more();
}

/// Its body follows once its owner waits; and its time counts although nobody does.
#[test]
fn what_was_queued_and_went_out_may_have_been_processed() {
    let (peer, client) = (Peer::new(), client());
    let mut link = idle_with(&client, &peer, &[(MAX_CONCURRENT_STREAMS, 1)]);
    let first = start(&client, &peer);
    let head = link.request();
    let queued = client.post(peer.url("/")).body("abc").start();
    let limited = client.post(peer.url("/")).timeout(ms(1000)).start();
    link.answer(head.stream, 200, b"");
    first.wait().unwrap();
    let sent = link.expect(HEADERS);
    let waiting = task(|| queued.wait());
    let data = link.expect(DATA);
    assert_eq!((data.stream, &data.payload[..], data.ends()), (sent.stream, &b"abc"[..], true));
    link.answer(sent.stream, 200, b"");
    waiting.join().unwrap();
    // This one went out when the answer came; nobody looks after it until its time is up.
    let stream = link.request().stream;
    link.assert_quiet(ms(1010));
    let e = limited.wait().unwrap_err();
    assert_eq!((e.kind(), e.processed(), e.attempts()), (ErrorKind::TimedOut, Processed::Maybe, 1));
    let reset = link.skip_to(RST_STREAM);
    assert_eq!((reset.stream, reset.code()), (stream, CANCEL));
}

#[test]
fn what_is_queued_goes_elsewhere_when_the_connection_is_leaving() {
    let (peer, client) = (Peer::new(), client());
    let mut link = idle_with(&client, &peer, &[(MAX_CONCURRENT_STREAMS, 1)]);
    let first = start(&client, &peer);
    let head = link.request();
    let queued = [start(&client, &peer), start(&client, &peer)];
    link.send(&[Frame::goaway(head.stream, NO_ERROR, b"")]);
    link.answer(head.stream, 200, b"");
    first.wait().unwrap();
    assert!(link.arrived().iter().all(|f| f.kind != HEADERS));
    let waiting = task(|| queued.map(|pending| pending.wait().unwrap().reused()));
    let mut next = peer.h2_with(&[(MAX_CONCURRENT_STREAMS, 1)]);
    for _ in 0..2 {
        let head = next.request();
        next.answer(head.stream, 200, b"");
    }
    assert_eq!(waiting.join(), [false, true]);
}

#[test]
fn a_batch_moves_all_of_its_requests() {
    let (peer, client) = (Peer::new(), client());
    let mut link = idle_with(&client, &peer, &[(MAX_CONCURRENT_STREAMS, 2)]);
    let mut batch = Batch::new();
    for n in 0..6 {
        batch.push(start(&client, &peer), n);
    }
    let collected = task(move || batch.map(|(n, answer)| (n, answer.unwrap().status().as_u16())).collect::<Vec<_>>());
    let mut open = vec![link.request(), link.request()];
    for _ in 0..4 {
        // The newer one first: the order of answers is the peer's.
        let head = open.pop().expect("two are open");
        link.answer(head.stream, 204, b"");
        open.push(link.request());
    }
    for head in open.into_iter().rev() {
        link.answer(head.stream, 204, b"");
    }
    let order = collected.join();
    assert_eq!(order.len(), 6);
    assert_ne!(order[0].0, 0, "{order:?}");
    peer.assert_no_more();
}

#[test]
fn more_connections_when_full() {
    let (peer, client) = (Peer::new(), builder().more_connections_when_full().build().unwrap());
    let limit = [(MAX_CONCURRENT_STREAMS, 1)];
    let mut first = idle_with(&client, &peer, &limit);
    let one = get(&client, &peer);
    let head = first.request();
    let two = get(&client, &peer);
    let mut second = peer.h2_with(&limit);
    let other = second.request();
    assert_eq!(client.connections().len(), 2);
    second.answer(other.stream, 200, b"two");
    assert_eq!(two.join().unwrap().text().unwrap(), "two");
    // There is room on the second now.
    let three = get(&client, &peer);
    let other = second.request();
    second.answer(other.stream, 200, b"three");
    assert_eq!(three.join().unwrap().text().unwrap(), "three");
    first.answer(head.stream, 200, b"one");
    assert_eq!(one.join().unwrap().text().unwrap(), "one");
    peer.assert_no_more();
}

/// A peer whose SETTINGS name no limit has none.
#[test]
fn a_connection_without_a_limit_is_never_full() {
    let (peer, client) = (Peer::new(), builder().more_connections_when_full().build().unwrap());
    let mut link = idle(&client, &peer);
    let pending: Vec<Pending> = (0..150).map(|_| start(&client, &peer)).collect();
    for _ in 0..150 {
        let head = link.request();
        link.answer(head.stream, 204, b"");
    }
    for pending in pending {
        assert_eq!(pending.wait().unwrap().status(), 204);
    }
    peer.assert_no_more();
}

#[test]
fn without_that_option_there_is_one_connection() {
    let (peer, client) = (Peer::new(), client());
    let limit = [(MAX_CONCURRENT_STREAMS, 1)];
    let mut link = idle_with(&client, &peer, &limit);
    let asked = [get(&client, &peer), get(&client, &peer)];
    let head = link.request();
    assert!(peer.accept_within(ms(50)).is_none());
    link.answer(head.stream, 200, b"");
    let head = link.request();
    link.answer(head.stream, 200, b"");
    for asked in asked {
        asked.join().unwrap();
    }
}

#[test]
fn a_checkout_heeds_what_arrived_while_idle() {
    type End = fn(&mut Link);
    let ends: [(&str, End); 5] = [
        ("FIN", |link| link.finish()),
        ("GOAWAY", |link| link.send(&[Frame::goaway(1, NO_ERROR, b"")])),
        ("GOAWAY and FIN", |link| {
            link.send(&[Frame::goaway(1, NO_ERROR, b"")]);
            link.finish();
        }),
        ("a violation", |link| link.send(&[Frame::new(SETTINGS, 0, 1, [])])),
        ("a cut frame", |link| {
            link.send_bytes(&Frame::ping(*b"12345678").bytes()[..12]);
            link.finish();
        }),
    ];
    for (name, end) in ends {
        for method in ["GET", "POST"] {
            let (peer, client) = (Peer::new(), client());
            let mut link = idle(&client, &peer);
            if method == "GET" {
                // A request that can be repeated takes a connection that was used just now without a look.
                link.assert_quiet(ms(2));
            }
            end(&mut link);
            let request = client.request(method.parse().unwrap(), peer.url("/"));
            let asked = task(|| request.send());
            let mut second = peer.h2();
            let head = second.request();
            second.answer(head.stream, 200, b"");
            let answer = asked.join().unwrap();
            assert!(!answer.reused(), "{name}, {method}");
            // Nothing was sent twice, and the old one is closed.
            assert!(!link.rest().iter().any(|f| f.kind == HEADERS), "{name}, {method}");
            assert_eq!(client.stats().retries, 0, "{name}, {method}");
            assert_eq!(client.connections().len(), 1, "{name}, {method}");
        }
    }
}

#[test]
fn settings_that_arrived_while_idle_hold_for_the_next_request() {
    let (peer, client) = (Peer::new(), client());
    let mut link = idle(&client, &peer);
    link.assert_quiet(ms(2));
    link.send(&[Frame::settings(&[(MAX_CONCURRENT_STREAMS, 0)]), Frame::ping(*b"12345678")]);
    let timeouts = Timeouts::default().slot(ms(50));
    let e = client.get(peer.url("/")).timeouts(timeouts).send().unwrap_err();
    assert_eq!(e.kind(), ErrorKind::PoolTimeout);
    let frames = link.arrived();
    assert_eq!(frames, [Frame::ping_ack(b"12345678")]);
}

#[test]
fn an_old_connection_is_drained_not_cut() {
    let (peer, client) = (Peer::new(), builder().max_lifetime(ms(200)).build().unwrap());
    let began = Instant::now();
    let slow = get(&client, &peer);
    let mut first = peer.h2();
    let head = first.request();
    first.assert_quiet(ms(210).saturating_sub(began.elapsed()));
    // It is too old for this one.
    let next = get(&client, &peer);
    let mut second = peer.h2();
    let other = second.request();
    let goaway = first.expect(GOAWAY);
    assert_eq!(goaway.code(), NO_ERROR);
    second.answer(other.stream, 200, b"new");
    assert_eq!(next.join().unwrap().text().unwrap(), "new");
    let table = client.connections();
    assert_eq!(
        table.iter().map(|row| row.state).collect::<Vec<_>>(),
        [ConnectionState::Draining, ConnectionState::Idle]
    );
    first.answer(head.stream, 200, b"old");
    assert_eq!(slow.join().unwrap().text().unwrap(), "old");
    // Then it ends.
    assert!(first.rest().iter().all(|f| f.kind == GOAWAY));
    assert_eq!(client.connections().len(), 1);
}

#[test]
fn after_a_timeout_a_silent_connection_is_suspect() {
    let (peer, client) = (Peer::new(), client());
    let mut link = idle_with(&client, &peer, &[(MAX_CONCURRENT_STREAMS, 2)]);
    let id = only(&client).id;
    let bystander = get(&client, &peer);
    let slow = link.request();
    let request = client.get(peer.url("/")).timeout(ms(150));
    let (began, asked) = (Instant::now(), task(|| request.send()));
    let head = link.request();
    let (failed, at) = asked.join_at();
    assert_on_time(began, ms(150), at);
    let e = failed.unwrap_err();
    assert_eq!((e.kind(), e.processed(), e.phase()), (ErrorKind::TimedOut, Processed::Maybe, Phase::FirstByte));
    assert!(e.bytes_written() > 0);
    assert_eq!(e.reused(), Some(true));
    let reset = link.expect(RST_STREAM);
    assert_eq!((reset.stream, reset.code()), (head.stream, CANCEL));
    let ping = link.expect(PING);
    assert_eq!(only(&client).state, ConnectionState::Suspect);
    // What is new goes elsewhere; what is there goes on.
    let next = get(&client, &peer);
    let mut second = peer.h2();
    let other = second.request();
    second.answer(other.stream, 200, b"");
    assert_ne!(next.join().unwrap().connection().id, id);
    drop(second);
    bystander.assert_waiting();
    look(&client);

    // Any frame and it is trusted again; the slot is still counted until an ACK comes.
    link.send(&[Frame::window_update(0, 1)]);
    look(&client);
    assert_eq!(only(&client).state, ConnectionState::Active);
    let timeouts = Timeouts::default().slot(ms(100));
    let e = client.get(peer.url("/")).timeouts(timeouts).send().unwrap_err();
    assert_eq!(e.kind(), ErrorKind::PoolTimeout);
    link.assert_quiet(ms(10));
    link.ack(&ping);
    let last = get(&client, &peer);
    let head = link.request();
    link.answer(head.stream, 200, b"");
    assert_eq!(last.join().unwrap().connection().id, id);
    link.answer(slow.stream, 200, b"slow");
    assert_eq!(bystander.join().unwrap().text().unwrap(), "slow");
}

#[test]
fn a_suspicion_ends_with_what_arrives_while_nobody_looks() {
    let (peer, client) = (Peer::new(), client());
    let mut link = idle(&client, &peer);
    let e = client.get(peer.url("/")).timeout(ms(50)).send().unwrap_err();
    assert_eq!(e.kind(), ErrorKind::TimedOut);
    link.request();
    link.expect(RST_STREAM);
    let ping = link.expect(PING);
    link.ack(&ping);
    assert_eq!(only(&client).state, ConnectionState::Suspect);
    let asked = get(&client, &peer);
    let head = link.request();
    link.answer(head.stream, 200, b"");
    assert!(asked.join().unwrap().reused());
    peer.assert_no_more();
}

#[test]
fn a_timeout_on_a_connection_that_is_heard_from_is_no_suspicion() {
    let (peer, client) = (Peer::new(), client());
    let mut link = idle(&client, &peer);
    let request = client.get(peer.url("/")).timeout(ms(150));
    let asked = task(|| request.send());
    link.request();
    link.send(&[Frame::window_update(0, 1)]);
    assert_eq!(asked.join().unwrap_err().kind(), ErrorKind::TimedOut);
    link.expect(RST_STREAM);
    link.assert_quiet(ms(30));
    assert_eq!(only(&client).state, ConnectionState::Idle);
}

#[test]
fn a_cancelled_request_resets_one_stream() {
    let (peer, client, cancel) = (Peer::new(), client(), Cancel::new());
    let mut link = idle(&client, &peer);
    let bystander = get(&client, &peer);
    let slow = link.request();
    let request = client.get(peer.url("/")).cancel_on(&cancel);
    let asked = task(|| request.send());
    let head = link.request();
    cancel.cancel();
    let e = asked.join().unwrap_err();
    assert_eq!((e.kind(), e.processed()), (ErrorKind::Cancelled, Processed::Maybe));
    let reset = link.expect(RST_STREAM);
    assert_eq!((reset.stream, reset.code()), (head.stream, CANCEL));
    let ping = link.expect(PING);
    link.ack(&ping);
    link.answer(slow.stream, 200, b"");
    bystander.join().unwrap();
    peer.assert_no_more();
}

#[test]
fn idle_connections_can_be_closed() {
    let (peer, other, client) = (Peer::new(), Peer::new(), client());
    let mut first = idle(&client, &peer);
    let mut second = idle(&client, &other);
    let asked = get(&client, &other);
    let head = second.request();
    assert_eq!(client.close_idle(), 1);
    let last = first.rest().pop().expect("a goodbye");
    assert_eq!((last.kind, last.code()), (GOAWAY, NO_ERROR));
    second.answer(head.stream, 200, b"");
    asked.join().unwrap();
    assert_eq!(client.connections().len(), 1);
    assert_eq!((client.close_idle(), client.close_idle()), (1, 0));
    assert!(client.connections().is_empty());
}

#[test]
fn drain_waits_for_what_is_in_flight() {
    let (peer, client) = (Peer::new(), client());
    let mut link = idle(&client, &peer);
    let asked = get(&client, &peer);
    let head = link.request();
    let draining = client.clone();
    let drained = task(move || draining.drain(PATIENCE));
    assert_eq!(link.expect(GOAWAY).code(), NO_ERROR);
    assert_eq!(only(&client).state, ConnectionState::Draining);
    let e = client.get(peer.url("/")).send().unwrap_err();
    assert_eq!((e.kind(), e.processed()), (ErrorKind::Cancelled, Processed::No));
    drained.assert_waiting();
    // PINGs and SETTINGS are answered meanwhile.
    link.send(&[Frame::ping(*b"12345678"), Frame::settings(&[])]);
    assert_eq!(link.expect(PING), Frame::ping_ack(b"12345678"));
    assert!(link.expect(SETTINGS).is_ack());
    link.answer(head.stream, 200, b"last");
    assert_eq!(asked.join().unwrap().text().unwrap(), "last");
    assert_eq!(drained.join(), 0);
    assert!(link.rest().iter().all(|f| f.kind == GOAWAY));
    assert!(client.connections().is_empty());
}

#[test]
fn drain_says_what_is_left_and_takes_no_longer() {
    let (peer, client) = (Peer::new(), client());
    let pending = start(&client, &peer);
    let mut link = peer.h2();
    let head = link.request();
    let began = Instant::now();
    assert_eq!(client.drain(ms(150)), 1);
    assert_on_time(began, ms(150), Instant::now());
    // Requests that were only started are served by the drain.
    let draining = client.clone();
    let drained = task(move || draining.drain(PATIENCE));
    link.expect(GOAWAY);
    link.answer(head.stream, 200, b"");
    drop(pending);
    assert_eq!(drained.join(), 0);
}

#[test]
fn drain_with_a_dead_connection_does_not_spin() {
    // Its answer is held, so it is in flight and in the table; there is nothing to wait for on it.
    let (peer, client) = (Peer::new(), client());
    let asked = get(&client, &peer);
    let mut link = peer.h2();
    let head = link.request();
    link.send(&[Frame::headers(head.stream, 0, &[(":status", "200")])]);
    let held = asked.join().unwrap();
    drop(link);
    look(&client);
    let before = cpu_time();
    assert_eq!(client.drain(ms(400)), 1);
    assert!(cpu_time() - before < ms(200), "{:?} of processor time", cpu_time() - before);
    drop(held);
}

/// The processor time of this thread.
fn cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").expect("the kernel counts");
    Duration::from_nanos(stat.split_whitespace().next().and_then(|n| n.parse().ok()).expect("nanoseconds"))
}

#[test]
fn shutdown_interrupts_everything() {
    let (peer, client) = (Peer::new(), client());
    let mut link = idle_with(&client, &peer, &[(MAX_CONCURRENT_STREAMS, 1)]);
    let asked = get(&client, &peer);
    link.request();
    let queued = get(&client, &peer);
    link.assert_quiet(ms(30));
    let began = Instant::now();
    client.shutdown();
    for asked in [asked, queued] {
        let (failed, at) = asked.join_at();
        assert_eq!(failed.unwrap_err().kind(), ErrorKind::Cancelled);
        assert!(at - began < LATE);
    }
    assert_eq!(client.get(peer.url("/")).send().unwrap_err().kind(), ErrorKind::Cancelled);
    link.rest();
    assert!(client.connections().is_empty());
}

#[test]
fn three_hundred_bodies_dropped_unread_leave_the_connection_alone() {
    let body = vec![7; 100_000];
    let (peer, client) = (Peer::new(), client());
    let mut link = idle(&client, &peer);
    let id = only(&client).id;
    let asking = client.clone();
    let url = peer.url("/");
    let asked = task(move || {
        for _ in 0..300 {
            let answer = asking.get(&url).send().unwrap();
            assert_eq!(answer.connection().id, id);
        }
        // All of this had to fit.
        asking.get(&url).send().unwrap().bytes().unwrap().len()
    });
    let mut window = 65_535 + i64::from(16 * 1024 * 1024 - 65_535);
    for n in 0..=300 {
        let head = loop {
            let frame = link.next();
            match frame.kind {
                HEADERS => break frame,
                WINDOW_UPDATE if frame.stream == 0 => window += i64::from(frame.number(0)),
                PING => link.ack(&frame),
                _ => {}
            }
        };
        window -= body.len() as i64;
        assert!(window >= 0, "the window of the connection is used up after {n} bodies");
        link.try_send(&answer(head.stream, 200, &body));
    }
    assert_eq!(asked.join(), body.len());
    assert_eq!(only(&client).state, ConnectionState::Idle);
    peer.assert_no_more();
    // What was taken from the window is given back, but for what is too little to be worth a frame.
    let recv = only(&client).recv_window;
    assert!(recv > 8 * 1024 * 1024, "{recv}");
}

#[test]
fn a_body_that_is_dropped_gives_its_stream_back_at_once() {
    let (peer, client) = (Peer::new(), client());
    let mut link = idle_with(&client, &peer, &[(MAX_CONCURRENT_STREAMS, 1)]);
    let asked = get(&client, &peer);
    let head = link.request();
    link.send(&[Frame::headers(head.stream, 0, &[(":status", "200")]), Frame::data(head.stream, b"endless")]);
    let held = asked.join().unwrap();
    let next = get(&client, &peer);
    link.assert_quiet(ms(30));
    drop(held);
    let reset = link.expect(RST_STREAM);
    assert_eq!((reset.stream, reset.code()), (head.stream, CANCEL));
    let other = link.request();
    // What still arrives of it is discarded.
    link.send(&[Frame::last_data(head.stream, b"and more")]);
    link.answer(other.stream, 200, b"next");
    assert_eq!(next.join().unwrap().text().unwrap(), "next");
}

#[test]
fn a_body_that_is_not_read_does_not_starve_others() {
    let (peer, client) = (Peer::new(), client());
    let mut link = idle(&client, &peer);
    let asked = get(&client, &peer);
    let head = link.request();
    // A whole stream window of it.
    link.send(&[Frame::headers(head.stream, 0, &[(":status", "200")])]);
    for _ in 0..64 {
        link.send(&[Frame::data(head.stream, &[1; 16 * 1024])]);
    }
    let unread = asked.join().unwrap();
    for _ in 0..40 {
        let next = get(&client, &peer);
        let reading = task(move || next.join().unwrap().bytes().unwrap().len());
        let other = link.request();
        link.answer(other.stream, 200, &[2; 900_000]);
        assert_eq!(reading.join(), 900_000);
    }
    link.send(&[Frame::last_data(head.stream, b"")]);
    assert_eq!(unread.bytes().unwrap().len(), 1024 * 1024);
}

#[test]
fn what_is_unread_is_bounded_for_all_streams_together() {
    let (peer, client) = (Peer::new(), client());
    let mut link = idle(&client, &peer);
    // 64 answers of a whole stream window each, none of them read.
    let (mut held, mut window, mut sent) = (Vec::new(), 16 << 20, 0usize);
    'answers: for _ in 0..64 {
        let asked = get(&client, &peer);
        let head = link.skip_to_request(&mut window);
        link.send(&[Frame::headers(head.stream, 0, &[(":status", "200")])]);
        held.push(asked.join().unwrap());
        for _ in 0..64 {
            look(&client);
            link.take_credit(&mut window);
            if window < 16 * 1024 {
                break 'answers;
            }
            link.send(&[Frame::data(head.stream, &[1; 16 * 1024])]);
            window -= 16 * 1024;
            sent += 16 * 1024;
        }
    }
    // 32 MiB are credited, and the window itself.
    assert!((40 << 20..=(48 << 20) + (1 << 20)).contains(&sent), "{sent}");
    // Dropping enough of them gives room again, for the connection and not for what was dropped.
    held.truncate(8);
    let more = link.skip_to(WINDOW_UPDATE);
    assert_eq!(more.stream, 0);
}

#[test]
fn many_large_answers_can_be_read_one_after_the_other() {
    const EACH: usize = 2 << 20;
    let (peer, client) = (Peer::new(), client());
    let mut pending: Vec<Pending> = vec![start(&client, &peer)];
    let mut link = peer.h2();
    pending.extend((1..60).map(|_| start(&client, &peer)));
    let serving = task(move || {
        let (mut windows, mut left) = (BTreeMap::from([(0, 16i64 << 20)]), BTreeMap::<u32, usize>::new());
        let mut served = 0;
        while served < 60 {
            // All in turns: whatever credit there is goes to answers that nobody reads yet, too.
            let may_send = |id: &u32| windows[id] >= 16 * 1024 && windows[&0] >= 16 * 1024;
            let ready = left.keys().copied().filter(may_send).max_by_key(|id| left[id]);
            if let Some(id) = ready.filter(|_| windows.len() > 60) {
                let rest = left.get_mut(&id).expect("ready");
                *rest -= 16 * 1024;
                let ended = *rest == 0;
                link.send(&[Frame::new(DATA, u8::from(ended), id, [1; 16 * 1024])]);
                for id in [0, id] {
                    *windows.get_mut(&id).expect("known") -= 16 * 1024;
                }
                if ended {
                    left.remove(&id);
                    served += 1;
                }
                continue;
            }
            let frame = link.next();
            match frame.kind {
                HEADERS => {
                    link.send(&[Frame::headers(frame.stream, 0, &[(":status", "200")])]);
                    windows.insert(frame.stream, 1 << 20);
                    left.insert(frame.stream, EACH);
                }
                WINDOW_UPDATE => {
                    let grant = if frame.stream == 0 && windows[&0] == 16 << 20 { 0 } else { frame.number(0) };
                    *windows.get_mut(&frame.stream).expect("known") += i64::from(grant);
                }
                _ => {}
            }
        }
    });
    let answers: Vec<Response> = pending.into_iter().map(|p| p.wait().unwrap()).collect();
    for answer in answers {
        assert_eq!(answer.bytes().unwrap().len(), EACH);
    }
    serving.join();
}

impl Link {
    /// Takes the credit for the connection that has arrived.
    fn take_credit(&mut self, window: &mut i64) {
        while let Some(frame) = self.waiting() {
            if frame.kind == WINDOW_UPDATE && frame.stream == 0 {
                *window += i64::from(frame.number(0));
            }
        }
    }

    /// The head of the next request, with the credit before it.
    fn skip_to_request(&mut self, window: &mut i64) -> Frame {
        loop {
            let frame = self.next();
            match frame.kind {
                HEADERS => return frame,
                WINDOW_UPDATE if frame.stream == 0 => *window += i64::from(frame.number(0)),
                _ => {}
            }
        }
    }
}

#[test]
fn heads_for_streams_that_were_given_up_keep_the_tables_in_step() {
    let (peer, client) = (Peer::new(), client());
    let mut link = idle(&client, &peer);
    let e = client.get(peer.url("/")).timeout(ms(50)).send().unwrap_err();
    assert_eq!(e.kind(), ErrorKind::TimedOut);
    let given_up = link.request().stream;
    link.expect(RST_STREAM);
    let ping = link.expect(PING);
    // A literal with indexing: it is entry 62 from now on (RFC 7541, section 6.2.1).
    let mut block = vec![0x88, 0x40, 6];
    block.extend_from_slice(b"x-kept\x03yes");
    link.ack(&ping);
    link.send(&[Frame::new(HEADERS, END_HEADERS, given_up, block), Frame::last_data(given_up, b"late")]);
    let asked = get(&client, &peer);
    let head = link.request();
    link.send(&[Frame::new(HEADERS, END_HEADERS | END_STREAM, head.stream, [0x88, 0xbe])]);
    let answer = asked.join().unwrap();
    assert_eq!(answer.header("x-kept"), Some("yes"));
    peer.assert_no_more();
}

#[test]
fn the_table_of_connections() {
    let (peer, client) = (Peer::new(), client());
    let began = Instant::now();
    let mut link = idle_with(&client, &peer, &[(MAX_CONCURRENT_STREAMS, 77)]);
    let row = only(&client);
    assert_eq!((row.origin.as_str(), row.peer), (peer.url("").as_str(), Some(peer.address())));
    assert_eq!((row.version, row.alpn, row.tls), (bowline::http::Version::HTTP_2, None, None));
    assert_eq!(row.state, ConnectionState::Idle);
    assert!(began <= row.created && row.created <= row.last_out && row.last_in <= Instant::now());
    assert_eq!((row.open_streams, row.max_streams, row.requests), (0, Some(77), 1));
    assert_eq!(row.send_window, 65_535);
    assert!(row.recv_window > 15 * 1024 * 1024);
    assert!(row.bytes_in > 0 && row.bytes_out > PREFACE.len() as u64);
    assert_eq!((row.rtt, row.pings_sent, row.pings_acked, row.goaway), (None, 0, 0, None));

    let first = client.post(peer.url("/")).body(vec![1; 1000]);
    let first = task(|| first.send());
    link.request_with_body();
    let second = get(&client, &peer);
    let head = link.request();
    let row = only(&client);
    assert_eq!((row.state, row.open_streams, row.requests), (ConnectionState::Active, 2, 3));
    assert_eq!(row.send_window, 64_535);
    link.send(&[Frame::goaway(head.stream, INTERNAL_ERROR, b"so it goes")]);
    look(&client);
    let row = only(&client);
    let goaway = row.goaway.expect("it came");
    assert_eq!((goaway.code, goaway.last_id, &*goaway.debug), (INTERNAL_ERROR, head.stream, &b"so it goes"[..]));
    assert_eq!(row.state, ConnectionState::Draining);
    link.answer(3, 200, b"");
    link.answer(head.stream, 200, b"");
    let answers = [first.join().unwrap(), second.join().unwrap()];
    drop(link);
    look(&client);
    for answer in &answers {
        assert!(answer.reused());
        // As it was when this was first asked.
        let row = answer.connection();
        assert!(matches!(row.state, ConnectionState::Draining | ConnectionState::Closed(CloseReason::ByPeer)));
    }
    drop(answers);
    assert!(client.connections().is_empty());
}

#[derive(Clone, Default)]
struct Closed(Arc<Mutex<Vec<(u64, CloseReason)>>>);

impl Hook for Closed {
    fn trace(&self, step: &Trace) {
        if let Trace::Closed { connection, reason } = step {
            self.0.lock().unwrap().push((*connection, *reason));
        }
    }
}

#[test]
fn hooks_see_the_end_of_a_connection_when_it_ends() {
    let (peer, closed) = (Peer::new(), Closed::default());
    let client = builder().hook(closed.clone()).build().unwrap();
    let asked = get(&client, &peer);
    let mut link = peer.h2();
    let head = link.request();
    link.answer(head.stream, 200, b"held");
    let held = asked.join().unwrap();
    let id = held.connection().id;
    link.finish();
    look(&client);
    // Although its answer is held, and with it the connection.
    assert_eq!(*closed.0.lock().unwrap(), [(id, CloseReason::ByPeer)]);
    assert_eq!(client.stats().closed, 1);
    drop(held);
    look(&client);
    assert_eq!(closed.0.lock().unwrap().len(), 1);
    assert_eq!((client.stats().closed, client.stats().opened), (1, 1));
}

#[test]
fn a_connection_whose_peer_takes_no_more_was_closed_by_the_peer() {
    let (peer, closed) = (Peer::new(), Closed::default());
    let client = builder().hook(closed.clone()).build().unwrap();
    let asked = get(&client, &peer);
    let mut link = peer.h2();
    let head = link.request();
    link.answer(head.stream, 200, b"");
    let response = asked.join().unwrap();
    let id = response.connection().id;
    drop(response);
    let asked = get(&client, &peer);
    link.request();
    // The socket stays open: nothing but GOAWAY says that it is over, and the request goes elsewhere.
    link.send(&[Frame::goaway(head.stream, NO_ERROR, b"")]);
    let mut other = peer.h2();
    let head = other.request();
    other.answer(head.stream, 200, b"");
    assert_eq!(asked.join().unwrap().attempts(), 2);
    look(&client);
    assert_eq!(*closed.0.lock().unwrap(), [(id, CloseReason::ByPeer)]);
}

#[test]
fn what_peers_have_closed_does_not_pile_up() {
    let (client, mut links) = (client(), Vec::new());
    for _ in 0..20 {
        let peer = Peer::new();
        links.push((peer.address().port(), idle(&client, &peer)));
    }
    for (_, link) in &links {
        link.finish();
    }
    let ports: Vec<u16> = links.iter().map(|(port, _)| *port).collect();
    assert_eq!(close_wait(&ports), 20);
    // Any use of the pool, a moment after the last look; not of these origins.
    let peer = Peer::new();
    let began = Instant::now();
    let mut link = idle(&client, &peer);
    while close_wait(&ports) > 0 {
        assert!(began.elapsed() < ms(500), "{} are left", close_wait(&ports));
        let asked = get(&client, &peer);
        let head = link.request();
        link.answer(head.stream, 200, b"");
        asked.join().unwrap();
    }
    assert_eq!(client.connections().len(), 1);
}

/// How many sockets to these ports wait to be closed by us.
fn close_wait(ports: &[u16]) -> usize {
    let table = std::fs::read_to_string("/proc/self/net/tcp").expect("the table of sockets");
    let port = |field: &str| u16::from_str_radix(field.rsplit(':').next().unwrap_or_default(), 16).unwrap_or(0);
    let rows = table.lines().skip(1).map(|row| row.split_whitespace().collect::<Vec<_>>());
    rows.filter(|row| row[3] == "08" && ports.contains(&port(row[2]))).count()
}

#[test]
fn a_connection_of_the_callers_serves_nobody_else() {
    let (peer, client) = (Peer::new(), client());
    let (connecting, url) = (client.clone(), peer.url("/"));
    let connected = task(move || connecting.connect(url));
    let mut mine = peer.accept();
    let connection = connected.join().unwrap();
    let asked = get(&client, &peer);
    let mut pooled = peer.h2();
    let head = pooled.request();
    pooled.answer(head.stream, 200, b"pooled");
    assert_eq!(asked.join().unwrap().text().unwrap(), "pooled");
    let asking = connection.get("/");
    let asked = task(|| asking.send());
    mine.handshake(&[]);
    let head = mine.request();
    mine.answer(head.stream, 200, b"mine");
    let answer = asked.join().unwrap();
    assert_eq!(answer.connection().id, connection.info().id);
    assert_eq!(answer.text().unwrap(), "mine");
    assert_eq!(client.connections().len(), 2);
    drop(connection);
    assert_eq!(mine.rest().pop().map(|f| f.kind), Some(GOAWAY));
    assert_eq!(client.connections().len(), 1);
}

/// What was given up before anything was heard of it takes its place until the peer answers, and the table shows that.
#[test]
fn a_place_is_taken_until_the_peer_answers() {
    let (peer, client) = (Peer::new(), builder().build().unwrap());
    let mut link = idle(&client, &peer);
    let request = client.get(peer.url("/")).timeout(ms(50));
    let asked = task(|| request.send());
    link.request();
    assert_eq!(asked.join().unwrap_err().kind(), ErrorKind::TimedOut);
    assert_eq!(link.expect(RST_STREAM).code(), 8);
    let ping = link.expect(PING);
    client.upkeep();
    assert_eq!(only(&client).open_streams, 1);
    link.ack(&ping);
    let until = Instant::now() + PATIENCE;
    while only(&client).open_streams > 0 {
        assert!(Instant::now() < until, "the answer frees it");
        client.upkeep();
        std::thread::yield_now();
    }
}
