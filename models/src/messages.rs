//! A WebSocket whose halves are used by several threads, as `ws/socket.rs`, `ws/arrive.rs` and `ws/out.rs` write it around `Outbound`.
//!
//! A frame is two bytes, of which the wire takes one at a time: what kind of frame, and which one.

use crate::Fault;
use crate::kernel::{Events, Kernel, Message};
use crate::outbound::Outbound;
use crate::wait::{Waiter, Waker};
use shuttle::sync::{Arc, Mutex, MutexGuard};
use std::collections::VecDeque;
use std::task::Poll;

/// The socket of the kernel.
const WIRE: usize = 0;

/// The kinds of frames.
pub(crate) const CLOSE: u8 = b'c';
pub(crate) const MESSAGE: u8 = b'm';
pub(crate) const PING: u8 = b'?';
pub(crate) const PONG: u8 = b'!';

/// How often a call that is done takes along what others accepted meanwhile.
const ROUNDS: u32 = 8;

/// How far a message has got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    /// The wire has it.
    Gone,
    /// It was lost, or not accepted.
    Lost,
}

/// What a call waits for.
#[derive(Debug, Default)]
struct Wants {
    events: Events,
    /// It is called again at once, behind a look at the clock.
    again: bool,
}

/// What the one lock protects.
#[derive(Debug, Default)]
struct Core {
    outbound: Outbound<()>,
    input: VecDeque<u8>,
    reading: bool,
    writing: bool,
    readers: Vec<Waker>,
    writers: Vec<Waker>,
    /// Our Close was framed.
    closing: bool,
    /// Theirs came, or the end.
    ended: bool,
}

impl Core {
    fn frame(&mut self, kind: u8, number: u8) -> u64 {
        self.outbound.bytes.extend([kind, number]);
        if kind == MESSAGE {
            self.outbound.spoke();
        }
        self.outbound.framed()
    }

    /// Takes the next message out of what is there.
    fn next(&mut self) -> Option<u8> {
        while self.input.len() >= 2 && !self.ended {
            let (kind, number) = (self.input.pop_front()?, self.input.pop_front()?);
            match kind {
                PING if !self.closing => _ = self.frame(PONG, number),
                MESSAGE if !self.closing => return Some(number),
                CLOSE => self.ended = true,
                _ => {}
            }
        }
        None
    }
}

fn leave(waiting: &mut Vec<Waker>, waker: &Waker) {
    if !waiting.contains(waker) {
        waiting.push(waker.clone());
    }
}

fn wake(waiting: Vec<Waker>) {
    waiting.iter().for_each(Waker::wake);
}

fn wake_others(waiting: Vec<Waker>, own: &Waker) {
    waiting.iter().filter(|waker| *waker != own).for_each(Waker::wake);
}

/// One socket.
#[derive(Debug)]
pub(crate) struct Socket {
    core: Mutex<Core>,
    kernel: Arc<Kernel>,
    fault: Fault,
}

impl Socket {
    pub(crate) fn new(kernel: &Arc<Kernel>, fault: Fault) -> Self {
        Socket { core: Mutex::default(), kernel: kernel.clone(), fault }
    }

    fn core(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap()
    }

    /// Gives the wire what it takes, without the lock; `None`: it takes nothing any more.
    fn write(&self, bytes: &[u8]) -> Option<usize> {
        let taken = bytes.iter().take_while(|b| self.kernel.try_write(WIRE, Message::Item(usize::from(**b)))).count();
        if taken == 0 && self.kernel.progress(WIRE).1 { None } else { Some(taken) }
    }

    /// `poll_pump`.
    fn pump(&self, me: &Waker, wants: &mut Wants) -> Poll<()> {
        let mut upto = None;
        loop {
            let mut core = self.core();
            if core.writing && self.fault != Fault::WritesWithoutTheRole {
                leave(&mut core.writers, me);
                return Poll::Pending;
            }
            if core.outbound.unsent() == 0 {
                return Poll::Ready(());
            }
            let upto = *upto.get_or_insert_with(|| core.outbound.framed());
            if core.outbound.has_given(upto) {
                wants.again = true;
                return Poll::Pending;
            }
            core.writing = true;
            let (out, at) = core.outbound.begin();
            drop(core);
            let taken = self.write(&out[at..]);
            let mut core = self.core();
            core.writing = false;
            let writers = std::mem::take(&mut core.writers);
            let result = match taken {
                None => {
                    core.outbound.lose(Some(()));
                    Some(Poll::Ready(()))
                }
                Some(0) => {
                    core.outbound.end(out, at, 0);
                    wants.events.write = true;
                    Some(Poll::Pending)
                }
                Some(n) => {
                    core.outbound.end(out, at + n, n);
                    None
                }
            };
            drop(core);
            if self.fault != Fault::WritesSilently {
                wake(writers);
            }
            if let Some(result) = result {
                return result;
            }
        }
    }

