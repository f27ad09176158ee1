//! HTTP/1.1: one exchange after the other on a connection (RFC 9112).
//!
//! | file | is about |
//! |---|---|
//! | `connection` | [`Connection`]: both roles, the exchange, what persists |
//! | `parse` | start lines and field lines |
//! | `framing` | what the fields of a head say about its body and the connection |
//! | `body` | bodies that come in: Content-Length, chunked, until the end of the connection |
//! | `encode` | heads, chunks and trailers that go out |
//! | `syntax` | classes of bytes, lists, numbers |
//! | `event`, `config`, `violation` | what the caller sees, sets and is told |
//!
//! # What is strict, what is lenient
//!
//! Two parties that disagree about where a message ends can be played against each other (request smuggling), so every
//! doubt about framing is a [`Violation`], and after it no byte is read as a request any more. Lines end with CRLF: a
//! lone LF or CR is refused, and so are line folding in requests, blanks before a colon, Content-Length beside
//! Transfer-Encoding, and numbers that are not plain digits.
//!
//! Tolerated, because RFC 9112 asks for it or because it is harmless and common: empty lines before a request line
//! (section 2.2), a status line without the space before a missing reason (section 4), folded lines in responses, which
//! become one blank (section 5.2), framing fields in responses that cannot have a body (section 6.3), equal
//! Content-Length fields in responses (section 6.3), chunk extensions, which are checked and ignored (section 7.1.1).
//!
//! # One exchange
//!
//! A client calls [`send_request`](Connection::send_request), then `send_data` as its [`Length`] demands; a server gets
//! [`Event::Head`] and calls `send_response`. Either direction ends on its own: [`is_sent`](Connection::is_sent),
//! [`is_received`](Connection::is_received). When both have ended and the connection [`persists`](Connection::persists),
//! [`next_cycle`](Connection::next_cycle) readies it for the next exchange.

mod body;
mod config;
mod connection;
mod encode;
mod event;
mod framing;
mod parse;
mod syntax;
#[cfg(test)]
mod tests;
mod violation;

pub use config::Config;
pub use connection::Connection;
pub use encode::{Length, OriginalFields, TargetForm, refusal};
pub use event::Event;
pub use violation::{Misuse, Violation};
