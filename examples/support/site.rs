//! What the examples serve.
//!
//! | request | answer |
//! |---|---|
//! | `GET /` | a text that lists these |
//! | `GET /bytes/N` | so many bytes of filler |
//! | `POST /echo` | the body, while it arrives, and the trailers behind it |
//! | `GET /slow/MS` | a text, after so many milliseconds |
//! | `GET /files/...` | a file below the root, if there is one |

use super::filler::Filler;
use bowline::{
    Body, Exchange, Result,
    http::{Response, header},
};
use std::{
    fs::File,
    io::{self, Write},
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

const ABOUT: &str = "\
GET /            this text
GET /bytes/N     so many bytes
POST /echo       your body, and your trailers
GET /slow/MS     a text, after so many milliseconds
GET /files/...   files, if there is a root for them
";

/// What a slow answer looks at while it sleeps: whether anybody still wants it.
const NAP: Duration = Duration::from_millis(20);

/// Answers one exchange.
pub fn answer(exchange: Exchange, root: Option<&Path>) -> Result<()> {
    let path = exchange.path().to_owned();
    let (first, rest) = path[1..].split_once('/').unwrap_or((&path[1..], ""));
    let post = first == "echo";
    let allowed = if post { "POST, PUT" } else { "GET, HEAD" };
    if !allowed.split(", ").any(|method| exchange.method().as_str() == method) {
        let response =
            Response::builder().status(405).header(header::ALLOW, allowed).body("another method, please\n")?;
        return exchange.respond(response);
    }
    match first {
        "" => exchange.reply(200, ABOUT),
        "bytes" => match rest.parse() {
            Ok(n) => exchange.respond(of_type("application/octet-stream", filler(n))),
            Err(_) => exchange.reply(400, "a number of bytes, please\n"),
        },
        "echo" => echo(exchange),
        "slow" => match rest.parse() {
            Ok(ms) => slow(exchange, Duration::from_millis(ms)),
            Err(_) => exchange.reply(400, "a number of milliseconds, please\n"),
        },
        "files" => match root.and_then(|root| below(root, rest)) {
            Some(path) => file(exchange, &path),
            None => exchange.reply(404, "no such file\n"),
        },
        _ => exchange.reply(404, "no such page\n"),
    }
}

/// So many bytes, which are never all in memory.
fn filler(n: u64) -> Body {
    Body::from_fn(move || Ok(Filler::new(n))).with_len(n)
}

fn of_type(kind: &str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    if let Ok(kind) = kind.parse() {
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
    }
    response
}

/// Sends the body back as it arrives, and the trailers behind it.
fn echo(exchange: Exchange) -> Result<()> {
    let mut head = Response::new(());
    if let Some(kind) = exchange.headers().get(header::CONTENT_TYPE) {
        head.headers_mut().insert(header::CONTENT_TYPE, kind.clone());
    }
    let (mut body, mut writer) = exchange.respond_streaming(head)?;
    io::copy(&mut body, &mut writer)?;
    writer.flush()?;
    match body.trailers() {
        Some(trailers) => {
            let trailers = trailers.clone();
            writer.finish_with_trailers(trailers)
        }
        None => writer.finish(),
    }
}

fn slow(exchange: Exchange, time: Duration) -> Result<()> {
    let began = Instant::now();
    while let Some(left) = time.checked_sub(began.elapsed()).filter(|left| !left.is_zero()) {
        if exchange.is_cancelled() {
            return Ok(());
        }
        thread::sleep(left.min(NAP));
    }
    exchange.reply(200, format!("{} ms later\n", time.as_millis()))
}

fn file(exchange: Exchange, path: &Path) -> Result<()> {
    match File::open(path).and_then(|file| Ok((file.metadata()?.is_file(), file))) {
        Ok((true, file)) => exchange.respond(of_type(kind_of(path), Body::from_file(file)?)),
        Ok((false, _)) => exchange.reply(404, "no such file\n"),
        Err(e) if e.kind() == io::ErrorKind::PermissionDenied => exchange.reply(403, "not for you\n"),
        Err(_) => exchange.reply(404, "no such file\n"),
    }
}

/// Returns the file that a path of the URL means; `None` if it could lead out of the root.
fn below(root: &Path, path: &str) -> Option<PathBuf> {
    let mut file = root.to_owned();
    for part in path.split('/') {
        let part = decoded(part)?;
        // A part is a plain name: neither `..` nor a separator, a drive or a hidden end of the string.
        if part.is_empty() || part == "." || part == ".." || part.contains(['/', '\\', ':', '\0']) {
            return None;
        }
        file.push(part);
    }
    Some(file)
}

/// Returns a part of a path with its `%41` decoded; `None` if it is not UTF-8 then.
fn decoded(part: &str) -> Option<String> {
    let mut bytes = part.bytes();
    let mut out = Vec::with_capacity(part.len());
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'%' => {
                let digit = |b: Option<u8>| char::from(b?).to_digit(16);
                u8::try_from(digit(bytes.next())? * 16 + digit(bytes.next())?).ok()?
            }
            byte => byte,
        });
    }
    String::from_utf8(out).ok()
}

fn kind_of(path: &Path) -> &'static str {
    match path.extension().and_then(|e| e.to_str()) {
        Some("html") => "text/html; charset=utf-8",
        Some("txt" | "md" | "rs" | "toml") => "text/plain; charset=utf-8",
        Some("json") => "application/json",
        Some("css") => "text/css",
        Some("js" | "mjs") => "text/javascript",
        Some("png") => "image/png",
        Some("svg") => "image/svg+xml",
        _ => "application/octet-stream",
    }
}
