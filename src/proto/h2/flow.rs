//! Flow control: what may be sent, and what the peer may send (RFC 9113, section 5.2).

use super::frame::MAX_31;

/// The number of octets one side may still send; negative after a shrinking SETTINGS.
///
/// The peer can lower SETTINGS_INITIAL_WINDOW_SIZE while data is in flight, which takes a window below zero; it then has to
/// be raised past zero before anything more is sent (RFC 9113, section 6.9.2). All arithmetic on windows is in this type,
/// so the bounds are checked in one place.
///
/// # Invariants
///
/// `-MAX <= self.0 <= MAX`, where `MAX` is 2^31 - 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window(i64);

/// A window would exceed 2^31 - 1: an error of type FLOW_CONTROL_ERROR on the stream or on the connection, depending on
/// whose window it is (RFC 9113, section 6.9.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Overflow;

impl Window {
    const MAX: i64 = MAX_31 as i64;
    /// What both windows are before anything was said (RFC 9113, section 6.9.2).
    pub(super) const INITIAL: u32 = 65_535;

    /// A window of `size`, which is at most 2^31 - 1.
    pub(super) fn new(size: u32) -> Self {
        Window(i64::from(size.min(MAX_31)))
    }

    /// Returns how many octets may be sent now, zero if the window is negative.
    pub(super) fn available(self) -> usize {
        usize::try_from(self.0).unwrap_or(0)
    }

    /// Returns the window as a number.
    pub(super) fn get(self) -> i64 {
        self.0
    }

    /// Returns the window after WINDOW_UPDATE, or after SETTINGS changed the initial size by `delta`.
    ///
    /// # Errors
    ///
    /// [`Overflow`] if the window would exceed 2^31 - 1.
    pub(super) fn adjust(self, delta: i64) -> Result<Self, Overflow> {
        let adjusted = self.0 + delta;
        if adjusted.abs() <= Self::MAX { Ok(Window(adjusted)) } else { Err(Overflow) }
    }

    /// Takes `n` octets that are about to be sent.
    ///
    /// # Panics
    ///
    /// Panics if `n` is more than [`available`](Self::available): only we decide what is sent.
    pub(super) fn spend(&mut self, n: usize) {
        assert!(n <= self.available(), "spent {n} of {self:?}");
        self.0 -= n as i64;
    }
}

/// What the peer may still send, and what of it was used up and not credited yet.
///
/// Credit is given once half of the window is used up: small enough that the peer never runs dry for want of a frame, large
/// enough that a body costs few of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Inlet {
    window: Window,
    owed: u32,
}

impl Inlet {
    /// An inlet the peer may send `size` octets into.
    pub(super) fn new(size: u32) -> Self {
        Inlet { window: Window::new(size), owed: 0 }
    }

    /// Returns what the peer may still send.
    pub(super) fn window(&self) -> i64 {
        self.window.get()
    }

    /// The peer sent `n` octets: `false`, and nothing changed, if they were more than allowed.
    pub(super) fn receive(&mut self, n: usize) -> bool {
        let fits = n <= self.window.available();
        if fits {
            self.window.spend(n);
        }
        fits
    }

    /// So many octets that were received are out of the way.
    pub(super) fn consume(&mut self, n: usize) {
        self.owed = self.owed.saturating_add(u32::try_from(n).unwrap_or(u32::MAX));
    }

    /// Returns the credit that is due for a window of `size`: nothing below half of it.
    pub(super) fn credit(&mut self, size: u32) -> Option<u32> {
        if self.owed == 0 || self.owed < size / 2 {
            return None;
        }
        let increment = std::mem::take(&mut self.owed).min(MAX_31);
        // What is owed was received before, so this cannot overflow; if it did, the peer would merely get less.
        self.window = self.window.adjust(i64::from(increment)).ok()?;
        Some(increment)
    }

    /// Returns credit of at most `most`, however little of the window is used up.
    pub(super) fn credit_at_most(&mut self, most: usize) -> Option<u32> {
        let increment = self.owed.min(u32::try_from(most).unwrap_or(u32::MAX)).min(MAX_31);
        if increment == 0 {
            return None;
        }
        self.window = self.window.adjust(i64::from(increment)).ok()?;
        self.owed -= increment;
        Some(increment)
    }

    /// The window the peer counts with became `by` smaller: it has acknowledged our SETTINGS.
    pub(super) fn shrink(&mut self, by: u32) {
        if let Ok(window) = self.window.adjust(-i64::from(by)) {
            self.window = window;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_go_below_zero_and_not_above_the_maximum() {
        let window = Window::new(10).adjust(-15).unwrap();
        assert_eq!((window.get(), window.available()), (-5, 0));
        let window = window.adjust(6).unwrap();
        assert_eq!(window.available(), 1);
        assert_eq!(window.adjust(i64::from(MAX_31) - 2).map(Window::get), Ok(i64::from(MAX_31) - 1), "one below");
        assert_eq!(window.adjust(i64::from(MAX_31) - 1).map(Window::get), Ok(i64::from(MAX_31)), "at the limit");
        assert_eq!(window.adjust(i64::from(MAX_31)), Err(Overflow), "one above");
    }

    #[test]
    #[should_panic(expected = "spent 2 of Window(1)")]
    fn spending_more_than_there_is() {
        Window::new(1).spend(2);
    }

    #[test]
    fn credit_is_given_once_half_is_used() {
        let mut inlet = Inlet::new(100);
        assert!(!inlet.receive(101) && inlet.receive(100) && !inlet.receive(1));
        inlet.consume(49);
        assert_eq!(inlet.credit(100), None, "one below half");
        inlet.consume(1);
        assert_eq!(inlet.credit(100), Some(50), "half");
        assert_eq!((inlet.credit(100), inlet.window()), (None, 50));
        inlet.consume(5);
        assert_eq!(
            (inlet.credit_at_most(0), inlet.credit_at_most(3), inlet.credit_at_most(9)),
            (None, Some(3), Some(2))
        );
        assert_eq!((inlet.credit_at_most(9), inlet.window()), (None, 55));
        inlet.shrink(65);
        assert_eq!(inlet.window(), -10);
        assert!(!inlet.receive(1) && inlet.receive(0));
    }
}
