//! A connection that lives longer than what is in between allows: `cargo run --release --example upkeep`.
//!
//! A server, and in front of it a proxy that cuts what is idle for two seconds, in the two ways there are: with an end that both
//! sides see, or by forgetting it without a word, as address translators do. Three clients take a pause of three seconds between two
//! requests; one of them with upkeep. The status is 1 if something was not as it should be.

#[macro_use]
#[path = "support/say.rs"]
mod say;
#[path = "support/words.rs"]
mod words;

use bowline::{Client, CloseReason, Exchange, Hook, Protocol, Result, Server, ServerHandle, Trace, UpkeepAction};
use std::{
    io::{self, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::{Duration, Instant},
};
use words::Words;

/// What is idle for so long is cut by the proxy.
const CUTS_AFTER: Duration = Duration::from_secs(2);

/// How long the clients pause.
const PAUSE: Duration = Duration::from_secs(3);

/// How often upkeep makes a connection say something: well below what the proxy allows.
const INTERVAL: Duration = Duration::from_millis(700);

fn main() -> ExitCode {
    if let Err(usage) = Words::new(std::env::args().skip(1), &[]).none() {
        return usage.answer("upkeep", "usage: upkeep\nThree clients pause behind a proxy that cuts what is idle for two seconds; one of them with upkeep.");
    }
    match run() {
        Ok(0) => ExitCode::SUCCESS,
        Ok(wrong) => {
            say!("\n{wrong} things were not as they should be.");
            ExitCode::FAILURE
        }
        Err(e) => {
            say!("\nIt ends early: {e} ({e:?})");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<u32> {
    let server = Server::bind("127.0.0.1:0")?.spawn(count())?;
    say!("A server on {}, and in front of it a proxy that cuts what is idle for {CUTS_AFTER:?}.", server.local_addr());
    say!("Three clients make a request, pause for {PAUSE:?}, and make another, all at once:\n");
    let clients: [fn(&ServerHandle) -> Result<Vec<String>>; 3] = [kept, cut, forgotten];
    thread::scope(|scope| {
        let threads = clients.map(|client| {
            scope.spawn({
                let server = &server;
                move || client(server)
            })
        });
        let mut wrong = 0;
        for thread in threads {
            let account = thread.join().expect("the clients do not panic")?;
            account.iter().for_each(|line| say!("{line}"));
            say!("");
            wrong += account.iter().filter(|line| line.contains("WRONG")).count() as u32;
        }
        Ok(wrong)
    })
}

/// A handler that says how many requests there were.
fn count() -> impl Fn(Exchange) -> Result<()> {
    let served = AtomicU32::new(0);
    move |exchange: Exchange| {
        let n = served.fetch_add(1, Ordering::SeqCst) + 1;
        let answer = format!("{} {} is number {n}", exchange.method(), exchange.path());
        exchange.reply(200, answer)
    }
}

/// With upkeep: the connection is the same after the pause.
fn kept(server: &ServerHandle) -> Result<Vec<String>> {
    let mut account = Account::new("WITH UPKEEP");
    let proxy = proxy(server.local_addr(), Cut::WithAnEnd)?;
    let client = Client::builder().proxy(None).protocol(Protocol::Http2).upkeep_interval(INTERVAL).build()?;
    let url = format!("http://{proxy}/kept");
    let first = client.get(&url).send()?.connection().id;
    account.say(format!("connection #{first} is made"));
    let until = Instant::now() + PAUSE;
    let mut pings = 0;
    // A loop of one's own; `ClientBuilder::keep_alive_thread` would do the same.
    while let Some(left) = until.checked_duration_since(Instant::now()) {
        let due = client.next_upkeep().map_or(left, |due| due.saturating_duration_since(Instant::now()));
        thread::sleep(due.min(left).max(Duration::from_millis(1)));
        for row in client.upkeep_wait(Duration::from_millis(200)) {
            if row.action != UpkeepAction::NotDue {
                pings += u32::from(row.action == UpkeepAction::Acked);
                account.say(format!("upkeep: connection #{} {:?}, round trip {:?}", row.id, row.action, row.rtt));
            }
        }
    }
    let again = client.post(&url).body("not to be repeated").send()?;
    account.say(format!("the next request, a POST, on connection #{}", again.connection().id));
    account.check("it is the same connection", again.connection().id == first && again.reused());
    account.check("it was asked several times, and answered", pings >= 2);
    account.check("nothing was sent twice", again.attempts() == 1);
    Ok(account.lines)
}

/// Without upkeep, and the proxy says goodbye: the end is seen before anything is sent.
fn cut(server: &ServerHandle) -> Result<Vec<String>> {
    let mut account = Account::new("WITHOUT UPKEEP, CUT WITH AN END");
    let proxy = proxy(server.local_addr(), Cut::WithAnEnd)?;
    let client = Client::builder().proxy(None).protocol(Protocol::Http2).build()?;
    let url = format!("http://{proxy}/cut");
    let first = client.get(&url).send()?.connection().id;
    account.say(format!("connection #{first} is made"));
    thread::sleep(PAUSE);
    let again = client.post(&url).body("not to be repeated").send()?;
    account.say(format!("the next request, a POST, on connection #{}", again.connection().id));
    account.check("the end was seen: another connection was made", again.connection().id != first);
    account.check("nothing was sent on the old one, so nothing was repeated", again.attempts() == 1);
    Ok(account.lines)
}

/// Without upkeep, and the proxy forgets without a word: who sends on it waits for nothing, until a PING says so.
fn forgotten(server: &ServerHandle) -> Result<Vec<String>> {
    let mut account = Account::new("WITHOUT UPKEEP, FORGOTTEN WITHOUT A WORD");
    let proxy = proxy(server.local_addr(), Cut::WithoutAWord)?;
    let closed = Arc::new(Closed::default());
    let client = Client::builder()
        .proxy(None)
        .protocol(Protocol::Http2)
        .probe_after_idle(Duration::from_secs(1))
        .hook(Watch(closed.clone()))
        .build()?;
    let url = format!("http://{proxy}/forgotten");
    let (get, post) = (format!("{url}/get"), format!("{url}/post"));
    let first = client.get(&get).send()?.connection().id;
    account.say(format!("connection #{first} is made"));
    thread::sleep(PAUSE);
    let began = Instant::now();
    // Both at once: one may be sent again, the other may not.
    let (get, post) = (client.get(&get).start(), client.post(&post).body("not to be repeated").start());
    let answers = [("GET", get.wait()), ("POST", post.wait())];
    let took = began.elapsed();
    account.say(format!("a GET and a POST are sent on it with a PING; no byte comes, which is clear after {took:.1?}"));
    account.check("the PING found out", closed.0.load(Ordering::SeqCst) == 1);
    for (method, answer) in answers {
        match answer {
            Ok(response) => {
                let (id, attempts) = (response.connection().id, response.attempts());
                account.say(format!("the {method} is answered on connection #{id}, at attempt {attempts}"));
                account.check("a GET may be sent again, and was", method == "GET" && attempts == 2 && id != first);
            }
            Err(e) => {
                account.say(format!(
                    "the {method} fails: {e} (processed: {:?}, attempts: {})",
                    e.processed(),
                    e.attempts()
                ));
                account.check("a POST may have been acted on, so it was not", method == "POST" && e.attempts() == 1);
            }
        }
    }
    Ok(account.lines)
}

/// What one client tells, to be printed in one piece.
struct Account {
    began: Instant,
    lines: Vec<String>,
}

impl Account {
    fn new(title: &str) -> Self {
        Account { began: Instant::now(), lines: vec![title.to_owned()] }
    }

    fn say(&mut self, text: String) {
        self.lines.push(format!("  {:4.1} s  {text}", self.began.elapsed().as_secs_f64()));
    }

    fn check(&mut self, what: &str, right: bool) {
        self.lines.push(format!("  {:6}  {what}", if right { "ok" } else { "WRONG" }));
    }
}

/// How many connections a PING has found dead.
#[derive(Default)]
struct Closed(AtomicU32);

struct Watch(Arc<Closed>);

impl Hook for Watch {
    fn trace(&self, step: &Trace) {
        if let Trace::Closed { reason: CloseReason::PingUnanswered, .. } = step {
            self.0.0.fetch_add(1, Ordering::SeqCst);
        }
    }
}

/// How the proxy cuts.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Cut {
    WithAnEnd,
    WithoutAWord,
}

/// Starts a proxy: bytes go through as they come, until none have come for too long.
fn proxy(to: SocketAddr, cut: Cut) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            thread::spawn(move || pass_on(client, TcpStream::connect(to)?, cut));
        }
    });
    Ok(address)
}

