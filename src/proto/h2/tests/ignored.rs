//! What means nothing, and has to be taken as if it were not there.

use super::{
    rules::{Outcome::*, body, check, nothing, row},
    *,
};
use Role::*;

/// Every frame with all the flags that it does not have: they are ignored (RFC 9113, section 4.1).
#[test]
fn flags_that_are_not_defined() {
    for role in [Client, Server] {
        let (b, stream) = (body(role), if role == Client { 1 } else { 13 });
        let block = literals(if role == Client { &OK[..] } else { &GET[..] });
        let away = [0, 0, 0, 99, 0, 0, 0, 0];
        let rows = [
            row("4.1", "DATA", role, data(b, !(END_STREAM | PADDED), b"x"), nothing()),
            row(
                "4.1",
                "HEADERS",
                role,
                frame(Kind::Headers, !(END_STREAM | PADDED | PRIORITY), stream, &block),
                nothing(),
            ),
            row("4.1", "PRIORITY", role, frame(Kind::Priority, 0xff, 1, &[0; 5]), nothing()),
            row("4.1", "RST_STREAM", role, frame(Kind::RstStream, 0xff, 1, &[0; 4]), nothing()),
            row(
                "4.1",
                "SETTINGS",
                role,
                frame(Kind::Settings, !ACK, 0, b""),
                Answered(frame(Kind::Settings, ACK, 0, b"")),
            ),
            row("4.1", "PING", role, frame(Kind::Ping, !ACK, 0, &[7; 8]), Answered(frame(Kind::Ping, ACK, 0, &[7; 8]))),
            row("4.1", "GOAWAY", role, frame(Kind::GoAway, 0xff, 0, &away), nothing()),
            row("4.1", "WINDOW_UPDATE", role, frame(Kind::WindowUpdate, 0xff, 0, &[0, 0, 0, 1]), nothing()),
            row(
                "4.1",
                "CONTINUATION",
                role,
                [frame(Kind::Headers, 0, stream, &block), frame(Kind::Continuation, 0xff, stream, b"")].concat(),
                nothing(),
            ),
        ];
        rows.iter().for_each(|row| check(row, stage));
    }
}

/// Codes that nobody knows mean nothing in particular (RFC 9113, section 7).
#[test]
fn codes_that_are_not_defined() {
    for role in [Client, Server] {
        let code = ErrorCode(0xdead_beef);
        let mut bench = stage(role);
        let failed = Seen::Failed(1, Failure::Reset(code));
        assert_eq!(bench.feed(&rst(1, code)), Ok(vec![failed]));
        let events = bench.feed(&goaway(99, code, "")).unwrap();
        assert_eq!(events, [Seen::Other(format!("{:?}", Event::GoAway { last_id: 99, code, debug: b"" }))]);
        assert_eq!(bench.said(), b"", "{role:?}");
    }
}
