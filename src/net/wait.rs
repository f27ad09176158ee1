//! Waiting: for wires, for a wake from another thread, or for a deadline.
//!
//! A thread that waits only for its waker sleeps on a condition variable: waking it is one futex call and needs no
//! descriptor. A thread that waits for descriptors sleeps in poll(2) with its wake handle among them. `Sleep` says which,
//! so a wake makes a system call only if the thread really sleeps. The token of `std::thread::park` belongs to the
//! caller's code and is not used.

use super::sleep::{Nudge, Sleep};
use super::sys::{self, PollMemory, PollSet, WakeHandle};
use super::{Interest, Wire};
use crate::time::Deadline;
use std::cell::{Cell, RefCell};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// How long a thread sleeps between two looks when poll(2) cannot be used: no descriptor is left for a wake handle, or
/// the system refuses the call. Waking is still immediate.
const NAP: Duration = Duration::from_millis(10);

/// How many waiters a thread keeps: one, and some for calls made inside calls.
const KEPT: usize = 4;

/// Ends the wait of the one thread it belongs to.
///
/// Cheap to clone. Waking is sticky: a wake that comes before the wait ends it at once. Whoever writes a
/// [`Wire`](super::Wire) without a descriptor keeps the wakers that its `watch` was given, and wakes them when bytes or room arrive.
#[derive(Clone, Debug)]
pub struct Waker {
    shared: Arc<Shared>,
}

/// What a waiter shares with those who wake it.
#[derive(Default)]
struct Shared {
    sleep: Mutex<Sleep>,
    woken: Condvar,
    /// Made by the waiter before its first `Polling`.
    handle: OnceLock<WakeHandle>,
    /// No thread sleeps on this waker: this is called instead.
    hook: Option<Box<dyn Fn() + Send + Sync>>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared")
            .field("sleep", &*self.sleep())
            .field("hook", &self.hook.is_some())
            .finish_non_exhaustive()
    }
}

impl Shared {
    fn sleep(&self) -> MutexGuard<'_, Sleep> {
        self.sleep.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sleeps on the condition variable until a wake or `deadline`; returns whether it was a wake.
    fn park(&self, deadline: Deadline) -> bool {
        let mut sleep = self.sleep();
        if sleep.begin(Sleep::Parked) {
            while !sleep.is_woken() {
                sleep = match deadline.left(Instant::now()) {
                    None => self.woken.wait(sleep).unwrap_or_else(PoisonError::into_inner),
                    Some(Duration::ZERO) => break,
                    Some(left) => self.woken.wait_timeout(sleep, left).unwrap_or_else(PoisonError::into_inner).0,
                };
            }
        }
        sleep.end()
    }

    /// Sleeps in poll(2) until a descriptor is ready, a wake or `deadline`; returns whether a wake was consumed.
    fn poll<'a>(&'a self, set: &mut PollSet<'a>, polled: &mut [Polled], deadline: Deadline) -> bool {
        let Some(handle) = self.wake_handle() else { return self.nap(set, polled, deadline) };
        loop {
            let left = deadline.left(Instant::now());
            let outcome = if left != Some(Duration::ZERO) && self.sleep().begin(Sleep::Polling) {
                set.push(handle.handle(), Interest::Read);
                let outcome = set.poll(left);
                if set.pop().read {
                    handle.drain();
                }
                outcome
            } else {
                set.poll(Some(Duration::ZERO))
            };
            let woken = self.sleep().end();
            match outcome {
                Ok(()) if tell(set, polled) || woken || left == Some(Duration::ZERO) => return woken,
                // A signal that came after its wake was consumed, an interrupted call, or a timeout.
                Ok(()) => {}
                Err(_) => return woken || self.nap(set, polled, deadline),
            }
        }
    }

    /// Looks every few milliseconds, where poll(2) cannot be ended by a wake or is refused.
    #[cold]
    fn nap(&self, set: &mut PollSet<'_>, polled: &mut [Polled], deadline: Deadline) -> bool {
        loop {
            let looked = set.poll(Some(Duration::ZERO));
            if (looked.is_ok() && tell(set, polled)) || deadline.has_passed(Instant::now()) {
                return self.sleep().end();
            }
            let woken = self.park(deadline.earlier(Deadline::after(NAP)));
            if looked.is_err() {
                // The caller's own reads and writes find out.
                polled.iter_mut().for_each(|entry| entry.ready = Ready::BOTH.only(entry.interest));
                return woken;
            }
            if woken {
                return true;
            }
        }
    }

    /// Returns the wake handle, made now if it was not yet; `None` if the system has none to give.
    #[inline]
    fn wake_handle(&self) -> Option<&WakeHandle> {
        self.handle.get().or_else(|| self.make_wake_handle())
    }

    #[cold]
    fn make_wake_handle(&self) -> Option<&WakeHandle> {
        let _ = self.handle.set(WakeHandle::new().ok()?);
        self.handle.get()
    }
}

