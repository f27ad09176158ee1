//! A client that writes frames by hand, and what it waits for.

use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme, StreamOwned,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, ServerName, UnixTime},
};
use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    sync::Arc,
    time::Duration,
};

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
pub const REFUSED_STREAM: u32 = 7;
pub const CANCEL: u32 = 8;
pub const COMPRESSION_ERROR: u32 = 9;

pub const HEADER_TABLE_SIZE: u16 = 1;
pub const ENABLE_PUSH: u16 = 2;
pub const MAX_CONCURRENT_STREAMS: u16 = 3;
pub const INITIAL_WINDOW_SIZE: u16 = 4;
pub const MAX_FRAME_SIZE: u16 = 5;

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

/// Returns what speaks TLS with anybody.
pub fn tls() -> Arc<ClientConfig> {
    let provider = Arc::new(ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .expect("TLS 1.2 and 1.3")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody(provider)))
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    Arc::new(config)
}

#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// A frame as it came.
#[derive(Debug)]
pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

impl Frame {
    fn number(&self, at: usize) -> u32 {
        self.payload.get(at..at + 4).map_or(u32::MAX, |four| u32::from_be_bytes(four.try_into().expect("four bytes")))
    }

    fn ends(&self, stream: u32) -> bool {
        matches!(self.kind, DATA | HEADERS) && self.stream == stream && self.flags & END_STREAM != 0
    }
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
            Some(config) => {
                let name = ServerName::from(target.address.ip());
                let session = ClientConnection::new(config.clone(), name).map_err(|e| e.to_string())?;
                Box::new(StreamOwned::new(session, socket))
            }
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
        let mut bytes = (payload.len() as u32).to_be_bytes()[1..].to_vec();
        bytes.extend([kind, flags]);
        bytes.extend(stream.to_be_bytes());
        bytes.extend(payload);
        self.raw(&bytes)
    }

    pub fn settings(&mut self, values: &[(u16, u32)]) -> &mut Self {
        let payload: Vec<u8> =
            values.iter().flat_map(|(id, value)| [&id.to_be_bytes()[..], &value.to_be_bytes()].concat()).collect();
        self.frame(SETTINGS, 0, 0, &payload)
    }

    pub fn window_update(&mut self, stream: u32, by: u32) -> &mut Self {
        self.frame(WINDOW_UPDATE, 0, stream, &by.to_be_bytes())
    }

    pub fn reset(&mut self, stream: u32, code: u32) -> &mut Self {
        self.frame(RST_STREAM, 0, stream, &code.to_be_bytes())
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
            if let Some([a, b, c, kind, flags, s @ ..]) = self.unread.first_chunk::<9>().copied() {
                let len = u32::from_be_bytes([0, a, b, c]) as usize;
                if self.unread.len() >= 9 + len {
                    let (stream, payload) = (u32::from_be_bytes(s), self.unread[9..9 + len].to_vec());
                    self.unread.drain(..9 + len);
                    self.passed.push(format!("{kind}/{flags:#x}/{stream}"));
                    return Came::Frame(Frame { kind, flags, stream, payload });
                }
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
                Came::Frame(f) if f.kind == GOAWAY && codes.contains(&f.number(4)) => {
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
                Came::Frame(f) if f.kind == GOAWAY && f.number(4) == code => return Ok(()),
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
                Came::Frame(f) if f.kind == RST_STREAM && f.stream == stream && codes.contains(&f.number(0)) => {
                    return if self.is_strict() { self.lives() } else { Ok(()) };
                }
                Came::Frame(f) if f.kind == GOAWAY && codes.contains(&f.number(4)) => return Ok(()),
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
                Came::Frame(f) if f.ends(stream) => return Ok(()),
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

/// Literals without indexing (RFC 7541, section 6.2.2).
pub fn block(fields: &[(impl AsRef<str>, impl AsRef<str>)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name.as_ref(), value.as_ref()] {
            // Of an integer with a prefix of seven bits (section 5.1).
            match text.len().checked_sub(0x7f) {
                None => block.push(text.len() as u8),
                Some(mut rest) => {
                    block.push(0x7f);
                    while rest > 127 {
                        block.push(rest as u8 | 0x80);
                        rest >>= 7;
                    }
                    block.push(rest as u8);
                }
            }
            block.extend(text.as_bytes());
        }
    }
    block
}
