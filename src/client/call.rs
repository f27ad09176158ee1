//! One request on its way: a state that any waiting thread can move.
//!
//! ```text
//!  Begin ──► Slot ──► Dialling ──► Opening ──► Exchanging ──► answer
//!    ▲         └───────────────────────▲           │
//!    └──── Sleeping ◄── a repetition or a redirect ┘
//! ```
//!
//! Every state is polled; none of them waits.

use super::{
    Inner,
    connect::{self, Connecting},
    failure::{self, Failed},
    flight::Flight,
    hook::{Attempt, Trace, Verdict},
    incoming::Incoming,
    options::Options,
    pool::{Checkout, Key, Lease, Wish},
    redirect::{self, Decision, NextBody, Redirected, RequestBody},
    response::Response,
    retry::{self, Again, Attempted, Retry},
    settings::Protocol,
    url::{Origin, Scheme},
};
use crate::{
    b64,
    drive::{
        Answer, Begun, Body, CANCEL, Carrier, Fault, Limits, Missing, Opening, Setup, Stopped, Stream, Upload, random,
        to_h2,
    },
    error::{Error, ErrorKind, Phase, Processed, Result},
    fields::Fields,
    net::{Cx, Route},
    proto::{
        End, ResponseHead,
        h1::{Length, OriginalFields, TargetForm},
        h2,
    },
    time::Deadline,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Uri, Version, header};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::Poll,
    time::{Duration, Instant},
};

/// The pause before a request is repeated that a peer in trouble refused: from here to ten times as long, at random.
const TROUBLE: Duration = Duration::from_millis(100);

/// How many HTTP/1 connections per origin requests that were only started make (browsers: 6).
const STARTED_CONNECTIONS: usize = 6;

/// A request on its way.
#[derive(Debug)]
pub(crate) struct Call {
    pub(super) inner: Arc<Inner>,
    pub(super) options: Options,
    /// Method, URI and headers, the defaults included, as the program asked for them.
    pub(super) request: Request<()>,
    pub(super) origin: Origin,
    /// The body of the next attempt; afterwards what can be replayed of it.
    pub(super) body: Body,
    /// The body is written by the caller.
    pub(super) external: bool,
    /// The connection to use, if the caller owns one.
    pub(super) pinned: Option<Arc<dyn Carrier>>,
    pub(super) limits: Limits,
    pub(super) flight: Flight,
    pub(super) began: Instant,
    /// Several requests of one thread are under way: they share few connections.
    pub(super) started: bool,
    pub(super) history: Vec<(StatusCode, Uri)>,
    pub(super) attempt: Prepared,
    pub(super) attempts: u32,
    repeated: bool,
    http1: bool,
    /// Whether the peer may have acted on one of the attempts that failed.
    processed: Processed,
    /// The next connection must not be one that was kept.
    fresh: bool,
    pub(super) timings: super::Timings,
    /// The stream of an upgrade that was accepted.
    upgraded: Option<Stream>,
    state: State,
}

/// What one attempt sends.
#[derive(Debug, Default)]
pub(crate) struct Prepared {
    /// The head as hooks have changed it; `None`: as the program asked for it.
    head: Option<Request<()>>,
    upload: Option<Upload>,
    began: Option<Instant>,
}

#[derive(Debug)]
enum State {
    /// Nothing of this attempt has happened.
    Begin,
    /// Waits for a connection of the pool.
    Slot { since: Instant },
    /// Makes a connection.
    Dialling { connecting: Box<Connecting>, since: Instant },
    /// Has a connection and waits for a stream on it.
    Opening { place: Place, since: Instant },
    /// Is on a stream.
    Exchanging(Box<Exchange>),
    /// Was answered with a 101 to HTTP/2 and waits for the wire.
    Upgrading(Box<Exchange>),
    /// Waits before the next attempt.
    Sleeping { until: Deadline },
    /// Was answered, or failed.
    Over,
}

/// A connection, and what gives it back.
#[derive(Debug)]
enum Place {
    Pooled(Lease),
    Pinned(Arc<dyn Carrier>),
}

impl std::fmt::Debug for dyn Carrier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "connection {}", self.id())
    }
}

impl Place {
    fn conn(&self) -> &Arc<dyn Carrier> {
        match self {
            Place::Pooled(lease) => &lease.conn,
            Place::Pinned(conn) => conn,
        }
    }
}

/// A request on a stream.
#[derive(Debug)]
pub(crate) struct Exchange {
    pub(super) stream: Stream,
    pub(super) upload: Option<Upload>,
    /// Until when the body waits for a 100.
    expect: Option<Deadline>,
    /// When the last byte of the request was framed.
    sent: Option<Instant>,
    opened: Instant,
    pub(super) reused: bool,
    pub(super) version: Version,
    /// Where to note how long the peer keeps the connection.
    keep: Option<Arc<AtomicU64>>,
    /// It asks for HTTP/2 by an upgrade.
    h2c: bool,
}

