//! The caller's URL: checked, made canonical, and taken apart.
//!
//! | in the caller's URL | what happens |
//! |---|---|
//! | scheme, host | lower-cased; `http` and `https`, for WebSockets also `ws` and `wss` |
//! | port | the default one, and an empty one, are left out |
//! | `[::1]` | must be an IPv6 address; written in its canonical form |
//! | `user:password@` | percent-decoded, becomes basic credentials, never part of the URI |
//! | path | `.` and `..` are resolved (RFC 3986, section 5.2.4), an empty one becomes `/` |
//! | other illegal characters of path and query | percent-encoded as browsers do |
//! | `#fragment` | dropped: it is never sent, and [`http::Uri`] has no place for it |
//! | space, control byte, host beyond ASCII | an error: in a program these are mistakes |
//!
//! Where browsers read a backslash as a slash, here it is data: `%5C` in a path, an error in front of it. A `Location`
//! of `/\evil.test` therefore stays on its origin.

mod canonical;
mod encode;
mod reference;

pub(crate) use encode::{append_query, form};
pub(crate) use reference::resolve;

use super::auth;
use crate::{
    error::{Error, Result},
    net::Target,
};
use encode::{encode_path, encode_query, percent_decode};
use http::{HeaderValue, Uri};
use reference::{Parts, remove_dot_segments};
use std::{
    fmt,
    hash::{BuildHasher, RandomState},
    net::Ipv6Addr,
    sync::{Arc, OnceLock},
};

/// Which schemes are accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    /// `http` and `https`.
    Http,
    /// `ws` and `wss`, and the two that they stand for.
    WebSocket,
}

/// `http`, or `https` for what runs over TLS. `ws` and `wss` become these (RFC 6455, section 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Scheme {
    Http,
    Https,
}

impl Scheme {
    fn parse(scheme: &[u8], family: Family) -> Result<Self> {
        let is = |name: &str| scheme.eq_ignore_ascii_case(name.as_bytes());
        match family {
            _ if is("http") => Ok(Scheme::Http),
            _ if is("https") => Ok(Scheme::Https),
            Family::WebSocket if is("ws") => Ok(Scheme::Http),
            Family::WebSocket if is("wss") => Ok(Scheme::Https),
            Family::Http | Family::WebSocket => {
                let allowed = if family == Family::Http { "http and https" } else { "ws, wss, http and https" };
                Err(Error::invalid(format!("scheme `{}`: {allowed} are allowed", scheme.escape_ascii())))
            }
        }
    }

    /// Returns the scheme in lower case.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Scheme::Http => "http",
            Scheme::Https => "https",
        }
    }

    /// Returns the port of a URL that names none.
    pub(crate) fn default_port(self) -> u16 {
        match self {
            Scheme::Http => 80,
            Scheme::Https => 443,
        }
    }
}

/// Scheme, host and port: what must be equal for two URLs to trust each other (RFC 6454, section 4).
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    pub(crate) scheme: Scheme,
    /// Lower case; an IPv6 address without its brackets.
    pub(crate) host: Arc<str>,
    pub(crate) port: u16,
    /// A hash of the three, taken once: every request looks connections up by it.
    digest: u64,
}

impl PartialEq for Origin {
    fn eq(&self, other: &Self) -> bool {
        self.digest == other.digest
            && (self.scheme, self.port) == (other.scheme, other.port)
            && (Arc::ptr_eq(&self.host, &other.host) || self.host == other.host)
    }
}
impl Eq for Origin {}

impl Origin {
    fn new(scheme: Scheme, host: Arc<str>, port: u16) -> Self {
        // Peers choose host names, by redirects: the hash has to be one they cannot predict.
        static STATE: OnceLock<RandomState> = OnceLock::new();
        let digest = STATE.get_or_init(RandomState::new).hash_one((scheme, &*host, port));
        Origin { scheme, host, port, digest }
    }

    /// Returns a number that is the same for equal origins, and that nobody else can predict.
    pub(crate) fn digest(&self) -> u64 {
        self.digest
    }

