//! Requests behind which another protocol begins.

use super::{Exchange, RequestBody};
use crate::{
    drive::{Body, Limits, Tunnel},
    error::{Error, ErrorKind, Phase, Result},
    proto::{
        End, Role,
        h1::Length,
        ws::{Refusal, accept},
    },
    time::date,
    ws::{Config, WebSocket},
};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Version, header};
use std::io;

impl Exchange {
    /// Accepts an upgrade with 101, or a CONNECT with 200: raw bytes from here. `Connection: upgrade` is added, and
    /// `Upgrade` with the first protocol that was asked for, if `headers` has none. What was not read of the body of the request is
    /// read before, and forgotten.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Misuse`] if it is neither a CONNECT nor a request for what `headers` have as Upgrade, which
    /// `Connection: upgrade` has to say too: the client is answered with 426 and that Upgrade (RFC 9110, section 15.5.22), or, where `headers` name
    /// nothing and over HTTP/2, which has no upgrades, with 400. If the body fails; and as [`respond`](Self::respond), for the head.
    ///
    /// # Examples
    ///
    /// ```
    /// use bowline::{Exchange, Server, Result, http::HeaderMap};
    /// use std::io::Write;
    ///
    /// # fn main() -> bowline::Result<()> {
    /// let server = Server::bind("127.0.0.1:0")?.spawn(|exchange: Exchange| -> Result<()> {
    ///     let mut tunnel = exchange.upgrade(HeaderMap::new())?;
    ///     tunnel.write_all(b"raw bytes from here")?;
    ///     tunnel.finish()
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn upgrade(mut self, headers: HeaderMap) -> Result<Tunnel> {
        let mut head = Response::new(());
        *head.headers_mut() = headers;
        if self.head.method == Method::CONNECT {
            *head.status_mut() = StatusCode::OK;
        } else if let Some(first) = self.asks_for(head.headers().get(header::UPGRADE)) {
            *head.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
            head.headers_mut().entry(header::CONNECTION).or_insert(HeaderValue::from_static("upgrade"));
            // A 101 says to what it changes (RFC 9110, section 15.2.2).
            head.headers_mut().entry(header::UPGRADE).or_insert(first);
        } else {
            let mut answer = Response::new(());
            *answer.status_mut() = StatusCode::BAD_REQUEST;
            let upgrade = head.headers_mut().remove(header::UPGRADE).filter(|_| self.head.version != Version::HTTP_2);
            if let Some(upgrade) = upgrade {
                *answer.status_mut() = StatusCode::UPGRADE_REQUIRED;
                answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
                answer.headers_mut().insert(header::UPGRADE, upgrade);
            }
            self.respond(answer)?;
            return Err(Error::with(ErrorKind::Misuse, "the request asks for neither that upgrade nor a tunnel"));
        }
        add_date(&mut head);
        self.skip_body()?;
        let length = if self.head.version == Version::HTTP_2 { Length::Unknown } else { Length::Empty };
        let stream = self.stream()?.clone();
        stream.respond(&head, length, &[], End::More).map_err(|fault| fault.to_error().in_phase(Phase::Send))?;
        self.stream = None;
        self.body = Body::empty();
        Ok(Tunnel::new(stream, self.headers().clone(), Limits::default()))
    }

    /// Returns whether the request asks for a WebSocket: over HTTP/1 by Upgrade, over HTTP/2 by an extended CONNECT (RFC 8441).
    ///
    /// # Examples
    ///
    /// ```
    /// use bowline::{Exchange, Server};
    ///
    /// # fn main() -> bowline::Result<()> {
    /// let server = Server::bind("127.0.0.1:0")?.spawn(|exchange: Exchange| match exchange.is_websocket() {
    ///     true => exchange.websocket(&[])?.send("welcome"),
    ///     false => exchange.reply(426, "a WebSocket, please"),
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn is_websocket(&self) -> bool {
        match self.head.version {
            Version::HTTP_2 => self.head.protocol.as_deref() == Some("websocket"),
            _ => {
                let asks = |value: &HeaderValue| {
                    value.as_bytes().split(|b| *b == b',').any(|v| v.trim_ascii().eq_ignore_ascii_case(b"websocket"))
                };
                self.head.method == Method::GET && self.headers().get_all(header::UPGRADE).iter().any(asks)
            }
        }
    }

