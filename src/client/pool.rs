//! Connections that are kept for the next request.
//!
//! The lock of the pool is never held over a look at a connection, a connect or a wake. Purging happens on every operation,
//! so no thread is needed.

use super::settings::{PoolLimits, Protocol};
use super::url::Origin;
use crate::{
    drive::{Carrier, Cause, CloseReason, ConnectionInfo},
    net::{Cx, Waker},
};
use http::Version;
use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// A connection that carried something within this time is handed out without a look: in a tight loop the look would
/// cost a system call per request and could hardly find anything; an end that it misses is found by sending.
const FRESH: Duration = Duration::from_millis(1);

/// What connections must have in common to serve each other's requests.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) origin: Origin,
    pub(crate) protocol: Protocol,
    /// The configuration of proxy, TLS and the rest.
    pub(crate) network: u64,
}

/// What a client counts.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) requests: AtomicU64,
    pub(crate) in_flight: AtomicU64,
    pub(crate) retries: AtomicU64,
    pub(crate) redirects: AtomicU64,
    pub(crate) errors: AtomicU64,
    pub(crate) opened: AtomicU64,
    pub(crate) reused: AtomicU64,
    pub(crate) closed: AtomicU64,
    /// Of connections that are gone.
    pub(crate) bytes_in: AtomicU64,
    pub(crate) bytes_out: AtomicU64,
}

/// The connections of a client and those derived from it.
pub(crate) struct Pool {
    state: Mutex<State>,
    pub(crate) counters: Counters,
}

#[derive(Default)]
struct State {
    shelves: HashMap<Key, Shelf>,
    /// Every connection that is alive, pooled or not.
    all: Vec<Weak<dyn Carrier>>,
    idle: usize,
    stopped: bool,
}

/// What is known of one key.
#[derive(Default)]
struct Shelf {
    /// HTTP/2 connections, each shared by any number of requests.
    shared: Vec<Arc<dyn Carrier>>,
    /// HTTP/1 connections nobody uses, oldest first.
    idle: Vec<Idle>,
    /// HTTP/1 connections in use.
    used: usize,
    /// Connections being made.
    dialling: usize,
    /// Connections being made that may turn out to be HTTP/2.
    hopeful: usize,
    /// What the last connection spoke.
    spoke: Option<Version>,
    /// The peer said HTTP_1_1_REQUIRED, or did not upgrade to h2c.
    http1_only: bool,
    waiters: Vec<Waker>,
}

struct Idle {
    conn: Arc<dyn Carrier>,
    until: Instant,
}

/// The answer of a pool that is asked for a connection.
#[derive(Debug)]
pub(crate) enum Checkout {
    /// This one.
    Ready(Lease),
    /// Make one; the permit counts it meanwhile.
    Dial(Permit),
    /// Neither yet: the waker is called when it may be otherwise.
    Wait,
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").finish_non_exhaustive()
    }
}

