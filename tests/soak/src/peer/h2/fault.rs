//! What an HTTP/2 peer can do wrong, or do in ways that are right and rare.

use super::{
    Action, Connection,
    frame::{self, CANCEL, ENHANCE_YOUR_CALM, Frame, INTERNAL_ERROR, NO_ERROR, REFUSED_STREAM},
};
use crate::{Random, fate::Fate, peer::SILENCE};
use std::{
    thread::sleep,
    time::{Duration, Instant},
};

#[derive(Clone, Copy, Debug)]
pub enum Fault {
    /// The answer in small pieces.
    Drip,
    /// The answer before the request is complete, and RST_STREAM(NO_ERROR).
    Early,
    /// The connection ends within a frame.
    EndInFrame,
    End(End),
    /// Something that is no HTTP/2.
    Garbage,
    /// GOAWAY that refuses this stream.
    GoAwayBefore,
    /// The same, because of an error; older streams are not answered.
    GoAwayInTrouble,
    /// GOAWAY that does not refuse it.
    GoAwayBehind,
    /// GOAWAY twice, as a server does that is stopped.
    GoAwayGently,
    /// GOAWAY that asks for fewer PINGs.
    GoAwayCalm,
    /// Half an answer, and RST_STREAM.
    HalfReset,
    Refuse,
    Reset,
    /// SETTINGS that change how many streams there may be, and their windows; then the answer.
    Settings,
    Silent,
}

/// How a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Abort,
    Close,
    Cut,
    /// No byte goes either way, and after a while it ends.
    Dead,
    /// Once everything is answered.
    Finished,
    /// After nonsense was sent.
    Garbage,
    /// The client has ended it.
    Gone,
}

#[rustfmt::skip]
const FAULTS: &[(u64, Fault)] = &[
    (100, Fault::Drip),
    (60, Fault::Early),
    (30, Fault::EndInFrame),
    (40, Fault::End(End::Abort)),
    (30, Fault::End(End::Close)),
    (30, Fault::End(End::Cut)),
    (2, Fault::End(End::Dead)),
    (20, Fault::Garbage),
    (40, Fault::GoAwayBefore),
    (30, Fault::GoAwayInTrouble),
    (40, Fault::GoAwayBehind),
    (40, Fault::GoAwayGently),
    (1, Fault::GoAwayCalm),
    (60, Fault::HalfReset),
    (100, Fault::Refuse),
    (60, Fault::Reset),
    (60, Fault::Settings),
    (6, Fault::Silent),
];

pub fn pick(random: &mut Random) -> Fault {
    random.pick(FAULTS)
}

impl Fault {
    /// Whether it may strike before the request is complete.
    pub fn is_early(self) -> bool {
        matches!(self, Self::Early | Self::End(_) | Self::EndInFrame | Self::Refuse | Self::Reset)
    }
}

impl End {
    /// What becomes of requests that have no answer then.
    pub fn fate(self) -> Fate {
        match self {
            Self::Dead => Fate::Dead,
            Self::Garbage => Fate::Garbage,
            Self::Gone => Fate::Open,
            Self::Abort | Self::Close | Self::Cut | Self::Finished => Fate::Cut,
        }
    }

    pub fn carry_out(self, wire: crate::peer::wire::Wire) {
        match self {
            Self::Abort => wire.abort(),
            Self::Cut => wire.cut(),
            Self::Dead => {
                sleep(SILENCE);
                wire.abort();
            }
            Self::Close | Self::Finished | Self::Garbage | Self::Gone => wire.close(),
        }
    }
}

