//! Over TLS: ALPN decides between a stream and a connection of its own.

use crate::support::{ms, timed};
use bowline::{
    Client, ErrorKind, Exchange, Protocol, Recv, Result, Server, ServerHandle, Tls,
    ws::{CloseCode, Config, Message},
};
use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

#[path = "../../src/net/tls/certs.rs"]
mod certs;

/// A server over TLS, and a client that trusts it.
fn served(handler: impl Fn(Exchange) -> Result<()> + Send + Sync + 'static) -> (ServerHandle, Client) {
    let authority = certs::Authority::new("websocket test");
    let identity = authority.issue(&["127.0.0.1"]);
    let server = Server::bind("127.0.0.1:0").unwrap().tls_pem(identity.chain.as_bytes(), identity.key.as_bytes());
    let tls = Tls::new().add_root_pem(authority.pem().as_bytes()).only_added_roots();
    (server.spawn(handler).unwrap(), Client::builder().proxy(None).tls(tls).build().unwrap())
}

#[test]
fn over_tls_by_either_version() {
    let (server, client) = served(|exchange: Exchange| {
        let mut socket = exchange.websocket(&[])?;
        // All in one record, or nearly.
        for n in 0..300 {
            socket.send(&format!("{n}"))?;
        }
        while let Some(message) = socket.recv()? {
            socket.send(&message)?;
        }
        Ok(())
    });
    for (protocol, has_fd) in [(Protocol::Auto, false), (Protocol::Http1, true), (Protocol::Http2, false)] {
        let mut socket = client.websocket(server.ws_url("/")).protocol(protocol).connect().unwrap();
        #[cfg(unix)]
        assert_eq!(socket.fd().is_some(), has_fd, "{protocol:?}");
        #[cfg(windows)]
        assert_eq!(socket.socket().is_some(), has_fd, "{protocol:?}");
        for n in 0..300 {
            assert_eq!(socket.recv().unwrap(), Some(Message::Text(format!("{n}"))));
        }
        assert_eq!(socket.recv_timeout(Duration::from_millis(20)).unwrap(), Recv::TimedOut);
        let large = vec![3u8; 2 << 20];
        socket.send(&large).unwrap();
        assert!(socket.recv().unwrap().unwrap().as_bytes() == large);
        socket.close(CloseCode::NORMAL, "").unwrap();
    }
}

fn echo(exchange: Exchange) -> Result<()> {
    let mut socket = exchange.websocket(&[])?;
    while let Some(message) = socket.recv()? {
        socket.send(&message)?;
    }
    Ok(())
}

/// From where on a relay is slow, counted in the bytes that come next, and until when it lets nothing more through.
type Slow = (usize, mpsc::Receiver<()>);

/// Before a server somebody who passes everything on at once, until he is told to be slow: then a byte every 50 ms, 14 times.
fn relay(server: &ServerHandle) -> (String, mpsc::Sender<Slow>, thread::JoinHandle<()>) {
    let address = server.ws_url("/").trim_start_matches("wss://").trim_end_matches('/').to_owned();
    let between = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("wss://{}/", between.local_addr().unwrap());
    let (slow, told) = mpsc::channel::<Slow>();
    let relay = thread::spawn(move || {
        let (near, _) = between.accept().unwrap();
        let far = TcpStream::connect(address).unwrap();
        let (mut from, mut to) = (near.try_clone().unwrap(), far.try_clone().unwrap());
        thread::spawn(move || std::io::copy(&mut from, &mut to));
        let (mut far, mut near, mut buf) = (far, near, vec![0; 64 * 1024]);
        while let Ok(mut n @ 1..) = far.read(&mut buf) {
            let mut rest = 0;
            if let Ok((after, gate)) = told.try_recv() {
                while n < after + 14 {
                    n += far.read(&mut buf[n..]).unwrap();
                }
                near.write_all(&buf[..after]).unwrap();
                for at in after..after + 14 {
                    near.write_all(&buf[at..=at]).unwrap();
                    assert_eq!(gate.recv_timeout(ms(50)), Err(RecvTimeoutError::Timeout));
                }
                let _ = gate.recv();
                rest = after + 14;
            }
            if near.write_all(&buf[rest..n]).is_err() {
                break;
            }
        }
    });
    (url, slow, relay)
}

