//! Proxies: which requests go through one, and how it is asked for a connection.
//!
//! [`Proxy`] is what the user configures; [`Proxy::route`] says what it means for one target. [`Asking`] is the conversation with
//! a proxy that leads to a tunnel: bytes in, bytes out, nothing that waits, so that it can run over any wire.
//!
//! | file | holds |
//! |---|---|
//! | `address` | the URL of a proxy |
//! | `bypass` | what is reached without it |
//! | `ask` | the conversation; `connect` is that of HTTP, `socks` that of SOCKS5 |

mod address;
mod ask;
mod bypass;
mod connect;
#[cfg(feature = "socks")]
mod socks;
#[cfg(test)]
mod tests;

pub(crate) use address::{ProxyServer, Scheme, authority};
pub(crate) use ask::Asking;

use super::Target;
use crate::error::{Error, Result};
use bypass::Bypass;
use std::{fmt, sync::Arc};

/// A proxy: an `http://`, `https://` or `socks5://` URL, credentials included.
///
/// https goes through an HTTP proxy in a tunnel (CONNECT), so the proxy sees the name and nothing else; http is sent to it as it is.
/// A SOCKS5 proxy (feature `socks`) is given names, never addresses that were looked up here.
///
/// # Examples
///
/// ```
/// use bowline::net::Proxy;
///
/// # fn main() -> bowline::Result<()> {
/// let proxy = Proxy::new("http://user:secret@proxy.example:3128")?.bypass(&["localhost", ".example.com", "10.0.0.0/8"]);
/// assert!(!format!("{proxy:?}").contains("secret"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Proxy {
    /// For http, and for https.
    http: Option<Arc<ProxyServer>>,
    https: Option<Arc<ProxyServer>>,
    bypass: Bypass,
    /// What is wrong with the settings; said when they are used.
    mistake: Option<Arc<str>>,
    /// Also for targets in the clear, of which it could take the requests itself.
    always_tunnels: bool,
}

/// How a target is reached.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Route {
    /// The request is sent to the proxy, with the whole URL in its first line and
    /// [`authorization`](ProxyServer::authorization) among its fields.
    Absolute(Arc<ProxyServer>),
    /// Without a proxy.
    Direct,
    /// Through a tunnel that the proxy is asked for.
    Tunnel(Arc<ProxyServer>),
}

impl Route {
    /// Returns the proxy, if there is one.
    pub(crate) fn proxy(&self) -> Option<&Arc<ProxyServer>> {
        match self {
            Route::Absolute(proxy) | Route::Tunnel(proxy) => Some(proxy),
            Route::Direct => None,
        }
    }
}

