//! TLS: records in, plaintext out; everything that names rustls is in this folder.
//!
//! A [`Session`] is not a wire. It holds the state of one connection and neither reads nor writes by itself, so it can live under
//! the lock of its driver: raw bytes are read outside the lock, [`feed`](Session::feed) decrypts them under it, and what has to be
//! sent is appended to the driver's own buffer. [`TlsWire`] is a wire with a session inside, for TLS within TLS.
//!
//! | file | holds |
//! |---|---|
//! | `config` | [`Tls`], the settings of a client, and [`TlsClient`], made from them |
//! | `server` | [`TlsServer`] |
//! | `wire` | [`TlsWire`] |

mod config;
mod server;
mod wire;

#[cfg(test)]
pub(crate) mod certs;
#[cfg(test)]
mod tests;

pub use config::Tls;
pub(crate) use config::TlsClient;
#[cfg(feature = "rustls-api")]
pub(crate) use server::RustlsServerConfig;
pub(crate) use server::TlsServer;
pub(crate) use wire::TlsWire;

use super::NoAlpn;
use crate::{
    buf::RecvBuf,
    error::{Error, ErrorKind, Phase},
};
use rustls::{AlertDescription, Connection, ProtocolVersion, crypto::CryptoProvider};
use std::{
    fmt,
    io::{BufRead, Read, Write},
    sync::Arc,
};

/// How much plaintext [`Session::feed`] leaves in a buffer before it wants the caller to take something out.
///
/// Raw bytes are bounded by their reader; this bounds what they become, with room for many records of 16 KiB.
const PLAIN_LIMIT: usize = 256 * 1024;

/// The most plaintext one record carries (RFC 8446, section 5.1).
const RECORD: usize = 16 * 1024;

/// What [`Session::feed`] left to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fed {
    /// The peer said with close_notify that nothing more will come. Any raw bytes behind it were dropped.
    Closed,
    /// Everything was taken; read more.
    Drained,
    /// The plaintext buffer is full: take something out of it, then feed the rest before reading more.
    More,
}

/// The state of TLS on one connection, on either side of it.
pub(crate) struct Session {
    inner: Connection,
    /// How the receiving half ended, said again by every later `feed`.
    end: Option<End>,
}

/// What one step of [`Session::feed`] came to.
#[derive(Clone, Copy, Debug)]
struct Step {
    /// How much plaintext is to be taken out.
    plain: usize,
    end: Ended,
}

/// Whether the peer said that nothing more will come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    No,
    Yes,
}

#[derive(Clone, Debug)]
enum End {
    Closed,
    Failed(TlsError),
}

impl Session {
    fn new(mut inner: Connection) -> Self {
        // We take out what was sealed at once; a limit would only make rustls take a part of it.
        inner.set_buffer_limit(None);
        Session { inner, end: None }
    }

    /// Takes bytes out of `raw`, and appends what they decrypt to at the end of `plain`.
    ///
    /// Afterwards there may be something to send, such as handshake messages and answers to key updates: call
    /// [`pending`](Self::pending). The end of `raw` without [`Fed::Closed`] before it is a truncation, which only the caller sees.
    ///
    /// # Errors
    ///
    /// A [`TlsError`] is the end of the session, and later calls return it again. `plain` has what came before it was broken, and
    /// `pending` gives the alert that tells the peer why.
    pub(crate) fn feed(&mut self, raw: &mut RecvBuf, plain: &mut RecvBuf) -> Result<Fed, TlsError> {
        match &self.end {
            None => {}
            Some(End::Closed) => {
                raw.clear();
                return Ok(Fed::Closed);
            }
            Some(End::Failed(failed)) => return Err(failed.clone()),
        }
        while !raw.is_empty() {
            if plain.len() > PLAIN_LIMIT {
                return Ok(Fed::More);
            }
            let fed = self.step(raw);
            if !matches!(fed, Ok(Step { plain: 0, .. })) {
                self.drain(plain);
            }
            if fed?.end == Ended::Yes {
                return Ok(Fed::Closed);
            }
        }
        Ok(Fed::Drained)
    }

