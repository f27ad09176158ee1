//! Whose fault it was: the peer's or the caller's, one variant per rule.

use http::StatusCode;
use std::fmt;

/// The rule that the peer broke; the connection ends with it.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Violation {
    // lines
    /// A CR that no LF follows (RFC 9112, section 2.2).
    BareCr,
    /// A line that ends with LF alone (RFC 9112, section 2.2).
    BareLf,
    /// The first bytes cannot begin an HTTP/1 message: another protocol is spoken, such as HTTP/2 or TLS.
    NotHttp,
    /// More empty lines than are ignored before a request line (RFC 9112, section 2.2).
    TooManyEmptyLines,

    // start lines
    /// The method is not a token (RFC 9110, section 9.1).
    MethodInvalid,
    /// The method alone exceeds the limit of the request line (RFC 9112, section 3).
    MethodTooLong {
        /// The most bytes allowed.
        limit: usize,
    },
    /// The request line does not have three parts (RFC 9112, section 3).
    RequestLineInvalid,
    /// The status is not a number of three digits from 100 (RFC 9110, section 15).
    StatusInvalid,
    /// The status line is not version, status and reason (RFC 9112, section 4).
    StatusLineInvalid,
    /// The target has none of the four forms, or not the one for its method (RFC 9112, section 3.2).
    TargetInvalid,
    /// The request line exceeds the limit (RFC 9112, section 3).
    TargetTooLong {
        /// The most bytes allowed.
        limit: usize,
    },
    /// A blank in the target (RFC 9112, section 3.2).
    TargetWhitespace,
    /// Not `HTTP/`, digit, dot, digit (RFC 9112, section 2.3).
    VersionInvalid,
    /// A major version other than 1 (RFC 9110, section 15.6.6).
    VersionUnsupported,

    // fields
    /// A line that begins with a blank continues the one before (RFC 9112, section 5.2).
    FieldFolded,
    /// A field name of no bytes (RFC 9112, section 5).
    FieldNameEmpty,
    /// A field name that is not a token (RFC 9112, section 5).
    FieldNameInvalid,
    /// Blanks between a field name and its colon (RFC 9112, section 5.1).
    FieldNameWhitespace,
    /// A control character in a field value, NUL among them (RFC 9110, section 5.5).
    FieldValueInvalid,
    /// A field line without a colon (RFC 9112, section 5).
    FieldWithoutColon,
    /// A blank between the start line and the first field (RFC 9112, section 2.2).
    FieldsIndented,
    /// The head exceeds the limit.
    HeadTooLarge {
        /// The most bytes allowed.
        limit: usize,
    },
    /// More fields than the limit.
    TooManyFields {
        /// The most fields allowed.
        limit: usize,
    },

    // Host
    /// A Host that is not a host with an optional port (RFC 9112, section 3.2).
    HostInvalid,
    /// A request of HTTP/1.1 without Host (RFC 9112, section 3.2).
    HostMissing,
    /// More than one Host (RFC 9112, section 3.2).
    HostRepeated,

    // framing
    /// A Transfer-Encoding that is not a list of tokens (RFC 9112, section 6.1).
    CodingInvalid,
    /// Transfer-Encoding in a message of HTTP/1.0 (RFC 9112, section 6.1).
    CodingInHttp10,
    /// A Transfer-Encoding whose last coding is not chunked (RFC 9112, section 6.3).
    CodingNotChunked,
    /// Chunked applied twice (RFC 9112, section 6.1).
    CodingRepeated,
    /// A transfer coding other than chunked (RFC 9112, section 6.1).
    CodingUnknown,
    /// CONNECT with a body (RFC 9110, section 9.3.6).
    ConnectBody,
    /// Two different values of Content-Length (RFC 9112, section 6.3).
    ContentLengthConflict,
    /// A Content-Length that is not digits (RFC 9110, section 8.6).
    ContentLengthInvalid,
    /// A Content-Length above 2^64 - 1 (RFC 9110, section 8.6).
    ContentLengthOverflow,
    /// A request with the same Content-Length twice (RFC 9112, section 6.3, allows to refuse it).
    ContentLengthRepeated,
    /// Both Content-Length and Transfer-Encoding (RFC 9112, section 6.3).
    LengthAndCoding,

    // chunks
    /// A chunk extension that breaks the grammar (RFC 9112, section 7.1.1).
    ChunkExtensionInvalid,
    /// More bytes of chunk extensions than the limit (RFC 9112, section 7.1.1).
    ChunkExtensionsTooLong {
        /// The most bytes allowed in one body.
        limit: usize,
    },
    /// A chunk size that does not begin with a hexadecimal digit, or is followed by something else than its extension
    /// or CRLF (RFC 9112, section 7.1).
    ChunkSizeInvalid,
    /// A chunk size of more than 16 digits (RFC 9112, section 7.1).
    ChunkSizeTooLong,
    /// A chunk that CRLF does not follow (RFC 9112, section 7.1).
    ChunkUnterminated,
    /// A trailer field that changes framing or routing (RFC 9110, section 6.5.1).
    TrailerForbidden,
    /// The trailers exceed the limit.
    TrailersTooLarge {
        /// The most bytes allowed.
        limit: usize,
    },

    // exchanges
    /// Client: more 1xx responses than the limit.
    TooManyInformational {
        /// The most allowed.
        limit: usize,
    },
    /// Client: bytes without a request that they could answer (RFC 9112, section 9.2).
    Unsolicited,
    /// Client: a 101 to a request without Upgrade (RFC 9110, section 7.8).
    UpgradeUnasked,

    // the end
    /// Client: the connection ended before the first byte of a response.
    EndBeforeHead,
    /// The connection ended within a body (RFC 9112, section 8).
    EndInBody,
    /// The connection ended within a head (RFC 9112, section 8).
    EndInHead,
}

