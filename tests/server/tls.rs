//! TLS: ALPN, clients that dawdle or do not speak it, bodies both ways.

use crate::raw::{LONG, Raw};
use bowline::{Client, Exchange, Protocol, Result, Server, ServerHandle, ServerTimeouts, Tls, http::Version};
use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

use crate::certs::Authority;

fn handle(mut exchange: Exchange) -> Result<()> {
    let body = exchange.take_body();
    exchange.reply(200, body)
}

fn server(authority: &Authority, timeouts: ServerTimeouts) -> ServerHandle {
    let identity = authority.issue(&["127.0.0.1"]);
    let server = Server::bind("127.0.0.1:0").unwrap().timeouts(timeouts).max_body(1 << 30);
    server.tls_pem(identity.chain.as_bytes(), identity.key.as_bytes()).spawn(handle).unwrap()
}

fn client(authority: &Authority, protocol: Protocol) -> Client {
    let tls = Tls::new().add_root_pem(authority.pem().as_bytes()).only_added_roots();
    Client::builder().protocol(protocol).tls(tls).build().unwrap()
}

#[test]
fn alpn_decides() {
    let authority = Authority::new("server test");
    let server = server(&authority, ServerTimeouts::default());
    for (protocol, version) in
        [(Protocol::Auto, Version::HTTP_2), (Protocol::Http1, Version::HTTP_11), (Protocol::Http2, Version::HTTP_2)]
    {
        let client = client(&authority, protocol);
        for len in [0, 1, 100_000, 8 << 20] {
            let answer = client.post(server.url("/")).body(vec![7; len]).send().unwrap();
            assert_eq!(answer.version(), version);
            let body = answer.bytes().unwrap();
            assert!(body.len() == len && body.iter().all(|b| *b == 7), "{protocol:?}: {len} bytes");
        }
        assert_eq!(client.connections().len(), 1);
    }
    assert!(server.connections().iter().all(|row| row.tls.is_some()));
}

#[test]
fn clients_that_never_finish_the_handshake() {
    let authority = Authority::new("server test");
    let server = server(&authority, ServerTimeouts::default().handshake(Duration::from_millis(200)));
    let silent = Raw::connect(server.local_addr());
    let mut half = Raw::connect(server.local_addr());
    half.send(b"\x16\x03\x01\x02\x00\x01");
    assert_eq!(client(&authority, Protocol::Auto).get(server.url("/")).send().unwrap().status(), 200);
    for mut raw in [silent, half] {
        assert!(raw.is_closed());
    }
}

#[test]
fn a_client_in_the_clear_is_told_by_an_alert() {
    let authority = Authority::new("server test");
    let server = server(&authority, ServerTimeouts::default());
    let mut socket = TcpStream::connect(server.local_addr()).unwrap();
    socket.set_read_timeout(Some(LONG)).unwrap();
    socket.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    // The alert may be followed by a reset.
    let _ = socket.read_to_end(&mut answer);
    assert_eq!(answer.first(), Some(&21), "{answer:?}");
}

#[test]
fn settings_that_cannot_be_used() {
    let wrong = Server::bind("127.0.0.1:0").unwrap().tls_pem(b"nonsense", b"nonsense").spawn(handle);
    assert_eq!(wrong.unwrap_err().kind(), bowline::ErrorKind::InvalidInput);
}

/// Every name is here.
struct Here;

impl bowline::net::Resolve for Here {
    fn resolve(&self, _: &str, port: u16, _: bowline::Deadline) -> std::io::Result<Vec<std::net::SocketAddr>> {
        Ok(vec![([127, 0, 0, 1], port).into()])
    }
}

#[test]
fn the_name_decides_on_the_certificate() {
    let authorities = ["first", "second", "third"].map(Authority::new);
    let names: [&[&str]; 3] = [&["first.test", "127.0.0.1"], &["second.test"], &["*.third.test", "second.test"]];
    let mut server = Server::bind("127.0.0.1:0").unwrap();
    for (authority, names) in authorities.iter().zip(names) {
        let identity = authority.issue(names);
        server = server.tls_pem(identity.chain.as_bytes(), identity.key.as_bytes());
    }
    let server = server.spawn(handle).unwrap();
    let port = server.local_addr().port();
    // Whose certificate it was shows in who has to be trusted. Of two that fit the first counts.
    for (name, shown) in [("first.test", 0), ("second.test", 1), ("a.third.test", 2), ("127.0.0.1", 0)] {
        for (n, authority) in authorities.iter().enumerate() {
            let tls = Tls::new().add_root_pem(authority.pem().as_bytes()).only_added_roots();
            let client = Client::builder().tls(tls).resolver(Here).build().unwrap();
            let answer = client.get(format!("https://{name}:{port}/")).send();
            assert_eq!(answer.is_ok(), n == shown, "{name} with the roots of {n}: {answer:?}");
        }
    }
    // A name that nobody has gets the first, and it is for the client to say that it does not fit.
    let tls = Tls::new().dangerously_trust_anyone();
    let client = Client::builder().tls(tls).resolver(Here).build().unwrap();
    assert_eq!(client.get(format!("https://b.a.third.test:{port}/")).send().unwrap().status(), 200);
}

/// A key that belongs to no certificate.
const STRAY_KEY: &str = "\
-----BEGIN PRIVATE KEY-----\n\
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg0QzGQqjILiir1FAt\n\
qT+n4I7PVsTVhieyzj6qt4LKCQ+hRANCAAQccv5cZXcpyW7N5btYbe4aykTj3Vig\n\
mb8E7CBKJ+aVP3hTJO1IrClw2W3j32C90Kb8HZ2u3tPWSUXQQkjewD15\n\
-----END PRIVATE KEY-----\n\
";

#[test]
fn a_second_certificate_that_cannot_be_used() {
    let authority = Authority::new("server test");
    let (one, other) = (authority.issue(&["one.test"]), authority.issue(&["other.test"]));
    let server = Server::bind("127.0.0.1:0").unwrap().tls_pem(one.chain.as_bytes(), one.key.as_bytes());
    let wrong = server.tls_pem(other.chain.as_bytes(), STRAY_KEY.as_bytes()).spawn(handle);
    assert_eq!(wrong.unwrap_err().kind(), bowline::ErrorKind::InvalidInput);
}
