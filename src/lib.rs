//! HTTP/1.1, HTTP/2 and WebSocket for programs that block.
#![forbid(unsafe_code)]

pub use http;

mod buf;
mod drive;
mod error;
mod fields;
pub mod net;
#[allow(dead_code)]
pub mod proto;
mod recv;
mod time;

pub use error::{Error, ErrorKind, Phase, Processed, Result};
pub use proto::Role;
pub use recv::Recv;
pub use time::Deadline;
