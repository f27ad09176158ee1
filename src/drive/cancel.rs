//! What ends a wait from outside: tokens and interrupts.

use crate::{
    error::{Error, ErrorKind, Result},
    net::{Cx, Waker},
    time::Deadline,
};
use std::{
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

/// What a callback wants: to go on, or to stop the operation (which then fails with `Cancelled`).
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// Go on.
    Go,
    /// Stop: the operation fails with [`ErrorKind::Cancelled`].
    Stop,
}

/// A token that ends waits from another thread, or from a signal handler's thread.
///
/// Given to a request with `cancel_on` before it starts; serves any number of requests. On HTTP/2 one stream is reset and
/// the connection lives; on HTTP/1 the connection is closed.
///
/// # Examples
///
/// ```
/// use bowline::Cancel;
///
/// let cancel = Cancel::new();
/// let elsewhere = cancel.clone();
/// std::thread::spawn(move || elsewhere.cancel()).join().unwrap();
/// assert!(cancel.is_cancelled());
/// ```
#[derive(Clone, Default)]
pub struct Cancel {
    shared: Arc<Token>,
}

#[derive(Default)]
struct Token {
    cancelled: AtomicBool,
    /// One waker for each thread that ever waited; the same thread is not added twice.
    wakers: Mutex<Vec<Waker>>,
}

impl Cancel {
    /// Returns a token nobody has cancelled.
    pub fn new() -> Self {
        Self::default()
    }

    /// Ends every wait this token was given to, now and later. Never blocks.
    ///
    /// # Examples
    ///
    /// ```
    /// let cancel = bowline::Cancel::new();
    /// cancel.cancel();
    /// assert!(cancel.is_cancelled());
    /// ```
    pub fn cancel(&self) {
        self.shared.cancelled.store(true, Ordering::SeqCst);
        let wakers = std::mem::take(&mut *self.shared.wakers.lock().unwrap_or_else(PoisonError::into_inner));
        wakers.iter().for_each(Waker::wake);
    }

    /// Returns whether `cancel` was called.
    pub fn is_cancelled(&self) -> bool {
        self.shared.cancelled.load(Ordering::SeqCst)
    }

    /// Leaves the waker of a thread that is about to wait; returns whether the token is cancelled already.
    pub(crate) fn register(&self, waker: &Waker) -> bool {
        let mut wakers = self.shared.wakers.lock().unwrap_or_else(PoisonError::into_inner);
        if !wakers.iter().any(|w| w.same(waker)) {
            // Threads that ended leave a waker behind, which nobody else holds any more.
            wakers.retain(Waker::is_shared);
            wakers.push(waker.clone());
        }
        drop(wakers);
        self.is_cancelled()
    }
}

impl fmt::Debug for Cancel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cancel").field("cancelled", &self.is_cancelled()).finish()
    }
}

/// A check that the caller's program wants made while it waits.
#[derive(Clone)]
pub(crate) struct Interrupt {
    pub(crate) every: Duration,
    pub(crate) check: Arc<dyn Fn() -> Flow + Send + Sync>,
}

impl fmt::Debug for Interrupt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Interrupt").field("every", &self.every).finish_non_exhaustive()
    }
}

/// What can end the waits of one request, its body included, besides its own time limits.
#[derive(Clone, Debug, Default)]
pub(crate) struct Limits {
    /// Most requests have none of it.
    ends: Option<Arc<Ends>>,
    /// When `interrupt` is to be asked next.
    next_check: Option<Deadline>,
}

#[derive(Debug)]
struct Ends {
    /// Any of these ends it.
    cancels: Vec<Cancel>,
    interrupt: Option<Interrupt>,
}

impl Limits {
    /// Returns the limits of a request.
    pub(crate) fn new(cancels: Vec<Cancel>, interrupt: Option<Interrupt>) -> Self {
        let ends = (!cancels.is_empty() || interrupt.is_some()).then(|| Arc::new(Ends { cancels, interrupt }));
        Limits { ends, next_check: None }
    }

