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
