//! One client that asks now and then: `kept [--upkeep-ms N] [--cacert PEM] GAP-MS COUNT URL`, with HTTP/2.
//!
//! With `--upkeep-ms` a thread of the client's pings its connections so often. A line says what came of it.

use bowline::{Client, CloseReason, Hook, Protocol, Tls, Trace};
use std::{
    collections::BTreeSet,
    error::Error,
    fs,
    sync::{Arc, Mutex, PoisonError},
    thread::sleep,
    time::Duration,
};

/// Why connections were closed.
#[derive(Clone, Default)]
struct Closed(Arc<Mutex<Vec<CloseReason>>>);

impl Hook for Closed {
    fn trace(&self, step: &Trace) {
        if let Trace::Closed { reason, .. } = step {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).push(*reason);
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let (mut upkeep, mut tls, mut rest) = (None, Tls::new(), Vec::new());
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        match &word[..] {
            "--upkeep-ms" => upkeep = Some(words.next().unwrap_or_default().parse()?),
            "--cacert" => tls = tls.add_root_pem(&fs::read(words.next().unwrap_or_default())?),
            _ => rest.push(word),
        }
    }
    let [gap, count, url] = &rest[..] else {
        return Err("usage: kept [--upkeep-ms N] [--cacert PEM] GAP-MS COUNT URL".into());
    };
    let (gap, closed) = (Duration::from_millis(gap.parse()?), Closed::default());
    let builder = Client::builder().proxy(None).protocol(Protocol::Http2).tls(tls).hook(closed.clone());
    let client = match upkeep {
        Some(ms) => builder.upkeep_interval(Duration::from_millis(ms)).keep_alive_thread().build()?,
        None => builder.build()?,
    };
    let mut connections = BTreeSet::new();
    for number in 0..count.parse::<u32>()? {
        if number > 0 {
            sleep(gap);
        }
        let response = client.get(url).send()?.error_for_status()?;
        connections.insert(response.connection().id);
        response.bytes()?;
    }
    let stats = client.stats();
    println!(
        "requests={} connections={} retries={} pings={} closed={:?}",
        stats.requests,
        connections.len(),
        stats.retries,
        stats.pings,
        closed.0.lock().unwrap_or_else(PoisonError::into_inner)
    );
    Ok(())
}
