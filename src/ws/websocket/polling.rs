//! For loops of the program's own: what to poll, and when.

use super::WebSocket;

impl WebSocket {
    /// Returns the descriptor to poll; `None` over HTTP/2, where it belongs to others too, and on a wire without one.
    ///
    /// Call [`try_recv`](Self::try_recv) until `TimedOut` first: bytes may wait above the socket. Poll for writing as well while
    /// [`wants_write`](Self::wants_write).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::os::fd::AsRawFd;
    ///
    /// # fn main() -> bowline::Result<()> {
    /// let socket = bowline::Client::new().websocket("wss://example.org/echo").connect()?;
    /// let raw = socket.fd().map(|fd| fd.as_raw_fd());
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(unix)]
    pub fn fd(&self) -> Option<std::os::fd::BorrowedFd<'_>> {
        self.inbound.fd()
    }

    /// Returns the socket to poll; `None` over HTTP/2, where it belongs to others too, and on a wire without one.
    ///
    /// Call [`try_recv`](Self::try_recv) until `TimedOut` first: bytes may wait above the socket. Poll for writing as well while
    /// [`wants_write`](Self::wants_write).
    #[cfg(windows)]
    pub fn socket(&self) -> Option<std::os::windows::io::BorrowedSocket<'_>> {
        self.inbound.socket()
    }

    /// Returns whether bytes were received that no call has looked at: do not poll the descriptor before [`try_recv`](Self::try_recv).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # fn main() -> bowline::Result<()> {
    /// let socket = bowline::Client::new().websocket("wss://example.org/echo").connect()?;
    /// if !socket.has_buffered() {
    ///     // Poll `socket.fd()`.
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn has_buffered(&self) -> bool {
        self.inbound.has_buffered()
    }

    /// Returns whether something accepted is unsent: any call that receives or sends goes on with it once the descriptor is writable.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # fn main() -> bowline::Result<()> {
    /// let socket = bowline::Client::new().websocket("wss://example.org/echo").connect()?;
    /// let for_writing_too = socket.wants_write();
    /// # Ok(())
    /// # }
    /// ```
    pub fn wants_write(&self) -> bool {
        self.inbound.socket.wants_write()
    }
}
