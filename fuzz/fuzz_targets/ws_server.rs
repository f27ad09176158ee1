//! Any bytes to a WebSocket server that echoes, with and without compression: no panic, and answers that a peer takes.
#![no_main]

use bowline::proto::Role;
use bowline_fuzz::ws;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| ws::run(Role::Server, data));
