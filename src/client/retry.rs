//! Which failed attempts are repeated, by the rules of RFC 9110, section 9.2.2, and RFC 9113, section 8.7.

use crate::drive::{CloseReason, Fault, HTTP_1_1_REQUIRED, Progress, REFUSED_STREAM};
use http::{HeaderMap, Method, Version};

/// Which failed attempts are repeated by the library.
///
/// Never more than one automatic repetition per request, never with a body that can be sent only once, and never beyond the
/// request's deadline.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Retry {
    /// Only what certainly did not reach the peer, or is idempotent; once.
    #[default]
    Safe,
    /// Nothing is sent twice.
    Never,
}

/// How an attempt is repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Again {
    /// On any connection.
    Anywhere,
    /// On a fresh connection: others of the same age are suspect.
    Fresh,
    /// After a pause: the peer is in trouble.
    Later,
    /// In HTTP/1.1, which is remembered for the origin.
    Http1,
}

/// Where an attempt failed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attempted<'a> {
    pub(crate) fault: &'a Fault,
    pub(crate) progress: Progress,
    /// The connection had served before.
    pub(crate) reused: bool,
    pub(crate) version: Version,
    pub(crate) idempotent: bool,
}

/// Returns whether the method, or an `Idempotency-Key`, says that sending twice does what sending once does.
pub(crate) fn is_idempotent(method: &Method, headers: &HeaderMap) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE | Method::PUT | Method::DELETE)
        || headers.contains_key("idempotency-key")
}

/// Decides about a failed attempt.
pub(crate) fn decide(a: Attempted<'_>) -> Option<Again> {
    let Attempted { fault, progress, reused, version, idempotent } = a;
    match fault {
        // These are said only where no answer had begun; a 101 to HTTP/2 is none.
        Fault::Refused(0) => Some(Again::Anywhere),
        Fault::Refused(_) => Some(Again::Later),
        Fault::Reset(REFUSED_STREAM) => Some(Again::Anywhere),
        Fault::Reset(HTTP_1_1_REQUIRED) => Some(Again::Http1),
        Fault::Over(_) if progress.answered => None,
        Fault::Over(cause) => {
            let by_peer =
                matches!(cause.reason, CloseReason::ByPeer | CloseReason::PingUnanswered | CloseReason::Error);
            match () {
                // Whatever ended it, unless that was the program.
                () if reused && progress.written == 0 && cause.reason != CloseReason::Shutdown => Some(Again::Fresh),
                () if cause.reason == CloseReason::PingUnanswered && idempotent => Some(Again::Fresh),
                // A fresh HTTP/1 connection that is closed at once is no accident of keep-alive.
                () if version != Version::HTTP_2 && !reused => None,
                () if by_peer && idempotent => Some(Again::Fresh),
                () => None,
            }
        }
        Fault::Misuse(_) | Fault::Reset(_) | Fault::Failed(..) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{drive::Cause, error::ErrorKind};

    fn over(reason: CloseReason) -> Fault {
        Fault::Over(Cause::new(ErrorKind::Closed, reason, "test"))
    }

    #[test]
    fn every_row_of_the_matrix() {
        use Again::*;
        use CloseReason::{ByPeer, PingUnanswered, Shutdown, Violation, WriteStalled};
        let (h1, h2) = (Version::HTTP_11, Version::HTTP_2);
        let reset = Fault::Reset;
        #[rustfmt::skip]
        let table: &[(&str, Fault, Version, bool, u64, bool, Option<Again>, Option<Again>)] = &[
            // case, fault, version, reused, written, answered, any method, idempotent
            ("nothing written, reused", over(ByPeer), h1, true, 0, false, Some(Fresh), Some(Fresh)),
            ("nothing written, fresh", over(ByPeer), h1, false, 0, false, None, None),
            ("written, reused", over(ByPeer), h1, true, 9, false, None, Some(Fresh)),
            ("written, fresh", over(ByPeer), h1, false, 9, false, None, None),
            ("a byte of the answer", over(ByPeer), h1, true, 9, true, None, None),
            ("h2 refused by GOAWAY", Fault::Refused(0), h2, true, 9, false, Some(Anywhere), Some(Anywhere)),
            ("h2 refused by a GOAWAY in trouble", Fault::Refused(2), h2, true, 9, false, Some(Later), Some(Later)),
            ("h2 refused by GOAWAY after a 101", Fault::Refused(0), h2, false, 9, true, Some(Anywhere), Some(Anywhere)),
            ("h2 REFUSED_STREAM", reset(7), h2, false, 9, false, Some(Anywhere), Some(Anywhere)),
            ("h2 REFUSED_STREAM after a 101", reset(7), h2, false, 9, true, Some(Anywhere), Some(Anywhere)),
            ("h2 refused after a 1xx", Fault::Failed(ErrorKind::Reset, "late".into()), h2, true, 9, true, None, None),
            ("h2 closed without an answer", over(ByPeer), h2, false, 9, false, None, Some(Fresh)),
            ("h2 closed after a head", over(ByPeer), h2, false, 9, true, None, None),
            ("h2 dead by PING", over(PingUnanswered), h2, true, 9, false, None, Some(Fresh)),
            ("h2 HTTP_1_1_REQUIRED", reset(13), h2, false, 9, false, Some(Http1), Some(Http1)),
            ("h2 any other code", reset(2), h2, true, 9, false, None, None),
            ("a stall", over(WriteStalled), h2, true, 9, false, None, None),
            ("a stall, nothing written", over(WriteStalled), h2, true, 0, false, Some(Fresh), Some(Fresh)),
            ("a violation", over(Violation), h2, true, 9, false, None, None),
            ("shut down by the program", over(Shutdown), h1, true, 0, false, None, None),
        ];
        for (case, fault, version, reused, written, answered, any, safe) in table {
            for (idempotent, expected) in [(false, any), (true, safe)] {
                let progress = Progress { written: *written, answered: *answered, owed: false };
                let attempted = Attempted { fault, progress, reused: *reused, version: *version, idempotent };
                assert_eq!(decide(attempted), *expected, "{case}, idempotent {idempotent}");
            }
        }
    }
}
