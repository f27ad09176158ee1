//! How connections are made: proxies, TLS, Unix sockets, connectors, resolvers.

mod proxies;
#[cfg(feature = "tls")]
mod secure;
#[path = "../support/mod.rs"]
mod support;
#[cfg(feature = "tls")]
#[path = "../support/tls.rs"]
mod tls;
mod ways;
