//! The requests of the soak: every way to make one, and what has to be true of what comes of it.

use crate::{options::Options, peer::Questions};
use bowline::{Batch, Body, Cancel, Client, Error, ErrorKind, Processed, Protocol, RequestBuilder, Response, Result};
use bowline_soak::{
    Random,
    fate::{Fate, Seen},
    plan::Plan,
};
use std::{
    collections::BTreeMap,
    io::{self, Read},
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::sleep,
    time::{Duration, Instant},
};

/// The limit of every request.
pub const TOTAL: Duration = Duration::from_secs(8);

/// Everything is still so often.
pub const PARTS: u64 = 10;

/// How late a limit may be noticed on a machine that has other things to do.
const LATE: Duration = Duration::from_secs(2);

pub struct Work {
    client: Client,
    urls: [String; 4],
    options: Options,
    begin: Instant,
    /// The number of the next request.
    next: AtomicU64,
    /// Requests with this number and above wait, for everything to be still.
    gate: AtomicU64,
    /// Threads that wait there, or have ended.
    waiting: AtomicU64,
    done: AtomicU64,
    failed: AtomicU64,
    outcomes: Mutex<BTreeMap<String, u64>>,
    /// What will be cancelled, and when.
    doomed: Mutex<Vec<(Instant, Cancel)>>,
}

/// A request that is on its way.
struct Underway {
    plan: Plan,
    begin: Instant,
    /// It may be cancelled by another thread.
    doomed: bool,
}

impl Work {
    pub fn new(client: Client, urls: [String; 4], options: &Options) -> Self {
        Work {
            client,
            urls,
            options: options.clone(),
            begin: Instant::now(),
            next: AtomicU64::new(0),
            gate: AtomicU64::new(options.requests.div_ceil(PARTS)),
            waiting: AtomicU64::new(0),
            done: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            outcomes: Mutex::default(),
            doomed: Mutex::default(),
        }
    }

    pub fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    /// Whether nothing is under way until [`go_on`](Self::go_on): so it is after each tenth part.
    pub fn is_still(&self) -> bool {
        self.gate.load(Ordering::SeqCst) < self.options.requests
            && self.waiting.load(Ordering::SeqCst) == self.options.threads
    }

    pub fn go_on(&self) {
        self.waiting.store(0, Ordering::SeqCst);
        self.gate.fetch_add(self.options.requests.div_ceil(PARTS), Ordering::SeqCst);
    }

    fn wait(&self, first: u64) {
        loop {
            let gate = self.gate.load(Ordering::SeqCst);
            if first < gate {
                return;
            }
            self.waiting.fetch_add(1, Ordering::SeqCst);
            while self.gate.load(Ordering::SeqCst) == gate {
                sleep(Duration::from_millis(1));
            }
        }
    }

