//! The sending half of a body that is written piece by piece.

use super::{
    cancel::Limits,
    carrier::{Missing, Sent},
    fault::{CANCEL, Fault, INTERNAL_ERROR, Reused},
    pace::Pace,
    stream::Stream,
    upload::TURN,
    wait::{block_on, step_once, tell_turn},
};
use crate::{
    error::{Error, ErrorKind, Phase, Processed, Result},
    net::Cx,
    proto::End,
    time::Deadline,
};
use http::HeaderMap;
use std::{
    io::{self, Write},
    sync::Mutex,
    task::Poll,
    time::{Duration, Instant},
};

/// The sending half of a body that is written piece by piece: of a request by `duplex`, of a response by `respond_streaming`.
///
/// A write returns once the bytes are framed and on their way, which under back-pressure means that earlier ones have left;
/// [`flush`](Write::flush) waits until the kernel has them all. Dropping it without [`finish`](Self::finish) aborts the message, so that the
/// peer never takes a part for the whole: HTTP/1 ends the connection, HTTP/2 resets the stream, a request with CANCEL and a response
/// with INTERNAL_ERROR.
///
/// # Examples
///
/// ```no_run
/// use std::io::Write;
///
/// # fn main() -> bowline::Result<()> {
/// let (mut writer, answer) = bowline::shared().post("https://example.org/log").duplex()?;
/// for n in 0..10 {
///     writeln!(writer, "line {n}")?;
/// }
/// writer.finish()?;
/// println!("{}", answer.wait()?.status());
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct BodyWriter {
    stream: Stream,
    limits: Mutex<Limits>,
    /// The longest standstill.
    stall: Option<Duration>,
    /// Since when there is no room for more.
    waiting: Option<Instant>,
    /// How fast the peer has to give room.
    pace: Option<Pace>,
    /// Bytes written since anybody looked at what has arrived.
    unseen: usize,
    finished: bool,
    /// The message has no body, whatever is written.
    sink: bool,
    /// With what a part of a body is taken back (HTTP/2).
    abandons: u32,
    /// The request whose body it is.
    asked: Option<Asked>,
}

/// What the writer of a request's body knows of the request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    pub(crate) began: Instant,
    /// When all of it has to be over.
    pub(crate) deadline: Deadline,
    pub(crate) attempts: u32,
    /// The connection had served before.
    pub(crate) reused: bool,
    pub(crate) idempotent: bool,
}

impl BodyWriter {
    pub(crate) fn new(stream: Stream, limits: Limits, stall: Option<Duration>) -> Self {
        BodyWriter {
            stream,
            limits: Mutex::new(limits),
            stall,
            waiting: None,
            pace: None,
            unseen: 0,
            finished: false,
            sink: false,
            abandons: CANCEL,
            asked: None,
        }
    }

    /// The same for a request, whose time it keeps to, and of which its errors tell.
    pub(crate) fn asking(mut self, asked: Asked) -> Self {
        self.asked = Some(asked);
        self
    }

    /// The same for an answer: its peer has to keep a pace. A request may be given up, but whoever asked has a right to its answer, so
    /// a part of one is an error.
    pub(crate) fn answering(mut self, pace: Pace) -> Self {
        (self.pace, self.abandons) = (Some(pace), INTERNAL_ERROR);
        self
    }

    /// Returns a writer whose bytes go nowhere: of an answer that ended with its head, as to HEAD.
    pub(crate) fn sink(stream: Stream) -> Self {
        let mut writer = Self::new(stream, Limits::default(), None);
        (writer.finished, writer.sink, writer.abandons) = (true, true, INTERNAL_ERROR);
        writer
    }

