//! Why an attempt failed, and what its error says.

use super::call::{Exchange, processed};
use crate::{
    drive::{Carrier, Cause, CloseReason, Fault, Progress, Reused},
    error::{Error, ErrorKind, Phase, Processed},
};
use http::Version;
use std::{sync::Arc, time::Duration};

/// An attempt that failed: as a fault of the exchange, which may be repeated, or with an error of its own.
#[derive(Debug)]
pub(super) struct Failed {
    what: What,
    conn: Option<Arc<dyn Carrier>>,
    progress: Progress,
    /// Not all of the body had gone out.
    uploading: bool,
    reused: bool,
    version: Version,
}

#[derive(Debug)]
enum What {
    /// An error that is final by the built-in rules.
    Error(Error),
    /// No connection could be made.
    Dialling(Error),
    /// The answer came; the error is about it.
    Answered(Error),
    Fault(Fault),
}

impl Failed {
    fn of(what: What) -> Self {
        let (progress, version) = (Progress::default(), Version::HTTP_11);
        Failed { what, conn: None, progress, uploading: false, reused: false, version }
    }

    pub(super) fn error(e: Error) -> Self {
        Self::of(What::Error(e))
    }

    pub(super) fn dialling(e: Error) -> Self {
        Self::of(What::Dialling(e))
    }

    pub(super) fn answered(e: Error) -> Self {
        Self::of(What::Answered(e))
    }

    /// A fault before anything was sent.
    pub(super) fn unsent(fault: Fault, reused: bool, conn: Arc<dyn Carrier>) -> Self {
        let version = conn.version();
        let progress = Progress::default();
        Failed { what: What::Fault(fault), conn: Some(conn), progress, uploading: false, reused, version }
    }

    /// A fault of an exchange.
    pub(super) fn exchanging(fault: Fault, exchange: Box<Exchange>) -> Self {
        let progress = exchange.stream.progress();
        Self::on(What::Fault(fault), progress, &exchange)
    }

    /// An error of ours, or of the caller's body, that ended an exchange.
    pub(super) fn own(e: Error, progress: Progress, exchange: Box<Exchange>) -> Self {
        Self::on(What::Error(e), progress, &exchange)
    }

    fn on(what: What, progress: Progress, exchange: &Exchange) -> Self {
        let Exchange { stream, upload, reused, version, .. } = exchange;
        let uploading = upload.as_ref().is_some_and(|upload| !upload.is_done());
        let conn = Some(stream.carrier().clone());
        Failed { what, conn, progress, uploading, reused: *reused, version: *version }
    }

    /// What the rules of repetition have to know; `None` if they do not apply.
    pub(super) fn attempted(&self) -> Option<(&Fault, Progress, bool, Version)> {
        match &self.what {
            What::Fault(fault) => Some((fault, self.progress, self.reused, self.version)),
            What::Error(_) | What::Dialling(_) | What::Answered(_) => None,
        }
    }

    /// The error that the program sees; `before` is what is known of earlier attempts.
    pub(super) fn into_error(
        self,
        phase: Phase,
        elapsed: Duration,
        attempts: u32,
        idempotent: bool,
        before: Processed,
    ) -> Error {
        let Progress { written, answered, .. } = self.progress;
        let (e, phase, processed) = match self.what {
            What::Fault(fault) => {
                let processed = processed(&fault, written, answered);
                let stalled = matches!(&fault, Fault::Over(cause) if cause.reason == CloseReason::WriteStalled);
                let sending = !answered && (written == 0 || self.uploading);
                let phase = if sending || stalled { Phase::Send } else { Phase::FirstByte };
                (fault.to_error(), Some(phase), processed)
            }
            What::Dialling(e) => (e, None, Processed::No),
            What::Answered(e) => (e, Some(Phase::FirstByte), Processed::Yes),
            What::Error(e) => {
                let processed = self.progress.processed();
                let phase = (e.phase() == Phase::Build).then_some(phase);
                (e, phase, processed)
            }
        };
        // What an earlier attempt may have done, this one does not undo.
        let processed = match (before, processed) {
            (Processed::Yes, _) | (_, Processed::Yes) => Processed::Yes,
            (Processed::Maybe, _) | (_, Processed::Maybe) => Processed::Maybe,
            (Processed::No, Processed::No) => Processed::No,
        };
        let mut e =
            e.with_processed(processed).with_elapsed(elapsed).with_attempts(attempts).with_bytes_written(written);
        if let Some(phase) = phase {
            e = e.in_phase(phase);
        }
        let e = e.retryable_if(idempotent);
        match self.conn {
            Some(conn) => e.attach(conn.info()).attach(Reused(self.reused)),
            None => e,
        }
    }
}

/// The cause of a connection of the caller's that takes no requests any more.
pub(super) fn not_usable() -> Cause {
    Cause::new(ErrorKind::Closed, CloseReason::ByPeer, "the connection takes no more requests")
}
