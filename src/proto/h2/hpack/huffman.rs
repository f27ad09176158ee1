//! Strings in the Huffman code of HPACK (RFC 7541, section 5.2 and appendix B).
//!
//! The code is canonical: symbols are numbered by length and then by value, so the lengths say everything, and every
//! table here is computed from them when the crate is built. Short codes, of 5 to 12 bits, are nearly all of what is
//! sent: they are looked up by 12 bits, which mostly hold two, and four lookups follow each other without a branch. Long
//! ones, of 13 to 30 bits, are found by comparing with the last code of each length.

use super::Violation;

/// The length of the longest code.
const MAX_BITS: usize = 30;

/// The symbol that stands for the end of a string and must not be in one.
const EOS: u16 = 256;

/// How many bits a lookup takes: enough for two of the codes of 5 and 6 bits, with which most characters are sent.
const SHORT_BITS: u32 = 12;

/// The length of the shortest long code.
const LONG_BITS: u32 = SHORT_BITS + 1;

/// How many lookups are made in a word: what 57 bits hold for sure.
const LOOKUPS: usize = 4;

/// Room for the symbols of that many lookups, and to spare.
const BATCH: usize = 16;

/// Returns the decoded `string`, which is kept in `scratch`.
///
/// `scratch` grows to twice the length of the string (the shortest codes make 8/5 of it) and is reused: its contents
/// mean nothing between calls.
///
/// # Errors
///
/// [`Violation::HuffmanEos`], [`Violation::PaddingTooLong`] or [`Violation::PaddingNotOnes`] (section 5.2).
pub(super) fn decode<'s>(string: &[u8], scratch: &'s mut Vec<u8>) -> Result<&'s [u8], Violation> {
    let room = string.len() * 2 + BATCH;
    if scratch.len() < room {
        scratch.resize(room, 0);
    }
    let (mut rest, mut offset, mut len) = (string, 0, 0);
    while let Some(octets) = rest.first_chunk() {
        let mut bits = Bits { word: u64::from_be_bytes(*octets) << offset, held: 57 };
        let (taken, stopped) = bits.take_short(batch(scratch, len));
        len += taken;
        if stopped {
            // If it goes on behind this word, the next one begins with it.
            if let Some(symbol) = bits.take_long()? {
                scratch[len] = symbol;
                len += 1;
            }
        }
        offset += 57 - bits.held;
        rest = &rest[offset as usize / 8..];
        offset %= 8;
    }
    let mut bits = Bits::last(string, rest.len() as u32 * 8 - offset);
    loop {
        // Ones are no short code.
        bits.word |= u64::MAX >> bits.held;
        let (taken, stopped) = bits.take_short(batch(scratch, len));
        len += taken;
        if bits.held > 64 {
            // A code that the ones behind the end make short is no padding.
            return Err(Violation::PaddingNotOnes);
        }
        if stopped {
            let Some(symbol) = bits.take_long()? else { break };
            scratch[len] = symbol;
            len += 1;
        }
    }
    bits.check_padding().map(|()| &scratch[..len])
}

#[inline]
fn batch(scratch: &mut [u8], from: usize) -> &mut [u8; BATCH] {
    scratch[from..].first_chunk_mut().expect("there is room for all symbols and a batch")
}

/// The next bits of a string: the first is on top, `held` are there.
struct Bits {
    word: u64,
    held: u32,
}

impl Bits {
    /// Returns the last `held` bits of a string, 56 at most.
    #[inline]
    fn last(string: &[u8], held: u32) -> Self {
        let word = match string.last_chunk() {
            Some(octets) => u64::from_be_bytes(*octets),
            None => string.iter().fold(0, |word, octet| word << 8 | u64::from(*octet)),
        };
        // Two steps, because 64 at once would be none.
        Bits { word: word << 1 << (63 - held), held }
    }

