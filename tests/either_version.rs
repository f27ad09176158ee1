//! What a program says and does means the same in either version of HTTP.

mod support;

use bowline::{Body, Client, ErrorKind, Exchange, Phase, Processed, Protocol, Server, http::Version};
use std::{
    io::{Read, Write},
    net::TcpListener,
    sync::mpsc,
};
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

#[test]
fn a_body_dropped_without_its_end_was_given_up_by_the_program() {
    let (told, heard) = mpsc::channel();
    let server = Server::bind("127.0.0.1:0").unwrap();
    let server = server
        .spawn(move |mut exchange: Exchange| {
            let (mut part, mut rest) = ([0; 4], Vec::new());
            told.send(exchange.body().read_exact(&mut part).is_ok()).unwrap();
            told.send(exchange.body().read_to_end(&mut rest).is_ok()).unwrap();
            exchange.reply(200, "")
        })
        .unwrap();
    for (version, client) in clients() {
        let (mut writer, pending) = client.put(server.url("/")).duplex().unwrap();
        writer.write_all(b"part").unwrap();
        writer.flush().unwrap();
        assert!(heard.recv().unwrap(), "{version:?}");
        drop(writer);
        let error = pending.wait().unwrap_err();
        assert_eq!((error.kind(), error.processed()), (ErrorKind::Cancelled, Processed::Maybe), "{version:?}: {error}");
        assert_eq!(error.to_string(), "the exchange was given up", "{version:?}");
        assert!(!heard.recv().unwrap(), "{version:?}: a part was taken for the whole");
    }
}
