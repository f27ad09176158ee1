//! The state of one end: its beginning and end, time, and what can be asked about it.

use super::{
    Config, End, ErrorCode, Event, Expected, RecvBuf, Role, Violation, Window,
    flow::Inlet,
    frame,
    guard::Guard,
    head::Scratch,
    hpack::{Decoder, Encoder},
    ping::{Due, Liveness},
    receive::{Reading, Step},
    settings::{self, Settings},
    stream::{Asked, Blocked, RecvHalf, SendHalf, Stream, Streams},
};
use http::HeaderMap;
use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// How many bytes of replies may wait for a peer that does not take them.
///
/// An honest peer reads what it asked for. nghttp2 and Go bound the queue of control frames by number (1000 and 10,000), which
/// comes to about as much.
const MAX_REPLIES: usize = 64 * 1024;

/// How many closed streams of each kind are remembered: those we reset, on which frames may still be on their way, and, on a
/// server, those that were reset by the client or came to their end, to tell a frame after the end from an id that was skipped.
const GONE_KEPT: usize = 1024;

/// In what pieces the window of the connection is credited while too much is unread: a frame of the usual size.
const PIECE: usize = 16 * 1024;

/// The `:protocol` of an extended CONNECT, as an extension of the request (RFC 8441, section 4).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Protocol(pub String);

/// One end of an HTTP/2 connection.
///
/// # Invariants
///
/// `active` is the number of streams that are not over, `unread` the sum of what is unread on all streams.
#[derive(Debug)]
pub struct Connection {
    pub(super) role: Role,
    pub(super) config: Config,
    pub(super) reading: Reading,
    /// How much of the input was seen: more is a sign of life.
    seen: usize,
    broken: Option<Violation>,
    /// The event that `poll_event` is about to return; `None` between calls.
    pub(super) event: Option<Event<'static>>,
    pub(super) decoder: Decoder,
    pub(super) encoder: Encoder,
    pub(super) scratch: Scratch,
    /// A header block that is not complete.
    pub(super) block: Vec<u8>,
    pub(super) streams: Streams,
    pub(super) active: u32,
    /// Slots of cancelled streams that count until a PING is answered.
    pub(super) held: u32,
    pub(super) suspect: bool,
    pub(super) peer: Settings,
    /// Whether the peer's first SETTINGS arrived.
    pub(super) confirmed: bool,
    /// What may be sent on all streams together.
    pub(super) window: Window,
    /// What the peer may send on all streams together.
    pub(super) inlet: Inlet,
    /// By how much the peer may take the windows of streams for larger than we announced, until it acknowledges our SETTINGS.
    pub(super) early: u32,
    pub(super) unread: usize,
    /// Above how much of that the peer gets no more room than is released, or waited for.
    pub(super) unread_limit: usize,
    /// What was read or dropped while too much was unread, and is not credited yet.
    pub(super) freed: usize,
    /// Streams that wait for the window of the connection.
    pub(super) blocked: VecDeque<u32>,
    pub(super) wants_slot: bool,
    /// Streams above this are to be reported as refused.
    pub(super) refusing: Option<u32>,
    /// Client: the id of the next stream.
    pub(super) next_id: u32,
    /// Server: the highest id of the peer.
    pub(super) last_peer: u32,
    pub(super) goaway_in: Option<u32>,
    pub(super) goaway_out: Option<u32>,
    /// Server: a request that nobody has answered yet, because its head is too large.
    pub(super) oversized: Option<(u32, End)>,
    /// Streams we reset.
    pub(super) ours: VecDeque<u32>,
    /// Server: streams that the peer reset.
    pub(super) theirs: VecDeque<u32>,
    /// Server: streams that both sides have ended.
    pub(super) ended: VecDeque<u32>,
    pub(super) guard: Guard,
    pub(super) liveness: Liveness,
    /// How many bytes of replies may be unsent.
    pub(super) replies: usize,
    /// Frames other than SETTINGS the peer has sent.
    pub(super) heard: u64,
}

