//! What is done when a request is over that a handler had.

use super::Seat;
use crate::{
    drive::{Lease, Tally},
    server::journal::Entry,
};
use std::sync::{Arc, atomic::Ordering};

/// A request that is with a handler, or whoever that gave it to.
pub(super) struct Running {
    pub(super) seat: Arc<Seat>,
    pub(super) entry: Option<(u64, Arc<Entry>)>,
    /// It has taken a share of what may begin besides one request of each connection.
    pub(super) extra: bool,
}

impl Lease for Running {
    fn over(&self, tally: &Tally) {
        self.seat.hub.journal.end(self.entry.as_ref(), tally);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let Running { seat, extra, .. } = self;
        seat.hub.active.fetch_sub(1, Ordering::SeqCst);
        if *extra {
            seat.begun.give_back(1);
        }
        seat.running.fetch_sub(1, Ordering::SeqCst);
        let drains = seat.hub.drains_for().is_some();
        if seat.held.load(Ordering::SeqCst) || drains {
            // Another can begin, or this was the last.
            seat.stir();
        }
        if drains {
            seat.hub.poller.waker().wake();
        }
    }
}
