//! Start lines and field lines: bytes that were received become heads and trailers.
//!
//! A head is taken in two steps, its start line as soon as that is complete, then all its fields at once. Until then a
//! [`Scan`] remembers how far the search for the end has come, so that bytes that drip in are looked at once.

use super::{
    config::Limits,
    syntax::{find_newline, is_blank, is_host, is_target, is_token, token_len, trim, trim_start, value_len},
    violation::Violation,
};
use crate::{
    buf::RecvBuf,
    fields::{Fields, Marks},
    proto::Role,
};
use http::{Method, StatusCode, Uri, Version};

/// How far the search for the end of a line, or of a section of lines, has come.
///
/// # Invariants
///
/// `line <= at`; no LF stands from `line` to `at`.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Scan {
    /// Bytes that were looked at.
    at: usize,
    /// Where the line begins that is not complete.
    line: usize,
    /// Lines of a section that are complete.
    lines: usize,
}

/// How much a section may be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Allowed {
    pub(super) bytes: usize,
    pub(super) lines: usize,
    /// What it is to have more bytes.
    pub(super) too_large: Violation,
}

/// A section whose end has come.
struct Section {
    /// Its bytes, the empty line included.
    bytes: usize,
    /// Its lines, the empty one not included.
    lines: usize,
}

impl Scan {
    /// Returns where the next line ends, behind its CRLF.
    ///
    /// # Errors
    ///
    /// LF without CR (RFC 9112, section 2.2), or `too_large` when the line does not end within `limit` bytes.
    #[inline]
    fn line(&mut self, bytes: &[u8], limit: usize, too_large: Violation) -> Result<Option<usize>, Violation> {
        match find_newline(&bytes[self.at..]) {
            Some(n) if self.at + n < limit => {
                let lf = self.at + n;
                if lf == self.line || bytes[lf - 1] != b'\r' {
                    return Err(Violation::BareLf);
                }
                (self.at, self.line) = (lf + 1, lf + 1);
                Ok(Some(lf + 1))
            }
            None if bytes.len() < limit => {
                self.at = bytes.len();
                Ok(None)
            }
            _ => Err(too_large),
        }
    }

    /// Returns the section of lines that an empty line ends.
    ///
    /// # Errors
    ///
    /// As [`line`](Self::line), or too many lines.
    fn section(&mut self, bytes: &[u8], allowed: Allowed) -> Result<Option<Section>, Violation> {
        let mut scan = *self;
        loop {
            let line = scan.line;
            let Some(end) = scan.line(bytes, allowed.bytes, allowed.too_large)? else {
                *self = scan;
                return Ok(None);
            };
            if end - line == 2 {
                return Ok(Some(Section { bytes: end, lines: scan.lines }));
            }
            if scan.lines == allowed.lines {
                return Err(Violation::TooManyFields { limit: allowed.lines });
            }
            scan.lines += 1;
        }
    }
}

/// A start line that was understood.
#[derive(Debug)]
pub(super) enum Start {
    Request { method: Method, uri: Uri, version: Version },
    Response { status: StatusCode, version: Version },
}

/// Takes a start line from `input` once it is complete, and the empty lines that a server ignores before it; returns its
/// length too.
///
/// # Errors
///
/// Whatever RFC 9112, sections 2 to 4, does not allow, and limits.
pub(super) fn take_start(
    role: Role,
    limits: &Limits,
    scan: &mut Scan,
    empty_lines: &mut usize,
    input: &mut RecvBuf,
) -> Result<Option<(Start, usize)>, Violation> {
    let limit = limits.head_bytes;
    let too_large = match role {
        Role::Client => Violation::HeadTooLarge { limit },
        Role::Server => Violation::TargetTooLong { limit },
    };
    loop {
        check_first_bytes(role, input.peek())?;
        let end = match scan.line(input.peek(), limit, too_large) {
            Ok(Some(end)) => end,
            Ok(None) => return Ok(None),
            // There is no target yet that could be too long.
            Err(Violation::TargetTooLong { .. }) if token_len(input.peek()) >= limit => {
                return Err(Violation::MethodTooLong { limit });
            }
            Err(violation) => return Err(violation),
        };
        *scan = Scan::default();
        let line = input.take(end);
        if role == Role::Client || end > 2 {
            return Ok(Some((start_line(role, line)?, end)));
        }
        *empty_lines += 1;
        if *empty_lines > limits.empty_lines {
            return Err(Violation::TooManyEmptyLines);
        }
    }
}

