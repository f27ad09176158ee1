//! A client that writes frames by hand, and what it waits for.

#[path = "../support/frame.rs"]
mod frame;

use crate::tls;
pub use frame::*;
use rustls::ClientConfig;
use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    sync::Arc,
    time::Duration,
};

/// How long nothing may come where something has to.
const PATIENCE: Duration = Duration::from_secs(10);

/// The same for servers that others wrote, which often answer with silence.
const COMMON_PATIENCE: Duration = Duration::from_secs(2);

/// Whether a case was passed, and if not what came instead.
pub type Verdict = Result<(), String>;

/// How much is asked of a server.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// An end without a word will do for an error.
    Common,
    /// It has to say what the error is, and no stream error may cost the connection.
    Strict,
}

/// A server, and how to speak with it.
pub struct Target {
    pub address: SocketAddr,
    pub tls: Option<Arc<ClientConfig>>,
    pub measure: Measure,
}

/// What came next.
enum Came {
    Frame(Frame),
    End,
    Silence,
}

trait Wire: Read + Write {}
impl<T: Read + Write> Wire for T {}

/// A connection.
pub struct Client {
    wire: Box<dyn Wire>,
    unread: Vec<u8>,
    measure: Measure,
    scheme: &'static str,
    authority: String,
    /// What the server has said about itself.
    pub theirs: Vec<(u16, u32)>,
    passed: Vec<String>,
}

impl Client {
    pub fn connect(target: &Target) -> Result<Self, String> {
        let socket = TcpStream::connect(target.address).map_err(|e| e.to_string())?;
        let patience = if target.measure == Measure::Strict { PATIENCE } else { COMMON_PATIENCE };
        socket.set_read_timeout(Some(patience)).and(socket.set_write_timeout(Some(patience))).expect("a time limit");
        socket.set_nodelay(true).expect("an option");
        let wire: Box<dyn Wire> = match &target.tls {
            None => Box::new(socket),
            Some(config) => Box::new(tls::connect(socket, target.address, config)),
        };
        Ok(Client {
            wire,
            unread: Vec::new(),
            measure: target.measure,
            scheme: if target.tls.is_some() { "https" } else { "http" },
            authority: target.address.to_string(),
            theirs: Vec::new(),
            passed: Vec::new(),
        })
    }

    pub fn is_strict(&self) -> bool {
        self.measure == Measure::Strict
    }

    /// Preface and settings, both ways, with their acknowledgements.
    pub fn settle(&mut self) -> Verdict {
        self.raw(PREFACE).settings(&[]);
        let (mut theirs, mut acked) = (false, false);
        while !(theirs && acked) {
            match self.next() {
                Came::Frame(f) if f.kind == SETTINGS && f.flags & ACK != 0 => acked = true,
                Came::Frame(f) if f.kind == SETTINGS => {
                    let number = |six: &[u8]| u32::from_be_bytes([six[2], six[3], six[4], six[5]]);
                    self.theirs = f
                        .payload
                        .chunks_exact(6)
                        .map(|six| (u16::from_be_bytes([six[0], six[1]]), number(six)))
                        .collect();
                    self.frame(SETTINGS, ACK, 0, b"");
                    theirs = true;
                }
                Came::Frame(f) if f.kind == WINDOW_UPDATE => {}
                other => return Err(self.instead("settings and their acknowledgement", other)),
            }
        }
        Ok(())
    }

