//! A whole socket.

mod polling;

use super::{
    config::Config,
    inbound::{Inbound, Limit},
    message::{CloseCode, Closed, Message, MessageRef, Sent, WsStats},
    parts::{MessageReader, MessageWriter},
    receiver::WsReceiver,
    reopen::Reopen,
    sender::{WsSender, no_room},
    socket::Socket,
    stage::Sender,
};
use crate::{
    drive::{Limits, Stream, raw},
    error::Result,
    net::Wire,
    proto::{Role, ws::Agreed},
    recv::Recv,
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// A WebSocket, client or server, over HTTP/1 or an HTTP/2 stream.
///
/// PINGs are answered, and closes echoed, by whoever waits to receive. Dropping it without [`close`](Self::close) is for the peer a
/// connection that broke (1006).
///
/// # Examples
///
/// ```no_run
/// use bowline::{Client, Recv, ws::CloseCode};
/// use std::time::Duration;
///
/// # fn main() -> bowline::Result<()> {
/// let mut socket = Client::new().websocket("wss://example.org/echo").connect()?;
/// socket.send("hello")?;
/// match socket.recv_timeout(Duration::from_secs(1))? {
///     Recv::Item(message) => println!("{:?}", message.as_text()),
///     Recv::TimedOut => println!("nothing yet"),
///     Recv::Ended => println!("{:?}", socket.closed()),
/// }
/// socket.close(CloseCode::NORMAL, "")?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct WebSocket {
    inbound: Inbound,
    sender: WsSender,
}

impl WebSocket {
    /// Puts it on any wire, after the caller's own handshake; without compression, which a handshake would have to agree on.
    ///
    /// # Errors
    ///
    /// None so far.
    ///
    /// # Examples
    ///
    /// ```
    /// use bowline::{net::pair, ws::{Config, Message, Role, WebSocket}};
    ///
    /// # fn main() -> bowline::Result<()> {
    /// let (near, far) = pair(1024);
    /// let mut client = WebSocket::over(near, Role::Client, Config::default())?;
    /// let mut server = WebSocket::over(far, Role::Server, Config::default())?;
    /// client.send("hello")?;
    /// assert_eq!(server.recv()?, Some(Message::Text("hello".into())));
    /// # Ok(())
    /// # }
    /// ```
    pub fn over(wire: impl Wire + 'static, role: Role, config: Config) -> Result<Self> {
        let stream = raw(Arc::new(wire), Instant::now());
        Ok(Self::on(stream, role, Agreed::default(), config, Limits::default()))
    }

    /// Puts it on a stream behind a handshake.
    pub(crate) fn on(stream: Stream, role: Role, agreed: Agreed, config: Config, limits: Limits) -> Self {
        let socket = Arc::new(Socket::new(role, &config, &agreed, stream.clone()));
        let sender = WsSender::new(socket.clone(), limits.clone(), Sender::Anybody);
        WebSocket { inbound: Inbound::new(socket, stream, agreed, config, limits), sender }
    }

    /// Keeps so many bytes of messages until they are confirmed.
    pub(crate) fn keep_messages(mut self, limit: usize) -> Self {
        self.inbound.keep_messages(limit);
        self
    }

    /// Runs the caller's code for the first opening, and has it opened again when it breaks.
    pub(crate) fn reopen_by(mut self, reopen: Reopen) -> Result<Self> {
        self.inbound.reopen_by(reopen)?;
        Ok(self)
    }

    /// Waits for a place in the outbox, and for a connection.
    fn make_room(&mut self) -> Result<()> {
        let timeout = self.sender.timeout();
        match self.inbound.make_room(timeout)? {
            Some(_) => Ok(()),
            None => Err(no_room(timeout)),
        }
    }

