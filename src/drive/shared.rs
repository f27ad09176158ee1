//! A connection that several threads use: one lock, a read role, a write role, and flushing.
//!
//! Everything a thread does follows one pattern: lock the core, change the protocol's state (which appends frames), flush,
//! unlock, wake. [`Shared::with`] is that pattern. Reading is the same from the other side: [`Shared::turn`] takes the receive buffer
//! out of the core, reads into it without the lock, puts it back and dispatches all that is complete in one go.

use super::{
    core::{Core, Eof},
    duplex::Position,
    fault::Cause,
    info::{CloseReason, ConnectionInfo, ConnectionState},
    pace::Pace,
    quota::Unread,
    receive::RECEIVES,
    record::{Happened, Owner, Record},
    setup::Setup,
    slot::Wakes,
    turn::{Post, Turn},
};
use crate::{
    buf::RecvBuf,
    net::{Interest, Lead, Part, Ready, Waker, Wire},
    time::{Deadline, Stamp},
};
use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, Weak, atomic::Ordering},
    time::{Duration, Instant},
};

/// What the driver of a protocol does with bytes; the protocol's part of a core.
pub(crate) trait Protocol: Send + 'static {
    /// Takes what is complete in `input`, as far as its readers keep up; replies are appended to `out`.
    fn ingest(&mut self, input: &mut RecvBuf, out: &mut Vec<u8>, now: Instant, wakes: &mut Wakes) -> Result<(), Cause>;
    /// Nothing comes after what is in `input`; `clean`: the end was not cut (TLS said so, or there is no TLS).
    fn end_of_input(
        &mut self,
        input: &RecvBuf,
        clean: bool,
        out: &mut Vec<u8>,
        now: Instant,
        wakes: &mut Wakes,
    ) -> Result<Ends, Cause>;
    /// Whether so much is unsent that no exchange is begun for which there would be more to send (server, HTTP/1: HTTP/2 counts
    /// for itself). Said before every `ingest`.
    fn hold(&mut self, _held: bool, _now: Instant) {}
    /// Whether an exchange may be held back, which `ingest` begins once less is unsent.
    fn is_held(&self) -> bool {
        false
    }
    /// How much memory bodies are in that arrived and nobody took.
    fn unread(&self) -> usize;
    /// Whether more is wanted from the wire.
    fn wants_read(&self) -> bool;
    /// Whether it is wanted also while no thread waits for it, from the keeper of the connection (server).
    fn wants_keeping(&self) -> bool;
    /// Whether an exchange that the peer began waits to be accepted (server).
    fn has_incoming(&self) -> bool;
    /// Begins those exchanges that waited in line for a place (client); their bytes begin at position `at`.
    fn open_queued(&mut self, _at: Position, _now: Instant, _out: &mut Vec<u8>, _wakes: &mut Wakes) {}
    /// When `handle_deadline` is to be called.
    fn deadline(&self) -> Option<Instant>;
    /// Does what is due.
    fn handle_deadline(&mut self, now: Instant, out: &mut Vec<u8>) -> Result<(), Cause>;
    /// The connection is over: every exchange that is open fails.
    fn fail(&mut self, cause: &Cause, wakes: &mut Wakes);
    /// So many bytes wait to be sent.
    fn unsent(&mut self, _bytes: usize, _out: &mut Vec<u8>) -> Result<(), Cause> {
        Ok(())
    }
    /// The connection is given up in peace: what the peer should be told.
    fn goodbye(&mut self, out: &mut Vec<u8>);
    /// The wire took something just now, up to the last PING at most.
    fn ping_left(&mut self, _now: Instant) {}
    /// How many PINGs were sent and answered.
    fn pings(&self) -> (u64, u64) {
        (0, 0)
    }
    /// The last round trip time.
    fn rtt(&self) -> Option<Duration> {
        None
    }
    /// Whether a PING of upkeep is on its way.
    fn is_being_kept(&self) -> bool {
        false
    }
    /// Whether a PING of upkeep was answered since this was asked last.
    fn take_kept(&mut self) -> bool {
        false
    }
    /// Something came in, of which `ingest` may see nothing yet.
    fn received(&mut self, _now: Instant) {}
    /// When the peer was alive for certain, where that matters.
    fn heard(&self) -> Option<Instant> {
        None
    }
    /// What came in last may have come at this time already.
    fn came_by(&mut self, _at: Instant) {}
    /// What the connection is doing, while it is not over.
    fn state(&self, now: Instant) -> ConnectionState;
    /// Adds what it knows to a row of the connection table.
    fn describe(&self, info: &mut ConnectionInfo);
}

