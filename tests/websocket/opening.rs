//! Handshakes with a scripted peer.

use crate::{
    raw::{self, text},
    support::{client, ms, peer, prompt, timed},
};
use bowline::{Cancel, Client, ErrorKind, Phase, Processed, Protocol, net::Tcp, ws::Message};
use std::{sync::mpsc, thread};

#[test]
fn what_is_asked_and_what_is_agreed() {
    let (told, heard) = mpsc::channel();
    let told = std::sync::Mutex::new(told);
    let peer = peer(move |_, mut conn| {
        let request = conn.head().unwrap();
        let accept = raw::accept_value(request.header("sec-websocket-key").unwrap());
        told.lock().unwrap().send(request).unwrap();
        // Token lists in any case, and other tokens beside.
        conn.say(format!(
            "HTTP/1.1 101 Whatever\r\nupgrade: WebSocket\r\nconnection: keep-alive, UPGRADE\r\nsec-websocket-accept: {accept}\r\nsec-websocket-protocol: b\r\n\r\n"
        ));
        raw::echo(&mut conn);
    });
    let url = peer.url("/chat?room=1").replacen("http", "ws", 1);
    let mut socket = client()
        .websocket(url)
        .header("X-Token", "abc")
        .header("Origin", "https://example.org")
        .subprotocols(&["a", "b"])
        .connect()
        .unwrap();
    assert_eq!(socket.subprotocol(), Some("b"));
    let request = heard.recv().unwrap();
    assert_eq!(request.target, "/chat?room=1");
    for (name, value) in [
        ("x-token", "abc"),
        ("origin", "https://example.org"),
        ("sec-websocket-protocol", "a, b"),
        ("sec-websocket-version", "13"),
        ("upgrade", "websocket"),
    ] {
        assert_eq!(request.header(name), Some(value), "{name}");
    }
    socket.send("x").unwrap();
    assert_eq!(socket.recv().unwrap(), Some(Message::Text("x".into())));
}

#[test]
fn answers_that_are_no_agreement() {
    let answers: &[(&str, &str)] = &[
        (
            "a wrong accept value",
            "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: AAAA\r\n\r\n",
        ),
        ("no accept value", "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"),
        (
            "another protocol",
            "HTTP/1.1 101 x\r\nUpgrade: other\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ACCEPT\r\n\r\n",
        ),
        (
            "no upgrade token",
            "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: keep\r\nSec-WebSocket-Accept: ACCEPT\r\n\r\n",
        ),
        (
            "an extension",
            "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ACCEPT\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n",
        ),
        (
            "a subprotocol",
            "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ACCEPT\r\nSec-WebSocket-Protocol: c\r\n\r\n",
        ),
    ];
    for (name, answer) in answers {
        let peer = peer(move |_, mut conn| {
            let request = conn.head().unwrap();
            let accept = raw::accept_value(request.header("sec-websocket-key").unwrap());
            conn.say(answer.replace("ACCEPT", &accept));
            conn.rest();
        });
        let e = client().websocket(peer.url("/")).subprotocols(&["a"]).connect().unwrap_err();
        assert_eq!((e.kind(), e.processed()), (ErrorKind::Handshake, Processed::Yes), "{name}: {e}");
        assert_eq!((e.attempts(), e.reused()), (1, Some(false)), "{name}");
        assert_eq!(e.connection().unwrap().peer, Some(peer.addr()), "{name}");
        let response = e.into_response().unwrap();
        assert_eq!(response.status(), 101, "{name}");
        // Behind a 101 there is no body, and nobody waits for one.
        assert!(prompt(|| response.bytes()).unwrap().is_empty(), "{name}");
    }
}

#[test]
fn subprotocols_by_a_header() {
    let peer = peer(|_, mut conn| {
        let request = conn.head().unwrap();
        let accept = raw::accept_value(request.header("sec-websocket-key").unwrap());
        let offered = request.header("sec-websocket-protocol").unwrap();
        let chosen = offered.rsplit(", ").next().unwrap();
        conn.say(format!(
            "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\nSec-WebSocket-Protocol: {chosen}\r\n\r\n"
        ));
        raw::echo(&mut conn);
    });
    let name = "Sec-WebSocket-Protocol";
    let open = || client().websocket(peer.url("/"));
    for (builder, chosen) in [
        (open().header(name, "a"), "a"),
        (open().header(name, "a,b ,\tc"), "c"),
        (open().header(name, "a").header(name, "b"), "b"),
        (open().header(name, "b").subprotocols(&["a", "b"]), "b"),
        (open().subprotocols(&["a"]).header(name, "b"), "b"),
    ] {
        let socket = builder.connect().unwrap();
        assert_eq!(socket.subprotocol(), Some(chosen));
    }
}

