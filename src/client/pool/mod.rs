//! Connections that are kept for the next request.
//!
//! The lock of the pool is never held over a look at a connection, a connect or a wake. Purging happens on every operation,
//! so no thread is needed.
//!
//! | file | what |
//! |---|---|
//! | `key`, `shelf` | what connections are found by, and what there is for it |
//! | `lease` | the place of a connection in use, and of one being made |
//! | `line` | who waits for one, in which order |
//! | `asked` | requests that upkeep makes on idle ones |
//! | `past` | those that are to be closed, which count until they are |

mod asked;
mod key;
mod lease;
mod line;
mod past;
mod shelf;

pub(crate) use asked::Asking;
pub(crate) use key::Key;
pub(crate) use lease::{DialEntry, Lease, Permit};
pub(crate) use line::{Aside, Driven, InLine};

use super::{settings::PoolLimits, url::Origin};
use crate::{
    drive::{Cancel, Carrier, Cause, CloseReason, ConnectionInfo, Owner, Record},
    error::ErrorKind,
    net::{Cx, Waker},
    time::{Deadline, Stamp},
};
use http::Version;
use line::Launching;
use past::Past;
use shelf::{Dialled, Hope, Kept, Shelf, State};
use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

/// A connection that carried something within this time is handed out without a look to a request that can be repeated: in a
/// tight loop the look would cost a system call per request and could hardly find anything; an end that it misses is found
/// by sending.
const FRESH: Duration = Duration::from_millis(1);

/// For how many origins a wish for calm is remembered.
const CALM_KEPT: usize = 1000;

/// What a client counts.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) requests: AtomicU64,
    in_flight: AtomicU64,
    pub(crate) retries: AtomicU64,
    pub(crate) redirects: AtomicU64,
    pub(crate) errors: AtomicU64,
    pub(crate) opened: AtomicU64,
    pub(crate) reused: AtomicU64,
    /// Who waits until nothing is in flight.
    landing: Mutex<Vec<Waker>>,
}

impl Counters {
    pub(crate) fn in_flight(&self) -> u64 {
        self.in_flight.load(Ordering::SeqCst)
    }

    pub(crate) fn take_off(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.in_flight.fetch_add(1, Ordering::SeqCst);
    }

    pub(crate) fn go_on(&self) {
        self.in_flight.fetch_add(1, Ordering::SeqCst);
    }

    pub(crate) fn land(&self) {
        if self.in_flight.fetch_sub(1, Ordering::SeqCst) == 1 {
            let wakers = std::mem::take(&mut *self.landing.lock().unwrap_or_else(PoisonError::into_inner));
            wakers.iter().for_each(Waker::wake);
        }
    }

    /// Wakes `waker` once nothing is in flight; look again after this.
    pub(crate) fn wait_landed(&self, waker: &Waker) {
        let mut landing = self.landing.lock().unwrap_or_else(PoisonError::into_inner);
        if !landing.iter().any(|w| w.same(waker)) {
            landing.push(waker.clone());
        }
    }
}

/// The connections of a client and those derived from it.
pub(crate) struct Pool {
    state: Mutex<State>,
    pub(crate) counters: Counters,
    pub(crate) record: Arc<Record>,
    /// Cancelled once nothing new is taken any more.
    pub(crate) stopped: Cancel,
    /// Cancelled once nothing at all goes on.
    pub(crate) ended: Cancel,
    launching: Mutex<Launching>,
    /// How many bytes are set aside for answers that nobody has asked for, and whether somebody wanted more.
    aside: AtomicUsize,
    short: AtomicBool,
}

/// The answer of a pool that is asked for a connection.
#[derive(Debug)]
pub(crate) enum Checkout {
    /// This one.
    Ready(Lease),
    /// Make one; the permit counts it meanwhile.
    Dial(Permit),
    /// Neither yet: the waker is called when it may be otherwise.
    Wait(Wait),
}

/// Why a request has to wait, and until when.
#[derive(Debug)]
pub(crate) struct Wait {
    /// Worth another look then at the latest.
    pub(crate) until: Deadline,
    /// All connections that there may be are in use or somebody else's turn.
    pub(crate) full: bool,
    /// The same thread is in line just before it.
    pub(crate) follows: bool,
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").finish_non_exhaustive()
    }
}

