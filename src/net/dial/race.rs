//! Which of the addresses answers first (RFC 8305, "happy eyeballs").
//!
//! A connection to the first address is begun; after a quarter of a second without an answer, or at once when it fails, one to the
//! next, beside those that are under way. The first that is connected wins. Nothing here waits or looks at a clock.

use std::{
    collections::VecDeque,
    io,
    net::SocketAddr,
    time::{Duration, Instant},
};

/// How long one address has before the next is tried beside it: the recommended value (RFC 8305, section 8).
pub(super) const STAGGER: Duration = Duration::from_millis(250);

/// The most addresses of one name that are tried. More than this is no service but a mistake, or an attack on somebody else.
pub(super) const MOST: usize = 64;

/// Begins connections and says what became of them.
pub(super) trait Sockets {
    type Socket;
    /// Begins to connect.
    fn start(&self, address: SocketAddr) -> io::Result<Self::Socket>;
    /// Returns whether it is connected; false is not yet.
    fn is_connected(&self, socket: &Self::Socket) -> io::Result<bool>;
}

/// Connections to several addresses, of which one is wanted.
pub(super) struct Race<S> {
    waiting: VecDeque<SocketAddr>,
    /// In the order in which they were begun.
    under_way: Vec<(SocketAddr, S)>,
    failed: Vec<(SocketAddr, io::Error)>,
    /// When the next address is tried, whatever the others do.
    next: Instant,
}

/// What a step of a race came to.
#[derive(Debug, PartialEq)]
pub(super) enum Lap<S> {
    /// No address is left.
    Lost,
    /// Some are under way.
    Running,
    /// This one is connected.
    Won(SocketAddr, S),
}

impl<S> Race<S> {
    /// Returns a race between addresses, the best first.
    pub(super) fn new(addresses: VecDeque<SocketAddr>, now: Instant) -> Self {
        Race { waiting: addresses, under_way: Vec::new(), failed: Vec::new(), next: now }
    }

    /// Looks at what is under way, and begins what is due.
    pub(super) fn step(&mut self, now: Instant, sockets: &impl Sockets<Socket = S>) -> Lap<S> {
        loop {
            let mut at = 0;
            while at < self.under_way.len() {
                match sockets.is_connected(&self.under_way[at].1) {
                    Ok(true) => {
                        let (address, socket) = self.under_way.remove(at);
                        return Lap::Won(address, socket);
                    }
                    Ok(false) => at += 1,
                    Err(e) => {
                        let (address, _) = self.under_way.remove(at);
                        self.fail(address, e, now);
                    }
                }
            }
            if now < self.next && !self.under_way.is_empty() {
                return Lap::Running;
            }
            let Some(address) = self.waiting.pop_front() else {
                return if self.under_way.is_empty() { Lap::Lost } else { Lap::Running };
            };
            match sockets.start(address) {
                Ok(socket) => {
                    self.under_way.push((address, socket));
                    self.next = now + STAGGER;
                }
                Err(e) => self.fail(address, e, now),
            }
        }
    }

    fn fail(&mut self, address: SocketAddr, error: io::Error, now: Instant) {
        self.failed.push((address, error));
        self.next = now;
    }

    /// Returns what is under way.
    pub(super) fn sockets(&self) -> impl Iterator<Item = &S> {
        self.under_way.iter().map(|(_, socket)| socket)
    }

    /// Returns the addresses that have not answered.
    pub(super) fn silent(&self) -> impl Iterator<Item = SocketAddr> {
        self.under_way.iter().map(|(address, _)| *address)
    }

    /// Returns when there is something to do even if nothing happens.
    pub(super) fn next(&self) -> Option<Instant> {
        (!self.waiting.is_empty()).then_some(self.next)
    }

    /// Takes what failed since the last call.
    pub(super) fn failed(&mut self) -> impl Iterator<Item = (SocketAddr, io::Error)> {
        self.failed.drain(..)
    }

    /// Ends the race; returns the addresses that have not failed.
    pub(super) fn into_spare(mut self) -> VecDeque<SocketAddr> {
        for (address, _) in self.under_way.into_iter().rev() {
            self.waiting.push_front(address);
        }
        self.waiting
    }
}

/// Returns the addresses with the families taking turns, beginning with that of the first (RFC 8305, section 4), each once.
pub(super) fn in_turns(addresses: &[SocketAddr]) -> VecDeque<SocketAddr> {
    let mut unique: Vec<SocketAddr> = Vec::new();
    for address in addresses.iter().take(MOST) {
        if !unique.contains(address) {
            unique.push(*address);
        }
    }
    let first_is_v4 = unique.first().is_some_and(SocketAddr::is_ipv4);
    let (first, second): (Vec<_>, Vec<_>) = unique.into_iter().partition(|a| a.is_ipv4() == first_is_v4);
    let mut second = second.into_iter();
    let mut turns = VecDeque::new();
    for address in first {
        turns.push_back(address);
        turns.extend(second.next());
    }
    turns.extend(second);
    turns
}
