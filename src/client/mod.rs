//! The client: what a user holds to make requests.
//!
//! | file | what |
//! |---|---|
//! | `builder`, `settings`, `options` | what a client, and one request, was told |
//! | `request`, `recent` | a request being put together, and the one before |
//! | `call`, `flight` | a request on its way: a state that any waiting thread can move, and what counts it |
//! | `connect`, `pool`, `connection` | where its connection comes from |
//! | `upkeep` | what keeps idle connections alive and closes dead ones |
//! | `retry`, `redirect`, `failure`, `hook` | what happens after an attempt |
//! | `pending` | waiting for one request or for many |
//! | `resting`, `hand` | what others do with a request that nobody waits for |
//! | `websocket` | a WebSocket being opened |
//! | `response`, `incoming`, `decoded` | the answer and its body |
//! | `url`, `auth`, `json` | what heads and bodies are made of |

mod auth;
mod builder;
mod call;
mod connect;
mod connection;
#[cfg(feature = "gzip")]
mod decoded;
mod failure;
mod flight;
mod hand;
mod hook;
mod incoming;
#[cfg(feature = "json")]
mod json;
mod options;
mod pending;
mod pool;
mod recent;
mod redirect;
mod request;
mod response;
mod resting;
mod retry;
mod settings;
mod upkeep;
mod url;
mod websocket;

pub use builder::ClientBuilder;
pub use connection::Connection;
pub use hook::{Attempt, Hook, Trace, Verdict};
pub use pending::{Batch, Pending};
pub use redirect::Redirects;
pub use request::RequestBuilder;
pub use response::{Response, Timings};
pub use retry::Retry;
pub use settings::Protocol;
pub use websocket::Builder as WebSocketBuilder;

use crate::{
    drive::{Cause, ConnectionInfo, IntoBody, Tunnel, block_on, next_id},
    error::{Error, ErrorKind, Phase, Result},
    time::Deadline,
};
use http::{HeaderMap, Method, Request, Uri};
use options::Options;
use pool::Pool;
use recent::Recent;
use settings::Settings;
use std::{
    sync::{Arc, OnceLock, atomic::Ordering},
    task::Poll,
    time::{Duration, Instant},
};
use url::{Family, Url};

/// Returns a GET with the program's shared client: for scripts and first steps.
///
/// # Examples
///
/// ```no_run
/// # fn main() -> bowline::Result<()> {
/// println!("{}", bowline::get("https://example.org").send()?.text()?);
/// # Ok(())
/// # }
/// ```
pub fn get(url: impl AsRef<str>) -> RequestBuilder {
    shared().get(url)
}

/// Returns the client behind [`get`]: made on first use with every default, never dropped.
///
/// # Examples
///
/// ```
/// let stats = bowline::shared().stats();
/// println!("{} requests by bowline::get and its like", stats.requests);
/// ```
pub fn shared() -> &'static Client {
    static SHARED: OnceLock<Client> = OnceLock::new();
    SHARED.get_or_init(Client::new)
}

/// A handle to a pool and its settings: clone it freely, share it between threads. No thread, no runtime.
///
/// # Examples
///
/// ```no_run
/// use std::time::Duration;
///
/// # fn main() -> bowline::Result<()> {
/// let client = bowline::Client::builder().timeout(Duration::from_secs(10)).build()?;
/// let response = client.get("https://example.org").send()?;
/// println!("{} over {:?}", response.status(), response.version());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Client {
    pub(super) inner: Arc<Inner>,
}

/// What all handles of a client share.
#[derive(Debug)]
pub(super) struct Inner {
    pub(super) settings: Arc<Settings>,
    pub(super) pool: Arc<Pool>,
    /// A request that says nothing of its own.
    plain: Request<()>,
    options: Arc<Options>,
    recent: Recent,
    /// The threads of `keep_alive_thread`, of its own or of what it was derived from, which end with the last handle.
    keepers: Vec<Arc<upkeep::Keeper>>,
}

impl Inner {
    fn new(settings: Arc<Settings>, pool: Arc<Pool>) -> Self {
        let mut plain = Request::new(());
        *plain.headers_mut() = settings.complete(HeaderMap::new(), None, None);
        let options = Arc::new(Options::of(&settings));
        Inner { settings, pool, plain, options, recent: Recent::default(), keepers: Vec::new() }
    }

