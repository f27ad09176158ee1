//! Settings of a client, being put together.

mod connections;
mod network;
mod upkeep;

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
    net::Proxy,
    time::Timeouts,
};
use http::{HeaderMap, HeaderName, HeaderValue};
use std::{sync::Arc, time::Duration};

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
    /// The client this was derived from.
    base: Option<Arc<Inner>>,
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
            base: None,
            network_changed: false,
            keeper: false,
            mistake: None,
        }
    }

    pub(super) fn derived(base: &Arc<Inner>) -> Self {
        ClientBuilder { settings: (*base.settings).clone(), base: Some(base.clone()), ..Self::new() }
    }

    /// Makes the client.
    ///
    /// # Errors
    ///
    /// `InvalidInput`: settings that cannot be right or contradict each other.
    ///
    /// # Examples
    ///
    /// ```
    /// use bowline::{Client, ErrorKind};
    ///
    /// # fn main() -> bowline::Result<()> {
    /// let client = Client::builder().base_url("https://api.example.org").build()?;
    /// let mistake = Client::builder().base_url("no URL").build().unwrap_err();
    /// assert_eq!(mistake.kind(), ErrorKind::InvalidInput);
    /// # Ok(())
    /// # }
    /// ```
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
        let (pool, mut keepers) = match self.base {
            Some(base) => (base.pool.clone(), base.keepers.clone()),
            None => (Pool::new(), Vec::new()),
        };
        if !settings.hooks.is_empty() {
            pool.record.want_events();
        }
        let settings = Arc::new(settings);
        if self.keeper {
            keepers.push(Arc::new(Keeper::start(settings.clone(), &pool)?));
        }
        Ok(Client { inner: Arc::new(Inner { keepers, ..Inner::new(settings, pool) }) })
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
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # fn main() -> bowline::Result<()> {
    /// let client = bowline::Client::builder().base_url("https://api.example.org/v1").build()?;
    /// println!("{}", client.get("/status").send()?.text()?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn base_url(self, url: impl AsRef<str>) -> Self {
        self.try_set(|s| {
            s.base = Some(Base::parse(url.as_ref())?);
            Ok(())
        })
    }

    /// Sends this header with every request that does not set it. A mistake in it is the error of [`build`](Self::build). (r)
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> bowline::Result<()> {
    /// let client = bowline::Client::builder().default_header("accept", "application/json").build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn default_header(self, name: impl AsRef<str>, value: impl AsRef<[u8]>) -> Self {
        self.try_set(|s| {
            let (name, value) = field(name.as_ref(), value.as_ref())?;
            s.default_headers.append(name, value);
            Ok(())
        })
    }

    /// Replaces the User-Agent `bowline/VERSION`; empty sends none.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> bowline::Result<()> {
    /// let client = bowline::Client::builder().user_agent("packages/1.0 (+https://example.org/packages)").build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn user_agent(self, value: &str) -> Self {
        self.try_set(|s| {
            let checked = field("user-agent", value.as_bytes())?.1;
            s.user_agent = (!value.is_empty()).then_some(checked);
            Ok(())
        })
    }

    /// Sets the total time limit (default: none, because nobody but the program knows how long its download may take). (r)
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// # fn main() -> bowline::Result<()> {
    /// let client = bowline::Client::builder().timeout(Duration::from_secs(30)).build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn timeout(self, total: Duration) -> Self {
        self.set(|s| s.timeouts = s.timeouts.clone().total(total))
    }

    /// Sets all the time limits. (r)
    ///
    /// # Examples
    ///
    /// ```
    /// use bowline::Timeouts;
    /// use std::time::Duration;
    ///
    /// # fn main() -> bowline::Result<()> {
    /// let client = bowline::Client::builder().timeouts(Timeouts::default().connect(Duration::from_secs(3))).build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn timeouts(self, timeouts: Timeouts) -> Self {
        self.set(|s| s.timeouts = timeouts)
    }

    /// Chooses the HTTP version (default [`Protocol::Auto`]). (r)
    ///
    /// # Examples
    ///
    /// ```
    /// use bowline::Protocol;
    ///
    /// # fn main() -> bowline::Result<()> {
    /// let client = bowline::Client::builder().protocol(Protocol::Http2).build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn protocol(self, protocol: Protocol) -> Self {
        self.set(|s| s.protocol = protocol)
    }

    /// Chooses which redirects to follow (default: 10, never from https to http; see [`Redirects`]). (r)
    ///
    /// # Examples
    ///
    /// ```
    /// use bowline::Redirects;
    ///
    /// # fn main() -> bowline::Result<()> {
    /// let client = bowline::Client::builder().redirects(Redirects::SameOrigin(3)).build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn redirects(self, redirects: Redirects) -> Self {
        self.set(|s| s.redirects = redirects)
    }

    /// Chooses which attempts to repeat (default [`Retry::Safe`]). (r)
    ///
    /// # Examples
    ///
    /// ```
    /// use bowline::Retry;
    ///
    /// # fn main() -> bowline::Result<()> {
    /// let client = bowline::Client::builder().retry(Retry::Never).build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn retry(self, retry: Retry) -> Self {
        self.set(|s| s.retry = retry)
    }

    /// Sets between what bounds, at random, a request waits before it is repeated that a peer in trouble refused: a GOAWAY with an
    /// error (default 100 ms to 1 s).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// # fn main() -> bowline::Result<()> {
    /// let client = bowline::Client::builder().refused_pause(Duration::from_secs(1), Duration::from_secs(5)).build()?;
    /// # Ok(())
    /// # }
    /// ```
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
    ///
    /// # Examples
    ///
    /// ```
    /// use bowline::{Cancel, Client, ErrorKind};
    ///
    /// # fn main() -> bowline::Result<()> {
    /// let cancel = Cancel::new();
    /// let client = Client::builder().cancel_on(&cancel).build()?;
    /// cancel.cancel();
    /// assert_eq!(client.get("https://example.org").send().unwrap_err().kind(), ErrorKind::Cancelled);
    /// # Ok(())
    /// # }
    /// ```
    pub fn cancel_on(self, cancel: &Cancel) -> Self {
        self.set(|s| s.cancels.push(cancel.clone()))
    }

    /// Calls `check` at least so often while any call of this client waits, on the waiting thread.
    ///
    /// [`Flow::Stop`] ends that call with `Cancelled`. A caller's own [`Connect`](crate::net::Connect) or
    /// [`Resolve`](crate::net::Resolve) is not interrupted.
    ///
    /// # Examples
    ///
    /// ```
    /// use bowline::{Client, Flow};
    /// use std::{sync::atomic::{AtomicBool, Ordering}, time::Duration};
    ///
    /// # fn main() -> bowline::Result<()> {
    /// static SIGNALLED: AtomicBool = AtomicBool::new(false);
    /// let check = || if SIGNALLED.load(Ordering::Relaxed) { Flow::Stop } else { Flow::Go };
    /// let client = Client::builder().interrupt(Duration::from_millis(100), check).build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn interrupt(self, every: Duration, check: impl Fn() -> Flow + Send + Sync + 'static) -> Self {
        self.set(|s| s.interrupt = Some(Interrupt { every, check: Arc::new(check) }))
    }

    /// Adds a hook: signing, retrying, tracing. Called in the order added, `after` in reverse.
    ///
    /// # Examples
    ///
    /// ```
    /// use bowline::{Client, Hook, Trace};
    ///
    /// # fn main() -> bowline::Result<()> {
    /// struct Log;
    /// impl Hook for Log {
    ///     fn trace(&self, step: &Trace) {
    ///         eprintln!("{step:?}");
    ///     }
    /// }
    ///
    /// let client = Client::builder().hook(Log).build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn hook(self, hook: impl Hook + 'static) -> Self {
        self.set(|s| s.hooks.push(Arc::new(hook)))
    }

    /// Offers no content encodings and decodes none.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> bowline::Result<()> {
    /// let client = bowline::Client::builder().no_decompression().build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn no_decompression(self) -> Self {
        self.set(|s| s.decompress = false)
    }

    /// Sends header names as written and in the order added, on HTTP/1; for peers that are wrong about case.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> bowline::Result<()> {
    /// let client = bowline::Client::builder().preserve_header_case().build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn preserve_header_case(self) -> Self {
        self.set(|s| s.preserve_case = true)
    }

    /// Sets the longest header list accepted in an answer, in bytes (default 64 KiB, as nghttp2; curl and Go allow more); a
    /// longer one is [`ErrorKind::TooLarge`](crate::ErrorKind::TooLarge).
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> bowline::Result<()> {
    /// let client = bowline::Client::builder().max_header_bytes(16 * 1024).build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn max_header_bytes(self, n: usize) -> Self {
        self.set(|s| s.max_header_bytes = n)
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
