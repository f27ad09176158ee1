//! Heads, chunks and trailers that go out, formatted straight into the caller's buffer.

use super::{
    framing::Asked,
    syntax::{Name, decimal, elements, is_token, value_len},
    violation::Misuse,
};
use crate::fields::{
    Fields,
    trailers::{Trailer, trailer},
};
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri, Version, header};

/// How the body that follows a head is delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    /// There is none. Where the peer would expect one, `Content-Length: 0` says so (RFC 9110, section 8.6).
    Empty,
    /// So many bytes: Content-Length (also when zero).
    Known(u64),
    /// Not known beforehand: chunked; to an HTTP/1.0 peer a response is delimited by the end of the connection.
    Unknown,
}

/// The form of the request target (RFC 9112, section 3.2). CONNECT is always in authority form, `OPTIONS *` in asterisk form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetForm {
    /// Path and query: to a server.
    Origin,
    /// The whole URI without user and password: to a proxy. `OPTIONS *` leaves the path out.
    Absolute,
}

/// An extension of a request or response: fields to be sent instead of its `HeaderMap`, with names exactly as written
/// and in this order.
///
/// What the connection has to add comes before them (Host) and behind them (Content-Length, Transfer-Encoding,
/// Connection), unless they have it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OriginalFields(pub Fields);

/// What is left to send of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outgoing {
    /// All of it.
    Head,
    /// So many bytes, at least one.
    Sized(u64),
    /// Chunks.
    Chunked,
    /// Bytes, until the connection is closed.
    UntilClose,
    /// Nothing.
    Complete,
    /// Nothing; the response switched to another protocol.
    Switched,
}

impl From<Length> for Outgoing {
    fn from(length: Length) -> Self {
        match length {
            Length::Empty | Length::Known(0) => Outgoing::Complete,
            Length::Known(length) => Outgoing::Sized(length),
            Length::Unknown => Outgoing::Chunked,
        }
    }
}

/// What a head that was written means for the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sent {
    pub(super) outgoing: Outgoing,
    /// It says, or means, that the connection ends with this exchange.
    pub(super) close: bool,
    /// It has an Upgrade field.
    pub(super) upgrade: bool,
}

/// What a response depends on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Question {
    pub(super) asked: Asked,
    pub(super) version: Version,
    /// The client speaks HTTP/1.0 and asked to keep the connection.
    pub(super) keep_alive: bool,
    /// The client offered protocols to switch to.
    pub(super) upgrade: bool,
    /// The connection ends with this exchange.
    pub(super) closing: bool,
}

/// Writes the head of a request.
pub(super) fn request(
    head: &Request<()>,
    form: TargetForm,
    length: Length,
    closing: bool,
    out: &mut Vec<u8>,
) -> Result<Sent, Misuse> {
    let old = head.version() == Version::HTTP_10;
    if old && length == Length::Unknown {
        return Err(Misuse::UnknownInHttp10);
    }
    out.extend_from_slice(head.method().as_str().as_bytes());
    out.push(b' ');
    target(head.method(), head.uri(), form, out)?;
    out.extend_from_slice(if old { b" HTTP/1.0\r\n" } else { b" HTTP/1.1\r\n" });

    let declared = match length {
        Length::Empty => Declared::Exactly(0),
        Length::Known(length) => Declared::Exactly(length),
        Length::Unknown => Declared::Never(Misuse::ContentLengthDisagrees),
    };
    let noted = match head.extensions().get::<OriginalFields>() {
        Some(OriginalFields(fields)) => {
            if fields.get("host").is_none() {
                host(head.uri(), out)?;
            }
            original(fields, declared, out)?
        }
        None => {
            // Looked for one by one: there are few.
            match head.headers().iter().find(|(name, _)| **name == header::HOST) {
                Some((_, value)) => line(b"Host", value.as_bytes(), out),
                None => host(head.uri(), out)?,
            }
            mapped(head.headers(), declared, Host::IsWritten, out)?
        }
    };
    let outgoing = Outgoing::from(length);
    if noted.expect && outgoing == Outgoing::Complete {
        return Err(Misuse::ExpectWithoutBody);
    }
    match length {
        _ if noted.content_length => {}
        Length::Empty if !matches!(*head.method(), Method::POST | Method::PUT | Method::PATCH) => {}
        Length::Empty => content_length(0, out),
        Length::Known(length) => content_length(length, out),
        Length::Unknown => out.extend_from_slice(CHUNKED),
    }
    let close = closing || noted.close || (old && !noted.keep_alive);
    if close && !noted.close && !old {
        out.extend_from_slice(CLOSE);
    }
    out.extend_from_slice(b"\r\n");
    Ok(Sent { outgoing, close, upgrade: noted.upgrade && !old })
}

