//! The server: what a user binds, and the threads behind it.
//!
//! | file | what |
//! |---|---|
//! | `settings`, `limits` | what a server was told, and what it allows its clients |
//! | `handle` | a server that runs |
//! | `hub` | what its threads share; accepting; the poller |
//! | `lobby`, `places`, `peers` | who waits for a place, which connection makes room, and who has how many |
//! | `budget` | how many streams the connections have together, and how much that nobody reads |
//! | `seat` | one connection from its first byte to its last |
//! | `greet` | from a wire to a connection: TLS, and which protocol is spoken |
//! | `workers`, `line`, `turns` | the threads that run handlers, in which order requests get to them, and whose turn it is when they are scarce |
//! | `serve` | running a handler; h2c; a connection on the caller's thread |
//! | `later` | answers to slow clients |
//! | `journal` | counters, and a hook for every exchange that is over |
//! | `exchange`, `answer`, `request_body` | one request, one answer |
//! | `file`, `conditions` | answering with files |
//!
//! # Who does what
//!
//! One thread accepts connections and watches those that nobody waits on; it never runs a handler and never does the arithmetic
//! of a handshake. Each request is a job for one of the workers. A worker that waits for its client reads the connection
//! itself, for all exchanges on it, as everywhere in this crate; when it stops, the poller watches it again.

mod answer;
mod budget;
mod conditions;
mod exchange;
mod file;
mod greet;
mod handle;
mod hub;
mod journal;
mod later;
mod limits;
mod line;
mod lobby;
mod peers;
mod places;
mod request_body;
mod seat;
mod serve;
mod settings;
mod turns;
mod workers;

pub use exchange::Exchange;
pub use file::resolve;
pub use handle::ServerHandle;
pub use journal::{ExchangeEnd, ExchangeInfo, ServerStats};
pub use settings::ServerTimeouts;

#[cfg(feature = "tls")]
use crate::net::TlsServer;
use crate::{
    drive::Cancel,
    error::{Error, ErrorKind, Result},
    net::{Listener, Poller, Wire},
    ws,
};
use http::Version;
use hub::Hub;
use journal::{Hook, Journal};
use settings::Settings;
use std::{
    net::{SocketAddr, TcpListener, ToSocketAddrs},
    sync::Arc,
    time::Duration,
};

/// What answers requests; every `Fn(Exchange) -> Result<()>` is one.
///
/// An error before the answer becomes a 500; so does a panic, which does not end the thread. After the head of an answer was
/// sent, either ends the exchange so that the client cannot take a part for the whole.
pub trait Handler: Send + Sync + 'static {
    /// Answers one exchange, on a thread of the server. It may be given to another thread, and answered later.
    ///
    /// # Errors
    ///
    /// Whatever kept it from answering.
    fn handle(&self, exchange: Exchange) -> Result<()>;
}

impl<F: Fn(Exchange) -> Result<()> + Send + Sync + 'static> Handler for F {
    fn handle(&self, exchange: Exchange) -> Result<()> {
        self(exchange)
    }
}

/// A server: HTTP/1.1 and HTTP/2 on one port.
///
/// Which of the two is spoken is found out per connection: over TLS by ALPN, in the clear by the first bytes or by
/// `Upgrade: h2c`.
///
/// | limit | default | why |
/// |---|---|---|
/// | [`max_connections`](Self::max_connections) | 1024 | most systems allow a process that many descriptors; who has the most makes room for others |
/// | [`max_per_peer`](Self::max_per_peer) | none | behind one address can be a whole company, or a proxy, which may have what nobody else wants |
/// | [`max_body`](Self::max_body) | 8 MiB | enough for what APIs take, and small enough to be in memory |
/// | [`max_header_bytes`](Self::max_header_bytes) | 16 KiB | as Node.js and IIS; Apache has 8 KiB for a line, Tomcat 8 KiB for all |
/// | [`max_streams`](Self::max_streams) | 128 | as nginx and h2o |
/// | [`max_total_streams`](Self::max_total_streams) | 24576 | one or two kilobytes each, whose client may read nothing; who has the most is refused more |
/// | unread bodies of all clients | 8 MiB, then little | what handlers leave unread; a peer has half of it at most, and of HTTP/2 what is beyond 24 MiB is reset |
/// | [`min_rate`](Self::min_rate) | 240 bytes a second | as Kestrel: slower than any modem |
/// | [`workers`](Self::workers) | 4 for each core, at least 16 | handlers wait for disks and other servers |
/// | [`queue`](Self::queue) | 8192 requests | more than HTTP/2 has with handlers at once |
/// | [`timeouts`](Self::timeouts) | see there | |
///
/// # Examples
///
/// ```
/// use bowline::{Exchange, Server};
///
/// # fn main() -> bowline::Result<()> {
/// let server = Server::bind("127.0.0.1:0")?.spawn(|exchange: Exchange| exchange.reply(200, "hi"))?;
/// assert_eq!(bowline::get(server.url("/")).send()?.text()?, "hi");
/// # Ok(())
/// # }
/// ```
#[must_use]
#[derive(Debug)]
pub struct Server {
    listener: Option<Listener>,
    settings: Settings,
    /// A setting that cannot be used; said when the server begins.
    wrong: Option<Error>,
}

