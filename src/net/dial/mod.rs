//! From a name to a wire that speaks: look it up, connect, ask the proxy, shake hands, within one deadline.
//!
//! | file | holds |
//! |---|---|
//! | `plan` | what is dialled, and what comes of it |
//! | `lookup` | the first stage: the name has addresses |
//! | `race` | the second: one of the addresses has answered |
//! | `line` | the others: the conversations on the way: with the proxy, and the TLS handshakes |
//!
//! Dropping a [`Dial`] at any stage closes what it has opened.

mod line;
mod lookup;
mod plan;
mod race;
#[cfg(test)]
mod tests;

use super::{Cx, Interest, Route, Session, Target, Tcp, TlsWire, Wire, proxy, start_connect};
use crate::{
    buf::RecvBuf,
    error::{Error, ErrorKind, Phase, Result},
    time::Deadline,
};
use line::{Line, Shake};
use lookup::Lookup;
pub(crate) use plan::{DialPlan, Dialled, Took, Via};
use race::{Lap, Race, Sockets};
use std::{
    collections::VecDeque,
    error::Error as StdError,
    fmt::{self, Write as _},
    io,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    sync::Arc,
    task::Poll,
    time::{Duration, Instant},
};

/// How soon a Unix socket whose queue was full is tried again; nothing says when it has room.
#[cfg(unix)]
const UNIX_RETRY: Duration = Duration::from_millis(10);

/// How many addresses an error tells about.
const TOLD: usize = 8;

/// A connection on its way.
pub(crate) struct Dial {
    plan: DialPlan,
    stage: Stage,
    /// When it began, and when the part of [`Took`] that is being measured did.
    started: Option<Instant>,
    since: Option<Instant>,
    took: Took,
    addresses: Vec<SocketAddr>,
    /// The address that was reached, and those left to try should it turn out to be useless.
    reached: Option<SocketAddr>,
    spare: VecDeque<SocketAddr>,
    /// What the first of them that was understood and found wanting is told: it stands if none of the others does better.
    verdict: Option<Blamed>,
    /// What became of the others.
    failed: Vec<(SocketAddr, Box<dyn StdError + Send + Sync>)>,
}

/// Where a dial is. Each arrow may be an error instead.
///
/// | stage        | next                                                                                             |
/// |--------------|--------------------------------------------------------------------------------------------------|
/// | `Start`      | `Lookup`; `Found` for a literal address or a caller's `Resolve`; as after `Race` for other wires |
/// | `Lookup`     | `Found`                                                                                          |
/// | `Found`      | `Race`                                                                                           |
/// | `Race`       | the first that is needed of `ProxyShake`, `Ask`, `Shake`, `Over`                                 |
/// | `ProxyShake` | the first that is needed of `Ask`, `Shake`, `Over`; `Race` if it failed and addresses are left   |
/// | `Ask`        | the first that is needed of `Shake`, `Over`; `Race` likewise                                     |
/// | `Shake`      | `Over`; `Race` likewise                                                                          |
enum Stage {
    Start,
    /// The system is asked for the addresses.
    Lookup(Lookup),
    /// The lookup is over.
    Found(io::Result<Vec<SocketAddr>>),
    /// Addresses are tried.
    Race(Race<Arc<Tcp>>),
    /// The handshake with an https proxy.
    ProxyShake(Box<Shake>),
    /// The proxy was asked for a tunnel.
    Ask(proxy::Asking, Line),
    /// The handshake with the target.
    Shake(Box<Shake>),
    Over,
}

impl Stage {
    fn phase(&self) -> Phase {
        match self {
            Stage::Start | Stage::Race(_) | Stage::Over => Phase::Connect,
            Stage::Lookup(_) | Stage::Found(_) => Phase::Resolve,
            Stage::ProxyShake(_) | Stage::Ask(..) => Phase::Proxy,
            Stage::Shake(_) => Phase::Tls,
        }
    }
}

