//! What a server was told.

use super::journal::Hook;
#[cfg(feature = "tls")]
use crate::net::TlsServer;
use crate::{
    drive::{Cancel, Pace},
    time::Timeouts,
    ws,
};
use http::Version;
use std::time::Duration;

/// Time limits of a server's connections.
///
/// | limit | default | why |
/// |---|---|---|
/// | [`handshake`](Self::handshake) | 10 s | three round trips of the slowest link, with a lost packet |
/// | [`header`](Self::header) | 15 s | a head is one packet or a few; who drips it wants to hold the connection |
/// | [`idle`](Self::idle) | 60 s | longer than the pauses of a user, and than most clients keep a connection |
/// | [`read`](Self::read) | 30 s | between two pieces of a body, while a handler waits for it |
/// | [`write`](Self::write) | 30 s | a client that takes no byte for so long is gone |
///
/// None of them counts the time a handler takes. They are looked at in steps of a quarter of the shortest, at most a second.
///
/// [`Timeouts`], which requests have, can be given instead: `connect` is the limit of the handshake, `first_byte` that of the head and
/// of the wait for a request, `read` and `write` are what they are here. What is as [`Timeouts::default`] has it is the default above;
/// what is taken away, as by [`Timeouts::none`], is no limit.
///
/// # Examples
///
/// ```
/// use bowline::{Server, ServerTimeouts};
/// use std::time::Duration;
///
/// # fn main() -> bowline::Result<()> {
/// let server = Server::bind("127.0.0.1:0")?.timeouts(ServerTimeouts::default().idle(Duration::from_secs(5)));
/// # let _ = server;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerTimeouts {
    pub(super) handshake: Duration,
    pub(super) header: Duration,
    pub(super) idle: Duration,
    pub(super) read: Duration,
    pub(super) write: Duration,
}

impl Default for ServerTimeouts {
    fn default() -> Self {
        ServerTimeouts {
            handshake: Duration::from_secs(10),
            header: Duration::from_secs(15),
            idle: Duration::from_secs(60),
            read: Duration::from_secs(30),
            write: Duration::from_secs(30),
        }
    }
}

/// What stands for no limit: far away, and yet it can be added to any point in time.
const FOREVER: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

impl From<Timeouts> for ServerTimeouts {
    fn from(timeouts: Timeouts) -> Self {
        let usual = Timeouts::default();
        let limit = |of: fn(&Timeouts) -> Option<Duration>, default: Duration| match of(&timeouts) {
            same if same == of(&usual) => default,
            other => other.unwrap_or(FOREVER),
        };
        let default = ServerTimeouts::default();
        ServerTimeouts::default()
            .handshake(limit(Timeouts::connect_limit, default.handshake))
            .header(limit(Timeouts::first_byte_limit, default.header))
            .idle(limit(Timeouts::first_byte_limit, default.idle))
            .read(limit(Timeouts::read_limit, default.read))
            .write(limit(Timeouts::write_limit, default.write))
    }
}

impl ServerTimeouts {
    /// Limits the TLS handshake, from the beginning of the connection (default 10 s). One that takes longer ends without a word: there is
    /// nobody yet to whom an alert would say anything.
    ///
    /// # Examples
    ///
    /// ```
    /// use bowline::ServerTimeouts;
    /// use std::time::Duration;
    ///
    /// let timeouts = ServerTimeouts::default().handshake(Duration::from_secs(5));
    /// ```
    #[must_use]
    pub fn handshake(mut self, d: Duration) -> Self {
        self.handshake = d.min(FOREVER);
        self
    }

    /// Limits a request's head, from its first byte to its last, however steadily it comes (default 15 s). HTTP/1 has 408 and the end of
    /// the connection, HTTP/2 GOAWAY with NO_ERROR and the end of the connection, which a head that has begun has for itself.
    ///
    /// # Examples
    ///
    /// ```
    /// use bowline::ServerTimeouts;
    /// use std::time::Duration;
    ///
    /// let timeouts = ServerTimeouts::default().header(Duration::from_secs(5));
    /// ```
    #[must_use]
    pub fn header(mut self, d: Duration) -> Self {
        self.header = d.min(FOREVER);
        self
    }

    /// Limits how long a connection may be without a request (default 60 s): from its beginning, or behind the handshake, to the first
    /// byte, and from the end of an answer on. HTTP/1 is closed without a word, as at any time between two requests; HTTP/2 has GOAWAY
    /// with NO_ERROR. WebSockets and tunnels have limits of their own.
    ///
    /// # Examples
    ///
    /// ```
    /// use bowline::ServerTimeouts;
    /// use std::time::Duration;
    ///
    /// let timeouts = ServerTimeouts::default().idle(Duration::from_secs(20));
    /// ```
    #[must_use]
    pub fn idle(mut self, d: Duration) -> Self {
        self.idle = d.min(FOREVER);
        self
    }