    /// Returns the origin of an absolute URI.
    ///
    /// # Errors
    ///
    /// `InvalidInput` as for [`Url::parse`].
    pub(crate) fn of(uri: &Uri) -> Result<Self> {
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return Err(Error::invalid("the URL is not absolute"));
        };
        let scheme = Scheme::parse(scheme.as_bytes(), Family::Http)?;
        Origin::parse(scheme, split_user(authority.as_str().as_bytes()).1)
    }

    fn parse(scheme: Scheme, host_port: &[u8]) -> Result<Self> {
        let (host, port) = if host_port.first() == Some(&b'[') {
            let end = host_port.iter().position(|b| *b == b']');
            let end = end.ok_or_else(|| Error::invalid("the host begins with `[` and has no `]`"))?;
            match &host_port[end + 1..] {
                [] => (ipv6(&host_port[1..end])?, None),
                [b':', port @ ..] => (ipv6(&host_port[1..end])?, Some(port)),
                _ => return Err(Error::invalid("only a port may follow the `]` of the host")),
            }
        } else {
            match host_port.iter().position(|b| *b == b':') {
                None => (name(host_port)?, None),
                Some(at) if host_port[at + 1..].contains(&b':') => {
                    return Err(Error::invalid(
                        "the host has more than one `:`; an IPv6 address is written in brackets",
                    ));
                }
                Some(at) => (name(&host_port[..at])?, Some(&host_port[at + 1..])),
            }
        };
        let port = match port {
            None | Some([]) => scheme.default_port(),
            Some(digits) => parse_port(digits)?,
        };
        Ok(Origin::new(scheme, host, port))
    }

    /// Appends it as it stands in a URL.
    fn push_to(&self, text: &mut String) {
        let Origin { scheme, host, port, .. } = self;
        let (open, close) = if host.contains(':') { ("[", "]") } else { ("", "") };
        for part in [scheme.as_str(), "://", open, host, close] {
            text.push_str(part);
        }
        if *port != scheme.default_port() {
            text.push(':');
            text.push_str(&port.to_string());
        }
    }

    /// Returns where to connect.
    pub(crate) fn target(&self) -> Target {
        Target { scheme: self.scheme.as_str().into(), host: self.host.to_string(), port: self.port }
    }
}

/// As it stands in a URL: the default port is left out.
impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        self.push_to(&mut text);
        f.write_str(&text)
    }
}

/// A URL that can be requested.
#[derive(Clone, Debug)]
pub(crate) struct Url {
    /// Absolute and canonical, without user information and fragment.
    pub(crate) uri: Uri,
    /// The origin of `uri`.
    pub(crate) origin: Origin,
    /// The value of Authorization for `user:password@`.
    pub(crate) authorization: Option<HeaderValue>,
}

impl Url {
    /// Checks an absolute URL of the caller.
    ///
    /// # Errors
    ///
    /// `InvalidInput`, which names what is wrong and never repeats the user information.
    pub(crate) fn parse(text: &str, family: Family) -> Result<Self> {
        canonical::parse(text).unwrap_or_else(|| Url::parse_any(text, family))
    }

    fn parse_any(text: &str, family: Family) -> Result<Self> {
        check_bytes(text)?;
        let parts = Parts::split(text.as_bytes());
        let scheme = parts.scheme.ok_or_else(|| {
            Error::invalid("the URL has no scheme: it must begin with `https://` or another one that is supported")
        })?;
        let scheme = Scheme::parse(scheme, family)?;
        let authority = parts.authority.ok_or_else(|| Error::invalid("the URL has no `//` after its scheme"))?;
        let (user, host_port) = split_user(authority);
        let origin = Origin::parse(scheme, host_port)?;
        let authorization = user.filter(|u| !u.is_empty()).map(authorization).transpose()?;
        let uri = assemble(&origin, parts.path, parts.query)?;
        Ok(Url { uri, origin, authorization })
    }
}

/// The URL in front of those that begin with `/`.
#[derive(Clone, Debug)]
pub(crate) struct Base(Url);

impl Base {
    /// Checks a base URL.
    ///
    /// # Errors
    ///
    /// As for [`Url::parse`]; also if it has a query or a fragment, which could only get lost.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        match text.bytes().find(|b| matches!(b, b'?' | b'#')) {
            None => Url::parse(text, Family::Http).map(Base),
            Some(b'?') => Err(Error::invalid("the base URL has a query")),
            Some(_) => Err(Error::invalid("the base URL has a fragment")),
        }
    }

    /// Returns the URL of a path, which begins with `/` and may have a query.
    ///
    /// The path is put behind that of the base, with one slash between them: `https://a.test/v1/` and `/users` give
    /// `https://a.test/v1/users`. It stays on the base's origin even as `//b.test/`. Dot segments are resolved afterwards, so
    /// the base is a prefix and not a fence.
    ///
    /// # Errors
    ///
    /// `InvalidInput` as for [`Url::parse`], or if the path does not begin with `/`.
    pub(crate) fn join(&self, path: &str) -> Result<Url> {
        check_bytes(path)?;
        if !path.starts_with('/') {
            return Err(Error::invalid("what is joined to a base URL must begin with `/`"));
        }
        let path = path.split_once('#').map_or(path, |(path, _fragment)| path);
        let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
        let Base(base) = self;
        let joined = [base.uri.path().trim_end_matches('/'), path].concat();
        let uri = assemble(&base.origin, joined.as_bytes(), query.map(str::as_bytes))?;
        Ok(Url { uri, ..base.clone() })
    }
}

