//! The least rate at which a peer has to take what it is sent.
//!
//! A time limit for each write alone would let a peer that takes one byte in time hold an answer, and whoever writes it, for ever.

use std::time::{Duration, Instant};

/// How much a peer takes in the time in which it is waited for.
///
/// Counted in stretches of so much waiting; what was taken fast in one does not excuse the next. The time in which we have nothing
/// to send is not the peer's.
#[derive(Clone, Debug)]
pub(crate) struct Pace {
    /// How much waiting makes a stretch.
    stretch: Duration,
    /// The least that is taken in one.
    least: u64,
    /// Since when it is being waited for, and how long it was in this stretch before.
    since: Option<Instant>,
    waited: Duration,
    /// How much had been taken at the beginning of this stretch.
    from: u64,
}

impl Pace {
    /// At least `rate` bytes a second in every `stretch` of waiting; zero is any rate.
    pub(crate) fn new(rate: u64, stretch: Duration) -> Self {
        let stretch = stretch.min(Duration::from_secs(24 * 3600));
        let millis = u64::try_from(stretch.as_millis()).unwrap_or(u64::MAX);
        let least = rate.saturating_mul(millis) / 1000;
        Pace { stretch, least, since: None, waited: Duration::ZERO, from: 0 }
    }

    /// It is being waited for, and has taken so much altogether. Returns when to look again; `None`: it is too slow.
    pub(crate) fn wait(&mut self, taken: u64, now: Instant) -> Option<Instant> {
        if self.since.is_none() && self.waited.is_zero() {
            self.from = taken;
        }
        let since = *self.since.get_or_insert(now);
        let waited = self.waited + now.saturating_duration_since(since);
        if waited < self.stretch || self.least == 0 {
            return Some(since + self.stretch.saturating_sub(self.waited));
        }
        if taken.saturating_sub(self.from) < self.least {
            return None;
        }
        (self.since, self.waited, self.from) = (Some(now), Duration::ZERO, taken);
        Some(now + self.stretch)
    }

    /// It is not waited for any more, for the moment.
    pub(crate) fn pause(&mut self, now: Instant) {
        if let Some(since) = self.since.take() {
            // A wait that took no time is one all the same.
            let waited = now.saturating_duration_since(since).max(Duration::from_nanos(1));
            self.waited = (self.waited + waited).min(self.stretch);
        }
    }

    /// Nothing is to be sent: what comes next begins a stretch of its own.
    pub(crate) fn rest(&mut self) {
        (self.since, self.waited) = (None, Duration::ZERO);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn below_at_and_above_the_rate() {
        let start = Instant::now();
        for (taken, ok) in [(0, false), (999, false), (1000, true), (1001, true)] {
            let mut pace = Pace::new(100, 10 * SECOND);
            assert_eq!(pace.wait(7, start), Some(start + 10 * SECOND), "{taken}");
            assert_eq!(pace.wait(7 + taken, start + 9 * SECOND), Some(start + 10 * SECOND), "{taken}: never early");
            let end = start + 10 * SECOND;
            assert_eq!(pace.wait(7 + taken, end), ok.then_some(end + 10 * SECOND), "{taken}");
        }
    }

    #[test]
    fn what_was_taken_fast_excuses_nothing_later() {
        let start = Instant::now();
        let mut pace = Pace::new(100, 10 * SECOND);
        assert!(pace.wait(0, start).is_some());
        assert!(pace.wait(1 << 40, start + 10 * SECOND).is_some());
        assert_eq!(pace.wait((1 << 40) + 1, start + 20 * SECOND), None);
    }

    #[test]
    fn only_waiting_counts() {
        let start = Instant::now();
        let mut pace = Pace::new(100, 10 * SECOND);
        assert!(pace.wait(0, start).is_some());
        pace.pause(start + 4 * SECOND);
        // The handler did something else for an hour.
        let later = start + 3600 * SECOND;
        assert_eq!(pace.wait(1, later), Some(later + 6 * SECOND));
        assert_eq!(pace.wait(1, later + 6 * SECOND), None);
        pace.rest();
        assert_eq!(pace.wait(1, later + 7 * SECOND), Some(later + 17 * SECOND));
    }

    #[test]
    fn any_rate_will_do_if_none_is_asked_for() {
        let start = Instant::now();
        let mut pace = Pace::new(0, SECOND);
        assert!(pace.wait(0, start).is_some());
        assert!(pace.wait(0, start + 3600 * SECOND).is_some());
    }
}
