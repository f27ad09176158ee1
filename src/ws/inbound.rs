//! The receiving half, as `WebSocket` and `WsReceiver` have it.

use super::{
    config::Config,
    message::{Message, MessageRef},
    reopen::Reopen,
    sender::WsSender,
    socket::{Look, Socket},
    stage::{Arrived, Lending, Sender, Stage, Waiting, Want, message},
};
use crate::{
    buf::RecvBuf,
    drive::{Limits, Passed, Room, Stream, Watch, block_on, wait_readable},
    error::{Error, ErrorKind, Phase, Result},
    net::Cx,
    proto::ws::{Agreed, Kind},
    recv::Recv,
    time::Deadline,
};
use std::{
    sync::Arc,
    task::Poll,
    time::{Duration, Instant},
};

/// The receiving half.
#[derive(Debug)]
pub(super) struct Inbound {
    pub(super) socket: Arc<Socket>,
    /// The stream it is on now: for its descriptor.
    stream: Stream,
    pub(super) limits: Limits,
    config: Config,
    subprotocol: Option<String>,
    reopen: Option<Box<Reopen>>,
    lent: Lent,
    /// An iterator that has given its last item.
    spent: bool,
    /// There is an outbox.
    keeps_messages: bool,
}

/// What the last call has lent, which is given back by the next.
#[derive(Debug, Default)]
enum Lent {
    #[default]
    Nothing,
    /// The assembly of the core.
    Assembly(RecvBuf),
    /// The input of the core, and with it the reading role.
    Input(RecvBuf),
    /// A message that had waited.
    Message(Message),
}

/// What a quick wait comes to.
enum Quick {
    /// A message, which is the last so many bytes that were taken from the input, which is lent.
    Message(Kind, usize),
    /// The time is up.
    TimedOut,
    /// Something else has to be looked at in the other way.
    Unclear,
}

/// How long a call may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limit {
    deadline: Deadline,
    /// How long that was when the call began.
    left: Option<Duration>,
}

impl Limit {
    pub(super) const NEVER: Limit = Limit { deadline: Deadline::NEVER, left: None };

    pub(super) fn after(d: Duration) -> Self {
        let deadline = Deadline::after(d);
        Limit { deadline, left: deadline.instant().map(|_| d) }
    }
}

/// What one round of waiting comes to.
enum Step {
    Arrived(Result<Arrived>),
    /// It was opened again: the caller's code is to run, outside of the wait.
    Reopened,
}

impl Inbound {
    pub(super) fn new(socket: Arc<Socket>, stream: Stream, agreed: Agreed, config: Config, limits: Limits) -> Self {
        let subprotocol = agreed.subprotocol;
        let (reopen, lent) = (None, Lent::Nothing);
        Inbound { socket, stream, limits, config, subprotocol, reopen, lent, spent: false, keeps_messages: false }
    }

    pub(super) fn subprotocol(&self) -> Option<&str> {
        self.subprotocol.as_deref()
    }

