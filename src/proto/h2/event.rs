//! What the engine tells its caller.

use super::{Fields, Kind, RequestHead, ResponseHead, Violation};
use std::{fmt, time::Duration};

/// An error code of RST_STREAM and GOAWAY (RFC 9113, section 7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ErrorCode(pub u32);

impl ErrorCode {
    /// Nothing went wrong.
    pub const NO_ERROR: Self = Self(0x0);
    /// A rule of the protocol was broken.
    pub const PROTOCOL_ERROR: Self = Self(0x1);
    /// The sender of the code has a problem of its own.
    pub const INTERNAL_ERROR: Self = Self(0x2);
    /// More data than the window allowed, or a window above the maximum.
    pub const FLOW_CONTROL_ERROR: Self = Self(0x3);
    /// SETTINGS were not acknowledged in time.
    pub const SETTINGS_TIMEOUT: Self = Self(0x4);
    /// A frame after the end of its stream.
    pub const STREAM_CLOSED: Self = Self(0x5);
    /// A frame of a wrong size.
    pub const FRAME_SIZE_ERROR: Self = Self(0x6);
    /// The stream was not processed at all.
    pub const REFUSED_STREAM: Self = Self(0x7);
    /// The stream is not wanted any longer.
    pub const CANCEL: Self = Self(0x8);
    /// The tables of header compression are out of step.
    pub const COMPRESSION_ERROR: Self = Self(0x9);
    /// The connection behind a CONNECT failed.
    pub const CONNECT_ERROR: Self = Self(0xa);
    /// The peer behaves as if it meant harm.
    pub const ENHANCE_YOUR_CALM: Self = Self(0xb);
    /// The TLS below is not good enough.
    pub const INADEQUATE_SECURITY: Self = Self(0xc);
    /// The request has to be made in HTTP/1.1.
    pub const HTTP_1_1_REQUIRED: Self = Self(0xd);

    /// Returns the name the RFC gives the code.
    pub fn name(self) -> Option<&'static str> {
        const NAMES: [&str; 14] = [
            "NO_ERROR",
            "PROTOCOL_ERROR",
            "INTERNAL_ERROR",
            "FLOW_CONTROL_ERROR",
            "SETTINGS_TIMEOUT",
            "STREAM_CLOSED",
            "FRAME_SIZE_ERROR",
            "REFUSED_STREAM",
            "CANCEL",
            "COMPRESSION_ERROR",
            "CONNECT_ERROR",
            "ENHANCE_YOUR_CALM",
            "INADEQUATE_SECURITY",
            "HTTP_1_1_REQUIRED",
        ];
        NAMES.get(self.0 as usize).copied()
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "code {:#x}", self.0),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Data => "DATA",
            Self::Headers => "HEADERS",
            Self::Priority => "PRIORITY",
            Self::RstStream => "RST_STREAM",
            Self::Settings => "SETTINGS",
            Self::PushPromise => "PUSH_PROMISE",
            Self::Ping => "PING",
            Self::GoAway => "GOAWAY",
            Self::WindowUpdate => "WINDOW_UPDATE",
            Self::Continuation => "CONTINUATION",
            Self::Unknown(byte) => return write!(f, "a frame of type {byte}"),
        })
    }
}

/// What happened; borrows its payload from the input.
#[non_exhaustive]
#[derive(Debug, PartialEq, Eq)]
pub enum Event<'b> {
    /// Server: a request arrived on a new stream.
    Head {
        /// The stream.
        stream: u32,
        /// The head of the request.
        head: RequestHead,
    },
    /// Server: a request whose header list is larger than we take. [`refuse`](super::Connection::refuse) answers it; the next `poll_event`
    /// does if nobody has.
    Oversized {
        /// The stream.
        stream: u32,
        /// The head as far as it was understood, without its fields; `None` where that is not a request.
        head: Option<Box<RequestHead>>,
    },
    /// Client: a 1xx.
    Informational {
        /// The stream.
        stream: u32,
        /// The head of the response.
        head: ResponseHead,
    },
    /// Client: the final response.
    Answer {
        /// The stream.
        stream: u32,
        /// The head of the response.
        head: ResponseHead,
    },
    /// A piece of a body, never empty. The connection's window is credited by itself; the stream's is by
    /// [`release`](super::Connection::release).
    Data {
        /// The stream.
        stream: u32,
        /// The piece.
        data: &'b [u8],
    },
    /// The trailers; `Ended` follows.
    Trailers {
        /// The stream.
        stream: u32,
        /// The fields.
        trailers: Fields,
    },
    /// The peer ended its half of the stream (END_STREAM).
    Ended {
        /// The stream.
        stream: u32,
    },
    /// `send_data` of this stream, which took less than it was given, may take more now.
    Writable {
        /// The stream.
        stream: u32,
    },
    /// Client: the answer is complete and the server wants no more of the request: RST_STREAM(NO_ERROR) after `Ended`
    /// (RFC 9113, section 8.1). The stream is over; what was not released of it can still be.
    StopSending {
        /// The stream.
        stream: u32,
    },
    /// The stream is over: reset by the peer (`Reset`), refused by GOAWAY (`Refused`: above its last id, certainly not
    /// processed), or reset by us because the peer broke a rule of the stream (`Violated`). No further event names it.
    ///
    /// What was delivered and not released of it still counts: [`release`](super::Connection::release) it or
    /// [`reset`](super::Connection::reset) the stream. On a server the event may name a stream whose head was never
    /// delivered, because it was malformed.
    Failed {
        /// The stream.
        stream: u32,
        /// Why.
        failure: Failure,
    },
    /// `open` which was `Blocked` may find a slot now.
    SlotFree,
    /// A PING of ours was answered after so long.
    PingAcked {
        /// Its payload.
        payload: [u8; 8],
        /// The time between the two.
        rtt: Duration,
    },
    /// The peer's SETTINGS were applied and acknowledged.
    Settings,
    /// GOAWAY arrived. Streams above `last_id` follow as `Failed`.
    GoAway {
        /// The last stream that was or may be processed.
        last_id: u32,
        /// Why.
        code: ErrorCode,
        /// What the peer adds; not to be trusted, possibly long.
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

/// The answer of [`open`](super::Connection::open).
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
    /// The stream.
    pub stream: u32,
    /// How many bytes.
    pub bytes: usize,
}
