//! When waiting ends.

pub(crate) mod date;
mod timeouts;

pub use timeouts::Timeouts;

use std::time::{Duration, Instant, SystemTime};

/// A point in time after which a wait ends, or never.
///
/// Users of the library say [`Duration`]; this type is public for those who write a
/// [`Wire`](crate::net::Wire), a [`Connect`](crate::net::Connect) or a [`Resolve`](crate::net::Resolve).
///
/// # Examples
///
/// ```
/// use bowline::Deadline;
/// use std::time::{Duration, Instant};
///
/// let soon = Deadline::after(Duration::from_secs(1));
/// assert!(soon.left(Instant::now()).is_some());
/// assert_eq!(soon.earlier(Deadline::NEVER), soon);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadline {
    at: Option<Instant>,
}

impl Deadline {
    /// No end to the wait.
    pub const NEVER: Deadline = Deadline { at: None };

    /// Returns the deadline so long from now; a duration too long for the clock is never.
    ///
    /// # Examples
    ///
    /// ```
    /// use bowline::Deadline;
    /// use std::time::{Duration, Instant};
    ///
    /// assert!(!Deadline::after(Duration::from_secs(1)).has_passed(Instant::now()));
    /// assert_eq!(Deadline::after(Duration::MAX), Deadline::NEVER);
    /// ```
    pub fn after(d: Duration) -> Self {
        Deadline { at: Instant::now().checked_add(d) }
    }

    /// Returns the deadline at a point in time.
    ///
    /// # Examples
    ///
    /// ```
    /// use bowline::Deadline;
    /// use std::time::{Duration, Instant};
    ///
    /// let noon = Instant::now() + Duration::from_secs(3600);
    /// assert_eq!(Deadline::at(noon).instant(), Some(noon));
    /// ```
    pub fn at(at: Instant) -> Self {
        Deadline { at: Some(at) }
    }

    /// Returns the point in time; `None` is never.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(bowline::Deadline::NEVER.instant(), None);
    /// ```
    pub fn instant(&self) -> Option<Instant> {
        self.at
    }

    /// Returns what is left at `now`; `None` is for ever, zero is over.
    ///
    /// # Examples
    ///
    /// ```
    /// use bowline::Deadline;
    /// use std::time::{Duration, Instant};
    ///
    /// let now = Instant::now();
    /// assert_eq!(Deadline::at(now).left(now), Some(Duration::ZERO));
    /// assert_eq!(Deadline::NEVER.left(now), None);
    /// ```
    pub fn left(&self, now: Instant) -> Option<Duration> {
        self.at.map(|at| at.saturating_duration_since(now))
    }

    /// Returns whether the deadline has passed at `now`.
    ///
    /// # Examples
    ///
    /// ```
    /// use bowline::Deadline;
    /// use std::time::{Duration, Instant};
    ///
    /// let now = Instant::now();
    /// assert!(Deadline::at(now).has_passed(now));
    /// ```
    pub fn has_passed(&self, now: Instant) -> bool {
        self.at.is_some_and(|at| at <= now)
    }

    /// Returns the earlier of the two.
    ///
    /// # Examples
    ///
    /// ```
    /// use bowline::Deadline;
    /// use std::time::{Duration, Instant};
    ///
    /// let soon = Deadline::after(Duration::from_secs(1));
    /// assert_eq!(Deadline::after(Duration::from_secs(2)).earlier(soon), soon);
    /// ```
    pub fn earlier(self, other: Deadline) -> Deadline {
        match (self.at, other.at) {
            (Some(a), Some(b)) => Deadline { at: Some(a.min(b)) },
            (a, b) => Deadline { at: a.or(b) },
        }
    }
}

impl From<Option<Instant>> for Deadline {
    fn from(at: Option<Instant>) -> Self {
        Deadline { at }
    }
}

/// When something happened, by both clocks.
///
/// Linux's monotonic clock stands still while the machine is suspended, the wall clock can be set: the larger age counts, so
/// that a connection that slept for an hour is an hour old.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stamp {
    at: Instant,
    wall: SystemTime,
}

impl Stamp {
    /// Returns the stamp of now.
    pub(crate) fn now() -> Self {
        Stamp { at: Instant::now(), wall: SystemTime::now() }
    }

    /// Returns the point in time by the monotonic clock.
    pub(crate) fn at(&self) -> Instant {
        self.at
    }

    /// Returns the same for a point in time just now, of which the monotonic clock was asked already.
    pub(crate) fn just(at: Instant) -> Self {
        Stamp { at, wall: SystemTime::now() }
    }

    /// The same point in time by the monotonic clock, with a sleep of the machine since then.
    #[cfg(test)]
    pub(crate) fn before_a_sleep(self, d: Duration) -> Self {
        Stamp { wall: self.wall - d, ..self }
    }

    /// Returns how long before `now` it was.
    pub(crate) fn age(&self, now: Stamp) -> Duration {
        now.at.saturating_duration_since(self.at).max(now.wall.duration_since(self.wall).unwrap_or_default())
    }

    /// Returns how much of that the monotonic clock has not seen.
    pub(crate) fn asleep(&self, now: Stamp) -> Duration {
        let wall = now.wall.duration_since(self.wall).unwrap_or_default();
        wall.saturating_sub(now.at.saturating_duration_since(self.at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_larger_age_counts() {
        let hour = Duration::from_secs(3600);
        let now = Stamp::now();
        let slept = Stamp { at: now.at, wall: now.wall - hour };
        assert_eq!((slept.age(now), slept.asleep(now)), (hour, hour));
        let set_back = Stamp { at: now.at - hour, wall: now.wall + hour };
        assert_eq!((set_back.age(now), set_back.asleep(now)), (hour, Duration::ZERO));
        let later = Stamp { at: now.at + hour, wall: now.wall + hour };
        assert_eq!((later.age(now), later.asleep(now)), (Duration::ZERO, Duration::ZERO));
    }

    #[test]
    fn the_earlier_of_two_deadlines() {
        let now = Instant::now();
        let (near, far) = (Deadline::at(now), Deadline::at(now + Duration::from_secs(1)));
        for (a, b, expected) in [
            (near, far, near),
            (far, near, near),
            (near, Deadline::NEVER, near),
            (Deadline::NEVER, near, near),
            (Deadline::NEVER, Deadline::NEVER, Deadline::NEVER),
        ] {
            assert_eq!(a.earlier(b), expected, "{a:?} and {b:?}");
        }
        assert!(near.has_passed(now) && !far.has_passed(now) && !Deadline::NEVER.has_passed(now));
        assert_eq!(Deadline::after(Duration::MAX), Deadline::NEVER);
    }
}
