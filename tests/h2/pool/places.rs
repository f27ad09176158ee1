//! Who gets a stream, and when: one connection for many, limits of streams, and what waits in line.

use super::*;

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
    assert_eq!((e.kind(), e.phase(), e.processed()), (ErrorKind::PoolTimeout, Phase::Slot, Processed::No));
    assert!(e.is_timeout() && e.is_retryable() && e.elapsed() >= ms(100));
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
    assert_eq!(e.phase(), Phase::FirstByte, "it had its stream: {e}");
    let reset = link.skip_to(RST_STREAM);
    assert_eq!((reset.stream, reset.code()), (stream, CANCEL));
}

/// Takes uploads as they come, gives credit for them, and answers each with its first byte.
fn take_uploads(mut link: Link) {
    let mut bodies = BTreeMap::<u32, Vec<u8>>::new();
    while let Some(frame) = link.next_or_end() {
        if !matches!(frame.kind, HEADERS | DATA) {
            continue;
        }
        let body = bodies.entry(frame.stream).or_default();
        if frame.kind == DATA {
            body.extend(&frame.payload);
            let credit = frame.payload.len() as u32;
            if credit > 0 {
                link.try_send(&[Frame::window_update(0, credit), Frame::window_update(frame.stream, credit)]);
            }
        }
        if frame.ends() {
            let body = bodies.remove(&frame.stream).unwrap();
            link.try_send(&answer(frame.stream, 200, &body[..1]));
        }
    }
}

/// Whoever waits for a stream sends the bodies that keep the streams from becoming free, and those of requests in line before it.
#[test]
fn uploads_that_were_started_can_be_waited_for_in_any_order() {
    for (streams, len) in [(1, 3), (2, 200_000), (1, 70_000)] {
        let (peer, client) = (Peer::new(), client());
        let link = idle_with(&client, &peer, &[(MAX_CONCURRENT_STREAMS, streams)]);
        let taking = task(|| take_uploads(link));
        let upload = |name: u8| client.post(peer.url("/")).body(vec![name; len]).timeout(PATIENCE / 2).start();
        let mut pending: Vec<_> = (b'a'..b'g').map(|name| (name, upload(name))).collect();
        // Neither the first nor the last.
        let first = pending.remove(3);
        for (name, pending) in std::iter::once(first).chain(pending.into_iter().rev()) {
            let text = pending.wait().unwrap_or_else(|e| panic!("{len} bytes, {streams} streams: {e}")).text().unwrap();
            assert_eq!(text.as_bytes(), [name]);
        }
        drop(client);
        taking.join();
    }
}

/// The same for a connection of the program's own, and for a plain request in line behind them.
#[test]
fn a_plain_request_sends_what_was_started_before_it() {
    let (peer, client) = (Peer::new(), client());
    let own = client.connect(peer.url("/")).unwrap();
    let asking = own.get("/");
    let asked = task(|| asking.send());
    let mut link = peer.accept();
    link.handshake(&[(MAX_CONCURRENT_STREAMS, 1)]);
    // The limit is known once there is an answer.
    let head = link.request();
    link.answer(head.stream, 200, b"");
    asked.join().unwrap();
    let taking = task(|| take_uploads(link));
    let started = own.post("/").body(vec![b'a'; 200_000]).start();
    let text = own.post("/").body("b").timeout(PATIENCE / 2).send().unwrap().text().unwrap();
    assert_eq!(text, "b");
    assert_eq!(started.wait().unwrap().text().unwrap(), "a");
    drop((own, client));
    taking.join();
}

/// Who waited for an upload and gives that up leaves it to those who are in line behind it.
#[test]
fn an_upload_that_is_not_waited_for_any_more_is_sent_by_who_is_in_line() {
    let (peer, client) = (Peer::new(), client());
    let mut link = idle_with(&client, &peer, &[(MAX_CONCURRENT_STREAMS, 1), (INITIAL_WINDOW_SIZE, 1)]);
    let mut upload = client.post(peer.url("/")).body("abc").start();
    let head = link.request();
    assert_eq!(link.expect(DATA).payload, b"a");
    // It is not in nobody's hands while the other one gets in line.
    let (behind, waits) = (start(&client, &peer), Instant::now());
    let owner = task(move || (upload.wait_timeout(ms(200)), upload));
    let waiting = task(|| behind.wait());
    let (gave_up, upload) = owner.join();
    assert!(gave_up.unwrap().is_none() && waits.elapsed() >= ms(200));
    link.send(&[Frame::window_update(head.stream, 2)]);
    let rest = link.expect(DATA);
    assert_eq!((&rest.payload[..], rest.ends()), (&b"bc"[..], true));
    link.answer(head.stream, 200, b"up");
    let next = link.request();
    link.answer(next.stream, 200, b"get");
    assert_eq!(waiting.join().unwrap().text().unwrap(), "get");
    assert_eq!(upload.wait().unwrap().text().unwrap(), "up");
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