impl Call {
    pub(super) fn new(
        inner: Arc<Inner>,
        options: Options,
        request: Request<()>,
        origin: Origin,
        body: Body,
        pinned: Option<Arc<dyn Carrier>>,
    ) -> Self {
        let limits = Limits::new(options.cancels.clone(), inner.settings.interrupt.clone());
        let flight = Flight::begin(&inner.pool);
        Call {
            inner,
            options,
            request,
            origin,
            body,
            external: false,
            pinned,
            limits,
            flight,
            began: Instant::now(),
            started: false,
            history: Vec::new(),
            attempt: Prepared::default(),
            attempts: 0,
            repeated: false,
            http1: false,
            processed: Processed::No,
            fresh: false,
            timings: super::Timings::default(),
            upgraded: None,
            state: State::Begin,
        }
    }

    /// Moves on until the request is on its way, waits for a slot, or is over: what `start` does before it returns.
    pub(super) fn poll_launched(&mut self, cx: &mut Cx<'_>) -> Poll<Option<Result<Response>>> {
        match self.poll(cx) {
            Poll::Ready(result) => Poll::Ready(Some(result)),
            Poll::Pending if matches!(self.state, State::Dialling { .. }) => Poll::Pending,
            Poll::Pending => Poll::Ready(None),
        }
    }

    /// The stream, once there is one: for a caller who writes the body.
    pub(super) fn stream(&self) -> Option<&Stream> {
        match &self.state {
            State::Exchanging(exchange) => Some(&exchange.stream),
            _ => None,
        }
    }

    /// The stream of an upgrade that was accepted, once.
    pub(super) fn take_upgraded(&mut self) -> Option<Stream> {
        self.upgraded.take()
    }

    /// When everything has to be over.
    pub(super) fn deadline(&self) -> Deadline {
        Deadline::from(self.options.timeouts.total_limit().and_then(|d| self.began.checked_add(d)))
    }

