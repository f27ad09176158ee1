//! A connection as the owners of exchanges see it, whatever the protocol: one lock, one look, one answer.
//!
//! The one implementation of [`Carrier`]; its methods do not know of each other. The longer ones are in `begin` and `sending`, what
//! several of them do is in `steps`, and what is done for connections that nobody uses in `liveness`.

use super::{
    carrier::{
        Accepted, Ages, Answer, Begun, Carrier, Detached, Exchanges, Missing, Opened, Opening, Progress, Queued, Sent,
        Tally,
    },
    core::Core,
    duplex::Position,
    fault::{Cause, Fault},
    info::{CloseReason, ConnectionInfo, UpkeepAction},
    keep::{Closing, Rule},
    shared::Shared,
    slot::{Receiving, Sending, Slot},
    stream::Stream,
    through::{Passed, Room, Watch, Written},
};
use crate::{
    buf::RecvBuf,
    error::ErrorKind,
    fields::Fields,
    net::{Cx, Interest, Lead, Ready, Waker},
    proto::{End, h1::Length},
    time::Stamp,
};
use http::{HeaderMap, Response, Version};
use std::{
    sync::Arc,
    task::Poll,
    time::{Duration, Instant},
};

impl<P: Exchanges> Carrier for Shared<P> {
    fn poll_open(
        self: Arc<Self>,
        o: &Opening<'_>,
        first: &[u8],
        end: End,
        cx: &mut Cx<'_>,
    ) -> Poll<Result<Begun, Fault>> {
        self.begin(o, first, end, cx)
    }

    fn queue(self: Arc<Self>, o: &Opening<'_>) -> Option<Queued> {
        let ticket = self.lock().proto.queue(o)?;
        Some(Queued::new(self, ticket))
    }

    fn poll_queued(self: Arc<Self>, ticket: u64, cx: &mut Cx<'_>) -> Poll<Result<Begun, Fault>> {
        self.begin_queued(ticket, cx)
    }

    fn claim_queued(self: Arc<Self>, ticket: u64) -> Option<Stream> {
        let opened = self.lock().proto.take_queued(ticket);
        match opened {
            Some(Ok(Opened::Stream(id))) => Some(Stream::new(self, id)),
            _ => None,
        }
    }

    fn rest_in_line(&self, ticket: u64) {
        self.lock().proto.rest_in_line(ticket);
    }

    fn follows_in_line(&self, ticket: u64, waker: &Waker) -> bool {
        self.lock().proto.follows_in_line(ticket, waker)
    }

    fn wake_in_line(&self) {
        let wakes = self.lock().proto.in_line();
        wakes.fire();
    }

    fn leave_queue(&self, ticket: u64) {
        self.lock().proto.leave_queue(ticket);
    }

    fn poll_accept(self: Arc<Self>, cx: &mut Cx<'_>) -> Poll<Option<Accepted>> {
        self.next_accepted(cx)
    }

    fn accept(self: Arc<Self>, now: Instant) -> Option<Accepted> {
        self.take_accepted(now)
    }

    fn keep(&self, keeper: Waker) {
        self.set_keeper(keeper);
    }

    fn charge(&self, rule: Rule) -> Option<Interest> {
        Shared::charge(self, rule)
    }

    fn tend(&self, ready: Ready, now: Instant) -> bool {
        if ready == Ready::default() {
            self.rest(now);
        }
        if self.is_led() { false } else { Lead::turn(self, ready, now) }
    }

    fn goodbye(&self) {
        self.with(Instant::now(), |core, _| core.proto.goodbye(&mut core.duplex.pending));
    }

    fn finish(&self, cause: Cause) {
        self.with(Instant::now(), |core, wakes| {
            core.proto.goodbye(&mut core.duplex.pending);
            core.end(cause, wakes);
        });
    }

    fn closing(&self, now: Instant) -> Closing {
        Shared::closing(self, now)
    }

    fn is_clogged(&self) -> bool {
        self.lock().proto.is_clogged()
    }

    fn has_body(&self, id: u32) -> bool {
        self.lock().proto.slot(id).is_some_and(|slot| slot.has_more())
    }

    fn idle_since(&self) -> Option<(Instant, u64)> {
        let core = self.lock();
        let rests = core.over.is_none() && core.turn.is_empty() && core.duplex.unsent() == 0;
        let since = core.proto.awaits_since().filter(|_| rests)?;
        Some((since, core.proto.served()))
    }

    fn has_gone(&self, id: u32, now: Instant) -> bool {
        Shared::has_gone(self, id, now)
    }

