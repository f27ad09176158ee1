//! What the connections of a server have together: how many exchanges, and how much that is unsent or unread.

use std::{fmt::Debug, sync::Arc};

/// What one connection has of it, besides one exchange, which each has in any case.
pub(crate) trait Quota: Debug + Send + Sync {
    /// Takes one, if there is one for whoever asks.
    fn take(&self) -> bool;
    /// How much of an answer is framed at a time, and may be unsent: a client that takes nothing has us keep a part of that.
    fn piece(&self) -> usize;
    /// How much a peer of HTTP/2 may send at once although nobody takes it: the window of a connection.
    fn ahead(&self) -> usize;
    /// Of what a connection has received and nobody took, so much counts that did not, or does not any more.
    fn count_unread(&self, before: usize, now: usize);
    /// Whether so much is unread that no more is received ahead of those who read.
    fn is_crowded(&self) -> bool;
    /// Whether so much is unread that what comes nevertheless, of whoever may not be kept from sending, is thrown away.
    fn is_full(&self) -> bool;
    /// Gives so many back.
    fn give_back(&self, n: usize);
}

/// The exchanges that one connection has taken. Dropping it gives everything back.
#[derive(Debug, Default)]
pub(super) struct Taken {
    quota: Option<Arc<dyn Quota>>,
    /// Its exchanges, the first included.
    n: usize,
}

impl Taken {
    pub(super) fn new(quota: Option<Arc<dyn Quota>>) -> Self {
        Taken { quota, n: 0 }
    }

    /// Takes one more, if it may have that.
    pub(super) fn take(&mut self) -> bool {
        let takes = self.n == 0 || self.quota.as_ref().is_none_or(|quota| quota.take());
        self.n += usize::from(takes);
        takes
    }

    /// Whether no more is received ahead of those who read.
    pub(super) fn is_crowded(&self) -> bool {
        self.quota.as_ref().is_some_and(|quota| quota.is_crowded())
    }

    /// Whether what comes nevertheless is thrown away.
    pub(super) fn is_full(&self) -> bool {
        self.quota.as_ref().is_some_and(|quota| quota.is_full())
    }

    /// Gives one back.
    pub(super) fn give_back(&mut self) {
        self.n -= 1;
        if let Some(quota) = self.quota.as_ref().filter(|_| self.n > 0) {
            quota.give_back(1);
        }
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        if let Some(quota) = self.quota.as_ref().filter(|_| self.n > 1) {
            quota.give_back(self.n - 1);
        }
    }
}

/// How much is received at a time, and ahead of who reads, where all together have too much.
pub(super) const LITTLE_AHEAD: usize = 4 << 10;

/// What of a connection is unread whatever others have: a connection has so much in any case, and it does not count.
pub(super) const FREE: usize = 8 << 10;

/// What of a connection counts as unread. Dropping it gives everything back.
#[derive(Debug, Default)]
pub(super) struct Unread {
    quota: Option<Arc<dyn Quota>>,
    counted: usize,
}

impl Unread {
    pub(super) fn new(quota: Option<Arc<dyn Quota>>) -> Self {
        Unread { quota, counted: 0 }
    }

    /// So much is unread now.
    #[inline]
    pub(super) fn set(&mut self, bytes: usize) {
        let now = bytes.saturating_sub(FREE);
        if now != self.counted {
            self.change(now);
        }
    }

    fn change(&mut self, now: usize) {
        if let Some(quota) = &self.quota {
            quota.count_unread(self.counted, now);
            self.counted = now;
        }
    }

    /// Whether no more is received ahead of those who read.
    pub(super) fn is_crowded(&self) -> bool {
        self.quota.as_ref().is_some_and(|quota| quota.is_crowded())
    }
}

impl Drop for Unread {
    fn drop(&mut self) {
        self.set(0);
    }
}
