//! What a program says in the head of a request means the same in either version of HTTP.

mod support;

use bowline::{Body, Client, ErrorKind, Exchange, Phase, Processed, Protocol, Server, http::Version};
use std::net::TcpListener;
use support::builder;

fn clients() -> [(Version, Client); 2] {
    [(Version::HTTP_11, Protocol::Http1), (Version::HTTP_2, Protocol::Http2)]
        .map(|(version, protocol)| (version, builder().protocol(protocol).build().unwrap()))
}

#[test]
fn a_host_of_the_programs_is_what_the_server_is_asked_for() {
    let server = Server::bind("127.0.0.1:0").unwrap();
    let server = server
        .spawn(|exchange: Exchange| {
            let of_uri = exchange.uri().authority().map(|authority| authority.to_string());
            let host = exchange.header("host").map(str::to_owned);
            let answer = of_uri.or(host).unwrap_or_default();
            exchange.reply(200, answer)
        })
        .unwrap();
    let here = server.local_addr().to_string();
    for (version, client) in clients() {
        for (host, expected) in
            [(None, here.as_str()), (Some("other.test"), "other.test"), (Some("o.test:1"), "o.test:1")]
        {
            let request = client.get(server.url("/"));
            let request = match host {
                Some(host) => request.header("host", host),
                None => request,
            };
            let response = request.send().unwrap();
            assert_eq!(response.version(), version);
            assert_eq!(response.text().unwrap(), expected, "{version:?} {host:?}");
        }
    }
}

#[test]
fn who_says_how_a_body_is_sent_is_told_before_anybody_connects() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    for (version, client) in clients() {
        for body in [Body::empty(), Body::from_reader(&b"abc"[..])] {
            let error = client.post(&url).header("transfer-encoding", "chunked").body(body).send().unwrap_err();
            let what = (error.kind(), error.phase(), error.processed());
            assert_eq!(what, (ErrorKind::InvalidInput, Phase::Build, Processed::No), "{version:?}: {error}");
            assert!(error.to_string().contains("Transfer-Encoding"), "{error}");
        }
    }
    assert!(listener.accept().is_err(), "nobody connected");
}