    /// `poll_flushed`, of a stream that has given the wire all it was given.
    fn flushed(&self, upto: u64, me: &Waker, wants: &mut Wants) -> Poll<Sent> {
        let pumped = self.pump(me, wants);
        let mut core = self.core();
        if core.outbound.loss(upto).is_some() && self.fault != Fault::ForgetsWhatIsLost {
            return Poll::Ready(Sent::Lost);
        }
        if pumped.is_pending() && !core.outbound.has_given(upto) && core.outbound.unsent() > 0 {
            return Poll::Pending;
        }
        if core.writing {
            leave(&mut core.writers, me);
            return Poll::Pending;
        }
        Poll::Ready(Sent::Gone)
    }

    /// `block_on`.
    fn block_on<T>(&self, waiter: &Waiter, mut step: impl FnMut(&mut Wants) -> Poll<T>) -> T {
        loop {
            let mut wants = Wants::default();
            if let Poll::Ready(result) = step(&mut wants) {
                return result;
            }
            match wants {
                Wants { again: true, .. } => {}
                Wants { events, .. } if events.any() => _ = waiter.wait(&[(WIRE, events)]),
                Wants { .. } => _ = waiter.wait(&[]),
            }
        }
    }

    /// `at_once`, and where something is in the way the message is accepted all the same: there is room. Returns up to where it is.
    fn accept(&self, number: u8) -> Option<u64> {
        let mut core = self.core();
        if core.closing || core.ended {
            return None;
        }
        let free = !core.writing && core.outbound.unsent() == 0;
        let upto = core.frame(MESSAGE, number);
        if free {
            core.writing = true;
            let (out, at) = core.outbound.begin();
            drop(core);
            let taken = self.write(&out[at..]).unwrap_or(0);
            let mut core = self.core();
            core.writing = false;
            core.outbound.end(out, taken, taken);
            let writers = std::mem::take(&mut core.writers);
            drop(core);
            wake(writers);
        }
        Some(upto)
    }

    /// Sends a message, and waits until it has gone.
    pub(crate) fn send(&self, number: u8, waiter: &Waiter) -> Sent {
        let Some(upto) = self.accept(number) else { return Sent::Lost };
        let sent = self.block_on(waiter, |wants| self.flushed(upto, waiter.waker(), wants));
        self.hand_over(waiter);
        let (taken, _) = self.kernel.progress(WIRE);
        assert!(sent == Sent::Lost || taken as u64 >= upto, "{number} is said to have gone: {taken} of {upto} bytes");
        sent
    }

    /// Sends a message as far as the wire takes it now.
    pub(crate) fn try_send(&self, number: u8, waiter: &Waiter) {
        if self.accept(number).is_some() {
            let _ = self.pump(waiter.waker(), &mut Wants::default());
            self.hand_over(waiter);
        }
    }

    fn hand_over(&self, waiter: &Waiter) {
        if self.fault == Fault::HandsNothingOver {
            return;
        }
        let mut rounds = ROUNDS;
        loop {
            let mut core = self.core();
            if core.outbound.unsent() == 0 {
                return;
            }
            let readers = std::mem::take(&mut core.readers);
            if !readers.is_empty() {
                drop(core);
                return wake(readers);
            }
            if core.writing || rounds == 0 {
                return;
            }
            let upto = core.outbound.framed();
            drop(core);
            let _ = self.pump(waiter.waker(), &mut Wants::default());
            rounds = if self.core().outbound.has_given(upto) { rounds - 1 } else { 0 };
        }
    }

