//! Connections that were accepted and have no place yet: so that it is known whose they are before it is decided who makes room.

use super::peers::{Peer, Peers};
use crate::net::Wire;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// How many wait here before others are left in the kernel's queue. A client that waits needs no more than its socket.
const WAITING: usize = 256;

/// How long one waits, or all of them if nobody gets a place, before it makes room for others that wait behind it: many times what it
/// takes until a connection that is not used is idle.
const HOPES: Duration = Duration::from_secs(1);

/// Those that wait, in the order in which they came.
#[derive(Default)]
pub(super) struct Lobby {
    waiting: Vec<Waiting>,
    /// Since when nobody has made room that could be spared.
    stuck: Option<Instant>,
}

struct Waiting {
    peer: Peer,
    since: Instant,
    wire: Arc<dyn Wire>,
}

impl Lobby {
    pub(super) fn enter(&mut self, wire: Arc<dyn Wire>, now: Instant) {
        self.waiting.push(Waiting { peer: peer_of(&wire), since: now, wire });
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(super) fn is_crowded(&self) -> bool {
        self.waiting.len() > WAITING
    }

    /// Returns whose turn it is: of those with the fewest connections the first that came.
    pub(super) fn next(&self, peers: &Peers) -> Option<Peer> {
        self.waiting.iter().map(|waiting| waiting.peer).min_by_key(|peer| peers.count(*peer))
    }

    /// Nobody makes room for whose turn it is.
    pub(super) fn stands_still(&mut self, now: Instant) {
        self.stuck.get_or_insert(now);
    }

    /// There was room, or somebody idle has made some.
    pub(super) fn moves(&mut self) {
        self.stuck = None;
    }

    /// Takes the first one of this peer.
    pub(super) fn take(&mut self, peer: Peer) -> Option<Arc<dyn Wire>> {
        let at = self.waiting.iter().position(|waiting| waiting.peer == peer)?;
        Some(self.waiting.remove(at).wire)
    }

    /// Takes one that has little hope, for somebody who may have more of it: that has waited for long, of those with the most connections;
    /// or the newest of a peer that has more than half of all.
    pub(super) fn give_up(&mut self, peers: &Peers, now: Instant) -> Option<Arc<dyn Wire>> {
        let half = peers.total() / 2;
        if let Some(at) = self.waiting.iter().rposition(|waiting| peers.count(waiting.peer) > half) {
            return Some(self.waiting.remove(at).wire);
        }
        let late = |waiting: &&Waiting| {
            let since = self.stuck.map_or(waiting.since, |stuck| stuck.min(waiting.since));
            now.saturating_duration_since(since) >= HOPES
        };
        let heaviest = self.waiting.iter().take_while(late).map(|waiting| waiting.peer);
        let heaviest = heaviest.max_by_key(|peer| peers.count(*peer))?;
        self.take(heaviest)
    }
}

/// Returns whose wire it is.
pub(super) fn peer_of(wire: &Arc<dyn Wire>) -> Peer {
    Peer::of(wire.peer_addr().map(|peer| peer.ip()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::{Interest, Waker};
    use std::{io, net::SocketAddr};

    /// A wire that is only somebody's.
    #[derive(Debug)]
    struct Of(SocketAddr);

    impl Wire for Of {
        fn try_read(&self, _: &mut [u8]) -> io::Result<usize> {
            Ok(0)
        }
        fn try_write(&self, _: &[u8]) -> io::Result<usize> {
            Ok(0)
        }
        fn watch(&self, _: Interest, _: &Waker) {}
        fn finish(&self) -> io::Result<()> {
            Ok(())
        }
        fn shutdown(&self) {}
        fn peer_addr(&self) -> Option<SocketAddr> {
            Some(self.0)
        }
    }

    #[test]
    fn who_has_least_is_first_and_who_has_most_gives_up() {
        let wire = |last: u8, port: u16| -> Arc<dyn Wire> { Arc::new(Of(([192, 0, 2, last], port).into())) };
        let [one, two, three] = [wire(1, 1), wire(2, 1), wire(3, 1)].map(|wire| peer_of(&wire));
        let mut peers = Peers::default();
        for peer in [one, one, two, three] {
            peers.add(peer);
        }
        let (mut lobby, began) = (Lobby::default(), Instant::now());
        for (last, port, late) in [(1, 1, 0), (1, 2, 1), (2, 3, 2), (1, 4, 1000), (2, 5, 1000)] {
            lobby.enter(wire(last, port), began + Duration::from_millis(late));
        }
        let port = |wire: Option<Arc<dyn Wire>>| wire.map(|wire| wire.peer_addr().unwrap().port());
        assert_eq!((lobby.next(&peers), port(lobby.take(two))), (Some(two), Some(3)));
        // One millisecond below a second, at it, and above.
        for (millis, gone) in [(999, None), (1000, Some(1)), (1000, None), (1001, Some(2)), (1500, None)] {
            let now = began + Duration::from_millis(millis);
            assert_eq!(port(lobby.give_up(&peers, now)), gone, "after {millis} ms");
        }
        assert_eq!(port(lobby.give_up(&peers, began + Duration::from_secs(2))), Some(4), "of the peer with most");
        assert_eq!((port(lobby.take(two)), lobby.is_empty()), (Some(5), true));
        // Where nothing moves, whoever comes waits no longer.
        for (moves, millis, gone) in [(false, 999, None), (false, 1000, Some(6)), (true, 1000, None)] {
            let mut lobby = Lobby::default();
            lobby.stands_still(began);
            lobby.stands_still(began + Duration::from_millis(500));
            if moves {
                lobby.moves();
            }
            lobby.enter(wire(1, 6), began + Duration::from_millis(900));
            let now = began + Duration::from_millis(millis);
            assert_eq!(port(lobby.give_up(&peers, now)), gone, "after {millis} ms, and it moves: {moves}");
        }
        // Who has more than half of all does not keep others waiting behind it.
        peers.remove(three);
        let mut lobby = Lobby::default();
        for (last, port) in [(1, 7), (1, 8), (2, 9)] {
            lobby.enter(wire(last, port), began);
        }
        for gone in [Some(8), Some(7), None] {
            assert_eq!(port(lobby.give_up(&peers, began)), gone);
        }
    }
}