    /// Takes short codes, and stops before a long one; returns how many there were, and whether it stopped.
    ///
    /// More bits than `held` can be taken only if there are ones behind; then `held` wraps.
    #[inline]
    fn take_short(&mut self, batch: &mut [u8; BATCH]) -> (usize, bool) {
        // No branches: where a long code begins nothing is taken any more.
        let (mut sum, mut last) = (0u32, 0);
        for _ in 0..LOOKUPS {
            last = SHORT[(self.word >> (64 - SHORT_BITS)) as usize];
            let at = sum as usize >> 8 & 7;
            batch[at..at + 2].copy_from_slice(&last.to_be_bytes()[..2]);
            self.word <<= last & 63;
            // The symbols on top are added too, and fall off.
            sum = sum.wrapping_add(last);
        }
        self.held = self.held.wrapping_sub(sum & 0xff);
        (sum as usize >> 8 & 0xff, last == 0)
    }

    /// Takes a long code, or returns `None` if it is not all there.
    fn take_long(&mut self) -> Result<Option<u8>, Violation> {
        if self.held < LONG_BITS {
            return Ok(None);
        }
        let next = (self.word >> 32) as u32;
        let mut lengths = GROUPS.iter().zip(0..).skip(LONG_BITS as usize);
        let (group, bits) = lengths.find(|(group, _)| next <= group.last).expect("the last of all is all ones");
        if bits > self.held {
            return Ok(None);
        }
        let symbol = SYMBOLS[usize::from(group.symbols) + ((next - group.first) >> (32 - bits)) as usize];
        if symbol == EOS {
            return Err(Violation::HuffmanEos);
        }
        self.word <<= bits;
        self.held -= bits;
        Ok(Some(symbol as u8))
    }

    /// Checks what is left behind the last symbol: the beginning of the code of EOS, and less than an octet.
    fn check_padding(&self) -> Result<(), Violation> {
        if self.word.leading_ones() < self.held {
            Err(Violation::PaddingNotOnes)
        } else if self.held > 7 {
            Err(Violation::PaddingTooLong)
        } else {
            Ok(())
        }
    }
}

/// How many symbols are encoded between two writes: together they seldom have more than the 57 bits that fit.
const CHUNK: usize = 6;

/// Appends the code of `string` and its padding to `out`, if it is shorter than `string`; returns its length.
///
/// `None` leaves `out` with octets at its end that mean nothing.
pub(super) fn encode_shorter(string: &[u8], out: &mut Vec<u8>) -> Option<usize> {
    let start = out.len();
    out.resize(start + string.len() + 8, 0);
    let room = &mut out[start..];
    // The low `held` bits of `word` are to be written; from one chunk to the next at most seven.
    let (mut word, mut held, mut len, mut rest) = (0u64, 0u32, 0, string);
    while !rest.is_empty() {
        let (mut taken, mut bits) = match rest.first_chunk::<CHUNK>() {
            Some(chunk) => (CHUNK, chunk.iter().fold((word, held), append)),
            None => (rest.len(), rest.iter().fold((word, held), append)),
        };
        if bits.1 > 64 {
            (taken, bits) = (1, append((word, held), &rest[0]));
        }
        (word, held) = bits;
        rest = &rest[taken..];
        // All of them, the last octet being completed by the next write.
        let octets = word.wrapping_shl(64 - held).to_be_bytes();
        *room.get_mut(len..)?.first_chunk_mut()? = octets;
        len += held as usize / 8;
        held %= 8;
    }
    if held > 0 {
        // Ones are the beginning of EOS (section 5.2).
        room[len] |= 0xff >> held;
        len += 1;
    }
    out.truncate(start + len);
    (len < string.len()).then_some(len)
}

/// Returns bits, and how many there are, with the code of `symbol` behind them.
#[inline]
fn append((word, held): (u64, u32), symbol: &u8) -> (u64, u32) {
    let bits = LENGTHS[usize::from(*symbol)];
    (word << bits | u64::from(CODES[usize::from(*symbol)]), held + u32::from(bits))
}

