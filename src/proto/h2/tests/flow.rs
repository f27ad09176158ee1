//! Flow control, both ways.

use super::*;
use crate::proto::h2::Misuse;

fn writable(stream: u32) -> Seen {
    Seen::Other(format!("Writable {{ stream: {stream} }}"))
}

fn small(stream_window: u32, unread_limit: usize) -> Config {
    Config { stream_window, unread_limit, connection_window: 65_535, ..Config::new(Role::Client) }
}

/// A client with open answers on so many streams.
fn answered(config: Config, streams: u32) -> Bench {
    let mut bench = Bench::greeted(Role::Client, config, &[]);
    for _ in 0..streams {
        let stream = bench.open("GET", End::Last);
        bench.feed(&ok(stream, 0)).unwrap();
    }
    bench.out.clear();
    bench
}

#[test]
fn data_in_the_window_at_and_above_its_limit() {
    for (n, fits) in [(99, true), (100, true), (101, false)] {
        let mut bench = answered(small(100, 1 << 20), 1);
        // What was announced below the default holds once it is acknowledged, as it was.
        let events = bench.feed(&data(1, 0, &vec![7; n])).unwrap();
        if fits {
            assert_eq!(events, [Seen::Data(1, vec![7; n])]);
        } else {
            let violation = Violation::WindowExceeded { stream: 1, length: 101, window: 100 };
            assert_eq!(bench.said(), rst(1, violation.code()));
            assert_eq!(events, [Seen::Failed(1, Failure::Violated(violation))]);
        }
    }
    let mut bench = answered(Config { connection_window: 65_535, ..Config::new(Role::Client) }, 1);
    bench.engine.unread = usize::MAX / 2;
    for _ in 0..4 {
        bench.feed(&data(1, 0, &[7; 16_000])).unwrap();
    }
    assert_eq!(bench.engine.recv_window(), 1535);
    bench.feed(&data(1, 0, &[7; 1535])).unwrap();
    let violation = Violation::WindowExceeded { stream: 0, length: 1, window: 0 };
    assert_eq!(bench.feed(&data(1, 0, b"x")), Err(violation));
}

/// Until the peer acknowledges our SETTINGS it may count with the default window.
#[test]
fn a_window_below_the_default_holds_once_it_is_acknowledged() {
    let mut bench = Bench::new(Role::Client, small(100, 1 << 20));
    let stream = bench.open("GET", End::Last);
    bench.feed(&[settings(&[]), ok(stream, 0), data(stream, 0, &[7; 1000])].concat()).unwrap();
    let events = bench.feed(&[frame(Kind::Settings, ACK, 0, b""), data(stream, 0, b"x")].concat()).unwrap();
    let violation = Violation::WindowExceeded { stream, length: 1, window: -900 };
    assert_eq!(events, [Seen::Failed(stream, Failure::Violated(violation))]);
}

#[test]
fn the_stream_is_credited_by_what_is_released_and_the_connection_by_what_arrived() {
    let mut bench = answered(small(1000, 1 << 20), 1);
    bench.feed(&data(1, 0, &[7; 600])).unwrap();
    assert_eq!(bench.said(), b"");
    bench.engine.release(1, 499, &mut bench.out).unwrap();
    assert_eq!(bench.said(), b"", "one below half");
    bench.engine.release(1, 1, &mut bench.out).unwrap();
    assert_eq!(bench.said(), update(1, 500), "half");
    let too_much = Misuse::ReleasedTooMuch { stream: 1, unread: 100, released: 101 };
    assert_eq!(bench.engine.release(1, 101, &mut bench.out), Err(too_much));
    bench.engine.release(1, 100, &mut bench.out).unwrap();
    assert_eq!(bench.said(), b"");

    let mut bench = answered(small(1 << 20, 1 << 20), 1);
    bench.feed(&data(1, 0, &[7; 16_384])).unwrap();
    assert_eq!(bench.said(), b"");
    bench.feed(&data(1, 0, &[7; 16_383])).unwrap();
    assert_eq!(bench.said(), update(0, 32_767), "half of 65535");
    assert_eq!(bench.engine.recv_window(), 65_535);
}

#[test]
fn padding_is_credited_at_once() {
    let mut bench = answered(small(400, 1 << 20), 1);
    let padded = frame(Kind::Data, PADDED, 1, &[&[199][..], b"a", &[0; 199]].concat());
    bench.feed(&padded).unwrap();
    assert_eq!(bench.said(), update(1, 200));

    // The connection is credited for it as for data.
    let mut bench = answered(small(1 << 20, 1 << 20), 1);
    let padded = frame(Kind::Data, PADDED, 1, &[200; 16_384]);
    bench.feed(&padded).unwrap();
    assert_eq!(bench.said(), b"");
    bench.feed(&padded).unwrap();
    assert_eq!(bench.said(), update(0, 32_768));
    assert_eq!(bench.engine.recv_window(), 65_535);
}

