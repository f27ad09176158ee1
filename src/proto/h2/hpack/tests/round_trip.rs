//! Encoder against decoder with fields and sizes drawn from a seed, decoders against bytes, hostile blocks.

use super::*;

/// A small generator (xorshift64*), so that a failure comes again.
pub(in super::super) struct Random(pub u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub(in super::super) fn below(&mut self, n: usize) -> usize {
        (self.next() >> 33) as usize % n
    }

    /// Returns octets: letters, printable ones or any.
    fn octets(&mut self, len: usize) -> Vec<u8> {
        let kind = self.below(3);
        let octet = |random: &mut Self| match kind {
            0 => b'a' + random.below(26) as u8,
            1 => b' ' + random.below(95) as u8,
            _ => random.below(256) as u8,
        };
        (0..len).map(|_| octet(self)).collect()
    }

    /// Returns a field: of the static table, of a few that come again, or new.
    fn field(&mut self) -> Owned {
        let sensitive = self.below(20) == 0;
        let (name, value) = static_table::get(1 + self.below(static_table::LAST)).expect("an entry");
        match self.below(6) {
            0 => (name.into(), value.into(), sensitive),
            1 => (name.into(), format!("value {}", self.below(5)).into(), sensitive),
            2 => (format!("x-{}", self.below(40)).into(), format!("{}", self.below(3)).into(), sensitive),
            3 => (
                name.into(),
                {
                    let len = self.below(60);
                    self.octets(len)
                },
                sensitive,
            ),
            4 => (
                format!("x-{}", self.below(40)).into(),
                {
                    let len = self.below(9);
                    self.octets(len)
                },
                sensitive,
            ),
            _ => {
                let (name, value) = (self.below(30), [self.below(300), self.below(6000)][self.below(30) / 29]);
                (self.octets(name), self.octets(value), sensitive)
            }
        }
    }
}

#[test]
fn fields_arrive_as_they_were_sent_and_the_tables_stay_in_step() {
    for seed in 1..=60 {
        let mut random = Random(seed);
        let (mut encoder, mut decoder) = (Encoder::new(), Decoder::new(4096));
        for round in 0..60 {
            for _ in 0..random.below(10).saturating_sub(6) {
                let max = [0, 31, 32, 100, 300, 4096, 4097, 20_000][random.below(8)];
                encoder.set_max_table(max);
                decoder.set_max_table(max);
            }
            let sent: Vec<_> = (0..random.below(20)).map(|_| random.field()).collect();
            let mut block = b"before".to_vec();
            encoder.begin(&mut block);
            for (name, value, sensitive) in &sent {
                encoder.field(Field { name, value, sensitive: *sensitive }, &mut block);
            }
            let fields = decoded(&mut decoder, &block[6..]).unwrap_or_else(|v| panic!("seed {seed}, {round}: {v}"));
            assert_eq!(fields.len(), sent.len(), "seed {seed}, block {round}");
            for (got, sent) in fields.iter().zip(&sent) {
                assert_eq!((&got.0, &got.1), (&sent.0, &sent.1), "seed {seed}, block {round}");
                assert!(got.2 >= sent.2, "seed {seed}, block {round}: {:?}", sent.0);
            }
            assert_eq!(entries(&encoder.table), entries(&decoder.table), "seed {seed}, block {round}");
            assert_eq!(encoder.table.max(), decoder.table.max(), "seed {seed}, block {round}");
        }
    }
}

#[test]
fn a_block_cut_anywhere_is_a_prefix_or_a_violation() {
    let mut random = Random(7);
    let mut encoder = Encoder::new();
    let mut block = Vec::new();
    // Sizes that change nothing, so that the cuts go through updates too.
    encoder.set_max_table(0);
    encoder.set_max_table(4096);
    encoder.begin(&mut block);
    let mut ends = vec![1, block.len()];
    while block.len() < 600 {
        let (name, value, sensitive) = random.field();
        if value.len() < 400 {
            encoder.field(Field { name: &name, value: &value, sensitive }, &mut block);
            ends.push(block.len());
        }
    }
    encoder.field(Field::new(b"x-empty", b""), &mut block);
    ends.push(block.len());
    let whole = decoded(&mut Decoder::new(4096), &block).expect("a block of ours");
    for cut in 1..=block.len() {
        let fields = ends.iter().filter(|end| **end <= cut).count().saturating_sub(2);
        match decoded(&mut Decoder::new(4096), &block[..cut]) {
            Ok(prefix) => {
                assert!(ends.contains(&cut), "cut at {cut}");
                assert_eq!(prefix, whole[..fields], "cut at {cut}");
            }
            Err(Violation::Truncated | Violation::StringBeyondBlock { .. }) => {
                assert!(!ends.contains(&cut), "cut at {cut}")
            }
            Err(other) => panic!("cut at {cut}: {other}"),
        }
    }
}

