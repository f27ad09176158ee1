//! Fuzz targets: an engine over any bytes in any cuts, and a whole client over a wire in memory.
use bowline::{
    Client, Connection, Exchange, Role, Server, net,
    proto::{RecvBuf, h2},
};
use std::time::{Duration, Instant};

/// Any bytes, cut anywhere: no panic, and no more output than input calls for.
fn engine(data: &[u8]) {
    let now = Instant::now();
    let (mut out, mut input) = (Vec::new(), RecvBuf::new());
    let mut connection = h2::Connection::new(Role::Server, h2::Config::default(), now, &mut out);
    for piece in data.chunks(1 + data.len() % 7) {
        input.extend(piece);
        loop {
            match connection.poll_event(now, &mut input, &mut out) {
                Ok(Some(h2::Event::Head { stream, .. })) => {
                    let _ = connection.reset(stream, 8, &mut out);
                }
                Ok(Some(h2::Event::Data { stream, data })) => {
                    let n = data.len();
                    let _ = connection.release(stream, n, &mut out);
                }
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(_) => return,
            }
        }
    }
    assert!(out.len() <= 1024 + 16 * data.len());
}

/// The client against our server over a wire that moves a few bytes at a time.
fn conversation(body: Vec<u8>, piece: usize) -> bowline::Result<()> {
    let (here, there) = net::pair(64 * 1024);
    let server = std::thread::spawn(move || {
        let echo = |mut exchange: Exchange| {
            let body = exchange.take_body();
            exchange.reply(200, body)
        };
        Server::unbound().serve_wire(there, &echo)
    });
    let connection = Connection::over(here.max_piece(piece), "http://fuzz.test", &Client::new())?;
    let answer = connection.post("/").body(body.clone()).timeout(Duration::from_secs(5)).send()?.bytes()?;
    assert_eq!(answer, body);
    drop(connection);
    server.join().expect("the server does not panic")
}

#[test]
fn main() {
    engine(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    conversation(vec![7; 100_000], 3).expect("a conversation in small pieces");
}
