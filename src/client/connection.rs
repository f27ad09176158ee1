//! One connection that the caller owns.

use super::{
    Client,
    connect::carrier,
    request::{RequestBuilder, target_url},
    url::{Family, Origin, Url},
};
use crate::{
    drive::{Carrier, Cause, CloseReason, ConnectionInfo, IntoBody, given_up, next_id},
    error::{Error, ErrorKind, Result},
    net::Wire,
};
use http::{Method, Request, Version};
use std::{fmt, sync::Arc, time::Instant};

/// One connection that the caller owns: never in the pool, closed on drop. For own reuse rules, games, relays.
///
/// # Examples
///
/// ```no_run
/// # fn main() -> bowline::Result<()> {
/// let client = bowline::Client::new();
/// let connection = client.connect("https://api.example.org")?;
/// println!("{}", connection.get("/status").send()?.text()?);
/// # Ok(())
/// # }
/// ```
pub struct Connection {
    /// What its requests are made with.
    client: Client,
    conn: Arc<dyn Carrier>,
    origin: Origin,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("id", &self.conn.id()).field("origin", &self.origin.to_string()).finish()
    }
}

impl Connection {
    pub(super) fn new(client: Client, conn: Arc<dyn Carrier>, origin: Origin) -> Self {
        Connection { client, conn, origin }
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    pub(super) fn origin(&self) -> &Origin {
        &self.origin
    }

    pub(super) fn carrier(&self) -> &Arc<dyn Carrier> {
        &self.conn
    }

    /// Puts HTTP on a wire the caller made: any byte stream, the in-memory pair included. The client's settings apply: HTTP/2
    /// where its protocol is [`Http2`](super::Protocol::Http2), else HTTP/1.1. TLS is the caller's affair.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if `origin` is no URL.
    ///
    /// # Examples
    ///
    /// ```
    /// use bowline::{Client, Connection, Exchange, Server, net::pair};
    ///
    /// # fn main() -> bowline::Result<()> {
    /// let (near, far) = pair(16 * 1024);
    /// let serving = std::thread::spawn(move || Server::unbound().serve_wire(far, &|exchange: Exchange| exchange.reply(200, "hi")));
    /// let connection = Connection::over(near, "http://in.memory", &Client::new())?;
    /// assert_eq!(connection.get("/").send()?.text()?, "hi");
    /// drop(connection);
    /// serving.join().expect("it does not panic")?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn over(wire: impl Wire + 'static, origin: &str, client: &Client) -> Result<Self> {
        use super::Protocol::{Http2, Http2WithoutAlpn};
        let origin = Url::parse(origin, Family::Http)?.origin;
        let settings = &client.inner.settings;
        let version =
            if matches!(settings.protocol, Http2 | Http2WithoutAlpn) { Version::HTTP_2 } else { Version::HTTP_11 };
        let conn =
            carrier(settings, &client.inner.pool.record, next_id(), Arc::new(wire), None, version, origin.to_string());
        client.inner.pool.enter(&conn);
        // No proxy is on this wire, and none is told its credentials there.
        Ok(Self::new(client.without_proxy(), conn, origin))
    }

    /// Returns a request on this connection; `target` is a path. HTTP/1 serves one at a time, others wait in line.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use bowline::{Client, http::Method};
    ///
    /// # fn main() -> bowline::Result<()> {
    /// let connection = Client::new().connect("https://api.example.org")?;
    /// let status = connection.request(Method::DELETE, "/notes/1").send()?.status();
    /// # Ok(())
    /// # }
    /// ```
    pub fn request(&self, method: Method, target: &str) -> RequestBuilder {
        RequestBuilder::to(self.client.inner.clone(), method, target_url(&self.origin, target)).pin(self.conn.clone())
    }

