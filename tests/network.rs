//! How connections are made: proxies, TLS, Unix sockets, connectors, resolvers.

mod support;
#[cfg(feature = "tls")]
#[path = "support/tls.rs"]
mod tls;

use bowline::{
    Connection, Deadline, Error, ErrorKind, Phase, Processed, Proxy,
    net::{Connect, Resolve, Target, Tcp, Wire, pair},
};
use std::{
    io::{self, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex, mpsc},
    thread,
    time::Instant,
};
use support::{Conn, GUARD, Peer, Req, builder, ms, peer};

// ------------------------------------------------------------------------------------------------ proxies

/// A proxy that answers every request itself, with what it was asked.
fn absolute() -> (Peer, Arc<Mutex<Vec<Req>>>) {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let list = asked.clone();
    let peer = peer(move |_, mut conn| {
        while let Some(request) = conn.request() {
            let text = format!("{} {}", request.method, request.target);
            list.lock().unwrap().push(request);
            conn.answer(&text);
        }
    });
    (peer, asked)
}

fn proxy(peer: &Peer) -> Proxy {
    Proxy::new(format!("http://{}", peer.addr())).unwrap()
}

#[test]
fn http_goes_to_the_proxy_in_absolute_form() {
    let (peer, asked) = absolute();
    let client = builder().proxy(proxy(&peer)).build().unwrap();
    for (url, target) in [
        ("http://a.test", "http://a.test/"),
        ("http://a.test/path?query#fragment", "http://a.test/path?query"),
        ("http://a.test:81/x", "http://a.test:81/x"),
        ("http://[::1]:82/x", "http://[::1]:82/x"),
    ] {
        let response = client.get(url).send().unwrap();
        assert_eq!(response.text().unwrap(), format!("GET {target}"));
        let request = asked.lock().unwrap().pop().unwrap();
        assert_eq!(request.header("host"), Some(target.split('/').nth(2).unwrap()));
        assert_eq!(request.header("proxy-authorization"), None);
        assert_eq!(request.header("proxy-connection"), None);
    }
    // Another origin is another connection, the same one is the same.
    assert!(client.get("http://a.test/").send().unwrap().reused());
    assert_eq!(peer.connections(), 3);
}

#[test]
fn the_proxy_gets_its_credentials_and_the_target_does_not() {
    let (peer, asked) = absolute();
    let with = Proxy::new(format!("http://us%40er:pass%3Aword@{}", peer.addr())).unwrap();
    for preserve_case in [false, true] {
        let builder = builder().proxy(with.clone().bypass(&["127.0.0.1"]));
        let client = if preserve_case { builder.preserve_header_case() } else { builder }.build().unwrap();
        client.get("http://a.test/").send().unwrap();
        let request = asked.lock().unwrap().pop().unwrap();
        // `us@er:pass:word`
        assert_eq!(request.header("proxy-authorization"), Some("Basic dXNAZXI6cGFzczp3b3Jk"), "{preserve_case}");

        // Reached without the proxy, by a redirect too.
        let direct = support::peer(|_, mut conn| {
            while let Some(request) = conn.request() {
                assert_eq!(request.header("proxy-authorization"), None);
                conn.answer(&request.target);
            }
        });
        assert_eq!(client.get(direct.url("/x")).send().unwrap().text().unwrap(), "/x");

        // On a wire of the program's there is no proxy.
        let (near, far) = pair(10_000);
        let connection = Connection::over(near, "http://a.test", &client).unwrap();
        let pending = connection.get("/").start();
        let mut buf = [0; 1000];
        let n = far.try_read(&mut buf).unwrap();
        let request = String::from_utf8(buf[..n].to_vec()).unwrap().to_lowercase();
        assert!(request.starts_with("get / http/1.1\r\n"), "{request}");
        assert!(!request.contains("proxy-authorization"), "{request}");
        drop(pending);
    }
}

#[test]
fn an_owned_connection_through_a_proxy() {
    let (peer, asked) = absolute();
    let with = Proxy::new(format!("http://user:word@{}", peer.addr())).unwrap();
    let client = builder().proxy(with).build().unwrap();
    let connection = client.connect("http://a.test").unwrap();
    assert_eq!(connection.get("/x").send().unwrap().text().unwrap(), "GET http://a.test/x");
    assert!(asked.lock().unwrap()[0].header("proxy-authorization").is_some());
}

