//! A message in parts, for those who do not want to hold it whole.

use super::{
    inbound::{Inbound, Limit},
    message::{MessageRef, Sent},
    sender::{WsSender, no_room},
    stage::{Arrived, Begun, Outgoing, Want, Writer},
};
use crate::{
    buf::RecvBuf,
    error::{Error, ErrorKind, Phase, Result},
    proto::{End, ws::Kind},
    recv::Recv,
};
use std::{
    io::{self, Read, Write},
    time::Duration,
};

/// A message that is read while it arrives; made by [`WebSocket::recv_parts`](super::WebSocket::recv_parts).
///
/// Reads give what is there, and zero at the end of the message. [`Config::max_message`](super::Config::max_message) does not hold: of a
/// message that is read like this no more is held than arrived at once, at most about 256 KiB, so it may be as long as the peer likes,
/// and whoever has enough drops the reader. The rest is then discarded by the calls that receive the next message. A text is known to be
/// UTF-8 as far as it was read, though a read may end within a character. PINGs between its fragments are answered meanwhile.
#[derive(Debug)]
pub struct MessageReader<'a> {
    inbound: &'a mut Inbound,
    kind: Kind,
    part: RecvBuf,
    /// Whether the part is the last one.
    end: End,
}

impl<'a> MessageReader<'a> {
    /// Waits for the beginning of a message.
    pub(super) fn begin(inbound: &'a mut Inbound, limit: Limit) -> Result<Recv<Self>> {
        match inbound.part(Want::Part, limit)? {
            Recv::Item((kind, part, end)) => Ok(Recv::Item(MessageReader { inbound, kind, part, end })),
            Recv::TimedOut => Ok(Recv::TimedOut),
            Recv::Ended => Ok(Recv::Ended),
        }
    }

    /// Returns whether the message is a text.
    pub fn is_text(&self) -> bool {
        self.kind == Kind::Text
    }

    /// Waits at most so long for the next bytes; `Ended` is the end of the message. A timeout loses no byte.
    ///
    /// # Errors
    ///
    /// As [`WebSocket::recv`](super::WebSocket::recv); [`ErrorKind::Closed`] if the connection ended within the message.
    pub fn read_timeout(&mut self, buf: &mut [u8], timeout: Duration) -> Result<Recv<usize>> {
        match self.read_until(buf, Limit::after(timeout))? {
            Recv::Item(0) if !buf.is_empty() => Ok(Recv::Ended),
            read => Ok(read),
        }
    }

    /// Zero is the end.
    fn read_until(&mut self, buf: &mut [u8], limit: Limit) -> Result<Recv<usize>> {
        while self.part.is_empty() && self.end == End::More && !buf.is_empty() {
            self.inbound.reuse(std::mem::take(&mut self.part));
            match self.inbound.part(Want::Rest, limit)? {
                Recv::Item((_, part, end)) => (self.part, self.end) = (part, end),
                Recv::TimedOut => return Ok(Recv::TimedOut),
                Recv::Ended => {
                    let e = Error::with(ErrorKind::Closed, "the connection was closed within a message");
                    return Err(e.in_phase(Phase::Receive));
                }
            }
        }
        let n = buf.len().min(self.part.len());
        buf[..n].copy_from_slice(self.part.take(n));
        Ok(Recv::Item(n))
    }
}

impl Read for MessageReader<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        Ok(self.read_until(buf, Limit::NEVER)?.item().unwrap_or(0))
    }
}

/// Nobody wants the rest.
impl Drop for MessageReader<'_> {
    fn drop(&mut self) {
        self.part.clear();
        self.inbound.reuse(std::mem::take(&mut self.part));
        if self.end == End::More {
            self.inbound.skip();
        }
    }
}

/// A message that is sent in parts; made by [`WebSocket::send_parts`](super::WebSocket::send_parts).
///
/// Each part is a fragment, sent at once and never compressed. What the first one is, a text or bytes, the others have to be too. Until
/// [`finish`](Self::finish) everybody else who sends waits; PINGs are answered meanwhile. A message that is dropped before cannot be taken
/// back, so it ends the connection, with the close code 1011.
#[derive(Debug)]
pub struct MessageWriter<'a> {
    sender: &'a WsSender,
    writer: Writer,
    state: State,
}

/// How far the message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nothing of it was sent.
    New,
    /// A part was sent.
    Begun(Kind),
    /// All of it was sent.
    Finished,
}

impl<'a> MessageWriter<'a> {
    pub(super) fn new(sender: &'a WsSender) -> Self {
        MessageWriter { sender, writer: sender.make_writer(), state: State::New }
    }

    /// Sends the next part; blocks under back-pressure, at most [`Config::send_timeout`](super::Config::send_timeout).
    ///
    /// # Errors
    ///
    /// As [`WebSocket::send`](super::WebSocket::send), and after [`ErrorKind::TimedOut`] the same part may be sent again;
    /// [`ErrorKind::Misuse`] if it is of another kind than the first one; [`ErrorKind::Closed`] if the socket was opened again meanwhile.
    pub fn send<'m>(&mut self, part: impl Into<MessageRef<'m>>) -> Result<()> {
        self.part(part.into(), End::More)
    }

    /// Ends the message. One without any part is of bytes, and empty.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn finish(mut self) -> Result<()> {
        let last = match self.state {
            State::Begun(Kind::Text) => MessageRef::Text(""),
            State::Begun(Kind::Binary) | State::New | State::Finished => MessageRef::Binary(&[]),
        };
        self.part(last, End::Last)
    }

    fn part(&mut self, part: MessageRef<'_>, end: End) -> Result<()> {
        let begun = if self.state == State::New { Begun::No } else { Begun::Yes };
        match self.sender.send_outgoing(Outgoing::Part(begun, part, end, self.writer))? {
            Sent::Accepted => {
                let kind = if matches!(part, MessageRef::Text(_)) { Kind::Text } else { Kind::Binary };
                self.state = if end == End::Last { State::Finished } else { State::Begun(kind) };
                Ok(())
            }
            Sent::TimedOut => Err(no_room(self.sender.timeout())),
        }
    }
}

/// Writes parts of a message of bytes.
impl Write for MessageWriter<'_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        if !buf.is_empty() {
            self.send(buf)?;
        }
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(self.sender.flush()?)
    }
}

impl Drop for MessageWriter<'_> {
    fn drop(&mut self) {
        if matches!(self.state, State::Begun(_)) {
            self.sender.give_message_up(self.writer);
        }
    }
}

impl Inbound {
    /// Waits for the next part of a message, and whether it is the last one.
    fn part(&mut self, want: Want, limit: Limit) -> Result<Recv<(Kind, RecvBuf, End)>> {
        match self.wait(want, limit).transpose()? {
            None => Ok(Recv::TimedOut),
            Some(Arrived::Part(kind, end)) => Ok(Recv::Item((kind, self.take_assembly(), end))),
            Some(Arrived::Message(message)) => {
                let kind = if message.as_text().is_some() { Kind::Text } else { Kind::Binary };
                let mut part = RecvBuf::new();
                part.extend_exactly(message.as_bytes());
                Ok(Recv::Item((kind, part, End::Last)))
            }
            Some(_) => Ok(Recv::Ended),
        }
    }

    /// Takes the memory of a part back, if that is worth while.
    fn reuse(&mut self, part: RecvBuf) {
        if part.capacity() > 0 {
            self.socket.lock().give_back(part);
        }
    }

    /// Discards the rest of the message.
    fn skip(&mut self) {
        self.socket.lock().skip();
    }
}
