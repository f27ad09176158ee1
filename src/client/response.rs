//! A response whose head has arrived.

use crate::{
    drive::{Body, Carrier, ConnectionInfo, Http1Status, WHOLE},
    error::{Error, ErrorKind, Phase, Processed, Result},
    fields::Fields,
};
use http::{HeaderMap, Request, StatusCode, Uri, Version};
use std::{
    fmt,
    io::{Read, Write},
    sync::{Arc, OnceLock},
    time::Duration,
};

/// Where the time went; zero for what was not needed.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default)]
pub struct Timings {
    /// Waiting for a connection or stream slot.
    pub slot: Duration,
    /// Looking up the name.
    pub resolve: Duration,
    /// From the addresses to a connected wire, the proxy included.
    pub connect: Duration,
    /// The TLS handshake.
    pub tls: Duration,
    /// Sending the request.
    pub send: Duration,
    /// From the request's last byte to the head of the answer.
    pub first_byte: Duration,
    /// From the beginning to the head of the answer.
    pub total: Duration,
}

/// A response whose head has arrived. A 4xx or 5xx is a response too; see [`error_for_status`](Self::error_for_status).
///
/// # Examples
///
/// ```no_run
/// # fn main() -> bowline::Result<()> {
/// let response = bowline::get("https://example.org").send()?.error_for_status()?;
/// println!("{} {:?}", response.status(), response.header("content-type"));
/// println!("{}", response.text()?);
/// # Ok(())
/// # }
/// ```
pub struct Response {
    /// In one place, because a response is handed from one call to the next.
    inner: Box<Inner>,
}

struct Inner {
    parts: Parts,
    /// The fields as a map, once somebody wants one.
    headers: OnceLock<HeaderMap>,
    info: OnceLock<Box<ConnectionInfo>>,
}

/// What a response is made of.
pub(super) struct Parts {
    pub(super) status: StatusCode,
    pub(super) version: Version,
    pub(super) fields: Fields,
    /// What it answers.
    pub(super) request: Arc<Request<()>>,
    pub(super) history: Vec<(StatusCode, Uri)>,
    pub(super) conn: Arc<dyn Carrier>,
    pub(super) reused: bool,
    pub(super) attempts: u32,
    pub(super) timings: Timings,
    pub(super) body: Body,
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Parts { status, version, request, body, .. } = &self.inner.parts;
        f.debug_struct("Response")
            .field("status", status)
            .field("version", version)
            .field("url", request.uri())
            .field("headers", self.headers())
            .field("body", body)
            .finish_non_exhaustive()
    }
}

impl Response {
    pub(super) fn new(parts: Parts) -> Self {
        Response { inner: Box::new(Inner { parts, headers: OnceLock::new(), info: OnceLock::new() }) }
    }

