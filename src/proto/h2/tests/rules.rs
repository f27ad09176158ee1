//! A row for every sentence of RFC 9113, sections 3.4 to 8, that names an error or says what to ignore: the bytes, what becomes of
//! the connection or the stream, and the answer. Each row is cut at every byte.

use super::*;
use crate::proto::h2::{Flood, hpack};
use Outcome::*;
use Role::*;

/// What bytes lead to.
#[derive(Clone, Debug)]
pub(super) enum Outcome {
    /// A connection error: GOAWAY.
    Over(Violation),
    /// A stream error: RST_STREAM, and `Failed` is the last event.
    Lost(u32, Violation),
    /// No error; this is the answer.
    Answered(Vec<u8>),
}

pub(super) struct Row {
    pub(super) section: &'static str,
    pub(super) case: &'static str,
    pub(super) role: Role,
    pub(super) bytes: Vec<u8>,
    pub(super) outcome: Outcome,
}

pub(super) fn row(
    section: &'static str,
    case: &'static str,
    role: Role,
    bytes: impl Into<Vec<u8>>,
    outcome: Outcome,
) -> Row {
    Row { section, case, role, bytes: bytes.into(), outcome }
}

/// Runs a row whole and cut at every byte.
pub(super) fn check(row: &Row, start: impl Fn(Role) -> Bench) {
    let name = format!("{}: {} ({:?})", row.section, row.case, row.role);
    let run = |cut: usize| {
        let mut bench = start(row.role);
        let mut events = Vec::new();
        for part in [&row.bytes[..cut], &row.bytes[cut..]] {
            if let Err(violation) = bench.collect(part, &mut events) {
                assert_eq!(bench.feed(b""), Err(violation.clone()), "{name}: a violation is final");
                return (events, Some(violation), bench.engine.last_peer, bench.said());
            }
        }
        (events, None, bench.engine.last_peer, bench.said())
    };
    let (events, violation, last, out) = run(row.bytes.len());
    match &row.outcome {
        Over(expected) => {
            assert_eq!(violation.as_ref(), Some(expected), "{name}");
            let farewell = goaway(last, expected.code(), &expected.to_string());
            assert!(out.ends_with(&farewell), "{name}: {}", out.escape_ascii());
        }
        Lost(stream, expected) => {
            assert_eq!(violation, None, "{name}");
            let failed = Seen::Failed(*stream, Failure::Violated(expected.clone()));
            assert_eq!(events.last(), Some(&failed), "{name}");
            assert_eq!(out, rst(*stream, expected.code()), "{name}");
        }
        Answered(answer) => {
            assert_eq!(
                (violation.as_ref(), out.escape_ascii().to_string()),
                (None, answer.escape_ascii().to_string()),
                "{name}"
            );
        }
    }
    // Long ones are long because of their data: not every place in it.
    for cut in (0..row.bytes.len()).step_by(row.bytes.len() / 500 + 1) {
        let again = run(cut);
        assert_eq!((&again.0, &again.1), (&events, &violation), "{name}, cut at {cut}");
        assert_eq!(again.3, out, "{name}, cut at {cut}");
    }
}

/// A head in HEADERS and two CONTINUATIONs, the first of them empty.
fn split_head(role: Role, stream: u32) -> Vec<u8> {
    let block = literals(if role == Client { &OK[..] } else { &GET[..] });
    [
        frame(Kind::Headers, 0, stream, &block[..3]),
        frame(Kind::Continuation, 0, stream, b""),
        frame(Kind::Continuation, END_HEADERS, stream, &block[3..]),
    ]
    .concat()
}

/// The stream of the stage on which data may arrive.
pub(super) fn body(role: Role) -> u32 {
    if role == Client { 11 } else { 1 }
}

fn length(kind: Kind, length: usize) -> Outcome {
    Over(Violation::FrameLength { kind: kind.byte(), length })
}

fn zero(kind: Kind) -> Outcome {
    Over(Violation::OnStreamZero { kind: kind.byte() })
}

fn on_stream(kind: Kind, stream: u32) -> Outcome {
    Over(Violation::NotOnStream { kind: kind.byte(), stream })
}

