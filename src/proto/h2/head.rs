//! Heads as they arrive: pseudo-header fields, and what a field may be (RFC 9113, sections 8.1 to 8.5).

use super::{Fields, Malformed, RequestHead, ResponseHead, hpack::Field};
use crate::fields::{
    trailers::{Trailer, trailer},
    words::{any, control, is_control, not_lower},
};
use http::{Method, StatusCode, Uri, Version, uri};

/// What a field costs in a header list beside its name and value (RFC 9113, section 6.5.2).
pub(super) const FIELD_OVERHEAD: usize = 32;

/// Returns what a field counts in a header list.
pub(super) fn cost(field: &Field<'_>) -> usize {
    field.name.len() + field.value.len() + FIELD_OVERHEAD
}

/// What a header block is read as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Request,
    Response,
    Trailers,
}

/// Memory that outlives one head, so that the next one need not ask for it.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    pseudo: Vec<u8>,
    cookie: Vec<u8>,
}

/// A piece of the scratch.
type Span = Option<(usize, usize)>;

/// Takes the fields of one block as they are decoded.
///
/// Once a rule is broken or the list is too large, what follows is ignored: the block has to be decoded to its end all the same,
/// because it moves the tables of header compression.
#[derive(Debug)]
pub(super) struct Collector<'s> {
    form: Form,
    scratch: &'s mut Scratch,
    fields: Fields,
    size: usize,
    limit: usize,
    rule: Option<Malformed>,
    method: Option<Method>,
    status: Option<StatusCode>,
    scheme: Span,
    authority: Span,
    path: Span,
    protocol: Span,
    content_length: Option<u64>,
    cookie: Cookie,
    /// Whether a field that is no pseudo-header field was seen.
    regular: bool,
    host: bool,
}

/// Whether there are cookies, and whether they are to be kept out of logs and tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cookie {
    None,
    Plain,
    Sensitive,
}

impl<'s> Collector<'s> {
    /// A collector for a block of so many compressed bytes.
    pub(super) fn new(form: Form, limit: usize, block: usize, scratch: &'s mut Scratch) -> Self {
        scratch.pseudo.clear();
        scratch.cookie.clear();
        // Compression halves what is new and leaves a byte or two of what is not.
        let fields = if block == 0 { Fields::new() } else { Fields::with_capacity(16, (2 * block).clamp(256, 4096)) };
        Collector {
            form,
            scratch,
            fields,
            size: 0,
            limit,
            rule: None,
            method: None,
            status: None,
            scheme: None,
            authority: None,
            path: None,
            protocol: None,
            content_length: None,
            cookie: Cookie::None,
            regular: false,
            host: false,
        }
    }

    /// Takes one field.
    pub(super) fn field(&mut self, field: Field<'_>) {
        self.size = self.size.saturating_add(cost(&field));
        if self.size > self.limit || self.rule.is_some() {
            return;
        }
        let taken = if field.name.first() == Some(&b':') { self.pseudo(field) } else { self.regular(field) };
        self.rule = taken.err();
    }

    /// Returns how large the list is.
    pub(super) fn size(&self) -> usize {
        self.size
    }

    fn pseudo(&mut self, field: Field<'_>) -> Result<(), Malformed> {
        if self.form == Form::Trailers {
            return Err(Malformed::PseudoInTrailers);
        }
        if self.regular {
            return Err(Malformed::PseudoAfterField);
        }
        check_value(field.value)?;
        let start = self.scratch.pseudo.len();
        let span = Some((start, start + field.value.len()));
        let place = match (self.form, field.name) {
            (Form::Request, b":method") => {
                let method = Method::from_bytes(field.value).map_err(|_| Malformed::Method)?;
                return once(&mut self.method, Some(method));
            }
            (Form::Response, b":status") => {
                let status = StatusCode::from_bytes(field.value).map_err(|_| Malformed::Status)?;
                return once(&mut self.status, Some(status));
            }
            (Form::Request, b":scheme") => &mut self.scheme,
            (Form::Request, b":authority") => &mut self.authority,
            (Form::Request, b":path") => &mut self.path,
            (Form::Request, b":protocol") => &mut self.protocol,
            _ => return Err(Malformed::PseudoUnknown),
        };
        once(place, span)?;
        self.scratch.pseudo.extend_from_slice(field.value);
        Ok(())
    }

