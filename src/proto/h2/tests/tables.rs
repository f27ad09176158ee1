//! The tables of header compression, as SETTINGS change their sizes (RFC 9113, sections 4.3.1 and 6.5.2; RFC 7541, section 4.2).

use super::{
    rules::{Outcome::*, check, row},
    *,
};
use crate::proto::h2::hpack;
use Role::*;

const TABLE: u16 = 1;

/// The block of the only frame in `bytes`.
fn block(bytes: &[u8]) -> &[u8] {
    let header = Header::parse(bytes).expect("a frame");
    assert_eq!((header.kind, bytes.len()), (Kind::Headers, frame::HEADER + header.length));
    &bytes[frame::HEADER..]
}

/// Each row: what the peer announces between two requests, and the size updates that the second begins with.
#[test]
fn the_encoder_follows_what_the_peer_announces() {
    type Row<'a> = (&'a str, u32, &'a [&'a [(u16, u32)]], &'a [u8]);
    #[rustfmt::skip]
    let table: [Row<'_>; 11] = [
        // case, our own limit, SETTINGS, size updates
        ("nothing new",                      4096, &[&[]],                                  b""),
        ("the same",                         4096, &[&[(TABLE, 4096)]],                     b""),
        ("lowered",                          4096, &[&[(TABLE, 100)]],                      b"\x3f\x45"),
        ("lowered to nothing",               4096, &[&[(TABLE, 0)]],                        b"\x20"),
        ("lowered and raised",               4096, &[&[(TABLE, 0)], &[(TABLE, 4096)]],      b"\x20\x3f\xe1\x1f"),
        ("lowered and raised in one frame",  4096, &[&[(TABLE, 0), (TABLE, 4096)]],         b"\x20\x3f\xe1\x1f"),
        ("lowered and raised to less",       4096, &[&[(TABLE, 50), (TABLE, 20), (TABLE, 31)]], b"\x34\x3f\x00"),
        ("raised and lowered in one frame",  4096, &[&[(TABLE, 9000), (TABLE, 100)]],       b"\x3f\x45"),
        ("raised, and ours is no larger",    4096, &[&[(TABLE, u32::MAX)]],                 b""),
        ("raised as far as ours",            8192, &[&[(TABLE, u32::MAX)]],                 b"\x3f\xe1\x3f"),
        ("raised and lowered again",         8192, &[&[(TABLE, 8192)], &[(TABLE, 4096)]],   b"\x3f\xe1\x1f"),
    ];
    for (case, header_table, announced, updates) in table {
        let mut bench = Bench::greeted(Client, Config { header_table, ..Config::new(Client) }, &[]);
        let head = request("GET", "http://a/", &[("user-agent", "bowline"), ("x-name", "value")]);
        let mut decoder = hpack::Decoder::new(8192);
        let ask = |bench: &mut Bench| {
            bench.engine.open(&head, End::Last, bench.now, &mut bench.out).unwrap();
            bench.said()
        };
        let first = ask(&mut bench);
        let mut lists = [Vec::new(), Vec::new()];
        decoder.decode(block(&first), |f| lists[0].push((f.name.to_vec(), f.value.to_vec()))).unwrap();
        for values in announced {
            bench.feed(&settings(values)).unwrap();
            for (_, size) in *values {
                decoder.set_max_table(*size as usize);
            }
        }
        bench.out.clear();
        let second = ask(&mut bench);
        assert!(block(&second).starts_with(updates), "{case}: {}", block(&second).escape_ascii());
        assert!(!matches!(block(&second)[updates.len()], 0x20..=0x3f), "{case}: nothing more");
        decoder.decode(block(&second), |f| lists[1].push((f.name.to_vec(), f.value.to_vec()))).expect(case);
        assert_eq!(lists[0], lists[1], "{case}");
    }
}

/// A table of ours that is smaller than the default binds the peer once it has acknowledged it.
#[test]
fn the_decoder_asks_for_what_was_acknowledged() {
    for role in [Client, Server] {
        let stream = 1;
        let head = literals(if role == Client { &OK[..] } else { &GET[..] });
        let with = |updates: &[u8]| frame(Kind::Headers, END_HEADERS, stream, &[updates, &head[..]].concat());
        let start = |role| {
            let mut bench = Bench::new(role, Config { header_table: 64, ..Config::new(role) });
            if role == Client {
                bench.open("GET", End::Last);
            } else {
                bench.feed(frame::PREFACE).unwrap();
            }
            bench.feed(&settings(&[])).unwrap();
            bench.out.clear();
            bench
        };
        let ack = frame(Kind::Settings, ACK, 0, b"");
        let over = |violation| Over(Violation::Compression(violation));
        let missing = over(hpack::Violation::SizeUpdateMissing { limit: 64 });
        let above = |size, limit| over(hpack::Violation::SizeUpdateAboveLimit { size, limit });
        let rows = [
            row("4.3.1", "before the acknowledgement", role, with(b""), Answered(vec![])),
            row("4.3.1", "no size update after it", role, [&ack[..], &with(b"")].concat(), missing),
            row("4.3.1", "the size update", role, [&ack[..], &with(b"\x3f\x21")].concat(), Answered(vec![])),
            row("4.3.1", "a smaller one", role, [&ack[..], &with(b"\x20")].concat(), Answered(vec![])),
            row("4.3.1", "one above", role, [&ack[..], &with(b"\x3f\x22")].concat(), above(65, 64)),
            row("6.3", "above the default", role, with(b"\x3f\xe2\x1f"), above(4097, 4096)),
        ];
        rows.iter().for_each(|row| check(row, start));
    }
}
