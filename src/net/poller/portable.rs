//! Watching wires where there is no epoll(7): everything is said again for every wait.

use crate::{
    net::{Interest, Ready, Waiter, Waker, Wire},
    time::Deadline,
};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Wires to watch, and the waiter of the thread that does.
#[derive(Debug)]
pub(super) struct Portable {
    wires: Mutex<BTreeMap<u64, Entry>>,
    waiter: Mutex<Waiter>,
    waker: Waker,
}

struct Entry {
    wire: Arc<dyn Wire>,
    interest: Interest,
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.interest.fmt(f)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Portable {
    pub(super) fn new() -> Self {
        let waiter = Waiter::new();
        let waker = waiter.waker().clone();
        Portable { wires: Mutex::default(), waiter: Mutex::new(waiter), waker }
    }

    pub(super) fn waker(&self) -> &Waker {
        &self.waker
    }

    /// Watches `wire` for this, or no longer; a wait that goes on begins again.
    pub(super) fn watch(&self, token: u64, wire: &Arc<dyn Wire>, to: Option<Interest>) {
        let mut wires = lock(&self.wires);
        let before = match to {
            Some(interest) => wires.insert(token, Entry { wire: wire.clone(), interest }),
            None => wires.remove(&token),
        };
        drop(wires);
        if before.map(|entry| entry.interest) != to {
            self.waker.wake();
        }
    }

    pub(super) fn wait(&self, deadline: Deadline, mut each: impl FnMut(u64, Ready)) {
        let entries: Vec<(u64, Arc<dyn Wire>, Interest)> =
            lock(&self.wires).iter().map(|(token, entry)| (*token, entry.wire.clone(), entry.interest)).collect();
        let wires: Vec<(&dyn Wire, Interest)> =
            entries.iter().map(|(_, wire, interest)| (&**wire, *interest)).collect();
        let mut ready = Vec::new();
        lock(&self.waiter).wait(&wires, deadline, &mut ready);
        for ((token, ..), ready) in entries.iter().zip(ready) {
            if ready.read || ready.write {
                each(*token, ready);
            }
        }
    }
}
