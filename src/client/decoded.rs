//! A body whose content codings are undone while it is read.

use super::incoming::Incoming;
use crate::{
    drive::{Inflate, Source},
    error::{Error, ErrorKind, Result},
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
    stage: Stage,
}

/// How far the body is.
#[derive(Debug)]
enum Stage {
    /// More of it may come.
    Open,
    /// What is in `coded` is the last.
    Last,
    /// Everything was read.
    Done,
    /// It cannot be decoded, and says so again.
    Failed(String),
}

impl Decoded {
    pub(super) fn new(inner: Incoming, inflate: Inflate) -> Self {
        Decoded { inner, inflate, coded: vec![0; PIECE], start: 0, end: 0, stage: Stage::Open }
    }

    fn fail(&mut self, text: String) -> Error {
        self.stage = Stage::Failed(text.clone());
        self.undecodable(text)
    }

    fn undecodable(&self, text: String) -> Error {
        self.inner.about(Error::with(ErrorKind::Content, text))
    }
}

impl Source for Decoded {
    fn poll_read(&mut self, buf: &mut [u8], cx: &mut Cx<'_>) -> Poll<Result<usize>> {
        if buf.is_empty() {
            return Poll::Ready(Ok(0));
        }
        loop {
            let last = match &self.stage {
                Stage::Open => false,
                Stage::Last => true,
                Stage::Done => return Poll::Ready(Ok(0)),
                Stage::Failed(text) => return Poll::Ready(Err(self.undecodable(text.clone()))),
            };
            let step = match self.inflate.step(&self.coded[self.start..self.end], buf, last) {
                Ok(step) => step,
                Err(e) => return Poll::Ready(Err(self.fail(e.to_string()).with_source(e))),
            };
            self.start += step.consumed;
            if step.done {
                self.stage = Stage::Done;
            }
            if step.produced > 0 {
                return Poll::Ready(Ok(step.produced));
            }
            if self.start == self.end && !last {
                match self.inner.poll_read(&mut self.coded, cx) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(n) => (self.start, self.end) = (0, n?),
                }
                if self.end == 0 {
                    self.stage = Stage::Last;
                }
            } else if step.consumed == 0 && last && !step.done {
                return Poll::Ready(Err(self.fail("the compressed body does not end".to_owned())));
            }
        }
    }

    fn trailers(&self) -> Option<&HeaderMap> {
        self.inner.trailers().filter(|_| matches!(self.stage, Stage::Done))
    }

    fn content_length(&self) -> Option<u64> {
        None
    }
}
