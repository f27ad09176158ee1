//! Reads header blocks (RFC 7541, sections 3.2 and 6).

use super::table::{DEFAULT_TABLE, LARGEST, Table};
use super::{Field, Violation, huffman, integer, static_table};
use std::fmt;

/// The largest scratch buffer kept between two blocks; what a longer string made is given back.
const KEPT_SCRATCH: usize = 4096;

/// Decompresses header blocks; keeps the dynamic table of one direction.
///
/// # Examples
///
/// ```
/// use bowline::proto::h2::hpack::{Decoder, Violation};
///
/// let mut decoder = Decoder::new(4096);
/// decoder.decode(b"\x82", |field| assert_eq!((field.name, field.value), (&b":method"[..], &b"GET"[..])))?;
/// let violation = decoder.decode(b"\x80", |_| {}).unwrap_err();
/// assert_eq!(violation, Violation::IndexZero);
/// # Ok::<(), Violation>(())
/// ```
///
/// # Invariants
///
/// `lowest <= limit`.
#[derive(Debug)]
pub struct Decoder {
    pub(super) table: Table<()>,
    /// The maximum size that the peer may choose.
    limit: usize,
    /// The lowest that `limit` was since the last block.
    lowest: usize,
    scratch: Scratch,
}

/// Where strings in the Huffman code are decoded to.
#[derive(Default)]
struct Scratch {
    name: Vec<u8>,
    value: Vec<u8>,
}

impl Decoder {
    /// Returns the decoder of a new connection; `max_table` is the SETTINGS_HEADER_TABLE_SIZE of our first SETTINGS.
    ///
    /// Whatever they say, the peer begins with a table of 4096 bytes and changes it by a size update (section 4.2; RFC
    /// 9113, section 6.5.2). A larger size it may use as soon as it knows; a smaller one binds it only once it has
    /// acknowledged it, so call [`set_max_table`](Self::set_max_table) then.
    pub fn new(max_table: usize) -> Self {
        let limit = max_table.clamp(DEFAULT_TABLE, LARGEST);
        Decoder { table: Table::new(DEFAULT_TABLE), limit, lowest: limit, scratch: Scratch::default() }
    }

    /// Sets the largest table that the peer may choose: what we announced and it acknowledged.
    ///
    /// If the peer uses more, the next block has to begin with a size update (section 4.2).
    pub fn set_max_table(&mut self, bytes: usize) {
        self.limit = bytes.min(LARGEST);
        self.lowest = self.lowest.min(self.limit);
    }

