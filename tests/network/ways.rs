//! Unix sockets, connectors and resolvers of the program's, addresses, and what is not there.

use crate::support::{builder, ms, peer};
use bowline::{
    Connection, Deadline, Error, ErrorKind, Phase, Processed,
    net::{Connect, Resolve, Target, Tcp, Wire},
};
use std::{
    io,
    net::{SocketAddr, TcpListener, TcpStream},
    sync::mpsc,
    time::Instant,
};

#[test]
fn tls_that_is_not_there_is_said() {
    if cfg!(feature = "tls") {
        return;
    }
    let error = builder().build().unwrap().get("https://a.test/").send().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
}

#[cfg(unix)]
#[test]
fn everything_through_a_unix_socket() {
    use crate::support::Conn;
    use bowline::Proxy;
    use std::{os::unix::net::UnixListener, thread};
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
