//! One socket as its halves share it: a lock, the reading and the writing role, and the steps that both take.
//!
//! Reading and writing are flags under the lock; whoever has one has the bytes with it and works on them without the lock.
//! Nobody keeps a role while waiting.

use super::{
    config::Config,
    core::{Arrived, Core, Ending, Finish, Linger, ROOM, Stage, Want, refused},
    message::{CloseCode, Closed, MessageRef, Sent},
};
use crate::{
    drive::{Fault, Limits, SentPart, Stream, block_on},
    error::{Error, ErrorKind, Phase, Result},
    net::Cx,
    proto::{
        End, Role,
        ws::{Agreed, Kind},
    },
    time::Deadline,
};
use std::{
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
    task::Poll,
    time::{Duration, Instant},
};

/// How long a close waits for the answer, beyond what the engine waits: it is the engine that gives up.
const CLOSE_WAIT: Duration = Duration::from_secs(4);

/// How long an end is held back while the wire does not take our Close. On a socket it takes it at once.
const LINGER: Duration = Duration::from_millis(250);

/// Who sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sender {
    /// Anybody: waits while the socket is being opened.
    Anybody,
    /// `on_open`: goes first.
    Opener,
}

/// One socket as its halves share it.
#[derive(Debug)]
pub(super) struct Socket {
    core: Mutex<Core>,
    /// Set once, when nothing can follow any more.
    closed: OnceLock<Closed>,
    pub(super) send_timeout: Duration,
}