    fn run<T>(
        &mut self,
        until: Deadline,
        mut step: impl FnMut(&Stream, &mut Cx<'_>) -> Poll<Result<T, Fault>>,
    ) -> Result<Option<T>> {
        let BodyWriter { stream, limits, stall, waiting, pace, asked, .. } = self;
        let deadline = asked.map_or(Deadline::NEVER, |asked| asked.deadline);
        let mut unprocessed = false;
        let limits = limits.get_mut().unwrap_or_else(std::sync::PoisonError::into_inner);
        let result = block_on(until, |cx| {
            if let Err(e) = limits.check(cx) {
                return Poll::Ready(Err(e));
            }
            // Looked at before there is room: a peer that always has some would outrun it.
            if let Some(asked) = asked.filter(|asked| asked.deadline.has_passed(cx.now)) {
                return Poll::Ready(Err(overran(asked.began, asked.deadline, "its body was still being sent")));
            }
            if let Poll::Ready(result) = step(stream, cx) {
                *waiting = None;
                pace.iter_mut().for_each(|pace| pace.pause(cx.now));
                return Poll::Ready(result.map_err(|fault| {
                    unprocessed = fault.is_unprocessed();
                    fault.to_error()
                }));
            }
            // A wire that takes a little at a time does not stand still, however long it takes to make room.
            let since = match stream.missing() {
                Missing::Room(since) => since,
                Missing::Answer | Missing::Rest(_) => *waiting.get_or_insert(cx.now),
            };
            let standstill = Deadline::from(stall.and_then(|d| since.checked_add(d)));
            if standstill.has_passed(cx.now) {
                return Poll::Ready(Err(stalled(stall.unwrap_or_default())));
            }
            let Some(look) = keeps_up(pace.as_mut(), stream, cx) else { return Poll::Ready(Err(too_slow())) };
            cx.wait_until(deadline.earlier(standstill).earlier(look));
            Poll::Pending
        });
        result.transpose().map_err(|e| self.explain(e, unprocessed))
    }

    /// Adds to an error what is known of the exchange; `unprocessed`: the peer says that it did not act on it.
    fn explain(&self, e: Error, unprocessed: bool) -> Error {
        let progress = self.stream.progress();
        let processed = if unprocessed { Processed::No } else { progress.processed() };
        let e = e.in_phase(Phase::Send).with_processed(processed).with_bytes_written(progress.written);
        let Some(Asked { began, attempts, reused, idempotent, .. }) = self.asked else { return e.with_attempts(1) };
        let e = e.with_attempts(attempts).with_elapsed(began.elapsed()).retryable_if(idempotent);
        e.attach(self.stream.carrier().info()).attach(Reused(reused))
    }

    /// Takes what fits until then; zero if nothing did.
    fn take(&mut self, bytes: &[u8], until: Deadline) -> Result<usize> {
        if self.unseen >= TURN {
            self.unseen = 0;
            tell_turn();
            // The peer may have answered; and others may wait for what nobody else reads.
            step_once(|cx| {
                self.stream.watch(cx);
                Poll::<()>::Pending
            });
        }
        match self.run(until, |stream, cx| stream.poll_send(bytes, End::More, cx))? {
            None => Ok(0),
            Some(Sent::Some(n)) => {
                self.unseen += n;
                Ok(n)
            }
            Some(Sent::Stopped) => Err(self.explain(stopped(), false)),
        }
    }

    /// Takes what fits within `timeout` and returns how much: zero if nothing did.
    ///
    /// # Errors
    ///
    /// As writing.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::time::Duration;
    ///
    /// # fn main() -> bowline::Result<()> {
    /// let (mut writer, answer) = bowline::shared().post("https://example.org/log").duplex()?;
    /// if writer.write_timeout(b"news", Duration::from_millis(100))? == 0 {
    ///     println!("the peer is slow");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn write_timeout(&mut self, bytes: &[u8], timeout: Duration) -> Result<usize> {
        if bytes.is_empty() || self.sink {
            return Ok(bytes.len());
        }
        self.take(bytes, Deadline::after(timeout))
    }

