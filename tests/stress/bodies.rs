//! Both directions full at once, and many threads on one connection.

use super::{EVERYWHERE, GUARD, Over, Pattern, client, rounds, server};
use bowline::{
    Body, Client, Connection, Exchange, Protocol, RequestBuilder, Result, Server,
    http::{Response, Version},
    net::pair,
};
use std::{io, sync::Arc, thread};

const LARGE: u64 = 64 << 20;

/// Sends the body back as it comes; takes one, or gives one.
fn handle(mut exchange: Exchange) -> Result<()> {
    match exchange.path() {
        "/echo" => {
            let (mut body, mut writer) = exchange.respond_streaming(Response::new(()))?;
            io::copy(&mut body, &mut writer)?;
            writer.finish()
        }
        "/take" => {
            Pattern::new(1, LARGE).expect_all(exchange.body());
            exchange.reply(200, "taken")
        }
        "/give" => exchange.reply(200, Body::from_reader(Pattern::new(2, LARGE)).with_len(LARGE)),
        _ => exchange.reply(404, ""),
    }
}

/// One thread writes while another reads what comes back.
fn echo(request: RequestBuilder, version: Version) {
    let (mut writer, pending) = request.duplex().unwrap();
    let writing = thread::spawn(move || {
        io::copy(&mut Pattern::new(3, LARGE), &mut writer).unwrap();
        writer.finish().unwrap();
    });
    let response = pending.wait().unwrap();
    assert_eq!((response.status().as_u16(), response.version()), (200, version));
    Pattern::new(3, LARGE).expect_all(response.into_body());
    writing.join().unwrap();
}

fn echoes(protocol: Protocol, version: Version) {
    for over in EVERYWHERE {
        rounds(&format!("64 MiB there and back, {version:?} over {over:?}"), move |_| {
            if over == Over::Memory {
                let (near, far) = pair(256 * 1024);
                let serving = thread::spawn(move || Server::unbound().max_body(u64::MAX).serve_wire(far, &handle));
                let client = client(protocol).build().unwrap();
                let connection = Connection::over(near, "http://in.memory", &client).unwrap();
                echo(connection.post("/echo"), version);
                drop(connection);
                serving.join().unwrap().unwrap();
            } else {
                let server = server(over, handle);
                let client = client(protocol).build().unwrap();
                echo(client.post(server.url("/echo")), version);
                assert_eq!(client.stats().opened, 1);
            }
        });
    }
}

#[test]
fn an_echo_of_one_large_body_http1() {
    echoes(Protocol::Http1, Version::HTTP_11);
}

#[test]
fn an_echo_of_one_large_body_http2() {
    echoes(Protocol::Http2, Version::HTTP_2);
}

/// A client whose one connection has been made.
fn warm(over: Over, url: impl Fn(&str) -> String) -> Client {
    let client = client(Protocol::Http2).build().unwrap();
    assert_eq!(client.get(url("/none")).send().unwrap().status(), 404, "{over:?}");
    client
}

#[test]
fn two_large_bodies_that_meet() {
    for over in [Over::Tcp, Over::Tls] {
        rounds(&format!("64 MiB up and 64 MiB down at once, HTTP/2.0 over {over:?}"), move |_| {
            let server = server(over, handle);
            let client = warm(over, |path| server.url(path));
            let up = client.post(server.url("/take")).body(Body::from_reader(Pattern::new(1, LARGE)));
            let sending = thread::spawn(move || up.send().unwrap().text().unwrap());
            let down = client.get(server.url("/give")).send().unwrap();
            assert_eq!(down.content_length(), Some(LARGE));
            Pattern::new(2, LARGE).expect_all(down.into_body());
            assert_eq!(sending.join().unwrap(), "taken");
            assert_eq!(client.stats().opened, 1);
        });
    }
}

#[test]
fn many_threads_on_one_connection() {
    const THREADS: u64 = 32;
    const REQUESTS: u64 = 200;
    for over in [Over::Tcp, Over::Tls] {
        rounds(&format!("{THREADS} threads with {REQUESTS} requests each, HTTP/2.0 over {over:?}"), move |round| {
            let server = server(over, handle);
            let client = warm(over, |path| server.url(path));
            let url = Arc::new(server.url("/echo"));
            let threads: Vec<_> = (0..THREADS)
                .map(|t| {
                    let (client, url) = (client.clone(), url.clone());
                    thread::spawn(move || {
                        for n in 0..REQUESTS {
                            let salt = u64::from(round) + THREADS * n + t;
                            // Mostly small, some empty, some above a frame, few above what a stream's window holds at first.
                            let len = match n % 50 {
                                0 => 100_000 + t,
                                n if n % 10 == 1 => 16_384 + 16 - t,
                                n if n % 10 == 2 => 0,
                                n => n * 37 + t,
                            };
                            let body = Body::from_reader(Pattern::new(salt, len)).with_len(len);
                            let response = client.post(&*url).body(body).timeout(GUARD).send().unwrap();
                            assert_eq!(response.version(), Version::HTTP_2);
                            Pattern::new(salt, len).expect_all(response.into_body());
                        }
                    })
                })
                .collect();
            threads.into_iter().for_each(|thread| thread.join().unwrap());
            let stats = client.stats();
            assert_eq!((stats.opened, stats.requests, stats.in_flight), (1, THREADS * REQUESTS + 1, 0));
        });
    }
}
