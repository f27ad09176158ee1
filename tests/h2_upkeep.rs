//! Liveness of HTTP/2 connections, against a peer that is written by hand.

#[path = "support/h2client.rs"]
mod h2client;
#[path = "support/h2peer.rs"]
mod h2peer;

use bowline::{
    Body, Client, ClientBuilder, CloseReason, Connection, ConnectionState, ErrorKind, Processed, Protocol,
    UpkeepAction, net::pair,
};
use h2client::{get, idle, ms, only, pass, upkeep_one};
use h2peer::*;
use std::{
    io::Read,
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

const HOUR: Duration = Duration::from_secs(3600);

/// A client whose timers are all far away.
fn builder() -> ClientBuilder {
    h2client::builder()
        .upkeep_interval(HOUR)
        .idle_timeout(HOUR)
        .ping_ack_timeout(HOUR)
        .probe_after_idle(HOUR)
        .read_idle_ping(HOUR)
}

/// Waits until the next upkeep is due.
fn until_due(client: &Client) {
    let due = client.next_upkeep().expect("something is due");
    pass(due.saturating_duration_since(Instant::now()));
}

#[test]
fn the_ping_of_upkeep_is_on_the_wire_when_it_returns() {
    let (peer, client) = (Peer::new(), builder().upkeep_interval(Duration::ZERO).build().unwrap());
    let mut link = idle(&client, &peer);
    assert!(link.arrived().is_empty());
    let row = upkeep_one(&client);
    let frames = link.arrived();
    assert_eq!((row.action, row.state), (UpkeepAction::Pinged, ConnectionState::Idle));
    assert_eq!((row.id, &row.origin), (only(&client).id, &peer.url("")));
    assert_eq!(frames.iter().map(|f| (f.kind, f.flags, f.stream)).collect::<Vec<_>>(), [(PING, 0, 0)]);

    // One at a time; the answer shows in the row.
    assert_eq!(upkeep_one(&client).action, UpkeepAction::AwaitingAck);
    assert!(link.arrived().is_empty());
    link.ack(&frames[0]);
    let row = upkeep_one(&client);
    assert_eq!(row.action, UpkeepAction::Pinged);
    assert!(row.rtt.is_some());
    let info = only(&client);
    assert_eq!((info.pings_sent, info.pings_acked), (2, 1));
    let stats = client.stats();
    assert_eq!((stats.pings, stats.pings_lost), (2, 1));
}

#[test]
fn upkeep_does_nothing_before_it_is_due() {
    let (peer, client) = (Peer::new(), builder().upkeep_interval(ms(300)).build().unwrap());
    assert!(client.upkeep().is_empty());
    let mut link = idle(&client, &peer);
    let sent = only(&client).last_out;
    while sent.elapsed() < ms(250) {
        let row = upkeep_one(&client);
        if sent.elapsed() < ms(290) {
            assert_eq!(row.action, UpkeepAction::NotDue);
            assert!(link.arrived().is_empty());
        }
        pass(ms(20));
    }
    pass(ms(300).saturating_sub(sent.elapsed()));
    assert_eq!(upkeep_one(&client).action, UpkeepAction::Pinged);
    assert_eq!(link.arrived().len(), 1);
}

#[test]
fn upkeep_on_a_wire_that_takes_nothing_is_blocked_and_goes_out_first() {
    let client = builder().upkeep_interval(Duration::ZERO).build().unwrap();
    // Room for preface and SETTINGS, and a part of the head.
    let (near, far) = pair(100);
    let connection = Connection::over(near, "http://example.org", &client).unwrap();
    let mut pending = connection.get("/a/path/that/is/longer/than/what/is/left").start();
    let row = upkeep_one(&client);
    assert_eq!(row.action, UpkeepAction::Blocked);
    assert_eq!(upkeep_one(&client).action, UpkeepAction::AwaitingAck);
    let mut bytes = drain(&far);
    // A look of anybody sends what waits.
    for _ in 0..10 {
        assert!(pending.try_wait().unwrap().is_none());
        bytes.extend(drain(&far));
    }
    assert_eq!(&bytes[..PREFACE.len()], PREFACE);
    let mut bytes = bytes.split_off(PREFACE.len());
    let kinds: Vec<u8> = std::iter::from_fn(|| Frame::parse(&mut bytes)).map(|f| f.kind).collect();
    assert_eq!(kinds.iter().filter(|kind| **kind == PING).count(), 1, "{kinds:?}");
    assert!(bytes.is_empty(), "{kinds:?} and {bytes:?}");
}

fn drain(far: &bowline::net::PairEnd) -> Vec<u8> {
    use bowline::net::Wire;
    let mut all = Vec::new();
    let mut piece = [0; 1024];
    while let Ok(n @ 1..) = far.try_read(&mut piece) {
        all.extend_from_slice(&piece[..n]);
    }
    all
}

#[test]
fn upkeep_waits_for_answers_if_asked() {
    let (peer, client) = (Peer::new(), builder().upkeep_interval(Duration::ZERO).build().unwrap());
    let mut link = idle(&client, &peer);
    let began = Instant::now();
    let report = client.upkeep_wait(ms(150));
    assert_on_time(began, ms(150), Instant::now());
    assert_eq!((report.len(), report[0].action, report[0].rtt), (1, UpkeepAction::Pinged, None));

    let ping = link.expect(PING);
    let keeping = client.clone();
    let kept = task(move || keeping.upkeep_wait(PATIENCE));
    link.assert_quiet(ms(50));
    kept.assert_waiting();
    link.ack(&ping);
    let report = kept.join();
    assert_eq!(report[0].action, UpkeepAction::Acked);
    assert!(report[0].rtt.expect("an answer") >= ms(50));
}

#[test]
fn upkeep_wait_waits_for_all_at_once() {
    let client = builder().upkeep_interval(Duration::ZERO).build().unwrap();
    // The first is silent; the second answers, which must not be measured by the silence of the first.
    let (silent, lively) = (Peer::new(), Peer::new());
    let mut first = idle(&client, &silent);
    let second = idle(&client, &lively);
    let serving = task(move || second.serve());
    let report = client.upkeep_wait(ms(600));
    assert_eq!(report.iter().map(|row| row.action).collect::<Vec<_>>(), [UpkeepAction::Pinged, UpkeepAction::Acked]);
    assert!(report[1].rtt.unwrap() < ms(400), "{report:?}");
    first.expect(PING);
    drop(client);
    serving.join();
}

#[test]
fn the_end_of_a_connection_that_waits_for_an_answer_ends_the_wait() {
    let (peer, client) = (Peer::new(), builder().upkeep_interval(Duration::ZERO).build().unwrap());
    let mut link = idle(&client, &peer);
    let keeping = client.clone();
    let kept = task(move || keeping.upkeep_wait(PATIENCE));
    link.expect(PING);
    drop(link);
    let report = kept.join();
    assert_eq!(report[0].action, UpkeepAction::ClosedByPeer);
    assert_eq!(report[0].state, ConnectionState::Closed(CloseReason::ByPeer));
}

#[test]
fn an_unanswered_ping_closes_and_the_next_request_goes_elsewhere() {
    let limit = ms(200);
    let client = builder().upkeep_interval(Duration::ZERO).ping_ack_timeout(limit).build().unwrap();
    let peer = Peer::new();
    let mut link = idle(&client, &peer);
    let dead = only(&client).id;
    assert_eq!(upkeep_one(&client).action, UpkeepAction::Pinged);
    let pinged = Instant::now();
    until_due(&client);
    assert_on_time(pinged, limit - ms(5), Instant::now());
    pass(ms(5));
    let row = upkeep_one(&client);
    assert_eq!((row.id, row.action), (dead, UpkeepAction::ClosedDead));
    assert_eq!(row.state, ConnectionState::Closed(CloseReason::PingUnanswered));
    assert!(client.connections().is_empty());
    let rest = link.rest();
    assert_eq!(rest.iter().map(|f| f.kind).collect::<Vec<_>>(), [PING, GOAWAY]);

    let asked = get(&client, &peer);
    let mut link = peer.h2();
    let head = link.request();
    link.answer(head.stream, 200, b"again");
    let answer = asked.join().unwrap();
    assert_ne!(answer.connection().id, dead);
    assert!(!answer.reused());
}

#[test]
fn a_dead_connection_is_not_handed_out() {
    // Nobody calls upkeep again: the checkout finds out by itself.
    let limit = ms(150);
    let client = builder().upkeep_interval(Duration::ZERO).ping_ack_timeout(limit).build().unwrap();
    let peer = Peer::new();
    let mut link = idle(&client, &peer);
    assert_eq!(upkeep_one(&client).action, UpkeepAction::Pinged);
    link.expect(PING);
    pass(limit);
    let asked = get(&client, &peer);
    let mut second = peer.h2();
    let head = second.request();
    second.answer(head.stream, 200, b"");
    asked.join().unwrap();
    assert!(!link.rest().iter().any(|f| f.kind == HEADERS));
}

#[test]
fn a_connection_whose_ping_is_late_gets_nothing_new() {
    let limit = ms(600);
    let client = builder().upkeep_interval(Duration::ZERO).ping_ack_timeout(limit).build().unwrap();
    let peer = Peer::new();
    let mut link = idle(&client, &peer);
    let id = only(&client).id;
    assert_eq!(upkeep_one(&client).action, UpkeepAction::Pinged);
    let ping = link.expect(PING);
    assert_eq!(only(&client).state, ConnectionState::Idle);
    pass(limit / 2 + ms(20));
    assert_eq!(only(&client).state, ConnectionState::Suspect);
    let asked = get(&client, &peer);
    let mut second = peer.h2();
    let head = second.request();
    second.answer(head.stream, 200, b"");
    assert_ne!(asked.join().unwrap().connection().id, id);
    // Any frame makes it good again.
    link.send(&[Frame::window_update(0, 1)]);
    client.upkeep();
    let row = client.connections().into_iter().find(|row| row.id == id).expect("it is alive");
    assert_eq!(row.state, ConnectionState::Idle);
    link.ack(&ping);
}

#[test]
fn upkeep_keeps_a_connection_only_so_long() {
    let (peer, client) = (Peer::new(), scaled().ping_ack_timeout(ms(500)).keep_idle(ms(1500)).build().unwrap());
    let link = idle(&client, &peer);
    let serving = task(move || link.serve());
    let began = Instant::now();
    let row = loop {
        until_due(&client);
        let row = upkeep_one(&client);
        if matches!(row.state, ConnectionState::Closed(_)) {
            break row;
        }
    };
    assert_eq!((row.action, row.state), (UpkeepAction::ClosedIdle, ConnectionState::Closed(CloseReason::Idle)));
    assert!(began.elapsed() >= ms(1500) - ms(50) && began.elapsed() <= ms(1500) + ms(600), "{:?}", began.elapsed());
    let seen = serving.join();
    assert_eq!(seen.iter().filter(|f| f.kind == PING).count(), 2);
}

#[test]
fn a_peer_that_takes_no_byte_is_given_up() {
    let stall = ms(300);
    let (peer, client) = (Peer::new(), builder().write_stall(stall).build().unwrap());
    let uploading = client.post(peer.url("/")).body(Body::from_reader(std::io::repeat(7)));
    let upload = task(|| uploading.send());
    let mut link = peer.h2_with(&[(INITIAL_WINDOW_SIZE, i32::MAX as u32)]);
    link.request();
    let bystander = get(&client, &peer);
    link.skip_to(HEADERS);
    link.send(&[Frame::window_update(0, 0x7000_0000)]);
    for (asked, at_least) in [(upload, stall), (bystander, Duration::ZERO)] {
        let e = asked.join().unwrap_err();
        assert_eq!(e.kind(), ErrorKind::TimedOut, "{e}");
        let row = e.connection().expect("it was on one");
        assert_eq!(row.state, ConnectionState::Closed(CloseReason::WriteStalled));
        assert!(e.elapsed() >= at_least);
    }
    // The next one goes elsewhere.
    let asked = get(&client, &peer);
    let mut second = peer.h2();
    let head = second.request();
    second.answer(head.stream, 200, b"");
    asked.join().unwrap();
    drop(link);
}

#[test]
fn a_byte_during_an_outstanding_ping_keeps_the_connection() {
    let limit = ms(400);
    let client = builder().upkeep_interval(Duration::ZERO).ping_ack_timeout(limit).build().unwrap();
    let peer = Peer::new();
    let mut link = idle(&client, &peer);
    assert_eq!(upkeep_one(&client).action, UpkeepAction::Pinged);
    let pinged = Instant::now();
    // A frame of an unknown type, a byte at a time: data in front of the answer.
    let drip = Frame::new(0xf0, 0, 0, [0; 64]).bytes();
    for byte in &drip[..16] {
        pass(ms(100));
        link.send_bytes(&[*byte]);
        assert_eq!(upkeep_one(&client).action, UpkeepAction::AwaitingAck);
    }
    assert!(pinged.elapsed() > 3 * limit);
    let last = Instant::now();
    let row = loop {
        let row = upkeep_one(&client);
        if row.action != UpkeepAction::AwaitingAck {
            break row;
        }
        pass(ms(10));
    };
    assert_eq!(row.action, UpkeepAction::ClosedDead);
    assert!(last.elapsed() >= limit - ms(20), "early: {:?}", last.elapsed());
    assert!(last.elapsed() <= limit + LATE, "late: {:?}", last.elapsed());
}

#[test]
fn upkeep_reports_what_the_peer_has_closed() {
    type End = fn(&mut Link);
    let ends: [(&str, End); 3] = [
        ("FIN", |link| link.finish()),
        ("GOAWAY", |link| link.send(&[Frame::goaway(1, NO_ERROR, b"bye")])),
        ("a violation", |link| link.send(&[Frame::new(DATA, 0, 0, [])])),
    ];
    for (name, end) in ends {
        let (peer, client) = (Peer::new(), builder().build().unwrap());
        let mut link = idle(&client, &peer);
        end(&mut link);
        let row = upkeep_one(&client);
        assert_eq!(row.action, UpkeepAction::ClosedByPeer, "{name}");
        assert!(matches!(row.state, ConnectionState::Closed(_)), "{name}: {:?}", row.state);
        assert!(client.connections().is_empty(), "{name}");
        // The socket is closed, not left half open.
        assert!(link.rest().iter().all(|f| f.kind == GOAWAY), "{name}");
    }
}

#[test]
fn upkeep_reports_what_it_closes_for_idleness_and_age() {
    let limits: [fn(ClientBuilder) -> ClientBuilder; 2] = [|b| b.idle_timeout(ms(100)), |b| b.max_lifetime(ms(100))];
    for (limit, reason) in limits.into_iter().zip([CloseReason::Idle, CloseReason::TooOld]) {
        let (peer, client) = (Peer::new(), limit(builder()).build().unwrap());
        let mut link = idle(&client, &peer);
        assert_eq!(upkeep_one(&client).action, UpkeepAction::NotDue, "{reason:?}");
        until_due(&client);
        pass(ms(5));
        let row = upkeep_one(&client);
        assert_eq!(row.action, UpkeepAction::ClosedIdle, "{reason:?}");
        assert_eq!(row.state, ConnectionState::Closed(reason));
        let last = link.rest().pop().expect("a goodbye");
        assert_eq!((last.kind, last.code()), (GOAWAY, NO_ERROR), "{reason:?}");
        assert!(client.upkeep().is_empty());
        assert_eq!(client.next_upkeep(), None);
    }
}

#[test]
fn upkeep_looks_at_http1_connections() {
    let (peer, client) = (Peer::new(), builder().protocol(Protocol::Http1).build().unwrap());
    let asked = get(&client, &peer);
    let mut link = peer.accept();
    link.bytes_until(b"\r\n\r\n");
    link.send_bytes(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    asked.join().unwrap().bytes().unwrap();
    let row = upkeep_one(&client);
    assert_eq!((row.action, row.rtt), (UpkeepAction::Http1Checked, None));
    assert!(link.arrived().is_empty());
    link.finish();
    assert_eq!(upkeep_one(&client).action, UpkeepAction::ClosedByPeer);
    assert!(client.connections().is_empty());
}

/// The limits in the proportions of the defaults: a second is 10 ms.
fn scaled() -> ClientBuilder {
    h2client::builder()
        .upkeep_interval(ms(600))
        .idle_timeout(ms(600))
        .ping_ack_timeout(ms(150))
        .probe_after_idle(ms(100))
        .read_idle_ping(ms(300))
}

#[test]
fn upkeep_keeps_an_idle_connection() {
    let (peer, client) = (Peer::new(), scaled().ping_ack_timeout(ms(500)).build().unwrap());
    let link = idle(&client, &peer);
    let serving = task(move || link.serve());
    let (id, began) = (only(&client).id, Instant::now());
    let mut pinged = 0;
    while began.elapsed() < 10 * ms(600) {
        until_due(&client);
        let row = upkeep_one(&client);
        assert_ne!(row.action, UpkeepAction::ClosedIdle, "after {:?}", began.elapsed());
        pinged += u32::from(row.action == UpkeepAction::Pinged);
    }
    assert!((8..=10).contains(&pinged), "{pinged} PINGs");
    let answer = client.get(peer.url("/")).send().unwrap();
    assert_eq!((answer.connection().id, answer.reused()), (id, true));
    drop((answer, client));
    assert_eq!(serving.join().iter().filter(|f| f.kind == HEADERS).count(), 1);
}

#[test]
fn upkeep_that_is_called_now_and_then_keeps_an_idle_connection() {
    // Not when it is due, but in a loop of the caller's.
    let (peer, client) = (Peer::new(), scaled().ping_ack_timeout(ms(500)).build().unwrap());
    let link = idle(&client, &peer);
    let serving = task(move || link.serve());
    let id = only(&client).id;
    for n in 0..6 {
        pass(ms(700));
        assert_eq!(upkeep_one(&client).action, UpkeepAction::Pinged, "call {n}");
    }
    let answer = client.get(peer.url("/")).send().unwrap();
    assert_eq!(answer.connection().id, id);
    drop((answer, client));
    serving.join();
}

#[test]
fn upkeep_keeps_a_connection_whose_peer_pings_too() {
    // What we send then are answers; they do not make our own PING unnecessary.
    let (peer, client) = (Peer::new(), scaled().ping_ack_timeout(ms(500)).build().unwrap());
    let mut link = idle(&client, &peer);
    let id = only(&client).id;
    let began = Instant::now();
    while began.elapsed() < 4 * ms(600) {
        link.send(&[Frame::ping(*b"are you?")]);
        assert_ne!(upkeep_one(&client).action, UpkeepAction::ClosedIdle, "after {:?}", began.elapsed());
        while let Some(frame) = link.within(ms(50)) {
            if !frame.is_ack() {
                link.ack(&frame);
            }
        }
    }
    assert_eq!(only(&client).id, id);
}

#[test]
fn without_upkeep_an_idle_connection_is_closed_at_the_limit() {
    let (peer, client) = (Peer::new(), scaled().build().unwrap());
    let mut link = idle(&client, &peer);
    let id = only(&client).id;
    pass(ms(600));
    let asked = get(&client, &peer);
    let mut second = peer.h2();
    let head = second.request();
    second.answer(head.stream, 200, b"");
    assert_ne!(asked.join().unwrap().connection().id, id);
    assert_eq!(link.rest().iter().map(|f| f.kind).collect::<Vec<_>>(), [GOAWAY]);
}

/// Those tests that look at the threads of the process run one at a time.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn keepers() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").expect("the list of threads").flatten();
    let names = tasks.filter_map(|t| std::fs::read_to_string(t.path().join("comm")).ok());
    names.filter(|name| name.trim() == "bowline-upkeep").count()
}

/// Threads take a moment to get their name, and to end. Only Linux lists them where a file can be read.
#[track_caller]
fn assert_keepers(n: usize, why: &str) {
    if !cfg!(target_os = "linux") {
        return;
    }
    let began = Instant::now();
    while keepers() != n {
        assert!(began.elapsed() < LATE, "{why}: {} threads", keepers());
        thread::yield_now();
    }
}

#[test]
fn a_thread_keeps_connections_if_asked_and_ends_with_the_client() {
    let _alone = alone();
    let (peer, plain) = (Peer::new(), scaled().build().unwrap());
    idle(&plain, &peer);
    assert_keepers(0, "nobody asked for it");

    let client = scaled().ping_ack_timeout(ms(500)).keep_alive_thread().build().unwrap();
    let link = idle(&client, &peer);
    assert_keepers(1, "it was asked for");
    let serving = task(move || link.serve());
    let id = only(&client).id;
    pass(10 * ms(600));
    let info = only(&client);
    assert_eq!((info.id, info.state), (id, ConnectionState::Idle));
    assert!((8..=10).contains(&info.pings_sent), "{} PINGs", info.pings_sent);
    assert!(info.pings_sent - info.pings_acked <= 1);
    // Read when it arrived, not when the thread had slept enough.
    assert!(info.rtt.expect("several answers") < ms(100), "{:?}", info.rtt);
    let answer = client.get(peer.url("/")).send().unwrap();
    assert_eq!(answer.connection().id, id);
    answer.bytes().unwrap();

    let other = client.clone();
    drop(client);
    assert_keepers(1, "another handle is left");
    drop(other);
    serving.join();
    assert_keepers(0, "the client is gone");
}

#[test]
fn the_thread_finds_the_dead() {
    let _alone = alone();
    let client = scaled().keep_alive_thread().build().unwrap();
    let peer = Peer::new();
    let mut link = idle(&client, &peer);
    let sent = only(&client).last_out;
    link.expect(PING);
    assert_on_time(sent, ms(600), Instant::now());
    let pinged = Instant::now();
    let rest = link.rest();
    assert_on_time(pinged, ms(150) - ms(20), Instant::now());
    assert!(rest.iter().any(|f| f.kind == GOAWAY));
    // The thread is about to let go of it.
    let began = Instant::now();
    while !client.connections().is_empty() {
        assert!(began.elapsed() < LATE, "it is still there");
        thread::yield_now();
    }
}

#[test]
fn the_next_upkeep_is_when_something_is_due() {
    let interval = Duration::from_secs(100);
    let (peer, client) = (Peer::new(), builder().upkeep_interval(interval).build().unwrap());
    assert_eq!(client.next_upkeep(), None);
    let before = Instant::now();
    let mut link = idle(&client, &peer);
    let due = client.next_upkeep().expect("one connection");
    assert!(due >= before + interval && due <= Instant::now() + interval);

    // With a PING on its way, when it has to be answered.
    let limit = Duration::from_secs(50);
    let client = builder().upkeep_interval(Duration::ZERO).ping_ack_timeout(limit).build().unwrap();
    let mut second = idle(&client, &peer);
    let before = Instant::now();
    assert_eq!(upkeep_one(&client).action, UpkeepAction::Pinged);
    let due = client.next_upkeep().expect("one PING");
    assert!(due >= before + limit && due <= Instant::now() + limit);
    second.expect(PING);

    // HTTP/1: the idle limit.
    let client = builder().protocol(Protocol::Http1).idle_timeout(limit).build().unwrap();
    let asked = get(&client, &peer);
    let mut third = peer.accept();
    third.bytes_until(b"\r\n\r\n");
    third.send_bytes(b"HTTP/1.1 204 No Content\r\n\r\n");
    asked.join().unwrap();
    let due = client.next_upkeep().expect("one connection");
    assert!(due <= Instant::now() + limit && due > Instant::now() + limit - PATIENCE);
    assert!(link.arrived().is_empty());
}

#[test]
fn calm_doubles_the_interval_of_its_origin() {
    let interval = Duration::from_secs(100);
    let farewells = [Frame::goaway(1, ENHANCE_YOUR_CALM, b""), Frame::goaway(1, NO_ERROR, b"too_many_pings")];
    type Notice = fn(&Client, &Peer);
    let notices: [(&str, Notice); 2] = [("upkeep", |client, _| _ = client.upkeep()), ("checkout", |_, _| {})];
    for farewell in farewells {
        for (name, notice) in notices {
            let case = format!("{farewell:?} noticed by {name}");
            let (peer, other) = (Peer::new(), Peer::new());
            let client = builder().upkeep_interval(interval).build().unwrap();
            let mut link = idle(&client, &peer);
            link.send(std::slice::from_ref(&farewell));
            notice(&client, &peer);
            let _second = idle(&client, &peer);
            let due = client.next_upkeep().expect("a connection") - Instant::now();
            assert!(due > 2 * interval - PATIENCE && due <= 2 * interval, "{case}: {due:?}");
            assert_eq!(client.stats().calmed, 1, "{case}");
            // Other origins are as before.
            let _third = idle(&client, &other);
            let due = client.next_upkeep().expect("a connection") - Instant::now();
            assert!(due <= interval, "{case}: {due:?}");
        }
    }
}

#[test]
fn calm_is_heeded_while_a_request_is_under_way() {
    let interval = Duration::from_secs(100);
    let (peer, client) = (Peer::new(), builder().upkeep_interval(interval).build().unwrap());
    let asked = get(&client, &peer);
    let mut link = peer.h2();
    let head = link.request();
    link.send(&[Frame::goaway(head.stream, ENHANCE_YOUR_CALM, b"")]);
    link.answer(head.stream, 200, b"");
    asked.join().unwrap().bytes().unwrap();
    drop(link);
    let _second = idle(&client, &peer);
    let due = client.next_upkeep().expect("a connection") - Instant::now();
    assert!(due > 2 * interval - PATIENCE && due <= 2 * interval, "{due:?}");
}

#[test]
fn a_ping_of_the_caller_measures_the_round_trip() {
    let (peer, client) = (Peer::new(), builder().build().unwrap());
    let connecting = client.clone();
    let url = peer.url("/");
    let connected = task(move || connecting.connect(url));
    let mut link = peer.accept();
    let connection = std::sync::Arc::new(connected.join().unwrap());
    let pinger = || {
        let connection = connection.clone();
        task(move || connection.ping(PATIENCE))
    };
    let first = pinger();
    link.handshake(&[]);
    let ping = link.expect(PING);
    // Others join the one that is on its way.
    let more = [pinger(), pinger()];
    link.assert_quiet(ms(100));
    first.assert_waiting();
    // Answers to what was not asked, or was answered, mean nothing.
    link.send(&[Frame::ping_ack(b"unknown!")]);
    link.assert_quiet(ms(50));
    first.assert_waiting();
    link.ack(&ping);
    let rtt = first.join().unwrap().expect("an answer");
    assert!(rtt >= ms(150), "{rtt:?}");
    for joined in more {
        assert_eq!(joined.join().unwrap(), Some(rtt));
    }
    link.ack(&ping);
    let info = connection.info();
    assert_eq!((info.rtt, info.pings_sent, info.pings_acked), (Some(rtt), 1, 1));

    // A timeout is no error, and the next one joins again.
    let began = Instant::now();
    assert_eq!(connection.ping(ms(100)).unwrap(), None);
    assert_on_time(began, ms(100), Instant::now());
    let second = link.expect(PING);
    assert_ne!(second.payload, ping.payload);
    let joined = pinger();
    link.assert_quiet(ms(50));
    link.ack(&second);
    assert!(joined.join().unwrap().is_some());
    drop(link);
    assert_eq!(connection.ping(PATIENCE).unwrap_err().kind(), ErrorKind::Closed);
}

#[test]
fn an_answer_that_nobody_waited_for_is_no_round_trip() {
    let (peer, client) = (Peer::new(), builder().upkeep_interval(Duration::ZERO).build().unwrap());
    let mut link = idle(&client, &peer);
    assert_eq!(upkeep_one(&client).action, UpkeepAction::Pinged);
    let ping = link.expect(PING);
    link.ack(&ping);
    pass(ms(1100));
    let row = upkeep_one(&client);
    assert_eq!((row.action, row.rtt), (UpkeepAction::Pinged, None));
    assert_eq!(only(&client).pings_acked, 1);
}

#[test]
fn http1_has_no_ping() {
    let client = builder().protocol(Protocol::Http1).build().unwrap();
    let (near, _far) = pair(1024);
    let connection = Connection::over(near, "http://example.org", &client).unwrap();
    assert_eq!(connection.ping(PATIENCE).unwrap_err().kind(), ErrorKind::Unsupported);
}

#[test]
fn payloads_are_never_the_same() {
    let (peer, client) = (Peer::new(), builder().upkeep_interval(Duration::ZERO).build().unwrap());
    let mut link = idle(&client, &peer);
    let mut payloads = std::collections::BTreeSet::new();
    for _ in 0..100 {
        assert_eq!(upkeep_one(&client).action, UpkeepAction::Pinged);
        let ping = link.expect(PING);
        assert!(payloads.insert(ping.payload.clone()), "{ping:?} came twice");
        link.ack(&ping);
    }
    // Two connections do not have the same ones either.
    let mut other = idle(&client, &Peer::new());
    client.upkeep();
    assert!(payloads.insert(other.expect(PING).payload));
}

#[test]
fn upkeep_from_many_threads_sends_one_ping() {
    let (peer, client) = (Peer::new(), builder().upkeep_interval(Duration::ZERO).build().unwrap());
    let mut link = idle(&client, &peer);
    let keeping: Vec<_> = (0..8)
        .map(|_| {
            let client = client.clone();
            task(move || (0..50).flat_map(|_| client.upkeep()).filter(|r| r.action == UpkeepAction::Pinged).count())
        })
        .collect();
    assert_eq!(keeping.into_iter().map(Task::join).sum::<usize>(), 1);
    assert_eq!(link.arrived().len(), 1);
}

#[test]
fn silence_while_a_stream_is_open_is_probed() {
    let limit = ms(200);
    let (peer, client) = (Peer::new(), builder().read_idle_ping(limit).build().unwrap());
    let asked = get(&client, &peer);
    let mut link = peer.h2();
    let head = link.request();
    let since = Instant::now();
    let ping = link.expect(PING);
    // Counted from the last byte, which was ours a moment ago.
    assert_on_time(since, limit - ms(50), Instant::now());
    link.ack(&ping);
    link.answer(head.stream, 200, b"slow");
    assert_eq!(asked.join().unwrap().text().unwrap(), "slow");
    // None without an open stream.
    link.assert_quiet(2 * limit);
}

#[test]
fn a_silent_peer_is_found_out_by_whoever_waits() {
    let (quiet, limit) = (ms(200), ms(150));
    let client = builder().read_idle_ping(quiet).ping_ack_timeout(limit).build().unwrap();
    let peer = Peer::new();
    let posting = client.post(peer.url("/")).body("once");
    let posted = task(|| posting.send());
    let mut link = peer.h2();
    link.request_with_body();
    let since = Instant::now();
    let (failed, at) = posted.join_at();
    assert_on_time(since, quiet + limit - ms(50), at);
    let e = failed.unwrap_err();
    assert_eq!((e.kind(), e.processed(), e.attempts()), (ErrorKind::Closed, Processed::Maybe, 1));
    assert_eq!(e.connection().expect("the connection").state, ConnectionState::Closed(CloseReason::PingUnanswered));
    peer.assert_no_more();

    // What is idempotent goes to another connection.
    let asked = get(&client, &peer);
    let mut link = peer.h2();
    link.request();
    let since = Instant::now();
    let mut second = peer.h2();
    let head = second.request();
    assert_on_time(since, quiet + limit - ms(50), Instant::now());
    second.answer(head.stream, 200, b"");
    asked.join().unwrap();
}

#[test]
fn a_silent_peer_is_found_out_while_a_writer_is_blocked() {
    let (quiet, limit) = (ms(300), ms(300));
    let client = builder().read_idle_ping(quiet).ping_ack_timeout(limit).build().unwrap();
    let peer = Peer::new();
    let uploading = client.post(peer.url("/")).body(Body::from_reader(std::io::repeat(7)));
    let upload = task(|| uploading.send());
    let mut link = peer.h2_with(&[(INITIAL_WINDOW_SIZE, i32::MAX as u32)]);
    link.request();
    link.send(&[Frame::window_update(0, 0x7000_0000)]);
    let since = Instant::now();
    // Nothing is read from here on: the socket fills, and the writer waits.
    let asked = get(&client, &peer);
    let mut second = peer.h2();
    assert_on_time(since, quiet + limit - ms(100), Instant::now());
    let head = second.request();
    second.answer(head.stream, 200, b"");
    asked.join().unwrap();
    let (failed, at) = upload.join_at();
    assert!(at <= since + quiet + limit + LATE, "late: {:?}", at - since);
    let e = failed.unwrap_err();
    assert_eq!((e.kind(), e.processed()), (ErrorKind::Closed, Processed::Maybe));
    assert!(e.bytes_written() > 0);
    drop(link);
}

#[test]
fn a_request_after_a_rest_carries_a_ping() {
    let rest = ms(150);
    let (peer, client) = (Peer::new(), builder().probe_after_idle(rest).build().unwrap());
    let mut link = idle(&client, &peer);
    // Not before that.
    let asked = get(&client, &peer);
    let head = link.request();
    link.answer(head.stream, 200, b"");
    asked.join().unwrap();
    link.assert_quiet(rest + ms(20));
    let asked = get(&client, &peer);
    // In one write: what the first read gives has both.
    let mut bytes = vec![0; 4096];
    let n = link.socket.read(&mut bytes).unwrap();
    bytes.truncate(n);
    let kinds: Vec<Frame> = std::iter::from_fn(|| Frame::parse(&mut bytes)).collect();
    assert_eq!(kinds.iter().map(|f| f.kind).collect::<Vec<_>>(), [HEADERS, PING]);
    link.ack(&kinds[1]);
    link.answer(kinds[0].stream, 200, b"");
    assert!(asked.join().unwrap().reused());
}

#[test]
fn a_request_after_a_rest_finds_out_that_the_peer_is_gone() {
    let (rest, limit) = (ms(150), ms(200));
    let client = builder().probe_after_idle(rest).ping_ack_timeout(limit).build().unwrap();
    let peer = Peer::new();
    let mut link = idle(&client, &peer);
    link.assert_quiet(rest + ms(20));
    let began = Instant::now();
    let asked = get(&client, &peer);
    // The peer takes it and says nothing.
    let mut second = peer.h2();
    assert_on_time(began, limit, Instant::now());
    let head = second.request();
    second.answer(head.stream, 200, b"");
    let answer = asked.join().unwrap();
    assert!(!answer.reused());
}

#[test]
fn no_more_than_two_pings_of_our_own_accord() {
    let limit = ms(60);
    let (peer, client) = (Peer::new(), builder().read_idle_ping(limit).build().unwrap());
    let asked = get(&client, &peer);
    let mut link = peer.h2();
    let head = link.request();
    for _ in 0..2 {
        let ping = link.expect(PING);
        link.ack(&ping);
    }
    link.assert_quiet(5 * limit);
    // A head in either direction, and there may be two more.
    link.send(&[Frame::headers(head.stream, 0, &[(":status", "200")])]);
    let mut answer = asked.join().unwrap();
    let reading = task(move || {
        let mut body = Vec::new();
        answer.body().read_to_end(&mut body).map(|_| body)
    });
    for _ in 0..2 {
        let ping = link.expect(PING);
        link.ack(&ping);
    }
    link.assert_quiet(5 * limit);
    link.send(&[Frame::data(head.stream, b"a")]);
    let ping = link.expect(PING);
    link.ack(&ping);
    link.send(&[Frame::last_data(head.stream, b"b")]);
    assert_eq!(reading.join().unwrap(), b"ab");
}

#[test]
fn pings_that_are_asked_for_have_no_such_limit() {
    let (peer, client) = (Peer::new(), builder().upkeep_interval(Duration::ZERO).build().unwrap());
    let mut link = idle(&client, &peer);
    for _ in 0..10 {
        assert_eq!(upkeep_one(&client).action, UpkeepAction::Pinged);
        let ping = link.expect(PING);
        link.ack(&ping);
    }
}

#[test]
fn upkeep_serves_while_another_thread_reads() {
    let (peer, client) = (Peer::new(), builder().upkeep_interval(Duration::ZERO).build().unwrap());
    let asked = get(&client, &peer);
    let mut link = peer.h2();
    let head = link.request();
    // The other thread waits for its answer, and reads the ACK too. It may just be writing.
    assert!(matches!(upkeep_one(&client).action, UpkeepAction::Pinged | UpkeepAction::Blocked));
    let ping = link.expect(PING);
    link.ack(&ping);
    let keeping = client.clone();
    let kept = task(move || keeping.upkeep_wait(PATIENCE));
    // If the other thread has not read the first ACK yet, it is that one that is waited for.
    while let Some(ping) = link.within(ms(100)) {
        link.ack(&ping);
    }
    let report = kept.join();
    assert_eq!((report[0].action, report[0].state), (UpkeepAction::Acked, ConnectionState::Active));
    asked.assert_waiting();
    link.answer(head.stream, 200, b"");
    asked.join().unwrap();
}