    /// The descriptor to poll; none where the connection belongs to others too.
    #[cfg(unix)]
    pub(super) fn fd(&self) -> Option<std::os::fd::BorrowedFd<'_>> {
        let carrier = self.stream.carrier();
        if carrier.version() == http::Version::HTTP_2 { None } else { carrier.wire().fd() }
    }

    /// The socket to poll; none where the connection belongs to others too.
    #[cfg(windows)]
    pub(super) fn socket(&self) -> Option<std::os::windows::io::BorrowedSocket<'_>> {
        let carrier = self.stream.carrier();
        if carrier.version() == http::Version::HTTP_2 { None } else { carrier.wire().socket() }
    }

    /// Has it opened again when it breaks, and runs the caller's code for the first opening.
    pub(super) fn reopen_by(&mut self, mut reopen: Reopen) -> Result<()> {
        let mut core = self.socket.lock();
        core.reopens = reopen.reopens();
        core.stage = Stage::Opening;
        drop(core);
        let sender = WsSender::new(self.socket.clone(), self.limits.clone(), Sender::Opener);
        reopen.announce(&sender, self.subprotocol())?;
        self.socket.opened();
        self.reopen = Some(Box::new(reopen));
        Ok(())
    }

    /// Puts back from where the last message was lent.
    pub(super) fn give_back(&mut self) {
        match std::mem::take(&mut self.lent) {
            Lent::Nothing | Lent::Message(_) => {}
            Lent::Assembly(assembly) => self.socket.lock().give_back(assembly),
            Lent::Input(input) => {
                let mut core = self.socket.lock();
                if std::mem::replace(&mut core.lending, Lending::Nothing) != Lending::Over {
                    core.input = input;
                    self.socket.give_role_back(core);
                }
            }
        }
    }

    /// Waits for what is wanted; `None`: not in time.
    pub(super) fn wait(&mut self, want: Want, limit: Limit) -> Option<Result<Arrived>> {
        let deadline = limit.deadline;
        self.give_back();
        if let Some(arrived) = self.at_once(want) {
            return Some(Ok(arrived));
        }
        if want == Want::Message {
            let quick = self.quick(limit);
            let message = match (&quick, &self.lent) {
                (Quick::Message(kind, len), Lent::Input(input)) => message(*kind, input.taken(*len).to_vec()).ok(),
                _ => None,
            };
            self.give_back();
            match (message, quick) {
                (Some(message), _) => return Some(Ok(Arrived::Message(message))),
                (None, Quick::TimedOut) => return None,
                (None, Quick::Message(..) | Quick::Unclear) => {}
            }
        }
        // Nobody has waited for the wire yet.
        let mut look = Look::Later;
        loop {
            match block_on(deadline, |cx| self.poll(want, &mut look, cx)) {
                None => return None,
                Some(Step::Reopened) => self.announce(),
                Some(Step::Arrived(result)) => {
                    let progress = matches!(
                        result,
                        Ok(Arrived::Message(_) | Arrived::InInput(..) | Arrived::Assembled(_) | Arrived::Part(..))
                    );
                    if let (true, Some(reopen)) = (progress, &mut self.reopen) {
                        reopen.progressed();
                    }
                    return Some(result);
                }
            }
        }
    }

    /// Waits for bytes, if nothing but a short message is expected, and there are no limits but that of the time: the most frequent wait
    /// of all.
    fn quick(&mut self, limit: Limit) -> Quick {
        if self.reopen.is_some() || !self.limits.is_empty() {
            return Quick::Unclear;
        }
        let Inbound { socket, stream, lent, .. } = self;
        let waited = wait_readable(&**stream.carrier().wire(), limit.left, |waker| {
            let mut core = socket.lock();
            match lent {
                Lent::Input(input) if input.is_empty() && core.is_plain() => core.lending = Lending::Nothing,
                Lent::Nothing if !core.reading && core.input.is_empty() && core.is_plain() => {
                    core.reading = true;
                    *lent = Lent::Input(std::mem::take(&mut core.input));
                }
                _ => return false,
            }
            core.readers.leave(waker);
            drop(core);
            stream.watch_through(waker) == Watch::Armed
        });
        let (Some(ready), Lent::Input(input)) = (waited, lent) else { return Quick::Unclear };
        let now = Instant::now();
        if !ready {
            return if limit.deadline.has_passed(now) { Quick::TimedOut } else { Quick::Unclear };
        }
        let Passed::Bytes(_) = stream.read_through(Room::Buffer(input), now) else { return Quick::Unclear };
        let mut core = socket.lock();
        core.engine.received(now);
        match core.short(input) {
            Some((kind, len)) => {
                core.lending = Lending::of(input);
                Quick::Message(kind, len)
            }
            None => Quick::Unclear,
        }
    }

    /// What lies there whole, without the ceremony of a wait.
    fn at_once(&mut self, want: Want) -> Option<Arrived> {
        let mut core = self.socket.lock();
        if core.reading || core.writing || !matches!(core.stage, Stage::Open) || !core.has_buffered() {
            return None;
        }
        let unsent = core.unsent();
        let arrived = core.next(want, Instant::now())?;
        core.reading = arrived.lies_there();
        let owes = core.unsent() != unsent;
        let writers =
            if std::mem::take(&mut core.freed) { std::mem::take(&mut core.writers) } else { Waiting::default() };
        drop(core);
        writers.wake();
        if owes {
            self.socket.pump();
        }
        Some(arrived)
    }

    fn poll(&mut self, want: Want, look: &mut Look, cx: &mut Cx<'_>) -> Poll<Step> {
        if let Err(e) = self.limits.check(cx) {
            return Poll::Ready(Step::Arrived(Err(e.in_phase(Phase::Receive))));
        }
        loop {
            let Some(reopen) = self.reopen.as_mut().filter(|reopen| reopen.is_busy()) else {
                let arrived = match self.socket.poll_arrived(want, look, cx) {
                    Poll::Ready(arrived) => arrived,
                    Poll::Pending => return Poll::Pending,
                };
                match self.broke(&arrived) {
                    // Another connection does not go on with a message; the next call makes one.
                    Some(e) if want == Want::Rest => return Poll::Ready(Step::Arrived(Err(e))),
                    Some(e) => match self.reopen.as_mut().and_then(|reopen| reopen.failed(e, cx.now)) {
                        None => continue,
                        Some(e) => {
                            self.socket.abandon();
                            return Poll::Ready(Step::Arrived(Err(e)));
                        }
                    },
                    None => return Poll::Ready(Step::Arrived(arrived)),
                }
            };
            match reopen.poll(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok((stream, agreed))) => {
                    self.stream = stream.clone();
                    self.subprotocol.clone_from(&agreed.subprotocol);
                    self.socket.reopen(&self.config, &agreed, stream);
                    return Poll::Ready(Step::Reopened);
                }
                Poll::Ready(Err(e)) => {
                    if let Some(e) = reopen.failed(e, cx.now) {
                        self.socket.abandon();
                        return Poll::Ready(Step::Arrived(Err(e)));
                    }
                }
            }
        }
    }

    /// Why it has to be opened again, if it has.
    fn broke(&self, arrived: &Result<Arrived>) -> Option<Error> {
        if !matches!(arrived, Ok(Arrived::Ended) | Err(_)) || self.reopen.is_none() {
            return None;
        }
        let core = self.socket.lock();
        let Stage::Broken(ending) = &core.stage else { return None };
        Some(ending.error().unwrap_or_else(|| {
            let text = format!("the peer closed with {}: {}", ending.closed.code.unwrap_or(1005), ending.closed.reason);
            Error::with(ErrorKind::Closed, text).in_phase(Phase::Receive)
        }))
    }

    /// Runs the caller's code after it was opened again.
    fn announce(&mut self) {
        let sender = WsSender::new(self.socket.clone(), self.limits.clone(), Sender::Opener);
        let subprotocol = self.subprotocol.clone();
        let Some(reopen) = &mut self.reopen else { return };
        match reopen.announce(&sender, subprotocol.as_deref()) {
            Ok(()) => self.socket.opened(),
            // What failed shows as a broken connection, and another attempt is made if any is left.
            Err(e) => self.socket.opening_failed(&e),
        }
    }

    /// The next item of an iterator.
    pub(super) fn next(&mut self) -> Option<Result<Message>> {
        if self.spent {
            return None;
        }
        let item = self.message(Limit::NEVER).map(Recv::item).transpose();
        self.spent = !matches!(item, Some(Ok(_)));
        item
    }

    /// Whether bytes were received that nobody has looked at, here or below.
    pub(super) fn has_buffered(&self) -> bool {
        let lent = matches!(&self.lent, Lent::Input(input) if !input.is_empty());
        lent || self.socket.lock().has_buffered() || self.stream.has_buffered()
    }

    /// Whether it may depend on what arrives, or on another connection, that a message can be sent.
    #[inline]
    pub(super) fn sees_to_room(&self) -> bool {
        self.keeps_messages || self.reopen.is_some()
    }

    /// From now on messages are kept until they are confirmed.
    pub(super) fn keep_messages(&mut self, limit: usize) {
        self.keeps_messages = true;
        self.socket.keep_messages(limit);
    }

    /// Waits for a place for a message, where nobody else does what that depends on: receives, and opens the connection again.
    /// Returns how much time is left; `None`: no place in time.
    pub(super) fn make_room(&mut self, timeout: Duration) -> Result<Option<Duration>> {
        let core = self.socket.lock();
        if core.has_place() || matches!(core.stage, Stage::Closing | Stage::Ended(_)) {
            return Ok(Some(timeout));
        }
        drop(core);
        let limit = Limit::after(timeout);
        match self.wait(Want::Room, limit) {
            None => Ok(None),
            Some(Ok(_)) => Ok(Some(limit.deadline.left(Instant::now()).unwrap_or(timeout))),
            Some(Err(e)) => Err(e.in_phase(Phase::Send)),
        }
    }

    /// Waits for a message of its own.
    pub(super) fn message(&mut self, limit: Limit) -> Result<Recv<Message>> {
        match self.wait(Want::Message, limit) {
            None => Ok(Recv::TimedOut),
            Some(Err(e)) => Err(e),
            Some(Ok(Arrived::Message(message))) => Ok(Recv::Item(message)),
            Some(Ok(_)) => Ok(Recv::Ended),
        }
    }

    /// Waits for a message, where it lies.
    pub(super) fn message_ref(&mut self, timeout: Duration) -> Result<Recv<MessageRef<'_>>> {
        // The next short message behind the one that was lent.
        let next = match &mut self.lent {
            Lent::Input(input) if !input.is_empty() => {
                let mut core = self.socket.lock();
                let short = core.short(input);
                core.lending = Lending::of(input);
                short
            }
            Lent::Assembly(_) | Lent::Input(_) | Lent::Message(_) | Lent::Nothing => None,
        };
        let limit = if next.is_none() { Limit::after(timeout) } else { Limit::NEVER };
        let next = next.map_or_else(|| self.quick(limit), |(kind, len)| Quick::Message(kind, len));
        let (kind, len) = match next {
            Quick::Message(kind, len) => (kind, Some(len)),
            Quick::TimedOut => {
                self.give_back();
                return Ok(Recv::TimedOut);
            }
            Quick::Unclear => match self.wait(Want::Lent, limit) {
                None => return Ok(Recv::TimedOut),
                Some(arrived) => match arrived? {
                    Arrived::Message(message) => return Ok(Recv::Item(self.lend_message(message))),
                    Arrived::InInput(kind, len) => {
                        let mut core = self.socket.lock();
                        core.lending = Lending::of(&core.input);
                        self.lent = Lent::Input(std::mem::take(&mut core.input));
                        (kind, Some(len))
                    }
                    Arrived::Assembled(kind) => {
                        self.lent = Lent::Assembly(self.take_assembly());
                        (kind, None)
                    }
                    Arrived::Confirmed | Arrived::Ended | Arrived::Part(..) => return Ok(Recv::Ended),
                },
            },
        };
        let data = match (&self.lent, len) {
            (Lent::Input(input), Some(len)) => input.taken(len),
            (Lent::Assembly(assembly), None) => assembly.peek(),
            _ => return Ok(Recv::Ended),
        };
        match kind {
            Kind::Binary => Ok(Recv::Item(MessageRef::Binary(data))),
            Kind::Text => match std::str::from_utf8(data) {
                Ok(text) => Ok(Recv::Item(MessageRef::Text(text))),
                Err(e) => Err(Error::with(ErrorKind::PeerViolation, "a text that is not UTF-8").with_source(e)),
            },
        }
    }

    /// Takes what a call has received from the assembly.
    pub(super) fn take_assembly(&self) -> RecvBuf {
        let mut core = self.socket.lock();
        let assembly = std::mem::take(&mut core.assembly);
        self.socket.give_role_back(core);
        assembly
    }

    fn lend_message(&mut self, message: Message) -> MessageRef<'_> {
        self.lent = Lent::Message(message);
        match &self.lent {
            Lent::Message(message) => MessageRef::from(message),
            Lent::Assembly(_) | Lent::Input(_) | Lent::Nothing => MessageRef::Binary(&[]),
        }
    }

    /// Waits until the peer has answered a PING that is sent now.
    pub(super) fn confirm(&mut self, timeout: Duration) -> Result<Option<Duration>> {
        let limit = Limit::after(timeout);
        let began = Instant::now();
        self.give_back();
        let payload = self.socket.ping(limit.deadline, &mut self.limits)?;
        match self.wait(Want::Pong(payload), limit) {
            None => Ok(None),
            Some(Ok(Arrived::Confirmed)) => Ok(Some(began.elapsed())),
            Some(Ok(_)) => Err(Error::with(ErrorKind::Closed, "the connection is closed").in_phase(Phase::Receive)),
            Some(Err(e)) => Err(e),
        }
    }
}

impl Drop for Inbound {
    fn drop(&mut self) {
        self.give_back();
        if self.reopen.is_some() {
            self.socket.abandon();
        }
    }
}
