//! What is behind the lock of a socket: the engine, what arrived, what is to go out, and how it ends.

use super::{
    message::{Message, MessageRef, WsStats},
    outbound::Outbound,
    outbox::Outbox,
    stage::{
        Arrived, Begun, Ending, Finish, Lending, Linger, Outgoing, Role, Sender, Stage, Waiting, Want, Writer, closed,
        interrupted, message, refused,
    },
};
use crate::{
    buf::RecvBuf,
    drive::{Fault, Stream, recycle, spare},
    error::Result,
    proto::{
        End, Role as Side,
        ws::{Agreed, Config, Connection, Event, Kind, Violation},
    },
};
use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// How much may be unsent, above what the connection below holds, before no more messages are accepted.
///
/// Enough to keep the wire busy, little enough that a PONG is not late. A message is accepted whole, whatever its size.
pub(super) const ROOM: usize = 64 * 1024;

/// From how many missing bytes of a message on they are read into its memory, past every buffer.
const STRAIGHT: usize = 16 * 1024;

/// How much memory is made for them at first, and at most at a time.
const FIRST_STRAIGHT: usize = 128 * 1024;
const LAST_STRAIGHT: usize = 4 * 1024 * 1024;

/// What is behind the lock.
#[derive(Debug)]
pub(super) struct Core {
    pub(super) engine: Connection,
    pub(super) stream: Stream,
    pub(super) stage: Stage,
    /// Whether an end may be followed by another beginning.
    pub(super) reopens: bool,
    /// Counts the streams: what was begun on an old one does not concern the next.
    pub(super) generation: u64,
    /// Inflated messages do not lie in the input.
    inflates: bool,
    pub(super) input: RecvBuf,
    /// A message, or a part of one, that did not lie in the input whole.
    pub(super) assembly: RecvBuf,
    /// What the message is that is in the assembly, if any is.
    assembling: Kind,
    /// The assembly is a whole message of this kind.
    complete: Option<Kind>,
    /// Nobody wants the rest of the message that has begun to arrive.
    pub(super) skips: bool,
    /// Who sends a message in parts, and has not sent the last of them.
    pub(super) within: Option<Writer>,
    /// How many have begun to.
    writers_made: u64,
    max_message: usize,
    /// Messages that came before the PONG that was waited for.
    queue: VecDeque<Message>,
    queued: usize,
    /// Messages that are sent again on the next connection, unless the peer says that it has them.
    pub(super) outbox: Option<Outbox>,
    /// The outbox has room again, which senders wait for.
    pub(super) freed: bool,
    /// What is framed and not sent.
    pub(super) outbound: Outbound<Fault>,
    pub(super) finish: Finish,
    /// Until when the end is held back for the Close that answers it to go out.
    pub(super) linger: Linger,
    /// How much had been received when the wire was last read.
    seen: (u64, u64),
    /// Some thread has the input, or what is to go out.
    pub(super) reading: bool,
    pub(super) writing: bool,
    /// Whether the input is with the caller, who comes back when it likes.
    pub(super) lending: Lending,
    /// A message is received in parts, and not all of it was.
    in_parts: bool,
    /// Who waits to receive, and who to send.
    pub(super) readers: Waiting,
    pub(super) writers: Waiting,
    pub(super) stats: WsStats,
    /// Of the connections before this one.
    pongs_dropped: u64,
    rtt: Option<Duration>,
}

impl Core {
    pub(super) fn new(role: Side, config: &Config, agreed: &Agreed, stream: Stream, max_message: usize) -> Self {
        Core {
            engine: Connection::new(role, config, agreed.deflate, Instant::now()),
            stream,
            stage: Stage::Open,
            reopens: false,
            generation: 0,
            inflates: agreed.deflate.is_some(),
            input: RecvBuf::new(),
            assembly: RecvBuf::new(),
            assembling: Kind::Binary,
            complete: None,
            skips: false,
            within: None,
            writers_made: 0,
            max_message,
            queue: VecDeque::new(),
            queued: 0,
            outbox: None,
            freed: false,
            outbound: Outbound::default(),
            finish: Finish::Open,
            linger: Linger::Nothing,
            seen: (0, 0),
            reading: false,
            writing: false,
            lending: Lending::Nothing,
            in_parts: false,
            readers: Waiting::default(),
            writers: Waiting::default(),
            stats: WsStats::default(),
            pongs_dropped: 0,
            rtt: None,
        }
    }

