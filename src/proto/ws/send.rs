//! Messages in, frames out.

use super::{
    connection::{Connection, Outgoing},
    event::Kind,
    frame::{self, CONTROL_MAX, FIN, Opcode, RSV1},
    receive::is_close_code,
    violation::Misuse,
};
use crate::proto::End;
use std::time::Instant;

impl Connection {
    /// Sends a message: in one frame, or in fragments of the configured size; compressed, if that was agreed and the
    /// message is long enough. A text has to be UTF-8, which is not checked again here.
    ///
    /// # Errors
    ///
    /// [`Misuse::Closed`] behind a Close either way; [`Misuse::FrameOpen`] or [`Misuse::MessageOpen`] within a message
    /// that is sent in parts.
    pub fn send(&mut self, kind: Kind, data: &[u8], out: &mut Vec<u8>) -> Result<(), Misuse> {
        let compress = self.deflater.as_ref().is_some_and(|deflater| deflater.wants(data.len()));
        if self.outgoing == Outgoing::Between && !compress && data.len() <= self.fragment_at {
            self.put(FIN | opcode(kind) as u8, data, out);
            return Ok(());
        }
        self.send_slowly(kind, data, out)
    }

    /// Sends a message if it is short and nothing is special about it; else says no, and nothing has happened: use
    /// [`send`](Self::send). It is the same, faster.
    #[inline]
    pub fn send_short(&mut self, kind: Kind, data: &[u8], out: &mut Vec<u8>) -> bool {
        if data.len() > self.short_max || self.outgoing != Outgoing::Between {
            return false;
        }
        self.put(FIN | opcode(kind) as u8, data, out);
        true
    }

    /// Sends a message that is compressed or does not fit one frame, or finds out why it cannot be sent.
    fn send_slowly(&mut self, kind: Kind, data: &[u8], out: &mut Vec<u8>) -> Result<(), Misuse> {
        match self.outgoing {
            Outgoing::Between => {}
            Outgoing::Closed => return Err(Misuse::Closed),
            Outgoing::Frame { .. } => return Err(Misuse::FrameOpen),
            Outgoing::Within(_) => return Err(Misuse::MessageOpen),
        }
        let first = opcode(kind) as u8;
        match &mut self.deflater {
            Some(deflater) if deflater.wants(data.len()) => {
                let packed = deflater.pack(data);
                self.put_message(first | RSV1, &packed, out);
                if let Some(deflater) = &mut self.deflater {
                    deflater.unpacked(packed);
                }
            }
            _ => self.put_message(first, data, out),
        }
        Ok(())
    }

    /// Appends the frames of a message.
    fn put_message(&mut self, first: u8, data: &[u8], out: &mut Vec<u8>) {
        let (mut first, mut rest) = (first, data);
        while rest.len() > self.fragment_at {
            let (fragment, behind) = rest.split_at(self.fragment_at);
            self.put(first, fragment, out);
            (first, rest) = (Opcode::Continuation as u8, behind);
        }
        self.put(FIN | first, rest, out);
    }

    /// Sends a part of a message as a frame of its own; `End::Last` ends the message. Replies may go out between parts.
    ///
    /// Messages sent in parts are not compressed. A text has to be UTF-8 as a whole.
    ///
    /// # Errors
    ///
    /// [`Misuse::Closed`], [`Misuse::FrameOpen`], or [`Misuse::KindChanged`] if `kind` is not that of the first part.
    pub fn send_fragment(&mut self, kind: Kind, data: &[u8], end: End, out: &mut Vec<u8>) -> Result<(), Misuse> {
        self.send_begin(kind, data.len() as u64, end, out)?;
        if !data.is_empty() {
            self.send_piece(data, out)?;
        }
        Ok(())
    }

