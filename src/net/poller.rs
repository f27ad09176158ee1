//! Watching many wires from one thread: what a server does with connections that nobody else waits on.
//!
//! Unlike a [`Waiter`], which is told its wires for every wait, a poller is told once and then only what changes. On Linux it is
//! epoll(7), so ten thousand silent connections cost nothing; elsewhere poll(2), and for wires without a descriptor their
//! wakers. Watching is level-triggered: what is ready is reported again until it was dealt with or is watched no longer.

#[cfg(any(target_os = "linux", target_os = "android"))]
use super::sys::{self, Epoll, WakeHandle};
use super::{Interest, Ready, Waiter, Waker, Wire};
use crate::time::Deadline;
use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
#[cfg(any(target_os = "linux", target_os = "android"))]
use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Instant,
};

/// Watches wires for the one thread that calls [`wait`](Self::wait); all other methods are for any thread.
#[derive(Debug)]
pub(crate) struct Poller {
    kind: Kind,
    waker: Waker,
}

#[derive(Debug)]
enum Kind {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    Epoll(Arc<Watched>),
    /// Everything is said again for every wait.
    Portable(Box<Portable>),
}

/// An epoll(7), and the handle that ends its wait.
#[cfg(any(target_os = "linux", target_os = "android"))]
#[derive(Debug)]
struct Watched {
    epoll: Epoll,
    handle: WakeHandle,
    /// The handle was signalled and its signal not taken.
    woken: AtomicBool,
}

/// The token of the handle that ends a wait.
#[cfg(any(target_os = "linux", target_os = "android"))]
const WAKE: u64 = u64::MAX;

#[derive(Debug)]
struct Portable {
    wires: Mutex<BTreeMap<u64, Entry>>,
    waiter: Mutex<Waiter>,
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

impl Poller {
    /// Returns the best the system has.
    ///
    /// # Errors
    ///
    /// If it has no descriptor left.
    pub(crate) fn new() -> io::Result<Self> {
        #[cfg(any(target_os = "linux", target_os = "android"))]
        {
            let watched = Watched { epoll: Epoll::new()?, handle: WakeHandle::new()?, woken: AtomicBool::new(false) };
            watched.epoll.add(watched.handle.handle(), WAKE, Interest::Read)?;
            let watched = Arc::new(watched);
            let waker = Waker::hooked({
                let watched = watched.clone();
                move || {
                    if !watched.woken.swap(true, Ordering::SeqCst) {
                        watched.handle.signal();
                    }
                }
            });
            Ok(Poller { kind: Kind::Epoll(watched), waker })
        }
        #[cfg(not(any(target_os = "linux", target_os = "android")))]
        Ok(Self::portable())
    }

    /// Returns one that works everywhere and takes every wire, at a cost that grows with their number.
    #[cfg(any(test, not(any(target_os = "linux", target_os = "android"))))]
    pub(crate) fn portable() -> Self {
        let waiter = Waiter::new();
        let waker = waiter.waker().clone();
        let portable = Portable { wires: Mutex::default(), waiter: Mutex::new(waiter) };
        Poller { kind: Kind::Portable(Box::new(portable)), waker }
    }

    /// Returns what ends a wait from any thread; sticky.
    pub(crate) fn waker(&self) -> &Waker {
        &self.waker
    }

    /// Watches `wire` for `to` from now on, which was watched for `from` before; what is ready is reported with `token`.
    ///
    /// `None` is not at all: also an error of the wire is not reported then. Calls for one wire must not overlap.
    ///
    /// # Errors
    ///
    /// If the system cannot: no memory, or on Linux a wire without a descriptor.
    pub(crate) fn watch(
        &self,
        token: u64,
        wire: &Arc<dyn Wire>,
        from: Option<Interest>,
        to: Option<Interest>,
    ) -> io::Result<()> {
        match &self.kind {
            #[cfg(any(target_os = "linux", target_os = "android"))]
            Kind::Epoll(watched) => {
                let handle = sys::handle(&**wire).ok_or(io::ErrorKind::Unsupported)?;
                match (from, to) {
                    (None, None) => Ok(()),
                    (None, Some(to)) => watched.epoll.add(handle, token, to),
                    (Some(_), Some(to)) => watched.epoll.modify(handle, token, to),
                    (Some(_), None) => watched.epoll.delete(handle),
                }
            }
            Kind::Portable(portable) => {
                let mut wires = lock(&portable.wires);
                match to {
                    Some(interest) => wires.insert(token, Entry { wire: wire.clone(), interest }),
                    None => wires.remove(&token),
                };
                drop(wires);
                if from != to {
                    self.waker.wake();
                }
                Ok(())
            }
        }
    }

