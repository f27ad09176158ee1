//! Limits: one below, at, one above.

use super::*;
use crate::proto::h2::{Flood, Misuse};
use Role::*;

fn other(event: &Event<'_>) -> Seen {
    Seen::Other(format!("{event:?}"))
}

/// A head whose list counts exactly `size`, by a last field of the right length.
fn list_of(head: &[(&str, &str)], size: usize) -> Vec<u8> {
    let counted: usize = head.iter().map(|(name, value)| name.len() + value.len() + 32).sum();
    let filler = "v".repeat(size - counted - 33);
    let mut fields = head.to_vec();
    fields.push(("x", &filler));
    literals(&fields)
}

/// A block as HEADERS and CONTINUATION frames of the usual size.
fn in_frames(stream: u32, flags: u8, block: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; frame::HEADER];
    bytes.extend_from_slice(block);
    frame::finish_block(0, flags, stream, 16_384, &mut bytes);
    bytes
}

#[test]
fn header_lists_that_a_server_takes() {
    for (size, taken) in [(65_535, true), (65_536, true), (65_537, false)] {
        for flags in [0, END_STREAM] {
            let mut bench = Bench::greeted(Server, Config::new(Server), &[]);
            let events = bench.feed(&in_frames(1, flags, &list_of(&GET, size))).unwrap();
            let oversized = matches!(&events[..], [Seen::Other(event)] if event.starts_with("Oversized"));
            assert_eq!(oversized, !taken, "{size}: {events:?}");
            assert_eq!(bench.engine.open_streams(), usize::from(taken));
            let said = bench.said();
            if taken {
                assert!(matches!(&events[0], Seen::Other(head) if head.contains("fields: [(")), "the field is there");
                assert_eq!(said, b"");
            } else {
                let mut client = Bench::greeted(Client, Config::new(Client), &[]);
                let stream = client.open("GET", if flags == 0 { End::More } else { End::Last });
                let events = client.feed(&said).unwrap();
                assert!(format!("{:?}", events[0]).contains("status: 431"), "{events:?}");
                assert_eq!(events[1], Seen::Ended(stream));
                let stop = (flags == 0).then(|| other(&Event::StopSending { stream }));
                assert_eq!(events.get(2), stop.as_ref());
                if flags == 0 {
                    assert!(bench.feed(&data(1, 0, b"x")).is_ok(), "the rest is discarded");
                    assert!(bench.feed(&headers(1, END_STREAM, &[("x", "y")])).is_ok(), "trailers are too");
                }
            }
            // The tables are in step: what follows is understood.
            assert_eq!(bench.feed(&get(3, END_STREAM)).unwrap().len(), 2);
        }
    }
}

#[test]
fn header_lists_that_a_client_takes() {
    for (size, taken) in [(65_535, true), (65_536, true), (65_537, false)] {
        let mut bench = Bench::greeted(Client, Config::new(Client), &[]);
        bench.open("GET", End::Last);
        bench.open("GET", End::Last);
        bench.out.clear();
        let events = bench.feed(&in_frames(1, 0, &list_of(&OK, size))).unwrap();
        let violation = Violation::HeaderListTooLarge { stream: 1, limit: 65_536 };
        let lost = Seen::Failed(1, Failure::Violated(violation));
        assert_eq!(events == [lost], !taken, "{size}");
        assert_eq!(bench.said(), if taken { vec![] } else { rst(1, ErrorCode::ENHANCE_YOUR_CALM) });
        // Trailers have the same limit.
        bench.feed(&ok(3, 0)).unwrap();
        let events = bench.feed(&in_frames(3, END_STREAM, &list_of(&[], size))).unwrap();
        assert_eq!(matches!(events[0], Seen::Failed(3, _)), !taken, "{size}: {:?}", events.len());
    }
}

