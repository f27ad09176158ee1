//! Masking: keys that nobody can predict, and the exclusive or at memory speed.

use std::fmt;

/// How much is masked in registers at once: eight vectors of 16 bytes, which every x86-64 and aarch64 has.
const BLOCK: usize = 128;

/// A masking key, turned so that its first byte belongs to the next byte of payload (RFC 6455, section 5.3).
///
/// The first byte is the least significant one: a number is turned and doubled faster than four bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mask(u32);

impl Mask {
    /// Returns the key that stands in a header.
    #[inline]
    pub(super) fn new(key: [u8; 4]) -> Self {
        Mask(u32::from_le_bytes(key))
    }

    /// Returns the key as it stands in a header.
    #[inline]
    pub(super) fn bytes(self) -> [u8; 4] {
        self.0.to_le_bytes()
    }

    /// Masks or unmasks `data`, the next bytes of the payload.
    #[inline]
    pub(super) fn apply(&mut self, data: &mut [u8]) {
        xor(data, self.doubled());
        self.turn(data.len());
    }

    /// Appends `data`, the next bytes of the payload, to `out` and masks it on the way.
    pub(super) fn append(&mut self, data: &[u8], out: &mut Vec<u8>) {
        out.reserve(data.len());
        self.append_whole(data, out);
        self.turn(data.len());
    }

    /// The same for all of a payload.
    #[inline]
    pub(super) fn append_whole(self, data: &[u8], out: &mut Vec<u8>) {
        let key = self.doubled();
        let rest = if data.len() < BLOCK { data } else { append_blocks::<BLOCK>(data, key, out) };
        let rest = append_blocks::<32>(rest, key, out);
        let rest = append_blocks::<8>(rest, key, out);
        if !rest.is_empty() {
            // Room of a size that is known here is made faster than that of a few bytes.
            let mut last = [0; 8];
            last.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
            xor_words(&mut last, key);
            out.extend_from_slice(&last);
            out.truncate(out.len() - (8 - rest.len()));
        }
    }

    /// Returns the key for eight bytes.
    #[inline]
    fn doubled(self) -> u64 {
        u64::from(self.0) << 32 | u64::from(self.0)
    }

    /// Turns the key for what follows `len` bytes.
    #[inline]
    fn turn(&mut self, len: usize) {
        self.0 = self.0.rotate_right(8 * (len % 4) as u32);
    }
}

/// Appends blocks of `N` bytes, masked; returns what is left of `data`.
#[inline]
fn append_blocks<'a, const N: usize>(data: &'a [u8], key: u64, out: &mut Vec<u8>) -> &'a [u8] {
    let mut rest = data;
    while let Some((block, behind)) = rest.split_first_chunk::<N>() {
        let mut block = *block;
        xor_words(&mut block, key);
        out.extend_from_slice(&block);
        rest = behind;
    }
    rest
}

/// Masks `data`, which begins with the first byte of the key.
#[inline]
fn xor(data: &mut [u8], key: u64) {
    let (blocks, rest) = data.split_at_mut(data.len() - data.len() % BLOCK);
    for block in blocks.chunks_exact_mut(BLOCK) {
        xor_words(block, key);
    }
    let (words, rest) = rest.split_at_mut(rest.len() - rest.len() % 8);
    xor_words(words, key);
    let mut key = key;
    for byte in rest {
        *byte ^= key as u8;
        key >>= 8;
    }
}

/// Masks a multiple of eight bytes.
#[inline]
fn xor_words(words: &mut [u8], key: u64) {
    for word in words.chunks_exact_mut(8) {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(word);
        word.copy_from_slice(&(u64::from_le_bytes(bytes) ^ key).to_le_bytes());
    }
}

/// Where masking keys come from: the stream of ChaCha with 8 rounds, keyed with the seed.
///
/// A key must not be predictable, not even from the keys before it, or whoever chooses the payload also chooses the
/// bytes on the wire (RFC 6455, section 10.3). A block gives sixteen keys for 500 instructions, about what SipHash would
/// cost; half of that could be had only with vectors, which the compiler does not see here.
pub(super) struct Keys {
    seed: u64,
    /// The number of the next block.
    counter: u64,
    block: [u32; 16],
    /// How many words of the block are used up.
    used: usize,
}

impl Keys {
    /// Returns the keys of a seed.
    pub(super) fn new(seed: u64) -> Self {
        Keys { seed, counter: 0, block: [0; 16], used: 16 }
    }

    /// Returns the next key.
    #[inline]
    pub(super) fn next(&mut self) -> Mask {
        if let Some(&word) = self.block.get(self.used) {
            self.used += 1;
            return Mask(word);
        }
        self.refill();
        self.used = 1;
        Mask(self.block[0])
    }

    /// Returns eight unpredictable bytes.
    pub(super) fn next_payload(&mut self) -> [u8; 8] {
        let ([a, b, c, d], [e, f, g, h]) = (self.next().bytes(), self.next().bytes());
        [a, b, c, d, e, f, g, h]
    }