#[test]
fn a_redirect_leaves_the_proxy() {
    let direct = peer(|_, mut conn| {
        while let Some(request) = conn.request() {
            assert_eq!(request.header("proxy-authorization"), None);
            conn.answer(&request.target);
        }
    });
    let location = direct.url("/end");
    let moved = peer(move |_, mut conn| {
        while let Some(request) = conn.request() {
            assert!(request.header("proxy-authorization").is_some());
            conn.say(format!("HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n"));
        }
    });
    let with = Proxy::new(format!("http://user:word@{}", moved.addr())).unwrap().bypass(&["127.0.0.1"]);
    let client = builder().proxy(with).build().unwrap();
    assert_eq!(client.get("http://a.test/").send().unwrap().text().unwrap(), "/end");
}

#[test]
fn what_the_proxy_is_bypassed_for() {
    let (peer, _) = absolute();
    let direct = support::peer(|_, mut conn| conn.serve());
    let port = direct.addr().port();
    for (host, entry, bypassed) in [
        ("127.0.0.1", "127.0.0.1", true),
        ("127.0.0.1", "127.0.0.0/8", true),
        ("127.0.0.1", "128.0.0.0/8", false),
        ("127.0.0.1", "*", true),
        ("localhost", "localhost", true),
        ("localhost", "host", false),
        ("LOCALHOST", ".localhost", true),
    ] {
        let client = builder().proxy(proxy(&peer).bypass(&[entry])).build().unwrap();
        let text = client.get(format!("http://{host}:{port}/x")).send().unwrap().text().unwrap();
        assert_eq!(text.ends_with(" /x"), bypassed, "{host} {entry}: {text}");
    }
    let mistake = builder().proxy(proxy(&peer).bypass(&["not a host"])).build();
    assert_eq!(mistake.unwrap_err().kind(), ErrorKind::InvalidInput);
}

/// The environment is that of a process, so the requests are made in another one.
#[test]
fn the_proxies_of_the_environment() {
    let (peer, _) = absolute();
    let direct = support::peer(|_, mut conn| conn.serve());
    let address = format!("http://{}", peer.addr());
    let target = direct.url("/x");
    let ask = |variables: &[(&str, &str)]| {
        let mut command = std::process::Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "asked_with_an_environment", "--ignored", "--nocapture", "--quiet"]);
        for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "REQUEST_METHOD"] {
            command.env_remove(name).env_remove(name.to_lowercase());
        }
        let output = command.envs(variables.iter().copied()).env("BOWLINE_TARGET", &target).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().find_map(|line| line.strip_prefix("got ").map(str::to_owned)).unwrap_or(text)
    };
    let through = format!("GET {target}");
    assert_eq!(ask(&[]), "0 /x");
    assert_eq!(ask(&[("HTTP_PROXY", &address)]), through);
    assert_eq!(ask(&[("http_proxy", &address)]), through);
    assert_eq!(ask(&[("ALL_PROXY", &address)]), through);
    assert_eq!(ask(&[("HTTPS_PROXY", &address)]), "0 /x");
    assert_eq!(ask(&[("HTTP_PROXY", &address), ("REQUEST_METHOD", "GET")]), "0 /x", "also where names have no case");
    assert_eq!(ask(&[("HTTP_PROXY", &address), ("NO_PROXY", "a.test, 127.0.0.1")]), "0 /x");
    assert_eq!(ask(&[("HTTP_PROXY", &address), ("no_proxy", "*")]), "0 /x");
    assert_eq!(ask(&[("HTTP_PROXY", "nonsense://x")]), "error InvalidInput");
}

#[test]
#[ignore = "made by the test above, in a process of its own"]
fn asked_with_an_environment() {
    let target = std::env::var("BOWLINE_TARGET").unwrap();
    let client = bowline::Client::builder().build();
    match client.and_then(|client| client.get(target).send()?.text()) {
        Ok(text) => println!("\ngot {text}"),
        Err(e) => println!("\ngot error {:?}", e.kind()),
    }
}

// ------------------------------------------------------------------------------------------------ tunnels

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

#[cfg(feature = "tls")]
mod secure {
    use super::*;
    use bowline::{Protocol, Tls, http::Version};

    /// A server for `a.test` and 127.0.0.1, and what trusts it.
    fn secure(
        alpn: &'static [&'static [u8]],
        script: impl Fn(usize, &mut Conn) + Send + Sync + 'static,
    ) -> (Peer, Tls) {
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
            assert_eq!(
                (error.processed(), error.is_retryable(), error.attempts()),
                (Processed::No, false, 1),
                "{error}"
            );
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
        assert_eq!(
            (error.phase(), error.processed(), error.is_retryable()),
            (Phase::Tls, Processed::No, true),
            "{error}"
        );
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
            let client = builder().proxy(super::proxy(&proxy)).build().unwrap();
            let error = client.get("https://a.test/").send().unwrap_err();
            assert_eq!((error.kind(), error.phase()), (kind, Phase::Proxy), "{answer}: {error}");
            assert_eq!((error.processed(), error.bytes_written()), (Processed::No, 0), "{answer}");
        }
    }
}

