//! What the connections of all peers have together: how many streams and how many handlers, besides one each, and how much that is unsent
//! or unread.
//!
//! A stream costs memory from its request to the end of its answer, a handler a thread, and a client that sends or reads nothing makes that
//! long. So there are so many, and a peer has at most as many as are left: half of all, where no other wants any. Whatever it does,
//! something is left for the next.
//!
//! What the wire does not take of a piece of an answer is kept, and what a client sends and nobody reads; so the more connections there are,
//! the smaller are the pieces, and the less is read ahead.

use crate::drive::Quota;
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

/// What so many bytes are for one of many connections: a frame of HTTP/2 at least, and what few connections have at most.
#[derive(Debug)]
struct Portion {
    of: usize,
    most: usize,
}

const LEAST: usize = 16 << 10;
const PIECE: Portion = Portion { of: 16 << 20, most: 64 << 10 };
const AHEAD: Portion = Portion { of: 32 << 20, most: 1 << 20 };

impl Portion {
    fn for_one_of(&self, connections: usize) -> usize {
        (self.of / connections.max(1)).clamp(LEAST, self.most)
    }
}

/// The streams of a server, or its handlers, besides one for each connection.
#[derive(Debug)]
pub(super) struct Budget {
    most: usize,
    taken: AtomicUsize,
}

impl Budget {
    pub(super) fn new(most: usize) -> Arc<Self> {
        Arc::new(Budget { most, taken: AtomicUsize::new(0) })
    }
}

/// What one peer has of it. Several connections take from it at the same time; each number is exact, and where two take what one could
/// have, neither may get it.
#[derive(Debug)]
pub(super) struct Share {
    budget: Arc<Budget>,
    /// Of all its connections.
    own: Arc<AtomicUsize>,
}

impl Share {
    pub(super) fn new(budget: Arc<Budget>, own: Arc<AtomicUsize>) -> Self {
        Share { budget, own }
    }

    /// Returns whether there is one to take, as far as can be said.
    pub(super) fn has_more(&self) -> bool {
        self.own.load(Relaxed) + 1 < self.budget.most.saturating_sub(self.budget.taken.load(Relaxed))
    }

    /// Takes one, if there is one for this peer.
    pub(super) fn take(&self) -> bool {
        let own = self.own.fetch_add(1, Relaxed) + 1;
        let left = self.budget.most.saturating_sub(self.budget.taken.fetch_add(1, Relaxed) + 1);
        let takes = own <= left;
        if !takes {
            self.give_back(1);
        }
        takes
    }

    /// Gives so many back.
    pub(super) fn give_back(&self, n: usize) {
        self.own.fetch_sub(n, Relaxed);
        self.budget.taken.fetch_sub(n, Relaxed);
    }
}

/// What the streams of one connection count for.
#[derive(Debug)]
pub(super) struct Streams {
    share: Share,
    /// How many connections there were when this one was made.
    connections: usize,
}

impl Streams {
    /// For one of so many connections.
    pub(super) fn new(share: Share, connections: usize) -> Self {
        Streams { share, connections }
    }
}

impl Quota for Streams {
    fn take(&self) -> bool {
        self.share.take()
    }

    fn piece(&self) -> usize {
        PIECE.for_one_of(self.connections)
    }

    fn ahead(&self) -> usize {
        AHEAD.for_one_of(self.connections)
    }

    fn give_back(&self, n: usize) {
        self.share.give_back(n);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes until no more is given.
    fn exhaust(share: &Share) -> usize {
        let mut taken = 0;
        while share.has_more() {
            assert!(share.take(), "there was one");
            taken += 1;
        }
        assert!(!share.take(), "there was none");
        taken
    }

    #[test]
    fn a_peer_has_at_most_what_is_left() {
        let budget = Budget::new(100);
        let [a, b, c] = [(); 3].map(|()| Share::new(budget.clone(), Arc::default()));
        assert_eq!([&a, &b, &c].map(exhaust), [50, 25, 12]);
        assert_eq!(budget.taken.load(Relaxed), 87);
        // What one gives back is there for whoever has least.
        a.give_back(40);
        assert_eq!([&a, &b, &c].map(exhaust), [21, 3, 8]);
        for (share, n) in [(&a, 31), (&b, 28), (&c, 20)] {
            share.give_back(n);
        }
        assert_eq!([&a.own, &b.own, &c.own, &budget.taken].map(|n: &AtomicUsize| n.load(Relaxed)), [0; 4]);
    }

    #[test]
    fn budgets_of_little() {
        for (most, has) in [(0, 0), (1, 0), (2, 1)] {
            assert_eq!(exhaust(&Share::new(Budget::new(most), Arc::default())), has, "of {most}");
        }
    }

    #[test]
    fn portions_are_smaller_where_connections_are_many() {
        for (connections, piece, ahead) in [
            (1, 64 << 10, 1 << 20),
            (32, 64 << 10, 1 << 20),
            (33, 64 << 10, (32 << 20) / 33),
            (256, 64 << 10, 128 << 10),
            (257, (16 << 20) / 257, (32 << 20) / 257),
            (1024, 16 << 10, 32 << 10),
            (2048, 16 << 10, 16 << 10),
            (10_000, 16 << 10, 16 << 10),
        ] {
            let streams = Streams::new(Share::new(Budget::new(0), Arc::default()), connections);
            assert_eq!((streams.piece(), streams.ahead()), (piece, ahead), "of {connections}");
        }
    }
}
