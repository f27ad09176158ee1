//! The internet of the programs: every host name leads to one server, whose certificate is good for all of them.

#[path = "../../src/net/tls/certs.rs"]
mod certs;

use bowline::{
    Body, Client, ClientBuilder, Exchange, Recv, Result, Server, ServerHandle, Tls,
    http::{Response, header},
    net::Resolve,
    ws::CloseCode,
};
use std::{
    io::{self, Read, Write},
    net::SocketAddr,
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
};

/// The names of the programs.
const HOSTS: &[&str] = &[
    "example.org",
    "pkg.test",
    "git.test",
    "api.game.test",
    "play.game.test",
    "s3.test",
    "a.test",
    "ok.test",
    "feed.test",
    "inside.test",
    "jobs.test",
    "files.test",
];

/// What `/p7.tar` and its like begin with, so that no two are equal.
pub const PACKAGE: u64 = 10_000;

/// How many moves the other players make before the game is over.
pub const MOVES: usize = 5;

struct World {
    server: ServerHandle,
    authority: String,
}

fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(|| {
        let authority = certs::Authority::new("programs");
        let identity = authority.issue(HOSTS);
        let server = Server::bind("127.0.0.1:0").expect("a port is free");
        let server = server.tls_pem(identity.chain.as_bytes(), identity.key.as_bytes());
        World { server: server.spawn(answer).expect("a thread can be made"), authority: authority.pem() }
    })
}

/// Finds every name on the server, whatever the port.
struct Here;

impl Resolve for Here {
    fn resolve(&self, host: &str, _port: u16, _deadline: bowline::Deadline) -> io::Result<Vec<SocketAddr>> {
        match HOSTS.contains(&host) {
            true => Ok(vec![world().server.local_addr()]),
            false => Err(io::Error::new(io::ErrorKind::NotFound, "no such name")),
        }
    }
}

/// What `Client::builder()` is where the internet is the real one.
pub fn builder() -> ClientBuilder {
    let trust = Tls::new().only_added_roots().add_root_pem(world().authority.as_bytes());
    Client::builder().tls(trust).proxy(None).resolver(Here)
}

/// What `Client::new()` is there.
pub fn client() -> Client {
    builder().build().expect("these settings fit together")
}

/// Answers for every host.
fn answer(exchange: Exchange) -> Result<()> {
    let host = exchange.uri().host().or(exchange.header("host")).unwrap_or_default().to_owned();
    match (host.as_str(), exchange.path()) {
        ("pkg.test", path) => match path.trim_matches(|c: char| !c.is_ascii_digit()).parse::<u64>() {
            Ok(n) => exchange
                .reply(200, Body::from_fn(move || Ok(io::repeat(n as u8).take(PACKAGE + n))).with_len(PACKAGE + n)),
            Err(_) => exchange.reply(404, "no such package"),
        },
        ("git.test", path) => match path {
            "/repo.git/info/refs" => redirect(exchange, "/moved/repo.git/info/refs?service=git-upload-pack"),
            "/moved/repo.git/info/refs" => exchange.reply(200, "001e# service=git-upload-pack\n0000"),
            "/moved/repo.git/git-upload-pack" => upload_pack(exchange),
            _ => exchange.reply(404, "no such repository"),
        },
        ("jobs.test", path) => {
            let done = format!("job {} is done", path.trim_start_matches('/'));
            exchange.reply(200, done)
        }
        ("files.test", "/small") => store(exchange),
        ("s3.test", "/bucket") => busy(exchange),
        ("s3.test", "/health") => exchange.reply(204, ()),
        ("api.game.test", "/scores") => exchange.reply(200, "1 2 3"),
        ("play.game.test", "/") if exchange.is_websocket() => play(exchange),
        ("example.org", "/feed") if exchange.is_websocket() => feed(exchange),
        ("feed.test", "/v5") if exchange.is_websocket() => exchange_feed(exchange),
        ("inside.test", "/echo") if exchange.is_websocket() => {
            let mut socket = exchange.websocket(&[])?;
            while let Some(message) = socket.recv()? {
                socket.send(&message)?;
            }
            Ok(())
        }
        ("inside.test", "/bye") if exchange.is_websocket() => {
            let mut socket = exchange.websocket(&[])?;
            socket.send("bye")?;
            socket.close(CloseCode::new(4002)?, "")
        }
        ("inside.test", "/forbidden") => exchange.reply(403, "not for you"),
        ("ok.test", "/ill") => exchange.reply(500, "ill"),
        ("ok.test", "/slow") => silent(exchange),
        (_, "/") => exchange.reply(200, format!("the page of {host}")),
        _ => exchange.reply(404, "no such page"),
    }
}

