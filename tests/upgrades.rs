//! What was asked for by `Upgrade` or CONNECT, and what is no yes to it.

mod support;

use bowline::{ErrorKind, Exchange, Phase, Processed, Server, http::HeaderMap};
use std::{
    io::{Read, Write},
    time::Instant,
};
use support::{GUARD, builder, client, ms, peer, prompt};

#[test]
fn a_101_to_another_protocol_is_no_yes() {
    let peer = peer(|_, mut conn| {
        let request = conn.request().unwrap();
        let line = match request.target.trim_start_matches('/') {
            "" => String::new(),
            name => format!("Upgrade: {}\r\n", name.replace('+', ", ")),
        };
        conn.say(format!("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n{line}\r\nbehind"));
        conn.rest();
    });
    for (asked, answer, right) in [
        ("echo", "echo", true),
        ("echo", "ECHO", true),
        ("echo/2, echo", "echo", true),
        ("echo", "tls+echo", true),
        // Some servers do not say.
        ("echo", "", true),
        ("echo", "other", false),
        ("echo", "echo2", false),
        ("echo", "websocket+h2c", false),
    ] {
        let result = client().get(peer.url(&format!("/{answer}"))).upgrade(asked);
        match result {
            Ok(mut tunnel) => {
                assert!(right, "{asked:?} {answer:?}");
                let mut behind = [0; 6];
                tunnel.read_exact(&mut behind).unwrap();
                assert_eq!(&behind, b"behind");
            }
            Err(error) => {
                assert!(!right, "{asked:?} {answer:?}: {error}");
                let what = (error.kind(), error.phase(), error.processed());
                assert_eq!(what, (ErrorKind::Handshake, Phase::FirstByte, Processed::Yes), "{error}");
                let response = error.into_response().unwrap();
                assert_eq!(response.status(), 101);
                assert!(prompt(|| response.bytes()).unwrap().is_empty());
            }
        }
    }
}

#[test]
fn a_server_says_to_what_it_changes() {
    let server = Server::bind("127.0.0.1:0").unwrap();
    let server = server
        .spawn(|exchange: Exchange| {
            let mut headers = HeaderMap::new();
            if exchange.path() == "/named" {
                headers.insert("upgrade", "b".parse().unwrap());
            }
            let mut tunnel = exchange.upgrade(headers)?;
            tunnel.write_all(b"hello")?;
            tunnel.finish()
        })
        .unwrap();
    for (path, protocols, expected) in [("/", "a", "a"), ("/", "a , b", "a"), ("/named", "a, b", "b")] {
        let mut tunnel = client().get(server.url(path)).upgrade(protocols).unwrap();
        assert_eq!(tunnel.headers()["upgrade"], expected, "{path} {protocols}");
        let mut said = String::new();
        tunnel.read_to_string(&mut said).unwrap();
        assert_eq!(said, "hello");
    }
}

#[test]
fn the_target_of_a_tunnel_has_a_host_and_a_port() {
    for target in ["", "host", ":1", "host:", "host:0", "host:x", "host:65536", "a b:1", "::1:5", "user@host:1"] {
        let error = client().tunnel("http://127.0.0.1:1", target).unwrap_err();
        assert_eq!((error.kind(), error.phase()), (ErrorKind::InvalidInput, Phase::Build), "{target:?}: {error}");
    }
    for target in ["host:1", "[::1]:5", "192.0.2.1:65535"] {
        let error = client().tunnel("http://127.0.0.1:1", target).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Connect, "{target:?}: {error}");
    }
}

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
