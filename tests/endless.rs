//! Bodies without an end to a peer that takes everything at once: no write ever waits, and still the answer is seen, limits are kept
//! and other threads are heard.

#[path = "support/h2peer.rs"]
mod h2peer;
mod support;

use bowline::{
    Body, Cancel, Connection, ErrorKind, Phase, Protocol,
    http::Version,
    net::{Interest, Waker, Wire},
};
use h2peer::{Frame, INITIAL_WINDOW_SIZE, concat};
use std::{
    io::{self, Read, Write},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};
use support::{builder, late, ms, prompt, timed};

const MIB: u64 = 1 << 20;

/// A wire with endless room, and what comes back on it.
#[derive(Clone)]
struct Sink(Arc<Inner>);

struct Inner {
    written: AtomicU64,
    /// What comes, each when so many bytes were written.
    comes: Mutex<Vec<(u64, Vec<u8>)>>,
    wakers: Mutex<Vec<Waker>>,
}

impl Sink {
    /// An answer after so many bytes of the request.
    fn new(version: Version, answered: Option<u64>) -> Self {
        let (mut comes, mut answer) = (Vec::new(), b"HTTP/1.1 413 Large\r\nContent-Length: 5\r\n\r\nlarge".to_vec());
        if version == Version::HTTP_2 {
            let most = i32::MAX as u32;
            let room = [Frame::settings(&[(INITIAL_WINDOW_SIZE, most)]), Frame::settings_ack()];
            comes.push((1, concat(&[&room[..], &[Frame::window_update(0, most - 65_535)]].concat())));
            answer = concat(&h2peer::answer(1, 413, b"large"));
        }
        comes.extend(answered.map(|at| (at, answer)));
        Sink(Arc::new(Inner { written: AtomicU64::new(0), comes: Mutex::new(comes), wakers: Mutex::default() }))
    }

    fn written(&self) -> u64 {
        self.0.written.load(Ordering::SeqCst)
    }

    fn is_readable(&self) -> bool {
        self.0.comes.lock().unwrap().first().is_some_and(|(at, _)| *at <= self.written())
    }
}

impl Wire for Sink {
    fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
        if !self.is_readable() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let (_, bytes) = self.0.comes.lock().unwrap().remove(0);
        buf[..bytes.len()].copy_from_slice(&bytes);
        Ok(bytes.len())
    }

    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.0.written.fetch_add(bytes.len() as u64, Ordering::SeqCst);
        if self.is_readable() {
            self.0.wakers.lock().unwrap().drain(..).for_each(|waker| waker.wake());
        }
        Ok(bytes.len())
    }

    fn watch(&self, interest: Interest, waker: &Waker) {
        if interest != Interest::Read || self.is_readable() {
            return waker.wake();
        }
        self.0.wakers.lock().unwrap().push(waker.clone());
    }

    fn finish(&self) -> io::Result<()> {
        Ok(())
    }

    fn shutdown(&self) {}
}

const BOTH: [(Version, Protocol); 2] = [(Version::HTTP_11, Protocol::Http1), (Version::HTTP_2, Protocol::Http2)];

/// A connection over such a wire, for each version.
fn each(answered: Option<u64>, mut test: impl FnMut(&Connection, &Sink, Version)) {
    for (version, protocol) in BOTH {
        let sink = Sink::new(version, answered);
        let client = builder().protocol(protocol).build().unwrap();
        let connection = Connection::over(sink.clone(), "http://sink.test", &client).unwrap();
        test(&connection, &sink, version);
    }
}

fn endless() -> Body {
    Body::from_reader(io::repeat(b'x'))
}

#[test]
fn an_answer_is_seen_while_the_body_goes_out() {
    each(Some(MIB), |connection, sink, version| {
        let response = connection.post("/").body(endless()).send().unwrap();
        assert_eq!((response.status().as_u16(), response.version()), (413, version));
        assert_eq!(response.text().unwrap(), "large", "{version:?}");
        assert!(sink.written() < 4 * MIB, "{version:?}: {} bytes", sink.written());
    });
}

#[test]
fn a_body_in_memory_is_no_different() {
    each(Some(MIB), |connection, sink, version| {
        let response = connection.post("/").body(vec![b'x'; 64 * MIB as usize]).send().unwrap();
        assert_eq!(response.status().as_u16(), 413, "{version:?}");
        assert!(sink.written() < 4 * MIB, "{version:?}: {} bytes", sink.written());
    });
}

#[test]
fn limits_are_kept_while_the_body_goes_out() {
    each(None, |connection, _, version| {
        let request = connection.post("/").body(endless()).timeout(ms(200));
        let error = timed(ms(200), || request.send().unwrap_err());
        assert_eq!((error.kind(), error.phase()), (ErrorKind::TimedOut, Phase::Send), "{version:?}: {error}");
    });
}