    /// Writes what it is given. Servers close while they are written to, so what comes of it is seen by reading.
    pub fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        let _ = self.wire.write_all(bytes).and_then(|()| self.wire.flush());
        self
    }

    pub fn frame(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> &mut Self {
        self.raw(&Frame::new(kind, flags, stream, payload).bytes())
    }

    pub fn settings(&mut self, values: &[(u16, u32)]) -> &mut Self {
        self.raw(&Frame::settings(values).bytes())
    }

    pub fn window_update(&mut self, stream: u32, by: u32) -> &mut Self {
        self.raw(&Frame::window_update(stream, by).bytes())
    }

    pub fn reset(&mut self, stream: u32, code: u32) -> &mut Self {
        self.raw(&Frame::reset(stream, code).bytes())
    }

    /// The fields of a request that is in order.
    pub fn request(&self, method: &str) -> Vec<(String, String)> {
        let pseudo = [(":method", method), (":scheme", self.scheme), (":path", "/"), (":authority", &self.authority)];
        pseudo.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
    }

    /// The header block of a GET.
    pub fn get(&self) -> Vec<u8> {
        block(&self.request("GET"))
    }

    /// The header block of a POST.
    pub fn post(&self) -> Vec<u8> {
        block(&self.request("POST"))
    }

    /// A GET without a body on this stream.
    pub fn ask(&mut self, stream: u32) -> &mut Self {
        let block = self.get();
        self.frame(HEADERS, END_HEADERS | END_STREAM, stream, &block)
    }

    /// A POST whose body is to follow.
    pub fn begin(&mut self, stream: u32) -> &mut Self {
        let block = self.post();
        self.frame(HEADERS, END_HEADERS, stream, &block)
    }

    fn next(&mut self) -> Came {
        loop {
            if let Some(frame) = Frame::parse(&mut self.unread) {
                self.passed.push(format!("{}/{:#x}/{}", frame.kind, frame.flags, frame.stream));
                return Came::Frame(frame);
            }
            let mut buf = [0; 16 << 10];
            match self.wire.read(&mut buf) {
                Ok(0) => return Came::End,
                Ok(n) => self.unread.extend_from_slice(&buf[..n]),
                Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                    return Came::Silence;
                }
                Err(_) => return Came::End,
            }
        }
    }

    fn instead(&self, wanted: &str, came: Came) -> String {
        let came = match came {
            Came::Frame(f) => format!("a frame {}/{:#x}/{} {:x?}", f.kind, f.flags, f.stream, f.payload),
            Came::End => "the end".into(),
            Came::Silence => "silence".into(),
        };
        format!("{wanted} was expected, {came} came; in all {}", self.passed.join(" "))
    }

    /// The server has found an error of the connection: GOAWAY with one of these codes, and the end.
    pub fn connection_error(&mut self, codes: &[u32]) -> Verdict {
        let wanted = format!("a connection error {codes:?}");
        let mut told = false;
        loop {
            match self.next() {
                Came::Frame(f) if f.kind == GOAWAY && f.try_code().is_some_and(|code| codes.contains(&code)) => {
                    if !self.is_strict() {
                        return Ok(());
                    }
                    told = true;
                }
                Came::Frame(f) if f.kind == GOAWAY => return Err(self.instead(&wanted, Came::Frame(f))),
                Came::Frame(f) if told => return Err(self.instead("the end", Came::Frame(f))),
                Came::Frame(_) => {}
                Came::End if told || !self.is_strict() => return Ok(()),
                other => return Err(self.instead(&wanted, other)),
            }
        }
    }

    /// The same, for a server that is asked to say what the error is.
    pub fn goaway(&mut self, code: u32) -> Verdict {
        loop {
            match self.next() {
                Came::Frame(f) if f.kind == GOAWAY && f.try_code() == Some(code) => return Ok(()),
                Came::Frame(f) if f.kind != GOAWAY => {}
                other => return Err(self.instead("GOAWAY", other)),
            }
        }
    }

    /// The server has ended the connection, whatever it said before.
    pub fn end(&mut self) -> Verdict {
        loop {
            match self.next() {
                Came::Frame(_) => {}
                Came::End => return Ok(()),
                Came::Silence => return Err(self.instead("the end", Came::Silence)),
            }
        }
    }

    /// The server has found an error of this stream: RST_STREAM with one of these codes, or for the worse a connection error.
    pub fn stream_error(&mut self, stream: u32, codes: &[u32]) -> Verdict {
        let wanted = format!("an error {codes:?} of stream {stream}");
        loop {
            match self.next() {
                Came::Frame(f)
                    if f.kind == RST_STREAM
                        && f.stream == stream
                        && f.try_code().is_some_and(|code| codes.contains(&code)) =>
                {
                    return if self.is_strict() { self.lives() } else { Ok(()) };
                }
                Came::Frame(f) if f.kind == GOAWAY && f.try_code().is_some_and(|code| codes.contains(&code)) => {
                    return Ok(());
                }
                Came::Frame(f) if matches!(f.kind, RST_STREAM | GOAWAY) => {
                    return Err(self.instead(&wanted, Came::Frame(f)));
                }
                Came::Frame(_) => {}
                Came::End if !self.is_strict() => return Ok(()),
                other => return Err(self.instead(&wanted, other)),
            }
        }
    }

    /// The server answers a PING, so what was sent before was all right.
    pub fn lives(&mut self) -> Verdict {
        self.frame(PING, 0, 0, b"and now?");
        self.pong(b"and now?")
    }

    pub fn pong(&mut self, payload: &[u8]) -> Verdict {
        loop {
            match self.next() {
                Came::Frame(f) if f.kind == PING && f.flags & ACK != 0 => {
                    return if f.payload == payload { Ok(()) } else { Err(self.instead("its PING", Came::Frame(f))) };
                }
                Came::Frame(f) if f.kind != GOAWAY => {}
                other => return Err(self.instead("an answer to PING", other)),
            }
        }
    }

    /// The settings are acknowledged.
    pub fn acked(&mut self) -> Verdict {
        loop {
            match self.next() {
                Came::Frame(f) if f.kind == SETTINGS && f.flags & ACK != 0 => return Ok(()),
                Came::Frame(f) if f.kind != GOAWAY => {}
                other => return Err(self.instead("an acknowledgement", other)),
            }
        }
    }

    /// An answer begins on this stream.
    pub fn answered(&mut self, stream: u32) -> Verdict {
        loop {
            match self.next() {
                Came::Frame(f) if f.kind == HEADERS && f.stream == stream => return Ok(()),
                Came::Frame(f) if !matches!(f.kind, GOAWAY | RST_STREAM) => {}
                other => return Err(self.instead("an answer", other)),
            }
        }
    }

    /// The answer on this stream is complete, and so the stream is closed.
    pub fn complete(&mut self, stream: u32) -> Verdict {
        loop {
            match self.next() {
                Came::Frame(f) if f.ends() && f.stream == stream => return Ok(()),
                Came::Frame(f) if !matches!(f.kind, GOAWAY | RST_STREAM) => {}
                other => return Err(self.instead("a whole answer", other)),
            }
        }
    }

    /// DATA comes on this stream, of this many bytes.
    pub fn data(&mut self, stream: u32, len: usize) -> Verdict {
        loop {
            match self.next() {
                Came::Frame(f) if f.kind == DATA && f.stream == stream && f.payload.len() == len => return Ok(()),
                // nghttpd and others say that they can send nothing.
                Came::Frame(f) if f.kind == DATA && f.payload.is_empty() && f.flags & END_STREAM == 0 => {}
                Came::Frame(f) if !matches!(f.kind, DATA | GOAWAY | RST_STREAM) => {}
                other => return Err(self.instead(&format!("DATA of {len}"), other)),
            }
        }
    }
}
