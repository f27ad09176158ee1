//! What the connections of a server have together: how many exchanges, and how much that is unsent or unread.

use std::{fmt::Debug, sync::Arc};

/// What a connection asks before it takes an exchange besides its only one: each has that in any case.
pub(crate) trait Quota: Debug + Send + Sync {
    /// Takes one, if there is one for whoever asks.
    fn take(&self) -> bool;
    /// How much of an answer is framed at a time, and may be unsent: a client that takes nothing has us keep a part of that.
    fn piece(&self) -> usize;
    /// How much of what a peer sends is received although nobody takes it.
    fn ahead(&self) -> usize;
    /// Gives so many back.
    fn give_back(&self, n: usize);
}

/// What one connection has of it. Dropping it gives everything back.
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
