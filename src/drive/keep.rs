//! What the keeper of a server's connections does with one that nobody waits on: it watches the wire, takes in requests, sends
//! what is left, and closes in such a way that the peer can read the last answer.

use super::{
    carrier::Exchanges,
    core::{Core, Eof},
    fault::Cause,
    info::CloseReason,
    shared::{Protocol, Shared},
    slot::Wakes,
};
use crate::{
    error::ErrorKind,
    net::{Interest, Waker},
};
use std::time::{Duration, Instant};

/// Who looks after a connection while nobody waits on it.
#[derive(Debug)]
pub(crate) struct Keeper {
    waker: Waker,
    /// What it watches the wire for.
    watches: Option<Interest>,
    /// It knows that the connection is over.
    told: bool,
}

/// How long a server waits for what a client should say.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// For the first byte of a request.
    pub(crate) idle: Duration,
    /// From there to the end of its head.
    pub(crate) head: Duration,
    /// For the client to take something of what it is sent, and how many bytes a second it has to take over that time.
    pub(crate) write: Duration,
    pub(crate) min_rate: u64,
}

impl Default for Patience {
    fn default() -> Self {
        Patience { idle: Duration::MAX, head: Duration::MAX, write: Duration::MAX, min_rate: 0 }
    }
}

impl Patience {
    pub(super) fn too_idle(self) -> Cause {
        let text = format!("no request came for {:?}", self.idle);
        Cause::new(ErrorKind::TimedOut, CloseReason::Idle, text)
    }

    pub(super) fn too_late(self) -> Cause {
        let text = format!("the rest of a request that was answered did not come in {:?}", self.head);
        Cause::new(ErrorKind::TimedOut, CloseReason::Idle, text)
    }

    pub(super) fn too_slow(self) -> Cause {
        let text = format!("the head of a request was not complete after {:?}", self.head);
        Cause::new(ErrorKind::TimedOut, CloseReason::Violation, text)
    }
}

/// After how long without a byte a connection gives its memory back.
const RESTS_AFTER: Duration = Duration::from_millis(500);

/// How closely a keeper follows what is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    /// It watches for exactly that.
    Exactly,
    /// It may go on watching for more: nothing has come of that yet, and changing it costs a system call.
    Lazily,
}

/// How far the end of a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Closing {
    /// It is not over.
    Open,
    /// Something is unsent.
    Flushing,
    /// Everything was sent and our direction has ended; what the peer still says is to be read and forgotten for a while.
    ///
    /// Closing at once could make the peer's system throw away what it received and nobody read yet, the answer that says
    /// why (RFC 9112, section 9.6).
    Lingering,
    /// Nothing is left to wait for.
    Done,
}

/// Returns whether who watches for `watched` notices what is needed.
fn covers(watched: Option<Interest>, needed: Option<Interest>) -> bool {
    match (watched, needed) {
        (_, None) | (Some(Interest::Both), _) => true,
        (watched, needed) => watched == needed,
    }
}

impl<P: Protocol> Shared<P> {
    pub(super) fn set_keeper(&self, waker: Waker) {
        self.with(Instant::now(), |core, _| core.keeper = Some(Keeper { waker, watches: None, told: false }));
    }

    /// Returns what the keeper should watch for: nothing while a thread waits on the connection.
    fn kept_for(&self, core: &Core<P>) -> Option<Interest> {
        if !core.turn.is_empty() || core.over.is_some() {
            return None;
        }
        match (self.needs(core).0, core.proto.wants_keeping()) {
            (needed, true) => needed,
            (Some(Interest::Write | Interest::Both), false) => Some(Interest::Write),
            (Some(Interest::Read) | None, false) => None,
        }
    }

    /// Wakes the keeper if there is something for it to do.
    pub(super) fn tell_keeper(&self, core: &mut Core<P>, wakes: &mut Wakes) {
        if core.keeper.is_none() {
            // A client's has none, and what is needed takes some finding out.
            return;
        }
        let needed = self.kept_for(core);
        let Some(keeper) = &mut core.keeper else { return };
        let call = match core.over {
            Some(_) => !std::mem::replace(&mut keeper.told, true),
            None => core.proto.has_incoming() || !covers(keeper.watches, needed),
        };
        if call {
            wakes.add(keeper.waker.clone());
        }
    }

    pub(super) fn charge(&self, rule: Rule) -> Option<Interest> {
        let mut core = self.lock();
        let needed = self.kept_for(&core);
        let keeper = core.keeper.as_mut()?;
        if rule == Rule::Exactly || !covers(keeper.watches, needed) {
            keeper.watches = needed;
        }
        keeper.watches
    }

    /// Returns whether a thread waits on the connection and reads for all.
    pub(super) fn is_led(&self) -> bool {
        !self.lock().turn.is_empty()
    }

    /// Gives the memory of an idle connection back: most connections are idle most of the time.
    pub(super) fn rest(&self, now: Instant) {
        let mut core = self.lock();
        let Core { input, raw, duplex, receiving, last_in, last_out, .. } = &mut *core;
        if !*receiving && now.saturating_duration_since(*last_in.max(last_out)) >= RESTS_AFTER {
            input.shrink(true);
            raw.shrink(true);
            duplex.shrink();
        }
    }

    pub(super) fn closing(&self, now: Instant) -> Closing {
        let mut wakes = Wakes::new();
        let mut core = self.lock();
        let Some(cause) = &core.over else { return Closing::Open };
        let cut = matches!(cause.reason, CloseReason::Shutdown | CloseReason::WriteStalled);
        if cut {
            return Closing::Done;
        }
        core.duplex.finish();
        let core = self.flush(core, now, &mut wakes);
        let (unsent, ended) = (core.duplex.unsent() > 0, core.eof != Eof::Open);
        drop(core);
        wakes.fire();
        match (unsent, ended) {
            (true, _) => Closing::Flushing,
            (false, false) => Closing::Lingering,
            (false, true) => Closing::Done,
        }
    }
}

impl<P: Exchanges> Shared<P> {
    pub(super) fn has_gone(&self, id: u32, now: Instant) -> bool {
        let mut core = self.lock();
        // While a complete request is answered nothing is read, but for this.
        core.peeking = core.input.is_empty();
        drop(core);
        self.look(now);
        let mut core = self.lock();
        core.peeking = false;
        core.eof != Eof::Open || Self::on_slot(&mut core, id, |slot| slot.has_failed()).unwrap_or(true)
    }
}
