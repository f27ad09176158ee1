//! What wakes an upload that waits for the peer.

use super::*;
use std::collections::VecDeque;

/// An upload of more than the windows allow, up to where it waits for the peer.
fn stuck_upload(
    settings: &[(u16, u32)],
    connection: u32,
    with: fn(bowline::RequestBuilder) -> bowline::RequestBuilder,
) -> (Client, Peer, Link, Task<Result<Response>>, u32) {
    let (peer, client) = (Peer::new(), client());
    let mut link = idle_with(&client, &peer, settings);
    if connection > 0 {
        link.send(&[Frame::window_update(0, connection)]);
    }
    let request = with(client.post(peer.url("/")).body(vec![7; 200_000]));
    let upload = task(|| request.send());
    let stream = link.request().stream;
    let mut came = 0;
    while came < WINDOW {
        let data = link.expect(DATA);
        assert!(!data.ends());
        came += data.payload.len();
    }
    assert_eq!(came, WINDOW, "all that the window allows");
    link.assert_quiet(ms(30));
    upload.assert_waiting();
    (client, peer, link, upload, stream)
}

fn rest_of_upload(link: &mut Link, upload: Task<Result<Response>>, stream: u32) {
    let began = Instant::now();
    let mut came = WINDOW;
    loop {
        let data = link.expect(DATA);
        assert!(began.elapsed() < LATE, "late: {:?}", began.elapsed());
        came += data.payload.len();
        if data.ends() {
            break;
        }
    }
    assert_eq!(came, 200_000);
    finish(link, upload, stream);
}

#[test]
fn an_upload_wakes_on_credit() {
    // For the stream.
    let (_client, _peer, mut link, upload, stream) = stuck_upload(&[], 1 << 20, |r| r);
    link.send(&[Frame::window_update(stream, 1000)]);
    assert_eq!(link.expect(DATA).payload.len(), 1000);
    link.send(&[Frame::window_update(stream, 1 << 20)]);
    let mut came = WINDOW + 1000;
    while came < 200_000 {
        came += link.expect(DATA).payload.len();
    }
    finish(&mut link, upload, stream);
    // For the connection.
    let (_client, _peer, mut link, upload, stream) = stuck_upload(&[(INITIAL_WINDOW_SIZE, 1 << 20)], 0, |r| r);
    link.send(&[Frame::window_update(0, 1 << 20)]);
    rest_of_upload(&mut link, upload, stream);
    // By SETTINGS, for all streams; the acknowledgement goes out before DATA that uses it.
    let (_client, _peer, mut link, upload, stream) = stuck_upload(&[], 1 << 20, |r| r);
    link.send(&[Frame::settings(&[(INITIAL_WINDOW_SIZE, 1 << 20)])]);
    assert!(link.next().is_ack());
    rest_of_upload(&mut link, upload, stream);
    // A window below zero first has to rise above it.
    let (_client, _peer, mut link, upload, stream) = stuck_upload(&[], 1 << 20, |r| r);
    link.send(&[Frame::settings(&[(INITIAL_WINDOW_SIZE, 0)]), Frame::window_update(stream, WINDOW as u32)]);
    assert!(link.next().is_ack());
    link.assert_quiet(ms(30));
    link.send(&[Frame::window_update(stream, 1 << 20)]);
    rest_of_upload(&mut link, upload, stream);
}

