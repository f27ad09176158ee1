//! One request on its way: a state that any waiting thread can move.
//!
//! ```text
//!  Begin ──► Slot ──► Dialling ──► Opening ──► Exchanging ──► answer
//!    ▲         └───────────────────────▲           │
//!    └──── Sleeping ◄── a repetition or a redirect ┘
//! ```
//!
//! Every state is polled; none of them waits. Here is the machine; what its states do is in
//! [`prepare`], [`place`], [`switch`], [`exchanging`] and [`again`]; what is done while nobody waits for it in [`unattended`].

mod again;
mod exchanging;
mod place;
mod prepare;
mod switch;
mod unattended;

pub(super) use exchanging::keep_alive;

use super::{
    Inner,
    connect::Connecting,
    failure::Failed,
    flight::Flight,
    hook::Trace,
    options::Options,
    pool::{Aside, InLine, Key, Lease, Pool},
    response::Response,
    url::Origin,
};
use crate::{
    buf::RecvBuf,
    drive::{Asked, Body, CANCEL, Carrier, Fault, Limits, Queued, Stream, Upload},
    error::{Error, ErrorKind, Phase, Processed, Result},
    fields::Fields,
    net::Cx,
    proto::{ResponseHead, h1::Length},
    time::Deadline,
};
use http::{Request, StatusCode, Uri, Version};
use std::{
    sync::Arc,
    task::Poll,
    thread::{self, ThreadId},
    time::Instant,
};

/// A request on its way.
#[derive(Debug)]
pub(crate) struct Call {
    pub(super) inner: Arc<Inner>,
    pub(super) options: Arc<Options>,
    /// Method, URI and headers, the defaults included, as the program asked for them.
    pub(super) request: Arc<Request<()>>,
    pub(super) origin: Origin,
    /// The body of the next attempt; afterwards what can be replayed of it.
    pub(super) body: Body,
    /// Headers as the program wrote them and in its order, for peers that are wrong about case.
    pub(super) written: Vec<(String, Vec<u8>)>,
    /// The body can be sent only once.
    pub(super) once: bool,
    /// The body is written by the caller.
    pub(super) external: bool,
    /// The connection to use, if the caller owns one.
    pub(super) pinned: Option<Arc<dyn Carrier>>,
    pub(super) limits: Limits,
    pub(super) flight: Flight,
    pub(super) began: Instant,
    /// Until when it makes do with the connections that requests share which were only started.
    pub(super) shares: Option<Deadline>,
    pub(super) history: Vec<(StatusCode, Uri)>,
    pub(super) attempt: Prepared,
    pub(super) attempts: u32,
    /// The client took it before it stopped taking any.
    admitted: bool,
    repeated: bool,
    http1: bool,
    /// Whether the peer may have acted on one of the attempts that failed.
    processed: Processed,
    /// The next connection must not be one that was kept.
    fresh: bool,
    pub(super) timings: super::Timings,
    /// The stream of an upgrade that was accepted.
    upgraded: Option<Stream>,
    /// It was started, and is not waited for all the time.
    pub(super) started: Option<Box<Started>>,
    /// It is moved by somebody who waits for its place.
    unattended: bool,
    /// It is being started, and not waited for yet.
    launching: bool,
    state: State,
}

/// What is known of a request that was started.
#[derive(Debug)]
pub(crate) struct Started {
    /// The thread that did it.
    home: ThreadId,
    /// What the hooks are told when it is waited for.
    untold: Vec<Trace>,
    /// Since when somebody waits for its answer, or for what it holds: until then it has no timers.
    awaited: Option<Instant>,
}

impl Started {
    pub(super) fn new() -> Self {
        Started { home: thread::current().id(), untold: Vec::new(), awaited: None }
    }
}

/// What one attempt sends.
#[derive(Debug, Default)]
pub(crate) struct Prepared {
    /// The head as hooks have changed it; `None`: as the program asked for it.
    head: Option<Box<Request<()>>>,
    /// How long the body is; `None`: the caller writes it.
    length: Option<Length>,
    /// What of it is to be sent.
    upload: Option<Box<Upload>>,
    began: Option<Instant>,
}

#[derive(Debug)]
enum State {
    /// Nothing of this attempt has happened.
    Begin,
    /// Waits for a connection of the pool.
    Slot { since: Instant, line: Option<Box<InLine>> },
    /// Makes a connection.
    Dialling { connecting: Box<Connecting>, since: Instant },
    /// Has a connection and waits for a stream on it.
    Opening { place: Place, since: Instant, queued: Option<Queued> },
    /// Is on a stream.
    Exchanging(Box<Exchange>),
    /// Failed while nobody waited for it.
    Failed(Box<Failed>),
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
    pub(super) upload: Option<Box<Upload>>,
    /// Until when the body waits for a 100.
    expect: Option<Deadline>,
    /// When the last byte of the request was framed.
    sent: Option<Instant>,
    opened: Instant,
    pub(super) reused: bool,
    pub(super) version: Version,
    /// The connection goes back to a pool: how long the peer keeps it is to be noted.
    pooled: bool,
    /// It asks for HTTP/2 by an upgrade.
    h2c: bool,
    /// What arrived while nobody waited for it.
    pub(super) early: Option<Box<Early>>,
}

