//! A scripted HTTP/2 peer: raw frames over 127.0.0.1 or any other byte stream, read and written by hand.
//!
//! What tells requests apart is their stream and their body. Every wait has a limit, so a test that would hang fails instead, and
//! says where.

#![allow(dead_code)] // Each test file uses its part.

#[path = "frame.rs"]
mod frame;

pub use frame::*;
use std::{
    collections::BTreeMap,
    io::{self, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

/// How long anything may take before the test gives up: far above what a busy machine needs.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// How late something timed may be.
pub const LATE: Duration = Duration::from_millis(250);

/// Where connections arrive.
pub struct Peer {
    address: SocketAddr,
    sockets: Receiver<TcpStream>,
}

impl Default for Peer {
    fn default() -> Self {
        Self::new()
    }
}

impl Peer {
    pub fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let (send, sockets) = mpsc::channel();
        // Ends with the first connection that nobody takes any more.
        thread::spawn(move || listener.incoming().flatten().try_for_each(|socket| send.send(socket)));
        Peer { address, sockets }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The next connection, nothing read yet.
    pub fn accept(&self) -> Link {
        Link::new(self.sockets.recv_timeout(PATIENCE).expect("no connection came"))
    }

    /// The next connection, if one comes within this time.
    pub fn accept_within(&self, d: Duration) -> Option<Link> {
        self.sockets.recv_timeout(d).ok().map(Link::new)
    }

    /// The next connection, after preface and SETTINGS of both sides.
    pub fn h2(&self) -> Link {
        self.h2_with(&[])
    }

    pub fn h2_with(&self, settings: &[(u16, u32)]) -> Link {
        let mut link = self.accept();
        link.handshake(settings);
        link
    }

    /// Asserts that nobody has connected.
    pub fn assert_no_more(&self) {
        assert!(self.sockets.try_recv().is_err(), "another connection was made");
    }

    /// Serves every connection from now on, each in a thread of its own.
    pub fn serve(self, handler: impl Fn(Link) + Clone + Send + 'static) {
        thread::spawn(move || {
            for socket in self.sockets {
                let handler = handler.clone();
                thread::spawn(move || handler(Link::new(socket)));
            }
        });
    }
}

/// One connection, from the peer's side.
pub struct Link {
    pub socket: TcpStream,
    buf: Vec<u8>,
}

impl Link {
    pub fn new(socket: TcpStream) -> Self {
        socket.set_nodelay(true).expect("no delay");
        socket.set_read_timeout(Some(PATIENCE)).expect("a read timeout");
        socket.set_write_timeout(Some(PATIENCE)).expect("a write timeout");
        Link { socket, buf: Vec::new() }
    }

    /// Another handle of the same connection, for a thread that only writes.
    pub fn writer(&self) -> Link {
        Link { socket: self.socket.try_clone().expect("a second handle"), buf: Vec::new() }
    }

    /// Reads preface and SETTINGS, sends SETTINGS and the acknowledgement.
    pub fn handshake(&mut self, settings: &[(u16, u32)]) {
        self.preface();
        self.send(&[Frame::settings(settings), Frame::settings_ack()]);
    }

    /// Reads preface and SETTINGS.
    pub fn preface(&mut self) -> Frame {
        assert_eq!(self.bytes(PREFACE.len()), PREFACE);
        let first = self.next();
        assert_eq!((first.kind, first.flags), (SETTINGS, 0), "the first frame");
        first
    }

    /// Exactly so many bytes.
    pub fn bytes(&mut self, n: usize) -> Vec<u8> {
        while self.buf.len() < n {
            assert!(self.fill(), "the connection ended after {} of {n} bytes: {:?}", self.buf.len(), self.buf);
        }
        self.buf.drain(..n).collect()
    }

    /// What arrived up to and including `end`.
    pub fn bytes_until(&mut self, end: &[u8]) -> Vec<u8> {
        loop {
            if let Some(at) = self.buf.windows(end.len()).position(|w| w == end) {
                return self.buf.drain(..at + end.len()).collect();
            }
            assert!(self.fill(), "the connection ended within {:?}", self.buf.escape_ascii().to_string());
        }
    }

    /// Reads once; false at the end, however it came.
    fn fill(&mut self) -> bool {
        let mut piece = vec![0; 64 * 1024];
        match self.socket.read(&mut piece) {
            Ok(0) => false,
            Ok(n) => {
                self.buf.extend_from_slice(&piece[..n]);
                true
            }
            Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                panic!("nothing came for {PATIENCE:?}")
            }
            Err(_) => false,
        }
    }

    /// The next frame; `None` at the end of the connection.
    pub fn next_or_end(&mut self) -> Option<Frame> {
        loop {
            if let Some(frame) = Frame::parse(&mut self.buf) {
                return Some(frame);
            }
            if !self.fill() {
                assert!(self.buf.is_empty(), "the connection ended within a frame");
                return None;
            }
        }
    }

    /// The next frame, whatever it is.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Frame {
        self.next_or_end().expect("the connection ended")
    }

    /// The next frame that is no bookkeeping (acknowledged SETTINGS, WINDOW_UPDATE); it has to be of this kind.
    pub fn expect(&mut self, kind: u8) -> Frame {
        loop {
            let frame = self.next();
            if frame.kind == kind {
                return frame;
            }
            assert!(is_bookkeeping(&frame), "expected a frame of type {kind}: {frame:?}");
        }
    }

    /// The next frame of this kind, whatever comes before it.
    pub fn skip_to(&mut self, kind: u8) -> Frame {
        loop {
            let frame = self.next();
            if frame.kind == kind {
                return frame;
            }
        }
    }

    /// The head of the next request.
    pub fn request(&mut self) -> Frame {
        self.expect(HEADERS)
    }

    /// The next request with its whole body.
    pub fn request_with_body(&mut self) -> (u32, Vec<u8>) {
        let head = self.request();
        let mut body = Vec::new();
        let mut ended = head.ends();
        while !ended {
            let frame = self.expect(DATA);
            assert_eq!(frame.stream, head.stream);
            ended = frame.ends();
            body.extend(frame.payload);
        }
        (head.stream, body)
    }

    /// The next `n` requests, by stream, with their bodies, which may come in turns.
    pub fn requests(&mut self, n: usize) -> BTreeMap<u32, Vec<u8>> {
        let (mut bodies, mut ended) = (BTreeMap::<u32, Vec<u8>>::new(), 0);
        while ended < n {
            let frame = self.next();
            match frame.kind {
                HEADERS => assert!(bodies.insert(frame.stream, Vec::new()).is_none(), "trailers: {frame:?}"),
                DATA => bodies.get_mut(&frame.stream).expect("a head comes first").extend(&frame.payload),
                _ => assert!(is_bookkeeping(&frame), "expected requests: {frame:?}"),
            }
            ended += usize::from(frame.ends());
        }
        bodies
    }

    /// Reads until the end of the connection and returns the frames before it that are no bookkeeping.
    pub fn rest(&mut self) -> Vec<Frame> {
        std::iter::from_fn(|| self.next_or_end()).filter(|f| !is_bookkeeping(f)).collect()
    }

    /// What has arrived by now, without waiting.
    pub fn arrived(&mut self) -> Vec<Frame> {
        self.socket.set_nonblocking(true).expect("non-blocking");
        let mut piece = vec![0; 64 * 1024];
        while let Ok(n @ 1..) = self.socket.read(&mut piece) {
            self.buf.extend_from_slice(&piece[..n]);
        }
        self.socket.set_nonblocking(false).expect("blocking");
        std::iter::from_fn(|| Frame::parse(&mut self.buf)).filter(|f| !is_bookkeeping(f)).collect()
    }

    /// The next frame that has arrived, whatever it is, without waiting.
    pub fn waiting(&mut self) -> Option<Frame> {
        if let Some(frame) = Frame::parse(&mut self.buf) {
            return Some(frame);
        }
        self.socket.set_nonblocking(true).expect("non-blocking");
        let mut piece = vec![0; 64 * 1024];
        while let Ok(n @ 1..) = self.socket.read(&mut piece) {
            self.buf.extend_from_slice(&piece[..n]);
        }
        self.socket.set_nonblocking(false).expect("blocking");
        Frame::parse(&mut self.buf)
    }

    /// Asserts that no frame but bookkeeping comes for this long.
    pub fn assert_quiet(&mut self, d: Duration) {
        let frame = self.within(d);
        assert!(frame.is_none(), "nothing was expected: {frame:?}");
    }

    /// The next frame that is no bookkeeping, if one comes within this time.
    pub fn within(&mut self, d: Duration) -> Option<Frame> {
        let until = Instant::now() + d;
        let mut piece = vec![0; 64 * 1024];
        let found = loop {
            match Frame::parse(&mut self.buf) {
                Some(frame) if is_bookkeeping(&frame) => continue,
                Some(frame) => break Some(frame),
                None => {}
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break None;
            }
            self.socket.set_read_timeout(Some(left)).expect("a read timeout");
            match self.socket.read(&mut piece) {
                Ok(0) => break None,
                Ok(n) => self.buf.extend_from_slice(&piece[..n]),
                Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {}
                Err(_) => break None,
            }
        };
        self.socket.set_read_timeout(Some(PATIENCE)).expect("a read timeout");
        found
    }

    /// Sends frames in one write.
    pub fn send(&mut self, frames: &[Frame]) {
        self.send_bytes(&concat(frames));
    }

    pub fn send_bytes(&mut self, bytes: &[u8]) {
        self.socket.write_all(bytes).expect("the client closed the connection");
    }

    /// Sends frames to a client that may be gone.
    pub fn try_send(&mut self, frames: &[Frame]) -> bool {
        self.socket.write_all(&concat(frames)).is_ok()
    }

    /// Answers a request in one write.
    pub fn answer(&mut self, stream: u32, status: u16, body: &[u8]) {
        self.send(&answer(stream, status, body));
    }

    /// Answers the PING.
    pub fn ack(&mut self, ping: &Frame) {
        assert_eq!((ping.kind, ping.flags), (PING, 0));
        self.send(&[Frame::ping_ack(&ping.payload)]);
    }

    /// Ends our direction.
    pub fn finish(&self) {
        self.socket.shutdown(std::net::Shutdown::Write).expect("the connection is over already");
    }

    /// Answers whatever comes until the connection ends: requests with a 200, PINGs with their ACK; returns what came.
    pub fn serve(mut self) -> Vec<Frame> {
        let mut seen = Vec::new();
        while let Some(frame) = self.next_or_end() {
            let on = match frame.kind {
                _ if frame.ends() => self.try_send(&answer(frame.stream, 200, b"ok")),
                PING if !frame.is_ack() => self.try_send(&[Frame::ping_ack(&frame.payload)]),
                SETTINGS if !frame.is_ack() => self.try_send(&[Frame::settings_ack()]),
                _ => true,
            };
            seen.push(frame);
            if !on {
                break;
            }
        }
        seen
    }
}

