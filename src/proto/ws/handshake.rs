//! The request and the response that begin a WebSocket (RFC 6455, section 4; RFC 8441 over HTTP/2), for both roles.
//!
//! The only file that knows SHA-1. Sockets, redirects and bodies are the driver's.

use super::{
    config::{Config, Deflate},
    extension::{self, Params, is_token},
    violation::Misuse,
};
use crate::b64;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri, Version, header};
use std::fmt;

/// What is appended to the key before it is hashed (RFC 6455, section 1.3).
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// What both ends agreed on.
#[non_exhaustive]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Agreed {
    /// The subprotocol.
    pub subprotocol: Option<String>,
    /// How messages are compressed.
    pub deflate: Option<Params>,
}

/// What a client asks for.
///
/// # Examples
///
/// ```
/// # #[cfg(feature = "unstable-proto")] {
/// use bowline::proto::ws::{Config, Offer, accept};
///
/// let config = Config::new(0x5eed);
/// let offer = Offer::new(*b"16 random bytes!", &["chat"], &config)?;
/// let request = offer.request(&"http://example.org/socket".parse()?);
/// let (response, agreed) = accept(&request, &["chat"], &config)?;
/// assert_eq!(offer.check(&response)?, agreed);
/// # }
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Offer {
    key: String,
    subprotocols: Vec<String>,
    deflate: Option<Deflate>,
}

impl Offer {
    /// Returns an offer of these subprotocols, the preferred one first, and of what `config` says about compression.
    /// The nonce has to be random, and another one for each connection (RFC 6455, section 4.1).
    ///
    /// # Errors
    ///
    /// [`Misuse::SubprotocolInvalid`].
    pub fn new(nonce: [u8; 16], subprotocols: &[&str], config: &Config) -> Result<Self, Misuse> {
        for (at, name) in subprotocols.iter().enumerate() {
            if !is_token(name) || subprotocols[..at].contains(name) {
                return Err(Misuse::SubprotocolInvalid);
            }
        }
        let subprotocols = subprotocols.iter().map(|&name| name.to_owned()).collect();
        Ok(Offer { key: b64::encode(nonce), subprotocols, deflate: config.deflate })
    }

    /// Returns the request over HTTP/1.1; other fields may be added.
    pub fn request(&self, uri: &Uri) -> Request<()> {
        let mut request = Request::new(());
        *request.uri_mut() = uri.clone();
        self.add_to(request.headers_mut(), Version::HTTP_11);
        request
    }

    /// Adds the fields of the request. Over HTTP/2 the method is CONNECT with `:protocol` websocket, and there is
    /// neither key nor upgrade (RFC 8441, section 5).
    pub fn add_to(&self, headers: &mut HeaderMap, version: Version) {
        if version != Version::HTTP_2 {
            headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
            headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
            headers.insert(header::SEC_WEBSOCKET_KEY, value(&self.key));
        }
        headers.insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        if !self.subprotocols.is_empty() {
            headers.insert(header::SEC_WEBSOCKET_PROTOCOL, value(&self.subprotocols.join(", ")));
        }
        if let Some(deflate) = &self.deflate {
            headers.insert(header::SEC_WEBSOCKET_EXTENSIONS, value(&extension::offer(deflate)));
        }
    }

    /// Checks the final response and returns what it agrees to.
    ///
    /// # Errors
    ///
    /// [`Refusal::Status`] if the server did not agree; otherwise the rule that its agreement breaks.
    pub fn check(&self, response: &Response<()>) -> Result<Agreed, Refusal> {
        let (status, headers) = (response.status(), response.headers());
        if response.version() == Version::HTTP_2 {
            if !status.is_success() {
                return Err(Refusal::Status(status));
            }
        } else {
            if status != StatusCode::SWITCHING_PROTOCOLS {
                return Err(Refusal::Status(status));
            }
            if response.version() != Version::HTTP_11 {
                return Err(Refusal::HttpVersion);
            }
            check_upgrade(headers)?;
            let accept = one(headers, &header::SEC_WEBSOCKET_ACCEPT).ok_or(Refusal::AcceptMissing)?;
            if accept != accept_value(self.key.as_bytes()) {
                return Err(Refusal::AcceptWrong);
            }
        }
        Ok(Agreed { subprotocol: self.check_subprotocol(headers)?, deflate: self.check_extensions(headers)? })
    }

    fn check_subprotocol(&self, headers: &HeaderMap) -> Result<Option<String>, Refusal> {
        if !headers.contains_key(header::SEC_WEBSOCKET_PROTOCOL) {
            return Ok(None);
        }
        let chosen = one(headers, &header::SEC_WEBSOCKET_PROTOCOL).ok_or(Refusal::SubprotocolUnoffered)?;
        let known = self.subprotocols.iter().find(|name| *name == chosen);
        known.cloned().map(Some).ok_or(Refusal::SubprotocolUnoffered)
    }