fn redirect(exchange: Exchange, to: &str) -> Result<()> {
    exchange.respond(Response::builder().status(302).header(header::LOCATION, to).body(())?)
}

/// Sends a first piece before the request is complete, the length of the request behind it.
fn upload_pack(exchange: Exchange) -> Result<()> {
    let (mut body, mut writer) = exchange.respond_streaming(Response::new(()))?;
    writer.write_all(b"refs: ")?;
    writer.flush()?;
    let n = io::copy(&mut body, &mut io::sink())?;
    write!(writer, "{n} bytes")?;
    writer.finish()
}

/// Says how much came, and from whom.
fn store(mut exchange: Exchange) -> Result<()> {
    let n = io::copy(exchange.body(), &mut io::sink())?;
    let answer = format!("{n} bytes from {}", exchange.header("user-agent").unwrap_or_default());
    exchange.reply(200, answer)
}

/// Has no time for the first two requests, and wants them signed.
fn busy(exchange: Exchange) -> Result<()> {
    static ASKED: AtomicU32 = AtomicU32::new(0);
    if exchange.header("authorization").is_none_or(|value| !value.starts_with("v1 ")) {
        return exchange.reply(403, "who are you?");
    }
    match ASKED.fetch_add(1, Ordering::Relaxed) {
        0 => exchange.respond(Response::builder().status(503).header(header::RETRY_AFTER, "0").body(())?),
        1 => exchange.respond(Response::builder().status(429).header(header::RETRY_AFTER, "0").body(())?),
        _ => exchange.reply(200, "a bucket"),
    }
}

/// Makes a move whenever the player has said something.
fn play(exchange: Exchange) -> Result<()> {
    let mut socket = exchange.websocket(&[])?;
    for n in 0..MOVES {
        if socket.recv()?.is_none() {
            return Ok(());
        }
        socket.send(&format!("move {n}"))?;
    }
    socket.close(CloseCode::NORMAL, "the game is over")
}

/// Has two messages for who subscribes.
fn feed(exchange: Exchange) -> Result<()> {
    let mut socket = exchange.websocket(&[])?;
    if socket.recv()?.is_some_and(|message| message.as_text() == Some("subscribe")) {
        socket.send("news")?;
        socket.send(b"\0\x01".as_slice())?;
    }
    socket.close(CloseCode::NORMAL, "no more news")
}

/// Breaks the first connection after two orders; closes the second one once its silence was noticed.
fn exchange_feed(exchange: Exchange) -> Result<()> {
    static OPENED: AtomicU32 = AtomicU32::new(1);
    let count = OPENED.fetch_add(1, Ordering::Relaxed);
    let mut socket = exchange.websocket(&[])?;
    // Orders may come from another thread, before or between the subscriptions.
    let (mut topics, mut orders) = (0, Vec::new());
    while topics < 2 || (count == 1 && orders.len() < 2) {
        let Some(message) = socket.recv()? else { return Ok(()) };
        let text = message.as_text().unwrap_or_default();
        match text.strip_prefix("{\"subscribe\":\"") {
            Some(topic) => {
                topics += 1;
                socket.send(&format!("{} {count}", topic.trim_end_matches("\"}")))?;
            }
            None => orders.push(format!("{text} done")),
        }
    }
    if count == 1 {
        orders.iter().try_for_each(|order| socket.send(order))?;
        // Without a Close.
        return Ok(());
    }
    while let Some(message) = socket.recv()? {
        if message.as_text() == Some("wake up") {
            socket.send("awake")?;
            return socket.close(CloseCode::NORMAL, "");
        }
    }
    Ok(())
}

/// Says nothing until the client has gone.
fn silent(mut exchange: Exchange) -> Result<()> {
    let mut body = exchange.take_body();
    while !exchange.is_cancelled() {
        if let Recv::Item(_) = body.read_timeout(&mut [0; 16], std::time::Duration::from_millis(10))? {}
        // Behind the end of the request nothing tells of the client: it is asked now and then.
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    Ok(())
}
