//! Requests on their way, waited for one by one or together.

use super::{call::Call, response::Response, resting::Resting};
use crate::{
    drive::{block_on, step_once},
    error::{Error, ErrorKind, Result},
    net::Cx,
    recv::Recv,
    time::Deadline,
};
use std::{fmt, sync::Arc, task::Poll, time::Duration};

/// A request on its way. Dropping it cancels it.
///
/// Its answer arrives while any thread waits on its connection, or over HTTP/1 for its connection. What its body has left when the peer, or
/// the socket, takes no more at first goes out while it is waited for itself, alone or in a [`Batch`]; so do repetitions and redirects, and
/// so do hooks hear of it. Over HTTP/1 the body goes out, too, while others wait for the connection, unless it is read from a reader that
/// another thread has brought.
///
/// An answer over HTTP/1 that was read for somebody else is kept here until it is asked for: up to
/// [`stream_window`](super::ClientBuilder::stream_window) bytes of body, and all those of a client together up to
/// [`max_unread`](super::ClientBuilder::max_unread). A longer one stays on its connection.
///
/// # Examples
///
/// ```no_run
/// use std::time::Duration;
///
/// # fn main() -> bowline::Result<()> {
/// let mut pending = bowline::get("https://example.org").start();
/// let response = loop {
///     if let Some(response) = pending.wait_timeout(Duration::from_millis(100))? {
///         break response;
///     }
///     println!("still waiting");
/// };
/// # let _ = response;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Pending {
    state: State,
}

#[derive(Debug)]
enum State {
    /// On its way: waited for, if it is here; else `resting` has it.
    Moving { call: Option<Box<Call>>, resting: Arc<Resting> },
    /// Over before anybody waited for it.
    Over(Box<Result<Response>>),
    /// Its answer was given.
    Given,
}

impl Pending {
    pub(super) fn new(mut call: Call) -> Self {
        call.rest();
        let resting = Resting::new(&call);
        resting.rest(Box::new(call));
        Pending { state: State::Moving { call: None, resting } }
    }

    pub(super) fn over(result: Result<Response>) -> Self {
        Pending { state: State::Over(Box::new(result)) }
    }

    pub(super) fn poll(&mut self, cx: &mut Cx<'_>) -> Poll<Result<Response>> {
        self.take_up(cx);
        match std::mem::replace(&mut self.state, State::Given) {
            State::Moving { call: None, resting } => {
                // Another thread moves it just now, and wakes this one after that.
                self.state = State::Moving { call: None, resting };
                Poll::Pending
            }
            State::Moving { call: Some(mut call), resting } => match call.poll(cx) {
                Poll::Pending => {
                    self.state = State::Moving { call: Some(call), resting };
                    Poll::Pending
                }
                ready => ready,
            },
            State::Over(result) => Poll::Ready(*result),
            State::Given => {
                Poll::Ready(Err(Error::with(ErrorKind::Misuse, "the answer of this request was given already")))
            }
        }
    }

    /// Takes it into these hands, if no other thread has it.
    fn take_up(&mut self, cx: &Cx<'_>) -> Option<&mut Call> {
        let State::Moving { call, resting } = &mut self.state else { return None };
        if call.is_none() {
            *call = resting.take(cx.waker);
        }
        call.as_deref_mut()
    }

    /// Nobody waits for it now.
    fn rest(&mut self) {
        if let State::Moving { call, resting } = &mut self.state {
            if let Some(mut call) = call.take() {
                call.rest();
                resting.rest(call);
            }
        }
    }