    fn regular(&mut self, field: Field<'_>) -> Result<(), Malformed> {
        self.regular = true;
        check_name(field.name)?;
        check_value(field.value)?;
        match field.name {
            b"connection" | b"keep-alive" | b"proxy-connection" | b"transfer-encoding" | b"upgrade" => {
                return Err(Malformed::ConnectionSpecific);
            }
            b"te" if !field.value.eq_ignore_ascii_case(b"trailers") => return Err(Malformed::Te),
            b"content-length" if self.form != Form::Trailers => {
                let length = decimal(field.value).ok_or(Malformed::ContentLength)?;
                if self.content_length.is_some_and(|other| other != length) {
                    return Err(Malformed::ContentLength);
                }
                self.content_length = Some(length);
            }
            // Cookies may come one by one for better compression, and are put together again (RFC 9113, section 8.2.3).
            b"cookie" if self.form == Form::Request => {
                if self.cookie != Cookie::None {
                    self.scratch.cookie.extend_from_slice(b"; ");
                }
                self.scratch.cookie.extend_from_slice(field.value);
                let sensitive = field.sensitive || self.cookie == Cookie::Sensitive;
                self.cookie = if sensitive { Cookie::Sensitive } else { Cookie::Plain };
                return Ok(());
            }
            b"host" if self.form != Form::Trailers => self.host = true,
            name if self.form == Form::Trailers => match trailer(name) {
                Trailer::Kept => {}
                Trailer::Dropped => return Ok(()),
                Trailer::Forbidden => return Err(Malformed::Trailer),
            },
            _ => {}
        }
        if field.sensitive {
            self.fields.push_sensitive(field.name, field.value);
        } else {
            self.fields.push(field.name, field.value);
        }
        Ok(())
    }

    fn text(&self, span: Span) -> Option<&[u8]> {
        span.map(|(from, to)| &self.scratch.pseudo[from..to])
    }

    /// Returns the head of a request and its Content-Length.
    ///
    /// # Errors
    ///
    /// The rule that the request breaks.
    pub(super) fn request(mut self, extended_connect: bool) -> Result<(RequestHead, Option<u64>), Malformed> {
        if let Some(rule) = self.rule {
            return Err(rule);
        }
        let method = self.method.take().ok_or(Malformed::PseudoMissing)?;
        if self.protocol.is_some() && (method != Method::CONNECT || !extended_connect) {
            return Err(Malformed::Protocol);
        }
        let uri = if method == Method::CONNECT && self.protocol.is_none() {
            self.connect_target()?
        } else {
            self.target(&method)?
        };
        let protocol = match self.text(self.protocol) {
            Some(name) => Some(String::from_utf8(name.to_vec()).map_err(|_| Malformed::Protocol)?),
            None => None,
        };
        match self.cookie {
            Cookie::None => {}
            Cookie::Plain => self.fields.push(b"cookie", &self.scratch.cookie),
            Cookie::Sensitive => self.fields.push_sensitive(b"cookie", &self.scratch.cookie),
        }
        let head = RequestHead { method, uri, version: Version::HTTP_2, fields: self.fields, protocol };
        Ok((head, self.content_length))
    }

    /// CONNECT has `:authority` and nothing else (RFC 9113, section 8.5).
    fn connect_target(&self) -> Result<Uri, Malformed> {
        let (None, None, Some(authority)) = (self.scheme, self.path, self.text(self.authority)) else {
            return Err(Malformed::ConnectForm);
        };
        self.check_hosts(Some(authority), b"")?;
        check_authority(authority)?;
        let text = std::str::from_utf8(authority).map_err(|_| Malformed::Target)?;
        match text.parse::<uri::Authority>() {
            // A server must refuse an empty or invalid port (RFC 9110, section 9.3.6).
            Ok(authority) if authority.port_u16().is_some() && !authority.host().is_empty() => Ok(Uri::from(authority)),
            Ok(_) | Err(_) => Err(Malformed::Target),
        }
    }

    /// Holds Host, if there is one, against `:authority`, if there is that; returns whichever says where to (RFC 9113, section
    /// 8.3.1).
    fn check_hosts<'a>(&'a self, authority: Option<&'a [u8]>, scheme: &[u8]) -> Result<Option<&'a [u8]>, Malformed> {
        let host = if self.host { self.fields.get("host") } else { None };
        if self.host && self.fields.get_all("host").count() > 1 {
            return Err(Malformed::AuthorityMismatch);
        }
        match (authority, host) {
            (Some(authority), Some(host)) if !bare(authority, scheme).eq_ignore_ascii_case(bare(host, scheme)) => {
                Err(Malformed::AuthorityMismatch)
            }
            (authority, host) => Ok(authority.or(host)),
        }
    }