#[test]
fn a_refusal_with_its_response() {
    const MOST: usize = 64 * 1024;
    for len in [0, MOST, MOST + 1, 70_000] {
        let peer = peer(move |_, mut conn| {
            conn.head().unwrap();
            let body = "n".repeat(len);
            conn.say(format!("HTTP/1.1 403 Forbidden\r\nX-Why: token\r\nContent-Length: {len}\r\n\r\n{body}"));
            conn.rest();
        });
        let e = client().websocket(peer.url("/")).connect().unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Handshake);
        let mut response = e.into_response().unwrap();
        assert_eq!((response.status().as_u16(), response.header("x-why")), (403, Some("token")));
        let mut body = Vec::new();
        let result = std::io::Read::read_to_end(response.body(), &mut body);
        assert_eq!((body.len(), result.is_err()), (len.min(MOST), len > MOST), "a body of {len}");
    }
}

#[test]
fn time_limits_and_tokens() {
    let (over, gate) = raw::until_dropped();
    let peer = peer(move |_, mut conn| {
        conn.head();
        let _ = gate.lock().unwrap().recv();
    });
    let e = timed(ms(200), || client().websocket(peer.url("/")).timeout(ms(200)).connect()).unwrap_err();
    assert_eq!((e.kind(), e.phase()), (ErrorKind::TimedOut, Phase::FirstByte));
    drop(over);
    let cancel = Cancel::new();
    cancel.cancel();
    let e = prompt(|| client().websocket(peer.url("/")).cancel_on(&cancel).connect()).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Cancelled);
}

#[test]
fn mistakes_before_anything_moves() {
    let websocket = |url: &str| Client::new().websocket(url);
    for builder in [
        websocket("ftp://127.0.0.1/"),
        websocket("127.0.0.1"),
        websocket("ws://127.0.0.1:1/").header("a b", "c"),
        websocket("ws://127.0.0.1:1/").header("a", "b\r\nc: d"),
        websocket("ws://127.0.0.1:1/").subprotocols(&["a b"]),
        websocket("ws://127.0.0.1:1/").subprotocols(&["a", "a"]),
        websocket("ws://127.0.0.1:1/").header("sec-websocket-protocol", "a, b c"),
        websocket("ws://127.0.0.1:1/").header("sec-websocket-protocol", ""),
        websocket("ws://127.0.0.1:1/").header("sec-websocket-extensions", "permessage-deflate"),
    ] {
        assert_eq!(builder.connect().unwrap_err().kind(), ErrorKind::InvalidInput);
    }
}

#[test]
fn on_a_connection_of_the_callers() {
    let peer = raw::open(raw::echo);
    let client = client();
    let wire = Tcp::new(std::net::TcpStream::connect(peer.addr()).unwrap()).unwrap();
    let connection = bowline::Connection::over(wire, "http://example.test", &client).unwrap();
    let mut socket = connection.websocket("/").protocol(Protocol::Auto).connect().unwrap();
    socket.send("hello").unwrap();
    assert_eq!(socket.recv().unwrap(), Some(Message::Text("hello".into())));
    drop(connection);
    assert!(socket.recv().is_err());
}

#[test]
fn many_sockets_of_one_client() {
    let peer = raw::open(|conn| {
        conn.say(text("welcome"));
        raw::echo(conn);
    });
    let client = client();
    let threads: Vec<_> = (0..8)
        .map(|n| {
            let (client, url) = (client.clone(), peer.url("/"));
            thread::spawn(move || {
                let mut socket = client.websocket(url).connect().unwrap();
                assert_eq!(socket.recv().unwrap(), Some(Message::Text("welcome".into())));
                for i in 0..20 {
                    socket.send(&format!("{n} {i}")).unwrap();
                    assert_eq!(socket.recv().unwrap(), Some(Message::Text(format!("{n} {i}"))));
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|t| t.join().unwrap());
}
