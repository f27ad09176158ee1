//! How many connections there are, how long they are kept, and how much is on its way on them.

use super::ClientBuilder;
use std::time::Duration;

impl ClientBuilder {
    /// Sets how many idle connections are kept in all (default 100, as Go: a tenth of the descriptors that most systems allow a process).
    /// With 0 every connection is closed after its use.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> bowline::Result<()> {
    /// let client = bowline::Client::builder().max_idle(20).build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn max_idle(self, n: usize) -> Self {
        self.set(|s| s.limits.max_idle = n)
    }

    /// Sets how many idle connections are kept per origin (default 10: more are there only if as many requests were under way at once, and the
    /// next burst can make them again). With 0 every connection is closed after its use.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> bowline::Result<()> {
    /// let client = bowline::Client::builder().max_idle_per_origin(2).build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn max_idle_per_origin(self, n: usize) -> Self {
        self.set(|s| s.limits.max_idle_per_origin = n)
    }

    /// Sets how long a connection may be idle and still be used (default 60 s, or what the server says if less: most servers and what stands
    /// between cut after 60 s or later).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// # fn main() -> bowline::Result<()> {
    /// let client = bowline::Client::builder().idle_timeout(Duration::from_secs(20)).build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn idle_timeout(self, d: Duration) -> Self {
        self.set(|s| s.limits.idle_timeout = d)
    }

    /// Sets how old a connection may become before it is drained (default 24 h: what DNS or a load balancer has changed is noticed within a
    /// day, and nobody makes connections again and again for it).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// # fn main() -> bowline::Result<()> {
    /// let client = bowline::Client::builder().max_lifetime(Duration::from_secs(3600)).build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn max_lifetime(self, d: Duration) -> Self {
        self.set(|s| s.limits.max_lifetime = d)
    }

    /// Sets how many connections per origin there may be (default: any number for `send`, 6 for `start`); what is above waits.
    /// HTTP/2 takes one, or with [`more_connections_when_full`](Self::more_connections_when_full) no more than these.
    ///
    /// Whoever waits for a connection of HTTP/1 reads meanwhile the answers of requests that were started and are not waited for, and
    /// sends those in line before it. An answer is kept so up to [`stream_window`](Self::stream_window) bytes of body, and all that a client
    /// keeps up to [`max_unread`](Self::max_unread); a longer one, or a response that is in the program's hands, holds its connection until
    /// it is read or dropped. A wait that lasts longer than [`Timeouts::slot`](crate::Timeouts::slot) or the total limit fails with
    /// [`ErrorKind::PoolTimeout`](crate::ErrorKind::PoolTimeout).
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> bowline::Result<()> {
    /// let client = bowline::Client::builder().max_connections_per_origin(8).build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn max_connections_per_origin(self, n: usize) -> Self {
        self.set(|s| s.limits.max_per_origin = Some(n.max(1)))
    }

    /// Opens another HTTP/2 connection when the streams of one are used up, instead of waiting for a slot.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> bowline::Result<()> {
    /// let client = bowline::Client::builder().more_connections_when_full().build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn more_connections_when_full(self) -> Self {
        self.set(|s| s.limits.more_when_full = true)
    }

    /// Sets how many streams are opened before the peer has said how many it allows (default 100, the least that a peer should;
    /// RFC 9113, section 6.5.2). Zero counts as one.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> bowline::Result<()> {
    /// let client = bowline::Client::builder().streams_before_settings(10).build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn streams_before_settings(self, n: u32) -> Self {
        self.set(|s| s.h2.streams_before_settings = n.max(1))
    }

    /// Sets what one HTTP/2 stream may have on its way (default 1 MiB: 80 Mbit/s where a round trip takes 100 ms; RFC 9113, section 5.2),
    /// 1 to 2147483647 bytes: anything else is the error of [`build`](Self::build).
    ///
    /// As much is kept of the body of an answer over HTTP/1 that nobody has asked for yet, and whose connection others wait for.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> bowline::Result<()> {
    /// let client = bowline::Client::builder().stream_window(4 << 20).build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn stream_window(self, bytes: u32) -> Self {
        self.set(|s| s.h2.stream_window = bytes)
    }

    /// Sets what an HTTP/2 connection may have on its way (default 16 MiB: that of 16 streams), 1 to 2147483647 bytes: anything else is the
    /// error of [`build`](Self::build).
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> bowline::Result<()> {
    /// let client = bowline::Client::builder().connection_window(64 << 20).build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn connection_window(self, bytes: u32) -> Self {
        self.set(|s| s.h2.connection_window = bytes)
    }

    /// Sets how much of the bodies of one HTTP/2 connection may be unread, all streams together, before the peer gets no more
    /// credit for it than what is read or dropped, or needed by somebody who waits (default 32 MiB). As much is kept by the whole client of
    /// the answers of HTTP/1 that nobody has asked for yet, and whose connections others wait for.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> bowline::Result<()> {
    /// let client = bowline::Client::builder().max_unread(8 << 20).build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn max_unread(self, bytes: usize) -> Self {
        self.set(|s| s.h2.max_unread = bytes)
    }

    /// Sets how much of a body that was dropped unread is read, without waiting, to keep an HTTP/1 connection (default 64 KiB);
    /// with more left the connection is closed.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> bowline::Result<()> {
    /// let client = bowline::Client::builder().max_drain(1 << 20).build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn max_drain(self, bytes: usize) -> Self {
        self.set(|s| s.limits.drain = bytes)
    }

    /// Sets how long an HTTP/2 connection may take no byte of what is to be sent before it is given up (default 15 s: every
    /// stream on it suffers). On HTTP/1 see [`http1_write_stall`](Self::http1_write_stall).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// # fn main() -> bowline::Result<()> {
    /// let client = bowline::Client::builder().write_stall(Duration::from_secs(30)).build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn write_stall(self, d: Duration) -> Self {
        self.set(|s| s.h2.write_stall = d)
    }

    /// Sets how long an HTTP/1 connection may take no byte of what is to be sent before it is given up (default 60 s: only its
    /// own request suffers). The request's own [`Timeouts::write`](crate::Timeouts::write) may end it before.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// # fn main() -> bowline::Result<()> {
    /// let client = bowline::Client::builder().http1_write_stall(Duration::from_secs(120)).build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn http1_write_stall(self, d: Duration) -> Self {
        self.set(|s| s.h2.http1_write_stall = d)
    }
}
