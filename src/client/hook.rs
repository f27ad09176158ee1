//! What a caller's own code around every attempt sees and says.

use http::{Method, Uri};
use std::time::Duration;

/// One attempt at a request, as hooks see it.
#[non_exhaustive]
#[derive(Clone, Debug)]
pub struct Attempt {
    /// The same for all attempts at one request, redirects included.
    pub request_id: u64,
    /// One for the first attempt.
    pub number: u32,
    /// The method of this attempt.
    pub method: Method,
    /// The URL of this attempt.
    pub url: Uri,
    /// Whether the body can be sent again.
    pub replayable: bool,
    /// How long the request had been under way.
    pub elapsed: Duration,
}

/// What a hook decides after an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing to say: the built-in rules decide.
    Pass,
    /// Send it again after so long, if the body allows it and the deadline leaves time.
    RetryAfter(Duration),
    /// Deliver this outcome, without the built-in retry.
    Deliver,
}