#[test]
fn data_of_a_reset_stream_is_credited_to_the_connection() {
    let mut bench = answered(small(1 << 20, 1 << 20), 1);
    bench.engine.reset(1, 8, &mut bench.out).unwrap();
    bench.out.clear();
    assert_eq!(bench.feed(&data(1, 0, &[7; 16_384]).repeat(2)), Ok(vec![]));
    assert_eq!(bench.said(), update(0, 32_768));
    // Also when the reset comes in the middle of a frame.
    let mut bench = answered(small(1 << 20, 1 << 20), 1);
    let bytes = data(1, END_STREAM, &[7; 16_384]);
    bench.feed(&bytes[..100]).unwrap();
    assert_eq!(bench.engine.expects().map(|e| (e.stream, e.bytes)), Some((1, 16_384 - 91)));
    bench.engine.reset(1, 8, &mut bench.out).unwrap();
    assert_eq!(bench.engine.expects(), None);
    bench.out.clear();
    assert_eq!(bench.feed(&[&bytes[100..], &data(1, 0, &[7; 16_384])[..]].concat()), Ok(vec![]));
    assert_eq!(bench.said(), update(0, 32_768));
}

#[test]
fn too_much_unread_stops_the_credit_of_the_connection() {
    for (limit, credited) in [(32_767, false), (32_768, true), (32_769, true)] {
        let mut bench = answered(small(1 << 20, limit), 2);
        bench.feed(&[data(1, 0, &[7; 16_384]), data(3, 0, &[7; 16_384])].concat()).unwrap();
        assert_eq!(bench.said() == update(0, 32_768), credited, "limit {limit}");
        if !credited {
            let mut other = answered(small(1 << 20, limit), 2);
            other.feed(&[data(1, 0, &[7; 16_384]), data(3, 0, &[7; 16_384])].concat()).unwrap();
            other.engine.reset(3, 8, &mut other.out).unwrap();
            assert_eq!(other.said(), [rst(3, ErrorCode::CANCEL), update(0, 32_768)].concat());
            bench.engine.release(1, 1, &mut bench.out).unwrap();
            assert_eq!(bench.said(), update(0, 32_768));
        }
    }
}

#[test]
fn above_that_the_connection_gets_back_what_is_read() {
    let mut bench = answered(small(1 << 20, 20_000), 2);
    bench.feed(&data(1, 0, &[7; 16_000]).repeat(4)).unwrap();
    assert_eq!((bench.said(), bench.engine.recv_window()), (vec![], 1535));
    bench.engine.release(1, 16_383, &mut bench.out).unwrap();
    assert_eq!(bench.said(), b"", "one below a piece");
    bench.engine.release(1, 1, &mut bench.out).unwrap();
    assert_eq!(bench.said(), update(0, 16_384), "a piece");
    // What is dropped counts in the same way.
    bench.feed(&data(3, 0, &[7; 16_384])).unwrap();
    assert_eq!(bench.said(), b"");
    bench.engine.reset(3, 8, &mut bench.out).unwrap();
    assert_eq!(bench.said(), [rst(3, ErrorCode::CANCEL), update(0, 16_384)].concat());
}

#[test]
fn above_that_a_stream_that_is_waited_for_gets_its_piece() {
    let mut bench = answered(small(1 << 20, 20_000), 2);
    bench.engine.want(3, &mut bench.out);
    assert_eq!(bench.said(), b"", "nothing is in the way");
    bench.feed(&data(1, 0, &[7; 16_000]).repeat(3)).unwrap();
    assert_eq!((bench.said(), bench.engine.recv_window()), (vec![], 17_535), "there is a piece left");
    bench.feed(&data(1, 0, &[7; 2000])).unwrap();
    assert_eq!(bench.said(), update(0, 16_384), "there is not");
    bench.feed(&data(3, 0, b"x")).unwrap();
    bench.feed(&data(1, 0, &[7; 16_000])).unwrap();
    assert_eq!(bench.said(), b"", "nobody waits any more");
    bench.engine.want(3, &mut bench.out);
    assert_eq!(bench.said(), b"", "what arrived is to be taken first");
    bench.engine.release(3, 1, &mut bench.out).unwrap();
    bench.engine.want(3, &mut bench.out);
    assert_eq!(bench.said(), update(0, 16_384));
    // A stream that has ended waits for nothing.
    bench.feed(&data(3, END_STREAM, b"")).unwrap();
    bench.feed(&data(1, 0, &[7; 16_000])).unwrap();
    assert_eq!(bench.said(), b"");
}