/// Writes a final head.
pub(super) fn response(
    head: &Response<()>,
    length: Length,
    question: &Question,
    out: &mut Vec<u8>,
) -> Result<Sent, Misuse> {
    let status = head.status();
    let switches = question.asked.switches(status);
    if status.is_informational() && !switches {
        return Err(Misuse::StatusInvalid);
    }
    if status == StatusCode::SWITCHING_PROTOCOLS && !question.upgrade {
        return Err(Misuse::UpgradeUnasked);
    }
    let forbidden = switches || status == StatusCode::NO_CONTENT;
    let bodiless = question.asked.has_no_body(status);
    // 205 says by its length that it has no content (RFC 9110, section 15.3.6).
    let empty = forbidden || (status == StatusCode::RESET_CONTENT && !bodiless);
    if empty && !matches!(length, Length::Empty | Length::Known(0)) {
        return Err(Misuse::BodyForbidden);
    }
    let declared = match length {
        _ if forbidden => Declared::Never(Misuse::BodyForbidden),
        Length::Known(length) => Declared::Exactly(length),
        // What GET would have had.
        _ if bodiless => Declared::Anything,
        Length::Empty => Declared::Exactly(0),
        Length::Unknown => Declared::Never(Misuse::ContentLengthDisagrees),
    };
    status_line(status, out);
    let begin = out.len();
    let noted = fields(head, declared, out)?;

    let old = question.version == Version::HTTP_10;
    let outgoing = match Outgoing::from(length) {
        _ if switches => Outgoing::Switched,
        _ if bodiless => Outgoing::Complete,
        Outgoing::Chunked if old => Outgoing::UntilClose,
        outgoing => outgoing,
    };
    let close = question.closing || noted.close || outgoing == Outgoing::UntilClose;
    if close && noted.keep_alive {
        let kept = without_keep_alive(&out[begin..]);
        out.truncate(begin);
        out.extend_from_slice(&kept);
    }
    match length {
        _ if forbidden || noted.content_length => {}
        Length::Known(length) => content_length(length, out),
        Length::Empty if bodiless => {}
        Length::Empty => content_length(0, out),
        Length::Unknown if old || status == StatusCode::NOT_MODIFIED => {}
        Length::Unknown => out.extend_from_slice(CHUNKED),
    }
    if close && !noted.close && !switches {
        out.extend_from_slice(CLOSE);
    } else if question.keep_alive && !close && !noted.keep_alive && !switches {
        out.extend_from_slice(b"Connection: keep-alive\r\n");
    }
    out.extend_from_slice(b"\r\n");
    Ok(Sent { outgoing, close, upgrade: false })
}

/// Writes a 1xx other than 101.
pub(super) fn informational(head: &Response<()>, out: &mut Vec<u8>) -> Result<(), Misuse> {
    let status = head.status();
    if !status.is_informational() || status == StatusCode::SWITCHING_PROTOCOLS {
        return Err(Misuse::StatusInvalid);
    }
    status_line(status, out);
    fields(head, Declared::Never(Misuse::BodyForbidden), out)?;
    out.extend_from_slice(b"\r\n");
    Ok(())
}

/// Writes the whole response to a request that is refused: no body, and `Connection: close`.
pub fn refusal(status: StatusCode, out: &mut Vec<u8>) {
    status_line(status, out);
    out.extend_from_slice(CLOSE);
    content_length(0, out);
    out.extend_from_slice(b"\r\n");
}