impl Violation {
    /// Returns the status with which a server answers it.
    pub fn status(&self) -> StatusCode {
        use Violation as V;
        match self {
            V::TargetTooLong { .. } => StatusCode::URI_TOO_LONG,
            V::HeadTooLarge { .. } | V::TooManyFields { .. } | V::TrailersTooLarge { .. } => {
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE
            }
            V::CodingUnknown | V::MethodTooLong { .. } => StatusCode::NOT_IMPLEMENTED,
            V::VersionUnsupported => StatusCode::HTTP_VERSION_NOT_SUPPORTED,
            _ => StatusCode::BAD_REQUEST,
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use Violation as V;
        f.write_str(match self {
            V::BareCr => "a CR without LF",
            V::BareLf => "a line that ends with LF instead of CRLF",
            V::NotHttp => "the first bytes are not HTTP/1",
            V::TooManyEmptyLines => "too many empty lines before a request",
            V::MethodInvalid => "the method is not a token",
            V::MethodTooLong { limit } => return write!(f, "a method of more than {limit} bytes"),
            V::RequestLineInvalid => "the request line is not method, target and version",
            V::StatusInvalid => "the status is not a number from 100 to 999",
            V::StatusLineInvalid => "the status line is not version, status and reason",
            V::TargetInvalid => "the target of the request is not allowed with its method, or is not a URI",
            V::TargetTooLong { limit } => return write!(f, "a request line of more than {limit} bytes"),
            V::TargetWhitespace => "a blank in the target of the request",
            V::VersionInvalid => "the version is not HTTP/ and two digits with a dot",
            V::VersionUnsupported => "the version of the message is not HTTP/1",
            V::FieldFolded => "a folded field line",
            V::FieldNameEmpty => "a field without a name",
            V::FieldNameInvalid => "a field name that is not a token",
            V::FieldNameWhitespace => "blanks between a field name and its colon",
            V::FieldValueInvalid => "a control character in a field value",
            V::FieldWithoutColon => "a field line without a colon",
            V::FieldsIndented => "a blank before the first field",
            V::HeadTooLarge { limit } => return write!(f, "a head of more than {limit} bytes"),
            V::TooManyFields { limit } => return write!(f, "more than {limit} fields"),
            V::HostInvalid => "the Host field is not a host with an optional port",
            V::HostMissing => "no Host field",
            V::HostRepeated => "more than one Host field",
            V::CodingInvalid => "the Transfer-Encoding field is not a list of codings",
            V::CodingInHttp10 => "Transfer-Encoding in a message of HTTP/1.0",
            V::CodingNotChunked => "the last transfer coding is not chunked",
            V::CodingRepeated => "chunked applied twice",
            V::CodingUnknown => "a transfer coding other than chunked",
            V::ConnectBody => "a CONNECT request with a body",
            V::ContentLengthConflict => "two different values of Content-Length",
            V::ContentLengthInvalid => "the Content-Length is not a number",
            V::ContentLengthOverflow => "the Content-Length exceeds 2^64 - 1",
            V::ContentLengthRepeated => "more than one Content-Length",
            V::LengthAndCoding => "both Content-Length and Transfer-Encoding",
            V::ChunkExtensionInvalid => "a chunk extension that breaks the grammar",
            V::ChunkExtensionsTooLong { limit } => return write!(f, "more than {limit} bytes of chunk extensions"),
            V::ChunkSizeInvalid => "a chunk size that is not a hexadecimal number",
            V::ChunkSizeTooLong => "a chunk size of more than 16 digits",
            V::ChunkUnterminated => "a chunk that CRLF does not follow",
            V::TrailerForbidden => "a trailer field that changes framing or routing",
            V::TrailersTooLarge { limit } => return write!(f, "trailers of more than {limit} bytes"),
            V::TooManyInformational { limit } => return write!(f, "more than {limit} informational responses"),
            V::Unsolicited => "bytes that answer no request",
            V::UpgradeUnasked => "101 to a request without Upgrade",
            V::EndBeforeHead => "the connection ended before a response",
            V::EndInBody => "the connection ended within a body",
            V::EndInHead => "the connection ended within a head",
        })
    }
}

impl std::error::Error for Violation {}

/// What the caller asked for and may not have; nothing changed.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Misuse {
    /// The URI has no authority and the fields no Host.
    AuthorityMissing,
    /// More bytes than the length that the head declared.
    BeyondLength {
        /// The bytes still allowed.
        left: u64,
        /// The bytes given.
        given: usize,
    },
    /// A body with 205, or a body or its length with 204, 101, or 2xx to CONNECT (RFC 9110, sections 8.6 and 15.3.6).
    BodyForbidden,
    /// The fields have a Content-Length that is not the length of the body, or have it twice.
    ContentLengthDisagrees,
    /// Data for a message that is complete, or that has no body.
    DataAfterEnd,
    /// `Expect: 100-continue` without a body (RFC 9110, section 10.1.1).
    ExpectWithoutBody,
    /// The messages of this exchange are not both complete.
    ExchangeOpen,
    /// The name of an original field is no token, or its value has control characters.
    FieldInvalid,
    /// More than one Host.
    HostRepeated,
    /// A 1xx to a peer of HTTP/1.0 (RFC 9110, section 15.2).
    InformationalToHttp10,
    /// Data or trailers before a head.
    NoHead,
    /// A response to no request.
    NoRequest,
    /// The connection does not persist.
    NotPersistent,
    /// The connection failed, ended, or speaks another protocol.
    Over,
    /// CONNECT without a port, and no scheme to derive it from (RFC 9112, section 3.2.3).
    PortMissing,
    /// A target in absolute form needs a scheme.
    SchemeMissing,
    /// The last data came before the length that the head declared.
    ShortOfLength {
        /// The bytes that are missing.
        left: u64,
    },
    /// A status that this call does not send: 1xx other than 101 is for `send_informational`, all others for
    /// `send_response`.
    StatusInvalid,
    /// The target `*` is for OPTIONS only (RFC 9112, section 3.2.4).
    TargetAsterisk,
    /// A trailer field that must not be one (RFC 9110, section 6.5.1).
    TrailerForbidden,
    /// Trailers behind a body that is not chunked (RFC 9112, section 7.1.2).
    TrailersNotChunked,
    /// The fields have Transfer-Encoding, which [`Length`](super::Length) decides.
    TransferEncodingSet,
    /// 101 to a request that did not ask for an upgrade (RFC 9110, section 7.8).
    UpgradeUnasked,
    /// A body of unknown length to be sent in HTTP/1.0, which has no chunks.
    UnknownInHttp10,
    /// A client's call to a server, or the other way round.
    WrongRole,
}