/// What is unread of streams that are over still counts, until it is released or reset.
#[test]
fn a_stream_that_is_over_takes_what_is_released() {
    let ends: [(&str, Vec<u8>); 2] = [("ended", data(1, END_STREAM, b"")), ("failed", rst(1, ErrorCode::CANCEL))];
    for (name, end) in ends {
        let mut bench = answered(small(1 << 20, 1 << 20), 1);
        bench.feed(&[data(1, 0, b"abc"), end.clone()].concat()).unwrap();
        assert_eq!((bench.engine.open_streams(), bench.engine.unread), (0, 3), "{name}");
        let more = Misuse::ReleasedTooMuch { stream: 1, unread: 3, released: 4 };
        assert_eq!(bench.engine.release(1, 4, &mut bench.out), Err(more));
        bench.engine.release(1, 2, &mut bench.out).unwrap();
        bench.engine.release(1, 1, &mut bench.out).unwrap();
        assert_eq!(bench.engine.unread, 0);
        assert_eq!(bench.engine.release(1, 1, &mut bench.out), Err(Misuse::NoStream { stream: 1 }));

        let mut bench = answered(small(1 << 20, 1 << 20), 1);
        bench.feed(&[data(1, 0, b"abc"), end].concat()).unwrap();
        bench.engine.reset(1, 8, &mut bench.out).unwrap();
        assert_eq!((bench.engine.unread, bench.said()), (0, vec![]), "{name}: nothing is left to reset");
        assert_eq!(bench.engine.reset(1, 8, &mut bench.out), Err(Misuse::NoStream { stream: 1 }));
    }
}

#[test]
fn payload_that_is_read_past_the_engine() {
    let mut bench = answered(small(1000, 1 << 20), 1);
    let bytes = data(1, END_STREAM, &[7; 600]);
    assert_eq!(bench.feed(&bytes[..109]), Ok(vec![Seen::Data(1, vec![7; 100])]));
    assert_eq!(bench.engine.expects().map(|e| (e.stream, e.bytes)), Some((1, 500)));
    bench.engine.took(200, &mut bench.out);
    assert_eq!(bench.engine.expects().map(|e| e.bytes), Some(300));
    bench.engine.release(1, 300, &mut bench.out).unwrap();
    bench.engine.took(300, &mut bench.out);
    assert_eq!(bench.engine.expects(), None);
    assert!(bench.engine.has_event());
    assert_eq!(bench.feed(b""), Ok(vec![Seen::Ended(1)]));
    assert_eq!(bench.engine.unread, 300);
    // Padded data is not offered.
    let mut bench = answered(small(1000, 1 << 20), 1);
    bench.feed(&frame(Kind::Data, PADDED, 1, b"\x01abcp")[..11]).unwrap();
    assert_eq!(bench.engine.expects(), None);
}

#[test]
fn sending_stops_at_the_windows_and_goes_on() {
    let mut bench = Bench::greeted(Role::Client, Config::new(Role::Client), &[(4, 10)]);
    let stream = bench.open("POST", End::More);
    bench.out.clear();
    assert_eq!(bench.engine.send_data(stream, b"0123456789abc", End::Last, &mut bench.out), Ok(10));
    assert_eq!(bench.said(), data(stream, 0, b"0123456789"));
    assert_eq!(bench.engine.send_data(stream, b"abc", End::Last, &mut bench.out), Ok(0));
    assert_eq!(bench.feed(&update(0, 1)), Ok(vec![]), "the window of the connection was not in the way");
    assert_eq!(bench.feed(&[update(stream, 1), update(stream, 1)].concat()), Ok(vec![writable(stream)]), "once");
    assert_eq!(bench.engine.send_data(stream, b"abc", End::Last, &mut bench.out), Ok(2));
    assert_eq!(bench.feed(&settings(&[(4, 11)])).unwrap(), [Seen::Other("Settings".into()), writable(stream)]);
    assert_eq!(bench.engine.send_data(stream, b"c", End::Last, &mut bench.out), Ok(1));
    let ack = frame(Kind::Settings, ACK, 0, b"");
    assert_eq!(bench.said(), [data(stream, 0, b"ab"), ack, data(stream, END_STREAM, b"c")].concat());
    // A stream that never had to wait hears nothing.
    let other = bench.open("POST", End::More);
    assert_eq!(bench.engine.send_data(other, b"abc", End::More, &mut bench.out), Ok(3));
    assert_eq!(bench.feed(&[update(other, 1), update(0, 1)].concat()), Ok(vec![]));
}

