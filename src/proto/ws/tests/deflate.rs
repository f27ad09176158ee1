//! permessage-deflate: examples, contexts, bombs, limits.

use super::*;
use crate::proto::ws::{Agreed, Context, Deflate, Direction, Misuse, Offer, WindowBits, accept};
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};

fn both(context: Context, window: u8) -> Params {
    let direction = Direction { context, window: WindowBits::new(window).expect("8 to 15") };
    Params { client: direction, server: direction }
}

fn config() -> Config {
    super::config().deflate(Deflate::from_bytes(0))
}

/// Compresses by hand, without the tail.
fn deflated(data: &[u8], flush: FlushCompress) -> Vec<u8> {
    let mut packed = Vec::with_capacity(data.len() + 1000);
    Compress::new(Compression::best(), false).compress_vec(data, &mut packed, flush).expect("room");
    packed
}

/// First bytes and payloads.
type Frames<'a> = Vec<(u8, &'a [u8])>;

fn hello() -> Got {
    Got::Message(Kind::Text, b"Hello".to_vec())
}

/// The examples of RFC 7692, section 7.2.3.
#[test]
fn examples_of_the_rfc() {
    let hello_twice = vec![hello(), hello()];
    #[rustfmt::skip]
    let table: [(&str, Frames, Vec<Got>); 8] = [
        ("7.2.3.1 one frame", vec![(0xc1, b"\xf2\x48\xcd\xc9\xc9\x07\x00")], vec![hello()]),
        ("7.2.3.1 fragments", vec![(0x41, b"\xf2\x48\xcd"), (0x80, b"\xc9\xc9\x07\x00")], vec![hello()]),
        ("7.2.3.2 the window is kept", vec![(0xc1, b"\xf2\x48\xcd\xc9\xc9\x07\x00"), (0xc1, b"\xf2\x00\x11\x00\x00")], hello_twice.clone()),
        ("7.2.3.2 or not used", vec![(0xc1, b"\xf2\x48\xcd\xc9\xc9\x07\x00"), (0xc1, b"\xf2\x48\xcd\xc9\xc9\x07\x00")], hello_twice),
        ("7.2.3.3 no compression", vec![(0xc1, b"\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00")], vec![hello()]),
        ("7.2.3.4 a final block", vec![(0xc1, b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00")], vec![hello()]),
        ("7.2.3.5 two blocks", vec![(0xc1, b"\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00")], vec![hello()]),
        ("7.2.3.6 an empty message", vec![(0xc1, b"\x00")], vec![Got::Message(Kind::Text, vec![])]),
    ];
    for role in BOTH {
        for (section, rows, expected) in &table {
            let bytes: Vec<u8> = rows.iter().flat_map(|(first, payload)| frame(role, *first, payload)).collect();
            let heard = hear_any_way(role, &config(), Some(Params::default()), &bytes);
            assert_eq!((&heard.got, heard.failed), (expected, None), "{section}, {role:?}");
        }
    }
}

#[test]
fn messages_behind_a_final_block_are_understood() {
    for role in BOTH {
        let text = b"again and again and again";
        let last = deflated(text, FlushCompress::Finish);
        let sync = deflated(text, FlushCompress::Sync);
        let sync = &sync[..sync.len() - 4];
        for last in [[&last[..], b"\x00"].concat(), last] {
            let bytes = [
                frame(role, 0xc1, &last),
                frame(role, 0xc1, sync),
                frame(role, 0xc1, &last),
                frame(role, 0x81, text),
                frame(role, 0xc1, sync),
            ];
            let heard = hear_any_way(role, &config(), Some(Params::default()), &bytes.concat());
            assert_eq!((heard.got.len(), heard.failed), (5, None), "{role:?}");
            assert!(heard.got.iter().all(|got| *got == Got::Message(Kind::Text, text.to_vec())));
        }
    }
}

#[test]
fn fragments_controls_and_empty_frames_within_a_compressed_message() {
    for role in BOTH {
        let packed = b"\xf2\x48\xcd\xc9\xc9\x07\x00";
        let bytes = [
            frame(role, 0x41, b""),
            frame(role, 0x00, &packed[..3]),
            frame(role, 0x89, b"ping"),
            frame(role, 0x00, b""),
            frame(role, 0x00, &packed[3..]),
            frame(role, 0x80, b""),
            frame(role, 0x82, b"plain"),
            frame(role, 0xc2, b"\x00"),
        ]
        .concat();
        let heard = hear_any_way(role, &config(), Some(Params::default()), &bytes);
        let expected = [
            Got::Ping(b"ping".to_vec()),
            hello(),
            Got::Message(Kind::Binary, b"plain".to_vec()),
            Got::Message(Kind::Binary, vec![]),
        ];
        assert_eq!((heard.got.as_slice(), heard.failed), (&expected[..], None), "{role:?}");
    }
}

#[test]
fn violations() {
    let bad_text = deflated(b"abc\xff", FlushCompress::Sync);
    let bad_text = &bad_text[..bad_text.len() - 4];
    let cut_text = deflated(b"abc\xe2\x82", FlushCompress::Sync);
    let cut_text = &cut_text[..cut_text.len() - 4];
    #[rustfmt::skip]
    let table: [(&str, Frames, Violation); 8] = [
        ("RFC 7692, 6.1 RSV1 of a continuation", vec![(0x41, b"\xf2"), (0xc0, b"\x48")], Violation::ReservedBits),
        ("RFC 7692, 6.1 RSV1 of a later fragment", vec![(0x01, b"a"), (0xc0, b"\x48")], Violation::ReservedBits),
        ("RFC 7692, 6.1 RSV1 of a PING", vec![(0xc9, b"")], Violation::ReservedBits),
        ("RFC 6455, 5.2 RSV2", vec![(0xe1, b"\x00")], Violation::ReservedBits),
        ("RFC 1951, 3.2.3 a reserved block", vec![(0xc1, b"\x07\x00")], Violation::DeflateInvalid),
        ("RFC 1951, 3.2.5 a distance too far", vec![(0xc1, b"\xf2\x00\x11\x00\x00")], Violation::DeflateInvalid),
        ("RFC 6455, 8.1 inflated", vec![(0xc1, bad_text)], Violation::TextNotUtf8),
        ("RFC 6455, 8.1 a cut character", vec![(0xc1, cut_text)], Violation::TextNotUtf8),
    ];
    for role in BOTH {
        for (section, rows, violation) in &table {
            let bytes: Vec<u8> = rows.iter().flat_map(|(first, payload)| frame(role, *first, payload)).collect();
            let heard = hear_any_way(role, &config(), Some(Params::default()), &bytes);
            assert_eq!(heard.failed, Some(*violation), "{section}, {role:?}");
            let code = violation.close_code().expect("told").to_be_bytes().to_vec();
            assert_eq!(frames(role, &heard.out), [(0x88, code)], "{section}, {role:?}");
        }
    }
    assert_eq!(Violation::DeflateInvalid.close_code(), Some(1007));
}

#[test]
fn the_limit_holds_while_inflating() {
    for role in BOTH {
        for limit in [0, 1, 100, 4096, 70_000] {
            let config = config().max_message(limit);
            for (size, fits) in [(limit.saturating_sub(1), true), (limit, true), (limit + 1, false)] {
                let packed = deflated(&vec![0; size as usize], FlushCompress::Sync);
                let bytes = frame(role, 0xc2, &packed[..packed.len() - 4]);
                let heard = hear(role, &config, Some(Params::default()), &bytes, &[bytes.len() / 2]);
                let expected = (!fits).then_some(Violation::MessageTooLong { limit });
                assert_eq!(heard.failed, expected, "{role:?}, {size} of {limit}");
            }
        }
    }
}

/// 4 MiB of zeros in 4 KiB: nothing of the size of the message is ever held.
#[test]
fn a_bomb_is_refused_before_it_goes_off() {
    let mut packed = Vec::with_capacity(1 << 20);
    let mut stream = Compress::new(Compression::best(), false);
    for _ in 0..4 {
        stream.compress_vec(&vec![0; 1 << 20], &mut packed, FlushCompress::None).expect("room");
    }
    stream.compress_vec(b"", &mut packed, FlushCompress::Sync).expect("room");
    for role in BOTH {
        let config = config().max_message(1 << 18);
        let now = Instant::now();
        let mut connection = Connection::new(role, &config, Some(Params::default()), now);
        let (mut input, mut out, mut heard) = (RecvBuf::new(), Vec::new(), 0);
        input.extend(&frame(role, 0xc2, &packed[..packed.len() - 4]));
        let capacity = input.capacity();
        let violation = loop {
            match connection.poll_event(now, &mut input, &mut out) {
                Ok(Some(Event::Piece { data, .. })) => heard += data.len(),
                Ok(event) => panic!("{event:?}"),
                Err(violation) => break violation,
            }
        };
        assert_eq!(violation, Violation::MessageTooLong { limit: 1 << 18 });
        assert!(heard <= 1 << 18 && input.capacity() <= 2 * capacity + 8192, "{heard}, {}", input.capacity());
        assert_eq!(frames(role, &out), [(0x88, vec![3, 241])]);
    }
}

#[test]
fn the_limit_on_the_header_leaves_room_for_what_cannot_be_compressed() {
    let config = config().max_message(1000);
    for (len, expected) in [(1189, None), (1190, Some(Violation::MessageTooLong { limit: 1000 }))] {
        let bytes = frame(Role::Client, 0xc2, &vec![0; len]);
        let heard = hear(Role::Client, &config, Some(Params::default()), &bytes[..4], &[]);
        assert_eq!(heard.failed, expected, "{len}");
    }
}

#[test]
fn an_endless_row_of_final_blocks_is_only_as_long_as_it_is() {
    let bytes = frame(Role::Client, 0xc2, &b"\x03\x00".repeat(50_000));
    let heard = hear(Role::Client, &config(), Some(Params::default()), &bytes, &[]);
    assert_eq!((heard.got, heard.failed), (vec![Got::Message(Kind::Binary, vec![])], None));
}

#[test]
fn what_is_sent_can_be_inflated_and_fits_the_window() {
    let far = [
        &[b'x'; 3][..],
        b"a phrase that will come again",
        &(0..20_000u32).map(|i| ((i * i) >> 7) as u8).collect::<Vec<_>>(),
        b"a phrase that will come again",
    ]
    .concat();
    for (context, window) in [(Context::Kept, 15), (Context::Kept, 9), (Context::Reset, 15), (Context::Reset, 10)] {
        for role in BOTH {
            let mut connection = Connection::new(role, &config(), Some(both(context, window)), Instant::now());
            let mut inflater = Decompress::new_with_window_bits(false, window);
            for data in [&b"Hello"[..], b"Hello", b"", b"", &far, b"Hello", &far] {
                let mut out = Vec::new();
                connection.send(Kind::Binary, data, &mut out).expect("between messages");
                let mut sent = frames(role, &out);
                let (first, mut packed) = sent.pop().expect("one frame");
                assert_eq!((first, sent.len()), (0xc2, 0));
                packed.extend_from_slice(&[0, 0, 0xff, 0xff]);
                if context == Context::Reset {
                    inflater = Decompress::new_with_window_bits(false, window);
                }
                let mut inflated = Vec::with_capacity(data.len() + 100);
                inflater.decompress_vec(&packed, &mut inflated, FlushDecompress::Sync).expect("good data");
                assert!(inflated == data, "{context:?}, {window}, {role:?}, {} bytes", data.len());
            }
        }
    }
}

#[test]
fn a_context_that_is_kept_pays() {
    let sizes = |context| {
        let mut connection = Connection::new(Role::Server, &config(), Some(both(context, 15)), Instant::now());
        [0; 2].map(|_| {
            let mut out = Vec::new();
            connection.send(Kind::Text, b"a message that is sent again and again", &mut out).expect("between messages");
            out.len()
        })
    };
    let ([kept, less], [reset, same]) = (sizes(Context::Kept), sizes(Context::Reset));
    assert!(less < kept && reset == same && kept == reset);
}

#[test]
fn compressed_messages_are_fragmented_with_rsv1_only_in_front() {
    for role in BOTH {
        let config = config().fragment_at(3);
        let mut connection = Connection::new(role, &config, Some(Params::default()), Instant::now());
        let mut out = Vec::new();
        connection.send(Kind::Text, b"Hello", &mut out).expect("between messages");
        let first: Vec<_> = frames(role, &out).into_iter().map(|(first, payload)| (first, payload.len())).collect();
        assert_eq!(first, [(0x41, 3), (0x00, 3), (0x80, 1)], "{role:?}");
    }
}

#[test]
fn short_messages_and_messages_in_parts_are_not_compressed() {
    let config = super::config().deflate(Deflate::from_bytes(6));
    let mut connection = Connection::new(Role::Server, &config, Some(Params::default()), Instant::now());
    for (data, first) in [(&b""[..], 0x81), (b"Hello", 0x81), (b"Hello!", 0xc1)] {
        let mut out = Vec::new();
        connection.send(Kind::Text, data, &mut out).expect("between messages");
        assert_eq!(out[0], first);
    }
    let mut out = Vec::new();
    connection.send_fragment(Kind::Text, b"Hello Hello Hello", End::Last, &mut out).expect("between messages");
    assert_eq!(out[0], 0x81);
    assert_eq!(connection.send_piece(b"", &mut out), Err(Misuse::NoFrame));
    // A window that no compressor here keeps to: agreed, but not made use of.
    let mut connection = Connection::new(Role::Server, &config, Some(both(Context::Kept, 8)), Instant::now());
    out.clear();
    connection.send(Kind::Text, b"Hello Hello", &mut out).expect("between messages");
    assert_eq!(out[0], 0x81);
}

#[test]
fn everything_that_is_sent_is_heard() {
    let mut dice = Dice(3);
    for round in 0..3 {
        for context in [Context::Kept, Context::Reset] {
            let params = both(context, [8, 9, 12, 15][dice.roll(4)]);
            let config = config().seed(round).fragment_at([50, 126, 4096, usize::MAX][dice.roll(4)]);
            for from in BOTH {
                pair::talk(from, &config, Some(params), &mut dice);
            }
        }
    }
}

#[test]
fn noise_never_panics_nor_goes_on_for_ever() {
    let mut dice = Dice(4);
    for _ in 0..3000 {
        let noise: Vec<u8> = (0..dice.roll(100)).map(|_| dice.roll(256) as u8).collect();
        let bytes = [frame(Role::Client, 0xc2, &noise), frame(Role::Client, 0xc1, &noise)].concat();
        let whole = hear(Role::Client, &config(), Some(Params::default()), &bytes, &[]);
        let cut = hear(Role::Client, &config(), Some(Params::default()), &bytes, &[dice.roll(bytes.len())]);
        assert_eq!((whole.got, whole.failed), (cut.got, cut.failed), "{noise:x?}");
    }
}

#[test]
fn the_handshake_agrees_and_the_connections_understand_each_other() {
    let wanted = Params { client: both(Context::Reset, 10).client, server: both(Context::Kept, 12).server };
    let config = super::config().deflate(Deflate::from_bytes(4).params(wanted));
    let offer = Offer::new([7; 16], &[], &config).expect("tokens");
    let request = offer.request(&"http://example.org/".parse().expect("a URI"));
    let (response, agreed) = accept(&request, &[], &self::config()).expect("a good request");
    assert_eq!(agreed, Agreed { subprotocol: None, deflate: Some(wanted) });
    assert_eq!(offer.check(&response), Ok(agreed.clone()));
    pair::talk(Role::Client, &config, agreed.deflate, &mut Dice(5));
    pair::talk(Role::Server, &config, agreed.deflate, &mut Dice(6));
    // Who does not want it, gets none.
    assert_eq!(accept(&request, &[], &super::config()).expect("a good request").1, Agreed::default());
}
