//! How connections begin and end.

use super::*;

fn over(bench: &mut Bench, bytes: &[u8]) -> Violation {
    bench.feed(bytes).expect_err("the connection should be over")
}

#[test]
fn both_ends_announce_themselves() {
    let client = Bench::new(Role::Client, Config::new(Role::Client));
    let announced = settings(&[(2, 0), (4, 1 << 20), (6, 64 << 10)]);
    assert_eq!(client.out, [&frame::PREFACE[..], &announced, &update(0, (16 << 20) - 65_535)].concat());
    let config = Config { header_table: 0, max_frame: 1 << 20, extended_connect: true, ..Config::new(Role::Server) };
    let server = Bench::new(Role::Server, config);
    let announced = settings(&[(1, 0), (3, 128), (4, 256 << 10), (5, 1 << 20), (6, 64 << 10), (8, 1)]);
    assert_eq!(server.out, [announced, update(0, (1 << 20) - 65_535)].concat());
}

#[test]
fn values_out_of_range_are_brought_into_it() {
    let config = Config { stream_window: u32::MAX, connection_window: 0, max_frame: 0, ..Config::new(Role::Client) };
    let client = Bench::new(Role::Client, config);
    assert_eq!(client.out[24..], settings(&[(2, 0), (4, (1 << 31) - 1), (6, 64 << 10)]));
}

#[test]
fn a_client_begins_with_the_preface() {
    for place in 0..frame::PREFACE.len() {
        let mut bytes = frame::PREFACE.to_vec();
        bytes[place] ^= 1;
        for cut in 0..bytes.len() {
            let mut bench = Bench::new(Role::Server, Config::new(Role::Server));
            bench.out.clear();
            let early = bench.feed(&bytes[..cut]);
            assert_eq!(early.is_ok(), cut <= place, "byte {place}, cut at {cut}");
            assert_eq!(over(&mut bench, &bytes[cut..]), Violation::Preface);
            assert_eq!(bench.said(), goaway(0, ErrorCode::PROTOCOL_ERROR, &Violation::Preface.to_string()));
        }
    }
}

#[test]
fn the_first_frame_is_settings() {
    for role in [Role::Client, Role::Server] {
        let start = || {
            let mut bench = Bench::new(role, Config::new(role));
            if role == Role::Server {
                bench.feed(frame::PREFACE).unwrap();
            }
            bench.out.clear();
            bench
        };
        for (bytes, found) in [
            (frame(Kind::Ping, 0, 0, &[0; 8]), 6),
            (frame(Kind::Settings, ACK, 0, b""), 4),
            (frame(Kind::Unknown(99), 0, 0, b""), 99),
            (get(1, 0), 1),
        ] {
            for cut in 0..HEADER_BYTES {
                let mut bench = start();
                bench.feed(&bytes[..cut]).unwrap();
                let expected = Violation::FirstFrameNotSettings { found };
                assert_eq!(over(&mut bench, &bytes[cut..]), expected, "{role:?}");
                assert_eq!(bench.said(), goaway(0, ErrorCode::PROTOCOL_ERROR, &expected.to_string()));
            }
        }
        let mut bench = start();
        assert!(!bench.engine.is_confirmed());
        assert_eq!(bench.feed(&settings(&[])), Ok(vec![Seen::Other("Settings".into())]));
        assert!(bench.engine.is_confirmed());
        assert_eq!(bench.said(), frame(Kind::Settings, ACK, 0, b""));
    }
}

const HEADER_BYTES: usize = frame::HEADER;

#[test]
fn a_peer_that_speaks_http1() {
    for (answer, status) in [
        (&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], Some(400)),
        (b"HTTP/1.0 505 ", Some(505)),
        (b"HTTP/1.1 xyz", None),
        (b"HTTP/1.1 007", None),
        (b"HTTP/1.12345", None),
    ] {
        for cut in 0..12 {
            let mut bench = Bench::new(Role::Client, Config::new(Role::Client));
            bench.open("GET", End::Last);
            bench.out.clear();
            assert_eq!(bench.feed(&answer[..cut]), Ok(vec![]), "cut at {cut}");
            assert_eq!(over(&mut bench, &answer[cut..]), Violation::PeerSpokeHttp1 { status });
            assert_eq!(bench.said(), b"", "an HTTP/1 peer is told nothing");
        }
        let mut bench = Bench::new(Role::Client, Config::new(Role::Client));
        bench.feed(&answer[..10]).unwrap();
        let end = bench.engine.end_of_input(bench.now, &bench.input, &mut bench.out);
        assert_eq!(end, Err(Violation::PeerSpokeHttp1 { status: None }));
    }
    // Later it is a frame too large.
    let mut bench = Bench::greeted(Role::Client, Config::new(Role::Client), &[]);
    let expected = Violation::FrameTooLarge { length: 0x48_54_54, limit: 16_384 };
    assert_eq!(over(&mut bench, b"HTTP/1.1 400 "), expected);
}