#[test]
fn a_cancel_is_seen_while_the_body_goes_out() {
    each(None, |connection, sink, version| {
        let (cancel, sink) = (Cancel::new(), sink.clone());
        let request = connection.post("/").body(endless()).cancel_on(&cancel);
        let cancelling = thread::spawn(move || {
            while sink.written() < MIB {
                thread::yield_now();
            }
            cancel.cancel();
            std::time::Instant::now()
        });
        let error = request.send().unwrap_err();
        let cancelled = cancelling.join().unwrap();
        assert!(cancelled.elapsed() < late(cancelled), "{version:?}");
        assert_eq!((error.kind(), error.phase()), (ErrorKind::Cancelled, Phase::Send), "{version:?}: {error}");
    });
}

#[test]
fn a_look_does_not_send_all_of_it() {
    each(None, |connection, sink, version| {
        let mut pending = connection.post("/").body(endless()).start();
        for _ in 0..3 {
            let before = sink.written();
            assert!(prompt(|| pending.try_wait()).unwrap().is_none(), "{version:?}");
            assert!(sink.written() > before, "{version:?}: it does not move");
        }
        let before = sink.written();
        assert!(timed(ms(50), || pending.wait_timeout(ms(50))).unwrap().is_none(), "{version:?}");
        assert!(sink.written() > before);
    });
}

#[test]
fn a_writer_learns_of_the_answer() {
    each(Some(MIB), |connection, sink, version| {
        let (mut writer, pending) = connection.post("/").duplex().unwrap();
        let error = io::copy(&mut io::repeat(b'x'), &mut writer).unwrap_err();
        assert!(error.to_string().contains("has answered"), "{version:?}: {error}");
        assert!(sink.written() < 4 * MIB, "{version:?}: {} bytes", sink.written());
        assert_eq!(pending.wait().unwrap().status(), 413, "{version:?}");
    });
}

#[test]
fn a_writer_keeps_the_total() {
    each(None, |connection, _, version| {
        let piece = vec![b'x'; 10_000];
        let error = timed(ms(200), || {
            let (mut writer, _pending) = connection.post("/").timeout(ms(200)).duplex().unwrap();
            loop {
                if let Err(e) = writer.write_all(&piece) {
                    break bowline::Error::from(e);
                }
            }
        });
        assert_eq!((error.kind(), error.phase()), (ErrorKind::TimedOut, Phase::Send), "{version:?}: {error}");
    });
}

/// Fails when so much of it was read.
struct Fails(u64);

impl Read for Fails {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.0 == 0 {
            return Err(io::Error::other("the disk is gone"));
        }
        let n = buf.len().min(usize::try_from(self.0).unwrap());
        buf[..n].fill(b'x');
        self.0 -= n as u64;
        Ok(n)
    }
}

#[test]
fn a_body_that_fails_behind_the_head_of_the_answer() {
    // The peer answers at once, and the rest of its answer depends on ours: an echo, say.
    for (version, protocol) in BOTH {
        let sink = Sink::new(version, None);
        let head = match version {
            Version::HTTP_2 => concat(&[Frame::headers(1, 0, &[(":status", "200")])]),
            _ => b"HTTP/1.1 200 OK\r\n\r\n".to_vec(),
        };
        sink.0.comes.lock().unwrap().push((100_000, head));
        let client = builder().protocol(protocol).build().unwrap();
        let connection = Connection::over(sink.clone(), "http://sink.test", &client).unwrap();
        let mut response = connection.post("/").body(Body::from_reader(Fails(2 * MIB))).send().unwrap();
        let error = bowline::Error::from(response.body().read(&mut [0; 100]).unwrap_err());
        assert_eq!(error.kind(), ErrorKind::Other, "{version:?}: {error}");
        assert!(error.to_string().contains("the disk is gone"), "{version:?}: {error}");
    }
}

/// A wire on which an answer comes that never ends and never pauses.
struct Spring(AtomicU64);

impl Wire for Spring {
    fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
        let head = b"HTTP/1.1 200 OK\r\n\r\n";
        if self.0.swap(1, Ordering::SeqCst) == 0 {
            buf[..head.len()].copy_from_slice(head);
            return Ok(head.len());
        }
        buf.fill(b'x');
        Ok(buf.len())
    }

    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn watch(&self, _: Interest, waker: &Waker) {
        waker.wake();
    }

    fn finish(&self) -> io::Result<()> {
        Ok(())
    }

    fn shutdown(&self) {}
}

#[test]
fn a_body_without_an_end_holds_nobody_who_drops_it() {
    let client = builder().max_drain(usize::MAX).build().unwrap();
    let connection = Connection::over(Spring(AtomicU64::new(0)), "http://spring.test", &client).unwrap();
    let response = connection.get("/").send().unwrap();
    h2peer::task(move || drop(response)).join();
    // It could not be kept.
    assert!(connection.get("/").send().is_err());
}
