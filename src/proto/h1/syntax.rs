//! Classes of bytes, lists and numbers: the small grammar that everything else is made of.

use crate::fields::words::{control, first, is_control, newline, not_letter};

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
    let mut n = first(bytes, not_letter, |b| !has(b, TOKEN)).unwrap_or(bytes.len());
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
            let Some(end) = rest.iter().position(|&b| b == b']') else { return false };
            if !is_literal(&rest[..end]) {
                return false;
            }
            &rest[end + 1..]
        }
        _ => {
            let (host, port) = bytes.split_at(bytes.iter().position(|&b| !has(b, HOST)).unwrap_or(bytes.len()));
            if host.is_empty() || !is_escaped(host) {
                return false;
            }
            port
        }
    };
    match port {
        [] => true,
        [b':', digits @ ..] => digits.is_empty() || decimal(digits).is_ok_and(|n| n <= u64::from(u16::MAX)),
        _ => false,
    }
}

/// Returns whether every percent sign begins an escape (RFC 3986, section 2.1).
fn is_escaped(host: &[u8]) -> bool {
    host.split(|&b| b == b'%').skip(1).all(|rest| rest.len() >= 2 && rest[..2].iter().all(u8::is_ascii_hexdigit))
}

/// Returns whether it can stand between brackets: an address of IPv6, its zone included, or of a version to come (RFC 3986, section 3.2.2).
fn is_literal(bytes: &[u8]) -> bool {
    if let [b'v' | b'V', rest @ ..] = bytes {
        let (version, address) = rest.split_at(rest.iter().position(|&b| b == b'.').unwrap_or(0));
        let is_part = |&b: &u8| b != b'%' && has(b, HOST) || b == b':';
        return !version.is_empty()
            && version.iter().all(u8::is_ascii_hexdigit)
            && address.len() > 1
            && address[1..].iter().all(is_part);
    }
    let (address, zone) = bytes.split_at(bytes.iter().position(|&b| b == b'%').unwrap_or(bytes.len()));
    let is_zone = zone.is_empty() || zone.len() > 1 && zone[1..].iter().all(|&b| has(b, HOST));
    is_zone && is_address(address)
}

/// Returns whether it is an address of IPv6: eight groups, or fewer around one `::`, of which four bytes in decimal can be the last two.
fn is_address(bytes: &[u8]) -> bool {
    let (front, back) = match bytes.windows(2).position(|pair| pair == b"::") {
        Some(at) => (&bytes[..at], Some(&bytes[at + 2..])),
        None => (bytes, None),
    };
    match back {
        None => groups(front, true) == Some(8),
        // It stands for one group at least.
        Some(back) => matches!((groups(front, false), groups(back, true)), (Some(a), Some(b)) if a + b <= 7),
    }
}

/// Counts groups of four hexadecimal digits at most; dotted decimals count as two.
fn groups(bytes: &[u8], ends: bool) -> Option<usize> {
    if bytes.is_empty() {
        return Some(0);
    }
    let mut count = 0;
    let mut groups = bytes.split(|&b| b == b':').peekable();
    while let Some(group) = groups.next() {
        if ends && groups.peek().is_none() && group.contains(&b'.') {
            let mut bytes = group.split(|&b| b == b'.');
            let four =
                bytes.by_ref().take(4).filter(|n| n.len() <= 3 && decimal(n).is_ok_and(|n| n <= 255)).count() == 4;
            return (four && bytes.next().is_none()).then_some(count + 2);
        }
        if !(1..=4).contains(&group.len()) || !group.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
        count += 1;
    }
    Some(count)
}

/// Returns the place of the first LF.
pub(super) fn find_newline(bytes: &[u8]) -> Option<usize> {
    first(bytes, newline, |b| b == b'\n')
}

/// Returns how many bytes at the front may stand in a field value: all but controls, of which HTAB may
/// (RFC 9110, section 5.5).
#[inline]
pub(super) fn value_len(bytes: &[u8]) -> usize {
    match first(bytes, control, is_control) {
        None => bytes.len(),
        Some(at) if bytes[at] == b'\t' => tabbed_value_len(bytes, at),
        Some(at) => at,
    }
}

/// Goes on behind a tab, byte by byte: they are rare.
#[cold]
fn tabbed_value_len(bytes: &[u8], tab: usize) -> usize {
    bytes[tab..].iter().position(|&b| b != b'\t' && is_control(b)).map_or(bytes.len(), |n| tab + n)
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
    fn hosts_are_names_and_addresses() {
        for host in [
            "",
            "a",
            "a.b",
            "a:",
            "a:80",
            "a:65535",
            "127.0.0.1:8080",
            "a%20b",
            "_x",
            "[::1]",
            "[::1]:80",
            "[::]",
            "[1:2:3:4:5:6:7:8]",
            "[1::8]",
            "[::ffff:1.2.3.4]",
            "[1:2:3:4:5:6:1.2.3.4]",
            "[fe80::1%25eth0]",
            "[v1.a:b]",
            "[2001:DB8::1]:443",
        ] {
            assert!(is_host(host.as_bytes()), "{host}");
        }
        for host in [
            ":80",
            "a:b",
            "a:65536",
            "a:+1",
            "a b",
            "a/b",
            "u@a",
            "a%zz",
            "a%2",
            "a%",
            "[]",
            "[::1",
            "[::1]x",
            "[::1]:b",
            "[zz]",
            "[1]",
            "[1:2]",
            "[1::2::3]",
            "[:1]",
            "[1:2:3:4:5:6:7:8:9]",
            "[1:2:3:4:5:6:7::8:9]",
            "[12345::]",
            "[::1.2.3]",
            "[::1.2.3.256]",
            "[1.2.3.4]",
            "[1.2.3.4::]",
            "[::1%]",
            "[v.a]",
            "[v1.]",
            "[vx.a]",
            "[a]",
            "::1",
        ] {
            assert!(!is_host(host.as_bytes()), "{host}");
        }
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
