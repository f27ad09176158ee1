//! Time: PINGs, silence, and SETTINGS that nobody acknowledges.

use super::*;
use crate::proto::h2::Misuse;

/// Returns the payload of the only frame that was said, a PING.
fn ping_said(bench: &mut Bench) -> [u8; 8] {
    let said = bench.said();
    let header = Header::parse(&said).expect("something was said");
    assert_eq!((header.kind, header.flags, header.stream), (Kind::Ping, 0, 0));
    said[frame::HEADER..].try_into().expect("one PING was said")
}

fn answer(payload: [u8; 8]) -> Vec<u8> {
    frame(Kind::Ping, ACK, 0, &payload)
}

fn acked(payload: [u8; 8], seconds: u64) -> Vec<Seen> {
    vec![Seen::Other(format!("{:?}", Event::PingAcked { payload, rtt: Duration::from_secs(seconds) }))]
}

/// Lets the time pass to the deadline and handles it.
fn wait(bench: &mut Bench) -> (u64, Result<(), Violation>) {
    let deadline = bench.engine.deadline().expect("something is due");
    let early = deadline - Duration::from_nanos(1);
    let before = bench.out.len();
    if early >= bench.now {
        assert_eq!(bench.engine.handle_deadline(early, &mut bench.out), Ok(()));
        assert_eq!(bench.out.len(), before, "nothing is due before the deadline");
    }
    let waited = (deadline - bench.now).as_secs();
    bench.now = deadline;
    (waited, bench.engine.handle_deadline(bench.now, &mut bench.out))
}

fn client() -> Bench {
    Bench::greeted(Role::Client, Config { seed: 7, ..Config::new(Role::Client) }, &[])
}

#[test]
fn settings_have_to_be_acknowledged() {
    for role in [Role::Client, Role::Server] {
        let mut bench = Bench::new(role, Config::new(role));
        bench.out.clear();
        let violation = Violation::SettingsUnanswered { after: Duration::from_secs(30) };
        assert_eq!(wait(&mut bench), (30, Err(violation.clone())), "{role:?}");
        assert_eq!(bench.said(), goaway(0, ErrorCode::SETTINGS_TIMEOUT, &violation.to_string()));
        assert_eq!(bench.engine.handle_deadline(bench.now, &mut bench.out), Err(violation));
        let patient = Bench::new(role, Config { settings_timeout: None, ..Config::new(role) });
        assert_eq!(patient.engine.deadline(), None);
        assert_eq!(Bench::greeted(role, Config::new(role), &[]).engine.deadline(), None);
    }
}

#[test]
fn silence_while_a_stream_is_open() {
    let mut bench = client();
    bench.open("GET", End::Last);
    bench.out.clear();
    assert_eq!(wait(&mut bench), (30, Ok(())));
    let payload = ping_said(&mut bench);
    assert_eq!((bench.engine.pings_sent(), bench.engine.last_ping()), (1, Some(bench.now)));
    bench.later(2);
    assert_eq!(bench.feed(&answer(payload)), Ok(acked(payload, 2)));
    assert_eq!((bench.engine.pings_acked(), bench.engine.rtt()), (1, Some(Duration::from_secs(2))));
    assert_eq!(bench.feed(&answer(payload)), Ok(vec![]), "the same answer again");
    assert_eq!(bench.engine.pings_acked(), 1);

    // A second one, and no third without HEADERS or DATA.
    assert_eq!(wait(&mut bench), (30, Ok(())));
    let second = ping_said(&mut bench);
    assert_ne!(second, payload);
    bench.feed(&answer(second)).unwrap();
    assert_eq!(bench.engine.deadline(), None);
    bench.feed(&ok(1, 0)).unwrap();
    assert_eq!(wait(&mut bench), (30, Ok(())));
    let third = ping_said(&mut bench);

    // And now it is dead.
    assert_eq!(bench.engine.ping_outstanding(), Some(bench.now));
    let violation = Violation::PingUnanswered { after: Duration::from_secs(15) };
    assert_eq!(wait(&mut bench), (15, Err(violation.clone())));
    assert_eq!(bench.said(), goaway(0, ErrorCode::NO_ERROR, &violation.to_string()));
    assert_eq!(bench.feed(&answer(third)), Err(violation));
}

