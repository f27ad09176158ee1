//! The line for a connection, in the order in which the requests began; and those started requests that hold the connections.
//!
//! Who is in line is either waited for by a thread, which is woken when its turn comes, or by nobody: then it is sent by whoever made
//! room. Who waits reads meanwhile for those that hold a connection and are not waited for.

use super::{
    super::resting::{Moved, Resting},
    Key, Pool,
    shelf::Shelf,
};
use crate::net::{Cx, Waker};
use std::{
    sync::{Arc, MutexGuard, PoisonError, Weak, atomic::Ordering},
    thread,
    time::Instant,
};

/// One in line.
#[derive(Debug)]
pub(super) struct Waiting {
    /// The number of the request.
    id: u64,
    /// How many connections it wants there to be at most.
    cap: Option<usize>,
    who: Who,
}

#[derive(Debug)]
enum Who {
    /// A thread waits for it.
    Thread(Waker),
    /// Nobody does: it is to be sent when its turn comes.
    Nobody(Weak<Resting>),
}

/// A place in line, given up when this is dropped.
#[derive(Debug)]
pub(crate) struct InLine {
    pool: Arc<Pool>,
    pub(crate) key: Key,
    id: u64,
    /// The limit that keeps it there, if that is what does.
    pub(crate) cap: Option<usize>,
}

impl Drop for InLine {
    fn drop(&mut self) {
        let left = self.pool.lock().shelves.get_mut(&self.key).is_some_and(|shelf| shelf.leave_line(self.id));
        if left {
            // Those behind move up, and it may have been its turn.
            self.pool.advance(&self.key);
        }
    }
}

/// What came of reading for those who hold the connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Driven {
    /// There is nobody to read for.
    Nobody,
    /// They still hold them.
    Reading,
    /// One of them does no longer.
    Freed,
}

/// Who sends what is in line, and where that is to be looked at: one thread at a time, so that it goes out in order.
#[derive(Debug, Default)]
pub(super) struct Launching {
    busy: bool,
    due: Vec<Key>,
}

impl Shelf {
    /// How many are in line before this request.
    #[inline]
    pub(super) fn before(&self, id: u64) -> usize {
        if self.line.is_empty() { 0 } else { self.line.partition_point(|waiting| waiting.id < id) }
    }

    /// Puts a request in line, or the waker of its thread if that waits; returns whether the same thread is in line just before it.
    pub(super) fn join_line(&mut self, id: u64, cap: Option<usize>, attended: bool, waker: &Waker) -> bool {
        let at = self.before(id);
        match self.line.get_mut(at).filter(|waiting| waiting.id == id) {
            Some(waiting) => {
                waiting.cap = cap;
                match &waiting.who {
                    Who::Thread(w) if w.same(waker) => {}
                    _ if attended => waiting.who = Who::Thread(waker.clone()),
                    _ => {}
                }
            }
            None => self.line.insert(at, Waiting { id, cap, who: Who::Thread(waker.clone()) }),
        }
        let before = at.checked_sub(1).and_then(|at| self.line.get(at));
        before.is_some_and(|before| matches!(&before.who, Who::Thread(w) if w.same(waker)))
    }

    /// Takes a request out of line; returns whether it was there.
    #[inline]
    pub(super) fn leave_line(&mut self, id: u64) -> bool {
        !self.line.is_empty() && self.take_out_of_line(id)
    }

    fn take_out_of_line(&mut self, id: u64) -> bool {
        let at = self.before(id);
        let found = self.line.get(at).is_some_and(|waiting| waiting.id == id);
        if found {
            self.line.remove(at);
        }
        found
    }

    /// The wakers of the threads in line.
    pub(super) fn waiting(&self) -> Vec<Waker> {
        let mut wakers: Vec<Waker> = Vec::new();
        for waiting in &self.line {
            match &waiting.who {
                Who::Thread(waker) if !wakers.last().is_some_and(|last| last.same(waker)) => wakers.push(waker.clone()),
                Who::Thread(_) | Who::Nobody(_) => {}
            }
        }
        wakers
    }

    /// Those in line whose turn has come.
    fn due(&self, now: Instant) -> (Vec<Waker>, Vec<Weak<Resting>>) {
        let (mut wakers, mut resting) = (Vec::new(), Vec::new());
        let shared = !self.shared.is_empty();
        let hopes = !shared && self.hope(now).is_some();
        for (at, waiting) in self.line.iter().enumerate() {
            if !shared && waiting.cap.is_some_and(|cap| self.used + self.dialling + at >= cap) {
                break;
            }
            match &waiting.who {
                Who::Thread(waker) => wakers.push(waker.clone()),
                // It would wait for the connection that is being made.
                Who::Nobody(_) if hopes => {}
                Who::Nobody(one) => resting.push(one.clone()),
            }
        }
        (wakers, resting)
    }
}

impl Pool {
    /// A place in line for a request that was told to wait.
    pub(crate) fn in_line(self: &Arc<Self>, key: &Key, id: u64) -> InLine {
        InLine { pool: self.clone(), key: key.clone(), id, cap: None }
    }