    /// Goes on with another connection: what was accepted and not sent is lost, what arrived whole is not.
    pub(super) fn reopen(&mut self, config: &Config, agreed: &Agreed, stream: Stream, now: Instant) {
        self.pongs_dropped += self.engine.pongs_dropped();
        self.rtt = self.engine.rtt().or(self.rtt);
        self.engine = Connection::new(Side::Client, config, agreed.deflate, now);
        self.inflates = agreed.deflate.is_some();
        (self.stream, self.stage, self.finish) = (stream, Stage::Opening, Finish::Open);
        self.linger = Linger::Nothing;
        self.generation += 1;
        self.input.clear();
        self.assembly.clear();
        (self.complete, self.skips, self.within, self.in_parts) = (None, false, None, false);
        self.outbound.renew();
        self.outbox.iter_mut().for_each(Outbox::lose);
        self.stats.reconnects += 1;
    }

    /// The counters of now.
    pub(super) fn stats(&self) -> WsStats {
        WsStats {
            queued: self.unsent(),
            unconfirmed: self.outbox.as_ref().map_or(0, Outbox::len),
            rtt: self.engine.rtt().or(self.rtt),
            pongs_dropped: self.pongs_dropped + self.engine.pongs_dropped(),
            ..self.stats.clone()
        }
    }

    /// Whether this may be framed now, or has to wait for others.
    ///
    /// # Errors
    ///
    /// It never may.
    pub(super) fn may_send(&self, what: Outgoing<'_>, sender: Sender) -> Result<bool> {
        let begun = matches!(what, Outgoing::Part(Begun::Yes, ..));
        match (&self.stage, sender) {
            (Stage::Open, _) | (Stage::Opening, Sender::Opener) => {}
            (Stage::Opening | Stage::Broken(_), Sender::Anybody) if !begun => return Ok(false),
            (Stage::Closing | Stage::Ended(_), _) | (Stage::Broken(_), Sender::Opener) => {
                return Err(closed("the connection is closing or closed"));
            }
            (Stage::Opening | Stage::Broken(_), Sender::Anybody) => return Err(interrupted()),
        }
        if self.finish == Finish::Done && !self.reopens {
            return Err(closed("the peer takes no more"));
        }
        if let (Outgoing::Whole(_), Sender::Anybody, Some(outbox)) = (what, sender, &self.outbox) {
            if !outbox.has_room() {
                return Ok(false);
            }
        }
        match what {
            // The connection on which it was begun is gone.
            Outgoing::Part(Begun::Yes, _, _, writer) if self.within != Some(writer) => Err(interrupted()),
            Outgoing::Part(Begun::Yes, ..) => Ok(true),
            Outgoing::Part(Begun::No, ..) | Outgoing::Whole(_) => Ok(self.within.is_none()),
        }
    }

    /// Whether a message can be framed without any question.
    #[inline]
    pub(super) fn takes_at_once(&self, what: Outgoing<'_>) -> bool {
        let whole = matches!(what, Outgoing::Whole(_)) && self.within.is_none();
        whole && matches!(self.stage, Stage::Open) && self.finish == Finish::Open && self.outbox.is_none()
    }

    /// Frames a short message if that is no question at all.
    #[inline]
    pub(super) fn frame_short(&mut self, message: MessageRef<'_>) -> bool {
        let open = matches!(self.stage, Stage::Open) && self.finish == Finish::Open;
        if !open || self.within.is_some() || self.outbox.is_some() {
            return false;
        }
        let (kind, data) = match message {
            MessageRef::Text(text) => (Kind::Text, text.as_bytes()),
            MessageRef::Binary(bytes) => (Kind::Binary, bytes),
        };
        let framed = self.engine.send_short(kind, data, &mut self.outbound.bytes);
        self.stats.messages_out += u64::from(framed);
        self.stats.bytes_out += if framed { data.len() as u64 } else { 0 };
        if framed {
            self.outbound.spoke();
        }
        framed
    }

