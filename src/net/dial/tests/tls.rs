//! Dialling with TLS, over pairs in memory and real sockets.

use super::*;
use crate::net::TlsClient;
use crate::net::{
    Fed, NoAlpn, Tls, TlsServer,
    tls::certs::{Authority, Identity},
};
use std::thread;

struct Site {
    tls: TlsClient,
    server: TlsServer,
}

fn site(alpn: &[&[u8]]) -> Site {
    let authority = Authority::new("dial");
    let Identity { chain, key } = authority.issue(&["a.example", "proxy.example", "127.0.0.1"]);
    Site {
        tls: Tls::new().add_root_pem(authority.pem().as_bytes()).only_added_roots().compile().unwrap(),
        server: TlsServer::from_pem(chain.as_bytes(), key.as_bytes(), alpn).unwrap(),
    }
}

impl Site {
    fn plan(&self, via: Via) -> DialPlan {
        let mut plan = DialPlan::new(target("https", "a.example", 443));
        plan.tls = Some(self.tls.clone());
        plan.alpn = &[b"h2", b"http/1.1"];
        plan.via = via;
        plan.connect_by = Deadline::after(Duration::from_secs(60));
        plan
    }
}

/// A server of TLS on one wire, moved by hand.
struct Peer {
    wire: Arc<dyn Wire>,
    session: Session,
    raw: RecvBuf,
    plain: RecvBuf,
    out: Vec<u8>,
}

impl Peer {
    fn new(site: &Site, wire: Arc<dyn Wire>) -> Self {
        let session = site.server.start().unwrap();
        Peer { wire, session, raw: RecvBuf::new(), plain: RecvBuf::new(), out: Vec::new() }
    }

    /// Reads, answers, and returns what there was to fail on.
    fn step(&mut self) -> Option<Error> {
        let mut error = None;
        let n = self.wire.try_read(self.raw.space(4096)).unwrap_or(0);
        self.raw.filled(n);
        match self.session.feed(&mut self.raw, &mut self.plain) {
            Ok(Fed::Closed | Fed::Drained | Fed::More) => {}
            Err(e) => error = Some(e.into()),
        }
        self.session.pending(&mut self.out);
        let n = self.wire.try_write(&self.out).unwrap_or(0);
        self.out.drain(..n);
        error
    }
}

/// Moves both ends by turns until the dial is over.
fn by_turns(dial: &mut Dial, mut peer: impl FnMut()) -> Result<Dialled> {
    let (waiter, mut wants) = (Waiter::new(), Wants::default());
    for _ in 0..100_000 {
        if let Poll::Ready(result) = poll_at(dial, Instant::now(), &waiter, &mut wants) {
            return result;
        }
        peer();
    }
    panic!("no end");
}

#[test]
fn a_handshake_in_pieces_of_every_size() {
    for piece in [1, 3, 100, usize::MAX] {
        let site = site(&[b"h2"]);
        let (near, far) = pair(1 << 16);
        let hand = Hand { end: Mutex::new(Some(near.max_piece(piece))), asked: Mutex::default() };
        let mut dial = Dial::new(site.plan(Via::Connector(Arc::new(hand))));
        let mut peer = Peer::new(&site, Arc::new(far.max_piece(piece)));
        let dialled = by_turns(&mut dial, || assert!(peer.step().is_none())).unwrap();
        let mut session = dialled.tls.expect("a session");
        assert_eq!((session.alpn(), session.version()), (Some(&b"h2"[..]), Some("TLS 1.3")));
        assert!(!session.is_handshaking() && dialled.leftover.is_empty());
        // The end of the handshake goes with the first request.
        assert!(!dialled.out.is_empty() && peer.session.is_handshaking());
        let mut out = dialled.out;
        session.seal(b"request", &mut out);
        while !out.is_empty() || peer.plain.is_empty() {
            let n = dialled.wire.try_write(&out).unwrap_or(0);
            out.drain(..n);
            assert!(peer.step().is_none());
        }
        while peer.plain.len() < 7 {
            assert!(peer.step().is_none());
        }
        assert_eq!(peer.plain.peek(), b"request");
    }
}

#[test]
fn handshakes_that_fail() {
    let here = site(&[b"http/1.1"]);
    let plan = |host: &str, site: &Site| {
        let (connector, far) = hand();
        let mut plan = site.plan(Via::Connector(connector));
        plan.target.host = host.into();
        (plan, far)
    };
    let fail = |(plan, far): (DialPlan, PairEnd)| {
        let mut peer = Peer::new(&here, Arc::new(far));
        let error = error(by_turns(&mut Dial::new(plan), || drop(peer.step())));
        assert_eq!((error.kind(), error.phase()), (ErrorKind::Tls, Phase::Tls), "{error}");
        // Our alert has arrived.
        let said = peer.step();
        (error, said)
    };

    let (error, said) = fail(plan("b.example", &here));
    assert!(
        error.to_string().contains("TLS with b.example failed") && error.to_string().contains("a.example"),
        "{error}"
    );
    assert!(said.unwrap().to_string().contains("received fatal alert"));
    let (error, _) = fail(plan("a.example", &site(&[])));
    assert!(error.to_string().contains("UnknownIssuer"), "{error}");
    assert_eq!(error.attached::<NoAlpn>(), None);

    let (mut only_h2, far) = plan("a.example", &here);
    only_h2.alpn = &[b"h2"];
    let (error, _) = fail((only_h2, far));
    assert_eq!(error.attached::<NoAlpn>(), Some(&NoAlpn));
}