/// What the end of the peer's direction means to a protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ends {
    /// The connection is over.
    Both,
    /// What we have to say is still wanted.
    Theirs,
}

/// A connection: a wire and a core.
pub(crate) struct Shared<P: Protocol> {
    wire: Arc<dyn Wire>,
    core: Mutex<Core<P>>,
    write_stall: Duration,
    record: Option<Arc<Record>>,
    owner: Option<Weak<dyn Owner>>,
    pub(super) id: u64,
    pub(super) origin: String,
    pub(super) created: Stamp,
}

impl<P: Protocol> std::fmt::Debug for Shared<P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("id", &self.id).field("origin", &self.origin).finish_non_exhaustive()
    }
}

impl<P: Protocol> Shared<P> {
    /// Joins a wire and a protocol whose first bytes are already in `setup.duplex`.
    pub(crate) fn new(setup: Setup, proto: P) -> Self {
        let Setup {
            wire,
            mut duplex,
            leftover,
            write_stall,
            min_rate,
            keep_idle,
            drain,
            piece,
            quota,
            origin,
            id,
            now,
            ..
        } = setup;
        let (record, owner) = (setup.record, setup.owner);
        if min_rate > 0 {
            duplex.keep_pace(Pace::new(min_rate, write_stall));
        }
        let owed = !leftover.is_empty();
        let core = Core {
            proto,
            duplex,
            input: leftover,
            raw: RecvBuf::new(),
            turn: Turn::default(),
            keeper: None,
            asleep: None,
            receiving: false,
            peeking: false,
            owed,
            bulk: false,
            eof: Eof::Open,
            broken: None,
            detached: false,
            noted: false,
            parting: None,
            shown: ConnectionState::Idle,
            pings_shown: 0,
            pings_framed: 0,
            ping_at: None,
            piece,
            drain,
            unread: Unread::new(quota),
            over: None,
            room: Vec::new(),
            flushing: Vec::new(),
            bytes_in: 0,
            unused_since: Stamp::now(),
            kept_by_peer: Duration::MAX,
            rtt: None,
            kept_at: None,
            keep_idle,
            last_in: now,
            last_out: now,
            emptied: now,
        };
        Shared { wire, core: Mutex::new(core), write_stall, record, owner, id, origin, created: Stamp::now() }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Core<P>> {
        self.core.lock().unwrap_or_else(|poisoned| {
            // A panic under the lock is a bug of ours. Nobody knows what the core looks like: the connection is over.
            self.core.clear_poison();
            let mut core = poisoned.into_inner();
            core.give_up();
            core
        })
    }

    /// Runs code of the caller's, a wire, without the lock. If it panics the connection ends: nobody else waits for ever for the
    /// role that the panicking thread had.
    pub(super) fn outside<R>(&self, f: impl FnOnce(&dyn Wire) -> R) -> R {
        struct Unwinding<'a, P: Protocol>(&'a Shared<P>);
        impl<P: Protocol> Drop for Unwinding<'_, P> {
            fn drop(&mut self) {
                self.0.lock().give_up();
            }
        }
        let unwinding = Unwinding(self);
        let result = f(&*self.wire);
        std::mem::forget(unwinding);
        result
    }

    /// Changes the core, flushes what that framed, and wakes whom it concerns.
    pub(super) fn with<R>(&self, now: Instant, f: impl FnOnce(&mut Core<P>, &mut Wakes) -> R) -> R {
        let mut wakes = Wakes::new();
        let mut core = self.lock();
        let was_over = core.over.is_some();
        let result = f(&mut core, &mut wakes);
        let mut core = self.flush(core, now, &mut wakes);
        self.tell_reader(&mut core, &mut wakes);
        self.tell_keeper(&mut core, &mut wakes);
        self.note_state(&mut core, now);
        let ended = !was_over && core.over.is_some();
        drop(core);
        wakes.fire();
        if ended {
            self.close_wire();
        }
        result
    }

    /// Ends the connection: every open exchange fails with `cause`. What is framed (a GOAWAY) is still sent if the wire takes it.
    pub(super) fn end(&self, cause: Cause, now: Instant) {
        self.with(now, |core, wakes| core.end(cause, wakes));
    }

    /// Says to the peer that nothing more comes, or, where something is stuck, nothing at all.
    fn close_wire(&self) {
        let mut core = self.lock();
        let first = self.note_end(&mut core);
        if core.detached || core.keeper.is_some() {
            // A keeper sees to it that the peer gets what is unsent, and has time to read it.
            return;
        }
        let stuck = core.duplex.unsent() > 0 || core.over.as_ref().is_some_and(|c| c.reason == CloseReason::Shutdown);
        drop(core);
        if stuck {
            self.wire.shutdown();
        } else {
            // The peer may have closed already; there is nothing left to be told.
            let _ = self.wire.finish();
        }
        if let (true, Some(owner)) = (first, self.owner.as_ref().and_then(Weak::upgrade)) {
            owner.ended(self.id);
        }
    }

    /// Notes that the connection has ended, once; returns whether this was that time.
    fn note_end(&self, core: &mut Core<P>) -> bool {
        let Some(record) = self.record.as_ref().filter(|_| !std::mem::replace(&mut core.noted, true)) else {
            return false;
        };
        let reason = match core.state(Instant::now()) {
            ConnectionState::Closed(reason) => reason,
            // The peer had said that it takes no more (GOAWAY), and nothing was left on it.
            ConnectionState::Draining => core.parting.unwrap_or(CloseReason::ByPeer),
            _ => core.parting.unwrap_or(CloseReason::Idle),
        };
        record.closed.fetch_add(1, Ordering::Relaxed);
        record.note(Happened::Closed { connection: self.id, reason });
        true
    }

    /// Notes that PINGs were sent, and that it does something else than before, if anybody wants to know.
    fn note_state(&self, core: &mut Core<P>, now: Instant) {
        let Some(record) = self.record.as_ref().filter(|record| record.is_wanted()) else { return };
        self.note_pings(core);
        let state = core.state(now);
        let before = std::mem::replace(&mut core.shown, state);
        // Its end is an event of its own.
        if before != state && core.over.is_none() {
            record.note(Happened::Changed { connection: self.id, from: before, to: state });
        }
    }

    /// Sends what is framed, as far as the wire takes it: the only writer.
    pub(super) fn flush<'a>(
        &'a self,
        mut core: MutexGuard<'a, Core<P>>,
        now: Instant,
        wakes: &mut Wakes,
    ) -> MutexGuard<'a, Core<P>> {
        core.count_unread();
        core.note_framed();
        while let Some((out, at)) = core.duplex.begin_write() {
            drop(core);
            let result = self.outside(|wire| wire.try_write(&out[at..]));
            core = self.lock();
            let wanted = out.len() - at;
            let taken = match &result {
                Ok(n) => *n,
                Err(_) => 0,
            };
            core.duplex.end_write(out, taken, now);
            if taken > 0 {
                core.note_taken(now);
            }
            match result {
                Ok(n) if n == wanted => core.last_out = now,
                // The wire took a part: it is full, asking again would only say so.
                Ok(n) if n > 0 => {
                    core.last_out = now;
                    break;
                }
                Ok(_) => break,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => break,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => {
                    core.duplex.discard();
                    core.broken.get_or_insert_with(|| Cause::io("sending", &e));
                    break;
                }
            }
        }
        if core.broken.is_some() {
            // What there is to be read has arrived; nothing tells when a wire that is broken has no more.
            (core, _) = self.receive(core, now, wakes);
            // Behind the end of their direction there is nothing, and nobody reads who could find that out.
            if core.eof == Eof::Told {
                if let Some(cause) = core.broken.take() {
                    core.end(cause, wakes);
                }
            }
        }
        if core.duplex.take_finish() {
            drop(core);
            // If the peer has closed already, reading will tell.
            let _ = self.wire.finish();
            core = self.lock();
        }
        core.report_unsent(wakes);
        if core.proto.is_held() && core.is_roomy() {
            core.ingest(now, wakes);
            if !core.proto.is_held() {
                // It may have made something to send, such as a refusal.
                return self.flush(core, now, wakes);
            }
        }
        core
    }

    /// Wakes the reader if it sleeps for less than what is needed now.
    fn tell_reader(&self, core: &mut Core<P>, wakes: &mut Wakes) {
        let Some((interest, until)) = core.asleep else { return };
        let (needed, deadline) = self.needs(core);
        let covered = match (needed, interest) {
            (None, _) | (_, Some(Interest::Both)) => true,
            (a, b) => a == b,
        };
        let on_time = deadline.earlier(until) == until;
        if !covered || !on_time || core.over.is_some() {
            core.asleep = None;
            wakes.extend(core.turn.reader().cloned());
        }
    }

    /// What the reader has to wait for.
    pub(super) fn needs(&self, core: &Core<P>) -> (Option<Interest>, Deadline) {
        let read = core.eof == Eof::Open && core.proto.wants_read() || core.broken.is_some();
        let interest = match (read, core.duplex.has_work()) {
            (true, true) => Some(Interest::Both),
            (true, false) => Some(Interest::Read),
            (false, true) => Some(Interest::Write),
            (false, false) => None,
        };
        let stall = core.duplex.stalled.and_then(|since| since.checked_add(self.write_stall));
        let wire = Deadline::from(stall).earlier(Deadline::from(core.duplex.pace_due));
        (interest, Deadline::from(core.proto.deadline()).earlier(wire))
    }

    /// Looks at what has arrived, without waiting and without a role: before a connection is handed out, and in upkeep.
    pub(super) fn look(&self, now: Instant) {
        let mut wakes = Wakes::new();
        let mut core = self.lock();
        // The end may be behind what arrived.
        for _ in 0..RECEIVES {
            let arrived;
            (core, arrived) = self.receive(core, now, &mut wakes);
            if !arrived {
                break;
            }
        }
        if core.is_due_unsent(now) {
            core = self.flush(core, now, &mut wakes);
        }
        core.handle_deadlines(self.write_stall, now, &mut wakes);
        let mut core = self.flush(core, now, &mut wakes);
        self.tell_reader(&mut core, &mut wakes);
        self.tell_keeper(&mut core, &mut wakes);
        self.note_state(&mut core, now);
        let over = core.over.is_some();
        drop(core);
        wakes.fire();
        if over {
            self.close_wire();
        }
    }

    /// Notes that PINGs were sent, if anybody wants to know.
    fn note_pings(&self, core: &mut Core<P>) {
        let sent = core.proto.pings().0;
        for _ in std::mem::replace(&mut core.pings_shown, sent)..sent {
            self.record(Happened::Pinged { connection: self.id, rtt: None });
        }
    }

    /// Notes that the PING on its way was answered, if anybody wants to know.
    pub(super) fn note_answer(&self, core: &mut Core<P>, rtt: Option<Duration>) {
        // Whoever sent it may not have come to that yet.
        self.note_pings(core);
        self.record(Happened::Pinged { connection: self.id, rtt });
    }

    /// Notes what happened, if anybody wants to know.
    fn record(&self, event: Happened) {
        if let Some(record) = &self.record {
            record.note(event);
        }
    }

    /// Returns the wire, for those who poll it themselves.
    pub(super) fn wire_ref(&self) -> &Arc<dyn Wire> {
        &self.wire
    }
}

