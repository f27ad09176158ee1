//! One stream: a half that receives, a half that sends, and a table of them.

use super::{
    End, Misuse, Violation,
    flow::{Inlet, Window},
};

/// What arrives on a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arrival {
    /// A 1xx.
    Informational(End),
    /// A head, or trailers.
    Headers(End),
    /// DATA.
    Data(End),
}

/// What a header block was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Section {
    Informational,
    Head,
    Body,
    Trailers,
}

/// The receiving half of a stream.
///
/// | state   | HEADERS 1xx | HEADERS | HEADERS + END_STREAM | DATA   | DATA + END_STREAM |
/// |---------|-------------|---------|----------------------|--------|-------------------|
/// | `Head`  | `Head`      | `Body`  | `Ended`              | error  | error             |
/// | `Body`  | error       | error   | `Ended` (trailers)   | `Body` | `Ended`           |
/// | `Ended` | error       | error   | error                | error  | error             |
///
/// The sending half is a machine of its own. The RFC's names come from the pair: a stream is "half-closed (remote)" when only
/// this half is `Ended`, and "closed" when both are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RecvHalf {
    /// Nothing but informational responses has arrived.
    Head,
    /// The head is complete; body or trailers may follow.
    Body,
    /// The peer sent END_STREAM.
    Ended,
}

impl RecvHalf {
    /// Returns the state after a frame, and what that frame was.
    ///
    /// # Errors
    ///
    /// Every violation is a stream error: STREAM_CLOSED once the peer had ended the stream (RFC 9113, section 5.1),
    /// otherwise PROTOCOL_ERROR, because the message is malformed (section 8.1).
    pub(super) fn on(self, arrival: Arrival, stream: u32) -> Result<(Self, Section), Violation> {
        use {Arrival::*, End::*};
        match (self, arrival) {
            (Self::Head, Informational(More)) => Ok((Self::Head, Section::Informational)),
            (Self::Head, Informational(Last)) => Err(Violation::InformationalEndsStream { stream }),
            (Self::Head, Headers(More)) => Ok((Self::Body, Section::Head)),
            (Self::Head, Headers(Last)) => Ok((Self::Ended, Section::Head)),
            (Self::Head, Data(_)) => Err(Violation::DataBeforeHead { stream }),
            // A 1xx behind the head has a pseudo-header field where trailers may have none.
            (Self::Body, Informational(_) | Headers(More)) => Err(Violation::TrailersWithoutEnd { stream }),
            (Self::Body, Headers(Last)) => Ok((Self::Ended, Section::Trailers)),
            (Self::Body, Data(More)) => Ok((Self::Body, Section::Body)),
            (Self::Body, Data(Last)) => Ok((Self::Ended, Section::Body)),
            (Self::Ended, Informational(_) | Headers(_) | Data(_)) => Err(Violation::FrameAfterEnd { stream }),
        }
    }
}

/// What is sent on a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sent {
    /// A 1xx.
    Informational,
    /// The head.
    Head(End),
    /// Data.
    Data(End),
    /// Trailers.
    Trailers,
}

/// The sending half of a stream.
///
/// | state   | 1xx    | head   | head, last | data   | data, last | trailers |
/// |---------|--------|--------|------------|--------|------------|----------|
/// | `Head`  | `Head` | `Body` | `Ended`    | error  | error      | error    |
/// | `Body`  | error  | error  | error      | `Body` | `Ended`    | `Ended`  |
/// | `Ended` | error  | error  | error      | error  | error      | error    |
///
/// A client's stream begins in `Body` or `Ended`: opening it sends the head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SendHalf {
    /// Nothing but informational responses was sent.
    Head,
    /// The head was sent; body or trailers may follow.
    Body,
    /// END_STREAM was sent.
    Ended,
}

impl SendHalf {
    /// Returns the state after something was sent.
    ///
    /// # Errors
    ///
    /// A [`Misuse`] if it is not its turn.
    pub(super) fn on(self, sent: Sent, stream: u32) -> Result<Self, Misuse> {
        use {End::*, Sent::*};
        match (self, sent) {
            (Self::Head, Informational) => Ok(Self::Head),
            (Self::Head, Head(More)) | (Self::Body, Data(More)) => Ok(Self::Body),
            (Self::Head, Head(Last)) | (Self::Body, Data(Last) | Trailers) => Ok(Self::Ended),
            (Self::Head, Data(_) | Trailers) => Err(Misuse::HeadMissing { stream }),
            (Self::Body, Informational | Head(_)) => Err(Misuse::HeadSent { stream }),
            (Self::Ended, Informational | Head(_) | Data(_) | Trailers) => Err(Misuse::SendEnded { stream }),
        }
    }
}

