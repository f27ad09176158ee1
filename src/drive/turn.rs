//! Who reads the socket now: of the threads that wait on one connection, one reads for all.
//!
//! Plain data, kept under the lock of the connection; it knows no protocol, and neither waits nor wakes. What it promises:
//! as long as somebody waits, somebody reads or has been told to. So whoever leaves, for whatever reason, wakes the one
//! that [`leave`](Turn::leave) returns, after the lock is released. A model runs this file in every order of threads.

/// What a thread that waits does meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Post {
    /// It reads, for itself and for the others, and writes what is left over.
    Lead,
    /// It waits to be woken, because its own wait is over or because nobody reads.
    Follow,
}

/// The threads that wait on one connection, each known by its waker.
///
/// # Invariants
///
/// Nobody is in it twice. Somebody who is parked while there is no reader has been woken, or will be by the thread that
/// holds what [`leave`](Turn::leave) returned.
#[derive(Debug)]
pub(crate) struct Turn<W> {
    reader: Option<W>,
    /// Who waits for somebody else to read; the last came last.
    parked: Vec<W>,
}

impl<W> Default for Turn<W> {
    fn default() -> Self {
        Turn { reader: None, parked: Vec::new() }
    }
}

impl<W: Clone + PartialEq> Turn<W> {
    /// Takes part: as the reader if nobody else is, else parked. Asked before every wait, since it may change.
    pub(crate) fn enlist(&mut self, me: &W) -> Post {
        match &self.reader {
            Some(reader) if reader == me => Post::Lead,
            Some(_) => {
                if !self.parked.contains(me) {
                    self.parked.push(me.clone());
                }
                Post::Follow
            }
            None => {
                self.unpark(me);
                self.reader = Some(me.clone());
                Post::Lead
            }
        }
    }

    /// Takes no part any more; returns whom to wake, so that somebody reads.
    ///
    /// Also a thread that was parked may have to wake another: it can have been told to read, and leave instead because
    /// its own wait is over. The one that came last is chosen: its memory is the warmest, and the one to wake stays the
    /// same until it has come.
    #[must_use = "nobody reads until it is woken"]
    pub(crate) fn leave(&mut self, me: &W) -> Option<W> {
        match &self.reader {
            Some(reader) if reader == me => self.reader = None,
            _ => self.unpark(me),
        }
        if self.reader.is_none() { self.parked.last().cloned() } else { None }
    }

    /// Returns who reads now; it is woken when it has to do something sooner or something else.
    pub(crate) fn reader(&self) -> Option<&W> {
        self.reader.as_ref()
    }

    /// Returns whether this thread reads now.
    pub(crate) fn is_reader(&self, me: &W) -> bool {
        self.reader.as_ref() == Some(me)
    }

    /// Returns whether nobody takes part.
    pub(crate) fn is_empty(&self) -> bool {
        self.reader.is_none() && self.parked.is_empty()
    }

    /// Takes out everybody, the reader included: the connection is over, and each of them finds that out.
    #[must_use = "they wait for ever if they are not woken"]
    pub(crate) fn drain(&mut self) -> Vec<W> {
        let mut all = std::mem::take(&mut self.parked);
        all.extend(self.reader.take());
        all
    }

    fn unpark(&mut self, me: &W) {
        if let Some(at) = self.parked.iter().rposition(|parked| parked == me) {
            self.parked.remove(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Post::*, Turn};

    /// The states as seen by thread 1; the others are 2 and 3.
    fn states() -> [(&'static str, Turn<u8>); 10] {
        let turn = |reader, parked: &[u8]| Turn { reader, parked: parked.to_vec() };
        [
            ("empty", turn(None, &[])),
            ("I read", turn(Some(1), &[])),
            ("I read, others follow", turn(Some(1), &[2, 3])),
            ("another reads", turn(Some(2), &[])),
            ("another reads, I follow", turn(Some(2), &[1])),
            ("another reads, I follow first", turn(Some(2), &[1, 3])),
            ("another reads, I follow last", turn(Some(2), &[3, 1])),
            ("nobody reads, I was told", turn(None, &[2, 1])),
            ("nobody reads, another was told", turn(None, &[1, 2])),
            ("nobody reads, others follow", turn(None, &[2, 3])),
        ]
    }

    #[test]
    fn every_state_meets_every_input() {
        #[rustfmt::skip]
        let table = [
            // enlist: post, reader, parked       leave: whom to wake, reader, parked
            (Lead,   Some(1), vec![],        None,    None,    vec![]),
            (Lead,   Some(1), vec![],        None,    None,    vec![]),
            (Lead,   Some(1), vec![2, 3],    Some(3), None,    vec![2, 3]),
            (Follow, Some(2), vec![1],       None,    Some(2), vec![]),
            (Follow, Some(2), vec![1],       None,    Some(2), vec![]),
            (Follow, Some(2), vec![1, 3],    None,    Some(2), vec![3]),
            (Follow, Some(2), vec![3, 1],    None,    Some(2), vec![3]),
            (Lead,   Some(1), vec![2],       Some(2), None,    vec![2]),
            (Lead,   Some(1), vec![2],       Some(2), None,    vec![2]),
            (Lead,   Some(1), vec![2, 3],    Some(3), None,    vec![2, 3]),
        ];
        for ((name, mut turn), (post, reader, parked, ..)) in states().into_iter().zip(table.clone()) {
            assert_eq!((turn.enlist(&1), turn.reader, turn.parked), (post, reader, parked), "{name}: enlist");
        }
        for ((name, mut turn), (_, _, _, wake, reader, parked)) in states().into_iter().zip(table) {
            assert_eq!((turn.leave(&1), turn.reader, turn.parked), (wake, reader, parked), "{name}: leave");
        }
    }

    #[test]
    fn enlisting_and_leaving_again_change_nothing() {
        for (name, mut turn) in states() {
            let post = turn.enlist(&1);
            let then = (turn.reader, turn.parked.clone());
            assert_eq!((turn.enlist(&1), turn.reader, turn.parked.clone()), (post, then.0, then.1), "{name}: enlist");
            let wake = turn.leave(&1);
            let then = (turn.reader, turn.parked.clone());
            assert_eq!((turn.leave(&1), turn.reader, turn.parked), (wake, then.0, then.1), "{name}: leave");
        }
    }

    #[test]
    fn the_getters_tell_what_is() {
        for (name, mut turn) in states() {
            assert_eq!(turn.reader(), turn.reader.as_ref(), "{name}");
            assert_eq!(turn.is_reader(&1), turn.reader == Some(1), "{name}");
            let mut all = turn.parked.clone();
            all.extend(turn.reader);
            assert_eq!(turn.is_empty(), all.is_empty(), "{name}");
            assert_eq!(turn.drain(), all, "{name}");
            assert!(turn.is_empty(), "{name}");
        }
    }

    #[test]
    fn whoever_came_last_reads_next() {
        let mut turn = Turn::default();
        assert_eq!([1, 2, 3, 4].map(|me| turn.enlist(&me)), [Lead, Follow, Follow, Follow]);
        assert_eq!(turn.leave(&1), Some(4));
        // The one that was told has not come yet: it stays the one to wake.
        assert_eq!(turn.leave(&2), Some(4));
        assert_eq!((turn.enlist(&4), turn.leave(&4)), (Lead, Some(3)));
        // The one that was told leaves, and nobody is left.
        assert_eq!(turn.leave(&3), None);
        assert!(turn.is_empty());
    }
}
