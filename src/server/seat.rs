//! One connection as its server sees it, from the first byte to the last.
//!
//! While a thread waits on a connection, that thread reads it. Else the poller does, on behalf of the seat, which takes in the
//! requests, has handlers run for them, and ends the connection so that the client can read the last answer.

mod running;

use super::{
    budget::{Share, Shares},
    greet::Greeting,
    hub::Hub,
    journal::Entry,
    line::Owner,
    lobby,
    peers::Peer,
    serve::{self, Work},
    turns::Turns,
    workers::Job,
};
use crate::{
    drive::{Accepted, Carrier, Cause, CloseReason, Closing, Quota, Rule, Stream},
    error::ErrorKind,
    net::{Cx, Interest, Ready, Waker, Wants, Wire},
    proto::RequestHead,
};
use http::Version;
use running::Running;
use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::Poll,
    time::{Duration, Instant},
};

/// How many requests of one connection are with handlers at a time; the others wait on the connection.
///
/// A browser sends about that many at once; a client that wants every thread for itself does not get it.
const AT_ONCE: usize = 32;

/// How long a connection that is over is read on, in all and without a byte, so that the client sees the last answer.
const LINGER: Duration = Duration::from_secs(5);
const LINGER_SILENT: Duration = Duration::from_secs(2);

/// The same while the server shuts down, and somebody waits for that.
const LINGER_BRIEFLY: Duration = Duration::from_millis(100);

/// How long after the first GOAWAY the second one says which streams were the last: more than most round trips.
const LAST_CALL: Duration = Duration::from_millis(500);

/// The same on a connection without a request: what is on its way to it was sent before the client could know.
const IDLE_CALL: Duration = Duration::from_millis(100);

/// How long a connection is idle before another may have its place: longer than the pauses between the requests of one page, so that
/// none is closed on which the next is on its way.
const RESTS: Duration = Duration::from_secs(1);

/// The same before its first request, which most clients send at once.
const RESTS_BRIEFLY: Duration = Duration::from_millis(100);

/// How much of what nobody wants is read at a time, and how often in a row.
const SCRATCH: usize = 16 * 1024;
const SCRATCHES: u32 = 16;

/// One connection.
pub(super) struct Seat {
    pub(super) id: u64,
    wire: Arc<dyn Wire>,
    pub(super) peer: Option<SocketAddr>,
    /// Whose it is.
    pub(super) who: Peer,
    pub(super) hub: Arc<Hub>,
    pub(super) turns: Turns<Box<Work>>,
    /// What its handlers count for.
    pub(super) handlers: Share,
    /// What its requests count for that handlers have, or had and whose answers are not over.
    begun: Share,
    /// What its streams count for, if it speaks HTTP/2.
    quota: Arc<dyn Quota>,
    state: Mutex<State>,
    /// What the poller watches the wire for.
    watched: Mutex<Option<Interest>>,
    /// How often somebody wanted it to be attended to since nobody did.
    stirs: AtomicUsize,
    /// Requests that have begun and are not over.
    running: AtomicUsize,
    /// Others wait for one of them to end, or may do so.
    held: AtomicBool,
    /// How often the client was told that the server shuts down.
    calls: AtomicUsize,
}

enum State {
    /// Nobody knows yet what is spoken.
    Greeting(Box<Greeting>),
    /// A worker goes on with the greeting.
    Handshaking,
    Open(Arc<dyn Carrier>),
    Ending(Ending),
    Gone,
}

/// A connection for whose client nothing is done, and since when.
enum Rests {
    /// It has asked for something, and was answered.
    Asked(Instant),
    /// It has asked for nothing yet.
    New(Instant),
}

/// A connection that is over.
struct Ending {
    carrier: Arc<dyn Carrier>,
    /// Everything was sent.
    flushed: bool,
    /// When it is closed at the latest, and when without a byte from the client.
    until: Instant,
    silent: Instant,
}

impl Ending {
    /// Notes what happened; returns whether there is time for more.
    fn goes_on(&mut self, closing: Closing, forgot: Forgot, silence: Duration, now: Instant) -> bool {
        if closing == Closing::Lingering && !std::mem::replace(&mut self.flushed, true) {
            (self.until, self.silent) = (now + LINGER, now + silence);
        } else if self.flushed && forgot == Forgot::Some {
            self.silent = now + silence;
        }
        now < self.until.min(self.silent)
    }
}

