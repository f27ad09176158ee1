//! A wire with TLS inside, over another wire: what leads to an `https://` proxy.

use super::{Fed, Session};
use crate::{
    buf::RecvBuf,
    error::Error,
    net::{Interest, Waker, Wire},
};
use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// How much one `try_write` seals at most.
const PIECE: usize = 16 * 1024;

/// How much room one raw read has: a record of the largest size, and a little.
const READ: usize = 17 * 1024;

/// A wire that carries TLS over another wire.
///
/// It has the descriptor of the wire below, which says nothing about plaintext that was decrypted and not yet read. So a reader
/// waits for the descriptor only when [`has_buffered`](Wire::has_buffered) says no, or when a read gave `WouldBlock`.
///
/// What has been sealed cannot be changed any more: bytes that `try_write` refused with `WouldBlock` may be on their way already, and
/// have to be the first bytes of the next call. A driver, whose unsent bytes stay where they are, does that by itself.
pub(crate) struct TlsWire {
    inner: Arc<dyn Wire>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    session: Session,
    raw: RecvBuf,
    plain: RecvBuf,
    /// Sealed bytes, of which `sent` have been written.
    out: Vec<u8>,
    sent: usize,
    /// How many plain bytes are in `out` that no `try_write` has taken yet.
    sealed: usize,
    end: Option<End>,
}

/// How the receiving half ended.
#[derive(Debug)]
enum End {
    /// With close_notify.
    Closed,
    /// With something that is reported to every reader.
    Failed(io::ErrorKind, String),
}

impl TlsWire {
    /// Puts a session whose handshake is over upon a wire, with what it has already received and still has to send.
    pub(crate) fn layer(inner: Arc<dyn Wire>, session: Session, plain: RecvBuf, out: Vec<u8>) -> Arc<dyn Wire> {
        let state = State { session, raw: RecvBuf::new(), plain, out, sent: 0, sealed: 0, end: None };
        Arc::new(TlsWire { inner, state: Mutex::new(state) })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every step leaves the state whole; a panic elsewhere does not change that.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Writes what is sealed; `WouldBlock` if some of it is left.
    fn flush(&mut self, inner: &dyn Wire) -> io::Result<()> {
        self.session.pending(&mut self.out);
        while self.sent < self.out.len() {
            match inner.try_write(&self.out[self.sent..])? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                n => self.sent += n,
            }
        }
        self.out.clear();
        self.sent = 0;
        Ok(())
    }

    /// Reads and decrypts once; afterwards there is plaintext, an end, or neither.
    fn fill(&mut self, inner: &dyn Wire) -> io::Result<()> {
        if self.raw.is_empty() {
            let n = inner.try_read(self.raw.space(READ))?;
            self.raw.filled(n);
            if n == 0 {
                let text = "the TLS connection was cut off without close_notify";
                self.end = Some(End::Failed(io::ErrorKind::UnexpectedEof, text.into()));
                return Ok(());
            }
        }
        match self.session.feed(&mut self.raw, &mut self.plain) {
            Ok(Fed::Drained | Fed::More) => {}
            Ok(Fed::Closed) => self.end = Some(End::Closed),
            Err(e) => {
                let error = Error::from(e);
                self.end = Some(End::Failed(io::ErrorKind::InvalidData, error.to_string()));
            }
        }
        self.answer(inner);
        Ok(())
    }

    /// Writes alerts, tickets and key updates as far as they fit; the rest goes with the next read or write, which also sees errors.
    fn answer(&mut self, inner: &dyn Wire) {
        let _ = self.flush(inner);
    }
}

impl Wire for TlsWire {
    fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
        let state = &mut *self.state();
        state.answer(&*self.inner);
        loop {
            if !state.plain.is_empty() || buf.is_empty() {
                let n = buf.len().min(state.plain.len());
                buf[..n].copy_from_slice(state.plain.take(n));
                state.plain.shrink(false);
                return Ok(n);
            }
            match &state.end {
                None => state.fill(&*self.inner)?,
                Some(End::Closed) => return Ok(0),
                Some(End::Failed(kind, text)) => return Err(io::Error::new(*kind, text.clone())),
            }
        }
    }

    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        let state = &mut *self.state();
        let mut written = 0;
        loop {
            match state.flush(&*self.inner) {
                Err(e) if e.kind() == io::ErrorKind::WouldBlock && written > 0 => return Ok(written),
                flushed => flushed?,
            }
            written = bytes.len().min(written + std::mem::take(&mut state.sealed));
            let piece = &bytes[written..bytes.len().min(written + PIECE)];
            if piece.is_empty() {
                return Ok(written);
            }
            state.session.seal(piece, &mut state.out);
            state.sealed = piece.len();
        }
    }

    fn watch(&self, interest: Interest, waker: &Waker) {
        if self.has_buffered() && interest != Interest::Write {
            waker.wake();
        } else {
            self.inner.watch(interest, waker);
        }
    }

    fn has_buffered(&self) -> bool {
        let state = self.state();
        !state.plain.is_empty() || !state.raw.is_empty() || state.end.is_some()
    }

    fn finish(&self) -> io::Result<()> {
        let state = &mut *self.state();
        let State { session, out, .. } = state;
        session.close_notify(out);
        state.flush(&*self.inner)?;
        self.inner.finish()
    }

    fn shutdown(&self) {
        let state = &mut *self.state();
        let State { session, out, .. } = state;
        session.close_notify(out);
        // A courtesy: whoever shuts down does not wait for the peer to take it.
        let _ = state.flush(&*self.inner);
        self.inner.shutdown();
    }

    #[cfg(unix)]
    fn fd(&self) -> Option<std::os::fd::BorrowedFd<'_>> {
        self.inner.fd()
    }

    #[cfg(windows)]
    fn socket(&self) -> Option<std::os::windows::io::BorrowedSocket<'_>> {
        self.inner.socket()
    }

    fn peer_addr(&self) -> Option<SocketAddr> {
        self.inner.peer_addr()
    }
}
