//! Mixed traffic at an nginx that is restarted underneath: `mixed --seconds S --threads N --prefix DIRECTORY --cacert PEM --behind ADDRESS
//! URL URL URL`.
//!
//! The URLs are those of HTTP/1.1, HTTP/1.1 with TLS, and HTTP/2 with TLS; the directory has the `nginx.conf` of `tests/interop/keep.sh`,
//! which passes what is posted on to that address, where this program itself writes it down as it arrives.
//! Every few seconds nginx is reloaded, loses a worker, or is killed and started again. In the end what the client says is compared with
//! what nginx has logged and what has arrived behind it: nothing is reported that was not served, nothing is lost that the rules say is safe to repeat, and nothing is
//! served twice that is not. The status is 1 if something of that is not so.

#[path = "mixed/arrivals.rs"]
mod arrivals;
#[path = "mixed/judge.rs"]
mod judge;
#[path = "mixed/nginx.rs"]
mod nginx;
#[path = "mixed/traffic.rs"]
mod traffic;

use arrivals::Arrivals;
use bowline_soak::Random;
use nginx::{Nginx, What};
use std::{
    error::Error,
    fs,
    path::PathBuf,
    process::ExitCode,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

const USAGE: &str = "usage: mixed [--seconds S] [--threads N] [--seed N] --prefix DIRECTORY --cacert PEM --behind ADDRESS H1-URL H1-TLS-URL H2-TLS-URL";

struct Options {
    seconds: Duration,
    threads: u64,
    seed: u64,
    prefix: PathBuf,
    cacert: PathBuf,
    behind: String,
    urls: [String; 3],
}

impl Options {
    fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, Box<dyn Error>> {
        let mut urls = Vec::new();
        let (mut seconds, mut threads, mut seed, mut prefix, mut cacert, mut behind) = (20, 6, 1, None, None, None);
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
            match &word[..] {
                "--seconds" => seconds = value()?.parse()?,
                "--threads" => threads = value()?.parse()?,
                "--seed" => seed = value()?.parse()?,
                "--prefix" => prefix = Some(PathBuf::from(value()?)),
                "--cacert" => cacert = Some(PathBuf::from(value()?)),
                "--behind" => behind = Some(value()?),
                _ => urls.push(word),
            }
        }
        Ok(Options {
            seconds: Duration::from_secs(seconds),
            threads,
            seed,
            prefix: prefix.ok_or("no prefix")?,
            cacert: cacert.ok_or("no certificate")?,
            behind: behind.ok_or("no address behind nginx")?,
            urls: urls.try_into().map_err(|_| "three URLs are needed")?,
        })
    }
}

fn main() -> ExitCode {
    let outcome = Options::parse(std::env::args().skip(1)).map_err(|e| format!("{e}\n{USAGE}").into()).and_then(run);
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(e) => {
            eprintln!("mixed: {e}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: Options) -> Result<bool, Box<dyn Error>> {
    let address = options.urls[0].trim_start_matches("http://").to_owned();
    let arrivals = Arrivals::listen(&options.behind)?;
    let mut nginx = Nginx::start(&options.prefix, &address)?;
    let client = traffic::client(&fs::read(&options.cacert)?)?;
    let (ended, next) = (AtomicBool::new(false), AtomicU64::new(0));
    let begin = Instant::now();
    let (records, troubles) = thread::scope(|scope| {
        let threads: Vec<_> = (0..options.threads)
            .map(|number| {
                let random = Random(options.seed << 16 | number);
                let (client, urls, next, ended) = (client.clone(), &options.urls, &next, &ended);
                scope.spawn(move || traffic::run(&client, urls, next, ended, random))
            })
            .collect();
        let troubles = trouble(&mut nginx, begin + options.seconds, Random(options.seed));
        ended.store(true, Ordering::SeqCst);
        let records: Vec<_> = threads.into_iter().map(|thread| thread.join().expect("it does not panic")).collect();
        (records.concat(), troubles)
    });
    let troubles = troubles?;
    let took = begin.elapsed();
    let stats = client.stats();
    drop(client);
    // It finishes what it has and logs that; what a client left behind keeps no worker.
    nginx.quit()?;
    let log = fs::read_to_string(options.prefix.join("served.log"))?;
    let count = |what| troubles.iter().filter(|trouble| trouble.what == what).count();
    println!(
        "{} requests in {took:.0?}; {} reloads, {} workers killed, {} times killed and started again",
        records.len(),
        count(What::Reload),
        count(What::KillWorker),
        count(What::KillAll)
    );
    println!("{stats:?}");
    Ok(judge::judge(&records, &troubles, &log, &arrivals))
}

/// Does something to the server every few seconds; returns what, and when.
fn trouble(nginx: &mut Nginx, end: Instant, mut random: Random) -> std::io::Result<Vec<nginx::Trouble>> {
    let mut troubles = Vec::new();
    for number in 0.. {
        let pause = Duration::from_millis(1500 + random.below(2500));
        if Instant::now() + pause >= end {
            thread::sleep(end.saturating_duration_since(Instant::now()));
            break;
        }
        thread::sleep(pause);
        // Each of them within the first three, however short the run.
        let what = match number {
            0 => What::Reload,
            1 => What::KillWorker,
            2 => What::KillAll,
            _ => random.pick(&[(3, What::Reload), (1, What::KillWorker), (1, What::KillAll)]),
        };
        troubles.push(nginx.trouble(what, Duration::from_millis(50 + random.below(500)))?);
    }
    Ok(troubles)
}
