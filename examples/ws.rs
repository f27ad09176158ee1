//! Talks to a WebSocket: `ws wss://example.org/chat`, or returns what comes: `ws --echo URL`.
//!
//! Lines of standard input are sent as texts; what arrives is printed, binary messages as their length. At the end of the input it
//! closes, once the peer has nothing more to say. It ends with 0 if both sides closed. The options are in
//! `support/ws_args.rs`.

#[macro_use]
#[path = "support/warn.rs"]
mod warn;
#[path = "support/settle.rs"]
mod settle;
#[path = "support/words.rs"]
mod words;
#[path = "support/ws_args.rs"]
mod ws_args;

use bowline::{
    Client, ClientBuilder, Error, Protocol, Recv, Result,
    ws::{CloseCode, Closed, Config, MessageRef, WebSocket},
};
use settle::settle;
use std::{
    io::{self, BufRead, Write},
    path::Path,
    process::ExitCode,
    thread,
    time::Duration,
};
use ws_args::{WS_USAGE, Ws};

/// How long a wait is where no limit was asked for.
const LONG: Duration = Duration::from_secs(365 * 24 * 3600);

fn main() -> ExitCode {
    let options = match Ws::parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(usage) => return usage.answer("ws", WS_USAGE),
    };
    let ended = open(&options).and_then(|socket| match options.echo {
        true => echo(socket, options.timeout.unwrap_or(LONG)),
        false => talk(socket, options.timeout.unwrap_or(LONG)),
    });
    match ended {
        Ok(code) => code,
        Err(e) => {
            warn!("ws: {e}");
            ExitCode::FAILURE
        }
    }
}

/// Connects as the options say.
fn open(options: &Ws) -> Result<WebSocket> {
    let client = Client::builder();
    let client = match &options.cacert {
        Some(path) => trust(client, path)?,
        None => client,
    };
    let mut builder = client.build()?.websocket(&options.url).config(config(options)?);
    if options.http2 {
        builder = builder.protocol(Protocol::Http2);
    }
    if let Some(timeout) = options.timeout {
        builder = builder.timeout(timeout);
    }
    for (name, value) in &options.headers {
        builder = builder.header(name, value);
    }
    builder.connect()
}

#[cfg(feature = "tls")]
fn trust(client: ClientBuilder, path: &Path) -> Result<ClientBuilder> {
    let pem = std::fs::read(path).map_err(|e| Error::other(format!("{}: {e}", path.display())))?;
    Ok(client.tls(bowline::Tls::new().add_root_pem(&pem)))
}

#[cfg(not(feature = "tls"))]
fn trust(_: ClientBuilder, _: &Path) -> Result<ClientBuilder> {
    Err(Error::other("built without the feature `tls`"))
}

#[cfg(feature = "deflate")]
fn config(options: &Ws) -> Result<Config> {
    let config = Config::default();
    Ok(if options.deflate { config.deflate(0) } else { config })
}

#[cfg(not(feature = "deflate"))]
fn config(options: &Ws) -> Result<Config> {
    if options.deflate { Err(Error::other("built without the feature `deflate`")) } else { Ok(Config::default()) }
}

/// Returns every message until the peer closes.
fn echo(mut socket: WebSocket, timeout: Duration) -> Result<ExitCode> {
    loop {
        let message = match socket.recv_timeout(timeout)? {
            Recv::Item(message) => message,
            Recv::TimedOut => return Ok(silent(timeout)),
            Recv::Ended => return Ok(socket.closed().map_or(ExitCode::SUCCESS, ended)),
        };
        socket.send(&message)?;
    }
}

/// Sends lines from one thread and prints what arrives from the other.
fn talk(socket: WebSocket, timeout: Duration) -> Result<ExitCode> {
    let (sender, mut receiver) = socket.split();
    let closer = sender.clone();
    let lines = thread::spawn(move || {
        let mut last = None;
        let sent = io::stdin().lock().lines().try_for_each(|line| {
            last = Some(sender.stats().bytes_in);
            sender.send(&line?)
        });
        if sent.is_ok() {
            settle(&sender, last, timeout / 2);
        }
        let closed = sender.close(CloseCode::NORMAL, "");
        sent.and(closed)
    });
    loop {
        match receiver.recv_timeout(timeout)? {
            Recv::Item(message) => match print(MessageRef::from(&message)) {
                // Whoever listened has gone: `ws URL | head -1`.
                Err(e) if e.kind() == io::ErrorKind::BrokenPipe => {
                    closer.close(CloseCode::NORMAL, "")?;
                    return Ok(ExitCode::SUCCESS);
                }
                printed => printed?,
            },
            Recv::TimedOut => return Ok(silent(timeout)),
            Recv::Ended => break,
        }
    }
    if let Some(closed) = receiver.closed() {
        return Ok(ended(closed));
    }
    // It is we who close: the end came before their answer.
    lines.join().map_err(|_| Error::other("the thread of the lines panicked"))??;
    Ok(ExitCode::SUCCESS)
}

fn print(message: MessageRef<'_>) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match message {
        MessageRef::Text(text) => writeln!(out, "{text}")?,
        MessageRef::Binary(bytes) => writeln!(out, "({} bytes)", bytes.len())?,
    }
    out.flush()
}

fn silent(timeout: Duration) -> ExitCode {
    warn!("ws: nothing came for {timeout:?}");
    ExitCode::FAILURE
}

/// Says how the peer closed, if there is something to say.
fn ended(closed: &Closed) -> ExitCode {
    if let Some(code) = closed.code.filter(|code| *code != 1000) {
        warn!("ws: closed with {code}: {}", closed.reason);
    }
    if closed.clean { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