impl Proxy {
    /// Returns the proxy with this URL, for http and https. Without a scheme it is an HTTP proxy.
    ///
    /// User and password are percent-decoded. The ports are 80, 443 and 1080 unless the URL has one.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if the URL cannot be one of a proxy, `Unsupported` for `socks5://` without the feature `socks` and
    /// `https://` without the feature `tls`.
    ///
    /// # Examples
    ///
    /// ```
    /// use bowline::{Client, Proxy};
    ///
    /// # fn main() -> bowline::Result<()> {
    /// let client = Client::builder().proxy(Proxy::new("http://user:word@proxy.example.org:3128")?).build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn new(url: impl AsRef<str>) -> Result<Self> {
        let server = Arc::new(ProxyServer::parse(url.as_ref())?);
        let bypass = Bypass::default();
        Ok(Proxy { http: Some(server.clone()), https: Some(server), bypass, mistake: None, always_tunnels: false })
    }

    /// Returns the proxies of the environment, or `None` if it names none: what a client uses by default.
    ///
    /// `HTTPS_PROXY` is for https, `HTTP_PROXY` for http, `ALL_PROXY` for whatever has no variable of its own, and `NO_PROXY`
    /// has what [`bypass`](Self::bypass) takes, with commas between, or `*` for everything. Names in lower case come first; an
    /// empty variable counts as missing. In a CGI program, where `REQUEST_METHOD` is set, `HTTP_PROXY` is ignored: there it
    /// is the header `Proxy` of whoever sent the request.
    ///
    /// A variable that cannot be understood makes the requests fail that would use it, because going without a
    /// proxy is not what was asked for.
    ///
    /// # Examples
    ///
    /// ```
    /// println!("{}", if bowline::Proxy::from_env().is_some() { "by a proxy" } else { "directly" });
    /// ```
    pub fn from_env() -> Option<Self> {
        // On Windows the case of a name says nothing: asked for in lower case, the header `Proxy` of a CGI request is found, too.
        let forged = |name: &str| cfg!(windows) && name == "http_proxy" && std::env::var_os("REQUEST_METHOD").is_some();
        Self::from_variables(|name| if forged(name) { None } else { std::env::var(name).ok() })
    }

    /// Is [`from_env`](Self::from_env) with the environment given.
    fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Option<Self> {
        let get = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
        let both = |lower: &str, upper: &str| get(lower).or_else(|| get(upper));
        let http = match variable("REQUEST_METHOD") {
            Some(_) => get("http_proxy"),
            None => both("http_proxy", "HTTP_PROXY"),
        };
        let https = both("https_proxy", "HTTPS_PROXY");
        let all = both("all_proxy", "ALL_PROXY");

        let mut mistake = None;
        let mut server = |url: Option<String>| {
            let url = url.or_else(|| all.clone())?;
            let parsed = ProxyServer::parse(url.trim());
            parsed.map(Arc::new).map_err(|e| mistake = Some(format!("in the environment: {e}").into())).ok()
        };
        let (http, https) = (server(http), server(https));
        if http.is_none() && https.is_none() && mistake.is_none() {
            return None;
        }
        let mut bypass = Bypass::default();
        for entry in both("no_proxy", "NO_PROXY").unwrap_or_default().split([',', ' ', '\t']) {
            // Other programs read this variable too, and may understand more.
            let _ = bypass.add(entry);
        }
        Some(Proxy { http, https, bypass, mistake, always_tunnels: false })
    }

    /// Adds hosts, domains and networks that are reached without it.
    ///
    /// `example.com`, `.example.com` and `*.example.com` all mean the name and what is below it. `10.1.2.3`, `[::1]`,
    /// `10.0.0.0/8` and `fd00::/8` mean literal addresses: no name is looked up for them. All but networks may be
    /// followed by a port, and `*` means everything. What is none of these is an error of the client's `build`.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> bowline::Result<()> {
    /// let proxy = bowline::Proxy::new("proxy.example.org:3128")?.bypass(&["localhost", ".example.org", "10.0.0.0/8"]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn bypass(mut self, hosts: &[&str]) -> Self {
        for entry in hosts {
            if self.bypass.add(entry).is_err() {
                self.mistake =
                    Some(format!("`{entry}` is not a host, domain or network to reach without proxy").into());
            }
        }
        self
    }

    /// Says what is wrong with the settings.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if something is.
    pub(crate) fn check(&self) -> Result<()> {
        match &self.mistake {
            Some(mistake) => Err(Error::invalid(format!("proxy: {mistake}"))),
            None => Ok(()),
        }
    }

    /// Returns the same proxy asked for a tunnel whatever the target: for WebSockets (RFC 6455, section 4.1).
    pub(crate) fn tunnelling(&self) -> Self {
        Proxy { always_tunnels: true, ..self.clone() }
    }

    /// Returns how `target` is reached.
    ///
    /// # Errors
    ///
    /// As [`check`](Self::check), unless the target needs no proxy.
    pub(crate) fn route(&self, target: &Target) -> Result<Route> {
        if self.bypass.covers(&target.host, target.port) {
            return Ok(Route::Direct);
        }
        self.check()?;
        let secure = target.scheme == "https";
        Ok(match if secure { &self.https } else { &self.http } {
            None => Route::Direct,
            Some(proxy) if secure || self.always_tunnels || proxy.scheme == Scheme::Socks5 => {
                Route::Tunnel(proxy.clone())
            }
            Some(proxy) => Route::Absolute(proxy.clone()),
        })
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut s = f.debug_struct("Proxy");
        s.field("http", &self.http).field("https", &self.https).field("bypass", &self.bypass);
        if let Some(mistake) = &self.mistake {
            s.field("mistake", mistake);
        }
        s.finish()
    }
}
