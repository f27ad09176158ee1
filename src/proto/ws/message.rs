//! A message that is arriving, and UTF-8 that is checked as it arrives.

use super::event::Kind;
use crate::proto::End;

/// Whether the payload is the message itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Compressed (RFC 7692): RSV1 was set in its first frame.
    Deflated,
    /// As it is.
    Plain,
}

/// A message that has begun.
#[derive(Clone, Copy, Debug)]
pub(super) struct Message {
    pub(super) kind: Kind,
    pub(super) form: Form,
    /// The bytes of the message known so far: announced by headers, or inflated.
    pub(super) size: u64,
    /// The bytes of payload announced by headers; differs from `size` if it is compressed.
    pub(super) announced: u64,
    utf8: Utf8,
}

impl Message {
    /// Returns a message at its start.
    #[inline]
    pub(super) fn new(kind: Kind, form: Form) -> Self {
        Message { kind, form, size: 0, announced: 0, utf8: Utf8::default() }
    }

    /// Returns whether its payload is the message and needs no check.
    pub(super) fn is_plain_binary(&self) -> bool {
        (self.kind, self.form) == (Kind::Binary, Form::Plain)
    }

    /// Checks the next bytes of the message.
    ///
    /// # Errors
    ///
    /// [`NotUtf8`] if it is a text and they, or its end, break a character.
    #[inline]
    pub(super) fn check(&mut self, piece: &[u8], end: End) -> Result<(), NotUtf8> {
        if self.kind == Kind::Binary {
            return Ok(());
        }
        self.utf8.check(piece)?;
        if end == End::Last && !self.utf8.is_complete() { Err(NotUtf8) } else { Ok(()) }
    }
}

/// That bytes are not UTF-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NotUtf8;

/// Where UTF-8 stands between two pieces (RFC 3629, section 4).
///
/// A byte is refused when no continuation could make the text valid, so the error comes with the first bad byte,
/// however the text is cut.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Utf8 {
    /// The bytes still missing of a character.
    missing: u8,
    /// The least and the greatest value of the next of them.
    next: (u8, u8),
}

impl Utf8 {
    /// Checks the next piece of the text.
    ///
    /// # Errors
    ///
    /// [`NotUtf8`] if it holds a byte that cannot be there.
    #[inline]
    pub(super) fn check(&mut self, mut piece: &[u8]) -> Result<(), NotUtf8> {
        while self.missing > 0 {
            let Some((&byte, rest)) = piece.split_first() else { return Ok(()) };
            self.step(byte)?;
            piece = rest;
        }
        let piece = behind_ascii(piece);
        if piece.is_empty() { Ok(()) } else { self.check_beyond_ascii(piece) }
    }

    /// Checks a piece between two characters.
    fn check_beyond_ascii(&mut self, piece: &[u8]) -> Result<(), NotUtf8> {
        match std::str::from_utf8(piece) {
            Ok(_) => Ok(()),
            Err(error) if error.error_len().is_some() => Err(NotUtf8),
            Err(error) => piece[error.valid_up_to()..].iter().try_for_each(|byte| self.step(*byte)),
        }
    }

    /// Returns whether the text may end here.
    #[inline]
    fn is_complete(self) -> bool {
        self.missing == 0
    }

    /// Checks one byte of a character of more than one.
    fn step(&mut self, byte: u8) -> Result<(), NotUtf8> {
        if self.missing > 0 {
            let (least, greatest) = self.next;
            if byte < least || byte > greatest {
                return Err(NotUtf8);
            }
            *self = Utf8 { missing: self.missing - 1, next: (0x80, 0xbf) };
            return Ok(());
        }
        let (missing, next) = match byte {
            0xc2..=0xdf => (1, (0x80, 0xbf)),
            // Neither an overlong form nor a surrogate.
            0xe0 => (2, (0xa0, 0xbf)),
            0xed => (2, (0x80, 0x9f)),
            0xe1..=0xef => (2, (0x80, 0xbf)),
            // Neither an overlong form nor above U+10FFFF.
            0xf0 => (3, (0x90, 0xbf)),
            0xf1..=0xf3 => (3, (0x80, 0xbf)),
            0xf4 => (3, (0x80, 0x8f)),
            _ => return Err(NotUtf8),
        };
        *self = Utf8 { missing, next };
        Ok(())
    }
}

/// Checks a text that is complete.
#[inline]
pub(super) fn check_text(text: &[u8]) -> Result<(), NotUtf8> {
    let rest = behind_ascii(text);
    if rest.is_empty() || std::str::from_utf8(rest).is_ok() { Ok(()) } else { Err(NotUtf8) }
}

/// Returns `text` without the blocks of ASCII that it begins with.
///
/// The check of the standard library takes three times as long for long texts, and ten times for short ones.
#[inline]
fn behind_ascii(mut text: &[u8]) -> &[u8] {
    while let Some((block, rest)) = text.split_at_checked(64) {
        if !is_ascii(block) {
            return text;
        }
        text = rest;
    }
    while let Some((word, rest)) = text.split_at_checked(8) {
        if !is_ascii(word) {
            return text;
        }
        text = rest;
    }
    if text.iter().all(|byte| *byte < 0x80) { &[] } else { text }
}

