//! CONNECT: a tunnel through an HTTP/1.1 proxy (RFC 9110, section 9.3.6).

use super::ask::Refusal;
use crate::buf::RecvBuf;
use http::{HeaderValue, StatusCode};

/// The most bytes of answer read before the tunnel, interim answers included.
///
/// As for any other response head; curl allows 100 KiB for one line, Go 1 MiB for a head.
pub(super) const HEAD_BYTES: usize = 16 * 1024;

/// A CONNECT request that has been made.
#[derive(Debug)]
pub(super) struct Connect {
    /// How many bytes of answer were taken before those in the buffer: interim answers.
    taken: usize,
    /// How many bytes in the buffer were searched for the end of the head.
    searched: usize,
}

impl Connect {
    /// Appends the request to `out`.
    pub(super) fn start(target: &str, authorization: Option<HeaderValue>, out: &mut Vec<u8>) -> Self {
        out.extend_from_slice(format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n").as_bytes());
        if let Some(value) = authorization {
            out.extend_from_slice(b"Proxy-Authorization: ");
            out.extend_from_slice(value.as_bytes());
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(b"\r\n");
        Connect { taken: 0, searched: 0 }
    }

    /// Takes the answer out of `input`, once it is complete. Returns whether the tunnel stands.
    pub(super) fn advance(&mut self, input: &mut RecvBuf) -> Result<bool, Refusal> {
        loop {
            let bytes = input.peek();
            // Whoever does not speak HTTP may never send an empty line.
            let start = &bytes[..bytes.len().min(7)];
            if !b"HTTP/1.".starts_with(start) {
                return Err(Refusal::NotHttp);
            }
            let end = head_end(bytes, self.searched);
            if self.taken + end.unwrap_or(bytes.len()) > HEAD_BYTES {
                return Err(Refusal::HeadTooLarge { limit: HEAD_BYTES });
            }
            let Some(end) = end else {
                self.searched = bytes.len();
                return Ok(false);
            };
            let status = status(&bytes[..end]).ok_or(Refusal::NotHttp)?;
            input.take(end);
            self.taken += end;
            self.searched = 0;
            // Other interim answers are followed by a final one (RFC 9110, section 15.2); 101 would be final, to a question not asked.
            if status.is_informational() && status != StatusCode::SWITCHING_PROTOCOLS {
                continue;
            }
            // Content-Length and Transfer-Encoding mean nothing in a 2xx (section 9.3.6).
            return if status.is_success() { Ok(true) } else { Err(Refusal::Status(status)) };
        }
    }
}

/// Returns where the head ends: behind the first empty line. A line may end without CR (RFC 9112, section 2.2).
fn head_end(bytes: &[u8], searched: usize) -> Option<usize> {
    // The end may have begun in what was searched: LF CR LF are three bytes.
    let from = searched.saturating_sub(2);
    bytes[from..].iter().enumerate().filter(|(_, b)| **b == b'\n').map(|(at, _)| from + at + 1).find_map(|behind| {
        match &bytes[behind..] {
            [b'\n', ..] => Some(behind + 1),
            [b'\r', b'\n', ..] => Some(behind + 2),
            _ => None,
        }
    })
}

/// Returns the status of a head that begins with `HTTP/1.`.
fn status(head: &[u8]) -> Option<StatusCode> {
    let line = head.split(|b| *b == b'\n').next()?;
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    // The space before the reason is required, and often missing where the reason is empty.
    match line.strip_prefix(b"HTTP/1.")? {
        [minor, b' ', a, b, c, rest @ ..] if minor.is_ascii_digit() && (rest.is_empty() || rest[0] == b' ') => {
            StatusCode::from_bytes(&[*a, *b, *c]).ok()
        }
        _ => None,
    }
}
