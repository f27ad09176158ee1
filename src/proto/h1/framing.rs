//! What the fields of a head say about its body and the connection.

use super::{
    syntax::{Name, NotDecimal, decimal, elements, is_host, is_token, is_word},
    violation::Violation,
};
use crate::proto::Role;
use http::{Method, StatusCode, Version};

/// How the body of a message that comes in is delimited (RFC 9112, section 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// There is none.
    Empty,
    /// So many bytes, at least one.
    Sized(u64),
    /// By chunks.
    Chunked,
    /// By the end of the connection.
    UntilClose,
}

/// The methods whose responses are framed differently (RFC 9112, section 6.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Asked {
    #[default]
    Other,
    Connect,
    Head,
}

impl Asked {
    pub(super) fn by(method: &Method) -> Self {
        match *method {
            Method::CONNECT => Asked::Connect,
            Method::HEAD => Asked::Head,
            _ => Asked::Other,
        }
    }

    /// Returns whether the response makes the connection something else than HTTP/1 (RFC 9110, sections 7.8, 9.3.6).
    pub(super) fn switches(self, status: StatusCode) -> bool {
        status == StatusCode::SWITCHING_PROTOCOLS || (self == Asked::Connect && status.is_success())
    }

    /// Returns whether the response refuses a tunnel; what comes next may have been meant for that.
    pub(super) fn refuses(self, status: StatusCode) -> bool {
        self == Asked::Connect && !status.is_success()
    }

    /// Returns whether the response ends with its head, whatever its fields say (RFC 9112, section 6.3).
    pub(super) fn has_no_body(self, status: StatusCode) -> bool {
        let always = matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        always || self == Asked::Head || status.is_informational() || self.switches(status)
    }
}

/// What was found in Transfer-Encoding so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Coding {
    #[default]
    Absent,
    /// Chunked alone.
    Chunked,
    /// Another, and chunked not yet.
    Other,
    /// Chunked behind another.
    OtherChunked,
}

impl Coding {
    /// Returns what it is with one more.
    fn with(self, element: &[u8]) -> Result<Self, Violation> {
        let chunked = element.eq_ignore_ascii_case(b"chunked");
        let name = element.split(|&b| b == b';').next().unwrap_or_default();
        match (self, chunked) {
            // Empty elements, and parameters of chunked, have no use (RFC 9112, section 7.1).
            _ if !is_token(super::syntax::trim(name)) => Err(Violation::CodingInvalid),
            (Coding::Absent, true) => Ok(Coding::Chunked),
            (Coding::Absent | Coding::Other, false) => Ok(Coding::Other),
            (Coding::Other, true) => Ok(Coding::OtherChunked),
            (Coding::Chunked | Coding::OtherChunked, true) => Err(Violation::CodingRepeated),
            (Coding::Chunked | Coding::OtherChunked, false) => Err(Violation::CodingNotChunked),
        }
    }
}

/// What the fields of one head say.
#[derive(Debug, Default)]
pub(super) struct Facts {
    has_host: bool,
    length: Option<u64>,
    coding: Coding,
    /// The first thing wrong with the fields that frame the body; it counts only where they do.
    fault: Option<Violation>,
    /// The connection option `close` (RFC 9112, section 9.6).
    pub(super) close: bool,
    /// The connection option `keep-alive`, which persists an HTTP/1.0 connection (RFC 9112, section 9.3).
    pub(super) keep_alive: bool,
    /// An Upgrade field that names something.
    pub(super) upgrade: bool,
    /// The connection option `upgrade`, without which the field was not meant for us (RFC 9110, section 7.8).
    pub(super) upgrade_option: bool,
    /// `Expect: 100-continue`.
    pub(super) expects_continue: bool,
}

impl Facts {
    /// Takes notice of a field.
    ///
    /// # Errors
    ///
    /// A Host that is invalid or repeated, in requests only.
    pub(super) fn note(&mut self, role: Role, name: &[u8], value: &[u8]) -> Result<(), Violation> {
        match Name::of(name) {
            Name::Other => {}
            Name::Host if role == Role::Server => {
                if self.has_host {
                    return Err(Violation::HostRepeated);
                }
                if !is_host(value) {
                    return Err(Violation::HostInvalid);
                }
                self.has_host = true;
            }
            Name::Host => {}
            Name::Connection => {
                for option in elements(value) {
                    self.close |= is_word(option, b"close");
                    self.keep_alive |= is_word(option, b"keep-alive");
                    self.upgrade_option |= is_word(option, b"upgrade");
                }
            }
            Name::ContentLength => {
                let noted = elements(value).try_for_each(|length| self.note_length(role, length));
                self.fault = self.fault.or(noted.err());
            }
            Name::TransferEncoding => {
                match elements(value).try_fold(self.coding, Coding::with) {
                    Ok(coding) => self.coding = coding,
                    Err(fault) => self.fault = self.fault.or(Some(fault)),
                };
            }
            Name::Upgrade => self.upgrade |= !value.is_empty(),
            Name::Expect => self.expects_continue |= elements(value).any(|e| e.eq_ignore_ascii_case(b"100-continue")),
        }
        Ok(())
    }

    fn note_length(&mut self, role: Role, length: &[u8]) -> Result<(), Violation> {
        let length = decimal(length).map_err(|fault| match fault {
            NotDecimal::Invalid => Violation::ContentLengthInvalid,
            NotDecimal::Overflow => Violation::ContentLengthOverflow,
        })?;
        match self.length.replace(length) {
            Some(before) if before != length => Err(Violation::ContentLengthConflict),
            Some(_) if role == Role::Server => Err(Violation::ContentLengthRepeated),
            _ => Ok(()),
        }
    }

    /// Returns whether the sender of this head persists the connection (RFC 9112, section 9.3).
    pub(super) fn persists(&self, version: Version) -> bool {
        !self.close && (version != Version::HTTP_10 || self.keep_alive)
    }

    /// Returns how the body of a request is delimited.
    ///
    /// # Errors
    ///
    /// Whatever leaves a doubt about it (RFC 9112, sections 3.2, 6.1 to 6.3).
    pub(super) fn of_request(&self, method: &Method, version: Version) -> Result<Framing, Violation> {
        if !self.has_host && version != Version::HTTP_10 {
            return Err(Violation::HostMissing);
        }
        let framing = self.framing(version)?.unwrap_or(Framing::Empty);
        if *method == Method::CONNECT && framing != Framing::Empty {
            return Err(Violation::ConnectBody);
        }
        Ok(framing)
    }

    /// Returns how the body of a response is delimited that may have one.
    ///
    /// # Errors
    ///
    /// Whatever leaves a doubt about it (RFC 9112, sections 6.1 to 6.3).
    pub(super) fn of_response(&self, version: Version) -> Result<Framing, Violation> {
        Ok(self.framing(version)?.unwrap_or(Framing::UntilClose))
    }

    /// Returns what the fields say, if they say anything.
    fn framing(&self, version: Version) -> Result<Option<Framing>, Violation> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        match (self.coding, self.length) {
            (Coding::Absent, None) => Ok(None),
            (Coding::Absent, Some(0)) => Ok(Some(Framing::Empty)),
            (Coding::Absent, Some(length)) => Ok(Some(Framing::Sized(length))),
            _ if version == Version::HTTP_10 => Err(Violation::CodingInHttp10),
            (_, Some(_)) => Err(Violation::LengthAndCoding),
            (Coding::Chunked, None) => Ok(Some(Framing::Chunked)),
            (Coding::Other, None) => Err(Violation::CodingNotChunked),
            (Coding::OtherChunked, None) => Err(Violation::CodingUnknown),
        }
    }
}
