//! HPACK: header compression for HTTP/2 (RFC 7541).
//!
//! A header block is a list of fields, each sent as a number (an entry of the static or of the dynamic table), as a
//! number and a string (the name of an entry and a value), or as two strings. Strings are plain or in a fixed Huffman
//! code. Each direction of a connection has one dynamic table, which the sender fills and the receiver follows: an
//! [`Encoder`] here, a [`Decoder`] there. They stay in step only if every block is decoded, in order and to its end.
//!
//! | file | what it holds |
//! |---|---|
//! | `decoder` | the representations, read (section 6); the rules about the size of the table |
//! | `encoder` | the representations, written; what is worth an entry |
//! | `table` | the dynamic table (sections 2.3.2 and 4) |
//! | `static_table` | the static table (appendix A) |
//! | `huffman` | strings in the Huffman code (appendix B) |
//! | `integer` | integers (section 5.1) |
//!
//! # Examples
//!
//! ```
//! use bowline::proto::h2::hpack::{Decoder, Encoder, Field};
//!
//! let (mut encoder, mut decoder) = (Encoder::new(), Decoder::new(4096));
//! let mut block = Vec::new();
//! encoder.begin(&mut block);
//! encoder.field(Field::new(b":method", b"GET"), &mut block);
//! encoder.field(Field::new(b"accept", b"text/html"), &mut block);
//!
//! let mut names = Vec::new();
//! decoder.decode(&block, |field| names.push(field.name.to_vec()))?;
//! assert_eq!(names, [&b":method"[..], b"accept"]);
//! # Ok::<(), bowline::proto::h2::hpack::Violation>(())
//! ```

mod decoder;
mod encoder;
mod huffman;
mod integer;
mod static_table;
mod table;
#[cfg(test)]
mod tests;

pub use decoder::Decoder;
pub use encoder::Encoder;

use std::fmt;

/// What an entry costs beside its octets, and what a field costs in a header list (section 4.1; RFC 9113, section
/// 6.5.2).
const ENTRY_OVERHEAD: usize = 32;

/// A field, lent.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Field<'a> {
    /// The name; HTTP/2 allows only lower case, which is the engine's to check.
    pub name: &'a [u8],
    /// The value: any octets.
    pub value: &'a [u8],
    /// Whether it is "never indexed" (section 6.2.3): whoever passes it on has to do so as it came.
    pub sensitive: bool,
}

impl<'a> Field<'a> {
    /// Returns a field that may be indexed.
    ///
    /// # Examples
    ///
    /// ```
    /// use bowline::proto::h2::hpack::Field;
    ///
    /// assert_eq!(Field::new(b"accept", b"*/*").size(), 6 + 3 + 32);
    /// ```
    pub const fn new(name: &'a [u8], value: &'a [u8]) -> Self {
        Field { name, value, sensitive: false }
    }

    /// Returns a field that is never indexed.
    ///
    /// # Examples
    ///
    /// ```
    /// use bowline::proto::h2::hpack::Field;
    ///
    /// assert!(Field::sensitive(b"x-key", b"secret").sensitive);
    /// ```
    pub const fn sensitive(name: &'a [u8], value: &'a [u8]) -> Self {
        Field { name, value, sensitive: true }
    }

    /// Returns what the field counts: the octets of name and value, and 32.
    ///
    /// So it is counted against the size of a table (section 4.1) and against SETTINGS_MAX_HEADER_LIST_SIZE (RFC 9113,
    /// section 6.5.2).
    pub const fn size(&self) -> usize {
        self.name.len() + self.value.len() + ENTRY_OVERHEAD
    }
}

impl fmt::Debug for Field<'_> {
    /// Writes the field without the value of a sensitive one.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = if self.sensitive { "(sensitive)".into() } else { self.value.escape_ascii().to_string() };
        write!(f, "{}: {value}", self.name.escape_ascii())
    }
}

/// The block broke a rule of RFC 7541.
///
/// The tables of the two ends are out of step from here on, so the connection has to end: COMPRESSION_ERROR (RFC 9113,
/// section 4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Violation {
    /// A string holds the end-of-string symbol (section 5.2).
    HuffmanEos,
    /// An entry that neither table has (section 2.3.3).
    IndexBeyondTable {
        /// The index.
        index: u32,
        /// The largest index that there is.
        last: u32,
    },
    /// Index 0 as a whole field (section 6.1).
    IndexZero,
    /// An integer above 2^32 - 1 (section 5.1: beyond the limits of the implementation).
    IntegerTooLarge,
    /// An integer of more octets than 2^32 - 1 takes (section 5.1: beyond the limits of the implementation).
    IntegerTooLong,
    /// The padding of a string is not all ones (section 5.2).
    PaddingNotOnes,
    /// The padding of a string is longer than 7 bits (section 5.2).
    PaddingTooLong,
    /// A size above the one we announced and the peer acknowledged (section 6.3).
    SizeUpdateAboveLimit {
        /// The size.
        size: u32,
        /// The limit.
        limit: u32,
    },
    /// A block without the size update that our lower limit calls for (section 4.2; RFC 9113, section 4.3.1).
    SizeUpdateMissing {
        /// The lowest limit since the last block.
        limit: u32,
    },
    /// A size update behind a field (section 4.2).
    SizeUpdateNotFirst,
    /// More than two size updates in one block (section 4.2).
    SizeUpdatesTooMany,
    /// A string that is longer than what is left of the block (section 5.2).
    StringBeyondBlock {
        /// The length of the string.
        length: u32,
        /// The octets that are left.
        left: u32,
    },
    /// The block ends in the middle of a field or of a size update.
    Truncated,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::HuffmanEos => f.write_str("header block: a string holds the end-of-string symbol"),
            Self::IndexBeyondTable { index, last } => write!(f, "header block: index {index} in a table of {last}"),
            Self::IndexZero => f.write_str("header block: index 0 as a field"),
            Self::IntegerTooLarge => f.write_str("header block: an integer above 2^32 - 1"),
            Self::IntegerTooLong => f.write_str("header block: an integer of more than 6 octets"),
            Self::PaddingNotOnes => f.write_str("header block: padding of a string that is not all ones"),
            Self::PaddingTooLong => f.write_str("header block: padding of a string that is longer than 7 bits"),
            Self::SizeUpdateAboveLimit { size, limit } => {
                write!(f, "header block: a table of {size} bytes, {limit} are allowed")
            }
            Self::SizeUpdateMissing { limit } => {
                write!(f, "header block: no table size update after the limit was lowered to {limit}")
            }
            Self::SizeUpdateNotFirst => f.write_str("header block: a table size update behind a field"),
            Self::SizeUpdatesTooMany => f.write_str("header block: more than 2 table size updates"),
            Self::StringBeyondBlock { length, left } => {
                write!(f, "header block: a string of {length} bytes where {left} are left")
            }
            Self::Truncated => f.write_str("header block: it ends within a field"),
        }
    }
}

impl std::error::Error for Violation {}
