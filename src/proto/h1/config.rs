//! The limits of a connection.

use crate::proto::Role;

/// The most bytes of a response head that a client holds.
///
/// Responses carry large cookies and policies: curl gives up above 300 KiB, Go above 1 MiB, undici above 16 KiB.
const CLIENT_HEAD_BYTES: usize = 64 * 1024;

/// The most bytes of a request head that a server holds.
///
/// Node.js allows 16 KiB, Apache 8190 bytes for each line, nginx 32 KiB in four buffers; RFC 9112, section 3,
/// recommends at least 8000 for the request line alone.
const SERVER_HEAD_BYTES: usize = 16 * 1024;

/// The most fields of a head, and of trailers. Apache and hyper allow 100, Node.js 2000.
const FIELDS: usize = 256;

/// The most bytes of trailers: checksums, signatures and timings, never more than a few hundred bytes.
const TRAILER_BYTES: usize = 8 * 1024;

/// The most bytes of chunk extensions in one body: nobody uses them but attackers. hyper and Node.js allow 16 KiB.
const EXTENSION_BYTES: usize = 16 * 1024;

/// The most 1xx responses before the final one.
///
/// Go allowed five until progress reports (102, 104) needed more; sixty-four heads are still little memory, since the
/// caller takes them one at a time.
const INFORMATIONAL: usize = 64;

/// The most empty lines ignored before a request line; one would do (RFC 9112, section 2.2).
const EMPTY_LINES: usize = 8;

/// The limits of a connection; each has a default that ordinary peers never meet.
///
/// # Examples
///
/// ```
/// # #[cfg(feature = "unstable-proto")] {
/// use bowline::proto::h1::Config;
///
/// let config = Config::default().head_bytes(8 * 1024).fields(100);
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Config {
    head_bytes: Option<usize>,
    fields: usize,
    trailer_bytes: usize,
    extension_bytes: usize,
    informational: usize,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            head_bytes: None,
            fields: FIELDS,
            trailer_bytes: TRAILER_BYTES,
            extension_bytes: EXTENSION_BYTES,
            informational: INFORMATIONAL,
        }
    }
}

impl Config {
    /// Sets the most bytes of a head, from its start line to its empty line: 64 KiB in a client, 16 KiB in a server.
    ///
    /// A server answers a head above it with 431, or 414 if the request line alone is too long.
    pub fn head_bytes(mut self, n: usize) -> Self {
        self.head_bytes = Some(n);
        self
    }

    /// Sets the most field lines of a head and of trailers: 256. A server answers more with 431.
    pub fn fields(mut self, n: usize) -> Self {
        self.fields = n;
        self
    }

    /// Sets the most bytes of trailers, their empty line included: 8 KiB.
    pub fn trailer_bytes(mut self, n: usize) -> Self {
        self.trailer_bytes = n;
        self
    }

    /// Sets the most bytes of chunk extensions in one body: 16 KiB.
    pub fn extension_bytes(mut self, n: usize) -> Self {
        self.extension_bytes = n;
        self
    }

    /// Sets the most 1xx responses to one request: 64.
    pub fn informational(mut self, n: usize) -> Self {
        self.informational = n;
        self
    }

    pub(super) fn limits(&self, role: Role) -> Limits {
        let head_bytes = match role {
            Role::Client => CLIENT_HEAD_BYTES,
            Role::Server => SERVER_HEAD_BYTES,
        };
        Limits {
            head_bytes: self.head_bytes.unwrap_or(head_bytes),
            fields: self.fields,
            trailer_bytes: self.trailer_bytes,
            extension_bytes: self.extension_bytes,
            informational: self.informational,
            empty_lines: EMPTY_LINES,
        }
    }
}

/// The limits of a connection whose role is known.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) head_bytes: usize,
    pub(super) fields: usize,
    pub(super) trailer_bytes: usize,
    pub(super) extension_bytes: usize,
    pub(super) informational: usize,
    pub(super) empty_lines: usize,
}
