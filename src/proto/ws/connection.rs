//! The state of a connection, its time, and its end.

use super::{
    clock::{Clock, Due},
    config::Config,
    deflate::{Deflater, Inflater},
    event::Kind,
    extension::Params,
    frame::{self, CONTROL_MAX, FIN, Opcode},
    mask::{Keys, Mask},
    message::Message,
    owed::Owed,
    violation::{Misuse, Violation},
};
use crate::proto::{End, Role};
use std::time::{Duration, Instant};

/// PONGs that waited go out when less than this is unsent: whoever sends all the time keeps about as much unsent.
const NEARLY_SENT: usize = 64 * 1024;

/// What comes in.
#[derive(Clone, Copy, Debug)]
pub(super) enum Incoming {
    /// The next frame begins a message, or is a control frame.
    Between,
    /// Their Close came; nothing after it counts.
    Closed,
    /// The connection failed.
    Failed(Violation),
    /// The next bytes are payload of a data frame.
    Payload(Payload, Message),
    /// The next frame continues a message, or is a control frame.
    Within(Message),
}

/// A payload that has begun.
#[derive(Clone, Copy, Debug)]
pub(super) struct Payload {
    /// Bytes that have not arrived.
    pub(super) left: u64,
    pub(super) mask: Option<Mask>,
    /// Whether the frame ends its message.
    pub(super) end: End,
}

/// What goes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outgoing {
    /// The next frame begins a message, or is a control frame.
    Between,
    /// A Close went out, or nothing may go out any more.
    Closed,
    /// The next bytes are payload of a frame whose header went out.
    Frame {
        /// Bytes that did not go out.
        left: u64,
        mask: Option<Mask>,
        kind: Kind,
        /// Whether the frame ends its message.
        end: End,
    },
    /// The next frame continues a message, or is a control frame.
    Within(Kind),
}

/// One end of a WebSocket, behind the handshake.
///
/// | [`poll_event`](Self::poll_event) gives | then |
/// |---|---|
/// | an event | call it again |
/// | `None` | read more, tell [`received`](Self::received), call it again |
/// | [`Event::Closed`](super::Event::Closed) | flush `out` and close; the server closes first (RFC 6455, section 7.1.1) |
/// | an error | flush `out` and close |
#[derive(Debug)]
pub struct Connection {
    pub(super) role: Role,
    pub(super) incoming: Incoming,
    pub(super) outgoing: Outgoing,
    pub(super) max_message: u64,
    pub(super) fragment_at: usize,
    /// The longest message of which is known that it goes out as it is, in one frame with the shortest header.
    pub(super) short_max: usize,
    pub(super) keys: Keys,
    pub(super) clock: Clock,
    pub(super) owed: Owed,
    pub(super) inflater: Option<Inflater>,
    pub(super) deflater: Option<Deflater>,
    /// What the wire had not taken when the driver last said so.
    backlog: usize,
    /// Whether the wire took something since our last PING.
    progress: bool,
    probe: Option<([u8; 8], Instant)>,
    rtt: Option<Duration>,
}

impl Connection {
    /// Returns a connection behind a handshake that agreed on `deflate`.
    pub fn new(role: Role, config: &Config, deflate: Option<Params>, now: Instant) -> Self {
        let min = config.deflate.map_or(0, |deflate| deflate.min);
        let (inflater, deflater) = match (role, deflate) {
            (_, None) => (None, None),
            (Role::Client, Some(Params { client, server })) => (Inflater::new(server), Deflater::new(client, min)),
            (Role::Server, Some(Params { client, server })) => (Inflater::new(client), Deflater::new(server, min)),
        };
        Connection {
            role,
            incoming: Incoming::Between,
            outgoing: Outgoing::Between,
            max_message: config.max_message,
            fragment_at: config.fragment_at.unwrap_or(usize::MAX),
            short_max: if deflater.is_some() { 0 } else { config.fragment_at.unwrap_or(CONTROL_MAX).min(CONTROL_MAX) },
            keys: Keys::new(config.seed),
            clock: Clock::new(config, now),
            owed: Owed::default(),
            inflater,
            deflater,
            backlog: 0,
            progress: false,
            probe: None,
            rtt: None,
        }
    }

    /// Sets the largest message accepted from now on; what has begun to arrive was judged before.
    #[inline]
    pub fn set_max_message(&mut self, bytes: u64) {
        self.max_message = bytes;
    }

    /// Ends the connection because of a message that its receiver does not want to keep: it is larger than the limit.
    pub fn refuse_message(&mut self, out: &mut Vec<u8>) -> Violation {
        self.fail(Violation::MessageTooLong { limit: self.max_message }, out)
    }

    /// Says that bytes came, also those read past the engine: any byte is a sign of life.
    #[inline]
    pub fn received(&mut self, now: Instant) {
        self.clock.heard(now);
    }