#[test]
fn a_window_below_zero() {
    let mut bench = Bench::greeted(Role::Client, Config::new(Role::Client), &[(4, 10)]);
    let stream = bench.open("POST", End::More);
    assert_eq!(bench.engine.send_data(stream, b"0123456789", End::More, &mut bench.out), Ok(10));
    bench.feed(&settings(&[(4, 4)])).unwrap();
    bench.out.clear();
    assert_eq!(bench.engine.send_data(stream, b"a", End::More, &mut bench.out), Ok(0), "6 below zero");
    assert_eq!(bench.feed(&update(stream, 6)), Ok(vec![]), "at zero");
    assert_eq!(bench.engine.send_data(stream, b"", End::Last, &mut bench.out), Ok(0), "the end needs no window");
    assert_eq!(bench.said(), data(stream, END_STREAM, b""));
    assert_eq!(bench.feed(&update(stream, 6)), Ok(vec![]), "nobody waits any more");
}

#[test]
fn the_window_of_the_connection_wakes_whoever_waits_for_it() {
    let mut bench = Bench::greeted(Role::Client, Config::new(Role::Client), &[(4, 1 << 20)]);
    let streams: Vec<u32> = (0..4).map(|_| bench.open("POST", End::More)).collect();
    let body = vec![7; 65_535];
    assert_eq!(bench.engine.send_data(streams[0], &body, End::More, &mut bench.out), Ok(65_535));
    assert_eq!(bench.engine.send_window(), 0);
    for stream in &streams {
        assert_eq!(bench.engine.send_data(*stream, b"abc", End::More, &mut bench.out), Ok(0));
        assert_eq!(bench.engine.send_data(*stream, b"abc", End::More, &mut bench.out), Ok(0), "again");
    }
    bench.engine.reset(streams[1], 8, &mut bench.out).unwrap();
    // One of them is stopped by its own window in the meantime.
    assert_eq!(bench.feed(&settings(&[(4, 65_535)])).unwrap().len(), 1);
    let events = bench.feed(&update(0, 2)).unwrap();
    assert_eq!(events, [writable(streams[2]), writable(streams[3])]);
    assert_eq!(bench.engine.send_data(streams[2], b"abc", End::More, &mut bench.out), Ok(2));
    assert_eq!(bench.feed(&update(streams[0], 5)), Ok(vec![]), "both windows are needed");
    assert_eq!(bench.feed(&update(0, 1)), Ok(vec![writable(streams[2]), writable(streams[0])]));
}

/// A peer that never opens the window of the connection does not make the queue of those that wait for it grow.
#[test]
fn streams_that_are_over_wait_no_more() {
    let mut bench = Bench::greeted(Role::Server, Config::new(Role::Server), &[]);
    bench.feed(&get(1, END_STREAM)).unwrap();
    bench.engine.respond(1, &response(200, &[]), End::More, &mut bench.out).unwrap();
    assert_eq!(bench.engine.send_data(1, &[7; 65_536], End::More, &mut bench.out), Ok(65_535));
    for stream in (3..400).step_by(4) {
        bench.feed(&[get(stream, END_STREAM), get(stream + 2, END_STREAM)].concat()).unwrap();
        bench.engine.respond(stream, &response(200, &[]), End::More, &mut bench.out).unwrap();
        assert_eq!(bench.engine.send_data(stream, b"abc", End::More, &mut bench.out), Ok(0));
        bench.feed(&rst(stream, ErrorCode::CANCEL)).unwrap();
        // What comes to its end pays for the reset.
        bench.engine.respond(stream + 2, &response(204, &[]), End::Last, &mut bench.out).unwrap();
    }
    assert!(bench.engine.blocked.len() <= 1, "{} wait", bench.engine.blocked.len());
}

#[test]
fn frames_are_as_long_as_the_peer_takes() {
    for (n, lengths) in [(16_383, vec![16_383]), (16_384, vec![16_384]), (16_385, vec![16_384, 1])] {
        let mut bench = Bench::greeted(Role::Client, Config::new(Role::Client), &[]);
        let stream = bench.open("POST", End::More);
        bench.out.clear();
        assert_eq!(bench.engine.send_data(stream, &vec![7; n], End::Last, &mut bench.out), Ok(n));
        let mut expected = Vec::new();
        for (i, length) in lengths.iter().enumerate() {
            let flags = if i + 1 == lengths.len() { END_STREAM } else { 0 };
            expected.extend(data(stream, flags, &vec![7; *length]));
        }
        assert_eq!(bench.said(), expected, "{n} bytes");
    }
    let mut bench = Bench::greeted(Role::Client, Config::new(Role::Client), &[(5, 16_385)]);
    let stream = bench.open("POST", End::More);
    bench.out.clear();
    bench.engine.send_data(stream, &[7; 16_385], End::More, &mut bench.out).unwrap();
    assert_eq!(bench.said(), data(stream, 0, &[7; 16_385]));
}
