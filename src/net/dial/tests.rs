use super::*;
#[cfg(unix)]
use crate::net::Unix;
use crate::net::{Connect, Resolve};
use crate::net::{PairEnd, Proxy, Waiter, Wants, pair};
use std::{
    cell::RefCell,
    collections::HashMap,
    net::{TcpListener, ToSocketAddrs},
    sync::{Mutex, mpsc},
};

#[cfg(feature = "tls")]
mod tls;

fn target(scheme: &str, host: &str, port: u16) -> Target {
    Target { scheme: scheme.into(), host: host.into(), port }
}

/// Polls once, at this time.
fn poll_at(dial: &mut Dial, now: Instant, waiter: &Waiter, wants: &mut Wants) -> Poll<Result<Dialled>> {
    wants.clear();
    dial.poll(&mut Cx::new(now, waiter.waker(), wants))
}

/// Polls and waits until the dial is over.
fn finish(mut dial: Dial) -> Result<Dialled> {
    let (mut waiter, mut wants, mut ready) = (Waiter::new(), Wants::default(), Vec::new());
    loop {
        if let Poll::Ready(result) = poll_at(&mut dial, Instant::now(), &waiter, &mut wants) {
            return result;
        }
        let wires: Vec<(&dyn Wire, Interest)> =
            wants.wires.iter().map(|(wire, interest)| (&**wire, *interest)).collect();
        waiter.wait(&wires, wants.until, &mut ready);
    }
}

fn error(result: Result<Dialled>) -> Error {
    match result {
        Ok(_) => panic!("it was dialled"),
        Err(e) => e,
    }
}

