//! The line in which work waits for a thread: in turn by peer, of each peer by connection, of each connection in order.
//!
//! So whoever asks for much waits for its own requests, and not others for them. Where no more may wait, whoever has the most
//! loses its newest request to those that have less.

use super::peers::Peer;
use std::collections::{HashMap, VecDeque};

/// Up to how many wait in the order in which they came, where nobody else waits: so few are done before it is worth sorting them.
const SHORT: usize = 16;

/// Whose work it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Owner {
    pub(super) peer: Peer,
    pub(super) connection: u64,
}

/// What waits.
#[derive(Debug)]
pub(super) struct Line<T> {
    /// What comes before the others.
    front: VecDeque<Entry<T>>,
    /// Up to how many are put there because nobody else waits.
    short: usize,
    /// Whoever has something behind that, and whose turn is next.
    shares: HashMap<Peer, Share<T>>,
    turns: VecDeque<Peer>,
    len: usize,
    /// How many of these can be refused, and how many may.
    new: usize,
    most: usize,
}

/// What one peer has in line; never nothing.
#[derive(Debug)]
struct Share<T> {
    lanes: HashMap<u64, Lane<T>>,
    turns: VecDeque<u64>,
    new: usize,
}

/// What one connection has in line; never nothing.
#[derive(Debug)]
struct Lane<T> {
    work: VecDeque<Entry<T>>,
    new: usize,
}

#[derive(Debug)]
struct Entry<T> {
    work: T,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// It can be refused.
    New,
    /// The rest of what was begun.
    Rest,
}

