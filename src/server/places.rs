//! Who makes room for a new connection when there are as many as there may be.
//!
//! Of the peer that has the most connections, the one that has been idle for longest; so one peer that takes all there are loses
//! them to others, and not others theirs to it. Where one peer alone has more than half of all, busy with whatever, even that does
//! not keep out those that have less than half as many. And where more than half of all are of one peer and have asked for nothing
//! yet, the first of those makes room, however short its time was: then there are too many of that kind for each to have it.

use super::{
    hub::Hub,
    peers::{Peer, Peers},
    seat::Seat,
};
use std::{
    sync::{Arc, Weak},
    time::{Duration, Instant},
};

/// After how long it is worth looking again, where none was found.
const AGAIN: Duration = Duration::from_millis(100);

/// How many that have asked for nothing are a crowd at least.
const CROWD: usize = 16;

/// The connections that can make room.
#[derive(Debug, Default)]
pub(super) struct Places {
    idle: Candidates,
    new: Candidates,
}

/// Connections of one kind, all of peers that had `most` connections, or of one of them. Those that can later come behind them all,
/// so a look at all connections is good until these are used up.
#[derive(Debug, Default)]
struct Candidates {
    /// Since when they are of that kind, the longest last.
    all: Vec<(Instant, Weak<Seat>)>,
    most: usize,
    /// There was none: until when nobody looks.
    again: Option<Instant>,
}

/// Since when a connection is of that kind, if it is.
type Since = fn(&Seat, Instant) -> Option<Instant>;

fn idle(seat: &Seat, now: Instant) -> Option<Instant> {
    seat.spare_from().filter(|since| *since <= now)
}

fn new(seat: &Seat, _now: Instant) -> Option<Instant> {
    seat.new_since()
}

impl Places {
    /// Returns when to look again, if there was none lately.
    pub(super) fn again(&mut self, now: Instant) -> Option<Instant> {
        self.idle.again(now)
    }

    /// Returns a connection that makes room for another one of `newcomer`, or of whoever it is.
    pub(super) fn find(&mut self, hub: &Hub, newcomer: Option<Peer>, now: Instant) -> Option<Arc<Seat>> {
        self.idle.find(hub, newcomer, now, idle, 1).or_else(|| busy(hub, newcomer)).or_else(|| {
            let crowd = hub.with_peers(|peers| CROWD.max(peers.total() / 2 + 1));
            self.new.find(hub, newcomer, now, new, crowd)
        })
    }
}

impl Candidates {
    fn again(&mut self, now: Instant) -> Option<Instant> {
        self.again = self.again.filter(|again| *again > now);
        self.again
    }

    /// Returns the first of the kind, if one peer has at least so many of them.
    fn find(
        &mut self,
        hub: &Hub,
        newcomer: Option<Peer>,
        now: Instant,
        since: Since,
        enough: usize,
    ) -> Option<Arc<Seat>> {
        let found = self.next(hub, newcomer, now, since).or_else(|| {
            if self.again(now).is_some() {
                return None;
            }
            self.look(hub, now, since, enough);
            self.next(hub, newcomer, now, since)
        });
        if found.is_none() {
            self.again = self.again(now).or_else(|| now.checked_add(AGAIN));
        }
        found
    }

    /// Takes those of whoever of these has the most connections.
    fn look(&mut self, hub: &Hub, now: Instant, since: Since, enough: usize) {
        let of_kind = |seat: &Arc<Seat>| Some((since(seat, now)?, seat.clone()));
        let all: Vec<_> = hub.all_seats().iter().filter_map(of_kind).collect();
        self.all = hub.with_peers(|peers| {
            let count = |seat: &Seat| peers.count(seat.who);
            self.most = all.iter().map(|(_, seat)| count(seat)).max().unwrap_or(0);
            let heaviest = all.iter().filter(|(_, seat)| count(seat) == self.most);
            heaviest.map(|(since, seat)| (*since, Arc::downgrade(seat))).collect()
        });
        if self.all.len() < enough {
            self.all.clear();
        }
        self.all.sort_unstable_by_key(|(since, _)| std::cmp::Reverse(*since));
    }

    /// Returns the next that is still of the kind. It stays until it is not: whoever waited may have left.
    fn next(&mut self, hub: &Hub, newcomer: Option<Peer>, now: Instant, of_kind: Since) -> Option<Arc<Seat>> {
        while let Some((since, seat)) = self.all.last() {
            let Some(seat) = seat.upgrade().filter(|seat| of_kind(seat, now) == Some(*since)) else {
                self.all.pop();
                continue;
            };
            let (owns, wants) = hub.with_peers(|peers| (peers.count(seat.who), has(peers, newcomer)));
            // Others may have more by now; that is looked at when it is a matter of more than a few.
            if owns < self.most - self.most / 8 {
                self.all.pop();
                continue;
            }
            return (Some(seat.who) == newcomer || wants <= owns).then_some(seat);
        }
        None
    }
}

/// Returns how many connections a newcomer has: who is not known may have none.
fn has(peers: &Peers, newcomer: Option<Peer>) -> usize {
    newcomer.map_or(0, |peer| peers.count(peer))
}

/// Returns the newest connection of a peer that has more than half of all, for one that has less than half of that.
fn busy(hub: &Hub, newcomer: Option<Peer>) -> Option<Arc<Seat>> {
    let heaviest = hub.with_peers(|peers| {
        let (heaviest, most) = peers.heaviest()?;
        (most > peers.total() / 2 && has(peers, newcomer) < most / 2).then_some(heaviest)
    })?;
    hub.all_seats().into_iter().filter(|seat| seat.who == heaviest).max_by_key(|seat| seat.id)
}
