//! What the caller asks for. A command that is refused changes nothing.

use super::{
    Connection, End, ErrorCode, Misuse, Opened, Role, block, compose,
    compose::{Place, STATUS_SIZE, Survey, Target},
    frame::{self, HEADER, Header, Kind},
    stream::{Asked, Blocked, RecvHalf, SendHalf, Sent, Stream},
};
use crate::fields::trailers::{Trailer, trailer};
use http::{HeaderMap, Request, Response, StatusCode};
use std::time::Instant;

impl Connection {
    fn check_usable(&self, role: Option<Role>) -> Result<(), Misuse> {
        if self.is_broken() {
            return Err(Misuse::ConnectionOver);
        }
        if role.is_some_and(|role| role != self.role) { Err(Misuse::WrongRole) } else { Ok(()) }
    }

    fn live(&mut self, stream: u32) -> Result<&mut Stream, Misuse> {
        self.streams.live(stream).ok_or(Misuse::NoStream { stream })
    }

    /// Returns where a block of this stream goes.
    pub(super) fn place(&self, stream: u32, end: End) -> Place {
        let flags = if end == End::Last { frame::END_STREAM } else { 0 };
        Place { stream, flags, max_frame: self.peer.max_frame as usize }
    }

    /// Client: opens a stream. `:protocol` of an extended CONNECT is the request's [`Protocol`](super::Protocol) extension.
    ///
    /// After a rest a PING goes out behind the head ([`Config::probe_after_idle`](super::Config::probe_after_idle)).
    ///
    /// # Errors
    ///
    /// A [`Misuse`] for a server, for a request that HTTP/2 cannot carry, and for one larger than the peer takes.
    pub fn open(&mut self, head: &Request<()>, end: End, now: Instant, out: &mut Vec<u8>) -> Result<Opened, Misuse> {
        if self.role == Role::Client && self.is_draining() {
            return Ok(Opened::Closed);
        }
        self.check_usable(Some(Role::Client))?;
        if !self.has_slot() {
            self.wants_slot = true;
            return Ok(Opened::Blocked);
        }
        let survey = Survey::of(head.headers())?;
        let target = Target::of(head, &survey, self.peer.extended_connect)?;
        survey.check(target.size(), self.peer.max_header_list)?;
        let asked = block::asked(head.method());
        // What CONNECT sends is no content (RFC 9110, section 9.3.6).
        let length = survey.content_length.filter(|_| asked != Asked::Connect);
        check_length(length, 0, end)?;

        let stream = self.next_id;
        self.next_id += 2;
        let send = if end == End::Last { SendHalf::Ended } else { SendHalf::Body };
        let place = self.place(stream, end);
        compose::request(&target, head.headers(), &mut self.encoder, place, out);
        if self.active == 0 {
            self.liveness.expect(now);
        }
        self.begin(stream, RecvHalf::Head, send, asked, length);
        self.guard.useful += 1;
        self.liveness.useful();
        self.liveness.last_out = now;
        let silent = now.saturating_duration_since(self.liveness.heard);
        if self.config.probe_after_idle.is_some_and(|rest| silent > rest) {
            if let Some(payload) = self.liveness.probe(now) {
                frame::ping(0, payload, out);
            }
        }
        Ok(Opened::Stream(stream))
    }

    /// Server: the final head.
    ///
    /// # Errors
    ///
    /// A [`Misuse`] for a client, for a stream that has a head already or is over, for a 1xx, and for a head larger than the peer
    /// takes.
    pub fn respond(&mut self, stream: u32, head: &Response<()>, end: End, out: &mut Vec<u8>) -> Result<(), Misuse> {
        self.check_usable(Some(Role::Server))?;
        let status = head.status();
        if status.is_informational() {
            return Err(Misuse::Status(status.as_u16()));
        }
        let limit = self.peer.max_header_list;
        let live = self.live(stream)?;
        let send = live.send.on(Sent::Head(end), stream)?;
        let survey = Survey::of(head.headers())?;
        survey.check(STATUS_SIZE, limit)?;
        let bodiless = matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        let left = match live.asked {
            Asked::Head => Some(0),
            Asked::Other | Asked::Connect if bodiless => Some(0),
            Asked::Connect if status.is_success() => None,
            Asked::Other | Asked::Connect => survey.content_length,
        };
        check_length(left, 0, end)?;
        (live.send, live.send_left) = (send, left);
        let place = self.place(stream, end);
        compose::response(status, head.headers(), &mut self.encoder, place, out);
        self.guard.useful += 1;
        self.liveness.useful();
        self.settle(stream);
        Ok(())
    }

