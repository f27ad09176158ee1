//! Liveness: whether the peer is still there, and how far away.

use super::{Config, Misuse};
use std::time::{Duration, Instant};

/// The most PINGs of ours without an answer. Each has to be remembered to be matched.
const MAX_IN_FLIGHT: usize = 64;

/// A PING without an answer.
#[derive(Clone, Copy, Debug)]
struct Flight {
    payload: [u8; 8],
    at: Instant,
    /// When a request went out with it, or behind it, after a rest, if nothing has come in since.
    probe: Option<Instant>,
}

/// When something came in, and what was asked to make sure.
///
/// The peer is dead if a PING is without an answer *and* not one byte came in for a time: a slow link with data in front of
/// the answer is alive.
#[derive(Debug)]
pub(super) struct Liveness {
    flights: Vec<Flight>,
    random: u64,
    /// PINGs of our own accord since the last HEADERS or DATA, and how many there may be.
    unasked: u8,
    max_unasked: u8,
    pub(super) last_in: Instant,
    /// When the peer was alive for certain: what was read late may have come long before.
    pub(super) heard: Instant,
    pub(super) last_out: Instant,
    /// From when on silence is counted: the last byte, or the first stream after a rest.
    quiet_since: Instant,
    pub(super) rtt: Option<Duration>,
    pub(super) sent: u64,
    pub(super) acked: u64,
    pub(super) last_sent: Option<Instant>,
    /// When our SETTINGS went out, until they are acknowledged.
    pub(super) settings_sent: Option<Instant>,
}

/// What a deadline that has passed calls for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// The peer is dead: so long without an answer.
    Dead(Duration),
    /// A PING, to see whether it is.
    Ping,
    /// It never acknowledged our SETTINGS.
    Settings(Duration),
}

impl Liveness {
    pub(super) fn new(config: &Config, now: Instant) -> Self {
        Liveness {
            flights: Vec::new(),
            random: config.seed,
            unasked: 0,
            max_unasked: config.max_unasked_pings,
            last_in: now,
            heard: now,
            last_out: now,
            quiet_since: now,
            rtt: None,
            sent: 0,
            acked: 0,
            last_sent: None,
            settings_sent: Some(now),
        }
    }

    /// Bytes came in.
    pub(super) fn received(&mut self, now: Instant) {
        (self.last_in, self.heard, self.quiet_since) = (now, now, now);
        self.flights.iter_mut().for_each(|flight| flight.probe = None);
    }

    /// The first stream after a rest was opened: nothing was expected until now.
    pub(super) fn expect(&mut self, now: Instant) {
        self.quiet_since = now;
    }

    /// HEADERS or DATA went out or came in.
    pub(super) fn useful(&mut self) {
        self.unasked = 0;
    }

    /// Returns since when a PING is without an answer.
    pub(super) fn outstanding(&self) -> Option<Instant> {
        self.flights.iter().map(|flight| flight.at).min()
    }

    /// Returns a payload that is not in flight.
    pub(super) fn payload(&mut self) -> [u8; 8] {
        loop {
            let payload = self.next_random().to_be_bytes();
            if !self.flights.iter().any(|flight| flight.payload == payload) {
                return payload;
            }
        }
    }

    /// SplitMix64: every state is used once in 2^64 steps, so payloads do not repeat.
    fn next_random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Takes note of a PING the caller asked for.
    ///
    /// # Errors
    ///
    /// A [`Misuse`] if its payload or too many others are in flight.
    pub(super) fn ask(&mut self, payload: [u8; 8], now: Instant) -> Result<(), Misuse> {
        if self.flights.iter().any(|flight| flight.payload == payload) {
            return Err(Misuse::PingInFlight);
        }
        if self.flights.len() >= MAX_IN_FLIGHT {
            return Err(Misuse::TooManyPings);
        }
        self.launch(payload, now, None);
        Ok(())
    }

    fn launch(&mut self, payload: [u8; 8], now: Instant, probe: Option<Instant>) {
        self.flights.push(Flight { payload, at: now, probe });
        self.sent += 1;
        (self.last_sent, self.last_out) = (Some(now), now);
    }

