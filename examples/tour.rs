//! What bowline does, shown on a server of its own: `cargo run --release --example tour`.
//!
//! Every step says what it does, does it, and checks what came of it. The status is 1 if something was not as it should be.

#[path = "../src/net/tls/certs.rs"]
mod certs;
#[path = "support/filler.rs"]
mod filler;
#[path = "support/progress.rs"]
mod progress;
#[macro_use]
#[path = "support/say.rs"]
mod say;
#[path = "support/site.rs"]
mod site;
#[path = "support/words.rs"]
mod words;

use bowline::{
    Batch, Body, Cancel, Client, ErrorKind, Exchange, Phase, Processed, Protocol, Response, Result, Server,
    ServerHandle, Tls,
    http::{HeaderMap, Version},
};
use filler::Filler;
use progress::Progress;
use std::{
    collections::BTreeSet,
    io::{self, Read, Write},
    process::ExitCode,
    thread,
    time::{Duration, Instant},
};
use words::Words;

/// What is sent up and down in one piece.
const LARGE: u64 = 32 * 1024 * 1024;

fn main() -> ExitCode {
    if let Err(usage) = Words::new(std::env::args().skip(1), &[]).none() {
        return usage.answer("tour", "usage: tour\nA server and a client in one program; every step says what it does and checks what came of it.");
    }
    let began = Instant::now();
    let mut account = Account { right: 0, wrong: 0 };
    if let Err(e) = tour(&mut account) {
        say!("\nThe tour ends early: {e} ({e:?})");
        return ExitCode::FAILURE;
    }
    say!(
        "\n{} checks in {:.1} s, {} of them failed.",
        account.right + account.wrong,
        began.elapsed().as_secs_f64(),
        account.wrong
    );
    if account.wrong == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What was right and what was not.
struct Account {
    right: u32,
    wrong: u32,
}

impl Account {
    fn step(&self, title: &str) {
        say!("\n{title}");
    }

    fn check(&mut self, what: &str, right: bool) {
        say!("  {} {what}", if right { "ok   " } else { "WRONG" });
        if right { self.right += 1 } else { self.wrong += 1 }
    }
}

/// The two servers, and a client that trusts the one with TLS.
struct Place {
    clear: ServerHandle,
    tls: ServerHandle,
    client: Client,
}

impl Place {
    /// Makes a certificate and starts the servers on ports that are free.
    fn new() -> Result<Self> {
        let authority = certs::Authority::new("tour");
        let identity = authority.issue(&["127.0.0.1"]);
        let server = || Ok::<_, bowline::Error>(Server::bind("127.0.0.1:0")?.max_body(LARGE));
        let clear = server()?.spawn(handle)?;
        let tls = server()?.tls_pem(identity.chain.as_bytes(), identity.key.as_bytes()).spawn(handle)?;
        let trust = Tls::new().only_added_roots().add_root_pem(authority.pem().as_bytes());
        // No proxy of the environment leads to a server in this program.
        let client = Client::builder().tls(trust).proxy(None).timeout(Duration::from_secs(30)).build()?;
        Ok(Place { clear, tls, client })
    }
}

/// The pages of `support/site.rs`, and one that counts what it is sent.
fn handle(mut exchange: Exchange) -> Result<()> {
    match exchange.path() {
        "/count" => {
            let n = io::copy(exchange.body(), &mut io::sink())?;
            exchange.reply(200, n.to_string())
        }
        _ => site::answer(exchange, None),
    }
}

fn tour(account: &mut Account) -> Result<()> {
    let place = Place::new()?;
    say!("Servers of our own: {} and {}", place.clear.url("/"), place.tls.url("/"));
    http1(account, &place)?;
    http2_by_alpn(account, &place)?;
    prior_knowledge(account, &place)?;
    many_from_one_thread(account, &place)?;
    many_threads(account, &place)?;
    upload(account, &place)?;
    download(account, &place)?;
    trailers(account, &place)?;
    timeout(account, &place)?;
    cancel(account, &place)?;
    connections(account, &place);
    account.step("The client says goodbye, the servers stop");
    account.check("nothing was on its way", place.client.drain(Duration::from_secs(2)) == 0);
    let left = place.clear.shutdown(Duration::from_secs(2)) + place.tls.shutdown(Duration::from_secs(2));
    account.check("nothing was left to be answered", left == 0);
    Ok(())
}

fn http1(account: &mut Account, place: &Place) -> Result<()> {
    account.step("HTTP/1.1, twice over one connection");
    let url = place.clear.url("/");
    let first = place.client.get(&url).send()?;
    say(&first);
    let (connection, first_text) = (first.connection().id, first.text()?);
    let second = place.client.get(&url).send()?;
    say(&second);
    account.check("the version is HTTP/1.1", second.version() == Version::HTTP_11);
    account.check(
        "the second request found the connection of the first",
        second.reused() && second.connection().id == connection,
    );
    account.check("both have the same body", second.text()? == first_text);
    Ok(())
}

fn http2_by_alpn(account: &mut Account, place: &Place) -> Result<()> {
    account.step("https: ALPN chooses HTTP/2");
    let response = place.client.get(place.tls.url("/")).send()?;
    say(&response);
    let row = response.connection();
    say!("  TLS: {}, ALPN: {}", row.tls.as_deref().unwrap_or("none"), row.alpn.as_deref().unwrap_or("none"));
    account.check("the version is HTTP/2", response.version() == Version::HTTP_2);
    account.check("ALPN said h2", row.alpn.as_deref() == Some("h2"));
    let old = place.client.derive().protocol(Protocol::Http1).build()?.get(place.tls.url("/")).send()?;
    say(&old);
    account.check("who insists gets HTTP/1.1 from the same server", old.version() == Version::HTTP_11);
    Ok(())
}

fn prior_knowledge(account: &mut Account, place: &Place) -> Result<()> {
    account.step("HTTP/2 in the clear, by prior knowledge");
    let client = place.client.derive().protocol(Protocol::Http2).build()?;
    let response = client.get(place.clear.url("/bytes/1000")).send()?;
    say(&response);
    account.check("the version is HTTP/2", response.version() == Version::HTTP_2);
    account.check("the body is right", is_filler(&response.bytes()?, 1000));
    Ok(())
}

fn many_from_one_thread(account: &mut Account, place: &Place) -> Result<()> {
    account.step("100 requests on their way from one thread, each answered after 200 ms");
    let began = Instant::now();
    let mut batch = Batch::new();
    for n in 0..100 {
        batch.push(place.client.get(place.tls.url("/slow/200")).start(), n);
    }
    say!("  all started after {} ms", began.elapsed().as_millis());
    let (mut numbers, mut connections) = (BTreeSet::new(), BTreeSet::new());
    for (n, answer) in batch {
        let response = answer?.error_for_status()?;
        connections.insert(response.connection().id);
        if response.text()? == "200 ms later\n" {
            numbers.insert(n);
        }
    }
    let took = began.elapsed();
    say!("  all answered after {} ms", took.as_millis());
    account.check("all 100 answers are right", numbers.len() == 100);
    account.check("they came over one connection", connections.len() == 1);
    account.check("one after the other would have taken 20 s", took < Duration::from_secs(10));
    Ok(())
}

fn many_threads(account: &mut Account, place: &Place) -> Result<()> {
    account.step("8 threads, 50 requests each, one connection, no thread of the library's");
    let began = Instant::now();
    let one = |thread: usize| -> Result<BTreeSet<u64>> {
        let mut connections = BTreeSet::new();
        for n in 0..50 {
            let size = thread * 1000 + n;
            let response = place.client.get(place.tls.url(&format!("/bytes/{size}"))).send()?;
            connections.insert(response.connection().id);
            if !is_filler(&response.bytes()?, size) {
                return Err(bowline::Error::other(format!("thread {thread} got another body than it asked for")));
            }
        }
        Ok(connections)
    };
    let all = thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|thread| scope.spawn(move || one(thread))).collect();
        threads.into_iter().map(|thread| thread.join().expect("no thread panics")).collect::<Result<Vec<_>>>()
    })?;
    say!("  400 answers after {} ms", began.elapsed().as_millis());
    let connections: BTreeSet<_> = all.into_iter().flatten().collect();
    account.check("every thread got its own bodies", true);
    account.check("over one connection", connections.len() == 1);
    Ok(())
}

