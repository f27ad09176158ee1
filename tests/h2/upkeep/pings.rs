//! PINGs of the caller's and of the client's own, and what is found out with them.

use super::*;

#[test]
fn a_ping_of_the_caller_measures_the_round_trip() {
    let (peer, client) = (Peer::new(), builder().build().unwrap());
    let connecting = client.clone();
    let url = peer.url("/");
    let connected = task(move || connecting.connect(url));
    let mut link = peer.accept();
    let connection = std::sync::Arc::new(connected.join().unwrap());
    let (running, runs) = mpsc::channel();
    let pinger = || {
        let (connection, running) = (connection.clone(), running.clone());
        task(move || {
            running.send(()).unwrap();
            connection.ping(PATIENCE)
        })
    };
    let first = pinger();
    link.handshake(&[]);
    let ping = link.expect(PING);
    // Others join the one that is on its way: these two are about to, whenever their threads began to run.
    let more = [pinger(), pinger()];
    (0..3).for_each(|_| runs.recv().unwrap());
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

/// One PING at a time: a request after a rest that finds one on its way waits for the answer of that one, and for no longer than it
/// would for its own.
#[test]
fn a_request_behind_a_ping_waits_for_its_answer() {
    let (rest, probe, limit) = (ms(100), ms(250), ms(2000));
    let client = builder()
        .upkeep_interval(Duration::ZERO)
        .probe_after_idle(rest)
        .probe_timeout(probe)
        .ping_ack_timeout(limit)
        .build()
        .unwrap();
    let peer = Peer::new();
    let mut link = idle(&client, &peer);
    link.assert_quiet(rest + ms(20));
    assert_eq!(upkeep_one(&client).action, UpkeepAction::Pinged);
    link.expect(PING);
    let request = client.post(peer.url("/"));
    let began = Instant::now();
    let asked = task(|| request.send());
    link.request();
    link.assert_quiet(ms(50));
    let (error, at) = asked.join_at();
    assert_on_time(began, probe, at);
    let row = error.unwrap_err().connection().cloned().expect("the connection");
    assert_eq!(row.state, ConnectionState::Closed(CloseReason::PingUnanswered));

    // A byte, and the patience is that of any other PING.
    let mut link = idle(&client, &peer);
    link.assert_quiet(rest + ms(20));
    assert_eq!(upkeep_one(&client).action, UpkeepAction::Pinged);
    let ping = link.expect(PING);
    let asked = get(&client, &peer);
    let head = link.request();
    link.send(&[Frame::window_update(0, 1)]);
    link.assert_quiet(2 * probe);
    asked.assert_waiting();
    link.ack(&ping);
    link.answer(head.stream, 200, b"");
    assert!(asked.join().unwrap().reused());
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
