//! A server that runs.

use super::{hub::Hub, journal::ServerStats};
use crate::{drive::ConnectionInfo, time::Deadline};
use std::{net::SocketAddr, sync::Arc, thread::JoinHandle, time::Duration};

/// A server that runs. Dropping it stops it and ends what is in flight.
#[derive(Debug)]
pub struct ServerHandle {
    hub: Arc<Hub>,
    thread: Option<JoinHandle<usize>>,
    address: SocketAddr,
    scheme: &'static str,
}

impl ServerHandle {
    pub(super) fn new(hub: Arc<Hub>, thread: JoinHandle<usize>, address: SocketAddr, scheme: &'static str) -> Self {
        ServerHandle { hub, thread: Some(thread), address, scheme }
    }

    /// Returns where it listens; for a Unix socket, nowhere: `0.0.0.0:0`.
    ///
    /// # Examples
    ///
    /// ```
    /// use bowline::{Exchange, Server};
    ///
    /// # fn main() -> bowline::Result<()> {
    /// let server = Server::bind("127.0.0.1:0")?.spawn(|exchange: Exchange| exchange.reply(200, "hi"))?;
    /// assert_eq!(server.local_addr().ip().to_string(), "127.0.0.1");
    /// # Ok(())
    /// # }
    /// ```
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Returns `http://127.0.0.1:PORT`, `https` with TLS, and the path: for tests.
    ///
    /// # Examples
    ///
    /// ```
    /// use bowline::{Exchange, Server};
    ///
    /// # fn main() -> bowline::Result<()> {
    /// let server = Server::bind("127.0.0.1:0")?.spawn(|exchange: Exchange| exchange.reply(200, "hi"))?;
    /// assert_eq!(server.url("/a"), format!("http://{}/a", server.local_addr()));
    /// # Ok(())
    /// # }
    /// ```
    pub fn url(&self, path: &str) -> String {
        format!("{}://{}{path}", self.scheme, self.address)
    }

    /// Returns the same as a URL of a WebSocket: `ws://…`, or `wss://…` with TLS.
    ///
    /// # Examples
    ///
    /// ```
    /// use bowline::{Exchange, Server};
    ///
    /// # fn main() -> bowline::Result<()> {
    /// let server = Server::bind("127.0.0.1:0")?.spawn(|exchange: Exchange| exchange.reply(200, "hi"))?;
    /// assert!(server.ws_url("/").starts_with("ws://127.0.0.1:"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn ws_url(&self, path: &str) -> String {
        self.url(path).replacen("http", "ws", 1)
    }

    /// Returns its connections, one row each, in the order in which they were made.
    ///
    /// # Examples
    ///
    /// ```
    /// use bowline::{Exchange, Server};
    ///
    /// # fn main() -> bowline::Result<()> {
    /// let server = Server::bind("127.0.0.1:0")?.spawn(|exchange: Exchange| exchange.reply(200, "hi"))?;
    /// assert!(server.connections().is_empty());
    /// # Ok(())
    /// # }
    /// ```
    pub fn connections(&self) -> Vec<ConnectionInfo> {
        self.hub.connections()
    }

    /// Returns what it has done so far, and what it does now.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> bowline::Result<()> {
    /// let server = bowline::Server::bind("127.0.0.1:0")?.spawn(|exchange: bowline::Exchange| exchange.reply(200, "hi"))?;
    /// bowline::get(server.url("/")).send()?.text()?;
    /// assert_eq!(server.stats().accepted, 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn stats(&self) -> ServerStats {
        self.hub.stats()
    }

    /// Takes no more, lets what runs finish; returns how many exchanges were left at `timeout`, and cut.
    ///
    /// Clients are told: answers on HTTP/1 say `Connection: close`, HTTP/2 has GOAWAY, once to stop new requests and once to name the
    /// last one that is served. Idle connections are closed at once, those of HTTP/2 after 100 ms for requests on their way.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use bowline::{Exchange, Server};
    ///
    /// # fn main() -> bowline::Result<()> {
    /// let server = Server::bind("127.0.0.1:0")?.spawn(|exchange: Exchange| exchange.reply(200, "hi"))?;
    /// assert_eq!(server.shutdown(Duration::from_secs(5)), 0);
    /// # Ok(())
    /// # }
    /// ```
    pub fn shutdown(mut self, timeout: Duration) -> usize {
        self.stop(timeout)
    }

    fn stop(&mut self, timeout: Duration) -> usize {
        self.hub.drain(Deadline::after(timeout));
        // It does not panic, and if it did nothing would be left.
        self.thread.take().and_then(|thread| thread.join().ok()).unwrap_or(0)
    }
}

impl Drop for ServerHandle {
    fn drop(&mut self) {
        if self.thread.is_some() {
            self.stop(Duration::ZERO);
        }
    }
}