    /// Says that bytes came at this time, if that is news.
    pub fn received_by(&mut self, at: Instant) {
        if at > self.clock.last_heard() {
            self.clock.heard(at);
        }
    }

    /// Says that no more bytes will come. Call it only after `poll_event` gave `None`.
    ///
    /// # Errors
    ///
    /// [`Violation::EndWithoutClose`] if no Close of the peer came before (1006), or the violation that had ended the
    /// connection already.
    pub fn end_of_input(&mut self, out: &mut Vec<u8>) -> Result<(), Violation> {
        match self.incoming {
            Incoming::Closed => Ok(()),
            Incoming::Failed(violation) => Err(violation),
            Incoming::Between | Incoming::Payload(..) | Incoming::Within(_) => {
                Err(self.fail(Violation::EndWithoutClose, out))
            }
        }
    }

    /// Returns whether the next byte begins a message or is a control frame, and nothing is due at any time.
    pub fn is_plain(&self) -> bool {
        matches!(self.incoming, Incoming::Between) && self.clock.is_still()
    }

    /// Returns when to call [`handle_deadline`](Self::handle_deadline). Ask only after `poll_event` gave `None`.
    pub fn deadline(&self) -> Option<Instant> {
        self.clock.deadline()
    }

    /// Does what is due: sends a PING, or gives the peer up. Before its time it does nothing.
    ///
    /// Bytes that lie on the wire unread are signs of life too: read first, then call it.
    ///
    /// # Errors
    ///
    /// [`Violation::Silent`], [`Violation::FrameStalled`] or [`Violation::CloseUnanswered`].
    pub fn handle_deadline(&mut self, now: Instant, out: &mut Vec<u8>) -> Result<(), Violation> {
        match self.clock.due(now) {
            Due::Nothing => Ok(()),
            Due::Close => Err(self.fail(Violation::CloseUnanswered, out)),
            Due::Stalled => Err(self.fail(Violation::FrameStalled, out)),
            Due::Silent if self.backlog > 0 && self.progress => {
                // The PING stands behind bytes that a slow wire is still taking.
                self.progress = false;
                self.clock.asked(now);
                Ok(())
            }
            Due::Silent => Err(self.fail(Violation::Silent, out)),
            Due::Ping => {
                if self.probe(now, out).is_err() {
                    self.clock.postponed(now);
                }
                Ok(())
            }
        }
    }

    /// Says, after each write, how many bytes of `out` the wire has not taken.
    ///
    /// Zero: PONGs are appended to `out` as their PINGs arrive. More: they wait, at most sixteen, then only the newest;
    /// each call that names less than 64 KiB appends those that waited. Look at `out` afterwards.
    pub fn unsent(&mut self, bytes: usize, out: &mut Vec<u8>) {
        self.progress |= bytes < self.backlog;
        self.backlog = bytes;
        self.pay_pongs(out);
    }

    /// Appends the PONGs that waited, if they may go out.
    fn pay_pongs(&mut self, out: &mut Vec<u8>) {
        let between = matches!(self.outgoing, Outgoing::Between | Outgoing::Within(_));
        if self.owed.has_no_pongs() || !between || self.backlog > NEARLY_SENT {
            return;
        }
        let (role, keys) = (self.role, &mut self.keys);
        self.owed.take_pongs(|payload| {
            let mask = (role == Role::Client).then(|| keys.next());
            frame::put(FIN | Opcode::Pong as u8, payload, mask, out);
        });
    }

    /// Answers a PING.
    pub(super) fn pong(&mut self, payload: &[u8], out: &mut Vec<u8>) {
        match self.outgoing {
            Outgoing::Closed => {}
            Outgoing::Between | Outgoing::Within(_) if self.backlog == 0 && self.owed.has_no_pongs() => {
                self.put(FIN | Opcode::Pong as u8, payload, out);
            }
            Outgoing::Between | Outgoing::Within(_) | Outgoing::Frame { .. } => self.owed.push_pong(payload),
        }
    }

    /// Sends a PING with 8 unpredictable bytes, which are returned; its answer sets [`rtt`](Self::rtt).
    ///
    /// # Errors
    ///
    /// As [`ping`](Self::ping).
    pub fn probe(&mut self, now: Instant, out: &mut Vec<u8>) -> Result<[u8; 8], Misuse> {
        self.may_interject()?;
        let payload = self.keys.next_payload();
        self.put(FIN | Opcode::Ping as u8, &payload, out);
        self.probe = Some((payload, now));
        self.progress = false;
        self.clock.asked(now);
        Ok(payload)
    }

