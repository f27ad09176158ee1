//! Scripted peers: a listener whose connections are closures, each on a thread of its own; and a clock for limits.
//!
//! Nothing here sleeps to wait for something: a peer waits by reading, or on a channel.

#![allow(dead_code, reason = "each test file uses a part of it")]

#[path = "time.rs"]
mod time;

use bowline::{Client, ClientBuilder};
use std::{
    any::Any,
    io::{self, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, Once, OnceLock,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};
pub use time::{ms, pass};

/// How late a limit may strike on a machine that has other things to do.
pub const LATE: Duration = Duration::from_millis(250);

/// How late a limit may strike that counts from `since`: [`LATE`], or what BOWLINE_LATE_MS says, and as long as the machine itself stood still meanwhile.
pub fn late(since: Instant) -> Duration {
    let pauses = pauses().lock().unwrap();
    let late = std::env::var("BOWLINE_LATE_MS").ok().and_then(|n| n.parse().ok()).map_or(LATE, ms);
    late + pauses.iter().filter(|(at, _)| *at >= since).map(|(_, pause)| *pause).sum::<Duration>()
}

/// When the machine stood still, and for how long: a thread that wants little gets it late then.
fn pauses() -> &'static Mutex<Vec<(Instant, Duration)>> {
    static PAUSES: Mutex<Vec<(Instant, Duration)>> = Mutex::new(Vec::new());
    static WATCH: Once = Once::new();
    const NAP: Duration = Duration::from_millis(5);
    const USUAL: Duration = Duration::from_millis(30);
    WATCH.call_once(|| {
        thread::spawn(|| {
            loop {
                let began = Instant::now();
                pass(NAP);
                let pause = began.elapsed().saturating_sub(NAP);
                if pause > USUAL {
                    PAUSES.lock().unwrap().push((Instant::now(), pause));
                }
            }
        });
    });
    &PAUSES
}

/// Ends tests that hang; far above what any of them takes.
pub const GUARD: Duration = Duration::from_secs(30);

/// A client that ignores the environment and does not hang for ever.
pub fn builder() -> ClientBuilder {
    pauses();
    Client::builder().proxy(None).timeout(GUARD)
}

pub fn client() -> Client {
    builder().build().unwrap()
}

/// Runs `f`, which must take `limit`: never less, and at most what [`late`] allows more.
#[track_caller]
pub fn timed<T>(limit: Duration, f: impl FnOnce() -> T) -> T {
    pauses();
    let began = Instant::now();
    let result = f();
    let took = began.elapsed();
    assert!(took >= limit, "early: {took:?} of {limit:?}");
    assert!(took <= limit + late(began), "late: {took:?} instead of {limit:?}");
    result
}

/// Runs `f`, which must not wait for anything.
#[track_caller]
pub fn prompt<T>(f: impl FnOnce() -> T) -> T {
    timed(Duration::ZERO, f)
}

/// A listener on 127.0.0.1, and what it does with each connection.
pub struct Peer {
    addr: SocketAddr,
    accepted: Arc<AtomicUsize>,
    stopped: Arc<AtomicBool>,
    failed: Arc<Mutex<Vec<String>>>,
    thread: Option<JoinHandle<()>>,
}

/// Runs `script` for every connection, with its number from 0 on.
pub fn peer(script: impl Fn(usize, Conn) + Send + Sync + 'static) -> Peer {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let accepted = Arc::<AtomicUsize>::default();
    let stopped = Arc::<AtomicBool>::default();
    let failed = Arc::<Mutex<Vec<String>>>::default();
    let shared = (accepted.clone(), stopped.clone(), failed.clone());
    let script = Arc::new(script);
    let thread = thread::spawn(move || {
        let (accepted, stopped, failed) = shared;
        for stream in listener.incoming() {
            if stopped.load(Ordering::SeqCst) {
                break;
            }
            let n = accepted.fetch_add(1, Ordering::SeqCst);
            let (script, failed, stream) = (script.clone(), failed.clone(), stream.unwrap());
            thread::spawn(move || {
                if let Err(panic) = catch_unwind(AssertUnwindSafe(|| script(n, Conn::tcp(stream)))) {
                    failed.lock().unwrap().push(format!("connection {n}: {}", text_of(&*panic)));
                }
            });
        }
    });
    Peer { addr, accepted, stopped, failed, thread: Some(thread) }
}

fn text_of(panic: &(dyn Any + Send)) -> &str {
    panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied()).unwrap_or("?")
}

impl Peer {
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.addr)
    }

    /// How many connections came.
    pub fn connections(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::SeqCst);
        // Wakes the listener.
        let _ = TcpStream::connect(self.addr);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        let failed = std::mem::take(&mut *self.failed.lock().unwrap());
        assert!(failed.is_empty() || thread::panicking(), "the script failed: {failed:?}");
    }
}

pub trait Stream: Read + Write + Send {}
impl<T: Read + Write + Send> Stream for T {}

/// One connection, as the script of a server sees it.
pub struct Conn {
    stream: Box<dyn Stream>,
    tcp: Option<TcpStream>,
    buf: Vec<u8>,
}

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Req {
    pub method: String,
    pub target: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Req {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }
}

impl Conn {
    pub fn tcp(stream: TcpStream) -> Self {
        stream.set_nodelay(true).unwrap();
        Conn { tcp: Some(stream.try_clone().unwrap()), stream: Box::new(stream), buf: Vec::new() }
    }

    pub fn over(stream: impl Stream + 'static) -> Self {
        Conn { stream: Box::new(stream), tcp: None, buf: Vec::new() }
    }

    /// The socket, for those who do something unusual with it.
    pub fn socket(&self) -> &TcpStream {
        self.tcp.as_ref().expect("it is a socket")
    }

