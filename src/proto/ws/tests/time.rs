//! Heartbeat, stalled frames, unanswered Close.

use super::*;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

fn at(start: Instant, seconds: u32) -> Instant {
    start + SECOND * seconds
}

#[test]
fn silence_is_answered_with_a_ping_and_then_with_the_end() {
    for role in BOTH {
        let config = config().ping_interval(SECOND * 30);
        let mut listener = Listener::new(role, &config, None);
        let (start, mut out) = (listener.now, Vec::new());
        assert_eq!(listener.connection.deadline(), Some(at(start, 30)));
        assert_eq!(listener.connection.handle_deadline(at(start, 29), &mut out), Ok(()));
        assert!(out.is_empty(), "before its time nothing is done");

        // Any byte counts as life.
        listener.connection.received(at(start, 5));
        assert_eq!(listener.connection.deadline(), Some(at(start, 35)));
        assert_eq!(listener.connection.handle_deadline(at(start, 36), &mut out), Ok(()));
        let sent = frames(role, &out);
        assert!(matches!(sent.as_slice(), [(0x89, payload)] if payload.len() == 8));
        assert_eq!(listener.connection.deadline(), Some(at(start, 46)));

        // The answer tells the time it took.
        listener.now = at(start, 38);
        listener.feed(&frame(role, 0x8a, &sent[0].1));
        assert_eq!(listener.connection.rtt(), Some(SECOND * 2));
        assert_eq!(listener.connection.deadline(), Some(at(start, 68)));

        // No answer.
        assert_eq!(listener.connection.handle_deadline(at(start, 68), &mut out), Ok(()));
        assert_eq!(listener.connection.handle_deadline(at(start, 77), &mut out), Ok(()));
        out.clear();
        assert_eq!(listener.connection.handle_deadline(at(start, 78), &mut out), Err(Violation::Silent));
        assert!(out.is_empty() && listener.connection.deadline().is_none());
        assert_eq!(listener.connection.poll_event(start, &mut RecvBuf::new(), &mut out), Err(Violation::Silent));
    }
}

#[test]
fn only_the_answer_to_the_last_probe_is_timed() {
    let mut listener = Listener::new(Role::Client, &config(), None);
    let (start, mut out) = (listener.now, Vec::new());
    let first = listener.connection.probe(start, &mut out).expect("open");
    let second = listener.connection.probe(at(start, 1), &mut out).expect("open");
    assert_ne!(first, second);
    listener.now = at(start, 3);
    for payload in [&first[..], b"", b"unasked", &second[..7]] {
        listener.feed(&frame(Role::Client, 0x8a, payload));
        assert_eq!(listener.connection.rtt(), None);
    }
    listener.feed(&frame(Role::Client, 0x8a, &second));
    assert_eq!(listener.connection.rtt(), Some(SECOND * 2));
    listener.now = at(start, 9);
    listener.feed(&frame(Role::Client, 0x8a, &second));
    assert_eq!(listener.connection.rtt(), Some(SECOND * 2), "answered once");
}

#[test]
fn a_slow_wire_is_not_a_silent_peer() {
    let config = config().ping_interval(SECOND * 30);
    let mut connection = Connection::new(Role::Client, &config, None, Instant::now());
    let start = connection.deadline().expect("a heartbeat") - SECOND * 30;
    let mut out = Vec::new();
    connection.unsent(50_000, &mut out);
    assert_eq!(connection.handle_deadline(at(start, 30), &mut out), Ok(()));
    connection.unsent(40_000, &mut out);
    assert_eq!(connection.handle_deadline(at(start, 40), &mut out), Ok(()), "the wire took something");
    assert_eq!(connection.handle_deadline(at(start, 50), &mut out), Err(Violation::Silent), "it took nothing more");
}

#[test]
fn a_ping_does_not_break_into_a_frame() {
    let config = config().ping_interval(SECOND * 30);
    let mut listener = Listener::new(Role::Server, &config, None);
    let (start, mut out) = (listener.now, Vec::new());
    listener.connection.send_begin(Kind::Binary, 5, End::Last, &mut out).expect("between messages");
    out.clear();
    assert_eq!(listener.connection.handle_deadline(at(start, 30), &mut out), Ok(()));
    assert!(out.is_empty());
    assert_eq!(listener.connection.deadline(), Some(at(start, 60)));
}

#[test]
fn a_frame_that_began_must_go_on() {
    for role in BOTH {
        let config = config().frame_stall(SECOND * 5);
        let bytes = frame(role, 0x82, b"abc");
        for cut in 1..bytes.len() {
            let mut listener = Listener::new(role, &config, None);
            let start = listener.now;
            listener.feed(b"");
            assert_eq!(listener.connection.deadline(), None);
            listener.feed(&bytes[..cut]);
            assert_eq!(listener.connection.deadline(), Some(at(start, 5)), "{role:?}, {cut}");
            let mut out = Vec::new();
            assert_eq!(listener.connection.handle_deadline(at(start, 4), &mut out), Ok(()));
            let stalled = listener.connection.handle_deadline(at(start, 5), &mut out);
            assert_eq!(stalled, Err(Violation::FrameStalled), "{role:?}, {cut}");
            assert_eq!(frames(role, &out), [(0x88, vec![3, 240])]);

            let mut listener = Listener::new(role, &config, None);
            listener.feed(&bytes[..cut]);
            listener.feed(&bytes[cut..]);
            assert_eq!(listener.connection.deadline(), None, "{role:?}, {cut}");
        }
    }
}

#[test]
fn our_close_is_waited_for_three_seconds() {
    for role in BOTH {
        let config = config().ping_interval(SECOND).frame_stall(SECOND);
        let mut listener = Listener::new(role, &config, None);
        let (start, mut out) = (listener.now, Vec::new());
        listener.connection.close(Some(1000), "", at(start, 10), &mut out).expect("open");
        out.clear();
        listener.feed(&frame(role, 0x82, b"abc")[..3]);
        assert_eq!(listener.connection.deadline(), Some(at(start, 13)));
        assert_eq!(listener.connection.handle_deadline(at(start, 12), &mut out), Ok(()));
        assert_eq!(listener.connection.handle_deadline(at(start, 13), &mut out), Err(Violation::CloseUnanswered));
        assert!(out.is_empty() && listener.connection.deadline().is_none());

        let mut listener = Listener::new(role, &config, None);
        listener.connection.close(Some(1000), "", start, &mut out).expect("open");
        listener.feed(&frame(role, 0x88, b""));
        assert_eq!(listener.connection.deadline(), None);
    }
}
