//! An exchange feed: heartbeat, silence noticed, reconnect and resubscribe, a second thread that sends.
use super::world;
use bowline::{Backoff, Recv, Result, ws::Message};
use std::{io::BufRead, io::Cursor, sync::mpsc, thread, time::Duration};

#[test]
fn main() -> Result<()> {
    let stdin = Cursor::new("buy 1\nsell 2\n");
    let (print, printed) = mpsc::channel();
    let opened = print.clone();

    let topics = ["btc", "eth"];
    let feed = world::client()
        .websocket("wss://feed.test/v5")
        .heartbeat(Duration::from_secs(15))
        .reconnect(Backoff::new(Duration::from_millis(200), Duration::from_secs(30)))
        .on_open(move |sender, open| {
            let _ = opened.send(format!("open #{} {:?}", open.count, open.last_error.as_ref().map(|_| "broke")));
            topics.iter().try_for_each(|topic| sender.send(&format!(r#"{{"subscribe":"{topic}"}}"#)))
        })
        .connect()?;
    let (sender, mut feed) = feed.split();

    let orders = sender.clone();
    let trading = thread::spawn(move || -> Result<()> {
        for line in stdin.lines() {
            orders.send(&line?)?;
        }
        Ok(())
    });

    let closed = loop {
        match feed.recv_timeout(Duration::from_millis(500))? {
            Recv::Item(Message::Text(tick)) => _ = print.send(tick),
            Recv::Item(Message::Binary(_)) => {}
            Recv::TimedOut => {
                let _ = print.send("quiet".into());
                // Whatever is sent now tells the feed that its silence was noticed.
                sender.send("wake up")?;
            }
            Recv::Ended => break feed.closed().cloned(),
        }
    };
    trading.join().expect("it does not panic")?;

    // The first connection breaks, the second one goes on: subscribed again by itself, quiet for a while, closed in the end.
    let lines: Vec<String> = printed.try_iter().collect();
    let expected = [
        "open #1 None",
        "btc 1",
        "eth 1",
        "buy 1 done",
        "sell 2 done",
        "open #2 Some(\"broke\")",
        "btc 2",
        "eth 2",
        "quiet",
        "awake",
    ];
    assert_eq!(lines, expected);
    let closed = closed.expect("it has ended");
    assert_eq!((closed.code, closed.clean), (Some(1000), true));
    assert_eq!(sender.stats().reconnects, 1);
    Ok(())
}
