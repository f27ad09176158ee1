//! Speaks Socket.IO by the WebSocket transport of Engine.IO 4: `engineio http://127.0.0.1:5000`.
//!
//! A line `chat {"text":"hello"}` of standard input emits the event `chat` with that argument; an event that arrives is printed as the
//! JSON array that it is. At the end of the input it leaves. The protocol: a packet is a digit and what belongs to it, a message of
//! Socket.IO is a packet of Engine.IO with another digit inside.

#[macro_use]
#[path = "support/warn.rs"]
mod warn;
#[path = "support/settle.rs"]
mod settle;
#[path = "support/words.rs"]
mod words;

use bowline::{
    Client, Error, Recv, Result,
    ws::{CloseCode, Message, WsSender},
};
use settle::settle;
use std::{
    io::{self, BufRead, Write},
    process::ExitCode,
    sync::mpsc,
    thread,
    time::Duration,
};
use words::{Usage, Words};

/// How long the server may be silent before it has said how often it sends a PING.
const SILENCE: Duration = Duration::from_secs(20);

const USAGE: &str = "\
usage: engineio URL
Each line of standard input is an event and its argument: chat {\"text\":\"hello\"}";

fn main() -> ExitCode {
    let url = Words::new(std::env::args().skip(1), &[]).plain().and_then(|words| match &words[..] {
        [url] => Ok(url.clone()),
        _ => Err(Usage::one("URL", words.len())),
    });
    let url = match url {
        Ok(url) => url,
        Err(usage) => return usage.answer("engineio", USAGE),
    };
    match run(&url) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            warn!("engineio: {e}");
            ExitCode::FAILURE
        }
    }
}

fn run(url: &str) -> Result<()> {
    let url = format!("{}/socket.io/?EIO=4&transport=websocket", url.trim_end_matches('/'));
    let (sender, mut receiver) = Client::new().websocket(url).connect()?.split();
    let (tell, connected) = mpsc::channel();
    let lines = sender.clone();
    let leaving = thread::spawn(move || talk(&lines, &connected));

    let mut silence = SILENCE;
    loop {
        let text = match receiver.recv_timeout(silence)? {
            Recv::Item(Message::Text(text)) => text,
            Recv::Item(Message::Binary(bytes)) => {
                writeln!(io::stdout(), "({} bytes)", bytes.len())?;
                continue;
            }
            Recv::TimedOut => return Err(Error::other(format!("no ping within {silence:?}"))),
            Recv::Ended => break,
        };
        match text.as_bytes() {
            // Open: our turn to connect.
            [b'0', ..] => {
                silence = number(&text, "pingInterval") + number(&text, "pingTimeout");
                sender.send("40")?;
            }
            [b'1', ..] => break,
            // A PING of this layer, with what the PONG has to hold.
            [b'2', ..] => sender.send(&format!("3{}", &text[1..]))?,
            // Connected to the namespace.
            [b'4', b'0', ..] => _ = tell.send(()),
            [b'4', b'1', ..] => return Err(Error::other("the server disconnected")),
            [b'4', b'2', ..] => writeln!(io::stdout(), "{}", &text[2..])?,
            [b'4', b'4', ..] => return Err(Error::other(format!("refused: {}", &text[2..]))),
            _ => {}
        }
    }
    drop(tell);
    // Only who has come to the end of the input has left by himself.
    match leaving.is_finished() || receiver.closed().is_none() {
        true => leaving.join().map_err(|_| Error::other("the thread of the lines panicked"))?,
        false => Err(Error::other("the server left")),
    }
}

/// Emits an event for each line, once the server has agreed.
fn talk(sender: &WsSender, connected: &mpsc::Receiver<()>) -> Result<()> {
    if connected.recv().is_err() {
        return Err(Error::other("the server ended before it had agreed"));
    }
    let mut last = None;
    for line in io::stdin().lock().lines() {
        let line = line?;
        last = Some(sender.stats().bytes_in);
        let (event, argument) = line.split_once(' ').unwrap_or((&line, "null"));
        sender.send(&format!("42[\"{event}\",{argument}]"))?;
    }
    settle(sender, last, SILENCE);
    sender.send("41")?;
    sender.close(CloseCode::NORMAL, "")
}

/// Returns a number of milliseconds of a JSON object, 20 s if there is none.
fn number(json: &str, name: &str) -> Duration {
    let behind = json.split_once(&format!("\"{name}\":")).map_or("", |(_, behind)| behind).trim_start();
    let digits = behind.split(|c: char| !c.is_ascii_digit()).next().unwrap_or("");
    digits.parse().map_or(SILENCE, Duration::from_millis)
}
