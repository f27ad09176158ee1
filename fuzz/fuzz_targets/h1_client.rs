//! Any bytes, cut anywhere, to a client: no panic, no more output than input calls for.
#![no_main]

use bowline::Role;
use bowline_fuzz::h1;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| h1::run(Role::Client, data));
