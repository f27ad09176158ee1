//! Who makes room for a new connection when there are as many as there may be: the one that has been idle for longest.

use super::seat::Seat;
use std::{
    sync::{Arc, Weak},
    time::{Duration, Instant},
};

/// After how long it is worth looking again, where none was idle.
const AGAIN: Duration = Duration::from_millis(100);

/// The connections that can make room.
#[derive(Debug, Default)]
pub(super) struct Places {
    /// Since when they could, the longest last. Those that can later come behind them all, so a look at all connections is good until
    /// these are used up.
    idle: Vec<(Instant, Weak<Seat>)>,
    /// There was none: until when nobody looks.
    again: Option<Instant>,
}

impl Places {
    /// Returns when to look again, if there was none lately.
    pub(super) fn again(&mut self, now: Instant) -> Option<Instant> {
        self.again = self.again.filter(|again| *again > now);
        self.again
    }

    /// Returns a connection that can make room; `all` returns those that there are.
    pub(super) fn find(&mut self, all: impl FnOnce() -> Vec<Arc<Seat>>, now: Instant) -> Option<Arc<Seat>> {
        if self.again(now).is_some() {
            return None;
        }
        let found = self.next().or_else(|| {
            self.look(all(), now);
            self.next()
        });
        if found.is_none() {
            self.again = now.checked_add(AGAIN);
        }
        found
    }

    /// Takes those that have been idle for long enough.
    fn look(&mut self, all: Vec<Arc<Seat>>, now: Instant) {
        let rests = |seat: &Arc<Seat>| {
            let since = seat.spare_from().filter(|since| *since <= now)?;
            Some((since, Arc::downgrade(seat)))
        };
        self.idle = all.iter().filter_map(rests).collect();
        self.idle.sort_unstable_by_key(|(since, _)| std::cmp::Reverse(*since));
    }

    /// Returns the next that is still idle. It stays until it is not: whoever waited may have left.
    fn next(&mut self) -> Option<Arc<Seat>> {
        while let Some((since, seat)) = self.idle.last() {
            if let Some(seat) = seat.upgrade().filter(|seat| seat.spare_from() == Some(*since)) {
                return Some(seat);
            }
            self.idle.pop();
        }
        None
    }
}
