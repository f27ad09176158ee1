//! What the connections of all peers have together: how many streams, requests that have begun, and handlers, besides one each, and how much
//! that is unsent or unread.
//!
//! A stream costs memory from its request to the end of its answer, more once it has begun, and a handler a thread; a client that sends or
//! reads nothing makes that long. So there are so many, and a peer has at most as many as are left: half of all, where no other wants any. Whatever it does,
//! something is left for the next.
//!
//! What the wire does not take of a piece of an answer is kept; so the more connections there are, the smaller are the pieces.
//!
//! What a client sends and nobody reads is kept too. Once a peer has as much of that as is left, its connections receive little ahead of
//! those who read: HTTP/1 leaves the rest to the kernel, HTTP/2 opens its windows only as far as somebody reads or waits to. The
//! protocol has every connection of HTTP/2 begin with a window of 64 KiB, which cannot be taken back; what is beyond a second bound is thrown
//! away, and its stream reset.

use crate::drive::Quota;
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

/// What so many bytes are for one of many connections: at least, and what few connections have at most.
#[derive(Debug)]
struct Portion {
    of: usize,
    least: usize,
    most: usize,
}

const PIECE: Portion = Portion { of: 8 << 20, least: 8 << 10, most: 64 << 10 };
/// The window of a connection of HTTP/2: 65,535 at least, by the protocol.
const AHEAD: Portion = Portion { of: 16 << 20, least: 64 << 10, most: 1 << 20 };

/// How much may be unread before no more is received ahead, and before what comes nevertheless is thrown away: above what each connection
/// has in any case.
const CROWDED: usize = 8 << 20;
const FULL: usize = 24 << 20;

impl Portion {
    fn for_one_of(&self, connections: usize) -> usize {
        (self.of / connections.max(1)).clamp(self.least, self.most)
    }
}

/// The streams of a server, those of them that have begun, or its handlers, besides one for each connection.
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

/// What is unread, in bytes: of all connections, and of those of one peer.
#[derive(Debug)]
pub(super) struct Unread {
    all: Arc<AtomicUsize>,
    own: Arc<AtomicUsize>,
}

impl Unread {
    pub(super) fn new(all: Arc<AtomicUsize>, own: Arc<AtomicUsize>) -> Self {
        Unread { all, own }
    }

    fn count(&self, before: usize, now: usize) {
        for count in [&self.own, &self.all] {
            if now > before {
                count.fetch_add(now - before, Relaxed);
            } else {
                count.fetch_sub(before - now, Relaxed);
            }
        }
    }

    /// Whether the peer has as much as is left of so much, or more.
    fn reaches(&self, most: usize) -> bool {
        self.own.load(Relaxed) >= most.saturating_sub(self.all.load(Relaxed))
    }
}

/// How many requests may have begun and not be over, besides one for each connection; the others wait on their connections.
///
/// One that waits costs its head and little else; one that has begun may have an answer that nobody reads.
pub(super) const BEGUN: usize = 2048;

/// What one connection has a share of, with the others of its peer.
#[derive(Debug)]
pub(super) struct Shares {
    pub(super) handlers: Share,
    pub(super) begun: Share,
    pub(super) streams: Streams,
}

/// What the streams of one connection count for, and what is unread of them.
#[derive(Debug)]
pub(super) struct Streams {
    share: Share,
    unread: Unread,
    /// How many connections there were when this one was made.
    connections: usize,
}

impl Streams {
    /// For one of so many connections.
    pub(super) fn new(share: Share, unread: Unread, connections: usize) -> Self {
        Streams { share, unread, connections }
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

    fn count_unread(&self, before: usize, now: usize) {
        self.unread.count(before, now);
    }

    fn is_crowded(&self) -> bool {
        self.unread.reaches(CROWDED)
    }

    fn is_full(&self) -> bool {
        self.unread.reaches(FULL)
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
    fn whoever_has_as_much_unread_as_is_left_receives_no_more() {
        let all = Arc::<AtomicUsize>::default();
        let [a, b, c] = [(); 3].map(|()| Unread::new(all.clone(), Arc::default()));
        let crowded = || [&a, &b, &c].map(|unread| unread.reaches(CROWDED));
        let full = || [&a, &b, &c].map(|unread| unread.reaches(FULL));
        // One peer has half.
        a.count(0, CROWDED / 2 - 1);
        assert_eq!(crowded(), [false; 3], "one below");
        a.count(CROWDED / 2 - 1, CROWDED / 2);
        assert_eq!(crowded(), [true, false, false], "at the bound");
        a.count(CROWDED / 2, CROWDED / 2 + 1);
        assert_eq!((crowded(), full()), ([true, false, false], [false; 3]), "one above");
        // Another has half of what is left; where that is nothing, nobody receives ahead.
        b.count(0, CROWDED / 4 - 1);
        assert_eq!(crowded(), [true, false, false]);
        b.count(CROWDED / 4 - 1, CROWDED / 2 - 1);
        assert_eq!(crowded(), [true; 3]);
        b.count(CROWDED / 2 - 1, 0);
        // The second bound is higher.
        for (n, is) in [(FULL / 2 - 1, false), (FULL / 2, true), (FULL / 2 + 1, true)] {
            let before = a.own.load(Relaxed);
            a.count(before, n);
            assert_eq!(full(), [is, false, false], "{n}");
        }
        a.count(FULL / 2 + 1, 0);
        assert_eq!((crowded(), full()), ([false; 3], [false; 3]));
        assert_eq!(all.load(Relaxed), 0);
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
            (16, 64 << 10, 1 << 20),
            (17, 64 << 10, (16 << 20) / 17),
            (128, 64 << 10, 128 << 10),
            (129, (8 << 20) / 129, (16 << 20) / 129),
            (255, (8 << 20) / 255, (16 << 20) / 255),
            (256, 32 << 10, 64 << 10),
            (1023, (8 << 20) / 1023, 64 << 10),
            (1024, 8 << 10, 64 << 10),
            (10_000, 8 << 10, 64 << 10),
        ] {
            let unread = Unread::new(Arc::default(), Arc::default());
            let streams = Streams::new(Share::new(Budget::new(0), Arc::default()), unread, connections);
            assert_eq!((streams.piece(), streams.ahead()), (piece, ahead), "of {connections}");
        }
    }
}
