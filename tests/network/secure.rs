//! https, directly and through the tunnels of a proxy.

use crate::{
    proxies,
    support::{self, Conn, Peer, Req, builder, peer},
    tls,
};
use bowline::{Deadline, ErrorKind, Phase, Processed, Protocol, Proxy, Tls, http::Version, net::Resolve};
use std::{
    io::{self, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

/// Carries bytes between two sockets until both have ended.
fn splice(a: TcpStream, b: TcpStream) {
    let copy = |mut from: TcpStream, mut to: TcpStream| {
        let _ = io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Write);
    };
    let (c, d) = (a.try_clone().unwrap(), b.try_clone().unwrap());
    let back = thread::spawn(move || copy(b, a));
    copy(c, d);
    back.join().unwrap();
}

/// A proxy that makes tunnels to this address, whatever it is asked for.
fn tunnels(to: SocketAddr) -> (Peer, Arc<Mutex<Vec<Req>>>) {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let list = asked.clone();
    let peer = peer(move |_, mut conn| {
        let Some(request) = conn.head() else { return };
        assert_eq!(request.method, "CONNECT");
        list.lock().unwrap().push(request);
        conn.say("HTTP/1.1 200 Connection established\r\nContent-Length: 5\r\n\r\n");
        splice(conn.socket().try_clone().unwrap(), TcpStream::connect(to).unwrap());
    });
    (peer, asked)
}

/// A server for `a.test` and 127.0.0.1, and what trusts it.
fn secure(alpn: &'static [&'static [u8]], script: impl Fn(usize, &mut Conn) + Send + Sync + 'static) -> (Peer, Tls) {
    let authority = tls::certs::Authority::new("test");
    let config = tls::config(&authority.issue(&["a.test", "127.0.0.1"]), alpn);
    let trust = Tls::new().add_root_pem(authority.pem().as_bytes()).only_added_roots();
    (peer(move |n, conn| script(n, &mut Conn::over(tls::accept(conn.into_stream(), &config)))), trust)
}

#[test]
fn https_with_an_authority_of_ones_own() {
    const ALPN: &[&[u8]] = &[b"http/1.1"];
    for (alpn, selected) in [(&[][..], None), (ALPN, Some("http/1.1"))] {
        let (server, trust) = secure(alpn, |_, conn| conn.serve());
        let client = builder().tls(trust).build().unwrap();
        for n in 0..3 {
            let response = client.get(format!("https://{}/x", server.addr())).send().unwrap();
            assert_eq!((response.version(), response.reused()), (Version::HTTP_11, n > 0));
            let info = response.connection().clone();
            assert_eq!(info.alpn.as_deref(), selected);
            assert!(info.tls.is_some_and(|tls| tls.contains("1.3") || tls.contains("1_3")));
            assert_eq!(response.text().unwrap(), format!("{n} /x"));
        }
        assert_eq!(server.connections(), 1);
    }
}

#[test]
fn whom_nobody_trusts() {
    let (server, trust) = secure(&[], |_, conn| conn.serve());
    let url = format!("https://{}/", server.addr());
    let other = tls::certs::Authority::new("another");
    let wrong = [Tls::new(), Tls::new().add_root_pem(other.pem().as_bytes()).only_added_roots()];
    for tls in wrong {
        let error = builder().tls(tls).build().unwrap().get(&url).send().unwrap_err();
        assert_eq!((error.kind(), error.phase()), (ErrorKind::Tls, Phase::Tls), "{error}");
        assert_eq!((error.processed(), error.is_retryable(), error.attempts()), (Processed::No, false, 1), "{error}");
    }
    struct Here(SocketAddr);
    impl Resolve for Here {
        fn resolve(&self, _: &str, _: u16, _: Deadline) -> io::Result<Vec<SocketAddr>> {
            Ok(vec![self.0])
        }
    }
    let client = builder().tls(trust).resolver(Here(server.addr())).build().unwrap();
    assert_eq!(client.get("https://a.test/").send().unwrap().status(), 200);
    let error = client.get("https://b.test/").send().unwrap_err();
    assert_eq!((error.kind(), error.phase()), (ErrorKind::Tls, Phase::Tls), "another name: {error}");
}

