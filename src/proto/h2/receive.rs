//! Frames as they arrive, one after the other (RFC 9113, section 6).

use super::{
    Connection, End, ErrorCode, Event, Failure, Flood, Kind, RecvBuf, Role, Violation,
    frame::{self, HEADER, Header},
    settings::Settings,
    stream::{Arrival, Blocked, RecvHalf, SendHalf},
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

impl Reading {
    /// Returns how many bytes of a frame that is not complete were taken from the input, header not included.
    pub(super) fn taken(&self) -> usize {
        match self {
            Self::Data(payload) => HEADER + payload.whole - payload.left - payload.pad,
            Self::Skip(_) | Self::Block { .. } => HEADER,
            Self::Preface | Self::Header | Self::Ended { .. } => 0,
        }
    }
}

/// An event whose payload is still in the input.
#[derive(Debug)]
pub(super) enum Step {
    /// One that has none.
    Event(Event<'static>),
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

impl From<Event<'static>> for Progress {
    fn from(event: Event<'static>) -> Self {
        Progress::Step(Step::Event(event))
    }
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
            if let Some(event) = self.due() {
                return Ok(Some(Step::Event(event)));
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

    /// Returns an event that needs no input.
    fn due(&mut self) -> Option<Event<'static>> {
        if let Some(last) = self.refusing {
            if let Some(stream) = self.streams.first_live_above(last) {
                self.finish(stream);
                return Some(Event::Failed { stream, failure: Failure::Refused });
            }
            self.refusing = None;
        }
        while self.window.available() > 0 {
            let Some(id) = self.blocked.pop_front() else { break };
            let Some(stream) = self.streams.live(id).filter(|s| s.blocked == Blocked::Connection) else { continue };
            if stream.window.available() > 0 {
                stream.blocked = Blocked::No;
                return Some(Event::Writable { stream: id });
            }
            // SETTINGS made its own window smaller in the meantime.
            stream.blocked = Blocked::Stream;
        }
        if self.wants_slot && self.has_slot() {
            self.wants_slot = false;
            return Some(Event::SlotFree);
        }
        None
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
        Event::Ended { stream }.into()
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
            Kind::Priority => self.priority(now, header, out)?,
            Kind::RstStream => self.rst_stream(now, header, payload)?,
            Kind::Settings => self.settings(now, header, payload, out)?,
            Kind::Ping => self.pinged(now, header, payload, out)?,
            // Its debug data is lent to the caller, who takes the frame.
            Kind::GoAway => return self.go_away(header, payload),
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
        Ok(Event::Failed { stream, failure: Failure::Violated(violation) }.into())
    }

    /// Counts a reset that a client caused: it costs the client a frame and us the work of a request (CVE-2023-44487). What a
    /// server resets was asked for by us.
    pub(super) fn count_reset(&mut self, now: Instant) -> Result<(), Violation> {
        if self.role == Role::Server { self.guard.count(Flood::Reset, now) } else { Ok(()) }
    }

    /// A frame came on a stream that is over: ignored where we reset the stream, else answered with STREAM_CLOSED (RFC 9113,
    /// section 5.1), once.
    pub(super) fn stray(&mut self, now: Instant, stream: u32, out: &mut Vec<u8>) -> Result<(), Violation> {
        let beyond = self.goaway_out.is_some_and(|last| stream > last);
        if self.ours.contains(&stream) || (beyond && self.role == Role::Server) {
            return Ok(());
        }
        self.count_reset(now)?;
        self.send_reset(stream, ErrorCode::STREAM_CLOSED, out);
        Ok(())
    }

    /// DATA (RFC 9113, section 6.1): checked as a whole when its header is there, delivered as it arrives.
    fn data(
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
    fn payload(&mut self, mut payload: Payload, input: &mut RecvBuf, out: &mut Vec<u8>) -> Progress {
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

    /// PRIORITY (RFC 9113, section 6.3): checked and ignored.
    fn priority(&mut self, now: Instant, header: Header, out: &mut Vec<u8>) -> Result<Progress, Violation> {
        self.guard.count(Flood::Priority, now)?;
        let (stream, length) = (header.stream, header.length);
        if length == 5 {
            return Ok(Progress::Moved);
        }
        let violation = Violation::FrameLength { kind: header.kind.byte(), length };
        if self.is_idle(stream) {
            // A stream error, but RST_STREAM must not be sent for an idle stream (RFC 9113, section 6.4).
            return Err(violation);
        }
        match self.streams.live(stream) {
            Some(_) => self.violate(now, stream, violation, out),
            None => Ok(Progress::Moved),
        }
    }

    /// RST_STREAM (RFC 9113, section 6.4).
    fn rst_stream(&mut self, now: Instant, header: Header, payload: &[u8]) -> Result<Progress, Violation> {
        self.check_not_idle(&header)?;
        let (stream, code) = (header.stream, ErrorCode(frame::u32_at(payload, 0)));
        let Some(live) = self.streams.live(stream) else { return Ok(Progress::Moved) };
        let answered = self.role == Role::Client && live.recv == RecvHalf::Ended && live.send != SendHalf::Ended;
        self.finish(stream);
        if answered && code == ErrorCode::NO_ERROR {
            return Ok(Event::StopSending { stream }.into());
        }
        self.count_reset(now)?;
        Ok(Event::Failed { stream, failure: Failure::Reset(code) }.into())
    }

    /// SETTINGS (RFC 9113, section 6.5).
    fn settings(
        &mut self,
        now: Instant,
        header: Header,
        payload: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<Progress, Violation> {
        if header.has(frame::ACK) {
            if self.liveness.settings_sent.take().is_none() {
                return Err(Violation::SettingsAckUnexpected);
            }
            if self.config.header_table != Settings::INITIAL.header_table {
                self.decoder.set_max_table(self.config.header_table as usize);
            }
            let early = std::mem::take(&mut self.early);
            if early > 0 {
                let shrunk: Result<(), Violation> = self.streams.try_for_each(|stream| {
                    stream.inlet.shrink(early);
                    Ok(())
                });
                shrunk?;
            }
            return Ok(Progress::Moved);
        }
        self.guard.count(Flood::Settings, now)?;
        let peer_role = if self.role == Role::Client { Role::Server } else { Role::Client };
        let peer = self.peer.apply(peer_role, payload)?;
        self.adopt(peer)?;
        self.confirmed = true;
        self.reply(out, frame::settings_ack);
        Ok(Event::Settings.into())
    }

    /// Applies what the peer asked for (RFC 9113, sections 6.5.3 and 6.9.2).
    pub(super) fn adopt(&mut self, peer: Settings) -> Result<(), Violation> {
        let delta = i64::from(peer.initial_window) - i64::from(self.peer.initial_window);
        if delta != 0 {
            let blocked = &mut self.blocked;
            self.streams.try_for_each(|stream| {
                let overflow = |_| Violation::WindowOverflow { stream: stream.id };
                stream.window = stream.window.adjust(delta).map_err(overflow)?;
                if stream.blocked == Blocked::Stream && stream.window.available() > 0 {
                    stream.blocked = Blocked::Connection;
                    blocked.push_back(stream.id);
                }
                Ok(())
            })?;
        }
        let ours = self.config.header_table;
        if peer.header_table.min(ours) != self.peer.header_table.min(ours) {
            self.encoder.set_max_table(peer.header_table.min(ours) as usize);
        }
        self.peer = peer;
        Ok(())
    }

    /// PING (RFC 9113, section 6.7).
    fn pinged(
        &mut self,
        now: Instant,
        header: Header,
        payload: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<Progress, Violation> {
        let payload: [u8; 8] = payload.try_into().expect("the length was checked");
        if !header.has(frame::ACK) {
            self.guard.count(Flood::Ping, now)?;
            self.reply(out, |out| frame::ping(frame::ACK, payload, out));
            return Ok(Progress::Moved);
        }
        let Some(rtt) = self.liveness.answer(payload, now) else { return Ok(Progress::Moved) };
        self.held = 0;
        Ok(Event::PingAcked { payload, rtt }.into())
    }

    /// GOAWAY (RFC 9113, section 6.8).
    fn go_away(&mut self, header: Header, payload: &[u8]) -> Result<Progress, Violation> {
        let (last_id, code) = (frame::u31(payload, 0), ErrorCode(frame::u32_at(payload, 4)));
        if let Some(before) = self.goaway_in.filter(|before| last_id > *before) {
            return Err(Violation::GoAwayRaised { last: last_id, before });
        }
        self.goaway_in = Some(last_id);
        self.wants_slot = false;
        if self.role == Role::Client {
            self.refusing = Some(last_id);
        }
        Ok(Progress::Step(Step::GoAway { last_id, code, debug: header.length - 8 }))
    }

    /// WINDOW_UPDATE (RFC 9113, section 6.9).
    fn window_update(
        &mut self,
        now: Instant,
        header: Header,
        payload: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<Progress, Violation> {
        self.guard.count(Flood::WindowUpdate, now)?;
        let (stream, increment) = (header.stream, frame::u31(payload, 0));
        if stream == 0 {
            if increment == 0 {
                return Err(Violation::IncrementZero { stream });
            }
            let overflow = |_| Violation::WindowOverflow { stream };
            self.window = self.window.adjust(increment.into()).map_err(overflow)?;
            return Ok(Progress::Moved);
        }
        self.check_not_idle(&header)?;
        let Some(live) = self.streams.live(stream) else { return Ok(Progress::Moved) };
        if increment == 0 {
            return self.violate(now, stream, Violation::IncrementZero { stream }, out);
        }
        match live.window.adjust(increment.into()) {
            Ok(window) => live.window = window,
            Err(_) => return self.violate(now, stream, Violation::WindowOverflow { stream }, out),
        }
        if live.blocked == Blocked::Stream && live.window.available() > 0 {
            live.blocked = Blocked::Connection;
            self.blocked.push_back(stream);
        }
        Ok(Progress::Moved)
    }
}

/// Reads the status of an HTTP/1 answer, once it is there.
fn http1_status(input: &[u8]) -> Result<Progress, Violation> {
    let Some(digits) = input.get(9..12) else { return Ok(Progress::Starved) };
    let number = std::str::from_utf8(digits).ok().and_then(|text| text.parse::<u16>().ok());
    let status = number.filter(|status| input[8] == b' ' && (100..1000).contains(status));
    Err(Violation::PeerSpokeHttp1 { status })
}
