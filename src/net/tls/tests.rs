use super::{
    certs::{AUTHORITY_KEY, Authority, pem},
    *,
};
use crate::{
    error::ErrorKind,
    net::{Interest, PairEnd, Tcp, Wire, pair},
};
use rustls::{ServerConfig, SupportedProtocolVersion, server::WebPkiClientVerifier, version};
use std::io;

const BOTH: [&SupportedProtocolVersion; 2] = [&version::TLS12, &version::TLS13];

/// One end of a conversation, with its bytes.
struct End {
    session: Session,
    raw: RecvBuf,
    plain: RecvBuf,
    out: Vec<u8>,
}

impl End {
    fn new(session: Session) -> Self {
        End { session, raw: RecvBuf::new(), plain: RecvBuf::new(), out: Vec::new() }
    }

    fn say(&mut self, plain: &[u8]) {
        self.session.seal(plain, &mut self.out);
    }

    /// Receives raw bytes in pieces of this size at most.
    fn hear(&mut self, bytes: &[u8], piece: usize) -> Result<Fed, TlsError> {
        let mut fed = Ok(Fed::Drained);
        for piece in bytes.chunks(piece) {
            self.raw.extend(piece);
            fed = self.session.feed(&mut self.raw, &mut self.plain);
            self.session.pending(&mut self.out);
            if fed.is_err() {
                break;
            }
        }
        fed
    }

    fn heard(&mut self) -> Vec<u8> {
        self.plain.take(self.plain.len()).to_vec()
    }
}

/// Carries bytes between the two until neither has any; returns the first error of each.
fn talk(client: &mut End, server: &mut End, piece: usize) -> (Option<TlsError>, Option<TlsError>) {
    let mut errors = (None, None);
    client.session.pending(&mut client.out);
    loop {
        let (up, down) = (std::mem::take(&mut client.out), std::mem::take(&mut server.out));
        if up.is_empty() && down.is_empty() {
            return errors;
        }
        if let Err(e) = server.hear(&up, piece) {
            errors.1.get_or_insert(e);
        }
        if let Err(e) = client.hear(&down, piece) {
            errors.0.get_or_insert(e);
        }
    }
}

/// An authority, and a server of one version that it knows as `localhost`, 127.0.0.1 and ::1.
fn server(version: &'static SupportedProtocolVersion, alpn: &[&[u8]]) -> (Authority, TlsServer) {
    let authority = Authority::new("test authority");
    let identity = authority.issue(&["localhost", "127.0.0.1", "::1"]);
    let mut config = ServerConfig::builder_with_provider(default_provider())
        .with_protocol_versions(&[version])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            config::chain(identity.chain.as_bytes()).unwrap(),
            config::private_key(identity.key.as_bytes()).unwrap(),
        )
        .unwrap();
    config.alpn_protocols = alpn.iter().map(|p| p.to_vec()).collect();
    (authority, TlsServer::from_config(Arc::new(config)))
}

fn trusting(authority: &Authority) -> Tls {
    Tls::new().add_root_pem(authority.pem().as_bytes()).only_added_roots()
}

fn client(tls: &Tls, host: &str, alpn: &[&[u8]]) -> End {
    End::new(tls.compile().unwrap().start(host, alpn).unwrap())
}

/// Two ends that have shaken hands.
fn connected(version: &'static SupportedProtocolVersion) -> (End, End) {
    let (authority, server) = server(version, &[]);
    let mut client = client(&trusting(&authority), "localhost", &[]);
    let mut server = End::new(server.start().unwrap());
    assert_eq!(talk(&mut client, &mut server, usize::MAX), (None, None));
    (client, server)
}