    fn poll_answer(self: Arc<Self>, id: u32, cx: &mut Cx<'_>) -> Poll<Result<Answer, Fault>> {
        let mut core = self.lock();
        let answer = Self::on_slot(&mut core, id, |slot| {
            if let Some(head) = slot.informational.pop_front() {
                return Poll::Ready(Ok(Answer::Informational(head)));
            }
            match (slot.answer.take(), &slot.receiving) {
                (Some(head), _) => Poll::Ready(Ok(Answer::Final(head))),
                (None, Receiving::Failed(fault)) => Poll::Ready(Err(fault.clone())),
                (None, Receiving::Ended) => Poll::Ready(Err(Fault::Misuse("the answer was taken already".into()))),
                (None, Receiving::Open) => {
                    slot.wait_to_read(cx.waker);
                    Poll::Pending
                }
            }
        });
        drop(core);
        match answer {
            Ok(Poll::Pending) => {
                self.wait(cx);
                Poll::Pending
            }
            Ok(ready) => ready,
            Err(fault) => Poll::Ready(Err(fault)),
        }
    }

    fn poll_data(self: Arc<Self>, id: u32, buf: &mut [u8], cx: &mut Cx<'_>) -> Poll<Result<usize, Fault>> {
        if buf.is_empty() {
            return Poll::Ready(Ok(0));
        }
        self.poll_body(id, cx, |slot| {
            let n = slot.body.len().min(buf.len());
            buf[..n].copy_from_slice(slot.body.take(n));
            slot.body.shrink(!matches!(slot.receiving, Receiving::Open));
            n
        })
    }

    fn poll_fill(self: Arc<Self>, id: u32, buf: &mut RecvBuf, cx: &mut Cx<'_>) -> Poll<Result<usize, Fault>> {
        self.poll_body(id, cx, |slot| {
            let n = slot.body.len();
            if buf.is_empty() {
                std::mem::swap(&mut slot.body, buf);
            } else {
                buf.extend(slot.body.take(n));
            }
            n
        })
    }

    fn poll_room(self: Arc<Self>, id: u32, cx: &mut Cx<'_>) -> Poll<Option<usize>> {
        Shared::room(self, id, cx)
    }

    fn room(&self, id: u32) -> usize {
        let core = self.lock();
        if core.is_roomy() { core.proto.window(id).min(core.piece) } else { 0 }
    }

    fn slim(&self) {
        self.lock().slim();
    }

    fn poll_send(self: Arc<Self>, id: u32, data: &[u8], end: End, cx: &mut Cx<'_>) -> Poll<Result<Sent, Fault>> {
        self.send(id, data, end, cx)
    }

    fn end_at(&self, id: u32) -> Position {
        self.lock().proto.slot(id).map_or(0, |slot| slot.end_at)
    }

    fn poll_flushed(self: Arc<Self>, id: u32, upto: Option<Position>, cx: &mut Cx<'_>) -> Poll<Result<(), Fault>> {
        self.flushed(id, upto, cx)
    }

    fn write_through(&self, id: u32, bytes: &[u8], now: Instant) -> Written {
        self.write_past(id, bytes, now)
    }

    fn watch_through(&self, id: u32, waker: &Waker) -> Watch {
        self.watch_past(id, waker)
    }

    fn read_through(&self, id: u32, room: Room<'_>, now: Instant) -> Passed {
        self.read_past(id, room, now)
    }

    fn send_trailers(&self, id: u32, trailers: &HeaderMap) -> Result<(), Fault> {
        self.finish_with(id, trailers)
    }

    fn respond(&self, id: u32, head: &Response<()>, length: Length, first: &[u8], end: End) -> Result<usize, Fault> {
        self.answer(id, head, length, first, end)
    }

    fn inform(&self, id: u32, head: &Response<()>) -> Result<(), Fault> {
        self.with(Instant::now(), |core, _| core.proto.inform(id, head, &mut core.duplex.pending))
    }

    fn take_trailers(&self, id: u32) -> Option<Fields> {
        self.lock().proto.slot(id)?.trailers.take()
    }

    fn take_rest(&self, id: u32) -> Option<(RecvBuf, Option<Fields>)> {
        let mut core = self.lock();
        let Core { proto, duplex, .. } = &mut *core;
        let slot = proto.slot(id).filter(|slot| slot.is_complete() && slot.answer.is_none())?;
        let rest = (std::mem::take(&mut slot.body), slot.trailers.take());
        // The exchange is over on the wire: this only counts what is unread, it sends nothing that could wait.
        proto.took(id, rest.0.len(), &mut duplex.pending);
        Some(rest)
    }

