//! Past the buffers: what the owner of a whole connection reads and writes on the wire itself, while nothing else is on its way.
//!
//! A tunnel has one owner, who frames and understands its bytes; copying them into the buffers of the connection and out again would
//! cost more than everything else. The roles are those of the connection: it looks to others as if a thread was reading or writing.
//!
//! With TLS it is the same but for the session, which lives under the lock: what the owner has framed is sealed where it lies, and what
//! is opened goes to where the owner wants it.

use super::{
    carrier::Exchanges,
    core::{Core, Eof},
    fault::Cause,
    receive::{BULK, LITTLE, RECEIVES, receive_into, receive_little},
    shared::Shared,
    slot::Wakes,
};
use crate::{
    buf::RecvBuf,
    net::{Fed, Waker},
};
use std::{cell::RefCell, io, sync::MutexGuard, time::Instant};

/// The most memory of one buffer that a thread keeps for its next bulk load.
const KEPT: usize = 4 * 1024 * 1024;

/// From how many bytes on a buffer is worth keeping.
const WORTH: usize = 64 * 1024;

/// How much one write seals at most: then there are time limits and tokens to be looked at.
const PIECE: usize = 256 * 1024;

thread_local! {
    /// Large buffers that this thread has no use for now.
    static SPARE: RefCell<Vec<RecvBuf>> = const { RefCell::new(Vec::new()) };
}

/// Where bytes are to be put.
#[derive(Debug)]
pub(crate) enum Room<'a> {
    /// Behind what is there; the room is made as it is needed.
    Buffer(&'a mut RecvBuf),
    /// The same, but not much at a time: what came before was of no use, however much it was.
    Little(&'a mut RecvBuf),
    /// Here and nowhere else.
    Slice(&'a mut [u8]),
}

/// What became of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Written {
    /// How many of the bytes are the connection's affair now.
    pub(crate) taken: usize,
    /// Whether those are in the hands of the operating system, which takes more.
    pub(crate) flushed: bool,
}

impl Written {
    /// None of them.
    pub(crate) const NOTHING: Written = Written { taken: 0, flushed: false };
}

/// What became of a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Passed {
    /// There is no way past the buffers now: something is in them, or the end is.
    Barred,
    /// So many bytes, at least one, are where they should be.
    Bytes(usize),
    /// Nothing is there.
    Nothing,
}

/// Whether the wire is worth waiting for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Watch {
    /// It may be waited for: whoever else reads it, or ends the connection, wakes the waker.
    Armed,
    /// There is no way past the buffers now.
    Barred,
    /// The last read filled its buffer: there is more.
    Bulk,
}

impl<P: Exchanges> Shared<P> {
    /// Whether nothing is between the owner of this exchange and the wire.
    fn is_open(core: &mut Core<P>, id: u32) -> bool {
        core.duplex.is_clear() && core.broken.is_none() && core.over.is_none() && core.proto.is_clear(id)
    }

    /// Gives `bytes` to the wire; nothing also if there is no way past the buffers, or the wire is broken.
    pub(super) fn write_past(&self, id: u32, bytes: &[u8], now: Instant) -> Written {
        let mut core = self.lock();
        if bytes.is_empty() || !Self::is_open(&mut core, id) {
            return Written::NOTHING;
        }
        if core.duplex.tls.is_some() {
            return self.write_sealed(core, id, bytes, now);
        }
        core.duplex.begin_past(bytes.len());
        drop(core);
        let taken = self.outside(|wire| wire.try_write(bytes)).unwrap_or(0).min(bytes.len());
        let mut core = self.lock();
        core.duplex.end_past(bytes.len(), taken);
        core.last_out = now;
        if core.duplex.has_work() || core.over.is_some() {
            // Something came up meanwhile.
            drop(core);
            self.with(now, |_, _| ());
        }
        Written { taken, flushed: taken == bytes.len() }
    }