    /// Waits for a message; `None`: the end.
    pub(crate) fn receive(&self, waiter: &Waiter) -> Option<u8> {
        self.quick(waiter);
        self.block_on(waiter, |wants| self.arrived(false, waiter.waker(), wants))
    }

    /// Sends Close, and waits for theirs.
    pub(crate) fn close(&self, waiter: &Waiter) {
        let mut core = self.core();
        if core.closing || core.ended {
            return;
        }
        core.frame(CLOSE, 0);
        core.closing = true;
        let (readers, writers) = (std::mem::take(&mut core.readers), std::mem::take(&mut core.writers));
        drop(core);
        wake(readers);
        wake(writers);
        self.block_on(waiter, |wants| self.arrived(true, waiter.waker(), wants));
    }

    /// `quick`: waits for the wire with the reading role, if nothing is under way.
    fn quick(&self, waiter: &Waiter) {
        let mut core = self.core();
        let plain = core.input.is_empty() && !core.writing && core.outbound.unsent() == 0;
        if core.reading || !plain || core.closing || core.ended {
            return;
        }
        core.reading = true;
        leave(&mut core.readers, waiter.waker());
        drop(core);
        let (ready, _) = waiter.wait(&[(WIRE, Events { read: true, write: false })]);
        let byte = if ready[0].read { self.kernel.try_read(WIRE) } else { None };
        let mut core = self.core();
        core.input.extend(byte.map(as_byte));
        core.reading = false;
        let readers = std::mem::take(&mut core.readers);
        drop(core);
        wake(readers);
    }

    /// `poll_arrived`.
    fn arrived(&self, closes: bool, me: &Waker, wants: &mut Wants) -> Poll<Option<u8>> {
        loop {
            let mut core = self.core();
            if core.reading {
                leave(&mut core.readers, me);
                let work = core.outbound.unsent() > 0;
                drop(core);
                if work {
                    let _ = self.pump(me, wants);
                }
                return Poll::Pending;
            }
            let message = core.next();
            if core.outbound.unsent() > 0 {
                drop(core);
                let _ = self.pump(me, wants);
                core = self.core();
            }
            if message.is_some() {
                return Poll::Ready(message);
            }
            if core.ended || core.closing && !closes {
                let (readers, writers) = (std::mem::take(&mut core.readers), std::mem::take(&mut core.writers));
                drop(core);
                wake_others(readers, me);
                wake_others(writers, me);
                return Poll::Ready(None);
            }
            core.reading = true;
            drop(core);
            let byte = self.kernel.try_read(WIRE);
            let gone = byte.is_none() && self.kernel.progress(WIRE).1;
            let mut core = self.core();
            core.input.extend(byte.map(as_byte));
            core.ended |= gone;
            core.reading = false;
            let readers = std::mem::take(&mut core.readers);
            let nothing = byte.is_none() && !gone;
            if nothing && self.fault != Fault::LeavesItsWakerLate {
                leave(&mut core.readers, me);
            }
            drop(core);
            wake_others(readers, me);
            if nothing {
                wants.events.read = true;
                let mut core = self.core();
                if core.outbound.unsent() > 0 && self.fault != Fault::LooksOnce {
                    drop(core);
                    let _ = self.pump(me, wants);
                    core = self.core();
                }
                if self.fault == Fault::LeavesItsWakerLate {
                    drop(core);
                    core = self.core();
                }
                if core.closing && !closes {
                    continue;
                }
                leave(&mut core.readers, me);
                return Poll::Pending;
            }
        }
    }
}

fn as_byte(message: Message) -> u8 {
    match message {
        Message::Item(byte) => byte as u8,
        Message::Reset => unreachable!("nobody says that here"),
    }
}

/// As the peer: waits for a frame.
pub(crate) fn hear(kernel: &Kernel) -> (u8, u8) {
    let kind = as_byte(kernel.hear(WIRE));
    assert!([CLOSE, MESSAGE, PONG].contains(&kind), "a frame within a frame: {kind}");
    (kind, as_byte(kernel.hear(WIRE)))
}

/// As the peer: says a frame.
pub(crate) fn say(kernel: &Kernel, kind: u8, number: u8) {
    for byte in [kind, number] {
        kernel.say(WIRE, Message::Item(usize::from(byte)));
    }
}
