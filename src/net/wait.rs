//! Waiting: SKELETON, the signatures the drivers are written against.

use super::{Interest, Wire};
use crate::time::Deadline;

/// Ends the wait of the one thread it belongs to. Cheap to clone; waking is sticky until the next wait consumes it.
#[derive(Clone, Debug)]
pub struct Waker {}

impl Waker {
    /// Ends the wait of the thread, now or as soon as it begins. Never blocks.
    pub fn wake(&self) {
        todo!()
    }
    /// Whether both belong to the same waiter.
    pub(crate) fn same(&self, _other: &Waker) -> bool {
        todo!()
    }
}

/// What a wire is ready for. A wire without a descriptor is reported ready for both after every wake.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ready {
    pub read: bool,
    pub write: bool,
}

/// Waits for wires, for a wake, or for a deadline: one per waiting thread.
#[derive(Debug)]
pub(crate) struct Waiter {}

impl Waiter {
    /// The waker that ends the waits of this waiter.
    pub fn waker(&self) -> &Waker {
        todo!()
    }
    /// Waits until one of `wires` is ready, the waker was woken (consumes that), or `deadline` passed. Fills `ready`, one entry per wire.
    /// With a deadline that has passed it looks once, without blocking. Never fails: a descriptor in error is reported ready.
    pub fn wait(&mut self, _wires: &[(&dyn Wire, Interest)], _deadline: Deadline, _ready: &mut Vec<Ready>) {
        todo!()
    }
}

/// Runs `f` with a waiter of this thread. Kept per thread and reused; a nested call (a body reader that itself makes a request) gets another.
pub(crate) fn with_waiter<R>(_f: impl FnOnce(&mut Waiter) -> R) -> R {
    todo!()
}