    /// Notes an answer to a PING.
    pub(super) fn answered(&mut self, payload: &[u8], now: Instant) {
        if let Some((_, sent)) = self.probe.filter(|(probe, _)| probe == payload) {
            self.rtt = Some(now.saturating_duration_since(sent));
            self.probe = None;
        }
    }

    /// Notes their Close and echoes its code, unless ours went out before (RFC 6455, section 5.5.1).
    pub(super) fn closed_by_peer(&mut self, code: Option<u16>, out: &mut Vec<u8>) {
        self.incoming = Incoming::Closed;
        self.clock.ended();
        match self.outgoing {
            Outgoing::Between | Outgoing::Within(_) => self.put_close(code, "", out),
            Outgoing::Closed => {}
            Outgoing::Frame { .. } => self.owed.close = Some(code),
        }
    }

    /// Pays what waited for the end of a frame.
    pub(super) fn frame_complete(&mut self, out: &mut Vec<u8>) {
        match self.owed.close.take() {
            Some(code) => self.put_close(code, "", out),
            None => self.pay_pongs(out),
        }
    }

    /// Appends a Close; nothing goes out after it.
    pub(super) fn put_close(&mut self, code: Option<u16>, reason: &str, out: &mut Vec<u8>) {
        let mut payload = Vec::with_capacity(2 + reason.len());
        if let Some(code) = code {
            payload.extend_from_slice(&code.to_be_bytes());
            payload.extend_from_slice(reason.as_bytes());
        }
        self.put(FIN | Opcode::Close as u8, &payload, out);
        self.outgoing = Outgoing::Closed;
        self.owed.clear();
    }

    /// Ends the connection for a violation: tells the peer if a frame may begin here, and returns it.
    pub(super) fn fail(&mut self, violation: Violation, out: &mut Vec<u8>) -> Violation {
        match (self.outgoing, violation.close_code()) {
            (Outgoing::Between | Outgoing::Within(_), Some(code)) => self.put_close(Some(code), "", out),
            (Outgoing::Between | Outgoing::Within(_), None) | (Outgoing::Closed | Outgoing::Frame { .. }, _) => {}
        }
        self.outgoing = Outgoing::Closed;
        self.incoming = Incoming::Failed(violation);
        self.owed.clear();
        self.clock.ended();
        violation
    }

    /// Appends a whole frame, masked if we are a client.
    #[inline]
    pub(super) fn put(&mut self, first: u8, payload: &[u8], out: &mut Vec<u8>) {
        let mask = self.next_mask();
        frame::put(first, payload, mask, out);
    }

    /// Returns the key of the next frame; only clients mask (RFC 6455, section 5.1).
    #[inline]
    pub(super) fn next_mask(&mut self) -> Option<Mask> {
        match self.role {
            Role::Client => Some(self.keys.next()),
            Role::Server => None,
        }
    }

    /// Returns how many bytes from the wire are payload that may be read past the engine: those of an uncompressed
    /// binary frame that is not masked. Ask only after `poll_event` gave `None`.
    pub fn expects(&self) -> Option<u64> {
        match (&self.incoming, self.outgoing) {
            (_, Outgoing::Closed) => None,
            (Incoming::Payload(payload, message), _) => {
                let direct = payload.mask.is_none() && message.is_plain_binary() && payload.left > 0;
                direct.then_some(payload.left)
            }
            _ => None,
        }
    }

    /// Says that `n` of the expected bytes were read past the engine.
    ///
    /// If that completes the message, `poll_event` gives an empty last piece.
    ///
    /// # Panics
    ///
    /// Panics if fewer were expected.
    pub fn took(&mut self, n: u64) {
        let expected = self.expects().unwrap_or(0);
        assert!(n <= expected, "took {n} of {expected} bytes");
        if let Incoming::Payload(payload, _) = &mut self.incoming {
            payload.left -= n;
        }
    }

    /// Returns the time between the last probe that was answered and its answer.
    pub fn rtt(&self) -> Option<Duration> {
        self.rtt
    }

    /// Returns how many PONGs were dropped for a newer one.
    pub fn pongs_dropped(&self) -> u64 {
        self.owed.dropped()
    }

    /// Returns whether both Closes went over, ours at least into `out`.
    pub fn is_closed(&self) -> bool {
        matches!((&self.incoming, self.outgoing), (Incoming::Closed, Outgoing::Closed))
    }

    /// Returns whether messages may still be sent.
    pub fn can_send(&self) -> bool {
        self.outgoing != Outgoing::Closed && !matches!(self.incoming, Incoming::Closed)
    }

    /// Returns how many bytes the frame that was begun still needs; `None` if none was.
    pub fn frame_left(&self) -> Option<u64> {
        match self.outgoing {
            Outgoing::Frame { left, .. } => Some(left),
            Outgoing::Between | Outgoing::Closed | Outgoing::Within(_) => None,
        }
    }
}
