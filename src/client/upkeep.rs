//! Keeping idle connections alive, and finding out which are dead.

use super::{Client, Inner, connection::Connection, hook::Trace, pool::Pool};
use crate::{
    drive::{Carrier, Happened, Upkeep, UpkeepAction, block_on},
    error::{Error, ErrorKind, Phase, Result},
    net::Waker,
    time::Deadline,
};
use std::{
    sync::{Arc, Mutex, PoisonError, Weak},
    task::Poll,
    time::{Duration, Instant},
};

impl Client {
    /// Sends the PINGs that are due, closes what is dead or too old, reports each connection. Never waits for an answer.
    ///
    /// A PING is due on an HTTP/2 connection that has sent nothing for the upkeep interval (60 s unless set). It has been handed to the
    /// kernel when this returns, unless the report says `Blocked`. HTTP/1 connections are only looked at. Safe from many threads at
    /// once; call it when [`next_upkeep`](Self::next_upkeep) says so, or as often as convenient.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> bowline::Result<()> {
    /// let client = bowline::Client::new();
    /// for c in client.upkeep() {
    ///     println!("{} {:?} {:?} {:?}", c.origin, c.state, c.action, c.rtt);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn upkeep(&self) -> Vec<Upkeep> {
        self.inner.upkeep()
    }

    /// The same, and waits at most `timeout` for the answers of the PINGs that are on their way.
    pub fn upkeep_wait(&self, timeout: Duration) -> Vec<Upkeep> {
        let mut report = self.inner.upkeep();
        let conns = self.inner.pool.all();
        let deadline = Deadline::after(timeout);
        for row in &mut report {
            let asked = matches!(row.action, UpkeepAction::Pinged | UpkeepAction::AwaitingAck | UpkeepAction::Blocked);
            let Some(conn) = conns.iter().find(|conn| asked && conn.id() == row.id) else { continue };
            let info = conn.info();
            let answered = block_on(deadline, |cx| conn.clone().poll_pinged(info.pings_sent, cx));
            row.action = match answered {
                Some(Ok(rtt)) => {
                    row.rtt = Some(rtt);
                    UpkeepAction::Acked
                }
                Some(Err(_)) => UpkeepAction::ClosedDead,
                None => row.action,
            };
            row.state = conn.info().state;
        }
        self.inner.announce();
        report
    }

    /// When [`upkeep`](Self::upkeep) next has something to do; `None` without connections that need it.
    pub fn next_upkeep(&self) -> Option<Instant> {
        self.inner.next_upkeep()
    }

    /// Takes no new requests, waits for those in flight; returns how many were left at `timeout`.
    ///
    /// HTTP/2 peers are told by GOAWAY. Requests asked for afterwards fail with `Cancelled`.
    pub fn drain(&self, timeout: Duration) -> usize {
        self.inner.pool.stop();
        for conn in self.inner.pool.all() {
            conn.drain();
        }
        self.inner.pool.close_idle();
        let deadline = Deadline::after(timeout);
        let left = || usize::try_from(self.inner.pool.counters.in_flight()).unwrap_or(usize::MAX);
        block_on(deadline, |cx| {
            if left() == 0 {
                return Poll::Ready(());
            }
            self.inner.pool.counters.wait_landed(cx.waker);
            // Requests that were only started have nobody who reads for them.
            for conn in self.inner.pool.all() {
                cx.wait_shared(&conn.lead());
            }
            if left() == 0 { Poll::Ready(()) } else { Poll::Pending }
        });
        self.inner.announce();
        left()
    }
}

impl Inner {
    /// What [`Client::upkeep`] does.
    fn upkeep(&self) -> Vec<Upkeep> {
        let now = Instant::now();
        self.pool.purge_past();
        let interval = self.settings.h2.upkeep_interval;
        let report =
            self.pool.all().iter().map(|conn| keep(conn, self.pool.interval(conn.origin(), interval), now)).collect();
        self.pool.forget_over();
        self.announce();
        report
    }