    /// Server: a 1xx.
    ///
    /// # Errors
    ///
    /// As [`respond`](Self::respond); for 101 and for final statuses.
    pub fn inform(&mut self, stream: u32, head: &Response<()>, out: &mut Vec<u8>) -> Result<(), Misuse> {
        self.check_usable(Some(Role::Server))?;
        let status = head.status();
        if !status.is_informational() || status == StatusCode::SWITCHING_PROTOCOLS {
            return Err(Misuse::Status(status.as_u16()));
        }
        let limit = self.peer.max_header_list;
        self.live(stream)?.send.on(Sent::Informational, stream)?;
        let survey = Survey::of(head.headers())?;
        survey.check(STATUS_SIZE, limit)?;
        if survey.content_length.is_some() {
            return Err(Misuse::ContentLengthForbidden);
        }
        let place = self.place(stream, End::More);
        compose::response(status, head.headers(), &mut self.encoder, place, out);
        Ok(())
    }

    /// Frames as much as the windows allow and returns how much; [`Writable`](super::Event::Writable) tells when more fits.
    /// END_STREAM only with the last byte.
    ///
    /// # Errors
    ///
    /// A [`Misuse`] if it is not the turn of data, or if the body does not have the length that was announced.
    pub fn send_data(&mut self, stream: u32, data: &[u8], end: End, out: &mut Vec<u8>) -> Result<usize, Misuse> {
        self.check_usable(None)?;
        let (room, max_frame) = (self.window.available(), self.peer.max_frame as usize);
        let live = self.live(stream)?;
        let ended = live.send.on(Sent::Data(end), stream)?;
        check_length(live.send_left, data.len() as u64, end)?;
        let n = data.len().min(room).min(live.window.available());
        let last = end == End::Last && n == data.len();
        live.window.spend(n);
        live.send_left = live.send_left.map(|left| left - n as u64);
        let queued = live.blocked == Blocked::Connection;
        live.blocked = match n < data.len() {
            false => Blocked::No,
            true if live.window.available() == 0 => Blocked::Stream,
            true => Blocked::Connection,
        };
        let queue = live.blocked == Blocked::Connection && !queued;
        if last {
            live.send = ended;
        }
        if queue {
            self.blocked.push_back(stream);
        }
        self.window.spend(n);
        if n > 0 || last {
            write_data(stream, &data[..n], last, max_frame, out);
            // Peers credit in pieces of a few hundred bytes.
            self.guard.useful += 2 + n as u64 / 512;
            self.liveness.useful();
        }
        if last {
            self.settle(stream);
        }
        Ok(n)
    }

    /// Ends the message with trailers.
    ///
    /// # Errors
    ///
    /// A [`Misuse`] if it is not their turn, if body is missing, if a field must not be a trailer, and if they are larger than the
    /// peer takes.
    pub fn send_trailers(&mut self, stream: u32, trailers: &HeaderMap, out: &mut Vec<u8>) -> Result<(), Misuse> {
        self.check_usable(None)?;
        let limit = self.peer.max_header_list;
        let live = self.live(stream)?;
        let send = live.send.on(Sent::Trailers, stream)?;
        check_length(live.send_left, 0, End::Last)?;
        if trailers.keys().any(|name| trailer(name.as_str().as_bytes()) != Trailer::Kept) {
            return Err(Misuse::TrailerForbidden);
        }
        Survey::of(trailers)?.check(0, limit)?;
        live.send = send;
        let place = self.place(stream, End::Last);
        compose::trailers(trailers, &mut self.encoder, place, out);
        self.liveness.useful();
        self.settle(stream);
        Ok(())
    }

    /// The application took so many bytes of the stream's data. A stream that is over takes them too, until all that was delivered
    /// of it is released.
    ///
    /// # Errors
    ///
    /// A [`Misuse`] if there is not so much that is unread.
    pub fn release(&mut self, stream: u32, octets: usize, out: &mut Vec<u8>) -> Result<(), Misuse> {
        self.check_usable(None)?;
        if octets == 0 {
            return Ok(());
        }
        let Some(found) = self.streams.get_mut(stream) else { return Err(Misuse::NoStream { stream }) };
        let unread = found.unread;
        if octets > unread {
            return Err(Misuse::ReleasedTooMuch { stream, unread, released: octets });
        }
        found.unread -= octets;
        self.unread -= octets;
        self.freed += octets;
        if found.is_over() && found.unread == 0 {
            self.streams.remove(stream);
        } else {
            self.credit_stream(stream, octets, out);
        }
        self.credit(out);
        Ok(())
    }

    /// Says that the application has taken all that arrived of the stream and waits for more: it gets some even while too much of
    /// other streams is unread ([`Config::unread_limit`](super::Config::unread_limit)).
    pub fn want(&mut self, stream: u32, out: &mut Vec<u8>) {
        if let Some(found) = self.streams.live(stream).filter(|s| s.unread == 0) {
            found.awaited = true;
            if !self.is_broken() {
                self.credit(out);
            }
        }
    }