/// The addresses of a name, whatever the name.
struct Addresses([SocketAddr; 2]);

impl Resolve for Addresses {
    fn resolve(&self, _: &str, _: u16, _: Deadline) -> io::Result<Vec<SocketAddr>> {
        Ok(self.0.to_vec())
    }
}

#[test]
fn an_address_with_which_no_tls_comes_about_is_passed_over() {
    let (untrusted, _) = secure(&[], |_, conn| assert!(conn.request().is_none()));
    let silent = peer(|_, mut conn| drop(conn.exactly(5)));
    let plain = peer(|_, mut conn| {
        conn.exactly(5);
        conn.say("HTTP/1.1 400 Bad Request\r\n\r\n");
    });
    let (good, trust) = secure(&[], |_, conn| conn.serve());
    for first in [&untrusted, &silent, &plain] {
        let client = builder().tls(trust.clone()).resolver(Addresses([first.addr(), good.addr()])).build().unwrap();
        let response = client.post("https://a.test/").body("once").send().unwrap();
        assert_eq!((response.connection().peer, response.attempts()), (Some(good.addr()), 1));
        assert_eq!((first.connections(), client.stats().retries), (1, 0));
    }
}

/// That a server was reached, and what was wrong with it, says more than that another one was not.
#[test]
fn what_is_wrong_with_a_server_is_said_if_no_other_address_is_better() {
    let (server, trust) = secure(&[b"http/1.1"], |_, conn| assert!(conn.request().is_none()));
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let untrusting = Tls::new().only_added_roots().add_root_pem(tls::certs::Authority::new("x").pem().as_bytes());
    for (tls, protocol, kind) in
        [(untrusting, Protocol::Auto, ErrorKind::Tls), (trust, Protocol::Http2, ErrorKind::AlpnMismatch)]
    {
        let addresses = Addresses([server.addr(), closed]);
        let client = builder().tls(tls).protocol(protocol).resolver(addresses).build().unwrap();
        let error = client.post("https://a.test/").body("never").send().unwrap_err();
        assert_eq!((error.kind(), error.phase(), error.processed()), (kind, Phase::Tls, Processed::No), "{error}");
        assert_eq!((error.attempts(), error.bytes_written(), error.reused()), (1, 0, None), "{error}");
    }
}

#[test]
fn a_peer_that_speaks_no_tls() {
    let plain = peer(|_, mut conn| {
        conn.exactly(5);
        conn.say("HTTP/1.1 400 Bad Request\r\n\r\n");
    });
    let error = builder().build().unwrap().get(format!("https://{}/", plain.addr())).send().unwrap_err();
    assert_eq!(
        (error.kind(), error.phase(), error.processed()),
        (ErrorKind::Tls, Phase::Tls, Processed::No),
        "{error}"
    );
    let gone = peer(|_, mut conn| drop(conn.exactly(5)));
    let error = builder().build().unwrap().get(format!("https://{}/", gone.addr())).send().unwrap_err();
    assert_eq!((error.phase(), error.processed(), error.is_retryable()), (Phase::Tls, Processed::No, true), "{error}");
}

#[test]
fn http2_where_the_peer_has_none() {
    let (server, trust) = secure(&[b"http/1.1"], |_, conn| assert!(conn.request().is_none()));
    let client = builder().tls(trust).protocol(Protocol::Http2).build().unwrap();
    let error = client.get(format!("https://{}/", server.addr())).send().unwrap_err();
    assert_eq!((error.kind(), error.processed()), (ErrorKind::AlpnMismatch, Processed::No), "{error}");
}

/// An end without close_notify may be an attack: what only the end delimits is not whole.
#[test]
fn a_body_cut_below_tls() {
    let answers: [(&str, bool); 3] = [
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", true),
        ("HTTP/1.1 200 OK\r\n\r\nhello", false),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", false),
    ];
    for (answer, whole) in answers {
        let (server, trust) = secure(&[], move |_, conn| {
            conn.request();
            conn.say(answer);
        });
        let client = builder().tls(trust).build().unwrap();
        let result = client.get(format!("https://{}/", server.addr())).send().unwrap().bytes();
        match result {
            Ok(bytes) => assert!(whole && bytes == b"hello", "{answer}"),
            Err(e) => {
                assert_eq!((e.kind(), e.phase()), (ErrorKind::Closed, Phase::Body), "{answer}");
                assert!(!whole, "{answer}");
            }
        }
    }
}

