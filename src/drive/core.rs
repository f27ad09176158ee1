//! What is behind the lock of a connection, and what is done to it there: dispatching, deadlines, the end.

use super::{
    duplex::{Duplex, Position},
    fault::Cause,
    info::{CloseReason, ConnectionState},
    keep::Keeper,
    quota::{LITTLE_AHEAD, Unread},
    shared::{Ends, Protocol},
    slot::Wakes,
    turn::Turn,
};
use crate::{
    buf::RecvBuf,
    error::ErrorKind,
    net::{Fed, Interest, Waker},
    time::{Deadline, Stamp},
};
use std::time::{Duration, Instant};

/// What is behind the lock.
#[derive(Debug)]
pub(crate) struct Core<P> {
    pub(super) proto: P,
    pub(super) duplex: Duplex,
    /// Received and opened, not yet understood.
    pub(super) input: RecvBuf,
    /// Received, not yet opened by TLS.
    pub(super) raw: RecvBuf,
    /// Who reads, and who waits.
    pub(super) turn: Turn<Waker>,
    /// Server: who looks after the connection while nobody waits on it.
    pub(super) keeper: Option<Keeper>,
    /// What the reader sleeps for, while it sleeps.
    pub(super) asleep: Option<(Option<Interest>, Deadline)>,
    /// Some thread has the receive buffer and reads into it.
    pub(super) receiving: bool,
    /// Somebody wants to know whether the peer is still there, although nothing is wanted from it.
    pub(super) peeking: bool,
    /// Somebody wanted to dispatch while the buffer was away, or nobody has looked at what came before the beginning.
    pub(super) owed: bool,
    /// The last receive filled its buffer.
    pub(super) bulk: bool,
    pub(super) eof: Eof,
    /// The wire took our bytes no more; what it has still to give is read before that ends the connection.
    pub(super) broken: Option<Cause>,
    /// The wire belongs to somebody else now.
    pub(super) detached: bool,
    /// Its end is on record.
    pub(super) noted: bool,
    /// Why it is to end once nothing is open on it any more.
    pub(super) parting: Option<CloseReason>,
    /// What the hooks were told that it is doing.
    pub(super) shown: ConnectionState,
    /// Of how many PINGs they were told that they were sent.
    pub(super) pings_shown: u64,
    /// How many PINGs are framed, and behind which position the last of them is, until it has left.
    pub(super) pings_framed: u64,
    pub(super) ping_at: Option<Position>,
    /// How much of a body is framed at a time, and may be unsent before no more of any is.
    pub(super) piece: usize,
    /// How much of a body nobody wants is read to keep the connection.
    pub(super) drain: usize,
    /// What of it counts as received and taken by nobody, among that of all connections.
    pub(super) unread: Unread,
    /// Why the connection is over.
    pub(super) over: Option<Cause>,
    /// Writers that wait until less is unsent.
    pub(super) room: Vec<Waker>,
    /// Threads that wait until what they framed was sent, and up to where that is.
    pub(super) flushing: Vec<(Position, Waker)>,
    pub(super) bytes_in: u64,
    /// Since when nobody uses it.
    pub(super) unused_since: Stamp,
    /// For how long the peer keeps it while nothing is open on it.
    pub(super) kept_by_peer: Duration,
    /// The last round trip time that is worth the name.
    pub(super) rtt: Option<Duration>,
    /// When the peer last answered a PING of upkeep.
    pub(super) kept_at: Option<Stamp>,
    /// For how long that counts as use after the last request.
    pub(super) keep_idle: Duration,
    pub(super) last_in: Instant,
    pub(super) last_out: Instant,
    /// When there was nothing more to be read.
    pub(super) emptied: Instant,
}

/// Whether the peer has ended its direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Eof {
    /// It has not.
    Open,
    /// It has; what came before is still to be understood. Clean: with TLS only if it said so.
    Seen { clean: bool },
    /// It has, and the protocol knows.
    Told,
}