impl<P: Protocol> Lead for Shared<P> {
    fn wire(&self) -> &dyn Wire {
        &*self.wire
    }

    fn enlist(&self, waker: &Waker, now: Instant) -> Part {
        let mut wakes = Wakes::new();
        let mut core = self.lock();
        if core.owed && core.over.is_none() {
            // What came before this connection began is looked at before the wire is: nothing more may come.
            core.ingest(now, &mut wakes);
            if core.over.is_some() {
                drop(core);
                wakes.fire();
                self.close_wire();
                return Part::Over;
            }
        }
        if core.over.is_some() {
            return Part::Over;
        }
        let part = match core.turn.enlist(waker) {
            Post::Lead => {
                let (interest, deadline) = self.needs(&core);
                core.asleep = Some((interest, deadline));
                Part::Reader(interest, deadline)
            }
            Post::Follow => Part::Follower,
        };
        drop(core);
        wakes.fire();
        part
    }

    fn turn(&self, ready: Ready, now: Instant) -> bool {
        let mut wakes = Wakes::new();
        let mut core = self.lock();
        core.asleep = None;
        let mut arrived = false;
        if ready.read {
            (core, arrived) = self.receive(core, now, &mut wakes);
        }
        let slow = core.is_stalled(self.write_stall, now) || core.duplex.pace_due.is_some_and(|due| due <= now);
        if slow || core.is_due_unsent(now) {
            // Of a large socket buffer a third has to be free before room is reported; a write takes what there is.
            core = self.flush(core, now, &mut wakes);
        }
        core.handle_deadlines(self.write_stall, now, &mut wakes);
        // Without room on the wire only what was framed just now is worth a try.
        if core.duplex.stalled.is_none() || ready.write {
            core = self.flush(core, now, &mut wakes);
        }
        self.tell_keeper(&mut core, &mut wakes);
        self.note_state(&mut core, now);
        let over = core.over.is_some();
        drop(core);
        wakes.fire();
        if over {
            self.close_wire();
        }
        arrived
    }

