//! What the encoder writes: what becomes an entry, what never does, and when sizes are told.

use super::*;

/// What a field was written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// One number.
    Entry,
    /// A literal that becomes an entry.
    Inserted,
    /// A literal that is never indexed.
    Never,
    /// A literal that does not become an entry.
    Plain,
}
use Kind::*;

/// Names and values, one after the other.
type Sent<'a> = &'a [(&'a str, &'a str)];

/// Writes a field as a block, has it decoded, and returns what it was written as.
fn write(encoder: &mut Encoder, decoder: &mut Decoder, field: Field<'_>) -> Kind {
    let mut block = Vec::new();
    encoder.begin(&mut block);
    let start = block.len();
    encoder.field(field, &mut block);
    let kind = match block[start] {
        0x80.. => Entry,
        0x40..=0x7f => Inserted,
        0x20..=0x3f => panic!("a size update behind begin"),
        0x10..=0x1f => Never,
        _ => Plain,
    };
    let expected = (field.name.to_vec(), field.value.to_vec(), kind == Never);
    assert_eq!(decoded(decoder, &block), Ok(vec![expected]), "{field:?}");
    kind
}

/// Writes fields one after the other, on a connection with a table of `max`, and returns what they were written as.
fn kinds(max: usize, fields: Sent<'_>) -> Vec<Kind> {
    let (mut encoder, mut decoder) = (Encoder::new(), Decoder::new(4096));
    encoder.set_max_table(max);
    decoder.set_max_table(max);
    let fields = fields.iter().map(|(name, value)| Field::new(name.as_bytes(), value.as_bytes()));
    fields.map(|field| write(&mut encoder, &mut decoder, field)).collect()
}