#[test]
fn every_version_in_pieces_of_every_size() {
    for version in BOTH {
        let (authority, server) = server(version, &[b"h2", b"http/1.1"]);
        let tls = trusting(&authority).compile().unwrap();
        for piece in [1, 2, 5, 6, 100, 4096, usize::MAX] {
            let mut client = End::new(tls.start("localhost", &[b"http/1.1", b"h2"]).unwrap());
            let mut server = End::new(server.start().unwrap());
            assert!(client.session.is_handshaking());
            assert_eq!(talk(&mut client, &mut server, piece), (None, None), "{version:?} {piece}");
            for end in [&client, &server] {
                assert!(!end.session.is_handshaking() && !end.session.wants_write());
                assert_eq!(end.session.alpn(), Some(&b"h2"[..]));
            }
            let expected = if version == &version::TLS12 { "TLS 1.2" } else { "TLS 1.3" };
            assert_eq!(client.session.version(), Some(expected));
            assert!(client.session.describe().unwrap().starts_with(expected));
            assert_eq!(client.session.peer_certificates().count(), 1);

            client.say(b"ping");
            server.say(&[7; 40_000]);
            assert_eq!(talk(&mut client, &mut server, piece), (None, None));
            assert_eq!((client.heard().len(), server.heard()), (40_000, b"ping".to_vec()));

            client.session.close_notify(&mut client.out);
            client.session.close_notify(&mut client.out);
            assert_eq!(talk(&mut client, &mut server, piece), (None, None));
            assert!(server.session.is_closed() && !client.session.is_closed());
        }
    }
}

#[test]
fn what_follows_close_notify_is_ignored() {
    let (mut client, mut server) = connected(&version::TLS13);
    server.say(b"last");
    server.session.close_notify(&mut server.out);
    server.out.extend_from_slice(b"rubbish");
    assert_eq!(client.hear(&server.out, usize::MAX), Ok(Fed::Closed));
    assert_eq!((client.heard(), client.raw.len()), (b"last".to_vec(), 0));
    assert_eq!(client.hear(b"more rubbish", usize::MAX), Ok(Fed::Closed));
}

#[test]
fn what_does_not_fit_into_the_room_comes_behind_it() {
    let sent: Vec<u8> = (0..50_000u32).map(|n| (n % 251) as u8).collect();
    for room in [1, 7, 4096, 16_384, 40_000, 100_000] {
        let (mut client, mut server) = connected(&version::TLS13);
        server.say(&sent);
        server.session.close_notify(&mut server.out);
        let (mut raw, mut rest, mut got) = (RecvBuf::new(), RecvBuf::new(), Vec::new());
        let mut ends = 0;
        for piece in server.out.chunks(9_000) {
            raw.extend(piece);
            while !raw.is_empty() {
                let mut space = vec![0; room];
                let (n, fed) = client.session.feed_into(&mut raw, &mut space, &mut rest).unwrap();
                got.extend_from_slice(&space[..n]);
                got.extend_from_slice(rest.take(rest.len()));
                ends += u32::from(fed == Fed::Closed);
                assert!(n > 0 || fed != Fed::More, "it goes on for ever");
            }
        }
        assert!(got == sent, "room for {room}");
        assert!(ends == 1 && client.session.is_closed());
    }
    let (mut client, mut server) = connected(&version::TLS13);
    server.say(b"good");
    server.out.extend_from_slice(&[23, 3, 3, 0, 40]);
    server.out.extend_from_slice(&[0; 40]);
    let (mut raw, mut room) = (RecvBuf::new(), [0; 100]);
    raw.extend(&server.out);
    assert!(matches!(client.session.feed_into(&mut raw, &mut room, &mut RecvBuf::new()), Ok((4, _))));
    assert_eq!(room[..4], *b"good");
    assert!(client.session.feed_into(&mut raw, &mut room, &mut RecvBuf::new()).is_err());
    assert!(client.session.feed_into(&mut raw, &mut room, &mut RecvBuf::new()).is_err());
}

