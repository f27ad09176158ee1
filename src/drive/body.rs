//! One body, of a request or a response, whatever the protocol below.

mod into;

pub use into::IntoBody;

use super::wait::block_on;
use crate::{
    error::{Error, ErrorKind, Phase, Result},
    net::Cx,
    recv::Recv,
    time::Deadline,
};
use http::HeaderMap;
use std::{
    fmt,
    fs::File,
    io::{self, Read, Seek},
    sync::{Arc, Mutex, PoisonError},
    task::Poll,
    time::Duration,
};

/// The most that `bytes`, `text` and `json` of a response take into memory.
///
/// Far above what an API answers, far below what ends a small machine; [`Body::limit`] sets another.
pub(crate) const WHOLE: u64 = 64 * 1024 * 1024;

/// What delivers a body that arrives on a connection.
pub(crate) trait Source: fmt::Debug + Send + Sync {
    /// The next bytes; zero is the end.
    fn poll_read(&mut self, buf: &mut [u8], cx: &mut Cx<'_>) -> Poll<Result<usize>>;
    /// The whole body, if all of it has arrived, nothing was read and it is no longer than `max`; that is the end then.
    fn take_arrived(&mut self, _max: u64) -> Option<Vec<u8>> {
        None
    }
    /// The trailers, once the end was read.
    fn trailers(&self) -> Option<&HeaderMap>;
    /// The number of bytes that will be read, if it is known.
    fn content_length(&self) -> Option<u64>;
}

type Reader = Mutex<Box<dyn Read + Send>>;
type Open = Arc<dyn Fn() -> io::Result<Box<dyn Read + Send>> + Send + Sync>;

/// One body, of a request or a response. Reading blocks; dropping never does.
///
/// A request body is *replayable* (it can be sent again by a retry or a 307/308 redirect) when it was made from bytes, a file or
/// [`from_fn`](Self::from_fn); one from [`from_reader`](Self::from_reader) is sent once.
///
/// # Examples
///
/// ```
/// use bowline::Body;
/// use std::io::Read;
///
/// # fn main() -> std::io::Result<()> {
/// let mut body = Body::from_reader(&b"abc"[..]).with_len(3);
/// assert!(!body.is_replayable());
/// let mut text = String::new();
/// body.read_to_string(&mut text)?;
/// assert_eq!(text, "abc");
/// # Ok(())
/// # }
/// ```
pub struct Body {
    kind: Kind,
    len: Option<u64>,
    /// How much may still be read, and what the limit was.
    limit: Option<(u64, u64)>,
}

enum Kind {
    Empty,
    Bytes { bytes: Bytes, at: usize },
    Reader(Reader),
    Fn { open: Open, reader: Option<Reader> },
    File { file: Arc<File>, start: u64, at: u64, end: u64 },
    Source(Box<dyn Source>),
}

/// Bytes that can be sent again without a copy.
#[derive(Clone)]
enum Bytes {
    Slice(Arc<[u8]>),
    Vec(Arc<Vec<u8>>),
}

impl Bytes {
    fn get(&self) -> &[u8] {
        match self {
            Bytes::Slice(bytes) => bytes,
            Bytes::Vec(bytes) => bytes,
        }
    }
}

impl Body {
    fn of(kind: Kind, len: Option<u64>) -> Self {
        Body { kind, len, limit: None }
    }

    /// Returns no body.
    ///
    /// # Examples
    ///
    /// ```
    /// let body = bowline::Body::empty();
    /// assert_eq!(body.content_length(), Some(0));
    /// ```
    pub fn empty() -> Self {
        Self::of(Kind::Empty, Some(0))
    }

    /// Returns the body that `reader` gives: sent once, chunked on HTTP/1 unless [`with_len`](Self::with_len) is said.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use bowline::Body;
    /// use std::{fs::File, io::{Read, Seek, SeekFrom}};
    ///
    /// # fn main() -> bowline::Result<()> {
    /// // The second megabyte of a file.
    /// let mut film = File::open("film.mkv")?;
    /// film.seek(SeekFrom::Start(1 << 20))?;
    /// let body = Body::from_reader(film.take(1 << 20)).with_len(1 << 20);
    /// # Ok(())
    /// # }
    /// ```
    pub fn from_reader(reader: impl Read + Send + 'static) -> Self {
        Self::of(Kind::Reader(Mutex::new(Box::new(reader))), None)
    }