/// Refuses what nobody writes into a URL on purpose; a Location is treated more kindly.
fn check_bytes(text: &str) -> Result<()> {
    match text.bytes().enumerate().find(|(_, b)| *b <= b' ' || *b == 0x7f) {
        None => Ok(()),
        Some((at, b' ')) => Err(Error::invalid(format!("the URL has a space at byte {at}"))),
        Some((at, b)) => Err(Error::invalid(format!("the URL has the control byte {b:#04x} at byte {at}"))),
    }
}

/// Cuts the user information off an authority. The last `@` ends it, as for curl and browsers.
fn split_user(authority: &[u8]) -> (Option<&[u8]>, &[u8]) {
    match authority.iter().rposition(|b| *b == b'@') {
        None => (None, authority),
        Some(at) => (Some(&authority[..at]), &authority[at + 1..]),
    }
}

fn authorization(user: &[u8]) -> Result<HeaderValue> {
    if user.contains(&b'\\') {
        // Browsers take what is in front of the backslash for the host.
        return Err(Error::invalid("the user information has a backslash"));
    }
    let (user, password) = match user.iter().position(|b| *b == b':') {
        None => (user, &b""[..]),
        Some(at) => (&user[..at], &user[at + 1..]),
    };
    let text = |bytes| {
        String::from_utf8(percent_decode(bytes)).map_err(|_| Error::invalid("the user information is not UTF-8"))
    };
    auth::basic(&text(user)?, &text(password)?)
}

fn ipv6(address: &[u8]) -> Result<Arc<str>> {
    let parsed = std::str::from_utf8(address).ok().and_then(|a| a.parse::<Ipv6Addr>().ok());
    match parsed {
        Some(address) => Ok(address.to_string().into()),
        None if address.contains(&b'%') => {
            Err(Error::invalid("the host has a zone identifier, which is not supported"))
        }
        None => Err(Error::invalid(format!("the host `[{}]` is not an IPv6 address", address.escape_ascii()))),
    }
}

/// Checks a registered name (RFC 3986, section 3.2.2) without percent-encoding; IPv4 addresses are a case of it.
fn name(host: &[u8]) -> Result<Arc<str>> {
    if host.is_empty() {
        return Err(Error::invalid("the URL has no host"));
    }
    match host.iter().find(|b| !(b.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=".contains(b))) {
        None => match std::str::from_utf8(host) {
            Ok(lower) if !host.iter().any(u8::is_ascii_uppercase) => Ok(lower.into()),
            _ => Ok(host.iter().map(|b| char::from(b.to_ascii_lowercase())).collect::<String>().into()),
        },
        Some(b'%') => Err(Error::invalid("the host is percent-encoded")),
        Some(b) if b.is_ascii() => Err(Error::invalid(format!("the host has the character `{}`", b.escape_ascii()))),
        Some(_) => Err(Error::invalid("the host has characters beyond ASCII: write its `xn--` form")),
    }
}

fn parse_port(digits: &[u8]) -> Result<u16> {
    let text = std::str::from_utf8(digits).ok().filter(|t| t.bytes().all(|b| b.is_ascii_digit()));
    match text.and_then(|t| t.parse().ok()) {
        Some(port) if port > 0 => Ok(port),
        _ => Err(Error::invalid(format!("port `{}` is not between 1 and 65535", digits.escape_ascii()))),
    }
}

/// Puts a URI together from an origin and what is behind it.
fn assemble(origin: &Origin, path: &[u8], query: Option<&[u8]>) -> Result<Uri> {
    let mut text = String::with_capacity(origin.host.len() + 14 + path.len() + query.map_or(0, |q| q.len() + 1));
    origin.push_to(&mut text);
    encode_path(&remove_dot_segments(path), &mut text);
    if let Some(query) = query {
        text.push('?');
        encode_query(query, &mut text);
    }
    to_uri(text)
}

/// Makes the URI; after the checks above only its length can be wrong.
fn to_uri(text: String) -> Result<Uri> {
    let len = text.len();
    Uri::try_from(text).map_err(|e| Error::invalid(format!("a URL of {len} bytes: {e}")).with_source(e))
}

#[cfg(test)]
mod tests;