impl<P: Protocol> Core<P> {
    /// Gives the wire away with what is unsent; `None` while another thread is reading or writing.
    pub(super) fn detach(&mut self) -> Option<Vec<u8>> {
        if self.receiving || self.over.is_some() {
            return None;
        }
        let unsent = self.duplex.take_unsent()?;
        self.detached = true;
        self.over = Some(Cause::new(ErrorKind::Closed, CloseReason::Shutdown, "the wire speaks another protocol now"));
        Some(unsent)
    }

    /// What the connection is doing.
    pub(super) fn state(&self, now: Instant) -> ConnectionState {
        match &self.over {
            Some(cause) => ConnectionState::Closed(cause.reason),
            None => self.proto.state(now),
        }
    }

    /// Tells the peer that nothing more comes, unless it is over already.
    pub(super) fn say_goodbye(&mut self) {
        if self.over.is_none() {
            self.proto.goodbye(&mut self.duplex.pending);
            self.duplex.finish();
        }
    }

    /// Ends the connection.
    pub(super) fn end(&mut self, cause: Cause, wakes: &mut Wakes) {
        if self.over.is_some() {
            return;
        }
        self.proto.fail(&cause, wakes);
        self.over = Some(cause);
        wakes.extend(self.turn.drain());
        wakes.extend(self.room.drain(..));
        wakes.extend(self.flushing.drain(..).map(|(_, waker)| waker));
    }

    /// Gives memory back that is not needed before something arrives or is framed.
    pub(super) fn slim(&mut self) {
        self.duplex.slim();
        if !self.receiving {
            self.input.shrink(true);
            self.raw.shrink(true);
        }
    }

    /// Ends a connection that has served its last exchange.
    pub(super) fn part(&mut self, wakes: &mut Wakes) {
        let reason = self.parting.unwrap_or(CloseReason::ByPeer);
        self.say_goodbye();
        self.end(Cause::new(ErrorKind::Closed, reason, "the connection had served its last exchange"), wakes);
    }

    /// Ends the connection after a panic, which has perhaps taken a buffer along.
    pub(super) fn give_up(&mut self) {
        let mut wakes = Wakes::new();
        self.receiving = false;
        let text = "a thread panicked while it used the connection";
        self.end(Cause::new(ErrorKind::Closed, CloseReason::Error, text), &mut wakes);
        wakes.fire();
    }

    /// Counts what was received and nobody took.
    #[inline]
    pub(super) fn count_unread(&mut self) {
        // Else it is counted when the buffer is back.
        if !self.receiving {
            self.unread.set(self.proto.unread() + self.input.bound() + self.raw.bound());
        }
    }

    /// Returns how much is received at a time at most: little where all connections together have too much that is unread.
    pub(super) fn room(&self) -> usize {
        if self.unread.is_crowded() { LITTLE_AHEAD } else { usize::MAX }
    }

    /// Opens and dispatches everything complete among what was received.
    pub(super) fn ingest(&mut self, now: Instant, wakes: &mut Wakes) {
        if self.over.is_some() {
            return;
        }
        if self.receiving {
            // Whoever has the buffer does it.
            self.owed = true;
            return;
        }
        self.owed = false;
        match self.try_ingest(now, wakes) {
            Ok(()) => self.open_queued(now, wakes),
            Err(cause) => self.end(cause, wakes),
        }
    }

    /// Begins those exchanges that waited in line for a place.
    pub(super) fn open_queued(&mut self, now: Instant, wakes: &mut Wakes) {
        if self.over.is_none() {
            let at = self.duplex.framed();
            self.proto.open_queued(at, now, &mut self.duplex.pending, wakes);
        }
    }

    fn try_ingest(&mut self, now: Instant, wakes: &mut Wakes) -> Result<(), Cause> {
        self.proto.hold(!self.is_roomy(), now);
        loop {
            let had = self.input.len();
            let opened = self.duplex.open(&mut self.raw, &mut self.input);
            self.bytes_in += (self.input.len() - had) as u64;
            let fed = match opened {
                Ok(fed) => fed,
                Err(e) => {
                    // What was opened before the bad record counts.
                    self.proto.ingest(&mut self.input, &mut self.duplex.pending, now, wakes)?;
                    return Err(Cause::new(ErrorKind::Tls, CloseReason::Violation, e));
                }
            };
            if fed == Fed::Closed && self.eof != Eof::Told {
                self.eof = Eof::Seen { clean: true };
            }
            let before = self.input.len();
            self.proto.ingest(&mut self.input, &mut self.duplex.pending, now, wakes)?;
            if fed != Fed::More || self.input.len() == before {
                break;
            }
        }
        match self.eof {
            // While the reader of a body does not keep up, the end waits behind what it has not taken.
            Eof::Seen { clean } if self.proto.wants_read() => {
                self.eof = Eof::Told;
                let out = &mut self.duplex.pending;
                match self.proto.end_of_input(&self.input, clean, out, now, wakes)? {
                    Ends::Both => Err(Cause::closed_by_peer()),
                    Ends::Theirs => Ok(()),
                }
            }
            _ => Ok(()),
        }
    }