#[test]
fn any_bytes_give_fields_or_a_violation() {
    for seed in 1..=3000 {
        let mut random = Random(seed);
        let mut decoder = Decoder::new(4096);
        loop {
            let len = random.below(80);
            let mut block: Vec<u8> = (0..len).map(|_| random.below(256) as u8).collect();
            // Mostly ones keep long codes and integers coming.
            if random.below(2) == 0 {
                block.iter_mut().for_each(|octet| *octet |= random.below(256) as u8);
            }
            if decoder.decode(&block, |_| {}).is_err() {
                break;
            }
        }
        assert!(decoder.table.size() <= 4096);
    }
}

#[test]
fn every_octet_survives_the_huffman_code() {
    let mut scratch = Vec::new();
    for first in 0..=255u8 {
        for second in (0..=255u8).step_by(5) {
            // The zeros make the code shorter than the string, whatever the octets cost.
            let string = [&b"000000000000"[..], &[first, second], b"000000000000"].concat();
            let mut code = b"out".to_vec();
            let len = huffman::encode_shorter(&string, &mut code).expect("shorter");
            assert_eq!(code.len(), 3 + len);
            assert_eq!(huffman::decode(&code[3..], &mut scratch), Ok(&string[..]), "{first} {second}");
        }
    }
}

#[test]
fn the_shorter_of_code_and_string_is_sent() {
    // Lengths around those at which the length itself takes another octet, plain and in the code.
    for len in (0..200).chain(16_250..16_280).chain(26_100..26_140) {
        for (octet, bits) in [(b'a', 5), (b' ', 6), (b'X', 8), (b'\0', 13)] {
            let value = vec![octet; len];
            let (mut encoder, mut block) = (Encoder::new(), Vec::new());
            encoder.field(Field::sensitive(b":path", &value), &mut block);
            let shortest = len.min((len * bits).div_ceil(8));
            let mut expected = vec![0x14];
            integer::encode(shortest, 7, if shortest < len { 0x80 } else { 0 }, &mut expected);
            assert_eq!(block[..expected.len()], expected, "{len} of {octet}");
            assert_eq!(block.len(), expected.len() + shortest, "{len} of {octet}");
            let field = (b":path".to_vec(), value, true);
            assert_eq!(decoded(&mut Decoder::new(4096), &block), Ok(vec![field]), "{len} of {octet}");
        }
    }
}

/// Blocks of 16 KiB made to cost as much as can be.
fn hostile_blocks() -> [(&'static str, Vec<u8>); 6] {
    let fill = |start: &[u8], unit: &[u8]| {
        let units = (16 * 1024 - start.len()) / unit.len();
        [start, &unit.repeat(units)].concat()
    };
    let mut large = hex("40 7f e0 1e");
    large.extend([b'n'; 4063]);
    large.extend(hex("01 61"));
    assert_eq!(large.len(), 4 + 4063 + 2);
    [
        ("an entry as large as the table, again and again", fill(&large, &hex("be"))),
        ("its name copied, again and again", fill(&large, &hex("7e 01 61"))),
        ("its name not indexed, again and again", fill(&large, &hex("0f 2f 00"))),
        ("the smallest entries", fill(&[], &hex("40 00 00"))),
        ("small entries, and all of them", fill(&[], &hex("40 01 61 00 be"))),
        ("the longest codes", fill(&hex("41 ff fd 7e"), &hex("ff ff ff f3 ff ff ff cf ff ff ff 3f ff ff fc"))),
    ]
}

#[test]
fn hostile_blocks_cost_no_more_than_their_share() {
    for (case, block) in hostile_blocks() {
        let mut decoder = Decoder::new(4096);
        for round in 0..4 {
            let (mut fields, mut lent) = (0, 0);
            let result = decoder.decode(&block, |field| {
                fields += 1;
                lent += field.name.len() + field.value.len();
            });
            assert_eq!(result, Ok(()), "{case}, round {round}");
            assert!(fields <= block.len(), "{case}, round {round}: {fields} fields");
            assert!(lent <= fields * 4096 + block.len(), "{case}, round {round}: {lent} bytes lent");
            assert!(decoder.table.memory() <= 4 * 4096, "{case}: {} bytes kept", decoder.table.memory());
            assert!(decoder.scratch_memory() <= 2 * 4096, "{case}: {} bytes kept", decoder.scratch_memory());
        }
    }
}
