//! The sending half.

use super::{
    message::{CloseCode, Message, MessageRef, Sent, WsStats},
    parts::MessageWriter,
    socket::Socket,
    stage::{Outgoing, Sender, Writer},
};
use crate::{
    drive::Limits,
    error::{Error, ErrorKind, Phase, Result},
    time::Deadline,
};
use std::{sync::Arc, time::Duration};

/// The sending half: clone it for as many threads as send. While the other half reconnects, a send waits
/// ([`Config::send_timeout`](super::Config::send_timeout)).
///
/// # Examples
///
/// ```no_run
/// use bowline::{Client, ws::CloseCode};
///
/// # fn main() -> bowline::Result<()> {
/// let (sender, mut receiver) = Client::new().websocket("wss://example.org/feed").connect()?.split();
/// let other = sender.clone();
/// std::thread::spawn(move || other.send("from another thread"));
/// while let Some(message) = receiver.recv()? {
///     if message.as_text() == Some("enough") {
///         sender.close(CloseCode::NORMAL, "")?;
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct WsSender {
    socket: Arc<Socket>,
    limits: Limits,
    sender: Sender,
}

impl WsSender {
    pub(super) fn new(socket: Arc<Socket>, limits: Limits, sender: Sender) -> Self {
        WsSender { socket, limits, sender }
    }

    /// Sends one message, as [`WebSocket::send`](super::WebSocket::send).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn send<'a>(&self, message: impl Into<MessageRef<'a>>) -> Result<()> {
        let timeout = self.socket.send_timeout;
        match self.send_timeout(message, timeout)? {
            Sent::Accepted => Ok(()),
            Sent::TimedOut => Err(no_room(timeout)),
        }
    }

    /// Sends within `timeout`, or not at all, as [`WebSocket::send_timeout`](super::WebSocket::send_timeout).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn send_timeout<'a>(&self, message: impl Into<MessageRef<'a>>, timeout: Duration) -> Result<Sent> {
        self.socket.send(Outgoing::Whole(message.into()), self.sender, timeout, &self.limits)
    }

    /// Sends if there is room, without blocking, as [`WebSocket::try_send`](super::WebSocket::try_send).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn try_send<'a>(&self, message: impl Into<MessageRef<'a>>) -> Result<Sent> {
        self.socket.try_send(Outgoing::Whole(message.into()), self.sender)
    }

    /// Accepts a message to be sent with others, as [`WebSocket::send_buffered`](super::WebSocket::send_buffered).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn send_buffered<'a>(&self, message: impl Into<MessageRef<'a>>) -> Result<()> {
        let (message, timeout) = (message.into(), self.socket.send_timeout);
        if self.socket.buffer_short(message) {
            return Ok(());
        }
        match self.socket.buffer(message, self.sender, timeout, &self.limits)? {
            Sent::Accepted => Ok(()),
            Sent::TimedOut => Err(no_room(timeout)),
        }
    }

    /// Waits until everything accepted so far is in the hands of the operating system, as [`WebSocket::flush`](super::WebSocket::flush).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn flush(&self) -> Result<()> {
        let timeout = self.socket.send_timeout;
        match self.socket.flush(timeout, &self.limits)? {
            Sent::Accepted => Ok(()),
            Sent::TimedOut => Err(no_room(timeout)),
        }
    }

    /// Returns whether something accepted is unsent, as [`WebSocket::wants_write`](super::WebSocket::wants_write).
    pub fn wants_write(&self) -> bool {
        self.socket.wants_write()
    }

    /// Begins a message that is sent in parts, as [`WebSocket::send_parts`](super::WebSocket::send_parts).
    pub fn send_parts(&self) -> MessageWriter<'_> {
        MessageWriter::new(self)
    }

    pub(super) fn send_outgoing(&self, what: Outgoing<'_>) -> Result<Sent> {
        self.socket.send(what, self.sender, self.socket.send_timeout, &self.limits)
    }

    pub(super) fn make_writer(&self) -> Writer {
        self.socket.lock().make_writer()
    }

    pub(super) fn give_message_up(&self, writer: Writer) {
        self.socket.give_message_up(writer);
    }

    pub(super) fn timeout(&self) -> Duration {
        self.socket.send_timeout
    }

    /// Sends a PING; the receiving half, while it waits, sees the answer, and `stats().rtt` shows it.
    ///
    /// # Errors
    ///
    /// If the connection is closing or closed, or the peer left no room for so long as a send may wait.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # fn main() -> bowline::Result<()> {
    /// let (sender, receiver) = bowline::Client::new().websocket("wss://example.org/feed").connect()?.split();
    /// sender.ping()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn ping(&self) -> Result<()> {
        self.socket.ping(Deadline::NEVER, &mut self.limits.clone()).map(|_| ())
    }

    /// Returns the messages that the peer has not confirmed, oldest first, if there is an outbox (`Builder::outbox` of the client):
    /// behind the end of a connection, what may not have arrived.
    pub fn unconfirmed(&self) -> Vec<Message> {
        self.socket.unconfirmed()
    }

    /// Sends Close and waits for theirs, at most 3 s. A receiver that waits sees the end at once, and one that is busy with a message that
    /// was lent to it keeps that; what else the peer sends is discarded. If the socket is closing or closed already, nothing happens.
    ///
    /// Theirs may stand behind other messages in the buffer in which one is lent: then it is seen once the receiver comes back for more.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`] for a reason above 123 bytes; [`ErrorKind::TimedOut`] or [`ErrorKind::Closed`] if no Close of
    /// theirs came: it is over all the same.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use bowline::ws::CloseCode;
    ///
    /// # fn main() -> bowline::Result<()> {
    /// let (sender, receiver) = bowline::Client::new().websocket("wss://example.org/feed").connect()?.split();
    /// sender.close(CloseCode::NORMAL, "")?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn close(&self, code: CloseCode, reason: &str) -> Result<()> {
        self.socket.close(code, reason, &mut self.limits.clone())
    }

    /// Returns the counters and the last round trip time.
    pub fn stats(&self) -> WsStats {
        self.socket.lock().stats()
    }
}

#[cold]
pub(super) fn no_room(timeout: Duration) -> Error {
    let text = format!("the peer left no room for a message within {timeout:?}");
    Error::with(ErrorKind::TimedOut, text).in_phase(Phase::Send)
}