/// Writes one chunk; `data` is not empty, for that would be the last one (RFC 9112, section 7.1).
pub(super) fn chunk(data: &[u8], out: &mut Vec<u8>) {
    let digits = (usize::BITS - data.len().leading_zeros()).div_ceil(4);
    out.reserve(digits as usize + 4 + data.len() + LAST_CHUNK.len());
    for i in (0..digits).rev() {
        out.push(b"0123456789abcdef"[data.len() >> (4 * i) & 15]);
    }
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(data);
    out.extend_from_slice(b"\r\n");
}

/// The chunk that ends a body without trailers.
pub(super) const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// Writes the chunk that ends a body, with trailers.
pub(super) fn trailers(trailers: &HeaderMap, out: &mut Vec<u8>) -> Result<(), Misuse> {
    if trailers.keys().any(|name| trailer(name.as_str().as_bytes()) != Trailer::Kept) {
        return Err(Misuse::TrailerForbidden);
    }
    out.extend_from_slice(b"0\r\n");
    trailers.iter().for_each(|(name, value)| line(name.as_str().as_bytes(), value.as_bytes(), out));
    out.extend_from_slice(b"\r\n");
    Ok(())
}

const CHUNKED: &[u8] = b"Transfer-Encoding: chunked\r\n";
const CLOSE: &[u8] = b"Connection: close\r\n";

/// Which Content-Length the caller's fields may have.
#[derive(Clone, Copy, Debug)]
enum Declared {
    /// Any one: there is no body that it could contradict.
    Anything,
    /// This one.
    Exactly(u64),
    /// None.
    Never(Misuse),
}

/// What was seen among the caller's fields.
#[derive(Debug, Default)]
struct Noted {
    close: bool,
    content_length: bool,
    expect: bool,
    host: bool,
    keep_alive: bool,
    upgrade: bool,
}

impl Noted {
    /// Takes notice of a field that is one of ours.
    fn note(&mut self, name: Name, value: &[u8], declared: Declared) -> Result<(), Misuse> {
        match name {
            Name::Other => {}
            Name::Connection => {
                for option in elements(value) {
                    self.close |= option.eq_ignore_ascii_case(b"close");
                    self.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
                }
            }
            Name::ContentLength => {
                let agrees = match (decimal(value), declared) {
                    (_, Declared::Never(misuse)) => return Err(misuse),
                    (Ok(_), Declared::Anything) => true,
                    (Ok(length), Declared::Exactly(expected)) => length == expected,
                    (Err(_), Declared::Anything | Declared::Exactly(_)) => false,
                };
                if self.content_length || !agrees {
                    return Err(Misuse::ContentLengthDisagrees);
                }
                self.content_length = true;
            }
            Name::Expect => self.expect |= elements(value).any(|e| e.eq_ignore_ascii_case(b"100-continue")),
            Name::Host if self.host => return Err(Misuse::HostRepeated),
            Name::Host => self.host = true,
            Name::TransferEncoding => return Err(Misuse::TransferEncodingSet),
            Name::Upgrade => self.upgrade = true,
        }
        Ok(())
    }
}

/// Whether Host is among the fields that are still to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Host {
    IsField,
    IsWritten,
}

fn mapped(headers: &HeaderMap, declared: Declared, host: Host, out: &mut Vec<u8>) -> Result<Noted, Misuse> {
    let mut noted = Noted::default();
    for (name, value) in headers {
        let (text, value) = (name.as_str().as_bytes(), value.as_bytes());
        let name = Name::of(text);
        if name != Name::Other {
            noted.note(name, value, declared)?;
            if name == Name::Host && host == Host::IsWritten {
                continue;
            }
        }
        line(text, value, out);
    }
    Ok(noted)
}

fn original(fields: &Fields, declared: Declared, out: &mut Vec<u8>) -> Result<Noted, Misuse> {
    let mut noted = Noted::default();
    for (name, value) in fields.iter() {
        // Unlike those of a `HeaderMap`, these were checked by nobody.
        if !is_token(name) || value_len(value) != value.len() {
            return Err(Misuse::FieldInvalid);
        }
        noted.note(Name::of(name), value, declared)?;
        line(name, value, out);
    }
    Ok(noted)
}

fn fields(head: &Response<()>, declared: Declared, out: &mut Vec<u8>) -> Result<Noted, Misuse> {
    match head.extensions().get::<OriginalFields>() {
        Some(OriginalFields(fields)) => original(fields, declared, out),
        None => mapped(head.headers(), declared, Host::IsField, out),
    }
}