/// A resolver with a table.
struct Table(HashMap<&'static str, Vec<SocketAddr>>);

impl Resolve for Table {
    fn resolve(&self, host: &str, port: u16, _: Deadline) -> io::Result<Vec<SocketAddr>> {
        let found = self.0.get(host).ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no such name"))?;
        Ok(found.iter().map(|a| if a.port() == 0 { SocketAddr::new(a.ip(), port) } else { *a }).collect())
    }
}

fn over(host: &'static str, addresses: &[SocketAddr]) -> Via {
    let table = HashMap::from([(host, addresses.to_vec())]);
    Via::Network { resolver: Some(Arc::new(Table(table))), local: None }
}

/// A connector with one end of a pair, which notes whom it was asked for.
struct Hand {
    end: Mutex<Option<PairEnd>>,
    asked: Mutex<Vec<String>>,
}

impl Connect for Hand {
    fn connect(&self, target: &Target, _: Deadline) -> Result<Box<dyn Wire>> {
        self.asked.lock().unwrap().push(format!("{}://{}:{}", target.scheme, target.host, target.port));
        match self.end.lock().unwrap().take() {
            Some(end) => Ok(Box::new(end)),
            None => Err(Error::other("no wire is left")),
        }
    }
}

/// A connector, and the end of the peer.
fn hand() -> (Arc<Hand>, PairEnd) {
    let (near, far) = pair(1 << 16);
    (Arc::new(Hand { end: Mutex::new(Some(near)), asked: Mutex::default() }), far)
}

fn read(end: &PairEnd) -> Vec<u8> {
    let mut buf = vec![0; 1 << 16];
    let n = end.try_read(&mut buf).unwrap_or(0);
    buf.truncate(n);
    buf
}

fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// An address where nobody listens.
fn dead(host: &str) -> SocketAddr {
    TcpListener::bind((host, 0)).unwrap().local_addr().unwrap()
}

#[test]
fn a_literal_address() {
    let (listener, address) = listen();
    let plan = DialPlan::new(target("http", "127.0.0.1", address.port()));
    let dialled = finish(Dial::new(plan)).unwrap();
    assert_eq!((dialled.wire.peer_addr(), &dialled.addresses[..]), (Some(address), &[address][..]));
    assert!(dialled.tls.is_none() && dialled.leftover.is_empty() && dialled.out.is_empty());
    let (mut server, _) = listener.accept().unwrap();
    assert_eq!(dialled.wire.try_write(b"hi").unwrap(), 2);
    let mut buf = [0; 2];
    io::Read::read_exact(&mut server, &mut buf).unwrap();
    assert_eq!(&buf, b"hi");
}

#[test]
fn a_name_of_the_system() {
    let (_listener, address) = listen();
    let plan = DialPlan::new(target("http", "localhost", address.port()));
    assert!(("localhost", 1).to_socket_addrs().is_ok());
    let dialled = finish(Dial::new(plan)).unwrap();
    assert_eq!(dialled.wire.peer_addr(), Some(address));
    let plan = DialPlan::new(target("http", "no\0name", 1));
    let error = error(finish(Dial::new(plan)));
    assert_eq!((error.kind(), error.phase()), (ErrorKind::Connect, Phase::Resolve));
}

#[test]
fn a_dead_address_is_passed_over() {
    let (_listener, address) = listen();
    let mut plan = DialPlan::new(target("http", "two.example", 80));
    plan.via = over("two.example", &[dead("127.0.0.2"), dead("127.0.0.3"), address]);
    let dialled = finish(Dial::new(plan)).unwrap();
    assert_eq!((dialled.wire.peer_addr(), dialled.addresses.len()), (Some(address), 3));
}

#[test]
fn nobody_answers() {
    let (one, two) = (dead("127.0.0.2"), dead("127.0.0.3"));
    let mut plan = DialPlan::new(target("http", "dead.example", 80));
    plan.via = over("dead.example", &[one, two]);
    let error = error(finish(Dial::new(plan)));
    assert_eq!((error.kind(), error.phase()), (ErrorKind::Connect, Phase::Connect));
    assert_eq!(error.processed(), crate::error::Processed::No);
    assert!(error.is_retryable());
    let text = error.to_string();
    assert!(text.starts_with("connect to dead.example:80: "), "{text}");
    assert!(text.contains(&one.to_string()) && text.contains(&two.to_string()) && text.contains("refused"), "{text}");
    assert!(StdError::source(&error).is_some());
}

#[test]
fn an_address_that_was_the_name_is_said_once() {
    let address = dead("127.0.0.2");
    let plan = DialPlan::new(target("http", "127.0.0.2", address.port()));
    let text = error(finish(Dial::new(plan))).to_string();
    assert!(text.starts_with(&format!("connect to {address}: ")) && text.contains("refused"), "{text}");
    assert_eq!(text.matches("127.0.0.2").count(), 1, "{text}");
}

#[test]
fn of_many_dead_addresses_some_are_told() {
    let addresses: Vec<SocketAddr> = (2..22).map(|n| dead(&format!("127.0.0.{n}"))).collect();
    let mut plan = DialPlan::new(target("http", "dead.example", 80));
    plan.via = over("dead.example", &addresses);
    let text = error(finish(Dial::new(plan))).to_string();
    assert!(text.ends_with("; and 12 more"), "{text}");
}

#[test]
fn names_that_are_not_found() {
    for (host, part) in [("other.example", "no such name"), ("empty.example", "no address")] {
        let mut plan = DialPlan::new(target("http", host, 80));
        plan.via = over("empty.example", &[]);
        let error = error(finish(Dial::new(plan)));
        assert_eq!((error.kind(), error.phase()), (ErrorKind::Connect, Phase::Resolve), "{host}");
        assert!(error.to_string().contains(part) && error.to_string().contains(host), "{error}");
    }
}

#[test]
fn the_local_address() {
    let (listener, address) = listen();
    let mut plan = DialPlan::new(target("http", "127.0.0.1", address.port()));
    plan.via = Via::Network { resolver: None, local: Some("127.0.0.9".parse().unwrap()) };
    let _dialled = finish(Dial::new(plan.clone())).unwrap();
    assert_eq!(listener.accept().unwrap().1.ip().to_string(), "127.0.0.9");
    plan.via = Via::Network { resolver: None, local: Some("::1".parse().unwrap()) };
    let error = error(finish(Dial::new(plan)));
    assert!(error.kind() == ErrorKind::Connect && error.to_string().contains("other family"), "{error}");
}

#[test]
fn a_lookup_wakes_whoever_waits_and_nobody_else() {
    let (send, receive) = mpsc::channel::<Vec<SocketAddr>>();
    let mut lookup = Lookup::with(move || receive.recv().map_err(io::Error::other)).unwrap();
    let mut waiter = Waiter::new();
    assert!(lookup.poll(waiter.waker()).is_none());
    send.send(vec!["127.0.0.1:1".parse().unwrap()]).unwrap();
    waiter.wait(&[], Deadline::NEVER, &mut Vec::new());
    assert_eq!(lookup.poll(waiter.waker()).unwrap().unwrap().len(), 1);
    assert!(lookup.poll(waiter.waker()).is_none());

    let (send, receive) = mpsc::channel::<Vec<SocketAddr>>();
    let (over, ended) = mpsc::channel::<()>();
    let lookup = Lookup::with(move || {
        let _over = over;
        receive.recv().map_err(io::Error::other)
    });
    drop(lookup);
    drop(send);
    // The thread ends by itself.
    assert!(ended.recv().is_err());
}

#[test]
fn a_lookup_has_a_deadline_of_its_own() {
    let start = Instant::now();
    let (resolve, connect) = (start + Duration::from_secs(2), start + Duration::from_secs(10));
    for (resolve_by, connect_by, passed) in [
        (Deadline::at(resolve), Deadline::at(connect), resolve),
        (Deadline::NEVER, Deadline::at(connect), connect),
        (Deadline::at(connect), Deadline::at(resolve), resolve),
    ] {
        let plan = DialPlan { resolve_by, connect_by, ..DialPlan::new(target("http", "slow.example", 80)) };
        let (_never, receive) = mpsc::channel::<Vec<SocketAddr>>();
        let mut dial = Dial::new(plan);
        dial.stage = Stage::Lookup(Lookup::with(move || receive.recv().map_err(io::Error::other)).unwrap());
        let (waiter, mut wants) = (Waiter::new(), Wants::default());
        assert!(poll_at(&mut dial, start, &waiter, &mut wants).is_pending());
        assert_eq!(wants.until, Deadline::at(passed));
        assert!(poll_at(&mut dial, passed - Duration::from_nanos(1), &waiter, &mut wants).is_pending());
        let Poll::Ready(result) = poll_at(&mut dial, passed, &waiter, &mut wants) else { panic!("not over") };
        let error = error(result);
        assert_eq!(
            (error.kind(), error.phase(), error.elapsed()),
            (ErrorKind::TimedOut, Phase::Resolve, passed - start)
        );
        assert!(error.is_timeout() && error.to_string().contains("slow.example"));
    }
}

/// Sockets whose fate is written down: when each connects, or fails.
#[derive(Default)]
struct Script {
    fates: HashMap<u8, Fate>,
    started: RefCell<Vec<(u8, Duration)>>,
    now: std::cell::Cell<Duration>,
}

#[derive(Clone, Copy)]
enum Fate {
    Connects(u64),
    Fails(u64),
    Never,
    Refused,
}

impl Sockets for Script {
    type Socket = u8;

    fn start(&self, address: SocketAddr) -> io::Result<u8> {
        let IpAddr::V4(ip) = address.ip() else { panic!("an IPv4 address was expected") };
        let id = ip.octets()[3];
        self.started.borrow_mut().push((id, self.now.get()));
        match self.fates[&id] {
            Fate::Refused => Err(io::ErrorKind::ConnectionRefused.into()),
            _ => Ok(id),
        }
    }

    fn is_connected(&self, id: &u8) -> io::Result<bool> {
        let due = |at| self.now.get() >= Duration::from_millis(at);
        match self.fates[id] {
            Fate::Connects(at) => Ok(due(at)),
            Fate::Fails(at) if due(at) => Err(io::ErrorKind::ConnectionReset.into()),
            Fate::Fails(_) | Fate::Never | Fate::Refused => Ok(false),
        }
    }
}

#[test]
fn races() {
    use Fate::*;
    // The fates; when each was started; who won, and when the race was over.
    type Row<'a> = (&'a [Fate], &'a [(u8, u64)], Option<u8>, u64);
    #[rustfmt::skip]
    let rows: [Row; 10] = [
        (&[Connects(0), Never],                        &[(0, 0)],                             Some(0), 0),
        (&[Connects(240), Connects(0)],                &[(0, 0)],                             Some(0), 240),
        (&[Never, Connects(0)],                        &[(0, 0), (1, 250)],                   Some(1), 250),
        (&[Never, Never, Connects(600)],               &[(0, 0), (1, 250), (2, 500)],         Some(2), 600),
        (&[Connects(600), Never, Never, Never],        &[(0, 0), (1, 250), (2, 500)],         Some(0), 600),
        (&[Refused, Connects(0)],                      &[(0, 0), (1, 0)],                     Some(1), 0),
        (&[Fails(100), Connects(120)],                 &[(0, 0), (1, 100)],                   Some(1), 120),
        (&[Never, Fails(300), Connects(310)],          &[(0, 0), (1, 250), (2, 300)],         Some(2), 310),
        (&[Refused, Fails(10), Refused],               &[(0, 0), (1, 0), (2, 10)],            None,    10),
        (&[Never, Refused, Connects(0)],               &[(0, 0), (1, 250), (2, 250)],         Some(2), 250),
    ];
    for (n, (fates, started, winner, over)) in rows.into_iter().enumerate() {
        let script = Script { fates: (0..).zip(fates.iter().copied()).collect(), ..Script::default() };
        let addresses = (0..fates.len()).map(|id| SocketAddr::from(([127, 0, 0, id as u8], 1))).collect();
        let begin = Instant::now();
        let mut race = Race::new(addresses, begin);
        // A clock that goes on by 10 ms, and more often than what the race asks for.
        let mut ms = 0;
        let won = loop {
            script.now.set(Duration::from_millis(ms));
            match race.step(begin + Duration::from_millis(ms), &script) {
                Lap::Running => ms += 10,
                Lap::Won(_, id) => break Some(id),
                Lap::Lost => break None,
            }
            assert!(ms < 2000, "row {n}");
        };
        let expected: Vec<_> = started.iter().map(|(id, at)| (*id, Duration::from_millis(*at))).collect();
        assert_eq!(*script.started.borrow(), expected, "row {n}");
        assert_eq!((won, ms), (winner, over), "row {n}");
        let failed = race.failed().count();
        let tried = if winner.is_some() { 1 } else { 0 };
        assert_eq!(race.into_spare().len(), fates.len() - failed - tried, "row {n}");
    }
}

#[test]
fn families_take_turns() {
    let parse = |list: &[&str]| list.iter().map(|a| format!("{a}:1").parse().unwrap()).collect::<Vec<SocketAddr>>();
    let rows: [(&[&str], &[&str]); 6] = [
        (&[], &[]),
        (&["1.1.1.1"], &["1.1.1.1"]),
        (&["[::1]", "[::2]", "[::3]", "1.1.1.1", "1.1.1.2"], &["[::1]", "1.1.1.1", "[::2]", "1.1.1.2", "[::3]"]),
        (&["1.1.1.1", "[::1]", "[::2]", "[::3]"], &["1.1.1.1", "[::1]", "[::2]", "[::3]"]),
        (&["1.1.1.1", "1.1.1.2", "[::1]"], &["1.1.1.1", "[::1]", "1.1.1.2"]),
        (&["1.1.1.1", "1.1.1.1", "1.1.1.2"], &["1.1.1.1", "1.1.1.2"]),
    ];
    for (found, turns) in rows {
        assert_eq!(Vec::from(race::in_turns(&parse(found))), parse(turns), "{found:?}");
    }
    for (len, expected) in [(race::MOST - 1, race::MOST - 1), (race::MOST, race::MOST), (race::MOST + 1, race::MOST)] {
        let many: Vec<SocketAddr> = (0..len).map(|n| SocketAddr::from(([10, 0, 0, n as u8], 1))).collect();
        assert_eq!(race::in_turns(&many).len(), expected);
    }
}

#[test]
fn silent_addresses_are_named_when_time_is_up() {
    let mut plan = DialPlan::new(target("http", "silent.example", 80));
    let begin = Instant::now();
    plan.connect_by = Deadline::at(begin + Duration::from_secs(10));
    let mut dial = Dial::new(plan);
    // Two listeners whose sockets are never asked: `Never` of the script, as real sockets.
    let (listener, address) = listen();
    let fated = dead("127.0.0.2");
    dial.started = Some(begin);
    dial.failed.push((fated, io::Error::from(io::ErrorKind::ConnectionRefused).into()));
    let mut race = Race::new([address].into(), begin);
    struct Silent;
    impl Sockets for Silent {
        type Socket = Arc<Tcp>;
        fn start(&self, address: SocketAddr) -> io::Result<Arc<Tcp>> {
            Ok(Arc::new(Tcp::new(start_connect(address, None)?)?))
        }
        fn is_connected(&self, _: &Arc<Tcp>) -> io::Result<bool> {
            Ok(false)
        }
    }
    assert!(matches!(race.step(begin, &Silent), Lap::Running));
    let text = dial.timed_out(&Stage::Race(race)).to_string();
    let expected = format!(
        "connect to silent.example:80: no connection within 10s: {fated}: connection refused; {address}: no answer"
    );
    assert_eq!(text, expected);
    drop(listener);
}

#[test]
fn a_caller_can_make_the_wire() {
    let (connector, far) = hand();
    let mut plan = DialPlan::new(target("http", "any.example", 80));
    plan.via = Via::Connector(connector.clone());
    let dialled = finish(Dial::new(plan.clone())).unwrap();
    dialled.wire.try_write(b"x").unwrap();
    assert_eq!(read(&far), b"x");
    let error = error(finish(Dial::new(plan.clone())));
    assert_eq!((error.kind(), error.phase()), (ErrorKind::Other, Phase::Connect));

    // With a proxy it is asked for that.
    plan.route = Proxy::new("http://proxy.example:3128").unwrap().route(&plan.target).unwrap();
    let (connector, _far) = hand();
    plan.via = Via::Connector(connector.clone());
    let dialled = finish(Dial::new(plan)).unwrap();
    assert!(dialled.out.is_empty());
    assert_eq!(*connector.asked.lock().unwrap(), ["http://proxy.example:3128"]);
}

#[cfg(unix)]
#[test]
fn a_unix_socket() {
    let path = std::env::temp_dir().join(format!("bowline-dial-{}", std::process::id()));
    let _ = std::fs::remove_file(&path);
    let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let mut plan = DialPlan::new(target("http", "any.example", 80));
    plan.via = Via::Unix(path.clone());
    plan.route = Proxy::new("http://nobody.example").unwrap().route(&plan.target).unwrap();
    let dialled = finish(Dial::new(plan.clone())).unwrap();
    let server = Unix::new(listener.accept().unwrap().0).unwrap();
    dialled.wire.try_write(b"x").unwrap();
    assert_eq!(server.try_read(&mut [0; 2]).unwrap(), 1);
    std::fs::remove_file(&path).unwrap();
    let error = error(finish(Dial::new(plan)));
    assert_eq!((error.kind(), error.phase()), (ErrorKind::Connect, Phase::Connect));
}

/// A dial through a proxy that is asked for a tunnel to `a.example:7`, and the proxy's end.
fn tunnel(proxy: &str) -> (Dial, PairEnd) {
    let (connector, far) = hand();
    let mut plan = DialPlan::new(target("http", "a.example", 7));
    let Some(server) = Proxy::new(proxy).unwrap().route(&plan.target).unwrap().proxy().cloned() else {
        panic!("a proxy was expected")
    };
    plan.route = Route::Tunnel(server);
    plan.via = Via::Connector(connector);
    plan.connect_by = Deadline::after(Duration::from_secs(60));
    (Dial::new(plan), far)
}

const CONNECT: &[u8] = b"CONNECT a.example:7 HTTP/1.1\r\nHost: a.example:7\r\n\r\n";

#[test]
fn a_tunnel_through_a_proxy() {
    let (mut dial, far) = tunnel("http://p");
    let (waiter, mut wants) = (Waiter::new(), Wants::default());
    let now = Instant::now();
    assert!(poll_at(&mut dial, now, &waiter, &mut wants).is_pending());
    assert_eq!(wants.wires.len(), 1);
    assert_eq!(wants.wires[0].1, Interest::Read);
    assert_eq!(read(&far), CONNECT);
    for byte in b"HTTP/1.1 200 OK\r\n\r" {
        far.try_write(&[*byte]).unwrap();
        assert!(poll_at(&mut dial, now, &waiter, &mut wants).is_pending());
    }
    far.try_write(b"\nfirst words").unwrap();
    let Poll::Ready(Ok(dialled)) = poll_at(&mut dial, now, &waiter, &mut wants) else { panic!("no tunnel") };
    assert_eq!(dialled.leftover.peek(), b"first words");
    assert!(dialled.out.is_empty());
}

#[test]
fn a_proxy_that_fails() {
    type Peer = fn(PairEnd);
    let rows: [(Peer, ErrorKind, &str); 4] = [
        (|far| drop(far.try_write(b"HTTP/1.1 407 no\r\n\r\n")), ErrorKind::Handshake, "407"),
        (|far| drop(far.try_write(b"nonsense")), ErrorKind::PeerViolation, "not HTTP/1"),
        (|far| drop(far), ErrorKind::Closed, "instead of answering"),
        (|far| far.finish().unwrap(), ErrorKind::Closed, "instead of answering"),
    ];
    for (n, (peer, kind, part)) in rows.into_iter().enumerate() {
        let (mut dial, far) = tunnel("http://p");
        let (waiter, mut wants) = (Waiter::new(), Wants::default());
        assert!(poll_at(&mut dial, Instant::now(), &waiter, &mut wants).is_pending());
        peer(far);
        let Poll::Ready(result) = poll_at(&mut dial, Instant::now(), &waiter, &mut wants) else { panic!("row {n}") };
        let error = error(result);
        assert_eq!((error.kind(), error.phase()), (kind, Phase::Proxy), "row {n}: {error}");
        assert!(error.to_string().contains(part), "row {n}: {error}");
    }
    let (mut dial, _far) = tunnel("http://p");
    let (waiter, mut wants) = (Waiter::new(), Wants::default());
    assert!(poll_at(&mut dial, Instant::now(), &waiter, &mut wants).is_pending());
    let late = wants.until.instant().unwrap();
    let Poll::Ready(result) = poll_at(&mut dial, late, &waiter, &mut wants) else { panic!("not over") };
    let error = error(result);
    assert_eq!((error.kind(), error.phase()), (ErrorKind::TimedOut, Phase::Proxy));
}

#[cfg(feature = "socks")]
#[test]
fn a_tunnel_through_socks() {
    let (mut dial, far) = tunnel("socks5://me:it@p");
    let (waiter, mut wants) = (Waiter::new(), Wants::default());
    let steps: [(&[u8], &[u8]); 3] = [
        (b"\x05\x02\x00\x02", b"\x05\x02"),
        (b"\x01\x02me\x02it", b"\x01\x00"),
        (b"\x05\x01\x00\x03\x09a.example\x00\x07", b"\x05\x00\x00\x01\0\0\0\0\0\0hello"),
    ];
    for (said, answer) in steps {
        assert!(poll_at(&mut dial, Instant::now(), &waiter, &mut wants).is_pending());
        assert_eq!(read(&far), said);
        far.try_write(answer).unwrap();
    }
    let Poll::Ready(Ok(dialled)) = poll_at(&mut dial, Instant::now(), &waiter, &mut wants) else { panic!("no tunnel") };
    assert_eq!(dialled.leftover.peek(), b"hello");
}

#[test]
fn dropping_a_dial_closes_what_it_opened() {
    let (mut dial, far) = tunnel("http://p");
    let (waiter, mut wants) = (Waiter::new(), Wants::default());
    assert!(poll_at(&mut dial, Instant::now(), &waiter, &mut wants).is_pending());
    assert_eq!(read(&far), CONNECT);
    drop(dial);
    wants.clear();
    assert_eq!(far.try_read(&mut [0; 1]).unwrap(), 0);
}

#[cfg(not(feature = "tls"))]
#[test]
fn https_needs_a_feature() {
    let error = error(finish(Dial::new(DialPlan::new(target("https", "127.0.0.1", 1)))));
    assert_eq!(error.kind(), ErrorKind::Unsupported);
}
