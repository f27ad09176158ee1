//! How long to wait between attempts.

use super::random;
use std::time::Duration;

/// The first wait of the default: long enough for a service to restart a worker.
const BASE: Duration = Duration::from_millis(500);

/// The longest wait of the default: what a person who looks at a screen accepts.
const CAP: Duration = Duration::from_secs(30);

/// How many attempts without progress the default makes: about three minutes' worth.
const MAX_ATTEMPTS: u32 = 10;

/// How long to wait between attempts: capped, growing, jittered.
///
/// # Examples
///
/// ```
/// use bowline::Backoff;
/// use std::time::Duration;
///
/// let patient = Backoff::new(Duration::from_millis(200), Duration::from_secs(30)).max_attempts(100);
/// # let _ = patient;
/// ```
#[derive(Clone, Debug)]
pub struct Backoff {
    base: Duration,
    cap: Duration,
    max_attempts: u32,
}

impl Backoff {
    /// Returns one whose first wait is `base`, doubled each time up to `cap`. Each wait is shortened at random by up to half, so that
    /// many clients that were cut off together do not come back together.
    ///
    /// # Examples
    ///
    /// ```
    /// use bowline::Backoff;
    /// use std::time::Duration;
    ///
    /// let backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));
    /// ```
    pub fn new(base: Duration, cap: Duration) -> Self {
        Backoff { base, cap: cap.max(base), max_attempts: MAX_ATTEMPTS }
    }

    /// Gives up after so many attempts without progress: 10.
    ///
    /// # Examples
    ///
    /// ```
    /// let stubborn = bowline::Backoff::default().max_attempts(u32::MAX);
    /// ```
    pub fn max_attempts(mut self, n: u32) -> Self {
        self.max_attempts = n;
        self
    }

    /// Returns how long to wait after so many failures in a row, from one on; `None`: no more attempts.
    pub(crate) fn pause(&self, failures: u32) -> Option<Duration> {
        if failures > self.max_attempts {
            return None;
        }
        let doublings = failures.saturating_sub(1).min(31);
        let whole = self.base.saturating_mul(1 << doublings).min(self.cap);
        Some(whole.mul_f64(1.0 - (random() % 500) as f64 / 1000.0))
    }
}

impl Default for Backoff {
    /// 500 ms, doubled up to 30 s, ten attempts.
    fn default() -> Self {
        Backoff::new(BASE, CAP)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_the_cap_and_end() {
        let (base, cap) = (Duration::from_millis(100), Duration::from_secs(1));
        let backoff = Backoff::new(base, cap).max_attempts(40);
        for (failures, whole) in [(1, 100), (2, 200), (3, 400), (4, 800), (5, 1000), (6, 1000), (40, 1000)] {
            let whole = Duration::from_millis(whole);
            for _ in 0..100 {
                let pause = backoff.pause(failures).unwrap();
                assert!(pause > whole / 2 && pause <= whole, "{pause:?} after {failures}");
            }
        }
        assert_eq!(backoff.pause(41), None);
        assert_eq!(Backoff::default().max_attempts(0).pause(1), None);
    }
}
