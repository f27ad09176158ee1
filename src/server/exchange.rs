//! One request and the duty to answer it.

mod head;
mod upgrade;

use super::{
    answer::{Answer, Plan},
    request_body::{RequestBody, Verdict},
    seat::Seat,
    settings::Settings,
};
use crate::{
    drive::{Body, BodyWriter, IntoBody, Limits, Stream},
    error::{Error, ErrorKind, Phase, Result},
    proto::{End, RequestHead},
};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, Version, header};
use std::{
    fmt,
    net::SocketAddr,
    sync::{Arc, OnceLock},
};

/// One request and the duty to answer it, on whichever thread.
///
/// Every answer takes the exchange: it is given once. An exchange that is dropped unanswered is answered with 500, or with what
/// was wrong with its body (408, 413, 400). What the handler left unread of the body is read and forgotten if little is left: 64 KiB, by the
/// Content-Length or because its end has arrived. Else the stream ends (HTTP/2), or the connection (HTTP/1), which the answer says with
/// `Connection: close`, unless somebody could still have read it: who took the body, or answers with `respond_streaming`.
///
/// # Examples
///
/// ```
/// use bowline::{Exchange, Result};
///
/// fn handle(mut exchange: Exchange) -> Result<()> {
///     match exchange.path() {
///         "/upper" => {
///             let text = std::io::read_to_string(exchange.body())?;
///             exchange.reply(200, text.to_uppercase())
///         }
///         _ => exchange.reply(404, "no such page"),
///     }
/// }
/// # let _ = handle;
/// ```
pub struct Exchange {
    /// Until it is answered.
    stream: Option<Stream>,
    head: RequestHead,
    headers: OnceLock<HeaderMap>,
    body: Body,
    /// The handler took the body to read it by itself.
    body_taken: bool,
    verdict: Option<Verdict>,
    peer: Option<SocketAddr>,
    settings: Arc<Settings>,
    /// Who sends what the client does not take at once.
    seat: Option<Arc<Seat>>,
}

impl Exchange {
    pub(super) fn new(
        stream: Stream,
        head: RequestHead,
        peer: Option<SocketAddr>,
        settings: &Arc<Settings>,
        seat: Option<&Arc<Seat>>,
    ) -> Self {
        let mut head = head;
        agree_on_host(&mut head);
        let mut exchange = Exchange {
            stream: None,
            head,
            headers: OnceLock::new(),
            body: Body::empty(),
            body_taken: false,
            verdict: None,
            peer,
            settings: settings.clone(),
            seat: seat.cloned(),
        };
        if stream.has_body() {
            let verdict = Verdict::default();
            let expects = exchange.head.version == Version::HTTP_2 && exchange.expects_continue();
            let len = exchange.declared();
            let source = RequestBody::new(stream.clone(), len, expects, verdict.clone(), settings);
            (exchange.body, exchange.verdict) = (Body::from_source(Box::new(source)), Some(verdict));
        }
        exchange.stream = Some(stream);
        exchange
    }

    /// Whether a client of HTTP/2, whose engine does not keep this, still waits to be told that its body is wanted.
    fn invites_late(&self) -> bool {
        let expects = self.head.version == Version::HTTP_2 && self.expects_continue();
        expects && self.verdict.as_ref().is_some_and(Verdict::invites)
    }

    fn expects_continue(&self) -> bool {
        self.head.fields.get("expect").is_some_and(|value| value.eq_ignore_ascii_case(b"100-continue"))
    }

    /// Returns the Content-Length; the engine has checked it.
    pub(super) fn declared(&self) -> Option<u64> {
        std::str::from_utf8(self.head.fields.get("content-length")?).ok()?.parse().ok()
    }

    /// Returns the body, to read from. A client that waits for 100 is told to send it when it is first read.
    ///
    /// # Examples
    ///
    /// ```
    /// use bowline::{Exchange, Server};
    ///
    /// # fn main() -> bowline::Result<()> {
    /// let server = Server::bind("127.0.0.1:0")?.spawn(|mut exchange: Exchange| {
    ///     let bytes = std::io::copy(exchange.body(), &mut std::io::sink())?;
    ///     exchange.reply(200, bytes.to_string())
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn body(&mut self) -> &mut Body {
        &mut self.body
    }

