//! One thread that waits for everything at once.

use super::{Over, Pattern, client, rounds, server};
use bowline::{Batch, Body, Connection, Exchange, Protocol, Recv, Result, Server, http::Version, net::pair};
use std::{thread, time::Duration};

fn echo(mut exchange: Exchange) -> Result<()> {
    let body = exchange.take_body();
    exchange.reply(200, body)
}

#[test]
fn a_batch_over_everything() {
    const EACH: u64 = 10;
    rounds("one wait over HTTP/1.1 and HTTP/2.0 over Tcp, Tls and Memory", |round| {
        let servers = [Over::Tcp, Over::Tls].map(|over| server(over, echo));
        let versions = [(Protocol::Http1, Version::HTTP_11), (Protocol::Http2, Version::HTTP_2)];
        let (mut batch, mut serving, mut connections) = (Batch::new(), Vec::new(), Vec::new());
        let mut clients = Vec::new();
        for (protocol, version) in versions {
            let client = client(protocol).build().unwrap();
            let (near, far) = pair(10_000);
            connections.push((Connection::over(near, "http://in.memory", &client).unwrap(), version));
            serving.push(thread::spawn(move || Server::unbound().serve_wire(far, &echo)));
            clients.push((client, version));
        }
        let mut salts = u64::from(round) * 1000..;
        for n in 0..EACH {
            let mut push = |request: bowline::RequestBuilder, version, name: String| {
                let salt = salts.next().unwrap();
                let len = (salt * 7919) % [1000, 70_000, 200_000][n as usize % 3];
                let body = Body::from_reader(Pattern::new(salt, len));
                batch.push(request.body(body).start(), (name, version, salt, len));
            };
            for (client, version) in &clients {
                for server in &servers {
                    push(client.post(server.url("/")), *version, format!("{version:?} to {}", server.url("/")));
                }
            }
            for (connection, version) in &connections {
                push(connection.post("/"), *version, format!("{version:?} in memory"));
            }
        }
        let mut answers = 0;
        loop {
            match batch.recv_timeout(Duration::from_secs(60)) {
                Recv::Item(((name, version, salt, len), answer)) => {
                    let answer = answer.unwrap_or_else(|e| panic!("{name}: {e}"));
                    assert_eq!((answer.status().as_u16(), answer.version()), (200, version), "{name}");
                    Pattern::new(salt, len).expect_all(answer.into_body());
                    answers += 1;
                }
                Recv::TimedOut => panic!("{answers} answers, then none"),
                Recv::Ended => break,
            }
        }
        assert_eq!(answers, 6 * EACH);
        drop(connections);
        serving.into_iter().for_each(|serving| serving.join().unwrap().unwrap());
    });
}
