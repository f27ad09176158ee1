//! The client over a wire in memory whose peer says any bytes: an answer or an error, never a panic or a hang.
#![no_main]

use bowline::{Client, Connection, Protocol, net, net::Wire};
use libfuzzer_sys::fuzz_target;
use std::{sync::OnceLock, time::Duration};

static CLIENTS: OnceLock<[Client; 2]> = OnceLock::new();

fuzz_target!(|data: &[u8]| {
    let Some((&how, data)) = data.split_first() else { return };
    let clients = CLIENTS.get_or_init(|| {
        [Protocol::Http1, Protocol::Http2].map(|p| Client::builder().protocol(p).build().expect("a client"))
    });
    let (here, there) = net::pair(data.len().max(1));
    let client = &clients[usize::from(how & 1)];
    let connection =
        Connection::over(here.max_piece(1 + usize::from(how >> 1)), "http://fuzz.test", client).expect("a connection");
    // The peer has said all before anybody asks, and its end follows: nothing has to be waited for.
    let _ = there.try_write(data);
    let _ = there.finish();
    let answer = connection.post("/").body("question").timeout(Duration::from_secs(5)).send();
    if let Ok(response) = answer {
        let _ = response.into_body().limit(1 << 20).read_timeout(&mut [0; 512], Duration::from_secs(5));
    }
});
