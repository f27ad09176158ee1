//! Accepting connections without blocking.

use super::sys::AcceptFailure;
#[cfg(unix)]
use super::sys::deepen;
#[cfg(any(target_os = "linux", target_os = "android"))]
use super::sys::{accept, hurry};
#[cfg(unix)]
use super::unix::Unix;
use super::{Interest, Tcp, Waker, Wire};
use std::io;
use std::net::{SocketAddr, TcpListener};
#[cfg(unix)]
use std::os::unix::net::UnixListener;
#[cfg(unix)]
use std::path::{Path, PathBuf};
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
    Unix(Bound),
}

/// A listening Unix socket, and its file, if that goes with it.
#[cfg(unix)]
#[derive(Debug)]
pub(crate) struct Bound {
    socket: UnixListener,
    file: Option<SocketFile>,
}

#[cfg(unix)]
impl Drop for Bound {
    fn drop(&mut self) {
        // The socket is still open: its inode is in use, and no other file has its number.
        if let Some(file) = &self.file {
            file.remove();
        }
    }
}

/// The file of a Unix socket.
#[cfg(unix)]
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    device: u64,
    inode: u64,
}

#[cfg(unix)]
impl SocketFile {
    /// Takes notice of the file that was made just now.
    fn new(path: &Path) -> io::Result<Self> {
        // The working directory may be another one by then.
        let path = std::path::absolute(path)?;
        let (device, inode) = Self::identity(&path)?;
        Ok(SocketFile { path, device, inode })
    }

    fn identity(path: &Path) -> io::Result<(u64, u64)> {
        use std::os::unix::fs::MetadataExt;
        let found = std::fs::symlink_metadata(path)?;
        Ok((found.dev(), found.ino()))
    }

    /// Removes it, unless another one has taken its place.
    fn remove(&self) {
        if Self::identity(&self.path).is_ok_and(|found| found == (self.device, self.inode)) {
            // One that cannot be removed stays, as after a crash.
            let _ = std::fs::remove_file(&self.path);
        }
    }
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

    /// Takes a listening socket and makes it non-blocking; on Linux the sockets that are accepted take over that they send at once.
    pub(crate) fn tcp(socket: TcpListener) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        #[cfg(any(target_os = "linux", target_os = "android"))]
        hurry(&socket)?;
        #[cfg(unix)]
        deepen(&socket, QUEUE);
        Ok(Listener::Tcp(socket))
    }

    /// Listens on a Unix socket, whose file is removed with the listener.
    ///
    /// # Errors
    ///
    /// If the file cannot be made.
    #[cfg(unix)]
    pub(crate) fn unix(path: &Path) -> io::Result<Self> {
        let socket = UnixListener::bind(path)?;
        let file = SocketFile::new(path)?;
        socket.set_nonblocking(true)?;
        deepen(&socket, QUEUE);
        Ok(Listener::Unix(Bound { socket, file: Some(file) }))
    }

    /// Returns where it listens; `None` for a Unix socket.
    pub(crate) fn local_addr(&self) -> Option<SocketAddr> {
        match self {
            Listener::Tcp(socket) => socket.local_addr().ok(),
            #[cfg(unix)]
            Listener::Unix(..) => None,
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
            Listener::Unix(bound) => {
                bound.socket.try_clone().map(|socket| Listener::Unix(Bound { socket, file: None }))
            }
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
                #[cfg(any(target_os = "linux", target_os = "android"))]
                Listener::Tcp(socket) => {
                    accept(socket).map(|(socket, peer)| Ok(Accepted::Tcp(Tcp::ready(socket, peer))))
                }
                #[cfg(not(any(target_os = "linux", target_os = "android")))]
                Listener::Tcp(socket) => socket.accept().map(|(socket, _)| Tcp::new(socket).map(Accepted::Tcp)),
                #[cfg(unix)]
                Listener::Unix(bound) => bound.socket.accept().map(|(socket, _)| Unix::new(socket).map(Accepted::Unix)),
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
            Listener::Unix(bound) => Some(bound.socket.as_fd()),
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
