//! `ours ADDR`: 100 bytes for whatever is asked.

use bowline::{Exchange, Result, Server};

fn main() -> Result<()> {
    let address = std::env::args().nth(1).expect("an address");
    Server::bind(&address)?.serve(|exchange: Exchange| exchange.reply(200, [b'x'; 100].as_slice()))
}
