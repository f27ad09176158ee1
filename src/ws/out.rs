//! What is framed and on its way to the stream: who writes takes it along, and puts back what the stream did not take.

use super::{
    core::Core,
    socket::Socket,
    stage::{Finish, closed},
};
use crate::{
    drive::Stream,
    error::{Error, Phase, Result},
    net::Cx,
};
use std::task::Poll;

/// Up to where something is waited for that goes out.
#[derive(Clone, Copy, Debug)]
pub(super) enum Flush {
    /// In all that was ever framed here.
    Accepted(u64),
    /// It was given to the stream of this generation: up to there in what that has framed.
    Given(u64, u64),
}

/// Ready once the wire has taken what is before this position.
fn poll_taken(stream: &Stream, position: u64, cx: &mut Cx<'_>) -> Poll<Result<()>> {
    stream.poll_flushed_upto(position, cx).map(|r| r.map_err(|fault| fault.to_error().in_phase(Phase::Send)))
}

impl Core {
    /// How much is framed and was not given to the stream.
    pub(super) fn unsent(&self) -> usize {
        self.outbound.unsent()
    }

    /// Whether there is something to give to the stream.
    pub(super) fn has_work(&self) -> bool {
        self.unsent() > 0 || self.finish == Finish::Wanted
    }

    /// Takes the writing role, with what is to go out: from the returned index on.
    #[inline]
    pub(super) fn begin_write(&mut self) -> (Vec<u8>, usize) {
        self.writing = true;
        self.outbound.begin()
    }

    /// Why not all of what is before this position has gone, or will.
    fn loss(&self, upto: u64) -> Option<Error> {
        if self.reopens && self.outbox.is_some() {
            // It is sent again.
            return None;
        }
        let text = "the peer takes no more";
        let fault = self.outbound.loss(upto)?;
        Some(fault.map_or_else(|| closed(text), |fault| fault.to_error().in_phase(Phase::Send)))
    }
}

impl Socket {
    /// Ready once everything up to there is in the hands of the operating system. What others accept meanwhile keeps nobody.
    pub(super) fn poll_flushed(&self, flush: &mut Flush, cx: &mut Cx<'_>) -> Poll<Result<()>> {
        let pumped = self.poll_pump(cx);
        let upto = match *flush {
            Flush::Given(generation, position) => {
                let (stream, now) = self.stream();
                // On another connection nothing is left of it to be waited for.
                return if now == generation { poll_taken(&stream, position, cx) } else { Poll::Ready(Ok(())) };
            }
            Flush::Accepted(upto) => upto,
        };
        let mut core = self.lock();
        // Whoever found that out.
        if let Some(e) = core.loss(upto) {
            return Poll::Ready(Err(e));
        }
        if pumped.is_pending() && !core.outbound.has_given(upto) && core.has_work() {
            return Poll::Pending;
        }
        if core.writing {
            core.writers.leave(cx.waker);
            return Poll::Pending;
        }
        let (stream, generation) = (core.stream.clone(), core.generation);
        // What was given behind it is framed behind it.
        let position = stream.end_at().saturating_sub(core.outbound.given_behind(upto));
        drop(core);
        *flush = Flush::Given(generation, position);
        poll_taken(&stream, position, cx)
    }

    fn stream(&self) -> (Stream, u64) {
        let core = self.lock();
        (core.stream.clone(), core.generation)
    }

    /// Everything accepted so far.
    pub(super) fn accepted(&self) -> Flush {
        Flush::Accepted(self.lock().outbound.framed())
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{
            Config, MessageRef, Sent,
            socket::Look,
            stage::{Outgoing, Sender, Want},
        },
        *,
    };
    use crate::{
        drive::{Cause, raw},
        net::{Waker, Wants, pair},
        proto::{Role as Side, ws::Agreed},
    };
    use std::{sync::Arc, time::Instant};

    #[test]
    fn what_others_find_to_be_lost_is_not_said_to_have_gone() {
        let (near, _far) = pair(1000);
        let stream = raw(Arc::new(near), Instant::now());
        let socket = Socket::new(Side::Client, &Config::default(), &Agreed::default(), stream.clone());
        let message = |bytes| Outgoing::Whole(MessageRef::Binary(bytes));
        assert_eq!(socket.try_send(message(b"gone"), Sender::Anybody).unwrap(), Sent::Accepted);
        let mut gone = socket.accepted();
        // The connection knows that it has ended, and the socket does not yet.
        stream.carrier().finish(Cause::closed_by_peer());
        socket.lock().frame(message(b"lost"), Sender::Anybody).unwrap();
        let mut lost = socket.accepted();

        let waker = Waker::hooked(|| ());
        let mut wants = Wants::default();
        let mut cx = Cx::new(Instant::now(), &waker, &mut wants);
        let ended = socket.poll_arrived(Want::Message, &mut Look::Now, &mut cx);
        assert!(matches!(ended, Poll::Ready(Err(_))), "{ended:?}");
        let flushed = socket.poll_flushed(&mut lost, &mut cx);
        assert!(matches!(flushed, Poll::Ready(Err(_))), "{flushed:?}");
        let flushed = socket.poll_flushed(&mut gone, &mut cx);
        assert!(matches!(flushed, Poll::Ready(Ok(()))), "{flushed:?}");
    }

    #[test]
    fn what_was_sent_again_and_lost_again_is_not_said_to_have_gone() {
        let (near, _far) = pair(1000);
        let config = Config::default();
        let socket = Socket::new(Side::Client, &config, &Agreed::default(), raw(Arc::new(near), Instant::now()));
        socket.keep_messages(10);
        socket.lock().reopens = true;
        let message = Outgoing::Whole(MessageRef::Binary(b"kept"));
        assert_eq!(socket.try_send(message, Sender::Anybody).unwrap(), Sent::Accepted);

        let (near, _far) = pair(1000);
        let (stream, now) = (raw(Arc::new(near), Instant::now()), Instant::now());
        let mut core = socket.lock();
        core.reopen(&config.engine(), &Agreed::default(), stream.clone(), now);
        core.send_again(now);
        drop(core);
        // Nobody opens it for a third time.
        socket.abandon();
        stream.carrier().finish(Cause::closed_by_peer());

        let waker = Waker::hooked(|| ());
        let mut wants = Wants::default();
        let mut cx = Cx::new(now, &waker, &mut wants);
        let flushed = socket.poll_flushed(&mut socket.accepted(), &mut cx);
        assert!(matches!(flushed, Poll::Ready(Err(_))), "{flushed:?}");
    }
}
