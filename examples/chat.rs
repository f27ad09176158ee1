//! Chat rooms, one for each path: `chat 127.0.0.1:8080`, and then `ws ws://127.0.0.1:8080/lobby`, as often as you like.
//!
//! A thousand sockets need no thousand threads: handlers give them to a few hubs, see `support/house.rs`. `chat --self-test` opens a
//! thousand and has them talk, with one among them that does not read, and fails if anybody is held up.

#[macro_use]
#[path = "support/warn.rs"]
mod warn;
#[path = "support/house.rs"]
mod house;
#[macro_use]
#[path = "support/say.rs"]
mod say;
#[path = "support/sockets.rs"]
mod sockets;
#[path = "support/words.rs"]
mod words;

use bowline::{Client, Error, Exchange, Recv, Result, Server, ServerHandle, http::Version, ws::WebSocket};
use house::House;
use sockets::Sockets;
use std::{
    net::ToSocketAddrs,
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};
use words::{Usage, Word, Words};

/// Threads that own sockets; with those of the server and `main` there are eight at most.
const HUBS: usize = 3;
/// Threads that shake hands.
const WORKERS: usize = 2;

const SOCKETS: usize = 1000;
const ROUNDS: usize = 60;
/// What the slow reader gets meanwhile: more than the buffers of a connection hold.
const FLOOD: usize = 8;
const FLOOD_BYTES: usize = 32 * 1024;
/// How long a message may take to reach everyone, on a machine that has other things to do as well.
const LATE: Duration = Duration::from_secs(2);

const USAGE: &str = "\
usage: chat ADDRESS | chat --self-test
  ADDRESS        where to listen, such as 127.0.0.1:8080
  --self-test    have a thousand sockets talk, and fail if anybody is held up";

fn main() -> ExitCode {
    let result = match parse() {
        Ok(None) => self_test(),
        Ok(Some(address)) => serve(&address).map_err(|e| Error::other(format!("{address}: {e}"))),
        Err(usage) => return usage.answer("chat", USAGE),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            warn!("chat: {e}");
            ExitCode::FAILURE
        }
    }
}

/// Returns where to listen; `None`: the self-test.
fn parse() -> Result<Option<String>, Usage> {
    let mut words = Words::new(std::env::args().skip(1), &[]);
    let (mut addresses, mut test) = (Vec::new(), false);
    while let Some(word) = words.next()? {
        match word {
            Word::Plain(address) => addresses.push(address),
            Word::Option if words.option() == "--self-test" => test = true,
            Word::Option => return Err(words.unknown()),
        }
    }
    match (test, addresses.len()) {
        (true, 0) => Ok(None),
        (true, _) => Err(Usage::unexpected(&addresses[0])),
        (false, 1) => Ok(addresses.pop()),
        (false, count) => Err(Usage::one("address", count)),
    }
}

fn serve(address: &str) -> Result<()> {
    let house = House::open(HUBS)?;
    let server = server(address, &house)?;
    say!("listening on {}", server.ws_url("/").trim_end_matches('/'));
    loop {
        std::thread::park();
    }
}

/// HTTP/1 only: over HTTP/2 sockets share a descriptor, and nobody can poll for one of them.
fn server(address: impl ToSocketAddrs, house: &Arc<House>) -> Result<ServerHandle> {
    let house = house.clone();
    let server = Server::bind(address)?.only(Version::HTTP_11).workers(WORKERS).max_connections(10_000);
    server.spawn(move |exchange: Exchange| {
        if !exchange.is_websocket() {
            return exchange.reply(426, "a WebSocket, please\n");
        }
        let room = exchange.path().to_owned();
        house.join(&room, exchange.websocket(&[])?)
    })
}

/// Has a thousand sockets hear each message of one of them, while another one is flooded and does not read.
fn self_test() -> Result<()> {
    let house = House::open(HUBS)?;
    let server = server("127.0.0.1:0", &house)?;
    let client = Client::builder().proxy(None).build()?;
    let open = |room: &str| client.websocket(server.ws_url(room)).connect();

    let began = Instant::now();
    let mut lobby = Sockets::new()?;
    for _ in 0..SOCKETS {
        let key = lobby.add(open("/lobby")?, 0)?;
        lobby.arm(key, false)?;
    }
    say!("{SOCKETS} sockets opened in {:?}", began.elapsed());
    let (mut feeder, slow) = (open("/flood")?, open("/flood")?);

    // A socket is open before it is in the room.
    while house.members() < SOCKETS + 2 {
        std::thread::yield_now();
    }
    let mut times = Vec::new();
    let flood = "x".repeat(FLOOD_BYTES);
    let mut fed = 0;
    for round in 0..ROUNDS {
        for _ in 0..FLOOD {
            feeder.send(&flood)?;
            while let Recv::Item(_) = feeder.try_recv()? {
                fed += 1;
            }
        }
        let began = Instant::now();
        let text = format!("round {round}");
        let (speaker, _) = lobby.get(round % SOCKETS).ok_or_else(|| Error::other("a member was dropped"))?;
        speaker.send(&text)?;
        hear(&mut lobby, round, &text)?;
        times.push(began.elapsed());
    }
    // The one beside it that reads gets everything.
    while fed < ROUNDS * FLOOD {
        if let Recv::Item(_) = feeder.recv_timeout(LATE)? {
            fed += 1;
        } else {
            return Err(Error::other(format!("only {fed} messages came through")));
        }
    }
    report(&house, times, slow)
}

/// Waits until every socket has heard the text.
fn hear(lobby: &mut Sockets<usize>, round: usize, text: &str) -> Result<()> {
    let began = Instant::now();
    let mut left = SOCKETS;
    while left > 0 {
        if began.elapsed() > LATE {
            return Err(Error::other(format!("{left} sockets did not hear `{text}` within {LATE:?}")));
        }
        for key in lobby.wait(Some(LATE))? {
            let Some((socket, heard)) = lobby.get(key) else { continue };
            while let Recv::Item(message) = socket.try_recv()? {
                if *heard != round || message.as_text() != Some(text) {
                    return Err(Error::other(format!("socket {key} heard {message:?} in round {round}")));
                }
                *heard += 1;
                left -= 1;
            }
            lobby.arm(key, false)?;
        }
    }
    Ok(())
}

fn report(house: &House, mut times: Vec<Duration>, mut slow: WebSocket) -> Result<()> {
    times.sort();
    let of = |part: usize| times[(times.len() - 1) * part / 100];
    say!("{ROUNDS} messages to {SOCKETS} sockets each: p50 {:?}, p99 {:?}, max {:?}", of(50), of(99), of(100));
    say!("{} deliveries in all, {} slow readers dropped", house.delivered(), house.slow());
    if let Some(threads) = threads() {
        say!("{threads} threads");
        if threads > 8 {
            return Err(Error::other("more than eight threads"));
        }
    }
    let mut read = 0;
    // What the kernel had taken for it before is still there.
    while let Ok(Recv::Item(_)) = slow.recv_timeout(LATE) {
        read += 1;
    }
    say!("the slow one could read {read} of {} before its end", ROUNDS * FLOOD);
    match house.slow() {
        1 => Ok(()),
        n => Err(Error::other(format!("{n} sockets were dropped, not one"))),
    }
}

/// How many threads this process has, where the system says so.
fn threads() -> Option<usize> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    status.lines().find_map(|line| line.strip_prefix("Threads:")?.trim().parse().ok())
}
