//! From an origin to a connection: dialling, and which protocol is spoken on what was dialled.

use super::{
    pool::{Key, Lease, Permit},
    settings::{H2Settings, Protocol, Settings},
    url::{Origin, Scheme},
};
use crate::{
    drive::{Carrier, H1, H2, Record, Setup, Shared, random},
    error::{Error, ErrorKind, Phase, Result},
    net::{Cx, Dial, DialPlan, Dialled, NoAlpn, Route, Took, Via, Wire},
    proto::{Role, h1, h2},
    time::Deadline,
};
use http::Version;
use std::{net::SocketAddr, sync::Arc, task::Poll, time::Instant};

/// A wire on its way to an origin.
pub(crate) struct Dialling {
    dial: Dial,
    protocol: Protocol,
    origin: Origin,
}

/// A connection for the pool on its way.
#[derive(Debug)]
pub(crate) struct Connecting {
    dialling: Dialling,
    permit: Permit,
}

impl std::fmt::Debug for Dialling {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dialling")
            .field("origin", &self.origin)
            .field("protocol", &self.protocol)
            .finish_non_exhaustive()
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

impl Dialling {
    /// Begins to connect.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if the proxy's settings are wrong.
    pub(crate) fn new(
        settings: &Settings,
        origin: &Origin,
        protocol: Protocol,
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
            route: route(settings, origin)?,
            tls: network.tls.clone(),
            alpn: alpn(protocol),
            resolve_by,
            connect_by,
            ..DialPlan::new(origin.target())
        };
        Ok(Dialling { dial: Dial::new(plan), protocol, origin: origin.clone() })
    }

    /// Moves it on. Ready once it can serve a request, in this version.
    pub(crate) fn poll(&mut self, cx: &mut Cx<'_>) -> Poll<Result<(Dialled, Version)>> {
        match self.dial.poll(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Err(e)) => Poll::Ready(Err(self.explain(e))),
            Poll::Ready(Ok(dialled)) => {
                let version = negotiated(self.protocol, self.origin.scheme, &dialled);
                Poll::Ready(version.map(|version| (dialled, version)))
            }
        }
    }

    /// Alert 120 says that the peer does not speak HTTP/2 (RFC 7301, section 3.2).
    fn explain(&self, e: Error) -> Error {
        let required = matches!(self.protocol, Protocol::Http2 | Protocol::Http2WithoutAlpn);
        if required && e.attached::<NoAlpn>().is_some() {
            return Error::with(ErrorKind::AlpnMismatch, "the peer refused ALPN `h2` and HTTP/2 was required")
                .in_phase(Phase::Tls)
                .with_source(e);
        }
        e
    }
}

impl Connecting {
    /// Begins to connect for a pool.
    ///
    /// # Errors
    ///
    /// As [`Dialling::new`].
    pub(crate) fn new(
        settings: &Settings,
        key: &Key,
        permit: Permit,
        resolve_by: Deadline,
        connect_by: Deadline,
    ) -> Result<Self> {
        let dialling = Dialling::new(settings, &key.origin, key.protocol, resolve_by, connect_by)?;
        Ok(Connecting { dialling, permit })
    }

    /// Moves it on.
    pub(crate) fn poll(&mut self, cx: &mut Cx<'_>) -> Poll<Result<(Dialled, Version)>> {
        self.permit.go_on();
        self.dialling.poll(cx)
    }

    /// Moves it on for somebody who waits for its place: for others it still rests.
    pub(crate) fn poll_unattended(&mut self, cx: &mut Cx<'_>) -> Poll<Result<(Dialled, Version)>> {
        self.dialling.poll(cx)
    }

    /// Nobody moves it on, for now.
    pub(crate) fn rest(&mut self) {
        self.permit.rest();
    }

    /// What is going on.
    pub(crate) fn phase(&self) -> Phase {
        self.dialling.dial.phase()
    }

    /// Puts the protocol on what was dialled and lets others share it.
    pub(crate) fn finish(self, settings: &Settings, dialled: Dialled, version: Version) -> Connected {
        let (took, addresses) = (dialled.took, dialled.addresses.clone());
        let origin = self.dialling.origin.to_string();
        let (id, record) = (self.permit.connection_id(), self.permit.record());
        let conn = carrier(settings, record, id, dialled.wire.clone(), Some(dialled), version, origin);
        Connected { lease: self.permit.use_for(conn, version), took, addresses }
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
        (Protocol::Auto | Protocol::Http2 | Protocol::Http2WithoutAlpn, Scheme::Https, Some(b"h2")) => {
            Ok(Version::HTTP_2)
        }
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
    record: &Arc<Record>,
    id: u64,
    wire: Arc<dyn Wire>,
    dialled: Option<Dialled>,
    version: Version,
    origin: String,
) -> Arc<dyn Carrier> {
    let now = Instant::now();
    let (tls, leftover, out) = match dialled {
        Some(dialled) => (dialled.tls, dialled.leftover, dialled.out),
        None => (None, Default::default(), Vec::new()),
    };
    let mut setup = Setup::new(wire, tls.map(Box::new), out, leftover, origin, id, now);
    prepare(&mut setup, settings, record, version);
    if version == Version::HTTP_2 {
        let engine = h2::Connection::new(Role::Client, h2_config(settings), now, setup.out());
        Arc::new(Shared::new(setup, H2::new(engine, Role::Client)))
    } else {
        let engine = h1::Connection::new(Role::Client, h1_config(settings), now, setup.out());
        Arc::new(Shared::new(setup, H1::new(engine, Role::Client)))
    }
}

/// What every connection of a client is told.
pub(super) fn prepare(setup: &mut Setup, settings: &Settings, record: &Arc<Record>, version: Version) {
    setup.write_stall =
        if version == Version::HTTP_2 { settings.h2.write_stall } else { settings.h2.http1_write_stall };
    (setup.keep_idle, setup.drain) = (settings.h2.keep_idle, settings.limits.drain);
    setup.record = Some(record.clone());
    if version == Version::HTTP_2 {
        // One of HTTP/1 that is in use is not kept meanwhile.
        setup.owner = record.owner();
    }
}

/// What the HTTP/1 engine is made with.
fn h1_config(settings: &Settings) -> h1::Config {
    h1::Config::default().head_bytes(settings.max_header_bytes)
}

/// What the HTTP/2 engine is made with.
pub(super) fn h2_config(settings: &Settings) -> h2::Config {
    let H2Settings { read_idle_ping, ping_ack_timeout, probe_after_idle, stream_window, connection_window, .. } =
        settings.h2;
    let h2 = &settings.h2;
    let mut config = h2::Config::new(Role::Client);
    config.seed = random();
    config.header_list = u32::try_from(settings.max_header_bytes).unwrap_or(u32::MAX);
    (config.stream_window, config.connection_window) = (stream_window, connection_window);
    (config.ping_ack_timeout, config.probe_after_idle) = (ping_ack_timeout, Some(probe_after_idle));
    config.probe_timeout = h2.probe_timeout.min(ping_ack_timeout);
    config.max_unasked_pings = h2.max_unasked_pings;
    (config.streams_before_settings, config.unread_limit) = (h2.streams_before_settings, h2.max_unread);
    config.read_idle_ping = Some(read_idle_ping);
    config
}
