//! Where an attempt is sent: a connection of the pool or a new one, and a stream on it.

use super::{
    super::{
        connect::{self, Connecting},
        failure::{self, Failed},
        hook::Trace,
        pool::{Checkout, Driven, InLine, Key, Permit, Wish},
        response::Response,
        settings::Protocol,
        url::Scheme,
    },
    Call, Exchange, Place, State,
};
use crate::{
    drive::{Begun, Fault, Opening, Queued},
    error::{Error, ErrorKind, Phase},
    net::{Cx, Route},
    proto::{End, h1::TargetForm},
    time::Deadline,
};
use std::{
    task::Poll,
    time::{Duration, Instant},
};

/// How many HTTP/1 connections per origin requests that were only started make (browsers: 6).
const STARTED_CONNECTIONS: usize = 6;

/// How long one of them that is waited for keeps to that, while the wait reads what the others get: they are soon answered, and then it
/// goes out in its turn; and a peer that takes its time over them must not keep it.
const SHARING: Duration = Duration::from_millis(100);

impl Call {
    pub(super) fn protocol(&self) -> Protocol {
        if self.http1 { Protocol::Http1 } else { self.options.protocol }
    }

    pub(super) fn key(&self) -> Key {
        let with = |protocol| Key::new(self.origin.clone(), protocol, self.inner.settings.network.id);
        let key = with(self.protocol());
        if key.protocol != Protocol::Http1 && self.inner.pool.is_http1_only(&key) { with(Protocol::Http1) } else { key }
    }

    /// It is waited for alone: the connections that started requests share are waited for only a while, and as long as that helps.
    pub(in super::super) fn waits_alone(&mut self, now: Instant) {
        if self.shares == Some(Deadline::NEVER) {
            self.shares = Some(Deadline::from(now.checked_add(SHARING)));
        }
    }

    pub(super) fn on_slot(
        &mut self,
        since: Instant,
        line: Option<Box<InLine>>,
        cx: &mut Cx<'_>,
    ) -> Poll<Result<Option<Response>, Failed>> {
        if let Some(conn) = &self.pinned {
            self.state = State::Opening { place: Place::Pinned(conn.clone()), since, queued: None };
            return Poll::Ready(Ok(None));
        }
        let settings = self.inner.settings.clone();
        let key = self.key();
        let hopeful = match key.protocol {
            Protocol::Auto => self.origin.scheme == Scheme::Https,
            Protocol::Http2 | Protocol::Http2WithoutAlpn | Protocol::H2cUpgrade => true,
            Protocol::Http1 => false,
        };
        let mut line = line.filter(|line| line.key == key);
        let repeatable = self.may_repeat() && self.is_idempotent();
        loop {
            self.shares = self.shares.filter(|until| !until.has_passed(cx.now));
            let cap = settings.limits.max_per_origin.or(self.shares.map(|_| STARTED_CONNECTIONS));
            let (id, attended) = (self.id(), !self.unattended);
            let wish = Wish { id, attended, limits: &settings.limits, cap, hopeful, repeatable, fresh: self.fresh };
            let checkout = self.inner.pool.checkout(&key, wish, cx);
            if line.is_some() && !matches!(checkout, Checkout::Wait(_)) {
                // It leaves the line: whoever of this thread's comes next may have left the reading to it, and is polled again.
                cx.wait_until(Deadline::at(cx.now));
            }
            let wait = match checkout {
                Checkout::Ready(lease) => {
                    self.timings.slot = cx.now.saturating_duration_since(since);
                    self.state = State::Opening { place: Place::Pooled(lease), since: cx.now, queued: None };
                    return Poll::Ready(Ok(None));
                }
                Checkout::Dial(permit) => return self.dial(&key, permit, since, cx),
                Checkout::Wait(wait) => wait,
            };
            let in_line = line.get_or_insert_with(|| Box::new(self.inner.pool.in_line(&key, id)));
            in_line.cap = cap.filter(|_| wait.full);
            if wait.full && attended && !wait.follows {
                match self.inner.pool.drive(&key, cx) {
                    Driven::Freed => continue,
                    // Nobody reads the answers of the others: only a limit of the program's keeps it waiting.
                    Driven::Nobody if self.shares.is_some_and(|until| until != Deadline::NEVER) => {
                        self.shares = None;
                        if settings.limits.max_per_origin.is_none() {
                            continue;
                        }
                    }
                    Driven::Nobody | Driven::Reading => {}
                }
            }
            cx.wait_until(wait.until.earlier(self.shares.unwrap_or_default()));
            let waits = self.wait_for_slot(since, in_line.cap, cx);
            self.state = State::Slot { since, line };
            return waits;
        }
    }

