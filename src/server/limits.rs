//! What a server allows its clients.

use super::Server;

impl Server {
    /// Limits the connections at once (default 1024; 0 counts as 1).
    ///
    /// When one more comes, another makes room: of the peer that has the most connections, the one that has been idle for longest. Idle
    /// is what was not asked for anything for a second after its last answer, or for 100 ms has not come to the end of its
    /// handshake and its first request's head. Nobody loses one to a peer that has more. If none is idle, and one peer alone
    /// has more than half of all, those with less than half of what it has get the place of its newest connection, whatever that does.
    /// So a peer that takes all there are, idle or busy, keeps nobody else out. And where more than half of all, and 16 at least, are of the
    /// peer with the most and have asked for nothing yet, the oldest of those makes room without having had its 100 ms: so they have as
    /// long as the number that keeps coming leaves them, and nobody waits for that.
    ///
    /// Otherwise the new one waits. Where 256 do, more are left in the kernel's queue; after a second, of waiting or of nobody becoming idle,
    /// they come in for those in front of them, which are closed, of the peer with the most first, and at once for those of a peer that has
    /// more than half of all. The same is done where the system allows fewer descriptors, with 8 that wait. One that makes room on HTTP/2
    /// while it is idle is told by GOAWAY with NO_ERROR; all others just end.
    ///
    /// A peer is an IPv4 address, a /64 network of IPv6, or all that come over a Unix socket.
    ///
    /// # Examples
    ///
    /// ```
    /// use bowline::{Exchange, Server};
    ///
    /// # fn main() -> bowline::Result<()> {
    /// let server = Server::bind("127.0.0.1:0")?.max_connections(10_000).spawn(|exchange: Exchange| exchange.reply(200, "hi"))?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn max_connections(mut self, n: usize) -> Self {
        self.settings.max_connections = n.max(1);
        self
    }

    /// Limits the connections of one peer at once: an IPv4 address, or a /64 network of IPv6. More are closed without a word as soon as they
    /// are made. There is no limit by default (0 counts as 1), and none on Unix sockets.
    ///
    /// No peer keeps others out by the number of its connections ([`max_connections`](Self::max_connections)); this keeps it from what they
    /// cost besides that, threads for slow requests among them. A server that everybody can reach, without a proxy in front, does well
    /// with 100: browsers open 6.
    ///
    /// # Examples
    ///
    /// ```
    /// use bowline::{Exchange, Server};
    ///
    /// # fn main() -> bowline::Result<()> {
    /// let server = Server::bind("127.0.0.1:0")?.max_per_peer(100).spawn(|exchange: Exchange| exchange.reply(200, "hi"))?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn max_per_peer(mut self, n: usize) -> Self {
        self.settings.max_per_peer = n.max(1);
        self
    }

    /// Limits the body of a request, in bytes as they are sent (default 8 MiB).
    ///
    /// What is declared to be longer gets 413 at once, without a handler and without 100 (Continue). Where nothing was declared, reading the body
    /// fails with [`ErrorKind::TooLarge`](crate::ErrorKind::TooLarge) at the first byte too much, and the client gets 413 unless the handler answers otherwise.
    /// [`Expect: 100-continue`] is refused likewise. Behind either answer HTTP/1 ends the connection, HTTP/2 the stream.
    ///
    /// [`Expect: 100-continue`]: https://www.rfc-editor.org/rfc/rfc9110#section-10.1.1
    ///
    /// # Examples
    ///
    /// ```
    /// use bowline::{Exchange, Server};
    ///
    /// # fn main() -> bowline::Result<()> {
    /// let server = Server::bind("127.0.0.1:0")?.max_body(1 << 30).spawn(|exchange: Exchange| exchange.reply(200, "hi"))?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn max_body(mut self, bytes: u64) -> Self {
        self.settings.max_body = bytes;
        self
    }

    /// Limits the head of a request, in bytes (default 16 KiB): on HTTP/1 of request line and fields as they are sent, on HTTP/2 of
    /// names and values, with 32 more for each field (RFC 9113, section 6.5.2), which the client is told in SETTINGS.
    ///
    /// More is answered with 431 (414 if the request line alone is too long), and HTTP/1 ends the connection. HTTP/2 goes on,
    /// and ends it with ENHANCE_YOUR_CALM where lists are far above the limit, time and again. Trailers have the same limit.
    ///
    /// # Examples
    ///
    /// ```
    /// use bowline::{Exchange, Server};
    ///
    /// # fn main() -> bowline::Result<()> {
    /// let server = Server::bind("127.0.0.1:0")?.max_header_bytes(8 * 1024).spawn(|exchange: Exchange| exchange.reply(200, "hi"))?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn max_header_bytes(mut self, bytes: usize) -> Self {
        self.settings.max_header_bytes = bytes;
        self
    }

    /// Limits the requests of one HTTP/2 connection at once (default 128). Its client is told in SETTINGS; more are refused by RST_STREAM with
    /// REFUSED_STREAM, which says that they can be sent again. Clients of HTTP/1 have one at a time on each connection.
    ///
    /// 32 of them are with handlers at a time, WebSockets and tunnels among them, and of all connections together 2048 besides one each,
    /// of which a peer has at most as many as are left. The others wait until one of those ends.
    ///
    /// # Examples
    ///
    /// ```
    /// use bowline::{Exchange, Server};
    ///
    /// # fn main() -> bowline::Result<()> {
    /// let server = Server::bind("127.0.0.1:0")?.max_streams(32).spawn(|exchange: Exchange| exchange.reply(200, "hi"))?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn max_streams(mut self, n: u32) -> Self {
        self.settings.max_streams = n;
        self
    }

    /// Limits the requests of HTTP/2 at once on all connections together, not counting one for each connection (default 24576).
    ///
    /// A peer may have as many of them as are left: half, where no other has any; a third, where two want as much as they get; and so on. More
    /// are refused by RST_STREAM with REFUSED_STREAM, which says that they can be sent again. So clients that ask for much and read
    /// nothing cost one or two kilobytes for each of so many, besides what those hold that have begun, and others are served meanwhile. What a peer is says
    /// [`max_connections`](Self::max_connections). A server that has all its requests from one proxy, or one program that
    /// measures it, over HTTP/2, allows twice as many as that sends at once, and as many in its [`queue`](Self::queue).
    ///
    /// # Examples
    ///
    /// ```
    /// use bowline::{Exchange, Server};
    ///
    /// # fn main() -> bowline::Result<()> {
    /// let server = Server::bind("127.0.0.1:0")?.max_total_streams(1000).spawn(|exchange: Exchange| exchange.reply(200, "hi"))?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn max_total_streams(mut self, n: usize) -> Self {
        self.settings.max_total_streams = n;
        self
    }

    /// Sets how many bytes a second a client has to send of a body that a handler waits for, and has to take of an answer that
    /// waits for it (default 240; zero is any).
    ///
    /// Of a body the time counts in which the handler waits for it, behind the first 5 s: a body that comes more slowly fails with
    /// [`ErrorKind::TimedOut`](crate::ErrorKind::TimedOut), and the client gets 408 unless the handler answers otherwise. An answer is measured over the time
    /// of [`write`](crate::ServerTimeouts::write) each time; where a client takes too little its stream is reset on HTTP/2, else its connection
    /// closed.
    ///
    /// # Examples
    ///
    /// ```
    /// use bowline::{Exchange, Server};
    ///
    /// # fn main() -> bowline::Result<()> {
    /// let server = Server::bind("127.0.0.1:0")?.min_rate(1024).spawn(|exchange: Exchange| exchange.reply(200, "hi"))?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn min_rate(mut self, bytes: u64) -> Self {
        self.settings.min_rate = bytes;
        self
    }
}