#[test]
fn the_end_of_input() {
    let end = |bench: &mut Bench| bench.engine.end_of_input(bench.now, &bench.input, &mut bench.out);
    for role in [Role::Client, Role::Server] {
        let mut bench = Bench::new(role, Config::new(role));
        assert_eq!(end(&mut bench), Ok(()), "{role:?}: nothing was begun");
        let mut bench = Bench::greeted(role, Config::new(role), &[]);
        assert_eq!(end(&mut bench), Ok(()), "{role:?}: between frames");
        for cut in 1..17 {
            let mut bench = Bench::greeted(role, Config::new(role), &[]);
            bench.feed(&frame(Kind::Ping, 0, 0, &[0; 8])[..cut]).unwrap();
            let violation = Violation::Truncated { bytes: cut, streams: 0 };
            assert_eq!(end(&mut bench), Err(violation.clone()), "{role:?}: within a frame");
            assert_eq!(bench.said(), goaway(0, ErrorCode::NO_ERROR, &violation.to_string()));
            assert_eq!(end(&mut bench), Err(violation.clone()));
            assert_eq!(bench.feed(b""), Err(violation));
        }
    }
    let mut bench = Bench::greeted(Role::Client, Config::new(Role::Client), &[]);
    bench.open("GET", End::Last);
    bench.open("POST", End::More);
    bench.feed(&ok(3, END_STREAM)).unwrap();
    assert_eq!(end(&mut bench), Err(Violation::Truncated { bytes: 0, streams: 1 }), "a request without an answer");
    let mut bench = Bench::greeted(Role::Server, Config::new(Role::Server), &[]);
    bench.feed(&get(1, END_STREAM)).unwrap();
    assert_eq!(end(&mut bench), Ok(()), "a request that is complete is answered");
    bench.engine.respond(1, &response(200, &[]), End::Last, &mut bench.out).unwrap();
    let mut bench = Bench::greeted(Role::Server, Config::new(Role::Server), &[]);
    bench.feed(&[get(1, 0), data(1, 0, b"abc")[..11].to_vec()].concat()).unwrap();
    assert_eq!(end(&mut bench), Err(Violation::Truncated { bytes: 11, streams: 1 }), "a body that is cut");
}

#[test]
fn an_upgraded_client() {
    let (now, mut out) = (Instant::now(), Vec::new());
    let config = Config::new(Role::Client);
    let engine = Connection::upgraded(Role::Client, config.clone(), b"", now, &mut out).unwrap();
    assert_eq!(out, Bench::new(Role::Client, config).out);
    let mut bench = Bench { engine, input: RecvBuf::new(), out: Vec::new(), now };
    assert_eq!(bench.engine.open_streams(), 1);
    let events = bench.feed(&[settings(&[]), ok(1, 0), data(1, END_STREAM, b"hi")].concat()).unwrap();
    assert_eq!(events[2..], [Seen::Data(1, b"hi".to_vec()), Seen::Ended(1)]);
    assert_eq!(bench.open("GET", End::Last), 3);
}

