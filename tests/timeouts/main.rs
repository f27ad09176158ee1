//! Every time limit: what it covers, which phase it names, never early and hardly late; and waits with a limit in the call.

mod calls;
mod phases;
#[path = "../support/mod.rs"]
mod support;
mod total;

use bowline::{
    Attempt, Batch, Body, Connection, Deadline, Error, ErrorKind, Hook, Phase, Processed, Recv, Response, Timeouts,
    Verdict,
    net::{Resolve, pair},
};
use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Mutex, mpsc},
    thread,
    time::{Duration, Instant},
};
use support::{Conn, Pattern, Peer, builder, client, late, ms, pass, peer, prompt, timed};

/// The limit of most tests.
const LIMIT: Duration = ms(200);

fn with(timeouts: Timeouts) -> bowline::Client {
    builder().timeouts(timeouts).build().unwrap()
}

/// Checks that it is the error of a limit: its phase, and the time it says it took.
#[track_caller]
fn expect(error: &Error, phase: Phase, limit: Duration) {
    assert_eq!((error.kind(), error.phase()), (ErrorKind::TimedOut, phase), "{error:?}");
    assert!(error.is_timeout());
    // That it is not late is for the clock of the test.
    assert!(error.elapsed() >= limit, "{error:?}");
}

/// A peer that takes connections and says nothing; it reads what comes.
fn silent() -> Peer {
    peer(|_, mut conn| drop(conn.rest()))
}

// ------------------------------------------------------------------------------------------------ resolve

/// A peer that reads the head, and then the body in this way.
fn reads(how: impl Fn(&mut Conn) + Send + Sync + 'static) -> Peer {
    peer(move |_, mut conn| {
        conn.head().unwrap();
        how(&mut conn);
    })
}
