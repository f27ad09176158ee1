//! Against the server: over HTTP/1, over HTTP/2, with compression.

use crate::support::{LATE, client, ms, prompt, timed};
use bowline::{
    ErrorKind, Exchange, Handler, Protocol, Recv, Result, Server, ServerHandle,
    http::Version,
    ws::{CloseCode, Config, Message, MessageRef, WebSocket},
};
use std::{
    sync::{Mutex, mpsc},
    thread,
    time::{Duration, Instant},
};

const BOTH: [Protocol; 2] = [Protocol::Http1, Protocol::Http2];

fn server(config: Config, handler: impl Handler) -> ServerHandle {
    Server::bind("127.0.0.1:0").unwrap().websocket_config(config).spawn(handler).unwrap()
}

fn echo(exchange: Exchange) -> Result<()> {
    if !exchange.is_websocket() {
        return exchange.reply(200, "plain");
    }
    let mut socket = exchange.websocket(&["two", "one"])?;
    while let Some(message) = socket.recv()? {
        socket.send(&message)?;
    }
    Ok(())
}

fn exchange_all(socket: &mut WebSocket) {
    let long = "some words again and again; ".repeat(10_000);
    for text in ["hello", "", "x", "ümläut", long.as_str()] {
        socket.send(text).unwrap();
        assert_eq!(socket.recv().unwrap(), Some(Message::Text(text.into())));
    }
    for n in [0, 1, 125, 126, 65_535, 65_536, 3 << 20] {
        let bytes: Vec<u8> = (0..n).map(|i| (i * 7 + i / 251) as u8).collect();
        socket.send(&bytes).unwrap();
        assert!(socket.recv().unwrap().unwrap().as_bytes() == bytes, "{n} bytes");
    }
}

#[test]
fn echo_over_either_version() {
    let server = server(Config::default().fragment_at(50_000), echo);
    let client = client();
    for protocol in BOTH {
        let mut socket =
            client.websocket(server.ws_url("/")).protocol(protocol).subprotocols(&["one", "two"]).connect().unwrap();
        assert_eq!(socket.subprotocol(), Some("two"), "{protocol:?}");
        #[cfg(unix)]
        assert_eq!(socket.fd().is_some(), protocol == Protocol::Http1);
        exchange_all(&mut socket);
        assert!(socket.confirm(Duration::from_secs(5)).unwrap().is_some());
        prompt(|| socket.close(CloseCode::NORMAL, "done")).unwrap();
    }
}

#[test]
fn many_streams_beside_requests_on_one_connection() {
    let server = server(Config::default(), echo);
    let client = client().derive().protocol(Protocol::Http2).build().unwrap();
    let mut sockets: Vec<_> = (0..10).map(|_| client.websocket(server.ws_url("/")).connect().unwrap()).collect();
    for round in 0..5 {
        for (n, socket) in sockets.iter_mut().enumerate() {
            socket.send(&format!("{round} {n}")).unwrap();
        }
        let response = client.get(server.url("/")).send().unwrap();
        assert_eq!(response.version(), Version::HTTP_2);
        assert_eq!(response.text().unwrap(), "plain");
        for (n, socket) in sockets.iter_mut().enumerate() {
            assert_eq!(socket.recv().unwrap(), Some(Message::Text(format!("{round} {n}"))));
        }
    }
    assert_eq!(client.stats().opened, 1);
    for socket in sockets {
        socket.close(CloseCode::NORMAL, "").unwrap();
    }
    assert_eq!(client.get(server.url("/")).send().unwrap().text().unwrap(), "plain");
    assert_eq!(client.stats().opened, 1);
}

