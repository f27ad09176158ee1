//! A body whose content codings are undone while it is read.

use super::incoming::Incoming;
use crate::{
    drive::{Inflate, Source},
    error::{Error, ErrorKind, Phase, Processed, Result},
    net::Cx,
};
use http::HeaderMap;
use std::task::Poll;

/// How much of the coded body is read at a time.
const PIECE: usize = 16 * 1024;

/// A body that arrives coded and is read plain.
#[derive(Debug)]
pub(super) struct Decoded {
    inner: Incoming,
    inflate: Inflate,
    coded: Vec<u8>,
    start: usize,
    end: usize,
    /// The coded body has ended.
    last: bool,
    done: bool,
}

impl Decoded {
    pub(super) fn new(inner: Incoming, inflate: Inflate) -> Self {
        Decoded { inner, inflate, coded: vec![0; PIECE], start: 0, end: 0, last: false, done: false }
    }
}

impl Source for Decoded {
    fn poll_read(&mut self, buf: &mut [u8], cx: &mut Cx<'_>) -> Poll<Result<usize>> {
        if buf.is_empty() {
            return Poll::Ready(Ok(0));
        }
        while !self.done {
            let step = self.inflate.step(&self.coded[self.start..self.end], buf, self.last).map_err(|e| {
                Error::with(ErrorKind::Content, e.to_string())
                    .with_source(e)
                    .in_phase(Phase::Body)
                    .with_processed(Processed::Yes)
            })?;
            self.start += step.consumed;
            self.done = step.done;
            if step.produced > 0 {
                return Poll::Ready(Ok(step.produced));
            }
            if self.start == self.end && !self.last {
                match self.inner.poll_read(&mut self.coded, cx) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(n) => (self.start, self.end) = (0, n?),
                }
                self.last = self.end == 0;
            } else if step.consumed == 0 && !self.done && self.last {
                let text = "the compressed body does not end";
                return Poll::Ready(Err(Error::with(ErrorKind::Content, text).in_phase(Phase::Body)));
            }
        }
        Poll::Ready(Ok(0))
    }

    fn trailers(&self) -> Option<&HeaderMap> {
        self.inner.trailers().filter(|_| self.done)
    }

    fn content_length(&self) -> Option<u64> {
        None
    }
}
