//! Why something failed.

use http::StatusCode;
use std::{any::Any, error::Error as StdError, fmt, io, time::Duration};

/// The result of everything here.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why something failed: one word wide, `Send + Sync + 'static`.
///
/// [`kind`](Error::kind) is for programs, the text is for people; it never holds a secret, a body or a credential.
///
/// # Examples
///
/// ```
/// use bowline::{Error, ErrorKind};
///
/// let error = Error::other("no more disk");
/// assert_eq!(error.kind(), ErrorKind::Other);
/// assert_eq!(error.to_string(), "no more disk");
/// ```
pub struct Error {
    inner: Box<Inner>,
}

struct Inner {
    kind: ErrorKind,
    phase: Phase,
    elapsed: Duration,
    processed: Processed,
    attempts: u32,
    bytes_written: u64,
    retryable: Option<bool>,
    message: Option<String>,
    source: Option<Box<dyn StdError + Send + Sync>>,
    attached: Vec<Box<dyn Any + Send + Sync>>,
}

impl Error {
    /// Returns an error of this kind; what is known about it is added by the methods below.
    pub(crate) fn new(kind: ErrorKind) -> Self {
        Error {
            inner: Box::new(Inner {
                kind,
                phase: Phase::Build,
                elapsed: Duration::ZERO,
                processed: Processed::No,
                attempts: 0,
                bytes_written: 0,
                retryable: None,
                message: None,
                source: None,
                attached: Vec::new(),
            }),
        }
    }

    /// Returns an error of this kind with a text for people.
    pub(crate) fn with(kind: ErrorKind, message: impl Into<String>) -> Self {
        let mut error = Self::new(kind);
        error.inner.message = Some(message.into());
        error
    }