impl Pool {
    pub(crate) fn new() -> Arc<Self> {
        let pool = Arc::new(Pool {
            state: Mutex::default(),
            counters: Counters::default(),
            record: Arc::default(),
            stopped: Cancel::new(),
            ended: Cancel::new(),
            launching: Mutex::default(),
            aside: AtomicUsize::new(0),
            short: AtomicBool::new(false),
        });
        let owner: Weak<Pool> = Arc::downgrade(&pool);
        pool.record.belong_to(owner);
        pool
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the origin is known to speak only HTTP/1 where HTTP/2 was hoped for.
    pub(crate) fn is_http1_only(&self, key: &Key) -> bool {
        self.lock().shelves.get(key).is_some_and(|shelf| shelf.http1_only)
    }

    /// Remembers that the origin speaks only HTTP/1 where HTTP/2 was hoped for.
    pub(crate) fn remember_http1(&self, key: &Key) {
        self.lock().shelves.entry(key.clone()).or_default().http1_only = true;
    }

    /// Whether the origin is known not to upgrade to h2c.
    pub(crate) fn declines_upgrade(&self, key: &Key) -> bool {
        self.lock().shelves.get(key).is_some_and(|shelf| shelf.declined)
    }

    /// Remembers that the origin does not upgrade to h2c.
    pub(crate) fn remember_declined(&self, key: &Key) {
        self.lock().shelves.entry(key.clone()).or_default().declined = true;
    }

    /// Finds a connection, or says what to do instead.
    pub(crate) fn checkout(self: &Arc<Self>, key: &Key, wish: Wish<'_>, cx: &Cx<'_>) -> Checkout {
        self.tidy(key, wish.limits, cx.now);
        loop {
            let (answer, past) = self.choose(key, wish, cx);
            // Those count until they are closed, and that is what it may have to wait for.
            let again = !past.is_empty() && matches!(answer, Checkout::Wait(_));
            self.retire(past);
            if again {
                continue;
            }
            let Checkout::Ready(lease) = answer else { return answer };
            let fresh = wish.repeatable && cx.now.saturating_duration_since(lease.conn.last_used()) < FRESH;
            if if fresh { lease.conn.is_usable() } else { lease.conn.look(cx.now) } {
                self.counters.reused.fetch_add(1, Ordering::Relaxed);
                return Checkout::Ready(lease);
            }
            self.take_out(vec![lease.conn.id()]);
        }
    }

    /// Does what else is due, and looks at the connections that would be passed over: something may have arrived, or it may be time
    /// to give them up.
    fn tidy(&self, key: &Key, limits: &PoolLimits, now: Instant) {
        let mut state = self.lock();
        let (sweeps, asks) = (state.sweep_is_due(now), !state.asked.is_empty());
        let shared = state.shelves.get(key).map(|shelf| &shelf.shared[..]).unwrap_or_default();
        let suspects: Vec<_> = shared.iter().filter(|k| k.conn.is_suspect(now)).map(|k| k.conn.clone()).collect();
        drop(state);
        if sweeps {
            self.sweep(limits, now);
        }
        if asks {
            self.step_asked(now);
        }
        self.take_out(suspects.iter().filter(|conn| !conn.look(now)).map(|conn| conn.id()).collect());
    }

    /// What `checkout` would hand out, not looked at yet; and what was past its time.
    fn choose(self: &Arc<Self>, key: &Key, wish: Wish<'_>, cx: &Cx<'_>) -> (Checkout, Vec<Past>) {
        let mut state = self.lock();
        let mut past = state.purge(key, Stamp::just(cx.now));
        if state.shelves.get(key).is_some_and(|shelf| shelf.shared.len() > wish.limits.max_idle_per_origin) {
            past.append(&mut state.crowd(key, wish.limits, 0));
        }
        let State { shelves, idle, .. } = &mut *state;
        let shelf = shelves.entry(key.clone()).or_default();
        let lease = |conn, shared| Lease::new(self.clone(), key.clone(), conn, *wish.limits, shared);
        let full = shelf.shared.len() > 1 || wish.limits.more_when_full;
        let shared = match full {
            // The newest that has room; if none has, the newest.
            true => shelf.shared.iter().rev().find(|kept| kept.conn.has_room() && !kept.conn.is_suspect(cx.now)),
            false => shelf.shared.last().filter(|kept| !kept.conn.is_suspect(cx.now)),
        };
        let mut open = shelf.shared.iter().rev().filter(|kept| !kept.conn.is_suspect(cx.now));
        // Where no more may be made a place in line is all there is.
        let crowded = || {
            let made =
                shelf.shared.iter().filter(|kept| !kept.conn.is_suspect(cx.now)).count() + shelf.used + shelf.dialling;
            wish.limits.max_per_origin.is_some_and(|cap| made >= cap)
        };
        let queue = || if !wish.limits.more_when_full || crowded() { open.next() } else { None };
        if let Some(kept) = shared.or_else(queue) {
            let lease = lease(kept.conn.clone(), true);
            shelf.leave_line(wish.id);
            return (Checkout::Ready(lease), past);
        }
        if wish.fresh {
            shelf.take_idle(key, idle, &mut past);
        }
        // Who is in line before it comes first.
        let before = shelf.before(wish.id);
        let full = wish.cap.is_some_and(|cap| shelf.used + shelf.dialling + before >= cap);
        if let Some(kept) = if full && before > 0 { None } else { shelf.idle.pop() } {
            shelf.used += 1;
            *idle -= 1;
            shelf.leave_line(wish.id);
            return (Checkout::Ready(lease(kept.conn, false)), past);
        }
        let hopeful = wish.hopeful && shelf.spoke != Some(Version::HTTP_11);
        // Who hopes for a shared connection does not make a second one while the first is under way.
        let hope = if hopeful { shelf.hope(cx.now) } else { None };
        if full || hope.is_some() {
            let follows = shelf.join_line(wish.id, wish.cap, wish.attended, cx.waker);
            let until = hope.filter(|_| !full).unwrap_or(Deadline::NEVER);
            return (Checkout::Wait(Wait { until, full, follows }), past);
        }
        shelf.leave_line(wish.id);
        shelf.dialling += 1;
        let dial = DialEntry::new(self, &mut state, &key.origin);
        if let Some(shelf) = state.shelves.get_mut(key).filter(|_| hopeful) {
            shelf.hopeful.push(Hope { id: dial.id(), rests: None });
        }
        let permit = Permit { pool: self.clone(), key: key.clone(), limits: *wish.limits, dial, rests: false };
        (Checkout::Dial(permit), past)
    }

    /// Retires everything that is past its time.
    pub(crate) fn purge_past(&self, limits: &PoolLimits) {
        let mut state = self.lock();
        let mut past = state.purge_all();
        let is_crowded = |(_, shelf): &(&Key, &Shelf)| shelf.shared.len() > limits.max_idle_per_origin;
        let crowded: Vec<_> = state.shelves.iter().filter(is_crowded).map(|(key, _)| key.clone()).collect();
        for key in crowded {
            past.append(&mut state.crowd(&key, limits, 0));
        }
        past.append(&mut state.crowd_of_all(limits, 0));
        drop(state);
        self.retire(past);
    }

    /// Takes out what is over.
    pub(crate) fn forget_over(&self) {
        let kept = self.lock().kept();
        self.take_out(kept.iter().filter(|conn| !conn.is_usable()).map(|conn| conn.id()).collect());
    }

    /// Takes these out, and heeds what their peers have asked for.
    fn take_out(&self, over: Vec<u64>) {
        if over.is_empty() {
            return;
        }
        let (gone, wakers) = self.lock().forget(&over);
        gone.iter().for_each(|past| self.heed_calm(&past.kept.conn));
        wakers.iter().for_each(Waker::wake);
        // The others end with what is open on them.
        self.retire(gone.into_iter().filter(|past| past.counted.is_some()).collect());
    }

    /// When the next connection is past its time.
    pub(crate) fn next_expiry(&self) -> Option<Instant> {
        self.lock().next_expiry()
    }

    /// The interval of upkeep for an origin: longer where the peer asked for calm.
    pub(crate) fn interval(&self, origin: &str, interval: Duration) -> Duration {
        let doublings = self.lock().calm.get(origin).copied().unwrap_or(0);
        interval.saturating_mul(1 << doublings.min(10))
    }

    /// How often an interval was doubled.
    pub(crate) fn calmed(&self) -> u64 {
        self.lock().calm.values().map(|times| u64::from(*times)).sum()
    }

    /// Where the peer said ENHANCE_YOUR_CALM, PINGs are spaced out.
    pub(crate) fn heed_calm(&self, conn: &Arc<dyn Carrier>) {
        let asked = conn.take_calm();
        let mut state = self.lock();
        if asked && (state.calm.len() < CALM_KEPT || state.calm.contains_key(conn.origin())) {
            *state.calm.entry(conn.origin().to_owned()).or_default() += 1;
        }
    }

    /// Now and then: looks at everything that is kept, so that nothing lingers that its peer has ended.
    fn sweep(&self, limits: &PoolLimits, now: Instant) {
        let mut state = self.lock();
        let mut past = state.purge_all();
        past.append(&mut state.crowd_of_all(limits, 0));
        let kept = state.kept();
        drop(state);
        self.retire(past);
        self.take_out(kept.iter().filter(|conn| !conn.look(now)).map(|conn| conn.id()).collect());
    }

    /// Enters a connection into the table.
    pub(crate) fn enter(&self, conn: &Arc<dyn Carrier>) {
        self.counters.opened.fetch_add(1, Ordering::Relaxed);
        let mut state = self.lock();
        state.all.retain(|c| c.strong_count() > 0);
        state.all.push(Arc::downgrade(conn));
    }

    /// Puts a connection that was made on its shelf.
    fn place(&self, key: &Key, conn: &Arc<dyn Carrier>, limits: &PoolLimits, version: Version) {
        let mut state = self.lock();
        let shelf = state.shelves.entry(key.clone()).or_default();
        shelf.spoke = Some(version);
        if version == Version::HTTP_2 {
            let unused = if limits.keeps_none() { Duration::ZERO } else { limits.idle_timeout };
            shelf.shared.push(kept(conn, limits, unused, Stamp::now()));
        } else {
            shelf.used += 1;
        }
        let crowd = state.crowd(key, limits, conn.id());
        drop(state);
        self.retire(crowd);
    }

    /// Shares a connection that was made on the wire of another: by an upgrade to HTTP/2.
    pub(crate) fn share(self: &Arc<Self>, key: &Key, conn: Arc<dyn Carrier>, limits: &PoolLimits) -> Lease {
        self.enter(&conn);
        self.place(key, &conn, limits, Version::HTTP_2);
        self.advance(key);
        Lease::new(self.clone(), key.clone(), conn, *limits, true)
    }

    /// Every connection that is alive.
    pub(crate) fn all(&self) -> Vec<Arc<dyn Carrier>> {
        let mut state = self.lock();
        state.all.retain(|c| c.strong_count() > 0);
        state.all.iter().filter_map(Weak::upgrade).collect()
    }

    /// A row for each of them.
    pub(crate) fn table(&self) -> Vec<ConnectionInfo> {
        let row = |dial: &Dialled| ConnectionInfo::connecting(dial.id, dial.origin.to_string(), dial.since);
        // Of one moment: one that is made after another was closed is never in the table beside that.
        let state = self.lock();
        let mut dials: Vec<_> = state.dials.iter().map(row).collect();
        let made: Vec<_> = state.all.iter().filter_map(Weak::upgrade).collect();
        drop(state);
        let mut table: Vec<_> = made.iter().map(|conn| conn.info()).collect();
        dials.retain(|dial| table.iter().all(|row| row.id != dial.id));
        table.append(&mut dials);
        table
    }

    /// Enters a connection of the caller's that is being made.
    pub(crate) fn enter_dial(self: &Arc<Self>, origin: &Origin) -> DialEntry {
        DialEntry::new(self, &mut self.lock(), origin)
    }

    /// Closes what nobody uses; returns how many.
    pub(crate) fn close_idle(&self) -> usize {
        let mut unused = Vec::new();
        let mut state = self.lock();
        let State { shelves, idle, .. } = &mut *state;
        for (key, shelf) in shelves {
            shelf.take_out(key, idle, &mut unused, |kept| kept.conn.is_idle().then_some(CloseReason::Idle));
        }
        let asked = std::mem::take(&mut state.asked);
        drop(state);
        // One that came into use in the meantime ends with that.
        let closed = self.retire(unused);
        let given_up = asked.len();
        asked.into_iter().for_each(|asked| self.give_up(asked, CloseReason::Idle));
        closed + given_up
    }

    /// Takes nothing new any more.
    pub(crate) fn stop(&self) {
        self.stopped.cancel();
    }

    /// Whether it takes nothing new.
    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped.is_cancelled()
    }

