//! An attempt on its stream: its body goes, its answer comes, its limits run.

use super::{
    super::{
        failure::Failed,
        hook::{Trace, Verdict},
        incoming::Incoming,
        response::Response,
        retry::Again,
    },
    Call, Exchange, State,
};
use crate::{
    drive::{Answer, CANCEL, Fault, Missing, Stopped},
    error::{Error, ErrorKind, Phase, Processed},
    net::Cx,
    proto::ResponseHead,
    time::Deadline,
};
use http::{Method, StatusCode, Version, header};
use std::{
    task::Poll,
    time::{Duration, Instant},
};

/// Why no answer comes.
pub(super) enum Stop {
    /// A fault of the exchange.
    Fault(Fault),
    /// A limit has passed, or the body of the request failed.
    Own(Error),
}

impl Stop {
    /// Ends the exchange.
    pub(super) fn failed(self, exchange: Box<Exchange>) -> Failed {
        match self {
            Stop::Fault(fault) => Failed::exchanging(fault, exchange),
            Stop::Own(e) => {
                let progress = exchange.stream.progress();
                exchange.stream.reset(CANCEL);
                Failed::own(e, progress, exchange)
            }
        }
    }
}

impl Call {
    pub(super) fn on_exchanging(
        &mut self,
        mut exchange: Box<Exchange>,
        cx: &mut Cx<'_>,
    ) -> Poll<Result<Option<Response>, Failed>> {
        let early = exchange.early.as_mut().and_then(|early| early.head.take());
        let head = match early.map_or_else(|| self.poll_head(&mut exchange, cx), |head| Poll::Ready(Ok(head))) {
            Poll::Ready(Ok(head)) => head,
            Poll::Ready(Err(stop)) => return Poll::Ready(Err(stop.failed(exchange))),
            Poll::Pending => {
                self.state = State::Exchanging(exchange);
                return Poll::Pending;
            }
        };
        if exchange.h2c && head.status == StatusCode::SWITCHING_PROTOCOLS {
            let mut to = head.fields.get_all("upgrade");
            let to_h2c = to.next().is_some_and(|v| v.trim_ascii().eq_ignore_ascii_case(b"h2c")) && to.next().is_none();
            if !to_h2c {
                exchange.stream.reset(CANCEL);
                let fault = Fault::Failed(ErrorKind::PeerViolation, "101 to another protocol than h2c".into());
                return Poll::Ready(Err(Failed::exchanging(fault, exchange)));
            }
            return self.on_upgrading(exchange, cx);
        }
        if exchange.h2c {
            // It does not want to: not asked again.
            self.inner.pool.remember_declined(&self.key());
        }
        self.on_answer(exchange, head, cx.now)
    }

    /// The final head of the answer, once it is there; what comes before that, and the body of the request, is seen to.
    // Part of every step of every request; the other caller is rare.
    #[inline(always)]
    pub(super) fn poll_head(
        &mut self,
        exchange: &mut Exchange,
        cx: &mut Cx<'_>,
    ) -> Poll<std::result::Result<ResponseHead, Stop>> {
        let mut looked = false;
        loop {
            let holds_back = exchange.expect.is_some_and(|until| !until.has_passed(cx.now));
            if !holds_back {
                exchange.expect = None;
                // A fault of the exchange shows below, behind an answer that came before it.
                if let Some(Poll::Ready(Err(Stopped::Body(e)))) =
                    exchange.upload.as_mut().map(|u| u.poll(&exchange.stream, cx))
                {
                    return Poll::Ready(Err(Stop::Own(e.in_phase(Phase::Send))));
                }
            }
            let head = match exchange.stream.poll_answer(cx) {
                Poll::Ready(Ok(Answer::Informational(head))) => head,
                Poll::Ready(Ok(Answer::Final(head))) => return Poll::Ready(Ok(head)),
                Poll::Ready(Err(fault)) => return Poll::Ready(Err(Stop::Fault(fault))),
                Poll::Pending => match self.overdue(exchange, cx) {
                    None => return Poll::Pending,
                    // Perhaps nobody has waited for it until now: what has come meanwhile came in time.
                    Some(_) if !looked => {
                        looked = true;
                        let _ = exchange.stream.carrier().look(cx.now);
                        continue;
                    }
                    Some(e) => return Poll::Ready(Err(Stop::Own(e))),
                },
            };
            if head.status == StatusCode::CONTINUE {
                exchange.expect = None;
            }
            // It shows that the peer is at it: the wait for an answer begins again.
            exchange.sent = exchange.sent.map(|_| cx.now);
            let request_id = self.flight.id();
            self.tell(|_| Trace::Informational { request_id, status: head.status, headers: head.fields.into_map() });
        }
    }

