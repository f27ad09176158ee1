//! What a peer did wrong, one variant per rule, and the code that tells it so.

use super::{ErrorCode, Kind, hpack};
use std::{fmt, time::Duration};

/// The peer broke a rule.
///
/// As the `Err` of a call it is the end of the connection, in [`Failure::Violated`](super::Failure::Violated) that of one
/// stream. Whether a rule concerns the stream or the connection is up to RFC 9113; a few (windows, increments) exist for both,
/// and stream 0 then stands for the connection.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Violation {
    /// The field section cannot be decompressed (section 4.3).
    Compression(hpack::Violation),
    /// Something else than CONTINUATION of the stream after a block that was not complete (section 6.10).
    ContinuationExpected {
        /// The stream whose block is not complete.
        stream: u32,
        /// The type of the frame that came.
        found: u8,
    },
    /// CONTINUATION without a block to continue (section 6.10).
    ContinuationUnexpected {
        /// Its stream.
        stream: u32,
    },
    /// SETTINGS_ENABLE_CONNECT_PROTOCOL other than 0 or 1 (RFC 8441, section 3).
    ConnectProtocolValue(u32),
    /// SETTINGS_ENABLE_CONNECT_PROTOCOL went from 1 to 0 (RFC 8441, section 3).
    ConnectProtocolWithdrawn,
    /// The data differs in length from what Content-Length said (section 8.1.1).
    ContentLength {
        /// The stream.
        stream: u32,
        /// How many bytes more (positive) or fewer (negative) than announced.
        off_by: i64,
    },
    /// DATA before the head of the message (section 8.1).
    DataBeforeHead {
        /// The stream.
        stream: u32,
    },
    /// A stream that depends on itself (RFC 7540, section 5.3.1): RFC 9113 leaves priorities out and the rule with them, but nobody
    /// breaks it who means well.
    DependsOnItself {
        /// The stream.
        stream: u32,
    },
    /// SETTINGS_ENABLE_PUSH other than 0 or 1, or 1 from a server (section 6.5.2).
    EnablePushValue(u32),
    /// The first frame is not SETTINGS (section 3.4).
    FirstFrameNotSettings {
        /// Its type.
        found: u8,
    },
    /// So many frames of a kind that harm must be meant (section 10.5).
    Flood(Flood),
    /// HEADERS or DATA after END_STREAM (section 5.1).
    FrameAfterEnd {
        /// The stream.
        stream: u32,
    },
    /// The length of the payload does not fit the type of the frame (sections 4.2 and 6).
    FrameLength {
        /// The type.
        kind: u8,
        /// The length.
        length: usize,
    },
    /// A frame longer than our SETTINGS_MAX_FRAME_SIZE (section 4.2).
    FrameTooLarge {
        /// Its length.
        length: usize,
        /// The most allowed.
        limit: usize,
    },
    /// A second GOAWAY names a higher stream than the first (section 6.8).
    GoAwayRaised {
        /// The stream it names.
        last: u32,
        /// The stream named before.
        before: u32,
    },
    /// A compressed block of more bytes than are held.
    HeaderBlockTooLarge {
        /// The most that is held.
        limit: usize,
    },
    /// A field section above our SETTINGS_MAX_HEADER_LIST_SIZE (section 10.5.1).
    HeaderListTooLarge {
        /// The stream.
        stream: u32,
        /// The most allowed.
        limit: usize,
    },
    /// A frame that nothing but HEADERS or PRIORITY may precede, on a stream that was never opened (section 5.1).
    IdleStream {
        /// The stream.
        stream: u32,
        /// The type of the frame.
        kind: u8,
    },
    /// WINDOW_UPDATE by zero (section 6.9).
    IncrementZero {
        /// The stream, or 0.
        stream: u32,
    },
    /// A 1xx that ends the stream (section 8.1).
    InformationalEndsStream {
        /// The stream.
        stream: u32,
    },
    /// SETTINGS_INITIAL_WINDOW_SIZE above 2^31 - 1 (section 6.5.2).
    InitialWindowValue(u32),
    /// The head or the trailers are malformed (sections 8.1.1 to 8.5).
    Malformed {
        /// The stream.
        stream: u32,
        /// Which rule was broken.
        rule: Malformed,
    },
    /// SETTINGS_MAX_FRAME_SIZE outside of 2^14 to 2^24 - 1 (section 6.5.2).
    MaxFrameValue(u32),
    /// A frame of the whole connection on a stream (sections 6.5, 6.7, 6.8).
    NotOnStream {
        /// The type of the frame.
        kind: u8,
        /// The stream.
        stream: u32,
    },
    /// A frame of a stream on stream 0 (sections 6.1 to 6.4, 6.10).
    OnStreamZero {
        /// The type of the frame.
        kind: u8,
    },
    /// Padding as long as the rest of the payload, or longer (sections 6.1 and 6.2).
    PaddingTooLong {
        /// The stream.
        stream: u32,
        /// The length of the padding.
        padding: usize,
        /// The length of what it has to fit in.
        length: usize,
    },
    /// The peer answers in HTTP/1.
    PeerSpokeHttp1 {
        /// The status of its answer.
        status: Option<u16>,
    },
    /// A PING was not answered, and nothing else came in.
    PingUnanswered {
        /// For how long.
        after: Duration,
    },
    /// A client's first bytes are not the preface (section 3.4).
    Preface,
    /// PUSH_PROMISE, which our SETTINGS forbid (section 6.6) and a client may never send (section 8.4).
    PushPromise,
    /// The peer does not take the answers it asks for.
    RepliesUnsent {
        /// How many bytes of them are unsent.
        bytes: usize,
    },
    /// An acknowledgement of SETTINGS that were not sent (section 6.5.3).
    SettingsAckUnexpected,
    /// Our SETTINGS were not acknowledged (section 6.5.3).
    SettingsUnanswered {
        /// For how long.
        after: Duration,
    },
    /// A client uses an id that is taken, or lower than one it used (section 5.1.1).
    StreamIdNotNew {
        /// The id.
        stream: u32,
        /// The highest used before.
        last: u32,
    },
    /// HEADERS on an even stream, which only a promise could open (section 5.1.1).
    StreamIdEven {
        /// The id.
        stream: u32,
    },
    /// More streams than our SETTINGS_MAX_CONCURRENT_STREAMS (section 5.1.2).
    StreamsTooMany {
        /// The stream.
        stream: u32,
        /// The most allowed.
        limit: u32,
    },
    /// More informational responses to one request than anyone needs.
    TooManyInformational {
        /// The stream.
        stream: u32,
        /// The most allowed.
        limit: u16,
    },
    /// Trailers on a stream that CONNECT made a tunnel (section 8.5).
    TrailersInTunnel {
        /// The stream.
        stream: u32,
    },
    /// Trailers without END_STREAM (section 8.1).
    TrailersWithoutEnd {
        /// The stream.
        stream: u32,
    },
    /// The connection ended within a frame, or with streams that had no end.
    Truncated {
        /// The bytes of the frame that were there.
        bytes: usize,
        /// The streams without an end.
        streams: usize,
    },
    /// More data than the window allows (section 6.9.1).
    WindowExceeded {
        /// The stream, or 0.
        stream: u32,
        /// How much came.
        length: usize,
        /// How much was allowed.
        window: i64,
    },
    /// A window above 2^31 - 1 (section 6.9.1).
    WindowOverflow {
        /// The stream, or 0.
        stream: u32,
    },
}

