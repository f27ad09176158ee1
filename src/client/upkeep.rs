//! Keeping idle connections alive, and finding out which are dead.

use super::{
    Client, Inner, connect,
    connection::Connection,
    hook::Trace,
    pool::{Asking, Key, Pool},
};
use crate::{
    drive::{Carrier, Cause, CloseReason, ConnectionState, Happened, Upkeep, UpkeepAction, block_on},
    error::{Error, ErrorKind, Phase, Result},
    net::{Route, Waker},
    proto::h1::TargetForm,
    time::Deadline,
};
use http::{HeaderValue, Method, Request, Version, header};
use std::{
    sync::{Arc, Mutex, PoisonError, Weak},
    task::Poll,
    time::{Duration, Instant},
};

/// As good as for ever.
const FOREVER: Duration = Duration::from_secs(365 * 24 * 3600);

impl Client {
    /// Sends the PINGs that are due, closes what is dead or too old, reports each connection. Never waits for an answer.
    ///
    /// A PING is due on an HTTP/2 connection that has sent nothing for the upkeep interval (60 s unless set). It has been handed to the
    /// kernel when this returns, unless the report says `Blocked`. HTTP/1 connections are only looked at, unless there is an
    /// [`upkeep_request`](super::ClientBuilder::upkeep_request). Safe from many threads at once; call it when [`next_upkeep`](Self::next_upkeep) says so, or as often as convenient.
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
        let began = Instant::now();
        let until = began.checked_add(timeout).unwrap_or(began + FOREVER);
        let mut report = self.inner.upkeep();
        let conns = self.inner.pool.all();
        let waits = |a| matches!(a, UpkeepAction::Pinged | UpkeepAction::AwaitingAck | UpkeepAction::Blocked);
        let mut asked = Vec::new();
        for row in report.iter_mut().filter(|row| waits(row.action)) {
            if let Some(conn) = conns.iter().find(|conn| conn.id() == row.id && conn.version() == Version::HTTP_2) {
                asked.push((row, conn.clone(), conn.info().pings_sent));
            }
        }
        // All at once: what one peer is late with must not be in another's round trip time.
        block_on(Deadline::at(until), |cx| {
            asked.retain_mut(|(row, conn, sent)| match conn.clone().poll_pinged(*sent, cx) {
                Poll::Ready(answer) => {
                    answered(row, conn, answer.ok());
                    false
                }
                Poll::Pending => true,
            });
            if asked.is_empty() { Poll::Ready(()) } else { Poll::Pending }
        });
        let came = self.inner.pool.wait_asked(Instant::now(), until);
        for row in report.iter_mut().filter(|row| waits(row.action)) {
            if let Some(conn) = conns.iter().find(|conn| conn.id() == row.id && conn.version() != Version::HTTP_2) {
                answered(row, conn, None);
                if came.contains(&row.id) {
                    row.action = UpkeepAction::Acked;
                }
            }
        }
        self.inner.pool.forget_over();
        self.inner.announce();
        report
    }

    /// When [`upkeep`](Self::upkeep) next has something to do; `None` without connections that need it.
    pub fn next_upkeep(&self) -> Option<Instant> {
        self.inner.next_upkeep()
    }

    /// Takes no new requests, waits for those in flight; returns how many were left at `timeout`.
    ///
    /// HTTP/2 peers are told by GOAWAY. Requests asked for afterwards fail with `Cancelled`; those that wait for a place or a repetition are
    /// in flight, too, and get a connection of their own if need be.
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
            for conn in self.inner.pool.all().into_iter().filter(|conn| conn.over().is_none()) {
                cx.wait_shared(&conn.lead());
            }
            if left() == 0 { Poll::Ready(()) } else { Poll::Pending }
        });
        self.inner.pool.close_idle();
        self.inner.announce();
        left()
    }
}

impl Inner {
    /// What [`Client::upkeep`] does.
    fn upkeep(&self) -> Vec<Upkeep> {
        let now = Instant::now();
        let interval = self.settings.h2.upkeep_interval;
        let conns = self.pool.all();
        self.pool.step_asked(now);
        let mut kept: Vec<_> =
            conns.iter().map(|conn| (conn, keep(conn, self.pool.interval(conn.origin(), interval), now))).collect();
        let new = self.ask(now);
        let asked = self.pool.asked();
        for (conn, action) in kept.iter_mut().filter(|(conn, _)| asked.contains(&conn.id())) {
            *action = match new.contains(&conn.id()) {
                true if !conn.is_flushed() => UpkeepAction::Blocked,
                true => UpkeepAction::Pinged,
                false => UpkeepAction::AwaitingAck,
            };
        }
        // Those of the program's own, too, which the pool does not keep.
        conns.iter().for_each(|conn| self.pool.heed_calm(conn));
        // After the PINGs, which are what keeps a connection above its idle limit.
        self.pool.purge_past(&self.settings.limits);
        self.pool.forget_over();
        let report = kept.into_iter().map(|(conn, action)| row(conn, action)).collect();
        drop(conns);
        self.announce();
        report
    }

