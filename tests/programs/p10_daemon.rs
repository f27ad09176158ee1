//! A daemon: one client for all threads, kept alive by a thread, watched, and stopped in order.
use super::world;
use bowline::{Client, ConnectionState, Exchange, Result, Server, Timeouts};
use std::{fmt::Write, time::Duration};

fn metrics(client: &Client) -> String {
    let (mut page, s) = (String::new(), client.stats());
    let _ = writeln!(
        page,
        "requests {} in_flight {} retries {} opened {} reused {}",
        s.requests, s.in_flight, s.retries, s.opened, s.reused
    );
    for c in client.connections() {
        let _ = writeln!(
            page,
            "{:4} {:30} {:?} {:?} streams {}/{:?} rtt {:?} age {:?}",
            c.id,
            c.origin,
            c.version,
            c.state,
            c.open_streams,
            c.max_streams,
            c.rtt,
            c.created.elapsed()
        );
    }
    page
}

#[test]
fn main() -> Result<()> {
    let client = world::builder()
        .timeouts(Timeouts::default().total(Duration::from_secs(30)).read(Duration::from_secs(10)))
        .upkeep_interval(Duration::from_secs(30))
        .max_lifetime(Duration::from_secs(600))
        .keep_alive_thread()
        .build()?;
    let admin = Server::bind("127.0.0.1:0")?.spawn({
        let client = client.clone();
        move |exchange: Exchange| exchange.reply(200, metrics(&client))
    })?;
    let workers: Vec<_> = (0..4)
        .map(|i| {
            let client = client.clone();
            std::thread::spawn(move || client.get(format!("https://jobs.test/{i}")).send()?.bytes())
        })
        .collect();
    for (i, worker) in workers.into_iter().enumerate() {
        match worker.join().expect("workers do not panic") {
            Ok(done) => assert_eq!(done, format!("job {i} is done").as_bytes()),
            Err(e) => {
                panic!("{e} (processed: {:?}, attempts: {}, retry: {})", e.processed(), e.attempts(), e.is_retryable())
            }
        }
    }
    let page = bowline::get(admin.url("/metrics")).send()?.text()?;
    assert!(page.starts_with("requests 4 in_flight 0 retries 0 opened 1 reused 3\n"), "{page}");
    let row = page.lines().find(|line| line.contains("https://jobs.test ")).unwrap_or_default();
    assert!(row.contains("HTTP/2.0 Idle streams 0/Some("), "{page}");
    let suspect = client.connections().iter().filter(|c| c.state == ConnectionState::Suspect).count();
    assert_eq!(suspect, 0, "suspect");
    if client.drain(Duration::from_secs(5)) > 0 {
        client.shutdown();
    }
    assert!(client.connections().iter().all(|c| matches!(c.state, ConnectionState::Closed(_))));
    assert_eq!(admin.shutdown(Duration::from_secs(1)), 0);
    Ok(())
}
