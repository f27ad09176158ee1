//! A peer that answers, and misbehaves now and then: HTTP/1.1 and HTTP/2, in the clear and over TLS, one thread a connection.
//!
//! What it does with an attempt is in the [`Book`] before a client can see anything of it.

mod h1;
mod h2;
pub mod quiet;
mod wire;

use crate::{
    Random,
    fate::Book,
    tls::{self, certs},
};
use rustls::ServerConfig;
use std::{
    io::{self, BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};
use wire::Wire;

/// How long a silence of the peer's lasts.
const SILENCE: Duration = Duration::from_secs(4);

/// What all connections share.
pub struct Peer {
    pub book: Book,
    seed: u64,
    connections: AtomicU64,
    /// One request in so many meets a fault; 0: none does.
    faults: u64,
    tls: [Arc<ServerConfig>; 2],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Speaks {
    Http1,
    Http2,
}

impl Peer {
    /// The peer, and the authority to trust as PEM.
    pub fn new(requests: u64, seed: u64, faults: u64) -> (Arc<Self>, String) {
        let authority = certs::Authority::new("soak");
        let identity = authority.issue(&["127.0.0.1"]);
        let tls = [&b"http/1.1"[..], b"h2"].map(|alpn| tls::config(&identity, &[alpn]));
        let peer = Peer { book: Book::new(requests), seed, connections: AtomicU64::new(0), faults, tls };
        (Arc::new(peer), authority.pem())
    }

    /// Listens four times: HTTP/1.1 and HTTP/2 in the clear, then over TLS; returns the ports.
    pub fn listen(self: &Arc<Self>) -> io::Result<[u16; 4]> {
        let mut ports = [0; 4];
        for (port, (speaks, tls)) in ports.iter_mut().zip([
            (Speaks::Http1, None),
            (Speaks::Http2, None),
            (Speaks::Http1, Some(self.tls[0].clone())),
            (Speaks::Http2, Some(self.tls[1].clone())),
        ]) {
            let listener = TcpListener::bind("127.0.0.1:0")?;
            *port = listener.local_addr()?.port();
            let peer = self.clone();
            thread::spawn(move || {
                for socket in listener.incoming().flatten() {
                    let (peer, tls) = (peer.clone(), tls.clone());
                    thread::spawn(move || peer.serve(socket, speaks, tls));
                }
            });
        }
        Ok(ports)
    }

    fn serve(&self, socket: TcpStream, speaks: Speaks, tls: Option<Arc<ServerConfig>>) {
        let number = self.connections.fetch_add(1, Ordering::Relaxed);
        let random = Random(self.seed ^ number.wrapping_mul(0x9e6c_63d0_876a_68ad));
        // A client that goes away is nothing to speak of.
        let _ = Wire::new(socket, tls).and_then(|wire| match speaks {
            Speaks::Http1 => h1::serve(self, wire, random),
            Speaks::Http2 => h2::serve(self, wire, random),
        });
    }

    /// Whether this request meets a fault.
    fn is_unlucky(&self, random: &mut Random) -> bool {
        self.faults > 0 && random.once_in(self.faults)
    }

    /// Answers questions about the book, a line each: the number of a request, or `report`.
    pub fn answer_questions(&self, socket: TcpStream) -> io::Result<()> {
        let mut lines = BufReader::new(socket.try_clone()?).lines();
        let mut socket = socket;
        while let Some(line) = lines.next().transpose()? {
            match line.parse() {
                Ok(id) => writeln!(socket, "{}", self.book.word(id))?,
                Err(_) => writeln!(socket, "{}.", self.book.report())?,
            }
        }
        Ok(())
    }
}
