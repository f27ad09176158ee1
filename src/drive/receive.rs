//! Receiving: the buffer leaves the core, is read into without the lock, and what it holds is dispatched in one go.

use super::{
    carrier::ROOM,
    core::{Core, Eof},
    fault::Cause,
    shared::{Protocol, Shared},
    slot::Wakes,
};
use crate::{buf::RecvBuf, net::Wire, time::Stamp};
use std::{
    cell::RefCell,
    io,
    sync::MutexGuard,
    time::{Duration, Instant},
};

/// The room one receive makes: a full TLS record, or the small answers of a burst.
pub(super) const LITTLE: usize = 16 * 1024;

/// The room a receive makes under bulk load: where reads keep filling the buffer.
pub(super) const BULK: usize = 256 * 1024;

/// How long the answer of a PING may take that was read when somebody happened to look, to count as a round trip.
const UNATTENDED: Duration = Duration::from_secs(1);

/// How many times, a [`LITTLE`] each, the keeper of a server's connections receives in one turn: what it does for one of them all
/// others wait for, and a few bytes can make much work.
const KEEPER_RECEIVES: u32 = 4;

/// How many times one turn receives before it looks who is done: under bulk load the reader must not forget its own deadline.
pub(super) const RECEIVES: u32 = 8;

impl<P: Protocol> Shared<P> {
    /// Reads what is there and dispatches it; returns whether anything arrived. Any thread may: not only the reader.
    pub(super) fn receive<'a>(
        &'a self,
        core: MutexGuard<'a, Core<P>>,
        now: Instant,
        wakes: &mut Wakes,
    ) -> (MutexGuard<'a, Core<P>>, bool) {
        let kept = core.keeper.is_some() && core.turn.is_empty();
        let (times, most) = if kept { (KEEPER_RECEIVES, LITTLE) } else { (RECEIVES, usize::MAX) };
        self.receive_some(core, now, wakes, times, most)
    }

    /// The same, so many times at most, and so much each time.
    pub(super) fn receive_some<'a>(
        &'a self,
        mut core: MutexGuard<'a, Core<P>>,
        now: Instant,
        wakes: &mut Wakes,
        times: u32,
        most: usize,
    ) -> (MutexGuard<'a, Core<P>>, bool) {
        let mut arrived = false;
        for _ in 0..times {
            let wanted = core.proto.wants_read() || core.peeking || core.broken.is_some();
            if core.receiving || core.over.is_some() || core.eof != Eof::Open || !wanted {
                // Neither direction is left.
                if core.eof == Eof::Told && !core.receiving && core.over.is_none() {
                    if let Some(cause) = core.broken.take() {
                        core.end(cause, wakes);
                    }
                }
                break;
            }
            let (sealed, was_broken) = (core.duplex.tls.is_some(), core.broken.is_some());
            let mut buf = std::mem::take(if sealed { &mut core.raw } else { &mut core.input });
            // Of many connections each would keep so much of what nobody reads.
            let much = core.bulk && core.piece >= ROOM;
            let most = if core.keeper.is_some() { most.min(core.room()) } else { most };
            let room = if much { BULK.min(most) } else { LITTLE.min(most) };
            core.receiving = true;
            // A server has many connections, most of which say little at a time.
            let sparing =
                core.keeper.is_some() && !core.bulk && most >= LITTLE && buf.is_empty() && buf.capacity() < LITTLE;
            drop(core);
            let (result, full) = match sparing {
                true => self.outside(|wire| receive_little(wire, &mut buf)),
                false => self.outside(|wire| receive_into(wire, &mut buf, room, most)),
            };
            core = self.lock();
            core.receiving = false;
            core.bulk = full;
            *(if sealed { &mut core.raw } else { &mut core.input }) = buf;
            if core.owed && result.is_err() {
                core.ingest(now, wakes);
            }
            match result {
                Ok(0) => {
                    arrived = true;
                    core.eof = Eof::Seen { clean: !sealed };
                }
                Ok(n) => {
                    arrived = true;
                    core.last_in = now;
                    if !sealed {
                        core.bytes_in += n as u64;
                    }
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    // Of what came between this read and the write that failed meanwhile it says nothing.
                    if core.broken.is_some() && !was_broken {
                        continue;
                    }
                    if let Some(cause) = core.broken.take() {
                        core.end(cause, wakes);
                    }
                    core.emptied = now;
                    break;
                }
                Err(e) => {
                    arrived = true;
                    let cause = core.broken.take().unwrap_or_else(|| Cause::io("receiving", &e));
                    core.end(cause, wakes);
                    break;
                }
            }
            let acked = core.proto.pings().1;
            // What nobody waited for may have lain there since the last look.
            let heard = if core.turn.reader().is_none() { core.proto.heard() } else { None };
            if sealed && matches!(result, Ok(1..)) {
                // It may be a part of a record, of which the protocol sees nothing yet.
                core.proto.received(now);
            }
            core.ingest(now, wakes);
            core.count_unread();
            if let Some(before) = heard {
                let at = before.max(core.emptied);
                core.proto.came_by(at);
            }
            if core.proto.pings().1 > acked {
                self.on_ping_answered(&mut core);
            }
            if !full && core.broken.is_none() {
                core.emptied = now;
                break;
            }
        }
        (core, arrived)
    }

    fn on_ping_answered(&self, core: &mut Core<P>) {
        if core.proto.take_kept() {
            core.kept_at = Some(Stamp::now());
        }
        let rtt = core.proto.rtt();
        // An answer that nobody waited for may have lain there for long.
        if core.turn.reader().is_some() || rtt.is_some_and(|rtt| rtt < UNATTENDED) {
            core.rtt = rtt;
        }
        self.note_answer(core, rtt);
    }
}

thread_local! {
    /// Where this thread receives what may be little.
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Gives that back: the thread has had nothing to receive for a while.
pub(super) fn forget_room() {
    // While the thread ends it is gone already.
    let _ = SCRATCH.try_with(RefCell::take);
}

/// Receives into `buf`, with so much room at least and at most; returns also whether all the room was used.
pub(super) fn receive_into(wire: &dyn Wire, buf: &mut RecvBuf, room: usize, most: usize) -> (io::Result<usize>, bool) {
    let space = buf.space(room);
    let room = space.len().min(most);
    let space = &mut space[..room];
    let result = wire.try_read(space);
    let full = matches!(result, Ok(n) if n == room);
    if let Ok(n) = result {
        buf.filled(n);
    }
    (result, full)
}

/// The same, with room that belongs to the thread: the buffer gets as large as what came.
pub(super) fn receive_little(wire: &dyn Wire, buf: &mut RecvBuf) -> (io::Result<usize>, bool) {
    let received = SCRATCH.try_with(|little| {
        let mut little = little.try_borrow_mut().ok()?;
        little.resize(LITTLE, 0);
        let result = wire.try_read(&mut little);
        if let Ok(n) = result {
            buf.extend_exactly(&little[..n]);
        }
        let full = matches!(result, Ok(LITTLE));
        Some((result, full))
    });
    // While the thread ends there is no such room, and a wire of the caller's may read another one.
    received.ok().flatten().unwrap_or_else(|| receive_into(wire, buf, LITTLE, usize::MAX))
}
