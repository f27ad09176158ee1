//! HTTP/1.1 and HTTP/2 for programs that block: command-line tools, GUI and game loops, agents, package managers, extensions of
//! other languages. No async runtime, no hidden thread, no `unsafe` of its own.
//!
//! ```no_run
//! # fn main() -> bowline::Result<()> {
//! println!("{}", bowline::get("https://example.org").send()?.text()?);
//! # Ok(())
//! # }
//! ```
//!
//! | to | use |
//! |---|---|
//! | make requests | [`Client`], [`RequestBuilder`], [`Response`] |
//! | have many under way in one thread | [`RequestBuilder::start`], [`Pending`], [`Batch`] |
//! | write a body while its answer is read | [`RequestBuilder::duplex`], [`BodyWriter`] |
//! | own a connection | [`Client::connect`], [`Connection`] |
//! | keep connections alive and watch them | [`Client::upkeep`], [`Client::connections`] |
//! | end a wait from elsewhere | [`Cancel`], [`ClientBuilder::interrupt`] |
//! | sign, retry, trace | [`Hook`] |
//! | bring sockets, names or wires of your own | [`net`] |
//!
//! The [`guide`] answers the questions that go beyond one type: time limits, keep-alive, HTTP versions, retries, waiting.
//!
//! # No hidden thread
//!
//! The calling thread does all the work. The exceptions are said here: a name lookup under a deadline, which `getaddrinfo` makes in a
//! short-lived helper thread, and what the program asks for by name ([`ClientBuilder::keep_alive_thread`]).
//!
//! # Features
//!
//! | feature | adds |
//! |---|---|
//! | `tls` (default) | https: rustls with ring, webpki-roots |
//! | `gzip` (default) | gzip and deflate decoding of bodies |
//! | `aws-lc` | aws-lc-rs instead of ring |
//! | `deflate` | permessage-deflate for WebSocket |
//! | `json` | JSON bodies (serde) |
//! | `socks` | `socks5://` proxies |
//! | `rustls-api` | rustls types in signatures; outside the semver promise |
//! | `unstable-proto` | the engines, as `proto`; outside the semver promise |
#![forbid(unsafe_code)]

pub use http;

mod b64;
mod buf;
mod client;
mod drive;
mod error;
mod fields;
pub mod guide;
pub mod net;
#[cfg(feature = "unstable-proto")]
pub mod proto;
// What is public with the feature is in part unused without it.
#[cfg(not(feature = "unstable-proto"))]
#[allow(dead_code, unused_imports)]
mod proto;
mod recv;
mod server;
#[path = "ws/mod.rs"]
mod sockets;
mod time;

/// WebSockets that block: receive with a time limit, send from any thread.
///
/// [`Client::websocket`] and [`Exchange::websocket`] make them, and [`WebSocket::over`](ws::WebSocket::over) puts one on any wire.
pub mod ws {
    pub use crate::{client::WebSocketBuilder as Builder, sockets::*};
}

pub use client::{
    Attempt, Batch, Client, ClientBuilder, Connection, Hook, Pending, Protocol, Redirects, RequestBuilder, Response,
    Retry, Stats, Timings, Trace, Verdict, get, shared,
};
pub use drive::{
    Backoff, Body, BodyWriter, Cancel, CloseReason, ConnectionInfo, ConnectionState, Flow, GoAway, IntoBody, Tunnel,
    TunnelReader, TunnelWriter, Upkeep, UpkeepAction,
};
pub use error::{Error, ErrorKind, Phase, Processed, Result};
pub use net::Proxy;
#[cfg(feature = "tls")]
pub use net::Tls;
pub use proto::Role;
pub use recv::Recv;
pub use server::{
    Exchange, ExchangeEnd, ExchangeInfo, Handler, Server, ServerHandle, ServerStats, ServerTimeouts,
    resolve as server_path,
};
pub use time::{Deadline, Timeouts};
pub use ws::WebSocket;

/// The examples of the README, so that they compile.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
