//! HTTP/2: what the events of the engine do to the exchanges that are open.

use super::{
    carrier::{Exchanges, Opened, Opening},
    duplex::Position,
    fault::{CANCEL, Cause, ENHANCE_YOUR_CALM, Fault, GIVEN_UP, NO_ERROR, REFUSED_STREAM},
    info::{CloseReason, ConnectionInfo, ConnectionState, GoAway, UpkeepAction},
    keep::Patience,
    next_id,
    shared::{Ends, Protocol},
    slot::{Receiving, Sending, Slot, Wakes},
    slots::{InLine, Queue, Slots},
};
use crate::{
    buf::RecvBuf,
    error::ErrorKind,
    net::Waker,
    proto::{
        End, RequestHead, Role,
        h1::Length,
        h2::{self, Connection, Event, Failure, Violation},
    },
};
use http::{HeaderMap, Response, Version};
use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// How much of a GOAWAY's debug data is kept for the connection table.
const DEBUG_KEPT: usize = 256;

/// What is said where a peer takes back an answer that it had begun, with a 1xx at least.
const LEFT_OUT: &str = "the peer is closing, and gave up a request that it had begun to answer";
const REFUSED_LATE: &str = "the peer reset the stream with REFUSED_STREAM, and had begun to answer it";

/// Whether a limit of ours was passed, or a rule broken.
fn kind_of(violation: &Violation) -> ErrorKind {
    match violation {
        Violation::HeaderListTooLarge { .. } | Violation::HeaderBlockTooLarge { .. } => ErrorKind::TooLarge,
        _ => ErrorKind::PeerViolation,
    }
}

/// An HTTP/2 connection: many exchanges at a time.
#[derive(Debug)]
pub(crate) struct H2 {
    engine: Connection,
    role: Role,
    slots: Slots,
    /// Server: requests nobody has taken yet.
    incoming: VecDeque<u32>,
    /// Who waits for a free stream (client) or for the next request (server).
    line: VecDeque<Waker>,
    /// Client: exchanges that begin as soon as there is a stream for them, whoever looks.
    queue: Queue,
    /// Who waits for the answer of a PING.
    pinging: Vec<Waker>,
    requests: u64,
    /// A PING of upkeep is on its way: its answer counts as use.
    kept: bool,
    goaway: Option<GoAway>,
    /// The peer asked for fewer PINGs, and nobody was told yet.
    wants_calm: bool,
    patience: Patience,
    /// Server: since when no exchange is open.
    idle: Option<Instant>,
    /// Server: when the peer has to have said its preface and SETTINGS.
    greeting: Option<Instant>,
    /// Server: when the header block, or the frame, has to be complete that has begun.
    block: Option<Instant>,
    /// Server: the peer has said all it ever will.
    heard_all: bool,
}

impl H2 {
    /// A connection at its start.
    pub(crate) fn new(engine: Connection, role: Role) -> Self {
        H2 {
            engine,
            role,
            slots: Slots::default(),
            incoming: VecDeque::new(),
            line: VecDeque::new(),
            queue: Queue::default(),
            pinging: Vec::new(),
            requests: 0,
            kept: false,
            goaway: None,
            wants_calm: false,
            patience: Patience::default(),
            idle: None,
            greeting: None,
            block: None,
            heard_all: false,
        }
    }

    /// Makes a server close the connection when requests do not come in time.
    pub(crate) fn with_patience(mut self, patience: Patience, now: Instant) -> Self {
        (self.patience, self.idle, self.greeting) = (patience, Some(now), now.checked_add(patience.head));
        self
    }

    /// Gives stream 1 of an h2c upgrade its request, which came in HTTP/1 and is complete.
    pub(super) fn adopt_request(&mut self, mut head: RequestHead) {
        // That is what it is answered in.
        head.version = Version::HTTP_2;
        let mut slot = Box::new(Slot::to_serve(head));
        (slot.receiving, self.idle) = (Receiving::Ended, None);
        self.incoming.push_back(1);
        self.adopt(slot);
    }

    /// Gives stream 1 of an h2c upgrade its slot: the request went out, or came in, in HTTP/1.
    pub(crate) fn adopt(&mut self, slot: Box<Slot>) {
        self.slots.insert(1, slot);
        self.requests += 1;
    }

