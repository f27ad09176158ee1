//! HTTP/2: many streams on one connection (RFC 9113).
//!
//! SKELETON: the signatures the drivers are written against.

pub mod hpack;

use super::{End, RequestHead, ResponseHead, Role};
use crate::{buf::RecvBuf, fields::Fields};
use http::HeaderMap;
use std::time::{Duration, Instant};

/// An error code of RST_STREAM and GOAWAY (RFC 9113, section 7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ErrorCode(pub u32);

/// What happened; borrows its payload from the input.
#[non_exhaustive]
#[derive(Debug, PartialEq, Eq)]
pub enum Event<'b> {
    /// Server: a request arrived on a new stream.
    Head {
        stream: u32,
        head: RequestHead,
    },
    /// Client: a 1xx.
    Informational {
        stream: u32,
        head: ResponseHead,
    },
    /// Client: the final response.
    Answer {
        stream: u32,
        head: ResponseHead,
    },
    /// A piece of a body, never empty. The connection window was credited already; the stream's is by `release`.
    Data {
        stream: u32,
        data: &'b [u8],
    },
    /// The trailers; `Ended` follows.
    Trailers {
        stream: u32,
        trailers: Fields,
    },
    /// The peer ended its half of the stream (END_STREAM).
    Ended {
        stream: u32,
    },
    /// `send_data` of this stream, which took less than it was given, may take more now.
    Writable {
        stream: u32,
    },
    /// The stream is over: reset by the peer (`Reset`), refused by GOAWAY (`Refused`: above its last id, certainly not processed), or
    /// reset by us because the peer broke a rule of the stream (`Violated`). No further event names it.
    Failed {
        stream: u32,
        failure: Failure,
    },
    StopSending {
        stream: u32,
    },
    /// `open` which was `Blocked` may find a slot now.
    SlotFree,
    /// A PING of ours was answered after so long.
    PingAcked {
        payload: [u8; 8],
        rtt: Duration,
    },
    /// The peer's SETTINGS were applied and acknowledged.
    Settings,
    /// GOAWAY arrived. Streams above `last_id` follow as `Failed`.
    GoAway {
        last_id: u32,
        code: ErrorCode,
        debug: &'b [u8],
    },
}

/// Why a stream is over before its end.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// RST_STREAM came.
    Reset(ErrorCode),
    /// Above the last id of the peer's GOAWAY.
    Refused,
    /// The peer broke a rule of the stream; RST_STREAM went out.
    Violated(Violation),
}

#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Violation {
    PingUnanswered {},
    Truncated {},
    PeerSpokeHttp1 { status: Option<u16> },
}
impl std::fmt::Display for Violation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        todo!()
    }
}
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misuse;
impl std::fmt::Display for Misuse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        todo!()
    }
}
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Config {
    pub seed: u64,
    pub header_list: u32,
    pub stream_window: u32,
    pub connection_window: u32,
    pub ping_ack_timeout: Duration,
    pub probe_after_idle: Option<Duration>,
}
impl Config {
    pub fn new(role: Role) -> Self {
        todo!()
    }
    pub fn upgrade_payload(&self) -> Vec<u8> {
        todo!()
    }
}

/// The answer of `open`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opened {
    /// The id of the new stream.
    Stream(u32),
    /// The peer's MAX_CONCURRENT_STREAMS is used up; `SlotFree` tells when to try again.
    Blocked,
    /// No stream can be opened any more: GOAWAY either way, or ids used up.
    Closed,
}

/// The next bytes on the wire are payload of this stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expected {
    pub stream: u32,
    pub bytes: usize,
}

#[derive(Debug)]
pub struct Connection {}

