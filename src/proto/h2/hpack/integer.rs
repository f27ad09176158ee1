//! Integers: a prefix of some bits, and octets of seven bits each if that is not enough (RFC 7541, section 5.1).

use super::Violation;

/// The most octets behind the prefix: what 2^32 - 1 takes.
///
/// The limit is ours to choose (section 5.1). Nothing that a block can rightly say is larger: a SETTINGS value has 32
/// bits, and neither a table nor a block comes near.
const MAX_OCTETS: usize = 5;

/// Returns the integer that begins in the low `bits` bits of `first`; takes its other octets from `rest`.
///
/// # Errors
///
/// [`Violation::Truncated`], [`Violation::IntegerTooLong`] or [`Violation::IntegerTooLarge`].
#[inline]
pub(super) fn decode(first: u8, bits: u32, rest: &mut &[u8]) -> Result<u32, Violation> {
    let mask = (1 << bits) - 1;
    let prefix = u32::from(first) & mask;
    if prefix < mask { Ok(prefix) } else { decode_octets(prefix, rest) }
}

fn decode_octets(prefix: u32, rest: &mut &[u8]) -> Result<u32, Violation> {
    let mut value = u64::from(prefix);
    for (n, octet) in rest.iter().take(MAX_OCTETS).enumerate() {
        value += u64::from(octet & 0x7f) << (7 * n);
        if octet & 0x80 == 0 {
            *rest = &rest[n + 1..];
            return u32::try_from(value).map_err(|_| Violation::IntegerTooLarge);
        }
    }
    Err(if rest.len() < MAX_OCTETS { Violation::Truncated } else { Violation::IntegerTooLong })
}

/// Appends an integer with a prefix of `bits` bits; `flags` are the bits above the prefix.
#[inline]
pub(super) fn encode(value: usize, bits: u32, flags: u8, out: &mut Vec<u8>) {
    let mask = (1usize << bits) - 1;
    if value < mask {
        out.push(flags | value as u8);
    } else {
        encode_octets(value - mask, flags | mask as u8, out);
    }
}

fn encode_octets(mut left: usize, prefix: u8, out: &mut Vec<u8>) {
    out.push(prefix);
    while left >= 0x80 {
        out.push(0x80 | (left & 0x7f) as u8);
        left >>= 7;
    }
    out.push(left as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An integer, and how many octets are left.
    type Outcome = Result<(u32, usize), Violation>;

    fn decoded(octets: &[u8], bits: u32) -> Outcome {
        let mut rest = &octets[1..];
        decode(octets[0], bits, &mut rest).map(|value| (value, rest.len()))
    }

    #[test]
    fn every_edge_of_the_encoding() {
        #[rustfmt::skip]
        let table: [(&str, u32, usize, &[u8]); 14] = [
            ("C.1.1: 10 in 5 bits",      5, 10,            &[0x0a]),
            ("C.1.2: 1337 in 5 bits",    5, 1337,          &[0x1f, 0x9a, 0x0a]),
            ("C.1.3: 42 in 8 bits",      8, 42,            &[0x2a]),
            ("zero",                     4, 0,             &[0]),
            ("one below the prefix",     5, 30,            &[0x1e]),
            ("all ones, nothing behind", 5, 31,            &[0x1f, 0]),
            ("one more",                 5, 32,            &[0x1f, 1]),
            ("the last of one octet",    5, 31 + 127,      &[0x1f, 0x7f]),
            ("the first of two octets",  5, 31 + 128,      &[0x1f, 0x80, 1]),
            ("the last of two octets",   7, 127 + 0x3fff,  &[0x7f, 0xff, 0x7f]),
            ("the last of four octets",  4, 15 + 0xfff_ffff, &[0x0f, 0xff, 0xff, 0xff, 0x7f]),
            ("the first of five octets", 4, 15 + 0x1000_0000, &[0x0f, 0x80, 0x80, 0x80, 0x80, 1]),
            ("one below the largest",    6, 0xffff_fffe,   &[0x3f, 0xbf, 0xff, 0xff, 0xff, 0x0f]),
            ("the largest",              6, 0xffff_ffff,   &[0x3f, 0xc0, 0xff, 0xff, 0xff, 0x0f]),
        ];
        for (case, bits, value, octets) in table {
            let mut out = Vec::new();
            encode(value, bits, 0, &mut out);
            assert_eq!(out, octets, "{case}");
            assert_eq!(decoded(octets, bits), Ok((value as u32, 0)), "{case}");
            // The bits above the prefix belong to someone else.
            let flags = !((1u32 << bits) - 1) as u8;
            let flagged = [&[octets[0] | flags][..], &octets[1..], &[0xaa]].concat();
            assert_eq!(decoded(&flagged, bits), Ok((value as u32, 1)), "{case}, with flags and an octet behind");
            for end in 1..octets.len() {
                assert_eq!(decoded(&octets[..end], bits), Err(Violation::Truncated), "{case}, cut at {end}");
            }
        }
    }

    #[test]
    fn integers_that_are_refused() {
        #[rustfmt::skip]
        let table: [(&str, &[u8], Outcome); 8] = [
            ("zeros in front are no rule broken", &[0x7f, 0x80, 0],                               Ok((127, 0))),
            ("as many as fit",                    &[0x7f, 0x80, 0x80, 0x80, 0x80, 0],             Ok((127, 0))),
            ("one more",                          &[0x7f, 0x80, 0x80, 0x80, 0x80, 0x80, 0],       Err(Violation::IntegerTooLong)),
            ("one more, nothing behind",          &[0x7f, 0x80, 0x80, 0x80, 0x80, 0x80],          Err(Violation::IntegerTooLong)),
            ("cut before that",                   &[0x7f, 0x80, 0x80, 0x80, 0x80],                Err(Violation::Truncated)),
            ("the largest",                       &[0x7f, 0x80, 0xff, 0xff, 0xff, 0x0f],          Ok((u32::MAX, 0))),
            ("one above it",                      &[0x7f, 0x81, 0xff, 0xff, 0xff, 0x0f],          Err(Violation::IntegerTooLarge)),
            ("every bit",                         &[0x7f, 0xff, 0xff, 0xff, 0xff, 0x7f],          Err(Violation::IntegerTooLarge)),
        ];
        for (case, octets, expected) in table {
            assert_eq!(decoded(octets, 7), expected, "{case}");
        }
    }
}