    fn poll_whole(self: Arc<Self>, id: u32, max: usize, cx: &mut Cx<'_>) -> Poll<Option<(RecvBuf, Option<Fields>)>> {
        let waker = cx.waker;
        let whole = self.with(cx.now, |core, wakes| {
            core.proto.read_ahead(id, max);
            // What the reader did not keep up with before is understood now.
            core.ingest(cx.now, wakes);
            let Some(slot) = core.proto.slot(id) else { return Poll::Ready(None) };
            match slot.receiving {
                Receiving::Failed(_) => return Poll::Ready(None),
                Receiving::Ended if slot.body.len() <= max => {}
                Receiving::Open | Receiving::Ended => {
                    slot.wait_to_read(waker);
                    return Poll::Pending;
                }
            }
            let whole = (std::mem::take(&mut slot.body), slot.trailers.take());
            core.proto.took(id, whole.0.len(), &mut core.duplex.pending);
            Poll::Ready(Some(whole))
        });
        if whole.is_pending() {
            self.wait(cx);
        }
        whole
    }

    fn progress(&self, id: u32) -> Progress {
        let mut core = self.lock();
        let (touched, framed) = (core.duplex.touchable(), core.duplex.framed());
        let open = core.over.is_none() && core.broken.is_none();
        // What HTTP/1 has sent is its own, also what was sent past the buffers.
        let most = |slot: &Slot| if P::VERSION == Version::HTTP_2 { slot.ours } else { u64::MAX };
        core.proto.slot(id).map_or_else(Progress::default, |slot| Progress {
            written: slot.before + touched.min(slot.end_at).saturating_sub(slot.head_at).min(most(slot)),
            owed: open && slot.head_at < framed && slot.end_at > touched.max(slot.head_at),
            // A 101 was the beginning of an answer.
            answered: slot.answered || slot.before > 0,
        })
    }

    fn reset(&self, id: u32, code: u32) {
        let now = Instant::now();
        let cause = self.with(now, |core, wakes| {
            if let Some(slot) = core.proto.slot(id) {
                slot.given_up |= !slot.has_failed();
            }
            let cause = core.proto.reset(id, code, now, &mut core.duplex.pending, wakes);
            // It may have made room for another stream.
            core.ingest(now, wakes);
            cause
        });
        if let Some(cause) = cause {
            self.end(cause, now);
        }
    }

    fn tally(&self, id: u32) -> Option<Tally> {
        let mut core = self.lock();
        core.proto.slot(id)?;
        Some(Self::tally_of(&mut core, id))
    }

    fn drop_stream(&self, id: u32) -> Tally {
        let stamp = Stamp::now();
        let now = stamp.at();
        let too_much = self.drain(id, now);
        self.with(now, |core, wakes| {
            let tally = Self::tally_of(core, id);
            if core.proto.is_tunnel(id) {
                core.duplex.finish();
            }
            let mut cause = core.proto.drop_slot(id, now, &mut core.duplex.pending, wakes);
            if too_much && cause.is_none() && core.keeper.is_none() {
                // All of it has come in one piece with what was not too much. A server's connection goes on: cutting it could cost the
                // client its answer.
                cause = Some(Cause::new(ErrorKind::Closed, CloseReason::Shutdown, "the rest of a body was too much"));
            }
            if core.proto.is_idle() {
                core.unused_since = stamp;
            }
            // It may have made room for another stream; and what came behind an answer unasked must not pass for the next one.
            core.ingest(now, wakes);
            // The pool may not look at it for long, and HTTP/1 needs no more than to be dropped.
            if P::VERSION == Version::HTTP_2 && core.proto.is_over_for_new() && core.proto.is_idle() {
                core.part(wakes);
            }
            if let Some(cause) = cause {
                // Under the same lock: whoever waits for the connection must not begin on it meanwhile.
                core.end(cause, wakes);
            }
            tally
        })
    }

    fn forgo(&self, id: u32, now: Instant) {
        self.forgo_rest(id, now);
    }

    fn wants_continue(&self, id: u32) -> bool {
        self.lock().proto.wants_continue(id)
    }

    fn has_buffered(&self, id: u32) -> bool {
        let mut core = self.lock();
        !core.input.is_empty() || !core.raw.is_empty() || core.proto.slot(id).is_some_and(|slot| !slot.body.is_empty())
    }

    fn is_sending(&self, id: u32) -> bool {
        self.lock().proto.slot(id).is_some_and(|slot| slot.sending == Sending::Open)
    }

    fn missing(&self, id: u32) -> Missing {
        let mut core = self.lock();
        let (sent, stalled, last_in) = (core.duplex.sent(), core.duplex.stalled, core.last_in);
        match (core.proto.slot(id), stalled) {
            (Some(slot), Some(since)) if slot.end_at > sent => Missing::Room(since),
            (Some(slot), _) if slot.begun => Missing::Rest(last_in),
            _ => Missing::Answer,
        }
    }

    fn framed(&self, id: u32) -> Option<u64> {
        let mut core = self.lock();
        let wire_is_full = core.duplex.unsent() > 0;
        core.proto.slot(id).filter(|_| !wire_is_full).map(|slot| slot.framed)
    }

