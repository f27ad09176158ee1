//! Every PING is told to the hooks, whoever asked for it, and so is every answer; the counters say the same.

use super::*;
use bowline::{Cancel, Hook, Trace};
use std::sync::Arc;

/// Writes down the PINGs.
#[derive(Clone, Default)]
struct Pings(Arc<Mutex<Vec<Option<Duration>>>>);

impl Pings {
    /// What was told so far: whether each is an answer.
    fn told(&self) -> Vec<bool> {
        self.0.lock().unwrap().iter().map(Option::is_some).collect()
    }

    /// That, and that the counters and the table say the same.
    #[track_caller]
    fn assert(&self, client: &Client, wanted: &[bool]) {
        assert_eq!(self.told(), wanted);
        let (stats, answered) = (client.stats(), wanted.iter().filter(|answer| **answer).count() as u64);
        let sent = wanted.len() as u64 - answered;
        assert_eq!((stats.pings, stats.pings_lost), (sent, sent - answered));
        for row in client.connections() {
            assert_eq!((row.pings_sent, row.pings_acked), (sent, answered));
        }
    }
}

impl Hook for Pings {
    fn trace(&self, step: &Trace) {
        if let Trace::Pinged { rtt, .. } = step {
            self.0.lock().unwrap().push(*rtt);
        }
    }
}

#[test]
fn those_of_a_silent_wait() {
    let (pings, peer) = (Pings::default(), Peer::new());
    let client = builder().read_idle_ping(ms(60)).hook(pings.clone()).build().unwrap();
    let asked = get(&client, &peer);
    let mut link = peer.h2();
    let head = link.request();
    for _ in 0..2 {
        let ping = link.expect(PING);
        link.ack(&ping);
    }
    link.answer(head.stream, 204, b"");
    asked.join().unwrap();
    pings.assert(&client, &[false, true, false, true]);
}

#[test]
fn the_one_sent_along_with_a_request() {
    let (pings, peer) = (Pings::default(), Peer::new());
    let client = builder().probe_after_idle(ms(100)).hook(pings.clone()).build().unwrap();
    let mut link = idle(&client, &peer);
    link.assert_quiet(ms(120));
    let asked = get(&client, &peer);
    let head = link.request();
    let ping = link.expect(PING);
    link.ack(&ping);
    link.answer(head.stream, 204, b"");
    asked.join().unwrap();
    pings.assert(&client, &[false, true]);
}

#[test]
fn those_of_the_caller() {
    let (pings, peer) = (Pings::default(), Peer::new());
    let client = builder().hook(pings.clone()).build().unwrap();
    let (connecting, url) = (client.clone(), peer.url("/"));
    let connected = task(move || connecting.connect(url));
    let mut link = peer.accept();
    let connection = Arc::new(connected.join().unwrap());
    let pinger = || {
        let connection = connection.clone();
        task(move || connection.ping(PATIENCE))
    };
    let first = pinger();
    link.handshake(&[]);
    let ping = link.expect(PING);
    // Whoever joins it sends none.
    let second = pinger();
    link.assert_quiet(ms(50));
    link.ack(&ping);
    let rtt = first.join().unwrap();
    assert_eq!(second.join().unwrap(), rtt);
    pings.assert(&client, &[false, true]);
    assert_eq!(pings.0.lock().unwrap()[1], rtt);
    // One that is not answered in time, and then not at all.
    assert_eq!(connection.ping(ms(20)).unwrap(), None);
    link.expect(PING);
    pings.assert(&client, &[false, true, false]);
    drop(link);
    assert_eq!(connection.ping(PATIENCE).unwrap_err().kind(), ErrorKind::Closed);
    drop(connection);
    pings.assert(&client, &[false, true, false]);
}

#[test]
fn the_one_that_goes_with_a_cancelled_request() {
    let (pings, peer, cancel) = (Pings::default(), Peer::new(), Cancel::new());
    let client = builder().hook(pings.clone()).build().unwrap();
    let request = client.get(peer.url("/")).cancel_on(&cancel);
    let asked = task(|| request.send());
    let mut link = peer.h2();
    link.request();
    cancel.cancel();
    assert_eq!(asked.join().unwrap_err().kind(), ErrorKind::Cancelled);
    link.expect(RST_STREAM);
    let ping = link.expect(PING);
    link.ack(&ping);
    // Read by the next one.
    let asked = get(&client, &peer);
    let head = link.request();
    link.answer(head.stream, 204, b"");
    asked.join().unwrap();
    pings.assert(&client, &[false, true]);
}

#[test]
fn those_of_upkeep() {
    let pings = Pings::default();
    let client = builder().upkeep_interval(Duration::ZERO).hook(pings.clone()).build().unwrap();
    let peer = Peer::new();
    let mut link = idle(&client, &peer);
    for _ in 0..3 {
        let keeping = client.clone();
        let kept = task(move || keeping.upkeep_wait(PATIENCE));
        let ping = link.expect(PING);
        link.ack(&ping);
        assert_eq!(kept.join()[0].action, UpkeepAction::Acked);
    }
    pings.assert(&client, &[false, true, false, true, false, true]);
}
