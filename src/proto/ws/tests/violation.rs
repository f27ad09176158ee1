//! Each rule that a peer can break: the bytes, the violation, and what `out` then holds.

use super::*;

/// Section, frames as first byte, second byte without MASK, further length, payload; the violation and its code.
type Row = (&'static str, &'static [(u8, u8, &'static [u8], &'static [u8])], Violation, u16);

#[rustfmt::skip]
const TABLE: &[Row] = &[
    ("5.2 RSV1", &[(0xc1, 1, b"", b"a")], Violation::ReservedBits, 1002),
    ("5.2 RSV2", &[(0xa1, 1, b"", b"a")], Violation::ReservedBits, 1002),
    ("5.2 RSV3", &[(0x91, 1, b"", b"a")], Violation::ReservedBits, 1002),
    ("5.2 RSV1 of a control frame", &[(0xc9, 0, b"", b"")], Violation::ReservedBits, 1002),
    ("5.2 RSV1 of a continuation", &[(0x01, 1, b"", b"a"), (0xc0, 1, b"", b"a")], Violation::ReservedBits, 1002),
    ("5.2 opcode 3", &[(0x83, 0, b"", b"")], Violation::ReservedOpcode { opcode: 3 }, 1002),
    ("5.2 opcode 4", &[(0x84, 0, b"", b"")], Violation::ReservedOpcode { opcode: 4 }, 1002),
    ("5.2 opcode 5", &[(0x85, 0, b"", b"")], Violation::ReservedOpcode { opcode: 5 }, 1002),
    ("5.2 opcode 6", &[(0x86, 0, b"", b"")], Violation::ReservedOpcode { opcode: 6 }, 1002),
    ("5.2 opcode 7", &[(0x07, 0, b"", b"")], Violation::ReservedOpcode { opcode: 7 }, 1002),
    ("5.2 opcode b", &[(0x8b, 0, b"", b"")], Violation::ReservedOpcode { opcode: 11 }, 1002),
    ("5.2 opcode c", &[(0x8c, 0, b"", b"")], Violation::ReservedOpcode { opcode: 12 }, 1002),
    ("5.2 opcode d", &[(0x8d, 0, b"", b"")], Violation::ReservedOpcode { opcode: 13 }, 1002),
    ("5.2 opcode e", &[(0x8e, 0, b"", b"")], Violation::ReservedOpcode { opcode: 14 }, 1002),
    ("5.2 opcode f", &[(0x8f, 0, b"", b"")], Violation::ReservedOpcode { opcode: 15 }, 1002),
    ("5.2 two bytes for 125", &[(0x82, 126, b"\x00\x7d", b"")], Violation::LengthNotMinimal, 1002),
    ("5.2 two bytes for 0", &[(0x82, 126, b"\x00\x00", b"")], Violation::LengthNotMinimal, 1002),
    ("5.2 eight bytes for 65535", &[(0x82, 127, b"\x00\x00\x00\x00\x00\x00\xff\xff", b"")], Violation::LengthNotMinimal, 1002),
    ("5.2 eight bytes for 0", &[(0x82, 127, b"\x00\x00\x00\x00\x00\x00\x00\x00", b"")], Violation::LengthNotMinimal, 1002),
    ("5.2 2^63", &[(0x82, 127, b"\x80\x00\x00\x00\x00\x00\x00\x00", b"")], Violation::LengthTooLong, 1002),
    ("5.2 2^64 - 1", &[(0x82, 127, b"\xff\xff\xff\xff\xff\xff\xff\xff", b"")], Violation::LengthTooLong, 1002),
    ("5.4 a continuation first", &[(0x80, 1, b"", b"a")], Violation::ContinuationWithoutStart, 1002),
    ("5.4 a continuation behind a message", &[(0x81, 0, b"", b""), (0x00, 0, b"", b"")], Violation::ContinuationWithoutStart, 1002),
    ("5.4 a continuation behind fragments", &[(0x01, 0, b"", b""), (0x80, 0, b"", b""), (0x80, 0, b"", b"")], Violation::ContinuationWithoutStart, 1002),
    ("5.4 a text within a text", &[(0x01, 1, b"", b"a"), (0x81, 1, b"", b"a")], Violation::MessageInsideMessage, 1002),
    ("5.4 a binary within a text", &[(0x01, 1, b"", b"a"), (0x89, 0, b"", b""), (0x02, 1, b"", b"a")], Violation::MessageInsideMessage, 1002),
    ("5.5 a PING without FIN", &[(0x09, 0, b"", b"")], Violation::ControlFragmented, 1002),
    ("5.5 a PONG without FIN", &[(0x0a, 0, b"", b"")], Violation::ControlFragmented, 1002),
    ("5.5 a Close without FIN", &[(0x08, 0, b"", b"")], Violation::ControlFragmented, 1002),
    ("5.5 a PING of 126", &[(0x89, 126, b"\x00\x7e", b"")], Violation::ControlTooLong, 1002),
    ("5.5 a PONG of 65536", &[(0x8a, 127, b"\x00\x00\x00\x00\x00\x01\x00\x00", b"")], Violation::ControlTooLong, 1002),
    ("5.5 a Close of 126", &[(0x88, 126, b"\x00\x7e", b"")], Violation::ControlTooLong, 1002),
    ("5.5.1 half a code", &[(0x88, 1, b"", b"\x03")], Violation::CloseCodeCut, 1002),
    ("5.5.1 a bad reason", &[(0x88, 4, b"", b"\x03\xe8a\xff")], Violation::CloseReasonNotUtf8, 1007),
    ("5.5.1 a cut reason", &[(0x88, 4, b"", b"\x03\xe8\xe2\x82")], Violation::CloseReasonNotUtf8, 1007),
    ("7.4 code 0", &[(0x88, 2, b"", b"\x00\x00")], Violation::CloseCodeInvalid { code: 0 }, 1002),
    ("8.1 a bad byte", &[(0x81, 3, b"", b"ab\xff")], Violation::TextNotUtf8, 1007),
    ("8.1 a surrogate", &[(0x81, 3, b"", b"\xed\xa0\x80")], Violation::TextNotUtf8, 1007),
    ("8.1 a cut character", &[(0x81, 2, b"", b"\xe2\x82")], Violation::TextNotUtf8, 1007),
    ("8.1 a cut character in fragments", &[(0x01, 1, b"", b"\xe2"), (0x80, 1, b"", b"\x82")], Violation::TextNotUtf8, 1007),
    ("8.1 an empty end behind half a character", &[(0x01, 1, b"", b"\xc3"), (0x80, 0, b"", b"")], Violation::TextNotUtf8, 1007),
    ("8.1 a bad byte across fragments", &[(0x01, 1, b"", b"\xf0"), (0x89, 0, b"", b""), (0x00, 1, b"", b"\x80")], Violation::TextNotUtf8, 1007),
    ("10.4 too long", &[(0x82, 127, b"\x00\x00\x00\x00\x01\x00\x00\x01", b"")], Violation::MessageTooLong { limit: 0x100_0000 }, 1009),
];

