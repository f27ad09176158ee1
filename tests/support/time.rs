//! Time, where it is what a test is about.

#![allow(dead_code, reason = "each test uses a part of it")]

use std::{thread, time::Duration};

pub const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// Lets real time pass: a limit is to strike or must not, a peer or a program takes its time.
///
/// Nothing is waited for with this. What another thread has done is told by a channel, by what the peer got, or by the client's own
/// counters: a pause that is long enough today is too short on a busy machine.
pub fn pass(d: Duration) {
    thread::sleep(d);
}