    /// Returns the status.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # fn main() -> bowline::Result<()> {
    /// let response = bowline::get("https://example.org").send()?;
    /// if response.status().is_success() {
    ///     println!("{}", response.text()?);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn status(&self) -> StatusCode {
        self.inner.parts.status
    }

    /// Returns the version it came in.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # fn main() -> bowline::Result<()> {
    /// let response = bowline::get("https://example.org").send()?;
    /// println!("{:?}", response.version());
    /// # Ok(())
    /// # }
    /// ```
    pub fn version(&self) -> Version {
        self.inner.parts.version
    }

    /// Returns the headers. Content-Encoding and Content-Length are absent if the body is decoded while it is read.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # fn main() -> bowline::Result<()> {
    /// let response = bowline::get("https://example.org").send()?;
    /// for (name, value) in response.headers() {
    ///     println!("{name}: {value:?}");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn headers(&self) -> &HeaderMap {
        self.inner.headers.get_or_init(|| self.inner.parts.fields.clone().into_map())
    }

    /// Returns one header as text; `None` if absent or not text.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # fn main() -> bowline::Result<()> {
    /// let response = bowline::get("https://example.org").send()?;
    /// let kind = response.header("content-type").unwrap_or("unknown");
    /// # Ok(())
    /// # }
    /// ```
    pub fn header(&self, name: &str) -> Option<&str> {
        self.inner.parts.fields.get_text(name)
    }

    /// Returns the URL that answered, redirects followed.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # fn main() -> bowline::Result<()> {
    /// let response = bowline::get("https://example.org").send()?;
    /// println!("it came from {}", response.url());
    /// # Ok(())
    /// # }
    /// ```
    pub fn url(&self) -> &Uri {
        self.inner.parts.request.uri()
    }

    /// Returns the redirects on the way, oldest first: status and the URL that gave it.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # fn main() -> bowline::Result<()> {
    /// let response = bowline::get("https://example.org").send()?;
    /// for (status, url) in response.history() {
    ///     println!("{status} at {url}");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn history(&self) -> &[(StatusCode, Uri)] {
        &self.inner.parts.history
    }

    /// Returns Content-Length, if it is that of the body as read.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # fn main() -> bowline::Result<()> {
    /// let response = bowline::get("https://example.org").send()?;
    /// let length = response.content_length();
    /// # Ok(())
    /// # }
    /// ```
    pub fn content_length(&self) -> Option<u64> {
        self.inner.parts.body.content_length()
    }

    /// Returns the connection it came on, as it was when this was first asked: id, peer, protocol, RTT.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # fn main() -> bowline::Result<()> {
    /// let response = bowline::get("https://example.org").send()?;
    /// println!("{:?}, round trip {:?}", response.connection().peer, response.connection().rtt);
    /// # Ok(())
    /// # }
    /// ```
    pub fn connection(&self) -> &ConnectionInfo {
        self.inner.info.get_or_init(|| Box::new(self.inner.parts.conn.info()))
    }

    /// Returns whether the connection had served before.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # fn main() -> bowline::Result<()> {
    /// let response = bowline::get("https://example.org").send()?;
    /// println!("{}", if response.reused() { "an old connection" } else { "a new one" });
    /// # Ok(())
    /// # }
    /// ```
    pub fn reused(&self) -> bool {
        self.inner.parts.reused
    }

    /// Returns how many attempts it took, the automatic ones and those after redirects included.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # fn main() -> bowline::Result<()> {
    /// let response = bowline::get("https://example.org").send()?;
    /// println!("{} attempts", response.attempts());
    /// # Ok(())
    /// # }
    /// ```
    pub fn attempts(&self) -> u32 {
        self.inner.parts.attempts
    }

    /// Returns where the time went.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # fn main() -> bowline::Result<()> {
    /// let response = bowline::get("https://example.org").send()?;
    /// let timings = response.timings();
    /// println!("connected in {:?}, the answer after {:?}", timings.connect, timings.total);
    /// # Ok(())
    /// # }
    /// ```
    pub fn timings(&self) -> Timings {
        self.inner.parts.timings
    }

    /// Turns 4xx and 5xx into an error that keeps the response.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Status`], whose [`response`](Error::response) is this one with its body unread.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use bowline::ErrorKind;
    ///
    /// # fn main() -> bowline::Result<()> {
    /// match bowline::get("https://example.org/none").send()?.error_for_status() {
    ///     Ok(response) => println!("{}", response.text()?),
    ///     Err(e) => match e.into_response() {
    ///         Ok(response) => println!("{}: {}", response.status(), response.text()?),
    ///         Err(e) => return Err(e),
    ///     },
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn error_for_status(self) -> Result<Response> {
        let status = self.status();
        if !(status.is_client_error() || status.is_server_error()) {
            return Ok(self);
        }
        let text = format!("status {status} from {}", self.url());
        let elapsed = self.inner.parts.timings.total;
        Err(Error::with(ErrorKind::Status(status), text)
            .in_phase(Phase::FirstByte)
            .with_processed(Processed::Yes)
            .with_elapsed(elapsed)
            .attach(self))
    }

    /// Returns the body, to read from.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::io::{BufRead, BufReader};
    ///
    /// # fn main() -> bowline::Result<()> {
    /// let mut response = bowline::get("https://example.org/log").send()?;
    /// for line in BufReader::new(response.body()).lines() {
    ///     println!("{}", line?);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn body(&mut self) -> &mut Body {
        &mut self.inner.parts.body
    }

    /// Lets no more of the body be read.
    pub(super) fn limit(mut self, max: u64) -> Self {
        self.inner.parts.body = std::mem::take(&mut self.inner.parts.body).limit(max);
        self
    }

    /// The response without its body, which is let go of.
    pub(super) fn without_body(mut self) -> Self {
        self.inner.parts.body = Body::empty();
        self
    }

    /// Returns the body alone.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # fn main() -> bowline::Result<()> {
    /// let response = bowline::get("https://example.org").send()?;
    /// let first_megabyte = response.into_body().limit(1 << 20);
    /// # Ok(())
    /// # }
    /// ```
    pub fn into_body(self) -> Body {
        self.inner.parts.body
    }

    /// Reads the whole body (at most 64 MiB; `into_body().limit(n)` for another limit).
    ///
    /// # Errors
    ///
    /// As reading the body; [`ErrorKind::TooLarge`] above the limit.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # fn main() -> bowline::Result<()> {
    /// let response = bowline::get("https://example.org").send()?;
    /// let bytes: Vec<u8> = response.bytes()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn bytes(self) -> Result<Vec<u8>> {
        self.inner.parts.body.read_whole(WHOLE)
    }

    /// Reads the whole body as text, which has to be UTF-8.
    ///
    /// # Errors
    ///
    /// As [`bytes`](Self::bytes); [`ErrorKind::Content`] if it is not UTF-8.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # fn main() -> bowline::Result<()> {
    /// let response = bowline::get("https://example.org").send()?;
    /// println!("{}", response.text()?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn text(self) -> Result<String> {
        let bytes = self.inner.parts.body.read_whole(WHOLE)?;
        String::from_utf8(bytes).map_err(|e| {
            let text = format!("the body is not UTF-8 from byte {} on", e.utf8_error().valid_up_to());
            Error::with(ErrorKind::Content, text)
                .in_phase(Phase::Body)
                .with_processed(Processed::Yes)
                .with_source(e.utf8_error())
        })
    }

    /// Reads the whole body as JSON (feature `json`).
    ///
    /// # Errors
    ///
    /// As [`bytes`](Self::bytes); [`ErrorKind::Content`] if it is not JSON or not of this type.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # fn main() -> bowline::Result<()> {
    /// let response = bowline::get("https://example.org").send()?;
    /// let numbers: Vec<u32> = response.json()?;
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "json")]
    pub fn json<T: serde::de::DeserializeOwned>(self) -> Result<T> {
        super::json::read(&self.inner.parts.body.read_whole(WHOLE)?)
    }

    /// Reads the body into any writer; returns the bytes written.
    ///
    /// # Errors
    ///
    /// As reading the body; what the writer says is of kind [`ErrorKind::Other`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # fn main() -> bowline::Result<()> {
    /// let response = bowline::get("https://example.org").send()?;
    /// let bytes = response.copy_to(&mut std::fs::File::create("film.mkv")?)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn copy_to(mut self, to: &mut impl Write) -> Result<u64> {
        let mut piece = vec![0; 64 * 1024];
        let mut copied = 0;
        loop {
            let n = self.inner.parts.body.read(&mut piece)?;
            if n == 0 {
                return Ok(copied);
            }
            to.write_all(&piece[..n]).map_err(Error::other)?;
            copied += n as u64;
        }
    }

    /// Turns it into a type of the `http` crate.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # fn main() -> bowline::Result<()> {
    /// let response = bowline::get("https://example.org").send()?;
    /// let (head, body) = response.into_http().into_parts();
    /// # Ok(())
    /// # }
    /// ```
    pub fn into_http(self) -> http::Response<Body> {
        let Inner { parts, headers, .. } = *self.inner;
        let Parts { status, version, fields, body, .. } = parts;
        let mut response = http::Response::new(body);
        *response.status_mut() = status;
        *response.version_mut() = version;
        *response.headers_mut() = headers.into_inner().unwrap_or_else(|| fields.into_map());
        response
    }
}