impl std::fmt::Debug for Seat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Seat").field("id", &self.id).field("peer", &self.peer).finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Seat {
    pub(super) fn new(id: u64, wire: Arc<dyn Wire>, greeting: Greeting, hub: Arc<Hub>, shares: Shares) -> Arc<Self> {
        Arc::new(Seat {
            id,
            peer: wire.peer_addr(),
            who: lobby::peer_of(&wire),
            wire,
            hub,
            turns: Turns::default(),
            handlers: shares.handlers,
            begun: shares.begun,
            quota: Arc::new(shares.streams),
            state: Mutex::new(State::Greeting(Box::new(greeting))),
            watched: Mutex::new(None),
            stirs: AtomicUsize::new(0),
            running: AtomicUsize::new(0),
            held: AtomicBool::new(false),
            calls: AtomicUsize::new(0),
        })
    }

    /// Returns whose work it is that is done for this connection.
    pub(super) fn owner(&self) -> Owner {
        Owner { peer: self.who, connection: self.id }
    }

    /// Returns the connection, once it is known what is spoken and until it ends.
    pub(super) fn carrier(&self) -> Option<Arc<dyn Carrier>> {
        match &*lock(&self.state) {
            State::Open(carrier) => Some(carrier.clone()),
            State::Greeting(_) | State::Handshaking | State::Ending(_) | State::Gone => None,
        }
    }

    /// Returns from when on another connection may have its place, if nothing is done for the client: it has not said yet what it
    /// wants, asked for nothing since its last answer, or has been told that the connection is over.
    pub(super) fn spare_from(&self) -> Option<Instant> {
        match self.rests()? {
            Rests::Asked(since) => since.checked_add(RESTS),
            Rests::New(since) => since.checked_add(RESTS_BRIEFLY),
        }
    }

    /// Returns since when it is there, or over a handshake, if it has not said yet what it wants.
    pub(super) fn new_since(&self) -> Option<Instant> {
        match self.rests()? {
            Rests::Asked(_) => None,
            Rests::New(since) => Some(since),
        }
    }

    /// Returns since when nothing is done for the client, if that is so.
    fn rests(&self) -> Option<Rests> {
        let carrier = match &*lock(&self.state) {
            State::Greeting(greeting) => return Some(Rests::New(greeting.began())),
            State::Ending(ending) if ending.flushed => return ending.until.checked_sub(LINGER).map(Rests::Asked),
            State::Open(carrier) => carrier.clone(),
            State::Handshaking | State::Ending(_) | State::Gone => return None,
        };
        let (since, served) = carrier.idle_since()?;
        Some(if served > 0 { Rests::Asked(since) } else { Rests::New(since) })
    }

    /// Returns whether another connection may have its place now.
    pub(super) fn is_spare(&self, now: Instant) -> bool {
        self.spare_from().is_some_and(|since| since <= now)
    }

    /// Ends a connection, because another one needs its place.
    pub(super) fn evict(&self) {
        if let Some(carrier) = self.carrier() {
            let text = "the server has too many connections, and this one had to make room";
            let cause = Cause::new(ErrorKind::Closed, CloseReason::Idle, text);
            if carrier.idle_since().is_some() { carrier.finish(cause) } else { carrier.shutdown(cause) }
        }
        self.leave();
    }

    /// The poller saw that the wire is ready.
    pub(super) fn on_ready(self: &Arc<Self>, ready: Ready, now: Instant) {
        if let Some(carrier) = self.carrier() {
            let arrived = carrier.tend(ready, now);
            if ready.write || !arrived {
                // The poller was called for nothing, and would be again until whoever attends to the seat just now has done so.
                self.watch_for(&carrier, Rule::Exactly);
                self.stir();
            }
            return;
        }
        let greets = matches!(&*lock(&self.state), State::Greeting(_) | State::Handshaking);
        if greets { self.greet() } else { self.stir() }
    }

    /// The server is shutting down, and nothing was asked on this connection yet.
    pub(super) fn on_drain(&self) {
        let greets = matches!(&*lock(&self.state), State::Greeting(_) | State::Handshaking);
        if greets {
            self.leave();
        }
    }

    /// Looks at the time limits.
    pub(super) fn on_tick(self: &Arc<Self>, now: Instant) {
        let greets = match &*lock(&self.state) {
            State::Greeting(greeting) => Some(greeting.deadline(&self.hub.settings).has_passed(now)),
            State::Handshaking | State::Open(_) | State::Ending(_) | State::Gone => None,
        };
        match (greets, self.carrier()) {
            (Some(true), _) => self.greet(),
            (Some(false), _) => {}
            (None, Some(carrier)) => {
                carrier.tend(Ready::default(), now);
                self.resume(self.turns.next(&self.handlers));
                if carrier.is_clogged() {
                    self.turns.refuse();
                }
                if self.hub.drains_for().is_some() {
                    self.stir();
                }
            }
            (None, None) => self.stir(),
        }
    }

    /// Goes on with the greeting: with TLS on a worker, for that is arithmetic, else at once.
    pub(super) fn greet(self: &Arc<Self>) {
        let mut state = lock(&self.state);
        let greeting = match std::mem::replace(&mut *state, State::Handshaking) {
            State::Greeting(greeting) => greeting,
            // It is being gone on with, or was ended meanwhile.
            other => return *state = other,
        };
        drop(state);
        // Nothing is reported while nobody could do anything about it.
        self.watch(None);
        let step = Step { seat: self.clone(), greeting };
        if self.hub.settings.is_tls() { self.hub.workers.submit_first(Box::new(step)) } else { step.take() }
    }

    /// Somebody has to look after the connection: accept its requests, watch its wire, end it. Any thread may do that, one does.
    pub(super) fn stir(self: &Arc<Self>) {
        if self.stirs.fetch_add(1, Ordering::SeqCst) > 0 {
            return;
        }
        let mut seen = self.stirs.load(Ordering::SeqCst);
        loop {
            self.attend();
            match self.stirs.compare_exchange(seen, 0, Ordering::SeqCst, Ordering::SeqCst) {
                Ok(_) => break,
                Err(more) => seen = more,
            }
        }
    }

    fn attend(self: &Arc<Self>) {
        let now = Instant::now();
        let Some(carrier) = self.carrier() else { return self.attend_end(now) };
        // Said first: whichever ends from now on comes here again.
        self.held.store(true, Ordering::SeqCst);
        // Bodies that nobody reads could keep those from arriving that are waited for: then all of them are read.
        while self.may_begin() || carrier.is_clogged() {
            match carrier.clone().accept(now) {
                Some(Accepted::Exchange(stream, head)) => match self.begin(&carrier, stream, head, now) {
                    Begun::Handling => {}
                    // It is attended to next.
                    Begun::Switched => return,
                },
                Some(Accepted::Refused(refused)) => self.hub.journal.refused(carrier.id(), self.peer, refused, now),
                None => {
                    self.held.store(false, Ordering::SeqCst);
                    break;
                }
            }
        }
        if let Some(drained) = self.hub.drains_for() {
            self.drain(&carrier, drained);
        }
        match carrier.closing(now) {
            Closing::Open => {
                if !self.watch_for(&carrier, Rule::Lazily) {
                    carrier.shutdown(Cause::shutdown());
                    self.leave();
                }
            }
            Closing::Flushing | Closing::Lingering | Closing::Done => {
                let until = now + self.hub.settings.timeouts.write;
                let ending = Ending { carrier, flushed: false, until, silent: until };
                let mut state = lock(&self.state);
                if matches!(*state, State::Open(_)) {
                    *state = State::Ending(ending);
                }
                drop(state);
                self.attend_end(now);
            }
        }
    }

    /// Takes no more exchanges, and ends when none is open.
    fn drain(&self, carrier: &Arc<dyn Carrier>, drained: Duration) {
        if self.calls.fetch_max(1, Ordering::SeqCst) < 1 {
            carrier.drain();
        }
        if drained >= LAST_CALL && self.calls.fetch_max(2, Ordering::SeqCst) < 2 {
            carrier.goodbye();
        }
        // A client of HTTP/1 that asks just now sees that its connection was closed, as it can be at any time.
        let called = carrier.version() != Version::HTTP_2 || drained >= IDLE_CALL;
        if called && self.running.load(Ordering::SeqCst) == 0 && carrier.is_idle() && carrier.over().is_none() {
            carrier.finish(Cause::new(ErrorKind::Closed, CloseReason::Finished, "the server is shutting down"));
        }
    }

    /// Returns whether another request may begin, as far as can be said: where others of this connection have, it takes a share.
    fn may_begin(&self) -> bool {
        match self.running.load(Ordering::SeqCst) {
            0 => true,
            running => running < AT_ONCE && self.begun.has_more(),
        }
    }

    /// Has a handler run for a request.
    fn begin(self: &Arc<Self>, carrier: &Arc<dyn Carrier>, stream: Stream, head: RequestHead, now: Instant) -> Begun {
        let (stream, head) = match serve::upgrade(carrier, stream, head, &self.hub.settings, Some(&self.quota), now) {
            serve::Upgrade::None(stream, head) => (stream, head),
            serve::Upgrade::Done(new) => {
                let mut state = lock(&self.state);
                if matches!(*state, State::Open(_)) {
                    *state = State::Open(new.clone());
                }
                drop(state);
                self.keep(&new);
                self.stir();
                return Begun::Switched;
            }
            serve::Upgrade::Failed => {
                carrier.shutdown(Cause::shutdown());
                return Begun::Handling;
            }
        };
        let extra = self.running.fetch_add(1, Ordering::SeqCst) > 0 && self.begun.take();
        self.hub.active.fetch_add(1, Ordering::SeqCst);
        let journal = &self.hub.journal;
        let entry = journal.is_read().then(|| Entry::new(carrier.id(), self.peer, &head, now));
        let entry = entry.map(|entry| journal.begin(entry, &stream));
        stream.keep(Box::new(Running { seat: self.clone(), entry, extra }));
        self.hub.workers.submit(self.owner(), Box::new(Work::new(stream, head, self.clone())));
        Begun::Handling
    }

    fn keep(self: &Arc<Self>, carrier: &Arc<dyn Carrier>) {
        // Whatever holds the connection does not hold its seat.
        let seat = Arc::downgrade(self);
        carrier.keep(Waker::hooked(move || {
            if let Some(seat) = seat.upgrade() {
                seat.stir();
            }
        }));
    }

    /// Has a request run that was held, now that it is its turn.
    pub(super) fn resume(&self, work: Option<Box<Work>>) {
        if let Some(work) = work {
            self.hub.workers.submit_always(self.owner(), work);
        }
    }

    /// Takes a step in ending the connection.
    fn attend_end(self: &Arc<Self>, now: Instant) {
        let carrier = match &*lock(&self.state) {
            State::Ending(ending) => ending.carrier.clone(),
            State::Greeting(_) | State::Handshaking | State::Open(_) | State::Gone => return,
        };
        let closing = carrier.closing(now);
        let forgot = match closing {
            Closing::Flushing | Closing::Lingering => self.forget(),
            Closing::Done | Closing::Open => return self.leave(),
        };
        let silence = if self.hub.drains_for().is_some() { LINGER_BRIEFLY } else { LINGER_SILENT };
        let goes_on = match &mut *lock(&self.state) {
            State::Ending(ending) => ending.goes_on(closing, forgot, silence, now),
            State::Greeting(_) | State::Handshaking | State::Open(_) | State::Gone => false,
        };
        let interest = match (closing, forgot) {
            (Closing::Flushing, Forgot::End) => Some(Interest::Write),
            (Closing::Flushing, Forgot::Nothing | Forgot::Some) => Some(Interest::Both),
            (_, Forgot::Nothing | Forgot::Some) => Some(Interest::Read),
            (_, Forgot::End) => None,
        };
        if !goes_on || interest.is_none() || !self.watch(interest) {
            self.leave();
        }
    }

    /// Reads what nobody wants any more.
    fn forget(&self) -> Forgot {
        // Much room is not on the stack: many threads may do this, and each would keep what it has used of that.
        let (mut little, mut much) = ([0; 256], Vec::new());
        let mut forgot = Forgot::Nothing;
        for _ in 0..SCRATCHES {
            let room = if much.is_empty() { &mut little[..] } else { &mut much };
            match self.wire.try_read(room) {
                Ok(0) => return Forgot::End,
                Ok(_) => {
                    forgot = Forgot::Some;
                    much.resize(SCRATCH, 0);
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => break,
                Err(_) => return Forgot::End,
            }
        }
        forgot
    }

    /// Ends the connection now.
    pub(super) fn cut(self: &Arc<Self>) {
        if let Some(carrier) = self.carrier() {
            carrier.shutdown(Cause::shutdown());
        }
        self.leave();
    }

    /// Closes the wire and gives the seat up.
    fn leave(&self) {
        let state = std::mem::replace(&mut *lock(&self.state), State::Gone);
        self.watch(None);
        self.wire.shutdown();
        drop(state);
        self.turns.clear();
        self.hub.remove(self.id);
    }

    /// Has the poller watch the wire for what is needed of an open connection; false if it cannot.
    fn watch_for(&self, carrier: &Arc<dyn Carrier>, rule: Rule) -> bool {
        let mut watched = lock(&self.watched);
        // It may have become another, or be ending: who sees to that watches for something else, after this.
        let same = |open: &Arc<dyn Carrier>| std::ptr::addr_eq(Arc::as_ptr(open), Arc::as_ptr(carrier));
        if !matches!(&*lock(&self.state), State::Open(open) if same(open)) {
            return true;
        }
        // Asked behind the lock: what another thread was told before must not come after this.
        let interest = carrier.charge(rule);
        self.change(&mut watched, interest)
    }

    /// Has the poller watch the wire for this; false if it cannot.
    fn watch(&self, interest: Option<Interest>) -> bool {
        self.change(&mut lock(&self.watched), interest)
    }

    fn change(&self, watched: &mut Option<Interest>, interest: Option<Interest>) -> bool {
        let gone = matches!(*lock(&self.state), State::Gone);
        // Who gives the seat up says so before it comes here.
        let interest = interest.filter(|_| !gone);
        if *watched == interest {
            return true;
        }
        let done = self.hub.poller.watch(self.id, &self.wire, *watched, interest).is_ok();
        if done {
            *watched = interest;
        }
        done
    }
}

