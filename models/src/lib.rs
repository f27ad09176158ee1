//! Runs how bowline waits in many orders of its threads: `cargo test`, here.
//!
//! The transitions are the library's own files, `net/sleep.rs`, `drive/turn.rs`, `client/hand.rs` and `ws/outbound.rs`; what surrounds them is
//! written again over the locks of `shuttle`, which chooses the thread that goes on at every step, and over a kernel made of plain data.
//! A lost wake shows as a deadlock, which `shuttle` reports with the schedule that led to it. Every promise is checked
//! twice: it holds, and a model with the fault it guards against is caught.
//!
//! `BOWLINE_MODEL_ROUNDS` sets how many schedules are tried for each test, `SHUTTLE_RANDOM_SEED` which.
#![cfg(test)]
#![forbid(unsafe_code)]

mod borrowed;
mod connection;
#[path = "../../src/client/hand.rs"]
mod hand;
mod kernel;
mod messages;
#[path = "../../src/ws/outbound.rs"]
#[allow(dead_code)] // What concerns positions of a stream, and another stream.
mod outbound;
#[path = "../../src/net/sleep.rs"]
mod sleep;
mod tests;
#[path = "../../src/drive/turn.rs"]
mod turn;
mod wait;

/// A mistake that a model makes on purpose, to see that it is found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Fault {
    /// None.
    #[default]
    None,
    /// Who dies tells nobody.
    DeathIsSilent,
    /// Only the reader hands over when it leaves, not somebody who was told to read and leaves instead.
    FollowersJustGo,
    /// A thread says that its message has gone, although another has found that it is lost.
    ForgetsWhatIsLost,
    /// What was borrowed is given back without a wake.
    GivesBackSilently,
    /// What a sender leaves unsent is told to nobody.
    HandsNothingOver,
    /// A receiver looks at the wire first, and leaves its waker afterwards.
    LeavesItsWakerLate,
    /// Whoever leaves wakes nobody.
    LeavesSilently,
    /// A receiver does not look once more for what is unsent when its waker is there.
    LooksOnce,
    /// The reader does not wait for room, though bytes are left.
    ReaderOnlyReads,
    /// An item is looked at first, and the waker registered afterwards.
    RegistersLate,
    /// The owner of a request stops to wait for it, and those behind it are not told.
    RestsSilently,
    /// A wake that comes while the thread runs is forgotten.
    WakesAreNotSticky,
    /// The thread says that it polls, but its wake handle is not among the descriptors.
    WakeHandleIsNotPolled,
    /// Whoever has written does not tell those who wait for that.
    WritesSilently,
    /// Several threads write at a time.
    WritesWithoutTheRole,
    /// Bytes the socket did not take are left without telling the reader.
    UnsentIsSilent,
}