impl Connection {
    /// Appends the preface (client) and SETTINGS to `out`.
    pub fn new(role: Role, config: Config, now: Instant, out: &mut Vec<u8>) -> Self {
        let config = config.clamped();
        if role == Role::Client {
            out.extend_from_slice(frame::PREFACE);
        }
        settings::announce(role, &config, out);
        let mut encoder = Encoder::new();
        if config.header_table < Settings::INITIAL.header_table {
            encoder.set_max_table(config.header_table as usize);
        }
        Connection {
            role,
            reading: if role == Role::Server { Reading::Preface } else { Reading::Header },
            seen: 0,
            broken: None,
            event: None,
            // What we announced holds once it is acknowledged.
            decoder: Decoder::new(Settings::INITIAL.header_table as usize),
            encoder,
            scratch: Scratch::default(),
            block: Vec::new(),
            streams: Streams::default(),
            active: 0,
            held: 0,
            suspect: false,
            peer: Settings::INITIAL,
            confirmed: false,
            window: Window::new(Window::INITIAL),
            inlet: Inlet::new(config.connection_window),
            early: Window::INITIAL.saturating_sub(config.stream_window),
            unread: 0,
            unread_limit: config.unread_limit,
            freed: 0,
            blocked: VecDeque::new(),
            wants_slot: false,
            refusing: None,
            next_id: 1,
            last_peer: 0,
            goaway_in: None,
            goaway_out: None,
            oversized: None,
            ours: VecDeque::new(),
            theirs: VecDeque::new(),
            ended: VecDeque::new(),
            guard: Guard::new(now),
            liveness: Liveness::new(&config, now),
            replies: 0,
            heard: 0,
            config,
        }
    }

    /// Starts after `Upgrade: h2c`: stream 1 is the request, half closed by the client. Client: call after the 101; preface and
    /// SETTINGS go to `out`, and `settings` is not looked at. Server: `settings` is the decoded payload of HTTP2-Settings;
    /// SETTINGS go to `out`, and no event announces stream 1.
    ///
    /// # Errors
    ///
    /// A [`Violation`] if `settings` has a value that is not allowed.
    pub fn upgraded(
        role: Role,
        config: Config,
        settings: &[u8],
        now: Instant,
        out: &mut Vec<u8>,
    ) -> Result<Self, Violation> {
        let mut connection = Self::new(role, config, now, out);
        let (recv, send) = match role {
            Role::Client => (RecvHalf::Head, SendHalf::Ended),
            Role::Server => (RecvHalf::Ended, SendHalf::Head),
        };
        if role == Role::Server {
            let peer = Settings::INITIAL.apply(Role::Client, settings)?;
            connection.adopt(peer)?;
        }
        (connection.next_id, connection.last_peer) = (3, 1);
        connection.begin(1, recv, send, Asked::Other, None);
        Ok(connection)
    }

    /// Returns whether a client's `HTTP2-Settings` hold what [`upgraded`](Self::upgraded) takes.
    pub(crate) fn are_settings_of_client(payload: &[u8]) -> bool {
        Settings::INITIAL.apply(Role::Client, payload).is_ok()
    }

    /// Adds a stream.
    pub(super) fn begin(&mut self, id: u32, recv: RecvHalf, send: SendHalf, asked: Asked, send_left: Option<u64>) {
        self.active += 1;
        self.streams.insert(Stream {
            id,
            recv,
            send,
            asked,
            blocked: Blocked::No,
            informational: 0,
            window: Window::new(self.peer.initial_window),
            inlet: Inlet::new(self.config.stream_window + self.early),
            unread: 0,
            awaited: false,
            recv_left: None,
            send_left,
            heard: self.heard,
        });
    }

