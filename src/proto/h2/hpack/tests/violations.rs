//! Every rule whose breach the RFC calls an error, and what comes next to it and is none.

use super::*;
use Violation::*;

type Outcome = Result<(), Violation>;

/// Returns what a connection decodes after `limits` were acknowledged one after the other.
fn after(limits: &[usize], blocks: &[&str]) -> Outcome {
    let mut decoder = Decoder::new(4096);
    let (last, earlier) = blocks.split_last().expect("a block");
    for block in earlier {
        decoder.decode(&hex(block), |_| {}).expect("an earlier block");
    }
    limits.iter().for_each(|limit| decoder.set_max_table(*limit));
    decoder.decode(&hex(last), |_| {})
}

#[test]
fn blocks_that_break_a_rule() {
    #[rustfmt::skip]
    let table: [(&str, &str, &str, Outcome); 48] = [
        // section, case, block
        ("2.3.3", "the last static entry",                 "bd",                         Ok(())),
        ("2.3.3", "the first dynamic entry of none",       "be",                         Err(IndexBeyondTable { index: 62, last: 61 })),
        ("2.3.3", "the only dynamic entry",                "4001 6100 be",               Ok(())),
        ("2.3.3", "the one behind",                        "4001 6100 bf",               Err(IndexBeyondTable { index: 63, last: 62 })),
        ("2.3.3", "far behind",                            "ffff ffff ff0e",             Err(IndexBeyondTable { index: 0xf000_007e, last: 61 })),
        ("2.3.3", "name of an entry behind, indexing",     "7e01 61",                    Err(IndexBeyondTable { index: 62, last: 61 })),
        ("2.3.3", "name of an entry behind, not indexing", "0f2f 0161",                  Err(IndexBeyondTable { index: 62, last: 61 })),
        ("2.3.3", "name of an entry behind, never",        "1f2f 0161",                  Err(IndexBeyondTable { index: 62, last: 61 })),
        ("4.2",   "an update before the fields",           "3e82",                       Ok(())),
        ("4.2",   "an update behind a field",              "823e",                       Err(SizeUpdateNotFirst)),
        ("4.2",   "an update between fields",              "823e 82",                    Err(SizeUpdateNotFirst)),
        ("4.2",   "two updates",                           "203f e11f 82",               Ok(())),
        ("4.2",   "three updates",                         "203f e11f 2082",             Err(SizeUpdatesTooMany)),
        ("4.2",   "an update and nothing else",            "20",                         Ok(())),
        ("4.4",   "an entry as large as the table",        "3f02 4001 6100 be",          Ok(())),
        ("4.4",   "an entry larger than the table",        "3f01 4001 6100",             Ok(())),
        ("4.4",   "which is not there then",               "3f01 4001 6100 be",          Err(IndexBeyondTable { index: 62, last: 61 })),
        ("4.4",   "nor is what was",                       "3f02 4001 6100 4001 6101 62 be", Err(IndexBeyondTable { index: 62, last: 61 })),
        ("5.1",   "index 2^32 - 1",                        "ff80 ffff ff0f",             Err(IndexBeyondTable { index: u32::MAX, last: 61 })),
        ("5.1",   "index 2^32",                            "ff81 ffff ff0f",             Err(IntegerTooLarge)),
        ("5.1",   "length of a name 2^32",                 "407f 81ff ffff 0f",          Err(IntegerTooLarge)),
        ("5.1",   "length of a value 2^32",                "417f 81ff ffff 0f",          Err(IntegerTooLarge)),
        ("5.1",   "size 2^32",                             "3fe1 ffff ff0f",             Err(IntegerTooLarge)),
        ("5.1",   "an index of seven octets",              "ff80 8080 8080 00",          Err(IntegerTooLong)),
        ("5.1",   "a length of seven octets",              "417f 8080 8080 8000",        Err(IntegerTooLong)),
        ("5.1",   "a size of seven octets",                "3f80 8080 8080 00",          Err(IntegerTooLong)),
        ("5.1",   "an index that does not end",            "ff80",                       Err(Truncated)),
        ("5.1",   "a size that does not end",              "3f",                         Err(Truncated)),
        ("5.2",   "no name",                               "40",                         Err(Truncated)),
        ("5.2",   "no value",                              "4001 61",                    Err(Truncated)),
        ("5.2",   "no value to an indexed name",           "41",                         Err(Truncated)),
        ("5.2",   "a length that does not end",            "417f",                       Err(Truncated)),
        ("5.2",   "a name as long as the block",           "4002 6161",                  Err(Truncated)),
        ("5.2",   "a longer name",                         "4003 6161",                  Err(StringBeyondBlock { length: 3, left: 2 })),
        ("5.2",   "a value as long as the block",          "4102 6161",                  Ok(())),
        ("5.2",   "a longer value",                        "4103 6161",                  Err(StringBeyondBlock { length: 3, left: 2 })),
        ("5.2",   "a longer value, Huffman",               "4183 6161",                  Err(StringBeyondBlock { length: 3, left: 2 })),
        ("5.2",   "padding of 3 ones",                     "4181 1f",                    Ok(())),
        ("5.2",   "padding of 3 bits, the last 0",         "4181 1e",                    Err(PaddingNotOnes)),
        ("5.2",   "padding of 3 bits, the first 0",        "4181 1b",                    Err(PaddingNotOnes)),
        ("5.2",   "padding of 7 ones",                     "4182 e1 7f",                 Ok(())),
        ("5.2",   "padding of 8 ones",                     "4181 ff",                    Err(PaddingTooLong)),
        ("5.2",   "padding of 11 ones",                    "4182 1fff",                  Err(PaddingTooLong)),
        ("5.2",   "padding of 27 ones",                    "4184 1fff ffff",             Err(PaddingTooLong)),
        ("5.2",   "the end of the string itself",          "4184 ffff ffff",             Err(HuffmanEos)),
        ("5.2",   "the same behind a symbol, in a name",   "4085 1fff ffff ff00",        Err(HuffmanEos)),
        ("6.1",   "index 0",                               "80",                         Err(IndexZero)),
        ("6.3",   "a size above the limit",                "3fe2 1f",                    Err(SizeUpdateAboveLimit { size: 4097, limit: 4096 })),
    ];
    for (section, case, block, expected) in table {
        assert_eq!(after(&[], &[block]), expected, "section {section}: {case}");
    }
}

