//! In whose hands a started request is: plain data, kept under a lock by its user.
//!
//! Its owner has it while it waits for it. In between it is in nobody's, and whoever waits for the place that it holds may borrow it,
//! move it as far as that goes without a wait, and give it back. What this promises: nobody moves a request while another does; whoever
//! found it in another's hands is among those that [`give_back`](Hand::give_back) returns, who are woken after the lock is released; and
//! an owner that leaves for good has it dropped by whoever has it. A model runs this file in many orders of threads.

/// Where a request is, and the request itself while it is in nobody's hands.
///
/// | state    | `take`           | `rest`  | `borrow`         | `give_back`      | `leave`         |
/// |----------|------------------|---------|------------------|------------------|-----------------|
/// | `Owner`  | none             | `Free`  | none             | not called       | `Left`          |
/// | `Free`   | `Owner`, it      | not called | `Lent`, it    | not called       | `Left`, it      |
/// | `Lent`   | none, is woken   | not called | none, is woken| `Free`, whom to wake | `Left`, whom to wake |
/// | `Left`   | none             | not called | none          | `Left`, it       | `Left`          |
#[derive(Debug)]
pub(crate) enum Hand<T, W> {
    /// In its owner's, who waits for it.
    Owner,
    /// In nobody's.
    Free(T),
    /// In those of somebody who gives it back at once, and who wanted it meanwhile.
    Lent(Vec<W>),
    /// The owner wants it no more.
    Left,
}

impl<T, W: PartialEq + Clone> Hand<T, W> {
    /// The owner begins to wait: takes it, or is woken when it can be taken.
    pub(crate) fn take(&mut self, me: &W) -> Option<T> {
        self.out(Hand::Owner, Some(me))
    }

    /// The owner waits no longer, for now.
    pub(crate) fn rest(&mut self, it: T) {
        *self = Hand::Free(it);
    }

    /// Somebody else moves it, or is woken when it can be moved; `None` where it is not theirs to move.
    pub(crate) fn borrow(&mut self, me: Option<&W>) -> Option<T> {
        self.out(Hand::Lent(Vec::new()), me)
    }

    /// Gives back what was borrowed; returns whom to wake, and what nobody wants any more.
    #[must_use = "they wait for ever if they are not woken"]
    pub(crate) fn give_back(&mut self, it: T) -> (Vec<W>, Option<T>) {
        match std::mem::replace(self, Hand::Left) {
            Hand::Lent(waiting) => {
                *self = Hand::Free(it);
                (waiting, None)
            }
            Hand::Owner | Hand::Free(_) | Hand::Left => (Vec::new(), Some(it)),
        }
    }

    /// The owner leaves for good; returns whom to wake, and what is to be dropped.
    #[must_use = "they wait for ever if they are not woken"]
    pub(crate) fn leave(&mut self) -> (Vec<W>, Option<T>) {
        match std::mem::replace(self, Hand::Left) {
            Hand::Free(it) => (Vec::new(), Some(it)),
            Hand::Lent(waiting) => (waiting, None),
            Hand::Owner | Hand::Left => (Vec::new(), None),
        }
    }

    fn out(&mut self, to: Self, me: Option<&W>) -> Option<T> {
        match std::mem::replace(self, Hand::Left) {
            Hand::Free(it) => {
                *self = to;
                Some(it)
            }
            Hand::Lent(mut waiting) => {
                if let Some(me) = me.filter(|me| !waiting.contains(me)) {
                    waiting.push(me.clone());
                }
                *self = Hand::Lent(waiting);
                None
            }
            other @ (Hand::Owner | Hand::Left) => {
                *self = other;
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Hand;

    /// What a state looks like, and who would be woken.
    fn show(hand: &Hand<&'static str, u8>) -> String {
        match hand {
            Hand::Owner => "owner".to_owned(),
            Hand::Free(it) => format!("free {it}"),
            Hand::Lent(waiting) => format!("lent {waiting:?}"),
            Hand::Left => "left".to_owned(),
        }
    }

    #[test]
    fn every_state_meets_every_input() {
        type States = [Hand<&'static str, u8>; 5];
        let states =
            || -> States { [Hand::Owner, Hand::Free("it"), Hand::Lent(vec![]), Hand::Lent(vec![1, 2]), Hand::Left] };
        #[rustfmt::skip]
        let table = [
            // take by 1                       borrow by 1                       leave: whom to wake, what
            ((None, "owner"),                  (None, "owner"),                  (vec![], None, "left")),
            ((Some("it"), "owner"),            (Some("it"), "lent []"),          (vec![], Some("it"), "left")),
            ((None, "lent [1]"),               (None, "lent [1]"),               (vec![], None, "left")),
            ((None, "lent [1, 2]"),            (None, "lent [1, 2]"),            (vec![1, 2], None, "left")),
            ((None, "left"),                   (None, "left"),                   (vec![], None, "left")),
        ];
        for (mut hand, (take, ..)) in states().into_iter().zip(table.clone()) {
            let name = show(&hand);
            assert_eq!((hand.take(&1), &*show(&hand)), take, "{name}: take");
        }
        for (mut hand, (_, borrow, _)) in states().into_iter().zip(table.clone()) {
            let name = show(&hand);
            assert_eq!((hand.borrow(Some(&1)), &*show(&hand)), borrow, "{name}: borrow");
        }
        for (mut hand, (.., leave)) in states().into_iter().zip(table) {
            let name = show(&hand);
            let (wake, it) = hand.leave();
            assert_eq!((wake, it, &*show(&hand)), leave, "{name}: leave");
        }
    }

    #[test]
    fn what_is_given_back_is_free_or_to_be_dropped() {
        let mut hand = Hand::Lent(vec![3_u8]);
        assert_eq!(hand.give_back("it"), (vec![3], None));
        assert_eq!(show(&hand), "free it");
        let mut hand = Hand::<_, u8>::Left;
        assert_eq!(hand.give_back("it"), (vec![], Some("it")));
        assert_eq!(show(&hand), "left");
        let mut hand = Hand::<_, u8>::Owner;
        hand.rest("it");
        assert_eq!(show(&hand), "free it");
        assert_eq!(hand.borrow(None), Some("it"));
        // Without a waker nobody is left to be woken.
        assert_eq!((hand.borrow(None), hand.leave()), (None, (vec![], None)));
    }
}