    /// Decodes a whole block (HEADERS and its CONTINUATIONs joined), and calls `field` for each field in it.
    ///
    /// `field` may ignore what it is given: the table stays in step. The time is linear in the block, with a constant
    /// factor of the size of the table, because an octet can name an entry that is as large. The memory is at most
    /// four times the size of the table, and a name and a value of at most twice the block or the size of the
    /// table.
    ///
    /// # Errors
    ///
    /// A [`Violation`] is final: the table is out of step, no later block can be decoded. `field` was called for the
    /// fields before it.
    pub fn decode(&mut self, block: &[u8], mut field: impl FnMut(Field<'_>)) -> Result<(), Violation> {
        let mut rest = block;
        self.size_updates(&mut rest)?;
        while let [first, tail @ ..] = rest {
            rest = tail;
            let first = *first;
            if first & 0x80 != 0 {
                // Section 6.1.
                let (name, value) = match integer::decode(first, 7, &mut rest)? {
                    0 => return Err(Violation::IndexZero),
                    index => entry(&self.table, index)?,
                };
                field(Field { name, value, sensitive: false });
            } else if first & 0x40 != 0 {
                // Section 6.2.1.
                let index = integer::decode(first, 6, &mut rest)?;
                self.inserted(index, &mut rest, &mut field)?;
            } else if first & 0x20 != 0 {
                return Err(Violation::SizeUpdateNotFirst);
            } else {
                // Sections 6.2.2 and 6.2.3.
                let index = integer::decode(first, 4, &mut rest)?;
                self.literal(index, first & 0x10 != 0, &mut rest, &mut field)?;
            }
        }
        self.scratch.shrink();
        Ok(())
    }

    /// Takes the size updates at the start of a block (sections 4.2 and 6.3).
    fn size_updates(&mut self, rest: &mut &[u8]) -> Result<(), Violation> {
        // The smallest size since the last block and the final one (section 4.2).
        let mut allowed = 2;
        let mut smallest = self.table.max();
        while let [first @ 0x20..=0x3f, tail @ ..] = *rest {
            *rest = tail;
            let size = integer::decode(*first, 5, rest)?;
            if allowed == 0 {
                return Err(Violation::SizeUpdatesTooMany);
            }
            allowed -= 1;
            if size as usize > self.limit {
                return Err(Violation::SizeUpdateAboveLimit { size, limit: self.limit as u32 });
            }
            self.table.resize(size as usize);
            smallest = smallest.min(size as usize);
        }
        if smallest > self.lowest {
            return Err(Violation::SizeUpdateMissing { limit: self.lowest as u32 });
        }
        self.lowest = self.limit;
        Ok(())
    }

    /// Takes a literal that becomes an entry.
    fn inserted(&mut self, index: u32, rest: &mut &[u8], field: &mut impl FnMut(Field<'_>)) -> Result<(), Violation> {
        let Scratch { name, value } = &mut self.scratch;
        let name = match index {
            0 => string(rest, name)?,
            index => match static_table::get(index as usize) {
                Some((found, _)) => found,
                // A copy: the insertion can drop the entry that has the name (section 4.4).
                None => {
                    let (found, _) = entry(&self.table, index)?;
                    name.clear();
                    name.extend_from_slice(found);
                    name
                }
            },
        };
        let value = string(rest, value)?;
        field(Field { name, value, sensitive: false });
        self.table.insert(name, value, ());
        Ok(())
    }

    /// Takes a literal that does not become an entry.
    fn literal(
        &mut self,
        index: u32,
        sensitive: bool,
        rest: &mut &[u8],
        field: &mut impl FnMut(Field<'_>),
    ) -> Result<(), Violation> {
        let Scratch { name, value } = &mut self.scratch;
        let name = if index == 0 { string(rest, name)? } else { entry(&self.table, index)?.0 };
        let value = string(rest, value)?;
        field(Field { name, value, sensitive });
        Ok(())
    }
}

#[cfg(test)]
impl Decoder {
    /// Returns how many bytes the scratch buffers keep.
    pub(super) fn scratch_memory(&self) -> usize {
        self.scratch.name.capacity() + self.scratch.value.capacity()
    }
}

/// Returns name and value of an entry of either table (section 2.3.3).
#[inline]
fn entry(table: &Table<()>, index: u32) -> Result<(&[u8], &[u8]), Violation> {
    if let Some(found) = static_table::get(index as usize) {
        return Ok(found);
    }
    match (index as usize).checked_sub(static_table::LAST + 1).and_then(|newer| table.get(newer)) {
        Some(found) => Ok((found.name, found.value)),
        None => Err(Violation::IndexBeyondTable { index, last: (static_table::LAST + table.len()) as u32 }),
    }
}

/// Takes a string (section 5.2), which is lent from the block or from `scratch`.
#[inline]
fn string<'s, 'b: 's>(rest: &mut &'b [u8], scratch: &'s mut Vec<u8>) -> Result<&'s [u8], Violation> {
    let (first, tail) = rest.split_first().ok_or(Violation::Truncated)?;
    *rest = tail;
    let length = integer::decode(*first, 7, rest)?;
    let left = rest.len() as u32;
    let (octets, tail) = rest.split_at_checked(length as usize).ok_or(Violation::StringBeyondBlock { length, left })?;
    *rest = tail;
    if first & 0x80 == 0 { Ok(octets) } else { huffman::decode(octets, scratch) }
}

impl Scratch {
    fn shrink(&mut self) {
        for buffer in [&mut self.name, &mut self.value] {
            if buffer.capacity() > KEPT_SCRATCH {
                *buffer = Vec::new();
            }
        }
    }
}

impl fmt::Debug for Scratch {
    /// Writes nothing of what was in the last block.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Scratch")
    }
}
