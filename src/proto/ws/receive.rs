//! Frames in, events out.
//!
//! A header is looked at, not taken, until it is complete; so is a control frame. The payload of a data frame is handed
//! out as it arrives: unmasked where it lies, or inflated into the free space behind the input. After our own Close
//! frames are still checked, but nothing is delivered until theirs.

use super::{
    connection::{Connection, Incoming, Outgoing, Payload},
    deflate::CHUNK,
    event::{Event, Kind},
    frame::{self, CONTROL_MAX, Header, Opcode, Short},
    message::{Form, Message, Utf8, check_text},
    violation::Violation,
};
use crate::{buf::RecvBuf, proto::End};
use std::time::Instant;

/// The least space for inflated bytes; mostly there is more.
const INFLATED: usize = 4096;

/// What follows from a header.
enum Next {
    /// The state says what is next.
    Again,
    /// A control frame is complete, behind a header of so many bytes.
    Control(usize, Header),
    /// More bytes are needed.
    Wait,
}

/// What follows from payload.
enum Step {
    /// The state says what is next.
    Again,
    /// Inflated bytes stand in the free space of the input.
    Inflated { len: usize, end: End },
    /// So many bytes of the input are a piece.
    Plain { len: usize },
    /// More bytes are needed.
    Wait,
}

