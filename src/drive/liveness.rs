//! What a connection does for those who watch over it: its PINGs, since when it is unused, its row of the table.

use super::{
    carrier::Exchanges,
    core::Core,
    info::{ConnectionInfo, UpkeepAction},
    shared::Shared,
};
use crate::time::Stamp;
use std::time::{Duration, Instant};

impl<P: Exchanges> Shared<P> {
    /// Returns its row of the connection table.
    pub(super) fn row(&self) -> ConnectionInfo {
        let peer = self.wire_ref().peer_addr();
        let core = self.lock();
        let mut info = ConnectionInfo {
            peer,
            last_in: core.last_in,
            last_out: core.last_out,
            bytes_in: core.bytes_in,
            bytes_out: core.duplex.touched(),
            rtt: core.rtt,
            ..ConnectionInfo::connecting(self.id, self.origin.clone(), self.created.at())
        };
        if let Some(tls) = &core.duplex.tls {
            info.alpn = tls.alpn().map(|alpn| String::from_utf8_lossy(alpn).into_owned());
            info.tls = tls.describe();
        }
        core.proto.describe(&mut info);
        info.state = core.state(Instant::now());
        info
    }

    /// Looks at what arrived, and sends the PING that is due.
    pub(super) fn keep_up(&self, interval: Duration, now: Instant) -> UpkeepAction {
        Shared::look(self, now);
        let (action, end) = self.with(now, |core, _| {
            if let Some(cause) = &core.over {
                return (cause.reason.to_action(), 0);
            }
            let used = core.last_use(now);
            let action = core.proto.upkeep(interval, used, now, &mut core.duplex.pending);
            (action, core.duplex.framed())
        });
        if action != UpkeepAction::Pinged {
            return action;
        }
        // What the socket did not take, or another thread is just writing, goes out first thing.
        if self.lock().duplex.sent() < end { UpkeepAction::Blocked } else { action }
    }

    /// When that has something to do.
    pub(super) fn keep_up_due(&self, interval: Duration) -> Option<Instant> {
        let core = self.lock();
        if core.over.is_some() { None } else { core.proto.upkeep_due(interval, core.last_use(Instant::now())) }
    }
}

impl<P: Exchanges> Core<P> {
    /// For how long nobody has used it; `None` while something is open on it. A PING of upkeep that is answered counts as use, up
    /// to `keep_idle` after the last request; until the answer comes, or is overdue, it is in use.
    pub(super) fn unused_for(&self, now: Stamp) -> Option<Duration> {
        if !self.proto.is_idle() {
            return None;
        }
        let unused = self.unused_since.age(now);
        Some(match self.kept_at {
            _ if unused >= self.keep_idle => unused,
            _ if self.proto.is_being_kept() => Duration::ZERO,
            Some(kept) => unused.min(kept.age(now)),
            None => unused,
        })
    }

    /// When it was last used; `None` while something is open on it, and once upkeep keeps it no longer.
    pub(super) fn last_use(&self, now: Instant) -> Option<Instant> {
        let unused = self.unused_for(Stamp::just(now)).filter(|unused| *unused < self.keep_idle);
        unused.and_then(|unused| now.checked_sub(unused))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        buf::RecvBuf,
        drive::{Carrier, H2, Opening, Setup},
        net::{self, pair},
        proto::{
            End, Role,
            h1::{Length, TargetForm},
            h2,
        },
    };
    use http::Request;
    use std::sync::Arc;

    const HOUR: Duration = Duration::from_secs(3600);

    /// A connection of a client, unused since a moment ago by the one clock, and since before an hour's sleep by the other; and its peer.
    fn slept() -> (Arc<Shared<H2>>, net::PairEnd) {
        let (near, far) = pair(64 * 1024);
        let now = Instant::now();
        let mut setup = Setup::new(Arc::new(near), None, Vec::new(), RecvBuf::new(), "http://a.test".into(), 1, now);
        let engine = h2::Connection::new(Role::Client, h2::Config::new(Role::Client), now, setup.out());
        let mut shared = Shared::new(setup, H2::new(engine, Role::Client));
        shared.created = shared.created.before_a_sleep(HOUR);
        let mut core = shared.lock();
        core.unused_since = core.unused_since.before_a_sleep(HOUR);
        drop(core);
        (Arc::new(shared), far)
    }

    /// The larger age counts, by whichever clock: Linux's monotonic one stands still while the machine sleeps.
    #[test]
    fn what_the_machine_sleeps_makes_connections_older() {
        let (conn, _far) = slept();
        let ages = conn.ages(Stamp::now());
        assert!(ages.made >= HOUR && ages.unused.is_some_and(|unused| unused >= HOUR), "{ages:?}");
        // A PING of upkeep that was answered keeps it no longer than that either.
        let mut core = conn.lock();
        (core.keep_idle, core.kept_at) = (2 * HOUR, Some(Stamp::now().before_a_sleep(HOUR / 2)));
        assert!(core.unused_for(Stamp::now()).is_some_and(|unused| unused >= HOUR / 2 && unused < HOUR));
        core.keep_idle = HOUR;
        assert!(core.unused_for(Stamp::now()).is_some_and(|unused| unused >= HOUR));
    }

    /// Upkeep is due after a sleep, and a request takes its PING along.
    #[test]
    fn what_the_machine_sleeps_is_silence() {
        let (conn, _far) = slept();
        conn.lock().keep_idle = 2 * HOUR;
        let now = Instant::now();
        assert!(conn.upkeep_due(HOUR / 2).is_some_and(|due| due <= now));
        assert!(conn.upkeep_due(2 * HOUR).is_some_and(|due| due > now));
        let head = Request::get("http://a.test/").body(()).expect("a request");
        let opening = Opening { head: &head, form: TargetForm::Origin, length: Length::Empty };
        let begun = crate::drive::step_once(|cx| conn.clone().poll_open(&opening, &[], End::Last, cx));
        assert!(begun.is_some_and(|begun| begun.is_ok()));
        assert_eq!(conn.info().pings_sent, 1);
    }
}
