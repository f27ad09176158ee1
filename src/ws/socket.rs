//! One socket as its halves share it: a lock, the reading and the writing role, and the steps that both take.
//!
//! Reading and writing are flags under the lock; whoever has one has the bytes with it and works on them without the lock.
//! Nobody keeps the writing role while waiting. The reading role is kept by who waits for nothing but bytes of the wire, and by who has
//! lent a message.

use super::{
    config::Config,
    core::{Core, ROOM},
    message::{CloseCode, Closed, Message, MessageRef, Sent},
    out::Flush,
    outbox::Outbox,
    stage::{Ending, Finish, Lending, Outgoing, Role, Sender, Stage, Want, Writer, refused},
};
use crate::{
    drive::{Limits, SentPart, Stream, Written, block_on},
    error::{Error, ErrorKind, Phase, Processed, Result},
    net::Cx,
    proto::{End, Role as Side, ws::Agreed},
    time::Deadline,
};
use std::{
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
    task::Poll,
    time::{Duration, Instant},
};

/// How long a close waits for the answer, beyond what the engine waits: it is the engine that gives up.
const CLOSE_WAIT: Duration = Duration::from_secs(4);

/// How much is gathered by sends that are buffered, before it is sent: few calls to the system, and little memory still.
const BUFFER: usize = 256 * 1024;

/// How often a call that is done takes along what others accepted while it wrote for them: whoever goes on sending does it then.
const ROUNDS: u32 = 8;

/// Whether there is reason to believe that something can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// Nothing can have come yet: the wire is waited for first.
    Later,
    /// The wire was waited for.
    Now,
}

