//! Many requests for a long time at a peer that misbehaves: `soak --requests N --seconds S`.
//!
//! Whatever happens, an answer is the right one; what the rules say is safe is sent again, and what they say is not is not; no time
//! limit is missed, and in the end the process is as it was in the beginning. The status is 1 if something of that is not so.

#[path = "soak/options.rs"]
mod options;
#[path = "soak/peer.rs"]
mod peer;
#[path = "soak/verdict.rs"]
mod verdict;
#[path = "soak/work.rs"]
mod work;

use bowline::{Client, Hook, Protocol, Retry, Timeouts, Tls, Trace};
use bowline_soak::{live::Live, process::Usage};
use options::Options;
use peer::Peer;
use std::{
    collections::BTreeMap,
    error::Error,
    process::ExitCode,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};
use verdict::Verdict;
use work::{TOTAL, Work};

#[global_allocator]
static LIVE: Live = Live::new();

/// Without an answer or an error for so long, something hangs.
const HANGS: Duration = Duration::from_secs(60);

fn main() -> ExitCode {
    let options = match Options::parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(usage) => {
            eprintln!("soak: {usage}\n{}", options::USAGE);
            return ExitCode::from(2);
        }
    };
    match run(&options) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(e) => {
            eprintln!("soak: {e}");
            ExitCode::FAILURE
        }
    }
}

/// How often connections have ended for what reason.
#[derive(Clone, Default)]
struct Ends(Arc<Mutex<BTreeMap<String, u64>>>);

impl Hook for Ends {
    fn trace(&self, step: &Trace) {
        if let Trace::Closed { reason, .. } = step {
            *self.0.lock().expect("nobody panics with it").entry(format!("{reason:?}")).or_default() += 1;
        }
    }
}

/// How the client is set: what takes minutes by default takes seconds here.
fn client(authority: &str, ends: &Ends) -> bowline::Result<Client> {
    let ms = Duration::from_millis;
    Client::builder()
        .tls(Tls::new().only_added_roots().add_root_pem(authority.as_bytes()))
        .proxy(None)
        .protocol(Protocol::Auto)
        .retry(Retry::Safe)
        .timeouts(Timeouts::default().total(TOTAL).first_byte(ms(3500)).read(ms(4000)))
        .upkeep_interval(ms(500))
        .read_idle_ping(ms(300))
        .ping_ack_timeout(ms(2000))
        .probe_after_idle(ms(200))
        .idle_timeout(ms(2000))
        .max_lifetime(Duration::from_secs(20))
        .keep_alive_thread()
        .hook(ends.clone())
        .build()
}

/// Bytes in use while there are neither requests nor connections; what is just being closed has a moment for that.
fn still(client: &Client) -> u64 {
    client.close_idle();
    let samples = (0..20).map(|_| {
        thread::sleep(Duration::from_millis(10));
        LIVE.bytes()
    });
    samples.min().unwrap_or(0)
}

fn run(options: &Options) -> Result<bool, Box<dyn Error>> {
    let peer = Peer::start(options)?;
    let before = Usage::now()?;
    let ends = Ends::default();
    let client = client(&peer.authority, &ends)?;
    let mut verdict = Verdict::new(before);
    let work = Arc::new(Work::new(client.clone(), peer.urls(), options));
    let begin = Instant::now();
    let threads: Vec<_> = (0..options.threads)
        .map(|number| {
            let (work, questions) = (work.clone(), peer.questions());
            Ok(thread::spawn(move || work.run(number, questions?)))
        })
        .collect::<Result<_, std::io::Error>>()?;
    let ended = Arc::new(AtomicBool::new(false));
    let canceller = {
        let (work, ended) = (work.clone(), ended.clone());
        thread::spawn(move || work.cancel_some(&ended))
    };
    let (mut done, mut moved) = (0, begin);
    println!(
        "{:>8} {:>9} {:>8} {:>8} {:>7} {:>11} {:>12}",
        "seconds", "requests", "failed", "KiB", "sockets", "descriptors", "CLOSE_WAIT"
    );
    let (mut next, mut samples) = (begin, 0);
    while threads.iter().any(|thread| !thread.is_finished()) {
        thread::sleep(Duration::from_millis(100));
        let now = Instant::now();
        if work.done() > done {
            (done, moved) = (work.done(), now);
        } else if now - moved > HANGS {
            println!("FAILED: nothing has happened for {HANGS:?}; {:#?}", client.connections());
            return Ok(false);
        }
        if work.is_still() {
            verdict.live(still(&client));
            work.go_on();
        }
        if now >= next {
            next += options.seconds / 60;
            let usage = Usage::now()?;
            verdict.sample(usage);
            samples += 1;
            if samples % 4 != 1 {
                continue;
            }
            let Usage { resident, sockets, descriptors, close_wait, .. } = usage;
            let (seconds, failed) = (begin.elapsed().as_secs(), work.failed());
            println!("{seconds:8} {done:9} {failed:8} {resident:8} {sockets:7} {descriptors:11} {close_wait:12}");
        }
    }
    for thread in threads {
        verdict.complaints(thread.join().map_err(|_| "a thread has panicked")??);
    }
    ended.store(true, Ordering::SeqCst);
    canceller.join().map_err(|_| "the canceller has panicked")?;
    println!("{} requests in {:.0?}; {}", work.done(), begin.elapsed(), work.outcomes());
    let stats = client.stats();
    println!("{stats:?}");
    println!("connections ended: {:?}", ends.0.lock().expect("nobody panics with it"));
    verdict.check("requests in flight in the end", stats.in_flight, 0);
    verdict.check("requests counted", stats.requests, work.done());
    // What the peer has closed meanwhile is not kept.
    client.upkeep();
    verdict.check("sockets in CLOSE_WAIT after upkeep", Usage::now()?.close_wait as u64, 0);
    drop(work);
    drop(client);
    verdict.in_the_end(|| Usage::now().unwrap_or_default());
    verdict.complaints(peer.report()?);
    Ok(verdict.show(options.requests))
}