    /// Tells the hooks; the step is made only if there are any.
    fn trace(&self, step: impl FnOnce() -> Trace) {
        if !self.settings.hooks.is_empty() {
            let step = step();
            self.settings.hooks.iter().for_each(|hook| hook.trace(&step));
        }
    }
}

impl Default for Client {
    fn default() -> Self {
        Self::new()
    }
}

/// Counters of a client and those derived from it, since it was built.
#[non_exhaustive]
#[derive(Clone, Debug, Default)]
pub struct Stats {
    /// Requests begun.
    pub requests: u64,
    /// Requests whose answer, or its body, is still awaited.
    pub in_flight: u64,
    /// Attempts beyond the first.
    pub retries: u64,
    /// Redirects followed.
    pub redirects: u64,
    /// Requests that failed, in their bodies too.
    pub errors: u64,
    /// Connections made.
    pub opened: u64,
    /// Requests on a connection that had been handed out before.
    pub reused: u64,
    /// Connections closed.
    pub closed: u64,
    /// Bytes received.
    pub bytes_in: u64,
    /// Bytes sent.
    pub bytes_out: u64,
    /// PINGs sent.
    pub pings: u64,
    /// Of these, not answered (yet).
    pub pings_lost: u64,
    /// How often a peer asked for fewer PINGs: each time the upkeep interval of its origin was doubled.
    pub calmed: u64,
}