/// A request waits for a PING in flight only from its own beginning on: half of the shorter time has to pass before that is late.
#[test]
fn a_request_makes_no_ping_late() {
    let mut bench = client();
    bench.engine.ping([7; 8], bench.now, &mut bench.out).unwrap();
    bench.later(12);
    assert!(bench.engine.is_ping_late(bench.now), "of 15 s");

    let half = Duration::from_millis(2500);
    let mut bench = client();
    bench.later(6);
    bench.engine.ping([7; 8], bench.now, &mut bench.out).unwrap();
    bench.later(6);
    bench.open("GET", End::Last);
    assert_eq!(bench.engine.deadline(), Some(bench.now + 2 * half));
    assert!(!bench.engine.is_ping_late(bench.now) && !bench.engine.is_ping_late(bench.now + half));
    assert!(bench.engine.is_ping_late(bench.now + half + Duration::from_nanos(1)));
    bench.feed(&answer([7; 8])).unwrap();
    assert!(!bench.engine.is_ping_late(bench.now + Duration::from_secs(60)));
}

/// HEADERS and DATA allow two more PINGs of our own accord, whoever sends them.
#[test]
fn what_we_send_allows_more_pings() {
    type Sends = fn(&mut Bench, u32);
    let sends: [(&str, Sends); 3] = [
        ("DATA", |bench, stream| {
            assert_eq!(bench.engine.send_data(stream, b"more", End::More, &mut bench.out), Ok(4));
        }),
        ("HEADERS", |bench, _| _ = bench.open("GET", End::Last)),
        ("trailers", |bench, stream| {
            assert_eq!(bench.engine.send_trailers(stream, &http::HeaderMap::new(), &mut bench.out), Ok(()));
        }),
    ];
    for (name, send) in sends {
        let mut bench = client();
        let stream = bench.open("POST", End::More);
        for _ in 0..2 {
            bench.out.clear();
            assert_eq!(wait(&mut bench), (30, Ok(())), "{name}");
            let payload = ping_said(&mut bench);
            bench.feed(&answer(payload)).unwrap();
        }
        assert_eq!(bench.engine.deadline(), None, "{name}");
        // What is no HEADERS and no DATA allows nothing.
        bench.engine.ping([7; 8], bench.now, &mut bench.out).unwrap();
        bench.feed(&answer([7; 8])).unwrap();
        assert_eq!(bench.engine.deadline(), None, "{name}");
        send(&mut bench, stream);
        assert!(bench.engine.deadline().is_some(), "{name}");
    }
}

#[test]
fn a_ping_that_leaves_late_counts_from_then_on() {
    let mut bench = client();
    bench.open("GET", End::Last);
    bench.engine.ping_left(bench.now);
    bench.out.clear();
    assert_eq!(wait(&mut bench), (30, Ok(())));
    let payload = ping_said(&mut bench);
    let framed = bench.now;
    for _ in 0..3 {
        bench.later(14);
        bench.engine.ping_left(bench.now);
        assert_eq!(bench.engine.handle_deadline(bench.now, &mut bench.out), Ok(()));
    }
    // What was told late is not counted back.
    bench.engine.ping_left(framed);
    let left = bench.now;
    assert_eq!((bench.engine.ping_outstanding(), bench.engine.last_ping()), (Some(left), Some(left)));
    assert_eq!(bench.engine.deadline(), Some(left + Duration::from_secs(15)));
    bench.later(2);
    assert_eq!(bench.feed(&answer(payload)), Ok(acked(payload, 2)));
}

#[test]
fn any_byte_is_a_sign_of_life() {
    let mut bench = client();
    bench.open("GET", End::Last);
    bench.out.clear();
    wait(&mut bench).1.unwrap();
    // Data trickles in in front of the answer: half a frame at a time.
    let bytes = ok(1, 0);
    for (n, byte) in bytes.iter().enumerate() {
        bench.later(14);
        bench.feed(&[*byte]).unwrap();
        assert_eq!(bench.engine.handle_deadline(bench.now, &mut bench.out), Ok(()), "byte {n}");
    }
    bench.feed(&data(1, 0, &[7; 1000])[..100]).unwrap();
    bench.later(14);
    bench.engine.took(10, &mut bench.out);
    bench.engine.received(bench.now);
    bench.later(14);
    assert_eq!(bench.engine.handle_deadline(bench.now, &mut bench.out), Ok(()));
    bench.later(1);
    assert!(bench.engine.handle_deadline(bench.now, &mut bench.out).is_err());
}

