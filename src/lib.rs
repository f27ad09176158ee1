//! HTTP/1.1, HTTP/2 and WebSocket for programs that block.
#![forbid(unsafe_code)]

pub use http;

mod b64;
mod buf;
mod client;
mod drive;
mod error;
mod fields;
pub mod net;
#[cfg(feature = "unstable-proto")]
pub mod proto;
#[cfg(not(feature = "unstable-proto"))]
mod proto;
mod recv;
mod time;

pub use client::{
    Attempt, Batch, Client, ClientBuilder, Connection, Hook, Pending, Protocol, Redirects, RequestBuilder, Response,
    Retry, Stats, Timeouts, Timings, Trace, Verdict, get, shared,
};
pub use drive::{
    Body, BodyWriter, Cancel, CloseReason, ConnectionInfo, ConnectionState, Flow, GoAway, IntoBody, Tunnel,
    TunnelReader, TunnelWriter, Upkeep, UpkeepAction,
};
pub use error::{Error, ErrorKind, Phase, Processed, Result};
pub use net::Proxy;
#[cfg(feature = "tls")]
pub use net::Tls;
pub use proto::Role;
pub use recv::Recv;
pub use time::Deadline;
