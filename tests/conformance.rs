//! Conformance of a server of HTTP/2: for every rule of RFC 9113 and RFC 7541 that a client can try out, one case.
//!
//! The cases are those by which servers are commonly compared: 146, and one more for those that say GOAWAY before they close. Ours
//! has to pass all of them in the clear and over TLS, and is held to more than others: a connection error has to be a GOAWAY with the
//! right code and then the end, and behind a stream error the connection has to live.
//!
//! With `BOWLINE_CONFORMANCE=http://HOST:PORT` (or `https`) another server is tried, by the common measure, and the table printed; for
//! what is behind `/` it needs at least five bytes. `BOWLINE_CONFORMANCE_ONLY` takes the cases that contain this text.

#![cfg(feature = "tls")]

#[path = "conformance/client.rs"]
mod client;
#[path = "conformance/connection.rs"]
mod connection;
#[path = "conformance/frames.rs"]
mod frames;
#[path = "conformance/generic.rs"]
mod generic;
#[path = "conformance/hpack.rs"]
mod hpack;
#[path = "conformance/messages.rs"]
mod messages;
#[path = "support/tls.rs"]
mod tls;

use bowline::{Exchange, Result, Server};
use client::{Client, Measure, Target, Verdict};
use std::io::Read;

/// A rule that is tried out.
pub struct Case {
    /// Where the rule stands: of RFC 9113 with `http2/`, of RFC 7541 with `hpack/`; what has to work at all with `generic/`.
    section: &'static str,
    what: &'static str,
    begins: Begins,
    run: fn(&mut Client) -> Verdict,
}

/// What the client has done before the case.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Begins {
    /// It is connected.
    Connected,
    /// Preface and settings were exchanged, and acknowledged.
    Settled,
}

/// A case on a connection that is settled.
pub const fn case(section: &'static str, what: &'static str, run: fn(&mut Client) -> Verdict) -> Case {
    Case { section, what, begins: Begins::Settled, run }
}

/// A case that has to make the beginning itself.
pub const fn opening(section: &'static str, what: &'static str, run: fn(&mut Client) -> Verdict) -> Case {
    Case { section, what, begins: Begins::Connected, run }
}

/// Runs the cases against a target; returns how many there were, and a line for each that failed.
fn run(target: &Target) -> (usize, Vec<String>) {
    let only = std::env::var("BOWLINE_CONFORMANCE_ONLY").unwrap_or_default();
    let groups = [generic::CASES, connection::CASES, frames::CASES, messages::CASES, hpack::CASES];
    let (mut count, mut failed) = (0, Vec::new());
    for case in groups.into_iter().flatten() {
        let name = format!("{}: {}", case.section, case.what);
        if !name.contains(&only) {
            continue;
        }
        count += 1;
        let verdict = Client::connect(target).and_then(|mut client| {
            if case.begins == Begins::Settled {
                client.settle()?;
            }
            (case.run)(&mut client)
        });
        if let Err(e) = verdict {
            failed.push(format!("{name}: {e}"));
        }
    }
    (count, failed)
}

/// Reads the request to its end, then answers.
fn handle(mut exchange: Exchange) -> Result<()> {
    std::io::copy(&mut exchange.body().take(1 << 20), &mut std::io::sink())?;
    exchange.reply(200, "what a conforming client gets")
}

fn ours(server: Server, target: fn(std::net::SocketAddr) -> Target) {
    let server = server.spawn(handle).unwrap();
    let (count, failed) = run(&target(server.local_addr()));
    println!("{}: {} of {count} passed", server.url("/"), count - failed.len());
    assert!(failed.is_empty(), "{} of {count} failed:\n{}", failed.len(), failed.join("\n"));
    assert_eq!(count, 147);
}

#[test]
fn in_the_clear() {
    ours(Server::bind("127.0.0.1:0").unwrap(), |address| Target { address, tls: None, measure: Measure::Strict });
}

#[test]
fn over_tls() {
    let identity = tls::certs::Authority::new("conformance").issue(&["127.0.0.1"]);
    let server = Server::bind("127.0.0.1:0").unwrap().tls_pem(identity.chain.as_bytes(), identity.key.as_bytes());
    ours(server, |address| Target { address, tls: Some(tls::anyone(&[b"h2"])), measure: Measure::Strict });
}

/// The server that the environment names; without one, ours by the measure that others are held to.
#[test]
fn by_the_common_measure() {
    let Ok(url) = std::env::var("BOWLINE_CONFORMANCE") else {
        return ours(Server::bind("127.0.0.1:0").unwrap(), |address| Target {
            address,
            tls: None,
            measure: Measure::Common,
        });
    };
    let (scheme, address) = url.trim_end_matches('/').split_once("://").expect("a URL");
    let address = address.parse().expect("an address and a port");
    let target = Target { address, tls: (scheme == "https").then(|| tls::anyone(&[b"h2"])), measure: Measure::Common };
    let (count, failed) = run(&target);
    println!("{url}: {} of {count} passed", count - failed.len());
    assert!(failed.is_empty(), "{} of {count} failed:\n{}", failed.len(), failed.join("\n"));
}