    /// Returns the body of the reader that `open` opens anew for every attempt: replayable.
    ///
    /// # Examples
    ///
    /// ```
    /// use bowline::Body;
    /// use std::fs::File;
    ///
    /// let body = Body::from_fn(|| File::open("film.mkv"));
    /// assert!(body.is_replayable());
    /// ```
    pub fn from_fn<R: Read + Send + 'static>(open: impl Fn() -> io::Result<R> + Send + Sync + 'static) -> Self {
        let open: Open = Arc::new(move || open().map(|reader| Box::new(reader) as Box<dyn Read + Send>));
        Self::of(Kind::Fn { open, reader: None }, None)
    }

    /// Returns the body from the file's current position to its end; replayable, length known.
    ///
    /// # Errors
    ///
    /// If the position or the length cannot be asked for (a pipe: use [`from_reader`](Self::from_reader)).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use bowline::Body;
    /// use std::fs::File;
    ///
    /// # fn main() -> bowline::Result<()> {
    /// let body = Body::from_file(File::open("film.mkv")?)?;
    /// println!("{:?} bytes", body.content_length());
    /// # Ok(())
    /// # }
    /// ```
    pub fn from_file(mut file: File) -> io::Result<Self> {
        let start = file.stream_position()?;
        let end = file.metadata()?.len().max(start);
        Ok(Self::of(Kind::File { file: Arc::new(file), start, at: start, end }, Some(end - start)))
    }

    /// Returns these bytes of a file, from the first to before the second.
    pub(crate) fn from_file_range(file: File, from: u64, to: u64) -> Self {
        Self::of(Kind::File { file: Arc::new(file), start: from, at: from, end: to }, Some(to - from))
    }

    pub(crate) fn from_vec(bytes: Vec<u8>) -> Self {
        let len = bytes.len() as u64;
        Self::of(Kind::Bytes { bytes: Bytes::Vec(Arc::new(bytes)), at: 0 }, Some(len))
    }

    pub(crate) fn from_source(source: Box<dyn Source>) -> Self {
        let len = source.content_length();
        Self::of(Kind::Source(source), len)
    }

    /// Declares the length of a reader, so that Content-Length is sent; that header among those of a request does the same. Sending
    /// fails if the reader gives less or more.
    ///
    /// # Examples
    ///
    /// ```
    /// let body = bowline::Body::from_reader(&b"hello"[..]).with_len(5);
    /// assert_eq!(body.content_length(), Some(5));
    /// ```
    pub fn with_len(mut self, len: u64) -> Self {
        let fixed = match self.kind {
            Kind::Reader(_) | Kind::Fn { .. } => false,
            Kind::Source(_) => self.len.is_some(),
            Kind::Empty | Kind::Bytes { .. } | Kind::File { .. } => true,
        };
        if !fixed {
            self.len = Some(len);
        }
        self
    }

    /// Returns the length, if it is known beforehand.
    ///
    /// # Examples
    ///
    /// ```
    /// use bowline::IntoBody;
    ///
    /// # fn main() -> bowline::Result<()> {
    /// let (body, _content_type) = "hello".into_body()?;
    /// assert_eq!(body.content_length(), Some(5));
    /// # Ok(())
    /// # }
    /// ```
    pub fn content_length(&self) -> Option<u64> {
        self.len
    }

