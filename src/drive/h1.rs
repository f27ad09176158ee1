//! HTTP/1: what the events of the engine do to the one exchange that is open.

mod exchanges;

use super::{
    carrier::{Exchanges, Refused},
    fault::{Cause, Fault},
    info::{CloseReason, ConnectionInfo, ConnectionState},
    keep::Patience,
    quota::{LITTLE_AHEAD, Quota},
    shared::{Ends, Protocol},
    slot::{Receiving, Sending, Slot, Wakes},
};
use crate::{
    buf::RecvBuf,
    error::ErrorKind,
    net::Waker,
    proto::{
        Role,
        h1::{self, Connection, Event, Violation},
    },
    time::date,
};
use http::{StatusCode, Version};
use std::{collections::VecDeque, sync::Arc, time::Instant};

/// How much of a body is read ahead of its reader: then the wire is left alone and TCP slows the peer down.
const READ_AHEAD: usize = 256 * 1024;

/// An HTTP/1 connection: one exchange at a time, in cycles.
#[derive(Debug)]
pub(crate) struct H1 {
    engine: Connection,
    role: Role,
    /// The exchange that is open, and the number of its cycle.
    slot: Option<Box<Slot>>,
    /// The memory of the one before, where many requests follow each other (client).
    spare: Option<Box<Slot>>,
    cycle: u32,
    mode: Mode,
    /// Server: a request nobody has taken yet.
    incoming: bool,
    /// Who waits for the next request (server), or for the connection to be free (client).
    line: VecDeque<Waker>,
    /// How much of the body of this exchange is read ahead of its reader, and usually is.
    ahead: usize,
    usual: usize,
    /// Server: who knows whether all connections together have too much for that.
    quota: Option<Arc<dyn Quota>>,
    /// No exchange after this one.
    draining: bool,
    patience: Patience,
    /// Server: the client does not take its answers, and gets no more of them for now.
    held: bool,
    /// Server: what is waited for between two exchanges, and since when.
    waiting: Waiting,
    /// Server: nobody reads what is left of the request.
    forgone: bool,
    /// Server: a request that was answered because of its head.
    refused: Option<Refused>,
}

/// What a server waits for between two exchanges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waiting {
    /// The first byte of a request.
    Begin(Instant),
    /// The rest of its head.
    Head(Instant),
    /// The rest of a body that nobody reads, of a request that was answered.
    Rest(Instant),
    /// Nothing: an exchange is open, or the connection is a client's.
    Nothing,
}

/// What the bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// HTTP messages.
    Messages,
    /// Another protocol, after a 101 or CONNECT: the slot's body is its bytes.
    Tunnel,
    /// Another protocol of which the peer has said all.
    TunnelEnded,
    /// Nothing more may be read: the peer ended its direction.
    Ended,
}

impl H1 {
    /// A connection at its start.
    pub(crate) fn new(engine: Connection, role: Role) -> Self {
        H1 {
            engine,
            role,
            slot: None,
            spare: None,
            cycle: 0,
            mode: Mode::Messages,
            incoming: false,
            line: VecDeque::new(),
            ahead: READ_AHEAD,
            usual: READ_AHEAD,
            quota: None,
            draining: false,
            patience: Patience::default(),
            held: false,
            waiting: Waiting::Nothing,
            forgone: false,
            refused: None,
        }
    }

    /// A wire on which nobody speaks HTTP: its bytes are the body of exchange 1, both ways.
    pub(super) fn raw(engine: Connection) -> Self {
        let mut raw = H1::new(engine, Role::Client);
        (raw.mode, raw.cycle, raw.slot) = (Mode::Tunnel, 1, Some(Box::new(Slot::new(0))));
        raw
    }

    /// Makes a server close the connection when a request does not come in time; the first byte of one may have come before `now`.
    pub(crate) fn with_patience(mut self, patience: Patience, first: Option<Instant>, now: Instant) -> Self {
        (self.patience, self.waiting) = (patience, first.map_or(Waiting::Begin(now), Waiting::Head));
        self
    }

