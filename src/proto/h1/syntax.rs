//! Classes of bytes, lists and numbers: the small grammar that everything else is made of.

const TOKEN: u8 = 1;
const TARGET: u8 = 2;
const HOST: u8 = 4;

/// What each byte may be part of.
static CLASSES: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut classes = [0; 256];
    let mut b = 0x21;
    while b <= 0x7e {
        let alphanumeric = (b as u8).is_ascii_alphanumeric();
        // tchar (RFC 9110, section 5.6.2)
        if alphanumeric || in_set(b"!#$%&'*+-.^_`|~", b as u8) {
            classes[b] |= TOKEN;
        }
        // Visible, and no fragment: it is never sent (RFC 9110, section 4.2.5). `http::Uri` looks more closely.
        if b as u8 != b'#' {
            classes[b] |= TARGET;
        }
        // reg-name (RFC 3986, section 3.2.2)
        if alphanumeric || in_set(b"-._~%!$&'()*+,;=", b as u8) {
            classes[b] |= HOST;
        }
        b += 1;
    }
    classes
}

const fn in_set(set: &[u8], b: u8) -> bool {
    let mut i = 0;
    while i < set.len() {
        if set[i] == b {
            return true;
        }
        i += 1;
    }
    false
}

fn has(b: u8, class: u8) -> bool {
    CLASSES[usize::from(b)] & class != 0
}

/// Returns how many bytes of a token there are at the front.
#[inline]
pub(super) fn token_len(bytes: &[u8]) -> usize {
    // Most names are letters and hyphens, which are told eight at a time.
    let mut n = first(bytes, other_than_word, |b| !has(b, TOKEN)).unwrap_or(bytes.len());
    while n < bytes.len() && has(bytes[n], TOKEN) {
        n += 1;
    }
    n
}

/// Returns whether it is a token (RFC 9110, section 5.6.2).
pub(super) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && token_len(bytes) == bytes.len()
}

/// Returns whether every byte may stand in a request target.
pub(super) fn is_target(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|&b| has(b, TARGET))
}

/// Returns whether it is a host with an optional port, or nothing (RFC 9110, section 7.2).
pub(super) fn is_host(bytes: &[u8]) -> bool {
    let port = match bytes {
        [] => return true,
        [b'[', rest @ ..] => {
            let literal = rest.iter().position(|&b| !(has(b, HOST) || b == b':')).unwrap_or(rest.len());
            match &rest[literal..] {
                [b']', port @ ..] if literal > 0 => port,
                _ => return false,
            }
        }
        _ => match bytes.iter().position(|&b| !has(b, HOST)).unwrap_or(bytes.len()) {
            0 => return false,
            host => &bytes[host..],
        },
    };
    match port {
        [] => true,
        [b':', digits @ ..] => digits.is_empty() || decimal(digits).is_ok_and(|n| n <= u64::from(u16::MAX)),
        _ => false,
    }
}

const ONES: u64 = u64::MAX / 255;
const HIGHS: u64 = ONES << 7;

/// Marks the lowest zero byte of a word; marks above it mean nothing.
fn zero_byte(word: u64) -> u64 {
    word.wrapping_sub(ONES) & !word & HIGHS
}

/// Marks the bytes of a word that are neither letters nor hyphens.
fn other_than_word(word: u64) -> u64 {
    let low = word & !HIGHS;
    let lower = low | (ONES * 0x20);
    // Sums of seven bits, so that no byte carries into the next.
    let letters = (lower + ONES * (0x80 - 0x61)) & !(lower + ONES * (0x80 - 0x7b));
    let not_hyphens = (low ^ (ONES * u64::from(b'-'))) + !HIGHS;
    (word | (!letters & not_hyphens)) & HIGHS
}

