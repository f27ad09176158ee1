//! How far a socket is, and what is asked of it: the words that its core, its halves and its steps have in common.

use super::message::{Closed, Message, MessageRef};
use crate::{
    buf::RecvBuf,
    error::{Error, ErrorKind, Phase},
    net::Waker,
    proto::{
        End,
        ws::{Kind, Misuse, Violation},
    },
};
use std::time::Instant;

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
    pub(super) fn clean(code: Option<u16>, reason: &str) -> Self {
        Ending { closed: Closed { code, reason: reason.to_owned(), clean: true }, error: None }
    }

    /// None came.
    pub(super) fn broken(error: &Error) -> Self {
        let closed = Closed { code: None, reason: String::new(), clean: false };
        Ending { closed, error: Some((error.kind(), error.to_string())) }
    }

    pub(super) fn violation(violation: Violation) -> Self {
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

/// Who sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sender {
    /// Anybody: waits while the socket is being opened.
    Anybody,
    /// `on_open`: goes first.
    Opener,
}

/// What is to be sent.
#[derive(Clone, Copy, Debug)]
pub(super) enum Outgoing<'a> {
    /// The next part of the message that this writer has begun, or begins with it.
    Part(Begun, MessageRef<'a>, End, Writer),
    /// A message.
    Whole(MessageRef<'a>),
}

/// Who sends a message in parts: so many began before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Writer(pub(super) u64);

/// Whether a message that is sent in parts has begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Begun {
    No,
    Yes,
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
    /// The assembly is the next part of a message.
    Part(Kind, End),
    /// The answer of the PING that is waited for, or the place.
    Confirmed,
    /// The end.
    Ended,
}

impl Arrived {
    /// Whether it is still to be taken from where it lies.
    pub(super) fn lies_there(&self) -> bool {
        match self {
            Arrived::Assembled(_) | Arrived::InInput(..) | Arrived::Part(..) => true,
            Arrived::Confirmed | Arrived::Ended | Arrived::Message(_) => false,
        }
    }
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
    /// The first part of a message, as it arrives.
    Part,
    /// The answer of this PING; messages are kept for later.
    Pong([u8; 8]),
    /// The next part of a message of which a part was received.
    Rest,
    /// A place for another message: the connection is open, and there is room in the outbox; messages are kept for later.
    Room,
}

impl Want {
    pub(super) fn is_part(self) -> bool {
        matches!(self, Want::Part | Want::Rest)
    }

    /// Whether messages that come meanwhile are kept for later calls.
    pub(super) fn keeps(self) -> bool {
        matches!(self, Want::Pong(_) | Want::Room)
    }
}

/// How far our direction is to be ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Finish {
    Open,
    /// Once everything was sent.
    Wanted,
    Done,
}

/// Whether the caller has the input, and with it the reading role, because a message lies in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lending {
    /// It has not.
    Nothing,
    /// There is nothing else in it.
    Message,
    /// Behind the message there is more.
    More,
    /// It had, and whoever closes has gone on without it: there was nothing else in it.
    Over,
}

impl Lending {
    /// A message lies in the input, as the last thing that was taken.
    #[inline]
    pub(super) fn of(input: &RecvBuf) -> Self {
        if input.is_empty() { Lending::Message } else { Lending::More }
    }
}

/// What only one thread does at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Reading,
    Writing,
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

    /// Takes them out, if there are any.
    #[inline]
    pub(super) fn take(&mut self) -> Option<Self> {
        self.first.is_some().then(|| std::mem::take(self))
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
pub(super) fn message(kind: Kind, data: Vec<u8>) -> Result<Message, Violation> {
    match kind {
        Kind::Binary => Ok(Message::Binary(data)),
        Kind::Text => String::from_utf8(data).map(Message::Text).map_err(|_| Violation::TextNotUtf8),
    }
}

pub(super) fn closed(text: &str) -> Error {
    Error::with(ErrorKind::Closed, text).in_phase(Phase::Send)
}

pub(super) fn interrupted() -> Error {
    closed("the connection on which the message was begun is gone")
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