#[test]
fn every_violation_ends_the_connection_with_its_code() {
    for role in BOTH {
        for (section, rows, violation, code) in TABLE {
            let bytes: Vec<u8> = rows
                .iter()
                .flat_map(|(first, second, length, payload)| raw(role, *first, *second, length, payload))
                .collect();
            let heard = hear_any_way(role, &config(), None, &bytes);
            assert_eq!(heard.failed, Some(*violation), "{section}, {role:?}");
            assert_eq!(violation.close_code(), Some(*code), "{section}");
            let expected = (0x88, code.to_be_bytes().to_vec());
            assert_eq!(frames(role, &heard.out).last(), Some(&expected), "{section}, {role:?}");
            assert!(
                heard.got.iter().all(|got| matches!(got, Got::Ping(_) | Got::Message(_, _))),
                "{section}, {role:?}"
            );
            assert_eq!(violation.to_string().to_lowercase().trim_end_matches('.').len(), violation.to_string().len());
        }
    }
}

#[test]
fn a_mask_belongs_to_clients_alone() {
    for (role, bytes, violation) in [
        (Role::Server, frame(Role::Client, 0x81, b"a"), Violation::Unmasked),
        (Role::Server, frame(Role::Client, 0x89, b"a"), Violation::Unmasked),
        (Role::Server, frame(Role::Client, 0x88, b""), Violation::Unmasked),
        (Role::Client, frame(Role::Server, 0x81, b"a"), Violation::Masked),
        (Role::Client, frame(Role::Server, 0x8a, b"a"), Violation::Masked),
        (Role::Client, frame(Role::Server, 0x88, b""), Violation::Masked),
    ] {
        let heard = hear_any_way(role, &config(), None, &bytes);
        assert_eq!((heard.got.len(), heard.failed), (0, Some(violation)));
        assert_eq!(frames(role, &heard.out), [(0x88, vec![3, 234])]);
    }
}

