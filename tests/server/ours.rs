//! The client of this crate against its server: both versions, TLS, large bodies, shutdown, wires in memory.

use crate::raw::{LONG, Raw};
use bowline::{
    Body, Client, Connection, ErrorKind, Exchange, Protocol, Result, Server, ServerHandle,
    http::{HeaderMap, Response, StatusCode, Version},
    net,
};
use std::{
    io::{Read, Write},
    sync::{Arc, Barrier, Mutex, mpsc},
    thread,
    time::{Duration, Instant},
};

const MIB: usize = 1 << 20;

fn handle(mut exchange: Exchange) -> Result<()> {
    match exchange.path() {
        "/hello" => exchange.reply(200, "hello"),
        "/echo" => {
            let body = exchange.take_body();
            exchange.reply(200, body)
        }
        "/upper" => {
            let text = std::io::read_to_string(exchange.body())?;
            exchange.reply(200, text.to_uppercase())
        }
        "/large" => exchange.reply(200, vec![7; 64 * MIB]),
        "/trailers" => {
            let (mut body, mut writer) = exchange.respond_streaming(Response::new(()))?;
            std::io::copy(&mut body, &mut writer)?;
            let mut trailers = HeaderMap::new();
            trailers.insert("x-end", "yes".parse().unwrap());
            writer.finish_with_trailers(trailers)
        }
        "/head" => {
            let head = Response::builder().status(201).header("x-a", "b").body(())?;
            exchange.respond(head)
        }
        "/panic" => panic!("on purpose"),
        "/error" => Err(bowline::Error::other("on purpose")),
        "/late-panic" => {
            let (_, mut writer) = exchange.respond_streaming(Response::new(()))?;
            writer.write_all(b"some")?;
            panic!("on purpose")
        }
        _ => exchange.reply(404, "no such page"),
    }
}

fn server() -> ServerHandle {
    Server::bind("127.0.0.1:0").unwrap().max_body(1 << 30).spawn(handle).unwrap()
}

/// Both versions in the clear, and h2 by Upgrade.
fn clients() -> Vec<(Version, Client)> {
    let client = |protocol| Client::builder().protocol(protocol).build().unwrap();
    vec![
        (Version::HTTP_11, client(Protocol::Http1)),
        (Version::HTTP_2, client(Protocol::Http2)),
        (Version::HTTP_2, client(Protocol::H2cUpgrade)),
    ]
}

fn everything(server: &ServerHandle, client: &Client, version: Version) {
    for _ in 0..3 {
        let answer = client.get(server.url("/hello")).send().unwrap();
        assert_eq!((answer.status(), answer.version()), (StatusCode::OK, version));
        assert!(answer.header("date").is_some());
        assert_eq!(answer.content_length(), Some(5));
        assert_eq!(answer.text().unwrap(), "hello");
    }
    assert_eq!(client.post(server.url("/upper")).body("abc").send().unwrap().text().unwrap(), "ABC");
    assert_eq!(client.get(server.url("/none")).send().unwrap().status(), 404);
    let head = client.request(bowline::http::Method::HEAD, server.url("/hello")).send().unwrap();
    assert_eq!(head.header("content-length"), Some("5"));
    assert_eq!(head.bytes().unwrap().len(), 0);
    let created = client.get(server.url("/head")).send().unwrap();
    assert_eq!((created.status(), created.header("x-a")), (StatusCode::CREATED, Some("b")));
    for path in ["/panic", "/error"] {
        assert_eq!(client.get(server.url(path)).send().unwrap().status(), 500, "{path}");
    }
    let mut cut = client.get(server.url("/late-panic")).send().unwrap();
    assert!(cut.body().read_to_end(&mut Vec::new()).is_err(), "{version:?}: the answer is not complete");
    let mut answer = client.post(server.url("/trailers")).body(Body::from_reader(&b"abc"[..])).send().unwrap();
    let mut text = String::new();
    answer.body().read_to_string(&mut text).unwrap();
    assert_eq!((text.as_str(), answer.body().trailers().unwrap()["x-end"].to_str().unwrap()), ("abc", "yes"));
}

