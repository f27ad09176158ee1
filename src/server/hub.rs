//! What the threads of a server share, and the one that accepts connections and watches those that nobody waits on.

use super::{
    Handler,
    budget::{self, Budget, Share, Shares, Streams, Unread},
    greet::Greeting,
    journal::{Journal, ServerStats},
    later::Waiting,
    lobby::{self, Lobby},
    peers::{Peer, Peers},
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
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

/// The token of the listener; connections have others.
const LISTENER: u64 = 0;

/// How many connections are accepted before those that are there get their turn: each costs as much as some requests.
const ACCEPTS: usize = 8;

/// How many descriptors are kept for looking who comes.
const SPARE: usize = 8;

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
    /// What its connections have besides one each.
    handlers: Arc<Budget>,
    begun: Arc<Budget>,
    streams: Arc<Budget>,
    unread: Arc<AtomicUsize>,
    seats: Mutex<Seats>,
    /// Somebody waits for a place.
    is_crowded: AtomicBool,
    draining: OnceLock<Draining>,
}

#[derive(Default)]
struct Seats {
    all: HashMap<u64, Arc<Seat>>,
    peers: Peers,
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
        let (handlers, streams) = (Budget::new(workers.extras()), Budget::new(settings.max_total_streams));
        let begun = Budget::new(budget::BEGUN);
        Arc::new(Hub {
            settings: Arc::new(settings),
            handler,
            poller,
            workers,
            waiting: Waiting::default(),
            active: AtomicUsize::new(0),
            journal,
            handlers,
            begun,
            streams,
            unread: Arc::default(),
            seats: Mutex::default(),
            is_crowded: AtomicBool::new(false),
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
        let mut rows: Vec<_> = self.all_seats().iter().filter_map(|seat| Some(seat.carrier()?.info())).collect();
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
        let lobby = Lobby::default();
        let mut front =
            Front { hub: self, listener, spare: Vec::new(), watched: None, paused: None, lobby, places, next_id };
        let left = front.run();
        front.close_listener();
        self.workers.close();
        self.all_seats().iter().for_each(Seat::cut);
        self.waiting.clear();
        self.journal.cut();
        self.journal.flush();
        left
    }

    /// Counts a connection that is about to get a seat; returns what it has a share of.
    fn expect(&self, peer: Peer) -> Shares {
        let mut seats = self.seats();
        let connections = seats.all.len() + 1;
        let has = seats.peers.add(peer);
        let handlers = Share::new(self.handlers.clone(), has.handlers.clone());
        let streams = Share::new(self.streams.clone(), has.streams.clone());
        let unread = Unread::new(self.unread.clone(), has.unread.clone());
        let begun = Share::new(self.begun.clone(), has.begun.clone());
        Shares { handlers, begun, streams: Streams::new(streams, unread, connections) }
    }

    fn add(&self, seat: Arc<Seat>) {
        self.seats().all.insert(seat.id, seat);
    }

    /// A connection is gone.
    pub(super) fn remove(&self, id: u64) {
        let mut seats = self.seats();
        let Some(seat) = seats.all.remove(&id) else { return };
        seats.peers.remove(seat.who);
        drop(seats);
        if self.is_crowded.load(Ordering::SeqCst) || self.draining.get().is_some() {
            self.poller.waker().wake();
        }
    }

    fn is_welcome(&self, peer: Peer) -> bool {
        peer == Peer::Local || self.with_peers(|peers| peers.count(peer)) < self.settings.max_per_peer
    }

    pub(super) fn all_seats(&self) -> Vec<Arc<Seat>> {
        self.seats().all.values().cloned().collect()
    }

    pub(super) fn with_peers<R>(&self, f: impl FnOnce(&Peers) -> R) -> R {
        f(&self.seats().peers)
    }
}

/// The thread in front: the only one that accepts, and that waits for the poller.
struct Front<'a> {
    hub: &'a Arc<Hub>,
    listener: Option<Arc<Listener>>,
    /// Descriptors that are kept for those in the lobby when the system has no others: nobody gets a place without them.
    spare: Vec<Listener>,
    /// What the poller watches the listener for.
    watched: Option<Interest>,
    /// The system had no descriptor left: until when nothing is accepted.
    paused: Option<Instant>,
    /// Those that wait for a place, and who makes room for them.
    lobby: Lobby,
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
                // A client may leave with its answer before the handler has seen that it was sent.
                let active = hub.active.load(Ordering::SeqCst);
                if (count == 0 && active == 0) || until.has_passed(now) {
                    return active;
                }
            }
            // Handlers take descriptors as well, and without one of these nobody is let in.
            self.keep_spare();
            self.watch_listener(now);
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
            if !self.lobby.is_empty() {
                self.admit(now);
            }
            if now >= next_tick {
                next_tick = now + tick;
                self.each_seat(|seat| seat.on_tick(now));
                hub.waiting.on_tick(now);
            }
        }
    }

    fn each_seat(&self, f: impl Fn(&Arc<Seat>)) {
        self.hub.all_seats().iter().for_each(f);
    }

    /// Returns how long there is nothing to do but what is reported.
    fn until(&mut self, count: usize, next_tick: Instant) -> Deadline {
        let tick = if count > 0 { Deadline::at(next_tick) } else { Deadline::NEVER };
        let drained = self.hub.draining.get().map_or(Deadline::NEVER, |draining| draining.until);
        let again = self.places.again(Instant::now()).filter(|_| !self.lobby.is_empty());
        tick.earlier(drained).earlier(Deadline::from(self.paused)).earlier(Deadline::from(again))
    }

    /// Watches the listener, but for pauses.
    fn watch_listener(&mut self, now: Instant) {
        let Some(listener) = &self.listener else { return };
        self.paused = self.paused.filter(|until| *until > now);
        let wanted = self.paused.is_none().then_some(Interest::Read);
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
        (self.spare, self.lobby) = (Vec::new(), Lobby::default());
    }

    fn accept(&mut self, now: Instant) {
        let Some(listener) = self.listener.clone() else { return };
        for _ in 0..ACCEPTS {
            match listener.accept() {
                Ok(Some(accepted)) => {
                    self.receive(accepted.into_wire(), now);
                    if self.lobby.is_crowded() && !self.turn_away(now) {
                        // The others are as well off where they are.
                        self.paused = Some(now + Listener::PAUSE);
                        break;
                    }
                }
                Ok(None) => break,
                Err(e) if Listener::is_exhausted(&e) && (self.spare.pop().is_some() || self.turn_away(now)) => {}
                // Whatever it is, the listener is all a server has: it is tried again.
                Err(e) => {
                    if Listener::is_exhausted(&e) {
                        self.make_room(None, now);
                    }
                    self.paused = Some(now + Listener::PAUSE);
                    break;
                }
            }
        }
    }

    /// Takes a connection in, at least to the lobby.
    fn receive(&mut self, wire: Arc<dyn Wire>, now: Instant) {
        self.hub.journal.accepted.fetch_add(1, Ordering::Relaxed);
        if !self.hub.is_welcome(lobby::peer_of(&wire)) {
            return self.refuse(&wire);
        }
        if self.lobby.is_empty() && self.has_place() {
            self.lobby.moves();
            return self.seat(wire, now);
        }
        self.lobby.enter(wire, now);
        self.admit(now);
    }

    /// Closes a connection for which there is little hope; false if there is none.
    fn turn_away(&mut self, now: Instant) -> bool {
        let hopeless = self.hub.with_peers(|peers| self.lobby.give_up(peers, now));
        if let Some(wire) = &hopeless {
            self.refuse(wire);
        }
        hopeless.is_some()
    }

    /// Gives places to those in the lobby, as long as there are any.
    fn admit(&mut self, now: Instant) {
        // Said first: who leaves from now on says so.
        self.hub.is_crowded.store(true, Ordering::SeqCst);
        while let Some(peer) = self.hub.with_peers(|peers| self.lobby.next(peers)) {
            if self.has_place() {
                self.lobby.moves();
            } else {
                match self.make_room(Some(peer), now) {
                    Room::None => return self.lobby.stands_still(now),
                    Room::Spared => self.lobby.moves(),
                    Room::Taken => {}
                }
            }
            let Some(wire) = self.lobby.take(peer) else { continue };
            // Another one of the same peer may have got a place since it came.
            if self.hub.is_welcome(peer) {
                self.seat(wire, now);
            } else {
                self.refuse(&wire);
            }
        }
        self.hub.is_crowded.store(false, Ordering::SeqCst);
    }

    /// Has a connection closed for another one of `newcomer`, or of whoever it is that cannot even be looked at.
    fn make_room(&mut self, newcomer: Option<Peer>, now: Instant) -> Room {
        let Some(leaves) = self.places.find(self.hub, newcomer, now) else { return Room::None };
        let room = if leaves.is_spare(now) || leaves.new_since().is_some() { Room::Spared } else { Room::Taken };
        self.hub.journal.evicted.fetch_add(1, Ordering::Relaxed);
        leaves.evict();
        room
    }

    /// Takes what is missing of the descriptors that are kept, as far as the system has any.
    fn keep_spare(&mut self) {
        if let Some(listener) = self.listener.as_ref().filter(|_| self.spare.len() < SPARE) {
            let spare = std::iter::from_fn(|| listener.spare().ok());
            self.spare.extend(spare.take(SPARE - self.spare.len()));
        }
    }

    /// Returns whether nobody has to make room.
    fn has_place(&mut self) -> bool {
        let count = self.hub.seats().all.len();
        self.keep_spare();
        count == 0 || (count < self.hub.settings.max_connections && self.spare.len() == SPARE)
    }

    fn seat(&mut self, wire: Arc<dyn Wire>, now: Instant) {
        // Settings that cannot be used were found out before the server began.
        let Ok(greeting) = Greeting::new(wire.clone(), &self.hub.settings, now) else { return wire.shutdown() };
        let shares = self.hub.expect(lobby::peer_of(&wire));
        let seat = Seat::new(self.next_id, wire, greeting, self.hub.clone(), shares);
        self.next_id += 1;
        self.hub.add(seat.clone());
        seat.greet();
    }

    fn refuse(&self, wire: &Arc<dyn Wire>) {
        self.hub.journal.turned_away.fetch_add(1, Ordering::Relaxed);
        wire.shutdown();
    }
}

/// What became of the wish for room.
enum Room {
    None,
    /// There is some, of a connection for which nothing was done.
    Spared,
    /// There is some, of a connection for which something was.
    Taken,
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
