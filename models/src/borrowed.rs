//! A started request between its owner and those in line behind it, over the locks of the model; what `client/resting.rs` does.

use crate::Fault;
use crate::hand::Hand;
use crate::wait::{Waiter, Waker};
use shuttle::sync::Mutex;
use shuttle::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// What an owner does after its last wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Last {
    /// It takes the answer.
    Answered,
    /// It drops the request.
    Leaves,
    /// It comes back no more, and keeps the request.
    Stays,
}

/// One request that holds a connection, and the line for that.
#[derive(Debug)]
pub(crate) struct Borrowed {
    /// It is told how often it was moved.
    hand: Mutex<Hand<usize, Waker>>,
    line: Mutex<Vec<Waker>>,
    /// The connection is free.
    freed: AtomicBool,
    /// How many move it just now.
    moving: AtomicUsize,
    fault: Fault,
}

impl Borrowed {
    pub(crate) fn new(fault: Fault) -> Self {
        let hand = Mutex::new(Hand::Free(0));
        let (line, freed, moving) = (Mutex::default(), AtomicBool::new(false), AtomicUsize::new(0));
        Borrowed { hand, line, freed, moving, fault }
    }

    fn step(&self, moved: usize) -> usize {
        assert_eq!(self.moving.fetch_add(1, Ordering::SeqCst), 0, "two move it");
        shuttle::thread::yield_now();
        self.moving.fetch_sub(1, Ordering::SeqCst);
        moved + 1
    }

    fn wake_line(&self) {
        let line = self.line.lock().unwrap().clone();
        line.iter().for_each(Waker::wake);
    }

    fn free(&self) {
        self.freed.store(true, Ordering::SeqCst);
        self.wake_line();
    }

    /// Waits for the request so many times, and moves it once each time.
    pub(crate) fn own(&self, waiter: &Waiter, times: usize, last: Last) {
        for n in 0..times {
            let moved = loop {
                let taken = self.hand.lock().unwrap().take(waiter.waker());
                match taken {
                    Some(moved) => break moved,
                    None => _ = waiter.wait(&[]),
                }
            };
            let moved = self.step(moved);
            if n + 1 == times && last == Last::Answered {
                return self.free();
            }
            self.hand.lock().unwrap().rest(moved);
            if self.fault != Fault::RestsSilently {
                self.wake_line();
            }
        }
        if last == Last::Stays {
            return;
        }
        let (waiting, unwanted) = self.hand.lock().unwrap().leave();
        waiting.iter().for_each(Waker::wake);
        if unwanted.is_some() {
            self.free();
        }
    }

    /// Waits in line; moves the request as often as that at most while it is nobody's. Returns once the connection is free, or it has done so.
    pub(crate) fn wait_behind(&self, waiter: &Waiter, most: usize) {
        self.line.lock().unwrap().push(waiter.waker().clone());
        let mut moves = 0;
        while moves < most && !self.freed.load(Ordering::SeqCst) {
            let borrowed = self.hand.lock().unwrap().borrow(Some(waiter.waker()));
            let Some(moved) = borrowed else {
                let _ = waiter.wait(&[]);
                continue;
            };
            let moved = self.step(moved);
            moves += 1;
            let (waiting, unwanted) = self.hand.lock().unwrap().give_back(moved);
            if self.fault != Fault::GivesBackSilently {
                waiting.iter().for_each(Waker::wake);
            }
            if unwanted.is_some() {
                self.free();
            }
        }
    }
}
