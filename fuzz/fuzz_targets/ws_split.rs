//! The bytes of a WebSocket cut at random places tell the same as in one piece.
#![no_main]

use bowline_fuzz::ws;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| ws::split(data));
