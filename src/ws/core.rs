//! What is behind the lock of a socket: the engine, what arrived, what is to go out, and how it ends.

use super::message::{Closed, Message, WsStats};
use crate::{
    buf::RecvBuf,
    drive::Stream,
    error::{Error, ErrorKind, Phase, Result},
    net::Waker,
    proto::{
        End, Role,
        ws::{Agreed, Config, Connection, Event, Kind, Misuse, Violation},
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

/// The largest buffers that are kept between messages.
const KEPT: usize = 1024 * 1024;

/// How far a socket is.
#[derive(Debug)]
pub(super) enum Stage {
    /// It was opened, and only what `on_open` sends may go out.
    Opening,
    /// Messages go both ways.
    Open,
    /// Our Close went out: whatever comes before theirs is discarded.
    Closing,
    /// It broke, and may be opened again.
    Broken(Ending),
    /// It is over.
    Ended(Ending),
}

/// How a socket ended.
#[derive(Clone, Debug)]
pub(super) struct Ending {
    pub(super) closed: Closed,
    /// Of an end without their Close.
    error: Option<(ErrorKind, String)>,
}

impl Ending {
    /// Their Close came.
    fn clean(code: Option<u16>, reason: &str) -> Self {
        Ending { closed: Closed { code, reason: reason.to_owned(), clean: true }, error: None }
    }

    /// None came.
    pub(super) fn broken(error: &Error) -> Self {
        let closed = Closed { code: None, reason: String::new(), clean: false };
        Ending { closed, error: Some((error.kind(), error.to_string())) }
    }

    fn violation(violation: Violation) -> Self {
        let kind = match violation {
            Violation::EndWithoutClose => ErrorKind::Closed,
            Violation::FrameStalled | Violation::Silent | Violation::CloseUnanswered => ErrorKind::TimedOut,
            Violation::MessageTooLong { .. } => ErrorKind::TooLarge,
            _ => ErrorKind::PeerViolation,
        };
        Ending::broken(&Error::with(kind, violation.to_string()))
    }

    /// Returns the error of an end without a Close; made anew each time it is asked for.
    pub(super) fn error(&self) -> Option<Error> {
        self.error.as_ref().map(|(kind, text)| Error::with(*kind, text.clone()).in_phase(Phase::Receive))
    }

    /// Whether a new connection may do better: the old one broke, or the server said that it goes away (1001), failed (1011),
    /// restarts (1012), is overloaded (1013) or is badly reached (1014).
    pub(super) fn can_pass(&self) -> bool {
        use ErrorKind as K;
        match &self.error {
            Some((kind, _)) => matches!(kind, K::Closed | K::Io | K::Refused | K::Reset | K::TimedOut),
            None => matches!(self.closed.code, Some(1001 | 1011..=1014)),
        }
    }
}

/// What a receiving call is given.
#[derive(Debug)]
pub(super) enum Arrived {
    /// A message.
    Message(Message),
    /// A message whose bytes are the last so many that were taken from the input.
    InInput(Kind, usize),
    /// A message that is the assembly.
    Assembled(Kind),
    /// The answer of the PING that is waited for.
    Confirmed,
    /// The end.
    Ended,
}

/// What a receiving call wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Want {
    /// The end; messages are of no interest.
    End,
    /// A message, where it lies.
    Lent,
    /// A message.
    Message,
    /// The answer of this PING; messages are kept for later.
    Pong([u8; 8]),
}

/// How far our direction is to be ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Finish {
    Open,
    /// Once everything was sent.
    Wanted,
    Done,
}