    /// Gives the bare stream back; nothing was read ahead.
    pub fn into_stream(self) -> Box<dyn Stream> {
        assert!(self.buf.is_empty(), "read ahead: {}", self.buf.escape_ascii());
        self.stream
    }

    /// Reads more; returns whether anything came before the end.
    fn fill(&mut self) -> bool {
        let mut piece = [0; 64 * 1024];
        match self.stream.read(&mut piece) {
            Ok(0) => false,
            Ok(n) => {
                self.buf.extend_from_slice(&piece[..n]);
                true
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => true,
            Err(_) => false,
        }
    }

    fn line(&mut self) -> Option<String> {
        loop {
            if let Some(at) = self.buf.windows(2).position(|w| w == b"\r\n") {
                let line: Vec<u8> = self.buf.drain(..at + 2).collect();
                return Some(String::from_utf8(line[..at].to_vec()).unwrap());
            }
            if !self.fill() {
                return None;
            }
        }
    }

    /// Reads so many bytes, or as many as come.
    pub fn exactly(&mut self, n: usize) -> Vec<u8> {
        while self.buf.len() < n && self.fill() {}
        let n = n.min(self.buf.len());
        self.buf.drain(..n).collect()
    }

    /// The head of the next request; `None`: the client closed.
    pub fn head(&mut self) -> Option<Req> {
        let line = self.line()?;
        let mut words = line.split(' ');
        let (method, target) = (words.next().unwrap().to_owned(), words.next().unwrap().to_owned());
        let mut headers = Vec::new();
        loop {
            match self.line()? {
                line if line.is_empty() => return Some(Req { method, target, headers, body: Vec::new() }),
                line => {
                    let (name, value) = line.split_once(':').unwrap();
                    headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
                }
            }
        }
    }

    /// The next chunk of a chunked body, empty at its end; `None`: the client closed.
    pub fn chunk(&mut self) -> Option<Vec<u8>> {
        let n = usize::from_str_radix(self.line()?.as_str(), 16).unwrap();
        let chunk = self.exactly(n);
        let end = self.line()?;
        assert!(end.is_empty(), "behind a chunk: {end}");
        Some(chunk)
    }

    /// The body of a request whose head came; `None`: the client closed before its end.
    pub fn body(&mut self, head: &Req) -> Option<Vec<u8>> {
        if let Some(n) = head.header("content-length") {
            let n = n.parse().unwrap();
            return Some(self.exactly(n)).filter(|body| body.len() == n);
        }
        let mut body = Vec::new();
        if head.header("transfer-encoding").is_some() {
            loop {
                match self.chunk()? {
                    chunk if chunk.is_empty() => return Some(body),
                    chunk => body.extend(chunk),
                }
            }
        }
        Some(body)
    }

    /// The next request with its body; `None`: the client closed.
    pub fn request(&mut self) -> Option<Req> {
        let head = self.head()?;
        let body = self.body(&head)?;
        Some(Req { body, ..head })
    }

    /// Sends bytes; that the client has gone is its affair.
    pub fn say(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.stream.write_all(bytes.as_ref()).and_then(|()| self.stream.flush());
    }

    /// Sends byte after byte, so far apart, until the client has gone or everything is sent.
    pub fn drip(&mut self, bytes: impl AsRef<[u8]>, every: Duration) {
        for byte in bytes.as_ref() {
            if self.stream.write_all(&[*byte]).is_err() {
                return;
            }
            pass(every);
        }
    }

    /// Answers 200 with this body.
    pub fn answer(&mut self, body: &str) {
        self.say(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()));
    }

    /// Answers every request with its number on this connection and its target, until the client closes.
    pub fn serve(&mut self) {
        let mut n = 0;
        while let Some(request) = self.request() {
            self.answer(&format!("{n} {}", request.target));
            n += 1;
        }
    }

    /// Reads until the client closes; returns what came.
    pub fn rest(&mut self) -> Vec<u8> {
        while self.fill() {}
        std::mem::take(&mut self.buf)
    }

    /// Ends our direction; the client reads an end.
    pub fn finish(&mut self) {
        let _ = self.socket().shutdown(Shutdown::Write);
    }
}

/// A reader of so many bytes, whose value depends on the place.
pub struct Pattern {
    pub at: u64,
    pub end: u64,
}

/// After so many bytes the pattern begins again; a prime, so that no buffer's size hides a shift.
const PERIOD: usize = 251;

impl Pattern {
    pub fn new(len: u64) -> Self {
        Pattern { at: 0, end: len }
    }

    /// The next bytes, at least one unless it is done, at most `most`.
    fn next(&self, most: usize) -> &'static [u8] {
        static TABLE: OnceLock<Vec<u8>> = OnceLock::new();
        let table = TABLE.get_or_init(|| (0..PERIOD * 512).map(|n| (n % PERIOD) as u8).collect());
        let from = (self.at % PERIOD as u64) as usize;
        let n = most.min(table.len() - from).min(usize::try_from(self.end - self.at).unwrap());
        &table[from..from + n]
    }

    /// Checks that `bytes` are what comes next.
    #[track_caller]
    pub fn expect(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let next = self.next(bytes.len());
            assert!(!next.is_empty(), "more than {} bytes", self.end);
            let (now, rest) = bytes.split_at(next.len());
            assert!(now == next, "a byte from {} on is wrong", self.at);
            self.at += next.len() as u64;
            bytes = rest;
        }
    }

    pub fn is_done(&self) -> bool {
        self.at == self.end
    }
}

impl Read for Pattern {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let next = self.next(buf.len());
        buf[..next.len()].copy_from_slice(next);
        self.at += next.len() as u64;
        Ok(next.len())
    }
}