/// What twelve bits begin with: the symbols of one short code or two (from bits 24 and 16), how many they are (from bit
/// 8) and their length (from bit 0), so that a sum counts codes and bits. 0 for a long code.
static SHORT: [u32; 1 << SHORT_BITS] = {
    let mut short = [0; 1 << SHORT_BITS];
    let mut first = 0;
    while first < CODES.len() {
        let length = LENGTHS[first] as u32;
        if length <= SHORT_BITS {
            fill(&mut short, CODES[first], length, (first as u32) << 24 | 1 << 8 | length);
            let mut second = 0;
            while second < CODES.len() {
                let both = length + LENGTHS[second] as u32;
                if both <= SHORT_BITS {
                    let code = CODES[first] << LENGTHS[second] | CODES[second];
                    fill(&mut short, code, both, (first as u32) << 24 | (second as u32) << 16 | 2 << 8 | both);
                }
                second += 1;
            }
        }
        first += 1;
    }
    short
};

/// Enters what begins with a code of so many bits, whatever follows it.
const fn fill(short: &mut [u32; 1 << SHORT_BITS], code: u32, length: u32, entry: u32) {
    let spare = SHORT_BITS - length;
    let mut low = 0;
    while low < 1 << spare {
        short[(code << spare | low) as usize] = entry;
        low += 1;
    }
}

/// The codes of one length, as the 32 bits that begin with them.
#[derive(Clone, Copy)]
struct Group {
    /// The first code, followed by zeros.
    first: u32,
    /// The last code that is not longer, followed by ones.
    last: u32,
    /// Where in [`SYMBOLS`] the symbol of the first code is.
    symbols: u16,
}

/// The codes by length.
static GROUPS: [Group; MAX_BITS + 1] = {
    let mut groups = [Group { first: 0, last: 0, symbols: 0 }; MAX_BITS + 1];
    let (mut next, mut symbols, mut bits) = (0u64, 0, 1);
    while bits <= MAX_BITS {
        let codes = count(bits as u8);
        groups[bits].first = next as u32;
        groups[bits].symbols = symbols;
        next += (codes as u64) << (32 - bits);
        symbols += codes;
        groups[bits].last = next.saturating_sub(1) as u32;
        bits += 1;
    }
    // The code is complete: every sequence of bits begins with one of its codes.
    assert!(next == 1 << 32 && symbols as usize == LENGTHS.len());
    groups
};

/// The symbols in the order of their codes.
static SYMBOLS: [u16; LENGTHS.len()] = {
    let mut symbols = [0; LENGTHS.len()];
    let (mut n, mut bits) = (0, 1);
    while bits <= MAX_BITS as u8 {
        let mut symbol = 0;
        while symbol < LENGTHS.len() {
            if LENGTHS[symbol] == bits {
                symbols[n] = symbol as u16;
                n += 1;
            }
            symbol += 1;
        }
        bits += 1;
    }
    symbols
};

/// The code of every octet, in its low bits.
static CODES: [u32; 256] = {
    let mut codes = [0; 256];
    let (mut next, mut bits) = (0u32, 1);
    while bits <= MAX_BITS as u8 {
        next <<= 1;
        let mut symbol = 0;
        while symbol < LENGTHS.len() {
            if LENGTHS[symbol] == bits {
                if symbol < codes.len() {
                    codes[symbol] = next;
                }
                next += 1;
            }
            symbol += 1;
        }
        bits += 1;
    }
    codes
};

const fn count(bits: u8) -> u16 {
    let (mut count, mut symbol) = (0, 0);
    while symbol < LENGTHS.len() {
        if LENGTHS[symbol] == bits {
            count += 1;
        }
        symbol += 1;
    }
    count
}

/// How many bits the code of each symbol has (appendix B).
#[rustfmt::skip]
static LENGTHS: [u8; 257] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28,
    28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
     6, 10, 10, 12, 13,  6,  8, 11, 10, 10,  8, 11,  8,  6,  6,  6,
     5,  5,  5,  6,  6,  6,  6,  6,  6,  6,  7,  8, 15,  6, 12, 10,
    13,  6,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,
     7,  7,  7,  7,  7,  7,  7,  7,  8,  7,  8, 13, 19, 13, 14,  6,
    15,  5,  6,  5,  6,  5,  6,  6,  6,  5,  7,  7,  6,  6,  6,  5,
     6,  7,  6,  5,  5,  6,  7,  7,  7,  7,  7, 15, 11, 14, 13, 28,
    20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,
    24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
    22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23,
    21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25,
    19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
    20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,
    26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
    30,
];