impl Connection<'_> {
    /// Does this, because of that stream.
    pub(super) fn strike(&mut self, fault: Fault, id: u32, now: Instant) {
        if !self.streams.contains_key(&id) {
            return;
        }
        let at_once = Duration::ZERO;
        match fault {
            Fault::Drip => {
                let pause = Duration::from_millis(1 + self.random.below(5));
                self.after(at_once, Action::Answer(id, pause));
            }
            Fault::Early => {
                self.answer(id, at_once, now);
                // The rest at once, so that nothing of the answer comes behind the reset.
                while let Some(rest) = self.streams.get_mut(&id).and_then(|stream| stream.answer.as_mut()) {
                    let size = rest.len().min(16_000);
                    if self.window < size as i64 {
                        Frame::reset(id, CANCEL).write(&mut self.out);
                        return self.settle(id, Fate::Partial);
                    }
                    let piece: Vec<_> = rest.drain(..size).collect();
                    let end = rest.is_empty();
                    self.window -= size as i64;
                    frame::data(id, &piece, None, end).write(&mut self.out);
                    if end {
                        self.settle(id, Fate::Answered);
                    }
                }
                Frame::reset(id, NO_ERROR).write(&mut self.out);
            }
            Fault::EndInFrame => {
                let bytes = frame::head(id, 0, 0, true);
                let before = self.out.len();
                bytes.write(&mut self.out);
                self.out.truncate(self.out.len() - 1 - self.random.below(bytes.payload.len() as u64 + 8) as usize);
                // The header of a frame says whose answer it is: that has begun then.
                if self.out.len() - before >= 9 {
                    self.settle(id, Fate::Partial);
                }
                let end = self.random.pick(&[(1, End::Abort), (1, End::Close), (1, End::Cut)]);
                // Before anything else that is due.
                self.due.insert(0, (now, Action::End(end)));
            }
            Fault::End(end) => self.after(at_once, Action::End(end)),
            Fault::Garbage => {
                self.out.extend_from_slice(self.random.pick(&[
                    // A frame of 16 MiB, DATA without a stream, SETTINGS of five bytes.
                    (1, &b"\xff\xff\xff\0\0\0\0\0\x01"[..]),
                    (1, b"\0\0\x01\0\0\0\0\0\0x"),
                    (1, b"\0\0\x05\x04\0\0\0\0\0abcde"),
                ]));
                self.nonsense = true;
                self.after(at_once, Action::End(End::Garbage));
            }
            Fault::GoAwayBefore => {
                self.after(at_once, Action::GoAway(id.saturating_sub(2), NO_ERROR));
                // Where a later stream was answered already, this one has to be as well.
                self.after(at_once, Action::Answer(id, at_once));
                self.after(at_once, Action::End(End::Finished));
            }
            Fault::GoAwayInTrouble => {
                self.after(at_once, Action::GoAway(id.saturating_sub(2), INTERNAL_ERROR));
                self.after(Duration::from_millis(1), Action::End(End::Close));
            }
            Fault::GoAwayBehind | Fault::GoAwayCalm => {
                let code = if matches!(fault, Fault::GoAwayCalm) { ENHANCE_YOUR_CALM } else { NO_ERROR };
                self.after(at_once, Action::GoAway(self.highest, code));
                self.after(at_once, Action::Answer(id, at_once));
                self.after(at_once, Action::End(End::Finished));
            }
            Fault::GoAwayGently => {
                self.after(at_once, Action::GoAway(u32::MAX >> 1, NO_ERROR));
                self.after(at_once, Action::Answer(id, at_once));
                let last = self.highest + 2 * self.random.below(3) as u32;
                let pause = Duration::from_millis(self.random.below(20));
                self.after(pause, Action::GoAway(last, NO_ERROR));
                self.after(Duration::from_millis(20), Action::End(End::Finished));
            }
            Fault::HalfReset => {
                let (request, answer) = (self.streams[&id].plan.id, self.streams[&id].plan.answer());
                let half = &answer[..(answer.len() / 2).min(10_000)];
                frame::head(id, request, answer.len(), false).write(&mut self.out);
                if self.window >= half.len() as i64 && !half.is_empty() {
                    self.window -= half.len() as i64;
                    frame::data(id, half, None, false).write(&mut self.out);
                }
                Frame::reset(id, INTERNAL_ERROR).write(&mut self.out);
                self.settle(id, Fate::Partial);
            }
            Fault::Refuse => {
                self.settle(id, Fate::Refused);
                Frame::reset(id, REFUSED_STREAM).write(&mut self.out);
            }
            Fault::Reset => {
                self.settle(id, Fate::Reset);
                Frame::reset(id, INTERNAL_ERROR).write(&mut self.out);
            }
            Fault::Settings => {
                let (streams, window) = (4 + self.random.below(100) as u32, 65_535 + self.random.below(100_000) as u32);
                Frame::settings(&[(3, streams), (4, window)]).write(&mut self.out);
                self.after(at_once, Action::Answer(id, at_once));
            }
            Fault::Silent => self.peer.book.settle(self.streams[&id].plan.id, Fate::Silent),
        }
    }
}