#[test]
fn tls_that_is_not_there_is_said() {
    if cfg!(feature = "tls") {
        return;
    }
    let error = builder().build().unwrap().get("https://a.test/").send().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
}

// ------------------------------------------------------------------------------------------------ other ways

#[cfg(unix)]
#[test]
fn everything_through_a_unix_socket() {
    use std::os::unix::net::UnixListener;
    let path = std::env::temp_dir().join(format!("bowline-network-{}", std::process::id()));
    let listener = UnixListener::bind(&path).unwrap();
    let serving = thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let mut conn = Conn::over(stream);
        while let Some(request) = conn.request() {
            conn.answer(&format!("{} {}", request.header("host").unwrap(), request.target));
        }
    });
    // A proxy, if there were one, is not asked.
    let client = builder().proxy(Proxy::new("http://127.0.0.1:1").unwrap()).unix_socket(&path).build().unwrap();
    for n in 0..3 {
        let response = client.get("http://a.test/x").send().unwrap();
        assert_eq!((response.reused(), response.connection().peer), (n > 0, None));
        assert_eq!(response.text().unwrap(), "a.test /x");
    }
    drop(client);
    serving.join().unwrap();
    std::fs::remove_file(&path).unwrap();
    let client = builder().unix_socket(&path).build().unwrap();
    let error = client.get("http://a.test/").send().unwrap_err();
    assert_eq!((error.kind(), error.phase(), error.is_retryable()), (ErrorKind::Connect, Phase::Connect, true));
}

struct Through(mpsc::Sender<Target>, SocketAddr);
impl Connect for Through {
    fn connect(&self, target: &Target, deadline: Deadline) -> bowline::Result<Box<dyn Wire>> {
        assert!(deadline.left(Instant::now()).is_some_and(|left| left <= ms(10_000)));
        self.0.send(target.clone()).unwrap();
        match target.host.as_str() {
            "refused.test" => Err(Error::other("not here")),
            _ => Ok(Box::new(Tcp::new(TcpStream::connect(self.1)?)?)),
        }
    }
}

#[test]
fn a_connector_of_the_program() {
    let peer = peer(|_, mut conn| conn.serve());
    let (told, targets) = mpsc::channel();
    let client = builder().connector(Through(told, peer.addr())).build().unwrap();
    for (url, host, port) in [("http://a.test/", "a.test", 80), ("http://[::1]:8080/", "::1", 8080)] {
        assert_eq!(client.get(url).send().unwrap().status(), 200);
        let target = targets.recv().unwrap();
        assert_eq!((target.scheme.as_str(), target.host.as_str(), target.port), ("http", host, port));
    }
    let error = client.get("http://refused.test/").send().unwrap_err();
    assert_eq!((error.kind(), error.phase(), error.processed()), (ErrorKind::Other, Phase::Connect, Processed::No));
    assert_eq!(error.to_string(), "not here");

    // What a connector makes can be owned, too: a box is the wire inside.
    let target = targets.recv().unwrap();
    assert_eq!(target.host, "refused.test");
    let wire: Box<dyn Wire> = Box::new(Tcp::new(TcpStream::connect(peer.addr()).unwrap()).unwrap());
    let connection = Connection::over(wire, "http://a.test", &client).unwrap();
    assert_eq!(connection.info().peer, Some(peer.addr()));
    #[cfg(unix)]
    assert!(connection.fd().is_some());
    #[cfg(windows)]
    assert!(connection.socket().is_some());
    assert_eq!(connection.get("/owned").send().unwrap().status(), 200);
}

#[test]
fn a_resolver_of_the_program() {
    struct Names(SocketAddr);
    impl Resolve for Names {
        fn resolve(&self, host: &str, port: u16, _: Deadline) -> io::Result<Vec<SocketAddr>> {
            match host {
                "a.test" => {
                    assert_eq!(port, 80);
                    Ok(vec![self.0])
                }
                "empty.test" => Ok(Vec::new()),
                _ => Err(io::Error::other("no such name")),
            }
        }
    }
    let peer = peer(|_, mut conn| conn.serve());
    let client = builder().resolver(Names(peer.addr())).build().unwrap();
    let response = client.get("http://a.test/").send().unwrap();
    assert_eq!(response.connection().peer, Some(peer.addr()));
    for name in ["empty.test", "b.test"] {
        let error = client.get(format!("http://{name}/")).send().unwrap_err();
        assert_eq!((error.kind(), error.phase()), (ErrorKind::Connect, Phase::Resolve), "{name}");
        assert!(error.to_string().contains(name), "{error}");
    }
    // A literal address is not looked up.
    assert_eq!(client.get(peer.url("/")).send().unwrap().status(), 200);
}

