//! What a caller's own code around every attempt sees and says.

use super::Response;
use crate::{
    drive::{Body, CloseReason, ConnectionInfo, ConnectionState},
    error::{Error, Result},
};
use http::{HeaderMap, Method, Request, StatusCode, Uri};
use std::{net::SocketAddr, time::Duration};

/// Code of the user's around every attempt.
///
/// Nothing here may wait: the hooks run on whichever thread moves the request, `start` included. They are called in the order
/// in which they were added, `after` in reverse.
///
/// # Examples
///
/// ```
/// use bowline::{Attempt, Body, Client, Hook, Result, http::Request};
///
/// struct Numbered;
/// impl Hook for Numbered {
///     fn before(&self, request: &mut Request<Body>, attempt: &Attempt) -> Result<()> {
///         request.headers_mut().insert("x-attempt", attempt.number.into());
///         Ok(())
///     }
/// }
///
/// # fn main() -> Result<()> {
/// let client = Client::builder().hook(Numbered).build()?;
/// # let _ = client;
/// # Ok(())
/// # }
/// ```
pub trait Hook: Send + Sync {
    /// Changes a request before an attempt: sign it, add an id. Runs again for retries and redirects.
    ///
    /// # Errors
    ///
    /// What it returns is the error of the request, which is then not sent.
    fn before(&self, request: &mut Request<Body>, attempt: &Attempt) -> Result<()> {
        let _ = (request, attempt);
        Ok(())
    }

    /// Sees the answer or the error of an attempt and decides. The first verdict that is not `Pass` counts.
    fn after(&self, attempt: &Attempt, outcome: Result<&Response, &Error>) -> Verdict {
        let _ = (attempt, outcome);
        Verdict::Pass
    }

    /// Sees what happens below: lookups, connections, PINGs, informational responses.
    fn trace(&self, step: &Trace) {
        let _ = step;
    }
}

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

/// What happened, for tracing. Secrets are never in it.
#[non_exhaustive]
#[derive(Clone, Debug)]
pub enum Trace {
    /// A name was looked up.
    Resolved {
        /// The name.
        host: String,
        /// What was found, in the order of trying.
        addresses: Vec<SocketAddr>,
        /// How long it took.
        took: Duration,
    },
    /// A connection was made.
    Connected {
        /// Its row of the connection table.
        connection: ConnectionInfo,
        /// How long it took, name lookup and TLS included.
        took: Duration,
    },
    /// The head of a request was sent.
    Sent {
        /// The request.
        request_id: u64,
        /// The connection.
        connection: u64,
    },
    /// A 1xx arrived.
    Informational {
        /// The request.
        request_id: u64,
        /// Its status.
        status: StatusCode,
        /// Its fields.
        headers: HeaderMap,
    },
    /// The head of the answer arrived.
    Answered {
        /// The request.
        request_id: u64,
        /// Its status.
        status: StatusCode,
        /// How long it took from the beginning of the attempt.
        took: Duration,
    },
    /// The body of the answer was read to its end.
    Ended {
        /// The request.
        request_id: u64,
        /// Bytes of the body as they came.
        bytes: u64,
        /// How long it took from the beginning of the request.
        took: Duration,
    },
    /// A PING was sent, whoever asked for it, or answered.
    Pinged {
        /// The connection.
        connection: u64,
        /// How long the answer took; `None`: it was sent just now.
        rtt: Option<Duration>,
    },
    /// A connection that had served before is used again.
    Reused {
        /// The request.
        request_id: u64,
        /// The connection.
        connection: u64,
    },
    /// An attempt is not the last: the request is sent again.
    Retrying {
        /// The request.
        request_id: u64,
        /// The attempt that was made; one for the first.
        attempt: u32,
        /// How long the next one waits.
        pause: Duration,
    },
    /// A connection does something else than before; its end is told by `Closed`.
    Changed {
        /// The connection.
        connection: u64,
        /// What it was doing.
        from: ConnectionState,
        /// What it is doing now.
        to: ConnectionState,
    },
    /// A connection ended.
    Closed {
        /// The connection.
        connection: u64,
        /// Why.
        reason: CloseReason,
    },
}