impl Error {
    /// Returns the response behind `Status`, `Handshake` and `Redirect`: head whole, body unread.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # fn main() -> bowline::Result<()> {
    /// let error = bowline::get("https://example.org/none").send()?.error_for_status().unwrap_err();
    /// println!("{:?}", error.response().and_then(|response| response.header("content-type")));
    /// # Ok(())
    /// # }
    /// ```
    pub fn response(&self) -> Option<&Response> {
        self.attached()
    }

    /// Takes that response out.
    ///
    /// # Errors
    ///
    /// Gives the error back if there is none.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # fn main() -> bowline::Result<()> {
    /// let error = bowline::get("https://example.org/none").send()?.error_for_status().unwrap_err();
    /// println!("{}", error.into_response()?.text()?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn into_response(mut self) -> Result<Response, Error> {
        match self.detach() {
            Some(response) => Ok(response),
            None => Err(self),
        }
    }

    /// Returns the status behind `Status`, `Handshake`, `Redirect` and, where it could be read, `PeerSpokeHttp1`.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # fn main() -> bowline::Result<()> {
    /// let error = bowline::get("https://example.org/none").send()?.error_for_status().unwrap_err();
    /// assert_eq!(error.status(), Some(bowline::http::StatusCode::NOT_FOUND));
    /// # Ok(())
    /// # }
    /// ```
    pub fn status(&self) -> Option<StatusCode> {
        match self.kind() {
            ErrorKind::Status(status) => Some(status),
            _ => self.response().map(Response::status).or_else(|| self.attached::<Http1Status>().map(|s| s.0)),
        }
    }

    /// Returns the connection it happened on, as it was then.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # fn main() -> bowline::Result<()> {
    /// if let Err(e) = bowline::get("https://example.org").send() {
    ///     println!("{:?}", e.connection().map(|row| row.id));
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn connection(&self) -> Option<&ConnectionInfo> {
        self.attached().or_else(|| self.response().map(Response::connection))
    }

    /// Returns whether that connection had served before; `None` without a connection.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # fn main() -> bowline::Result<()> {
    /// if let Err(e) = bowline::get("https://example.org").send() {
    ///     println!("on a connection that had served before: {:?}", e.reused());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn reused(&self) -> Option<bool> {
        let attached = self.attached::<crate::drive::Reused>().map(|reused| reused.0);
        attached.or_else(|| self.response().map(Response::reused))
    }
}
