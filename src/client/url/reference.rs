//! Resolving a reference against a base (RFC 3986, section 5), which `http::Uri` cannot do.

use super::{Family, Origin, Scheme, Url, assemble, split_user};
use crate::error::{Error, Result};
use http::Uri;
use std::borrow::Cow;

/// A URL or reference taken apart (RFC 3986, appendix B). The fragment is cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Parts<'a> {
    pub(super) scheme: Option<&'a [u8]>,
    pub(super) authority: Option<&'a [u8]>,
    pub(super) path: &'a [u8],
    pub(super) query: Option<&'a [u8]>,
}

impl<'a> Parts<'a> {
    /// Takes apart any bytes; nothing is checked.
    pub(super) fn split(bytes: &'a [u8]) -> Self {
        let (rest, _fragment) = cut(bytes, b'#');
        let (rest, query) = cut(rest, b'?');
        let (scheme, rest) = match cut(rest, b':') {
            (scheme, Some(rest)) if is_scheme(scheme) => (Some(scheme), rest),
            _ => (None, rest),
        };
        let (authority, path) = match rest.strip_prefix(b"//") {
            None => (None, rest),
            Some(rest) => {
                let end = rest.iter().position(|b| *b == b'/').unwrap_or(rest.len());
                (Some(&rest[..end]), &rest[end..])
            }
        };
        Parts { scheme, authority, path, query }
    }
}

fn cut(bytes: &[u8], at: u8) -> (&[u8], Option<&[u8]>) {
    match bytes.iter().position(|b| *b == at) {
        None => (bytes, None),
        Some(n) => (&bytes[..n], Some(&bytes[n + 1..])),
    }
}

fn is_scheme(bytes: &[u8]) -> bool {
    bytes.first().is_some_and(u8::is_ascii_alphabetic)
        && bytes.iter().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(b))
}

/// Returns what a Location means at `base` (RFC 9110, section 10.2.2; RFC 3986, section 5.2).
///
/// Servers write spaces and bytes beyond ASCII into Location; they are encoded, as browsers do, and space around it is
/// ignored. User information is dropped: a server does not choose our credentials. So is the fragment, ours and the
/// server's, since it is never sent. A scheme without `//` that is also the base's is ignored, as section 5.2.2 allows and
/// browsers do.
///
/// # Errors
///
/// `InvalidInput` for a control byte, a scheme that is not `http` or `https`, or a host or port that cannot be right.
pub(crate) fn resolve(base: &Uri, location: &[u8]) -> Result<Url> {
    let location = location.trim_ascii();
    if let Some(b) = location.iter().find(|b| b.is_ascii_control()) {
        return Err(Error::invalid(format!("the location has the control byte {b:#04x}")));
    }
    let base_origin = Origin::of(base)?;
    let Parts { scheme, authority, path, query } = Parts::split(location);
    let scheme = match scheme {
        None => base_origin.scheme,
        Some(scheme) => Scheme::parse(scheme, Family::Http)?,
    };
    let origin = match authority {
        Some(authority) => Origin::parse(scheme, split_user(authority).1)?,
        None if scheme == base_origin.scheme => base_origin,
        None => return Err(Error::invalid("the location has no `//` after its scheme")),
    };
    let merged;
    let (path, query) = match path {
        _ if authority.is_some() => (path, query),
        [] => (base.path().as_bytes(), query.or(base.query().map(str::as_bytes))),
        [b'/', ..] => (path, query),
        _ => {
            // The last segment of the base is replaced (section 5.2.3).
            let base = base.path().as_bytes();
            let end = base.iter().rposition(|b| *b == b'/').map_or(0, |at| at + 1);
            merged = [&base[..end], path].concat();
            (&merged[..], query)
        }
    };
    let uri = assemble(&origin, path, query)?;
    Ok(Url { uri, origin, authorization: None })
}

/// Returns the path without `.` and `..` segments (RFC 3986, section 5.2.4), beginning with `/`.
///
/// A percent-encoded dot is data here, as it is in the RFC.
pub(super) fn remove_dot_segments(path: &[u8]) -> Cow<'_, [u8]> {
    if path.first() == Some(&b'/') && !path.windows(2).any(|pair| pair == b"/.") {
        return Cow::Borrowed(path);
    }
    let mut kept = Vec::with_capacity(path.len() + 1);
    let mut segments = path.strip_prefix(b"/").unwrap_or(path).split(|b| *b == b'/').peekable();
    while let Some(segment) = segments.next() {
        let up = segment == b"..";
        if up {
            let parent = kept.iter().rposition(|b| *b == b'/').unwrap_or(0);
            kept.truncate(parent);
        } else if segment != b"." {
            kept.push(b'/');
            kept.extend_from_slice(segment);
            continue;
        }
        // The last segment names a directory: it keeps its slash.
        if segments.peek().is_none() {
            kept.push(b'/');
        }
    }
    Cow::Owned(kept)
}