#[test]
fn the_system_finds_localhost() {
    let peer = peer(|_, mut conn| conn.serve());
    let client = builder().build().unwrap();
    let response = client.get(format!("http://localhost:{}/x", peer.addr().port())).send().unwrap();
    assert_eq!(response.text().unwrap(), "0 /x");
    let error = client.get("http://does-not-exist.invalid/").send().unwrap_err();
    assert_eq!((error.kind(), error.phase()), (ErrorKind::Connect, Phase::Resolve));
}

#[cfg(target_os = "linux")]
#[test]
fn from_an_address_of_the_program() {
    let from: std::net::IpAddr = "127.0.0.77".parse().unwrap();
    let peer = peer(|_, mut conn| {
        let address = conn.socket().peer_addr().unwrap().ip();
        while conn.request().is_some() {
            conn.answer(&address.to_string());
        }
    });
    let client = builder().local_address(from).build().unwrap();
    assert_eq!(client.get(peer.url("/")).send().unwrap().text().unwrap(), from.to_string());
    let other: std::net::IpAddr = "192.0.2.1".parse().unwrap();
    let error = builder().local_address(other).build().unwrap().get(peer.url("/")).send().unwrap_err();
    assert_eq!((error.kind(), error.phase()), (ErrorKind::Connect, Phase::Connect));
}

#[test]
fn nobody_listens() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = builder().build().unwrap().get(format!("http://{closed}/")).send().unwrap_err();
    assert_eq!((error.kind(), error.phase(), error.attempts()), (ErrorKind::Connect, Phase::Connect, 1));
    assert!(error.to_string().contains(&closed.to_string()), "{error}");
    assert!(error.is_retryable() && error.connection().is_none() && error.reused().is_none());
}

// ------------------------------------------------------------------------------------------------ upgrades

#[test]
fn an_upgrade_gives_the_bytes_behind_it() {
    let peer = peer(|n, mut conn| {
        let request = conn.request().unwrap();
        assert_eq!((request.header("upgrade"), request.header("connection")), (Some("echo"), Some("upgrade")));
        if n == 1 {
            return conn.answer("no");
        }
        conn.say("HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: upgrade\r\n\r\nfirst");
        loop {
            let piece = conn.exactly(1);
            if piece.is_empty() {
                conn.say("end");
                return;
            }
            conn.say(piece);
        }
    });
    let client = builder().build().unwrap();
    let mut tunnel = client.get(peer.url("/")).upgrade("echo").unwrap();
    assert_eq!(tunnel.headers()["upgrade"], "echo");
    let mut got = [0; 5];
    tunnel.read_exact(&mut got).unwrap();
    assert_eq!(&got, b"first");
    assert!(matches!(tunnel.read_timeout(&mut got, ms(10)).unwrap(), bowline::Recv::TimedOut));
    tunnel.write_all(b"hello").unwrap();
    tunnel.read_exact(&mut got).unwrap();
    assert_eq!(&got, b"hello");
    tunnel.finish().unwrap();
    let mut rest = String::new();
    tunnel.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "end");
    drop(tunnel);
    let error = client.get(peer.url("/")).upgrade("echo").unwrap_err();
    assert_eq!((error.kind(), error.processed()), (ErrorKind::Handshake, Processed::Yes), "{error}");
    assert_eq!(error.into_response().unwrap().text().unwrap(), "no");
    assert_eq!((peer.connections(), client.stats().in_flight), (2, 0));
}

/// An end of the peer's direction is none of ours; that it takes nothing any more is one, though nobody can read it any more.
#[test]
fn a_tunnel_whose_peer_has_gone_behind_its_end() {
    let peer = peer(|_, mut conn| {
        conn.request().unwrap();
        conn.say("HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: upgrade\r\n\r\nbye");
        conn.finish();
        assert_eq!(conn.exactly(4), b"more");
    });
    let mut tunnel = builder().build().unwrap().get(peer.url("/")).upgrade("echo").unwrap();
    let mut rest = String::new();
    tunnel.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "bye");
    tunnel.write_all(b"more").unwrap();
    let began = Instant::now();
    let error = loop {
        if let Err(error) = tunnel.write_all(b"and more").and_then(|()| tunnel.flush()) {
            break error;
        }
        assert!(began.elapsed() < GUARD, "it takes everything");
    };
    assert_eq!(error.kind(), std::io::ErrorKind::UnexpectedEof, "{error:?}");
}