    fn violation(violation: &Violation) -> Cause {
        use h2::Violation as V;
        match violation {
            V::PingUnanswered { .. } => Cause::new(ErrorKind::Closed, CloseReason::PingUnanswered, violation),
            V::Truncated { .. } => Cause::new(ErrorKind::Closed, CloseReason::ByPeer, violation),
            V::PeerSpokeHttp1 { status } => {
                let mut cause = Cause::new(ErrorKind::PeerSpokeHttp1, CloseReason::Violation, violation);
                cause.http1_status = status.and_then(|s| http::StatusCode::from_u16(s).ok());
                cause
            }
            _ => Cause::new(kind_of(violation), CloseReason::Violation, violation),
        }
    }

    fn dispatch(&mut self, event: Event<'_>, wakes: &mut Wakes) {
        match event {
            Event::Head { stream, head } => {
                let slot = Box::new(Slot::to_serve(head));
                self.slots.insert(stream, slot);
                self.incoming.push_back(stream);
                self.idle = None;
                self.requests += 1;
                wakes.extend(self.line.drain(..));
            }
            Event::Informational { stream, head } => self.on(stream, |slot| {
                slot.answered = true;
                slot.informational.push_back(head);
                slot.notify_reader(wakes);
            }),
            Event::Answer { stream, head } => {
                let tunnel = head.status.is_success() && self.engine.asked_to_connect(stream);
                self.on(stream, |slot| {
                    (slot.answered, slot.tunnel) = (true, tunnel);
                    slot.answer = Some(head);
                    slot.notify_reader(wakes);
                });
            }
            Event::Data { stream, data } => self.on(stream, |slot| {
                slot.receive(data);
                slot.notify_reader(wakes);
            }),
            Event::Trailers { stream, trailers } => self.on(stream, |slot| slot.trailers = Some(trailers)),
            Event::Ended { stream } => {
                // Each direction of a tunnel ends by itself.
                let client = self.role == Role::Client;
                self.on(stream, |slot| slot.end(client && !slot.tunnel, wakes));
            }
            Event::Writable { stream } => self.on(stream, |slot| slot.notify_writer(wakes)),
            Event::StopSending { stream } => self.on(stream, |slot| {
                if slot.sending == Sending::Open {
                    slot.sending = Sending::Stopped;
                }
                slot.notify_writer(wakes);
            }),
            Event::Failed { stream, failure } => {
                let code = self.goaway.as_ref().map_or(0, |g| g.code);
                let answered = self.slots.get(stream).is_some_and(|slot| slot.answered);
                let fault = match failure {
                    // Whatever it says now, it had begun to answer: a 1xx at least.
                    Failure::Refused if answered => Fault::Failed(ErrorKind::Closed, LEFT_OUT.into()),
                    Failure::Reset(code) if answered && code.0 == REFUSED_STREAM => {
                        Fault::Failed(ErrorKind::Reset, REFUSED_LATE.into())
                    }
                    Failure::Refused => Fault::Refused(code),
                    Failure::Reset(code) => Fault::Reset(code.0),
                    Failure::Violated(violation) => {
                        use h2::Violation as V;
                        let beside = matches!(violation, V::IncrementZero { .. } | V::WindowOverflow { .. });
                        // Whatever it was worth, it was an answer.
                        self.on(stream, |slot| slot.answered |= !beside);
                        Fault::Failed(kind_of(&violation), violation.to_string().into())
                    }
                };
                self.on(stream, |slot| slot.fail(&fault, wakes));
            }
            // All of them: one that has left in the meantime would keep the slot from the others.
            Event::SlotFree => wakes.extend(self.line.drain(..)),
            Event::PingAcked { .. } => {
                wakes.extend(self.pinging.drain(..));
            }
            // More streams may be allowed now, or none any more.
            Event::Settings => wakes.extend(self.line.drain(..)),
            Event::GoAway { last_id, code, debug } => {
                self.wants_calm |= code.0 == ENHANCE_YOUR_CALM || debug == b"too_many_pings";
                let debug = debug[..debug.len().min(DEBUG_KEPT)].to_vec();
                self.goaway = Some(GoAway { code: code.0, last_id, debug });
                wakes.extend(self.line.drain(..));
            }
        }
    }

    /// Resets a stream; a client that gives up on a silent peer asks at the same time whether it is still there.
    fn cancel(&mut self, id: u32, code: u32, now: Instant, out: &mut Vec<u8>) -> Result<(), h2::Misuse> {
        match (self.role, code) {
            (Role::Client, CANCEL) => self.engine.cancel(id, code, now, out),
            _ => self.engine.reset(id, code, out),
        }
    }