#[test]
fn what_becomes_an_entry() {
    let half = "v".repeat(2048 - 32 - 3);
    let more = "v".repeat(2048 - 32 - 2);
    let long = "0123456789abcdef0123";
    let key = "0123456789abcdef0123456789abcdef";
    #[rustfmt::skip]
    let table: [(&str, usize, Sent<'_>, &[Kind]); 15] = [
        ("the static table's",             4096, &[(":method", "GET"), ("cookie", "")],           &[Entry, Entry]),
        ("nothing of it in no table",      0,    &[("x-a", "1"), ("x-a", "1"), (":method", "GET")], &[Plain, Plain, Entry]),
        ("sent again",                     4096, &[("x-a", "1"), ("x-a", "1"), ("x-a", "1")],     &[Inserted, Entry, Entry]),
        ("sent again, a known name",       4096, &[("server", "1"), ("server", "1")],             &[Inserted, Entry]),
        ("changing",                       4096, &[("date", "1"), ("date", "2"), ("date", "3")],  &[Inserted, Plain, Plain]),
        ("changing, and sent again",       4096, &[("date", "1"), ("date", "2"), ("date", "2"), ("date", "2"), ("date", "1")],
                                                 &[Inserted, Plain, Inserted, Entry, Entry]),
        ("changing, another name between", 4096, &[("x-a", "1"), ("x-b", "2"), ("x-a", "2"), ("x-b", "1")],
                                                 &[Inserted, Inserted, Plain, Plain]),
        ("half of the table",              4096, &[("x-a", &half), ("x-a", &half)],               &[Inserted, Entry]),
        ("more than half",                 4096, &[("x-a", &more), ("x-a", &more)],               &[Plain, Plain]),
        ("credentials",                    4096, &[("authorization", key), ("authorization", key)], &[Never, Never]),
        ("credentials for a proxy",        4096, &[("proxy-authorization", key)],                 &[Never]),
        ("a cookie that could be guessed", 4096, &[("cookie", &long[1..]), ("cookie", &long[1..])], &[Never, Never]),
        ("a longer one",                   4096, &[("cookie", long), ("cookie", long)],           &[Inserted, Entry]),
        ("the same from a server",         4096, &[("set-cookie", &long[1..]), ("set-cookie", long)], &[Never, Inserted]),
        ("names that are in no table",     4096, &[("", ""), ("", ""), ("Accept", "a"), ("Accept", "a")],
                                                 &[Inserted, Entry, Inserted, Entry]),
    ];
    for (case, max, fields, expected) in table {
        assert_eq!(kinds(max, fields), expected, "{case}");
    }
}

#[test]
fn sensitive_fields_are_never_indexed_whatever_the_tables_hold() {
    let (mut encoder, mut decoder) = (Encoder::new(), Decoder::new(4096));
    for field in [Field::new(b":method", b"GET"), Field::new(b"x-a", b"1"), Field::new(b"x-a", b"1")] {
        write(&mut encoder, &mut decoder, field);
    }
    let before = entries(&encoder.table);
    for (name, value) in [(&b":method"[..], &b"GET"[..]), (b"x-a", b"1"), (b"x-a", b"2"), (b"x-new", b"1")] {
        assert_eq!(write(&mut encoder, &mut decoder, Field::sensitive(name, value)), Never);
    }
    assert_eq!(entries(&encoder.table), before);
    assert_eq!(entries(&decoder.table), before);
}

#[test]
fn names_are_taken_from_either_table() {
    let (mut encoder, mut block) = (Encoder::new(), Vec::new());
    encoder.field(Field::new(b"x-name", b"aaaaaaaa"), &mut block);
    let starts: [(&str, Field<'_>, &[u8]); 4] = [
        ("static", Field::new(b"etag", b"0"), &[0x40 | 34]),
        ("dynamic", Field::new(b"x-name", b"0"), &[0x0f, 63 - 15]),
        ("dynamic, never indexed", Field::sensitive(b"x-name", b"0"), &[0x1f, 63 - 15]),
        ("none", Field::sensitive(b"~", b"0"), &[0x10, 1, b'~']),
    ];
    for (case, field, start) in starts {
        block.clear();
        encoder.field(field, &mut block);
        assert_eq!(block, [start, &[1, b'0']].concat(), "{case}");
    }
}

#[test]
fn sizes_are_told_at_the_next_block() {
    #[rustfmt::skip]
    let table: [(&str, &[usize], &str); 8] = [
        ("none",                         &[],                 ""),
        ("the one that is",              &[4096],             ""),
        ("smaller",                      &[100],              "3f45"),
        ("nothing",                      &[0],                "20"),
        ("larger",                       &[8192],             "3fe13f"),
        ("the smallest and the last",    &[300, 100, 200],    "3f45 3fa901"),
        ("smaller and back",             &[0, 4096],          "20 3fe11f"),
        ("the last being the smallest",  &[300, 200, 100],    "3f45"),
    ];
    for (case, sizes, expected) in table {
        let (mut encoder, mut block) = (Encoder::new(), Vec::new());
        sizes.iter().for_each(|size| encoder.set_max_table(*size));
        encoder.begin(&mut block);
        assert_eq!(block, hex(expected), "{case}");
        encoder.begin(&mut block);
        assert_eq!(block, hex(expected), "{case}: told once");
    }
}

#[test]
fn fields_are_found_among_many_of_their_name() {
    // The table has room for all of them.
    let (mut encoder, mut decoder) = (Encoder::new(), Decoder::new(4096));
    let values: Vec<_> = (0..60).map(|n| format!("value {n}")).collect();
    for round in 0..3 {
        for (n, value) in values.iter().enumerate() {
            let kind = write(&mut encoder, &mut decoder, Field::new(b"x-a", value.as_bytes()));
            match round {
                0 => assert_eq!(kind, if n == 0 { Inserted } else { Plain }, "{n}"),
                // Two that share a place in the list of refused fields push each other out.
                1 => assert_ne!(kind, Never, "{n}"),
                _ => {
                    assert_eq!(kind == Entry, entries(&encoder.table).iter().any(|(_, v)| v == value), "{n}: {kind:?}")
                }
            }
        }
    }
    assert!(encoder.table.len() > 20, "{} entries", encoder.table.len());
}
