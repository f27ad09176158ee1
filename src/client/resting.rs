//! A started request that nobody waits for at the moment, and what others do with it who wait for the place it holds.
//!
//! A request that was started and is not waited for holds its HTTP/1 connection until somebody reads its answer. Whoever waits for a
//! connection of the same origin and finds all of them in use reads those answers meanwhile, and sends what was started before it. Over
//! HTTP/2 answers are read for everybody by whoever reads; whoever waits for a stream sends the bodies of those that have one.
//!
//! # Locks
//!
//! The [`Hand`] of a request has a lock, the pool has two (its shelves; who sends what is in line), and each connection has one. None of
//! them is held while another one is taken, nor over a poll, a wait, a wake or a drop.

use super::{
    call::{Call, Post},
    hand::Hand,
    pool::Key,
};
use crate::{
    drive::step_once,
    net::{Cx, Waker},
};
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::Poll,
    thread,
};

/// A started request, for those who do not own it.
#[derive(Debug)]
pub(crate) struct Resting {
    hand: Mutex<Hand<Box<Call>, Waker>>,
    /// The number of the request.
    id: u64,
}

/// What became of a request that was moved for its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moved {
    /// It is its owner's to move.
    Not,
    /// It still holds its place.
    On,
    /// Its place is free.
    Freed,
}

impl Resting {
    /// A request in its owner's hands.
    pub(super) fn new(call: &Call) -> Arc<Self> {
        Arc::new(Resting { hand: Mutex::new(Hand::Owner), id: call.id() })
    }

    fn hand(&self) -> MutexGuard<'_, Hand<Box<Call>, Waker>> {
        self.hand.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The owner begins to wait; `None`: it is being moved by another thread, which wakes `waker` after that.
    pub(super) fn take(&self, waker: &Waker) -> Option<Box<Call>> {
        self.hand().take(waker)
    }

    /// The owner does not wait any more, for now.
    pub(super) fn rest(self: &Arc<Self>, call: Box<Call>) {
        let (pool, post) = (call.pool().clone(), call.post());
        let _ = match &post {
            Post::InLine(key) => pool.rests_in_line(key, self.id, self),
            Post::Holding(key) | Post::Uploading(key, _) => pool.holds(key, self.id, self),
            Post::Nowhere => false,
        };
        self.hand().rest(call);
        match &post {
            // Its turn may have come just before.
            Post::InLine(key) => pool.advance(key),
            Post::Holding(key) => pool.wake_waiting(key),
            Post::Uploading(_, conn) => conn.wake_in_line(),
            Post::Nowhere => {}
        }
    }

    /// The owner leaves for good.
    pub(super) fn leave(&self) {
        let (waiting, call) = self.hand().leave();
        drop(call);
        waiting.iter().for_each(Waker::wake);
    }

    /// Sends it, as its turn in line has come.
    pub(super) fn launch(self: &Arc<Self>) {
        let Some(call) = self.hand().borrow(None) else { return };
        let mut borrowed = Borrowed::new(self, call);
        let call = borrowed.call();
        step_once(|cx| {
            call.poll_unattended(cx);
            // A connection that can be made at once is waited for; else those who wait for a place go on with it.
            if call.is_dialling() { Poll::Pending } else { Poll::Ready(()) }
        });
    }

    /// Moves it on for somebody who waits for the place it holds.
    pub(super) fn drive(self: &Arc<Self>, key: &Key, cx: &mut Cx<'_>) -> Moved {
        let borrowed = self.hand().borrow(Some(cx.waker));
        let Some(call) = borrowed else { return Moved::Not };
        let mut borrowed = Borrowed::new(self, call);
        let call = borrowed.call();
        call.poll_unattended(cx);
        if matches!(call.post(), Post::Holding(held) | Post::Uploading(held, _) if held == *key) {
            return Moved::On;
        }
        call.pool().clone().lets_go(key, self.id);
        Moved::Freed
    }
}

/// A request that is given back when this is dropped, also while a panic unwinds.
struct Borrowed<'a> {
    resting: &'a Arc<Resting>,
    call: Option<Box<Call>>,
    /// The thread was panicking before: it gives back a connection, and what is sent on that has no part in it.
    panicking: bool,
}

impl<'a> Borrowed<'a> {
    fn new(resting: &'a Arc<Resting>, call: Box<Call>) -> Self {
        Borrowed { resting, call: Some(call), panicking: thread::panicking() }
    }

    fn call(&mut self) -> &mut Call {
        self.call.as_mut().expect("it is given back last")
    }
}

impl Drop for Borrowed<'_> {
    fn drop(&mut self) {
        let Some(mut call) = self.call.take() else { return };
        if !self.panicking && thread::panicking() {
            call.abandon();
        }
        call.rest();
        let (pool, post) = (call.pool().clone(), call.post());
        let new = match &post {
            Post::Holding(key) | Post::Uploading(key, _) => pool.holds(key, self.resting.id, self.resting),
            // Its connection had ended: it is in line again.
            Post::InLine(key) => pool.rests_in_line(key, self.resting.id, self.resting),
            Post::Nowhere => false,
        };
        let (waiting, unwanted) = self.resting.hand().give_back(call);
        drop(unwanted);
        waiting.iter().for_each(Waker::wake);
        match post {
            Post::Holding(key) if new => pool.wake_waiting(&key),
            Post::Uploading(_, conn) if new => conn.wake_in_line(),
            Post::InLine(key) if new => pool.advance(&key),
            _ => {}
        }
    }
}
