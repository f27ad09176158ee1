//! Running handlers: one request, one upgrade to HTTP/2, one whole connection.

use super::{
    Handler,
    exchange::Exchange,
    greet::{Greeting, h2_config, patience},
    journal::{Entry, Hook},
    seat::Seat,
    settings::Settings,
    turns,
    workers::Job,
};
use crate::{
    b64,
    drive::{
        Accepted, Carrier, CloseReason, Closing, Lease, Quota, REFUSED_STREAM, Stream, Tally, are_h2_settings,
        block_on, serve_h2,
    },
    error::Result,
    net::{Interest, Wire},
    proto::{End, RequestHead, h1::Length},
    time::{Deadline, date},
};
use http::{HeaderValue, Method, Response, StatusCode, Version, header};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, atomic::Ordering},
    task::Poll,
    time::{Duration, Instant},
};

/// A request for a handler.
pub(super) struct Work {
    stream: Stream,
    head: RequestHead,
    seat: Arc<Seat>,
}

impl Work {
    pub(super) fn new(stream: Stream, head: RequestHead, seat: Arc<Seat>) -> Self {
        Work { stream, head, seat }
    }
}

impl Job for Work {
    fn run(self: Box<Self>) {
        let seat = self.seat.clone();
        let Some(work) = seat.turns.take(self, &seat.handlers) else { return };
        let Work { stream, head, seat } = *work;
        let hub = seat.hub.clone();
        let exchange = Exchange::new(stream, head, seat.peer, &hub.settings, Some(&seat));
        turns::run(seat, || {
            if handle(&*hub.handler, exchange, &hub.settings) == Handled::Panicked {
                hub.journal.panics.fetch_add(1, Ordering::Relaxed);
            }
        });
    }

    fn refuse(self: Box<Self>) {
        self.stream.refuse();
        if self.head.version == Version::HTTP_2 {
            return self.stream.reset(REFUSED_STREAM);
        }
        let mut head = Response::new(());
        *head.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        head.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        // What waits in a full queue takes about that long.
        head.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        if let Some(date) = date::now() {
            head.headers_mut().insert(header::DATE, date);
        }
        // If the connection is over there is nobody to be told.
        let _ = self.stream.respond(&head, Length::Empty, &[], End::Last);
    }
}

/// Runs the handler. Whatever it leaves undone is done by what it drops.
fn handle(handler: &dyn Handler, exchange: Exchange, settings: &Settings) -> Handled {
    if exchange.declared().is_some_and(|len| len > settings.max_body) {
        exchange.refuse(StatusCode::PAYLOAD_TOO_LARGE);
        return Handled::Returned;
    }
    // A handler that panicked has lost its exchange, and nothing else that anybody looks at again is ours.
    match catch_unwind(AssertUnwindSafe(|| handler.handle(exchange))) {
        Ok(_) => Handled::Returned,
        Err(_) => Handled::Panicked,
    }
}

/// What became of a handler.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Handled {
    Returned,
    Panicked,
}

/// A request on the caller's own thread, of which a record is wanted.
struct Recorded {
    entry: Box<Entry>,
    hook: Hook,
}

impl Lease for Recorded {
    fn over(&self, tally: &Tally) {
        self.hook.call(&self.entry.finish(tally));
    }
}

/// What became of a request that may be the last of its protocol.
pub(super) enum Upgrade {
    /// It is an ordinary request.
    None(Stream, RequestHead),
    /// The connection speaks HTTP/2 now, and the request is its first stream.
    Done(Arc<dyn Carrier>),
    /// The connection is over.
    Failed,
}

/// Changes to HTTP/2 if the request asks for that (RFC 7540, section 3.2): only in the clear, and without a body.
pub(super) fn upgrade(
    carrier: &Arc<dyn Carrier>,
    stream: Stream,
    head: RequestHead,
    settings: &Settings,
    quota: Option<&Arc<dyn Quota>>,
    now: Instant,
) -> Upgrade {
    let asked = match head.version {
        Version::HTTP_11 if settings.only.is_none() && !settings.is_tls() && head.method != Method::HEAD => {
            h2_settings(&head)
        }
        _ => None,
    };
    let Some(payload) = asked.filter(|_| !stream.has_body()) else { return Upgrade::None(stream, head) };
    let mut switch = Response::new(());
    *switch.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    switch.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    switch.headers_mut().insert(header::UPGRADE, HeaderValue::from_static("h2c"));
    if stream.respond(&switch, Length::Empty, &[], End::Last).is_err() {
        return Upgrade::None(stream, head);
    }
    match serve_h2(carrier, h2_config(settings, quota), &payload, head, patience(settings), quota.cloned(), now) {
        Some(Ok(new)) => Upgrade::Done(new),
        Some(Err(_)) | None => Upgrade::Failed,
    }
}

