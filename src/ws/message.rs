//! What is sent and received, and how it ends.

use crate::error::{Error, Result};
use std::time::Duration;

/// A message. Pings, pongs and closes are handled by the library.
///
/// # Examples
///
/// ```
/// use bowline::ws::Message;
///
/// let message = Message::Text("hello".into());
/// assert_eq!((message.as_text(), message.as_bytes()), (Some("hello"), &b"hello"[..]));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// A text.
    Text(String),
    /// Bytes.
    Binary(Vec<u8>),
}

impl Message {
    /// Returns the text of a text message.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Message::Text(text) => Some(text),
            Message::Binary(_) => None,
        }
    }

    /// Returns the bytes of either.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Message::Text(text) => text.as_bytes(),
            Message::Binary(bytes) => bytes,
        }
    }
}

/// A message, borrowed: to be sent, made from `&str`, `&String`, `&[u8]`, `&Vec<u8>` and `&Message`; or lent by
/// [`recv_ref`](super::WebSocket::recv_ref).
///
/// # Examples
///
/// ```
/// use bowline::ws::{Message, MessageRef};
///
/// let message = MessageRef::from(b"bytes");
/// assert_eq!(message.to_message(), Message::Binary(b"bytes".to_vec()));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageRef<'a> {
    /// A text.
    Text(&'a str),
    /// Bytes.
    Binary(&'a [u8]),
}

impl<'a> MessageRef<'a> {
    /// Returns the bytes of either.
    pub fn as_bytes(&self) -> &'a [u8] {
        match self {
            MessageRef::Text(text) => text.as_bytes(),
            MessageRef::Binary(bytes) => bytes,
        }
    }

    /// Returns a message of its own.
    pub fn to_message(&self) -> Message {
        match self {
            MessageRef::Text(text) => Message::Text((*text).to_owned()),
            MessageRef::Binary(bytes) => Message::Binary(bytes.to_vec()),
        }
    }
}

impl<'a> From<&'a str> for MessageRef<'a> {
    fn from(text: &'a str) -> Self {
        MessageRef::Text(text)
    }
}

impl<'a> From<&'a String> for MessageRef<'a> {
    fn from(text: &'a String) -> Self {
        MessageRef::Text(text)
    }
}

impl<'a> From<&'a [u8]> for MessageRef<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        MessageRef::Binary(bytes)
    }
}

impl<'a, const N: usize> From<&'a [u8; N]> for MessageRef<'a> {
    fn from(bytes: &'a [u8; N]) -> Self {
        MessageRef::Binary(bytes)
    }
}

impl<'a> From<&'a Vec<u8>> for MessageRef<'a> {
    fn from(bytes: &'a Vec<u8>) -> Self {
        MessageRef::Binary(bytes)
    }
}

impl<'a> From<&'a Message> for MessageRef<'a> {
    fn from(message: &'a Message) -> Self {
        match message {
            Message::Text(text) => MessageRef::Text(text),
            Message::Binary(bytes) => MessageRef::Binary(bytes),
        }
    }
}

/// The answer of a send with a time limit. A message is accepted whole or not at all.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// It will go out; the rest of it is ours.
    Accepted,
    /// No room in time; nothing of it was sent, it is still the caller's.
    TimedOut,
}

/// A close code that may be sent (1000..=1014 without 1004..=1006, 3000..=4999; RFC 6455, section 7.4, and its registry).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CloseCode(u16);

impl CloseCode {
    /// The purpose of the connection is fulfilled: 1000.
    pub const NORMAL: CloseCode = CloseCode(1000);
    /// A server goes down, or a page is left: 1001.
    pub const GOING_AWAY: CloseCode = CloseCode(1001);

    /// Returns a code.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if it may not be sent.
    ///
    /// # Examples
    ///
    /// ```
    /// use bowline::ws::CloseCode;
    ///
    /// # fn main() -> bowline::Result<()> {
    /// assert_eq!(CloseCode::new(4001)?.as_u16(), 4001);
    /// // It stands for a Close without a code, and is never sent.
    /// assert!(CloseCode::new(1005).is_err());
    /// # Ok(())
    /// # }
    /// ```
    pub fn new(code: u16) -> Result<Self> {
        match code {
            1000..=1003 | 1007..=1014 | 3000..=4999 => Ok(CloseCode(code)),
            _ => Err(Error::invalid(format!("the close code {code} must not be sent"))),
        }
    }

    /// Returns the number.
    pub fn as_u16(self) -> u16 {
        self.0
    }
}

/// How a WebSocket ended.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closed {
    /// Their code; `None` if their Close had none (1005), or none came (1006).
    pub code: Option<u16>,
    /// Their reason, mostly empty.
    pub reason: String,
    /// Whether a Close of theirs came.
    pub clean: bool,
}

/// Counters of one socket, reconnects included.
#[non_exhaustive]
#[derive(Clone, Debug, Default)]
pub struct WsStats {
    /// Messages received whole.
    pub messages_in: u64,
    /// Messages accepted to be sent.
    pub messages_out: u64,
    /// Bytes of the messages received.
    pub bytes_in: u64,
    /// Bytes of the messages accepted to be sent.
    pub bytes_out: u64,
    /// Bytes accepted that the connection below has not taken.
    pub queued: usize,
    /// The time between the last PING that was answered and its answer.
    pub rtt: Option<Duration>,
    /// Answers to PINGs that were dropped for a newer one, because the peer took nothing.
    pub pongs_dropped: u64,
    /// Messages in the outbox that the peer has not confirmed.
    pub unconfirmed: usize,
    /// How often it was opened again.
    pub reconnects: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_that_may_be_sent() {
        for (code, allowed) in [
            (0, false),
            (999, false),
            (1000, true),
            (1003, true),
            (1004, false),
            (1006, false),
            (1007, true),
            (1014, true),
            (1015, false),
            (2999, false),
            (3000, true),
            (4999, true),
            (5000, false),
        ] {
            assert_eq!(CloseCode::new(code).is_ok(), allowed, "{code}");
        }
    }
}
