//! A connection that several threads wait on, and the blocking loop, as the drivers write them around `Turn`.

use crate::Fault;
use crate::kernel::{Events, Kernel, Message};
use crate::turn::{Post, Turn};
use crate::wait::{Waiter, Waker};
use shuttle::sync::{Arc, Mutex, MutexGuard};
use std::collections::{BTreeMap, VecDeque};

/// How the wait for one item ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The answer came.
    Ready,
    /// Another thread cancelled it.
    Cancelled,
    /// The connection died.
    Dead,
    /// The deadline passed.
    TimedOut,
}

/// What a thread waits for on a connection.
#[derive(Debug, Default)]
struct Slot {
    ready: bool,
    cancelled: bool,
    waker: Option<Waker>,
}

/// What the one lock of a connection protects.
#[derive(Debug, Default)]
struct Core {
    turn: Turn<Waker>,
    slots: BTreeMap<usize, Slot>,
    unsent: VecDeque<Message>,
    /// The write role is taken.
    writing: bool,
    dead: bool,
    /// Answers that were dispatched to somebody who waited for them.
    dispatched: Vec<usize>,
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Connection {
    core: Mutex<Core>,
    socket: usize,
    kernel: Arc<Kernel>,
    fault: Fault,
}

impl Connection {
    pub(crate) fn new(kernel: &Arc<Kernel>, socket: usize, fault: Fault) -> Self {
        Connection { core: Mutex::default(), socket, kernel: kernel.clone(), fault }
    }

    fn core(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap()
    }

    /// Sends a request; the answer is waited for with [`wait_any`], by whoever calls that.
    pub(crate) fn start(&self, item: usize) {
        let mut core = self.core();
        core.slots.insert(item, Slot::default());
        core.unsent.push_back(Message::Item(item));
        drop(core);
        self.flush();
    }

    /// Gives an item up, from any thread; tells the peer.
    pub(crate) fn cancel(&self, item: usize) {
        let mut core = self.core();
        let Some(slot) = core.slots.get_mut(&item) else { return };
        slot.cancelled = true;
        let waker = slot.waker.take();
        core.unsent.push_back(Message::Reset);
        drop(core);
        if let Some(waker) = waker {
            waker.wake();
        }
        self.flush();
    }

    /// Sends what is unsent, unless another thread is doing that. What the socket does not take is left to the reader.
    fn flush(&self) {
        let mut core = self.core();
        if core.writing {
            return;
        }
        core.writing = true;
        while let Some(&message) = core.unsent.front() {
            drop(core);
            let taken = self.kernel.try_write(self.socket, message);
            core = self.core();
            if !taken {
                break;
            }
            core.unsent.pop_front();
        }
        core.writing = false;
        let reader = if core.unsent.is_empty() { None } else { core.turn.reader().cloned() };
        drop(core);
        if let Some(reader) = reader.filter(|_| self.fault != Fault::UnsentIsSilent) {
            reader.wake();
        }
    }

    /// Returns how the wait for an item ended, or registers the waker.
    fn check(&self, item: usize, me: &Waker) -> Option<Outcome> {
        let mut core = self.core();
        let dead = core.dead;
        let slot = core.slots.get_mut(&item).expect("it is removed by its waiter");
        let outcome = match slot {
            Slot { ready: true, .. } => Some(Outcome::Ready),
            Slot { cancelled: true, .. } => Some(Outcome::Cancelled),
            _ if dead => Some(Outcome::Dead),
            _ => None,
        };
        if outcome.is_none() {
            if self.fault == Fault::RegistersLate {
                drop(core);
                core = self.core();
            }
            core.slots.get_mut(&item).expect("it is removed by its waiter").waker = Some(me.clone());
        }
        outcome
    }

    /// Takes part before a wait: what the reader polls for, nothing for a follower. Fails if the connection is over.
    fn enlist(&self, me: &Waker) -> Result<Option<Events>, ()> {
        let mut core = self.core();
        if core.dead {
            return Err(());
        }
        // Who holds the write role tells us if it leaves something.
        let write = !core.unsent.is_empty() && !core.writing && self.fault != Fault::ReaderOnlyReads;
        Ok(match core.turn.enlist(me) {
            Post::Lead => Some(Events { read: true, write }),
            Post::Follow => None,
        })
    }