/// A rule of heads and trailers.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// `:authority` and Host differ (section 8.3.1).
    AuthorityMismatch,
    /// A user name or password in `:authority` (section 8.3.1).
    AuthorityUserinfo,
    /// CONNECT with `:scheme` or `:path`, or without `:authority` (section 8.5).
    ConnectForm,
    /// A field that belongs to a connection of HTTP/1 (section 8.2.2).
    ConnectionSpecific,
    /// Content-Length is no number, or several different ones (section 8.1.1).
    ContentLength,
    /// A character that names may not have, as are upper case letters (section 8.2.1).
    FieldName,
    /// A character that values may not have, or whitespace around one (section 8.2.1).
    FieldValue,
    /// `:method` is no method (section 8.3.1).
    Method,
    /// `:path` is empty or does not begin with a slash; `*` is for OPTIONS alone (section 8.3.1).
    Path,
    /// `:protocol` without CONNECT, or without our SETTINGS_ENABLE_CONNECT_PROTOCOL (RFC 8441, section 4).
    Protocol,
    /// A pseudo-header field behind a field (section 8.3).
    PseudoAfterField,
    /// A pseudo-header field in trailers (section 8.1).
    PseudoInTrailers,
    /// A pseudo-header field that has to be there is not (section 8.3).
    PseudoMissing,
    /// A pseudo-header field twice (section 8.3).
    PseudoRepeated,
    /// A pseudo-header field that does not exist, or not in this direction (section 8.3).
    PseudoUnknown,
    /// `:status` is no status (section 8.3.2).
    Status,
    /// Status 101, which HTTP/2 does not have (section 8.6).
    SwitchingProtocols,
    /// `:scheme`, `:authority` and `:path` make no URI (section 8.3.1).
    Target,
    /// TE with anything but `trailers` (section 8.2.2).
    Te,
    /// A field in trailers that says how long the body is, or whom the request is for (RFC 9110, section 6.5.1).
    Trailer,
}