#[test]
fn padding_of_every_length() {
    // "0" has five bits of 0; with k of them and ones up to n octets there are 8n - 5k bits of padding.
    for octets in 1..=5usize {
        for symbols in 0..=octets * 8 / 5 {
            let padding = octets * 8 - symbols * 5;
            let bits = u64::MAX.checked_shr(symbols as u32 * 5 + (64 - octets as u32 * 8)).unwrap_or(0);
            let mut block = vec![0x41, 0x80 | octets as u8];
            block.extend_from_slice(&bits.to_be_bytes()[8 - octets..]);
            let expected = match padding {
                0..=7 => Ok(vec![owned(":authority", &"0".repeat(symbols))]),
                8..=29 => Err(PaddingTooLong),
                _ => Err(HuffmanEos),
            };
            assert_eq!(
                decoded(&mut Decoder::new(4096), &block),
                expected,
                "{octets} octets, {padding} bits of padding"
            );
        }
    }
}

#[test]
fn limits_that_were_lowered() {
    let filled = "4001 6100";
    #[rustfmt::skip]
    let table: [(&str, &[usize], &str, Outcome); 17] = [
        ("the same",                             &[4096],      "be",          Ok(())),
        ("raised, and not used",                 &[8192],      "be",          Ok(())),
        ("raised, and used",                     &[8192],      "3fe1 3fbe",   Ok(())),
        ("raised, and used, and one more",       &[8192],      "3fe2 3fbe",   Err(SizeUpdateAboveLimit { size: 8193, limit: 8192 })),
        ("lowered, and not obeyed",              &[4095],      "be",          Err(SizeUpdateMissing { limit: 4095 })),
        ("lowered, and not obeyed by nothing",   &[4095],      "",            Err(SizeUpdateMissing { limit: 4095 })),
        ("lowered, and obeyed",                  &[4095],      "3fe0 1fbe",   Ok(())),
        ("lowered, and obeyed by more",          &[4095],      "20",          Ok(())),
        ("lowered, and one more used",           &[4095],      "3fe1 1fbe",   Err(SizeUpdateAboveLimit { size: 4096, limit: 4095 })),
        ("lowered to nothing, and obeyed",       &[0],         "2082",        Ok(())),
        ("which empties the table",              &[0],         "20be",        Err(IndexBeyondTable { index: 62, last: 61 })),
        ("lowered and raised, and not obeyed",   &[0, 4096],   "be",          Err(SizeUpdateMissing { limit: 0 })),
        ("lowered and raised, only raised",      &[0, 4096],   "3fe1 1f82",   Err(SizeUpdateMissing { limit: 0 })),
        ("lowered and raised, and obeyed",       &[0, 4096],   "203f e11f 82", Ok(())),
        ("lowered and raised, only lowered",     &[0, 4096],   "2082",        Ok(())),
        ("lowered and raised, to the lowest",    &[100, 40, 70], "3f09 3f27 82", Ok(())),
        ("lowered and raised, to another",       &[100, 40, 70], "3f0a 82",   Err(SizeUpdateMissing { limit: 40 })),
    ];
    for (case, limits, block, expected) in table {
        assert_eq!(after(limits, &[filled, block]), expected, "{case}");
    }
}

