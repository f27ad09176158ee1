//! What ALPN decides.

use super::*;
use crate::tls;
use crate::tls::certs::Authority;
use bowline::{Phase, Tls};
use rustls::{ServerConfig, ServerConnection, StreamOwned, server::Acceptor};
use std::io::{Read, Write};

struct Secure {
    peer: Peer,
    authority: Authority,
    config: Arc<ServerConfig>,
}

type Session = StreamOwned<ServerConnection, TcpStream>;

impl Secure {
    fn new(alpn: &[&[u8]]) -> Self {
        let authority = Authority::new("protocol test");
        let identity = authority.issue(&["127.0.0.1"]);
        let config = tls::config(&identity, alpn);
        Secure { peer: Peer::new(), authority, config }
    }

    fn ask(&self, protocol: Protocol) -> Task<Result<Response>> {
        let tls = Tls::new().add_root_pem(self.authority.pem().as_bytes()).only_added_roots();
        let client = builder(protocol).tls(tls).build().unwrap();
        let url = format!("https://{}/", self.peer.address());
        task(move || client.post(url).body("secret").send())
    }

    /// Takes a connection; returns what was offered by ALPN, and the session if the handshake succeeds.
    fn accept(&self) -> (Vec<String>, io::Result<Session>) {
        let mut socket = self.peer.accept().socket;
        let mut acceptor = Acceptor::default();
        let accepted = loop {
            acceptor.read_tls(&mut socket).unwrap();
            if let Some(accepted) = acceptor.accept().map_err(|(e, _)| e).unwrap() {
                break accepted;
            }
        };
        let offered = accepted.client_hello().alpn().into_iter().flatten();
        let offered = offered.map(|p| String::from_utf8_lossy(p).into_owned()).collect();
        let session = match accepted.into_connection(self.config.clone()) {
            Ok(session) => session,
            Err((e, mut alert)) => {
                alert.write(&mut socket).unwrap();
                return (offered, Err(io::Error::other(e)));
            }
        };
        let mut session = StreamOwned::new(session, socket);
        let done = loop {
            if !session.conn.is_handshaking() {
                break Ok(());
            }
            if let Err(e) = session.conn.complete_io(&mut session.sock) {
                break Err(e);
            }
        };
        (offered, done.map(|()| session))
    }
}

/// Everything that comes, to the end.
fn everything(session: &mut Session) -> Vec<u8> {
    let mut all = Vec::new();
    // It may end without close_notify.
    let _ = session.read_to_end(&mut all);
    all
}

fn serve(session: &mut Session, version: Version) {
    let mut bytes = Vec::new();
    let mut piece = [0; 4096];
    let mut until = |session: &mut Session, end: &dyn Fn(&[u8]) -> bool| {
        while !end(&bytes) {
            let n = session.read(&mut piece).unwrap();
            assert!(n > 0);
            bytes.extend_from_slice(&piece[..n]);
        }
    };
    if version == Version::HTTP_2 {
        until(session, &|bytes| bytes.windows(6).any(|w| w == b"secret"));
        assert_eq!(&bytes[..PREFACE.len()], PREFACE);
        let frames = [vec![Frame::settings(&[]), Frame::settings_ack()], answer(1, 200, b"")].concat();
        session.write_all(&concat(&frames)).unwrap();
    } else {
        until(session, &|bytes| bytes.ends_with(b"secret"));
        assert!(bytes.starts_with(b"POST / HTTP/1.1\r\n"));
        session.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").unwrap();
    }
    session.flush().unwrap();
}

#[test]
fn alpn_decides() {
    use Protocol::*;
    let (h1, h2) = (Version::HTTP_11, Version::HTTP_2);
    type Row<'a> = (Protocol, &'a [&'a str], &'a [&'a [u8]], Version);
    let rows: &[Row<'_>] = &[
        (Auto, &["h2", "http/1.1"], &[b"h2", b"http/1.1"], h2),
        (Auto, &["h2", "http/1.1"], &[b"http/1.1"], h1),
        (Auto, &["h2", "http/1.1"], &[], h1),
        (Http1, &["http/1.1"], &[b"h2", b"http/1.1"], h1),
        (Http1, &["http/1.1"], &[], h1),
        (Http2, &["h2"], &[b"http/1.1", b"h2"], h2),
        (Http2WithoutAlpn, &["h2"], &[b"h2"], h2),
        (Http2WithoutAlpn, &["h2"], &[], h2),
        (H2cUpgrade, &["http/1.1"], &[b"h2", b"http/1.1"], h1),
    ];
    for (protocol, offered, spoken, version) in rows {
        let peer = Secure::new(spoken);
        let asked = peer.ask(*protocol);
        let (alpn, session) = peer.accept();
        assert_eq!(alpn, *offered, "{protocol:?}");
        serve(&mut session.unwrap(), *version);
        let answer = asked.join().unwrap();
        assert_eq!(answer.version(), *version, "{protocol:?} with a peer of {spoken:?}");
        let selected = spoken.iter().find(|p| offered.iter().any(|o| o.as_bytes() == **p));
        let h2 = &b"h2"[..];
        let selected = if *protocol == Auto && spoken.len() == 2 { Some(&h2) } else { selected };
        assert_eq!(answer.connection().alpn.as_deref().map(str::as_bytes), selected.copied());
        assert!(answer.connection().tls.is_some());
    }
}

#[test]
fn a_mismatch_is_found_before_any_application_byte() {
    // Nothing selected.
    let peer = Secure::new(&[]);
    let asked = peer.ask(Protocol::Http2);
    let (_, session) = peer.accept();
    let e = asked.join().unwrap_err();
    assert_eq!((e.kind(), e.phase(), e.processed()), (ErrorKind::AlpnMismatch, Phase::Tls, Processed::No), "{e}");
    assert_eq!((e.bytes_written(), e.attempts()), (0, 1));
    assert!(!e.is_retryable());
    if let Ok(mut session) = session {
        assert_eq!(everything(&mut session), b"");
    }

    // Alert 120.
    for protocol in [Protocol::Http2, Protocol::Http2WithoutAlpn] {
        let peer = Secure::new(&[b"http/1.1"]);
        let asked = peer.ask(protocol);
        let (offered, session) = peer.accept();
        assert_eq!(offered, ["h2"]);
        assert!(session.is_err(), "rustls refuses");
        let e = asked.join().unwrap_err();
        let case = format!("{protocol:?}: {e:?}");
        assert_eq!(
            (e.kind(), e.phase(), e.processed()),
            (ErrorKind::AlpnMismatch, Phase::Tls, Processed::No),
            "{case}"
        );
        assert_eq!(e.attempts(), 1, "{case}");
        peer.peer.assert_no_more();
    }
}
