//! Liveness of HTTP/2 connections, against a peer that is written by hand.

mod keeping;
mod pings;
mod report;
#[cfg(feature = "tls")]
mod sealed;
mod traced;

use crate::{
    h2client::{self, get, idle, ms, only, pass, upkeep_one},
    h2peer::*,
};
use bowline::{
    Body, Client, ClientBuilder, CloseReason, Connection, ConnectionState, ErrorKind, Processed, Protocol,
    UpkeepAction,
    net::{Wire, pair},
};
use std::{
    io::Read,
    sync::{Mutex, MutexGuard, PoisonError, mpsc},
    thread,
    time::{Duration, Instant},
};

const HOUR: Duration = Duration::from_secs(3600);

/// A client whose timers are all far away.
fn builder() -> ClientBuilder {
    h2client::builder()
        .upkeep_interval(HOUR)
        .idle_timeout(HOUR)
        .ping_ack_timeout(HOUR)
        .probe_after_idle(HOUR)
        .read_idle_ping(HOUR)
}

/// Waits until the next upkeep is due.
fn until_due(client: &Client) {
    let due = client.next_upkeep().expect("something is due");
    pass(due.saturating_duration_since(Instant::now()));
}

fn drain(far: &bowline::net::PairEnd) -> Vec<u8> {
    let mut all = Vec::new();
    let mut piece = [0; 1024];
    while let Ok(n @ 1..) = far.try_read(&mut piece) {
        all.extend_from_slice(&piece[..n]);
    }
    all
}

/// The limits in the proportions of the defaults: a second is 10 ms.
fn scaled() -> ClientBuilder {
    h2client::builder()
        .upkeep_interval(ms(600))
        .idle_timeout(ms(600))
        .ping_ack_timeout(ms(150))
        .probe_after_idle(ms(100))
        .read_idle_ping(ms(300))
}
