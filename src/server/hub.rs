//! What the threads of a server share, and the one that accepts connections and watches those that nobody waits on.

use super::{
    Handler,
    greet::Greeting,
    journal::{Journal, ServerStats},
    later::Waiting,
    places::Places,
    seat::Seat,
    settings::Settings,
    workers::Workers,
};
use crate::{
    drive::ConnectionInfo,
    net::{Interest, Listener, Poller, Ready, Wire},
    time::Deadline,
};
use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

/// The token of the listener; connections have others.
const LISTENER: u64 = 0;

/// How many connections are accepted before those that are there get their turn.
const ACCEPTS: usize = 64;

/// How often connections are looked at while somebody waits for the end of the server.
const DRAIN_TICK: Duration = Duration::from_millis(20);

/// What the threads of a server share.
pub(super) struct Hub {
    pub(super) settings: Arc<Settings>,
    pub(super) handler: Arc<dyn Handler>,
    pub(super) poller: Poller,
    pub(super) workers: Workers,
    /// Answers whose clients are slow.
    pub(super) waiting: Waiting,
    /// Requests that were not answered to their end.
    pub(super) active: AtomicUsize,
    pub(super) journal: Journal,
    seats: Mutex<Seats>,
    draining: OnceLock<Draining>,
}

#[derive(Default)]
struct Seats {
    all: HashMap<u64, Arc<Seat>>,
    by_peer: HashMap<IpAddr, usize>,
}

/// The server is shutting down.
#[derive(Clone, Copy)]
struct Draining {
    since: Instant,
    until: Deadline,
}

impl std::fmt::Debug for Hub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hub").field("workers", &self.workers).field("active", &self.active).finish_non_exhaustive()
    }
}

impl Hub {
    pub(super) fn new(settings: Settings, handler: Arc<dyn Handler>, poller: Poller, journal: Journal) -> Arc<Self> {
        let workers = Workers::new(settings.workers, settings.queue, settings.max_connections);
        Arc::new(Hub {
            settings: Arc::new(settings),
            handler,
            poller,
            workers,
            waiting: Waiting::default(),
            active: AtomicUsize::new(0),
            journal,
            seats: Mutex::default(),
            draining: OnceLock::new(),
        })
    }

    fn seats(&self) -> MutexGuard<'_, Seats> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns for how long the server has been shutting down, if it is.
    pub(super) fn drains_for(&self) -> Option<Duration> {
        self.draining.get().map(|draining| draining.since.elapsed())
    }

    /// Takes no more, and ends what is left at `until`.
    pub(super) fn drain(&self, until: Deadline) {
        let _ = self.draining.set(Draining { since: Instant::now(), until });
        self.poller.waker().wake();
    }

    /// Returns a row for each connection.
    pub(super) fn connections(&self) -> Vec<ConnectionInfo> {
        let seats: Vec<_> = self.seats().all.values().cloned().collect();
        let mut rows: Vec<_> = seats.iter().filter_map(|seat| Some(seat.carrier()?.info())).collect();
        rows.sort_by_key(|row| row.id);
        rows
    }

    /// Returns what was done so far.
    pub(super) fn stats(&self) -> ServerStats {
        let (queued, threads, waiting) = self.workers.counts();
        let (connections, active) = (self.seats().all.len(), self.active.load(Ordering::SeqCst));
        ServerStats { connections, active, queued, threads, waiting, ..self.journal.stats() }
    }

    /// Accepts and watches until the server is shut down; returns how many exchanges were left then.
    pub(super) fn run(self: &Arc<Self>, listener: Listener) -> usize {
        let listener = Some(Arc::new(listener));
        let (places, next_id) = (Places::default(), LISTENER + 1);
        let mut front = Front { hub: self, listener, watched: None, paused: None, places, next_id };
        let left = front.run();
        front.close_listener();
        self.workers.close();
        let seats: Vec<_> = self.seats().all.values().cloned().collect();
        seats.iter().for_each(Seat::cut);
        self.waiting.clear();
        self.journal.flush();
        left
    }

    fn add(&self, seat: Arc<Seat>) {
        let mut seats = self.seats();
        if let Some(peer) = seat.peer {
            *seats.by_peer.entry(peer.ip()).or_insert(0) += 1;
        }
        seats.all.insert(seat.id, seat);
    }