#[test]
fn a_peer_that_ends_stalls_or_talks_nonsense() {
    let site = site(&[]);
    for (said, kind) in [
        (&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], ErrorKind::Tls),
        (b"", ErrorKind::Closed),
        (b"\x16\x03\x03", ErrorKind::Closed),
    ] {
        let (connector, far) = hand();
        let mut dial = Dial::new(site.plan(Via::Connector(connector)));
        far.try_write(said).ok();
        far.finish().unwrap();
        let error = error(by_turns(&mut dial, || panic!("it waits")));
        assert_eq!((error.kind(), error.phase()), (kind, Phase::Tls), "{said:?}: {error}");
    }
    let (connector, _far) = hand();
    let plan = site.plan(Via::Connector(connector));
    let late = plan.connect_by.instant().unwrap();
    let mut dial = Dial::new(plan);
    let (waiter, mut wants) = (Waiter::new(), Wants::default());
    assert!(poll_at(&mut dial, Instant::now(), &waiter, &mut wants).is_pending());
    assert_eq!(wants.until.instant(), Some(late));
    let Poll::Ready(result) = poll_at(&mut dial, late, &waiter, &mut wants) else { panic!("not over") };
    let error = error(result);
    assert_eq!((error.kind(), error.phase()), (ErrorKind::TimedOut, Phase::Tls));
    assert!(error.to_string().contains("a.example"), "{error}");
}

#[test]
fn tls_in_a_tunnel_and_tls_in_tls() {
    for proxy in ["http://proxy.example:3128", "https://proxy.example:3128"] {
        let site = site(&[b"http/1.1"]);
        let (connector, far) = hand();
        let mut plan = site.plan(Via::Connector(connector));
        plan.route = Proxy::new(proxy).unwrap().route(&plan.target).unwrap();
        let mut dial = Dial::new(plan);
        let far: Arc<dyn Wire> = Arc::new(far);

        // The proxy's own TLS, until the wire carries what is inside.
        let (waiter, mut wants) = (Waiter::new(), Wants::default());
        let mut outer = Peer::new(&site, far.clone());
        let inside: Arc<dyn Wire> = if proxy.starts_with("https") {
            while outer.plain.is_empty() {
                assert!(poll_at(&mut dial, Instant::now(), &waiter, &mut wants).is_pending());
                assert!(outer.step().is_none());
            }
            assert_eq!(outer.session.alpn(), Some(&b"http/1.1"[..]));
            TlsWire::layer(far, outer.session, outer.plain, outer.out)
        } else {
            assert!(poll_at(&mut dial, Instant::now(), &waiter, &mut wants).is_pending());
            far
        };
        let mut buf = [0; 1000];
        let n = inside.try_read(&mut buf).unwrap();
        assert_eq!(&buf[..n], b"CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n");
        inside.try_write(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();

        let mut peer = Peer::new(&site, inside);
        let dialled = by_turns(&mut dial, || assert!(peer.step().is_none())).unwrap();
        let mut session = dialled.tls.unwrap();
        let mut out = dialled.out;
        session.seal(b"inside", &mut out);
        assert_eq!(dialled.wire.try_write(&out).unwrap(), out.len());
        while peer.plain.is_empty() {
            assert!(peer.step().is_none());
        }
        assert_eq!(peer.plain.peek(), b"inside");
    }
}

#[test]
fn tls_with_a_proxy_that_is_not_trusted() {
    let (here, there) = (site(&[]), site(&[]));
    let (connector, far) = hand();
    let mut plan = here.plan(Via::Connector(connector));
    plan.route = Proxy::new("https://proxy.example").unwrap().route(&plan.target).unwrap();
    let mut peer = Peer::new(&there, Arc::new(far));
    let error = error(by_turns(&mut Dial::new(plan), || drop(peer.step())));
    assert_eq!((error.kind(), error.phase()), (ErrorKind::Tls, Phase::Proxy));
    assert!(error.to_string().contains("proxy.example"), "{error}");
}

#[test]
fn an_address_that_breaks_the_handshake_is_passed_over() {
    let site = site(&[b"h2"]);
    let (broken, first) = listen();
    let (good, second) = listen();
    let server = site.server.clone();
    let peer = thread::spawn(move || {
        // One ends the connection at once, the other speaks TLS.
        drop(broken.accept().unwrap());
        let (socket, _) = good.accept().unwrap();
        let wire: Arc<dyn Wire> = Arc::new(Tcp::new(socket).unwrap());
        let mut peer = Peer {
            wire,
            session: server.start().unwrap(),
            raw: RecvBuf::new(),
            plain: RecvBuf::new(),
            out: Vec::new(),
        };
        let mut waiter = Waiter::new();
        while peer.session.is_handshaking() {
            assert!(peer.step().is_none());
            let wire = peer.wire.clone();
            if peer.session.is_handshaking() {
                waiter.wait(&[(&*wire, Interest::Read)], Deadline::NEVER, &mut Vec::new());
            }
        }
    });
    let dialled = finish(Dial::new(site.plan(over("a.example", &[first, second])))).unwrap();
    assert_eq!(dialled.wire.peer_addr(), Some(second));
    assert_eq!(dialled.tls.unwrap().alpn(), Some(&b"h2"[..]));
    assert_eq!(dialled.wire.try_write(&dialled.out).unwrap(), dialled.out.len());
    peer.join().unwrap();
}

#[test]
fn https_needs_settings() {
    let error = error(finish(Dial::new(DialPlan::new(target("https", "127.0.0.1", 1)))));
    assert_eq!(error.kind(), ErrorKind::Unsupported);
}
