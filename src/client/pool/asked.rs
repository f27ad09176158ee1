//! Requests that upkeep makes on idle HTTP/1 connections, which have no PING.
//!
//! A connection that was asked is in nobody's hands until its peer has answered: it is off the shelf, so no request has to wait for
//! that answer.

use super::{Key, Pool, kept, shelf::Kept};
use crate::{
    client::settings::PoolLimits,
    drive::{Answer, Begun, Cause, CloseReason, Opening, Stream, step_once},
    error::ErrorKind,
    net::Cx,
    proto::{
        End,
        h1::{Length, TargetForm},
    },
    time::Stamp,
};
use http::Request;
use std::{
    task::Poll,
    time::{Duration, Instant},
};

/// A connection whose peer was asked.
pub(super) struct Asked {
    key: Key,
    limits: PoolLimits,
    kept: Kept,
    stream: Stream,
    /// When the answer has to be complete.
    until: Option<Instant>,
    /// The head of the answer arrived.
    answered: bool,
}

/// How an answer is asked for.
pub(crate) struct Asking<'a> {
    /// Makes the request for a key; `None`: nothing is asked for there.
    pub(crate) head: &'a dyn Fn(&Key) -> Option<(Request<()>, TargetForm)>,
    pub(crate) limits: &'a PoolLimits,
    /// After how long without use.
    pub(crate) interval: Duration,
    /// For how long after the last other request.
    pub(crate) keep_idle: Duration,
    /// How long the answer may take.
    pub(crate) timeout: Duration,
}

impl Asked {
    fn id(&self) -> u64 {
        self.kept.conn.id()
    }

    /// Ready once the answer was read to its end; whether the connection can be used again.
    fn poll(&mut self, cx: &mut Cx<'_>) -> Poll<bool> {
        loop {
            if !self.answered {
                match self.stream.poll_answer(cx) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Err(_)) => return Poll::Ready(false),
                    Poll::Ready(Ok(Answer::Informational(_))) => {}
                    Poll::Ready(Ok(Answer::Final(head))) => {
                        self.kept.unused = self.limits.idle_timeout.min(crate::client::call::keep_alive(&head));
                        self.answered = true;
                    }
                }
                continue;
            }
            match self.stream.poll_data(&mut [0; 4096], cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(0)) => return Poll::Ready(true),
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(_)) => return Poll::Ready(false),
            }
        }
    }
}

/// Connections off the shelf. Those that are left go back when it is dropped, also while a panic of a wire unwinds.
struct Taken<'a> {
    pool: &'a Pool,
    limits: &'a PoolLimits,
    list: Vec<(Key, Kept)>,
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        for (key, kept) in self.list.drain(..) {
            self.pool.shelve_again(&key, self.limits, kept);
        }
    }
}

/// Questions that are looked at. Those that are left are kept when it is dropped, also while a panic of a wire unwinds.
struct Open<'a> {
    pool: &'a Pool,
    list: Vec<Asked>,
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.pool.lock().asked.append(&mut self.list);
    }
}

impl Pool {
    /// Asks on every idle HTTP/1 connection for which it is due; returns which these are.
    pub(crate) fn ask(&self, asking: &Asking<'_>, now: Instant) -> Vec<u64> {
        let (mut due, stamp) = (Vec::new(), Stamp::just(now));
        let mut state = self.lock();
        let (mut taken, idle) = (0, state.idle);
        for (key, shelf) in &mut state.shelves {
            let is_due = |kept: &Kept| {
                let unused = now.saturating_duration_since(kept.conn.last_used());
                unused >= asking.interval && kept.asked_for.age(stamp) < asking.keep_idle
            };
            for at in (0..shelf.idle.len()).rev() {
                if is_due(&shelf.idle[at]) {
                    due.push((key.clone(), shelf.idle.remove(at)));
                    shelf.used += 1;
                    taken += 1;
                }
            }
        }
        state.idle = idle - taken;
        drop(state);
        let mut taken = Taken { pool: self, limits: asking.limits, list: due };
        let mut ids = Vec::new();
        while let Some((key, kept)) = taken.list.last().cloned() {
            ids.extend(self.ask_one(key, kept, asking, now));
            taken.list.pop();
        }
        ids
    }

