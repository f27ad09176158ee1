//! An answer on its way out: what its head says about the body, and sending that body.

use super::{later, seat::Seat, settings::Settings};
use crate::{
    drive::{Body, INTERNAL_ERROR, Missing, Pace, Stopped, Stream, Upload, block_on, keeps_up},
    error::{Error, ErrorKind, Phase, Result},
    net::Cx,
    proto::h1::Length,
    time::{Deadline, date},
};
use http::{HeaderValue, Method, Response, StatusCode, Version, header};
use std::{sync::Arc, task::Poll, time::Duration};

/// How long a thread waits for a client that takes nothing before it does something else. A client that reads needs less, and
/// is served by one thread without a change. Where more threads wait than may run it waits for an instant only.
const MOMENT: Duration = Duration::from_millis(50);

/// How long it waits before it gives back what memory it needs only for a client that reads.
const INSTANT: Duration = Duration::from_millis(2);

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
        // None of these has content, and a 204 cannot even say how long it would be (RFC 9110, sections 8.6 and 15.3.6).
        if matches!(status, StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT | StatusCode::NOT_MODIFIED) {
            if status != StatusCode::NOT_MODIFIED {
                head.headers_mut().remove(header::CONTENT_LENGTH);
            }
            return Ok(Plan { length: Length::Empty, has_body: false });
        }
        // It has no content either, and cannot say how long that would be (RFC 9110, section 9.3.6).
        if *method == Method::CONNECT && status.is_success() && len.is_some() {
            return match len {
                Some(0) => Ok(Plan { length: Length::Empty, has_body: false }),
                _ => Err(Error::with(ErrorKind::Misuse, "a CONNECT that is accepted has no body: see `upgrade`")),
            };
        }
        let for_head = *method == Method::HEAD;
        let says = head.headers().get(header::CONTENT_LENGTH).filter(|_| !for_head);
        if let (Some(says), Some(len)) = (says, len) {
            if says.to_str().ok().and_then(|says| says.parse().ok()) != Some(len) {
                let text = format!("the Content-Length is not that of the body, which has {len} bytes");
                return Err(Error::with(ErrorKind::Misuse, text));
            }
        }
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
    pace: Pace,
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
        let mut upload = Upload::sparing(body);
        upload.prepare(stream)?;
        let (first, end) = upload.first();
        let taken =
            stream.respond(head, plan.length, first, end).map_err(|fault| fault.to_error().in_phase(Phase::Send))?;
        upload.took_first(taken);
        Ok(Answer { stream: stream.clone(), upload, stall: settings.timeouts.write, pace: settings.pace() })
    }

    /// Sends the rest; one whose client stands still for a moment is sent [`later`], if there is a seat for that, and so is a long one
    /// for which others would have to wait.
    ///
    /// # Errors
    ///
    /// If the body fails, which resets the exchange, or the client is gone or takes nothing for too long.
    pub(super) fn send(mut self, seat: Option<&Arc<Seat>>) -> Result<()> {
        if self.upload.is_done() {
            return Ok(());
        }
        let sent = block_on(Deadline::NEVER, |cx| match (self.poll(cx), seat) {
            (Poll::Ready(result), _) => Poll::Ready(Some(result)),
            (Poll::Pending, None) => Poll::Pending,
            (Poll::Pending, Some(seat)) => {
                // A turn is over and there is room for more: those in line come first.
                if cx.until().has_passed(cx.now) && seat.hub.workers.are_busy() {
                    return Poll::Ready(None);
                }
                let moved = self.upload.moved(cx.now);
                // A wire that has stood still for others does for this one.
                let since = match self.stream.missing() {
                    Missing::Room(since) => since.min(moved),
                    Missing::Answer | Missing::Rest(_) => moved,
                };
                let moment = if seat.hub.workers.are_waiting() { INSTANT } else { MOMENT };
                let (slims, moves_on) =
                    (Deadline::from(moved.checked_add(INSTANT)), Deadline::from(since.checked_add(moment)));
                if slims.has_passed(cx.now) {
                    self.slim();
                    cx.wait_until(moves_on);
                } else {
                    cx.wait_until(slims);
                }
                if moves_on.has_passed(cx.now) { Poll::Ready(None) } else { Poll::Pending }
            }
        });
        match (sent.flatten(), seat) {
            (Some(result), _) => result,
            (None, Some(seat)) => {
                later::send(Box::new(self), seat);
                Ok(())
            }
            (None, None) => Ok(()),
        }
    }

    /// Gives memory back that is not needed before more is sent.
    pub(super) fn slim(&mut self) {
        self.upload.slim();
        self.stream.slim();
    }

    /// Goes as far as there is room.
    pub(super) fn poll(&mut self, cx: &mut Cx<'_>) -> Poll<Result<()>> {
        let Answer { stream, upload, stall, pace } = self;
        let failed = match upload.poll(stream, cx) {
            Poll::Ready(Ok(())) => return Poll::Ready(Ok(())),
            Poll::Ready(Err(Stopped::Fault(fault))) => fault.to_error().in_phase(Phase::Send),
            Poll::Ready(Err(Stopped::Body(e))) => e,
            Poll::Pending => {
                // A wire that takes a little at a time does not stand still, however long it takes to make room.
                let since = match stream.missing() {
                    Missing::Room(since) => since,
                    Missing::Answer | Missing::Rest(_) => upload.moved(cx.now),
                };
                let until = Deadline::from(since.checked_add(*stall));
                // A body that is slow itself is not the client's fault, nor is a wire that others use too.
                let keeps_up = match upload.wants_room() {
                    true => keeps_up(Some(pace), stream, cx),
                    false => {
                        pace.pause(cx.now);
                        Some(Deadline::NEVER)
                    }
                };
                if let (Some(look), false) = (keeps_up, until.has_passed(cx.now)) {
                    cx.wait_until(until.earlier(look));
                    return Poll::Pending;
                }
                let text = match keeps_up {
                    Some(_) => format!("the client took nothing of the answer for {stall:?}"),
                    None => "the client takes the answer more slowly than it has to".to_owned(),
                };
                Error::with(ErrorKind::TimedOut, text).in_phase(Phase::Send)
            }
        };
        // The client must not take a part for the whole.
        stream.reset(INTERNAL_ERROR);
        Poll::Ready(Err(failed))
    }
}
