//! What can be asked about a connection; nothing of it changes anything.

use super::{
    Connection, Kind, Role,
    frame::{self, Header},
    receive::Reading,
    stream::Asked,
};
use std::time::{Duration, Instant};

impl Connection {
    /// Returns whether so much is unread that the window of the connection is not credited until some of it is released.
    pub fn is_clogged(&self) -> bool {
        self.unread > self.unread_limit
    }

    /// Returns how many bytes were delivered and not released, of all streams together.
    pub fn unread(&self) -> usize {
        self.unread
    }

    /// Returns whether a header block has begun and not ended: nothing else can come before its end.
    pub fn is_in_block(&self) -> bool {
        matches!(self.reading, Reading::Block { .. })
    }

    /// Returns the stream of which a head has begun to arrive, and `input` does not hold the rest.
    pub(crate) fn arriving(&self, input: &[u8]) -> Option<u32> {
        match self.reading {
            Reading::Block { stream, .. } => Some(stream),
            Reading::Header => Header::parse(input).filter(|h| h.kind == Kind::Headers).map(|h| h.stream),
            Reading::Preface | Reading::Data(_) | Reading::Skip(_) | Reading::Ended { .. } => None,
        }
    }

    /// Returns whether a stream began with CONNECT: if the answer is a 2xx, it is a tunnel (RFC 9113, section 8.5).
    pub(crate) fn asked_to_connect(&self, stream: u32) -> bool {
        self.streams.get(stream).is_some_and(|stream| stream.asked == Asked::Connect)
    }

    /// Returns how much data of a stream the windows allow now.
    pub(crate) fn send_window_of(&self, stream: u32) -> usize {
        self.streams.get(stream).map_or(0, |stream| stream.window.available()).min(self.window.available())
    }

    /// Returns how many streams are open.
    pub fn open_streams(&self) -> usize {
        self.active as usize
    }

    /// Returns how many more places are taken: of streams that were given up when nothing was heard of them, until the peer answers the
    /// PING that went with that.
    pub fn held_streams(&self) -> usize {
        self.held as usize
    }

    /// Returns the peer's SETTINGS_MAX_CONCURRENT_STREAMS.
    pub fn peer_max_streams(&self) -> Option<u32> {
        self.peer.max_streams
    }

    /// Returns whether the peer's SETTINGS_MAX_CONCURRENT_STREAMS leaves room for another stream; until the first
    /// SETTINGS it is taken for [`Config::streams_before_settings`](super::Config::streams_before_settings).
    pub fn has_slot(&self) -> bool {
        let before = self.config.streams_before_settings;
        let limit = if self.confirmed { self.peer.max_streams.unwrap_or(u32::MAX) } else { before };
        self.active.saturating_add(self.held) < limit
    }

    /// Returns what may be sent on all streams together.
    pub fn send_window(&self) -> i64 {
        self.window.get()
    }

    /// Returns what the peer may send on all streams together.
    pub fn recv_window(&self) -> i64 {
        self.inlet.window()
    }

    /// Returns how long the last answered PING took.
    pub fn rtt(&self) -> Option<Duration> {
        self.liveness.rtt
    }

    /// Returns whether `open` cannot succeed any more: GOAWAY either way, ids used up, or a violation.
    pub fn is_draining(&self) -> bool {
        self.is_broken()
            || self.goaway_in.is_some()
            || self.goaway_out.is_some()
            || (self.role == Role::Client && self.next_id > frame::MAX_31)
    }

    /// Returns whether the peer's SETTINGS enable the extended CONNECT (RFC 8441).
    pub fn extended_connect(&self) -> bool {
        self.role == Role::Client && self.peer.extended_connect
    }

    /// Returns whether the peer's first SETTINGS arrived.
    pub fn is_confirmed(&self) -> bool {
        self.confirmed
    }

    /// Returns whether `poll_event` has an event to give without further input, as after a `reset` that made room for another
    /// stream.
    pub fn has_event(&self) -> bool {
        !self.is_broken()
            && (matches!(self.reading, Reading::Ended { .. })
                || self.refusing.is_some()
                || (self.wants_slot && self.has_slot())
                || (self.window.available() > 0 && !self.blocked.is_empty()))
    }

    /// Returns whether a stream was cancelled before the peer said anything, and nothing came in since: better not to be used for
    /// another request.
    pub fn is_suspect(&self) -> bool {
        self.suspect
    }

    /// Returns whether more than half of the time for the answer to a PING is up, and nothing came in.
    #[inline]
    pub fn is_ping_late(&self, now: Instant) -> bool {
        self.liveness.is_late(&self.config, now)
    }

    /// Returns how many PINGs were sent.
    pub fn pings_sent(&self) -> u64 {
        self.liveness.sent
    }

    /// Returns how many of them were answered.
    pub fn pings_acked(&self) -> u64 {
        self.liveness.acked
    }

    /// Returns when the last PING was sent.
    pub fn last_ping(&self) -> Option<Instant> {
        self.liveness.last_sent
    }

    /// Returns since when a PING is without an answer.
    pub fn ping_outstanding(&self) -> Option<Instant> {
        self.liveness.outstanding()
    }

    /// Returns when something was last received.
    pub fn last_inbound(&self) -> Instant {
        self.liveness.last_in
    }

    /// Returns when the peer was alive for certain.
    pub fn heard(&self) -> Instant {
        self.liveness.heard
    }

    /// Returns when something was last appended to `out`, by the calls that know the time.
    pub fn last_outbound(&self) -> Instant {
        self.liveness.last_out
    }

    /// Returns a payload for [`ping`](Self::ping), unpredictable as far as the seed is, and not in flight.
    pub fn ping_payload(&mut self) -> [u8; 8] {
        self.liveness.payload()
    }
}