    fn ask_one(&self, key: Key, kept: Kept, asking: &Asking<'_>, now: Instant) -> Option<u64> {
        let (id, conn) = (kept.conn.id(), kept.conn.clone());
        let begun = (asking.head)(&key).filter(|_| conn.look(now)).and_then(|(head, form)| {
            let opening = Opening { head: &head, form, length: Length::Empty };
            step_once(|cx| conn.clone().poll_open(&opening, &[], End::Last, cx))
        });
        let Some(Ok(Begun::Stream(stream, _))) = begun else {
            self.shelve_again(&key, asking.limits, kept);
            return None;
        };
        let until = now.checked_add(asking.timeout);
        self.lock().asked.push(Asked { key, limits: *asking.limits, kept, stream, until, answered: false });
        Some(id)
    }

    /// Looks at what was answered, and gives up what is overdue.
    pub(crate) fn step_asked(&self, now: Instant) {
        self.wait_asked(now, now);
    }

    /// The same, and waits for answers until then at most; returns which came.
    pub(crate) fn wait_asked(&self, now: Instant, until: Instant) -> Vec<u64> {
        let list = std::mem::take(&mut self.lock().asked);
        if list.is_empty() {
            return Vec::new();
        }
        let mut open = Open { pool: self, list };
        let (mut acked, mut lost) = (Vec::new(), Vec::new());
        crate::drive::block_on(crate::time::Deadline::at(until), |cx| {
            let (mut at, asked) = (0, &mut open.list);
            while at < asked.len() {
                match asked[at].poll(cx) {
                    Poll::Pending => at += 1,
                    Poll::Ready(true) => acked.push(asked.swap_remove(at)),
                    Poll::Ready(false) => lost.push(asked.swap_remove(at)),
                }
            }
            if asked.is_empty() { Poll::Ready(()) } else { Poll::Pending }
        });
        let now = now.max(Instant::now());
        let is_overdue = |asked: &Asked| asked.until.is_some_and(|at| at <= now);
        let (overdue, left) = std::mem::take(&mut open.list).into_iter().partition(is_overdue);
        open.list = left;
        drop(open);
        overdue.into_iter().for_each(|asked| self.give_up(asked, CloseReason::PingUnanswered));
        lost.into_iter().for_each(|asked| self.give_up(asked, CloseReason::ByPeer));
        let ids = acked.iter().map(Asked::id).collect();
        for Asked { key, limits, kept: before, stream, .. } in acked {
            drop(stream);
            self.shelve_again(&key, &limits, kept(&before.conn, &limits, before.unused, before.asked_for));
        }
        ids
    }

    /// Ends a connection whose peer was asked.
    pub(super) fn give_up(&self, asked: Asked, reason: CloseReason) {
        let text = "the request of upkeep was not answered";
        asked.kept.conn.shutdown(Cause::new(ErrorKind::Closed, reason, text));
        drop(asked.stream);
        // It is over, so this only counts it out.
        self.shelve(&asked.key, &asked.limits, None);
    }

    /// Puts one back that was off its shelf only to be asked.
    fn shelve_again(&self, key: &Key, limits: &PoolLimits, kept: Kept) {
        // An end that was seen already counts; one that was not is found when it is handed out.
        let rests = kept.conn.rests_since().is_some();
        self.shelve(key, limits, rests.then_some(kept));
    }

    /// Which connections upkeep has asked on and not heard from.
    pub(crate) fn asked(&self) -> Vec<u64> {
        self.lock().asked.iter().map(Asked::id).collect()
    }

    /// When the next question is due, or its answer overdue.
    pub(crate) fn next_ask(&self, interval: Duration, keep_idle: Duration) -> Option<Instant> {
        let (state, now) = (self.lock(), Stamp::now());
        let idle = state.shelves.values().flat_map(|shelf| &shelf.idle);
        let due = idle.filter(|kept| kept.asked_for.age(now) < keep_idle);
        let due = due.filter_map(|kept| kept.conn.last_used().checked_add(interval));
        due.chain(state.asked.iter().filter_map(|asked| asked.until)).min()
    }
}
