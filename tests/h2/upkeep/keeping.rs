//! How long idle connections are kept, and by whom.

use super::*;

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
    let derived = other.derive().timeout(PATIENCE).build().unwrap();
    drop(other);
    assert_keepers(1, "one that was derived is left");
    pass(ms(1300));
    assert_eq!(only(&derived).id, id);
    drop(derived);
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

/// A peer that leaves in two steps says it twice, and means it once.
#[test]
fn calm_is_asked_for_once_on_a_connection() {
    let (peer, client) = (Peer::new(), builder().build().unwrap());
    let asked = get(&client, &peer);
    let mut link = peer.h2();
    let head = link.request();
    for last_id in [i32::MAX as u32, head.stream] {
        link.send(&[Frame::goaway(last_id, ENHANCE_YOUR_CALM, b"too_many_pings"), Frame::ping(*b"12345678")]);
        assert!(link.expect(PING).is_ack());
        client.upkeep();
        assert_eq!(client.stats().calmed, 1);
    }
    link.answer(head.stream, 200, b"");
    asked.join().unwrap();
}

/// Each connection doubles the interval once more, up to a thousand times what was set.
#[test]
fn calm_has_a_bound() {
    let interval = Duration::from_secs(10);
    let (peer, client) = (Peer::new(), builder().upkeep_interval(interval).build().unwrap());
    for doublings in 1..=12 {
        let mut link = idle(&client, &peer);
        link.send(&[Frame::goaway(1, ENHANCE_YOUR_CALM, b"")]);
        client.upkeep();
        assert_eq!(client.stats().calmed, doublings);
        let _next = idle(&client, &peer);
        let due = client.next_upkeep().expect("a connection").saturating_duration_since(Instant::now());
        // The idle limit comes sooner where the interval is longer.
        let expected = (interval * 2_u32.pow(doublings.min(10) as u32)).min(HOUR);
        assert!(due <= expected && due > expected - PATIENCE.min(interval), "{doublings}: {due:?}");
        client.close_idle();
    }
}