    /// Makes a server read little of a body ahead of its reader while all connections together have much that is unread.
    pub(crate) fn with_quota(mut self, quota: Option<Arc<dyn Quota>>) -> Self {
        self.quota = quota;
        self
    }

    /// Whether no more is read ahead of whoever reads the body.
    fn is_ahead(&self) -> bool {
        let ahead = self.ahead();
        // Whoever waits for all of it gets all of it.
        let crowded = || self.ahead == self.usual && self.quota.as_ref().is_some_and(|quota| quota.is_crowded());
        ahead >= self.ahead || ahead >= LITTLE_AHEAD && crowded()
    }

    /// Returns whether another exchange can begin now, after what was before it.
    fn is_free(&self) -> bool {
        self.slot.is_none()
            && !self.draining
            && self.mode == Mode::Messages
            && (self.cycle == 0 || self.engine.persists())
    }

    /// Whether the next exchange is not begun although one could be: a client that sends requests and reads no answers would have
    /// this end keep them all.
    fn holds_back(&self) -> bool {
        self.held && self.slot.is_none() && self.mode == Mode::Messages
    }

    fn ahead(&self) -> usize {
        self.slot.as_ref().map_or(0, |slot| slot.body.len())
    }

    fn tunnel(&mut self, input: &mut RecvBuf, wakes: &mut Wakes) {
        let Some(slot) = &mut self.slot else { return input.clear() };
        if slot.body.is_empty() && !input.is_empty() && input.len() <= READ_AHEAD {
            slot.received += input.len() as u64;
            std::mem::swap(&mut slot.body, input);
            return slot.notify_reader(wakes);
        }
        let n = input.len().min(READ_AHEAD.saturating_sub(slot.body.len()));
        if n > 0 {
            slot.receive(input.take(n));
            slot.notify_reader(wakes);
        }
    }

    fn dispatch(slot: Option<&mut Box<Slot>>, event: Event<'_>, role: Role, wakes: &mut Wakes) {
        let Some(slot) = slot else { return };
        match event {
            Event::Informational(head) => {
                slot.informational.push_back(head);
                slot.begun = false;
            }
            Event::Answer(head) => slot.answer = Some(head),
            Event::Data(data) => slot.receive(data),
            Event::Trailers(trailers) => {
                slot.trailers = Some(trailers);
                return;
            }
            Event::Ended => return slot.end(role == Role::Client, wakes),
            Event::Head(_) | Event::Upgraded => return,
        }
        slot.notify_reader(wakes);
    }

    /// The engine has refused the request with what `out` holds from `before` on, if that is anything.
    fn refused(&mut self, violation: &Violation, before: usize, out: &mut Vec<u8>) {
        if out.len() == before {
            return;
        }
        add_date(out);
        match &mut self.slot {
            Some(slot) => slot.status = Some(violation.status()),
            None => self.note_refused(violation.status()),
        }
    }

    fn note_refused(&mut self, status: StatusCode) {
        let line = self.engine.request_line().map(|(method, uri)| (method.clone(), uri.clone()));
        self.refused = Some(Refused { version: Version::HTTP_11, line, status });
    }

    fn violation(violation: &Violation) -> Cause {
        use Violation as V;
        let kind = match violation {
            V::HeadTooLarge { .. }
            | V::TooManyFields { .. }
            | V::TrailersTooLarge { .. }
            | V::MethodTooLong { .. }
            | V::TargetTooLong { .. }
            | V::ChunkExtensionsTooLong { .. } => ErrorKind::TooLarge,
            _ => ErrorKind::PeerViolation,
        };
        Cause::new(kind, CloseReason::Violation, violation)
    }
}

impl Protocol for H1 {
    fn hold(&mut self, held: bool, now: Instant) {
        let held = held && self.role == Role::Server;
        if std::mem::replace(&mut self.held, held) && !held {
            // Its time begins now that it is wanted.
            if let Waiting::Begin(since) = &mut self.waiting {
                *since = now;
            }
        }
    }