    /// The same with TLS: what is sealed is taken, and what the wire does not take of it waits in the connection.
    fn write_sealed<'a>(&'a self, mut core: MutexGuard<'a, Core<P>>, id: u32, bytes: &[u8], now: Instant) -> Written {
        let bytes = &bytes[..bytes.len().min(PIECE)];
        let mut taken = 0;
        while taken < bytes.len() {
            taken += core.duplex.seal_past(&bytes[taken..]);
            let Some((out, at)) = core.duplex.begin_write() else { break };
            drop(core);
            let wanted = out.len() - at;
            let written = self.outside(|wire| wire.try_write(&out[at..])).unwrap_or(0).min(wanted);
            core = self.lock();
            core.duplex.end_write(out, written, now);
            core.last_out = now;
            if written < wanted || !Self::is_open(&mut core, id) {
                // Something came up meanwhile; or the wire is full, or broken, which another write finds out.
                let end_at = core.duplex.framed();
                let _ = Self::on_slot(&mut core, id, |slot| slot.end_at = end_at);
                drop(core);
                self.with(now, |_, _| ());
                return Written { taken, flushed: false };
            }
        }
        Written { taken, flushed: true }
    }

    /// Whether bytes can be taken from the wire itself.
    fn is_readable(core: &mut Core<P>, id: u32) -> bool {
        let idle = !core.receiving && !core.owed && core.eof == Eof::Open && core.input.is_empty();
        idle && Self::is_open(core, id)
    }

    /// Leaves a waker before the wire is waited for.
    pub(super) fn watch_past(&self, id: u32, waker: &Waker) -> Watch {
        let mut core = self.lock();
        if !Self::is_readable(&mut core, id) {
            return Watch::Barred;
        }
        // What came before the tunnel lay in it.
        core.input.shrink(true);
        if core.bulk || !core.raw.is_empty() {
            return Watch::Bulk;
        }
        if let Some(slot) = core.proto.slot(id) {
            slot.wait_to_read(waker);
        }
        Watch::Armed
    }

    /// Takes bytes from the wire.
    pub(super) fn read_past(&self, id: u32, room: Room<'_>, now: Instant) -> Passed {
        let mut core = self.lock();
        if !Self::is_readable(&mut core, id) {
            return Passed::Barred;
        }
        if core.duplex.tls.is_some() {
            return self.read_sealed(core, room, now);
        }
        let bulk = core.bulk;
        core.receiving = true;
        drop(core);
        // Who reads the rest of a message into its memory knows how long it is.
        let into_buffer = matches!(room, Room::Buffer(_) | Room::Little(_));
        let (result, full) = self.outside(|wire| match room {
            Room::Slice(slice) => (wire.try_read(slice), false),
            Room::Buffer(buf) | Room::Little(buf) if !bulk && buf.is_empty() && buf.capacity() < LITTLE => {
                receive_little(wire, buf)
            }
            Room::Buffer(buf) | Room::Little(buf) if !bulk => receive_into(wire, buf, LITTLE, usize::MAX),
            Room::Little(buf) => receive_into(wire, buf, LITTLE, LITTLE),
            Room::Buffer(buf) => {
                if buf.is_empty() && buf.capacity() < BULK {
                    *buf = spare();
                }
                receive_into(wire, buf, BULK, usize::MAX)
            }
        });
        let mut core = self.lock();
        core.receiving = false;
        core.bulk = full && into_buffer;
        let cause = match result {
            Ok(0) => {
                core.eof = Eof::Seen { clean: true };
                None
            }
            Ok(n) => {
                core.bytes_in += n as u64;
                core.last_in = now;
                if core.owed || core.over.is_some() {
                    self.settle(core, now, None);
                }
                return Passed::Bytes(n);
            }
            Err(e) if matches!(e.kind(), io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock) => {
                if !core.owed && core.over.is_none() {
                    return Passed::Nothing;
                }
                None
            }
            Err(e) => Some(Cause::io("receiving", &e)),
        };
        self.settle(core, now, cause);
        Passed::Barred
    }

    /// The same with TLS.
    fn read_sealed<'a>(&'a self, mut core: MutexGuard<'a, Core<P>>, mut room: Room<'_>, now: Instant) -> Passed {
        for _ in 0..RECEIVES {
            let mut end = None;
            // What was received and not opened, because there was no room for more, comes first.
            if core.raw.is_empty() {
                let (bulk, little) = (core.bulk, matches!(room, Room::Little(_)));
                let mut raw = std::mem::take(&mut core.raw);
                core.receiving = true;
                drop(core);
                if bulk && !little && raw.capacity() < BULK {
                    raw = spare();
                }
                let (result, full) = self.outside(|wire| match bulk {
                    false if raw.capacity() < LITTLE => receive_little(wire, &mut raw),
                    false => receive_into(wire, &mut raw, LITTLE, usize::MAX),
                    true if little => receive_into(wire, &mut raw, LITTLE, LITTLE),
                    true => receive_into(wire, &mut raw, BULK, usize::MAX),
                });
                core = self.lock();
                core.receiving = false;
                (core.raw, core.bulk) = (raw, full);
                match result {
                    Ok(0) => {
                        core.eof = Eof::Seen { clean: false };
                        end = Some(None);
                    }
                    Ok(_) => core.last_in = now,
                    Err(e) if matches!(e.kind(), io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock) => {
                        if !core.owed && core.over.is_none() {
                            recycle(&mut core.raw);
                            return Passed::Nothing;
                        }
                        end = Some(None);
                    }
                    Err(e) => end = Some(Some(Cause::io("receiving", &e))),
                }
            }
            if let Some(cause) = end {
                self.settle(core, now, cause);
                return Passed::Barred;
            }
            let Core { duplex, raw, input, bytes_in, .. } = &mut *core;
            let had = input.len();
            let opened = match &mut room {
                Room::Slice(slice) => duplex.open_into(raw, slice, input),
                Room::Buffer(buf) | Room::Little(buf) => {
                    let before = buf.len();
                    match duplex.open(raw, buf) {
                        Err(_) if buf.len() > before => Ok((buf.len() - before, Fed::Closed)),
                        opened => opened.map(|fed| (buf.len() - before, fed)),
                    }
                }
            };
            let ended = !matches!(opened, Ok((_, Fed::Drained | Fed::More)));
            let n = opened.map_or(0, |(n, _)| n);
            *bytes_in += (n + input.len() - had) as u64;
            if ended || core.owed || core.over.is_some() || core.duplex.has_work() {
                // What has ended, and how, is found out anew.
                self.settle(core, now, None);
                return if n > 0 { Passed::Bytes(n) } else { Passed::Barred };
            }
            match (n, core.bulk) {
                (1.., _) => return Passed::Bytes(n),
                (0, false) => return Passed::Nothing,
                // A record was cut by the end of the room.
                (0, true) => {}
            }
        }
        Passed::Nothing
    }

    /// Does what has become necessary meanwhile; what there is to be told then is told by the buffers.
    fn settle(&self, core: MutexGuard<'_, Core<P>>, now: Instant, cause: Option<Cause>) {
        drop(core);
        self.with(now, |core, wakes: &mut Wakes| {
            core.ingest(now, wakes);
            if let Some(cause) = cause {
                core.end(cause, wakes);
            }
        });
    }
}

/// Returns an empty buffer, with memory if this thread has some to spare.
pub(crate) fn spare() -> RecvBuf {
    SPARE.try_with(|spare| spare.try_borrow_mut().ok()?.pop()).ok().flatten().unwrap_or_default()
}

/// Takes the memory of a buffer in which nothing is, if it is much: this thread uses it for its next bulk load.
pub(crate) fn recycle(buf: &mut RecvBuf) {
    if !buf.is_empty() || buf.capacity() < LITTLE {
        return;
    }
    if buf.capacity() < WORTH {
        *buf = RecvBuf::new();
        return;
    }
    let buf = std::mem::take(buf);
    let _ = SPARE.try_with(|spare| {
        if let (Ok(mut spare), true) = (spare.try_borrow_mut(), buf.capacity() <= KEPT) {
            if spare.len() < 2 {
                spare.push(buf);
            } else if let Some(smallest) = spare.iter_mut().min_by_key(|kept| kept.capacity()) {
                if smallest.capacity() < buf.capacity() {
                    *smallest = buf;
                }
            }
        }
    });
}
