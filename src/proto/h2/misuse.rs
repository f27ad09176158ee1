//! What our caller did wrong; the command changed nothing.

use std::fmt;

/// The caller broke a rule; nothing was changed and nothing appended.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Misuse {
    /// `*` is the target of OPTIONS alone (RFC 9113, section 8.3.1).
    AsteriskWithoutOptions,
    /// Nothing that says whom the request is for: neither the URI nor Host has it (section 8.3.1).
    AuthorityMissing,
    /// The connection was ended by a violation, or is not this role's to use so.
    ConnectionOver,
    /// Content-Length where there is no body that could have one: in a 1xx (RFC 9110, section 8.6).
    ContentLengthForbidden,
    /// Content-Length is no number, or there more than once.
    ContentLengthInvalid,
    /// The body does not have the length that Content-Length announced, or that the answer may have (section 8.1.1).
    ContentLengthMismatch {
        /// What is left of it.
        left: u64,
        /// What was given.
        given: u64,
    },
    /// The peer did not enable the extended CONNECT, or the method is not CONNECT (RFC 8441, section 4).
    ExtendedConnect,
    /// Body or trailers before the head.
    HeadMissing {
        /// The stream.
        stream: u32,
    },
    /// A second head, or a 1xx after the final one.
    HeadSent {
        /// The stream.
        stream: u32,
    },
    /// More than the peer's SETTINGS_MAX_HEADER_LIST_SIZE (section 6.5.2).
    HeaderListTooLarge {
        /// The size of the list.
        size: usize,
        /// The most the peer takes.
        limit: usize,
    },
    /// A PING with this payload is not answered yet.
    PingInFlight,
    /// The stream does not exist, or is over.
    NoStream {
        /// The stream.
        stream: u32,
    },
    /// More was released than had arrived and was not released.
    ReleasedTooMuch {
        /// The stream.
        stream: u32,
        /// What was there.
        unread: usize,
        /// What was released.
        released: usize,
    },
    /// The request has no `:scheme`.
    SchemeMissing,
    /// Something is sent after the end.
    SendEnded {
        /// The stream.
        stream: u32,
    },
    /// A status that is not for this call: 1xx are for `inform`, 101 is for nobody (section 8.6).
    Status(u16),
    /// So many PINGs are not answered that another one makes no sense.
    TooManyPings,
    /// A field that cannot be a trailer (RFC 9110, section 6.5.1).
    TrailerForbidden,
    /// Only the other role does this.
    WrongRole,
}

impl fmt::Display for Misuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AsteriskWithoutOptions => f.write_str("the target * is for OPTIONS alone"),
            Self::AuthorityMissing => f.write_str("the request names no authority"),
            Self::ConnectionOver => f.write_str("the connection is over"),
            Self::ContentLengthForbidden => f.write_str("content-length where no body can follow"),
            Self::ContentLengthInvalid => f.write_str("content-length is not one number"),
            Self::ContentLengthMismatch { left, given } => {
                write!(f, "{given} bytes of a body of which {left} were left to send")
            }
            Self::ExtendedConnect => f.write_str("extended CONNECT without the peer's permission, or not with CONNECT"),
            Self::HeadMissing { stream } => write!(f, "stream {stream}: no head was sent yet"),
            Self::HeadSent { stream } => write!(f, "stream {stream}: the head was sent already"),
            Self::HeaderListTooLarge { size, limit } => {
                write!(f, "a header list of {size} bytes, the peer takes {limit}")
            }
            Self::PingInFlight => f.write_str("a PING with this payload is in flight"),
            Self::NoStream { stream } => write!(f, "stream {stream}: there is none, or it is over"),
            Self::ReleasedTooMuch { stream, unread, released } => {
                write!(f, "stream {stream}: released {released} bytes of {unread}")
            }
            Self::SchemeMissing => f.write_str("the request has no scheme"),
            Self::SendEnded { stream } => write!(f, "stream {stream}: the end was sent already"),
            Self::Status(status) => write!(f, "status {status} is not for this call"),
            Self::TooManyPings => f.write_str("too many PINGs are in flight"),
            Self::TrailerForbidden => f.write_str("a field that cannot be a trailer"),
            Self::WrongRole => f.write_str("only the other role does this"),
        }
    }
}

impl std::error::Error for Misuse {}