/// Looks at the first bytes of a message, however few, for another protocol.
///
/// # Errors
///
/// [`Violation::NotHttp`], when no further bytes could make it HTTP/1.
fn check_first_bytes(role: Role, bytes: &[u8]) -> Result<(), Violation> {
    let begins = match role {
        Role::Client => bytes.iter().zip(b"HTTP/").all(|(a, b)| a == b),
        // CR and LF are for the line's own check.
        Role::Server => bytes.first().is_none_or(|&b| is_token(&[b]) || b == b'\r' || b == b'\n'),
    };
    if begins { Ok(()) } else { Err(Violation::NotHttp) }
}

/// Understands a start line, its CRLF included.
///
/// # Errors
///
/// Whatever RFC 9112, sections 2 to 4, does not allow in it.
fn start_line(role: Role, line: &[u8]) -> Result<Start, Violation> {
    let line = &line[..line.len() - 2];
    let start = match role {
        Role::Client => status_line(line),
        Role::Server => request_line(line),
    };
    // No valid line has a CR, so it is looked for only in others.
    start.map_err(|violation| if line.contains(&b'\r') { Violation::BareCr } else { violation })
}

/// Understands method, target and version, with one SP between them (RFC 9112, section 3).
fn request_line(line: &[u8]) -> Result<Start, Violation> {
    let (method, rest) = line.split_at(token_len(line));
    let rest = match rest {
        [b' ', rest @ ..] => rest,
        [] => return Err(Violation::RequestLineInvalid),
        _ => return Err(Violation::MethodInvalid),
    };
    // Without a version it would be HTTP/0.9.
    let space = rest.iter().rposition(|&b| b == b' ').ok_or(Violation::RequestLineInvalid)?;
    let (target, version) = (&rest[..space], version(&rest[space + 1..])?);
    let method = Method::from_bytes(method).map_err(|_| Violation::MethodInvalid)?;
    let uri = self::target(&method, target)?;
    Ok(Start::Request { method, uri, version })
}

/// The longest target that `http::Uri` holds.
const URI_BYTES: usize = 65_534;

/// Understands the target in the form that its method allows (RFC 9112, section 3.2).
fn target(method: &Method, target: &[u8]) -> Result<Uri, Violation> {
    if !is_target(target) {
        let blank = target.iter().any(|&b| is_blank(b));
        return Err(if blank { Violation::TargetWhitespace } else { Violation::TargetInvalid });
    }
    if target.len() > URI_BYTES {
        return Err(Violation::TargetTooLong { limit: URI_BYTES });
    }
    let uri = Uri::try_from(target).map_err(|_| Violation::TargetInvalid)?;
    let allowed = if *method == Method::CONNECT {
        // A server must refuse an empty or invalid port (RFC 9110, section 9.3.6).
        uri.scheme().is_none() && uri.path().is_empty() && uri.port_u16().is_some_and(|port| port != 0)
    } else if target == b"*" {
        *method == Method::OPTIONS
    } else {
        target[0] == b'/' || uri.scheme().is_some()
    };
    // A user and password in a target are an error (RFC 9110, section 4.2.4), and so is a port that is none, as in Host.
    let named = uri.authority().is_none_or(|a| !a.host().is_empty() && is_host(a.as_str().as_bytes()));
    if allowed && named { Ok(uri) } else { Err(Violation::TargetInvalid) }
}