    pub fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }

    /// How often what came.
    pub fn outcomes(&self) -> String {
        let outcomes = self.outcomes.lock().expect("nobody panics with it");
        outcomes.iter().map(|(what, n)| format!("{what} {n}")).collect::<Vec<_>>().join(", ")
    }

    /// Makes requests until there are enough; returns what is wrong.
    pub fn run(&self, number: u64, mut questions: Questions) -> io::Result<Vec<String>> {
        let mut random = Random(self.options.seed.wrapping_mul(31) ^ number << 32);
        let mut complaints = Vec::new();
        loop {
            let many = if random.once_in(20) { 2 + random.below(30) } else { 1 };
            let first = self.next.fetch_add(many, Ordering::Relaxed);
            let ids = first..(first + many).min(self.options.requests);
            if ids.is_empty() {
                self.wait(self.options.requests - 1);
                return Ok(complaints);
            }
            self.wait(first);
            // Evenly over the time there is.
            let due = self.options.seconds.mul_f64(first as f64 / self.options.requests as f64);
            sleep((self.begin + due).saturating_duration_since(Instant::now()));
            let mut judge = |underway: Underway, outcome: Outcome| -> io::Result<()> {
                let history = questions.history(underway.plan.id)?;
                complaints.extend(self.judge(&underway, outcome, &history));
                Ok(())
            };
            if many == 1 {
                let (request, underway) = self.request(first, &mut random);
                let outcome = read(request.send(), &underway.plan, &mut random);
                self.count(&outcome);
                if !matches!(outcome, Outcome::Right) {
                    judge(underway, outcome)?;
                }
                continue;
            }
            let mut batch = Batch::new();
            for id in ids {
                let (request, underway) = self.request(id, &mut random);
                batch.push(request.start(), underway);
            }
            for (underway, answer) in batch {
                let outcome = read(answer, &underway.plan, &mut random);
                self.count(&outcome);
                if !matches!(outcome, Outcome::Right) {
                    judge(underway, outcome)?;
                }
            }
        }
    }

    fn request(&self, id: u64, random: &mut Random) -> (RequestBuilder, Underway) {
        let plan = Plan::of(id);
        let kind = random.below(4) as usize;
        let protocol = if kind == 1 { Protocol::Http2 } else { Protocol::Auto };
        let method = plan.method.parse().expect("it is a method");
        let mut request = self.client.request(method, format!("{}/{id}", self.urls[kind])).protocol(protocol);
        if plan.has_key {
            request = request.header("idempotency-key", id.to_string());
        }
        if plan.upload.is_some() {
            let bytes = plan.request_body();
            request = match plan.replayable {
                true if random.once_in(3) => request.body(Body::from_fn(move || Ok(io::Cursor::new(bytes.clone())))),
                true => request.body(bytes),
                false => request.body(Body::from_reader(io::Cursor::new(bytes))),
            };
        }
        let doomed = random.once_in(200);
        if doomed {
            let cancel = Cancel::new();
            request = request.cancel_on(&cancel);
            let when = Instant::now() + Duration::from_micros(random.below(4000));
            self.doomed.lock().expect("nobody panics with it").push((when, cancel));
        }
        (request, Underway { plan, begin: Instant::now(), doomed })
    }

    /// Cancels what is to be cancelled, from a thread of its own.
    pub fn cancel_some(&self, ended: &AtomicBool) {
        while !ended.load(Ordering::SeqCst) {
            let now = Instant::now();
            let mut doomed = self.doomed.lock().expect("nobody panics with it");
            let (due, later) =
                std::mem::take(&mut *doomed).into_iter().partition::<Vec<_>, _>(|(when, _)| *when <= now);
            *doomed = later;
            drop(doomed);
            due.iter().for_each(|(_, cancel)| cancel.cancel());
            sleep(Duration::from_micros(500));
        }
    }

    fn count(&self, outcome: &Outcome) {
        self.done.fetch_add(1, Ordering::Relaxed);
        let what = match outcome {
            Outcome::Right => return,
            Outcome::Wrong(_) => "wrong".to_owned(),
            Outcome::Busy => "408".to_owned(),
            Outcome::Head(e) | Outcome::Body(e) => format!("{:?}", e.kind()),
        };
        self.failed.fetch_add(1, Ordering::Relaxed);
        *self.outcomes.lock().expect("nobody panics with it").entry(what).or_default() += 1;
    }

    /// Compares what the client says with what the peer has seen.
    fn judge(&self, underway: &Underway, outcome: Outcome, history: &[Seen]) -> Vec<String> {
        let Underway { plan, begin, doomed } = underway;
        let mut wrong = Vec::new();
        let last = history.last();
        let (error, in_body) = match &outcome {
            Outcome::Right => return wrong,
            Outcome::Wrong(text) => return vec![format!("{plan:?} {history:?}: {text}")],
            Outcome::Busy => {
                if history.len() < 2 && last.is_some_and(|last| last.demands_another(plan)) {
                    wrong.push(format!("{plan:?} {history:?}: a 408 that should have been another attempt"));
                }
                return wrong;
            }
            Outcome::Head(e) => (e, false),
            Outcome::Body(e) => (e, true),
        };
        if begin.elapsed() > TOTAL + LATE {
            wrong.push(format!("came after {:?}", begin.elapsed()));
        }
        if error.kind() == ErrorKind::Cancelled && !doomed {
            wrong.push("nobody has cancelled it".into());
        }
        let passing = error.is_timeout() || error.kind() == ErrorKind::Cancelled;
        if error.processed() == Processed::No && history.iter().any(|seen| seen.is_processed()) {
            wrong.push("said to be unprocessed, and was not".into());
        }
        let seen_all = history.len() == error.attempts() as usize;
        let refused = seen_all && history.iter().all(|seen| seen.fate == Fate::Refused);
        if !passing && refused && error.processed() != Processed::No {
            wrong.push("refused, and not said to be unprocessed".into());
        }
        let lost = match last {
            _ if passing || in_body || error.attempts() > 1 || history.len() > 1 => false,
            Some(last) => last.demands_another(plan),
            // It was never read by the peer: then it is as if the connection had been cut.
            None => {
                let unsent = error.bytes_written() == 0;
                let reused = error.reused() == Some(true);
                error.kind() == ErrorKind::Closed && plan.can_be_resent() && reused && (unsent || plan.is_idempotent())
            }
        };
        if lost {
            wrong.push("should have been sent again".into());
        }
        wrong
            .iter()
            .map(|text| format!("{plan:?} {history:?}: {text}: {error:?} reused {:?}", error.reused()))
            .collect()
    }
}

/// What came of a request.
enum Outcome {
    Right,
    Wrong(String),
    Busy,
    Head(Error),
    Body(Error),
}

/// Reads an answer in one of the ways there are to read one.
fn read(answer: Result<Response>, plan: &Plan, random: &mut Random) -> Outcome {
    let mut response = match answer {
        Ok(response) => response,
        Err(e) => return Outcome::Head(e),
    };
    if response.status() == 408 {
        return Outcome::Busy;
    }
    if response.status() != 200 || response.header("x-id") != Some(&plan.id.to_string()) {
        return Outcome::Wrong(format!("{} {:?}", response.status(), response.headers()));
    }
    let expected = plan.answer();
    let body = match random.below(12) {
        // Dropped unread, or when a piece of it was read.
        0 => return Outcome::Right,
        1 => {
            let mut piece = [0; 100];
            return match response.body().read(&mut piece) {
                Ok(n) if piece[..n] == expected[..n] => Outcome::Right,
                Ok(n) => Outcome::Wrong(format!("its body begins with {:?}", &piece[..n])),
                Err(e) => Outcome::Body(e.into()),
            };
        }
        2 => {
            let mut bytes = Vec::new();
            response.body().read_to_end(&mut bytes).map(|_| bytes).map_err(Error::from)
        }
        _ => response.bytes(),
    };
    match body {
        Ok(body) if body == expected => Outcome::Right,
        Ok(body) => Outcome::Wrong(format!("a body of {} bytes, not the {} it should be", body.len(), expected.len())),
        Err(e) => Outcome::Body(e),
    }
}
