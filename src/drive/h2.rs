//! HTTP/2: what the events of the engine do to the exchanges that are open.

mod exchanges;

use super::{
    carrier::{Exchanges, Opened, Refused},
    duplex::Position,
    fault::{CANCEL, Cause, ENHANCE_YOUR_CALM, Fault, NO_ERROR, REFUSED_STREAM},
    info::{CloseReason, ConnectionInfo, ConnectionState, GoAway},
    keep::Patience,
    quota::{FREE, Quota, Taken},
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
        h2::{self, Connection, Event, Failure, Violation},
    },
    time::date,
};
use http::{StatusCode, Version, header};
use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

/// How many requests that were refused wait to be written down.
const REFUSED_KEPT: usize = 64;

/// How much of a GOAWAY's debug data is kept for the connection table.
const DEBUG_KEPT: usize = 256;

/// What is said where a peer takes back an answer that it had begun, with a 1xx at least.
const LEFT_OUT: &str = "the peer is closing, and gave up a request that it had begun to answer";
const REFUSED_LATE: &str = "the peer refused a stream that it had begun to answer";

/// What is said where a body had to go because nobody read it.
const THROWN_AWAY: &str = "nobody read the body, and what is unread of all clients became too much";

/// How much of a connection may be unread before it gets little more room, where all together have much: a frame of the usual size.
const FRAME: usize = 16 << 10;

