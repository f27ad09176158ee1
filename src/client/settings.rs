//! What a client was told, and what one request was told otherwise.

use super::{hook::Hook, redirect::Redirects, retry::Retry, url::Base};
use crate::{
    drive::{Cancel, Interrupt},
    net::{Connect, Proxy, Resolve, TlsClient},
    time::Timeouts,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use std::{fmt, net::IpAddr, path::PathBuf, sync::Arc, time::Duration};

/// Which HTTP version to speak.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// ALPN decides over TLS; HTTP/1.1 in the clear.
    #[default]
    Auto,
    /// HTTP/1.1 only.
    Http1,
    /// HTTP/2 only: ALPN offers exactly `h2`; prior knowledge in the clear (RFC 9113, section 3.3).
    Http2,
    /// As `Http2`, and goes on where the TLS peer has no ALPN.
    Http2WithoutAlpn,
    /// HTTP/2 by `Upgrade: h2c`, else HTTP/1.1 (cleartext only; RFC 7540, section 3.2).
    H2cUpgrade,
}

/// Everything a client was told.
#[derive(Clone)]
pub(crate) struct Settings {
    // requests
    pub(crate) base: Option<Base>,
    pub(crate) default_headers: HeaderMap,
    pub(crate) user_agent: Option<HeaderValue>,
    pub(crate) timeouts: Timeouts,
    pub(crate) protocol: Protocol,
    pub(crate) redirects: Redirects,
    pub(crate) retry: Retry,
    /// The bounds of the pause before a request is repeated that a peer in trouble refused.
    pub(crate) refused_pause: (Duration, Duration),
    pub(crate) cancels: Vec<Cancel>,
    pub(crate) interrupt: Option<Interrupt>,
    pub(crate) hooks: Vec<Arc<dyn Hook>>,
    pub(crate) decompress: bool,
    pub(crate) preserve_case: bool,
    pub(crate) max_header_bytes: usize,
    // connections
    pub(crate) limits: PoolLimits,
    pub(crate) h2: H2Settings,
    /// What `upkeep` asks for on idle HTTP/1 connections.
    pub(crate) upkeep_request: Option<(Method, String)>,
    pub(crate) network: Network,
}

impl Settings {
    /// Adds to the headers of a request those that it does not have itself.
    pub(crate) fn complete(
        &self,
        mut headers: HeaderMap,
        content_type: Option<HeaderValue>,
        authorization: Option<HeaderValue>,
    ) -> HeaderMap {
        for name in self.default_headers.keys() {
            if !headers.contains_key(name) {
                for value in self.default_headers.get_all(name) {
                    headers.append(name.clone(), value.clone());
                }
            }
        }
        let mut absent = |name: HeaderName, value: Option<HeaderValue>| {
            if let Some(value) = value {
                headers.entry(name).or_insert(value);
            }
        };
        absent(header::CONTENT_TYPE, content_type);
        absent(header::AUTHORIZATION, authorization);
        absent(header::USER_AGENT, self.user_agent.clone());
        absent(header::ACCEPT, Some(HeaderValue::from_static("*/*")));
        let codings = cfg!(feature = "gzip") && self.decompress;
        // A range of a coded body could not be decoded.
        if codings && !headers.contains_key(header::RANGE) {
            headers.entry(header::ACCEPT_ENCODING).or_insert(HeaderValue::from_static("gzip, deflate"));
        }
        headers
    }
}

/// What bounds the pool.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PoolLimits {
    pub(crate) max_idle: usize,
    pub(crate) max_idle_per_origin: usize,
    pub(crate) idle_timeout: Duration,
    pub(crate) max_lifetime: Duration,
    pub(crate) max_per_origin: Option<usize>,
    pub(crate) more_when_full: bool,
    /// How much of a body nobody wants is read to keep an HTTP/1 connection.
    pub(crate) drain: usize,
}

impl PoolLimits {
    /// Whether every connection is closed after its use.
    pub(crate) fn keeps_none(&self) -> bool {
        self.max_idle == 0 || self.max_idle_per_origin == 0
    }
}

