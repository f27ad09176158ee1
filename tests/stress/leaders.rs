//! The thread that reads for all leaves, or has to send for another.

use super::{EVERYWHERE, Pattern, far::Place, h2peer::*, rounds};
use bowline::{Cancel, Client, ErrorKind, Protocol};
use std::{
    io::Read,
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

const EIGHT: u64 = 8 << 20;

/// Waits until no more bytes leave: whatever the wire holds is full.
fn until_stuck(client: &Client) {
    const STILL: Duration = Duration::from_millis(20);
    let sent = || client.stats().bytes_out;
    let (mut last, mut since) = (sent(), Instant::now());
    while since.elapsed() < STILL {
        thread::yield_now();
        if sent() != last {
            (last, since) = (sent(), Instant::now());
        }
    }
}

#[test]
fn a_leader_is_cancelled() {
    for over in EVERYWHERE {
        rounds(&format!("20 leaders cancelled on one connection over {over:?}"), move |_| {
            let place = Place::new(over, Protocol::Http2);
            let client = place.client(Protocol::Http2);
            let asking = |cancel: Option<&Cancel>| {
                let request = client.get(place.url());
                let request = match cancel {
                    Some(cancel) => request.cancel_on(cancel),
                    None => request,
                };
                task(move || request.send().and_then(|response| response.text()))
            };
            let mut link = None;
            for turn in 0..20 {
                let cancel = Cancel::new();
                let leader = asking(Some(&cancel));
                let far = link.get_or_insert_with(|| {
                    let mut far = place.accept();
                    far.begin();
                    far
                });
                let led = far.request();
                let followers: Vec<_> = (0..turn % 3 + 1).map(|_| (asking(None), far.request())).collect();
                let cancelled = Instant::now();
                cancel.cancel();
                let (failed, at) = leader.join_at();
                assert_eq!(failed.unwrap_err().kind(), ErrorKind::Cancelled, "{over:?}");
                assert!(
                    at - cancelled < Duration::from_secs(5),
                    "{over:?}: ended {:?} after the cancel",
                    at - cancelled
                );
                assert_eq!(far.expect(RST_STREAM, led).code(), CANCEL, "{over:?}");
                // Each of the others leads until its own answer comes, in the order that suits it least.
                for (follower, stream) in followers.into_iter().rev() {
                    let text = format!("turn {turn}, stream {stream}");
                    far.send(&answer(stream, 200, text.as_bytes()));
                    assert_eq!(follower.join().unwrap(), text, "{over:?}");
                }
            }
            assert_eq!(client.stats().opened, 1);
            place.assert_no_more();
        });
    }
}

#[test]
fn a_leader_sends_what_another_thread_could_not() {
    for over in EVERYWHERE {
        rounds(&format!("8 MiB unsent while another thread leads, HTTP/2.0 over {over:?}"), move |round| {
            let place = Place::new(over, Protocol::Http2);
            let client = place.client(Protocol::Http2);
            let get = || {
                let request = client.get(place.url());
                task(move || request.send().and_then(|response| response.text()))
            };
            let leader = get();
            let mut far = place.accept();
            far.begin();
            let led = far.request();
            let (follower, followed) = (get(), far.request());
            let salt = u64::from(round);
            let request = client.post(place.url()).body(bowline::Body::from_reader(Pattern::new(salt, EIGHT)));
            let upload = task(move || request.send().and_then(|response| response.text()));
            until_stuck(&client);
            // Nothing more can be sent, but what comes is read.
            far.send(&answer(followed, 200, b"meanwhile"));
            assert_eq!(follower.join().unwrap(), "meanwhile", "{over:?}");
            upload.assert_waiting();
            let stream = far.request();
            let mut pattern = Pattern::new(salt, EIGHT);
            loop {
                let frame = far.expect(DATA, stream);
                pattern.expect(&frame.payload);
                if frame.ends() {
                    break;
                }
            }
            assert_eq!(pattern.at, EIGHT, "{over:?}");
            far.send(&answer(stream, 200, b"taken"));
            assert_eq!(upload.join().unwrap(), "taken", "{over:?}");
            leader.assert_waiting();
            far.send(&answer(led, 200, b"at last"));
            assert_eq!(leader.join().unwrap(), "at last", "{over:?}");
            place.assert_no_more();
        });
    }
}

#[test]
fn a_reader_sends_what_the_writer_could_not() {
    for over in EVERYWHERE {
        rounds(&format!("8 MiB unsent while another thread leads, HTTP/1.1 over {over:?}"), move |round| {
            let place = Place::new(over, Protocol::Http1);
            let client = place.client(Protocol::Http1);
            let salt = u64::from(round);
            let request = client.post(place.url()).header("content-length", EIGHT.to_string());
            let (waits, waiting) = mpsc::channel();
            let (saw, seen) = mpsc::channel();
            let asking = task(move || {
                let (mut writer, pending) = request.duplex().unwrap();
                let writing = task(move || {
                    // The other thread is about to lead, or does.
                    waiting.recv().unwrap();
                    std::io::copy(&mut Pattern::new(salt, EIGHT), &mut writer).unwrap();
                    writer.finish().unwrap();
                });
                waits.send(()).unwrap();
                let mut response = pending.wait().unwrap();
                let mut five = [0; 5];
                response.body().read_exact(&mut five).unwrap();
                assert_eq!(&five, b"early");
                writing.assert_waiting();
                saw.send(()).unwrap();
                let mut rest = String::new();
                response.body().read_to_string(&mut rest).unwrap();
                writing.join();
                rest
            });
            let mut far = place.accept();
            far.bytes_until(b"\r\n\r\n");
            until_stuck(&client);
            far.say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nearly\r\n");
            seen.recv_timeout(PATIENCE).unwrap();
            let mut pattern = Pattern::new(salt, EIGHT);
            while pattern.at < EIGHT {
                let n = (EIGHT - pattern.at).min(10_000) as usize;
                pattern.expect(&far.bytes(n));
            }
            far.say(b"4\r\nlate\r\n0\r\n\r\n");
            assert_eq!(asking.join(), "late", "{over:?}");
            place.assert_no_more();
        });
    }
}