impl Socket {
    pub(super) fn new(role: Role, config: &Config, agreed: &Agreed, stream: Stream) -> Self {
        let core = Core::new(role, &config.engine(), agreed, stream, config.max_message);
        Socket { core: Mutex::new(core), closed: OnceLock::new(), send_timeout: config.send_timeout }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How it ended, once it has for good.
    pub(super) fn closed(&self) -> Option<&Closed> {
        self.closed.get()
    }

    /// Notes an end for good.
    fn note_end(&self, core: &Core) {
        if let Stage::Ended(ending) = &core.stage {
            // The first end counts.
            let _ = self.closed.set(ending.closed.clone());
        }
    }

    /// Gives what is framed to the stream, as far as it takes it. Ready once nothing is left.
    pub(super) fn poll_pump(&self, cx: &mut Cx<'_>) -> Poll<Result<(), Fault>> {
        loop {
            let mut core = self.lock();
            if core.writing {
                core.writers.leave(cx.waker);
                return Poll::Pending;
            }
            if !core.has_work() {
                return Poll::Ready(Ok(()));
            }
            let (out, mut at) = (std::mem::take(&mut core.out), std::mem::take(&mut core.at));
            let end = if core.finish == Finish::Wanted { End::Last } else { End::More };
            let (stream, generation) = (core.stream.clone(), core.generation);
            core.writing = true;
            drop(core);

            let sent = stream.poll_send(&out[at..], end, cx);

            let mut core = self.lock();
            core.writing = false;
            let wakers = std::mem::take(&mut core.writers);
            if core.generation != generation {
                // It was opened again meanwhile; this was for the old connection.
                drop(core);
                wakers.wake();
                continue;
            }
            let result = match sent {
                Poll::Pending => {
                    core.put_back(out, at);
                    Some(Poll::Pending)
                }
                Poll::Ready(Ok(SentPart::Some(n))) => {
                    at += n;
                    if at == out.len() && end == End::Last {
                        core.finish = Finish::Done;
                    }
                    core.put_back(out, at);
                    None
                }
                Poll::Ready(failed) => {
                    // Nothing goes out any more; what came in before shows when it is read.
                    core.out.clear();
                    core.at = 0;
                    core.finish = Finish::Done;
                    Some(Poll::Ready(failed.map(|_| ())))
                }
            };
            let unsent = core.unsent();
            let Core { engine, out, .. } = &mut *core;
            engine.unsent(unsent, out);
            drop(core);
            wakers.wake();
            if let Some(result) = result {
                return result;
            }
        }
    }

    /// Ready once everything accepted is in the hands of the operating system.
    fn poll_flushed(&self, cx: &mut Cx<'_>) -> Poll<Result<()>> {
        match self.poll_pump(cx) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Err(fault)) => return Poll::Ready(Err(fault.to_error().in_phase(Phase::Send))),
            Poll::Ready(Ok(())) => {}
        }
        let stream = self.lock().stream.clone();
        stream.poll_flushed(cx).map(|r| r.map_err(|fault| fault.to_error().in_phase(Phase::Send)))
    }

    /// Accepts a message once there is room.
    fn poll_accept(&self, message: MessageRef<'_>, sender: Sender, cx: &mut Cx<'_>) -> Poll<Result<()>> {
        let mut tried = None;
        loop {
            let mut core = self.lock();
            match (&core.stage, sender) {
                (Stage::Open, _) | (Stage::Opening, Sender::Opener) => {}
                (Stage::Opening | Stage::Broken(_), Sender::Anybody) => {
                    core.writers.leave(cx.waker);
                    return Poll::Pending;
                }
                (Stage::Closing | Stage::Ended(_), _) | (Stage::Broken(_), Sender::Opener) => {
                    let e = Error::with(ErrorKind::Closed, "the connection is closing or closed");
                    return Poll::Ready(Err(e.in_phase(Phase::Send)));
                }
            }
            if core.finish == Finish::Done && !core.reopens {
                let e = Error::with(ErrorKind::Closed, "the peer takes no more");
                return Poll::Ready(Err(e.in_phase(Phase::Send)));
            }
            if core.unsent() < ROOM && core.finish == Finish::Open {
                let (kind, data) = match message {
                    MessageRef::Text(text) => (Kind::Text, text.as_bytes()),
                    MessageRef::Binary(bytes) => (Kind::Binary, bytes),
                };
                let Core { engine, out, .. } = &mut *core;
                if let Err(misuse) = engine.send(kind, data, out) {
                    return Poll::Ready(Err(refused(misuse)));
                }
                core.stats.messages_out += 1;
                core.stats.bytes_out += data.len() as u64;
                return Poll::Ready(Ok(()));
            }
            if core.finish == Finish::Done {
                // The connection is lost, and whoever receives will open it again.
                core.writers.leave(cx.waker);
                let readers = std::mem::take(&mut core.readers);
                drop(core);
                readers.wake();
                return Poll::Pending;
            }
            if tried == Some(Poll::Pending) {
                core.writers.leave(cx.waker);
                return Poll::Pending;
            }
            drop(core);
            tried = Some(match self.poll_pump(cx) {
                Poll::Ready(_) => Poll::Ready(()),
                Poll::Pending => Poll::Pending,
            });
        }
    }

    /// Sends a message: accepted until `deadline` or not at all; then waits until it has gone, at most until `deadline`.
    pub(super) fn send(
        &self,
        message: MessageRef<'_>,
        sender: Sender,
        deadline: Deadline,
        limits: &mut Limits,
    ) -> Result<Sent> {
        let mut accepted = false;
        let sent = block_on(deadline, |cx| {
            if let Err(e) = limits.check(cx) {
                return Poll::Ready(Err(e.in_phase(Phase::Send)));
            }
            if !accepted {
                match self.poll_accept(message, sender, cx) {
                    Poll::Ready(Ok(())) => accepted = true,
                    other => return other,
                }
            }
            self.poll_flushed(cx)
        });
        match sent {
            Some(Ok(())) => Ok(Sent::Accepted),
            Some(Err(e)) => Err(e),
            None if accepted => Ok(Sent::Accepted),
            None => Ok(Sent::TimedOut),
        }
    }

    /// Sends a message if there is room.
    pub(super) fn try_send(&self, message: MessageRef<'_>, sender: Sender) -> Result<Sent> {
        let accepted = block_on(Deadline::at(Instant::now()), |cx| match self.poll_accept(message, sender, cx) {
            Poll::Ready(Ok(())) => {
                // What is not taken now goes out with whatever is called next.
                let _ = self.poll_pump(cx);
                Poll::Ready(Ok(()))
            }
            other => other,
        });
        match accepted {
            Some(result) => result.map(|()| Sent::Accepted),
            None => Ok(Sent::TimedOut),
        }
    }

    /// Sends a PING whose answer is timed, once there is room; returns its payload.
    pub(super) fn ping(&self, deadline: Deadline, limits: &mut Limits) -> Result<[u8; 8]> {
        let deadline = deadline.earlier(Deadline::after(self.send_timeout));
        let sent = block_on(deadline, |cx| {
            if let Err(e) = limits.check(cx) {
                return Poll::Ready(Err(e.in_phase(Phase::Send)));
            }
            self.poll_ping(cx)
        });
        sent.unwrap_or_else(
            || Err(Error::with(ErrorKind::TimedOut, "no room for a ping in time").in_phase(Phase::Send)),
        )
    }

    fn poll_ping(&self, cx: &mut Cx<'_>) -> Poll<Result<[u8; 8]>> {
        let full = self.lock().unsent() >= ROOM;
        if full && self.poll_pump(cx).is_pending() {
            return Poll::Pending;
        }
        let mut core = self.lock();
        let Core { engine, out, .. } = &mut *core;
        let payload = match engine.probe(cx.now, out) {
            Ok(payload) => payload,
            Err(misuse) => return Poll::Ready(Err(refused(misuse))),
        };
        // The receiver may have an earlier deadline now.
        let readers = std::mem::take(&mut core.readers);
        drop(core);
        readers.wake();
        let _ = self.poll_pump(cx);
        Poll::Ready(Ok(payload))
    }

    /// Gives what is to go out to the stream, as far as it takes it at once.
    pub(super) fn pump(&self) {
        block_on(Deadline::at(Instant::now()), |cx| {
            let _ = self.poll_pump(cx);
            Poll::Ready(())
        });
    }

    /// The next thing a call wants. What is there comes before the stream; what is to go out goes out meanwhile.
    pub(super) fn poll_arrived(&self, want: Want, cx: &mut Cx<'_>) -> Poll<Result<Arrived>> {
        let mut looked = false;
        loop {
            let mut core = self.lock();
            if core.reading {
                core.readers.leave(cx.waker);
                return Poll::Pending;
            }
            let arrived = core.next(want, cx.now);
            if core.has_work() {
                drop(core);
                // A stream that fails says so when it is read.
                let _ = self.poll_pump(cx);
                core = self.lock();
            }
            if let Some(arrived) = arrived {
                return Poll::Ready(Ok(arrived));
            }
            if matches!(core.stage, Stage::Broken(_) | Stage::Ended(_)) {
                self.note_end(&core);
                let (readers, writers) = core.everyone();
                drop(core);
                readers.wake_others(cx.waker);
                writers.wake_others(cx.waker);
                core = self.lock();
            }
            match &core.stage {
                Stage::Ended(_) | Stage::Broken(_) if core.linger != Linger::Nothing => {
                    drop(core);
                    if self.poll_last(cx).is_pending() {
                        return Poll::Pending;
                    }
                    continue;
                }
                Stage::Ended(ending) | Stage::Broken(ending) => {
                    return Poll::Ready(ending.error().map_or(Ok(Arrived::Ended), Err));
                }
                Stage::Closing if want != Want::End => return Poll::Ready(Ok(Arrived::Ended)),
                Stage::Opening | Stage::Open | Stage::Closing => {}
            }
            if matches!(want, Want::Pong(_)) && core.is_full() {
                // The PONG is behind more than is kept: only the time limit of the call ends this.
                return Poll::Pending;
            }
            match self.fill(core, cx) {
                Poll::Ready(()) => continue,
                Poll::Pending => core = self.lock(),
            }
            if let Some(due) = core.engine.deadline() {
                if due > cx.now {
                    cx.wait_until(Deadline::at(due));
                } else if looked {
                    core.on_deadline(cx.now);
                    continue;
                } else {
                    // Bytes that lie on the wire unread are signs of life.
                    looked = true;
                    let stream = core.stream.clone();
                    drop(core);
                    stream.carrier().look(cx.now);
                    continue;
                }
            }
            if matches!(core.stage, Stage::Closing) && want != Want::End {
                continue;
            }
            core.readers.leave(cx.waker);
            return Poll::Pending;
        }
    }

    /// Ready once the wire has taken our Close, or will not within [`LINGER`]: whoever gives the socket up then takes nothing away from it.
    fn poll_last(&self, cx: &mut Cx<'_>) -> Poll<()> {
        let flushed = self.poll_flushed(cx);
        let mut core = self.lock();
        let until = match core.linger {
            Linger::Nothing => return Poll::Ready(()),
            Linger::Wanted => cx.now + LINGER,
            Linger::Until(until) => until,
        };
        if flushed.is_ready() || until <= cx.now {
            core.linger = Linger::Nothing;
            return Poll::Ready(());
        }
        core.linger = Linger::Until(until);
        cx.wait_until(Deadline::at(until));
        Poll::Pending
    }

    /// Takes what arrived on the stream; ready if that changed anything.
    fn fill(&self, mut core: MutexGuard<'_, Core>, cx: &mut Cx<'_>) -> Poll<()> {
        let mut input = std::mem::take(&mut core.input);
        let stream = core.stream.clone();
        core.reading = true;
        drop(core);

        let filled = stream.poll_fill(&mut input, cx);

        let mut core = self.lock();
        core.input = input;
        core.reading = false;
        let readers = std::mem::take(&mut core.readers);
        let result = match filled {
            Poll::Pending => {
                core.input.shrink(false);
                Poll::Pending
            }
            Poll::Ready(Ok(0)) => {
                core.end_of_input();
                Poll::Ready(())
            }
            Poll::Ready(Ok(_)) => {
                core.engine.received(cx.now);
                Poll::Ready(())
            }
            Poll::Ready(Err(fault)) => {
                core.end(Ending::broken(&fault.to_error()));
                Poll::Ready(())
            }
        };
        drop(core);
        readers.wake_others(cx.waker);
        result
    }

    /// Sends Close and waits for theirs; whatever else comes is discarded.
    pub(super) fn close(&self, code: CloseCode, reason: &str, limits: &mut Limits) -> Result<()> {
        let now = Instant::now();
        let mut core = self.lock();
        match &core.stage {
            Stage::Opening | Stage::Open => {
                let Core { engine, out, .. } = &mut *core;
                engine.close(Some(code.as_u16()), reason, now, out).map_err(refused)?;
                core.stage = Stage::Closing;
            }
            Stage::Broken(ending) => core.stage = Stage::Ended(ending.clone()),
            Stage::Closing | Stage::Ended(_) => return Ok(()),
        }
        self.note_end(&core);
        let (readers, writers) = core.everyone();
        drop(core);
        readers.wake();
        writers.wake();
        let ended = block_on(Deadline::after(CLOSE_WAIT), |cx| {
            if let Err(e) = limits.check(cx) {
                return Poll::Ready(Err(e));
            }
            self.poll_arrived(Want::End, cx)
        });
        match ended {
            Some(Ok(_)) => Ok(()),
            Some(Err(e)) => Err(e.in_phase(Phase::Close)),
            None => {
                Err(Error::with(ErrorKind::TimedOut, "no close frame came in answer to ours").in_phase(Phase::Close))
            }
        }
    }

    /// Nobody receives any more, so nobody opens it again.
    pub(super) fn abandon(&self) {
        let mut core = self.lock();
        core.reopens = false;
        if let Stage::Broken(ending) = &core.stage {
            core.stage = Stage::Ended(ending.clone());
        }
        self.note_end(&core);
        let (readers, writers) = core.everyone();
        drop(core);
        readers.wake();
        writers.wake();
    }

    /// Goes on with another connection.
    pub(super) fn reopen(&self, config: &Config, agreed: &Agreed, stream: Stream) {
        let mut core = self.lock();
        core.reopen(&config.engine(), agreed, stream, Instant::now());
        let (readers, writers) = core.everyone();
        drop(core);
        readers.wake();
        writers.wake();
    }

    /// Lets everybody send, unless it broke meanwhile.
    pub(super) fn opened(&self) {
        let mut core = self.lock();
        if matches!(core.stage, Stage::Opening) {
            core.stage = Stage::Open;
        }
        let (readers, writers) = core.everyone();
        drop(core);
        readers.wake();
        writers.wake();
    }

    /// What `on_open` did not survive counts as a broken connection.
    pub(super) fn opening_failed(&self, e: &Error) {
        let mut core = self.lock();
        if matches!(core.stage, Stage::Opening | Stage::Open) {
            core.stage = Stage::Broken(Ending::broken(e));
        }
    }
}
