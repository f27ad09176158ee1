//! Counts what costs the peer little and us something (RFC 9113, section 10.5).

use super::{Flood, Violation};
use std::time::Instant;

/// How much of one kind is taken: so many at once, and so many a second from then on.
///
/// What useful work calls for is allowed on top: a frame with data or a head pays for one control frame, a stream that came
/// to its regular end for one reset.
#[derive(Clone, Copy, Debug)]
struct Limit {
    burst: u32,
    per_second: u32,
}

const fn limit(flood: Flood) -> Limit {
    match flood {
        // Counted by block, not by time.
        Flood::Continuation => Limit { burst: 0, per_second: 0 },
        // Some servers end every flush with one.
        Flood::EmptyData => Limit { burst: 100, per_second: 10 },
        // Two say all there is to say; some peers repeat the last one with every request that they refuse.
        Flood::GoAway => Limit { burst: 100, per_second: 10 },
        // In sizes of the largest list that is taken: a browser whose cookies have grown too many asks for a hundred things.
        Flood::HeaderList => Limit { burst: 200, per_second: 20 },
        // Types nobody knows are sent to see that they are ignored (RFC 9113, section 5.5), now and then.
        Flood::Ignored => Limit { burst: 1000, per_second: 100 },
        // gRPC measures the bandwidth with a PING for each round trip.
        Flood::Ping => Limit { burst: 1000, per_second: 100 },
        // Browsers of the RFC 7540 age send a dozen at the start and one for each request.
        Flood::Priority => Limit { burst: 1000, per_second: 100 },
        // A page that is left cancels all it had asked for, at most our MAX_CONCURRENT_STREAMS.
        Flood::Reset => Limit { burst: 200, per_second: 20 },
        // Each one is answered, and may change the windows of all streams.
        Flood::Settings => Limit { burst: 100, per_second: 10 },
        // Peers that credit every read of a few hundred bytes exist.
        Flood::WindowUpdate => Limit { burst: 10_000, per_second: 1000 },
    }
}

/// A level that rises with each frame and sinks with time and useful work.
#[derive(Clone, Copy, Debug)]
struct Level {
    level: u32,
    since: Instant,
    paid: u64,
}

/// How many kinds are counted by time.
const KINDS: usize = 9;

/// The levels of a connection.
#[derive(Debug)]
pub(super) struct Guard {
    levels: [Level; KINDS],
    /// Frames of use: heads and data, either way.
    pub(super) useful: u64,
    /// Streams that came to their regular end.
    pub(super) completed: u64,
}

impl Guard {
    pub(super) fn new(now: Instant) -> Self {
        Guard { levels: [Level { level: 0, since: now, paid: 0 }; KINDS], useful: 0, completed: 0 }
    }

    /// Counts one.
    ///
    /// # Errors
    ///
    /// [`Violation::Flood`] if it is one too many.
    pub(super) fn count(&mut self, flood: Flood, now: Instant) -> Result<(), Violation> {
        self.count_as(flood, 1, now)
    }

    /// Counts one that costs as much as so many. A single one is taken, whatever it costs, where there is room for one.
    ///
    /// # Errors
    ///
    /// [`Violation::Flood`] if there is no room for any.
    pub(super) fn count_as(&mut self, flood: Flood, n: u32, now: Instant) -> Result<(), Violation> {
        let (place, paid) = match flood {
            Flood::Continuation => return Ok(()),
            Flood::EmptyData => (0, self.useful),
            Flood::Ping => (1, self.useful),
            Flood::Priority => (2, self.useful),
            Flood::Reset => (3, self.completed),
            Flood::Settings => (4, 0),
            Flood::WindowUpdate => (5, self.useful),
            Flood::GoAway => (6, 0),
            Flood::HeaderList => (7, 0),
            Flood::Ignored => (8, self.useful),
        };
        let Limit { burst, per_second } = limit(flood);
        let level = &mut self.levels[place];
        if level.level >= burst {
            let seconds = now.saturating_duration_since(level.since).as_secs();
            let sunk = seconds.saturating_mul(per_second.into()).saturating_add(paid - level.paid);
            let left = u32::try_from(u64::from(level.level).saturating_sub(sunk)).unwrap_or(0);
            if left >= burst {
                return Err(Violation::Flood(flood));
            }
            *level = Level { level: left, since: now, paid };
        }
        level.level = level.level.saturating_add(n);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn each_kind_at_its_limit() {
        use Flood::*;
        let start = Instant::now();
        for flood in [EmptyData, GoAway, HeaderList, Ignored, Ping, Priority, Reset, Settings, WindowUpdate] {
            let mut guard = Guard::new(start);
            let Limit { burst, per_second } = limit(flood);
            for n in 0..burst {
                assert_eq!(guard.count(flood, start), Ok(()), "{flood:?}, number {n}");
            }
            assert_eq!(guard.count(flood, start), Err(Violation::Flood(flood)));
            let later = start + Duration::from_secs(1);
            for n in 0..per_second {
                assert_eq!(guard.count(flood, later), Ok(()), "{flood:?}, number {n} of the next second");
            }
            assert_eq!(guard.count(flood, later), Err(Violation::Flood(flood)));
            (guard.useful, guard.completed) = (1, 1);
            let pays = !matches!(flood, GoAway | HeaderList | Settings);
            assert_eq!(guard.count(flood, later).is_ok(), pays, "{flood:?} after something useful");
            assert_eq!(guard.count(flood, later), Err(Violation::Flood(flood)));
        }
    }

    /// One that is large takes the place of many, but only for those that follow.
    #[test]
    fn what_costs_more_counts_as_more() {
        let start = Instant::now();
        let Limit { burst, per_second } = limit(Flood::HeaderList);
        let mut guard = Guard::new(start);
        assert_eq!(guard.count_as(Flood::HeaderList, u32::MAX, start), Ok(()));
        let minute = start + Duration::from_secs(60);
        assert_eq!(guard.count(Flood::HeaderList, minute), Err(Violation::Flood(Flood::HeaderList)));

        let mut guard = Guard::new(start);
        assert_eq!(guard.count_as(Flood::HeaderList, burst - 1 + 3 * per_second, start), Ok(()));
        for (seconds, fits) in [(0, false), (1, false), (2, false), (3, true)] {
            let later = start + Duration::from_secs(seconds);
            assert_eq!(guard.count(Flood::HeaderList, later).is_ok(), fits, "after {seconds} s");
        }
    }
}
