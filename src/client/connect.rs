//! From an origin to a connection: dialling, and which protocol is spoken on what was dialled.

use super::{
    pool::{Key, Lease, Permit},
    settings::{H2Settings, Protocol, Settings},
    url::{Origin, Scheme},
};
use crate::{
    drive::{Carrier, H1, H2, Setup, Shared, next_id, random},
    error::{Error, ErrorKind, Phase, Result},
    net::{Cx, Dial, DialPlan, Dialled, Route, Took, Via, Wire},
    proto::{Role, h1, h2},
    time::Deadline,
};
use http::Version;
use std::{
    net::SocketAddr,
    sync::Arc,
    task::Poll,
    time::{Duration, Instant},
};

/// How long an HTTP/2 connection may take no byte: every stream on it suffers.
const H2_WRITE_STALL: Duration = Duration::from_secs(15);

/// How long an HTTP/1 connection may take no byte: only its own request suffers.
const H1_WRITE_STALL: Duration = Duration::from_secs(60);

/// A connection on its way.
pub(crate) struct Connecting {
    dial: Dial,
    permit: Permit,
    protocol: Protocol,
    origin: Origin,
}

impl std::fmt::Debug for Connecting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connecting").field("origin", &self.origin).field("protocol", &self.protocol).finish_non_exhaustive()
    }
}

/// A connection that was made, and how.
#[derive(Debug)]
pub(crate) struct Connected {
    pub(crate) lease: Lease,
    pub(crate) took: Took,
    pub(crate) addresses: Vec<SocketAddr>,
}

/// Returns how the origin is reached.
pub(crate) fn route(settings: &Settings, origin: &Origin) -> Result<Route> {
    match &settings.network.proxy {
        Some(proxy) if settings.network.unix.is_none() => proxy.route(&origin.target()),
        _ => Ok(Route::Direct),
    }
}

impl Connecting {
    /// Begins to connect.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if the proxy's settings are wrong.
    pub(crate) fn new(
        settings: &Settings,
        key: &Key,
        permit: Permit,
        resolve_by: Deadline,
        connect_by: Deadline,
    ) -> Result<Self> {
        let network = &settings.network;
        let via = match (&network.unix, &network.connector) {
            (Some(path), _) => Via::Unix(path.clone()),
            (None, Some(connector)) => Via::Connector(connector.clone()),
            (None, None) => Via::Network { resolver: network.resolver.clone(), local: network.local },
        };
        let plan = DialPlan {
            via,
            route: route(settings, &key.origin)?,
            tls: network.tls.clone(),
            alpn: alpn(key.protocol),
            resolve_by,
            connect_by,
            ..DialPlan::new(key.origin.target())
        };
        Ok(Connecting { dial: Dial::new(plan), permit, protocol: key.protocol, origin: key.origin.clone() })
    }

    /// Moves it on. Ready once it can serve a request.
    pub(crate) fn poll(&mut self, settings: &Settings, cx: &mut Cx<'_>) -> Poll<Result<(Dialled, Version)>> {
        match self.dial.poll(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Err(e)) => Poll::Ready(Err(self.explain(e))),
            Poll::Ready(Ok(dialled)) => {
                let version = negotiated(self.protocol, self.origin.scheme, &dialled);
                let _ = settings;
                Poll::Ready(version.map(|version| (dialled, version)))
            }
        }
    }

    /// Puts the protocol on what was dialled and lets others share it.
    pub(crate) fn finish(self, settings: &Settings, dialled: Dialled, version: Version, now: Instant) -> Connected {
        let (took, addresses) = (dialled.took, dialled.addresses.clone());
        let origin = self.origin.to_string();
        let conn = carrier(settings, dialled.wire.clone(), Some(dialled), version, origin, now);
        Connected { lease: self.permit.use_for(conn, version), took, addresses }
    }

    /// Alert 120 says that the peer does not speak HTTP/2 (RFC 7301, section 3.2).
    fn explain(&self, e: Error) -> Error {
        let required = matches!(self.protocol, Protocol::Http2 | Protocol::Http2WithoutAlpn);
        if required && crate::net::is_no_alpn(&e) {
            return Error::with(ErrorKind::AlpnMismatch, "the peer refused every protocol but its own: HTTP/2 was required")
                .in_phase(Phase::Tls)
                .with_source(e);
        }
        e
    }
}

