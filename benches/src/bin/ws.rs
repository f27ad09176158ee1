//! One WebSocket scenario, so many messages: `ws WHO SCENARIO URL N SIZE [CA]`. What it costs is the difference between two N.
//!
//! | who | is |
//! |---|---|
//! | `bowline` | this library |
//! | `tungstenite`, `fastwebsockets` | what it is compared with, as their documentation advises for speed; only `ws://` |
//! | `peer`, `tls-peer CERT KEY`, `tls-h1-peer CERT KEY` | not a client but what all of them talk to: prints its port; the second speaks HTTP/2 |
//!
//! | scenario | what |
//! |---|---|
//! | `echo` | a message there and back, one after the other: S10; with large messages S12 |
//! | `send` | messages one way, buffered, until the peer says that it has all: S11 |
//! | `receive` | messages the other way: S11 |
//! | `idle` | so many connections on each of which one message went there and back: S13, see the last line |
//!
//! The last line says how often memory was asked for, and how much is held at the end.

use bowline::{Client, Result, Server, Tls, http::Version, ws::WebSocket as Socket};
use bowline_benches::Counting;
use fastwebsockets::{Frame, OpCode, Payload, Role, WebSocket};
use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    process::ExitCode,
    sync::Arc,
    thread,
    time::Duration,
};

#[global_allocator]
static MEMORY: Counting = Counting::new();

/// How long a message may take.
const PATIENCE: Duration = Duration::from_secs(60);

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match run(&args) {
        Ok(held) => {
            let (calls, bytes) = MEMORY.given();
            println!("allocations {calls} bytes {bytes} held {held}");
            ExitCode::SUCCESS
        }
        Err(e) => {
            eprintln!("ws: {e:?}");
            ExitCode::FAILURE
        }
    }
}

/// Runs a scenario; returns the memory that its connections held when it was done.
fn run(args: &[&str]) -> Result<u64> {
    let (who, scenario, url, n, size, ca) = match args {
        ["peer"] => return peer(),
        ["tls-peer", cert, key] => return tls_peer(Server::bind("127.0.0.1:0")?, cert, key),
        ["tls-h1-peer", cert, key] => return tls_peer(Server::bind("127.0.0.1:0")?.only(Version::HTTP_11), cert, key),
        [who, scenario, url, n, size, ca @ ..] => {
            (*who, *scenario, *url, number(n)?, number(size)?, ca.first().copied())
        }
        _ => return Err(bowline::Error::other("usage: ws WHO SCENARIO URL N SIZE [CA]")),
    };
    let message = vec![b'x'; size];
    let path = match scenario {
        "send" => format!("/sink/{}", n * size),
        "receive" => format!("/source/{n}/{size}"),
        _ => "/echo".to_owned(),
    };
    let url = format!("{url}{path}");
    let before = MEMORY.held();
    match who {
        "bowline" => {
            let client = client(ca)?;
            by_bowline(&client, scenario, &url, n, &message, before)
        }
        "tungstenite" => by_tungstenite(scenario, &url, n, &message, before).map_err(bowline::Error::other),
        "fastwebsockets" => tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .build()?
            .block_on(by_fastwebsockets(scenario, &url, n, &message, before))
            .map_err(bowline::Error::other),
        _ => Err(bowline::Error::other("no such client")),
    }
}

fn number(text: &str) -> Result<usize> {
    text.parse().map_err(bowline::Error::other)
}

fn client(ca: Option<&str>) -> Result<Client> {
    let mut tls = Tls::new();
    if let Some(ca) = ca {
        tls = tls.only_added_roots().add_root_pem(&std::fs::read(ca)?);
    }
    Client::builder().proxy(None).tls(tls).build()
}

