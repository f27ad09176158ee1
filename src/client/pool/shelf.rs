//! What a pool holds for each key, and which of it is past its time.

use super::{
    super::{resting::Resting, url::Origin},
    Key,
    asked::Asked,
    key::ByKey,
    line::Waiting,
    past::Past,
};
use crate::client::settings::PoolLimits;
use crate::{
    drive::{Carrier, Cause, CloseReason},
    error::ErrorKind,
    net::Waker,
    time::{Deadline, Stamp},
};
use http::Version;
use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Weak},
    time::{Duration, Instant},
};

/// How often everything that is idle is looked at, for each connection that was there the last time, and at the least: ends that
/// peers have sent in the meantime are answered, so that no CLOSE_WAIT piles up in a pool that is used at all. A look takes a
/// microsecond or two, so that all of them take no more than a few thousandths of the time.
const SWEEP_EACH: Duration = Duration::from_millis(1);
const SWEEP: Duration = Duration::from_millis(10);

/// How long a connection that is being made, and that nobody goes on with, is worth waiting for: a program that looks at its requests
/// by turns goes on soon; and one that does not must not keep others from making their own.
const REST: Duration = Duration::from_millis(100);

/// For how many origins it is remembered what they speak, while nothing leads to them: a crawler visits millions.
const LEARNED: usize = 1000;

#[derive(Default)]
pub(super) struct State {
    pub(super) shelves: ByKey<Shelf>,
    /// Every connection that is alive, pooled or not.
    pub(super) all: Vec<Weak<dyn Carrier>>,
    /// HTTP/1 connections nobody uses, in all.
    pub(super) idle: usize,
    next_sweep: Option<Instant>,
    /// HTTP/1 connections whose peer was asked by upkeep, until it answers.
    pub(super) asked: Vec<Asked>,
    /// Those being made.
    pub(super) dials: Vec<Dialled>,
    /// How often the upkeep interval of an origin was doubled.
    pub(super) calm: HashMap<String, u32>,
}

/// A connection that is being made.
pub(super) struct Dialled {
    pub(super) id: u64,
    pub(super) origin: Origin,
    pub(super) since: Instant,
}

/// What is known of one key.
#[derive(Default)]
pub(super) struct Shelf {
    /// HTTP/2 connections, each shared by any number of requests; the newest last.
    pub(super) shared: Vec<Kept>,
    /// HTTP/1 connections nobody uses, the one used last at the end.
    pub(super) idle: Vec<Kept>,
    /// HTTP/1 connections in use.
    pub(super) used: usize,
    /// Connections being made.
    pub(super) dialling: usize,
    /// Connections being made that may turn out to be HTTP/2.
    pub(super) hopeful: Vec<Hope>,
    /// What the last connection spoke.
    pub(super) spoke: Option<Version>,
    /// The peer said HTTP_1_1_REQUIRED.
    pub(super) http1_only: bool,
    /// The peer did not upgrade to h2c.
    pub(super) declined: bool,
    /// Who waits for a connection, in the order in which they began.
    pub(super) line: VecDeque<Waiting>,
    /// Started requests that hold a connection, or upload on a stream, as far as is known; nobody waits for some of them.
    pub(super) held: Vec<(u64, Weak<Resting>)>,
}

/// A connection being made that others hope for.
pub(super) struct Hope {
    pub(super) id: u64,
    /// Since when nobody goes on with it: whoever began it waits for something else.
    pub(super) rests: Option<Instant>,
}

/// A connection that is kept, and for how long.
#[derive(Clone)]
pub(super) struct Kept {
    pub(super) conn: Arc<dyn Carrier>,
    /// How long it may be unused.
    pub(super) unused: Duration,
    /// How old it may become.
    pub(super) lifetime: Duration,
    /// When a request of the program had last used it (HTTP/1).
    pub(super) asked_for: Stamp,
}