impl<T> Line<T> {
    /// At most `most` pieces of new work wait.
    pub(super) fn new(most: usize) -> Self {
        let short = SHORT.min(most / 4);
        Line { front: VecDeque::new(), short, shares: HashMap::new(), turns: VecDeque::new(), len: 0, new: 0, most }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Takes in new work; returns what is refused if that is too much, not counting `besides` pieces that need not wait: this, or the newest
    /// of somebody who has more.
    pub(super) fn push(&mut self, owner: Owner, work: T, besides: usize) -> Option<T> {
        let refused = if self.new < self.most.saturating_add(besides) {
            None
        } else {
            match self.richer(owner) {
                Some(richer) => self.withdraw(richer),
                None => return Some(work),
            }
        };
        self.enter(owner, Entry { work, kind: Kind::New });
        refused
    }

    /// Takes in the rest of what was begun.
    pub(super) fn push_rest(&mut self, owner: Owner, work: T) {
        self.enter(owner, Entry { work, kind: Kind::Rest });
    }

    /// Takes in what comes before everything else.
    pub(super) fn push_first(&mut self, work: T) {
        self.len += 1;
        self.front.push_front(Entry { work, kind: Kind::Rest });
    }

    /// Takes out what is next.
    pub(super) fn pop(&mut self) -> Option<T> {
        let Entry { work, kind } = match self.front.pop_front() {
            Some(entry) => entry,
            None => self.pop_in_turn()?,
        };
        self.len -= 1;
        self.new -= usize::from(kind == Kind::New);
        Some(work)
    }

    /// Takes out everything.
    pub(super) fn drain(&mut self) -> Vec<T> {
        std::iter::from_fn(|| self.pop()).collect()
    }

    fn enter(&mut self, owner: Owner, entry: Entry<T>) {
        let new = usize::from(entry.kind == Kind::New);
        self.len += 1;
        self.new += new;
        if self.shares.is_empty() && self.front.len() < self.short {
            return self.front.push_back(entry);
        }
        let share = self.shares.entry(owner.peer).or_insert_with(|| {
            self.turns.push_back(owner.peer);
            Share { lanes: HashMap::new(), turns: VecDeque::new(), new: 0 }
        });
        let lane = share.lanes.entry(owner.connection).or_insert_with(|| {
            share.turns.push_back(owner.connection);
            Lane { work: VecDeque::new(), new: 0 }
        });
        share.new += new;
        lane.new += new;
        lane.work.push_back(entry);
    }

    fn pop_in_turn(&mut self) -> Option<Entry<T>> {
        let peer = self.turns.pop_front()?;
        let share = self.shares.get_mut(&peer).expect("a peer has its turn while it has something in line");
        let connection = share.turns.pop_front().expect("so has one of its connections");
        let lane = share.lanes.get_mut(&connection).expect("which has a turn for the same reason");
        let entry = lane.work.pop_front().expect("it is there");
        let new = usize::from(entry.kind == Kind::New);
        lane.new -= new;
        share.new -= new;
        if lane.work.is_empty() {
            share.lanes.remove(&connection);
        } else {
            share.turns.push_back(connection);
        }
        if share.turns.is_empty() {
            self.shares.remove(&peer);
        } else {
            self.turns.push_back(peer);
        }
        Some(entry)
    }

    /// Returns who gives up a place for `newcomer`: of the peer with the most the connection with the most, if that peer has more than
    /// the newcomer would have; else the same among the connections of the newcomer.
    fn richer(&self, newcomer: Owner) -> Option<Owner> {
        let (heaviest, share) = self.shares.iter().max_by_key(|(peer, share)| (share.new, **peer))?;
        let own = self.shares.get(&newcomer.peer);
        if share.new > own.map_or(0, |own| own.new) + 1 {
            let (connection, _) = share.heaviest()?;
            return Some(Owner { peer: *heaviest, connection });
        }
        let own = own?;
        let (connection, most) = own.heaviest()?;
        let has = own.lanes.get(&newcomer.connection).map_or(0, |lane| lane.new);
        (most > has + 1).then_some(Owner { peer: newcomer.peer, connection })
    }

    /// Takes out the newest that this one has.
    fn withdraw(&mut self, owner: Owner) -> Option<T> {
        let share = self.shares.get_mut(&owner.peer)?;
        let lane = share.lanes.get_mut(&owner.connection)?;
        let at = lane.work.iter().rposition(|entry| entry.kind == Kind::New)?;
        let entry = lane.work.remove(at)?;
        lane.new -= 1;
        share.new -= 1;
        self.new -= 1;
        self.len -= 1;
        if lane.work.is_empty() {
            share.lanes.remove(&owner.connection);
            share.turns.retain(|connection| *connection != owner.connection);
        }
        if share.turns.is_empty() {
            self.shares.remove(&owner.peer);
            self.turns.retain(|peer| *peer != owner.peer);
        }
        Some(entry.work)
    }
}

impl<T> Share<T> {
    /// Returns the connection that has the most, of several the newest, and how much that is.
    fn heaviest(&self) -> Option<(u64, usize)> {
        self.lanes.iter().map(|(connection, lane)| (*connection, lane.new)).max_by_key(|(id, new)| (*new, *id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Peer = Peer::V6(1);
    const B: Peer = Peer::V6(2);

    fn owner(peer: Peer, connection: u64) -> Owner {
        Owner { peer, connection }
    }

    #[test]
    fn few_wait_in_the_order_in_which_they_came() {
        let mut line = Line::new(100);
        for n in 0..SHORT {
            assert_eq!(line.push(owner(A, n as u64 % 2), n, 0), None);
        }
        assert_eq!(line.drain(), (0..SHORT).collect::<Vec<_>>());
        assert!(line.is_empty());
    }

    #[test]
    fn many_wait_in_turn() {
        // So few may wait that they are sorted from the first on.
        let mut line = Line::new(3);
        line.most = 100;
        for (peer, connection, work) in [
            (A, 1, "a1 first"),
            (A, 1, "a1 second"),
            (A, 1, "a1 third"),
            (A, 2, "a2 first"),
            (A, 2, "a2 second"),
            (B, 3, "b first"),
            (B, 3, "b second"),
        ] {
            assert_eq!(line.push(owner(peer, connection), work, 0), None);
        }
        line.push_first("before all");
        line.push_rest(owner(A, 2), "a2 third");
        assert_eq!(line.len(), 9);
        let all = [
            "before all",
            "a1 first",
            "b first",
            "a2 first",
            "b second",
            "a1 second",
            "a2 second",
            "a1 third",
            "a2 third",
        ];
        assert_eq!(line.drain(), all);
        assert!(line.is_empty() && line.shares.is_empty() && line.turns.is_empty());
        assert_eq!((line.len, line.new), (0, 0));
    }

    /// What waits, of whom; who comes; what is refused.
    #[test]
    fn who_has_the_most_loses_its_newest() {
        #[rustfmt::skip]
        let table: [(&str, &[(Peer, u64)], (Peer, u64), Option<usize>); 9] = [
            ("there is room", &[(A, 1), (A, 1)], (A, 1), None),
            ("its own", &[(A, 1), (A, 1), (A, 1)], (A, 1), Some(3)),
            ("of another connection", &[(A, 1), (A, 1), (A, 1)], (A, 2), Some(2)),
            ("of one that has one more", &[(A, 1), (A, 2), (A, 1)], (A, 2), Some(3)),
            ("all have one", &[(A, 1), (A, 2), (A, 3)], (A, 4), Some(3)),
            ("all have one, and are another's", &[(A, 1), (A, 2), (A, 3)], (B, 4), Some(2)),
            ("a peer with one more", &[(A, 1), (A, 2), (B, 3)], (B, 4), Some(3)),
            ("a peer with as much", &[(A, 1), (A, 1), (B, 2)], (B, 2), Some(3)),
            ("the heaviest connection of the other", &[(A, 1), (A, 1), (A, 2)], (B, 3), Some(1)),
        ];
        for (name, waits, (peer, connection), refused) in table {
            let mut line = Line::new(3);
            for (n, (peer, connection)) in waits.iter().enumerate() {
                assert_eq!(line.push(owner(*peer, *connection), n, 0), None, "{name}");
            }
            assert_eq!(line.push(owner(peer, connection), 3, 0), refused, "{name}");
            assert_eq!(line.len(), 3, "{name}");
            let mut left = line.drain();
            left.sort_unstable();
            let expected: Vec<_> = (0..4).filter(|n| Some(*n) != refused && (*n < waits.len() || *n == 3)).collect();
            assert_eq!(left, expected, "{name}");
            assert!(line.shares.is_empty() && line.turns.is_empty(), "{name}");
        }
    }

    #[test]
    fn what_was_begun_is_never_refused_and_takes_no_place() {
        let mut line = Line::new(2);
        for n in 0..5 {
            line.push_rest(owner(A, 1), n);
        }
        assert_eq!((line.push(owner(A, 1), 5, 0), line.push(owner(A, 1), 6, 0)), (None, None));
        line.push_rest(owner(A, 1), 7);
        assert_eq!(line.push(owner(B, 2), 8, 0), Some(6));
        assert_eq!(line.push(owner(B, 2), 9, 0), Some(9), "one each");
        assert_eq!(line.drain(), [0, 8, 1, 2, 3, 4, 5, 7]);
    }

    /// However much one connection asks for, whoever comes with one request gets in, until everybody has only one.
    #[test]
    fn everybody_gets_in_with_one() {
        let mut line = Line::new(64);
        for n in 0..64 {
            assert_eq!(line.push(owner(A, 0), n, 0), None);
        }
        // The first of them wait in the order in which they came, whoever else is there.
        for n in 1..=47 {
            assert!(line.push(owner(A, n), 100 + n, 0).is_some_and(|refused| refused < 64), "{n}");
        }
        assert_eq!(line.push(owner(A, 48), 148, 0), Some(148));
        assert_eq!(line.len(), 64);
    }
}