    /// Asks on idle HTTP/1 connections, if the program wants that; returns on which.
    fn ask(&self, now: Instant) -> Vec<u64> {
        let Some((method, path)) = &self.settings.upkeep_request else { return Vec::new() };
        let head = |key: &Key| {
            let mut head = Request::new(());
            *head.method_mut() = method.clone();
            *head.uri_mut() = format!("{}{path}", key.origin).parse().ok()?;
            *head.headers_mut() = self.settings.default_headers.clone();
            let headers = head.headers_mut();
            if let Some(agent) = &self.settings.user_agent {
                headers.entry(header::USER_AGENT).or_insert(agent.clone());
            }
            headers.entry(header::ACCEPT).or_insert(HeaderValue::from_static("*/*"));
            if matches!(*method, Method::POST | Method::PUT | Method::PATCH) {
                headers.insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
            }
            match connect::route(&self.settings, &key.origin).ok()? {
                Route::Absolute(proxy) => {
                    if let Some(value) = proxy.authorization() {
                        headers.insert(header::PROXY_AUTHORIZATION, value);
                    }
                    Some((head, TargetForm::Absolute))
                }
                _ => Some((head, TargetForm::Origin)),
            }
        };
        let h2 = &self.settings.h2;
        let asking = Asking {
            head: &head,
            limits: &self.settings.limits,
            interval: h2.upkeep_interval,
            keep_idle: h2.keep_idle,
            timeout: h2.ping_ack_timeout,
        };
        self.pool.ask(&asking, now)
    }

    fn next_upkeep(&self) -> Option<Instant> {
        let h2 = &self.settings.h2;
        let interval = h2.upkeep_interval;
        let due = |conn: &Arc<dyn Carrier>| conn.upkeep_due(self.pool.interval(conn.origin(), interval));
        let asks = self.settings.upkeep_request.is_some();
        let ask = if asks { self.pool.next_ask(interval, h2.keep_idle) } else { None };
        self.pool.all().iter().filter_map(due).chain(self.pool.next_expiry()).chain(ask).min()
    }

    /// Tells the hooks what happened to connections since they were told last.
    pub(super) fn announce(&self) {
        if self.settings.hooks.is_empty() {
            return;
        }
        for event in self.pool.record.take_events() {
            let step = match event {
                Happened::Closed { connection, reason } => Trace::Closed { connection, reason },
                Happened::Changed { connection, from, to } => Trace::Changed { connection, from, to },
                Happened::Pinged { connection, rtt } => Trace::Pinged { connection, rtt },
            };
            self.settings.hooks.iter().for_each(|hook| hook.trace(&step));
        }
    }
}

/// Does about one connection what is due.
fn keep(conn: &Arc<dyn Carrier>, interval: Duration, now: Instant) -> UpkeepAction {
    let action = conn.upkeep(interval, now);
    let info = conn.info();
    if info.state == ConnectionState::Draining && info.goaway.is_some() && conn.is_idle() {
        let text = "the peer takes no more requests";
        conn.shutdown(Cause::new(ErrorKind::Closed, CloseReason::ByPeer, text));
    }
    action
}

fn row(conn: &Arc<dyn Carrier>, action: UpkeepAction) -> Upkeep {
    let info = conn.info();
    let action = match info.state {
        ConnectionState::Closed(reason) => reason.to_action(),
        _ => action,
    };
    Upkeep { id: info.id, origin: info.origin, state: info.state, action, rtt: info.rtt }
}

/// A wait for the answer of a PING is over; `None`: because the connection is.
fn answered(row: &mut Upkeep, conn: &Arc<dyn Carrier>, rtt: Option<Duration>) {
    row.state = conn.info().state;
    row.action = match (rtt, row.state) {
        (Some(_), _) => UpkeepAction::Acked,
        (None, ConnectionState::Closed(reason)) => reason.to_action(),
        (None, _) => row.action,
    };
    row.rtt = rtt.or(row.rtt);
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
        let answer = block_on(Deadline::after(timeout), |cx| self.carrier().clone().poll_pinged(acked, cx));
        self.client().inner.announce();
        answer.transpose().map_err(explain)
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
        let inner = Inner::new(settings.clone(), pool);
        inner.upkeep();
        let now = Instant::now();
        let until = inner.next_upkeep().unwrap_or(now + nap).min(now + nap).max(now + Duration::from_millis(1));
        let mut asked: Vec<_> = inner.pool.all().into_iter().map(|conn| (conn.info(), conn)).collect();
        asked.retain(|(info, _)| info.pings_sent > info.pings_acked);
        // The thread must not keep the pool alive while it sleeps.
        drop(inner);
        let ended = block_on(Deadline::at(until), |cx| {
            let mut state = shared.lock();
            if state.ended {
                return Poll::Ready(());
            }
            state.waker = Some(cx.waker.clone());
            drop(state);
            // Answers are read when they arrive: else the round trip time would be that of the nap.
            asked.retain(|(info, conn)| conn.clone().poll_pinged(info.pings_sent, cx).is_pending());
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
