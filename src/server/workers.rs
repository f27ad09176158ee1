//! The threads that run handlers: as many as there is work for, up to a bound.
//!
//! A thread that waits inside the library, for a slow client or for an answer of another server, does not count: while it
//! sleeps another may run. So clients that stall keep threads from nobody, up to the second bound, on threads altogether.
//!
//! Of those without work the one is called that was the last to have some: its memory is still at hand, and the others come to their end.

use super::line::{Line, Owner};
use crate::drive::{Waits, tell_waits};
use std::{
    cell::RefCell,
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::{self, Thread, ThreadId},
    time::{Duration, Instant},
};

/// How long a thread without work stays: long enough for the next burst.
const LINGER: Duration = Duration::from_secs(10);

/// How many threads there may be, waiting ones included, for each that may run, besides those for [`Workers::new`]'s `clients`.
///
/// So many may be with clients that have others already, before each is held to one at a time.
const WAITING: usize = 16;

/// From how many threads on that wait each gives memory back at once that it does not need while it does.
const MANY: usize = 64;

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
    /// How many may run.
    running: usize,
    /// How many there may be.
    threads: usize,
}

struct State {
    jobs: Line<Box<dyn Job>>,
    threads: usize,
    /// Threads that wait for a job, in the order in which they had their last one.
    idle: Vec<Thread>,
    /// One of them that was called and has not come yet. Whoever takes a job calls the next if there are more: a burst wakes as many
    /// threads as it takes time, not as many as it has jobs.
    called: Option<ThreadId>,
    /// Threads that have a job.
    busy: usize,
    /// Those of them that wait inside it.
    waiting: usize,
    closed: bool,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let State { jobs, threads, idle, called, busy, waiting, closed } = self;
        f.debug_struct("State")
            .field("jobs", &jobs.len())
            .field("threads", threads)
            .field("idle", &idle.len())
            .field("called", called)
            .field("busy", busy)
            .field("waiting", waiting)
            .field("closed", closed)
            .finish()
    }
}

impl State {
    /// Returns the thread that is to be woken for what is to be done, if one is needed that waits.
    fn call(&mut self) -> Option<Thread> {
        if self.jobs.is_empty() || self.called.is_some() {
            return None;
        }
        let thread = self.idle.pop()?;
        self.called = Some(thread.id());
        Some(thread)
    }

    /// Returns how many threads there are without a job, or about to have one.
    fn free(&self) -> usize {
        self.idle.len() + usize::from(self.called.is_some())
    }

    /// Returns how many jobs are taken as soon as a thread gets to them: those do not wait for others.
    fn taken_at_once(&self, pool: &Pool) -> usize {
        let run = pool.running.saturating_sub(self.busy.saturating_sub(self.waiting));
        run.min(pool.threads.saturating_sub(self.busy))
    }

    /// Returns whether another thread is needed for what waits, and allowed; counts it as begun.
    fn grow(&mut self, pool: &Pool) -> bool {
        let free = self.free();
        let runs = self.threads.saturating_sub(free + self.waiting);
        let grows = self.jobs.len() > free && runs + free < pool.running && self.threads < pool.threads && !self.closed;
        self.threads += usize::from(grows);
        grows
    }
}

impl Workers {
    /// At most `running` threads run jobs, and `queue` jobs that can be refused wait. There is a thread for each of `clients` to wait.
    pub(super) fn new(running: usize, queue: usize, clients: usize) -> Self {
        let running = running.max(1);
        let threads = running.saturating_mul(WAITING + 1).saturating_add(clients.min(CLIENTS));
        let state = State {
            jobs: Line::new(queue),
            threads: 0,
            idle: Vec::new(),
            called: None,
            busy: 0,
            waiting: 0,
            closed: false,
        };
        Workers { pool: Arc::new(Pool { state: Mutex::new(state), running, threads }) }
    }

    /// Returns how many handlers there may be besides the first of each client.
    pub(super) fn extras(&self) -> usize {
        self.pool.running.saturating_mul(WAITING)
    }

