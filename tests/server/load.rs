//! A shutdown while clients ask as fast as they can.

use crate::raw::LONG;
use bowline::{Client, Exchange, Protocol, Result, Server, http::StatusCode};
use std::{
    net::TcpStream,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread,
};

const CLIENTS: usize = 8;

/// How many answers each client has before the shutdown.
const BEFORE: usize = 100;

const LEN: usize = 20_000;

/// Every request that came to a handler is answered to its end, and nobody is let in any more.
#[test]
fn a_shutdown_under_load_cuts_no_answer() {
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let begun = Arc::new(AtomicUsize::new(0));
        let count = begun.clone();
        let handler = move |exchange: Exchange| -> Result<()> {
            count.fetch_add(1, Ordering::SeqCst);
            exchange.reply(200, vec![7; LEN])
        };
        let server = Server::bind("127.0.0.1:0").unwrap().spawn(handler).unwrap();
        let (address, url) = (server.local_addr(), server.url("/"));
        let client = Client::builder().protocol(protocol).build().unwrap();
        let (busy, are_busy) = mpsc::channel();
        let asking: Vec<_> = (0..CLIENTS)
            .map(|_| {
                let (client, url, busy) = (client.clone(), url.clone(), busy.clone());
                thread::spawn(move || {
                    let mut answered = 0;
                    loop {
                        let answer = client.get(url.as_str()).timeout(LONG).send();
                        let Ok(answer) = answer else { break answered };
                        assert_eq!(answer.status(), StatusCode::OK);
                        let bytes = answer.bytes().expect("what was begun is whole");
                        assert_eq!(bytes.len(), LEN);
                        answered += 1;
                        if answered == BEFORE {
                            busy.send(()).unwrap();
                        }
                    }
                })
            })
            .collect();
        are_busy.iter().take(CLIENTS).for_each(drop);
        assert_eq!(server.shutdown(LONG), 0, "{protocol:?}");
        assert!(TcpStream::connect(address).is_err(), "{protocol:?}");
        let answered: usize = asking.into_iter().map(|client| client.join().unwrap()).sum();
        println!("{protocol:?}: {answered} answers");
        assert_eq!(answered, begun.load(Ordering::SeqCst), "{protocol:?}");
    }
}