    /// From when on the interval of upkeep counts. What only answers the peer, its PINGs above all, is no use of an idle
    /// connection, and must not keep us from keeping it.
    fn last_activity(&self, used: Option<Instant>) -> Instant {
        let sent = self.engine.last_outbound();
        used.map_or(sent, |used| used.min(sent))
    }

    /// The answer is complete and the request is not: the rest of it is not wanted (RFC 9113, section 8.1).
    fn stop_sending(&mut self, stream: u32, out: &mut Vec<u8>) {
        let unfinished = self.slots.get(stream).is_some_and(|slot| slot.sending == Sending::Stopped);
        if unfinished && self.role == Role::Client {
            // The peer may have reset it.
            let _ = self.engine.reset(stream, NO_ERROR, out);
        }
    }

    fn on(&mut self, stream: u32, f: impl FnOnce(&mut Slot)) {
        // Streams whose owner has left are not in the table; the engine was told and resets or discards.
        if let Some(slot) = self.slots.get(stream) {
            f(slot);
        }
    }
}

impl Protocol for H2 {
    fn ingest(&mut self, input: &mut RecvBuf, out: &mut Vec<u8>, now: Instant, wakes: &mut Wakes) -> Result<(), Cause> {
        loop {
            // Without `?` and `map_err`: a head is large, and each of them would move it.
            let event = match self.engine.poll_event(now, input, out) {
                Ok(Some(event)) => event,
                Ok(None) => break,
                Err(violation) => return Err(Self::violation(&violation)),
            };
            let ended = if let Event::Ended { stream } = event { Some(stream) } else { None };
            self.dispatch(event, wakes);
            if let Some(stream) = ended {
                self.stop_sending(stream, out);
            }
        }
        if self.role == Role::Server {
            self.block = match self.block {
                // Of DATA only the header of the frame can be there in part.
                _ if !self.engine.is_in_block() && input.is_empty() => None,
                None => now.checked_add(self.patience.head),
                begun => begun,
            };
        }
        Ok(())
    }

    fn end_of_input(
        &mut self,
        input: &RecvBuf,
        _clean: bool,
        out: &mut Vec<u8>,
        now: Instant,
        wakes: &mut Wakes,
    ) -> Result<Ends, Cause> {
        // A cut frame or an open stream is reported the same way whether TLS said goodbye or not.
        let announced = self.goaway.as_ref().map_or(NO_ERROR, |goaway| goaway.code);
        self.engine.end_of_input(now, input, out).map_err(|v| Self::violation(&v).announced(announced))?;
        // A client that has said all may close its direction and still read the answers.
        self.heard_all = self.role == Role::Server && !self.slots.list.is_empty();
        for (_, slot) in &mut self.slots.list {
            slot.notify_writer(wakes);
        }
        Ok(if self.heard_all { Ends::Theirs } else { Ends::Both })
    }

    fn wants_read(&self) -> bool {
        true
    }

    fn wants_keeping(&self) -> bool {
        true
    }

    fn has_incoming(&self) -> bool {
        !self.incoming.is_empty()
    }

    fn open_queued(&mut self, at: Position, now: Instant, out: &mut Vec<u8>, wakes: &mut Wakes) {
        let before = out.len();
        while let Some(next) = self.queue.waiting.first_entry() {
            let begins = at + (out.len() - before) as Position;
            let InLine { head, end, .. } = next.get();
            let opened = match self.engine.open(head, *end, now, out) {
                Ok(h2::Opened::Blocked) => break,
                Ok(h2::Opened::Closed) => Ok(Opened::Closed),
                Ok(h2::Opened::Stream(id)) => {
                    let mut slot = Box::new(Slot::new(begins));
                    slot.end_at = at + (out.len() - before) as Position;
                    if *end == End::Last {
                        slot.sending = Sending::Ended;
                    }
                    self.slots.insert(id, slot);
                    self.requests += 1;
                    Ok(Opened::Stream(id))
                }
                Err(m) => Err(misuse(m)),
            };
            let (ticket, called) = next.remove_entry();
            self.queue.called.insert(ticket, opened);
            wakes.extend(called.waker);
        }
    }

