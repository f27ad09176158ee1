//! The TLS settings of a server.

use super::{
    Session,
    config::{chain, private_key},
    default_provider, wrong,
};
use crate::error::Result;
use rustls::{
    Connection, ServerConfig, ServerConnection,
    client::verify_server_name,
    pki_types::ServerName,
    server::{ClientHello, ParsedCertificate, ResolvesServerCert},
    sign::CertifiedKey,
};
use std::sync::Arc;

#[cfg(feature = "rustls-api")]
pub use rustls::ServerConfig as RustlsServerConfig;

/// What begins the sessions of one server.
#[derive(Clone, Debug)]
pub(crate) struct TlsServer {
    config: Arc<ServerConfig>,
    /// The certificates of ours, the first of which is for everybody.
    identities: Vec<Arc<CertifiedKey>>,
}

/// Shows every client the certificate of the name it asks for.
#[derive(Debug)]
struct ByName {
    identities: Vec<Arc<CertifiedKey>>,
}

impl ResolvesServerCert for ByName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let asked = hello.server_name().and_then(|name| ServerName::try_from(name).ok());
        let understood = |one: &&Arc<CertifiedKey>| one.key.choose_scheme(hello.signature_schemes()).is_some();
        let named = |one: &&Arc<CertifiedKey>| asked.as_ref().is_some_and(|name| is_for(one, name));
        let all = || self.identities.iter();
        let found = all().find(|one| understood(one) && named(one)).or_else(|| all().find(understood));
        // With none the handshake fails as it should.
        found.or(self.identities.first()).cloned()
    }
}

/// Returns whether a certificate has the name.
fn is_for(identity: &CertifiedKey, name: &ServerName<'_>) -> bool {
    let parsed = identity.cert.first().and_then(|cert| ParsedCertificate::try_from(cert).ok());
    parsed.is_some_and(|cert| verify_server_name(&cert, name).is_ok())
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
            .with_cert_resolver(Arc::new(ByName { identities: Vec::new() }));
        config.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
        TlsServer { config: Arc::new(config), identities: Vec::new() }.add_pem(certificates, key)
    }

    /// Adds a certificate for clients that ask for one of its names. A configuration of the caller's gets ours in place of its own.
    ///
    /// # Errors
    ///
    /// As [`from_pem`](Self::from_pem).
    pub(crate) fn add_pem(mut self, certificates: &[u8], key: &[u8]) -> Result<Self> {
        let (certificates, key) = (chain(certificates)?, private_key(key)?);
        let provider = self.config.crypto_provider().clone();
        let identity = CertifiedKey::from_der(certificates, key, &provider)
            .map_err(|e| wrong("the certificate cannot be used", e))?;
        self.identities.push(Arc::new(identity));
        let identities = self.identities.clone();
        Arc::make_mut(&mut self.config).cert_resolver = Arc::new(ByName { identities });
        Ok(self)
    }

    /// Returns a server with the caller's own configuration, its ALPN protocols included.
    #[cfg(any(feature = "rustls-api", test))]
    pub(crate) fn from_config(config: Arc<ServerConfig>) -> Self {
        TlsServer { config, identities: Vec::new() }
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
