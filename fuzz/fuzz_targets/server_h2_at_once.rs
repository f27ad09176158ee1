//! The server over frames of HTTP/2 that are frames, in any order, with a handler for each request at the same time, each on a thread of its
//! own: which of them comes first is up to the system, that all come to their end is not.
#![no_main]

use bowline_fuzz::{
    frames::{Step, said},
    server,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u8, Vec<Step>)| {
    let (mood, steps) = input;
    server::serve_at_once(u64::from(mood), &said(&steps));
});