    /// Ends the body.
    ///
    /// # Errors
    ///
    /// If the exchange failed, or fewer bytes were written than were declared. That the peer had answered already and wants no more is
    /// not an error.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # fn main() -> bowline::Result<()> {
    /// let (writer, answer) = bowline::shared().post("https://example.org/log").duplex()?;
    /// writer.finish()?;
    /// println!("{}", answer.wait()?.status());
    /// # Ok(())
    /// # }
    /// ```
    pub fn finish(mut self) -> Result<()> {
        if self.sink {
            return Ok(());
        }
        self.finished = true;
        match self.run(Deadline::NEVER, |stream, cx| stream.poll_send(&[], End::Last, cx)) {
            Err(e) => {
                self.finished = false;
                Err(e)
            }
            Ok(_) => Ok(()),
        }
    }

    /// Ends the body with trailers (HTTP/2, or chunked HTTP/1).
    ///
    /// # Errors
    ///
    /// As [`finish`](Self::finish); and [`ErrorKind::Misuse`] where the message cannot carry trailers.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use bowline::http::{HeaderMap, HeaderValue};
    /// use std::io::Write;
    ///
    /// # fn main() -> bowline::Result<()> {
    /// let (mut writer, answer) = bowline::shared().post("https://example.org/log").duplex()?;
    /// writer.write_all(b"bytes")?;
    /// let mut trailers = HeaderMap::new();
    /// trailers.insert("x-checksum", HeaderValue::from_static("5d41402a"));
    /// writer.finish_with_trailers(trailers)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn finish_with_trailers(mut self, trailers: HeaderMap) -> Result<()> {
        if self.sink {
            return Ok(());
        }
        let sent = self.stream.send_trailers(&trailers);
        sent.map_err(|fault| self.explain(fault.to_error(), fault.is_unprocessed()))?;
        self.finished = true;
        Ok(())
    }
}

/// Returns when to look again whether the peer keeps the pace; `None`: it does not.
pub(crate) fn keeps_up(pace: Option<&mut Pace>, stream: &Stream, cx: &Cx<'_>) -> Option<Deadline> {
    let Some(pace) = pace else { return Some(Deadline::NEVER) };
    match stream.framed() {
        Some(framed) => pace.wait(framed, cx.now).map(Deadline::at),
        // How fast the wire is, is looked at for all exchanges on it together.
        None => {
            pace.pause(cx.now);
            Some(Deadline::NEVER)
        }
    }
}

fn too_slow() -> Error {
    Error::with(ErrorKind::TimedOut, "the peer takes the body more slowly than it has to")
}

fn stopped() -> Error {
    let text = "the peer has answered and wants no more of the body";
    Error::with(ErrorKind::Closed, text)
}

fn stalled(limit: Duration) -> Error {
    Error::with(ErrorKind::TimedOut, format!("the peer took nothing of the body for {limit:?}"))
}

/// The error of a request that began then and has no time left; `meanwhile`: what was going on.
pub(crate) fn overran(began: Instant, deadline: Deadline, meanwhile: &str) -> Error {
    let limit = deadline.instant().map_or(Duration::ZERO, |at| at.saturating_duration_since(began));
    Error::with(ErrorKind::TimedOut, format!("the request took longer than {limit:?}: {meanwhile}"))
}

impl Write for BodyWriter {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        if buf.is_empty() || self.sink {
            return Ok(buf.len());
        }
        Ok(self.take(buf, Deadline::NEVER)?)
    }

    /// Waits until the kernel has taken everything written.
    fn flush(&mut self) -> io::Result<()> {
        self.run(Deadline::NEVER, |stream, cx| stream.poll_flushed(cx))?;
        Ok(())
    }
}

impl Drop for BodyWriter {
    fn drop(&mut self) {
        if !self.finished && self.stream.is_sending() {
            // Whoever panics did not decide to.
            self.stream.reset(if std::thread::panicking() { INTERNAL_ERROR } else { self.abandons });
        }
    }
}
