//! Whole blocks: the examples of the RFC, every violation, round trips, hostile blocks.

mod appendix_c;
mod encoding;
mod round_trip;
mod violations;

use super::*;
pub(super) use round_trip::Random;

/// A field that was decoded.
type Owned = (Vec<u8>, Vec<u8>, bool);

/// Returns the octets that are written as hexadecimal digits.
fn hex(digits: &str) -> Vec<u8> {
    let digits: Vec<_> = digits.chars().filter_map(|c| c.to_digit(16)).collect();
    digits.chunks(2).map(|pair| (pair[0] << 4 | pair[1]) as u8).collect()
}

fn decoded(decoder: &mut Decoder, block: &[u8]) -> Result<Vec<Owned>, Violation> {
    let mut fields = Vec::new();
    decoder.decode(block, |f| fields.push((f.name.to_vec(), f.value.to_vec(), f.sensitive))).map(|()| fields)
}

fn owned(name: &str, value: &str) -> Owned {
    (name.into(), value.into(), false)
}

/// Returns the entries of a table, the newest first.
fn entries<L: Copy + Default>(table: &table::Table<L>) -> Vec<(String, String)> {
    let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
    (0..table.len()).map(|n| table.get(n).expect("n is below len")).map(|e| (text(e.name), text(e.value))).collect()
}

#[test]
fn what_is_debugged_holds_no_field() {
    let (mut encoder, mut decoder, mut block) = (Encoder::new(), Decoder::new(4096), Vec::new());
    encoder.field(Field::new(b"x-token", b"hidden"), &mut block);
    decoder.decode(&block, |_| {}).expect("a block of ours");
    assert!(!format!("{encoder:?} {decoder:?}").contains("hidden"));
    let field = Field::sensitive(b"x-token", b"hidden");
    assert_eq!(format!("{field:?}"), "x-token: (sensitive)");
    assert_eq!(format!("{:?}", Field { sensitive: false, ..field }), "x-token: hidden");
}
