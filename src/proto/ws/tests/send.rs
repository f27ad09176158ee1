//! What goes out, and what may not.

use super::*;
use crate::proto::ws::Misuse;

#[test]
fn messages_of_every_length() {
    let data: Vec<u8> = (0..70_000u32).map(|i| (i * 7) as u8).collect();
    for role in BOTH {
        let mut connection = Connection::new(role, &config(), None, Instant::now());
        for len in (0..300).chain([65_535, 65_536, 70_000]) {
            let mut out = b"before".to_vec();
            assert_eq!(connection.send(Kind::Binary, &data[..len], &mut out), Ok(()));
            assert_eq!(frames(role, &out[6..]), [(0x82, data[..len].to_vec())], "{role:?}, {len}");
            let header = match len {
                0..126 => 2,
                126..0x1_0000 => 4,
                _ => 10,
            };
            assert_eq!(out.len(), 6 + header + len + if role == Role::Client { 4 } else { 0 });
        }
    }
}

#[test]
fn long_messages_are_fragmented_where_that_is_configured() {
    for role in BOTH {
        let config = config().fragment_at(3);
        let mut connection = Connection::new(role, &config, None, Instant::now());
        for (data, expected) in [
            (&b""[..], &[(0x81, &b""[..])][..]),
            (b"abc", &[(0x81, b"abc")]),
            (b"abcd", &[(0x01, b"abc"), (0x80, b"d")]),
            (b"abcdef", &[(0x01, b"abc"), (0x80, b"def")]),
            (b"abcdefg", &[(0x01, b"abc"), (0x00, b"def"), (0x80, b"g")]),
        ] {
            let mut out = Vec::new();
            connection.send(Kind::Text, data, &mut out).expect("between messages");
            let expected: Vec<_> = expected.iter().map(|(first, payload)| (*first, payload.to_vec())).collect();
            assert_eq!(frames(role, &out), expected, "{role:?}");
        }
    }
}

#[test]
fn masks_differ_from_frame_to_frame_and_follow_the_seed() {
    let sent = |seed| {
        let mut connection = Connection::new(Role::Client, &Config::new(seed), None, Instant::now());
        let mut out = Vec::new();
        for _ in 0..40 {
            connection.send(Kind::Binary, b"", &mut out).expect("between messages");
        }
        out
    };
    assert_eq!(sent(1), sent(1));
    assert_ne!(sent(1), sent(2));
    let mut keys: Vec<_> = sent(1).chunks(6).map(|frame| frame[2..].to_vec()).collect();
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), 40);
}

#[test]
fn messages_in_parts() {
    for role in BOTH {
        let mut listener = Listener::new(role, &config(), None);
        let (connection, mut out) = (&mut listener.connection, Vec::new());
        connection.send_fragment(Kind::Text, b"a", End::More, &mut out).expect("between messages");
        connection.ping(b"p", &mut out).expect("between frames");
        connection.send_fragment(Kind::Text, b"", End::More, &mut out).expect("the same kind");
        connection.send_begin(Kind::Text, 4, End::Last, &mut out).expect("the same kind");
        assert_eq!(connection.frame_left(), Some(4));
        assert_eq!(connection.send_piece(b"b", &mut out), Ok(3));
        assert_eq!(connection.send_piece(b"", &mut out), Ok(3));
        assert_eq!(connection.send_piece(b"cde", &mut out), Ok(0));
        assert_eq!(connection.frame_left(), None);
        connection.send_begin(Kind::Binary, 0, End::Last, &mut out).expect("between messages");
        connection.send(Kind::Binary, b"z", &mut out).expect("between messages");
        #[rustfmt::skip]
        let expected = [
            (0x01, b"a".to_vec()), (0x89, b"p".to_vec()), (0x00, vec![]), (0x80, b"bcde".to_vec()), (0x82, vec![]), (0x82, b"z".to_vec()),
        ];
        assert_eq!(frames(role, &out), expected, "{role:?}");
    }
}

