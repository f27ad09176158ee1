//! SOCKS5: a tunnel through a SOCKS proxy (RFC 1928), with user and password (RFC 1929).

use super::{address::Credentials, ask::Refusal};
use crate::{
    buf::RecvBuf,
    error::{Error, ErrorKind, Phase, Result},
};
use std::{fmt, net::IpAddr};

const VERSION: u8 = 5;
const NO_AUTHENTICATION: u8 = 0;
const USER_AND_PASSWORD: u8 = 2;
/// The version of the sub-negotiation of user and password (RFC 1929, section 2).
const SUB_VERSION: u8 = 1;

/// The conversation with a SOCKS5 proxy.
///
/// | state    | input                | next       | sends                                |
/// |----------|----------------------|------------|--------------------------------------|
/// | `Method` | no authentication    | `Reply`    | the request                          |
/// | `Method` | user and password    | `Password` | both, if we have them, else refused  |
/// | `Password` | accepted           | `Reply`    | the request                          |
/// | `Reply`  | succeeded            | the tunnel | nothing                              |
#[derive(Debug)]
pub(super) struct Socks {
    state: State,
    request: Vec<u8>,
    credentials: Option<Credentials>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The proxy chooses how we say who we are.
    Method,
    /// The proxy says whether the password is right.
    Password,
    /// The proxy says whether the tunnel stands.
    Reply,
}

impl Socks {
    /// Begins it, and appends the greeting to `out`.
    pub(super) fn start(host: &str, port: u16, credentials: Option<Credentials>, out: &mut Vec<u8>) -> Result<Self> {
        let request = request(host, port)?;
        match credentials {
            None => out.extend_from_slice(&[VERSION, 1, NO_AUTHENTICATION]),
            Some(_) => out.extend_from_slice(&[VERSION, 2, NO_AUTHENTICATION, USER_AND_PASSWORD]),
        }
        Ok(Socks { state: State::Method, request, credentials })
    }

    /// Takes what the proxy said out of `input` and appends the answer to `out`. Returns whether the tunnel stands.
    pub(super) fn advance(&mut self, input: &mut RecvBuf, out: &mut Vec<u8>) -> Result<bool, Refusal> {
        self.step(input, out).map_err(Refusal::Socks)
    }

    fn step(&mut self, input: &mut RecvBuf, out: &mut Vec<u8>) -> Result<bool, SocksRefusal> {
        loop {
            match (self.state, input.peek()) {
                (State::Method | State::Reply, [version, ..]) if *version != VERSION => {
                    return Err(SocksRefusal::Version(*version));
                }
                (State::Password, [version, ..]) if *version != SUB_VERSION => {
                    return Err(SocksRefusal::Version(*version));
                }
                (State::Method, [_, method, ..]) => {
                    let password = match (*method, &self.credentials) {
                        (NO_AUTHENTICATION, _) => None,
                        (USER_AND_PASSWORD, Some(credentials)) => Some(credentials),
                        (0xff, _) => return Err(SocksRefusal::NoMethod),
                        (other, _) => return Err(SocksRefusal::Method(other)),
                    };
                    input.take(2);
                    self.state = match password {
                        None => {
                            out.extend_from_slice(&self.request);
                            State::Reply
                        }
                        Some(credentials) => {
                            out.push(SUB_VERSION);
                            for part in [&credentials.user, &credentials.password] {
                                // From 1 to 255 bytes: checked when the URL was read.
                                out.push(part.len() as u8);
                                out.extend_from_slice(part);
                            }
                            State::Password
                        }
                    };
                }
                (State::Password, [_, status, ..]) => {
                    // RFC 1929, section 2: anything but zero is a failure.
                    if *status != 0 {
                        return Err(SocksRefusal::Password);
                    }
                    input.take(2);
                    out.extend_from_slice(&self.request);
                    self.state = State::Reply;
                }
                (State::Reply, [_, code, ..]) if *code != 0 => return Err(SocksRefusal::Reply(*code)),
                (State::Reply, bytes) => {
                    let Some(len) = reply_len(bytes)? else { return Ok(false) };
                    if input.len() < len {
                        return Ok(false);
                    }
                    input.take(len);
                    return Ok(true);
                }
                (State::Method | State::Password, [] | [_]) => return Ok(false),
            }
        }
    }
}