    /// From now on no more than so much may be unread before the window of the connection is credited by what is released only, or what
    /// [`Config::unread_limit`](super::Config::unread_limit) says if that is less or this is `None`.
    pub fn limit_unread(&mut self, most: Option<usize>) {
        self.unread_limit = most.map_or(self.config.unread_limit, |most| most.min(self.config.unread_limit));
    }

    /// Ends one stream. What was not released is credited to the connection. No event names the stream afterwards. For a stream
    /// that is over already, only what is unread of it is credited.
    ///
    /// # Errors
    ///
    /// [`Misuse::NoStream`].
    pub fn reset(&mut self, stream: u32, code: u32, out: &mut Vec<u8>) -> Result<(), Misuse> {
        self.check_usable(None)?;
        let Some(found) = self.streams.get_mut(stream) else { return Err(Misuse::NoStream { stream }) };
        let unread = std::mem::take(&mut found.unread);
        self.unread -= unread;
        self.freed += unread;
        if found.is_over() {
            self.streams.remove(stream);
        } else {
            self.send_reset(stream, ErrorCode(code), out);
            self.finish(stream);
        }
        self.credit(out);
        Ok(())
    }

    /// Ends one stream because its caller gave up on it, as [`reset`](Self::reset) does.
    ///
    /// If the peer said nothing but SETTINGS since the stream began, perhaps it is not there any more: then a PING goes out too, the
    /// slot of the stream counts as used until any PING is answered, and the connection is
    /// [`is_suspect`](Self::is_suspect) until something comes in.
    ///
    /// # Errors
    ///
    /// As [`reset`](Self::reset).
    pub fn cancel(&mut self, stream: u32, code: u32, now: Instant, out: &mut Vec<u8>) -> Result<(), Misuse> {
        let unheard = self.streams.live(stream).is_some_and(|live| live.heard == self.heard);
        self.reset(stream, code, out)?;
        self.liveness.last_out = now;
        if unheard && self.role == Role::Client {
            self.suspect = true;
            self.ping_unasked(now, out);
            if self.liveness.outstanding().is_some() {
                self.held += 1;
            }
        }
        Ok(())
    }

    /// Sends a PING with this payload.
    ///
    /// # Errors
    ///
    /// A [`Misuse`] if one with this payload, or too many others, are without an answer.
    pub fn ping(&mut self, payload: [u8; 8], now: Instant, out: &mut Vec<u8>) -> Result<(), Misuse> {
        self.check_usable(None)?;
        self.liveness.ask(payload, now)?;
        frame::ping(0, payload, out);
        Ok(())
    }

    /// Says that the wire took the last PING only now, or has only come nearer to it: from now on counts the time until its answer. Without
    /// this it counts from when the PING was appended to `out`, which may be long before where the wire takes little.
    pub fn ping_left(&mut self, now: Instant) {
        self.liveness.left(now);
    }

    /// Takes no more streams: GOAWAY(NO_ERROR). A server names stream 2^31 - 1, so that what the client has sent meanwhile is still
    /// served; see [`close`](Self::close) (RFC 9113, section 6.8).
    pub fn drain(&mut self, out: &mut Vec<u8>) {
        let last = if self.role == Role::Server { frame::MAX_31 } else { 0 };
        if self.goaway_out.is_none() {
            self.go_away_with(last, out);
        }
    }

    /// GOAWAY with the last stream processed: streams above it are ignored from now on.
    pub fn close(&mut self, out: &mut Vec<u8>) {
        if self.goaway_out.is_none_or(|before| before > self.last_peer) {
            self.go_away_with(self.last_peer, out);
        }
    }

    fn go_away_with(&mut self, last: u32, out: &mut Vec<u8>) {
        if !self.is_broken() {
            self.goaway_out = Some(last);
            frame::goaway(last, ErrorCode::NO_ERROR, "", out);
        }
    }
}

/// Holds what is given against what Content-Length leaves (RFC 9113, section 8.1.1).
fn check_length(left: Option<u64>, given: u64, end: End) -> Result<(), Misuse> {
    match left {
        Some(left) if given > left || (end == End::Last && given < left) => {
            Err(Misuse::ContentLengthMismatch { left, given })
        }
        _ => Ok(()),
    }
}

/// Appends DATA frames; an empty one if there is no data.
fn write_data(stream: u32, data: &[u8], last: bool, max_frame: usize, out: &mut Vec<u8>) {
    let frames = data.len().div_ceil(max_frame).max(1);
    out.reserve(data.len() + frames * HEADER);
    for i in 0..frames {
        let piece = &data[i * max_frame..data.len().min((i + 1) * max_frame)];
        let flags = if last && i + 1 == frames { frame::END_STREAM } else { 0 };
        Header { length: piece.len(), kind: Kind::Data, flags, stream }.write(out);
        out.extend_from_slice(piece);
    }
}
