//! A WebSocket being opened.

use super::{
    Client, Connection, Inner,
    builder::field,
    call::Call,
    options::Options,
    request::{RequestBuilder, answered, target_url},
    response::Response,
    settings::Protocol,
    url::{Family, Url},
};
use crate::{
    drive::{Backoff, Cancel, Carrier, Limits, Stream, block_on, random},
    error::{Error, ErrorKind, Phase, Result},
    net::Cx,
    proto::{
        Role,
        ws::{Agreed, Offer, Refusal},
    },
    time::Deadline,
    ws::{Config, OnOpen, Open, Opened, Opening, Reopen, WebSocket, WsSender},
};
use http::{HeaderMap, Method, header};
use std::{fmt, sync::Arc, task::Poll, time::Duration};

/// Marks the configuration of a network whose proxies are asked for tunnels only; numbers count up from one.
const TUNNELLING: u64 = 1 << 63;

/// How much of the body of a refusal can be read.
const REFUSAL: u64 = 64 * 1024;

/// A WebSocket being opened. Mistakes (a bad URL, a CR in a header) are the error of [`connect`](Self::connect).
///
/// # Examples
///
/// ```no_run
/// use bowline::Client;
/// use std::time::Duration;
///
/// # fn main() -> bowline::Result<()> {
/// let mut socket = Client::new()
///     .websocket("wss://example.org/chat")
///     .subprotocols(&["chat.v2", "chat.v1"])
///     .timeout(Duration::from_secs(10))
///     .heartbeat(Duration::from_secs(30))
///     .connect()?;
/// println!("{:?}", socket.subprotocol());
/// # Ok(())
/// # }
/// ```
#[must_use]
pub struct Builder {
    ask: Ask,
    subprotocols: Vec<String>,
    /// What a header offers besides.
    by_header: Vec<String>,
    config: Config,
    backoff: Option<Backoff>,
    outbox: Option<usize>,
    on_open: Option<OnOpen>,
    url: Result<Url>,
    mistake: Option<Error>,
}

/// What every handshake asks, but for its URL.
#[derive(Clone)]
struct Ask {
    inner: Arc<Inner>,
    headers: HeaderMap,
    options: Options,
    pinned: Option<Arc<dyn Carrier>>,
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("url", &self.url.as_ref().map(|url| &url.uri))
            .field("subprotocols", &self.subprotocols)
            .field("config", &self.config)
            .field("backoff", &self.backoff)
            .finish_non_exhaustive()
    }
}

impl Client {
    /// Opens a WebSocket (`ws`, `wss`, `http` and `https`) with this client's TLS, proxy, resolver and timeouts.
    ///
    /// Over HTTP/2 it is a stream of a connection that serves requests as well (RFC 8441), where the peer enables that; else it has an
    /// HTTP/1 connection of its own.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # fn main() -> bowline::Result<()> {
    /// let mut socket = bowline::Client::new().websocket("wss://example.org/echo").connect()?;
    /// socket.send("hello")?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn websocket(&self, url: impl AsRef<str>) -> Builder {
        let url = match &self.inner.settings.base {
            Some(base) if url.as_ref().starts_with('/') => base.join(url.as_ref()),
            _ => Url::parse(url.as_ref(), Family::WebSocket),
        };
        Builder::new(self.tunnelling(), url, None)
    }

    /// This client as a WebSocket uses it: through a proxy only by a tunnel. What was dialled otherwise is not shared.
    fn tunnelling(&self) -> Arc<Inner> {
        let Some(proxy) = &self.inner.settings.network.proxy else { return self.inner.clone() };
        let mut settings = (*self.inner.settings).clone();
        settings.network.proxy = Some(proxy.tunnelling());
        // The same for all of its WebSockets.
        settings.network.id |= TUNNELLING;
        Arc::new(Inner::new(Arc::new(settings), self.inner.pool.clone()))
    }
}

