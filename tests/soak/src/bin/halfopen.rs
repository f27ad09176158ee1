//! Half-open peers: what a client makes of a connection on which nothing comes any more. `halfopen [--loopback]`.
//!
//! With `--loopback` it takes the loopback device down, so that packets are lost: for a network namespace of its own, see
//! `tests/soak/halfopen`. Without, the peer falls silent. Every case says how long it took, and between what it has to be; the status
//! is 1 if one is not.

#[path = "halfopen/cases.rs"]
mod cases;

use bowline::{Client, CloseReason, Hook, Protocol, Timeouts, Tls, Trace};
use bowline_soak::peer::quiet::Quiet;
use std::{
    error::Error,
    process::{Command, ExitCode},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

pub const READ_IDLE_PING: Duration = Duration::from_millis(400);
pub const PING_ACK_TIMEOUT: Duration = Duration::from_millis(600);
pub const PROBE_AFTER_IDLE: Duration = Duration::from_millis(300);
pub const PROBE_TIMEOUT: Duration = Duration::from_millis(500);
pub const UPKEEP_INTERVAL: Duration = Duration::from_millis(400);
/// How late something may be noticed.
pub const LATE: Duration = Duration::from_millis(250);

fn main() -> ExitCode {
    let loopback = match std::env::args().nth(1).as_deref() {
        None => false,
        Some("--loopback") => true,
        Some(word) => {
            eprintln!("halfopen: no such option: {word}\nusage: halfopen [--loopback]");
            return ExitCode::from(2);
        }
    };
    let mut failed = 0;
    for tls in [false, true] {
        for (name, case) in cases::ALL {
            let name = format!(
                "{name}, {}, {}",
                if tls { "TLS" } else { "clear" },
                if loopback { "lo down" } else { "silent" }
            );
            let outcome = Ground::new(tls, loopback).and_then(|ground| case(&ground));
            match outcome {
                Ok(report) => println!("PASS     {name:44} {report}"),
                Err(e) => {
                    failed += 1;
                    println!("FAIL     {name:44} {e}");
                }
            }
        }
    }
    ExitCode::from(u8::from(failed > 0))
}

/// A peer, a client, and a way to part them.
pub struct Ground {
    pub peer: Arc<Quiet>,
    pub url: String,
    pub log: Log,
    authority: String,
    loopback: bool,
}

impl Ground {
    fn new(tls: bool, loopback: bool) -> Result<Self, Box<dyn Error>> {
        let (peer, url, authority) = Quiet::start(tls)?;
        Ok(Ground { peer, url, log: Log::default(), authority, loopback })
    }

    pub fn client(&self, keep_alive_thread: bool) -> bowline::Result<Client> {
        let builder = Client::builder()
            .tls(Tls::new().only_added_roots().add_root_pem(self.authority.as_bytes()))
            .proxy(None)
            .protocol(Protocol::Http2)
            .timeouts(Timeouts::default().total(Duration::from_secs(20)))
            .read_idle_ping(READ_IDLE_PING)
            .ping_ack_timeout(PING_ACK_TIMEOUT)
            .probe_after_idle(PROBE_AFTER_IDLE)
            .probe_timeout(PROBE_TIMEOUT)
            .upkeep_interval(UPKEEP_INTERVAL)
            .hook(self.log.clone());
        if keep_alive_thread { builder.keep_alive_thread().build() } else { builder.build() }
    }

    /// From here on nothing comes through; returns since when.
    pub fn cut(&self) -> Result<Instant, Box<dyn Error>> {
        match self.loopback {
            true => link("down")?,
            false => self.peer.fall_silent(),
        }
        Ok(Instant::now())
    }

    /// New connections come through again.
    pub fn heal(&self) -> Result<(), Box<dyn Error>> {
        if self.loopback { link("up") } else { Ok(()) }
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        // The next case begins with a network; if it does not, it says so.
        let _ = self.heal();
    }
}

fn link(state: &str) -> Result<(), Box<dyn Error>> {
    let status = Command::new("ip").args(["link", "set", "lo", state]).status()?;
    if status.success() { Ok(()) } else { Err(format!("ip link set lo {state}: {status}").into()) }
}

/// Which connections were closed, why, and when.
#[derive(Clone, Default)]
pub struct Log(Arc<Mutex<Vec<(Instant, u64, CloseReason)>>>);

impl Log {
    fn lock(&self) -> MutexGuard<'_, Vec<(Instant, u64, CloseReason)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When, if it was, that connection was closed, and why.
    pub fn closed(&self, connection: u64) -> Option<(Instant, CloseReason)> {
        self.lock().iter().find(|(_, id, _)| *id == connection).map(|(when, _, reason)| (*when, *reason))
    }
}

impl Hook for Log {
    fn trace(&self, step: &Trace) {
        if let Trace::Closed { connection, reason } = step {
            self.lock().push((Instant::now(), *connection, *reason));
        }
    }
}
