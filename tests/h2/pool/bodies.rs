//! Bodies that are dropped, or read late: what they cost the connection and the others on it.

use super::*;

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
