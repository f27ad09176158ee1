//! Sending a body: from where it comes from to a stream, a piece at a time.

use super::{body::Body, carrier::Sent, fault::Fault, stream::Stream};
use crate::{
    error::{Error, ErrorKind, Phase},
    net::Cx,
    proto::{End, h1::Length},
    time::Deadline,
};
use std::{
    io::Read,
    task::Poll,
    time::{Duration, Instant},
};

/// How much of a body is read at a time: some frames' worth, so that reading and sending alternate in large steps.
const PIECE: usize = 64 * 1024;

/// How much is read where the windows allow less: it may be that only the end is left, for which they need not be open.
const BITE: usize = 1024;

/// How much goes out before its thread looks at what has arrived, and at its limits, although there is room for more: the peer
/// may have answered, and others may wait for what this thread alone reads.
pub(super) const TURN: usize = 256 * 1024;

/// After how long it does so where a reader of the caller's takes its time.
const PAUSE: Duration = Duration::from_millis(1);

/// A body on its way out.
#[derive(Debug)]
pub(crate) struct Upload {
    body: Body,
    length: Length,
    /// What was read and is not framed yet: `piece[at..filled]`. It is as long as it has to be, and cleared once.
    piece: Vec<u8>,
    at: usize,
    filled: usize,
    /// Bytes read so far.
    read: u64,
    stage: Stage,
    ahead: Ahead,
    /// When something was framed last.
    moved: Option<Instant>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// More is to be read.
    Reading,
    /// Everything was read; what is in `piece` is the last.
    Last,
    /// Everything was framed, or nothing more is wanted.
    Done,
}

/// What is read before there is room for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ahead {
    /// A piece, so that it goes out as soon as there is.
    Piece,
    /// Nothing: of many peers that read nothing each would have us keep a piece.
    Nothing,
    /// Nothing, and there is no room.
    Waits,
}

/// Why an upload stopped.
#[derive(Debug)]
pub(crate) enum Stopped {
    /// The body itself failed, or was not as long as declared.
    Body(Error),
    /// The exchange did.
    Fault(Fault),
}

impl Upload {
    /// An upload from the beginning of `body`.
    pub(crate) fn new(body: Body) -> Self {
        let length = match body.content_length() {
            Some(0) => Length::Empty,
            Some(n) => Length::Known(n),
            None => Length::Unknown,
        };
        let stage = if length == Length::Empty { Stage::Done } else { Stage::Reading };
        let ahead = Ahead::Piece;
        Upload { body, length, piece: Vec::new(), at: 0, filled: 0, read: 0, stage, ahead, moved: None }
    }

    /// The same for one of many peers, of whom nobody knows whether they read what they are sent.
    pub(crate) fn sparing(body: Body) -> Self {
        Upload { ahead: Ahead::Nothing, ..Upload::new(body) }
    }

    /// How the body is delimited.
    pub(crate) fn length(&self) -> Length {
        self.length
    }

    /// Reads the first piece of a file, which takes no wait, so that it goes out with the head, if `stream` has room for it.
    ///
    /// # Errors
    ///
    /// If it cannot be read, or is not as long as declared.
    pub(crate) fn prepare(&mut self, stream: &Stream) -> Result<(), Error> {
        if self.stage != Stage::Reading || !self.body.is_file() {
            return Ok(());
        }
        let room = stream.room();
        if room == 0 {
            return Ok(());
        }
        let room = self.make_room(room);
        let n = self.body.read(&mut self.piece[..room])?;
        self.filled(n)
    }

    /// The bytes that can go out in one write with the head, and whether they are all.
    pub(crate) fn first(&self) -> (&[u8], End) {
        if self.at < self.filled {
            let end = if self.stage == Stage::Last { End::Last } else { End::More };
            return (&self.piece[self.at..self.filled], end);
        }
        let end = |bytes: &[u8]| if self.length == Length::Known(bytes.len() as u64) { End::Last } else { End::More };
        match (self.stage, self.body.rest()) {
            (Stage::Reading, Some(rest)) => (rest, end(rest)),
            _ => (&[], End::More),
        }
    }

    /// So many of [`first`](Self::first) went out.
    pub(crate) fn took_first(&mut self, n: usize) {
        if self.at < self.filled {
            self.at += n;
            if self.at == self.filled && self.stage == Stage::Last {
                self.stage = Stage::Done;
            }
            return;
        }
        self.body.advance(n);
        self.read += n as u64;
        if self.length == Length::Known(self.read) {
            self.stage = Stage::Done;
        }
    }

    /// Whether nothing is left to be framed.
    pub(crate) fn is_done(&self) -> bool {
        self.stage == Stage::Done
    }

    /// Whether what is left can be had without code of the caller's, which takes as long as it likes.
    pub(crate) fn is_at_hand(&self) -> bool {
        self.is_done() || self.stage == Stage::Last || !self.body.is_reader()
    }

    /// Whether there is something to frame for which there was no room.
    pub(crate) fn wants_room(&self) -> bool {
        let has_piece = self.at < self.filled || self.stage == Stage::Last;
        has_piece || self.ahead == Ahead::Waits || self.body.rest().is_some_and(|rest| !rest.is_empty())
    }

