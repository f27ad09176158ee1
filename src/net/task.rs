//! Steps that do not wait, and what they say they wait for.
//!
//! Whatever takes time in this crate is a value with a method `poll(&mut self, cx) -> Poll<…>` that moves as far as it can
//! without waiting. When it cannot go on, it registers `cx.waker` wherever its condition is decided, and tells `cx` which wires
//! or shared connections to watch and until when. The one blocking loop (`drive::wait`) does the rest. There is no executor
//! and no thread: the caller's own thread polls, waits, and polls again.

use super::{Interest, Ready, Waker, Wire};
use crate::time::Deadline;
use std::{sync::Arc, time::Instant};

/// What one step may use, and where it says what it waits for.
pub(crate) struct Cx<'a> {
    /// The time of this step.
    pub(crate) now: Instant,
    /// Ends the wait of the thread that polls.
    pub(crate) waker: &'a Waker,
    wants: &'a mut Wants,
    /// The places the thread has kept since its last wait.
    places: Option<&'a mut dyn Places>,
}

/// The places of a thread: the connections it reads for all who wait on them, and those where it is in line.
pub(crate) trait Places {
    /// Gives every place to others.
    fn give_up(&mut self);
}

/// What the steps of one round wait for.
#[derive(Default)]
pub(crate) struct Wants {
    /// Connections that one of their waiters reads for all.
    pub(crate) shared: Vec<Arc<dyn Lead>>,
    /// Wires that only the polling thread uses.
    pub(crate) wires: Vec<(Arc<dyn Wire>, Interest)>,
    /// When to poll again at the latest.
    pub(crate) until: Deadline,
}

impl Default for Deadline {
    fn default() -> Self {
        Deadline::NEVER
    }
}

impl std::fmt::Debug for Wants {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Wants { shared, wires, until } = self;
        f.debug_struct("Wants")
            .field("shared", &shared.len())
            .field("wires", &wires.len())
            .field("until", until)
            .finish()
    }
}

impl Wants {
    /// Forgets everything, keeping the memory.
    pub(crate) fn clear(&mut self) {
        self.shared.clear();
        self.wires.clear();
        self.until = Deadline::NEVER;
    }
}

impl std::fmt::Debug for Cx<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cx").field("now", &self.now).field("wants", &self.wants).finish_non_exhaustive()
    }
}

impl<'a> Cx<'a> {
    /// Returns the context of one round.
    pub(crate) fn new(now: Instant, waker: &'a Waker, wants: &'a mut Wants) -> Self {
        Cx { now, waker, wants, places: None }
    }

    /// The same, of a thread that may have places.
    pub(crate) fn with_places(mut self, places: &'a mut dyn Places) -> Self {
        self.places = Some(places);
        self
    }

    /// To be called before code of the caller's, which takes as long as it likes: others read meanwhile.
    pub(crate) fn before_foreign_code(&mut self) {
        if let Some(places) = &mut self.places {
            places.give_up();
        }
    }

    /// Polls again when `wire`, which no other thread reads or writes, may be ready.
    pub(crate) fn wait_wire(&mut self, wire: &Arc<dyn Wire>, interest: Interest) {
        self.wants.wires.push((wire.clone(), interest));
    }

    /// Polls again when this connection has moved; the thread may become its reader.
    pub(crate) fn wait_shared(&mut self, shared: &Arc<dyn Lead>) {
        if !self.wants.shared.iter().any(|s| Arc::ptr_eq(s, shared)) {
            self.wants.shared.push(shared.clone());
        }
    }

    /// Returns until when, at the latest, the steps of this round so far wait.
    pub(crate) fn until(&self) -> Deadline {
        self.wants.until
    }

    /// Polls again at `deadline` at the latest.
    pub(crate) fn wait_until(&mut self, deadline: Deadline) {
        self.wants.until = self.wants.until.earlier(deadline);
    }
}

/// What the reader of a shared connection has to watch, or that somebody else reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// The thread is the reader: it watches the wire for this (`None`: nothing for now) until then, and calls `turn`.
    Reader(Option<Interest>, Deadline),
    /// Another thread reads; this one waits for its waker.
    Follower,
    /// The connection is over: poll again, nothing will come.
    Over,
}

/// A connection that several threads wait on, of whom one at a time reads for all.
pub(crate) trait Lead: Send + Sync {
    /// The wire to watch.
    fn wire(&self) -> &dyn Wire;
    /// Takes the read role if nobody has it, else parks `waker`. Called again before every wait.
    fn enlist(&self, waker: &Waker, now: Instant) -> Part;
    /// As the reader: receives and dispatches what is there, sends what is unsent, does what is due.
    /// Returns whether anything arrived.
    fn turn(&self, ready: Ready, now: Instant) -> bool;
    /// Gives the role back or leaves the queue, and wakes one waiter if nobody reads now.
    fn leave(&self, waker: &Waker);
    /// Gives memory back that is not needed before something moves: it has stood still for a moment.
    fn slim(&self);
}
