//! One scenario, so many operations: `perf SCENARIO URL N [CA]`. What it costs is the difference between two N.
//!
//! | scenario | what |
//! |---|---|
//! | `h1` | GETs one after the other over HTTP/1.1: S1, with an https URL S2 |
//! | `h2` | the same over one HTTP/2 connection: https is S3, http (prior knowledge) S4 |
//! | `h2-threads-T` | T threads on one HTTP/2 connection: S5 |
//! | `h2-flight-K` | K requests on their way from one thread: S5s |
//! | `h1-threads-T` | T threads and the pool: S6 |
//! | `idle` | nothing: what starting and stopping costs |
//!
//! Each request reads status, one header and the body, as users do. The last line says how often memory was asked for.

use bowline::{Batch, Client, Protocol, Response, Result, Tls};
use bowline_benches::Counting;
use std::{process::ExitCode, thread};

#[global_allocator]
static MEMORY: Counting = Counting::new();

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match run(&args) {
        Ok(()) => {
            let (calls, bytes) = MEMORY.given();
            println!("allocations {calls} bytes {bytes}");
            ExitCode::SUCCESS
        }
        Err(e) => {
            eprintln!("perf: {e:?}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &[String]) -> Result<()> {
    let (scenario, url, n) = match args {
        [scenario, url, n, ..] => (scenario.as_str(), url.as_str(), n.parse::<usize>().map_err(bowline::Error::other)?),
        _ => return Err(bowline::Error::other("usage: perf SCENARIO URL N [CA]")),
    };
    let mut tls = Tls::new();
    if let Some(ca) = args.get(3) {
        tls = tls.only_added_roots().add_root_pem(&std::fs::read(ca)?);
    }
    let protocol = if scenario.starts_with("h1") { Protocol::Http1 } else { Protocol::Http2 };
    let client = Client::builder().proxy(None).tls(tls).protocol(protocol).build()?;
    match scenario.rsplit_once('-') {
        _ if scenario == "idle" => Ok(()),
        None => (0..n).try_for_each(|_| look(client.get(url).send()?)),
        Some(("h1-threads" | "h2-threads", count)) => threads(&client, url, n, number(count)?),
        Some(("h2-flight", count)) => flight(&client, url, n, number(count)?),
        Some(_) => Err(bowline::Error::other("no such scenario")),
    }
}

fn number(text: &str) -> Result<usize> {
    text.parse().map_err(bowline::Error::other)
}

/// What a user looks at.
fn look(response: Response) -> Result<()> {
    assert_eq!(response.status(), 200);
    assert!(response.header("server").is_some());
    assert_eq!(response.bytes()?.len(), 100);
    Ok(())
}

fn threads(client: &Client, url: &str, n: usize, threads: usize) -> Result<()> {
    // On HTTP/2 all wait for the one connection, so that none makes a second.
    look(client.get(url).send()?)?;
    thread::scope(|scope| {
        let each = || (0..n / threads).try_for_each(|_| look(client.get(url).send()?));
        let all: Vec<_> = (0..threads).map(|_| scope.spawn(each)).collect();
        all.into_iter().try_for_each(|t| t.join().expect("no thread panics"))
    })
}

fn flight(client: &Client, url: &str, n: usize, limit: usize) -> Result<()> {
    let mut batch = Batch::new();
    for _ in 0..n.min(limit) {
        batch.push(client.get(url).start(), ());
    }
    let mut left = n - batch.len();
    while let Some(((), answer)) = batch.next() {
        look(answer?)?;
        if left > 0 {
            left -= 1;
            batch.push(client.get(url).start(), ());
        }
    }
    Ok(())
}
