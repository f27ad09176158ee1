//! A thousand sockets on one thread: `ws_poll [--sockets N] [URL]`.
//!
//! It opens that many sockets to a server that echoes, such as `serve`, and has each send and hear a few messages. Without a URL it is
//! the server as well, and the one thread has both ends of every socket. `support/sockets.rs` has the calls to `polling`.

#[macro_use]
#[path = "support/warn.rs"]
mod warn;
#[macro_use]
#[path = "support/say.rs"]
mod say;
#[path = "support/sockets.rs"]
mod sockets;
#[path = "support/words.rs"]
mod words;

use bowline::{
    Client, Error, Exchange, Protocol, Recv, Result, Server, ServerHandle,
    http::Version,
    ws::{Sent, WebSocket},
};
use polling::Poller;
use sockets::Sockets;
use std::{
    process::ExitCode,
    sync::{Arc, mpsc},
    time::{Duration, Instant},
};
use words::{Usage, Word, Words};

const SOCKETS: usize = 1000;
const ROUNDS: usize = 20;
/// How long nothing may happen.
const SILENCE: Duration = Duration::from_secs(10);

/// Whose end of the socket it is.
enum End {
    /// Ours, and how many answers came.
    Client(usize),
    /// That of the server, which returns what comes.
    Server,
}

const USAGE: &str = "\
usage: ws_poll [--sockets N] [URL]
  --sockets N    how many sockets (default 1000)
Without a URL both ends are its own.";

fn main() -> ExitCode {
    let (count, url) = match parse() {
        Ok(parsed) => parsed,
        Err(usage) => return usage.answer("ws_poll", USAGE),
    };
    match run(count, url) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            warn!("ws_poll: {e}");
            ExitCode::FAILURE
        }
    }
}

/// Returns how many sockets there are to be, and to which URL.
fn parse() -> Result<(usize, Option<String>), Usage> {
    let (mut count, mut url) = (SOCKETS, None);
    let mut words = Words::new(std::env::args().skip(1), &[]);
    while let Some(word) = words.next()? {
        match word {
            Word::Plain(word) if url.is_none() => url = Some(word),
            Word::Plain(word) => return Err(Usage::unexpected(&word)),
            Word::Option if words.option() == "--sockets" => count = words.number(1)?,
            Word::Option => return Err(words.unknown()),
        }
    }
    Ok((count, url))
}

fn run(count: usize, url: Option<String>) -> Result<()> {
    let mut sockets = Sockets::new()?;
    let server = match url {
        None => Some(Accepting::new(sockets.poller())?),
        Some(_) => None,
    };
    let url = url.or(server.as_ref().map(|server| server.handle.ws_url("/"))).unwrap_or_default();
    let client = Client::builder().proxy(None).build()?;

    let began = Instant::now();
    let mut ready = Vec::new();
    for _ in 0..count {
        let socket = client.websocket(&url).protocol(Protocol::Http1).connect()?;
        ready.push(sockets.add(socket, End::Client(0))?);
    }
    say!("{count} sockets opened in {:?}", began.elapsed());

    let began = Instant::now();
    for (_, (socket, _)) in sockets.iter() {
        send(socket, &hello(0))?;
    }
    let mut left = count;
    loop {
        for socket in server.iter().flat_map(|server| server.accepted.try_iter()) {
            ready.push(sockets.add(socket, End::Server)?);
        }
        for key in std::mem::take(&mut ready) {
            match turn(key, &mut sockets)? {
                Turn::GoesOn => sockets.arm(key, false)?,
                Turn::Done => {
                    left -= 1;
                    sockets.remove(key);
                }
                Turn::Left => drop(sockets.remove(key)),
            }
        }
        if left == 0 {
            break;
        }
        ready = sockets.wait(Some(SILENCE))?;
        if ready.is_empty() && began.elapsed() > SILENCE {
            return Err(Error::other(format!("{left} sockets wait for an answer")));
        }
    }
    let (messages, seconds) = (count * ROUNDS, began.elapsed().as_secs_f64());
    say!(
        "{messages} messages there and back in {seconds:.3} s: {:.0} a second, on one thread",
        messages as f64 / seconds
    );
    Ok(())
}

/// What became of a socket in its turn.
enum Turn {
    GoesOn,
    /// All answers came.
    Done,
    /// The peer has closed.
    Left,
}

/// Does for a socket whatever can be done at once.
fn turn(key: usize, sockets: &mut Sockets<End>) -> Result<Turn> {
    let Some((socket, end)) = sockets.get(key) else { return Ok(Turn::GoesOn) };
    loop {
        let message = match (socket.try_recv(), &*end) {
            (Ok(Recv::Item(message)), _) => message,
            (Ok(Recv::TimedOut), _) => return Ok(Turn::GoesOn),
            (Ok(Recv::Ended), End::Client(_)) => return Err(Error::other("the server closed")),
            (Err(e), End::Client(_)) => return Err(e),
            (Ok(Recv::Ended) | Err(_), End::Server) => return Ok(Turn::Left),
        };
        match end {
            End::Server => send(socket, message.as_text().unwrap_or_default())?,
            End::Client(heard) => {
                if message.as_text() != Some(&hello(*heard)) {
                    return Err(Error::other(format!("{message:?} in answer to {}", hello(*heard))));
                }
                *heard += 1;
                if *heard == ROUNDS {
                    return Ok(Turn::Done);
                }
                send(socket, &hello(*heard))?;
            }
        }
    }
}

fn hello(round: usize) -> String {
    format!("hello {round}")
}

/// Each socket has one short message under way: there is always room for it.
fn send(socket: &mut WebSocket, text: &str) -> Result<()> {
    match socket.try_send(text)? {
        Sent::Accepted => Ok(()),
        Sent::TimedOut => Err(Error::other("no room for a short message")),
    }
}

/// A server that only shakes hands.
struct Accepting {
    handle: ServerHandle,
    accepted: mpsc::Receiver<WebSocket>,
}

impl Accepting {
    fn new(poller: Arc<Poller>) -> Result<Self> {
        let (give, accepted) = mpsc::channel();
        let server = Server::bind("127.0.0.1:0")?.only(Version::HTTP_11).workers(1).max_connections(100_000);
        let handle = server.spawn(move |exchange: Exchange| {
            // If the other end is gone, the program ends.
            let _ = give.send(exchange.websocket(&[])?);
            Ok(poller.notify()?)
        })?;
        Ok(Accepting { handle, accepted })
    }
}
