//! HTTP/1.1: one exchange after the other on a connection (RFC 9112).
//!
//! SKELETON: the signatures the drivers are written against.

use super::{End, RequestHead, ResponseHead, Role};
use crate::{buf::RecvBuf, fields::Fields};
use http::HeaderMap;
use std::time::Instant;

/// How the body that follows a head is delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    /// There is none.
    Empty,
    /// So many bytes: Content-Length (also when zero).
    Known(u64),
    /// Not known beforehand: chunked; to an HTTP/1.0 peer a response is delimited by the end of the connection.
    Unknown,
}

/// The form of the request target (RFC 9112, section 3.2). CONNECT is always in authority form, `OPTIONS *` in asterisk form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetForm {
    Origin,
    Absolute,
}

/// What happened; borrows its payload from the input.
#[non_exhaustive]
#[derive(Debug, PartialEq, Eq)]
pub enum Event<'b> {
    /// Server: a request arrived; its body, if any, follows.
    Head(RequestHead),
    /// Client: a 1xx other than 101.
    Informational(ResponseHead),
    /// Client: the final response; its body, if any, follows. A 101, or a 2xx to CONNECT, is followed by `Upgraded`.
    Answer(ResponseHead),
    /// A piece of the body, never empty.
    Data(&'b [u8]),
    /// The trailers; `Ended` follows.
    Trailers(Fields),
    /// The message that came in is complete. What is still in `input` belongs to the next one.
    Ended,
    /// The connection speaks another protocol now; everything still in `input` belongs to it.
    Upgraded,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation;
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misuse;
#[derive(Clone, Debug, Default)]
pub struct Config {}

#[derive(Debug)]
pub struct Connection {}

#[allow(unused_variables)]
impl Connection {
    pub fn new(role: Role, config: Config, now: Instant, out: &mut Vec<u8>) -> Self {
        todo!()
    }
    pub fn poll_event<'b>(
        &mut self,
        now: Instant,
        input: &'b mut RecvBuf,
        out: &mut Vec<u8>,
    ) -> Result<Option<Event<'b>>, Violation> {
        todo!()
    }
    /// No more bytes will come. `Ok(Some(Ended))`: a body delimited by the end of the connection is complete. `Ok(None)`: nothing was
    /// open. `Err`: something was cut short. Call only after `poll_event` gave `None`.
    pub fn end_of_input(
        &mut self,
        now: Instant,
        input: &RecvBuf,
        out: &mut Vec<u8>,
    ) -> Result<Option<Event<'static>>, Violation> {
        todo!()
    }
    /// Body bytes that may be read past the engine: the next `n` bytes of the wire are body. Only after `poll_event` gave `None`.
    pub fn expects(&self) -> Option<u64> {
        todo!()
    }
    /// So many of them were read past the engine. If that completes the body, the next `poll_event` gives `Ended`.
    pub fn took(&mut self, n: u64) {
        todo!()
    }
    pub fn deadline(&self) -> Option<Instant> {
        None
    }
    pub fn handle_deadline(&mut self, now: Instant, out: &mut Vec<u8>) -> Result<(), Violation> {
        Ok(())
    }

    /// Client: writes the head of a request. Host is derived from the URI when the headers have none.
    pub fn send_request(
        &mut self,
        head: &http::Request<()>,
        form: TargetForm,
        length: Length,
        out: &mut Vec<u8>,
    ) -> Result<(), Misuse> {
        todo!()
    }
    /// Server: writes a final head. 101, and 2xx to CONNECT, switch the connection over: `poll_event` then gives `Upgraded`.
    pub fn send_response(
        &mut self,
        head: &http::Response<()>,
        length: Length,
        out: &mut Vec<u8>,
    ) -> Result<(), Misuse> {
        todo!()
    }
    /// Server: writes a 1xx (not 101).
    pub fn send_informational(&mut self, head: &http::Response<()>, out: &mut Vec<u8>) -> Result<(), Misuse> {
        todo!()
    }
    /// Frames `data`; returns how much was taken (always all).
    pub fn send_data(&mut self, data: &[u8], end: End, out: &mut Vec<u8>) -> Result<usize, Misuse> {
        todo!()
    }
    /// Ends a chunked body with trailers.
    pub fn send_trailers(&mut self, trailers: &HeaderMap, out: &mut Vec<u8>) -> Result<(), Misuse> {
        todo!()
    }
    /// Readies it for the next exchange. Misuse unless both messages are complete and the connection persists.
    pub fn next_cycle(&mut self) -> Result<(), Misuse> {
        todo!()
    }
    /// No exchange after this one: a server's next head says `Connection: close`.
    pub fn close(&mut self, out: &mut Vec<u8>) {
        todo!()
    }

    /// Whether the message going out is complete.
    pub fn is_sent(&self) -> bool {
        todo!()
    }
    /// Whether the message coming in is complete.
    pub fn is_received(&self) -> bool {
        todo!()
    }
    /// Whether the connection may serve another exchange once both messages are complete.
    pub fn persists(&self) -> bool {
        todo!()
    }
    /// Server: the client waits for 100 before it sends the body, and nothing was sent yet.
    pub fn wants_continue(&self) -> bool {
        todo!()
    }
}
