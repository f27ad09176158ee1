//! What fuzz targets share.
pub mod frames;
pub mod h1;
pub mod h2;
pub mod server;
pub mod ws;

/// What happens next on a connection that is fuzzed below its frames.
#[derive(Debug)]
pub enum Step<'a> {
    /// A header block arrives.
    Block(&'a [u8]),
    /// The peer has acknowledged another size of the table.
    TableSize(usize),
}

/// Cuts bytes into steps: an octet below 0xf0 is the length of a block, which follows; the others are sizes of tables.
pub fn steps(mut data: &[u8]) -> impl Iterator<Item = Step<'_>> {
    std::iter::from_fn(move || {
        let (first, rest) = data.split_first()?;
        if *first >= 0xf0 {
            data = rest;
            return Some(Step::TableSize([0, 31, 32, 33, 64, 100, 4096, 10_000][usize::from(*first) % 8]));
        }
        let (block, rest) = rest.split_at(rest.len().min(usize::from(*first)));
        data = rest;
        Some(Step::Block(block))
    })
}
