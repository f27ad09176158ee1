//! Asking a proxy for a tunnel, whatever language it speaks.

use super::{ProxyServer, Scheme, connect::Connect};
use crate::{
    buf::RecvBuf,
    error::{Error, ErrorKind, Phase, Result},
};
use std::fmt;

#[cfg(feature = "socks")]
use super::socks::Socks;

/// The conversation with a proxy that ends with a tunnel to a host.
#[derive(Debug)]
pub(crate) struct Asking {
    state: State,
    proxy: String,
    target: String,
}

#[derive(Debug)]
enum State {
    Connect(Connect),
    #[cfg(feature = "socks")]
    Socks(Socks),
}

impl Asking {
    /// Begins it, and appends the first bytes for the proxy to `out`.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if the host has bytes that no name has, or too many.
    pub(crate) fn start(proxy: &ProxyServer, host: &str, port: u16, out: &mut Vec<u8>) -> Result<Self> {
        // A name with a line end in it would write our request for us.
        if host.is_empty() || !host.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(Error::invalid("the host is not a name that can be given to a proxy").in_phase(Phase::Proxy));
        }
        let target = super::address::authority(host, port);
        let state = match proxy.scheme {
            Scheme::Http | Scheme::Https => State::Connect(Connect::start(&target, proxy.authorization(), out)),
            #[cfg(feature = "socks")]
            Scheme::Socks5 => State::Socks(Socks::start(host, port, proxy.credentials.clone(), out)?),
            #[cfg(not(feature = "socks"))]
            Scheme::Socks5 => {
                return Err(Error::with(ErrorKind::Unsupported, "a socks5:// proxy needs the feature `socks`"));
            }
        };
        Ok(Asking { state, proxy: proxy.to_string(), target })
    }

    /// Takes what the proxy said out of `input`, and appends what it is told next to `out`.
    ///
    /// Returns whether the tunnel stands; what is in `input` then comes from its other end.
    ///
    /// # Errors
    ///
    /// `Handshake` if the proxy wants other credentials or answers CONNECT with no (with the status attached), `Connect` if it could not reach the host,
    /// `PeerViolation` or `TooLarge` if it talks nonsense. Each is final.
    pub(crate) fn advance(&mut self, input: &mut RecvBuf, out: &mut Vec<u8>) -> Result<bool> {
        let answer = match &mut self.state {
            State::Connect(connect) => connect.advance(input),
            #[cfg(feature = "socks")]
            State::Socks(socks) => socks.advance(input, out),
        };
        #[cfg(not(feature = "socks"))]
        let _ = out;
        answer.map_err(|refusal| {
            let text = format!("the proxy {} to {}: {refusal}", self.proxy, self.target);
            let error = Error::with(refusal.kind(), text).in_phase(Phase::Proxy);
            match refusal {
                Refusal::Status(status) => error.attach(status),
                _ => error,
            }
        })
    }
}

/// Why there is no tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The answer to CONNECT is larger than allowed.
    HeadTooLarge { limit: usize },
    /// The answer to CONNECT does not begin as one in HTTP/1.
    NotHttp,
    /// The answer to CONNECT has a status outside 2xx.
    Status(http::StatusCode),
    #[cfg(feature = "socks")]
    Socks(super::socks::SocksRefusal),
}

impl Refusal {
    fn kind(self) -> ErrorKind {
        match self {
            Refusal::HeadTooLarge { .. } => ErrorKind::TooLarge,
            Refusal::NotHttp => ErrorKind::PeerViolation,
            Refusal::Status(_) => ErrorKind::Handshake,
            #[cfg(feature = "socks")]
            Refusal::Socks(refusal) => refusal.kind(),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::HeadTooLarge { limit } => write!(f, "an answer of more than {limit} bytes"),
            Refusal::NotHttp => f.write_str("an answer that is not HTTP/1"),
            Refusal::Status(status) => write!(f, "status {status}"),
            #[cfg(feature = "socks")]
            Refusal::Socks(refusal) => refusal.fmt(f),
        }
    }
}