impl Connection {
    /// Opens a WebSocket on this connection; `target` is a path. Over HTTP/1 the connection serves nothing else afterwards. It ends
    /// when the [`Connection`] is dropped.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # fn main() -> bowline::Result<()> {
    /// let connection = bowline::Client::new().connect("https://example.org")?;
    /// let mut socket = connection.websocket("/echo").connect()?;
    /// socket.send("hello")?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn websocket(&self, target: &str) -> Builder {
        let url = target_url(self.origin(), target);
        Builder::new(self.client().inner.clone(), url, Some(self.carrier().clone()))
    }
}

impl Builder {
    fn new(inner: Arc<Inner>, url: Result<Url>, pinned: Option<Arc<dyn Carrier>>) -> Self {
        let options = Options::of(&inner.settings);
        let ask = Ask { inner, headers: HeaderMap::new(), options, pinned };
        Builder {
            ask,
            subprotocols: Vec::new(),
            by_header: Vec::new(),
            config: Config::default(),
            backoff: None,
            outbox: None,
            on_open: None,
            url,
            mistake: None,
        }
    }

    /// Adds a header to the handshake. `Sec-WebSocket-Protocol` offers subprotocols, besides those of
    /// [`subprotocols`](Self::subprotocols); the other fields of the handshake itself are not for the program.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # fn main() -> bowline::Result<()> {
    /// let socket = bowline::Client::new().websocket("wss://example.org/feed").header("origin", "https://example.org").connect()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn header(mut self, name: impl AsRef<str>, value: impl AsRef<[u8]>) -> Self {
        match field(name.as_ref(), value.as_ref()) {
            Ok((header::SEC_WEBSOCKET_PROTOCOL, value)) => {
                let names = String::from_utf8_lossy(value.as_bytes());
                self.by_header.extend(names.split(',').map(|name| name.trim().to_owned()));
            }
            Ok((header::SEC_WEBSOCKET_EXTENSIONS, _)) => {
                let text =
                    "the header Sec-WebSocket-Extensions is not for the program: `ws::Config` says what is offered";
                self.mistake.get_or_insert(Error::invalid(text));
            }
            Ok((name, value)) => _ = self.ask.headers.append(name, value),
            Err(e) => _ = self.mistake.get_or_insert(e),
        }
        self
    }

    /// Chooses the version: HTTP/2 (RFC 8441) is used where a connection offers it; `Http1` and `Http2` insist.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use bowline::Protocol;
    ///
    /// # fn main() -> bowline::Result<()> {
    /// let socket = bowline::Client::new().websocket("wss://example.org/feed").protocol(Protocol::Http1).connect()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn protocol(mut self, protocol: Protocol) -> Self {
        self.ask.options.protocol = protocol;
        self
    }

    /// Offers subprotocols, the preferred one first; [`WebSocket::subprotocol`] is the chosen one.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # fn main() -> bowline::Result<()> {
    /// let socket = bowline::Client::new().websocket("wss://example.org/feed").subprotocols(&["chat.v2", "chat.v1"]).connect()?;
    /// println!("{:?}", socket.subprotocol());
    /// # Ok(())
    /// # }
    /// ```
    pub fn subprotocols(mut self, names: &[&str]) -> Self {
        self.subprotocols = names.iter().map(|&name| name.to_owned()).collect();
        self
    }

    /// Sets the time limit of the handshake, each time it is made.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::time::Duration;
    ///
    /// # fn main() -> bowline::Result<()> {
    /// let socket = bowline::Client::new().websocket("wss://example.org/feed").timeout(Duration::from_secs(5)).connect()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn timeout(mut self, d: Duration) -> Self {
        self.ask.options.timeouts = self.ask.options.timeouts.total(d);
        self
    }

    /// Ends the handshake and every later wait of this socket when the token is cancelled.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use bowline::Cancel;
    ///
    /// # fn main() -> bowline::Result<()> {
    /// let cancel = Cancel::new();
    /// let socket = bowline::Client::new().websocket("wss://example.org/feed").cancel_on(&cancel).connect()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn cancel_on(mut self, cancel: &Cancel) -> Self {
        self.ask.options.cancels.push(cancel.clone());
        self
    }

    /// Sets limits, heartbeat and compression.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use bowline::ws::Config;
    ///
    /// # fn main() -> bowline::Result<()> {
    /// let socket = bowline::Client::new().websocket("wss://example.org/feed").config(Config::default().max_message(1 << 20)).connect()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// Sends a PING when nothing came for `every`; no byte for `every` + 10 s: the peer is dead. Part of the [`Config`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::time::Duration;
    ///
    /// # fn main() -> bowline::Result<()> {
    /// let socket = bowline::Client::new().websocket("wss://example.org/feed").heartbeat(Duration::from_secs(20)).connect()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn heartbeat(mut self, every: Duration) -> Self {
        self.config = self.config.heartbeat(every);
        self
    }

    /// Opens it again when it breaks, inside `recv` and its like, and inside a send of a whole [`WebSocket`]; the sends of a [`WsSender`] wait
    /// for whoever receives. What the peer sent meanwhile is lost, and so is what was accepted and not sent.
    ///
    /// A broken connection breaks it, a heartbeat without an answer, and a Close with 1001, 1011, 1012, 1013 or 1014. Any other Close is
    /// an end, and so is a peer that breaks the protocol. The attempts are counted anew when a message comes.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use bowline::Backoff;
    ///
    /// # fn main() -> bowline::Result<()> {
    /// let socket = bowline::Client::new().websocket("wss://example.org/feed").reconnect(Backoff::default()).connect()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn reconnect(mut self, backoff: Backoff) -> Self {
        self.backoff = Some(backoff);
        self
    }

    /// Keeps messages that were sent until the peer has confirmed them, and sends those that it has not again when the socket was opened
    /// again, behind what [`on_open`](Self::on_open) sends: at least once, in order, but perhaps twice.
    ///
    /// A PING behind them asks whether they arrived; the answer is seen by calls that receive. While `bytes` of messages are not confirmed,
    /// sends wait, and receive meanwhile if nobody else does: messages that come are kept for the calls that receive, up to about the limit
    /// of one message, and then a send gets no place before somebody has taken them. What `on_open` sends is not kept, nor are messages sent
    /// in parts.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use bowline::Backoff;
    ///
    /// # fn main() -> bowline::Result<()> {
    /// let socket = bowline::Client::new().websocket("wss://example.org/feed").reconnect(Backoff::default()).outbox(1 << 20).connect()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn outbox(mut self, bytes: usize) -> Self {
        self.outbox = Some(bytes);
        self
    }

    /// Runs after every opening, the first included, before anything else is sent: log in, subscribe. An error of it fails the opening.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # fn main() -> bowline::Result<()> {
    /// let client = bowline::Client::new();
    /// let socket = client
    ///     .websocket("wss://example.org/feed")
    ///     .on_open(|sender, opened| {
    ///         eprintln!("opened for the {}. time", opened.count);
    ///         sender.send("subscribe")
    ///     })
    ///     .connect()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn on_open(mut self, f: impl FnMut(&WsSender, &Opened) -> Result<()> + Send + 'static) -> Self {
        self.on_open = Some(Box::new(f));
        self
    }

    /// Connects and shakes hands.
    ///
    /// # Errors
    ///
    /// As [`RequestBuilder::send`]; [`ErrorKind::Handshake`] if the peer answers, but not with yes, with the
    /// [`response`](Error::response) and up to 64 KiB of its body; [`ErrorKind::Unsupported`] if HTTP/2 was required and the peer does
    /// not enable WebSocket over it. What ends the wait is [`timeout`](Self::timeout), the client's timeouts, or a [`Cancel`] token.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use bowline::{Client, ErrorKind};
    ///
    /// # fn main() -> bowline::Result<()> {
    /// match Client::new().websocket("wss://example.org/feed").connect() {
    ///     Ok(mut socket) => println!("{:?}", socket.recv()?),
    ///     Err(e) if e.kind() == ErrorKind::Handshake => println!("refused with {:?}", e.status()),
    ///     Err(e) => return Err(e),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn connect(self) -> Result<WebSocket> {
        let Builder { ask, mut subprotocols, by_header, config, backoff, outbox, on_open, url, mistake } = self;
        if let Some(mistake) = mistake {
            return Err(mistake);
        }
        let url = url?;
        let besides = by_header.into_iter().filter(|name| !subprotocols.contains(name)).collect::<Vec<_>>();
        subprotocols.extend(besides);
        let limits = Limits::new(ask.options.cancels.clone(), ask.inner.settings.interrupt.clone());
        let mut open: Open = {
            let config = config.clone();
            Box::new(move || {
                let handshake = ask.begin(&url, &subprotocols, &config)?;
                Ok(Box::new(handshake) as Box<dyn Opening>)
            })
        };
        let mut handshake = open()?;
        let opened = block_on(Deadline::NEVER, |cx| handshake.poll(cx));
        let (stream, agreed) = opened.unwrap_or_else(|| Err(Error::new(ErrorKind::TimedOut)))?;
        let mut socket = WebSocket::on(stream, Role::Client, agreed, config, limits);
        if let Some(bytes) = outbox {
            socket = socket.keep_messages(bytes);
        }
        if backoff.is_none() && on_open.is_none() {
            return Ok(socket);
        }
        socket.reopen_by(Reopen::new(open, on_open, backoff))
    }
}

