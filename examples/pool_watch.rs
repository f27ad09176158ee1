//! The connections of a client, live: `pool_watch --seconds 5`, or with a URL `pool_watch https://example.org`.
//!
//! A few threads make requests now and then; a table says twice a second what every connection is doing, and below it stand what has
//! happened to connections and the counters. On a terminal it is drawn in place. The options are in `support/watch_args.rs`.

#[macro_use]
#[path = "support/warn.rs"]
mod warn;
#[path = "../src/net/tls/certs.rs"]
mod certs;
#[path = "support/watch_args.rs"]
mod watch_args;
#[path = "support/words.rs"]
mod words;

use bowline::{
    Client, ConnectionInfo, ConnectionState, Exchange, Hook, Protocol, Result, Server, ServerHandle, Tls, Trace,
};
use std::{
    collections::VecDeque,
    io::{self, IsTerminal, Write},
    process::ExitCode,
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};
use watch_args::{WATCH_USAGE, Watch};

/// How often the table is drawn.
const EVERY: Duration = Duration::from_millis(500);

/// How many events are shown.
const EVENTS: usize = 6;

fn main() -> ExitCode {
    let options = match Watch::parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(usage) => return usage.answer("pool_watch", WATCH_USAGE),
    };
    match run(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            warn!("pool_watch: {e}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Watch) -> Result<()> {
    let (servers, mut trust) = servers()?;
    if options.url.is_some() {
        trust = Tls::new();
    }
    if options.insecure {
        trust = trust.dangerously_trust_anyone();
    }
    let events = Events::default();
    let client = Client::builder()
        .tls(trust)
        .timeout(Duration::from_secs(10))
        .upkeep_interval(Duration::from_secs(1))
        .idle_timeout(Duration::from_secs(5))
        .keep_alive_thread()
        .hook(events.clone());
    // No proxy of the environment leads to a server in this program.
    let client = if options.url.is_none() { client.proxy(None) } else { client }.build()?;
    let targets: Vec<_> = match &options.url {
        Some(url) => vec![(url.clone(), if options.http2 { Protocol::Http2 } else { Protocol::Auto })],
        None => vec![
            (servers[0].url("/"), Protocol::Auto),
            (servers[0].url("/"), Protocol::Http2),
            (servers[1].url("/"), Protocol::Auto),
            (servers[1].url("/"), Protocol::Http1),
        ],
    };
    let until = Instant::now() + options.seconds;
    let answered = thread::scope(|scope| {
        let threads: Vec<_> = (0..options.threads as usize)
            .map(|n| {
                let (client, targets, events) = (&client, &targets, &events);
                scope.spawn(move || ask(client, targets, n, until, events))
            })
            .collect();
        while Instant::now() < until {
            draw(&client, &events);
            thread::sleep(EVERY.min(until.saturating_duration_since(Instant::now())));
        }
        draw(&client, &events);
        threads.into_iter().map(|thread| thread.join().unwrap_or(0)).sum::<u32>()
    });
    client.drain(Duration::from_secs(1));
    match answered {
        0 => Err(bowline::Error::other("not one request was answered")),
        _ => Ok(()),
    }
}

/// Two servers, in the clear and over TLS, and what to trust.
fn servers() -> Result<([ServerHandle; 2], Tls)> {
    let authority = certs::Authority::new("pool_watch");
    let identity = authority.issue(&["127.0.0.1"]);
    let clear = Server::bind("127.0.0.1:0")?.spawn(slowly)?;
    let tls = Server::bind("127.0.0.1:0")?.tls_pem(identity.chain.as_bytes(), identity.key.as_bytes()).spawn(slowly)?;
    Ok(([clear, tls], Tls::new().only_added_roots().add_root_pem(authority.pem().as_bytes())))
}

/// Takes its time, so that there is something to see.
fn slowly(exchange: Exchange) -> Result<()> {
    thread::sleep(Duration::from_millis(200));
    exchange.reply(200, "here you are")
}

/// Makes requests until then, with pauses; returns how many were answered.
fn ask(client: &Client, targets: &[(String, Protocol)], thread: usize, until: Instant, events: &Events) -> u32 {
    let mut answered = 0;
    for turn in thread.. {
        let (url, protocol) = &targets[turn % targets.len()];
        match client.get(url).protocol(*protocol).send().and_then(|response| response.bytes()) {
            Ok(_) => answered += 1,
            Err(e) => events.add(format!("failed: {e}")),
        }
        let pause = Duration::from_millis(100 + 150 * (turn as u64 % 7));
        if Instant::now() + pause >= until {
            break;
        }
        thread::sleep(pause);
    }
    answered
}

/// The newest events.
#[derive(Clone, Default)]
struct Events(Arc<Mutex<VecDeque<String>>>);

impl Events {
    fn add(&self, event: String) {
        let mut events = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        events.push_back(event);
        while events.len() > EVENTS {
            events.pop_front();
        }
    }
}

impl Hook for Events {
    fn trace(&self, step: &Trace) {
        match step {
            Trace::Connected { connection, took } => {
                self.add(format!("#{} connected to {} in {took:.1?}", connection.id, connection.origin));
            }
            Trace::Pinged { connection, rtt: Some(rtt) } => {
                self.add(format!("#{connection} answered a PING in {rtt:.1?}"))
            }
            Trace::Closed { connection, reason } => self.add(format!("#{connection} closed: {reason:?}")),
            _ => {}
        }
    }
}

/// Draws the table; on what is no terminal one below the other.
fn draw(client: &Client, events: &Events) {
    let mut page = String::new();
    let mut line = |text: String| {
        page.push_str(&text);
        page.push('\n');
    };
    line(format!(
        "{:>4} {:28} {:8} {:10} {:>7} {:>8} {:>9} {:>9} {:>9} {:>6} {:>6}",
        "id", "origin", "version", "state", "streams", "requests", "in", "out", "rtt", "pings", "age"
    ));
    for connection in client.connections() {
        line(row(&connection));
    }
    let stats = client.stats();
    line(format!(
        "requests {} in flight {} errors {} retries {} | connections opened {} reused {} closed {} | pings {}",
        stats.requests,
        stats.in_flight,
        stats.errors,
        stats.retries,
        stats.opened,
        stats.reused,
        stats.closed,
        stats.pings
    ));
    events.0.lock().unwrap_or_else(PoisonError::into_inner).iter().for_each(|event| line(format!("  {event}")));
    let mut out = io::stdout();
    let clear = if out.is_terminal() { "\x1b[2J\x1b[H" } else { "" };
    // Who has stopped reading misses nothing.
    let _ = writeln!(out, "{clear}{page}").and_then(|()| out.flush());
}

fn row(c: &ConnectionInfo) -> String {
    let state = match c.state {
        ConnectionState::Closed(reason) => format!("{reason:?}"),
        state => format!("{state:?}"),
    };
    let version = format!("{:?}", c.version);
    let streams = c.max_streams.map_or(c.open_streams.to_string(), |max| format!("{}/{max}", c.open_streams));
    let rtt = c.rtt.map_or_else(String::new, |rtt| format!("{rtt:.1?}"));
    let age = format!("{:.1}s", c.created.elapsed().as_secs_f64());
    format!(
        "{:4} {:28} {version:8} {state:10} {streams:>7} {:8} {:9} {:9} {rtt:>9} {:>6} {age:>6}",
        c.id,
        c.origin,
        c.requests,
        c.bytes_in,
        c.bytes_out,
        format!("{}/{}", c.pings_acked, c.pings_sent)
    )
}