    /// Accepts a WebSocket, with the first of `subprotocols` that the client offers. What is wrong with the handshake is answered: with
    /// 405 for another method, with 426 for a request that asks for no WebSocket or for one of another version than 13, which the answer
    /// names (RFC 6455, sections 4.2.2 and 4.4), and with 400 for all else; over HTTP/2, which has no 426, with 400 in its place.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Misuse`] if the request asks for none, and [`ErrorKind::PeerViolation`] if its handshake is not valid: both were
    /// answered. As [`respond`](Self::respond), for the head.
    ///
    /// # Examples
    ///
    /// ```
    /// use bowline::{Exchange, Server, Result};
    ///
    /// # fn main() -> bowline::Result<()> {
    /// let server = Server::bind("127.0.0.1:0")?.spawn(|exchange: Exchange| -> Result<()> {
    ///     let mut socket = exchange.websocket(&["chat"])?;
    ///     while let Some(message) = socket.recv()? {
    ///         socket.send(&message)?;
    ///     }
    ///     Ok(())
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn websocket(self, subprotocols: &[&str]) -> Result<WebSocket> {
        let config = self.settings.websocket.clone();
        self.websocket_with(subprotocols, config)
    }

    /// Accepts a WebSocket as [`websocket`](Self::websocket), with settings of its own.
    ///
    /// # Errors
    ///
    /// As [`websocket`](Self::websocket).
    ///
    /// # Examples
    ///
    /// ```
    /// use bowline::{Exchange, Server, Result, ws::Config};
    ///
    /// # fn main() -> bowline::Result<()> {
    /// let server = Server::bind("127.0.0.1:0")?.spawn(|exchange: Exchange| -> Result<()> {
    ///     let mut socket = exchange.websocket_with(&[], Config::default().max_message(1024))?;
    ///     socket.send("be brief")
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn websocket_with(mut self, subprotocols: &[&str], config: Config) -> Result<WebSocket> {
        let mut request = Request::new(());
        (*request.method_mut(), *request.version_mut()) = (self.head.method.clone(), self.head.version);
        *request.headers_mut() = self.headers().clone();
        let kind = if self.is_websocket() { ErrorKind::PeerViolation } else { ErrorKind::Misuse };
        let accepted = match self.is_websocket() || self.head.version != Version::HTTP_2 {
            true => accept(&request, subprotocols, &config.engine()),
            false => Err(Refusal::UpgradeMissing),
        };
        let (mut head, agreed) = match accepted {
            Ok(accepted) => accepted,
            Err(refusal) => {
                let answer = refusal.response(self.head.version).map(|()| Body::empty());
                let text = format!("a websocket was refused: {refusal}");
                self.respond(answer)?;
                return Err(Error::with(kind, text));
            }
        };
        add_date(&mut head);
        let length = if self.head.version == Version::HTTP_2 { Length::Unknown } else { Length::Empty };
        let stream = self.stream()?.clone();
        stream.respond(&head, length, &[], End::More).map_err(|fault| fault.to_error().in_phase(Phase::Send))?;
        self.stream = None;
        self.body = Body::empty();
        Ok(WebSocket::on(stream, Role::Server, agreed, config, Limits::new(self.settings.cancels.clone(), None)))
    }

    /// Returns the first protocol that the request asks for, if it does ask for an upgrade: for `protocol`, where that is given, since a server
    /// must not change to any other (RFC 9110, section 7.8).
    fn asks_for(&self, protocol: Option<&HeaderValue>) -> Option<HeaderValue> {
        let elements = |name: &'static str| {
            let lines = self.head.fields.get_all(name);
            lines.flat_map(|line| line.split(|b| *b == b',')).map(<[u8]>::trim_ascii).filter(|name| !name.is_empty())
        };
        let meant =
            self.head.version == Version::HTTP_11 && elements("connection").any(|o| o.eq_ignore_ascii_case(b"upgrade"));
        let offered = |name: &[u8]| elements("upgrade").any(|o| o.eq_ignore_ascii_case(name.trim_ascii()));
        let wanted = protocol.is_none_or(|names| names.as_bytes().split(|b| *b == b',').all(offered));
        let first = elements("upgrade").next().filter(|_| meant && wanted)?;
        HeaderValue::from_bytes(first).ok()
    }

    /// Reads what is left of the body of a request that becomes another protocol: that begins behind it (RFC 9110, section 7.8).
    fn skip_body(&mut self) -> Result<()> {
        let stream = self.stream()?.clone();
        if self.head.version == Version::HTTP_2 || !stream.has_body() {
            return Ok(());
        }
        let verdict = self.verdict.get_or_insert_default().clone();
        let source = RequestBody::new(stream, self.declared(), false, verdict, &self.settings);
        io::copy(&mut Body::from_source(Box::new(source)), &mut io::sink())?;
        Ok(())
    }
}

/// Adds a Date to an answer behind which another protocol begins, if it is one of those that have to have it.
fn add_date(head: &mut Response<()>) {
    if let Some(date) = date::now().filter(|_| head.status().is_success()) {
        head.headers_mut().entry(header::DATE).or_insert(date);
    }
}