#[test]
fn blocks_that_are_held() {
    let config = Config { header_list: 1000, max_continuations: u16::MAX, ..Config::new(Server) };
    let limit = config.block_limit();
    for (size, held) in [(limit - 1, true), (limit, true), (limit + 1, false)] {
        let mut bench = Bench::greeted(Server, config.clone(), &[]);
        let mut block = list_of(&GET, limit - 10);
        // Table size updates fill up what is missing, and are not allowed there; what counts is when it is noticed.
        block.resize(size, 0x20);
        let result = bench.feed(&in_frames(1, 0, &block));
        let too_large = Err(Violation::HeaderBlockTooLarge { limit });
        assert_eq!(result == too_large, !held, "{size} of {limit}: {result:?}");
    }
}

#[test]
fn continuation_frames() {
    for (n, fits) in [(31, true), (32, true), (33, false)] {
        let mut bench = Bench::greeted(Server, Config::new(Server), &[]);
        let mut bytes = frame(Kind::Headers, 0, 1, &literals(&GET));
        for i in 1..=n {
            bytes.extend(frame(Kind::Continuation, if i == n { END_HEADERS } else { 0 }, 1, b""));
        }
        let result = bench.feed(&bytes);
        assert_eq!(result.is_ok(), fits, "{n}");
        if !fits {
            assert_eq!(result, Err(Violation::Flood(Flood::Continuation)));
        }
    }
}

#[test]
fn informational_responses() {
    let mut bench = Bench::greeted(Client, Config { max_informational: 3, ..Config::new(Client) }, &[]);
    bench.open("GET", End::Last);
    bench.out.clear();
    let early = headers(1, 0, &[(":status", "103")]);
    for n in 1..=3 {
        assert!(matches!(bench.feed(&early).unwrap()[..], [Seen::Other(_)]), "{n}");
    }
    let violation = Violation::TooManyInformational { stream: 1, limit: 3 };
    assert_eq!(bench.said(), b"");
    assert_eq!(bench.feed(&early), Ok(vec![Seen::Failed(1, Failure::Violated(violation))]));
    assert_eq!(bench.said(), rst(1, ErrorCode::ENHANCE_YOUR_CALM));
}

/// Floods by frames of each kind end the connection, and useful work allows more.
#[test]
fn floods() {
    #[rustfmt::skip]
    let table: [(Flood, u32, Vec<u8>); 9] = [
        (Flood::EmptyData, 100, data(1, 0, b"")),
        (Flood::GoAway, 100, goaway(0, ErrorCode::NO_ERROR, "")),
        (Flood::Ignored, 1000, frame(Kind::Ping, frame::ACK, 0, &[0; 8])),
        (Flood::Ignored, 1000, frame(Kind::Unknown(0x2a), 0, 0, b"grease")),
        // The first one resets the stream.
        (Flood::Ignored, 1001, rst(1, ErrorCode::CANCEL)),
        (Flood::Ping, 1000, frame(Kind::Ping, 0, 0, &[0; 8])),
        (Flood::Priority, 1000, frame(Kind::Priority, 0, 1, &[0; 5])),
        // The stage's own SETTINGS is the first.
        (Flood::Settings, 99, settings(&[])),
        (Flood::WindowUpdate, 10_000, update(1, 1)),
    ];
    for (flood, burst, bytes) in table {
        let mut bench = Bench::greeted(Server, Config::new(Server), &[]);
        bench.feed(&get(1, 0)).unwrap();
        // What the head has earned is used up first.
        let mut taken = 0;
        let violation = loop {
            match bench.feed(&bytes) {
                Ok(_) => taken += 1,
                Err(violation) => break violation,
            }
            assert!(taken < 20_000, "{flood:?}");
        };
        assert_eq!(violation, Violation::Flood(flood));
        assert!((burst..=burst + 1).contains(&taken), "{flood:?}: {taken}");
        assert!(bench.said().ends_with(&goaway(1, ErrorCode::ENHANCE_YOUR_CALM, &violation.to_string())));
    }
    // Empty frames at the end of a stream, and padded ones, are no exception the other way round.
    let mut bench = Bench::greeted(Server, Config::new(Server), &[]);
    bench.feed(&get(1, 0)).unwrap();
    let padded = frame(Kind::Data, PADDED, 1, &[9; 10]);
    assert_eq!(bench.feed(&padded.repeat(200)), Err(Violation::Flood(Flood::EmptyData)));
}

