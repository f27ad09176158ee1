//! Whose turn it is when threads are scarce: no connection has more than one handler at a time then.
//!
//! A handler that waits for its client holds a thread, and a client of HTTP/2 can have many handlers wait. There are threads enough
//! for every connection to have one, and for many more; once those many are taken, a connection that has a handler has its other
//! requests held until that one ends. So whoever comes is served, whatever others do; and since a peer has at most as many as are
//! left ([`Share`]), none makes others wait for themselves.
//!
//! Every handler counts from its beginning: of those that run nobody knows which will wait, and several may at the same moment. It does
//! to its end, also with a WebSocket or a tunnel: that keeps its thread like everything else that waits.

use super::{budget::Share, seat::Seat, serve::Work, workers::Job};
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

/// The requests of one connection that handlers have, and those that are held.
#[derive(Debug)]
pub(super) struct Turns<T> {
    state: Mutex<State<T>>,
}

#[derive(Debug)]
struct State<T> {
    /// Handlers that have begun and not ended.
    begun: usize,
    held: VecDeque<T>,
    /// The connection is over: nothing is held any more.
    over: bool,
}

impl<T> State<T> {
    fn pop(&mut self, extras: &Share) -> Option<T> {
        if self.held.is_empty() || (self.begun > 0 && !extras.has_more()) {
            return None;
        }
        self.held.pop_front()
    }
}

impl<T> Default for Turns<T> {
    fn default() -> Self {
        Turns { state: Mutex::new(State { begun: 0, held: VecDeque::new(), over: false }) }
    }
}

impl<T> Turns<T> {
    fn with<R>(&self, f: impl FnOnce(&mut State<T>) -> R) -> R {
        f(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Returns the request if it is its turn, and counts it as begun; else it is held, or forgotten if the connection is over.
    pub(super) fn take(&self, work: T, extras: &Share) -> Option<T> {
        let (begins, forgotten) = self.with(|state| {
            if state.begun == 0 || extras.take() {
                state.begun += 1;
                return (Some(work), None);
            }
            if state.over {
                return (None, Some(work));
            }
            state.held.push_back(work);
            (None, None)
        });
        // Dropping a request comes back here.
        drop(forgotten);
        begins
    }

    /// A handler has ended. Returns the next request that was held, if it is its turn now.
    fn end(&self, extras: &Share) -> Option<T> {
        self.with(|state| {
            state.begun -= 1;
            if state.begun > 0 {
                extras.give_back(1);
            }
            state.pop(extras)
        })
    }

    /// Returns the next request that was held, if it is its turn now.
    pub(super) fn next(&self, extras: &Share) -> Option<T> {
        self.with(|state| state.pop(extras))
    }

    /// Forgets what is held, and what would be: the connection is over.
    pub(super) fn clear(&self) {
        let held = self.with(|state| {
            state.over = true;
            std::mem::take(&mut state.held)
        });
        drop(held);
    }
}

impl Turns<Box<Work>> {
    /// Refuses what is held: its bodies are in the way of those that somebody reads.
    pub(super) fn refuse(&self) {
        let held = self.with(|state| std::mem::take(&mut state.held));
        held.into_iter().for_each(Job::refuse);
    }
}

/// The handler that runs.
struct Current(Arc<Seat>);

impl Drop for Current {
    fn drop(&mut self) {
        let Current(seat) = self;
        let next = seat.turns.end(&seat.handlers);
        seat.resume(next);
    }
}

/// Runs the handler of a request that [`Turns::take`] gave, and has the next one run.
pub(super) fn run(seat: Arc<Seat>, handler: impl FnOnce()) {
    let _current = Current(seat);
    handler();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::budget::Budget;

    #[test]
    fn each_connection_has_one_handler_and_all_together_so_many_more() {
        // Of four, one peer has two.
        let extras = Share::new(Budget::new(4), Arc::default());
        let [a, b, c] = [(); 3].map(|()| Turns::default());
        // Nobody knows yet whether any of them will wait.
        assert_eq!([1, 2, 3, 4].map(|n| a.take(n, &extras)), [Some(1), Some(2), Some(3), None]);
        assert_eq!([5, 6].map(|n| b.take(n, &extras)), [Some(5), None], "its first");
        assert_eq!(c.take(7, &extras), Some(7), "its first");
        assert_eq!((a.next(&extras), b.next(&extras), c.next(&extras)), (None, None, None));
        // The only one of `b` ends: that is nobody's extra.
        assert_eq!((b.end(&extras), a.next(&extras)), (Some(6), None));
        assert_eq!(b.take(6, &extras), Some(6));
        // One of three of `a` does: it may have another, or whoever comes first.
        assert_eq!(a.end(&extras), Some(4));
        assert_eq!([8, 9].map(|n| b.take(n, &extras)), [Some(8), None]);
        assert_eq!(a.take(4, &extras), None, "it was too late");
        assert_eq!((a.end(&extras), a.take(4, &extras)), (Some(4), Some(4)));
        b.clear();
        assert_eq!(b.take(9, &extras), None, "what was on its way to a thread");
        assert_eq!((a.end(&extras), a.end(&extras), b.end(&extras), b.end(&extras)), (None, None, None, None));
        assert_eq!(c.end(&extras), None);
        assert_eq!((0..).take_while(|_| extras.take()).count(), 2, "all were given back");
    }
}