    /// Returns the `InvalidInput` of a caller's mistake.
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::with(ErrorKind::InvalidInput, message)
    }

    pub(crate) fn in_phase(mut self, phase: Phase) -> Self {
        self.inner.phase = phase;
        self
    }

    pub(crate) fn with_elapsed(mut self, elapsed: Duration) -> Self {
        self.inner.elapsed = elapsed;
        self
    }

    pub(crate) fn with_processed(mut self, processed: Processed) -> Self {
        self.inner.processed = processed;
        self
    }

    /// Says that the request may be sent again, if such an error can pass and the peer cannot have acted on it, or doing it twice does no
    /// harm.
    pub(crate) fn retryable_if(self, idempotent: bool) -> Self {
        use ErrorKind as K;
        let kind = self.kind();
        let can_pass =
            matches!(kind, K::TimedOut | K::PoolTimeout | K::Closed | K::Connect | K::Io | K::Refused | K::Reset);
        let harmless = match self.processed() {
            Processed::No => true,
            Processed::Maybe => idempotent,
            Processed::Yes => false,
        };
        self.with_retryable(can_pass && harmless)
    }

    pub(crate) fn with_attempts(mut self, attempts: u32) -> Self {
        self.inner.attempts = attempts;
        self
    }

    pub(crate) fn with_bytes_written(mut self, n: u64) -> Self {
        self.inner.bytes_written = n;
        self
    }

    pub(crate) fn with_retryable(mut self, retryable: bool) -> Self {
        self.inner.retryable = Some(retryable);
        self
    }

    pub(crate) fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.inner.source = Some(source.into());
        self
    }

    /// Attaches a value of a type of its own, such as the response or the connection; the newest of a type counts.
    pub(crate) fn attach<T: Any + Send + Sync>(mut self, value: T) -> Self {
        self.inner.attached.retain(|a| !a.is::<T>());
        self.inner.attached.push(Box::new(value));
        self
    }

    /// Returns what was attached of this type.
    pub(crate) fn attached<T: Any>(&self) -> Option<&T> {
        self.inner.attached.iter().find_map(|a| a.downcast_ref())
    }

    /// Takes out what was attached of this type.
    pub(crate) fn detach<T: Any>(&mut self) -> Option<T> {
        let at = self.inner.attached.iter().position(|a| a.is::<T>())?;
        self.inner.attached.remove(at).downcast().ok().map(|value| *value)
    }

    /// Returns the error of the caller's own hook, body, connector or handler.
    ///
    /// # Examples
    ///
    /// ```
    /// use bowline::{Error, ErrorKind};
    ///
    /// let error = Error::other("the disk is full");
    /// assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::Other, "the disk is full"));
    /// ```
    pub fn other(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::new(ErrorKind::Other).with_source(source)
    }

    /// Returns what went wrong, so that a program can decide.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use bowline::ErrorKind;
    ///
    /// # fn main() -> bowline::Result<()> {
    /// match bowline::get("https://example.org").send() {
    ///     Ok(response) => println!("{}", response.status()),
    ///     Err(e) => match e.kind() {
    ///         ErrorKind::Connect => println!("it is down"),
    ///         ErrorKind::TimedOut => println!("it is slow"),
    ///         _ => return Err(e),
    ///     },
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn kind(&self) -> ErrorKind {
        self.inner.kind
    }

    /// Returns what was going on.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # fn main() -> bowline::Result<()> {
    /// if let Err(e) = bowline::get("https://example.org").send() {
    ///     println!("{e}, in phase {:?}", e.phase());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn phase(&self) -> Phase {
        self.inner.phase
    }

    /// Returns how long the request had been under way.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # fn main() -> bowline::Result<()> {
    /// if let Err(e) = bowline::get("https://example.org").send() {
    ///     println!("{e}, after {:?}", e.elapsed());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn elapsed(&self) -> Duration {
        self.inner.elapsed
    }

    /// Returns whether the peer may have acted on the request.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use bowline::{Client, Processed};
    ///
    /// if let Err(e) = Client::new().post("https://shop.example/orders").body("one kettle").send() {
    ///     match e.processed() {
    ///         Processed::No => println!("not ordered"),
    ///         Processed::Maybe | Processed::Yes => println!("look whether it was ordered: {e}"),
    ///     }
    /// }
    /// ```
    pub fn processed(&self) -> Processed {
        self.inner.processed
    }

    /// Returns how many attempts were made, the automatic ones included.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// if let Err(e) = bowline::get("https://example.org").send() {
    ///     println!("{e}, in {} attempts", e.attempts());
    /// }
    /// ```
    pub fn attempts(&self) -> u32 {
        self.inner.attempts
    }

    /// Returns how many bytes of the request the kernel had taken in the last attempt, TLS not counted.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// if let Err(e) = bowline::get("https://example.org").send() {
    ///     println!("{e}, {} bytes were written", e.bytes_written());
    /// }
    /// ```
    pub fn bytes_written(&self) -> u64 {
        self.inner.bytes_written
    }

    /// Returns whether any time limit was the cause: `TimedOut` or `PoolTimeout`.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// if let Err(e) = bowline::get("https://example.org").send() {
    ///     println!("{}", if e.is_timeout() { "too slow" } else { "broken" });
    /// }
    /// ```
    pub fn is_timeout(&self) -> bool {
        matches!(self.inner.kind, ErrorKind::TimedOut | ErrorKind::PoolTimeout)
    }

    /// Returns whether the same request may be sent again: not processed, or idempotent, and the cause can pass.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::{thread, time::Duration};
    ///
    /// # fn main() -> bowline::Result<()> {
    /// let response = match bowline::get("https://example.org").send() {
    ///     Err(e) if e.is_retryable() => {
    ///         thread::sleep(Duration::from_secs(1));
    ///         bowline::get("https://example.org").send()?
    ///     }
    ///     result => result?,
    /// };
    /// # Ok(())
    /// # }
    /// ```
    pub fn is_retryable(&self) -> bool {
        use ErrorKind as K;
        let can_pass = matches!(
            self.inner.kind,
            K::TimedOut | K::PoolTimeout | K::Closed | K::Connect | K::Io | K::Refused | K::Reset | K::PeerSpokeHttp1
        );
        self.inner.retryable.unwrap_or(can_pass && self.inner.processed == Processed::No)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { kind, phase, elapsed, processed, attempts, message, source, .. } = &*self.inner;
        let mut s = f.debug_struct("Error");
        s.field("kind", kind).field("phase", phase);
        if let Some(message) = message {
            s.field("message", message);
        }
        s.field("elapsed", elapsed).field("processed", processed).field("attempts", attempts);
        if let Some(source) = source {
            s.field("source", source);
        }
        s.finish()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.inner.message, &self.inner.source) {
            (Some(message), _) => f.write_str(message),
            (None, Some(source)) => source.fmt(f),
            (None, None) => self.inner.kind.fmt(f),
        }
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        let source = self.inner.source.as_deref()? as &(dyn StdError + 'static);
        // Without a text of our own the source speaks for us, and what is behind it comes next.
        if self.inner.message.is_some() { Some(source) } else { source.source() }
    }
}