impl Default for PoolLimits {
    fn default() -> Self {
        PoolLimits {
            max_idle: 100,
            max_idle_per_origin: 10,
            idle_timeout: Duration::from_secs(60),
            max_lifetime: Duration::from_secs(24 * 3600),
            max_per_origin: None,
            more_when_full: false,
            drain: 64 * 1024,
        }
    }
}

/// What HTTP/2 connections are made with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct H2Settings {
    pub(crate) upkeep_interval: Duration,
    pub(crate) read_idle_ping: Duration,
    pub(crate) ping_ack_timeout: Duration,
    pub(crate) probe_after_idle: Duration,
    pub(crate) probe_timeout: Duration,
    pub(crate) max_unasked_pings: u8,
    pub(crate) keep_idle: Duration,
    pub(crate) write_stall: Duration,
    pub(crate) http1_write_stall: Duration,
    pub(crate) streams_before_settings: u32,
    pub(crate) max_unread: usize,
    pub(crate) stream_window: u32,
    pub(crate) connection_window: u32,
}

impl Default for H2Settings {
    fn default() -> Self {
        H2Settings {
            upkeep_interval: Duration::from_secs(60),
            read_idle_ping: Duration::from_secs(30),
            ping_ack_timeout: Duration::from_secs(15),
            probe_after_idle: Duration::from_secs(10),
            probe_timeout: Duration::from_secs(5),
            max_unasked_pings: 2,
            keep_idle: Duration::from_secs(3600),
            write_stall: Duration::from_secs(15),
            http1_write_stall: Duration::from_secs(60),
            streams_before_settings: 100,
            max_unread: 32 * 1024 * 1024,
            stream_window: 1024 * 1024,
            connection_window: 16 * 1024 * 1024,
        }
    }
}

/// How connections are made. Two clients of one pool share connections only if theirs is the same.
#[derive(Clone)]
pub(crate) struct Network {
    /// Unique to this configuration.
    pub(crate) id: u64,
    pub(crate) tls: Option<TlsClient>,
    pub(crate) proxy: Option<Proxy>,
    pub(crate) resolver: Option<Arc<dyn Resolve>>,
    pub(crate) connector: Option<Arc<dyn Connect>>,
    pub(crate) unix: Option<PathBuf>,
    pub(crate) local: Option<IpAddr>,
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Network").field("id", &self.id).field("proxy", &self.proxy).finish_non_exhaustive()
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("timeouts", &self.timeouts)
            .field("protocol", &self.protocol)
            .field("redirects", &self.redirects)
            .field("retry", &self.retry)
            .field("hooks", &self.hooks.len())
            .field("limits", &self.limits)
            .field("h2", &self.h2)
            .field("network", &self.network)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What nobody has said otherwise; these numbers are in the documentation of the builder.
    #[test]
    fn the_defaults() {
        let limits = PoolLimits::default();
        assert_eq!((limits.max_idle, limits.max_idle_per_origin, limits.drain), (100, 10, 64 * 1024));
        assert_eq!((limits.max_per_origin, limits.more_when_full), (None, false));
        let h2 = H2Settings::default();
        assert_eq!((h2.max_unasked_pings, h2.streams_before_settings), (2, 100));
        for (name, default, seconds) in [
            ("idle_timeout", limits.idle_timeout, 60),
            ("max_lifetime", limits.max_lifetime, 24 * 3600),
            ("upkeep_interval", h2.upkeep_interval, 60),
            ("read_idle_ping", h2.read_idle_ping, 30),
            ("ping_ack_timeout", h2.ping_ack_timeout, 15),
            ("probe_after_idle", h2.probe_after_idle, 10),
            ("probe_timeout", h2.probe_timeout, 5),
            ("keep_idle", h2.keep_idle, 3600),
            ("write_stall", h2.write_stall, 15),
            ("http1_write_stall", h2.http1_write_stall, 60),
        ] {
            assert_eq!(default, Duration::from_secs(seconds), "{name}");
        }
    }
}