    /// Frames it: it may, and there is room.
    pub(super) fn frame(&mut self, what: Outgoing<'_>, sender: Sender) -> Result<()> {
        let Core { engine, outbound, .. } = self;
        let out = &mut outbound.bytes;
        let (Outgoing::Whole(message) | Outgoing::Part(_, message, ..)) = what;
        let (kind, data) = match message {
            MessageRef::Text(text) => (Kind::Text, text.as_bytes()),
            MessageRef::Binary(bytes) => (Kind::Binary, bytes),
        };
        let end = match what {
            Outgoing::Whole(_) => {
                engine.send(kind, data, out).map_err(refused)?;
                End::Last
            }
            Outgoing::Part(_, _, end, writer) => {
                engine.send_fragment(kind, data, end, out).map_err(refused)?;
                self.within = (end == End::More).then_some(writer);
                end
            }
        };
        self.stats.messages_out += u64::from(end == End::Last);
        self.stats.bytes_out += data.len() as u64;
        self.outbound.spoke();
        if let (Outgoing::Whole(message), Sender::Anybody, Some(outbox)) = (what, sender, &mut self.outbox) {
            outbox.keep(message);
            self.ask(Instant::now());
        }
        Ok(())
    }

    /// Asks the peer what it has of the messages that are kept.
    fn ask(&mut self, now: Instant) {
        let Core { engine, outbound, outbox: Some(outbox), .. } = self else { return };
        if outbox.wants_to_ask() {
            // Where none may go out, the connection is at its end.
            if let Ok(payload) = engine.probe(now, &mut outbound.bytes) {
                outbox.asks(payload);
            }
        }
    }

    /// Frames what the peer may not have received: the connection is a new one.
    pub(super) fn send_again(&mut self, now: Instant) {
        let Core { engine, outbound, outbox: Some(outbox), .. } = self else { return };
        for message in outbox.messages() {
            let kind = if message.as_text().is_some() { Kind::Text } else { Kind::Binary };
            if engine.send(kind, message.as_bytes(), &mut outbound.bytes).is_err() {
                return;
            }
            outbound.spoke();
        }
        self.ask(now);
    }

    /// A PONG came.
    fn answered(&mut self, payload: [u8; 8], now: Instant) {
        if self.outbox.as_mut().is_some_and(|outbox| outbox.answered(&payload)) {
            self.freed = true;
            self.ask(now);
        }
    }

    /// Takes the next thing a call wants out of what is there.
    pub(super) fn next(&mut self, want: Want, now: Instant) -> Option<Arrived> {
        match want {
            Want::Message | Want::Lent | Want::Part | Want::Rest => {
                if let Some(message) = self.queue.pop_front() {
                    self.queued -= message.as_bytes().len();
                    return Some(Arrived::Message(message));
                }
            }
            Want::End => {
                self.queue.clear();
                self.queued = 0;
                self.complete = None;
            }
            Want::Room if self.has_place() => return Some(Arrived::Confirmed),
            Want::Pong(_) | Want::Room => {}
        }
        loop {
            if want.keeps() && self.is_full() {
                return None;
            }
            match self.event(want, now) {
                Ok(Some(Arrived::Message(message))) if want.keeps() => {
                    self.queued += message.as_bytes().len();
                    self.queue.push_back(message);
                }
                Ok(arrived) => {
                    match arrived {
                        Some(Arrived::Part(_, end)) => self.in_parts = end == End::More,
                        Some(Arrived::Message(_) | Arrived::InInput(..) | Arrived::Assembled(_)) => {
                            self.in_parts = false;
                        }
                        Some(Arrived::Confirmed | Arrived::Ended) | None => {}
                    }
                    return arrived;
                }
                Err(violation) => {
                    self.end(Ending::violation(violation));
                    return None;
                }
            }
        }
    }

    /// Whether a message could be accepted from anybody, as far as that depends on what arrives.
    pub(super) fn has_place(&self) -> bool {
        let open = matches!(self.stage, Stage::Open) && self.finish == Finish::Open;
        open && self.outbox.as_ref().is_none_or(Outbox::has_room)
    }

    /// Whether it is the outbox that has no place for a message.
    pub(super) fn waits_for_outbox(&self) -> bool {
        matches!(self.stage, Stage::Open) && !self.has_place()
    }

    /// Whether nothing more is received for somebody who wants something else than messages: too many wait, or a part of one.
    pub(super) fn is_full(&self) -> bool {
        self.queued > self.max_message || self.in_parts
    }

    /// Whether something arrived that was not looked at yet.
    pub(super) fn has_buffered(&self) -> bool {
        !self.input.is_empty() || !self.queue.is_empty() || self.complete.is_some()
    }

