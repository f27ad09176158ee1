//! A request being put together.

mod settings;

use super::{
    Inner, auth,
    builder::field,
    call::{Call, Started},
    options::Options,
    pending::Pending,
    recent::Aim,
    response::Response,
    settings::Protocol,
    url::{self, Family, Url},
};
use crate::{
    drive::{Body, BodyWriter, Carrier, IntoBody, Limits, Tunnel, block_on},
    error::{Error, ErrorKind, Phase, Processed, Result},
    proto::ws::Offer,
    time::Deadline,
};
use http::{HeaderMap, HeaderValue, Method, Request, header};
use std::{sync::Arc, task::Poll};

/// A request being put together. Mistakes (a bad URL, a CR in a header) are the error of [`send`](Self::send) or of the wait.
///
/// # Examples
///
/// ```no_run
/// # fn main() -> bowline::Result<()> {
/// let client = bowline::Client::new();
/// let answer = client.post("https://example.org/notes").query("draft", "1").bearer_auth("…").body("text").send()?;
/// # let _ = answer;
/// # Ok(())
/// # }
/// ```
#[must_use]
#[derive(Debug)]
pub struct RequestBuilder {
    inner: Arc<Inner>,
    method: Method,
    aim: Result<Aim>,
    headers: HeaderMap,
    /// As written and in the order added, for peers that are wrong about case.
    original: Vec<(String, Vec<u8>)>,
    body: Body,
    content_type: Option<HeaderValue>,
    /// Those of the client, until something else is said.
    options: Arc<Options>,
    pinned: Option<Arc<dyn Carrier>>,
    mistake: Option<Error>,
}

impl RequestBuilder {
    pub(super) fn new(inner: Arc<Inner>, method: Method, url: &str, family: Family) -> Self {
        let parse = || match &inner.settings.base {
            Some(base) if url.starts_with('/') => base.join(url),
            _ => Url::parse(url, family),
        };
        let aim = match family {
            Family::Http => inner.recent.aim(url, &inner.plain, parse),
            Family::WebSocket => parse().map(Aim::Url),
        };
        Self::at(inner, method, aim)
    }

    pub(super) fn to(inner: Arc<Inner>, method: Method, url: Result<Url>) -> Self {
        Self::at(inner, method, url.map(Aim::Url))
    }

    fn at(inner: Arc<Inner>, method: Method, aim: Result<Aim>) -> Self {
        let options = inner.options.clone();
        RequestBuilder {
            inner,
            method,
            aim,
            headers: HeaderMap::new(),
            original: Vec::new(),
            body: Body::empty(),
            content_type: None,
            options,
            pinned: None,
            mistake: None,
        }
    }

    pub(super) fn prepared<B: IntoBody>(inner: Arc<Inner>, request: Request<B>) -> Self {
        let (parts, body) = request.into_parts();
        let mut builder = Self::new(inner, parts.method, &parts.uri.to_string(), Family::Http);
        builder.headers = parts.headers;
        builder.body(body)
    }

    pub(super) fn pin(mut self, conn: Arc<dyn Carrier>) -> Self {
        self.pinned = Some(conn);
        self
    }

    /// The options, to say something else than the client.
    fn options(&mut self) -> &mut Options {
        Arc::make_mut(&mut self.options)
    }

    fn try_set(mut self, f: impl FnOnce(&mut Self) -> Result<()>) -> Self {
        if let Err(e) = f(&mut self) {
            self.mistake.get_or_insert(e);
        }
        self
    }