    /// Waits until a wire is ready, the waker was woken, or `deadline`; calls `each` for what is ready. May return early.
    ///
    /// # Errors
    ///
    /// If the system has no memory for the call.
    pub(crate) fn wait(&self, deadline: Deadline, mut each: impl FnMut(u64, Ready)) -> io::Result<()> {
        match &self.kind {
            #[cfg(any(target_os = "linux", target_os = "android"))]
            Kind::Epoll(watched) => {
                let left = deadline.left(Instant::now());
                watched.epoll.wait(left, |token, ready| match token {
                    WAKE => {
                        watched.handle.drain();
                        // A wake that comes in between is seen by what the caller does next: it looks at everything.
                        watched.woken.store(false, Ordering::SeqCst);
                    }
                    token => each(token, ready),
                })
            }
            Kind::Portable(portable) => {
                let entries: Vec<(u64, Arc<dyn Wire>, Interest)> =
                    lock(&portable.wires).iter().map(|(t, e)| (*t, e.wire.clone(), e.interest)).collect();
                let wires: Vec<(&dyn Wire, Interest)> = entries.iter().map(|(_, wire, i)| (&**wire, *i)).collect();
                let mut ready = Vec::new();
                lock(&portable.waiter).wait(&wires, deadline, &mut ready);
                for ((token, ..), ready) in entries.iter().zip(ready) {
                    if ready.read || ready.write {
                        each(*token, ready);
                    }
                }
                Ok(())
            }
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use crate::net::{Unix, pair};
    use std::os::unix::net::UnixStream;

    fn both() -> [(&'static str, Poller); 2] {
        [("new", Poller::new().unwrap()), ("portable", Poller::portable())]
    }

    fn look(poller: &Poller) -> Vec<(u64, bool, bool)> {
        let mut seen = Vec::new();
        poller.wait(Deadline::at(std::time::Instant::now()), |t, r| seen.push((t, r.read, r.write))).unwrap();
        seen
    }

    #[test]
    fn what_is_watched_is_reported_until_it_is_not() {
        for (name, poller) in both() {
            let (near, far) = UnixStream::pair().unwrap();
            let (near, far): (Arc<dyn Wire>, _) = (Arc::new(Unix::new(near).unwrap()), Unix::new(far).unwrap());
            poller.watch(7, &near, None, Some(Interest::Read)).unwrap();
            look(&poller);
            assert_eq!(look(&poller), [], "{name}: silent");
            far.try_write(b"x").unwrap();
            for _ in 0..2 {
                assert_eq!(look(&poller), [(7, true, false)], "{name}: level-triggered");
            }
            poller.watch(7, &near, Some(Interest::Read), Some(Interest::Both)).unwrap();
            assert!(look(&poller).contains(&(7, true, true)), "{name}: both");
            poller.watch(7, &near, Some(Interest::Both), None).unwrap();
            drop(far);
            assert_eq!(look(&poller), [], "{name}: not even an error is reported");
            poller.watch(7, &near, None, Some(Interest::Read)).unwrap();
            assert!(look(&poller).iter().any(|(t, read, _)| (*t, *read) == (7, true)), "{name}: the end");
        }
    }

    #[test]
    fn a_wake_ends_the_wait_that_follows() {
        for (name, poller) in both() {
            for _ in 0..3 {
                poller.waker().wake();
                poller.waker().wake();
                poller.wait(Deadline::NEVER, |_, _| panic!("{name}: nothing is watched")).unwrap();
            }
            assert_eq!(look(&poller), [], "{name}");
        }
    }

    #[test]
    fn the_portable_one_takes_wires_without_a_descriptor() {
        let poller = Poller::portable();
        let (near, far) = pair(8);
        let near: Arc<dyn Wire> = Arc::new(near);
        poller.watch(1, &near, None, Some(Interest::Read)).unwrap();
        far.try_write(b"x").unwrap();
        let mut seen = false;
        while !seen {
            poller.wait(Deadline::NEVER, |token, _| seen = token == 1).unwrap();
        }
    }
}