/// The protocols offered by ALPN, the best first.
fn alpn(protocol: Protocol) -> &'static [&'static [u8]] {
    match protocol {
        Protocol::Auto => &[b"h2", b"http/1.1"],
        Protocol::Http1 | Protocol::H2cUpgrade => &[b"http/1.1"],
        Protocol::Http2 | Protocol::Http2WithoutAlpn => &[b"h2"],
    }
}

/// Returns what is spoken on a connection that was dialled.
///
/// # Errors
///
/// `AlpnMismatch`: HTTP/2 was required and something else, or nothing, was selected.
fn negotiated(protocol: Protocol, scheme: Scheme, dialled: &Dialled) -> Result<Version> {
    let selected = dialled.tls.as_ref().and_then(|tls| tls.alpn());
    match (protocol, scheme, selected) {
        (Protocol::Http2 | Protocol::Http2WithoutAlpn, Scheme::Http, _) => Ok(Version::HTTP_2),
        (Protocol::Auto | Protocol::Http2 | Protocol::Http2WithoutAlpn, Scheme::Https, Some(b"h2")) => Ok(Version::HTTP_2),
        (Protocol::Http2WithoutAlpn, Scheme::Https, None) => Ok(Version::HTTP_2),
        (Protocol::Http2 | Protocol::Http2WithoutAlpn, Scheme::Https, selected) => {
            let text = match selected {
                Some(other) => format!("ALPN selected `{}` and HTTP/2 was required", other.escape_ascii()),
                None => "the peer selected nothing by ALPN and HTTP/2 was required".to_owned(),
            };
            Err(Error::with(ErrorKind::AlpnMismatch, text).in_phase(Phase::Tls))
        }
        (Protocol::Auto | Protocol::Http1 | Protocol::H2cUpgrade, ..) => Ok(Version::HTTP_11),
    }
}

/// Makes a connection of a wire: what comes in front of the first request is ready to go out with it.
pub(crate) fn carrier(
    settings: &Settings,
    wire: Arc<dyn Wire>,
    dialled: Option<Dialled>,
    version: Version,
    origin: String,
    now: Instant,
) -> Arc<dyn Carrier> {
    let (tls, leftover, out) = match dialled {
        Some(dialled) => (dialled.tls, dialled.leftover, dialled.out),
        None => (None, Default::default(), Vec::new()),
    };
    let write_stall = if version == Version::HTTP_2 { H2_WRITE_STALL } else { H1_WRITE_STALL };
    let mut setup = Setup::new(wire, tls.map(Box::new), out, leftover, origin, next_id(), now);
    setup.write_stall = write_stall;
    if version == Version::HTTP_2 {
        let engine = h2::Connection::new(Role::Client, h2_config(settings), now, setup.out());
        Arc::new(Shared::new(setup, H2::new(engine, Role::Client)))
    } else {
        let engine = h1::Connection::new(Role::Client, h1_config(settings), now, setup.out());
        Arc::new(Shared::new(setup, H1::new(engine, Role::Client)))
    }
}

pub(crate) fn h1_config(settings: &Settings) -> h1::Config {
    h1::Config::client().max_head_bytes(settings.max_header_bytes)
}

pub(crate) fn h2_config(settings: &Settings) -> h2::Config {
    let H2Settings { ping_ack_timeout, probe_after_idle, stream_window, connection_window, .. } = settings.h2;
    h2::Config::client()
        .seed(random())
        .max_header_list(u32::try_from(settings.max_header_bytes).unwrap_or(u32::MAX))
        .stream_window(stream_window)
        .connection_window(connection_window)
        .ping_ack_timeout(ping_ack_timeout)
        .probe_after_idle(Some(probe_after_idle))
}