    fn is_held(&self) -> bool {
        self.held
    }

    fn ingest(&mut self, input: &mut RecvBuf, out: &mut Vec<u8>, now: Instant, wakes: &mut Wakes) -> Result<(), Cause> {
        if self.holds_back() {
            return Ok(());
        }
        let first = self.slot.as_ref().filter(|slot| self.cycle == 1 && !slot.answered).map(|_| input.len());
        if let (Some(slot), false) = (&mut self.slot, input.is_empty()) {
            (slot.answered, slot.begun) = (true, true);
        }
        if let (Waiting::Begin(_), false) = (self.waiting, input.is_empty()) {
            self.waiting = Waiting::Head(now);
        }
        while self.mode == Mode::Messages && !self.is_ahead() {
            // Nobody has taken the request yet: its body waits in `input`. So does the next request until this exchange is over,
            // for the engine does not look at it before.
            if self.incoming {
                break;
            }
            let before = out.len();
            // Without `?` and `map_err`: a head is large, and each of them would move it.
            match self.engine.poll_event(now, input, out) {
                Err(violation) => {
                    self.refused(&violation, before, out);
                    let said = (violation == Violation::NotHttp && first == Some(input.len())).then(|| input.peek());
                    return Err(said.and_then(Cause::from_http2).unwrap_or_else(|| Self::violation(&violation)));
                }
                Ok(None) => break,
                Ok(Some(Event::Ended)) if matches!(self.waiting, Waiting::Rest(_)) => {
                    if self.engine.next_cycle().is_err() {
                        return Err(Cause::violation("the connection cannot go on"));
                    }
                    self.waiting = if input.is_empty() { Waiting::Begin(now) } else { Waiting::Head(now) };
                }
                Ok(Some(Event::Head(head))) => {
                    let slot = Box::new(Slot::to_serve(head));
                    self.cycle = self.cycle.wrapping_add(1);
                    (self.slot, self.incoming, self.waiting) = (Some(slot), true, Waiting::Nothing);
                    self.forgone = false;
                    wakes.extend(self.line.drain(..));
                }
                Ok(Some(Event::Upgraded)) => {
                    self.mode = Mode::Tunnel;
                    if let Some(slot) = &mut self.slot {
                        if self.role == Role::Server {
                            // What nobody read of the request is no part of what follows.
                            slot.body.clear();
                        }
                        // A server's request had ended.
                        (slot.sending, slot.receiving) = (Sending::Open, Receiving::Open);
                        slot.notify_reader(wakes);
                        slot.notify_writer(wakes);
                    }
                }
                Ok(Some(event)) => Self::dispatch(self.slot.as_mut(), event, self.role, wakes),
            }
        }
        if let (Some(slot), false) = (&mut self.slot, input.is_empty()) {
            slot.begun = true;
        }
        if self.mode == Mode::Tunnel {
            self.tunnel(input, wakes);
        }
        Ok(())
    }

    fn end_of_input(
        &mut self,
        input: &RecvBuf,
        clean: bool,
        out: &mut Vec<u8>,
        now: Instant,
        wakes: &mut Wakes,
    ) -> Result<Ends, Cause> {
        let mode = self.mode;
        self.mode = if mode == Mode::Tunnel { Mode::TunnelEnded } else { Mode::Ended };
        match mode {
            Mode::Tunnel if !clean => Err(cut("the connection ended without a close_notify of TLS")),
            Mode::Tunnel => {
                self.slot.iter_mut().for_each(|slot| slot.end(false, wakes));
                Ok(Ends::Theirs)
            }
            Mode::Messages | Mode::TunnelEnded | Mode::Ended => {
                let before = out.len();
                match self.engine.end_of_input(now, input, out) {
                    // A body that only the end of the connection delimits is complete only if that end is genuine.
                    Ok(Some(_)) if !clean => return Err(cut("the body ended without a close_notify of TLS")),
                    Ok(Some(event)) => Self::dispatch(self.slot.as_mut(), event, self.role, wakes),
                    Ok(None) => {}
                    Err(violation) => {
                        self.refused(&violation, before, out);
                        return Err(cut(violation));
                    }
                }
                // A client that has said all may close its direction and still read the answer.
                let answering = self.role == Role::Server
                    && self.engine.is_received()
                    && self.slot.as_ref().is_some_and(|slot| slot.sending == Sending::Open);
                wakes.extend(self.line.drain(..));
                Ok(if answering { Ends::Theirs } else { Ends::Both })
            }
        }
    }

