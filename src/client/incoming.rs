//! The body of a response, as it arrives; what is left of the request's body goes out meanwhile.

#[cfg(feature = "gzip")]
use super::decoded::Decoded;
use super::{
    Inner,
    call::{Call, Exchange},
    failure::Failed,
    flight::Flight,
    hook::Trace,
    response::{Parts, Response},
};
use crate::{
    buf::RecvBuf,
    drive::{Body, CANCEL, ConnectionInfo, Limits, Reused, Source, Stopped, Stream, Upload, overran},
    error::{Error, ErrorKind, Phase, Processed, Result},
    fields::Fields,
    net::Cx,
    proto::ResponseHead,
    time::Deadline,
};
use http::{HeaderMap, Method, StatusCode};
use std::{
    sync::Arc,
    task::Poll,
    time::{Duration, Instant},
};

/// The body of one response.
#[derive(Debug)]
pub(super) struct Incoming {
    state: State,
    trailers: Option<HeaderMap>,
    len: Option<u64>,
    bytes: u64,
    limits: Limits,
    /// The longest silence.
    read_limit: Option<Duration>,
    /// When everything has to be over.
    deadline: Deadline,
    /// Since when nothing came while somebody waited.
    silent: Option<Instant>,
    flight: Flight,
    began: Instant,
    attempts: u32,
    reused: bool,
    inner: Arc<Inner>,
}

#[derive(Debug)]
enum State {
    /// More may arrive.
    Open { stream: Stream, upload: Option<Box<Upload>> },
    /// Everything has arrived, and the connection serves others already.
    Arrived(RecvBuf),
    /// Everything was read.
    Ended,
    /// It failed, and says so again.
    Failed(Box<Failure>),
}

/// How a body failed.
#[derive(Debug)]
struct Failure {
    kind: ErrorKind,
    text: String,
    written: u64,
    conn: ConnectionInfo,
}

impl Failure {
    fn tell(&self, e: Error) -> Error {
        e.with_bytes_written(self.written).attach(self.conn.clone())
    }
}

impl Incoming {
    /// Makes the response of an exchange.
    pub(super) fn response(call: &mut Call, exchange: Exchange, head: ResponseHead) -> Result<Response, Failed> {
        let Exchange { stream, upload, reused, early, .. } = exchange;
        let ResponseHead { status, version, mut fields } = head;
        let conn = stream.carrier().clone();
        let bodiless = *call.request.method() == Method::HEAD
            || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        let declared = fields.get_text("content-length").and_then(|v| v.parse().ok());
        let mut incoming = Incoming {
            state: State::Ended,
            trailers: None,
            len: if bodiless { Some(0) } else { declared },
            bytes: 0,
            limits: call.limits.clone(),
            read_limit: call.options.timeouts.read_limit(),
            deadline: call.deadline(),
            silent: None,
            flight: call.flight.hand_over(),
            began: call.began,
            attempts: call.attempts,
            reused,
            inner: call.inner.clone(),
        };
        // A short answer has arrived whole: the connection can serve others before anybody reads the body.
        match early.and_then(|early| early.rest).or_else(|| stream.take_rest()) {
            Some((rest, trailers)) => {
                incoming.trailers = trailers.map(|fields| fields.into_map());
                incoming.state = State::Arrived(rest);
            }
            None => incoming.state = State::Open { stream, upload: upload.filter(|u| !u.is_done()) },
        }
        let body = match &incoming.state {
            // A range is one of the coded bytes (RFC 9110, section 14.2).
            _ if bodiless || status == StatusCode::PARTIAL_CONTENT => Body::from_source(Box::new(incoming)),
            _ => decode(call, &mut fields, incoming),
        };
        Ok(Response::new(Parts {
            status,
            version,
            fields,
            request: call.request.clone(),
            history: call.history.clone(),
            conn,
            reused,
            attempts: call.attempts,
            timings: call.timings,
            body,
        }))
    }

    /// Adds to an error of this body what is known of the request.
    pub(super) fn about(&self, e: Error) -> Error {
        e.in_phase(Phase::Body)
            .with_processed(Processed::Yes)
            .with_elapsed(self.began.elapsed())
            .with_attempts(self.attempts)
            .with_retryable(false)
            .attach(Reused(self.reused))
    }

    fn fail(&mut self, e: Error) -> Error {
        let State::Open { stream, .. } = &self.state else { return e };
        let (kind, text) = (e.kind(), e.to_string());
        let failure =
            Box::new(Failure { kind, text, written: stream.progress().written, conn: stream.carrier().info() });
        let e = failure.tell(self.about(e));
        self.state = State::Failed(failure);
        self.flight.failed();
        e
    }

    fn end(&mut self) {
        self.state = State::Ended;
        let (request_id, bytes) = (self.flight.id(), self.bytes);
        self.inner.trace(|| Trace::Ended { request_id, bytes, took: self.began.elapsed() });
        self.inner.announce();
        drop(self.flight.hand_over());
    }

