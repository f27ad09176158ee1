//! What follows an attempt: the answer, a redirect, a repetition, the error.

use super::{
    super::{
        failure::Failed,
        hook::{Attempt, Trace, Verdict},
        redirect::{self, Decision, NextBody, Redirected, RequestBody},
        response::Response,
        retry::{self, Again, Attempted, Retry},
    },
    Call, State,
};
use crate::{
    drive::{Body, random},
    error::{Error, Processed, Result},
    net::Cx,
    time::Deadline,
};
use http::header;
use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

impl Call {
    /// Follows a redirect, if this is one; returns whether it was.
    pub(super) fn redirected(&mut self, response: &mut Response) -> Result<bool> {
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
        // What becomes another request was acted on: asking for the answer again is harmless, the whole of it is not.
        let acted = next.method != *self.request.method() && !self.is_idempotent();
        if acted || self.processed != Processed::Yes {
            self.processed = if acted { Processed::Yes } else { Processed::No };
        }
        let request = Arc::make_mut(&mut self.request);
        next.strip(request.headers_mut());
        (*request.method_mut(), *request.uri_mut()) = (next.method, next.url.uri);
        self.origin = next.url.origin;
        if next.body == NextBody::Dropped {
            (self.body, self.external, self.once) = (Body::empty(), false, false);
        }
        (self.http1, self.repeated, self.fresh) = (false, false, false);
        self.inner.pool.counters.redirects.fetch_add(1, Ordering::Relaxed);
        self.attempts -= 1;
        self.state = State::Begin;
        Ok(true)
    }

    /// Whether the body was one that can be sent only once, and was.
    fn spent_body(&self) -> bool {
        self.once && self.attempts > 0
    }

    pub(super) fn is_idempotent(&self) -> bool {
        retry::is_idempotent(self.head().method(), self.head().headers())
    }

    /// Whether the body, and the caller, allow another attempt.
    pub(super) fn can_repeat(&self) -> bool {
        !self.external && !self.spent_body()
    }

    /// Whether the built-in rules may repeat it: once.
    pub(super) fn may_repeat(&self) -> bool {
        self.can_repeat() && !self.repeated && self.options.retry == Retry::Safe
    }

    pub(super) fn sleep(&mut self, now: Instant, pause: Duration) {
        self.inner.pool.counters.retries.fetch_add(1, Ordering::Relaxed);
        let (request_id, attempt) = (self.flight.id(), self.attempts);
        self.inner.trace(|| Trace::Retrying { request_id, attempt, pause });
        self.state = State::Sleeping { until: Deadline::from(now.checked_add(pause)) };
    }

    pub(super) fn repeat(&mut self, again: Again, pause: Duration, now: Instant) {
        self.repeated = true;
        self.fresh = again == Again::Fresh;
        self.http1 |= again == Again::Http1;
        self.sleep(now, pause);
    }

    pub(super) fn verdict(&self, outcome: Result<&Response, &Error>) -> Verdict {
        let hooks = &self.inner.settings.hooks;
        if hooks.is_empty() {
            return Verdict::Pass;
        }
        let attempt = self.describe_attempt();
        let verdicts = hooks.iter().rev().map(|hook| hook.after(&attempt, outcome));
        // Every hook sees the outcome; the first that has something to say decides.
        verdicts.fold(Verdict::Pass, |first, next| if first == Verdict::Pass { next } else { first })
    }

    pub(super) fn describe_attempt(&self) -> Attempt {
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
    pub(super) fn on_failure(&mut self, failed: Failed, cx: &Cx<'_>) -> Option<Error> {
        let idempotent = self.is_idempotent();
        let again = failed.attempted().and_then(|(fault, progress, reused, version)| {
            retry::decide(Attempted { fault, progress, reused, version, idempotent })
        });
        if again == Some(Again::Http1) {
            // Whether this request is repeated or not: the next one is to be spared the same answer.
            self.inner.pool.remember_http1(&self.key());
        }
        let phase = self.phase();
        self.inner.announce();
        let e = failed.into_error(phase, self.began.elapsed(), self.attempts, idempotent, self.processed);
        self.processed = e.processed();
        match self.verdict(Err(&e)) {
            Verdict::Deliver => return Some(e),
            Verdict::RetryAfter(pause) if self.can_repeat() && self.has_time(cx.now, pause) => {
                // Perhaps a response in the error had taken over.
                self.flight.go_on();
                self.sleep(cx.now, pause);
                return None;
            }
            Verdict::Pass | Verdict::RetryAfter(_) => {}
        }
        // A connection of the caller's is never left for another one.
        let stays = |again| self.pinned.as_ref().is_none_or(|conn| again == Again::Anywhere && conn.is_usable());
        let Some(again) = again.filter(|again| self.may_repeat() && stays(*again)) else { return Some(e) };
        let pause = match again {
            Again::Later => {
                let (from, to) = self.inner.settings.refused_pause;
                from + to.saturating_sub(from).mul_f64((random() % 1000) as f64 / 1000.0)
            }
            Again::Anywhere | Again::Fresh | Again::Http1 => Duration::ZERO,
        };
        if !self.has_time(cx.now, pause) {
            // Why it failed says more than that the time was up.
            return Some(e);
        }
        self.repeat(again, pause, cx.now);
        None
    }

    pub(super) fn has_time(&self, now: Instant, pause: Duration) -> bool {
        self.deadline().left(now).is_none_or(|left| left > pause)
    }
}
