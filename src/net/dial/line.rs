//! The conversations on the way: bytes to and from the proxy, and the TLS handshakes.

use super::{Failure, Whose};
use crate::{
    buf::RecvBuf,
    error::{Error, ErrorKind},
    net::{Cx, Interest, Session, Wire, proxy::Asking},
};
use std::{io, sync::Arc};

/// How much room one read has.
const READ: usize = 16 * 1024;

/// A wire with what was received and not understood, and what was said and not sent.
pub(super) struct Line {
    pub(super) wire: Arc<dyn Wire>,
    pub(super) input: RecvBuf,
    pub(super) out: Vec<u8>,
    /// Why nothing can be written any more; what the peer said before that is read first.
    broken: Option<io::Error>,
}

/// What a read found.
enum Read {
    Bytes,
    End,
    Nothing,
}

impl Line {
    pub(super) fn new(wire: Arc<dyn Wire>) -> Self {
        Line { wire, input: RecvBuf::new(), out: Vec::new(), broken: None }
    }

    /// Writes what fits.
    fn flush(&mut self) {
        let mut sent = 0;
        while sent < self.out.len() && self.broken.is_none() {
            match self.wire.try_write(&self.out[sent..]) {
                Ok(0) => self.broken = Some(io::ErrorKind::WriteZero.into()),
                Ok(n) => sent += n,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => break,
                Err(e) => self.broken = Some(e),
            }
        }
        self.out.drain(..sent);
    }

    /// Reads once.
    fn fill(&mut self) -> io::Result<Read> {
        match self.wire.try_read(self.input.space(READ)) {
            Ok(0) => self.broken.take().map_or(Ok(Read::End), Err),
            Ok(n) => {
                self.input.filled(n);
                Ok(Read::Bytes)
            }
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => match self.broken.take() {
                // The peer took its leave without a word.
                Some(e) => Err(e),
                None => Ok(Read::Nothing),
            },
            Err(e) => Err(e),
        }
    }

    fn wait(&self, cx: &mut Cx<'_>) {
        let interest = if self.out.is_empty() { Interest::Read } else { Interest::Both };
        cx.wait_wire(&self.wire, interest);
    }
}

impl Line {
    /// Talks to the proxy as far as it goes without waiting; returns whether the tunnel stands. What came behind the answer is in `input`.
    pub(super) fn ask(&mut self, asking: &mut Asking, cx: &mut Cx<'_>, proxy: &str) -> Result<bool, Failure> {
        loop {
            self.flush();
            match self.fill().map_err(|e| lost(e, &format!("the connection to the proxy {proxy} broke")))? {
                Read::Bytes => {}
                Read::Nothing => {
                    self.wait(cx);
                    return Ok(false);
                }
                Read::End => {
                    return Err(ended(&format!("the proxy {proxy} ended the connection instead of answering")));
                }
            }
            if asking.advance(&mut self.input, &mut self.out)? {
                return Ok(true);
            }
        }
    }
}

/// A TLS handshake on a line.
pub(super) struct Shake {
    pub(super) session: Session,
    pub(super) line: Line,
    /// What the peer said behind its handshake, decrypted.
    pub(super) plain: RecvBuf,
}

impl Shake {
    pub(super) fn new(session: Session, line: Line) -> Self {
        Shake { session, line, plain: RecvBuf::new() }
    }

    /// Goes on without waiting; returns whether the handshake is over, except that `line.out` may hold the end of it.
    pub(super) fn step(&mut self, cx: &mut Cx<'_>, host: &str) -> Result<bool, Failure> {
        let Shake { session, line, plain } = self;
        loop {
            if !line.input.is_empty() {
                let fed = session.feed(&mut line.input, plain);
                session.pending(&mut line.out);
                if let Err(e) = fed {
                    // The alert: a courtesy to the peer, who may not be listening any more.
                    line.flush();
                    let whose = if e.is_verdict() { Whose::Peer } else { Whose::Address };
                    return Err(Failure { error: e.describe(&format!("TLS with {host} failed")), whose });
                }
            }
            session.pending(&mut line.out);
            if !session.is_handshaking() {
                return Ok(true);
            }
            line.flush();
            match line.fill().map_err(|e| lost(e, &format!("the connection to {host} broke in the TLS handshake")))? {
                Read::Bytes => {}
                Read::Nothing => {
                    line.wait(cx);
                    return Ok(false);
                }
                Read::End => return Err(ended(&format!("{host} ended the connection in the TLS handshake"))),
            }
        }
    }
}

/// Returns the failure of a connection that the system says is over.
fn lost(source: io::Error, what: &str) -> Failure {
    let text = format!("{what}: {source}");
    Failure { error: Error::with(ErrorKind::Io, text).with_source(source), whose: Whose::Address }
}

/// Returns the failure of a connection that the peer ended.
fn ended(what: &str) -> Failure {
    Failure { error: Error::with(ErrorKind::Closed, what), whose: Whose::Address }
}