    /// A connection is gone.
    pub(super) fn remove(&self, id: u64) {
        let mut seats = self.seats();
        let Some(seat) = seats.all.remove(&id) else { return };
        let was_full = seats.all.len() + 1 == self.settings.max_connections;
        if let Some(ip) = seat.peer.map(|peer| peer.ip()) {
            let left = seats.by_peer.get_mut(&ip).map_or(0, |n| {
                *n -= 1;
                *n
            });
            if left == 0 {
                seats.by_peer.remove(&ip);
            }
        }
        drop(seats);
        if was_full || self.draining.get().is_some() {
            self.poller.waker().wake();
        }
    }

    fn is_welcome(&self, ip: Option<IpAddr>) -> bool {
        ip.is_none_or(|ip| self.seats().by_peer.get(&ip).is_none_or(|n| *n < self.settings.max_per_peer))
    }
}

/// The thread in front: the only one that accepts, and that waits for the poller.
struct Front<'a> {
    hub: &'a Arc<Hub>,
    listener: Option<Arc<Listener>>,
    /// What the poller watches the listener for.
    watched: Option<Interest>,
    /// The system had no descriptor left: until when nothing is accepted.
    paused: Option<Instant>,
    /// Who makes room for those that wait.
    places: Places,
    next_id: u64,
}