impl fmt::Display for Misuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use Misuse as M;
        f.write_str(match self {
            M::AuthorityMissing => "the request names no host",
            M::BeyondLength { left, given } => return write!(f, "{given} bytes of body where {left} are left"),
            M::BodyForbidden => "this response cannot have a body",
            M::ContentLengthDisagrees => "the Content-Length field is not the length of the body",
            M::DataAfterEnd => "data behind the end of a message",
            M::ExpectWithoutBody => "100-continue is expected without a body",
            M::ExchangeOpen => "the exchange is not complete",
            M::FieldInvalid => "a field name or value with characters that are not allowed",
            M::HostRepeated => "more than one Host field",
            M::InformationalToHttp10 => "an informational response to HTTP/1.0",
            M::NoHead => "data before a head",
            M::NoRequest => "a response without a request",
            M::NotPersistent => "the connection does not persist",
            M::Over => "the connection is over",
            M::PortMissing => "CONNECT without a port",
            M::SchemeMissing => "a target in absolute form without a scheme",
            M::ShortOfLength { left } => return write!(f, "the body ends {left} bytes short of its length"),
            M::StatusInvalid => "a status that this call does not send",
            M::TargetAsterisk => "the target * with a method other than OPTIONS",
            M::TrailerForbidden => "a field that cannot be a trailer",
            M::TrailersNotChunked => "trailers behind a body that is not chunked",
            M::TransferEncodingSet => "a Transfer-Encoding field, which the length of the body decides",
            M::UpgradeUnasked => "101 to a request that did not ask for an upgrade",
            M::UnknownInHttp10 => "a body of unknown length in HTTP/1.0",
            M::WrongRole => "a call for the other role",
        })
    }
}

impl std::error::Error for Misuse {}