    fn target(&self, method: &Method) -> Result<Uri, Malformed> {
        let scheme = self.text(self.scheme).ok_or(Malformed::PseudoMissing)?;
        let path = self.text(self.path).ok_or(Malformed::PseudoMissing)?;
        let authority = self.check_hosts(self.text(self.authority), scheme)?;
        authority.map_or(Ok(()), check_authority)?;
        // What follows a # would be dropped by the parser.
        let asterisk = path == b"*" && method == Method::OPTIONS;
        if !asterisk && (path.first() != Some(&b'/') || path.contains(&b'#')) {
            return Err(Malformed::Path);
        }
        if !scheme.first().is_some_and(u8::is_ascii_alphabetic)
            || !scheme.iter().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(b))
        {
            return Err(Malformed::Target);
        }
        build(scheme, authority, path, asterisk).ok_or(Malformed::Target)
    }

    /// Returns the head of a response and its Content-Length.
    ///
    /// # Errors
    ///
    /// The rule that the response breaks.
    pub(super) fn response(self) -> Result<(ResponseHead, Option<u64>), Malformed> {
        if let Some(rule) = self.rule {
            return Err(rule);
        }
        let status = self.status.ok_or(Malformed::PseudoMissing)?;
        if status == StatusCode::SWITCHING_PROTOCOLS {
            return Err(Malformed::SwitchingProtocols);
        }
        Ok((ResponseHead { status, version: Version::HTTP_2, fields: self.fields }, self.content_length))
    }

    /// Returns trailers.
    ///
    /// # Errors
    ///
    /// The rule that they break.
    pub(super) fn trailers(self) -> Result<Fields, Malformed> {
        self.rule.map_or(Ok(self.fields), Err)
    }
}

fn once<T>(place: &mut Option<T>, value: Option<T>) -> Result<(), Malformed> {
    if place.is_some() {
        return Err(Malformed::PseudoRepeated);
    }
    *place = value;
    Ok(())
}

fn build(scheme: &[u8], authority: Option<&[u8]>, path: &[u8], asterisk: bool) -> Option<Uri> {
    let Some(authority) = authority else {
        return Uri::try_from(path).ok();
    };
    if asterisk {
        let parts = uri::Builder::new().scheme(scheme).authority(authority).path_and_query("*");
        return parts.build().ok();
    }
    let mut text = Vec::with_capacity(scheme.len() + 3 + authority.len() + path.len());
    for part in [scheme, b"://", authority, path] {
        text.extend_from_slice(part);
    }
    Uri::try_from(text).ok()
}

/// An authority ends where the path begins, so it may not hold what begins one; user information is forbidden (RFC 9113, section
/// 8.3.1).
fn check_authority(authority: &[u8]) -> Result<(), Malformed> {
    if authority.contains(&b'@') {
        return Err(Malformed::AuthorityUserinfo);
    }
    // `http` takes any port.
    let host = authority.iter().rposition(|b| *b == b']').map_or(0, |end| end + 1);
    let port = authority[host..].split(|b| *b == b':').nth(1).unwrap_or_default();
    let is_port = port.is_empty() || decimal(port).is_some_and(|port| port <= u16::MAX.into());
    if authority.is_empty() || !is_port || authority.iter().any(|b| b"/?#\\".contains(b)) {
        return Err(Malformed::Target);
    }
    Ok(())
}

/// Returns an authority without the port that its scheme implies.
fn bare<'a>(authority: &'a [u8], scheme: &[u8]) -> &'a [u8] {
    let port: &[u8] = match scheme {
        b"http" => b":80",
        b"https" => b":443",
        _ => b"",
    };
    authority.strip_suffix(port).unwrap_or(authority)
}

/// Returns the number of a Content-Length.
pub(super) fn decimal(value: &[u8]) -> Option<u64> {
    let digit = |b: &u8| b.is_ascii_digit().then(|| u64::from(b - b'0'));
    let more = |sum: u64, b: &u8| sum.checked_mul(10)?.checked_add(digit(b)?);
    if value.is_empty() { None } else { value.iter().try_fold(0u64, more) }
}

/// The characters of a token (RFC 9110, section 5.6.2) without upper case (RFC 9113, section 8.2.1).
const NAME: [bool; 256] = {
    let mut table = [false; 256];
    let token = b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz";
    let mut i = 0;
    while i < token.len() {
        table[token[i] as usize] = true;
        i += 1;
    }
    table
};

fn check_name(name: &[u8]) -> Result<(), Malformed> {
    // Nearly all are letters and hyphens.
    let odd = any(name, not_lower, |b| !NAME[usize::from(b)]) && !name.iter().all(|b| NAME[usize::from(*b)]);
    if name.is_empty() || odd { Err(Malformed::FieldName) } else { Ok(()) }
}

/// RFC 9113, section 8.2.1, forbids CR, LF, NUL and whitespace at either end; other control characters are invalid too (RFC 9110,
/// section 5.5), and `http` does not have them.
fn check_value(value: &[u8]) -> Result<(), Malformed> {
    let control = any(value, control, is_control) && value.iter().any(|b| *b != b'\t' && is_control(*b));
    let blank = |b: Option<&u8>| matches!(b, Some(b' ' | b'\t'));
    if control || blank(value.first()) || blank(value.last()) { Err(Malformed::FieldValue) } else { Ok(()) }
}