    fn check_extensions(&self, headers: &HeaderMap) -> Result<Option<Params>, Refusal> {
        let mut answer = Vec::new();
        for value in headers.get_all(header::SEC_WEBSOCKET_EXTENSIONS) {
            let value = value.to_str().map_err(|_| Refusal::ExtensionInvalid)?;
            extension::parse(value, &mut answer).map_err(|_| Refusal::ExtensionInvalid)?;
        }
        extension::check(&answer, self.deflate.as_ref()).map_err(|_| Refusal::ExtensionInvalid)
    }
}

/// Checks the request of a client; returns the response that accepts it, to which other fields may be added, and what
/// is agreed then: the first of `subprotocols` that was offered, and permessage-deflate if both want it.
///
/// A request of HTTP/2 is an extended CONNECT whose `:protocol` the caller has looked at.
///
/// # Errors
///
/// The rule that the request breaks; [`Refusal::response`] answers it.
pub fn accept(
    request: &Request<()>,
    subprotocols: &[&str],
    config: &Config,
) -> Result<(Response<()>, Agreed), Refusal> {
    let headers = request.headers();
    let mut response = Response::new(());
    match request.version() {
        Version::HTTP_2 if request.method() != Method::CONNECT => return Err(Refusal::MethodInvalid),
        Version::HTTP_2 => {
            check_version(headers)?;
            *response.version_mut() = Version::HTTP_2;
        }
        Version::HTTP_11 => {
            if request.method() != Method::GET {
                return Err(Refusal::MethodInvalid);
            }
            check_upgrade(headers)?;
            // The version first: another one may have another kind of key.
            check_version(headers)?;
            let key = one(headers, &header::SEC_WEBSOCKET_KEY).ok_or(Refusal::KeyInvalid)?;
            if b64::decode(key).map_or(0, |nonce| nonce.len()) != 16 {
                return Err(Refusal::KeyInvalid);
            }
            check_no_content(headers)?;
            *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
            let answer = response.headers_mut();
            answer.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
            answer.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
            answer.insert(header::SEC_WEBSOCKET_ACCEPT, value(&accept_value(key.as_bytes())));
        }
        _ => return Err(Refusal::HttpVersion),
    }

    let mut agreed = Agreed::default();
    if let Some(name) = choose_subprotocol(headers, subprotocols) {
        response.headers_mut().insert(header::SEC_WEBSOCKET_PROTOCOL, value(name));
        agreed.subprotocol = Some(name.to_owned());
    }
    if let Some((params, answer)) = config.deflate.and_then(|deflate| agree_on_deflate(headers, &deflate)) {
        response.headers_mut().insert(header::SEC_WEBSOCKET_EXTENSIONS, value(&answer));
        agreed.deflate = Some(params);
    }
    Ok((response, agreed))
}

/// Checks Connection and Upgrade, which are lists of tokens (RFC 6455, sections 4.1 and 4.2.1).
fn check_upgrade(headers: &HeaderMap) -> Result<(), Refusal> {
    let has = |name, token: &str| elements(headers, name).any(|element| element.eq_ignore_ascii_case(token));
    if !has(&header::UPGRADE, "websocket") {
        return Err(Refusal::UpgradeMissing);
    }
    if !has(&header::CONNECTION, "upgrade") {
        return Err(Refusal::ConnectionMissing);
    }
    Ok(())
}

/// Checks the version of the protocol (RFC 6455, section 4.4).
fn check_version(headers: &HeaderMap) -> Result<(), Refusal> {
    match one(headers, &header::SEC_WEBSOCKET_VERSION) {
        Some("13") => Ok(()),
        _ => Err(Refusal::VersionUnsupported),
    }
}

/// Checks that frames follow the head, and nothing else.
fn check_no_content(headers: &HeaderMap) -> Result<(), Refusal> {
    let length = headers.get(header::CONTENT_LENGTH).is_some_and(|length| length != "0");
    if length || headers.contains_key(header::TRANSFER_ENCODING) { Err(Refusal::ContentUnexpected) } else { Ok(()) }
}

/// Returns the first of `subprotocols` that the client offers.
fn choose_subprotocol<'a>(headers: &HeaderMap, subprotocols: &[&'a str]) -> Option<&'a str> {
    let offers = |name: &str| elements(headers, &header::SEC_WEBSOCKET_PROTOCOL).any(|offered| offered == name);
    subprotocols.iter().copied().filter(|name| is_token(name)).find(|name| offers(name))
}