    /// Begins to make a connection.
    fn dial(
        &mut self,
        key: &Key,
        permit: Permit,
        since: Instant,
        cx: &Cx<'_>,
    ) -> Poll<Result<Option<Response>, Failed>> {
        let limit =
            |d: Option<Duration>| Deadline::from(d.and_then(|d| cx.now.checked_add(d))).earlier(self.deadline());
        let timeouts = &self.options.timeouts;
        let (resolve_by, connect_by) = (limit(timeouts.resolve_limit()), limit(timeouts.connect_limit()));
        let connecting = Connecting::new(&self.inner.settings, key, permit, resolve_by, connect_by)
            .map_err(|e| Failed::error(e.in_phase(Phase::Connect)))?;
        self.timings.slot = cx.now.saturating_duration_since(since);
        self.state = State::Dialling { connecting: Box::new(connecting), since: cx.now };
        Poll::Ready(Ok(None))
    }

    /// Waits in line; `cap` is the limit that keeps it there, if that is what does.
    pub(super) fn wait_for_slot(
        &self,
        since: Instant,
        cap: Option<usize>,
        cx: &mut Cx<'_>,
    ) -> Poll<Result<Option<Response>, Failed>> {
        let until = Deadline::from(self.options.timeouts.slot_limit().and_then(|d| since.checked_add(d)));
        if until.has_passed(cx.now) {
            let text = self.no_place(cx.now - since, cap);
            return Poll::Ready(Err(Failed::error(Error::with(ErrorKind::PoolTimeout, text).in_phase(Phase::Slot))));
        }
        cx.wait_until(until);
        Poll::Pending
    }

    /// Why it got no place; `cap` is the limit that kept it in line, if that is what did.
    pub(super) fn no_place(&self, waited: Duration, cap: Option<usize>) -> String {
        match (cap, self.inner.settings.limits.max_per_origin) {
            (None, _) => format!("no connection or stream became free within {waited:?}"),
            (Some(cap), Some(_)) => {
                format!(
                    "no connection became free within {waited:?}, and there may be {cap} (max_connections_per_origin)"
                )
            }
            (Some(cap), None) => {
                format!("no connection became free within {waited:?}, and requests that were started share {cap}")
            }
        }
    }

    pub(super) fn on_dialling(
        &mut self,
        mut connecting: Box<Connecting>,
        since: Instant,
        cx: &mut Cx<'_>,
    ) -> Poll<Result<Option<Response>, Failed>> {
        let polled = if self.unattended { connecting.poll_unattended(cx) } else { connecting.poll(cx) };
        match polled {
            Poll::Pending => {
                self.state = State::Dialling { connecting, since };
                Poll::Pending
            }
            Poll::Ready(Err(e)) => Poll::Ready(Err(Failed::dialling(e))),
            Poll::Ready(Ok((dialled, version))) => {
                let connected = connecting.finish(&self.inner.settings, dialled, version);
                let timings = &mut self.timings;
                (timings.resolve, timings.connect, timings.tls) =
                    (connected.took.resolve, connected.took.connect, connected.took.tls);
                let (addresses, lease) = (connected.addresses, connected.lease);
                let took = connected.took.resolve;
                self.tell(|call| Trace::Resolved { host: call.origin.host.to_string(), addresses, took });
                self.tell(|_| Trace::Connected { connection: lease.conn.info(), took: since.elapsed() });
                self.state = State::Opening { place: Place::Pooled(lease), since: cx.now, queued: None };
                Poll::Ready(Ok(None))
            }
        }
    }