    /// Takes note of PINGs that were framed.
    pub(super) fn note_framed(&mut self) {
        let pings = self.proto.pings().0;
        if pings != self.pings_framed {
            (self.pings_framed, self.ping_at) = (pings, Some(self.duplex.framed()));
        }
    }

    /// The wire took something: what it has to take before a PING is no silence of the peer.
    pub(super) fn note_taken(&mut self, now: Instant) {
        if let Some(at) = self.ping_at {
            self.proto.ping_left(now);
            self.ping_at = Some(at).filter(|at| self.duplex.sent() < *at);
        }
    }

    /// Whether something is due that may be due to what is unsent: the wire is to be asked first.
    pub(super) fn is_due_unsent(&self, now: Instant) -> bool {
        self.duplex.has_work() && self.proto.deadline().is_some_and(|at| at <= now)
    }

    pub(super) fn is_stalled(&self, write_stall: Duration, now: Instant) -> bool {
        self.duplex.stalled.is_some_and(|since| now.saturating_duration_since(since) >= write_stall)
    }

    pub(super) fn handle_deadlines(&mut self, write_stall: Duration, now: Instant, wakes: &mut Wakes) {
        // What is just being received may be what was missing; whoever receives it asks afterwards.
        if self.over.is_some() || self.receiving {
            return;
        }
        let result = if self.is_stalled(write_stall, now) {
            let text = format!("the peer took no byte for {write_stall:?}");
            Err(Cause::new(ErrorKind::TimedOut, CloseReason::WriteStalled, text))
        } else if self.duplex.is_too_slow(now) {
            let text = format!("the peer took less than it has to in {write_stall:?}");
            Err(Cause::new(ErrorKind::TimedOut, CloseReason::WriteStalled, text))
        } else if self.proto.deadline().is_some_and(|at| at <= now) {
            self.proto.handle_deadline(now, &mut self.duplex.pending)
        } else {
            Ok(())
        };
        if let Err(cause) = result {
            self.end(cause, wakes);
        }
    }

    /// Returns whether as much of a body may be framed as is framed at a time. A server frames no more for a client that takes nothing:
    /// of many such clients each would have it keep that.
    pub(super) fn is_roomy(&self) -> bool {
        self.duplex.unsent() < self.piece && (self.keeper.is_none() || self.duplex.stalled.is_none())
    }

    /// Returns whether there is room for the next piece of `n` bytes of a body: with little there is room for it behind what the client does not take.
    pub(super) fn has_room_for(&self, n: usize) -> bool {
        let n = n.min(self.piece);
        self.is_roomy() || self.duplex.unsent().saturating_add(n) < self.piece
    }

    /// Tells the protocol how much is unsent, and writers that there is room.
    pub(super) fn report_unsent(&mut self, wakes: &mut Wakes) {
        let unsent = self.duplex.unsent();
        if !self.room.is_empty() && self.is_roomy() {
            wakes.extend(self.room.drain(..));
        }
        if !self.flushing.is_empty() {
            // What others framed behind it does not keep anybody.
            let sent = if unsent == 0 { Position::MAX } else { self.duplex.sent() };
            self.flushing.retain(|(upto, waker)| {
                let waits = *upto > sent;
                if !waits {
                    wakes.add(waker.clone());
                }
                waits
            });
        }
        if unsent > self.piece && self.over.is_none() {
            if let Err(cause) = self.proto.unsent(unsent, &mut self.duplex.pending) {
                self.end(cause, wakes);
            }
        }
    }
}
