//! How many connections each peer has.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr},
    sync::{Arc, atomic::AtomicUsize},
};

/// What counts as one peer.
///
/// Whoever has one address of an IPv6 network has all of its last 64 bits (RFC 4291, section 2.5.4), so they are left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Peer {
    /// On a Unix socket, or a wire of the caller's.
    Local,
    V4(Ipv4Addr),
    /// The network.
    V6(u64),
}

impl Peer {
    pub(super) fn of(ip: Option<IpAddr>) -> Self {
        match ip.map(|ip| ip.to_canonical()) {
            None => Peer::Local,
            Some(IpAddr::V4(ip)) => Peer::V4(ip),
            Some(IpAddr::V6(ip)) => Peer::V6((ip.to_bits() >> 64) as u64),
        }
    }
}

/// The connections of each peer that has any.
#[derive(Debug, Default)]
pub(super) struct Peers {
    counts: HashMap<Peer, Has>,
}

/// What a peer has.
#[derive(Debug, Default)]
pub(super) struct Has {
    connections: usize,
    /// How many handlers, requests that have begun, and streams they have besides one each: counted by them, and by those that are gone
    /// until their last handler is.
    pub(super) handlers: Arc<AtomicUsize>,
    pub(super) begun: Arc<AtomicUsize>,
    pub(super) streams: Arc<AtomicUsize>,
    /// How many bytes they have received that nobody took, above what each may have.
    pub(super) unread: Arc<AtomicUsize>,
}

impl Peers {
    /// Counts one more.
    pub(super) fn add(&mut self, peer: Peer) -> &Has {
        let has = self.counts.entry(peer).or_default();
        has.connections += 1;
        has
    }

    pub(super) fn remove(&mut self, peer: Peer) {
        if let Some(has) = self.counts.get_mut(&peer) {
            has.connections -= 1;
            if has.connections == 0 {
                self.counts.remove(&peer);
            }
        }
    }

    /// Returns how many this one has.
    pub(super) fn count(&self, peer: Peer) -> usize {
        self.counts.get(&peer).map_or(0, |has| has.connections)
    }

    /// Returns how many there are.
    pub(super) fn total(&self) -> usize {
        self.counts.values().map(|has| has.connections).sum()
    }

    /// Returns who has the most, and how many.
    pub(super) fn heaviest(&self) -> Option<(Peer, usize)> {
        self.counts.iter().map(|(peer, has)| (*peer, has.connections)).max_by_key(|(_, n)| *n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_counts_as_one_peer() {
        let of = |ip: &str| Peer::of(Some(ip.parse().unwrap()));
        for (one, other, same) in [
            ("192.0.2.1", "192.0.2.1", true),
            ("192.0.2.1", "192.0.2.2", false),
            ("192.0.2.1", "::ffff:192.0.2.1", true),
            ("::ffff:192.0.2.2", "::ffff:192.0.2.1", false),
            ("2001:db8::1", "2001:db8::2:ffff:ffff:ffff", true),
            ("2001:db8::1", "2001:db8:0:1::1", false),
            ("::1", "127.0.0.1", false),
        ] {
            assert_eq!(of(one) == of(other), same, "{one} and {other}");
        }
        assert_eq!(Peer::of(None), Peer::Local);
    }

    #[test]
    fn who_has_the_most() {
        let mut peers = Peers::default();
        assert_eq!(peers.heaviest(), None);
        let [a, b] = [1, 2].map(Peer::V6);
        for peer in [a, b, b] {
            peers.add(peer);
        }
        assert_eq!((peers.count(a), peers.count(b), peers.heaviest()), (1, 2, Some((b, 2))));
        for peer in [b, b, Peer::Local] {
            peers.remove(peer);
        }
        assert_eq!((peers.count(b), peers.heaviest()), (0, Some((a, 1))));
    }
}
