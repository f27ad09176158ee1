//! The time limits of one request.

use std::time::Duration;

/// Time limits of one request.
///
/// | limit | default | why |
/// |---|---|---|
/// | [`total`](Self::total) | none | a large download may take as long as it makes progress |
/// | [`resolve`](Self::resolve) | none | the system's resolver gives up by itself |
/// | [`connect`](Self::connect) | 10 s | Linux repeats a lost SYN after 1, 3 and 7 s |
/// | [`slot`](Self::slot) | none | other requests, which have limits of their own, make room |
/// | [`first_byte`](Self::first_byte) | 120 s | servers that think long are common, silence for ever is not an answer |
/// | [`read`](Self::read) | 60 s | between two pieces of a body |
/// | [`write`](Self::write) | 60 s | a peer that takes nothing for a minute is gone |
///
/// Event streams, tunnels and WebSockets have no read limit of their own.
///
/// # Examples
///
/// ```
/// use bowline::Timeouts;
/// use std::time::Duration;
///
/// let quick = Timeouts::default().total(Duration::from_secs(5)).connect(Duration::from_millis(500));
/// # let _ = quick;
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timeouts {
    total: Option<Duration>,
    resolve: Option<Duration>,
    connect: Option<Duration>,
    slot: Option<Duration>,
    first_byte: Option<Duration>,
    read: Option<Duration>,
    write: Option<Duration>,
}

impl Default for Timeouts {
    fn default() -> Self {
        Timeouts::none()
            .connect(Duration::from_secs(10))
            .first_byte(Duration::from_secs(120))
            .read(Duration::from_secs(60))
            .write(Duration::from_secs(60))
    }
}

impl Timeouts {
    /// Returns no limit at all.
    ///
    /// # Examples
    ///
    /// ```
    /// use bowline::Timeouts;
    /// use std::time::Duration;
    ///
    /// let patient = Timeouts::none().total(Duration::from_secs(3600));
    /// ```
    pub fn none() -> Self {
        Timeouts { total: None, resolve: None, connect: None, slot: None, first_byte: None, read: None, write: None }
    }

    /// Limits everything, from the name lookup to the last byte of the body, redirects and retries included.
    ///
    /// # Examples
    ///
    /// ```
    /// use bowline::Timeouts;
    /// use std::time::Duration;
    ///
    /// let limits = Timeouts::default().total(Duration::from_secs(30));
    /// ```
    #[must_use]
    pub fn total(mut self, d: Duration) -> Self {
        self.total = Some(d);
        self
    }

    /// Limits the name lookup.
    ///
    /// # Examples
    ///
    /// ```
    /// use bowline::Timeouts;
    /// use std::time::Duration;
    ///
    /// let limits = Timeouts::default().resolve(Duration::from_secs(2));
    /// ```
    #[must_use]
    pub fn resolve(mut self, d: Duration) -> Self {
        self.resolve = Some(d);
        self
    }

    /// Limits connecting: all addresses together, proxy and TLS included.
    ///
    /// # Examples
    ///
    /// ```
    /// use bowline::Timeouts;
    /// use std::time::Duration;
    ///
    /// let limits = Timeouts::default().connect(Duration::from_secs(3));
    /// ```
    #[must_use]
    pub fn connect(mut self, d: Duration) -> Self {
        self.connect = Some(d);
        self
    }

    /// Limits the wait for a connection or stream slot: [`ErrorKind::PoolTimeout`](crate::ErrorKind::PoolTimeout).
    ///
    /// # Examples
    ///
    /// ```
    /// use bowline::Timeouts;
    /// use std::time::Duration;
    ///
    /// let limits = Timeouts::default().slot(Duration::from_secs(5));
    /// ```
    #[must_use]
    pub fn slot(mut self, d: Duration) -> Self {
        self.slot = Some(d);
        self
    }

    /// Limits the time from the request's last byte to the first byte of the answer.
    ///
    /// # Examples
    ///
    /// ```
    /// use bowline::Timeouts;
    /// use std::time::Duration;
    ///
    /// let limits = Timeouts::default().first_byte(Duration::from_secs(600));
    /// ```
    #[must_use]
    pub fn first_byte(mut self, d: Duration) -> Self {
        self.first_byte = Some(d);
        self
    }

    /// Limits each read of the body: the longest silence.
    ///
    /// # Examples
    ///
    /// ```
    /// use bowline::Timeouts;
    /// use std::time::Duration;
    ///
    /// let limits = Timeouts::default().read(Duration::from_secs(10));
    /// ```
    #[must_use]
    pub fn read(mut self, d: Duration) -> Self {
        self.read = Some(d);
        self
    }

    /// Limits each write: the longest standstill.
    ///
    /// # Examples
    ///
    /// ```
    /// use bowline::Timeouts;
    /// use std::time::Duration;
    ///
    /// let limits = Timeouts::default().write(Duration::from_secs(10));
    /// ```
    #[must_use]
    pub fn write(mut self, d: Duration) -> Self {
        self.write = Some(d);
        self
    }

    pub(crate) fn total_limit(&self) -> Option<Duration> {
        self.total
    }

    pub(crate) fn resolve_limit(&self) -> Option<Duration> {
        self.resolve
    }

    pub(crate) fn connect_limit(&self) -> Option<Duration> {
        self.connect
    }

    pub(crate) fn slot_limit(&self) -> Option<Duration> {
        self.slot
    }

    pub(crate) fn first_byte_limit(&self) -> Option<Duration> {
        self.first_byte
    }

    pub(crate) fn read_limit(&self) -> Option<Duration> {
        self.read
    }

    pub(crate) fn write_limit(&self) -> Option<Duration> {
        self.write
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(t: &Timeouts) -> [Option<u64>; 7] {
        [
            t.total_limit(),
            t.resolve_limit(),
            t.connect_limit(),
            t.slot_limit(),
            t.first_byte_limit(),
            t.read_limit(),
            t.write_limit(),
        ]
        .map(|limit| limit.map(|d| d.as_secs()))
    }

    #[test]
    fn defaults_and_none() {
        assert_eq!(limits(&Timeouts::default()), [None, None, Some(10), None, Some(120), Some(60), Some(60)]);
        assert_eq!(limits(&Timeouts::none()), [None; 7]);
    }

    #[test]
    fn each_method_sets_its_own_limit() {
        type Set = fn(Timeouts, Duration) -> Timeouts;
        let methods: [Set; 7] = [
            Timeouts::total,
            Timeouts::resolve,
            Timeouts::connect,
            Timeouts::slot,
            Timeouts::first_byte,
            Timeouts::read,
            Timeouts::write,
        ];
        for (n, set) in methods.into_iter().enumerate() {
            let mut expected = [None; 7];
            expected[n] = Some(7);
            assert_eq!(limits(&set(Timeouts::none(), Duration::from_secs(7))), expected, "method {n}");
        }
    }
}
