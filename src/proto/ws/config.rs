//! Limits and options of a connection.

use super::extension::Params;
use std::{fmt, time::Duration};

/// The largest message received: 16 MiB.
///
/// Chromium and Firefox have no limit, Node's ws allows 100 MiB, tungstenite 64 MiB, Python's websockets 1 MiB.
const MAX_MESSAGE: u64 = 16 * 1024 * 1024;

/// How long the answer to a PING may take: 10 s, as in most heartbeats (Python's websockets: 20 s).
const PONG_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the answer to a Close may take: 3 s. Browsers wait a few seconds, Node's ws 30 s, Python's websockets 10 s.
const CLOSE_WAIT: Duration = Duration::from_secs(3);

/// Limits and options of a connection.
///
/// # Examples
///
/// ```
/// # #[cfg(feature = "unstable-proto")] {
/// use bowline::proto::ws::Config;
/// use std::time::Duration;
///
/// let config = Config::new(0x5eed).max_message(64 * 1024).ping_interval(Duration::from_secs(30));
/// # }
/// ```
#[derive(Clone)]
pub struct Config {
    pub(super) seed: u64,
    pub(super) max_message: u64,
    pub(super) fragment_at: Option<usize>,
    pub(super) ping_interval: Option<Duration>,
    pub(super) pong_timeout: Duration,
    pub(super) frame_stall: Option<Duration>,
    pub(super) close_wait: Duration,
    pub(super) deflate: Option<Deflate>,
}

impl Config {
    /// Returns the defaults, with the source of masking keys and of PING payloads.
    ///
    /// Whoever chooses the payload of a message must not be able to predict the key (RFC 6455, section 10.3), so the
    /// seed has to come from a source of randomness and to be another one for each connection.
    pub fn new(seed: u64) -> Self {
        Config {
            seed,
            max_message: MAX_MESSAGE,
            fragment_at: None,
            ping_interval: None,
            pong_timeout: PONG_TIMEOUT,
            frame_stall: None,
            close_wait: CLOSE_WAIT,
            deflate: None,
        }
    }

    /// Sets another seed.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Sets the most bytes of a message received, inflated: 16 MiB. A header that announces more is answered with 1009.
    pub fn max_message(mut self, bytes: u64) -> Self {
        self.max_message = bytes;
        self
    }

    /// Sends longer messages in fragments of this size, at least one byte; by default each message is one frame.
    pub fn fragment_at(mut self, bytes: usize) -> Self {
        self.fragment_at = Some(bytes.max(1));
        self
    }

    /// Sends a PING when nothing came for so long; by default never.
    pub fn ping_interval(mut self, interval: Duration) -> Self {
        self.ping_interval = Some(interval);
        self
    }

    /// Sets how long the peer may be silent after such a PING: 10 s. Any byte counts as life.
    pub fn pong_timeout(mut self, timeout: Duration) -> Self {
        self.pong_timeout = timeout;
        self
    }

    /// Sets for how long a frame that began may stop; by default for ever.
    pub fn frame_stall(mut self, timeout: Duration) -> Self {
        self.frame_stall = Some(timeout);
        self
    }

    /// Sets how long the answer to our Close may take: 3 s.
    pub fn close_wait(mut self, timeout: Duration) -> Self {
        self.close_wait = timeout;
        self
    }

    /// Offers permessage-deflate as a client, agrees to it as a server (RFC 7692).
    #[cfg(feature = "deflate")]
    pub fn deflate(mut self, deflate: Deflate) -> Self {
        self.deflate = Some(deflate);
        self
    }
}

/// The seed is a secret.
impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("max_message", &self.max_message)
            .field("fragment_at", &self.fragment_at)
            .field("ping_interval", &self.ping_interval)
            .field("pong_timeout", &self.pong_timeout)
            .field("frame_stall", &self.frame_stall)
            .field("close_wait", &self.close_wait)
            .field("deflate", &self.deflate)
            .finish_non_exhaustive()
    }
}

/// How messages are compressed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Deflate {
    pub(super) min: usize,
    pub(super) wanted: Params,
}

impl Deflate {
    /// Returns the settings that compress messages from `min` bytes.
    ///
    /// Below some dozen bytes compression gains nothing and costs some microseconds.
    pub fn from_bytes(min: usize) -> Self {
        Deflate { min, wanted: Params::default() }
    }

    /// Asks for these parameters instead of the defaults, which are the largest window and its context kept.
    ///
    /// What concerns our own messages is kept to; what concerns the peer's is asked for as far as the handshake allows.
    pub fn params(mut self, wanted: Params) -> Self {
        self.wanted = wanted;
        self
    }
}