#[test]
fn a_time_limit_holds_while_a_record_drips_and_stalls() {
    let (server, client) = served(echo);
    let (url, slow, relay) = relay(&server);
    let mut socket = client.websocket(url).protocol(Protocol::Http1).connect().unwrap();
    let large = vec![8u8; 10_000];
    socket.send(&large).unwrap();
    assert!(socket.recv().unwrap().unwrap().as_bytes() == large);
    let (over, gate) = mpsc::channel();
    slow.send((0, gate)).unwrap();
    socket.send(&large).unwrap();
    for _ in 0..4 {
        assert_eq!(timed(ms(300), || socket.recv_timeout(ms(300))).unwrap(), Recv::TimedOut);
    }
    drop(over);
    assert!(socket.recv().unwrap().unwrap().as_bytes() == large);
    socket.close(CloseCode::NORMAL, "").unwrap();
    relay.join().unwrap();
}

/// Any byte is a sign of life, and goes on with a frame, also one of a record that cannot be opened yet.
#[test]
fn a_record_that_drips_is_no_silence() {
    let watchful = [Config::default().heartbeat(ms(100)).pong_timeout(ms(400)), Config::default().frame_stall(ms(400))];
    for (config, after) in watchful.into_iter().zip([0, 20_000]) {
        let (server, client) = served(echo);
        let (url, slow, relay) = relay(&server);
        let mut socket = client.websocket(url).protocol(Protocol::Http1).config(config).connect().unwrap();
        let large = vec![8u8; 40_000];
        let (over, gate) = mpsc::channel();
        slow.send((after, gate)).unwrap();
        socket.send(&large).unwrap();
        assert_eq!(timed(ms(600), || socket.recv_timeout(ms(600))).unwrap(), Recv::TimedOut);
        // It is given up once nothing comes any more.
        let began = Instant::now();
        let e = socket.recv().unwrap_err();
        assert!(e.kind() == ErrorKind::TimedOut && began.elapsed() >= ms(250), "{e:?} after {:?}", began.elapsed());
        drop(over);
        drop(socket);
        relay.join().unwrap();
    }
}

#[test]
fn messages_of_every_size_both_ways_at_once() {
    const SIZES: [usize; 8] = [1, 100, 5_000, 16_384, 70_000, 40, 300_000, 2 << 20];
    let (server, client) = served(|exchange: Exchange| {
        let (sender, mut receiver) = exchange.websocket(&[])?.split();
        // Nothing of what is sent here waits for what is received.
        let sending = thread::spawn(move || {
            (0..40usize).try_for_each(|n| {
                sender.ping()?;
                sender.send(&vec![n as u8; SIZES[n % SIZES.len()]])
            })
        });
        for n in 0..40usize {
            let message = receiver.recv()?.expect("a message");
            assert!(message.as_bytes() == vec![n as u8; SIZES[(n + 3) % SIZES.len()]], "message {n}");
        }
        sending.join().expect("no panic")?;
        assert_eq!(receiver.recv()?, None);
        Ok(())
    });
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let socket = client.websocket(server.ws_url("/")).protocol(protocol).connect().unwrap();
        let (sender, mut receiver) = socket.split();
        let sending = {
            let sender = sender.clone();
            thread::spawn(move || {
                (0..40usize).try_for_each(|n| {
                    let message = vec![n as u8; SIZES[(n + 3) % SIZES.len()]];
                    if n % 4 == 0 { sender.send_buffered(&message) } else { sender.send(&message) }
                })
            })
        };
        for n in 0..40usize {
            // Owned and lent in turn.
            if n % 2 == 0 {
                let message = receiver.recv().unwrap().unwrap();
                assert!(message.as_bytes() == vec![n as u8; SIZES[n % SIZES.len()]], "message {n} over {protocol:?}");
            } else {
                let message = receiver.recv_ref(ms(30_000)).unwrap().item().unwrap();
                assert!(message.as_bytes() == vec![n as u8; SIZES[n % SIZES.len()]], "message {n} over {protocol:?}");
            }
        }
        sending.join().unwrap().unwrap();
        sender.close(CloseCode::NORMAL, "").unwrap();
    }
}

#[test]
fn an_end_without_a_close_comes_behind_the_messages() {
    let (server, client) = served(|exchange: Exchange| {
        let mut socket = exchange.websocket(&[])?;
        socket.send(&vec![1; 100_000])?;
        socket.send("the last")
    });
    for (protocol, kind) in [(Protocol::Http1, ErrorKind::Closed), (Protocol::Http2, ErrorKind::Reset)] {
        let mut socket = client.websocket(server.ws_url("/")).protocol(protocol).connect().unwrap();
        assert_eq!(socket.recv().unwrap().unwrap().as_bytes().len(), 100_000);
        assert_eq!(socket.recv().unwrap(), Some(Message::Text("the last".into())));
        assert_eq!(socket.recv().unwrap_err().kind(), kind, "{protocol:?}");
        assert!(!socket.closed().unwrap().clean);
    }
}
