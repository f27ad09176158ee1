//! One exchange as its users see it: what arrived and was not taken yet.

use super::{duplex::Position, fault::Fault};
use crate::{
    buf::RecvBuf,
    fields::Fields,
    net::Waker,
    proto::{RequestHead, ResponseHead},
};
use http::StatusCode;
use std::collections::VecDeque;

/// What the peer has sent of its message so far.
#[derive(Debug)]
pub(crate) enum Receiving {
    /// More is to come.
    Open,
    /// The message is complete.
    Ended,
    /// It never will be.
    Failed(Fault),
}

/// One exchange: filled by whoever dispatches, emptied by whoever owns the exchange.
#[derive(Debug)]
pub(crate) struct Slot {
    /// 1xx that were not taken; the engine bounds their number.
    pub(super) informational: VecDeque<ResponseHead>,
    /// Client: the final head, until it is taken.
    pub(super) answer: Option<ResponseHead>,
    /// Server: the request, until it is taken.
    pub(super) request: Option<RequestHead>,
    /// Body bytes that arrived and were not taken; bounded by windows (HTTP/2) or by not reading on (HTTP/1).
    pub(super) body: RecvBuf,
    pub(super) trailers: Option<Fields>,
    pub(super) receiving: Receiving,
    /// Server: why the rest of the answer is not wanted. A client knows enough once it has the answer.
    pub(super) unwanted: Option<Fault>,
    /// Our message is complete, or nothing more of it is wanted.
    pub(super) sending: Sending,
    /// At least one byte of the answer arrived.
    pub(super) answered: bool,
    /// HTTP/2: CONNECT was answered with a 2xx.
    pub(super) tunnel: bool,
    /// A part of a head arrived, and the rest of it did not (HTTP/1).
    pub(super) begun: bool,
    /// Where our message begins in what was framed on the connection.
    pub(super) head_at: Position,
    /// Behind the last byte of our message framed so far.
    pub(super) end_at: Position,
    /// How many bytes of it are framed between the two: those of other streams stand there, too.
    pub(super) ours: u64,
    /// How many bytes of it this connection had sent in HTTP/1, before a 101 upgraded it; zero for all but that exchange.
    pub(super) before: u64,
    /// Server: the status of the answer, once there is one.
    pub(super) status: Option<StatusCode>,
    /// Bytes of the body of the peer's message that arrived, and of ours that were framed.
    pub(super) received: u64,
    pub(super) framed: u64,
    /// We ended it before its time.
    pub(super) given_up: bool,
    /// The exchange is answered here.
    serves: bool,
    /// Who waits for something to arrive.
    reader: Option<Waker>,
    /// Who waits for room to send.
    writer: Option<Waker>,
}

/// How far our own message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sending {
    /// More of it is to be framed.
    Open,
    /// All of it was framed.
    Ended,
    /// The peer wants no more of it.
    Stopped,
}

impl Slot {
    /// An exchange whose own message begins at `head_at`.
    pub(super) fn new(head_at: Position) -> Self {
        Slot {
            informational: VecDeque::new(),
            answer: None,
            request: None,
            body: RecvBuf::new(),
            trailers: None,
            receiving: Receiving::Open,
            unwanted: None,
            status: None,
            received: 0,
            framed: 0,
            given_up: false,
            serves: false,
            sending: Sending::Open,
            answered: false,
            tunnel: false,
            begun: false,
            head_at,
            end_at: head_at,
            ours: 0,
            before: 0,
            reader: None,
            writer: None,
        }
    }

    /// An exchange that the peer began.
    pub(super) fn to_serve(request: RequestHead) -> Self {
        Slot { request: Some(request), serves: true, ..Self::new(Position::MAX) }
    }

    /// A piece of our message was framed from `at` to `end`.
    pub(super) fn piece(&mut self, at: Position, end: Position) {
        self.ours += end - at;
        self.end_at = end;
    }

    /// Leaves the waker of the thread that waits for something to arrive.
    pub(super) fn wait_to_read(&mut self, waker: &Waker) {
        leave(&mut self.reader, waker);
    }