/// What came too often (section 10.5).
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flood {
    /// CONTINUATION frames of one block.
    Continuation,
    /// DATA frames without data and without END_STREAM.
    EmptyData,
    /// GOAWAY frames.
    GoAway,
    /// Header lists above our limit, each counted by how far.
    HeaderList,
    /// Frames of types that are not known, and such as concern nothing: answers to PINGs that were not sent, RST_STREAM for
    /// streams that are over.
    Ignored,
    /// PING frames.
    Ping,
    /// PRIORITY frames.
    Priority,
    /// Streams that were reset, by the peer or because of what it did.
    Reset,
    /// SETTINGS frames.
    Settings,
    /// WINDOW_UPDATE frames.
    WindowUpdate,
}

impl Violation {
    /// Returns the code that GOAWAY or RST_STREAM carries.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Compression(_) => ErrorCode::COMPRESSION_ERROR,
            Self::FrameAfterEnd { .. } => ErrorCode::STREAM_CLOSED,
            Self::FrameLength { .. } | Self::FrameTooLarge { .. } => ErrorCode::FRAME_SIZE_ERROR,
            Self::InitialWindowValue(_) | Self::WindowExceeded { .. } | Self::WindowOverflow { .. } => {
                ErrorCode::FLOW_CONTROL_ERROR
            }
            Self::Flood(_)
            | Self::HeaderBlockTooLarge { .. }
            | Self::HeaderListTooLarge { .. }
            | Self::RepliesUnsent { .. }
            | Self::TooManyInformational { .. } => ErrorCode::ENHANCE_YOUR_CALM,
            Self::SettingsUnanswered { .. } => ErrorCode::SETTINGS_TIMEOUT,
            Self::StreamsTooMany { .. } => ErrorCode::REFUSED_STREAM,
            // Nothing was said that is wrong; the peer, if it still hears, learns that the connection is over.
            Self::PingUnanswered { .. } | Self::Truncated { .. } => ErrorCode::NO_ERROR,
            Self::ConnectProtocolValue(_)
            | Self::ConnectProtocolWithdrawn
            | Self::ContentLength { .. }
            | Self::ContinuationExpected { .. }
            | Self::ContinuationUnexpected { .. }
            | Self::DataBeforeHead { .. }
            | Self::DependsOnItself { .. }
            | Self::EnablePushValue(_)
            | Self::FirstFrameNotSettings { .. }
            | Self::GoAwayRaised { .. }
            | Self::IdleStream { .. }
            | Self::IncrementZero { .. }
            | Self::InformationalEndsStream { .. }
            | Self::Malformed { .. }
            | Self::MaxFrameValue(_)
            | Self::NotOnStream { .. }
            | Self::OnStreamZero { .. }
            | Self::PaddingTooLong { .. }
            | Self::PeerSpokeHttp1 { .. }
            | Self::Preface
            | Self::PushPromise
            | Self::SettingsAckUnexpected
            | Self::StreamIdEven { .. }
            | Self::StreamIdNotNew { .. }
            | Self::TrailersInTunnel { .. }
            | Self::TrailersWithoutEnd { .. } => ErrorCode::PROTOCOL_ERROR,
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = |byte: &u8| Kind::of(*byte);
        match self {
            Self::Compression(violation) => write!(f, "{violation}"),
            Self::ConnectProtocolValue(value) => write!(f, "SETTINGS_ENABLE_CONNECT_PROTOCOL of {value}"),
            Self::ConnectProtocolWithdrawn => f.write_str("SETTINGS_ENABLE_CONNECT_PROTOCOL went from 1 to 0"),
            Self::ContentLength { stream, off_by } if *off_by < 0 => {
                write!(f, "stream {stream}: {} bytes fewer than content-length", off_by.unsigned_abs())
            }
            Self::ContentLength { stream, off_by } => {
                write!(f, "stream {stream}: {off_by} bytes more than content-length")
            }
            Self::ContinuationExpected { stream, found } => {
                write!(f, "{} where CONTINUATION of stream {stream} was due", kind(found))
            }
            Self::ContinuationUnexpected { stream } => {
                write!(f, "stream {stream}: CONTINUATION without a block to continue")
            }
            Self::DataBeforeHead { stream } => write!(f, "stream {stream}: DATA before the head"),
            Self::DependsOnItself { stream } => write!(f, "stream {stream} depends on itself"),
            Self::EnablePushValue(value) => write!(f, "SETTINGS_ENABLE_PUSH of {value}"),
            Self::FirstFrameNotSettings { found } if *found == Kind::Settings.byte() => {
                f.write_str("the first frame is an acknowledgement of SETTINGS, not SETTINGS")
            }
            Self::FirstFrameNotSettings { found } => write!(f, "the first frame is {}, not SETTINGS", kind(found)),
            Self::Flood(flood) => write!(f, "too many {flood}"),
            Self::FrameAfterEnd { stream } => write!(f, "stream {stream}: a frame after END_STREAM"),
            Self::FrameLength { kind: byte, length } => write!(f, "{} of {length} bytes", kind(byte)),
            Self::FrameTooLarge { length, limit } => write!(f, "a frame of {length} bytes, {limit} are allowed"),
            Self::GoAwayRaised { last, before } => write!(f, "GOAWAY raised its last stream from {before} to {last}"),
            Self::HeaderBlockTooLarge { limit } => write!(f, "a header block of more than {limit} bytes"),
            Self::HeaderListTooLarge { stream, limit } => {
                write!(f, "stream {stream}: a header list of more than {limit} bytes")
            }
            Self::IdleStream { stream, kind: byte } => {
                write!(f, "stream {stream}: {} before it was opened", kind(byte))
            }
            Self::IncrementZero { stream } => write!(f, "stream {stream}: WINDOW_UPDATE by 0"),
            Self::InformationalEndsStream { stream } => write!(f, "stream {stream}: a 1xx with END_STREAM"),
            Self::InitialWindowValue(value) => write!(f, "SETTINGS_INITIAL_WINDOW_SIZE of {value}"),
            Self::Malformed { stream, rule } => write!(f, "stream {stream}: {rule}"),
            Self::MaxFrameValue(value) => write!(f, "SETTINGS_MAX_FRAME_SIZE of {value}"),
            Self::NotOnStream { kind: byte, stream } => write!(f, "{} on stream {stream}", kind(byte)),
            Self::OnStreamZero { kind: byte } => write!(f, "{} on stream 0", kind(byte)),
            Self::PaddingTooLong { stream, padding, length } => {
                write!(f, "stream {stream}: {padding} bytes of padding in {length} bytes")
            }
            Self::PeerSpokeHttp1 { status: Some(status) } => write!(f, "the peer answered in HTTP/1: {status}"),
            Self::PeerSpokeHttp1 { status: None } => f.write_str("the peer answered in HTTP/1"),
            Self::PingUnanswered { after } => write!(f, "no byte within {after:?} of a PING"),
            Self::Preface => f.write_str("the first bytes are not the preface of HTTP/2"),
            Self::PushPromise => f.write_str("PUSH_PROMISE, which is not allowed"),
            Self::RepliesUnsent { bytes } => write!(f, "{bytes} bytes of replies that the peer does not take"),
            Self::SettingsAckUnexpected => f.write_str("an acknowledgement of SETTINGS that were not sent"),
            Self::SettingsUnanswered { after } => write!(f, "SETTINGS not acknowledged within {after:?}"),
            Self::StreamIdNotNew { stream, last } => write!(f, "stream {stream} opened after stream {last}"),
            Self::StreamIdEven { stream } => write!(f, "stream {stream}: HEADERS on an even stream"),
            Self::StreamsTooMany { stream, limit } => {
                write!(f, "stream {stream}: more than {limit} streams at a time")
            }
            Self::TooManyInformational { stream, limit } => {
                write!(f, "stream {stream}: more than {limit} informational responses")
            }
            Self::TrailersInTunnel { stream } => write!(f, "stream {stream}: trailers in a tunnel"),
            Self::TrailersWithoutEnd { stream } => write!(f, "stream {stream}: trailers without END_STREAM"),
            Self::Truncated { bytes: 0, streams } => write!(f, "the peer left with {streams} streams open"),
            Self::Truncated { bytes, streams } => {
                write!(f, "the peer left within a frame, after {bytes} bytes of it, with {streams} streams open")
            }
            Self::WindowExceeded { stream: 0, length, window } => {
                write!(f, "{length} bytes of data in a connection window of {window}")
            }
            Self::WindowExceeded { stream, length, window } => {
                write!(f, "stream {stream}: {length} bytes of data in a window of {window}")
            }
            Self::WindowOverflow { stream: 0 } => f.write_str("a connection window above 2^31 - 1"),
            Self::WindowOverflow { stream } => write!(f, "stream {stream}: a window above 2^31 - 1"),
        }
    }
}

