//! The TLS settings of a client, and what is made of them once.

use super::{Session, default_provider, wrong};
use crate::error::{Error, Result};
use rustls::{
    ClientConfig, ClientConnection, Connection, DigitallySignedStruct, KeyLogFile, RootCertStore, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject},
};
use std::{fmt, sync::Arc};

/// TLS settings of a client (feature `tls`). The default trusts webpki-roots, speaks TLS 1.2 and 1.3, and uses ring.
///
/// Nothing is checked here: what is wrong, such as PEM without a certificate in it, is an error of the client's `build`.
/// Revocation lists are not looked at. A client resumes sessions, whatever protocol they were for.
///
/// # Examples
///
/// ```
/// use bowline::net::Tls;
///
/// let company_root = b"-----BEGIN CERTIFICATE-----\n...";
/// let tls = Tls::new().add_root_pem(company_root).only_added_roots();
/// ```
#[derive(Clone, Default)]
pub struct Tls {
    trust: Trust,
    roots: Vec<Vec<u8>>,
    identity: Option<Identity>,
    key_log: Option<KeyLog>,
    provider: Option<Arc<CryptoProvider>>,
    config: Option<Arc<ClientConfig>>,
}

/// Whose certificates are accepted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Trust {
    /// Only what was added.
    Added,
    /// Everybody's.
    Anyone,
    /// webpki-roots and what was added.
    #[default]
    Public,
}

/// Keys are logged.
#[derive(Clone, Copy, Debug)]
struct KeyLog;

/// A certificate chain of ours with its key, as PEM.
#[derive(Clone)]
struct Identity {
    chain: Vec<u8>,
    key: Vec<u8>,
}

impl Tls {
    /// Returns the defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Trusts these certificates as well; one or more as PEM.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use bowline::{Client, Tls};
    ///
    /// # fn main() -> bowline::Result<()> {
    /// let client = Client::builder().tls(Tls::new().add_root_pem(&std::fs::read("company.pem")?)).build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn add_root_pem(mut self, pem: &[u8]) -> Self {
        self.roots.push(pem.to_vec());
        self
    }

    /// Trusts only what was added.
    ///
    /// Of this and [`dangerously_trust_anyone`](Self::dangerously_trust_anyone) the last call counts.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use bowline::{Client, Tls};
    ///
    /// # fn main() -> bowline::Result<()> {
    /// let client = Client::builder().tls(Tls::new().only_added_roots().add_root_pem(&std::fs::read("company.pem")?)).build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn only_added_roots(mut self) -> Self {
        self.trust = Trust::Added;
        self
    }

    /// Shows a certificate of ours to servers that ask for one: the chain, our own first, and its key, as PEM.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use bowline::{Client, Tls};
    ///
    /// # fn main() -> bowline::Result<()> {
    /// let client = Client::builder().tls(Tls::new().client_identity_pem(&std::fs::read("me.pem")?, &std::fs::read("me.key")?)).build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn client_identity_pem(mut self, chain: &[u8], key: &[u8]) -> Self {
        self.identity = Some(Identity { chain: chain.to_vec(), key: key.to_vec() });
        self
    }

    /// Writes the keys of every connection to the file that the variable SSLKEYLOGFILE names, if it is set.
    ///
    /// Whoever has that file can read what was said.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use bowline::{Client, Tls};
    ///
    /// # fn main() -> bowline::Result<()> {
    /// let client = Client::builder().tls(Tls::new().key_log()).build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn key_log(mut self) -> Self {
        self.key_log = Some(KeyLog);
        self
    }

    /// Accepts any certificate for any name. Only for tests: whoever sits in between can read and change everything.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use bowline::{Client, Tls};
    ///
    /// # fn main() -> bowline::Result<()> {
    /// let client = Client::builder().tls(Tls::new().dangerously_trust_anyone()).build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn dangerously_trust_anyone(mut self) -> Self {
        self.trust = Trust::Anyone;
        self
    }

    /// Takes the caller's own configuration in place of all other settings; ALPN is still ours (feature `rustls-api`).
    #[cfg(feature = "rustls-api")]
    pub fn rustls(mut self, config: Arc<ClientConfig>) -> Self {
        self.config = Some(config);
        self
    }

    /// Uses the caller's own cryptography (feature `rustls-api`).
    #[cfg(feature = "rustls-api")]
    pub fn crypto_provider(mut self, provider: Arc<CryptoProvider>) -> Self {
        self.provider = Some(provider);
        self
    }

    /// Returns what begins the sessions of a client.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for what is wrong with the settings.
    pub(crate) fn compile(&self) -> Result<TlsClient> {
        if let Some(config) = &self.config {
            return match self {
                Tls { trust: Trust::Public, roots, identity: None, key_log: None, provider: None, .. }
                    if roots.is_empty() =>
                {
                    Ok(TlsClient { config: config.clone() })
                }
                _ => Err(Error::invalid("other TLS settings have no effect beside a rustls configuration")),
            };
        }
        let provider = self.provider.clone().unwrap_or_else(default_provider);
        let builder = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|e| wrong("the TLS cryptography cannot be used", e))?;
        let builder = match self.trust {
            Trust::Anyone => builder.dangerous().with_custom_certificate_verifier(Arc::new(TrustAnyone { provider })),
            Trust::Added | Trust::Public => builder.with_root_certificates(self.root_store()?),
        };
        let mut config = match &self.identity {
            None => builder.with_no_client_auth(),
            Some(identity) => builder
                .with_client_auth_cert(chain(&identity.chain)?, private_key(&identity.key)?)
                .map_err(|e| wrong("the client certificate cannot be used", e))?,
        };
        if self.key_log.is_some() {
            config.key_log = Arc::new(KeyLogFile::new());
        }
        Ok(TlsClient { config: Arc::new(config) })
    }

    fn root_store(&self) -> Result<RootCertStore> {
        let mut store = RootCertStore::empty();
        if self.trust == Trust::Public {
            store.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        }
        for pem in &self.roots {
            for root in chain(pem)? {
                store.add(root).map_err(|e| wrong("a root certificate cannot be used", e))?;
            }
        }
        if store.is_empty() {
            return Err(Error::invalid("only added root certificates are trusted, and none was added"));
        }
        Ok(store)
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("trust", &self.trust)
            .field("roots", &self.roots.len())
            .field("identity", &self.identity.is_some())
            .field("key_log", &self.key_log.is_some())
            .finish_non_exhaustive()
    }
}