    fn event(&mut self, want: Want, now: Instant) -> Result<Option<Arrived>, Violation> {
        if let Some(kind) = self.complete.take() {
            return self.assembled(kind, want).map(Some);
        }
        if want.is_part() && !self.assembly.is_empty() {
            return Ok(Some(Arrived::Part(self.assembling, End::More)));
        }
        if want.is_part() || self.skips {
            // Nothing of it is kept, so it may be as long as it likes.
            self.engine.set_max_message(u64::MAX);
        }
        let arrived = self.events(want, now);
        self.engine.set_max_message(self.max_message as u64);
        arrived
    }

    fn events(&mut self, want: Want, now: Instant) -> Result<Option<Arrived>, Violation> {
        while let Some(event) = self.engine.poll_event(now, &mut self.input, &mut self.outbound.bytes)? {
            match event {
                Event::Piece { end, .. } if self.skips => {
                    if end == End::Last {
                        self.skips = false;
                        let most = if want.is_part() { u64::MAX } else { self.max_message as u64 };
                        self.engine.set_max_message(most);
                    }
                }
                Event::Piece { kind, data, end } => {
                    self.stats.bytes_in += data.len() as u64;
                    let whole = end == End::Last && self.assembly.is_empty();
                    if whole && matches!(want, Want::Message | Want::End | Want::Pong(_) | Want::Room) {
                        self.stats.messages_in += 1;
                        return message(kind, data.to_vec()).map(|m| Some(Arrived::Message(m)));
                    }
                    if whole && want == Want::Lent && !self.inflates {
                        self.stats.messages_in += 1;
                        return Ok(Some(Arrived::InInput(kind, data.len())));
                    }
                    if self.assembly.is_empty() && data.len() > self.assembly.capacity() {
                        self.assembly = spare();
                    }
                    self.assembly.extend(data);
                    self.assembling = kind;
                    if want.is_part() {
                        self.stats.messages_in += u64::from(end == End::Last);
                        return Ok(Some(Arrived::Part(kind, end)));
                    }
                    if self.assembly.len() > self.max_message {
                        return Err(self.engine.refuse_message(&mut self.outbound.bytes));
                    }
                    if end == End::Last {
                        return self.assembled(kind, want).map(Some);
                    }
                }
                Event::Ping(_) => {}
                Event::Pong(payload) => {
                    let Ok(payload) = <[u8; 8]>::try_from(payload) else { continue };
                    self.answered(payload, now);
                    if want == Want::Pong(payload) || want == Want::Room && self.has_place() {
                        return Ok(Some(Arrived::Confirmed));
                    }
                }
                Event::Closed { code, reason } => {
                    let ending = Ending::clean(code, reason);
                    self.end(ending);
                    return Ok(None);
                }
            }
        }
        Ok(None)
    }

    /// The assembly has become a message.
    fn assembled(&mut self, kind: Kind, want: Want) -> Result<Arrived, Violation> {
        self.stats.messages_in += 1;
        match want {
            Want::Lent => Ok(Arrived::Assembled(kind)),
            Want::Part | Want::Rest => Ok(Arrived::Part(kind, End::Last)),
            Want::End | Want::Message | Want::Pong(_) | Want::Room => {
                message(kind, std::mem::take(&mut self.assembly).into_vec()).map(Arrived::Message)
            }
        }
    }

    /// How much of a message may be read straight into the assembly, if anything and if that is worth while.
    pub(super) fn straight(&self, want: Want) -> Option<usize> {
        let left = self.engine.payload_left().filter(|left| *left >= STRAIGHT as u64)?;
        if want == Want::End || self.skips || !self.input.is_empty() || self.complete.is_some() {
            return None;
        }
        // As much again as is there: who only announces a lot gets little.
        let most = self.assembly.len().clamp(FIRST_STRAIGHT, LAST_STRAIGHT);
        Some(usize::try_from(left).map_or(most, |left| left.min(most)))
    }

    /// The wire is about to be read; returns whether the last time brought nothing of a message.
    pub(super) fn was_fruitless(&mut self) -> bool {
        let received = (self.stats.messages_in, self.stats.bytes_in);
        std::mem::replace(&mut self.seen, received) == received
    }