    fn deadline(&self) -> Option<Instant> {
        let idle = self.idle.and_then(|since| since.checked_add(self.patience.idle));
        let greeting = self.greeting.filter(|_| !self.engine.is_confirmed());
        [self.engine.deadline(), idle, greeting, self.block].into_iter().flatten().min()
    }

    fn handle_deadline(&mut self, now: Instant, out: &mut Vec<u8>) -> Result<(), Cause> {
        if self.idle.is_some_and(|since| now.saturating_duration_since(since) >= self.patience.idle) {
            self.engine.close(out);
            return Err(self.patience.too_idle());
        }
        let greeting = self.greeting.is_some_and(|at| at <= now && !self.engine.is_confirmed());
        if greeting || self.block.is_some_and(|at| at <= now) {
            self.engine.close(out);
            return Err(self.patience.too_slow());
        }
        self.engine.handle_deadline(now, out).map_err(|v| Self::violation(&v))
    }

    fn fail(&mut self, cause: &Cause, wakes: &mut Wakes) {
        let fault = Fault::Over(cause.clone());
        for (_, slot) in &mut self.slots.list {
            slot.fail(&fault, wakes);
        }
        wakes.extend(self.line.drain(..));
        wakes.extend(self.queue.waiting.values_mut().filter_map(|in_line| in_line.waker.take()));
        wakes.extend(self.pinging.drain(..));
    }

    fn unsent(&mut self, bytes: usize, out: &mut Vec<u8>) -> Result<(), Cause> {
        self.engine.unsent(bytes, out).map_err(|v| Self::violation(&v))
    }

    fn rtt(&self) -> Option<Duration> {
        self.engine.rtt()
    }

    fn is_being_kept(&self) -> bool {
        self.kept
    }

    fn take_kept(&mut self) -> bool {
        // With an answer outstanding it is not kept yet.
        self.engine.ping_outstanding().is_none() && std::mem::take(&mut self.kept)
    }

    fn pings(&self) -> (u64, u64) {
        (self.engine.pings_sent(), self.engine.pings_acked())
    }

    fn heard(&self) -> Option<Instant> {
        Some(self.engine.heard())
    }

    fn came_by(&mut self, at: Instant) {
        self.engine.came_by(at);
    }

    fn goodbye(&mut self, out: &mut Vec<u8>) {
        self.engine.close(out);
    }

    fn state(&self, now: Instant) -> ConnectionState {
        match () {
            () if self.is_over_for_new() => ConnectionState::Draining,
            () if self.is_suspect(now) => ConnectionState::Suspect,
            () if self.is_idle() => ConnectionState::Idle,
            () => ConnectionState::Active,
        }
    }

    fn describe(&self, info: &mut ConnectionInfo) {
        info.version = Version::HTTP_2;
        let taken = self.engine.open_streams() + self.engine.held_streams();
        info.open_streams = u32::try_from(taken).unwrap_or(u32::MAX);
        info.max_streams = self.engine.peer_max_streams();
        info.send_window = self.engine.send_window();
        info.recv_window = self.engine.recv_window();
        info.requests = self.requests;
        info.pings_sent = self.engine.pings_sent();
        info.pings_acked = self.engine.pings_acked();
        info.goaway = self.goaway.clone();
    }
}

fn misuse(misuse: impl std::fmt::Display) -> Fault {
    Fault::Misuse(misuse.to_string().into())
}

impl Exchanges for H2 {
    const VERSION: Version = Version::HTTP_2;

    fn slot(&mut self, id: u32) -> Option<&mut Slot> {
        self.slots.get(id)
    }

    fn open(&mut self, opening: &Opening<'_>, at: Position, now: Instant, out: &mut Vec<u8>) -> Result<Opened, Fault> {
        let end = if is_empty(opening.length) { End::Last } else { End::More };
        match self.engine.open(opening.head, end, now, out).map_err(misuse)? {
            h2::Opened::Blocked => Ok(Opened::Blocked),
            h2::Opened::Closed => Ok(Opened::Closed),
            h2::Opened::Stream(id) => {
                let mut slot = Box::new(Slot::new(at));
                if end == End::Last {
                    slot.sending = Sending::Ended;
                }
                self.slots.insert(id, slot);
                self.requests += 1;
                Ok(Opened::Stream(id))
            }
        }
    }

    fn slept(&mut self, asleep: impl FnOnce() -> Duration) {
        self.engine.slept(asleep());
    }

    fn wait_to_open(&mut self, waker: &Waker) {
        if !self.line.iter().any(|w| w.same(waker)) {
            self.line.push_back(waker.clone());
        }
    }