#[test]
fn a_cut_is_not_a_close() {
    let (mut client, mut server) = connected(&version::TLS13);
    server.say(b"half of it");
    let cut = server.out.len() - 1;
    assert_eq!(client.hear(&server.out[..cut], usize::MAX), Ok(Fed::Drained));
    assert!(client.plain.is_empty() && !client.session.is_closed());
    // The driver, who saw the end of the wire, asks again.
    assert_eq!(client.hear(b"", 1), Ok(Fed::Drained));
}

#[test]
fn plaintext_is_bounded_while_raw_bytes_wait() {
    let (mut client, mut server) = connected(&version::TLS13);
    let sent: Vec<u8> = (0..1_000_000u32).map(|n| n as u8).collect();
    server.say(&sent);
    client.raw.extend(&server.out);
    let mut seen = Vec::new();
    loop {
        let fed = client.session.feed(&mut client.raw, &mut client.plain).unwrap();
        assert!(client.plain.len() <= PLAIN_LIMIT + 64 * 1024, "{}", client.plain.len());
        seen.append(&mut client.heard());
        match fed {
            Fed::Drained => break,
            fed => assert_eq!(fed, Fed::More),
        }
    }
    assert_eq!(seen, sent);
}

#[test]
fn a_broken_record_is_final_and_told_once() {
    for version in BOTH {
        let (mut client, mut server) = connected(version);
        server.say(b"good");
        let good = server.out.len();
        server.say(b"bad");
        *server.out.last_mut().unwrap() ^= 1;
        let error = client.hear(&server.out, usize::MAX).unwrap_err();
        assert_eq!(client.heard(), b"good", "{good}");
        assert!(!error.is_no_alpn() && !error.is_verdict());
        let alert = std::mem::take(&mut client.out);
        assert!(!alert.is_empty());
        assert_eq!(client.hear(b"x", 1), Err(error));
        client.say(b"dropped");
        client.session.close_notify(&mut client.out);
        assert_eq!(client.out, b"");
        // BadRecordMac, said by the client.
        server.out.clear();
        let said = server.hear(&alert, usize::MAX).unwrap_err();
        assert_eq!(said.to_string(), "received fatal alert: BadRecordMac");
    }
}

#[test]
fn rubbish_in_place_of_a_handshake() {
    let (authority, server) = server(&version::TLS13, &[]);
    for rubbish in [&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], &[0x16, 3, 3, 0xff, 0xff], &[0; 64]] {
        let mut client = client(&trusting(&authority), "localhost", &[]);
        assert!(client.hear(rubbish, 1).is_err(), "{rubbish:?}");
        let mut server = End::new(server.start().unwrap());
        assert!(server.hear(rubbish, 1).is_err(), "{rubbish:?}");
    }
    assert_eq!(client(&trusting(&authority), "localhost", &[]).hear(&[0x16, 3, 3, 0x10], 1), Ok(Fed::Drained));
}

#[test]
fn certificates_that_are_not_trusted() {
    for version in BOTH {
        let (authority, server) = server(version, &[]);
        let stranger = Authority::new("stranger");
        let rows = [
            (trusting(&authority), "localhost", None),
            (trusting(&authority), "127.0.0.1", None),
            (trusting(&authority), "::1", None),
            (trusting(&authority), "example.com", Some("not valid for name")),
            (trusting(&authority), "127.0.0.2", Some("not valid for name")),
            (trusting(&stranger), "localhost", Some("UnknownIssuer")),
            (Tls::new(), "localhost", Some("UnknownIssuer")),
            (Tls::new().add_root_pem(authority.pem().as_bytes()), "localhost", None),
            (Tls::new().dangerously_trust_anyone(), "example.com", None),
        ];
        for (tls, host, expected) in rows {
            let mut client = client(&tls, host, &[]);
            let mut server = End::new(server.start().unwrap());
            let (mine, theirs) = talk(&mut client, &mut server, usize::MAX);
            let Some(expected) = expected else {
                assert_eq!((mine, theirs), (None, None), "{host} {tls:?}");
                continue;
            };
            let mine = mine.expect(host);
            assert!(mine.is_verdict() && mine.to_string().contains(expected), "{host}: {mine}");
            assert!(theirs.expect(host).to_string().starts_with("received fatal alert"));
            let error = Error::from(mine);
            assert_eq!((error.kind(), error.phase()), (ErrorKind::Tls, Phase::Tls));
            assert!(std::error::Error::source(&error).is_some_and(|s| s.is::<rustls::Error>()));
        }
    }
}

