//! What the examples serve.
//!
//! | request | answer |
//! |---|---|
//! | `GET /` | a text that lists these |
//! | `GET /bytes/N` | so many bytes of filler |
//! | `POST /echo` | the body, while it arrives, and the trailers behind it |
//! | `GET /slow/MS` | a text, after so many milliseconds |
//! | `GET /files/...` | a file below the root, if there is one |
//! | a WebSocket, anywhere | every message, as it came |

use super::filler::Filler;
use bowline::{
    Body, BodyWriter, Error, Exchange, Recv, Result,
    http::{Response, Version, header},
    server_path,
};
use std::{
    collections::VecDeque,
    io::{Read, Write},
    path::Path,
    thread,
    time::{Duration, Instant},
};

const ABOUT: &str = "\
GET /            this text
GET /bytes/N     so many bytes
POST /echo       your body, and your trailers
GET /slow/MS     a text, after so many milliseconds
GET /files/...   files, if there is a root for them
A WebSocket on any path has its messages returned.
";

/// What a slow answer looks at while it sleeps: whether anybody still wants it.
const NAP: Duration = Duration::from_millis(20);

/// How long a client is waited for that has ended its direction and may have left.
const FAREWELL: Duration = Duration::from_secs(60);

/// Answers one exchange.
pub fn answer(exchange: Exchange, root: Option<&Path>) -> Result<()> {
    if exchange.is_websocket() {
        return echo_messages(exchange);
    }
    // That of CONNECT is empty, that of OPTIONS may be an asterisk.
    let path = exchange.path().strip_prefix('/').unwrap_or_default().to_owned();
    let (first, rest) = path.split_once('/').unwrap_or((&path, ""));
    let post = first == "echo";
    let allowed = if post { "POST, PUT" } else { "GET, HEAD" };
    if !allowed.split(", ").any(|method| exchange.method().as_str() == method) {
        let response =
            Response::builder().status(405).header(header::ALLOW, allowed).body("another method, please\n")?;
        return exchange.respond(response);
    }
    match first {
        "" => exchange.reply(200, ABOUT),
        "bytes" => match number(rest) {
            Some(n) => exchange.reply(200, filler(n)),
            None => exchange.reply(400, "a number of bytes, please\n"),
        },
        "echo" => echo(exchange),
        "slow" => match number(rest) {
            Some(ms) => slow(exchange, Duration::from_millis(ms)),
            None => exchange.reply(400, "a number of milliseconds, please\n"),
        },
        "files" => match root.and_then(|root| server_path(root, rest)) {
            Some(path) => exchange.respond_file(path),
            None => exchange.reply(404, "no such file\n"),
        },
        _ => exchange.reply(404, "no such page\n"),
    }
}

/// A number without a sign.
fn number(text: &str) -> Option<u64> {
    text.parse().ok().filter(|_| text.bytes().all(|b| b.is_ascii_digit()))
}

/// So many bytes, which are never all in memory.
fn filler(n: u64) -> Body {
    Body::from_fn(move || Ok(Filler::new(n))).with_len(n)
}

/// Sends the body back as it arrives, and the trailers behind it.
fn echo(exchange: Exchange) -> Result<()> {
    let mut head = Response::new(());
    if let Some(kind) = exchange.headers().get(header::CONTENT_TYPE) {
        head.headers_mut().insert(header::CONTENT_TYPE, kind.clone());
    }
    let (mut body, mut writer) = exchange.respond_streaming(head)?;
    return_body(&mut body, &mut writer)?;
    writer.flush()?;
    match body.trailers() {
        Some(trailers) => {
            let trailers = trailers.clone();
            writer.finish_with_trailers(trailers)
        }
        None => writer.finish(),
    }
}

/// How much of a body is kept for a client that does not read before it has sent everything, as many do.
const KEPT: usize = 64 << 20;

/// Sends what arrives as it arrives; what the client does not take yet waits, so that it can go on sending.
fn return_body(body: &mut Body, writer: &mut BodyWriter) -> Result<()> {
    let (mut piece, mut kept) = (vec![0; 64 * 1024], VecDeque::new());
    loop {
        let arrived = match kept.is_empty() {
            true => Recv::Item(body.read(&mut piece)?),
            false => body.read_timeout(&mut piece, Duration::from_millis(10))?,
        };
        match arrived {
            Recv::Item(0) | Recv::Ended => break,
            Recv::Item(n) => kept.extend(&piece[..n]),
            Recv::TimedOut => {}
        }
        while !kept.is_empty() {
            let wait = if kept.len() < KEPT { Duration::ZERO } else { Duration::from_secs(30) };
            match writer.write_timeout(kept.as_slices().0, wait)? {
                0 if wait.is_zero() => break,
                0 => return Err(Error::other("the client takes nothing of its own body")),
                n => drop(kept.drain(..n)),
            }
        }
    }
    let (front, back) = kept.as_slices();
    writer.write_all(front)?;
    writer.write_all(back)?;
    Ok(())
}

/// Returns every message until the peer closes.
fn echo_messages(exchange: Exchange) -> Result<()> {
    let mut socket = exchange.websocket(&[])?;
    while let Some(message) = socket.recv()? {
        socket.send(&message)?;
    }
    Ok(())
}

fn slow(exchange: Exchange, time: Duration) -> Result<()> {
    let began = Instant::now();
    let mut gone = None;
    while let Some(left) = time.checked_sub(began.elapsed()).filter(|left| !left.is_zero()) {
        // On HTTP/1 that may be a client that has said all and still reads.
        if exchange.is_cancelled() {
            let since = *gone.get_or_insert_with(Instant::now);
            if exchange.version() == Version::HTTP_2 || since.elapsed() >= FAREWELL {
                return Ok(());
            }
        }
        thread::sleep(left.min(NAP));
    }
    exchange.reply(200, format!("{} ms later\n", time.as_millis()))
}