    /// Returns the bytes, if the body was made from bytes: for those who sign it.
    ///
    /// # Examples
    ///
    /// ```
    /// use bowline::IntoBody;
    ///
    /// # fn main() -> bowline::Result<()> {
    /// let (body, _content_type) = "hello".into_body()?;
    /// assert_eq!(body.as_bytes(), Some(&b"hello"[..]));
    /// # Ok(())
    /// # }
    /// ```
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match &self.kind {
            Kind::Empty => Some(&[]),
            Kind::Bytes { bytes, .. } => Some(bytes.get()),
            Kind::Reader(_) | Kind::Fn { .. } | Kind::File { .. } | Kind::Source(_) => None,
        }
    }

    /// Returns whether it can be sent again.
    ///
    /// # Examples
    ///
    /// ```
    /// use bowline::Body;
    ///
    /// assert!(Body::from_fn(|| Ok(std::io::empty())).is_replayable());
    /// assert!(!Body::from_reader(std::io::empty()).is_replayable());
    /// ```
    pub fn is_replayable(&self) -> bool {
        !matches!(self.kind, Kind::Reader(_) | Kind::Source(_))
    }

    /// Returns the same body from its beginning, if it is replayable.
    pub(crate) fn replay(&self) -> Option<Body> {
        let kind = match &self.kind {
            Kind::Empty => Kind::Empty,
            Kind::Bytes { bytes, .. } => Kind::Bytes { bytes: bytes.clone(), at: 0 },
            Kind::Fn { open, .. } => Kind::Fn { open: open.clone(), reader: None },
            Kind::File { file, start, end, .. } => {
                Kind::File { file: file.clone(), start: *start, at: *start, end: *end }
            }
            Kind::Reader(_) | Kind::Source(_) => return None,
        };
        Some(Self::of(kind, self.len))
    }

    /// Waits at most `timeout` for bytes; a timeout loses none and spoils nothing. Zero looks at what is there.
    ///
    /// # Errors
    ///
    /// As reading; and a body of the caller's own reader waits as long as the reader does.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use bowline::Recv;
    /// use std::time::Duration;
    ///
    /// # fn main() -> bowline::Result<()> {
    /// let mut response = bowline::get("https://example.org/slow").send()?;
    /// let mut piece = [0; 4096];
    /// loop {
    ///     match response.body().read_timeout(&mut piece, Duration::from_secs(1))? {
    ///         Recv::Item(n) => println!("{n} bytes"),
    ///         Recv::TimedOut => println!("nothing for a second"),
    ///         Recv::Ended => break,
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn read_timeout(&mut self, buf: &mut [u8], timeout: Duration) -> Result<Recv<usize>> {
        match block_on(Deadline::after(timeout), |cx| self.poll_fill(buf, cx)) {
            None => Ok(Recv::TimedOut),
            Some(Ok(0)) if !buf.is_empty() => Ok(Recv::Ended),
            Some(result) => result.map(Recv::Item),
        }
    }

    /// Stops reading at `max` bytes: what is above fails with [`ErrorKind::TooLarge`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::io::Read;
    ///
    /// # fn main() -> bowline::Result<()> {
    /// let mut text = String::new();
    /// bowline::get("https://example.org").send()?.into_body().limit(1 << 20).read_to_string(&mut text)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn limit(mut self, max: u64) -> Self {
        self.limit = Some((max, max));
        self
    }

    /// Returns the trailers, once the body was read to its end.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # fn main() -> bowline::Result<()> {
    /// let mut response = bowline::get("https://example.org").send()?;
    /// std::io::copy(response.body(), &mut std::io::sink())?;
    /// println!("{:?}", response.body().trailers());
    /// # Ok(())
    /// # }
    /// ```
    pub fn trailers(&self) -> Option<&HeaderMap> {
        match &self.kind {
            Kind::Source(source) => source.trailers(),
            _ => None,
        }
    }

    /// Reads everything, at most `max` bytes unless a limit was set.
    pub(crate) fn read_whole(mut self, max: u64) -> Result<Vec<u8>> {
        let (left, _) = *self.limit.get_or_insert((max, max));
        if let Kind::Source(source) = &mut self.kind {
            if let Some(whole) = source.take_arrived(left) {
                return Ok(whole);
            }
        }
        let known = self.len.and_then(|len| usize::try_from(len.min(max)).ok());
        let mut whole = Vec::with_capacity(known.unwrap_or(0).min(1024 * 1024));
        self.read_to_end(&mut whole)?;
        Ok(whole)
    }

    /// Whether it is read from a file, which takes no wait.
    pub(crate) fn is_file(&self) -> bool {
        matches!(self.kind, Kind::File { .. })
    }

    /// Whether it comes from code of the caller's.
    pub(crate) fn is_reader(&self) -> bool {
        matches!(self.kind, Kind::Reader(_) | Kind::Fn { .. })
    }

    /// The bytes that are left, if they are in memory: they are sent without a copy.
    pub(crate) fn rest(&self) -> Option<&[u8]> {
        match &self.kind {
            Kind::Empty => Some(&[]),
            Kind::Bytes { bytes, at } => Some(&bytes.get()[*at..]),
            _ => None,
        }
    }

    /// So many of [`rest`](Self::rest) were used.
    pub(crate) fn advance(&mut self, n: usize) {
        if let Kind::Bytes { at, .. } = &mut self.kind {
            *at += n;
        }
    }

    /// The next bytes; zero is the end. A caller's own reader is read here and may block.
    pub(crate) fn poll_fill(&mut self, buf: &mut [u8], cx: &mut Cx<'_>) -> Poll<Result<usize>> {
        let room = match self.limit {
            // One byte more than allowed is asked for, to tell a body at the limit from one above it.
            Some((left, _)) => buf.len().min(usize::try_from(left.saturating_add(1)).unwrap_or(usize::MAX)),
            None => buf.len(),
        };
        let buf = &mut buf[..room];
        if matches!(self.kind, Kind::Reader(_) | Kind::Fn { .. } | Kind::File { .. }) {
            cx.before_foreign_code();
        }
        let n = match &mut self.kind {
            Kind::Empty => 0,
            Kind::Bytes { bytes, at } => {
                let rest = &bytes.get()[*at..];
                let n = rest.len().min(buf.len());
                buf[..n].copy_from_slice(&rest[..n]);
                *at += n;
                n
            }
            Kind::Reader(reader) => read(reader, buf)?,
            Kind::Fn { open, reader } => {
                if reader.is_none() {
                    *reader = Some(Mutex::new(open().map_err(own)?));
                }
                match reader {
                    Some(reader) => read(reader, buf)?,
                    None => 0,
                }
            }
            Kind::File { file, at, end, .. } => {
                let room = buf.len().min(usize::try_from(*end - *at).unwrap_or(usize::MAX));
                let n = read_at(file, &mut buf[..room], *at).map_err(own)?;
                *at += n as u64;
                n
            }
            Kind::Source(source) => match source.poll_read(buf, cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(n) => n?,
            },
        };
        Poll::Ready(self.count(n))
    }

    fn count(&mut self, n: usize) -> Result<usize> {
        if let Some((left, max)) = &mut self.limit {
            *left = left.checked_sub(n as u64).ok_or_else(|| {
                Error::with(ErrorKind::TooLarge, format!("the body is longer than the {max} bytes allowed"))
                    .in_phase(Phase::Body)
            })?;
        }
        Ok(n)
    }
}

