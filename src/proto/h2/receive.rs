//! Frames as they arrive, one after the other (RFC 9113, section 6).

use super::{
    Connection, End, ErrorCode, Event, Failure, Flood, Kind, RecvBuf, Role, Violation,
    data::Payload,
    frame::{self, HEADER, Header},
    stream::{Blocked, RecvHalf},
};
use std::time::Instant;

/// What the next byte is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// Server: the client's preface.
    Preface,
    /// A frame header.
    Header,
    /// The header of a CONTINUATION of this stream's block; so many came before.
    Block { stream: u32, end: End, frames: u16 },
    /// The payload of DATA.
    Data(Payload),
    /// The payload of a frame that is ignored.
    Skip(usize),
    /// A frame header, once the caller knows that the stream has ended.
    Ended { stream: u32 },
}

impl Reading {
    /// Returns how many bytes of a frame that is not complete were taken from the input, header not included.
    pub(super) fn taken(&self) -> usize {
        match self {
            Self::Data(payload) => payload.arrived(),
            Self::Skip(_) | Self::Block { .. } => HEADER,
            Self::Preface | Self::Header | Self::Ended { .. } => 0,
        }
    }
}

/// An event whose payload is still in the input.
#[derive(Debug)]
pub(super) enum Step {
    /// One that has none; it waits in `Connection::event`.
    Event,
    /// The next `n` bytes.
    Data { stream: u32, n: usize },
    /// The next frame, whose debug data is so long.
    GoAway { last_id: u32, code: ErrorCode, debug: usize },
}

/// How far a look at the input got.
#[derive(Debug)]
pub(super) enum Progress {
    /// More bytes are needed.
    Starved,
    /// Something was taken that is no event.
    Moved,
    /// An event.
    Step(Step),
}

impl Connection {
    /// Goes on until there is an event, or the input is used up.
    pub(super) fn advance(
        &mut self,
        now: Instant,
        input: &mut RecvBuf,
        out: &mut Vec<u8>,
    ) -> Result<Option<Step>, Violation> {
        loop {
            if self.due() {
                return Ok(Some(Step::Event));
            }
            let progress = match self.reading {
                Reading::Preface => self.preface(input)?,
                Reading::Ended { stream } => self.ended(stream),
                Reading::Skip(left) => self.skip(left, input),
                Reading::Data(payload) => self.payload(payload, input, out),
                Reading::Header | Reading::Block { .. } => match Header::parse(input.peek()) {
                    Some(header) => self.frame(now, header, input, out)?,
                    None => Progress::Starved,
                },
            };
            match progress {
                Progress::Starved => return Ok(None),
                Progress::Moved => {}
                Progress::Step(step) => return Ok(Some(step)),
            }
        }
    }

    /// Leaves an event where `poll_event` finds it: heads are large, and are not to be passed from hand to hand.
    pub(super) fn give(&mut self, event: Event<'static>) -> Progress {
        self.event = Some(event);
        Progress::Step(Step::Event)
    }

    /// Looks for an event that needs no input.
    fn due(&mut self) -> bool {
        if let Some(last) = self.refusing {
            if let Some(stream) = self.streams.first_live_above(last) {
                self.finish(stream);
                self.event = Some(Event::Failed { stream, failure: Failure::Refused });
                return true;
            }
            self.refusing = None;
        }
        while self.window.available() > 0 {
            let Some(id) = self.blocked.pop_front() else { break };
            let Some(stream) = self.streams.live(id).filter(|s| s.blocked == Blocked::Connection) else { continue };
            if stream.window.available() > 0 {
                stream.blocked = Blocked::No;
                self.event = Some(Event::Writable { stream: id });
                return true;
            }
            // SETTINGS made its own window smaller in the meantime.
            stream.blocked = Blocked::Stream;
        }
        if self.wants_slot && self.has_slot() {
            self.wants_slot = false;
            self.event = Some(Event::SlotFree);
            return true;
        }
        false
    }