impl Connection {
    /// Takes the next event out of `input`, and appends the replies it calls for to `out`.
    ///
    /// One call takes at most one event. Messages come in pieces, as they arrive. Returns `None` when `input` holds no
    /// further event; read more and call again. After [`Event::Closed`] it returns `None` for ever.
    ///
    /// The event borrows its payload from `input`, not from the connection, so a handler can answer while it holds the
    /// payload. What is inflated stands in the free space of `input`, so the buffer may grow.
    ///
    /// # Errors
    ///
    /// A [`Violation`] is the end of the connection, and every later call returns it again. `out` already holds the
    /// Close that tells the peer why, unless one went out before or a frame is open: write it, then close.
    pub fn poll_event<'b>(
        &mut self,
        now: Instant,
        input: &'b mut RecvBuf,
        out: &mut Vec<u8>,
    ) -> Result<Option<Event<'b>>, Violation> {
        match self.short(input.peek()) {
            Some(short) => self.take_short(short, input, out).map(Some),
            None => self.poll(now, input, out),
        }
    }

    /// Takes the next event if it is a short message, whole, and nothing special about it; `None` says nothing: ask
    /// [`poll_event`](Self::poll_event). It is the same, faster.
    #[inline]
    pub fn poll_short<'b>(&mut self, input: &'b mut RecvBuf) -> Option<(Kind, &'b [u8])> {
        let short = self.short(input.peek())?;
        // What is wrong with it has to be told by the other way.
        if short.kind == Kind::Text && !is_text(&input.peek()[short.header..], short) {
            return None;
        }
        let data = &mut input.take(short.header + short.len)[short.header..];
        if let Some(mut mask) = short.mask {
            mask.apply(data);
        }
        Some((short.kind, data))
    }

    /// Returns how many bytes from the wire are payload that may be read past the input, for
    /// [`read_payload`](Self::read_payload). Ask only after `poll_event` gave `None`.
    pub fn payload_left(&self) -> Option<u64> {
        match &self.incoming {
            Incoming::Payload(payload, message) if message.form == Form::Plain && !self.is_discarding() => {
                Some(payload.left).filter(|left| *left > 0)
            }
            _ => None,
        }
    }

    /// Takes payload that was read past the input, at most [`payload_left`](Self::payload_left): a piece of the message, unmasked
    /// where it lies.
    ///
    /// # Errors
    ///
    /// As [`poll_event`](Self::poll_event), if it is text and not UTF-8.
    ///
    /// # Panics
    ///
    /// Panics if less was expected.
    pub fn read_payload<'b>(&mut self, data: &'b mut [u8], out: &mut Vec<u8>) -> Result<Event<'b>, Violation> {
        let left = self.payload_left().unwrap_or(0);
        assert!(data.len() as u64 <= left, "read {} of {left} bytes", data.len());
        let Incoming::Payload(payload, message) = self.incoming else {
            unreachable!("some payload was expected");
        };
        self.plain(payload, message, data, out)
    }

    /// Recognises the most frequent case: a short message, whole, and nothing special about it.
    #[inline]
    fn short(&self, input: &[u8]) -> Option<Short> {
        match (&self.incoming, self.outgoing) {
            (Incoming::Between, Outgoing::Between | Outgoing::Frame { .. } | Outgoing::Within(_)) => {
                frame::parse_short(self.role, input).filter(|short| short.len as u64 <= self.max_message)
            }
            _ => None,
        }
    }

    #[inline]
    fn take_short<'b>(
        &mut self,
        short: Short,
        input: &'b mut RecvBuf,
        out: &mut Vec<u8>,
    ) -> Result<Event<'b>, Violation> {
        let data = &mut input.take(short.header + short.len)[short.header..];
        if let Some(mut mask) = short.mask {
            mask.apply(data);
        }
        if short.kind == Kind::Text && check_text(data).is_err() {
            return Err(self.fail(Violation::TextNotUtf8, out));
        }
        Ok(Event::Piece { kind: short.kind, data, end: End::Last })
    }

    /// Takes the next event, whatever it is.
    fn poll<'b>(
        &mut self,
        now: Instant,
        input: &'b mut RecvBuf,
        out: &mut Vec<u8>,
    ) -> Result<Option<Event<'b>>, Violation> {
        loop {
            match self.incoming {
                Incoming::Closed => return Ok(None),
                Incoming::Failed(violation) => return Err(violation),
                Incoming::Between | Incoming::Within(_) => match self.header(input, out)? {
                    Next::Again => {}
                    Next::Control(used, header) => return self.control(now, used, header, input, out).map(Some),
                    Next::Wait => return Ok(self.wait(input)),
                },
                Incoming::Payload(payload, message) => match self.payload(payload, message, input, out)? {
                    Step::Again => {}
                    Step::Inflated { len, end } => {
                        let data = &input.space(INFLATED)[..len];
                        return Ok(Some(Event::Piece { kind: message.kind, data, end }));
                    }
                    Step::Plain { len } => return self.plain(payload, message, input.take(len), out).map(Some),
                    Step::Wait => return Ok(self.wait(input)),
                },
            }
        }
    }

    /// Notes that all of the input was understood as far as it goes.
    fn wait<'b>(&mut self, input: &RecvBuf) -> Option<Event<'b>> {
        let partial = !input.is_empty() || matches!(self.incoming, Incoming::Payload(..));
        self.clock.understood(partial);
        None
    }

    /// Looks at the next header.
    fn header(&mut self, input: &mut RecvBuf, out: &mut Vec<u8>) -> Result<Next, Violation> {
        let (used, header) = match frame::parse(self.role, input.peek()) {
            Ok(Some(found)) => found,
            Ok(None) => return Ok(Next::Wait),
            Err(violation) => return Err(self.fail(violation, out)),
        };
        if !header.opcode.is_control() {
            self.incoming = match self.begin(header) {
                Ok(incoming) => incoming,
                Err(violation) => return Err(self.fail(violation, out)),
            };
            input.take(used);
            return Ok(Next::Again);
        }

        let there = &input.peek()[used..];
        let len = header.len as usize;
        if there.len() < len {
            if header.opcode == Opcode::Close {
                check_partial_close(there, header).map_err(|violation| self.fail(violation, out))?;
            }
            return Ok(Next::Wait);
        }
        if self.is_discarding() && header.opcode != Opcode::Close {
            input.take(used + len);
            return Ok(Next::Again);
        }
        Ok(Next::Control(used, header))
    }

    /// Returns whether our Close went out, so that nothing but theirs counts.
    fn is_discarding(&self) -> bool {
        self.outgoing == Outgoing::Closed
    }

    /// Checks the header of a data frame against what came before, and the size of its message against the limit
    /// before any payload.
    fn begin(&self, header: Header) -> Result<Incoming, Violation> {
        let form = match (header.rsv1, &self.inflater) {
            (false, _) => Form::Plain,
            (true, Some(_)) => Form::Deflated,
            (true, None) => return Err(Violation::ReservedBits),
        };
        let mut message = match (self.incoming, header.opcode) {
            // Only the first frame says whether the message is compressed (RFC 7692, section 6.1).
            (Incoming::Within(_), Opcode::Continuation) if header.rsv1 => return Err(Violation::ReservedBits),
            (Incoming::Within(message), Opcode::Continuation) => message,
            (Incoming::Within(_), _) => return Err(Violation::MessageInsideMessage),
            (_, Opcode::Continuation) => return Err(Violation::ContinuationWithoutStart),
            (_, Opcode::Text) => Message::new(Kind::Text, form),
            (_, _) => Message::new(Kind::Binary, form),
        };
        message.announced = message.announced.saturating_add(header.len);
        let limit = self.max_message;
        let most = match message.form {
            // What cannot be compressed grows a little: 5 bytes for each block of up to 64 KiB, mostly 16 KiB.
            Form::Deflated => limit.saturating_add(limit / 8 + 64),
            Form::Plain => limit,
        };
        // Of what is discarded nothing is kept.
        if message.announced > most && !self.is_discarding() {
            return Err(Violation::MessageTooLong { limit });
        }
        Ok(Incoming::Payload(Payload { left: header.len, mask: header.mask, end: header.end }, message))
    }

    /// Looks at the payload that is there.
    fn payload(
        &mut self,
        payload: Payload,
        message: Message,
        input: &mut RecvBuf,
        out: &mut Vec<u8>,
    ) -> Result<Step, Violation> {
        if message.form == Form::Deflated && !self.is_discarding() {
            return self.inflate(payload, message, input).map_err(|violation| self.fail(violation, out));
        }
        let len = usize::try_from(payload.left).map_or(input.len(), |left| left.min(input.len()));
        if len == 0 && payload.left > 0 {
            return Ok(Step::Wait);
        }
        let after = payload.without(len);
        if self.is_discarding() || (len == 0 && payload.end == End::More) {
            input.take(len);
            self.incoming = after.next(message);
            return Ok(Step::Again);
        }
        Ok(Step::Plain { len })
    }

    /// Unmasks and checks a piece that is the message itself.
    fn plain<'b>(
        &mut self,
        mut payload: Payload,
        mut message: Message,
        data: &'b mut [u8],
        out: &mut Vec<u8>,
    ) -> Result<Event<'b>, Violation> {
        if let Some(mask) = &mut payload.mask {
            mask.apply(data);
        }
        let payload = payload.without(data.len());
        let end = if payload.left == 0 { payload.end } else { End::More };
        if message.check(data, end).is_err() {
            return Err(self.fail(Violation::TextNotUtf8, out));
        }
        self.incoming = payload.next(message);
        Ok(Event::Piece { kind: message.kind, data, end })
    }

    /// Inflates into the free space of the input.
    fn inflate(&mut self, mut payload: Payload, mut message: Message, input: &mut RecvBuf) -> Result<Step, Violation> {
        // Without an inflater RSV1 is refused, so no message has this form.
        let Some(inflater) = &mut self.inflater else { return Err(Violation::ReservedBits) };
        if inflater.is_hungry() {
            let available = input.len().min(CHUNK);
            let len = usize::try_from(payload.left).map_or(available, |left| left.min(available));
            if len == 0 && payload.left > 0 {
                return Ok(Step::Wait);
            }
            if len == 0 && payload.end == End::More {
                self.incoming = Incoming::Within(message);
                return Ok(Step::Again);
            }
            payload.left -= len as u64;
            let last = if payload.left == 0 { payload.end } else { End::More };
            inflater.feed(input.take(len), payload.mask.as_mut(), last);
        }

        // One byte more than is allowed shows that the limit is passed.
        let limit = self.max_message;
        let room = usize::try_from(limit.saturating_sub(message.size).saturating_add(1)).unwrap_or(usize::MAX);
        let space = input.space(INFLATED);
        let most = space.len().min(room);
        let len = inflater.run(&mut space[..most]).map_err(|_| Violation::DeflateInvalid)?;
        message.size += len as u64;
        if message.size > limit {
            return Err(Violation::MessageTooLong { limit });
        }
        let ended = payload.left == 0 && payload.end == End::Last && inflater.is_hungry();
        let end = if ended { End::Last } else { End::More };
        message.check(&space[..len], end).map_err(|_| Violation::TextNotUtf8)?;
        if ended {
            inflater.end_message();
            self.incoming = Incoming::Between;
        } else {
            self.incoming = Incoming::Payload(payload, message);
            if len == 0 {
                return Ok(Step::Again);
            }
        }
        Ok(Step::Inflated { len, end })
    }

    /// Takes a control frame that is complete.
    fn control<'b>(
        &mut self,
        now: Instant,
        used: usize,
        header: Header,
        input: &'b mut RecvBuf,
        out: &mut Vec<u8>,
    ) -> Result<Event<'b>, Violation> {
        let data = &mut input.take(used + header.len as usize)[used..];
        if let Some(mut mask) = header.mask {
            mask.apply(data);
        }
        let data: &'b [u8] = data;
        match header.opcode {
            Opcode::Ping => {
                self.pong(data, out);
                Ok(Event::Ping(data))
            }
            Opcode::Pong => {
                self.answered(data, now);
                Ok(Event::Pong(data))
            }
            _ => match read_close(data) {
                Ok((code, reason)) => {
                    self.closed_by_peer(code, out);
                    Ok(Event::Closed { code, reason })
                }
                Err(violation) => Err(self.fail(violation, out)),
            },
        }
    }
}