#[test]
fn time_limits_over_either_version() {
    let (over, gate) = mpsc::channel::<()>();
    let gate = Mutex::new(gate);
    let server = server(Config::default(), move |exchange: Exchange| {
        let mut socket = exchange.websocket(&[])?;
        assert_eq!(socket.recv()?, Some(Message::Text("go".into())));
        // Messages in pieces that come one by one, none of which is the last for long.
        for n in 0..12 {
            let _ = gate.lock().unwrap().recv_timeout(ms(50));
            if n == 11 {
                socket.send("at last")?;
            } else {
                socket.ping()?;
            }
        }
        socket.recv().map(|_| ())
    });
    for protocol in BOTH {
        let mut socket = client().websocket(server.ws_url("/")).protocol(protocol).connect().unwrap();
        socket.send("go").unwrap();
        assert_eq!(timed(ms(300), || socket.recv_timeout(ms(300))).unwrap(), Recv::TimedOut);
        let item = socket.recv_ref(Duration::from_secs(10)).unwrap();
        assert_eq!(item, Recv::Item(MessageRef::Text("at last")), "{protocol:?}");
        socket.close(CloseCode::NORMAL, "").unwrap();
    }
    drop(over);
}

#[test]
fn closes_of_a_server_and_ends_without_one() {
    let server = server(Config::default(), |exchange: Exchange| {
        let path = exchange.path().to_owned();
        let mut socket = exchange.websocket(&[])?;
        match path.as_str() {
            "/close" => socket.close(CloseCode::new(4444)?, "enough"),
            "/drop" => Ok(()),
            "/error" => Err(bowline::Error::other("no")),
            _ => {
                let e = socket.recv().unwrap_err();
                assert!(matches!(e.kind(), ErrorKind::Closed | ErrorKind::Reset), "{e:?}");
                Ok(())
            }
        }
    });
    for protocol in BOTH {
        let open = |path| client().websocket(server.ws_url(path)).protocol(protocol).connect().unwrap();
        let mut socket = open("/close");
        assert_eq!(socket.recv().unwrap(), None, "{protocol:?}");
        let closed = socket.closed().unwrap();
        assert_eq!((closed.code, closed.reason.as_str(), closed.clean), (Some(4444), "enough", true));
        for path in ["/drop", "/error"] {
            let e = open(path).recv().unwrap_err();
            assert!(matches!(e.kind(), ErrorKind::Closed | ErrorKind::Reset), "{protocol:?} {path}: {e:?}");
        }
        drop(open("/wait"));
    }
    assert_eq!(server.shutdown(Duration::from_secs(5)), 0);
}

#[test]
fn requests_that_are_no_handshake() {
    let server = server(Config::default(), |exchange: Exchange| {
        let asks = exchange.is_websocket();
        let e = exchange.websocket(&[]).unwrap_err();
        let expected = if asks { ErrorKind::PeerViolation } else { ErrorKind::Misuse };
        assert_eq!(e.kind(), expected);
        Ok(())
    });
    let client = client();
    assert_eq!(client.get(server.url("/")).send().unwrap().status(), 426);
    let bad = client
        .get(server.url("/"))
        .header("Upgrade", "websocket")
        .header("Connection", "Upgrade")
        .header("Sec-WebSocket-Version", "13")
        .header("Sec-WebSocket-Key", "short");
    assert_eq!(bad.send().unwrap().status(), 400);
    let h2 = client.get(server.url("/")).protocol(Protocol::Http2).send().unwrap();
    assert_eq!((h2.status().as_u16(), h2.headers()["sec-websocket-version"].as_bytes()), (400, &b"13"[..]));
}

#[test]
fn a_peer_without_extended_connect() {
    // A CONNECT that is not agreed to is a refusal with its response.
    let server = server(Config::default(), |exchange: Exchange| exchange.reply(403, "not here"));
    for protocol in BOTH {
        let e = client().websocket(server.ws_url("/")).protocol(protocol).connect().unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Handshake, "{protocol:?}");
        let response = e.into_response().unwrap();
        assert_eq!((response.status().as_u16(), response.text().unwrap().as_str()), (403, "not here"));
    }
}

