//! What is dialled, and what comes of it.

use super::line::{Line, Shake};
use crate::{
    buf::RecvBuf,
    error::{Error, ErrorKind, Result},
    net::{Connect, Resolve, Route, Session, Target, TlsClient, Wire},
    time::Deadline,
};
use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

/// What has to be dialled.
#[derive(Clone)]
pub(crate) struct DialPlan {
    /// Whom to talk to; TLS if the scheme is https.
    pub(crate) target: Target,
    /// What makes the wire.
    pub(crate) via: Via,
    /// Whether a proxy is between. Not looked at with a Unix socket.
    pub(crate) route: Route,
    /// For https targets and https proxies.
    pub(crate) tls: Option<TlsClient>,
    /// The protocols offered to an https target, the best first.
    pub(crate) alpn: &'static [&'static [u8]],
    /// When the addresses have to be known.
    pub(crate) resolve_by: Deadline,
    /// When everything has to be done, the lookup included.
    pub(crate) connect_by: Deadline,
}

/// What makes the wire.
#[derive(Clone)]
pub(crate) enum Via {
    /// The caller's own code, which may block until the deadline.
    Connector(Arc<dyn Connect>),
    /// TCP.
    Network {
        /// The caller's own code, which may block; else the operating system, in a short-lived thread.
        resolver: Option<Arc<dyn Resolve>>,
        /// The address to connect from.
        local: Option<IpAddr>,
    },
    /// A Unix socket, whatever the host.
    Unix(PathBuf),
}

impl DialPlan {
    /// Returns the plan to reach `target` over TCP, without proxy and without an end to the wait.
    pub(crate) fn new(target: Target) -> Self {
        DialPlan {
            target,
            via: Via::Network { resolver: None, local: None },
            route: Route::Direct,
            tls: None,
            alpn: &[],
            resolve_by: Deadline::NEVER,
            connect_by: Deadline::NEVER,
        }
    }

    pub(super) fn is_secure(&self) -> bool {
        self.target.scheme == "https"
    }

    /// Returns whom the wire leads to: the proxy, if there is one.
    pub(super) fn first_hop(&self) -> Target {
        match self.route.proxy() {
            Some(proxy) => Target { scheme: proxy.scheme.as_str().into(), host: proxy.host.clone(), port: proxy.port },
            None => self.target.clone(),
        }
    }

    /// Begins the handshake with `host` on this wire.
    pub(super) fn shake(&self, host: &str, alpn: &[&[u8]], line: Line) -> Result<Shake> {
        let Some(tls) = &self.tls else {
            let text = format!("https to {host} needs the feature `tls`");
            return Err(Error::with(ErrorKind::Unsupported, text));
        };
        Ok(Shake::new(tls.start(host, alpn)?, line))
    }
}

/// A wire that is ready for the first byte of a request.
pub(crate) struct Dialled {
    /// The wire; with an `https://` proxy it is one of TLS.
    pub(crate) wire: Arc<dyn Wire>,
    /// The session with an https target, its handshake over. What it chose of the protocols is [`Session::alpn`].
    pub(crate) tls: Option<Session>,
    /// What the target has said already, decrypted if there is a session.
    pub(crate) leftover: RecvBuf,
    /// The end of our handshake: raw bytes to send before all others, best together with them.
    pub(crate) out: Vec<u8>,
    /// What the lookup found.
    pub(crate) addresses: Vec<SocketAddr>,
    /// Where the time went.
    pub(crate) took: Took,
}

/// How long the stages took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Took {
    /// The lookup.
    pub(crate) resolve: Duration,
    /// From the addresses to a wire that leads to the target, the proxy included.
    pub(crate) connect: Duration,
    /// The handshake with the target.
    pub(crate) tls: Duration,
}