    /// Returns whether more threads wait inside their jobs than may run.
    pub(super) fn are_waiting(&self) -> bool {
        self.pool.lock().waiting > self.pool.running
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

    /// Has a job done in its turn; if too many wait it is refused, or another of somebody for whom more do.
    pub(super) fn submit(&self, owner: Owner, job: Box<dyn Job>) {
        let mut state = self.pool.lock();
        if state.closed {
            drop(state);
            return refuse(job);
        }
        let besides = state.taken_at_once(&self.pool);
        let refused = state.jobs.push(owner, job, besides);
        self.pool.announce(state);
        if let Some(job) = refused {
            refuse(job);
        }
    }

    /// Has a job done in its turn, however many wait: the rest of one that was begun, of which each exchange has at most one.
    pub(super) fn submit_always(&self, owner: Owner, job: Box<dyn Job>) {
        self.submit_with(job, |jobs, job| jobs.push_rest(owner, job));
    }

    /// Has a job done before the others, however many wait: a short one, of which each connection has at most one.
    pub(super) fn submit_first(&self, job: Box<dyn Job>) {
        self.submit_with(job, Line::push_first);
    }

    fn submit_with(&self, job: Box<dyn Job>, push: impl FnOnce(&mut Line<Box<dyn Job>>, Box<dyn Job>)) {
        let mut state = self.pool.lock();
        if state.closed {
            drop(state);
            return refuse(job);
        }
        push(&mut state.jobs, job);
        self.pool.announce(state);
    }

    /// Takes no more jobs; threads end once they are done with theirs.
    pub(super) fn close(&self) {
        let mut state = self.pool.lock();
        state.closed = true;
        let (jobs, idle) = (state.jobs.drain(), std::mem::take(&mut state.idle));
        drop(state);
        idle.iter().for_each(Thread::unpark);
        jobs.into_iter().for_each(refuse);
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
        if let Some(thread) = calls {
            thread.unpark();
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
        let lost = if state.threads == 0 { state.jobs.drain() } else { Vec::new() };
        drop(state);
        lost.into_iter().for_each(refuse);
    }

    fn work(self: Arc<Self>) {
        tell_waits(Arc::new(Waiting(self.clone())));
        let mut state = self.lock();
        loop {
            if let Some(job) = state.jobs.pop() {
                state.busy += 1;
                let calls = state.call();
                drop(state);
                if let Some(thread) = calls {
                    thread.unpark();
                }
                // Handlers that panic are caught, and answered for, inside the job.
                let _ = catch_unwind(AssertUnwindSafe(|| job.run()));
                state = self.lock();
                state.busy -= 1;
                continue;
            }
            if state.closed {
                break;
            }
            let me = thread::current();
            state.idle.push(me.clone());
            drop(state);
            let since = Instant::now();
            thread::park_timeout(LINGER);
            state = self.lock();
            if state.called == Some(me.id()) {
                state.called = None;
                continue;
            }
            // Nobody called: time has passed, or something else had woken this thread.
            state.idle.retain(|thread| thread.id() != me.id());
            if since.elapsed() >= LINGER && state.jobs.is_empty() {
                break;
            }
        }
        state.threads -= 1;
    }
}

thread_local! {
    /// What is still to be refused by whoever on this thread refuses something already.
    static REFUSING: RefCell<Option<VecDeque<Box<dyn Job>>>> = const { RefCell::new(None) };
}

/// Refuses a job, and those whose place is taken by what comes in behind it: one after the other, because each of these may be of another
/// connection, and there are many.
fn refuse(job: Box<dyn Job>) {
    /// Lets the next one begin anew, also after a panic.
    struct Done;
    impl Drop for Done {
        fn drop(&mut self) {
            drop(REFUSING.take());
        }
    }

    let nested = REFUSING.with_borrow_mut(|refusing| match refusing {
        Some(jobs) => {
            jobs.push_back(job);
            true
        }
        None => {
            *refusing = Some(VecDeque::from([job]));
            false
        }
    });
    if nested {
        return;
    }
    let _done = Done;
    while let Some(job) = REFUSING.with_borrow_mut(|refusing| refusing.as_mut()?.pop_front()) {
        job.refuse();
    }
}

/// Counts the threads that wait inside a job.
struct Waiting(Arc<Pool>);

impl Waits for Waiting {
    fn begin(&self) -> bool {
        let mut state = self.0.lock();
        state.waiting += 1;
        let grows = state.grow(&self.0);
        let many = state.waiting > MANY.max(self.0.running);
        drop(state);
        if grows {
            self.0.spawn();
        }
        many
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
    use crate::{drive::block_on, server::peers::Peer, time::Deadline};
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

    const ONE: Owner = Owner { peer: Peer::Local, connection: 1 };

    fn call(f: impl FnOnce() + Send + 'static) -> Box<dyn Job> {
        Box::new(Call(f, || panic!("it was refused")))
    }

    #[test]
    fn jobs_beyond_the_bounds_are_refused() {
        let workers = Workers::new(1, 2, 1);
        let (began, running) = mpsc::channel();
        let (end, ended) = mpsc::channel::<()>();
        workers.submit(
            ONE,
            call(move || {
                began.send(()).unwrap();
                let _ = ended.recv();
            }),
        );
        running.recv().unwrap();
        let (done, dones) = mpsc::channel();
        for n in 0..4 {
            let (ran, refused) = (done.clone(), done.clone());
            workers.submit(
                ONE,
                Box::new(Call(move || ran.send((n, "ran")).unwrap(), move || refused.send((n, "refused")).unwrap())),
            );
        }
        drop(end);
        let all: Vec<_> = dones.iter().take(4).collect();
        assert_eq!(all, [(2, "refused"), (3, "refused"), (0, "ran"), (1, "ran")]);
        workers.close();
        let refused = done.clone();
        workers.submit(ONE, Box::new(Call(|| (), move || refused.send((4, "refused")).unwrap())));
        assert_eq!(dones.recv().unwrap(), (4, "refused"));
    }

    /// However late the threads begin.
    #[test]
    fn jobs_that_need_not_wait_do_not_count() {
        for _ in 0..20 {
            let workers = Workers::new(2, 1, 1);
            let (end, ended) = mpsc::channel::<()>();
            let ended = Arc::new(Mutex::new(ended));
            let (done, dones) = mpsc::channel();
            for n in 0..5 {
                let (ended, ran, refused) = (ended.clone(), done.clone(), done.clone());
                workers.submit(
                    ONE,
                    Box::new(Call(
                        move || {
                            let _ = ended.lock().unwrap().recv();
                            ran.send((n, "ran")).unwrap();
                        },
                        move || refused.send((n, "refused")).unwrap(),
                    )),
                );
            }
            drop(end);
            let mut all: Vec<_> = dones.iter().take(5).collect();
            all.sort_unstable();
            assert_eq!(all, [(0, "ran"), (1, "ran"), (2, "ran"), (3, "refused"), (4, "refused")]);
            workers.close();
        }
    }

    #[test]
    fn who_waits_makes_room_for_another() {
        let workers = Workers::new(1, 10, 1);
        let meet = Arc::new(Barrier::new(2));
        let (stop, waits) = mpsc::channel();
        let there = meet.clone();
        workers.submit(
            ONE,
            call(move || {
                block_on(Deadline::NEVER, |cx| match stop.send(cx.waker.clone()) {
                    Ok(()) => Poll::<()>::Pending,
                    Err(_) => Poll::Ready(()),
                });
                there.wait();
            }),
        );
        let waker: crate::net::Waker = waits.recv().unwrap();
        let (done, dones) = mpsc::channel();
        workers.submit(ONE, call(move || done.send(()).unwrap()));
        dones.recv().unwrap();
        drop(waits);
        waker.wake();
        meet.wait();
        workers.close();
    }

    #[test]
    fn who_had_the_last_job_has_the_next() {
        let workers = Workers::new(3, 10, 1);
        let all_idle = || {
            while workers.pool.lock().idle.len() < 3 {
                thread::yield_now();
            }
        };
        let meet = Arc::new(Barrier::new(3));
        for _ in 0..3 {
            let meet = meet.clone();
            workers.submit(
                ONE,
                call(move || {
                    meet.wait();
                }),
            );
        }
        all_idle();
        let last = workers.pool.lock().idle[2].id();
        let (done, dones) = mpsc::channel();
        for n in 0..5 {
            let done = done.clone();
            workers.submit(ONE, call(move || done.send(thread::current().id()).unwrap()));
            assert_eq!(dones.recv().unwrap(), last, "job {n}");
            all_idle();
        }
        workers.close();
    }

    #[test]
    fn who_goes_on_for_long_makes_room_for_another() {
        let workers = Workers::new(1, 10, 1);
        let (began, running) = mpsc::channel();
        let (go, gone) = mpsc::channel::<()>();
        let pool = workers.pool.clone();
        workers.submit(
            ONE,
            call(move || {
                began.send(()).unwrap();
                let _ = gone.recv();
                Waiting(pool).turn();
                let _ = gone.recv();
            }),
        );
        running.recv().unwrap();
        let (done, dones) = mpsc::channel();
        workers.submit(ONE, call(move || done.send(()).unwrap()));
        assert_eq!(workers.counts(), (1, 1, 0), "it is in line");
        go.send(()).unwrap();
        dones.recv().unwrap();
        drop(go);
        workers.close();
    }
}