/// What a frame on stream 7, which is over, leads to. A client has answers of a server that it no longer wants; a server that
/// gets more of a request after its end speaks with a client that is broken.
fn over(role: Role) -> Outcome {
    match role {
        Client => Answered(rst(7, ErrorCode::STREAM_CLOSED)),
        Server => Over(Violation::FrameAfterEnd { stream: 7 }),
    }
}

pub(super) fn idle(kind: Kind, stream: u32) -> Outcome {
    Over(Violation::IdleStream { stream, kind: kind.byte() })
}

pub(super) fn nothing() -> Outcome {
    Answered(Vec::new())
}

#[test]
fn frames_and_blocks() {
    for role in [Client, Server] {
        let b = body(role);
        let head = if role == Client { ok(1, 0) } else { get(13, 0) };
        let stream = if role == Client { 1 } else { 13 };
        let open = frame(Kind::Headers, 0, stream, &literals(&[("a", "b")]));
        let mut reserved = data(b, 0, b"x");
        reserved[5] |= 0x80;
        let rows = [
            row("4.1", "the reserved bit is ignored", role, reserved, nothing()),
            row("4.1", "unknown types are ignored", role, frame(Kind::Unknown(0xbb), 0xff, 99, b"anything"), nothing()),
            row("5.5", "and those of extensions, empty", role, frame(Kind::Unknown(0x10), 0, 0, b""), nothing()),
            row("4.2", "DATA at the limit", role, data(b, 0, &[0; 16_384]), nothing()),
            row(
                "4.2",
                "DATA above the limit",
                role,
                &data(b, 0, &[0; 16_385])[..20],
                Over(Violation::FrameTooLarge { length: 16_385, limit: 16_384 }),
            ),
            row(
                "4.2",
                "an unknown frame above the limit",
                role,
                &frame(Kind::Unknown(77), 0, 0, &[0; 16_385])[..20],
                Over(Violation::FrameTooLarge { length: 16_385, limit: 16_384 }),
            ),
            row(
                "4.2",
                "HEADERS above the limit",
                role,
                &frame(Kind::Headers, END_HEADERS, stream, &[0; 16_385])[..9],
                Over(Violation::FrameTooLarge { length: 16_385, limit: 16_384 }),
            ),
            row(
                "4.2",
                "SETTINGS above the limit",
                role,
                &frame(Kind::Settings, 0, 0, &[0; 16_386])[..9],
                Over(Violation::FrameTooLarge { length: 16_386, limit: 16_384 }),
            ),
            row(
                "4.2",
                "CONTINUATION above the limit",
                role,
                [open.clone(), frame(Kind::Continuation, END_HEADERS, stream, &[0; 16_385])[..9].to_vec()].concat(),
                Over(Violation::FrameTooLarge { length: 16_385, limit: 16_384 }),
            ),
            row("4.3", "a block in three frames", role, split_head(role, stream), nothing()),
            row(
                "4.3",
                "a block that cannot be decoded",
                role,
                frame(Kind::Headers, END_HEADERS, stream, b"\x80"),
                Over(Violation::Compression(hpack::Violation::IndexZero)),
            ),
            row(
                "4.3",
                "also on a stream that was reset",
                role,
                frame(Kind::Headers, END_HEADERS, 5, b"\x80"),
                Over(Violation::Compression(hpack::Violation::IndexZero)),
            ),
            row(
                "4.3",
                "a block that is cut",
                role,
                frame(Kind::Headers, END_HEADERS, stream, b"\x00\x05ab"),
                Over(Violation::Compression(hpack::Violation::StringBeyondBlock { length: 5, left: 2 })),
            ),
            row(
                "6.10",
                "CONTINUATION of another stream",
                role,
                [open.clone(), frame(Kind::Continuation, END_HEADERS, 3, b"")].concat(),
                Over(Violation::ContinuationExpected { stream, found: 9 }),
            ),
            row(
                "6.10",
                "another frame within a block",
                role,
                [open.clone(), frame(Kind::Ping, 0, 0, &[0; 8])].concat(),
                Over(Violation::ContinuationExpected { stream, found: 6 }),
            ),
            row(
                "5.5",
                "an unknown frame within a block",
                role,
                [open.clone(), frame(Kind::Unknown(0xbb), 0, stream, b"")].concat(),
                Over(Violation::ContinuationExpected { stream, found: 0xbb }),
            ),
            row(
                "4.3",
                "HEADERS of another stream within a block",
                role,
                [open.clone(), frame(Kind::Headers, END_HEADERS, 3, b"")].concat(),
                Over(Violation::ContinuationExpected { stream, found: 1 }),
            ),
            row(
                "6.10",
                "CONTINUATION without HEADERS",
                role,
                frame(Kind::Continuation, END_HEADERS, 3, b""),
                Over(Violation::ContinuationUnexpected { stream: 3 }),
            ),
            row(
                "6.10",
                "CONTINUATION after a complete block",
                role,
                [head.clone(), frame(Kind::Continuation, END_HEADERS, stream, b"")].concat(),
                Over(Violation::ContinuationUnexpected { stream }),
            ),
            row(
                "6.10",
                "CONTINUATION on stream 0",
                role,
                frame(Kind::Continuation, 0, 0, b""),
                zero(Kind::Continuation),
            ),
            row(
                "10.5",
                "CONTINUATION without end",
                role,
                [open.clone(), frame(Kind::Continuation, 0, stream, b"").repeat(33)].concat(),
                Over(Violation::Flood(Flood::Continuation)),
            ),
        ];
        rows.iter().for_each(|row| check(row, stage));
    }
}