    /// Lets nothing go on that is on no connection; those end by themselves.
    pub(crate) fn end(&self) {
        self.stop();
        self.ended.cancel();
    }

    /// Takes an HTTP/1 connection back that served its exchange.
    fn put_back(&self, lease: &Lease) {
        let unused = lease.limits.idle_timeout.min(lease.conn.kept());
        let since = lease.conn.rests_since();
        if since.is_none() && lease.conn.is_idle() {
            // It serves nothing more. Nobody else has it, but another one may be made in its place once it is counted out.
            lease.conn.retire(Cause::new(ErrorKind::Closed, CloseReason::Finished, "the connection takes nothing new"));
        }
        self.shelve(&lease.key, &lease.limits, since.map(|since| kept(&lease.conn, &lease.limits, unused, since)));
    }

    /// Puts an HTTP/1 connection that was in use on its shelf, if it is to be kept and can be; else it only counts it out. Where
    /// there are too many the oldest go.
    fn shelve(&self, key: &Key, limits: &PoolLimits, kept: Option<Kept>) {
        let mut crowd = Vec::new();
        let keeps = !self.is_stopped() && !limits.keeps_none();
        let (kept, unwanted) = match kept {
            Some(kept) if keeps && kept.unused > Duration::ZERO => (Some(kept), None),
            unwanted => (None, unwanted),
        };
        if let Some(unwanted) = unwanted {
            // Before another one is made in its place: the answer that it brought may hold it for long.
            unwanted.retire(CloseReason::Idle);
        }
        let mut state = self.lock();
        let State { shelves, idle, .. } = &mut *state;
        let Some(shelf) = shelves.get_mut(key) else { return };
        shelf.used = shelf.used.saturating_sub(1);
        let moves = !shelf.line.is_empty();
        if let Some(kept) = kept {
            if shelf.idle.len() >= limits.max_idle_per_origin {
                let kept = shelf.idle.remove(0);
                *idle -= 1;
                shelf.used += 1;
                crowd.push(Past { kept, reason: CloseReason::Idle, counted: Some(key.clone()) });
            }
            shelf.idle.push(kept);
            *idle += 1;
            crowd.append(&mut state.crowd(key, limits, 0));
        }
        drop(state);
        self.retire(crowd);
        if moves {
            self.advance(key);
        }
    }
}

