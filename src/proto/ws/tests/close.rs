//! The end: theirs, ours, both at once, none.

use super::*;
use crate::proto::ws::Misuse;

#[test]
fn their_close_is_echoed_once_and_nothing_after_it_counts() {
    // payload, code, reason, echo
    type Row<'a> = (&'a [u8], Option<u16>, &'a str, &'a [u8]);
    #[rustfmt::skip]
    let table: [Row<'_>; 4] = [
        (b"", None, "", b""),
        (b"\x03\xe8", Some(1000), "", b"\x03\xe8"),
        (b"\x03\xe9going \xc3\xa9", Some(1001), "going é", b"\x03\xe9"),
        (b"\x0f\xa0x", Some(4000), "x", b"\x0f\xa0"),
    ];
    for role in BOTH {
        for (payload, code, reason, echo) in table {
            let bytes = [
                frame(role, 0x81, b"before"),
                frame(role, 0x88, payload),
                frame(role, 0x81, b"after"),
                frame(role, 0x88, payload),
                vec![0xff; 3],
            ]
            .concat();
            let heard = hear_any_way(role, &config(), None, &bytes);
            let expected = [Got::Message(Kind::Text, b"before".to_vec()), Got::Closed(code, reason.to_owned())];
            assert_eq!((heard.got.as_slice(), heard.failed), (&expected[..], None), "{role:?}, {payload:x?}");
            assert_eq!(frames(role, &heard.out), [(0x88, echo.to_vec())], "{role:?}, {payload:x?}");
        }
        let mut listener = Listener::new(role, &config(), None);
        listener.feed(&frame(role, 0x88, &[3, 232]));
        assert!(listener.connection.is_closed() && !listener.connection.can_send());
        assert_eq!(listener.connection.end_of_input(&mut Vec::new()), Ok(()));
        assert_eq!(listener.connection.send(Kind::Text, b"late", &mut Vec::new()), Err(Misuse::Closed));
        let again = listener.connection.close(Some(1000), "", listener.now, &mut Vec::new());
        assert_eq!(again, Err(Misuse::Closed));
    }
}

#[test]
fn their_close_in_the_middle_of_a_message() {
    for role in BOTH {
        let bytes = [frame(role, 0x01, b"half"), frame(role, 0x88, &[3, 232])].concat();
        let heard = hear_any_way(role, &config(), None, &bytes);
        assert_eq!(heard.got, [Got::Closed(Some(1000), String::new())]);
    }
}

#[test]
fn the_echo_waits_for_the_end_of_a_frame() {
    for role in BOTH {
        for end in [End::Last, End::More] {
            let mut listener = Listener::new(role, &config(), None);
            let mut out = Vec::new();
            listener.connection.send_begin(Kind::Binary, 4, end, &mut out).expect("between messages");
            listener.feed(&frame(role, 0x89, b"ping"));
            listener.feed(&frame(role, 0x88, &[3, 233]));
            assert_eq!(listener.heard.got.last(), Some(&Got::Closed(Some(1001), String::new())));
            assert!(listener.heard.out.is_empty() && !listener.connection.is_closed());
            assert_eq!(listener.connection.send_piece(b"abcd", &mut out), Ok(0));
            let first = if end == End::Last { 0x82 } else { 0x02 };
            assert_eq!(frames(role, &out), [(first, b"abcd".to_vec()), (0x88, vec![3, 233])], "{role:?}");
            assert!(listener.connection.is_closed());
        }
        // Between the frames of a message it does not wait.
        let mut listener = Listener::new(role, &config(), None);
        listener.connection.send_fragment(Kind::Binary, b"a", End::More, &mut Vec::new()).expect("between messages");
        listener.feed(&frame(role, 0x88, b""));
        assert_eq!(frames(role, &listener.heard.out), [(0x88, vec![])]);
        let late = listener.connection.send_fragment(Kind::Binary, b"b", End::Last, &mut Vec::new());
        assert_eq!(late, Err(Misuse::Closed));
    }
}

