//! What has to hold however often it is tried: large bodies both ways at once, many threads on one connection, leaders that leave,
//! one wait over everything.
//!
//! Each test does one round, or as many as BOWLINE_ROUNDS says (`.ci/long stress`: 100), and prints how long the longest took. A
//! round that does not end in time fails instead of waiting for ever.

#[path = "stress/bodies.rs"]
mod bodies;
#[path = "stress/far.rs"]
mod far;
#[path = "support/h2peer.rs"]
mod h2peer;
#[path = "stress/leaders.rs"]
mod leaders;
#[path = "stress/mixed.rs"]
mod mixed;
#[path = "support/tls.rs"]
mod tls;

use bowline::{Client, ClientBuilder, Protocol, Server, ServerHandle, Tls};
use std::{
    io::{self, Read},
    sync::{OnceLock, mpsc},
    thread,
    time::{Duration, Instant},
};
use tls::certs::{Authority, Identity};

/// How long one round may take: far more than it needs on a machine that is busy with others.
const GUARD: Duration = Duration::from_secs(120);

/// Runs the rounds of a test and prints the worst time.
fn rounds(name: &str, round: impl Fn(u32) + Send + 'static) {
    let n = std::env::var("BOWLINE_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(1);
    let (done, wait) = mpsc::channel();
    let running = thread::spawn(move || {
        for i in 0..n {
            let began = Instant::now();
            round(i);
            // The test may have given up.
            let _ = done.send(began.elapsed());
        }
    });
    let mut worst = Duration::ZERO;
    for i in 0..n {
        match wait.recv_timeout(GUARD) {
            Ok(took) => worst = worst.max(took),
            Err(mpsc::RecvTimeoutError::Timeout) => panic!("{name}: round {i} is stuck"),
            Err(mpsc::RecvTimeoutError::Disconnected) => break,
        }
    }
    if running.join().is_err() {
        panic!("{name}: a round failed");
    }
    println!("{name}: {n} rounds, the longest took {worst:.1?}");
}

/// What the bytes travel on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Over {
    Memory,
    Tcp,
    Tls,
}

const EVERYWHERE: [Over; 3] = [Over::Memory, Over::Tcp, Over::Tls];

/// What servers show, and the authority that clients trust.
fn identity() -> &'static (Identity, String) {
    static MADE: OnceLock<(Identity, String)> = OnceLock::new();
    MADE.get_or_init(|| {
        let authority = Authority::new("stress test");
        (authority.issue(&["127.0.0.1", "in.memory"]), authority.pem())
    })
}

/// A client that trusts [`identity`].
fn client(protocol: Protocol) -> ClientBuilder {
    let tls = Tls::new().add_root_pem(identity().1.as_bytes()).only_added_roots();
    Client::builder().proxy(None).protocol(protocol).tls(tls).timeout(GUARD)
}

/// A server of our own, over TCP or TLS.
fn server(over: Over, handler: impl bowline::Handler) -> ServerHandle {
    let server = Server::bind("127.0.0.1:0").unwrap().max_body(u64::MAX);
    let (identity, _) = identity();
    let server = match over {
        Over::Tls => server.tls_pem(identity.chain.as_bytes(), identity.key.as_bytes()),
        Over::Memory | Over::Tcp => server,
    };
    server.spawn(handler).unwrap()
}

/// Bytes whose value depends on their place and on `salt`: two bodies are never alike.
struct Pattern {
    at: u64,
    end: u64,
    salt: u64,
}

/// A prime, so that no buffer's size hides a shift.
const PERIOD: u64 = 65_521;

impl Pattern {
    fn new(salt: u64, len: u64) -> Self {
        Pattern { at: 0, end: len, salt }
    }

    /// What comes next, at most so many bytes; empty at the end.
    fn next(&self, most: usize) -> &'static [u8] {
        static TABLE: OnceLock<Vec<u8>> = OnceLock::new();
        let table = TABLE.get_or_init(|| (0..2 * PERIOD).map(|n| ((n % PERIOD) ^ (n % PERIOD) >> 8) as u8).collect());
        let from = ((self.at + self.salt * 31) % PERIOD) as usize;
        let left = usize::try_from(self.end - self.at).unwrap_or(usize::MAX);
        &table[from..from + most.min(left).min(PERIOD as usize)]
    }

    /// Checks that `bytes` are what comes next.
    #[track_caller]
    fn expect(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let next = self.next(bytes.len());
            assert!(!next.is_empty(), "more than {} bytes", self.end);
            let (now, rest) = bytes.split_at(next.len());
            assert!(now == next, "a byte from {} on is wrong", self.at);
            self.at += next.len() as u64;
            bytes = rest;
        }
    }

    /// Checks that a body is this and nothing else.
    #[track_caller]
    fn expect_all(mut self, mut body: impl Read) {
        let mut piece = vec![0; 64 * 1024];
        loop {
            match body.read(&mut piece).unwrap() {
                0 => break,
                n => self.expect(&piece[..n]),
            }
        }
        assert_eq!(self.at, self.end, "the body is short");
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
