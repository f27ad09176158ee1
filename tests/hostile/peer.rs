//! The server under attack, the client that must not notice, and a writer of frames.

use crate::raw::{LONG, Raw};
use bowline::{Exchange, Result, Server, ServerHandle, ServerTimeouts};
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

pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const PRIORITY: u8 = 2;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PUSH_PROMISE: u8 = 5;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;

pub const END_STREAM: u8 = 1;
pub const ACK: u8 = 1;
pub const END_HEADERS: u8 = 4;
pub const PADDED: u8 = 8;
pub const PRIORITIZED: u8 = 0x20;

pub const PROTOCOL_ERROR: u32 = 1;
pub const FLOW_CONTROL_ERROR: u32 = 3;
pub const STREAM_CLOSED: u32 = 5;
pub const FRAME_SIZE_ERROR: u32 = 6;
pub const COMPRESSION_ERROR: u32 = 9;
pub const ENHANCE_YOUR_CALM: u32 = 11;

/// A frame as it came.
#[derive(Debug)]
pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

impl Frame {
    /// The code of RST_STREAM or GOAWAY.
    pub fn code(&self) -> u32 {
        let at = if self.kind == GOAWAY { 4 } else { 0 };
        u32::from_be_bytes(self.payload[at..at + 4].try_into().unwrap())
    }
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
            if let Some([a, b, c, kind, flags, s @ ..]) = self.unread.first_chunk::<9>().copied() {
                let len = u32::from_be_bytes([0, a, b, c]) as usize;
                if self.unread.len() >= 9 + len {
                    let stream = u32::from_be_bytes(s);
                    let payload = self.unread[9..9 + len].to_vec();
                    self.unread.drain(..9 + len);
                    return Some(Frame { kind, flags, stream, payload });
                }
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
    let mut bytes = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

pub fn settings(values: &[(u16, u32)]) -> Vec<u8> {
    let payload: Vec<u8> =
        values.iter().flat_map(|(id, value)| [&id.to_be_bytes()[..], &value.to_be_bytes()].concat()).collect();
    frame(SETTINGS, 0, 0, &payload)
}

/// Literals without indexing (RFC 7541, section 6.2.2).
pub fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            integer(text.len(), 0x7f, 0, &mut block);
            block.extend(text.as_bytes());
        }
    }
    block
}

/// An integer behind the flags of its first octet (RFC 7541, section 5.1).
pub fn integer(n: usize, max: u8, flags: u8, block: &mut Vec<u8>) {
    let Some(mut rest) = n.checked_sub(usize::from(max)) else { return block.push(flags | n as u8) };
    block.push(flags | max);
    while rest > 127 {
        block.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    block.push(rest as u8);
}

pub fn headers(stream: u32, flags: u8, fields: &[(&str, &str)]) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | flags, stream, &block(fields))
}

pub const POST: [(&str, &str); 4] = [(":method", "POST"), (":scheme", "http"), (":authority", "a"), (":path", "/")];

pub fn get(stream: u32, flags: u8, path: &str) -> Vec<u8> {
    headers(stream, flags, &[(":method", "GET"), (":scheme", "http"), (":authority", "a"), (":path", path)])
}

pub fn update(stream: u32, by: u32) -> Vec<u8> {
    frame(WINDOW_UPDATE, 0, stream, &by.to_be_bytes())
}

pub fn reset(stream: u32) -> Vec<u8> {
    frame(RST_STREAM, 0, stream, &8u32.to_be_bytes())
}