    /// Nobody waits for a request in line any more: it is to be sent all the same. Returns whether that is news.
    pub(crate) fn rests_in_line(&self, key: &Key, id: u64, resting: &Arc<Resting>) -> bool {
        let mut state = self.lock();
        let Some(shelf) = state.shelves.get_mut(key) else { return false };
        let at = shelf.before(id);
        let Some(waiting) = shelf.line.get_mut(at).filter(|waiting| waiting.id == id) else { return false };
        let news = matches!(waiting.who, Who::Thread(_));
        waiting.who = Who::Nobody(Arc::downgrade(resting));
        news
    }

    /// Enters a request that holds a connection, or a stream that it has to upload on; returns whether that is news.
    pub(crate) fn holds(&self, key: &Key, id: u64, resting: &Arc<Resting>) -> bool {
        let mut state = self.lock();
        // A connection of the program's own is on no shelf.
        let shelf = state.shelves.entry(key.clone()).or_default();
        if shelf.held.iter().any(|(held, _)| *held == id) {
            return false;
        }
        // Those that are over.
        shelf.held.retain(|(_, resting)| resting.strong_count() > 0);
        shelf.held.push((id, Arc::downgrade(resting)));
        true
    }

    /// It holds it no longer.
    pub(crate) fn lets_go(&self, key: &Key, id: u64) {
        if let Some(shelf) = self.lock().shelves.get_mut(key) {
            shelf.held.retain(|(held, _)| *held != id);
        }
    }

    /// Wakes the threads in line: there is somebody new to read for.
    pub(crate) fn wake_waiting(&self, key: &Key) {
        let wakers = self.lock().shelves.get(key).map(Shelf::waiting).unwrap_or_default();
        wakers.iter().for_each(Waker::wake);
    }

    /// Reads for those that hold the connections of a key and that nobody waits for.
    pub(crate) fn drive(&self, key: &Key, cx: &mut Cx<'_>) -> Driven {
        let held: Vec<_> = {
            let state = self.lock();
            let held = state.shelves.get(key).map(|shelf| &shelf.held[..]).unwrap_or_default();
            held.iter().filter_map(|(_, resting)| resting.upgrade()).collect()
        };
        let mut driven = Driven::Nobody;
        for resting in held {
            match resting.drive(key, cx) {
                Moved::Not => {}
                Moved::On if driven == Driven::Nobody => driven = Driven::Reading,
                Moved::On => {}
                Moved::Freed => driven = Driven::Freed,
            }
        }
        driven
    }

    /// There may be room: sends those in line whose turn has come, and wakes the threads that wait for theirs.
    pub(crate) fn advance(&self, key: &Key) {
        {
            let mut launching = self.launching();
            if !launching.due.contains(key) {
                launching.due.push(key.clone());
            }
            if std::mem::replace(&mut launching.busy, true) {
                // Whoever is at it does this, too: also further out in this thread.
                return;
            }
        }
        let _done = Done { pool: self, panicking: thread::panicking() };
        while let Some(key) = self.next_due() {
            let (wakers, resting) = match self.lock().shelves.get(&key) {
                Some(shelf) => shelf.due(Instant::now()),
                None => continue,
            };
            wakers.iter().for_each(Waker::wake);
            resting.iter().filter_map(Weak::upgrade).for_each(|resting| resting.launch());
        }
    }

    fn launching(&self) -> MutexGuard<'_, Launching> {
        self.launching.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next_due(&self) -> Option<Key> {
        let mut launching = self.launching();
        let next = launching.due.pop();
        launching.busy = next.is_some();
        next
    }

    /// Sets memory aside for answers that nobody has asked for, if there is so much left of `max` bytes.
    pub(crate) fn set_aside(self: &Arc<Self>, bytes: usize, max: usize) -> Option<Aside> {
        let more = |kept: usize| kept.checked_add(bytes).filter(|kept| *kept <= max);
        match self.aside.fetch_update(Ordering::SeqCst, Ordering::SeqCst, more) {
            Ok(_) => Some(Aside { pool: self.clone(), bytes }),
            Err(_) => {
                self.short.store(true, Ordering::SeqCst);
                // Some may have become free between the two.
                let kept = self.aside.fetch_update(Ordering::SeqCst, Ordering::SeqCst, more).ok();
                kept.map(|_| Aside { pool: self.clone(), bytes })
            }
        }
    }
}

/// Lets others send when this thread is done, also while a panic unwinds.
struct Done<'a> {
    pool: &'a Pool,
    /// The thread was panicking before.
    panicking: bool,
}

impl Drop for Done<'_> {
    fn drop(&mut self) {
        if !self.panicking && thread::panicking() {
            self.pool.launching().busy = false;
        }
    }
}

/// Memory for an answer that nobody has asked for, given back when this is dropped.
#[derive(Debug)]
pub(crate) struct Aside {
    pool: Arc<Pool>,
    bytes: usize,
}

impl Aside {
    /// Gives back what is above `bytes`.
    pub(crate) fn shrink(&mut self, bytes: usize) {
        let more = self.bytes.saturating_sub(bytes);
        self.bytes -= more;
        self.pool.aside.fetch_sub(more, Ordering::SeqCst);
        if more > 0 && self.pool.short.swap(false, Ordering::SeqCst) {
            // Some have waited for it.
            let wakers: Vec<_> = self.pool.lock().shelves.values().flat_map(Shelf::waiting).collect();
            wakers.iter().for_each(Waker::wake);
        }
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        self.shrink(0);
    }
}
