//! The client over HTTP/2, at scripted peers whose frames are written by hand.
//!
//! One program, since each one more is linked again after every change; a subject is a module.

mod again;
#[path = "../support/h2client.rs"]
mod h2client;
#[path = "../support/h2peer.rs"]
mod h2peer;
mod idle;
mod limits;
mod pool;
mod probe;
mod protocol;
mod retry;
mod settings;
mod sockets;
#[cfg(feature = "tls")]
#[path = "../support/tls.rs"]
mod tls;
mod upkeep;
mod upkeep_request;
mod waiting;
#[path = "../support/wires.rs"]
mod wires;