/// Passes on what comes, in both directions.
fn pass_on(client: TcpStream, server: TcpStream, cut: Cut) -> io::Result<()> {
    let (to_client, to_server) = (client.try_clone()?, server.try_clone()?);
    let began = Instant::now();
    // When bytes came last, from whichever side, in milliseconds.
    let last = AtomicU32::new(0);
    let one_way = |mut from: TcpStream, mut to: TcpStream| -> io::Result<()> {
        let mut bytes = [0; 4096];
        loop {
            let idle = began.elapsed().saturating_sub(Duration::from_millis(last.load(Ordering::SeqCst).into()));
            let left = CUTS_AFTER.saturating_sub(idle);
            if left.is_zero() {
                if cut == Cut::WithAnEnd {
                    let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
                    return Ok(());
                }
                // What still comes is taken and forgotten.
                from.set_read_timeout(None)?;
                while from.read(&mut bytes)? > 0 {}
                return Ok(());
            }
            from.set_read_timeout(Some(left))?;
            match from.read(&mut bytes) {
                Ok(0) => return to.shutdown(Shutdown::Write),
                Ok(n) => {
                    last.store(began.elapsed().as_millis() as u32, Ordering::SeqCst);
                    to.write_all(&bytes[..n])?;
                }
                Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {}
                Err(e) => return Err(e),
            }
        }
    };
    thread::scope(|scope| {
        scope.spawn(|| one_way(client, to_server));
        one_way(server, to_client)
    })
}