    /// Begins a frame of `len` bytes, which follow by [`send_piece`](Self::send_piece). Nothing else can go out before
    /// they did: replies wait for the end of the frame.
    ///
    /// # Errors
    ///
    /// As [`send_fragment`](Self::send_fragment), and [`Misuse::LengthTooLong`].
    pub fn send_begin(&mut self, kind: Kind, len: u64, end: End, out: &mut Vec<u8>) -> Result<(), Misuse> {
        let opcode = match self.outgoing {
            Outgoing::Between => opcode(kind),
            Outgoing::Closed => return Err(Misuse::Closed),
            Outgoing::Frame { .. } => return Err(Misuse::FrameOpen),
            Outgoing::Within(before) if before == kind => Opcode::Continuation,
            Outgoing::Within(_) => return Err(Misuse::KindChanged),
        };
        if len > i64::MAX as u64 {
            return Err(Misuse::LengthTooLong);
        }
        let fin = if end == End::Last { FIN } else { 0 };
        let mask = self.next_mask();
        frame::put_header(fin | opcode as u8, len, mask, out);
        self.outgoing = Outgoing::Frame { left: len, mask, kind, end };
        self.end_frame(out);
        Ok(())
    }

    /// Sends the next bytes of the frame that was begun; returns how many are still to come. With the last one the
    /// frame is complete, and the replies that waited are appended.
    ///
    /// # Errors
    ///
    /// [`Misuse::NoFrame`], [`Misuse::Closed`], or [`Misuse::BeyondFrame`] if there are more bytes than announced.
    pub fn send_piece(&mut self, data: &[u8], out: &mut Vec<u8>) -> Result<u64, Misuse> {
        let (left, mask) = match &mut self.outgoing {
            Outgoing::Between | Outgoing::Within(_) => return Err(Misuse::NoFrame),
            Outgoing::Closed => return Err(Misuse::Closed),
            Outgoing::Frame { left, mask, .. } => (left, mask),
        };
        if data.len() as u64 > *left {
            return Err(Misuse::BeyondFrame { left: *left, given: data.len() });
        }
        *left -= data.len() as u64;
        let left = *left;
        match mask {
            Some(mask) => mask.append(data, out),
            None => out.extend_from_slice(data),
        }
        self.end_frame(out);
        Ok(left)
    }

    /// Leaves a frame that is complete.
    fn end_frame(&mut self, out: &mut Vec<u8>) {
        if let Outgoing::Frame { left: 0, kind, end, .. } = self.outgoing {
            self.outgoing = if end == End::Last { Outgoing::Between } else { Outgoing::Within(kind) };
            self.frame_complete(out);
        }
    }

    /// Sends a PING. See [`probe`](Self::probe) for one whose answer is timed.
    ///
    /// # Errors
    ///
    /// [`Misuse::Closed`], [`Misuse::FrameOpen`], or [`Misuse::ControlTooLong`] above 125 bytes.
    pub fn ping(&mut self, payload: &[u8], out: &mut Vec<u8>) -> Result<(), Misuse> {
        self.may_interject()?;
        if payload.len() > CONTROL_MAX {
            return Err(Misuse::ControlTooLong);
        }
        self.put(FIN | Opcode::Ping as u8, payload, out);
        Ok(())
    }

    /// Sends Close. Until theirs comes, or the time for it is over, everything that comes in is discarded.
    ///
    /// # Errors
    ///
    /// [`Misuse::Closed`] if a Close went out or came before, [`Misuse::FrameOpen`], [`Misuse::CloseCodeInvalid`], or
    /// [`Misuse::ControlTooLong`] for a reason above 123 bytes.
    pub fn close(&mut self, code: Option<u16>, reason: &str, now: Instant, out: &mut Vec<u8>) -> Result<(), Misuse> {
        self.may_interject()?;
        if !code.map_or(reason.is_empty(), is_close_code) {
            return Err(Misuse::CloseCodeInvalid);
        }
        if reason.len() > CONTROL_MAX - 2 {
            return Err(Misuse::ControlTooLong);
        }
        self.put_close(code, reason, out);
        self.clock.closing(now);
        Ok(())
    }

    /// Checks that a control frame may go out.
    pub(super) fn may_interject(&self) -> Result<(), Misuse> {
        match self.outgoing {
            Outgoing::Between | Outgoing::Within(_) => Ok(()),
            Outgoing::Closed => Err(Misuse::Closed),
            Outgoing::Frame { .. } => Err(Misuse::FrameOpen),
        }
    }
}

#[inline]
fn opcode(kind: Kind) -> Opcode {
    match kind {
        Kind::Binary => Opcode::Binary,
        Kind::Text => Opcode::Text,
    }
}
