//! Settings of a client, being put together.

use super::{
    Client, Inner,
    hook::Hook,
    pool::Pool,
    redirect::Redirects,
    retry::Retry,
    settings::{H2Settings, Network, PoolLimits, Protocol, Settings},
    upkeep::Keeper,
    url::Base,
};
#[cfg(feature = "tls")]
use crate::net::Tls;
use crate::{
    drive::{Cancel, Flow, Interrupt, next_id},
    error::{Error, Result},
    net::{Connect, Proxy, Resolve},
    time::Timeouts,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use std::{net::IpAddr, path::Path, sync::Arc, time::Duration};

/// What is sent as User-Agent unless the program says otherwise.
const USER_AGENT: &str = concat!("bowline/", env!("CARGO_PKG_VERSION"));

/// The longest header list accepted: what curl, Go and nghttp2 allow is of this order (100 KiB, 1 MiB, 64 KiB).
const MAX_HEADER_BYTES: usize = 64 * 1024;

/// Settings of a client. Those marked (r) are defaults that a request can override.
///
/// # Examples
///
/// ```
/// use bowline::{Client, Redirects};
/// use std::time::Duration;
///
/// # fn main() -> bowline::Result<()> {
/// let client = Client::builder().timeout(Duration::from_secs(30)).redirects(Redirects::None).build()?;
/// # let _ = client;
/// # Ok(())
/// # }
/// ```
#[must_use]
#[derive(Clone, Debug)]
pub struct ClientBuilder {
    settings: Settings,
    #[cfg(feature = "tls")]
    tls: Option<Tls>,
    /// The pool of the client this was derived from.
    pool: Option<Arc<Pool>>,
    /// Something about how connections are made was said.
    network_changed: bool,
    /// A thread calls `upkeep`.
    keeper: bool,
    /// The first mistake made.
    mistake: Option<String>,
}

impl ClientBuilder {
    pub(super) fn new() -> Self {
        ClientBuilder {
            settings: Settings {
                base: None,
                default_headers: HeaderMap::new(),
                user_agent: Some(HeaderValue::from_static(USER_AGENT)),
                timeouts: Timeouts::default(),
                protocol: Protocol::default(),
                redirects: Redirects::default(),
                retry: Retry::default(),
                refused_pause: (Duration::from_millis(100), Duration::from_secs(1)),
                cancels: Vec::new(),
                interrupt: None,
                hooks: Vec::new(),
                decompress: true,
                preserve_case: false,
                max_header_bytes: MAX_HEADER_BYTES,
                limits: PoolLimits::default(),
                h2: H2Settings::default(),
                upkeep_request: None,
                network: Network {
                    id: 0,
                    tls: None,
                    proxy: Proxy::from_env(),
                    resolver: None,
                    connector: None,
                    unix: None,
                    local: None,
                },
            },
            #[cfg(feature = "tls")]
            tls: None,
            pool: None,
            network_changed: false,
            keeper: false,
            mistake: None,
        }
    }

    pub(super) fn derived(settings: Settings, pool: Arc<Pool>) -> Self {
        ClientBuilder { settings, pool: Some(pool), ..Self::new() }
    }

    /// Makes the client.
    ///
    /// # Errors
    ///
    /// `InvalidInput`: settings that cannot be right or contradict each other.
    pub fn build(self) -> Result<Client> {
        if let Some(mistake) = self.mistake {
            return Err(Error::invalid(mistake));
        }
        let mut settings = self.settings;
        if let Some(proxy) = &settings.network.proxy {
            proxy.check()?;
        }
        let windows = [settings.h2.stream_window, settings.h2.connection_window];
        if let Some(bytes) = windows.into_iter().find(|w| !(1..=i32::MAX as u32).contains(w)) {
            return Err(Error::invalid(format!("a window of {bytes} bytes: 1 to 2147483647 are possible")));
        }
        #[cfg(feature = "tls")]
        if self.tls.is_some() || settings.network.tls.is_none() {
            settings.network.tls = Some(self.tls.unwrap_or_default().compile()?);
        }
        if self.network_changed || settings.network.id == 0 {
            settings.network.id = next_id();
        }
        let pool = self.pool.unwrap_or_else(|| Arc::new(Pool::new()));
        if !settings.hooks.is_empty() {
            pool.record.want_events();
        }
        let settings = Arc::new(settings);
        let keeper = if self.keeper { Some(Keeper::start(settings.clone(), &pool)?) } else { None };
        Ok(Client { inner: Arc::new(Inner { _keeper: keeper, ..Inner::new(settings, pool) }) })
    }

    fn set(mut self, f: impl FnOnce(&mut Settings)) -> Self {
        f(&mut self.settings);
        self
    }

    fn try_set(mut self, f: impl FnOnce(&mut Settings) -> Result<()>) -> Self {
        if let Err(e) = f(&mut self.settings) {
            self.mistake.get_or_insert_with(|| e.to_string());
        }
        self
    }

    fn network(mut self, f: impl FnOnce(&mut Network)) -> Self {
        self.network_changed = true;
        f(&mut self.settings.network);
        self
    }

    /// Prefixes URLs that begin with `/`. A mistake in it is the error of [`build`](Self::build).
    pub fn base_url(self, url: impl AsRef<str>) -> Self {
        self.try_set(|s| {
            s.base = Some(Base::parse(url.as_ref())?);
            Ok(())
        })
    }

    /// Sends this header with every request that does not set it. A mistake in it is the error of [`build`](Self::build). (r)
    pub fn default_header(self, name: impl AsRef<str>, value: impl AsRef<[u8]>) -> Self {
        self.try_set(|s| {
            let (name, value) = field(name.as_ref(), value.as_ref())?;
            s.default_headers.append(name, value);
            Ok(())
        })
    }

    /// Replaces the User-Agent `bowline/VERSION`; empty sends none.
    pub fn user_agent(self, value: &str) -> Self {
        self.try_set(|s| {
            let checked = field("user-agent", value.as_bytes())?.1;
            s.user_agent = (!value.is_empty()).then_some(checked);
            Ok(())
        })
    }

    /// Sets the total time limit (default: none). (r)
    pub fn timeout(self, total: Duration) -> Self {
        self.set(|s| s.timeouts = s.timeouts.clone().total(total))
    }

    /// Sets all the time limits. (r)
    pub fn timeouts(self, timeouts: Timeouts) -> Self {
        self.set(|s| s.timeouts = timeouts)
    }

    /// Chooses the HTTP version (default [`Protocol::Auto`]). (r)
    pub fn protocol(self, protocol: Protocol) -> Self {
        self.set(|s| s.protocol = protocol)
    }

    /// Chooses which redirects to follow. (r)
    pub fn redirects(self, redirects: Redirects) -> Self {
        self.set(|s| s.redirects = redirects)
    }

    /// Chooses which attempts to repeat. (r)
    pub fn retry(self, retry: Retry) -> Self {
        self.set(|s| s.retry = retry)
    }

    /// Sets between what bounds, at random, a request waits before it is repeated that a peer in trouble refused: a GOAWAY with an
    /// error (default 100 ms to 1 s).
    pub fn refused_pause(self, from: Duration, to: Duration) -> Self {
        self.try_set(|s| {
            if from > to {
                return Err(Error::invalid(format!("a pause from {from:?} to {to:?}: the first is the longer one")));
            }
            s.refused_pause = (from, to);
            Ok(())
        })
    }

    /// Ends every request of this client when the token is cancelled; see also `RequestBuilder::cancel_on`.
    pub fn cancel_on(self, cancel: &Cancel) -> Self {
        self.set(|s| s.cancels.push(cancel.clone()))
    }

    /// Calls `check` at least so often while any call of this client waits, on the waiting thread.
    ///
    /// [`Flow::Stop`] ends that call with `Cancelled`. A caller's own [`Connect`] or [`Resolve`] is not interrupted.
    pub fn interrupt(self, every: Duration, check: impl Fn() -> Flow + Send + Sync + 'static) -> Self {
        self.set(|s| s.interrupt = Some(Interrupt { every, check: Arc::new(check) }))
    }

    /// Adds a hook: signing, retrying, tracing. Called in the order added, `after` in reverse.
    pub fn hook(self, hook: impl Hook + 'static) -> Self {
        self.set(|s| s.hooks.push(Arc::new(hook)))
    }

    /// Offers no content encodings and decodes none.
    pub fn no_decompression(self) -> Self {
        self.set(|s| s.decompress = false)
    }

    /// Sends header names as written and in the order added, on HTTP/1; for peers that are wrong about case.
    pub fn preserve_header_case(self) -> Self {
        self.set(|s| s.preserve_case = true)
    }

    /// Sets the longest header list accepted in an answer (default 64 KiB).
    pub fn max_header_bytes(self, n: usize) -> Self {
        self.set(|s| s.max_header_bytes = n)
    }

    /// Sets how many idle connections are kept in all (default 100).
    pub fn max_idle(self, n: usize) -> Self {
        self.set(|s| s.limits.max_idle = n)
    }

    /// Sets how many idle connections are kept per origin (default 10).
    pub fn max_idle_per_origin(self, n: usize) -> Self {
        self.set(|s| s.limits.max_idle_per_origin = n)
    }

    /// Sets how long a connection may be idle (default 60 s, or what the server says if less).
    pub fn idle_timeout(self, d: Duration) -> Self {
        self.set(|s| s.limits.idle_timeout = d)
    }

    /// Sets how old a connection may become before it is drained (default 24 h).
    pub fn max_lifetime(self, d: Duration) -> Self {
        self.set(|s| s.limits.max_lifetime = d)
    }

    /// Sets how many connections per origin there may be (default: any number for `send`, 6 for `start`); what is above waits.
    /// HTTP/2 takes one, or with [`more_connections_when_full`](Self::more_connections_when_full) no more than these.
    ///
    /// Whoever waits for a connection of HTTP/1 reads meanwhile the answers of requests that were started and are not waited for, and
    /// sends those in line before it. An answer is kept so up to [`stream_window`](Self::stream_window) bytes of body, and all that a client
    /// keeps up to [`max_unread`](Self::max_unread); a longer one, or a response that is in the program's hands, holds its connection until
    /// it is read or dropped. A wait that lasts longer than [`Timeouts::slot`](crate::Timeouts::slot) fails with
    /// [`ErrorKind::PoolTimeout`](crate::ErrorKind::PoolTimeout).
    pub fn max_connections_per_origin(self, n: usize) -> Self {
        self.set(|s| s.limits.max_per_origin = Some(n.max(1)))
    }

    /// Sets how long an HTTP/2 connection may be silent before `upkeep` pings it (default 60 s).
    pub fn upkeep_interval(self, d: Duration) -> Self {
        self.set(|s| s.h2.upkeep_interval = d)
    }

    /// Sets how long a PING may go unanswered without a byte from the peer (default 15 s).
    pub fn ping_ack_timeout(self, d: Duration) -> Self {
        self.set(|s| s.h2.ping_ack_timeout = d)
    }

    /// Sets the silence after which a connection carries a PING with the next request (default 10 s).
    pub fn probe_after_idle(self, d: Duration) -> Self {
        self.set(|s| s.h2.probe_after_idle = d)
    }

    /// Sets how long nothing may come in after such a PING before the connection is given up (default 5 s; never longer than
    /// [`ping_ack_timeout`](Self::ping_ack_timeout)): a request waits for it.
    pub fn probe_timeout(self, d: Duration) -> Self {
        self.set(|s| s.h2.probe_timeout = d)
    }

    /// Sets how many PINGs of the library's own accord, by [`read_idle_ping`](Self::read_idle_ping) and
    /// [`probe_after_idle`](Self::probe_after_idle), are sent without a HEADERS or DATA frame either way (default 2: some peers
    /// close the connection at the third). Those asked for, by `upkeep` and `ping`, have no such limit.
    pub fn max_unasked_pings(self, n: u8) -> Self {
        self.set(|s| s.h2.max_unasked_pings = n)
    }

    /// Sets what [`upkeep`](Client::upkeep) asks for on idle HTTP/1 connections, which have no PING (default: nothing, it only
    /// looks). `path` begins with `/`; a mistake in it is the error of [`build`](Self::build).
    ///
    /// The request goes out when a connection was not used for the [`upkeep_interval`](Self::upkeep_interval), carries the default
    /// headers and no body, and has [`ping_ack_timeout`](Self::ping_ack_timeout) to be answered, with any status. Connections
    /// are kept in this way for [`keep_idle`](Self::keep_idle) after their last other request.
    pub fn upkeep_request(self, method: Method, path: &str) -> Self {
        self.try_set(|s| {
            if !path.starts_with('/') || path.parse::<http::uri::PathAndQuery>().is_err() {
                return Err(Error::invalid("the request of upkeep names a path that begins with `/`"));
            }
            if method == Method::CONNECT {
                return Err(Error::invalid("upkeep cannot send CONNECT"));
            }
            s.upkeep_request = Some((method, path.to_owned()));
            Ok(())
        })
    }

    /// Sets for how long after its last request upkeep keeps a connection (default 1 h: servers rarely keep one longer, and
    /// address translators forget it).
    pub fn keep_idle(self, d: Duration) -> Self {
        self.set(|s| s.h2.keep_idle = d)
    }

    /// Sets how long an HTTP/2 connection may take no byte of what is to be sent before it is given up (default 15 s: every
    /// stream on it suffers). On HTTP/1 see [`http1_write_stall`](Self::http1_write_stall).
    pub fn write_stall(self, d: Duration) -> Self {
        self.set(|s| s.h2.write_stall = d)
    }

    /// Sets how long an HTTP/1 connection may take no byte of what is to be sent before it is given up (default 60 s: only its
    /// own request suffers). The request's own [`Timeouts::write`] may end it before.
    pub fn http1_write_stall(self, d: Duration) -> Self {
        self.set(|s| s.h2.http1_write_stall = d)
    }

    /// Sets how many streams are opened before the peer has said how many it allows (default 100, the least that a peer should).
    pub fn streams_before_settings(self, n: u32) -> Self {
        self.set(|s| s.h2.streams_before_settings = n.max(1))
    }

    /// Sets how much of the bodies of one HTTP/2 connection may be unread, all streams together, before the peer gets no more
    /// credit for it than what is read or dropped, or needed by somebody who waits (default 32 MiB). As much is kept by the whole client of
    /// the answers of HTTP/1 that nobody has asked for yet, and whose connections others wait for.
    pub fn max_unread(self, bytes: usize) -> Self {
        self.set(|s| s.h2.max_unread = bytes)
    }

    /// Sets how much of a body that was dropped unread is read, without waiting, to keep an HTTP/1 connection (default 64 KiB);
    /// with more left the connection is closed.
    pub fn max_drain(self, bytes: usize) -> Self {
        self.set(|s| s.limits.drain = bytes)
    }

    /// Calls [`upkeep`](Client::upkeep) when it is due, from a thread that ends with the last handle of the client: the only one the
    /// library ever keeps, and only where it is asked for here.
    pub fn keep_alive_thread(mut self) -> Self {
        self.keeper = true;
        self
    }

    /// Sets the silence after which an HTTP/2 connection with open exchanges is pinged (default 30 s).
    pub fn read_idle_ping(self, d: Duration) -> Self {
        self.set(|s| s.h2.read_idle_ping = d)
    }

    /// Opens another HTTP/2 connection when the streams of one are used up, instead of waiting for a slot.
    pub fn more_connections_when_full(self) -> Self {
        self.set(|s| s.limits.more_when_full = true)
    }

    /// Sets what one HTTP/2 stream may have on its way (default 1 MiB); and how much of the body of an answer over HTTP/1 is kept that
    /// nobody has asked for yet, and whose connection others wait for.
    pub fn stream_window(self, bytes: u32) -> Self {
        self.set(|s| s.h2.stream_window = bytes)
    }

    /// Sets what an HTTP/2 connection may have on its way (default 16 MiB).
    pub fn connection_window(self, bytes: u32) -> Self {
        self.set(|s| s.h2.connection_window = bytes)
    }

    /// Sets how TLS is spoken.
    #[cfg(feature = "tls")]
    pub fn tls(mut self, tls: Tls) -> Self {
        self.tls = Some(tls);
        self.network(|_| {})
    }

    /// Replaces the proxies of the environment; `None` means no proxy.
    pub fn proxy(self, proxy: impl Into<Option<Proxy>>) -> Self {
        let proxy = proxy.into();
        self.network(|n| n.proxy = proxy)
    }

    /// Finds addresses in another way.
    pub fn resolver(self, resolver: impl Resolve + 'static) -> Self {
        self.network(|n| n.resolver = Some(Arc::new(resolver)))
    }

    /// Makes wires in another way: in memory, through a jump host.
    pub fn connector(self, connector: impl Connect + 'static) -> Self {
        self.network(|n| n.connector = Some(Arc::new(connector)))
    }

    /// Connects everything to a Unix socket.
    pub fn unix_socket(self, path: impl AsRef<Path>) -> Self {
        self.network(|n| n.unix = Some(path.as_ref().to_owned()))
    }

    /// Connects from this address.
    pub fn local_address(self, address: IpAddr) -> Self {
        self.network(|n| n.local = Some(address))
    }
}

/// Checks one header of the caller.
///
/// # Errors
///
/// `InvalidInput`, which names the header and never its value.
pub(super) fn field(name: &str, value: &[u8]) -> Result<(HeaderName, HeaderValue)> {
    let header = HeaderName::from_bytes(name.as_bytes())
        .map_err(|_| Error::invalid(format!("`{}` is not a header name", name.escape_debug())))?;
    let mut checked = HeaderValue::from_bytes(value)
        .map_err(|_| Error::invalid(format!("the value of the header `{header}` has bytes that are not allowed")))?;
    let secret = [http::header::AUTHORIZATION, http::header::PROXY_AUTHORIZATION, http::header::COOKIE];
    checked.set_sensitive(secret.contains(&header));
    Ok((header, checked))
}
