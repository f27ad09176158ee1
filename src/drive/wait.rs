//! The one blocking loop.

use super::receive::forget_room;
use crate::{
    net::{Cx, Interest, Lead, Part, Places, Ready, Waiter, Waker, Wants, Wire, with_any_waiter, with_waiter},
    time::Deadline,
};
use std::{
    cell::{Cell, RefCell},
    sync::Arc,
    task::Poll,
    time::{Duration, Instant},
};

/// How often a look that must not block goes round while bytes keep arriving.
///
/// One round reads what the kernel holds; a few more catch what arrives meanwhile. Without a bound a peer that drips could
/// hold the caller for ever. A wait whose time is up has looked often enough: it goes round once.
const LOOKS: u32 = 8;

/// How long a thread that others are told of waits before it gives back what memory it needs only for a peer that is quick.
const INSTANT: Duration = Duration::from_millis(2);

/// How many wires are polled without allocating.
const FEW: usize = 4;

/// The memory of one wait, kept per thread.
#[derive(Default)]
struct Scratch {
    wants: Wants,
    ready: Vec<Ready>,
    enlisted: Vec<Arc<dyn Lead>>,
    parts: Vec<Part>,
}

thread_local! {
    static SCRATCH: Cell<Option<Box<Scratch>>> = const { Cell::new(None) };
    static TOLD: RefCell<Option<Arc<dyn Waits>>> = const { RefCell::new(None) };
}

/// Is told when a thread begins and ends to wait: a pool of workers needs another one meanwhile.
pub(crate) trait Waits {
    /// The thread is about to sleep; returns whether many others do.
    fn begin(&self) -> bool;
    /// It has what it waited for.
    fn end(&self);
    /// It has been at a long piece of work for a while, without a wait, and goes on with it.
    fn turn(&self);
}

/// Says that this thread goes on with a long piece of work: others may be in line for a thread.
pub(super) fn tell_turn() {
    if let Ok(Some(waits)) = TOLD.try_with(|told| told.try_borrow().ok()?.clone()) {
        waits.turn();
    }
}

/// From now on `waits` is told when this thread waits.
pub(crate) fn tell_waits(waits: Arc<dyn Waits>) {
    TOLD.set(Some(waits));
}

/// A wait that was told of.
struct Told {
    waits: Arc<dyn Waits>,
    /// Many others wait.
    many: bool,
}

impl Told {
    /// The same for a wait on a wire.
    #[inline]
    fn begin_one() -> Option<Self> {
        let waits = TOLD.try_with(|told| told.try_borrow().is_ok_and(|told| told.is_some())).unwrap_or(false);
        if waits { Told::begin() } else { None }
    }

    fn begin() -> Option<Self> {
        let told = TOLD.try_with(|told| told.try_borrow().ok()?.clone()).ok().flatten()?;
        let many = told.begin();
        Some(Told { waits: told, many })
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        self.waits.end();
    }
}