fn by_bowline(client: &Client, scenario: &str, url: &str, n: usize, message: &[u8], before: u64) -> Result<u64> {
    let open = || client.websocket(url).connect();
    let echo = |socket: &mut Socket| {
        socket.send(message)?;
        let answer = socket.recv_ref(PATIENCE)?.item().expect("an answer");
        assert_eq!(answer.as_bytes().len(), message.len());
        Ok::<(), bowline::Error>(())
    };
    match scenario {
        "echo" => {
            let mut socket = open()?;
            (0..n).try_for_each(|_| echo(&mut socket))?;
            Ok(MEMORY.held() - before)
        }
        "send" => {
            let mut socket = open()?;
            (0..n).try_for_each(|_| socket.send_buffered(message))?;
            socket.flush()?;
            socket.recv()?;
            Ok(MEMORY.held() - before)
        }
        "receive" => {
            let mut socket = open()?;
            for _ in 0..n {
                let arrived = socket.recv_ref(PATIENCE)?.item().expect("a message");
                assert_eq!(arrived.as_bytes().len(), message.len());
            }
            Ok(MEMORY.held() - before)
        }
        "idle" => {
            let mut sockets = Vec::with_capacity(n);
            for _ in 0..n {
                let mut socket = open()?;
                echo(&mut socket)?;
                sockets.push(socket);
            }
            Ok(MEMORY.held() - before)
        }
        _ => Err(bowline::Error::other("no such scenario")),
    }
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

fn by_tungstenite(
    scenario: &str,
    url: &str,
    n: usize,
    message: &[u8],
    before: u64,
) -> std::result::Result<u64, Failure> {
    use tungstenite::{Bytes, Message};
    let open = || {
        let socket = TcpStream::connect(url.trim_start_matches("ws://").split('/').next().expect("a host"))?;
        socket.set_nodelay(true)?;
        Ok::<_, Failure>(tungstenite::client(url, socket).map_err(|e| e.to_string())?.0)
    };
    let bytes = Bytes::copy_from_slice(message);
    match scenario {
        "echo" => {
            let mut socket = open()?;
            for _ in 0..n {
                socket.send(Message::Binary(bytes.clone()))?;
                assert_eq!(socket.read()?.len(), message.len());
            }
            Ok(MEMORY.held() - before)
        }
        "send" => {
            let mut socket = open()?;
            for _ in 0..n {
                socket.write(Message::Binary(bytes.clone()))?;
            }
            socket.flush()?;
            socket.read()?;
            Ok(MEMORY.held() - before)
        }
        "receive" => {
            let mut socket = open()?;
            for _ in 0..n {
                assert_eq!(socket.read()?.len(), message.len());
            }
            Ok(MEMORY.held() - before)
        }
        "idle" => {
            let mut sockets = Vec::with_capacity(n);
            for _ in 0..n {
                let mut socket = open()?;
                socket.send(Message::Binary(bytes.clone()))?;
                socket.read()?;
                sockets.push(socket);
            }
            Ok(MEMORY.held() - before)
        }
        _ => Err("no such scenario".into()),
    }
}

async fn by_fastwebsockets(
    scenario: &str,
    url: &str,
    n: usize,
    message: &[u8],
    before: u64,
) -> std::result::Result<u64, Failure> {
    match scenario {
        "echo" => {
            let mut socket = fast(url)?;
            for _ in 0..n {
                socket.write_frame(Frame::binary(Payload::Borrowed(message))).await?;
                assert_eq!(socket.read_frame().await?.payload.len(), message.len());
            }
            Ok(MEMORY.held() - before)
        }
        "send" => {
            use tokio::io::{AsyncWriteExt, BufWriter};
            let (stream, _) = tokio_stream(url)?;
            let mut socket = WebSocket::after_handshake(BufWriter::with_capacity(128 * 1024, stream), Role::Client);
            socket.set_auto_apply_mask(true);
            for _ in 0..n {
                socket.write_frame(Frame::new(true, OpCode::Binary, None, Payload::Borrowed(message))).await?;
            }
            let mut stream = socket.into_inner();
            stream.flush().await?;
            let mut answer = [0; 2];
            tokio::io::AsyncReadExt::read_exact(&mut stream, &mut answer).await?;
            Ok(MEMORY.held() - before)
        }
        "receive" => {
            let mut socket = fast(url)?;
            for _ in 0..n {
                assert_eq!(socket.read_frame().await?.payload.len(), message.len());
            }
            Ok(MEMORY.held() - before)
        }
        "idle" => {
            let mut sockets = Vec::with_capacity(n);
            for _ in 0..n {
                let mut socket = fast(url)?;
                socket.write_frame(Frame::binary(Payload::Borrowed(message))).await?;
                socket.read_frame().await?;
                sockets.push(socket);
            }
            Ok(MEMORY.held() - before)
        }
        _ => Err("no such scenario".into()),
    }
}

fn fast(url: &str) -> std::result::Result<WebSocket<tokio::net::TcpStream>, Failure> {
    let mut socket = WebSocket::after_handshake(tokio_stream(url)?.0, Role::Client);
    socket.set_auto_pong(true);
    socket.set_max_message_size(64 << 20);
    Ok(socket)
}

/// A stream behind a handshake.
fn tokio_stream(url: &str) -> std::result::Result<(tokio::net::TcpStream, String), Failure> {
    let (host, path) = url.trim_start_matches("ws://").split_once('/').ok_or("no path")?;
    let mut socket = TcpStream::connect(host)?;
    socket.set_nodelay(true)?;
    let key = tungstenite::handshake::client::generate_key();
    write!(
        socket,
        "GET /{path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: {key}\r\n\r\n"
    )?;
    // Byte by byte: what is behind the head belongs to the socket.
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        socket.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    socket.set_nonblocking(true)?;
    Ok((tokio::net::TcpStream::from_std(socket)?, String::from_utf8(head)?))
}

/// What all clients talk to.
fn peer() -> Result<u64> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("{}", listener.local_addr()?.port());
    for socket in listener.incoming() {
        let socket = socket?;
        thread::Builder::new().stack_size(128 * 1024).spawn(move || {
            // A client that goes away ends its thread.
            let _ = attend(socket);
        })?;
    }
    Ok(0)
}