#[test]
fn every_close_code_is_judged() {
    let (now, mut input, mut out) = (Instant::now(), RecvBuf::new(), Vec::new());
    for code in 0..=u16::MAX {
        let mut connection = Connection::new(Role::Client, &config(), None, now);
        input.clear();
        input.extend(&frame(Role::Client, 0x88, &code.to_be_bytes()));
        let expected = match code {
            1000..=1003 | 1007..=1014 | 3000..=4999 => Ok(Some(Event::Closed { code: Some(code), reason: "" })),
            _ => Err(Violation::CloseCodeInvalid { code }),
        };
        assert_eq!(connection.poll_event(now, &mut input, &mut out), expected);
    }
}

#[test]
fn text_fails_at_the_first_bad_byte() {
    // Payload that has come of a frame that announces 100 bytes, and how many bytes of it are good.
    let table: [(&[u8], usize); 8] = [
        (b"\xff", 0),
        (b"ab\x80", 2),
        (b"\xc0", 0),
        (b"\xe0\x9f", 1),
        (b"\xed\xa0", 1),
        (b"\xf4\x90", 1),
        (b"\xf0\x9f\x98a", 3),
        (b"0123456789012345678901234567890123456789012345678901234567890123456789\xc3\xa9\xc3\xc3", 73),
    ];
    for role in BOTH {
        for (text, good) in table {
            for first in [0x81, 0x01] {
                let mut payload = text.to_vec();
                payload.resize(100, b' ');
                let bytes = frame(role, first, &payload);
                let header = bytes.len() - 100;
                let heard = hear(role, &config(), None, &bytes[..header + good], &[]);
                assert_eq!(heard.failed, None, "{role:?}, {text:x?}");
                for cuts in [vec![], vec![header], (0..header + good).collect()] {
                    let heard = hear(role, &config(), None, &bytes[..=header + good], &cuts);
                    assert_eq!(heard.failed, Some(Violation::TextNotUtf8), "{role:?}, {text:x?}");
                    assert_eq!(frames(role, &heard.out), [(0x88, vec![3, 239])]);
                }
            }
        }
        // The reason of a Close likewise, and its code.
        for (payload, good, violation) in [
            (&b"\x03\xe8ab\xffcde"[..], 4, Violation::CloseReasonNotUtf8),
            (b"\x03\xedabcdefg", 1, Violation::CloseCodeInvalid { code: 1005 }),
        ] {
            let bytes = frame(role, 0x88, payload);
            let header = bytes.len() - payload.len();
            assert_eq!(hear(role, &config(), None, &bytes[..header + good], &[]).failed, None);
            assert_eq!(hear(role, &config(), None, &bytes[..=header + good], &[]).failed, Some(violation));
        }
    }
}

#[test]
fn a_violation_is_returned_for_ever_and_told_once() {
    for role in BOTH {
        let mut listener = Listener::new(role, &config(), None);
        listener.feed(&frame(role, 0x83, b""));
        let out = listener.heard.out.clone();
        listener.feed(&frame(role, 0x81, b"more"));
        assert_eq!(listener.heard.failed, Some(Violation::ReservedOpcode { opcode: 3 }));
        assert_eq!(listener.heard.out, out);
        let end = listener.connection.end_of_input(&mut listener.heard.out);
        assert_eq!(end, Err(Violation::ReservedOpcode { opcode: 3 }));
        assert_eq!(listener.connection.deadline(), None);
        assert!(!listener.connection.can_send());
        assert_eq!(listener.connection.send(Kind::Text, b"", &mut Vec::new()), Err(crate::proto::ws::Misuse::Closed));
    }
}

#[test]
fn nothing_is_told_within_a_frame() {
    for role in BOTH {
        let mut listener = Listener::new(role, &config(), None);
        listener.connection.send_begin(Kind::Binary, 10, End::Last, &mut Vec::new()).expect("between messages");
        listener.feed(&frame(role, 0x83, b""));
        assert_eq!(listener.heard.failed, Some(Violation::ReservedOpcode { opcode: 3 }));
        assert_eq!(listener.heard.out, b"");
    }
}