impl Kept {
    /// Why the connection is not to be handed out any more, by the clock alone.
    fn past(&self, now: Stamp) -> Option<CloseReason> {
        let ages = self.conn.ages(now);
        if ages.made >= self.lifetime {
            return Some(CloseReason::TooOld);
        }
        if self.unused == Duration::ZERO && self.conn.served() == 0 {
            // It was made for somebody who is about to use it.
            return None;
        }
        ages.unused.filter(|unused| *unused >= self.unused).map(|_| CloseReason::Idle)
    }

    /// For how long it is not past its time, if nobody uses it.
    fn left(&self, now: Stamp) -> Duration {
        let ages = self.conn.ages(now);
        let age = self.lifetime.saturating_sub(ages.made);
        ages.unused.map_or(age, |unused| age.min(self.unused.saturating_sub(unused)))
    }

    /// Ends it: at once if nobody uses it, else once nobody does. Returns whether it is over.
    pub(super) fn retire(&self, reason: CloseReason) -> bool {
        let text = if reason == CloseReason::TooOld { "the connection was too old" } else { "closed while idle" };
        self.conn.retire(Cause::new(ErrorKind::Cancelled, reason, text))
    }
}

impl State {
    /// Takes out of one shelf what is past its time; the caller retires it without the lock.
    pub(super) fn purge(&mut self, key: &Key, now: Stamp) -> Vec<Past> {
        let State { shelves, idle, .. } = self;
        shelves.get_mut(key).map(|shelf| shelf.purge(key, idle, now)).unwrap_or_default()
    }

    /// Whether it is time to look at everything that is idle.
    pub(super) fn sweep_is_due(&mut self, now: Instant) -> bool {
        let due = self.next_sweep.is_none_or(|at| now >= at);
        if due {
            let kept = self.idle + self.shelves.values().map(|shelf| shelf.shared.len()).sum::<usize>();
            let pause = SWEEP_EACH.saturating_mul(u32::try_from(kept).unwrap_or(u32::MAX)).max(SWEEP);
            self.next_sweep = now.checked_add(pause);
        }
        due
    }

    /// Takes out of every shelf what is past its time.
    pub(super) fn purge_all(&mut self) -> Vec<Past> {
        let State { shelves, idle, .. } = self;
        let now = Stamp::now();
        let past = shelves.iter_mut().flat_map(|(key, shelf)| shelf.purge(key, idle, now)).collect();
        // What an origin was learned to speak is kept; only what is empty in every respect goes.
        let many = shelves.len() > LEARNED;
        shelves.retain(|_, shelf| !shelf.is_blank(many));
        past
    }

    /// When the next connection is past its time.
    pub(super) fn next_expiry(&self) -> Option<Instant> {
        let now = Stamp::now();
        let kept = self.shelves.values().flat_map(|shelf| shelf.idle.iter().chain(&shelf.shared));
        kept.filter_map(|kept| now.at().checked_add(kept.left(now))).min()
    }

    /// Everything that may be looked at: idle, or shared.
    pub(super) fn kept(&self) -> Vec<Arc<dyn Carrier>> {
        self.shelves.values().flat_map(|s| s.idle.iter().chain(&s.shared)).map(|kept| kept.conn.clone()).collect()
    }

    /// Takes out what is idle above the limits, the longest unused first; `spare` is about to be used.
    pub(super) fn crowd(&mut self, key: &Key, limits: &PoolLimits, spare: u64) -> Vec<Past> {
        let here = self.shelves.get(key).map_or(0, |shelf| shelf.shared.len());
        let mut gone = Vec::new();
        if here > limits.max_idle_per_origin && !limits.keeps_none() {
            let here = self.shelves.get(key).into_iter().flat_map(|shelf| &shelf.shared);
            gone = self.forget(&longest_unused(here, spare, limits.max_idle_per_origin)).0;
        }
        gone.append(&mut self.crowd_of_all(limits, spare));
        gone
    }

