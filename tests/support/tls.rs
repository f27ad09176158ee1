//! The server's side of TLS, with certificates of our own.

#[path = "../../src/net/tls/certs.rs"]
pub mod certs;

use super::Conn;
use certs::Identity;
use rustls::{
    ServerConfig, ServerConnection, StreamOwned,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use std::sync::Arc;

/// What a server with this certificate is made with; it speaks these by ALPN.
pub fn config(identity: &Identity, alpn: &[&[u8]]) -> Arc<ServerConfig> {
    let chain = CertificateDer::pem_slice_iter(identity.chain.as_bytes()).collect::<Result<_, _>>().unwrap();
    let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).unwrap();
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    config.alpn_protocols = alpn.iter().map(|p| p.to_vec()).collect();
    Arc::new(config)
}

/// Speaks TLS on a connection from which nothing was read ahead.
pub fn accept(conn: Conn, config: &Arc<ServerConfig>) -> Conn {
    let session = ServerConnection::new(config.clone()).unwrap();
    Conn::over(StreamOwned::new(session, conn.into_stream()))
}
