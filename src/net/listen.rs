//! Accepting connections without blocking.

use super::sys::AcceptFailure;
#[cfg(unix)]
use super::sys::deepen;
#[cfg(unix)]
use super::unix::Unix;
use super::{Interest, Tcp, Waker, Wire};
use std::io;
use std::net::{SocketAddr, TcpListener};
#[cfg(unix)]
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::time::Duration;

/// How many peers that were gone before they were accepted are skipped in one call.
const SKIPPED: usize = 16;

/// How many peers wait in the kernel's queue: std says 128, which a burst of clients fills, and whoever finds it full tries again
/// after a second. nginx has 511; Linux allows 4096 at most.
#[cfg(unix)]
const QUEUE: i32 = 1024;

/// A listening socket.
///
/// As a [`Wire`] it can be waited for, ready to read when a peer may be waiting; nothing can be read or written.
#[derive(Debug)]
pub(crate) enum Listener {
    /// Over TCP.
    Tcp(TcpListener),
    /// Over a Unix socket.
    #[cfg(unix)]
    Unix(UnixListener),
}

/// A connection that a peer opened.
#[derive(Debug)]
pub(crate) enum Accepted {
    /// Over TCP.
    Tcp(Tcp),
    /// Over a Unix socket.
    #[cfg(unix)]
    Unix(Unix),
}

impl Accepted {
    /// Returns the connection as a wire.
    pub(crate) fn into_wire(self) -> Arc<dyn Wire> {
        match self {
            Accepted::Tcp(wire) => Arc::new(wire),
            #[cfg(unix)]
            Accepted::Unix(wire) => Arc::new(wire),
        }
    }
}

impl Listener {
    /// How long to leave the listener alone after [`is_exhausted`](Self::is_exhausted): it stays ready meanwhile, so waiting for it
    /// would be a busy loop, and closing any connection helps.
    pub(crate) const PAUSE: Duration = Duration::from_millis(50);

    /// Takes a listening socket and makes it non-blocking.
    pub(crate) fn tcp(socket: TcpListener) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        #[cfg(unix)]
        deepen(&socket, QUEUE);
        Ok(Listener::Tcp(socket))
    }

    /// Takes a listening Unix socket and makes it non-blocking.
    #[cfg(unix)]
    pub(crate) fn unix(socket: UnixListener) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        deepen(&socket, QUEUE);
        Ok(Listener::Unix(socket))
    }

    /// Returns where it listens; `None` for a Unix socket.
    pub(crate) fn local_addr(&self) -> Option<SocketAddr> {
        match self {
            Listener::Tcp(socket) => socket.local_addr().ok(),
            #[cfg(unix)]
            Listener::Unix(_) => None,
        }
    }

    /// Takes a descriptor that can be given back when the system has no other left.
    ///
    /// # Errors
    ///
    /// If there is none.
    pub(crate) fn spare(&self) -> io::Result<Self> {
        match self {
            Listener::Tcp(socket) => socket.try_clone().map(Listener::Tcp),
            #[cfg(unix)]
            Listener::Unix(socket) => socket.try_clone().map(Listener::Unix),
        }
    }

    /// Takes the next connection, or `None` if no peer waits. Any number of threads may call it at once.
    ///
    /// Peers that are gone before they were accepted are skipped.
    ///
    /// # Errors
    ///
    /// [`is_exhausted`](Self::is_exhausted): no descriptor or memory is left; accept again after [`PAUSE`](Self::PAUSE). Anything
    /// else is the end of the listener.
    pub(crate) fn accept(&self) -> io::Result<Option<Accepted>> {
        for _ in 0..SKIPPED {
            let result = match self {
                Listener::Tcp(socket) => socket.accept().map(|(socket, _)| Tcp::new(socket).map(Accepted::Tcp)),
                #[cfg(unix)]
                Listener::Unix(socket) => socket.accept().map(|(socket, _)| Unix::new(socket).map(Accepted::Unix)),
            };
            match result {
                Ok(Ok(accepted)) => return Ok(Some(accepted)),
                // The options of a socket whose peer is gone cannot be set on every system.
                Ok(Err(_)) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) if AcceptFailure::of(&error) == AcceptFailure::Peer => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// Returns whether this error of [`accept`](Self::accept) will pass.
    pub(crate) fn is_exhausted(error: &io::Error) -> bool {
        AcceptFailure::of(error) == AcceptFailure::Exhausted
    }
}

impl Wire for Listener {
    fn try_read(&self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn try_write(&self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn watch(&self, _: Interest, _: &Waker) {}

    fn finish(&self) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn shutdown(&self) {}

    #[cfg(unix)]
    fn fd(&self) -> Option<std::os::fd::BorrowedFd<'_>> {
        use std::os::fd::AsFd;
        match self {
            Listener::Tcp(socket) => Some(socket.as_fd()),
            Listener::Unix(socket) => Some(socket.as_fd()),
        }
    }

    #[cfg(windows)]
    fn socket(&self) -> Option<std::os::windows::io::BorrowedSocket<'_>> {
        use std::os::windows::io::AsSocket;
        match self {
            Listener::Tcp(socket) => Some(socket.as_socket()),
        }
    }
}
