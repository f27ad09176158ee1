//! What a connection is from its beginning, besides its protocol.

use super::{
    carrier::ROOM,
    duplex::Duplex,
    quota::Quota,
    record::{Owner, Record},
};
use crate::{
    buf::RecvBuf,
    net::{Session, Wire},
};
use std::{
    sync::{Arc, Weak},
    time::{Duration, Instant},
};

/// How much of a body nobody wants is read, without waiting, to keep an HTTP/1 connection, unless something else is said.
const DRAIN: usize = 64 * 1024;

/// What a connection is from its beginning, besides its protocol.
pub(crate) struct Setup {
    pub(crate) wire: Arc<dyn Wire>,
    pub(super) duplex: Duplex,
    /// What the peer said before the protocol began, opened if there is TLS.
    pub(crate) leftover: RecvBuf,
    /// How long the wire may take nothing while something is unsent.
    pub(crate) write_stall: Duration,
    /// How many bytes a second it has to take while something is unsent, as long as that may take; zero is any.
    pub(crate) min_rate: u64,
    /// For how long PINGs of upkeep keep it after its last request.
    pub(crate) keep_idle: Duration,
    /// How much of a body nobody wants is read, without waiting, to keep an HTTP/1 connection.
    pub(crate) drain: usize,
    /// How much of a body is framed at a time, and may be unsent before no more of any is.
    pub(crate) piece: usize,
    /// Server: what all connections have together.
    pub(crate) quota: Option<Arc<dyn Quota>>,
    pub(crate) origin: String,
    pub(crate) id: u64,
    pub(crate) now: Instant,
    /// Where to note what happens to it.
    pub(crate) record: Option<Arc<Record>>,
    /// Who is to know at once that it is over.
    pub(crate) owner: Option<Weak<dyn Owner>>,
}

impl Setup {
    /// The beginning of a connection; `out` is what the handshake left to be sent.
    pub(crate) fn new(
        wire: Arc<dyn Wire>,
        tls: Option<Box<Session>>,
        out: Vec<u8>,
        leftover: RecvBuf,
        origin: String,
        id: u64,
        now: Instant,
    ) -> Self {
        let (write_stall, keep_idle) = (Duration::from_secs(60), Duration::from_secs(3600));
        let duplex = Duplex::new(tls, out);
        Setup {
            wire,
            duplex,
            leftover,
            write_stall,
            min_rate: 0,
            keep_idle,
            drain: DRAIN,
            piece: ROOM,
            quota: None,
            origin,
            id,
            now,
            record: None,
            owner: None,
        }
    }

    /// Where the protocol puts its first bytes.
    pub(crate) fn out(&mut self) -> &mut Vec<u8> {
        &mut self.duplex.pending
    }
}
