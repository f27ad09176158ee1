//! RFC 7541: header blocks that cannot be decoded. 8 cases.

use super::{Case, case};
use crate::client::*;

/// A GET with this behind its fields; the block cannot be decoded.
fn spoilt(c: &mut Client, behind: &[u8]) -> Verdict {
    let block = [c.get(), behind.to_vec()].concat();
    c.frame(HEADERS, END_HEADERS | END_STREAM, 1, &block).connection_error(&[COMPRESSION_ERROR])
}

pub const CASES: &[Case] = &[
    // The static table ends at 61, and nothing was put in the other one.
    case("hpack/2.3.3", "an index above both tables", |c| spoilt(c, &[0x80 | 70])),
    case("hpack/2.3.3", "an index of a name above both tables", |c| spoilt(c, b"\x7f\x07\x02ok")),
    case("hpack/4.2", "a size update at the end of a block", |c| spoilt(c, &[0x20])),
    // The texts are "a", whose code is 00011.
    case("hpack/5.2", "Huffman code with a whole byte of padding", |c| spoilt(c, b"\x00\x01a\x82\x1f\xff")),
    case("hpack/5.2", "Huffman code with padding of zeros", |c| spoilt(c, b"\x00\x01a\x81\x18")),
    case("hpack/5.2", "Huffman code with EOS", |c| spoilt(c, b"\x00\x01a\x85\x1f\xff\xff\xff\xff")),
    case("hpack/6.1", "index 0", |c| spoilt(c, &[0x80])),
    case("hpack/6.3", "a size update above SETTINGS_HEADER_TABLE_SIZE", |c| {
        let max = c.theirs.iter().rev().find(|(id, _)| *id == HEADER_TABLE_SIZE).map_or(4096, |(_, max)| *max);
        // An integer with a prefix of five bits.
        let mut update = vec![0x3f];
        let mut rest = max + 1 - 31;
        while rest > 127 {
            update.push(rest as u8 | 0x80);
            rest >>= 7;
        }
        update.push(rest as u8);
        let block = [update, c.get()].concat();
        c.frame(HEADERS, END_HEADERS | END_STREAM, 1, &block).connection_error(&[COMPRESSION_ERROR])
    }),
];