/// The method of the request, as far as it decides what a response may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// CONNECT: Content-Length of a 2xx means nothing (RFC 9110, section 9.3.6).
    Connect,
    /// HEAD: the answer has no body, whatever Content-Length says (RFC 9110, section 9.3.2).
    Head,
    /// Anything else.
    Other,
}

/// What keeps `send_data` from taking more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Blocked {
    /// Nothing, or nobody waits.
    No,
    /// The window of the stream.
    Stream,
    /// The window of the connection: the stream is in the queue of those that wait for it.
    Connection,
}

/// One stream.
#[derive(Clone, Debug)]
pub(super) struct Stream {
    pub(super) id: u32,
    pub(super) recv: RecvHalf,
    pub(super) send: SendHalf,
    pub(super) asked: Asked,
    pub(super) blocked: Blocked,
    /// Informational responses so far.
    pub(super) informational: u16,
    /// What may still be sent.
    pub(super) window: Window,
    /// What the peer may still send.
    pub(super) inlet: Inlet,
    /// What was delivered and not released.
    pub(super) unread: usize,
    /// All of it was taken, and somebody waits for more.
    pub(super) awaited: bool,
    /// What Content-Length says is still to arrive.
    pub(super) recv_left: Option<u64>,
    /// What Content-Length says is still to be sent.
    pub(super) send_left: Option<u64>,
    /// How many frames the peer had sent when the stream began.
    pub(super) heard: u64,
}

impl Stream {
    /// Returns whether both halves have ended: what is left of the stream is data to be released.
    pub(super) fn is_over(&self) -> bool {
        self.recv == RecvHalf::Ended && self.send == SendHalf::Ended
    }
}

/// The streams of a connection.
///
/// Ids only grow, so a new one goes to the end of a sorted index of eight bytes a stream; a few hundred are found faster in
/// order than hashed. The streams themselves do not move.
#[derive(Debug, Default)]
pub(super) struct Streams {
    index: Vec<(u32, u32)>,
    slots: Vec<Stream>,
    free: Vec<u32>,
}

impl Streams {
    fn place(&self, id: u32) -> Option<usize> {
        match self.index.last() {
            Some((last, _)) if *last == id => Some(self.index.len() - 1),
            Some((last, _)) if *last < id => None,
            _ => self.index.binary_search_by_key(&id, |(id, _)| *id).ok(),
        }
    }

    pub(super) fn get(&self, id: u32) -> Option<&Stream> {
        self.place(id).map(|at| &self.slots[self.index[at].1 as usize])
    }

    pub(super) fn get_mut(&mut self, id: u32) -> Option<&mut Stream> {
        self.place(id).map(|at| &mut self.slots[self.index[at].1 as usize])
    }

    /// Returns the stream if it is not over.
    pub(super) fn live(&mut self, id: u32) -> Option<&mut Stream> {
        self.get_mut(id).filter(|s| !s.is_over())
    }

    /// Adds a stream, whose id is above all others.
    pub(super) fn insert(&mut self, stream: Stream) {
        let id = stream.id;
        debug_assert!(self.index.last().is_none_or(|(last, _)| *last < id), "stream {id} is not the newest");
        let slot = match self.free.pop() {
            Some(slot) => {
                self.slots[slot as usize] = stream;
                slot
            }
            None => {
                self.slots.push(stream);
                u32::try_from(self.slots.len() - 1).expect("there are fewer streams than ids")
            }
        };
        self.index.push((id, slot));
    }

    /// Forgets a stream.
    pub(super) fn remove(&mut self, id: u32) {
        if let Some(at) = self.place(id) {
            let (_, slot) = self.index.remove(at);
            self.free.push(slot);
        }
    }

    /// Returns the first stream above `id` that is not over.
    pub(super) fn first_live_above(&self, id: u32) -> Option<u32> {
        let from = self.index.partition_point(|(other, _)| *other <= id);
        let live = |(_, slot): &&(u32, u32)| !self.slots[*slot as usize].is_over();
        self.index[from..].iter().find(live).map(|(id, _)| *id)
    }

    /// Calls `f` for every stream, in order, until it fails.
    pub(super) fn try_for_each<E>(&mut self, mut f: impl FnMut(&mut Stream) -> Result<(), E>) -> Result<(), E> {
        self.index.iter().try_for_each(|(_, slot)| f(&mut self.slots[*slot as usize]))
    }

    /// Returns whether somebody waits for data of any stream.
    pub(super) fn is_any_awaited(&self) -> bool {
        self.index.iter().map(|(_, slot)| &self.slots[*slot as usize]).any(|s| s.awaited && s.recv != RecvHalf::Ended)
    }

    /// Returns how many streams have not been ended by the peer.
    pub(super) fn receiving(&self) -> usize {
        self.index.iter().filter(|(_, slot)| self.slots[*slot as usize].recv != RecvHalf::Ended).count()
    }
}
