//! The receiving half.

use super::{
    inbound::{Inbound, Limit},
    message::{Closed, Message, MessageRef},
    parts::MessageReader,
};
use crate::{error::Result, recv::Recv};
use std::time::Duration;

/// The receiving half. Answers PINGs while it waits.
///
/// Dropping it leaves nobody to answer them; the sending half goes on.
///
/// # Examples
///
/// ```no_run
/// # fn main() -> bowline::Result<()> {
/// let (sender, receiver) = bowline::Client::new().websocket("wss://example.org/echo").connect()?.split();
/// std::thread::spawn(move || sender.send("hello"));
/// for message in receiver {
///     println!("{:?}", message?.as_text());
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct WsReceiver {
    inbound: Inbound,
}

impl WsReceiver {
    pub(super) fn new(inbound: Inbound) -> Self {
        WsReceiver { inbound }
    }

    /// Waits for a message; `None`: the peer closed, or [`WsSender::close`](super::WsSender::close) was called.
    ///
    /// # Errors
    ///
    /// As [`WebSocket::recv`](super::WebSocket::recv).
    pub fn recv(&mut self) -> Result<Option<Message>> {
        self.inbound.message(Limit::NEVER).map(Recv::item)
    }

    /// Waits at most `timeout` in all, however the peer drips. A timeout is never fatal and loses no byte.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<Recv<Message>> {
        self.inbound.message(Limit::after(timeout))
    }

    /// Takes what has arrived, without blocking; `TimedOut`: nothing complete yet.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    pub fn try_recv(&mut self) -> Result<Recv<Message>> {
        self.inbound.message(Limit::after(Duration::ZERO))
    }

    /// As [`recv_timeout`](Self::recv_timeout), lending the message from the receive buffer, as
    /// [`WebSocket::recv_ref`](super::WebSocket::recv_ref).
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    pub fn recv_ref(&mut self, timeout: Duration) -> Result<Recv<MessageRef<'_>>> {
        self.inbound.message_ref(timeout)
    }

    /// Waits for the beginning of a message that is read in parts, as [`WebSocket::recv_parts`](super::WebSocket::recv_parts).
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    pub fn recv_parts(&mut self, timeout: Duration) -> Result<Recv<MessageReader<'_>>> {
        MessageReader::begin(&mut self.inbound, Limit::after(timeout))
    }

    /// Returns the descriptor to poll, as [`WebSocket::fd`](super::WebSocket::fd).
    #[cfg(unix)]
    pub fn fd(&self) -> Option<std::os::fd::BorrowedFd<'_>> {
        self.inbound.fd()
    }

    /// Returns the socket to poll, as [`WebSocket::socket`](super::WebSocket::socket).
    #[cfg(windows)]
    pub fn socket(&self) -> Option<std::os::windows::io::BorrowedSocket<'_>> {
        self.inbound.socket()
    }

    /// Returns whether bytes were received that no call has looked at, as [`WebSocket::has_buffered`](super::WebSocket::has_buffered).
    pub fn has_buffered(&self) -> bool {
        self.inbound.has_buffered()
    }

    /// Returns whether something accepted is unsent, as [`WebSocket::wants_write`](super::WebSocket::wants_write).
    pub fn wants_write(&self) -> bool {
        self.inbound.socket.wants_write()
    }

    /// Returns how it ended, once it has.
    pub fn closed(&self) -> Option<&Closed> {
        self.inbound.socket.closed()
    }
}

/// Waits for each message; ends when the peer closes, and behind an error.
impl Iterator for WsReceiver {
    type Item = Result<Message>;

    fn next(&mut self) -> Option<Self::Item> {
        self.inbound.next()
    }
}