    /// So many bytes were read straight into the assembly.
    pub(super) fn took_straight(&mut self, n: usize, want: Want, now: Instant) {
        self.engine.received(now);
        if self.engine.payload_left().is_none_or(|left| left < n as u64) {
            // Another thread has closed meanwhile: the engine discards them.
            self.input.extend(self.assembly.space_exactly(n));
            return;
        }
        let Core { engine, assembly, outbound, .. } = self;
        match engine.read_payload(assembly.space_exactly(n), &mut outbound.bytes) {
            Ok(Event::Piece { kind, end, .. }) => {
                self.assembly.filled(n);
                self.stats.bytes_in += n as u64;
                self.assembling = kind;
                self.complete = (end == End::Last).then_some(kind);
                if self.assembly.len() > self.max_message && !want.is_part() {
                    let violation = self.engine.refuse_message(&mut self.outbound.bytes);
                    self.end(Ending::violation(violation));
                }
            }
            Ok(_) => {}
            Err(violation) => self.end(Ending::violation(violation)),
        }
    }

    /// Nobody wants the rest of the message that has begun.
    pub(super) fn skip(&mut self) {
        self.assembly.clear();
        self.in_parts = false;
        self.skips = self.complete.take().is_none();
    }

    /// Whoever sends a message in parts gets this.
    pub(super) fn make_writer(&mut self) -> Writer {
        self.writers_made += 1;
        Writer(self.writers_made)
    }

    /// Ends the connection because of a message that its sender has given up in the middle.
    pub(super) fn give_message_up(&mut self, writer: Writer, now: Instant) {
        if self.within != Some(writer) || !matches!(self.stage, Stage::Opening | Stage::Open) {
            return;
        }
        self.within = None;
        // Where no frame may begin the peer learns it from the end.
        let _ = self.engine.close(Some(1011), "", now, &mut self.outbound.bytes);
        self.end(Ending::broken(&closed("a message was given up in the middle")));
    }

    /// Code of the caller's panicked, a wire that was being used.
    pub(super) fn wire_panicked(&mut self, role: Role) {
        match role {
            Role::Reading => self.reading = false,
            Role::Writing => self.writing = false,
        }
        self.end(Ending::broken(&closed("a thread panicked while it used the connection")));
        // What was being sent is gone.
        self.outbound.lose(None);
        (self.finish, self.linger) = (Finish::Done, Linger::Nothing);
    }

    /// Whether nothing is under way in either direction, and nothing due: what comes next is most likely a message.
    pub(super) fn is_plain(&self) -> bool {
        let nothing = self.queue.is_empty() && self.assembly.is_empty() && !self.skips && self.complete.is_none();
        let open = matches!(self.stage, Stage::Open) && self.finish == Finish::Open;
        nothing && open && !self.writing && self.unsent() == 0 && self.engine.is_plain()
    }

    /// A short message that lies in `input` whole, as the last bytes that were taken from it.
    #[inline]
    pub(super) fn short(&mut self, input: &mut RecvBuf) -> Option<(Kind, usize)> {
        if !matches!(self.stage, Stage::Open) || !self.queue.is_empty() || !self.assembly.is_empty() || self.skips {
            return None;
        }
        let (kind, data) = self.engine.poll_short(input)?;
        let len = data.len();
        self.stats.messages_in += 1;
        self.stats.bytes_in += len as u64;
        Some((kind, len))
    }

    /// Takes the memory back that a message lay in, which was lent.
    pub(super) fn give_back(&mut self, mut assembly: RecvBuf) {
        assembly.clear();
        recycle(&mut assembly);
        self.assembly = assembly;
    }

    /// No more bytes come.
    pub(super) fn end_of_input(&mut self) {
        if let Err(violation) = self.engine.end_of_input(&mut self.outbound.bytes) {
            self.end(Ending::violation(violation));
        }
    }

    /// Does what is due.
    pub(super) fn on_deadline(&mut self, now: Instant) {
        if let Err(violation) = self.engine.handle_deadline(now, &mut self.outbound.bytes) {
            self.end(Ending::violation(violation));
        }
    }

    /// It is over, unless it was before. What is framed, a Close at most, still goes out.
    pub(super) fn end(&mut self, ending: Ending) {
        let closing = match self.stage {
            Stage::Opening | Stage::Open => false,
            Stage::Closing => true,
            Stage::Broken(_) | Stage::Ended(_) => return,
        };
        if self.finish == Finish::Open {
            (self.finish, self.linger) = (Finish::Wanted, Linger::Wanted);
        }
        self.stage = match self.reopens && !closing && ending.can_pass() {
            true => Stage::Broken(ending),
            false => Stage::Ended(ending),
        };
    }

    /// Takes everyone who waits: to be woken, without the lock.
    pub(super) fn everyone(&mut self) -> (Waiting, Waiting) {
        (std::mem::take(&mut self.readers), std::mem::take(&mut self.writers))
    }
}
