//! What several methods of a connection do for one exchange: its slot, its pieces, what it came to.

use super::{
    carrier::{Ended, Exchanges, Forgone, Tally},
    core::Core,
    fault::Fault,
    info::CloseReason,
    receive::LITTLE,
    shared::Shared,
    slot::{Receiving, Sending, Slot, Wakes},
};
use crate::{
    net::{Cx, Lead},
    proto::End,
};
use http::Version;
use std::{
    sync::Arc,
    task::Poll,
    time::{Duration, Instant},
};

/// How long a body nobody wants is read at most: a peer that sends as fast as it is read would else hold the thread for as long as it
/// likes.
const DRAINING: Duration = Duration::from_millis(100);

impl<P: Exchanges> Shared<P> {
    /// Runs `f` on the slot of an exchange; a fault if the exchange or the connection is over.
    pub(super) fn on_slot<R>(core: &mut Core<P>, id: u32, f: impl FnOnce(&mut Slot) -> R) -> Result<R, Fault> {
        match (core.proto.slot(id), &core.over) {
            (Some(slot), _) => Ok(f(slot)),
            (None, Some(cause)) => Err(Fault::Over(cause.clone())),
            (None, None) => Err(Fault::Misuse("the exchange is over".into())),
        }
    }

    pub(super) fn wait(self: Arc<Self>, cx: &mut Cx<'_>) {
        let lead: Arc<dyn Lead> = self;
        cx.wait_shared(&lead);
    }

    /// Frames `data` as far as the windows allow; nothing while too much is unsent.
    pub(super) fn frame(core: &mut Core<P>, id: u32, data: &[u8], end: End) -> Result<usize, Fault> {
        // A huge buffer is framed in pieces, so that what is unsent stays bounded.
        let piece = &data[..data.len().min(core.piece)];
        let last = if piece.len() == data.len() { end } else { End::More };
        let at = core.duplex.framed();
        let n = core.proto.send_data(id, piece, last, &mut core.duplex.pending)?;
        let end_at = core.duplex.framed();
        if let Some(slot) = core.proto.slot(id) {
            slot.piece(at, end_at);
            slot.framed += n as u64;
        }
        if last == End::Last && n == data.len() && core.proto.is_tunnel(id) {
            core.duplex.finish();
        }
        Ok(n)
    }

    /// Takes what is there of a body by `take`, which says how much that was; zero is the end of the body.
    pub(super) fn poll_body(
        self: Arc<Self>,
        id: u32,
        cx: &mut Cx<'_>,
        take: impl FnOnce(&mut Slot) -> usize,
    ) -> Poll<Result<usize, Fault>> {
        let waker = cx.waker;
        let got = self.with(cx.now, |core, wakes| {
            // What was received and is not understood yet comes before the wire.
            if Self::on_slot(core, id, |slot| slot.body.is_empty())? {
                core.ingest(cx.now, wakes);
            }
            let got = Self::on_slot(core, id, |slot| match &slot.receiving {
                _ if !slot.body.is_empty() => Poll::Ready(Ok(take(slot))),
                Receiving::Failed(fault) => Poll::Ready(Err(fault.clone())),
                Receiving::Ended => Poll::Ready(Ok(0)),
                Receiving::Open => {
                    slot.wait_to_read(waker);
                    Poll::Pending
                }
            })?;
            match got {
                Poll::Ready(Ok(n @ 1..)) => core.proto.took(id, n, &mut core.duplex.pending),
                Poll::Pending => core.proto.wants(id, &mut core.duplex.pending),
                Poll::Ready(_) => {}
            }
            Ok(got)
        });
        match got {
            Err(fault) => Poll::Ready(Err(fault)),
            Ok(Poll::Ready(result)) => Poll::Ready(result),
            Ok(Poll::Pending) => {
                self.wait(cx);
                Poll::Pending
            }
        }
    }

    /// Returns what an exchange came to that is about to be dropped.
    pub(super) fn tally_of(core: &mut Core<P>, id: u32) -> Tally {
        // A wire that is broken is the end, also while something may still be read from it.
        let over = core.over.as_ref().or(core.broken.as_ref()).map(|cause| cause.reason);
        let sent = core.duplex.sent();
        let left = |reason| if reason == CloseReason::ByPeer { Ended::Left } else { Ended::GivenUp };
        let Some(slot) = core.proto.slot(id) else {
            return Tally { status: None, received: 0, sent: 0, end: over.map_or(Ended::GivenUp, left) };
        };
        let end = match (slot.sending, &slot.receiving, over) {
            _ if slot.given_up => Ended::GivenUp,
            (Sending::Ended, ..) if slot.end_at <= sent || over.is_none() => Ended::Complete,
            (_, _, Some(reason)) => left(reason),
            (_, Receiving::Failed(Fault::Reset(_)), None) => Ended::Left,
            _ if matches!(slot.unwanted, Some(Fault::Reset(_))) => Ended::Left,
            _ => Ended::GivenUp,
        };
        Tally { status: slot.status, received: slot.received, sent: slot.framed, end }
    }