    /// Moves it on as far as possible. Ready once the head of the final answer is there, or nothing helps any more.
    pub(super) fn poll(&mut self, cx: &mut Cx<'_>) -> Poll<Result<Response>> {
        loop {
            let step = match self.check(cx) {
                Ok(()) => self.step(cx),
                Err(e) => Poll::Ready(Err(self.give_up(e))),
            };
            match step {
                // A connection that ends wakes those who are on it; who waits for something else has to be told of a shutdown.
                Poll::Pending if !self.is_open() && self.inner.pool.stopped.register(cx.waker) => {}
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(None)) => {}
                Poll::Ready(Ok(Some(response))) => {
                    self.state = State::Over;
                    return Poll::Ready(Ok(*response));
                }
                Poll::Ready(Err(failed)) => {
                    if let Some(e) = self.on_failure(failed, cx) {
                        self.state = State::Over;
                        self.flight.failed();
                        return Poll::Ready(Err(e));
                    }
                }
            }
        }
    }

    fn is_open(&self) -> bool {
        matches!(self.state, State::Exchanging(_) | State::Upgrading(_))
    }

    /// Looks whether the call has to end whatever its state.
    fn check(&mut self, cx: &mut Cx<'_>) -> Result<()> {
        self.limits.check(cx)?;
        // What is open goes on while the client drains; a shutdown ends its connection.
        if self.inner.pool.is_stopped() && !self.is_open() {
            return Err(Error::with(ErrorKind::Cancelled, "the client was shut down"));
        }
        let deadline = self.deadline();
        if deadline.has_passed(cx.now) {
            let limit = self.options.timeouts.total_limit().unwrap_or_default();
            return Err(Error::with(ErrorKind::TimedOut, format!("the request took longer than {limit:?}")));
        }
        cx.wait_until(deadline);
        Ok(())
    }

    /// Ends what is under way with an error that is no fault of it.
    fn give_up(&mut self, e: Error) -> Failed {
        let e = e.in_phase(self.phase());
        match std::mem::replace(&mut self.state, State::Over) {
            State::Exchanging(exchange) | State::Upgrading(exchange) => {
                let progress = exchange.stream.progress();
                exchange.stream.reset(CANCEL);
                Failed::own(e, progress, exchange)
            }
            _ => Failed::error(e),
        }
    }

    fn step(&mut self, cx: &mut Cx<'_>) -> Poll<Result<Option<Box<Response>>, Failed>> {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Begin => {
                self.state = State::Begin;
                self.begin(cx.now).map_err(Failed::error)?;
                self.state = State::Slot { since: cx.now };
                Poll::Ready(Ok(None))
            }
            State::Slot { since } => self.on_slot(since, cx),
            State::Dialling { connecting, since } => self.on_dialling(connecting, since, cx),
            State::Opening { place, since } => self.on_opening(place, since, cx),
            State::Exchanging(exchange) => self.on_exchanging(exchange, cx),
            State::Upgrading(exchange) => self.on_upgrading(exchange, cx),
            State::Sleeping { until } if until.has_passed(cx.now) => {
                self.state = State::Begin;
                Poll::Ready(Ok(None))
            }
            State::Sleeping { until } => {
                cx.wait_until(until);
                self.state = State::Sleeping { until };
                Poll::Pending
            }
            State::Over => Poll::Ready(Err(Failed::error(Error::with(ErrorKind::Misuse, "the request is over")))),
        }
    }

    /// Puts an attempt together.
    fn begin(&mut self, now: Instant) -> Result<()> {
        self.attempts += 1;
        let mut body = match self.body.replay() {
            Some(body) => body,
            None => std::mem::take(&mut self.body),
        };
        let hooks = &self.inner.settings.hooks;
        self.attempt = Prepared { head: None, upload: None, began: Some(now) };
        if !hooks.is_empty() {
            let mut request = Request::new(body);
            *request.method_mut() = self.request.method().clone();
            *request.uri_mut() = self.request.uri().clone();
            *request.headers_mut() = self.request.headers().clone();
            *request.extensions_mut() = self.request.extensions().clone();
            let attempt = self.describe_attempt();
            for hook in hooks {
                hook.before(&mut request, &attempt)?;
            }
            let (parts, changed) = request.into_parts();
            body = changed;
            if parts.uri != *self.request.uri() {
                self.origin = Origin::of(&parts.uri)?;
            }
            self.attempt.head = Some(Request::from_parts(parts, ()));
        }
        if !self.external {
            self.attempt.upload = Some(Upload::new(body));
        }
        self.adjust_head()
    }

    /// Adds what the body and the way to the peer call for.
    fn adjust_head(&mut self) -> Result<()> {
        let length = self.attempt.upload.as_ref().map(|upload| upload.length());
        let route = connect::route(&self.inner.settings, &self.origin)?;
        let head = self.attempt.head.as_mut().unwrap_or(&mut self.request);
        let wants_length = matches!(*head.method(), Method::POST | Method::PUT | Method::PATCH);
        match length {
            Some(Length::Known(n)) => _ = head.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(n)),
            Some(Length::Empty) if wants_length => {
                head.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
            }
            Some(Length::Empty | Length::Unknown) => _ = head.headers_mut().remove(header::CONTENT_LENGTH),
            None => {}
        }
        if let Route::Absolute(proxy) = route {
            if let Some(value) = proxy.authorization() {
                head.headers_mut().insert(header::PROXY_AUTHORIZATION, value);
            }
        }
        Ok(())
    }

    /// The head with its names as the program wrote them, if it wants that. Made last: hooks and redirects change the headers.
    fn cased(&self, head: &Request<()>) -> Option<Request<()>> {
        if !self.inner.settings.preserve_case {
            return None;
        }
        let mut cased = head.clone();
        cased.extensions_mut().insert(OriginalFields(as_written(&self.options.written, head.headers())));
        Some(cased)
    }

    fn head(&self) -> &Request<()> {
        self.attempt.head.as_ref().unwrap_or(&self.request)
    }

    /// How the body is delimited.
    fn length(&self, version: Version) -> Length {
        if *self.head().method() == Method::CONNECT {
            // What follows is no body; only HTTP/2 has to be told that something does.
            return if version == Version::HTTP_2 { Length::Unknown } else { Length::Empty };
        }
        if self.options.websocket.is_some() && version == Version::HTTP_2 {
            return Length::Unknown;
        }
        match &self.attempt.upload {
            Some(upload) => match (upload.length(), self.head().headers().contains_key(header::CONTENT_LENGTH)) {
                (Length::Empty, true) => Length::Known(0),
                (length, _) => length,
            },
            None => {
                let declared =
                    self.head().headers().get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse().ok());
                declared.map_or(Length::Unknown, Length::Known)
            }
        }
    }

    fn protocol(&self) -> Protocol {
        if self.http1 { Protocol::Http1 } else { self.options.protocol }
    }

    fn key(&self) -> Key {
        let mut key =
            Key { origin: self.origin.clone(), protocol: self.protocol(), network: self.inner.settings.network.id };
        let falls_back = matches!(key.protocol, Protocol::Auto | Protocol::Http2 | Protocol::Http2WithoutAlpn);
        if falls_back && self.inner.pool.is_http1_only(&key) {
            key.protocol = Protocol::Http1;
        }
        key
    }

    fn on_slot(&mut self, since: Instant, cx: &mut Cx<'_>) -> Poll<Result<Option<Box<Response>>, Failed>> {
        if let Some(conn) = &self.pinned {
            self.state = State::Opening { place: Place::Pinned(conn.clone()), since };
            return Poll::Ready(Ok(None));
        }
        let settings = self.inner.settings.clone();
        let key = self.key();
        let hopeful = match key.protocol {
            Protocol::Auto => self.origin.scheme == Scheme::Https,
            Protocol::Http2 | Protocol::Http2WithoutAlpn | Protocol::H2cUpgrade => true,
            Protocol::Http1 => false,
        };
        let cap = settings.limits.max_per_origin.or(self.started.then_some(STARTED_CONNECTIONS));
        let repeatable = self.may_repeat() && self.is_idempotent();
        let wish = Wish { limits: &settings.limits, cap, hopeful, repeatable, fresh: self.fresh };
        match self.inner.pool.checkout(&key, wish, cx) {
            Checkout::Ready(lease) => {
                self.timings.slot = cx.now.saturating_duration_since(since);
                self.state = State::Opening { place: Place::Pooled(lease), since: cx.now };
                Poll::Ready(Ok(None))
            }
            Checkout::Dial(permit) => {
                let limit = |d: Option<Duration>| {
                    Deadline::from(d.and_then(|d| cx.now.checked_add(d))).earlier(self.deadline())
                };
                let timeouts = &self.options.timeouts;
                let (resolve_by, connect_by) = (limit(timeouts.resolve_limit()), limit(timeouts.connect_limit()));
                let connecting = Connecting::new(&settings, &key, permit, resolve_by, connect_by)
                    .map_err(|e| Failed::error(e.in_phase(Phase::Connect)))?;
                self.timings.slot = cx.now.saturating_duration_since(since);
                self.state = State::Dialling { connecting: Box::new(connecting), since: cx.now };
                Poll::Ready(Ok(None))
            }
            Checkout::Wait => {
                self.state = State::Slot { since };
                self.wait_for_slot(since, cx)
            }
        }
    }

    fn wait_for_slot(&self, since: Instant, cx: &mut Cx<'_>) -> Poll<Result<Option<Box<Response>>, Failed>> {
        let until = Deadline::from(self.options.timeouts.slot_limit().and_then(|d| since.checked_add(d)));
        if until.has_passed(cx.now) {
            let text = format!("no connection or stream became free within {:?}", cx.now - since);
            return Poll::Ready(Err(Failed::error(Error::with(ErrorKind::PoolTimeout, text).in_phase(Phase::Slot))));
        }
        cx.wait_until(until);
        Poll::Pending
    }

    fn on_dialling(
        &mut self,
        mut connecting: Box<Connecting>,
        since: Instant,
        cx: &mut Cx<'_>,
    ) -> Poll<Result<Option<Box<Response>>, Failed>> {
        match connecting.poll(cx) {
            Poll::Pending => {
                self.state = State::Dialling { connecting, since };
                Poll::Pending
            }
            Poll::Ready(Err(e)) => Poll::Ready(Err(Failed::dialling(e))),
            Poll::Ready(Ok((dialled, version))) => {
                let connected = connecting.finish(&self.inner.settings, dialled, version, cx.now);
                let timings = &mut self.timings;
                (timings.resolve, timings.connect, timings.tls) =
                    (connected.took.resolve, connected.took.connect, connected.took.tls);
                self.inner.trace(|| Trace::Resolved {
                    host: self.origin.host.clone(),
                    addresses: connected.addresses,
                    took: connected.took.resolve,
                });
                let took = cx.now.saturating_duration_since(since);
                self.inner.trace(|| Trace::Connected { connection: connected.lease.conn.info(), took });
                self.state = State::Opening { place: Place::Pooled(connected.lease), since: cx.now };
                Poll::Ready(Ok(None))
            }
        }
    }

    fn on_opening(
        &mut self,
        place: Place,
        since: Instant,
        cx: &mut Cx<'_>,
    ) -> Poll<Result<Option<Box<Response>>, Failed>> {
        let conn = place.conn().clone();
        let served = conn.served();
        let upgrade = self.h2c_upgrade(&conn);
        let h2c = upgrade.is_some();
        let upgrade = match self.poll_websocket(&conn, cx) {
            Poll::Pending => {
                self.state = State::Opening { place, since };
                return self.wait_for_slot(since, cx);
            }
            Poll::Ready(Ok(head)) => head.or(upgrade),
            Poll::Ready(Err(Some(failed))) => return Poll::Ready(Err(failed)),
            Poll::Ready(Err(None)) => {
                drop(place);
                self.http1 = true;
                self.state = State::Slot { since };
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
            Poll::Pending => {
                self.state = State::Opening { place, since };
                self.wait_for_slot(since, cx)
            }
            Poll::Ready(Err(fault)) => Poll::Ready(Err(Failed::unsent(fault, served > 0, conn))),
            Poll::Ready(Ok(Begun::Closed(cause))) => {
                // It ended between the look and now: another one, as long as the pool has one, or a new one.
                let pinned = matches!(place, Place::Pinned(_));
                drop(place);
                if pinned {
                    let cause = cause.unwrap_or_else(failure::not_usable);
                    return Poll::Ready(Err(Failed::unsent(Fault::Over(cause), false, conn)));
                }
                self.state = State::Slot { since };
                Poll::Ready(Ok(None))
            }
            Poll::Ready(Ok(Begun::Stream(stream, taken))) => {
                let mut upload = self.attempt.upload.take();
                if let Some(upload) = &mut upload {
                    upload.took_first(taken);
                }
                let keep = match place {
                    Place::Pooled(lease) => {
                        let keep = lease.keep.clone();
                        stream.keep(Box::new(lease));
                        Some(keep)
                    }
                    Place::Pinned(_) => None,
                };
                let (request_id, connection) = (self.flight.id(), conn.id());
                self.inner.trace(|| Trace::Sent { request_id, connection });
                let expect = self.options.expect.filter(|_| upload.as_ref().is_some_and(|u| !u.is_done()));
                self.state = State::Exchanging(Box::new(Exchange {
                    stream,
                    upload,
                    expect: expect.map(|d| Deadline::from(cx.now.checked_add(d))),
                    sent: None,
                    opened: cx.now,
                    reused: served > 0,
                    version: conn.version(),
                    keep,
                    h2c,
                }));
                Poll::Ready(Ok(None))
            }
        }
    }

    fn on_exchanging(
        &mut self,
        mut exchange: Box<Exchange>,
        cx: &mut Cx<'_>,
    ) -> Poll<Result<Option<Box<Response>>, Failed>> {
        let mut body_failed = None;
        let holds_back = exchange.expect.is_some_and(|until| !until.has_passed(cx.now));
        if !holds_back {
            exchange.expect = None;
            if let Some(Poll::Ready(Err(Stopped::Body(e)))) =
                exchange.upload.as_mut().map(|u| u.poll(&exchange.stream, cx))
            {
                body_failed = Some(e);
            }
            // A fault of the exchange shows below, behind an answer that came before it.
        }
        if let Some(e) = body_failed {
            let progress = exchange.stream.progress();
            exchange.stream.reset(CANCEL);
            return Poll::Ready(Err(Failed::own(e.in_phase(Phase::Send), progress, exchange)));
        }
        match exchange.stream.poll_answer(cx) {
            Poll::Ready(Ok(Answer::Informational(head))) => {
                if head.status == StatusCode::CONTINUE {
                    exchange.expect = None;
                }
                // It shows that the peer is at it: the wait for an answer begins again.
                exchange.sent = exchange.sent.map(|_| cx.now);
                let request_id = self.flight.id();
                self.inner.trace(|| Trace::Informational {
                    request_id,
                    status: head.status,
                    headers: head.fields.into_map(),
                });
                self.state = State::Exchanging(exchange);
                Poll::Ready(Ok(None))
            }
            Poll::Ready(Ok(Answer::Final(head))) if exchange.h2c && head.status == StatusCode::SWITCHING_PROTOCOLS => {
                self.on_upgrading(exchange, cx)
            }
            Poll::Ready(Ok(Answer::Final(head))) => {
                if exchange.h2c {
                    // It does not want to: not asked again.
                    self.inner.pool.remember_http1(&self.key());
                }
                self.on_answer(exchange, head, cx.now)
            }
            Poll::Ready(Err(fault)) => Poll::Ready(Err(Failed::exchanging(fault, exchange))),
            Poll::Pending => match self.overdue(&mut exchange, cx) {
                Some(e) => {
                    let progress = exchange.stream.progress();
                    exchange.stream.reset(CANCEL);
                    Poll::Ready(Err(Failed::own(e, progress, exchange)))
                }
                None => {
                    self.state = State::Exchanging(exchange);
                    Poll::Pending
                }
            },
        }
    }

    /// The configured limit that has passed, if one has; else notes when the next one does.
    fn overdue(&self, exchange: &mut Exchange, cx: &mut Cx<'_>) -> Option<Error> {
        let timeouts = &self.options.timeouts;
        if let Some(until) = exchange.expect {
            cx.wait_until(until);
            return None;
        }
        if self.external && exchange.stream.is_sending() {
            return None;
        }
        let mut missing = exchange.stream.missing();
        if let Missing::Room(_) = missing {
            // Another thread may write the rest: this one is told, and counts from there. Asking may move it, too.
            let _ = exchange.stream.poll_flushed(cx);
            missing = exchange.stream.missing();
        }
        let uploading = exchange.upload.as_mut().filter(|upload| !upload.is_done());
        let (phase, limit, since, what) = match (missing, uploading) {
            (Missing::Room(since), _) => (Phase::Send, timeouts.write_limit(), since, "the peer took nothing"),
            (_, Some(upload)) => (Phase::Send, timeouts.write_limit(), upload.moved(cx.now), "the body did not move"),
            (Missing::Rest(since), None) => {
                exchange.sent.get_or_insert(cx.now);
                (Phase::FirstByte, timeouts.read_limit(), since, "the head of the answer stopped")
            }
            (Missing::Answer, None) => {
                let sent = *exchange.sent.get_or_insert(cx.now);
                (Phase::FirstByte, timeouts.first_byte_limit(), sent, "no answer came")
            }
        };
        let limit = limit?;
        let until = Deadline::from(since.checked_add(limit));
        if until.has_passed(cx.now) {
            return Some(Error::with(ErrorKind::TimedOut, format!("{what} for {limit:?}")).in_phase(phase));
        }
        cx.wait_until(until);
        None
    }

    fn on_answer(
        &mut self,
        mut exchange: Box<Exchange>,
        head: ResponseHead,
        now: Instant,
    ) -> Poll<Result<Option<Box<Response>>, Failed>> {
        if let Some(keep) = &exchange.keep {
            note_keep_alive(&head, keep);
        }
        if exchange.expect.is_some() {
            // The answer came instead of a 100: the body is not wanted (RFC 9110, section 10.1.1).
            exchange.upload = None;
        }
        let began = self.attempt.began.unwrap_or(self.began);
        self.timings.first_byte = now.saturating_duration_since(exchange.sent.unwrap_or(exchange.opened));
        self.timings.send =
            exchange.sent.map_or(Duration::ZERO, |sent| sent.saturating_duration_since(exchange.opened));
        self.timings.total = now.saturating_duration_since(self.began);
        let (request_id, status) = (self.flight.id(), head.status);
        self.inner.trace(|| Trace::Answered { request_id, status, took: now.saturating_duration_since(began) });
        let reused = exchange.reused;
        let connects = self.options.websocket.is_some() && exchange.version == Version::HTTP_2;
        let accepts = if connects || *self.request.method() == Method::CONNECT {
            status.is_success()
        } else {
            status == StatusCode::SWITCHING_PROTOCOLS
        };
        if self.options.upgrade.is_some() && accepts {
            self.upgraded = Some(exchange.stream.clone());
        }
        let mut response = match Incoming::response(self, exchange, head) {
            Ok(response) => response,
            Err(failed) => return Poll::Ready(Err(failed)),
        };
        match self.verdict(Ok(&response)) {
            Verdict::RetryAfter(pause) if self.can_repeat() && self.has_time(now, pause) => {
                self.flight.go_on();
                self.sleep(now, pause);
                return Poll::Ready(Ok(None));
            }
            Verdict::Deliver => return Poll::Ready(Ok(Some(Box::new(response)))),
            Verdict::Pass | Verdict::RetryAfter(_) => {}
        }
        let options =
            response.headers().get_all(header::CONNECTION).iter().flat_map(|v| v.as_bytes().split(|b| *b == b','));
        let closing = options.map(<[u8]>::trim_ascii).any(|option| option.eq_ignore_ascii_case(b"close"));
        if status == StatusCode::REQUEST_TIMEOUT && closing && reused && self.may_repeat() && self.is_idempotent() {
            self.flight.go_on();
            self.repeat(Again::Fresh, Duration::ZERO, now);
            return Poll::Ready(Ok(None));
        }
        match self.redirected(&mut response) {
            Ok(false) => Poll::Ready(Ok(Some(Box::new(response)))),
            Ok(true) => {
                self.flight.go_on();
                Poll::Ready(Ok(None))
            }
            Err(e) => Poll::Ready(Err(Failed::answered(e.attach(response)))),
        }
    }

    /// Follows a redirect, if this is one; returns whether it was.
    fn redirected(&mut self, response: &mut Response) -> Result<bool> {
        if !response.status().is_redirection() || self.options.upgrade.is_some() {
            return Ok(false);
        }
        let body = match (self.external, self.body.content_length(), self.body.is_replayable()) {
            (true, ..) => RequestBody::Once,
            _ if self.spent_body() => RequestBody::Once,
            (_, Some(0), _) => RequestBody::Empty,
            (.., true) => RequestBody::Replayable,
            (.., false) => RequestBody::Once,
        };
        let count = u32::try_from(self.history.len()).unwrap_or(u32::MAX);
        let from = Redirected { method: self.request.method(), body, from: self.request.uri(), count };
        let location = response.headers().get(header::LOCATION).map(|v| v.as_bytes());
        let next = match redirect::decide(response.status(), location, from, self.options.redirects)? {
            Decision::Deliver => return Ok(false),
            Decision::Follow(next) => next,
        };
        if self.pinned.is_some() && next.url.origin != self.origin {
            return Ok(false);
        }
        self.history.push((response.status(), self.request.uri().clone()));
        next.strip(self.request.headers_mut());
        *self.request.method_mut() = next.method;
        *self.request.uri_mut() = next.url.uri;
        self.origin = next.url.origin;
        if next.body == NextBody::Dropped {
            (self.body, self.external, self.options.once) = (Body::empty(), false, false);
        }
        (self.http1, self.repeated, self.fresh, self.processed) = (false, false, false, Processed::No);
        self.inner.pool.counters.redirects.fetch_add(1, Ordering::Relaxed);
        self.attempts -= 1;
        self.state = State::Begin;
        Ok(true)
    }

    /// Whether the body was one that can be sent only once, and was.
    fn spent_body(&self) -> bool {
        self.options.once && self.attempts > 0
    }

    fn is_idempotent(&self) -> bool {
        retry::is_idempotent(self.head().method(), self.head().headers())
    }

    /// Whether the body, and the caller, allow another attempt.
    fn can_repeat(&self) -> bool {
        !self.external && !self.spent_body()
    }

    /// Whether the built-in rules may repeat it: once.
    fn may_repeat(&self) -> bool {
        self.can_repeat() && !self.repeated && self.options.retry == Retry::Safe
    }

    fn sleep(&mut self, now: Instant, pause: Duration) {
        self.inner.pool.counters.retries.fetch_add(1, Ordering::Relaxed);
        self.state = State::Sleeping { until: Deadline::from(now.checked_add(pause)) };
    }

    fn repeat(&mut self, again: Again, pause: Duration, now: Instant) {
        self.repeated = true;
        self.fresh = again == Again::Fresh;
        if again == Again::Http1 {
            self.inner.pool.remember_http1(&self.key());
            self.http1 = true;
        }
        self.sleep(now, pause);
    }

    fn verdict(&self, outcome: Result<&Response, &Error>) -> Verdict {
        let hooks = &self.inner.settings.hooks;
        if hooks.is_empty() {
            return Verdict::Pass;
        }
        let attempt = self.describe_attempt();
        let verdicts = hooks.iter().rev().map(|hook| hook.after(&attempt, outcome));
        // Every hook sees the outcome; the first that has something to say decides.
        verdicts.fold(Verdict::Pass, |first, next| if first == Verdict::Pass { next } else { first })
    }

    fn describe_attempt(&self) -> Attempt {
        Attempt {
            request_id: self.flight.id(),
            number: self.attempts,
            method: self.request.method().clone(),
            url: self.request.uri().clone(),
            replayable: self.can_repeat(),
            elapsed: self.began.elapsed(),
        }
    }

    /// Decides about an attempt that failed; returns the error if that was the last.
    fn on_failure(&mut self, failed: Failed, cx: &Cx<'_>) -> Option<Error> {
        let idempotent = self.is_idempotent();
        let again = failed.attempted().and_then(|(fault, progress, reused, version)| {
            retry::decide(Attempted { fault, progress, reused, version, idempotent })
        });
        let phase = self.phase();
        self.inner.announce();
        let e = failed.into_error(phase, self.began.elapsed(), self.attempts, idempotent, self.processed);
        self.processed = e.processed();
        match self.verdict(Err(&e)) {
            Verdict::Deliver => return Some(e),
            Verdict::RetryAfter(pause) if self.can_repeat() && self.has_time(cx.now, pause) => {
                self.sleep(cx.now, pause);
                return None;
            }
            Verdict::Pass | Verdict::RetryAfter(_) => {}
        }
        let Some(again) = again.filter(|_| self.may_repeat() && self.pinned.is_none()) else { return Some(e) };
        let pause = match again {
            Again::Later => TROUBLE + TROUBLE.mul_f64((random() % 900) as f64 / 100.0),
            Again::Anywhere | Again::Fresh | Again::Http1 => Duration::ZERO,
        };
        if !self.has_time(cx.now, pause) {
            // Why it failed says more than that the time was up.
            return Some(e);
        }
        self.repeat(again, pause, cx.now);
        None
    }

    fn has_time(&self, now: Instant, pause: Duration) -> bool {
        self.deadline().left(now).is_none_or(|left| left > pause)
    }

    /// What a limit that ends the whole call interrupts.
    fn phase(&self) -> Phase {
        match &self.state {
            State::Begin => Phase::Build,
            State::Slot { .. } | State::Opening { .. } | State::Sleeping { .. } => Phase::Slot,
            State::Dialling { connecting, .. } => connecting.phase(),
            State::Exchanging(exchange) if exchange.upload.as_ref().is_some_and(|u| !u.is_done()) => Phase::Send,
            State::Exchanging(_) | State::Upgrading(_) | State::Over => Phase::FirstByte,
        }
    }

    /// The request as it asks for HTTP/2 by an upgrade, if it should: without a body, on a wire in the clear.
    fn h2c_upgrade(&self, conn: &Arc<dyn Carrier>) -> Option<Request<()>> {
        let wanted =
            self.protocol() == Protocol::H2cUpgrade && conn.version() != Version::HTTP_2 && self.pinned.is_none();
        let bodiless = !self.external && self.attempt.upload.as_ref().is_some_and(|u| u.length() == Length::Empty);
        let plain = self.origin.scheme == Scheme::Http && self.options.upgrade.is_none();
        if !(wanted && bodiless && plain) || self.inner.pool.is_http1_only(&self.key()) {
            return None;
        }
        let settings = connect::h2_config(&self.inner.settings).upgrade_payload();
        let settings = HeaderValue::from_str(&b64::encode_url(settings)).ok()?;
        let mut head = self.head().clone();
        head.headers_mut().insert(header::UPGRADE, HeaderValue::from_static("h2c"));
        head.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("Upgrade, HTTP2-Settings"));
        head.headers_mut().insert("http2-settings", settings);
        Some(head)
    }

    /// The handshake of a WebSocket as it is made on this connection. `Err(None)`: not on this one, but over HTTP/1.
    fn poll_websocket(
        &self,
        conn: &Arc<dyn Carrier>,
        cx: &mut Cx<'_>,
    ) -> Poll<Result<Option<Request<()>>, Option<Failed>>> {
        let Some(offer) = &self.options.websocket else { return Poll::Ready(Ok(None)) };
        let version = conn.version();
        let mut head = self.head().clone();
        if version == Version::HTTP_2 {
            match conn.clone().poll_extended_connect(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(true)) => {}
                Poll::Ready(Ok(false)) if self.pinned.is_none() && self.protocol() == Protocol::Auto => {
                    return Poll::Ready(Err(None));
                }
                Poll::Ready(Ok(false)) => {
                    let text = "the peer does not enable WebSocket over HTTP/2 (RFC 8441)";
                    let e = Error::with(ErrorKind::Unsupported, text).in_phase(Phase::Slot);
                    return Poll::Ready(Err(Some(Failed::error(e))));
                }
                Poll::Ready(Err(fault)) => {
                    return Poll::Ready(Err(Some(Failed::unsent(fault, conn.served() > 0, conn.clone()))));
                }
            }
            *head.method_mut() = Method::CONNECT;
            head.extensions_mut().insert(h2::Protocol("websocket".to_owned()));
        }
        offer.add_to(head.headers_mut(), version);
        Poll::Ready(Ok(Some(head)))
    }

    /// The peer agreed to HTTP/2: the request is stream 1 of a connection on the same wire.
    fn on_upgrading(
        &mut self,
        exchange: Box<Exchange>,
        cx: &mut Cx<'_>,
    ) -> Poll<Result<Option<Box<Response>>, Failed>> {
        let old = exchange.stream.carrier().clone();
        let config = connect::h2_config(&self.inner.settings);
        let settings = &self.inner.settings;
        let prepare = |setup: &mut Setup| connect::prepare(setup, settings, &self.inner.pool.record, Version::HTTP_2);
        let stream = match to_h2(&old, config, prepare, cx.now) {
            None => {
                // Another thread looks at the wire; that takes no time to speak of.
                cx.wait_until(Deadline::at(cx.now + Duration::from_millis(1)));
                self.state = State::Upgrading(exchange);
                return Poll::Pending;
            }
            Some(Err(violation)) => {
                let fault = Fault::Violated(violation.to_string().into());
                return Poll::Ready(Err(Failed::exchanging(fault, exchange)));
            }
            Some(Ok(stream)) => stream,
        };
        let lease = self.inner.pool.share(&self.key(), stream.carrier().clone(), &self.inner.settings.limits);
        stream.keep(Box::new(lease));
        let (opened, sent) = (exchange.opened, exchange.sent);
        self.state = State::Exchanging(Box::new(Exchange {
            stream,
            upload: None,
            expect: None,
            sent,
            opened,
            reused: exchange.reused,
            version: Version::HTTP_2,
            keep: None,
            h2c: false,
        }));
        Poll::Ready(Ok(None))
    }
}