#[test]
fn an_upload_wakes_on_the_end_of_its_stream() {
    // RST_STREAM.
    let (_client, _peer, mut link, upload, stream) = stuck_upload(&[], 0, |r| r);
    link.send(&[Frame::reset(stream, INTERNAL_ERROR)]);
    let reset = Instant::now();
    let (failed, at) = upload.join_at();
    let e = failed.unwrap_err();
    assert_eq!((e.kind(), e.processed()), (ErrorKind::Reset, Processed::Maybe));
    assert!(at <= reset + LATE);

    // The whole answer: kept, and the rest of the upload is not wanted.
    for code in [None, Some(NO_ERROR)] {
        let (client, peer, mut link, upload, stream) = stuck_upload(&[], 0, |r| r);
        link.answer(stream, 413, b"too much");
        if let Some(code) = code {
            link.send(&[Frame::reset(stream, code)]);
        }
        let answer = upload.join().unwrap();
        assert_eq!(answer.status().as_u16(), 413);
        if code.is_none() {
            // At once, not when the body is read.
            let reset = link.expect(RST_STREAM);
            assert_eq!((reset.stream, reset.code()), (stream, NO_ERROR));
        }
        assert_eq!(answer.text().unwrap(), "too much");
        link.send(&[Frame::window_update(0, 1 << 20)]);
        let next = get(&client, &peer);
        // Both may say that they are done with it.
        let stream = link.skip_to(HEADERS).stream;
        finish(&mut link, next, stream);
    }

    // An answer that has begun leaves the upload alone.
    let (_client, _peer, mut link, upload, stream) = stuck_upload(&[], 1 << 20, |r| r);
    link.send(&[Frame::headers(stream, 0, &[(":status", "200")])]);
    let mut answer = upload.join().unwrap();
    let reading = task(move || {
        let mut text = String::new();
        answer.body().read_to_string(&mut text).map(|_| text)
    });
    link.send(&[Frame::window_update(stream, 1 << 20)]);
    let mut came = WINDOW;
    while came < 200_000 {
        came += link.expect(DATA).payload.len();
    }
    link.send(&[Frame::last_data(stream, b"done")]);
    assert_eq!(reading.join().unwrap(), "done");
}

#[test]
fn an_upload_wakes_on_what_happens_to_the_connection() {
    // A GOAWAY below it: elsewhere, from the beginning.
    let (_client, peer, mut link, upload, stream) = stuck_upload(&[], 0, |r| r);
    link.send(&[Frame::goaway(stream - 2, NO_ERROR, b"")]);
    let mut second = peer.h2_with(&[(INITIAL_WINDOW_SIZE, 1 << 20)]);
    second.send(&[Frame::window_update(0, 1 << 20)]);
    let (again, body) = second.request_with_body();
    assert_eq!(body.len(), 200_000);
    finish(&mut second, upload, again);
    // At it: it goes on.
    let (_client, _peer, mut link, upload, stream) = stuck_upload(&[], 1 << 20, |r| r);
    link.send(&[Frame::goaway(stream, NO_ERROR, b"")]);
    link.assert_quiet(ms(30));
    link.send(&[Frame::window_update(stream, 1 << 20)]);
    rest_of_upload(&mut link, upload, stream);
    // Its end.
    let (_client, _peer, link, upload, _) = stuck_upload(&[], 0, |r| r);
    let ended = Instant::now();
    drop(link);
    let (failed, at) = upload.join_at();
    let e = failed.unwrap_err();
    assert_eq!((e.kind(), e.processed()), (ErrorKind::Closed, Processed::Maybe));
    assert!(at <= ended + LATE);
}

#[test]
fn an_upload_wakes_on_its_deadline_and_on_a_cancel() {
    let began = Instant::now();
    let (_client, _peer, mut link, upload, stream) = stuck_upload(&[], 0, |r| r.timeout(ms(400)));
    let (failed, at) = upload.join_at();
    let e = failed.unwrap_err();
    assert_eq!((e.kind(), e.phase(), e.processed()), (ErrorKind::TimedOut, Phase::Send, Processed::Maybe));
    assert!(e.elapsed() >= ms(400) && at >= began + ms(400) && e.elapsed() <= ms(400) + LATE);
    assert!(e.bytes_written() as usize >= WINDOW);
    let reset = link.expect(RST_STREAM);
    assert_eq!((reset.stream, reset.code()), (stream, CANCEL));

    // The limit of a write: the body does not move.
    let limits = |r: bowline::RequestBuilder| r.timeouts(Timeouts::none().write(ms(300)));
    let (_client, _peer, mut link, upload, stream) = stuck_upload(&[], 0, limits);
    let (failed, _) = upload.join_at();
    let e = failed.unwrap_err();
    assert_eq!((e.kind(), e.phase(), e.processed()), (ErrorKind::TimedOut, Phase::Send, Processed::Maybe));
    assert!(e.elapsed() >= ms(300));
    assert_eq!(link.expect(RST_STREAM).stream, stream);

    static CANCELS: Mutex<Vec<Cancel>> = Mutex::new(Vec::new());
    let cancellable = |r: bowline::RequestBuilder| {
        let cancel = Cancel::new();
        CANCELS.lock().unwrap().push(cancel.clone());
        r.cancel_on(&cancel)
    };
    let (_client, _peer, mut link, upload, stream) = stuck_upload(&[], 0, cancellable);
    let cancelled = Instant::now();
    CANCELS.lock().unwrap().drain(..).for_each(|cancel| cancel.cancel());
    let (failed, at) = upload.join_at();
    assert_eq!(failed.unwrap_err().kind(), ErrorKind::Cancelled);
    assert!(at <= cancelled + LATE);
    let reset = link.expect(RST_STREAM);
    assert_eq!((reset.stream, reset.code()), (stream, CANCEL));
}

