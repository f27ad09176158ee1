//! Which fields may stand behind a body, whatever the version.

/// Whether a field may be a trailer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trailer {
    /// It may.
    Kept,
    /// It cannot be understood behind the body.
    Dropped,
    /// It would change framing or routing.
    Forbidden,
}

/// Fields that are needed before the body: of the connection, authentication, controls and conditions, and of the format
/// of the content (RFC 9110, section 6.5.1).
const NEEDED_BEFORE: [&str; 36] = [
    "age",
    "authentication-info",
    "authorization",
    "cache-control",
    "connection",
    "content-encoding",
    "content-range",
    "content-type",
    "cookie",
    "date",
    "expect",
    "expires",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "keep-alive",
    "location",
    "max-forwards",
    "pragma",
    "proxy-authenticate",
    "proxy-authentication-info",
    "proxy-authorization",
    "proxy-connection",
    "range",
    "retry-after",
    "sec-websocket-accept",
    "set-cookie",
    "te",
    "trailer",
    "upgrade",
    "vary",
    "via",
    "warning",
    "www-authenticate",
];

/// Returns whether a field may be a trailer (RFC 9110, section 6.5.1).
pub(crate) fn trailer(name: &[u8]) -> Trailer {
    let is_among = |names: &[&str]| names.iter().any(|n| name.eq_ignore_ascii_case(n.as_bytes()));
    match () {
        () if is_among(&["content-length", "host", "transfer-encoding"]) => Trailer::Forbidden,
        () if is_among(&NEEDED_BEFORE) => Trailer::Dropped,
        () => Trailer::Kept,
    }
}