    fn unread(&self) -> usize {
        self.slot.as_ref().map_or(0, |slot| slot.body.bound())
    }

    fn wants_read(&self) -> bool {
        // A server reads on while it answers only as far as the request goes.
        let waits = self.role == Role::Server
            && self.mode == Mode::Messages
            && (self.incoming || self.slot.is_some() && self.engine.is_received());
        matches!(self.mode, Mode::Messages | Mode::Tunnel) && !self.is_ahead() && !waits && !self.holds_back()
    }

    fn wants_keeping(&self) -> bool {
        // Who waits without a thread has nobody else that reads.
        self.slot.as_ref().is_none_or(|slot| slot.is_awaited())
    }

    fn has_incoming(&self) -> bool {
        self.incoming
    }

    fn deadline(&self) -> Option<Instant> {
        match self.waiting {
            // It is the client that is waited for to read, which has a limit of its own.
            Waiting::Begin(_) | Waiting::Head(_) | Waiting::Rest(_) if self.holds_back() => None,
            Waiting::Begin(since) => since.checked_add(self.patience.idle),
            Waiting::Head(since) | Waiting::Rest(since) => since.checked_add(self.patience.head),
            Waiting::Nothing => self.engine.deadline(),
        }
    }

    fn handle_deadline(&mut self, now: Instant, out: &mut Vec<u8>) -> Result<(), Cause> {
        match self.waiting {
            Waiting::Begin(_) => Err(self.patience.too_idle()),
            Waiting::Rest(_) => Err(self.patience.too_late()),
            Waiting::Head(_) => {
                h1::refusal(StatusCode::REQUEST_TIMEOUT, out);
                add_date(out);
                self.note_refused(StatusCode::REQUEST_TIMEOUT);
                Err(self.patience.too_slow())
            }
            Waiting::Nothing => self.engine.handle_deadline(now, out).map_err(|v| Self::violation(&v)),
        }
    }

    fn fail(&mut self, cause: &Cause, wakes: &mut Wakes) {
        if let Some(slot) = &mut self.slot {
            slot.fail(&Fault::Over(cause.clone()), wakes);
        }
        wakes.extend(self.line.drain(..));
    }

    fn goodbye(&mut self, _out: &mut Vec<u8>) {}

    fn state(&self, now: Instant) -> ConnectionState {
        match () {
            () if self.draining || self.is_over_for_new() => ConnectionState::Draining,
            () if self.is_suspect(now) => ConnectionState::Suspect,
            () if self.is_idle() => ConnectionState::Idle,
            () => ConnectionState::Active,
        }
    }

    fn describe(&self, info: &mut ConnectionInfo) {
        info.version = Version::HTTP_11;
        info.open_streams = u32::from(self.slot.is_some());
        info.requests = u64::from(self.cycle);
    }
}

fn cut(what: impl std::fmt::Display) -> Cause {
    Cause::new(ErrorKind::Closed, CloseReason::ByPeer, what)
}

/// Adds a Date to a head that is complete: every answer has one (RFC 9110, section 6.6.1), and engines have no clock.
fn add_date(out: &mut Vec<u8>) {
    if let (true, Some(date)) = (out.ends_with(b"\r\n\r\n"), date::now()) {
        out.truncate(out.len() - 2);
        for part in [b"Date: ", date.as_bytes(), b"\r\n\r\n"] {
            out.extend_from_slice(part);
        }
    }
}