impl std::error::Error for Violation {}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AuthorityMismatch => ":authority and host differ",
            Self::AuthorityUserinfo => "user information in :authority",
            Self::ConnectForm => "CONNECT needs :authority, and neither :scheme nor :path",
            Self::ConnectionSpecific => "a field of HTTP/1 connections",
            Self::ContentLength => "content-length is not one number",
            Self::FieldName => "a field name with a forbidden character",
            Self::FieldValue => "a field value with a forbidden character",
            Self::Method => ":method is not a method",
            Self::Path => ":path is not a path",
            Self::Protocol => ":protocol where it is not allowed",
            Self::PseudoAfterField => "a pseudo-header field behind a field",
            Self::PseudoInTrailers => "a pseudo-header field in trailers",
            Self::PseudoMissing => "a pseudo-header field is missing",
            Self::PseudoRepeated => "a pseudo-header field is repeated",
            Self::PseudoUnknown => "an unknown pseudo-header field",
            Self::Status => ":status is not a status",
            Self::SwitchingProtocols => "status 101, which HTTP/2 does not have",
            Self::Target => "the target is not a URI",
            Self::Te => "te with anything but trailers",
            Self::Trailer => "a trailer field that changes framing or routing",
        })
    }
}

impl fmt::Display for Flood {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Continuation => "CONTINUATION frames",
            Self::EmptyData => "DATA frames without data",
            Self::GoAway => "GOAWAY frames",
            Self::HeaderList => "header lists that are too large",
            Self::Ignored => "frames that concern nothing",
            Self::Ping => "PING frames",
            Self::Priority => "PRIORITY frames",
            Self::Reset => "reset streams",
            Self::Settings => "SETTINGS frames",
            Self::WindowUpdate => "WINDOW_UPDATE frames",
        })
    }
}
