//! The threads that run handlers: as many as there is work for, up to a bound.
//!
//! A thread that waits inside the library, for a slow client or for an answer of another server, does not count: while it
//! sleeps another may run. So clients that stall keep threads from nobody, up to the second bound, on threads altogether.

use super::turns;
use crate::{
    drive::{Waits, tell_waits},
    net::Lead,
};
use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

/// How long a thread without work stays: long enough for the next burst.
const LINGER: Duration = Duration::from_secs(10);

/// How many threads there may be, waiting ones included, for each that may run, besides those for [`Workers::new`]'s `clients`.
///
/// So many may wait for slow clients before a client is held to one at a time.
const WAITING: usize = 16;

/// For how many clients there is a thread each.
const CLIENTS: usize = 4096;

/// A piece of work.
pub(super) trait Job: Send {
    /// Does it.
    fn run(self: Box<Self>);
    /// There are too many, or no thread to do it.
    fn refuse(self: Box<Self>);
}

/// The threads of one server.
#[derive(Clone, Debug)]
pub(super) struct Workers {
    pool: Arc<Pool>,
}

#[derive(Debug)]
struct Pool {
    state: Mutex<State>,
    work: Condvar,
    /// How many may run.
    running: usize,
    /// How many there may be.
    threads: usize,
    /// How many handlers wait, or have waited, for their clients.
    slow: AtomicUsize,
    /// How many jobs may wait.
    queue: usize,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Box<dyn Job>>,
    threads: usize,
    /// Threads that wait for a job, one included that was called.
    idle: usize,
    /// One of them was called and has not come yet. Whoever takes a job calls the next if there are more: a burst wakes as many
    /// threads as it takes time, not as many as it has jobs.
    called: bool,
    /// Threads that wait inside a job.
    waiting: usize,
    closed: bool,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let State { jobs, threads, idle, called, waiting, closed } = self;
        f.debug_struct("State")
            .field("jobs", &jobs.len())
            .field("threads", threads)
            .field("idle", idle)
            .field("called", called)
            .field("waiting", waiting)
            .field("closed", closed)
            .finish()
    }
}

impl State {
    /// Returns whether a thread that waits is to be woken for what is to be done; counts it as called.
    fn call(&mut self) -> bool {
        let calls = !self.jobs.is_empty() && self.idle > 0 && !self.called;
        self.called |= calls;
        calls
    }

    /// Returns whether another thread is needed for what waits, and allowed; counts it as begun.
    fn grow(&mut self, pool: &Pool) -> bool {
        let runs = self.threads - self.idle - self.waiting.min(self.threads);
        let grows = self.jobs.len() > self.idle
            && runs + self.idle < pool.running
            && self.threads < pool.threads
            && !self.closed;
        self.threads += usize::from(grows);
        grows
    }
}

impl Workers {
    /// At most `running` threads run jobs, and `queue` jobs wait. There is a thread for each of `clients` to wait.
    pub(super) fn new(running: usize, queue: usize, clients: usize) -> Self {
        let running = running.max(1);
        let threads = running.saturating_mul(WAITING + 1).saturating_add(clients.min(CLIENTS));
        let (state, work) = (Mutex::default(), Condvar::new());
        Workers { pool: Arc::new(Pool { state, work, running, threads, slow: AtomicUsize::new(0), queue }) }
    }

    /// Whether so many handlers wait for their clients that nobody may have more than one of them.
    pub(super) fn are_scarce(&self) -> bool {
        self.pool.slow.load(Ordering::SeqCst) >= self.pool.running.saturating_mul(WAITING)
    }

    /// One more handler waits for its client, until it ends.
    pub(super) fn add_slow(&self) {
        self.pool.slow.fetch_add(1, Ordering::SeqCst);
    }

    /// One that waited for its client has ended.
    pub(super) fn remove_slow(&self) {
        self.pool.slow.fetch_sub(1, Ordering::SeqCst);
    }

    /// Returns how many jobs wait, how many threads there are, and how many of those wait inside a job.
    pub(super) fn counts(&self) -> (usize, usize, usize) {
        let state = self.pool.lock();
        (state.jobs.len(), state.threads, state.waiting)
    }

    /// Returns whether jobs wait for a thread.
    pub(super) fn are_busy(&self) -> bool {
        !self.pool.lock().jobs.is_empty()
    }

    /// Has a job done, or refused if too many wait.
    pub(super) fn submit(&self, job: Box<dyn Job>) {
        let mut state = self.pool.lock();
        if state.closed || state.jobs.len() >= self.pool.queue {
            drop(state);
            return job.refuse();
        }
        state.jobs.push_back(job);
        self.pool.announce(state);
    }

    /// Has a job done, however many wait: the rest of one that was begun, of which each exchange has at most one.
    pub(super) fn submit_always(&self, job: Box<dyn Job>) {
        let mut state = self.pool.lock();
        if state.closed {
            drop(state);
            return job.refuse();
        }
        state.jobs.push_back(job);
        self.pool.announce(state);
    }

    /// Has a job done before the others, however many wait: a short one, of which each connection has at most one.
    pub(super) fn submit_first(&self, job: Box<dyn Job>) {
        let mut state = self.pool.lock();
        if state.closed {
            drop(state);
            return job.refuse();
        }
        state.jobs.push_front(job);
        self.pool.announce(state);
    }

    /// Takes no more jobs; threads end once they are done with theirs.
    pub(super) fn close(&self) {
        let mut state = self.pool.lock();
        state.closed = true;
        let jobs = std::mem::take(&mut state.jobs);
        drop(state);
        self.pool.work.notify_all();
        jobs.into_iter().for_each(Job::refuse);
    }
}