#[test]
fn a_peer_that_never_reads_is_found_out_by_the_limit_of_a_write() {
    let (peer, client) = (Peer::new(), client());
    let mut link = idle_with(&client, &peer, &[(INITIAL_WINDOW_SIZE, HUGE)]);
    link.send(&[Frame::window_update(0, HUGE - WINDOW as u32)]);
    let limit = ms(400);
    let request = client
        .post(peer.url("/"))
        .timeouts(Timeouts::none().write(limit))
        .body(Body::from_reader(io::repeat(7)).with_len(LARGE));
    let began = Instant::now();
    let (failed, at) = task(|| request.send()).join_at();
    let e = failed.unwrap_err();
    assert_eq!((e.kind(), e.phase(), e.processed()), (ErrorKind::TimedOut, Phase::Send, Processed::Maybe), "{e}");
    assert!(e.elapsed() >= limit && e.bytes_written() > 0);
    // Filling the buffers takes a moment too.
    assert!(at <= began + limit + ms(500) + LATE, "late: {:?}", at - began);
    drop(link);
}

/// Windows and lengths of frames go up and down while three threads send: from each acknowledgement on the new ones hold.
#[test]
fn uploads_of_several_threads_keep_to_every_setting() {
    const LEN: usize = 300_000;
    const TURNS: [(u32, u32); 9] = [
        (0, 16_384),
        (30_000, 20_000),
        (100, 20_000),
        (65_535, 16_384),
        (0, 30_000),
        (1, 16_384),
        (50_000, 16_385),
        (7, 16_384),
        (20_000, 16_384),
    ];
    let (peer, client) = (Peer::new(), client());
    let mut link = idle_with(&client, &peer, &[(INITIAL_WINDOW_SIZE, 5000)]);
    link.send(&[Frame::window_update(0, HUGE - WINDOW as u32)]);
    let uploads = [1, 2, 3].map(|n| post(&client, &peer, vec![n; LEN]));
    let (mut initial, mut longest, mut turns, mut announced) = (5000, 16_384, TURNS.iter(), VecDeque::new());
    let (mut windows, mut came, mut ended, mut frames) = (BTreeMap::new(), BTreeMap::<u32, usize>::new(), 0, 0);
    while ended < uploads.len() {
        let frame = link.next();
        match frame.kind {
            HEADERS => _ = windows.insert(frame.stream, i64::from(initial)),
            DATA => {
                let (window, len) = (windows.get_mut(&frame.stream).unwrap(), frame.payload.len());
                *window -= len as i64;
                assert!(*window >= 0 && len <= longest as usize, "{len} bytes in {window}, {longest}");
                *came.entry(frame.stream).or_default() += len;
                ended += usize::from(frame.ends());
                frames += 1;
            }
            SETTINGS if frame.is_ack() && !announced.is_empty() => {
                let (now, limit) = announced.pop_front().unwrap();
                windows.values_mut().for_each(|window| *window += i64::from(now) - i64::from(initial));
                (initial, longest) = (now, limit);
            }
            _ => continue,
        }
        if frames % 4 == 1 || windows.values().all(|window| *window <= 0) {
            if let Some(&(size, limit)) = turns.next() {
                announced.push_back((size, limit));
                link.send(&[Frame::settings(&[(INITIAL_WINDOW_SIZE, size), (MAX_FRAME_SIZE, limit)])]);
            }
        }
        // Whoever has no window gets one, above zero as it is counted here; if more is announced it may have more already.
        for (stream, window) in windows.iter_mut().filter(|(_, window)| announced.is_empty() && **window <= 0) {
            let more = u32::try_from(9000 - *window).unwrap();
            link.send(&[Frame::window_update(*stream, more)]);
            *window = 9000;
        }
    }
    assert!(turns.next().is_none(), "all of the settings were tried");
    assert!(came.values().all(|came| *came == LEN), "{came:?}");
    for stream in came.keys() {
        link.answer(*stream, 200, b"bye");
    }
    for upload in uploads {
        assert_eq!(upload.join().unwrap().text().unwrap(), "bye");
    }
}