/// The headers as the program wrote them and in its order, then those that were added for it.
fn as_written(written: &[(String, Vec<u8>)], headers: &HeaderMap) -> Fields {
    let mut left: Vec<_> = headers.iter().collect();
    let mut fields = Fields::new();
    for (name, value) in written {
        let same =
            |(n, v): &(&HeaderName, &HeaderValue)| n.as_str().eq_ignore_ascii_case(name) && v.as_bytes() == value;
        if let Some(at) = left.iter().position(same) {
            left.remove(at);
            fields.push(name.as_bytes(), value);
        }
    }
    for (name, value) in left {
        let case = written.iter().find(|(w, _)| name.as_str().eq_ignore_ascii_case(w));
        fields.push(case.map_or(name.as_str(), |(w, _)| w).as_bytes(), value.as_bytes());
    }
    fields
}

/// Notes for how long the peer keeps an idle connection: a second less than it says, against the race.
fn note_keep_alive(head: &ResponseHead, keep: &AtomicU64) {
    let values = head.fields.get_all("keep-alive").filter_map(|v| std::str::from_utf8(v).ok());
    for parameter in values.flat_map(|v| v.split(',')) {
        if let Some((name, value)) = parameter.split_once('=') {
            if name.trim().eq_ignore_ascii_case("timeout") {
                if let Ok(seconds) = value.trim().trim_matches('"').parse::<u64>() {
                    keep.store(seconds.saturating_sub(1), Ordering::Relaxed);
                }
            }
        }
    }
}

/// How a request that was not answered counts.
pub(super) fn processed(fault: &Fault, written: u64, answered: bool) -> Processed {
    match fault {
        _ if answered => Processed::Yes,
        Fault::Refused(_) | Fault::Reset(crate::drive::REFUSED_STREAM | crate::drive::HTTP_1_1_REQUIRED) => {
            Processed::No
        }
        Fault::Over(cause) if cause.kind == ErrorKind::PeerSpokeHttp1 => Processed::No,
        _ if written == 0 => Processed::No,
        _ => Processed::Maybe,
    }
}