impl Payload {
    /// Returns what is left behind the next `len` bytes.
    fn without(self, len: usize) -> Self {
        Payload { left: self.left - len as u64, ..self }
    }

    /// Returns the state behind the bytes that were taken.
    fn next(self, message: Message) -> Incoming {
        match (self.left, self.end) {
            (0, End::Last) => Incoming::Between,
            (0, End::More) => Incoming::Within(message),
            (1.., _) => Incoming::Payload(self, message),
        }
    }
}

/// Returns whether a short message is the text it says it is, without a change to its payload, with which `payload` begins.
#[inline(never)]
fn is_text(payload: &[u8], short: Short) -> bool {
    let payload = &payload[..short.len];
    let Some(mut mask) = short.mask else { return check_text(payload).is_ok() };
    let mut text = [0; CONTROL_MAX];
    let text = &mut text[..short.len];
    text.copy_from_slice(payload);
    mask.apply(text);
    check_text(text).is_ok()
}

/// Returns whether a close code may stand in a frame (RFC 6455, section 7.4, and the registry it founded).
pub(super) fn is_close_code(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

/// Reads the payload of a Close (RFC 6455, section 5.5.1).
fn read_close(data: &[u8]) -> Result<(Option<u16>, &str), Violation> {
    match data {
        [] => Ok((None, "")),
        [_] => Err(Violation::CloseCodeCut),
        [a, b, reason @ ..] => {
            let code = u16::from_be_bytes([*a, *b]);
            if !is_close_code(code) {
                return Err(Violation::CloseCodeInvalid { code });
            }
            match std::str::from_utf8(reason) {
                Ok(reason) => Ok((Some(code), reason)),
                Err(_) => Err(Violation::CloseReasonNotUtf8),
            }
        }
    }
}

/// Checks the beginning of a Close, so that the first bad byte is the last one waited for.
fn check_partial_close(there: &[u8], header: Header) -> Result<(), Violation> {
    let mut copy = [0; CONTROL_MAX];
    let copy = &mut copy[..there.len()];
    copy.copy_from_slice(there);
    if let Some(mut mask) = header.mask {
        mask.apply(copy);
    }
    match copy {
        [a, b, reason @ ..] => {
            read_close(&[*a, *b])?;
            Utf8::default().check(reason).map_err(|_| Violation::CloseReasonNotUtf8)
        }
        [] | [_] => Ok(()),
    }
}