/// Returns what is agreed about permessage-deflate, if the client offers it in a form that we understand.
fn agree_on_deflate(headers: &HeaderMap, deflate: &Deflate) -> Option<(Params, String)> {
    let mut offers = Vec::new();
    for value in headers.get_all(header::SEC_WEBSOCKET_EXTENSIONS) {
        extension::parse(value.to_str().ok()?, &mut offers).ok()?;
    }
    extension::answer(&offers, deflate)
}

/// Returns the elements of a field that is a list, in all its lines.
fn elements<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> + use<'a> {
    let lines = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    lines.flat_map(|line| line.split(',')).map(|element| element.trim_matches([' ', '\t']))
}

/// Returns the value of a field that is there exactly once.
fn one<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut lines = headers.get_all(name).into_iter();
    match (lines.next(), lines.next()) {
        (Some(value), None) => value.to_str().ok(),
        _ => None,
    }
}

/// Returns the Sec-WebSocket-Accept of a key (RFC 6455, section 4.2.2).
fn accept_value(key: &[u8]) -> String {
    let mut hash = sha1_smol::Sha1::new();
    hash.update(key);
    hash.update(GUID);
    b64::encode(hash.digest().bytes())
}

/// Returns a value made of tokens, base64 and what joins them.
fn value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).expect("tokens and base64 are visible ASCII")
}

/// Why a handshake failed.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    // both roles
    /// A version of HTTP that cannot carry WebSocket (RFC 6455, sections 4.1 and 4.2.1).
    HttpVersion,
    /// Connection does not name `upgrade` (RFC 6455, sections 4.1 and 4.2.1).
    ConnectionMissing,
    /// Upgrade does not name `websocket` (RFC 6455, sections 4.1 and 4.2.1).
    UpgradeMissing,

    // client
    /// No Sec-WebSocket-Accept, or more than one (RFC 6455, section 4.1).
    AcceptMissing,
    /// A Sec-WebSocket-Accept that does not answer our key (RFC 6455, section 4.1).
    AcceptWrong,
    /// An extension, or a parameter of it, that was not offered or is malformed (RFC 6455, section 4.1).
    ExtensionInvalid,
    /// The server answered with another status than that of agreement.
    Status(StatusCode),
    /// A subprotocol that was not offered, or more than one (RFC 6455, section 4.1).
    SubprotocolUnoffered,

    // server
    /// Content, which a handshake over HTTP/1 has none of: it could be taken for frames.
    ContentUnexpected,
    /// No Sec-WebSocket-Key, more than one, or not 16 bytes in base64 (RFC 6455, section 4.2.1).
    KeyInvalid,
    /// A method other than GET, or CONNECT over HTTP/2 (RFC 6455, section 4.2.1; RFC 8441, section 4).
    MethodInvalid,
    /// A Sec-WebSocket-Version other than 13 (RFC 6455, section 4.4).
    VersionUnsupported,
}

impl Refusal {
    /// Returns the response with which a server refuses a request of this version, without a body.
    pub fn response(&self, version: Version) -> Response<()> {
        let mut response = Response::new(());
        let upgrades =
            matches!(self, Refusal::UpgradeMissing | Refusal::ConnectionMissing | Refusal::VersionUnsupported);
        *response.status_mut() = match self {
            Refusal::MethodInvalid => StatusCode::METHOD_NOT_ALLOWED,
            // It has to say to what (RFC 9110, section 15.5.22), and HTTP/2 has no field for that (RFC 9113, section 8.6).
            _ if upgrades && version != Version::HTTP_2 => StatusCode::UPGRADE_REQUIRED,
            _ => StatusCode::BAD_REQUEST,
        };
        let status = response.status();
        let headers = response.headers_mut();
        if status == StatusCode::METHOD_NOT_ALLOWED {
            headers.insert(header::ALLOW, HeaderValue::from_static("GET"));
        }
        if upgrades {
            headers.insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        }
        if status == StatusCode::UPGRADE_REQUIRED {
            headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
            headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        }
        response
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Refusal::ConnectionMissing => "the field connection does not name upgrade",
            Refusal::UpgradeMissing => "the field upgrade does not name websocket",
            Refusal::AcceptMissing => "no accept value, or more than one",
            Refusal::AcceptWrong => "the accept value does not answer our key",
            Refusal::ExtensionInvalid => "an extension that was not offered or is malformed",
            Refusal::Status(status) => return write!(f, "the server answered with {}", status.as_u16()),
            Refusal::SubprotocolUnoffered => "a subprotocol that was not offered",
            Refusal::ContentUnexpected => "content in a handshake",
            Refusal::HttpVersion => "a version of HTTP that cannot carry a websocket",
            Refusal::KeyInvalid => "no key of 16 bytes in base64",
            Refusal::MethodInvalid => "a method that cannot begin a websocket",
            Refusal::VersionUnsupported => "a version of the protocol other than 13",
        })
    }
}

impl std::error::Error for Refusal {}
