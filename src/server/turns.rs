//! Whose turn it is when threads are scarce: no connection keeps more than one handler waiting for its client then.
//!
//! A handler that waits for its client holds a thread, and a client of HTTP/2 can have many handlers wait. There are threads enough
//! for every connection to have one, and for many more; once those many are in use, a connection that keeps a handler waiting has
//! its other requests held until that one ends. So whoever does not dawdle is served, whatever others do.

use super::{seat::Seat, serve::Work, workers::Job};
use crate::net::Lead;
use std::{
    cell::RefCell,
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

/// The requests of one connection, as far as it dawdles.
#[derive(Default)]
pub(super) struct Turns {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Handlers that wait for the client, or did at some time.
    slow: usize,
    held: VecDeque<Box<Work>>,
}

impl Turns {
    fn with<R>(&self, f: impl FnOnce(&mut State) -> R) -> R {
        f(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Returns the request if it is its turn; else it is held.
    pub(super) fn take(&self, work: Box<Work>, scarce: impl FnOnce() -> bool) -> Option<Box<Work>> {
        self.with(|state| {
            if state.slow == 0 || !scarce() {
                return Some(work);
            }
            state.held.push_back(work);
            None
        })
    }

    /// Returns the next request that was held, if it is its turn now.
    pub(super) fn next(&self, scarce: impl FnOnce() -> bool) -> Option<Box<Work>> {
        self.with(|state| {
            let turn = !state.held.is_empty() && (state.slow == 0 || !scarce());
            if turn { state.held.pop_front() } else { None }
        })
    }

    /// Refuses what is held: its bodies are in the way of those that somebody reads.
    pub(super) fn refuse(&self) {
        let held = self.with(|state| std::mem::take(&mut state.held));
        held.into_iter().for_each(Job::refuse);
    }

    /// Forgets what is held: the connection is over.
    pub(super) fn clear(&self) {
        // Dropping a request comes back here.
        drop(self.with(|state| std::mem::take(&mut state.held)));
    }
}

/// The handler that runs on this thread.
struct Current {
    seat: Arc<Seat>,
    slow: bool,
}

impl Drop for Current {
    fn drop(&mut self) {
        if self.slow {
            self.seat.turns.with(|state| state.slow -= 1);
            self.seat.hub.workers.remove_slow();
        }
    }
}

thread_local! {
    static CURRENT: RefCell<Option<Current>> = const { RefCell::new(None) };
}

/// Runs a handler for a request of this connection, and has the next one run.
pub(super) fn run(seat: Arc<Seat>, handler: impl FnOnce()) {
    CURRENT.set(Some(Current { seat: seat.clone(), slow: false }));
    // It does not unwind.
    handler();
    leave();
    seat.resume();
}

/// What runs on this thread is no request any more.
pub(super) fn leave() {
    // Dropped here, where nothing of it is borrowed.
    drop(CURRENT.take());
}

/// The thread is about to wait for these connections.
pub(super) fn on_wait(shared: &[Arc<dyn Lead>]) {
    CURRENT.with_borrow_mut(|current| {
        let Some(Current { seat, slow }) = current else { return };
        if !*slow && shared.iter().any(|lead| seat.is_on(lead)) {
            *slow = true;
            seat.turns.with(|state| state.slow += 1);
            seat.hub.workers.add_slow();
        }
    });
}