/// Returns the place of the first byte that `word` marks, eight at a time, or that `byte` finds in what is left.
#[inline]
fn first(bytes: &[u8], word: impl Fn(u64) -> u64, byte: impl Fn(u8) -> bool) -> Option<usize> {
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

/// Returns the place of the first LF.
pub(super) fn find_newline(bytes: &[u8]) -> Option<usize> {
    first(bytes, |word| zero_byte(word ^ (ONES * u64::from(b'\n'))), |b| b == b'\n')
}

/// Returns how many bytes at the front may stand in a field value: all but controls, of which HTAB may
/// (RFC 9110, section 5.5).
#[inline]
pub(super) fn value_len(bytes: &[u8]) -> usize {
    let controls = |word: u64| (word.wrapping_sub(ONES * 0x20) & !word & HIGHS) | zero_byte(word ^ (ONES * 0x7f));
    match first(bytes, controls, |b| b < 0x20 || b == 0x7f) {
        None => bytes.len(),
        Some(at) if bytes[at] == b'\t' => tabbed_value_len(bytes, at),
        Some(at) => at,
    }
}

/// Goes on behind a tab, byte by byte: they are rare.
#[cold]
fn tabbed_value_len(bytes: &[u8], tab: usize) -> usize {
    let control = |b: u8| b != b'\t' && (b < 0x20 || b == 0x7f);
    bytes[tab..].iter().position(|&b| control(b)).map_or(bytes.len(), |n| tab + n)
}

/// Returns whether it is SP or HTAB.
pub(super) fn is_blank(b: u8) -> bool {
    b == b' ' || b == b'\t'
}

/// Returns it without blanks in front.
pub(super) fn trim_start(bytes: &[u8]) -> &[u8] {
    let mut n = 0;
    while n < bytes.len() && is_blank(bytes[n]) {
        n += 1;
    }
    &bytes[n..]
}

/// Returns it without blanks around (OWS of RFC 9110, section 5.6.3).
#[inline]
pub(super) fn trim(bytes: &[u8]) -> &[u8] {
    let bytes = trim_start(bytes);
    let mut n = bytes.len();
    while n > 0 && is_blank(bytes[n - 1]) {
        n -= 1;
    }
    &bytes[..n]
}

/// Returns the elements of a list without the blanks around them; empty ones too (RFC 9110, section 5.6.1).
pub(super) fn elements(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|&b| b == b',').map(trim)
}

/// Why it is no number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotDecimal {
    /// Something else than digits, or nothing.
    Invalid,
    /// Above 2^64 - 1.
    Overflow,
}

/// Returns the number that the digits make; signs, blanks and separators are none.
pub(super) fn decimal(digits: &[u8]) -> Result<u64, NotDecimal> {
    let mut n = Some(0u64);
    for digit in digits {
        if !digit.is_ascii_digit() {
            return Err(NotDecimal::Invalid);
        }
        n = n.and_then(|n| n.checked_mul(10)?.checked_add(u64::from(digit - b'0')));
    }
    if digits.is_empty() { Err(NotDecimal::Invalid) } else { n.ok_or(NotDecimal::Overflow) }
}

/// The fields that the engine itself understands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Name {
    Connection,
    ContentLength,
    Expect,
    Host,
    Other,
    TransferEncoding,
    Upgrade,
}

impl Name {
    /// Returns which one a name is, ignoring case.
    #[inline]
    pub(super) fn of(name: &[u8]) -> Self {
        // Length and first byte rule out almost all others.
        let (known, same) = match (name.len(), name.first().map(u8::to_ascii_lowercase)) {
            (4, Some(b'h')) => (Name::Host, is_word(name, b"host")),
            (6, Some(b'e')) => (Name::Expect, is_word(name, b"expect")),
            (7, Some(b'u')) => (Name::Upgrade, is_word(name, b"upgrade")),
            (10, Some(b'c')) => (Name::Connection, is_word(name, b"connection")),
            (14, Some(b'c')) => (Name::ContentLength, is_word(name, b"content-length")),
            (17, Some(b't')) => (Name::TransferEncoding, is_word(name, b"transfer-encoding")),
            _ => return Name::Other,
        };
        if same { known } else { Name::Other }
    }
}

/// Returns whether a token is `word`, lower-case letters and hyphens, ignoring case.
#[inline]
pub(super) fn is_word<const N: usize>(token: &[u8], word: &[u8; N]) -> bool {
    // Of the bytes of a token only letters become letters by this bit, and only a hyphen stays one. All are compared at once.
    let differs = |token: &[u8; N]| token.iter().zip(word).fold(0, |sum, (t, w)| sum | ((t | 0x20) ^ w));
    token.try_into().is_ok_and(|token| differs(token) == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_end_where_every_byte_alone_says() {
        // Each byte at each place of a word, and in what is left behind the words.
        for b in 0..=u8::MAX {
            for at in 0..19 {
                for filler in [b'a', b'Z', b'-', b'_'] {
                    let mut bytes = [filler; 19];
                    bytes[at] = b;
                    let expected = bytes.iter().position(|&b| !has(b, TOKEN)).unwrap_or(bytes.len());
                    assert_eq!(token_len(&bytes), expected, "{b:#04x} at {at} among {filler:#04x}");
                }
            }
        }
        assert_eq!(token_len(b""), 0);
    }

    #[test]
    fn words_are_told_from_other_tokens() {
        for b in (0..=u8::MAX).filter(|&b| has(b, TOKEN)) {
            for at in 0..10 {
                let mut token = *b"keep-alive";
                token[at] = b;
                let expected = token.eq_ignore_ascii_case(b"keep-alive");
                assert_eq!(is_word(&token, b"keep-alive"), expected, "{}", token.escape_ascii());
            }
        }
        assert!(is_word(b"CLOSE", b"close") && !is_word(b"clos", b"close") && !is_word(b"closed", b"close"));
        assert!(!is_word(b"", b"close"));
    }
}