#[test]
fn our_close_discards_everything_until_theirs() {
    for role in BOTH {
        let bytes = [
            frame(role, 0x80, b"the end of a message that had begun"),
            frame(role, 0x81, b"text"),
            frame(role, 0x81, b"not checked: \xff"),
            frame(role, 0x89, b"ping"),
            frame(role, 0x8a, b"pong"),
            frame(role, 0x02, b""),
            frame(role, 0x80, b"x"),
            frame(role, 0x88, b"\x03\xe8bye"),
            frame(role, 0x81, b"after"),
        ]
        .concat();
        for cut in 0..bytes.len() {
            let mut listener = Listener::new(role, &config(), None);
            listener.feed(&frame(role, 0x01, b"begun"));
            let mut out = Vec::new();
            listener.connection.close(Some(1001), "leaving", listener.now, &mut out).expect("open");
            assert_eq!(frames(role, &out), [(0x88, b"\x03\xe9leaving".to_vec())]);
            listener.feed(&bytes[..cut]);
            listener.feed(&bytes[cut..]);
            assert_eq!(listener.heard.got, [Got::Closed(Some(1000), "bye".to_owned())], "{role:?}, {cut}");
            assert_eq!((listener.heard.failed, listener.heard.out.as_slice()), (None, &b""[..]));
            assert!(listener.connection.is_closed());
        }
        // What is discarded has to be frames nevertheless; no second Close goes out.
        let mut listener = Listener::new(role, &config(), None);
        listener.connection.close(None, "", listener.now, &mut Vec::new()).expect("open");
        listener.feed(&frame(role, 0x83, b""));
        assert_eq!(listener.heard.failed, Some(Violation::ReservedOpcode { opcode: 3 }));
        assert_eq!(listener.heard.out, b"");
    }
}

#[test]
fn the_end_without_a_close_is_unclean() {
    for role in BOTH {
        let begun = frame(role, 0x81, b"abc");
        for bytes in [&b""[..], &begun[..1], &begun[..begun.len() - 1], &begun] {
            let mut listener = Listener::new(role, &config(), None);
            listener.feed(bytes);
            assert_eq!(listener.connection.end_of_input(&mut listener.heard.out), Err(Violation::EndWithoutClose));
            assert_eq!(listener.heard.out, b"");
            assert_eq!(Violation::EndWithoutClose.close_code(), None);
        }
        let mut listener = Listener::new(role, &config(), None);
        listener.connection.close(None, "", listener.now, &mut Vec::new()).expect("open");
        assert_eq!(listener.connection.end_of_input(&mut Vec::new()), Err(Violation::EndWithoutClose));
    }
}

#[test]
fn a_close_that_may_not_be_sent_changes_nothing() {
    let long = "x".repeat(124);
    for role in BOTH {
        let mut listener = Listener::new(role, &config(), None);
        let now = listener.now;
        for (code, reason, misuse) in [
            (Some(999), "", Misuse::CloseCodeInvalid),
            (Some(1004), "", Misuse::CloseCodeInvalid),
            (Some(1005), "", Misuse::CloseCodeInvalid),
            (Some(1006), "", Misuse::CloseCodeInvalid),
            (Some(1015), "", Misuse::CloseCodeInvalid),
            (Some(2999), "", Misuse::CloseCodeInvalid),
            (Some(5000), "", Misuse::CloseCodeInvalid),
            (None, "reason", Misuse::CloseCodeInvalid),
            (Some(1000), &long, Misuse::ControlTooLong),
        ] {
            let mut out = Vec::new();
            assert_eq!(listener.connection.close(code, reason, now, &mut out), Err(misuse), "{code:?}");
            assert!(out.is_empty() && listener.connection.can_send() && listener.connection.deadline().is_none());
        }
        assert_eq!(listener.connection.close(Some(1000), &long[1..], now, &mut Vec::new()), Ok(()));
    }
}
