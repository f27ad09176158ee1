//! Which connection a request gets: what arrived while it was idle, its age, and whether it is suspect.

use super::*;

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