#[test]
fn an_upgraded_server() {
    let (now, mut out) = (Instant::now(), Vec::new());
    let config = Config::new(Role::Server);
    let payload = &settings(&[(4, 3), (5, 20_000)])[9..];
    let engine = Connection::upgraded(Role::Server, config.clone(), payload, now, &mut out).unwrap();
    assert_eq!(out, Bench::new(Role::Server, config.clone()).out);
    let mut bench = Bench { engine, input: RecvBuf::new(), out: Vec::new(), now };
    bench.engine.respond(1, &response(200, &[]), End::More, &mut bench.out).unwrap();
    assert_eq!(bench.engine.send_data(1, b"abcdef", End::Last, &mut bench.out), Ok(3), "the window of HTTP2-Settings");
    bench.feed(&[&frame::PREFACE[..], &settings(&[]), &get(3, END_STREAM)].concat()).unwrap();
    assert_eq!(bench.engine.open_streams(), 2);

    let refused = Connection::upgraded(Role::Server, config, &settings(&[(5, 1)])[9..], now, &mut out);
    assert_eq!(refused.err(), Some(Violation::MaxFrameValue(1)));
    let client = Config { stream_window: 7, ..Config::new(Role::Client) };
    assert_eq!(client.upgrade_payload(), settings(&[(2, 0), (4, 7), (6, 64 << 10)])[9..]);
}

#[test]
fn a_client_says_goodbye() {
    let mut bench = Bench::greeted(Role::Client, Config::new(Role::Client), &[]);
    let stream = bench.open("GET", End::Last);
    bench.out.clear();
    bench.engine.drain(&mut bench.out);
    assert_eq!(bench.said(), goaway(0, ErrorCode::NO_ERROR, ""));
    bench.engine.drain(&mut bench.out);
    bench.engine.close(&mut bench.out);
    assert_eq!(bench.said(), b"", "once is enough");
    assert!(bench.engine.is_draining());
    let again = bench.engine.open(&request("GET", "http://a/", &[]), End::Last, bench.now, &mut bench.out);
    assert_eq!(again, Ok(Opened::Closed));
    assert_eq!(bench.feed(&ok(stream, END_STREAM)).unwrap().last(), Some(&Seen::Ended(stream)), "what is open goes on");
}

#[test]
fn a_server_drains() {
    let mut bench = Bench::greeted(Role::Server, Config::new(Role::Server), &[]);
    bench.feed(&get(1, 0)).unwrap();
    bench.engine.drain(&mut bench.out);
    assert_eq!(bench.said(), goaway((1 << 31) - 1, ErrorCode::NO_ERROR, ""));
    assert_eq!(bench.feed(&get(3, 0)).unwrap().len(), 1, "what was on its way is taken");
    bench.engine.close(&mut bench.out);
    assert_eq!(bench.said(), goaway(3, ErrorCode::NO_ERROR, ""));
    let later = [get(5, 0), data(5, 0, b"abc"), headers(5, END_STREAM, &[("a", "b")]), get(7, END_STREAM)].concat();
    assert_eq!(bench.feed(&later), Ok(vec![]), "what comes later is ignored");
    assert_eq!(bench.said(), b"");
    assert_eq!(bench.feed(&data(1, END_STREAM, b"x")).unwrap().len(), 2, "what is open goes on");
    let violation = over(&mut bench, &data(0, 0, b""));
    assert_eq!(
        bench.said(),
        goaway(3, ErrorCode::PROTOCOL_ERROR, &violation.to_string()),
        "and never names a later one"
    );
}

#[test]
fn goaway_refuses_what_is_above() {
    let mut bench = Bench::greeted(Role::Client, Config::new(Role::Client), &[]);
    for _ in 0..5 {
        bench.open("POST", End::More);
    }
    bench.out.clear();
    let refused = |stream| Seen::Failed(stream, Failure::Refused);
    let away = |last| goaway(last, ErrorCode::ENHANCE_YOUR_CALM, "calm");
    let told = |last| {
        let code = ErrorCode::ENHANCE_YOUR_CALM;
        Seen::Other(format!("{:?}", Event::GoAway { last_id: last, code, debug: b"calm" }))
    };
    assert_eq!(bench.feed(&away(5)), Ok(vec![told(5), refused(7), refused(9)]));
    assert!(bench.engine.is_draining() && bench.engine.open_streams() == 3);
    let again = bench.engine.open(&request("GET", "http://a/", &[]), End::Last, bench.now, &mut bench.out);
    assert_eq!(again, Ok(Opened::Closed));
    assert_eq!(bench.feed(&[ok(3, END_STREAM), ok(9, END_STREAM)].concat()).unwrap().last(), Some(&Seen::Ended(3)));
    assert_eq!(bench.feed(&away(1)), Ok(vec![told(1), refused(3), refused(5)]));
    assert_eq!(bench.feed(&away(0)), Ok(vec![told(0), refused(1)]));
    assert_eq!(bench.engine.open_streams(), 0);
}