    /// Sends one message; blocks under back-pressure, at most [`Config::send_timeout`].
    ///
    /// A message is accepted whole or not at all, when less than 64 KiB of those before it are unsent; then this waits until it is in the
    /// hands of the operating system, and if that takes too long the rest goes out with later calls.
    ///
    /// With an outbox that is full (`Builder::outbox` of the client) it waits for the peer to confirm what is in it, and while the
    /// connection is lost for the next one; what arrives meanwhile is kept for the calls that receive, up to about the limit of one message.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::TimedOut`](crate::ErrorKind::TimedOut) if there was no room in time; [`ErrorKind::Closed`](crate::ErrorKind::Closed) if it is closing or closed; whatever broke the
    /// connection, in which case the message may have arrived ([`Processed::Maybe`](crate::Processed::Maybe)) unless it was not accepted.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> bowline::Result<()> {
    /// # use bowline::{net::pair, ws::{Config, Role, WebSocket}};
    /// # let (near, far) = pair(1024);
    /// # let mut socket = WebSocket::over(near, Role::Client, Config::default())?;
    /// # let mut peer = WebSocket::over(far, Role::Server, Config::default())?;
    /// socket.send("a text")?;
    /// socket.send(b"bytes")?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn send<'a>(&mut self, message: impl Into<MessageRef<'a>>) -> Result<()> {
        if self.inbound.sees_to_room() {
            self.make_room()?;
        }
        self.sender.send(message)
    }

    /// Sends within `timeout`, or not at all.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send), but for the timeout.
    ///
    /// # Examples
    ///
    /// ```
    /// use bowline::ws::Sent;
    /// use std::time::Duration;
    ///
    /// # fn main() -> bowline::Result<()> {
    /// # use bowline::{net::pair, ws::{Config, Role, WebSocket}};
    /// # let (near, far) = pair(1024);
    /// # let mut socket = WebSocket::over(near, Role::Client, Config::default())?;
    /// # let mut peer = WebSocket::over(far, Role::Server, Config::default())?;
    /// if socket.send_timeout("news", Duration::from_millis(100))? == Sent::TimedOut {
    ///     println!("the peer is slow: dropped");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn send_timeout<'a>(&mut self, message: impl Into<MessageRef<'a>>, timeout: Duration) -> Result<Sent> {
        let mut left = timeout;
        if self.inbound.sees_to_room() {
            match self.inbound.make_room(timeout)? {
                Some(d) => left = d,
                None => return Ok(Sent::TimedOut),
            }
        }
        self.sender.send_timeout(message, left)
    }

    /// Sends if there is room, without blocking. What the wire does not take at once goes out with later calls, whatever they are.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send), but for the timeout.
    ///
    /// # Examples
    ///
    /// ```
    /// use bowline::ws::Sent;
    ///
    /// # fn main() -> bowline::Result<()> {
    /// # use bowline::{net::pair, ws::{Config, Role, WebSocket}};
    /// # let (near, far) = pair(1024);
    /// # let mut socket = WebSocket::over(near, Role::Client, Config::default())?;
    /// # let mut peer = WebSocket::over(far, Role::Server, Config::default())?;
    /// assert_eq!(socket.try_send("news")?, Sent::Accepted);
    /// # Ok(())
    /// # }
    /// ```
    pub fn try_send<'a>(&mut self, message: impl Into<MessageRef<'a>>) -> Result<Sent> {
        self.sender.try_send(message)
    }

    /// Accepts a message to be sent together with others: when 256 KiB of them are unsent, with [`flush`](Self::flush) or any send that
    /// is not buffered, or when a call waits to receive. Calls to the system are saved where many small messages are sent at once.
    ///
    /// Blocks only under back-pressure, at most [`Config::send_timeout`].
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    ///
    /// # Examples
    ///
    /// ```
    /// # use bowline::{net::pair, ws::{Config, Role, WebSocket}};
    /// # fn main() -> bowline::Result<()> {
    /// # let (near, far) = pair(1024);
    /// # let mut socket = WebSocket::over(near, Role::Client, Config::default())?;
    /// # let mut peer = WebSocket::over(far, Role::Server, Config::default())?;
    /// for n in 0..10 {
    ///     socket.send_buffered(&format!("tick {n}"))?;
    /// }
    /// socket.flush()?;
    /// # assert_eq!(peer.recv()?.as_ref().and_then(|m| m.as_text()), Some("tick 0"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn send_buffered<'a>(&mut self, message: impl Into<MessageRef<'a>>) -> Result<()> {
        if self.inbound.sees_to_room() {
            self.make_room()?;
        }
        self.sender.send_buffered(message)
    }

    /// Waits until everything accepted so far is in the hands of the operating system, at most [`Config::send_timeout`]; not for what
    /// others send meanwhile.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::TimedOut`](crate::ErrorKind::TimedOut) if the peer left no room in time: nothing is lost, later calls go on; whatever
    /// broke the connection.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> bowline::Result<()> {
    /// # use bowline::{net::pair, ws::{Config, Role, WebSocket}};
    /// # let (near, far) = pair(1024);
    /// # let mut socket = WebSocket::over(near, Role::Client, Config::default())?;
    /// # let mut peer = WebSocket::over(far, Role::Server, Config::default())?;
    /// socket.send_buffered("a")?;
    /// socket.send_buffered("b")?;
    /// socket.flush()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn flush(&mut self) -> Result<()> {
        self.sender.flush()
    }

    /// Waits for a message; `None`: the peer closed.
    ///
    /// What ends the wait: a message, the end, a [`Cancel`](crate::Cancel) token, an interrupt of the client, and if they are set the
    /// heartbeat and [`Config::frame_stall`].
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Closed`](crate::ErrorKind::Closed) if the connection ended without a Close (1006); [`ErrorKind::TimedOut`](crate::ErrorKind::TimedOut) if the peer did not answer a
    /// heartbeat or a frame stalled; [`ErrorKind::TooLarge`](crate::ErrorKind::TooLarge) above the limit of a message; [`ErrorKind::PeerViolation`](crate::ErrorKind::PeerViolation);
    /// [`ErrorKind::Cancelled`](crate::ErrorKind::Cancelled). All but the last are final, and every later call gives them again.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> bowline::Result<()> {
    /// # use bowline::{net::pair, ws::{Config, Role, WebSocket}};
    /// # let (near, far) = pair(1024);
    /// # let mut socket = WebSocket::over(near, Role::Client, Config::default())?;
    /// # let mut peer = WebSocket::over(far, Role::Server, Config::default())?;
    /// # peer.send("hello")?;
    /// # std::thread::spawn(move || peer.close(bowline::ws::CloseCode::GOING_AWAY, ""));
    /// while let Some(message) = socket.recv()? {
    ///     println!("{:?}", message.as_text());
    /// }
    /// assert_eq!(socket.closed().and_then(|closed| closed.code), Some(1001));
    /// # Ok(())
    /// # }
    /// ```
    pub fn recv(&mut self) -> Result<Option<Message>> {
        self.inbound.message(Limit::NEVER).map(Recv::item)
    }

    /// Waits at most `timeout` in all, however the peer drips. A timeout is never fatal and loses no byte; zero looks at what is there.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    ///
    /// # Examples
    ///
    /// ```
    /// use bowline::Recv;
    /// use std::time::Duration;
    ///
    /// # fn main() -> bowline::Result<()> {
    /// # use bowline::{net::pair, ws::{Config, Role, WebSocket}};
    /// # let (near, far) = pair(1024);
    /// # let mut socket = WebSocket::over(near, Role::Client, Config::default())?;
    /// # let mut peer = WebSocket::over(far, Role::Server, Config::default())?;
    /// assert_eq!(socket.recv_timeout(Duration::from_millis(10))?, Recv::TimedOut);
    /// peer.send("here I am")?;
    /// assert!(matches!(socket.recv_timeout(Duration::from_secs(1))?, Recv::Item(_)));
    /// # Ok(())
    /// # }
    /// ```
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<Recv<Message>> {
        self.inbound.message(Limit::after(timeout))
    }

    /// Takes what has arrived, without blocking; `TimedOut`: nothing complete yet.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    ///
    /// # Examples
    ///
    /// ```
    /// use bowline::Recv;
    ///
    /// # fn main() -> bowline::Result<()> {
    /// # use bowline::{net::pair, ws::{Config, Role, WebSocket}};
    /// # let (near, far) = pair(1024);
    /// # let mut socket = WebSocket::over(near, Role::Client, Config::default())?;
    /// # let mut peer = WebSocket::over(far, Role::Server, Config::default())?;
    /// assert_eq!(socket.try_recv()?, Recv::TimedOut);
    /// # Ok(())
    /// # }
    /// ```
    pub fn try_recv(&mut self) -> Result<Recv<Message>> {
        self.inbound.message(Limit::after(Duration::ZERO))
    }

    /// As [`recv_timeout`](Self::recv_timeout), lending the message from the receive buffer: no copy, no allocation.
    ///
    /// A message in fragments, compressed, or larger than the buffer is put together in another buffer, which is reused.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    ///
    /// # Examples
    ///
    /// ```
    /// use bowline::Recv;
    /// use std::time::Duration;
    ///
    /// # fn main() -> bowline::Result<()> {
    /// # use bowline::{net::pair, ws::{Config, Role, WebSocket}};
    /// # let (near, far) = pair(1024);
    /// # let mut socket = WebSocket::over(near, Role::Client, Config::default())?;
    /// # let mut peer = WebSocket::over(far, Role::Server, Config::default())?;
    /// peer.send("lent")?;
    /// if let Recv::Item(message) = socket.recv_ref(Duration::from_secs(1))? {
    ///     assert_eq!(message.as_bytes(), b"lent");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn recv_ref(&mut self, timeout: Duration) -> Result<Recv<MessageRef<'_>>> {
        self.inbound.message_ref(timeout)
    }

    /// Waits for the beginning of a message, to be read in parts as it arrives and never held whole.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    ///
    /// # Examples
    ///
    /// ```
    /// use bowline::{Recv, net::pair, ws::{Config, Role, WebSocket}};
    /// use std::{io, time::Duration};
    ///
    /// # fn main() -> bowline::Result<()> {
    /// let (near, far) = pair(1 << 20);
    /// let mut client = WebSocket::over(near, Role::Client, Config::default())?;
    /// let mut server = WebSocket::over(far, Role::Server, Config::default().max_message(1024))?;
    /// let mut message = client.send_parts();
    /// for _ in 0..100 {
    ///     message.send(&[7; 1000])?;
    /// }
    /// message.finish()?;
    ///
    /// if let Recv::Item(mut reader) = server.recv_parts(Duration::from_secs(1))? {
    ///     assert_eq!(io::copy(&mut reader, &mut io::sink())?, 100_000);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn recv_parts(&mut self, timeout: Duration) -> Result<Recv<MessageReader<'_>>> {
        MessageReader::begin(&mut self.inbound, Limit::after(timeout))
    }

    /// Begins a message that is sent in parts, each of them on its way before the next one is known.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> bowline::Result<()> {
    /// # use bowline::{net::pair, ws::{Config, Role, WebSocket}};
    /// # let (near, far) = pair(1024);
    /// # let mut socket = WebSocket::over(near, Role::Client, Config::default())?;
    /// # let mut peer = WebSocket::over(far, Role::Server, Config::default())?;
    /// let mut message = socket.send_parts();
    /// message.send("one part, ")?;
    /// message.send("and another")?;
    /// message.finish()?;
    /// assert_eq!(peer.recv()?.unwrap().as_text(), Some("one part, and another"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn send_parts(&mut self) -> MessageWriter<'_> {
        self.sender.send_parts()
    }

    /// Sends a PING; its answer, which a receiving call sees, shows in `stats().rtt`.
    ///
    /// # Errors
    ///
    /// If it is closing or closed, or the peer left no room for so long as a send may wait.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// # fn main() -> bowline::Result<()> {
    /// # use bowline::{net::pair, ws::{Config, Role, WebSocket}};
    /// # let (near, far) = pair(1024);
    /// # let mut socket = WebSocket::over(near, Role::Client, Config::default())?;
    /// # let mut peer = WebSocket::over(far, Role::Server, Config::default())?;
    /// socket.ping()?;
    /// # peer.try_recv()?;
    /// socket.recv_timeout(Duration::from_millis(10))?;
    /// println!("{:?}", socket.stats().rtt);
    /// # Ok(())
    /// # }
    /// ```
    pub fn ping(&mut self) -> Result<()> {
        self.sender.ping()
    }

    /// Waits until the peer has received everything sent so far (PING barrier), and returns how long that took; `None`: not in time.
    ///
    /// Messages that come meanwhile are kept, up to about the limit of one message; with more the answer can never be reached, and it is
    /// `None` when the time is up.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv); [`ErrorKind::Closed`](crate::ErrorKind::Closed) if the peer closed.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::time::Duration;
    ///
    /// # fn main() -> bowline::Result<()> {
    /// let mut socket = bowline::Client::new().websocket("wss://example.org/log").connect()?;
    /// socket.send("the last line")?;
    /// if socket.confirm(Duration::from_secs(5))?.is_none() {
    ///     println!("it may not have arrived");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn confirm(&mut self, timeout: Duration) -> Result<Option<Duration>> {
        self.inbound.confirm(timeout)
    }

    /// Returns the messages that the peer has not confirmed, oldest first, if there is an outbox (`Builder::outbox` of the client).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # fn main() -> bowline::Result<()> {
    /// let mut socket = bowline::Client::new().websocket("wss://example.org/log").outbox(1 << 20).connect()?;
    /// if socket.send("a line").is_err() {
    ///     println!("{} messages may not have arrived", socket.unconfirmed().len());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn unconfirmed(&self) -> Vec<Message> {
        self.sender.unconfirmed()
    }

    /// Sends Close and waits for theirs, at most 3 s; queued messages are discarded.
    ///
    /// # Errors
    ///
    /// As [`WsSender::close`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use bowline::{Client, ws::CloseCode};
    ///
    /// # fn main() -> bowline::Result<()> {
    /// let socket = Client::new().websocket("wss://example.org/echo").connect()?;
    /// socket.close(CloseCode::NORMAL, "thank you")?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn close(mut self, code: CloseCode, reason: &str) -> Result<()> {
        self.inbound.give_back();
        self.sender.close(code, reason)
    }

    /// Returns how it ended, once it has.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # fn main() -> bowline::Result<()> {
    /// let mut socket = bowline::Client::new().websocket("wss://example.org/echo").connect()?;
    /// while socket.recv()?.is_some() {}
    /// println!("{:?}", socket.closed());
    /// # Ok(())
    /// # }
    /// ```
    pub fn closed(&self) -> Option<&Closed> {
        self.inbound.socket.closed()
    }

    /// Returns the subprotocol agreed on.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # fn main() -> bowline::Result<()> {
    /// let socket = bowline::Client::new().websocket("wss://example.org/chat").subprotocols(&["chat.v2"]).connect()?;
    /// assert_eq!(socket.subprotocol(), Some("chat.v2"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn subprotocol(&self) -> Option<&str> {
        self.inbound.subprotocol()
    }

    /// Returns the counters and the last round trip time.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # fn main() -> bowline::Result<()> {
    /// let socket = bowline::Client::new().websocket("wss://example.org/echo").connect()?;
    /// println!("{} messages in, {:?} round trip", socket.stats().messages_in, socket.stats().rtt);
    /// # Ok(())
    /// # }
    /// ```
    pub fn stats(&self) -> WsStats {
        self.sender.stats()
    }

    /// Returns two halves for two threads: a blocked `recv` never delays a `send`.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # fn main() -> bowline::Result<()> {
    /// let socket = bowline::Client::new().websocket("wss://example.org/echo").connect()?;
    /// let (sender, mut receiver) = socket.split();
    /// std::thread::spawn(move || sender.send("from another thread"));
    /// println!("{:?}", receiver.recv()?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn split(mut self) -> (WsSender, WsReceiver) {
        self.inbound.give_back();
        (self.sender, WsReceiver::new(self.inbound))
    }
}

/// Waits for each message; ends when the peer closes, and behind an error.
impl Iterator for WebSocket {
    type Item = Result<Message>;

    fn next(&mut self) -> Option<Self::Item> {
        self.inbound.next()
    }
}
