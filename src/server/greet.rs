//! From a wire that a client opened to a connection: TLS if there is any, and which protocol the first bytes are of.

use super::settings::Settings;
use crate::{
    buf::RecvBuf,
    drive::{Carrier, H1, H2, Patience, Quota, Setup, Shared, next_id, random},
    error::{Error, ErrorKind, Phase, Result},
    net::{Cx, Fed, Interest, Session, Wire},
    proto::{Role, h1, h2},
    time::Deadline,
};
use http::Version;
use std::{io, sync::Arc, task::Poll, time::Instant};

/// What a client of HTTP/2 says first (RFC 9113, section 3.4). No request of HTTP/1 begins like that.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What one of HTTP/1 may still begin with, of another version than those there are.
const EITHER: &[u8] = b"PRI * HTTP/";

/// The room one receive makes.
const RECEIVE: usize = 16 * 1024;
const LITTLE: usize = 4 * 1024;

/// A wire of which nobody knows yet what is spoken on it.
pub(super) struct Greeting {
    wire: Arc<dyn Wire>,
    tls: Option<Box<Session>>,
    /// Received, not opened; without TLS nothing.
    raw: RecvBuf,
    plain: RecvBuf,
    /// What TLS has to say: `out[at..]`.
    out: Vec<u8>,
    at: usize,
    began: Instant,
    /// When TLS was ready, or else the connection.
    ready: Instant,
    /// When the first byte of the application came.
    first: Option<Instant>,
    eof: bool,
}

impl std::fmt::Debug for Greeting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Greeting").field("tls", &self.tls).finish_non_exhaustive()
    }
}

/// What is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Speaks {
    Http1,
    Http2,
    /// More bytes will tell.
    Unknown,
}

impl Greeting {
    /// Begins with a wire on which nothing was read.
    ///
    /// # Errors
    ///
    /// If the TLS settings cannot be used.
    pub(super) fn new(wire: Arc<dyn Wire>, settings: &Settings, now: Instant) -> Result<Self> {
        #[cfg(feature = "tls")]
        let tls = settings.tls.as_ref().map(|tls| tls.start().map(Box::new)).transpose()?;
        #[cfg(not(feature = "tls"))]
        let tls = None;
        let _ = settings;
        Ok(Greeting {
            wire,
            tls,
            raw: RecvBuf::new(),
            plain: RecvBuf::new(),
            out: Vec::new(),
            at: 0,
            began: now,
            ready: now,
            first: None,
            eof: false,
        })
    }

    /// Returns when the connection was made.
    pub(super) fn began(&self) -> Instant {
        self.began
    }

    /// Returns when the client has to have said more.
    pub(super) fn deadline(&self, settings: &Settings) -> Deadline {
        let limits = &settings.timeouts;
        Deadline::from(match (&self.tls, self.first) {
            (Some(tls), _) if tls.is_handshaking() => self.began.checked_add(limits.handshake),
            (_, None) => self.ready.checked_add(limits.idle),
            (_, Some(first)) => first.checked_add(limits.header),
        })
    }

