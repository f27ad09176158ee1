//! Connections that were taken off their shelves to be closed.
//!
//! One of HTTP/1 counts as in use until it is closed: a limit on connections is one on what the peer sees, and it is closed without the
//! lock of the pool, while others ask for one.

use super::{Key, Pool, shelf::Kept};
use crate::drive::CloseReason;

/// One of them.
pub(super) struct Past {
    pub(super) kept: Kept,
    pub(super) reason: CloseReason,
    /// Where it counts until then.
    pub(super) counted: Option<Key>,
}

/// Counts them out when it is dropped, also while a panic of a wire unwinds.
struct Counted<'a> {
    pool: &'a Pool,
    keys: Vec<Key>,
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        let mut moves = Vec::new();
        let mut state = self.pool.lock();
        for key in self.keys.drain(..) {
            let Some(shelf) = state.shelves.get_mut(&key) else { continue };
            shelf.used = shelf.used.saturating_sub(1);
            if !shelf.line.is_empty() && !moves.contains(&key) {
                moves.push(key);
            }
        }
        drop(state);
        moves.iter().for_each(|key| self.pool.advance(key));
    }
}

impl Pool {
    /// Ends connections: at once where nobody uses them, else once nobody does. Returns how many are over.
    #[inline]
    pub(super) fn retire(&self, past: Vec<Past>) -> usize {
        if past.is_empty() { 0 } else { self.retire_all(past) }
    }

    fn retire_all(&self, mut past: Vec<Past>) -> usize {
        let keys = past.iter_mut().filter_map(|past| past.counted.take()).collect();
        let _counted = Counted { pool: self, keys };
        // Dropped before they are counted out, whatever happens.
        let past = past;
        past.iter().filter(|past| past.kept.retire(past.reason)).count()
    }
}
