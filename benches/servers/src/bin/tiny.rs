//! `tiny ADDR`: tiny_http, 100 bytes for whatever is asked; 16 threads, as ours has.

use std::sync::Arc;
use tiny_http::{Response, Server};

fn main() {
    let address = std::env::args().nth(1).expect("an address");
    let server = Arc::new(Server::http(address).expect("a listener"));
    let serve = |server: Arc<Server>| {
        for request in server.incoming_requests() {
            // A client that has gone needs no answer.
            let _ = request.respond(Response::from_data([b'x'; 100].as_slice()));
        }
    };
    let threads: Vec<_> = (0..16)
        .map(|_| {
            std::thread::spawn({
                let server = server.clone();
                move || serve(server)
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().expect("no thread panics"));
}
