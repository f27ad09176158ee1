//! Where a proxy is, and who we are to it.

use crate::{
    b64,
    error::{Error, ErrorKind, Result},
};
use http::HeaderValue;
use std::fmt;

/// How to talk to a proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Scheme {
    Http,
    Https,
    Socks5,
}

impl Scheme {
    /// Returns the scheme of this name, if this build has it.
    fn parse(name: &str) -> Result<Self> {
        let scheme = match name.to_ascii_lowercase().as_str() {
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            // The name is always looked up by the proxy.
            "socks5" | "socks5h" => Scheme::Socks5,
            // The text before `://` can be anything, a password included.
            _ => return Err(Error::invalid("proxy URL: the scheme is none of http, https and socks5")),
        };
        match scheme {
            Scheme::Https if cfg!(not(feature = "tls")) => {
                Err(Error::with(ErrorKind::Unsupported, "an https:// proxy needs the feature `tls`"))
            }
            Scheme::Socks5 if cfg!(not(feature = "socks")) => {
                Err(Error::with(ErrorKind::Unsupported, "a socks5:// proxy needs the feature `socks`"))
            }
            scheme => Ok(scheme),
        }
    }

    fn default_port(self) -> u16 {
        match self {
            Scheme::Http => 80,
            Scheme::Https => 443,
            Scheme::Socks5 => 1080,
        }
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Scheme::Http => "http",
            Scheme::Https => "https",
            Scheme::Socks5 => "socks5",
        }
    }
}

/// One proxy. Its `Debug` and `Display` never show the credentials.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct ProxyServer {
    pub(crate) scheme: Scheme,
    /// The name or literal address, without brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) credentials: Option<Credentials>,
}

/// A user and a password, as the bytes they were before percent-encoding.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Credentials {
    pub(crate) user: Vec<u8>,
    pub(crate) password: Vec<u8>,
}

impl ProxyServer {
    /// Returns the proxy with this URL.
    ///
    /// No error shows a part of the URL that could be a password.
    pub(super) fn parse(url: &str) -> Result<Self> {
        let (scheme, rest) = match url.split_once("://") {
            Some((scheme, rest)) => (Scheme::parse(scheme)?, rest),
            None => (Scheme::Http, url),
        };
        // The last `@` ends the credentials: not everybody encodes one in a password. A `/` may be in there for the same reason.
        let (userinfo, rest) = match rest.rsplit_once('@') {
            Some((userinfo, rest)) => (Some(userinfo), rest),
            None => (None, rest),
        };
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        let (host, port) = split_host_port(authority)
            .ok_or_else(|| Error::invalid("proxy URL: what follows the scheme and the user is not `host:port`"))?;
        let credentials = userinfo.map(Credentials::parse).transpose()?;
        if let Some(credentials) = &credentials {
            credentials.check(scheme)?;
        }
        Ok(ProxyServer { scheme, host, port: port.unwrap_or(scheme.default_port()), credentials })
    }

    /// Returns the value of `Proxy-Authorization`, if we have credentials.
    pub(crate) fn authorization(&self) -> Option<HeaderValue> {
        let credentials = self.credentials.as_ref()?;
        // RFC 7617, section 2: user-id and password with a colon between.
        let plain = [&credentials.user[..], b":", &credentials.password].concat();
        let mut value = HeaderValue::try_from(format!("Basic {}", b64::encode(plain))).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}

impl Credentials {
    fn parse(userinfo: &str) -> Result<Self> {
        let (user, password) = userinfo.split_once(':').unwrap_or((userinfo, ""));
        match (percent_decode(user), percent_decode(password)) {
            (Some(user), Some(password)) => Ok(Credentials { user, password }),
            _ => Err(Error::invalid(
                "proxy URL: the user or the password has a `%` without two hexadecimal digits behind it",
            )),
        }
    }

    fn check(&self, scheme: Scheme) -> Result<()> {
        match scheme {
            // RFC 7617, section 2.
            Scheme::Http | Scheme::Https if self.user.contains(&b':') => {
                Err(Error::invalid("proxy URL: the user has a colon, which an HTTP proxy cannot be told"))
            }
            Scheme::Http | Scheme::Https if self.user.iter().chain(&self.password).any(u8::is_ascii_control) => {
                Err(Error::invalid("proxy URL: the user or the password has a control character"))
            }
            // RFC 1929, section 2: each has a length of one byte, from 1 to 255.
            Scheme::Socks5 if ![&self.user, &self.password].iter().all(|part| (1..=255).contains(&part.len())) => {
                Err(Error::invalid("proxy URL: a SOCKS5 user and password have from 1 to 255 bytes each"))
            }
            Scheme::Http | Scheme::Https | Scheme::Socks5 => Ok(()),
        }
    }
}

impl fmt::Display for ProxyServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme.as_str(), authority(&self.host, self.port))
    }
}

impl fmt::Debug for ProxyServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")?;
        if self.credentials.is_some() { f.write_str(" (with credentials)") } else { Ok(()) }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials")
    }
}

/// Returns `host:port`, with brackets around an IPv6 address.
pub(crate) fn authority(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// Takes `host`, `host:port`, `[address]` and `[address]:port` apart; an IPv6 address may be bare where it has no port.
pub(super) fn split_host_port(text: &str) -> Option<(String, Option<u16>)> {
    let (host, port) = if let Some(rest) = text.strip_prefix('[') {
        let (host, behind) = rest.split_once(']')?;
        host.split('%').next()?.parse::<std::net::Ipv6Addr>().ok()?;
        (host, if behind.is_empty() { None } else { Some(behind.strip_prefix(':')?) })
    } else if text.parse::<std::net::Ipv6Addr>().is_ok() {
        (text, None)
    } else {
        match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        }
    };
    let plain = |b: u8| b.is_ascii_graphic() && !b"/?#@[]\\<>\"^`{|}".contains(&b) || !b.is_ascii();
    if host.is_empty() || !host.bytes().all(plain) {
        return None;
    }
    let port = match port {
        Some(port) if port.bytes().all(|b| b.is_ascii_digit()) => Some(port.parse().ok()?),
        Some(_) => return None,
        None => None,
    };
    Some((host.to_owned(), port))
}

/// Returns the bytes a percent-encoded text stands for.
fn percent_decode(text: &str) -> Option<Vec<u8>> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => {
                let mut digit = || char::from(bytes.next()?).to_digit(16);
                u8::try_from(digit()? << 4 | digit()?).ok()?
            }
            byte => byte,
        });
    }
    Some(decoded)
}