fn read(reader: &mut Reader, buf: &mut [u8]) -> Result<usize> {
    let reader = reader.get_mut().unwrap_or_else(PoisonError::into_inner);
    loop {
        match reader.read(buf) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            result => return result.map_err(own),
        }
    }
}

#[cfg(unix)]
fn read_at(file: &File, buf: &mut [u8], at: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, buf, at)
}

#[cfg(windows)]
fn read_at(file: &File, buf: &mut [u8], at: u64) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, buf, at)
}

/// An error of the caller's own reader; one of ours inside stays what it was.
fn own(e: io::Error) -> Error {
    match Error::from(e) {
        e if e.kind() == ErrorKind::Io => Error::other(e),
        e => e,
    }
}

impl Read for Body {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        match block_on(Deadline::NEVER, |cx| self.poll_fill(buf, cx)) {
            Some(result) => result.map_err(io::Error::from),
            None => Ok(0),
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match &self.kind {
            Kind::Empty => "empty",
            Kind::Bytes { .. } => "bytes",
            Kind::Reader(_) => "reader",
            Kind::Fn { .. } => "fn",
            Kind::File { .. } => "file",
            Kind::Source(_) => "received",
        };
        f.debug_struct("Body").field("from", &kind).field("len", &self.len).finish_non_exhaustive()
    }
}

impl Default for Body {
    fn default() -> Self {
        Body::empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(mut body: Body) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        body.read_to_end(&mut bytes).map(|_| bytes)
    }

    #[test]
    fn what_is_replayable_gives_the_same_bytes_again() {
        let path = std::env::temp_dir().join(format!("bowline-body-{}", std::process::id()));
        std::fs::write(&path, b"abc").unwrap();
        let file = Body::from_file(File::open(&path).unwrap()).unwrap();
        std::fs::remove_file(&path).unwrap();
        let bodies = [Body::from_vec(b"abc".to_vec()), Body::from_fn(|| Ok(&b"abc"[..])), file];
        for body in bodies {
            let again = body.replay().expect("it is replayable");
            let name = format!("{body:?}");
            assert_eq!(whole(body).unwrap(), b"abc", "{name}");
            assert_eq!(whole(again).unwrap(), b"abc", "{name} again");
        }
        assert!(Body::from_reader(&b"abc"[..]).replay().is_none());
    }

    #[test]
    fn arrays_are_bodies_by_value_and_by_reference() {
        for (body, content_type) in [[1u8, 2, 3].into_body().unwrap(), (&[1u8, 2, 3]).into_body().unwrap()] {
            assert_eq!((body.as_bytes(), body.content_length(), content_type), (Some(&[1, 2, 3][..]), Some(3), None));
        }
    }

    #[test]
    fn a_limit_lets_through_what_is_at_it_and_stops_what_is_above() {
        for (limit, fits) in [(2, false), (3, true), (4, true)] {
            let read = whole(Body::from_reader(&b"abc"[..]).limit(limit));
            assert_eq!(read.is_ok(), fits, "limit {limit}");
            if let Err(e) = read {
                assert_eq!(Error::from(e).kind(), ErrorKind::TooLarge);
            }
        }
    }
}