    #[cold]
    fn refill(&mut self) {
        let [low, high] = [self.seed as u32, (self.seed >> 32) as u32];
        let [count, carry] = [self.counter as u32, (self.counter >> 32) as u32];
        // "expand 32-byte k", the key, a counter of 64 bits and a nonce of zero.
        let [e, x, p, k] = [0x6170_7865, 0x3320_646e, 0x7962_2d32, 0x6b20_6574];
        let start = [e, x, p, k, low, high, 0, 0, 0, 0, 0, 0, count, carry, 0, 0];
        let mixed = (0..4).fold(start, |words, _| double_round(words));
        self.block = std::array::from_fn(|at| mixed[at].wrapping_add(start[at]));
        self.counter = self.counter.wrapping_add(1);
        self.used = 0;
    }
}

/// The seed is a secret.
impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").finish_non_exhaustive()
    }
}

/// Two rounds, one on columns and one on diagonals (RFC 8439, section 2.3).
#[inline]
fn double_round(words: [u32; 16]) -> [u32; 16] {
    let [a0, a1, a2, a3, b0, b1, b2, b3, c0, c1, c2, c3, d0, d1, d2, d3] = words;
    let [a0, b0, c0, d0] = quarter_round(a0, b0, c0, d0);
    let [a1, b1, c1, d1] = quarter_round(a1, b1, c1, d1);
    let [a2, b2, c2, d2] = quarter_round(a2, b2, c2, d2);
    let [a3, b3, c3, d3] = quarter_round(a3, b3, c3, d3);
    let [a0, b1, c2, d3] = quarter_round(a0, b1, c2, d3);
    let [a1, b2, c3, d0] = quarter_round(a1, b2, c3, d0);
    let [a2, b3, c0, d1] = quarter_round(a2, b3, c0, d1);
    let [a3, b0, c1, d2] = quarter_round(a3, b0, c1, d2);
    [a0, a1, a2, a3, b0, b1, b2, b3, c0, c1, c2, c3, d0, d1, d2, d3]
}

/// A quarter round (RFC 8439, section 2.1).
#[inline]
fn quarter_round(a: u32, b: u32, c: u32, d: u32) -> [u32; 4] {
    let a = a.wrapping_add(b);
    let d = (d ^ a).rotate_left(16);
    let c = c.wrapping_add(d);
    let b = (b ^ c).rotate_left(12);
    let a = a.wrapping_add(b);
    let d = (d ^ a).rotate_left(8);
    let c = c.wrapping_add(d);
    let b = (b ^ c).rotate_left(7);
    [a, b, c, d]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masking_in_pieces_is_masking_byte_by_byte() {
        let data: Vec<u8> = (0..=255).chain(0..100).collect();
        for len in 0..data.len() {
            for cut in [0, 1, 2, 3, 5, 8, 31, 33, 127, 129, len / 2].into_iter().filter(|cut| *cut <= len) {
                let expected: Vec<u8> = (0..len).map(|i| data[i] ^ [1, 2, 4, 255][i % 4]).collect();
                let (mut mask, mut out) = (Mask::new([1, 2, 4, 255]), vec![9]);
                mask.append(&data[..cut], &mut out);
                mask.append(&data[cut..len], &mut out);
                assert_eq!(out[1..], expected, "{len} bytes cut at {cut}");
            }
        }
    }

    #[test]
    fn long_payloads_are_masked_in_blocks() {
        let data = vec![0; 3 * BLOCK + 5];
        let mut out = Vec::new();
        Mask::new([1, 2, 3, 4]).append(&data, &mut out);
        assert!(out.len() == data.len() && out.iter().zip([1, 2, 3, 4].iter().cycle()).all(|(byte, key)| byte == key));
    }

    /// The first block of ChaCha8 with a key of zeros, from draft-strombergson-chacha-test-vectors-01, section 3.1.
    #[test]
    fn the_generator_is_chacha8() {
        let mut keys = Keys::new(0);
        let bytes: Vec<u8> = (0..4).flat_map(|_| keys.next().bytes()).collect();
        assert_eq!(
            bytes,
            [0x3e, 0x00, 0xef, 0x2f, 0x89, 0x5f, 0x40, 0xd6, 0x7f, 0x5b, 0xb8, 0xe8, 0x1f, 0x09, 0xa5, 0xa1]
        );
    }

    #[test]
    fn keys_differ_and_are_determined_by_the_seed() {
        let draw = |seed| {
            let mut keys = Keys::new(seed);
            (0..100).map(|_| keys.next().bytes()).collect::<Vec<_>>()
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
        let mut sorted = draw(7);
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(sorted.len(), 100);
        assert_eq!(format!("{:?}", Keys::new(7)), "Keys { .. }");
    }
}