    /// Adds a header.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # fn main() -> bowline::Result<()> {
    /// let response = bowline::get("https://example.org").header("accept-language", "de, en;q=0.5").send()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn header(self, name: impl AsRef<str>, value: impl AsRef<[u8]>) -> Self {
        self.try_set(|r| {
            let (checked, value) = field(name.as_ref(), value.as_ref())?;
            if r.inner.settings.preserve_case {
                r.original.push((name.as_ref().to_owned(), value.as_bytes().to_vec()));
            }
            r.headers.append(checked, value);
            Ok(())
        })
    }

    /// Adds headers, sensitive values included; replaces those of the same name.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use bowline::http::{HeaderMap, HeaderValue, header};
    ///
    /// # fn main() -> bowline::Result<()> {
    /// let mut headers = HeaderMap::new();
    /// headers.insert(header::ACCEPT, HeaderValue::from_static("text/html"));
    /// let response = bowline::get("https://example.org").headers(headers).send()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn headers(mut self, headers: HeaderMap) -> Self {
        self.original.retain(|(name, _)| !headers.contains_key(name.as_str()));
        if self.inner.settings.preserve_case {
            self.original
                .extend(headers.iter().map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec())));
        }
        for name in headers.keys() {
            self.headers.remove(name);
        }
        let mut last = None;
        for (name, value) in headers {
            last = name.or(last);
            if let Some(name) = &last {
                self.headers.append(name.clone(), value);
            }
        }
        self
    }

    /// Adds one pair to the query, encoded.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # fn main() -> bowline::Result<()> {
    /// // ?q=a%20b&page=2, however encoded it has to be
    /// let response = bowline::get("https://example.org/search").query("q", "a b").query("page", "2").send()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn query(mut self, name: &str, value: &str) -> Self {
        if let Ok(aim) = &mut self.aim {
            match url::append_query(aim.uri(), [(name, value)]) {
                Ok(uri) => aim.set_uri(uri),
                Err(e) => _ = self.mistake.get_or_insert(e),
            }
        }
        self
    }

    /// Asks with basic authentication (RFC 7617).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # fn main() -> bowline::Result<()> {
    /// let response = bowline::get("https://example.org").basic_auth("user", "password").send()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn basic_auth(self, user: &str, password: &str) -> Self {
        self.try_set(|r| {
            r.headers.insert(header::AUTHORIZATION, auth::basic(user, password)?);
            Ok(())
        })
    }

    /// Asks with a bearer token, marked sensitive (RFC 6750).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # fn main() -> bowline::Result<()> {
    /// let response = bowline::get("https://example.org").bearer_auth("token").send()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn bearer_auth(self, token: &str) -> Self {
        self.try_set(|r| {
            r.headers.insert(header::AUTHORIZATION, auth::bearer(token)?);
            Ok(())
        })
    }

    /// Sets the body; a file or bytes can be sent again, a reader cannot.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::fs::File;
    ///
    /// # fn main() -> bowline::Result<()> {
    /// let client = bowline::Client::new();
    /// client.put("https://example.org/note").body("text").send()?.error_for_status()?;
    /// client.put("https://example.org/film").body(File::open("film.mkv")?).send()?.error_for_status()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn body(self, body: impl IntoBody) -> Self {
        self.try_set(|r| {
            (r.body, r.content_type) = body.into_body()?;
            Ok(())
        })
    }

    /// Sets the body to pairs as `application/x-www-form-urlencoded`.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # fn main() -> bowline::Result<()> {
    /// let response = bowline::shared().post("https://example.org/login").form(&[("user", "me"), ("stay", "yes")]).send()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn form(mut self, pairs: &[(&str, &str)]) -> Self {
        self.body = Body::from_vec(url::form(pairs.iter().copied()).into_bytes());
        self.content_type = Some(HeaderValue::from_static("application/x-www-form-urlencoded"));
        self
    }

    /// Sets the body to a value as `application/json` (feature `json`).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # fn main() -> bowline::Result<()> {
    /// let numbers = [1, 2, 3];
    /// let response = bowline::shared().post("https://example.org/sum").json(&numbers).send()?;
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "json")]
    pub fn json<T: serde::Serialize + ?Sized>(self, value: &T) -> Self {
        self.try_set(|r| {
            r.body = Body::from_vec(super::json::write(value)?);
            r.content_type = Some(HeaderValue::from_static("application/json"));
            Ok(())
        })
    }

    /// Sends, and waits for the head of the answer.
    ///
    /// # Errors
    ///
    /// Whatever keeps an answer from coming; a 4xx or 5xx is an answer. What ends the wait is the [`Timeouts`](crate::Timeouts), a
    /// [`Cancel`](crate::Cancel) token, or an interrupt of the client.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use bowline::ErrorKind;
    ///
    /// # fn main() -> bowline::Result<()> {
    /// match bowline::get("https://example.org").send() {
    ///     Ok(response) => println!("{}", response.status()),
    ///     Err(e) if e.kind() == ErrorKind::TimedOut => println!("too slow, in phase {:?}", e.phase()),
    ///     Err(e) => return Err(e),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn send(self) -> Result<Response> {
        let mut call = self.into_call()?;
        block_on(Deadline::NEVER, |cx| call.poll(cx)).unwrap_or_else(|| Err(Error::new(ErrorKind::TimedOut)))
    }

    /// Sets it on its way and returns: many from one thread. Blocks only to make a connection (on a
    /// [`Connection`](super::Connection) never); waits for stream slots, retries and redirects are part of the [`Pending`].
    ///
    /// While nobody waits for it, it has no timers: no PING asks whether the peer is still there, and the limits of a first byte, a read
    /// and a write begin with the first wait. The total limit and that of a slot count from the beginning.
    ///
    /// Requests that were started share six HTTP/1 connections per origin, or what
    /// [`max_connections_per_origin`](super::ClientBuilder::max_connections_per_origin) says. What is above goes out in the order of the
    /// calls, as soon as a connection is free. One that is waited for by [`Pending::wait`] keeps to the six for a tenth of a second, and as
    /// long as that wait can read what the others get.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # fn main() -> bowline::Result<()> {
    /// let client = bowline::Client::new();
    /// let (first, second) = (client.get("https://example.org/1").start(), client.get("https://example.org/2").start());
    /// println!("{} {}", first.wait()?.status(), second.wait()?.status());
    /// # Ok(())
    /// # }
    /// ```
    pub fn start(self) -> Pending {
        let pinned = self.pinned.is_some();
        let mut call = match self.into_call() {
            Ok(call) => call,
            Err(e) => return Pending::over(Err(e)),
        };
        (call.shares, call.started) = (Some(Deadline::NEVER), Some(Box::new(Started::new())));
        let launched = match pinned {
            // Nothing here waits for more than the connection has.
            true => block_on(Deadline::NEVER, |cx| Poll::Ready(call.poll_launched(cx))).and_then(|poll| match poll {
                Poll::Ready(result) => result,
                Poll::Pending => None,
            }),
            false => block_on(Deadline::NEVER, |cx| call.poll_launched(cx)).flatten(),
        };
        match launched {
            Some(result) => Pending::over(result),
            None => Pending::new(call),
        }
    }

    /// Sends the head; the body is written while the answer may already be read. Set Content-Length if it is known.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send), up to the head having been sent.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::io::Write;
    ///
    /// # fn main() -> bowline::Result<()> {
    /// let (mut body, answer) = bowline::shared().post("https://example.org/echo").duplex()?;
    /// body.write_all(b"one piece, ")?;
    /// body.write_all(b"and another")?;
    /// body.finish()?;
    /// println!("{}", answer.wait()?.text()?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn duplex(self) -> Result<(BodyWriter, Pending)> {
        let mut call = self.into_call()?;
        call.external = true;
        let result = block_on(Deadline::NEVER, |cx| match call.poll(cx) {
            Poll::Ready(result) => Poll::Ready(Some(result)),
            Poll::Pending if call.stream().is_some() => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        });
        let stall = call.options.timeouts.write_limit();
        let limits = Limits::new(call.options.cancels.clone(), call.inner.settings.interrupt.clone());
        match (result.flatten(), call.stream()) {
            (None, Some(stream)) => {
                let writer = BodyWriter::new(stream.clone(), limits, stall).asking(call.asked());
                Ok((writer, Pending::new(call)))
            }
            (Some(Err(e)), _) => Err(e),
            (Some(Ok(response)), _) => {
                let text = format!("the peer answered {} before anything of the body was sent", response.status());
                Err(answered(text, &call).in_phase(Phase::Send).attach(response))
            }
            (None, None) => Err(Error::with(ErrorKind::Misuse, "the request has no stream")),
        }
    }

    /// Asks for another protocol (`Upgrade`, or CONNECT): the raw bytes behind the 101 or 2xx.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send); [`ErrorKind::Handshake`], with the response, if the peer answers but not with yes.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::io::{Read, Write};
    ///
    /// # fn main() -> bowline::Result<()> {
    /// let mut tunnel = bowline::get("https://example.org/talk").upgrade("talk/1")?;
    /// tunnel.write_all(b"hello")?;
    /// let mut answer = [0; 100];
    /// let n = tunnel.read(&mut answer)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn upgrade(mut self, protocol: &str) -> Result<Tunnel> {
        let connect = self.method == Method::CONNECT;
        if !connect {
            let (name, value) = field("upgrade", protocol.as_bytes())?;
            self.headers.insert(name, value);
            self.headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
            self.options().protocol = Protocol::Http1;
        }
        self.options().upgrade = Some(protocol.to_owned());
        let mut call = self.into_call()?;
        call.external = connect;
        let result = block_on(Deadline::NEVER, |cx| call.poll(cx));
        let response = result.unwrap_or_else(|| Err(Error::new(ErrorKind::TimedOut)))?;
        match call.take_upgraded() {
            Some(_) if !connect && !is_asked_for(response.headers(), protocol) => {
                let text = "the peer changed to another protocol than was asked for".to_owned();
                Err(answered(text, &call).in_phase(Phase::FirstByte).attach(response.without_body()))
            }
            Some(stream) => {
                let limits = Limits::new(call.options.cancels.clone(), call.inner.settings.interrupt.clone());
                Ok(Tunnel::new(stream, response.headers().clone(), limits))
            }
            None => {
                let text = format!("the peer answered {} and did not change the protocol", response.status());
                Err(answered(text, &call).in_phase(Phase::FirstByte).attach(response))
            }
        }
    }

    /// Makes the handshake of a WebSocket of it.
    pub(super) fn into_websocket(mut self, options: Options, offer: Offer) -> Result<Call> {
        let (upgrade, websocket) = (Some("websocket".to_owned()), Some(Box::new(offer)));
        self.options = Arc::new(Options { upgrade, websocket, ..options });
        self.into_call()
    }

    /// Checks everything and makes the request of it.
    fn into_call(self) -> Result<Call> {
        let RequestBuilder { inner, method, aim, headers, original, body, content_type, mut options, pinned, mistake } =
            self;
        if let Some(mistake) = mistake {
            return Err(mistake);
        }
        if options.expect.is_some() && body.content_length() == Some(0) {
            Arc::make_mut(&mut options).expect = None;
        }
        let plain = headers.is_empty() && content_type.is_none() && options.expect.is_none();
        let (request, origin) = match aim? {
            Aim::Again { get, origin } if plain && method == Method::GET => (get, origin),
            aim => {
                let (uri, origin, authorization) = match aim {
                    Aim::Again { get, origin } => (get.uri().clone(), origin, None),
                    Aim::Url(Url { uri, origin, authorization }) => (uri, origin, authorization),
                };
                let mut request = match plain && authorization.is_none() {
                    true => inner.plain.clone(),
                    false => {
                        let mut request = Request::new(());
                        *request.headers_mut() = inner.settings.complete(headers, content_type, authorization);
                        request
                    }
                };
                (*request.method_mut(), *request.uri_mut()) = (method, uri);
                if options.expect.is_some() {
                    request.headers_mut().insert(header::EXPECT, HeaderValue::from_static("100-continue"));
                }
                (Arc::new(request), origin)
            }
        };
        let mut call = Call::new(inner, options, request, origin, body, pinned);
        call.written = original;
        Ok(call)
    }
}

/// Whether a 101 names one of these protocols, or none (RFC 9110, section 7.8).
fn is_asked_for(headers: &HeaderMap, protocols: &str) -> bool {
    let mut named = headers.get_all(header::UPGRADE).iter().flat_map(|v| v.as_bytes().split(|b| *b == b',')).peekable();
    let asked = |name: &[u8]| protocols.split(',').any(|p| p.trim().as_bytes().eq_ignore_ascii_case(name.trim_ascii()));
    named.peek().is_none() || named.any(asked)
}

/// The error of an answer that is not the one hoped for.
pub(super) fn answered(text: String, call: &Call) -> Error {
    Error::with(ErrorKind::Handshake, text)
        .with_processed(Processed::Yes)
        .with_elapsed(call.began.elapsed())
        .with_attempts(call.attempts)
}

/// The URL of a path on the origin of a connection that the caller owns.
pub(super) fn target_url(origin: &url::Origin, target: &str) -> Result<Url> {
    if !target.starts_with('/') {
        return Err(Error::invalid("a request on a connection names a path that begins with `/`"));
    }
    Url::parse(&format!("{origin}{target}"), Family::Http)
}
