//! Any bytes as header blocks: fields or a violation, within the promised memory.
#![no_main]

use bowline::proto::h2::hpack::Decoder;
use bowline_fuzz::{Step, steps};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut decoder = Decoder::new(4096);
    for step in steps(data) {
        match step {
            Step::TableSize(size) => decoder.set_max_table(size),
            Step::Block(block) => {
                let longest = 10_000.max(block.len() * 8 / 5);
                let ended = decoder.decode(block, |field| assert!(field.name.len().max(field.value.len()) <= longest));
                if ended.is_err() {
                    return;
                }
            }
        }
    }
});
