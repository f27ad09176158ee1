//! Settings of either role.

use crate::{drive::random, proto::ws as engine};
use std::time::Duration;

/// The largest message received: 16 MiB, inflated. Node's ws allows 100 MiB, tungstenite 64 MiB, Python's websockets 1 MiB.
const MAX_MESSAGE: usize = 16 * 1024 * 1024;

/// How long a send may wait for room: long enough for a peer that is busy, short enough to notice one that is gone.
const SEND_TIMEOUT: Duration = Duration::from_secs(30);

/// Settings of either role.
///
/// # Examples
///
/// ```
/// use bowline::ws::Config;
/// use std::time::Duration;
///
/// let config = Config::default().max_message(64 * 1024).heartbeat(Duration::from_secs(20));
/// # let _ = config;
/// ```
#[derive(Clone, Debug)]
pub struct Config {
    pub(super) max_message: usize,
    heartbeat: Option<Duration>,
    pong_timeout: Option<Duration>,
    frame_stall: Option<Duration>,
    pub(super) send_timeout: Duration,
    #[cfg(feature = "deflate")]
    deflate: Option<usize>,
    fragment_at: Option<usize>,
}

impl Default for Config {
    /// Messages of up to 16 MiB, no heartbeat, sends that wait up to 30 s, no compression, no fragments.
    fn default() -> Self {
        Config {
            max_message: MAX_MESSAGE,
            heartbeat: None,
            pong_timeout: None,
            frame_stall: None,
            send_timeout: SEND_TIMEOUT,
            #[cfg(feature = "deflate")]
            deflate: None,
            fragment_at: None,
        }
    }
}

impl Config {
    /// Sets the largest message received, inflated: 16 MiB. What is larger is answered with 1009 before any of it is read.
    ///
    /// # Examples
    ///
    /// ```
    /// let config = bowline::ws::Config::default().max_message(1 << 20);
    /// ```
    pub fn max_message(mut self, bytes: usize) -> Self {
        self.max_message = bytes;
        self
    }

    /// Sends a PING when nothing came for so long; by default never. Whoever waits to receive sends it.
    ///
    /// # Examples
    ///
    /// ```
    /// use bowline::ws::Config;
    /// use std::time::Duration;
    ///
    /// let config = Config::default().heartbeat(Duration::from_secs(20));
    /// ```
    pub fn heartbeat(mut self, every: Duration) -> Self {
        self.heartbeat = Some(every);
        self
    }

    /// Sets how long the peer may be silent after such a PING: 10 s. Any byte counts as life.
    ///
    /// # Examples
    ///
    /// ```
    /// use bowline::ws::Config;
    /// use std::time::Duration;
    ///
    /// let config = Config::default().heartbeat(Duration::from_secs(20)).pong_timeout(Duration::from_secs(5));
    /// ```
    pub fn pong_timeout(mut self, d: Duration) -> Self {
        self.pong_timeout = Some(d);
        self
    }

    /// Ends the connection when a frame that began stops for so long; by default never.
    ///
    /// # Examples
    ///
    /// ```
    /// use bowline::ws::Config;
    /// use std::time::Duration;
    ///
    /// let config = Config::default().frame_stall(Duration::from_secs(30));
    /// ```
    pub fn frame_stall(mut self, d: Duration) -> Self {
        self.frame_stall = Some(d);
        self
    }

    /// Sets how long a send may wait for room: 30 s.
    ///
    /// # Examples
    ///
    /// ```
    /// use bowline::ws::Config;
    /// use std::time::Duration;
    ///
    /// let config = Config::default().send_timeout(Duration::from_secs(5));
    /// ```
    pub fn send_timeout(mut self, d: Duration) -> Self {
        self.send_timeout = d;
        self
    }

    /// Offers permessage-deflate as a client, agrees to it as a server (RFC 7692); messages of less than `min` bytes go out as they
    /// are (feature `deflate`).
    ///
    /// # Examples
    ///
    /// ```
    /// let config = bowline::ws::Config::default().deflate(256);
    /// ```
    #[cfg(feature = "deflate")]
    pub fn deflate(mut self, min: usize) -> Self {
        self.deflate = Some(min);
        self
    }

    /// Sends longer messages in fragments of this size, at least one byte; by default each message is one frame.
    ///
    /// # Examples
    ///
    /// ```
    /// let config = bowline::ws::Config::default().fragment_at(16 * 1024);
    /// ```
    pub fn fragment_at(mut self, bytes: usize) -> Self {
        self.fragment_at = Some(bytes);
        self
    }

    /// What the engine is made with: another seed for each connection.
    pub(crate) fn engine(&self) -> engine::Config {
        let mut config = engine::Config::new(random()).max_message(self.max_message as u64);
        if let Some(every) = self.heartbeat {
            config = config.ping_interval(every);
        }
        if let Some(d) = self.pong_timeout {
            config = config.pong_timeout(d);
        }
        if let Some(d) = self.frame_stall {
            config = config.frame_stall(d);
        }
        if let Some(bytes) = self.fragment_at {
            config = config.fragment_at(bytes);
        }
        #[cfg(feature = "deflate")]
        if let Some(min) = self.deflate {
            config = config.deflate(engine::Deflate::from_bytes(min));
        }
        config
    }
}