impl Ask {
    fn begin(&self, url: &Url, subprotocols: &[String], config: &Config) -> Result<Handshake> {
        let names: Vec<&str> = subprotocols.iter().map(String::as_str).collect();
        let mut nonce = [0; 16];
        nonce[..8].copy_from_slice(&random().to_ne_bytes());
        nonce[8..].copy_from_slice(&random().to_ne_bytes());
        let offer = Offer::new(nonce, &names, &config.engine()).map_err(|misuse| Error::invalid(misuse.to_string()))?;
        let mut request = RequestBuilder::to(self.inner.clone(), Method::GET, Ok(url.clone()));
        if let Some(conn) = &self.pinned {
            request = request.pin(conn.clone());
        }
        let call = request.headers(self.headers.clone()).into_websocket(self.options.clone(), offer.clone())?;
        Ok(Handshake { call, offer })
    }
}

/// A handshake on its way.
struct Handshake {
    call: Call,
    offer: Offer,
}

impl Opening for Handshake {
    fn poll(&mut self, cx: &mut Cx<'_>) -> Poll<Result<(Stream, Agreed)>> {
        match self.call.poll(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Ok(response)) => Poll::Ready(self.check(response)),
            Poll::Ready(Err(e)) => Poll::Ready(Err(e)),
        }
    }
}

impl Handshake {
    fn check(&mut self, response: Response) -> Result<(Stream, Agreed)> {
        let mut head = http::Response::new(());
        (*head.status_mut(), *head.version_mut()) = (response.status(), response.version());
        *head.headers_mut() = response.headers().clone();
        let (text, response) = match (self.call.take_upgraded(), self.offer.check(&head)) {
            (Some(stream), Ok(agreed)) => return Ok((stream, agreed)),
            (_, Err(refusal @ Refusal::Status(_))) => (refusal.to_string(), response.limit(REFUSAL)),
            // It said yes: what follows is no body.
            (_, Err(refusal)) => (refusal.to_string(), response.without_body()),
            (None, Ok(_)) => ("the peer did not change the protocol".to_owned(), response.without_body()),
        };
        Err(answered(text, &self.call).in_phase(Phase::FirstByte).attach(response))
    }
}