    /// Limits the silence while a handler waits for a request's body (default 30 s). Reading fails with
    /// [`ErrorKind::TimedOut`](crate::ErrorKind::TimedOut), and the client gets 408 unless the handler answers otherwise.
    ///
    /// # Examples
    ///
    /// ```
    /// use bowline::ServerTimeouts;
    /// use std::time::Duration;
    ///
    /// let timeouts = ServerTimeouts::default().read(Duration::from_secs(10));
    /// ```
    #[must_use]
    pub fn read(mut self, d: Duration) -> Self {
        self.read = d.min(FOREVER);
        self
    }

    /// Limits how long a client may take nothing of what it was answered (default 30 s): its connection is closed then, or its stream
    /// reset with INTERNAL_ERROR where it is the window of HTTP/2 that does not open. Over the same time it also has to take
    /// [`min_rate`](crate::Server::min_rate) bytes a second.
    ///
    /// # Examples
    ///
    /// ```
    /// use bowline::ServerTimeouts;
    /// use std::time::Duration;
    ///
    /// let timeouts = ServerTimeouts::default().write(Duration::from_secs(10));
    /// ```
    #[must_use]
    pub fn write(mut self, d: Duration) -> Self {
        self.write = d.min(FOREVER);
        self
    }

    /// Returns how often limits are looked at.
    pub(super) fn tick(&self) -> Duration {
        let shortest = [self.handshake, self.header, self.idle, self.read, self.write].into_iter().min();
        (shortest.unwrap_or_default() / 4).clamp(Duration::from_millis(5), Duration::from_secs(1))
    }
}

/// Everything a server was told.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) timeouts: ServerTimeouts,
    pub(super) max_connections: usize,
    pub(super) max_per_peer: usize,
    pub(super) max_body: u64,
    pub(super) max_header_bytes: usize,
    pub(super) max_streams: u32,
    pub(super) max_total_streams: usize,
    pub(super) min_rate: u64,
    pub(super) workers: usize,
    pub(super) queue: usize,
    pub(super) grace: Duration,
    pub(super) cancels: Vec<Cancel>,
    pub(super) websocket: ws::Config,
    /// What is called for every exchange that is over.
    pub(super) hook: Option<Hook>,
    /// The one version that is served.
    pub(super) only: Option<Version>,
    #[cfg(feature = "tls")]
    pub(super) tls: Option<TlsServer>,
}

impl Default for Settings {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Settings {
            timeouts: ServerTimeouts::default(),
            max_connections: 1024,
            max_per_peer: usize::MAX,
            max_body: 8 * 1024 * 1024,
            max_header_bytes: 16 * 1024,
            max_streams: 128,
            max_total_streams: 24_576,
            min_rate: 240,
            workers: (4 * cores).max(16),
            // As many as there can be on HTTP/2, but for one on each connection.
            queue: 8192,
            grace: Duration::from_secs(5),
            cancels: Vec::new(),
            websocket: ws::Config::default(),
            hook: None,
            only: None,
            #[cfg(feature = "tls")]
            tls: None,
        }
    }
}

impl Settings {
    /// Returns how fast a client has to take an answer.
    pub(super) fn pace(&self) -> Pace {
        Pace::new(self.min_rate, self.timeouts.write)
    }

    /// Returns whether clients speak TLS.
    pub(super) fn is_tls(&self) -> bool {
        #[cfg(feature = "tls")]
        return self.tls.is_some();
        #[cfg(not(feature = "tls"))]
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limits_of_requests_stand_for_those_of_connections() {
        let s = Duration::from_secs;
        let limits = |t: ServerTimeouts| [t.handshake, t.header, t.idle, t.read, t.write];
        let usual = limits(ServerTimeouts::default());
        assert_eq!(limits(Timeouts::default().into()), usual);
        assert_eq!(limits(Timeouts::none().into()), [FOREVER; 5]);
        for (given, expected) in [
            (Timeouts::default().connect(s(1)), [s(1), usual[1], usual[2], usual[3], usual[4]]),
            (Timeouts::default().first_byte(s(2)), [usual[0], s(2), s(2), usual[3], usual[4]]),
            (Timeouts::default().read(s(3)), [usual[0], usual[1], usual[2], s(3), usual[4]]),
            (Timeouts::default().write(s(4)), [usual[0], usual[1], usual[2], usual[3], s(4)]),
            (Timeouts::default().total(s(5)).slot(s(5)).resolve(s(5)), usual),
        ] {
            assert_eq!(limits(given.clone().into()), expected, "{given:?}");
        }
    }

    #[test]
    fn a_limit_too_long_for_the_clock_is_for_ever() {
        let max = Duration::MAX;
        let longest = ServerTimeouts::default().handshake(max).header(max).idle(max).read(max).write(max);
        assert_eq!(longest, ServerTimeouts::from(Timeouts::none()));
        assert!(std::time::Instant::now().checked_add(longest.write).is_some());
    }
}