    /// Returns the body by itself, to read elsewhere or to send back.
    ///
    /// # Examples
    ///
    /// ```
    /// use bowline::{Exchange, Server};
    ///
    /// # fn main() -> bowline::Result<()> {
    /// let server = Server::bind("127.0.0.1:0")?.spawn(|mut exchange: Exchange| {
    ///     let body = exchange.take_body();
    ///     // It is sent back while it comes.
    ///     exchange.reply(200, body)
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn take_body(&mut self) -> Body {
        self.body_taken = true;
        std::mem::take(&mut self.body)
    }

    /// Looks whether the peer has gone or reset the stream.
    ///
    /// A client that has ended its direction counts as gone, because most that do have closed the connection. One that still reads
    /// gets its answer all the same: whoever does not want to leave that one without, answers it.
    ///
    /// # Examples
    ///
    /// ```
    /// use bowline::{Exchange, Server};
    ///
    /// # fn main() -> bowline::Result<()> {
    /// let server = Server::bind("127.0.0.1:0")?.spawn(|exchange: Exchange| {
    ///     for step in 0..10 {
    ///         if exchange.is_cancelled() {
    ///             return Ok(());
    ///         }
    ///         println!("step {step}");
    ///     }
    ///     exchange.reply(200, "done")
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn is_cancelled(&self) -> bool {
        self.stream.as_ref().is_some_and(Stream::has_gone)
    }

    /// Sends an informational response, such as 103 Early Hints. A client of HTTP/1.0 gets none.
    ///
    /// # Errors
    ///
    /// If the status is not 1xx, or 101; or if the connection is over.
    ///
    /// # Examples
    ///
    /// ```
    /// use bowline::{Exchange, Server, http::{HeaderValue, StatusCode, header}};
    ///
    /// # fn main() -> bowline::Result<()> {
    /// let server = Server::bind("127.0.0.1:0")?.spawn(|mut exchange: Exchange| {
    ///     let hints = [(header::LINK, HeaderValue::from_static("</style.css>; rel=preload"))];
    ///     exchange.inform(StatusCode::EARLY_HINTS, hints.into_iter().collect())?;
    ///     exchange.reply(200, "<link rel=stylesheet href=/style.css>")
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn inform(&mut self, status: StatusCode, headers: HeaderMap) -> Result<()> {
        if self.head.version == Version::HTTP_10 {
            return Ok(());
        }
        let mut head = Response::new(());
        (*head.status_mut(), *head.headers_mut()) = (status, headers);
        self.stream()?.inform(&head).map_err(|fault| fault.to_error().in_phase(Phase::Send))
    }

