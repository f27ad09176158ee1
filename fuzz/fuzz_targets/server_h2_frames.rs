//! The server over frames of HTTP/2 that are frames, in any order, one handler after the other.
#![no_main]

use bowline_fuzz::{
    frames::{Step, said},
    server,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u8, Vec<Step>)| {
    let (mood, steps) = input;
    server::serve(u64::from(mood), &said(&steps));
});