/// Serves one client, with as little thought as possible.
fn attend(mut socket: TcpStream) -> std::io::Result<()> {
    socket.set_nodelay(true)?;
    let mut reader = BufReader::with_capacity(16 * 1024, socket.try_clone()?);
    let (mut path, mut key, mut line) = (String::new(), String::new(), String::new());
    loop {
        line.clear();
        reader.read_line(&mut line)?;
        let text = line.trim();
        if let Some(target) = text.strip_prefix("GET ") {
            target.split(' ').next().unwrap_or_default().clone_into(&mut path);
        }
        match text.split_once(": ") {
            Some((name, value)) if name.eq_ignore_ascii_case("sec-websocket-key") => value.clone_into(&mut key),
            _ => {}
        }
        if text.is_empty() {
            break;
        }
    }
    let accept = tungstenite::handshake::derive_accept_key(key.as_bytes());
    write!(
        socket,
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
    )?;
    let mut parts = path.split('/').skip(1);
    let what = parts.next().unwrap_or_default();
    let mut numbers = parts.map(|n| n.parse::<usize>().unwrap_or(0));
    match what {
        "echo" => echo(&mut reader, &mut socket),
        "sink" => {
            let mut left = numbers.next().unwrap_or(0);
            while left > 0 {
                left -= skip(&mut reader)?.min(left);
            }
            socket.write_all(b"\x82\x00")?;
            skip(&mut reader).map(|_| ())
        }
        _ => {
            let (n, size) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
            let mut frame = header(size);
            frame.resize(frame.len() + size, b'y');
            let many = frame.repeat(((1 << 20) / frame.len()).clamp(1, n.max(1)));
            let mut left = n * frame.len();
            while left > 0 {
                let now = left.min(many.len());
                socket.write_all(&many[..now])?;
                left -= now;
            }
            skip(&mut reader).map(|_| ())
        }
    }
}

/// The header of a frame to a client.
fn header(size: usize) -> Vec<u8> {
    match size {
        0..=125 => vec![0x82, size as u8],
        126..=0xffff => [&[0x82, 126][..], &(size as u16).to_be_bytes()].concat(),
        _ => [&[0x82, 127][..], &(size as u64).to_be_bytes()].concat(),
    }
}

/// Reads the header of a frame of a client; returns the length of its payload and its mask.
fn read_header(reader: &mut impl Read) -> std::io::Result<(usize, [u8; 4])> {
    let (mut start, mut mask) = ([0; 2], [0; 4]);
    reader.read_exact(&mut start)?;
    let len = match start[1] & 0x7f {
        126 => {
            let mut len = [0; 2];
            reader.read_exact(&mut len)?;
            usize::from(u16::from_be_bytes(len))
        }
        127 => {
            let mut len = [0; 8];
            reader.read_exact(&mut len)?;
            u64::from_be_bytes(len) as usize
        }
        short => usize::from(short),
    };
    reader.read_exact(&mut mask)?;
    Ok((len, mask))
}

/// Reads over a frame; returns the length of its payload.
fn skip(reader: &mut BufReader<TcpStream>) -> std::io::Result<usize> {
    let (len, _) = read_header(reader)?;
    std::io::copy(&mut reader.take(len as u64), &mut std::io::sink())?;
    Ok(len)
}

fn echo(reader: &mut BufReader<TcpStream>, socket: &mut TcpStream) -> std::io::Result<()> {
    let mut frame = Vec::new();
    loop {
        let (len, mask) = read_header(reader)?;
        frame.clear();
        frame.extend(header(len));
        let at = frame.len();
        frame.resize(at + len, 0);
        reader.read_exact(&mut frame[at..])?;
        frame[at..].iter_mut().zip(mask.iter().cycle()).for_each(|(byte, key)| *byte ^= key);
        socket.write_all(&frame)?;
    }
}

/// The same with TLS.
fn tls_peer(server: Server, cert: &str, key: &str) -> Result<u64> {
    let server = server.tls_pem(&std::fs::read(cert)?, &std::fs::read(key)?);
    println!("{}", server.local_addr()?.port());
    server.serve(move |exchange: bowline::Exchange| {
        let path = Arc::<str>::from(exchange.path());
        let mut parts = path.split('/').skip(1);
        let what = parts.next().unwrap_or_default().to_owned();
        let mut numbers = parts.map(|n| n.parse::<usize>().unwrap_or(0));
        let mut socket = exchange.websocket(&[])?;
        match what.as_str() {
            "echo" => {
                while let Some(message) = socket.recv()? {
                    socket.send(&message)?;
                }
            }
            "sink" => {
                let mut left = numbers.next().unwrap_or(0);
                while left > 0 {
                    left -= socket.recv()?.map_or(left, |message| message.as_bytes().len().min(left));
                }
                socket.send(b"")?;
                socket.recv()?;
            }
            _ => {
                let (n, size) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
                let message = vec![b'y'; size];
                (0..n).try_for_each(|_| socket.send_buffered(&message))?;
                socket.flush()?;
                socket.recv()?;
            }
        }
        Ok(())
    })?;
    Ok(0)
}