impl Waker {
    /// Returns a waker that belongs to no thread: `hook` is called, in the thread that wakes, and must not block.
    pub(crate) fn hooked(hook: impl Fn() + Send + Sync + 'static) -> Self {
        Waker { shared: Arc::new(Shared { hook: Some(Box::new(hook)), ..Shared::default() }) }
    }

    /// Returns whether it belongs to no thread.
    pub(crate) fn is_hooked(&self) -> bool {
        self.shared.hook.is_some()
    }

    /// Ends the wait of the thread, now or as soon as it begins. Never blocks.
    pub fn wake(&self) {
        if let Some(hook) = &self.shared.hook {
            return hook();
        }
        let nudge = self.shared.sleep().wake();
        match nudge {
            Nudge::Nothing => {}
            Nudge::Notify => self.shared.woken.notify_one(),
            Nudge::Signal => {
                if let Some(handle) = self.shared.handle.get() {
                    handle.signal();
                }
            }
        }
    }

    /// Whether anybody else holds a handle: if not, the waiter is gone and nobody can sleep on it.
    pub(crate) fn is_shared(&self) -> bool {
        Arc::strong_count(&self.shared) > 1
    }

    /// Returns whether both belong to the same waiter.
    pub(crate) fn same(&self, other: &Waker) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }
}

/// Two wakers are equal if they belong to the same waiter.
impl PartialEq for Waker {
    fn eq(&self, other: &Self) -> bool {
        self.same(other)
    }
}

impl Eq for Waker {}

/// What a wire is ready for. A wire without a descriptor is reported ready for both after every wake.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ready {
    pub(crate) read: bool,
    pub(crate) write: bool,
}

impl Ready {
    const BOTH: Ready = Ready { read: true, write: true };

    fn any(self) -> bool {
        self.read || self.write
    }

    /// Leaves out what nobody asked for: a broken descriptor is ready for everything.
    fn only(self, interest: Interest) -> Self {
        let (read, write) = match interest {
            Interest::Read => (true, false),
            Interest::Write => (false, true),
            Interest::Both => (true, true),
        };
        Ready { read: self.read && read, write: self.write && write }
    }
}

/// Waits for wires, for a wake, or for a deadline: one per waiting thread.
#[derive(Debug)]
pub(crate) struct Waiter {
    waker: Waker,
    memory: PollMemory,
    polled: Vec<Polled>,
}

/// A wire of the present wait that has a descriptor, in the order of the descriptors.
#[derive(Debug)]
struct Polled {
    /// Its place among the wires.
    index: usize,
    interest: Interest,
    ready: Ready,
}

/// Notes what each descriptor is ready for; returns whether any is.
fn tell(set: &PollSet<'_>, polled: &mut [Polled]) -> bool {
    let mut any = false;
    for (n, entry) in polled.iter_mut().enumerate() {
        entry.ready = set.ready(n).only(entry.interest);
        any |= entry.ready.any();
    }
    any
}

impl Waiter {
    /// Returns a waiter that holds no descriptor yet.
    pub(crate) fn new() -> Self {
        Waiter { waker: Waker { shared: Arc::default() }, memory: PollMemory::default(), polled: Vec::new() }
    }

    /// Returns the waker that ends the waits of this waiter.
    pub(crate) fn waker(&self) -> &Waker {
        &self.waker
    }

    /// Waits for one wire to be readable, or a wake, for at most so long, once: it may return early for no reason. Returns whether the wire
    /// is worth reading.
    pub(crate) fn wait_to_read(&mut self, wire: &dyn Wire, left: Option<Duration>) -> bool {
        let shared = &*self.waker.shared;
        let (Some(wire), Some(handle)) = (sys::handle(wire).filter(|_| !wire.has_buffered()), shared.wake_handle())
        else {
            return self.wait_to_read_slowly(wire, left);
        };
        if !shared.sleep().begin(Sleep::Polling) {
            shared.sleep().end();
            return true;
        }
        let polled = sys::poll_two(wire, handle.handle(), left);
        let woken = shared.sleep().end();
        match polled {
            Ok((read, signalled)) => {
                if signalled {
                    handle.drain();
                }
                read || woken
            }
            // The reads find out.
            Err(_) => true,
        }
    }

