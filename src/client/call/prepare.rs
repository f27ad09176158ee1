//! What an attempt sends: the head as hooks and the body change it.

use super::{
    super::{connect, url::Origin},
    Call, Prepared,
};
use crate::{
    drive::Upload,
    error::{Error, Result},
    fields::Fields,
    net::Route,
    proto::h1::{Length, OriginalFields},
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Version, header};
use std::{sync::Arc, time::Instant};

impl Call {
    /// Puts an attempt together.
    pub(super) fn begin(&mut self, now: Instant) -> Result<()> {
        self.attempts += 1;
        if self.attempts == 1 && self.history.is_empty() && !self.external {
            self.hold_to_length()?;
        }
        if self.attempts == 1 && self.request.headers().contains_key(header::TRANSFER_ENCODING) {
            return Err(Error::invalid(
                "the header Transfer-Encoding is not for the program: the body decides how it is sent",
            ));
        }
        let mut body = match self.body.replay() {
            Some(body) => body,
            None => std::mem::take(&mut self.body),
        };
        let hooks = &self.inner.settings.hooks;
        self.attempt = Prepared { began: Some(now), ..Prepared::default() };
        if !hooks.is_empty() {
            let mut request = Request::new(body);
            *request.method_mut() = self.request.method().clone();
            *request.uri_mut() = self.request.uri().clone();
            *request.headers_mut() = self.request.headers().clone();
            *request.extensions_mut() = self.request.extensions().clone();
            let attempt = self.describe_attempt();
            for hook in hooks {
                hook.before(&mut request, &attempt)?;
            }
            let (parts, changed) = request.into_parts();
            body = changed;
            if parts.uri != *self.request.uri() {
                self.origin = Origin::of(&parts.uri)?;
            }
            self.attempt.head = Some(Box::new(Request::from_parts(parts, ())));
        }
        if !self.external {
            let upload = Upload::new(body);
            self.attempt.length = Some(upload.length());
            self.attempt.upload = (!upload.is_done()).then(|| Box::new(upload));
        }
        self.adjust_head()
    }

    /// Takes the length that the program declared by a header for that of the body.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if the body has another one.
    fn hold_to_length(&mut self) -> Result<()> {
        if !has(self.request.headers(), &header::CONTENT_LENGTH) {
            return Ok(());
        }
        let mut values = self.request.headers().get_all(header::CONTENT_LENGTH).iter();
        let Some(value) = values.next() else { return Ok(()) };
        let digits = value.to_str().ok().filter(|text| text.bytes().all(|b| b.is_ascii_digit()));
        let (Some(declared), None) = (digits.and_then(|text| text.parse().ok()), values.next()) else {
            return Err(Error::invalid("the header Content-Length is not one number"));
        };
        match self.body.content_length() {
            Some(len) if len == declared => {}
            Some(len) => {
                return Err(Error::invalid(format!("Content-Length is {declared} and the body has {len} bytes")));
            }
            None => self.body = std::mem::take(&mut self.body).with_len(declared),
        }
        Ok(())
    }

    /// Adds what the body and the way to the peer call for.
    fn adjust_head(&mut self) -> Result<()> {
        let length = self.attempt.length;
        let route = connect::route(&self.inner.settings, &self.origin)?;
        let wants_length = matches!(*self.head().method(), Method::POST | Method::PUT | Method::PATCH);
        match length {
            Some(Length::Known(n)) => _ = self.head_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(n)),
            Some(Length::Empty) if wants_length => {
                self.head_mut().insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
            }
            Some(Length::Empty | Length::Unknown) if has(self.head().headers(), &header::CONTENT_LENGTH) => {
                self.head_mut().remove(header::CONTENT_LENGTH);
            }
            Some(Length::Empty | Length::Unknown) | None => {}
        }
        if let Route::Absolute(proxy) = route {
            if let Some(value) = proxy.authorization() {
                self.head_mut().insert(header::PROXY_AUTHORIZATION, value);
            }
        }
        Ok(())
    }

    /// The headers of the attempt, to change them.
    fn head_mut(&mut self) -> &mut HeaderMap {
        let head = match &mut self.attempt.head {
            Some(head) => &mut **head,
            None => Arc::make_mut(&mut self.request),
        };
        head.headers_mut()
    }

    /// The head with its names as the program wrote them, if it wants that. Made last: hooks and redirects change the headers.
    pub(super) fn cased(&self, head: &Request<()>) -> Option<Request<()>> {
        if !self.inner.settings.preserve_case {
            return None;
        }
        let mut cased = head.clone();
        cased.extensions_mut().insert(OriginalFields(as_written(&self.written, head.headers())));
        Some(cased)
    }

    pub(super) fn head(&self) -> &Request<()> {
        self.attempt.head.as_deref().unwrap_or(&self.request)
    }

    /// How the body is delimited.
    pub(super) fn length(&self, version: Version) -> Length {
        if *self.head().method() == Method::CONNECT {
            // What follows is no body; only HTTP/2 has to be told that something does.
            return if version == Version::HTTP_2 { Length::Unknown } else { Length::Empty };
        }
        if self.options.websocket.is_some() && version == Version::HTTP_2 {
            return Length::Unknown;
        }
        match self.attempt.length {
            Some(length) => match (length, has(self.head().headers(), &header::CONTENT_LENGTH)) {
                (Length::Empty, true) => Length::Known(0),
                (length, _) => length,
            },
            None => {
                let declared =
                    self.head().headers().get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse().ok());
                declared.map_or(Length::Unknown, Length::Known)
            }
        }
    }
}

/// Whether there is such a header. Most requests have few, and looking at each takes less than hashing a name: 20 instructions
/// against 100.
fn has(headers: &HeaderMap, name: &HeaderName) -> bool {
    const FEW: usize = 8;
    if headers.len() > FEW { headers.contains_key(name) } else { headers.keys().any(|key| key == name) }
}

/// The headers as the program wrote them and in its order, then those that were added for it.
fn as_written(written: &[(String, Vec<u8>)], headers: &HeaderMap) -> Fields {
    let mut left: Vec<_> = headers.iter().collect();
    let mut fields = Fields::new();
    for (name, value) in written {
        let same =
            |(n, v): &(&HeaderName, &HeaderValue)| n.as_str().eq_ignore_ascii_case(name) && v.as_bytes() == value;
        if let Some(at) = left.iter().position(same) {
            left.remove(at);
            fields.push(name.as_bytes(), value);
        }
    }
    for (name, value) in left {
        let case = written.iter().find(|(w, _)| name.as_str().eq_ignore_ascii_case(w));
        fields.push(case.map_or(name.as_str(), |(w, _)| w).as_bytes(), value.as_bytes());
    }
    fields
}