/// Polls `step` until it is ready, or until `deadline`; then `None`.
///
/// Between two polls the thread waits for what the step said it waits for. Of each shared connection it becomes the reader if
/// nobody is, and then reads and dispatches for every thread that waits on it. With a deadline that has passed it looks at
/// what is there, without blocking.
pub(crate) fn block_on<T>(deadline: Deadline, mut step: impl FnMut(&mut Cx<'_>) -> Poll<T>) -> Option<T> {
    with_waiter(|waiter| {
        let mut scratch = SCRATCH.try_with(Cell::take).ok().flatten().unwrap_or_default();
        let result = run(deadline, &mut step, waiter, &mut scratch);
        scratch.wants.clear();
        let _ = SCRATCH.try_with(|cell| cell.set(Some(scratch)));
        result
    })
}

/// Waits for one wire that nobody else waits for, without the ceremony of [`block_on`]: until it can be read, the thread is woken, or
/// for so long; once, so it may return early. Before that `begin` leaves the waker where it is to be found; if it says no, there is no
/// wait, and `None` is returned. Else whether the wire is worth reading.
#[inline]
pub(crate) fn wait_readable(
    wire: &dyn Wire,
    left: Option<Duration>,
    begin: impl FnOnce(&Waker) -> bool,
) -> Option<bool> {
    with_any_waiter(|waiter| {
        if !begin(waiter.waker()) {
            return None;
        }
        let told = if left == Some(Duration::ZERO) { None } else { Told::begin_one() };
        let ready = waiter.wait_to_read(wire, left);
        drop(told);
        Some(ready)
    })
}

/// Polls `step`, and if it is not ready looks at what has arrived, without blocking, and polls again.
pub(crate) fn step_once<T>(step: impl FnMut(&mut Cx<'_>) -> Poll<T>) -> Option<T> {
    block_on(Deadline::at(Instant::now()), step)
}

fn run<T>(
    deadline: Deadline,
    step: &mut impl FnMut(&mut Cx<'_>) -> Poll<T>,
    waiter: &mut Waiter,
    scratch: &mut Scratch,
) -> Option<T> {
    let Scratch { wants, ready, enlisted, parts } = scratch;
    let waker = waiter.waker().clone();
    let mut places = Enlisted { enlisted, waker: &waker };
    let mut looks = 0;
    let mut arrived = false;
    let mut told = None;
    // When a thread that is told of gives memory back: many may wait at a time, and for long.
    let mut slims = Deadline::NEVER;
    let mut now = Instant::now();
    let most = if deadline.has_passed(now) { LOOKS } else { 1 };
    loop {
        wants.clear();
        if let Poll::Ready(result) = step(&mut Cx::new(now, &waker, wants).with_places(&mut places)) {
            return Some(result);
        }
        if deadline.has_passed(now) {
            if looks > 0 && (!arrived || looks >= most) {
                return None;
            }
            looks += 1;
        }
        places.keep_only(&wants.shared);
        let mut until = deadline.earlier(wants.until);
        parts.clear();
        for shared in &wants.shared {
            let part = places.enlist(shared, now);
            match part {
                Part::Reader(_, d) => until = until.earlier(d),
                Part::Follower => {}
                Part::Over => until = Deadline::at(now),
            }
            parts.push(part);
        }
        if told.is_none() && !until.has_passed(now) {
            told = Told::begin();
            if told.is_some() {
                slims = Deadline::from(now.checked_add(INSTANT));
            }
        }
        if told.as_ref().is_some_and(|told| told.many) {
            // Each would have it for longer than an instant, until it gets a processor.
            slims = Deadline::NEVER;
            give_back(wants);
        }
        wait_for(wants, parts, until.earlier(slims), waiter, ready);
        now = Instant::now();
        if slims.has_passed(now) {
            slims = Deadline::NEVER;
            give_back(wants);
        }
        arrived = take_turns(wants, parts, ready, now);
    }
}

/// Gives memory back that is needed only for a peer that is quick.
fn give_back(wants: &Wants) {
    forget_room();
    wants.shared.iter().for_each(|shared| shared.slim());
}

/// Sleeps until a wire is ready, the thread is woken, or `until`.
fn wait_for(wants: &Wants, parts: &[Part], until: Deadline, waiter: &mut Waiter, ready: &mut Vec<Ready>) {
    let led = wants.shared.iter().zip(parts).filter_map(|(shared, part)| match part {
        Part::Reader(Some(interest), _) => Some((shared.wire(), *interest)),
        _ => None,
    });
    let mut wires = led.chain(wants.wires.iter().map(|(wire, interest)| (&**wire, *interest)));
    ready.clear();
    let mut few: [Option<(&dyn Wire, Interest)>; FEW] = [None; FEW];
    let n = few.iter_mut().zip(&mut wires).map(|(slot, wire)| *slot = Some(wire)).count();
    match few {
        [None, ..] => waiter.wait(&[], until, ready),
        [Some(one), None, ..] => waiter.wait(&[one], until, ready),
        [Some(one), Some(two), None, _] => waiter.wait(&[one, two], until, ready),
        _ => {
            let all: Vec<_> = few[..n].iter().copied().flatten().chain(wires).collect();
            waiter.wait(&all, until, ready);
        }
    }
}

/// Takes a turn on every connection this thread reads; returns whether anything arrived anywhere.
fn take_turns(wants: &Wants, parts: &[Part], ready: &[Ready], now: Instant) -> bool {
    let mut ready = ready.iter().copied();
    let mut arrived = false;
    for (shared, part) in wants.shared.iter().zip(parts) {
        match part {
            Part::Reader(Some(_), _) => arrived |= shared.turn(ready.next().unwrap_or_default(), now),
            Part::Reader(None, _) => arrived |= shared.turn(Ready::default(), now),
            Part::Follower | Part::Over => {}
        }
    }
    // What is left are the wires that only this thread uses.
    arrived | ready.any(|r| r.read || r.write)
}

/// The connections at which this thread has a place: as their reader or in their queue. Gives every place back when dropped, also
/// while a panic unwinds.
struct Enlisted<'a> {
    enlisted: &'a mut Vec<Arc<dyn Lead>>,
    waker: &'a Waker,
}

impl Enlisted<'_> {
    fn enlist(&mut self, shared: &Arc<dyn Lead>, now: Instant) -> Part {
        if !self.enlisted.iter().any(|e| Arc::ptr_eq(e, shared)) {
            self.enlisted.push(shared.clone());
        }
        shared.enlist(self.waker, now)
    }

    /// Leaves the connections that are not waited for any more.
    fn keep_only(&mut self, wanted: &[Arc<dyn Lead>]) {
        let waker = self.waker;
        self.enlisted.retain(|e| {
            let keep = wanted.iter().any(|w| Arc::ptr_eq(w, e));
            if !keep {
                e.leave(waker);
            }
            keep
        });
    }
}

impl Places for Enlisted<'_> {
    fn give_up(&mut self) {
        for shared in self.enlisted.drain(..) {
            shared.leave(self.waker);
        }
    }
}

impl Drop for Enlisted<'_> {
    fn drop(&mut self) {
        self.give_up();
    }
}
