//! Writes header blocks (RFC 7541, sections 3.1 and 6), and decides what is worth an entry.

use super::table::{DEFAULT_TABLE, LARGEST, Table};
use super::{Field, huffman, integer, static_table};
use std::fmt;

/// Values of credentials below this length could be found by trying (section 7.1.3); nghttp2 draws the line for cookies
/// at the same place.
const GUESSABLE: usize = 20;

/// How many entries with the same hash are looked at, whatever fields somebody sends through us.
const MAX_CHAIN: usize = 8;

/// Compresses header blocks; keeps the dynamic table of one direction.
///
/// # What becomes an entry
///
/// A field becomes an entry when it is sent for the first time with its name. If there is an entry with the name and
/// another value, the values change, and a field becomes an entry only when it is sent again soon: so `:path`, `date`,
/// `content-length` or an id that is new in each request do not push out what is sent every time, and a path that is
/// asked for over and over takes one octet all the same. A field that would fill more than half of the table never
/// becomes an entry.
///
/// `authorization`, `proxy-authorization` and cookies of less than 20 octets are sent as "never indexed", like fields that
/// are [`sensitive`](Field::sensitive): the length of a block would tell whether a guess was right (section 7.1.3).
///
/// Strings are sent in the Huffman code if that is shorter.
pub struct Encoder {
    pub(super) table: Table<Link>,
    pending: Option<Resize>,
    /// The latest entry by the hash of name and value.
    fields: [u32; 128],
    /// The latest entry by the hash of the name.
    names: [u32; 64],
    /// Hashes of the last fields that did not become entries, each at one place.
    refused: [u32; 64],
}

/// What the peer has to be told about the size of the table (section 4.2).
#[derive(Clone, Copy, Debug)]
struct Resize {
    smallest: usize,
    last: usize,
}

/// What the encoder keeps with an entry.
#[derive(Clone, Copy, Default)]
pub(super) struct Link {
    hash: u32,
    name: Option<static_table::Name>,
    /// The entry before this one in the chain of [`Encoder::fields`].
    older_field: u32,
    /// The same for [`Encoder::names`].
    older_name: u32,
}

/// A literal's first octet: what becomes of it, and how many bits its index has (section 6.2).
#[derive(Clone, Copy, Debug)]
enum Literal {
    Indexed,
    NotIndexed,
    NeverIndexed,
}

impl Default for Encoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Encoder {
    /// Returns the encoder of a new connection, with the table of 4096 bytes that the peer begins with.
    pub fn new() -> Self {
        // No entry has this id but the last of 2^32.
        let none = u32::MAX;
        Encoder {
            table: Table::new(DEFAULT_TABLE),
            pending: None,
            fields: [none; 128],
            names: [none; 64],
            refused: [0; 64],
        }
    }

    /// Sets the size of the table: the peer's SETTINGS_HEADER_TABLE_SIZE, or less if we do not want that much.
    ///
    /// The next block says so (section 4.2).
    pub fn set_max_table(&mut self, bytes: usize) {
        let last = bytes.min(LARGEST);
        if last != self.table.max() || self.pending.is_some() {
            let smallest = self.pending.map_or(last, |pending| pending.smallest.min(last));
            self.pending = Some(Resize { smallest, last });
            self.table.resize(last);
        }
    }

    /// Begins a block: appends the size updates that are due, the smallest and the last size (section 4.2).
    pub fn begin(&mut self, out: &mut Vec<u8>) {
        if let Some(Resize { smallest, last }) = self.pending.take() {
            if smallest < last {
                integer::encode(smallest, 5, 0x20, out);
            }
            integer::encode(last, 5, 0x20, out);
        }
    }

    /// Appends one field.
    pub fn field(&mut self, field: Field<'_>, out: &mut Vec<u8>) {
        let known = static_table::Name::find(field.name);
        if field.sensitive || known.is_some_and(|known| is_guessable(known, field.value)) {
            let index = self.name_index(known, field.name);
            return literal(Literal::NeverIndexed, index, field, out);
        }
        if let Some(index) = known.and_then(|known| known.with_value(field.value)) {
            return integer::encode(index, 7, 0x80, out);
        }
        if field.size() > self.table.max() / 2 {
            let index = self.name_index(known, field.name);
            return literal(Literal::NotIndexed, index, field, out);
        }
        let name_hash = known.map_or_else(|| hash(field.name), |known| known.index() as u64);
        let hash = finish(hash(field.value) ^ name_hash.rotate_left(32));
        if let Some(index) = self.find(known, hash, field) {
            return integer::encode(index, 7, 0x80, out);
        }
        let named = self.find_name(known, field.name, finish(name_hash));
        let index = known.map(static_table::Name::index).or(named).unwrap_or(0);
        if named.is_some() && !self.was_refused(hash) {
            return literal(Literal::NotIndexed, index, field, out);
        }
        literal(Literal::Indexed, index, field, out);
        self.insert(known, hash, finish(name_hash), field);
    }

