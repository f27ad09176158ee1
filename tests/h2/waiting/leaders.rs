//! A thread that reads for all: however it leaves, the others are served.

use super::*;

#[test]
fn a_leader_that_times_out_hurts_nobody() {
    let (peer, client) = (Peer::new(), client());
    let mut link = idle(&client, &peer);
    let began = Instant::now();
    let request = client.get(peer.url("/")).timeout(ms(200));
    let leading = task(|| request.send());
    link.request();
    link.assert_quiet(ms(20));
    let followers: Vec<_> = (0..3).map(|_| (get(&client, &peer), link.request().stream)).collect();
    let (failed, at) = leading.join_at();
    assert_on_time(began, ms(200), at);
    assert_eq!(failed.unwrap_err().kind(), ErrorKind::TimedOut);
    assert_eq!(link.expect(RST_STREAM).code(), CANCEL);
    let ping = link.expect(PING);
    link.ack(&ping);
    // One after the other leads, each until its own answer comes.
    for (asked, stream) in followers {
        finish(&mut link, asked, stream);
    }
    peer.assert_no_more();
}

#[test]
fn a_leader_that_is_cancelled_hurts_nobody() {
    let (peer, client, cancel) = (Peer::new(), client(), Cancel::new());
    let mut link = idle(&client, &peer);
    let request = client.get(peer.url("/")).cancel_on(&cancel);
    let leading = task(|| request.send());
    link.request();
    link.assert_quiet(ms(20));
    let follower = get(&client, &peer);
    let stream = link.request().stream;
    let cancelled = Instant::now();
    cancel.cancel();
    let (failed, at) = leading.join_at();
    assert_eq!(failed.unwrap_err().kind(), ErrorKind::Cancelled);
    assert!(at <= cancelled + LATE);
    assert_eq!(link.expect(RST_STREAM).code(), CANCEL);
    let ping = link.expect(PING);
    link.ack(&ping);
    finish(&mut link, follower, stream);
}

/// A body whose next piece is what the test says.
struct Scripted {
    pieces: Receiver<Vec<u8>>,
    asked: Sender<()>,
}

impl Read for Scripted {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let _ = self.asked.send(());
        let piece = self.pieces.recv_timeout(PATIENCE).expect("the test says what is next");
        assert!(piece != b"panic", "as the test wants it");
        buf[..piece.len()].copy_from_slice(&piece);
        Ok(piece.len())
    }
}

/// A scripted body, what feeds it, and what tells that it is read.
fn scripted() -> (Body, Sender<Vec<u8>>, Receiver<()>) {
    let (feed, pieces) = mpsc::channel();
    let (asked, told) = mpsc::channel();
    (Body::from_reader(Scripted { pieces, asked }), feed, told)
}

/// Has a thread upload from a scripted body until it leads; then its reader is asked for more.
fn uploading_leader(
    client: &Client,
    peer: &Peer,
    link: &mut Link,
) -> (thread::JoinHandle<Result<Response>>, u32, Sender<Vec<u8>>, Receiver<()>) {
    let (body, feed, told) = scripted();
    let request = client.post(peer.url("/")).body(body);
    let uploading = thread::spawn(|| request.send());
    told.recv_timeout(PATIENCE).unwrap();
    feed.send(vec![1; 64 * 1024]).unwrap();
    let stream = link.request().stream;
    let mut came = 0;
    while came < WINDOW {
        came += link.expect(DATA).payload.len();
    }
    // The last byte waits for window: the thread sleeps, and leads.
    link.assert_quiet(ms(20));
    (uploading, stream, feed, told)
}

#[test]
fn a_leader_that_panics_hurts_nobody() {
    let (peer, client) = (Peer::new(), client());
    let mut link = idle(&client, &peer);
    let (uploading, stream, feed, told) = uploading_leader(&client, &peer, &mut link);
    link.send(&[Frame::window_update(0, 1 << 20)]);
    let follower = get(&client, &peer);
    let followed = link.request().stream;
    feed.send(b"panic".to_vec()).unwrap();
    link.send(&[Frame::window_update(stream, 1 << 20)]);
    told.recv_timeout(PATIENCE).unwrap();
    assert!(uploading.join().is_err(), "it panicked");
    let reset = link.skip_to(RST_STREAM);
    assert_eq!((reset.stream, reset.code()), (stream, CANCEL));
    finish(&mut link, follower, followed);
    // The connection serves on.
    let next = get(&client, &peer);
    let stream = link.skip_to(HEADERS).stream;
    finish(&mut link, next, stream);
    peer.assert_no_more();
}

#[test]
fn a_leader_whose_body_is_slow_hurts_nobody() {
    let (peer, client) = (Peer::new(), client());
    let mut link = idle(&client, &peer);
    let (uploading, stream, feed, told) = uploading_leader(&client, &peer, &mut link);
    let follower = get(&client, &peer);
    let followed = link.request().stream;
    link.send(&[Frame::window_update(0, 1 << 20), Frame::window_update(stream, 1 << 20)]);
    // Its reader is asked for more and takes its time; the others are served meanwhile.
    told.recv_timeout(PATIENCE).unwrap();
    link.expect(DATA);
    finish(&mut link, follower, followed);
    feed.send(Vec::new()).unwrap();
    while !link.expect(DATA).ends() {}
    link.answer(stream, 200, b"");
    uploading.join().unwrap().unwrap();
}

