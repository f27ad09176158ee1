//! A request that is under way, counted until its body is read or dropped.

use super::pool::Pool;
use crate::drive::next_id;
use std::sync::{Arc, atomic::Ordering};

/// Counts one request as in flight until it is dropped.
#[derive(Debug)]
pub(crate) struct Flight {
    pool: Arc<Pool>,
    id: u64,
    counted: bool,
}

impl Flight {
    pub(super) fn begin(pool: &Arc<Pool>) -> Self {
        pool.counters.take_off();
        Flight { pool: pool.clone(), id: next_id(), counted: true }
    }

    /// The number of the request.
    pub(super) fn id(&self) -> u64 {
        self.id
    }

    /// The request failed.
    pub(super) fn failed(&self) {
        self.pool.counters.errors.fetch_add(1, Ordering::Relaxed);
    }

    /// Hands the counting over.
    pub(super) fn hand_over(&mut self) -> Flight {
        Flight { pool: self.pool.clone(), id: self.id, counted: std::mem::take(&mut self.counted) }
    }

    /// Counts it again: the answer that took over was not the last.
    pub(super) fn go_on(&mut self) {
        if !std::mem::replace(&mut self.counted, true) {
            self.pool.counters.go_on();
        }
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        if self.counted {
            self.pool.counters.land();
        }
    }
}
