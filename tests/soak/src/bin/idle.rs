//! What upkeep costs: `idle URL CONNECTIONS ROUNDS`, with HTTP/2 by prior knowledge.
//!
//! Every round pings every connection and waits for the answers. Two runs under `strace -c -f` that differ in the rounds say how many
//! calls to the system a connection needs.

use bowline::{Client, Protocol, UpkeepAction};
use std::{
    error::Error,
    time::{Duration, Instant},
};

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<_> = std::env::args().collect();
    let [_, url, connections, rounds] = &words[..] else { return Err("usage: idle URL CONNECTIONS ROUNDS".into()) };
    let interval = Duration::from_millis(500);
    let client = Client::builder().proxy(None).protocol(Protocol::Http2).upkeep_interval(interval).build()?;
    let mut kept = Vec::new();
    for _ in 0..connections.parse()? {
        let connection = client.connect(url)?;
        connection.get("/").send()?.bytes()?;
        kept.push(connection);
    }
    let (mut sending, mut waiting, mut acked) = (Duration::ZERO, Duration::ZERO, 0);
    for _ in 0..rounds.parse()? {
        std::thread::sleep(interval + interval / 4);
        let began = Instant::now();
        let pinged = client.upkeep().iter().filter(|row| row.action == UpkeepAction::Pinged).count();
        sending += began.elapsed();
        let report = client.upkeep_wait(Duration::from_secs(10));
        waiting += began.elapsed();
        acked += report.iter().filter(|row| row.rtt.is_some()).count().min(pinged);
    }
    let each = |d: Duration| d / u32::try_from(acked.max(1)).unwrap_or(u32::MAX);
    println!(
        "{acked} PINGs sent and answered: {:.1?} each to send, {:.1?} with the answer",
        each(sending),
        each(waiting)
    );
    Ok(())
}
