//! Requests that ask for another protocol on their connection: HTTP/2 by `Upgrade: h2c`, WebSocket.

use super::{
    super::{connect, failure::Failed, response::Response, settings::Protocol, url::Scheme},
    Call, Exchange, State,
};
use crate::{
    b64,
    drive::{Carrier, Fault, Setup, to_h2},
    error::{Error, ErrorKind, Phase},
    net::Cx,
    proto::{h1::Length, h2},
    time::Deadline,
};
use http::{HeaderValue, Method, Request, Version, header};
use std::{sync::Arc, task::Poll, time::Duration};

impl Call {
    /// The request as it asks for HTTP/2 by an upgrade, if it should: without a body, on a wire in the clear.
    pub(super) fn h2c_upgrade(&self, conn: &Arc<dyn Carrier>) -> Option<Request<()>> {
        let wanted =
            self.protocol() == Protocol::H2cUpgrade && conn.version() != Version::HTTP_2 && self.pinned.is_none();
        let bodiless = self.attempt.length == Some(Length::Empty);
        let plain = self.origin.scheme == Scheme::Http && self.options.upgrade.is_none();
        if !(wanted && bodiless && plain) {
            return None;
        }
        let key = self.key();
        // It was found out that HTTP/1 is required, or that no upgrade is made.
        if key.protocol != Protocol::H2cUpgrade || self.inner.pool.declines_upgrade(&key) {
            return None;
        }
        let settings = connect::h2_config(&self.inner.settings).upgrade_payload();
        let settings = HeaderValue::from_str(&b64::encode_url(settings)).ok()?;
        let mut head = self.head().clone();
        head.headers_mut().insert(header::UPGRADE, HeaderValue::from_static("h2c"));
        head.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("Upgrade, HTTP2-Settings"));
        head.headers_mut().insert("http2-settings", settings);
        Some(head)
    }

    /// The handshake of a WebSocket as it is made on this connection. `Err(None)`: not on this one, but over HTTP/1.
    pub(super) fn poll_websocket(
        &self,
        conn: &Arc<dyn Carrier>,
        cx: &mut Cx<'_>,
    ) -> Poll<Result<Option<Request<()>>, Option<Failed>>> {
        let Some(offer) = &self.options.websocket else { return Poll::Ready(Ok(None)) };
        let version = conn.version();
        let mut head = self.head().clone();
        if version == Version::HTTP_2 {
            match conn.clone().poll_extended_connect(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(true)) => {}
                Poll::Ready(Ok(false)) if self.pinned.is_none() && self.protocol() == Protocol::Auto => {
                    return Poll::Ready(Err(None));
                }
                Poll::Ready(Ok(false)) => {
                    let text = "the peer does not enable WebSocket over HTTP/2 (RFC 8441)";
                    let e = Error::with(ErrorKind::Unsupported, text).in_phase(Phase::Slot);
                    return Poll::Ready(Err(Some(Failed::error(e))));
                }
                Poll::Ready(Err(fault)) => {
                    return Poll::Ready(Err(Some(Failed::unsent(fault, conn.served() > 0, conn.clone()))));
                }
            }
            *head.method_mut() = Method::CONNECT;
            head.extensions_mut().insert(h2::Protocol("websocket".to_owned()));
        }
        offer.add_to(head.headers_mut(), version);
        Poll::Ready(Ok(Some(head)))
    }

    /// The peer agreed to HTTP/2: the request is stream 1 of a connection on the same wire.
    pub(super) fn on_upgrading(
        &mut self,
        exchange: Box<Exchange>,
        cx: &mut Cx<'_>,
    ) -> Poll<Result<Option<Response>, Failed>> {
        let config = connect::h2_config(&self.inner.settings);
        let settings = &self.inner.settings;
        let prepare = |setup: &mut Setup| connect::prepare(setup, settings, &self.inner.pool.record, Version::HTTP_2);
        let stream = match to_h2(&exchange.stream, config, prepare, cx.now) {
            None => {
                // Another thread looks at the wire; that takes no time to speak of.
                cx.wait_until(Deadline::at(cx.now + Duration::from_millis(1)));
                self.state = State::Upgrading(exchange);
                return Poll::Pending;
            }
            Some(Err(violation)) => {
                let fault = Fault::Failed(ErrorKind::PeerViolation, violation.to_string().into());
                return Poll::Ready(Err(Failed::exchanging(fault, exchange)));
            }
            Some(Ok(stream)) => stream,
        };
        let lease = self.inner.pool.share(&self.key(), stream.carrier().clone(), &self.inner.settings.limits);
        stream.keep(Box::new(lease));
        let (opened, sent) = (exchange.opened, exchange.sent);
        self.state = State::Exchanging(Box::new(Exchange {
            stream,
            upload: None,
            expect: None,
            sent,
            opened,
            reused: exchange.reused,
            version: Version::HTTP_2,
            pooled: false,
            h2c: false,
            early: None,
        }));
        Poll::Ready(Ok(None))
    }
}