    fn queue(&mut self, opening: &Opening<'_>) -> Option<u64> {
        let end = if is_empty(opening.length) { End::Last } else { End::More };
        let ticket = next_id();
        self.queue.waiting.insert(ticket, InLine { head: opening.head.clone(), end, waker: None, attended: false });
        Some(ticket)
    }

    fn wait_in_line(&mut self, ticket: u64, waker: &Waker) {
        if let Some(in_line) = self.queue.waiting.get_mut(&ticket) {
            (in_line.waker, in_line.attended) = (Some(waker.clone()), true);
        }
    }

    fn take_queued(&mut self, ticket: u64) -> Option<Result<Opened, Fault>> {
        self.queue.called.remove(&ticket)
    }

    fn rest_in_line(&mut self, ticket: u64) {
        if let Some(in_line) = self.queue.waiting.get_mut(&ticket) {
            in_line.attended = false;
        }
    }

    fn follows_in_line(&self, ticket: u64, waker: &Waker) -> bool {
        let before = self.queue.waiting.range(..ticket).next_back();
        before.is_some_and(|(_, before)| before.attended && before.waker.as_ref().is_some_and(|w| w.same(waker)))
    }

    fn in_line(&self) -> Wakes {
        let mut wakes = Wakes::new();
        wakes.extend(self.queue.waiting.values().filter_map(|in_line| in_line.waker.clone()));
        wakes
    }

    fn leave_queue(&mut self, ticket: u64) {
        self.queue.waiting.remove(&ticket);
    }

    fn accept(&mut self) -> Option<u32> {
        self.incoming.pop_front()
    }

    fn is_over_for_new(&self) -> bool {
        self.role == Role::Client && self.engine.is_draining()
    }

    fn is_idle(&self) -> bool {
        self.engine.open_streams() == 0
    }

    fn awaits_since(&self) -> Option<Instant> {
        self.idle
    }

    fn take_calm(&mut self) -> bool {
        std::mem::take(&mut self.wants_calm)
    }

    fn is_clogged(&self) -> bool {
        self.engine.is_clogged()
    }

    fn has_room(&self) -> bool {
        !self.engine.is_draining() && self.engine.has_slot()
    }

    fn served(&self) -> u64 {
        self.requests
    }

    fn extended_connect(&self) -> Option<bool> {
        self.engine.is_confirmed().then(|| self.engine.extended_connect())
    }

    fn is_suspect(&self, now: Instant) -> bool {
        // A PING is late when more than half of the time for its answer is up, and nothing came in.
        let late = match (self.engine.ping_outstanding(), self.engine.deadline()) {
            (Some(at), Some(end)) => {
                let silent = now.saturating_duration_since(at.max(self.engine.last_inbound()));
                silent > end.saturating_duration_since(now)
            }
            _ => false,
        };
        self.engine.is_suspect() || late
    }

    fn upkeep(&mut self, interval: Duration, used: Option<Instant>, now: Instant, out: &mut Vec<u8>) -> UpkeepAction {
        if self.engine.ping_outstanding().is_some() {
            return UpkeepAction::AwaitingAck;
        }
        if now.saturating_duration_since(self.last_activity(used)) < interval {
            return UpkeepAction::NotDue;
        }
        let payload = self.engine.ping_payload();
        match self.engine.ping(payload, now, out) {
            Ok(()) => {
                self.kept = true;
                UpkeepAction::Pinged
            }
            Err(_) => UpkeepAction::NotDue,
        }
    }

    fn upkeep_due(&self, interval: Duration, used: Option<Instant>) -> Option<Instant> {
        match self.engine.ping_outstanding() {
            Some(_) => self.engine.deadline(),
            None => self.last_activity(used).checked_add(interval),
        }
    }

    fn ping(&mut self, now: Instant, out: &mut Vec<u8>) -> Result<Option<u64>, Fault> {
        if self.engine.ping_outstanding().is_none() {
            let payload = self.engine.ping_payload();
            self.engine.ping(payload, now, out).map_err(misuse)?;
        }
        Ok(Some(self.engine.pings_acked() + 1))
    }

    fn pinged(&mut self, acked: u64, waker: &Waker) -> Option<Duration> {
        if self.engine.pings_acked() >= acked {
            return self.engine.rtt();
        }
        if !self.pinging.iter().any(|w| w.same(waker)) {
            self.pinging.push(waker.clone());
        }
        None
    }