    /// Returns a GET of a path.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # fn main() -> bowline::Result<()> {
    /// let connection = bowline::Client::new().connect("https://api.example.org")?;
    /// let text = connection.get("/status").send()?.text()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn get(&self, target: &str) -> RequestBuilder {
        self.request(Method::GET, target)
    }

    /// Returns a POST to a path.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # fn main() -> bowline::Result<()> {
    /// let connection = bowline::Client::new().connect("https://api.example.org")?;
    /// let text = connection.post("/notes").body("a note").send()?.text()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn post(&self, target: &str) -> RequestBuilder {
        self.request(Method::POST, target)
    }

    /// Takes a request built with the `http` crate; its origin must be this one.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use bowline::{Client, Error, http::Request};
    ///
    /// # fn main() -> bowline::Result<()> {
    /// let connection = Client::new().connect("https://api.example.org")?;
    /// let request = Request::put("/notes/1").body("a note").map_err(Error::from)?;
    /// let status = connection.prepare(request).send()?.status();
    /// # Ok(())
    /// # }
    /// ```
    pub fn prepare<B: IntoBody>(&self, request: Request<B>) -> RequestBuilder {
        let same = match request.uri().authority() {
            None => Ok(()),
            Some(_) => Origin::of(request.uri()).and_then(|origin| match origin == self.origin {
                true => Ok(()),
                false => Err(Error::invalid(format!("a request to {origin} on a connection to {}", self.origin))),
            }),
        };
        let target = request.uri().path_and_query().map_or("/", |p| p.as_str()).to_owned();
        let (parts, body) = request.into_parts();
        let url = same.and_then(|()| target_url(&self.origin, &target));
        RequestBuilder::to(self.client.inner.clone(), parts.method, url)
            .pin(self.conn.clone())
            .headers(parts.headers)
            .body(body)
    }

    /// Returns its row of the connection table.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # fn main() -> bowline::Result<()> {
    /// let connection = bowline::Client::new().connect("https://api.example.org")?;
    /// let info = connection.info();
    /// println!("{:?} to {:?}, {} bytes in", info.version, info.peer, info.bytes_in);
    /// # Ok(())
    /// # }
    /// ```
    pub fn info(&self) -> ConnectionInfo {
        self.conn.info()
    }

    /// Dispatches what has arrived and flushes what is waiting, without blocking: for poll loops.
    ///
    /// # Errors
    ///
    /// Why the connection is over, if it is.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # fn main() -> bowline::Result<()> {
    /// let connection = bowline::Client::new().connect("https://api.example.org")?;
    /// let mut pending = connection.get("/events").start();
    /// loop {
    ///     connection.pump()?;
    ///     if let Some(response) = pending.try_wait()? {
    ///         println!("{}", response.status());
    ///         break;
    ///     }
    ///     // Do something else, or poll `connection.fd()`.
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn pump(&self) -> Result<()> {
        self.conn.look(Instant::now());
        match self.conn.over() {
            None => Ok(()),
            Some(cause) => Err(cause.to_error()),
        }
    }

    /// Takes no new requests and says so to the peer (GOAWAY on HTTP/2); those in flight go on.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # fn main() -> bowline::Result<()> {
    /// let connection = bowline::Client::new().connect("https://api.example.org")?;
    /// let last = connection.get("/last").start();
    /// connection.drain();
    /// println!("{}", last.wait()?.status());
    /// # Ok(())
    /// # }
    /// ```
    pub fn drain(&self) {
        self.conn.drain();
    }

    /// Returns the descriptor to poll, if the wire has one.
    ///
    /// Call [`pump`](Self::pump), or a `try_` method until it has nothing more, before every poll: bytes may wait above the socket.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::os::fd::AsRawFd;
    ///
    /// # fn main() -> bowline::Result<()> {
    /// let connection = bowline::Client::new().connect("https://api.example.org")?;
    /// let raw = connection.fd().map(|fd| fd.as_raw_fd());
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(unix)]
    pub fn fd(&self) -> Option<std::os::fd::BorrowedFd<'_>> {
        self.conn.wire().fd()
    }

    /// Returns the socket to poll, if the wire has one.
    ///
    /// Call [`pump`](Self::pump), or a `try_` method until it has nothing more, before every poll: bytes may wait above the socket.
    #[cfg(windows)]
    pub fn socket(&self) -> Option<std::os::windows::io::BorrowedSocket<'_>> {
        self.conn.wire().socket()
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if self.conn.is_idle() {
            self.conn.shutdown(Cause::new(ErrorKind::Cancelled, CloseReason::Idle, "closed by its owner"));
        } else {
            self.conn.shutdown(given_up());
        }
    }
}