/// What became of a request.
enum Begun {
    /// It is with a handler, or will never be.
    Handling,
    /// The connection that it came on has become another.
    Switched,
}

/// What reading what nobody wants gave.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Forgot {
    /// Nothing is there.
    Nothing,
    Some,
    /// Nothing more will come.
    End,
}

/// The next step of a greeting.
struct Step {
    seat: Arc<Seat>,
    greeting: Box<Greeting>,
}

impl Step {
    fn take(self) {
        let Step { seat, mut greeting } = self;
        let mut wants = Wants::default();
        let polled = greeting.poll(
            &seat.hub.settings,
            Some(&seat.quota),
            &mut Cx::new(Instant::now(), seat.hub.poller.waker(), &mut wants),
        );
        match polled {
            Poll::Pending => {
                let interest = wants.wires.first().map(|(_, interest)| *interest);
                let mut state = lock(&seat.state);
                if matches!(*state, State::Handshaking) {
                    *state = State::Greeting(greeting);
                }
                drop(state);
                if interest.is_none() || !seat.watch(interest) {
                    seat.leave();
                }
            }
            Poll::Ready(Ok(Some(carrier))) => {
                let mut state = lock(&seat.state);
                let open = matches!(*state, State::Handshaking);
                if open {
                    *state = State::Open(carrier.clone());
                }
                drop(state);
                if open {
                    seat.keep(&carrier);
                    // What came with the greeting is a request already, perhaps.
                    seat.stir();
                }
            }
            Poll::Ready(Ok(None) | Err(_)) => seat.leave(),
        }
    }
}

impl Job for Step {
    fn run(self: Box<Self>) {
        self.take();
    }

    fn refuse(self: Box<Self>) {
        self.seat.leave();
    }
}
