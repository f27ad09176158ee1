//! Opening it again when it breaks.

use super::sender::WsSender;
use crate::{
    drive::{Backoff, Stream},
    error::{Error, ErrorKind, Result},
    net::Cx,
    proto::ws::Agreed,
    time::Deadline,
};
use std::{
    fmt,
    task::Poll,
    time::{Duration, Instant},
};

/// What [`on_open`](crate::ws::Builder::on_open) is told.
#[non_exhaustive]
#[derive(Debug)]
pub struct Opened {
    /// How often it was opened, this time included.
    pub count: u64,
    /// The subprotocol agreed on.
    pub subprotocol: Option<String>,
    /// Why it had to be opened again.
    pub last_error: Option<Error>,
}

/// The caller's code that runs after every opening.
pub(crate) type OnOpen = Box<dyn FnMut(&WsSender, &Opened) -> Result<()> + Send>;

/// A handshake on its way.
pub(crate) trait Opening: Send {
    /// Moves it on.
    fn poll(&mut self, cx: &mut Cx<'_>) -> Poll<Result<(Stream, Agreed)>>;
}

/// Begins a handshake.
pub(crate) type Open = Box<dyn FnMut() -> Result<Box<dyn Opening>> + Send>;

/// How a socket is opened again.
pub(crate) struct Reopen {
    open: Open,
    on_open: Option<OnOpen>,
    backoff: Option<Backoff>,
    state: State,
    /// Attempts in a row after which no message came.
    failures: u32,
    count: u64,
    last_error: Option<Error>,
}

enum State {
    /// It is open, as far as is known.
    Open,
    /// The next attempt is made then.
    Pausing(Instant),
    /// A handshake is on its way.
    Opening(Box<dyn Opening>),
}

impl fmt::Debug for Reopen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reopen")
            .field("backoff", &self.backoff)
            .field("failures", &self.failures)
            .field("count", &self.count)
            .finish_non_exhaustive()
    }
}

impl Reopen {
    /// A socket that was opened once.
    pub(crate) fn new(open: Open, on_open: Option<OnOpen>, backoff: Option<Backoff>) -> Self {
        Reopen { open, on_open, backoff, state: State::Open, failures: 0, count: 1, last_error: None }
    }

    /// Whether it is opened again at all.
    pub(super) fn reopens(&self) -> bool {
        self.backoff.is_some()
    }

    /// Whether it is just being opened again.
    pub(super) fn is_busy(&self) -> bool {
        !matches!(self.state, State::Open)
    }

    /// A message came: the next break is a new one.
    pub(super) fn progressed(&mut self) {
        self.failures = 0;
    }

    /// It broke, or an attempt failed. Gives the error back after the last attempt, and where another one would be as vain.
    pub(super) fn failed(&mut self, e: Error, now: Instant) -> Option<Error> {
        self.failures += 1;
        let pause = if is_vain(&e) { None } else { self.backoff.as_ref().and_then(|b| b.pause(self.failures)) };
        let Some(pause) = pause else {
            self.state = State::Open;
            return Some(e);
        };
        self.last_error = Some(e);
        self.state = State::Pausing(now.checked_add(pause).unwrap_or(now + Duration::from_secs(60)));
        None
    }

    /// Moves the next attempt on; ready with its outcome.
    pub(super) fn poll(&mut self, cx: &mut Cx<'_>) -> Poll<Result<(Stream, Agreed)>> {
        loop {
            match &mut self.state {
                State::Open => return Poll::Ready(Err(Error::with(ErrorKind::Misuse, "it is open"))),
                State::Pausing(until) if *until > cx.now => {
                    cx.wait_until(Deadline::at(*until));
                    return Poll::Pending;
                }
                State::Pausing(_) => match (self.open)() {
                    Ok(opening) => self.state = State::Opening(opening),
                    Err(e) => return Poll::Ready(Err(e)),
                },
                State::Opening(opening) => {
                    let result = opening.poll(cx);
                    if let Poll::Ready(Ok(_)) = result {
                        self.state = State::Open;
                        self.count += 1;
                    }
                    return result;
                }
            }
        }
    }

    /// Runs the caller's code after an opening.
    pub(super) fn announce(&mut self, sender: &WsSender, subprotocol: Option<&str>) -> Result<()> {
        let opened = Opened {
            count: self.count,
            subprotocol: subprotocol.map(str::to_owned),
            last_error: self.last_error.take(),
        };
        match &mut self.on_open {
            Some(on_open) => on_open(sender, &opened),
            None => Ok(()),
        }
    }
}

/// Whether another attempt would end the same way.
fn is_vain(e: &Error) -> bool {
    matches!(
        e.kind(),
        ErrorKind::InvalidInput | ErrorKind::Misuse | ErrorKind::Unsupported | ErrorKind::Cancelled | ErrorKind::Other
    )
}