    pub(super) fn on_opening(
        &mut self,
        place: Place,
        since: Instant,
        queued: Option<Queued>,
        cx: &mut Cx<'_>,
    ) -> Poll<Result<Option<Response>, Failed>> {
        let conn = place.conn().clone();
        if let Some(queued) = queued {
            return self.on_queued(place, since, queued, cx);
        }
        let served = conn.served();
        let upgrade = self.h2c_upgrade(&conn);
        let h2c = upgrade.is_some();
        let upgrade = match self.poll_websocket(&conn, cx) {
            Poll::Pending => {
                self.state = State::Opening { place, since, queued: None };
                return self.wait_for_slot(since, None, cx);
            }
            Poll::Ready(Ok(head)) => head.or(upgrade),
            Poll::Ready(Err(Some(failed))) => return Poll::Ready(Err(failed)),
            Poll::Ready(Err(None)) => {
                drop(place);
                self.http1 = true;
                self.state = State::Slot { since, line: None };
                return Poll::Ready(Ok(None));
            }
        };
        let head = upgrade.as_ref().unwrap_or_else(|| self.head());
        let cased = self.cased(head);
        let head = cased.as_ref().unwrap_or(head);
        let absolute = matches!(connect::route(&self.inner.settings, &self.origin), Ok(Route::Absolute(_)));
        let form = if absolute { TargetForm::Absolute } else { TargetForm::Origin };
        let opening = Opening { head, form, length: self.length(conn.version()) };
        let (first, end) = match &self.attempt.upload {
            Some(upload) if self.options.expect.is_none() => upload.first(),
            _ => (&[][..], End::More),
        };
        match conn.clone().poll_open(&opening, first, end, cx) {
            Poll::Ready(begun) => {
                let step = self.on_begun(place, since, served > 0, begun, cx);
                if let State::Exchanging(exchange) = &mut self.state {
                    exchange.h2c = h2c;
                }
                step
            }
            // In line nobody overtakes it; and it goes out when a wait for another one makes room, if nobody waits for it.
            Poll::Pending => match conn.queue(&opening) {
                Some(queued) => self.on_queued(place, since, queued, cx),
                None => {
                    self.state = State::Opening { place, since, queued: None };
                    self.wait_for_slot(since, None, cx)
                }
            },
        }
    }

    fn on_queued(
        &mut self,
        place: Place,
        since: Instant,
        queued: Queued,
        cx: &mut Cx<'_>,
    ) -> Poll<Result<Option<Response>, Failed>> {
        if let Poll::Ready(begun) = queued.poll(cx) {
            return self.on_begun(place, since, true, begun, cx);
        }
        if !self.unattended && !self.launching && !queued.follows(cx.waker) {
            // The streams may be those of bodies that nobody sends. What becomes free wakes this thread.
            let _ = self.inner.pool.drive(&self.key(), cx);
        }
        match self.wait_for_slot(since, None, cx) {
            Poll::Pending => {
                self.state = State::Opening { place, since, queued: Some(queued) };
                Poll::Pending
            }
            late => match queued.claim() {
                // It has gone out just now: its time in line is over.
                Some(stream) => self.on_begun(place, since, true, Ok(Begun::Stream(stream, 0)), cx),
                None => late,
            },
        }
    }

    /// The connection has begun the exchange, or never will.
    fn on_begun(
        &mut self,
        place: Place,
        since: Instant,
        reused: bool,
        begun: Result<Begun, Fault>,
        cx: &mut Cx<'_>,
    ) -> Poll<Result<Option<Response>, Failed>> {
        let conn = place.conn().clone();
        match begun {
            Err(fault) => Poll::Ready(Err(Failed::unsent(fault, reused, conn))),
            Ok(Begun::Closed(cause)) => {
                // It ended between the look and now: another one, as long as the pool has one, or a new one.
                let pinned = matches!(place, Place::Pinned(_));
                drop(place);
                if pinned {
                    let cause = cause.unwrap_or_else(failure::not_usable);
                    return Poll::Ready(Err(Failed::unsent(Fault::Over(cause), conn.served() > 0, conn)));
                }
                self.state = State::Slot { since, line: None };
                Poll::Ready(Ok(None))
            }
            Ok(Begun::Stream(stream, taken)) => {
                let mut upload = self.attempt.upload.take();
                if let Some(upload) = &mut upload {
                    upload.took_first(taken);
                }
                let (request_id, connection) = (self.flight.id(), conn.id());
                if reused {
                    self.tell(|_| Trace::Reused { request_id, connection });
                }
                self.tell(|_| Trace::Sent { request_id, connection });
                let pooled = match place {
                    Place::Pooled(mut lease) => {
                        let pooled = !lease.shared;
                        lease.begun();
                        stream.keep(Box::new(lease));
                        pooled
                    }
                    Place::Pinned(_) => false,
                };
                let expect = self.options.expect.filter(|_| upload.as_ref().is_some_and(|u| !u.is_done()));
                self.state = State::Exchanging(Box::new(Exchange {
                    stream,
                    upload,
                    expect: expect.map(|d| Deadline::from(cx.now.checked_add(d))),
                    sent: None,
                    opened: cx.now,
                    reused,
                    version: conn.version(),
                    pooled,
                    h2c: false,
                    early: None,
                }));
                Poll::Ready(Ok(None))
            }
        }
    }
}