/// Nothing keeps the wire of a connection open that is over, and of which somebody has noticed that.
impl Owner for Pool {
    fn ended(&self, connection: u64) {
        self.take_out(vec![connection]);
    }
}

/// A connection with its times; the lifetime is shortened by up to a tenth, so that those made together do not end together.
fn kept(conn: &Arc<dyn Carrier>, limits: &PoolLimits, unused: Duration, asked_for: Stamp) -> Kept {
    let jitter = limits.max_lifetime.mul_f64((conn.id().wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 54) as f64 / 10240.0);
    Kept { conn: conn.clone(), unused, lifetime: limits.max_lifetime.saturating_sub(jitter), asked_for }
}

/// What a request wishes for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wish<'a> {
    /// The number of the request, which is its place in line.
    pub(crate) id: u64,
    /// A thread waits for it.
    pub(crate) attended: bool,
    pub(crate) limits: &'a PoolLimits,
    /// How many connections there may be for the key.
    pub(crate) cap: Option<usize>,
    /// A new connection may turn out to be HTTP/2.
    pub(crate) hopeful: bool,
    /// It may be sent again if the connection turns out to have ended.
    pub(crate) repeatable: bool,
    /// HTTP/1 connections that were kept are suspect: one of them ended without an answer.
    pub(crate) fresh: bool,
}