#[test]
fn data_headers_priority_and_reset() {
    for role in [Client, Server] {
        let b = body(role);
        let stream = if role == Client { 1 } else { 13 };
        let block = literals(if role == Client { &OK[..] } else { &GET[..] });
        let padded = |padding: u8, rest: &[u8]| [&[padding], rest].concat();
        let too_long = |stream, padding, length| Over(Violation::PaddingTooLong { stream, padding, length });
        let headers_with = |flags, payload: Vec<u8>| frame(Kind::Headers, END_HEADERS | flags, stream, &payload);
        let end = Violation::FrameAfterEnd { stream: if role == Client { 9 } else { 3 } };
        let half = if role == Client { 9 } else { 3 };
        let rows = [
            row("6.1", "DATA on stream 0", role, data(0, 0, b"x"), zero(Kind::Data)),
            row("6.1", "padding that fits", role, data(b, PADDED, &padded(2, b"xyz")), Answered(vec![])),
            row("6.1", "nothing but padding", role, data(b, PADDED, &padded(2, b"yz")), Answered(vec![])),
            row("6.1", "padding that does not fit", role, data(b, PADDED, &padded(3, b"xy")), too_long(b, 3, 3)),
            row("6.1", "no room for the length", role, data(b, PADDED, b""), length(Kind::Data, 0)),
            row("5.1", "DATA on an idle stream", role, data(13, 0, b"x"), idle(Kind::Data, 13)),
            row("5.1", "DATA on a stream of the server", role, data(2, 0, b"x"), idle(Kind::Data, 2)),
            row("6.1", "DATA after the end", role, data(half, 0, b"x"), Lost(half, end.clone())),
            row("5.1", "HEADERS after the end", role, headers(half, END_STREAM, &[("a", "b")]), Lost(half, end)),
            row("5.1", "WINDOW_UPDATE after the end", role, update(half, 1), nothing()),
            row("5.1", "PRIORITY after the end", role, frame(Kind::Priority, 0, half, &[0; 5]), nothing()),
            row("5.1", "RST_STREAM after the end", role, rst(half, ErrorCode::CANCEL), nothing()),
            row(
                "5.1",
                "a block after the end that cannot be decoded",
                role,
                frame(Kind::Headers, END_HEADERS | END_STREAM, half, b"\x80"),
                Over(Violation::Compression(hpack::Violation::IndexZero)),
            ),
            row("5.1", "DATA on a stream that we reset", role, data(5, 0, b"x"), nothing()),
            row("5.1", "DATA on a stream that is over", role, data(7, 0, b"x"), over(role)),
            row("5.1", "the second is ignored", role, data(7, 0, b"x").repeat(2), over(role)),
            row("6.2", "HEADERS on stream 0", role, frame(Kind::Headers, END_HEADERS, 0, &block), zero(Kind::Headers)),
            row("6.2", "padding that fits", role, headers_with(PADDED, [&[1], &block[..], b"p"].concat()), nothing()),
            row("6.2", "padding that does not fit", role, headers_with(PADDED, vec![2, 0x82]), too_long(stream, 2, 1)),
            row("6.2", "no room for the length", role, headers_with(PADDED, vec![]), length(Kind::Headers, 0)),
            row("6.2", "priority is ignored", role, headers_with(PRIORITY, [&[0; 5], &block[..]].concat()), nothing()),
            row("6.2", "no room for priority", role, headers_with(PRIORITY, vec![0; 4]), length(Kind::Headers, 4)),
            row(
                "6.2",
                "both",
                role,
                headers_with(PADDED | PRIORITY, [&[1, 0, 0, 0, 0, 0], &block[..], b"p"].concat()),
                nothing(),
            ),
            row("5.1", "HEADERS on a stream that we reset", role, headers(5, END_STREAM, &[("a", "b")]), nothing()),
            row("5.1", "HEADERS on a stream that is over", role, headers(7, END_STREAM, &[("a", "b")]), over(role)),
            row(
                "6.2",
                "HEADERS that depends on itself",
                role,
                headers_with(PRIORITY, [&stream.to_be_bytes()[..], &[7], &block].concat()),
                Over(Violation::DependsOnItself { stream }),
            ),
            row(
                "6.3",
                "the same before the stream",
                role,
                frame(Kind::Priority, 0, 13, &[0, 0, 0, 13, 7]),
                Over(Violation::DependsOnItself { stream: 13 }),
            ),
            row("6.3", "PRIORITY on stream 0", role, frame(Kind::Priority, 0, 0, &[0; 5]), zero(Kind::Priority)),
            row("6.3", "PRIORITY on an idle stream", role, frame(Kind::Priority, 0, 13, &[0; 5]), nothing()),
            row("6.3", "PRIORITY on an even stream", role, frame(Kind::Priority, 0, 2, &[0; 5]), nothing()),
            row(
                "6.3",
                "PRIORITY that depends on itself",
                role,
                frame(Kind::Priority, 0, 1, &[0, 0, 0, 1, 9]),
                Lost(1, Violation::DependsOnItself { stream: 1 }),
            ),
            row(
                "6.3",
                "PRIORITY of nothing",
                role,
                frame(Kind::Priority, 0, 1, b""),
                Lost(1, Violation::FrameLength { kind: 2, length: 0 }),
            ),
            row("6.3", "PRIORITY on a stream that is over", role, frame(Kind::Priority, 0, 7, &[0; 5]), nothing()),
            row("6.3", "PRIORITY within a stream", role, frame(Kind::Priority, 0, 1, &[0; 5]), nothing()),
            row(
                "6.3",
                "PRIORITY of another length",
                role,
                frame(Kind::Priority, 0, 1, &[0; 4]),
                Lost(1, Violation::FrameLength { kind: 2, length: 4 }),
            ),
            row(
                "6.3",
                "the same on an idle stream",
                role,
                frame(Kind::Priority, 0, 13, &[0; 6]),
                length(Kind::Priority, 6),
            ),
            row("6.3", "the same on a stream that is over", role, frame(Kind::Priority, 0, 7, &[0; 6]), nothing()),
            row("6.4", "RST_STREAM on stream 0", role, rst(0, ErrorCode::CANCEL), zero(Kind::RstStream)),
            row("6.4", "RST_STREAM on an idle stream", role, rst(13, ErrorCode::CANCEL), idle(Kind::RstStream, 13)),
            row(
                "6.4",
                "RST_STREAM on a stream of the server",
                role,
                rst(2, ErrorCode::CANCEL),
                idle(Kind::RstStream, 2),
            ),
            row(
                "6.4",
                "RST_STREAM of 3 bytes",
                role,
                frame(Kind::RstStream, 0, 1, &[0; 3]),
                length(Kind::RstStream, 3),
            ),
            row(
                "6.4",
                "RST_STREAM of 5 bytes",
                role,
                frame(Kind::RstStream, 0, 1, &[0; 5]),
                length(Kind::RstStream, 5),
            ),
            row("5.1", "RST_STREAM on a stream that is over", role, rst(7, ErrorCode::CANCEL), nothing()),
            row("5.1", "RST_STREAM on a stream that we reset", role, rst(5, ErrorCode::CANCEL), nothing()),
        ];
        rows.iter().for_each(|row| check(row, stage));
    }
}