fn upload(account: &mut Account, place: &Place) -> Result<()> {
    account.step("32 MiB up, from a reader, over HTTP/2");
    let body = Body::from_reader(Progress::new("sent", LARGE, Filler::new(LARGE)));
    let response = place.client.post(place.tls.url("/count")).body(body).send()?;
    say(&response);
    account.check("the server counted every byte", response.text()? == LARGE.to_string());
    Ok(())
}

fn download(account: &mut Account, place: &Place) -> Result<()> {
    account.step("32 MiB down, read piece by piece, over HTTP/2 and HTTP/1.1");
    for protocol in [Protocol::Http2, Protocol::Http1] {
        let client = place.client.derive().protocol(protocol).build()?;
        let response = client.get(place.tls.url(&format!("/bytes/{LARGE}"))).send()?;
        say(&response);
        let right = same(Progress::new("received", LARGE, response.into_body()), Filler::new(LARGE))?;
        account.check("every byte is right", right);
    }
    Ok(())
}

fn trailers(account: &mut Account, place: &Place) -> Result<()> {
    account.step("A body written while the answer is read, with trailers behind both");
    for url in [place.clear.url("/echo"), place.tls.url("/echo")] {
        let (mut writer, pending) = place.client.post(&url).duplex()?;
        writer.write_all(b"first, ")?;
        writer.flush()?;
        let response = pending.wait()?;
        say(&response);
        let mut body = response.into_body();
        let mut piece = [0; 7];
        body.read_exact(&mut piece)?;
        writer.write_all(b"then second")?;
        let mut fields = HeaderMap::new();
        fields.insert("x-words", "3".parse().expect("a digit is a value"));
        writer.finish_with_trailers(fields)?;
        let mut rest = String::new();
        body.read_to_string(&mut rest)?;
        account.check("the first piece came back before the second was written", &piece == b"first, ");
        account.check("the second came back", rest == "then second");
        account.check(
            "and so did the trailers",
            body.trailers().is_some_and(|t| t.get("x-words").is_some_and(|v| v == "3")),
        );
    }
    Ok(())
}