/// Every state of what goes out meets every command.
#[test]
fn what_may_not_be_sent_changes_nothing() {
    #[derive(Clone, Copy, Debug)]
    enum State {
        Between,
        Closed,
        Failed,
        Frame,
        Within,
    }
    #[derive(Clone, Copy, Debug)]
    enum Command {
        Begin,
        Close,
        Fragment,
        OtherKind,
        Piece,
        Ping,
        Probe,
        Send,
    }
    use Command as C;
    use State as S;
    let commands = [C::Begin, C::Close, C::Fragment, C::OtherKind, C::Piece, C::Ping, C::Probe, C::Send];
    let closed = Err(Misuse::Closed);
    let open = Err(Misuse::FrameOpen);
    #[rustfmt::skip]
    let table = [
        // state, in the order of the commands
        (S::Between, [Ok(()), Ok(()), Ok(()), Ok(()), Err(Misuse::NoFrame), Ok(()), Ok(()), Ok(())]),
        (S::Closed, [closed; 8]),
        (S::Failed, [closed; 8]),
        (S::Frame, [open, open, open, open, Ok(()), open, open, open]),
        (S::Within, [Ok(()), Ok(()), Ok(()), Err(Misuse::KindChanged), Err(Misuse::NoFrame), Ok(()), Ok(()), Err(Misuse::MessageOpen)]),
    ];
    for role in BOTH {
        for (state, row) in table {
            for (command, expected) in commands.into_iter().zip(row) {
                let mut listener = Listener::new(role, &config(), None);
                let (now, mut out) = (listener.now, Vec::new());
                match state {
                    S::Between => {}
                    S::Closed => listener.connection.close(None, "", now, &mut out).expect("open"),
                    S::Failed => listener.feed(&frame(role, 0x83, b"")),
                    S::Frame => listener.connection.send_begin(Kind::Text, 9, End::More, &mut out).expect("between"),
                    S::Within => {
                        listener.connection.send_fragment(Kind::Text, b"", End::More, &mut out).expect("between")
                    }
                }
                out.clear();
                let connection = &mut listener.connection;
                let result = match command {
                    C::Begin => connection.send_begin(Kind::Text, 1, End::Last, &mut out),
                    C::Close => connection.close(Some(1000), "", now, &mut out),
                    C::Fragment => connection.send_fragment(Kind::Text, b"a", End::More, &mut out),
                    C::OtherKind => connection.send_fragment(Kind::Binary, b"a", End::Last, &mut out),
                    C::Piece => connection.send_piece(b"abc", &mut out).map(|left| assert_eq!(left, 6)),
                    C::Ping => connection.ping(b"", &mut out),
                    C::Probe => connection.probe(now, &mut out).map(|_| ()),
                    C::Send => connection.send(Kind::Text, b"abc", &mut out),
                };
                assert_eq!(result, expected, "{role:?}, {state:?}, {command:?}");
                assert_eq!(out.is_empty(), expected.is_err(), "{role:?}, {state:?}, {command:?}");
            }
        }
    }
}

#[test]
fn lengths_are_kept_to() {
    for role in BOTH {
        let mut connection = Connection::new(role, &config(), None, Instant::now());
        let mut out = Vec::new();
        let len = i64::MAX as u64 + 1;
        assert_eq!(connection.send_begin(Kind::Binary, len, End::Last, &mut out), Err(Misuse::LengthTooLong));
        assert_eq!(connection.ping(&[0; 126], &mut out), Err(Misuse::ControlTooLong));
        assert!(out.is_empty());
        assert_eq!(connection.ping(&[0; 125], &mut out), Ok(()));
        out.clear();
        connection.send_begin(Kind::Binary, 3, End::Last, &mut out).expect("between messages");
        let header = out.len();
        assert_eq!(connection.send_piece(b"abcd", &mut out), Err(Misuse::BeyondFrame { left: 3, given: 4 }));
        assert_eq!(out.len(), header);
        assert_eq!(connection.send_piece(b"abc", &mut out), Ok(0));
        assert_eq!(connection.send_begin(Kind::Binary, len - 1, End::Last, &mut out), Ok(()));
    }
}