/// The frames of an answer.
pub fn answer(stream: u32, status: u16, body: &[u8]) -> Vec<Frame> {
    let status = status.to_string();
    let mut frames = vec![Frame::headers(stream, 0, &[(":status", &status)])];
    let mut pieces = body.chunks(16 * 1024).peekable();
    if pieces.peek().is_none() {
        frames[0].flags |= END_STREAM;
    }
    while let Some(piece) = pieces.next() {
        let flags = if pieces.peek().is_none() { END_STREAM } else { 0 };
        frames.push(Frame::new(DATA, flags, stream, piece));
    }
    frames
}

fn is_bookkeeping(frame: &Frame) -> bool {
    frame.kind == WINDOW_UPDATE || frame.kind == SETTINGS && frame.is_ack()
}

/// Something that runs in a thread of its own and is waited for with a limit.
pub struct Task<T> {
    result: Receiver<(T, Instant)>,
    handle: thread::JoinHandle<()>,
}

/// Runs `f` in a thread of its own.
pub fn task<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> Task<T> {
    let (send, result) = mpsc::channel();
    let handle = thread::spawn(move || {
        let value = f();
        // The test may have failed meanwhile.
        let _ = send.send((value, Instant::now()));
    });
    Task { result, handle }
}

impl<T> Task<T> {
    /// What it returned.
    #[track_caller]
    pub fn join(self) -> T {
        self.join_at().0
    }

    /// What it returned, and when.
    #[track_caller]
    pub fn join_at(self) -> (T, Instant) {
        match self.result.recv_timeout(PATIENCE) {
            Ok(result) => result,
            Err(RecvTimeoutError::Timeout) => panic!("it still waits after {PATIENCE:?}"),
            Err(RecvTimeoutError::Disconnected) => {
                let _ = self.handle.join();
                panic!("it panicked")
            }
        }
    }

    /// Asserts that it has not returned.
    #[track_caller]
    pub fn assert_waiting(&self) {
        assert!(self.result.try_recv().is_err(), "it returned already");
    }
}

/// Asserts that something was due after `due` and came neither early nor too late.
#[track_caller]
pub fn assert_on_time(began: Instant, due: Duration, at: Instant) {
    let took = at.saturating_duration_since(began);
    assert!(took >= due, "early: after {took:?} instead of {due:?}");
    assert!(took <= due + LATE, "late: after {took:?} instead of {due:?}");
}

/// How often a race is repeated.
pub fn rounds() -> u32 {
    std::env::var("BOWLINE_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(20)
}