    /// The limit that has passed, if one has; else notes when the next one does.
    fn overdue(&mut self, cx: &mut Cx<'_>) -> Option<Error> {
        let since = *self.silent.get_or_insert(cx.now);
        let silence = Deadline::from(self.read_limit.and_then(|d| since.checked_add(d)));
        if silence.has_passed(cx.now) {
            let text = format!("no byte of the body came for {:?}", self.read_limit.unwrap_or_default());
            return Some(Error::with(ErrorKind::TimedOut, text));
        }
        cx.wait_until(self.deadline.earlier(silence));
        None
    }
}

#[cfg(feature = "gzip")]
fn decode(call: &Call, fields: &mut Fields, incoming: Incoming) -> Body {
    let wanted = call.inner.settings.decompress;
    let inflate = if wanted { crate::drive::Inflate::new(fields.get_all("content-encoding")) } else { None };
    match inflate {
        None => Body::from_source(Box::new(incoming)),
        Some(inflate) => {
            // They describe what was sent, not what is read (as browsers and curl show it).
            fields.remove("content-encoding");
            fields.remove("content-length");
            Body::from_source(Box::new(Decoded::new(incoming, inflate)))
        }
    }
}

#[cfg(not(feature = "gzip"))]
fn decode(_call: &Call, _fields: &mut Fields, incoming: Incoming) -> Body {
    Body::from_source(Box::new(incoming))
}

impl Source for Incoming {
    fn poll_read(&mut self, buf: &mut [u8], cx: &mut Cx<'_>) -> Poll<Result<usize>> {
        if buf.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let (stream, upload) = match &mut self.state {
            State::Ended => return Poll::Ready(Ok(0)),
            State::Failed(failure) => {
                let e = failure.tell(Error::with(failure.kind, failure.text.clone()));
                return Poll::Ready(Err(self.about(e)));
            }
            State::Arrived(rest) => {
                let n = rest.len().min(buf.len());
                buf[..n].copy_from_slice(rest.take(n));
                self.bytes += n as u64;
                if n == 0 {
                    self.end();
                }
                return Poll::Ready(Ok(n));
            }
            State::Open { stream, upload } => (stream, upload),
        };
        if let Err(e) = self.limits.check(cx) {
            return Poll::Ready(Err(self.fail(e)));
        }
        // Looked at before what is there: a body that never pauses would outrun it.
        if self.deadline.has_passed(cx.now) {
            let late = overran(self.began, self.deadline, "its answer was still being read");
            return Poll::Ready(Err(self.fail(late)));
        }
        // What is left of the request goes out meanwhile; if it cannot, the answer tells more than the upload could.
        match upload.as_mut().filter(|_| stream.is_sending()).map(|upload| upload.poll(stream, cx)) {
            Some(Poll::Pending) => {}
            None | Some(Poll::Ready(Ok(()) | Err(Stopped::Fault(_)))) => *upload = None,
            // The peer waits for what will never come, and must not take a part for the whole.
            Some(Poll::Ready(Err(Stopped::Body(e)))) => {
                stream.reset(CANCEL);
                return Poll::Ready(Err(self.fail(e)));
            }
        }
        let mut read = stream.poll_data(buf, cx);
        let silence = self.silent.and_then(|since| since.checked_add(self.read_limit?));
        if read.is_pending() && silence.is_some_and(|until| until <= cx.now) {
            // Perhaps nobody has waited for it until now: what has come meanwhile came in time.
            let _ = stream.carrier().look(cx.now);
            read = stream.poll_data(buf, cx);
        }
        match read {
            Poll::Ready(Ok(0)) => {
                self.trailers = stream.take_trailers().map(|fields| fields.into_map());
                self.end();
                Poll::Ready(Ok(0))
            }
            Poll::Ready(Ok(n)) => {
                self.silent = None;
                self.bytes += n as u64;
                Poll::Ready(Ok(n))
            }
            Poll::Ready(Err(fault)) => Poll::Ready(Err(self.fail(fault.to_error()))),
            Poll::Pending => match self.overdue(cx) {
                Some(e) => Poll::Ready(Err(self.fail(e))),
                None => Poll::Pending,
            },
        }
    }

    fn take_arrived(&mut self, max: u64) -> Option<Vec<u8>> {
        let State::Arrived(rest) = &mut self.state else { return None };
        if self.bytes > 0 || rest.len() as u64 > max {
            return None;
        }
        let whole = std::mem::take(rest).into_vec();
        self.bytes = whole.len() as u64;
        self.end();
        Some(whole)
    }

    fn trailers(&self) -> Option<&HeaderMap> {
        match self.state {
            State::Ended => self.trailers.as_ref(),
            State::Open { .. } | State::Arrived(_) | State::Failed(_) => None,
        }
    }

    fn content_length(&self) -> Option<u64> {
        self.len
    }
}