    /// Waits for the head of the answer. What ends the wait is what ends [`send`](super::RequestBuilder::send).
    ///
    /// # Errors
    ///
    /// As [`send`](super::RequestBuilder::send).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # fn main() -> bowline::Result<()> {
    /// let pending = bowline::get("https://example.org").start();
    /// // Something else meanwhile, and then:
    /// println!("{}", pending.wait()?.text()?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn wait(mut self) -> Result<Response> {
        let answer = block_on(Deadline::NEVER, |cx| {
            if let Some(call) = self.take_up(cx) {
                call.waits_alone(cx.now);
            }
            self.poll(cx)
        });
        answer.unwrap_or_else(|| Err(Error::new(ErrorKind::TimedOut)))
    }

    /// Waits at most so long; `None`: not yet. After `Some` or an error the request is over.
    ///
    /// # Errors
    ///
    /// As [`send`](super::RequestBuilder::send); [`ErrorKind::Misuse`] once it is over.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::time::Duration;
    ///
    /// # fn main() -> bowline::Result<()> {
    /// let mut pending = bowline::get("https://example.org").start();
    /// let response = loop {
    ///     match pending.wait_timeout(Duration::from_millis(100))? {
    ///         Some(response) => break response,
    ///         None => eprint!("."),
    ///     }
    /// };
    /// # Ok(())
    /// # }
    /// ```
    pub fn wait_timeout(&mut self, timeout: Duration) -> Result<Option<Response>> {
        let answer = block_on(Deadline::after(timeout), |cx| self.poll(cx));
        self.rest();
        answer.transpose()
    }

    /// Takes what has arrived, without blocking.
    ///
    /// # Errors
    ///
    /// As [`wait_timeout`](Self::wait_timeout).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # fn main() -> bowline::Result<()> {
    /// let mut pending = bowline::get("https://example.org").start();
    /// match pending.try_wait()? {
    ///     Some(response) => println!("{}", response.status()),
    ///     None => println!("not yet"),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn try_wait(&mut self) -> Result<Option<Response>> {
        let answer = step_once(|cx| self.poll(cx));
        self.rest();
        answer.transpose()
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if let State::Moving { resting, .. } = &self.state {
            resting.leave();
        }
    }
}

/// Requests on their way, each with a tag; gives them back in the order of their answers.
///
/// # Examples
///
/// ```no_run
/// use bowline::{Batch, Client};
///
/// # fn main() -> bowline::Result<()> {
/// let client = Client::new();
/// let mut batch = Batch::new();
/// for path in ["a", "b", "c"] {
///     batch.push(client.get(format!("https://example.org/{path}")).start(), path);
/// }
/// for (path, answer) in batch {
///     println!("{path}: {}", answer?.status());
/// }
/// # Ok(())
/// # }
/// ```
pub struct Batch<T> {
    list: Vec<(Pending, T)>,
}

impl<T> fmt::Debug for Batch<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch").field("len", &self.len()).finish()
    }
}

impl<T> Default for Batch<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Batch<T> {
    /// Returns an empty batch.
    ///
    /// # Examples
    ///
    /// ```
    /// let batch = bowline::Batch::<usize>::new();
    /// assert!(batch.is_empty());
    /// ```
    pub fn new() -> Self {
        Batch { list: Vec::new() }
    }

    /// Adds a request on its way.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let mut batch = bowline::Batch::new();
    /// batch.push(bowline::get("https://example.org").start(), "a tag");
    /// ```
    pub fn push(&mut self, pending: Pending, tag: T) {
        self.list.push((pending, tag));
    }

    /// Returns how many have not been given back.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let mut batch = bowline::Batch::new();
    /// batch.push(bowline::get("https://example.org").start(), ());
    /// assert_eq!(batch.len(), 1);
    /// ```
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Returns whether none is left.
    ///
    /// # Examples
    ///
    /// ```
    /// assert!(bowline::Batch::<()>::new().is_empty());
    /// ```
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Waits at most so long for the next answer; `Ended` when none is left.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use bowline::{Batch, Recv};
    /// use std::time::Duration;
    ///
    /// # fn main() -> bowline::Result<()> {
    /// let mut batch = Batch::new();
    /// batch.push(bowline::get("https://example.org").start(), "first");
    /// loop {
    ///     match batch.recv_timeout(Duration::from_secs(1)) {
    ///         Recv::Item((tag, answer)) => println!("{tag}: {}", answer?.status()),
    ///         Recv::TimedOut => println!("{} are still under way", batch.len()),
    ///         Recv::Ended => break,
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn recv_timeout(&mut self, timeout: Duration) -> Recv<(T, Result<Response>)> {
        if self.is_empty() {
            return Recv::Ended;
        }
        self.recv_until(Deadline::after(timeout)).map_or(Recv::TimedOut, Recv::Item)
    }

    fn recv_until(&mut self, deadline: Deadline) -> Option<(T, Result<Response>)> {
        let answered = block_on(deadline, |cx| {
            for (at, (pending, _)) in self.list.iter_mut().enumerate() {
                if let Poll::Ready(result) = pending.poll(cx) {
                    return Poll::Ready((at, result));
                }
            }
            Poll::Pending
        });
        self.list.iter_mut().for_each(|(pending, _)| pending.rest());
        let (at, result) = answered?;
        Some((self.list.remove(at).1, result))
    }
}

/// Waits for the next answer; ends when none is left. More can be pushed in between.
impl<T> Iterator for Batch<T> {
    type Item = (T, Result<Response>);

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_empty() { None } else { self.recv_until(Deadline::NEVER) }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.len(), Some(self.len()))
    }
}