    /// Goes as far as the wire allows; ready with the connection, or with `None` if the client left without a word.
    ///
    /// # Errors
    ///
    /// If TLS failed, the wire did, or a time limit passed.
    pub(super) fn poll(
        &mut self,
        settings: &Settings,
        quota: Option<&Arc<dyn Quota>>,
        cx: &mut Cx<'_>,
    ) -> Poll<Result<Option<Arc<dyn Carrier>>>> {
        loop {
            let deadline = self.deadline(settings);
            if self.poll_write(cx)?.is_pending() {
                if deadline.has_passed(cx.now) {
                    return Poll::Ready(Err(too_slow()));
                }
                cx.wait_until(deadline);
                return Poll::Pending;
            }
            let speaks = match (self.speaks(), settings.only) {
                (Speaks::Unknown, _) => Speaks::Unknown,
                // Who speaks the other version is told so by the engine of this one.
                (_, Some(Version::HTTP_2)) => Speaks::Http2,
                (_, Some(_)) => Speaks::Http1,
                (speaks, None) => speaks,
            };
            if speaks != Speaks::Unknown {
                return Poll::Ready(Ok(Some(self.finish(speaks, settings, quota, cx.now))));
            }
            if self.eof {
                return Poll::Ready(self.ended(settings, quota, cx.now));
            }
            match self.read(quota.is_some_and(|quota| quota.is_crowded())) {
                Ok(()) => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    if deadline.has_passed(cx.now) {
                        return Poll::Ready(match self.cut_short(settings) {
                            Some(speaks) => Ok(Some(self.finish(speaks, settings, quota, cx.now))),
                            None => Err(too_slow()),
                        });
                    }
                    cx.wait_wire(&self.wire, Interest::Read);
                    cx.wait_until(deadline);
                    return Poll::Pending;
                }
                Err(e) => return Poll::Ready(Err(Error::from(e).in_phase(Phase::Tls))),
            }
            if self.tls.as_ref().is_some_and(|tls| tls.is_handshaking()) {
                self.ready = cx.now;
            }
            self.open()?;
            if self.first.is_none() && !self.plain.is_empty() {
                self.first = Some(cx.now);
            }
        }
    }

    /// Reads what is there; the end is noted. Little where all connections together have too much that nobody reads.
    fn read(&mut self, little: bool) -> io::Result<()> {
        let buf = if self.tls.is_some() { &mut self.raw } else { &mut self.plain };
        // Kept as small as what came: the connection may stay like that for long.
        let mut room = [0; RECEIVE];
        let most = if little { LITTLE } else { RECEIVE };
        let n = self.wire.try_read(&mut room[..most])?;
        buf.extend_exactly(&room[..n]);
        self.eof = n == 0;
        Ok(())
    }

    /// Takes what was read through TLS.
    fn open(&mut self) -> Result<()> {
        let Some(tls) = &mut self.tls else { return Ok(()) };
        let fed = tls.feed(&mut self.raw, &mut self.plain);
        tls.pending(&mut self.out);
        match fed {
            Ok(Fed::Closed) => self.eof = true,
            Ok(Fed::Drained | Fed::More) => {}
            Err(failed) => {
                // The alert, as far as the wire takes it.
                let _ = self.wire.try_write(&self.out[self.at..]);
                return Err(failed.describe("the TLS handshake failed"));
            }
        }
        Ok(())
    }

    fn poll_write(&mut self, cx: &mut Cx<'_>) -> Poll<Result<()>> {
        while self.at < self.out.len() {
            match self.wire.try_write(&self.out[self.at..]) {
                Ok(n) => self.at += n,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    cx.wait_wire(&self.wire, Interest::Write);
                    return Poll::Pending;
                }
                Err(e) => return Poll::Ready(Err(Error::from(e).in_phase(Phase::Tls))),
            }
        }
        (self.at, _) = (0, self.out.clear());
        Poll::Ready(Ok(()))
    }

    fn speaks(&self) -> Speaks {
        let alpn = match &self.tls {
            Some(tls) if tls.is_handshaking() => return Speaks::Unknown,
            Some(tls) => tls.alpn(),
            None => None,
        };
        match alpn {
            Some(b"h2") => return Speaks::Http2,
            Some(_) => return Speaks::Http1,
            None => {}
        }
        let bytes = self.plain.peek();
        let n = bytes.len().min(PREFACE.len());
        match bytes[..n] == PREFACE[..n] {
            true if n == PREFACE.len() => Speaks::Http2,
            true => Speaks::Unknown,
            false => Speaks::Http1,
        }
    }

    /// Returns what is spoken by a client that has begun to say so, and does not go on: its engine has an answer to that.
    fn cut_short(&self, settings: &Settings) -> Option<Speaks> {
        match (self.plain.len(), settings.only) {
            (0, _) => None,
            (_, Some(Version::HTTP_2)) => Some(Speaks::Http2),
            (_, Some(_)) => Some(Speaks::Http1),
            (n, None) if n <= EITHER.len() => Some(Speaks::Http1),
            (_, None) => Some(Speaks::Http2),
        }
    }

    fn ended(
        &mut self,
        settings: &Settings,
        quota: Option<&Arc<dyn Quota>>,
        now: Instant,
    ) -> Result<Option<Arc<dyn Carrier>>> {
        if let Some(speaks) = self.cut_short(settings) {
            return Ok(Some(self.finish(speaks, settings, quota, now)));
        }
        match &self.tls {
            Some(tls) if tls.is_handshaking() && !tls.is_closed() => {
                Err(Error::with(ErrorKind::Closed, "the client left during the TLS handshake").in_phase(Phase::Tls))
            }
            _ => Ok(None),
        }
    }

    fn finish(
        &mut self,
        speaks: Speaks,
        settings: &Settings,
        quota: Option<&Arc<dyn Quota>>,
        now: Instant,
    ) -> Arc<dyn Carrier> {
        let (tls, out) = (self.tls.take(), std::mem::take(&mut self.out));
        let leftover = std::mem::take(&mut self.plain);
        let origin = match self.wire.peer_addr() {
            Some(peer) => peer.to_string(),
            None => String::new(),
        };
        let mut setup = Setup::new(self.wire.clone(), tls, out, leftover, origin, next_id(), now);
        let patience = patience(settings);
        (setup.write_stall, setup.min_rate) = (patience.write, patience.min_rate);
        setup.piece = quota.map_or(setup.piece, |quota| quota.piece());
        setup.quota = quota.cloned();
        match speaks {
            Speaks::Http2 => {
                let engine = h2::Connection::new(Role::Server, h2_config(settings, quota), now, setup.out());
                let driver = H2::new(engine, Role::Server).with_patience(patience, self.first, now);
                Arc::new(Shared::new(setup, driver.with_quota(quota.cloned())))
            }
            Speaks::Http1 | Speaks::Unknown => {
                let config = h1::Config::default().head_bytes(settings.max_header_bytes);
                let engine = h1::Connection::new(Role::Server, config, now, setup.out());
                let driver = H1::new(engine, Role::Server).with_quota(quota.cloned());
                Arc::new(Shared::new(setup, driver.with_patience(patience, self.first, now)))
            }
        }
    }
}

fn too_slow() -> Error {
    Error::with(ErrorKind::TimedOut, "the client did not say in time what it wants").in_phase(Phase::Tls)
}

/// How long the connections of a server wait for their clients.
pub(super) fn patience(settings: &Settings) -> Patience {
    let limits = &settings.timeouts;
    Patience { idle: limits.idle, head: limits.header, write: limits.write, min_rate: settings.min_rate }
}

/// What the HTTP/2 engine is made with.
pub(super) fn h2_config(settings: &Settings, quota: Option<&Arc<dyn Quota>>) -> h2::Config {
    let mut config = h2::Config::new(Role::Server);
    if let Some(quota) = quota {
        let ahead = quota.ahead();
        let window = u32::try_from(ahead).unwrap_or(u32::MAX);
        config.stream_window = config.stream_window.min(window);
        config.connection_window = config.connection_window.min(window);
        config.unread_limit = config.unread_limit.min(2 * ahead);
    }
    config.extended_connect = true;
    config.seed = random();
    config.header_list = u32::try_from(settings.max_header_bytes).unwrap_or(u32::MAX);
    config.max_streams = settings.max_streams;
    config
}