#[allow(unused_variables)]
impl Connection {
    /// Appends the preface (client) and SETTINGS to `out`.
    pub fn new(role: Role, config: Config, now: Instant, out: &mut Vec<u8>) -> Self {
        todo!()
    }
    /// After `Upgrade: h2c`: stream 1 is the request, half closed by the client. Client: call after the 101; preface and SETTINGS go to `out`.
    /// Server: `settings` is the decoded payload of HTTP2-Settings; SETTINGS go to `out`.
    pub fn upgraded(
        role: Role,
        config: Config,
        settings: &[u8],
        now: Instant,
        out: &mut Vec<u8>,
    ) -> Result<Self, Violation> {
        todo!()
    }
    pub fn poll_event<'b>(
        &mut self,
        now: Instant,
        input: &'b mut RecvBuf,
        out: &mut Vec<u8>,
    ) -> Result<Option<Event<'b>>, Violation> {
        todo!()
    }
    /// No more bytes will come. `Err` if a frame was cut or streams were open without an end.
    pub fn end_of_input(&mut self, now: Instant, input: &RecvBuf, out: &mut Vec<u8>) -> Result<(), Violation> {
        todo!()
    }
    pub fn expects(&self) -> Option<Expected> {
        todo!()
    }
    pub fn took(&mut self, n: usize, out: &mut Vec<u8>) {
        todo!()
    }
    pub fn deadline(&self) -> Option<Instant> {
        todo!()
    }
    pub fn handle_deadline(&mut self, now: Instant, out: &mut Vec<u8>) -> Result<(), Violation> {
        todo!()
    }
    /// So many bytes of `out` were not yet taken by the wire. Replies beyond 64 KiB end the connection.
    pub fn unsent(&mut self, bytes: usize, out: &mut Vec<u8>) -> Result<(), Violation> {
        todo!()
    }

    /// Client: opens a stream. `:protocol` of an extended CONNECT is the request's `Protocol` extension.
    pub fn open(
        &mut self,
        head: &http::Request<()>,
        end: End,
        now: Instant,
        out: &mut Vec<u8>,
    ) -> Result<Opened, Misuse> {
        todo!()
    }
    /// Server: the final head.
    pub fn respond(
        &mut self,
        stream: u32,
        head: &http::Response<()>,
        end: End,
        out: &mut Vec<u8>,
    ) -> Result<(), Misuse> {
        todo!()
    }
    /// Server: a 1xx.
    pub fn inform(&mut self, stream: u32, head: &http::Response<()>, out: &mut Vec<u8>) -> Result<(), Misuse> {
        todo!()
    }
    /// Frames as much as the windows allow and returns how much; `Writable` tells when more fits. END_STREAM only with the last byte.
    pub fn send_data(&mut self, stream: u32, data: &[u8], end: End, out: &mut Vec<u8>) -> Result<usize, Misuse> {
        todo!()
    }
    pub fn send_trailers(&mut self, stream: u32, trailers: &HeaderMap, out: &mut Vec<u8>) -> Result<(), Misuse> {
        todo!()
    }
    /// The application took so many bytes of the stream's data.
    pub fn release(&mut self, stream: u32, octets: usize, out: &mut Vec<u8>) -> Result<(), Misuse> {
        todo!()
    }
    /// Ends one stream. What was not released is credited to the connection. No event names the stream afterwards.
    pub fn reset(&mut self, stream: u32, code: u32, out: &mut Vec<u8>) -> Result<(), Misuse> {
        todo!()
    }
    /// Sends a PING with this payload.
    pub fn ping(&mut self, payload: [u8; 8], now: Instant, out: &mut Vec<u8>) -> Result<(), Misuse> {
        todo!()
    }
    /// Takes no more streams: GOAWAY(NO_ERROR). Server: with 2^31-1 first, see `close`.
    pub fn drain(&mut self, out: &mut Vec<u8>) {
        todo!()
    }
    /// GOAWAY with the last stream processed.
    pub fn close(&mut self, out: &mut Vec<u8>) {
        todo!()
    }

    // getters
    pub fn open_streams(&self) -> usize {
        todo!()
    }
    pub fn peer_max_streams(&self) -> Option<u32> {
        todo!()
    }
    pub fn send_window(&self) -> i64 {
        todo!()
    }
    pub fn recv_window(&self) -> i64 {
        todo!()
    }
    pub fn rtt(&self) -> Option<Duration> {
        todo!()
    }
    /// Whether `open` can still succeed at some time.
    pub fn is_draining(&self) -> bool {
        todo!()
    }
    /// Whether the peer's SETTINGS enable the extended CONNECT (RFC 8441).
    pub fn extended_connect(&self) -> bool {
        todo!()
    }
    /// Whether the peer's first SETTINGS arrived.
    pub fn is_confirmed(&self) -> bool {
        todo!()
    }
}