#[test]
fn one_port_speaks_all() {
    let server = server();
    for (version, client) in clients() {
        everything(&server, &client, version);
    }
}

#[cfg(feature = "tls")]
#[test]
fn one_version_alone() {
    use crate::certs;
    use bowline::Tls;

    let answers = |tls: bool, only, protocol| {
        let mut server = Server::bind("127.0.0.1:0").unwrap().only(only);
        let mut client = Client::builder().protocol(protocol);
        if tls {
            let authority = certs::Authority::new("only");
            let identity = authority.issue(&["127.0.0.1"]);
            server = server.tls_pem(identity.chain.as_bytes(), identity.key.as_bytes());
            client = client.tls(Tls::new().only_added_roots().add_root_pem(authority.pem().as_bytes()));
        }
        let server = server.spawn(handle).unwrap();
        client.build().unwrap().get(server.url("/hello")).send().map(|answer| answer.version()).map_err(|e| e.kind())
    };
    let (h1, h2) = (Version::HTTP_11, Version::HTTP_2);
    #[rustfmt::skip]
    let table = [
        // TLS, server, client
        (false, h1, Protocol::Http1, Ok(h1)),
        (false, h1, Protocol::H2cUpgrade, Ok(h1)),
        (false, h1, Protocol::Http2, Err(ErrorKind::PeerSpokeHttp1)),
        (false, h2, Protocol::Http2, Ok(h2)),
        (false, h2, Protocol::Http1, Err(ErrorKind::PeerViolation)),
        (true, h1, Protocol::Auto, Ok(h1)),
        (true, h1, Protocol::Http2, Err(ErrorKind::AlpnMismatch)),
        (true, h2, Protocol::Auto, Ok(h2)),
        (true, h2, Protocol::Http1, Err(ErrorKind::Tls)),
    ];
    for (tls, only, protocol, expected) in table {
        assert_eq!(answers(tls, only, protocol), expected, "TLS {tls}, server {only:?}, client {protocol:?}");
    }
    let e = Server::bind("127.0.0.1:0").unwrap().only(Version::HTTP_09).spawn(handle).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::InvalidInput);
}

#[cfg(unix)]
#[test]
fn on_a_unix_socket() {
    let path = std::env::temp_dir().join(format!("bowline-server-{}", std::process::id()));
    let _server = Server::bind_unix(&path).unwrap().spawn(handle).unwrap();
    let client = Client::builder().unix_socket(&path).build().unwrap();
    assert_eq!(client.get("http://x/hello").send().unwrap().text().unwrap(), "hello");
}