    fn look(&self, now: Instant) -> bool {
        Shared::look(self, now);
        self.is_usable()
    }

    fn is_usable(&self) -> bool {
        let core = self.lock();
        core.over.is_none() && !core.proto.is_over_for_new()
    }

    fn is_idle(&self) -> bool {
        self.lock().proto.is_idle()
    }

    fn has_room(&self) -> bool {
        let core = self.lock();
        core.over.is_none() && core.proto.has_room()
    }

    fn ages(&self, now: Stamp) -> Ages {
        Ages { made: self.created.age(now), unused: self.lock().unused_for(now) }
    }

    fn rests_since(&self) -> Option<Stamp> {
        let core = self.lock();
        let rests = core.over.is_none() && core.proto.is_idle() && !core.proto.is_over_for_new();
        rests.then_some(core.unused_since)
    }

    fn set_kept(&self, d: Duration) {
        self.lock().kept_by_peer = d;
    }

    fn kept(&self) -> Duration {
        self.lock().kept_by_peer
    }

    fn last_used(&self) -> Instant {
        let core = self.lock();
        core.last_in.max(core.last_out)
    }

    fn shutdown(&self, cause: Cause) {
        let now = Instant::now();
        if cause.reason != CloseReason::Shutdown {
            self.with(now, |core, _| core.say_goodbye());
        }
        self.end(cause, now);
    }

    fn retire(&self, cause: Cause) -> bool {
        let now = Instant::now();
        self.with(now, |core, wakes| {
            if core.over.is_none() && !core.proto.is_idle() {
                core.parting.get_or_insert(cause.reason);
                core.proto.drain(&mut core.duplex.pending);
                // Those in line go elsewhere.
                core.open_queued(now, wakes);
                return false;
            }
            core.say_goodbye();
            core.end(cause, wakes);
            true
        })
    }

    fn info(&self) -> ConnectionInfo {
        self.row()
    }

    fn lead(self: Arc<Self>) -> Arc<dyn Lead> {
        self
    }

    fn poll_extended_connect(self: Arc<Self>, cx: &mut Cx<'_>) -> Poll<Result<bool, Fault>> {
        let mut core = self.lock();
        if let Some(cause) = &core.over {
            return Poll::Ready(Err(Fault::Over(cause.clone())));
        }
        if let Some(enabled) = core.proto.extended_connect() {
            return Poll::Ready(Ok(enabled));
        }
        core.proto.wait_to_open(cx.waker);
        drop(core);
        self.wait(cx);
        Poll::Pending
    }

    fn is_flushed(&self) -> bool {
        self.lock().duplex.unsent() == 0
    }

    fn wire(&self) -> &Arc<dyn crate::net::Wire> {
        self.wire_ref()
    }

    fn served(&self) -> u64 {
        self.lock().proto.served()
    }

    fn version(&self) -> Version {
        P::VERSION
    }

    fn take_calm(&self) -> bool {
        self.lock().proto.take_calm()
    }

    fn over(&self) -> Option<Cause> {
        self.lock().over.clone()
    }

    fn is_suspect(&self, now: Instant) -> bool {
        self.lock().proto.is_suspect(now)
    }

    fn upkeep(&self, interval: Duration, now: Instant) -> UpkeepAction {
        self.keep_up(interval, now)
    }

    fn upkeep_due(&self, interval: Duration) -> Option<Instant> {
        self.keep_up_due(interval)
    }

    fn ping(&self, now: Instant) -> Result<Option<u64>, Fault> {
        self.with(now, |core, _| match &core.over {
            Some(cause) => Err(Fault::Over(cause.clone())),
            None => core.proto.ping(now, &mut core.duplex.pending),
        })
    }

    fn poll_pinged(self: Arc<Self>, acked: u64, cx: &mut Cx<'_>) -> Poll<Result<Duration, Fault>> {
        let mut core = self.lock();
        if let Some(rtt) = core.proto.pinged(acked, cx.waker) {
            return Poll::Ready(Ok(rtt));
        }
        if let Some(cause) = &core.over {
            return Poll::Ready(Err(Fault::Over(cause.clone())));
        }
        drop(core);
        self.wait(cx);
        Poll::Pending
    }

    fn detach(&self) -> Option<Detached> {
        let mut core = self.lock();
        let out = core.detach()?;
        let mut input = core.proto.take_tunnel();
        let Core { input: behind, .. } = &mut *core;
        let n = behind.len();
        input.extend(behind.take(n));
        drop(core);
        Some(Detached { wire: self.wire_ref().clone(), input, out, origin: self.origin.clone() })
    }

    fn drain(&self) {
        self.with(Instant::now(), |core, _| core.proto.drain(&mut core.duplex.pending));
    }

    fn id(&self) -> u64 {
        self.id
    }

    fn origin(&self) -> &str {
        &self.origin
    }
}
