//! What a connection tells its caller.

use crate::proto::End;

/// What a message holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Any bytes.
    Binary,
    /// UTF-8.
    Text,
}

/// What happened; borrows its payload from the input.
///
/// A message is any number of `Piece`, the last one with [`End::Last`]; `Ping` and `Pong` may come between them, since
/// peers may send them between fragments. Nothing follows `Closed`.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'b> {
    /// The peer sent Close; the answer, if it was owed, is in `out`.
    Closed {
        /// Its code; `None` if the frame was empty (RFC 6455, section 7.1.5, calls that 1005).
        code: Option<u16>,
        /// Its reason, mostly empty.
        reason: &'b str,
    },
    /// Bytes of a message, as they arrive; empty only if `end` is [`End::Last`].
    ///
    /// A text is known to be UTF-8 as far as it came, but a piece may end within a character. A message that lies in
    /// the input as one frame is one piece.
    Piece {
        /// What the message holds.
        kind: Kind,
        /// The bytes.
        data: &'b [u8],
        /// Whether they end the message.
        end: End,
    },
    /// The peer sent PING; the answer is in `out`, or follows when there is room.
    Ping(&'b [u8]),
    /// The peer sent PONG.
    Pong(&'b [u8]),
}