/// Returns the settings of a client that wants HTTP/2, if it says everything that this takes (RFC 7540, section 3.2.1).
fn h2_settings(head: &RequestHead) -> Option<Vec<u8>> {
    let names = |field: &str, name: &str| {
        head.fields.get_all(field).any(|value| {
            value.split(|b| *b == b',').any(|element| element.trim_ascii().eq_ignore_ascii_case(name.as_bytes()))
        })
    };
    let mut settings = head.fields.get_all("http2-settings");
    let (value, more) = (settings.next()?, settings.next());
    let wanted = names("upgrade", "h2c") && names("connection", "upgrade") && names("connection", "http2-settings");
    let payload = b64::decode_url(value)?;
    (wanted && more.is_none() && are_h2_settings(&payload)).then_some(payload)
}

/// How long a connection that is over is read on, so that the client sees the last answer.
const LINGER: Duration = Duration::from_secs(2);

/// Serves one connection on this thread, one request after the other.
pub(super) fn serve_wire(wire: Arc<dyn Wire>, handler: &dyn Handler, settings: &Arc<Settings>) -> Result<()> {
    let mut greeting = Greeting::new(wire.clone(), settings, Instant::now())?;
    let greeted = block_on(Deadline::NEVER, |cx| greeting.poll(settings, None, cx));
    let Some(mut carrier) = greeted.transpose()?.flatten() else { return Ok(()) };
    let peer = wire.peer_addr();
    let keeper = crate::net::Waker::hooked(|| ());
    carrier.keep(keeper.clone());
    loop {
        let accepted = block_on(Deadline::NEVER, |cx| carrier.clone().poll_accept(cx)).flatten();
        let (stream, head) = match accepted {
            None => break,
            Some(Accepted::Exchange(stream, head)) => (stream, head),
            Some(Accepted::Refused(refused)) => {
                if let Some(hook) = &settings.hook {
                    let (entry, tally) = Entry::refused(carrier.id(), peer, refused, Instant::now());
                    hook.call(&entry.finish(&tally));
                }
                continue;
            }
        };
        match upgrade(&carrier, stream, head, settings, None, Instant::now()) {
            Upgrade::None(stream, head) => {
                if let Some(hook) = settings.hook.clone() {
                    let entry = Entry::new(carrier.id(), peer, &head, Instant::now());
                    stream.keep(Box::new(Recorded { entry, hook }));
                }
                handle(handler, Exchange::new(stream, head, peer, settings, None), settings);
            }
            Upgrade::Done(new) => {
                carrier = new;
                carrier.keep(keeper.clone());
            }
            Upgrade::Failed => carrier.shutdown(crate::drive::Cause::shutdown()),
        }
    }
    // What the last request has become, a tunnel perhaps, may be with another thread.
    block_on(Deadline::NEVER, |cx| match carrier.over() {
        Some(_) => Poll::Ready(()),
        None => {
            cx.wait_shared(&carrier.clone().lead());
            Poll::Pending
        }
    });
    end(&wire, &carrier, settings);
    match carrier.over() {
        Some(cause) if !matches!(cause.reason, CloseReason::ByPeer | CloseReason::Finished | CloseReason::Idle) => {
            Err(cause.to_error())
        }
        _ => Ok(()),
    }
}

/// Sends what is unsent, and waits a little for the client to read it.
fn end(wire: &Arc<dyn Wire>, carrier: &Arc<dyn Carrier>, settings: &Settings) {
    let mut scratch = [0; 4096];
    let mut until = Deadline::after(settings.timeouts.write);
    let mut flushed = false;
    block_on(Deadline::NEVER, |cx| {
        let closing = carrier.closing(cx.now);
        let interest = match closing {
            Closing::Open | Closing::Done => return Poll::Ready(()),
            Closing::Flushing => Interest::Both,
            Closing::Lingering => Interest::Read,
        };
        if closing == Closing::Lingering && !std::mem::replace(&mut flushed, true) {
            until = Deadline::after(LINGER);
        }
        loop {
            match wire.try_read(&mut scratch) {
                Ok(n @ 1..) if n > 0 => {}
                Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => break,
                Ok(_) | Err(_) if flushed => return Poll::Ready(()),
                Ok(_) | Err(_) => break,
            }
        }
        if until.has_passed(cx.now) {
            return Poll::Ready(());
        }
        cx.wait_until(until);
        cx.wait_wire(wire, interest);
        Poll::Pending
    });
    wire.shutdown();
}