    fn next_upkeep(&self) -> Option<Instant> {
        let interval = self.settings.h2.upkeep_interval;
        let due = |conn: &Arc<dyn Carrier>| conn.upkeep_due(self.pool.interval(conn.origin(), interval));
        self.pool.all().iter().filter_map(due).chain(self.pool.next_expiry()).min()
    }

    /// Tells the hooks what happened to connections since they were told last.
    pub(super) fn announce(&self) {
        if self.settings.hooks.is_empty() {
            return;
        }
        for event in self.pool.record.take_events() {
            let step = match event {
                Happened::Closed { connection, reason } => Trace::Closed { connection, reason },
                Happened::Pinged { connection, rtt } => Trace::Pinged { connection, rtt },
            };
            self.settings.hooks.iter().for_each(|hook| hook.trace(&step));
        }
    }
}

fn keep(conn: &Arc<dyn Carrier>, interval: Duration, now: Instant) -> Upkeep {
    let action = conn.upkeep(interval, now);
    let info = conn.info();
    Upkeep { id: info.id, origin: info.origin, state: info.state, action, rtt: info.rtt }
}

impl Connection {
    /// Sends a PING (HTTP/2) and waits for its answer; `None`: not in time. Joins a PING that is on its way already.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unsupported`] on HTTP/1, which has no PING; why the connection ended, if it did.
    pub fn ping(&self, timeout: Duration) -> Result<Option<Duration>> {
        let explain = |fault: crate::drive::Fault| fault.to_error().in_phase(Phase::Receive);
        let Some(acked) = self.carrier().ping(Instant::now()).map_err(explain)? else {
            return Err(Error::with(ErrorKind::Unsupported, "HTTP/1 has no PING"));
        };
        block_on(Deadline::after(timeout), |cx| self.carrier().clone().poll_pinged(acked, cx))
            .transpose()
            .map_err(explain)
    }
}

/// The thread that calls `upkeep` when it is due. Dropping this ends it.
#[derive(Debug)]
pub(super) struct Keeper {
    shared: Arc<KeeperShared>,
}

#[derive(Debug, Default)]
struct KeeperShared {
    state: Mutex<KeeperState>,
}

#[derive(Debug, Default)]
struct KeeperState {
    ended: bool,
    /// Ends the thread's sleep.
    waker: Option<Waker>,
}

impl KeeperShared {
    fn lock(&self) -> std::sync::MutexGuard<'_, KeeperState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How long the thread sleeps at most: a connection that was made meanwhile is older than that before it needs anything.
const NAP: Duration = Duration::from_secs(1);

impl Keeper {
    /// Starts the thread for a pool.
    ///
    /// # Errors
    ///
    /// `Io`: the operating system makes no thread.
    pub(super) fn start(settings: Arc<super::Settings>, pool: &Arc<Pool>) -> Result<Self> {
        let shared = Arc::new(KeeperShared::default());
        let (theirs, pool) = (shared.clone(), Arc::downgrade(pool));
        std::thread::Builder::new().name("bowline-upkeep".into()).spawn(move || run(&theirs, &settings, &pool))?;
        Ok(Keeper { shared })
    }
}

fn run(shared: &KeeperShared, settings: &Arc<super::Settings>, pool: &Weak<Pool>) {
    let nap = NAP.min(settings.h2.upkeep_interval / 4);
    loop {
        let Some(pool) = pool.upgrade() else { return };
        let inner = Inner { settings: settings.clone(), pool, keeper: None };
        inner.upkeep();
        let now = Instant::now();
        let until = inner.next_upkeep().unwrap_or(now + nap).min(now + nap).max(now + Duration::from_millis(1));
        // The thread must not keep the pool alive while it sleeps.
        drop(inner);
        let ended = block_on(Deadline::at(until), |cx| {
            let mut state = shared.lock();
            if state.ended {
                return Poll::Ready(());
            }
            state.waker = Some(cx.waker.clone());
            Poll::Pending
        });
        if ended.is_some() {
            return;
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.ended = true;
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}