    /// Returns whether nothing can end its waits but its own time limits.
    pub(crate) fn is_empty(&self) -> bool {
        self.ends.is_none()
    }

    /// Looks whether it has to end, without leaving word anywhere: for what does not wait.
    ///
    /// # Errors
    ///
    /// `Cancelled`, if a token was cancelled.
    pub(crate) fn check_at_once(&self) -> Result<()> {
        let over = self.ends.as_ref().is_some_and(|ends| ends.cancels.iter().any(Cancel::is_cancelled));
        if over { Err(cancelled()) } else { Ok(()) }
    }

    /// Looks whether a token was cancelled, and leaves word with all of them: for a wait of somebody else's, in which nothing of the
    /// caller's is called.
    ///
    /// # Errors
    ///
    /// `Cancelled`, if one was.
    pub(crate) fn check_tokens(&self, waker: &Waker) -> Result<()> {
        for cancel in self.ends.iter().flat_map(|ends| &ends.cancels) {
            if cancel.register(waker) {
                return Err(cancelled());
            }
        }
        Ok(())
    }

    /// Looks whether the wait has to end, and sees to it that a later wish for that wakes the thread.
    ///
    /// # Errors
    ///
    /// `Cancelled`, if a token was cancelled or the check said `Stop`.
    pub(crate) fn check(&mut self, cx: &mut Cx<'_>) -> Result<()> {
        if self.ends.is_none() {
            return Ok(());
        }
        self.check_tokens(cx.waker)?;
        let Some(interrupt) = self.ends.as_ref().and_then(|ends| ends.interrupt.as_ref()) else { return Ok(()) };
        let next = Deadline::from(cx.now.checked_add(interrupt.every));
        let due = self.next_check.get_or_insert(next);
        if due.has_passed(cx.now) {
            cx.before_foreign_code();
            if (interrupt.check)() == Flow::Stop {
                return Err(cancelled());
            }
            *due = next;
        }
        cx.wait_until(*due);
        Ok(())
    }
}

fn cancelled() -> Error {
    Error::with(ErrorKind::Cancelled, "cancelled by the program")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drive::block_on;
    use std::{task::Poll, time::Instant};

    fn wait_with(limits: &mut Limits) -> Result<()> {
        block_on(Deadline::NEVER, |cx| match limits.check(cx) {
            Ok(()) => Poll::Pending,
            Err(e) => Poll::Ready(Err(e)),
        })
        .expect("there is no deadline")
    }

    #[test]
    fn a_token_ends_waits_now_and_later() {
        let cancel = Cancel::new();
        let mut limits = Limits::new(vec![cancel.clone()], None);
        let waiting = std::thread::spawn(move || {
            let first = wait_with(&mut limits).unwrap_err().kind();
            (first, wait_with(&mut limits).unwrap_err().kind())
        });
        cancel.cancel();
        assert_eq!(waiting.join().unwrap(), (ErrorKind::Cancelled, ErrorKind::Cancelled));
    }

    #[test]
    fn the_check_is_made_on_the_waiting_thread() {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let check = {
            let asked = asked.clone();
            move || {
                let mut asked = asked.lock().unwrap();
                asked.push((std::thread::current().id(), Instant::now()));
                if asked.len() == 3 { Flow::Stop } else { Flow::Go }
            }
        };
        let every = Duration::from_millis(20);
        let mut limits = Limits::new(Vec::new(), Some(Interrupt { every, check: Arc::new(check) }));
        let began = Instant::now();
        assert_eq!(wait_with(&mut limits).unwrap_err().kind(), ErrorKind::Cancelled);
        let asked = asked.lock().unwrap();
        assert!(asked.iter().all(|(id, _)| *id == std::thread::current().id()));
        assert!(asked[2].1 - began >= every * 3, "asked early");
    }
}
