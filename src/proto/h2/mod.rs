//! HTTP/2: many streams on one connection (RFC 9113).
//!
//! One [`Connection`] is one end: bytes come in by [`poll_event`](Connection::poll_event) and go out in the `out` of every call.
//! Both roles are one engine; streams are opened by clients only, because push is not supported.
//!
//! | file | what it holds |
//! |---|---|
//! | `connection` | the state, its beginning and end, time |
//! | `view` | the getters |
//! | `command` | what the caller asks for: opening, answering, sending, releasing, resetting |
//! | `receive` | frames as they arrive, one after the other; `data` and `control` are its kinds of frames |
//! | `block` | header blocks once they are complete: whose they are, and what they change |
//! | `stream` | the two halves of a stream, and the table of streams |
//! | `flow` | windows |
//! | `head`, `compose` | heads that arrive, heads that are sent |
//! | `frame` | frame headers, and the small frames |
//! | `settings`, `ping`, `guard` | SETTINGS; liveness; floods |
//! | `config`, `event`, `violation`, `misuse` | what the caller sets, sees and is told |
//! | [`hpack`] | header compression (RFC 7541) |
//!
//! # Examples
//!
//! Two ends, joined by two buffers instead of a wire.
//!
//! ```
//! use bowline::proto::{End, RecvBuf, Role, h2::{Config, Connection, Event, Opened}};
//! use std::time::Instant;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let now = Instant::now();
//! let (mut asks, mut answers) = (Vec::new(), Vec::new());
//! let mut client = Connection::new(Role::Client, Config::new(Role::Client), now, &mut asks);
//! let mut server = Connection::new(Role::Server, Config::new(Role::Server), now, &mut answers);
//!
//! let request = http::Request::get("http://example.com/").body(())?;
//! assert_eq!(client.open(&request, End::Last, now, &mut asks)?, Opened::Stream(1));
//!
//! let mut input = RecvBuf::new();
//! input.extend(&asks);
//! while let Some(event) = server.poll_event(now, &mut input, &mut answers)? {
//!     if let Event::Head { stream, head } = event {
//!         assert_eq!(head.uri.path(), "/");
//!         server.respond(stream, &http::Response::new(()), End::More, &mut answers)?;
//!         server.send_data(stream, b"hello", End::Last, &mut answers)?;
//!     }
//! }
//!
//! let (mut input, mut body) = (RecvBuf::new(), Vec::new());
//! input.extend(&answers);
//! while let Some(event) = client.poll_event(now, &mut input, &mut asks)? {
//!     if let Event::Data { stream, data } = event {
//!         body.extend_from_slice(data);
//!         client.release(stream, data.len(), &mut asks)?;
//!     }
//! }
//! assert_eq!(body, b"hello");
//! # Ok(())
//! # }
//! ```
//!
//! # Flow control
//!
//! The window of the connection is credited when data was delivered or discarded, that of a stream when the caller
//! [`release`](Connection::release)s what it took, each once half of it is used up. So one body that nobody reads does not stop
//! the others. What is unread of all streams together has a limit of its own ([`Config::unread_limit`]), above which the
//! connection is not credited either.
//!
//! # Header lists that are too large
//!
//! They are decoded to their end, because that keeps the tables of header compression in step, and thrown away. A client then
//! resets the stream (ENHANCE_YOUR_CALM). A server answers 431 and resets what is left of the request with NO_ERROR; its caller hears of the
//! request ([`Event::Oversized`]) and may add fields to the answer, but the stream is over. For trailers it resets the stream.
//!
//! # What is left out of a head
//!
//! Header fields that belong to an HTTP/1 connection are not sent: Connection, Keep-Alive, Proxy-Connection, Transfer-Encoding,
//! Upgrade, and TE unless it is `trailers`. Host is sent as `:authority`, unless the URI has one, which then counts.
//!
//! # Time
//!
//! A client sends a PING when streams are open and nothing came in for a while, and along with a request after a rest; the
//! connection is dead when a PING is without an answer and not one byte came in for a time. Before
//! [`handle_deadline`](Connection::handle_deadline), poll what has arrived: silence is measured by what the engine was shown.

mod block;
mod command;
mod compose;
mod config;
mod connection;
mod control;
mod data;
mod event;
mod flow;
mod frame;
mod guard;
mod head;
pub mod hpack;
mod misuse;
mod ping;
mod receive;
mod settings;
mod stream;
#[cfg(test)]
mod tests;
mod view;
mod violation;

pub use config::Config;
pub use connection::{Connection, Protocol};
pub use event::{ErrorCode, Event, Expected, Failure, Opened};
pub use misuse::Misuse;
pub use violation::{Flood, Malformed, Violation};

use super::{End, RequestHead, ResponseHead, Role};
use crate::{buf::RecvBuf, fields::Fields};
use flow::Window;
use frame::Kind;