    /// The same for what is idle on all shelves together.
    pub(super) fn crowd_of_all(&mut self, limits: &PoolLimits, spare: u64) -> Vec<Past> {
        let shared: usize = self.shelves.values().map(|shelf| shelf.shared.len()).sum();
        if self.idle + shared <= limits.max_idle || limits.keeps_none() {
            return Vec::new();
        }
        let all = self.shelves.values().flat_map(|shelf| shelf.idle.iter().chain(&shelf.shared));
        self.forget(&longest_unused(all, spare, limits.max_idle)).0
    }

    /// Takes these out; returns them, and who waits for room on their shelves.
    pub(super) fn forget(&mut self, over: &[u64]) -> (Vec<Past>, Vec<Waker>) {
        let (mut gone, mut wakers) = (Vec::new(), Vec::new());
        for (key, shelf) in &mut self.shelves {
            let before = gone.len();
            let is_over = |kept: &Kept| over.contains(&kept.conn.id()).then_some(CloseReason::Idle);
            shelf.take_out(key, &mut self.idle, &mut gone, is_over);
            if gone.len() > before {
                wakers.append(&mut shelf.waiting());
            }
        }
        (gone, wakers)
    }
}

/// Of those that are idle, which are above a limit; `spare` is about to be used.
fn longest_unused<'a>(kept: impl Iterator<Item = &'a Kept>, spare: u64, limit: usize) -> Vec<u64> {
    let idle = kept.filter(|kept| kept.conn.id() != spare && kept.conn.is_idle());
    let mut idle: Vec<_> = idle.map(|kept| (kept.conn.last_used(), kept.conn.id())).collect();
    idle.sort_unstable();
    idle.iter().take(idle.len().saturating_sub(limit)).map(|(_, id)| *id).collect()
}

impl Shelf {
    /// Until when a connection that is being made is worth waiting for; `None`: there is none.
    pub(super) fn hope(&self, now: Instant) -> Option<Deadline> {
        let until = |hope: &Hope| hope.rests.map_or(Deadline::NEVER, |since| Deadline::from(since.checked_add(REST)));
        let mut lasting = self.hopeful.iter().map(until).filter(|until| !until.has_passed(now));
        let first = lasting.next()?;
        // Whichever ends first: then it is looked at again.
        Some(lasting.fold(first, Deadline::earlier))
    }

    fn purge(&mut self, key: &Key, idle: &mut usize, now: Stamp) -> Vec<Past> {
        let mut past = Vec::new();
        self.take_out(key, idle, &mut past, |kept| kept.past(now));
        past
    }

    /// Takes out what is idle here.
    pub(super) fn take_idle(&mut self, key: &Key, idle: &mut usize, past: &mut Vec<Past>) {
        let shared = std::mem::take(&mut self.shared);
        self.take_out(key, idle, past, |_| Some(CloseReason::Idle));
        self.shared = shared;
    }

    /// Takes out what there is a reason for, and adds it to `past`; `idle` counts what is idle on all shelves.
    pub(super) fn take_out(
        &mut self,
        key: &Key,
        idle: &mut usize,
        past: &mut Vec<Past>,
        why: impl Fn(&Kept) -> Option<CloseReason>,
    ) {
        let mut take = |list: &mut Vec<Kept>, counted: bool| {
            let before = list.len();
            list.retain(|kept| {
                let Some(reason) = why(kept) else { return true };
                past.push(Past { kept: kept.clone(), reason, counted: counted.then(|| key.clone()) });
                false
            });
            before - list.len()
        };
        let unused = take(&mut self.idle, true);
        take(&mut self.shared, false);
        *idle -= unused;
        self.used += unused;
    }

    /// Whether nothing is lost without it; with `forgetful` what was learned of the origin counts as nothing.
    fn is_blank(&self, forgetful: bool) -> bool {
        self.shared.is_empty()
            && self.idle.is_empty()
            && self.used + self.dialling == 0
            && (forgetful || self.spoke.is_none())
            && self.line.is_empty()
            && self.held.iter().all(|(_, resting)| resting.strong_count() == 0)
            && (forgetful || !(self.http1_only || self.declined))
    }
}
