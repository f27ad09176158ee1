//! The server over any bytes behind the preface of HTTP/2: it comes to an end, and says no more than it was asked for.
#![no_main]

use bowline_fuzz::server;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((mood, data)) = data.split_first() else { return };
    let bytes = [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0", data].concat();
    server::serve(u64::from(*mood), &bytes);
});