impl Pool {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sees to it that somebody does what waits.
    fn announce(self: &Arc<Self>, mut state: MutexGuard<'_, State>) {
        let (calls, grows) = (state.call(), state.grow(self));
        // Who is woken wants the lock.
        drop(state);
        if calls {
            self.work.notify_one();
        }
        if grows {
            self.spawn();
        }
    }

    /// Starts a thread that is counted already.
    fn spawn(self: &Arc<Self>) {
        let pool = self.clone();
        let spawned = thread::Builder::new().name("bowline-worker".into()).spawn(move || pool.work());
        if spawned.is_ok() {
            return;
        }
        let mut state = self.lock();
        state.threads -= 1;
        // The others get to it; without any it would wait for ever.
        let lost = if state.threads == 0 { std::mem::take(&mut state.jobs) } else { VecDeque::new() };
        drop(state);
        lost.into_iter().for_each(Job::refuse);
    }

    fn work(self: Arc<Self>) {
        tell_waits(Arc::new(Waiting(self.clone())));
        let mut state = self.lock();
        loop {
            if let Some(job) = state.jobs.pop_front() {
                let calls = state.call();
                drop(state);
                if calls {
                    self.work.notify_one();
                }
                // Handlers that panic are caught, and answered for, inside the job.
                let _ = catch_unwind(AssertUnwindSafe(|| job.run()));
                state = self.lock();
                continue;
            }
            if state.closed {
                break;
            }
            state.idle += 1;
            let (woken, timeout) = self.work.wait_timeout(state, LINGER).unwrap_or_else(PoisonError::into_inner);
            state = woken;
            state.idle -= 1;
            state.called = false;
            if timeout.timed_out() && state.jobs.is_empty() {
                break;
            }
        }
        state.threads -= 1;
    }
}

/// Counts the threads that wait inside a job.
struct Waiting(Arc<Pool>);

impl Waits for Waiting {
    fn begin(&self, shared: &[Arc<dyn Lead>]) {
        turns::on_wait(shared);
        let mut state = self.0.lock();
        state.waiting += 1;
        let grows = state.grow(&self.0);
        drop(state);
        if grows {
            self.0.spawn();
        }
    }

    fn end(&self) {
        self.0.lock().waiting -= 1;
    }

    fn turn(&self) {
        let mut state = self.0.lock();
        if state.jobs.is_empty() {
            return;
        }
        // For those that are in line it is as if this thread waited: one of them gets another thread.
        state.waiting += 1;
        let grows = state.grow(&self.0);
        state.waiting -= 1;
        drop(state);
        if grows {
            self.0.spawn();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{drive::block_on, time::Deadline};
    use std::{
        sync::{Barrier, mpsc},
        task::Poll,
    };

    /// A function, and what is to happen if it is refused.
    struct Call<F, R>(F, R);

    impl<F: FnOnce() + Send, R: FnOnce() + Send> Job for Call<F, R> {
        fn run(self: Box<Self>) {
            (self.0)();
        }
        fn refuse(self: Box<Self>) {
            (self.1)();
        }
    }

    fn call(f: impl FnOnce() + Send + 'static) -> Box<dyn Job> {
        Box::new(Call(f, || panic!("it was refused")))
    }

    #[test]
    fn jobs_beyond_the_bounds_are_refused() {
        let workers = Workers::new(1, 2, 1);
        let (began, running) = mpsc::channel();
        let (end, ended) = mpsc::channel::<()>();
        workers.submit(call(move || {
            began.send(()).unwrap();
            let _ = ended.recv();
        }));
        running.recv().unwrap();
        let (done, dones) = mpsc::channel();
        for n in 0..4 {
            let (ran, refused) = (done.clone(), done.clone());
            workers.submit(Box::new(Call(
                move || ran.send((n, "ran")).unwrap(),
                move || refused.send((n, "refused")).unwrap(),
            )));
        }
        drop(end);
        let all: Vec<_> = dones.iter().take(4).collect();
        assert_eq!(all, [(2, "refused"), (3, "refused"), (0, "ran"), (1, "ran")]);
        workers.close();
        let refused = done.clone();
        workers.submit(Box::new(Call(|| (), move || refused.send((4, "refused")).unwrap())));
        assert_eq!(dones.recv().unwrap(), (4, "refused"));
    }

    #[test]
    fn who_waits_makes_room_for_another() {
        let workers = Workers::new(1, 10, 1);
        let meet = Arc::new(Barrier::new(2));
        let (stop, waits) = mpsc::channel();
        let there = meet.clone();
        workers.submit(call(move || {
            block_on(Deadline::NEVER, |cx| match stop.send(cx.waker.clone()) {
                Ok(()) => Poll::<()>::Pending,
                Err(_) => Poll::Ready(()),
            });
            there.wait();
        }));
        let waker: crate::net::Waker = waits.recv().unwrap();
        let (done, dones) = mpsc::channel();
        workers.submit(call(move || done.send(()).unwrap()));
        dones.recv().unwrap();
        drop(waits);
        waker.wake();
        meet.wait();
        workers.close();
    }

    #[test]
    fn who_goes_on_for_long_makes_room_for_another() {
        let workers = Workers::new(1, 10, 1);
        let (began, running) = mpsc::channel();
        let (go, gone) = mpsc::channel::<()>();
        let pool = workers.pool.clone();
        workers.submit(call(move || {
            began.send(()).unwrap();
            let _ = gone.recv();
            Waiting(pool).turn();
            let _ = gone.recv();
        }));
        running.recv().unwrap();
        let (done, dones) = mpsc::channel();
        workers.submit(call(move || done.send(()).unwrap()));
        assert_eq!(workers.counts(), (1, 1, 0), "it is in line");
        go.send(()).unwrap();
        dones.recv().unwrap();
        drop(go);
        workers.close();
    }
}
