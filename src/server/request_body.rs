//! The body of a request, as it arrives.

use super::settings::Settings;
use crate::{
    drive::{Source, Stream},
    error::{Error, ErrorKind, Phase, Result},
    net::Cx,
    time::Deadline,
};
use http::{HeaderMap, Response, StatusCode};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU16, Ordering},
    },
    task::Poll,
    time::{Duration, Instant},
};

/// How long a body may be slower than the least rate at its beginning: TCP starts slowly, and so do people's networks.
const GRACE: Duration = Duration::from_secs(5);

/// What a request deserves whose body could not be read, for the answer nobody else gives; and whether its client was told to send it.
#[derive(Clone, Debug, Default)]
pub(super) struct Verdict(Arc<(AtomicU16, AtomicBool)>);

impl Verdict {
    fn set(&self, status: StatusCode) {
        self.0.0.store(status.as_u16(), Ordering::Relaxed);
    }

    /// Returns the status, if anything was wrong with the body.
    pub(super) fn status(&self) -> Option<StatusCode> {
        StatusCode::from_u16(self.0.0.load(Ordering::Relaxed)).ok()
    }

    /// Returns whether this is the first time that a client is to be told to send its body.
    pub(super) fn invites(&self) -> bool {
        !self.0.1.swap(true, Ordering::Relaxed)
    }
}

/// The body of one request.
#[derive(Debug)]
pub(super) struct RequestBody {
    state: State,
    trailers: Option<HeaderMap>,
    len: Option<u64>,
    bytes: u64,
    max: u64,
    /// The longest silence.
    silence: Duration,
    /// Bytes a second.
    min_rate: u64,
    /// Since when nothing came while somebody waited, and how long that was altogether before.
    since: Option<Instant>,
    waited: Duration,
    verdict: Verdict,
}

#[derive(Debug)]
enum State {
    /// The client may wait to be told that it should send.
    Asked {
        stream: Stream,
        expects: bool,
    },
    Open {
        stream: Stream,
    },
    Ended,
    /// It failed, and says so again.
    Failed(ErrorKind, String),
}

impl RequestBody {
    /// `expects`: the client of a protocol that does not keep this itself expects to be told to go on.
    pub(super) fn new(stream: Stream, len: Option<u64>, expects: bool, verdict: Verdict, settings: &Settings) -> Self {
        RequestBody {
            state: State::Asked { stream, expects },
            trailers: None,
            len,
            bytes: 0,
            max: settings.max_body,
            silence: settings.timeouts.read,
            min_rate: settings.min_rate,
            since: None,
            waited: Duration::ZERO,
            verdict,
        }
    }

    fn fail(&mut self, e: Error, verdict: Option<StatusCode>) -> Error {
        self.state = State::Failed(e.kind(), e.to_string());
        if let Some(status) = verdict {
            self.verdict.set(status);
        }
        e.in_phase(Phase::Body)
    }

    /// Returns what the client was too slow in, if it was; else notes when it will have been.
    fn overdue(&mut self, cx: &mut Cx<'_>) -> Option<Error> {
        let since = *self.since.get_or_insert(cx.now);
        let silent = Deadline::from(since.checked_add(self.silence));
        // When the bytes so far will be too few for the time they took.
        let enough = self.bytes.checked_div(self.min_rate).map(|seconds| Duration::from_secs(seconds).max(GRACE));
        let rate = match enough {
            Some(enough) => Deadline::from(since.checked_add(enough.saturating_sub(self.waited))),
            None => Deadline::NEVER,
        };
        let text = if silent.has_passed(cx.now) {
            format!("no byte of the body came for {:?}", self.silence)
        } else if rate.has_passed(cx.now) {
            format!("the body came with less than {} bytes a second", self.min_rate)
        } else {
            cx.wait_until(silent.earlier(rate));
            return None;
        };
        Some(Error::with(ErrorKind::TimedOut, text))
    }

    /// Tells a client that waits for it to send its body.
    fn invite(&self, stream: &Stream, expects: bool) {
        if (expects && self.verdict.invites()) || stream.wants_continue() {
            let mut go_on = Response::new(());
            *go_on.status_mut() = StatusCode::CONTINUE;
            // An exchange that was answered, or is over, needs none.
            let _ = stream.inform(&go_on);
        }
    }
}

impl Source for RequestBody {
    fn poll_read(&mut self, buf: &mut [u8], cx: &mut Cx<'_>) -> Poll<Result<usize>> {
        if let State::Asked { stream, expects } = &self.state {
            let stream = stream.clone();
            let expects = *expects;
            self.invite(&stream, expects);
            self.state = State::Open { stream };
        }
        let stream = match &self.state {
            State::Ended => return Poll::Ready(Ok(0)),
            State::Failed(kind, text) => {
                return Poll::Ready(Err(Error::with(*kind, text.clone()).in_phase(Phase::Body)));
            }
            State::Asked { stream, .. } | State::Open { stream } => stream,
        };
        match stream.poll_data(buf, cx) {
            Poll::Ready(Ok(0)) if !buf.is_empty() => {
                self.trailers = stream.take_trailers().map(|fields| fields.into_map());
                self.state = State::Ended;
                Poll::Ready(Ok(0))
            }
            Poll::Ready(Ok(n)) => {
                if let Some(since) = self.since.take() {
                    self.waited += cx.now.saturating_duration_since(since);
                }
                self.bytes += n as u64;
                if self.bytes > self.max {
                    let text = format!("the body of the request is longer than the {} bytes allowed", self.max);
                    let e = Error::with(ErrorKind::TooLarge, text);
                    return Poll::Ready(Err(self.fail(e, Some(StatusCode::PAYLOAD_TOO_LARGE))));
                }
                Poll::Ready(Ok(n))
            }
            Poll::Ready(Err(fault)) => {
                let e = fault.to_error();
                let wrong = matches!(e.kind(), ErrorKind::PeerViolation | ErrorKind::TooLarge);
                let verdict = wrong.then_some(StatusCode::BAD_REQUEST);
                Poll::Ready(Err(self.fail(e, verdict)))
            }
            Poll::Pending => match self.overdue(cx) {
                Some(e) => Poll::Ready(Err(self.fail(e, Some(StatusCode::REQUEST_TIMEOUT)))),
                None => Poll::Pending,
            },
        }
    }

    fn trailers(&self) -> Option<&HeaderMap> {
        match self.state {
            State::Ended => self.trailers.as_ref(),
            State::Asked { .. } | State::Open { .. } | State::Failed(..) => None,
        }
    }

    fn content_length(&self) -> Option<u64> {
        self.len
    }
}