#[test]
fn a_leader_that_sleeps_is_woken_for_what_others_want() {
    let client = builder().upkeep_interval(Duration::ZERO).build().unwrap();
    let peer = Peer::new();
    let mut link = idle_with(&client, &peer, &[(INITIAL_WINDOW_SIZE, HUGE)]);
    link.send(&[Frame::window_update(0, HUGE - WINDOW as u32)]);
    let (leading, led) = leader(&client, &peer, &mut link);

    // A PING of upkeep.
    let row = client.upkeep().remove(0);
    assert_eq!((row.action, row.state), (UpkeepAction::Pinged, ConnectionState::Active));
    let pings = link.arrived();
    assert_eq!(pings.iter().map(|f| f.kind).collect::<Vec<_>>(), [PING]);
    link.ack(&pings[0]);
    // What is read after a head went out would show that the peer is there.
    while client.connections()[0].pings_acked == 0 {
        thread::yield_now();
    }

    // A cancel of another stream.
    let cancel = Cancel::new();
    let request = client.get(peer.url("/")).cancel_on(&cancel);
    let follower = task(|| request.send());
    let stream = link.request().stream;
    link.assert_quiet(ms(20));
    let cancelled = Instant::now();
    cancel.cancel();
    let (failed, at) = follower.join_at();
    assert_eq!(failed.unwrap_err().kind(), ErrorKind::Cancelled);
    assert!(at <= cancelled + LATE);
    let reset = link.expect(RST_STREAM);
    assert_eq!((reset.stream, reset.code()), (stream, CANCEL));
    let ping = link.expect(PING);
    link.ack(&ping);

    // An upload that does not fit into the socket.
    let upload = post(&client, &peer, vec![7; 8 << 20]);
    link.assert_quiet_until_stuck();
    let (stream, body) = link.request_with_body();
    assert!(body.len() == 8 << 20 && body.iter().all(|b| *b == 7));
    link.answer(stream, 200, b"");
    upload.join().unwrap();

    leading.assert_waiting();
    finish(&mut link, leading, led);
}

impl Link {
    /// Waits until something came, without reading it.
    fn assert_quiet_until_stuck(&mut self) {
        let mut byte = [0];
        assert_eq!(self.socket.peek(&mut byte).expect("something comes"), 1);
    }
}

#[test]
fn a_followers_timeout_is_on_time() {
    let (peer, client) = (Peer::new(), client());
    let mut link = idle(&client, &peer);
    let (leading, led) = leader(&client, &peer, &mut link);
    let followers: Vec<_> = [150, 50, 250, 100]
        .map(|limit| {
            let request = client.get(peer.url("/")).timeout(ms(limit));
            let began = Instant::now();
            (limit, began, task(|| request.send()))
        })
        .into();
    for (limit, began, follower) in followers {
        let (failed, at) = follower.join_at();
        let e = failed.unwrap_err();
        assert_eq!((e.kind(), e.processed()), (ErrorKind::TimedOut, Processed::Maybe));
        assert_on_time(began, ms(limit), at);
        assert!(e.elapsed() >= ms(limit));
    }
    finish(&mut link, leading, led);
}

#[test]
fn a_leader_keeps_its_own_time_however_busy_it_is() {
    let (peer, client) = (Peer::new(), client());
    let mut link = idle(&client, &peer);
    let began = Instant::now();
    let request = client.get(peer.url("/")).timeout(ms(300));
    let leading = task(|| request.send());
    link.request();
    // An endless body of another request, read as it comes.
    let download = get(&client, &peer);
    let stream = link.request().stream;
    link.send(&[Frame::headers(stream, 0, &[(":status", "200")])]);
    let mut body = download.join().unwrap().into_body();
    let (stop, stopped) = mpsc::channel::<()>();
    let reading = task(move || {
        let mut piece = vec![0; 64 * 1024];
        while stopped.try_recv().is_err() {
            assert!(body.read(&mut piece).unwrap() > 0);
        }
    });
    let mut writer = link.writer();
    let flooding = task(move || {
        let mut window = 1024 * 1024;
        // The stream window is credited as the body is read; this stays far below it.
        while writer.try_send(&[Frame::data(stream, &[0; 16])]) && window > 16 {
            window -= 16;
        }
    });
    let (failed, at) = leading.join_at();
    assert_eq!(failed.unwrap_err().kind(), ErrorKind::TimedOut);
    assert_on_time(began, ms(300), at);
    stop.send(()).unwrap();
    link.writer().try_send(&[Frame::data(stream, b"!")]);
    reading.join();
    drop(link);
    flooding.join();
}

#[test]
fn the_pieces_of_a_frame_are_kept_when_the_leader_changes() {
    let (peer, client) = (Peer::new(), client());
    let mut link = idle(&client, &peer);
    let bytes = concat(&answer(3, 200, b"in pieces"));
    for cut in 1..bytes.len() {
        let stream = 3 + 4 * (cut as u32 - 1);
        let bytes = concat(&answer(stream, 200, b"in pieces"));
        let asked = get(&client, &peer);
        assert_eq!(link.request().stream, stream);
        link.send_bytes(&bytes[..cut]);
        // Somebody comes, leads perhaps, and leaves without an answer.
        let mut pending = client.get(peer.url("/")).start();
        assert_eq!(link.request().stream, stream + 2);
        assert!(pending.try_wait().unwrap().is_none());
        drop(pending);
        assert_eq!(link.expect(RST_STREAM).stream, stream + 2);
        link.send_bytes(&bytes[cut..]);
        assert_eq!(asked.join().unwrap().text().unwrap(), "in pieces", "cut at {cut}");
        while let Some(frame) = link.within(Duration::from_micros(1)) {
            link.ack(&frame);
        }
    }
}
