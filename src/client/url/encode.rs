//! Percent-encoding: of paths and queries, of query pairs and forms.

use super::to_uri;
use crate::error::Result;
use http::Uri;

const HEX: &[u8; 16] = b"0123456789ABCDEF";

/// Where a byte stands as it is.
pub(super) const HOST: u8 = 1;
pub(super) const PATH: u8 = 2;
pub(super) const QUERY: u8 = 4;

/// Where each byte stands as it is.
static PLAIN: [u8; 256] = plain();

const fn plain() -> [u8; 256] {
    let mut plain = [0; 256];
    let mut b = b'!';
    while b < 0x7f {
        // A registered name (RFC 3986, section 3.2.2), in lower case and without percent-encoding.
        if b.is_ascii_digit() || b.is_ascii_lowercase() || in_set(b"-._~!$&'()*+,;=", b) {
            plain[b as usize] |= HOST;
        }
        // All but the path percent-encode set of WHATWG URL, section 1.3, and the backslash.
        if !in_set(b"\"#<>?^`{}\\", b) {
            plain[b as usize] |= PATH;
        }
        // All but the special-query percent-encode set.
        if !in_set(b"\"#<>'", b) {
            plain[b as usize] |= QUERY;
        }
        b += 1;
    }
    plain
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

/// Returns how many bytes at the front stand in this place as they are.
pub(super) fn plain_len(bytes: &[u8], place: u8) -> usize {
    bytes.iter().position(|b| PLAIN[usize::from(*b)] & place == 0).unwrap_or(bytes.len())
}

fn push_encoded(byte: u8, out: &mut String) {
    out.push('%');
    out.push(char::from(HEX[usize::from(byte >> 4)]));
    out.push(char::from(HEX[usize::from(byte & 15)]));
}

fn encode(bytes: &[u8], place: u8, out: &mut String) {
    out.reserve(bytes.len());
    let mut rest = bytes;
    loop {
        // What must be encoded includes every byte beyond ASCII, so what stands in front of it is text.
        let clean = plain_len(rest, place);
        out.push_str(std::str::from_utf8(&rest[..clean]).expect("bytes beyond ASCII are encoded"));
        let Some(&b) = rest.get(clean) else { return };
        push_encoded(b, out);
        rest = &rest[clean + 1..];
    }
}

/// Appends a path; what does not stand in one as it is, is encoded.
///
/// A `%` stays as it is, so what is encoded already is not encoded twice.
pub(super) fn encode_path(path: &[u8], out: &mut String) {
    encode(path, PATH, out);
}

/// Appends a query; what does not stand in one as it is, is encoded.
pub(super) fn encode_query(query: &[u8], out: &mut String) {
    encode(query, QUERY, out);
}

/// Returns the bytes with `%41` turned into `A`. A `%` without two hexadecimal digits is data.
pub(super) fn percent_decode(mut bytes: &[u8]) -> Vec<u8> {
    let digit = |b: u8| char::from(b).to_digit(16).and_then(|d| u8::try_from(d).ok());
    let mut decoded = Vec::with_capacity(bytes.len());
    while let [first, rest @ ..] = bytes {
        bytes = rest;
        let pair = match rest {
            [high, low, ..] if *first == b'%' => digit(*high).zip(digit(*low)),
            _ => None,
        };
        match pair {
            Some((high, low)) => {
                decoded.push(high << 4 | low);
                bytes = &rest[2..];
            }
            None => decoded.push(*first),
        }
    }
    decoded
}

/// Appends pairs as `application/x-www-form-urlencoded` (WHATWG URL, section 5.2).
fn push_pairs<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>, mut separator: &'static str, out: &mut String) {
    let text = |text: &str, out: &mut String| {
        for b in text.bytes() {
            match b {
                b' ' => out.push('+'),
                b'*' | b'-' | b'.' | b'_' => out.push(char::from(b)),
                _ if b.is_ascii_alphanumeric() => out.push(char::from(b)),
                _ => push_encoded(b, out),
            }
        }
    };
    for (name, value) in pairs {
        out.push_str(separator);
        text(name, out);
        out.push('=');
        text(value, out);
        separator = "&";
    }
}

/// Returns a form body, `application/x-www-form-urlencoded`.
pub(crate) fn form<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let mut body = String::new();
    push_pairs(pairs, "", &mut body);
    body
}

/// Returns the URI with pairs added to its query, encoded as a form is. What the query holds already stays as it is.
///
/// # Errors
///
/// `InvalidInput` if the URI grows beyond the 65,534 bytes that `http::Uri` can hold.
pub(crate) fn append_query<'a>(uri: &Uri, pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Uri> {
    let mut text = uri.to_string();
    let separator = match uri.query() {
        None => "?",
        Some(query) if query.is_empty() || query.ends_with('&') => "",
        Some(_) => "&",
    };
    push_pairs(pairs, separator, &mut text);
    to_uri(text)
}
