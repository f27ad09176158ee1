//! What is known of a request before its body.

use super::Exchange;
use http::{HeaderMap, HeaderValue, Method, Uri, Version, header};
use std::net::SocketAddr;

impl Exchange {
    /// Returns the method.
    ///
    /// # Examples
    ///
    /// ```
    /// use bowline::{Exchange, Server};
    ///
    /// # fn main() -> bowline::Result<()> {
    /// let server = Server::bind("127.0.0.1:0")?.spawn(|exchange: Exchange| match exchange.method().as_str() {
    ///     "GET" => exchange.reply(200, "hi"),
    ///     _ => exchange.reply(405, "another method, please"),
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn method(&self) -> &Method {
        &self.head.method
    }

    /// Returns the path alone, for routing by `match`; as it was sent, escapes included.
    ///
    /// # Examples
    ///
    /// ```
    /// use bowline::{Exchange, Server};
    ///
    /// # fn main() -> bowline::Result<()> {
    /// let server = Server::bind("127.0.0.1:0")?.spawn(|exchange: Exchange| match exchange.path() {
    ///     "/" => exchange.reply(200, "hi"),
    ///     _ => exchange.reply(404, "no such page"),
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn path(&self) -> &str {
        self.head.uri.path()
    }

    /// Returns the whole target; over HTTP/1 usually only path and query. Where it names a host, as over HTTP/2, `host` among the headers
    /// is that.
    ///
    /// # Examples
    ///
    /// ```
    /// use bowline::{Exchange, Server};
    ///
    /// # fn main() -> bowline::Result<()> {
    /// let server = Server::bind("127.0.0.1:0")?.spawn(|exchange: Exchange| {
    ///     let query = exchange.uri().query().unwrap_or_default().to_owned();
    ///     exchange.reply(200, query)
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn uri(&self) -> &Uri {
        &self.head.uri
    }

    /// Returns the version.
    ///
    /// # Examples
    ///
    /// ```
    /// use bowline::{Exchange, Server};
    ///
    /// # fn main() -> bowline::Result<()> {
    /// let server = Server::bind("127.0.0.1:0")?.spawn(|exchange: Exchange| {
    ///     let version = format!("{:?}", exchange.version());
    ///     exchange.reply(200, version)
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn version(&self) -> Version {
        self.head.version
    }

    /// Returns the headers.
    ///
    /// # Examples
    ///
    /// ```
    /// use bowline::{Exchange, Server};
    ///
    /// # fn main() -> bowline::Result<()> {
    /// let server = Server::bind("127.0.0.1:0")?.spawn(|exchange: Exchange| {
    ///     let count = exchange.headers().len();
    ///     exchange.reply(200, count.to_string())
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn headers(&self) -> &HeaderMap {
        self.headers.get_or_init(|| {
            let mut headers = self.head.fields.clone().into_map();
            if let Some(host) = self.authority().and_then(|host| HeaderValue::try_from(host).ok()) {
                headers.entry(header::HOST).or_insert(host);
            }
            headers
        })
    }

    /// Returns one header as text; `None` if it is absent or not text.
    ///
    /// # Examples
    ///
    /// ```
    /// use bowline::{Exchange, Server};
    ///
    /// # fn main() -> bowline::Result<()> {
    /// let server = Server::bind("127.0.0.1:0")?.spawn(|exchange: Exchange| {
    ///     let agent = exchange.header("user-agent").unwrap_or("nobody").to_owned();
    ///     exchange.reply(200, agent)
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn header(&self, name: &str) -> Option<&str> {
        match self.head.fields.get(name) {
            Some(value) => std::str::from_utf8(value).ok(),
            None => self.authority().filter(|_| name.eq_ignore_ascii_case("host")),
        }
    }

    /// Returns the host that the target names.
    fn authority(&self) -> Option<&str> {
        self.head.uri.authority().map(http::uri::Authority::as_str)
    }

    /// Returns the client's address; `None` on a wire of the caller's.
    ///
    /// # Examples
    ///
    /// ```
    /// use bowline::{Exchange, Server};
    ///
    /// # fn main() -> bowline::Result<()> {
    /// let server = Server::bind("127.0.0.1:0")?.spawn(|exchange: Exchange| {
    ///     let peer = format!("{:?}", exchange.peer());
    ///     exchange.reply(200, peer)
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn peer(&self) -> Option<SocketAddr> {
        self.peer
    }
}