impl Server {
    /// Listens on the first of the addresses that can be had; port 0 takes any that is free.
    ///
    /// # Errors
    ///
    /// If the address is in use or not ours.
    ///
    /// # Examples
    ///
    /// ```
    /// use bowline::{Exchange, Server};
    ///
    /// # fn main() -> bowline::Result<()> {
    /// let server = Server::bind("127.0.0.1:0")?;
    /// println!("port {}", server.local_addr()?.port());
    /// # Ok(())
    /// # }
    /// ```
    pub fn bind(address: impl ToSocketAddrs) -> Result<Self> {
        let listener = Listener::tcp(TcpListener::bind(address)?)?;
        Ok(Server { listener: Some(listener), ..Self::unbound() })
    }

    /// Listens on a Unix socket, whose file must not exist. The file is removed when the server stops to listen, unless another one has taken its
    /// place meanwhile; one that a crash has left behind is for the program to remove.
    ///
    /// # Errors
    ///
    /// If the file cannot be made.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use bowline::{Exchange, Server};
    ///
    /// # fn main() -> bowline::Result<()> {
    /// Server::bind_unix("/run/service.sock")?.serve(|exchange: Exchange| exchange.reply(200, "hi"))?;
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(unix)]
    pub fn bind_unix(path: impl AsRef<std::path::Path>) -> Result<Self> {
        let listener = Listener::unix(path.as_ref())?;
        Ok(Server { listener: Some(listener), ..Self::unbound() })
    }

    /// Returns a server without a listener: for [`serve_wire`](Self::serve_wire).
    ///
    /// # Examples
    ///
    /// ```
    /// use bowline::{Exchange, Server, net::pair};
    ///
    /// # fn main() -> bowline::Result<()> {
    /// let (near, far) = pair(1024);
    /// drop(near);
    /// Server::unbound().serve_wire(far, &|exchange: Exchange| exchange.reply(200, "hi"))?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn unbound() -> Self {
        Server { listener: None, settings: Settings::default(), wrong: None }
    }

    /// Serves TLS with this certificate, a PEM chain with its own first, and its key; ALPN offers h2 and http/1.1.
    ///
    /// Each call adds one. A client is shown the first whose names, wildcards included, have the one it asks for (SNI) and whose
    /// kind of key it understands; if there is none, or it asks for no name, the first that it understands.
    ///
    /// What is wrong with them is an error of `serve` or `spawn`.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use bowline::{Exchange, Server};
    ///
    /// # fn main() -> bowline::Result<()> {
    /// let read = |name: &str| std::fs::read(name);
    /// Server::bind("[::]:443")?
    ///     .tls_pem(&read("example.org.pem")?, &read("example.org.key")?)
    ///     .tls_pem(&read("example.net.pem")?, &read("example.net.key")?)
    ///     .serve(|exchange: Exchange| exchange.reply(200, "hi"))
    /// # }
    /// ```
    #[cfg(feature = "tls")]
    pub fn tls_pem(mut self, chain: &[u8], key: &[u8]) -> Self {
        let tls = match self.settings.tls.take() {
            Some(tls) => tls.add_pem(chain, key),
            None => TlsServer::from_pem(chain, key, &[b"h2", b"http/1.1"]),
        };
        match tls {
            Ok(tls) => self.settings.tls = Some(tls),
            Err(e) => self.wrong = Some(e),
        }
        self
    }

    /// Serves TLS with a configuration of the caller's, its ALPN protocols included, in place of certificates given before.
    #[cfg(feature = "rustls-api")]
    pub fn rustls(mut self, config: Arc<crate::net::RustlsServerConfig>) -> Self {
        self.settings.tls = Some(TlsServer::from_config(config));
        self
    }

    /// Serves only HTTP/1.1 (and 1.0 to those who speak that) or only HTTP/2; the default is both.
    ///
    /// ALPN offers nothing else then. A client in the clear that begins with the other version gets an error and is closed.
    /// Another version than these two is an error of `serve` or `spawn`.
    ///
    /// # Examples
    ///
    /// ```
    /// use bowline::{Exchange, Server, http::Version};
    ///
    /// # fn main() -> bowline::Result<()> {
    /// let server = Server::bind("127.0.0.1:0")?.only(Version::HTTP_11).spawn(|exchange: Exchange| exchange.reply(200, "hi"))?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn only(mut self, version: Version) -> Self {
        match version {
            Version::HTTP_11 | Version::HTTP_2 => self.settings.only = Some(version),
            _ => {
                self.wrong =
                    Some(Error::invalid(format!("a server of {version:?} alone: HTTP/1.1 and HTTP/2 are possible")))
            }
        }
        self
    }

    /// Sets how many handlers run at once (default 4 for each core, at least 16; 0 counts as 1). One that waits inside this library, for its client or for another server, does not
    /// count: with those there are at most 17 times as many threads, and one more for each connection that is allowed, up to 4096.
    ///
    /// A client that sends or reads slowly keeps its handler's thread waiting, and over HTTP/2 as many as 32 of them. Connections
    /// have 16 times this number of handlers besides one each, and a peer ([`max_connections`](Self::max_connections)) at most as many of
    /// those as are left: half, where no other has any. Where none are left a connection gets no other handler while it has one:
    /// its further requests are held until that one ends. So clients that dawdle, however many, keep threads from each other and not from
    /// those who do not. A handler that stays with a WebSocket or a tunnel, or with an answer that has no end, is one of these: where many peers
    /// have two of them and more on one connection, what else is asked on that may wait for as long as one is open.
    ///
    /// # Examples
    ///
    /// ```
    /// use bowline::{Exchange, Server};
    ///
    /// # fn main() -> bowline::Result<()> {
    /// let server = Server::bind("127.0.0.1:0")?.workers(64).spawn(|exchange: Exchange| exchange.reply(200, "hi"))?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn workers(mut self, n: usize) -> Self {
        self.settings.workers = n.max(1);
        self
    }

    /// Sets how many requests wait for a worker (default 8192; 0 counts as 1); more are refused: HTTP/1 with 503, `Retry-After: 1` and the
    /// end of the connection, HTTP/2 with REFUSED_STREAM.
    ///
    /// They wait in turn: peer by peer, of each peer connection by connection. When so many wait, whoever has the most of them makes room
    /// for those that have less: the newest request of the peer with the most, of its connection with the most, is refused instead of
    /// that which comes. So who asks for more than there are workers for waits for its own requests, and is refused; others are not. What
    /// a peer is says [`max_connections`](Self::max_connections).
    ///
    /// # Examples
    ///
    /// ```
    /// use bowline::{Exchange, Server};
    ///
    /// # fn main() -> bowline::Result<()> {
    /// let server = Server::bind("127.0.0.1:0")?.queue(100).spawn(|exchange: Exchange| exchange.reply(200, "hi"))?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn queue(mut self, n: usize) -> Self {
        self.settings.queue = n.max(1);
        self
    }

    /// Calls `f` for every exchange that is over, answered or not, and every request that was refused before it was one: for an access log or
    /// metrics.
    ///
    /// It is called on one thread of its own, record after record, so that a slow log keeps no request waiting. 1024 records wait for
    /// it; when it is slower than that the next ones are left out, and counted in [`missed`](ExchangeInfo::missed). A shutdown waits up
    /// to a second for those there are. With [`serve_wire`](Self::serve_wire) it is called on the thread of that.
    ///
    /// # Examples
    ///
    /// ```
    /// use bowline::{Exchange, Server};
    ///
    /// # fn main() -> bowline::Result<()> {
    /// let (sender, log) = std::sync::mpsc::channel();
    /// let server = Server::bind("127.0.0.1:0")?
    ///     .on_exchange(move |info| {
    ///         let status = info.status.map_or(0, |status| status.as_u16());
    ///         let _ = sender.send(format!("{} {} {status} {}", info.method, info.target, info.bytes_out));
    ///     })
    ///     .spawn(|exchange: Exchange| exchange.reply(200, "hi"))?;
    /// bowline::get(server.url("/hello")).send()?.text()?;
    /// assert_eq!(log.recv().as_deref(), Ok("GET /hello 200 2"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn on_exchange(mut self, f: impl Fn(&ExchangeInfo) + Send + Sync + 'static) -> Self {
        self.settings.hook = Some(Hook(Arc::new(f)));
        self
    }

    /// Sets the time limits of connections: [`ServerTimeouts`], or [`Timeouts`](crate::Timeouts) as requests have them.
    ///
    /// # Examples
    ///
    /// ```
    /// use bowline::{Exchange, Server, ServerTimeouts};
    /// use std::time::Duration;
    ///
    /// # fn main() -> bowline::Result<()> {
    /// let timeouts = ServerTimeouts::default().idle(Duration::from_secs(20));
    /// let server = Server::bind("127.0.0.1:0")?.timeouts(timeouts).spawn(|exchange: Exchange| exchange.reply(200, "hi"))?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn timeouts(mut self, timeouts: impl Into<ServerTimeouts>) -> Self {
        self.settings.timeouts = timeouts.into();
        self
    }

    /// Returns where it listens.
    ///
    /// # Errors
    ///
    /// If it does not listen, or on a Unix socket.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> bowline::Result<()> {
    /// let server = bowline::Server::bind("127.0.0.1:0")?;
    /// assert!(server.local_addr()?.port() > 0);
    /// # Ok(())
    /// # }
    /// ```
    pub fn local_addr(&self) -> Result<SocketAddr> {
        let address = self.listener.as_ref().and_then(Listener::local_addr);
        address.ok_or_else(|| Error::with(ErrorKind::Misuse, "the server listens at no address"))
    }

    /// Sets limits, heartbeat and compression of every WebSocket accepted.
    ///
    /// # Examples
    ///
    /// ```
    /// use bowline::{Exchange, Server, ws::Config};
    ///
    /// # fn main() -> bowline::Result<()> {
    /// let server = Server::bind("127.0.0.1:0")?
    ///     .websocket_config(Config::default().max_message(1 << 20))
    ///     .spawn(|exchange: Exchange| exchange.websocket(&[])?.send("welcome"))?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn websocket_config(mut self, config: ws::Config) -> Self {
        self.settings.websocket = config;
        self
    }

    /// Makes `serve` stop and return once the token is cancelled: nothing more is accepted, and what is in flight has the time
    /// of [`grace`](Self::grace).
    ///
    /// # Examples
    ///
    /// ```
    /// use bowline::{Cancel, Exchange, Server};
    ///
    /// # fn main() -> bowline::Result<()> {
    /// let cancel = Cancel::new();
    /// let server = Server::bind("127.0.0.1:0")?.cancel_on(&cancel);
    /// cancel.cancel();
    /// // It returns at once.
    /// server.serve(|exchange: Exchange| exchange.reply(200, "hi"))?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn cancel_on(mut self, cancel: &Cancel) -> Self {
        self.settings.cancels.push(cancel.clone());
        self
    }

    /// Sets how long exchanges may take to end after a token was cancelled (default 5 s).
    ///
    /// # Examples
    ///
    /// ```
    /// use bowline::{Exchange, Server};
    /// use std::time::Duration;
    ///
    /// # fn main() -> bowline::Result<()> {
    /// let server = Server::bind("127.0.0.1:0")?.grace(Duration::from_secs(30)).spawn(|exchange: Exchange| exchange.reply(200, "hi"))?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn grace(mut self, d: Duration) -> Self {
        self.settings.grace = d;
        self
    }

    /// Serves on this thread and on workers until the token of [`cancel_on`](Self::cancel_on), or for ever.
    ///
    /// # Errors
    ///
    /// If the server does not listen, or a setting cannot be used.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use bowline::{Exchange, Server};
    ///
    /// # fn main() -> bowline::Result<()> {
    /// Server::bind("127.0.0.1:8080")?.serve(|exchange: Exchange| exchange.reply(200, "hi"))?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn serve(self, handler: impl Handler) -> Result<()> {
        let (hub, listener) = self.begin(handler)?;
        hub.run(listener);
        Ok(())
    }

    /// Serves on threads of its own; the handle stops it when dropped.
    ///
    /// # Errors
    ///
    /// As [`serve`](Self::serve); and if the thread cannot be made.
    ///
    /// # Examples
    ///
    /// ```
    /// use bowline::{Exchange, Server};
    ///
    /// # fn main() -> bowline::Result<()> {
    /// let server = Server::bind("127.0.0.1:0")?.spawn(|exchange: Exchange| exchange.reply(200, "hi"))?;
    /// println!("{}", server.url("/"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn spawn(self, handler: impl Handler) -> Result<ServerHandle> {
        let is_tls = self.settings.is_tls();
        let (hub, listener) = self.begin(handler)?;
        let address = listener.local_addr().unwrap_or_else(|| SocketAddr::from(([0, 0, 0, 0], 0)));
        let thread = std::thread::Builder::new().name("bowline-server".into()).spawn({
            let hub = hub.clone();
            move || hub.run(listener)
        })?;
        Ok(ServerHandle::new(hub, thread, address, if is_tls { "https" } else { "http" }))
    }

    fn begin(self, handler: impl Handler) -> Result<(Arc<Hub>, Listener)> {
        let Server { listener, settings, wrong } = self;
        if let Some(wrong) = wrong {
            return Err(wrong);
        }
        let settings = settled(settings);
        #[cfg(feature = "tls")]
        if let Some(tls) = &settings.tls {
            tls.start()?;
        }
        let listener = listener.ok_or_else(|| Error::with(ErrorKind::Misuse, "the server listens at no address"))?;
        let journal = Journal::new(settings.hook.clone())?;
        Ok((Hub::new(settings, Arc::new(handler), Poller::new()?, journal), listener))
    }

    /// Serves one connection over any wire, on this thread, until it ends; its requests are handled one after the other.
    ///
    /// # Errors
    ///
    /// If the client broke a rule of the protocol or did not keep a time limit. That it closed the connection is no error.
    ///
    /// # Examples
    ///
    /// ```
    /// use bowline::{Exchange, Server, net::{Wire, pair}};
    ///
    /// # fn main() -> bowline::Result<()> {
    /// let (near, far) = pair(1024);
    /// near.try_write(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")?;
    /// Server::unbound().serve_wire(far, &|exchange: Exchange| exchange.reply(200, "hi"))?;
    /// let mut answer = [0; 1024];
    /// let n = near.try_read(&mut answer)?;
    /// assert!(answer[..n].starts_with(b"HTTP/1.1 200 OK\r\n"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn serve_wire(&self, wire: impl Wire + 'static, handler: &dyn Handler) -> Result<()> {
        if let Some(wrong) = &self.wrong {
            return Err(Error::invalid(wrong.to_string()));
        }
        serve::serve_wire(Arc::new(wire), handler, &Arc::new(settled(self.settings.clone())))
    }
}

/// The settings with ALPN in step with the version.
fn settled(settings: Settings) -> Settings {
    #[cfg(feature = "tls")]
    let settings = Settings {
        tls: match (settings.tls, settings.only) {
            (Some(tls), Some(Version::HTTP_2)) => Some(tls.only(b"h2")),
            (Some(tls), Some(_)) => Some(tls.only(b"http/1.1")),
            (tls, _) => tls,
        },
        ..settings
    };
    settings
}
