//! TCP sockets as wires.

use super::{Interest, Waker, Wire, connect_result};
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::OnceLock;

/// A TCP socket as a wire.
///
/// # Examples
///
/// ```
/// use bowline::net::{Tcp, Wire};
/// use std::net::{TcpListener, TcpStream};
///
/// let listener = TcpListener::bind("127.0.0.1:0")?;
/// let wire = Tcp::new(TcpStream::connect(listener.local_addr()?)?)?;
/// assert_eq!(wire.try_write(b"hello")?, 5);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Tcp {
    socket: TcpStream,
    /// Known once it is connected.
    peer: OnceLock<SocketAddr>,
}

impl Tcp {
    /// Takes a socket that is connected, or about to be, and makes it non-blocking and without Nagle's delay.
    ///
    /// # Errors
    ///
    /// The system refuses one of the two, which on some systems means that the peer is gone.
    pub fn new(socket: TcpStream) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        socket.set_nodelay(true)?;
        let peer = socket.peer_addr().map(OnceLock::from).unwrap_or_default();
        Ok(Tcp { socket, peer })
    }

    /// Takes a socket that is connected, to this peer, and on which nothing has to be set any more.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub(super) fn ready(socket: TcpStream, peer: Option<SocketAddr>) -> Self {
        Tcp { socket, peer: peer.map(OnceLock::from).unwrap_or_default() }
    }

    /// Returns whether a socket that was about to connect is connected; false is not yet.
    ///
    /// # Errors
    ///
    /// Why it will not be.
    pub(crate) fn is_connected(&self) -> io::Result<bool> {
        let connected = connect_result(&self.socket)?;
        if let (true, Ok(peer)) = (connected, self.socket.peer_addr()) {
            self.peer.get_or_init(|| peer);
        }
        Ok(connected)
    }
}

impl Wire for Tcp {
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

    #[cfg(unix)]
    fn fd(&self) -> Option<std::os::fd::BorrowedFd<'_>> {
        Some(std::os::fd::AsFd::as_fd(&self.socket))
    }

    #[cfg(windows)]
    fn socket(&self) -> Option<std::os::windows::io::BorrowedSocket<'_>> {
        Some(std::os::windows::io::AsSocket::as_socket(&self.socket))
    }

    fn peer_addr(&self) -> Option<SocketAddr> {
        self.peer.get().copied()
    }
}

/// Repeats a call that a signal interrupted.
pub(super) fn uninterrupted(mut call: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// Ending what the peer or an error has ended is not a failure.
pub(super) fn unless_over(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(()),
        result => result,
    }
}
