//! How a waiting thread and those who wake it agree: one small machine, kept under a lock by its user.
//!
//! Nothing here waits, locks or calls the system, so that a model can run the same transitions in every order.

/// What the waiting thread is doing.
///
/// | state     | `wake`              | `begin(how)`          | `end`             |
/// |-----------|---------------------|-----------------------|-------------------|
/// | `Awake`   | `Woken`, nothing    | `how`, may sleep      | `Awake`, no wake  |
/// | `Woken`   | `Woken`, nothing    | `Woken`, may not sleep| `Awake`, a wake   |
/// | `Parked`  | `Woken`, notify     | not called            | `Awake`, no wake  |
/// | `Polling` | `Woken`, signal     | not called            | `Awake`, no wake  |
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Sleep {
    /// It runs, or looks without blocking.
    #[default]
    Awake,
    /// It sleeps on the condition variable.
    Parked,
    /// It sleeps in poll(2), with the wake handle among the descriptors.
    Polling,
    /// It was woken, and has not taken note of it yet.
    Woken,
}

/// What a wake has to do after the lock is released.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Nudge {
    /// Nothing: the thread runs, or another wake is on its way.
    Nothing,
    /// Notify the condition variable.
    Notify,
    /// Make the wake handle readable.
    Signal,
}

impl Sleep {
    /// Notes a wake; says how to end the sleep.
    pub(crate) fn wake(&mut self) -> Nudge {
        let nudge = match self {
            Self::Awake | Self::Woken => Nudge::Nothing,
            Self::Parked => Nudge::Notify,
            Self::Polling => Nudge::Signal,
        };
        *self = Self::Woken;
        nudge
    }

    /// Says that the thread is about to sleep, `Parked` or `Polling`; returns false if it was woken and must not.
    pub(crate) fn begin(&mut self, how: Sleep) -> bool {
        let may = *self != Self::Woken;
        if may {
            *self = how;
        }
        may
    }

    /// Returns whether a wake has come since [`begin`](Self::begin).
    pub(crate) fn is_woken(self) -> bool {
        self == Self::Woken
    }

    /// Says that the thread runs again; returns whether it was woken, and forgets that.
    pub(crate) fn end(&mut self) -> bool {
        std::mem::take(self).is_woken()
    }
}

#[cfg(test)]
mod tests {
    use super::{Nudge::*, Sleep::*};

    #[test]
    fn every_state_meets_every_input() {
        for (state, nudge) in [(Awake, Nothing), (Woken, Nothing), (Parked, Notify), (Polling, Signal)] {
            let mut sleep = state;
            assert_eq!((sleep.wake(), sleep), (nudge, Woken), "{state:?}: wake");
        }
        for how in [Parked, Polling] {
            for (state, may, then) in [(Awake, true, how), (Woken, false, Woken)] {
                let mut sleep = state;
                assert_eq!((sleep.begin(how), sleep), (may, then), "{state:?}: begin {how:?}");
            }
        }
        for (state, woken) in [(Awake, false), (Woken, true), (Parked, false), (Polling, false)] {
            let mut sleep = state;
            assert_eq!((sleep.is_woken(), sleep.end(), sleep), (woken, woken, Awake), "{state:?}: end");
        }
    }
}
