//! How what arrives on the stream becomes what a call wants.

use super::{
    core::Core,
    socket::{Look, Socket},
    stage::{Arrived, Ending, Lending, Linger, Role, Stage, Want},
};
use crate::{
    drive::{Passed, Room, Stream, Watch, recycle, spare},
    error::Result,
    net::{Cx, Interest},
    time::Deadline,
};
use http::Version;
use std::{
    sync::MutexGuard,
    task::Poll,
    time::{Duration, Instant},
};

/// How long an end is held back while the wire does not take our Close. On a socket it takes it at once.
const LINGER: Duration = Duration::from_millis(250);

/// How many times one look at the wire goes on because something came: the next one is made after a look at the clock.
const FILLS: u32 = 1;

impl Socket {
    /// The next thing a call wants. What is there comes before the stream; what is to go out goes out meanwhile.
    ///
    /// What lies in the input or the assembly is still to be taken from there: with it goes the reading role, see
    /// [`give_role_back`](Self::give_role_back).
    pub(super) fn poll_arrived(&self, want: Want, look: &mut Look, cx: &mut Cx<'_>) -> Poll<Result<Arrived>> {
        let mut looked = false;
        let mut fills = 0;
        loop {
            let mut core = self.lock();
            if core.reading {
                return self.wait_for_reader(core, want, cx);
            }
            let arrived = core.next(want, cx.now);
            core.reading = arrived.as_ref().is_some_and(Arrived::lies_there);
            if std::mem::take(&mut core.freed) {
                let writers = std::mem::take(&mut core.writers);
                drop(core);
                writers.wake_others(cx.waker);
                core = self.lock();
            }
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
            if want.keeps() && core.is_full() {
                // The PONG is behind more than is kept: only a receiving call, or the time limit, ends this.
                core.writers.leave(cx.waker);
                return Poll::Pending;
            }
            let busy = match self.fill(core, want, look, cx) {
                Poll::Ready(()) if fills < FILLS => {
                    fills += 1;
                    continue;
                }
                filled => filled.is_ready(),
            };
            core = self.lock();
            if core.has_work() {
                // It was left while the wire was looked at, and our waker was not to be found.
                drop(core);
                let _ = self.poll_pump(cx);
                core = self.lock();
            }
            if busy {
                // However fast bytes come, there are time limits and tokens to be looked at.
                cx.wait_wire(core.stream.carrier().wire(), Interest::Read);
                cx.wait_until(Deadline::at(cx.now));
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
                    let carrier = stream.carrier();
                    carrier.look(cx.now);
                    // So are those of a record that cannot be opened yet; over HTTP/2 they may be anybody's.
                    if carrier.version() != Version::HTTP_2 {
                        self.lock().engine.received_by(carrier.info().last_in);
                    }
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

    /// Waits for whoever has the reading role, which may have lent a message and be busy with it; meanwhile what is to go out goes out.
    fn wait_for_reader(&self, mut core: MutexGuard<'_, Core>, want: Want, cx: &mut Cx<'_>) -> Poll<Result<Arrived>> {
        core.readers.leave(cx.waker);
        let mut ended = None;
        if want == Want::End && core.lending != Lending::Nothing {
            // Perhaps nobody comes back to look for their Close.
            match core.engine.deadline() {
                Some(due) if due <= cx.now => core.on_deadline(cx.now),
                Some(due) => cx.wait_until(Deadline::at(due)),
                None => {}
            }
            if let Stage::Ended(ending) = &core.stage {
                self.note_end(&core);
                ended = Some(ending.error());
            }
        }
        let work = core.has_work();
        drop(core);
        if work {
            let _ = self.poll_pump(cx);
        }
        match ended {
            Some(error) => Poll::Ready(error.map_or(Ok(Arrived::Ended), Err)),
            None => Poll::Pending,
        }
    }

    /// Ready once the wire has taken our Close, or will not within [`LINGER`]: whoever gives the socket up then takes nothing away from it.
    fn poll_last(&self, cx: &mut Cx<'_>) -> Poll<()> {
        let flushed = self.poll_flushed(&mut self.accepted(), cx);
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
    fn fill<'a>(&'a self, mut core: MutexGuard<'a, Core>, want: Want, look: &mut Look, cx: &mut Cx<'_>) -> Poll<()> {
        let stream = core.stream.clone();
        core.reading = true;
        let straight = core.straight(want);
        let mut passed = Passed::Nothing;
        // In the middle of a message it is worth looking.
        let mut now = *look == Look::Now || straight.is_some();
        loop {
            if now {
                (core, passed) = self.read(core, &stream, straight, want, cx.now);
            }
            if passed != Passed::Nothing {
                break;
            }
            match stream.watch_through(cx.waker) {
                Watch::Armed => {
                    cx.wait_wire(stream.carrier().wire(), Interest::Read);
                    break;
                }
                Watch::Barred => passed = Passed::Barred,
                Watch::Bulk if now => {
                    // Another thread has read meanwhile.
                    passed = Passed::Barred;
                }
                Watch::Bulk => now = true,
            }
        }
        let result = match passed {
            Passed::Bytes(_) => Poll::Ready(()),
            Passed::Nothing => {
                recycle(&mut core.input);
                Poll::Pending
            }
            Passed::Barred => {
                let result;
                (core, result) = self.fill_from_buffers(core, &stream, cx);
                result
            }
        };
        *look = if result.is_ready() { Look::Later } else { Look::Now };
        core.reading = false;
        let readers = std::mem::take(&mut core.readers);
        if result.is_pending() {
            // Under the lock under which the wire was found worth waiting for: whoever leaves something unsent from here on finds the waker.
            core.readers.leave(cx.waker);
        }
        drop(core);
        readers.wake_others(cx.waker);
        result
    }

    /// Takes the reading role back from a call that received what lay in the input or the assembly, and has taken it.
    pub(super) fn give_role_back(&self, mut core: MutexGuard<'_, Core>) {
        core.reading = false;
        let readers = std::mem::take(&mut core.readers);
        drop(core);
        readers.wake();
    }

    /// Reads from the wire itself: straight into the message, or into the input.
    fn read<'a>(
        &'a self,
        mut core: MutexGuard<'a, Core>,
        stream: &Stream,
        straight: Option<usize>,
        want: Want,
        now: Instant,
    ) -> (MutexGuard<'a, Core>, Passed) {
        let Some(room) = straight else {
            let fruitless = core.was_fruitless();
            let mut input = std::mem::take(&mut core.input);
            drop(core);
            let room = if fruitless { Room::Little(&mut input) } else { Room::Buffer(&mut input) };
            let passed = self.outside(Role::Reading, || stream.read_through(room, now));
            let mut core = self.lock();
            core.input = input;
            if let Passed::Bytes(_) = passed {
                core.engine.received(now);
            }
            return (core, passed);
        };
        let mut assembly = std::mem::take(&mut core.assembly);
        drop(core);
        if assembly.is_empty() && assembly.capacity() < room {
            assembly = spare();
        }
        let slice = assembly.space_exactly(room);
        let passed = self.outside(Role::Reading, || stream.read_through(Room::Slice(slice), now));
        let mut core = self.lock();
        core.assembly = assembly;
        if let Passed::Bytes(n) = passed {
            core.took_straight(n, want, now);
        }
        (core, passed)
    }

    /// The same, as the stream hands it out: over TLS and HTTP/2, and at the end.
    fn fill_from_buffers<'a>(
        &'a self,
        mut core: MutexGuard<'a, Core>,
        stream: &Stream,
        cx: &mut Cx<'_>,
    ) -> (MutexGuard<'a, Core>, Poll<()>) {
        let mut input = std::mem::take(&mut core.input);
        drop(core);

        let filled = self.outside(Role::Reading, || stream.poll_fill(&mut input, cx));

        let mut core = self.lock();
        core.input = input;
        match filled {
            Poll::Pending => {
                core.input.shrink(false);
                return (core, Poll::Pending);
            }
            Poll::Ready(Ok(0)) => core.end_of_input(),
            Poll::Ready(Ok(_)) => core.engine.received(cx.now),
            Poll::Ready(Err(fault)) => core.end(Ending::broken(&fault.to_error())),
        }
        (core, Poll::Ready(()))
    }
}

#[cfg(test)]
mod tests;
