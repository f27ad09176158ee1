//! How our half of an exchange is sent: its pieces, its end, and when the wire has all of it.

use super::{
    carrier::{Exchanges, Sent},
    core::Eof,
    duplex::Position,
    fault::Fault,
    shared::Shared,
    slot::{Receiving, Sending},
};
use crate::{
    net::{Cx, Waker},
    proto::{End, h1::Length},
};
use http::{HeaderMap, Response};
use std::{sync::Arc, task::Poll, time::Instant};

impl<P: Exchanges> Shared<P> {
    /// Frames what fits of `data`, or waits until something does.
    pub(super) fn send(self: Arc<Self>, id: u32, data: &[u8], end: End, cx: &mut Cx<'_>) -> Poll<Result<Sent, Fault>> {
        let waker = cx.waker;
        let sent = self.with(cx.now, |core, wakes| {
            let failed = Self::on_slot(core, id, |slot| match (&slot.receiving, slot.sending) {
                (Receiving::Failed(fault), _) => Some(Err(fault.clone())),
                (_, Sending::Stopped) => Some(slot.unwanted.clone().map_or(Ok(Sent::Stopped), Err)),
                // Its head has said that it is empty, or its last byte was known to be that.
                (_, Sending::Ended) if data.is_empty() && end == End::Last => Some(Ok(Sent::Some(0))),
                (_, Sending::Ended) => Some(Err(Fault::Misuse("the message was ended already".into()))),
                (_, Sending::Open) => None,
            })?;
            if let Some(result) = failed {
                return result.map(Poll::Ready);
            }
            // What came before the end is still to be read, and the end of the connection waits for that.
            if core.broken.is_some() && core.eof != Eof::Open {
                return Ok(Poll::Ready(Sent::Stopped));
            }
            if !core.has_room_for(data.len()) {
                once(&mut core.room, waker);
                return Ok(Poll::Pending);
            }
            let n = Self::frame(core, id, data, end)?;
            // Whoever waits for the answer counts from here.
            let ended = Self::on_slot(core, id, |slot| {
                let ended = slot.sending == Sending::Ended;
                if ended {
                    slot.notify_reader(wakes);
                }
                ended
            })?;
            if ended && core.proto.is_tunnel(id) {
                // There is nothing else to say that it ended.
                core.duplex.finish();
            }
            if n > 0 || data.is_empty() {
                return Ok(Poll::Ready(Sent::Some(n)));
            }
            Self::on_slot(core, id, |slot| slot.wait_to_write(waker))?;
            Ok(Poll::Pending)
        });
        match sent {
            Err(fault) => Poll::Ready(Err(fault)),
            Ok(Poll::Ready(sent)) => Poll::Ready(Ok(sent)),
            Ok(Poll::Pending) => {
                self.wait(cx);
                Poll::Pending
            }
        }
    }

    /// Ready once there is room for more of a body, with how much the windows allow, which may be nothing; `None`: there never will be.
    pub(super) fn room(self: Arc<Self>, id: u32, cx: &mut Cx<'_>) -> Poll<Option<usize>> {
        let mut core = self.lock();
        let lost = core.over.is_some() || core.broken.is_some() && core.eof != Eof::Open;
        if lost || core.proto.slot(id).is_none_or(|slot| slot.has_failed()) {
            return Poll::Ready(None);
        }
        if core.is_roomy() {
            return Poll::Ready(Some(core.proto.window(id).min(core.piece)));
        }
        once(&mut core.room, cx.waker);
        drop(core);
        self.wait(cx);
        Poll::Pending
    }

    /// Ready once the wire has taken everything framed for this exchange, or what was up to there.
    pub(super) fn flushed(
        self: Arc<Self>,
        id: u32,
        upto: Option<Position>,
        cx: &mut Cx<'_>,
    ) -> Poll<Result<(), Fault>> {
        let mut core = self.lock();
        let sent = core.duplex.sent();
        if let Ok(true) = Self::on_slot(&mut core, id, |slot| upto.unwrap_or(slot.end_at) <= sent) {
            return Poll::Ready(Ok(()));
        }
        drop(core);
        let waker = cx.waker;
        let flushed = self.with(cx.now, |core, _| {
            let sent = core.duplex.sent();
            let over = core.over.clone();
            let mut end = Position::MAX;
            let flushed = Self::on_slot(core, id, |slot| {
                end = upto.unwrap_or(slot.end_at);
                match (end <= sent, &slot.receiving, over) {
                    (true, ..) => Poll::Ready(Ok(())),
                    (_, Receiving::Failed(fault), _) => Poll::Ready(Err(fault.clone())),
                    (_, _, Some(cause)) => Poll::Ready(Err(Fault::Over(cause))),
                    (false, _, None) => Poll::Pending,
                }
            });
            if let Ok(Poll::Pending) = flushed {
                match core.flushing.iter_mut().find(|(_, w)| w.same(waker)) {
                    // Woken too early it looks again.
                    Some((before, _)) => *before = end.min(*before),
                    None => core.flushing.push((end, waker.clone())),
                }
            }
            flushed
        });
        match flushed {
            Err(fault) => Poll::Ready(Err(fault)),
            Ok(Poll::Ready(result)) => Poll::Ready(result),
            Ok(Poll::Pending) => {
                self.wait(cx);
                Poll::Pending
            }
        }
    }

    /// Frames the trailers, which end our message.
    pub(super) fn finish_with(&self, id: u32, trailers: &HeaderMap) -> Result<(), Fault> {
        self.with(Instant::now(), |core, wakes| {
            let at = core.duplex.framed();
            core.proto.send_trailers(id, trailers, &mut core.duplex.pending)?;
            let end_at = core.duplex.framed();
            Self::on_slot(core, id, |slot| {
                slot.piece(at, end_at);
                slot.notify_reader(wakes);
            })
        })
    }

    /// Frames the final head of an answer, with as much of `first` as fits; returns how much.
    pub(super) fn answer(
        &self,
        id: u32,
        head: &Response<()>,
        length: Length,
        first: &[u8],
        end: End,
    ) -> Result<usize, Fault> {
        self.with(Instant::now(), |core, wakes| {
            if let Some(cause) = &core.over {
                return Err(Fault::Over(cause.clone()));
            }
            let at = core.duplex.framed();
            core.proto.respond(id, head, length, &mut core.duplex.pending)?;
            let end_at = core.duplex.framed();
            Self::on_slot(core, id, |slot| {
                (slot.head_at, slot.end_at, slot.status) = (at, end_at, Some(head.status()));
            })?;
            // A 101 or a CONNECT turns what follows into a tunnel at once.
            core.ingest(Instant::now(), wakes);
            if first.is_empty() || !core.has_room_for(first.len()) {
                return Ok(0);
            }
            Self::frame(core, id, first, end)
        })
    }
}

/// Adds a waker that is not there yet: a thread that looks again and again waits only once.
fn once(waiting: &mut Vec<Waker>, waker: &Waker) {
    if !waiting.iter().any(|w| w.same(waker)) {
        waiting.push(waker.clone());
    }
}
