//! Writes header blocks (RFC 7541, sections 3.1 and 6), and decides what is worth an entry.

use super::table::{DEFAULT_TABLE, Entry, LARGEST, Table};
use super::{Field, huffman, integer, static_table};
use std::fmt;

/// Values of credentials below this length could be found by trying (section 7.1.3); nghttp2 draws the line for cookies
/// at the same place.
const GUESSABLE: usize = 20;

/// How many entries with the same hash are looked at, whatever fields somebody sends through us.
const MAX_CHAIN: usize = 8;

/// Where the names that are not in the static table begin in [`Encoder::names`].
const OTHER_NAMES: usize = 64;

/// Compresses header blocks; keeps the dynamic table of one direction.
///
/// # What becomes an entry
///
/// A field becomes an entry when it is sent for the first time with its name. If there is an entry with the name and
/// another value, the values change, and a field becomes an entry only when it is sent again soon: so `:path`, `date`,
/// `content-length` or an id that is new in each request do not push out what is sent every time, and a path that is
/// asked for over and over takes one octet all the same. A field that would fill more than half of the table never
/// becomes an entry. (If all others did too, requests with nine fields and always a new path would take 41 bytes and
/// not 37, and 13 % more instructions; a server's responses, of which each ten have the same date, 47 bytes and not
/// 49.)
///
/// `authorization`, `proxy-authorization` and cookies of less than 20 octets are sent as "never indexed", like fields
/// that are [`sensitive`](Field::sensitive): the length of a block would tell whether a guess was right (section
/// 7.1.3).
///
/// Strings are sent in the Huffman code if that is shorter.
///
/// # Examples
///
/// ```
/// use bowline::proto::h2::hpack::{Encoder, Field};
///
/// let (mut encoder, mut lengths) = (Encoder::new(), Vec::new());
/// for _ in 0..2 {
///     let mut block = Vec::new();
///     encoder.begin(&mut block);
///     encoder.field(Field::new(b"user-agent", b"example/1.0"), &mut block);
///     lengths.push(block.len());
/// }
/// assert_eq!(lengths, [10, 1]);
/// ```
pub struct Encoder {
    pub(super) table: Table<Link>,
    pending: Option<Resize>,
    /// The latest entry with a name: one place for each name of the static table, and 64 for the hashes of others.
    names: [u32; OTHER_NAMES + 64],
    /// The latest entry by the hash of the field.
    fields: [u32; 128],
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
    /// The hash of the field.
    hash: u32,
    name: Option<static_table::Name>,
    /// The entry before this one at the same place of [`Encoder::fields`].
    older_field: u32,
    /// The same for [`Encoder::names`].
    older_name: u32,
}

/// A name: the static table's or another, and its place in [`Encoder::names`].
#[derive(Clone, Copy)]
struct Name<'a> {
    octets: &'a [u8],
    known: Option<static_table::Name>,
    place: usize,
}

impl<'a> Name<'a> {
    fn new(known: Option<static_table::Name>, octets: &'a [u8]) -> Self {
        let place = known.map_or_else(|| OTHER_NAMES + hash(octets) as usize % 64, static_table::Name::index);
        Name { octets, known, place }
    }