    fn preface(&mut self, input: &mut RecvBuf) -> Result<Progress, Violation> {
        let n = input.len().min(frame::PREFACE.len());
        if input.peek()[..n] != frame::PREFACE[..n] {
            return Err(Violation::Preface);
        }
        if n < frame::PREFACE.len() {
            return Ok(Progress::Starved);
        }
        input.take(n);
        self.reading = Reading::Header;
        Ok(Progress::Moved)
    }

    fn ended(&mut self, stream: u32) -> Progress {
        self.reading = Reading::Header;
        let Some(live) = self.streams.live(stream) else { return Progress::Moved };
        live.recv = RecvHalf::Ended;
        self.settle(stream);
        self.give(Event::Ended { stream })
    }

    fn skip(&mut self, left: usize, input: &mut RecvBuf) -> Progress {
        let n = left.min(input.len());
        input.take(n);
        if n < left {
            self.reading = Reading::Skip(left - n);
            return Progress::Starved;
        }
        self.reading = Reading::Header;
        Progress::Moved
    }

    /// Returns whether the peer of a client begins as an HTTP/1 server does.
    pub(super) fn answers_http1(&self, input: &[u8]) -> bool {
        self.role == Role::Client && !self.confirmed && input.starts_with(b"HTTP/1.")
    }

    /// Checks what concerns every frame, and hands it to its kind.
    fn frame(
        &mut self,
        now: Instant,
        header: Header,
        input: &mut RecvBuf,
        out: &mut Vec<u8>,
    ) -> Result<Progress, Violation> {
        if !self.confirmed {
            if self.answers_http1(input.peek()) {
                return http1_status(input.peek());
            }
            if header.kind != Kind::Settings || header.has(frame::ACK) {
                return Err(Violation::FirstFrameNotSettings { found: header.kind.byte() });
            }
        }
        let limit = self.config.max_frame as usize;
        if header.length > limit {
            return Err(Violation::FrameTooLarge { length: header.length, limit });
        }
        if let Reading::Block { stream, .. } = self.reading {
            if header.kind != Kind::Continuation || header.stream != stream {
                return Err(Violation::ContinuationExpected { stream, found: header.kind.byte() });
            }
        }
        self.check_shape(&header)?;
        if header.kind == Kind::Data {
            return self.data(now, header, input, out);
        }
        if let Kind::Unknown(_) = header.kind {
            // Types that are not known are ignored (RFC 9113, section 5.5).
            self.guard.count(Flood::Ignored, now)?;
            input.take(HEADER);
            self.heard += 1;
            self.reading = Reading::Skip(header.length);
            return Ok(Progress::Moved);
        }
        // The others are taken whole: no longer than our SETTINGS_MAX_FRAME_SIZE, they stay in the input until they are complete.
        let whole = HEADER + header.length;
        if input.len() < whole {
            return Ok(Progress::Starved);
        }
        if header.kind != Kind::Settings {
            self.heard += 1;
        }
        let payload = &input.peek()[HEADER..whole];
        let progress = match header.kind {
            Kind::Headers => self.headers(now, header, payload, out)?,
            Kind::Continuation => self.continuation(now, header, payload, out)?,
            Kind::Priority => self.priority(now, header, payload, out)?,
            Kind::RstStream => self.rst_stream(now, header, payload)?,
            Kind::Settings => self.settings(now, header, payload, out)?,
            Kind::Ping => self.pinged(now, header, payload, out)?,
            // Its debug data is lent to the caller, who takes the frame.
            Kind::GoAway => return self.go_away(now, header, payload),
            Kind::WindowUpdate => self.window_update(now, header, payload, out)?,
            Kind::Data | Kind::PushPromise | Kind::Unknown(_) => Progress::Moved,
        };
        input.take(whole);
        Ok(progress)
    }