/// What a step came to.
enum Turn {
    Done(Box<Dialled>),
    Go(Stage),
    Wait(Stage),
}

/// Why a stage failed.
struct Failure {
    error: Error,
    whose: Whose,
}

/// Whose fault it is that a stage failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whose {
    /// Of the whole dial: no other address is asked.
    All,
    /// Of this address; the next one may do better.
    Address,
    /// Likewise, but of all that can become of the others only success says more: the peer's certificate, or what it does not speak.
    Peer,
}

/// An error, and what was going on.
type Blamed = (Error, Phase);

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure { error, whose: Whose::All }
    }
}

impl Dial {
    /// Returns a dial at its start; nothing happens before the first [`poll`](Self::poll).
    pub(crate) fn new(plan: DialPlan) -> Self {
        Dial {
            plan,
            stage: Stage::Start,
            started: None,
            since: None,
            took: Took::default(),
            addresses: Vec::new(),
            reached: None,
            spare: VecDeque::new(),
            verdict: None,
            failed: Vec::new(),
        }
    }

    /// Goes as far as it can without waiting; only the caller's own [`Connect`] and [`Resolve`] block.
    ///
    /// # Errors
    ///
    /// With the phase it happened in and the time it took; no byte of a request has been sent. `Connect` for a name that is not found
    /// and when no address answers, with what became of each; `TimedOut`; `Tls`; `Handshake` where the proxy said no.
    ///
    /// # Panics
    ///
    /// Panics after it has returned a result.
    pub(crate) fn poll(&mut self, cx: &mut Cx<'_>) -> Poll<Result<Dialled>> {
        self.started.get_or_insert(cx.now);
        self.since.get_or_insert(cx.now);
        loop {
            let stage = std::mem::replace(&mut self.stage, Stage::Over);
            let phase = stage.phase();
            let own = matches!(
                (&stage, &self.plan.via),
                (Stage::Start, Via::Connector(_) | Via::Network { resolver: Some(_), .. })
            );
            let turn = self.step(stage, cx);
            if own {
                // Code of the caller's may have taken any time.
                cx.now = cx.now.max(Instant::now());
            }
            match turn {
                Ok(Turn::Done(dialled)) => return Poll::Ready(Ok(*dialled)),
                Ok(Turn::Go(stage)) => self.stage = stage,
                Ok(Turn::Wait(stage)) => {
                    let deadline = self.deadline(&stage);
                    if deadline.has_passed(cx.now) {
                        let late = (self.timed_out(&stage), phase);
                        let (error, phase) = self.verdict.take().unwrap_or(late);
                        return Poll::Ready(Err(self.blame(error, phase, cx.now)));
                    }
                    cx.wait_until(deadline);
                    self.stage = stage;
                    return Poll::Pending;
                }
                Err(failure) => match self.recover(failure, phase, cx.now) {
                    Ok(stage) => self.stage = stage,
                    Err((error, phase)) => return Poll::Ready(Err(self.blame(error, phase, cx.now))),
                },
            }
        }
    }

    /// Returns what is going on.
    pub(crate) fn phase(&self) -> Phase {
        self.stage.phase()
    }

