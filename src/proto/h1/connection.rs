//! One connection, in either role: the exchange, and whether the connection persists.

mod view;

use super::{
    body::{Body, Piece},
    config::{Config, Limits},
    encode::{self, LAST_CHUNK, Length, Outgoing, Question, TargetForm},
    event::Event,
    framing::{Asked, Facts, Framing},
    parse::{self, Allowed, Scan, Start},
    violation::{Misuse, Violation},
};
use crate::{
    buf::RecvBuf,
    fields::Fields,
    proto::{End, RequestHead, ResponseHead, Role},
};
use http::{HeaderMap, Method, StatusCode, Uri, Version};
use std::time::Instant;

/// HTTP/1.1 on one connection, client or server.
///
/// Two machines, the message that comes in and the message that goes out, and what an exchange knows of both.
///
/// | incoming | bytes | then |
/// |---|---|---|
/// | `Start` | a start line; with a client that sent no request, none | `Fields` |
/// | `Fields` | field lines | `Body`; after a 1xx `Start`; after 101, or 2xx to CONNECT, `Switching` |
/// | `Body` | as its framing says | `Complete` |
/// | `Complete` | server: the next request, not looked at; client: none | `Start` by `next_cycle`; server: `Tunnel` after 101, or 2xx to CONNECT |
/// | `Switching` | of another protocol | `Tunnel` |
/// | `Tunnel` | of another protocol | |
/// | `Closed` | none: the connection ended between messages | |
/// | `Failed` | not looked at | |
///
/// The engine has no time limits: [`deadline`](Self::deadline) is always `None`.
///
/// # Examples
///
/// ```
/// # #[cfg(feature = "unstable-proto")] {
/// use bowline::proto::{RecvBuf, Role, h1::{Config, Connection, Event, Length, TargetForm}};
/// use std::time::Instant;
///
/// let (now, mut input, mut out) = (Instant::now(), RecvBuf::new(), Vec::new());
/// let mut connection = Connection::new(Role::Client, Config::default(), now, &mut out);
/// let request = http::Request::get("http://example.com/").body(())?;
/// connection.send_request(&request, TargetForm::Origin, Length::Empty, &mut out)?;
/// assert_eq!(out, b"GET / HTTP/1.1\r\nHost: example.com\r\n\r\n");
///
/// input.extend(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
/// let Some(Event::Answer(head)) = connection.poll_event(now, &mut input, &mut out)? else { panic!() };
/// assert_eq!(head.status, 200);
/// assert_eq!(connection.poll_event(now, &mut input, &mut out)?, Some(Event::Data(b"hello")));
/// assert_eq!(connection.poll_event(now, &mut input, &mut out)?, Some(Event::Ended));
/// assert!(connection.persists());
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Connection {
    role: Role,
    limits: Limits,
    incoming: Incoming,
    outgoing: Outgoing,
    exchange: Exchange,
    /// No exchange follows this one.
    closing: bool,
    /// Server: the request line of a head that was refused.
    refused: Option<Box<(Method, Uri)>>,
}

/// The message that comes in.
#[derive(Debug)]
enum Incoming {
    Start(Scan),
    Fields {
        start: Start,
        scan: Scan,
        /// The bytes of the start line, which was taken.
        line: usize,
    },
    Body(Body),
    Complete,
    Switching,
    Tunnel,
    Closed,
    Failed(Violation),
}

/// What one exchange knows.
#[derive(Debug)]
struct Exchange {
    asked: Asked,
    /// Server: the version of the request.
    version: Version,
    /// Server: an HTTP/1.0 client asked to keep the connection.
    keep_alive: bool,
    /// The request has Upgrade.
    upgrade: bool,
    /// Server: the client waits for 100 before it sends the body.
    awaits_continue: bool,
    /// Client: the 1xx responses so far.
    informational: usize,
    /// Server: the empty lines before the request.
    empty_lines: usize,
}

impl Default for Exchange {
    fn default() -> Self {
        Exchange {
            asked: Asked::Other,
            version: Version::HTTP_11,
            keep_alive: false,
            upgrade: false,
            awaits_continue: false,
            informational: 0,
            empty_lines: 0,
        }
    }
}

impl Connection {
    /// Returns a connection on which nothing was sent; HTTP/1 begins with the first request, so `out` stays as it is.
    pub fn new(role: Role, config: Config, _now: Instant, _out: &mut Vec<u8>) -> Self {
        Connection {
            role,
            limits: config.limits(role),
            incoming: Incoming::Start(Scan::default()),
            outgoing: Outgoing::Head,
            exchange: Exchange::default(),
            closing: false,
            refused: None,
        }
    }

