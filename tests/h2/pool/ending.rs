//! How connections end at the client's wish: idle ones, drained ones, all of them.

use super::*;

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