    /// The same into `room` as far as it goes, and behind that into `rest`; returns also how much is in `room`.
    ///
    /// # Errors
    ///
    /// As [`feed`](Self::feed), but only if nothing came before: else the next call says so.
    pub(crate) fn feed_into(
        &mut self,
        raw: &mut RecvBuf,
        room: &mut [u8],
        rest: &mut RecvBuf,
    ) -> Result<(usize, Fed), TlsError> {
        let mut n = 0;
        while self.end.is_none() && !raw.is_empty() && n < room.len() {
            let fed = self.step(raw);
            // Fails only when there is nothing.
            while let Ok(taken @ 1..) = self.inner.reader().read(&mut room[n..]) {
                n += taken;
            }
            match fed {
                Ok(Step { plain: 0, .. }) => {}
                Ok(_) => self.drain(rest),
                Err(_) if n > 0 => break,
                Err(e) => return Err(e),
            }
        }
        match (n, &self.end) {
            (0, _) => self.feed(raw, rest).map(|fed| (0, fed)),
            (_, Some(_)) => Ok((n, Fed::Closed)),
            (_, None) if raw.is_empty() => Ok((n, Fed::Drained)),
            (_, None) => Ok((n, Fed::More)),
        }
    }

    /// Takes what rustls takes at once out of `raw`, and lets it see what that is. What it decrypts to stays inside, to be taken out next.
    fn step(&mut self, raw: &mut RecvBuf) -> Result<Step, TlsError> {
        let taken = self.inner.read_tls(&mut raw.peek()).map_err(|e| rustls::Error::General(e.to_string()));
        let state = taken.and_then(|n| {
            raw.take(n);
            self.inner.process_new_packets()
        });
        match state {
            Ok(state) if state.peer_has_closed() => {
                // Data behind close_notify is ignored (RFC 8446, section 6.1).
                raw.clear();
                self.end = Some(End::Closed);
                Ok(Step { plain: state.plaintext_bytes_to_read(), end: Ended::Yes })
            }
            Ok(state) => Ok(Step { plain: state.plaintext_bytes_to_read(), end: Ended::No }),
            Err(source) => {
                let failed = TlsError { source };
                self.end = Some(End::Failed(failed.clone()));
                Err(failed)
            }
        }
    }

    fn drain(&mut self, plain: &mut RecvBuf) {
        let mut reader = self.inner.reader();
        while let Ok(chunk) = reader.fill_buf() {
            let n = chunk.len();
            if n == 0 {
                break;
            }
            plain.extend(chunk);
            reader.consume(n);
        }
    }

    /// Appends the records that carry `plain` to `out`, behind anything [`pending`](Self::pending).
    ///
    /// Before the end of the handshake the bytes are kept and sealed once it is over. In a session that failed they are dropped.
    pub(crate) fn seal(&mut self, plain: &[u8], out: &mut Vec<u8>) {
        for piece in plain.chunks(RECORD) {
            // Fails only as the session failed before, which `feed` reports.
            if self.inner.writer().write_all(piece).is_err() {
                break;
            }
            self.pending(out);
        }
        self.pending(out);
    }

    /// Appends what the session itself has to say to `out`: handshake messages, tickets, key updates, an alert.
    pub(crate) fn pending(&mut self, out: &mut Vec<u8>) {
        while self.inner.wants_write() {
            // A Vec takes everything; what rustls offers at once is bounded.
            if !matches!(self.inner.write_tls(out), Ok(n) if n > 0) {
                break;
            }
        }
    }

    /// Appends the close_notify that says nothing more will be sent; only the first time.
    pub(crate) fn close_notify(&mut self, out: &mut Vec<u8>) {
        self.inner.send_close_notify();
        self.pending(out);
    }