/// A socket that nobody listens on any more is in everybody's way; one of somebody else is not ours to remove.
#[cfg(unix)]
#[test]
fn the_file_of_a_unix_socket_goes_with_its_server() {
    let dir = std::env::temp_dir().join(format!("bowline-sockets-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let path = dir.join("socket");
    for _ in 0..2 {
        let server = Server::bind_unix(&path).unwrap().spawn(handle).unwrap();
        assert!(path.exists() && Server::bind_unix(&path).is_err());
        assert!(path.exists(), "a server that could not be has removed nothing");
        server.shutdown(Duration::from_secs(1));
        assert!(!path.exists());
    }
    drop(Server::bind_unix(&path).unwrap());
    assert!(!path.exists(), "one that never served");
    let server = Server::bind_unix(&path).unwrap().spawn(handle).unwrap();
    std::fs::remove_file(&path).unwrap();
    let next = Server::bind_unix(&path).unwrap().spawn(handle).unwrap();
    drop(server);
    let client = Client::builder().unix_socket(&path).build().unwrap();
    assert_eq!(client.get("http://x/hello").send().unwrap().text().unwrap(), "hello");
    // A link in its place is nobody's socket.
    std::fs::rename(&path, dir.join("renamed")).unwrap();
    std::os::unix::fs::symlink(dir.join("renamed"), &path).unwrap();
    drop(next);
    assert!(std::fs::symlink_metadata(&path).is_ok() && dir.join("renamed").exists());
    std::fs::remove_dir_all(dir).unwrap();
}

/// Sends so much to `/echo` while it reads it back, and compares.
fn echo(server: &ServerHandle, client: &Client, len: usize) {
    let (mut writer, pending) = client.post(server.url("/echo")).duplex().unwrap();
    let byte = |n: usize| (n / 1021) as u8;
    let sender = thread::spawn(move || {
        let mut at = 0;
        let mut piece = vec![0; 100_003];
        while at < len {
            let n = piece.len().min(len - at);
            piece[..n].iter_mut().enumerate().for_each(|(i, b)| *b = byte(at + i));
            writer.write_all(&piece[..n]).unwrap();
            at += n;
        }
        writer.finish().unwrap();
    });
    let mut answer = pending.wait().unwrap();
    let (mut at, mut buf) = (0, vec![0; 64 * 1024]);
    loop {
        let n = answer.body().read(&mut buf).unwrap();
        if n == 0 {
            break;
        }
        assert!(buf[..n].iter().enumerate().all(|(i, b)| *b == byte(at + i)), "between {at} and {}", at + n);
        at += n;
    }
    assert_eq!(at, len);
    sender.join().unwrap();
}

#[test]
fn both_directions_stream_at_once() {
    let server = server();
    for (_, client) in clients() {
        echo(&server, &client, 64 * MIB);
        echo(&server, &client, 0);
        let answer = client.post(server.url("/echo")).body(vec![9; 3 * MIB]).send().unwrap().bytes().unwrap();
        assert!(answer.len() == 3 * MIB && answer.iter().all(|b| *b == 9));
    }
}

#[test]
fn many_requests_at_once() {
    let server = server();
    // One that asks for the upgrade sends bodies in HTTP/1.
    for (version, client) in clients().into_iter().take(2) {
        let threads: Vec<_> = (0..16)
            .map(|n| {
                let (client, url) = (client.clone(), server.url("/upper"));
                thread::spawn(move || {
                    for i in 0..25 {
                        let text = format!("request {n} {i}");
                        let answer = client.post(&url).body(&text).send().unwrap().text().unwrap();
                        assert_eq!(answer, text.to_uppercase());
                    }
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        if version == Version::HTTP_2 {
            assert!(client.connections().len() == 1);
        }
    }
}

#[test]
fn a_client_that_gives_up_is_noticed() {
    let server = Server::bind("127.0.0.1:0").unwrap();
    let (told, gone) = mpsc::channel();
    let server = server.spawn(move |exchange: Exchange| {
        assert!(!exchange.is_cancelled());
        told.send(None).unwrap();
        let began = Instant::now();
        while !exchange.is_cancelled() && began.elapsed() < LONG {
            thread::yield_now();
        }
        told.send(Some(exchange.is_cancelled())).unwrap();
        exchange.reply(200, "too late")
    });
    let server = server.unwrap();
    for (version, client) in clients().into_iter().take(2) {
        let pending = client.get(server.url("/")).start();
        assert_eq!(gone.recv_timeout(LONG).unwrap(), None);
        drop(pending);
        assert_eq!(gone.recv_timeout(LONG).unwrap(), Some(true), "{version:?}");
    }
}

#[test]
fn a_shutdown_lets_what_runs_finish() {
    for (version, client) in clients() {
        let (meet, there) = (Arc::new(Barrier::new(2)), Arc::new(Barrier::new(2)));
        let (m, t) = (meet.clone(), there.clone());
        let server = Server::bind("127.0.0.1:0").unwrap().spawn(move |exchange: Exchange| {
            if exchange.path() == "/slow" {
                m.wait();
                t.wait();
            }
            exchange.reply(200, vec![7; MIB])
        });
        let server = server.unwrap();
        let address = server.local_addr();
        let url = server.url("/slow");
        assert_eq!(client.get(server.url("/")).send().unwrap().bytes().unwrap().len(), MIB);
        let slow = thread::spawn({
            let client = client.clone();
            move || client.get(url).send()?.bytes()
        });
        meet.wait();
        let stopped = thread::spawn(move || server.shutdown(LONG));
        // The listener goes first.
        let began = Instant::now();
        while std::net::TcpStream::connect(address).is_ok() {
            assert!(began.elapsed() < LONG, "{version:?}");
            thread::yield_now();
        }
        assert!(!stopped.is_finished());
        there.wait();
        assert_eq!(slow.join().unwrap().unwrap().len(), MIB, "{version:?}: the answer is whole");
        assert_eq!(stopped.join().unwrap(), 0, "{version:?}");
    }
}

#[test]
fn a_shutdown_cuts_what_does_not_finish() {
    for (version, client) in clients() {
        let (began, running) = mpsc::channel();
        let (end, ended) = mpsc::channel::<()>();
        let ended = Mutex::new(ended);
        let server = Server::bind("127.0.0.1:0").unwrap().spawn(move |exchange: Exchange| {
            began.send(()).unwrap();
            let _ = ended.lock().unwrap().recv();
            exchange.reply(200, "too late")
        });
        let server = server.unwrap();
        let pending = client.get(server.url("/")).start();
        running.recv().unwrap();
        assert_eq!(server.shutdown(Duration::from_millis(50)), 1, "{version:?}");
        // It may be repeated, and then nobody listens.
        let kind = pending.wait().unwrap_err().kind();
        assert!(matches!(kind, ErrorKind::Closed | ErrorKind::Reset | ErrorKind::Connect), "{version:?}: {kind:?}");
        drop(end);
    }
}

#[test]
fn a_token_ends_serve() {
    let cancel = bowline::Cancel::new();
    let server = Server::bind("127.0.0.1:0").unwrap().cancel_on(&cancel);
    let address = server.local_addr().unwrap();
    let serves = thread::spawn(move || server.serve(handle));
    let mut raw = Raw::connect(address);
    assert_eq!(raw.send("GET /hello HTTP/1.1\r\nHost: x\r\n\r\n").answer().text(), "hello");
    cancel.cancel();
    serves.join().unwrap().unwrap();
    assert!(raw.is_closed());
}

#[test]
fn conversations_over_a_wire_in_memory() {
    for protocol in [Protocol::Http1, Protocol::Http2] {
        for piece in [1, 3, 1000, usize::MAX] {
            let (here, there) = net::pair(64 * 1024);
            let server = thread::spawn(move || {
                let echo = |mut exchange: Exchange| {
                    let body = exchange.take_body();
                    exchange.reply(200, body)
                };
                Server::unbound().serve_wire(there, &echo)
            });
            let client = Client::builder().protocol(protocol).build().unwrap();
            let connection = Connection::over(here.max_piece(piece), "http://fuzz.test", &client).unwrap();
            for len in [0, 1, 100_000] {
                let body = vec![7; len];
                let answer = connection.post("/").body(body.clone()).timeout(LONG).send().unwrap().bytes().unwrap();
                assert_eq!(answer, body, "{protocol:?}, {len} bytes in pieces of {piece}");
            }
            drop(connection);
            server.join().unwrap().unwrap();
        }
    }
}

#[test]
fn a_wire_in_memory_with_a_broken_request() {
    use bowline::net::Wire;
    let (here, there) = net::pair(64);
    let server = thread::spawn(move || Server::unbound().serve_wire(there.max_piece(5), &handle));
    here.try_write(b"nonsense\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    let mut buf = [0; 100];
    loop {
        match here.try_read(&mut buf) {
            Ok(0) => break,
            Ok(n) => answer.extend_from_slice(&buf[..n]),
            Err(_) => thread::yield_now(),
        }
    }
    assert!(answer.starts_with(b"HTTP/1.1 400 "), "{}", String::from_utf8_lossy(&answer));
    drop(here);
    assert_eq!(server.join().unwrap().unwrap_err().kind(), ErrorKind::PeerViolation);
}