    fn drain(&mut self, out: &mut Vec<u8>) {
        self.engine.drain(out);
    }

    fn respond(&mut self, id: u32, head: &Response<()>, length: Length, out: &mut Vec<u8>) -> Result<(), Fault> {
        let end = if is_empty(length) { End::Last } else { End::More };
        let Some(slot) = self.slots.get(id) else { return Err(gone()) };
        if let Receiving::Failed(fault) = &slot.receiving {
            return Err(fault.clone());
        }
        self.engine.respond(id, head, end, out).map_err(misuse)?;
        if end == End::Last {
            slot.sending = Sending::Ended;
        }
        Ok(())
    }

    fn inform(&mut self, id: u32, head: &Response<()>, out: &mut Vec<u8>) -> Result<(), Fault> {
        self.engine.inform(id, head, out).map_err(misuse)
    }

    fn send_data(&mut self, id: u32, data: &[u8], end: End, out: &mut Vec<u8>) -> Result<usize, Fault> {
        let n = self.engine.send_data(id, data, end, out).map_err(misuse)?;
        if n == 0 && !data.is_empty() && self.heard_all {
            // Nobody will open the windows any more.
            return Err(Fault::Over(Cause::closed_by_peer()));
        }
        if end == End::Last && n == data.len() {
            self.on(id, |slot| slot.sending = Sending::Ended);
        }
        Ok(n)
    }

    fn send_trailers(&mut self, id: u32, trailers: &HeaderMap, out: &mut Vec<u8>) -> Result<(), Fault> {
        self.engine.send_trailers(id, trailers, out).map_err(misuse)?;
        self.on(id, |slot| slot.sending = Sending::Ended);
        Ok(())
    }

    fn took(&mut self, id: u32, n: usize, out: &mut Vec<u8>) {
        // A stream that is over in the meantime needs no credit.
        let _ = self.engine.release(id, n, out);
    }

    fn wants(&mut self, id: u32, out: &mut Vec<u8>) {
        self.engine.want(id, out);
    }

    fn reset(&mut self, id: u32, code: u32, now: Instant, out: &mut Vec<u8>, wakes: &mut Wakes) -> Option<Cause> {
        // A stream that is over already is not reset.
        let _ = self.cancel(id, code, now, out);
        let fault = match self.role {
            Role::Client => Fault::Failed(ErrorKind::Cancelled, GIVEN_UP.into()),
            Role::Server => Fault::Reset(code),
        };
        self.on(id, |slot| slot.fail(&fault, wakes));
        None
    }

    fn drop_slot(&mut self, id: u32, now: Instant, out: &mut Vec<u8>, wakes: &mut Wakes) -> Option<Cause> {
        let mut slot = self.slots.remove(id)?;
        if self.role == Role::Server && self.slots.list.is_empty() {
            self.idle = Some(now);
        }
        if !slot.is_complete() && !matches!(slot.receiving, Receiving::Failed(_)) {
            // Our message is complete and only the peer's is not wanted, or the other way round, as the RFC has it for answers
            // that came before the end of the request (RFC 9113, section 8.1).
            let done = match self.role {
                Role::Client => matches!(slot.receiving, Receiving::Ended),
                Role::Server => slot.sending == Sending::Ended,
            };
            let _ = self.cancel(id, if done { NO_ERROR } else { CANCEL }, now, out);
            slot.fail(&Fault::Reset(CANCEL), wakes);
        } else if !slot.body.is_empty() {
            // A reset credits what is unread by itself, and not the stream.
            let _ = self.engine.release(id, slot.body.len(), out);
        }
        (self.heard_all && self.slots.list.is_empty()).then(|| {
            self.engine.close(out);
            Cause::new(ErrorKind::Closed, CloseReason::Finished, "the connection served its last exchange")
        })
    }

    fn discard_body(&mut self, _id: u32) -> bool {
        false
    }

    fn wants_continue(&self, _id: u32) -> bool {
        false
    }

    fn take_tunnel(&mut self) -> RecvBuf {
        RecvBuf::new()
    }

    fn is_tunnel(&self, _id: u32) -> bool {
        false
    }
}

fn is_empty(length: Length) -> bool {
    matches!(length, Length::Empty | Length::Known(0))
}

fn gone() -> Fault {
    Fault::Misuse("the exchange is over".into())
}