/// Returns the fields that were written without the caller's wish to keep a connection that ends.
fn without_keep_alive(fields: &[u8]) -> Vec<u8> {
    let mut kept = Vec::with_capacity(fields.len());
    for field in fields.split_inclusive(|&b| b == b'\n') {
        let at = field.iter().position(|&b| b == b':').unwrap_or(field.len());
        let (name, value) = field.split_at(at);
        if Name::of(name) != Name::Connection {
            kept.extend_from_slice(field);
            continue;
        }
        let value = value.strip_prefix(b":").unwrap_or(value).trim_ascii();
        let is_kept = |option: &&[u8]| !option.is_empty() && !option.eq_ignore_ascii_case(b"keep-alive");
        let others: Vec<_> = elements(value).filter(is_kept).collect();
        if !others.is_empty() {
            line(name, &others.join(&b", "[..]), &mut kept);
        }
    }
    kept
}

fn line(name: &[u8], value: &[u8], out: &mut Vec<u8>) {
    out.reserve(name.len() + value.len() + 4);
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

fn status_line(status: StatusCode, out: &mut Vec<u8>) {
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(status.as_str().as_bytes());
    out.push(b' ');
    out.extend_from_slice(status.canonical_reason().unwrap_or_default().as_bytes());
    out.extend_from_slice(b"\r\n");
}

fn content_length(mut n: u64, out: &mut Vec<u8>) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (n % 10) as u8;
        n /= 10;
        if n == 0 {
            break;
        }
    }
    line(b"Content-Length", &digits[at..], out);
}

/// Returns the authority of a URI without user and password, which are never sent (RFC 9110, section 4.2.4).
fn authority(uri: &Uri) -> Result<&[u8], Misuse> {
    let authority = uri.authority().map_or(&[][..], |authority| authority.as_str().as_bytes());
    let user = authority.iter().rposition(|&b| b == b'@').map_or(0, |at| at + 1);
    match &authority[user..] {
        [] | [b':', ..] => Err(Misuse::AuthorityMissing),
        host => Ok(host),
    }
}

fn host(uri: &Uri, out: &mut Vec<u8>) -> Result<(), Misuse> {
    line(b"Host", authority(uri)?, out);
    Ok(())
}

/// Writes the target of a request in one of the four forms (RFC 9112, section 3.2).
fn target(method: &Method, uri: &Uri, form: TargetForm, out: &mut Vec<u8>) -> Result<(), Misuse> {
    if *method == Method::CONNECT {
        out.extend_from_slice(authority(uri)?);
        if uri.port_u16().is_none() {
            out.extend_from_slice(match uri.scheme_str() {
                Some("https" | "wss") => b":443",
                Some("http" | "ws") => b":80",
                _ => return Err(Misuse::PortMissing),
            });
        }
        return Ok(());
    }
    let asterisk = uri.path() == "*";
    if asterisk && *method != Method::OPTIONS {
        return Err(Misuse::TargetAsterisk);
    }
    if form == TargetForm::Absolute {
        out.extend_from_slice(uri.scheme_str().ok_or(Misuse::SchemeMissing)?.as_bytes());
        out.extend_from_slice(b"://");
        out.extend_from_slice(authority(uri)?);
        if asterisk {
            return Ok(());
        }
    }
    let path = uri.path_and_query().map_or("", |path| path.as_str());
    if !path.starts_with(['/', '*']) {
        out.push(b'/');
    }
    if path.is_ascii() {
        out.extend_from_slice(path.as_bytes());
    } else {
        escaped(path, out);
    }
    Ok(())
}

/// Writes a path whose bytes above ASCII, which `Uri` allows and a target does not, are percent-encoded.
#[cold]
fn escaped(path: &str, out: &mut Vec<u8>) {
    for b in path.bytes() {
        if b.is_ascii() {
            out.push(b);
        } else {
            let hex = |digit: u8| b"0123456789ABCDEF"[usize::from(digit)];
            out.extend_from_slice(&[b'%', hex(b >> 4), hex(b & 15)]);
        }
    }
}