#[test]
fn limits_of_a_server() {
    let server = server(Config::default().max_message(1000), |exchange: Exchange| {
        let e = exchange.websocket(&[])?.recv().unwrap_err();
        assert_eq!(e.kind(), ErrorKind::TooLarge);
        Ok(())
    });
    for protocol in BOTH {
        let mut socket = client().websocket(server.ws_url("/")).protocol(protocol).connect().unwrap();
        socket.send(&vec![0u8; 1001]).unwrap();
        assert_eq!(socket.recv().unwrap(), None, "{protocol:?}");
        assert_eq!(socket.closed().unwrap().code, Some(1009));
    }
}

#[test]
fn two_threads_over_either_version() {
    let server = server(Config::default(), echo);
    for protocol in BOTH {
        let socket = client().websocket(server.ws_url("/")).protocol(protocol).connect().unwrap();
        let (sender, mut receiver) = socket.split();
        let receiving = thread::spawn(move || {
            let mut n = 0u32;
            while let Some(message) = receiver.recv().unwrap() {
                assert_eq!(message.as_text().unwrap(), format!("{n} {}", "y".repeat(n as usize % 500)));
                n += 1;
            }
            n
        });
        for n in 0..3000usize {
            sender.send(&format!("{n} {}", "y".repeat(n % 500))).unwrap();
        }
        let last = Instant::now();
        while sender.stats().messages_in < 3000 {
            assert!(last.elapsed() < Duration::from_secs(20), "{:?}", sender.stats());
            thread::yield_now();
        }
        let began = Instant::now();
        sender.close(CloseCode::NORMAL, "").unwrap();
        assert!(began.elapsed() < LATE);
        assert_eq!(receiving.join().unwrap(), 3000, "{protocol:?}");
    }
}

#[test]
fn an_end_that_follows_a_message_is_no_error_of_the_message() {
    // Without a Close, as soon as the last message is there: over HTTP/2 this resets the stream.
    let server = server(Config::default(), |exchange: Exchange| {
        let mut socket = exchange.websocket(&[])?;
        while socket.recv()?.is_some_and(|message| message.as_text() != Some("last")) {}
        Ok(())
    });
    let client = client();
    for protocol in BOTH {
        for round in 0..1000 {
            let socket = client.websocket(server.ws_url("/")).protocol(protocol).connect().unwrap();
            let (sender, mut receiver) = socket.split();
            let receiving = thread::spawn(move || receiver.recv().unwrap_err().kind());
            for text in ["first", "last"] {
                // What the end answers has left.
                sender.send(text).unwrap_or_else(|e| panic!("{protocol:?}, {round}, {text}: {e:?}"));
            }
            let kind = receiving.join().unwrap();
            assert!(matches!(kind, ErrorKind::Closed | ErrorKind::Reset), "{protocol:?}: {kind:?}");
        }
    }
}

#[cfg(feature = "deflate")]
#[test]
fn compressed_both_ways() {
    let config = Config::default().deflate(32).max_message(4 << 20);
    let server = server(config.clone(), echo);
    for protocol in BOTH {
        let client = client();
        let mut socket =
            client.websocket(server.ws_url("/")).protocol(protocol).config(config.clone()).connect().unwrap();
        exchange_all(&mut socket);
        let text = "again and again and ".repeat(100);
        for _ in 0..3 {
            socket.send(&text).unwrap();
            assert_eq!(socket.recv_ref(Duration::from_secs(5)).unwrap(), Recv::Item(MessageRef::Text(&text)));
        }
        // What inflates to more than the limit is refused while it inflates.
        let bomb = vec![0u8; (4 << 20) + 1];
        socket.send(&bomb).unwrap();
        assert_eq!(socket.recv().unwrap(), None);
        assert_eq!(socket.closed().unwrap().code, Some(1009));
        // And who offers none gets none.
        let mut socket = client.websocket(server.ws_url("/")).protocol(protocol).connect().unwrap();
        exchange_all(&mut socket);
    }
}