/// For `io::Read` and `io::Write` users: the kind nearest to ours; `io::Error::downcast` gives the `Error` back.
impl From<Error> for io::Error {
    fn from(e: Error) -> Self {
        use ErrorKind as K;
        let kind = match e.kind() {
            K::TimedOut | K::PoolTimeout => io::ErrorKind::TimedOut,
            K::Closed => io::ErrorKind::UnexpectedEof,
            K::Connect | K::Refused => io::ErrorKind::ConnectionRefused,
            K::Reset => io::ErrorKind::ConnectionReset,
            K::PeerViolation | K::Content | K::TooLarge => io::ErrorKind::InvalidData,
            K::InvalidInput | K::Misuse => io::ErrorKind::InvalidInput,
            K::Unsupported => io::ErrorKind::Unsupported,
            // Not `Interrupted`: `read_to_end` and its like would call again for ever.
            _ => io::ErrorKind::Other,
        };
        io::Error::new(kind, e)
    }
}

/// Finds our own `Error` inside again; anything else is of kind `Io`.
impl From<io::Error> for Error {
    fn from(e: io::Error) -> Self {
        match e.downcast::<Error>() {
            Ok(ours) => ours,
            Err(e) => Error::new(ErrorKind::Io).with_source(e),
        }
    }
}

impl From<http::Error> for Error {
    fn from(e: http::Error) -> Self {
        Error::new(ErrorKind::InvalidInput).with_source(e)
    }
}