#[test]
fn large_bodies_both_ways_at_once() {
    const LEN: u64 = 8 << 20;
    let (server, trust) = secure(&[], |_, conn| {
        let head = conn.head().unwrap();
        conn.say(format!("HTTP/1.1 200 OK\r\nContent-Length: {LEN}\r\n\r\n"));
        assert!(head.header("transfer-encoding").is_some());
        loop {
            match conn.chunk().unwrap() {
                chunk if chunk.is_empty() => break,
                chunk => conn.say(chunk),
            }
        }
        conn.serve();
    });
    let client = builder().tls(trust).build().unwrap();
    let url = format!("https://{}/", server.addr());
    let body = bowline::Body::from_reader(support::Pattern::new(LEN));
    let bytes = client.put(&url).body(body).send().unwrap().bytes().unwrap();
    let mut pattern = support::Pattern::new(LEN);
    pattern.expect(&bytes);
    assert!(pattern.is_done());
    assert!(client.get(&url).send().unwrap().reused());

    let (mut writer, pending) = client.put(&url).duplex().unwrap();
    drop((writer.write_all(b"x"), writer, pending));
}

#[test]
fn through_a_tunnel() {
    let (server, trust) = secure(&[b"http/1.1"], |_, conn| conn.serve());
    let (proxy, asked) = tunnels(server.addr());
    let with = Proxy::new(format!("http://user:word@{}", proxy.addr())).unwrap();
    let client = builder().tls(trust).proxy(with).build().unwrap();
    for n in 0..2 {
        let response = client.get("https://a.test/x").send().unwrap();
        assert_eq!(response.reused(), n > 0);
        assert_eq!(response.connection().peer, Some(proxy.addr()));
        assert_eq!(response.text().unwrap(), format!("{n} /x"), "the target is asked by its path");
    }
    let asked = std::mem::take(&mut *asked.lock().unwrap());
    assert_eq!((asked.len(), asked[0].target.as_str()), (1, "a.test:443"));
    assert_eq!(asked[0].header("host"), Some("a.test:443"));
    assert_eq!(asked[0].header("proxy-authorization"), Some("Basic dXNlcjp3b3Jk"));
    let connection = client.connect("https://a.test").unwrap();
    assert_eq!(connection.get("/y").send().unwrap().text().unwrap(), "0 /y");
}

#[test]
fn the_credentials_of_the_proxy_stop_there() {
    let (server, trust) = secure(&[], |_, conn| {
        let request = conn.request().unwrap();
        assert_eq!(request.header("proxy-authorization"), None);
        conn.answer("ok");
    });
    let (proxy, _) = tunnels(server.addr());
    let with = Proxy::new(format!("http://user:word@{}", proxy.addr())).unwrap();
    let client = builder().tls(trust).proxy(with).build().unwrap();
    assert_eq!(client.get("https://a.test/x").send().unwrap().text().unwrap(), "ok");
}

#[test]
fn a_proxy_that_says_no() {
    for (answer, kind) in [
        ("HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n", ErrorKind::Handshake),
        ("HTTP/1.1 502 Bad Gateway\r\n\r\n", ErrorKind::Handshake),
        ("SSH-2.0-x\r\n", ErrorKind::PeerViolation),
        ("", ErrorKind::Closed),
    ] {
        let proxy = peer(move |_, mut conn| {
            conn.head();
            conn.say(answer);
        });
        let client = builder().proxy(proxies::proxy(&proxy)).build().unwrap();
        let error = client.get("https://a.test/").send().unwrap_err();
        assert_eq!((error.kind(), error.phase()), (kind, Phase::Proxy), "{answer}: {error}");
        assert_eq!((error.processed(), error.bytes_written()), (Processed::No, 0), "{answer}");
    }
}