    #[inline]
    fn is_of(&self, entry: &Entry<'_, Link>) -> bool {
        entry.link.name == self.known && (self.known.is_some() || entry.name == self.octets)
    }
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
            names: [none; OTHER_NAMES + 64],
            fields: [none; 128],
            refused: [0; 64],
        }
    }

    /// Sets the size of the table: the peer's SETTINGS_HEADER_TABLE_SIZE, or less if we do not want that much.
    ///
    /// The next block says so (section 4.2).
    ///
    /// # Examples
    ///
    /// ```
    /// use bowline::proto::h2::hpack::Encoder;
    ///
    /// let (mut encoder, mut block) = (Encoder::new(), Vec::new());
    /// encoder.set_max_table(0);
    /// encoder.begin(&mut block);
    /// assert_eq!(block, [0x20]);
    /// ```
    pub fn set_max_table(&mut self, bytes: usize) {
        let last = bytes.min(LARGEST);
        if last != self.table.max() || self.pending.is_some() {
            let smallest = self.pending.map_or(last, |pending| pending.smallest.min(last));
            self.pending = Some(Resize { smallest, last });
            self.table.resize(last);
        }
    }

    /// Begins a block: appends the size updates that are due, the smallest and the last size (section 4.2).
    ///
    /// What [`field`](Self::field) appends next belongs to this block, and the peer has to get it, or the tables are
    /// out of step.
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
        if let (Some(known), false) = (known, field.sensitive) {
            // What is sent every time ends here.
            if let Some(index) = self.as_before(known, field.value).or_else(|| known.with_value(field.value)) {
                return indexed(index, out);
            }
        }
        self.rarer_field(known, field, out);
    }

    /// Returns the index of the latest entry with this name, if it has this value.
    #[inline]
    fn as_before(&self, known: static_table::Name, value: &[u8]) -> Option<usize> {
        let (newer, found, link) = self.table.value_by_id(self.names[known.index()])?;
        (link.name == Some(known) && found == value).then_some(static_table::LAST + 1 + newer)
    }

    /// Appends a field that is not what was sent with its name before, or has a name of its own.
    #[inline(never)]
    fn rarer_field(&mut self, known: Option<static_table::Name>, field: Field<'_>, out: &mut Vec<u8>) {
        let name = Name::new(known, field.name);
        let latest = self.latest(&name);
        let name_index = name.known.map(static_table::Name::index).or(latest).unwrap_or(0);
        if field.sensitive || name.known.is_some_and(|known| is_guessable(known, field.value)) {
            return literal(Literal::NeverIndexed, name_index, field, out);
        }
        if field.size() > self.table.max() / 2 {
            return literal(Literal::NotIndexed, name_index, field, out);
        }
        let hash = hash(field.value) ^ name.place as u32;
        if latest.is_some() {
            if let Some(index) = self.find(&name, hash, field.value) {
                return indexed(index, out);
            }
            if !self.was_refused(hash) {
                return literal(Literal::NotIndexed, name_index, field, out);
            }
        }
        literal(Literal::Indexed, name_index, field, out);
        self.insert(&name, hash, field.value);
    }

    /// Returns the index of the latest entry that has this name.
    fn latest(&self, name: &Name<'_>) -> Option<usize> {
        let mut id = self.names[name.place];
        for _ in 0..MAX_CHAIN {
            let (newer, entry) = self.table.by_id(id)?;
            if name.is_of(&entry) {
                return Some(static_table::LAST + 1 + newer);
            }
            id = entry.link.older_name;
        }
        None
    }

    /// Returns the index of the entry that has this name and value.
    fn find(&self, name: &Name<'_>, hash: u32, value: &[u8]) -> Option<usize> {
        let mut id = self.fields[hash as usize % self.fields.len()];
        for _ in 0..MAX_CHAIN {
            let (newer, entry) = self.table.by_id(id)?;
            if entry.link.hash == hash && entry.value == value && name.is_of(&entry) {
                return Some(static_table::LAST + 1 + newer);
            }
            id = entry.link.older_field;
        }
        None
    }

    /// Returns whether the field was refused before, and remembers it.
    fn was_refused(&mut self, hash: u32) -> bool {
        let place = &mut self.refused[(hash >> 16) as usize % 64];
        std::mem::replace(place, hash) == hash
    }

    fn insert(&mut self, name: &Name<'_>, hash: u32, value: &[u8]) {
        let id = self.table.next_id();
        let older_name = std::mem::replace(&mut self.names[name.place], id);
        let older_field = std::mem::replace(&mut self.fields[hash as usize % 128], id);
        self.table.insert(name.octets, value, Link { hash, name: name.known, older_field, older_name });
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

/// Appends a field that is an entry (section 6.1).
#[inline]
fn indexed(index: usize, out: &mut Vec<u8>) {
    integer::encode(index, 7, 0x80, out);
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

/// Returns a hash of the octets. It need not be good: octets are compared afterwards, and few times.
fn hash(octets: &[u8]) -> u32 {
    // An odd factor with about as many ones as zeros, 2^64 divided by the golden ratio.
    let mix = |hash: u64, word: u64| (hash ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    let word = |octets: &[u8; 8]| u64::from_le_bytes(*octets);
    let Some(last) = octets.last_chunk() else {
        return mix(octets.iter().fold(1, |hash, octet| hash << 8 | u64::from(*octet)), 0) as u32;
    };
    let words = octets.chunks_exact(8).map(|octets| octets.try_into().map_or(0, word));
    mix(words.fold(octets.len() as u64, mix), word(last)) as u32
}
