//! The bytes of fields looked at eight at a time, in a word of 64 bits whose lowest byte is the first.

const ONES: u64 = u64::MAX / 255;
const HIGHS: u64 = ONES << 7;

/// Marks the lowest zero byte of a word; marks above it mean nothing.
fn zero_byte(word: u64) -> u64 {
    word.wrapping_sub(ONES) & !word & HIGHS
}

/// Marks the lowest byte that is LF.
pub(crate) fn newline(word: u64) -> u64 {
    zero_byte(word ^ (ONES * u64::from(b'\n')))
}

/// Returns whether it is a control character (RFC 5234, appendix B.1).
pub(crate) fn is_control(b: u8) -> bool {
    b < 0x20 || b == 0x7f
}

/// Marks the lowest byte that is a control character.
pub(crate) fn control(word: u64) -> u64 {
    (word.wrapping_sub(ONES * 0x20) & !word & HIGHS) | zero_byte(word ^ (ONES * 0x7f))
}

/// Marks the bytes that are neither lower-case letters nor hyphens.
pub(crate) fn not_lower(word: u64) -> u64 {
    let low = word & !HIGHS;
    // Sums of seven bits, so that no byte carries into the next.
    let letters = (low + ONES * (0x80 - 0x61)) & !(low + ONES * (0x80 - 0x7b));
    let not_hyphens = (low ^ (ONES * u64::from(b'-'))) + !HIGHS;
    (word | (!letters & not_hyphens)) & HIGHS
}

/// Marks the bytes that are neither letters nor hyphens.
pub(crate) fn not_letter(word: u64) -> u64 {
    // Of the capitals this makes small letters; of what is not in a word it makes nothing that is, but a hyphen of CR.
    not_lower(word | (ONES * 0x20)) | zero_byte(word ^ (ONES * u64::from(b'\r')))
}

/// Returns the place of the first byte that `word` marks, eight at a time, or that `byte` finds in what is left.
#[inline]
pub(crate) fn first(bytes: &[u8], word: impl Fn(u64) -> u64, byte: impl Fn(u8) -> bool) -> Option<usize> {
    let mut rest = bytes;
    while let Some((chunk, tail)) = rest.split_first_chunk() {
        let found = word(u64::from_le_bytes(*chunk));
        if found != 0 {
            return Some(bytes.len() - rest.len() + (found.trailing_zeros() / 8) as usize);
        }
        rest = tail;
    }
    let mut at = bytes.len() - rest.len();
    while at < bytes.len() {
        if byte(bytes[at]) {
            return Some(at);
        }
        at += 1;
    }
    None
}

/// Returns whether there is a byte that `word` marks, eight at a time, or that `byte` finds if there are fewer.
#[inline]
pub(crate) fn any(bytes: &[u8], word: impl Fn(u64) -> u64, byte: impl Fn(u8) -> bool) -> bool {
    let Some(last) = bytes.last_chunk() else { return bytes.iter().any(|b| byte(*b)) };
    let mut rest = bytes;
    while let Some((chunk, tail)) = rest.split_first_chunk() {
        if word(u64::from_le_bytes(*chunk)) != 0 {
            return true;
        }
        rest = tail;
    }
    // What is left is looked at with some of what was looked at already.
    word(u64::from_le_bytes(*last)) != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_bytes_find_the_same() {
        type Class = (fn(u64) -> u64, fn(u8) -> bool);
        let classes: [Class; 4] = [
            (newline, |b| b == b'\n'),
            (control, is_control),
            (not_lower, |b| !(b.is_ascii_lowercase() || b == b'-')),
            (not_letter, |b| !(b.is_ascii_alphabetic() || b == b'-')),
        ];
        for (n, (word, byte)) in classes.into_iter().enumerate() {
            for b in 0..=u8::MAX {
                for len in 0..20 {
                    for at in 0..len {
                        for filler in [b'a', b'z', b'-'] {
                            let mut bytes = vec![filler; len];
                            bytes[at] = b;
                            let expected = bytes.iter().position(|&b| byte(b));
                            assert_eq!(first(&bytes, word, byte), expected, "class {n}: {b:#04x} at {at} of {len}");
                            assert_eq!(
                                any(&bytes, word, byte),
                                expected.is_some(),
                                "class {n}: {b:#04x} at {at} of {len}"
                            );
                        }
                    }
                }
            }
        }
    }
}
