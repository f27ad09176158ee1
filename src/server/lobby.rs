//! Connections that were accepted and have no place yet: so that it is known whose they are before it is decided who makes room.

use super::peers::{Peer, Peers};
use crate::net::Wire;
use std::sync::Arc;

/// How many wait here, besides those that the kernel keeps. A client that waits needs no more than its socket.
const WAITING: usize = 256;

/// Those that wait, in the order in which they came.
#[derive(Default)]
pub(super) struct Lobby {
    waiting: Vec<(Peer, Arc<dyn Wire>)>,
}

impl Lobby {
    pub(super) fn enter(&mut self, wire: Arc<dyn Wire>) {
        self.waiting.push((peer_of(&wire), wire));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(super) fn is_crowded(&self) -> bool {
        self.waiting.len() > WAITING
    }

    /// Returns whose turn it is: of those with the fewest connections the first that came.
    pub(super) fn next(&self, peers: &Peers) -> Option<Peer> {
        self.waiting.iter().map(|(peer, _)| *peer).min_by_key(|peer| peers.count(*peer))
    }

    /// Takes the first one of this peer.
    pub(super) fn take(&mut self, peer: Peer) -> Option<Arc<dyn Wire>> {
        let at = self.waiting.iter().position(|(waits, _)| *waits == peer)?;
        Some(self.waiting.remove(at).1)
    }

    /// Takes one for which there is no hope: of those with the most connections, here and in all, the last that came.
    pub(super) fn last(&mut self, peers: &Peers) -> Option<Arc<dyn Wire>> {
        let here = |peer: Peer| self.waiting.iter().filter(|(waits, _)| *waits == peer).count();
        let mut counts: Vec<(Peer, usize)> = Vec::new();
        for (peer, _) in &self.waiting {
            if !counts.iter().any(|(counted, _)| counted == peer) {
                counts.push((*peer, peers.count(*peer) + here(*peer)));
            }
        }
        let (heaviest, _) = counts.into_iter().max_by_key(|(_, count)| *count)?;
        let at = self.waiting.iter().rposition(|(waits, _)| *waits == heaviest)?;
        Some(self.waiting.remove(at).1)
    }
}

/// Returns whose wire it is.
pub(super) fn peer_of(wire: &Arc<dyn Wire>) -> Peer {
    Peer::of(wire.peer_addr().map(|peer| peer.ip()))
}