/// Why, so that a program can decide; the text of the error is for people.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    // the network and the clock
    /// A configured time limit passed; [`Error::phase`] says which.
    TimedOut,
    /// No connection, or no stream of one, became free in time: within `Timeouts::slot`, or before the total limit ended the wait for a place
    /// behind a cap or the peer's limit of streams. The phase is `Slot`; nothing was sent.
    PoolTimeout,
    /// The connection ended while something was still to come (a cut body included).
    Closed,
    /// Name not found, refused, unreachable.
    Connect,
    /// The TLS handshake failed, or the certificate was not trusted.
    Tls,
    /// Any other error of the operating system.
    Io,
    // the peer
    /// The peer broke a rule of the protocol.
    PeerViolation,
    /// The peer did not take the request: REFUSED_STREAM, or above GOAWAY's last id, before any answer. Not processed.
    Refused,
    /// The peer reset this stream.
    Reset,
    /// HTTP/2 was required and the peer's ALPN chose something else or nothing.
    AlpnMismatch,
    /// HTTP/2 was required and the peer answered in HTTP/1.
    PeerSpokeHttp1,
    /// `error_for_status` or an event stream met a status of 400 or above.
    Status(StatusCode),
    /// A WebSocket, upgrade or CONNECT was answered, but not with yes.
    Handshake,
    /// A redirect that may not be followed: too many, to http, or with a body that cannot be sent again.
    Redirect,
    /// The body is not what was asked for: charset, JSON, encoding, content type.
    Content,
    /// MCP: the peer answered with a JSON-RPC error.
    Rpc,
    /// MCP: the session ended or the stream cannot be resumed; the answer may be lost.
    SessionLost,
    // the caller
    /// A URL, header or option that cannot be right.
    InvalidInput,
    /// A call that makes no sense in this state.
    Misuse,
    /// A `Cancel` token, a callback's `Flow::Stop`, or `shutdown`.
    Cancelled,
    /// From the caller's own code, by [`Error::other`].
    Other,
    // us
    /// A limit of ours: header list, body, message, line.
    TooLarge,
    /// Needs a feature that is not compiled in, or that does not exist here.
    Unsupported,
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TimedOut => "timed out",
            Self::PoolTimeout => "no connection or stream became free in time",
            Self::Closed => "the connection ended early",
            Self::Connect => "could not connect",
            Self::Tls => "TLS failed",
            Self::Io => "input/output error",
            Self::PeerViolation => "the peer broke the protocol",
            Self::Refused => "the peer did not take the request",
            Self::Reset => "the peer reset the stream",
            Self::AlpnMismatch => "the peer did not choose HTTP/2",
            Self::PeerSpokeHttp1 => "the peer answered in HTTP/1",
            Self::Status(status) => return write!(f, "status {status}"),
            Self::Handshake => "the peer refused the upgrade",
            Self::Redirect => "a redirect that may not be followed",
            Self::Content => "the content is not what was asked for",
            Self::Rpc => "the peer answered with an error",
            Self::SessionLost => "the session was lost",
            Self::InvalidInput => "invalid input",
            Self::Misuse => "a call that makes no sense now",
            Self::Cancelled => "cancelled",
            Self::Other => "an error of the caller's own code",
            Self::TooLarge => "larger than allowed",
            Self::Unsupported => "not supported",
        })
    }
}

/// Where the time goes: what was going on when something failed.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Putting the request together.
    Build,
    /// Looking up the name.
    Resolve,
    /// Connecting to an address.
    Connect,
    /// Talking to the proxy.
    Proxy,
    /// The TLS handshake.
    Tls,
    /// Waiting for a connection or stream slot.
    Slot,
    /// Sending the request.
    Send,
    /// Waiting for the first byte of the answer.
    FirstByte,
    /// Reading the body.
    Body,
    /// Receiving messages or events.
    Receive,
    /// Closing.
    Close,
}

/// Whether the peer may have acted on a failed request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Processed {
    /// Certainly not: it may be sent again.
    No,
    /// Perhaps: bytes reached the kernel, or stand in the buffer of a connection that goes on, and no answer came.
    Maybe,
    /// At least part of an answer came.
    Yes,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_error_comes_back_from_an_io_error() {
        let error = Error::with(ErrorKind::TimedOut, "no byte for 60 s").in_phase(Phase::Body);
        let io = io::Error::from(error);
        assert_eq!(io.kind(), io::ErrorKind::TimedOut);
        let back = Error::from(io);
        assert_eq!((back.kind(), back.phase()), (ErrorKind::TimedOut, Phase::Body));
        assert_eq!(Error::from(io::Error::other("x")).kind(), ErrorKind::Io);
    }

    #[test]
    fn one_word_wide() {
        assert_eq!(size_of::<Error>(), size_of::<usize>());
    }

    #[test]
    fn what_is_attached_can_be_taken_out() {
        let mut error = Error::new(ErrorKind::Handshake).attach(7u8).attach("text").attach(8u8);
        assert_eq!(error.attached::<u8>(), Some(&8));
        assert_eq!(error.detach::<u8>(), Some(8));
        assert_eq!(error.detach::<u8>(), None);
        assert_eq!(error.attached::<&str>(), Some(&"text"));
    }
}
