//! Messages, fragments, pings: what is delivered, and what is answered.

use super::*;

/// The examples of RFC 6455, section 5.7.
#[test]
fn examples_of_the_rfc() {
    let hello = Got::Message(Kind::Text, b"Hello".to_vec());
    let big = vec![7; 65536];
    #[rustfmt::skip]
    let table: [(Role, Vec<u8>, Got); 7] = [
        (Role::Client, b"\x81\x05\x48\x65\x6c\x6c\x6f".to_vec(), hello.clone()),
        (Role::Server, b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58".to_vec(), hello.clone()),
        (Role::Client, b"\x01\x03\x48\x65\x6c\x80\x02\x6c\x6f".to_vec(), hello),
        (Role::Client, b"\x89\x05\x48\x65\x6c\x6c\x6f".to_vec(), Got::Ping(b"Hello".to_vec())),
        (Role::Server, b"\x8a\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58".to_vec(), Got::Pong(b"Hello".to_vec())),
        (Role::Client, [&b"\x82\x7e\x01\x00"[..], &big[..256]].concat(), Got::Message(Kind::Binary, big[..256].to_vec())),
        (Role::Client, [&b"\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00"[..], &big].concat(), Got::Message(Kind::Binary, big.clone())),
    ];
    for (role, bytes, expected) in table {
        let heard = if bytes.len() < 1000 {
            hear_any_way(role, &config(), None, &bytes)
        } else {
            hear(role, &config(), None, &bytes, &[])
        };
        assert_eq!((heard.got, heard.failed), (vec![expected], None));
    }
}

/// Two fragments of a text that split a character, control frames between, before and behind, an empty message last.
///
/// The last frame is empty on purpose: a decoder that waits for one byte more than it needs gets away with it
/// everywhere except at the end of what was sent.
#[test]
fn every_way_to_cut_the_stream_gives_the_same_events() {
    for role in BOTH {
        let stream = [
            frame(role, 0x89, b"a"),
            frame(role, 0x01, b"h\xc3"),
            frame(role, 0x89, b""),
            frame(role, 0x00, b""),
            frame(role, 0x8a, b"xyz"),
            frame(role, 0x80, b"\xa9!"),
            frame(role, 0x82, b"\xff"),
            frame(role, 0x02, b""),
            frame(role, 0x80, b""),
            frame(role, 0x81, b""),
        ]
        .concat();
        let heard = hear_any_way(role, &config(), None, &stream);
        let expected = [
            Got::Ping(b"a".to_vec()),
            Got::Ping(b"".to_vec()),
            Got::Pong(b"xyz".to_vec()),
            Got::Message(Kind::Text, "hé!".into()),
            Got::Message(Kind::Binary, b"\xff".to_vec()),
            Got::Message(Kind::Binary, b"".to_vec()),
            Got::Message(Kind::Text, b"".to_vec()),
        ];
        assert_eq!((heard.got.as_slice(), heard.failed), (&expected[..], None), "{role:?}");
        assert_eq!(frames(role, &heard.out), [(0x8a, b"a".to_vec()), (0x8a, b"".to_vec())], "{role:?}");
    }
}

#[test]
fn every_length_comes_whole() {
    let data: Vec<u8> = (0..70_000u32).map(|i| i as u8).collect();
    for role in BOTH {
        for len in [0, 1, 7, 8, 9, 124, 125, 126, 127, 65_535, 65_536, 65_537] {
            let bytes = frame(role, 0x82, &data[..len]);
            for cut in [0, 1, 2, 3, 4, 9, 10, 11, 13, 14, 15, len / 2].into_iter().filter(|cut| *cut <= bytes.len()) {
                let heard = hear(role, &config(), None, &bytes, &[cut]);
                assert_eq!(heard.got, [Got::Message(Kind::Binary, data[..len].to_vec())], "{role:?}, {len}, {cut}");
            }
        }
    }
}

#[test]
fn a_whole_frame_is_one_piece() {
    for role in BOTH {
        for len in [0, 5, 125, 126, 70_000] {
            let (mut input, mut out, data) = (RecvBuf::new(), Vec::new(), vec![b'x'; len]);
            input.extend(&frame(role, 0x81, &data));
            let mut connection = Connection::new(role, &config(), None, Instant::now());
            let event = connection.poll_event(Instant::now(), &mut input, &mut out);
            assert_eq!(
                event,
                Ok(Some(Event::Piece { kind: Kind::Text, data: &data, end: End::Last })),
                "{role:?}, {len}"
            );
            assert!(input.is_empty());
        }
    }
}

#[test]
fn a_message_streams_as_it_arrives() {
    for role in BOTH {
        let (now, mut input, mut out) = (Instant::now(), RecvBuf::new(), Vec::new());
        let mut connection = Connection::new(role, &config(), None, now);
        let bytes = frame(role, 0x82, b"abcdef");
        let header = bytes.len() - 6;
        input.extend(&bytes[..header]);
        assert_eq!(connection.poll_event(now, &mut input, &mut out), Ok(None));
        for (at, end) in [(0, End::More), (1, End::More), (5, End::Last)] {
            let to = [1, 5, 6][[0, 1, 5].iter().position(|from| *from == at).expect("listed")];
            input.extend(&bytes[header + at..header + to]);
            let event = connection.poll_event(now, &mut input, &mut out);
            let expected = Event::Piece { kind: Kind::Binary, data: &b"abcdef"[at..to], end };
            assert_eq!(event, Ok(Some(expected)), "{role:?}");
        }
    }
}

#[test]
fn payload_may_be_read_past_the_engine_only_where_nothing_is_to_be_done_with_it() {
    let table = [
        (Role::Client, 0x82, Some(6)),
        (Role::Client, 0x02, Some(6)),
        (Role::Client, 0x81, None),
        (Role::Server, 0x82, None),
        (Role::Server, 0x81, None),
        (Role::Client, 0x89, None),
    ];
    for (role, first, expected) in table {
        let (now, mut input, mut out) = (Instant::now(), RecvBuf::new(), Vec::new());
        let mut connection = Connection::new(role, &config(), None, now);
        assert_eq!(connection.expects(), None);
        let bytes = frame(role, first, b"abcdefgh");
        input.extend(&bytes[..bytes.len() - 6]);
        while connection.poll_event(now, &mut input, &mut out).expect("no violation").is_some() {}
        assert_eq!(connection.expects(), expected, "{role:?}, {first:#x}");
        if expected.is_some() {
            connection.took(2);
            assert_eq!(connection.expects(), Some(4));
            connection.took(4);
            assert_eq!(connection.expects(), None);
            let event = connection.poll_event(now, &mut input, &mut out);
            if first == 0x82 {
                assert_eq!(event, Ok(Some(Event::Piece { kind: Kind::Binary, data: b"", end: End::Last })));
            } else {
                assert_eq!(event, Ok(None));
                input.extend(b"\x80\x00");
                let event = connection.poll_event(now, &mut input, &mut out);
                assert_eq!(event, Ok(Some(Event::Piece { kind: Kind::Binary, data: b"", end: End::Last })));
            }
        }
    }
}

#[test]
#[should_panic(expected = "took 1 of 0 bytes")]
fn taking_what_was_not_expected() {
    Connection::new(Role::Client, &config(), None, Instant::now()).took(1);
}

#[test]
fn pongs_wait_for_the_end_of_a_frame_and_for_the_wire() {
    /// What stands in the way of a PONG.
    #[derive(Clone, Copy, Debug)]
    enum Way {
        Frame,
        Wire,
    }
    for (role, way) in
        [(Role::Client, Way::Frame), (Role::Server, Way::Frame), (Role::Client, Way::Wire), (Role::Server, Way::Wire)]
    {
        for pings in [1, 15, 16, 17, 18, 40] {
            let mut listener = Listener::new(role, &config(), None);
            let mut out = Vec::new();
            match way {
                Way::Frame => {
                    listener.connection.send_begin(Kind::Binary, 3, End::Last, &mut out).expect("between messages")
                }
                Way::Wire => listener.connection.unsent(1, &mut out),
            }
            for ping in 0..pings {
                listener.feed(&frame(role, 0x89, &[ping; 2]));
            }
            assert!(listener.heard.out.is_empty(), "{role:?}, {way:?}");
            assert_eq!(listener.heard.got.len(), usize::from(pings));
            match way {
                Way::Frame => {
                    assert_eq!(listener.connection.send_piece(b"ab", &mut out), Ok(1));
                    listener.connection.unsent(0, &mut out);
                    assert_eq!(listener.connection.send_piece(b"c", &mut out), Ok(0));
                }
                Way::Wire => {
                    listener.connection.unsent(64 * 1024 + 1, &mut out);
                    assert!(out.is_empty(), "too much is unsent");
                    listener.connection.unsent(64 * 1024, &mut out);
                }
            }
            let pongs: Vec<_> = frames(role, &out).into_iter().filter(|(first, _)| *first == 0x8a).collect();
            let expected: Vec<_> = if pings <= 16 { (0..pings).collect() } else { vec![pings - 1] };
            let expected: Vec<_> = expected.into_iter().map(|ping| (0x8a, vec![ping; 2])).collect();
            assert_eq!(pongs, expected, "{role:?}, {way:?}, {pings} pings");
            let dropped = if pings <= 16 { 0 } else { u64::from(pings) - 1 };
            assert_eq!(listener.connection.pongs_dropped(), dropped, "{role:?}, {way:?}, {pings} pings");

            // The queue is empty again, and once nothing is unsent a PONG goes out at once.
            listener.connection.unsent(0, &mut out);
            listener.feed(&frame(role, 0x89, b"again"));
            assert_eq!(frames(role, &listener.heard.out), [(0x8a, b"again".to_vec())]);
        }
    }
}

#[test]
fn limits_hold_on_the_header() {
    for role in BOTH {
        let config = config().max_message(300);
        let limit = Violation::MessageTooLong { limit: 300 };
        #[rustfmt::skip]
        let table = [
            (vec![(0x82, 299)], None), (vec![(0x82, 300)], None), (vec![(0x82, 301)], Some(limit)),
            (vec![(0x81, 301)], Some(limit)), (vec![(0x82, 100_000)], Some(limit)),
            (vec![(0x02, 200), (0x80, 100)], None), (vec![(0x02, 200), (0x80, 101)], Some(limit)),
            (vec![(0x02, 300), (0x00, 0), (0x80, 0)], None), (vec![(0x02, 300), (0x00, 0), (0x80, 1)], Some(limit)),
            (vec![(0x82, 300), (0x82, 300)], None),
        ];
        for (lengths, expected) in table {
            let mut bytes = Vec::new();
            for (first, len) in &lengths {
                bytes.extend(frame(role, *first, &vec![b'a'; *len]));
            }
            // Nothing of the last payload has come yet.
            let last = lengths.last().map_or(0, |(_, len)| *len);
            let heard = hear(role, &config, None, &bytes[..bytes.len() - last], &[]);
            assert_eq!(heard.failed, expected, "{role:?}, {lengths:?}");
            let heard = hear(role, &config, None, &bytes, &[]);
            assert_eq!(heard.failed, expected, "{role:?}, {lengths:?}");
        }
    }
    // A short message has its own way.
    for (len, expected) in [(4, None), (5, None), (6, Some(Violation::MessageTooLong { limit: 5 }))] {
        let config = config().max_message(5);
        let heard = hear_any_way(Role::Server, &config, None, &frame(Role::Server, 0x82, &vec![1; len]));
        assert_eq!(heard.failed, expected, "{len}");
    }
    let heard = hear(Role::Client, &config().max_message(0), None, &frame(Role::Client, 0x82, b""), &[]);
    assert_eq!(heard.got, [Got::Message(Kind::Binary, Vec::new())]);
    // The largest length of all is no overflow.
    let bytes =
        [raw(Role::Client, 0x02, 1, &[], b"a"), raw(Role::Client, 0x80, 127, &i64::MAX.to_be_bytes(), b"")].concat();
    let heard = hear(Role::Client, &config().max_message(u64::MAX), None, &bytes, &[]);
    assert_eq!(heard.failed, None);
}