/// Returns the certificates of a PEM text, at least one.
pub(super) fn chain(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>> {
    let chain = CertificateDer::pem_slice_iter(pem).collect::<std::result::Result<Vec<_>, _>>();
    let chain = chain.map_err(|e| wrong("the PEM of a certificate cannot be read", e))?;
    if chain.is_empty() {
        return Err(Error::invalid("the PEM holds no certificate"));
    }
    Ok(chain)
}

/// Returns the first private key of a PEM text.
pub(super) fn private_key(pem: &[u8]) -> Result<PrivateKeyDer<'static>> {
    PrivateKeyDer::from_pem_slice(pem).map_err(|e| wrong("the PEM of a private key cannot be read", e))
}

/// What begins the sessions of one client: one configuration, one cache of sessions to resume, for every choice of protocols.
#[derive(Clone, Debug)]
pub(crate) struct TlsClient {
    config: Arc<ClientConfig>,
}

impl TlsClient {
    /// Begins a session with the server of this name or literal address, which may choose one of the protocols.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if `host` is neither a name nor an address.
    pub(crate) fn start(&self, host: &str, alpn: &[&[u8]]) -> Result<Session> {
        // A zone is of this machine only and is in no certificate.
        let bare = host.split('%').next().unwrap_or(host);
        let name = ServerName::try_from(bare.to_owned()).map_err(|e| wrong(&format!("the host `{host}`"), e))?;
        let alpn = alpn.iter().map(|protocol| protocol.to_vec()).collect();
        let inner = ClientConnection::new_with_alpn(self.config.clone(), name, alpn)
            .map_err(|e| wrong("TLS cannot begin with these settings", e))?;
        Ok(Session::new(Connection::Client(inner)))
    }

    #[cfg(all(test, feature = "rustls-api"))]
    pub(super) fn config(&self) -> &ClientConfig {
        &self.config
    }
}

impl PartialEq for TlsClient {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.config, &other.config)
    }
}

impl Eq for TlsClient {}

impl std::hash::Hash for TlsClient {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.config).hash(state);
    }
}

/// Accepts any certificate; only the signatures of the handshake are checked.
#[derive(Debug)]
struct TrustAnyone {
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for TrustAnyone {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> std::result::Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