fn timeout(account: &mut Account, place: &Place) -> Result<()> {
    account.step("A request runs out of time; its neighbour on the connection does not notice");
    let neighbour = place.client.get(place.tls.url("/slow/500")).start();
    let began = Instant::now();
    let answer = place.client.get(place.tls.url("/slow/20000")).timeout(Duration::from_millis(200)).send();
    let took = began.elapsed();
    let Err(e) = answer else {
        account.check("it failed", false);
        return Ok(());
    };
    say!(
        "  {e}; kind {:?}, phase {:?}, processed {:?}, after {} ms",
        e.kind(),
        e.phase(),
        e.processed(),
        took.as_millis()
    );
    account.check("it is a timeout, in the right phase", e.is_timeout() && e.phase() == Phase::FirstByte);
    account.check("the peer may have acted on it", e.processed() == Processed::Maybe);
    account.check("it took the time it had", (Duration::from_millis(200)..Duration::from_secs(2)).contains(&took));
    let neighbour = neighbour.wait()?;
    say(&neighbour);
    let same = e.connection().is_some_and(|row| row.id == neighbour.connection().id);
    account.check("its neighbour was answered on the same connection", same && neighbour.status() == 200);
    Ok(())
}

fn cancel(account: &mut Account, place: &Place) -> Result<()> {
    account.step("Another thread cancels a request; its neighbour does not notice");
    let neighbour = place.client.get(place.tls.url("/slow/500")).start();
    let cancel = Cancel::new();
    let began = Instant::now();
    let answer = thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(Duration::from_millis(200));
            cancel.cancel();
        });
        place.client.get(place.tls.url("/slow/20000")).cancel_on(&cancel).send()
    });
    let took = began.elapsed();
    let kind = answer.as_ref().err().map(|e| e.kind());
    say!("  {kind:?} after {} ms", took.as_millis());
    account.check("it was cancelled", kind == Some(ErrorKind::Cancelled));
    account.check("at once", took < Duration::from_secs(2));
    account.check("its neighbour was answered", neighbour.wait()?.status() == 200);
    Ok(())
}

fn connections(account: &mut Account, place: &Place) {
    account.step("The connections of this client");
    let table = place.client.connections();
    say!(
        "  {:>4}  {:<28} {:<9} {:<10} {:>8} {:>12} {:>12}",
        "id",
        "origin",
        "version",
        "state",
        "requests",
        "bytes in",
        "bytes out"
    );
    for row in &table {
        let (version, state) = (format!("{:?}", row.version), format!("{:?}", row.state));
        say!(
            "  {:>4}  {:<28} {version:<9} {state:<10} {:>8} {:>12} {:>12}",
            row.id,
            row.origin,
            row.requests,
            row.bytes_in,
            row.bytes_out
        );
    }
    let stats = place.client.stats();
    say!("  {} requests, {} connections opened, {} errors", stats.requests, stats.opened, stats.errors);
    account.check(
        "there are some of both versions",
        [Version::HTTP_11, Version::HTTP_2].iter().all(|v| table.iter().any(|row| row.version == *v)),
    );
    account.check("two requests failed, as they were meant to", stats.errors == 2);
    account.check("nothing is on its way", stats.in_flight == 0);
}

/// One line about an answer.
fn say(response: &Response) {
    let row = response.connection();
    let which = if response.reused() { "known" } else { "new" };
    let first = response.timings().total.as_secs_f64() * 1000.0;
    say!(
        "  {:?} {} over {which} connection #{}, head after {first:.1} ms",
        response.version(),
        response.status(),
        row.id
    );
}

fn is_filler(bytes: &[u8], len: usize) -> bool {
    bytes.len() == len && same(bytes, Filler::new(len as u64)).unwrap_or(false)
}

/// Whether two readers give the same bytes.
fn same(mut a: impl Read, mut b: impl Read) -> Result<bool> {
    let (mut left, mut right) = (vec![0; 64 * 1024], vec![0; 64 * 1024]);
    loop {
        let n = a.read(&mut left)?;
        b.by_ref().take(n.max(1) as u64).read_exact(&mut right[..n])?;
        if left[..n] != right[..n] {
            return Ok(false);
        }
        if n == 0 {
            return Ok(b.read(&mut right[..1])? == 0);
        }
    }
}
