//! Header blocks: put together, decoded, and what they change (RFC 9113, sections 4.3, 6.2, 6.10 and 8.1).

use super::{
    Connection, End, ErrorCode, Event, Fields, Flood, Malformed, Misuse, RequestHead, Role, Violation, compose,
    frame::{self, Header},
    head::{Collector, Form, cost},
    receive::{Progress, Reading},
    stream::{Arrival, Asked, RecvHalf, SendHalf},
};
use http::{HeaderMap, Method, StatusCode};
use std::time::Instant;

/// The largest buffer for blocks in several frames that is kept once the block is complete.
const KEPT: usize = 16 * 1024;

/// What a decoded block is good for.
enum Decoded<T> {
    Fine(T),
    Malformed(Malformed),
    /// What there is of it may still be good for something.
    TooLarge(Option<T>),
}

impl Connection {
    /// HEADERS (RFC 9113, section 6.2).
    pub(super) fn headers(
        &mut self,
        now: Instant,
        header: Header,
        payload: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<Progress, Violation> {
        let stream = header.stream;
        match self.role {
            Role::Client => self.check_not_idle(&header)?,
            Role::Server if stream % 2 == 0 => return Err(Violation::StreamIdEven { stream }),
            Role::Server if stream <= self.last_peer => self.check_known(stream)?,
            Role::Server => {}
        }
        let fragment = strip(&header, payload)?;
        let end = if header.has(frame::END_STREAM) { End::Last } else { End::More };
        if header.has(frame::END_HEADERS) {
            return self.decode(now, stream, end, fragment, out);
        }
        self.append(fragment)?;
        self.reading = Reading::Block { stream, end, frames: 0 };
        Ok(Progress::Moved)
    }

    /// CONTINUATION (RFC 9113, section 6.10), of the right stream.
    pub(super) fn continuation(
        &mut self,
        now: Instant,
        header: Header,
        payload: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<Progress, Violation> {
        let Reading::Block { stream, end, frames } = self.reading else {
            return Err(Violation::ContinuationUnexpected { stream: header.stream });
        };
        if frames == self.config.max_continuations {
            return Err(Violation::Flood(Flood::Continuation));
        }
        self.append(payload)?;
        if !header.has(frame::END_HEADERS) {
            self.reading = Reading::Block { stream, end, frames: frames + 1 };
            return Ok(Progress::Moved);
        }
        let mut block = std::mem::take(&mut self.block);
        let decoded = self.decode(now, stream, end, &block, out);
        block.clear();
        block.shrink_to(KEPT);
        self.block = block;
        decoded
    }

    fn append(&mut self, fragment: &[u8]) -> Result<(), Violation> {
        let limit = self.config.block_limit();
        if self.block.len() + fragment.len() > limit {
            return Err(Violation::HeaderBlockTooLarge { limit });
        }
        self.block.extend_from_slice(fragment);
        Ok(())
    }

    /// An id at or below the highest is a stream that exists, or one that is over; any other was skipped, and ids only grow (RFC
    /// 9113, section 5.1.1).
    fn check_known(&self, stream: u32) -> Result<(), Violation> {
        let gone = [&self.ours, &self.theirs, &self.ended].into_iter().any(|memory| memory.contains(&stream));
        let known = self.streams.get(stream).is_some() || gone;
        let beyond = self.goaway_out.is_some_and(|last| stream > last);
        if known || beyond { Ok(()) } else { Err(Violation::StreamIdNotNew { stream, last: self.last_peer }) }
    }

    /// A block is complete. It is decoded whatever becomes of it, because it moves the tables (RFC 9113, section 4.3).
    fn decode(
        &mut self,
        now: Instant,
        stream: u32,
        end: End,
        block: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<Progress, Violation> {
        self.reading = Reading::Header;
        self.liveness.useful();
        let new = self.role == Role::Server && stream > self.last_peer;
        let beyond = self.goaway_out.is_some_and(|last| stream > last);
        let form = match self.streams.live(stream).map(|live| live.recv) {
            Some(RecvHalf::Head) => Some(Form::Response),
            Some(RecvHalf::Body) => Some(Form::Trailers),
            None if new && !beyond => Some(Form::Request),
            Some(RecvHalf::Ended) | None => None,
        };
        if new {
            self.last_peer = stream;
        }
        match form {
            Some(Form::Request) => self.request(now, stream, end, block, out),
            Some(Form::Response) => self.response(now, stream, end, block, out),
            Some(Form::Trailers) => self.trailers(now, stream, end, block, out),
            None => {
                let mut size = 0usize;
                self.decoder
                    .decode(block, |field| size = size.saturating_add(cost(&field)))
                    .map_err(Violation::Compression)?;
                self.count_list(size, now)?;
                if self.streams.live(stream).is_some() {
                    return self.violate(now, stream, Violation::FrameAfterEnd { stream }, out);
                }
                self.stray(now, stream, out)?;
                Ok(Progress::Moved)
            }
        }
    }

    /// Decodes a block that is wanted.
    fn collect<T>(
        &mut self,
        now: Instant,
        form: Form,
        block: &[u8],
        take: impl FnOnce(Collector<'_>) -> Result<T, Malformed>,
    ) -> Result<Decoded<T>, Violation> {
        let limit = self.config.header_list as usize;
        let mut collector = Collector::new(form, limit, block.len(), &mut self.scratch);
        self.decoder.decode(block, |field| collector.field(field)).map_err(Violation::Compression)?;
        let size = collector.size();
        let taken = take(collector);
        if size <= limit {
            return Ok(taken.map_or_else(Decoded::Malformed, Decoded::Fine));
        }
        self.count_list(size, now)?;
        Ok(Decoded::TooLarge(taken.ok()))
    }

    /// Counts a header list if it is above the limit: a byte of a block can name an entry of the table that is as large as that,
    /// so what is decoded is what it costs (RFC 7541, section 7.3).
    fn count_list(&mut self, size: usize, now: Instant) -> Result<(), Violation> {
        let limit = (self.config.header_list as usize).max(1);
        if size <= limit {
            return Ok(());
        }
        self.guard.count_as(Flood::HeaderList, u32::try_from(size / limit).unwrap_or(u32::MAX), now)
    }

    fn request(
        &mut self,
        now: Instant,
        stream: u32,
        end: End,
        block: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<Progress, Violation> {
        let extended = self.config.extended_connect;
        let decoded = self.collect(now, Form::Request, block, |collector| collector.request(extended))?;
        if self.active >= self.config.max_streams {
            // REFUSED_STREAM: the client may try again (RFC 9113, section 8.7).
            let limit = self.config.max_streams;
            self.count_reset(now)?;
            self.send_reset(stream, Violation::StreamsTooMany { stream, limit }.code(), out);
            return Ok(Progress::Moved);
        }
        let (head, length) = match decoded {
            Decoded::Fine(fine) => fine,
            Decoded::Malformed(rule) => return self.violate(now, stream, Violation::Malformed { stream, rule }, out),
            Decoded::TooLarge(head) => return self.oversized(now, stream, end, head.map(|(head, _)| head)),
        };
        let asked = asked(&head.method);
        // What CONNECT sends is no content (RFC 9110, section 9.3.6).
        let length = length.filter(|_| asked != Asked::Connect);
        if let Some(left) = length.filter(|left| *left > 0 && end == End::Last) {
            return self.violate(now, stream, missing(stream, left), out);
        }
        let (recv, _) = RecvHalf::Head.on(Arrival::Headers(End::More), stream)?;
        self.guard.useful += 1;
        self.begin(stream, recv, SendHalf::Head, asked, None);
        if let Some(live) = self.streams.get_mut(stream) {
            live.recv_left = length;
        }
        self.await_end(stream, end);
        Ok(self.give(Event::Head { stream, head }))
    }

    /// The last event of the stream follows this one.
    fn await_end(&mut self, stream: u32, end: End) {
        if end == End::Last {
            self.reading = Reading::Ended { stream };
        }
    }

    /// A request whose head is too large is over, but for its answer.
    fn oversized(
        &mut self,
        now: Instant,
        stream: u32,
        end: End,
        head: Option<RequestHead>,
    ) -> Result<Progress, Violation> {
        self.count_reset(now)?;
        self.remember_end(stream);
        self.oversized = Some((stream, end));
        let head = head.map(|head| Box::new(RequestHead { fields: Fields::new(), ..head }));
        Ok(self.give(Event::Oversized { stream, head }))
    }

    /// Answers the request of [`Event::Oversized`] with 431 (RFC 6585, section 5) and these fields, and resets what is left of it.
    ///
    /// # Errors
    ///
    /// [`Misuse::NoStream`] if the last event was none, or it was answered.
    pub fn refuse(&mut self, fields: &HeaderMap, out: &mut Vec<u8>) -> Result<(), Misuse> {
        let Some((stream, end)) = self.oversized.take() else { return Err(Misuse::NoStream { stream: 0 }) };
        let before = out.len();
        let place = self.place(stream, End::Last);
        compose::response(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, fields, &mut self.encoder, place, out);
        self.replies += out.len() - before;
        if end == End::More {
            // The answer is complete, the rest of the request is not needed (RFC 9113, section 8.1).
            self.send_reset(stream, ErrorCode::NO_ERROR, out);
        }
        Ok(())
    }

    fn response(
        &mut self,
        now: Instant,
        stream: u32,
        end: End,
        block: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<Progress, Violation> {
        let (head, length) = match self.collect(now, Form::Response, block, |collector| collector.response())? {
            Decoded::Fine(fine) => fine,
            Decoded::Malformed(rule) => return self.violate(now, stream, Violation::Malformed { stream, rule }, out),
            Decoded::TooLarge(_) => return self.too_large(now, stream, out),
        };
        let limit = self.config.max_informational;
        let Some(live) = self.streams.live(stream) else { return Ok(Progress::Moved) };
        if head.status.is_informational() {
            if let Err(violation) = live.recv.on(Arrival::Informational(end), stream) {
                return self.violate(now, stream, violation, out);
            }
            if live.informational == limit {
                return self.violate(now, stream, Violation::TooManyInformational { stream, limit }, out);
            }
            live.informational += 1;
            return Ok(self.give(Event::Informational { stream, head }));
        }
        let bodiless = matches!(head.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        let left = match live.asked {
            // Content-Length is what GET would have had (RFC 9110, section 8.6).
            Asked::Head => Some(0),
            Asked::Other | Asked::Connect if bodiless => Some(0),
            Asked::Connect if head.status.is_success() => None,
            Asked::Other | Asked::Connect => length,
        };
        if let Some(left) = left.filter(|left| *left > 0 && end == End::Last) {
            return self.violate(now, stream, missing(stream, left), out);
        }
        let (recv, _) = live.recv.on(Arrival::Headers(End::More), stream)?;
        (live.recv, live.recv_left) = (recv, left);
        if !head.status.is_success() {
            // CONNECT that was refused is a request like any other: its answer may have trailers.
            live.asked = Asked::Other;
        }
        self.guard.useful += 1;
        self.await_end(stream, end);
        Ok(self.give(Event::Answer { stream, head }))
    }

    fn too_large(&mut self, now: Instant, stream: u32, out: &mut Vec<u8>) -> Result<Progress, Violation> {
        let limit = self.config.header_list as usize;
        self.violate(now, stream, Violation::HeaderListTooLarge { stream, limit }, out)
    }

    fn trailers(
        &mut self,
        now: Instant,
        stream: u32,
        end: End,
        block: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<Progress, Violation> {
        let decoded = self.collect(now, Form::Trailers, block, |collector| collector.trailers())?;
        let Some(live) = self.streams.live(stream) else { return Ok(Progress::Moved) };
        if let Err(violation) = live.recv.on(Arrival::Headers(end), stream) {
            return self.violate(now, stream, violation, out);
        }
        if live.asked == Asked::Connect {
            return self.violate(now, stream, Violation::TrailersInTunnel { stream }, out);
        }
        let left = live.recv_left.unwrap_or(0);
        let trailers = match decoded {
            Decoded::Fine(trailers) => trailers,
            Decoded::Malformed(rule) => return self.violate(now, stream, Violation::Malformed { stream, rule }, out),
            Decoded::TooLarge(_) => return self.too_large(now, stream, out),
        };
        if left > 0 {
            return self.violate(now, stream, missing(stream, left), out);
        }
        self.await_end(stream, end);
        Ok(self.give(Event::Trailers { stream, trailers }))
    }
}

/// Returns what a method means for the answer.
pub(super) fn asked(method: &Method) -> Asked {
    match *method {
        Method::HEAD => Asked::Head,
        Method::CONNECT => Asked::Connect,
        _ => Asked::Other,
    }
}

fn missing(stream: u32, left: u64) -> Violation {
    Violation::ContentLength { stream, off_by: i64::try_from(left).map_or(i64::MIN, |left| -left) }
}

/// Returns the block without padding and priority (RFC 9113, section 6.2).
fn strip<'p>(header: &Header, payload: &'p [u8]) -> Result<&'p [u8], Violation> {
    let short = || Violation::FrameLength { kind: header.kind.byte(), length: header.length };
    let mut rest = payload;
    let mut padding = 0;
    if header.has(frame::PADDED) {
        let (first, behind) = rest.split_first().ok_or_else(short)?;
        (padding, rest) = (usize::from(*first), behind);
    }
    if header.has(frame::PRIORITY) {
        if frame::dependency(rest) == Some(header.stream) {
            return Err(Violation::DependsOnItself { stream: header.stream });
        }
        rest = rest.get(5..).ok_or_else(short)?;
    }
    let length = rest.len().checked_sub(padding);
    let too_long = Violation::PaddingTooLong { stream: header.stream, padding, length: rest.len() };
    length.map(|length| &rest[..length]).ok_or(too_long)
}