impl Pool {
    pub(crate) fn new() -> Self {
        Pool { state: Mutex::default(), counters: Counters::default() }
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

    /// Finds a connection, or says what to do instead.
    pub(crate) fn checkout(self: &Arc<Self>, key: &Key, wish: Wish<'_>, cx: &Cx<'_>) -> Checkout {
        loop {
            let (answer, dead) = self.choose(key, wish, cx);
            drop(dead);
            let Checkout::Ready(lease) = answer else { return answer };
            let info = lease.conn.last_used();
            let usable = if cx.now.saturating_duration_since(info) < FRESH {
                lease.conn.is_usable()
            } else {
                lease.conn.look(cx.now)
            };
            if usable {
                self.counters.reused.fetch_add(1, Ordering::Relaxed);
                return Checkout::Ready(lease);
            }
            self.forget(key, &lease.conn);
        }
    }

    /// What `checkout` would hand out, not looked at yet; and what was purged on the way.
    fn choose(self: &Arc<Self>, key: &Key, wish: Wish<'_>, cx: &Cx<'_>) -> (Checkout, Vec<Arc<dyn Carrier>>) {
        let mut state = self.lock();
        let dead = state.purge(cx.now);
        let State { shelves, idle, .. } = &mut *state;
        if !shelves.contains_key(key) {
            shelves.insert(key.clone(), Shelf::default());
        }
        let Some(shelf) = shelves.get_mut(key) else { return (Checkout::Wait, dead) };
        let lease = |conn, shared| Lease::new(self.clone(), key.clone(), conn, *wish.limits, shared);
        if let Some(conn) = shelf.shared.last() {
            return (Checkout::Ready(lease(conn.clone(), true)), dead);
        }
        if let Some(kept) = shelf.idle.pop() {
            shelf.used += 1;
            *idle -= 1;
            return (Checkout::Ready(lease(kept.conn, false)), dead);
        }
        let hopeful = wish.hopeful && shelf.spoke != Some(Version::HTTP_11);
        // Who hopes for a shared connection does not make a second one while the first is under way.
        let wait = hopeful && shelf.hopeful > 0 || wish.cap.is_some_and(|cap| shelf.used + shelf.dialling >= cap);
        if wait {
            if !shelf.waiters.iter().any(|w| w.same(cx.waker)) {
                shelf.waiters.push(cx.waker.clone());
            }
            return (Checkout::Wait, dead);
        }
        shelf.dialling += 1;
        shelf.hopeful += usize::from(hopeful);
        let permit = Permit { pool: self.clone(), key: key.clone(), hopeful, limits: *wish.limits };
        (Checkout::Dial(permit), dead)
    }

    /// Takes a connection out that must not serve anybody any more.
    fn forget(&self, key: &Key, conn: &Arc<dyn Carrier>) {
        let mut wakers = Vec::new();
        if let Some(shelf) = self.lock().shelves.get_mut(key) {
            shelf.shared.retain(|c| c.id() != conn.id());
            wakers = std::mem::take(&mut shelf.waiters);
        }
        wakers.iter().for_each(Waker::wake);
    }

    /// Enters a connection that no pool shares into the table.
    pub(crate) fn enter(&self, conn: &Arc<dyn Carrier>) {
        self.counters.opened.fetch_add(1, Ordering::Relaxed);
        let mut state = self.lock();
        state.all.retain(|c| c.strong_count() > 0);
        state.all.push(Arc::downgrade(conn));
    }

    /// Shares a connection that was made on the wire of another: by an upgrade to HTTP/2.
    pub(crate) fn share(self: &Arc<Self>, key: &Key, conn: Arc<dyn Carrier>, limits: &PoolLimits) -> Lease {
        self.enter(&conn);
        let mut state = self.lock();
        let shelf = state.shelves.entry(key.clone()).or_default();
        shelf.shared.push(conn.clone());
        shelf.spoke = Some(Version::HTTP_2);
        drop(state);
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
        self.all().iter().map(|conn| conn.info()).collect()
    }

    /// Closes what nobody uses; returns how many.
    pub(crate) fn close_idle(&self) -> usize {
        let mut closed = Vec::new();
        let mut state = self.lock();
        for shelf in state.shelves.values_mut() {
            closed.extend(shelf.idle.drain(..).map(|idle| idle.conn));
            let (unused, used) = shelf.shared.drain(..).partition(|conn| conn.info().open_streams == 0);
            shelf.shared = used;
            closed.extend::<Vec<_>>(unused);
        }
        state.idle = 0;
        drop(state);
        for conn in &closed {
            conn.shutdown(Cause::new(crate::error::ErrorKind::Cancelled, CloseReason::Idle, "closed while idle"));
        }
        closed.len()
    }

    /// Takes nothing new any more.
    pub(crate) fn stop(&self) {
        self.lock().stopped = true;
    }

    /// Whether it takes nothing new.
    pub(crate) fn is_stopped(&self) -> bool {
        self.lock().stopped
    }

    /// Takes an HTTP/1 connection back that served its exchange.
    fn put_back(&self, lease: &Lease) {
        let now = Instant::now();
        // An end that was seen already; one that was not is found when it is handed out.
        let usable = lease.conn.is_usable() && lease.conn.is_idle();
        let said = Duration::from_secs(lease.keep.load(Ordering::Relaxed));
        let keep = lease.limits.idle_timeout.min(said);
        let mut state = self.lock();
        let mut dead = state.purge(now);
        let full = state.idle >= lease.limits.max_idle;
        let stopped = state.stopped;
        let Some(shelf) = state.shelves.get_mut(&lease.key) else { return };
        shelf.used = shelf.used.saturating_sub(1);
        let wakers = std::mem::take(&mut shelf.waiters);
        if usable && !stopped && !full && keep > Duration::ZERO && lease.limits.max_idle_per_origin > 0 {
            if shelf.idle.len() >= lease.limits.max_idle_per_origin {
                dead.push(shelf.idle.remove(0).conn);
                state.idle -= 1;
            }
            let until = now + keep;
            if let Some(shelf) = state.shelves.get_mut(&lease.key) {
                shelf.idle.push(Idle { conn: lease.conn.clone(), until });
                state.idle += 1;
            }
        }
        drop(state);
        drop(dead);
        wakers.iter().for_each(Waker::wake);
    }
}

impl State {
    /// Takes out what is past its time; the caller drops it without the lock.
    fn purge(&mut self, now: Instant) -> Vec<Arc<dyn Carrier>> {
        let mut dead = Vec::new();
        if self.idle == 0 {
            return dead;
        }
        for shelf in self.shelves.values_mut() {
            let before = shelf.idle.len();
            shelf.idle.retain(|idle| {
                let keep = idle.until > now;
                if !keep {
                    dead.push(idle.conn.clone());
                }
                keep
            });
            self.idle -= before - shelf.idle.len();
        }
        dead
    }
}

/// What a request wishes for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wish<'a> {
    pub(crate) limits: &'a PoolLimits,
    /// How many connections there may be for the key.
    pub(crate) cap: Option<usize>,
    /// A new connection may turn out to be HTTP/2.
    pub(crate) hopeful: bool,
}

