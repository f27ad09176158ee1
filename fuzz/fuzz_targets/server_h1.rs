//! The server over any bytes: HTTP/1, unless they begin like HTTP/2. It comes to an end, and says no more than it was asked for.
#![no_main]

use bowline_fuzz::server;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((mood, data)) = data.split_first() else { return };
    server::serve(u64::from(*mood), data);
});