    #[cold]
    fn wait_to_read_slowly(&mut self, wire: &dyn Wire, left: Option<Duration>) -> bool {
        let mut ready = Vec::new();
        self.wait(&[(wire, Interest::Read)], left.map_or(Deadline::NEVER, Deadline::after), &mut ready);
        ready.first().is_some_and(|ready| ready.read)
    }

    /// Waits until one of `wires` is ready, the waker was woken (consumes that), or `deadline` passed. Fills `ready`, one entry per wire.
    ///
    /// With a deadline that has passed it looks once, without blocking; so it does after a wake. Returns without a reason
    /// only if a wire without a descriptor, or an earlier wait on the same wire, woke it. Never fails: a descriptor in
    /// error is reported ready.
    pub(crate) fn wait(&mut self, wires: &[(&dyn Wire, Interest)], deadline: Deadline, ready: &mut Vec<Ready>) {
        let Waiter { waker, memory, polled } = self;
        polled.clear();
        let holds_back = |wire: &dyn Wire, interest| interest != Interest::Write && wire.has_buffered();
        let mut deadline = deadline;
        let mut set = PollSet::new(memory);
        for (index, &(wire, interest)) in wires.iter().enumerate() {
            match sys::handle(wire) {
                Some(handle) => {
                    set.push(handle, interest);
                    if holds_back(wire, interest) {
                        deadline = Deadline::at(Instant::now());
                    }
                    polled.push(Polled { index, interest, ready: Ready::default() });
                }
                None => wire.watch(interest, waker),
            }
        }

        let shared = &*waker.shared;
        let woken = if set.is_empty() { shared.park(deadline) } else { shared.poll(&mut set, polled, deadline) };
        set.recycle(memory);

        ready.clear();
        ready.extend(
            wires.iter().map(|(_, interest)| if woken { Ready::BOTH.only(*interest) } else { Ready::default() }),
        );
        for entry in polled {
            let (wire, interest) = wires[entry.index];
            let read = entry.ready.read || holds_back(wire, interest);
            ready[entry.index] = Ready { read, ..entry.ready };
        }
    }
}

thread_local! {
    /// The waiter of this thread, while it is not in use.
    static FIRST: Cell<Option<Box<Waiter>>> = const { Cell::new(None) };
    /// Those that calls made inside calls have needed besides, last used last.
    static MORE: RefCell<Vec<Waiter>> = const { RefCell::new(Vec::new()) };
}

/// A waiter in use; given back when it is dropped, also by a panic.
struct Lent(Option<Box<Waiter>>);

impl Lent {
    #[inline]
    fn take() -> Self {
        let kept = FIRST.try_with(Cell::take).ok().flatten();
        Lent(Some(kept.unwrap_or_else(Self::another)))
    }

    #[cold]
    fn another() -> Box<Waiter> {
        let kept = MORE.try_with(|more| more.try_borrow_mut().ok()?.pop()).ok().flatten();
        Box::new(kept.unwrap_or_else(Waiter::new))
    }

    #[cold]
    fn keep(waiter: Box<Waiter>) {
        let _ = MORE.try_with(|more| {
            if let Ok(mut more) = more.try_borrow_mut() {
                if more.len() + 1 < KEPT {
                    more.push(*waiter);
                }
            }
        });
    }
}

impl Drop for Lent {
    #[inline]
    fn drop(&mut self) {
        // While the thread ends there is nowhere to keep it.
        let waiter = self.0.take();
        if let Ok(Some(other)) = FIRST.try_with(|first| first.replace(waiter)) {
            Self::keep(other);
        }
    }
}

/// Runs `f` with a waiter of this thread.
///
/// Waiters are kept per thread and reused. A nested call (a body reader that itself makes a request) gets another one.
pub(crate) fn with_waiter<R>(f: impl FnOnce(&mut Waiter) -> R) -> R {
    with_any_waiter(|waiter| {
        // Nobody has been given its waker for this use: a wake that is left over means an earlier one.
        waiter.waker.shared.sleep().end();
        f(waiter)
    })
}

/// The same, without forgetting a wake that means an earlier use of the waiter: the first wait may end at once, for no reason.
#[inline]
pub(crate) fn with_any_waiter<R>(f: impl FnOnce(&mut Waiter) -> R) -> R {
    let mut lent = Lent::take();
    let waiter = lent.0.get_or_insert_with(|| Box::new(Waiter::new()));
    f(waiter)
}

#[cfg(test)]
mod tests;