    /// Takes the next event out of `input`.
    ///
    /// One call takes at most one event, and the connection moves only as far as that event. Data comes in pieces, as it
    /// arrives. Returns `None` when `input` holds no further event of this exchange; read more and call again.
    ///
    /// The event borrows its payload from `input`, not from the connection, so a handler can answer while it holds the
    /// payload.
    ///
    /// # Errors
    ///
    /// A [`Violation`] is the end of the connection, and every later call returns it again. In a server that has not
    /// sent a final head in this exchange, `out` holds a complete response with its [`status`](Violation::status):
    /// write it, then close.
    pub fn poll_event<'b>(
        &mut self,
        _now: Instant,
        input: &'b mut RecvBuf,
        out: &mut Vec<u8>,
    ) -> Result<Option<Event<'b>>, Violation> {
        let event = match &mut self.incoming {
            Incoming::Start(_) | Incoming::Fields { .. } => {
                return match self.poll_head(input) {
                    Err(violation) => Err(self.fail(violation, out)),
                    event => event,
                };
            }
            Incoming::Body(body) => match body.next(self.role, &self.limits, input) {
                Ok(None) => Ok(None),
                Ok(Some(Piece::Data(data))) => {
                    self.exchange.awaits_continue = false;
                    Ok(Some(Event::Data(data)))
                }
                Ok(Some(Piece::Trailers(trailers))) => {
                    self.exchange.awaits_continue = false;
                    Ok(Some(Event::Trailers(trailers)))
                }
                Ok(Some(Piece::Ended)) => Ok(Some(self.end())),
                Err(violation) => Err(violation),
            },
            Incoming::Complete => match (self.role, self.outgoing) {
                (Role::Server, Outgoing::Switched) => Ok(Some(self.switch())),
                (Role::Server, _) => Ok(None),
                (Role::Client, _) if input.is_empty() => Ok(None),
                (Role::Client, _) => Err(Violation::Unsolicited),
            },
            Incoming::Switching => Ok(Some(self.switch())),
            Incoming::Tunnel | Incoming::Closed => Ok(None),
            Incoming::Failed(violation) => Err(*violation),
        };
        event.map_err(|violation| self.fail(violation, out))
    }

    /// Takes notice that no more bytes will come; call it only after `poll_event` gave `None`.
    ///
    /// Returns `Ended` when that completes a body delimited by the end of the connection, `None` when nothing was open.
    /// A server may still answer the request it has; one that holds another complete request goes on with that.
    ///
    /// # Errors
    ///
    /// A [`Violation`] says what was cut short; `out` as with [`poll_event`](Self::poll_event).
    pub fn end_of_input(
        &mut self,
        _now: Instant,
        input: &RecvBuf,
        out: &mut Vec<u8>,
    ) -> Result<Option<Event<'static>>, Violation> {
        let idle = self.role == Role::Server || self.outgoing == Outgoing::Head;
        let event = match &self.incoming {
            Incoming::Start(_) if idle && input.is_empty() => {
                self.incoming = Incoming::Closed;
                Ok(None)
            }
            Incoming::Start(_) if input.is_empty() => Err(Violation::EndBeforeHead),
            Incoming::Start(_) | Incoming::Fields { .. } => Err(Violation::EndInHead),
            Incoming::Body(Body::UntilClose | Body::Complete) => Ok(Some(self.end())),
            Incoming::Body(_) => Err(Violation::EndInBody),
            Incoming::Complete => {
                // Requests that came before the end are still answered.
                self.closing |= input.is_empty();
                Ok(None)
            }
            Incoming::Switching => Ok(Some(self.switch())),
            Incoming::Tunnel | Incoming::Closed => Ok(None),
            Incoming::Failed(violation) => Err(*violation),
        };
        event.map_err(|violation| self.fail(violation, out))
    }

    /// Returns how many bytes of the wire come next that are body and may be read past the engine, if that is so.
    ///
    /// Ask only after `poll_event` gave `None`. A body delimited by the end of the connection expects `u64::MAX`.
    pub fn expects(&self) -> Option<u64> {
        match &self.incoming {
            Incoming::Body(body) => body.expects(),
            _ => None,
        }
    }

    /// Counts body bytes that were read past the engine. If they complete the body, the next `poll_event` gives `Ended`.
    ///
    /// # Panics
    ///
    /// Panics if they are more than [`expects`](Self::expects).
    pub fn took(&mut self, n: u64) {
        if n == 0 {
            return;
        }
        self.exchange.awaits_continue = false;
        match &mut self.incoming {
            Incoming::Body(body) => body.took(n),
            _ => panic!("took {n} bytes of body where none were expected"),
        }
    }

    /// Returns `None`: HTTP/1 has no timers.
    pub fn deadline(&self) -> Option<Instant> {
        None
    }

    /// Does nothing: HTTP/1 has no timers.
    ///
    /// # Errors
    ///
    /// None.
    pub fn handle_deadline(&mut self, _now: Instant, _out: &mut Vec<u8>) -> Result<(), Violation> {
        Ok(())
    }

    /// Client: writes the head of a request. Host is derived from the URI when the fields have none, and comes first.
    ///
    /// The version HTTP/1.0 is sent as such, every other as HTTP/1.1. [`OriginalFields`](super::OriginalFields) among
    /// the extensions are sent instead of the headers.
    ///
    /// # Errors
    ///
    /// A [`Misuse`] if a request is open, or if its target or its fields would break the framing.
    pub fn send_request(
        &mut self,
        head: &http::Request<()>,
        form: TargetForm,
        length: Length,
        out: &mut Vec<u8>,
    ) -> Result<(), Misuse> {
        self.check_command(Role::Client)?;
        if self.outgoing != Outgoing::Head {
            return Err(Misuse::ExchangeOpen);
        }
        let sent = unless_refused(out, |out| encode::request(head, form, length, self.closing, out))?;
        self.exchange = Exchange { asked: Asked::by(head.method()), upgrade: sent.upgrade, ..Exchange::default() };
        self.outgoing = sent.outgoing;
        self.closing |= sent.close;
        Ok(())
    }

    /// Server: writes a final head. 101, and 2xx to CONNECT, switch the connection over: `poll_event` then gives `Upgraded`.
    ///
    /// A response to HEAD, a 204 and a 304 end with their head: [`is_sent`](Self::is_sent) holds at once, whatever the
    /// length; it is written as the body of a GET would have it. `Connection: close` is added when the connection does
    /// not persist, `keep-alive` for an HTTP/1.0 client that asked for it. Nor does it while the client waits for 100: whether it
    /// sends its body all the same is not known (RFC 9110, section 10.1.1); or where a CONNECT is refused, for what was meant for the tunnel.
    ///
    /// # Errors
    ///
    /// A [`Misuse`] if there is no request, if it was answered, or if the fields would break the framing.
    pub fn send_response(
        &mut self,
        head: &http::Response<()>,
        length: Length,
        out: &mut Vec<u8>,
    ) -> Result<(), Misuse> {
        self.check_answer()?;
        let question = Question {
            asked: self.exchange.asked,
            version: self.exchange.version,
            keep_alive: self.exchange.keep_alive,
            upgrade: self.exchange.upgrade,
            closing: self.closing || self.wants_continue() || self.exchange.asked.refuses(head.status()),
        };
        let sent = unless_refused(out, |out| encode::response(head, length, &question, out))?;
        self.outgoing = sent.outgoing;
        self.closing |= sent.close;
        self.exchange.awaits_continue = false;
        Ok(())
    }

    /// Server: writes a 1xx (not 101).
    ///
    /// # Errors
    ///
    /// A [`Misuse`] if there is no request, if it was answered, or if the client speaks HTTP/1.0.
    pub fn send_informational(&mut self, head: &http::Response<()>, out: &mut Vec<u8>) -> Result<(), Misuse> {
        self.check_answer()?;
        if self.exchange.version == Version::HTTP_10 {
            return Err(Misuse::InformationalToHttp10);
        }
        unless_refused(out, |out| encode::informational(head, out))?;
        self.exchange.awaits_continue &= head.status() != StatusCode::CONTINUE;
        Ok(())
    }

    /// Frames `data`; returns how much was taken (always all).
    ///
    /// Each call makes one chunk of a chunked body. A body of known length is complete with its last byte; saying
    /// `End::Last` for a complete message, without data, is no mistake.
    ///
    /// # Errors
    ///
    /// A [`Misuse`] if there is no head, or if the data exceeds or falls short of the length.
    pub fn send_data(&mut self, data: &[u8], end: End, out: &mut Vec<u8>) -> Result<usize, Misuse> {
        self.check_body()?;
        match (self.outgoing, end) {
            (Outgoing::Head, _) => return Err(Misuse::NoHead),
            (Outgoing::Complete | Outgoing::Switched, _) if data.is_empty() => {}
            (Outgoing::Complete | Outgoing::Switched, _) => return Err(Misuse::DataAfterEnd),
            (Outgoing::Sized(left), end) => {
                let given = data.len();
                match (left.checked_sub(given as u64), end) {
                    (None, _) => return Err(Misuse::BeyondLength { left, given }),
                    (Some(0), _) => self.outgoing = Outgoing::Complete,
                    (Some(left), End::Last) => return Err(Misuse::ShortOfLength { left }),
                    (Some(left), End::More) => self.outgoing = Outgoing::Sized(left),
                }
                out.extend_from_slice(data);
            }
            (Outgoing::Chunked, end) => {
                if !data.is_empty() {
                    encode::chunk(data, out);
                }
                if end == End::Last {
                    out.extend_from_slice(LAST_CHUNK);
                    self.outgoing = Outgoing::Complete;
                }
            }
            (Outgoing::UntilClose, end) => {
                out.extend_from_slice(data);
                if end == End::Last {
                    self.outgoing = Outgoing::Complete;
                }
            }
        }
        Ok(data.len())
    }

    /// Ends a chunked body with trailers. One that ends with the connection, as to a client of HTTP/1.0, has no place for them: they
    /// are left out (RFC 9110, section 6.5.1).
    ///
    /// # Errors
    ///
    /// A [`Misuse`] if the body has a length, or if a field must not be a trailer.
    pub fn send_trailers(&mut self, trailers: &HeaderMap, out: &mut Vec<u8>) -> Result<(), Misuse> {
        self.check_body()?;
        match self.outgoing {
            Outgoing::Head => return Err(Misuse::NoHead),
            Outgoing::Complete | Outgoing::Switched => return Err(Misuse::DataAfterEnd),
            Outgoing::Sized(_) => return Err(Misuse::TrailersNotChunked),
            Outgoing::UntilClose => {}
            Outgoing::Chunked => encode::trailers(trailers, out)?,
        }
        self.outgoing = Outgoing::Complete;
        Ok(())
    }

    /// Readies it for the next exchange.
    ///
    /// A client whose `input` is not empty then has bytes that no request asked for; the next `poll_event` says so.
    ///
    /// # Errors
    ///
    /// A [`Misuse`] unless both messages are complete and the connection persists.
    pub fn next_cycle(&mut self) -> Result<(), Misuse> {
        if matches!(self.incoming, Incoming::Failed(_) | Incoming::Closed | Incoming::Tunnel) {
            return Err(Misuse::Over);
        }
        if !self.is_sent() || !self.is_received() {
            return Err(Misuse::ExchangeOpen);
        }
        if !self.persists() {
            return Err(Misuse::NotPersistent);
        }
        self.incoming = Incoming::Start(Scan::default());
        self.outgoing = Outgoing::Head;
        self.exchange = Exchange::default();
        Ok(())
    }

    /// Makes this exchange, or the one that comes next if none is open, the last one: a head that is still to be sent
    /// says `Connection: close`.
    pub fn close(&mut self, _out: &mut Vec<u8>) {
        self.closing = true;
    }

    fn end(&mut self) -> Event<'static> {
        self.incoming = Incoming::Complete;
        self.exchange.awaits_continue = false;
        Event::Ended
    }

    fn switch(&mut self) -> Event<'static> {
        self.incoming = Incoming::Tunnel;
        Event::Upgraded
    }

    /// Ends the connection; tells a client why, if it was not told anything yet.
    fn fail(&mut self, violation: Violation, out: &mut Vec<u8>) -> Violation {
        if !matches!(self.incoming, Incoming::Failed(_)) {
            let before = std::mem::replace(&mut self.incoming, Incoming::Failed(violation));
            if let Incoming::Fields { start: Start::Request { method, uri, .. }, .. } = before {
                self.refused = Some(Box::new((method, uri)));
            }
            if self.role == Role::Server && self.outgoing == Outgoing::Head {
                encode::refusal(violation.status(), out);
                self.outgoing = Outgoing::Complete;
            }
        }
        violation
    }

    fn check_command(&self, role: Role) -> Result<(), Misuse> {
        if self.role != role {
            return Err(Misuse::WrongRole);
        }
        self.check_body()
    }

    fn check_body(&self) -> Result<(), Misuse> {
        match self.incoming {
            Incoming::Failed(_) | Incoming::Closed => Err(Misuse::Over),
            _ => Ok(()),
        }
    }

    fn check_answer(&self) -> Result<(), Misuse> {
        self.check_command(Role::Server)?;
        match (&self.incoming, self.outgoing) {
            (Incoming::Start(_) | Incoming::Fields { .. }, _) => Err(Misuse::NoRequest),
            (_, Outgoing::Head) => Ok(()),
            (_, _) => Err(Misuse::ExchangeOpen),
        }
    }

    /// Takes a head from `input` once it is complete; its start line as soon as that is.
    fn poll_head<'b>(&mut self, input: &mut RecvBuf) -> Result<Option<Event<'b>>, Violation> {
        if self.role == Role::Client && self.outgoing == Outgoing::Head {
            return if input.is_empty() { Ok(None) } else { Err(Violation::Unsolicited) };
        }
        if let Incoming::Start(scan) = &mut self.incoming {
            let empty_lines = &mut self.exchange.empty_lines;
            let Some((start, line)) = parse::take_start(self.role, &self.limits, scan, empty_lines, input)? else {
                return Ok(None);
            };
            self.incoming = Incoming::Fields { start, scan: Scan::default(), line };
        }
        let Incoming::Fields { scan, line, .. } = &mut self.incoming else { return Ok(None) };
        let limit = self.limits.head_bytes;
        let allowed = Allowed {
            bytes: limit.saturating_sub(*line),
            lines: self.limits.fields,
            too_large: Violation::HeadTooLarge { limit },
        };
        let role = self.role;
        let note = |facts: &mut Facts, name: &[u8], value: &[u8]| facts.note(role, name, value).map(|()| true);
        let Some((fields, facts)) = parse::take_fields(role, scan, allowed, input, note)? else { return Ok(None) };
        match std::mem::replace(&mut self.incoming, Incoming::Complete) {
            Incoming::Fields { start: Start::Request { method, uri, version }, .. } => {
                self.on_request(method, uri, version, &facts, fields).map(Some)
            }
            Incoming::Fields { start: Start::Response { status, version }, .. } => {
                self.on_response(ResponseHead { status, version, fields }, &facts).map(Some)
            }
            _ => Ok(None),
        }
    }

    fn on_request<'b>(
        &mut self,
        method: Method,
        uri: Uri,
        version: Version,
        facts: &Facts,
        fields: Fields,
    ) -> Result<Event<'b>, Violation> {
        let framing = match facts.of_request(&method, version) {
            Ok(framing) => framing,
            Err(violation) => {
                self.refused = Some(Box::new((method, uri)));
                return Err(violation);
            }
        };
        let modern = version != Version::HTTP_10;
        self.exchange = Exchange {
            asked: Asked::by(&method),
            version,
            keep_alive: !modern && facts.persists(version),
            // Neither means anything in HTTP/1.0 (RFC 9110, sections 7.8 and 10.1.1).
            upgrade: facts.upgrade && facts.upgrade_option && modern,
            awaits_continue: facts.expects_continue && modern && framing != Framing::Empty,
            ..Exchange::default()
        };
        self.closing |= !facts.persists(version);
        self.incoming = Incoming::Body(Body::new(framing, &self.limits));
        Ok(Event::Head(RequestHead { method, uri, version, fields, protocol: None }))
    }

    fn on_response<'b>(&mut self, head: ResponseHead, facts: &Facts) -> Result<Event<'b>, Violation> {
        let (status, version, asked) = (head.status, head.version, self.exchange.asked);
        if status == StatusCode::SWITCHING_PROTOCOLS && !self.exchange.upgrade {
            return Err(Violation::UpgradeUnasked);
        }
        if asked.switches(status) {
            self.incoming = Incoming::Switching;
            return Ok(Event::Answer(head));
        }
        if status.is_informational() {
            if self.exchange.informational == self.limits.informational {
                return Err(Violation::TooManyInformational { limit: self.limits.informational });
            }
            self.exchange.informational += 1;
            self.incoming = Incoming::Start(Scan::default());
            return Ok(Event::Informational(head));
        }
        let framing = if asked.has_no_body(status) { Framing::Empty } else { facts.of_response(version)? };
        self.closing |= !facts.persists(version) || framing == Framing::UntilClose;
        self.incoming = Incoming::Body(Body::new(framing, &self.limits));
        Ok(Event::Answer(head))
    }
}

/// Runs a command, and takes back what it wrote if it is refused.
fn unless_refused<T>(out: &mut Vec<u8>, command: impl FnOnce(&mut Vec<u8>) -> Result<T, Misuse>) -> Result<T, Misuse> {
    let len = out.len();
    let done = command(out);
    if done.is_err() {
        out.truncate(len);
    }
    done
}