/// Understands version, status and reason (RFC 9112, section 4).
fn status_line(line: &[u8]) -> Result<Start, Violation> {
    let (version_text, rest) = line.split_at_checked(8).ok_or(Violation::StatusLineInvalid)?;
    let version = version(version_text)?;
    let (status, reason) = match rest {
        [b' ', a, b, c, reason @ ..] => ([*a, *b, *c], reason),
        _ => return Err(Violation::StatusLineInvalid),
    };
    // Servers leave out the space before a reason that is missing; the reason itself means nothing.
    if !matches!(reason, [] | [b' ', ..]) || value_len(reason) != reason.len() {
        return Err(Violation::StatusLineInvalid);
    }
    let status = StatusCode::from_bytes(&status).map_err(|_| Violation::StatusInvalid)?;
    Ok(Start::Response { status, version })
}

/// Understands `HTTP/1.0` and `HTTP/1.1`; a higher minor version is treated as 1.1 (RFC 9110, section 2.5).
fn version(bytes: &[u8]) -> Result<Version, Violation> {
    match bytes {
        b"HTTP/1.1" => Ok(Version::HTTP_11),
        b"HTTP/1.0" => Ok(Version::HTTP_10),
        [b'H', b'T', b'T', b'P', b'/', major @ b'0'..=b'9', b'.', b'0'..=b'9'] => {
            if *major == b'1' {
                Ok(Version::HTTP_11)
            } else {
                Err(Violation::VersionUnsupported)
            }
        }
        _ => Err(Violation::VersionInvalid),
    }
}

/// Takes a section of field lines from `input` once it is complete, as [`fields`] understands it.
///
/// `take` sees every field, notes in `T` what it means, and says whether it is kept.
///
/// # Errors
///
/// As [`fields`], and limits.
pub(super) fn take_fields<T: Default>(
    role: Role,
    scan: &mut Scan,
    allowed: Allowed,
    input: &mut RecvBuf,
    take: impl Fn(&mut T, &[u8], &[u8]) -> Result<bool, Violation>,
) -> Result<Option<(Fields, T)>, Violation> {
    if scan.at == 0 && !input.is_empty() {
        // Most sections arrive whole and are understood in one pass. Whatever is odd about one, folded lines too, is
        // left to the second look, which alone judges: so it makes no difference how the bytes arrived.
        let (bytes, mut taken) = (input.peek(), T::default());
        if let Some((kept, len)) = plain_fields(bytes, &allowed, |name, value| take(&mut taken, name, value)) {
            input.take(len);
            return Ok(Some((kept, taken)));
        }
    }
    let Some(section) = scan.section(input.peek(), allowed)? else { return Ok(None) };
    let mut taken = T::default();
    // Every line has a colon and CRLF that are not kept.
    let room = Fields::with_capacity(section.lines, section.bytes.saturating_sub(3 * section.lines + 2));
    let section = input.take(section.bytes);
    let kept = fields(role, section, room, |name, value| take(&mut taken, name, value))?;
    Ok(Some((kept, taken)))
}

/// Understands a section of field lines in which nothing is odd; returns its length too. `take` says of each field whether it is kept.
#[inline]
fn plain_fields(
    bytes: &[u8],
    allowed: &Allowed,
    mut take: impl FnMut(&[u8], &[u8]) -> Result<bool, Violation>,
) -> Option<(Fields, usize)> {
    let mut marks = Marks::with_capacity(16);
    let (mut at, mut lines) = (0, 0);
    while !bytes[at..].starts_with(b"\r\n") {
        let line = &bytes[at..];
        let name = token_len(line);
        if name == 0 || line.get(name) != Some(&b':') || lines == allowed.lines {
            return None;
        }
        let mut start = name + 1;
        while start < line.len() && is_blank(line[start]) {
            start += 1;
        }
        let end = start + value_len(&line[start..]);
        if !line[end..].starts_with(b"\r\n") {
            return None;
        }
        let mut trimmed = end;
        while trimmed > start && is_blank(line[trimmed - 1]) {
            trimmed -= 1;
        }
        if take(&line[..name], &line[start..trimmed]).ok()? {
            marks.add(at..at + name, at + start..at + trimmed);
        }
        lines += 1;
        at += end + 2;
    }
    let len = at + 2;
    (len <= allowed.bytes).then(|| (marks.over(&bytes[..at]), len))
}