#[test]
fn our_own_certificate() {
    for version in BOTH {
        let authority = Authority::new("both sides");
        let identity = authority.issue(&["localhost"]);
        let chain = config::chain(identity.chain.as_bytes()).unwrap();
        let mut roots = rustls::RootCertStore::empty();
        roots.add(config::chain(authority.pem().as_bytes()).unwrap().remove(0)).unwrap();
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), default_provider()).build().unwrap();
        let config = ServerConfig::builder_with_provider(default_provider())
            .with_protocol_versions(&[version])
            .unwrap()
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain, config::private_key(identity.key.as_bytes()).unwrap())
            .unwrap();
        let server = TlsServer::from_config(Arc::new(config));

        let ours = authority.issue(&["me"]);
        let with = trusting(&authority).client_identity_pem(ours.chain.as_bytes(), ours.key.as_bytes());
        let (mut me, mut peer) = (client(&with, "localhost", &[]), End::new(server.start().unwrap()));
        assert_eq!(talk(&mut me, &mut peer, usize::MAX), (None, None));
        assert_eq!(peer.session.peer_certificates().count(), 1);

        let (mut me, mut peer) = (client(&trusting(&authority), "localhost", &[]), End::new(server.start().unwrap()));
        let (mine, theirs) = talk(&mut me, &mut peer, usize::MAX);
        assert!(theirs.is_some() && mine.unwrap().to_string().starts_with("received fatal alert"));
    }
}

#[test]
fn no_protocol_in_common() {
    for version in BOTH {
        let (authority, server) = server(version, &[b"http/1.1"]);
        let mut me = client(&trusting(&authority), "localhost", &[b"h2"]);
        let mut peer = End::new(server.start().unwrap());
        let (mine, theirs) = talk(&mut me, &mut peer, usize::MAX);
        let (mine, theirs) = (mine.unwrap(), theirs.unwrap());
        assert!(mine.is_no_alpn() && mine.is_verdict() && theirs.is_no_alpn());
        assert_eq!(Error::from(mine).attached::<NoAlpn>(), Some(&NoAlpn));

        let mut me = client(&trusting(&authority), "localhost", &[]);
        let mut peer = End::new(server.start().unwrap());
        assert_eq!(talk(&mut me, &mut peer, usize::MAX), (None, None));
        assert_eq!(me.session.alpn(), None);
    }
}

#[test]
fn sessions_are_resumed_whatever_protocol_they_were_for() {
    for version in BOTH {
        let (authority, server) = server(version, &[b"h2", b"http/1.1"]);
        let tls = trusting(&authority).compile().unwrap();
        let offers: [&[&[u8]]; 4] = [&[b"h2", b"http/1.1"], &[b"http/1.1"], &[b"h2"], &[]];
        for (n, alpn) in offers.into_iter().enumerate() {
            let mut client = End::new(tls.clone().start("localhost", alpn).unwrap());
            let mut server = End::new(server.start().unwrap());
            assert_eq!(talk(&mut client, &mut server, usize::MAX), (None, None));
            assert_eq!(client.session.is_resumed(), n > 0, "{version:?} {n}");
            assert_eq!(client.session.alpn(), alpn.first().copied(), "{version:?} {n}");
            client.session.close_notify(&mut client.out);
            talk(&mut client, &mut server, usize::MAX);
        }
    }
}