    /// As the reader: takes what arrived, tells whom it concerns, sends what is unsent.
    fn turn(&self, events: Events, me: &Waker) {
        let mut arrived = Vec::new();
        if events.read {
            assert!(self.core().turn.is_reader(me), "somebody reads who is not the reader");
            arrived.extend(self.kernel.try_read(self.socket));
        }
        let mut core = self.core();
        let mut wakers = Vec::new();
        for message in arrived {
            if let Message::Item(item) = message {
                if let Some(slot) = core.slots.get_mut(&item) {
                    slot.ready = true;
                    wakers.extend(slot.waker.take().filter(|waker| waker != me));
                    core.dispatched.push(item);
                }
            }
        }
        let unsent = !core.unsent.is_empty();
        drop(core);
        wakers.iter().for_each(Waker::wake);
        if unsent {
            self.flush();
        }
    }

    /// Takes no part any more.
    fn leave(&self, me: &Waker) {
        let mut core = self.core();
        let was_reader = core.turn.is_reader(me);
        let next = core.turn.leave(me);
        assert!(next.is_some() || core.turn.reader().is_some() || core.turn.is_empty(), "nobody is told to read");
        drop(core);
        let silent = match self.fault {
            Fault::FollowersJustGo => !was_reader,
            Fault::LeavesSilently => true,
            _ => false,
        };
        if let Some(next) = next.filter(|_| !silent) {
            next.wake();
        }
    }

    /// What a guard does when the thread that reads panics.
    fn die(&self) {
        let mut core = self.core();
        core.dead = true;
        let all = core.turn.drain();
        drop(core);
        if self.fault != Fault::DeathIsSilent {
            all.iter().for_each(Waker::wake);
        }
    }

    fn forget(&self, item: usize) -> Slot {
        self.core().slots.remove(&item).expect("it is removed once")
    }

    /// Checks that nothing is left when everybody has gone; returns whose answers came while they waited.
    pub(crate) fn finish(&self) -> Vec<usize> {
        let core = self.core();
        assert!(core.turn.is_empty() && core.slots.is_empty() && !core.writing, "left over: {core:?}");
        core.dispatched.clone()
    }
}

/// An item on a connection.
pub(crate) type Item<'a> = (&'a Connection, usize);

/// Waits until one of the items is over; returns which and how, and takes it out. `turns_to_panic` says in which turn as a reader the
/// thread panics.
pub(crate) fn wait_any(
    items: &mut Vec<Item<'_>>,
    waiter: &Waiter,
    turns_to_panic: &mut Option<usize>,
) -> (usize, Outcome) {
    let me = waiter.waker();
    let mut connections: Vec<&Connection> = Vec::new();
    for (connection, _) in items.iter() {
        if !connections.iter().any(|known| std::ptr::eq(*known, *connection)) {
            connections.push(connection);
        }
    }
    let over = loop {
        let mut over = items.iter().enumerate().find_map(|(n, (c, item))| c.check(*item, me).map(|how| (n, how)));
        if over.is_none() && waiter.is_expired() {
            over = Some((0, Outcome::TimedOut));
        }
        if let Some(over) = over {
            break over;
        }
        let Ok(wants) = connections.iter().map(|c| c.enlist(me)).collect::<Result<Vec<_>, ()>>() else { continue };
        let lead: Vec<(&Connection, Events)> =
            connections.iter().zip(wants).filter_map(|(c, wanted)| wanted.map(|wanted| (*c, wanted))).collect();
        let polled: Vec<(usize, Events)> = lead.iter().map(|(c, wanted)| (c.socket, *wanted)).collect();
        let (ready, _) = waiter.wait(&polled);
        for ((connection, _), events) in lead.iter().zip(ready) {
            match turns_to_panic {
                Some(0) => {
                    *turns_to_panic = None;
                    connection.die();
                }
                Some(left) => *left -= 1,
                None => {}
            }
            if !connection.core().dead && events.any() {
                connection.turn(events, me);
            }
        }
    };
    connections.iter().for_each(|c| c.leave(me));
    let (connection, item) = items.remove(over.0);
    let slot = connection.forget(item);
    // The answer may have come since the item was looked at: then it is not lost, the caller is told.
    let how = if slot.ready { Outcome::Ready } else { over.1 };
    (item, how)
}
