//! Heads as they are sent: checked first, then written straight into `out`.

use super::{
    Misuse, Protocol,
    frame::{self, HEADER},
    head::{FIELD_OVERHEAD, decimal},
    hpack::{Encoder, Field},
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, header};
use std::borrow::Cow;

/// What the headers of a message say about it.
#[derive(Debug)]
pub(super) struct Survey<'a> {
    /// What they count in a header list.
    size: usize,
    pub(super) content_length: Option<u64>,
    host: Option<&'a [u8]>,
}

impl<'a> Survey<'a> {
    /// Looks through headers.
    ///
    /// # Errors
    ///
    /// [`Misuse::ContentLengthInvalid`].
    pub(super) fn of(headers: &'a HeaderMap) -> Result<Self, Misuse> {
        let mut survey = Survey { size: 0, content_length: None, host: None };
        for (name, value) in headers {
            survey.size += name.as_str().len() + value.len() + FIELD_OVERHEAD;
            if name == header::CONTENT_LENGTH {
                let length = decimal(value.as_bytes().trim_ascii()).ok_or(Misuse::ContentLengthInvalid)?;
                if survey.content_length.replace(length).is_some() {
                    return Err(Misuse::ContentLengthInvalid);
                }
            } else if name == header::HOST && survey.host.is_none() {
                survey.host = Some(value.as_bytes().trim_ascii());
            }
        }
        Ok(survey)
    }

    /// Holds the list, with `more` bytes of pseudo-header fields, against what the peer takes.
    ///
    /// # Errors
    ///
    /// [`Misuse::HeaderListTooLarge`].
    pub(super) fn check(&self, more: usize, limit: Option<u32>) -> Result<(), Misuse> {
        let size = self.size + more;
        match limit {
            Some(limit) if size > limit as usize => Err(Misuse::HeaderListTooLarge { size, limit: limit as usize }),
            _ => Ok(()),
        }
    }
}

/// The pseudo-header fields of a request, ready to be written.
#[derive(Debug)]
pub(super) struct Target<'a> {
    method: &'a Method,
    scheme: Option<&'a str>,
    authority: &'a [u8],
    path: Option<Cow<'a, str>>,
    protocol: Option<&'a str>,
}

impl<'a> Target<'a> {
    /// Makes them from a request.
    ///
    /// # Errors
    ///
    /// A [`Misuse`] for a request that has no such fields.
    pub(super) fn of(head: &'a Request<()>, survey: &Survey<'a>, extended_connect: bool) -> Result<Self, Misuse> {
        let (method, uri) = (head.method(), head.uri());
        let protocol = head.extensions().get::<Protocol>().map(|p| p.0.as_str());
        if protocol.is_some() && !(extended_connect && method == Method::CONNECT) {
            return Err(Misuse::ExtendedConnect);
        }
        // User information is not for the wire (RFC 9113, section 8.3.1).
        let of_uri = uri.authority().map(|a| behind_user(a.as_str().as_bytes()));
        let tunnel = method == Method::CONNECT && protocol.is_none();
        // Who says Host means another name than that of the target, as on HTTP/1; the two must not differ, so one goes (same section).
        let host = survey.host.filter(|host| !host.is_empty());
        let authority = if tunnel { of_uri.or(host) } else { host.or(of_uri) }.unwrap_or_default();
        if authority.is_empty() {
            return Err(Misuse::AuthorityMissing);
        }
        if tunnel {
            return Ok(Target { method, scheme: None, authority, path: None, protocol });
        }
        let scheme = Some(uri.scheme_str().ok_or(Misuse::SchemeMissing)?);
        let path = match uri.path_and_query().map_or("/", |path| path.as_str()) {
            "*" if method != Method::OPTIONS => return Err(Misuse::AsteriskWithoutOptions),
            path if path.starts_with('/') || path == "*" => Cow::Borrowed(path),
            path => Cow::Owned(format!("/{path}")),
        };
        Ok(Target { method, scheme, authority, path: Some(path), protocol })
    }

    fn fields(&self) -> impl Iterator<Item = (&'static [u8], &[u8])> {
        [
            (&b":method"[..], Some(self.method.as_str().as_bytes())),
            (b":scheme", self.scheme.map(str::as_bytes)),
            (b":authority", Some(self.authority)),
            (b":path", self.path.as_deref().map(str::as_bytes)),
            (b":protocol", self.protocol.map(str::as_bytes)),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
    }

    /// Returns what the fields count in a header list.
    pub(super) fn size(&self) -> usize {
        self.fields().map(|(name, value)| name.len() + value.len() + FIELD_OVERHEAD).sum()
    }
}

/// Returns an authority without its user information.
fn behind_user(authority: &[u8]) -> &[u8] {
    let at = authority.iter().rposition(|b| *b == b'@');
    at.map_or(authority, |at| &authority[at + 1..])
}

/// Where a block goes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) stream: u32,
    /// END_STREAM or nothing.
    pub(super) flags: u8,
    /// The longest frame the peer takes.
    pub(super) max_frame: usize,
}

fn block(encoder: &mut Encoder, place: Place, out: &mut Vec<u8>, write: impl FnOnce(&mut Encoder, &mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[0; HEADER]);
    encoder.begin(out);
    write(encoder, out);
    frame::finish_block(start, place.flags, place.stream, place.max_frame, out);
}

/// Appends the head of a request.
pub(super) fn request(
    target: &Target<'_>,
    headers: &HeaderMap,
    encoder: &mut Encoder,
    place: Place,
    out: &mut Vec<u8>,
) {
    block(encoder, place, out, |encoder, out| {
        for (name, value) in target.fields() {
            encoder.field(Field { name, value, sensitive: false }, out);
        }
        for (name, value) in headers {
            if name != header::HOST {
                field(name, value, encoder, out);
            }
        }
    });
}

/// Appends the head of a response.
pub(super) fn response(
    status: StatusCode,
    headers: &HeaderMap,
    encoder: &mut Encoder,
    place: Place,
    out: &mut Vec<u8>,
) {
    block(encoder, place, out, |encoder, out| {
        encoder.field(Field { name: b":status", value: status.as_str().as_bytes(), sensitive: false }, out);
        headers.iter().for_each(|(name, value)| field(name, value, encoder, out));
    });
}

/// Returns what `:status` counts in a header list.
pub(super) const STATUS_SIZE: usize = b":status".len() + 3 + FIELD_OVERHEAD;

/// Appends trailers.
pub(super) fn trailers(trailers: &HeaderMap, encoder: &mut Encoder, place: Place, out: &mut Vec<u8>) {
    block(encoder, place, out, |encoder, out| {
        trailers.iter().for_each(|(name, value)| field(name, value, encoder, out));
    });
}

/// Appends a field, unless it belongs to a connection of HTTP/1 (RFC 9113, section 8.2.2).
fn field(name: &HeaderName, value: &HeaderValue, encoder: &mut Encoder, out: &mut Vec<u8>) {
    let (text, bytes) = (name.as_str(), value.as_bytes().trim_ascii());
    match text {
        "connection" | "keep-alive" | "proxy-connection" | "transfer-encoding" | "upgrade" => return,
        "te" if !bytes.eq_ignore_ascii_case(b"trailers") => return,
        _ => {}
    }
    encoder.field(Field { name: text.as_bytes(), value: bytes, sensitive: value.is_sensitive() }, out);
}
