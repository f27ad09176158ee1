//! The TLS settings of a server.

use super::{
    Session,
    config::{chain, private_key},
    default_provider, wrong,
};
use crate::error::Result;
use rustls::{Connection, ServerConfig, ServerConnection};
use std::sync::Arc;

#[cfg(feature = "rustls-api")]
pub use rustls::ServerConfig as RustlsServerConfig;

/// What begins the sessions of one server.
#[derive(Clone, Debug)]
pub(crate) struct TlsServer {
    config: Arc<ServerConfig>,
}

impl TlsServer {
    /// Returns a server that shows this certificate, the chain with its own first, and offers these protocols, the best first.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if the PEM cannot be read, or the key is of another certificate.
    pub(crate) fn from_pem(certificates: &[u8], key: &[u8], alpn: &[&[u8]]) -> Result<Self> {
        let mut config = ServerConfig::builder_with_provider(default_provider())
            .with_safe_default_protocol_versions()
            .map_err(|e| wrong("the TLS cryptography cannot be used", e))?
            .with_no_client_auth()
            .with_single_cert(chain(certificates)?, private_key(key)?)
            .map_err(|e| wrong("the certificate cannot be used", e))?;
        config.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
        Ok(TlsServer { config: Arc::new(config) })
    }

    /// Returns a server with the caller's own configuration, its ALPN protocols included.
    #[cfg(any(feature = "rustls-api", test))]
    pub(crate) fn from_config(config: Arc<ServerConfig>) -> Self {
        TlsServer { config }
    }

    /// Offers no other protocol than this one.
    pub(crate) fn only(mut self, protocol: &[u8]) -> Self {
        Arc::make_mut(&mut self.config).alpn_protocols.retain(|offered| offered == protocol);
        self
    }

    /// Begins a session with a client that has just connected.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if the configuration cannot be used at all.
    pub(crate) fn start(&self) -> Result<Session> {
        let inner =
            ServerConnection::new(self.config.clone()).map_err(|e| wrong("TLS cannot begin with these settings", e))?;
        Ok(Session::new(Connection::Server(inner)))
    }
}
