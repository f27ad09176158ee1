//! What is due, and when: heartbeat, stalled frames, an unanswered Close.

use super::config::Config;
use std::time::{Duration, Instant};

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// Giving up the wait for their Close.
    Close,
    /// Nothing.
    Nothing,
    /// Sending a PING.
    Ping,
    /// Giving up a silent peer.
    Silent,
    /// Giving up a frame that began.
    Stalled,
}

/// How far the connection is, as far as time is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Our Close went out: only theirs is waited for.
    Closing(Instant),
    /// Nothing is waited for.
    Ended,
    /// Messages may come.
    Open(Beat),
}

/// The heartbeat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Beat {
    /// A PING went out then, and nothing came since.
    Asked(Instant),
    /// Silence is counted from then.
    Quiet(Instant),
}

/// The clock of a connection.
#[derive(Clone, Debug)]
pub(super) struct Clock {
    ping_interval: Option<Duration>,
    pong_timeout: Duration,
    frame_stall: Option<Duration>,
    close_wait: Duration,
    phase: Phase,
    /// When the last byte came.
    heard: Instant,
    /// Whether a frame has begun to arrive and is not complete.
    partial: bool,
}

impl Clock {
    pub(super) fn new(config: &Config, now: Instant) -> Self {
        Clock {
            ping_interval: config.ping_interval,
            pong_timeout: config.pong_timeout,
            frame_stall: config.frame_stall,
            close_wait: config.close_wait,
            phase: Phase::Open(Beat::Quiet(now)),
            heard: now,
            partial: false,
        }
    }

    /// Bytes came.
    #[inline]
    pub(super) fn heard(&mut self, now: Instant) {
        self.heard = now;
        if let Phase::Open(beat) = &mut self.phase {
            *beat = Beat::Quiet(now);
        }
    }

    /// Returns when the last byte came.
    pub(super) fn last_heard(&self) -> Instant {
        self.heard
    }

    /// The input was understood as far as it goes; `partial` if that is within a frame.
    #[inline]
    pub(super) fn understood(&mut self, partial: bool) {
        self.partial = partial;
    }

    /// A PING went out.
    pub(super) fn asked(&mut self, now: Instant) {
        if let Phase::Open(beat) = &mut self.phase {
            *beat = Beat::Asked(now);
        }
    }

    /// No PING could go out: the silence is counted anew.
    pub(super) fn postponed(&mut self, now: Instant) {
        if let Phase::Open(beat) = &mut self.phase {
            *beat = Beat::Quiet(now);
        }
    }

    /// Our Close went out, and theirs did not come yet.
    pub(super) fn closing(&mut self, now: Instant) {
        self.phase = Phase::Closing(now);
    }

    /// Nothing is waited for any more.
    pub(super) fn ended(&mut self) {
        self.phase = Phase::Ended;
    }

    /// Returns whether the peer may be silent for as long as it likes.
    #[inline]
    pub(super) fn is_still(&self) -> bool {
        let stalls = self.partial && self.frame_stall.is_some();
        matches!(self.phase, Phase::Open(_)) && self.ping_interval.is_none() && !stalls
    }

    /// Returns when something is due.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self.phase {
            Phase::Closing(since) => since.checked_add(self.close_wait),
            Phase::Ended => None,
            Phase::Open(beat) => match (self.stall(), self.beat(beat)) {
                (Some(stall), Some(beat)) => Some(stall.min(beat)),
                (stall, beat) => stall.or(beat),
            },
        }
    }

    /// Returns what is due.
    pub(super) fn due(&self, now: Instant) -> Due {
        let is_due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        match self.phase {
            Phase::Closing(_) if is_due(self.deadline()) => Due::Close,
            Phase::Closing(_) | Phase::Ended => Due::Nothing,
            Phase::Open(_) if is_due(self.stall()) => Due::Stalled,
            Phase::Open(beat) if is_due(self.beat(beat)) => match beat {
                Beat::Asked(_) => Due::Silent,
                Beat::Quiet(_) => Due::Ping,
            },
            Phase::Open(_) => Due::Nothing,
        }
    }

    fn stall(&self) -> Option<Instant> {
        if self.partial { self.heard.checked_add(self.frame_stall?) } else { None }
    }

    fn beat(&self, beat: Beat) -> Option<Instant> {
        let interval = self.ping_interval?;
        match beat {
            Beat::Asked(since) => since.checked_add(self.pong_timeout),
            Beat::Quiet(since) => since.checked_add(interval),
        }
    }
}