/// Returns whether a multiple of eight bytes is ASCII.
#[inline]
fn is_ascii(block: &[u8]) -> bool {
    let mut all = 0;
    for word in block.chunks_exact(8) {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(word);
        all |= u64::from_ne_bytes(bytes);
    }
    all & 0x8080_8080_8080_8080 == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns how many bytes are taken one at a time, and whether the text may end there; `Err` names the bad byte.
    fn byte_by_byte(text: &[u8]) -> Result<bool, usize> {
        let mut utf8 = Utf8::default();
        for (at, byte) in text.iter().enumerate() {
            utf8.check(&[*byte]).map_err(|NotUtf8| at)?;
        }
        Ok(utf8.is_complete())
    }

    /// The first bad byte by the standard library: the first prefix that it calls wrong and not just incomplete.
    fn by_prefixes(text: &[u8]) -> Result<bool, usize> {
        for len in 0..=text.len() {
            if let Err(error) = std::str::from_utf8(&text[..len]) {
                if error.error_len().is_some() {
                    return Err(len - 1);
                }
            }
        }
        Ok(std::str::from_utf8(text).is_ok())
    }

    #[test]
    fn boundaries() {
        #[rustfmt::skip]
        let table: &[(&[u8], Result<bool, usize>)] = &[
            (b"", Ok(true)), (b"\x00", Ok(true)), (b"\x7f", Ok(true)),
            // a continuation without a start
            (b"\x80", Err(0)), (b"\xbf", Err(0)), (b"a\x80", Err(1)),
            // overlong forms
            (b"\xc0", Err(0)), (b"\xc1", Err(0)), (b"\xe0\x80", Err(1)), (b"\xe0\x9f", Err(1)), (b"\xf0\x80", Err(1)), (b"\xf0\x8f", Err(1)),
            // the least of each length
            (b"\xc2\x80", Ok(true)), (b"\xe0\xa0\x80", Ok(true)), (b"\xf0\x90\x80\x80", Ok(true)),
            // the greatest of each length
            (b"\xdf\xbf", Ok(true)), (b"\xef\xbf\xbf", Ok(true)), (b"\xf4\x8f\xbf\xbf", Ok(true)),
            // surrogates and their neighbours
            (b"\xed\x9f\xbf", Ok(true)), (b"\xed\xa0", Err(1)), (b"\xed\xbf", Err(1)), (b"\xee\x80\x80", Ok(true)),
            // above U+10FFFF
            (b"\xf4\x90", Err(1)), (b"\xf5", Err(0)), (b"\xf8", Err(0)), (b"\xfe", Err(0)), (b"\xff", Err(0)),
            // cut in the middle
            (b"\xc2", Ok(false)), (b"\xe2\x82", Ok(false)), (b"\xf0\x9f\x98", Ok(false)), (b"ab\xe2", Ok(false)),
            // a character that another byte interrupts
            (b"\xc2a", Err(1)), (b"\xe2\x82a", Err(2)), (b"\xf0\x9f\x98a", Err(3)), (b"\xe2\x82\xc2", Err(2)),
        ];
        for (text, expected) in table {
            assert_eq!(byte_by_byte(text), *expected, "{text:x?}");
            assert_eq!(by_prefixes(text), *expected, "{text:x?} by the standard library");
        }
    }

    #[test]
    fn every_sequence_of_boundary_bytes_is_judged_as_the_standard_library_does() {
        #[rustfmt::skip]
        const BYTES: [u8; 27] = [
            0x00, 0x61, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1, 0xec, 0xed, 0xee, 0xef,
            0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xf8, 0xfe, 0xff,
        ];
        for first in 0..=255 {
            for second in 0..=255 {
                let text = [first, second];
                assert_eq!(byte_by_byte(&text), by_prefixes(&text), "{text:x?}");
            }
            for a in BYTES {
                for b in BYTES {
                    for text in [&[first, a, b][..], &[first, a, b, 0x80], &[first, a, b, 0x61], &[b'a', first, a, b]] {
                        assert_eq!(byte_by_byte(text), by_prefixes(text), "{text:x?}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_bad_byte_is_found_wherever_it_stands_in_a_long_text() {
        for at in 0..200 {
            let mut text = vec![b'a'; 200];
            text[at] = 0xff;
            assert_eq!(Utf8::default().check(&text), Err(NotUtf8), "at {at}");
            text.splice(at..=at, "é".bytes());
            assert_eq!(Utf8::default().check(&text), Ok(()), "at {at}");
        }
    }

    #[test]
    fn a_cut_changes_nothing() {
        let text = "aé€😀z\u{10ffff}\u{800}\u{fffd}".as_bytes();
        for first in 0..=text.len() {
            for second in first..=text.len() {
                let mut utf8 = Utf8::default();
                for piece in [&text[..first], &text[first..second], &text[second..]] {
                    assert_eq!(utf8.check(piece), Ok(()), "cut at {first} and {second}");
                }
                assert!(utf8.is_complete());
            }
        }
    }
}
