//! Whose fault it was: the peer's or the caller's, one variant per rule.

use std::fmt;

/// The rule that the peer broke; the connection ends with it.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Violation {
    // headers
    /// A control frame without FIN (RFC 6455, section 5.5).
    ControlFragmented,
    /// A control frame with more than 125 bytes (RFC 6455, section 5.5).
    ControlTooLong,
    /// A length in more bytes than it needs (RFC 6455, section 5.2).
    LengthNotMinimal,
    /// A length with the most significant bit set (RFC 6455, section 5.2).
    LengthTooLong,
    /// Client: a frame of the server is masked (RFC 6455, section 5.1).
    Masked,
    /// A reserved bit that no extension allows here (RFC 6455, section 5.2; RFC 7692, section 6).
    ReservedBits,
    /// An opcode without a meaning (RFC 6455, section 5.2).
    ReservedOpcode {
        /// The opcode.
        opcode: u8,
    },
    /// Server: a frame of the client is not masked (RFC 6455, section 5.1).
    Unmasked,

    // messages
    /// A continuation of no message (RFC 6455, section 5.4).
    ContinuationWithoutStart,
    /// Compressed data that cannot be inflated (RFC 7692, section 7.2.2).
    DeflateInvalid,
    /// A new message within a fragmented one (RFC 6455, section 5.4).
    MessageInsideMessage,
    /// A message that exceeds the limit (RFC 6455, section 10.4).
    MessageTooLong {
        /// The most bytes allowed.
        limit: u64,
    },
    /// A text that is not UTF-8 (RFC 6455, section 8.1).
    TextNotUtf8,

    // the end
    /// A Close with a code that must not be sent (RFC 6455, section 7.4).
    CloseCodeInvalid {
        /// The code.
        code: u16,
    },
    /// A Close with a payload of one byte (RFC 6455, section 5.5.1).
    CloseCodeCut,
    /// A Close whose reason is not UTF-8 (RFC 6455, section 5.5.1).
    CloseReasonNotUtf8,
    /// The connection ended without a Close: the code 1006 of RFC 6455, section 7.1.5.
    EndWithoutClose,

    // silence
    /// No Close came in answer to ours (RFC 6455, section 7.1.1).
    CloseUnanswered,
    /// A frame that began went no further.
    FrameStalled,
    /// Not one byte came in answer to a PING.
    Silent,
}

impl Violation {
    /// Returns the code of the Close that answers it; `None` where nothing is sent, because nobody listens.
    pub fn close_code(&self) -> Option<u16> {
        use Violation as V;
        match self {
            V::ControlFragmented
            | V::ControlTooLong
            | V::LengthNotMinimal
            | V::LengthTooLong
            | V::Masked
            | V::ReservedBits
            | V::ReservedOpcode { .. }
            | V::Unmasked
            | V::ContinuationWithoutStart
            | V::MessageInsideMessage
            | V::CloseCodeInvalid { .. }
            | V::CloseCodeCut => Some(1002),
            V::DeflateInvalid | V::TextNotUtf8 | V::CloseReasonNotUtf8 => Some(1007),
            V::FrameStalled => Some(1008),
            V::MessageTooLong { .. } => Some(1009),
            V::EndWithoutClose | V::CloseUnanswered | V::Silent => None,
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use Violation as V;
        f.write_str(match self {
            V::ControlFragmented => "a control frame in fragments",
            V::ControlTooLong => "a control frame of more than 125 bytes",
            V::LengthNotMinimal => "a length in more bytes than it needs",
            V::LengthTooLong => "a length of 2^63 or more",
            V::Masked => "a masked frame from a server",
            V::ReservedBits => "a reserved bit is set",
            V::ReservedOpcode { opcode } => return write!(f, "the reserved opcode {opcode:#x}"),
            V::Unmasked => "an unmasked frame from a client",
            V::ContinuationWithoutStart => "a continuation of no message",
            V::DeflateInvalid => "compressed data that cannot be inflated",
            V::MessageInsideMessage => "a new message within a fragmented one",
            V::MessageTooLong { limit } => return write!(f, "a message of more than {limit} bytes"),
            V::TextNotUtf8 => "a text that is not UTF-8",
            V::CloseCodeInvalid { code } => return write!(f, "the close code {code}, which must not be sent"),
            V::CloseCodeCut => "a close code of one byte",
            V::CloseReasonNotUtf8 => "a close reason that is not UTF-8",
            V::EndWithoutClose => "the connection ended without a close frame",
            V::CloseUnanswered => "no close frame came in answer to ours",
            V::FrameStalled => "a frame began and went no further",
            V::Silent => "no byte came in answer to a ping",
        })
    }
}

impl std::error::Error for Violation {}

/// What the caller asked for and may not have; nothing changed.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Misuse {
    /// More bytes than the length that the header of the frame declared.
    BeyondFrame {
        /// The bytes still allowed.
        left: u64,
        /// The bytes given.
        given: usize,
    },
    /// A Close went out, came in, or the connection failed.
    Closed,
    /// A close code that must not be sent (RFC 6455, section 7.4), or a reason without a code.
    CloseCodeInvalid,
    /// A control frame with more than 125 bytes (RFC 6455, section 5.5).
    ControlTooLong,
    /// A frame was begun and is not complete.
    FrameOpen,
    /// The kind of a message changed between its fragments.
    KindChanged,
    /// A length of 2^63 or more.
    LengthTooLong,
    /// A message was begun in fragments and is not complete.
    MessageOpen,
    /// Bytes for a frame that was not begun.
    NoFrame,
    /// A subprotocol that is not a token, or is named twice (RFC 6455, section 4.1).
    SubprotocolInvalid,
}

impl fmt::Display for Misuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use Misuse as M;
        f.write_str(match self {
            M::BeyondFrame { left, given } => return write!(f, "{given} bytes for a frame that has {left} left"),
            M::Closed => "the connection is closing or closed",
            M::CloseCodeInvalid => "a close code that must not be sent",
            M::ControlTooLong => "more than 125 bytes in a control frame",
            M::FrameOpen => "a frame is not complete",
            M::KindChanged => "the kind of the message changed within it",
            M::LengthTooLong => "a frame of 2^63 bytes or more",
            M::MessageOpen => "a message in fragments is not complete",
            M::NoFrame => "bytes for a frame that was not begun",
            M::SubprotocolInvalid => "a subprotocol that is not a token or is named twice",
        })
    }
}

impl std::error::Error for Misuse {}
