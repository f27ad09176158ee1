//! The answer of every call that waits for the next of many.

/// The answer of every `recv_timeout`, `read_timeout` and `try_recv`.
///
/// # Examples
///
/// ```
/// use bowline::Recv;
///
/// let answer = Recv::Item(2).map(|n| n * 2);
/// assert_eq!(answer.item(), Some(4));
/// assert_eq!(Recv::<u8>::TimedOut.item(), None);
/// ```
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recv<T> {
    /// The next one.
    Item(T),
    /// Nothing complete arrived in time; nothing is lost, call again.
    TimedOut,
    /// The sender is done; nothing will come any more. How it ended is asked of the object.
    Ended,
}

impl<T> Recv<T> {
    /// Returns the item, for callers to whom "not yet" and "never" are the same.
    ///
    /// # Examples
    ///
    /// ```
    /// use bowline::Recv;
    ///
    /// assert_eq!(Recv::Item(1).item(), Some(1));
    /// assert_eq!(Recv::<u8>::TimedOut.item(), None);
    /// ```
    pub fn item(self) -> Option<T> {
        match self {
            Recv::Item(item) => Some(item),
            Recv::TimedOut | Recv::Ended => None,
        }
    }

    /// Returns the same answer with the item mapped.
    ///
    /// # Examples
    ///
    /// ```
    /// use bowline::Recv;
    ///
    /// assert_eq!(Recv::Item(1).map(|n| n + 1), Recv::Item(2));
    /// ```
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Recv<U> {
        match self {
            Recv::Item(item) => Recv::Item(f(item)),
            Recv::TimedOut => Recv::TimedOut,
            Recv::Ended => Recv::Ended,
        }
    }
}
