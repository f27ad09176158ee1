//! An answer on its way out: what its head says about the body, and sending that body.

use super::{date, settings::Settings};
use crate::{
    drive::{Body, INTERNAL_ERROR, Missing, Stopped, Stream, Upload, block_on},
    error::{Error, ErrorKind, Phase, Result},
    proto::h1::Length,
    time::Deadline,
};
use http::{HeaderValue, Method, Response, StatusCode, Version, header};
use std::{task::Poll, time::Duration};

/// How the body of an answer is delimited, and whether it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) length: Length,
    pub(super) has_body: bool,
}

impl Plan {
    /// Completes the head of an answer whose body has this length, if that is known.
    ///
    /// # Errors
    ///
    /// A status that is not final.
    pub(super) fn new(method: &Method, version: Version, head: &mut Response<()>, len: Option<u64>) -> Result<Self> {
        let status = head.status();
        if status.is_informational() {
            return Err(Error::invalid(format!("{status} is not an answer: see `inform` and `upgrade`")));
        }
        if !head.headers().contains_key(header::DATE) {
            if let Some(date) = date::now() {
                head.headers_mut().insert(header::DATE, date);
            }
        }
        // The content of neither is sent, and a 204 cannot even say how long it would be (RFC 9110, section 8.6).
        if matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
            return Ok(Plan { length: Length::Empty, has_body: false });
        }
        let for_head = *method == Method::HEAD;
        let declare = for_head || version == Version::HTTP_2;
        if let Some(len) = len.filter(|_| declare && !head.headers().contains_key(header::CONTENT_LENGTH)) {
            head.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(len));
        }
        Ok(match len {
            // The head is that of a GET, and nothing follows it (RFC 9110, section 9.3.2).
            _ if for_head => Plan { length: Length::Empty, has_body: false },
            Some(0) => Plan { length: Length::Empty, has_body: true },
            Some(len) => Plan { length: Length::Known(len), has_body: true },
            None => Plan { length: Length::Unknown, has_body: true },
        })
    }
}

/// An answer whose head is sent.
pub(super) struct Answer {
    stream: Stream,
    upload: Upload,
    stall: Duration,
}

impl Answer {
    /// Sends the head, with as much of the body as fits in the same write.
    ///
    /// # Errors
    ///
    /// If the head cannot be sent so; another can still be.
    pub(super) fn begin(
        stream: &Stream,
        head: &Response<()>,
        plan: Plan,
        body: Body,
        settings: &Settings,
    ) -> Result<Self> {
        let body = if plan.has_body { body } else { Body::empty() };
        let mut upload = Upload::new(body);
        let (first, end) = upload.first();
        let taken =
            stream.respond(head, plan.length, first, end).map_err(|fault| fault.to_error().in_phase(Phase::Send))?;
        upload.took_first(taken);
        Ok(Answer { stream: stream.clone(), upload, stall: settings.timeouts.write })
    }

    /// Sends the rest.
    ///
    /// # Errors
    ///
    /// If the body fails, which resets the exchange, or the client is gone or takes nothing for too long.
    pub(super) fn send(mut self) -> Result<()> {
        if self.upload.is_done() {
            return Ok(());
        }
        let Answer { stream, upload, stall } = &mut self;
        let sent = block_on(Deadline::NEVER, |cx| match upload.poll(stream, cx) {
            Poll::Ready(result) => Poll::Ready(result.map_err(|stopped| match stopped {
                Stopped::Fault(fault) => fault.to_error().in_phase(Phase::Send),
                Stopped::Body(e) => e,
            })),
            Poll::Pending => {
                // A wire that takes a little at a time does not stand still, however long it takes to make room.
                let since = match stream.missing() {
                    Missing::Room(since) => since,
                    Missing::Answer | Missing::Rest(_) => upload.moved(cx.now),
                };
                let until = Deadline::from(since.checked_add(*stall));
                if until.has_passed(cx.now) {
                    let text = format!("the client took nothing of the answer for {stall:?}");
                    return Poll::Ready(Err(Error::with(ErrorKind::TimedOut, text).in_phase(Phase::Send)));
                }
                cx.wait_until(until);
                Poll::Pending
            }
        });
        match sent {
            Some(Err(e)) => {
                // The client must not take a part for the whole.
                self.stream.reset(INTERNAL_ERROR);
                Err(e)
            }
            Some(Ok(())) | None => Ok(()),
        }
    }
}
