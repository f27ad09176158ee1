//! Answers to slow clients: what is left of them is sent by whichever worker is free when there is room, and waits without a thread.

use super::{answer::Answer, seat::Seat, workers::Job};
use crate::{
    net::{Cx, Waker, Wants},
    time::Deadline,
};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::Poll,
    time::Instant,
};

/// The answers of a server that wait for room.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    all: Mutex<HashMap<u64, Arc<Rest>>>,
}

/// What is left of one answer.
struct Rest {
    id: u64,
    seat: Arc<Seat>,
    state: Mutex<State>,
}

enum State {
    /// It waits for its waker, or for a time limit.
    Parked { answer: Box<Answer>, until: Deadline },
    /// A worker goes on with it, or will.
    Moving,
    /// The same, and there was another wake since.
    Woken,
    /// It is over.
    Done,
}

impl std::fmt::Debug for Rest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rest").field("id", &self.id).finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Waiting {
    /// Wakes those whose time is up, so that they find out.
    pub(super) fn on_tick(&self, now: Instant) {
        let rests: Vec<_> = lock(&self.all).values().cloned().collect();
        for rest in rests {
            let late = matches!(&*lock(&rest.state), State::Parked { until, .. } if until.has_passed(now));
            if late {
                rest.wake();
            }
        }
    }

    /// Forgets them all.
    pub(super) fn clear(&self) {
        let rests: Vec<_> = lock(&self.all).drain().map(|(_, rest)| rest).collect();
        for rest in rests {
            let state = std::mem::replace(&mut *lock(&rest.state), State::Done);
            drop(state);
        }
    }
}

/// Sends what is left of an answer when there is room for it.
pub(super) fn send(answer: Box<Answer>, seat: &Arc<Seat>) {
    let id = crate::drive::next_id();
    let rest = Arc::new(Rest { id, seat: seat.clone(), state: Mutex::new(State::Moving) });
    lock(&seat.hub.waiting.all).insert(id, rest.clone());
    rest.go_on(answer);
}

impl Rest {
    /// Goes as far as there is room.
    fn go_on(self: &Arc<Self>, mut answer: Box<Answer>) {
        let me = self.clone();
        let waker = Waker::hooked(move || me.wake());
        loop {
            let (now, mut wants) = (Instant::now(), Wants::default());
            if let Poll::Ready(_done) = answer.poll(&mut Cx::new(now, &waker, &mut wants)) {
                break;
            }
            let more = wants.until.has_passed(now);
            let waits = !more || self.seat.hub.workers.are_busy();
            if waits {
                answer.slim();
            }
            let mut state = lock(&self.state);
            match *state {
                State::Woken => *state = State::Moving,
                // There is room for more: after those in line.
                State::Moving if more && waits => {
                    drop(state);
                    return self.submit(answer);
                }
                State::Moving if more => {}
                State::Moving => {
                    *state = State::Parked { answer, until: wants.until };
                    return;
                }
                State::Parked { .. } | State::Done => break,
            }
        }
        *lock(&self.state) = State::Done;
        lock(&self.seat.hub.waiting.all).remove(&self.id);
    }

    /// Has a worker go on with it.
    fn submit(self: &Arc<Self>, answer: Box<Answer>) {
        let step = Step { rest: self.clone(), answer };
        self.seat.hub.workers.submit_always(self.seat.owner(), Box::new(step));
    }

    fn wake(self: &Arc<Self>) {
        let mut state = lock(&self.state);
        match std::mem::replace(&mut *state, State::Moving) {
            State::Parked { answer, .. } => {
                drop(state);
                self.submit(answer);
            }
            State::Moving | State::Woken => *state = State::Woken,
            State::Done => *state = State::Done,
        }
    }
}

/// A worker's part in it.
struct Step {
    rest: Arc<Rest>,
    answer: Box<Answer>,
}

impl Job for Step {
    fn run(self: Box<Self>) {
        let Step { rest, answer } = *self;
        rest.go_on(answer);
    }

    fn refuse(self: Box<Self>) {
        *lock(&self.rest.state) = State::Done;
        lock(&self.rest.seat.hub.waiting.all).remove(&self.rest.id);
    }
}