    /// Decides what becomes of a connection whose request nobody reads to its end, as long as the answer can say it (RFC 9112, section 9.6).
    pub(super) fn forgo_rest(&self, id: u32, now: Instant) {
        if P::VERSION == Version::HTTP_2 {
            return;
        }
        let forgone = self.with(now, |core, wakes| {
            core.proto.discard_body(id);
            core.ingest(now, wakes);
            core.proto.forgo(id)
        });
        let ends = match forgone {
            Forgone::Settled => false,
            Forgone::TooMuch => true,
            Forgone::Unknown => {
                self.drain(id, now);
                self.lock().proto.discard_body(id)
            }
        };
        if ends {
            self.with(now, |core, _| core.proto.drain(&mut core.duplex.pending));
        }
    }

    /// Reads what is left of a body nobody wants, as far as it is there, and not for long; returns whether it was too much. What is
    /// buffered already does not count, nor what frames a body.
    pub(super) fn drain(&self, id: u32, now: Instant) -> bool {
        let mut wakes = Wakes::new();
        let mut core = self.lock();
        let limit = core.drain as u64;
        let received = |core: &mut Core<P>| core.proto.slot(id).map_or(0, |slot| slot.received);
        let (mut before, mut buffered) = (0, None);
        while core.over.is_none() && core.proto.discard_body(id) {
            core.ingest(now, &mut wakes);
            if !core.proto.discard_body(id) || now.elapsed() > DRAINING {
                break;
            }
            let received = received(&mut core);
            if buffered.is_none() && std::mem::replace(&mut before, received) < received {
                // There may be more of it.
                continue;
            }
            let read = received.saturating_sub(*buffered.get_or_insert(received));
            let known = core.proto.left_of_body(id).is_some_and(|left| left > limit.saturating_sub(read));
            if limit == 0 || read > limit || known {
                break;
            }
            let arrived;
            (core, arrived) = self.receive_some(core, now, &mut wakes, 1, LITTLE);
            if !arrived {
                break;
            }
        }
        // The piece that came last may have been the end of it.
        let read = buffered.map_or(0, |buffered| received(&mut core).saturating_sub(buffered));
        drop(core);
        wakes.fire();
        read > limit
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        buf::RecvBuf,
        drive::{Begun, Carrier, H1, Opening, Setup, Shared, step_once},
        net::{Cx, Waker, Wants, Wire, pair},
        proto::{
            End, Role,
            h1::{Config, Connection, Length, TargetForm},
        },
    };
    use http::Request;
    use std::{
        sync::{Arc, Mutex},
        time::Instant,
    };

    /// Where what is left of a body was too much the connection has ended before whoever waits for it is told that it is free.
    #[test]
    fn nothing_begins_on_a_connection_that_had_too_much_to_drain() {
        let (near, far) = pair(64 * 1024);
        let now = Instant::now();
        let mut setup = Setup::new(Arc::new(near), None, Vec::new(), RecvBuf::new(), "http://a.test".into(), 1, now);
        setup.drain = 4;
        let engine = Connection::new(Role::Client, Config::default(), now, setup.out());
        let conn = Arc::new(Shared::new(setup, H1::new(engine, Role::Client)));
        let head = Request::get("http://a.test/").body(()).expect("a request");
        let opening = Opening { head: &head, form: TargetForm::Origin, length: Length::Empty };
        let Some(Ok(Begun::Stream(first, _))) = step_once(|cx| conn.clone().poll_open(&opening, &[], End::Last, cx))
        else {
            panic!("nothing begins");
        };
        far.try_write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").expect("room");
        assert!(Carrier::look(&*conn, now));
        far.try_write(b"A\r\n0123456789\r\n0\r\n\r\n").expect("room");

        let tried = Arc::new(Mutex::new(Vec::new()));
        let (again, result) = (conn.clone(), tried.clone());
        let waker = Waker::hooked(move || {
            let head = Request::get("http://a.test/next").body(()).expect("a request");
            let opening = Opening { head: &head, form: TargetForm::Origin, length: Length::Empty };
            let begun = step_once(|cx| again.clone().poll_open(&opening, &[], End::Last, cx));
            result.lock().expect("no panic").push(matches!(begun, Some(Ok(Begun::Stream(..)))));
        });
        let mut wants = Wants::default();
        let mut cx = Cx::new(now, &waker, &mut wants);
        assert!(conn.clone().poll_open(&opening, &[], End::Last, &mut cx).is_pending());
        drop(first);
        let tried = tried.lock().expect("no panic");
        assert!(!tried.is_empty() && !tried.contains(&true), "{tried:?}");
    }
}