/// Whether the peer asked for fewer PINGs: once on a connection, however many GOAWAYs it says that with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Calm {
    /// It did not.
    NotAsked,
    /// It did, and nobody was told yet.
    Asked,
    /// Somebody was.
    Told,
}

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
    /// Server: requests that were answered because of their heads; of more than so many nobody hears.
    refused: VecDeque<Refused>,
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
    calm: Calm,
    patience: Patience,
    /// Server: what its exchanges count for among those of all connections.
    taken: Taken,
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
            refused: VecDeque::new(),
            line: VecDeque::new(),
            queue: Queue::default(),
            pinging: Vec::new(),
            requests: 0,
            kept: false,
            goaway: None,
            calm: Calm::NotAsked,
            patience: Patience::default(),
            taken: Taken::default(),
            idle: None,
            greeting: None,
            block: None,
            heard_all: false,
        }
    }

    /// Makes a server close the connection when requests do not come in time; the first byte of the preface may have come before `now`.
    pub(crate) fn with_patience(mut self, patience: Patience, first: Option<Instant>, now: Instant) -> Self {
        let greeting = first.unwrap_or(now).checked_add(patience.head);
        (self.patience, self.idle, self.greeting) = (patience, Some(now), greeting);
        self
    }

    /// Makes a server ask before it takes a stream besides its only one.
    pub(crate) fn with_quota(mut self, quota: Option<Arc<dyn Quota>>) -> Self {
        self.taken = Taken::new(quota);
        self
    }

    /// Gives stream 1 of an h2c upgrade its request, which came in HTTP/1 and is complete.
    pub(super) fn adopt_request(&mut self, mut head: RequestHead) {
        // That is what it is answered in.
        head.version = Version::HTTP_2;
        let mut slot = Box::new(Slot::to_serve(head));
        (slot.receiving, self.idle) = (Receiving::Ended, None);
        self.incoming.push_back(1);
        // It is the first.
        self.taken.take();
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
            // Answered before.
            Event::Oversized { .. } => {}
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
                    Failure::Reset(code) if answered && Fault::Reset(code.0).is_unprocessed() => {
                        Fault::Failed(ErrorKind::Reset, REFUSED_LATE.into())
                    }
                    Failure::Refused => Fault::Refused(code),
                    Failure::Reset(code) => Fault::Reset(code.0),
                    Failure::Violated(violation) => {
                        use h2::Violation as V;
                        let beside = matches!(
                            violation,
                            // Of the frames whose length is wrong only PRIORITY ends no more than its stream.
                            V::DependsOnItself { .. }
                                | V::FrameLength { .. }
                                | V::IncrementZero { .. }
                                | V::WindowOverflow { .. }
                        );
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
                if self.calm == Calm::NotAsked && (code.0 == ENHANCE_YOUR_CALM || debug == b"too_many_pings") {
                    self.calm = Calm::Asked;
                }
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

    /// Answers a request whose head is too large.
    fn refuse(&mut self, head: Option<Box<RequestHead>>, out: &mut Vec<u8>, wakes: &mut Wakes) {
        // Every answer has one (RFC 9110, section 6.6.1), and engines have no clock.
        let fields = date::now().map(|now| (header::DATE, now)).into_iter().collect();
        let refused = self.engine.refuse(&fields, out);
        if refused.is_ok() && self.refused.len() < REFUSED_KEPT {
            let line = head.map(|head| (head.method, head.uri));
            let status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
            self.refused.push_back(Refused { version: Version::HTTP_2, line, status });
            wakes.extend(self.line.drain(..));
        }
    }

    /// Says to the engine how much may be unread before the peer gets no more room than is read, or waited for.
    fn limit_unread(&mut self) {
        let unread = self.engine.unread();
        let little = unread >= FRAME && self.taken.is_crowded();
        self.engine.limit_unread(little.then_some(FRAME));
    }

    /// Whether there is no place for what has just come, as nobody waits for it and all connections together have too much.
    fn has_too_much(&mut self, stream: u32) -> bool {
        let much = self.engine.unread() > FREE && self.taken.is_full();
        much && self.slots.get(stream).is_some_and(|slot| !slot.has_reader())
    }

    /// Resets a stream, whose body is in the way of others.
    fn throw_away(&mut self, stream: u32, out: &mut Vec<u8>, wakes: &mut Wakes) {
        let begun = self.slots.get(stream).is_some_and(|slot| slot.request.is_none());
        // One that nobody has seen can be sent again (RFC 9113, section 8.7).
        let code = if begun { ENHANCE_YOUR_CALM } else { REFUSED_STREAM };
        // It was there a moment ago.
        let _ = self.engine.reset(stream, code, out);
        self.on(stream, |slot| {
            slot.body = RecvBuf::new();
            slot.fail(&Fault::Failed(ErrorKind::Reset, THROWN_AWAY.into()), wakes);
        });
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
            if let Event::Oversized { head, .. } = event {
                self.refuse(head, out, wakes);
                continue;
            }
            if let Event::Head { stream, .. } = event {
                if !self.taken.take() {
                    // The client may try again (RFC 9113, section 8.7).
                    let _ = self.engine.reset(stream, REFUSED_STREAM, out);
                    continue;
                }
            }
            if let Event::Data { stream, .. } = event {
                if self.has_too_much(stream) {
                    self.throw_away(stream, out, wakes);
                    continue;
                }
            }
            let ended = if let Event::Ended { stream } = event { Some(stream) } else { None };
            self.dispatch(event, wakes);
            if let Some(stream) = ended {
                self.stop_sending(stream, out);
            }
        }
        if self.role == Role::Server {
            self.limit_unread();
        }
        if self.role == Role::Client && (!input.is_empty() || self.engine.is_in_block()) {
            // A part of an answer is one.
            if let Some(stream) = self.engine.arriving(input.peek()) {
                self.on(stream, |slot| slot.answered = true);
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

    fn unread(&self) -> usize {
        // An engine whose connection is over takes nothing back.
        if self.slots.list.is_empty() { 0 } else { self.engine.unread() }
    }

    fn wants_read(&self) -> bool {
        true
    }

    fn wants_keeping(&self) -> bool {
        true
    }

    fn has_incoming(&self) -> bool {
        !self.incoming.is_empty() || !self.refused.is_empty()
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
                    slot.piece(begins, at + (out.len() - before) as Position);
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

    fn ping_left(&mut self, now: Instant) {
        self.engine.ping_left(now);
    }

    fn received(&mut self, now: Instant) {
        self.engine.received(now);
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