impl Front<'_> {
    fn run(&mut self) -> usize {
        let hub = self.hub.clone();
        let mut tick = hub.settings.timeouts.tick();
        let mut events: Vec<(u64, Ready)> = Vec::new();
        let mut next_tick = Instant::now() + tick;
        let mut told = false;
        for cancel in &hub.settings.cancels {
            cancel.register(hub.poller.waker());
        }
        loop {
            if hub.settings.cancels.iter().any(|cancel| cancel.is_cancelled()) {
                hub.drain(Deadline::after(hub.settings.grace));
            }
            let now = Instant::now();
            let count = hub.seats().all.len();
            if let Some(Draining { until, .. }) = hub.draining.get().copied() {
                if !std::mem::replace(&mut told, true) {
                    self.close_listener();
                    tick = tick.min(DRAIN_TICK);
                    next_tick = now + tick;
                    self.each_seat(|seat| if seat.carrier().is_some() { seat.stir() } else { seat.on_drain() });
                    continue;
                }
                if count == 0 || until.has_passed(now) {
                    return hub.active.load(Ordering::SeqCst);
                }
            }
            self.watch_listener(count, now);
            let until = self.until(count, next_tick);
            // It fails only for want of memory: then everything is looked at, and again after a pause.
            let waited = hub.poller.wait(until, |token, ready| events.push((token, ready)));
            if waited.is_err() {
                std::thread::sleep(Listener::PAUSE);
            }
            let now = Instant::now();
            let mut waits = false;
            for (token, ready) in events.drain(..) {
                if token == LISTENER {
                    waits = true;
                    continue;
                }
                let seat = hub.seats().all.get(&token).cloned();
                if let Some(seat) = seat {
                    seat.on_ready(ready, now);
                }
            }
            // After the others: one that has just asked for something is not idle.
            if waits {
                self.accept(now);
            }
            if now >= next_tick {
                next_tick = now + tick;
                self.each_seat(|seat| seat.on_tick(now));
                hub.waiting.on_tick(now);
            }
        }
    }

    fn each_seat(&self, f: impl Fn(&Arc<Seat>)) {
        let seats: Vec<_> = self.hub.seats().all.values().cloned().collect();
        seats.iter().for_each(f);
    }

    /// Returns how long there is nothing to do but what is reported.
    fn until(&mut self, count: usize, next_tick: Instant) -> Deadline {
        let tick = if count > 0 { Deadline::at(next_tick) } else { Deadline::NEVER };
        let drained = self.hub.draining.get().map_or(Deadline::NEVER, |draining| draining.until);
        // Without a connection there is room for all.
        let again = self.places.again(Instant::now()).filter(|_| count > 0);
        tick.earlier(drained).earlier(Deadline::from(self.paused)).earlier(Deadline::from(again))
    }

    /// Watches the listener while there is, or can be, room for another connection.
    fn watch_listener(&mut self, count: usize, now: Instant) {
        let Some(listener) = &self.listener else { return };
        self.paused = self.paused.filter(|until| *until > now);
        let full = count >= self.hub.settings.max_connections && self.places.again(now).is_some();
        let wanted = (!full && self.paused.is_none()).then_some(Interest::Read);
        if wanted != self.watched {
            let wire: Arc<dyn Wire> = listener.clone();
            match self.hub.poller.watch(LISTENER, &wire, self.watched, wanted) {
                Ok(()) => self.watched = wanted,
                Err(_) => self.paused = Some(now + Listener::PAUSE),
            }
        }
    }

    fn close_listener(&mut self) {
        if let Some(listener) = self.listener.take() {
            let wire: Arc<dyn Wire> = listener;
            // It is closed in any case.
            let _ = self.hub.poller.watch(LISTENER, &wire, self.watched.take(), None);
        }
    }

    fn accept(&mut self, now: Instant) {
        let Some(listener) = self.listener.clone() else { return };
        for _ in 0..ACCEPTS {
            let idle = if self.is_full() { self.idle(now) } else { None };
            if idle.is_none() && self.is_full() {
                break;
            }
            match listener.accept() {
                Ok(Some(accepted)) => self.seat(accepted.into_wire(), idle, now),
                Ok(None) => break,
                Err(e) => {
                    let exhausted = Listener::is_exhausted(&e);
                    match idle.or_else(|| self.idle(now)).filter(|_| exhausted) {
                        // It has a descriptor to give.
                        Some(idle) => self.evict(&idle),
                        // Whatever else it is, the listener is all a server has: it is tried again.
                        None => {
                            self.paused = Some(now + Listener::PAUSE);
                            break;
                        }
                    }
                }
            }
        }
    }

    /// Returns the connection that has been idle for longest, if any has been for long enough.
    fn idle(&mut self, now: Instant) -> Option<Arc<Seat>> {
        self.places.find(|| self.hub.seats().all.values().cloned().collect(), now)
    }

    fn evict(&self, idle: &Arc<Seat>) {
        self.hub.journal.evicted.fetch_add(1, Ordering::Relaxed);
        idle.evict();
    }

    fn is_full(&self) -> bool {
        self.hub.seats().all.len() >= self.hub.settings.max_connections
    }

    /// Gives a new connection its place; if it needs that of an idle one, it gets it.
    fn seat(&mut self, wire: Arc<dyn Wire>, idle: Option<Arc<Seat>>, now: Instant) {
        self.hub.journal.accepted.fetch_add(1, Ordering::Relaxed);
        if !self.hub.is_welcome(wire.peer_addr().map(|peer| peer.ip())) {
            self.hub.journal.turned_away.fetch_add(1, Ordering::Relaxed);
            return wire.shutdown();
        }
        // Settings that cannot be used were found out before the server began.
        let Ok(greeting) = Greeting::new(wire.clone(), &self.hub.settings, now) else { return wire.shutdown() };
        if let Some(idle) = idle {
            self.evict(&idle);
        }
        let seat = Seat::new(self.next_id, wire, greeting, self.hub.clone());
        self.next_id += 1;
        self.hub.add(seat.clone());
        seat.greet();
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use crate::{error, server::Exchange};
    use std::{
        io::{Read, Write},
        net::{TcpListener, TcpStream},
        thread,
    };

    /// What runs where there is no epoll.
    #[test]
    fn a_server_with_the_portable_poller() {
        let listener = Listener::tcp(TcpListener::bind("127.0.0.1:0").unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        let echo = |mut exchange: Exchange| -> error::Result<()> {
            let body = exchange.take_body();
            exchange.reply(200, body)
        };
        let journal = Journal::default();
        let hub = Hub::new(Settings::default(), Arc::new(echo), Poller::portable(), journal);
        let front = thread::spawn({
            let hub = hub.clone();
            move || hub.run(listener)
        });
        let mut sockets: Vec<_> = (0..5).map(|_| TcpStream::connect(address).unwrap()).collect();
        for round in 0..3 {
            for socket in &mut sockets {
                socket.write_all(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhel").unwrap();
            }
            for socket in &mut sockets {
                socket.write_all(b"lo").unwrap();
                let mut answer = Vec::new();
                while !answer.ends_with(b"\r\n\r\nhello") {
                    let mut buf = [0; 1000];
                    let n = socket.read(&mut buf).unwrap();
                    assert!(n > 0, "round {round}: {}", answer.escape_ascii());
                    answer.extend_from_slice(&buf[..n]);
                }
            }
        }
        hub.drain(Deadline::after(Duration::from_secs(10)));
        assert_eq!(front.join().unwrap(), 0);
    }
}