/// Understands a complete section of field lines; `take` says of each field whether it is kept. Folded lines are joined for a client.
///
/// # Errors
///
/// Whatever RFC 9112, section 5, does not allow, and what `take` refuses.
fn fields(
    role: Role,
    bytes: &[u8],
    mut kept: Fields,
    mut take: impl FnMut(&[u8], &[u8]) -> Result<bool, Violation>,
) -> Result<Fields, Violation> {
    if bytes.first().is_some_and(|&b| is_blank(b)) {
        return Err(Violation::FieldsIndented);
    }
    let mut rest = bytes;
    loop {
        if rest.starts_with(b"\r\n") {
            return Ok(kept);
        }
        let Line { name, value, next } = field_line(rest)?;
        rest = next;
        if role == Role::Client && rest.first().is_some_and(|&b| is_blank(b)) {
            let (value, next) = unfold(value, rest)?;
            rest = next;
            if take(name, &value)? {
                kept.push(name, &value);
            }
        } else if take(name, value)? {
            kept.push(name, value);
        }
    }
}

/// The first line of a section, and the lines that follow.
struct Line<'a> {
    name: &'a [u8],
    value: &'a [u8],
    next: &'a [u8],
}

/// Splits the first line of a section into name and value.
fn field_line(section: &[u8]) -> Result<Line<'_>, Violation> {
    let (name, rest) = section.split_at(token_len(section));
    match rest {
        [b':', rest @ ..] if !name.is_empty() => {
            let (value, next) = value(rest)?;
            Ok(Line { name, value, next })
        }
        _ => Err(name_fault(name, rest)),
    }
}

/// Splits the rest of a line from the lines that follow, and trims it.
fn value(rest: &[u8]) -> Result<(&[u8], &[u8]), Violation> {
    let (value, rest) = rest.split_at(value_len(rest));
    match rest {
        [b'\r', b'\n', next @ ..] => Ok((trim(value), next)),
        [b'\r', ..] => Err(Violation::BareCr),
        _ => Err(Violation::FieldValueInvalid),
    }
}

/// Says why something else than a colon follows a name.
#[cold]
fn name_fault(name: &[u8], rest: &[u8]) -> Violation {
    match (name.is_empty(), rest) {
        (true, [b':', ..]) => Violation::FieldNameEmpty,
        (true, [b' ' | b'\t', ..]) => Violation::FieldFolded,
        (false, [b' ' | b'\t', ..]) if trim_start(rest).first() == Some(&b':') => Violation::FieldNameWhitespace,
        (false, [b'\r', b'\n', ..]) => Violation::FieldWithoutColon,
        (_, [b'\r', ..]) => Violation::BareCr,
        _ => Violation::FieldNameInvalid,
    }
}

/// Joins a value with the lines that continue it, by one SP each: what a user agent must do (RFC 9112, section 5.2).
#[cold]
fn unfold<'a>(first: &[u8], mut rest: &'a [u8]) -> Result<(Vec<u8>, &'a [u8]), Violation> {
    let mut joined = first.to_vec();
    while rest.first().is_some_and(|&b| is_blank(b)) {
        let (line, next) = value(rest)?;
        rest = next;
        if !line.is_empty() {
            if !joined.is_empty() {
                joined.push(b' ');
            }
            joined.extend_from_slice(line);
        }
    }
    Ok((joined, rest))
}