#[test]
fn frames_of_the_connection() {
    for role in [Client, Server] {
        let ping = |flags, stream, n: usize| frame(Kind::Ping, flags, stream, &vec![7; n]);
        let away = |stream, last: u32, n: usize| {
            frame(Kind::GoAway, 0, stream, &[&last.to_be_bytes()[..], &vec![0; n]].concat())
        };
        let ack = frame(Kind::Settings, ACK, 0, b"");
        let rows = [
            row("6.5", "SETTINGS on a stream", role, frame(Kind::Settings, 0, 1, b""), on_stream(Kind::Settings, 1)),
            row("6.5", "SETTINGS of 5 bytes", role, frame(Kind::Settings, 0, 0, &[0; 5]), length(Kind::Settings, 5)),
            row(
                "6.5",
                "an acknowledgement of 6 bytes",
                role,
                frame(Kind::Settings, ACK, 0, &[0; 6]),
                length(Kind::Settings, 6),
            ),
            row(
                "6.5",
                "an acknowledgement on a stream",
                role,
                frame(Kind::Settings, ACK, 1, b""),
                on_stream(Kind::Settings, 1),
            ),
            row("6.5.3", "an acknowledgement of nothing", role, ack.clone(), Over(Violation::SettingsAckUnexpected)),
            row("6.5.2", "ENABLE_PUSH of 2", role, settings(&[(2, 2)]), Over(Violation::EnablePushValue(2))),
            row(
                "6.5.2",
                "INITIAL_WINDOW_SIZE of 2^31",
                role,
                settings(&[(4, 1 << 31)]),
                Over(Violation::InitialWindowValue(1 << 31)),
            ),
            row(
                "6.5.2",
                "MAX_FRAME_SIZE of 16383",
                role,
                settings(&[(5, 16_383)]),
                Over(Violation::MaxFrameValue(16_383)),
            ),
            row(
                "6.5.2",
                "MAX_FRAME_SIZE of 2^24",
                role,
                settings(&[(5, 1 << 24)]),
                Over(Violation::MaxFrameValue(1 << 24)),
            ),
            row(
                "8441 3",
                "ENABLE_CONNECT_PROTOCOL of 2",
                role,
                settings(&[(8, 2)]),
                Over(Violation::ConnectProtocolValue(2)),
            ),
            row(
                "8441 3",
                "ENABLE_CONNECT_PROTOCOL withdrawn",
                role,
                [settings(&[(8, 1)]), settings(&[(8, 0)])].concat(),
                Over(Violation::ConnectProtocolWithdrawn),
            ),
            row(
                "6.5.3",
                "each SETTINGS is acknowledged",
                role,
                [settings(&[(3, 1)]), settings(&[])].concat(),
                Answered(ack.repeat(2)),
            ),
            row(
                "6.5.2",
                "settings that are not known",
                role,
                settings(&[(0, 1), (7, 9), (0xffff, u32::MAX)]),
                Answered(ack.clone()),
            ),
            row(
                "6.5.3",
                "values are taken in order, and a bad one counts though a good one follows",
                role,
                settings(&[(5, 1), (5, 16_384)]),
                Over(Violation::MaxFrameValue(1)),
            ),
            row(
                "6.6",
                "PUSH_PROMISE on stream 0",
                role,
                frame(Kind::PushPromise, END_HEADERS, 0, &[0, 0, 0, 2]),
                Over(Violation::PushPromise),
            ),
            row(
                "6.6",
                "PUSH_PROMISE of nothing",
                role,
                frame(Kind::PushPromise, END_HEADERS, 1, b""),
                Over(Violation::PushPromise),
            ),
            row(
                "6.6",
                "PUSH_PROMISE",
                role,
                frame(Kind::PushPromise, END_HEADERS, 1, &[0, 0, 0, 2]),
                Over(Violation::PushPromise),
            ),
            row("6.7", "PING is answered", role, ping(0, 0, 8), Answered(ping(ACK, 0, 8))),
            row("6.7", "an answer to nothing is ignored", role, ping(ACK, 0, 8), nothing()),
            row("6.7", "PING of nothing", role, ping(0, 0, 0), length(Kind::Ping, 0)),
            row("6.7", "PING on a stream", role, ping(0, 1, 8), on_stream(Kind::Ping, 1)),
            row("6.7", "PING of 7 bytes", role, ping(0, 0, 7), length(Kind::Ping, 7)),
            row("6.7", "PING of 9 bytes", role, ping(ACK, 0, 9), length(Kind::Ping, 9)),
            row("6.8", "GOAWAY on a stream", role, away(1, 0, 4), on_stream(Kind::GoAway, 1)),
            row("6.8", "GOAWAY of 7 bytes", role, away(0, 0, 3), length(Kind::GoAway, 7)),
            row("6.8", "a second that lowers", role, [away(0, 99, 4), away(0, 50, 9)].concat(), nothing()),
            row(
                "6.8",
                "a second that raises",
                role,
                [away(0, 50, 4), away(0, 51, 4)].concat(),
                Over(Violation::GoAwayRaised { last: 51, before: 50 }),
            ),
            row("6.8", "PING after GOAWAY", role, [away(0, 50, 4), ping(0, 0, 8)].concat(), Answered(ping(ACK, 0, 8))),
            row("6.8", "SETTINGS after GOAWAY", role, [away(0, 50, 4), settings(&[])].concat(), Answered(ack)),
            row("6.9", "WINDOW_UPDATE by 0", role, update(0, 0), Over(Violation::IncrementZero { stream: 0 })),
            row("6.9", "the same on a stream", role, update(1, 0), Lost(1, Violation::IncrementZero { stream: 1 })),
            row(
                "6.9",
                "the reserved bit is ignored",
                role,
                update(0, 1 << 31),
                Over(Violation::IncrementZero { stream: 0 }),
            ),
            row(
                "6.9",
                "WINDOW_UPDATE of 3 bytes",
                role,
                frame(Kind::WindowUpdate, 0, 1, &[0; 3]),
                length(Kind::WindowUpdate, 3),
            ),
            row(
                "6.9",
                "WINDOW_UPDATE of 5 bytes",
                role,
                frame(Kind::WindowUpdate, 0, 0, &[0; 5]),
                length(Kind::WindowUpdate, 5),
            ),
            row("5.1", "WINDOW_UPDATE on an idle stream", role, update(13, 1), idle(Kind::WindowUpdate, 13)),
            row("5.1", "WINDOW_UPDATE on an even stream", role, update(2, 1), idle(Kind::WindowUpdate, 2)),
            row("6.9", "WINDOW_UPDATE by 0 on an idle stream", role, update(13, 0), idle(Kind::WindowUpdate, 13)),
            row("5.1", "WINDOW_UPDATE on a stream that is over", role, update(7, 0), nothing()),
            row("5.1", "WINDOW_UPDATE on a stream that we reset", role, update(5, 1), nothing()),
            row("6.9.1", "a window at the maximum", role, update(0, (1 << 31) - 65_536), nothing()),
            row(
                "6.9.1",
                "one above",
                role,
                update(0, (1 << 31) - 65_535),
                Over(Violation::WindowOverflow { stream: 0 }),
            ),
            row("6.9.1", "a stream at the maximum", role, update(1, (1 << 31) - 65_536), nothing()),
            row(
                "6.9.1",
                "one above",
                role,
                update(1, (1 << 31) - 65_535),
                Lost(1, Violation::WindowOverflow { stream: 1 }),
            ),
            row(
                "6.9.2",
                "SETTINGS that take a window above the maximum",
                role,
                [update(1, 1), settings(&[(4, (1 << 31) - 1)])].concat(),
                Over(Violation::WindowOverflow { stream: 1 }),
            ),
        ];
        rows.iter().for_each(|row| check(row, stage));
    }
    check(
        &row("6.5.2", "a server may not push", Client, settings(&[(2, 1)]), Over(Violation::EnablePushValue(1))),
        stage,
    );
    check(
        &row(
            "6.5.2",
            "a client may allow it",
            Server,
            settings(&[(2, 1)]),
            Answered(frame(Kind::Settings, ACK, 0, b"")),
        ),
        stage,
    );
}
