//! Unix sockets as wires.

use super::tcp::{uninterrupted, unless_over};
use super::{Interest, Waker, Wire};
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

/// A Unix socket as a wire.
///
/// # Examples
///
/// ```
/// use bowline::net::{Unix, Wire};
/// use std::os::unix::net::UnixStream;
///
/// let (near, _far) = UnixStream::pair()?;
/// assert_eq!(Unix::new(near)?.try_write(b"hello")?, 5);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Unix {
    socket: UnixStream,
}

impl Unix {
    /// Takes a connected socket and makes it non-blocking.
    ///
    /// # Errors
    ///
    /// The system refuses to make it non-blocking.
    pub fn new(socket: UnixStream) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        Ok(Unix { socket })
    }
}

impl Wire for Unix {
    fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
        uninterrupted(|| (&self.socket).read(buf))
    }

    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        uninterrupted(|| (&self.socket).write(bytes))
    }

    fn watch(&self, _: Interest, _: &Waker) {}

    fn finish(&self) -> io::Result<()> {
        unless_over(self.socket.shutdown(Shutdown::Write))
    }

    fn shutdown(&self) {
        // It fails only if the connection is over.
        let _ = self.socket.shutdown(Shutdown::Both);
    }

    fn fd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.socket.as_fd())
    }
}