    /// Returns whether the handshake is not over.
    pub(crate) fn is_handshaking(&self) -> bool {
        self.inner.is_handshaking()
    }

    /// Returns whether the peer said with close_notify that nothing more will come.
    pub(crate) fn is_closed(&self) -> bool {
        matches!(self.end, Some(End::Closed))
    }

    /// Returns whether [`pending`](Self::pending) has something.
    pub(crate) fn wants_write(&self) -> bool {
        self.inner.wants_write()
    }

    /// Returns the protocol both sides agreed on, once the handshake is over.
    pub(crate) fn alpn(&self) -> Option<&[u8]> {
        self.inner.alpn_protocol()
    }

    /// Returns the version, such as `TLS 1.3`.
    pub(crate) fn version(&self) -> Option<&'static str> {
        Some(match self.inner.protocol_version()? {
            ProtocolVersion::TLSv1_2 => "TLS 1.2",
            ProtocolVersion::TLSv1_3 => "TLS 1.3",
            _ => "TLS",
        })
    }

    /// Returns the name of the cipher suite.
    pub(crate) fn cipher(&self) -> Option<String> {
        Some(format!("{:?}", self.inner.negotiated_cipher_suite()?.suite()))
    }

    /// Returns version and cipher suite as one text for people.
    pub(crate) fn describe(&self) -> Option<String> {
        Some(format!("{}, {}", self.version()?, self.cipher()?))
    }

    /// Returns whether the handshake resumed an earlier session.
    #[cfg(test)]
    pub(crate) fn is_resumed(&self) -> bool {
        self.inner.handshake_kind() == Some(rustls::HandshakeKind::Resumed)
    }

    /// Returns the peer's certificates as DER, its own first.
    #[cfg(test)]
    pub(crate) fn peer_certificates(&self) -> impl Iterator<Item = &[u8]> {
        self.inner.peer_certificates().unwrap_or_default().iter().map(AsRef::as_ref)
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("handshaking", &self.is_handshaking())
            .field("version", &self.version())
            .field("end", &self.end)
            .finish_non_exhaustive()
    }
}

/// Why a session is broken.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TlsError {
    source: rustls::Error,
}

impl TlsError {
    /// Returns whether the two sides have no application protocol in common: alert 120 (RFC 7301, section 3.2).
    pub(crate) fn is_no_alpn(&self) -> bool {
        use rustls::Error as E;
        matches!(self.source, E::AlertReceived(AlertDescription::NoApplicationProtocol) | E::NoApplicationProtocol)
    }

    /// Returns whether the peer was understood and found wanting: what other addresses of its name fail with says less.
    pub(crate) fn is_verdict(&self) -> bool {
        self.is_no_alpn() || matches!(self.source, rustls::Error::InvalidCertificate(_))
    }

    /// Returns an error of kind `Tls` that begins with what happened, with the error of rustls as its source; [`NoAlpn`] is
    /// attached where that was the reason.
    pub(crate) fn describe(self, what: &str) -> Error {
        let error = Error::with(ErrorKind::Tls, format!("{what}: {self}")).in_phase(Phase::Tls);
        let error = if self.is_no_alpn() { error.attach(NoAlpn) } else { error };
        error.with_source(self.source)
    }
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.source.fmt(f)
    }
}

impl std::error::Error for TlsError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.source()
    }
}

impl From<TlsError> for Error {
    fn from(e: TlsError) -> Self {
        e.describe("TLS failed")
    }
}

/// Returns the cryptography of the features: aws-lc-rs if that was asked for, else ring.
///
/// Never the process-wide default, which belongs to the program and may be missing.
fn default_provider() -> Arc<CryptoProvider> {
    #[cfg(feature = "aws-lc")]
    return Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    #[cfg(not(feature = "aws-lc"))]
    return Arc::new(rustls::crypto::ring::default_provider());
}

/// Returns the error of a wrong setting.
fn wrong(what: &str, source: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::invalid(format!("{what}: {source}")).with_source(source)
}