/// How far a message has got without waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AtOnce {
    /// It is accepted, up to there in all that was ever framed, and not all of it has gone.
    Accepted(u64),
    /// The wire has taken it.
    Gone,
    /// Something is in its way.
    Nothing,
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
    pub(super) fn new(role: Side, config: &Config, agreed: &Agreed, stream: Stream) -> Self {
        let core = Core::new(role, &config.engine(), agreed, stream, config.max_message);
        Socket { core: Mutex::new(core), closed: OnceLock::new(), send_timeout: config.send_timeout }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Uses the stream, and so a wire that may be the caller's, without the lock. If that panics the socket ends: nobody else waits for
    /// ever for the role that the panicking thread had.
    pub(super) fn outside<R>(&self, role: Role, f: impl FnOnce() -> R) -> R {
        struct Unwinding<'a>(&'a Socket, Role);
        impl Drop for Unwinding<'_> {
            fn drop(&mut self) {
                let Unwinding(socket, role) = self;
                let mut core = socket.lock();
                core.wire_panicked(*role);
                socket.note_end(&core);
                let (readers, writers) = core.everyone();
                drop(core);
                readers.wake();
                writers.wake();
            }
        }
        let unwinding = Unwinding(self, role);
        let result = f();
        std::mem::forget(unwinding);
        result
    }

    /// How it ended, once it has for good.
    pub(super) fn closed(&self) -> Option<&Closed> {
        self.closed.get()
    }

    /// Notes an end for good.
    pub(super) fn note_end(&self, core: &Core) {
        if let Stage::Ended(ending) = &core.stage {
            // The first end counts.
            let _ = self.closed.set(ending.closed.clone());
        }
    }

    /// Gives what is framed to the stream, as far as it takes it. Ready once nothing is left.
    ///
    /// What others frame meanwhile comes in the next round: between two of them there are time limits and tokens to be looked at.
    pub(super) fn poll_pump(&self, cx: &mut Cx<'_>) -> Poll<()> {
        // Once the wire has taken a part it is full: the buffers below see to the rest.
        let mut full = false;
        let mut upto = None;
        loop {
            let mut core = self.lock();
            if core.writing {
                core.writers.leave(cx.waker);
                return Poll::Pending;
            }
            if !core.has_work() {
                return Poll::Ready(());
            }
            let upto = *upto.get_or_insert_with(|| core.outbound.framed());
            if core.outbound.has_given(upto) && core.unsent() > 0 {
                cx.wait_until(Deadline::at(cx.now));
                return Poll::Pending;
            }
            let (out, at) = core.begin_write();
            let (stream, generation) = (core.stream.clone(), core.generation);
            let finish = core.finish;
            drop(core);

            let rest = &out[at..];
            let part = &rest[..rest.len().min(ROOM)];
            let end = if finish == Finish::Wanted && part.len() == rest.len() { End::Last } else { End::More };
            let (past, sent) = self.outside(Role::Writing, || {
                let past = if full { Written::NOTHING } else { stream.write_through(rest, cx.now) };
                let sent = match past.taken {
                    0 => stream.poll_send(part, end, cx),
                    n => Poll::Ready(Ok(SentPart::Some(n))),
                };
                (past, sent)
            });
            full = past.taken > 0 && !past.flushed;

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
                    core.outbound.end(out, at, 0);
                    Some(Poll::Pending)
                }
                Poll::Ready(Ok(SentPart::Some(n))) => {
                    if past.taken == 0 && n == part.len() && end == End::Last {
                        core.finish = Finish::Done;
                    }
                    core.outbound.end(out, at + n, n);
                    None
                }
                Poll::Ready(failed @ (Ok(SentPart::Stopped) | Err(_))) => {
                    // Nothing goes out any more; what came in before shows when it is read.
                    core.outbound.lose(failed.err());
                    core.finish = Finish::Done;
                    Some(Poll::Ready(()))
                }
            };
            let unsent = core.unsent();
            let Core { engine, outbound, .. } = &mut *core;
            engine.unsent(unsent, &mut outbound.bytes);
            drop(core);
            wakers.wake();
            if let Some(result) = result {
                return result;
            }
        }
    }

    /// Accepts a message once less than `room` is unsent; returns up to where it is, in all that was ever framed.
    fn poll_accept(
        &self,
        what: Outgoing<'_>,
        sender: Sender,
        room: usize,
        look: &mut Look,
        cx: &mut Cx<'_>,
    ) -> Poll<Result<u64>> {
        let mut tried = None;
        loop {
            let mut core = self.lock();
            match core.may_send(what, sender) {
                Ok(true) => {}
                Ok(false) => {
                    core.writers.leave(cx.waker);
                    let (work, reads) = (core.has_work(), core.waits_for_outbox());
                    drop(core);
                    if work {
                        // What was accepted before may be what it waits for.
                        let _ = self.poll_pump(cx);
                    }
                    // Or what the peer answers, if nobody else receives.
                    if reads && self.poll_arrived(Want::Room, look, cx).is_ready() {
                        continue;
                    }
                    return Poll::Pending;
                }
                Err(e) => return Poll::Ready(Err(e)),
            }
            if core.unsent() < room && core.finish == Finish::Open {
                return Poll::Ready(core.frame(what, sender).map(|()| core.outbound.framed()));
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

    /// Accepts a message and gives it to the wire, if nothing is in the way of either.
    #[inline]
    fn at_once(&self, what: Outgoing<'_>, sender: Sender) -> Result<AtOnce> {
        let mut core = self.lock();
        if core.writing || core.unsent() > 0 {
            return Ok(AtOnce::Nothing);
        }
        match what {
            Outgoing::Whole(message) if core.frame_short(message) => {}
            _ if core.takes_at_once(what) => core.frame(what, sender)?,
            _ => return Ok(AtOnce::Nothing),
        }
        let upto = core.outbound.framed();
        let (out, _) = core.begin_write();
        let (stream, generation) = (core.stream.clone(), core.generation);
        drop(core);

        let Written { taken, flushed } = self.outside(Role::Writing, || stream.write_through(&out, Instant::now()));

        let mut core = self.lock();
        core.writing = false;
        let wakers = core.writers.take();
        // Else what it was for is over.
        let mut gone = true;
        if core.generation == generation {
            core.outbound.end(out, taken, taken);
            gone = flushed && !core.has_work();
        }
        drop(core);
        if let Some(wakers) = wakers {
            wakers.wake();
        }
        Ok(if gone { AtOnce::Gone } else { AtOnce::Accepted(upto) })
    }

    /// Sends: accepted within `timeout` or not at all; then waits until it has gone, at most as long.
    pub(super) fn send(&self, what: Outgoing<'_>, sender: Sender, timeout: Duration, limits: &Limits) -> Result<Sent> {
        limits.check_at_once().map_err(|e| e.in_phase(Phase::Send))?;
        let accepted = match self.at_once(what, sender)? {
            AtOnce::Gone => return Ok(Sent::Accepted),
            AtOnce::Accepted(upto) => Some(Flush::Accepted(upto)),
            AtOnce::Nothing => None,
        };
        self.send_slowly(what, sender, timeout, limits, accepted)
    }

    /// The rest of it, where something was in the way.
    #[inline(never)]
    fn send_slowly(
        &self,
        what: Outgoing<'_>,
        sender: Sender,
        timeout: Duration,
        limits: &Limits,
        mut accepted: Option<Flush>,
    ) -> Result<Sent> {
        let (mut limits, mut look) = (limits.clone(), Look::Later);
        let sent = block_on(Deadline::after(timeout), |cx| {
            if let Err(e) = limits.check(cx) {
                return Poll::Ready(Err(e.in_phase(Phase::Send)));
            }
            let flush = match &mut accepted {
                Some(flush) => flush,
                None => match self.poll_accept(what, sender, ROOM, &mut look, cx) {
                    Poll::Ready(Ok(upto)) => accepted.insert(Flush::Accepted(upto)),
                    Poll::Ready(Err(e)) => return Poll::Ready(Err(e)),
                    Poll::Pending => return Poll::Pending,
                },
            };
            self.poll_flushed(flush, cx)
        });
        // What is left unsent, of this message or of one that came behind it, is somebody else's from here on.
        self.hand_over();
        match sent {
            Some(Ok(())) => Ok(Sent::Accepted),
            Some(Err(e)) if accepted.is_some() => Err(e.with_processed(Processed::Maybe)),
            Some(Err(e)) => Err(e),
            None if accepted.is_some() => Ok(Sent::Accepted),
            None => Ok(Sent::TimedOut),
        }
    }

    /// Whether something accepted is unsent.
    pub(super) fn wants_write(&self) -> bool {
        let core = self.lock();
        core.has_work() || !core.stream.carrier().is_flushed()
    }

    /// Accepts a short message to be sent with others if that is no question at all; else says no, and nothing has happened: use
    /// [`buffer`](Self::buffer). It is the same, faster.
    #[inline]
    pub(super) fn buffer_short(&self, message: MessageRef<'_>) -> bool {
        let mut core = self.lock();
        core.unsent() < BUFFER && core.frame_short(message)
    }

    /// Accepts a message to be sent with others: when there are enough of them, with a flush, or by whoever receives.
    #[inline(never)]
    pub(super) fn buffer(
        &self,
        message: MessageRef<'_>,
        sender: Sender,
        timeout: Duration,
        limits: &Limits,
    ) -> Result<Sent> {
        let what = Outgoing::Whole(message);
        let mut core = self.lock();
        if core.unsent() < BUFFER && core.takes_at_once(what) {
            return core.frame(what, sender).map(|()| Sent::Accepted);
        }
        drop(core);
        let (mut limits, mut look) = (limits.clone(), Look::Later);
        let accepted = block_on(Deadline::after(timeout), |cx| {
            if let Err(e) = limits.check(cx) {
                return Poll::Ready(Err(e.in_phase(Phase::Send)));
            }
            self.poll_accept(what, sender, ROOM, &mut look, cx)
        });
        match accepted {
            Some(result) => result.map(|_| Sent::Accepted),
            None => Ok(Sent::TimedOut),
        }
    }

    /// Waits until everything accepted so far is in the hands of the operating system.
    pub(super) fn flush(&self, timeout: Duration, limits: &Limits) -> Result<Sent> {
        let (mut limits, mut flush) = (limits.clone(), self.accepted());
        let flushed = block_on(Deadline::after(timeout), |cx| {
            if let Err(e) = limits.check(cx) {
                return Poll::Ready(Err(e.in_phase(Phase::Send)));
            }
            self.poll_flushed(&mut flush, cx)
        });
        self.hand_over();
        match flushed {
            Some(result) => result.map(|()| Sent::Accepted).map_err(|e| e.with_processed(Processed::Maybe)),
            None => Ok(Sent::TimedOut),
        }
    }

    /// Sends a message if there is room.
    pub(super) fn try_send(&self, what: Outgoing<'_>, sender: Sender) -> Result<Sent> {
        match self.at_once(what, sender)? {
            AtOnce::Gone => return Ok(Sent::Accepted),
            AtOnce::Accepted(_) => {
                self.pump();
                return Ok(Sent::Accepted);
            }
            AtOnce::Nothing => {}
        }
        let mut look = Look::Later;
        let accepted =
            block_on(Deadline::at(Instant::now()), |cx| match self.poll_accept(what, sender, ROOM, &mut look, cx) {
                Poll::Ready(Ok(upto)) => {
                    // What is not taken now goes out with whatever is called next.
                    let _ = self.poll_pump(cx);
                    Poll::Ready(Ok(upto))
                }
                other => other,
            });
        self.hand_over();
        match accepted {
            Some(result) => result.map(|_| Sent::Accepted),
            None => Ok(Sent::TimedOut),
        }
    }

    /// Has whoever waits to receive send what is left, if nobody else does: behind what a call waited for, or has not waited for. Where
    /// nobody waits, what others accepted meanwhile goes out as far as the stream takes it at once; it is little, or they are still at it.
    fn hand_over(&self) {
        let mut rounds = ROUNDS;
        loop {
            let mut core = self.lock();
            if !core.has_work() && core.stream.carrier().is_flushed() {
                return;
            }
            if let Some(readers) = core.readers.take() {
                drop(core);
                return readers.wake();
            }
            if core.writing || core.unsent() == 0 || rounds == 0 {
                return;
            }
            let upto = core.outbound.framed();
            drop(core);
            self.pump_once();
            // Whoever came to receive while that was with us saw nothing unsent, and has to be told all the same.
            rounds = if self.lock().outbound.has_given(upto) { rounds - 1 } else { 0 };
        }
    }

    /// One round of that, without waiting.
    fn pump_once(&self) {
        block_on(Deadline::at(Instant::now()), |cx| {
            let _ = self.poll_pump(cx);
            Poll::Ready(())
        });
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
        self.hand_over();
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
        let Core { engine, outbound, .. } = &mut *core;
        let payload = match engine.probe(cx.now, &mut outbound.bytes) {
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
        self.pump_once();
        self.hand_over();
    }

    /// Sends Close and waits for theirs; whatever else comes is discarded.
    pub(super) fn close(&self, code: CloseCode, reason: &str, limits: &mut Limits) -> Result<()> {
        let now = Instant::now();
        let mut core = self.lock();
        match &core.stage {
            Stage::Opening | Stage::Open => {
                let Core { engine, outbound, .. } = &mut *core;
                engine.close(Some(code.as_u16()), reason, now, &mut outbound.bytes).map_err(refused)?;
                core.stage = Stage::Closing;
                if core.lending == Lending::Message {
                    // Whoever looks at a message takes its time, and need not come back for this.
                    (core.lending, core.reading) = (Lending::Over, false);
                }
            }
            Stage::Broken(ending) => core.stage = Stage::Ended(ending.clone()),
            Stage::Closing | Stage::Ended(_) => return Ok(()),
        }
        self.note_end(&core);
        let (readers, writers) = core.everyone();
        drop(core);
        readers.wake();
        writers.wake();
        let mut look = Look::Later;
        let ended = block_on(Deadline::after(CLOSE_WAIT), |cx| {
            if let Err(e) = limits.check(cx) {
                return Poll::Ready(Err(e));
            }
            self.poll_arrived(Want::End, &mut look, cx)
        });
        match ended {
            Some(Ok(_)) => Ok(()),
            Some(Err(e)) => Err(e.in_phase(Phase::Close)),
            None => {
                Err(Error::with(ErrorKind::TimedOut, "no close frame came in answer to ours").in_phase(Phase::Close))
            }
        }
    }

    /// A message that is sent in parts will not be finished.
    pub(super) fn give_message_up(&self, writer: Writer) {
        let mut core = self.lock();
        core.give_message_up(writer, Instant::now());
        self.note_end(&core);
        let (readers, writers) = core.everyone();
        drop(core);
        readers.wake();
        writers.wake();
        self.pump();
    }

    /// From now on messages are kept until they are confirmed.
    pub(super) fn keep_messages(&self, limit: usize) {
        self.lock().outbox = Some(Outbox::new(limit));
    }

    /// The messages that are not confirmed.
    pub(super) fn unconfirmed(&self) -> Vec<Message> {
        self.lock().outbox.iter().flat_map(Outbox::messages).cloned().collect()
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
            core.send_again(Instant::now());
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