    /// Leaves the waker of the thread that waits for room.
    pub(super) fn wait_to_write(&mut self, waker: &Waker) {
        leave(&mut self.writer, waker);
    }

    /// Returns whether somebody waits for something to arrive who is no thread, and so does not read by itself.
    pub(super) fn is_awaited(&self) -> bool {
        self.reader.as_ref().is_some_and(Waker::is_hooked)
    }

    /// Returns whether somebody waits for something to arrive.
    pub(super) fn has_reader(&self) -> bool {
        self.reader.is_some()
    }

    /// Something arrived: the thread that waits for it is to be woken.
    pub(super) fn notify_reader(&mut self, wakes: &mut Wakes) {
        wakes.extend(self.reader.take());
    }

    /// There is room, or there never will be.
    pub(super) fn notify_writer(&mut self, wakes: &mut Wakes) {
        wakes.extend(self.writer.take());
    }

    /// The exchange is over before its end; what had ended before stays as it is.
    pub(super) fn fail(&mut self, fault: &Fault, wakes: &mut Wakes) {
        if matches!(self.receiving, Receiving::Open) {
            self.receiving = Receiving::Failed(fault.clone());
        }
        if self.sending == Sending::Open {
            self.sending = Sending::Stopped;
            self.unwanted = self.serves.then(|| fault.clone());
        }
        self.notify_reader(wakes);
        self.notify_writer(wakes);
    }

    /// The peer's message is complete; ours is wanted no longer if it answers what we had not finished saying.
    pub(super) fn end(&mut self, stops_sending: bool, wakes: &mut Wakes) {
        self.receiving = Receiving::Ended;
        if stops_sending && self.sending == Sending::Open {
            self.sending = Sending::Stopped;
            self.notify_writer(wakes);
        }
        self.notify_reader(wakes);
    }

    /// Returns whether the exchange was over before its end.
    pub(super) fn has_failed(&self) -> bool {
        matches!(self.receiving, Receiving::Failed(_)) || self.sending == Sending::Stopped
    }

    /// Returns whether there is, or can be, more of the peer's message to take.
    pub(super) fn has_more(&self) -> bool {
        !matches!(self.receiving, Receiving::Ended) || !self.body.is_empty() || self.trailers.is_some()
    }

    /// Adds bytes of the body that arrived.
    pub(super) fn receive(&mut self, data: &[u8]) {
        self.received += data.len() as u64;
        // Most bodies come in one piece.
        self.body.extend_exactly(data);
    }

    /// Returns whether both messages are complete.
    pub(super) fn is_complete(&self) -> bool {
        matches!(self.receiving, Receiving::Ended) && self.sending == Sending::Ended
    }
}

fn leave(place: &mut Option<Waker>, waker: &Waker) {
    if !place.as_ref().is_some_and(|w| w.same(waker)) {
        *place = Some(waker.clone());
    }
}

/// Wakers collected under the lock and used after it, each once.
#[derive(Debug, Default)]
pub(crate) enum Wakes {
    #[default]
    None,
    One(Waker),
    Many(Vec<Waker>),
}

impl Wakes {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// Adds a waker, unless it is there already.
    pub(super) fn add(&mut self, waker: Waker) {
        match self {
            Wakes::None => *self = Wakes::One(waker),
            Wakes::One(first) if first.same(&waker) => {}
            Wakes::One(first) => *self = Wakes::Many(vec![first.clone(), waker]),
            Wakes::Many(list) if list.first().is_some_and(|first| first.same(&waker)) => {}
            // Many wakes in one batch are rare, and a second wake of a thread costs nothing: it is already awake.
            Wakes::Many(list) => list.push(waker),
        }
    }

    /// Wakes them all. Not to be called under a lock.
    #[inline]
    pub(super) fn fire(self) {
        match self {
            Wakes::None => {}
            Wakes::One(waker) => waker.wake(),
            Wakes::Many(list) => list.iter().for_each(Waker::wake),
        }
    }
}

impl Extend<Waker> for Wakes {
    fn extend<I: IntoIterator<Item = Waker>>(&mut self, wakers: I) {
        wakers.into_iter().for_each(|waker| self.add(waker));
    }
}
