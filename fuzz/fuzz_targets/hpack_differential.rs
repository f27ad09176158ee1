//! The same header blocks through other decoders: the same fields, and what we refuse they refuse.
#![no_main]

use bowline::proto::h2::hpack::{Decoder, Violation};
use bowline_fuzz::{Step, steps};
use fluke_hpack::decoder::{DecoderError, IntegerDecodingError::TooManyOctets};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let (mut ours, mut first) = (Decoder::new(4096), fluke_hpack::Decoder::new());
    let mut second = httlib_hpack::Decoder::default();
    // Neither has a notion of limits that come into force later; both obey every size update.
    second.set_max_dynamic_size(u32::MAX);
    for step in steps(data) {
        match step {
            Step::TableSize(size) => ours.set_max_table(size),
            Step::Block(block) => {
                let mut fields = Vec::new();
                let ended = ours.decode(block, |f| fields.push((f.name.to_vec(), f.value.to_vec(), f.sensitive)));
                if let Err(violation) = ended {
                    return assert!(
                        refuses(&mut first, block, violation),
                        "{violation}, and the other decoder takes it"
                    );
                }
                let theirs = match first.decode(block) {
                    // Both stop at five octets; we do not count the first.
                    Err(DecoderError::IntegerDecodingError(TooManyOctets)) => return,
                    // A rule of its own: a block of size updates only.
                    Err(DecoderError::SizeUpdateAtEnd) => vec![],
                    theirs => theirs.expect("a block that we decode"),
                };
                assert!(theirs.iter().map(|(n, v)| (n, v)).eq(fields.iter().map(|(n, v, _)| (n, v))));
                let mut theirs = Vec::new();
                second.decode(&mut block.to_vec(), &mut theirs).expect("a block that we decode");
                let never = httlib_hpack::Decoder::NEVER_INDEXED;
                assert_eq!(theirs.into_iter().map(|(n, v, flags)| (n, v, flags == never)).collect::<Vec<_>>(), fields);
            }
        }
    }
});

/// Returns whether `oracle` refuses a block too, or does not know the rule. `httlib-hpack` is not asked: it panics where an
/// integer or a string is missing.
fn refuses(oracle: &mut fluke_hpack::Decoder, block: &[u8], violation: Violation) -> bool {
    match violation {
        Violation::SizeUpdateAboveLimit { .. }
        | Violation::SizeUpdateMissing { .. }
        | Violation::SizeUpdateNotFirst
        | Violation::SizeUpdatesTooMany => true,
        // It panics if a size update is cut (as `hpack` does, RUSTSEC-2023-0085).
        _ if matches!(block, [0x20..=0x3f, ..]) => true,
        _ => oracle.decode(block).is_err(),
    }
}
