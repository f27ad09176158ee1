//! How connections are kept alive, and how dead ones are found.

use super::ClientBuilder;
use crate::error::Error;
use http::Method;
use std::time::Duration;

impl ClientBuilder {
    /// Sets how long an HTTP/2 connection may be silent before `upkeep` pings it (default 60 s: address translators
    /// forget after minutes; a proxy that cuts after 30 s wants 10 or 15).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// # fn main() -> bowline::Result<()> {
    /// let client = bowline::Client::builder().upkeep_interval(Duration::from_secs(15)).build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn upkeep_interval(self, d: Duration) -> Self {
        self.set(|s| s.h2.upkeep_interval = d)
    }

    /// Sets what [`upkeep`](crate::Client::upkeep) asks for on idle HTTP/1 connections, which have no PING (default: nothing, it only
    /// looks). `path` begins with `/`; a mistake in it is the error of [`build`](Self::build).
    ///
    /// The request goes out when a connection was not used for the [`upkeep_interval`](Self::upkeep_interval), carries the default
    /// headers and no body, and has [`ping_ack_timeout`](Self::ping_ack_timeout) to be answered, with any status. Connections
    /// are kept in this way for [`keep_idle`](Self::keep_idle) after their last other request.
    ///
    /// # Examples
    ///
    /// ```
    /// use bowline::http::Method;
    ///
    /// # fn main() -> bowline::Result<()> {
    /// let client = bowline::Client::builder().upkeep_request(Method::HEAD, "/health").build()?;
    /// # Ok(())
    /// # }
    /// ```
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
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// # fn main() -> bowline::Result<()> {
    /// let client = bowline::Client::builder().keep_idle(Duration::from_secs(600)).build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn keep_idle(self, d: Duration) -> Self {
        self.set(|s| s.h2.keep_idle = d)
    }

    /// Calls [`upkeep`](crate::Client::upkeep) when it is due, from a thread that ends with the last handle of the client: the only one the
    /// library ever keeps, and only where it is asked for here.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> bowline::Result<()> {
    /// let client = bowline::Client::builder().keep_alive_thread().build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn keep_alive_thread(mut self) -> Self {
        self.keeper = true;
        self
    }

    /// Sets the silence after which an HTTP/2 connection with open exchanges is pinged (default 30 s: a server that thinks is
    /// told from one that has gone well before [`Timeouts::first_byte`](crate::Timeouts::first_byte)).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// # fn main() -> bowline::Result<()> {
    /// let client = bowline::Client::builder().read_idle_ping(Duration::from_secs(10)).build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn read_idle_ping(self, d: Duration) -> Self {
        self.set(|s| s.h2.read_idle_ping = d)
    }

    /// Sets the silence after which a connection carries a PING with the next request (default 10 s: below that
    /// it was hardly cut).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// # fn main() -> bowline::Result<()> {
    /// let client = bowline::Client::builder().probe_after_idle(Duration::from_secs(30)).build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn probe_after_idle(self, d: Duration) -> Self {
        self.set(|s| s.h2.probe_after_idle = d)
    }

    /// Sets how long nothing may come in after such a PING before the connection is given up (default 5 s; never longer than
    /// [`ping_ack_timeout`](Self::ping_ack_timeout)): a request waits for it.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// # fn main() -> bowline::Result<()> {
    /// let client = bowline::Client::builder().probe_timeout(Duration::from_secs(2)).build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn probe_timeout(self, d: Duration) -> Self {
        self.set(|s| s.h2.probe_timeout = d)
    }

    /// Sets how long a PING may go unanswered without a byte from the peer before its connection is given up (default
    /// 15 s: several times what a slow link needs).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// # fn main() -> bowline::Result<()> {
    /// let client = bowline::Client::builder().ping_ack_timeout(Duration::from_secs(30)).build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn ping_ack_timeout(self, d: Duration) -> Self {
        self.set(|s| s.h2.ping_ack_timeout = d)
    }

    /// Sets how many PINGs of the library's own accord, by [`read_idle_ping`](Self::read_idle_ping) and
    /// [`probe_after_idle`](Self::probe_after_idle), are sent without a HEADERS or DATA frame either way (default 2: some peers
    /// close the connection at the third). Those asked for, by `upkeep` and `ping`, have no such limit.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> bowline::Result<()> {
    /// let client = bowline::Client::builder().max_unasked_pings(1).build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn max_unasked_pings(self, n: u8) -> Self {
        self.set(|s| s.h2.max_unasked_pings = n)
    }
}