/// A place of a connection in use. Dropping it gives the connection back, after the exchange on it was given up or completed.
pub(crate) struct Lease {
    pool: Arc<Pool>,
    key: Key,
    pub(crate) conn: Arc<dyn Carrier>,
    limits: PoolLimits,
    shared: bool,
    /// For how many seconds the peer keeps it.
    pub(crate) keep: Arc<AtomicU64>,
}

impl Lease {
    fn new(pool: Arc<Pool>, key: Key, conn: Arc<dyn Carrier>, limits: PoolLimits, shared: bool) -> Self {
        Lease { pool, key, conn, limits, shared, keep: Arc::new(AtomicU64::new(u64::MAX)) }
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease").field("connection", &self.conn.id()).field("shared", &self.shared).finish()
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if !self.shared {
            self.pool.put_back(self);
        }
    }
}

/// The right to make one connection. Dropping it gives the right to others.
pub(crate) struct Permit {
    pool: Arc<Pool>,
    key: Key,
    hopeful: bool,
    limits: PoolLimits,
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").field("origin", &self.key.origin).finish()
    }
}

impl Permit {
    /// The connection was made: others may share it, if it is of that kind.
    pub(crate) fn use_for(self, conn: Arc<dyn Carrier>, version: Version) -> Lease {
        let shared = version == Version::HTTP_2;
        self.pool.enter(&conn);
        let mut state = self.pool.lock();
        if let Some(shelf) = state.shelves.get_mut(&self.key) {
            shelf.spoke = Some(version);
            if shared { shelf.shared.push(conn.clone()) } else { shelf.used += 1 }
        }
        drop(state);
        Lease::new(self.pool.clone(), self.key.clone(), conn, self.limits, shared)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut wakers = Vec::new();
        if let Some(shelf) = self.pool.lock().shelves.get_mut(&self.key) {
            shelf.dialling -= 1;
            shelf.hopeful -= usize::from(self.hopeful);
            wakers = std::mem::take(&mut shelf.waiters);
        }
        wakers.iter().for_each(Waker::wake);
    }
}