    /// Gives memory back that is not needed before there is room.
    pub(crate) fn slim(&mut self) {
        self.piece = self.piece[self.at..self.filled].to_vec();
        (self.at, self.filled) = (0, self.piece.len());
    }

    /// When something of it was framed last, or this was asked first.
    pub(crate) fn moved(&mut self, now: Instant) -> Instant {
        *self.moved.get_or_insert(now)
    }

    /// Frames as much as there is room for, a turn at a time. Ready when everything was framed or nothing more is wanted.
    pub(crate) fn poll(&mut self, stream: &Stream, cx: &mut Cx<'_>) -> Poll<Result<(), Stopped>> {
        let (began, mut framed) = (cx.now, 0);
        while self.stage != Stage::Done {
            // Only a reader of the caller's moves the clock of a step.
            if framed >= TURN || framed > 0 && cx.now.saturating_duration_since(began) >= PAUSE {
                stream.watch(cx);
                cx.wait_until(Deadline::at(began));
                return Poll::Pending;
            }
            if let Some(rest) = self.body.rest().filter(|_| self.piece.is_empty()) {
                // In memory: framed from where it is.
                match stream.poll_send(rest, End::Last, cx) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Ok(Sent::Some(n))) => {
                        let all = n == rest.len();
                        framed += n;
                        self.body.advance(n);
                        self.moved = Some(cx.now);
                        self.stage = if all { Stage::Done } else { Stage::Reading };
                    }
                    Poll::Ready(Ok(Sent::Stopped)) => self.stage = Stage::Done,
                    Poll::Ready(Err(fault)) => return Poll::Ready(Err(Stopped::Fault(fault))),
                }
                continue;
            }
            if self.at == self.filled && self.stage == Stage::Reading {
                let mut room = usize::MAX;
                if self.ahead != Ahead::Piece {
                    self.ahead = Ahead::Waits;
                    let Poll::Ready(n) = stream.poll_room(cx) else { return Poll::Pending };
                    self.ahead = Ahead::Nothing;
                    room = match n {
                        Some(n) => n,
                        // Whoever sends is told why.
                        None => match stream.poll_send(&[], End::More, cx) {
                            Poll::Pending => return Poll::Pending,
                            Poll::Ready(Ok(_)) => {
                                self.stage = Stage::Done;
                                break;
                            }
                            Poll::Ready(Err(fault)) => return Poll::Ready(Err(Stopped::Fault(fault))),
                        },
                    };
                }
                match self.poll_read(room, cx) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(result) => result.map_err(Stopped::Body)?,
                }
            }
            let end = if self.stage == Stage::Last { End::Last } else { End::More };
            match stream.poll_send(&self.piece[self.at..self.filled], end, cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(Sent::Some(n))) => {
                    self.at += n;
                    framed += n;
                    self.moved = Some(cx.now);
                    if self.at == self.filled && self.stage == Stage::Last {
                        self.stage = Stage::Done;
                    }
                }
                Poll::Ready(Ok(Sent::Stopped)) => self.stage = Stage::Done,
                Poll::Ready(Err(fault)) => return Poll::Ready(Err(Stopped::Fault(fault))),
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Reads what there is `room` for, and little where that is nothing.
    fn poll_read(&mut self, room: usize, cx: &mut Cx<'_>) -> Poll<Result<(), Error>> {
        let room = self.make_room(room);
        let n = match self.body.poll_fill(&mut self.piece[..room], cx) {
            Poll::Ready(Ok(n)) => n,
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Err(e)) => return Poll::Ready(Err(e)),
        };
        // The time a caller's reader took is not the peer's: everything that follows in this step counts from here.
        cx.now = Instant::now();
        self.moved = Some(cx.now);
        Poll::Ready(self.filled(n))
    }

    /// Makes the piece as long as what may be left, and one byte, with which too long a body is found out; returns how much of it is to
    /// be read, if there is room for so much.
    fn make_room(&mut self, room: usize) -> usize {
        let left = match self.length {
            Length::Known(len) => usize::try_from(len.saturating_sub(self.read)).unwrap_or(PIECE).saturating_add(1),
            _ => PIECE,
        };
        let room = match room.max(BITE) {
            // That byte needs none.
            room if left <= room.saturating_add(1) => left,
            room => room,
        };
        let room = room.min(PIECE);
        if self.piece.len() < room {
            self.piece.resize(room, 0);
        }
        room
    }

    /// So many bytes were read.
    fn filled(&mut self, n: usize) -> Result<(), Error> {
        (self.at, self.filled) = (0, n);
        self.read += n as u64;
        match self.length {
            Length::Known(len) if self.read > len || n == 0 && self.read < len => {
                let text = format!("the body gave {} bytes and {len} were declared", self.read);
                return Err(Error::with(ErrorKind::InvalidInput, text).in_phase(Phase::Send));
            }
            Length::Known(len) if self.read == len => self.stage = Stage::Last,
            _ if n == 0 => self.stage = Stage::Last,
            _ => {}
        }
        Ok(())
    }
}