    fn leave(&self, waker: &Waker) {
        let mut core = self.lock();
        if core.turn.is_reader(waker) {
            core.asleep = None;
        }
        let mut wakes = Wakes::new();
        wakes.extend(core.turn.leave(waker));
        self.tell_keeper(&mut core, &mut wakes);
        drop(core);
        wakes.fire();
    }

    fn slim(&self) {
        self.lock().slim();
    }
}

/// Says goodbye as far as the wire takes it at once, and closes.
impl<P: Protocol> Drop for Shared<P> {
    fn drop(&mut self) {
        let now = Instant::now();
        let mut wakes = Wakes::new();
        let mut core = self.lock();
        if core.over.is_none() {
            core.say_goodbye();
            core = self.flush(core, now, &mut wakes);
        }
        let detached = core.detached;
        self.note_end(&mut core);
        let (pings, acks) = core.proto.pings();
        let bytes = (core.bytes_in, core.duplex.touched());
        drop(core);
        if !detached {
            self.wire.shutdown();
        }
        if let Some(record) = &self.record {
            for (counter, n) in [
                (&record.bytes_in, bytes.0),
                (&record.bytes_out, bytes.1),
                (&record.pings, pings),
                (&record.acks, acks),
            ] {
                counter.fetch_add(n, Ordering::Relaxed);
            }
        }
    }
}