/// Returns the request to connect (RFC 1928, section 4), with a name as it is.
fn request(host: &str, port: u16) -> Result<Vec<u8>> {
    let mut request = vec![VERSION, 1, 0];
    match host.parse() {
        Ok(IpAddr::V4(address)) => {
            request.push(1);
            request.extend_from_slice(&address.octets());
        }
        Ok(IpAddr::V6(address)) => {
            request.push(4);
            request.extend_from_slice(&address.octets());
        }
        Err(_) => {
            let len = u8::try_from(host.len()).map_err(|_| {
                let text = format!("a host of {} bytes for a SOCKS5 proxy, which takes 255", host.len());
                Error::invalid(text).in_phase(Phase::Proxy)
            })?;
            request.extend_from_slice(&[3, len]);
            request.extend_from_slice(host.as_bytes());
        }
    }
    request.extend_from_slice(&port.to_be_bytes());
    Ok(request)
}

/// Returns how long a reply is (RFC 1928, section 6), once its address says so.
fn reply_len(bytes: &[u8]) -> Result<Option<usize>, SocksRefusal> {
    let address = match bytes {
        [_, _, _, 1, ..] => 4,
        [_, _, _, 3, len, ..] => 1 + usize::from(*len),
        [_, _, _, 3] => return Ok(None),
        [_, _, _, 4, ..] => 16,
        [_, _, _, other, ..] => return Err(SocksRefusal::AddressType(*other)),
        _ => return Ok(None),
    };
    Ok(Some(4 + address + 2))
}

/// Why a SOCKS5 proxy gives no tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SocksRefusal {
    /// A reply with a kind of address that does not exist.
    AddressType(u8),
    /// The proxy chose a method that was not offered.
    Method(u8),
    /// The proxy takes none of the methods offered.
    NoMethod,
    /// The user or the password is wrong.
    Password,
    /// The request failed, with this code.
    Reply(u8),
    /// The proxy speaks another version, or something else altogether.
    Version(u8),
}

impl SocksRefusal {
    pub(super) fn kind(self) -> ErrorKind {
        match self {
            SocksRefusal::NoMethod | SocksRefusal::Password => ErrorKind::Handshake,
            // Not allowed, or not understood: no connection was tried.
            SocksRefusal::Reply(2 | 7 | 8) => ErrorKind::Handshake,
            SocksRefusal::Reply(_) => ErrorKind::Connect,
            SocksRefusal::AddressType(_) | SocksRefusal::Method(_) | SocksRefusal::Version(_) => {
                ErrorKind::PeerViolation
            }
        }
    }
}

impl fmt::Display for SocksRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let code = match self {
            SocksRefusal::AddressType(kind) => return write!(f, "a reply with an address of type {kind}"),
            SocksRefusal::Method(method) => return write!(f, "authentication method {method}, which was not offered"),
            SocksRefusal::NoMethod => return f.write_str("none of our authentication methods is accepted"),
            SocksRefusal::Password => return f.write_str("the user or the password is wrong"),
            SocksRefusal::Version(version) => {
                return write!(f, "an answer in version {version} of the protocol, not SOCKS5");
            }
            SocksRefusal::Reply(code) => *code,
        };
        // RFC 1928, section 6.
        let text = match code {
            1 => "general failure",
            2 => "not allowed by its rules",
            3 => "network unreachable",
            4 => "host unreachable",
            5 => "connection refused",
            6 => "TTL expired",
            7 => "command not supported",
            8 => "address type not supported",
            _ => "unassigned reply",
        };
        write!(f, "{text} (code {code})")
    }
}