    /// Takes the next event out of `input`, and appends the replies it calls for to `out`.
    ///
    /// One call takes at most one event, and the connection moves only as far as that event: what the getters say always agrees
    /// with what the caller has seen. DATA comes in pieces, as it arrives. Returns `None` when `input` holds no further event;
    /// read more and call again. Some events need no input ([`has_event`](Self::has_event)).
    ///
    /// The event borrows its payload from `input`, not from the connection, so a handler can answer while it holds the payload.
    ///
    /// # Errors
    ///
    /// A [`Violation`] is the end of the connection, and every later call returns it again. `out` already holds the GOAWAY that
    /// tells the peer why (none if it speaks HTTP/1): write it, then close. A peer that breaks the rules of one stream only is
    /// reported as [`Event::Failed`] instead.
    pub fn poll_event<'b>(
        &mut self,
        now: Instant,
        input: &'b mut RecvBuf,
        out: &mut Vec<u8>,
    ) -> Result<Option<Event<'b>>, Violation> {
        self.alive()?;
        if input.len() > self.seen {
            self.received(now);
        }
        let before = out.len();
        if self.oversized.is_some() {
            // It can be refused, for it is there.
            let _ = self.refuse(&HeaderMap::new(), out);
        }
        let step = match self.advance(now, input, out) {
            Ok(step) => step,
            Err(violation) => return Err(self.break_off(violation, out)),
        };
        if out.len() > before {
            self.liveness.last_out = now;
        }
        let taken = match &step {
            Some(Step::Data { n, .. }) => *n,
            Some(Step::GoAway { debug, .. }) => frame::HEADER + 8 + debug,
            Some(Step::Event) | None => 0,
        };
        self.seen = input.len() - taken;
        let payload: &'b [u8] = if taken > 0 { input.take(taken) } else { &[] };
        match step {
            None => Ok(None),
            Some(Step::Event) => Ok(self.event.take()),
            Some(Step::Data { stream, .. }) => Ok(Some(Event::Data { stream, data: payload })),
            Some(Step::GoAway { last_id, code, .. }) => {
                Ok(Some(Event::GoAway { last_id, code, debug: &payload[frame::HEADER + 8..] }))
            }
        }
    }

    pub(super) fn alive(&self) -> Result<(), Violation> {
        self.broken.clone().map_or(Ok(()), Err)
    }

    pub(super) fn is_broken(&self) -> bool {
        self.broken.is_some()
    }

    /// Ends the connection.
    fn break_off(&mut self, violation: Violation, out: &mut Vec<u8>) -> Violation {
        if !matches!(violation, Violation::PeerSpokeHttp1 { .. }) {
            let last = self.last_peer.min(self.goaway_out.unwrap_or(frame::MAX_31));
            frame::goaway(last, violation.code(), &violation.to_string(), out);
        }
        self.broken = Some(violation.clone());
        violation
    }

    /// Says that bytes came in which `poll_event` was not shown: a sign of life.
    pub fn received(&mut self, now: Instant) {
        self.suspect = false;
        self.liveness.received(now);
    }

    /// Says that what came in last may have come long before it was read, but not before this time. Nobody is given up for that,
    /// but the next request looks whether the peer is still there.
    pub fn came_by(&mut self, at: Instant) {
        self.liveness.heard = at;
    }

    /// Says that the peer has been silent for so much longer than `now` tells, because the clock stood still.
    pub fn slept(&mut self, d: Duration) {
        let last_in = self.liveness.last_in;
        self.liveness.last_in = last_in.checked_sub(d).unwrap_or(last_in);
        let heard = self.liveness.heard;
        self.liveness.heard = heard.checked_sub(d).unwrap_or(heard);
    }

    /// Says that no more bytes will come. Call after `poll_event` gave `None`.
    ///
    /// # Errors
    ///
    /// A [`Violation`] if a frame was cut or streams were open without an end.
    pub fn end_of_input(&mut self, now: Instant, input: &RecvBuf, out: &mut Vec<u8>) -> Result<(), Violation> {
        self.alive()?;
        let _ = now;
        if self.answers_http1(input.peek()) {
            return Err(self.break_off(Violation::PeerSpokeHttp1 { status: None }, out));
        }
        let bytes = input.len() + self.reading.taken() + self.block.len();
        let streams = self.streams.receiving();
        if bytes == 0 && streams == 0 {
            return Ok(());
        }
        Err(self.break_off(Violation::Truncated { bytes, streams }, out))
    }

    /// Returns what is next on the wire, if that is data which can be read past the engine. Only after `poll_event` gave `None`.
    pub fn expects(&self) -> Option<Expected> {
        match &self.reading {
            Reading::Data(payload) if payload.pad == 0 && payload.left > 0 && !self.is_broken() => {
                let live = self.streams.get(payload.stream).is_some_and(|s| !s.is_over());
                live.then_some(Expected { stream: payload.stream, bytes: payload.left })
            }
            _ => None,
        }
    }

    /// Says that so many of the bytes that [`expects`](Self::expects) named were read past the engine; they count as delivered.
    /// If they end the stream, the next `poll_event` gives `Ended`. Call [`received`](Self::received) too.
    ///
    /// # Panics
    ///
    /// Panics if fewer were expected.
    pub fn took(&mut self, n: usize, out: &mut Vec<u8>) {
        let expected = self.expects().map_or(0, |expected| expected.bytes);
        assert!(n <= expected, "took {n} of {expected} bytes");
        if let Reading::Data(payload) = self.reading {
            self.deliver(payload, n, out);
        }
    }

    /// Returns when [`handle_deadline`](Self::handle_deadline) is to be called.
    pub fn deadline(&self) -> Option<Instant> {
        if self.is_broken() { None } else { self.liveness.deadline(&self.config, self.active > 0) }
    }

    /// Does what a deadline that has passed calls for; nothing if none has. Poll what has arrived before.
    ///
    /// # Errors
    ///
    /// [`Violation::PingUnanswered`] or [`Violation::SettingsUnanswered`]: the connection is over.
    pub fn handle_deadline(&mut self, now: Instant, out: &mut Vec<u8>) -> Result<(), Violation> {
        self.alive()?;
        match self.liveness.due(&self.config, self.active > 0, now) {
            None => Ok(()),
            Some(Due::Dead(after)) => Err(self.break_off(Violation::PingUnanswered { after }, out)),
            Some(Due::Settings(after)) => Err(self.break_off(Violation::SettingsUnanswered { after }, out)),
            Some(Due::Ping) => {
                self.ping_unasked(now, out);
                Ok(())
            }
        }
    }

    pub(super) fn ping_unasked(&mut self, now: Instant, out: &mut Vec<u8>) {
        if let Some(payload) = self.liveness.unasked(now) {
            frame::ping(0, payload, out);
        }
    }

    /// Says that so many bytes of `out` were not yet taken by the wire.
    ///
    /// # Errors
    ///
    /// [`Violation::RepliesUnsent`] if more than 64 KiB of them are replies.
    pub fn unsent(&mut self, bytes: usize, out: &mut Vec<u8>) -> Result<(), Violation> {
        self.alive()?;
        // Which of the unsent bytes are replies is not known; there are not more of either.
        self.replies = self.replies.min(bytes);
        if self.replies > MAX_REPLIES {
            return Err(self.break_off(Violation::RepliesUnsent { bytes: self.replies }, out));
        }
        Ok(())
    }

    /// Appends replies, which are counted.
    pub(super) fn reply(&mut self, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
        let before = out.len();
        write(out);
        self.replies += out.len() - before;
    }

    // What several files use.

    /// Resets a stream and remembers that frames may still be on their way.
    pub(super) fn send_reset(&mut self, stream: u32, code: ErrorCode, out: &mut Vec<u8>) {
        self.reply(out, |out| frame::rst_stream(stream, code, out));
        remember(&mut self.ours, stream);
    }

    /// The stream is over; what is unread stays to be released.
    pub(super) fn finish(&mut self, id: u32) {
        let Some(stream) = self.streams.live(id) else { return };
        (stream.recv, stream.send) = (RecvHalf::Ended, SendHalf::Ended);
        let waits = stream.blocked == Blocked::Connection;
        self.active -= 1;
        if stream.unread == 0 {
            self.streams.remove(id);
        }
        if waits {
            // It would stay there for as long as the peer keeps the window of the connection shut.
            self.blocked.retain(|waiting| *waiting != id);
        }
    }

    /// Server: remembers that the client reset a stream.
    pub(super) fn remember_reset(&mut self, id: u32) {
        if self.role == Role::Server {
            remember(&mut self.theirs, id);
        }
    }

    /// Server: remembers that a stream was used, which tells a frame after its end from an id that was skipped.
    pub(super) fn remember_end(&mut self, id: u32) {
        if self.role == Role::Server {
            remember(&mut self.ended, id);
        }
    }

    /// Closes the stream if both halves have ended in order.
    pub(super) fn settle(&mut self, id: u32) {
        match self.streams.get(id) {
            Some(stream) if stream.is_over() => {
                self.active -= 1;
                self.guard.completed += 1;
                if stream.unread == 0 {
                    self.streams.remove(id);
                }
                self.remember_end(id);
            }
            _ => {}
        }
    }

    /// Credits the window of the connection. While too much is unread the peer gets back what was read or dropped in the meantime,
    /// and a piece where somebody waits for bytes that it may not send: bodies that nobody reads must not keep another one
    /// from being read.
    pub(super) fn credit(&mut self, out: &mut Vec<u8>) {
        let increment = if self.unread <= self.unread_limit {
            self.freed = 0;
            self.inlet.credit(self.config.connection_window)
        } else {
            let starves = self.inlet.window() < PIECE as i64 && self.streams.is_any_awaited();
            let due = if starves { self.freed.max(PIECE) } else { self.freed };
            if due < PIECE {
                return;
            }
            self.freed = 0;
            self.inlet.credit_at_most(due)
        };
        if let Some(increment) = increment {
            self.reply(out, |out| frame::window_update(0, increment, out));
        }
    }

    /// Credits the window of a stream that the peer has not ended.
    pub(super) fn credit_stream(&mut self, id: u32, octets: usize, out: &mut Vec<u8>) {
        let size = self.config.stream_window;
        let Some(stream) = self.streams.get_mut(id).filter(|s| s.recv != RecvHalf::Ended) else { return };
        stream.inlet.consume(octets);
        if let Some(increment) = stream.inlet.credit(size) {
            self.reply(out, |out| frame::window_update(id, increment, out));
        }
    }
}

/// Adds to a bounded memory.
fn remember(memory: &mut VecDeque<u32>, stream: u32) {
    if memory.len() == GONE_KEPT {
        memory.pop_front();
    }
    memory.push_back(stream);
}
