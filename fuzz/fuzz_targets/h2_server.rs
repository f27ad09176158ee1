//! Any bytes, cut anywhere, to a server: no panic, no more output than input calls for.
#![no_main]

use bowline::Role;
use bowline_fuzz::h2;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| h2::run(Role::Server, data));
