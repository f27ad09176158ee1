//! HPACK: header compression for HTTP/2 (RFC 7541).
//!
//! SKELETON: the signatures the engine is written against.

/// Decompresses header blocks; keeps the dynamic table of one direction.
#[derive(Debug)]
pub struct Decoder {}

/// The block broke a rule of RFC 7541; the tables are out of step and the connection must end (COMPRESSION_ERROR).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Violation {
    Placeholder,
}

/// A decoded field, lent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    pub name: &'a [u8],
    pub value: &'a [u8],
    /// Sent as "never indexed" (section 6.2.3).
    pub sensitive: bool,
}

#[allow(unused_variables)]
impl Decoder {
    /// `max_table` is the SETTINGS_HEADER_TABLE_SIZE we announced (4096 unless said otherwise).
    pub fn new(max_table: usize) -> Self {
        todo!()
    }
    /// We announced another size and the peer acknowledged it.
    pub fn set_max_table(&mut self, bytes: usize) {
        todo!()
    }
    /// Decodes a whole block (HEADERS and its CONTINUATIONs joined), calling `field` for each. `field` may ignore what it is given: the
    /// table stays in step. Memory held at any time is bounded by the table plus one string of at most the block's expansion (8/5).
    pub fn decode(&mut self, block: &[u8], field: impl FnMut(Field<'_>)) -> Result<(), Violation> {
        todo!()
    }
}

/// Compresses header blocks; keeps the dynamic table of one direction.
#[derive(Debug)]
pub struct Encoder {}

#[allow(unused_variables)]
impl Encoder {
    /// Starts with the default table of 4096 bytes.
    pub fn new() -> Self {
        todo!()
    }
    /// The peer's SETTINGS_HEADER_TABLE_SIZE, capped by ours; announced at the start of the next block (section 4.2).
    pub fn set_max_table(&mut self, bytes: usize) {
        todo!()
    }
    /// Begins a block: appends pending table size updates.
    pub fn begin(&mut self, out: &mut Vec<u8>) {
        todo!()
    }
    /// Appends one field. Sensitive ones are never indexed.
    pub fn field(&mut self, field: Field<'_>, out: &mut Vec<u8>) {
        todo!()
    }
}
