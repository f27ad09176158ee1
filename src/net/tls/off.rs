//! What stands in for TLS without the feature `tls`: types that have no values, so that their users need no second form.

use crate::{
    buf::RecvBuf,
    error::{Error, Result},
    net::Wire,
};
use std::{convert::Infallible, fmt, sync::Arc};

/// What feeding a session left to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fed {
    /// The peer said that nothing more will come.
    Closed,
    /// Everything was taken.
    Drained,
    /// The plaintext buffer is full.
    More,
}

/// The state of TLS on one connection: there is none.
#[derive(Debug)]
pub(crate) struct Session(Infallible);

impl Session {
    pub(crate) fn feed(&mut self, _raw: &mut RecvBuf, _plain: &mut RecvBuf) -> Result<Fed, TlsError> {
        match self.0 {}
    }

    pub(crate) fn feed_into(
        &mut self,
        _raw: &mut RecvBuf,
        _room: &mut [u8],
        _rest: &mut RecvBuf,
    ) -> Result<(usize, Fed), TlsError> {
        match self.0 {}
    }

    pub(crate) fn seal(&mut self, _plain: &[u8], _out: &mut Vec<u8>) {
        match self.0 {}
    }

    pub(crate) fn pending(&mut self, _out: &mut Vec<u8>) {
        match self.0 {}
    }

    pub(crate) fn close_notify(&mut self, _out: &mut Vec<u8>) {
        match self.0 {}
    }

    pub(crate) fn is_handshaking(&self) -> bool {
        match self.0 {}
    }

    pub(crate) fn is_closed(&self) -> bool {
        match self.0 {}
    }

    pub(crate) fn wants_write(&self) -> bool {
        match self.0 {}
    }

    pub(crate) fn alpn(&self) -> Option<&[u8]> {
        match self.0 {}
    }

    pub(crate) fn describe(&self) -> Option<String> {
        match self.0 {}
    }
}

/// Why a session is broken: there is none.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TlsError(Infallible);

impl TlsError {
    pub(crate) fn is_verdict(&self) -> bool {
        match self.0 {}
    }

    pub(crate) fn describe(self, _what: &str) -> Error {
        match self.0 {}
    }
}

impl fmt::Display for TlsError {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {}
    }
}

impl From<TlsError> for Error {
    fn from(e: TlsError) -> Self {
        match e.0 {}
    }
}

/// What begins sessions: nothing does.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct TlsClient(Infallible);

impl TlsClient {
    pub(crate) fn start(&self, _host: &str, _alpn: &[&[u8]]) -> Result<Session> {
        match self.0 {}
    }
}

/// A wire with a session inside: there is none.
pub(crate) enum TlsWire {}

impl TlsWire {
    pub(crate) fn layer(_: Arc<dyn Wire>, session: Session, _: RecvBuf, _: Vec<u8>) -> Arc<dyn Wire> {
        match session.0 {}
    }
}
