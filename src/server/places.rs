//! Who makes room for a new connection when there are as many as there may be.
//!
//! Of the peer that has the most connections, the one that has been idle for longest; so one peer that takes all there are loses
//! them to others, and not others theirs to it. Where one peer alone has more than half of all, busy with whatever, even that does
//! not keep out those that have less than half as many.

use super::{hub::Hub, peers::Peer, seat::Seat};
use std::{
    sync::{Arc, Weak},
    time::{Duration, Instant},
};

/// After how long it is worth looking again, where none was idle.
const AGAIN: Duration = Duration::from_millis(100);

/// The connections that can make room.
#[derive(Debug, Default)]
pub(super) struct Places {
    /// Since when they could, the longest last; all of peers that had `most` connections, or of one of them. Those that can later come
    /// behind them all, so a look at all connections is good until these are used up.
    idle: Vec<(Instant, Weak<Seat>)>,
    most: usize,
    /// There was none: until when nobody looks.
    again: Option<Instant>,
}

impl Places {
    /// Returns when to look again, if there was none lately.
    pub(super) fn again(&mut self, now: Instant) -> Option<Instant> {
        self.again = self.again.filter(|again| *again > now);
        self.again
    }

    /// Returns a connection that makes room for another one of `newcomer`.
    pub(super) fn find(&mut self, hub: &Hub, newcomer: Peer, now: Instant) -> Option<Arc<Seat>> {
        let found = self.next(hub, newcomer).or_else(|| {
            if self.again(now).is_some() {
                return None;
            }
            self.look(hub, now);
            self.next(hub, newcomer)
        });
        let found = found.or_else(|| busy(hub, newcomer));
        if found.is_none() {
            self.again = self.again(now).or_else(|| now.checked_add(AGAIN));
        }
        found
    }

    /// Takes those that have been idle for long enough, of whoever of these has the most connections.
    fn look(&mut self, hub: &Hub, now: Instant) {
        let rests = |seat: &Arc<Seat>| Some((seat.spare_from().filter(|since| *since <= now)?, seat.clone()));
        let idle: Vec<_> = hub.all_seats().iter().filter_map(rests).collect();
        self.idle = hub.with_peers(|peers| {
            let count = |seat: &Seat| peers.count(seat.who);
            self.most = idle.iter().map(|(_, seat)| count(seat)).max().unwrap_or(0);
            let heaviest = idle.iter().filter(|(_, seat)| count(seat) == self.most);
            heaviest.map(|(since, seat)| (*since, Arc::downgrade(seat))).collect()
        });
        self.idle.sort_unstable_by_key(|(since, _)| std::cmp::Reverse(*since));
    }

    /// Returns the next that is still idle. It stays until it is not: whoever waited may have left.
    fn next(&mut self, hub: &Hub, newcomer: Peer) -> Option<Arc<Seat>> {
        while let Some((since, seat)) = self.idle.last() {
            let Some(seat) = seat.upgrade().filter(|seat| seat.spare_from() == Some(*since)) else {
                self.idle.pop();
                continue;
            };
            let (has, wants) = hub.with_peers(|peers| (peers.count(seat.who), peers.count(newcomer)));
            // Others may have more by now; that is looked at when it is a matter of more than a few.
            if has < self.most - self.most / 8 {
                self.idle.pop();
                continue;
            }
            return (seat.who == newcomer || wants <= has).then_some(seat);
        }
        None
    }
}

/// Returns the newest connection of a peer that has more than half of all, for one that has less than half of that.
fn busy(hub: &Hub, newcomer: Peer) -> Option<Arc<Seat>> {
    let heaviest = hub.with_peers(|peers| {
        let (heaviest, most) = peers.heaviest()?;
        (most > peers.total() / 2 && peers.count(newcomer) < most / 2).then_some(heaviest)
    })?;
    hub.all_seats().into_iter().filter(|seat| seat.who == heaviest).max_by_key(|seat| seat.id)
}
