//! How exchanges begin: those of ours, at once or in line for a place, and those of the peer.

use super::{
    carrier::{Accepted, Begun, Exchanges, Opened, Opening},
    fault::Fault,
    shared::Shared,
    stream::Stream,
};
use crate::{net::Cx, proto::End, time::Stamp};
use std::{sync::Arc, task::Poll, time::Instant};

impl<P: Exchanges> Shared<P> {
    /// Begins an exchange, with as much of `first` as fits, or waits until one may begin.
    pub(super) fn begin(
        self: Arc<Self>,
        o: &Opening<'_>,
        first: &[u8],
        end: End,
        cx: &mut Cx<'_>,
    ) -> Poll<Result<Begun, Fault>> {
        let (now, waker) = (cx.now, cx.waker.clone());
        let opened = self.with(now, |core, wakes| {
            if core.over.is_some() {
                return Ok((Opened::Closed, 0, core.over.clone()));
            }
            // Those in line come first.
            core.open_queued(now, wakes);
            if core.proto.is_idle() {
                // What the machine slept is silence, too.
                let since = core.unused_since;
                core.proto.slept(|| since.asleep(Stamp::just(now)));
            }
            let at = core.duplex.framed();
            let opened = core.proto.open(o, at, now, &mut core.duplex.pending)?;
            let mut taken = 0;
            match opened {
                Opened::Stream(id) => {
                    let end_at = core.duplex.framed();
                    Self::on_slot(core, id, |slot| slot.piece(at, end_at))?;
                    if !first.is_empty() {
                        taken = Self::frame(core, id, first, end)?;
                    }
                }
                Opened::Blocked => core.proto.wait_to_open(&waker),
                Opened::Closed => {}
            }
            Ok((opened, taken, None))
        });
        match opened {
            Err(fault) => Poll::Ready(Err(fault)),
            Ok((Opened::Stream(id), taken, _)) => Poll::Ready(Ok(Begun::Stream(Stream::new(self, id), taken))),
            Ok((Opened::Closed, _, cause)) => Poll::Ready(Ok(Begun::Closed(cause))),
            Ok((Opened::Blocked, ..)) => {
                self.wait(cx);
                Poll::Pending
            }
        }
    }

    /// Ready once an exchange in line has begun, or never will here.
    pub(super) fn begin_queued(self: Arc<Self>, ticket: u64, cx: &mut Cx<'_>) -> Poll<Result<Begun, Fault>> {
        let waker = cx.waker;
        let opened = self.with(cx.now, |core, wakes| {
            core.open_queued(cx.now, wakes);
            match core.proto.take_queued(ticket) {
                Some(opened) => Some(opened.map(|opened| (opened, core.over.clone()))),
                None if core.over.is_some() || core.proto.is_over_for_new() => {
                    Some(Ok((Opened::Closed, core.over.clone())))
                }
                None => {
                    core.proto.wait_in_line(ticket, waker);
                    None
                }
            }
        });
        match opened {
            Some(Err(fault)) => Poll::Ready(Err(fault)),
            Some(Ok((Opened::Stream(id), _))) => Poll::Ready(Ok(Begun::Stream(Stream::new(self, id), 0))),
            Some(Ok((_, cause))) => Poll::Ready(Ok(Begun::Closed(cause))),
            None => {
                self.wait(cx);
                Poll::Pending
            }
        }
    }

    /// The next exchange the peer began; `None`: there will be no more.
    pub(super) fn next_accepted(self: Arc<Self>, cx: &mut Cx<'_>) -> Poll<Option<Accepted>> {
        if let Some(accepted) = self.clone().take_accepted(cx.now) {
            return Poll::Ready(Some(accepted));
        }
        let waker = cx.waker.clone();
        let over = self.with(cx.now, |core, _| {
            core.proto.wait_to_open(&waker);
            // One that came in between wakes the thread only if it came behind the waker.
            if core.proto.has_incoming() {
                waker.wake();
            }
            core.over.is_some() || core.proto.is_over_for_new()
        });
        if over {
            return Poll::Ready(None);
        }
        self.wait(cx);
        Poll::Pending
    }

    /// The exchange the peer began next, if one waits.
    pub(super) fn take_accepted(self: Arc<Self>, now: Instant) -> Option<Accepted> {
        let (accepted, refused, cause) = self.with(now, |core, wakes| {
            // A pipelined request may have been waiting for the end of the one before it.
            core.ingest(now, wakes);
            let mut cause = None;
            while let Some(id) = core.proto.accept() {
                match Self::on_slot(core, id, |slot| (slot.has_failed(), slot.request.take())) {
                    Ok((false, Some(head))) => {
                        // What arrived behind the head.
                        core.ingest(now, wakes);
                        return (Some((id, head)), None, None);
                    }
                    // It was reset before anybody saw it; the connection ends with it if the peer has said all it had to.
                    _ => cause = core.proto.drop_slot(id, now, &mut core.duplex.pending, wakes),
                }
            }
            (None, core.proto.take_refused(), cause)
        });
        if let Some(cause) = cause {
            self.end(cause, now);
        }
        match accepted {
            Some((id, head)) => Some(Accepted::Exchange(Stream::new(self, id), head)),
            None => refused.map(Accepted::Refused),
        }
    }
}