#[test]
fn an_idle_connection_is_left_alone() {
    let mut bench = client();
    assert_eq!(bench.engine.deadline(), None);
    bench.open("GET", End::Last);
    assert!(bench.engine.deadline().is_some());
    bench.feed(&ok(1, END_STREAM)).unwrap();
    assert_eq!(bench.engine.deadline(), None);
    // After a rest the silence before the request does not count; the PING along with it does.
    bench.later(9);
    bench.open("GET", End::Last);
    assert_eq!(bench.engine.deadline(), Some(bench.now + Duration::from_secs(30)));
    let mut server = Bench::greeted(Role::Server, Config::new(Role::Server), &[]);
    server.feed(&get(1, END_STREAM)).unwrap();
    assert_eq!(server.engine.deadline(), None, "a server sends none");
}

#[test]
fn a_request_after_a_rest_takes_a_ping_along() {
    for (rest, probes) in [(9, false), (10, false), (11, true)] {
        let mut bench = client();
        bench.later(rest);
        bench.open("GET", End::Last);
        let said = bench.said();
        let head = Header::parse(&said).unwrap();
        let behind = &said[frame::HEADER + head.length..];
        assert_eq!(head.kind, Kind::Headers);
        assert_eq!(behind.len(), if probes { 17 } else { 0 }, "after {rest} s");
        if probes {
            let violation = Violation::PingUnanswered { after: Duration::from_secs(5) };
            assert_eq!(wait(&mut bench), (5, Err(violation)));
        }
    }
    // What the machine slept counts.
    let mut bench = client();
    bench.later(6);
    bench.engine.slept(Duration::from_secs(5));
    let stream = bench.open("GET", End::Last);
    assert_eq!(bench.engine.pings_sent(), 1);
    bench.feed(&ok(stream, END_STREAM)).unwrap();
    bench.open("GET", End::Last);
    assert_eq!(bench.engine.pings_sent(), 1, "until something comes in");
    // Once something came in, the usual patience applies.
    let mut bench = client();
    bench.later(60);
    bench.open("GET", End::Last);
    bench.later(1);
    bench.feed(&frame(Kind::Unknown(99), 0, 0, b"")).unwrap();
    assert_eq!(wait(&mut bench).0, 15);
    // A second request does not add one while the first is without an answer.
    let mut bench = client();
    bench.later(60);
    bench.open("GET", End::Last);
    bench.open("GET", End::Last);
    assert_eq!(bench.engine.pings_sent(), 1);
}

#[test]
fn pings_that_the_caller_asks_for() {
    let mut bench = client();
    let payload = bench.engine.ping_payload();
    assert_eq!(bench.engine.ping(payload, bench.now, &mut bench.out), Ok(()));
    assert_eq!(ping_said(&mut bench), payload);
    assert_eq!(bench.engine.last_outbound(), bench.now);
    assert_eq!(bench.engine.ping(payload, bench.now, &mut bench.out), Err(Misuse::PingInFlight));
    for n in 1..64 {
        let other = bench.engine.ping_payload();
        assert_eq!(bench.engine.ping(other, bench.now, &mut bench.out), Ok(()), "{n}");
    }
    let other = bench.engine.ping_payload();
    assert_eq!(bench.engine.ping(other, bench.now, &mut bench.out), Err(Misuse::TooManyPings));
    // Timers add none of their own.
    bench.out.clear();
    bench.later(1);
    assert_eq!(bench.feed(&answer(payload)), Ok(acked(payload, 1)));
    bench.open("GET", End::Last);
    bench.out.clear();
    assert_eq!(wait(&mut bench).0, 15);
    // Answers need not come in order, nor be complete.
    let mut bench = client();
    for byte in [1, 2, 3] {
        bench.engine.ping([byte; 8], bench.now, &mut bench.out).unwrap();
    }
    bench.later(1);
    assert_eq!(bench.feed(&answer([2; 8])), Ok(acked([2; 8], 1)));
    assert_eq!(bench.feed(&answer([9; 8])), Ok(vec![]));
    assert_eq!(wait(&mut bench).0, 15, "the others are still waited for");
}

#[test]
fn payloads_follow_the_seed() {
    let payloads = |seed| {
        let mut bench = Bench::new(Role::Client, Config { seed, ..Config::new(Role::Client) });
        [bench.engine.ping_payload(), bench.engine.ping_payload()]
    };
    assert_eq!(payloads(1), payloads(1));
    assert_ne!(payloads(1), payloads(2));
    assert_ne!(payloads(1)[0], payloads(1)[1]);
}
