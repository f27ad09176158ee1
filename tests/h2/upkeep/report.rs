//! What one call of upkeep does, and what it says.

use super::*;

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

/// Where the wire takes little, what is before a PING takes its time: that is neither silence of the peer nor a part of the round trip.
#[test]
fn a_ping_counts_from_when_the_wire_takes_it() {
    let (limit, step) = (ms(400), ms(100));
    let client = builder().upkeep_interval(Duration::ZERO).ping_ack_timeout(limit).build().unwrap();
    let (near, far) = pair(20);
    let connection = Connection::over(near, "http://example.org", &client).unwrap();
    let _pending = connection.get("/").start();
    let framed = Instant::now();
    assert_eq!(upkeep_one(&client).action, UpkeepAction::Blocked);
    let mut bytes = drain(&far);
    let (left, ping) = loop {
        pass(step);
        let asked = Instant::now();
        assert_eq!(upkeep_one(&client).action, UpkeepAction::AwaitingAck, "after {:?}", framed.elapsed());
        bytes.extend(drain(&far));
        let mut rest = bytes.get(PREFACE.len()..).unwrap_or_default().to_vec();
        if let Some(ping) = std::iter::from_fn(|| Frame::parse(&mut rest)).find(|f| f.kind == PING) {
            break (asked, ping);
        }
    };
    assert!(framed.elapsed() > limit + step, "only {:?}", framed.elapsed());
    pass(step);
    for frame in [Frame::settings(&[]), Frame::new(PING, ACK, 0, ping.payload)] {
        let bytes = frame.bytes();
        assert_eq!(far.try_write(&bytes).unwrap(), bytes.len());
        upkeep_one(&client);
    }
    let rtt = only(&client).rtt.expect("it was answered");
    assert!(rtt >= step && rtt <= left.elapsed(), "{rtt:?} of {:?}", left.elapsed());
}

/// The other side of that rule: a wire that takes nothing is silence, too.
#[test]
fn a_ping_that_the_wire_does_not_take_is_unanswered() {
    let limit = ms(300);
    let client = builder().upkeep_interval(Duration::ZERO).ping_ack_timeout(limit).build().unwrap();
    let (near, _far) = pair(20);
    let connection = Connection::over(near, "http://example.org", &client).unwrap();
    let _pending = connection.get("/").start();
    let framed = Instant::now();
    assert_eq!(upkeep_one(&client).action, UpkeepAction::Blocked);
    let end = loop {
        pass(ms(10));
        let row = upkeep_one(&client);
        if row.action != UpkeepAction::AwaitingAck {
            break row;
        }
    };
    assert_eq!(end.action, UpkeepAction::ClosedDead);
    assert!(framed.elapsed() >= limit, "early: {:?}", framed.elapsed());
    assert!(framed.elapsed() <= limit + LATE, "late: {:?}", framed.elapsed());
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

/// A thread leads, another one cannot write: upkeep waits for neither, and its PING goes out behind what was framed before.
#[test]
fn upkeep_does_not_wait_for_a_writer_that_is_blocked() {
    let client = builder().upkeep_interval(Duration::ZERO).write_stall(HOUR).build().unwrap();
    let (near, far) = pair(16 * 1024);
    let connection = std::sync::Arc::new(Connection::over(near, "http://example.org", &client).unwrap());
    let open = [Frame::settings(&[(INITIAL_WINDOW_SIZE, i32::MAX as u32)]), Frame::window_update(0, 0x7000_0000)];
    assert!(far.try_write(&concat(&open)).is_ok());
    let (leader, writer) = (connection.get("/"), connection.post("/").body(Body::from_reader(std::io::repeat(7))));
    let (leading, upload) = (task(|| leader.send()), task(|| writer.send()));
    // Until the wire takes nothing, and somebody waits for that.
    let mut sent = 0;
    while std::mem::replace(&mut sent, only(&client).bytes_out) != sent || sent < 16 * 1024 {
        pass(ms(20));
    }
    let began = Instant::now();
    let row = upkeep_one(&client);
    assert!(began.elapsed() < LATE, "it waited for {:?}", began.elapsed());
    assert_eq!((row.action, row.state), (UpkeepAction::Blocked, ConnectionState::Active));
    let mut bytes = Vec::new();
    let mut piece = vec![0; 64 * 1024];
    let began = Instant::now();
    while only(&client).pings_acked == 0 {
        assert!(began.elapsed() < PATIENCE, "whoever leads sends the PING and reads its answer");
        let n = far.try_read(&mut piece).unwrap_or(0);
        bytes.extend_from_slice(&piece[..n]);
        if bytes.starts_with(PREFACE) {
            bytes.drain(..PREFACE.len());
        }
        while let Some(frame) = Frame::parse(&mut bytes) {
            if frame.kind == PING {
                far.try_write(&Frame::ping_ack(&frame.payload).bytes()).unwrap();
            }
        }
    }
    assert_eq!(only(&client).pings_sent, 1);
    leading.assert_waiting();
    upload.assert_waiting();
    client.shutdown();
    for asked in [leading, upload] {
        assert_eq!(asked.join().unwrap_err().kind(), ErrorKind::Cancelled);
    }
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