    /// Checks what the header alone says: the stream and the length that the type calls for.
    fn check_shape(&self, header: &Header) -> Result<(), Violation> {
        let (kind, stream, length) = (header.kind.byte(), header.stream, header.length);
        let on_stream = if stream == 0 { Err(Violation::OnStreamZero { kind }) } else { Ok(()) };
        let on_zero = if stream == 0 { Ok(()) } else { Err(Violation::NotOnStream { kind, stream }) };
        let wrong_length = Err(Violation::FrameLength { kind, length });
        match header.kind {
            Kind::Data | Kind::Headers | Kind::Priority => on_stream,
            Kind::RstStream => on_stream.and(if length == 4 { Ok(()) } else { wrong_length }),
            Kind::Settings if header.has(frame::ACK) => on_zero.and(if length == 0 { Ok(()) } else { wrong_length }),
            Kind::Settings => on_zero.and(if length % 6 == 0 { Ok(()) } else { wrong_length }),
            // Our SETTINGS turn push off, and a client may never push (RFC 9113, sections 6.6 and 8.4).
            Kind::PushPromise => Err(Violation::PushPromise),
            Kind::Ping => on_zero.and(if length == 8 { Ok(()) } else { wrong_length }),
            Kind::GoAway => on_zero.and(if length >= 8 { Ok(()) } else { wrong_length }),
            Kind::WindowUpdate if length != 4 => wrong_length,
            Kind::Continuation if stream == 0 => on_stream,
            Kind::Continuation if !matches!(self.reading, Reading::Block { .. }) => {
                Err(Violation::ContinuationUnexpected { stream })
            }
            Kind::WindowUpdate | Kind::Continuation | Kind::Unknown(_) => Ok(()),
        }
    }

    /// Returns whether a stream was never opened.
    pub(super) fn is_idle(&self, stream: u32) -> bool {
        // Even streams would be promised ones, which there are none of.
        let next = if self.role == Role::Client { self.next_id } else { self.last_peer + 1 };
        stream % 2 == 0 || stream >= next
    }

    pub(super) fn check_not_idle(&self, header: &Header) -> Result<(), Violation> {
        match self.is_idle(header.stream) {
            true => Err(Violation::IdleStream { stream: header.stream, kind: header.kind.byte() }),
            false => Ok(()),
        }
    }

    /// Resets the stream because of what the peer did.
    pub(super) fn violate(
        &mut self,
        now: Instant,
        stream: u32,
        violation: Violation,
        out: &mut Vec<u8>,
    ) -> Result<Progress, Violation> {
        self.count_reset(now)?;
        self.send_reset(stream, violation.code(), out);
        self.finish(stream);
        Ok(self.give(Event::Failed { stream, failure: Failure::Violated(violation) }))
    }

    /// Counts a reset that a client caused: it costs the client a frame and us the work of a request (CVE-2023-44487). What a
    /// server resets was asked for by us.
    pub(super) fn count_reset(&mut self, now: Instant) -> Result<(), Violation> {
        if self.role == Role::Server { self.guard.count(Flood::Reset, now) } else { Ok(()) }
    }

    /// A frame came on a stream that is over: ignored where we reset the stream, and answered with STREAM_CLOSED, once, where the
    /// peer did. A client that had ended the stream cannot have meant it: that is an error of the connection (RFC 9113, section 5.1).
    pub(super) fn stray(&mut self, now: Instant, stream: u32, out: &mut Vec<u8>) -> Result<(), Violation> {
        let beyond = self.goaway_out.is_some_and(|last| stream > last);
        if self.ours.contains(&stream) || (beyond && self.role == Role::Server) {
            return Ok(());
        }
        if self.ended.contains(&stream) {
            return Err(Violation::FrameAfterEnd { stream });
        }
        self.count_reset(now)?;
        self.send_reset(stream, ErrorCode::STREAM_CLOSED, out);
        Ok(())
    }
}

/// Reads the status of an HTTP/1 answer, once it is there.
fn http1_status(input: &[u8]) -> Result<Progress, Violation> {
    let Some(digits) = input.get(9..12) else { return Ok(Progress::Starved) };
    let number = std::str::from_utf8(digits).ok().and_then(|text| text.parse::<u16>().ok());
    let status = number.filter(|status| input[8] == b' ' && (100..1000).contains(status));
    Err(Violation::PeerSpokeHttp1 { status })
}