    fn step(&mut self, stage: Stage, cx: &mut Cx<'_>) -> Result<Turn, Failure> {
        match stage {
            Stage::Start => self.start(cx),
            Stage::Lookup(mut lookup) => match lookup.poll(cx.waker) {
                None => Ok(Turn::Wait(Stage::Lookup(lookup))),
                Some(found) => Ok(Turn::Go(Stage::Found(found))),
            },
            Stage::Found(found) => self.found(found, cx.now),
            Stage::Race(race) => self.race(race, cx),
            Stage::ProxyShake(mut shake) => {
                if !shake.step(cx, &self.plan.first_hop().host)? {
                    return Ok(Turn::Wait(Stage::ProxyShake(shake)));
                }
                let Shake { session, line, plain } = *shake;
                let wire = TlsWire::layer(line.wire, session, plain, line.out);
                self.asking(Line::new(wire), cx.now)
            }
            Stage::Ask(mut asking, mut line) => {
                if !line.ask(&mut asking, cx, &self.plan.first_hop().host)? {
                    return Ok(Turn::Wait(Stage::Ask(asking, line)));
                }
                self.arrived(line, cx.now)
            }
            Stage::Shake(mut shake) => {
                if !shake.step(cx, &self.plan.target.host)? {
                    return Ok(Turn::Wait(Stage::Shake(shake)));
                }
                let lap = self.lap(cx.now);
                self.took.tls += lap;
                let Shake { session, line, plain } = *shake;
                Ok(self.done(line.wire, Some(session), plain, line.out))
            }
            Stage::Over => panic!("a dial was polled after its end"),
        }
    }

    /// Does what needs no waiting: literal addresses, and the caller's own code.
    fn start(&mut self, cx: &mut Cx<'_>) -> Result<Turn, Failure> {
        if self.plan.is_secure() && self.plan.tls.is_none() {
            let text = format!("https to {} needs the feature `tls`", self.plan.target.host);
            return Err(Error::with(ErrorKind::Unsupported, text).into());
        }
        let hop = self.plan.first_hop();
        match &self.plan.via {
            Via::Connector(connector) => {
                let wire = connector.connect(&hop, self.plan.connect_by)?;
                let now = Instant::now();
                if self.plan.connect_by.has_passed(now) {
                    wire.shutdown();
                    return Err(self.timed_out(&Stage::Start).into());
                }
                self.connected(Line::new(Arc::from(wire)), now)
            }
            Via::Unix(path) => self.unix(path.clone(), cx),
            Via::Network { resolver, .. } => {
                let found = if let Ok(address) = hop.host.parse::<IpAddr>() {
                    Ok(vec![SocketAddr::new(address, hop.port)])
                } else if let Some(resolver) = resolver {
                    let deadline = self.plan.resolve_by.earlier(self.plan.connect_by);
                    let found = resolver.resolve(&hop.host, hop.port, deadline);
                    if found.is_ok() && deadline.has_passed(Instant::now()) {
                        Err(io::Error::new(io::ErrorKind::TimedOut, "no answer in time"))
                    } else {
                        found
                    }
                } else {
                    match Lookup::of(hop.host, hop.port) {
                        Ok(lookup) => return Ok(Turn::Go(Stage::Lookup(lookup))),
                        Err(e) => Err(e),
                    }
                };
                Ok(Turn::Go(Stage::Found(found)))
            }
        }
    }

