//! Strings in the Huffman code of HPACK (RFC 7541, section 5.2 and appendix B).
//!
//! The code is canonical: symbols are numbered by length and then by value, so the lengths say everything, and every
//! table here is computed from them when the crate is built. Codes of 5 to 8 bits, which is nearly all of what is sent,
//! are looked up; codes of 10 to 30 bits are found by comparing with the first code of each length.

use super::Violation;

/// The length of the longest code.
const MAX_BITS: usize = 30;

/// The symbol that stands for the end of a string and must not be in one.
const EOS: u16 = 256;

/// How many bits the lookup takes. No code has nine, so the longer ones are told from the shorter by the whole entry.
const FAST_BITS: u32 = 9;

/// The most symbols taken from one full accumulator: 56 bits at least, 8 each at most.
const BATCH: usize = 7;

/// Returns the decoded `string`, which is kept in `scratch`.
///
/// `scratch` grows to 8/5 of the string, which is what the shortest codes make of it, and is reused: its contents mean
/// nothing between calls.
///
/// # Errors
///
/// [`Violation::HuffmanEos`], [`Violation::PaddingTooLong`] or [`Violation::PaddingNotOnes`] (section 5.2).
pub(super) fn decode<'s>(string: &[u8], scratch: &'s mut Vec<u8>) -> Result<&'s [u8], Violation> {
    let room = string.len() * 8 / 5 + BATCH + 1;
    if scratch.len() < room {
        scratch.resize(room, 0);
    }
    let mut bits = Bits { rest: string, acc: 0, held: 0 };
    let mut len = 0;
    loop {
        bits.refill();
        let batch: &mut [u8; BATCH] = (&mut scratch[len..len + BATCH]).try_into().expect("as long as the range");
        let taken = bits.short(batch);
        len += taken;
        if taken < BATCH {
            bits.refill();
            match bits.any()? {
                Some(symbol) => {
                    scratch[len] = symbol;
                    len += 1;
                }
                None => return bits.check_padding().map(|()| &scratch[..len]),
            }
        }
    }
}

/// The bits that are left of a string.
struct Bits<'b> {
    rest: &'b [u8],
    /// The next bits, the first on top. Below the `held` ones may be others of `rest`, or zeros at its end.
    acc: u64,
    held: u32,
}

impl Bits<'_> {
    /// Takes octets of `rest` until at least 56 bits are held, or all that there are.
    #[inline]
    fn refill(&mut self) {
        if let Some(word) = self.rest.first_chunk::<8>() {
            self.acc |= u64::from_be_bytes(*word) >> self.held;
            let octets = (63 - self.held) / 8;
            self.rest = &self.rest[octets as usize..];
            self.held += octets * 8;
        } else {
            while let ([octet, rest @ ..], 0..=56) = (self.rest, self.held) {
                self.acc |= u64::from(*octet) << (56 - self.held);
                self.held += 8;
                self.rest = rest;
            }
        }
    }

    /// Takes symbols with short codes until `batch` is full or another code comes; returns how many there were.
    #[inline]
    fn short(&mut self, batch: &mut [u8; BATCH]) -> usize {
        for (n, symbol) in batch.iter_mut().enumerate() {
            let entry = FAST[(self.acc >> (64 - FAST_BITS)) as usize];
            let bits = u32::from(entry >> 8);
            if bits == 0 || bits > self.held {
                return n;
            }
            *symbol = entry as u8;
            self.take(bits);
        }
        BATCH
    }

    /// Takes one symbol with a code of any length, or returns `None` if the code is not complete.
    fn any(&mut self) -> Result<Option<u8>, Violation> {
        let next = (self.acc >> 32) as u32;
        let mut lengths = GROUPS.iter().enumerate();
        let (bits, group) = lengths.find(|(_, group)| u64::from(next) < group.end).expect("the last one ends at 2^32");
        if bits as u32 > self.held {
            return Ok(None);
        }
        let symbol = SYMBOLS[usize::from(group.symbols) + ((next - group.first) >> (32 - bits)) as usize];
        if symbol == EOS {
            return Err(Violation::HuffmanEos);
        }
        self.take(bits as u32);
        Ok(Some(symbol as u8))
    }

    #[inline]
    fn take(&mut self, bits: u32) {
        self.acc <<= bits;
        self.held -= bits;
    }

    /// Checks what is left behind the last symbol: the beginning of the code of EOS, and less than an octet.
    fn check_padding(&self) -> Result<(), Violation> {
        if self.acc.leading_ones() < self.held {
            Err(Violation::PaddingNotOnes)
        } else if self.held > 7 {
            Err(Violation::PaddingTooLong)
        } else {
            Ok(())
        }
    }
}

/// Appends the code of `string` and its padding to `out`, if it is shorter than `string`; returns its length.
///
/// `None` leaves `out` with octets at its end that mean nothing.
pub(super) fn encode_shorter(string: &[u8], out: &mut Vec<u8>) -> Option<usize> {
    let start = out.len();
    out.resize(start + string.len(), 0);
    let room = &mut out[start..];
    // The low `held` bits of `acc` wait, at most 31 between two symbols.
    let (mut acc, mut held, mut len) = (0u64, 0u32, 0);
    for &octet in string {
        let bits = u32::from(LENGTHS[usize::from(octet)]);
        acc = acc << bits | u64::from(CODES[usize::from(octet)]);
        held += bits;
        if held >= 32 {
            held -= 32;
            room.get_mut(len..len + 4)?.copy_from_slice(&((acc >> held) as u32).to_be_bytes());
            len += 4;
        }
    }
    let octets = held.div_ceil(8) as usize;
    if len + octets >= string.len() {
        return None;
    }
    // Ones are the beginning of EOS (section 5.2).
    let last = (((acc << 32 | 0xffff_ffff) >> held) as u32).to_be_bytes();
    room[len..len + octets].copy_from_slice(&last[..octets]);
    out.truncate(start + len + octets);
    Some(len + octets)
}

/// For every 9 bits that begin with a code of up to 8: its length above its symbol. 0 for the others.
static FAST: [u16; 1 << FAST_BITS] = {
    let mut fast = [0; 1 << FAST_BITS];
    let mut symbol = 0;
    while symbol < CODES.len() {
        let bits = LENGTHS[symbol] as u32;
        if bits <= FAST_BITS {
            let spare = FAST_BITS - bits;
            let mut low = 0;
            while low < 1 << spare {
                fast[((CODES[symbol] as usize) << spare) + low] = (bits as u16) << 8 | symbol as u16;
                low += 1;
            }
        }
        symbol += 1;
    }
    fast
};

/// The codes of one length, as the 32 bits that begin with them.
#[derive(Clone, Copy)]
struct Group {
    /// The first code, followed by zeros.
    first: u32,
    /// Where the codes of the next length begin; so shorter ones are below, and 0 means that there are none.
    end: u64,
    /// Where in [`SYMBOLS`] the symbol of the first code is.
    symbols: u16,
}

/// The codes by length.
static GROUPS: [Group; MAX_BITS + 1] = {
    let mut groups = [Group { first: 0, end: 0, symbols: 0 }; MAX_BITS + 1];
    let (mut next, mut symbols, mut bits) = (0u64, 0, 1);
    while bits <= MAX_BITS {
        let codes = count(bits as u8);
        groups[bits].first = next as u32;
        groups[bits].symbols = symbols;
        next += (codes as u64) << (32 - bits);
        symbols += codes;
        groups[bits].end = next;
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
