//! DATA: checked as a whole when its header is there, delivered as it arrives (RFC 9113, section 6.1).

use super::{
    Connection, End, Flood, RecvBuf, Violation,
    frame::{self, HEADER, Header},
    receive::{Progress, Reading, Step},
    stream::Arrival,
};
use std::time::Instant;

/// The payload of a DATA frame that has begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Payload {
    pub(super) stream: u32,
    /// Data that has not arrived.
    pub(super) left: usize,
    /// Padding that has not arrived.
    pub(super) pad: usize,
    /// Padding and its length: what nobody will release.
    overhead: usize,
    /// What the frame counts in windows.
    whole: usize,
    end: End,
}

impl Payload {
    /// Returns how many bytes of the frame have arrived, header included.
    pub(super) fn arrived(&self) -> usize {
        HEADER + self.whole - self.left - self.pad
    }
}

impl Connection {
    /// Takes the header, and the length of the padding.
    pub(super) fn data(
        &mut self,
        now: Instant,
        header: Header,
        input: &mut RecvBuf,
        out: &mut Vec<u8>,
    ) -> Result<Progress, Violation> {
        let (stream, whole) = (header.stream, header.length);
        self.check_not_idle(&header)?;
        let mut pad = 0;
        if header.has(frame::PADDED) {
            if whole == 0 {
                return Err(Violation::FrameLength { kind: header.kind.byte(), length: 0 });
            }
            let Some(length) = input.peek().get(HEADER) else { return Ok(Progress::Starved) };
            pad = usize::from(*length);
            if pad >= whole {
                return Err(Violation::PaddingTooLong { stream, padding: pad, length: whole });
            }
        }
        let overhead = if header.has(frame::PADDED) { pad + 1 } else { 0 };
        let left = whole - overhead;
        let end = if header.has(frame::END_STREAM) { End::Last } else { End::More };

        let window = self.inlet.window();
        if !self.inlet.receive(whole) {
            return Err(Violation::WindowExceeded { stream: 0, length: whole, window });
        }
        if left == 0 && end == End::More {
            self.guard.count(Flood::EmptyData, now)?;
        } else {
            self.guard.useful += 1;
            self.liveness.useful();
        }
        self.heard += 1;
        input.take(if overhead > 0 { HEADER + 1 } else { HEADER });
        self.reading = Reading::Data(Payload { stream, left, pad, overhead, whole, end });

        // Whatever is wrong with the stream: its data counts for the connection, and is discarded as it arrives.
        let Some(live) = self.streams.live(stream) else {
            self.stray(now, stream, out)?;
            return Ok(Progress::Moved);
        };
        if let Err(violation) = live.recv.on(Arrival::Data(end), stream) {
            return self.violate(now, stream, violation, out);
        }
        let window = live.inlet.window();
        if !live.inlet.receive(whole) {
            return self.violate(now, stream, Violation::WindowExceeded { stream, length: whole, window }, out);
        }
        if let Some(announced) = live.recv_left {
            let off_by = left as i64 - i64::try_from(announced).unwrap_or(i64::MAX);
            if off_by > 0 || (off_by < 0 && end == End::Last) {
                return self.violate(now, stream, Violation::ContentLength { stream, off_by }, out);
            }
            live.recv_left = Some(announced - left as u64);
        }
        Ok(Progress::Moved)
    }

    /// Takes what there is of the payload of DATA.
    pub(super) fn payload(&mut self, mut payload: Payload, input: &mut RecvBuf, out: &mut Vec<u8>) -> Progress {
        if payload.left > 0 {
            let n = payload.left.min(input.len());
            if n == 0 {
                return Progress::Starved;
            }
            if self.streams.live(payload.stream).is_some() {
                self.deliver(payload, n, out);
                return Progress::Step(Step::Data { stream: payload.stream, n });
            }
            input.take(n);
            payload.left -= n;
        }
        if payload.left == 0 {
            let n = payload.pad.min(input.len());
            input.take(n);
            payload.pad -= n;
        }
        self.put_back(payload, out);
        if payload.left + payload.pad > 0 { Progress::Starved } else { Progress::Moved }
    }

    /// So many bytes of the payload go to the caller.
    pub(super) fn deliver(&mut self, mut payload: Payload, n: usize, out: &mut Vec<u8>) {
        if let Some(live) = self.streams.live(payload.stream) {
            live.unread += n;
            live.awaited = false;
            self.unread += n;
        }
        payload.left -= n;
        self.put_back(payload, out);
    }

    /// Goes on with the payload, or behind it. The frame is credited when it is complete, so credit does not depend on how the
    /// bytes were cut.
    fn put_back(&mut self, payload: Payload, out: &mut Vec<u8>) {
        if payload.left + payload.pad > 0 {
            self.reading = Reading::Data(payload);
            return;
        }
        let Payload { stream, overhead, whole, end, .. } = payload;
        self.inlet.consume(whole);
        self.credit(out);
        if overhead > 0 && end == End::More && self.streams.live(stream).is_some() {
            self.credit_stream(stream, overhead, out);
        }
        self.reading = if end == End::Last { Reading::Ended { stream } } else { Reading::Header };
    }
}
