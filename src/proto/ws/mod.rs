//! WebSocket: messages both ways on one connection (RFC 6455, RFC 7692).
//!
//! | file | is about |
//! |---|---|
//! | `handshake` | the request and the response that begin it, for both roles: [`Offer`], [`accept`] |
//! | `extension` | what both agree about permessage-deflate |
//! | `connection` | state, time, and the end |
//! | `receive` | frames in, events out |
//! | `send` | messages in, frames out |
//! | `frame`, `mask`, `message`, `deflate` | headers; masking; UTF-8; compression |
//! | `clock`, `owed` | heartbeats and stalls; replies that wait for their turn |
//! | `config`, `event`, `violation` | what the caller sets, sees and is told |
//!
//! The handshake is HTTP and the connection begins behind it: the driver sends the request of an [`Offer`] with the
//! engine of its protocol, has the response checked, and gives what was agreed to [`Connection::new`].
//!
//! A connection has two halves. What comes in is a message, or between two; what goes out is a message, or between
//! two, or within a frame whose length was announced. Replies (PONG, the echo of a Close) are appended to `out` at
//! once, except within such a frame and while the wire takes nothing ([`Connection::unsent`]).
//!
//! # Examples
//!
//! ```
//! # #[cfg(feature = "unstable-proto")] {
//! use bowline::proto::{End, RecvBuf, Role, ws::{Config, Connection, Event, Kind}};
//! use std::time::Instant;
//!
//! let now = Instant::now();
//! let (mut wire, mut input, mut replies) = (Vec::new(), RecvBuf::new(), Vec::new());
//! // The seed comes from the driver: keys made from it must not be predictable.
//! let mut client = Connection::new(Role::Client, &Config::new(0x5eed), None, now);
//! let mut server = Connection::new(Role::Server, &Config::new(0xcafe), None, now);
//!
//! client.send(Kind::Text, b"hello", &mut wire)?;
//! input.extend(&wire);
//! let event = server.poll_event(now, &mut input, &mut replies)?;
//! assert_eq!(event, Some(Event::Piece { kind: Kind::Text, data: b"hello", end: End::Last }));
//! # }
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```

mod clock;
mod config;
mod connection;
#[cfg_attr(not(feature = "deflate"), path = "no_deflate.rs")]
mod deflate;
mod event;
mod extension;
mod frame;
mod handshake;
mod mask;
mod message;
mod owed;
mod receive;
mod send;
mod violation;

pub use config::{Config, Deflate};
pub use connection::Connection;
pub use event::{Event, Kind};
pub use extension::{Context, Direction, Params, WindowBits};
pub use handshake::{Agreed, Offer, Refusal, accept};
pub use violation::{Misuse, Violation};

#[cfg(test)]
mod tests;
