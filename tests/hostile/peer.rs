//! The server under attack, the client that must not notice, and a writer of frames.

#[path = "../support/frame.rs"]
mod frame;

use crate::raw::{LONG, Raw};
use bowline::{Exchange, Result, Server, ServerHandle, ServerTimeouts};
pub use frame::*;
use std::{
    io::{Read, Write},
    net::TcpStream,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// The tests measure the memory of the process, so they take turns.
static TURN: Mutex<()> = Mutex::new(());

/// How much more memory an attack may leave behind.
const MEMORY: usize = 64 << 20;

/// A server that notes which paths its handler saw.
pub struct Target {
    pub server: ServerHandle,
    seen: Arc<Mutex<Vec<String>>>,
    good: Raw,
    memory: usize,
    _turn: MutexGuard<'static, ()>,
}

impl Target {
    pub fn new() -> Self {
        Self::with(ServerTimeouts::default())
    }

    pub fn with(timeouts: ServerTimeouts) -> Self {
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = Arc::new(Mutex::new(Vec::new()));
        let notes = seen.clone();
        let server = Server::bind("127.0.0.1:0").unwrap().timeouts(timeouts).spawn(
            move |mut exchange: Exchange| -> Result<()> {
                notes.lock().unwrap().push(exchange.uri().to_string());
                if exchange.path() == "/big" {
                    return exchange.reply(200, vec![7; 256 << 10]);
                }
                if exchange.path() == "/unread" {
                    return exchange.reply(200, "unread");
                }
                let mut body = Vec::new();
                exchange.body().read_to_end(&mut body)?;
                exchange.reply(200, format!("{} bytes", body.len()))
            },
        );
        let server = server.unwrap();
        let good = Raw::connect(server.local_addr());
        let mut target = Target { server, seen, good, memory: 0, _turn: turn };
        target.good();
        target.memory = resident();
        target
    }

    pub fn raw(&self) -> Raw {
        Raw::connect(self.server.local_addr())
    }

    pub fn h2(&self) -> Peer {
        let mut peer = Peer::connect(self);
        peer.send(PREFACE).send(frame(SETTINGS, 0, 0, b""));
        peer
    }

    /// The well-behaved client asks, on the connection it has had from the start, and gets its answer.
    pub fn good(&mut self) {
        let answer = self.good.send("GET /good HTTP/1.1\r\nHost: x\r\n\r\n").answer();
        assert_eq!((answer.status(), answer.text()), (200, "0 bytes"));
    }

    /// What the handler saw apart from the well-behaved client.
    pub fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().iter().filter(|path| *path != "/good").cloned().collect()
    }

    /// The attack is over: the server answers as before, on an old connection and on new ones of both versions.
    pub fn survives(&mut self, attack: &str) {
        self.good();
        let fresh = self.raw().send("GET /good HTTP/1.1\r\nHost: x\r\n\r\n").answer();
        assert_eq!(fresh.status(), 200, "{attack}");
        let mut peer = self.h2();
        peer.send(get(1, END_STREAM, "/good"));
        peer.until(|f| f.kind == DATA && f.stream == 1 && f.flags & END_STREAM != 0);
        let now = resident();
        assert!(now < self.memory + MEMORY, "{attack}: {} bytes became {now}", self.memory);
    }
}

/// Returns how many bytes the process has in memory; elsewhere than on Linux nothing.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|kib| kib.trim().trim_end_matches(" kB").parse::<usize>().ok()).map_or(0, |kib| kib << 10)
}

/// A raw HTTP/2 client.
pub struct Peer {
    pub socket: TcpStream,
    unread: Vec<u8>,
}

impl Peer {
    pub fn connect(target: &Target) -> Self {
        let socket = TcpStream::connect(target.server.local_addr()).unwrap();
        socket.set_read_timeout(Some(LONG)).unwrap();
        socket.set_write_timeout(Some(LONG)).unwrap();
        Peer { socket, unread: Vec::new() }
    }

    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.socket.write_all(bytes.as_ref()).unwrap();
        self
    }

    /// Sends as long as the server takes it, and a little patience lasts.
    pub fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.socket.set_write_timeout(Some(Duration::from_millis(500))).unwrap();
        self.socket.write_all(bytes.as_ref()).is_ok()
    }

    /// The next frame, or the end.
    pub fn next(&mut self) -> Option<Frame> {
        loop {
            if let Some(frame) = Frame::parse(&mut self.unread) {
                return Some(frame);
            }
            let mut buf = [0; 16 << 10];
            match self.socket.read(&mut buf) {
                Ok(0) => return None,
                Ok(n) => self.unread.extend_from_slice(&buf[..n]),
                Err(e) if e.kind() == std::io::ErrorKind::ConnectionReset => return None,
                Err(e) => panic!("nothing came: {e}"),
            }
        }
    }

    pub fn until(&mut self, wanted: impl Fn(&Frame) -> bool) -> Frame {
        let mut passed = Vec::new();
        loop {
            match self.next() {
                Some(frame) if wanted(&frame) => return frame,
                Some(frame) => passed.push((frame.kind, frame.flags, frame.stream)),
                None => panic!("the connection ended after {passed:?}"),
            }
        }
    }

    /// Everything up to the end; returns the last GOAWAY's code.
    pub fn farewell(&mut self) -> Option<u32> {
        let mut code = None;
        while let Some(frame) = self.next() {
            if frame.kind == GOAWAY {
                code = Some(frame.code());
            }
        }
        code
    }

    /// The connection lives: a PING is answered. Returns what came before.
    pub fn lives(&mut self) -> Vec<Frame> {
        self.send(frame(PING, 0, 0, b"are you?"));
        let mut before = Vec::new();
        loop {
            let next = self.next().unwrap_or_else(|| panic!("the connection ended after {before:?}"));
            if next.kind == PING && next.flags & ACK != 0 && next.payload == b"are you?" {
                return before;
            }
            assert_ne!(next.kind, GOAWAY, "{:?}", String::from_utf8_lossy(&next.payload));
            before.push(next);
        }
    }
}

pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    Frame::new(kind, flags, stream, payload).bytes()
}

pub fn settings(values: &[(u16, u32)]) -> Vec<u8> {
    Frame::settings(values).bytes()
}

pub fn headers(stream: u32, flags: u8, fields: &[(&str, &str)]) -> Vec<u8> {
    Frame::headers(stream, flags, fields).bytes()
}

pub const POST: [(&str, &str); 4] = [(":method", "POST"), (":scheme", "http"), (":authority", "a"), (":path", "/")];

pub fn get(stream: u32, flags: u8, path: &str) -> Vec<u8> {
    headers(stream, flags, &[(":method", "GET"), (":scheme", "http"), (":authority", "a"), (":path", path)])
}

pub fn update(stream: u32, by: u32) -> Vec<u8> {
    Frame::window_update(stream, by).bytes()
}

pub fn reset(stream: u32) -> Vec<u8> {
    Frame::reset(stream, CANCEL).bytes()
}
