//! When to close at the end of the input.

use bowline::ws::WsSender;
use std::{
    thread,
    time::{Duration, Instant},
};

/// How long the peer may go on talking,
const PATIENCE: Duration = Duration::from_secs(5);
/// how long it may take for its first word behind our last one,
const FIRST: Duration = Duration::from_millis(1500);
/// and how long it may be silent.
const QUIET: Duration = Duration::from_millis(500);
/// How often is looked for that.
const LOOK: Duration = Duration::from_millis(20);

/// Waits while the peer may have something to say to what it got: `last` is how much it had said before our last word, if there was one.
///
/// Nothing takes longer than `limit`.
pub fn settle(sender: &WsSender, last: Option<u64>, limit: Duration) {
    let ended = Instant::now();
    let (mut bytes, mut heard) = (sender.stats().bytes_in, ended);
    loop {
        let quiet = if last == Some(bytes) { FIRST } else { QUIET };
        if heard.elapsed() >= quiet.min(limit) || ended.elapsed() >= PATIENCE.min(limit) {
            return;
        }
        thread::sleep(LOOK);
        let now = sender.stats().bytes_in;
        if now != bytes {
            (bytes, heard) = (now, Instant::now());
        }
    }
}
