//! What happens to connections, kept for those who ask later: the dispatching thread must not call anybody.

use super::info::{CloseReason, ConnectionState};
use std::{
    collections::VecDeque,
    sync::{
        Mutex, OnceLock, PoisonError, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

/// How many events wait for somebody to take them; the oldest go first.
const KEPT: usize = 4096;

/// Something that happened to a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Happened {
    /// It ended.
    Closed { connection: u64, reason: CloseReason },
    /// It does something else than before.
    Changed { connection: u64, from: ConnectionState, to: ConnectionState },
    /// A PING was sent, or answered after so long.
    Pinged { connection: u64, rtt: Option<Duration> },
}

/// Keeps connections that requests share.
pub(crate) trait Owner: Send + Sync {
    /// One of them is over: it is to be kept no longer. Called without a lock of the connection.
    fn ended(&self, connection: u64);
}

/// The record of the connections of one pool: totals of those that are gone, and events for the hooks.
#[derive(Debug, Default)]
pub(crate) struct Record {
    /// Whether anybody wants the events.
    wanted: AtomicBool,
    events: Mutex<VecDeque<Happened>>,
    owner: OnceLock<Weak<dyn Owner>>,
    pub(crate) closed: AtomicU64,
    pub(crate) bytes_in: AtomicU64,
    pub(crate) bytes_out: AtomicU64,
    pub(crate) pings: AtomicU64,
    pub(crate) acks: AtomicU64,
}

impl Record {
    /// Names who keeps the connections, once.
    pub(crate) fn belong_to(&self, owner: Weak<dyn Owner>) {
        let _ = self.owner.set(owner);
    }

    /// Who keeps them.
    pub(crate) fn owner(&self) -> Option<Weak<dyn Owner>> {
        self.owner.get().cloned()
    }

    /// From now on events are kept.
    pub(crate) fn want_events(&self) {
        self.wanted.store(true, Ordering::Relaxed);
    }

    /// Whether anybody wants the events.
    pub(super) fn is_wanted(&self) -> bool {
        self.wanted.load(Ordering::Relaxed)
    }

    /// Notes an event, if anybody wants it.
    pub(super) fn note(&self, event: Happened) {
        if self.is_wanted() {
            let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
            if events.len() == KEPT {
                events.pop_front();
            }
            events.push_back(event);
        }
    }

    /// Takes the events noted so far.
    pub(crate) fn take_events(&self) -> VecDeque<Happened> {
        if !self.is_wanted() {
            return VecDeque::new();
        }
        std::mem::take(&mut *self.events.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
