//! The ids of streams, and how many there may be at a time (RFC 9113, sections 5.1.1 and 5.1.2).

use super::{
    rules::{Outcome::*, check, idle, nothing, row},
    *,
};
use Role::*;

#[test]
fn ids_of_streams() {
    let rows = [
        row("5.1.1", "an even id", Server, get(14, 0), Over(Violation::StreamIdEven { stream: 14 })),
        row(
            "5.1.1",
            "an id that was skipped",
            Server,
            [get(15, 0), get(13, 0)].concat(),
            Over(Violation::StreamIdNotNew { stream: 13, last: 15 }),
        ),
        row("5.1.1", "ids may be skipped", Server, get(99, 0), nothing()),
        row("5.1", "HEADERS after RST_STREAM", Server, get(9, 0), Answered(rst(9, ErrorCode::STREAM_CLOSED))),
        row("5.1", "DATA after RST_STREAM", Server, data(9, 0, b"x"), Answered(rst(9, ErrorCode::STREAM_CLOSED))),
        row(
            "5.1.1",
            "a stream that was skipped is closed",
            Server,
            [get(15, 0), update(13, 1), rst(13, ErrorCode::CANCEL)].concat(),
            nothing(),
        ),
        row(
            "5.1.1",
            "and takes no DATA",
            Server,
            [get(15, 0), data(13, 0, b"x")].concat(),
            Answered(rst(13, ErrorCode::STREAM_CLOSED)),
        ),
        row("5.1.1", "the last id", Server, get((1 << 31) - 1, 0), nothing()),
        row(
            "5.1.1",
            "nothing comes behind it",
            Server,
            [get((1 << 31) - 1, 0), get(99, 0)].concat(),
            Over(Violation::StreamIdNotNew { stream: 99, last: (1 << 31) - 1 }),
        ),
        row("5.1", "HEADERS on an idle stream", Client, ok(13, 0), idle(Kind::Headers, 13)),
        row("5.1.1", "HEADERS on an even stream", Client, ok(2, 0), idle(Kind::Headers, 2)),
    ];
    rows.iter().for_each(|row| check(row, stage));
    let two = |role| {
        let config = Config { max_streams: 2, ..Config::new(role) };
        Bench::greeted(role, config, &[])
    };
    let refused = Answered(rst(5, ErrorCode::REFUSED_STREAM));
    check(&row("5.1.2", "at the limit", Server, [get(1, 0), get(3, 0)].concat(), nothing()), two);
    check(
        &row("5.1.2", "one above", Server, [get(1, 0), get(3, 0), get(5, 0), data(5, 1, b"x")].concat(), refused),
        two,
    );
}