impl Client {
    /// Returns a client with every default.
    ///
    /// # Panics
    ///
    /// Never: the defaults fit together, which a test shows.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # fn main() -> bowline::Result<()> {
    /// let client = bowline::Client::new();
    /// println!("{}", client.get("https://example.org").send()?.text()?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn new() -> Self {
        Self::builder().build().expect("the defaults fit together")
    }

    /// Returns a builder with every default.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// # fn main() -> bowline::Result<()> {
    /// let client = bowline::Client::builder().timeout(Duration::from_secs(10)).build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn builder() -> ClientBuilder {
        ClientBuilder::new()
    }

    /// Returns a builder with these settings and this pool: for a stricter timeout, another hook, other default headers.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// # fn main() -> bowline::Result<()> {
    /// let client = bowline::Client::new();
    /// // The same connections, and less patience.
    /// let strict = client.derive().timeout(Duration::from_secs(1)).build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn derive(&self) -> ClientBuilder {
        ClientBuilder::derived(&self.inner)
    }

    /// Returns a GET.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # fn main() -> bowline::Result<()> {
    /// let client = bowline::Client::new();
    /// let text = client.get("https://example.org").query("page", "2").send()?.text()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn get(&self, url: impl AsRef<str>) -> RequestBuilder {
        self.request(Method::GET, url)
    }

    /// Returns a HEAD.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # fn main() -> bowline::Result<()> {
    /// let response = bowline::Client::new().head("https://example.org/film.mkv").send()?;
    /// println!("{:?} bytes", response.header("content-length"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn head(&self, url: impl AsRef<str>) -> RequestBuilder {
        self.request(Method::HEAD, url)
    }

    /// Returns a POST.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # fn main() -> bowline::Result<()> {
    /// let client = bowline::Client::new();
    /// let text = client.post("https://example.org/notes").body("a note").send()?.text()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn post(&self, url: impl AsRef<str>) -> RequestBuilder {
        self.request(Method::POST, url)
    }

    /// Returns a PUT.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # fn main() -> bowline::Result<()> {
    /// let client = bowline::Client::new();
    /// let text = client.put("https://example.org/notes/1").body("another").send()?.text()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn put(&self, url: impl AsRef<str>) -> RequestBuilder {
        self.request(Method::PUT, url)
    }

    /// Returns a PATCH.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # fn main() -> bowline::Result<()> {
    /// let client = bowline::Client::new();
    /// let text = client.patch("https://example.org/notes/1").body("a change").send()?.text()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn patch(&self, url: impl AsRef<str>) -> RequestBuilder {
        self.request(Method::PATCH, url)
    }

    /// Returns a DELETE.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # fn main() -> bowline::Result<()> {
    /// bowline::Client::new().delete("https://example.org/notes/1").send()?.error_for_status()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn delete(&self, url: impl AsRef<str>) -> RequestBuilder {
        self.request(Method::DELETE, url)
    }

    /// Returns a request with any other method.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use bowline::{Client, http::Method};
    ///
    /// # fn main() -> bowline::Result<()> {
    /// let response = Client::new().request(Method::OPTIONS, "https://example.org").send()?;
    /// println!("{:?}", response.header("allow"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn request(&self, method: Method, url: impl AsRef<str>) -> RequestBuilder {
        RequestBuilder::new(self.inner.clone(), method, url.as_ref(), Family::Http)
    }

    /// Takes a request built with the `http` crate; `.send()`, `.start()` and the options follow as usual.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use bowline::{Client, Error, http::Request};
    ///
    /// # fn main() -> bowline::Result<()> {
    /// let request = Request::put("https://example.org/notes/1").header("if-match", "\"7\"").body("a note").map_err(Error::from)?;
    /// let status = Client::new().prepare(request).send()?.status();
    /// # Ok(())
    /// # }
    /// ```
    pub fn prepare<B: IntoBody>(&self, request: Request<B>) -> RequestBuilder {
        RequestBuilder::prepared(self.inner.clone(), request)
    }

    /// Opens a tunnel to `host:port` through the HTTP proxy at `proxy_url`, by CONNECT.
    ///
    /// # Errors
    ///
    /// As [`RequestBuilder::upgrade`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::io::{Read, Write};
    ///
    /// # fn main() -> bowline::Result<()> {
    /// let mut tunnel = bowline::Client::new().tunnel("http://proxy.example.org:3128", "mail.example.org:25")?;
    /// let mut greeting = [0; 512];
    /// let n = tunnel.read(&mut greeting)?;
    /// tunnel.write_all(b"QUIT\r\n")?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn tunnel(&self, proxy_url: impl AsRef<str>, host_port: &str) -> Result<Tunnel> {
        let mut proxy = Url::parse(proxy_url.as_ref(), Family::Http)?;
        let authority: http::uri::Authority =
            host_port.parse().map_err(|_| Error::invalid("the target of a tunnel is written `host:port`"))?;
        let port = authority.port_u16().filter(|port| *port != 0);
        if port.is_none() || authority.host().is_empty() || authority.as_str().contains('@') {
            return Err(Error::invalid("the target of a tunnel is written `host:port`"));
        }
        proxy.uri = Uri::from(authority);
        let authorization = proxy.authorization.take();
        // The proxy itself is reached directly.
        let mut request = RequestBuilder::to(self.without_proxy().inner, Method::CONNECT, Ok(proxy));
        if let Some(value) = authorization {
            request = request.headers([(http::header::PROXY_AUTHORIZATION, value)].into_iter().collect());
        }
        request.protocol(Protocol::Http1).upgrade("")
    }

    /// The same client, with the same pool, as it is where no proxy is between.
    fn without_proxy(&self) -> Client {
        if self.inner.settings.network.proxy.is_none() {
            return self.clone();
        }
        let mut settings = (*self.inner.settings).clone();
        (settings.network.proxy, settings.network.id) = (None, next_id());
        let inner = Inner::new(Arc::new(settings), self.inner.pool.clone());
        Client { inner: Arc::new(Inner { keepers: self.inner.keepers.clone(), ..inner }) }
    }

    /// Makes one explicit connection that the caller owns. It is in [`connections`](Self::connections), and never serves other callers.
    ///
    /// # Errors
    ///
    /// Whatever keeps a connection from being made.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # fn main() -> bowline::Result<()> {
    /// let client = bowline::Client::new();
    /// let connection = client.connect("https://api.example.org")?;
    /// println!("{:?}", connection.info().alpn);
    /// # Ok(())
    /// # }
    /// ```
    pub fn connect(&self, url: impl AsRef<str>) -> Result<Connection> {
        let Url { origin, .. } = Url::parse(url.as_ref(), Family::Http)?;
        let settings = self.inner.settings.clone();
        let limit = |d: Option<Duration>| Deadline::from(d.and_then(|d| Instant::now().checked_add(d)));
        let timeouts = &settings.timeouts;
        let total = limit(timeouts.total_limit());
        let resolve_by = limit(timeouts.resolve_limit()).earlier(total);
        let connect_by = limit(timeouts.connect_limit()).earlier(total);
        let mut dialling = connect::Dialling::new(&settings, &origin, settings.protocol, resolve_by, connect_by)?;
        let mut cancels = settings.cancels.clone();
        cancels.push(self.inner.pool.stopped.clone());
        let mut limits = crate::drive::Limits::new(cancels, settings.interrupt.clone());
        let began = Instant::now();
        let dial = self.inner.pool.enter_dial(&origin);
        let dialled = block_on(Deadline::NEVER, |cx| match limits.check(cx) {
            Ok(()) => dialling.poll(cx),
            Err(e) => Poll::Ready(Err(e.in_phase(Phase::Connect))),
        });
        let (dialled, version) = dialled
            .unwrap_or_else(|| Err(Error::new(ErrorKind::TimedOut)))
            .map_err(|e| e.with_elapsed(began.elapsed()))?;
        let wire = dialled.wire.clone();
        let conn = connect::carrier(
            &settings,
            &self.inner.pool.record,
            dial.id(),
            wire,
            Some(dialled),
            version,
            origin.to_string(),
        );
        self.inner.pool.enter(&conn);
        self.inner.trace(|| Trace::Connected { connection: conn.info(), took: began.elapsed() });
        Ok(Connection::new(self.clone(), conn, origin))
    }

    /// Returns every connection, one row each: also those that are being made, and those of the program's own.
    ///
    /// One that is over has a row as long as an answer or its owner holds it, and says why it ended; what nobody holds is gone. A hook is
    /// told of every end ([`Trace::Closed`]), and [`stats`](Self::stats) counts them.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> bowline::Result<()> {
    /// let client = bowline::Client::new();
    /// for row in client.connections() {
    ///     println!("#{} {} {:?}, {} requests", row.id, row.origin, row.state, row.requests);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn connections(&self) -> Vec<ConnectionInfo> {
        self.inner.pool.table()
    }

    /// Returns the counters since the client was built.
    ///
    /// # Examples
    ///
    /// ```
    /// let stats = bowline::Client::new().stats();
    /// assert_eq!((stats.requests, stats.opened), (0, 0));
    /// ```
    pub fn stats(&self) -> Stats {
        let (c, gone) = (&self.inner.pool.counters, &self.inner.pool.record);
        let table = self.connections();
        let sum = |f: fn(&ConnectionInfo) -> u64| table.iter().map(f).sum::<u64>();
        let count = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        let pings = count(&gone.pings) + sum(|i| i.pings_sent);
        Stats {
            requests: count(&c.requests),
            in_flight: c.in_flight(),
            retries: count(&c.retries),
            redirects: count(&c.redirects),
            errors: count(&c.errors),
            opened: count(&c.opened),
            reused: count(&c.reused),
            closed: count(&gone.closed),
            bytes_in: count(&gone.bytes_in) + sum(|i| i.bytes_in),
            bytes_out: count(&gone.bytes_out) + sum(|i| i.bytes_out),
            pings,
            calmed: self.inner.pool.calmed(),
            pings_lost: pings.saturating_sub(count(&gone.acks) + sum(|i| i.pings_acked)),
        }
    }

    /// Closes what is idle now; returns how many.
    ///
    /// # Examples
    ///
    /// ```
    /// let client = bowline::Client::new();
    /// assert_eq!(client.close_idle(), 0);
    /// ```
    pub fn close_idle(&self) -> usize {
        self.inner.pool.close_idle()
    }

    /// Ends everything now: what is in flight fails with [`ErrorKind::Cancelled`], and so does what is asked for later.
    ///
    /// # Examples
    ///
    /// ```
    /// use bowline::{Client, ErrorKind};
    ///
    /// let client = Client::new();
    /// client.shutdown();
    /// assert_eq!(client.get("https://example.org").send().unwrap_err().kind(), ErrorKind::Cancelled);
    /// ```
    pub fn shutdown(&self) {
        self.inner.pool.end();
        for conn in self.inner.pool.all() {
            conn.shutdown(Cause::shutdown());
        }
        self.inner.pool.forget_over();
    }
}
