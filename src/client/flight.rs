//! A request that is under way, counted until its body is read or dropped.

use super::pool::Pool;
use crate::drive::next_id;
use std::sync::{Arc, atomic::Ordering};

/// Counts one request as in flight until it is dropped.
#[derive(Debug)]
pub(crate) struct Flight {
    pool: Option<Arc<Pool>>,
    id: u64,
}

impl Flight {
    pub(super) fn begin(pool: &Arc<Pool>) -> Self {
        pool.counters.take_off();
        Flight { pool: Some(pool.clone()), id: next_id() }
    }

    /// The number of the request.
    pub(super) fn id(&self) -> u64 {
        self.id
    }

    /// The request failed.
    pub(super) fn failed(&self) {
        if let Some(pool) = &self.pool {
            pool.counters.errors.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Hands the counting over.
    pub(super) fn hand_over(&mut self) -> Flight {
        Flight { pool: self.pool.take(), id: self.id }
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        if let Some(pool) = &self.pool {
            pool.counters.land();
        }
    }
}