/// An answer that arrived before anybody asked for it.
#[derive(Debug)]
pub(crate) struct Early {
    /// Until it is taken.
    head: Option<ResponseHead>,
    /// When it arrived.
    at: Instant,
    /// Body and trailers, once they are whole: the connection serves others then.
    pub(super) rest: Option<(RecvBuf, Option<Fields>)>,
    /// The memory that they may take.
    aside: Option<Aside>,
}

/// Where a request is that nobody waits for.
#[derive(Debug)]
pub(crate) enum Post {
    /// In line for a connection.
    InLine(Key),
    /// On a connection that serves nobody else meanwhile, or it makes one.
    Holding(Key),
    /// On a stream that it cannot free before its body has gone out, or in line for one.
    Uploading(Key, Arc<dyn Carrier>),
    /// Anywhere else.
    Nowhere,
}

impl Exchange {
    /// An exchange that had waited in line, on a connection that others use.
    fn queued(stream: Stream, upload: Option<Box<Upload>>) -> Self {
        Exchange {
            stream,
            upload,
            expect: None,
            sent: None,
            opened: Instant::now(),
            reused: true,
            version: Version::HTTP_2,
            pooled: false,
            h2c: false,
            early: None,
        }
    }
}

impl Call {
    pub(super) fn new(
        inner: Arc<Inner>,
        options: Arc<Options>,
        request: Arc<Request<()>>,
        origin: Origin,
        body: Body,
        pinned: Option<Arc<dyn Carrier>>,
    ) -> Self {
        let limits = Limits::new(options.cancels.clone(), inner.settings.interrupt.clone());
        let flight = Flight::begin(&inner.pool);
        // Asked after it was counted: a drain waits for all that are taken.
        let admitted = !inner.pool.is_stopped();
        Call {
            inner,
            options,
            request,
            origin,
            written: Vec::new(),
            once: !body.is_replayable() && body.content_length() != Some(0),
            body,
            external: false,
            pinned,
            limits,
            flight,
            began: Instant::now(),
            shares: None,
            started: None,
            unattended: false,
            launching: false,
            history: Vec::new(),
            attempt: Prepared::default(),
            attempts: 0,
            admitted,
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
        self.launching = true;
        let polled = self.poll(cx);
        self.launching = false;
        match polled {
            Poll::Ready(result) => Poll::Ready(Some(result)),
            Poll::Pending if matches!(self.state, State::Dialling { .. }) => Poll::Pending,
            Poll::Pending => Poll::Ready(None),
        }
    }

    /// Nobody waits for it any more, or not now: others do not wait for the connection that it is making.
    pub(super) fn rest(&mut self) {
        match &mut self.state {
            State::Dialling { connecting, .. } => connecting.rest(),
            State::Opening { queued: Some(queued), .. } => queued.rest(),
            _ => {}
        }
    }

    /// The stream, once there is one: for a caller who writes the body.
    pub(super) fn stream(&self) -> Option<&Stream> {
        match &self.state {
            State::Exchanging(exchange) => Some(&exchange.stream),
            _ => None,
        }
    }

    /// What the writer of its body is to know of it, if that is the caller.
    pub(super) fn asked(&self) -> Asked {
        let reused = matches!(&self.state, State::Exchanging(exchange) if exchange.reused);
        Asked {
            began: self.began,
            deadline: self.deadline(),
            attempts: self.attempts,
            reused,
            idempotent: self.is_idempotent(),
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

    /// The number of the request.
    pub(super) fn id(&self) -> u64 {
        self.flight.id()
    }

    pub(super) fn pool(&self) -> &Arc<Pool> {
        &self.inner.pool
    }

    /// Tells the hooks, or notes what they are to be told: they are the program's, and nothing of it runs for somebody else's wait.
    fn tell(&mut self, step: impl FnOnce(&Self) -> Trace) {
        if !self.inner.settings.hooks.is_empty() {
            let step = step(self);
            match self.started.as_mut().filter(|_| self.unattended) {
                Some(started) => started.untold.push(step),
                None => self.inner.trace(|| step),
            }
        }
    }

    /// Moves it on as far as possible. Ready once the head of the final answer is there, or nothing helps any more.
    pub(super) fn poll(&mut self, cx: &mut Cx<'_>) -> Poll<Result<Response>> {
        if let Some(started) = &mut self.started {
            let untold = std::mem::take(&mut started.untold);
            untold.into_iter().for_each(|step| self.inner.trace(|| step));
        }
        loop {
            let step = match self.check(cx) {
                Ok(()) => self.step(cx),
                Err(e) => Poll::Ready(Err(self.give_up(e))),
            };
            match step {
                // A connection that ends wakes those who are on it; who waits for something else has to be told of a shutdown.
                Poll::Pending if !self.is_open() && self.inner.pool.ended.register(cx.waker) => {}
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(None)) => {}
                Poll::Ready(Ok(Some(response))) => {
                    self.state = State::Over;
                    return Poll::Ready(Ok(response));
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
        // It is over already, and says why.
        if let State::Failed(_) = self.state {
            return Ok(());
        }
        self.limits.check(cx)?;
        if !self.admitted {
            return Err(Error::with(ErrorKind::Cancelled, "the client takes no new requests"));
        }
        self.check_time(cx)
    }

    /// Looks whether its time is up, or that of its client.
    #[inline(always)]
    fn check_time(&self, cx: &mut Cx<'_>) -> Result<()> {
        let pool = &self.inner.pool;
        // What was begun goes on while the client drains; a shutdown ends it, and the connections of what is open.
        if pool.ended.is_cancelled() && !self.is_open() {
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

    /// What it says that has to end while it waits for a place, which it has done since then: if its time is up, that none became free.
    fn without_place(&self, e: Error, since: Instant, cap: Option<usize>) -> Error {
        if e.kind() != ErrorKind::TimedOut {
            return e;
        }
        Error::with(ErrorKind::PoolTimeout, format!("{}: {e}", self.no_place(since.elapsed(), cap)))
    }

    /// Ends what is under way with an error that is no fault of it.
    fn give_up(&mut self, e: Error) -> Failed {
        let phase = match self.phase() {
            // It was put together already, and has got no further.
            Phase::Build => Phase::Slot,
            phase => phase,
        };
        let failed = |e: Error| Failed::error(e.in_phase(phase));
        match std::mem::replace(&mut self.state, State::Over) {
            State::Exchanging(exchange) | State::Upgrading(exchange) => {
                let progress = exchange.stream.progress();
                exchange.stream.reset(CANCEL);
                Failed::own(e.in_phase(phase), progress, exchange)
            }
            State::Opening { queued: Some(queued), since, .. } => match queued.claim() {
                // It has gone out, and nobody has looked since.
                Some(stream) => {
                    let progress = stream.progress();
                    stream.reset(CANCEL);
                    let uploads = self.attempt.upload.is_some();
                    let e = e.in_phase(if uploads { Phase::Send } else { Phase::FirstByte });
                    Failed::own(e, progress, Box::new(Exchange::queued(stream, self.attempt.upload.take())))
                }
                None => failed(self.without_place(e, since, None)),
            },
            State::Opening { queued: None, since, .. } => failed(self.without_place(e, since, None)),
            State::Slot { since, line: Some(line) } if line.cap.is_some() => {
                failed(self.without_place(e, since, line.cap))
            }
            _ => failed(e),
        }
    }

    fn step(&mut self, cx: &mut Cx<'_>) -> Poll<Result<Option<Response>, Failed>> {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Begin => {
                self.state = State::Begin;
                self.begin(cx.now).map_err(Failed::error)?;
                self.state = State::Slot { since: cx.now, line: None };
                Poll::Ready(Ok(None))
            }
            State::Slot { since, line } => self.on_slot(since, line, cx),
            State::Dialling { connecting, since } => self.on_dialling(connecting, since, cx),
            State::Opening { place, since, queued } => self.on_opening(place, since, queued, cx),
            State::Exchanging(exchange) => self.on_exchanging(exchange, cx),
            State::Failed(failed) => Poll::Ready(Err(*failed)),
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

    /// What a limit that ends the whole call interrupts.
    fn phase(&self) -> Phase {
        match &self.state {
            State::Begin => Phase::Build,
            State::Slot { .. } | State::Opening { .. } | State::Sleeping { .. } => Phase::Slot,
            State::Dialling { connecting, .. } => connecting.phase(),
            State::Exchanging(exchange) if exchange.upload.as_ref().is_some_and(|u| !u.is_done()) => Phase::Send,
            State::Exchanging(_) | State::Failed(_) | State::Upgrading(_) | State::Over => Phase::FirstByte,
        }
    }
}

/// How a request that was not answered counts.
pub(super) fn processed(fault: &Fault, written: u64, answered: bool) -> Processed {
    match fault {
        Fault::Over(cause) if cause.needs_http2 => Processed::No,
        fault if fault.is_unprocessed() => Processed::No,
        _ if answered => Processed::Yes,
        Fault::Over(cause) if cause.kind == ErrorKind::PeerSpokeHttp1 => Processed::No,
        _ if written == 0 => Processed::No,
        _ => Processed::Maybe,
    }
}
