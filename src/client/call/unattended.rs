//! What is done with a started request while nobody waits for it, by those who wait for the connection that it holds or for which it is
//! in line: it is sent, and its answer is read. What an answer or an error leads to (a hook's word, a repetition, a redirect) waits for its
//! owner.

use super::{
    super::{failure::Failed, pool::Pool},
    Call, Early, Exchange, Place, Post, State, keep_alive,
};
use crate::{
    error::{Error, ErrorKind},
    net::Cx,
};
use http::{StatusCode, Version};
use std::{task::Poll, thread};

impl Call {
    /// Where it is.
    pub(in super::super) fn post(&self) -> Post {
        match &self.state {
            State::Slot { line: Some(line), .. } => Post::InLine(line.key.clone()),
            State::Dialling { .. } | State::Upgrading(_) => Post::Holding(self.key()),
            State::Opening { place: Place::Pooled(lease), .. } if !lease.shared => Post::Holding(self.key()),
            State::Exchanging(exchange) if exchange.holds_connection() => Post::Holding(self.key()),
            State::Exchanging(exchange) if exchange.has_upload() => {
                Post::Uploading(self.key(), exchange.stream.carrier().clone())
            }
            State::Opening { place, queued: Some(_), .. } if self.attempt.upload.is_some() => {
                Post::Uploading(self.key(), place.conn().clone())
            }
            _ => Post::Nowhere,
        }
    }

    pub(in super::super) fn is_dialling(&self) -> bool {
        matches!(self.state, State::Dialling { .. })
    }

    /// Moves it as far as it goes without its owner. Nothing of the program's is called, but a reader of a request's body in the thread that
    /// gave it: that thread waits, so nobody else does.
    pub(in super::super) fn poll_unattended(&mut self, cx: &mut Cx<'_>) {
        self.unattended = true;
        while let State::Slot { .. }
        | State::Dialling { .. }
        | State::Opening { .. }
        | State::Exchanging(_)
        | State::Upgrading(_) = self.state
        {
            if let Err(e) = self.check_unattended(cx) {
                self.state = State::Failed(Box::new(e));
                break;
            }
            match std::mem::replace(&mut self.state, State::Over) {
                State::Exchanging(exchange) => {
                    self.state = self.keep_answer(exchange, cx);
                    if !matches!(&self.state, State::Exchanging(exchange) if exchange.is_switching()) {
                        break;
                    }
                }
                before => self.state = before,
            }
            match self.step(cx) {
                Poll::Pending => break,
                // Of these states comes no answer.
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(failed)) => self.state = State::Failed(Box::new(failed)),
            }
        }
        self.unattended = false;
    }

    /// The limits that end it: its time, its time in line, a token.
    fn check_unattended(&mut self, cx: &mut Cx<'_>) -> std::result::Result<(), Failed> {
        if let Err(e) = self.limits.check_tokens(cx.waker).and_then(|()| self.check_time(cx)) {
            return Err(self.give_up(e));
        }
        if let State::Slot { since, line } = &self.state {
            let cap = line.as_ref().and_then(|line| line.cap);
            if let Poll::Ready(Err(failed)) = self.wait_for_slot(*since, cap, cx) {
                return Err(failed);
            }
        }
        Ok(())
    }

    /// Reads the answer, as far as there is memory for it; once it is whole its connection serves others.
    fn keep_answer(&mut self, mut exchange: Box<Exchange>, cx: &mut Cx<'_>) -> State {
        let of_use = exchange.holds_connection() || exchange.has_upload();
        if !of_use || !self.may_upload(&exchange) {
            return State::Exchanging(exchange);
        }
        if exchange.early.is_none() {
            match self.poll_head(&mut exchange, cx) {
                Poll::Pending => return State::Exchanging(exchange),
                Poll::Ready(Err(stop)) => return State::Failed(Box::new(stop.failed(exchange))),
                Poll::Ready(Ok(head)) => {
                    exchange.early = Some(Box::new(Early { head: Some(head), at: cx.now, rest: None, aside: None }));
                }
            }
        }
        if !exchange.holds_connection() {
            // A stream that others wait for. Its answer is there, and is its owner's; it may have been given before all was sent.
            let Exchange { upload, stream, .. } = &mut *exchange;
            if let Some(upload) = upload {
                // What fails shows when the body of the answer is read.
                let _ = upload.poll(stream, cx);
            }
        } else if !exchange.is_switching() {
            self.keep_body(&mut exchange, cx);
        }
        State::Exchanging(exchange)
    }

    fn keep_body(&self, exchange: &mut Exchange, cx: &mut Cx<'_>) {
        let Some(early) = &mut exchange.early else { return };
        if !exchange.stream.is_only_handle() {
            return;
        }
        let limits = &self.inner.settings.h2;
        let max = limits.max_unread.min(limits.stream_window as usize);
        if early.aside.is_none() {
            early.aside = Pool::set_aside(&self.inner.pool, max, limits.max_unread);
        }
        let Some(aside) = &mut early.aside else { return };
        match exchange.stream.poll_whole(max, cx) {
            Poll::Pending => {}
            Poll::Ready(Some(rest)) => {
                aside.shrink(rest.0.len());
                early.rest = Some(rest);
                // Before the connection is given back, which looks at it.
                if let Some(head) = &early.head {
                    exchange.stream.carrier().set_kept(keep_alive(head));
                }
                exchange.pooled = false;
                exchange.upload = None;
                exchange.stream.finish();
            }
            // What has arrived of it stays where it is; the connection serves nobody any more.
            Poll::Ready(None) => {
                (exchange.pooled, early.aside) = (false, None);
                exchange.stream.give_up_lease();
            }
        }
    }

    /// Whether what is left of its body, if anything is, may be sent by this thread.
    fn may_upload(&self, exchange: &Exchange) -> bool {
        let at_hand = exchange.upload.as_ref().is_none_or(|upload| upload.is_at_hand());
        at_hand || self.started.as_ref().is_some_and(|started| started.home == thread::current().id())
    }

    /// A thread panicked while it moved the request.
    pub(in super::super) fn abandon(&mut self) {
        self.unattended = false;
        let text = "a thread panicked while it moved the request";
        let failed = self.give_up(Error::with(ErrorKind::Closed, text));
        self.state = State::Failed(Box::new(failed));
    }
}

impl Exchange {
    /// Whether it has an HTTP/1 connection of the pool for itself.
    fn holds_connection(&self) -> bool {
        self.pooled
    }

    /// Whether its stream, which others may wait for, cannot end before more of its body has gone out.
    fn has_upload(&self) -> bool {
        !self.pooled && self.version == Version::HTTP_2 && self.upload.as_ref().is_some_and(|upload| !upload.is_done())
    }

    /// Whether the peer has agreed to HTTP/2, and nothing has come of it yet.
    fn is_switching(&self) -> bool {
        let head = self.early.as_ref().and_then(|early| early.head.as_ref());
        self.h2c && head.is_some_and(|head| head.status == StatusCode::SWITCHING_PROTOCOLS)
    }
}