    #[cfg(unix)]
    fn unix(&mut self, path: PathBuf, cx: &mut Cx<'_>) -> Result<Turn, Failure> {
        match super::connect_unix(&path) {
            Ok(socket) => {
                let wire = super::Unix::new(socket).map_err(Error::from)?;
                self.arrived(Line::new(Arc::new(wire)), cx.now)
            }
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                cx.wait_until(Deadline::at(cx.now + UNIX_RETRY));
                Ok(Turn::Wait(Stage::Start))
            }
            Err(e) => {
                let text = format!("connect to {}: {e}", path.display());
                Err(Error::with(ErrorKind::Connect, text).with_source(e).into())
            }
        }
    }

    #[cfg(not(unix))]
    fn unix(&mut self, _: PathBuf, _: &mut Cx<'_>) -> Result<Turn, Failure> {
        Err(Error::with(ErrorKind::Unsupported, "this system has no Unix sockets").into())
    }

    /// Goes on with what the lookup found.
    fn found(&mut self, found: io::Result<Vec<SocketAddr>>, now: Instant) -> Result<Turn, Failure> {
        let host = self.plan.first_hop().host;
        self.addresses = found.map_err(|e| {
            let kind = if e.kind() == io::ErrorKind::TimedOut { ErrorKind::TimedOut } else { ErrorKind::Connect };
            Error::with(kind, format!("look up {host}: {e}")).with_source(e)
        })?;
        if self.addresses.is_empty() {
            return Err(Error::with(ErrorKind::Connect, format!("look up {host}: it has no address")).into());
        }
        let lap = self.lap(now);
        self.took.resolve += lap;
        Ok(Turn::Go(Stage::Race(Race::new(race::in_turns(&self.addresses), now))))
    }

    fn race(&mut self, mut race: Race<Arc<Tcp>>, cx: &mut Cx<'_>) -> Result<Turn, Failure> {
        let Via::Network { local, .. } = &self.plan.via else {
            return Err(Error::new(ErrorKind::Misuse).into());
        };
        let lap = race.step(cx.now, &Network { local: *local });
        self.failed.extend(race.failed().map(|(address, e)| (address, e.into())));
        match lap {
            Lap::Won(address, wire) => {
                self.reached = Some(address);
                self.spare = race.into_spare();
                self.connected(Line::new(wire), cx.now)
            }
            Lap::Lost => Err(self.nobody_answered().into()),
            Lap::Running => {
                for socket in race.sockets() {
                    cx.wait_wire(&(socket.clone() as Arc<dyn Wire>), Interest::Write);
                }
                if let Some(next) = race.next() {
                    cx.wait_until(Deadline::at(next));
                }
                Ok(Turn::Wait(Stage::Race(race)))
            }
        }
    }

    /// Goes on with a wire to the first hop.
    fn connected(&mut self, line: Line, now: Instant) -> Result<Turn, Failure> {
        match self.plan.route.proxy() {
            None => self.arrived(line, now),
            Some(proxy) if proxy.scheme == proxy::Scheme::Https => {
                let shake = self.plan.shake(&proxy.host, &[b"http/1.1"], line)?;
                Ok(Turn::Go(Stage::ProxyShake(Box::new(shake))))
            }
            Some(_) => self.asking(line, now),
        }
    }

    fn asking(&mut self, mut line: Line, now: Instant) -> Result<Turn, Failure> {
        match &self.plan.route {
            Route::Direct | Route::Absolute(_) => self.arrived(line, now),
            Route::Tunnel(proxy) => {
                let Target { host, port, .. } = &self.plan.target;
                let asking = proxy::Asking::start(proxy, host, *port, &mut line.out)?;
                Ok(Turn::Go(Stage::Ask(asking, line)))
            }
        }
    }

    /// Goes on with a wire to the target.
    fn arrived(&mut self, line: Line, now: Instant) -> Result<Turn, Failure> {
        let lap = self.lap(now);
        self.took.connect += lap;
        if self.plan.is_secure() {
            let shake = self.plan.shake(&self.plan.target.host, self.plan.alpn, line)?;
            return Ok(Turn::Go(Stage::Shake(Box::new(shake))));
        }
        Ok(self.done(line.wire, None, line.input, line.out))
    }

    fn done(&mut self, wire: Arc<dyn Wire>, tls: Option<Session>, leftover: RecvBuf, out: Vec<u8>) -> Turn {
        let addresses = std::mem::take(&mut self.addresses);
        Turn::Done(Box::new(Dialled { wire, tls, leftover, out, addresses, took: self.took }))
    }

    /// Returns how long it is since the last stage that is measured.
    fn lap(&mut self, now: Instant) -> Duration {
        let since = self.since.replace(now).unwrap_or(now);
        now.saturating_duration_since(since)
    }

    /// Goes on with another address after a failure that is of this one only, or returns the error.
    fn recover(&mut self, failure: Failure, phase: Phase, now: Instant) -> Result<Stage, Blamed> {
        let Failure { error, whose } = failure;
        match self.reached.take() {
            Some(address) if whose != Whose::All && !self.spare.is_empty() => {
                if whose == Whose::Peer && self.verdict.is_none() {
                    self.failed.push((address, error.to_string().into()));
                    self.verdict = Some((error, phase));
                } else {
                    self.failed.push((address, error.into()));
                }
                Ok(Stage::Race(Race::new(std::mem::take(&mut self.spare), now)))
            }
            _ => Err(self.verdict.take().unwrap_or((error, phase))),
        }
    }

    fn deadline(&self, stage: &Stage) -> Deadline {
        match stage {
            Stage::Lookup(_) => self.plan.resolve_by.earlier(self.plan.connect_by),
            _ => self.plan.connect_by,
        }
    }

    fn timed_out(&mut self, stage: &Stage) -> Error {
        let Target { host, port, .. } = self.plan.first_hop();
        let hop = proxy::authority(&host, port);
        let since = self.started.zip(self.deadline(stage).instant());
        let limit = since.map_or(Duration::ZERO, |(since, at)| at.saturating_duration_since(since));
        Error::with(
            ErrorKind::TimedOut,
            match stage {
                Stage::Lookup(_) | Stage::Found(_) => format!("look up {host}: no answer within {limit:?}"),
                Stage::Race(race) => {
                    self.failed.extend(race.silent().map(|address| (address, "no answer".into())));
                    format!("connect to {hop}: no connection within {limit:?}: {}", self.fates(&hop))
                }
                Stage::ProxyShake(_) => format!("the TLS handshake with the proxy {hop} was not over within {limit:?}"),
                Stage::Ask(..) => format!("the proxy {hop} did not answer within {limit:?}"),
                Stage::Shake(_) => {
                    format!("the TLS handshake with {} was not over within {limit:?}", self.plan.target.host)
                }
                Stage::Start | Stage::Over => format!("connect to {hop}: no connection within {limit:?}"),
            },
        )
    }

    fn nobody_answered(&mut self) -> Error {
        let Target { host, port, .. } = self.plan.first_hop();
        let hop = proxy::authority(&host, port);
        let text = format!("connect to {hop}: {}", self.fates(&hop));
        let error = Error::with(ErrorKind::Connect, text);
        match self.failed.pop() {
            Some((_, source)) => error.with_source(source),
            None => error,
        }
    }

    /// Returns what became of each address of `hop`, as text; where the address is all of its name it is not said again.
    fn fates(&self, hop: &str) -> String {
        let mut text = String::new();
        for (n, (address, fate)) in self.failed.iter().enumerate() {
            if n == TOLD {
                let _ = write!(text, "; and {} more", self.failed.len() - n);
                break;
            }
            let address =
                Some(address.to_string()).filter(|address| address != hop).map(|a| a + ": ").unwrap_or_default();
            let _ = write!(text, "{}{address}{fate}", if n == 0 { "" } else { "; " });
        }
        text
    }

    /// Says in an error when and where it happened.
    fn blame(&self, error: Error, phase: Phase, now: Instant) -> Error {
        let started = self.started.unwrap_or(now);
        error.in_phase(phase).with_elapsed(now.saturating_duration_since(started))
    }
}

impl fmt::Debug for Dial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dial")
            .field("target", &self.plan.target)
            .field("stage", &self.stage.phase())
            .finish_non_exhaustive()
    }
}

/// TCP, from this address if there is one.
struct Network {
    local: Option<IpAddr>,
}

impl Sockets for Network {
    type Socket = Arc<Tcp>;

    fn start(&self, address: SocketAddr) -> io::Result<Arc<Tcp>> {
        if self.local.is_some_and(|local| local.is_ipv4() != address.is_ipv4()) {
            let text = "the local address is of the other family";
            return Err(io::Error::new(io::ErrorKind::AddrNotAvailable, text));
        }
        Ok(Arc::new(Tcp::new(start_connect(address, self.local)?)?))
    }

    fn is_connected(&self, socket: &Arc<Tcp>) -> io::Result<bool> {
        socket.is_connected()
    }
}
