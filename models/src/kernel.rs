//! Sockets, wake handles and poll(2), as plain data.

use shuttle::sync::atomic::{AtomicBool, Ordering};
use shuttle::sync::{Condvar, Mutex, MutexGuard};
use std::collections::VecDeque;

/// How many messages each direction of a socket holds.
const CAPACITY: usize = 1;

/// What travels: a request or its answer, or word that nobody wants the answer any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Message {
    /// The request or the answer of this item.
    Item(usize),
    /// The item was given up.
    Reset,
}

/// What one descriptor is waited for, and ready for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Events {
    pub(crate) read: bool,
    pub(crate) write: bool,
}

impl Events {
    pub(crate) fn any(self) -> bool {
        self.read || self.write
    }
}

/// A socket and what its peer has to do.
#[derive(Debug, Default)]
struct Socket {
    outbound: VecDeque<Message>,
    inbound: VecDeque<Message>,
    /// Threads that poll it now.
    pollers: usize,
    /// How many messages it has taken.
    taken: usize,
    /// The peer has gone.
    gone: bool,
}

impl Socket {
    fn ready(&self, wanted: Events) -> Events {
        let (read, write) = (!self.inbound.is_empty() || self.gone, self.outbound.len() < CAPACITY || self.gone);
        Events { read: wanted.read && read, write: wanted.write && write }
    }
}

#[derive(Debug, Default)]
struct State {
    sockets: Vec<Socket>,
    /// The counters of the wake handles.
    handles: Vec<usize>,
    /// No request comes any more.
    closing: bool,
}

/// The kernel that the threads of one run share.
#[derive(Debug)]
pub(crate) struct Kernel {
    state: Mutex<State>,
    changed: Condvar,
    /// How many threads may poll a socket at a time.
    pollers: usize,
}

impl Kernel {
    pub(crate) fn new(sockets: usize, handles: usize) -> Self {
        let sockets = (0..sockets).map(|_| Socket::default()).collect();
        Kernel {
            state: Mutex::new(State { sockets, handles: vec![0; handles], closing: false }),
            changed: Condvar::new(),
            pollers: 1,
        }
    }

    /// The same, with sockets that any thread may poll.
    pub(crate) fn for_all(sockets: usize, handles: usize) -> Self {
        Kernel { pollers: usize::MAX, ..Self::new(sockets, handles) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Polls sockets, and the wake handle if there is one, until `expired`; without blocking if that is `None`.
    pub(crate) fn poll(
        &self,
        sockets: &[(usize, Events)],
        handle: Option<usize>,
        expired: Option<&AtomicBool>,
    ) -> (Vec<Events>, bool) {
        let mut state = self.state();
        for &(socket, _) in sockets {
            state.sockets[socket].pollers += 1;
            assert!(state.sockets[socket].pollers <= self.pollers, "two threads poll socket {socket}");
        }
        let result = loop {
            let ready: Vec<_> = sockets.iter().map(|&(socket, wanted)| state.sockets[socket].ready(wanted)).collect();
            let signalled = handle.is_some_and(|handle| state.handles[handle] > 0);
            let over = expired.is_none_or(|expired| expired.load(Ordering::SeqCst));
            if signalled || over || ready.iter().any(|events| events.any()) {
                break (ready, signalled);
            }
            state = self.changed.wait(state).unwrap();
        };
        for &(socket, _) in sockets {
            state.sockets[socket].pollers -= 1;
        }
        result
    }

    pub(crate) fn signal(&self, handle: usize) {
        self.state().handles[handle] += 1;
        self.changed.notify_all();
    }

    pub(crate) fn drain(&self, handle: usize) {
        self.state().handles[handle] = 0;
    }

    /// Makes every poll look at its deadline again.
    pub(crate) fn tick(&self) {
        drop(self.state());
        self.changed.notify_all();
    }

    /// Writes one message; returns false if there is no room.
    pub(crate) fn try_write(&self, socket: usize, message: Message) -> bool {
        let mut state = self.state();
        let fits = state.sockets[socket].outbound.len() < CAPACITY && !state.sockets[socket].gone;
        if fits {
            state.sockets[socket].taken += 1;
            state.sockets[socket].outbound.push_back(message);
            self.changed.notify_all();
        }
        fits
    }

    pub(crate) fn try_read(&self, socket: usize) -> Option<Message> {
        let message = self.state().sockets[socket].inbound.pop_front();
        self.changed.notify_all();
        message
    }

    /// Is the peer of a socket until the end: it answers every request, and reads nothing more before the answer was taken.
    pub(crate) fn serve(&self, socket: usize) {
        let mut state = self.state();
        loop {
            let closing = state.closing;
            let this = &mut state.sockets[socket];
            match this.outbound.front() {
                Some(Message::Reset) => {
                    this.outbound.pop_front();
                    self.changed.notify_all();
                }
                Some(&request) if this.inbound.len() < CAPACITY => {
                    this.inbound.push_back(request);
                    this.outbound.pop_front();
                    self.changed.notify_all();
                }
                _ if closing => return,
                _ => state = self.changed.wait(state).unwrap(),
            }
        }
    }

    /// Returns how many messages a socket has taken, and whether its peer has gone.
    pub(crate) fn progress(&self, socket: usize) -> (usize, bool) {
        let state = self.state();
        (state.sockets[socket].taken, state.sockets[socket].gone)
    }

    /// As the peer of a socket: waits for a message.
    pub(crate) fn hear(&self, socket: usize) -> Message {
        let mut state = self.state();
        loop {
            if let Some(message) = state.sockets[socket].outbound.pop_front() {
                self.changed.notify_all();
                return message;
            }
            state = self.changed.wait(state).unwrap();
        }
    }

    /// As the peer of a socket: says something, once there is room.
    pub(crate) fn say(&self, socket: usize, message: Message) {
        let mut state = self.state();
        while state.sockets[socket].inbound.len() >= CAPACITY {
            state = self.changed.wait(state).unwrap();
        }
        state.sockets[socket].inbound.push_back(message);
        self.changed.notify_all();
    }

    /// As the peer of a socket: goes away.
    pub(crate) fn leave(&self, socket: usize) {
        self.state().sockets[socket].gone = true;
        self.changed.notify_all();
    }

    /// Ends the peers.
    pub(crate) fn close(&self) {
        self.state().closing = true;
        self.changed.notify_all();
    }
}