#[test]
fn a_key_update_is_answered() {
    let (mut client, mut server) = connected(&version::TLS13);
    server.session.inner.refresh_traffic_keys().unwrap();
    server.say(b"new keys");
    assert_eq!(client.hear(&server.out, 3), Ok(Fed::Drained));
    assert_eq!(client.heard(), b"new keys");
    client.say(b"mine too");
    assert_eq!(server.hear(&client.out, 3), Ok(Fed::Drained));
    assert_eq!(server.heard(), b"mine too");
}

#[test]
fn mistakes_are_errors_of_build() {
    let authority = Authority::new("some");
    let (one, other) = (authority.issue(&["localhost"]), pem("PRIVATE KEY", AUTHORITY_KEY));
    let (chain, key) = (one.chain.as_bytes(), other.as_bytes());
    let cut = &authority.pem().into_bytes()[..60];
    let rows = [
        ("no PEM at all", Tls::new().add_root_pem(b"root")),
        ("cut PEM", Tls::new().add_root_pem(cut)),
        ("PEM of a key", Tls::new().add_root_pem(one.key.as_bytes())),
        ("not DER", Tls::new().add_root_pem(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")),
        ("no roots", Tls::new().only_added_roots()),
        ("key of another", Tls::new().client_identity_pem(chain, key)),
        ("no key", Tls::new().client_identity_pem(chain, b"")),
        ("no chain", Tls::new().client_identity_pem(b"", one.key.as_bytes())),
    ];
    for (what, tls) in rows {
        let error = tls.compile().expect_err(what);
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{what}: {error}");
    }
    assert_eq!(TlsServer::from_pem(chain, key, &[]).unwrap_err().kind(), ErrorKind::InvalidInput);
    assert!(TlsServer::from_pem(chain, one.key.as_bytes(), &[b"h2"]).is_ok());
    for host in ["", "a b", "-", "user@host", &"a".repeat(300)] {
        let error = Tls::new().compile().unwrap().start(host, &[]).expect_err(host);
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{host}");
    }
    for host in ["example.com", "example.com.", "127.0.0.1", "::1", "fe80::1%eth0", "a_b.example"] {
        assert!(Tls::new().compile().unwrap().start(host, &[]).is_ok(), "{host}");
    }
    let shown = format!("{:?}", Tls::new().client_identity_pem(chain, one.key.as_bytes()));
    assert!(shown.contains("identity: true") && !shown.contains("PRIVATE"), "{shown}");
}

#[cfg(feature = "rustls-api")]
#[test]
fn the_callers_own_configuration() {
    let (authority, server) = server(&version::TLS13, &[b"h2"]);
    let mut config = (*trusting(&authority).compile().unwrap().config()).clone();
    config.alpn_protocols = vec![b"ignored".to_vec()];
    let tls = Tls::new().rustls(Arc::new(config));
    let mut me = client(&tls, "localhost", &[b"h2"]);
    let mut peer = End::new(server.start().unwrap());
    assert_eq!(talk(&mut me, &mut peer, usize::MAX), (None, None));
    assert_eq!(me.session.alpn(), Some(&b"h2"[..]));
    assert_eq!(tls.key_log().compile().unwrap_err().kind(), ErrorKind::InvalidInput);
    assert!(Tls::new().crypto_provider(default_provider()).compile().is_ok());
}

fn layer<W: Wire + 'static>(inner: &Arc<W>, end: End) -> Arc<dyn Wire> {
    TlsWire::layer(inner.clone(), end.session, end.plain, end.out)
}

type SharedWire = Arc<dyn Wire>;

/// Two wires of TLS that have shaken hands, over a pair with this capacity and piece; and that pair.
fn wires(capacity: usize, piece: usize) -> (SharedWire, SharedWire, [Arc<PairEnd>; 2]) {
    let (client, server) = connected(&version::TLS13);
    let (near, far) = pair(capacity);
    let (near, far) = (Arc::new(near.max_piece(piece)), Arc::new(far.max_piece(piece)));
    (layer(&near, client), layer(&far, server), [near, far])
}

fn is_blocked<T>(result: &io::Result<T>) -> bool {
    matches!(result, Err(e) if e.kind() == io::ErrorKind::WouldBlock)
}

#[test]
fn tls_as_a_wire_carries_every_byte_in_order() {
    for (capacity, piece, room) in [(1, 1, 1), (64, 7, 100), (1 << 20, usize::MAX, 50_000), (20_000, usize::MAX, 3)] {
        let (near, far, _inner) = wires(capacity, piece);
        let sent: Vec<u8> = (0..60_000u32).map(|n| (n % 251) as u8).collect();
        let (mut at, mut seen, mut buf) = (0, Vec::new(), vec![0; room]);
        while seen.len() < sent.len() {
            match near.try_write(&sent[at..]) {
                Ok(n) => at += n,
                written => assert!(is_blocked(&written), "{written:?}"),
            }
            match far.try_read(&mut buf) {
                Ok(n) => seen.extend_from_slice(&buf[..n]),
                read => assert!(is_blocked(&read), "{read:?}"),
            }
        }
        assert_eq!((at, seen == sent), (sent.len(), true), "{capacity} {piece}");
        assert!(is_blocked(&far.try_read(&mut buf)));
    }
}

#[test]
fn plaintext_held_back_by_a_wire_counts_as_readable() {
    let (near, far, _inner) = wires(1 << 20, usize::MAX);
    held_back(&*near, &*far);
    // And with descriptors, which say nothing about it.
    let (client, server) = connected(&version::TLS13);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let near = Tcp::new(std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap()).unwrap();
    let far = Tcp::new(listener.accept().unwrap().0).unwrap();
    held_back(&*layer(&Arc::new(near), client), &*layer(&Arc::new(far), server));
}

fn held_back(near: &dyn Wire, far: &dyn Wire) {
    let mut waiter = crate::net::Waiter::new();
    let mut ready = Vec::new();
    let mut wait = || {
        waiter.wait(&[(far, Interest::Read)], crate::time::Deadline::NEVER, &mut ready);
        ready[0].read
    };
    near.try_write(b"hello").unwrap();
    assert!(!far.has_buffered());
    wait();
    assert_eq!(far.try_read(&mut [0; 2]).unwrap(), 2);
    assert!(far.has_buffered());
    assert!(wait());
    assert_eq!(far.try_read(&mut [0; 9]).unwrap(), 3);
    assert!(!far.has_buffered());
}

#[test]
fn how_a_wire_of_tls_ends() {
    let mut buf = [0; 16];
    let (near, far, _inner) = wires(1 << 20, usize::MAX);
    near.try_write(b"bye").unwrap();
    near.finish().unwrap();
    assert_eq!(far.try_read(&mut buf).unwrap(), 3);
    assert_eq!(far.try_read(&mut buf).unwrap(), 0);
    assert_eq!(far.try_read(&mut buf).unwrap(), 0);
    assert_eq!(far.try_write(b"still").unwrap(), 5);
    assert_eq!(near.try_read(&mut buf).unwrap(), 5);
    far.shutdown();
    assert_eq!(near.try_read(&mut buf).unwrap(), 0);

    let (near, far, [inner, _]) = wires(1 << 20, usize::MAX);
    near.try_write(b"cut").unwrap();
    inner.shutdown();
    assert_eq!(far.try_read(&mut buf).unwrap(), 3);
    for _ in 0..2 {
        assert_eq!(far.try_read(&mut buf).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }

    let (_near, far, [inner, _]) = wires(1 << 20, usize::MAX);
    inner.try_write(b"this is no record of TLS").unwrap();
    for _ in 0..2 {
        assert_eq!(far.try_read(&mut buf).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}
