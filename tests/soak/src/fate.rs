//! What the peer did with an attempt, and what a client may make of that: the retry matrix, seen from the other end.

use crate::plan::Plan;
use std::sync::{
    Mutex,
    atomic::{AtomicU32, AtomicU64, Ordering},
};

/// What became of one attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Fate {
    /// Nothing yet: it is being worked on.
    Open = 1,
    /// All of the answer was sent.
    Answered,
    /// Refused in a way that says it was not processed: REFUSED_STREAM, or above the last id of a GOAWAY.
    Refused,
    /// The connection ended without a byte of an answer.
    Cut,
    /// Some of the answer was sent, and then no more.
    Partial,
    /// RST_STREAM with a code that says nothing, before any answer.
    Reset,
    /// No answer, on a connection that is alive.
    Silent,
    /// No answer, on a connection that is silent altogether.
    Dead,
    /// 408 with `Connection: close`.
    Busy,
    /// Nonsense where an answer was due.
    Garbage,
}

const FATES: [Fate; 10] = [
    Fate::Open,
    Fate::Answered,
    Fate::Refused,
    Fate::Cut,
    Fate::Partial,
    Fate::Reset,
    Fate::Silent,
    Fate::Dead,
    Fate::Busy,
    Fate::Garbage,
];

/// One attempt as the peer saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    pub fate: Fate,
    pub is_h2: bool,
    /// The first request on its connection.
    pub first: bool,
}

impl Seen {
    fn to_byte(self) -> u8 {
        self.fate as u8 | u8::from(self.is_h2) << 6 | u8::from(self.first) << 7
    }

    fn from_byte(byte: u8) -> Option<Self> {
        let fate = FATES.into_iter().find(|fate| *fate as u8 == byte & 0x3f)?;
        Some(Seen { fate, is_h2: byte & 0x40 != 0, first: byte & 0x80 != 0 })
    }

    /// Whether the peer may have acted on the request.
    pub fn is_processed(self) -> bool {
        self.fate != Fate::Refused
    }

    /// Whether a client may send the request again after this.
    pub fn allows_another(self, plan: &Plan) -> bool {
        let idempotent = plan.is_idempotent();
        match self.fate {
            Fate::Refused => true,
            // It may have gone while the answer was made, or was never heard of again by a client that found the peer dead.
            Fate::Open => idempotent && (self.is_h2 || !self.first),
            Fate::Cut => idempotent && (self.is_h2 || !self.first),
            Fate::Dead => idempotent && self.is_h2,
            Fate::Busy => idempotent && !self.first,
            Fate::Answered | Fate::Partial | Fate::Reset | Fate::Silent | Fate::Garbage => false,
        }
    }

    /// Whether it must.
    pub fn demands_another(self, plan: &Plan) -> bool {
        self.fate != Fate::Open && plan.can_be_resent() && self.allows_another(plan)
    }
}

/// What became of every attempt at every request; four attempts each are remembered.
pub struct Book {
    attempts: Vec<AtomicU32>,
    counts: [AtomicU64; FATES.len()],
    complaints: Mutex<Vec<String>>,
}

impl Book {
    pub fn new(requests: u64) -> Self {
        Book {
            attempts: (0..requests).map(|_| AtomicU32::new(0)).collect(),
            counts: Default::default(),
            complaints: Mutex::default(),
        }
    }

    /// Enters a new attempt, and complains if it should not have been made.
    pub fn enter(&self, plan: &Plan, seen: Seen) {
        let Some(entry) = self.attempts.get(plan.id as usize) else {
            return self.complain(format!("request {} does not exist", plan.id));
        };
        let before = entry.load(Ordering::SeqCst);
        if seen.fate == Fate::Refused && before != 0 {
            // It was on its way behind our GOAWAY; the client, which had read that, may have been faster with the next attempt.
            return;
        }
        let history = decode(before);
        let (again, body) = (history.last().is_none_or(|last| last.allows_another(plan)), plan.can_be_resent());
        if history.len() >= 2 || !again || !(body || history.is_empty()) {
            self.complain(format!("{plan:?} was sent again after {history:?}"));
        }
        entry.store(before << 8 | u32::from(seen.to_byte()), Ordering::SeqCst);
    }

    /// What became of the newest attempt at a request.
    pub fn settle(&self, id: u64, fate: Fate) {
        self.counts[fate as usize - 1].fetch_add(1, Ordering::Relaxed);
        let Some(entry) = self.attempts.get(id as usize) else { return };
        let word = entry.load(Ordering::SeqCst);
        if let Some(seen) = Seen::from_byte(word as u8) {
            entry.store(word & !0xff | u32::from(Seen { fate, ..seen }.to_byte()), Ordering::SeqCst);
        }
    }

    pub fn complain(&self, text: String) {
        let mut complaints = self.complaints.lock().expect("nobody panics with it");
        if complaints.len() < 100 {
            complaints.push(text);
        }
    }

    /// The attempts at a request, as a number.
    pub fn word(&self, id: u64) -> u32 {
        self.attempts.get(id as usize).map_or(0, |entry| entry.load(Ordering::SeqCst))
    }

    /// Counts of every fate and all complaints, a line each.
    pub fn report(&self) -> String {
        let counts: Vec<_> =
            FATES.iter().zip(&self.counts).map(|(fate, n)| format!("{fate:?} {}", n.load(Ordering::Relaxed))).collect();
        let seen = self.attempts.iter().filter(|entry| entry.load(Ordering::Relaxed) != 0).count();
        let again = self.attempts.iter().filter(|entry| entry.load(Ordering::Relaxed) > 0xff).count();
        let mut report = format!("requests seen {seen}, seen again {again}; {}\n", counts.join(", "));
        for complaint in self.complaints.lock().expect("nobody panics with it").iter() {
            report.push_str(&format!("! {complaint}\n"));
        }
        report
    }
}

/// The attempts in a number of [`Book::word`], the oldest first.
pub fn decode(word: u32) -> Vec<Seen> {
    word.to_be_bytes().into_iter().filter_map(Seen::from_byte).collect()
}
