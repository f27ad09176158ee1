//! Watching many wires from one thread: what a server does with connections that nobody else waits on.
//!
//! Unlike a [`Waiter`], which is told its wires for every wait, a poller is told once and then only what changes. On Linux it is
//! epoll(7), so ten thousand silent connections cost nothing; elsewhere poll(2), and for wires without a descriptor their
//! wakers. Watching is level-triggered: what is ready is reported again until it was dealt with or is watched no longer.

#[cfg(any(test, not(any(target_os = "linux", target_os = "android"))))]
mod portable;

#[cfg(any(target_os = "linux", target_os = "android"))]
use super::sys::{self, Epoll, WakeHandle};
use super::{Interest, Ready, Waker, Wire};
use crate::time::Deadline;
use std::{io, sync::Arc};
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
    #[cfg(any(test, not(any(target_os = "linux", target_os = "android"))))]
    Portable(Box<portable::Portable>),
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
        let portable = portable::Portable::new();
        let waker = portable.waker().clone();
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
            #[cfg(any(test, not(any(target_os = "linux", target_os = "android"))))]
            Kind::Portable(portable) => {
                // It knows what it watched before.
                let _ = from;
                portable.watch(token, wire, to);
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
            #[cfg(any(test, not(any(target_os = "linux", target_os = "android"))))]
            Kind::Portable(portable) => {
                portable.wait(deadline, &mut each);
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