    /// The last PING has left, or something before it has, at this time: only from then on its answer is awaited.
    pub(super) fn left(&mut self, now: Instant) {
        if let Some(flight) = self.flights.last_mut() {
            flight.at = flight.at.max(now);
            flight.probe = flight.probe.map(|at| at.max(now));
            (self.last_sent, self.last_out) = (Some(flight.at), self.last_out.max(flight.at));
        }
    }

    /// Returns the payload of a PING of our own accord, unless one is in flight or enough were sent.
    pub(super) fn unasked(&mut self, now: Instant) -> Option<[u8; 8]> {
        self.launch_unasked(now, None)
    }

    /// Returns the payload of the PING that goes with a request after a rest. If one is in flight, it is that one whose answer the
    /// request waits for, and no longer.
    pub(super) fn probe(&mut self, now: Instant) -> Option<[u8; 8]> {
        for flight in &mut self.flights {
            flight.probe.get_or_insert(now);
        }
        self.launch_unasked(now, Some(now))
    }

    fn launch_unasked(&mut self, now: Instant, probe: Option<Instant>) -> Option<[u8; 8]> {
        if !self.flights.is_empty() || self.unasked >= self.max_unasked {
            return None;
        }
        self.unasked += 1;
        let payload = self.payload();
        self.launch(payload, now, probe);
        Some(payload)
    }

    /// An answer came: returns the time it took, or `None` if nothing asked for it.
    pub(super) fn answer(&mut self, payload: [u8; 8], now: Instant) -> Option<Duration> {
        let at = self.flights.iter().position(|flight| flight.payload == payload)?;
        let rtt = now.saturating_duration_since(self.flights.remove(at).at);
        self.acked += 1;
        self.rtt = Some(rtt);
        Some(rtt)
    }

    /// Returns whether more than half of the time is up that the peer has before it is dead.
    #[inline]
    pub(super) fn is_late(&self, config: &Config, now: Instant) -> bool {
        let late = |(end, since): (Instant, Instant)| {
            now.saturating_duration_since(since) > end.saturating_duration_since(now)
        };
        self.death(config).is_some_and(late)
    }

    /// Returns when the peer is dead if nothing comes in, and since when it is silent then.
    #[inline]
    fn death(&self, config: &Config) -> Option<(Instant, Instant)> {
        // Asked all the time, and hardly ever are there any.
        if self.flights.is_empty() { None } else { self.death_in_flight(config) }
    }

    fn death_in_flight(&self, config: &Config) -> Option<(Instant, Instant)> {
        let after = |at: Instant, limit| at.max(self.last_in).checked_add(limit).map(|end| (end, at.max(self.last_in)));
        let death = |flight: &Flight| {
            let probe = flight.probe.and_then(|at| after(at, config.probe_timeout));
            after(flight.at, config.ping_ack_timeout).into_iter().chain(probe).min()
        };
        self.flights.iter().filter_map(death).min()
    }

    fn settings_deadline(&self, config: &Config) -> Option<Instant> {
        self.settings_sent?.checked_add(config.settings_timeout?)
    }

    fn idle_deadline(&self, config: &Config, busy: bool) -> Option<Instant> {
        let quiet = busy && self.flights.is_empty() && self.unasked < self.max_unasked;
        if quiet { self.quiet_since.checked_add(config.read_idle_ping?) } else { None }
    }

    /// Returns when `due` has something to say; `busy` is whether streams are open.
    pub(super) fn deadline(&self, config: &Config, busy: bool) -> Option<Instant> {
        let death = self.death(config).map(|(at, _)| at);
        let deadlines = [death, self.settings_deadline(config), self.idle_deadline(config, busy)];
        deadlines.into_iter().flatten().min()
    }

    /// Returns what a deadline that has passed calls for.
    pub(super) fn due(&self, config: &Config, busy: bool, now: Instant) -> Option<Due> {
        let passed = |deadline: Option<Instant>| deadline.is_some_and(|at| at <= now);
        if let Some((_, since)) = self.death(config).filter(|(at, _)| *at <= now) {
            return Some(Due::Dead(now.saturating_duration_since(since)));
        }
        if passed(self.settings_deadline(config)) {
            return Some(Due::Settings(now.saturating_duration_since(self.settings_sent?)));
        }
        passed(self.idle_deadline(config, busy)).then_some(Due::Ping)
    }
}