/// How far the last frame has gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Linger {
    /// There is none, or it has gone, or is given up.
    Nothing,
    /// It was framed.
    Wanted,
    /// The wire has not taken it; the end is reported then.
    Until(Instant),
}

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
    /// A message that did not lie in the input whole.
    pub(super) assembly: Vec<u8>,
    /// Messages that came before the PONG that was waited for.
    queue: VecDeque<Message>,
    queued: usize,
    max_queued: usize,
    /// Framed, and not given to the stream: `out[at..]`.
    pub(super) out: Vec<u8>,
    pub(super) at: usize,
    pub(super) finish: Finish,
    /// Until when the end is held back for the Close that answers it to go out.
    pub(super) linger: Linger,
    /// Some thread has the input, or what is to go out.
    pub(super) reading: bool,
    pub(super) writing: bool,
    /// Who waits to receive, and who to send.
    pub(super) readers: Waiting,
    pub(super) writers: Waiting,
    pub(super) stats: WsStats,
    /// Of the connections before this one.
    pongs_dropped: u64,
    rtt: Option<Duration>,
}

impl Core {
    pub(super) fn new(role: Role, config: &Config, agreed: &Agreed, stream: Stream, max_queued: usize) -> Self {
        Core {
            engine: Connection::new(role, config, agreed.deflate, Instant::now()),
            stream,
            stage: Stage::Open,
            reopens: false,
            generation: 0,
            inflates: agreed.deflate.is_some(),
            input: RecvBuf::new(),
            assembly: Vec::new(),
            queue: VecDeque::new(),
            queued: 0,
            max_queued,
            out: Vec::new(),
            at: 0,
            finish: Finish::Open,
            linger: Linger::Nothing,
            reading: false,
            writing: false,
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
        self.engine = Connection::new(Role::Client, config, agreed.deflate, now);
        self.inflates = agreed.deflate.is_some();
        (self.stream, self.stage, self.finish) = (stream, Stage::Opening, Finish::Open);
        self.linger = Linger::Nothing;
        self.generation += 1;
        self.input.clear();
        self.assembly.clear();
        self.out.clear();
        self.at = 0;
        self.stats.reconnects += 1;
    }

    /// The counters of now.
    pub(super) fn stats(&self) -> WsStats {
        WsStats {
            queued: self.unsent(),
            rtt: self.engine.rtt().or(self.rtt),
            pongs_dropped: self.pongs_dropped + self.engine.pongs_dropped(),
            ..self.stats.clone()
        }
    }

    /// How much is framed and was not given to the stream.
    pub(super) fn unsent(&self) -> usize {
        self.out.len() - self.at
    }

    /// Whether there is something to give to the stream.
    pub(super) fn has_work(&self) -> bool {
        self.unsent() > 0 || self.finish == Finish::Wanted
    }

    /// Takes the next thing a call wants out of what is there.
    pub(super) fn next(&mut self, want: Want, now: Instant) -> Option<Arrived> {
        match want {
            Want::Message | Want::Lent => {
                if let Some(message) = self.queue.pop_front() {
                    self.queued -= message.as_bytes().len();
                    return Some(Arrived::Message(message));
                }
            }
            Want::End => {
                self.queue.clear();
                self.queued = 0;
            }
            Want::Pong(_) => {}
        }
        loop {
            if matches!(want, Want::Pong(_)) && self.queued > self.max_queued {
                return None;
            }
            match self.event(want, now) {
                Ok(Some(Arrived::Message(message))) if matches!(want, Want::Pong(_)) => {
                    self.queued += message.as_bytes().len();
                    self.queue.push_back(message);
                }
                Ok(arrived) => return arrived,
                Err(violation) => {
                    self.end(Ending::violation(violation));
                    return None;
                }
            }
        }
    }

    /// Whether messages wait that came before the PONG that was waited for, and no more may.
    pub(super) fn is_full(&self) -> bool {
        self.queued > self.max_queued
    }

    /// Whether something arrived that was not looked at yet.
    pub(super) fn has_buffered(&self) -> bool {
        !self.input.is_empty() || !self.queue.is_empty()
    }

    fn event(&mut self, want: Want, now: Instant) -> Result<Option<Arrived>, Violation> {
        while let Some(event) = self.engine.poll_event(now, &mut self.input, &mut self.out)? {
            match event {
                Event::Piece { kind, data, end } => {
                    self.stats.bytes_in += data.len() as u64;
                    let whole = end == End::Last && self.assembly.is_empty();
                    if whole && want != Want::Lent {
                        self.stats.messages_in += 1;
                        return message(kind, data.to_vec()).map(|m| Some(Arrived::Message(m)));
                    }
                    if whole && !self.inflates {
                        self.stats.messages_in += 1;
                        return Ok(Some(Arrived::InInput(kind, data.len())));
                    }
                    self.assembly.extend_from_slice(data);
                    if end == End::Last {
                        self.stats.messages_in += 1;
                        if want == Want::Lent {
                            return Ok(Some(Arrived::Assembled(kind)));
                        }
                        return message(kind, std::mem::take(&mut self.assembly)).map(|m| Some(Arrived::Message(m)));
                    }
                }
                Event::Ping(_) => {}
                Event::Pong(payload) => {
                    if want == Want::Pong(payload.try_into().unwrap_or_default()) && payload.len() == 8 {
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

    /// Takes the memory back that a message lay in, which was lent.
    pub(super) fn give_back(&mut self, input: RecvBuf, mut assembly: Vec<u8>) {
        self.input = input;
        assembly.clear();
        if assembly.capacity() > KEPT {
            assembly = Vec::new();
        }
        self.assembly = assembly;
    }

    /// No more bytes come.
    pub(super) fn end_of_input(&mut self) {
        if let Err(violation) = self.engine.end_of_input(&mut self.out) {
            self.end(Ending::violation(violation));
        }
    }

    /// Does what is due.
    pub(super) fn on_deadline(&mut self, now: Instant) {
        if let Err(violation) = self.engine.handle_deadline(now, &mut self.out) {
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

    /// Puts back what the stream did not take.
    pub(super) fn put_back(&mut self, mut out: Vec<u8>, at: usize) {
        if at == out.len() {
            if self.out.is_empty() && out.capacity() <= KEPT {
                out.clear();
                self.out = out;
            }
            self.at = 0;
            return;
        }
        out.append(&mut self.out);
        (self.out, self.at) = (out, at);
        if at >= ROOM && at * 2 >= self.out.len() {
            self.out.drain(..at);
            self.at = 0;
        }
    }

    /// Takes everyone who waits: to be woken, without the lock.
    pub(super) fn everyone(&mut self) -> (Waiting, Waiting) {
        (std::mem::take(&mut self.readers), std::mem::take(&mut self.writers))
    }
}

/// Threads that wait, mostly one.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    first: Option<Waker>,
    more: Vec<Waker>,
}

impl Waiting {
    /// Leaves a waker, once.
    pub(super) fn leave(&mut self, waker: &Waker) {
        match &self.first {
            None => self.first = Some(waker.clone()),
            Some(first) if first.same(waker) || self.more.iter().any(|w| w.same(waker)) => {}
            Some(_) => self.more.push(waker.clone()),
        }
    }

    /// Wakes them all. Not to be called under the lock.
    pub(super) fn wake(self) {
        self.first.iter().chain(&self.more).for_each(Waker::wake);
    }

    /// Wakes all but the one that asks.
    pub(super) fn wake_others(self, own: &Waker) {
        self.first.iter().chain(&self.more).filter(|w| !w.same(own)).for_each(Waker::wake);
    }
}

/// Makes a message of its bytes, which the engine has checked.
fn message(kind: Kind, data: Vec<u8>) -> Result<Message, Violation> {
    match kind {
        Kind::Binary => Ok(Message::Binary(data)),
        Kind::Text => String::from_utf8(data).map(Message::Text).map_err(|_| Violation::TextNotUtf8),
    }
}

/// The error of a send that the engine refuses.
pub(super) fn refused(misuse: Misuse) -> Error {
    let kind = match misuse {
        Misuse::Closed => ErrorKind::Closed,
        Misuse::CloseCodeInvalid | Misuse::ControlTooLong | Misuse::SubprotocolInvalid => ErrorKind::InvalidInput,
        _ => ErrorKind::Misuse,
    };
    Error::with(kind, misuse.to_string()).in_phase(Phase::Send)
}
