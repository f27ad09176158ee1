//! Places: of a connection in use, and of one being made.

use super::{
    Key, Pool,
    shelf::{Dialled, Hope, State},
};
use crate::client::{settings::PoolLimits, url::Origin};
use crate::{
    drive::{self, Carrier, Record, next_id},
    net::Waker,
};
use http::Version;
use std::{fmt, sync::Arc, time::Instant};

/// A place of a connection in use. Dropping it gives the connection back, after the exchange on it was given up or completed.
pub(crate) struct Lease {
    pub(super) pool: Arc<Pool>,
    pub(super) key: Key,
    pub(crate) conn: Arc<dyn Carrier>,
    pub(super) limits: PoolLimits,
    /// Others may use it as well.
    pub(crate) shared: bool,
    /// They come after the request for which the connection was made, which has not begun yet.
    first: bool,
}

impl Lease {
    pub(super) fn new(pool: Arc<Pool>, key: Key, conn: Arc<dyn Carrier>, limits: PoolLimits, shared: bool) -> Self {
        Lease { pool, key, conn, limits, shared, first: false }
    }

    /// The request has begun: those come next that stand in line for a connection that others may use.
    pub(crate) fn begun(&mut self) {
        if std::mem::take(&mut self.first) {
            self.pool.advance(&self.key);
        }
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease").field("connection", &self.conn.id()).field("shared", &self.shared).finish()
    }
}

impl drive::Lease for Lease {}

impl Drop for Lease {
    fn drop(&mut self) {
        if !self.shared {
            self.pool.put_back(self);
        }
        // Or it never will.
        self.begun();
    }
}

/// The right to make one connection. Dropping it gives the right to others.
pub(crate) struct Permit {
    pub(super) pool: Arc<Pool>,
    pub(super) key: Key,
    pub(super) limits: PoolLimits,
    pub(super) dial: DialEntry,
    /// Nobody goes on with it, for now.
    pub(super) rests: bool,
}

/// The entry of a connection that is being made in the table. Dropping it takes it out.
pub(crate) struct DialEntry {
    pool: Arc<Pool>,
    id: u64,
}

impl DialEntry {
    /// Enters a row for a connection to `origin`, under a number that the connection is to have.
    pub(super) fn new(pool: &Arc<Pool>, state: &mut State, origin: &Origin) -> Self {
        let id = next_id();
        state.dials.push(Dialled { id, origin: origin.clone(), since: Instant::now() });
        DialEntry { pool: pool.clone(), id }
    }

    /// The number of the connection.
    pub(crate) fn id(&self) -> u64 {
        self.id
    }
}

impl fmt::Debug for DialEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DialEntry").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Drop for DialEntry {
    fn drop(&mut self) {
        self.pool.lock().dials.retain(|dial| dial.id != self.id);
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").field("origin", &self.key.origin).finish()
    }
}

impl Permit {
    /// Where the connection is to be recorded.
    pub(crate) fn record(&self) -> &Arc<Record> {
        &self.pool.record
    }

    /// The number of the connection that is made.
    pub(crate) fn connection_id(&self) -> u64 {
        self.dial.id()
    }

    /// Nobody goes on with it, for now: others hope for it no longer, or not for long.
    pub(crate) fn rest(&mut self) {
        if !std::mem::replace(&mut self.rests, true) {
            self.hope(Some(Instant::now()));
        }
    }

    /// Somebody goes on with it.
    pub(crate) fn go_on(&mut self) {
        if std::mem::take(&mut self.rests) {
            self.hope(None);
        }
    }

    fn hope(&self, rests: Option<Instant>) {
        let (mut wakers, mut hoped) = (Vec::new(), false);
        if let Some(shelf) = self.pool.lock().shelves.get_mut(&self.key) {
            for hope in shelf.hopeful.iter_mut().filter(|hope| hope.id == self.dial.id()) {
                hope.rests = rests;
                hoped = true;
            }
            if hoped {
                wakers = shelf.waiting();
            }
        }
        wakers.iter().for_each(Waker::wake);
    }

    /// The connection was made: others may share it, if it is of that kind.
    pub(crate) fn use_for(self, conn: Arc<dyn Carrier>, version: Version) -> Lease {
        let shared = version == Version::HTTP_2;
        self.pool.enter(&conn);
        self.pool.place(&self.key, &conn, &self.limits, version);
        let mut lease = Lease::new(self.pool.clone(), self.key.clone(), conn, self.limits, shared);
        lease.first = shared;
        lease
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let (mut wakers, mut moves) = (Vec::new(), false);
        if let Some(shelf) = self.pool.lock().shelves.get_mut(&self.key) {
            shelf.dialling -= 1;
            shelf.hopeful.retain(|hope: &Hope| hope.id != self.dial.id());
            // On a connection that is shared the request for which it was made comes first.
            moves = !shelf.line.is_empty() && shelf.shared.is_empty();
            wakers = shelf.waiting();
        }
        wakers.iter().for_each(Waker::wake);
        if moves {
            self.pool.advance(&self.key);
        }
    }
}