/// A block whose every byte names an entry of four thousand is answered once, wherever it comes (RFC 7541, section 7.3).
#[test]
fn a_bomb_of_header_compression() {
    let entry = [&literals(&GET)[..], &[0x40, 1, b'a', 0x7f, 0xa1, 0x1e], &[b'b'; 4000]].concat();
    let bomb = [0xbe; 10_000];
    let config = Config { header_list: 16 << 10, ..Config::new(Server) };
    let block = |stream, flags, block: &[u8]| frame(Kind::Headers, flags | END_HEADERS, stream, block);
    let rows: [(&str, u8, [u32; 2]); 3] = [
        ("requests", END_STREAM, [3, 5]),
        ("trailers", END_STREAM, [1, 3]),
        ("requests that are not taken any more", END_STREAM, [5, 7]),
    ];
    for (name, flags, [first, second]) in rows {
        let mut bench = Bench::greeted(Server, config.clone(), &[]);
        bench.feed(&block(1, 0, &entry)).unwrap();
        if first == 5 {
            bench.engine.close(&mut bench.out);
        }
        bench.said();
        bench.feed(&block(first, flags, &bomb)).unwrap_or_else(|v| panic!("{name}, the first: {v}"));
        let violation = Violation::Flood(Flood::HeaderList);
        assert_eq!(bench.feed(&block(second, flags, &bomb)), Err(violation.clone()), "{name}");
        let code = ErrorCode::ENHANCE_YOUR_CALM;
        assert!(bench.said().windows(4).any(|four| four == code.0.to_be_bytes()), "{name}");
    }
    // What is a little too large may come as often as streams may be reset.
    let mut bench = Bench::greeted(Server, config, &[]);
    for n in 0..200 {
        let list = list_of(&GET, (16 << 10) + 1);
        bench.feed(&in_frames(2 * n + 1, END_STREAM, &list)).unwrap_or_else(|v| panic!("number {n}: {v}"));
    }
    assert!(matches!(bench.feed(&in_frames(401, END_STREAM, &list_of(&GET, 20_000))), Err(Violation::Flood(_))));
}