    /// Returns the index of the entry that is this field.
    #[inline]
    fn find(&self, known: Option<static_table::Name>, hash: u32, field: Field<'_>) -> Option<usize> {
        let mut id = self.fields[hash as usize % self.fields.len()];
        for _ in 0..MAX_CHAIN {
            let (newer, entry) = self.table.by_id(id)?;
            if entry.link.hash == hash
                && entry.value == field.value
                && entry.link.name == known
                && (known.is_some() || entry.name == field.name)
            {
                return Some(static_table::LAST + 1 + newer);
            }
            id = entry.link.older_field;
        }
        None
    }

    /// Returns the index of the latest entry that has this name.
    fn find_name(&self, known: Option<static_table::Name>, name: &[u8], hash: u32) -> Option<usize> {
        let mut id = self.names[hash as usize % self.names.len()];
        for _ in 0..MAX_CHAIN {
            let (newer, entry) = self.table.by_id(id)?;
            if entry.link.name == known && (known.is_some() || entry.name == name) {
                return Some(static_table::LAST + 1 + newer);
            }
            id = entry.link.older_name;
        }
        None
    }

    /// Returns the index of any entry that has this name, or 0.
    fn name_index(&self, known: Option<static_table::Name>, name: &[u8]) -> usize {
        match known {
            Some(known) => known.index(),
            None => self.find_name(None, name, finish(hash(name))).unwrap_or(0),
        }
    }

    /// Returns whether the field was refused before, and remembers it.
    fn was_refused(&mut self, hash: u32) -> bool {
        let place = &mut self.refused[(hash >> 16) as usize % 64];
        std::mem::replace(place, hash) == hash
    }

    fn insert(&mut self, known: Option<static_table::Name>, hash: u32, name_hash: u32, field: Field<'_>) {
        let id = self.table.next_id();
        let older_field = std::mem::replace(&mut self.fields[hash as usize % 128], id);
        let older_name = std::mem::replace(&mut self.names[name_hash as usize % 64], id);
        self.table.insert(field.name, field.value, Link { hash, name: known, older_field, older_name });
    }
}

impl fmt::Debug for Encoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Encoder { table, pending, .. } = self;
        f.debug_struct("Encoder").field("table", table).field("pending", pending).finish_non_exhaustive()
    }
}

/// Returns whether the length of a block could tell that a guess of this value was right (section 7.1.3).
fn is_guessable(name: static_table::Name, value: &[u8]) -> bool {
    use static_table::Name;
    match name {
        Name::AUTHORIZATION | Name::PROXY_AUTHORIZATION => true,
        Name::COOKIE | Name::SET_COOKIE => value.len() < GUESSABLE,
        _ => false,
    }
}

fn literal(kind: Literal, index: usize, field: Field<'_>, out: &mut Vec<u8>) {
    match kind {
        Literal::Indexed => integer::encode(index, 6, 0x40, out),
        Literal::NotIndexed => integer::encode(index, 4, 0, out),
        Literal::NeverIndexed => integer::encode(index, 4, 0x10, out),
    }
    if index == 0 {
        string(field.name, out);
    }
    string(field.value, out);
}

/// Appends a string (section 5.2).
fn string(octets: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    // The place of the length, which is one octet unless the code is long.
    out.push(0);
    match huffman::encode_shorter(octets, out) {
        Some(len @ 0..0x7f) => out[start] = 0x80 | len as u8,
        Some(len) => {
            let end = out.len();
            integer::encode(len, 7, 0x80, out);
            let octets = out.len() - end;
            out[start..].rotate_right(octets);
            out.remove(start + octets);
        }
        None => {
            out.truncate(start);
            integer::encode(octets.len(), 7, 0, out);
            out.extend_from_slice(octets);
        }
    }
}

/// Returns a hash of up to 24 of the octets: the first, the last, and some between.
///
/// What differs only elsewhere has the same hash, which costs a comparison; fields are equal only if all octets are.
#[inline]
fn hash(octets: &[u8]) -> u64 {
    let len = octets.len();
    let word = |at: usize| octets[at..at + 8].try_into().map_or(0, u64::from_le_bytes);
    let (first, middle, last) = if len >= 8 {
        (word(0), word((len - 8) / 2), word(len - 8))
    } else {
        let mut short = [0; 8];
        short[..len].copy_from_slice(octets);
        (u64::from_le_bytes(short), 0, 0)
    };
    // Odd factors with about as many ones as zeros.
    (first ^ len as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)
        ^ (middle.rotate_left(29) ^ last).wrapping_mul(0xd6e8_feb8_6659_fd93).rotate_left(23)
}

#[inline]
fn finish(hash: u64) -> u32 {
    (hash.wrapping_mul(0xa076_1d64_78bd_642f) >> 32) as u32
}
