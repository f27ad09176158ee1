//! The waiter of `net/wait.rs`, over the locks of the model.

use crate::Fault;
use crate::kernel::{Events, Kernel};
use crate::sleep::{Nudge, Sleep};
use shuttle::sync::atomic::{AtomicBool, Ordering};
use shuttle::sync::{Arc, Condvar, Mutex, MutexGuard};

/// Ends the wait of one thread.
#[derive(Clone, Debug)]
pub(crate) struct Waker {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    sleep: Mutex<Sleep>,
    woken: Condvar,
    kernel: Arc<Kernel>,
    /// The number of the wake handle.
    handle: usize,
    /// The deadline has passed.
    expired: AtomicBool,
    fault: Fault,
}

impl PartialEq for Waker {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }
}

impl Waker {
    pub(crate) fn wake(&self) {
        let nudge = self.shared.sleep().wake();
        match nudge {
            Nudge::Nothing => {}
            Nudge::Notify => self.shared.woken.notify_one(),
            Nudge::Signal => self.shared.kernel.signal(self.shared.handle),
        }
    }

    /// Lets the deadline of the waiter pass. Both kinds of sleep look at the clock under their own lock.
    pub(crate) fn expire(&self) {
        self.shared.expired.store(true, Ordering::SeqCst);
        self.shared.kernel.tick();
        drop(self.shared.sleep());
        self.shared.woken.notify_one();
    }
}

impl Shared {
    fn sleep(&self) -> MutexGuard<'_, Sleep> {
        self.sleep.lock().unwrap()
    }

    fn begin(&self, sleep: &mut Sleep, how: Sleep) -> bool {
        if self.fault == Fault::WakesAreNotSticky {
            *sleep = Sleep::Awake;
        }
        sleep.begin(how)
    }
}

/// Waits for sockets, for a wake, or for the deadline.
#[derive(Debug)]
pub(crate) struct Waiter {
    waker: Waker,
}

impl Waiter {
    pub(crate) fn new(kernel: &Arc<Kernel>, handle: usize, fault: Fault) -> Self {
        let shared = Shared {
            sleep: Mutex::default(),
            woken: Condvar::new(),
            kernel: kernel.clone(),
            handle,
            expired: AtomicBool::new(false),
            fault,
        };
        Waiter { waker: Waker { shared: Arc::new(shared) } }
    }

    pub(crate) fn waker(&self) -> &Waker {
        &self.waker
    }

    pub(crate) fn is_expired(&self) -> bool {
        self.waker.shared.expired.load(Ordering::SeqCst)
    }

    /// Returns what the sockets are ready for, and whether a wake was consumed.
    pub(crate) fn wait(&self, sockets: &[(usize, Events)]) -> (Vec<Events>, bool) {
        let (ready, woken) = if sockets.is_empty() { (Vec::new(), self.park()) } else { self.poll(sockets) };
        assert!(
            woken || self.is_expired() || ready.iter().any(|events| events.any()),
            "the wait ended without a reason"
        );
        (ready, woken)
    }

    fn park(&self) -> bool {
        let shared = &*self.waker.shared;
        let mut sleep = shared.sleep();
        if shared.begin(&mut sleep, Sleep::Parked) {
            while !sleep.is_woken() && !self.is_expired() {
                sleep = shared.woken.wait(sleep).unwrap();
            }
        }
        sleep.end()
    }

    fn poll(&self, sockets: &[(usize, Events)]) -> (Vec<Events>, bool) {
        let shared = &*self.waker.shared;
        loop {
            let expired = self.is_expired();
            let may_sleep = !expired && {
                let mut sleep = shared.sleep();
                shared.begin(&mut sleep, Sleep::Polling)
            };
            let ready = if may_sleep {
                let handle = (shared.fault != Fault::WakeHandleIsNotPolled).then_some(shared.handle);
                let (ready, signalled) = shared.kernel.poll(sockets, handle, Some(&shared.expired));
                if signalled {
                    shared.kernel.drain(shared.handle);
                }
                ready
            } else {
                shared.kernel.poll(sockets, None, None).0
            };
            let woken = shared.sleep().end();
            if woken || expired || ready.iter().any(|events| events.any()) {
                return (ready, woken);
            }
        }
    }
}
