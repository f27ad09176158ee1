//! Engines: protocol state without sockets, clocks, threads or randomness.
//!
//! | engine | rules | speaks |
//! |---|---|---|
//! | [`h1`] | RFC 9112 | one exchange after the other |
//! | [`h2`] | RFC 9113, RFC 7541 (`hpack`) | many streams on one connection |
//! | [`ws`] | RFC 6455, RFC 7692 | messages both ways |
//!
//! # The contract
//!
//! Every engine is a struct `Connection` with four kinds of method.
//!
//! | kind | form | may fail with |
//! |---|---|---|
//! | event | `poll_event(&mut self, now, input, out) -> Result<Option<Event<'b>>, Violation>` | the peer's fault; final |
//! | direct | `expects(&self)`, `took(&mut self, n)`: the next bytes are payload that may be read past the engine | only after `poll_event` gave `None` |
//! | command | `open`, `send_*`, `release`, `reset`, `ping`, `close`: `(…, out) -> Result<_, Misuse>` | our caller's fault; changes nothing |
//! | time | `deadline(&self)`, `handle_deadline(&mut self, now, out)` | the peer's silence |
//!
//! 1. **Bytes come in by argument and go out by argument.** An engine keeps no unsent bytes, and of received ones only a
//!    unit that must be delivered whole, up to a limit. What follows an upgrade is still in `input`.
//! 2. **One call, one event, and the state moves only that far.** Payloads are events as they arrive, in pieces;
//!    everything else when it is complete.
//! 3. **Protocol duties are automatic**: what the protocol calls for (ACKs, resets, GOAWAY) is appended to `out` by the
//!    call that made it necessary.
//! 4. **`Err` ends the connection; an event ends a stream.** On `Err`, `out` already holds what the peer should be told.
//! 5. **The engine never queues user data.** `send_data` frames what the windows allow and returns how much.
//! 6. **A command that is refused changes nothing.**
//!
//! The event borrows from `input`, not from the connection, so a handler can answer while it holds the payload. Both roles
//! are one engine. Time is an argument, randomness comes from a seed in the configuration: an engine is deterministic.

pub mod h1;
pub mod h2;
pub mod ws;

pub use crate::buf::RecvBuf;
pub use crate::fields::Fields;

use http::{Method, StatusCode, Uri, Version};

/// Which end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The end that asks.
    Client,
    /// The end that answers.
    Server,
}

/// Whether this is the last of a body or message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// More follows.
    More,
    /// Nothing follows.
    Last,
}

/// The head of a request as a server received it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestHead {
    /// The method.
    pub method: Method,
    /// The target: a path and query, an absolute URI, an authority (CONNECT) or `*`. HTTP/2 requests have scheme and authority too.
    pub uri: Uri,
    /// The version of the message.
    pub version: Version,
    /// The fields, pseudo-header fields not included.
    pub fields: Fields,
    /// The `:protocol` of an extended CONNECT (RFC 8441, section 4).
    pub protocol: Option<String>,
}

/// The head of a response as a client received it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResponseHead {
    /// The status.
    pub status: StatusCode,
    /// The version of the message.
    pub version: Version,
    /// The fields, pseudo-header fields not included.
    pub fields: Fields,
}
