//! Why an exchange or a connection ended before its time, as the drivers tell it: cheap to clone, no text made in vain.

use super::info::CloseReason;
use crate::error::{Error, ErrorKind};
use std::{fmt, io, sync::Arc};

/// Why a connection is over; every exchange on it that was not complete gets a copy.
#[derive(Clone, Debug)]
pub(crate) struct Cause {
    pub(crate) kind: ErrorKind,
    pub(crate) reason: CloseReason,
    message: Arc<str>,
    io: Option<io::ErrorKind>,
    /// The status of an HTTP/1 answer, where HTTP/2 was required.
    pub(crate) http1_status: Option<http::StatusCode>,
    /// The peer understands HTTP/2 alone, where it was sent HTTP/1.
    pub(crate) needs_http2: bool,
}

impl Cause {
    pub(crate) fn new(kind: ErrorKind, reason: CloseReason, message: impl fmt::Display) -> Self {
        Cause { kind, reason, message: message.to_string().into(), io: None, http1_status: None, needs_http2: false }
    }

    /// The peer ended the connection; what was open on it is cut.
    pub(crate) fn closed_by_peer() -> Self {
        Self::new(ErrorKind::Closed, CloseReason::ByPeer, "the peer closed the connection")
    }

    /// The operating system says that the connection is over.
    pub(crate) fn io(doing: &str, e: &io::Error) -> Self {
        use io::ErrorKind as K;
        let by_peer = matches!(e.kind(), K::ConnectionReset | K::ConnectionAborted | K::BrokenPipe | K::UnexpectedEof);
        let (kind, reason) = match by_peer {
            true => (ErrorKind::Closed, CloseReason::ByPeer),
            false => (ErrorKind::Io, CloseReason::Error),
        };
        Cause { io: Some(e.kind()), ..Self::new(kind, reason, format_args!("{doing}: {e}")) }
    }

    /// The peer broke a rule that ends the connection.
    pub(crate) fn violation(violation: impl fmt::Display) -> Self {
        Self::new(ErrorKind::PeerViolation, CloseReason::Violation, violation)
    }

    /// What a peer said first is no HTTP/1, but how a server of HTTP/2 begins whatever it is sent (RFC 9113, section 3.4): with SETTINGS,
    /// of whole settings, on stream 0, and no ACK.
    pub(crate) fn from_http2(first: &[u8]) -> Option<Self> {
        let [0, high, low, 4, 0, 0, 0, 0, 0, ..] = first else { return None };
        if u16::from_be_bytes([*high, *low]) % 6 != 0 {
            return None;
        }
        let text = "the peer speaks HTTP/2: it began with SETTINGS, and was sent a request in HTTP/1";
        Some(Cause { needs_http2: true, ..Self::violation(text) })
    }

    /// The peer had said GOAWAY with this code before.
    pub(crate) fn announced(mut self, code: u32) -> Self {
        if code != NO_ERROR {
            self.message = format!("{}, after GOAWAY with {}", self.message, Code(code)).into();
        }
        self
    }

    /// The program ended the connection.
    pub(crate) fn shutdown() -> Self {
        Self::new(ErrorKind::Cancelled, CloseReason::Shutdown, "the connection was shut down by the program")
    }

    /// Returns the error of an exchange that this ended.
    pub(crate) fn to_error(&self) -> Error {
        let mut error = Error::with(self.kind, &*self.message);
        if let Some(status) = self.http1_status {
            error = error.attach(Http1Status(status));
        }
        match self.io {
            Some(kind) => error.with_source(io::Error::from(kind)),
            None => error,
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// What an error holds besides, where HTTP/2 was required and the peer answered in HTTP/1.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Http1Status(pub(crate) http::StatusCode);

/// What an error holds besides: whether the connection had served before.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reused(pub(crate) bool);

/// Why one exchange is over before its end.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// Our own caller asked for what makes no sense now.
    Misuse(Arc<str>),
    /// The connection ended.
    Over(Cause),
    /// Above the last id of a GOAWAY: certainly not processed. The code tells whether the peer was in trouble.
    Refused(u32),
    /// The peer reset the stream, with this code.
    Reset(u32),
    /// The stream ended for another reason: most often the peer broke a rule of it, and it was reset.
    Failed(ErrorKind, Arc<str>),
}

impl Fault {
    /// Returns whether the peer has said that it did not act on the request (RFC 9113, section 8.7).
    pub(crate) fn is_unprocessed(&self) -> bool {
        matches!(self, Fault::Refused(_) | Fault::Reset(REFUSED_STREAM | HTTP_1_1_REQUIRED))
    }

    /// Returns the error that its user sees.
    pub(crate) fn to_error(&self) -> Error {
        match self {
            Fault::Misuse(text) => Error::with(ErrorKind::Misuse, &**text),
            Fault::Over(cause) => cause.to_error(),
            Fault::Refused(code) => Error::with(
                ErrorKind::Refused,
                format!("the peer said GOAWAY with {} and did not take the request", Code(*code)),
            ),
            Fault::Reset(REFUSED_STREAM) => {
                Error::with(ErrorKind::Refused, "the peer refused the stream without processing it")
            }
            Fault::Reset(code) => {
                Error::with(ErrorKind::Reset, format!("the peer reset the stream with {}", Code(*code)))
            }
            Fault::Failed(kind, text) => Error::with(*kind, &**text),
        }
    }
}

/// Said where our own side ended an exchange.
pub(crate) const GIVEN_UP: &str = "the exchange was given up";

/// RFC 9113, section 7.
pub(crate) const NO_ERROR: u32 = 0;
pub(crate) const INTERNAL_ERROR: u32 = 2;
pub(crate) const REFUSED_STREAM: u32 = 7;
pub(crate) const CANCEL: u32 = 8;
pub(crate) const ENHANCE_YOUR_CALM: u32 = 11;
pub(crate) const HTTP_1_1_REQUIRED: u32 = 13;

/// An error code of HTTP/2 by its name.
struct Code(u32);

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
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
        match usize::try_from(self.0).ok().and_then(|code| NAMES.get(code)) {
            Some(name) => f.write_str(name),
            None => write!(f, "code {}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_peer_announced_is_in_the_message() {
        for (code, expected) in [
            (NO_ERROR, "it left"),
            (ENHANCE_YOUR_CALM, "it left, after GOAWAY with ENHANCE_YOUR_CALM"),
            (99, "it left, after GOAWAY with code 99"),
        ] {
            let cause = Cause::new(ErrorKind::Closed, CloseReason::ByPeer, "it left").announced(code);
            assert_eq!(cause.to_error().to_string(), expected);
        }
        let refused = Fault::Refused(INTERNAL_ERROR).to_error().to_string();
        assert_eq!(refused, "the peer said GOAWAY with INTERNAL_ERROR and did not take the request");
    }
}