#[test]
fn a_limit_once_obeyed_asks_for_nothing_more() {
    let mut decoder = Decoder::new(4096);
    decoder.set_max_table(100);
    assert_eq!(decoded(&mut decoder, &hex("3f45 82")), Ok(vec![owned(":method", "GET")]));
    assert_eq!(decoded(&mut decoder, &hex("82")), Ok(vec![owned(":method", "GET")]));
    decoder.set_max_table(100);
    assert_eq!(decoded(&mut decoder, &hex("82")), Ok(vec![owned(":method", "GET")]));
    decoder.set_max_table(99);
    assert_eq!(decoded(&mut decoder, &hex("82")), Err(SizeUpdateMissing { limit: 99 }));
}

#[test]
fn what_was_announced_at_first_binds_once_acknowledged() {
    // The peer has 4096 until it knows better.
    for announced in [0, 4096] {
        let mut decoder = Decoder::new(announced);
        assert_eq!(decoded(&mut decoder, &hex("4001 6100 be")), Ok(vec![owned("a", ""); 2]), "{announced}");
        assert_eq!(decoded(&mut decoder, &hex("3fe2 1f")), Err(SizeUpdateAboveLimit { size: 4097, limit: 4096 }));
    }
    assert_eq!(decoded(&mut Decoder::new(8192), &hex("3fe1 3f")), Ok(vec![]));
    assert_eq!(Decoder::new(8192).table.max(), 4096);
}

#[test]
fn every_violation_says_what_it_is() {
    let all = [
        HuffmanEos,
        IndexBeyondTable { index: 70, last: 61 },
        IndexZero,
        IntegerTooLarge,
        IntegerTooLong,
        PaddingNotOnes,
        PaddingTooLong,
        SizeUpdateAboveLimit { size: 5000, limit: 4096 },
        SizeUpdateMissing { limit: 0 },
        SizeUpdateNotFirst,
        SizeUpdatesTooMany,
        StringBeyondBlock { length: 9, left: 2 },
        Truncated,
    ];
    let messages: std::collections::BTreeSet<_> = all.iter().map(ToString::to_string).collect();
    assert_eq!(messages.len(), all.len());
    assert!(messages.iter().all(|message| message.starts_with("header block: ") && !message.ends_with('.')));
    assert_eq!(all[1].to_string(), "header block: index 70 in a table of 61");
}