    /// Answers in one line.
    ///
    /// # Errors
    ///
    /// If the status is none; and as [`respond`](Self::respond).
    ///
    /// # Examples
    ///
    /// ```
    /// use bowline::{Exchange, Server};
    ///
    /// # fn main() -> bowline::Result<()> {
    /// let server = Server::bind("127.0.0.1:0")?.spawn(|exchange: Exchange| exchange.reply(404, "no such page"))?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn reply(self, status: impl TryInto<StatusCode>, body: impl IntoBody) -> Result<()> {
        let Ok(status) = status.try_into() else { return Err(Error::invalid("a status that is none")) };
        let mut head = Response::new(body);
        *head.status_mut() = status;
        self.respond(head)
    }

    /// Answers with headers of the caller's. Date is added; Content-Length too, where the length is known.
    ///
    /// Returns when the last byte is on its way; or, where a server with threads of its own serves a client that takes nothing for
    /// a moment, once it is sure that the rest is sent when there is room. The body of the request may be the body of the answer.
    ///
    /// # Errors
    ///
    /// If the head cannot be sent so (the client gets a 500 instead), if the body fails or is not as long as it said, or if the
    /// client is gone or takes nothing for too long.
    ///
    /// # Examples
    ///
    /// ```
    /// use bowline::{Exchange, Server, http::Response};
    ///
    /// # fn main() -> bowline::Result<()> {
    /// let server = Server::bind("127.0.0.1:0")?.spawn(|exchange: Exchange| {
    ///     let response = Response::builder().status(201).header("location", "/notes/1").body("created")?;
    ///     exchange.respond(response)
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn respond<B: IntoBody>(mut self, response: Response<B>) -> Result<()> {
        let (parts, body) = response.into_parts();
        let (body, content_type) = body.into_body()?;
        let mut head = Response::from_parts(parts, ());
        if let Some(content_type) = content_type {
            head.headers_mut().entry(header::CONTENT_TYPE).or_insert(content_type);
        }
        // What the caller says of a body that says nothing itself is held against it as it is sent.
        let body = match (body.content_length(), declared(&head)) {
            (None, Some(len)) => body.with_len(len),
            _ => body,
        };
        let plan = Plan::new(&self.head.method, self.head.version, &mut head, body.content_length())?;
        self.settle_body();
        let answer = Answer::begin(self.stream()?, &head, plan, body, &self.settings)?;
        // What comes now is the answer's: nothing else can be said any more.
        let stream = self.stream.take();
        let done = answer.send(self.seat.as_ref());
        drop(stream);
        done
    }

    /// Sends the head; the body is written piece by piece, and the request may still be read.
    ///
    /// A Content-Length among the headers is kept to; without one the body is chunked (HTTP/1.1), or ends with the connection
    /// (HTTP/1.0).
    ///
    /// # Errors
    ///
    /// As [`respond`](Self::respond), for the head.
    ///
    /// # Examples
    ///
    /// ```
    /// use bowline::{Exchange, Server, Result, http::Response};
    /// use std::io::Write;
    ///
    /// # fn main() -> bowline::Result<()> {
    /// let server = Server::bind("127.0.0.1:0")?.spawn(|exchange: Exchange| -> Result<()> {
    ///     let (_request_body, mut writer) = exchange.respond_streaming(Response::new(()))?;
    ///     for n in 0..10 {
    ///         writeln!(writer, "line {n}")?;
    ///     }
    ///     writer.finish()
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn respond_streaming(mut self, head: Response<()>) -> Result<(Body, BodyWriter)> {
        let mut head = head;
        let declared = declared(&head);
        let plan = Plan::new(&self.head.method, self.head.version, &mut head, declared)?;
        self.body_taken = true;
        self.settle_body();
        let stream = self.stream()?.clone();
        stream.respond(&head, plan.length, &[], End::More).map_err(|fault| fault.to_error().in_phase(Phase::Send))?;
        self.stream = None;
        let body = std::mem::take(&mut self.body);
        let writer = match plan.has_body {
            true => BodyWriter::new(stream, Limits::default(), Some(self.settings.timeouts.write))
                .answering(self.settings.pace()),
            false => BodyWriter::sink(stream),
        };
        Ok((body, writer))
    }

    /// What the client has to hear of its body before, or with, the answer.
    fn settle_body(&mut self) {
        if self.verdict.is_none() {
            return;
        }
        if !self.body_taken {
            self.body = Body::empty();
        }
        let Some(stream) = &self.stream else { return };
        if stream.is_only_handle() {
            // Nobody can read what is left of it.
            stream.forgo();
        } else if stream.wants_continue() || self.invites_late() {
            let mut head = Response::new(());
            *head.status_mut() = StatusCode::CONTINUE;
            // The answer itself says if that was impossible.
            let _ = stream.inform(&head);
        }
    }

    fn stream(&self) -> Result<&Stream> {
        self.stream.as_ref().ok_or_else(|| Error::with(ErrorKind::Misuse, "the exchange was answered"))
    }

    /// Answers without a body and without waiting.
    pub(super) fn refuse(mut self, status: StatusCode) {
        self.refuse_now(status);
    }

    fn refuse_now(&mut self, status: StatusCode) {
        if status.is_server_error() {
            self.settle_body();
        }
        let Some(stream) = self.stream.take() else { return };
        let mut head = Response::new(());
        *head.status_mut() = status;
        if status.is_client_error() && self.head.version != Version::HTTP_2 {
            // It is the body that was wrong, and what is left of it is not waited for.
            head.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        if let Ok(plan) = Plan::new(&self.head.method, self.head.version, &mut head, Some(0)) {
            // If the connection is over there is nobody to be told.
            let _ = stream.respond(&head, plan.length, &[], End::Last);
        }
    }
}

/// A target that names a host is what counts, whatever Host says (RFC 9112, section 3.2.2); HTTP/2 refuses two that differ.
fn agree_on_host(head: &mut RequestHead) {
    if head.version == Version::HTTP_2 || head.method == Method::CONNECT {
        return;
    }
    let Some(authority) = head.uri.authority() else { return };
    if head.fields.get("host") != Some(authority.as_str().as_bytes()) {
        head.fields.remove("host");
        head.fields.push(b"host", authority.as_str().as_bytes());
    }
}

/// Returns what a head says of the length of its body.
fn declared(head: &Response<()>) -> Option<u64> {
    head.headers().get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let status = self.verdict.as_ref().and_then(Verdict::status);
        self.refuse_now(status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR));
    }
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange")
            .field("method", &self.head.method)
            .field("path", &self.path())
            .field("version", &self.head.version)
            .field("peer", &self.peer)
            .finish_non_exhaustive()
    }
}
