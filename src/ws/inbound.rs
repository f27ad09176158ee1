//! The receiving half, as `WebSocket` and `WsReceiver` have it.

use super::{
    config::Config,
    core::{Arrived, Stage, Want},
    message::{Message, MessageRef},
    reopen::Reopen,
    sender::WsSender,
    socket::{Sender, Socket},
};
use crate::{
    buf::RecvBuf,
    drive::{Limits, Stream, block_on},
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
}

/// What the last call has lent, which is given back by the next.
#[derive(Debug, Default)]
enum Lent {
    #[default]
    Nothing,
    /// The buffers of the core, one of which holds a message.
    Buffers(RecvBuf, Vec<u8>),
    /// A message that had waited.
    Message(Message),
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
        Inbound { socket, stream, limits, config, subprotocol, reopen: None, lent: Lent::Nothing, spent: false }
    }

    pub(super) fn subprotocol(&self) -> Option<&str> {
        self.subprotocol.as_deref()
    }

    pub(super) fn stream(&self) -> &Stream {
        &self.stream
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

    /// Puts the buffers back from which the last message was lent.
    pub(super) fn give_back(&mut self) {
        if let Lent::Buffers(input, assembly) = std::mem::take(&mut self.lent) {
            self.socket.lock().give_back(input, assembly);
        }
    }

    /// Waits for what is wanted; `None`: not in time.
    pub(super) fn wait(&mut self, want: Want, deadline: Deadline) -> Option<Result<Arrived>> {
        if !matches!(self.lent, Lent::Nothing) {
            self.give_back();
        }
        if let Some(arrived) = self.at_once(want) {
            return Some(Ok(arrived));
        }
        loop {
            match block_on(deadline, |cx| self.poll(want, cx)) {
                None => return None,
                Some(Step::Reopened) => self.announce(),
                Some(Step::Arrived(result)) => {
                    if let (Ok(Arrived::Message(_) | Arrived::InInput(..) | Arrived::Assembled(_)), Some(reopen)) =
                        (&result, &mut self.reopen)
                    {
                        reopen.progressed();
                    }
                    return Some(result);
                }
            }
        }
    }

    /// What lies there whole, without the ceremony of a wait.
    fn at_once(&mut self, want: Want) -> Option<Arrived> {
        let mut core = self.socket.lock();
        if core.reading || core.writing || core.has_work() || !matches!(core.stage, Stage::Open) || !core.has_buffered()
        {
            return None;
        }
        let arrived = core.next(want, Instant::now())?;
        let owes = core.has_work();
        drop(core);
        if owes {
            self.socket.pump();
        }
        Some(arrived)
    }

    fn poll(&mut self, want: Want, cx: &mut Cx<'_>) -> Poll<Step> {
        if let Err(e) = self.limits.check(cx) {
            return Poll::Ready(Step::Arrived(Err(e.in_phase(Phase::Receive))));
        }
        loop {
            let Some(reopen) = self.reopen.as_mut().filter(|reopen| reopen.is_busy()) else {
                let arrived = match self.socket.poll_arrived(want, cx) {
                    Poll::Ready(arrived) => arrived,
                    Poll::Pending => return Poll::Pending,
                };
                match self.broke(&arrived) {
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
        let item = self.message(Deadline::NEVER).map(Recv::item).transpose();
        self.spent = !matches!(item, Some(Ok(_)));
        item
    }

    /// Whether bytes were received that nobody has looked at, here or below.
    pub(super) fn has_buffered(&self) -> bool {
        let lent = matches!(&self.lent, Lent::Buffers(input, _) if !input.is_empty());
        lent || self.socket.lock().has_buffered() || self.stream.has_buffered()
    }

    /// Waits for a message of its own.
    pub(super) fn message(&mut self, deadline: Deadline) -> Result<Recv<Message>> {
        match self.wait(Want::Message, deadline) {
            None => Ok(Recv::TimedOut),
            Some(Err(e)) => Err(e),
            Some(Ok(Arrived::Message(message))) => Ok(Recv::Item(message)),
            Some(Ok(_)) => Ok(Recv::Ended),
        }
    }

    /// Waits for a message, where it lies.
    pub(super) fn message_ref(&mut self, deadline: Deadline) -> Result<Recv<MessageRef<'_>>> {
        let arrived = match self.wait(Want::Lent, deadline) {
            None => return Ok(Recv::TimedOut),
            Some(arrived) => arrived?,
        };
        let (kind, len) = match arrived {
            Arrived::Message(message) => {
                self.lent = Lent::Message(message);
                return match &self.lent {
                    Lent::Message(message) => Ok(Recv::Item(MessageRef::from(message))),
                    Lent::Nothing | Lent::Buffers(..) => Ok(Recv::TimedOut),
                };
            }
            Arrived::InInput(kind, len) => (kind, Some(len)),
            Arrived::Assembled(kind) => (kind, None),
            Arrived::Confirmed | Arrived::Ended => return Ok(Recv::Ended),
        };
        let mut core = self.socket.lock();
        self.lent = Lent::Buffers(std::mem::take(&mut core.input), std::mem::take(&mut core.assembly));
        drop(core);
        let Lent::Buffers(input, assembly) = &self.lent else { return Ok(Recv::TimedOut) };
        let data = len.map_or(assembly.as_slice(), |len| input.taken(len));
        match kind {
            Kind::Binary => Ok(Recv::Item(MessageRef::Binary(data))),
            Kind::Text => match std::str::from_utf8(data) {
                Ok(text) => Ok(Recv::Item(MessageRef::Text(text))),
                Err(e) => Err(Error::with(ErrorKind::PeerViolation, "a text that is not UTF-8").with_source(e)),
            },
        }
    }

    /// Waits until the peer has answered a PING that is sent now.
    pub(super) fn confirm(&mut self, timeout: Duration) -> Result<Option<Duration>> {
        let deadline = Deadline::after(timeout);
        let began = Instant::now();
        self.give_back();
        let payload = self.socket.ping(deadline, &mut self.limits)?;
        match self.wait(Want::Pong(payload), deadline) {
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
