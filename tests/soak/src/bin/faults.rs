//! The peer of the soak as a program: `faults REQUESTS SEED ONE_IN`.
//!
//! Its first line are five ports (HTTP/1.1, HTTP/2, both over TLS, questions), then comes the authority to trust as PEM and an empty
//! line. It ends when its standard input does.

use bowline_soak::peer::Peer;
use std::{
    error::Error,
    io::{self, Read, Write},
    net::TcpListener,
    thread,
};

fn main() -> Result<(), Box<dyn Error>> {
    let mut numbers = std::env::args().skip(1).map(|word| word.parse());
    let mut next = || numbers.next().ok_or("usage: faults REQUESTS SEED ONE_IN");
    let (requests, seed, faults) = (next()??, next()??, next()??);
    let (peer, authority) = Peer::new(requests, seed, faults);
    let ports = peer.listen()?;
    let questions = TcpListener::bind("127.0.0.1:0")?;
    let [h1, h2, h1_tls, h2_tls] = ports;
    let port = questions.local_addr()?.port();
    let mut out = io::stdout().lock();
    write!(out, "{h1} {h2} {h1_tls} {h2_tls} {port}\n{authority}\n")?;
    out.flush()?;
    thread::spawn(move || {
        for socket in questions.incoming().flatten() {
            let peer = peer.clone();
            thread::spawn(move || peer.answer_questions(socket));
        }
    });
    io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}
