//! Giving up on a stream whose peer has not said a word.

use super::*;

fn cancelled(heard: &[u8]) -> Bench {
    let mut bench = Bench::greeted(Role::Client, Config::new(Role::Client), &[(3, 2)]);
    let stream = bench.open("GET", End::Last);
    bench.feed(heard).unwrap();
    bench.out.clear();
    bench.engine.cancel(stream, 8, bench.now, &mut bench.out).unwrap();
    bench
}

fn try_open(bench: &mut Bench) -> Opened {
    bench.engine.open(&request("GET", "http://a/", &[]), End::Last, bench.now, &mut bench.out).unwrap()
}

#[test]
fn a_peer_that_said_nothing_is_asked() {
    for (name, heard) in [("nothing", vec![]), ("SETTINGS", settings(&[]))] {
        let mut bench = cancelled(&heard);
        let said = bench.said();
        assert_eq!(said[..13], rst(1, ErrorCode::CANCEL), "{name}");
        assert_eq!((said.len(), said[16]), (30, 6), "{name}: a PING");
        assert!(bench.engine.is_suspect());
        // The slot counts until the PING is answered.
        assert_eq!((try_open(&mut bench), try_open(&mut bench)), (Opened::Stream(3), Opened::Blocked));
        let payload = &said[22..];
        bench.feed(&frame(Kind::Ping, ACK, 0, &[9; 8])).unwrap();
        assert!(!bench.engine.is_suspect(), "whatever comes in is a sign of life");
        assert_eq!(try_open(&mut bench), Opened::Blocked, "an answer to something else");
        let events = bench.feed(&frame(Kind::Ping, ACK, 0, payload)).unwrap();
        assert_eq!(events.last(), Some(&Seen::Other("SlotFree".into())));
        assert_eq!(try_open(&mut bench), Opened::Stream(5));
    }
}

#[test]
fn a_peer_that_said_something_is_not() {
    let ping = frame(Kind::Ping, 0, 0, &[0; 8]);
    for heard in [ok(1, 0), headers(1, 0, &[(":status", "103")]), update(1, 1), ping] {
        let mut bench = cancelled(&heard);
        assert_eq!(bench.said(), rst(1, ErrorCode::CANCEL));
        assert!(!bench.engine.is_suspect());
        assert_eq!((try_open(&mut bench), try_open(&mut bench)), (Opened::Stream(3), Opened::Stream(5)));
    }
}

#[test]
fn one_ping_serves_several() {
    let mut bench = Bench::greeted(Role::Client, Config::new(Role::Client), &[(3, 3)]);
    let streams = [bench.open("GET", End::Last), bench.open("GET", End::Last)];
    for stream in streams {
        bench.engine.cancel(stream, 8, bench.now, &mut bench.out).unwrap();
    }
    assert_eq!(bench.engine.pings_sent(), 1);
    assert_eq!((try_open(&mut bench), try_open(&mut bench)), (Opened::Stream(5), Opened::Blocked));
    // Nobody answers: the connection is dead.
    bench.later(15);
    let dead = bench.engine.handle_deadline(bench.now, &mut bench.out);
    assert_eq!(dead, Err(Violation::PingUnanswered { after: Duration::from_secs(15) }));
}

#[test]
fn a_plain_reset_asks_nothing() {
    let mut bench = Bench::greeted(Role::Client, Config::new(Role::Client), &[(3, 1)]);
    let stream = bench.open("GET", End::Last);
    bench.out.clear();
    bench.engine.reset(stream, 8, &mut bench.out).unwrap();
    assert_eq!(bench.said(), rst(stream, ErrorCode::CANCEL));
    assert_eq!(try_open(&mut bench), Opened::Stream(3));
}