    /// The configured limit that has passed, if one has; else notes when the next one does.
    #[inline(always)]
    fn overdue(&mut self, exchange: &mut Exchange, cx: &mut Cx<'_>) -> Option<Error> {
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
        if self.launching {
            return None;
        }
        let awaited = self.started.as_mut().map(|started| *started.awaited.get_or_insert(cx.now));
        let since = awaited.map_or(since, |awaited| since.max(awaited));
        let until = Deadline::from(since.checked_add(limit));
        if until.has_passed(cx.now) {
            return Some(Error::with(ErrorKind::TimedOut, format!("{what} for {limit:?}")).in_phase(phase));
        }
        cx.wait_until(until);
        None
    }

    #[expect(clippy::boxed_local, reason = "it is handed on in its box")]
    fn on_answer(
        &mut self,
        mut exchange: Box<Exchange>,
        head: ResponseHead,
        now: Instant,
    ) -> Poll<Result<Option<Response>, Failed>> {
        if exchange.pooled {
            exchange.stream.carrier().set_kept(keep_alive(&head));
        }
        if exchange.expect.is_some() {
            // The answer came instead of a 100: the body is not wanted (RFC 9110, section 10.1.1).
            exchange.upload = None;
        }
        let began = self.attempt.began.unwrap_or(self.began);
        let arrived = exchange.early.as_ref().map_or(now, |early| early.at);
        self.timings.first_byte = arrived.saturating_duration_since(exchange.sent.unwrap_or(exchange.opened));
        self.timings.send =
            exchange.sent.map_or(Duration::ZERO, |sent| sent.saturating_duration_since(exchange.opened));
        self.timings.total = arrived.saturating_duration_since(self.began);
        let (request_id, status) = (self.flight.id(), head.status);
        self.inner.announce();
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
        let mut response = match Incoming::response(self, *exchange, head) {
            Ok(response) => response,
            Err(failed) => return Poll::Ready(Err(failed)),
        };
        match self.verdict(Ok(&response)) {
            Verdict::RetryAfter(pause) if self.can_repeat() && self.has_time(now, pause) => {
                // Whatever becomes of it: it was answered.
                self.processed = Processed::Yes;
                self.flight.go_on();
                self.sleep(now, pause);
                return Poll::Ready(Ok(None));
            }
            Verdict::Deliver => return Poll::Ready(Ok(Some(response))),
            Verdict::Pass | Verdict::RetryAfter(_) => {}
        }
        let late = status == StatusCode::REQUEST_TIMEOUT && closes(&response);
        // A connection of the caller's is never left for another one: there it is the answer.
        if late && reused && self.pinned.is_none() && self.may_repeat() && self.is_idempotent() {
            // The peer says that it waited in vain, not that it did nothing.
            self.processed = Processed::Maybe;
            self.flight.go_on();
            self.repeat(Again::Fresh, Duration::ZERO, now);
            return Poll::Ready(Ok(None));
        }
        match self.redirected(&mut response) {
            Ok(false) => Poll::Ready(Ok(Some(response))),
            Ok(true) => {
                self.flight.go_on();
                Poll::Ready(Ok(None))
            }
            Err(e) => Poll::Ready(Err(Failed::answered(e.attach(response)))),
        }
    }
}

/// Whether the peer says that it closes the connection.
fn closes(response: &Response) -> bool {
    let mut options =
        response.headers().get_all(header::CONNECTION).iter().flat_map(|v| v.as_bytes().split(|b| *b == b','));
    options.any(|option| option.trim_ascii().eq_ignore_ascii_case(b"close"))
}

/// Returns for how long the peer keeps an idle connection: a second less than it says, against the race; or for ever.
pub(crate) fn keep_alive(head: &ResponseHead) -> Duration {
    let mut keep = Duration::MAX;
    let values = head.fields.get_all("keep-alive").filter_map(|v| std::str::from_utf8(v).ok());
    for parameter in values.flat_map(|v| v.split(',')) {
        if let Some((name, value)) = parameter.split_once('=') {
            if name.trim().eq_ignore_ascii_case("timeout") {
                if let Ok(seconds) = value.trim().trim_matches('"').parse::<u64>() {
                    keep = Duration::from_secs(seconds.saturating_sub(1));
                }
            }
        }
    }
    keep
}