/// Streams that are opened and reset at once (CVE-2023-44487), by the peer or by what it does.
#[test]
fn rapid_resets() {
    let cancelled = |stream| [get(stream, END_STREAM), rst(stream, ErrorCode::CANCEL)].concat();
    let malformed = |stream| headers(stream, END_STREAM, &[("x", "y")]);
    let provoked = |stream| [get(stream, END_STREAM), update(stream, 0)].concat();
    type Kind<'a> = (&'a str, &'a dyn Fn(u32) -> Vec<u8>);
    let kinds: [Kind<'_>; 3] = [("cancelled", &cancelled), ("malformed", &malformed), ("provoked", &provoked)];
    for (name, bytes) in kinds {
        let mut bench = Bench::greeted(Server, Config::new(Server), &[]);
        for n in 0..200 {
            bench.feed(&bytes(2 * n + 1)).unwrap_or_else(|v| panic!("{name}, number {n}: {v}"));
        }
        assert_eq!(bench.feed(&bytes(401)), Err(Violation::Flood(Flood::Reset)), "{name}");
    }
    // Each stream that comes to its end allows one more.
    let mut bench = Bench::greeted(Server, Config::new(Server), &[]);
    for n in 0..1000 {
        bench.feed(&[get(4 * n + 1, END_STREAM), cancelled(4 * n + 3)].concat()).unwrap();
        bench.engine.respond(4 * n + 1, &response(200, &[]), End::Last, &mut bench.out).unwrap();
    }
    // What a server resets a client has asked for.
    let mut bench = Bench::greeted(Client, Config::new(Client), &[]);
    for _ in 0..1000 {
        let stream = bench.open("GET", End::Last);
        bench.feed(&rst(stream, ErrorCode::INTERNAL_ERROR)).unwrap();
    }
}

#[test]
fn replies_that_are_not_taken() {
    for (n, fits) in [(64 * 1024 / 17, true), (64 * 1024 / 17 + 1, false)] {
        let mut bench = Bench::greeted(Server, Config::new(Server), &[]);
        bench.engine.unsent(0, &mut bench.out).unwrap();
        for _ in 0..n {
            bench.later(1);
            bench.feed(&frame(Kind::Ping, 0, 0, &[0; 8])).unwrap();
        }
        let unsent = bench.out.len();
        let result = bench.engine.unsent(unsent, &mut bench.out);
        assert_eq!(result.is_ok(), fits, "{n}");
        if !fits {
            let violation = Violation::RepliesUnsent { bytes: unsent };
            assert_eq!(result, Err(violation.clone()));
            assert!(bench.said().ends_with(&goaway(0, ErrorCode::ENHANCE_YOUR_CALM, &violation.to_string())));
        }
    }
    // What was taken does not count, and data never does.
    let mut bench = Bench::greeted(Client, Config::new(Client), &[(4, 1 << 20)]);
    let stream = bench.open("POST", End::More);
    bench.feed(&update(0, 1 << 20)).unwrap();
    assert_eq!(bench.engine.send_data(stream, &[7; 1 << 19], End::More, &mut bench.out), Ok(1 << 19));
    for _ in 0..10 {
        bench.later(10);
        bench.feed(&frame(Kind::Ping, 0, 0, &[0; 8]).repeat(1000)).unwrap();
        bench.engine.unsent(1 << 19, &mut bench.out).unwrap();
        bench.engine.unsent(100, &mut bench.out).unwrap();
    }
}

#[test]
fn header_lists_that_the_peer_takes() {
    // :method GET, :scheme http, :authority a, :path / count 42, 43, 43, 38.
    let size = 42 + 43 + 43 + 38;
    for (limit, fits) in [(size - 1, false), (size, true), (size + 1, true)] {
        let mut bench = Bench::greeted(Client, Config::new(Client), &[(6, limit)]);
        let opened = bench.engine.open(&request("GET", "http://a/", &[]), End::Last, bench.now, &mut bench.out);
        let refused = Misuse::HeaderListTooLarge { size: size as usize, limit: limit as usize };
        assert_eq!(opened, if fits { Ok(Opened::Stream(1)) } else { Err(refused) });
    }
    let mut bench = Bench::greeted(Server, Config::new(Server), &[(6, 42)]);
    bench.feed(&get(1, 0)).unwrap();
    let head = response(200, &[("a", "b")]);
    let refused = Err(Misuse::HeaderListTooLarge { size: 76, limit: 42 });
    assert_eq!(bench.engine.respond(1, &head, End::Last, &mut bench.out), refused);
    assert_eq!(bench.engine.respond(1, &response(200, &[]), End::More, &mut bench.out), Ok(()));
    let trailers = response(200, &[("a", "123456789a")]).into_parts().0.headers;
    let refused = Err(Misuse::HeaderListTooLarge { size: 43, limit: 42 });
    assert_eq!(bench.engine.send_trailers(1, &trailers, &mut bench.out), refused);
}

#[test]
fn slots() {
    let slot_free = || other(&Event::SlotFree);
    let open = |bench: &mut Bench| {
        let head = request("GET", "http://a/", &[]);
        bench.engine.open(&head, End::Last, bench.now, &mut bench.out).unwrap()
    };
    let mut bench = Bench::new(Client, Config::new(Client));
    for n in 0..100 {
        assert_eq!(open(&mut bench), Opened::Stream(2 * n + 1), "before the first SETTINGS");
    }
    assert_eq!(open(&mut bench), Opened::Blocked);
    assert_eq!(bench.engine.peer_max_streams(), None);
    let events = bench.feed(&settings(&[])).unwrap();
    assert_eq!(events, [other(&Event::Settings), slot_free()], "without a limit there is none");
    for _ in 0..1000 {
        assert!(matches!(open(&mut bench), Opened::Stream(_)));
    }

    let mut bench = Bench::greeted(Client, Config::new(Client), &[(3, 2)]);
    assert_eq!(bench.engine.peer_max_streams(), Some(2));
    assert_eq!((open(&mut bench), open(&mut bench)), (Opened::Stream(1), Opened::Stream(3)));
    assert_eq!((open(&mut bench), open(&mut bench)), (Opened::Blocked, Opened::Blocked));
    assert_eq!(bench.feed(&ok(1, END_STREAM)).unwrap()[1..], [Seen::Ended(1), slot_free()], "told once");
    assert_eq!(bench.feed(b""), Ok(vec![]));
    assert_eq!((open(&mut bench), open(&mut bench)), (Opened::Stream(5), Opened::Blocked));
    bench.engine.reset(3, 8, &mut bench.out).unwrap();
    assert!(bench.engine.has_event());
    assert_eq!(bench.feed(b""), Ok(vec![slot_free()]));
    // Lowering kills nobody, 0 is honoured, and raising helps.
    bench.feed(&settings(&[(3, 0)])).unwrap();
    assert_eq!((bench.engine.open_streams(), open(&mut bench)), (1, Opened::Blocked));
    assert_eq!(bench.feed(&ok(5, END_STREAM)).unwrap().last(), Some(&Seen::Ended(5)));
    assert_eq!(open(&mut bench), Opened::Blocked);
    assert_eq!(bench.feed(&settings(&[(3, 1)])).unwrap().last(), Some(&slot_free()));
    assert_eq!(open(&mut bench), Opened::Stream(7));
    // Nobody waits for a slot of a connection that takes no more streams.
    assert_eq!(open(&mut bench), Opened::Blocked);
    bench.feed(&[goaway(99, ErrorCode::NO_ERROR, ""), ok(7, END_STREAM)].concat()).unwrap();
    assert!(!bench.engine.has_event());
    assert_eq!(open(&mut bench), Opened::Closed);
}

#[test]
fn ids_run_out() {
    let mut bench = Bench::greeted(Client, Config::new(Client), &[]);
    bench.engine.next_id = (1 << 31) - 3;
    assert_eq!(bench.open("GET", End::Last), (1 << 31) - 3);
    assert!(!bench.engine.is_draining());
    assert_eq!(bench.open("GET", End::Last), (1 << 31) - 1);
    assert!(bench.engine.is_draining());
    let again = bench.engine.open(&request("GET", "http://a/", &[]), End::Last, bench.now, &mut bench.out);
    assert_eq!(again, Ok(Opened::Closed));
    assert_eq!(bench.feed(&ok((1 << 31) - 1, END_STREAM)).unwrap().len(), 2);
}

/// What is remembered of streams that are over is bounded, and forgetting is harmless.
#[test]
fn many_streams_that_we_reset() {
    let mut bench = Bench::greeted(Client, Config::new(Client), &[]);
    for n in 0..3000 {
        let stream = bench.open("GET", End::Last);
        bench.engine.reset(stream, 8, &mut bench.out).unwrap();
        assert!(bench.engine.ours.len() <= 1024, "after {n}");
    }
    bench.out.clear();
    assert_eq!(bench.feed(&[ok(5999, 0), data(5999, 0, b"x")].concat()), Ok(vec![]));
    assert_eq!(bench.said(), b"");
    assert_eq!(bench.feed(&[ok(1, 0), data(1, 0, b"x")].concat()), Ok(vec![]), "forgotten");
    assert_eq!(bench.said(), rst(1, ErrorCode::STREAM_CLOSED), "told once more, once");
}
